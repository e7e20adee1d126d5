//! What Quo has had in a span of time, as events: thread after thread, what is synced already left
//! out.
//!
//! ```text
//! own numbers ─▶ conversations ─▶ threads, by id ─▶ calls and texts ─▶ events, oldest first
//!                                          ▲                                                   │
//!                                          └── mark: how far an interrupted run got ◀──────────┘
//! ```
//! Apart from `sync`, which it does not know: events go out and come back like a webhook's. Writes
//! nothing but its marks, and what it offers.

mod forecast;
mod held;
mod listed;
mod mark;
mod offers;
mod since;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::ArtifactKind;
use crate::domain::failure::{Failure, Kind};
use crate::domain::id::{EventId, NumberId};
use crate::http::Vendor;
use crate::quo;
use crate::quo::api::announcement::Announcement;
use crate::quo::api::history::{ActivityState, PastActivity, Query, Thread};
use crate::quo::api::{OwnNumber, Quo, announcement, paging};
use crate::quo::words::Availability;
use crate::services::Services;
use crate::services::settings::Settings;
use crate::store::{self, Offer, Store};

pub use forecast::Forecast;
use held::OldestFirst;
use listed::ListedThread;
use mark::{Mark, Period};
pub use since::Begin;

/// Kinds that are asked for; of a voicemail the event of the missed call takes care.
const KINDS: [ArtifactKind; 3] = [
    ArtifactKind::Recording,
    ArtifactKind::Summary,
    ArtifactKind::Transcript,
];
/// How long after a call a part that Quo does not know may still be in the making.
const NOT_YET: SignedDuration = SignedDuration::from_hours(6);
/// Asked for beyond the span on both sides, because Quo does not tell whether its bounds count
/// themselves.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// What is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Made then or later.
    pub begin: Begin,
    /// Made before this moment.
    pub to: Timestamp,
    /// Ids or numbers of own numbers; empty for all.
    pub numbers: Vec<String>,
    /// Which of them.
    pub scope: Scope,
    /// Under which name a mark is kept: the same command finds its own again.
    pub key: String,
    /// True if of what is still offered only its own is told again.
    pub is_narrow: bool,
}

/// Which calls and texts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What is not synced yet.
    Unsynced,
    /// Everything.
    All,
    /// Only what is missing of calls that are synced.
    Pending,
}

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening<'a> {
    /// So many threads are to be read.
    Threads(usize),
    /// What is to be expected.
    Forecast(Forecast),
    /// Another thread is done.
    Done,
    /// An event: JSON on one line.
    Event(&'a str),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events told.
    pub events: usize,
    /// Threads read.
    pub threads: usize,
    /// Calls and texts left out because they are synced.
    pub synced: usize,
    /// Threads with several others, whose calls Quo does not list.
    pub groups: usize,
    /// Threads that Quo refused.
    pub refused: usize,
    /// Requests to Quo, repeats included.
    pub requests: u64,
}

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// Quo, or one thread of it.
    Quo(quo::Error),
    /// The store.
    Store(store::Error),
    /// An event could not be handed on.
    Output(std::io::Error),
    /// No own number is called so; these are there.
    NoSuchNumber(String, Vec<String>),
    /// More conversations than one run can hold.
    TooMany,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quo(err) => err.fmt(f),
            Self::Store(err) => err.fmt(f),
            Self::Output(err) => write!(f, "cannot write to standard output: {err}"),
            Self::NoSuchNumber(name, _) => {
                write!(f, "--number: {name:?} is no number of the workspace")
            }
            Self::TooMany => write!(
                f,
                "more conversations than one run can hold: {} with their participants",
                listed::MOST
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        let message = err.to_string();
        match err {
            Error::Quo(err) => err.into(),
            Error::Store(err) => err.into(),
            Error::Output(_) => Self::new(
                Kind::Store,
                message,
                "check the other end of the pipe; the same command goes on there",
            ),
            Error::NoSuchNumber(_, there) => Self::new(
                Kind::Usage,
                message,
                format!("there are: {}", there.join(", ")),
            ),
            Error::TooMany => Self::new(
                Kind::Usage,
                message,
                "choose fewer with --number, or a later --since",
            ),
        }
    }
}

impl From<quo::Error> for Error {
    fn from(err: quo::Error) -> Self {
        Self::Quo(err)
    }
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Self::Store(err)
    }
}

/// Who hears of what happens; an error ends the run.
pub type Listener<'a> = &'a mut dyn FnMut(Happening) -> std::io::Result<()>;

/// Finds the events and tells each. What was found before an error has been told by then, and the
/// same command goes on there. Fails before anything is asked without store or key.
pub fn run(
    services: &Services,
    options: &Options,
    listener: Listener,
) -> Result<(Tally, Result<(), Error>), Failure> {
    let vendor = services.quo()?.ok_or_else(|| {
        Failure::config(
            "OPENPHONE_API_KEY is not set",
            "make a key in Quo's workspace settings, under API",
        )
    })?;
    let mut walk = Walk {
        store: services.store()?,
        vendor,
        settings: &services.settings,
        options,
        listener,
        tally: Tally::default(),
        before: None,
        starts: BTreeMap::new(),
        offered: HashSet::new(),
        refusal: None,
        refused: BTreeSet::new(),
    };
    let ended = walk.all();
    walk.tally.requests = vendor.calls();
    Ok((walk.tally, ended))
}

