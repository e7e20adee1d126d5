//! What the store tells people: figures, and what became of one event, activity or number.
//!
//! Apart because nothing here is written, and no decision hangs on it.

use jiff::Timestamp;

use crate::domain::id::{ActivityId, EventId, PageId};
use crate::domain::phone::Phone;

use super::text::Pages;
use super::{Db, Result, Store, either, held};

/// What a person wants to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// All that is not done, trouble first.
    Open,
    /// This event, done or not.
    Event(EventId),
    /// The events about this activity that are not done.
    Activity(ActivityId),
    /// The events in which this number stands and that are not done.
    Number(Phone),
}

/// How many events that are not done are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// True for what is left to do about events, false for events.
    pub is_chore: bool,
    /// The state: `queued`, `failed`, `held` or `dead`.
    pub state: String,
    /// How many.
    pub count: u64,
    /// How many of them have waited for over an hour.
    pub late: u64,
    /// When the first of them was received.
    pub oldest: Option<Timestamp>,
    /// When the next of them is tried.
    pub next_try: Option<Timestamp>,
}

/// An event, without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// The call or message.
    pub activity: Option<String>,
    /// The state: `queued`, `failed`, `held`, `dead` or `done`.
    pub state: String,
    /// True while a process works on it.
    pub in_progress: bool,
    /// What kind of failure it met with last.
    pub kind: Option<String>,
    /// What that said.
    pub message: Option<String>,
    /// What it is held by.
    pub held_by: Option<String>,
    /// How often it has failed by itself.
    pub attempts: u32,
    /// The clients' pages, once it is done.
    pub pages: Pages,
    /// When it was received.
    pub received_at: Option<Timestamp>,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
    /// When it is tried next.
    pub next_try_at: Option<Timestamp>,
}

/// How many lines of the history of the last day say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryCount {
    /// `success`, `failed` or `skipped`.
    pub status: String,
    /// What was done with the page.
    pub action: Option<String>,
    /// How many.
    pub count: u64,
}

/// So many times an operation took so long, in the last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The kind of metric.
    pub metric: String,
    /// The operation.
    pub operation: String,
    /// How long it took.
    pub duration_ms: i64,
    /// Whether it succeeded.
    pub success: bool,
    /// How often.
    pub count: u64,
}

/// A number of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRow {
    /// Its id.
    pub id: String,
    /// The number, where it is known.
    pub number: Option<String>,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// When a call of it was last synced.
    pub last_call_at: Option<Timestamp>,
    /// When a text of it was last synced.
    pub last_message_at: Option<Timestamp>,
    /// How many calls were synced.
    pub calls: u64,
    /// How many texts were synced.
    pub messages: u64,
}

/// What the known pages are good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// How many there are.
    pub entries: u64,
    /// How often they were used.
    pub hits: u64,
}

/// When a command last ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// The command.
    pub job: String,
    /// How it ended, JSON.
    pub ended: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// `success`, `failed` or `skipped`.
    pub status: String,
    /// What was done with the page.
    pub action: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
    /// The page.
    pub page: Option<PageId>,
    /// The call or message.
    pub activity: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// A page that is known to be a client's, or on which an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// The page.
    pub page: PageId,
    /// Its title, or the first line of the entry.
    pub title: String,
    /// True once a person has deleted the entry.
    pub gone: bool,
    /// When it was last read, written or seen.
    pub at: Option<Timestamp>,
}

impl Store {
    /// True if there is nothing to be read: no store of this version was made yet.
    pub fn is_blank(&self) -> bool {
        match &self.db {
            Db::Sqlite(db) => held(db).is_blank(),
            Db::Postgres(db) => db.is_blank(),
        }
    }

    /// How many events that are not done are in which state.
    pub fn standings(&self) -> Result<Vec<Standing>> {
        either!(self, db => db.standings())
    }

    /// Events, without their payloads, at most `limit`.
    pub fn events(&self, about: &Inquiry, limit: usize) -> Result<Vec<EventRow>> {
        either!(self, db => db.events(about, limit))
    }

    /// The history of the last day, counted.
    pub fn history_of_today(&self) -> Result<Vec<HistoryCount>> {
        either!(self, db => db.history_of_today())
    }

    /// What was measured in the last day, counted.
    pub fn measures(&self) -> Result<Vec<Measure>> {
        either!(self, db => db.measures())
    }

    /// The workspace's numbers that are in use.
    pub fn numbers(&self) -> Result<Vec<NumberRow>> {
        either!(self, db => db.numbers())
    }

    /// What the known pages are good for.
    pub fn cache_figures(&self) -> Result<CacheFigures> {
        either!(self, db => db.cache_figures())
    }

    /// When each command last ran.
    pub fn jobs(&self) -> Result<Vec<JobRow>> {
        either!(self, db => db.jobs())
    }

    /// Notes that a command has ended, and how: JSON.
    pub fn note_run(&self, job: &str, ended: &str) -> Result<()> {
        self.save_snapshot(&format!("job:{job}"), ended)
    }

    /// The last lines of the history of an activity, the newest first, at most `limit`.
    pub fn history_of_activity(&self, id: &ActivityId, limit: usize) -> Result<Vec<HistoryRow>> {
        either!(self, db => db.history_of_activity(id, limit))
    }

    /// The last lines of the history of a workspace's number, the newest first, at most `limit`.
    pub fn history_of_number(&self, id: &str, limit: usize) -> Result<Vec<HistoryRow>> {
        either!(self, db => db.history_of_number(id, limit))
    }

    /// The pages on which an activity's entry stands.
    pub fn pages_of_activity(&self, id: &ActivityId) -> Result<Vec<PageRow>> {
        either!(self, db => db.pages_of_activity(id))
    }

    /// The pages that are known to be the client's.
    pub fn pages_of_number(&self, phone: &Phone) -> Result<Vec<PageRow>> {
        either!(self, db => db.pages_of_number(phone))
    }
}

/// A moment that a database tells in milliseconds since 1970.
pub(super) fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// A count, which is never negative.
pub(super) fn count(of: i64) -> u64 {
    u64::try_from(of).unwrap_or_default()
}
