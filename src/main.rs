//! The start: arguments, streams and signals, handed to the program; its exit code,
//! handed back.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clap::error::{Error, ErrorKind};
use quotion::app::console::{self, Meaning};
use quotion::app::{self, Streams, logging};
use quotion::bug;
use quotion::cli::{Args, misuse};
use quotion::config::Environment;
use quotion::domain::failure::{Failure, Kind};
use quotion::exit;
use quotion::http;
use quotion::time::{self, stop};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

fn main() -> ExitCode {
    bug::silence_panics();
    // Not locked: with `--log-to stdout` other threads log there too, and would wait for ever.
    let code = bug::caught(|| begin(&mut io::stdout()))
        .unwrap_or_else(|bug| console::refuse(&mut io::stdout(), Meaning::Results, bug));
    ExitCode::from(code)
}

fn begin(output: &mut impl Write) -> u8 {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match Args::try_parse() {
        Ok(args) => start(&args, &words, output),
        Err(err)
            if matches!(
                err.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            // A closed pipe (`quotion --help | head -1`) is no failure.
            let _ = err.print();
            0
        }
        Err(err) => misused(&err, &words, output),
    }
}

fn start(args: &Args, words: &[OsString], output: &mut impl Write) -> u8 {
    let refused = listen().err();
    let environment = Environment::read(Some(args));
    let told = environment.as_ref().ok();
    let alone = told.is_none().then(Environment::without_file);
    let logs_in_output = told
        .or(alone.as_ref())
        .is_some_and(|environment| logging::start(Some(args), words, environment, time::timestamp));
    if let Some(err) = refused {
        log::warn!("signals are not listened to: {err}");
    }
    match environment {
        Ok(environment) => app::run(
            args,
            environment,
            Streams {
                input: Box::new(io::stdin()),
                input_is_terminal: io::stdin().is_terminal(),
                output,
                output_is_terminal: io::stdout().is_terminal(),
                logs_in_output,
                agent: &http::agent,
            },
        ),
        Err(failure) => app::refuse(args, output, failure),
    }
}

/// A command line that cannot be read is told of in the form that it or the environment asks for.
fn misused(err: &Error, words: &[OsString], output: &mut impl Write) -> u8 {
    let environment = Environment::read(None).unwrap_or_else(|_| Environment::without_file());
    logging::start(None, words, &environment, time::timestamp);
    let misuse = misuse::explain(err, words);
    let failure = Failure::new(Kind::Usage, misuse.message, misuse.hint);
    console::refuse(output, Meaning::of(None, words), failure)
}

/// The first signal to stop sets a flag, the second one kills; where only input is waited for, the
/// first one ends the program at once. A file that has grown too large is an error of its write.
fn listen() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(exit::NOT_NOW), stop::idle_flag())?;
        flag::register_conditional_default(signal, stop::flag())?;
        flag::register(signal, stop::flag())?;
    }
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}
