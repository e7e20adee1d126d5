//! One history: drawn from its seed, lived through, and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use quotion::app::{self, Streams};
use quotion::cli::Args;
use quotion::config::Environment;
use quotion::store::{Mode, Place, Store};
use quotion::time;
use rusqlite::Connection;
use serde_json::Value as Json;

use super::events::{self, CASTS};
use super::judge;
use super::log::Log;
use super::network::{LONGEST, Network};
use super::people::{self, ACTS, Act, Hands, Scene};
use super::seen::{self, SeenPage};
use crate::simulation::{self, Clock, Ended, Kill, Process, mixed};
use crate::standin::{CLIENTS_DATABASE, NOTION_KEY, QUO_KEY, render};

/// What is written is seen after so long.
const SETTLE: Duration = Duration::from_secs(10);
/// After so long nothing is under way any more, and all of it is seen.
const REST: Duration = Duration::from_secs(80);
/// Most deliveries of a history.
const MOST: usize = 12;
/// Most calm replays until nothing may wait any more.
const REPLAYS: usize = 12;
/// An older copy of the store is put back too, once the program notices that.
const RESTORES: bool = false;

/// Where processes are killed by name: most often where it matters most.
const KILLS: [&str; 20] = [
    "stamped", "stamped", "stamped", "stamped", "sent", "sent", "sent", "sent", "sent", "answered",
    "stamp", "learn", "note", "note", "recall", "finish", "postpone", "forget", "receive", "lock",
];
/// All points, each of which some history has to be killed at.
pub const POINTS: [&str; 13] = [
    "receive", "lock", "recall", "stamp", "stamped", "sent", "answered", "note", "learn", "forget",
    "finish", "postpone", "wait",
];

/// A draw of numbers.
pub struct Dice(u64);

impl Dice {
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(mixed(&mut self.0) % count as u64).expect("below count")
    }

    fn of(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, below: usize) -> Duration {
        Duration::from_millis(self.below(below) as u64)
    }
}

struct Delivery {
    event: usize,
    id: String,
}

/// What is done between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Person(Act),
    StoreLost,
    StoreRestored,
    /// The machine's clock is set ahead.
    ClockSet,
}

struct Round {
    gap: Duration,
    between: Between,
    choice: usize,
    processes: Vec<Planned>,
    /// When the lock files are removed under the processes.
    locks_lost: Option<Duration>,
}

struct Planned {
    begins: Duration,
    deliveries: Vec<usize>,
    killed: Kill,
    stopped_at: Duration,
}

/// A history as it is drawn.
pub struct Plan {
    seed: u64,
    troubled: f64,
    cast: usize,
    setting: usize,
    deliveries: Vec<Delivery>,
    rounds: Vec<Round>,
}

impl Plan {
    pub fn drawn(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let troubled = [0.0, 0.05, 0.15, 0.3][dice.below(4)];
        let cast = dice.below(CASTS.len());
        let setting = [0, 0, 0, 1, 2][dice.below(5)];
        let mut deliveries: Vec<Delivery> = Vec::new();
        for event in CASTS[cast] {
            let id = events::all()[*event].id.clone();
            deliveries.push(Delivery { event: *event, id });
        }
        for number in 0..deliveries.len() {
            if deliveries.len() < MOST && dice.of(35) {
                let Delivery { event, id } = &deliveries[number];
                let another = format!("EV8{number:031}");
                let id = if dice.of(50) { id.clone() } else { another };
                let event = *event;
                deliveries.push(Delivery { event, id });
            }
        }
        for place in (1..deliveries.len()).rev() {
            deliveries.swap(place, dice.below(place + 1));
        }
        let rounds = rounds(&mut dice, deliveries.len());
        Self {
            seed,
            troubled,
            cast,
            setting,
            deliveries,
            rounds,
        }
    }

    /// The same without any trouble, in one process.
    pub fn undisturbed(cast: usize, setting: usize) -> Self {
        let deliveries: Vec<Delivery> = CASTS[cast]
            .iter()
            .map(|event| Delivery {
                event: *event,
                id: events::all()[*event].id.clone(),
            })
            .collect();
        let process = Planned {
            begins: Duration::ZERO,
            deliveries: (0..deliveries.len()).collect(),
            killed: Kill::Never,
            stopped_at: Duration::MAX,
        };
        let round = Round {
            gap: Duration::ZERO,
            between: Between::Nothing,
            choice: 0,
            processes: vec![process],
            locks_lost: None,
        };
        Self {
            seed: 0,
            troubled: 0.0,
            cast,
            setting,
            deliveries,
            rounds: vec![round],
        }
    }
}

