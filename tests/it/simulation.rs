//! Simulated processes: each a thread of this one, with a time and a chance that they share. One at
//! a time goes on, until it waits; so a history is given by its seed.
//!
//! What is tested here is the seam of the library: that all that a process waits for, asks a clock
//! for or sends can be stood in for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quotion::http::{Agent, Api, BaseUrl, Outgoing, Received, Request, Vendor, VendorSpec, Window};
use quotion::time::simulation::{Killed, Simulation, simulated};
use quotion::time::{self, Deadline};

/// Nobody is woken sooner: who looks every few milliseconds whether others have ended may as well
/// look that much later.
const SHORTEST: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(400);

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    Never,
    /// In the first wait that lasts beyond this.
    At(Duration),
    /// At the point of that number, counted from 1.
    Point(usize),
    /// At the one of that number of those called so.
    Named(&'static str, usize),
}

/// A process.
pub struct Process<'a> {
    pub work: Box<dyn FnOnce() + Send + 'a>,
    pub killed: Kill,
    /// When it is told to stop.
    pub stopped_at: Duration,
}

impl<'a> Process<'a> {
    pub fn new(work: impl FnOnce() + Send + 'a) -> Self {
        Self {
            work: Box::new(work),
            killed: Kill::Never,
            stopped_at: Duration::MAX,
        }
    }

    pub fn killed(self, killed: Kill) -> Self {
        Self { killed, ..self }
    }
}

/// Runs processes that begin together; returns how much time has passed when all have ended.
///
/// # Panics
/// When one of them does.
pub fn run(seed: u64, processes: Vec<Process>) -> Duration {
    go_on(seed, Clock::default(), processes).0
}

/// How a process has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Where it was killed, if it was.
    pub killed: Option<&'static str>,
    /// True if it was told to stop before.
    pub stopped: bool,
    /// True if a stamp was set then, and its answer had not come.
    pub in_doubt: bool,
    /// How often it came by each point.
    pub points: BTreeMap<&'static str, usize>,
}

/// How far ahead the machine's clock is set, and when it all begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    pub passed: Duration,
    pub ahead: Duration,
}

/// Runs processes that begin together, when so much time has passed; returns when all have ended.
///
/// # Panics
/// When one of them does.
pub fn go_on(seed: u64, clock: Clock, processes: Vec<Process>) -> (Duration, Vec<Ended>) {
    let began = Instant::now();
    let scheduler = Arc::new(Scheduler {
        state: Mutex::new(State {
            passed: clock.passed,
            wakes: vec![Some(clock.passed); processes.len()],
            running: 0,
            random: seed,
        }),
        turns: processes.iter().map(|_| Condvar::new()).collect(),
    });
    let processes = processes.into_iter().enumerate();
    let ended = thread::scope(|scope| {
        let threads = processes.map(|(number, process)| {
            let scheduler = Arc::clone(&scheduler);
            let (killed, stopped_at) = (process.killed, process.stopped_at);
            scope.spawn(move || {
                let place = Place {
                    scheduler,
                    number,
                    began,
                    ahead: clock.ahead,
                    killed,
                    stopped_at,
                    died: Cell::new(None),
                    is_in_doubt: Cell::new(false),
                    points: RefCell::default(),
                };
                place.live(process.work)
            })
        });
        let threads: Vec<_> = threads.collect();
        let ended = threads.into_iter().map(thread::ScopedJoinHandle::join);
        let ended = ended.map(|ended| ended.unwrap_or_else(|bug| panic::resume_unwind(bug)));
        ended.collect()
    });
    let passed = scheduler.state().passed;
    (passed, ended)
}

struct Scheduler {
    state: Mutex<State>,
    /// One for each process.
    turns: Vec<Condvar>,
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
        let Some((at, next)) = next else { return };
        (state.passed, state.running) = (at, next);
        if next == number {
            return;
        }
        self.turns[next].notify_one();
        if wake.is_some() {
            drop(self.await_turn(state, number));
        }
    }

    fn await_turn<'a>(&self, state: MutexGuard<'a, State>, number: usize) -> MutexGuard<'a, State> {
        let turn = self.turns[number].wait_while(state, |state| state.running != number);
        turn.expect("nobody panics with it")
    }
}

