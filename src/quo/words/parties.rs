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

/// The circumstances that a call or message tells of itself.
pub fn context(id: ActivityId, fields: &Fields) -> Context {
    let began = fields.word("direction").and_then(|word| direction(&word));
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
    match word {
        "incoming" => Some(Direction::Incoming),
        "outgoing" => Some(Direction::Outgoing),
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

/// Everybody in a field, each once.
pub fn named(fields: &Fields, name: &str) -> Vec<Party> {
    let mut parties = Vec::new();
    for (party, _) in members(fields, name) {
        if !parties.contains(&party) {
            parties.push(party);
        }
    }
    parties
}

/// The matched contacts, each once, without prefixes and without what is no id.
pub fn contacts(fields: &Fields, name: &str) -> ContactLookup {
    let mut kept: Vec<ContactId> = Vec::new();
    for written in fields.texts(name) {
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
    let (mut own, mut outside) = (Vec::new(), Vec::new());
    for (party, is_own) in members(fields, "participants") {
        let side = if is_own { &mut own } else { &mut outside };
        if !side.contains(&party) {
            side.push(party);
        }
    }
    let (from, to) = (named(fields, "from"), named(fields, "to"));
    if !own.is_empty() {
        outside.retain(|party| !own.contains(party));
        return Parties::Resolved { own, outside };
    }
    if from.is_empty() && to.is_empty() && outside.is_empty() {
        return Parties::Unknown;
    }
    Parties::Named {
        from,
        to,
        all: outside,
    }
}

/// Everybody in a field, and whether Quo says that they belong to the workspace.
fn members(fields: &Fields, name: &str) -> Vec<(Party, bool)> {
    let mut members = Vec::new();
    let place = fields.place(name);
    fields.each(name, |json| {
        if let Some(text) = scalar(json) {
            let pieces = text.split(',').map(str::trim);
            let pieces = pieces.filter(|piece| !piece.is_empty());
            members.extend(pieces.map(|piece| (Party::parse(piece), false)));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::quo::words::{Notes, OBJECT};

    const OWN: &str = "+14155550110";
    const ROSA: &str = "+12025550147";
    const TOMAS: &str = "+13125550162";

    fn read(json: &Value) -> Parties {
        let (notes, text) = (Notes::default(), json.to_string());
        let fields = Fields::of(&text, "", OBJECT, &notes).expect("an object");
        context(ActivityId::parse("AC1").expect("valid"), &fields).parties
    }

    fn all(numbers: &[&str]) -> Vec<Party> {
        numbers.iter().map(|number| Party::parse(number)).collect()
    }

    #[test]
    fn texts_and_objects_stand_side_by_side_and_one_text_may_hold_many() {
        let named = |number: &str| json!({ "phoneNumber": number });
        let parties = read(&json!({
            "from": named(ROSA), "to": format!("{OWN},{TOMAS}, {OWN}"),
            "participants": [ROSA, null, named(TOMAS), {}, 7, ""],
        }));
        let expected = Parties::Named {
            from: all(&[ROSA]),
            to: all(&[OWN, TOMAS]),
            all: all(&[ROSA, TOMAS, "7"]),
        };
        assert_eq!(parties, expected);
        assert_eq!(read(&json!({"participants": []})), Parties::Unknown);
        assert_eq!(
            read(&json!({"participants": [{"phoneNumber": null}]})),
            Parties::Unknown
        );
    }

    #[test]
    fn actors_tell_who_belongs_to_the_workspace() {
        let member = |number: &str, actor: Value| json!({"phoneNumber": number, "actorId": actor});
        let parties = read(&json!({"participants": [
            member(OWN, json!(null)), member("Anonymous", json!(null)),
            member(OWN, json!("USmarta001")), member(OWN, json!("USdevon002")),
        ]}));
        let expected = Parties::Resolved {
            own: all(&[OWN]),
            outside: all(&["Anonymous"]),
        };
        assert_eq!(parties, expected);
    }

    #[test]
    fn contacts_are_kept_once_and_without_prefix() {
        let notes = Notes::default();
        let id = "66f1a2b3c4d5e6f708192a3b";
        let json = json!({"contactIds": [id, format!("CT{id}"), "../x"]}).to_string();
        let fields = Fields::of(&json, "", OBJECT, &notes).expect("an object");
        let expected = vec![ContactId::parse(id).expect("valid")];
        assert_eq!(
            contacts(&fields, "contactIds"),
            ContactLookup::Ids(expected)
        );
        drop(fields);
        assert_eq!(notes.into_vec().len(), 1);
    }
}
