//! What a delivery is about: by its type, or where it has none by what its object holds.

use jiff::Timestamp;

use super::PayloadError;
use super::dated;
use crate::domain::call::{Artifact, ArtifactKind, CallUpdate};
use crate::domain::context::Context;
use crate::domain::event::{ContactUpdate, Subject};
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::domain::parties::{Began, Direction};
use crate::quo::words::{Availability, Fields, OBJECT, artifact, call, contact, message, parties};

/// A handled event type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    CallCompleted,
    CallMissed,
    Recording,
    Voicemail,
    Summary,
    Transcript,
    MessageReceived,
    MessageDelivered,
    MessageFailed,
    ContactUpdated,
    ContactDeleted,
    /// The smallest payload names no type: what its object holds tells.
    Untyped,
    /// A message of which not even the type says who wrote.
    Message,
}

impl EventKind {
    pub(super) fn of(event_type: &str) -> Option<Self> {
        Some(match event_type {
            "call.completed" => Self::CallCompleted,
            "call.missed" => Self::CallMissed,
            "call.recording.completed" => Self::Recording,
            "call.voicemail.completed" => Self::Voicemail,
            "call.summary.completed" => Self::Summary,
            "call.transcript.completed" => Self::Transcript,
            "message.received" => Self::MessageReceived,
            "message.delivered" => Self::MessageDelivered,
            "message.failed" | "message.undelivered" => Self::MessageFailed,
            "contact.updated" => Self::ContactUpdated,
            "contact.deleted" => Self::ContactDeleted,
            _ => return None,
        })
    }

    /// Who began it, where the type tells.
    fn began(self) -> Began {
        match self {
            Self::CallMissed | Self::MessageReceived => Began::Settled(Direction::Incoming),
            Self::MessageDelivered | Self::MessageFailed => Began::Settled(Direction::Outgoing),
            Self::CallCompleted
            | Self::Recording
            | Self::Voicemail
            | Self::Summary
            | Self::Transcript
            | Self::ContactUpdated
            | Self::ContactDeleted
            | Self::Untyped
            | Self::Message => Began::Unsaid,
        }
    }
}

/// What an object without a type is: as it says itself, else something that belongs to the call
/// which it names, else a message if there are words in it, else a call.
fn untyped(object: &Fields) -> EventKind {
    let holds = |names: &[&str]| names.iter().any(|name| object.raw(name).is_some());
    match object.word("object").as_deref() {
        Some("contact") => EventKind::ContactUpdated,
        Some("callSummary") => EventKind::Summary,
        Some("callTranscript") => EventKind::Transcript,
        Some("message") => EventKind::Message,
        _ if holds(&["phoneNumbers"]) => EventKind::ContactUpdated,
        _ if holds(&["callId"]) && holds(&["recordingUrl", "voicemailId"]) => EventKind::Voicemail,
        _ if holds(&["callId"]) && holds(&["summary", "nextSteps", "jobs"]) => EventKind::Summary,
        _ if holds(&["callId"]) => EventKind::Transcript,
        _ if holds(&["text", "body"]) => EventKind::Message,
        _ => EventKind::CallCompleted,
    }
}

/// A delivery whose parts are found.
pub(super) struct Delivery<'f, 'a, 'n> {
    pub(super) kind: EventKind,
    pub(super) data: Option<&'f Fields<'a, 'n>>,
    /// The delivery's own time: later than that of what it tells of.
    pub(super) later: Timestamp,
    /// The id of a call or message that has none.
    pub(super) local_id: ActivityId,
}

