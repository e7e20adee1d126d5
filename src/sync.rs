//! The main job: events through gather, plan and apply.
//!
//! ```text
//! events ─ who is a client ─ gather (reads) ─▶ facts ─ plan (pure) ─▶ steps ─ apply ─▶ outcomes
//! ```
//! Events of one client go together ([`groups`]): one look-up, one update, one append. One event is
//! a group of one. When something turns out different while writing, or a write's outcome is
//! unknown, the same way is gone again: gathering looks at what is there, and the new plan holds
//! only what is missing.

mod activity;
mod apply;
mod client;
mod contact;
mod duplicate;
mod error;
pub mod facts;
mod gather;
mod group;
pub mod people;
pub mod plan;
mod resolve;
mod run;
mod task;
mod update;
mod wide;

use std::borrow::Cow;

use crate::domain::event::Subject;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Action, Notes, Outcome, Reason, Synced, Verdict};
use crate::domain::work::Work;

use task::Task;
use update::{Teller, Update};

pub use error::Error;
pub use gather::cached::forget as forget_cached;
pub use gather::table::{phone_columns, remembered_ids};
pub use group::{groups, pages};
pub use run::Run;

/// Puts events into Notion as one. `None`: this one has to be done by itself, because it does not
/// go with the others, or because Notion has refused what they wanted at once. A single event
/// always gets its answer.
pub fn put(run: &Run, works: &[&Work]) -> Vec<Option<Outcome>> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; works.len()];
    let mut told = Vec::new();
    for (place, work) in works.iter().enumerate() {
        match news(run, work) {
            Ok(Some(news)) => told.push((place, news)),
            Ok(None) => outcomes[place] = Some(nothing(work)),
            Err(err) => outcomes[place] = Some(work.ends(Verdict::Failed(err.into()))),
        }
    }
    let (mut tasks, tellers): (Vec<Task>, Vec<_>) = update::topics(told)
        .into_iter()
        .map(|topic| (task(run, topic.news), topic.tellers))
        .unzip();
    client::write_all(run, &mut tasks);
    for (task, tellers) in tasks.iter().zip(tellers) {
        if task.refused_with * tellers.len() > 1 {
            continue;
        }
        for (rank, teller) in tellers.iter().enumerate() {
            let verdict = verdict(run, task, teller);
            let outcome = works[teller.place].ends(verdict);
            outcomes[teller.place] = Some(for_teller(outcome, task, rank, teller));
        }
    }
    outcomes
}

/// What there is to be written; `None` if nothing.
fn news<'a>(run: &Run, work: &'a Work) -> Result<Option<Update<'a>>, Error> {
    Ok(match work {
        Work::FollowUp(follow_up) => {
            resolve::answer(run, follow_up)?.map(|news| Update::Call(Cow::Owned(news)))
        }
        Work::Event(event) => match &event.subject {
            Subject::Call(news) if news.tells_nothing() => None,
            Subject::Call(news) => Some(Update::Call(Cow::Borrowed(news))),
            Subject::Message(message) => Some(Update::Message(Cow::Borrowed(message))),
            Subject::Contact(news) => Some(Update::Contact(news)),
            Subject::Unsupported | Subject::Incomplete { .. } => None,
        },
    })
}

/// The outcome where there is nothing to be written.
fn nothing(work: &Work) -> Outcome {
    let at_once = match work {
        Work::Event(event) => event.skipped_at_once(),
        Work::FollowUp(_) => None,
    };
    at_once.unwrap_or_else(|| work.ends(Verdict::Skipped(Reason::NothingNew)))
}

/// What is to be put onto which clients' pages.
fn task<'a>(run: &'a Run, news: Update<'a>) -> Task<'a> {
    let mut task = Task::default();
    let prepared = match news {
        Update::Call(news) => resolve::call(run, news, &mut task),
        Update::Message(message) => resolve::message(run, message, &mut task),
        Update::Contact(news) => contact::fill(run, news, &mut task),
    };
    if let Err(err) = prepared {
        task.fail(&Failure::from(err));
    }
    task
}

/// How a task ended, for one of the events that it was done for.
fn verdict(run: &Run, task: &Task, teller: &Teller) -> Verdict {
    if let Some(failure) = &task.failure {
        return Verdict::Failed(failure.clone());
    }
    match task.skipped {
        Some(reason) => Verdict::Skipped(reason),
        None if !teller.adds => Verdict::Skipped(Reason::Duplicate),
        None if run.settings.dry_run => Verdict::Planned(task.planned.clone()),
        None => Verdict::Done,
    }
}

/// Adds what came of a task. What concerns the operator is told once.
fn for_teller(outcome: Outcome, task: &Task, rank: usize, teller: &Teller) -> Outcome {
    let action = |action| match (rank, teller.adds, action) {
        (0, ..) | (_, true, Action::Skipped | Action::Updated) => action,
        (_, true, Action::Created) => Action::Updated,
        (_, false, _) => Action::Skipped,
    };
    let pages = task.pages.iter().map(|synced| Synced {
        action: action(synced.action),
        ..synced.clone()
    });
    let alarms = if rank == 0 {
        task.notes.alarms.clone()
    } else {
        Vec::new()
    };
    Outcome {
        pages: pages.collect(),
        notes: Notes {
            warnings: [outcome.notes.warnings, task.notes.warnings.clone()].concat(),
            alarms,
        },
        ..outcome
    }
}
