//! Events from their arrival to their end: kept, claimed, synced, finished or put off.
//!
//! Apart because a delivery on standard input and a replay go the same way. An event is in the
//! inbox before anything is done about it, and leaves only when it is finished.

mod ending;
mod follow_up;
mod hold;
pub mod spool;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;

use crate::bug;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::id::EventId;
use crate::domain::outcome::{Outcome, Verdict, Warning, WarningCode};
use crate::domain::work::Work;
use crate::quo::webhook;
use crate::services::Services;
use crate::store::{self, Arrival, EventState, Fault, Guard, Lock, Selection, Store};
use crate::sync::{self, Run};
use crate::time::{self, Deadline, stop};

use hold::Obstacles;

/// An event that has arrived, and its bytes.
pub struct Arrived {
    /// The event.
    pub event: Box<Event>,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// The work that there is with something, or its outcome where there is none.
pub type Admitted = Result<Work, Box<Outcome>>;

/// Keeps events durably, before anything is done about them. Their order stays.
pub fn admit(services: &Services, arrived: Vec<Arrived>) -> Vec<Admitted> {
    let (events, mut arrivals): (Vec<Box<Event>>, Vec<Arrival>) = arrived
        .into_iter()
        .map(|delivery| {
            let arrival = arrival(&delivery.event, delivery.payload);
            (delivery.event, arrival)
        })
        .unzip();
    let standings = keep(services, &mut arrivals);
    let mut admitted = Vec::new();
    for ((event, arrival), standing) in events.into_iter().zip(arrivals).zip(standings) {
        admitted.push(match standing {
            Ok(EventState::Done(pages)) => {
                let work = Work::Event(event);
                Err(Box::new(match services.store() {
                    Ok(store) => ending::duplicate_again(store, &work, pages),
                    Err(_) => ending::duplicate(&work, pages),
                }))
            }
            Ok(EventState::Waiting { .. } | EventState::Held | EventState::Dead) => {
                Ok(Work::Event(event))
            }
            Err(err) => Err(Box::new(set_aside(services, &event, &arrival, err))),
        });
    }
    admitted
}

/// The outcome of an event that the store does not take. Where its server cannot be reached the
/// event is kept in a file, until it can.
fn set_aside(services: &Services, event: &Event, arrival: &Arrival, err: store::Error) -> Outcome {
    if err.fault != Fault::Unreachable {
        return event.ends(Verdict::Failed(err.into()));
    }
    let dir = &services.settings.dir;
    let (verdict, code, message) = match spool::keep(dir, &arrival.payload) {
        Ok(()) => {
            let message =
                format!("{err}; the event is kept in a file, `quotion replay` takes it in");
            (Verdict::Queued, WarningCode::Spooled, message)
        }
        Err(kept) => {
            let message = format!(
                "the event cannot be kept in {} either: {kept}",
                dir.display()
            );
            (Verdict::Failed(err.into()), WarningCode::Store, message)
        }
    };
    let mut outcome = event.ends(verdict);
    outcome.notes.warnings.push(Warning::new(code, message));
    outcome
}

fn keep(services: &Services, arrivals: &mut [Arrival]) -> Vec<store::Result<EventState>> {
    if arrivals.is_empty() {
        return Vec::new();
    }
    let store = match services.store() {
        Ok(store) => store,
        Err(err) => return arrivals.iter().map(|_| Err(err.clone())).collect(),
    };
    match store.receive(arrivals) {
        Ok(standings) => standings.into_iter().map(Ok).collect(),
        // One by one, so that each is kept that can be.
        Err(_) if arrivals.len() > 1 => {
            let each = arrivals.chunks_mut(1);
            each.flat_map(|arrival| keep(services, arrival)).collect()
        }
        Err(err) => vec![Err(err)],
    }
}

/// Reads what the inbox kept.
pub fn read_work(payload: &[u8], received: Timestamp) -> Result<Work, Failure> {
    match follow_up::read(payload) {
        Some(question) => Ok(Work::FollowUp(question)),
        None => Ok(Work::Event(Box::new(webhook::parse(payload, received)?))),
    }
}

/// What to do about an event that another process works on, or has worked on meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Wait for it, and go on where it ended.
    Wait,
    /// Leave it to that one; the event has to belong to this selection still.
    Leave(Selection),
}

