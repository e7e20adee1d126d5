//! What Quotion remembers, in words of the domain: known pages, schemas, contacts, own numbers,
//! entries, and the inbox of events with how far each has got.
//!
//! Apart because memory is shared by processes and outlives them. Vendors' answers are kept as they
//! came; only the vendors' own modules read them. Nothing here talks to a vendor. Times are the
//! store's own: with a shared database no machine's clock is trusted over another's.

mod error;
mod postgres;
mod record;
mod retry;
mod sqlite;
mod text;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{ActivityId, ContactId, DatabaseId, EventId, PageId};
use crate::domain::phone::Phone;
use crate::http::SharedWindow;
use crate::secret::Secret;
use crate::time::Deadline;

pub use error::{Error, Fault};
pub use record::{
    Arrival, Backlog, Carries, ClientEntry, EntryRecord, EventState, Finish, HeldCount,
    HistoryLine, IndexedContact, KnownPage, Lesson, Lock, NewWrite, OpenWrite, Selection, Since,
    Snapshot, Waiting,
};
pub use retry::{EventFault, Postponed, RetryPolicy, Trouble};

/// Snapshot that tells when payloads were last dropped; its body is how long they were kept, in
/// milliseconds.
const EXPIRED: &str = "expired";
/// Payloads dropped in one go, so that no run is held up by the retention of others; what is left
/// goes next time.
const EXPIRED_AT_ONCE: usize = 10_000;
/// Until payloads are looked for again.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long this process waits for a database that does not answer or is locked, in milliseconds.
static LONGEST_WAIT: AtomicU64 = AtomicU64::new(10_000);

/// From now on this process waits no longer than that for a database that does not answer or is
/// locked; never longer than 10 s.
pub fn wait_at_most(limit: Duration) {
    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    LONGEST_WAIT.fetch_min(limit, Ordering::Relaxed);
}

fn longest_wait() -> Duration {
    Duration::from_millis(LONGEST_WAIT.load(Ordering::Relaxed))
}

/// How many of the `newest` migrations a store has seen whose version is `found`.
fn migrations_made(found: i64, newest: usize) -> Result<usize> {
    let made = usize::try_from(found).ok().filter(|made| *made <= newest);
    made.ok_or_else(|| {
        let what = format!("it has schema {found}, and this program knows only up to {newest}");
        Error::new(Fault::Newer, what)
    })
}

/// Result of a store function.
pub type Result<T> = std::result::Result<T, Error>;

/// How the store may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Made if missing, migrated, written to.
    ReadWrite,
    /// A dry run: nothing changes; what would be saved is forgotten.
    ReadOnly,
}

/// Where the store lies.
#[derive(Debug, Clone)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, by its address; machines can share it.
    Postgres(Secret),
}

impl Place {
    /// The database at that address, if the address can be read; nothing is asked there.
    pub fn of_database(url: &str) -> Result<Self> {
        let url = Secret::new(url);
        postgres::Server::check(&url)?;
        Ok(Self::Postgres(url))
    }
}

/// A lock that is held; it ends when this is dropped, and with the process however that ends.
pub struct Guard {
    _held: Held,
}

enum Held {
    Sqlite { _held: sqlite::LockFile },
    Postgres { _held: postgres::LockRow },
}

/// The store. One connection: of threads that share it one waits for the other, for as long as a
/// statement takes.
pub struct Store {
    db: Db,
    rates: OnceLock<Arc<dyn SharedWindow>>,
    clock: fn() -> Timestamp,
    place: Place,
}

enum Db {
    Sqlite(Mutex<sqlite::Sqlite>),
    Postgres(postgres::Postgres),
}

/// The same call to whichever database it is.
macro_rules! either {
    ($store:ident, $db:ident => $call:expr) => {{
        let done = match &$store.db {
            Db::Sqlite(db) => {
                let $db = held(db);
                $call
            }
            Db::Postgres($db) => $call,
        };
        done.map_err(|err| err.at(&$store.place))
    }};
}

