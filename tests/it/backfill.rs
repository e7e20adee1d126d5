//! `quotion backfill`: what it prints, syncs when piped into `quotion`, and how it goes on after
//! trouble.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::harness::{Run, User, feed};
use crate::kit::{ROSA, quo_error, status};
use crate::standin::{Act, Fault, Vendor, World};

pub const OWN: &str = "+14155550110";
const SALES: &str = "+14155550111";
const PAULA: &str = "+13125550162";
const ILSE: &str = "+16465550183";
const DAY: [&str; 3] = ["backfill", "--since", "24h"];

/// A workspace in which nothing has happened yet.
pub fn quiet() -> World {
    let mut world = World::default_demo();
    world.quo.calls.clear();
    world.quo.messages.clear();
    world.quo.conversations.clear();
    world.quo.recordings.clear();
    world.quo.summaries.clear();
    world.quo.transcripts.clear();
    world
}

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

fn id(number: u32) -> String {
    format!("AC{number:032}")
}

/// A conversation; without a time Quo tells nothing of when something last happened.
pub fn conversation(number: u32, line: &str, others: &[&str], minutes: Option<i64>) -> Json {
    let at = minutes.map(ago);
    json!({"id": format!("CN{number:032}"), "phoneNumberId": line, "participants": others,
        "name": null,
           "createdAt": ago(60 * 24 * 300), "lastActivityAt": at, "updatedAt": at})
}

pub fn message(number: u32, from: &str, to: &[&str], minutes: i64) -> Json {
    let own = [OWN, SALES].contains(&from);
    let line = if from == SALES || to.contains(&SALES) {
        "PNsale0002"
    } else {
        "PNmain0001"
    };
    json!({"id": id(number), "from": from, "to": to, "text": format!("text {number}"),
        "phoneNumberId": line,
           "direction": if own { "outgoing" } else { "incoming" },
           "status": if own { "delivered" } else { "received" },
           "userId": null, "createdAt": ago(minutes), "updatedAt": ago(minutes), "media": []})
}

/// A call of Rosa's, picked up.
fn call(number: u32, minutes: i64) -> Json {
    json!({"id": id(number), "phoneNumberId": "PNmain0001", "participants": [OWN, ROSA],
        "direction": "incoming",
           "status": "completed", "answeredAt": ago(minutes), "answeredBy": "USmarta001",
           "initiatedBy": null,
           "completedAt": ago(minutes - 1), "createdAt": ago(minutes),
           "updatedAt": ago(minutes - 1), "duration": 60,
           "forwardedFrom": null, "forwardedTo": null, "aiHandled": null, "callRoute": null,
           "userId": "USmarta001"})
}

fn with(mut json: Json, changes: &Json) -> Json {
    json.as_object_mut()
        .expect("an object")
        .extend(changes.as_object().expect("an object").clone());
    json
}

fn summarise(world: &mut World, number: u32) {
    let summary = json!({"callId": id(number), "status": "completed", "summary": ["A leak."],
        "nextSteps": []});
    world.quo.summaries.insert(id(number), summary);
}

fn record(world: &mut World, number: u32) {
    let part = json!({"id": "CR1", "status": "completed", "duration": 9, "type": "audio/mpeg",
        "startTime": null,
                      "url": "https://storage.example.com/1.mp3"});
    world.quo.recordings.insert(id(number), vec![part]);
}

/// Two lines, four threads, one of them a group of which Quo tells no time, and one that has been
/// silent for long.
fn busy() -> World {
    let mut world = quiet();
    world.quo.conversations = vec![
        conversation(4, "PNmain0001", &[ILSE], Some(60 * 24 * 40)),
        conversation(1, "PNmain0001", &[ROSA], Some(10)),
        conversation(2, "PNmain0001", &[ROSA, PAULA, ILSE], None),
        conversation(3, "PNsale0002", &[PAULA], Some(30)),
    ];
    let missed = json!({"answeredAt": null, "answeredBy": null, "status": "no-answer"});
    world.quo.calls = vec![
        call(10, 90),
        with(call(11, 60), &missed),
        with(
            call(12, 1),
            &json!({"status": "in-progress", "completedAt": null}),
        ),
        call(13, 60 * 25),
    ];
    world.quo.messages = vec![
        message(20, ROSA, &[OWN], 80),
        message(21, OWN, &[ROSA], 70),
        with(
            message(22, OWN, &[ROSA], 65),
            &json!({"status": "undelivered"}),
        ),
        message(23, ROSA, &[OWN, PAULA, ILSE], 50),
        message(24, PAULA, &[SALES], 30),
        message(25, ILSE, &[OWN], 60 * 24 * 40),
    ];
    record(&mut world, 10);
    summarise(&mut world, 10);
    world
}

