//! What is told to people.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rusqlite::types::Value;
use rusqlite::{Params, Row, params};

use crate::domain::call::FOLLOW_UP;
use crate::domain::id::{ActivityId, EventId, PageId};
use crate::domain::phone::Phone;

use super::super::status::{count, moment};
use super::super::text::read_pages;
use super::super::{
    CacheFigures, EventRow, HistoryCount, HistoryRow, Inquiry, JobRow, Lock, Measure, NumberRow,
    PageRow, Result, Standing,
};
use super::{Sqlite, place_of};

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
/// Where Linux tells which files are locked.
const LOCKS: &str = "/proc/locks";

impl Sqlite {
    pub fn standings(&self) -> Result<Vec<Standing>> {
        let sql = "SELECT event_type = ?1, state, count(*), sum(CASE state
                     WHEN 'queued' THEN next_try_at < ?2 WHEN 'failed' THEN received_at < ?2
                     ELSE 0 END), min(received_at), min(next_try_at)
                   FROM inbox WHERE state <> 'done' GROUP BY 1, 2";
        let an_hour_ago = self.millis() - HOUR;
        self.rows(sql, params![FOLLOW_UP, an_hour_ago], |row| {
            Ok(Standing {
                is_chore: row.get(0)?,
                state: row.get(1)?,
                count: count(row.get(2)?),
                late: count(row.get(3)?),
                oldest: moment(row.get(4)?),
                next_try: moment(row.get(5)?),
            })
        })
    }

    pub fn events(&self, about: &Inquiry, limit: usize) -> Result<Vec<EventRow>> {
        let (condition, value) = match about {
            Inquiry::Open => ("state <> 'done' AND ?1 = ''", ""),
            Inquiry::Event(id) => ("event_id = ?1", id.as_str()),
            Inquiry::Activity(id) => ("state <> 'done' AND activity_id = ?1", id.as_str()),
            Inquiry::Number(phone) => (
                "state <> 'done' AND instr(payload, CAST(?1 AS BLOB)) > 0",
                phone.as_str(),
            ),
        };
        let sql = format!(
            "SELECT event_id, event_type, activity_id, state, error_kind, error_message, held_by,
               attempts, result, received_at, tried_at, next_try_at FROM inbox WHERE {condition}
             ORDER BY CASE state WHEN 'dead' THEN 0 WHEN 'held' THEN 1 WHEN 'failed' THEN 2
               ELSE 3 END, received_at, rowid LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut events = self.rows(&sql, params![Value::Text(value.into()), limit], event)?;
        if events.iter().any(|event| event.state != "done") {
            self.mark_those_in_progress(&mut events);
        }
        Ok(events)
    }

    /// Without a try to lock, which would be in the way of whoever is about to.
    fn mark_those_in_progress(&self, events: &mut [EventRow]) {
        let told = fs::read_to_string(LOCKS).unwrap_or_default();
        let locked: BTreeSet<&str> = told.lines().filter_map(locked_file).collect();
        let folder = self.path.with_extension("locks");
        for event in events.iter_mut().filter(|event| event.state != "done") {
            let Ok(id) = EventId::parse(&event.id) else {
                continue;
            };
            let file = fs::metadata(folder.join(place_of(&Lock::Event(id))));
            let number = file.map(|file| file.ino().to_string());
            event.in_progress = number.is_ok_and(|number| locked.contains(number.as_str()));
        }
    }

    pub fn history_of_today(&self) -> Result<Vec<HistoryCount>> {
        let sql = "SELECT sync_status, action, count(*) FROM sync_history WHERE synced_at >= ?1
                   GROUP BY 1, 2";
        self.rows(sql, [self.millis() - DAY], |row| {
            Ok(HistoryCount {
                status: row.get(0)?,
                action: row.get(1)?,
                count: count(row.get(2)?),
            })
        })
    }

    pub fn measures(&self) -> Result<Vec<Measure>> {
        let sql = "SELECT metric_type, operation, duration_ms, success, count(*)
                   FROM performance_metrics WHERE timestamp >= ?1 GROUP BY 1, 2, 3, 4";
        self.rows(sql, [self.millis() - DAY], |row| {
            Ok(Measure {
                metric: row.get(0)?,
                operation: row.get(1)?,
                duration_ms: row.get(2)?,
                success: row.get(3)?,
                count: count(row.get(4)?),
            })
        })
    }

    pub fn numbers(&self) -> Result<Vec<NumberRow>> {
        let sql = "SELECT id, number, name, last_call_sync_at, last_message_sync_at,
                     total_calls_synced, total_messages_synced
                   FROM phone_numbers WHERE is_active ORDER BY number, id";
        self.rows(sql, [], |row| {
            Ok(NumberRow {
                id: row.get(0)?,
                number: row.get(1)?,
                name: row.get(2)?,
                last_call_at: moment(row.get(3)?),
                last_message_at: moment(row.get(4)?),
                calls: count(row.get(5)?),
                messages: count(row.get(6)?),
            })
        })
    }

    pub fn cache_figures(&self) -> Result<CacheFigures> {
        let sql = "SELECT count(*), coalesce(sum(hit_count), 0) FROM canvas_cache";
        let mut found = self.rows(sql, [], |row| {
            Ok(CacheFigures {
                entries: count(row.get(0)?),
                hits: count(row.get(1)?),
            })
        })?;
        Ok(found.pop().unwrap_or_default())
    }

    pub fn jobs(&self) -> Result<Vec<JobRow>> {
        let sql = "SELECT substr(key, 5), body, fetched_at FROM snapshots
                   WHERE key >= 'job:' AND key < 'job;' ORDER BY key";
        self.rows(sql, [], |row| {
            Ok(JobRow {
                job: row.get(0)?,
                ended: row.get(1)?,
                at: row.get::<_, String>(2)?.parse().ok(),
            })
        })
    }

    pub fn history_of_activity(&self, id: &ActivityId, limit: usize) -> Result<Vec<HistoryRow>> {
        self.history(
            "resource_type IN ('call', 'message') AND resource_id = ?1",
            id.as_str(),
            limit,
        )
    }

    pub fn history_of_number(&self, id: &str, limit: usize) -> Result<Vec<HistoryRow>> {
        self.history("phone_number_id = ?1", id, limit)
    }

    fn history(&self, condition: &str, value: &str, limit: usize) -> Result<Vec<HistoryRow>> {
        let sql = format!(
            "SELECT sync_status, action, error_message, notion_page_id, resource_id, synced_at
             FROM sync_history WHERE {condition} ORDER BY synced_at DESC, id DESC LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(&sql, params![value, limit], |row| {
            let page: Option<String> = row.get(3)?;
            Ok(HistoryRow {
                status: row.get(0)?,
                action: row.get(1)?,
                message: row.get(2)?,
                page: page.and_then(|page| PageId::parse(&page).ok()),
                activity: row.get(4)?,
                at: moment(row.get(5)?),
            })
        })
    }

    pub fn pages_of_activity(&self, id: &ActivityId) -> Result<Vec<PageRow>> {
        let sql = "SELECT page_id, line, gone, learned_at FROM entries WHERE activity_id = ?1
                   ORDER BY page_id";
        let found = self.rows(sql, [id.as_str()], page)?;
        Ok(found.into_iter().flatten().collect())
    }

    pub fn pages_of_number(&self, phone: &Phone) -> Result<Vec<PageRow>> {
        let sql = "SELECT DISTINCT page_id, title, 0, read_at FROM page_keys
                   JOIN pages USING (page_id) WHERE kind = 'client' AND key = ?1 ORDER BY page_id";
        let found = self.rows(sql, [phone.as_str()], page)?;
        Ok(found.into_iter().flatten().collect())
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn event(row: &Row) -> rusqlite::Result<EventRow> {
    let result: Option<String> = row.get(8)?;
    Ok(EventRow {
        id: row.get(0)?,
        event_type: row.get(1)?,
        activity: row.get(2)?,
        state: row.get(3)?,
        in_progress: false,
        kind: row.get(4)?,
        message: row.get(5)?,
        held_by: row.get(6)?,
        attempts: row.get(7)?,
        pages: read_pages(result.as_deref()),
        received_at: moment(row.get(9)?),
        tried_at: moment(row.get(10)?),
        next_try_at: moment(row.get(11)?),
    })
}

fn page(row: &Row) -> rusqlite::Result<Option<PageRow>> {
    let page: String = row.get(0)?;
    let (title, gone) = (row.get(1)?, row.get(2)?);
    let at = row.get::<_, String>(3)?.parse().ok();
    let of = |page| PageRow {
        page,
        title,
        gone,
        at,
    };
    Ok(PageId::parse(&page).ok().map(of))
}

/// The number of the file that a line of [`LOCKS`] speaks of, if it is one of our kind of locks:
/// `1: FLOCK ADVISORY WRITE 4711 fd:00:131 0 EOF`.
fn locked_file(line: &str) -> Option<&str> {
    let (_, lock) = line.split_once(" FLOCK ")?;
    let place = lock.split_whitespace().nth(3)?;
    place.rsplit(':').next()
}
