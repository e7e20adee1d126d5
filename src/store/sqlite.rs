//! The store in a SQLite file: one named function per statement.
//!
//! WAL, so that readers and one writer do not wait for each other; a busy timeout for writers among themselves.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use refinery::{Migration, Runner};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, params};

use crate::domain::event::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, ContactId, PageId};
use crate::domain::phone::Phone;

use super::{EntryRecord, Error, IndexedContact, KnownPage, Mode, RefreshGuard, Result, Snapshot};

/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(10);
/// Newest schema, as `PRAGMA user_version` says it; the last line of each migration sets it.
const SCHEMA: i64 = 1;
/// The migrations, in order.
const MIGRATIONS: [(&str, &str); 1] = [("V1__known_things", include_str!("migrations/sqlite/V1__known_things.sql"))];

pub struct Db {
    connection: Connection,
    mode: Mode,
    path: PathBuf,
}

impl Db {
    pub fn open(path: &Path, mode: Mode) -> Result<Self> {
        let connection = match mode {
            Mode::ReadWrite => open_writable(path)?,
            Mode::ReadOnly => open_copyless(path)?,
        };
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection, mode, path: path.to_owned() })
    }

    pub fn page(&self, phone: &Phone) -> Result<Option<KnownPage>> {
        let sql =
            "SELECT canvas_id, canvas_name, body FROM canvas_cache WHERE lookup_type = 'phone' AND lookup_key = ?1";
        let read = |row: &Row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
        let found = self.connection.query_row(sql, [phone.as_str()], read).optional()?;
        let known =
            |(id, title, body): (String, String, String)| Some(KnownPage { id: PageId::parse(&id).ok()?, title, body });
        Ok(found.and_then(known))
    }

    pub fn touch_page(&self, phone: &Phone, now: Timestamp) -> Result<()> {
        let sql = "UPDATE canvas_cache SET hit_count = hit_count + 1, last_used_at = ?2
                   WHERE lookup_type = 'phone' AND lookup_key = ?1";
        self.write(sql, params![phone.as_str(), now.to_string()])
    }

    pub fn save_page(&self, phone: &Phone, page: &KnownPage, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO canvas_cache (lookup_type, lookup_key, canvas_id, canvas_name, body, cached_at)
                   VALUES ('phone', ?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (lookup_type, lookup_key) DO UPDATE SET canvas_id = excluded.canvas_id,
                   canvas_name = excluded.canvas_name, body = excluded.body, cached_at = excluded.cached_at";
        self.write(sql, params![phone.as_str(), page.id.as_str(), page.title, page.body, now.to_string()])
    }

    pub fn forget_page(&self, phone: &Phone) -> Result<()> {
        self.write("DELETE FROM canvas_cache WHERE lookup_type = 'phone' AND lookup_key = ?1", [phone.as_str()])
    }

    pub fn snapshot(&self, key: &str) -> Result<Option<Snapshot>> {
        let read = |row: &Row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let sql = "SELECT body, fetched_at FROM snapshots WHERE key = ?1";
        let found = self.connection.query_row(sql, [key], read).optional()?;
        Ok(found.and_then(|(body, at)| Some(Snapshot { body, fetched_at: at.parse().ok()? })))
    }

    pub fn save_snapshot(&self, key: &str, body: &str, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO snapshots (key, body, fetched_at) VALUES (?1, ?2, ?3)
                   ON CONFLICT (key) DO UPDATE SET body = excluded.body, fetched_at = excluded.fetched_at";
        self.write(sql, params![key, body, now.to_string()])
    }

    pub fn contacts_near(&self, phone: &Phone) -> Result<Vec<String>> {
        let sql = "SELECT body FROM contacts JOIN contact_phones ON contact_id = id WHERE tail = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([phone.tail()], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn replace_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        if self.mode == Mode::ReadOnly {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM contacts", [])?;
        for contact in contacts {
            insert_contact(&transaction, contact)?;
        }
        Ok(transaction.commit()?)
    }

    pub fn save_contact(&self, contact: &IndexedContact) -> Result<()> {
        if self.mode == Mode::ReadOnly {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM contacts WHERE id = ?1", [contact.id.as_str()])?;
        insert_contact(&transaction, contact)?;
        Ok(transaction.commit()?)
    }

    pub fn drop_contact(&self, id: &ContactId) -> Result<()> {
        self.write("DELETE FROM contacts WHERE id = ?1", [id.as_str()])
    }

    pub fn entries(&self, activity: &ActivityId) -> Result<Vec<EntryRecord>> {
        let sql = "SELECT phone, page_id, block_id, line, state, artifacts, pending FROM entries WHERE activity_id = ?1 ORDER BY phone";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([activity.as_str()], |row| {
            Ok(RawEntry {
                phone: row.get(0)?,
                page: row.get(1)?,
                block: row.get(2)?,
                line: row.get(3)?,
                state: row.get(4)?,
                artifacts: row.get(5)?,
                pending: row.get(6)?,
            })
        })?;
        let rows: Vec<RawEntry> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(rows.into_iter().filter_map(|raw| raw.read(activity)).collect())
    }

    pub fn save_entry(&self, entry: &EntryRecord, now: Timestamp) -> Result<()> {
        let sql =
            "INSERT INTO entries (activity_id, phone, page_id, block_id, line, state, artifacts, pending, written_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (activity_id, phone) DO UPDATE SET page_id = excluded.page_id,
                   block_id = excluded.block_id, line = excluded.line, state = excluded.state,
                   artifacts = excluded.artifacts, pending = excluded.pending";
        let state = if entry.written { "done" } else { "intended" };
        let (page, block) = (entry.page.as_ref().map(PageId::as_str), entry.block.as_ref().map(BlockId::as_str));
        let (artifacts, pending) = (labels(&entry.artifacts), labels(&entry.pending));
        let (activity, phone) = (entry.activity.as_str(), entry.phone.as_str());
        let now = now.to_string();
        self.write(sql, params![activity, phone, page, block, entry.line, state, artifacts, pending, now])
    }

    pub fn forget_entry(&self, activity: &ActivityId, phone: &Phone) -> Result<()> {
        let sql = "DELETE FROM entries WHERE activity_id = ?1 AND phone = ?2";
        self.write(sql, [activity.as_str(), phone.as_str()])
    }

    pub fn try_refresh_lock(&self) -> Result<Option<RefreshGuard>> {
        if self.mode == Mode::ReadOnly {
            return Ok(Some(RefreshGuard { _file: None }));
        }
        let file = try_lock(&self.path, "contacts.lock").map_err(|err| Error::Broken(err.into()))?;
        Ok(file.map(|file| RefreshGuard { _file: Some(file) }))
    }

    fn write(&self, sql: &str, params: impl Params) -> Result<()> {
        if self.mode == Mode::ReadWrite {
            self.connection.prepare_cached(sql)?.execute(params)?;
        }
        Ok(())
    }
}

