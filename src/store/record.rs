//! What the store holds, as values.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, ContactId, DatabaseId, EventId, NumberId, PageId};
use crate::domain::outcome::Action;
use crate::domain::parties::Direction;
use crate::domain::phone::Phone;

/// A page that is known to be the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPage {
    /// The page.
    pub id: PageId,
    /// Its title.
    pub title: String,
    /// The page as Notion last gave it (JSON), `null` when only its id is certain.
    pub body: String,
    /// From that minute on all entries on it are known here; `None`: all of them are.
    pub complete_since: Option<Timestamp>,
}

/// A whole answer of a vendor, kept for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The answer, JSON.
    pub body: String,
    /// Time since it was fetched, by the store's clock.
    pub age: SignedDuration,
}

/// An event that a backfill prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: EventId,
    /// When its call or text was made; milliseconds count.
    pub at: Timestamp,
    /// The event: JSON on one line.
    pub event: String,
}

/// Which of the events that were printed and not answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offered {
    /// Those that come after this one.
    pub after: Option<(Timestamp, EventId)>,
    /// Those of this run alone.
    pub run: Option<String>,
}

/// The entry of one activity on one page, as it was last seen or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRecord {
    /// Whose entry it is.
    pub activity: ActivityId,
    /// Its page.
    pub page: PageId,
    /// Its block; unknown when the entry was written together with its page.
    pub block: Option<BlockId>,
    /// Its first line.
    pub line: String,
    /// Artifacts that are inside.
    pub artifacts: BTreeSet<ArtifactKind>,
    /// Artifacts that were begun, and of which perhaps not all is inside.
    pub begun: BTreeSet<ArtifactKind>,
    /// True once it was not found where it stood: a person has deleted it.
    pub gone: bool,
    /// Time since it was last written or seen. Not looked at when saving.
    pub age: SignedDuration,
}

/// An entry, and one of the clients whose page it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientEntry {
    /// The client.
    pub phone: Phone,
    /// The entry.
    pub entry: EntryRecord,
}

/// A write that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWrite {
    /// The database that the page lies in.
    pub database: DatabaseId,
    /// Whose page it is.
    pub phone: Phone,
    /// The page; none while it is being made.
    pub page: Option<PageId>,
    /// What is written with it.
    pub carries: Carries,
    /// Whose entries or parts.
    pub activities: Vec<ActivityId>,
}

impl NewWrite {
    /// The locks under which it may be sent: the client's, and the page's where that is held.
    pub fn locks(&self) -> Vec<Lock> {
        let client = Lock::Client(self.phone.clone());
        let page = self.page.clone().map(Lock::Page);
        [client].into_iter().chain(page).collect()
    }
}

/// What a write brings onto a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Entries, each whole as far as it goes: once they stand there it has arrived.
    Entries,
    /// Something for the inside of entries.
    Parts,
    /// Values of columns, or a line anew: what is the same however often it is written.
    Values,
}

impl Carries {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Parts => "parts",
            Self::Values => "values",
        }
    }

    /// Reads it. What is not known may double.
    pub fn of_word(word: &str) -> Self {
        match word {
            "entries" => Self::Entries,
            "values" => Self::Values,
            _ => Self::Parts,
        }
    }
}

/// A write of which no answer was kept: perhaps it has arrived, perhaps it still will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWrite {
    /// Its place in the store.
    pub id: i64,
    /// The page that it was sent to; none where it makes one.
    pub page: Option<PageId>,
    /// What it carries.
    pub carries: Carries,
    /// Whose entries or parts.
    pub activities: Vec<ActivityId>,
    /// What its age counts from.
    pub since: Since,
    /// Time since then, by a clock that nobody sets.
    pub age: Duration,
}

/// What the age of an open write counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The API has answered that it failed.
    Answer,
    /// Its last byte has gone out, and no answer of the API came.
    LastByte,
    /// It was found without a note of its sender.
    Finding,
}

/// What an answer or a look has taught.
#[derive(Debug, Clone, Default)]
pub struct Lesson<'a> {
    /// Open writes of which nothing is in doubt any more.
    pub closes: &'a [i64],
    /// The client's page.
    pub page: Option<&'a KnownPage>,
    /// Entries.
    pub entries: &'a [EntryRecord],
    /// Entries that were seen in passing: what is known of them already counts more, but for
    /// whether they are gone.
    pub passed: &'a [EntryRecord],
}

