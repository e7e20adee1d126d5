//! Streams of many events: what belongs together is written together, and still each event has its
//! own result, at its own place, as soon as it can be had.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample_json};
use crate::kit::{CREATE, MESSAGE, QUERY, SCHEMA, activity, altered, ids, message, stream, text};
use crate::standin::{Act, Fault, Vendor};
use crate::support::{Database, Live, canonical, has_postgres, postgres, sqlite, user};

const CALL: &str = "legacy-v4.call.completed.answered";
const RECORDING: &str = "legacy-v4.call.recording.completed";
const SUMMARY: &str = "legacy-v4.call.summary.completed";
const TRANSCRIPT: &str = "legacy-v4.call.transcript.completed";
const GROUP: &str = "legacy-v4.message.received.group";
/// The members of the group.
const ROSA: &str = "+12025550147";
const TOMAS: &str = "+13125550162";
const ILSE: &str = "+16465550183";

const SETTINGS: &str =
    "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[quo]\nrequests_per_second = 1000\n";

/// A number that nobody has in the contacts.
fn stranger(number: u32) -> String {
    format!("+121255501{number:02}")
}

/// Texts of so many strangers in turn.
fn texts(range: std::ops::Range<u32>, clients: u32) -> Vec<Json> {
    range
        .map(|number| text(number, &stranger(number % clients)))
        .collect()
}

/// A sample of the group's text as another one.
fn group_text(number: u32) -> Json {
    let (event, activity) = (format!("EV{number:032}"), format!("AC{number:032}"));
    let at = format!("2026-10-01T17:{:02}:{:02}Z", number / 60, number % 60);
    let changes = [
        ("/id", json!(event)),
        ("/data/object/id", json!(activity)),
        ("/data/object/createdAt", json!(at)),
    ];
    altered(GROUP, &changes)
}

/// The same delivery as it comes through another subscription.
fn resent(event: &Json) -> Json {
    let mut again = event.clone();
    again["id"] = json!(event["id"].as_str().expect("an id").replace("EV0", "EV8"));
    again
}

/// What stands in "Notion" when each event has a run of its own.
fn one_by_one(events: &[Json]) -> String {
    let user = user(&sqlite, SETTINGS);
    for event in events {
        let run = user.deliver(event);
        assert_eq!(run.code, 0, "{}", run.stdout);
    }
    canonical(&user)
}

/// Asserts that every event succeeded, in its place, with that action.
#[track_caller]
fn expect_actions<'a>(run: &Run, events: &[Json], actions: impl IntoIterator<Item = &'a str>) {
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    let found: Vec<_> = run
        .lines
        .iter()
        .map(|line| (line["event_id"].as_str(), line["action"].as_str()))
        .collect();
    let wanted: Vec<_> = ids(events)
        .into_iter()
        .map(Some)
        .zip(actions.into_iter().map(Some))
        .collect();
    assert_eq!(found, wanted, "{}", run.stderr);
}

/// Asserts that the entries of every stranger are those of the events, in their order.
#[track_caller]
fn expect_entries(user: &User, events: &[Json], clients: u32) {
    for phone in (0..clients).map(stranger) {
        let of_client = events
            .iter()
            .filter(|event| event["data"]["object"]["from"] == phone.as_str());
        assert_eq!(
            user.entries_of(&phone),
            of_client.map(activity).collect::<Vec<_>>(),
            "{phone}"
        );
    }
    let clients = usize::try_from(clients).expect("few");
    assert_eq!(user.client_pages(), clients, "one page each");
}

fn requests_to_notion(user: &User) -> usize {
    let count = user.vendors.count(Vendor::Notion);
    user.vendors.clear_requests();
    count
}

fn new_clients(database: Database) {
    let user = user(database, SETTINGS);
    let events = texts(0..200, 10);
    let run = user.deliver_all(&events);
    expect_actions(
        &run,
        &events,
        (0..200).map(|number| if number < 10 { "created" } else { "updated" }),
    );
    expect_entries(&user, &events, 10);
    let requests = requests_to_notion(&user);
    assert!(requests <= 40, "{requests} requests to Notion");
}

