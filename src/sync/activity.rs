//! A call or message on its way to the pages of its clients: whether there is anything to write,
//! and how it reads there.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::call::{Artifact, CallFacts};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::entry::{self, Names};
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::domain::outcome::{Action, Reason, Synced};
use crate::domain::parties::Party;
use crate::domain::phone::Phone;
use crate::store::{EntryRecord, KnownPage};
use crate::text;

use super::client::Task;
use super::facts::{Draft, Facts, Moment, PageFact};
use super::gather::{self, entry::EntryStanding};
use super::people::Workspace;
use super::plan::{self, Layout};
use super::{Error, Run};

/// An activity of which everything is known.
pub struct Activity<'a> {
    /// Which one.
    pub id: ActivityId,
    /// Its time, if that is to move a date.
    pub moment: Option<Moment>,
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
    /// Leaves the activity to be written, unless it stands everywhere already.
    pub fn put(
        self,
        run: &Run,
        clients: Vec<Phone>,
        contacts: ContactLookup,
        task: &mut Task<'a>,
    ) -> Result<(), Error> {
        if let Some(synced) = self.stands_everywhere(run, &clients)? {
            task.pages = synced;
            task.skipped = Some(Reason::Duplicate);
        } else {
            (task.activity, task.phones, task.contacts) = (Some(self), clients, contacts);
        }
        Ok(())
    }
}

impl Activity<'_> {
    /// What this activity wants on one client's page. Looks at the page where the store does not
    /// know for certain what stands there.
    pub fn draft(&self, run: &Run, facts: &Facts, all: &[&Facts]) -> Result<Draft, Error> {
        let standing = self.existing(run, facts)?;
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
        if block.is_none() && standing.is_none() && !parts.is_empty() {
            // It stood there when the call was last heard of; once forgotten, the call is read from
            // Quo again.
            return Err(Error::Unsettled(format!(
                "the entry of {} is no longer on its page",
                self.id
            )));
        }
        let reword = standing
            .as_ref()
            .is_some_and(|standing| self.rewords(&standing.record));
        let (existing, inside) = standing
            .map(|standing| (standing.record, standing.inside))
            .unzip();
        let inside = inside.unwrap_or_default();
        Ok(Draft {
            activity: self.id.clone(),
            moment: self.moment,
            block,
            parts,
            existing,
            inside,
            reword,
        })
    }

    fn existing(&self, run: &Run, facts: &Facts) -> Result<Option<EntryStanding>, Error> {
        let page = match &facts.page {
            PageFact::Absent => None,
            PageFact::Known { row, .. } => Some(&row.id),
        };
        let records = run.store.entries(&self.id)?;
        let Some(record) = records
            .into_iter()
            .find(|record| record.phone == facts.phone)
        else {
            // Artifacts come after their call: its entry may stand there although this store never
            // heard of it.
            let late =
                matches!(&self.content, Content::Call { artifacts, .. } if !artifacts.is_empty());
            let Some(page) = page.filter(|_| late) else {
                return Ok(None);
            };
            return gather::entry::unheard_of(run, &self.id, &facts.phone, page);
        };
        let Some(standing) = gather::entry::settle(run, record, page)? else {
            return Ok(None);
        };
        if self.adds_to(&standing.record) {
            gather::entry::locate(run, standing)
        } else {
            Ok(Some(standing))
        }
    }

    /// If every client has its entry and nothing is to be added: their pages.
    fn stands_everywhere(&self, run: &Run, phones: &[Phone]) -> Result<Option<Vec<Synced>>, Error> {
        let records = run.store.entries(&self.id)?;
        let mut synced = Vec::new();
        for phone in phones {
            let certain = |record: &&EntryRecord| {
                record.phone == *phone && record.written && record.pending.is_empty()
            };
            let Some(record) = records
                .iter()
                .find(certain)
                .filter(|record| !self.adds_to(record))
            else {
                return Ok(None);
            };
            let known = run.store.page(phone)?;
            // The entry was written, and perhaps not the properties beside it.
            if let Some(known) = &known
                && (known.body == "null" || self.is_ahead_of(run, known)?)
            {
                return Ok(None);
            }
            let title = known.map_or_else(|| phone.written(), |known| known.title);
            let page = record.page.clone();
            synced.push(Synced {
                phone: phone.clone(),
                action: Action::Skipped,
                page,
                client_name: title,
            });
        }
        Ok(Some(synced))
    }

    /// True if the page's date lies before this activity, as far as the store knows the page and
    /// its columns.
    fn is_ahead_of(&self, run: &Run, known: &KnownPage) -> Result<bool, Error> {
        let Some((moment, row)) = self.moment.zip(gather::page::kept_row(known)) else {
            return Ok(false);
        };
        let Some(columns) = gather::table::kept_columns(run)? else {
            return Ok(true);
        };
        let layout = Layout {
            columns: &columns,
            names: &run.settings.columns,
        };
        Ok(plan::is_behind(&row, moment, &layout))
    }

    fn adds_to(&self, record: &EntryRecord) -> bool {
        let Content::Call { artifacts, .. } = &self.content else {
            return false;
        };
        self.rewords(record)
            || artifacts
                .iter()
                .any(|artifact| !record.artifacts.contains(&artifact.kind()))
    }

    /// A line is replaced when more is known of how the call went.
    fn rewords(&self, record: &EntryRecord) -> bool {
        let Content::Call {
            line: Some((context, facts)),
            ..
        } = &self.content
        else {
            return false;
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
