//! Calls and texts of one thread, the oldest of them, within a bound of memory.
//!
//! Apart because Quo lists the newest first and they are told the oldest first: of a thread that is
//! too long for memory the newest are let go, and asked for again when those before them are told.

use std::cmp::Ordering;

use crate::quo::api::history::PastActivity;

/// Most bytes that are held: some 20,000 texts.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Some of them.
#[derive(Default)]
pub struct OldestFirst {
    all: Vec<PastActivity>,
    bytes: usize,
    /// The oldest that was let go; what is not older than that is not held either.
    end: Option<PastActivity>,
}

impl OldestFirst {
    /// Adds one, unless it is among those that are let go.
    pub fn add(&mut self, activity: PastActivity) {
        let is_older = |end: &PastActivity| order(&activity, end).is_lt();
        if !self.end.as_ref().is_none_or(is_older) {
            return;
        }
        self.bytes += activity.bytes();
        self.all.push(activity);
        if self.bytes > MOST_BYTES {
            self.let_go();
        }
    }

    /// True if some were let go; and the others, oldest first, each once.
    pub fn oldest_first(mut self) -> (bool, Vec<PastActivity>) {
        self.all.sort_by(order);
        self.all.dedup_by(|a, b| a.id == b.id);
        (self.end.is_some(), self.all)
    }

    /// Lets go the newer half.
    fn let_go(&mut self) {
        self.all.sort_by(order);
        while self.bytes > MOST_BYTES / 2 && self.all.len() > 1 {
            self.end = self.all.pop();
            self.bytes -= self.end.as_ref().map_or(0, PastActivity::bytes);
        }
    }
}

fn order(a: &PastActivity, b: &PastActivity) -> Ordering {
    (a.at, &a.id).cmp(&(b.at, &b.id))
}
