//! The program: documents in, result lines out, exit code back.
//!
//! Gets its streams and the time from `main`, so that nothing else touches them.

pub mod bug;
pub mod console;
pub mod logging;

mod backfill;
mod input;
mod progress;
mod replay;
mod signed;
mod stream;
mod tools;
mod unread;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::{Args, Command};
use crate::config::{Config, Environment};
use crate::delivery::{self, Claim, Ended};
use crate::documents::Broken;
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::failure::{Failure, Kind};
use crate::logs;
use crate::quo::webhook;
use crate::sync::{self, Work};
use crate::time::stop;

use console::Console;
use input::Input;
use tools::Tools;
use unread::Unread;

/// The program's streams and clock.
pub struct World<'a> {
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// True where a person types it, and nothing is piped in.
    pub input_is_terminal: bool,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// True where logs go there too.
    pub logs_in_output: bool,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Runs the program. Returns the exit code.
pub fn run(args: &Args, environment: Environment, world: World) -> u8 {
    if args.command.is_none() && world.input_is_terminal {
        let message = "standard input is a terminal, and no payload is piped in";
        let hint = "usage: quotion < payload.json; quotion replay; quotion backfill --since 24h | \
            quotion; quotion --help shows every option";
        return console::refuse(world.output, &Failure::new(Kind::Usage, message, hint));
    }
    let config = match Config::load(args, environment) {
        Ok(config) => config,
        Err(failure) => return refuse(args, world.output, &failure),
    };
    if args.command.is_some() && args.sync.any() {
        let message = "options of the main job (--signature, --enqueue, --dry-run …) mean nothing \
            to a subcommand";
        let hint = "leave them out; quotion --help shows which belong together";
        return refuse(
            args,
            world.output,
            &Failure::new(Kind::Usage, message, hint),
        );
    }
    let name = match &args.command {
        None => "sync",
        Some(Command::Replay(_)) => "replay",
        Some(Command::Backfill(_)) => "backfill",
    };
    let mut console = Console::new(world.output, world.now, name);
    console.quiet = args.quiet;
    console.holds = world.logs_in_output;
    let mut app = App {
        tools: Tools::new(config, world.now),
        console,
        now: world.now,
        documents: 0,
    };
    let input = Input::new(world.input, app.console.gone());
    let ended = bug::caught(|| app.run(args, input)).unwrap_or_else(Err);
    if let Err(failure) = ended {
        match args.command {
            // Its reader would take a result line for a payload.
            Some(Command::Backfill(_)) => app.console.fail(&app.tools, &failure, None),
            Some(Command::Replay(_)) | None => {
                app.console
                    .failure(&app.tools, &failure, &Outcome::default());
            }
        }
    }
    app.tell_of_settings(args.sync.enqueue);
    app.console.end()
}

/// Ends before anything is begun, in the way of the command. Returns the exit code.
pub fn refuse(args: &Args, output: &mut dyn Write, failure: &Failure) -> u8 {
    match args.command {
        Some(Command::Backfill(_)) => {
            console::tell(failure, None);
            failure.exit_code()
        }
        Some(Command::Replay(_)) | None => console::refuse(output, failure),
    }
}

/// How long a delivery may take to come in, without a deadline.
const LONGEST_READ: Duration = Duration::from_mins(1);

