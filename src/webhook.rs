//! The webhook door: raw bytes become an [`Event`], or an error that says what is wrong with them.
//!
//! Three generations of payloads arrive at one endpoint and can be switched on together; all become
//! the same event. Which one it is, is told by structure rather than by `apiVersion`:
//! `data.resource` is 2026-03-30 (`dated`), `data.object` is legacy (`legacy`), whose calls and
//! messages of v2, v3 and v4 differ only in which fields they have. Unknown fields are ignored,
//! missing and null ones tolerated, wrong types named by their path. What a call, message, artifact
//! or contact means is read in one place each, for all generations.

use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::wire::{Body, Notes, read};
use crate::domain::event::{Event, Subject};
use crate::domain::id::EventId;
use crate::domain::parties::Direction;
use crate::surrogate;

mod artifact;
mod call;
mod contact;
mod context;
mod dated;
mod legacy;
mod message;
mod shape;
pub mod signature;
#[cfg(test)]
mod tests;
mod wire;

/// Longest event type that is passed on, in characters; Quo's have at most 30.
const MAX_TYPE: usize = 100;

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
    /// JSON, but something in it has the wrong type or is missing. Values are not repeated here.
    WrongShape {
        /// Where, for example `data.object.participants[0]`; empty for the whole document.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// An id that an event cannot be without is missing or not usable as one.
    BadId {
        /// Where it was looked for.
        path: String,
        /// Which kind of id was expected.
        expected: &'static str,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson {
                line,
                column,
                reason,
            } => {
                write!(
                    f,
                    "payload is not JSON: {reason} at line {line} column {column}"
                )
            }
            Self::WrongShape { path, reason } if path.is_empty() => {
                write!(f, "payload has the wrong shape: {reason}")
            }
            Self::WrongShape { path, reason } => {
                write!(f, "payload has the wrong shape: {path}: {reason}")
            }
            Self::BadId { path, expected } => write!(f, "payload has no usable {expected}: {path}"),
        }
    }
}

impl std::error::Error for PayloadError {}

/// Reads one JSON document. Types that need nothing are `Subject::Unsupported`, whatever else the
/// document holds; one without a usable id is then known by the hash of its bytes.
pub fn parse(document: &[u8]) -> Result<Event, PayloadError> {
    let mended = surrogate::mend(document);
    let envelope = Envelope::open(utf8(&mended)?)?;
    let event_type = envelope.event_type()?;
    let Some(kind) = Kind::of(&event_type) else {
        let (id, oddities) = envelope
            .id()
            .map_or_else(|_| hashed(document), |id| Ok((id, Vec::new())))?;
        let event_type = event_type.chars().take(MAX_TYPE).collect();
        return Ok(Event {
            id,
            event_type,
            subject: Subject::Unsupported,
            oddities,
        });
    };
    let id = envelope.id()?;
    let mut notes = Notes::default();
    let subject = envelope.subject(kind, &mut notes)?;
    Ok(Event {
        id,
        event_type,
        subject,
        oddities: notes.into_vec(),
    })
}

/// A handled event type.
#[derive(Clone, Copy)]
enum Kind {
    Contact { deleted: bool },
    Activity(ActivityKind),
}

/// A handled type of event about a call or message.
#[derive(Clone, Copy)]
enum ActivityKind {
    CallCompleted,
    CallMissed,
    Recording,
    Voicemail,
    Summary,
    Transcript,
    Message,
}

impl Kind {
    fn of(event_type: &str) -> Option<Self> {
        Some(Self::Activity(match event_type {
            "call.completed" => ActivityKind::CallCompleted,
            "call.missed" => ActivityKind::CallMissed,
            "call.recording.completed" => ActivityKind::Recording,
            "call.voicemail.completed" => ActivityKind::Voicemail,
            "call.summary.completed" => ActivityKind::Summary,
            "call.transcript.completed" => ActivityKind::Transcript,
            "message.received" | "message.delivered" => ActivityKind::Message,
            "contact.updated" => return Some(Self::Contact { deleted: false }),
            "contact.deleted" => return Some(Self::Contact { deleted: true }),
            _ => return None,
        }))
    }
}

