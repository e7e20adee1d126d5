-- What Quotion remembers of the two vendors, so that an event needs few requests.
-- Bodies are the vendors' own JSON, byte for byte, hence text; their readers live with the vendors' modules.
--
-- A database is often shared: Quotion's own tables carry its name. Those without it are known to other programs, and
-- may be there already, with rows; they are extended, never replaced. Everything lies in the first schema of the path.

-- Supabase offers every table to the world through its API, under the role anon, unless its rows are protected: then
-- nobody but their owner reads them. A table that was there before stays as open or closed as it was.

-- Client pages by phone. Name and columns are those of the systems that Quotion follows.
DO $$
BEGIN
    IF to_regclass('canvas_cache') IS NULL THEN
        CREATE TABLE canvas_cache (
            lookup_key  text NOT NULL,           -- the phone, E.164
            lookup_type text NOT NULL DEFAULT 'phone',
            canvas_id   text NOT NULL,           -- the page
            PRIMARY KEY (lookup_type, lookup_key)
        );
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
            ALTER TABLE canvas_cache ENABLE ROW LEVEL SECURITY;
        END IF;
    END IF;
END
$$;

ALTER TABLE canvas_cache
    ADD COLUMN IF NOT EXISTS lookup_type  text NOT NULL DEFAULT 'phone',
    ADD COLUMN IF NOT EXISTS canvas_name  text,                               -- its title
    ADD COLUMN IF NOT EXISTS cached_at    timestamptz NOT NULL DEFAULT now(), -- when it was last read or written
    ADD COLUMN IF NOT EXISTS hit_count    bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_used_at timestamptz;

-- Not unique: rows of before may be double.
CREATE INDEX IF NOT EXISTS quotion_canvas_cache_by_key ON canvas_cache (lookup_key, lookup_type);

-- Those pages as Notion last gave them. Apart, because others may be allowed to read the table above.
CREATE TABLE quotion_pages (
    phone   text PRIMARY KEY,
    page_id text NOT NULL,
    body    text NOT NULL
);

-- Whole answers that change seldom: database schemas, own numbers, and the age of the contact index.
CREATE TABLE quotion_snapshots (
    key        text PRIMARY KEY,
    body       text NOT NULL,
    fetched_at timestamptz NOT NULL
);

-- Quo's contacts, found by the last six digits of any of their numbers.
CREATE TABLE quotion_contacts (
    id   text PRIMARY KEY,
    body text NOT NULL
);

CREATE TABLE quotion_contact_phones (
    tail       text NOT NULL,
    contact_id text NOT NULL REFERENCES quotion_contacts (id) ON DELETE CASCADE,
    PRIMARY KEY (tail, contact_id)
);

CREATE INDEX quotion_contact_phones_by_contact ON quotion_contact_phones (contact_id);

-- Which activity has its entry on which client's page. A row is written before the entry is, and says so: after a
-- crash or an unknown outcome, what is only intended is looked for on the page before anything is written again.
CREATE TABLE quotion_entries (
    activity_id text NOT NULL,
    phone       text NOT NULL,
    page_id     text,                        -- null while the page itself is only intended
    block_id    text,                        -- null until it is told or somebody had to look for it
    line        text NOT NULL,               -- the entry's first line, without formatting
    state       text NOT NULL CHECK (state IN ('intended', 'done')),
    artifacts   text NOT NULL DEFAULT '',    -- kinds that are inside, comma-separated
    pending     text NOT NULL DEFAULT '',    -- kinds that are intended, comma-separated
    intended_at timestamptz NOT NULL,        -- when it was last intended
    PRIMARY KEY (activity_id, phone)
);

CREATE INDEX quotion_entries_open ON quotion_entries (phone) WHERE page_id IS NULL AND state = 'intended';
