//! What an activity is once everything about it is known: who took part, on which line, how it
//! went. Asks Quo for what the delivery leaves out.
//!
//! Apart from the page work because nothing here looks at Notion.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::call::{Artifact, CallFacts, CallOutcome, CallUpdate, FollowUp};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::entry;
use crate::domain::message::Message;
use crate::domain::outcome::{Notes, Reason, Warning, WarningCode};
use crate::domain::parties::{Began, Direction};
use crate::domain::phone::Phone;
use crate::quo::{self, words::Availability};
use crate::store::ClientEntry;

use super::activity::{Activity, Content};
use super::facts::Moment;
use super::people::{self, Cast, MOST_MEMBERS, Untold, Workspace};
use super::task::Task;
use super::{Error, Run};

/// A call, or what became known about one, for its clients' pages.
pub fn call<'a>(
    run: &'a Run,
    update: Cow<'a, CallUpdate>,
    task: &mut Task<'a>,
) -> Result<(), Error> {
    let records = run
        .store
        .entries(run.clients_database, &update.context.id)?;
    let mut scene = Scene::of(run, update.context.clone(), &mut task.notes)?;
    // A date that a kill may have lost is moved again, for which the call has to be known.
    let is_open = run
        .store
        .is_open(run.clients_database, &update.context.id)?;
    let unwritten = is_open || is_unwritten(&records, &scene);
    let need = need(&update, &records, &scene, unwritten);
    let is_itself = update.facts.is_some();
    let fetched = ask_for_call(run, &scene, need, is_itself, &mut task.notes)?;
    if let Some(fetched) = &fetched {
        // A reply to our question knows less of the contacts than a delivery does.
        let known = Context {
            contacts: ContactLookup::None,
            ..fetched.context.clone()
        };
        let context = scene.context.completed_by(&known);
        scene = Scene::of(run, context, &mut task.notes)?;
    }
    let facts = facts(
        &update,
        fetched.as_ref(),
        &scene.context,
        is_open || is_unwritten(&records, &scene),
    );
    if update.facts.is_some() && scene.context.direction().is_none() {
        scene.cast = scene.cast.and(Err(Untold::Direction));
    }
    let Some(phones) = scene.clients(run, &records, task)? else {
        return Ok(());
    };
    // A moment that is not the call's own may be an artifact's, which moves no date.
    let when = if update.facts.is_some() || fetched.is_some() {
        scene.context.when()
    } else {
        scene.context.at
    };
    let artifacts = match update {
        Cow::Borrowed(update) => Cow::Borrowed(update.artifacts.as_slice()),
        Cow::Owned(update) => Cow::Owned(update.artifacts),
    };
    let Scene {
        context, workspace, ..
    } = scene;
    let contacts = context.contacts.clone();
    let activity = Activity {
        id: context.id.clone(),
        at: context.at,
        moment: when.filter(|_| facts.is_some()).map(Moment::Call),
        reply: facts
            .as_ref()
            .and_then(|facts| facts.outcome(context.direction()).reply()),
        is_late: !is_itself,
        content: Content::Call {
            line: facts.map(|facts| (context, facts)),
            artifacts,
        },
        members: Vec::new(),
        workspace,
    };
    activity.put(phones, contacts, task);
    Ok(())
}

/// A message for its clients' pages.
pub fn message<'a>(run: &'a Run, told: Cow<'a, Message>, task: &mut Task<'a>) -> Result<(), Error> {
    let mut scene = Scene::of(run, told.context.clone(), &mut task.notes)?;
    let fetched = ask_for_message(run, &told, &scene, &mut task.notes)?;
    let mut message = told;
    if let Some(fetched) = fetched {
        let context = scene.context.completed_by(&fetched.context);
        let is_undelivered = message.is_undelivered;
        let (text, media) = if message.is_empty() {
            (fetched.text, fetched.media)
        } else {
            (message.text.clone(), message.media.clone())
        };
        scene = Scene::of(run, context.clone(), &mut task.notes)?;
        message = Cow::Owned(Message {
            context,
            text,
            media,
            is_undelivered,
        });
    }
    let Some(phones) = scene.clients(run, &[], task)? else {
        return Ok(());
    };
    let Scene {
        context,
        cast,
        workspace,
        ..
    } = scene;
    let (at, when) = (context.at, context.when());
    let (contacts, id) = (context.contacts.clone(), context.id.clone());
    if message.context != context {
        message.to_mut().context = context;
    }
    let activity = Activity {
        id,
        at,
        moment: when.map(Moment::Message),
        reply: message.reply(),
        is_late: false,
        content: Content::Message(message),
        members: cast.map(|cast| cast.members).unwrap_or_default(),
        workspace,
    };
    activity.put(phones, contacts, task);
    Ok(())
}

