//! Events from their arrival to their end: kept, claimed, synced, settled.
//!
//! Apart because a delivery on standard input and a replay go the same way. An event is in the
//! inbox before anything is done about it, and leaves only when it is finished.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::domain::call::{ArtifactKind, FOLLOW_UP, FollowUp};
use crate::domain::event::{Event, Subject};
use crate::domain::id::{ActivityId, EventId, PageId};
use crate::domain::link::Link;
use crate::domain::outcome::{Action, Outcome, Reason, Synced, Warning, WarningCode};
use crate::domain::phone::Phone;
use crate::failure::Failure;
use crate::quo::webhook;
use crate::store::{
    self, Arrival, Finish, HistoryLine, Lock, Patience, Selection, Standing, Store, Trouble,
};
use crate::sync::{self, Sync, Work};
use crate::time::Deadline;

/// Wait before Quo is asked for what no delivery announces.
const FOLLOW_UP_AFTER: Duration = Duration::from_secs(30);
/// Added to the hint of a failure whose event is kept.
pub const KEPT: &str = "; the event is kept, `quotion replay` tries again";
/// Added to the hint of the last failure.
const LAST_ATTEMPT: &str =
    "; it was the last attempt: the event is kept, and `quotion replay --dead` tries again";

/// A failure, and what had been done by then.
pub type Unfinished = Box<(Failure, Outcome)>;

/// What came of an event.
pub type Ended = Result<Outcome, Unfinished>;

/// Reads what the inbox kept.
pub fn read_work(payload: &[u8], received: Timestamp) -> Result<Work, Failure> {
    match read_follow_up(payload) {
        Some(follow_up) => Ok(Work::FollowUp(follow_up)),
        None => Ok(Work::Event(Box::new(webhook::parse(payload, received)?))),
    }
}

/// An event that is kept; with an outcome when it needs nothing more.
pub type Kept = Result<Option<Outcome>, Unfinished>;

/// Keeps events durably, before anything is done about them.
pub fn receive(store: &Store, arrived: Vec<(Box<Event>, Vec<u8>)>) -> Vec<(Box<Event>, Kept)> {
    let (events, mut arrivals): (Vec<Box<Event>>, Vec<Arrival>) = arrived
        .into_iter()
        .map(|(event, payload)| {
            let arrival = arrival(&event, payload);
            (event, arrival)
        })
        .unzip();
    let standings: Vec<store::Result<Standing>> = match store.receive(&mut arrivals) {
        Ok(standings) => standings.into_iter().map(Ok).collect(),
        // One by one, so that each is kept that can be.
        Err(_) if arrivals.len() > 1 => arrivals
            .chunks_mut(1)
            .map(|arrival| receive_one(store, arrival))
            .collect(),
        Err(err) => vec![Err(err)],
    };
    let answer = |(event, standing): (Box<Event>, _)| {
        let outset = sync::outset(&event);
        let answer = match standing {
            Ok(Standing::Done(pages)) => Ok(Some(duplicate(outset, pages))),
            Ok(Standing::Waiting { .. } | Standing::Dead) => Ok(None),
            Err(err) => Err(Box::new((Failure::from(err), outset))),
        };
        (event, answer)
    };
    events.into_iter().zip(standings).map(answer).collect()
}

fn receive_one(store: &Store, arrival: &mut [Arrival]) -> store::Result<Standing> {
    Ok(store
        .receive(arrival)?
        .pop()
        .unwrap_or(Standing::Waiting { attempts: 0 }))
}

/// What to do about an event that another process works on, or has worked on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// Wait for it, and go on where it ended.
    Wait,
    /// Leave it to that one; the event has to belong to this selection still.
    Leave(&'a Selection),
}

/// Does the work on events that are in the inbox and belong together, alone among all processes,
/// and notes what came of it.
pub fn process(job: &Sync, works: &[&Work], patience: Patience, claim: Claim) -> Vec<Ended> {
    let together = if works.len() > 1 {
        together(job, works, patience, claim)
    } else {
        vec![None; works.len()]
    };
    let one_by_one = works.iter().zip(together);
    one_by_one
        .map(|(work, ended)| ended.unwrap_or_else(|| alone(job, work, patience, claim)))
        .collect()
}

