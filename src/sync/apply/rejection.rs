//! Writing properties although Notion refuses some: those are dropped, each with a warning, and the
//! rest is written.
//!
//! A refusal means that nothing was saved, so sending again without the refused ones repeats
//! nothing.

use serde_json::Value as Json;

use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::table::Property;
use crate::notion;
use crate::notion::rejection::{Blame, blame, message};

/// Most times that properties are dropped; the last time all that are not essential.
const ROUNDS: usize = 4;

/// Sends `properties`, without those that Notion refuses. `essential` are ids of columns without
/// which the write has no sense (a client without phone number would be made again next time); a
/// refusal of those stays an error. With nothing left to send (and nothing essential) the answer is
/// `None`-like: the closure is not called again.
pub fn without_refused<T: Nothing>(
    properties: &[Property],
    essential: &[&str],
    mut send: impl FnMut(&[Property]) -> notion::Result<T>,
) -> notion::Result<(T, Vec<Warning>)> {
    let mut kept = properties.to_vec();
    let mut warnings = Vec::new();
    for round in 1.. {
        let err = match send(&kept) {
            Ok(value) => return Ok((value, warnings)),
            Err(err) => err,
        };
        let Some(body) = err.refusal(400).filter(|_| round < ROUNDS) else {
            return Err(err);
        };
        let Some(dropped) = to_drop(body, &kept, essential, round) else {
            return Err(err);
        };
        let said = message(body).to_owned();
        let mut index = 0;
        kept.retain(|property| {
            let stays = !dropped.contains(&index);
            index += 1;
            if !stays {
                warnings.push(Warning::property(
                    WarningCode::PropertyRejected,
                    &property.column.name,
                    said.clone(),
                ));
            }
            stays
        });
        if kept.is_empty() {
            return T::nothing().map(|value| (value, warnings)).ok_or(err);
        }
    }
    unreachable!("the last round returns")
}

/// What stands for "nothing was left to write".
pub trait Nothing: Sized {
    /// That value, or `None` where there must be something.
    fn nothing() -> Option<Self>;
}

/// Positions to leave out: the blamed ones; if nobody is blamed, or in the last round, all that are
/// not essential.
fn to_drop(body: &Json, kept: &[Property], essential: &[&str], round: usize) -> Option<Vec<usize>> {
    let is_essential = |index: &usize| essential.contains(&kept[*index].column.id.as_str());
    let optional = || {
        let optional: Vec<usize> = (0..kept.len())
            .filter(|index| !is_essential(index))
            .collect();
        Some(optional).filter(|optional| !optional.is_empty())
    };
    match blame(message(body), kept) {
        Blame::Properties(blamed) if blamed.iter().any(is_essential) => None,
        Blame::Properties(_) | Blame::Nobody if round + 1 == ROUNDS => optional(),
        Blame::Properties(blamed) => Some(blamed),
        Blame::Nobody => optional(),
        Blame::Body | Blame::Trashed => None,
    }
}

/// True for the refusal to touch what lies in the trash.
pub fn says_trashed(body: &Json) -> bool {
    blame(message(body), &[]) == Blame::Trashed
}

impl Nothing for (crate::domain::id::PageId, Option<Json>) {
    fn nothing() -> Option<Self> {
        None
    }
}

impl Nothing for Option<Json> {
    fn nothing() -> Option<Self> {
        Some(None)
    }
}
