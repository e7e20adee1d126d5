//! The start: arguments, streams and the clock, handed to the program; its exit code, handed back.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use quotion::app::{self, World};
use quotion::cli::{self, Args};
use quotion::config::Environment;
use quotion::failure::{Failure, Kind};
use quotion::logs;

fn main() -> ExitCode {
    // Not locked: with `--log-to stdout` other threads log there too, and would wait for ever.
    let mut output = io::stdout();
    let code = match Args::try_parse() {
        Ok(args) => start(&args, &mut output),
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
        Err(err) => {
            logs::start(logs::Target::Stderr, logs::Format::Text, "error", now);
            let message = cli::complaint(&err);
            app::print_failure(
                &mut output,
                &Failure::new(Kind::Usage, message, "quotion --help shows every option"),
            )
        }
    };
    ExitCode::from(code)
}

fn start(args: &Args, output: &mut impl Write) -> u8 {
    let environment = Environment::read(args);
    let filter = environment.as_ref().map_or("warn", Environment::log_filter);
    logs::start(app::log_target(args), args.log_format.into(), filter, now);
    match environment {
        Ok(environment) => app::run(
            args,
            environment,
            World {
                input: &mut io::stdin(),
                output,
                now,
            },
        ),
        Err(failure) => app::refuse(args, output, &failure),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the clock"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
