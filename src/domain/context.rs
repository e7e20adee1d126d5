//! The circumstances of a call or message: when, between whom, on which of the workspace's lines.

use jiff::Timestamp;

use super::id::{ActivityId, ContactId, NumberId, UserId};
use super::link::Link;
use super::parties::{Began, Direction, Parties};

/// What calls and messages have in common. Artifact events often carry little of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The call or message.
    pub id: ActivityId,
    /// When it was made: `createdAt` of the activity, not of an artifact or a delivery.
    pub at: Option<Timestamp>,
    /// A moment soon after it, for want of its own: its end, its delivery, its receipt.
    pub later: Option<Timestamp>,
    /// Who began it.
    pub began: Began,
    /// The workspace's number.
    pub number_id: Option<NumberId>,
    /// The workspace's person whose number it is, or who acted.
    pub user_id: Option<UserId>,
    /// Link to the conversation in Quo.
    pub link: Option<Link>,
    /// Who took part.
    pub parties: Parties,
    /// Contacts that Quo itself matched.
    pub contacts: ContactLookup,
}

impl Context {
    /// Nothing but which call or message it is.
    pub fn of(id: ActivityId) -> Self {
        Self {
            id,
            at: None,
            later: None,
            began: Began::Unsaid,
            number_id: None,
            user_id: None,
            link: None,
            parties: Parties::default(),
            contacts: ContactLookup::None,
        }
    }

    /// Who began it, as far as that is known.
    pub fn direction(&self) -> Option<Direction> {
        self.began.direction()
    }

    /// The best that is known of when it was.
    pub fn when(&self) -> Option<Timestamp> {
        self.at.or(self.later)
    }

    /// The same circumstances, completed by those that were told elsewhere.
    #[must_use]
    pub fn completed_by(&self, other: &Self) -> Self {
        let contacts = match (&self.contacts, &other.contacts) {
            (ContactLookup::Ids(have), ContactLookup::Ids(further)) => {
                let new = further.iter().filter(|id| !have.contains(id));
                ContactLookup::Ids(have.iter().chain(new).cloned().collect())
            }
            (ContactLookup::None, contacts) | (contacts, ContactLookup::None) => contacts.clone(),
        };
        let earlier = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        Self {
            id: self.id.clone(),
            // The time of an activity is that of its beginning; an artifact's own time is later.
            at: earlier(self.at, other.at),
            later: earlier(self.later, other.later),
            began: self.began.or(other.began),
            number_id: self.number_id.clone().or_else(|| other.number_id.clone()),
            user_id: self.user_id.clone().or_else(|| other.user_id.clone()),
            link: self.link.clone().or_else(|| other.link.clone()),
            parties: self.parties.joined(&other.parties),
            contacts,
        }
    }
}

/// What the delivery says about who the outside is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ContactLookup {
    /// Quo matched these contacts. One number may belong to several, and a group names them for all
    /// members.
    Ids(Vec<ContactId>),
    /// Quo did not look, could not, or found nobody: the local index decides.
    #[default]
    None,
}
