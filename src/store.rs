//! What Quotion remembers, in words of the domain: known pages, schemas, contacts, own numbers, entries.
//!
//! Apart because memory is shared by processes and outlives them. Vendors' answers are kept as they came; only the
//! vendors' own modules read them. Nothing here talks to a network.

mod sqlite;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::Path;

use jiff::Timestamp;

use crate::domain::event::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, ContactId, PageId};
use crate::domain::phone::Phone;

/// A page that is known to be the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPage {
    /// The page.
    pub id: PageId,
    /// Its title.
    pub title: String,
    /// The page as Notion last gave it (JSON), `null` when only its id is known.
    pub body: String,
}

/// A whole answer of a vendor, kept for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The answer, JSON.
    pub body: String,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

/// The entry of one activity on one client's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRecord {
    /// Whose entry it is.
    pub activity: ActivityId,
    /// The client.
    pub phone: Phone,
    /// The client's page; unknown while the page itself is only intended.
    pub page: Option<PageId>,
    /// The entry's block; unknown when the entry was written together with its page.
    pub block: Option<BlockId>,
    /// The entry's first line.
    pub line: String,
    /// False while it is not known to stand on the page: look before writing.
    pub written: bool,
    /// Artifacts that are inside.
    pub artifacts: BTreeSet<ArtifactKind>,
    /// Artifacts of which it is not known whether they are inside: look before writing.
    pub pending: BTreeSet<ArtifactKind>,
}

/// A contact for the index: id, keys of its numbers, and the record as Quo gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedContact {
    /// The contact.
    pub id: ContactId,
    /// Keys of its numbers, see [`crate::domain::phone::tail_of`].
    pub tails: BTreeSet<String>,
    /// The record, JSON.
    pub body: String,
}

/// Trouble with the store.
#[derive(Debug)]
pub enum Error {
    /// Locked by another process for longer than the busy timeout: later it may work.
    Busy(String),
    /// Written by a newer Quotion.
    Newer {
        /// Version found.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// Anything else: full, read-only, damaged, not a database.
    Broken(anyhow::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(what) => write!(f, "store is locked by another process: {what}"),
            Self::Newer { found, known } => {
                write!(f, "store has schema {found}, and this program knows only up to {known}")
            }
            Self::Broken(cause) => write!(f, "store: {cause:#}"),
        }
    }
}

impl std::error::Error for Error {}

/// The right to rebuild the contact index, see [`Store::try_refresh_lock`].
pub struct RefreshGuard {
    /// `None` in a dry run, which keeps nothing and so disturbs nobody.
    _file: Option<File>,
}

/// Result of a store function.
pub type Result<T> = std::result::Result<T, Error>;

/// How the store may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Made if missing, migrated, written to.
    ReadWrite,
    /// A dry run: nothing on disk changes; what would be saved is forgotten.
    ReadOnly,
}

/// The store. One connection; share it between threads only behind a lock.
pub struct Store {
    db: sqlite::Db,
}

impl Store {
    /// Opens the SQLite file at `path`; in [`Mode::ReadWrite`] it and its folder are made if missing.
    pub fn open(path: &Path, mode: Mode) -> Result<Self> {
        Ok(Self { db: sqlite::Db::open(path, mode)? })
    }

    /// The client page known for `phone`.
    pub fn page(&self, phone: &Phone) -> Result<Option<KnownPage>> {
        self.db.page(phone)
    }

    /// Counts a use of the known page for `phone`.
    pub fn touch_page(&self, phone: &Phone, now: Timestamp) -> Result<()> {
        self.db.touch_page(phone, now)
    }

    /// Remembers the client page of `phone`.
    pub fn save_page(&self, phone: &Phone, page: &KnownPage, now: Timestamp) -> Result<()> {
        self.db.save_page(phone, page, now)
    }

    /// Forgets the client page of `phone`: it is gone or in the trash.
    pub fn forget_page(&self, phone: &Phone) -> Result<()> {
        self.db.forget_page(phone)
    }

    /// The answer kept under `key`.
    pub fn snapshot(&self, key: &str) -> Result<Option<Snapshot>> {
        self.db.snapshot(key)
    }

    /// Keeps an answer under `key`.
    pub fn save_snapshot(&self, key: &str, body: &str, now: Timestamp) -> Result<()> {
        self.db.save_snapshot(key, body, now)
    }

    /// Records of the contacts that may hold `phone`; the caller compares strictly.
    pub fn contacts_near(&self, phone: &Phone) -> Result<Vec<String>> {
        self.db.contacts_near(phone)
    }

    /// Replaces the whole contact index, in one transaction.
    pub fn replace_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        self.db.replace_contacts(contacts)
    }

    /// The right to rebuild the contact index, unless another process has it. It ends when the guard is dropped, or
    /// with the process.
    pub fn try_refresh_lock(&self) -> Result<Option<RefreshGuard>> {
        self.db.try_refresh_lock()
    }

    /// Adds or renews one contact of the index.
    pub fn save_contact(&self, contact: &IndexedContact) -> Result<()> {
        self.db.save_contact(contact)
    }

    /// Removes one contact from the index.
    pub fn drop_contact(&self, id: &ContactId) -> Result<()> {
        self.db.drop_contact(id)
    }

    /// Entries of an activity: one per client.
    pub fn entries(&self, activity: &ActivityId) -> Result<Vec<EntryRecord>> {
        self.db.entries(activity)
    }

    /// Remembers an entry, or what has become of it.
    pub fn save_entry(&self, entry: &EntryRecord, now: Timestamp) -> Result<()> {
        self.db.save_entry(entry, now)
    }

    /// Forgets an entry whose page or block is gone.
    pub fn forget_entry(&self, activity: &ActivityId, phone: &Phone) -> Result<()> {
        self.db.forget_entry(activity, phone)
    }
}
