//! A simulated process: what the thread that it runs on has for clocks, waits and chance.
//!
//! Apart because the program never has one: a test installs it for the time of a piece of work, and
//! all of [`crate::time`] asks it then instead of the machine. One thread is one process, and what
//! would go on at once goes on one after the other in an order that the simulation picks; so a
//! history is given by its picks and can be had again. A thread that the work starts by itself is
//! no part of it and lives in real time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What stands in for the machine while a process is simulated. Any of these calls may block while
/// other processes go on, and may end the process with [`Killed`].
pub trait Simulation {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The wall clock.
    fn timestamp(&self) -> Timestamp;

    /// Time since the machine was started, by a clock that nobody sets.
    fn uptime(&self) -> Duration {
        let passed = self.timestamp().duration_since(Timestamp::UNIX_EPOCH);
        passed.unsigned_abs()
    }

    /// Lets so much time pass; returns sooner only when the process is told to stop.
    fn sleep(&self, duration: Duration);

    /// True once the process was told to stop.
    fn is_told_to_stop(&self) -> bool;

    /// Chooses one of `count`, which is at least 1, and returns its place, counted from 0: what is
    /// done next of that which would go on at once, or how long a wait is made at random.
    fn pick(&self, count: usize) -> usize;

    /// The process is about to do what is called so, outside its own memory: here it may be killed.
    fn point(&self, _what: &'static str) {}
}

/// What a simulation panics with (by [`std::panic::resume_unwind`]) to end a process on the spot:
/// nobody takes it for a bug that is to be told of.
#[derive(Debug)]
pub struct Killed;

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Simulation>>> = const { RefCell::new(None) };
}

/// Does the work as a simulated process.
///
/// # Panics
/// When the work does, or the simulation kills it.
pub fn simulated<T>(simulation: Rc<dyn Simulation>, work: impl FnOnce() -> T) -> T {
    let _installed = Installed::new(simulation);
    work()
}

/// While it lives, this thread is a simulated process; then it is what it was before.
pub(crate) struct Installed(Option<Rc<dyn Simulation>>);

impl Installed {
    pub(super) fn new(simulation: Rc<dyn Simulation>) -> Self {
        Self(CURRENT.replace(Some(simulation)))
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Tells the simulation, if there is one, what the process is about to do.
pub fn point(what: &'static str) {
    if let Some(simulation) = current() {
        simulation.point(what);
    }
}

/// The simulation that this thread belongs to. None in a thread that ends, where nothing waits.
pub(super) fn current() -> Option<Rc<dyn Simulation>> {
    let current = CURRENT.try_with(|current| current.borrow().clone());
    current.ok().flatten()
}
