//! One event from its arrival to its end: kept, claimed, synced, settled.
//!
//! Apart because a delivery on standard input and a replay go the same way. An event is in the inbox before anything
//! is done about it, and leaves only when it is finished.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::domain::event::{ArtifactKind, Event, FOLLOW_UP, FollowUp, Subject};
use crate::domain::id::{ActivityId, EventId, PageId};
use crate::domain::outcome::{Action, Outcome, Reason, Synced, Warning};
use crate::domain::phone::Phone;
use crate::failure::Failure;
use crate::store::{Arrival, Finish, HistoryLine, Lock, Patience, Standing, Store, Trouble};
use crate::sync::{self, Sync};

/// Wait before Quo is asked for what no delivery announces.
const FOLLOW_UP_AFTER: Duration = Duration::from_secs(30);
/// Added to the hint of a failure whose event is kept.
const KEPT: &str = "; the event is kept, `quotion replay` tries again";
/// Added to the hint of the last failure.
const LAST_ATTEMPT: &str = "; it was the last attempt: the event is kept, and `quotion replay --dead` tries again";

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// A vendor's event.
    Event(Box<Event>),
    /// A question that was put off.
    FollowUp(FollowUp),
}

/// A failure, and what had been done by then.
pub type Unfinished = Box<(Failure, Outcome)>;

impl Work {
    /// Reads what the inbox kept.
    pub fn read(payload: &[u8]) -> Result<Self, Failure> {
        match read_follow_up(payload) {
            Some(follow_up) => Ok(Self::FollowUp(follow_up)),
            None => Ok(Self::Event(Box::new(crate::webhook::parse(payload)?))),
        }
    }

    /// Its key in the inbox.
    pub fn event_id(&self) -> EventId {
        match self {
            Self::Event(event) => event.id.clone(),
            Self::FollowUp(follow_up) => follow_up.event_id(),
        }
    }

    fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Event(event) => Some(&event.subject),
            Self::FollowUp(_) => None,
        }
    }

    /// What is known of the outcome before anything is done.
    pub fn outset(&self) -> Outcome {
        match self {
            Self::Event(event) => sync::outset(event),
            Self::FollowUp(follow_up) => sync::follow_up_outset(follow_up),
        }
    }
}

/// Keeps an event durably, and leaves the work to a replay.
pub fn enqueue(store: &Store, event: &Event, payload: Vec<u8>) -> Result<Outcome, Unfinished> {
    let outcome = sync::outset(event);
    match store.receive(&arrival(event, payload)) {
        Ok(Standing::Done(pages)) => Ok(duplicate(outcome, pages)),
        Ok(Standing::Waiting { .. } | Standing::Dead) => Ok(Outcome { queued: true, ..outcome }),
        Err(err) => Err(Box::new((err.into(), outcome))),
    }
}

/// Keeps an event durably, before anything is done about it. `Some`: it needs nothing more.
pub fn receive(store: &Store, event: &Event, payload: Vec<u8>) -> Result<Option<Outcome>, Unfinished> {
    let outcome = sync::outset(event);
    match store.receive(&arrival(event, payload)) {
        Ok(Standing::Done(pages)) => Ok(Some(duplicate(outcome, pages))),
        Ok(Standing::Waiting { .. } | Standing::Dead) => Ok(None),
        Err(err) => Err(Box::new((err.into(), outcome))),
    }
}

/// Does the work on an event that is in the inbox, alone among all processes, and notes what came of it.
pub fn process(job: &Sync, work: &Work, patience: Patience) -> Result<Outcome, Unfinished> {
    let id = work.event_id();
    let failed = |err: crate::store::Error| Box::new((Failure::from(err), work.outset()));
    let Some(_claim) = job.store.lock(&Lock::Event(id.clone()), job.deadline).map_err(failed)? else {
        return Ok(Outcome { queued: true, ..work.outset() });
    };
    // While this process waited, the other one may have finished.
    if let Some(Standing::Done(pages)) = job.store.standing(&id).map_err(failed)? {
        return Ok(duplicate(work.outset(), pages));
    }
    let began = Instant::now();
    let done = match work {
        Work::Event(event) => sync::run(job, event),
        Work::FollowUp(follow_up) => sync::follow_up(job, follow_up),
    };
    match done {
        Ok(outcome) => settle(job.store, (&id, work), (outcome, began.elapsed())),
        Err(failure) => {
            let failure = Box::new((Failure::from(failure.error), failure.outcome));
            Err(postpone(job.store, &id, (failure, patience)))
        }
    }
}

