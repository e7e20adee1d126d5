//! The main job: one event through gather, plan and apply.
//!
//! ```text
//! event ─ own numbers, who is a client ─ gather (reads) ─▶ facts ─ plan (pure) ─▶ steps ─ apply (writes) ─▶ outcome
//! ```
//! When something turns out different while writing, or a write's outcome is unknown, the same way is gone again:
//! gathering looks at what is there, and the new plan holds only what is missing.

mod activity;
mod apply;
mod client;
pub mod columns;
mod contact;
mod error;
pub mod facts;
mod gather;
pub mod people;
pub mod plan;

use std::cell::Cell;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::domain::event::{Event, FOLLOW_UP, FollowUp, Subject};
use crate::domain::id::DatabaseId;
use crate::domain::outcome::{Alarm, Outcome, Reason, Warning};
use crate::http::{BaseUrl, Deadline, Vendor};
use crate::notion::Notion;
use crate::quo::{self, Quo};
use crate::store::Store;

use columns::ColumnNames;

pub use error::Error;

/// Longest that enrichment may take in all, per event.
pub const ENRICHMENT: Duration = Duration::from_secs(10);
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
    /// True once Quo has failed this event: it is not asked for further enrichment.
    pub quo_failed: Cell<bool>,
    /// Plan, but write nothing.
    pub dry_run: bool,
}

impl<'a> Sync<'a> {
    /// Quo, until `deadline`; `None` without a key.
    fn quo_until(&self, deadline: Deadline) -> Option<Quo<'a>> {
        self.quo.map(|access| Quo::new(&access.vendor, &access.base, deadline))
    }

    /// Quo, for enrichment: until its own deadline, and not again after a failure.
    fn quo_for_enrichment(&self) -> Option<Quo<'a>> {
        if self.quo_failed.get() { None } else { self.quo_until(self.quo_deadline) }
    }

    /// Notes a failure of Quo that the event survives. A denied key is an alarm too, once a day.
    fn quo_failed(&self, err: &quo::Error, consequence: &str, outcome: &mut Outcome) -> Result<(), Error> {
        self.quo_failed.set(true);
        let denied = matches!(err, quo::Error::Denied(_));
        let code = if denied { "quo_denied" } else { "quo_unavailable" };
        let cause = std::error::Error::source(err).map_or(String::new(), |cause| format!(": {cause}"));
        let message = format!("{err}{cause}; {consequence}");
        log::warn!("{message}");
        if denied && self.rings("alarm:quo_denied")? {
            outcome.alarms.push(Alarm { kind: "unauthorized", message: message.clone() });
        }
        if !outcome.warnings.iter().any(|warning| warning.code == code) {
            outcome.warnings.push(Warning::new(code, message));
        }
        Ok(())
    }

    /// True if the alarm called `key` has been quiet for a day; it has rung then.
    fn rings(&self, key: &str) -> Result<bool, Error> {
        let rests = self.store.snapshot(key)?.is_some_and(|last| last.age < ALARM_REST);
        if !rests {
            self.store.save_snapshot(key, "null")?;
        }
        Ok(!rests)
    }
}

/// What failed, and what had been done by then.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// Clients that are done, warnings, and which event it was.
    pub outcome: Outcome,
}

/// What is known of the outcome before anything is done.
pub fn outset(event: &Event) -> Outcome {
    Outcome {
        event_id: Some(event.id.to_string()),
        event_type: Some(event.event_type.clone()),
        activity_id: event.subject.activity_id().cloned(),
        warnings: event.oddities.iter().map(|oddity| Warning::new("odd_payload", oddity.clone())).collect(),
        ..Outcome::default()
    }
}

/// The same for a question that was put off.
pub fn follow_up_outset(follow_up: &FollowUp) -> Outcome {
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
        Subject::Incomplete { missing, .. } => {
            outcome.warnings.push(Warning::new("missing_field", format!("the payload has no usable {missing}")));
            Some(Reason::MissingFields)
        }
        Subject::Call(_) | Subject::Message(_) | Subject::Contact(_) => None,
    };
    outcome.skipped.is_some().then_some(outcome)
}

/// Puts one event into Notion.
pub fn run(sync: &Sync, event: &Event) -> Result<Outcome, Box<Failed>> {
    if let Some(outcome) = skipped_at_once(event) {
        return Ok(outcome);
    }
    let outcome = Outcome { plan: sync.dry_run.then(Vec::new), ..outset(event) };
    finish(outcome, |outcome| match &event.subject {
        Subject::Call(news) => activity::call(sync, news, outcome),
        Subject::Message(news) => activity::message(sync, news, outcome),
        Subject::Contact(news) => contact::run(sync, news, outcome),
        Subject::Unsupported | Subject::Incomplete { .. } => Ok(()),
    })
}

/// Asks Quo for an artifact that no delivery announces, and puts it where it belongs.
pub fn follow_up(sync: &Sync, follow_up: &FollowUp) -> Result<Outcome, Box<Failed>> {
    finish(follow_up_outset(follow_up), |outcome| activity::follow_up(sync, follow_up, outcome))
}

fn finish(mut outcome: Outcome, work: impl FnOnce(&mut Outcome) -> Result<(), Error>) -> Result<Outcome, Box<Failed>> {
    match work(&mut outcome) {
        Ok(()) => Ok(outcome),
        Err(error) => Err(Box::new(Failed { error, outcome })),
    }
}
