//! `quotion replay`: finish what is queued, or has failed and is due again; or sync saved files.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use crate::cli::ReplayArgs;
use crate::delivery::{self, Claim};
use crate::domain::id::EventId;
use crate::domain::outcome::Outcome;
use crate::failure::{Failure, Kind};
use crate::store::{Selection, Waiting};

use super::{App, Item, Tally, Treatment, stream};

impl App<'_> {
    pub fn replay(
        &mut self,
        args: &ReplayArgs,
        input: &mut (dyn Read + Send),
    ) -> Result<(), Failure> {
        if !args.files.is_empty() {
            return self.replay_files(args, input);
        }
        self.tools.config.check()?;
        let tally = self.replay_inbox(args)?;
        let store = self.tools.store()?;
        store.expire(self.tools.config.keep_done())?;
        let waiting = store.count(&Selection::All)?;
        let elsewhere = match tally.elsewhere {
            0 => String::new(),
            count => format!(", {count} in the hands of another process"),
        };
        eprint_summary(&format!(
            "replay: {} done, {} failed{elsewhere}; {waiting} in the inbox",
            tally.done, tally.kept
        ));
        Ok(())
    }

    fn replay_files(
        &mut self,
        args: &ReplayArgs,
        input: &mut (dyn Read + Send),
    ) -> Result<(), Failure> {
        for path in &args.files {
            if path.as_os_str() == "-" {
                self.sync_each(&mut *input, Treatment::Sync);
                continue;
            }
            let file = File::open(path).map_err(|err| {
                Failure::new(
                    Kind::Store,
                    format!("cannot read {}: {err}", path.display()),
                    "check the path",
                )
            })?;
            self.sync_each(file, Treatment::Sync);
        }
        Ok(())
    }

    fn replay_inbox(&mut self, args: &ReplayArgs) -> Result<Tally, Failure> {
        let selection = selection(args)?;
        let mut tally = Tally::default();
        let mut seen: HashSet<EventId> = HashSet::new();
        while seen.len() < args.limit {
            // What has failed in this run is not due again, or was seen: so each round brings
            // others, or none.
            let wanted = stream::DOCUMENTS.min(args.limit - seen.len()) + seen.len();
            let ids = self.tools.store()?.waiting(&selection, wanted)?;
            let fresh: Vec<EventId> = ids.into_iter().filter(|id| !seen.contains(id)).collect();
            if fresh.is_empty() {
                break;
            }
            let (mut items, mut bytes) = (Vec::new(), 0);
            for id in fresh {
                if bytes >= stream::BYTES {
                    break;
                }
                if let Some(waiting) = self.tools.store()?.load(&id, &selection)? {
                    bytes += waiting.payload.len();
                    items.push(self.take_out(&waiting)?);
                }
                seen.insert(id);
            }
            let round = self.work_on(items, Claim::Leave(&selection));
            tally.done += round.done;
            tally.kept += round.kept;
            tally.elsewhere += round.elsewhere;
        }
        Ok(tally)
    }

    fn take_out(&self, waiting: &Waiting) -> Result<Item, Failure> {
        match delivery::read_work(&waiting.payload, waiting.received) {
            Ok(work) => Ok(Item::Work(work)),
            Err(failure) => {
                let outcome = Outcome {
                    event_id: Some(waiting.id.to_string()),
                    ..Outcome::default()
                };
                let (store, patience) = (self.tools.store()?, self.tools.config.patience());
                let unfinished = delivery::postpone(
                    store,
                    &waiting.id,
                    (Box::new((failure, outcome)), patience),
                );
                Ok(Item::Ended(Err(unfinished)))
            }
        }
    }
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

/// The summary is for the person, whatever the log level.
#[expect(clippy::print_stderr, reason = "a summary is not a log line")]
fn eprint_summary(text: &str) {
    eprintln!("{text}");
}
