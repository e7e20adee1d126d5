//! `quotion backfill | quotion`, and whoever of the two dies: nothing falls between them.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use crate::backfill::{OWN, conversation, message, quiet};
use crate::harness::{Run, User};
use crate::standin::{Act, Fault, Vendor};
use crate::support::{self, Database, half_a_minute_passes, has_postgres, postgres, sqlite};

const THREADS: u32 = 12;
const TEXTS: u32 = 10;

/// Who is killed, with `kill -9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Producer,
    Consumer,
    Both,
}

/// 120 texts of twelve people; none of them is part of another.
fn user(database: Database) -> User {
    let user = support::user(
        database,
        "[notion]\nsettle = \"1ms\"\nsilence = \"1ms\"\nrequests_per_minute = 1000000\n\
         [quo]\nrequests_per_second = 1000000\n",
    );
    let mut world = quiet();
    for thread in 0..THREADS {
        let other = format!("+1202555{:04}", 200 + thread);
        let who = [other.as_str()];
        let listed = conversation(thread, "PNmain0001", &who, Some(20));
        world.quo.conversations.push(listed);
        for text in 0..TEXTS {
            let number = 1000 + thread * TEXTS + text;
            let minutes = 20 + i64::from(number - 1000);
            let text = message(number, &other, &[OWN], minutes);
            world.quo.messages.push(text);
        }
    }
    *user.vendors.world() = world;
    user
}

fn piped(user: &User, on_start: impl FnOnce([u32; 2])) -> [i32; 2] {
    let mut producer = user.command(&["backfill"]);
    let mut producer = producer
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let pipe = producer.stdout.take().expect("a pipe");
    let mut command = user.command::<&str>(&[]);
    command.stdin(Stdio::from(pipe));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut consumer = command.spawn().expect("it starts");
    // It holds the reading end, which nobody may have when the consumer is dead.
    drop(command);
    on_start([producer.id(), consumer.id()]);
    [&mut producer, &mut consumer].map(|child| {
        let ended = child.wait().expect("it ends");
        ended.code().unwrap_or(-9)
    })
}

/// The pipe, in which somebody is killed at the n-th request to `vendor`. False when there were
/// fewer.
fn broken(user: &User, killed: Killed, (vendor, nth): (Vendor, usize)) -> bool {
    let victims: Arc<Mutex<Vec<u32>>> = Arc::default();
    let pids = Arc::clone(&victims);
    let kill = move || {
        for pid in pids.lock().expect("pids").iter() {
            let killed = Command::new("sh")
                .args(["-c", &format!("kill -9 {pid}")])
                .stderr(Stdio::null())
                .status();
            // The producer may have ended by itself.
            killed.expect("sh");
        }
    };
    let mut guard = victims.lock().expect("pids");
    user.vendors
        .add_fault(Fault::new(vendor, Act::Call(Arc::new(kill))).nth(nth));
    piped(user, |[producer, consumer]| {
        *guard = match killed {
            Killed::Producer => vec![producer],
            Killed::Consumer => vec![consumer],
            Killed::Both => vec![producer, consumer],
        };
        drop(guard);
    });
    let hit = user.vendors.unused_faults() == 0;
    user.vendors.clear_faults();
    half_a_minute_passes(user);
    hit
}

fn all_stand_once(user: &User, what: &str) {
    let times: Vec<(u32, usize)> = (1000..1000 + THREADS * TEXTS)
        .map(|number| (number, user.times_in_notion(&format!("text {number}"))))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert_eq!(times, [], "{what}");
}

fn kills(database: Database) {
    let quo = [9, 20].map(|nth| (Vendor::Quo, nth));
    let notion = [1, 8].map(|nth| (Vendor::Notion, nth));
    for killed in [Killed::Producer, Killed::Consumer, Killed::Both] {
        for at in quo.into_iter().chain(notion) {
            let what = format!("{killed:?} killed at {at:?}");
            let user = user(database);
            assert!(broken(&user, killed, at), "{what}: too few requests");
            assert_eq!(piped(&user, |_| ()), [0, 0], "{what}");
            all_stand_once(&user, &what);
            let rest = user.run(&["backfill"], b"");
            assert_eq!((rest.code, rest.stdout.as_str()), (0, ""), "{what}");
        }
    }
}

#[test]
fn whoever_is_killed_everything_comes_once() {
    kills(&sqlite);
}

#[test]
fn whoever_is_killed_everything_comes_once_on_postgres() {
    if has_postgres() {
        kills(&postgres);
    }
}

/// The event as if from someone without a number.
fn nobodys(line: &str) -> String {
    let mut event: Json = serde_json::from_str(line).expect("JSON");
    event["data"]["object"]["from"] = "anonymous".into();
    event.to_string()
}

fn answers(database: Database) {
    let user = user(database);
    let printed = user.run(&["backfill"], b"");
    assert_eq!(printed.lines.len(), 120, "{}", printed.stderr);
    let feed = |args: &[&str], lines: &[&str]| -> Run {
        let input = lines.join("\n");
        user.run(args, input.as_bytes())
    };
    let lines: Vec<&str> = printed.stdout.lines().collect();
    // Whatever the walk finds, those that are offered come first.
    user.vendors.world().quo.conversations.clear();
    assert_eq!(feed(&["--dry-run"], &lines).code, 0);
    let again = user.run(&["backfill"], b"");
    assert_eq!(again.lines.len(), 120, "a dry run answers nobody");
    assert_eq!(feed(&[], &lines[..50]).code, 0);
    assert_eq!(feed(&["--enqueue"], &lines[50..70]).code, 0);
    let again = user.run(&["backfill"], b"");
    assert_eq!(again.lines.len(), 70, "what is only kept is not answered");
    assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
    let narrow = user.run(&["backfill", "--number", "PNsale0002"], b"");
    assert_eq!((narrow.code, narrow.stdout.as_str()), (0, ""));
    let again = user.run(&["backfill"], b"");
    let mut rest: Vec<&str> = again.stdout.lines().collect();
    rest.sort_unstable();
    let mut want = lines[70..].to_vec();
    want.sort_unstable();
    assert_eq!(rest, want);
    // With nobody who could be a client: answered with a skip.
    let nobody = rest.iter().map(|line| nobodys(line)).collect::<Vec<_>>();
    let nobody: Vec<&str> = nobody.iter().map(String::as_str).collect();
    let skipped = feed(&[], &nobody);
    assert!(
        skipped.lines.iter().all(|it| it["action"] == "skipped"),
        "{}",
        skipped.stdout
    );
    assert_eq!(user.run(&["backfill"], b"").stdout, "");
}

#[test]
fn who_answers_takes_the_offer_off() {
    answers(&sqlite);
}

#[test]
fn who_answers_takes_the_offer_off_on_postgres() {
    if has_postgres() {
        answers(&postgres);
    }
}
