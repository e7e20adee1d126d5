//! An event of many clients: some of their pages at a time, and no faster than leaves room for the
//! events of others.

use std::time::{Duration, Instant};

use crate::time;

use super::task::Task;
use super::{Error, Run};

/// Most pages of such an event that are locked, gathered and written at once.
const MOST: usize = 25;
/// Requests to Notion that a client without a page costs: two searches, and one to make it.
const EACH: u32 = 3;
/// The part of the rate window that such an event leaves to others.
const LEFT_TO_OTHERS: u32 = 2;

/// How many clients are written to at a time: all of them, unless one event has too many.
pub fn part(run: &Run, tasks: &[Task]) -> usize {
    let part = usize::try_from(share(run) / EACH)
        .unwrap_or(MOST)
        .clamp(1, MOST);
    let widest = tasks.iter().map(|task| task.phones.len()).max();
    if widest.is_some_and(|widest| widest > part) {
        part
    } else {
        usize::MAX
    }
}

/// Requests in a rate window that such an event may take.
fn share(run: &Run) -> u32 {
    run.notion_window.requests / LEFT_TO_OTHERS
}

/// Keeps the parts of such an event apart.
pub struct Pacing {
    began: Instant,
    calls: u64,
}

impl Pacing {
    /// Before the first part.
    pub fn begin(run: &Run) -> Self {
        Self {
            began: time::now(),
            calls: run.notion.calls(),
        }
    }

    /// Before each part: waits until those before it have taken no more than their share. What does
    /// not fit into the deadline is put off.
    pub fn wait(&self, run: &Run) -> Result<(), Error> {
        let made = run.notion.calls().saturating_sub(self.calls);
        let window = run.notion_window;
        let period = window.period / share(run).max(1);
        let due = period.saturating_mul(u32::try_from(made).unwrap_or(u32::MAX));
        let left = due.saturating_sub(time::since(self.began));
        if left.is_zero() || time::pause(left, run.deadline) {
            return Ok(());
        }
        Err(Error::NoRoom(left.max(Duration::from_secs(1))))
    }
}
