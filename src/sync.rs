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
pub mod columns;
mod contact;
mod error;
pub mod facts;
mod gather;
mod group;
mod news;
pub mod people;
pub mod plan;
mod resolve;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::domain::call::{FOLLOW_UP, FollowUp};
use crate::domain::context::Context;
use crate::domain::event::{Event, Subject};
use crate::domain::id::{DatabaseId, EventId};
use crate::domain::outcome::{
    Action, Alarm, AlarmKind, Outcome, Reason, Synced, Warning, WarningCode,
};
use crate::http::{BaseUrl, Vendor};
use crate::notion::Notion;
use crate::quo::{self, Quo};
use crate::store::Store;
use crate::time::Deadline;

use client::Task;
use columns::ColumnNames;
use news::News;
use people::{Choice, Workspace};

pub use error::Error;
pub use group::groups;

/// Longest that enrichment may take in all, for one event.
const ENRICHMENT: Duration = Duration::from_secs(10);
/// And for each further one that is done together with it.
const ENRICHMENT_EACH: Duration = Duration::from_millis(200);
/// How long a denied Quo key is not reported again.
const ALARM_REST: SignedDuration = SignedDuration::from_hours(24);

/// What the user has set for the main job.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Clients database.
    pub clients_database: DatabaseId,
    /// What its columns are called.
    pub columns: ColumnNames,
    /// Quo's custom field that holds tags.
    pub tags_field: String,
    /// How long the contact index is believed.
    pub contacts_ttl: SignedDuration,
    /// Zone of times in entries.
    pub zone: TimeZone,
    /// After a write of unknown outcome: how long until a look that finds nothing is believed.
    pub settle: Duration,
    /// Which lines and numbers are wanted.
    pub choice: Choice,
}

/// Access to Quo's API.
pub struct QuoAccess {
    /// v1.
    pub vendor: Vendor,
    /// Its address.
    pub base: BaseUrl,
}

/// Everything that the main job works with.
pub struct Sync<'a> {
    /// What is remembered.
    pub store: &'a Store,
    /// Notion.
    pub notion: &'a Notion,
    /// Quo; without a key events are synced without profiles.
    pub quo: Option<&'a QuoAccess>,
    /// What the user has set.
    pub settings: &'a Settings,
    /// When to give up.
    pub deadline: Deadline,
    /// When to go on without enrichment.
    pub quo_deadline: Deadline,
    /// True once Quo has failed these events: it is not asked for further enrichment.
    pub quo_failed: AtomicBool,
    /// Own numbers and people, once they were needed.
    pub workspace: Mutex<Option<Arc<Workspace>>>,
    /// Plan, but write nothing.
    pub dry_run: bool,
}

