//! The webhook door: raw bytes become an [`Event`], or an error that says why they are none.
//!
//! Three generations of deliveries arrive at one endpoint and can be switched on together; all
//! become the same event. Which one it is, is told by structure rather than by `apiVersion`:
//! `data.resource` is 2026-03-30, `data.object` is legacy, whose calls and messages of v2, v3 and
//! v4 differ only in which fields they have. What Quo sends is never refused for a detail: only
//! what cannot be an event at all is an error, and what is odd is told beside it.

mod dated;
mod subject;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::words::{Fields, Oddities};
use crate::domain::event::{Event, Subject};
use crate::domain::failure::{self, Failure};
use crate::domain::id::{ActivityId, EventId};
use crate::surrogate;
use crate::text;

use self::subject::{Delivery, EventKind};

/// Longest event type that is passed on, in characters; Quo's have at most 30.
const MAX_TYPE: usize = 100;
/// Begins the ids of events that Quo sends for a test.
const TEST: &str = "EV-test-";
/// How many digits of a document's hash name an activity that has no id.
const LOCAL_DIGITS: usize = 24;

/// The fields of the outermost object.
const ENVELOPE: &[&str] = &[
    "id",
    "type",
    "createdAt",
    "object",
    "data",
    "verification_token",
];
/// The fields of `data`.
const DATA: &[&str] = &["object", "deepLink", "resource", "context", "links"];

/// Why a document is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadError {
    /// The bytes are not JSON.
    NotJson {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault, from 1, in bytes; 0 when a line ended too early.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// JSON, but a list of something: perhaps of events.
    List,
    /// JSON that has nothing of an event. Values are not repeated here.
    NoEvent(&'static str),
    /// The id of the call or message is none of Quo's.
    BadId {
        /// Where it stands.
        path: String,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson {
                line,
                column,
                reason,
            } => write!(
                f,
                "payload is not JSON: {reason} at line {line} column {column}"
            ),
            Self::List => f.write_str("payload is a list, not an object"),
            Self::NoEvent(why) => write!(f, "payload is no event: {why}"),
            Self::BadId { path } => write!(f, "payload has an id that is none of Quo's: {path}"),
        }
    }
}

impl std::error::Error for PayloadError {}

impl From<PayloadError> for Failure {
    fn from(err: PayloadError) -> Self {
        Self::new(
            failure::Kind::Payload,
            err.to_string(),
            "compare the payload with `fixtures/quo`; if Quo really sent it, report it",
        )
    }
}

/// Reads one JSON document that was received at that moment. Types that need nothing are
/// `Subject::Unsupported`, whatever else the document holds.
pub fn parse(document: &[u8], received: Timestamp) -> Result<Event, PayloadError> {
    let mended = surrogate::mend(document);
    let json = utf8(&mended)?;
    serde_json::from_str::<IgnoredAny>(json).map_err(|err| PayloadError::not_json(&err))?;
    let notes = Oddities::default();
    let event = read(json.trim(), document, received, &notes)?;
    Ok(Event {
        oddities: notes.into_vec(),
        ..event
    })
}

/// True if the event is one that Quo sends when somebody tries a subscription out.
pub fn is_test(event: &Event) -> bool {
    is_of_test(&event.id)
}

fn is_of_test(id: &EventId) -> bool {
    id.as_str().starts_with(TEST)
}

fn read(
    json: &str,
    document: &[u8],
    received: Timestamp,
    notes: &Oddities,
) -> Result<Event, PayloadError> {
    let outer = Fields::of(json, "", ENVELOPE, notes).ok_or_else(|| PayloadError::kind_of(json))?;
    // Some v3 deliveries have the whole event inside of `object`.
    let inner = outer
        .raw("object")
        .filter(|_| outer.raw("type").is_none())
        .and_then(|inner| Fields::of(inner, "", ENVELOPE, notes))
        .filter(|inner| inner.raw("type").or(inner.raw("data")).is_some());
    let envelope = inner.as_ref().unwrap_or(&outer);
    let hash = Hash::of(document);
    let id = envelope
        .raw("id")
        .and_then(|_| envelope.id("id", EventId::parse));
    let event = |event_type: String, subject| Event {
        id: id.clone().unwrap_or_else(|| hash.event_id()),
        event_type,
        subject,
        oddities: Vec::new(),
    };
    let data = envelope.raw("data").and(envelope.object("data", DATA));
    let event_type = event_type(envelope);
    let kind = match &event_type {
        Some(event_type) => match EventKind::of(event_type) {
            Some(kind) => kind,
            None => return Ok(event(shortened(event_type), Subject::Unsupported)),
        },
        None if envelope.raw("verification_token").is_some() => {
            return Ok(event("verification_token".into(), Subject::Unsupported));
        }
        None if data.is_none() => {
            return Err(PayloadError::NoEvent("it has neither a type nor data"));
        }
        None => EventKind::Untyped,
    };
    let delivery = Delivery {
        kind,
        data: data.as_ref(),
        later: envelope.time("createdAt").unwrap_or(received),
        local_id: hash.activity_id(),
    };
    let (name, subject) = match delivery.subject() {
        // What Quo sends for a test names things that are not there.
        Err(_) if id.as_ref().is_some_and(is_of_test) => ("", Subject::Unsupported),
        subject => subject?,
    };
    Ok(event(
        event_type.unwrap_or_else(|| name.to_owned()),
        subject,
    ))
}

/// The type, in the spelling of subscriptions.
fn event_type(envelope: &Fields) -> Option<String> {
    let written = envelope.raw("type")?;
    if !written.starts_with('"') {
        envelope.unreadable("type", "a text");
        return None;
    }
    let word = envelope.word("type")?;
    Some(match word.as_str() {
        "callSummary" => "call.summary.completed".into(),
        "callTranscript" => "call.transcript.completed".into(),
        _ => word,
    })
}

fn shortened(event_type: &str) -> String {
    event_type.chars().take(MAX_TYPE).collect()
}

impl PayloadError {
    fn not_json(err: &serde_json::Error) -> Self {
        let text = err.to_string();
        let reason = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(text, _)| text);
        Self::NotJson {
            line: err.line(),
            column: err.column(),
            reason: text::one_line(reason, 200),
        }
    }

    /// What JSON is instead of an object.
    fn kind_of(json: &str) -> Self {
        if json.starts_with('[') {
            Self::List
        } else {
            Self::NoEvent("it is a single value, not an object")
        }
    }
}

fn utf8(document: &[u8]) -> Result<&str, PayloadError> {
    std::str::from_utf8(document).map_err(|err| {
        let before = &document[..err.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = 1 + before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count();
        PayloadError::NotJson {
            line,
            column,
            reason: "invalid UTF-8".into(),
        }
    })
}

/// Identity of what brings none: the same bytes are the same event, and the same call or message.
struct Hash(String);

impl Hash {
    fn of(document: &[u8]) -> Self {
        let mut digits = String::with_capacity(64);
        for byte in Sha256::digest(document) {
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }

    fn event_id(&self) -> EventId {
        EventId::parse(&format!("sha256-{}", self.0)).expect("a word and digits are an id")
    }

    fn activity_id(&self) -> ActivityId {
        ActivityId::local(&self.0[..LOCAL_DIGITS])
    }
}