/// `None` for what has to be done alone, or is in the hands of another process.
fn together(job: &Sync, works: &[&Work], patience: Patience, claim: Claim) -> Vec<Option<Ended>> {
    let ids: Vec<EventId> = works.iter().map(|work| work.event_id()).collect();
    let mut ended: Vec<Option<Ended>> = vec![None; works.len()];
    // Where the store fails, each event tells for itself what is wrong with it.
    let Ok((_claims, free)) = job.store.lock_free_events(&ids) else {
        return ended;
    };
    let mut open: Vec<usize> = Vec::new();
    for place in (0..works.len()).filter(|place| free[*place]) {
        // The same event again has its turn when the first one is finished.
        if open.iter().any(|other| ids[*other] == ids[place]) {
            continue;
        }
        match ended_meanwhile(job.store, works[place], claim) {
            Ok(None) => open.push(place),
            Ok(Some(outcome)) => ended[place] = Some(Ok(outcome)),
            Err(_) => {}
        }
    }
    let began = Instant::now();
    let chosen: Vec<&Work> = open.iter().map(|place| works[*place]).collect();
    let done = sync::run(job, &chosen);
    let took = began.elapsed() / u32::try_from(chosen.len().max(1)).unwrap_or(u32::MAX);
    for (place, done) in open.into_iter().zip(done) {
        ended[place] = done.map(|done| end(job, works[place], done, took, patience));
    }
    ended
}

fn alone(job: &Sync, work: &Work, patience: Patience, claim: Claim) -> Ended {
    let id = work.event_id();
    let failed = |err: store::Error| Box::new((Failure::from(err), work.outset()));
    let until = if claim == Claim::Wait {
        job.deadline
    } else {
        Deadline::within(Duration::ZERO)
    };
    let Some(_claim) = job.store.lock(&Lock::Event(id), until).map_err(failed)? else {
        return Ok(Outcome {
            queued: true,
            ..work.outset()
        });
    };
    if let Some(outcome) = ended_meanwhile(job.store, work, claim).map_err(failed)? {
        return Ok(outcome);
    }
    let began = Instant::now();
    let done = sync::run(job, &[work])
        .into_iter()
        .next()
        .flatten()
        .expect("a single event gets its answer");
    end(job, work, done, began.elapsed(), patience)
}

/// What came of an event while this process did not hold its lock; `None` if it is still to be
/// done.
fn ended_meanwhile(store: &Store, work: &Work, claim: Claim) -> store::Result<Option<Outcome>> {
    let id = work.event_id();
    match claim {
        Claim::Leave(selection) if store.load(&id, selection)?.is_none() => Ok(Some(Outcome {
            queued: true,
            ..work.outset()
        })),
        Claim::Leave(_) => Ok(None),
        Claim::Wait => match store.standing(&id)? {
            Some(Standing::Done(pages)) => Ok(Some(duplicate(work.outset(), pages))),
            Some(Standing::Waiting { .. } | Standing::Dead) | None => Ok(None),
        },
    }
}

/// Notes what came of an event.
fn end(job: &Sync, work: &Work, done: sync::Ended, took: Duration, patience: Patience) -> Ended {
    match done {
        Ok(outcome) => settle(job, work, outcome, took),
        Err(failed) => {
            let patience = Patience {
                attempts: if failed.error.is_final() {
                    1
                } else {
                    patience.attempts
                },
                ..patience
            };
            let id = work.event_id();
            Err(postpone(job.store, &id, unfinished(*failed), patience))
        }
    }
}

/// A failure as the program tells it.
pub fn unfinished(failed: sync::Failed) -> Unfinished {
    Box::new((Failure::from(&*failed.error), failed.outcome))
}

/// Notes why an event could not be finished.
pub fn postpone(
    store: &Store,
    id: &EventId,
    mut failed: Unfinished,
    patience: Patience,
) -> Unfinished {
    let (failure, outcome) = &mut *failed;
    let trouble = Trouble {
        kind: failure.kind.name().to_owned(),
        message: failure.message.clone(),
    };
    match store.postpone(id, &trouble, patience) {
        Ok(dead) => failure
            .hint
            .push_str(if dead { LAST_ATTEMPT } else { KEPT }),
        // The first failure says more; that the store fails too is told beside it.
        Err(err) => outcome
            .warnings
            .push(Warning::new(WarningCode::Store, err.to_string())),
    }
    failed
}

