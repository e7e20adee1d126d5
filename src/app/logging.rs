//! Where and how logs go: flags beat environment, and a word that means nothing costs one warning.

use std::ffi::OsString;

use jiff::Timestamp;
use log::LevelFilter;

use crate::cli::{self, Args, LogFormat, LogTo, Word};
use crate::config::Environment;
use crate::logs::{self, Filter, Format, Target};

use super::console::Meaning;

/// Starts logging. `args` are missing where the command line cannot be read as a whole; then its
/// `words` count. Returns true if logs go to standard output.
pub fn start(
    args: Option<&Args>,
    words: &[OsString],
    environment: &Environment,
    clock: fn() -> Timestamp,
) -> bool {
    let mut complaints = Vec::new();
    let (to, format) = match args {
        Some(args) => (args.log_to, args.log_format),
        None => cli::log_choice(words),
    };
    let to = to.or_else(|| word(environment.log_to(), &mut complaints));
    let format = format.or_else(|| word(environment.log_format(), &mut complaints));
    let filter = filter(args, environment, &mut complaints);
    let target = match Meaning::of(args, words) {
        Meaning::Results => to.unwrap_or(LogTo::Stderr),
        Meaning::Events => LogTo::Stderr,
    };
    let format = format.unwrap_or(LogFormat::Text);
    logs::start(Target::from(target), Format::from(format), &filter, clock);
    for complaint in complaints {
        logs::warning(&complaint);
    }
    target == LogTo::Stdout
}

fn word<T: Word>(said: Option<(&'static str, &str)>, complaints: &mut Vec<String>) -> Option<T> {
    let (name, word) = said?;
    let value = cli::parse(word);
    if value.is_none() {
        complaints.push(format!(
            "{name} is set to a word that means nothing, and is left out"
        ));
    }
    value
}

fn filter(args: Option<&Args>, environment: &Environment, complaints: &mut Vec<String>) -> Filter {
    match args.map_or((false, 0), |args| (args.quiet, args.verbose)) {
        (true, _) => return Filter::only_errors(),
        (false, 0) => {}
        (false, 1) => return Filter::from(LevelFilter::Info),
        (false, _) => return Filter::from(LevelFilter::Debug),
    }
    let Some((name, level)) = environment.log_level() else {
        return Filter::from(LevelFilter::Warn);
    };
    level.parse().unwrap_or_else(|()| {
        complaints.push(format!(
            "{name} is set to no level, and warn is used: there are error, warn, info and debug"
        ));
        Filter::from(LevelFilter::Warn)
    })
}