impl<'a> Sync<'a> {
    /// Quo, until `deadline`; `None` without a key.
    fn quo_until(&self, deadline: Deadline) -> Option<Quo<'a>> {
        self.quo
            .map(|access| Quo::new(&access.vendor, &access.base, deadline))
    }

    /// Quo, for enrichment: until its own deadline, and not again after a failure.
    fn quo_for_enrichment(&self) -> Option<Quo<'a>> {
        if self.quo_has_failed() {
            None
        } else {
            self.quo_until(self.quo_deadline)
        }
    }

    /// The workspace's own numbers and people; asked for again when the activity took place on a
    /// line that is not known.
    fn workspace(
        &self,
        context: Option<&Context>,
        outcome: &mut Outcome,
    ) -> Result<Arc<Workspace>, Error> {
        let kept = self.kept_workspace().clone();
        let workspace = match kept {
            Some(workspace) => workspace,
            None => self.keep_workspace(gather::workspace::gather(self, outcome)?),
        };
        if context.is_some_and(|context| workspace.misses_line_of(context)) {
            return self.workspace_anew(outcome);
        }
        Ok(workspace)
    }

    /// The same, after something was missing in it.
    fn workspace_anew(&self, outcome: &mut Outcome) -> Result<Arc<Workspace>, Error> {
        let workspace = gather::workspace::anew(self, outcome)?;
        Ok(self.keep_workspace(workspace))
    }

    fn kept_workspace(&self) -> MutexGuard<'_, Option<Arc<Workspace>>> {
        self.workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_workspace(&self, workspace: Workspace) -> Arc<Workspace> {
        Arc::clone(self.kept_workspace().insert(Arc::new(workspace)))
    }

    /// True once Quo has failed these events.
    fn quo_has_failed(&self) -> bool {
        self.quo_failed.load(Ordering::Relaxed)
    }

    /// Notes a failure of Quo that the event survives. A denied key is an alarm too, once a day.
    fn quo_failed(
        &self,
        err: &quo::Error,
        consequence: &str,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.quo_failed.store(true, Ordering::Relaxed);
        let denied = matches!(err, quo::Error::Denied(_));
        let code = if denied {
            WarningCode::QuoDenied
        } else {
            WarningCode::QuoUnavailable
        };
        let cause =
            std::error::Error::source(err).map_or(String::new(), |cause| format!(": {cause}"));
        let message = format!("{err}{cause}; {consequence}");
        if denied && self.rings("alarm:quo_denied")? {
            outcome.alarms.push(Alarm {
                kind: AlarmKind::QuoDenied,
                message: message.clone(),
            });
        }
        if !outcome.warnings.iter().any(|warning| warning.code == code) {
            outcome.warnings.push(Warning::new(code, message));
        }
        Ok(())
    }

    /// True if the alarm called `key` has been quiet for a day; it has rung then.
    fn rings(&self, key: &str) -> Result<bool, Error> {
        let rests = self
            .store
            .snapshot(key)?
            .is_some_and(|last| last.age < ALARM_REST);
        if !rests {
            self.store.save_snapshot(key, "null")?;
        }
        Ok(!rests)
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// A vendor's event.
    Event(Box<Event>),
    /// A question that was put off.
    FollowUp(FollowUp),
}

impl Work {
    /// Its key in the inbox.
    pub fn event_id(&self) -> EventId {
        match self {
            Self::Event(event) => event.id.clone(),
            Self::FollowUp(follow_up) => follow_up.event_id(),
        }
    }

    /// What is known of the outcome before anything is done.
    pub fn outset(&self) -> Outcome {
        match self {
            Self::Event(event) => outset(event),
            Self::FollowUp(follow_up) => follow_up_outset(follow_up),
        }
    }
}

/// What failed, and what had been done by then.
#[derive(Debug)]
pub struct Failed {
    /// Why; of events that were done together, all have failed for this.
    pub error: Arc<Error>,
    /// Clients that are done, warnings, and which event it was.
    pub outcome: Outcome,
}

/// What is known of the outcome before anything is done.
pub fn outset(event: &Event) -> Outcome {
    Outcome {
        event_id: Some(event.id.to_string()),
        event_type: Some(event.event_type.clone()),
        activity_id: event.subject.activity_id().cloned(),
        warnings: event
            .oddities
            .iter()
            .map(|oddity| Warning::new(WarningCode::OddPayload, oddity.clone()))
            .collect(),
        ..Outcome::default()
    }
}

fn follow_up_outset(follow_up: &FollowUp) -> Outcome {
    Outcome {
        event_id: Some(follow_up.event_id().to_string()),
        event_type: Some(FOLLOW_UP.to_owned()),
        activity_id: Some(follow_up.activity.clone()),
        ..Outcome::default()
    }
}

/// The outcome of an event that needs neither store nor network; `None` for all others.
pub fn skipped_at_once(event: &Event) -> Option<Outcome> {
    let mut outcome = outset(event);
    outcome.skipped = match &event.subject {
        Subject::Unsupported => Some(Reason::UnsupportedEvent),
        Subject::Incomplete { missing } => {
            outcome.warnings.push(Warning::new(
                WarningCode::MissingField,
                format!("the payload has no usable {missing}"),
            ));
            Some(Reason::MissingFields)
        }
        Subject::Call(_) | Subject::Message(_) | Subject::Contact(_) => None,
    };
    outcome.skipped.is_some().then_some(outcome)
}

/// What came of an event.
pub type Ended = Result<Outcome, Box<Failed>>;

/// How long enrichment may take for so many events.
pub fn enrichment(events: usize) -> Duration {
    let further = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
    ENRICHMENT.saturating_add(ENRICHMENT_EACH.saturating_mul(further))
}

