//! Who took part in a call or message, and who began it, as far as a delivery or a reply tells.

use std::collections::HashSet;

use super::phone::Phone;

/// Seen from the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Somebody outside called or wrote.
    Incoming,
    /// Somebody of the workspace called or wrote.
    Outgoing,
}

/// Who began it, and how well that is known: a field of a delivery has been wrong before, the type
/// of an event and the place of an own number have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    /// Told by the event's type, or by where the own number stands.
    Settled(Direction),
    /// Told by a field alone.
    Said(Direction),
    /// Not told.
    Unsaid,
}

impl Began {
    /// The direction, however well it is known.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Settled(direction) | Self::Said(direction) => Some(direction),
            Self::Unsaid => None,
        }
    }

    /// What is known better.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Settled(_), _) | (Self::Said(_), Self::Said(_) | Self::Unsaid) => self,
            (Self::Said(_), Self::Settled(_)) | (Self::Unsaid, _) => other,
        }
    }
}

/// Who took part, as it is told. Where nobody is named, nothing was said, or it is known to be
/// unreliable (`participants: []`, `resolution: unavailable`): ask Quo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parties {
    /// The sender or caller.
    pub from: Vec<Party>,
    /// The receivers.
    pub to: Vec<Party>,
    /// A list of everybody, or of the others. Two in it stand in the order of the call: who began
    /// first; except when one came in, then the outside first.
    pub all: Vec<Party>,
    /// Those of whom Quo says that they belong to the workspace.
    pub own: Vec<Party>,
}

/// One participant as written in the payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// A usable number.
    Phone(Phone),
    /// Something else: a number without country code, an id, a short code, `Anonymous`.
    Other(String),
}

impl Party {
    /// Reads a participant; everything that is not E.164 is kept as text.
    pub fn parse(text: &str) -> Self {
        Phone::parse(text).map_or_else(|| Self::Other(text.trim().to_owned()), Self::Phone)
    }

    /// The number, if it is one.
    pub fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Other(_) => None,
        }
    }
}

impl Parties {
    /// Everybody who is named, each once, the sender first.
    pub fn everybody(&self) -> Vec<&Party> {
        without_repeats([&self.from, &self.to, &self.all, &self.own])
    }

    /// True if nobody is named.
    pub fn is_empty(&self) -> bool {
        self.everybody().is_empty()
    }

    /// Those who are named here, with those who are named elsewhere; sender and receivers are the
    /// ones that are named here, if they are.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let first = |a: &Vec<Party>, b: &Vec<Party>| if a.is_empty() { b } else { a }.clone();
        let both = |a, b| without_repeats([a, b]).into_iter().cloned().collect();
        Self {
            from: first(&self.from, &other.from),
            to: first(&self.to, &other.to),
            all: both(&self.all, &other.all),
            own: both(&self.own, &other.own),
        }
    }
}

fn without_repeats<'a>(lists: impl IntoIterator<Item = &'a Vec<Party>>) -> Vec<&'a Party> {
    let mut seen = HashSet::new();
    let all = lists.into_iter().flatten();
    all.filter(|party| seen.insert(*party)).collect()
}
