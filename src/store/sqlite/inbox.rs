//! The inbox: every event, and how far it has got.

use jiff::Timestamp;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::id::{ActivityId, EventId, NumberId, PageId};
use crate::domain::phone::Phone;

use super::super::retry::Past;
use super::super::text::{direction, millis, read_pages, resource, write_pages};
use super::super::{
    Arrival, Backlog, EventState, Finish, HISTORY_KEPT, HeldCount, HistoryLine, METRICS_KEPT,
    Metric, Postponed, Result, RetryPolicy, Selection, Trouble, Waiting,
};
use super::offers::answered;
use super::{Mode, Sqlite};

impl Sqlite {
    pub fn receive(&self, arrivals: &mut [Arrival]) -> Result<Vec<EventState>> {
        let sql = "INSERT INTO inbox (event_id, event_type, activity_id, payload, state, \
            next_try_at, received_at, updated_at)
                   VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?6, ?6) ON CONFLICT (event_id) DO NOTHING";
        let now = self.millis();
        let is_alone = arrivals.len() == 1;
        let insert = |connection: &Connection| {
            let mut insert = connection.prepare_cached(sql)?;
            for arrival in &mut *arrivals {
                let activity = arrival.activity.as_ref().map(ActivityId::as_str);
                insert.raw_bind_parameter(1, arrival.id.as_str())?;
                insert.raw_bind_parameter(2, &arrival.event_type)?;
                insert.raw_bind_parameter(3, activity)?;
                insert.raw_bind_parameter(4, &arrival.payload)?;
                insert.raw_bind_parameter(5, self.millis_after(arrival.delay))?;
                insert.raw_bind_parameter(6, now)?;
                if is_alone {
                    // SQLite has a copy, and is about to make a second one.
                    arrival.payload = Vec::new();
                }
                insert.raw_execute()?;
            }
            Ok(())
        };
        self.durably(|| self.transaction(insert))?;
        let standing = |arrival: &Arrival| {
            Ok(self
                .standing(&arrival.id)?
                .unwrap_or(EventState::Waiting { attempts: 0 }))
        };
        arrivals.iter().map(standing).collect()
    }

    pub fn standing(&self, id: &EventId) -> Result<Option<EventState>> {
        let sql = "SELECT state, attempts, result FROM inbox WHERE event_id = ?1";
        let read = |row: &Row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        };
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row([id.as_str()], read)
            .optional()?;
        Ok(found.map(|(state, attempts, result)| match state.as_str() {
            "done" => EventState::Done(read_pages(result.as_deref())),
            "held" => EventState::Held,
            "dead" => EventState::Dead,
            _ => EventState::Waiting { attempts },
        }))
    }

    pub fn revive(&self, id: &EventId) -> Result<()> {
        let sql = "UPDATE inbox SET state = 'queued', attempts = 0, tries = 0, next_try_at = ?2, \
            released_at = ?2, updated_at = ?2 WHERE event_id = ?1 AND state = 'dead'";
        self.durably(|| self.write(sql, params![id.as_str(), self.millis()]))
    }

    pub fn finish(&self, id: &EventId, finish: &Finish) -> Result<()> {
        let now = self.millis();
        self.transaction(|connection| {
            let sql = "UPDATE inbox SET state = 'done', next_try_at = NULL, error_kind = NULL, \
                error_message = NULL, held_by = NULL,
                       result = ?2, updated_at = ?3, tried_at = ?3 WHERE event_id = ?1";
            connection.prepare_cached(sql)?.execute(params![
                id.as_str(),
                write_pages(&finish.pages),
                now
            ])?;
            answered(connection, id)?;
            let number = finish
                .activity
                .as_ref()
                .and_then(|line| line.number.as_ref());
            metrics(connection, &finish.metrics, number, now)?;
            let Some(line) = &finish.activity else {
                return Ok(());
            };
            if !line.is_skip {
                count(connection, line, now)?;
            }
            let pages = finish.pages.iter().map(|(_, page, _)| page.as_ref());
            pages.enumerate().try_for_each(|(at, page)| {
                let told = Noted {
                    status: if line.is_skip { "skipped" } else { "success" },
                    action: line.actions.get(at).map(|action| action.word()),
                    page: page.map(PageId::as_str),
                    message: None,
                    took: (!line.is_skip).then(|| millis(finish.took)),
                };
                history(connection, line, &told, now)
            })
        })
    }

    pub fn skip(&self, line: &HistoryLine, pages: &[Option<PageId>]) -> Result<()> {
        let now = self.millis();
        self.transaction(|connection| {
            pages.iter().try_for_each(|page| {
                let told = Noted {
                    status: "skipped",
                    action: Some("skipped"),
                    page: page.as_ref().map(PageId::as_str),
                    message: None,
                    took: None,
                };
                history(connection, line, &told, now)
            })
        })
    }

    pub fn save_numbers(&self, numbers: &[(NumberId, Phone, String)]) -> Result<()> {
        let now = self.millis();
        self.transaction(|connection| {
            let sql = "UPDATE phone_numbers SET is_active = 0, updated_at = ?1 WHERE is_active";
            connection.execute(sql, [now])?;
            let sql = "INSERT INTO phone_numbers (id, number, name, first_seen_at, created_at,
                         updated_at) VALUES (?1, ?2, ?3, ?4, ?4, ?4)
                       ON CONFLICT (id) DO UPDATE SET number = excluded.number,
                       name = excluded.name, is_active = 1, updated_at = excluded.updated_at";
            numbers.iter().try_for_each(|(id, phone, name)| {
                let values = params![id.as_str(), phone.as_str(), name, now];
                connection.prepare_cached(sql)?.execute(values).map(drop)
            })
        })
    }

    /// Drops what the history and the metrics have kept for long enough.
    pub fn expire_history(&self) -> Result<()> {
        let sql = "DELETE FROM sync_history WHERE synced_at < ?1";
        self.write(sql, [self.millis_before(HISTORY_KEPT)])?;
        let sql = "DELETE FROM performance_metrics WHERE timestamp < ?1";
        self.write(sql, [self.millis_before(METRICS_KEPT)])
    }

    pub fn postpone(
        &self,
        id: &EventId,
        trouble: &Trouble,
        policy: RetryPolicy,
    ) -> Result<Postponed> {
        let sql = "SELECT state, attempts, tries, held_by, \
            ?2 - coalesce(released_at, received_at), error_kind FROM inbox WHERE event_id = ?1";
        let now = self.millis();
        let past = |row: &Row| {
            Ok(Past {
                state: row.get(0)?,
                attempts: row.get(1)?,
                tries: row.get(2)?,
                held_by: row.get(3)?,
                age: Duration::from_millis(u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0)),
                kind: row.get(5)?,
            })
        };
        let found = self
            .connection
            .query_row(sql, params![id.as_str(), now], past);
        let past = found.optional()?.unwrap_or_default();
        let next = policy.next(&past, &trouble.fault);
        let told = trouble.activity.as_ref();
        let told = told.filter(|_| past.is_news(trouble, &next));
        let sql = "UPDATE inbox SET state = ?2, attempts = ?3, tries = ?4, next_try_at = ?5, \
            held_by = ?6, error_kind = ?7, error_message = ?8, updated_at = ?9, \
            tried_at = coalesce(?10, tried_at) WHERE event_id = ?1 AND state <> 'done'";
        self.transaction(|connection| {
            connection.prepare_cached(sql)?.execute(params![
                id.as_str(),
                next.state,
                next.attempts,
                next.tries,
                next.wait.map(|wait| self.millis_after(wait)),
                next.held_by,
                trouble.kind,
                trouble.message,
                now,
                next.was_tried.then_some(now),
            ])?;
            let number = trouble
                .activity
                .as_ref()
                .and_then(|line| line.number.as_ref());
            metrics(connection, &trouble.metrics, number, now)?;
            told.map_or(Ok(()), |line| {
                let told = Noted {
                    status: "failed",
                    action: Some("failed"),
                    page: None,
                    message: Some(&trouble.message),
                    took: None,
                };
                history(connection, line, &told, now)
            })
        })?;
        Ok(next.postponed)
    }

    pub fn release(&self, cause: &str) -> Result<usize> {
        if self.mode == Mode::ReadOnly {
            return Ok(0);
        }
        let sql = "UPDATE inbox SET state = 'queued', tries = 0, held_by = NULL, next_try_at = ?2, \
            released_at = ?2, updated_at = ?2 \
            WHERE state <> 'done' AND state = 'held' AND held_by = ?1";
        let released = self
            .connection
            .execute(sql, params![cause, self.millis()])?;
        Ok(released)
    }

    pub fn discard(&self, id: &EventId) -> Result<()> {
        let sql = "DELETE FROM inbox WHERE event_id = ?1 AND state <> 'done'";
        self.transaction(|connection| {
            connection.prepare_cached(sql)?.execute([id.as_str()])?;
            answered(connection, id)
        })
    }

    pub fn waiting(&self, selection: &Selection, limit: usize) -> Result<Vec<EventId>> {
        let (condition, value) = self.condition(selection);
        let first = match selection {
            Selection::HeldBy(_) => "updated_at, ",
            Selection::Due | Selection::Waiting | Selection::Dead | Selection::One(_) => "",
        };
        let sql = format!(
            "SELECT event_id FROM inbox WHERE {condition} ORDER BY {first}received_at, rowid \
                LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![value, limit], |row| row.get::<_, String>(0))?;
        let ids: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(ids
            .iter()
            .filter_map(|id| EventId::parse(id).ok())
            .collect())
    }

    pub fn backlog(&self) -> Result<Backlog> {
        let sql = "SELECT CASE WHEN state IN ('held', 'dead') THEN state ELSE 'waiting' END, \
            held_by, count(*), min(next_try_at) - ?1 FROM inbox WHERE state <> 'done' \
            GROUP BY 1, 2 ORDER BY min(received_at)";
        let mut backlog = Backlog::default();
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([self.millis()])?;
        while let Some(row) = rows.next()? {
            let count = HeldCount {
                cause: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                events: usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
            };
            let due_in = row.get::<_, Option<i64>>(3)?;
            let due_in = due_in.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0)));
            backlog.add(&row.get::<_, String>(0)?, count, due_in);
        }
        Ok(backlog)
    }

    pub fn load(&self, id: &EventId, selection: &Selection) -> Result<Option<Waiting>> {
        let (condition, value) = self.condition(selection);
        let sql = format!(
            "SELECT payload, received_at FROM inbox \
                WHERE {condition} AND event_id = ?2 AND payload IS NOT NULL"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement
            .query_row(params![value, id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found.map(|(payload, received)| Waiting {
            id: id.clone(),
            payload,
            received: Timestamp::from_millisecond(received).unwrap_or(Timestamp::UNIX_EPOCH),
        }))
    }

    /// Reads the whole inbox, and before it writes: so nobody who writes has to wait for that.
    pub fn expire(&self, keep: Duration, limit: usize) -> Result<usize> {
        let sql = "SELECT event_id FROM inbox WHERE state = 'done' AND payload IS NOT NULL AND \
            updated_at < ?1 LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare(sql)?;
        let rows =
            statement.query_map(params![self.millis_before(keep), limit], |row| row.get(0))?;
        let ids: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
        self.transaction(|connection| {
            let sql = "UPDATE inbox SET payload = NULL, result = NULL, error_message = NULL WHERE \
                event_id = ?1";
            ids.iter()
                .try_for_each(|id| connection.prepare_cached(sql)?.execute([id]).map(|_| ()))
        })?;
        Ok(ids.len())
    }

    /// The condition of a selection, with `?1` in it, and that value. Each names the condition of
    /// the index, or an id: what is done is not read.
    fn condition(&self, selection: &Selection) -> (&'static str, Value) {
        let now = Value::Integer(self.millis());
        match selection {
            Selection::Due => ("state <> 'done' AND next_try_at <= ?1", now),
            Selection::Waiting => (
                "state <> 'done' AND state IN ('queued', 'failed') AND ?1 > 0",
                now,
            ),
            Selection::HeldBy(cause) => (
                "state <> 'done' AND state = 'held' AND held_by = ?1",
                Value::Text(cause.clone()),
            ),
            Selection::Dead => ("state <> 'done' AND state = 'dead' AND ?1 > 0", now),
            Selection::One(id) => (
                "state <> 'done' AND event_id = ?1",
                Value::Text(id.to_string()),
            ),
        }
    }
}

/// Counts a synced activity for the workspace's number, unless it was counted before.
fn count(connection: &Connection, line: &HistoryLine, now: i64) -> rusqlite::Result<()> {
    let Some(number) = &line.number else {
        return Ok(());
    };
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM sync_history WHERE resource_type = ?1
               AND resource_id = ?2 AND phone_number_id = ?3 AND sync_status = 'success')";
    let values = [resource(line), line.id.as_str(), number.as_str()];
    let mut statement = connection.prepare_cached(sql)?;
    let is_first: bool = statement.query_row(values, |row| row.get(0))?;
    let sql = if line.is_call {
        "INSERT INTO phone_numbers (id, first_seen_at, created_at, updated_at, last_call_sync_at,
           total_calls_synced)
         VALUES (?1, ?2, ?2, ?2, ?2, 1) ON CONFLICT (id) DO UPDATE SET updated_at = ?2,
         last_call_sync_at = ?2, total_calls_synced = total_calls_synced + ?3"
    } else {
        "INSERT INTO phone_numbers (id, first_seen_at, created_at, updated_at,
           last_message_sync_at, total_messages_synced)
         VALUES (?1, ?2, ?2, ?2, ?2, 1) ON CONFLICT (id) DO UPDATE SET updated_at = ?2,
         last_message_sync_at = ?2, total_messages_synced = total_messages_synced + ?3"
    };
    let values = params![number.as_str(), now, is_first];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// What the history says beside the activity.