#[test]
fn two_hundred_events_of_ten_new_clients_take_forty_requests() {
    new_clients(&sqlite);
}

#[test]
fn two_hundred_events_of_ten_new_clients_take_forty_requests_on_postgres() {
    if has_postgres() {
        new_clients(&postgres);
    }
}

fn known_clients(database: Database) {
    let user = user(database, SETTINGS);
    let events = texts(0..210, 10);
    assert_eq!(user.deliver_all(&events[..10]).code, 0);
    user.vendors.clear_requests();
    let run = user.deliver_all(&events[10..]);
    expect_actions(&run, &events[10..], ["updated"; 200]);
    expect_entries(&user, &events, 10);
    let requests = requests_to_notion(&user);
    assert!(requests <= 40, "{requests} requests to Notion");
}

#[test]
fn two_hundred_events_of_ten_known_clients_take_forty_requests() {
    known_clients(&sqlite);
}

#[test]
fn two_hundred_events_of_ten_known_clients_take_forty_requests_on_postgres() {
    if has_postgres() {
        known_clients(&postgres);
    }
}

fn replayed(database: Database) {
    let user = user(database, SETTINGS);
    let events = texts(0..200, 10);
    let run = user.run(&["--enqueue"], &stream(&events));
    let queued = run
        .lines
        .iter()
        .filter(|line| line["status"] == "queued")
        .count();
    assert_eq!(
        (run.code, queued, requests_to_notion(&user)),
        (0, 200, 0),
        "{}",
        run.stderr
    );
    let run = user.run(&["replay"], b"");
    expect_actions(
        &run,
        &events,
        (0..200).map(|number| if number < 10 { "created" } else { "updated" }),
    );
    expect_entries(&user, &events, 10);
    let requests = requests_to_notion(&user);
    assert!(requests <= 40, "{requests} requests to Notion");
    assert!(
        run.stderr
            .contains("replay: 200 done, 0 failed; 0 in the inbox"),
        "{}",
        run.stderr
    );
}

#[test]
fn two_hundred_queued_events_of_ten_clients_take_forty_requests() {
    replayed(&sqlite);
}

#[test]
fn two_hundred_queued_events_of_ten_clients_take_forty_requests_on_postgres() {
    if has_postgres() {
        replayed(&postgres);
    }
}

#[test]
fn saved_files_are_batches_too() {
    let user = user(&sqlite, SETTINGS);
    let events = texts(0..60, 3);
    std::fs::write(user.path("saved.ndjson"), stream(&events[..30])).expect("a file");
    let run = user.run(&["replay", "saved.ndjson", "-"], &stream(&events[30..]));
    expect_actions(
        &run,
        &events,
        (0..60).map(|number| if number < 3 { "created" } else { "updated" }),
    );
    expect_entries(&user, &events, 3);
    let requests = requests_to_notion(&user);
    assert!(requests <= 14, "{requests} requests to Notion");
}

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|number| [number / 64, number / 16 % 4, number / 4 % 4, number % 4]);
    all.filter(|order| (0..4).all(|index| order.contains(&index)))
        .collect()
}

#[test]
fn call_and_its_artifacts_in_any_order_are_one_toggle_written_at_once() {
    let events = [CALL, RECORDING, SUMMARY, TRANSCRIPT].map(sample_json);
    let wanted = one_by_one(&events);
    assert_eq!(
        (
            wanted.matches("- toggle: ").count(),
            wanted.matches("    - paragraph: ").count()
        ),
        (1, 3)
    );
    assert_eq!(orders().len(), 24);
    for order in orders() {
        let user = user(&sqlite, SETTINGS);
        let events = order.map(|index| events[index].clone());
        let run = user.deliver_all(&events);
        assert_eq!(
            (run.code, run.lines.len()),
            (0, 4),
            "{order:?}: {}\n{}",
            run.stdout,
            run.stderr
        );
        for (place, (index, line)) in order.iter().zip(&run.lines).enumerate() {
            assert_eq!(line["event_id"], events[place]["id"], "{order:?}");
            let action = line["action"].as_str().expect("an action");
            // A call tells nothing that its artifacts have not told before, if they came first.
            let wanted: &[&str] = match (place, index) {
                (0, _) => &["created"],
                (_, 0) => &["updated", "skipped"],
                (_, _) => &["updated"],
            };
            assert!(wanted.contains(&action), "{order:?}, {index}: {action}");
        }
        assert_eq!(canonical(&user), wanted, "{order:?}");
        assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE], "{order:?}");
    }
}

