//! What lies between a process and the vendors: requests are lost, come late, or are answered by
//! something in between; and what a vendor shows may be a moment old.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use quotion::http::{Agent, Method, NoAnswer, Outgoing, Received};
use quotion::time;
use quotion::time::simulation::point;

use super::log::Log;
use crate::simulation;
use crate::standin::http::{Request, Response};
use crate::standin::world::NotionState;
use crate::standin::{NOTION_KEY, QUO_KEY, World, notion, quo};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Longest that a write is under way: within the 60 s of `silence`.
pub const LONGEST: Duration = Duration::from_secs(55);
/// A read shows what is older: within the 10 s of `settle`.
const OLDEST: Duration = Duration::from_millis(9_500);
/// Values too may be old: not until a date that an answer has taught is kept against a read of less
/// than `settle` later. What is on a page, and whether it is found, is old all the same.
const OLD_VALUES: bool = false;
/// What is being sent has so long once the process is told to stop.
const GRACE: Duration = Duration::from_millis(3_500);

/// What the network does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and the answer comes back.
    Answered,
    /// It never arrives.
    Lost,
    /// It arrives, and the connection breaks before the answer.
    Dropped,
    /// The connection breaks, and it arrives much later.
    Late,
    /// It is worked on for long, and the answer comes then.
    Slow,
    /// Something in between answers with a page of HTML.
    Gateway,
    /// Something in between answers with a 200 of nothing.
    Empty,
    /// Something in between answers with a 200 of `{}`.
    Braces,
    /// The API refuses it, this once.
    Refused,
    /// The API has had enough for some seconds.
    Limited,
    /// The API says that it cannot, and has saved nothing.
    Unsaved,
    /// The API says that it has saved it, perhaps after long, and cannot say more.
    Saved,
}

/// All but the first are trouble.
pub const FATES: [Fate; 12] = [
    Fate::Answered,
    Fate::Lost,
    Fate::Dropped,
    Fate::Late,
    Fate::Slow,
    Fate::Gateway,
    Fate::Empty,
    Fate::Braces,
    Fate::Refused,
    Fate::Limited,
    Fate::Unsaved,
    Fate::Saved,
];

impl Fate {
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Lost => "lost",
            Self::Dropped => "dropped",
            Self::Late => "late",
            Self::Slow => "slow",
            Self::Gateway => "502 HTML",
            Self::Empty => "200 empty",
            Self::Braces => "200 {}",
            Self::Refused => "400",
            Self::Limited => "429",
            Self::Unsaved => "503 unsaved",
            Self::Saved => "503 saved",
        }
    }

    /// When the request arrives, if it does. `there` is what the way takes.
    fn delay(self, there: Duration) -> Option<Duration> {
        let late = || between(SECOND, LONGEST);
        match self {
            Self::Answered | Self::Dropped => Some(there),
            Self::Lost | Self::Refused | Self::Limited | Self::Unsaved => None,
            Self::Late | Self::Slow => Some(late()),
            Self::Saved => Some(if time::chance() < 0.5 { there } else { late() }),
            Self::Gateway | Self::Empty | Self::Braces => match time::chance() {
                0.0..0.3 => None,
                0.3..0.6 => Some(there),
                _ => Some(late()),
            },
        }
    }
}

/// A request on its way.
struct Sent {
    number: usize,
    arrives: Timestamp,
    to_notion: bool,
    request: Request,
    /// A read that shows what was so long before.
    age: Option<Duration>,
}

#[derive(Default)]
struct Way {
    sent: Vec<Sent>,
    answered: Vec<(usize, Response)>,
    count: usize,
}

/// The vendors, and the way there.
pub struct Network {
    world: Mutex<World>,
    way: Mutex<Way>,
    /// Notion as it was, since when.
    before: Mutex<VecDeque<(Timestamp, Arc<NotionState>)>>,
    /// The share of requests to Notion that meet with something, and of reads that are old.
    troubled: Mutex<f64>,
    /// True where an append moves the time of its page's last edit. Where it does not, and a
    /// process is killed between an append and the date beside it, only its store knows of it.
    moves_dates: AtomicBool,
    pub log: Arc<Log>,
}

