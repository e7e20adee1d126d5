//! What goes wrong with Quo, and the one reading of its three shapes of error bodies.
//!
//! Apart from the operations because every one of them meets these, and from `http` because the
//! shapes are Quo's. The shapes: v1 as specified (`message`, `code`, `trace`, `errors`), v1 as its
//! gateway answers (`{"error":{"message","key","trace"}}`), and 2026-03-30 (as v1, without `code`).

use std::fmt;

use serde_json::Value;

use crate::domain::failure::{Cause, Failure, Kind};
use crate::http;
use crate::text;

/// Longest part of a message or of an unreadable body that is kept, in characters.
const MAX_MESSAGE: usize = 300;
const MAX_BODY: usize = 2_000;
/// Code of a v1 refusal to read a call with more than two parties.
const TOO_MANY_PARTICIPANTS: &str = "0101400";

/// Whether a body that came with that status is Quo's own: one of its three shapes of errors. What
/// it says with a 429 is written nowhere.
pub(super) fn is_own(status: u16, body: &Value) -> bool {
    let has = |object: &Value, names: &[&str]| names.iter().all(|name| object[name].is_string());
    status == 429
        || has(&body["error"], &["message", "key"])
        || has(body, &["message", "code"])
        || has(body, &["message", "title", "docs"])
}

/// Why Quo gave nothing.
#[derive(Debug)]
pub enum Error {
    /// 401 or 403: the key is missing, revoked or not allowed. The operator must act.
    Denied(QuoRefusal),
    /// Any other refusal that stays one however often it is asked.
    Refused(QuoRefusal),
    /// No answer to judge: not now, blocked, out of time.
    Failed(http::Error),
    /// An answer that does not say what it should.
    Unreadable {
        /// What was to be read, for example `contact`.
        what: &'static str,
        /// Where in it and why, without the value if that can be helped.
        cause: String,
        /// The beginning of the answer. May hold what people wrote: not for logs at info level and
        /// above.
        body: String,
    },
    /// A list that leads in a circle or never ends.
    Endless {
        /// Pages read until then.
        pages: usize,
    },
}

impl Error {
    /// What Quo said, if it refused.
    pub fn refusal(&self) -> Option<&QuoRefusal> {
        match self {
            Self::Denied(refusal) | Self::Refused(refusal) => Some(refusal),
            Self::Failed(_) | Self::Unreadable { .. } | Self::Endless { .. } => None,
        }
    }

    pub(super) fn unreadable(what: &'static str, cause: impl fmt::Display, body: &[u8]) -> Self {
        let body = text::cut(&String::from_utf8_lossy(body), MAX_BODY).to_owned();
        Self::Unreadable {
            what,
            cause: text::one_line(&cause.to_string(), MAX_MESSAGE),
            body,
        }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        let http::Error::Refused {
            status,
            body,
            text,
            request_id,
            ..
        } = error
        else {
            return Self::Failed(error);
        };
        let refusal = QuoRefusal {
            request_id,
            ..QuoRefusal::read(status, &body, &text)
        };
        if matches!(status, 401 | 403) {
            Self::Denied(refusal)
        } else {
            Self::Refused(refusal)
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(refusal) => write!(f, "quo denies access: {refusal}"),
            Self::Refused(refusal) => write!(f, "quo refuses: {refusal}"),
            Self::Failed(error) => error.fmt(f),
            Self::Unreadable { what, cause, .. } => {
                write!(f, "cannot read the {what} that quo sent: {cause}")
            }
            Self::Endless { pages } => {
                write!(f, "quo's list does not end: stopped after {pages} pages")
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        let message = err.to_string();
        match err {
            Error::Denied(_) => Self::new(
                Kind::Unauthorized,
                message,
                "check OPENPHONE_API_KEY in Quo's workspace settings",
            )
            .held_by(Cause::QUO_KEY),
            Error::Refused(_) => Self::new(
                Kind::Refused,
                message,
                "if this stays so, report it with the trace",
            ),
            Error::Failed(err @ http::Error::Untrusted { .. }) => {
                Self::from(err).held_by(Cause::QUO_BASE)
            }
            Error::Failed(err @ (http::Error::Blocked { .. } | http::Error::Invalid { .. })) => {
                Self::from(err).held_by(Cause::QUO_KEY)
            }
            Error::Failed(err) => err.into(),
            Error::Unreadable { .. } | Error::Endless { .. } => Self::new(
                Kind::Unavailable,
                message,
                "run again later; if it stays so, report it",
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Denied(_) | Self::Refused(_) | Self::Unreadable { .. } | Self::Endless { .. } => {
                None
            }
        }
    }
}

/// A refusal, understood. Prints as one line with everything the vendor's support would ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoRefusal {
    /// HTTP status.
    pub status: u16,
    /// What Quo says, with the fields it names.
    pub message: String,
    /// Quo's own code: two digits of the resource, then of the case, ending in the status. Only on
    /// v1.
    pub code: Option<String>,
    /// Quo's trace number.
    pub trace: Option<String>,
    /// `x-correlation-id` of the answer.
    pub request_id: Option<String>,
}

impl QuoRefusal {
    /// Reads an error body of any shape; `text` is shown when it is not JSON.
    pub fn read(status: u16, body: &Value, text: &str) -> Self {
        let inner = body
            .get("error")
            .filter(|error| error.is_object())
            .unwrap_or(body);
        let word = |name| {
            inner
                .get(name)
                .and_then(Value::as_str)
                .filter(|word| !word.trim().is_empty())
        };
        let said = word("message")
            .or_else(|| word("title"))
            .or_else(|| word("error"))
            .unwrap_or(text.trim());
        let said = if said.is_empty() {
            "no reason given"
        } else {
            said
        };
        let message = match fields(inner) {
            Some(fields) => text::one_line(&format!("{said} ({fields})"), MAX_MESSAGE),
            None => text::one_line(said, MAX_MESSAGE),
        };
        let mark = |name| word(name).map(|word| text::one_line(word, MAX_MESSAGE));
        Self {
            status,
            message,
            code: mark("code"),
            trace: mark("trace"),
            request_id: None,
        }
    }

    pub(super) fn is_too_many_participants(&self) -> bool {
        self.status == 400 && self.code.as_deref() == Some(TOO_MANY_PARTICIPANTS)
    }
}

impl fmt::Display for QuoRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)?;
        for (name, mark) in [
            ("code", &self.code),
            ("trace", &self.trace),
            ("request", &self.request_id),
        ] {
            if let Some(mark) = mark {
                write!(f, ", {name} {mark}")?;
            }
        }
        Ok(())
    }
}

/// Tells "Quo does not have it" (404: unknown, or of another workspace) from a failure.
pub(super) fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(None),
        other => other.map(Some),
    }
}

/// Path and complaint of each named field, never its value.
fn fields(body: &Value) -> Option<String> {
    let errors = body.get("errors")?.as_array()?;
    let word = |error: &Value, name| {
        error
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let named: Vec<_> = errors
        .iter()
        .map(|error| format!("{}: {}", word(error, "path"), word(error, "message")))
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}
