-- None of the finished events is read when only the others are wanted, and no index is kept over them: who drops their
-- payloads reads them all, which is done once a day.
CREATE INDEX quotion_inbox_open ON quotion_inbox (next_try_at) WHERE state <> 'done';
DROP INDEX quotion_inbox_waiting, quotion_inbox_dead, quotion_inbox_to_expire;