impl Network {
    pub fn new(world: World, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            way: Mutex::default(),
            before: Mutex::default(),
            troubled: Mutex::new(0.0),
            moves_dates: AtomicBool::default(),
            log,
        })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics with it")
    }

    pub fn trouble(&self, share: f64) {
        *self.troubled.lock().expect("nobody panics with it") = share;
    }

    pub fn appends_move_dates(&self, they_do: bool) {
        self.moves_dates.store(they_do, Ordering::SeqCst);
    }

    fn troubled(&self) -> f64 {
        *self.troubled.lock().expect("nobody panics with it")
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().expect("nobody panics with it")
    }

    pub fn agent(self: &Arc<Self>) -> Agent {
        let network = Arc::clone(self);
        Agent::simulated(move |outgoing| network.exchange(outgoing))
    }

    /// True while something may still arrive.
    pub fn is_under_way(&self) -> bool {
        !self.way().sent.is_empty()
    }

    fn exchange(&self, outgoing: &Outgoing) -> Result<Received, NoAnswer> {
        let (to_notion, request) = addressed(outgoing);
        let is_write = to_notion && !is_read(&request);
        let fate = self.fate(to_notion, &request);
        let there = between(10 * MS, 400 * MS);
        let delay = fate.delay(there);
        let what = format!("{} {}", request.method, request.path);
        let arrives =
            delay.map_or_else(String::new, |delay| format!(", arrives after {delay:.1?}"));
        let told = if fate == Fate::Answered {
            String::new()
        } else {
            arrives
        };
        self.log.note(|| format!("{what}: {}{told}", fate.name()));
        self.log.count(fate.name());
        let sent = request.clone();
        let number = delay.map(|delay| self.send(delay, to_notion, request));
        if is_write {
            point("sent");
        }
        let takes = match (fate, delay) {
            (Fate::Slow | Fate::Saved, Some(delay)) => delay,
            _ => there,
        };
        let back = between(10 * MS, 400 * MS);
        let is_heard = takes.saturating_add(back) < outgoing.time;
        let waits = takes.saturating_add(back).min(outgoing.time);
        let is_heard = simulation::pass_within(waits, GRACE) && is_heard;
        self.arrive(simulation::now());
        let answer = number.and_then(|number| self.answer(number));
        if is_write {
            point("answered");
        }
        if !is_heard {
            self.log.note(|| format!("{what}: let go"));
            return Err(NoAnswer::Sent("no answer came in time".into()));
        }
        answered(fate, answer, &sent)
    }

    fn fate(&self, to_notion: bool, request: &Request) -> Fate {
        // Most of it happens to writes, and that is where it matters.
        let share = if is_read(request) { 0.7 } else { 2.0 };
        let (troubled, dice) = (self.troubled() * share, time::chance());
        if !to_notion || dice >= troubled {
            return Fate::Answered;
        }
        let fate = FATES[1 + simulation::pick(FATES.len() - 1)];
        // Of values a refusal is believed, and they are left out.
        let refuses_one = !is_read(request) && request.path.starts_with("/v1/pages");
        if fate == Fate::Refused && refuses_one {
            return Fate::Limited;
        }
        fate
    }

    fn send(&self, delay: Duration, to_notion: bool, request: Request) -> usize {
        let mut way = self.way();
        way.count += 1;
        let number = way.count;
        let is_old = is_read(&request) && time::chance() < 2.0 * self.troubled();
        let age = is_old.then(|| between(Duration::ZERO, OLDEST));
        way.sent.push(Sent {
            age,
            number,
            arrives: simulation::now() + delay,
            to_notion,
            request,
        });
        number
    }

    /// Lets the vendors do what has arrived by now, each at its moment.
    pub fn arrive(&self, now: Timestamp) {
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
        if let Some(age) = sent.age
            && let Some(before) = self.as_it_was(sent.arrives, age)
        {
            self.log
                .line(format_args!("         the answer of that is {age:.1?} old"));
            self.log.count("an old read");
            let mut before = NotionState::clone(&before);
            if !OLD_VALUES {
                for page in &mut before.pages {
                    let now = world.notion.page(&page.id).expect("it is still there");
                    page.values.clone_from(&now.values);
                    page.edited = now.edited;
                }
            }
            before.clock = Some(sent.arrives);
            return notion::finish(notion::handle(&mut before, &sent.request), &id);
        }
        let before = (!is_read(&sent.request) && self.troubled() > 0.0)
            .then(|| Arc::new(world.notion.clone()));
        let response = notion::handle(&mut world.notion, &sent.request);
        if response.status == 200 && self.moves_dates.load(Ordering::SeqCst) {
            move_date(&mut world.notion, &sent.request);
        }
        if let Some(before) = before {
            let mut all = self.before.lock().expect("nobody panics with it");
            all.push_back((sent.arrives, before));
            while all
                .front()
                .is_some_and(|(until, _)| *until + OLDEST < sent.arrives)
            {
                all.pop_front();
            }
        }
        notion::finish(response, &id)
    }

    /// What stood there so long ago, if it was something else.
    fn as_it_was(&self, now: Timestamp, age: Duration) -> Option<Arc<NotionState>> {
        let all = self.before.lock().expect("nobody panics with it");
        let mut later = all.iter().filter(|(until, _)| *until > now - age);
        later.next().map(|(_, notion)| Arc::clone(notion))
    }

    fn answer(&self, number: usize) -> Option<Response> {
        let mut way = self.way();
        let place = way.answered.iter().position(|(of, _)| *of == number)?;
        Some(way.answered.swap_remove(place).1)
    }
}

