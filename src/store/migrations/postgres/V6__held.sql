-- What is not the event's own fault is no attempt: a vendor's is tried again for some time, and the operator's is held
-- until it is mended.
ALTER TABLE quotion_inbox
    DROP CONSTRAINT IF EXISTS quotion_inbox_state_check,
    ADD CONSTRAINT quotion_inbox_state_check CHECK (state IN ('queued', 'done', 'failed', 'held', 'dead')),
    ADD COLUMN tries       bigint NOT NULL DEFAULT 0, -- failures of a vendor's, by which the waits grow
    ADD COLUMN held_by     text,                      -- what is to be mended: a setting, or a page
    ADD COLUMN tried_at    timestamptz,               -- when it was last tried
    ADD COLUMN released_at timestamptz;               -- when it was last released, or lived again

-- Of before: all failures were attempts.
UPDATE quotion_inbox SET tried_at = updated_at,
    attempts = CASE WHEN state = 'failed' AND error_kind NOT IN ('refused', 'internal', 'payload') THEN 0
        ELSE attempts END
WHERE state IN ('failed', 'dead');
