//! What the outside sees of a run: result lines, the exit code, what is told on stderr, alerts, and
//! how far a long run has got.
//!
//! Apart because every command ends in the same ways: a reader that has gone, a disk that is full,
//! a signal, a failure that the operator must see.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::cli::{Args, Command};
use crate::critical;
use crate::domain::failure::{Failure, Kind};
use crate::domain::outcome::{Of, Outcome, Verdict, Warning, WarningCode};
use crate::exit;
use crate::logs;
use crate::report;
use crate::services::Services;
use crate::time::{self, stop};

use super::progress::Progress;

/// What a command's standard output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A result line for each document, and for what kept the command from its documents.
    Results,
    /// Events for the reader of a pipe, who would take anything else for one.
    Events,
}

/// The outside.
pub struct Console<'a> {
    services: &'a Services,
    output: &'a mut dyn Write,
    command: &'static str,
    meaning: Meaning,
    began: Instant,
    /// True if no progress is drawn.
    pub quiet: bool,
    /// True where a person reads the lines as they come.
    pub is_terminal: bool,
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

impl Meaning {
    /// What the standard output of a command line holds; `args` are missing where it cannot be read
    /// as a whole.
    pub fn of(args: Option<&Args>, words: &[OsString]) -> Self {
        let is_backfill = match args {
            Some(args) => matches!(args.command, Some(Command::Backfill(_))),
            None => words.iter().any(|word| word == "backfill"),
        };
        if is_backfill {
            Self::Events
        } else {
            Self::Results
        }
    }
}

impl<'a> Console<'a> {
    /// The console of a command that begins.
    pub fn new(
        services: &'a Services,
        output: &'a mut dyn Write,
        command: &'static str,
        meaning: Meaning,
    ) -> Self {
        log::info!("{command} begins");
        Self {
            services,
            output,
            command,
            meaning,
            began: time::now(),
            quiet: false,
            is_terminal: false,
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

    /// Ends the command with this code, unless worse has happened; why stands in what it prints.
    pub fn conclude(&mut self, code: u8) {
        self.worst = exit::worst(self.worst, code);
    }

    /// True when nothing more is to be begun: nobody reads, or the program was told to stop.
    pub fn is_over(&self) -> bool {
        stop::is_told() || self.is_unread()
    }

    /// Whether more is to be begun.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
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

    /// Tells of an outcome, with its result line.
    pub fn ended(&mut self, outcome: &Outcome) {
        self.sound_alarms(outcome);
        self.warn(outcome);
        let id = outcome.of.event_id.as_deref();
        if let Some(failure) = outcome.failure() {
            self.failed(failure, id);
        } else {
            let first = outcome.pages.first();
            let name = first.map_or("nothing to do", |synced| synced.client_name.as_str());
            let kind = outcome.of.event_type.as_deref();
            log::info!("{} {}: {name}", kind.unwrap_or("?"), id.unwrap_or("?"));
        }
        // What became of the line is noted.
        let settings = &self.services.settings;
        let _ = self.line(&report::line(outcome, settings.dry_run));
        let plan = report::plan::text(outcome, &settings.zone);
        if let Some(plan) = plan.filter(|_| self.is_terminal) {
            let _ = self.line(plan.trim_end());
        }
    }

    /// Tells of what kept the command from its work.
    pub fn fail(&mut self, failure: Failure) {
        match self.meaning {
            Meaning::Results => {
                self.ended(&Outcome::new(Of::default(), Verdict::Failed(failure)));
            }
            Meaning::Events => self.failed(&failure, None),
        }
    }

    /// Tells of a failure, without a line on standard output.
    pub fn failed(&mut self, failure: &Failure, event_id: Option<&str>) {
        self.failures += 1;
        self.tell(failure, event_id);
        if failure.is_critical() {
            let kind = failure.kind.name();
            let line = critical::CriticalLine {
                at: time::timestamp(),
                kind,
                message: &failure.message,
                event_id,
                request_id: failure.request_id.as_deref(),
            };
            self.critical(&line, kind);
        }
    }

    fn tell(&mut self, failure: &Failure, event_id: Option<&str>) {
        tell(failure, event_id);
        self.worst = exit::worst(self.worst, exit::code(failure));
    }

    /// Each warning once: cron throws standard output away. Of what is not synced nobody misses a
    /// part.
    fn warn(&mut self, outcome: &Outcome) {
        if matches!(outcome.verdict, Verdict::Skipped(_)) {
            return;
        }
        for warning in &outcome.notes.warnings {
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

    fn sound_alarms(&mut self, outcome: &Outcome) {
        for alarm in &outcome.notes.alarms {
            let line = critical::CriticalLine {
                at: time::timestamp(),
                kind: alarm.kind.name(),
                message: &alarm.message,
                event_id: outcome.of.event_id.as_deref(),
                request_id: None,
            };
            self.critical(&line, alarm.kind.name());
        }
    }

    /// Every failure gets its line; the chat hears of each kind once, however many events fail the
    /// same way.
    fn critical(&mut self, line: &critical::CriticalLine, kind: &'static str) {
        let settings = &self.services.settings;
        if settings.dry_run {
            return;
        }
        critical::log(&settings.dir, line);
        let alert = settings.alert.as_ref();
        if let Some(url) = alert.filter(|_| self.alerted.insert(kind)) {
            critical::alert(&self.services.agent, url.clone(), &settings.dir, kind);
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

/// Tells of a failure that comes before any document. Returns the exit code.
pub fn refuse(output: &mut dyn Write, meaning: Meaning, failure: Failure) -> u8 {
    tell(&failure, None);
    let code = exit::code(&failure);
    if meaning == Meaning::Events {
        return code;
    }
    let outcome = Outcome::new(Of::default(), Verdict::Failed(failure));
    let line = report::line(&outcome, false);
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(err) if err.kind() != ErrorKind::BrokenPipe => {
            logs::error(&format!("cannot write to standard output: {err}"), "");
        }
        Ok(()) | Err(_) => {}
    }
    code
}