/// A row of `entries` as it stands.
struct RawEntry {
    phone: String,
    page: Option<String>,
    block: Option<String>,
    line: String,
    state: String,
    artifacts: String,
    pending: String,
}

impl RawEntry {
    fn read(self, activity: &ActivityId) -> Option<EntryRecord> {
        Some(EntryRecord {
            activity: activity.clone(),
            phone: Phone::parse(&self.phone)?,
            page: self.page.and_then(|page| PageId::parse(&page).ok()),
            block: self.block.and_then(|block| BlockId::parse(&block).ok()),
            line: self.line,
            written: self.state == "done",
            artifacts: kinds(&self.artifacts),
            pending: kinds(&self.pending),
        })
    }
}

fn labels(kinds: &BTreeSet<ArtifactKind>) -> String {
    kinds.iter().map(|kind| kind.label()).collect::<Vec<_>>().join(",")
}

fn kinds(labels: &str) -> BTreeSet<ArtifactKind> {
    let kind = |label: &str| ArtifactKind::ALL.into_iter().find(|kind| kind.label() == label);
    labels.split(',').filter_map(kind).collect()
}

fn insert_contact(connection: &Connection, contact: &IndexedContact) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO contacts (id, body) VALUES (?1, ?2)";
    connection.prepare_cached(insert)?.execute([contact.id.as_str(), &contact.body])?;
    let mut phones =
        connection.prepare_cached("INSERT OR IGNORE INTO contact_phones (tail, contact_id) VALUES (?1, ?2)")?;
    for tail in &contact.tails {
        phones.execute([tail, contact.id.as_str()])?;
    }
    Ok(())
}

fn open_writable(path: &Path) -> Result<Connection> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    // Made by us first, so that nobody else can read it.
    private_file(path).with_context(|| format!("cannot open {}", path.display())).map_err(Error::Broken)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    if known_version(&connection)? < SCHEMA {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

/// For a dry run: the file as it is, or an empty store in memory.
fn open_copyless(path: &Path) -> Result<Connection> {
    if path.exists() {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        if known_version(&connection)? == SCHEMA {
            return Ok(connection);
        }
    }
    let mut connection = Connection::open_in_memory()?;
    run_migrations(&mut connection)?;
    Ok(connection)
}

fn known_version(connection: &Connection) -> Result<i64> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA { Err(Error::Newer { found, known: SCHEMA }) } else { Ok(found) }
}