/// The page to which something was appended is edited by that.
fn move_date(notion: &mut NotionState, request: &Request) {
    let path = request.path.strip_prefix("/v1/blocks/");
    let parent = path.and_then(|path| path.strip_suffix("/children"));
    let (Some(parent), false) = (parent, is_read(request)) else {
        return;
    };
    let now = notion.now();
    let mut id = parent.to_owned();
    while let Some(block) = notion.blocks.get(&id) {
        id.clone_from(&block.parent);
    }
    if let Some(page) = notion.page_mut(&id) {
        page.edited = now;
    }
}

fn answered(fate: Fate, answer: Option<Response>, request: &Request) -> Result<Received, NoAnswer> {
    let broken = || Err(NoAnswer::Sent("connection reset by peer".into()));
    let own = |status: u16, code: &str, message: &str| {
        let body = serde_json::json!({"object": "error", "status": status, "code": code,
            "message": message});
        received(Response::json(status, &body))
    };
    let plain = |status: u16, kind: &str, body: &str| {
        received(Response::bytes(status, kind, body.as_bytes().to_vec()))
    };
    match (fate, answer) {
        (Fate::Answered | Fate::Slow, Some(response)) => Ok(received(response)),
        (Fate::Saved, Some(response)) if is_read(request) => Ok(received(response)),
        (Fate::Saved, Some(response)) => Ok(received(notion::saved_but_503(request, response))),
        (Fate::Answered | Fate::Slow | Fate::Saved, None)
        | (Fate::Lost | Fate::Dropped | Fate::Late, _) => broken(),
        (Fate::Gateway, _) => Ok(plain(502, "text/html", "<html>Bad Gateway</html>")),
        (Fate::Empty, _) => Ok(plain(200, "application/json", "")),
        (Fate::Braces, _) => Ok(plain(200, "application/json", "{}")),
        (Fate::Refused, _) => Ok(own(400, "validation_error", "body failed validation.")),
        (Fate::Limited, _) => Ok(received(notion::rate_limited(2))),
        (Fate::Unsaved, _) => {
            let message = "Public API service is temporarily unavailable.";
            Ok(own(503, "service_unavailable", message))
        }
    }
}

fn received(response: Response) -> Received {
    Received {
        status: response.status,
        headers: response.headers,
        body: response.body,
        flaw: None,
    }
}

fn is_read(request: &Request) -> bool {
    request.method == "GET" || request.path.ends_with("/query") || request.path == "/v1/search"
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

pub fn between(low: Duration, high: Duration) -> Duration {
    low + high.saturating_sub(low).mul_f64(time::chance())
}
