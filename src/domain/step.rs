//! The plan: what is to be written for one client, as values that can be printed, tested, and then
//! applied.

use super::block::Block;
use super::call::ArtifactKind;
use super::id::{ActivityId, BlockId, PageId};
use super::table::Property;

/// One write to Notion.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make the client's page, with its first entries.
    CreatePage {
        /// Values, phone and title among them.
        properties: Vec<Property>,
        /// The entries.
        entries: Vec<NewEntry>,
    },
    /// Fill properties of the page.
    UpdatePage {
        /// The page.
        page: PageId,
        /// Values.
        properties: Vec<Property>,
    },
    /// Write entries at the end of the page.
    AppendEntries {
        /// The page.
        page: PageId,
        /// The entries.
        entries: Vec<NewEntry>,
    },
    /// Put artifacts into an entry that is there.
    Enrich {
        /// The entry's block.
        entry: BlockId,
        /// Whose entry it is.
        activity: ActivityId,
        /// The artifacts.
        parts: Vec<Part>,
        /// Texts of blocks that are inside already, after a write that may have been cut short.
        present: Vec<String>,
    },
    /// Write the first line of an entry anew, because more is known about the call.
    Reword {
        /// The entry's block.
        entry: BlockId,
        /// Whose entry it is.
        activity: ActivityId,
        /// The entry with its new line; what is inside stays.
        block: Block,
    },
}

impl Step {
    /// The step's name in results and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreatePage { .. } => "create_page",
            Self::UpdatePage { .. } => "update_page",
            Self::AppendEntries { .. } => "append_blocks",
            Self::Enrich { .. } => "enrich_entry",
            Self::Reword { .. } => "update_block",
        }
    }
}

/// An entry that is not on the page yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// Whose entry it is.
    pub activity: ActivityId,
    /// The line, as one block.
    pub block: Block,
    /// What goes inside.
    pub parts: Vec<Part>,
}

/// One artifact of a call, as the blocks that show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which artifact.
    pub kind: ArtifactKind,
    /// Usually one block; more only when the text is longer than a block holds.
    pub blocks: Vec<Block>,
}
