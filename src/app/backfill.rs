//! `quotion backfill`: events on stdout and nothing else, whatever happens; the rest goes to
//! stderr.

use crate::backfill::{self, Happening, Options, Scope, Sources, Tally};
use crate::cli::BackfillArgs;
use crate::config;
use crate::failure::{self, Failure, Kind};
use crate::time::stop;

use super::App;

impl App<'_> {
    /// Prints the events. A failure has no line on stdout, where the reader of a pipe would take it
    /// for a payload.
    pub fn backfill(&mut self, args: &BackfillArgs) -> Result<(), Failure> {
        let options = self.options(args)?;
        let access = self.tools.quo_access()?.ok_or_else(|| {
            Failure::config(
                "OPENPHONE_API_KEY is not set",
                "make a key in Quo's workspace settings, under API",
            )
        })?;
        let sources = Sources {
            store: self.tools.store()?,
            vendor: &access.vendor,
            base: &access.base,
            patience: self.tools.config.deadline,
        };
        stop::watch(failure::NOT_NOW);
        let progress = self.console.progress();
        let console = &mut self.console;
        let (tally, ended) = backfill::run(&sources, &options, &mut |happening| match happening {
            Happening::Threads(count) => {
                progress.expect(count);
                Ok(())
            }
            Happening::Done => {
                progress.advance();
                Ok(())
            }
            Happening::Event(event) => console.line(event),
        });
        progress.end();
        self.console
            .summary(&summary(&tally, access.vendor.calls()));
        match ended {
            // The console has told of it, but for a reader that has had enough.
            Err(backfill::Error::Output(_)) => Ok(()),
            ended => Ok(ended?),
        }
    }

    fn options(&self, args: &BackfillArgs) -> Result<Options, Failure> {
        let (name, text, scope) = match (&args.since, &args.pending) {
            (Some(since), None) if args.all => ("--since", since, Scope::All),
            (Some(since), None) => ("--since", since, Scope::Unsynced),
            (None, Some(pending)) => ("--pending", pending, Scope::Pending),
            _ => {
                let hint = "quotion backfill --since 24h, or quotion backfill --pending 7d";
                return Err(Failure::new(
                    Kind::Usage,
                    "either --since or --pending is needed",
                    hint,
                ));
            }
        };
        let clock = config::Clock {
            now: (self.now)(),
            zone: self.tools.config.zone(),
        };
        let from = config::moment(text, name, &clock)?;
        let until = args.until.as_deref();
        let to = until.map(|until| config::moment(until, "--until", &clock));
        let to = to.transpose()?.unwrap_or(clock.now);
        if to <= from {
            let hint = format!("{name} says where to begin, --until where to end");
            return Err(Failure::new(
                Kind::Usage,
                format!("{name} is not further back than --until"),
                hint,
            ));
        }
        let mut numbers = args.number.clone();
        numbers.sort();
        // As typed: the same command finds its mark again, though its moments have moved on.
        let until = until.unwrap_or_default();
        let key = format!("backfill:{scope:?}:{text}:{until}:{}", numbers.join(","));
        Ok(Options {
            from,
            to,
            numbers,
            scope,
            key,
        })
    }
}

fn summary(tally: &Tally, requests: u64) -> String {
    let some = |text: &str, count: usize| {
        if count == 0 {
            String::new()
        } else {
            format!("; {text}: {count}")
        }
    };
    format!(
        "backfill: events: {}; conversations: {}{}{}{}; requests: {requests}",
        tally.events,
        tally.threads,
        some("synced before", tally.synced),
        some("groups, whose calls Quo does not list", tally.groups),
        some("refused", tally.refused),
    )
}