#[test]
fn call_and_its_artifacts_of_a_known_client_are_one_append() {
    let user = user(&sqlite, SETTINGS);
    let (before, events) = (
        message(1, "2026-10-02T10:00:00Z"),
        [CALL, RECORDING, SUMMARY, TRANSCRIPT].map(sample_json),
    );
    user.deliver(&before).expect(0, "success", "created");
    user.vendors.clear_requests();
    let run = user.deliver_all(&events);
    expect_actions(&run, &events, ["updated"; 4]);
    let requests = requests_to_notion(&user);
    assert!(requests <= 2, "{requests} requests to Notion");
    assert_eq!(
        canonical(&user),
        one_by_one(&[&[before][..], &events].concat())
    );
}

/// A user in whose Quo the group's members have no other contacts than the delivery names, as for
/// `interleave`.
fn without_ilse() -> User {
    let user = user(&sqlite, SETTINGS);
    user.vendors
        .world()
        .quo
        .contacts
        .retain(|contact| !contact.to_string().contains(ILSE));
    user
}

#[test]
fn texts_of_a_group_and_of_its_members_stand_in_their_order_on_every_page() {
    // A store that knows our own numbers, and one that has yet to ask for them.
    for known in [true, false] {
        group_and_members(known);
    }
}

fn group_and_members(own_numbers_known: bool) {
    let events = [
        text(1, TOMAS),
        group_text(2),
        text(3, ROSA),
        text(4, TOMAS),
        group_text(5),
        text(6, ILSE),
        text(7, ROSA),
        group_text(8),
    ];
    let (together, apart) = (without_ilse(), without_ilse());
    let stranger = text(100, &stranger(1));
    for user in [&together, &apart]
        .into_iter()
        .filter(|_| own_numbers_known)
    {
        user.deliver(&stranger).expect(0, "success", "created");
    }
    let run = together.deliver_all(&events);
    assert_eq!(
        (run.code, run.lines.len()),
        (0, 8),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    for (event, line) in events.iter().zip(&run.lines) {
        assert_eq!(
            (&line["event_id"], &line["status"]),
            (&event["id"], &json!("success"))
        );
        let single = event["data"]["object"]["to"]
            .as_array()
            .expect("a list")
            .len()
            == 1;
        let synced = line["synced"].as_array().expect("a list");
        assert_eq!(synced.len(), if single { 1 } else { 3 }, "{line}");
        assert_eq!(apart.deliver(event).code, 0);
    }
    let created: Vec<_> = run
        .lines
        .iter()
        .flat_map(|line| line["synced"].as_array().expect("a list"))
        .collect();
    for phone in [ROSA, TOMAS, ILSE] {
        let actions: Vec<_> = created
            .iter()
            .filter(|one| one["phone"] == phone)
            .map(|one| one["action"].as_str())
            .collect();
        assert_eq!(actions[0], Some("created"), "{phone}: {actions:?}");
        assert!(
            actions[1..].iter().all(|action| *action == Some("updated")),
            "{phone}: {actions:?}"
        );
        let entries = [&together, &apart].map(|user| user.entries_of(phone));
        assert_eq!(
            entries[0], entries[1],
            "{phone}, own numbers known: {own_numbers_known}"
        );
    }
    assert_eq!(canonical(&together), canonical(&apart));
}

#[test]
fn more_entries_than_one_request_takes_are_dealt_out_in_order() {
    for known in [false, true] {
        let user = user(&sqlite, SETTINGS);
        let events = texts(0..251, 1);
        let before = usize::from(known);
        assert!(!known || user.deliver(&events[0]).code == 0);
        user.vendors.clear_requests();
        let run = user.deliver_all(&events[before..]);
        let rest = events.len() - before;
        let first = if known { "updated" } else { "created" };
        expect_actions(
            &run,
            &events[before..],
            std::iter::once(first).chain(vec!["updated"; rest - 1]),
        );
        expect_entries(&user, &events, 1);
        let requests = requests_to_notion(&user);
        assert!(
            requests <= 10,
            "{requests} requests to Notion, known {known}"
        );
    }
}

/// A call and its transcript, as which so many texts of a thousand letters were spoken.
fn long_call(number: u32, texts: usize) -> [Json; 2] {
    let activity = format!("AC{number:032}");
    let id = |of: &str| json!(format!("EV{of}{number:031}"));
    let said = format!("{number} said {}", "Could you look at it? ".repeat(45));
    let spoken = json!({"content": said, "start": 0, "end": 1, "identifier": ROSA, "userId": null});
    let dialogue = ("/data/object/dialogue", json!(vec![spoken; texts]));
    [
        altered(
            CALL,
            &[("/id", id("1")), ("/data/object/id", json!(activity))],
        ),
        altered(
            TRANSCRIPT,
            &[
                ("/id", id("2")),
                ("/data/object/callId", json!(activity)),
                dialogue,
            ],
        ),
    ]
}

#[test]
fn long_transcripts_are_dealt_out_by_their_bytes_and_nothing_is_lost() {
    let events: Vec<Json> = (1..=6)
        .flat_map(|number| long_call(number, 150))
        .chain(long_call(7, 900))
        .collect();
    let user = user(&sqlite, SETTINGS);
    let run = user.deliver_all(&events);
    assert_eq!(
        (run.code, run.lines.len()),
        (0, 14),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    let requests = user.vendors.requests();
    let largest = requests.iter().map(|seen| seen.body_bytes).max();
    assert!(
        largest.is_some_and(|bytes| (200_000..500_000).contains(&bytes)),
        "{largest:?}"
    );
    let writes = requests
        .iter()
        .filter(|seen| seen.method != "GET" && !seen.path.ends_with("/query"))
        .count();
    assert!(writes <= 10, "{writes} writes of 1.8 MB");
    assert_eq!(user.times_in_notion("- toggle: "), 7);
    assert_eq!(canonical(&user), one_by_one(&events));
}

#[test]
fn event_that_comes_twice_in_one_stream_is_written_once() {
    let [call, summary, text] = [CALL, SUMMARY, MESSAGE].map(sample_json);
    let by_rosa = ("/data/context/participants/external", json!([ROSA]));
    let [missed, told_twice] = [
        "v2026-03-30.call.missed",
        "v2026-03-30.call.completed.missed",
    ]
    .map(|name| altered(name, std::slice::from_ref(&by_rosa)));
    let events = [
        call.clone(),
        text.clone(),
        call.clone(),
        resent(&call),
        summary.clone(),
        resent(&summary),
        resent(&text),
        text.clone(),
        missed.clone(),
        told_twice,
        summary.clone(),
    ];
    let user = user(&sqlite, SETTINGS);
    let run = user.deliver_all(&events);
    let skipped = [2, 3, 5, 6, 7, 9, 10];
    let action = |at| if at == 0 { "created" } else { "updated" };
    let actions = (0..events.len()).map(|at| {
        if skipped.contains(&at) {
            "skipped"
        } else {
            action(at)
        }
    });
    expect_actions(&run, &events, actions);
    for at in skipped {
        let line = &run.lines[at];
        let told = (
            line["reason"].as_str(),
            line["notion_page_id"].as_str(),
            line["client_name"].as_str(),
        );
        assert_eq!(
            told,
            (
                Some("duplicate"),
                Some(user.page().as_str()),
                Some("Rosa Quint")
            ),
            "{at}: {line}"
        );
    }
    assert_eq!(canonical(&user), one_by_one(&[call, text, summary, missed]));
    let (before, requests) = (user.notion(), requests_to_notion(&user));
    let run = user.deliver_all(&events);
    expect_actions(&run, &events, vec!["skipped"; events.len()]);
    assert_eq!(
        (user.notion(), requests_to_notion(&user)),
        (before, 0),
        "first {requests}"
    );
}

#[test]
fn every_document_has_its_line_in_its_place_whatever_becomes_of_it() {
    let [one, other] = [stranger(1), stranger(2)];
    let own = altered(
        MESSAGE,
        &[
            ("/id", json!("EVown")),
            ("/data/object/from", json!("+14155550110")),
        ],
    );
    let timeless = altered(
        MESSAGE,
        &[
            ("/id", json!("EVtimeless")),
            ("/data/object/createdAt", Json::Null),
        ],
    );
    let parts: [(String, &str); 12] = [
        (text(1, &one).to_string(), "created"),
        ("{\"id\": \"EVbroken\", \"data\"\n".to_owned(), "payload"),
        (text(2, &other).to_string(), "created"),
        (
            sample_json("v2026-03-30.call.ringing").to_string(),
            "unsupported_event",
        ),
        (text(1, &one).to_string(), "duplicate"),
        (timeless.to_string(), "created"),
        (text(3, &one).to_string(), "updated"),
        ("[1, 2]".to_owned(), "payload"),
        (resent(&text(2, &other)).to_string(), "duplicate"),
        (own.to_string(), "no_client_number"),
        ("nonsense".to_owned(), "payload"),
        (text(4, &other).to_string(), "updated"),
    ];
    let input: String = parts.iter().flat_map(|(part, _)| [part, "\n"]).collect();
    let user = user(&sqlite, SETTINGS);
    let run = user.run::<&str>(&[], input.as_bytes());
    let told = |line: &Json| {
        let found = [&line["error"]["kind"], &line["reason"], &line["action"]]
            .into_iter()
            .find_map(Json::as_str);
        found.unwrap_or_default().to_owned()
    };
    let found: Vec<String> = run.lines.iter().map(told).collect();
    assert_eq!(
        found,
        parts.iter().map(|(_, wanted)| *wanted).collect::<Vec<_>>(),
        "{}",
        run.stdout
    );
    assert_eq!(run.code, 65, "the worst");
    let events = [
        text(1, &one),
        text(2, &other),
        timeless.clone(),
        text(3, &one),
        text(4, &other),
    ];
    assert_eq!(canonical(&user), one_by_one(&events));
}

#[test]
fn document_that_comes_alone_has_its_result_while_the_input_is_open() {
    let user = user(&sqlite, SETTINGS);
    let mut live = Live::start(&user, &[]);
    let phone = stranger(1);
    for number in 1..=3 {
        live.write(&stream(&[text(number, &phone)]));
        let result = live.line();
        assert_eq!(result["event_id"], text(number, &phone)["id"]);
        assert_eq!(
            result["action"],
            if number == 1 { "created" } else { "updated" }
        );
    }
    // A document that is not whole yet holds up none before it.
    let last = text(5, &phone).to_string();
    let (begin, end) = last.split_at(last.len() / 2);
    live.write(&stream(&[text(4, &phone)]));
    live.write(begin.as_bytes());
    assert_eq!(live.line()["event_id"], text(4, &phone)["id"]);
    live.write(end.as_bytes());
    assert_eq!(
        live.line()["event_id"],
        text(5, &phone)["id"],
        "no line end is waited for"
    );
    assert_eq!(live.end(), (vec![], Some(0)));
}

#[test]
fn broken_line_has_its_result_while_the_input_is_open() {
    let user = user(&sqlite, SETTINGS);
    let mut live = Live::start(&user, &[]);
    live.write(b"nonsense\n");
    assert_eq!(live.line()["error"]["kind"], "payload");
    live.write(&stream(&[text(1, ROSA)]));
    assert_eq!(live.line()["action"], "created");
    assert_eq!(live.end(), (vec![], Some(65)));
}

#[test]
fn first_group_has_its_results_before_the_next_one_is_begun() {
    let user = user(&sqlite, SETTINGS);
    let [one, other] = [stranger(1), stranger(2)];
    let (allow, allowed) = mpsc::channel::<()>();
    let (allowed, late) = (Mutex::new(allowed), Arc::new(Mutex::new(false)));
    let told = Arc::clone(&late);
    let wait = move || {
        let waited = allowed
            .lock()
            .expect("one at a time")
            .recv_timeout(Duration::from_secs(10));
        *told.lock().expect("one at a time") = waited.is_err();
    };
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, Act::Call(Arc::new(wait)))
            .path("/query")
            .body(&other)
            .nth(1),
    );
    let mut live = Live::start(&user, &[]);
    live.write(&stream(&[
        text(1, &one),
        text(2, &one),
        text(3, &other),
        text(4, &one),
    ]));
    assert_eq!(live.line()["event_id"], text(1, &one)["id"]);
    assert_eq!(live.line()["event_id"], text(2, &one)["id"]);
    allow.send(()).expect("it waits");
    assert_eq!(live.line()["event_id"], text(3, &other)["id"]);
    assert_eq!(live.line()["event_id"], text(4, &one)["id"]);
    assert_eq!(live.end(), (vec![], Some(0)));
    assert!(
        !*late.lock().expect("nobody else"),
        "the second group was waited for"
    );
    assert_eq!(user.vendors.unused_faults(), 0);
}

