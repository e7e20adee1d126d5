//! `quotion status`: what happened, what is stuck and why, how fast. Reads the store and nothing
//! else, and changes nothing.

mod overview;
mod screen;
mod trace;

use crate::cli::StatusArgs;
use crate::domain::failure::{Failure, Kind};
use crate::exit;
use crate::json_line;
use crate::logs;
use crate::services::Services;
use crate::time::{self, stop};

use super::console::Console;
use overview::Overview;
use screen::Screen;

/// Prints it.
pub fn run(services: &Services, args: &StatusArgs, console: &mut Console) -> Result<(), Failure> {
    stop::watch(exit::NOT_NOW);
    let store = services.store()?;
    if store.is_blank() {
        logs::summary("there is no store of this version yet; the first event or replay makes it");
    }
    let is_screen = console.is_terminal && !args.json;
    let screen = Screen {
        zone: &services.settings.zone,
        in_colour: services.settings.in_colour,
        now: time::timestamp(),
    };
    if let Some(wanted) = trace::wanted(args)? {
        let trace = trace::of(store, &wanted)?;
        if is_screen {
            print(console, &screen.of_trace(&trace));
        } else {
            print(console, &[json_line::render(&trace)]);
        }
        return Ok(());
    }
    let overview = overview::of(store)?;
    if is_screen {
        print(console, &screen.of_all(&overview));
    } else {
        print(console, &[json_line::render(&overview)]);
    }
    match alarm(&overview) {
        Some(failure) if args.check => console.failed(&failure, None),
        Some(_) | None => {}
    }
    Ok(())
}

/// What became of a line is noted by the console.
fn print(console: &mut Console, lines: &[String]) {
    for line in lines {
        let _ = console.line(line);
    }
}

/// What a monitor is to be told: something is stuck, or has waited for too long.
fn alarm(overview: &Overview) -> Option<Failure> {
    let (held, dead) = (overview.held(), overview.dead());
    let hint = "quotion status shows what and why";
    if held + dead > 0 {
        let message = format!("{held} held, {dead} dead");
        return Some(Failure::new(Kind::Refused, message, hint));
    }
    let late = overview.late;
    (late > 0).then(|| {
        let message = format!("{late} waiting for over an hour");
        Failure::new(Kind::Unavailable, message, hint)
    })
}
