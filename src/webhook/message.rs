//! What a message's payload means, in every generation.

use serde::Deserialize;

use super::PayloadError;
use super::context::{Circumstances, direction};
use super::shape::{Attachment, Time, list};
use super::wire::{Body, Notes};
use crate::domain::event::Subject;
use crate::domain::id::ActivityId;
use crate::domain::message::{Media, Message};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    direction: Option<String>,
    created_at: Option<Time>,
    text: Option<String>,
    /// The text as v2 and v3 call it.
    body: Option<String>,
    #[serde(deserialize_with = "list")]
    media: Vec<Attachment>,
}

/// A message that was received or delivered.
pub(super) fn subject(
    body: &Body,
    circumstances: Circumstances,
    notes: &mut Notes,
) -> Result<Subject, PayloadError> {
    let wire: Wire = body.read()?;
    let id = body.id("id", wire.id.as_deref(), ActivityId::parse)?;
    let Some(direction) = direction(wire.direction.as_deref()) else {
        return Ok(Subject::Incomplete {
            activity: Some(id),
            missing: "direction",
        });
    };
    let Some(at) = wire.created_at else {
        return Ok(Subject::Incomplete {
            activity: Some(id),
            missing: "createdAt",
        });
    };
    let mut media = Vec::new();
    for Attachment(file) in wire.media {
        media.extend(notes.link(file.url).map(|url| Media {
            url,
            mime: file.mime.filter(|mime| !mime.is_empty()),
        }));
    }
    let text = wire.text.or(wire.body).unwrap_or_default();
    Ok(Subject::Message(Message {
        context: circumstances.of(id, Some(at), Some(direction)),
        text,
        media,
    }))
}
