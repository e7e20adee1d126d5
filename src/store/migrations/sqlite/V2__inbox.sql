-- Exactly once, and never lost: every event before anything is done about it, and how far it has got.
-- Times in milliseconds since 1970, because there may be a million rows.
CREATE TABLE inbox (
    event_id      TEXT PRIMARY KEY,
    event_type    TEXT NOT NULL,
    activity_id   TEXT,
    payload       BLOB,                      -- as received; null once only the key is kept
    state         TEXT NOT NULL CHECK (state IN ('queued', 'done', 'failed', 'dead')),
    attempts      INTEGER NOT NULL DEFAULT 0,
    next_try_at   INTEGER,                   -- null when done or dead
    error_kind    TEXT,
    error_message TEXT,
    result        TEXT,                      -- of a finished event: the clients' pages, JSON
    received_at   INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX inbox_waiting ON inbox (next_try_at) WHERE state IN ('queued', 'failed');
CREATE INDEX inbox_dead ON inbox (received_at) WHERE state = 'dead';
CREATE INDEX inbox_to_expire ON inbox (updated_at) WHERE state = 'done' AND payload IS NOT NULL;

-- Rate limits shared by all processes: the n-th of the last requests, and when it was (milliseconds since 1970).
CREATE TABLE rate_windows (
    vendor       TEXT PRIMARY KEY,
    next         INTEGER NOT NULL DEFAULT 0,
    closed_until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE rate_slots (
    vendor TEXT NOT NULL,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (vendor, n)
) WITHOUT ROWID;

-- Kept from the systems that Quotion follows, so that existing queries go on working.
CREATE TABLE phone_numbers (
    id                    TEXT PRIMARY KEY,
    number                TEXT,
    name                  TEXT,
    first_seen_at         TEXT NOT NULL,
    last_call_sync_at     TEXT,
    last_message_sync_at  TEXT,
    total_calls_synced    INTEGER NOT NULL DEFAULT 0,
    total_messages_synced INTEGER NOT NULL DEFAULT 0,
    is_active             INTEGER NOT NULL DEFAULT 1,
    created_at            TEXT NOT NULL,
    updated_at            TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sync_history (
    id                 INTEGER PRIMARY KEY,
    phone_number_id    TEXT,
    resource_type      TEXT NOT NULL,
    resource_id        TEXT NOT NULL,
    direction          TEXT,
    notion_page_id     TEXT,
    canvas_id          TEXT,
    sync_status        TEXT NOT NULL,
    error_message      TEXT,
    processing_time_ms INTEGER,
    synced_at          TEXT NOT NULL
);

CREATE INDEX sync_history_by_time ON sync_history (synced_at);

CREATE TABLE performance_metrics (
    id              INTEGER PRIMARY KEY,
    metric_type     TEXT NOT NULL,
    operation       TEXT NOT NULL,
    duration_ms     INTEGER NOT NULL,
    success         INTEGER NOT NULL,
    phone_number_id TEXT,
    timestamp       TEXT NOT NULL
);

CREATE VIEW sync_stats_today AS
SELECT resource_type, sync_status, count(*) AS total, avg(processing_time_ms) AS avg_processing_time_ms
FROM sync_history WHERE synced_at >= date('now') GROUP BY resource_type, sync_status;

CREATE VIEW canvas_cache_stats AS
SELECT lookup_type, count(*) AS total_entries, sum(hit_count) AS total_hits, max(last_used_at) AS last_used_at
FROM canvas_cache GROUP BY lookup_type;
