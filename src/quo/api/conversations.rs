//! Conversations of one own number: where calls and texts are to be looked for, since Quo lists
//! neither by time alone.
//!
//! Apart because only a backfill walks them. The list is asked for without `updatedAfter`: that
//! filter leaves out conversations whose `updatedAt` is null, however busy they are. What is known
//! to be older is dropped by the caller.
//! <https://www.quo.com/docs/mdx/api-reference/conversations/list-conversations>

use jiff::Timestamp;
use serde::Deserialize;

use super::paging::{self, Page};
use super::refusal::Error;
use super::wire;
use crate::domain::id::{ConversationId, NumberId};
use crate::domain::parties::Party;
use crate::http::Request;

/// Most that Quo gives on one page.
const PAGE_SIZE: usize = 100;

/// A conversation of an own number with one or several others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The others.
    pub participants: Vec<Party>,
    /// The last that Quo tells of something happening in it; `None` where it tells nothing.
    pub last: Option<Timestamp>,
}

/// `GET /v1/conversations` of one number.
pub fn list(number: &NumberId, token: Option<&str>) -> Request {
    paging::ask("/conversations", PAGE_SIZE, token).with_query("phoneNumbers", number.as_str())
}

/// Reads the reply to [`list`]. A record that cannot be read is left out with a warning.
pub fn parse_page(body: &[u8]) -> Result<Page<Conversation>, Error> {
    paging::parse("list of conversations", body, parse)
}

fn parse(raw: &str) -> Result<Conversation, Error> {
    let wire: WireConversation = wire::value("conversation", raw.as_bytes())?;
    let id = ConversationId::parse(&wire.id);
    Ok(Conversation {
        id: id.map_err(|bad| Error::unreadable("conversation", bad, raw.as_bytes()))?,
        participants: wire
            .participants
            .iter()
            .map(|participant| Party::parse(participant))
            .collect(),
        last: wire::time(wire.last_activity_at.as_deref())
            .max(wire::time(wire.updated_at.as_deref())),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireConversation {
    id: String,
    #[serde(default, deserialize_with = "wire::or_default")]
    participants: Vec<String>,
    last_activity_at: Option<String>,
    updated_at: Option<String>,
}
