//! What the outside sees of a run: result lines, the exit code, what is told on stderr, alerts, and
//! how far a long run has got.
//!
//! Apart because every command ends in the same ways: a reader that has gone, a disk that is full,
//! a signal, a failure that the operator must see.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;

use crate::critical;
use crate::domain::outcome::{Outcome, Warning, WarningCode};
use crate::failure::{self, Failure, Kind};
use crate::logs;
use crate::report;
use crate::time::{self, stop};

use super::progress::Progress;
use super::tools::Tools;

/// The outside.
pub struct Console<'a> {
    output: &'a mut dyn Write,
    clock: fn() -> Timestamp,
    command: &'static str,
    began: Instant,
    /// True if no progress is drawn.
    pub quiet: bool,
    /// True if the last line is held back, so that whatever is logged stands before it: whoever
    /// captures both takes the last line for the result.
    pub holds: bool,
    held: Option<String>,
    worst: u8,
    lines: usize,
    failures: usize,
    /// Set when nobody reads what is written.
    gone: Arc<AtomicBool>,
    /// Kinds of failure that the chat has been told of.
    alerted: BTreeSet<&'static str>,
    /// Warnings that were logged, with the column that each is about.
    warned: BTreeSet<(WarningCode, Option<String>)>,
}

impl<'a> Console<'a> {
    /// The console of a command that begins.
    pub fn new(output: &'a mut dyn Write, clock: fn() -> Timestamp, command: &'static str) -> Self {
        log::info!("{command} begins");
        Self {
            output,
            clock,
            command,
            began: time::now(),
            quiet: false,
            holds: false,
            held: None,
            worst: 0,
            lines: 0,
            failures: 0,
            gone: Arc::default(),
            alerted: BTreeSet::new(),
            warned: BTreeSet::new(),
        }
    }

    /// The exit code as far as it is known.
    pub fn worst(&self) -> u8 {
        self.worst
    }

    /// True when nothing more is to be begun: nobody reads, or the program was told to stop.
    pub fn is_over(&self) -> bool {
        stop::is_told() || self.is_unread()
    }

    /// True when nobody reads what is written.
    pub fn is_unread(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Set when nobody reads what is written; for who reads the input.
    pub fn gone(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.gone)
    }

    /// Writes a line. A reader that has gone has had enough, and ends the run; output that cannot
    /// be written is as bad as a file that cannot.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.lines += 1;
        if !self.holds {
            return self.write(line);
        }
        match self.held.replace(line.to_owned()) {
            Some(before) => self.write(&before),
            None => Ok(()),
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.is_unread() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let written = writeln!(self.output, "{line}").and_then(|()| self.output.flush());
        match &written {
            Ok(()) => {}
            Err(err) if err.kind() == ErrorKind::BrokenPipe => {
                self.gone.store(true, Ordering::Relaxed);
            }
            Err(err) => self.unwritten(err),
        }
        written
    }

    fn unwritten(&mut self, err: &io::Error) {
        let hint = "check the free space where standard output goes, and the limits of the process";
        let message = format!("cannot write to standard output: {err}");
        self.tell(&Failure::new(Kind::Store, message, hint), None);
    }

    /// Tells of an event that succeeded.
    pub fn success(&mut self, tools: &Tools, outcome: &Outcome) {
        self.sound_alarms(tools, outcome);
        self.warn(outcome);
        let first = outcome.synced.first();
        let name = first.map_or("nothing to do", |synced| synced.client_name.as_str());
        let (kind, id) = (outcome.event_type.as_deref(), outcome.event_id.as_deref());
        log::info!("{} {}: {name}", kind.unwrap_or("?"), id.unwrap_or("?"));
        // What became of the line is noted.
        let _ = self.line(&report::success(outcome));
    }

    /// Tells of a failure, with its result line.
    pub fn failure(&mut self, tools: &Tools, failure: &Failure, outcome: &Outcome) {
        self.sound_alarms(tools, outcome);
        self.warn(outcome);
        self.fail(tools, failure, outcome.event_id.as_deref());
        let _ = self.line(&report::failure(failure, outcome));
    }

