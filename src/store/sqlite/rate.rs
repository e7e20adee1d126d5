//! Rate windows that all processes of one store share.
//!
//! On a connection of its own, because requests go out from several threads; without waiting for
//! the disk, because after a power cut nobody needs to know how many requests went out before it.
//! But it may be this connection that is closed last and moves what all have written into the file,
//! and that has to be waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use crate::http::{SharedWindow, Window};

use super::super::{Mode, Result};
use super::{Sqlite, wait_for_others};

struct SqliteRates {
    connection: Mutex<Connection>,
    clock: fn() -> Timestamp,
}

impl Sqlite {
    pub fn rates(&self) -> Result<Arc<dyn SharedWindow>> {
        if self.mode == Mode::ReadOnly {
            return own_rates(self.clock);
        }
        Ok(Arc::new(SqliteRates {
            connection: Mutex::new(self.another_connection()?),
            clock: self.clock,
        }))
    }

    fn another_connection(&self) -> Result<Connection> {
        let mut connection =
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_handler(Some(wait_for_others))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }
}

/// Windows of this process alone: a dry run counts for itself.
pub fn own_rates(clock: fn() -> Timestamp) -> Result<Arc<dyn SharedWindow>> {
    let mut connection = Connection::open_in_memory()?;
    super::run_migrations(&mut connection)?;
    Ok(Arc::new(SqliteRates {
        connection: Mutex::new(connection),
        clock,
    }))
}

impl SharedWindow for SqliteRates {
    fn reserve(
        &self,
        vendor: &str,
        window: Window,
        patience: Duration,
    ) -> anyhow::Result<std::result::Result<Duration, Duration>> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = (self.clock)().as_millisecond();
        let (next, closed_until) = state(&transaction, vendor)?;
        let limit = i64::from(window.requests.max(1));
        let period = i64::try_from(window.period.as_millis()).unwrap_or(i64::MAX);
        let n = next.rem_euclid(limit);
        let last = slot(&transaction, vendor, n)?;
        // A moment further off than anybody could have reserved was written before a clock was set
        // back.
        let freed = last
            .map(|last| last + period)
            .filter(|freed| *freed <= now + 60 * period);
        let closed_until = Some(closed_until).filter(|until| *until <= now + DAY_MS);
        let at = freed.into_iter().chain(closed_until).fold(now, i64::max);
        let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or_default());
        if wait > patience {
            return Ok(Err(wait));
        }
        let sql = "INSERT INTO rate_slots (vendor, n, at) VALUES (?1, ?2, ?3)
                   ON CONFLICT (vendor, n) DO UPDATE SET at = excluded.at";
        transaction
            .prepare_cached(sql)?
            .execute(params![vendor, n, at])?;
        let sql = "INSERT INTO rate_windows (vendor, next) VALUES (?1, ?2)
                   ON CONFLICT (vendor) DO UPDATE SET next = excluded.next";
        transaction
            .prepare_cached(sql)?
            .execute(params![vendor, n + 1])?;
        transaction.commit()?;
        Ok(Ok(wait))
    }

    fn close(&self, vendor: &str, wait: Duration) -> anyhow::Result<()> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let until =
            (self.clock)().as_millisecond() + i64::try_from(wait.as_millis()).unwrap_or(DAY_MS);
        let sql = "INSERT INTO rate_windows (vendor, closed_until) VALUES (?1, ?2)
                   ON CONFLICT (vendor) DO UPDATE SET closed_until = max(closed_until, \
                   excluded.closed_until)";
        connection.execute(sql, params![vendor, until])?;
        Ok(())
    }

    fn closed_for(&self, vendor: &str) -> anyhow::Result<Duration> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT closed_until FROM rate_windows WHERE vendor = ?1";
        let until: Option<i64> = connection
            .prepare_cached(sql)?
            .query_row([vendor], |row| row.get(0))
            .optional()?;
        let left = until.map_or(0, |until| until - (self.clock)().as_millisecond());
        Ok(Duration::from_millis(
            u64::try_from(left)
                .ok()
                .filter(|left| *left <= DAY_MS.unsigned_abs())
                .unwrap_or_default(),
        ))
    }
}

/// Longest that a vendor can close its door, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn state(transaction: &Transaction, vendor: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT next, closed_until FROM rate_windows WHERE vendor = ?1";
    let read = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
    Ok(transaction
        .prepare_cached(sql)?
        .query_row([vendor], read)
        .optional()?
        .unwrap_or((0, 0)))
}

fn slot(transaction: &Transaction, vendor: &str, n: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT at FROM rate_slots WHERE vendor = ?1 AND n = ?2";
    transaction
        .prepare_cached(sql)?
        .query_row(params![vendor, n], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::super::tests::now;
    use super::*;

    #[test]
    fn whichever_connection_is_closed_last_waits_for_the_disk() {
        let dir = tempfile::tempdir().expect("dir");
        let db = Sqlite::open(&dir.path().join("q.db"), Mode::ReadWrite, now).expect("open");
        let rates = db.another_connection().expect("open");
        for connection in [&db.connection, &rates] {
            let synchronous: i64 = connection
                .pragma_query_value(None, "synchronous", |row| row.get(0))
                .expect("a pragma");
            assert_eq!(synchronous, 1, "NORMAL");
        }
    }
}
