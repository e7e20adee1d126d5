//! Who took part in a call or message, as far as a delivery or a reply tells the sides apart.

use super::phone::Phone;

/// Seen from the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Somebody outside called or wrote.
    Incoming,
    /// Somebody of the workspace called or wrote.
    Outgoing,
}

/// Who took part, as far as the delivery tells the sides apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parties {
    /// Sender and receivers (messages; calls of v2 and v3).
    Sides {
        /// The sender or caller.
        from: Vec<Party>,
        /// The receivers; of a group message the other members and the own number.
        to: Vec<Party>,
    },
    /// Everybody in one list (calls of v4): incoming `[outside, own]`, outgoing `[own, outside]`.
    Mixed(Vec<Party>),
    /// Told apart by Quo (calls of 2026-03-30).
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
    /// Something else: an id, a short code, `Anonymous`, a malformed number. Never a client.
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