const BUSY: [&str; 7] = [
    "backfill-call-10",
    "backfill-recording-10",
    "backfill-summary-10",
    "backfill-message-20",
    "backfill-message-21",
    "backfill-call-11",
    "backfill-message-23",
];

fn user(world: World) -> User {
    let user = User::of(world);
    user.without_rate_limits();
    user
}

/// Ids of the events, their activities in short.
fn ids(run: &Run) -> Vec<String> {
    let short = |id: &str| {
        let (head, number) = id.split_once("AC").expect("an activity");
        format!("{head}{}", number.trim_start_matches('0'))
    };
    run.lines
        .iter()
        .map(|line| short(line["id"].as_str().expect("an id")))
        .collect()
}

impl User {
    #[track_caller]
    fn backfill(&self, args: &[&str]) -> Run {
        let run = self.run(args, b"");
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(
            run.lines
                .iter()
                .all(|line| line["object"] == "event" && line["apiVersion"] == "v4"),
            "{}",
            run.stdout
        );
        run
    }

    /// Pipes into the main job; gives what it did with each.
    #[track_caller]
    fn sync_printed(&self, printed: &Run) -> Vec<String> {
        let synced = self.run::<&str>(&[], printed.stdout.as_bytes());
        assert_eq!(synced.code, 0, "{}\n{}", synced.stdout, synced.stderr);
        let word = |line: &Json| {
            line["reason"]
                .as_str()
                .or(line["action"].as_str())
                .unwrap_or("?")
                .to_owned()
        };
        synced.lines.iter().map(word).collect()
    }
}

#[test]
fn what_is_printed_syncs_and_is_not_printed_again() {
    let user = user(busy());
    let first = user.backfill(&DAY);
    assert_eq!(ids(&first), [&BUSY[..], &["backfill-message-24"]].concat());
    assert!(
        first
            .stderr
            .contains("backfill: events: 8; conversations: 3; groups"),
        "{}",
        first.stderr
    );
    let forecast = "forecast: conversations: 3; events: about 8; minutes: 1 at Quo's rate, 1 at";
    assert!(first.stderr.contains(forecast), "{}", first.stderr);
    assert_eq!(
        first.stderr.lines().count(),
        2,
        "no bar where there is no terminal: {}",
        first.stderr
    );
    assert!(
        !user
            .sync_printed(&first)
            .iter()
            .any(|did| did == "duplicate")
    );
    assert_eq!(user.client_pages(), 3);
    for text in ["text 20", "text 21", "text 24", "A leak.", "1.mp3"] {
        assert_eq!(user.times_in_notion(text), 1, "{text}");
    }
    assert_eq!(
        user.times_in_notion("text 23"),
        3,
        "a group's text stands on each member's page"
    );
    let second = user.backfill(&DAY);
    assert_eq!(second.stdout, "");
    assert!(
        second.stderr.contains("synced before: 6"),
        "{}",
        second.stderr
    );
    let before = user.notion();
    let all = user.backfill(&["backfill", "--since", "24h", "--all"]);
    assert_eq!(all.stdout, first.stdout);
    assert_eq!(user.sync_printed(&all), vec!["duplicate"; 8]);
    assert_eq!(user.notion(), before);
}

#[test]
fn nothing_to_tell_is_nothing_printed() {
    let user = user(quiet());
    let run = user.backfill(&DAY);
    assert_eq!(run.stdout, "");
    assert_eq!(user.run::<&str>(&[], run.stdout.as_bytes()).code, 0);
}

