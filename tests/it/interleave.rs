//! Any order and any repetition of a set of events, in one process or in several at once, gives the
//! same pages.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::harness::{User, sample};
use crate::support::{
    Database, at_once, canonical, has_postgres, postgres, redelivered, sqlite, user,
};

/// Three clients and a group, every kind of artifact, all generations, older events after newer
/// ones.
const EVENTS: [&str; 20] = [
    "legacy-v4.call.completed.answered",
    "legacy-v4.call.recording.completed",
    "legacy-v4.call.summary.completed",
    "legacy-v4.call.transcript.completed",
    "legacy-v4.call.completed.answered-outgoing",
    "legacy-v4.message.received",
    "legacy-v4.message.received.group",
    "legacy-v2.message.delivered",
    "legacy-v3.contact.updated",
    "v2026-03-30.message.received",
    "v2026-03-30.message.received.no-contact",
    "v2026-03-30.call.missed",
    "v2026-03-30.call.completed.missed",
    "v2026-03-30.call.completed.answered",
    "v2026-03-30.call.summary.completed",
    "v2026-03-30.contact.updated",
    "legacy-v4.call.completed.voicemail",
    "legacy-v2.call.recording.completed",
    "legacy-v3.message.received.group",
    "v2026-03-30.call.recording.completed",
];

const SETTINGS: &str =
    "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[quo]\nrequests_per_second = 1000\n";

/// A user in whose Quo the group's members have no other contacts than the delivery names: for one
/// that it leaves out the index decides, if an earlier event was a reason to build it.
fn consistent(database: Database) -> User {
    let user = user(database, SETTINGS);
    let mut world = user.vendors.world();
    world
        .quo
        .contacts
        .retain(|contact| !contact.to_string().contains("+16465550183"));
    drop(world);
    user
}

/// An order in which every event comes at least once, with repetitions: the same delivery, or
/// another subscription's.
fn order() -> impl Strategy<Value = Vec<(usize, bool)>> {
    let each = (0..EVENTS.len())
        .map(|index| (index, false))
        .collect::<Vec<_>>();
    let repeated = proptest::collection::vec((0..EVENTS.len(), any::<bool>()), 0..8);
    repeated.prop_flat_map(move |repeated| Just([each.clone(), repeated].concat()).prop_shuffle())
}

fn bytes((index, redeliver): (usize, bool)) -> Vec<u8> {
    if redeliver {
        redelivered(EVENTS[index], index)
    } else {
        sample(EVENTS[index])
    }
}

fn one_after_another(order: &[(usize, bool)], database: Database) -> User {
    let user = consistent(database);
    let input: Vec<u8> = order.iter().copied().flat_map(bytes).collect();
    let run = user.run::<&str>(&[], &input);
    assert_eq!(
        (run.code, run.lines.len()),
        (0, order.len()),
        "{order:?}: {}\n{}",
        run.stdout,
        run.stderr
    );
    followed_up(user)
}

fn at_once_in_three(order: &[(usize, bool)], database: Database) -> User {
    let user = consistent(database);
    let inputs: Vec<(&[&str], Vec<u8>)> = order
        .chunks(order.len().div_ceil(3))
        .map(|part| (&[][..], part.iter().copied().flat_map(bytes).collect()))
        .collect();
    for run in at_once(&user, &inputs) {
        assert_eq!(run.code, 0, "{order:?}: {}\n{}", run.stdout, run.stderr);
    }
    followed_up(user)
}

/// With what v4 does not announce, too.
fn followed_up(user: User) -> User {
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(
        (run.code, run.lines.len()),
        (0, 1),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    user
}

fn any_order(cases: u32, database: Database, way: fn(&[(usize, bool)], Database) -> User) {
    let plain: Vec<(usize, bool)> = (0..EVENTS.len()).map(|index| (index, false)).collect();
    let want = canonical(&one_after_another(&plain, database));
    assert!(
        want.contains("Last Call: 2026-10-02T17:00:00"),
        "the latest, whatever came last: {want}"
    );
    let config = Config {
        cases,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let result = TestRunner::new_with_rng(config, seed).run(&order(), |order| {
        let found = canonical(&way(&order, database));
        let names = order
            .iter()
            .map(|(index, other)| (EVENTS[*index], if *other { "again" } else { "" }));
        prop_assert!(
            found == want,
            "{:#?}\n{}\nWANTED\n{}",
            names.collect::<Vec<_>>(),
            found,
            want
        );
        Ok(())
    });
    if let Err(err) = result {
        panic!("{err}");
    }
}

#[test]
fn any_order_and_repetition_gives_the_same_pages() {
    any_order(24, &sqlite, one_after_another);
}

#[test]
fn any_order_and_repetition_in_three_processes_at_once_gives_the_same_pages() {
    any_order(8, &sqlite, at_once_in_three);
}

#[test]
fn any_order_and_repetition_gives_the_same_pages_on_postgres() {
    if has_postgres() {
        any_order(8, &postgres, one_after_another);
        any_order(4, &postgres, at_once_in_three);
    }
}