/// A contact for the index: id, keys of its numbers, and the record as Quo gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedContact {
    /// The contact.
    pub id: ContactId,
    /// Keys of its numbers, see [`crate::domain::phone::tail_of`].
    pub tails: Vec<String>,
    /// The record, JSON.
    pub body: String,
}

/// An event as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// The call or message.
    pub activity: Option<ActivityId>,
    /// Its bytes as received.
    pub payload: Vec<u8>,
    /// How long to wait before it is due for replay.
    pub delay: Duration,
}

/// How far an event has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventState {
    /// Received, not finished.
    Waiting {
        /// How often it has failed.
        attempts: u32,
    },
    /// Finished; the clients' pages: phone, page, name.
    Done(Vec<(Phone, Option<PageId>, String)>),
    /// Held until the operator has mended something.
    Held,
    /// Given up, but kept.
    Dead,
}

/// An unfinished event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: EventId,
    /// Its bytes as received.
    pub payload: Vec<u8>,
    /// When it was first received.
    pub received: Timestamp,
}

/// Which unfinished events a replay takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those whose time has come.
    Due,
    /// Those that wait, due or not.
    Waiting,
    /// Those that are held by this; of whom nothing was noted for longest comes first.
    HeldBy(String),
    /// The dead ones.
    Dead,
    /// This one.
    One(EventId),
}

/// What of the inbox is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many wait.
    pub waiting: usize,
    /// How long until the first of them is due; zero once it is.
    pub due_in: Option<Duration>,
    /// What is held, by what.
    pub held: Vec<HeldCount>,
    /// How many are dead.
    pub dead: usize,
}

impl Backlog {
    /// Adds a count of those in this state: `waiting`, `held` or `dead`.
    pub(super) fn add(&mut self, state: &str, count: HeldCount, due_in: Option<Duration>) {
        match state {
            "held" => self.held.push(count),
            "dead" => self.dead += count.events,
            _ => {
                self.waiting += count.events;
                self.due_in = due_in;
            }
        }
    }

    /// How many there are.
    pub fn events(&self) -> usize {
        let held: usize = self.held.iter().map(|count| count.events).sum();
        self.waiting + held + self.dead
    }
}

/// How many events are held by something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCount {
    /// What is to be mended.
    pub cause: String,
    /// How many.
    pub events: usize,
}

/// The operation of what is no event, but left to do about one.
pub const CHORE: &str = "chore";

/// What is kept of a finished event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The clients' pages: phone, page, name.
    pub pages: Vec<(Phone, Option<PageId>, String)>,
    /// The activity, for the history; none for contact events.
    pub activity: Option<HistoryLine>,
    /// How long it took.
    pub took: Duration,
    /// What was measured.
    pub metrics: Vec<Metric>,
}

/// How long something took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// `api_call` (Quo), `notion_query`, `canvas_lookup` or `sync`.
    pub kind: &'static str,
    /// What was done; of `sync` it is `call`, `message`, `contact`, or [`CHORE`].
    pub operation: String,
    /// How long.
    pub took: Duration,
    /// Whether it succeeded.
    pub success: bool,
}

/// What the history says of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// The call or message.
    pub id: ActivityId,
    /// True for a call.
    pub is_call: bool,
    /// Who began it.
    pub direction: Option<Direction>,
    /// The workspace's number.
    pub number: Option<NumberId>,
    /// True if it was done before.
    pub is_skip: bool,
    /// What was done with each of the clients' pages, in their order.
    pub actions: Vec<Action>,
}

/// What only one process at a time may do. Locks are taken in this order, each kind sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Work on an event.
    Event(EventId),
    /// Look for, make and write to a client's page.
    Client(Phone),
    /// Write to a page, which may be several clients'.
    Page(PageId),
    /// Rebuild the contact index.
    Contacts,
}

impl Lock {
    /// The lock's name.
    pub fn name(&self) -> String {
        match self {
            Self::Event(id) => format!("event:{id}"),
            Self::Client(phone) => format!("client:{phone}"),
            Self::Page(page) => format!("page:{page}"),
            Self::Contacts => "contacts".to_owned(),
        }
    }
}
