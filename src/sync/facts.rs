//! What the plan is made from: facts about a client, and what an event wants to put on the client's
//! page.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::block::Block;
use crate::domain::id::{ActivityId, PageId};
use crate::domain::outcome::Warning;
use crate::domain::phone::Phone;
use crate::domain::profile::Profile;
use crate::domain::reply::{Decision, Reply, Sign};
use crate::domain::step::{NewEntry, Part};
use crate::domain::table::Row;
use crate::store::EntryRecord;

/// What is known about one client.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The client.
    pub phone: Phone,
    /// What Quo knows.
    pub profile: Option<Profile>,
    /// True if Quo has no other contacts than those that were looked through: then nobody is known
    /// of whom nothing is known here.
    pub all_contacts_seen: bool,
    /// What Notion has.
    pub page: PageFact,
    /// What stands there, or has stood there, of the activities that are to be written.
    pub entries: BTreeMap<ActivityId, EntryFact>,
    /// What was decided last of who waits for an answer.
    pub decision: Option<Decision>,
    /// What a person may want to know about the page.
    pub warnings: Vec<Warning>,
}

/// The client's page, as far as it was looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum PageFact {
    /// A search succeeded and found none. A search that failed is an error and never comes here.
    Absent,
    /// There is one.
    Known {
        /// Its values.
        row: Row,
        /// False when the values come from the store, and a person may have edited them meanwhile.
        fresh: bool,
        /// From that minute on all entries on it are known; `None`: all of them are.
        complete_since: Option<Timestamp>,
    },
}

impl PageFact {
    /// The page, if there is one.
    pub fn id(&self) -> Option<&PageId> {
        match self {
            Self::Absent => None,
            Self::Known { row, .. } => Some(&row.id),
        }
    }
}

/// An entry that stands on a page, or has stood there.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryFact {
    /// What is known of it.
    pub record: EntryRecord,
    /// Texts of the blocks inside, where they had to be looked at because an artifact may be there
    /// in part.
    pub inside: Vec<String>,
}

/// When an activity was, for the column that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A call: `Last Call`.
    Call(Timestamp),
    /// A message: `Last Message`, else `Last Call`.
    Message(Timestamp),
}

impl Moment {
    /// The time itself.
    pub fn time(self) -> Timestamp {
        match self {
            Self::Call(time) | Self::Message(time) => time,
        }
    }
}

/// What one event wants on one client's page.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The call or message.
    pub activity: ActivityId,
    /// Its time, if it is to move a date.
    pub moment: Option<Moment>,
    /// What it says of who waits for an answer.
    pub reply: Option<Reply>,
    /// Its line; `None` when only artifacts came and the line stands already.
    pub block: Option<Block>,
    /// Its artifacts.
    pub parts: Vec<Part>,
    /// The entry that is there already, or was.
    pub existing: Option<EntryFact>,
    /// True when the line that is there is to be replaced by `block`.
    pub reword: bool,
}

impl Draft {
    /// Artifacts that the entry does not hold yet.
    pub fn missing_parts(&self) -> Vec<Part> {
        let has = |part: &&Part| {
            let existing = self.existing.as_ref().map(|entry| &entry.record);
            existing.is_some_and(|entry| entry.gone || entry.artifacts.contains(&part.kind))
        };
        self.parts
            .iter()
            .filter(|part| !has(part))
            .cloned()
            .collect()
    }

    /// What it says of who waits for an answer.
    pub fn sign(&self) -> Option<Sign<'_>> {
        Some(Sign {
            reply: self.reply?,
            at: self.moment?.time(),
            by: &self.activity,
            is_known: self.existing.is_some(),
            is_corrected: self.reword,
        })
    }

    /// The entry, if it is not there yet.
    pub fn new_entry(&self) -> Option<NewEntry> {
        let block = self.block.clone().filter(|_| self.existing.is_none())?;
        Some(NewEntry {
            activity: self.activity.clone(),
            block,
            parts: self.parts.clone(),
        })
    }

    /// True if the entry stands as it should, and nothing is left to write.
    pub fn adds_nothing(&self) -> bool {
        self.existing.is_some() && !self.reword && self.missing_parts().is_empty()
    }
}
