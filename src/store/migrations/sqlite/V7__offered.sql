-- Events that a backfill has printed and nobody has answered yet: the next run prints them again, whatever died on
-- either side of the pipe.
CREATE TABLE offered (
    event_id TEXT NOT NULL PRIMARY KEY,
    made_at  INTEGER NOT NULL,               -- when the call or text was made
    run      TEXT NOT NULL,                  -- which command printed it
    event    TEXT NOT NULL                   -- the line
) WITHOUT ROWID;
