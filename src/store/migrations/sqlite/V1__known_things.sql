-- What Quotion remembers of the two vendors, so that an event needs few requests.
-- Times are UTC, RFC 3339. Bodies are the vendors' own JSON; their readers live with the vendors' modules.

-- Client pages by phone. Name and columns are those of the systems that Quotion follows.
CREATE TABLE canvas_cache (
    lookup_key   TEXT NOT NULL,              -- the phone, E.164
    lookup_type  TEXT NOT NULL DEFAULT 'phone',
    canvas_id    TEXT NOT NULL,              -- the page
    canvas_name  TEXT NOT NULL,              -- its title
    cached_at    TEXT NOT NULL,              -- when the page was last read or written
    hit_count    INTEGER NOT NULL DEFAULT 0,
    last_used_at TEXT,
    body         TEXT NOT NULL DEFAULT 'null', -- the page as Notion last gave it; null when only the id is known
    PRIMARY KEY (lookup_type, lookup_key)
) WITHOUT ROWID;

-- Whole answers that change seldom: database schemas, own numbers, and the age of the contact index.
CREATE TABLE snapshots (
    key        TEXT PRIMARY KEY,
    body       TEXT NOT NULL,
    fetched_at TEXT NOT NULL
) WITHOUT ROWID;

-- Quo's contacts, found by the last six digits of any of their numbers.
CREATE TABLE contacts (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE contact_phones (
    tail       TEXT NOT NULL,
    contact_id TEXT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    PRIMARY KEY (tail, contact_id)
) WITHOUT ROWID;

CREATE INDEX contact_phones_by_contact ON contact_phones (contact_id);

-- Which activity has its entry on which client's page. A row is written before the entry is, and says so: after a
-- crash or an unknown outcome, what is only intended is looked for on the page before anything is written again.
CREATE TABLE entries (
    activity_id TEXT NOT NULL,
    phone       TEXT NOT NULL,
    page_id     TEXT,                        -- null while the page itself is only intended
    block_id    TEXT,                        -- null until it is told or somebody had to look for it
    line        TEXT NOT NULL,               -- the entry's first line, without formatting
    state       TEXT NOT NULL CHECK (state IN ('intended', 'done')),
    artifacts   TEXT NOT NULL DEFAULT '',    -- kinds that are inside, comma-separated
    pending     TEXT NOT NULL DEFAULT '',    -- kinds that are intended, comma-separated
    intended_at TEXT NOT NULL,               -- when it was last intended
    PRIMARY KEY (activity_id, phone)
) WITHOUT ROWID;
