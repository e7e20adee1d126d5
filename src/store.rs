//! What Quotion remembers, in words of the domain: known pages, schemas, contacts, own numbers,
//! entries, and the inbox of events with how far each has got.
//!
//! Apart because memory is shared by processes and outlives them. Vendors' answers are kept as they
//! came; only the vendors' own modules read them. Nothing here talks to a vendor. Times are the
//! store's own: with a shared database no machine's clock is trusted over another's.

mod error;
mod inspection;
mod lock;
mod postgres;
mod record;
mod retry;
mod sqlite;
mod status;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{ActivityId, ContactId, DatabaseId, EventId, NumberId, PageId};
use crate::domain::phone::Phone;
use crate::http::SharedWindow;
use crate::secret::Secret;
use crate::time::simulation::point;

pub use error::{Error, Fault};
pub use inspection::{Inspection, inspect};
pub use lock::Guard;
pub use record::{
    Arrival, Backlog, CHORE, Carries, ClientEntry, EntryRecord, EventState, Finish, HeldCount,
    HistoryLine, IndexedContact, KnownPage, Lesson, Lock, Metric, NewWrite, Offer, Offered,
    OpenWrite, Selection, Since, Snapshot, Waiting,
};
pub use retry::{EventFault, Postponed, RetryPolicy, Trouble};
pub use status::{
    CacheFigures, EventRow, HistoryCount, HistoryRow, Inquiry, JobRow, Measure, NumberRow, PageRow,
    Standing,
};

/// Snapshot that tells when payloads were last dropped; its body is how long they were kept, in
/// milliseconds.
const EXPIRED: &str = "expired";
/// Snapshot of what tells this store from a copy of it.
const IDENTITY: &str = "identity";
/// Payloads dropped in one go, so that no run is held up by the retention of others; what is left
/// goes next time.
const EXPIRED_AT_ONCE: usize = 10_000;
/// How long the history is kept.
const HISTORY_KEPT: Duration = Duration::from_hours(400 * 24);
/// How long metrics are kept.
const METRICS_KEPT: Duration = Duration::from_hours(7 * 24);
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