#[test]
fn span_and_numbers_are_obeyed() {
    let user = user(busy());
    let check = |args: &[&str], expected: &[&str]| {
        assert_eq!(
            ids(&user.backfill(&[&["backfill"], args].concat())),
            expected,
            "{args:?}"
        );
    };
    check(
        &["--since", "24h", "--number", "PNsale0002"],
        &["backfill-message-24"],
    );
    check(
        &["--since", "24h", "--number", "+1 (415) 555-0111"],
        &["backfill-message-24"],
    );
    check(&["--since", "24h", "--number", "PNmain0001"], &BUSY);
    check(
        &["--since", "24h", "--number", SALES, "--number", OWN],
        &[&BUSY[..], &["backfill-message-24"]].concat(),
    );
    check(
        &["--since", "75m", "--until", "45m"],
        &[
            "backfill-message-21",
            "backfill-call-11",
            "backfill-message-23",
        ],
    );
    check(&["--since", "26h", "--until", "24h"], &["backfill-call-13"]);
    check(
        &["--since", "60d", "--until", "30d"],
        &["backfill-message-25"],
    );
    let queries: Vec<String> = user
        .vendors
        .requests()
        .into_iter()
        .map(|seen| seen.query)
        .collect();
    assert!(
        queries
            .iter()
            .all(|query| !query.contains("since=") && !query.contains("updatedAfter")),
        "{queries:?}"
    );
}

#[test]
fn pending_tells_only_what_synced_calls_lack() {
    let mut world = busy();
    world.quo.summaries.clear();
    world.quo.recordings.clear();
    let user = user(world);
    let pending = ["backfill", "--pending", "7d"];
    assert_eq!(ids(&user.backfill(&pending)), [""; 0], "nothing is synced");
    user.sync_printed(&user.backfill(&DAY));
    assert_eq!(ids(&user.backfill(&pending)), [""; 0], "nothing is ready");
    {
        let mut world = user.vendors.world();
        record(&mut world, 10);
        summarise(&mut world, 10);
        summarise(&mut world, 13);
    }
    user.vendors.clear_requests();
    let late = user.backfill(&pending);
    assert_eq!(ids(&late), ["backfill-recording-10", "backfill-summary-10"]);
    assert!(
        !user
            .vendors
            .requests()
            .iter()
            .any(|seen| seen.path == "/v1/messages")
    );
    assert_eq!(user.sync_printed(&late), ["updated", "updated"]);
    assert_eq!(user.times_in_notion("A leak."), 1);
    assert_eq!(user.backfill(&pending).stdout, "");
    assert_eq!(user.backfill(&DAY).stdout, "");
}

#[test]
fn what_quo_calls_absent_is_not_asked_for_again() {
    let mut world = busy();
    world.quo.summaries.clear();
    world.quo.recordings.clear();
    let absent = json!({"callId": id(10), "status": "absent", "summary": null, "nextSteps": null});
    world.quo.summaries.insert(id(10), absent);
    let user = user(world);
    user.sync_printed(&user.backfill(&["backfill", "--since", "26h"]));
    let pending = ["backfill", "--pending", "7d"];
    user.backfill(&pending);
    user.vendors.clear_requests();
    user.backfill(&pending);
    let asked: Vec<String> = user
        .vendors
        .requests()
        .into_iter()
        .map(|seen| seen.path)
        .filter(|path| path.contains("/call-"))
        .collect();
    let want = [
        format!("/v1/call-recordings/{}", id(10)),
        format!("/v1/call-transcripts/{}", id(10)),
    ];
    assert_eq!(asked, want, "404 is \"not yet\" of a call of today alone");
}