/// Who hears of each outcome, in the order of the works; and says whether to go on.
pub type Tell<'a> = &'a mut dyn FnMut(Outcome) -> ControlFlow<()>;

/// Works on what lies in the inbox (or on a dry run's events, which do not).
pub struct Drain<'a> {
    services: &'a Services,
    /// What is done about events in the hands of others.
    pub claim: Claim,
    obstacles: Obstacles,
    /// True once a result has said that there is no key for Quo.
    told_of_key: bool,
}

impl<'a> Drain<'a> {
    /// Works by that claim.
    pub fn new(services: &'a Services, claim: Claim) -> Self {
        Self {
            services,
            claim,
            obstacles: Obstacles::default(),
            told_of_key: false,
        }
    }

    /// Does the work, what belongs to one client at once. Tells of each outcome as soon as it and
    /// those before it are there. Once the run is to stop, who waits is told so, and nothing more
    /// is begun.
    pub fn work(&mut self, admitted: Vec<Admitted>, tell: Tell) {
        let mut ready = VecDeque::new();
        let (mut works, mut places) = (Vec::new(), Vec::new());
        for (place, admitted) in admitted.into_iter().enumerate() {
            match admitted {
                Err(outcome) => ready.push_back(Some(*outcome)),
                Ok(work) => {
                    ready.push_back(None);
                    works.push(work);
                    places.push(place);
                }
            }
        }
        let all = ready.len();
        let mut flow = tell_ready(&mut ready, tell);
        for group in self.groups(&works) {
            let chosen: Vec<&Work> = group.iter().map(|index| &works[*index]).collect();
            let outcomes = match (stop::is_told() || flow.is_break(), &self.claim) {
                (false, _) => self.group(&chosen),
                (true, Claim::Wait) => fail(&chosen, &Failure::stopped()),
                (true, Claim::Leave(_)) => return,
            };
            let told = all - ready.len();
            for (index, outcome) in group.into_iter().zip(outcomes) {
                ready[places[index] - told] = Some(outcome);
            }
            flow = tell_ready(&mut ready, tell);
        }
    }

    /// Which of these belong together, by their places.
    fn groups(&self, works: &[Work]) -> Vec<Vec<usize>> {
        let each = || (0..works.len()).map(|place| vec![place]).collect();
        // A dry run tells of each document what it would do. And what is wrong with the store each
        // event tells itself.
        if works.len() < 2 || self.services.settings.dry_run {
            return each();
        }
        let settings = &self.services.settings;
        match (self.services.store(), settings.clients_database()) {
            (Ok(store), Ok(database)) => {
                sync::groups(store, database, works).unwrap_or_else(|_| each())
            }
            (Err(_), _) | (_, Err(_)) => each(),
        }
    }

    /// Works on what belongs together. A failure leaves it in the inbox. What would fail as another
    /// has is not tried.
    fn group(&mut self, works: &[&Work]) -> Vec<Outcome> {
        let held: Vec<Option<Outcome>> = works.iter().map(|work| self.hold(work)).collect();
        let open = works.iter().zip(&held).filter(|(_, held)| held.is_none());
        let open: Vec<&Work> = open.map(|(work, _)| *work).collect();
        let mut tried = if open.is_empty() {
            Vec::new().into_iter()
        } else {
            self.try_all(&open).into_iter()
        };
        let outcomes = held.into_iter();
        outcomes
            .filter_map(|held| held.or_else(|| tried.next()))
            .collect()
    }

    fn try_all(&mut self, works: &[&Work]) -> Vec<Outcome> {
        match bug::caught(|| self.try_group(works)) {
            Ok(mut outcomes) => {
                self.tell_of_key(&mut outcomes);
                outcomes
            }
            // The others of the group are done without the one that brings the bug to light.
            Err(_) if works.len() > 1 => {
                let each = works.chunks(1);
                each.flat_map(|work| self.group(work)).collect()
            }
            Err(bug) => self.fail(works, &bug),
        }
    }