/// The store. One connection: of threads that share it one waits for the other, for as long as a
/// statement takes.
pub struct Store {
    db: Db,
    rates: OnceLock<Arc<dyn SharedWindow>>,
    /// Lock files of this process, by their places.
    files: Mutex<BTreeMap<String, Weak<sqlite::LockFile>>>,
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
use either;

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
        let store = Self {
            db,
            rates: OnceLock::new(),
            files: Mutex::default(),
            clock,
            place: place.clone(),
        };
        if mode == Mode::ReadWrite {
            store.notice_copy()?;
        }
        Ok(store)
    }

    /// A store that was put back from a copy does not know what was written since then.
    fn notice_copy(&self) -> Result<()> {
        let (was, is) = match &self.db {
            Db::Sqlite(db) => {
                let was = self.snapshot(IDENTITY)?.map(|kept| kept.body);
                (was, held(db).identity())
            }
            Db::Postgres(db) => db.identity(),
        };
        if was.as_ref() == Some(&is) {
            return Ok(());
        }
        if was.is_some() {
            log::warn!("the store was put back from a copy, or moved: pages are looked at again");
            self.complete_from_now()?;
        }
        self.save_snapshot(IDENTITY, &is)
    }

    /// From now on what is remembered of pages counts as complete, and not of before.
    pub fn complete_from_now(&self) -> Result<()> {
        either!(self, db => db.complete_from_now())
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
        point("forget");
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

    /// Notes events that are about to be printed, and how far the run under `run` has got then, in
    /// one transaction; the mark is a snapshot under that key. They are taken off by who answers
    /// them: [`Self::finish`], [`Self::discard`].
    pub fn offer(&self, run: &str, offers: &[Offer], mark: Option<&str>) -> Result<()> {
        either!(self, db => db.offer(run, offers, mark))
    }

    /// Takes off what was answered before it was printed once more, or is held or given up: the
    /// inbox has it.
    pub fn drop_answered_offers(&self) -> Result<()> {
        either!(self, db => db.drop_answered_offers())
    }

    /// Events that were printed and not answered, oldest first, at most `limit`.
    pub fn offered(&self, which: &Offered, limit: usize) -> Result<Vec<Offer>> {
        either!(self, db => db.offered(which, limit))
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
        point("recall");
        either!(self, db => db.open_writes(database, phone, page))
    }

    /// True if a write is open that has to do with this activity.
    pub fn is_open(&self, database: &DatabaseId, activity: &ActivityId) -> Result<bool> {
        either!(self, db => db.is_open(database, activity))
    }

    /// Lets a write be sent: durably, and before the first byte of it; `again` with the number that
    /// it has already, before it is sent once more. Returns its number.
    ///
    /// [`Fault::Busy`], and nothing is recorded, if the locks under which it may be sent are not
    /// held any more, or the store is no longer the one that was opened.
    pub fn stamp(&self, write: &NewWrite, again: Option<i64>) -> Result<i64> {
        point("stamp");
        let stamped = match &self.db {
            Db::Sqlite(db) => held(db).stamp(write, again, &self.held_files(&write.locks())),
            Db::Postgres(db) => db.stamp(write, again),
        };
        point("stamped");
        stamped.map_err(|err| err.at(&self.place))
    }

    /// Notes how a write came to nothing, as far as is known, and how long ago.
    pub fn note(&self, write: i64, since: Since, ago: Duration) -> Result<()> {
        point("note");
        either!(self, db => db.note(write, since, ago))
    }

    /// Keeps what was learned of a client's page, and closes what is no longer in doubt, in one
    /// transaction. [`Fault::Busy`], and nothing is kept, if a lock was lost meanwhile.
    pub fn learn(&self, database: &DatabaseId, phone: &Phone, lesson: &Lesson) -> Result<()> {
        point("learn");
        let client = [Lock::Client(phone.clone())].into_iter();
        let page = lesson.page.map(|page| Lock::Page(page.id.clone()));
        let locks: Vec<Lock> = client.chain(page).collect();
        let learned = match &self.db {
            Db::Sqlite(db) => held(db).learn(database, phone, lesson, &self.held_files(&locks)),
            Db::Postgres(db) => db.learn(database, phone, lesson, &locks),
        };
        learned.map_err(|err| err.at(&self.place))
    }

    /// Puts events into the inbox, durably and in one transaction, those that are not there yet.
    /// Tells of each how far it has got; one that was dead lives again. The bytes of one that comes
    /// alone may be gone afterwards: a large one is not in memory more often than need be.
    pub fn receive(&self, arrivals: &mut [Arrival]) -> Result<Vec<EventState>> {
        point("receive");
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
        point("finish");
        either!(self, db => db.finish(id, finish))
    }

    /// Notes that an activity was delivered again, and nothing was to be done.
    pub fn skip(&self, line: &HistoryLine, pages: &[Option<PageId>]) -> Result<()> {
        either!(self, db => db.skip(line, pages))
    }

    /// Keeps which numbers the workspace has, by id, number and name; others are in use no more.
    pub fn save_numbers(&self, numbers: &[(NumberId, Phone, String)]) -> Result<()> {
        either!(self, db => db.save_numbers(numbers))
    }

    /// Notes that an event has failed, and what becomes of it.
    pub fn postpone(
        &self,
        id: &EventId,
        trouble: &Trouble,
        policy: RetryPolicy,
    ) -> Result<Postponed> {
        point("postpone");
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
        either!(self, db => db.expire_history())?;
        if dropped < EXPIRED_AT_ONCE {
            self.save_snapshot(EXPIRED, &wanted)?;
        }
        Ok(dropped)
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