/// Puts events into Notion together. `None`: this one has to be done alone, because it does not go
/// together with the others, or because Notion has refused what they wanted together. A single
/// event always gets its answer.
pub fn run(sync: &Sync, works: &[&Work]) -> Vec<Option<Ended>> {
    let mut ended: Vec<Option<Ended>> = works.iter().map(|_| None).collect();
    let mut told = Vec::new();
    for (place, work) in works.iter().enumerate() {
        let mut outcome = Outcome {
            plan: sync.dry_run.then(Vec::new),
            ..work.outset()
        };
        match news(sync, work, &mut outcome) {
            Ok(Some(news)) => told.push((place, news)),
            Ok(None) => ended[place] = Some(Ok(outcome)),
            Err(error) => {
                ended[place] = Some(Err(Box::new(Failed {
                    error: Arc::new(error),
                    outcome,
                })));
            }
        }
    }
    let (mut tasks, tellers): (Vec<Task>, Vec<_>) = news::topics(told)
        .into_iter()
        .map(|topic| (task(sync, topic.news), topic.tellers))
        .unzip();
    client::write_all(sync, &mut tasks);
    for (task, tellers) in tasks.iter().zip(tellers) {
        if task.refused_with * tellers.len() > 1 {
            continue;
        }
        for (rank, teller) in tellers.iter().enumerate() {
            let outcome = for_teller(works[teller.place].outset(), task, rank, teller.adds);
            ended[teller.place] = Some(match &task.error {
                None => Ok(outcome),
                Some(error) => Err(Box::new(Failed {
                    error: Arc::clone(error),
                    outcome,
                })),
            });
        }
    }
    ended
}

/// What an event tells; `None` if nothing, and the outcome says why.
fn news<'a>(sync: &Sync, work: &'a Work, outcome: &mut Outcome) -> Result<Option<News<'a>>, Error> {
    let news = match work {
        Work::FollowUp(follow_up) => {
            resolve::answer(sync, follow_up)?.map(|news| News::Call(Cow::Owned(news)))
        }
        Work::Event(event) => match &event.subject {
            Subject::Call(news) if news.tells_nothing() => None,
            Subject::Call(news) => Some(News::Call(Cow::Borrowed(news))),
            Subject::Message(message) => Some(News::Message(Cow::Borrowed(message))),
            Subject::Contact(news) => Some(News::Contact(news)),
            Subject::Unsupported | Subject::Incomplete { .. } => {
                *outcome = skipped_at_once(event).unwrap_or_default();
                return Ok(None);
            }
        },
    };
    if news.is_none() {
        outcome.skipped = Some(Reason::NothingNew);
    }
    Ok(news)
}

/// What is to be put onto which clients' pages.
fn task<'a>(sync: &'a Sync, news: News<'a>) -> Task<'a> {
    let mut task = Task {
        outcome: Outcome {
            plan: sync.dry_run.then(Vec::new),
            ..Outcome::default()
        },
        ..Task::default()
    };
    let prepared = match news {
        News::Call(news) => resolve::call(sync, news, &mut task),
        News::Message(message) => resolve::message(sync, message, &mut task),
        News::Contact(news) => contact::fill(sync, news, &mut task),
    };
    if let Err(error) = prepared {
        task.fail(&Arc::new(error));
    }
    task
}

/// What came of a task, for one of the events that it was done for. What concerns the operator is
/// told once.
fn for_teller(outset: Outcome, task: &Task, rank: usize, adds: bool) -> Outcome {
    let came = &task.outcome;
    let action = |action| match (rank, adds, action) {
        (0, ..) | (_, true, Action::Skipped | Action::Updated) => action,
        (_, true, Action::Created) => Action::Updated,
        (_, false, _) => Action::Skipped,
    };
    let synced = came.synced.iter().map(|synced| Synced {
        action: action(synced.action),
        ..synced.clone()
    });
    Outcome {
        synced: synced.collect(),
        skipped: came
            .skipped
            .or((!adds && task.error.is_none()).then_some(Reason::Duplicate)),
        warnings: [outset.warnings, came.warnings.clone()].concat(),
        plan: came.plan.clone(),
        alarms: if rank == 0 {
            came.alarms.clone()
        } else {
            Vec::new()
        },
        ..outset
    }
}
