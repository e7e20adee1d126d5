//! Who took part in a call or message, and who began it, as far as a delivery or a reply tells.

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

/// Who took part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parties {
    /// As named, own numbers among them.
    Named {
        /// The sender or caller.
        from: Vec<Party>,
        /// The receivers.
        to: Vec<Party>,
        /// A list of everybody, or of the others. Two in it stand in the order of the call: who
        /// began first; except when one came in, then the outside first.
        all: Vec<Party>,
    },
    /// Told apart by Quo.
    Resolved {
        /// Numbers of the workspace.
        own: Vec<Party>,
        /// Numbers of the outside.
        outside: Vec<Party>,
    },
    /// Nothing said, or known to be unreliable (`participants: []`, `resolution: unavailable`): ask
    /// Quo.
    Unknown,
}

/// One participant as written in the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let lists: [&[Party]; 3] = match self {
            Self::Named { from, to, all } => [from, to, all],
            Self::Resolved { own, outside } => [outside, own, &[]],
            Self::Unknown => [&[], &[], &[]],
        };
        let mut named: Vec<&Party> = Vec::new();
        for party in lists.into_iter().flatten() {
            if !named.contains(&party) {
                named.push(party);
            }
        }
        named
    }
}