fn rounds(dice: &mut Dice, deliveries: usize) -> Vec<Round> {
    let count = 1 + dice.below(3);
    let mut rounds: Vec<Round> = (0..count).map(|number| round(dice, number)).collect();
    for delivery in 0..deliveries {
        let round = dice.below(count);
        let processes = &mut rounds[round].processes;
        let process = dice.below(processes.len());
        processes[process].deliveries.push(delivery);
    }
    rounds
}

fn round(dice: &mut Dice, number: usize) -> Round {
    let between = match (number, dice.below(10)) {
        (0, _) | (_, 0..2) => Between::Nothing,
        (_, 2..6) => Between::Person(ACTS[dice.below(ACTS.len())]),
        (_, 6) => Between::ClockSet,
        (_, 7) if RESTORES => Between::StoreRestored,
        _ => Between::StoreLost,
    };
    let gap = match between {
        Between::Nothing | Between::ClockSet => dice.millis(90_000),
        Between::Person(_) => SETTLE + dice.millis(60_000),
        Between::StoreLost | Between::StoreRestored => REST + dice.millis(60_000),
    };
    let is_over = dice.of(8);
    let processes = [1, 2, 2, 3][dice.below(4)];
    let processes = (0..processes).map(|_| planned(dice)).collect();
    Round {
        gap: if number == 0 { Duration::ZERO } else { gap },
        between,
        choice: dice.below(1000),
        processes,
        locks_lost: is_over.then(|| dice.millis(6_000)),
    }
}

fn planned(dice: &mut Dice) -> Planned {
    let killed = match dice.below(10) {
        0 => Kill::At(dice.millis(8_000)),
        1 => Kill::Point(1 + dice.below(60)),
        2..7 => {
            let nth = [1, 1, 1, 2, 3][dice.below(5)];
            Kill::Named(KILLS[dice.below(KILLS.len())], nth)
        }
        _ => Kill::Never,
    };
    let is_stopped = dice.of(10);
    Planned {
        begins: dice.millis(2_000),
        deliveries: Vec::new(),
        killed,
        stopped_at: if is_stopped {
            dice.millis(15_000)
        } else {
            Duration::MAX
        },
    }
}

/// What has come of a history.
pub struct Lived {
    /// What is wrong with it; nothing, as a rule.
    pub wrong: Vec<String>,
    pub log: Arc<Log>,
    /// True if a process was killed between a stamp and its answer.
    pub in_doubt: bool,
    pub pages: Vec<SeenPage>,
}

/// A history as it is lived through.
struct History {
    plan: Plan,
    network: Arc<Network>,
    log: Arc<Log>,
    dir: tempfile::TempDir,
    passed: Duration,
    /// How far ahead the machine's clock is.
    ahead: Duration,
    /// Ids of events that were answered with a line.
    answered: Mutex<BTreeSet<String>>,
    /// Activities of which a line has said that they stand there.
    told: Arc<Mutex<BTreeSet<&'static str>>>,
    hands: Hands,
    wrong: Arc<Mutex<Vec<String>>>,
    store_lost: bool,
    in_doubt: bool,
    copy: Option<Vec<u8>>,
}

/// Lives through it.
pub fn live(plan: Plan) -> Lived {
    let log = Arc::new(Log::default());
    let mut world = events::world();
    let edited = people::setting(&mut world, plan.setting);
    let network = Network::new(world, Arc::clone(&log));
    let is_lost =
        |round: &Round| matches!(round.between, Between::StoreLost | Between::StoreRestored);
    network.appends_move_dates(plan.rounds.iter().any(is_lost));
    let mut history = History {
        plan,
        network,
        log,
        dir: folder(),
        passed: Duration::ZERO,
        ahead: Duration::ZERO,
        answered: Mutex::default(),
        told: Arc::default(),
        hands: Hands {
            edited,
            ..Hands::default()
        },
        wrong: Arc::default(),
        store_lost: false,
        in_doubt: false,
        copy: None,
    };
    history.rounds();
    history.calm();
    history.end()
}

