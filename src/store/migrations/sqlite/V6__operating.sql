-- What is kept for people, and for the queries of the systems that Quotion follows, is as it was there: times are
-- milliseconds since 1970, the first use of a page is its first hit, and a failure has its line too.
DROP VIEW sync_stats_today;
DROP VIEW canvas_cache_stats;

CREATE TABLE canvas_cache_renewed (
    lookup_key   TEXT NOT NULL,              -- the phone, E.164
    lookup_type  TEXT NOT NULL DEFAULT 'phone',
    canvas_id    TEXT NOT NULL,              -- the page
    canvas_name  TEXT NOT NULL,              -- its title
    cached_at    INTEGER NOT NULL,           -- when the page was last read or written
    hit_count    INTEGER NOT NULL DEFAULT 1,
    last_used_at INTEGER,
    PRIMARY KEY (lookup_type, lookup_key)
) WITHOUT ROWID;

INSERT INTO canvas_cache_renewed SELECT lookup_key, lookup_type, canvas_id, canvas_name,
    coalesce(CAST(round(unixepoch(cached_at, 'subsec') * 1000) AS INTEGER), 0), hit_count + 1,
    CAST(round(unixepoch(last_used_at, 'subsec') * 1000) AS INTEGER) FROM canvas_cache;
DROP TABLE canvas_cache;
ALTER TABLE canvas_cache_renewed RENAME TO canvas_cache;

CREATE TABLE phone_numbers_renewed (
    id                    TEXT PRIMARY KEY,
    number                TEXT,
    name                  TEXT,
    first_seen_at         INTEGER NOT NULL,
    last_call_sync_at     INTEGER,
    last_message_sync_at  INTEGER,
    total_calls_synced    INTEGER NOT NULL DEFAULT 0,
    total_messages_synced INTEGER NOT NULL DEFAULT 0,
    is_active             INTEGER NOT NULL DEFAULT 1,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO phone_numbers_renewed SELECT id, number, name,
    coalesce(CAST(round(unixepoch(first_seen_at, 'subsec') * 1000) AS INTEGER), 0),
    CAST(round(unixepoch(last_call_sync_at, 'subsec') * 1000) AS INTEGER),
    CAST(round(unixepoch(last_message_sync_at, 'subsec') * 1000) AS INTEGER),
    total_calls_synced, total_messages_synced, is_active,
    coalesce(CAST(round(unixepoch(created_at, 'subsec') * 1000) AS INTEGER), 0),
    coalesce(CAST(round(unixepoch(updated_at, 'subsec') * 1000) AS INTEGER), 0) FROM phone_numbers;
DROP TABLE phone_numbers;
ALTER TABLE phone_numbers_renewed RENAME TO phone_numbers;

CREATE TABLE sync_history_renewed (
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
    synced_at          INTEGER NOT NULL,
    action             TEXT                  -- what was done with the client's page: created, updated, skipped
);

INSERT INTO sync_history_renewed SELECT id, phone_number_id, resource_type, resource_id, direction, notion_page_id,
    canvas_id, sync_status, error_message, processing_time_ms,
    coalesce(CAST(round(unixepoch(synced_at, 'subsec') * 1000) AS INTEGER), 0), NULL FROM sync_history;
DROP TABLE sync_history;
ALTER TABLE sync_history_renewed RENAME TO sync_history;

CREATE INDEX sync_history_by_number ON sync_history (phone_number_id, synced_at);
CREATE INDEX sync_history_by_resource ON sync_history (resource_type, resource_id);
CREATE INDEX sync_history_by_time ON sync_history (synced_at DESC);

CREATE TABLE performance_metrics_renewed (
    id              INTEGER PRIMARY KEY,
    metric_type     TEXT NOT NULL,           -- api_call (Quo), notion_query, canvas_lookup, sync
    operation       TEXT NOT NULL,
    duration_ms     INTEGER NOT NULL,
    success         INTEGER NOT NULL,
    phone_number_id TEXT,
    timestamp       INTEGER NOT NULL
);

INSERT INTO performance_metrics_renewed SELECT id, metric_type, operation, duration_ms, success, phone_number_id,
    coalesce(CAST(round(unixepoch(timestamp, 'subsec') * 1000) AS INTEGER), 0) FROM performance_metrics;
DROP TABLE performance_metrics;
ALTER TABLE performance_metrics_renewed RENAME TO performance_metrics;

CREATE INDEX performance_metrics_by_time ON performance_metrics (timestamp);

CREATE VIEW sync_stats_today AS
SELECT phone_number_id, resource_type, sync_status, count(*) AS count, avg(processing_time_ms) AS avg_processing_time_ms
FROM sync_history WHERE synced_at >= unixepoch('now', 'start of day') * 1000
GROUP BY phone_number_id, resource_type, sync_status;

-- The first use is the miss.
CREATE VIEW canvas_cache_stats AS
SELECT lookup_type, count(*) AS total_entries, sum(hit_count) AS total_hits,
    CAST(sum(hit_count) AS REAL) / count(*) AS avg_hits_per_entry,
    1 - CAST(count(*) AS REAL) / sum(hit_count) AS hit_ratio
FROM canvas_cache GROUP BY lookup_type;
