//! Quo: the key, and what it sends to webhooks.

use std::time::Duration;

use crate::domain::failure::Failure;
use crate::quo::api::Quo;
use crate::quo::api::webhooks::Subscription;
use crate::services::Services;
use crate::signature;
use crate::time::Deadline;

use super::check::{Check, Report};
use super::clock;

const KEY: &str = "quo_key";
const CLOCK: &str = "quo_clock";
const EVENTS: &str = "quo_webhooks";
const KEYS: &str = "quo_webhook_keys";
/// Longest time for all of it.
const TIME: Duration = Duration::from_secs(10);
/// Types of events of v1 that are handled and can be subscribed to.
const HANDLED: [&str; 6] = [
    "message.received",
    "message.delivered",
    "call.completed",
    "call.recording.completed",
    "call.summary.completed",
    "call.transcript.completed",
];

/// What there is to say of Quo.
pub fn check(services: &Services, report: &mut Report) {
    let Some(vendor) = services.quo_alone() else {
        let is_wrong = services.settings.wrong.is_some();
        let (message, fix) = if is_wrong {
            ("not set, or cannot be used, see settings", "")
        } else {
            (
                "not set: no names are looked up, and nothing is backfilled",
                "set OPENPHONE_API_KEY",
            )
        };
        report.add(Check::unknown(KEY, message, fix));
        return unseen(report);
    };
    let quo = Quo::new(&vendor, Deadline::within(TIME));
    let numbers = quo.fetch_numbers();
    let is_in = numbers.is_ok();
    report.add(match numbers {
        Ok(numbers) => Check::good(KEY, format!("Quo takes it; own numbers: {}", numbers.len())),
        Err(err) => Check::failed(KEY, &err.into()),
    });
    report.add(clock::skew(CLOCK, vendor.ahead()));
    if !is_in {
        return unseen(report);
    }
    match quo.fetch_webhooks() {
        Ok(all) => {
            let on: Vec<&Subscription> = all.iter().filter(|it| it.enabled).collect();
            report.add(events(&on, all.len() - on.len()));
            report.add(keys(services, &on));
        }
        Err(err) => {
            let failure = Failure::from(err);
            let message = format!("not seen: {}", failure.message);
            report.add(Check::unknown(EVENTS, &message, &failure.hint));
            report.add(Check::unknown(KEYS, &message, &failure.hint));
        }
    }
}

fn unseen(report: &mut Report) {
    for check in [EVENTS, KEYS] {
        report.add(Check::unknown(
            check,
            "not seen: Quo was not asked, or did not answer",
            "",
        ));
    }
}

fn events(on: &[&Subscription], off: usize) -> Check {
    let off = match off {
        0 => String::new(),
        off => format!("; switched off: {off}"),
    };
    let owner = "v1 shows those of the workspace's owner, and none that was made in the app";
    if on.is_empty() {
        let message = format!("none is seen{off}; {owner}");
        let fix = "if none was made in the app either, make them; else quotion backfill from cron";
        return Check::unknown(EVENTS, message, fix);
    }
    let is_sent = |wanted: &&str| {
        let mut events = on.iter().flat_map(|it| &it.events);
        events.any(|event| event == wanted)
    };
    let missing: Vec<&str> = HANDLED.into_iter().filter(|it| !is_sent(it)).collect();
    if !missing.is_empty() {
        let message = format!("nothing sends {}{off}; {owner}", missing.join(", "));
        let fix = "subscribe to these too, or leave it if they come from the app's webhook";
        return Check::flawed(EVENTS, message, fix);
    }
    let partial = on.iter().filter(|it| it.numbers.iter().all(|id| id != "*"));
    let partial: Vec<String> = partial
        .map(|it| format!("{} ({} numbers)", it.id, it.numbers.len()))
        .collect();
    let partial = if partial.is_empty() {
        String::new()
    } else {
        format!("; not for all numbers: {}", partial.join(", "))
    };
    Check::good(EVENTS, format!("all that is handled is sent{partial}{off}"))
}

fn keys(services: &Services, on: &[&Subscription]) -> Check {
    let secrets = &services.settings.signature.secrets.quo;
    if on.is_empty() || secrets.is_empty() {
        return Check::unknown(KEYS, "no subscription is seen, or no secret is set", "");
    }
    let is_known = |it: &&&Subscription| {
        let key = it.key.as_ref();
        let mut secrets = secrets.iter();
        key.is_none_or(|key| secrets.any(|secret| signature::is_same_key(key, secret)))
    };
    let strange: Vec<&str> = on
        .iter()
        .filter(|it| !is_known(it))
        .map(|it| it.id.as_str())
        .collect();
    if strange.is_empty() {
        return Check::good(KEYS, "each is among the secrets that are set");
    }
    Check::flawed(
        KEYS,
        format!(
            "not among the secrets that are set: those of {}",
            strange.join(", ")
        ),
        "add their keys to OPENPHONE_WEBHOOK_SECRET, comma-separated, if they send here",
    )
}