impl Store {
    /// Opens the store; in [`Mode::ReadWrite`] it is made and brought up to date if need be.
    /// `clock` is that of this machine, for a store that has none of its own.
    pub fn open(place: &Place, mode: Mode, clock: fn() -> Timestamp) -> Result<Self> {
        let db = match place {
            Place::File(path) => {
                sqlite::Sqlite::open(path, mode, clock).map(|db| Db::Sqlite(Mutex::new(db)))
            }
            Place::Postgres(url) => postgres::Postgres::open(url, mode).map(Db::Postgres),
        };
        let db = db.map_err(|err| err.at(place))?;
        Ok(Self {
            db,
            rates: OnceLock::new(),
            clock,
            place: place.clone(),
        })
    }

    /// The page known for a client in this database.
    pub fn page(&self, database: &DatabaseId, phone: &Phone) -> Result<Option<KnownPage>> {
        Ok(either!(self, db => db.page(database, phone))?.map(|(page, _)| page))
    }

    /// The same; of a page that was kept longer than `max_age` ago only its id is certain.
    pub fn fresh_page(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        max_age: SignedDuration,
    ) -> Result<Option<KnownPage>> {
        let aged = |(page, age)| {
            if age <= max_age {
                page
            } else {
                KnownPage {
                    body: "null".into(),
                    ..page
                }
            }
        };
        Ok(either!(self, db => db.page(database, phone))?.map(aged))
    }

    /// How many clients of this database a page is known to be of.
    pub fn clients_of(&self, database: &DatabaseId, page: &PageId) -> Result<usize> {
        either!(self, db => db.clients_of(database, page))
    }

    /// Counts a use of the known page for `phone`.
    pub fn touch_page(&self, phone: &Phone) -> Result<()> {
        either!(self, db => db.touch_page(phone))
    }

    /// Forgets whose page is the client's: it is gone, or another's.
    pub fn forget_page(&self, database: &DatabaseId, phone: &Phone) -> Result<()> {
        either!(self, db => db.forget_page(database, phone))
    }

    /// The answer kept under `key`.
    pub fn snapshot(&self, key: &str) -> Result<Option<Snapshot>> {
        either!(self, db => db.snapshot(key))
    }

    /// Keeps an answer under `key`.
    pub fn save_snapshot(&self, key: &str, body: &str) -> Result<()> {
        either!(self, db => db.save_snapshot(key, body))
    }

    /// Forgets the answer under `key`.
    pub fn forget_snapshot(&self, key: &str) -> Result<()> {
        either!(self, db => db.forget_snapshot(key))
    }

    /// Records of the contacts that may hold `phone`; the caller compares strictly.
    pub fn contacts_near(&self, phone: &Phone) -> Result<Vec<String>> {
        either!(self, db => db.contacts_near(phone))
    }