#[test]
fn dry_run_looks_at_each_document_by_itself() {
    let user = user(&sqlite, SETTINGS);
    let events = [
        sample_json(CALL),
        sample_json(SUMMARY),
        text(1, &stranger(1)),
        text(2, &stranger(1)),
        text(1, &stranger(1)),
        group_text(3),
    ];
    let together = user.run(&["--dry-run"], &stream(&events));
    let apart = events
        .iter()
        .map(|event| user.run(&["--dry-run"], &stream(std::slice::from_ref(event))));
    let lines: Vec<Json> = apart.map(|run| run.line().clone()).collect();
    assert_eq!((together.code, together.lines), (0, lines));
    assert_eq!(
        (user.client_pages(), user.path(".tmp/quotion.db").exists()),
        (0, false)
    );
}

/// So many documents of so many clients, written while the results are read; the most that was
/// resident, in kB.
fn long_stream(documents: u32, clients: u32) -> usize {
    let user = user(&sqlite, SETTINGS);
    user.without_rate_limits();
    let events: Vec<Json> = (0..documents)
        .map(|number| text(number, &stranger(number % clients)))
        .collect();
    let mut live = Live::start(&user, &[]);
    for chunk in events.chunks(500) {
        live.write(&stream(chunk));
    }
    for event in &events {
        assert_eq!(live.line()["event_id"], event["id"]);
    }
    let peak = live.peak_kb();
    assert_eq!(live.end(), (vec![], Some(0)));
    expect_entries(&user, &events, clients);
    peak
}

#[test]
fn long_stream_is_answered_in_order_and_needs_little_memory() {
    let peak = long_stream(1_500, 50);
    println!("resident at most: {peak} kB");
    assert!(peak <= 64 * 1024, "{peak} kB");
}

#[test]
fn same_call_told_by_its_artifacts_alone_is_one_toggle() {
    let events = [RECORDING, TRANSCRIPT, SUMMARY].map(sample_json);
    let user = user(&sqlite, SETTINGS);
    let run = user.deliver_all(&events);
    expect_actions(&run, &events, ["created", "updated", "updated"]);
    assert_eq!(canonical(&user), one_by_one(&events));
    assert_eq!(user.times_in_notion("- toggle: "), 1);
}
