//! `quotion`: the main job, documents of standard input.

use std::time::Duration;

use crate::cli::SyncArgs;
use crate::domain::failure::Failure;
use crate::logs;
use crate::services::Services;

use super::console::Console;
use super::input::Input;
use super::intake::{Intake, Treatment};
use super::signed;

/// How long a delivery may take to come in, without a deadline.
const LONGEST_READ: Duration = Duration::from_mins(1);

/// Syncs, or only keeps, every document.
pub fn run<'a>(
    services: &'a Services,
    args: &SyncArgs,
    console: &mut Console<'a>,
    input: Input,
) -> Result<(), Failure> {
    let treatment = if args.enqueue {
        Treatment::Enqueue
    } else {
        Treatment::Sync
    };
    let settings = &services.settings;
    let is_signed = settings.signature.headers.is_some() || settings.signature.required;
    let mut intake = Intake::new(services, console, treatment);
    if !is_signed && !args.enqueue {
        intake.take_all(input);
        if intake.documents == 0 {
            logs::warning("standard input holds no document; nothing to do");
        }
        return Ok(());
    }
    // Who waits for the answer has sent one delivery.
    let input = input.within(settings.deadline.unwrap_or(LONGEST_READ));
    if is_signed {
        signed::take(services, &mut intake, input)?;
    } else {
        intake.take_all(input);
    }
    intake.expect_documents()
}
