//! Time as the program lives in it: clocks, deadlines, waits, and work that goes on at once.
//!
//! Apart because it is the only place that reads a clock, sleeps or starts threads for work. It
//! does not know what is waited for. Whoever is told to [`stop`] finds every deadline passed and
//! every wait over. In a test all this can be a [`simulation`]'s, thread by thread.

pub mod simulation;
pub mod stop;

#[cfg(test)]
pub(crate) mod virtual_time;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use self::simulation::Simulation;

/// The monotonic clock, for how long something takes.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the program that reads this clock"
)]
pub fn now() -> Instant {
    match simulation::current() {
        Some(simulation) => simulation.now(),
        None => Instant::now(),
    }
}

/// The time that has passed since then; zero for a moment to come.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// The wall clock, for moments that others understand; it may be set back.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the program that reads this clock"
)]
pub fn timestamp() -> Timestamp {
    match simulation::current() {
        Some(simulation) => simulation.timestamp(),
        None => Timestamp::now(),
    }
}

/// Which start of the machine this is, once it was asked for.
static BOOT: OnceLock<String> = OnceLock::new();

/// A moment by a clock that nobody sets, the same for all processes of one start of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootMoment {
    /// Which start of the machine: moments of two cannot be compared.
    pub boot: String,
    /// Time since then, sleep included.
    pub at: Duration,
}

impl BootMoment {
    /// This moment.
    pub fn now() -> Self {
        if let Some(simulation) = simulation::current() {
            let boot = "simulated".to_owned();
            let at = simulation.uptime();
            return Self { boot, at };
        }
        let boot = BOOT.get_or_init(|| {
            let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
            told.unwrap_or_default().trim().to_owned()
        });
        let clock = clock_gettime(ClockId::Boottime);
        Self {
            boot: boot.clone(),
            at: Duration::try_from(clock).unwrap_or_default(),
        }
    }
}

/// True in a simulated process. It must not wait elsewhere, as for a lock at a database server: who
/// it waits for would not go on.
pub fn is_simulated() -> bool {
    simulation::current().is_some()
}

/// A number from 0 to 1, at random, for the length of waits. The standard library's hasher is
/// seeded at random.
pub fn chance() -> f64 {
    let step = match simulation::current() {
        Some(simulation) => u16::try_from(simulation.pick(usize::from(u16::MAX) + 1)).ok(),
        None => u16::try_from(RandomState::new().hash_one(0) >> 48).ok(),
    };
    f64::from(step.unwrap_or(u16::MAX)) / f64::from(u16::MAX)
}

/// A name that never comes again: 128 random bits.
pub fn token() -> String {
    let half = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", half(), half())
}

/// The moment by which something must be over, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline that far from now; one too far to express is none.
    pub fn within(duration: Duration) -> Self {
        Self(now().checked_add(duration))
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
        self.0.map(|at| at.saturating_duration_since(now()))
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
        if let Some(simulation) = simulation::current() {
            return simulation.sleep(left);
        }
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
/// A single item needs no thread. A simulated process does one after the other, in picked order.
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
    loop {
        let chunk: Vec<T> = items.by_ref().take(at_once.max(1)).collect();
        if chunk.is_empty() {
            return results;
        }
        results.extend(match simulation::current() {
            Some(simulation) => in_picked_order(&*simulation, chunk, &work),
            None => in_threads(chunk, &work),
        });
    }
}

fn in_threads<T: Send, R: Send>(items: Vec<T>, work: &(impl Fn(T) -> R + Sync)) -> Vec<R> {
    let mut items = items.into_iter();
    let first = items.next();
    thread::scope(|scope| {
        let others: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let first = first.map(work);
        let others = others.into_iter().map(thread::ScopedJoinHandle::join);
        let others = others.map(|done| done.unwrap_or_else(|panic| resume_unwind(panic)));
        first.into_iter().chain(others).collect()
    })
}

fn in_picked_order<T, R>(
    simulation: &dyn Simulation,
    items: Vec<T>,
    work: impl Fn(T) -> R,
) -> Vec<R> {
    let mut left: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    let mut done = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let (place, item) = left.remove(simulation.pick(left.len()));
        done.push((place, work(item)));
    }
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A thread that works for another one, job after job: one that begins anew for each would leave
/// behind what memory it took.
struct Worker {
    jobs: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    thread: thread::JoinHandle<()>,
}

