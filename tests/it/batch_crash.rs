//! Whole streams that are killed, disturbed or raced for: the same pages as after one run in peace,
//! nothing twice and nothing lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{User, feed, sample_json};
use crate::kit::{altered, notion_error, status, stream, text};
use crate::standin::{Act, Fault, Vendor, When};
use crate::support::{
    Database, at_once, canonical, every, has_postgres, in_parallel, kill_at, postgres, sqlite,
    user as any_user,
};

const SETTINGS: &str =
    "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[quo]\nrequests_per_second = 1000\n";
const KNOWN: &str = "+12125550101";
const NEW: &str = "+12125550102";

/// How a killed stream is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Resend,
    Replay,
}

/// Which request is disturbed.
type Spot = (Vendor, usize, When);

/// A user in whose Quo the group's members have no other contacts than the delivery names, as for
/// `interleave`.
fn user(database: Database) -> User {
    let user = any_user(database, SETTINGS);
    user.vendors
        .world()
        .quo
        .contacts
        .retain(|contact| !contact.to_string().contains("+16465550183"));
    user
}

/// A user who has one client already.
fn prepared(database: Database) -> User {
    let user = user(database);
    user.deliver(&text(1, KNOWN))
        .expect(0, "success", "created");
    user.vendors.clear_requests();
    user
}

/// A new client's call with all that belongs to it, a known client, a group, another new client.
fn events() -> Vec<Json> {
    vec![
        sample_json("legacy-v4.call.completed.answered"),
        text(100, KNOWN),
        sample_json("legacy-v4.call.recording.completed"),
        sample_json("legacy-v4.message.received.group"),
        sample_json("legacy-v4.call.summary.completed"),
        text(200, KNOWN),
        text(201, NEW),
        sample_json("legacy-v4.call.transcript.completed"),
        sample_json("legacy-v4.message.received"),
        text(202, NEW),
    ]
}

