//! When a call may go out: the vendor's rate window, and the pause after "too many requests".
//!
//! Apart because all threads of the process share it per vendor. It must not know what is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::time::{self, Deadline, stop};

/// A longer wait is told.
const TOLD: Duration = Duration::from_secs(1);

/// A vendor's rate limit: so many requests in any period of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests allowed in one period; 0 is taken as 1.
    pub requests: u32,
    /// Length of the period.
    pub period: Duration,
}

/// A rate window, and a pause after "too many requests", that several processes share.
pub trait SharedWindow: Send + Sync {
    /// Takes the next free moment for a request to `vendor` and tells how far off it is. The inner
    /// `Err`, with that wait and nothing taken, when it is longer than the caller's patience.
    fn reserve(
        &self,
        vendor: &str,
        window: Window,
        patience: Duration,
    ) -> anyhow::Result<Result<Duration, Duration>>;

    /// Lets no process pass for that long; a longer closure already in force stays.
    fn close(&self, vendor: &str, wait: Duration) -> anyhow::Result<()>;

    /// How long the vendor's gate stays closed.
    fn closed_for(&self, vendor: &str) -> anyhow::Result<Duration>;
}

/// One vendor's gate: every attempt of every thread passes it, and of every process where the
/// window is shared.
pub(super) struct Gate {
    vendor: &'static str,
    window: Window,
    own: Mutex<GateState>,
    shared: Option<Arc<dyn SharedWindow>>,
}

#[derive(Debug)]
struct GateState {
    slots: Slots,
    opens_at: Option<Instant>,
}

impl Gate {
    pub(super) fn new(
        vendor: &'static str,
        window: Window,
        shared: Option<Arc<dyn SharedWindow>>,
    ) -> Self {
        let own = Mutex::new(GateState {
            slots: Slots::new(window),
            opens_at: None,
        });
        Self {
            vendor,
            window,
            own,
            shared,
        }
    }

    /// Waits until an attempt may go out. `Err` at once, with the wait it would take, when that is
    /// beyond the deadline.
    pub(super) fn admit(&self, deadline: Deadline) -> Result<(), Duration> {
        loop {
            let wait = self.lock().closed_for(time::now());
            if !wait.is_zero() {
                wait_within(deadline, wait)?;
                continue;
            }
            let patience = deadline.left().unwrap_or(Duration::MAX);
            let wait = self.reserve(patience)?;
            if wait > TOLD {
                log::warn!("{}: waiting {wait:.1?} for the rate limit", self.vendor);
            }
            time::sleep(wait);
            if stop::is_told() {
                return Err(wait);
            }
            // Closed while we waited for the slot: that slot is forfeited, else all who waited
            // would burst out together when the gate opens.
            let closed_meanwhile = !wait.is_zero() && !self.closed_by_others().is_zero();
            if !closed_meanwhile && self.lock().closed_for(time::now()).is_zero() {
                return Ok(());
            }
        }
    }

    /// The next free moment: of the shared window, else of this process's own.
    fn reserve(&self, patience: Duration) -> Result<Duration, Duration> {
        if let Some(shared) = &self.shared {
            match shared.reserve(self.vendor, self.window, patience) {
                Ok(reserved) => return reserved,
                Err(err) => log::warn!(
                    "{}: counting requests for this process alone: {err:#}",
                    self.vendor
                ),
            }
        }
        self.lock().slots.reserve(time::now(), patience)
    }

    fn closed_by_others(&self) -> Duration {
        let closed = self
            .shared
            .as_ref()
            .and_then(|shared| shared.closed_for(self.vendor).ok());
        closed.unwrap_or_default()
    }

