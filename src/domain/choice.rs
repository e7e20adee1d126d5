//! What the user has chosen of lines, numbers and new pages.

use super::phone::{NumberPattern, Phone};

/// What the user has chosen of lines and numbers.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Own lines to sync, by number or id; empty: all.
    pub lines: Vec<String>,
    /// Outside numbers that are left out.
    pub ignore: Vec<NumberPattern>,
    /// Who gets a page that has none.
    pub new_pages: NewPages,
}

impl Choice {
    /// True for a number that the user has left out.
    pub fn ignores(&self, phone: &Phone) -> bool {
        self.ignore.iter().any(|pattern| pattern.fits(phone))
    }
}

/// Who gets a page that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewPages {
    /// Everybody.
    #[default]
    Always,
    /// Those whom Quo has a contact of.
    Known,
    /// Nobody.
    Never,
}