thread_local! {
    /// The worker of this thread, while it has nothing to do.
    static IDLE: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

impl Worker {
    fn idle() -> Self {
        let idle = IDLE.take().filter(|idle| !idle.thread.is_finished());
        idle.unwrap_or_else(|| {
            let (jobs, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
            let thread = thread::spawn(move || queue.into_iter().for_each(|job| job()));
            Self { jobs, thread }
        })
    }

    /// A job that cannot be handed over is dropped, and with it the sender of its result.
    fn does(&self, job: impl FnOnce() + Send + 'static) {
        drop(self.jobs.send(Box::new(job)));
    }

    fn rest(self) {
        IDLE.set(Some(self));
    }
}

/// What the work in another thread says to the one who waits for it.
enum Said<T> {
    /// It asks whether to go on.
    MayI(mpsc::Sender<bool>),
    /// It has ended.
    Done(T),
}

/// Does the work in a thread of its own and waits for it at most so long, or for `grace` from when
/// the program was told to stop. `None` if it has not ended by then: it goes on, and nobody waits
/// for it. A simulated process just does it.
///
/// # Panics
/// When the work does: a panic goes on in the caller.
pub fn within<T: Send + 'static>(
    limit: Duration,
    grace: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    within_asking(limit, grace, || true, move |_| work())
}

/// The same for work that asks, as often as it will, whether it may go on; `may` answers in the
/// caller's thread. Once nobody waits any more it may not.
///
/// # Panics
/// When the work does: a panic goes on in the caller.
pub fn within_asking<T: Send + 'static>(
    limit: Duration,
    grace: Duration,
    mut may: impl FnMut() -> bool,
    work: impl FnOnce(&mut dyn FnMut() -> bool) -> T + Send + 'static,
) -> Option<T> {
    if is_simulated() {
        return Some(work(&mut may));
    }
    let (sender, said) = mpsc::channel();
    let worker = Worker::idle();
    worker.does(move || {
        let mut ask = || {
            let (reply, answer) = mpsc::channel();
            sender.send(Said::MayI(reply)).is_ok() && answer.recv().unwrap_or(false)
        };
        let done = work(&mut ask);
        drop(sender.send(Said::Done(done)));
    });
    let mut left = limit;
    loop {
        let step = stop::LOOK.min(left);
        match said.recv_timeout(step) {
            Ok(Said::Done(done)) => {
                worker.rest();
                return Some(done);
            }
            Ok(Said::MayI(reply)) => drop(reply.send(may())),
            Err(RecvTimeoutError::Disconnected) => match worker.thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => return None,
            },
            Err(RecvTimeoutError::Timeout) => left = left.saturating_sub(step),
        }
        if stop::is_told() {
            left = left.min(grace.saturating_sub(stop::since()));
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// Work that is done again and again in a thread of its own, as long as this lives.
pub struct Ticker {
    _stop: mpsc::Sender<()>,
}

/// Does the work after each `interval`, from now on. A simulated process has no threads, and
/// nothing is done.
pub fn every(interval: Duration, work: impl Fn() + Send + 'static) -> Option<Ticker> {
    if is_simulated() {
        return None;
    }
    let (stop, stopped) = mpsc::channel::<()>();
    thread::spawn(move || {
        while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            work();
        }
    });
    Some(Ticker { _stop: stop })
}

/// Does two things at once, of which neither needs the other's answer. A simulated process does one
/// after the other, in picked order.
///
/// # Panics
/// When one of them does: a panic goes on in the caller.
pub fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    if let Some(simulation) = simulation::current() {
        if simulation.pick(2) == 0 {
            let first = first();
            return (first, second());
        }
        let second = second();
        return (first(), second);
    }
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first.join().unwrap_or_else(|panic| resume_unwind(panic));
        (first, second)
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::simulation::{Killed, simulated};
    use super::virtual_time::Virtual;
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

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

    /// The order in which five items are done, three at once, and what `both` does after them.
    fn order(picks: fn(usize) -> usize) -> String {
        let done = Mutex::new(String::new());
        let note = |part: &str| done.lock().unwrap().push_str(part);
        simulated(Virtual::picking(picks), || {
            let length = side_by_side(vec!["a", "b", "c", "d", "e"], 3, |item| {
                note(item);
                item
            });
            assert_eq!(length.concat(), "abcde", "results keep their order");
            assert_eq!(both(|| note("1"), || note("2")), ((), ()));
        });
        done.into_inner().unwrap()
    }

    #[test]
    fn simulation_picks_the_order_of_what_would_go_on_at_once() {
        assert_eq!(order(|_| 0), "abcde12");
        assert_eq!(order(|count| count - 1), "cbaed21");
        assert_eq!(order(|count| count / 2), "bcaed21");
    }

    #[test]
    fn simulated_time_passes_by_waits_alone() {
        let (outside, simulation) = (now(), Virtual::new());
        simulated(Rc::clone(&simulation) as Rc<_>, || {
            let (began, at) = (now(), timestamp());
            let deadline = Deadline::within(3 * HOUR);
            sleep(HOUR);
            assert!(pause(HOUR, deadline), "an hour is left");
            assert!(!pause(HOUR, deadline), "it would reach the deadline");
            assert_eq!(deadline.left(), Some(HOUR));
            assert_eq!(since(began), 2 * HOUR);
            assert_eq!(timestamp().duration_since(at).unsigned_abs(), 2 * HOUR);
            sleep(HOUR);
            assert!(deadline.passed());
        });
        assert_eq!(simulation.passed(), 3 * HOUR);
        assert!(since(outside) < HOUR && !is_simulated());
    }

    #[test]
    fn simulated_process_is_told_to_stop_alone() {
        let simulation = Virtual::new();
        simulation.tell_to_stop_after(HOUR);
        simulated(Rc::clone(&simulation) as Rc<_>, || {
            assert!(pause(HOUR / 2, Deadline::none()) && !stop::is_told());
            assert!(!pause(HOUR, Deadline::none()), "cut short");
            assert!(stop::is_told() && Deadline::none().passed());
            sleep(HOUR);
        });
        assert_eq!(simulation.passed(), HOUR);
        assert!(!stop::is_told());
    }

    #[test]
    fn killed_process_does_nothing_more_and_leaves_nothing_behind() {
        let done = Mutex::new(0);
        let simulation = Virtual::picking(|count| match count {
            2 => resume_unwind(Box::new(Killed)),
            _ => 0,
        });
        let work = || side_by_side(vec![1, 2, 3], 3, |item| *done.lock().unwrap() += item);
        let ended = catch_unwind(AssertUnwindSafe(|| simulated(simulation, work)));
        assert!(ended.expect_err("it is killed").is::<Killed>());
        assert!(!is_simulated());
        assert_eq!(done.into_inner().unwrap(), 1);
    }
}