    /// Whether this would fail as another has in this run.
    pub fn is_blocked(&self, work: &Work) -> bool {
        self.obstacles.of(self.services, work).is_some()
    }

    /// Holds what would fail as another has.
    fn hold(&self, work: &Work) -> Option<Outcome> {
        let failure = self.obstacles.of(self.services, work)?;
        let message = format!(
            "not tried, as it would fail like another: {}",
            failure.message
        );
        let failure = Failure {
            message,
            request_id: None,
            is_foreseen: true,
            ..failure
        };
        let outcome = work.ends(Verdict::Failed(failure));
        Some(self.put_off(&work.event_id(), outcome))
    }

    /// Notes why an event could not be finished, if that can be noted.
    pub fn put_off(&self, id: &EventId, outcome: Outcome) -> Outcome {
        match self.services.store() {
            Ok(store) if !self.services.settings.dry_run => {
                let policy = self.services.settings.retry_policy;
                ending::postpone(store, policy, &self.claim, id, outcome)
            }
            Ok(_) | Err(_) => outcome,
        }
    }

    /// What no event of these gets beyond.
    fn fail(&mut self, works: &[&Work], failure: &Failure) -> Vec<Outcome> {
        let failed = works.iter().zip(fail(works, failure));
        let outcomes: Vec<Outcome> = failed
            .map(|(work, outcome)| self.put_off(&work.event_id(), outcome))
            .collect();
        self.obstacles.note(outcomes.iter());
        outcomes
    }

    fn try_group(&mut self, works: &[&Work]) -> Vec<Outcome> {
        let services = self.services;
        if let Err(failure) = services.settings.check_for_sync() {
            return self.fail(works, &failure);
        }
        let run = match Run::begin(services, works.len()) {
            Ok(run) => run,
            Err(failure) => return self.fail(works, &failure),
        };
        self.in_parts(&run, works)
    }

