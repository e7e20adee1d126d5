//! Time that passes only by waits, for tests beside the code.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::simulation::{Installed, Simulation};

/// One process in a time of its own.
pub struct Virtual {
    began: Instant,
    passed: Cell<Duration>,
    stop_after: Cell<Duration>,
    picks: fn(usize) -> usize,
    meanwhile: Cell<Option<Box<dyn FnOnce()>>>,
}

impl Virtual {
    /// Of what goes on at once, the first comes first; and what is random is as small as can be.
    pub fn new() -> Rc<Self> {
        Self::picking(|_| 0)
    }

    /// With picks of its own, for orders and lengths.
    pub fn picking(picks: fn(usize) -> usize) -> Rc<Self> {
        Rc::new(Self {
            began: super::now(),
            passed: Cell::default(),
            stop_after: Cell::new(Duration::MAX),
            picks,
            meanwhile: Cell::default(),
        })
    }

    /// Lets this thread live in it as long as what is returned does.
    pub(crate) fn install(self: &Rc<Self>) -> Installed {
        Installed::new(Rc::clone(self) as Rc<_>)
    }

    /// How much time has passed.
    pub fn passed(&self) -> Duration {
        self.passed.get()
    }

    /// What another thread would do at the beginning of the next wait.
    pub fn during_next_sleep(&self, work: impl FnOnce() + 'static) {
        self.meanwhile.set(Some(Box::new(work)));
    }

    /// Tells the process to stop once so much time has passed.
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
        if let Some(work) = self.meanwhile.take() {
            work();
        }
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