/// One process at a time: turning WAL on ignores the busy timeout, and migrations must not race.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let guard = private_file(&path.with_extension("lock")).map_err(|err| Error::Broken(err.into()))?;
    guard.lock().map_err(|err| Error::Broken(err.into()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    if known_version(connection)? < SCHEMA {
        run_migrations(connection)?;
    }
    Ok(())
}

fn run_migrations(connection: &mut Connection) -> Result<()> {
    let migrations: std::result::Result<Vec<Migration>, _> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let broken = |err: refinery::Error| Error::Broken(anyhow::Error::new(err).context("cannot migrate the store"));
    Runner::new(&migrations.map_err(broken)?).run(connection).map_err(broken)?;
    Ok(())
}

/// The lock file `name` beside the store, if nobody holds it. It is free again when the file is closed.
fn try_lock(path: &Path, name: &str) -> std::io::Result<Option<File>> {
    let file = private_file(&path.with_extension(name))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display())).map_err(Error::Broken)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

impl From<rusqlite::Error> for Error {
    fn from(err: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        match err.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy(err.to_string()),
            Some(_) | None => Self::Broken(anyhow::Error::new(err)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn now() -> Timestamp {
        "2026-10-01T15:00:00Z".parse().expect("time")
    }

    fn phone() -> Phone {
        Phone::parse("+12025550147").expect("phone")
    }

    #[test]
    fn everything_saved_is_there_after_reopening() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a/b/quotion.db");
        let page = KnownPage {
            id: PageId::parse("92728898-3bcc-4d37-854f-48872d83d133").expect("id"),
            title: "Rosa".into(),
            body: "{}".into(),
        };
        let entry = EntryRecord {
            activity: ActivityId::parse("AC1").expect("id"),
            phone: phone(),
            page: Some(page.id.clone()),
            block: Some(page.id.as_block()),
            line: "Incoming call".into(),
            written: true,
            artifacts: [ArtifactKind::Summary, ArtifactKind::Recording].into(),
            pending: [ArtifactKind::Transcript].into(),
        };
        let db = Db::open(&path, Mode::ReadWrite).expect("open");
        db.save_page(&phone(), &page, now()).expect("save");
        db.save_entry(&entry, now()).expect("save");
        db.save_snapshot("k", "[]", now()).expect("save");
        drop(db);
        let db = Db::open(&path, Mode::ReadWrite).expect("open");
        assert_eq!(db.page(&phone()).expect("read"), Some(page));
        assert_eq!(db.entries(&entry.activity).expect("read"), [entry]);
        assert_eq!(db.snapshot("k").expect("read"), Some(Snapshot { body: "[]".into(), fetched_at: now() }));
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("folder"))), (0o600, 0o700));
    }

    #[test]
    fn contact_index_is_replaced_as_a_whole_and_renewed_one_by_one() {
        let dir = tempfile::tempdir().expect("dir");
        let db = Db::open(&dir.path().join("q.db"), Mode::ReadWrite).expect("open");
        let contact = |id: &str, tail: &str, body: &str| IndexedContact {
            id: ContactId::parse(id).expect("id"),
            tails: [tail.to_owned()].into(),
            body: body.into(),
        };
        db.replace_contacts(&[contact("old", "550147", "gone")]).expect("replace");
        db.replace_contacts(&[contact("a", "550147", "A"), contact("b", "550147", "B"), contact("c", "1", "C")])
            .expect("replace");
        db.save_contact(&contact("b", "999999", "B2")).expect("save");
        assert_eq!(db.contacts_near(&phone()).expect("read"), ["A"]);
        db.drop_contact(&ContactId::parse("a").expect("id")).expect("drop");
        assert_eq!(db.contacts_near(&phone()).expect("read"), Vec::<String>::new());
    }

    #[test]
    fn newer_schema_and_damaged_file_are_errors_not_guesses() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("q.db");
        drop(Db::open(&path, Mode::ReadWrite).expect("open"));
        Connection::open(&path).expect("open").pragma_update(None, "user_version", 99).expect("pragma");
        assert!(matches!(Db::open(&path, Mode::ReadWrite), Err(Error::Newer { found: 99, known: SCHEMA })));
        fs::write(dir.path().join("no.db"), "this is not a database, whatever its name says".repeat(50))
            .expect("write");
        assert!(matches!(Db::open(&dir.path().join("no.db"), Mode::ReadWrite), Err(Error::Broken(_))));
    }

    #[test]
    fn dry_run_changes_nothing_on_disk() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("none/q.db");
        let db = Db::open(&path, Mode::ReadOnly).expect("open");
        db.save_snapshot("k", "[]", now()).expect("save");
        assert_eq!(db.snapshot("k").expect("read"), None);
        assert!(!path.parent().expect("folder").exists());
    }

    #[test]
    fn many_first_openings_at_once_all_succeed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("q.db");
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| Db::open(&path, Mode::ReadWrite).expect("open"));
            }
        });
    }
}