fn settle(job: &Sync, work: &Work, outcome: Outcome, took: Duration) -> Ended {
    let store = job.store;
    let id = &work.event_id();
    let concerns_nobody = matches!(
        outcome.skipped,
        Some(Reason::NoClientNumber | Reason::MissingFields | Reason::NotWanted)
    );
    let kept = if concerns_nobody {
        store.discard(id)
    } else {
        let can_ask = job.quo.is_some();
        let mut follow_ups = if can_ask {
            follow_ups(work)
        } else {
            Vec::new()
        };
        let kept = if follow_ups.is_empty() {
            Ok(())
        } else {
            store.receive(&mut follow_ups).map(drop)
        };
        kept.and_then(|()| store.finish(id, &finish(work, &outcome, took)))
    };
    match kept {
        Ok(()) => Ok(outcome),
        Err(err) => Err(Box::new((err.into(), outcome))),
    }
}

fn finish(work: &Work, outcome: &Outcome, took: Duration) -> Finish {
    let pages = outcome.synced.iter().map(|synced| {
        (
            synced.phone.clone(),
            synced.page.clone(),
            synced.client_name.clone(),
        )
    });
    let context = subject(work).and_then(|subject| match subject {
        Subject::Call(news) => Some((&news.context, true)),
        Subject::Message(message) => Some((&message.context, false)),
        Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => None,
    });
    let activity = context.map(|(context, is_call)| HistoryLine {
        id: context.id.clone(),
        is_call,
        direction: context.direction(),
        number: context.number_id.clone(),
    });
    Finish {
        pages: pages.collect(),
        activity,
        took,
    }
}

fn subject(work: &Work) -> Option<&Subject> {
    match work {
        Work::Event(event) => Some(&event.subject),
        Work::FollowUp(_) => None,
    }
}

fn duplicate(outcome: Outcome, pages: Vec<(Phone, Option<PageId>, String)>) -> Outcome {
    let synced = pages.into_iter().map(|(phone, page, client_name)| Synced {
        phone,
        action: Action::Skipped,
        page,
        client_name,
    });
    Outcome {
        synced: synced.collect(),
        skipped: Some(Reason::Duplicate),
        ..outcome
    }
}

/// An event on standard input is worked on at once; if that comes to nothing, a replay may take it
/// after the time that this one has.
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
    let Some(Subject::Call(news)) = subject(work) else {
        return Vec::new();
    };
    if news.context.id.is_local() {
        return Vec::new();
    }
    let question = |kind: &ArtifactKind| {
        let (activity, link) = (news.context.id.clone(), news.context.link.clone());
        let follow_up = FollowUp {
            activity,
            kind: *kind,
            link,
        };
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
    let FollowUp {
        activity,
        kind,
        link,
    } = follow_up;
    let json = json!({"type": FOLLOW_UP, "activity": activity.as_str(), "artifact": kind.word(),
        "link": link.as_ref().map(Link::as_str)});
    json.to_string().into_bytes()
}

fn read_follow_up(payload: &[u8]) -> Option<FollowUp> {
    let json: Json = serde_json::from_slice(payload)
        .ok()
        .filter(|json: &Json| json["type"] == FOLLOW_UP)?;
    let kind = ArtifactKind::of_word(json["artifact"].as_str()?)?;
    let link = json["link"].as_str().and_then(Link::parse);
    Some(FollowUp {
        activity: ActivityId::parse(json["activity"].as_str()?).ok()?,
        kind,
        link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_up_is_read_as_it_was_written() {
        let link = Link::parse("https://my.quo.com/inbox/PN1/c/CN1?at=AC1");
        let follow_up = FollowUp {
            activity: ActivityId::parse("AC1").expect("id"),
            kind: ArtifactKind::Voicemail,
            link,
        };
        assert_eq!(
            read_work(&write_follow_up(&follow_up), Timestamp::UNIX_EPOCH),
            Ok(Work::FollowUp(follow_up.clone()))
        );
        assert_eq!(follow_up.event_id().as_str(), "follow-up-voicemail-AC1");
    }
}