struct Noted<'a> {
    status: &'a str,
    action: Option<&'a str>,
    page: Option<&'a str>,
    message: Option<&'a str>,
    took: Option<i64>,
}

/// A recording or the like takes number and direction of its call.
fn history(
    connection: &Connection,
    line: &HistoryLine,
    told: &Noted,
    now: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sync_history (phone_number_id, direction, resource_type, resource_id,
                 notion_page_id, canvas_id, sync_status, error_message, processing_time_ms,
                 synced_at, action)
               VALUES (
                 coalesce(?1, (SELECT phone_number_id FROM sync_history WHERE resource_type = ?3
                   AND resource_id = ?4 AND phone_number_id IS NOT NULL LIMIT 1)),
                 coalesce(?2, (SELECT direction FROM sync_history WHERE resource_type = ?3
                   AND resource_id = ?4 AND direction IS NOT NULL LIMIT 1)),
                 ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = params![
        line.number.as_ref().map(NumberId::as_str),
        direction(line),
        resource(line),
        line.id.as_str(),
        told.page,
        told.status,
        told.message,
        told.took,
        now,
        told.action,
    ];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn metrics(
    connection: &Connection,
    metrics: &[Metric],
    number: Option<&NumberId>,
    now: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO performance_metrics (metric_type, operation, duration_ms, success,
                 phone_number_id, timestamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let number = number.map(NumberId::as_str);
    metrics.iter().try_for_each(|it| {
        let took = millis(it.took);
        let values = params![it.kind, it.operation, took, it.success, number, now];
        connection.prepare_cached(sql)?.execute(values).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::now;
    use super::*;

    #[test]
    fn what_waits_is_found_without_reading_what_is_done() {
        let dir = tempfile::tempdir().expect("dir");
        let db = Sqlite::open(&dir.path().join("q.db"), Mode::ReadWrite, now).expect("open");
        let one = Selection::One(EventId::parse("EV1").expect("id"));
        let held = Selection::HeldBy("NOTION_API_KEY".into());
        for selection in [
            Selection::Due,
            Selection::Waiting,
            Selection::Dead,
            held,
            one,
        ] {
            let (condition, value) = db.condition(&selection);
            for columns in ["count(*)", "event_id", "payload"] {
                let sql =
                    format!("EXPLAIN QUERY PLAN SELECT {columns} FROM inbox WHERE {condition}");
                let plan: String = db
                    .connection
                    .query_row(&sql, [&value], |row| row.get(3))
                    .expect("plan");
                assert!(plan.contains("USING INDEX"), "{selection:?}: {plan}");
            }
        }
    }
}
