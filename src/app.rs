//! The program: documents in, result lines out, exit code back.
//!
//! Gets its streams and the time from `main`, so that nothing else touches them.

mod backfill;
mod progress;
mod replay;
mod signed;
mod stream;
mod tools;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read, Write};

use jiff::Timestamp;

use crate::cli::{Args, Command};
use crate::config::{Config, Environment};
use crate::critical;
use crate::delivery::{self, Claim, Ended};
use crate::documents::{Broken, Documents};
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::failure::{self, Failure, Kind};
use crate::logs;
use crate::quo::webhook;
use crate::report;
use crate::sync::{self, Work};

use tools::Tools;

/// The program's streams and clock.
pub struct World<'a> {
    /// Standard input.
    pub input: &'a mut (dyn Read + Send),
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
        let message = "options of the main job (--signature, --enqueue, --dry-run …) mean nothing \
            to a subcommand";
        let hint = "leave them out; quotion --help shows which belong together";
        return refuse(args, output, &Failure::new(Kind::Usage, message, hint));
    }
    let mut app = App {
        tools: Tools::new(config, now),
        output,
        now,
        worst: 0,
        documents: 0,
        alerted: RefCell::default(),
    };
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
    app.tell_of_settings(args.sync.enqueue);
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

/// A document that was read: an event to work on with its bytes, or what came of it at once.
type Document = Result<(Box<Event>, Vec<u8>), Box<Ended>>;

/// A document, or what the inbox holds, on its way to its result.
enum Item {
    /// It has it.
    Ended(Ended),
    /// There is work to do; the event is kept.
    Work(Work),
}

/// What came of items.
#[derive(Default)]
struct Tally {
    done: usize,
    kept: usize,
    /// In the hands of another process.
    elsewhere: usize,
}

