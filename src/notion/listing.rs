//! Listing blocks: a walk through all parts of a list, which can go on where an error ended it.
//! <https://developers.notion.com/reference/get-block-children>

use serde_json::Value as Json;

use crate::domain::id::BlockId;
use crate::text as words;
use crate::time::Deadline;

use super::blocks::{self, ListedBlock};
use super::{Error, Notion, Result, get, query};

/// Most requests of one walk through the blocks of a page (20,000 blocks).
const BLOCK_PAGES: usize = 200;
/// Most text of the blocks of a page that is held, in bytes.
const LISTED_BYTES: usize = 6 * 1024 * 1024;
/// Most bytes of a line: that of a group names a hundred people.
const LINE_BYTES: usize = 16 * 1024;

/// A list as far as it was read.
#[derive(Debug, Default)]
pub struct Listing {
    /// What stands before `cursor`.
    pub blocks: Vec<ListedBlock>,
    /// Where the part begins that was read last, or is to be read next.
    pub cursor: Option<String>,
    /// The last part, once it was read: with it the list is whole.
    pub last: Vec<ListedBlock>,
}

impl Notion {
    /// All blocks directly inside a page or block, in order.
    pub fn list(&self, parent: &BlockId, deadline: Deadline) -> Result<Vec<ListedBlock>> {
        let mut listing = Listing::default();
        self.walk(parent, &mut listing, deadline, |block| block)?;
        Ok(listing.whole())
    }

    /// The same, of each text only the first line: a page may hold years of transcripts.
    pub fn list_lines(&self, parent: &BlockId, deadline: Deadline) -> Result<Vec<ListedBlock>> {
        let mut listing = Listing::default();
        self.list_lines_on(parent, &mut listing, deadline)?;
        Ok(listing.whole())
    }

    /// The same, from where `listing` ends; what was read before an error stays in it.
    pub fn list_lines_on(
        &self,
        parent: &BlockId,
        listing: &mut Listing,
        deadline: Deadline,
    ) -> Result<()> {
        self.walk(parent, listing, deadline, |block| ListedBlock {
            text: words::cut(words::first_line(&block.text), LINE_BYTES).to_owned(),
            ..block
        })
    }

    fn walk(
        &self,
        parent: &BlockId,
        listing: &mut Listing,
        deadline: Deadline,
        keep: impl Fn(ListedBlock) -> ListedBlock,
    ) -> Result<()> {
        let path = format!("/blocks/{parent}/children");
        let mut bytes: usize = listing.blocks.iter().map(weight).sum();
        let mut size = query::MOST_ROWS;
        for _ in 0..BLOCK_PAGES {
            let mut request = get(&path);
            request.query.push(("page_size".into(), size.to_string()));
            let cursor = listing.cursor.clone();
            let cursor = cursor.map(|cursor| ("start_cursor".into(), cursor));
            request.query.extend(cursor);
            let mut part = Vec::new();
            let read = |block: Json| {
                part.push(keep(
                    blocks::read(&block).ok_or("a block that cannot be read")?,
                ));
                Ok(())
            };
            let rest = match self.ask_list(&request, &self.version, deadline, read) {
                Err(err) if err.asks_for_less() && size > 1 => {
                    size /= 2;
                    continue;
                }
                answer => answer?,
            };
            bytes += part.iter().map(weight).sum::<usize>();
            if bytes > LISTED_BYTES {
                let more = format!(
                    "{parent} holds more than {} MiB of text",
                    LISTED_BYTES >> 20
                );
                return Err(Error::Unreadable(more));
            }
            let Some(next) = rest.next else {
                listing.last = part;
                return Ok(());
            };
            listing.blocks.append(&mut part);
            listing.cursor = Some(next);
        }
        Err(Error::Unreadable(format!(
            "{} blocks of {parent} were read, and it has more",
            BLOCK_PAGES * 100
        )))
    }
}

impl Listing {
    fn whole(mut self) -> Vec<ListedBlock> {
        self.blocks.append(&mut self.last);
        self.blocks
    }
}

fn weight(block: &ListedBlock) -> usize {
    block.text.len() + size_of::<ListedBlock>() + 64
}
