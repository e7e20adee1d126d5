//! The inbox: every event, and how far it has got.

use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use postgres::Row;
use postgres::types::Type;

use crate::domain::id::{ActivityId, EventId, NumberId, PageId};
use crate::domain::phone::Phone;

use super::super::retry::{Next, Past};
use super::super::text::{direction, millis, read_pages, resource, write_pages};
use super::super::{
    Arrival, Backlog, EventState, Finish, HISTORY_KEPT, HeldCount, HistoryLine, METRICS_KEPT,
    Metric, Postponed, Result, RetryPolicy, Selection, Trouble, Waiting,
};
use super::offers::ANSWERED;
use super::{Param, Postgres, text};

impl Postgres {
    pub fn receive(&self, arrivals: &mut [Arrival]) -> Result<Vec<EventState>> {
        // Each a moment after the one before, so that their order is kept; and in the order of
        // their ids, so that two processes never wait for each other crosswise.
        let sql = "INSERT INTO quotion_inbox
                   (event_id, event_type, activity_id, payload, state, next_try_at, received_at, \
                   updated_at)
                   SELECT id, type, activity, payload, 'queued', now() + delay * interval '1 \
                   millisecond',
                     now() + place * interval '1 microsecond', now()
                   FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[])
                     WITH ORDINALITY AS arrival (id, type, activity, payload, delay, place) ORDER \
                     BY id
                   ON CONFLICT (event_id) DO NOTHING RETURNING event_id";
        let ids: Vec<&str> = arrivals.iter().map(|arrival| arrival.id.as_str()).collect();
        let types: Vec<Cow<str>> = arrivals
            .iter()
            .map(|arrival| text(&arrival.event_type))
            .collect();
        let types: Vec<&str> = types.iter().map(AsRef::as_ref).collect();
        let activities: Vec<Option<&str>> = arrivals
            .iter()
            .map(|arrival| arrival.activity.as_ref().map(ActivityId::as_str))
            .collect();
        let payloads: Vec<&[u8]> = arrivals
            .iter()
            .map(|arrival| arrival.payload.as_slice())
            .collect();
        let delays: Vec<i64> = arrivals
            .iter()
            .map(|arrival| millis(arrival.delay))
            .collect();
        let values: [Param; 5] = [
            (&ids, Type::TEXT_ARRAY),
            (&types, Type::TEXT_ARRAY),
            (&activities, Type::TEXT_ARRAY),
            (&payloads, Type::BYTEA_ARRAY),
            (&delays, Type::INT8_ARRAY),
        ];
        // A row that was made just now is as it was made; only of the others the rest is of
        // interest.
        let made: BTreeSet<String> = self
            .write_returning(sql, &values)?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let standing = |arrival: &Arrival| {
            let known = if made.contains(arrival.id.as_str()) {
                None
            } else {
                self.standing(&arrival.id)?
            };
            Ok(known.unwrap_or(EventState::Waiting { attempts: 0 }))
        };
        arrivals.iter().map(standing).collect()
    }

    pub fn standing(&self, id: &EventId) -> Result<Option<EventState>> {
        let sql = "SELECT state, attempts, result FROM quotion_inbox WHERE event_id = $1";
        let rows = self.read(sql, &[(&id.as_str(), Type::TEXT)])?;
        let read = |row: &Row| match row.get::<_, &str>(0) {
            "done" => EventState::Done(read_pages(row.get(2))),
            "held" => EventState::Held,
            "dead" => EventState::Dead,
            _ => EventState::Waiting {
                attempts: u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX),
            },
        };
        Ok(rows.first().map(read))
    }

    pub fn revive(&self, id: &EventId) -> Result<()> {
        let sql = "UPDATE quotion_inbox SET state = 'queued', attempts = 0, tries = 0, \
            next_try_at = now(), released_at = now(), updated_at = now()
            WHERE event_id = $1 AND state = 'dead'";
        self.write(sql, &[(&id.as_str(), Type::TEXT)])?;
        Ok(())
    }

    /// What is only told to people is written along, if it can be: tables of before may refuse it.
    pub fn finish(&self, id: &EventId, finish: &Finish) -> Result<()> {
        match self.finish_and_tell(id, finish) {
            Err(err) if !err.passes() => {
                log::warn!("the history is not kept: {err}");
                self.write(
                    &format!("WITH answered AS ({ANSWERED}) {DONE}"),
                    &[
                        (&id.as_str(), Type::TEXT),
                        (&write_pages(&finish.pages), Type::TEXT),
                    ],
                )?;
                Ok(())
            }
            done => done,
        }
    }

    fn finish_and_tell(&self, id: &EventId, finish: &Finish) -> Result<()> {
        let sql = format!(
            "WITH done AS ({DONE}), answered AS ({ANSWERED}), counted AS ({COUNT}), \
                told AS ({HISTORY}) {METRICS}"
        );
        let line = finish.activity.as_ref();
        let pages: Vec<Option<&str>> = finish
            .pages
            .iter()
            .map(|(_, page, _)| page.as_ref().map(PageId::as_str))
            .collect();
        let number = line
            .and_then(|line| line.number.as_ref())
            .map(NumberId::as_str);
        let actions = line.map_or(&[][..], |line| &line.actions);
        let actions: Vec<&str> = actions.iter().map(|action| action.word()).collect();
        let metrics = Metrics::of(&finish.metrics);
        let values: [Param; 14] = [
            (&id.as_str(), Type::TEXT),
            (&write_pages(&finish.pages), Type::TEXT),
            (&number, Type::TEXT),
            (&line.map(resource), Type::TEXT),
            (&line.map(|line| line.id.as_str()), Type::TEXT),
            (&line.and_then(direction), Type::TEXT),
            (&pages, Type::TEXT_ARRAY),
            (&millis(finish.took).min(i64::from(i32::MAX)), Type::INT8),
            (&actions, Type::TEXT_ARRAY),
            (&line.is_some_and(|line| line.is_skip), Type::BOOL),
            (&metrics.kinds, Type::TEXT_ARRAY),
            (&metrics.operations, Type::TEXT_ARRAY),
            (&metrics.took, Type::INT8_ARRAY),
            (&metrics.successes, Type::BOOL_ARRAY),
        ];
        self.write_once(&sql, &values)?;
        Ok(())
    }

    pub fn skip(&self, line: &HistoryLine, pages: &[Option<PageId>]) -> Result<()> {
        let sql = format!(
            "INSERT INTO sync_history (phone_number_id, resource_type, resource_id, direction,
               notion_page_id, canvas_id, sync_status, synced_at, action)
             SELECT {OF_CALL}, $2, $3, $4, page, page, 'skipped', now(), 'skipped'
             FROM unnest($5) AS page"
        );
        let pages: Vec<Option<&str>> = pages
            .iter()
            .map(|page| page.as_ref().map(PageId::as_str))
            .collect();
        let values: [Param; 5] = [
            (&line.number.as_ref().map(NumberId::as_str), Type::TEXT),
            (&resource(line), Type::TEXT),
            (&line.id.as_str(), Type::TEXT),
            (&direction(line), Type::TEXT),
            (&pages, Type::TEXT_ARRAY),
        ];
        self.write_once(&sql, &values).map(drop)
    }

    pub fn save_numbers(&self, numbers: &[(NumberId, Phone, String)]) -> Result<()> {
        let sql = "WITH gone AS (
                     UPDATE phone_numbers SET is_active = false, updated_at = now()
                     WHERE is_active AND id <> ALL ($1)
                   )
                   INSERT INTO phone_numbers (id, number, name, first_seen_at, created_at,
                     updated_at, is_active)
                   SELECT id, number, name, now(), now(), now(), true
                   FROM unnest($1, $2, $3) AS listed (id, number, name) ORDER BY id
                   ON CONFLICT (id) DO UPDATE SET number = excluded.number,
                   name = excluded.name, is_active = true, updated_at = excluded.updated_at";
        let ids: Vec<&str> = numbers.iter().map(|(id, _, _)| id.as_str()).collect();
        let phones: Vec<&str> = numbers.iter().map(|(_, it, _)| it.as_str()).collect();
        let names: Vec<Cow<str>> = numbers.iter().map(|(_, _, it)| text(it)).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let values: [Param; 3] = [
            (&ids, Type::TEXT_ARRAY),
            (&phones, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
        ];
        self.write(sql, &values).map(drop)
    }

    /// Drops what the history and the metrics have kept for long enough; of the history what others
    /// have written stays.
    pub fn expire_history(&self) -> Result<()> {
        let sql = "WITH metrics AS (
                     DELETE FROM performance_metrics
                     WHERE \"timestamp\" < now() - $1 * interval '1 millisecond'
                   )
                   DELETE FROM sync_history WHERE action IS NOT NULL
                   AND synced_at < now() - $2 * interval '1 millisecond'";
        let values: [Param; 2] = [
            (&millis(METRICS_KEPT), Type::INT8),
            (&millis(HISTORY_KEPT), Type::INT8),
        ];
        self.write(sql, &values).map(drop)
    }

    pub fn postpone(
        &self,
        id: &EventId,
        trouble: &Trouble,
        policy: RetryPolicy,
    ) -> Result<Postponed> {
        let sql = "SELECT state, attempts, tries, held_by, (extract(epoch FROM \
            now() - coalesce(released_at, received_at)) * 1000)::bigint, error_kind
            FROM quotion_inbox WHERE event_id = $1";
        let rows = self.read(sql, &[(&id.as_str(), Type::TEXT)])?;
        let past = rows.first().map(|row| Past {
            state: row.get(0),
            attempts: u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX),
            tries: u32::try_from(row.get::<_, i64>(2)).unwrap_or(u32::MAX),
            held_by: row.get(3),
            age: span(row.get(4)),
            kind: row.get(5),
        });
        let past = past.unwrap_or_default();
        let next = policy.next(&past, &trouble.fault);
        let is_news = past.is_news(trouble, &next);
        match self.put_off(id, trouble, &next, is_news) {
            // Tables of before may refuse what is only told to people.
            Err(err) if !err.passes() => {
                log::warn!("the history is not kept: {err}");
                let silent = Trouble {
                    activity: None,
                    metrics: Vec::new(),
                    ..trouble.clone()
                };
                self.put_off(id, &silent, &next, false)?;
            }
            done => done?,
        }
        Ok(next.postponed)
    }

    fn put_off(&self, id: &EventId, trouble: &Trouble, next: &Next, is_news: bool) -> Result<()> {
        let put_off =
            "UPDATE quotion_inbox SET state = $2, attempts = $3, tries = $4, held_by = $5, \
            error_kind = $6, error_message = $7,
            next_try_at = now() + $8 * interval '1 millisecond', updated_at = now(),
            tried_at = CASE WHEN $9 THEN now() ELSE tried_at END
            WHERE event_id = $1 AND state <> 'done'";
        let metrics = Metrics::of(&trouble.metrics);
        let sql = format!("WITH told AS ({FAILED}), measured AS ({MEASURED}) {put_off}");
        let line = trouble.activity.as_ref();
        let told = line.filter(|_| is_news);
        let number = line.and_then(|line| line.number.as_ref());
        let values: [Param; 17] = [
            (&id.as_str(), Type::TEXT),
            (&next.state, Type::TEXT),
            (&i64::from(next.attempts), Type::INT8),
            (&i64::from(next.tries), Type::INT8),
            (&next.held_by, Type::TEXT),
            (&trouble.kind, Type::TEXT),
            (&text(&trouble.message), Type::TEXT),
            (&next.wait.map(millis), Type::INT8),
            (&next.was_tried, Type::BOOL),
            (&number.map(NumberId::as_str), Type::TEXT),
            (&told.map(resource), Type::TEXT),
            (&told.map(|line| line.id.as_str()), Type::TEXT),
            (&told.and_then(direction), Type::TEXT),
            (&metrics.kinds, Type::TEXT_ARRAY),
            (&metrics.operations, Type::TEXT_ARRAY),
            (&metrics.took, Type::INT8_ARRAY),
            (&metrics.successes, Type::BOOL_ARRAY),
        ];
        self.write(&sql, &values).map(drop)
    }

    pub fn release(&self, cause: &str) -> Result<usize> {
        let sql = "UPDATE quotion_inbox SET state = 'queued', tries = 0, held_by = NULL, \
            next_try_at = now(), released_at = now(), updated_at = now()
            WHERE state <> 'done' AND state = 'held' AND held_by = $1";
        let released = self.write(sql, &[(&cause, Type::TEXT)])?;
        Ok(usize::try_from(released).unwrap_or(usize::MAX))
    }

    pub fn discard(&self, id: &EventId) -> Result<()> {
        let sql = format!(
            "WITH answered AS ({ANSWERED})
             DELETE FROM quotion_inbox WHERE event_id = $1 AND state <> 'done'"
        );
        self.write(&sql, &[(&id.as_str(), Type::TEXT)])?;
        Ok(())
    }

    pub fn waiting(&self, selection: &Selection, limit: usize) -> Result<Vec<EventId>> {
        let (condition, id) = condition(selection);
        let first = match selection {
            Selection::HeldBy(_) => "updated_at, ",
            Selection::Due | Selection::Waiting | Selection::Dead | Selection::One(_) => "",
        };
        let sql = format!(
            "SELECT event_id FROM quotion_inbox WHERE {condition} ORDER BY {first}received_at, \
                event_id COLLATE \"C\" LIMIT $2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(&sql, &[(&id, Type::TEXT), (&limit, Type::INT8)])?;
        Ok(rows
            .iter()
            .filter_map(|row| EventId::parse(row.get(0)).ok())
            .collect())
    }

    pub fn backlog(&self) -> Result<Backlog> {
        let sql = "SELECT CASE WHEN state IN ('held', 'dead') THEN state ELSE 'waiting' END, \
            held_by, count(*), (extract(epoch FROM min(next_try_at) - now()) * 1000)::bigint
            FROM quotion_inbox WHERE state <> 'done' GROUP BY 1, 2 ORDER BY min(received_at)";
        let mut backlog = Backlog::default();
        for row in self.read(sql, &[])? {
            let count = HeldCount {
                cause: row.get::<_, Option<String>>(1).unwrap_or_default(),
                events: usize::try_from(row.get::<_, i64>(2)).unwrap_or_default(),
            };
            let due_in = row.get::<_, Option<i64>>(3).map(span);
            backlog.add(row.get(0), count, due_in);
        }
        Ok(backlog)
    }

    /// The event's lock is what claims it, for as long as it is worked on; a row lock would end
    /// with this statement.
    pub fn load(&self, id: &EventId, selection: &Selection) -> Result<Option<Waiting>> {
        let (condition, value) = condition(selection);
        let sql = format!(
            "SELECT payload, (extract(epoch FROM received_at) * 1000)::bigint FROM quotion_inbox \
                WHERE {condition} AND event_id = $2 AND payload IS NOT NULL"
        );
        let rows = self.read(&sql, &[(&value, Type::TEXT), (&id.as_str(), Type::TEXT)])?;
        Ok(rows.first().map(|row| Waiting {
            id: id.clone(),
            payload: row.get(0),
            received: Timestamp::from_millisecond(row.get(1)).unwrap_or(Timestamp::UNIX_EPOCH),
        }))
    }

    pub fn expire(&self, keep: Duration, limit: usize) -> Result<usize> {
        let sql = "UPDATE quotion_inbox SET payload = NULL, result = NULL, error_message = NULL \
            WHERE event_id IN
                   (SELECT event_id FROM quotion_inbox WHERE state = 'done' AND payload IS NOT NULL
                    AND updated_at < now() - $1 * interval '1 millisecond' LIMIT $2 FOR UPDATE \
                    SKIP LOCKED)";
        // Longer than anybody can have kept something, and short enough for the server's calendar.
        let keep = millis(keep).min(MILLENNIUM_MS);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let expired = self.write(sql, &[(&keep, Type::INT8), (&limit, Type::INT8)])?;
        Ok(usize::try_from(expired).unwrap_or(usize::MAX))
    }
}

