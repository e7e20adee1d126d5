//! The store in a SQLite file: opening, migrations, and what all statements share.
//!
//! WAL, so that readers and one writer do not wait for each other; a busy timeout for writers among
//! themselves.

mod inbox;
mod known;
mod lock;
mod offers;
mod pages;
mod rate;
mod status;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, Params, TransactionBehavior};

use crate::files;

use crate::time::{self, stop};

use super::{Error, Fault, Inspection, Mode, Result, longest_wait, migrations_made};

pub use lock::{LockFile, place_of};
pub use rate::own_rates;

/// How often a statement that waits for another process is tried again.
const TRY: Duration = Duration::from_millis(10);
/// Bytes of a page of a new file: in pages of 4 KiB a row of an event leaves more room unused.
const PAGE: u32 = 8192;
/// The migrations, in order; the number of those that were made is the file's `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/sqlite/V1__known_things.sql"),
    include_str!("migrations/sqlite/V2__inbox.sql"),
    include_str!("migrations/sqlite/V3__inbox_smaller.sql"),
    include_str!("migrations/sqlite/V4__open_writes.sql"),
    include_str!("migrations/sqlite/V5__held.sql"),
    include_str!("migrations/sqlite/V6__operating.sql"),
    include_str!("migrations/sqlite/V7__offered.sql"),
];

/// A connection to the file.
pub struct Sqlite {
    connection: Connection,
    mode: Mode,
    path: PathBuf,
    /// Which file that is; none in a dry run without one.
    identity: Option<lock::Identity>,
    clock: fn() -> Timestamp,
    /// True if there is no file of this version, and an empty store in memory stands for it.
    is_blank: bool,
}

impl Sqlite {
    /// Opens the file at `path`, see [`super::Store::open`].
    pub fn open(path: &Path, mode: Mode, clock: fn() -> Timestamp) -> Result<Self> {
        let connection = match mode {
            Mode::ReadWrite => open_writable(path)?,
            Mode::ReadOnly => open_untouched(path)?,
        };
        let is_blank = connection.path().is_none_or(str::is_empty);
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // Whatever way leads there, all processes use the same locks.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self {
            connection,
            mode,
            identity: lock::identity(&path),
            path,
            clock,
            is_blank,
        })
    }

    /// True if no store of this version was made yet.
    pub fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// What tells the file from a copy that is put in its place.
    pub fn identity(&self) -> String {
        let identity = self.identity.as_ref();
        identity.map_or_else(String::new, ToString::to_string)
    }

    fn write(&self, sql: &str, params: impl Params) -> Result<()> {
        if self.mode == Mode::ReadWrite {
            self.connection.prepare_cached(sql)?.execute(params)?;
        }
        Ok(())
    }

    /// Lets a write outlive a power cut, before anything is built on it: an event's arrival, an
    /// intent. Results need not: after a power cut they are looked for again.
    fn durably(&self, write: impl FnOnce() -> Result<()>) -> Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let written = write();
        self.connection
            .pragma_update(None, "synchronous", "NORMAL")?;
        written
    }

    /// Several statements that count together or not at all. A dry run leaves them out.
    fn transaction(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<()> {
        if self.mode == Mode::ReadOnly {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        work(&transaction)?;
        Ok(transaction.commit()?)
    }

    fn now(&self) -> String {
        stamp((self.clock)())
    }

    fn millis(&self) -> i64 {
        (self.clock)().as_millisecond()
    }

    fn millis_after(&self, wait: Duration) -> i64 {
        self.millis()
            .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
    }

    fn millis_before(&self, span: Duration) -> i64 {
        self.millis()
            .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// Time since a moment that the store wrote. A moment in the future, after a clock was set
    /// back, is now.
    fn since(&self, moment: &str) -> SignedDuration {
        let moment = moment.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        (self.clock)()
            .duration_since(moment)
            .max(SignedDuration::ZERO)
    }
}

/// Always milliseconds, so that moments compare as texts.
fn stamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn open_writable(path: &Path) -> Result<Connection> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        make_folder(folder)?;
    }
    // Made by us first, so that nobody else can read it.
    files::open(path).map_err(|err| cannot("open", path, &err))?;
    begin(path).map_err(|err| with_file_system(err, path))
}

/// Waits before a statement is tried again, if it is to be.
fn wait_for_others(tries: i32) -> bool {
    let waited = TRY * u32::try_from(tries).unwrap_or(u32::MAX);
    let goes_on = waited < longest_wait() && !stop::is_told();
    if goes_on {
        time::sleep(TRY);
    }
    goes_on
}

