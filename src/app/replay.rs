//! `quotion replay`: finish what is queued, or has failed and is due again; or sync saved files.

use std::collections::HashSet;

use jiff::SignedDuration;

use crate::cli::ReplayArgs;
use crate::domain::failure::{Failure, Kind, Whose};
use crate::domain::id::EventId;
use crate::domain::outcome::{Of, Outcome, Verdict};
use crate::exit;
use crate::inbox::{self, Admitted, Claim, Drain, spool};
use crate::logs;
use crate::services::Services;
use crate::store::{Backlog, EventState, HeldCount, Selection, Store};
use crate::time::stop;

use super::console::Console;
use super::input::Input;
use super::intake::{Intake, Treatment};
use super::stream;

/// Most dead events that a summary names.
const NAMED: usize = 5;

/// What came of a replay.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    /// In the hands of another process.
    elsewhere: usize,
}

/// What one event says about those that are held by the same.
enum Probe {
    /// It is mended.
    Passed,
    /// It is not, as far as one can tell.
    Stuck,
    /// Nothing: it has failed by itself, or there was nothing to do.
    Silent,
}

impl Probe {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Done | Verdict::Planned(_) => Self::Passed,
            Verdict::Skipped(_) => Self::Silent,
            Verdict::Failed(failure) if failure.whose == Whose::Event => Self::Silent,
            Verdict::Failed(_) | Verdict::Queued => Self::Stuck,
        }
    }
}

/// Finishes what is to be done.
pub fn run<'a>(
    services: &'a Services,
    args: &ReplayArgs,
    console: &mut Console<'a>,
    input: Input,
) -> Result<(), Failure> {
    stop::watch(exit::NOT_NOW);
    if !args.files.is_empty() {
        sync_files(services, args, console, input);
        return Ok(());
    }
    services.settings.check()?;
    let store = services.store()?;
    if !services.settings.dry_run {
        spool::take_in(&services.settings.dir, store)?;
    }
    let selections = selections(args)?;
    for selection in &selections {
        expect_known(store, selection)?;
    }
    let mut round = Round {
        store,
        console,
        drain: Drain::new(services, Claim::Wait),
        seen: HashSet::new(),
        limit: args.limit,
        tally: Counts::default(),
    };
    for selection in &selections {
        round.take(selection)?;
    }
    let tally = round.tally;
    if !services.settings.dry_run {
        store.expire(services.settings.keep_done)?;
    }
    console.summary(&summary(services, store, &tally)?);
    Ok(())
}

/// What was done, and how the rest stands.
fn summary(services: &Services, store: &Store, tally: &Counts) -> Result<String, Failure> {
    let done_word = if services.settings.dry_run {
        "planned"
    } else {
        "done"
    };
    let Counts {
        done,
        failed,
        elsewhere,
    } = tally;
    let elsewhere = match elsewhere {
        0 => String::new(),
        count => format!(", {count} in the hands of another process"),
    };
    let backlog = store.backlog()?;
    let rest = rest(store, &backlog)?;
    Ok(format!(
        "replay: {done} {done_word}, {failed} failed{elsewhere}; {} in the inbox{rest}",
        backlog.events()
    ))
}

/// What waits, is held and is dead, in words; nothing where there is nothing.
fn rest(store: &Store, backlog: &Backlog) -> Result<String, Failure> {
    let mut parts = Vec::new();
    if backlog.waiting > 0 {
        let due = match backlog.due_in.map(|due| due.as_secs()) {
            None | Some(0) => "now".to_owned(),
            Some(secs) => format!("in {:#}", SignedDuration::from_secs(secs.cast_signed())),
        };
        parts.push(format!(
            "{} waiting (the next is due {due})",
            backlog.waiting
        ));
    }
    for HeldCount { cause, events } in &backlog.held {
        parts.push(format!("{events} held by {cause}"));
    }
    if backlog.dead > 0 {
        let named = store.waiting(&Selection::Dead, NAMED)?;
        let mut named: Vec<&str> = named.iter().map(EventId::as_str).collect();
        if backlog.dead > named.len() {
            named.push("…");
        }
        let named = named.join(", ");
        parts.push(format!(
            "{} dead ({named}; quotion replay --dead tries again)",
            backlog.dead
        ));
    }
    Ok(if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    })
}

/// Each file by itself: one that cannot be read does not cost the others.
fn sync_files<'a>(
    services: &'a Services,
    args: &ReplayArgs,
    console: &mut Console<'a>,
    input: Input,
) {
    let mut input = Some(input);
    // One for all of them: what is told once a run is told once.
    let mut intake = Intake::new(services, console, Treatment::Sync);
    for path in &args.files {
        if intake.console.is_over() {
            return;
        }
        let opened = match input.take_if(|_| path.as_os_str() == "-") {
            Some(input) => Ok(input),
            // A pipe that nobody writes to waits here.
            None => stop::idle(|| Input::open(path.clone(), intake.console.gone())),
        };
        match opened {
            Ok(input) => intake.take_all(input),
            Err(err) => {
                let message = format!("cannot read {}: {err}", path.display());
                let failure = Failure::new(Kind::Store, message, "check the path");
                intake.console.fail(failure);
            }
        }
    }
}

/// Whoever names an event means one that is there.
fn expect_known(store: &Store, selection: &Selection) -> Result<(), Failure> {
    let Selection::One(id) = selection else {
        return Ok(());
    };
    match store.standing(id)? {
        Some(EventState::Done(_)) => logs::summary(&format!("{id} is done already")),
        Some(EventState::Waiting { .. } | EventState::Held | EventState::Dead) => {}
        None => {
            let message = format!("{id} is not in the inbox");
            let hint = "the result of a run names it (event_id); what was skipped is not kept, and \
                --dir and --state say which inbox is meant";
            return Err(Failure::new(Kind::Usage, message, hint));
        }
    }
    Ok(())
}

