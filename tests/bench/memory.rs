//! Most memory that is resident at once.

use crate::events::{self, Names, call_with_transcript, message, stream};
use crate::table::{Table, mib, none, secs, verdict};
use crate::user::{Cost, User};

const EVENTS: usize = 10_000;
const PEOPLE: usize = EVENTS / 20;
/// Most MiB for one event, and for many.
const TARGETS: (f64, f64) = (16.0, 64.0);

pub fn measure(binary: &str) {
    let table = Table::new(&[
        "memory (MiB resident at most)",
        "MiB",
        "target",
        "time s",
        "notion",
    ]);
    let row = |what: &str, (peak, cost): (u64, Cost), most: Option<f64>| {
        let target = most.map_or_else(none, |most| verdict(peak as f64 / 1024.0 / 1024.0, most));
        table.row(&[
            what.to_owned(),
            mib(peak),
            target,
            secs(cost.time),
            cost.notion.to_string(),
        ]);
    };
    let user = User::of(binary, events::world(PEOPLE));
    let single = |n: usize| user.peak(&[], &message(n, (0, Names::Given)));
    let most = (0..5)
        .map(single)
        .max_by_key(|(peak, _)| *peak)
        .expect("some");
    row("one event", most, Some(TARGETS.0));
    row(
        "stream of 10,000 events",
        user.peak(&[], &stream(EVENTS, PEOPLE)),
        Some(TARGETS.1),
    );

    let user = User::of(binary, events::world(PEOPLE));
    let queued = user.peak(&["--enqueue"], &stream(EVENTS, PEOPLE));
    row(
        "stream of 10,000 events with --enqueue",
        queued,
        Some(TARGETS.1),
    );
    row(
        "replay of 10,000 events",
        user.peak(&["replay"], b""),
        Some(TARGETS.1),
    );

    let user = User::of(binary, events::world(0));
    let (call, transcript) = call_with_transcript(1024 * 1024);
    user.run(&[], &call);
    row("transcript of 1 MiB", user.peak(&[], &transcript), None);
}
