//! The inbox: every event, and how far it has got.

use jiff::Timestamp;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::id::{ActivityId, EventId, NumberId, PageId};

use super::super::text::{direction, millis, operation, read_pages, resource, write_pages};
use super::super::{
    Arrival, EventState, Finish, HistoryLine, Result, RetryPolicy, Selection, Trouble, Waiting,
};
use super::Sqlite;

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
            "dead" => EventState::Dead,
            _ => EventState::Waiting { attempts },
        }))
    }

    pub fn finish(&self, id: &EventId, finish: &Finish) -> Result<()> {
        let (now, millis) = (self.now(), self.millis());
        self.transaction(|connection| {
            let sql = "UPDATE inbox SET state = 'done', next_try_at = NULL, error_kind = NULL, \
                error_message = NULL,
                       result = ?2, updated_at = ?3 WHERE event_id = ?1";
            connection.prepare_cached(sql)?.execute(params![
                id.as_str(),
                write_pages(&finish.pages),
                millis
            ])?;
            if let Some(line) = &finish.activity {
                count(connection, line, &now)?;
                history(connection, line, finish, &now)?;
            }
            metric(connection, finish, &now)
        })
    }

    pub fn postpone(&self, id: &EventId, trouble: &Trouble, patience: RetryPolicy) -> Result<bool> {
        let sql = "SELECT attempts FROM inbox WHERE event_id = ?1";
        let before: Option<u32> = self
            .connection
            .query_row(sql, [id.as_str()], |row| row.get(0))
            .optional()?;
        let attempts = before.unwrap_or(0) + 1;
        let wait = patience.wait(attempts);
        let state = if wait.is_some() { "failed" } else { "dead" };
        let next = wait.map(|wait| self.millis_after(wait));
        let sql = "UPDATE inbox SET state = ?2, attempts = ?3, next_try_at = ?4, error_kind = ?5, \
            error_message = ?6,
                   updated_at = ?7 WHERE event_id = ?1 AND state <> 'done'";
        self.write(
            sql,
            params![
                id.as_str(),
                state,
                attempts,
                next,
                trouble.kind,
                trouble.message,
                self.millis()
            ],
        )?;
        Ok(wait.is_none())
    }

    pub fn discard(&self, id: &EventId) -> Result<()> {
        self.write(
            "DELETE FROM inbox WHERE event_id = ?1 AND state <> 'done'",
            [id.as_str()],
        )
    }

    pub fn waiting(&self, selection: &Selection, limit: usize) -> Result<Vec<EventId>> {
        let (condition, value) = self.condition(selection);
        let sql = format!(
            "SELECT event_id FROM inbox WHERE {condition} ORDER BY received_at, rowid LIMIT ?2"
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

    pub fn count(&self, selection: &Selection) -> Result<usize> {
        let (condition, value) = self.condition(selection);
        let sql = format!("SELECT count(*) FROM inbox WHERE {condition}");
        let count: i64 = self.connection.query_row(&sql, [value], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
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
            Selection::All => ("state <> 'done' AND ?1 > 0", now),
            Selection::Dead => ("state <> 'done' AND state = 'dead' AND ?1 > 0", now),
            Selection::One(id) => (
                "state <> 'done' AND event_id = ?1",
                Value::Text(id.to_string()),
            ),
        }
    }
}

/// Counts a synced activity for the workspace's number.
fn count(connection: &Connection, line: &HistoryLine, now: &str) -> rusqlite::Result<()> {
    let Some(number) = &line.number else {
        return Ok(());
    };
    let sql = if line.is_call {
        "INSERT INTO phone_numbers (id, first_seen_at, created_at, updated_at, last_call_sync_at, \
            total_calls_synced)
         VALUES (?1, ?2, ?2, ?2, ?2, 1) ON CONFLICT (id) DO UPDATE SET updated_at = ?2, \
         last_call_sync_at = ?2,
         total_calls_synced = total_calls_synced + 1"
    } else {
        "INSERT INTO phone_numbers (id, first_seen_at, created_at, updated_at, \
            last_message_sync_at, total_messages_synced)
         VALUES (?1, ?2, ?2, ?2, ?2, 1) ON CONFLICT (id) DO UPDATE SET updated_at = ?2, \
         last_message_sync_at = ?2,
         total_messages_synced = total_messages_synced + 1"
    };
    connection
        .prepare_cached(sql)?
        .execute([number.as_str(), now])?;
    Ok(())
}

fn history(
    connection: &Connection,
    line: &HistoryLine,
    finish: &Finish,
    now: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO sync_history (phone_number_id, resource_type, resource_id, direction, \
            notion_page_id, canvas_id,
               sync_status, processing_time_ms, synced_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5, \
               'success', ?6, ?7)";
    let number = line.number.as_ref().map(NumberId::as_str);
    let took = millis(finish.took);
    for (_, page, _) in &finish.pages {
        let page = page.as_ref().map(PageId::as_str);
        let values = params![
            number,
            resource(line),
            line.id.as_str(),
            direction(line),
            page,
            took,
            now
        ];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(())
}

fn metric(connection: &Connection, finish: &Finish, now: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO performance_metrics (metric_type, operation, duration_ms, success, \
            phone_number_id, timestamp)
               VALUES ('sync', ?1, ?2, 1, ?3, ?4)";
    let number = finish
        .activity
        .as_ref()
        .and_then(|line| line.number.as_ref())
        .map(NumberId::as_str);
    connection.prepare_cached(sql)?.execute(params![
        operation(finish),
        millis(finish.took),
        number,
        now
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::Mode;
    use super::super::tests::now;
    use super::*;

    #[test]
    fn what_waits_is_found_without_reading_what_is_done() {
        let dir = tempfile::tempdir().expect("dir");
        let db = Sqlite::open(&dir.path().join("q.db"), Mode::ReadWrite, now).expect("open");
        let one = Selection::One(EventId::parse("EV1").expect("id"));
        for selection in [Selection::Due, Selection::All, Selection::Dead, one] {
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
