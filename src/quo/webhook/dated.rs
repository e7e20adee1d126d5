//! What stands around the object in deliveries of 2026-03-30: who took part, and whom Quo matched.
//!
//! The sides of calls are told apart by Quo; messages name sender and receivers. `unavailable`
//! means that Quo could not say, which is different from nobody.

use crate::domain::context::{ContactLookup, Context};
use crate::domain::id::{ActivityId, NumberId, UserId};
use crate::domain::parties::Parties;
use crate::quo::words::{Fields, parties};

/// What Quo says when it could not find out.
const UNAVAILABLE: &str = "unavailable";

const CONTEXT: &[&str] = &[
    "phoneNumberId",
    "userId",
    "contacts",
    "participants",
    "senderIdentifier",
    "recipientIdentifiers",
];
const CONTACTS: &[&str] = &["ids", "lookupStatus"];
const PARTICIPANTS: &[&str] = &["workspace", "external", "resolution"];
const LINKS: &[&str] = &["quo"];

/// Reads them from `data.context` and `data.links`; `None` where neither is there.
pub(super) fn context(id: ActivityId, data: &Fields) -> Option<Context> {
    let around = data.raw("context").and(data.object("context", CONTEXT));
    let links = data.raw("links").and(data.object("links", LINKS));
    if around.is_none() && links.is_none() {
        return None;
    }
    let mut context = Context {
        link: links.and_then(|links| links.link("quo")),
        ..Context::of(id)
    };
    if let Some(around) = around {
        context.number_id = around.id("phoneNumberId", NumberId::parse);
        context.user_id = around.id("userId", UserId::parse);
        context.contacts = matched(&around);
        context.parties = took_part(&around);
    }
    Some(context)
}

fn matched(around: &Fields) -> ContactLookup {
    let contacts = around
        .raw("contacts")
        .and(around.object("contacts", CONTACTS));
    match contacts {
        Some(contacts) if contacts.word("lookupStatus").as_deref() != Some(UNAVAILABLE) => {
            parties::contacts(&contacts, "ids")
        }
        Some(_) | None => ContactLookup::None,
    }
}

fn took_part(around: &Fields) -> Parties {
    let sides = around
        .raw("participants")
        .and(around.object("participants", PARTICIPANTS))
        .filter(|sides| sides.word("resolution").as_deref() != Some(UNAVAILABLE));
    let side = |name| {
        sides
            .as_ref()
            .map_or_else(Vec::new, |sides| parties::named(sides, name))
    };
    Parties {
        from: parties::named(around, "senderIdentifier"),
        to: parties::named(around, "recipientIdentifiers"),
        all: side("external"),
        own: side("workspace"),
    }
}
