//! How a call can end badly, told by what the caller may do next.
//!
//! Apart because every client of an API branches on it. It must not know what a vendor's codes
//! mean.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::domain::failure::{Failure, Kind, Whose};
use crate::text;
use crate::time::stop;

/// Bytes of a foreign text that an error keeps.
const KEPT: usize = 2048;
/// Characters of a vendor's message that an error line shows.
const SHOWN: usize = 300;

/// A call that did not succeed. `what` is one clear line without secrets, query values or control
/// characters; `request_id` is what the vendor's support asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// A definite no, in the vendor's own words. Nothing was saved.
    Refused {
        /// One line: vendor, method, path, status, the vendor's code and message.
        what: String,
        /// The path that was asked for, without the base.
        path: Box<str>,
        /// The status.
        status: u16,
        /// The body.
        body: Value,
        /// The body as text, cut to 2 kB.
        text: Box<str>,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// It is certain that nothing was saved, or it was a read: come back later.
    NotNow {
        /// One line: what was tried and why it did not work.
        what: String,
        /// How long to stay away, if the vendor or the rate window said.
        retry_after: Option<Duration>,
        /// The status of the last answer, if there was one.
        status: Option<u16>,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// The vendor has blocked this connection (429, `public_api_request_blocked`): an operator must
    /// act.
    Blocked {
        /// One line.
        what: String,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// A write whose outcome is not known: the caller looks before anything else.
    Unknown {
        /// One line: what was tried and how it ended.
        what: String,
        /// The status, if there was an answer.
        status: Option<u16>,
        /// The body, `Null` if it is not JSON; a 503 may say that the change was saved, and name
        /// the ids.
        body: Value,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// A read that succeeded with more than is taken; less may be asked for.
    TooLarge {
        /// One line.
        what: String,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// A read that succeeded with a body of another shape than expected. Trying again gives the
    /// same.
    Unreadable {
        /// One line: what was read, and where the body differs.
        what: String,
        /// The body as text, cut to 2 kB.
        text: String,
        /// The vendor's id of the request.
        request_id: Option<String>,
    },
    /// The time ran out before a write was sent, or during a read: nothing was saved.
    Deadline {
        /// One line.
        what: String,
    },
    /// The other side's certificate does not do; nothing was sent, and trying again gives the same.
    Untrusted {
        /// One line.
        what: String,
    },
    /// The request cannot be sent as it is (a key with a line break, a path with `..`); nothing was
    /// sent.
    Invalid {
        /// One line.
        what: String,
    },
}

impl Error {
    /// The status of the vendor's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::NotNow { status, .. } | Self::Unknown { status, .. } => *status,
            Self::Blocked { .. } => Some(429),
            Self::TooLarge { .. }
            | Self::Unreadable { .. }
            | Self::Deadline { .. }
            | Self::Untrusted { .. }
            | Self::Invalid { .. } => None,
        }
    }

    /// The vendor's id of the request, if it gave one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. }
            | Self::NotNow { request_id, .. }
            | Self::Blocked { request_id, .. }
            | Self::Unknown { request_id, .. }
            | Self::TooLarge { request_id, .. }
            | Self::Unreadable { request_id, .. } => request_id.as_deref(),
            Self::Deadline { .. } | Self::Untrusted { .. } | Self::Invalid { .. } => None,
        }
    }

    fn what(&self) -> &str {
        match self {
            Self::Refused { what, .. }
            | Self::NotNow { what, .. }
            | Self::Blocked { what, .. }
            | Self::Unknown { what, .. }
            | Self::TooLarge { what, .. }
            | Self::Unreadable { what, .. }
            | Self::Deadline { what }
            | Self::Untrusted { what }
            | Self::Invalid { what } => what,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())?;
        match self.request_id() {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    /// What the error means whoever the vendor is; its own refusals a vendor explains itself.
    fn from(err: Error) -> Self {
        let (kind, hint) = match &err {
            Error::Refused { .. } | Error::Blocked { .. } => (
                Kind::Refused,
                "if the message does not help, report it with the request id",
            ),
            Error::NotNow {
                status: Some(429 | 529),
                ..
            } => (Kind::RateLimited, "run again later"),
            Error::NotNow { .. } => (
                Kind::Unavailable,
                "run again later; check the network if it stays so",
            ),
            Error::Unknown { .. } => (
                Kind::Unavailable,
                "run the same payload again: what was saved is looked for first",
            ),
            Error::Deadline { .. } if stop::is_told() => return Self::stopped(),
            Error::Deadline { .. } => (
                Kind::Deadline,
                "run again later, or with a longer --deadline",
            ),
            Error::Untrusted { .. } => (
                Kind::Config,
                "something in between shows a certificate of its own, or the address is not the \
                    vendor's: check the API's base, the proxy and this machine's clock",
            ),
            Error::Invalid { .. } => (
                Kind::Config,
                "check the keys: one seems to hold a line break or the like",
            ),
            Error::TooLarge { .. } | Error::Unreadable { .. } => (
                Kind::Unavailable,
                "run again later; if it stays so, report it",
            ),
        };
        let failure = Self::new(kind, err.to_string(), hint);
        let (whose, retry_after) = match &err {
            Error::Blocked { .. } => (Whose::Operator, None),
            Error::NotNow { retry_after, .. } => (failure.whose, *retry_after),
            Error::Refused { .. }
            | Error::Unknown { .. }
            | Error::TooLarge { .. }
            | Error::Unreadable { .. }
            | Error::Deadline { .. }
            | Error::Untrusted { .. }
            | Error::Invalid { .. } => (failure.whose, None),
        };
        Self {
            whose,
            retry_after,
            request_id: err.request_id().map(str::to_owned),
            ..failure
        }
    }
}

/// The text cut to what an error keeps, at a character boundary.
pub(super) fn kept(body: &str) -> String {
    text::cut(body, KEPT).to_owned()
}

/// A foreign text fit for one line of an error.
pub(super) fn one_line(foreign: &str) -> String {
    text::one_line(foreign, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_text_ends_at_a_character() {
        let text = format!("{}é", "x".repeat(KEPT - 1));
        assert_eq!(kept(&text).len(), KEPT - 1);
        assert_eq!(kept("é"), "é");
    }

    #[test]
    fn line_has_no_terminal_controls() {
        assert_eq!(one_line(" a\n\x1b[31mb\u{9b} "), "a\\n\\u{1b}[31mb\\u{9b}");
        assert_eq!(one_line(&"é".repeat(400)).chars().count(), SHOWN + 1);
    }
}