/// A span that the server has counted in milliseconds; none before it begins.
fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

const MILLENNIUM_MS: i64 = 1000 * 365 * 24 * 60 * 60 * 1000;

/// `$1` the event, `$2` its clients' pages.
const DONE: &str =
    "UPDATE quotion_inbox SET state = 'done', next_try_at = NULL, error_kind = NULL, \
        error_message = NULL, held_by = NULL,
    result = $2, updated_at = now(), tried_at = now() WHERE event_id = $1";

/// Number of an activity (`$1`), of a recording or the like that of its call; `$2` and `$3` say
/// which activity it is.
const OF_CALL: &str = "coalesce($1, (SELECT phone_number_id FROM sync_history
    WHERE resource_type = $2 AND resource_id = $3 AND phone_number_id IS NOT NULL LIMIT 1))";

/// Counts a synced activity for the workspace's number, unless it was counted before. `$3` the
/// number, `$4` what kind of activity, `$5` the activity, `$10` whether it was done before.
const COUNT: &str = "INSERT INTO phone_numbers AS known (id, first_seen_at, created_at,
    updated_at, last_call_sync_at, last_message_sync_at, total_calls_synced,
    total_messages_synced)
    SELECT $3, now(), now(), now(), CASE $4 WHEN 'call' THEN now() END,
    CASE $4 WHEN 'message' THEN now() END, ($4 = 'call' AND is_first)::int,
    ($4 = 'message' AND is_first)::int
    FROM (SELECT NOT EXISTS (SELECT FROM sync_history WHERE resource_type = $4
      AND resource_id = $5 AND phone_number_id = $3 AND sync_status = 'success') AS is_first) AS it
    WHERE $3 IS NOT NULL AND NOT $10
    ON CONFLICT (id) DO UPDATE SET updated_at = now(),
    last_call_sync_at = coalesce(excluded.last_call_sync_at, known.last_call_sync_at),
    last_message_sync_at = coalesce(excluded.last_message_sync_at, known.last_message_sync_at),
    total_calls_synced = coalesce(known.total_calls_synced, 0) + excluded.total_calls_synced,
    total_messages_synced = coalesce(known.total_messages_synced, 0)
      + excluded.total_messages_synced";

