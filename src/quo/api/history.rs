//! The calls and texts of one conversation, as Quo lists them.
//!
//! Apart from [`super::calls`] and [`super::messages`], which read one by its id for what it means:
//! here the record is kept as it came, because it goes on as a delivery ([`super::announcement`]).
//! The parameter `since` is never sent: Quo takes it for `createdBefore`.
//! <https://www.quo.com/docs/mdx/api-reference/calls/list-calls>
//! <https://www.quo.com/docs/mdx/api-reference/messages/list-messages>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::paging::{self, Page};
use super::refusal::Error;
use super::wire;
use crate::domain::id::{ActivityId, ConversationId, NumberId};
use crate::domain::parties::Direction;
use crate::domain::phone::Phone;
use crate::http::Request;
use crate::json_line;
use crate::quo::words::parties::direction;

/// Most that Quo gives on one page.
const PAGE_SIZE: usize = 100;
/// Most participants that Quo lists messages for.
pub const MOST_PARTICIPANTS: usize = 10;

/// A conversation with its own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The own number's id.
    pub number: NumberId,
    /// The own number.
    pub own: Phone,
    /// The conversation.
    pub id: ConversationId,
    /// The others: one, or a group.
    pub others: Vec<Phone>,
}

/// What is asked for: what was made in a thread from one moment to another. Whether Quo counts the
/// moments themselves is not documented.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The thread.
    pub thread: &'a Thread,
    /// Made after this.
    pub after: Timestamp,
    /// Made before this.
    pub before: Timestamp,
}

/// A call or text as listed.
#[derive(Debug, Clone, PartialEq)]
pub struct PastActivity {
    /// Its id.
    pub id: ActivityId,
    /// When it was made.
    pub at: Timestamp,
    /// Who began it.
    pub direction: Direction,
    /// What it is, and how far it has got.
    pub state: ActivityState,
    /// The record as Quo gave it: a JSON object, on one line.
    pub(super) record: String,
}

impl PastActivity {
    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.record.len() + self.id.as_str().len()
    }
}

/// What a listed record is, as far as that decides whether it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityState {
    /// Not over, or never got through: nothing to tell (yet).
    Open,
    /// A call that somebody, or the AI agent, picked up.
    Answered,
    /// A call that nobody picked up.
    Unanswered,
    /// A text that arrived.
    Text,
}

impl Query<'_> {
    /// `GET /v1/calls`. Only for threads with one other: Quo lists no calls of groups.
    pub fn calls(&self, token: Option<&str>) -> Request {
        self.ask("/calls", token)
    }

    /// `GET /v1/messages`: of this group and no other, when there are several others.
    pub fn messages(&self, token: Option<&str>) -> Request {
        self.ask("/messages", token)
    }

    fn ask(&self, path: &str, token: Option<&str>) -> Request {
        let request = paging::ask(path, PAGE_SIZE, token)
            .with_query("phoneNumberId", self.thread.number.as_str())
            .with_query("createdAfter", self.after.to_string())
            .with_query("createdBefore", self.before.to_string());
        self.thread.others.iter().fold(request, |request, other| {
            request.with_query("participants", other.as_str())
        })
    }
}

/// Reads the reply to [`Query::calls`]. A record that cannot be read is left out with a warning.
pub fn parse_calls(body: &[u8]) -> Result<Page<PastActivity>, Error> {
    paging::parse("list of calls", body, |raw| parse("call", raw, call_state))
}

/// Reads the reply to [`Query::messages`]. A record that cannot be read is left out with a warning.
pub fn parse_messages(body: &[u8]) -> Result<Page<PastActivity>, Error> {
    paging::parse("list of messages", body, |raw| {
        parse("message", raw, message_state)
    })
}

fn parse(
    what: &'static str,
    raw: &str,
    state: fn(&Wire, Direction) -> ActivityState,
) -> Result<PastActivity, Error> {
    let wire: Wire = wire::value(what, raw.as_bytes())?;
    let bad = |cause: &dyn std::fmt::Display| Error::unreadable(what, cause, raw.as_bytes());
    if !raw.starts_with('{') {
        return Err(bad(&"no object"));
    }
    let direction = wire
        .direction
        .as_deref()
        .and_then(direction)
        .ok_or_else(|| bad(&"no direction"))?;
    Ok(PastActivity {
        id: ActivityId::parse(&wire.id).map_err(|err| bad(&err))?,
        at: wire::time(wire.created_at.as_deref()).ok_or_else(|| bad(&"no time"))?,
        direction,
        state: state(&wire, direction),
        record: json_line::compact(raw),
    })
}

fn call_state(wire: &Wire, _: Direction) -> ActivityState {
    let by_ai = wire.ai_handled.is_some_and(|by_ai| by_ai.get() != "false");
    match wire.status.as_deref() {
        Some("queued" | "initiated" | "ringing" | "in-progress") => ActivityState::Open,
        Some(_) | None if wire.answered_at.is_some() || by_ai => ActivityState::Answered,
        Some(_) | None => ActivityState::Unanswered,
    }
}

/// A status tells nothing of the direction, and of a received text not even that: some are
/// `delivered`.
fn message_state(wire: &Wire, direction: Direction) -> ActivityState {
    match (direction, wire.status.as_deref()) {
        (Direction::Incoming, _) | (Direction::Outgoing, Some("sent" | "delivered")) => {
            ActivityState::Text
        }
        (Direction::Outgoing, _) => ActivityState::Open,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    id: String,
    direction: Option<String>,
    status: Option<String>,
    created_at: Option<String>,
    answered_at: Option<String>,
    #[serde(default, borrow)]
    ai_handled: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_asked_for_by_number_participants_and_time() {
        let others =
            ["+12025550147", "+13125550162"].map(|other| Phone::parse(other).expect("valid"));
        let thread = Thread {
            number: NumberId::parse("PN1").expect("valid"),
            own: Phone::parse("+14155550110").expect("valid"),
            id: ConversationId::parse("CN1").expect("valid"),
            others: others.to_vec(),
        };
        let time = |text: &str| text.parse().expect("a time");
        let query = Query {
            thread: &thread,
            after: time("2026-10-01T00:00:00Z"),
            before: time("2026-10-02T00:00:00Z"),
        };
        let asked = |request: Request| {
            let query: Vec<_> = request
                .query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} {}", request.path, query.join(" "))
        };
        let rest = "phoneNumberId=PN1 createdAfter=2026-10-01T00:00:00Z \
            createdBefore=2026-10-02T00:00:00Z \
                    participants=+12025550147 participants=+13125550162";
        assert_eq!(
            asked(query.messages(None)),
            format!("/messages maxResults=100 {rest}")
        );
        assert_eq!(
            asked(query.calls(Some("t"))),
            format!("/calls maxResults=100 pageToken=t {rest}")
        );
    }

    #[test]
    fn ai_agent_picks_up_too() {
        let body = br#"{"data":[{"id":"AC1","direction":"incoming",
            "createdAt":"2026-10-01T15:00:00Z","aiHandled":"ai-agent"}]}"#;
        assert_eq!(
            parse_calls(body).expect("readable").records[0].state,
            ActivityState::Answered
        );
    }
}
