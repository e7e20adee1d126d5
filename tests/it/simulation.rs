//! Simulated processes: each a thread of this one, with a time and a chance that they share. One at
//! a time goes on, until it waits; so a history is given by its seed.
//!
//! What is tested here is the seam of the library: that all that a process waits for, asks a clock
//! for or sends can be stood in for.

use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quotion::http::{Agent, Api, BaseUrl, Outgoing, Received, Request, Vendor, VendorSpec, Window};
use quotion::time::simulation::{Killed, Simulation, simulated};
use quotion::time::{self, Deadline};

/// A process; it is killed in the first wait that lasts beyond `killed_at`.
pub struct Process<'a> {
    pub work: Box<dyn FnOnce() + Send + 'a>,
    pub killed_at: Duration,
}

impl<'a> Process<'a> {
    pub fn new(work: impl FnOnce() + Send + 'a) -> Self {
        Self {
            work: Box::new(work),
            killed_at: Duration::MAX,
        }
    }

    pub fn killed_at(self, killed_at: Duration) -> Self {
        Self { killed_at, ..self }
    }
}

/// Runs processes that begin together; returns how much time has passed when all have ended.
///
/// # Panics
/// When one of them does.
pub fn run(seed: u64, processes: Vec<Process>) -> Duration {
    let began = Instant::now();
    let scheduler = Arc::new(Scheduler {
        state: Mutex::new(State {
            passed: Duration::ZERO,
            wakes: vec![Some(Duration::ZERO); processes.len()],
            running: 0,
            random: seed,
        }),
        changed: Condvar::new(),
    });
    thread::scope(|scope| {
        let processes = processes.into_iter().enumerate().map(|(number, process)| {
            let scheduler = Arc::clone(&scheduler);
            scope.spawn(move || {
                let place = Place {
                    scheduler,
                    number,
                    began,
                    killed_at: process.killed_at,
                };
                place.live(process.work);
            })
        });
        for process in processes.collect::<Vec<_>>() {
            process
                .join()
                .unwrap_or_else(|bug| panic::resume_unwind(bug));
        }
    });
    scheduler.state().passed
}

struct Scheduler {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    passed: Duration,
    /// When each process goes on; `None` for one that has ended.
    wakes: Vec<Option<Duration>>,
    running: usize,
    random: u64,
}

impl Scheduler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Lets others go on, until it is the process's turn again: at `wake`, or never.
    fn hand_over(&self, number: usize, wake: Option<Duration>) {
        let mut state = self.state();
        state.wakes[number] = wake;
        let waiting = state.wakes.iter().enumerate();
        let next = waiting
            .filter_map(|(number, wake)| Some(((*wake)?, number)))
            .min();
        if let Some((wake, next)) = next {
            state.passed = wake;
            state.running = next;
        }
        self.changed.notify_all();
        if wake.is_some() {
            drop(self.await_turn(state, number));
        }
    }

    fn await_turn<'a>(&self, state: MutexGuard<'a, State>, number: usize) -> MutexGuard<'a, State> {
        let turn = self
            .changed
            .wait_while(state, |state| state.running != number);
        turn.expect("nobody panics with it")
    }
}

/// What one process sees of the scheduler.
struct Place {
    scheduler: Arc<Scheduler>,
    number: usize,
    began: Instant,
    killed_at: Duration,
}

impl Place {
    fn live(self, work: impl FnOnce()) {
        let (scheduler, number) = (Arc::clone(&self.scheduler), self.number);
        drop(scheduler.await_turn(scheduler.state(), number));
        let ended = panic::catch_unwind(AssertUnwindSafe(|| simulated(Rc::new(self), work)));
        scheduler.hand_over(number, None);
        match ended {
            Err(bug) if !bug.is::<Killed>() => panic::resume_unwind(bug),
            Ok(()) | Err(_) => {}
        }
    }
}

impl Simulation for Place {
    fn now(&self) -> Instant {
        self.began + self.scheduler.state().passed
    }

    fn timestamp(&self) -> Timestamp {
        began() + self.scheduler.state().passed
    }

    fn sleep(&self, duration: Duration) {
        let wake = self.scheduler.state().passed + duration;
        self.scheduler
            .hand_over(self.number, Some(wake.min(self.killed_at)));
        if wake > self.killed_at {
            panic::resume_unwind(Box::new(Killed));
        }
    }

    fn is_told_to_stop(&self) -> bool {
        false
    }

    fn pick(&self, count: usize) -> usize {
        let mut state = self.scheduler.state();
        // splitmix64
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).expect("below count")
    }
}

/// When every history begins, by the wall clock.
pub fn began() -> Timestamp {
    "2026-10-03T12:00:00Z".parse().expect("a time")
}

const MS: Duration = Duration::from_millis(1);

/// A vendor that answers each path after 20 ms, at the first time with an error.
fn vendor(seen: &Arc<Mutex<Vec<String>>>) -> Vendor {
    let seen = Arc::clone(seen);
    let agent = Agent::simulated(move |outgoing: &Outgoing| {
        time::sleep(20 * MS);
        let (_, path) = outgoing.url.rsplit_once('/').expect("a path");
        let mut seen = seen.lock().expect("nobody panics with it");
        let is_first = !seen.iter().any(|line| line.ends_with(path));
        seen.push(format!("{} {path}", time::timestamp()));
        Ok(Received {
            status: if is_first { 503 } else { 200 },
            body: b"{}".to_vec(),
            ..Received::default()
        })
    });
    let spec = VendorSpec {
        api: Api {
            name: "vendor",
            request_id_header: "x-request-id",
            body_bytes: 1024,
            is_refusal: |_, _| false,
        },
        base: BaseUrl::parse("https://vendor.example").expect("an address"),
        headers: Vec::new(),
        secrets: Vec::new(),
        window: Window {
            requests: 3,
            period: 1000 * MS,
        },
        shared: None,
    };
    Vendor::new(&agent, spec)
}

/// What a vendor has seen of two processes that ask it for five things each, side by side.
fn history(seed: u64) -> Vec<String> {
    let log = Arc::default();
    let ask = |paths: [&'static str; 5]| {
        let log = Arc::clone(&log);
        Process::new(move || {
            let vendor = vendor(&log);
            time::side_by_side(paths.to_vec(), 5, |path| {
                let answer = vendor.call(&Request::get(path), Deadline::none());
                assert_eq!(answer.expect("an answer").body, b"{}");
            });
        })
    };
    let processes = vec![
        ask(["/a", "/b", "/c", "/d", "/e"]),
        ask(["/f", "/g", "/h", "/i", "/j"]),
    ];
    run(seed, processes);
    let log = log.lock().expect("nobody panics with it");
    log.clone()
}

#[test]
fn history_is_given_by_its_seed() {
    let all: Vec<_> = (0..20).map(history).collect();
    for (seed, one) in (0..).zip(&all) {
        assert_eq!(one.len(), 20, "{one:?}");
        assert_eq!(&history(seed), one, "seed {seed}");
        assert!(one.is_sorted(), "{one:?}");
        assert!(all.iter().filter(|other| *other == one).count() == 1);
    }
}
