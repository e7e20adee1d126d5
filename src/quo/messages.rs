//! A text message by its id: what a delivery left out, above all attachments.
//!
//! Apart because calls, which share the id's prefix, are read elsewhere and otherwise.
//! <https://www.quo.com/docs/mdx/api-reference/messages/get-a-message-by-id>

use serde::Deserialize;

use super::refusal::Error;
use super::wire;
use crate::domain::context::{ContactLookup, Context};
use crate::domain::id::{ActivityId, NumberId, UserId};
use crate::domain::message::{Media, Message};
use crate::domain::parties::{Direction, Parties, Party};
use crate::domain::profile::non_blank;
use crate::http::Request;

/// `GET /v1/messages/{id}`.
pub fn get(id: &ActivityId) -> Request {
    Request::get(format!("/messages/{id}"))
}

/// Reads the reply to [`get`].
pub fn parse(body: &[u8]) -> Result<Message, Error> {
    let wire: WireMessage = wire::data("message", body)?;
    let id = ActivityId::parse(&wire.id).map_err(|bad| Error::unreadable("message", bad, body))?;
    let parties = sides(&wire);
    let media = wire.media.into_iter().filter_map(|media| {
        let url = non_blank(&media.url?)?;
        Some(Media {
            url,
            mime: media.mime.as_deref().and_then(non_blank),
        })
    });
    Ok(Message {
        context: Context {
            id,
            at: wire::time(wire.created_at.as_deref()),
            direction: wire.direction.as_deref().and_then(direction),
            number_id: wire
                .phone_number_id
                .and_then(|id| NumberId::parse(&id).ok()),
            user_id: wire.user_id.and_then(|id| UserId::parse(&id).ok()),
            link: None,
            parties,
            contacts: ContactLookup::None,
        },
        text: wire.text.unwrap_or_default(),
        media: media.collect(),
    })
}

/// Reads Quo's word; never to be guessed from the status, which is `delivered` on some received
/// messages.
pub(super) fn direction(word: &str) -> Option<Direction> {
    match word {
        "incoming" => Some(Direction::Incoming),
        "outgoing" => Some(Direction::Outgoing),
        _ => None,
    }
}

fn sides(wire: &WireMessage) -> Parties {
    let from: Vec<_> = wire.from.iter().map(|from| Party::parse(from)).collect();
    let to: Vec<_> = wire.to.iter().map(|to| Party::parse(to)).collect();
    if from.is_empty() && to.is_empty() {
        Parties::Unknown
    } else {
        Parties::Sides { from, to }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMessage {
    id: String,
    from: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    to: Vec<String>,
    text: Option<String>,
    phone_number_id: Option<String>,
    user_id: Option<String>,
    direction: Option<String>,
    created_at: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    media: Vec<WireMedia>,
}

#[derive(Deserialize)]
struct WireMedia {
    url: Option<String>,
    #[serde(rename = "type")]
    mime: Option<String>,
}
