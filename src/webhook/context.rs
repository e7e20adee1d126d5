//! The circumstances of a call or message, as far as they are read differently in each generation.

use crate::domain::context::{ContactLookup, Context};
use crate::domain::id::{ActivityId, ContactId, NumberId, UserId};
use crate::domain::parties::{Direction, Parties};

use super::shape::Time;
use super::wire::Notes;

/// A [`Context`] before the activity itself is read.
pub(super) struct Circumstances {
    /// The workspace's number.
    pub(super) number_id: Option<NumberId>,
    /// The workspace's person.
    pub(super) user_id: Option<UserId>,
    /// Link to the conversation.
    pub(super) link: Option<String>,
    /// Who took part.
    pub(super) parties: Parties,
    /// Contacts that Quo matched.
    pub(super) contacts: ContactLookup,
}

impl Circumstances {
    /// Completes them; `at` is the time of the activity, not of an artifact.
    pub(super) fn of(
        self,
        id: ActivityId,
        at: Option<Time>,
        direction: Option<Direction>,
    ) -> Context {
        Context {
            id,
            at: at.map(|time| time.0),
            direction,
            number_id: self.number_id,
            user_id: self.user_id,
            link: self.link,
            parties: self.parties,
            contacts: self.contacts,
        }
    }
}

/// The direction, if it is one of the two words.
pub(super) fn direction(text: Option<&str>) -> Option<Direction> {
    match text? {
        "incoming" => Some(Direction::Incoming),
        "outgoing" => Some(Direction::Outgoing),
        _ => None,
    }
}

/// The matched contacts, each once, without prefixes and without what is no id.
pub(super) fn matched(ids: &[String], notes: &mut Notes) -> ContactLookup {
    let mut kept: Vec<ContactId> = Vec::new();
    for id in ids
        .iter()
        .filter_map(|id| notes.optional_id(Some(id), ContactId::parse))
    {
        let id = id.without_prefix().unwrap_or(id);
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    if kept.is_empty() {
        ContactLookup::None
    } else {
        ContactLookup::Ids(kept)
    }
}
