//! Who took part and whom Quo matched, in deliveries of 2026-03-30.
//!
//! The sides of calls are told apart by Quo; messages name sender and receivers. `unavailable`
//! means that Quo could not say, which is different from nobody.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::{Circumstances, matched};
use super::shape::{Object, Texts};
use super::wire::{Notes, parties, read};
use super::{Data, PayloadError};
use crate::domain::context::ContactLookup;
use crate::domain::id::{NumberId, UserId};
use crate::domain::parties::Parties;

/// What Quo says when it could not find out.
const UNAVAILABLE: &str = "unavailable";

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    phone_number_id: Option<String>,
    user_id: Option<String>,
    contacts: Option<Object<Contacts>>,
    participants: Option<Object<Participants>>,
    sender_identifier: Texts,
    recipient_identifiers: Texts,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Contacts {
    ids: Texts,
    lookup_status: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Participants {
    workspace: Texts,
    external: Texts,
    resolution: Option<String>,
}

#[derive(Deserialize)]
struct Links {
    quo: Option<String>,
}

/// Reads them from `data.context` and `data.links`.
pub(super) fn circumstances(data: &Data, notes: &mut Notes) -> Result<Circumstances, PayloadError> {
    let wire: Wire = read(data.context.map_or("{}", RawValue::get), "data.context")?;
    let links: Links = read(data.links.map_or("{}", RawValue::get), "data.links")?;
    Ok(Circumstances {
        number_id: notes.optional_id(wire.phone_number_id.as_deref(), NumberId::parse),
        user_id: notes.optional_id(wire.user_id.as_deref(), UserId::parse),
        link: notes.link(links.quo),
        contacts: wire
            .contacts
            .as_ref()
            .map_or(ContactLookup::None, |contacts| contacts.0.lookup(notes)),
        parties: wire.parties(),
    })
}

impl Wire {
    fn parties(&self) -> Parties {
        let (from, to) = (
            parties(&self.sender_identifier.0),
            parties(&self.recipient_identifiers.0),
        );
        if !from.is_empty() || !to.is_empty() {
            return Parties::Sides { from, to };
        }
        self.participants
            .as_ref()
            .map_or(Parties::Unknown, |participants| participants.0.parties())
    }
}

impl Participants {
    fn parties(&self) -> Parties {
        let (own, outside) = (parties(&self.workspace.0), parties(&self.external.0));
        let nobody = own.is_empty() && outside.is_empty();
        if nobody || self.resolution.as_deref() == Some(UNAVAILABLE) {
            Parties::Unknown
        } else {
            Parties::Resolved { own, outside }
        }
    }
}

impl Contacts {
    fn lookup(&self, notes: &mut Notes) -> ContactLookup {
        if self.lookup_status.as_deref() == Some(UNAVAILABLE) {
            ContactLookup::None
        } else {
            matched(&self.ids.0, notes)
        }
    }
}
