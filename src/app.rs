//! The program: a command's settings and services made ready, the command run, its exit code handed
//! back.
//!
//! Gets its streams from `main`, so that nothing else touches them.

pub mod console;
pub mod logging;

mod backfill;
mod doctor;
mod input;
mod intake;
mod progress;
mod replay;
mod signed;
mod status;
mod stream;
mod sync;
mod unread;

use std::io::{Read, Write};

use crate::bug;
use crate::cli::{Args, Command};
use crate::config::{self, Environment};
use crate::domain::failure::{Failure, Kind};
use crate::exit;
use crate::http::{Agent, Proxies};
use crate::services::Services;
use crate::services::settings::Settings;

use console::{Console, Meaning};
use input::Input;

/// What goes in and out.
pub struct Streams<'a> {
    /// Standard input.
    pub input: Box<dyn Read + Send>,
    /// True where a person types it, and nothing is piped in.
    pub input_is_terminal: bool,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// True where a person reads it as it comes.
    pub output_is_terminal: bool,
    /// True where logs go there too.
    pub logs_in_output: bool,
    /// Makes the pool of connections.
    pub agent: &'a dyn Fn(Proxies) -> Agent,
}

/// Runs the program. Returns the exit code.
pub fn run(args: &Args, environment: Environment, streams: Streams) -> u8 {
    let settings = match settings(args, environment, streams.input_is_terminal) {
        Ok(settings) => settings,
        Err(failure) => return refuse(args, streams.output, failure),
    };
    let agent = (streams.agent)(settings.proxies.clone());
    let services = Services::new(settings, agent);
    let meaning = Meaning::of(Some(args), &[]);
    let mut console = Console::new(&services, streams.output, name(args), meaning);
    console.is_terminal = streams.output_is_terminal;
    console.quiet = args.quiet;
    console.holds = streams.logs_in_output;
    let input = Input::new(streams.input, console.gone());
    let done = bug::caught(|| match &args.command {
        None => sync::run(&services, &args.sync, &mut console, input),
        Some(Command::Replay(replay)) => replay::run(&services, replay, &mut console, input),
        Some(Command::Backfill(backfill)) => backfill::run(&services, backfill, &mut console),
        Some(Command::Status(status)) => status::run(&services, status, &mut console),
        Some(Command::Doctor(doctor)) => {
            doctor::run(&services, doctor, &mut console);
            Ok(())
        }
    });
    if let Err(failure) = done.unwrap_or_else(Err) {
        console.fail(failure);
    }
    tell_of_settings(&services, args, &mut console);
    note_run(&services, args, console.worst());
    console.end()
}

fn name(args: &Args) -> &'static str {
    match &args.command {
        None => "sync",
        Some(Command::Replay(_)) => "replay",
        Some(Command::Backfill(_)) => "backfill",
        Some(Command::Status(_)) => "status",
        Some(Command::Doctor(_)) => "doctor",
    }
}

/// Ends before anything is begun, in the way of the command. Returns the exit code.
pub fn refuse(args: &Args, output: &mut dyn Write, failure: Failure) -> u8 {
    if matches!(args.command, Some(Command::Doctor(_))) {
        return doctor::refuse(output, &failure);
    }
    console::refuse(output, Meaning::of(Some(args), &[]), failure)
}

/// The settings, if anything may begin.
fn settings(args: &Args, environment: Environment, typed: bool) -> Result<Settings, Failure> {
    if args.command.is_none() && typed {
        let message = "standard input is a terminal, and no payload is piped in";
        let hint = "usage: quotion < payload.json; quotion replay; quotion backfill --since 24h | \
            quotion; quotion --help shows every option";
        return Err(Failure::new(Kind::Usage, message, hint));
    }
    let settings = config::load(args, environment)?;
    if args.command.is_some() && args.sync.any() {
        let message = "options of the main job (--signature, --enqueue, --dry-run …) mean nothing \
            to a subcommand";
        let hint = "leave them out; quotion --help shows which belong together";
        return Err(Failure::new(Kind::Usage, message, hint));
    }
    Ok(settings)
}

/// What is wrong with the settings is told even where no document was, and so no line tells it.
fn tell_of_settings(services: &Services, args: &Args, console: &mut Console) {
    let Err(failure) = services.settings.check() else {
        return;
    };
    let needs_none = matches!(args.command, Some(Command::Status(_)));
    if args.sync.enqueue || needs_none {
        log::warn!("{failure}; hint: {}", failure.hint);
    } else if console.worst() != exit::code(&failure) {
        console.failed(&failure, None);
    }
}

/// Notes when a command of timers last ran, and how it ended. One that did not get as far as the
/// store has told of that.
fn note_run(services: &Services, args: &Args, code: u8) {
    let job = match &args.command {
        Some(Command::Replay(replay)) if replay.files.is_empty() => name(args),
        Some(Command::Backfill(_)) => name(args),
        None | Some(Command::Replay(_) | Command::Status(_) | Command::Doctor(_)) => return,
    };
    let ended = match code {
        0 => "\"done\"".to_owned(),
        code => format!("\"exit code {code}\""),
    };
    if let Some(store) = services.opened_store()
        && let Err(err) = store.note_run(job, &ended)
    {
        log::debug!("the end of {job} is not noted: {err}");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::http;

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
        let streams = Streams {
            input: Box::new(Bad(b"[]\n")),
            input_is_terminal: false,
            output: &mut output,
            output_is_terminal: false,
            logs_in_output: false,
            agent: &http::agent,
        };
        assert_eq!(run(&args, Environment::without_file(), streams), 70);
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
