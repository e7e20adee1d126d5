//! Logs: to standard error (or, if asked, standard output), as text or as JSON lines.
//!
//! Every line has its time and stands in the chosen form. Errors, hints and summaries are told
//! whatever the level: a level chooses among warnings and what is finer.

use std::io::Write;
use std::str::FromStr;

use env_logger::{Builder, fmt::Formatter};
use jiff::Timestamp;
use log::{Level, LevelFilter, Record};
use serde_json::json;

use crate::cli::{LogFormat, LogTo};
use crate::json_line;
use crate::text;

pub use env_logger::Target;

/// Origin of the lines that no level takes away.
const TOLD: &str = "quotion::told";
/// Stands between a message and its hint, which are one record; no message holds it.
const HINT: &str = "\nhint: ";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged: a level for all, or for parts of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    rest: LevelFilter,
    parts: Vec<(String, LevelFilter)>,
    only_errors: bool,
}

impl Filter {
    /// From that level on, everywhere.
    pub fn from(level: LevelFilter) -> Self {
        Self {
            rest: level,
            parts: Vec::new(),
            only_errors: false,
        }
    }

    /// Errors, and neither summaries nor notes.
    pub fn only_errors() -> Self {
        Self {
            only_errors: true,
            ..Self::from(LevelFilter::Error)
        }
    }
}

/// A level (`info`), or levels of parts (`warn,quotion::http=debug`). `Err` if a word is no level.
impl FromStr for Filter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut filter = Self::from(LevelFilter::Warn);
        for word in text.split(',').map(str::trim) {
            match word.split_once('=') {
                None => filter.rest = level(word)?,
                Some((part, word)) => filter.parts.push((part.trim().into(), level(word)?)),
            }
        }
        Ok(filter)
    }
}

/// Errors are told at every level.
fn level(word: &str) -> Result<LevelFilter, ()> {
    let word = word.trim().to_ascii_lowercase();
    let level = match word.as_str() {
        "warning" => LevelFilter::Warn,
        "none" => LevelFilter::Off,
        word => word.parse().map_err(|_| ())?,
    };
    Ok(level.max(LevelFilter::Error))
}

/// Starts logging. Each line has the time of `clock`, to the millisecond.
pub fn start(target: Target, format: Format, filter: &Filter, clock: fn() -> Timestamp) {
    let mut builder = Builder::new();
    builder.target(target).filter_level(filter.rest);
    for (part, level) in &filter.parts {
        builder.filter_module(part, *level);
    }
    // These print whole addresses and numbers, at their finest level keys.
    for library in ["ureq", "ureq_proto", "rustls", "rlibphonenumber"] {
        builder.filter_module(library, LevelFilter::Warn.min(filter.rest));
    }
    let told = if filter.only_errors {
        LevelFilter::Error
    } else {
        LevelFilter::Info
    };
    builder.filter_module(TOLD, told);
    builder.format(move |out, record| match format {
        Format::Text => as_text(out, record, clock()),
        Format::Json => as_json(out, record, clock()),
    });
    // Logging that was started before stays as it is.
    let _ = builder.try_init();
}

/// Tells an error with what to do next, whatever the level.
pub fn error(message: &str, hint: &str) {
    let message = escaped(message);
    log::error!(target: TOLD, "{message}{HINT}{hint}");
}

/// Tells what a person should know, whatever the level.
pub fn warning(message: &str) {
    log::warn!(target: TOLD, "{message}");
}

/// Tells what a command has done, whatever the level.
pub fn summary(message: &str) {
    log::info!(target: TOLD, "{message}");
}

/// The message of a record, and its hint if it has one.
fn parts(record: &Record) -> (String, Option<String>) {
    let whole = record.args().to_string();
    match whole.split_once(HINT) {
        Some((message, hint)) if record.target() == TOLD && record.level() == Level::Error => {
            (message.to_owned(), Some(hint.to_owned()))
        }
        Some(_) | None => (whole, None),
    }
}

fn as_text(out: &mut Formatter, record: &Record, now: Timestamp) -> std::io::Result<()> {
    let style = out.default_level_style(record.level());
    let (message, hint) = parts(record);
    let message = escaped(&message);
    let hint = hint.map_or(String::new(), |hint| format!("; hint: {}", escaped(&hint)));
    let level = record.level();
    writeln!(out, "{now:.3} {style}{level}{style:#} {message}{hint}")
}

fn as_json(out: &mut Formatter, record: &Record, now: Timestamp) -> std::io::Result<()> {
    let (message, hint) = parts(record);
    let mut line = json!({"time": format!("{now:.3}"), "level": record.level().as_str(),
        "module": record.target(), "message": message});
    if let Some(hint) = hint {
        line["hint"] = json!(hint);
    }
    writeln!(out, "{}", json_line::render(&line))
}

/// Text of a payload is data: what a terminal would obey, or a reader of lines, is shown.
fn escaped(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    for c in message.chars() {
        if text::is_control(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl From<LogTo> for Target {
    fn from(to: LogTo) -> Self {
        match to {
            LogTo::Stderr => Self::Stderr,
            LogTo::Stdout => Self::Stdout,
        }
    }
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, rest: Option<LevelFilter>) {
        let found = text.parse::<Filter>();
        assert_eq!(found.ok().map(|filter| filter.rest), rest, "{text}");
    }

    #[test]
    fn level_is_a_word_in_any_case_and_never_hides_errors() {
        check("info", Some(LevelFilter::Info));
        check(" Warning ", Some(LevelFilter::Warn));
        check("WARN", Some(LevelFilter::Warn));
        check("trace", Some(LevelFilter::Trace));
        for nothing in ["off", "none", "error"] {
            check(nothing, Some(LevelFilter::Error));
        }
        for wrong in [
            "",
            "loud",
            "5",
            "warm",
            "info,loud",
            "quotion::http=loud",
            "info;warn",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn parts_of_the_program_have_levels_of_their_own() {
        let filter: Filter = "info, quotion::http=debug,quo=off"
            .parse()
            .expect("a filter");
        let part = |name: &str, level| (name.to_owned(), level);
        assert_eq!(
            (filter.rest, filter.parts),
            (
                LevelFilter::Info,
                vec![
                    part("quotion::http", LevelFilter::Debug),
                    part("quo", LevelFilter::Error)
                ]
            )
        );
    }
}