thread_local! {
    static HERE: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

fn here() -> Rc<Place> {
    let here = HERE.with_borrow(Clone::clone);
    here.expect("it is asked in a simulated process")
}

/// Which of the processes this is.
pub fn number() -> usize {
    here().number
}

/// One of so many.
pub fn pick(count: usize) -> usize {
    here().pick(count)
}

/// How much time has passed.
pub fn passed() -> Duration {
    here().scheduler.state().passed
}

/// What a clock shows that is right.
pub fn now() -> Timestamp {
    began() + passed()
}

/// Lets so much time pass, told to stop or not.
pub fn pass(duration: Duration) {
    here().wait(duration);
}

/// Lets so much time pass at most, and less where the process is let go `grace` after it was told
/// to stop. False then.
pub fn pass_within(duration: Duration, grace: Duration) -> bool {
    let here = here();
    let ends = here.stopped_at.saturating_add(grace);
    let left = ends.saturating_sub(here.scheduler.state().passed);
    here.wait(duration.min(left));
    duration < left
}

/// What one process sees of the scheduler.
struct Place {
    scheduler: Arc<Scheduler>,
    number: usize,
    began: Instant,
    ahead: Duration,
    killed: Kill,
    stopped_at: Duration,
    /// Where it was killed.
    died: Cell<Option<&'static str>>,
    is_in_doubt: Cell<bool>,
    points: RefCell<BTreeMap<&'static str, usize>>,
}

impl Place {
    fn live(self, work: impl FnOnce()) -> Ended {
        let (scheduler, number) = (Arc::clone(&self.scheduler), self.number);
        let place = Rc::new(self);
        drop(scheduler.await_turn(scheduler.state(), number));
        HERE.set(Some(Rc::clone(&place)));
        let simulation = Rc::clone(&place) as Rc<dyn Simulation>;
        let ended = panic::catch_unwind(AssertUnwindSafe(|| simulated(simulation, work)));
        HERE.set(None);
        let stopped = place.is_told_to_stop();
        scheduler.hand_over(number, None);
        match ended {
            Err(bug) if !bug.is::<Killed>() => panic::resume_unwind(bug),
            Ok(()) | Err(_) => {}
        }
        Ended {
            killed: place.died.get(),
            stopped,
            in_doubt: place.died.get().is_some() && place.is_in_doubt.get(),
            points: place.points.take(),
        }
    }

    fn wait(&self, duration: Duration) {
        if thread::panicking() {
            return;
        }
        self.stay_dead();
        let wake = self.scheduler.state().passed.saturating_add(duration);
        let end = match self.killed {
            Kill::At(end) => end,
            Kill::Never | Kill::Point(_) | Kill::Named(..) => Duration::MAX,
        };
        let end_here = end.max(self.scheduler.state().passed);
        self.scheduler
            .hand_over(self.number, Some(wake.min(end_here)));
        if wake > end {
            self.die("wait");
        }
    }

    fn die(&self, at: &'static str) {
        self.died.set(Some(at));
        panic::resume_unwind(Box::new(Killed));
    }

    /// What ends it may have been held up on its way, as by the database's code.
    fn stay_dead(&self) {
        if let Some(at) = self.died.get() {
            self.die(at);
        }
    }
}

impl Simulation for Place {
    fn now(&self) -> Instant {
        self.began + self.scheduler.state().passed
    }

    fn timestamp(&self) -> Timestamp {
        began() + self.scheduler.state().passed + self.ahead
    }

    fn uptime(&self) -> Duration {
        self.scheduler.state().passed
    }

    fn sleep(&self, duration: Duration) {
        let duration = if duration < SHORTEST { LOOK } else { duration };
        let left = self
            .stopped_at
            .saturating_sub(self.scheduler.state().passed);
        self.wait(duration.min(left));
    }

    fn is_told_to_stop(&self) -> bool {
        self.scheduler.state().passed >= self.stopped_at
    }

    fn pick(&self, count: usize) -> usize {
        let mut state = self.scheduler.state();
        usize::try_from(mixed(&mut state.random) % count as u64).expect("below count")
    }

    fn point(&self, what: &'static str) {
        if thread::panicking() {
            return;
        }
        self.stay_dead();
        match what {
            "stamped" => self.is_in_doubt.set(true),
            "answered" => self.is_in_doubt.set(false),
            _ => {}
        }
        let mut points = self.points.borrow_mut();
        let here = points.entry(what).or_default();
        *here += 1;
        let here = *here;
        let all: usize = points.values().sum();
        drop(points);
        let dies = match self.killed {
            Kill::Point(number) => number == all,
            Kill::Named(name, number) => name == what && number == here,
            Kill::Never | Kill::At(_) => false,
        };
        if dies {
            self.die(what);
        }
    }
}

/// The next number of this sequence: splitmix64.
pub fn mixed(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// When every history begins, by the wall clock.
pub fn began() -> Timestamp {
    "2026-10-01T17:01:00Z".parse().expect("a time")
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
