-- Events that a backfill has printed and nobody has answered yet: the next run prints them again, whatever died on
-- either side of the pipe.
CREATE TABLE quotion_offered (
    event_id text PRIMARY KEY,
    made_at  timestamptz NOT NULL,           -- when the call or text was made
    run      text NOT NULL,                  -- which command printed it
    event    text NOT NULL                   -- the line
);