impl Delivery<'_, '_, '_> {
    /// What it is about, and the type that one without would have.
    pub(super) fn subject(&self) -> Result<(&'static str, Subject), PayloadError> {
        let found = self.data.and_then(|data| {
            let parts = ["resource", "object"].into_iter();
            parts
                .filter(|part| data.raw(part).is_some_and(|json| json.starts_with('{')))
                .find_map(|part| Some((data, part, data.object(part, OBJECT)?)))
        });
        let Some((data, part, object)) = found else {
            let missing = Subject::Incomplete {
                missing: "data.object",
            };
            return Ok(("unknown", missing));
        };
        let kind = if self.kind == EventKind::Untyped {
            untyped(&object)
        } else {
            self.kind
        };
        if matches!(kind, EventKind::ContactUpdated | EventKind::ContactDeleted) {
            return Ok(("contact.updated", self.contact(data, part)));
        }
        let id = self.activity_id(kind, &object)?;
        let context = self.context(id, data, &object);
        let name = match (kind, context.direction()) {
            (EventKind::Message, Some(Direction::Outgoing)) => "message.delivered",
            (EventKind::Message, _) => "message.received",
            (EventKind::Summary, _) => "call.summary.completed",
            (EventKind::Transcript, _) => "call.transcript.completed",
            (EventKind::Voicemail, _) => "call.voicemail.completed",
            _ => "call.completed",
        };
        Ok((name, activity(kind, context, &object)))
    }

    fn contact(&self, data: &Fields, place: &str) -> Subject {
        let fields = data.object(place, contact::NAMES);
        let Some(contact) = fields.as_ref().and_then(contact::read) else {
            return Subject::Incomplete {
                missing: "contact id",
            };
        };
        Subject::Contact(ContactUpdate {
            contact,
            deleted: self.kind == EventKind::ContactDeleted,
        })
    }

    /// Which call or message it is about. Artifacts name their call apart from themselves; of a
    /// voicemail the call may be unknown, and then it stands for itself.
    fn activity_id(&self, kind: EventKind, object: &Fields) -> Result<ActivityId, PayloadError> {
        let of_call = matches!(
            kind,
            EventKind::Summary | EventKind::Transcript | EventKind::Voicemail
        );
        let names: &[&str] = if of_call { &["callId", "id"] } else { &["id"] };
        for name in names {
            let written = object.raw(name).filter(|json| json.starts_with('"'));
            let Some(written) = written.and_then(|_| object.word(name)) else {
                continue;
            };
            // A summary's own id is not its call's.
            if of_call && *name == "id" && !written.starts_with("AC") {
                continue;
            }
            return ActivityId::of_quo(&written).map_err(|_| PayloadError::BadId {
                path: object.place(name),
            });
        }
        for name in names.iter().filter(|name| object.raw(name).is_some()) {
            object.unreadable(name, "the id of a call or message");
        }
        Ok(self.local_id.clone())
    }

    fn context(&self, id: ActivityId, data: &Fields, object: &Fields) -> Context {
        let told = parties::context(id.clone(), object);
        let told = Context {
            link: data.link("deepLink"),
            ..told
        };
        let around = dated::context(id, data);
        let known = around.map_or_else(|| told.clone(), |around| around.completed_by(&told));
        Context {
            began: self.kind.began().or(known.began),
            later: known.later.or(Some(self.later)),
            ..known
        }
    }
}

/// What is told of a call or message.
fn activity(kind: EventKind, context: Context, object: &Fields) -> Subject {
    let untold = context.parties.is_empty() && context.direction().is_none();
    if untold && context.id.is_local() {
        return Subject::Incomplete {
            missing: "direction",
        };
    }
    match kind {
        EventKind::Message => Subject::Message(message::read(context, object)),
        // The type says whether it got through.
        EventKind::MessageReceived | EventKind::MessageDelivered | EventKind::MessageFailed => {
            Subject::Message(Message {
                is_undelivered: kind == EventKind::MessageFailed,
                ..message::read(context, object)
            })
        }
        EventKind::CallMissed => {
            let mut update = call::ended(context, object);
            let facts = update.facts.get_or_insert_default();
            facts.answered = facts.answered.or(Some(false));
            Subject::Call(update)
        }
        EventKind::CallCompleted
        | EventKind::ContactUpdated
        | EventKind::ContactDeleted
        | EventKind::Untyped => Subject::Call(call::ended(context, object)),
        EventKind::Recording => Subject::Call(call::recorded(context, object)),
        EventKind::Voicemail => late(
            context,
            ArtifactKind::Voicemail,
            artifact::voicemail(object),
        ),
        EventKind::Summary => late(context, ArtifactKind::Summary, artifact::summary(object)),
        EventKind::Transcript => late(
            context,
            ArtifactKind::Transcript,
            artifact::transcript(object),
        ),
    }
}

/// Something that came after its call. What is announced and brings nothing is asked for.
fn late(context: Context, kind: ArtifactKind, told: Availability<Artifact>) -> Subject {
    let unannounced = match &told {
        Availability::Ready(_) => Vec::new(),
        Availability::Pending | Availability::Absent => vec![kind],
    };
    Subject::Call(CallUpdate {
        unannounced,
        ..CallUpdate::late(
            parties::of_artifact(context),
            told.ready().into_iter().collect(),
        )
    })
}
