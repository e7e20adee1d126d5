//! What the store holds, as values.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, ContactId, EventId, NumberId, PageId};
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
}

/// A whole answer of a vendor, kept for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The answer, JSON.
    pub body: String,
    /// Time since it was fetched, by the store's clock.
    pub age: SignedDuration,
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
    /// The entry's block; unknown when the entry was written together with its page, and while its
    /// line is rewritten.
    pub block: Option<BlockId>,
    /// The entry's first line.
    pub line: String,
    /// False while it is not known to stand on the page: look before writing.
    pub written: bool,
    /// Artifacts that are inside.
    pub artifacts: BTreeSet<ArtifactKind>,
    /// Artifacts of which it is not known whether all of them is inside: look before writing.
    pub pending: BTreeSet<ArtifactKind>,
    /// Time since something was last intended, by the store's clock. Not looked at when saving.
    pub age: SignedDuration,
}

impl EntryRecord {
    /// The entry after it turned out to be gone: it has to be looked for, and written again.
    #[must_use]
    pub fn lost(self) -> Self {
        Self {
            block: None,
            written: false,
            artifacts: BTreeSet::new(),
            pending: BTreeSet::new(),
            ..self
        }
    }
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
    /// Given up after too many attempts, but kept.
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
    /// All that are not done, dead ones too.
    All,
    /// The dead ones.
    Dead,
    /// This one.
    One(EventId),
}

/// What is kept of a finished event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The clients' pages: phone, page, name.
    pub pages: Vec<(Phone, Option<PageId>, String)>,
    /// The activity, for the history; none for contact events.
    pub activity: Option<HistoryLine>,
    /// How long it took.
    pub took: Duration,
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
}

/// Why an event is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind of error, as in results.
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// When to try again what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After so many attempts an event is dead.
    pub attempts: u32,
    /// Wait after the first failure; four times as long after each further one.
    pub first_retry: Duration,
}

impl RetryPolicy {
    /// Longest wait between two attempts.
    const LONGEST: Duration = Duration::from_hours(12);

    /// The wait after so many failures; `None` when it is over.
    pub fn wait(self, attempts: u32) -> Option<Duration> {
        let growth = 4_u32
            .checked_pow(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let wait = self
            .first_retry
            .checked_mul(growth)
            .unwrap_or(Self::LONGEST)
            .min(Self::LONGEST);
        (attempts < self.attempts).then_some(wait)
    }
}

/// What only one process at a time may do. Locks are taken in this order, clients sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// Work on an event.
    Event(EventId),
    /// Write to a client's page.
    Client(Phone),
    /// Rebuild the contact index.
    Contacts,
}

impl Lock {
    /// The lock's name.
    pub fn name(&self) -> String {
        match self {
            Self::Event(id) => format!("event:{id}"),
            Self::Client(phone) => format!("client:{phone}"),
            Self::Contacts => "contacts".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_half_a_day_and_span_an_outage_of_most_of_a_day() {
        let patience = RetryPolicy {
            attempts: 8,
            first_retry: Duration::from_secs(30),
        };
        let waits: Vec<u64> = (1..=8)
            .filter_map(|n| patience.wait(n))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!(waits, [30, 120, 480, 1920, 7680, 30_720, 43_200]);
        assert!(waits.iter().sum::<u64>() > 23 * 3600);
        assert_eq!(
            RetryPolicy {
                attempts: 99,
                ..patience
            }
            .wait(98)
            .map(|wait| wait.as_secs()),
            Some(43_200)
        );
    }
}
