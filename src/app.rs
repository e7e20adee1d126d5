//! The program: documents in, result lines out, exit code back.
//!
//! Gets its streams and the time from `main`, so that nothing else touches them.

mod backfill;
mod progress;
mod replay;
mod tools;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read, Write};

use jiff::Timestamp;

use crate::cli::{Args, Command};
use crate::config::{Config, Environment};
use crate::critical;
use crate::delivery::{self, Unfinished, Work};
use crate::documents::{Broken, Documents, MAX_BYTES};
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::failure::{self, Failure, Kind};
use crate::logs;
use crate::report;
use crate::sync;
use crate::webhook::{self, signature};

use tools::Tools;

/// The program's streams and clock.
pub struct World<'a> {
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Runs the program. Returns the exit code.
pub fn run(args: &Args, environment: Environment, world: World) -> u8 {
    let World { input, output, now } = world;
    let config = match Config::load(args, environment) {
        Ok(config) => config,
        Err(failure) => return refuse(args, output, &failure),
    };
    if args.command.is_some() && args.sync.any() {
        let message = "options of the main job (--signature, --enqueue, --dry-run …) mean nothing to a subcommand";
        let hint = "leave them out; quotion --help shows which belong together";
        return refuse(args, output, &Failure::new(Kind::Usage, message, hint));
    }
    let mut app =
        App { tools: Tools::new(config, now), output, now, worst: 0, documents: 0, alerted: RefCell::default() };
    let ended = match &args.command {
        None => app.sync_all(input, args.sync.enqueue),
        Some(Command::Replay(replay)) => app.replay(replay, input),
        Some(Command::Backfill(backfill)) => {
            app.backfill(backfill);
            Ok(())
        }
    };
    if let Err(failure) = ended {
        app.failed(&failure, &Outcome::default());
    }
    app.worst
}

/// Where logs go. What a backfill prints is read by a program that expects events.
pub fn log_target(args: &Args) -> logs::Target {
    match args.command {
        Some(Command::Backfill(_)) => logs::Target::Stderr,
        Some(Command::Replay(_)) | None => args.log_to.into(),
    }
}

/// Ends before anything is begun, in the way of the command. Returns the exit code.
pub fn refuse(args: &Args, output: &mut dyn Write, failure: &Failure) -> u8 {
    match args.command {
        Some(Command::Backfill(_)) => {
            log_failure(failure, None);
            failure.exit_code()
        }
        Some(Command::Replay(_)) | None => print_failure(output, failure),
    }
}

/// Prints the one result line of a failure that comes before any document. Returns the exit code.
pub fn print_failure(output: &mut dyn Write, failure: &Failure) -> u8 {
    log_failure(failure, None);
    let line = report::failure(failure, &Outcome::default());
    if let Err(err) = writeln!(output, "{line}") {
        log::error!("cannot write to standard output: {err}");
    }
    failure.exit_code()
}

struct App<'a> {
    tools: Tools,
    output: &'a mut dyn Write,
    now: fn() -> Timestamp,
    worst: u8,
    documents: usize,
    /// Kinds of failure that the chat has been told of.
    alerted: RefCell<BTreeSet<String>>,
}

/// What is done with an event that is not skipped at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// It is worked on.
    Sync,
    /// It is only kept.
    Enqueue,
}

