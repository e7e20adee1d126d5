//! `quotion backfill`: events on stdout and nothing else, whatever happens; the rest goes to
//! stderr.

use std::io::Write;

use crate::backfill::{self, Happening, Options, Scope, Sources, Tally};
use crate::cli::BackfillArgs;
use crate::config;
use crate::failure::{Failure, Kind};
use crate::json_line;

use super::progress::Progress;
use super::{App, log_failure};

impl App<'_> {
    /// Prints the events. A failure has no line on stdout, where the reader of a pipe would take it
    /// for a payload.
    pub fn backfill(&mut self, args: &BackfillArgs) {
        let Err(failure) = self.print_events(args) else {
            return;
        };
        log_failure(&failure, None);
        if failure.is_critical() {
            self.critical(
                failure.kind.name(),
                &failure.message,
                None,
                failure.request_id.as_deref(),
            );
        }
        self.worst = failure.exit_code();
    }

    fn print_events(&mut self, args: &BackfillArgs) -> Result<(), Failure> {
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
        let progress = Progress::start();
        let output = &mut self.output;
        let (tally, ended) = backfill::run(&sources, &options, &mut |happening| match happening {
            Happening::Threads(count) => {
                progress.expect(count);
                Ok(())
            }
            Happening::Done => {
                progress.advance();
                Ok(())
            }
            Happening::Event(event) => {
                writeln!(output, "{}", json_line::render(event)).and_then(|()| output.flush())
            }
        });
        progress.end();
        eprint_summary(&tally, access.vendor.calls());
        match ended {
            // As with every line: whoever closed the pipe knows.
            Err(err @ backfill::Error::Output(_)) => {
                let failure = Failure::from(err);
                log_failure(&failure, None);
                self.worst = failure.exit_code();
                Ok(())
            }
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

/// The summary is for the person, whatever the log level.
#[expect(clippy::print_stderr, reason = "a summary is not a log line")]
fn eprint_summary(tally: &Tally, requests: u64) {
    let some = |text: &str, count: usize| {
        if count == 0 {
            String::new()
        } else {
            format!("; {text}: {count}")
        }
    };
    eprintln!(
        "backfill: events: {}; conversations: {}{}{}{}; requests: {requests}",
        tally.events,
        tally.threads,
        some("synced before", tally.synced),
        some("groups, whose calls Quo does not list", tally.groups),
        some("refused", tally.refused),
    );
}
