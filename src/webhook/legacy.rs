//! Who took part and whom Quo matched, in legacy deliveries.
//!
//! Calls and messages of v2 and v3 have `from` and `to` as texts, a group's joined by commas;
//! messages of v4 as texts or lists; calls of v4 have `participants`, empty by a known fault;
//! summaries and transcripts name nobody.

use serde::Deserialize;

use super::context::{Circumstances, direction, matched};
use super::shape::Texts;
use super::wire::{Body, Notes, parties};
use super::{Data, PayloadError};
use crate::domain::id::{NumberId, UserId};
use crate::domain::parties::{Direction, Parties};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    from: Texts,
    to: Texts,
    participants: Texts,
    contact_ids: Texts,
    direction: Option<String>,
    phone_number_id: Option<String>,
    user_id: Option<String>,
    initiated_by: Option<String>,
}

/// Reads them from `data.object` and `data.deepLink`.
pub(super) fn circumstances(
    body: &Body,
    data: &Data,
    notes: &mut Notes,
) -> Result<Circumstances, PayloadError> {
    let wire: Wire = body.read()?;
    let outgoing = direction(wire.direction.as_deref()) == Some(Direction::Outgoing);
    let actor = wire
        .initiated_by
        .as_deref()
        .filter(|id| outgoing && !id.is_empty());
    Ok(Circumstances {
        number_id: notes.optional_id(wire.phone_number_id.as_deref(), NumberId::parse),
        user_id: notes.optional_id(actor.or(wire.user_id.as_deref()), UserId::parse),
        link: notes.link(data.deep_link.clone()),
        parties: wire.parties(),
        contacts: matched(&wire.contact_ids.0, notes),
    })
}

impl Wire {
    fn parties(&self) -> Parties {
        let (from, to, all) = (
            parties(&self.from.0),
            parties(&self.to.0),
            parties(&self.participants.0),
        );
        let sides = !from.is_empty() && !to.is_empty();
        if !sides && !all.is_empty() {
            Parties::Mixed(all)
        } else if from.is_empty() && to.is_empty() {
            Parties::Unknown
        } else {
            Parties::Sides { from, to }
        }
    }
}
