//! How far a long run has got, on a terminal; nothing where stderr is none.
//!
//! Apart because it is the only place that knows the library that draws it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves while it waits for an answer.
const TICK: Duration = Duration::from_millis(200);

/// A bar on stderr.
pub struct Progress(ProgressBar);

impl Progress {
    /// No bar.
    pub fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Begins, not knowing how much there is to do. Draws nothing yet.
    pub fn start() -> Self {
        Self(ProgressBar::no_length())
    }

    /// There is so much to do.
    pub fn expect(&self, count: usize) {
        let style =
            ProgressStyle::with_template("{bar:30} {pos} of {len} conversations, {eta} left");
        self.0
            .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.0.set_length(u64::try_from(count).unwrap_or(u64::MAX));
        if !self.0.is_hidden() {
            self.0.enable_steady_tick(TICK);
        }
    }

    /// One more is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
