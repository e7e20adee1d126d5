//! Calls and messages: who took part, whether there is anything to write, and how it reads on a
//! page.

use std::borrow::Cow;

use crate::domain::call::FollowUp;
use crate::domain::call::{Artifact, CallFacts, CallOutcome, CallUpdate};
use crate::domain::context::ContactLookup;
use crate::domain::context::Context;
use crate::domain::entry::{self, Names};
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::domain::outcome::{Action, Reason, Synced};
use crate::domain::parties::{Direction, Parties, Party};
use crate::domain::phone::Phone;
use crate::store::{EntryRecord, KnownPage};

use super::facts::{Draft, Facts, Moment, PageFact};
use crate::quo::Availability;
use crate::text;

use super::client::Task;
use super::gather::{self, entry::Standing};
use super::people::{self, Workspace};
use super::plan::{self, Layout};
use super::{Error, Sync};

/// An activity on its way to the pages of its clients.
pub struct Activity<'a> {
    id: ActivityId,
    content: Content<'a>,
    members: Vec<Party>,
    workspace: &'a Workspace,
}

enum Content<'a> {
    Call {
        line: Option<(Context, CallFacts)>,
        artifacts: Cow<'a, [Artifact]>,
    },
    Message(Cow<'a, Message>),
}

/// A call, or what became known about one, for its clients' pages.
pub fn call<'a>(
    sync: &'a Sync,
    (news, late): (Cow<'a, CallUpdate>, bool),
    task: &mut Task<'a>,
) -> Result<(), Error> {
    let records = sync.store.entries(&news.context.id)?;
    let fetched = fetch_call(sync, (&news, late), &records)?;
    let workspace = sync.workspace(&mut task.outcome)?;
    let voicemail = news
        .artifacts
        .iter()
        .any(|artifact| matches!(artifact, Artifact::Voicemail { .. }));
    let facts = match (
        news.facts.clone(),
        fetched.as_ref().and_then(|call| call.facts.clone()),
    ) {
        (Some(told), Some(read)) if read.outcome.says_more_than(&told.outcome) => Some(read),
        (told, read) => told.or(read),
    };
    let facts = facts.map(|facts| with_voicemail(facts, voicemail));
    // A reply to our question knows less of the contacts than a delivery does.
    let context = match fetched {
        Some(fetched) => news.context.completed_by(&Context {
            contacts: ContactLookup::None,
            ..fetched.context
        }),
        None => news.context.clone(),
    };
    let named = context
        .direction
        .filter(|_| context.parties != Parties::Unknown);
    let phones = match named {
        Some(direction) => {
            let outside = people::outside(direction, &context.parties, workspace)
                .map_err(|_| Error::OwnNumbersNeeded)?;
            task.outcome.warnings.extend(outside.warnings);
            outside.clients
        }
        None if records.is_empty() && context.direction.is_none() => {
            task.outcome.skipped = Some(Reason::MissingFields);
            return Ok(());
        }
        None => records.iter().map(|record| record.phone.clone()).collect(),
    };
    let contacts = context.contacts.clone();
    let id = context.id.clone();
    let line = facts.map(|facts| (context, facts));
    let artifacts = match news {
        Cow::Borrowed(news) => Cow::Borrowed(news.artifacts.as_slice()),
        Cow::Owned(news) => Cow::Owned(news.artifacts),
    };
    let activity = Activity {
        id,
        content: Content::Call { line, artifacts },
        members: Vec::new(),
        workspace,
    };
    put(sync, activity, (phones, contacts), task)
}

/// Asks Quo for an artifact that no delivery announces. `None` if there is none.
pub fn answer(sync: &Sync, follow_up: &FollowUp) -> Result<Option<CallUpdate>, Error> {
    let Some(quo) = sync.quo_until(sync.deadline) else {
        return Err(Error::Misconfigured(
            "an artifact has to be read from quo, and no OPENPHONE_API_KEY is set".into(),
        ));
    };
    match quo.fetch_artifact(&follow_up.activity, follow_up.kind)? {
        Availability::Ready(artifact) => Ok(Some(CallUpdate::late(
            &follow_up.activity,
            follow_up.link.clone(),
            artifact,
        ))),
        Availability::Pending => {
            let kind = follow_up.kind.word().to_lowercase();
            Err(Error::Unknown(format!(
                "the {kind} of {} is still being made",
                follow_up.activity
            )))
        }
        Availability::Absent => Ok(None),
    }
}