impl App<'_> {
    fn sync_all(&mut self, input: &mut dyn Read, enqueue: bool) -> Result<(), Failure> {
        let treatment = if enqueue { Treatment::Enqueue } else { Treatment::Sync };
        let settings = &self.tools.config.signature;
        if settings.headers.is_some() || settings.required {
            let body = read_all(input)?;
            self.verify(&body)?;
            self.sync_each(body.as_slice(), treatment);
            return self.expect_documents();
        }
        self.sync_each(input, treatment);
        if enqueue {
            return self.expect_documents();
        }
        if self.documents == 0 {
            log::warn!("standard input holds no document; nothing to do");
        }
        Ok(())
    }

    fn sync_each(&mut self, input: impl Read, treatment: Treatment) {
        for document in Documents::new(input) {
            self.sync_one(document, treatment);
        }
    }

    fn verify(&self, body: &[u8]) -> Result<(), Failure> {
        let settings = &self.tools.config.signature;
        let Some(headers) = &settings.headers else {
            let hint = "pass the header of the delivery as --signature; a delivery without one does not come from Quo";
            return Err(Failure::new(Kind::Signature, "the payload comes without a signature", hint));
        };
        let window = signature::Window { now: (self.now)(), tolerance: settings.tolerance };
        Ok(signature::verify(body, headers, &settings.secrets, window)?)
    }

    fn expect_documents(&self) -> Result<(), Failure> {
        if self.documents > 0 {
            return Ok(());
        }
        Err(Failure::new(Kind::Payload, "standard input is empty", "pass the body of the delivery on standard input"))
    }

    fn sync_one(&mut self, document: Result<Vec<u8>, Broken>, treatment: Treatment) {
        self.documents += 1;
        let parsed = document.map_err(Failure::from).and_then(|body| Ok((webhook::parse(&body)?, body)));
        let (event, body) = match parsed {
            Ok(parsed) => parsed,
            Err(failure) => return self.failed(&failure, &Outcome::default()),
        };
        let ended = match sync::skipped_at_once(&event) {
            Some(outcome) => Ok(outcome),
            None => self.deliver(event, body, treatment),
        };
        self.ended(ended);
    }

    /// Keeps the event before anything else, and then works on it.
    fn deliver(&mut self, event: Event, body: Vec<u8>, treatment: Treatment) -> Result<Outcome, Unfinished> {
        let at_outset = |failure| Box::new((failure, sync::outset(&event)));
        let store = self.tools.store().map_err(at_outset)?;
        if treatment == Treatment::Enqueue {
            return delivery::enqueue(store, &event, body);
        }
        if self.tools.config.dry_run {
            return self.tools.work(&Work::Event(Box::new(event)));
        }
        match delivery::receive(store, &event, body)? {
            Some(outcome) => Ok(outcome),
            None => self.tools.work(&Work::Event(Box::new(event))),
        }
    }

    fn ended(&mut self, ended: Result<Outcome, Unfinished>) {
        match ended {
            Ok(outcome) => self.succeeded(&outcome),
            Err(failed) => self.failed(&failed.0, &failed.1),
        }
    }

    fn succeeded(&mut self, outcome: &Outcome) {
        self.sound_alarms(outcome);
        let name = outcome.synced.first().map_or("nothing to do", |synced| synced.client_name.as_str());
        log::info!("{} {}: {name}", shown(outcome.event_type.as_ref()), shown(outcome.event_id.as_ref()));
        self.print_line(&report::success(outcome));
    }

    fn failed(&mut self, failure: &Failure, outcome: &Outcome) {
        self.sound_alarms(outcome);
        let event_id = outcome.event_id.as_deref();
        log_failure(failure, event_id);
        if failure.is_critical() {
            self.critical(failure.kind.name(), &failure.message, (event_id, failure.request_id.as_deref()));
        }
        self.worst = failure::worst(self.worst, failure.exit_code());
        self.print_line(&report::failure(failure, outcome));
    }

    fn sound_alarms(&self, outcome: &Outcome) {
        for alarm in &outcome.alarms {
            self.critical(alarm.kind, &alarm.message, (outcome.event_id.as_deref(), None));
        }
    }

    fn critical(&self, kind: &str, message: &str, (event_id, request_id): (Option<&str>, Option<&str>)) {
        let config = &self.tools.config;
        if config.dry_run {
            return;
        }
        critical::log(&config.dir, &critical::Line { at: (self.now)(), kind, message, event_id, request_id });
        // Every failure gets its line; the chat hears of each kind once, however many events fail the same way.
        if !self.alerted.borrow_mut().insert(kind.to_owned()) {
            return;
        }
        match config.alert() {
            Ok(Some(url)) => critical::alert(&self.tools.agent, url, message),
            Ok(None) => {}
            Err(failure) => log::error!("{failure}"),
        }
    }

    /// A result that nobody can read is as bad as a file that cannot be written.
    fn print_line(&mut self, line: &str) {
        if let Err(err) = writeln!(self.output, "{line}").and_then(|()| self.output.flush()) {
            log::error!("cannot write to standard output: {err}");
            self.worst = failure::worst(self.worst, Failure::new(Kind::Store, "", "").exit_code());
        }
    }
}

/// A signature covers all of standard input, so all of it is read; one delivery is never larger than a document.
fn read_all(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    input.take(limit + 1).read_to_end(&mut body).map_err(Broken::Io)?;
    if body.len() > MAX_BYTES { Err(Broken::TooLarge.into()) } else { Ok(body) }
}

fn log_failure(failure: &Failure, event_id: Option<&str>) {
    let event = event_id.map_or(String::new(), |id| format!("{id}: "));
    log::error!("{event}{failure}\nhint: {}", failure.hint);
}

fn shown(text: Option<&String>) -> &str {
    text.map_or("?", String::as_str)
}