/// The pages after a run in peace, and how many requests it made to each vendor.
fn undisturbed(database: Database) -> (String, Vec<(Vendor, usize)>) {
    let user = prepared(database);
    let run = user.deliver_all(&events());
    assert_eq!(
        (run.code, run.lines.len(), user.client_pages()),
        (0, 10, 5),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    let counts = [Vendor::Notion, Vendor::Quo].map(|vendor| (vendor, user.vendors.count(vendor)));
    (canonical(&user), counts.to_vec())
}

/// Sends the stream once more: now it must be done, and once more after that nothing is left to do.
fn finished(user: &User, want: &str, what: &str) {
    let run = user.deliver_all(&events());
    assert_eq!(
        (run.code, run.lines.len()),
        (0, 10),
        "{what}: {}\n{}",
        run.stdout,
        run.stderr
    );
    assert_eq!(canonical(user), want, "{what}\n{}", run.stdout);
    user.vendors.clear_requests();
    let run = user.deliver_all(&events());
    let skipped = run
        .lines
        .iter()
        .filter(|line| line["reason"] == "duplicate")
        .count();
    assert_eq!(
        (run.code, skipped, user.vendors.count(Vendor::Notion)),
        (0, 10, 0),
        "{what}: {}",
        run.stdout
    );
}

/// Kills at every `step`th request, before and after it is applied; how many kills hit. Not all do:
/// how a stream is dealt out to windows, and so the number of requests, differs a little from run
/// to run.
fn kills(recovery: Recovery, database: Database, step: usize) -> usize {
    let (want, counts) = undisturbed(database);
    let of_vendor = |(vendor, count): (Vendor, usize)| {
        let spots = (1..=count)
            .map(move |nth| [(vendor, nth, When::Before), (vendor, nth, When::AfterApply)]);
        spots.flatten().collect::<Vec<Spot>>()
    };
    let spots: Vec<Spot> = counts
        .into_iter()
        .flat_map(of_vendor)
        .step_by(step)
        .collect();
    let hits = AtomicUsize::new(0);
    in_parallel(&spots, |spot| {
        let user = prepared(database);
        if !kill_at(&user, &stream(&events()), *spot) {
            return;
        }
        hits.fetch_add(1, Ordering::Relaxed);
        let what = format!("{spot:?}, {recovery:?}");
        if recovery == Recovery::Replay {
            let run = user.run(&["replay", "--now"], b"");
            assert_eq!(run.code, 0, "{what}: {}\n{}", run.stdout, run.stderr);
        }
        finished(&user, &want, &what);
    });
    let hits = hits.into_inner();
    println!("kills: {hits} of {}", spots.len());
    hits
}

#[test]
fn stream_that_is_killed_at_any_request_and_sent_again_gives_the_same_pages() {
    let hits = kills(Recovery::Resend, &sqlite, 1);
    assert!(hits >= 20, "{hits}");
}

#[test]
fn stream_that_is_killed_at_any_request_and_replayed_gives_the_same_pages() {
    let step = every(6);
    let hits = kills(Recovery::Replay, &sqlite, step);
    assert!(hits * step >= 20, "{hits}");
}

#[test]
fn stream_that_is_killed_gives_the_same_pages_on_postgres() {
    if has_postgres() {
        let step = every(10);
        let hits =
            kills(Recovery::Resend, &postgres, step) + kills(Recovery::Replay, &postgres, step);
        assert!(hits * step >= 30, "{hits}");
    }
}

/// Texts whose entries are on their page and known to be, and whose date is not: killed between the
/// two.
fn half_written(events: &[Json]) -> User {
    let user = prepared(&sqlite);
    let victim: Arc<Mutex<Option<u32>>> = Arc::default();
    let pid = Arc::clone(&victim);
    let (path, wanted) = (user.path(".tmp/quotion.db"), events.len().to_string());
    let noted = move || {
        let store = rusqlite::Connection::open(&path).expect("the store");
        let sql = "SELECT count(*) - 1 || '' FROM entries";
        store
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .is_ok_and(|count| count == wanted)
    };
    let kill = move || {
        let began = Instant::now();
        while !noted() && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = pid.lock().expect("pid").expect("the program runs");
        let killed = std::process::Command::new("sh")
            .args(["-c", &format!("kill -9 {pid}")])
            .status();
        assert!(killed.expect("sh").success());
    };
    // A page that was read a day ago is read again, and then both go out at once.
    rusqlite::Connection::open(user.path(".tmp/quotion.db"))
        .and_then(|store| {
            store.execute("UPDATE pages SET read_at = '2026-01-01T00:00:00.000Z'", [])
        })
        .expect("aged");
    user.fault(
        Fault::new(Vendor::Notion, Act::Call(Arc::new(kill)))
            .method("PATCH")
            .path("/v1/pages/"),
    );
    let mut guard = victim.lock().expect("pid");
    let child = user
        .command::<&str>(&[])
        .spawn()
        .expect("the program starts");
    *guard = Some(child.id());
    drop(guard);
    feed(child, &stream(events));
    assert_eq!(
        (user.vendors.unused_faults(), user.entries_of(KNOWN).len()),
        (0, 1 + events.len())
    );
    user.vendors.clear_faults();
    user
}

#[test]
fn date_that_got_lost_is_made_up_for_although_an_older_text_came_first() {
    let (older, newer) = (text(100, KNOWN), text(200, KNOWN));
    for together in [false, true] {
        let killed = if together {
            vec![older.clone(), newer.clone()]
        } else {
            vec![newer.clone()]
        };
        let user = half_written(&killed);
        for event in [&older, &newer] {
            assert_eq!(user.deliver(event).code, 0);
        }
        assert_eq!(user.entries_of(KNOWN).len(), 3);
        assert_eq!(
            user.property("Last Call"),
            "2026-10-01T17:03:00.000+00:00",
            "killed together: {together}"
        );
    }
}

/// What may go wrong with a request; most of it leaves open whether it was applied.
fn troubles() -> Vec<(&'static str, Act, When)> {
    let conflict = || {
        notion_error(
            409,
            "conflict_error",
            "Conflict occurred while saving. Please try again.",
        )
    };
    vec![
        ("dropped", Act::DropConnection, When::Before),
        ("dropped", Act::DropConnection, When::AfterApply),
        ("reset", Act::ResetConnection, When::AfterApply),
        (
            "502",
            status(502, "<html><body>502 Bad Gateway</body></html>"),
            When::AfterApply,
        ),
        ("409", conflict(), When::Before),
        ("409", conflict(), When::AfterApply),
        ("503 saved", Act::SavedBut503, When::Before),
        ("truncated", Act::TruncateBody, When::Before),
        ("429", slower(), When::Before),
    ]
}

fn slower() -> Act {
    let body = json!({"object": "error", "status": 429, "code": "rate_limited", "message": "x"})
        .to_string();
    Act::Status {
        code: 429,
        headers: vec![("retry-after".to_owned(), "0".to_owned())],
        body,
    }
}

/// Disturbs every `step`th request to Notion in every way; how many were.
fn disturbed(database: Database, step: usize) -> usize {
    let (want, counts) = undisturbed(database);
    let cases: Vec<_> = (1..=counts[0].1)
        .flat_map(|nth| troubles().into_iter().map(move |how| (nth, how)))
        .collect();
    let cases: Vec<_> = cases.into_iter().step_by(step).collect();
    let hits = AtomicUsize::new(0);
    in_parallel(&cases, |(nth, (name, act, when))| {
        let user = prepared(database);
        user.fault(Fault {
            when: *when,
            ..Fault::new(Vendor::Notion, act.clone()).nth(*nth)
        });
        let run = user.deliver_all(&events());
        let what = format!("{name} {when:?} at request {nth}");
        // A conflict is no answer to a question; there it counts as a refusal.
        let codes: &[i32] = if *name == "409" {
            &[0, 69, 75]
        } else {
            &[0, 75]
        };
        assert!(
            codes.contains(&run.code) && run.lines.len() == 10,
            "{what}: {}\n{}",
            run.stdout,
            run.stderr
        );
        hits.fetch_add(1 - user.vendors.unused_faults(), Ordering::Relaxed);
        user.vendors.clear_faults();
        if run.code == 0 {
            assert_eq!(canonical(&user), want, "{what}, at once");
        }
        finished(&user, &want, &what);
    });
    let hits = hits.into_inner();
    println!("disturbed: {hits} of {}", cases.len());
    hits
}

#[test]
fn stream_with_any_request_disturbed_gives_the_same_pages() {
    // Not a divisor of the number of troubles, so that each of them has its turn.
    let step = every(4);
    let hits = disturbed(&sqlite, step);
    assert!(hits * step >= 80, "{hits}");
}

#[test]
fn stream_with_requests_disturbed_gives_the_same_pages_on_postgres() {
    if has_postgres() {
        let step = every(14);
        let hits = disturbed(&postgres, step);
        assert!(hits * step >= 50, "{hits}");
    }
}

#[test]
fn stream_all_of_whose_writes_lose_their_answers_gives_the_same_pages() {
    let (want, _) = undisturbed(&sqlite);
    for act in [
        Act::DropConnection,
        Act::SavedBut503,
        status(502, "<html>Bad Gateway</html>"),
    ] {
        let user = prepared(&sqlite);
        for (method, path) in [("POST", "/v1/pages"), ("PATCH", "/v1/")] {
            user.fault(
                Fault::new(Vendor::Notion, act.clone())
                    .method(method)
                    .path(path)
                    .after(),
            );
        }
        let codes: Vec<i32> = (0..6).map(|_| user.deliver_all(&events()).code).collect();
        assert!(codes.iter().all(|code| [0, 75].contains(code)), "{codes:?}");
        user.vendors.clear_faults();
        finished(&user, &want, "no answer to any write");
    }
}

/// Thirty events that touch each other's clients: members of a group alone and together, a call
/// with its artifacts.
fn entangled() -> Vec<Json> {
    let phones = ["+12025550147", "+13125550162", "+16465550183", KNOWN];
    let group = |number: u32| {
        let (event, activity) = (
            json!(format!("EV7{number:031}")),
            json!(format!("AC7{number:031}")),
        );
        altered(
            "legacy-v4.message.received.group",
            &[("/id", event), ("/data/object/id", activity)],
        )
    };
    let artifacts = [
        "completed.answered",
        "recording.completed",
        "summary.completed",
        "transcript.completed",
    ];
    let call = artifacts
        .iter()
        .map(|name| sample_json(&format!("legacy-v4.call.{name}")));
    let texts = (0..20).map(|number| text(number, phones[number as usize % 4]));
    call.chain(texts).chain((0..6).map(group)).collect()
}

/// The events in another order: every `stride`th, round and round.
fn shuffled(events: &[Json], stride: usize) -> Vec<Json> {
    (0..events.len())
        .map(|at| events[at * stride % events.len()].clone())
        .collect()
}

fn raced(database: Database) {
    let events = entangled();
    assert_eq!(events.len(), 30);
    let want = {
        let user = user(&sqlite);
        assert_eq!(user.deliver_all(&events).code, 0);
        canonical(&user)
    };
    for (one, other) in [(1, 29), (7, 23), (11, 13)] {
        let user = user(database);
        user.vendors.set_hide_new_pages(Duration::from_millis(500));
        let queued = user.run(&["--enqueue"], &stream(&events[8..20]));
        assert_eq!(queued.code, 0);
        let began = Instant::now();
        let runs = at_once(
            &user,
            &[
                (&[], stream(&shuffled(&events, one))),
                (&[], stream(&shuffled(&events, other))),
                (&["replay", "--now"], vec![]),
            ],
        );
        let took = began.elapsed();
        for run in &runs {
            assert_eq!(run.code, 0, "{one} {other}: {}\n{}", run.stdout, run.stderr);
            assert!(
                run.lines.iter().all(|line| line["status"] == "success"),
                "{one} {other}: {}",
                run.stdout
            );
        }
        assert_eq!((runs[0].lines.len(), runs[1].lines.len()), (30, 30));
        assert_eq!(canonical(&user), want, "{one} {other}");
        assert!(
            took < Duration::from_secs(25),
            "nobody waits for the other until the deadline: {took:?}"
        );
        // Each event was somebody's work once, and nobody else's.
        for event in &events {
            let lines = runs
                .iter()
                .flat_map(|run| &run.lines)
                .filter(|line| line["event_id"] == event["id"]);
            let done = lines.filter(|line| line["action"] != "skipped").count();
            assert!(
                done <= 1,
                "{one} {other}: {} done {done} times",
                event["id"]
            );
        }
    }
}

#[test]
fn same_events_in_two_streams_of_other_order_and_a_replay_are_written_once() {
    raced(&sqlite);
}

#[test]
fn same_events_in_two_streams_of_other_order_and_a_replay_are_written_once_on_postgres() {
    if has_postgres() {
        raced(&postgres);
    }
}
