//! A small simulated world: whole programs, each a simulated process with the real store on a disk,
//! against the stand-in's own vendors behind a network that is late, loses requests, drops answers,
//! and lets something in between answer; and they are killed. Every history is given by its seed.
//!
//! What must come out is what an undisturbed run gives: nothing lost, nothing twice.

use std::io::Cursor;
use std::panic;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use quotion::app::{self, Streams};
use quotion::cli::Args;
use quotion::config::Environment;
use quotion::http::{Agent, Method, NoAnswer, Outgoing, Received};
use quotion::time;

use crate::harness::sample;
use crate::simulation::{self, Process};
use crate::standin::http::{Request, Response};
use crate::standin::{CLIENTS_DATABASE, NOTION_KEY, QUO_KEY, World, notion, quo, render};
use crate::support::{canonical_text, redelivered};

/// A call with all that belongs to it, of one client, and texts of two.
const EVENTS: [&str; 6] = [
    "legacy-v4.call.completed.answered",
    "legacy-v4.call.recording.completed",
    "legacy-v4.call.summary.completed",
    "legacy-v4.call.transcript.completed",
    "legacy-v4.message.received",
    "v2026-03-30.message.received.no-contact",
];
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Longest that a write is under way: within the 60 s of `silence`.
const LONGEST: Duration = Duration::from_secs(55);

/// What the network does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives, and the answer comes back.
    Answered,
    /// It never arrives.
    Lost,
    /// It arrives, and the connection breaks before the answer.
    Dropped,
    /// It arrives, and something in between answers.
    Gateway,
    /// The connection breaks, and it arrives much later.
    Late,
}

/// A request on its way.
struct Sent {
    number: usize,
    arrives: Timestamp,
    to_notion: bool,
    request: Request,
}

#[derive(Default)]
struct Way {
    sent: Vec<Sent>,
    answered: Vec<(usize, Response)>,
    count: usize,
}

struct Network {
    world: Mutex<World>,
    way: Mutex<Way>,
    /// The share of requests to Notion that meet with something.
    troubled: f64,
}

impl Network {
    fn new(troubled: f64) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(World::default_demo()),
            way: Mutex::default(),
            troubled,
        })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics with it")
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().expect("nobody panics with it")
    }

    fn agent(self: &Arc<Self>) -> Agent {
        let network = Arc::clone(self);
        Agent::simulated(move |outgoing| network.exchange(outgoing))
    }

    fn exchange(&self, outgoing: &Outgoing) -> Result<Received, NoAnswer> {
        let (to_notion, request) = addressed(outgoing);
        let fate = if to_notion {
            self.fate()
        } else {
            Fate::Answered
        };
        let there = between(10 * MS, 400 * MS).min(outgoing.time);
        let delay = match fate {
            Fate::Late => between(SECOND, LONGEST),
            Fate::Answered | Fate::Lost | Fate::Dropped | Fate::Gateway => there,
        };
        let number = (fate != Fate::Lost).then(|| self.send(delay, to_notion, request));
        // A process that is killed here has sent it all the same.
        time::sleep(there);
        self.arrive();
        let answer = number.and_then(|number| self.answer(number));
        time::sleep(between(10 * MS, 400 * MS));
        match (fate, answer) {
            (Fate::Answered, Some(response)) => Ok(Received {
                status: response.status,
                headers: response.headers,
                body: response.body,
                flaw: None,
            }),
            (Fate::Gateway, _) => Ok(Received {
                status: 502,
                headers: vec![("content-type".into(), "text/html".into())],
                body: b"<html>Bad Gateway</html>".to_vec(),
                flaw: None,
            }),
            _ => Err(NoAnswer::Sent("connection reset by peer".into())),
        }
    }

    fn fate(&self) -> Fate {
        let dice = time::chance();
        let fates = [Fate::Lost, Fate::Dropped, Fate::Gateway, Fate::Late];
        let shares = [0.25, 0.5, 0.75, 1.0].map(|share| share * self.troubled);
        let mut met = shares.into_iter().zip(fates);
        met.find(|(share, _)| dice < *share)
            .map_or(Fate::Answered, |(_, fate)| fate)
    }

    fn send(&self, delay: Duration, to_notion: bool, request: Request) -> usize {
        let mut way = self.way();
        way.count += 1;
        let number = way.count;
        way.sent.push(Sent {
            number,
            arrives: time::timestamp() + delay,
            to_notion,
            request,
        });
        number
    }

    /// Lets the vendors do what has arrived by now, each at its moment.
    fn arrive(&self) {
        let now = time::timestamp();
        let mut way = self.way();
        way.sent.sort_by_key(|sent| (sent.arrives, sent.number));
        let later = way.sent.partition_point(|sent| sent.arrives <= now);
        let due: Vec<Sent> = way.sent.drain(..later).collect();
        for sent in due {
            let response = self.respond(&sent);
            way.answered.push((sent.number, response));
        }
    }

    fn respond(&self, sent: &Sent) -> Response {
        let mut world = self.world();
        world.notion.clock = Some(sent.arrives);
        if !sent.to_notion {
            return quo::handle(&mut world, &sent.request);
        }
        let id = world.notion.next_uuid();
        let response = notion::handle(&mut world.notion, &sent.request);
        notion::finish(response, &id)
    }

    fn answer(&self, number: usize) -> Option<Response> {
        let mut way = self.way();
        let place = way.answered.iter().position(|(of, _)| *of == number)?;
        Some(way.answered.swap_remove(place).1)
    }

    /// What a person sees, whatever its order.
    fn seen(&self) -> String {
        canonical_text(&render::render(&self.world()))
    }
}