    /// Does the work as one; what that leaves undone as one again, if anything was done, else in
    /// halves. So one that is refused fails alone, and who is in another's hands is waited for.
    fn in_parts(&mut self, run: &Run, works: &[&Work]) -> Vec<Outcome> {
        let mut outcomes = self.attempt(run, works);
        self.obstacles.note(outcomes.iter().flatten());
        let undone = (0..works.len()).filter(|place| outcomes[*place].is_none());
        let undone: Vec<usize> = undone.collect();
        let part = if undone.len() < works.len() {
            undone.len()
        } else {
            undone.len().div_ceil(2)
        };
        for part in undone.chunks(part.max(1)) {
            for place in part {
                outcomes[*place] = self.hold(works[*place]);
            }
            let open = part.iter().filter(|place| outcomes[**place].is_none());
            let open: Vec<usize> = open.copied().collect();
            if open.is_empty() {
                continue;
            }
            let these: Vec<&Work> = open.iter().map(|place| works[*place]).collect();
            let done = self.in_parts(run, &these);
            for (place, outcome) in open.into_iter().zip(done) {
                outcomes[place] = Some(outcome);
            }
        }
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.expect("a single event gets its answer"))
            .collect()
    }

    /// Does the work as one, as the only one among all processes, and notes what came of it. `None`
    /// for what has to be done by itself, or is in the hands of another process: a single event is
    /// waited for, and gets its answer.
    fn attempt(&self, run: &Run, works: &[&Work]) -> Vec<Option<Outcome>> {
        if run.settings.dry_run {
            return sync::put(run, works);
        }
        let is_single = works.len() == 1;
        // Where the store fails, each event tells for itself what is wrong with it.
        let (_claims, free) = match self.claim(run, works) {
            Ok(claimed) => claimed,
            Err(err) if is_single => return failed_by(works, &err),
            Err(_) => return vec![None; works.len()],
        };
        let mut outcomes: Vec<Option<Outcome>> = vec![None; works.len()];
        let mut open: Vec<usize> = Vec::new();
        for (place, work) in works.iter().enumerate() {
            if !free[place] {
                outcomes[place] = is_single.then(|| work.ends(Verdict::Queued));
                continue;
            }
            // The same event again has its turn when the first one is finished.
            let id = work.event_id();
            if open.iter().any(|other| works[*other].event_id() == id) {
                continue;
            }
            match self.ended_meanwhile(run.store, work) {
                Ok(None) => open.push(place),
                Ok(ended) => outcomes[place] = ended,
                Err(err) if is_single => return failed_by(works, &err),
                Err(_) => {}
            }
        }
        let began = time::now();
        let chosen: Vec<&Work> = open.iter().map(|place| works[*place]).collect();
        let done = sync::put(run, &chosen);
        let took = time::since(began) / u32::try_from(chosen.len().max(1)).unwrap_or(u32::MAX);
        for (place, done) in open.into_iter().zip(done) {
            outcomes[place] =
                done.map(|outcome| ending::conclude(run, &self.claim, works[place], outcome, took));
        }
        outcomes
    }

    /// The claims, and which of the works they are for.
    fn claim(&self, run: &Run, works: &[&Work]) -> store::Result<(Vec<Guard>, Vec<bool>)> {
        let [work] = works else {
            let ids: Vec<_> = works.iter().map(|work| work.event_id()).collect();
            return run.store.lock_free_events(&ids);
        };
        let until = match &self.claim {
            Claim::Wait => run.deadline,
            Claim::Leave(_) => Deadline::within(Duration::ZERO),
        };
        let claim = run.store.lock(&Lock::Event(work.event_id()), until)?;
        let is_ours = vec![claim.is_some()];
        Ok((claim.into_iter().collect(), is_ours))
    }

    /// What came of an event while this process had not claimed it; `None` if it is still to be
    /// done.
    fn ended_meanwhile(&self, store: &Store, work: &Work) -> store::Result<Option<Outcome>> {
        let id = work.event_id();
        match &self.claim {
            Claim::Leave(selection) if store.load(&id, selection)?.is_none() => {
                Ok(Some(work.ends(Verdict::Queued)))
            }
            Claim::Leave(_) => Ok(None),
            Claim::Wait => match store.standing(&id)? {
                Some(EventState::Done(pages)) => Ok(Some(ending::duplicate(work, pages))),
                Some(EventState::Waiting { .. } | EventState::Held | EventState::Dead) | None => {
                    Ok(None)
                }
            },
        }
    }

    /// Says once a run that names cannot be looked up, because there is no key for Quo.
    fn tell_of_key(&mut self, outcomes: &mut [Outcome]) {
        let settings = &self.services.settings;
        if self.told_of_key || settings.quo.is_some() || settings.check_for_sync().is_err() {
            return;
        }
        let Some(first) = outcomes.first_mut() else {
            return;
        };
        self.told_of_key = true;
        let message = "OPENPHONE_API_KEY is not set, so nothing is asked of quo: no names, and \
            nothing of what a delivery leaves out";
        let warning = Warning::new(WarningCode::QuoKeyMissing, message);
        first.notes.warnings.push(warning);
    }
}

/// Tells the outcomes that are next in order.
fn tell_ready(ready: &mut VecDeque<Option<Outcome>>, tell: Tell) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    while ready.front().is_some_and(Option::is_some) {
        let next = ready.pop_front().flatten();
        flow = next.map_or(flow, &mut *tell);
    }
    flow
}

fn fail(works: &[&Work], failure: &Failure) -> Vec<Outcome> {
    let failed = |work: &&Work| work.ends(Verdict::Failed(failure.clone()));
    works.iter().map(failed).collect()
}

fn failed_by(works: &[&Work], err: &store::Error) -> Vec<Option<Outcome>> {
    let failed = fail(works, &err.clone().into());
    failed.into_iter().map(Some).collect()
}

/// An event on standard input is worked on at once; if that comes to nothing, a replay may take it
/// after the time that this one has.
fn arrival(event: &Event, payload: Vec<u8>) -> Arrival {
    Arrival {
        id: event.id.clone(),
        event_type: event.event_type.clone(),
        activity: event.subject.activity_id().cloned(),
        payload,
        delay: Duration::ZERO,
    }
}
