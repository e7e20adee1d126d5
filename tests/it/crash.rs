//! The crash matrix: kill -9 at every request, before and after the vendor applied it, and then the
//! same event again or a replay. Whatever happened, the same pages must stand there as after a run
//! that nothing disturbed.

use crate::harness::{Run, User, sample};
use crate::standin::{Vendor, When};
use crate::support::{Database, canonical, every, has_postgres, kill_at, postgres, sqlite};

/// What is synced before the run that is killed, and what that run syncs.
struct Case {
    name: &'static str,
    before: &'static [&'static str],
    killed: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        name: "new client, call",
        before: &[],
        killed: "legacy-v4.call.completed.answered",
    },
    Case {
        name: "new client, message",
        before: &[],
        killed: "v2026-03-30.message.received",
    },
    Case {
        name: "new client, artifact",
        before: &[],
        killed: "legacy-v4.call.transcript.completed",
    },
    Case {
        name: "new clients, group",
        before: &[],
        killed: "legacy-v3.message.received.group",
    },
    Case {
        name: "known client, call",
        before: &[KNOWN],
        killed: "legacy-v4.call.completed.answered",
    },
    Case {
        name: "known client, message",
        before: &[KNOWN],
        killed: "legacy-v4.message.received",
    },
    Case {
        name: "known client, artifact",
        before: &[KNOWN, "legacy-v4.call.completed.answered"],
        killed: "legacy-v4.call.summary.completed",
    },
    Case {
        name: "known clients, group",
        before: &[KNOWN],
        killed: "legacy-v4.message.received.group",
    },
];

const KNOWN: &str = "v2026-03-30.message.received";

/// How the event gets its second chance.
#[derive(Debug, Clone, Copy)]
enum Recovery {
    Resend,
    Replay,
}

fn user(database: Option<&str>) -> User {
    let mut user = User::new();
    user.vendors.set_rate_limits(false);
    if let Some(url) = database {
        user.set("QUOTION_STATE", url);
    }
    user
}

fn prepared(case: &Case, database: Option<&str>) -> User {
    let user = user(database);
    for sample in case.before {
        user.sync(sample).expect(
            0,
            "success",
            if user.client_pages() == 1 && *sample != KNOWN {
                "updated"
            } else {
                "created"
            },
        );
    }
    user
}

fn recover(user: &User, sample_name: &str, recovery: Recovery) -> Run {
    match recovery {
        Recovery::Resend => user.sync(sample_name),
        Recovery::Replay => user.run(&["replay", "--now"], b""),
    }
}

/// Tries every `step`-th kill of each case, beginning with another one in each; how many were
/// tried.
fn matrix(recovery: Recovery, database: Database, step: usize) -> usize {
    let mut tried = 0;
    for (place, case) in CASES.iter().enumerate() {
        let first = 1 + (place + recovery as usize) % step;
        let undisturbed = prepared(case, database().as_deref());
        let run = undisturbed.sync(case.killed);
        assert_eq!(run.code, 0, "{}: {}", case.name, run.stdout);
        let want = canonical(&undisturbed);
        for vendor in [Vendor::Notion, Vendor::Quo] {
            for when in [When::Before, When::AfterApply] {
                for nth in (first..).step_by(step) {
                    let user = prepared(case, database().as_deref());
                    if !kill_at(&user, &sample(case.killed), (vendor, nth, when)) {
                        break;
                    }
                    let run = recover(&user, case.killed, recovery);
                    let what = format!(
                        "{}, {vendor:?} request {nth} {when:?}, {recovery:?}",
                        case.name
                    );
                    assert_eq!(run.code, 0, "{what}: {}\n{}", run.stdout, run.stderr);
                    assert_eq!(canonical(&user), want, "{what}");
                    tried += 1;
                }
            }
        }
    }
    tried
}

#[test]
fn killed_at_any_request_and_sent_again_the_same_pages_stand_there() {
    let step = every(4);
    let tried = matrix(Recovery::Resend, &sqlite, step);
    println!("kills: {tried}");
    assert!(tried * step > 60, "{tried}");
}

#[test]
fn killed_at_any_request_and_replayed_the_same_pages_stand_there() {
    let step = every(4);
    let tried = matrix(Recovery::Replay, &sqlite, step);
    println!("kills: {tried}");
    assert!(tried * step > 60, "{tried}");
}

#[test]
fn killed_at_any_request_the_same_pages_stand_there_on_postgres() {
    if has_postgres() {
        let step = every(8);
        let tried =
            matrix(Recovery::Resend, &postgres, step) + matrix(Recovery::Replay, &postgres, step);
        println!("kills on PostgreSQL: {tried}");
        assert!(tried * step > 120, "{tried}");
    }
}
