//! `quotion replay`: finish what is queued, or has failed and is due again; or sync saved files.

use std::collections::HashSet;

use crate::cli::ReplayArgs;
use crate::delivery::{self, Claim};
use crate::domain::id::EventId;
use crate::domain::outcome::Outcome;
use crate::failure::{Failure, Kind};
use crate::logs;
use crate::store::{Selection, Standing, Waiting};

use super::{App, Input, Item, Tally, Treatment, stream};

impl App<'_> {
    pub fn replay(&mut self, args: &ReplayArgs, input: Input) -> Result<(), Failure> {
        if !args.files.is_empty() {
            self.replay_files(args, input);
            return Ok(());
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
        self.console.summary(&format!(
            "replay: {} done, {} failed{elsewhere}; {waiting} in the inbox",
            tally.done, tally.kept
        ));
        Ok(())
    }

    /// Each file by itself: one that cannot be read does not cost the others.
    fn replay_files(&mut self, args: &ReplayArgs, input: Input) {
        let mut input = Some(input);
        for path in &args.files {
            if self.console.is_over() {
                return;
            }
            let opened = match input.take_if(|_| path.as_os_str() == "-") {
                Some(input) => Ok(input),
                None => Input::open(path.clone(), self.console.gone()),
            };
            match opened {
                Ok(input) => self.sync_each(input, Treatment::Sync),
                Err(err) => {
                    let message = format!("cannot read {}: {err}", path.display());
                    let failure = Failure::new(Kind::Store, message, "check the path");
                    self.console
                        .failure(&self.tools, &failure, &Outcome::default());
                }
            }
        }
    }

    /// Whoever names an event means one that is there.
    fn expect_known(&self, selection: &Selection) -> Result<(), Failure> {
        let Selection::One(id) = selection else {
            return Ok(());
        };
        match self.tools.store()?.standing(id)? {
            Some(Standing::Done(_)) => logs::summary(&format!("{id} is done already")),
            Some(Standing::Waiting { .. } | Standing::Dead) => {}
            None => {
                let message = format!("{id} is not in the inbox");
                let hint = "the result of a run names it (event_id); what was skipped is not kept, \
                    and --dir and --state say which inbox is meant";
                return Err(Failure::new(Kind::Usage, message, hint));
            }
        }
        Ok(())
    }

    fn replay_inbox(&mut self, args: &ReplayArgs) -> Result<Tally, Failure> {
        let selection = selection(args)?;
        self.expect_known(&selection)?;
        let mut tally = Tally::default();
        let mut seen: HashSet<EventId> = HashSet::new();
        while seen.len() < args.limit && !self.console.is_over() {
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
                let unfinished =
                    delivery::postpone(store, &waiting.id, Box::new((failure, outcome)), patience);
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
