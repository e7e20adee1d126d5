//! The store in a PostgreSQL database: opening, migrations, and what all statements share.
//!
//! Every function is one statement, sent unnamed and in one round trip, which counts as a whole or
//! not at all; nothing is left behind in the session, because a pooler may give each statement
//! another one. Every moment is the server's.

mod connect;
mod error;
mod inbox;
mod known;
mod lease;
mod offers;
mod pages;
mod rate;
mod status;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use postgres::Row;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use crate::secret::Secret;

use super::{Error, Fault, IDENTITY, Inspection, Mode, Result, held, migrations_made};
pub use connect::Server;
use connect::Session;

pub use lease::LeaseRows;

/// The migrations, in order; the versions of those that were made are noted, from 1 on.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/postgres/V1__known_things.sql"),
    include_str!("migrations/postgres/V2__inbox.sql"),
    include_str!("migrations/postgres/V3__inbox_smaller.sql"),
    include_str!("migrations/postgres/V4__open_writes.sql"),
    include_str!("migrations/postgres/V5__leases.sql"),
    include_str!("migrations/postgres/V6__held.sql"),
    include_str!("migrations/postgres/V7__operating.sql"),
    include_str!("migrations/postgres/V8__offered.sql"),
];
/// Where that is noted; the columns are those of an earlier runner.
const HISTORY: &str = "quotion_schema_history";
/// A lock that holds for the current transaction; others use small numbers.
const WHILE_MIGRATING: &str = "SET LOCAL statement_timeout = '30s'; \
    SELECT pg_advisory_xact_lock(7238539081943702115)";

/// A value of a statement, with its type: told beforehand, nobody has to ask the server for it.
type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The database.
pub struct Postgres {
    link: Arc<Mutex<Session>>,
    leases: Arc<lease::Leases>,
    access: Permission,
    /// What tells the store from every other one.
    store: i64,
    /// What told it from a copy when that was last noted, and what does now.
    identity: (Option<String>, String),
}

/// What may be done with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    Full,
    /// A dry run.
    ReadOnly,
    /// A dry run, and there is no store of this version yet: it is as if it were empty.
    Nothing,
}

/// A store that was found.
struct Migrated {
    /// How many of the migrations were made.
    made: usize,
    /// What tells it from other stores in the same database.
    number: i64,
    /// See [`Postgres::identity`].
    identity: (Option<String>, String),
}

impl Migrated {
    fn is_current(&self) -> bool {
        self.made == MIGRATIONS.len()
    }
}

impl Postgres {
    /// Opens the database at `url`, see [`super::Store::open`].
    pub fn open(url: &Secret, mode: Mode) -> Result<Self> {
        let address = Arc::new(Server::parse(url)?);
        let mut link = Session::new(address.clone());
        let mut found = find(&mut link)?;
        if mode == Mode::ReadWrite && found.as_ref().is_none_or(|found| !found.is_current()) {
            migrate(&mut link)?;
            found = find(&mut link)?;
        }
        let current = found.filter(Migrated::is_current);
        let access = match (mode, &current) {
            (Mode::ReadWrite, Some(_)) => Permission::Full,
            (Mode::ReadWrite, None) => {
                let what = format!("{address}: the migrations have no effect");
                return Err(Error::new(Fault::Other, what));
            }
            (Mode::ReadOnly, Some(_)) => Permission::ReadOnly,
            (Mode::ReadOnly, None) => Permission::Nothing,
        };
        let link = Arc::new(Mutex::new(link));
        Ok(Self {
            leases: lease::Leases::new(Arc::clone(&link)),
            link,
            access,
            store: current.as_ref().map_or(0, |found| found.number),
            identity: current.map_or_else(Default::default, |found| found.identity),
        })
    }

    /// What told the store from a copy when that was last noted, and what does now: a copy has
    /// tables of its own, or, where the whole server was put back, the server a new timeline.
    pub fn identity(&self) -> (Option<String>, String) {
        self.identity.clone()
    }

    /// True for a dry run.
    pub fn is_read_only(&self) -> bool {
        self.access != Permission::Full
    }

    /// Rows of a statement that only reads.
    fn read(&self, sql: &str, values: &[Param]) -> Result<Vec<Row>> {
        if self.access == Permission::Nothing {
            return Ok(Vec::new());
        }
        held(&self.link).run(|client| client.query_typed(sql, values))
    }

    /// A statement that may be repeated when the connection was lost: done twice it is as if done
    /// once. A dry run leaves it out.
    fn write(&self, sql: &str, values: &[Param]) -> Result<u64> {
        match self.access {
            Permission::Full => held(&self.link).run(|client| client.execute_typed(sql, values)),
            Permission::ReadOnly | Permission::Nothing => Ok(0),
        }
    }