    /// Tells of a failure, without a line on standard output.
    pub fn fail(&mut self, tools: &Tools, failure: &Failure, event_id: Option<&str>) {
        self.failures += 1;
        self.tell(failure, event_id);
        if failure.is_critical() {
            let kind = failure.kind.name();
            let line = critical::Line {
                at: (self.clock)(),
                kind,
                message: &failure.message,
                event_id,
                request_id: failure.request_id.as_deref(),
            };
            self.critical(tools, &line, kind);
        }
    }

    fn tell(&mut self, failure: &Failure, event_id: Option<&str>) {
        tell(failure, event_id);
        self.worst = failure::worst(self.worst, failure.exit_code());
    }

    /// Each warning once: cron throws standard output away. Of what is not synced nobody misses a
    /// part.
    fn warn(&mut self, outcome: &Outcome) {
        let warnings = outcome.skipped.is_none().then_some(&outcome.warnings);
        for warning in warnings.into_iter().flatten() {
            let Warning {
                code,
                property,
                message,
            } = warning;
            if self.warned.insert((*code, property.clone())) {
                let column = property
                    .as_ref()
                    .map_or(String::new(), |name| format!(" {name:?}"));
                log::warn!("{}{column}: {message}", code.name());
            }
        }
    }

    fn sound_alarms(&mut self, tools: &Tools, outcome: &Outcome) {
        for alarm in &outcome.alarms {
            let line = critical::Line {
                at: (self.clock)(),
                kind: alarm.kind.name(),
                message: &alarm.message,
                event_id: outcome.event_id.as_deref(),
                request_id: None,
            };
            self.critical(tools, &line, alarm.kind.name());
        }
    }

    /// Every failure gets its line; the chat hears of each kind once, however many events fail the
    /// same way.
    fn critical(&mut self, tools: &Tools, line: &critical::Line, kind: &'static str) {
        let config = &tools.config;
        if config.dry_run {
            return;
        }
        critical::log(&config.dir, line);
        if !self.alerted.insert(kind) {
            return;
        }
        match config.alert() {
            Ok(Some(url)) => critical::alert(&tools.agent, url, &config.dir, kind),
            Ok(None) => {}
            Err(failure) => tell(&failure, None),
        }
    }

    /// Tells what the command has done.
    pub fn summary(&self, text: &str) {
        if !self.is_unread() {
            logs::summary(text);
        }
    }

    /// A bar for a long run, where somebody watches.
    pub fn progress(&self) -> Progress {
        if self.quiet {
            Progress::none()
        } else {
            Progress::start()
        }
    }

    /// The command has ended. Returns the exit code.
    pub fn end(mut self) -> u8 {
        if stop::is_told() && self.worst == 0 {
            self.tell(&Failure::stopped(), None);
        }
        log::info!(
            "{} ends with exit code {}: {} lines, {} failures, in {:.3} s",
            self.command,
            self.worst,
            self.lines,
            self.failures,
            time::since(self.began).as_secs_f64()
        );
        if let Some(line) = self.held.take() {
            let _ = self.write(&line);
        }
        self.worst
    }
}

/// Tells of a failure and what to do next.
pub fn tell(failure: &Failure, event_id: Option<&str>) {
    let event = event_id.map_or(String::new(), |id| format!("{id}: "));
    logs::error(&format!("{event}{failure}"), &failure.hint);
}

/// Tells of a failure that comes before any document, with its result line. Returns the exit code.
pub fn refuse(output: &mut dyn Write, failure: &Failure) -> u8 {
    tell(failure, None);
    let line = report::failure(failure, &Outcome::default());
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => {
            logs::error(&format!("cannot write to standard output: {err}"), "");
        }
        Ok(()) | Err(_) => {}
    }
    failure.exit_code()
}
