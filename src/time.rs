//! Time as the program lives in it: deadlines, waits, and work that goes on at once.
//!
//! Apart because it is the only place that sleeps or starts threads for work. It does not know what
//! is waited for. Whoever is told to [`stop`] finds every deadline passed and every wait over.

pub mod stop;

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// The moment by which something must be over, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline that far from now; one too far to express is none.
    pub fn within(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// No limit.
    pub fn none() -> Self {
        Self(None)
    }

    /// The earlier of this deadline and one that far from now.
    #[must_use]
    pub fn earlier(self, duration: Duration) -> Self {
        let other = Self::within(duration);
        Self(self.0.into_iter().chain(other.0).min())
    }

    /// Time left, zero once passed, told to stop or not; `None` without a limit.
    pub fn left(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// True once the moment is reached, or the program was told to stop.
    pub fn passed(self) -> bool {
        stop::is_told() || self.left().is_some_and(|left| left.is_zero())
    }

    /// True when a wait of that length ends before the deadline.
    pub fn allows(self, wait: Duration) -> bool {
        !stop::is_told() && self.left().is_none_or(|left| wait < left)
    }
}

/// Waits that long. `false`, at once, when the deadline would pass meanwhile, or the program is
/// told to stop.
pub fn pause(wait: Duration, deadline: Deadline) -> bool {
    let allowed = deadline.allows(wait);
    if allowed {
        sleep(wait);
    }
    allowed && !stop::is_told()
}

/// Waits that long, whatever the deadline of the work; shorter only when the program is told to
/// stop.
pub fn sleep(duration: Duration) {
    let mut left = duration;
    while !left.is_zero() && !stop::is_told() {
        let step = left.min(stop::LOOK);
        nap(step);
        left -= step;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the program that sleeps"
)]
fn nap(duration: Duration) {
    thread::sleep(duration);
}

/// Does `work` for every item, at most `at_once` at a time, and returns the results in their order.
/// A single item needs no thread.
///
/// # Panics
/// When the work does: a panic goes on in the caller.
pub fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let mut items = items.into_iter();
    let mut results = Vec::with_capacity(items.len());
    while let Some(first) = items.next() {
        let others: Vec<T> = items.by_ref().take(at_once - 1).collect();
        thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = others
                .into_iter()
                .map(|item| scope.spawn(move || work(item)))
                .collect();
            results.push(work(first));
            let joined = others.into_iter().map(thread::ScopedJoinHandle::join);
            results.extend(joined.map(|done| done.unwrap_or_else(|panic| resume_unwind(panic))));
        });
    }
    results
}

/// Does two things at once, of which neither needs the other's answer.
///
/// # Panics
/// When one of them does: a panic goes on in the caller.
pub fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first.join().unwrap_or_else(|panic| resume_unwind(panic));
        (first, second)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_keep_their_order_and_no_more_than_so_many_go_at_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |item: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            item * 2
        };
        for count in [0, 1, 3, 4, 9] {
            let want: Vec<usize> = (0..count).map(|item| item * 2).collect();
            assert_eq!(side_by_side((0..count).collect(), 4, work), want);
        }
        assert!(most.into_inner() <= 4);
    }
}
