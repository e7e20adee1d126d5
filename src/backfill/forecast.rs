//! How long a walk will take, from its size and its first conversations.

use super::{Happening, Walk};

/// Conversations that are read before the rest is guessed from them.
const SAMPLE: usize = 10;
/// Quo's limit.
const QUO_PER_MINUTE: u64 = 600;
/// Notion's limit.
const NOTION_PER_MINUTE: u64 = 180;
/// Requests to Notion for one client: search, look, update, append.
const PER_CLIENT: usize = 4;
/// Entries that go into one append, about.
const PER_APPEND: usize = 50;

/// What is to be expected, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Conversations to be read.
    pub threads: usize,
    /// Events to be told.
    pub events: usize,
    /// Minutes at Quo's rate.
    pub quo_minutes: u64,
    /// Minutes at Notion's rate, for all of them.
    pub notion_minutes: u64,
}

impl Walk<'_> {
    /// Tells once what is to be expected: when so many conversations are read that the rest can be
    /// guessed, or all of them. `told` were told before the first.
    pub fn forecast(&mut self, threads: usize, told: usize) -> Result<(), super::Error> {
        let read = self.tally.threads;
        if read != SAMPLE.min(threads) {
            return Ok(());
        }
        let events = (self.tally.events - told) * threads / read.max(1);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let requests = self.vendor.calls() * count(threads) / count(read.max(1));
        let writes = count(threads.min(events) * PER_CLIENT + events / PER_APPEND);
        self.tell(Happening::Forecast(Forecast {
            threads,
            events,
            quo_minutes: requests.div_ceil(QUO_PER_MINUTE),
            notion_minutes: writes.div_ceil(NOTION_PER_MINUTE),
        }))
    }
}
