//! One fault at each request, of every kind that a network and a vendor can have: drops, resets,
//! errors with and without the write done, cut and garbled answers, silence. Whatever it was, after
//! a further run the same pages stand there as after a run that nothing disturbed.

use std::time::{Duration, Instant};

use crate::harness::{Run, User, sample};
use crate::standin::{Act, Fault, Vendor, When, World};
use crate::support::{
    Database, canonical, copy_folder, every, has_postgres, in_parallel, postgres, redelivered,
    renamed, sqlite, start, user,
};

/// What is synced before, and what the disturbed run syncs.
struct Case {
    name: &'static str,
    before: &'static [&'static str],
    disturbed: &'static str,
}

const KNOWN: &str = "v2026-03-30.message.received";
const CALL: &str = "legacy-v4.call.completed.answered";
const SUMMARY: &str = "legacy-v4.call.summary.completed";

const CASES: [Case; 8] = [
    Case {
        name: "new client, call",
        before: &[],
        disturbed: CALL,
    },
    Case {
        name: "new client, message",
        before: &[],
        disturbed: KNOWN,
    },
    Case {
        name: "new client, artifact",
        before: &[],
        disturbed: "legacy-v4.call.transcript.completed",
    },
    Case {
        name: "new clients, group",
        before: &[],
        disturbed: "legacy-v3.message.received.group",
    },
    Case {
        name: "known client, call",
        before: &[KNOWN],
        disturbed: CALL,
    },
    Case {
        name: "known client, message",
        before: &[KNOWN],
        disturbed: "legacy-v4.message.received",
    },
    Case {
        name: "known client, artifact",
        before: &[KNOWN, CALL],
        disturbed: SUMMARY,
    },
    Case {
        name: "known clients, group",
        before: &[KNOWN],
        disturbed: "legacy-v4.message.received.group",
    },
];

/// The state before the disturbed run, made once for each case.
struct Prepared {
    case: &'static Case,
    world: World,
    home: User,
    requests: Vec<(Vendor, usize, Effect)>,
    want: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    Read,
    Write,
}

fn prepare(case: &'static Case, database: Database) -> Prepared {
    let home = user(database, "");
    for sample in case.before {
        assert_eq!(home.sync(sample).code, 0);
    }
    let world = home.vendors.world().clone();
    let prepared = Prepared {
        case,
        world,
        home,
        requests: Vec::new(),
        want: String::new(),
    };
    let undisturbed = prepared.user(database, "");
    undisturbed.vendors.clear_requests();
    assert_eq!(undisturbed.sync(case.disturbed).code, 0);
    let mut requests = Vec::new();
    for vendor in [Vendor::Notion, Vendor::Quo] {
        let of_vendor = undisturbed
            .vendors
            .requests()
            .into_iter()
            .filter(|seen| seen.vendor == vendor);
        requests.extend(of_vendor.enumerate().map(|(index, seen)| {
            let reads = seen.method == "GET" || seen.path.ends_with("/query");
            (
                vendor,
                index + 1,
                if reads { Effect::Read } else { Effect::Write },
            )
        }));
    }
    let want = canonical(&undisturbed);
    Prepared {
        requests,
        want,
        ..prepared
    }
}

impl Prepared {
    /// A user for whom everything is as it was before the disturbed run. A file store is copied,
    /// which is quicker.
    fn user(&self, database: Database, settings: &str) -> User {
        let user = user(database, settings);
        if database().is_some() {
            for sample in self.case.before {
                assert_eq!(user.sync(sample).code, 0);
            }
            return user;
        }
        let base = user.vendors.base();
        *user.vendors.world() = World {
            base,
            ..self.world.clone()
        };
        if self.home.path(".tmp").exists() {
            copy_folder(&self.home.path(".tmp"), &user.path(".tmp"));
        }
        user
    }
}

fn status(code: u16, body: &str) -> Act {
    Act::Status {
        code,
        headers: vec![],
        body: body.to_owned(),
    }
}

/// Everything that can go wrong, by whether the request is a write.
fn troubles(effect: Effect) -> Vec<(&'static str, Act, When)> {
    use When::{AfterApply, Before};
    let json = r#"{"object":"error","status":500,"code":"internal_server_error","message":"oops"}"#;
    let html = "<html><body><h1>Bad gateway</h1></body></html>";
    let mut all = vec![
        ("drop", Act::DropConnection, Before),
        ("500", status(500, json), Before),
        ("502 html", status(502, html), Before),
        ("truncated", Act::TruncateBody, Before),
        ("garbage", Act::Garbage, Before),
    ];
    if effect == Effect::Write {
        all.extend([
            ("reset", Act::ResetConnection, Before),
            ("504 html", status(504, html), Before),
            (
                "409",
                status(
                    409,
                    r#"{"object":"error","status":409,"code":"conflict_error","message":"c"}"#,
                ),
                Before,
            ),
            ("drop", Act::DropConnection, AfterApply),
            ("reset", Act::ResetConnection, AfterApply),
            ("500", status(500, json), AfterApply),
            ("502 html", status(502, html), AfterApply),
            ("504", status(504, json), AfterApply),
            ("garbage", Act::Garbage, AfterApply),
            ("200 html", status(200, html), AfterApply),
            ("200 {}", status(200, "{}"), AfterApply),
            ("saved but 503", Act::SavedBut503, Before),
        ]);
    }
    all
}

