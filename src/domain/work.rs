//! What is to be done: an event, or a question that was put off.

use super::call::{FOLLOW_UP, FollowUp};
use super::event::{Event, Subject};
use super::id::EventId;
use super::outcome::{Notes, Of, Outcome, Reason, Verdict, Warning, WarningCode};

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

    /// What the event is about; a question is about what was asked before.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Event(event) => Some(&event.subject),
            Self::FollowUp(_) => None,
        }
    }

    /// The outcome with that verdict, before any page is told of.
    pub fn ends(&self, verdict: Verdict) -> Outcome {
        match self {
            Self::Event(event) => event.ends(verdict),
            Self::FollowUp(follow_up) => {
                let of = Of {
                    event_id: Some(follow_up.event_id().to_string()),
                    event_type: Some(FOLLOW_UP.to_owned()),
                    activity_id: Some(follow_up.activity.clone()),
                    ..Of::default()
                };
                Outcome::new(of, verdict)
            }
        }
    }
}

impl Event {
    /// The outcome with that verdict, before any page is told of.
    pub fn ends(&self, verdict: Verdict) -> Outcome {
        let of = Of {
            event_id: Some(self.id.to_string()),
            event_type: Some(self.event_type.clone()),
            activity_id: self.subject.activity_id().cloned(),
            ..Of::default()
        };
        let odd = |oddity: &String| Warning::new(WarningCode::OddPayload, oddity.clone());
        let notes = Notes {
            warnings: self.oddities.iter().map(odd).collect(),
            ..Notes::default()
        };
        Outcome {
            notes,
            ..Outcome::new(of, verdict)
        }
    }

    /// The outcome of an event that needs neither store nor network; `None` for all others.
    pub fn skipped_at_once(&self) -> Option<Outcome> {
        match &self.subject {
            Subject::Unsupported => Some(self.ends(Verdict::Skipped(Reason::UnsupportedEvent))),
            Subject::Incomplete { missing } => {
                let mut outcome = self.ends(Verdict::Skipped(Reason::MissingFields));
                let message = format!("the payload has no usable {missing}");
                let warning = Warning::new(WarningCode::MissingField, message);
                outcome.notes.warnings.push(warning);
                Some(outcome)
            }
            Subject::Call(_) | Subject::Message(_) | Subject::Contact(_) => None,
        }
    }
}