/// A message for its clients' pages.
pub fn message<'a>(
    sync: &'a Sync,
    news: Cow<'a, Message>,
    task: &mut Task<'a>,
) -> Result<(), Error> {
    let unknown = news.context.parties == Parties::Unknown;
    let message = if unknown {
        Cow::Owned(fetch_message(sync, &news)?)
    } else {
        news
    };
    let context = &message.context;
    let Some(direction) = context.direction else {
        task.outcome.skipped = Some(Reason::MissingFields);
        return Ok(());
    };
    let workspace = sync.workspace(&mut task.outcome)?;
    let outside = people::outside(direction, &context.parties, workspace)
        .map_err(|_| Error::OwnNumbersNeeded)?;
    task.outcome.warnings.extend(outside.warnings);
    let (id, contacts) = (context.id.clone(), context.contacts.clone());
    let activity = Activity {
        id,
        content: Content::Message(message),
        members: outside.members,
        workspace,
    };
    put(sync, activity, (outside.clients, contacts), task)
}

/// Leaves an activity to be written, unless it stands everywhere already or concerns nobody.
fn put<'a>(
    sync: &Sync,
    activity: Activity<'a>,
    (phones, contacts): (Vec<Phone>, ContactLookup),
    task: &mut Task<'a>,
) -> Result<(), Error> {
    let mut clients = Vec::new();
    for phone in phones {
        // Who has a page has a number; the numbering plans, which take a while to load, are asked
        // about others only.
        if sync.store.page(&phone)?.is_some() || phone.is_possible() {
            clients.push(phone);
        } else {
            task.outcome.warnings.push(people::impossible(&phone));
        }
    }
    if clients.is_empty() {
        task.outcome.skipped = Some(Reason::NoClientNumber);
    } else if let Some(synced) = activity.stands_everywhere(sync, &clients)? {
        task.outcome.synced = synced;
        task.outcome.skipped = Some(Reason::Duplicate);
    } else {
        (task.activity, task.phones, task.contacts) = (Some(activity), clients, contacts);
    }
    Ok(())
}

impl Activity<'_> {
    /// What this activity wants on one client's page. Looks at the page where the store does not
    /// know for certain what stands there.
    pub fn draft(&self, sync: &Sync, facts: &Facts, all: &[&Facts]) -> Result<Draft, Error> {
        let standing = self.existing(sync, facts)?;
        let names = self.names(sync, all);
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
            moment: self.moment(),
            block,
            parts,
            existing,
            inside,
            reword,
        })
    }

    fn existing(&self, sync: &Sync, facts: &Facts) -> Result<Option<Standing>, Error> {
        let page = match &facts.page {
            PageFact::Absent => None,
            PageFact::Known { row, .. } => Some(&row.id),
        };
        let records = sync.store.entries(&self.id)?;
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
            return gather::entry::unheard_of(sync, (&self.id, &facts.phone), page);
        };
        let Some(standing) = gather::entry::settle(sync, record, page)? else {
            return Ok(None);
        };
        if self.adds_to(&standing.record) {
            gather::entry::locate(sync, standing)
        } else {
            Ok(Some(standing))
        }
    }

    /// If every client has its entry and nothing is to be added: their pages.
    fn stands_everywhere(
        &self,
        sync: &Sync,
        phones: &[Phone],
    ) -> Result<Option<Vec<Synced>>, Error> {
        let records = sync.store.entries(&self.id)?;
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
            let known = sync.store.page(phone)?;
            // The entry was written, and perhaps not the properties beside it.
            if let Some(known) = &known
                && (known.body == "null" || self.is_ahead_of(sync, known)?)
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
    fn is_ahead_of(&self, sync: &Sync, known: &KnownPage) -> Result<bool, Error> {
        let Some((moment, row)) = self.moment().zip(gather::page::kept_row(known)) else {
            return Ok(false);
        };
        let Some(columns) = gather::table::kept_columns(sync)? else {
            return Ok(true);
        };
        let layout = Layout {
            columns: &columns,
            names: &sync.settings.columns,
        };
        Ok(plan::is_behind(&row, moment, &layout))
    }

    /// Its time, if that is to move a date.
    fn moment(&self) -> Option<Moment> {
        match &self.content {
            Content::Message(message) => message.context.at.map(Moment::Message),
            Content::Call {
                line: Some((context, _)),
                ..
            } => context.at.map(Moment::Call),
            Content::Call { line: None, .. } => None,
        }
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
            line: Some((_, facts)),
            ..
        } = &self.content
        else {
            return false;
        };
        let stands = [(entry::says_missed(&record.line), CallOutcome::Missed)]
            .into_iter()
            .chain([(
                entry::names_nobody(&record.line),
                CallOutcome::Answered(None),
            )]);
        stands
            .filter(|(says, _)| *says)
            .any(|(_, stands)| facts.outcome.says_more_than(&stands))
    }

    fn names(&self, sync: &Sync, all: &[&Facts]) -> Names {
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
            zone: sync.settings.zone.clone(),
        }
    }
}