struct App<'a> {
    tools: Tools,
    console: Console<'a>,
    now: fn() -> Timestamp,
    documents: usize,
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
    fn run(&mut self, args: &Args, input: Input) -> Result<(), Failure> {
        match &args.command {
            None => self.sync_all(input, args.sync.enqueue),
            Some(Command::Replay(replay)) => self.replay(replay, input),
            Some(Command::Backfill(backfill)) => self.backfill(backfill),
        }
    }

    fn sync_all(&mut self, input: Input, enqueue: bool) -> Result<(), Failure> {
        let treatment = if enqueue {
            Treatment::Enqueue
        } else {
            Treatment::Sync
        };
        let config = &self.tools.config;
        let is_signed = config.signature.headers.is_some() || config.signature.required;
        // Who waits for the answer has sent one delivery.
        let input = if is_signed || enqueue {
            input.within(config.deadline.unwrap_or(LONGEST_READ))
        } else {
            input
        };
        if is_signed {
            return self.sync_signed(input, treatment);
        }
        self.sync_each(input, treatment);
        if enqueue {
            return self.expect_documents();
        }
        if self.documents == 0 {
            logs::warning("standard input holds no document; nothing to do");
        }
        Ok(())
    }

    /// Syncs documents, those together that come together.
    fn sync_each(&mut self, input: Input, treatment: Treatment) {
        let mut documents = unread::documents(input, self.now);
        // What needs no work needs no company, and so no thread that looks for it.
        while let Some(document) = stop::idle(|| documents.next().map(Unread::read)) {
            if document.is_ok() {
                let gone = self.console.gone();
                let is_over = || stop::is_told() || gone.load(Ordering::Relaxed);
                let take = |window| self.sync_window(window, treatment);
                stream::windows(document, documents, is_over, take);
                return;
            }
            self.sync_window(vec![document], treatment);
        }
    }

    /// Syncs documents that have come together. What comes when the run is over is only kept.
    fn sync_window(&mut self, mut window: Vec<Document>, treatment: Treatment) {
        if self.console.is_over() {
            // A document that was cut off there is none.
            let is_cut = |document: &Document| matches!(document, Err(ended) if ended.is_err());
            window.retain(|document| !is_cut(document));
        }
        self.documents += window.len();
        let items = self.admit(window, treatment);
        self.work_on(items, Claim::Wait);
    }

    /// What is wrong with the settings is told even where no document was, and so no line tells it.
    fn tell_of_settings(&mut self, enqueue: bool) {
        let Err(failure) = self.tools.config.check() else {
            return;
        };
        if enqueue {
            log::warn!("{failure}; hint: {}", failure.hint);
        } else if self.console.worst() != failure.exit_code() {
            self.console.fail(&self.tools, &failure, None);
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
            let ended = match (self.console.is_over(), claim) {
                (false, _) => self.tools.work(&chosen, claim),
                (true, Claim::Wait) => chosen.iter().map(|work| Err(left(work))).collect(),
                (true, Claim::Leave(_)) => break,
            };
            for (index, ended) in group.iter().zip(ended) {
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
            Ok(outcome) => self.console.success(&self.tools, &outcome),
            // It is kept, and nobody is there to be told.
            Err(failed) if failed.0.is_stop() && self.console.is_unread() => {}
            Err(failed) => self.console.failure(&self.tools, &failed.0, &failed.1),
        }
    }
}

/// An event that is kept, and was not begun because the run is over.
fn left(work: &Work) -> delivery::Unfinished {
    Box::new((Failure::stopped(), work.outset()))
}

/// Reads the document of that number. Ends here what is no event.
fn read(document: Result<Vec<u8>, Broken>, number: usize, now: Timestamp) -> Document {
    let body = match document {
        Ok(body) => body,
        Err(broken) => return of_no_event(broken.into(), Some(number)),
    };
    match webhook::parse(&body, now) {
        Ok(event) => Ok((Box::new(event), body)),
        Err(err) => of_no_event(err.into(), Some(number)),
    }
}

/// What came of a document that is no event, or not to be read as one.
fn of_no_event(failure: Failure, document: Option<usize>) -> Document {
    let outcome = Outcome {
        document,
        ..Outcome::default()
    };
    Err(Box::new(Err(Box::new((failure, outcome)))))
}

/// Ends here an event that needs neither store nor network.
fn unless_skipped(document: Document) -> Document {
    let (event, body) = document?;
    match sync::skipped_at_once(&event) {
        Some(outcome) => Err(Box::new(Ok(outcome))),
        None => Ok((event, body)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Input that brings a bug to light after a document.
    struct Bad(&'static [u8]);

    impl Read for Bad {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "Rosa Quint");
            self.0.read(buffer)
        }
    }

    #[test]
    fn panic_ends_as_a_line_and_an_exit_code() {
        let _alone = bug::ALONE.lock();
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_str().expect("a path");
        let args = ["quotion", "--deadline", "1s", "--dir", dir];
        let args = Args::try_parse_from(args).expect("a command line");
        let mut output = Vec::new();
        let world = World {
            input: Box::new(Bad(b"[]\n")),
            input_is_terminal: false,
            output: &mut output,
            logs_in_output: false,
            now: || Timestamp::UNIX_EPOCH,
        };
        assert_eq!(run(&args, Environment::without_file(), world), 70);
        let output = String::from_utf8(output).expect("UTF-8");
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 2, "{output}");
        let start = r#"{"status":"error","error":{"kind":"internal","message":"quotion has a bug"#;
        assert!(lines[1].starts_with(start), "{output}");
        assert!(lines[1].contains(r#""hint":"report it"#), "{output}");
        assert!(!output.contains("Rosa"), "{output}");
        let critical = std::fs::read_to_string(folder.path().join("sync_errors.log"));
        assert!(critical.expect("a file").contains(r#""kind":"internal""#));
    }
}