struct Walk<'a> {
    store: &'a Store,
    vendor: &'a Vendor,
    settings: &'a Settings,
    options: &'a Options,
    listener: Listener<'a>,
    tally: Tally,
    /// How far an interrupted run got.
    before: Option<Mark>,
    /// The own numbers that are read, and from when on.
    starts: BTreeMap<NumberId, Timestamp>,
    /// What this run has told as still offered.
    offered: HashSet<EventId>,
    /// The first refusal of a single thread.
    refusal: Option<quo::Error>,
    /// The numbers of such threads.
    refused: BTreeSet<NumberId>,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), Error> {
        self.tell_again()?;
        self.before = Mark::load(self.store, &self.options.key)?;
        if self.before.is_some() {
            log::info!("an interrupted backfill is continued");
        }
        let own = self.quo().fetch_numbers()?;
        let numbers = chosen(&own, &self.options.numbers)?;
        for number in &numbers {
            let start = since::start(self.store, self.options, &number.id)?;
            self.starts.insert(number.id.clone(), start);
        }
        let begins = self.before.iter().map(|mark| mark.from);
        let from = begins.chain(self.starts.values().copied()).min();
        let mut mark = Mark::at_outset(from.unwrap_or(self.options.to), self.options.to);
        let threads = self.threads(&own, &numbers)?;
        self.tell(Happening::Threads(threads.len()))?;
        let again = self.tally.events;
        for listed in &threads {
            let thread = listed.thread();
            let place = mark::place(&thread.number, &thread.id);
            let span = self.span(&thread.number, &place);
            let told = self.tally.events;
            let read = self.thread(&thread, span, &mut mark);
            let ended = self.forgive(&thread, read);
            if ended.is_ok() {
                mark.finish(place);
            }
            self.keep(&mark, &ended, self.tally.events > told)?;
            ended?;
            self.tally.threads += 1;
            self.tell(Happening::Done)?;
            self.forecast(threads.len(), again)?;
        }
        for number in self.starts.keys().filter(|it| !self.refused.contains(*it)) {
            since::complete(self.store, self.options, number, mark.from)?;
        }
        self.store.forget_snapshot(&self.options.key)?;
        self.refusal.take().map_or(Ok(()), |err| Err(err.into()))
    }

    /// Keeps how far this run got, when something depends on it. A run that went on from a mark and
    /// has not come as far leaves that one.
    fn keep(&self, mark: &Mark, ended: &Result<(), Error>, told: bool) -> Result<(), Error> {
        if (ended.is_err() || told) && !self.is_behind(mark) {
            self.store.save_snapshot(&self.options.key, &mark.body())?;
        }
        Ok(())
    }

    /// True if an interrupted run got further than this.
    fn is_behind(&self, mark: &Mark) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| before.is_beyond(mark))
    }

    /// What is to be told of the thread at `place`.
    fn span(&self, number: &NumberId, place: &str) -> Period {
        let to = self.options.to;
        let from = self.starts.get(number).copied().unwrap_or(to);
        mark::span(self.before.as_ref(), from, to, place)
    }

    /// A thread that Quo refuses does not keep the others from being read; the run fails at its
    /// end.
    fn forgive(&mut self, thread: &Thread, read: Result<(), Error>) -> Result<(), Error> {
        match read {
            Err(Error::Quo(err)) if err.refusal().is_some_and(|refusal| refusal.status != 401) => {
                log::error!("a conversation is left out: {err}");
                self.tally.refused += 1;
                self.refused.insert(thread.number.clone());
                self.refusal.get_or_insert(err);
                Ok(())
            }
            other => other,
        }
    }

    /// Threads in which something may have happened in their spans, in the order of their places.
    fn threads<'n>(
        &self,
        own: &'n [OwnNumber],
        numbers: &[&'n OwnNumber],
    ) -> Result<Vec<ListedThread<'n>>, Error> {
        let mut threads = listed::Threads::default();
        for number in numbers.iter().copied() {
            let pages =
                paging::pages(|token| self.quo().fetch_conversation_page(&number.id, token));
            for page in pages {
                for conversation in page? {
                    let place = mark::place(&number.id, &conversation.id);
                    let from = self.span(&number.id, &place).from;
                    if conversation.last.is_none_or(|last| last >= from) {
                        threads.add(ListedThread::of(number, conversation, own))?;
                    }
                }
            }
        }
        Ok(threads.in_order())
    }

    fn thread(&mut self, thread: &Thread, mut span: Period, mark: &mut Mark) -> Result<(), Error> {
        if thread.others.len() > 1 {
            self.tally.groups += 1;
            log::info!(
                "{}: calls of this group are left out: Quo's v1 does not list them",
                thread.id
            );
        }
        loop {
            let held = self.activities(thread, &span)?;
            let (is_cut, activities) = held.oldest_first();
            for activity in &activities {
                let offers = self.events(thread, activity)?;
                mark.reach(mark::place(&thread.number, &thread.id), activity);
                self.offer(&offers, mark)?;
            }
            match activities.last() {
                Some(last) if is_cut => span.go_on_after(last),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Calls and texts of a thread that are over: the oldest, as many as can be held.
    fn activities(&self, thread: &Thread, span: &Period) -> Result<OldestFirst, Error> {
        let query = Query {
            thread,
            after: span.from - MARGIN,
            before: span.to + MARGIN,
        };
        let mut held = OldestFirst::default();
        let mut add = |page: Vec<PastActivity>| {
            let told = |activity: &PastActivity| {
                activity.state != ActivityState::Open && span.holds(activity)
            };
            page.into_iter().filter(told).for_each(|it| held.add(it));
        };
        if thread.others.len() == 1 {
            for page in paging::pages(|token| self.quo().fetch_call_page(&query, token)) {
                add(page?);
            }
        }
        if self.options.scope != Scope::Pending {
            for page in paging::pages(|token| self.quo().fetch_message_page(&query, token)) {
                add(page?);
            }
        }
        Ok(held)
    }

    /// The events of a call or text that this run has not told yet, all of them fetched before the
    /// first is told, so that none is told twice.
    fn events(&mut self, thread: &Thread, activity: &PastActivity) -> Result<Vec<Offer>, Error> {
        let offer = |event: Announcement| Offer {
            id: event.id,
            at: activity.at,
            event: event.line,
        };
        let database = self.settings.clients_database.as_ref();
        let entries = database.map(|database| self.store.entries(database, &activity.id));
        let entries = entries.transpose()?.unwrap_or_default();
        let synced = !entries.is_empty();
        let wanted = match self.options.scope {
            Scope::All => true,
            Scope::Unsynced => !synced,
            Scope::Pending if !synced => return Ok(Vec::new()),
            Scope::Pending => false,
        };
        self.tally.synced += usize::from(!wanted);
        let own = wanted
            .then(|| announcement::activity(thread, activity))
            .flatten();
        let own = own.filter(|event| !self.offered.contains(&event.id));
        let mut events: Vec<Offer> = own.map(offer).into_iter().collect();
        if activity.state != ActivityState::Answered {
            return Ok(events);
        }
        let stands = |kind| {
            !entries.is_empty() && entries.iter().all(|it| it.entry.artifacts.contains(&kind))
        };
        let is_offered = |kind| {
            let id = announcement::artifact_id(activity, kind);
            id.is_some_and(|id| self.offered.contains(&id))
        };
        let is_wanted = |kind: &ArtifactKind| {
            (self.options.scope == Scope::All || !stands(*kind)) && !is_offered(*kind)
        };
        for kind in KINDS.into_iter().filter(is_wanted) {
            let told = self
                .part(activity, kind)?
                .and_then(|data| announcement::artifact(thread, activity, kind, &data));
            events.extend(told.map(offer));
        }
        Ok(events)
    }

    /// What belongs to a call, if it is ready. What Quo calls absent is not asked for again, unless
    /// everything is; that Quo does not know it may mean for some hours that it is not made yet.
    fn part(&self, activity: &PastActivity, kind: ArtifactKind) -> Result<Option<String>, Error> {
        let absent = format!("absent:{}:{}", activity.id, kind.word());
        if self.options.scope != Scope::All && self.store.snapshot(&absent)?.is_some() {
            return Ok(None);
        }
        let gives_up = self.options.to.duration_since(activity.at) > NOT_YET;
        // An empty list of recordings is no word of Quo's.
        let is_word = kind != ArtifactKind::Recording || gives_up;
        match self.quo().fetch_artifact_record(&activity.id, kind)? {
            Some(Availability::Ready(data)) => return Ok(Some(data)),
            Some(Availability::Absent) if is_word => self.store.save_snapshot(&absent, "null")?,
            None if gives_up => self.store.save_snapshot(&absent, "null")?,
            Some(Availability::Pending | Availability::Absent) | None => {}
        }
        Ok(None)
    }

    fn tell(&mut self, happening: Happening) -> Result<(), Error> {
        (self.listener)(happening).map_err(Error::Output)
    }

    /// Quo, for one request.
    fn quo(&self) -> Quo<'_> {
        Quo::new(self.vendor, self.settings.deadline_for(1))
    }
}

/// The own numbers that are named by id or as a number in any spelling; all of them when none is.
fn chosen<'a>(all: &'a [OwnNumber], names: &[String]) -> Result<Vec<&'a OwnNumber>, Error> {
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let find = |name: &String| {
        let found = all
            .iter()
            .find(|number| number.id.as_str() == name || number.phone.matches(name));
        found.ok_or_else(|| {
            let there = all
                .iter()
                .map(|number| format!("{} ({})", number.id, number.phone))
                .collect();
            Error::NoSuchNumber(name.clone(), there)
        })
    };
    let mut found = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}
