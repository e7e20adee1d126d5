//! `quotion doctor`: what is set and whether it works, each apart, each with what to do.
//!
//! Asks both vendors and writes to neither; makes no store, but with `--fresh`. Nothing it says is
//! a client's name, number or text, but for `--samples`, which say so first.

mod check;
mod clock;
mod columns;
mod notion;
mod quo;
mod rows;
mod secrets;
mod store;

use std::io::Write;

use crate::cli::DoctorArgs;
use crate::domain::failure::Failure;
use crate::exit;
use crate::services::Services;
use crate::sync;
use crate::time::stop;

use super::console::{self, Console};
use check::{Check, Report};

/// Checks everything and prints what it found.
pub fn run(services: &Services, args: &DoctorArgs, console: &mut Console) {
    stop::watch(exit::NOT_NOW);
    let mut report = Report::default();
    if args.samples > 0 {
        report.add(rows::warning());
    }
    report.add(version());
    settings(services, &mut report);
    report.add(secrets::quo(services));
    report.add(secrets::notion(services));
    if args.fresh {
        report.add(fresh(services));
    }
    report.add(store::check(services));
    notion::check(services, args.samples, &mut report);
    quo::check(services, &mut report);
    report.add(clock::zone(services));
    if console.is_terminal && !args.json {
        // What became of the lines is noted.
        let _ = report
            .lines()
            .iter()
            .try_for_each(|line| console.line(line));
    } else {
        let _ = console.line(&report.json());
    }
    console.conclude(report.code());
}

/// What there is to say where nothing may begin: settings that cannot be believed hide the rest.
/// Returns the exit code.
pub fn refuse(output: &mut dyn Write, failure: &Failure) -> u8 {
    let mut report = Report::default();
    report.add(version());
    report.add(Check::failed("settings", failure));
    console::tell(failure, None);
    // Nobody may be left to read it.
    let _ = writeln!(output, "{}", report.json());
    report.code()
}

fn version() -> Check {
    let commit = option_env!("QUOTION_COMMIT").unwrap_or("not told when it was built");
    let version = env!("CARGO_PKG_VERSION");
    Check::good("version", format!("quotion {version}, commit: {commit}"))
}

fn settings(services: &Services, report: &mut Report) {
    let settings = &services.settings;
    report.add(match settings.check() {
        Ok(()) => Check::good("settings", "all that is set can be used"),
        Err(failure) => Check::failed("settings", &failure),
    });
    for told in &settings.told {
        let name = format!("setting {}", told.name);
        report.add(match &told.value {
            Some(value) => Check::good(&name, format!("{value}; from: {}", told.from)),
            None => Check::unknown(&name, "not set", "set it if it is needed"),
        });
    }
}

fn fresh(services: &Services) -> Check {
    let database = services.settings.clients_database.as_ref();
    let forgotten = services
        .store()
        .and_then(|store| sync::forget_cached(store, database));
    match forgotten {
        Ok(()) => Check::good(
            "fresh",
            "columns, own numbers and contacts are forgotten; pages are looked at again before \
                anything is written",
        ),
        Err(err) => Check::failed("fresh", &err.into()),
    }
}