    /// Lets nobody pass for that long; a longer closure already in force stays.
    pub(super) fn close(&self, duration: Duration) {
        let until = time::now().checked_add(duration);
        let mut state = self.lock();
        state.opens_at = state.opens_at.max(until);
        drop(state);
        if let Some(Err(err)) = self
            .shared
            .as_ref()
            .map(|shared| shared.close(self.vendor, duration))
        {
            log::warn!(
                "{}: other processes cannot be told to wait: {err:#}",
                self.vendor
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    fn closed_for(&self, now: Instant) -> Duration {
        self.opens_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// The sliding window of this process: the moments of the last `requests` attempts, future ones
/// included.
#[derive(Debug)]
struct Slots {
    window: Window,
    taken: VecDeque<Instant>,
}

impl Slots {
    fn new(window: Window) -> Self {
        Self {
            window,
            taken: VecDeque::new(),
        }
    }

    /// Takes the next free moment and tells how far off it is. `Err` with that wait, and nothing
    /// taken, when it is longer than the caller's patience.
    fn reserve(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        let full = self.taken.len() >= self.window.requests.max(1) as usize;
        let freed = self
            .taken
            .front()
            .filter(|_| full)
            .and_then(|first| first.checked_add(self.window.period));
        let slot = freed.map_or(now, |freed| freed.max(now));
        let wait = slot.saturating_duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        if full {
            self.taken.pop_front();
        }
        self.taken.push_back(slot);
        Ok(wait)
    }
}

/// Waits that long if it ends before the deadline, else returns the wait as an error at once.
pub(super) fn wait_within(deadline: Deadline, wait: Duration) -> Result<(), Duration> {
    if time::pause(wait, deadline) {
        Ok(())
    } else {
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::virtual_time::Virtual;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn window_holds_in_every_period() {
        let start = time::now();
        let mut slots = Slots::new(Window {
            requests: 3,
            period: 200 * MS,
        });
        let mut sent = Vec::new();
        for arrival in [0, 10, 20, 20, 20, 30, 190, 500, 900, 900, 900, 900] {
            let now = start + arrival * MS;
            sent.push((now + slots.reserve(now, Duration::MAX).unwrap() - start).as_millis());
        }
        assert_eq!(
            sent,
            [0, 10, 20, 200, 210, 220, 400, 500, 900, 900, 900, 1100]
        );
        assert!(sent.windows(4).all(|four| four[3] - four[0] >= 200));
    }

    #[test]
    fn impatient_caller_takes_no_slot() {
        let now = time::now();
        let mut slots = Slots::new(Window {
            requests: 1,
            period: 100 * MS,
        });
        assert_eq!(slots.reserve(now, Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(slots.reserve(now, 99 * MS), Err(100 * MS));
        assert_eq!(slots.reserve(now, 100 * MS), Ok(100 * MS));
        assert_eq!(slots.reserve(now, Duration::MAX), Ok(200 * MS));
    }

    #[test]
    fn window_of_none_is_one() {
        let now = time::now();
        let mut slots = Slots::new(Window {
            requests: 0,
            period: 100 * MS,
        });
        assert_eq!(slots.reserve(now, Duration::MAX), Ok(Duration::ZERO));
        assert_eq!(slots.reserve(now, Duration::MAX), Ok(100 * MS));
    }

    #[test]
    fn shorter_closure_does_not_open_the_gate() {
        let _simulated = Virtual::new().install();
        let gate = Gate::new(
            "test",
            Window {
                requests: 9,
                period: MS,
            },
            None,
        );
        gate.close(Duration::from_mins(1));
        gate.close(MS);
        let wait = gate.admit(Deadline::within(Duration::from_secs(1)));
        assert_eq!(wait, Err(Duration::from_mins(1)));
    }

    #[test]
    fn gate_closed_meanwhile_holds_those_who_wait_for_a_slot() {
        let time = Virtual::new();
        let _simulated = time.install();
        let window = Window {
            requests: 1,
            period: 100 * MS,
        };
        let gate = Arc::new(Gate::new("test", window, None));
        gate.admit(Deadline::none()).unwrap();
        let other = Arc::clone(&gate);
        time.during_next_sleep(move || other.close(300 * MS));
        gate.admit(Deadline::none()).unwrap();
        assert_eq!(time.passed(), 300 * MS);
        gate.admit(Deadline::none()).unwrap();
        assert_eq!(time.passed(), 300 * MS + 100 * MS, "in a slot of its own");
    }

    #[test]
    fn deadlines_compare() {
        let _simulated = Virtual::new().install();
        let soon = Deadline::within(Duration::from_secs(1));
        assert_eq!(soon.earlier(Duration::from_mins(1)), soon);
        assert!(Deadline::none().earlier(Duration::ZERO).passed());
        assert!(!Deadline::none().passed());
        assert_eq!(Deadline::none().left(), None);
        assert_eq!(Deadline::within(Duration::MAX), Deadline::none());
        assert!(!soon.allows(Duration::from_secs(2)) && soon.allows(MS));
    }
}
