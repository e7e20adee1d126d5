//! Entries on a page: found by the activity id that their line carries.
//!
//! This is how an unknown outcome is settled: what the store only intends is looked for before it
//! is written again.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::domain::block::DOT;
use crate::domain::entry;
use crate::domain::id::{ActivityId, PageId};
use crate::domain::phone::Phone;
use crate::notion::blocks::ListedBlock;
use crate::store::EntryRecord;
use crate::text;
use crate::time;

use super::super::{Error, Run};

/// An entry that stands on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryStanding {
    /// What the store says of it.
    pub record: EntryRecord,
    /// Texts of the blocks inside, where they had to be looked at.
    pub inside: Vec<String>,
}

/// Settles what the store says of an entry. `None`: it does not stand on the page.
pub fn settle(
    run: &Run,
    record: EntryRecord,
    page: Option<&PageId>,
) -> Result<Option<EntryStanding>, Error> {
    let same_page = record.page.is_none() || record.page.as_ref() == page;
    if record.written && record.pending.is_empty() && same_page {
        return Ok(Some(EntryStanding {
            record,
            inside: Vec::new(),
        }));
    }
    let Some(page) = page else { return Ok(None) };
    let found = find(run, &record, page)?;
    // The entry may stand there while what is to go into it is still under way.
    let certain = found.is_some() && record.pending.is_empty();
    if certain || !wait_until_settled(run, record.age)? {
        return Ok(found);
    }
    find(run, &record, page)
}

/// Makes sure that the entry's block is known, which it is not when the entry was written together
/// with its page, or while its line was being rewritten.
pub fn locate(run: &Run, standing: EntryStanding) -> Result<Option<EntryStanding>, Error> {
    match (&standing.record.block, &standing.record.page) {
        (Some(_), _) => Ok(Some(standing)),
        (None, Some(page)) => find(run, &standing.record, page),
        (None, None) => Ok(None),
    }
}

/// An entry of which this store has never heard, but which may stand on the page.
pub fn unheard_of(
    run: &Run,
    activity: &ActivityId,
    phone: &Phone,
    page: &PageId,
) -> Result<Option<EntryStanding>, Error> {
    let record = EntryRecord {
        activity: activity.clone(),
        phone: phone.clone(),
        page: None,
        block: None,
        line: String::new(),
        written: false,
        artifacts: BTreeSet::new(),
        pending: BTreeSet::new(),
        age: SignedDuration::ZERO,
    };
    find(run, &record, page)
}

/// Waits until a look that finds nothing can be believed, after a write that may still be under
/// way. `false` when that time is over already.
pub fn wait_until_settled(run: &Run, age: SignedDuration) -> Result<bool, Error> {
    let left = run.settings.settle.saturating_sub(age.unsigned_abs());
    if left.is_zero() {
        return Ok(false);
    }
    log::info!("waiting {left:.1?} for a write whose outcome is not known");
    if time::pause(left, run.deadline) {
        return Ok(true);
    }
    Err(Error::Unsettled(
        "the outcome of an earlier write is not known yet".into(),
    ))
}

/// Looks for an entry on a page, and for what is inside it; keeps what it finds.
fn find(run: &Run, record: &EntryRecord, page: &PageId) -> Result<Option<EntryStanding>, Error> {
    let blocks = match run.notion.list(&page.as_block(), run.deadline) {
        Err(err) if err.refusal(404).is_some() => {
            run.store.forget_page(&record.phone)?;
            Vec::new()
        }
        listed => listed?,
    };
    let Some(block) = blocks
        .into_iter()
        .rev()
        .find(|block| carries(block, &record.activity))
    else {
        if record.written {
            // A person deleted it: without this, its call would not be read again.
            run.store.save_entries(&[record.clone().lost()])?;
        }
        return Ok(None);
    };
    let inside = if block.has_children {
        run.notion.list(&block.id, run.deadline)?
    } else {
        Vec::new()
    };
    let inside: Vec<String> = inside.into_iter().map(|child| child.text).collect();
    // Of what is pending the beginning may be there and the end missing: that stays to be compared.
    let whole = |kind: &crate::domain::call::ArtifactKind| !record.pending.contains(kind);
    let record = EntryRecord {
        page: Some(page.clone()),
        block: Some(block.id),
        line: text::first_line(&block.text).to_owned(),
        written: true,
        artifacts: inside
            .iter()
            .filter_map(|text| entry::kind_of(text))
            .filter(whole)
            .collect(),
        ..record.clone()
    };
    run.store.save_entries(std::slice::from_ref(&record))?;
    Ok(Some(EntryStanding { record, inside }))
}

/// True if the first line of the block carries the activity's id, as a whole word and set off as in
/// an entry: a person may mention it in a note, or go on writing behind it.
fn carries(block: &ListedBlock, activity: &ActivityId) -> bool {
    let word = |part: &str| {
        part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
            .next()
            == Some(activity.as_str())
    };
    text::first_line(&block.text).split(DOT).skip(1).any(word)
}
