-- What is kept for people, and for the queries of the systems that Quotion follows, is as it was there: the first use of
-- a page is its first hit, and a failure has its line too.
ALTER TABLE canvas_cache ALTER COLUMN hit_count SET DEFAULT 1;

-- Of rows that count from nought: those that Quotion has made.
UPDATE canvas_cache SET hit_count = coalesce(hit_count, 0) + 1
WHERE lookup_key IN (SELECT key FROM quotion_page_keys) OR coalesce(hit_count, 0) = 0;

-- What was done with the client's page: created, updated, skipped.
ALTER TABLE sync_history ADD COLUMN IF NOT EXISTS action text;

CREATE INDEX quotion_sync_history_by_number ON sync_history (phone_number_id, synced_at);
CREATE INDEX quotion_sync_history_by_resource ON sync_history (resource_type, resource_id);
DROP INDEX IF EXISTS quotion_sync_history_by_time;
CREATE INDEX quotion_sync_history_by_time ON sync_history (synced_at DESC);
CREATE INDEX quotion_performance_metrics_by_time ON performance_metrics ("timestamp");

-- Views of ours are made anew; others are left as they are.
DO $$
DECLARE
    on_supabase CONSTANT boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon');
    columns_of CONSTANT text := 'SELECT string_agg(attname, '' '' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped';
    found text;
BEGIN
    EXECUTE columns_of INTO found USING 'sync_stats_today';
    IF found = 'resource_type sync_status total avg_processing_time_ms' THEN
        DROP VIEW sync_stats_today;
    END IF;
    EXECUTE columns_of INTO found USING 'canvas_cache_stats';
    IF found = 'lookup_type total_entries total_hits last_used_at' THEN
        DROP VIEW canvas_cache_stats;
    END IF;
    IF to_regclass('sync_stats_today') IS NULL THEN
        CREATE VIEW sync_stats_today AS
        SELECT phone_number_id, resource_type, sync_status, count(*) AS count,
            avg(processing_time_ms) AS avg_processing_time_ms
        FROM sync_history WHERE synced_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        GROUP BY phone_number_id, resource_type, sync_status;
        IF on_supabase THEN REVOKE ALL ON sync_stats_today FROM anon; END IF;
    END IF;
    -- The first use is the miss.
    IF to_regclass('canvas_cache_stats') IS NULL THEN
        CREATE VIEW canvas_cache_stats AS
        SELECT lookup_type, count(*) AS total_entries, sum(hit_count) AS total_hits,
            sum(hit_count)::double precision / count(*) AS avg_hits_per_entry,
            1 - count(*)::double precision / nullif(sum(hit_count), 0) AS hit_ratio
        FROM canvas_cache GROUP BY lookup_type;
        IF on_supabase THEN REVOKE ALL ON canvas_cache_stats FROM anon; END IF;
    END IF;
END
$$;
