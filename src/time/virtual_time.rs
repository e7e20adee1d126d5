//! Time that passes only by waits, for tests beside the code.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::simulation::Simulation;

/// One process in a time of its own.
pub struct Virtual {
    began: Instant,
    passed: Cell<Duration>,
    stop_after: Cell<Duration>,
    picks: fn(usize) -> usize,
}

impl Virtual {
    /// Of what goes on at once, the first comes first; and what is random is as small as can be.
    pub fn new() -> Rc<Self> {
        Self::picking(|_| 0)
    }

    pub fn picking(picks: fn(usize) -> usize) -> Rc<Self> {
        Rc::new(Self {
            began: super::now(),
            passed: Cell::default(),
            stop_after: Cell::new(Duration::MAX),
            picks,
        })
    }

    /// How much time has passed.
    pub fn passed(&self) -> Duration {
        self.passed.get()
    }

    pub fn tell_to_stop_after(&self, passed: Duration) {
        self.stop_after.set(passed);
    }
}

impl Simulation for Virtual {
    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.passed()
    }

    fn sleep(&self, duration: Duration) {
        let until = (self.passed() + duration).min(self.stop_after.get());
        self.passed.set(until.max(self.passed()));
    }

    fn is_told_to_stop(&self) -> bool {
        self.passed() >= self.stop_after.get()
    }

    fn pick(&self, count: usize) -> usize {
        (self.picks)(count)
    }
}