#[test]
fn run_that_quo_broke_is_continued_and_tells_nothing_twice() {
    let whole: Vec<String> = ids(&user(busy()).backfill(&DAY));
    for (path, nth) in [
        ("/v1/phone-numbers", 1),
        ("/v1/conversations", 2),
        ("/v1/calls", 1),
        ("/v1/messages", 1),
        ("/v1/call-summaries", 1),
        ("/v1/messages", 2),
        ("/v1/messages", 3),
    ] {
        let user = user(busy());
        // Unreadable, and so not asked again.
        user.vendors.add_fault(
            Fault::new(Vendor::Quo, status(200, "{}"))
                .path(path)
                .nth(nth),
        );
        let broken = user.run(&DAY, b"");
        assert_eq!(broken.code, 75, "{path} {nth}: {}", broken.stderr);
        assert!(
            broken.stderr.contains("cannot read") && broken.stderr.contains("hint: "),
            "{}",
            broken.stderr
        );
        user.sync_printed(&broken);
        let rest = user.backfill(&DAY);
        assert_eq!([ids(&broken), ids(&rest)].concat(), whole, "{path} {nth}");
        let again = ids(&user.backfill(&DAY));
        assert_eq!(again, ids(&rest), "{path} {nth}: nobody has answered them");
    }
}

#[test]
fn continued_run_tells_what_came_meanwhile() {
    let user = user(busy());
    user.vendors.add_fault(
        Fault::new(Vendor::Quo, status(503, "{}"))
            .path("/v1/messages")
            .nth(3)
            .times(4),
    );
    let broken = user.run(&DAY, b"");
    assert_eq!(
        (broken.code, ids(&broken)),
        (75, BUSY.map(str::to_owned).to_vec()),
        "{}",
        broken.stderr
    );
    assert!(
        broken.stderr.contains("503") && broken.stderr.contains("hint: "),
        "{}",
        broken.stderr
    );
    user.sync_printed(&broken);
    {
        let mut world = user.vendors.world();
        world.quo.messages.push(message(30, ROSA, &[OWN], 0));
        world.quo.conversations[1] = conversation(1, "PNmain0001", &[ROSA], Some(0));
    }
    assert_eq!(
        ids(&user.backfill(&DAY)),
        ["backfill-message-30", "backfill-message-24"]
    );
    let user = self::user(busy());
    user.vendors.add_fault(
        Fault::new(Vendor::Quo, status(200, "{}"))
            .path("/v1/messages")
            .nth(3),
    );
    let broken = user.run(&DAY, b"");
    assert_eq!(broken.code, 75);
    user.sync_printed(&broken);
    user.vendors.clear_requests();
    user.backfill(&DAY);
    // The numbers, two pages of conversations, the group, which has no date, and what is left;
    // Rosa's is older.
    assert_eq!(user.vendors.count(Vendor::Quo), 6, "{:?}", user.quo_log());
}

#[test]
fn killed_run_is_continued() {
    let user = user(busy());
    let hang = Act::Hang(Duration::from_secs(20));
    user.vendors.add_fault(
        Fault::new(Vendor::Quo, hang)
            .path("/v1/messages")
            .nth(3)
            .times(1),
    );
    let mut child = user.command(&DAY).spawn().expect("it starts");
    let asked = || {
        user.vendors
            .requests()
            .iter()
            .filter(|seen| seen.path == "/v1/messages")
            .count()
    };
    let began = Instant::now();
    while asked() < 3 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("it runs");
    let killed = child.wait_with_output().expect("it ends").stdout;
    let printed = String::from_utf8(killed).expect("UTF-8");
    assert_eq!(printed.lines().count(), BUSY.len());
    assert_eq!(user.run::<&str>(&[], printed.as_bytes()).code, 0);
    assert_eq!(ids(&user.backfill(&DAY)), ["backfill-message-24"]);
}

#[test]
fn conversation_that_quo_refuses_does_not_hide_the_others() {
    let user = user(busy());
    user.vendors.add_fault(
        Fault::new(Vendor::Quo, quo_error(400))
            .path("/v1/calls")
            .nth(1),
    );
    let run = user.run(&DAY, b"");
    assert_eq!(run.code, 69, "{}", run.stderr);
    assert_eq!(ids(&run), ["backfill-message-23", "backfill-message-24"]);
    assert!(run.stderr.contains("refused: 1"), "{}", run.stderr);
}