/// Whom a request is for, and what arrives there.
fn addressed(outgoing: &Outgoing) -> (bool, Request) {
    let rest = outgoing.url.strip_prefix("https://").expect("https");
    let (host, rest) = rest.split_once('/').expect("a path");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let to_notion = host == "notion.example";
    let key = if to_notion {
        format!("Bearer {NOTION_KEY}")
    } else {
        QUO_KEY.to_owned()
    };
    let mut headers = vec![("authorization".to_owned(), key)];
    let own = outgoing.headers.iter();
    headers.extend(own.map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())));
    if !outgoing.body.is_empty() {
        headers.push(("content-type".into(), "application/json".into()));
    }
    let method = match outgoing.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let request = Request {
        method: method.into(),
        path: format!("/{path}"),
        query: query.into(),
        headers,
        body: outgoing.body.to_vec(),
    };
    (to_notion, request)
}

fn between(low: Duration, high: Duration) -> Duration {
    low + high.saturating_sub(low).mul_f64(time::chance())
}

/// A run of the whole program in this folder.
fn program(network: &Arc<Network>, dir: &Path, args: &[&str], input: Vec<u8>) -> u8 {
    let dir = dir.to_str().expect("a path");
    let args = [&["quotion", "--dir", dir], args].concat();
    let args = Args::try_parse_from(args).expect("a command line");
    let variables = [
        ("NOTION_API_KEY", NOTION_KEY),
        ("NOTION_API_BASE", "https://notion.example/v1"),
        ("NOTION_CLIENTS_DATABASE_ID", CLIENTS_DATABASE),
        ("OPENPHONE_API_KEY", QUO_KEY),
        ("OPENPHONE_API_BASE", "https://quo.example/v1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let agent = network.agent();
    let mut output = Vec::new();
    let streams = Streams {
        input: Box::new(Cursor::new(input)),
        input_is_terminal: false,
        output: &mut output,
        output_is_terminal: false,
        logs_in_output: false,
        agent: &|_| agent.clone(),
    };
    app::run(&args, Environment::given(variables), streams)
}

/// Runs `processes` in a world of their own and then, undisturbed, `replay` until nothing waits.
/// Returns what a person sees.
fn history(seed: u64, troubled: f64, inputs: Vec<Vec<u8>>, kills: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let network = Network::new(troubled);
    let dir = folder.path();
    let unanswered = Mutex::new(inputs.clone());
    let live = inputs.into_iter().enumerate().map(|(number, input)| {
        let (network, unanswered) = (&network, &unanswered);
        let process = Process::new(move || {
            time::sleep(between(Duration::ZERO, 2 * SECOND));
            program(network, dir, &[], input);
            unanswered.lock().expect("nobody panics with it")[number].clear();
        });
        if kills && number < 2 {
            let at = 1 + (seed.wrapping_mul(7919) + number as u64 * 104_729) % 8_000;
            process.killed_at(Duration::from_millis(at))
        } else {
            process
        }
    });
    let passed = simulation::run(seed, live.collect());
    let calm = Arc::new(Network {
        world: Mutex::new(network.world().clone()),
        way: Mutex::new(std::mem::take(&mut network.way())),
        troubled: 0.0,
    });
    let mend = Process::new(|| {
        time::sleep(passed);
        // Who had no answer sends again.
        let unanswered = unanswered.lock().expect("nobody panics with it");
        for input in unanswered.iter().filter(|input| !input.is_empty()) {
            program(&calm, dir, &[], input.clone());
        }
        for _ in 0..12 {
            // Longer than the longest wait for another try of one that has failed twice.
            time::sleep(2 * LONGEST);
            program(&calm, dir, &["replay", "--now"], Vec::new());
        }
    });
    simulation::run(seed, vec![mend]);
    calm.seen()
}

/// The events of a process: some of them, in any order, some of them twice.
fn inputs(seed: u64) -> Vec<Vec<u8>> {
    let mut random = seed;
    let mut next = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).expect("31 bits") % below
    };
    let mut inputs: Vec<Vec<u8>> = vec![Vec::new(); 3];
    let mut order: Vec<usize> = (0..EVENTS.len()).collect();
    for place in (1..order.len()).rev() {
        order.swap(place, next(place + 1));
    }
    for index in order {
        inputs[next(3)].extend(sample(EVENTS[index]));
        if next(3) == 0 {
            inputs[next(3)].extend(redelivered(EVENTS[index], index));
        }
    }
    inputs
}