    /// The same, for one that answers with rows.
    fn write_returning(&self, sql: &str, values: &[Param]) -> Result<Vec<Row>> {
        match self.access {
            Permission::Full => held(&self.link).run(|client| client.query_typed(sql, values)),
            Permission::ReadOnly | Permission::Nothing => Ok(Vec::new()),
        }
    }

    /// A statement that counts something: not repeated when it is not known whether it was done.
    fn write_once(&self, sql: &str, values: &[Param]) -> Result<u64> {
        match self.access {
            Permission::Full => {
                held(&self.link).run_once(|client| client.execute_typed(sql, values))
            }
            Permission::ReadOnly | Permission::Nothing => Ok(0),
        }
    }
}

/// PostgreSQL's texts hold no NUL, which a message may.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// A span that the server has counted in milliseconds. One that ends in the future is none.
fn age(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis.max(0))
}

fn find(link: &mut Session) -> Result<Option<Migrated>> {
    let sql = |timeline: &str| {
        format!(
            "SELECT max(version)::bigint, to_regclass('quotion_open_writes')::oid::bigint,
             (SELECT body FROM quotion_snapshots WHERE key = '{IDENTITY}'), ({timeline})::text
             FROM {HISTORY}"
        )
    };
    let (whole, half) = (
        sql("SELECT timeline_id FROM pg_control_checkpoint()"),
        sql("''"),
    );
    let rows = link.run(|client| {
        let rows = match client.query_typed(&whole, &[]) {
            // Not everybody may ask for it everywhere.
            Err(err) if err.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                client.query_typed(&half, &[])
            }
            rows => rows,
        };
        match rows {
            Err(err) if err.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Vec::new()),
            rows => rows,
        }
    })?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let Some(version) = row.get::<_, Option<i64>>(0) else {
        return Ok(None);
    };
    let number = row.get::<_, Option<i64>>(1).unwrap_or_default();
    let timeline: Option<&str> = row.get(3);
    Ok(Some(Migrated {
        made: migrations_made(version, MIGRATIONS.len())?,
        number,
        identity: (
            row.get(2),
            format!("{number}/{}", timeline.unwrap_or_default()),
        ),
    }))
}

/// See [`super::inspect`].
pub fn inspect(url: &Secret) -> Result<Option<Inspection>> {
    let mut link = Session::new(Arc::new(Server::parse(url)?));
    let Some(found) = find(&mut link)? else {
        return Ok(None);
    };
    // Sizes and rights of the tables that are ours alone.
    let sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
               coalesce(min(pg_get_userbyid(c.relowner)::text), current_user::text),
               coalesce(bool_and(has_table_privilege(c.oid, 'INSERT')
                                 AND has_table_privilege(c.oid, 'UPDATE')), false)
               FROM pg_class c WHERE c.relkind = 'r' AND c.relname LIKE 'quotion\\_%'
               AND pg_table_is_visible(c.oid)";
    let rows = link.run(|client| client.query_typed(sql, &[]))?;
    let row = rows.first();
    Ok(Some(Inspection {
        schema: found.made,
        newest: MIGRATIONS.len(),
        bytes: row.map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()),
        owner: row.map_or_else(String::new, |row| row.get(1)),
        is_writable: row.is_some_and(|row| row.get(2)),
    }))
}

/// One process at a time, and in one transaction with the note of it: whoever is killed meanwhile
/// leaves nothing half done.
fn migrate(link: &mut Session) -> Result<()> {
    let migrated = link.run_once(|client| {
        let mut transaction = client.transaction()?;
        transaction.batch_execute(WHILE_MIGRATING)?;
        transaction.batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {HISTORY} \
             (version int PRIMARY KEY, name text, applied_on text, checksum text)"
        ))?;
        let sql = format!("SELECT coalesce(max(version), 0)::bigint FROM {HISTORY}");
        let rows = transaction.query_typed(&sql, &[])?;
        let made: i64 = rows.first().map_or(0, |row| row.get(0));
        for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > made) {
            transaction.batch_execute(migration)?;
            transaction.batch_execute(&format!(
                "INSERT INTO {HISTORY} (version, applied_on) VALUES ({version}, now()::text)"
            ))?;
        }
        transaction.commit()
    });
    migrated.map_err(|err| {
        if err.passes() {
            err
        } else {
            err.within("cannot migrate the store")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_nothing_but_what_the_database_cannot_hold() {
        assert_eq!(text("a\0b\n"), "a\u{fffd}b\n");
        assert!(matches!(text("plain"), Cow::Borrowed("plain")));
    }
}