/// The outermost object. Its parts stay unread until it is known what they should be.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    verification_token: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Some v3 deliveries have the whole event inside of `object`.
    fn open(document: &'a str) -> Result<Self, PayloadError> {
        let outer: Self = read(document, "")?;
        match outer.object {
            Some(object) if outer.event_type.is_none() && object.get().starts_with('{') => {
                let inner: Self = read(object.get(), "object")?;
                Ok(if inner.event_type.is_some() {
                    inner
                } else {
                    outer
                })
            }
            Some(_) | None => Ok(outer),
        }
    }

    /// The type, in the spelling of subscriptions. Notion's handshake has none and is called by its
    /// only field.
    fn event_type(&self) -> Result<String, PayloadError> {
        if self.event_type.is_none() && self.verification_token.is_some() {
            return Ok("verification_token".into());
        }
        let text = self.event_type.map(text).unwrap_or_default();
        let text = text.ok_or_else(|| PayloadError::wrong_shape("type", "expected a text"))?;
        Ok(match text.as_str() {
            "callSummary" => "call.summary.completed".into(),
            "callTranscript" => "call.transcript.completed".into(),
            _ => text,
        })
    }

    fn id(&self) -> Result<EventId, PayloadError> {
        let id = self
            .id
            .and_then(text)
            .and_then(|id| EventId::parse(&id).ok());
        id.ok_or_else(|| PayloadError::BadId {
            path: "id".into(),
            expected: "event id",
        })
    }

    fn subject(&self, kind: Kind, notes: &mut Notes) -> Result<Subject, PayloadError> {
        let data: Data = read(self.data.map_or("null", RawValue::get), "data")?;
        let (body, generation) = data.body()?;
        let kind = match kind {
            Kind::Contact { deleted } => return contact::subject(&body, deleted),
            Kind::Activity(kind) => kind,
        };
        let circumstances = match generation {
            Generation::Legacy => legacy::circumstances(&body, &data, notes)?,
            Generation::Dated => dated::circumstances(&data, notes)?,
        };
        match kind {
            ActivityKind::CallCompleted => call::ended(&body, circumstances, None, notes),
            ActivityKind::CallMissed => {
                call::ended(&body, circumstances, Some(Direction::Incoming), notes)
            }
            ActivityKind::Recording => call::recorded(&body, circumstances, notes),
            ActivityKind::Voicemail => artifact::voicemail(&body, circumstances, notes),
            ActivityKind::Summary => artifact::summary(&body, circumstances),
            ActivityKind::Transcript => artifact::transcript(&body, circumstances, notes),
            ActivityKind::Message => message::subject(&body, circumstances, notes),
        }
    }
}

/// Which family of payloads a delivery belongs to.
enum Generation {
    /// v2, v3 and v4.
    Legacy,
    /// 2026-03-30.
    Dated,
}

/// What lies under `data`, of all generations.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    deep_link: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
}

impl<'a> Data<'a> {
    fn body(&self) -> Result<(Body<'a>, Generation), PayloadError> {
        match (self.resource, self.object) {
            (Some(resource), _) => Ok((Body::new(resource, "data.resource"), Generation::Dated)),
            (None, Some(object)) => Ok((Body::new(object, "data.object"), Generation::Legacy)),
            (None, None) => Err(PayloadError::wrong_shape(
                "data",
                "expected `object` or `resource` in it",
            )),
        }
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
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

/// Identity of a document that brings none: the same bytes are the same event.
fn hashed(document: &[u8]) -> Result<(EventId, Vec<String>), PayloadError> {
    let mut id = String::from("sha256-");
    for byte in Sha256::digest(document) {
        let _ = write!(id, "{byte:02x}");
    }
    let id = EventId::parse(&id).map_err(|err| PayloadError::BadId {
        path: "id".into(),
        expected: err.expected,
    })?;
    Ok((
        id,
        vec!["the event has no usable id and is named by its hash".into()],
    ))
}