fn begin(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_handler(Some(wait_for_others))?;
    if known_version(&connection)? < MIGRATIONS.len() {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

/// Says on what kind of file system the file lies, where that may be the reason: not every one can
/// lock and map files. One that cannot lock looks to SQLite like one on which others have locked.
fn with_file_system(err: Error, path: &Path) -> Error {
    let shown = path.display();
    let kind = files::file_system(path).unwrap_or_else(|| "unknown".to_owned());
    match err.fault {
        Fault::Busy | Fault::NoLocks if !files::can_lock(path) => Error::new(
            Fault::NoLocks,
            format!("{shown} lies on a file system of kind {kind}, which cannot lock files"),
        ),
        Fault::Rights | Fault::NoLocks | Fault::Other => {
            err.within(&format!("{shown}, on a file system of kind {kind}"))
        }
        Fault::Busy
        | Fault::Unreachable
        | Fault::Newer
        | Fault::Address
        | Fault::Login
        | Fault::Full
        | Fault::Damaged => err,
    }
}

/// A file that cannot be locked or the like.
fn cannot(what: &str, path: &Path, err: &io::Error) -> Error {
    let is_one_of = |kinds: &[ErrorKind]| kinds.contains(&err.kind());
    let fault = if is_one_of(&[ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]) {
        Fault::Rights
    } else if is_one_of(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        Fault::Full
    } else if is_one_of(&[ErrorKind::Unsupported]) {
        Fault::NoLocks
    } else {
        Fault::Other
    };
    let kind = files::file_system(path).unwrap_or_else(|| "unknown".to_owned());
    let shown = path.display();
    let what = format!("cannot {what} {shown}, on a file system of kind {kind}: {err}");
    Error::new(fault, what)
}

/// For a dry run: the file as it is, or an empty store in memory.
fn open_untouched(path: &Path) -> Result<Connection> {
    if path.exists() {
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_handler(Some(wait_for_others))?;
        if known_version(&connection)? == MIGRATIONS.len() {
            return Ok(connection);
        }
    }
    let mut connection = Connection::open_in_memory()?;
    run_migrations(&mut connection)?;
    Ok(connection)
}

/// See [`super::inspect`].
pub fn inspect(path: &Path) -> Result<Option<Inspection>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(err) if files::is_missing(&err) => return Ok(None),
        Err(err) => return Err(cannot("look at", path, &err)),
    };
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_handler(Some(wait_for_others))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(Some(Inspection {
        schema: known_version(&connection)?,
        newest: MIGRATIONS.len(),
        bytes: metadata.len(),
        owner: files::name_of(metadata.uid()),
        is_writable: files::may_write(path) && files::may_write(folder),
    }))
}

/// How many of the migrations were made.
fn known_version(connection: &Connection) -> Result<usize> {
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    migrations_made(found, MIGRATIONS.len())
}

/// One process at a time: turning WAL on ignores the busy timeout, and migrations must not race.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let beside = path.with_extension("lock");
    let guard = files::open(&beside).map_err(|err| cannot("open", &beside, &err))?;
    guard.lock().map_err(|err| cannot("lock", &beside, &err))?;
    // Of no effect once there is something in the file.
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    if known_version(connection)? < MIGRATIONS.len() {
        run_migrations(connection)?;
    }
    Ok(())
}

/// In one transaction with the note that they were made: whoever is killed meanwhile leaves nothing
/// half done.
fn run_migrations(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = known_version(&transaction)?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(made) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    Ok(transaction.commit()?)
}

fn make_folder(folder: &Path) -> Result<()> {
    files::make_folder(folder).map_err(|err| cannot("make", folder, &err))
}