/// Runs again, by turns as the sender does and as cron does, until it is done.
fn finish(user: &User, sample_name: &str, mut run: Run, what: &str) {
    for attempt in 0..4 {
        if run.code == 0 {
            return;
        }
        assert_eq!(run.code, 75, "{what}: {}\n{}", run.stdout, run.stderr);
        for line in &run.lines {
            assert_eq!(line["error"]["retryable"], true, "{what}: {line}");
        }
        run = if attempt % 2 == 0 {
            user.run(&["replay", "--now"], b"")
        } else {
            user.sync(sample_name)
        };
    }
    panic!("{what}: never done: {}\n{}", run.stdout, run.stderr);
}

/// Tries every `step`-th trouble; how many were tried.
fn matrix(database: Database<'_>, cases: &'static [Case], step: usize) -> usize {
    let prepared: Vec<Prepared> = cases.iter().map(|case| prepare(case, database)).collect();
    let mut jobs = Vec::new();
    for prepared in &prepared {
        for request in &prepared.requests {
            jobs.extend(
                troubles(request.2)
                    .into_iter()
                    .map(|trouble| (prepared, *request, trouble)),
            );
        }
    }
    let jobs: Vec<_> = jobs.into_iter().step_by(step).collect();
    in_parallel(&jobs, |(prepared, (vendor, nth, _), (name, act, when))| {
        let settings = "[notion]\nsettle = \"1ms\"\n";
        let user = &prepared.user(database, settings);
        let what = format!(
            "{}: {name} {when:?} at {vendor:?} request {nth}",
            prepared.case.name
        );
        let fault = Fault {
            when: *when,
            ..Fault::new(*vendor, act.clone()).nth(*nth)
        };
        user.vendors.add_fault(fault);
        let run = user.sync(prepared.case.disturbed);
        assert_eq!(user.vendors.unused_faults(), 0, "{what}");
        finish(user, prepared.case.disturbed, run, &what);
        assert_eq!(canonical(user), prepared.want, "{what}");
        if *when == When::Before {
            return;
        }
        let repeated = user.run::<&str>(&[], &redelivered(prepared.case.disturbed, 1));
        assert_eq!(
            (repeated.code, repeated.line()["reason"].as_str()),
            (0, Some("duplicate")),
            "{what}"
        );
        assert_eq!(
            canonical(user),
            prepared.want,
            "{what}, delivered once more"
        );
    });
    jobs.len()
}

#[test]
fn any_trouble_at_any_request_ends_in_the_same_pages() {
    let step = every(6);
    let tried = matrix(&sqlite, &CASES, step);
    println!("troubles tried: {tried}");
    assert!(tried * step > 200, "{tried}");
}

#[test]
fn any_trouble_at_any_request_ends_in_the_same_pages_on_postgres() {
    if has_postgres() {
        let step = every(11);
        let tried = matrix(&postgres, &CASES, step);
        println!("troubles tried on PostgreSQL: {tried}");
        assert!(tried * step > 200, "{tried}");
    }
}

/// A write that reaches the vendor, but later than this program waits: after a first look has not
/// found it.
fn slow_write(case: &'static Case, path: &str, database: Database) {
    let prepared = prepare(case, database);
    let user = prepared.user(database, "[notion]\nsettle = \"4s\"\n");
    let slow = Fault::new(Vendor::Notion, Act::Delay(Duration::from_millis(2500)))
        .path(path)
        .nth(1);
    let slow = if path == "children" {
        slow.method("PATCH")
    } else {
        slow.method("POST")
    };
    user.vendors.add_fault(slow);
    let run = user.run(&["--deadline", "1500ms"], &sample(case.disturbed));
    assert_eq!(
        (user.vendors.unused_faults(), run.code),
        (0, 75),
        "{}: {}",
        case.name,
        run.stdout
    );
    let run = user.sync(case.disturbed);
    assert_eq!(run.code, 0, "{}: {}", case.name, run.stdout);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(canonical(&user), prepared.want, "{}", case.name);
}

#[test]
fn write_that_is_done_later_than_we_wait_is_not_done_twice() {
    let cases = [
        (0, "/v1/pages"),
        (3, "/v1/pages"),
        (4, "children"),
        (5, "children"),
        (6, "children"),
        (7, "children"),
    ];
    in_parallel(&cases, |(case, path)| {
        slow_write(&CASES[*case], path, &sqlite);
    });
}