/// In memory where that can be.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.or_else(|_| tempfile::tempdir()).expect("a folder")
}

impl History {
    fn now(&self) -> Timestamp {
        simulation::began() + self.passed
    }

    fn clock(&self) -> Clock {
        let (passed, ahead) = (self.passed, self.ahead);
        Clock { passed, ahead }
    }

    fn say(&self, what: impl std::fmt::Display) {
        let at = self.passed.as_secs_f64();
        self.log.line(format_args!("{at:8.3} {what}"));
    }

    fn rounds(&mut self) {
        for number in 0..self.plan.rounds.len() {
            self.passed += self.plan.rounds[number].gap;
            self.network.arrive(self.now());
            self.between(number);
            self.network.trouble(self.plan.troubled);
            self.run(number);
            if self.copy.is_none() {
                self.copy = fs::read(self.store()).ok();
            }
        }
    }

    fn store(&self) -> std::path::PathBuf {
        self.dir.path().join("quotion.db")
    }

    fn between(&mut self, number: usize) {
        let Round {
            between, choice, ..
        } = self.plan.rounds[number];
        match between {
            Between::Nothing => {}
            Between::ClockSet => {
                self.ahead += Duration::from_secs(choice as u64 * 4);
                self.log.count("the clock is set");
                self.say("the clock is set ahead");
            }
            Between::Person(act) => {
                let now = self.now();
                let known = self.known_entries();
                let is_quiet = !self.network.is_under_way();
                let mut world = self.network.world();
                let told = self.told.lock().expect("nobody panics with it");
                let scene = Scene {
                    notion: &mut world.notion,
                    now,
                    told: &told,
                    known: &known,
                    is_quiet,
                    choice,
                };
                if let Some(done) = people::act(act, scene, &mut self.hands) {
                    self.log.count(act.name());
                    let at = self.passed.as_secs_f64();
                    self.log.line(format_args!("{at:8.3} a person: {done}"));
                    drop((told, world));
                    self.passed += SETTLE;
                }
            }
            Between::StoreLost | Between::StoreRestored => {
                for file in ["quotion.db", "quotion.db-wal", "quotion.db-shm"] {
                    fs::remove_file(self.dir.path().join(file)).ok();
                }
                self.store_lost = true;
                self.log.count("the store is lost");
                self.say("the store is lost");
                if let (Between::StoreRestored, Some(copy)) = (between, &self.copy) {
                    fs::write(self.dir.path().join("copy"), copy).expect("a file");
                    fs::rename(self.dir.path().join("copy"), self.store()).expect("a file");
                    self.log.count("an older store is put back");
                    self.say("an older store is put back");
                }
            }
        }
    }

    /// Pages and activities of entries that the store knows.
    fn known_entries(&self) -> BTreeSet<(String, String)> {
        let Ok(store) = Connection::open(self.store()) else {
            return BTreeSet::new();
        };
        // Who does not know a page cannot know what stands there.
        let sql = "SELECT page_id, activity_id FROM entries UNION SELECT page_id, '' FROM pages";
        let Ok(mut statement) = store.prepare(sql) else {
            return BTreeSet::new();
        };
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("rows").map(|row| row.expect("a row")).collect()
    }

