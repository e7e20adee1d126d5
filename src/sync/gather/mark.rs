//! How far a look at a page got that something ended: the next one goes on there, for a page of
//! 20,000 blocks is not read within one deadline.
//!
//! It counts as long as nobody edits the page. What an append of ours adds stands at the end, and
//! the last part of the list is read anew; so nothing that was written meanwhile is overlooked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::id::{BlockId, PageId};
use crate::notion::blocks::ListedBlock;
use crate::notion::{self, Listing};
use crate::time;

use super::super::{Error, Run};

/// A page tells to the minute when it was edited: after so long it is certain that it tells of all.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);
/// Most text that is kept; with more the next look begins anew.
const MOST_BYTES: usize = 1024 * 1024;

/// How far a look got.
#[derive(Default)]
pub struct LookMark {
    /// Where it is kept, and for which state of the page; `None` where it is not.
    anchor: Option<Anchor>,
    is_kept: bool,
    /// The blocks at the top of the page.
    pub listing: Listing,
    /// What is inside those that were opened.
    opened: BTreeMap<BlockId, Vec<ListedBlock>>,
}

struct Anchor {
    key: String,
    edited_at: Timestamp,
}

impl LookMark {
    /// The mark of a page that was edited last then, if that is known; without one at the
    /// beginning.
    pub fn recall(run: &Run, page: &PageId, edited_at: Option<Timestamp>) -> Result<Self, Error> {
        let is_settled = |at: &Timestamp| time::timestamp().duration_since(*at) >= SETTLED;
        let Some(edited_at) = edited_at.filter(is_settled) else {
            return Ok(Self::default());
        };
        let anchor = Anchor {
            key: format!("look:{}:{page}", run.clients_database),
            edited_at,
        };
        let kept = run.store.snapshot(&anchor.key)?;
        let is_kept = kept.is_some();
        let read = kept.and_then(|kept| read(&kept.body, edited_at));
        Ok(Self {
            anchor: Some(anchor),
            is_kept,
            ..read.unwrap_or_default()
        })
    }

    /// Reads the blocks at the top of the page from where the mark stands.
    pub fn go_on(&mut self, run: &Run, page: &PageId) -> notion::Result<()> {
        let is_begun = self.listing.cursor.is_some();
        let read = |listing: &mut Listing| {
            let block = page.as_block();
            run.notion.list_lines_on(&block, listing, run.deadline)
        };
        match read(&mut self.listing) {
            // The place does not count any more.
            Err(err) if is_begun && err.refusal(400).is_some() => {
                self.listing = Listing::default();
                read(&mut self.listing)
            }
            done => done,
        }
    }

    /// All blocks at the top.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &ListedBlock> + Clone {
        self.listing.blocks.iter().chain(&self.listing.last)
    }

    /// What is inside a block, if it was opened already.
    pub fn inside(&self, block: &BlockId) -> Option<&Vec<ListedBlock>> {
        self.opened.get(block)
    }

    /// Notes what is inside a block.
    pub fn note(&mut self, block: &BlockId, inside: Vec<ListedBlock>) {
        self.opened.insert(block.clone(), inside);
    }

    /// Keeps it, unless it is too large; of the blocks those that `matter`.
    pub fn keep(&self, run: &Run, matter: impl Fn(&ListedBlock) -> bool) -> Result<(), Error> {
        let (Some(anchor), Some(cursor)) = (&self.anchor, &self.listing.cursor) else {
            return Ok(());
        };
        let inside = self.opened.iter();
        let kept = Kept {
            edited_at: anchor.edited_at.to_string(),
            cursor: cursor.into(),
            blocks: fields(&self.listing.blocks, &matter),
            opened: inside
                .map(|(id, inside)| (id.to_string(), fields(inside, &matter)))
                .collect(),
        };
        let texts = kept.blocks.iter().chain(kept.opened.values().flatten());
        if texts.map(|(_, text, _)| text.len()).sum::<usize>() > MOST_BYTES {
            return Ok(());
        }
        let Ok(body) = serde_json::to_string(&kept) else {
            return Ok(());
        };
        Ok(run.store.save_snapshot(&anchor.key, &body)?)
    }

    /// Forgets it: the look has come to its end.
    pub fn forget(&self, run: &Run) -> Result<(), Error> {
        match &self.anchor {
            Some(anchor) if self.is_kept => Ok(run.store.forget_snapshot(&anchor.key)?),
            Some(_) | None => Ok(()),
        }
    }
}

/// A mark as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    edited_at: String,
    cursor: Cow<'a, str>,
    blocks: Vec<KeptBlock<'a>>,
    opened: BTreeMap<String, Vec<KeptBlock<'a>>>,
}

/// A block: its id, its first line, whether something is inside.
type KeptBlock<'a> = (Cow<'a, str>, Cow<'a, str>, bool);

fn fields<'a>(
    blocks: &'a [ListedBlock],
    matter: impl Fn(&ListedBlock) -> bool,
) -> Vec<KeptBlock<'a>> {
    let blocks = blocks.iter().filter(|block| matter(block));
    let fields = |it: &'a ListedBlock| {
        let (id, text) = (it.id.as_str().into(), it.text.as_str().into());
        (id, text, it.has_children)
    };
    blocks.map(fields).collect()
}

fn blocks(fields: Vec<KeptBlock>) -> Option<Vec<ListedBlock>> {
    let block = |(id, text, has_children): KeptBlock| {
        Some(ListedBlock {
            id: BlockId::parse(&id).ok()?,
            text: text.into_owned(),
            has_children,
        })
    };
    fields.into_iter().map(block).collect()
}

/// The mark as it was kept, if the page is still the same.
fn read(body: &str, edited_at: Timestamp) -> Option<LookMark> {
    let kept: Kept = serde_json::from_str(body).ok()?;
    if kept.edited_at.parse().ok() != Some(edited_at) {
        return None;
    }
    let opened = kept.opened.into_iter();
    let opened = opened.map(|(id, inside)| Some((BlockId::parse(&id).ok()?, blocks(inside)?)));
    Some(LookMark {
        listing: Listing {
            blocks: blocks(kept.blocks)?,
            cursor: Some(kept.cursor.into_owned()),
            last: Vec::new(),
        },
        opened: opened.collect::<Option<_>>()?,
        ..LookMark::default()
    })
}
