//! The workspace's own numbers and people, asked once a day.

use jiff::SignedDuration;

use crate::domain::outcome::Outcome;
use crate::quo::numbers;

use super::super::people::Workspace;
use super::super::{Error, Sync};

/// Numbers change seldom; a new one is never taken for a client in a conversation of two, whoever knows it.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
const KEY: &str = "own_numbers";

/// The workspace. What Quo said last is used when it cannot be asked.
pub fn gather(sync: &Sync, outcome: &mut Outcome) -> Result<Workspace, Error> {
    let kept = sync.store.snapshot(KEY)?;
    let age = kept.as_ref().map(|kept| kept.age);
    let kept = kept.and_then(|kept| numbers::parse(&kept.body).ok());
    if let Some(kept) = kept.as_deref().filter(|_| age.is_some_and(|age| age < FRESH)) {
        return Ok(workspace(kept));
    }
    let Some(quo) = sync.quo_for_enrichment() else {
        return Ok(kept.as_deref().map(workspace).unwrap_or_default());
    };
    match quo.fetch_numbers() {
        Ok((numbers, raw)) => {
            sync.store.save_snapshot(KEY, &raw)?;
            Ok(workspace(&numbers))
        }
        Err(err) => {
            sync.quo_failed(&err, "own numbers are not up to date", outcome)?;
            Ok(kept.as_deref().map(workspace).unwrap_or_default())
        }
    }
}

fn workspace(numbers: &[numbers::OwnNumber]) -> Workspace {
    let own = numbers.iter().map(|number| (number.phone.clone(), number.name.clone()));
    let users = numbers.iter().flat_map(|number| number.users.iter().cloned());
    Workspace { own: Some(own.collect()), users: users.collect() }
}