/// Asks Quo for an artifact that no delivery announces. `None` if there is none.
pub fn answer(run: &Run, follow_up: &FollowUp) -> Result<Option<CallUpdate>, Error> {
    let Some(quo) = run.quo_until(run.deadline) else {
        return Err(key_needed("an artifact"));
    };
    match quo.fetch_artifact(&follow_up.activity, follow_up.kind)? {
        Availability::Ready(artifact) => {
            let context = Context {
                link: follow_up.link.clone(),
                ..Context::of(follow_up.activity.clone())
            };
            Ok(Some(CallUpdate::late(context, vec![artifact])))
        }
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

/// An activity's circumstances, and what they tell of who took part.
struct Scene {
    context: Context,
    cast: Result<Cast, Untold>,
    workspace: Arc<Workspace>,
}

impl Scene {
    fn of(run: &Run, context: Context, notes: &mut Notes) -> Result<Self, Error> {
        let workspace = run.workspace(Some(&context), notes)?;
        let mut scene = Self {
            cast: people::cast(&context, &workspace),
            context,
            workspace,
        };
        if scene.may_hold_a_new_line(run)? {
            scene.workspace = run.workspace_anew(notes)?;
            scene.cast = people::cast(&scene.context, &scene.workspace);
        }
        let direction = scene.cast.as_ref().ok().and_then(|cast| cast.direction);
        if let Some(direction) = direction {
            scene.context.began = Began::Settled(direction);
        }
        Ok(scene)
    }

    /// True if it is not told who took part, or (of what has a line to write) who began it.
    fn is_untold(&self, has_line: bool) -> bool {
        match &self.cast {
            Err(Untold::Parties | Untold::Direction) => true,
            Ok(cast) => has_line && cast.direction.is_none(),
            Err(Untold::OwnNumbers) => false,
        }
    }

    /// True for a group of which somebody has no page: one of our own lines may be among them.
    fn may_hold_a_new_line(&self, run: &Run) -> Result<bool, Error> {
        let Ok(cast) = &self.cast else {
            return Ok(false);
        };
        if cast.clients.len() < 2 || cast.members.len() > MOST_MEMBERS {
            return Ok(false);
        }
        for phone in &cast.clients {
            if run.store.page(run.clients_database, phone)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The clients to write to; `None` when there is nobody, and the task says why. Of a call whose
    /// parties are not told, those who have its entry already.
    fn clients(
        &self,
        run: &Run,
        records: &[ClientEntry],
        task: &mut Task,
    ) -> Result<Option<Vec<Phone>>, Error> {
        let choice = &run.settings.choice;
        if !people::is_wanted_line(&choice.lines, &self.context, &self.workspace) {
            task.skipped = Some(Reason::NotWanted);
            return Ok(None);
        }
        let named = match &self.cast {
            Ok(cast) if cast.members.len() > MOST_MEMBERS => {
                return Err(Error::Crowd(cast.members.len()));
            }
            Ok(cast) => {
                task.notes.warnings.extend(cast.warnings.iter().cloned());
                cast.clients.clone()
            }
            Err(Untold::OwnNumbers) if run.quo.is_none() => {
                return Err(key_needed(
                    "which numbers of a group are the workspace's own",
                ));
            }
            Err(Untold::OwnNumbers) => return Err(Error::OwnNumbersNeeded),
            Err(Untold::Parties | Untold::Direction) if !records.is_empty() => {
                records.iter().map(|record| record.phone.clone()).collect()
            }
            Err(Untold::Parties) if self.context.direction().is_some() => Vec::new(),
            Err(Untold::Parties | Untold::Direction) => {
                task.skipped = Some(Reason::MissingFields);
                task.notes.warnings.push(Warning::new(
                    WarningCode::MissingField,
                    "the payload has no usable direction, and nobody could be asked",
                ));
                return Ok(None);
            }
        };
        if named.is_empty() {
            task.skipped = Some(Reason::NoClientNumber);
            return Ok(None);
        }
        let wanted: Vec<Phone> = named
            .into_iter()
            .filter(|phone| !choice.ignores(phone))
            .collect();
        if wanted.is_empty() {
            task.skipped = Some(Reason::NotWanted);
            return Ok(None);
        }
        Ok(Some(wanted))
    }
}

/// Whether Quo has to be asked for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it nobody knows who took part.
    Who,
    /// Without it nobody knows how it went, but for what the artifact says beside itself.
    How,
    /// It may say more than is known.
    More,
    /// All is known.
    Nothing,
}

/// True if somebody of those who took part has no entry of it.
fn is_unwritten(records: &[ClientEntry], scene: &Scene) -> bool {
    let Ok(cast) = &scene.cast else {
        return records.is_empty();
    };
    let has_one = |phone: &Phone| records.iter().any(|record| record.phone == *phone);
    records.is_empty() || !cast.clients.iter().all(has_one)
}

fn need(update: &CallUpdate, records: &[ClientEntry], scene: &Scene, unwritten: bool) -> Need {
    let untold = scene.is_untold(update.facts.is_some());
    if update.context.id.is_local() {
        Need::Nothing
    } else if untold && unwritten {
        Need::Who
    } else if update.facts.is_none() && unwritten {
        Need::How
    } else if update.is_late && may_learn_more(update, records, scene) {
        Need::More
    } else {
        Need::Nothing
    }
}

fn may_learn_more(update: &CallUpdate, records: &[ClientEntry], scene: &Scene) -> bool {
    let direction = scene.context.direction();
    let told = update.facts.as_ref().map(|facts| facts.outcome(direction));
    let names_nobody =
        direction == Some(Direction::Incoming) && told == Some(CallOutcome::Answered(None));
    let left_message = brings_voicemail(update);
    let stands_unfinished =
        |record: &ClientEntry| match entry::unfinished_outcome(&record.entry.line) {
            Some(CallOutcome::Missed) => left_message,
            Some(_) => true,
            None => false,
        };
    names_nobody || records.iter().any(stands_unfinished)
}

fn brings_voicemail(update: &CallUpdate) -> bool {
    let mut artifacts = update.artifacts.iter();
    artifacts.any(|artifact| matches!(artifact, Artifact::Voicemail { .. }))
}

/// Reads the call from Quo if it is needed. What the delivery tells has to do where Quo cannot be
/// asked, or does not have the call. An artifact may be early; a call itself (`is_itself`) that Quo
/// does not have is not waited for.
fn ask_for_call(
    run: &Run,
    scene: &Scene,
    need: Need,
    is_itself: bool,
    notes: &mut Notes,
) -> Result<Option<CallUpdate>, Error> {
    if need == Need::Nothing {
        return Ok(None);
    }
    let id = &scene.context.id;
    let parties_are_told = scene.cast != Err(Untold::Parties);
    let asked = run
        .quo_until(run.deadline)
        .map(|quo| quo.fetch_call(id))
        .transpose();
    match asked {
        Ok(Some(Some(call))) => Ok(Some(call)),
        _ if need == Need::More => Ok(None),
        Ok(_) if parties_are_told => Ok(None),
        Ok(None) => Err(key_needed(&format!("the call {id}"))),
        Ok(Some(None)) if is_itself => Ok(None),
        Ok(Some(None)) => Err(Error::Unknown(format!(
            "quo does not have the call {id} (yet)"
        ))),
        Err(err @ quo::Error::Denied(_)) if need == Need::How => {
            run.quo_failed(&err, "the call is written as it was delivered", notes)?;
            Ok(None)
        }
        Err(err) => Err(err.into()),
    }
}

/// Reads a message from Quo if the delivery does not say who took part, or brings nothing to read:
/// deliveries of v4 leave attachments out.
fn ask_for_message(
    run: &Run,
    told: &Message,
    scene: &Scene,
    notes: &mut Notes,
) -> Result<Option<Message>, Error> {
    let id = &told.context.id;
    let untold = scene.is_untold(true);
    if id.is_local() || !(untold || told.is_empty()) {
        return Ok(None);
    }
    let parties_are_told = scene.cast != Err(Untold::Parties);
    let asked = run
        .quo_until(run.deadline)
        .map(|quo| quo.fetch_message(id))
        .transpose();
    match asked {
        Ok(Some(Some(message))) => Ok(Some(message)),
        Ok(Some(None)) => Ok(None),
        Ok(None) if parties_are_told => Ok(None),
        Ok(None) => Err(key_needed(&format!("the message {id}"))),
        Err(err @ (quo::Error::Denied(_) | quo::Error::Refused(_))) if !untold => {
            run.quo_failed(&err, "the text is written as it was delivered", notes)?;
            Ok(None)
        }
        Err(err) => Err(err.into()),
    }
}

fn key_needed(what: &str) -> Error {
    Error::KeyNeeded(format!(
        "{what} has to be read from quo, and no OPENPHONE_API_KEY is set"
    ))
}

/// How the call went, if its line is to be written: the best of what is told and what was read.
fn facts(
    update: &CallUpdate,
    fetched: Option<&CallUpdate>,
    context: &Context,
    unwritten: bool,
) -> Option<CallFacts> {
    let outcome = |facts: &CallFacts| facts.outcome(context.direction());
    let read = fetched.and_then(|call| call.facts.clone());
    let facts = match (update.facts.clone(), read) {
        (Some(told), Some(read)) if outcome(&read).says_more_than(&outcome(&told)) => read,
        (Some(facts), _) | (None, Some(facts)) => facts,
        (None, None) if unwritten => update.beside.clone().unwrap_or_default(),
        (None, None) => return None,
    };
    Some(CallFacts {
        voicemail: facts.voicemail || brings_voicemail(update),
        ..facts
    })
}