/// Reads the call from Quo if the delivery and the store together do not say enough. An entry that
/// is only intended, or lost, says nothing: its call has to be known as if it were new.
fn fetch_call(
    sync: &Sync,
    (news, late): (&CallUpdate, bool),
    records: &[EntryRecord],
) -> Result<Option<CallUpdate>, Error> {
    let unwritten = records.is_empty() || records.iter().any(|record| !record.written);
    let nobody_named = news.context.parties == Parties::Unknown && unwritten;
    let needed = nobody_named || (news.facts.is_none() && unwritten);
    let left_message = news
        .artifacts
        .iter()
        .any(|artifact| matches!(artifact, Artifact::Voicemail { .. }));
    let may_say_more = |record: &EntryRecord| {
        left_message && entry::says_missed(&record.line) || entry::names_nobody(&record.line)
    };
    let names_nobody = news.context.direction == Some(Direction::Incoming)
        && news
            .facts
            .as_ref()
            .is_some_and(|facts| facts.outcome == CallOutcome::Answered(None));
    let worth_asking = late && (names_nobody || records.iter().any(may_say_more));
    if !(needed || worth_asking) {
        return Ok(None);
    }
    let id = &news.context.id;
    let found = sync
        .quo_until(sync.deadline)
        .map(|quo| quo.fetch_call(id))
        .transpose();
    match found {
        Ok(Some(Some(call))) => Ok(Some(call)),
        _ if !needed => Ok(None),
        Ok(Some(None)) => Err(Error::Unknown(format!(
            "quo does not have the call {id} (yet)"
        ))),
        Ok(None) => Err(Error::Misconfigured(format!(
            "the call {id} has to be read from quo, and no OPENPHONE_API_KEY is set"
        ))),
        Err(err) => Err(err.into()),
    }
}

fn fetch_message(sync: &Sync, news: &Message) -> Result<Message, Error> {
    let id = &news.context.id;
    let Some(quo) = sync.quo_until(sync.deadline) else {
        return Err(Error::Misconfigured(format!(
            "the message {id} has to be read from quo, and no OPENPHONE_API_KEY is set"
        )));
    };
    let found = quo.fetch_message(id)?;
    found.ok_or_else(|| Error::Unknown(format!("quo does not have the message {id} (yet)")))
}

fn with_voicemail(facts: CallFacts, voicemail: bool) -> CallFacts {
    let outcome = if voicemail && facts.outcome == CallOutcome::Missed {
        CallOutcome::Voicemail
    } else {
        facts.outcome
    };
    CallFacts { outcome, ..facts }
}