/// Silence, with and without the write done.
fn silent(case: &'static Case, path: &str, when: When) {
    let prepared = prepare(case, &sqlite);
    let user = prepared.user(&sqlite, "[notion]\nsettle = \"1ms\"\n");
    let hang = Fault {
        when,
        ..Fault::new(Vendor::Notion, Act::Hang(Duration::from_secs(20)))
            .path(path)
            .nth(1)
    };
    user.vendors.add_fault(if path == "/v1/pages" {
        hang.method("POST")
    } else {
        hang
    });
    let began = Instant::now();
    let run = user.run(&["--deadline", "2s"], &sample(case.disturbed));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{}: {:?}",
        case.name,
        began.elapsed()
    );
    assert_eq!(
        (user.vendors.unused_faults(), run.code),
        (0, 75),
        "{}: {}",
        case.name,
        run.stdout
    );
    finish(&user, case.disturbed, run, case.name);
    assert_eq!(
        canonical(&user),
        prepared.want,
        "{}, silence at {path} {when:?}",
        case.name
    );
}

#[test]
fn silence_ends_at_the_deadline_and_the_event_is_kept() {
    use When::{AfterApply, Before};
    let cases = [
        (0, "/query", Before),
        (0, "/v1/pages", Before),
        (0, "/v1/pages", AfterApply),
        (3, "/v1/pages", AfterApply),
        (5, "children", Before),
        (5, "children", AfterApply),
        (6, "children", AfterApply),
    ];
    in_parallel(&cases, |(case, path, when)| {
        silent(&CASES[*case], path, *when);
    });
}

/// Killed after the page was made, and sent again while queries do not show it yet.
fn hidden(case: &'static Case) {
    let prepared = prepare(case, &sqlite);
    let user = prepared.user(&sqlite, "[notion]\nsettle = \"3s\"\n");
    user.vendors.set_hide_new_pages(Duration::from_secs(2));
    let hang = Act::Hang(Duration::from_secs(20));
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, hang)
            .method("POST")
            .path("/v1/pages")
            .nth(1)
            .after(),
    );
    let mut child = start(&user, &[]);
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, &sample(case.disturbed)).expect("input");
    drop(stdin);
    let began = Instant::now();
    while user.client_pages() == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "no page was made"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    let run = user.sync(case.disturbed);
    assert_eq!(run.code, 0, "{}: {}", case.name, run.stdout);
    assert!(
        began.elapsed() > Duration::from_secs(2),
        "{}: {:?}",
        case.name,
        began.elapsed()
    );
    assert_eq!(canonical(&user), prepared.want, "{}", case.name);
}

#[test]
fn page_that_queries_do_not_show_yet_is_waited_for_and_not_made_twice() {
    in_parallel(&[0, 3], |case| hidden(&CASES[*case]));
}

/// Two artifacts of one call, of which the first one's outcome is unknown when the second one is
/// written.
fn two_artifacts(when: When) {
    let user = user(&sqlite, "[notion]\nsettle = \"1ms\"\n");
    user.sync(CALL).expect(0, "success", "created");
    let drop = Fault {
        when,
        ..Fault::new(Vendor::Notion, Act::DropConnection)
            .method("PATCH")
            .path("children")
    };
    user.vendors.add_fault(drop);
    // What was done after all is found by looking at once.
    assert_eq!(
        user.sync(SUMMARY).code,
        if when == When::Before { 75 } else { 0 }
    );
    user.vendors.clear_faults();
    user.sync("legacy-v4.call.recording.completed")
        .expect(0, "success", "updated");
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    for part in ["Thursday at 9 am", "recordings/"] {
        assert_eq!(user.times_in_notion(part), 1, "{part}: {}", user.notion());
    }
    user.sync(SUMMARY).expect(0, "success", "skipped");
}

#[test]
fn artifact_of_unknown_outcome_is_not_taken_for_written_when_another_one_is() {
    two_artifacts(When::Before);
    two_artifacts(When::AfterApply);
}

#[test]
fn update_that_is_done_later_than_we_wait_does_not_move_a_date_backwards() {
    let user = user(&sqlite, "[notion]\nsettle = \"4s\"\n");
    let on = |day: usize| {
        let text = String::from_utf8(renamed(KNOWN, day)).expect("UTF-8");
        text.replace(
            "2026-10-02T17:00:00.000Z",
            &format!("2026-10-{day:02}T10:00:00.000Z"),
        )
        .into_bytes()
    };
    user.run::<&str>(&[], &on(1))
        .expect(0, "success", "created");
    let slow = Fault::new(Vendor::Notion, Act::Delay(Duration::from_millis(2500)));
    user.vendors
        .add_fault(slow.method("PATCH").path("/v1/pages").nth(1));
    user.run(&["--deadline", "1500ms"], &on(2))
        .expect_error(75, "unavailable");
    user.run::<&str>(&[], &on(3))
        .expect(0, "success", "updated");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
    assert_eq!(
        user.times_in_notion("Last Call: 2026-10-03T10:00"),
        1,
        "{}",
        user.notion()
    );
}