impl From<rusqlite::Error> for Error {
    fn from(err: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let fault = match err.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                let what = format!("locked by another process: {err}");
                return Self::new(Fault::Busy, what);
            }
            // What cannot be read was not written by us.
            Some(Code::DatabaseCorrupt | Code::NotADatabase | Code::Unknown) | None => {
                Fault::Damaged
            }
            Some(Code::DiskFull) => Fault::Full,
            Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => Fault::Rights,
            Some(Code::FileLockingProtocolFailed) => Fault::NoLocks,
            Some(_) => Fault::Other,
        };
        Self::new(fault, err.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rusqlite::types::Value;

    use super::*;

    pub fn now() -> Timestamp {
        "2026-10-01T15:00:00Z".parse().expect("time")
    }

    #[test]
    fn folder_and_file_are_the_owners_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a/b/quotion.db");
        drop(Sqlite::open(&path, Mode::ReadWrite, now).expect("open"));
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(path.parent().expect("folder"))),
            (0o600, 0o700)
        );
    }

    #[test]
    fn newer_schema_and_damaged_file_are_errors_not_guesses() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("q.db");
        drop(Sqlite::open(&path, Mode::ReadWrite, now).expect("open"));
        Connection::open(&path)
            .expect("open")
            .pragma_update(None, "user_version", 99)
            .expect("pragma");
        let newer = Sqlite::open(&path, Mode::ReadWrite, now)
            .err()
            .expect("refused");
        assert_eq!(newer.fault, Fault::Newer);
        assert!(newer.to_string().contains("schema 99"), "{newer}");
        let text = "this is not a database, whatever its name says".repeat(50);
        fs::write(dir.path().join("no.db"), text).expect("write");
        let damaged = Sqlite::open(&dir.path().join("no.db"), Mode::ReadWrite, now);
        assert_eq!(damaged.err().map(|err| err.fault), Some(Fault::Damaged));
    }

    /// Every row of the inbox, whatever the schema.
    fn inbox(connection: &Connection) -> Vec<Vec<Value>> {
        let mut statement = connection
            .prepare("SELECT * FROM inbox ORDER BY event_id")
            .expect("inbox");
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })
            .expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("rows")
    }

    /// What a row of before is now: what failed by the store was no attempt.
    fn held_column(row: &mut Vec<Value>) {
        let of = |text: &str| Value::Text(text.into());
        if row[7] == of("store") {
            row[5] = Value::Integer(0);
        }
        let tried = if row[4] == of("queued") {
            Value::Null
        } else {
            row[11].clone()
        };
        row.extend([Value::Integer(0), Value::Null, tried, Value::Null]);
    }

    /// Rows of tables that others read, as they were before their times were integers.
    const KEPT_BEFORE: &str = "
        INSERT INTO phone_numbers (id, first_seen_at, last_call_sync_at, created_at, updated_at,
          total_calls_synced)
        VALUES ('PN1', '2026-10-01T14:00:00.250Z', NULL, '2026-10-01T14:00:00.250Z',
          '2026-10-01T14:00:01.000Z', 7);
        INSERT INTO sync_history (resource_type, resource_id, sync_status, synced_at)
        VALUES ('call', 'AC1', 'success', '2026-10-01T14:00:00.999Z');
        INSERT INTO performance_metrics (metric_type, operation, duration_ms, success, timestamp)
        VALUES ('sync', 'call', 12, 1, '2026-10-01T14:00:00.001Z');
        INSERT INTO canvas_cache (lookup_key, canvas_id, canvas_name, cached_at, hit_count)
        VALUES ('+12025550147', 'a', 'Rosa', '2026-10-01T14:00:00.000Z', 3);";

    fn check_kept(connection: &Connection) {
        let told = |sql: &str| {
            let row = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
            row.expect("a row")
        };
        let at = 1_790_863_200_000_i64;
        let kept: [(i64, i64); 4] = [
            told("SELECT first_seen_at, total_calls_synced FROM phone_numbers"),
            told("SELECT synced_at, count(*) FROM sync_history WHERE resource_id = 'AC1'"),
            told("SELECT timestamp, duration_ms FROM performance_metrics"),
            told("SELECT cached_at, hit_count FROM canvas_cache"),
        ];
        assert_eq!(kept, [(at + 250, 7), (at + 999, 1), (at + 1, 12), (at, 4)]);
    }

    #[test]
    fn filled_store_of_each_older_schema_is_brought_up_to_date() {
        let dir = tempfile::tempdir().expect("dir");
        for version in 1..MIGRATIONS.len() {
            let path = dir.path().join(format!("{version}.db"));
            let old = Connection::open(&path).expect("open");
            for (made, migration) in (1_i64..).zip(&MIGRATIONS[..version]) {
                old.execute_batch(migration).expect("run");
                old.pragma_update(None, "user_version", made)
                    .expect("pragma");
            }
            old.execute(
                "INSERT INTO snapshots VALUES ('k', 'kept', '2026-10-01T14:00:00.000Z')",
                [],
            )
            .expect("insert");
            let mut before = Vec::new();
            if version > 1 {
                let rows = "('EV2', 't', 'AC2', x'7b00', 'queued', 0, 5, NULL, NULL, NULL, 1, 1),
                    ('EV1', 't', NULL, NULL, 'done', 0, NULL, NULL, NULL, '[]', 2, 9),
                    ('EV4', 't', 'AC4', x'7b', 'failed', 3, 7, 'store', 'full', NULL, 3, 8),
                    ('EV3', 't', 'AC3', x'7b', 'dead', 8, NULL, 'refused', 'no', NULL, 4, 8)";
                let names = "event_id, event_type, activity_id, payload, state, attempts,
                    next_try_at, error_kind, error_message, result, received_at, updated_at";
                old.execute(&format!("INSERT INTO inbox ({names}) VALUES {rows}"), [])
                    .expect("insert");
                before = inbox(&old);
                if version < 5 {
                    before.iter_mut().for_each(held_column);
                }
            }
            if (2..6).contains(&version) {
                old.execute_batch(KEPT_BEFORE).expect("kept tables");
            }
            drop(old);
            let db = Sqlite::open(&path, Mode::ReadWrite, now).expect("open");
            if (2..6).contains(&version) {
                check_kept(&db.connection);
            }
            assert_eq!(
                db.snapshot("k").expect("read").map(|kept| kept.body),
                Some("kept".into())
            );
            assert_eq!(inbox(&db.connection), before, "schema {version}");
            assert_eq!(
                known_version(&db.connection).expect("version"),
                MIGRATIONS.len()
            );
        }
    }

    #[test]
    fn dry_run_changes_nothing_on_disk() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("none/q.db");
        let db = Sqlite::open(&path, Mode::ReadOnly, now).expect("open");
        db.save_snapshot("k", "[]").expect("save");
        assert_eq!(db.snapshot("k").expect("read"), None);
        assert!(!path.parent().expect("folder").exists());
    }

    #[test]
    fn many_first_openings_at_once_all_succeed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("q.db");
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| Sqlite::open(&path, Mode::ReadWrite, now).expect("open"));
            }
        });
    }
}
