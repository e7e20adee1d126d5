//! From when on an own number is read: since a moment, or since the last complete run.
//!
//! Apart because what a complete run was is kept for each number, whatever command it was.

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::NumberId;
use crate::store::{self, Store};

use super::{Options, Scope};

/// Read once more, because Quo tells some things late.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// Read the first time.
const FIRST: SignedDuration = SignedDuration::from_hours(24);
/// Never more than that, unless a moment is named.
const MOST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At this moment.
    At(Timestamp),
    /// Where the last complete run ended, an hour before it; the first time 24 hours ago; 30 days
    /// ago at most.
    LastTime,
}

/// When the first is made that is told of this number.
pub fn start(store: &Store, options: &Options, number: &NumberId) -> store::Result<Timestamp> {
    match options.begin {
        Begin::At(moment) => Ok(moment),
        Begin::LastTime => Ok(match last(store, number)? {
            Some(last) => (last - OVERLAP).max(options.to - MOST),
            None => options.to - FIRST,
        }),
    }
}

/// Notes that everything of this number has been told, from `from` to the end of the run. A gap
/// before that leaves what was noted.
pub fn complete(
    store: &Store,
    options: &Options,
    number: &NumberId,
    from: Timestamp,
) -> store::Result<()> {
    if options.scope == Scope::Pending {
        return Ok(());
    }
    let last = last(store, number)?;
    let has_gap = match options.begin {
        Begin::LastTime => false,
        Begin::At(_) => from > last.unwrap_or(options.to - FIRST),
    };
    if has_gap || last.is_some_and(|last| last >= options.to) {
        return Ok(());
    }
    store.save_snapshot(&key(number), &serde_json::json!(options.to).to_string())
}

fn last(store: &Store, number: &NumberId) -> store::Result<Option<Timestamp>> {
    let kept = store.snapshot(&key(number))?;
    Ok(kept.and_then(|kept| serde_json::from_str(&kept.body).ok()))
}

fn key(number: &NumberId) -> String {
    format!("backfilled:{number}")
}