/// Windows of the inbox, one after the other.
struct Round<'a, 'c> {
    store: &'a Store,
    console: &'c mut Console<'a>,
    drain: Drain<'a>,
    /// What was taken in this run.
    seen: HashSet<EventId>,
    limit: usize,
    tally: Counts,
}

impl Round<'_, '_> {
    fn is_over(&self) -> bool {
        self.seen.len() >= self.limit || self.console.is_over()
    }

    fn take(&mut self, selection: &Selection) -> Result<(), Failure> {
        match selection {
            Selection::Due | Selection::Waiting => self.probe_all()?,
            Selection::HeldBy(_) | Selection::Dead | Selection::One(_) => {}
        }
        self.all(selection)
    }

    /// Tries one event of each thing that events are held by, and lets the others go on when it
    /// passes.
    fn probe_all(&mut self) -> Result<(), Failure> {
        for HeldCount { cause, .. } in self.store.backlog()?.held {
            let selection = Selection::HeldBy(cause.clone());
            while let Some(id) = self.next_probe(&selection)? {
                match self.probe(&id, &selection)? {
                    Probe::Passed => {
                        let released = self.store.release(&cause)?;
                        log::info!("{cause} is mended: {released} more go on");
                        break;
                    }
                    Probe::Stuck => break,
                    Probe::Silent => {}
                }
            }
        }
        Ok(())
    }

    fn next_probe(&self, selection: &Selection) -> Result<Option<EventId>, Failure> {
        if self.is_over() {
            return Ok(None);
        }
        let next = self.store.waiting(selection, 1)?.pop();
        Ok(next.filter(|id| !self.seen.contains(id)))
    }

    fn probe(&mut self, id: &EventId, selection: &Selection) -> Result<Probe, Failure> {
        let Some(waiting) = self.store.load(id, selection)? else {
            return Ok(Probe::Stuck);
        };
        let work = inbox::read_work(&waiting.payload, waiting.received);
        if work.as_ref().is_ok_and(|work| self.drain.is_blocked(work)) {
            return Ok(Probe::Stuck);
        }
        self.seen.insert(id.clone());
        let admitted = work.map_err(|failure| self.unreadable(id, failure));
        self.drain.claim = Claim::Leave(selection.clone());
        Ok(self.work(vec![admitted]))
    }

    fn all(&mut self, selection: &Selection) -> Result<(), Failure> {
        self.drain.claim = Claim::Leave(selection.clone());
        while !self.is_over() {
            // What has failed in this run is not due again, or was seen: so each window brings
            // others, or none.
            let wanted = stream::DOCUMENTS.min(self.limit - self.seen.len()) + self.seen.len();
            let ids = self.store.waiting(selection, wanted)?.into_iter();
            let fresh: Vec<EventId> = ids.filter(|id| !self.seen.contains(id)).collect();
            if fresh.is_empty() {
                break;
            }
            let (mut works, mut bytes) = (Vec::new(), 0);
            for id in fresh {
                if bytes >= stream::BYTES {
                    break;
                }
                if let Some(waiting) = self.store.load(&id, selection)? {
                    bytes += waiting.payload.len();
                    let work = inbox::read_work(&waiting.payload, waiting.received);
                    works.push(work.map_err(|failure| self.unreadable(&id, failure)));
                }
                self.seen.insert(id);
            }
            self.work(works);
        }
        Ok(())
    }

    /// Returns what the last of them says about the others.
    fn work(&mut self, works: Vec<Admitted>) -> Probe {
        let Self {
            console,
            drain,
            tally,
            ..
        } = self;
        let mut probe = Probe::Stuck;
        drain.work(works, &mut |outcome| {
            probe = Probe::of(&outcome.verdict);
            tell(console, tally, &outcome);
            console.flow()
        });
        probe
    }

    /// What the inbox holds was an event when it was taken in.
    fn unreadable(&self, id: &EventId, failure: Failure) -> Box<Outcome> {
        let of = Of {
            event_id: Some(id.to_string()),
            ..Of::default()
        };
        let failed = Outcome::new(of, Verdict::Failed(failure));
        Box::new(self.drain.put_off(id, failed))
    }
}

fn tell(console: &mut Console, tally: &mut Counts, outcome: &Outcome) {
    match &outcome.verdict {
        // That process tells what came of it.
        Verdict::Queued => {
            tally.elsewhere += 1;
            return;
        }
        Verdict::Failed(failure) => {
            tally.failed += 1;
            if failure.is_stop() && console.is_unread() {
                return;
            }
        }
        Verdict::Done | Verdict::Skipped(_) | Verdict::Planned(_) => tally.done += 1,
    }
    console.ended(outcome);
}

fn selections(args: &ReplayArgs) -> Result<Vec<Selection>, Failure> {
    if let Some(id) = &args.event {
        let bad = |_| {
            Failure::new(
                Kind::Usage,
                format!("{id:?} is no event id"),
                "the result of a run names it: event_id",
            )
        };
        let one = EventId::parse(id).map(Selection::One).map_err(bad)?;
        return Ok(vec![one]);
    }
    Ok(match (args.now, args.dead) {
        (true, false) => vec![Selection::Waiting],
        (true, true) => vec![Selection::Waiting, Selection::Dead],
        (false, true) => vec![Selection::Dead],
        (false, false) => vec![Selection::Due],
    })
}
