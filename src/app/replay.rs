//! `quotion replay`: finish what is queued, or has failed and is due again; or sync saved files.

use std::collections::HashSet;

use crate::cli::ReplayArgs;
use crate::domain::failure::{Failure, Kind};
use crate::domain::id::EventId;
use crate::domain::outcome::{Of, Outcome, Verdict};
use crate::exit;
use crate::inbox::{self, Admitted, Claim, Drain, spool};
use crate::logs;
use crate::services::Services;
use crate::store::{EventState, Selection, Store};
use crate::time::stop;

use super::console::Console;
use super::input::Input;
use super::intake::{Intake, Treatment};
use super::stream;

/// What came of a replay.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    /// In the hands of another process.
    elsewhere: usize,
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
    let selection = selection(args)?;
    expect_known(store, &selection)?;
    let mut round = Round {
        store,
        console,
        drain: Drain::new(services, Claim::Leave(&selection)),
        selection: &selection,
        tally: Counts::default(),
    };
    round.all(args.limit)?;
    let Counts {
        done,
        failed,
        elsewhere,
    } = round.tally;
    if !services.settings.dry_run {
        store.expire(services.settings.keep_done)?;
    }
    let waiting = store.count(&Selection::All)?;
    let dead = match store.count(&Selection::Dead)? {
        0 => String::new(),
        count => format!(", {count} dead (quotion replay --dead tries again)"),
    };
    let done_word = if services.settings.dry_run {
        "planned"
    } else {
        "done"
    };
    let elsewhere = match elsewhere {
        0 => String::new(),
        count => format!(", {count} in the hands of another process"),
    };
    console.summary(&format!(
        "replay: {done} {done_word}, {failed} failed{elsewhere}; {waiting} in the inbox{dead}"
    ));
    Ok(())
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
        Some(EventState::Waiting { .. } | EventState::Dead) => {}
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
    drain: Drain<'c>,
    selection: &'c Selection,
    tally: Counts,
}

impl Round<'_, '_> {
    fn all(&mut self, limit: usize) -> Result<(), Failure> {
        let mut seen: HashSet<EventId> = HashSet::new();
        while seen.len() < limit && !self.console.is_over() {
            // What has failed in this run is not due again, or was seen: so each window brings
            // others, or none.
            let wanted = stream::DOCUMENTS.min(limit - seen.len()) + seen.len();
            let ids = self.store.waiting(self.selection, wanted)?;
            let fresh: Vec<EventId> = ids.into_iter().filter(|id| !seen.contains(id)).collect();
            if fresh.is_empty() {
                break;
            }
            let (mut works, mut bytes) = (Vec::new(), 0);
            for id in fresh {
                if bytes >= stream::BYTES {
                    break;
                }
                if let Some(waiting) = self.store.load(&id, self.selection)? {
                    bytes += waiting.payload.len();
                    let work = inbox::read_work(&waiting.payload, waiting.received);
                    works.push(work.map_err(|failure| self.unreadable(&id, failure)));
                }
                seen.insert(id);
            }
            self.work(works);
        }
        Ok(())
    }

    fn work(&mut self, works: Vec<Admitted>) {
        let Self {
            console,
            drain,
            tally,
            ..
        } = self;
        drain.work(works, &mut |outcome| {
            tell(console, tally, &outcome);
            console.flow()
        });
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

fn selection(args: &ReplayArgs) -> Result<Selection, Failure> {
    if let Some(id) = &args.event {
        let bad = |_| {
            Failure::new(
                Kind::Usage,
                format!("{id:?} is no event id"),
                "the result of a run names it: event_id",
            )
        };
        return EventId::parse(id).map(Selection::One).map_err(bad);
    }
    Ok(match (args.now, args.dead) {
        (true, _) => Selection::All,
        (false, true) => Selection::Dead,
        (false, false) => Selection::Due,
    })
}