impl App<'_> {
    fn sync_all(&mut self, input: &mut (dyn Read + Send), enqueue: bool) -> Result<(), Failure> {
        let treatment = if enqueue {
            Treatment::Enqueue
        } else {
            Treatment::Sync
        };
        let settings = &self.tools.config.signature;
        if settings.headers.is_some() || settings.required {
            return self.sync_signed(input, treatment);
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

    /// Syncs documents, those together that come together.
    fn sync_each(&mut self, input: impl Read + Send, treatment: Treatment) {
        let now = self.now;
        let numbered = Documents::new(input).zip(1..);
        let mut documents =
            numbered.map(|(document, number)| unless_skipped(read(document, number, now())));
        while let Some(document) = documents.next() {
            if document.is_err() {
                // What needs no work needs no company, and so no thread that looks for it.
                self.sync_window(document, treatment);
                continue;
            }
            stream::windows(document, &mut documents, |window| {
                self.documents += window.len();
                let items = self.admit(window, treatment);
                self.work_on(items, Claim::Wait);
            });
        }
    }

    /// Syncs a document by itself.
    fn sync_window(&mut self, document: Document, treatment: Treatment) {
        self.documents += 1;
        match document {
            Err(ended) => self.ended(*ended),
            Ok(event) => {
                let items = self.admit(vec![Ok(event)], treatment);
                self.work_on(items, Claim::Wait);
            }
        }
    }

    /// What is wrong with the settings is told even where no document was, and so no line tells it.
    fn tell_of_settings(&mut self, enqueue: bool) {
        let Err(failure) = self.tools.config.check() else {
            return;
        };
        if enqueue {
            log::warn!("{failure}; hint: {}", failure.hint);
        } else if self.worst != failure.exit_code() {
            log_failure(&failure, None);
            self.worst = failure::worst(self.worst, failure.exit_code());
        }
    }

    fn expect_documents(&self) -> Result<(), Failure> {
        if self.documents > 0 {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Payload,
            "standard input is empty",
            "pass the body of the delivery on standard input",
        ))
    }

    /// Takes documents in: keeps the events with which there is work to do.
    fn admit(&self, window: Vec<Document>, treatment: Treatment) -> Vec<Item> {
        let only_shown = self.tools.config.dry_run && treatment == Treatment::Sync;
        let (mut items, mut arrived) = (Vec::new(), Vec::new());
        for document in window {
            items.push(match document {
                Err(ended) => Some(Item::Ended(*ended)),
                Ok((event, _)) if only_shown => Some(Item::Work(Work::Event(event))),
                Ok(event) => {
                    arrived.push(event);
                    None
                }
            });
        }
        let mut kept = self.keep(arrived, treatment).into_iter();
        items
            .into_iter()
            .filter_map(|item| item.or_else(|| kept.next()))
            .collect()
    }

    fn keep(&self, arrived: Vec<(Box<Event>, Vec<u8>)>, treatment: Treatment) -> Vec<Item> {
        if arrived.is_empty() {
            return Vec::new();
        }
        let store = match self.tools.store() {
            Ok(store) => store,
            Err(failure) => {
                let refused = |(event, _): (Box<Event>, Vec<u8>)| {
                    Item::Ended(Err(Box::new((failure.clone(), sync::outset(&event)))))
                };
                return arrived.into_iter().map(refused).collect();
            }
        };
        let item = |(event, kept): (Box<Event>, _)| match kept {
            Ok(None) if treatment == Treatment::Enqueue => Item::Ended(Ok(Outcome {
                queued: true,
                warnings: self.tools.doubts(),
                ..sync::outset(&event)
            })),
            Ok(None) => Item::Work(Work::Event(event)),
            Ok(Some(outcome)) => Item::Ended(Ok(outcome)),
            Err(unfinished) => Item::Ended(Err(unfinished)),
        };
        delivery::receive(store, arrived)
            .into_iter()
            .map(item)
            .collect()
    }

    /// Works on what is left to do, group by group, and prints the results in the order of the
    /// items, each as soon as those before it are there.
    fn work_on(&mut self, items: Vec<Item>, claim: Claim) -> Tally {
        let mut tally = Tally::default();
        let (mut results, mut works) = (Vec::new(), Vec::new());
        for (place, item) in items.into_iter().enumerate() {
            match item {
                Item::Ended(ended) => results.push(Some(ended)),
                Item::Work(work) => {
                    results.push(None);
                    works.push((place, work));
                }
            }
        }
        let mut printed = self.print_ready(&mut results, 0, claim, &mut tally);
        let all: Vec<&Work> = works.iter().map(|(_, work)| work).collect();
        for group in self.tools.groups(&all) {
            let chosen: Vec<&Work> = group.iter().map(|index| all[*index]).collect();
            for (index, ended) in group.iter().zip(self.tools.work(&chosen, claim)) {
                results[works[*index].0] = Some(ended);
            }
            printed = self.print_ready(&mut results, printed, claim, &mut tally);
        }
        tally
    }

    /// Prints the results that are next in order. Returns how many are printed now.
    fn print_ready(
        &mut self,
        results: &mut [Option<Ended>],
        printed: usize,
        claim: Claim,
        tally: &mut Tally,
    ) -> usize {
        let ready = results.iter_mut().skip(printed).map_while(Option::take);
        let mut count = printed;
        for ended in ready {
            count += 1;
            match &ended {
                // Who leaves it to another process lets that one tell.
                Ok(outcome) if outcome.queued && claim != Claim::Wait => {
                    tally.elsewhere += 1;
                    continue;
                }
                Ok(_) => tally.done += 1,
                Err(_) => tally.kept += 1,
            }
            self.ended(ended);
        }
        count
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ok(outcome) => self.succeeded(&outcome),
            Err(failed) => self.failed(&failed.0, &failed.1),
        }
    }

    fn succeeded(&mut self, outcome: &Outcome) {
        self.sound_alarms(outcome);
        let name = outcome
            .synced
            .first()
            .map_or("nothing to do", |synced| synced.client_name.as_str());
        log::info!(
            "{} {}: {name}",
            shown(outcome.event_type.as_ref()),
            shown(outcome.event_id.as_ref())
        );
        self.print_line(&report::success(outcome));
    }

    fn failed(&mut self, failure: &Failure, outcome: &Outcome) {
        self.sound_alarms(outcome);
        let event_id = outcome.event_id.as_deref();
        log_failure(failure, event_id);
        if failure.is_critical() {
            self.critical(
                failure.kind.name(),
                &failure.message,
                event_id,
                failure.request_id.as_deref(),
            );
        }
        self.worst = failure::worst(self.worst, failure.exit_code());
        self.print_line(&report::failure(failure, outcome));
    }

    fn sound_alarms(&self, outcome: &Outcome) {
        for alarm in &outcome.alarms {
            self.critical(
                alarm.kind,
                &alarm.message,
                outcome.event_id.as_deref(),
                None,
            );
        }
    }

    fn critical(
        &self,
        kind: &str,
        message: &str,
        event_id: Option<&str>,
        request_id: Option<&str>,
    ) {
        let config = &self.tools.config;
        if config.dry_run {
            return;
        }
        critical::log(
            &config.dir,
            &critical::Line {
                at: (self.now)(),
                kind,
                message,
                event_id,
                request_id,
            },
        );
        // Every failure gets its line; the chat hears of each kind once, however many events fail
        // the same way.
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

/// Reads the document of that number. Ends here what is no event.
fn read(document: Result<Vec<u8>, Broken>, number: usize, now: Timestamp) -> Document {
    let failed = |failure| {
        let outcome = Outcome {
            document: Some(number),
            ..Outcome::default()
        };
        Box::new(Err(Box::new((failure, outcome))))
    };
    let body = document.map_err(|broken| failed(broken.into()))?;
    let event = webhook::parse(&body, now).map_err(|err| failed(err.into()))?;
    Ok((Box::new(event), body))
}

/// Ends here an event that needs neither store nor network.
fn unless_skipped(document: Document) -> Document {
    let (event, body) = document?;
    match sync::skipped_at_once(&event) {
        Some(outcome) => Err(Box::new(Ok(outcome))),
        None => Ok((event, body)),
    }
}

fn log_failure(failure: &Failure, event_id: Option<&str>) {
    let event = event_id.map_or(String::new(), |id| format!("{id}: "));
    log::error!("{event}{failure}\nhint: {}", failure.hint);
}

fn shown(text: Option<&String>) -> &str {
    text.map_or("?", String::as_str)
}
