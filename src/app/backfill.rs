//! `quotion backfill`: events on stdout and nothing else, whatever happens; the rest goes to
//! stderr.

use crate::backfill::{self, Begin, Forecast, Happening, Options, Scope, Tally};
use crate::cli::BackfillArgs;
use crate::config;
use crate::domain::failure::{Failure, Kind};
use crate::exit;
use crate::services::Services;
use crate::time::{self, stop};

use super::console::Console;

/// Prints the events.
pub fn run(services: &Services, args: &BackfillArgs, console: &mut Console) -> Result<(), Failure> {
    stop::watch(exit::NOT_NOW);
    let options = options(services, args)?;
    let progress = console.progress();
    let found = backfill::run(services, &options, &mut |happening| match happening {
        Happening::Threads(count) => {
            progress.expect(count);
            Ok(())
        }
        Happening::Forecast(forecast) => {
            console.summary(&expected(&forecast));
            Ok(())
        }
        Happening::Done => {
            progress.advance();
            Ok(())
        }
        Happening::Event(event) => console.line(event),
    });
    progress.end();
    let (tally, ended) = found?;
    console.summary(&summary(&tally));
    match ended {
        // The console has told of it, but for a reader that has had enough.
        Err(backfill::Error::Output(_)) => Ok(()),
        ended => Ok(ended?),
    }
}

fn options(services: &Services, args: &BackfillArgs) -> Result<Options, Failure> {
    let scope = if args.all {
        Scope::All
    } else {
        Scope::Unsynced
    };
    let (name, text, scope) = match (&args.since, &args.pending) {
        (None, None) => ("--since", None, scope),
        (Some(since), None) => ("--since", Some(since), scope),
        (None, Some(pending)) => ("--pending", Some(pending), Scope::Pending),
        (Some(_), Some(_)) => {
            let hint = "quotion backfill --since 24h, or quotion backfill --pending 7d";
            let message = "either --since or --pending, not both";
            return Err(Failure::new(Kind::Usage, message, hint));
        }
    };
    let clock = config::Clock {
        now: time::timestamp(),
        zone: services.settings.zone.clone(),
    };
    let from = text.map(|text| config::moment(text, name, &clock));
    let from = from.transpose()?;
    let until = args.until.as_deref();
    let to = until.map(|until| config::moment(until, "--until", &clock));
    let to = to.transpose()?.unwrap_or(clock.now);
    if from.is_some_and(|from| to <= from) {
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
    let is_narrow = until.is_some() || !numbers.is_empty() || scope == Scope::Pending;
    let until = until.unwrap_or_default();
    let text = text.map_or("", String::as_str);
    let key = format!("backfill:{scope:?}:{text}:{until}:{}", numbers.join(","));
    Ok(Options {
        begin: from.map_or(Begin::LastTime, Begin::At),
        to,
        numbers,
        scope,
        key,
        is_narrow,
    })
}

fn expected(forecast: &Forecast) -> String {
    let Forecast {
        threads,
        events,
        quo_minutes,
        notion_minutes,
    } = forecast;
    format!(
        "forecast: conversations: {threads}; events: about {events}; minutes: {quo_minutes} at \
            Quo's rate, {notion_minutes} at Notion's"
    )
}

fn summary(tally: &Tally) -> String {
    let some = |text: &str, count: usize| {
        if count == 0 {
            String::new()
        } else {
            format!("; {text}: {count}")
        }
    };
    format!(
        "backfill: events: {}; conversations: {}{}{}{}; requests: {}",
        tally.events,
        tally.threads,
        some("synced before", tally.synced),
        some("groups, whose calls Quo does not list", tally.groups),
        some("refused", tally.refused),
        tally.requests,
    )
}
