//! The workspace's own numbers and people, asked once a day.

use jiff::SignedDuration;

use crate::domain::outcome::Outcome;
use crate::quo::numbers;
use crate::store::Store;

use super::super::people::Workspace;
use super::super::{Error, Sync};

/// Numbers change seldom; a new one is never taken for a client in a conversation of two, whoever
/// knows it.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
const KEY: &str = "own_numbers";

/// The workspace as it was told last, however long ago.
pub fn kept(store: &Store) -> Result<Option<Workspace>, Error> {
    Ok(load(store)?.map(|(workspace, _)| workspace))
}

/// The workspace. What Quo said last is used when it cannot be asked.
pub fn gather(sync: &Sync, outcome: &mut Outcome) -> Result<Workspace, Error> {
    let kept = match load(sync.store)? {
        Some((kept, age)) if age < FRESH => return Ok(kept),
        kept => kept.map(|(kept, _)| kept).unwrap_or_default(),
    };
    let Some(quo) = sync.quo_for_enrichment() else {
        return Ok(kept);
    };
    match quo.fetch_numbers() {
        Ok((numbers, raw)) => {
            sync.store.save_snapshot(KEY, &raw)?;
            Ok(workspace(&numbers))
        }
        Err(err) => {
            sync.quo_failed(&err, "own numbers are not up to date", outcome)?;
            Ok(kept)
        }
    }
}

fn load(store: &Store) -> Result<Option<(Workspace, SignedDuration)>, Error> {
    let Some(kept) = store.snapshot(KEY)? else {
        return Ok(None);
    };
    Ok(numbers::parse(&kept.body)
        .ok()
        .map(|numbers| (workspace(&numbers), kept.age)))
}

fn workspace(numbers: &[numbers::OwnNumber]) -> Workspace {
    let own = numbers
        .iter()
        .map(|number| (number.phone.clone(), number.name.clone()));
    let users = numbers
        .iter()
        .flat_map(|number| number.users.iter().cloned());
    Workspace {
        own: Some(own.collect()),
        users: users.collect(),
    }
}