fn all_at_once() -> Vec<Vec<u8>> {
    vec![EVENTS.iter().flat_map(|name| sample(name)).collect()]
}

#[test]
fn undisturbed_world_is_what_the_binary_makes() {
    let user = crate::support::user(&crate::support::sqlite, "[notion]\nsettle = \"1ms\"\n");
    user.run::<&str>(&[], &all_at_once().concat());
    user.run(&["replay", "--now"], b"");
    assert_eq!(
        history(1, 0.0, all_at_once(), false),
        crate::support::canonical(&user)
    );
}

#[test]
fn nothing_is_lost_or_doubled_in_any_history() {
    let want = history(1, 0.0, all_at_once(), false);
    let seeds = std::env::var("QUOTION_TEST_HISTORIES").ok();
    let seeds: u64 = seeds.and_then(|count| count.parse().ok()).unwrap_or(40);
    let mut wrong = Vec::new();
    for seed in 0..seeds {
        let (troubled, kills) = ([0.0, 0.08, 0.25][(seed % 3) as usize], seed % 2 == 0);
        let seen = panic::catch_unwind(|| history(seed, troubled, inputs(seed), kills));
        match seen {
            Ok(seen) if seen == want => {}
            Ok(seen) => wrong.push((seed, seen)),
            Err(_) => wrong.push((seed, "a panic".to_owned())),
        }
    }
    let seeds: Vec<u64> = wrong.iter().map(|(seed, _)| *seed).collect();
    assert!(
        wrong.is_empty(),
        "seeds {seeds:?}\nwant {want}\nseed {} {}",
        wrong[0].0,
        wrong[0].1
    );
}
