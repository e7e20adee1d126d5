//! The event: what one webhook delivery says, in one form for all three payload generations.

use super::call::CallUpdate;
use super::id::{ActivityId, EventId};
use super::message::Message;
use super::profile::Contact;

/// One webhook delivery, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique per happening, the same across retries and endpoints.
    pub id: EventId,
    /// The type with its spelling normalised, for example `call.summary.completed`.
    pub event_type: String,
    /// What happened.
    pub subject: Subject,
    /// Oddities met while reading that a person may want to know.
    pub oddities: Vec<String>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A call happened, or one of its artifacts became known.
    Call(CallUpdate),
    /// A message was received or delivered.
    Message(Message),
    /// A Quo contact was made, changed or deleted.
    Contact(ContactUpdate),
    /// A type that is known and needs nothing, or is not known at all.
    Unsupported,
    /// A handled type without something that cannot be done without.
    Incomplete {
        /// Name of what is missing, for example `direction`.
        missing: &'static str,
    },
}

impl Subject {
    /// The call or message that the event is about.
    pub fn activity_id(&self) -> Option<&ActivityId> {
        match self {
            Self::Call(news) => Some(&news.context.id),
            Self::Message(message) => Some(&message.context.id),
            Self::Contact(_) | Self::Unsupported | Self::Incomplete { .. } => None,
        }
    }
}

/// A change of a Quo contact.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactUpdate {
    /// The contact as it is now (as it was, when deleted).
    pub contact: Contact,
    /// True when it was deleted.
    pub deleted: bool,
}
