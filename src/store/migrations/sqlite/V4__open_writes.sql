-- What stands in Notion is a fact; a write whose answer is not kept yet is an open write, and nothing else is in doubt.
-- What belongs to a database says so: '' is of before, when there was one, and is read again before it is used.
-- The tables of before are gone in the same transaction, so that a program of before fails rather than escapes.

-- Pages as Notion last gave them.
CREATE TABLE pages (
    page_id        TEXT NOT NULL PRIMARY KEY,
    title          TEXT NOT NULL,
    body           TEXT NOT NULL,              -- null when only the id is certain
    read_at        TEXT NOT NULL,
    complete_since INTEGER                     -- from that minute on all its entries are known (milliseconds since
                                               -- 1970); null: all of them are
);

-- Whose page it is: a page has several keys when several numbers stand on it.
CREATE TABLE page_keys (
    kind        TEXT NOT NULL CHECK (kind IN ('client')),
    database_id TEXT NOT NULL,
    key         TEXT NOT NULL,                 -- the phone, E.164
    page_id     TEXT NOT NULL,
    PRIMARY KEY (kind, database_id, key)
) WITHOUT ROWID;

CREATE INDEX page_keys_by_page ON page_keys (page_id);

INSERT INTO pages (page_id, title, body, read_at, complete_since)
SELECT canvas_id, max(canvas_name), CASE count(*) WHEN 1 THEN max(body) ELSE 'null' END, min(cached_at), NULL
FROM canvas_cache WHERE lookup_type = 'phone' GROUP BY canvas_id;

INSERT INTO page_keys SELECT 'client', '', lookup_key, canvas_id FROM canvas_cache WHERE lookup_type = 'phone';

-- Writes from before they are sent until their answers are kept.
CREATE TABLE open_writes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL CHECK (kind IN ('client')),
    database_id TEXT NOT NULL,
    key         TEXT NOT NULL,
    page_id     TEXT,                          -- null: the page is being made
    carries     TEXT NOT NULL CHECK (carries IN ('entries', 'parts', 'values')),
    activities  TEXT NOT NULL DEFAULT '',      -- whose entries or parts, comma-separated
    token       TEXT NOT NULL DEFAULT '',      -- of the lease under which it was sent
    boot        TEXT,                          -- of which start of the machine the moments are
    answered_at INTEGER,                       -- when an answer of the API came, in milliseconds since that start
    sent_at     INTEGER,                       -- when the sender gave up waiting for one
    taken_at    INTEGER                        -- when somebody else first found it, and no note of its sender
);

CREATE INDEX open_writes_by_key ON open_writes (key);
CREATE INDEX open_writes_by_page ON open_writes (page_id);

INSERT INTO open_writes (kind, database_id, key, page_id, carries, activities)
SELECT 'client', '', phone, page_id, CASE state WHEN 'intended' THEN 'entries' ELSE 'parts' END, activity_id FROM entries
WHERE state = 'intended' OR pending <> '';

-- Perhaps a line is being rewritten, or values are being written.
INSERT INTO open_writes (kind, database_id, key, page_id, carries, activities)
SELECT 'client', '', phone, page_id, 'values', activity_id FROM entries
WHERE state = 'done' AND pending = '' AND block_id IS NULL AND intended_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour');

INSERT INTO open_writes (kind, database_id, key, page_id, carries)
SELECT 'client', '', lookup_key, canvas_id, 'values' FROM canvas_cache
WHERE lookup_type = 'phone' AND body = 'null' AND cached_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour');

-- Which activity has its entry on which page.
CREATE TABLE entries_renewed (
    activity_id TEXT NOT NULL,
    page_id     TEXT NOT NULL,
    block_id    TEXT,                          -- null: the entry was written together with its page
    line        TEXT NOT NULL,                 -- its first line, without formatting
    artifacts   TEXT NOT NULL DEFAULT '',      -- kinds that are inside, comma-separated
    begun       TEXT NOT NULL DEFAULT '',      -- kinds of which perhaps not all is inside
    gone        INTEGER NOT NULL DEFAULT 0,    -- 1: a person has deleted it
    learned_at  TEXT NOT NULL,                 -- when it was last written or seen
    PRIMARY KEY (activity_id, page_id)
) WITHOUT ROWID;

INSERT OR IGNORE INTO entries_renewed (activity_id, page_id, block_id, line, artifacts, begun, learned_at)
SELECT activity_id, page_id, block_id, line, artifacts, pending, intended_at FROM entries
WHERE state = 'done' AND page_id IS NOT NULL;

DROP TABLE entries;
ALTER TABLE entries_renewed RENAME TO entries;

-- The pages themselves lie above.
DROP VIEW canvas_cache_stats;
ALTER TABLE canvas_cache DROP COLUMN body;
CREATE VIEW canvas_cache_stats AS
SELECT lookup_type, count(*) AS total_entries, sum(hit_count) AS total_hits, max(last_used_at) AS last_used_at
FROM canvas_cache GROUP BY lookup_type;