/// Notes why an event could not be finished.
pub fn postpone(store: &Store, id: &EventId, (mut failed, patience): (Unfinished, Patience)) -> Unfinished {
    let (failure, outcome) = &mut *failed;
    let trouble = Trouble { kind: failure.kind.name().to_owned(), message: failure.message.clone() };
    match store.postpone(id, &trouble, patience) {
        Ok(dead) => failure.hint.push_str(if dead { LAST_ATTEMPT } else { KEPT }),
        // The first failure says more; that the store fails too is told beside it.
        Err(err) => outcome.warnings.push(Warning::new("store", err.to_string())),
    }
    failed
}

fn settle(
    store: &Store,
    (id, work): (&EventId, &Work),
    (outcome, took): (Outcome, Duration),
) -> Result<Outcome, Unfinished> {
    let concerns_nobody = matches!(outcome.skipped, Some(Reason::NoClientNumber | Reason::MissingFields));
    let kept = if concerns_nobody {
        store.discard(id)
    } else {
        let follow_ups = follow_ups(work).into_iter().try_for_each(|arrival| store.receive(&arrival).map(|_| ()));
        follow_ups.and_then(|()| store.finish(id, &finish(work, &outcome, took)))
    };
    match kept {
        Ok(()) => Ok(outcome),
        Err(err) => Err(Box::new((err.into(), outcome))),
    }
}

fn finish(work: &Work, outcome: &Outcome, took: Duration) -> Finish {
    let pages =
        outcome.synced.iter().map(|synced| (synced.phone.clone(), synced.page.clone(), synced.client_name.clone()));
    let context = work.subject().and_then(|subject| match subject {
        Subject::Call(news) => Some((&news.context, true)),
        Subject::Message(message) => Some((&message.context, false)),
        Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => None,
    });
    let activity = context.map(|(context, is_call)| HistoryLine {
        id: context.id.clone(),
        is_call,
        direction: context.direction,
        number: context.number_id.clone(),
    });
    Finish { pages: pages.collect(), activity, took }
}

fn duplicate(outcome: Outcome, pages: Vec<(Phone, Option<PageId>, String)>) -> Outcome {
    let synced = pages.into_iter().map(|(phone, page, client_name)| Synced {
        phone,
        action: Action::Skipped,
        page,
        client_name,
    });
    Outcome { synced: synced.collect(), skipped: Some(Reason::Duplicate), ..outcome }
}

/// An event on standard input is worked on at once; if that comes to nothing, a replay may take it after the time
/// that this one has.
fn arrival(event: &Event, payload: Vec<u8>) -> Arrival {
    Arrival {
        id: event.id.clone(),
        event_type: event.event_type.clone(),
        activity: event.subject.activity_id().cloned(),
        payload,
        delay: Duration::ZERO,
    }
}

/// Questions to be put off, one for each artifact that no delivery announces.
fn follow_ups(work: &Work) -> Vec<Arrival> {
    let Some(Subject::Call(news)) = work.subject() else { return Vec::new() };
    let question = |kind: &ArtifactKind| {
        let (activity, link) = (news.context.id.clone(), news.context.link.clone());
        let follow_up = FollowUp { activity, kind: *kind, link };
        Arrival {
            id: follow_up.event_id(),
            event_type: FOLLOW_UP.to_owned(),
            activity: Some(follow_up.activity.clone()),
            payload: write_follow_up(&follow_up),
            delay: FOLLOW_UP_AFTER,
        }
    };
    news.unannounced.iter().map(question).collect()
}

fn write_follow_up(follow_up: &FollowUp) -> Vec<u8> {
    let FollowUp { activity, kind, link } = follow_up;
    let json = json!({"type": FOLLOW_UP, "activity": activity.as_str(), "artifact": kind.label(), "link": link});
    json.to_string().into_bytes()
}

fn read_follow_up(payload: &[u8]) -> Option<FollowUp> {
    let json: Json = serde_json::from_slice(payload).ok().filter(|json: &Json| json["type"] == FOLLOW_UP)?;
    let kind = ArtifactKind::ALL.into_iter().find(|kind| json["artifact"] == kind.label())?;
    let link = json["link"].as_str().map(Into::into);
    Some(FollowUp { activity: ActivityId::parse(json["activity"].as_str()?).ok()?, kind, link })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_up_is_read_as_it_was_written() {
        let link = Some("https://my.quo.com/inbox/PN1/c/CN1?at=AC1".to_owned());
        let follow_up =
            FollowUp { activity: ActivityId::parse("AC1").expect("id"), kind: ArtifactKind::Voicemail, link };
        assert_eq!(Work::read(&write_follow_up(&follow_up)), Ok(Work::FollowUp(follow_up.clone())));
        assert_eq!(follow_up.event_id().as_str(), "follow-up-voicemail-AC1");
    }
}
