-- What is not the event's own fault is no attempt: a vendor's is tried again for some time, and the operator's is held
-- until it is mended.
CREATE TABLE inbox_renewed (
    event_id      TEXT NOT NULL PRIMARY KEY,
    event_type    TEXT NOT NULL,
    activity_id   TEXT,
    payload       BLOB,                      -- as received; null once only the key is kept
    state         TEXT NOT NULL CHECK (state IN ('queued', 'done', 'failed', 'held', 'dead')),
    attempts      INTEGER NOT NULL DEFAULT 0, -- failures of the event's own
    next_try_at   INTEGER,                   -- null when done, held or dead
    error_kind    TEXT,
    error_message TEXT,
    result        TEXT,                      -- of a finished event: the clients' pages, JSON
    received_at   INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    tries         INTEGER NOT NULL DEFAULT 0, -- failures of a vendor's, by which the waits grow
    held_by       TEXT,                      -- what is to be mended: a setting, or a page
    tried_at      INTEGER,                   -- when it was last tried
    released_at   INTEGER                    -- when it was last released, or lived again
);

-- Of before: all failures were attempts.
INSERT INTO inbox_renewed SELECT event_id, event_type, activity_id, payload, state,
    CASE WHEN state = 'failed' AND error_kind NOT IN ('refused', 'internal', 'payload') THEN 0 ELSE attempts END,
    next_try_at, error_kind, error_message, result, received_at, updated_at,
    0, NULL, CASE WHEN state <> 'queued' THEN updated_at END, NULL FROM inbox;
DROP TABLE inbox;
ALTER TABLE inbox_renewed RENAME TO inbox;

CREATE INDEX inbox_open ON inbox (next_try_at) WHERE state <> 'done';