#[test]
fn long_thread_is_read_page_by_page() {
    let mut world = quiet();
    world.quo.conversations = vec![conversation(1, "PNmain0001", &[ROSA], Some(1))];
    world.quo.messages = (0..250)
        .map(|number| message(1000 + number, ROSA, &[OWN], 300 - i64::from(number)))
        .collect();
    let user = user(world);
    let run = user.backfill(&DAY);
    let expected: Vec<String> = (1000..1250)
        .map(|number| format!("backfill-message-{number}"))
        .collect();
    assert_eq!(ids(&run), expected);
    assert_eq!(
        user.vendors
            .requests()
            .iter()
            .filter(|seen| seen.path == "/v1/messages")
            .count(),
        3
    );
}

#[test]
fn rate_limit_is_kept() {
    let mut world = quiet();
    let other = |number: u32| format!("+1202555{:04}", 200 + number);
    world.quo.conversations = (0..16)
        .map(|number| conversation(number, "PNmain0001", &[&other(number)], Some(1)))
        .collect();
    world.quo.messages = (0..16)
        .map(|number| message(number + 1, &other(number), &[OWN], 5))
        .collect();
    let user = User::of(world);
    let began = Instant::now();
    let run = user.backfill(&DAY);
    assert_eq!(run.lines.len(), 16);
    let refused = user
        .vendors
        .requests()
        .iter()
        .filter(|seen| seen.status == 429)
        .count();
    assert_eq!(user.vendors.count(Vendor::Quo), 35 + refused);
    // A machine that holds the process up between taking a moment and sending can push two moments
    // together.
    assert!(refused <= 2, "{refused} requests were too early");
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "35 requests at 10 a second: {:?}",
        began.elapsed()
    );
}

#[test]
fn failures_leave_stdout_to_events() {
    let check = |user: &User, args: &[&str], (code, said): (i32, &str)| {
        let run = user.run(args, b"");
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (code, ""),
            "{args:?}: {}",
            run.stderr
        );
        assert!(
            run.stderr.contains(said) && run.stderr.contains("hint: "),
            "{args:?}: {}",
            run.stderr
        );
    };
    let mut user = user(busy());
    check(
        &user,
        &["backfill", "--since", "1h", "--pending", "7d"],
        (64, "--since or --pending"),
    );
    check(
        &user,
        &["backfill", "--since", "yesterday"],
        (64, "--since"),
    );
    check(
        &user,
        &["backfill", "--since", "1h", "--until", "2h"],
        (64, "--until"),
    );
    check(
        &user,
        &["--dry-run", "backfill", "--since", "1h"],
        (64, "--dry-run"),
    );
    check(
        &user,
        &["backfill", "--since", "9999999d"],
        (64, "too long"),
    );
    check(
        &user,
        &["backfill", "--since", "1h", "--number", "PNother"],
        (64, "PNmain0001"),
    );
    check(
        &user,
        &["backfill", "--since", "1h", "--config", "missing.toml"],
        (78, "missing.toml"),
    );
    user.set("OPENPHONE_API_KEY", "wrong");
    check(&user, &DAY, (69, "401"));
    user.set("OPENPHONE_API_KEY", "");
    check(&user, &DAY, (78, "OPENPHONE_API_KEY"));
}

#[test]
fn notion_is_not_needed() {
    let mut user = user(busy());
    user.set("NOTION_API_KEY", "")
        .set("NOTION_CLIENTS_DATABASE_ID", "")
        .set("LOG_LEVEL", "debug");
    let run = user.backfill(&["--log-to", "stdout", "backfill", "--since", "24h"]);
    assert_eq!(
        run.lines.len(),
        8,
        "logs are kept off stdout: {}",
        run.stdout
    );
    assert_eq!(user.vendors.count(Vendor::Notion), 0);
}

#[test]
fn closed_pipe_ends_the_run() {
    let user = user(busy());
    let mut command = user.command(&DAY);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = Run::of(feed(
        command
            .stdout(Stdio::from(writer))
            .spawn()
            .expect("it starts"),
        b"",
    ));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(
        user.backfill(&DAY).lines.len(),
        8,
        "what went into the broken pipe is told again"
    );
}