    fn run(&mut self, number: usize) {
        let round = &self.plan.rounds[number];
        let this: &Self = self;
        let mut processes: Vec<Process> = Vec::new();
        for (place, planned) in round.processes.iter().enumerate() {
            let mut input = self.deliveries(&planned.deliveries);
            // Who does not know what was kept sends all again.
            let lost = matches!(round.between, Between::StoreLost | Between::StoreRestored);
            if lost && place == 0 {
                let before = &self.plan.rounds[..number];
                let all = before.iter().flat_map(|round| &round.processes);
                let all: Vec<usize> = all.flat_map(|it| it.deliveries.clone()).collect();
                input.extend(self.deliveries(&all));
            }
            let replays = input.is_empty();
            let mut process = Process::new(move || {
                simulation::pass(planned.begins);
                if replays {
                    this.program(&["replay", "--now"], Vec::new());
                } else {
                    this.program(&[], input);
                }
            });
            process.killed = match planned.killed {
                Kill::At(at) => Kill::At(self.passed + at),
                kill @ (Kill::Never | Kill::Point(_) | Kill::Named(..)) => kill,
            };
            process.stopped_at = self.passed.saturating_add(planned.stopped_at);
            processes.push(process);
        }
        if let Some(at) = round.locks_lost {
            processes.push(Process::new(move || {
                simulation::pass(at);
                this.log.note(|| "the lock files are removed".to_owned());
                this.log.count("lock files are removed");
                fs::remove_dir_all(this.dir.path().join("quotion.locks")).ok();
            }));
        }
        let seed = self.plan.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9);
        let (passed, ended) = simulation::go_on(seed, self.clock(), processes);
        self.ended(passed, &ended);
    }

    fn ended(&mut self, passed: Duration, ended: &[Ended]) {
        self.passed = passed;
        for (number, ended) in ended.iter().enumerate() {
            for (point, times) in &ended.points {
                for _ in 0..*times {
                    self.log.count(point);
                }
            }
            if ended.stopped {
                self.log.count("a process is stopped");
                self.say(format_args!("p{number} was told to stop"));
            }
            if let Some(at) = ended.killed {
                self.log.count_kill(at);
                self.in_doubt |= ended.in_doubt;
                self.say(format_args!("p{number} was killed at {at:?}"));
            }
        }
    }

    fn deliveries(&self, places: &[usize]) -> Vec<u8> {
        let each = places.iter().map(|place| &self.plan.deliveries[*place]);
        let each = each.flat_map(|it| events::all()[it.event].delivery(&it.id));
        each.collect()
    }

    /// Who had no answer sends again; then what waits is tried again until nothing does.
    fn calm(&mut self) {
        self.network.trouble(0.0);
        let answered = self.answered.lock().expect("nobody panics with it").clone();
        let all = (0..self.plan.deliveries.len()).collect::<Vec<_>>();
        let is_open =
            |place: &usize| self.store_lost || !answered.contains(&self.plan.deliveries[*place].id);
        let open: Vec<usize> = all.into_iter().filter(is_open).collect();
        let input = self.deliveries(&open);
        if !input.is_empty() {
            self.say("calm; who had no answer sends again");
            self.alone(&[], input);
        }
        for _ in 0..REPLAYS {
            if self.waiting() == 0 {
                return;
            }
            // Longer than the longest wait for another try of one that has failed twice.
            self.passed += 2 * LONGEST;
            self.alone(&["replay", "--now"], Vec::new());
        }
        let waiting = self.waiting();
        self.blame(format!("{waiting} events are stuck"));
    }

    fn alone(&mut self, args: &[&str], input: Vec<u8>) {
        let this: &Self = self;
        let process = Process::new(move || this.program(args, input));
        let (passed, ended) = simulation::go_on(self.plan.seed, self.clock(), vec![process]);
        self.ended(passed, &ended);
    }

    fn waiting(&self) -> usize {
        let place = Place::File(self.store());
        let store = Store::open(&place, Mode::ReadWrite, time::timestamp).expect("the store");
        let backlog = store.backlog().expect("the inbox");
        let held: usize = backlog.held.iter().map(|held| held.events).sum();
        backlog.waiting + held + backlog.dead
    }

    fn blame(&self, what: String) {
        self.wrong.lock().expect("nobody panics with it").push(what);
    }

    /// A run of the whole program.
    fn program(&self, args: &[&str], input: Vec<u8>) {
        let dir = self.dir.path().to_str().expect("a path");
        let args = [&["quotion", "--dir", dir], args].concat();
        self.log.note(|| format!("begins: {}", args[3..].join(" ")));
        let args = Args::try_parse_from(args).expect("a command line");
        let variables = [
            ("NOTION_API_KEY", NOTION_KEY),
            ("NOTION_API_BASE", "https://notion.example/v1"),
            ("NOTION_CLIENTS_DATABASE_ID", CLIENTS_DATABASE),
            ("OPENPHONE_API_KEY", QUO_KEY),
            ("OPENPHONE_API_BASE", "https://quo.example/v1"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let agent = self.network.agent();
        let mut output = Lines {
            history: self,
            begun: Vec::new(),
        };
        let streams = Streams {
            input: Box::new(Cursor::new(input)),
            input_is_terminal: false,
            output: &mut output,
            output_is_terminal: false,
            logs_in_output: false,
            agent: &|_| agent.clone(),
        };
        let code = app::run(&args, Environment::given(variables), streams);
        self.log.note(|| format!("ends with {code}"));
    }

    /// A line that a process has written.
    fn line(&self, line: &Json) {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let (event, status) = (text("event_id"), text("status"));
        let error = line["error"]["message"].as_str().unwrap_or_default();
        let dir = self.dir.path().to_string_lossy();
        let error = error.replace(&*dir, "DIR");
        self.log.note(|| {
            let what = [&event, &status, &text("action"), &text("reason"), &error];
            format!("line: {}", what.map(|it| it.trim()).join(" "))
        });
        let id = event.clone();
        self.answered
            .lock()
            .expect("nobody panics with it")
            .insert(id);
        let activity = text("activity_id");
        let all = events::all().iter();
        let known = all.map(|it| it.activity).find(|it| *it == activity);
        let Some(activity) = known.filter(|_| status == "success") else {
            return;
        };
        let mut told = self.told.lock().expect("nobody panics with it");
        told.insert(activity);
        let world = self.network.world();
        for synced in line["synced"].as_array().into_iter().flatten() {
            let id = synced["notion_page_id"].as_str().unwrap_or_default();
            let page = world
                .notion
                .page(id)
                .map(|page| seen::page(&world.notion, page));
            let stands = page.is_some_and(|page| page.entries.contains_key(activity));
            let phone = synced["phone"].as_str().unwrap_or_default();
            let mut given = self.hands.given.values();
            if stands {
                continue;
            }
            let pages = seen::pages(&world.notion);
            let mut trashed = pages.iter().filter(|it| it.is_trashed);
            // An entry counts that stands on the page that was the client's.
            let is_hand = self.hands.has_touched(id, activity)
                || given.any(|cell| seen::holds(cell, phone))
                || trashed.any(|it| it.holds(phone) && it.entries.contains_key(activity));
            if !is_hand {
                self.blame(format!(
                    "{event}: the line says {activity} stands on {id:?}, and it does not"
                ));
            }
        }
    }

    fn end(self) -> Lived {
        let pages = seen::pages(&self.network.world().notion);
        let mut wrong = self.wrong.lock().expect("nobody panics with it").clone();
        if self.plan.seed != 0 {
            let case = judge::Case {
                cast: self.plan.cast,
                setting: self.plan.setting,
                pages: &pages,
                hands: &self.hands,
                store_lost: self.store_lost,
            };
            wrong.extend(judge::judge(&case));
        }
        if !wrong.is_empty() {
            self.log.line(render::render(&self.network.world()));
        }
        Lived {
            wrong,
            log: self.log,
            in_doubt: self.in_doubt,
            pages,
        }
    }
}

impl Hands {
    /// True if a person is why an entry may not stand there.
    fn has_touched(&self, page: &str, activity: &str) -> bool {
        let mut deleted = self.deleted.keys();
        deleted.any(|(of, entry)| of == page && *entry == activity)
            || self.given.contains_key(page)
            || self.trashed.contains(page)
    }
}

/// What a process writes, line by line.
struct Lines<'a> {
    history: &'a History,
    begun: Vec<u8>,
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.begun.extend(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.history.line(&serde_json::from_slice(&line)?);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What an undisturbed history makes of each cast in each setting.
pub fn wanted(cast: usize, setting: usize) -> Arc<Vec<SeenPage>> {
    type Known = Mutex<BTreeMap<(usize, usize), Arc<Vec<SeenPage>>>>;
    static KNOWN: Known = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().expect("nobody panics with it");
    if let Some(pages) = known().get(&(cast, setting)) {
        return Arc::clone(pages);
    }
    let lived = live(Plan::undisturbed(cast, setting));
    assert!(
        lived.wrong.is_empty(),
        "{:?}\n{}",
        lived.wrong,
        lived.log.text()
    );
    let pages = Arc::new(lived.pages);
    known().insert((cast, setting), Arc::clone(&pages));
    pages
}
