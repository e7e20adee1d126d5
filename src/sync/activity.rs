//! A call or message on its way to the pages of its clients: whether there is anything to write,
//! and how it reads there.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::{Artifact, CallFacts};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::entry::{self, Names};
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::domain::parties::Party;
use crate::domain::phone::Phone;
use crate::domain::reply::Reply;
use crate::domain::table;
use crate::store::EntryRecord;
use crate::text;

use super::facts::{Draft, Facts, Moment, PageFact};
use super::people::Workspace;
use super::task::Task;
use super::{Error, Run};

/// An activity of which everything is known.
pub struct Activity<'a> {
    /// Which one.
    pub id: ActivityId,
    /// Its own time, if it is known.
    pub at: Option<Timestamp>,
    /// Its time, if that is to move a date.
    pub moment: Option<Moment>,
    /// What it says of who waits for an answer.
    pub reply: Option<Reply>,
    /// True if only what came later about it was told, not the call itself.
    pub is_late: bool,
    /// What is to be written.
    pub content: Content<'a>,
    /// All outside members of a group.
    pub members: Vec<Party>,
    /// Whose numbers and people are named.
    pub workspace: Arc<Workspace>,
}

/// What is to be written of an activity.
pub enum Content<'a> {
    /// A call: its line, where that is to be written, and what goes inside.
    Call {
        /// Its circumstances, and how it went.
        line: Option<(Context, CallFacts)>,
        /// What goes inside.
        artifacts: Cow<'a, [Artifact]>,
    },
    /// A text.
    Message(Cow<'a, Message>),
}

impl<'a> Activity<'a> {
    /// Leaves the activity to be written.
    pub fn put(self, clients: Vec<Phone>, contacts: ContactLookup, task: &mut Task<'a>) {
        (task.activity, task.phones, task.contacts) = (Some(self), clients, contacts);
    }
}

impl Activity<'_> {
    /// What this activity wants on one client's page.
    pub fn draft(&self, run: &Run, facts: &Facts, all: &[&Facts]) -> Result<Draft, Error> {
        let existing = facts.entries.get(&self.id).cloned();
        let names = self.names(run, all);
        let block = match &self.content {
            Content::Message(message) => Some(entry::message(message, &self.members, &names)),
            Content::Call { line, .. } => line
                .as_ref()
                .map(|(context, facts)| entry::call(context, facts, &names)),
        };
        let parts: Vec<_> = match &self.content {
            Content::Call { artifacts, .. } => artifacts
                .iter()
                .map(|artifact| entry::part(artifact, &names))
                .collect(),
            Content::Message(_) => Vec::new(),
        };
        if block.is_none() && existing.is_none() && !parts.is_empty() {
            // It stood there when the call was last heard of; once forgotten, the call is read from
            // Quo again.
            return Err(Error::Unsettled(format!(
                "the entry of {} is no longer on its page",
                self.id
            )));
        }
        let reword = existing
            .as_ref()
            .is_some_and(|entry| self.rewords(&entry.record));
        Ok(Draft {
            activity: self.id.clone(),
            moment: self.moment,
            reply: self.reply,
            block,
            parts,
            existing,
            reword,
        })
    }

    /// True if the store knows for certain whether this activity has an entry on a page of which it
    /// knows everything since then.
    pub fn is_known_of(&self, complete_since: Option<Timestamp>) -> bool {
        let minute = self.at.map(minute_before);
        complete_since.is_none_or(|since| minute.is_some_and(|minute| minute >= since))
    }

    /// The same, of a page that was last edited then. An append alone need not move that time.
    pub fn is_later_than(&self, edited_at: Option<Timestamp>) -> bool {
        let minute = self.at.map(minute_before);
        self.moment.is_some()
            && minute
                .zip(edited_at)
                .is_some_and(|(minute, edited)| edited < minute)
    }

    /// True if the store knows of an entry of it on the client's page.
    pub fn is_heard_of(&self, run: &Run, phone: &Phone) -> Result<bool, Error> {
        let entries = run.store.entries(run.clients_database, &self.id)?;
        Ok(entries.iter().any(|found| found.phone == *phone))
    }

    /// True if it has something for the inside of its entry.
    pub fn brings_parts(&self) -> bool {
        matches!(&self.content, Content::Call { artifacts, .. } if !artifacts.is_empty())
    }

    /// True if there is more to be said of it than the entry says.
    pub fn adds_to(&self, record: &EntryRecord) -> bool {
        if record.gone {
            return false;
        }
        let artifacts = match &self.content {
            Content::Call { artifacts, .. } => artifacts.as_ref(),
            Content::Message(_) => &[],
        };
        self.rewords(record)
            || artifacts
                .iter()
                .any(|artifact| !record.artifacts.contains(&artifact.kind()))
    }

    /// A line is replaced when more is known of how the call went, or when a text got through after
    /// all.
    fn rewords(&self, record: &EntryRecord) -> bool {
        if record.gone {
            return false;
        }
        let (context, facts) = match &self.content {
            Content::Message(message) => {
                return !message.is_undelivered && entry::is_undelivered(&record.line);
            }
            Content::Call { line: None, .. } => return false,
            Content::Call {
                line: Some((context, facts)),
                ..
            } => (context, facts),
        };
        let stands = entry::unfinished_outcome(&record.line);
        let outcome = facts.outcome(context.direction());
        stands.is_some_and(|stands| outcome.says_more_than(&stands))
    }

    fn names(&self, run: &Run, all: &[&Facts]) -> Names {
        let mut phones = self.workspace.own.clone().unwrap_or_default();
        for facts in all {
            let title = match &facts.page {
                PageFact::Known { row, .. } if !facts.phone.matches(row.title()) => {
                    Some(row.title().to_owned())
                }
                PageFact::Known { .. } | PageFact::Absent => None,
            };
            let name = title
                .filter(|title| !title.is_empty())
                .or_else(|| facts.profile.as_ref()?.name.clone());
            phones.extend(name.map(|name| (facts.phone.clone(), name)));
        }
        // The first line of an entry is where it is recognised: no name may break it.
        for name in phones.values_mut() {
            *name = text::words(name);
        }
        let users = self
            .workspace
            .users
            .iter()
            .map(|(id, name)| (id.clone(), text::words(name)))
            .collect();
        Names {
            users,
            phones,
            zone: run.settings.zone.clone(),
        }
    }
}

/// Quo's clock may be ahead of Notion's: a minute less, and whole minutes, as Notion counts.
fn minute_before(at: Timestamp) -> Timestamp {
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    table::floor_to_minute(at)
        .saturating_sub(MINUTE)
        .unwrap_or(at)
}
