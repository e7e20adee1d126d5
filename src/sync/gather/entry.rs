//! Entries on a page: found by the activity id that their line carries.
//!
//! This is how an unknown outcome is settled: what the store only intends is looked for before it is written again.

use std::collections::BTreeSet;

use crate::domain::entry::{self, DOT};
use crate::domain::event::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::domain::phone::Phone;
use crate::notion::blocks::ListedBlock;
use crate::store::EntryRecord;

use super::super::{Error, Sync};

/// Settles what the store says of an entry. `None`: it does not stand on the page.
pub fn settle(sync: &Sync, record: EntryRecord, page: Option<&PageId>) -> Result<Option<EntryRecord>, Error> {
    let same_page = record.page.is_none() || record.page.as_ref() == page;
    if record.written && record.pending.is_empty() && same_page {
        return Ok(Some(record));
    }
    let Some(page) = page else { return Ok(None) };
    find(sync, (&record.activity, &record.phone), page)
}

/// Makes sure that the entry's block is known, which it is not when the entry was written together with its page.
pub fn locate(sync: &Sync, record: EntryRecord) -> Result<Option<EntryRecord>, Error> {
    match (&record.block, &record.page) {
        (Some(_), _) => Ok(Some(record)),
        (None, Some(page)) => find(sync, (&record.activity, &record.phone), page),
        (None, None) => Ok(None),
    }
}

/// Looks for the entry of `activity` on a page, and for what is inside it; keeps what it finds.
pub fn find(
    sync: &Sync,
    (activity, phone): (&ActivityId, &Phone),
    page: &PageId,
) -> Result<Option<EntryRecord>, Error> {
    let blocks = match sync.notion.list(&page.as_block(), sync.deadline) {
        Err(err) if err.refusal(404).is_some() => {
            sync.store.forget_page(phone)?;
            Vec::new()
        }
        listed => listed?,
    };
    let Some(block) = blocks.into_iter().rev().find(|block| carries(block, activity)) else {
        // Whatever the store says: without this, a call whose entry a person deleted would not be read again.
        sync.store.forget_entry(activity, phone)?;
        return Ok(None);
    };
    let artifacts = if block.has_children { inside(sync, &block.id)? } else { BTreeSet::new() };
    let record = EntryRecord {
        activity: activity.clone(),
        phone: phone.clone(),
        page: Some(page.clone()),
        block: Some(block.id),
        line: first_line(&block.text),
        written: true,
        artifacts,
        pending: BTreeSet::new(),
    };
    sync.store.save_entry(&record, sync.now)?;
    Ok(Some(record))
}

/// Which artifacts stand inside a block.
fn inside(sync: &Sync, block: &BlockId) -> Result<BTreeSet<ArtifactKind>, Error> {
    let children = sync.notion.list(block, sync.deadline)?;
    Ok(children.iter().filter_map(|child| entry::kind_of(&child.text)).collect())
}

/// True if the first line of the block carries the activity's id, as a whole word and set off as in an entry: a
/// person may mention it in a note, or go on writing behind it.
fn carries(block: &ListedBlock, activity: &ActivityId) -> bool {
    let word = |part: &str| {
        part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').next() == Some(activity.as_str())
    };
    first_line(&block.text).split(DOT).skip(1).any(word)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
