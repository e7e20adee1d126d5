//! The workspace's own numbers and people: asked once a day, and again when an event names a line
//! that is not known.
//!
//! What was once ours stays ours: a number that was given up is still no client of the old texts.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::id::NumberId;
use crate::domain::outcome::Notes;
use crate::domain::phone::Phone;
use crate::quo::api::numbers;
use crate::store::Store;

use super::super::people::Workspace;
use super::super::{Error, Run};

/// How long the list is believed.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// How often at most it is asked for because something is missing in it.
const ANEW: SignedDuration = SignedDuration::from_hours(1);
/// The list as it was last.
pub(super) const KEY: &str = "own_numbers";
/// All numbers that it ever held, with their names.
const EVER: &str = "own_numbers_ever";

/// The workspace as it was told last, however long ago.
pub fn kept(store: &Store) -> Result<Option<Workspace>, Error> {
    Ok(load(store)?.map(|(workspace, _)| workspace))
}

/// The workspace. What Quo said last is used when it cannot be asked.
pub fn gather(run: &Run, notes: &mut Notes) -> Result<Workspace, Error> {
    not_older_than(run, FRESH, notes)
}

/// The same after something was missing in it, unless Quo was asked within the hour.
pub fn anew(run: &Run, notes: &mut Notes) -> Result<Workspace, Error> {
    not_older_than(run, ANEW, notes)
}

fn not_older_than(run: &Run, limit: SignedDuration, notes: &mut Notes) -> Result<Workspace, Error> {
    let kept = match load(run.store)? {
        Some((kept, age)) if age < limit => return Ok(kept),
        kept => kept.map(|(kept, _)| kept).unwrap_or_default(),
    };
    let Some(quo) = run.quo_for_enrichment() else {
        return Ok(kept);
    };
    match quo.fetch_numbers() {
        Ok(numbers) => {
            // Only told to people: tables of before may refuse it.
            if let Err(err) = run.store.save_numbers(&listed(&numbers)) {
                log::warn!("the list of numbers is not kept: {err}");
            }
            let mut ever = ever(run.store)?;
            let is_new = |(phone, name)| ever.get(&phone) != Some(&name);
            if numbers.iter().map(named).any(is_new) {
                ever.extend(numbers.iter().map(named));
                run.store.save_snapshot(EVER, &write(&ever))?;
            }
            run.store.save_snapshot(KEY, &numbers::write(&numbers))?;
            Ok(workspace(&numbers, ever))
        }
        Err(err) => {
            run.quo_failed(&err, "own numbers are not up to date", notes)?;
            Ok(kept)
        }
    }
}

fn load(store: &Store) -> Result<Option<(Workspace, SignedDuration)>, Error> {
    let Some(kept) = store.snapshot(KEY)? else {
        return Ok(None);
    };
    let Ok(numbers) = numbers::parse(kept.body.as_bytes()) else {
        return Ok(None);
    };
    Ok(Some((workspace(&numbers, ever(store)?), kept.age)))
}

fn ever(store: &Store) -> Result<BTreeMap<Phone, String>, Error> {
    let kept = store.snapshot(EVER)?;
    let names: BTreeMap<String, String> = kept
        .and_then(|kept| serde_json::from_str(&kept.body).ok())
        .unwrap_or_default();
    let read = |(number, name): (String, String)| Some((Phone::parse(&number)?, name));
    Ok(names.into_iter().filter_map(read).collect())
}

fn write(ever: &BTreeMap<Phone, String>) -> String {
    let names: BTreeMap<&str, &String> = ever
        .iter()
        .map(|(phone, name)| (phone.as_str(), name))
        .collect();
    serde_json::to_string(&names).unwrap_or_else(|_| "{}".into())
}

fn listed(numbers: &[numbers::OwnNumber]) -> Vec<(NumberId, Phone, String)> {
    let row = |it: &numbers::OwnNumber| (it.id.clone(), it.phone.clone(), it.name.clone());
    numbers.iter().map(row).collect()
}

fn named(number: &numbers::OwnNumber) -> (Phone, String) {
    (number.phone.clone(), number.name.clone())
}

fn workspace(numbers: &[numbers::OwnNumber], mut own: BTreeMap<Phone, String>) -> Workspace {
    own.extend(numbers.iter().map(named));
    let lines = numbers
        .iter()
        .map(|number| (number.id.clone(), number.phone.clone()));
    let users = numbers
        .iter()
        .flat_map(|number| number.users.iter().cloned());
    Workspace {
        own: Some(own),
        lines: lines.collect(),
        users: users.collect(),
    }
}
