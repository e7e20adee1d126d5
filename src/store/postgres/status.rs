//! What is told to people.

use postgres::Row;
use postgres::types::Type;

use crate::domain::call::FOLLOW_UP;
use crate::domain::id::{ActivityId, PageId};
use crate::domain::phone::Phone;

use super::super::status::{count, moment};
use super::super::text::read_pages;
use super::super::{
    CacheFigures, EventRow, HistoryCount, HistoryRow, Inquiry, JobRow, Measure, NumberRow, PageRow,
    Result, Standing,
};
use super::{Param, Permission, Postgres};

/// A column's moment, in milliseconds since 1970.
fn ms(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000)::bigint")
}

impl Postgres {
    /// True if no store of this version was made yet.
    pub fn is_blank(&self) -> bool {
        self.access == Permission::Nothing
    }

    pub fn standings(&self) -> Result<Vec<Standing>> {
        let sql = format!(
            "SELECT event_type = $1, state, count(*), count(*) FILTER (WHERE CASE state
               WHEN 'queued' THEN next_try_at WHEN 'failed' THEN received_at
               END < now() - interval '1 hour'), {}, {}
             FROM quotion_inbox WHERE state <> 'done' GROUP BY 1, 2",
            ms("min(received_at)"),
            ms("min(next_try_at)")
        );
        let rows = self.read(&sql, &[(&FOLLOW_UP, Type::TEXT)])?;
        let standing = |row: &Row| Standing {
            is_chore: row.get(0),
            state: row.get(1),
            count: count(row.get(2)),
            late: count(row.get(3)),
            oldest: moment(row.get(4)),
            next_try: moment(row.get(5)),
        };
        Ok(rows.iter().map(standing).collect())
    }

    pub fn events(&self, about: &Inquiry, limit: usize) -> Result<Vec<EventRow>> {
        let (condition, value) = match about {
            Inquiry::Open => ("state <> 'done' AND $1 = ''", ""),
            Inquiry::Event(id) => ("event_id = $1", id.as_str()),
            Inquiry::Activity(id) => ("state <> 'done' AND activity_id = $1", id.as_str()),
            Inquiry::Number(phone) => (
                "state <> 'done' AND position(convert_to($1, 'UTF8') IN payload) > 0",
                phone.as_str(),
            ),
        };
        let sql = format!(
            "SELECT event_id, event_type, activity_id, state, error_kind, error_message, held_by,
               attempts, result, {}, {}, {}, state <> 'done' AND EXISTS (
                 SELECT FROM quotion_leases
                 WHERE name = 'event:' || event_id AND until > clock_timestamp())
             FROM quotion_inbox WHERE {condition}
             ORDER BY CASE state WHEN 'dead' THEN 0 WHEN 'held' THEN 1 WHEN 'failed' THEN 2
               ELSE 3 END, received_at, event_id COLLATE \"C\" LIMIT $2",
            ms("received_at"),
            ms("tried_at"),
            ms("next_try_at")
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(&sql, &[(&value, Type::TEXT), (&limit, Type::INT8)])?;
        Ok(rows.iter().map(event).collect())
    }

    pub fn history_of_today(&self) -> Result<Vec<HistoryCount>> {
        let sql = "SELECT sync_status::text, action, count(*) FROM sync_history
                   WHERE synced_at >= now() - interval '24 hours' GROUP BY 1, 2";
        let counted = |row: &Row| HistoryCount {
            status: row.get::<_, Option<String>>(0).unwrap_or_default(),
            action: row.get(1),
            count: count(row.get(2)),
        };
        Ok(self.read(sql, &[])?.iter().map(counted).collect())
    }

    pub fn measures(&self) -> Result<Vec<Measure>> {
        let sql = "SELECT metric_type::text, operation::text, duration_ms::bigint, success,
                     count(*) FROM performance_metrics
                   WHERE \"timestamp\" >= now() - interval '24 hours'
                   AND metric_type IS NOT NULL AND operation IS NOT NULL
                   AND duration_ms IS NOT NULL AND success IS NOT NULL GROUP BY 1, 2, 3, 4";
        let measure = |row: &Row| Measure {
            metric: row.get(0),
            operation: row.get(1),
            duration_ms: row.get(2),
            success: row.get(3),
            count: count(row.get(4)),
        };
        Ok(self.read(sql, &[])?.iter().map(measure).collect())
    }

    pub fn numbers(&self) -> Result<Vec<NumberRow>> {
        let sql = format!(
            "SELECT id::text, number::text, name::text, {}, {},
               coalesce(total_calls_synced, 0)::bigint, coalesce(total_messages_synced, 0)::bigint
             FROM phone_numbers WHERE is_active IS NOT FALSE ORDER BY number, id",
            ms("last_call_sync_at"),
            ms("last_message_sync_at")
        );
        let number = |row: &Row| NumberRow {
            id: row.get(0),
            number: row.get(1),
            name: row.get(2),
            last_call_at: moment(row.get(3)),
            last_message_at: moment(row.get(4)),
            calls: count(row.get(5)),
            messages: count(row.get(6)),
        };
        Ok(self.read(&sql, &[])?.iter().map(number).collect())
    }

    pub fn cache_figures(&self) -> Result<CacheFigures> {
        let sql = "SELECT count(*), coalesce(sum(hit_count), 0)::bigint FROM canvas_cache";
        let rows = self.read(sql, &[])?;
        let figures = rows.first().map(|row| CacheFigures {
            entries: count(row.get(0)),
            hits: count(row.get(1)),
        });
        Ok(figures.unwrap_or_default())
    }

    pub fn jobs(&self) -> Result<Vec<JobRow>> {
        let sql = format!(
            "SELECT substr(key, 5), body, {} FROM quotion_snapshots WHERE key LIKE 'job:%'
             ORDER BY key COLLATE \"C\"",
            ms("fetched_at")
        );
        let job = |row: &Row| JobRow {
            job: row.get(0),
            ended: row.get(1),
            at: moment(row.get(2)),
        };
        Ok(self.read(&sql, &[])?.iter().map(job).collect())
    }

    pub fn history_of_activity(&self, id: &ActivityId, limit: usize) -> Result<Vec<HistoryRow>> {
        self.history(
            "resource_type IN ('call', 'message') AND resource_id = $1",
            id.as_str(),
            limit,
        )
    }

    pub fn history_of_number(&self, id: &str, limit: usize) -> Result<Vec<HistoryRow>> {
        self.history("phone_number_id = $1", id, limit)
    }

    fn history(&self, condition: &str, value: &str, limit: usize) -> Result<Vec<HistoryRow>> {
        let sql = format!(
            "SELECT sync_status::text, action, error_message::text, notion_page_id::text,
               resource_id::text, {}
             FROM sync_history WHERE {condition} ORDER BY synced_at DESC LIMIT $2",
            ms("synced_at")
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let line = |row: &Row| HistoryRow {
            status: row.get::<_, Option<String>>(0).unwrap_or_default(),
            action: row.get(1),
            message: row.get(2),
            page: row
                .get::<_, Option<&str>>(3)
                .and_then(|page| PageId::parse(page).ok()),
            activity: row.get(4),
            at: moment(row.get(5)),
        };
        let values: [Param; 2] = [(&value, Type::TEXT), (&limit, Type::INT8)];
        Ok(self.read(&sql, &values)?.iter().map(line).collect())
    }

    pub fn pages_of_activity(&self, id: &ActivityId) -> Result<Vec<PageRow>> {
        let sql = format!(
            "SELECT page_id, line, gone, {} FROM quotion_entries WHERE activity_id = $1
             ORDER BY page_id",
            ms("learned_at")
        );
        let rows = self.read(&sql, &[(&id.as_str(), Type::TEXT)])?;
        Ok(rows.iter().filter_map(page).collect())
    }

    pub fn pages_of_number(&self, phone: &Phone) -> Result<Vec<PageRow>> {
        let sql = format!(
            "SELECT DISTINCT page_id, title, false, {} FROM quotion_page_keys
             JOIN quotion_pages USING (page_id) WHERE kind = 'client' AND key = $1
             ORDER BY page_id",
            ms("read_at")
        );
        let rows = self.read(&sql, &[(&phone.as_str(), Type::TEXT)])?;
        Ok(rows.iter().filter_map(page).collect())
    }
}

fn event(row: &Row) -> EventRow {
    EventRow {
        id: row.get(0),
        event_type: row.get(1),
        activity: row.get(2),
        state: row.get(3),
        in_progress: row.get(12),
        kind: row.get(4),
        message: row.get(5),
        held_by: row.get(6),
        attempts: u32::try_from(row.get::<_, i64>(7)).unwrap_or(u32::MAX),
        pages: read_pages(row.get(8)),
        received_at: moment(row.get(9)),
        tried_at: moment(row.get(10)),
        next_try_at: moment(row.get(11)),
    }
}

fn page(row: &Row) -> Option<PageRow> {
    Some(PageRow {
        page: PageId::parse(row.get(0)).ok()?,
        title: row.get(1),
        gone: row.get(2),
        at: moment(row.get(3)),
    })
}