/// A line for each page. `$5` the activity, `$6` its direction, `$7` the pages, `$8` milliseconds,
/// `$9` what was done with each, `$10` whether it was done before.
const HISTORY: &str = "INSERT INTO sync_history (phone_number_id, resource_type, resource_id,
    direction, notion_page_id, canvas_id, sync_status, processing_time_ms, synced_at, action)
    SELECT coalesce($3, (SELECT phone_number_id FROM sync_history WHERE resource_type = $4
      AND resource_id = $5 AND phone_number_id IS NOT NULL LIMIT 1)), $4, $5,
    coalesce($6, (SELECT direction FROM sync_history WHERE resource_type = $4
      AND resource_id = $5 AND direction IS NOT NULL LIMIT 1)), page, page,
    CASE WHEN $10 THEN 'skipped' ELSE 'success' END, CASE WHEN NOT $10 THEN $8 END, now(), action
    FROM unnest($7, $9) AS line (page, action) WHERE $5 IS NOT NULL";

/// `$3` the number, `$11` to `$14` what was measured.
const METRICS: &str = "INSERT INTO performance_metrics (metric_type, operation, duration_ms,
    success, phone_number_id, \"timestamp\")
    SELECT kind, operation, took, success, $3, now()
    FROM unnest($11, $12, $13, $14) AS metric (kind, operation, took, success)";

