-- What stands in Notion is a fact; a write whose answer is not kept yet is an open write, and nothing else is in doubt.
-- What belongs to a database says so: '' is of before, when there was one, and is read again before it is used.
-- The tables of before are gone in the same transaction, so that a program of before fails rather than escapes.

ALTER TABLE quotion_pages RENAME TO quotion_pages_of_before;

-- Pages as Notion last gave them.
CREATE TABLE quotion_pages (
    page_id        text PRIMARY KEY,
    title          text NOT NULL,
    body           text NOT NULL,              -- null when only the id is certain
    read_at        timestamptz NOT NULL,
    complete_since timestamptz                 -- from that minute on all its entries are known; null: all of them are
);

-- Whose page it is: a page has several keys when several numbers stand on it.
CREATE TABLE quotion_page_keys (
    kind        text NOT NULL CHECK (kind IN ('client')),
    database_id text NOT NULL,
    key         text NOT NULL,                 -- the phone, E.164
    page_id     text NOT NULL,
    PRIMARY KEY (kind, database_id, key)
);

CREATE INDEX quotion_page_keys_by_page ON quotion_page_keys (page_id);

INSERT INTO quotion_page_keys
SELECT DISTINCT ON (lookup_key) 'client', '', lookup_key, canvas_id::text FROM canvas_cache
WHERE lookup_type = 'phone' AND lookup_key IS NOT NULL AND canvas_id IS NOT NULL ORDER BY lookup_key, cached_at DESC;

INSERT INTO quotion_pages (page_id, title, body, read_at)
SELECT k.page_id, coalesce(max(c.canvas_name), ''), CASE count(*) WHEN 1 THEN coalesce(max(p.body), 'null') ELSE 'null' END,
    coalesce(min(c.cached_at), now())
FROM quotion_page_keys k
JOIN canvas_cache c ON c.lookup_type = 'phone' AND c.lookup_key = k.key AND c.canvas_id::text = k.page_id
LEFT JOIN quotion_pages_of_before p ON p.phone = k.key AND p.page_id = k.page_id
GROUP BY k.page_id;

-- Writes from before they are sent until their answers are kept.
CREATE TABLE quotion_open_writes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('client')),
    database_id text NOT NULL,
    key         text NOT NULL,
    page_id     text,                          -- null: the page is being made
    carries     text NOT NULL CHECK (carries IN ('entries', 'parts', 'values')),
    activities  text NOT NULL DEFAULT '',      -- whose entries or parts, comma-separated
    token       text NOT NULL DEFAULT '',      -- of the lease under which it was sent
    answered_at timestamptz,                   -- when an answer of the API came
    sent_at     timestamptz,                   -- when the sender gave up waiting for one
    taken_at    timestamptz                    -- when somebody else first found it, and no note of its sender
);

CREATE INDEX quotion_open_writes_by_key ON quotion_open_writes (key);
CREATE INDEX quotion_open_writes_by_page ON quotion_open_writes (page_id);

INSERT INTO quotion_open_writes (kind, database_id, key, page_id, carries, activities)
SELECT 'client', '', phone, page_id, CASE state WHEN 'intended' THEN 'entries' ELSE 'parts' END, activity_id
FROM quotion_entries WHERE state = 'intended' OR pending <> '';

-- Perhaps a line is being rewritten, or values are being written.
INSERT INTO quotion_open_writes (kind, database_id, key, page_id, carries, activities)
SELECT 'client', '', phone, page_id, 'values', activity_id FROM quotion_entries
WHERE state = 'done' AND pending = '' AND block_id IS NULL AND intended_at > now() - interval '1 hour';

INSERT INTO quotion_open_writes (kind, database_id, key, page_id, carries)
SELECT 'client', '', k.key, k.page_id, 'values' FROM quotion_page_keys k JOIN quotion_pages p USING (page_id)
WHERE p.body = 'null' AND p.read_at > now() - interval '1 hour';

-- Which activity has its entry on which page.
ALTER TABLE quotion_entries RENAME TO quotion_entries_of_before;

CREATE TABLE quotion_entries (
    activity_id text NOT NULL,
    page_id     text NOT NULL,
    block_id    text,                          -- null: the entry was written together with its page
    line        text NOT NULL,                 -- its first line, without formatting
    artifacts   text NOT NULL DEFAULT '',      -- kinds that are inside, comma-separated
    begun       text NOT NULL DEFAULT '',      -- kinds of which perhaps not all is inside
    gone        boolean NOT NULL DEFAULT false, -- a person has deleted it
    learned_at  timestamptz NOT NULL,          -- when it was last written or seen
    PRIMARY KEY (activity_id, page_id)
);

INSERT INTO quotion_entries (activity_id, page_id, block_id, line, artifacts, begun, learned_at)
SELECT activity_id, page_id, block_id, line, artifacts, pending, intended_at FROM quotion_entries_of_before
WHERE state = 'done' AND page_id IS NOT NULL ON CONFLICT DO NOTHING;

DROP TABLE quotion_entries_of_before, quotion_pages_of_before;

-- As said in V1: closed to the world.
DO $$
DECLARE
    mine text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        FOREACH mine IN ARRAY '{quotion_pages, quotion_page_keys, quotion_open_writes, quotion_entries}'::text[]
        LOOP
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', mine);
        END LOOP;
    END IF;
END
$$;