    /// Replaces the whole contact index, in one transaction.
    pub fn replace_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        either!(self, db => db.replace_contacts(contacts))
    }

    /// Adds or renews contacts of the index, in one transaction.
    pub fn save_contacts(&self, contacts: &[IndexedContact]) -> Result<()> {
        either!(self, db => db.save_contacts(contacts))
    }

    /// Removes one contact from the index.
    pub fn drop_contact(&self, id: &ContactId) -> Result<()> {
        either!(self, db => db.drop_contact(id))
    }

    /// Entries of an activity on the pages of clients in this database, one for each client.
    pub fn entries(
        &self,
        database: &DatabaseId,
        activity: &ActivityId,
    ) -> Result<Vec<ClientEntry>> {
        either!(self, db => db.entries(database, activity))
    }

    /// Open writes to the client's page, and those to `page`, whoever's they are. What has no note
    /// of its sender counts from now on, unless somebody has found it before; so whoever asks must
    /// be the only one who may write there.
    pub fn open_writes(
        &self,
        database: &DatabaseId,
        phone: &Phone,
        page: Option<&PageId>,
    ) -> Result<Vec<OpenWrite>> {
        either!(self, db => db.open_writes(database, phone, page))
    }

    /// True if a write is open that has to do with this activity.
    pub fn is_open(&self, database: &DatabaseId, activity: &ActivityId) -> Result<bool> {
        either!(self, db => db.is_open(database, activity))
    }

    /// Lets writes be sent: durably, and before the first byte of them. Their numbers, in order.
    /// [`Fault::Busy`], and nothing is recorded, if a lock that allows it may be lost.
    pub fn stamp(&self, writes: &[NewWrite]) -> Result<Vec<i64>> {
        self.still_held()?;
        either!(self, db => db.stamp(writes))
    }

    /// Notes how a write came to nothing, as far as is known.
    pub fn note(&self, write: i64, since: Since) -> Result<()> {
        either!(self, db => db.note(write, since))
    }

    /// Keeps what was learned of a client's page, and closes what is no longer in doubt, in one
    /// transaction.
    pub fn learn(&self, database: &DatabaseId, phone: &Phone, lesson: &Lesson) -> Result<()> {
        either!(self, db => db.learn(database, phone, lesson))
    }

    /// Puts events into the inbox, durably and in one transaction, those that are not there yet.
    /// Tells of each how far it has got; one that was dead lives again. The bytes of one that comes alone may be gone afterwards:
    /// a large one is not in memory more often than need be.
    pub fn receive(&self, arrivals: &mut [Arrival]) -> Result<Vec<EventState>> {
        let mut standings = either!(self, db => db.receive(arrivals))?;
        for (arrival, standing) in arrivals.iter().zip(&mut standings) {
            if *standing == EventState::Dead {
                either!(self, db => db.revive(&arrival.id))?;
                *standing = EventState::Waiting { attempts: 0 };
            }
        }
        Ok(standings)
    }

    /// How far an event has got; `None` if it was never received.
    pub fn standing(&self, id: &EventId) -> Result<Option<EventState>> {
        either!(self, db => db.standing(id))
    }

    /// Marks an event as finished, with its lines in the history, in one transaction.
    pub fn finish(&self, id: &EventId, finish: &Finish) -> Result<()> {
        either!(self, db => db.finish(id, finish))
    }

    /// Notes that an event has failed, and what becomes of it.
    pub fn postpone(
        &self,
        id: &EventId,
        trouble: &Trouble,
        policy: RetryPolicy,
    ) -> Result<Postponed> {
        either!(self, db => db.postpone(id, trouble, policy))
    }

    /// Lets go on what is held by `cause`: it is due. Returns how many.
    pub fn release(&self, cause: &str) -> Result<usize> {
        either!(self, db => db.release(cause))
    }

    /// Removes an event that turned out to concern nobody.
    pub fn discard(&self, id: &EventId) -> Result<()> {
        either!(self, db => db.discard(id))
    }

    /// Unfinished events, oldest first, at most `limit`.
    pub fn waiting(&self, selection: &Selection, limit: usize) -> Result<Vec<EventId>> {
        either!(self, db => db.waiting(selection, limit))
    }

    /// What is not done, in figures.
    pub fn backlog(&self) -> Result<Backlog> {
        either!(self, db => db.backlog())
    }

    /// An unfinished event that (still) belongs to `selection`.
    pub fn load(&self, id: &EventId, selection: &Selection) -> Result<Option<Waiting>> {
        either!(self, db => db.load(id, selection))
    }

    /// Drops the payloads of events that were finished longer than `keep` ago; their keys stay.
    /// Returns how many. Looks for them once a day, and when `keep` is another one than last time:
    /// it takes a walk through the whole inbox.
    pub fn expire(&self, keep: Duration) -> Result<usize> {
        let wanted = keep.as_millis().to_string();
        let last = self.snapshot(EXPIRED)?;
        if last.is_some_and(|last| last.body == wanted && last.age < DAY) {
            return Ok(0);
        }
        let dropped = either!(self, db => db.expire(keep, EXPIRED_AT_ONCE))?;
        if dropped < EXPIRED_AT_ONCE {
            self.save_snapshot(EXPIRED, &wanted)?;
        }
        Ok(dropped)
    }

    /// Takes several locks of one kind, each once and in an order that cannot end in a deadlock.
    /// `None` when one of them is still held at the deadline.
    pub fn lock_all(
        &self,
        locks: impl Iterator<Item = Lock>,
        deadline: Deadline,
    ) -> Result<Option<Vec<Guard>>> {
        let locks: BTreeMap<String, Lock> =
            locks.map(|lock| (self.place_of(&lock), lock)).collect();
        let mut guards = Vec::new();
        for lock in locks.values() {
            match self.lock(lock, deadline)? {
                Some(guard) => guards.push(guard),
                None => return Ok(None),
            }
        }
        Ok(Some(guards))
    }

    /// Takes the locks of those of several events that nobody works on. Waits for none, so their
    /// order is no matter. Returns the locks, and for each event whether its lock is among them.
    pub fn lock_free_events(&self, events: &[EventId]) -> Result<(Vec<Guard>, Vec<bool>)> {
        let mut taken: BTreeMap<String, Option<Guard>> = BTreeMap::new();
        let mut free = Vec::new();
        for event in events {
            let lock = Lock::Event(event.clone());
            let guard = match taken.entry(self.place_of(&lock)) {
                Entry::Occupied(guard) => guard.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self.lock(&lock, Deadline::within(Duration::ZERO))?)
                }
            };
            free.push(guard.is_some());
        }
        Ok((taken.into_values().flatten().collect(), free))
    }

    /// What a lock stands on. Two locks can share it; who has the one has the other then, and must
    /// not ask for it.
    fn place_of(&self, lock: &Lock) -> String {
        match &self.db {
            Db::Sqlite(_) => sqlite::place_of(lock),
            Db::Postgres(_) => lock.name(),
        }
    }

    /// Takes a lock, waiting until `deadline` for its holder. `None` when it is still held then.
    pub fn lock(&self, lock: &Lock, deadline: Deadline) -> Result<Option<Guard>> {
        let taken = match &self.db {
            Db::Sqlite(db) => held(db)
                .lock(lock, deadline)?
                .map(|held| Held::Sqlite { _held: held }),
            Db::Postgres(db) => db
                .lock(lock, deadline)?
                .map(|held| Held::Postgres { _held: held }),
        };
        Ok(taken.map(|held| Guard { _held: held }))
    }

    /// [`Fault::Busy`] when locks that this process holds may be another one's by now, because the
    /// connection that held them was lost. To be asked before a write of which no intent is saved
    /// first; cheap.
    pub fn still_held(&self) -> Result<()> {
        match &self.db {
            // A file's lock is lost with the process, and not before.
            Db::Sqlite(_) => Ok(()),
            Db::Postgres(db) => db.still_held(),
        }
    }

    /// Rate windows that all processes of this store share; for [`crate::http::Vendor`].
    pub fn rates(&self) -> Result<Arc<dyn SharedWindow>> {
        if let Some(rates) = self.rates.get() {
            return Ok(Arc::clone(rates));
        }
        let rates = match &self.db {
            Db::Sqlite(db) => held(db).rates(),
            Db::Postgres(db) if db.is_read_only() => sqlite::own_rates(self.clock),
            Db::Postgres(db) => Ok(db.rates()),
        }?;
        Ok(Arc::clone(self.rates.get_or_init(|| rates)))
    }
}

/// What is protected is a connection, which no panic of ours leaves half used: the database ends
/// what was begun.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