/// The same of an event that has failed. `$10` the number, `$14` to `$17` what was measured.
const MEASURED: &str = "INSERT INTO performance_metrics (metric_type, operation, duration_ms,
    success, phone_number_id, \"timestamp\")
    SELECT kind, operation, took, success, $10, now()
    FROM unnest($14, $15, $16, $17) AS metric (kind, operation, took, success)";

/// A line of what has failed. `$7` why, `$10` the number, `$11` and `$12` the activity, `$13` its
/// direction.
const FAILED: &str = "INSERT INTO sync_history (phone_number_id, resource_type, resource_id,
    direction, sync_status, error_message, synced_at, action)
    SELECT coalesce($10, (SELECT phone_number_id FROM sync_history WHERE resource_type = $11
      AND resource_id = $12 AND phone_number_id IS NOT NULL LIMIT 1)), $11, $12, $13, 'failed',
    $7, now(), 'failed' WHERE $12 IS NOT NULL";

/// What was measured, column by column.
struct Metrics<'a> {
    kinds: Vec<&'a str>,
    operations: Vec<&'a str>,
    took: Vec<i64>,
    successes: Vec<bool>,
}

impl<'a> Metrics<'a> {
    fn of(metrics: &'a [Metric]) -> Self {
        // A table of before may hold smaller numbers.
        let took = |it: &Metric| millis(it.took).min(i64::from(i32::MAX));
        Self {
            kinds: metrics.iter().map(|it| it.kind).collect(),
            operations: metrics.iter().map(|it| it.operation.as_str()).collect(),
            took: metrics.iter().map(took).collect(),
            successes: metrics.iter().map(|it| it.success).collect(),
        }
    }
}

/// The condition of a selection, with `$1` in it, and that value. Each names the condition of the
/// index, or an id: what is done is not read.
fn condition(selection: &Selection) -> (&'static str, &str) {
    match selection {
        Selection::Due => ("state <> 'done' AND next_try_at <= now() AND $1 = ''", ""),
        Selection::Waiting => (
            "state <> 'done' AND state IN ('queued', 'failed') AND $1 = ''",
            "",
        ),
        Selection::HeldBy(cause) => (
            "state <> 'done' AND state = 'held' AND held_by = $1",
            cause.as_str(),
        ),
        Selection::Dead => ("state <> 'done' AND state = 'dead' AND $1 = ''", ""),
        Selection::One(id) => ("state <> 'done' AND event_id = $1", id.as_str()),
    }
}
