//! Who took part, when, and on which line: what calls and messages have in common.
//!
//! Texts and objects stand side by side in `from`, `to` and `participants`, and in some generations
//! a list is one text with commas. Objects of the dated surface say who belongs to the workspace.

use super::fields::{Fields, scalar};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::id::{ActivityId, ContactId, NumberId, UserId};
use crate::domain::parties::{Began, Direction, Parties, Party};

/// A participant's fields, where it is an object.
const PARTICIPANT: &[&str] = &["phoneNumber", "number", "identifier", "value", "actorId"];

/// Most participants that are looked at; many more than any group has, so that it is told as one
/// that has too many.
const MOST: usize = 1000;
/// Fewest digits of a number that is not written as a text; a shorter one stands for something
/// else.
const SHORTEST: usize = 7;

/// The circumstances that a call or message tells of itself.
pub fn context(id: ActivityId, fields: &Fields) -> Context {
    let written = fields.word("direction");
    let began = written.as_deref().and_then(direction);
    if written.is_some() && began.is_none() {
        fields.unreadable("direction", "incoming or outgoing");
    }
    let outgoing = began == Some(Direction::Outgoing);
    let initiator = fields.id("initiatedBy", UserId::parse).filter(|_| outgoing);
    let user_id = initiator
        .or_else(|| fields.id("actorId", UserId::parse))
        .or_else(|| fields.id("userId", UserId::parse));
    Context {
        at: fields.time("createdAt"),
        later: fields.time("completedAt"),
        began: began.map_or(Began::Unsaid, Began::Said),
        number_id: fields.id("phoneNumberId", NumberId::parse),
        user_id,
        parties: parties(fields),
        contacts: contacts(fields, "contactIds"),
        ..Context::of(id)
    }
}

/// Reads Quo's word; never to be guessed from the status, which is `delivered` on some received
/// messages.
pub fn direction(word: &str) -> Option<Direction> {
    match word.to_ascii_lowercase().as_str() {
        "incoming" | "inbound" => Some(Direction::Incoming),
        "outgoing" | "outbound" => Some(Direction::Outgoing),
        _ => None,
    }
}

/// The circumstances that something told which came later: its times are not the call's.
pub fn of_artifact(context: Context) -> Context {
    Context {
        at: None,
        later: context.at.into_iter().chain(context.later).min(),
        ..context
    }
}

/// Everybody in a field, as they stand there.
pub fn named(fields: &Fields, name: &str) -> Vec<Party> {
    let everybody = members(fields, name).into_iter();
    everybody.map(|(party, _)| party).collect()
}

/// The matched contacts, each once, without prefixes and without what is no id.
pub fn contacts(fields: &Fields, name: &str) -> ContactLookup {
    let mut kept: Vec<ContactId> = Vec::new();
    for written in fields.texts(name).into_iter().take(MOST) {
        let id = fields.checked_id(&written, ContactId::parse);
        let id = id.map(|id| id.without_prefix().unwrap_or(id));
        kept.extend(id.filter(|id| !kept.contains(id)));
    }
    if kept.is_empty() {
        ContactLookup::None
    } else {
        ContactLookup::Ids(kept)
    }
}

fn parties(fields: &Fields) -> Parties {
    let listed = members(fields, "participants").into_iter();
    let (own, all): (Vec<_>, Vec<_>) = listed.partition(|(_, is_own)| *is_own);
    let party = |(party, _)| party;
    Parties {
        from: named(fields, "from"),
        to: named(fields, "to"),
        all: all.into_iter().map(party).collect(),
        own: own.into_iter().map(party).collect(),
    }
}

/// Everybody in a field, and whether Quo says that they belong to the workspace. Of more than
/// [`MOST`] nobody is told: no group is that large.
fn members(fields: &Fields, name: &str) -> Vec<(Party, bool)> {
    let mut members = Vec::new();
    let place = fields.place(name);
    fields.each(name, |json| {
        if members.len() > MOST {
            return;
        }
        if json.starts_with('"') {
            let text = scalar(json).unwrap_or_default();
            let pieces = text.split(',').map(str::trim);
            let pieces = pieces.filter(|piece| !piece.is_empty());
            let room = MOST + 1 - members.len();
            members.extend(pieces.take(room).map(|piece| (Party::parse(piece), false)));
            return;
        }
        if let Some(number) = scalar(json).filter(|number| number.len() >= SHORTEST) {
            members.push((Party::parse(&number), false));
            return;
        }
        let Some(member) = Fields::of(json, &place, PARTICIPANT, fields.notes()) else {
            return fields.unreadable(name, "a number");
        };
        let numbers = ["phoneNumber", "number", "identifier", "value"];
        let number = numbers.iter().find_map(|name| member.word(name));
        let is_own = member.word("actorId").is_some();
        members.extend(number.map(|number| (Party::parse(&number), is_own)));
    });
    members
}
