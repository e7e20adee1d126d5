//! Logs: to standard error (or, if asked, standard output), as text or as JSON lines.

use std::io::Write;

use env_logger::{Builder, fmt::Formatter};
use jiff::Timestamp;
use log::{LevelFilter, Record};
use serde_json::json;

use crate::cli::{LogFormat, LogTo};
use crate::json_line;
use crate::text;

pub use env_logger::Target;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `filter` is in the syntax of `env_logger`; what it does not understand is
/// ignored with a note. Each line has the time of `clock`, to the millisecond.
pub fn start(target: Target, format: Format, filter: &str, clock: fn() -> Timestamp) {
    let mut builder = Builder::new();
    builder.parse_filters(filter).target(target);
    // These print whole addresses and numbers, at their finest level keys; the store's migrations
    // are no news.
    for library in ["ureq", "ureq_proto", "rustls", "rlibphonenumber"] {
        builder.filter_module(library, LevelFilter::Warn);
    }
    builder.format(move |out, record| match format {
        Format::Text => text(out, record, clock()),
        Format::Json => as_json(out, record, clock()),
    });
    // Logging that was started before stays as it is.
    let _ = builder.try_init();
}

fn text(out: &mut Formatter, record: &Record, now: Timestamp) -> std::io::Result<()> {
    let style = out.default_level_style(record.level());
    let message = escaped(&record.args().to_string());
    // Errors are ours and have their hint on a second line; elsewhere a line end comes from a
    // payload.
    if record.level() == log::Level::Error {
        return writeln!(out, "{style}quotion:{style:#} {message}");
    }
    let message = message.replace('\n', "\\n");
    writeln!(
        out,
        "{now:.3} {style}{:5}{style:#} {message}",
        record.level()
    )
}

fn as_json(out: &mut Formatter, record: &Record, now: Timestamp) -> std::io::Result<()> {
    let time = format!("{now:.3}");
    let message = record.args().to_string();
    let line = json!({"time": time, "level": record.level().as_str(), "module": record.target(),
        "message": message});
    writeln!(out, "{}", json_line::render(&line))
}

/// Text of a payload is data: what a terminal would obey is shown.
fn escaped(message: &str) -> String {
    let escape = |c: char| {
        if text::is_control(c) && c != '\n' {
            c.escape_default().collect()
        } else {
            vec![c]
        }
    };
    message.chars().flat_map(escape).collect()
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
