//! What Quotion remembers, in words of the domain: known pages, schemas, contacts, own numbers,
//! entries, and the inbox of events with how far each has got.
//!
//! Apart because memory is shared by processes and outlives them. Vendors' answers are kept as they
//! came; only the vendors' own modules read them. Nothing here talks to a vendor. Times are the
//! store's own: with a shared database no machine's clock is trusted over another's.

mod error;
mod postgres;
mod record;
mod sqlite;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{ActivityId, ContactId, DatabaseId, EventId, PageId};
use crate::domain::phone::Phone;
use crate::http::SharedWindow;
use crate::secret::Secret;
use crate::time::simulation::point;
use crate::time::{self, Deadline};

pub use error::{Error, Fault};
pub use record::{
    Arrival, Carries, ClientEntry, EntryRecord, EventState, Finish, HistoryLine, IndexedContact,
    KnownPage, Lesson, Lock, NewWrite, OpenWrite, RetryPolicy, Selection, Since, Snapshot, Trouble,
    Waiting,
};

/// Snapshot that tells when payloads were last dropped; its body is how long they were kept, in
/// milliseconds.
const EXPIRED: &str = "expired";
/// Payloads dropped in one go, so that no run is held up by the retention of others; what is left
/// goes next time.
const EXPIRED_AT_ONCE: usize = 10_000;
/// Until payloads are looked for again.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Nobody waits so short a time for another look.
const SHORTEST_POLL: Duration = Duration::from_millis(2);
/// How soon a lock that is held is tried again.
const POLL: Duration = Duration::from_millis(5);
/// Up to this it doubles where a server is asked.
const LONGEST_POLL: Duration = Duration::from_millis(200);

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

/// Locks that are held, until this is dropped. With the process they end too: files at once, rows
/// half a minute later.
pub struct Guard(Held);

enum Held {
    /// By their places.
    Files(BTreeMap<String, Arc<sqlite::LockFile>>),
    Rows(postgres::LeaseRows),
}

impl Guard {
    /// Gives back those that are not among these.
    fn keep_only(&mut self, places: &[String]) -> Result<()> {
        match &mut self.0 {
            Held::Files(files) => {
                files.retain(|place, _| places.contains(place));
                Ok(())
            }
            Held::Rows(rows) => rows.keep_only(places),
        }
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
            files: Mutex::default(),
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
    /// Tells of each how far it has got. The bytes of one that comes alone may be gone afterwards:
    /// a large one is not in memory more often than need be.
    pub fn receive(&self, arrivals: &mut [Arrival]) -> Result<Vec<EventState>> {
        point("receive");
        either!(self, db => db.receive(arrivals))
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

    /// Notes that an event has failed, and when it is to be tried again. True if it is dead now.
    pub fn postpone(&self, id: &EventId, trouble: &Trouble, patience: RetryPolicy) -> Result<bool> {
        point("postpone");
        either!(self, db => db.postpone(id, trouble, patience))
    }

    /// Removes an event that turned out to concern nobody.
    pub fn discard(&self, id: &EventId) -> Result<()> {
        either!(self, db => db.discard(id))
    }

    /// Unfinished events, oldest first, at most `limit`.
    pub fn waiting(&self, selection: &Selection, limit: usize) -> Result<Vec<EventId>> {
        either!(self, db => db.waiting(selection, limit))
    }

    /// How many events belong to `selection`.
    pub fn count(&self, selection: &Selection) -> Result<usize> {
        either!(self, db => db.count(selection))
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

    /// Takes several locks of one kind, each once and in an order that cannot end in a deadlock;
    /// waits until `deadline` for their holders. `None` when one of them is still held then.
    pub fn lock_all(
        &self,
        locks: impl Iterator<Item = Lock>,
        deadline: Deadline,
    ) -> Result<Option<Vec<Guard>>> {
        let places: BTreeSet<String> = locks.map(|lock| self.place_of(&lock)).collect();
        let places: Vec<String> = places.into_iter().collect();
        let (mut guards, mut have, mut wait) = (Vec::new(), 0, POLL);
        let longest = match &self.db {
            Db::Sqlite(_) => POLL,
            Db::Postgres(_) => LONGEST_POLL,
        };
        while have < places.len() {
            let (mut guard, taken) = self.try_lock(&places[have..], false)?;
            let first = taken.iter().take_while(|taken| **taken).count();
            if first > 0 {
                guard.keep_only(&places[have..have + first])?;
                guards.push(guard);
                have += first;
                continue;
            }
            drop(guard);
            let left = deadline.left().unwrap_or(Duration::MAX);
            if left < SHORTEST_POLL || !time::pause(wait.min(left / 2), deadline) {
                return Ok(None);
            }
            wait = (wait * 2).min(longest);
        }
        Ok(Some(guards))
    }

    /// Takes the locks of those of several events that nobody works on. Waits for none, so their
    /// order is no matter. Returns the locks, and for each event whether its lock is among them.
    pub fn lock_free_events(&self, events: &[EventId]) -> Result<(Vec<Guard>, Vec<bool>)> {
        let place_of = |event: &EventId| self.place_of(&Lock::Event(event.clone()));
        let places: Vec<String> = events.iter().map(place_of).collect();
        let each: BTreeSet<String> = places.iter().cloned().collect();
        let each: Vec<String> = each.into_iter().collect();
        let (guard, taken) = self.try_lock(&each, true)?;
        let taken: BTreeMap<&String, bool> = each.iter().zip(taken).collect();
        Ok((vec![guard], places.iter().map(|it| taken[it]).collect()))
    }

    /// What a lock stands on. Two locks can share it; who has the one has the other then, and must
    /// not ask for it.
    fn place_of(&self, lock: &Lock) -> String {
        match &self.db {
            Db::Sqlite(_) => sqlite::place_of(lock),
            Db::Postgres(_) => lock.name(),
        }
    }

    /// Takes those locks that nobody has; without `any` only those before the first that somebody
    /// has.
    fn try_lock(&self, places: &[String], any: bool) -> Result<(Guard, Vec<bool>)> {
        point("lock");
        match &self.db {
            Db::Sqlite(db) => {
                let mut files = BTreeMap::new();
                for place in places {
                    match held(db).try_lock(place)? {
                        Some(file) => drop(files.insert(place.clone(), Arc::new(file))),
                        None if any => {}
                        None => break,
                    }
                }
                let taken = places.iter().map(|it| files.contains_key(it)).collect();
                held(&self.files).extend(files.iter().map(|(k, v)| (k.clone(), Arc::downgrade(v))));
                Ok((Guard(Held::Files(files)), taken))
            }
            Db::Postgres(db) => {
                let (rows, taken) = db.try_lease(places, any)?;
                Ok((Guard(Held::Rows(rows)), taken))
            }
        }
    }

    /// The files of those of these locks that are held.
    fn held_files(&self, locks: &[Lock]) -> Vec<Arc<sqlite::LockFile>> {
        let files = held(&self.files);
        let file = |lock: &Lock| files.get(&sqlite::place_of(lock))?.upgrade();
        locks.iter().filter_map(file).collect()
    }

    /// Takes a lock, waiting until `deadline` for its holder. `None` when it is still held then.
    pub fn lock(&self, lock: &Lock, deadline: Deadline) -> Result<Option<Guard>> {
        let taken = self.lock_all([lock.clone()].into_iter(), deadline)?;
        Ok(taken.and_then(|mut guards| guards.pop()))
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
