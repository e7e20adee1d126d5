//! One event of many goes wrong, one client of many, one request of many: the others are done, and
//! what is not is kept.

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample_json};
use crate::kit::{activity, altered, ids, notion_error, status, stream, text};
use crate::standin::{Act, Fault, Vendor};
use crate::support::{canonical, inbox, sqlite, user};

const SETTINGS: &str =
    "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[quo]\nrequests_per_second = 1000\n";
/// Stands in the event that Notion refuses.
const POISON: &str = "Zyanid";
const ONE: &str = "+12125550101";
const OTHER: &str = "+12125550102";
const THIRD: &str = "+12125550103";

/// Refusals as Notion words them for what stands in a block: with the place, or without any.
const REFUSALS: [&str; 2] = [
    "body failed validation: body.children[0].paragraph.rich_text[2].text.content should be a \
        string, instead was `[]`.",
    "Invalid URL for link.",
];

/// Notion refuses every request in which the poison stands.
fn refuse_poison(user: &User, message: &str) {
    user.fault(
        Fault::new(
            Vendor::Notion,
            notion_error(400, "validation_error", message),
        )
        .body(POISON),
    );
}

fn poisoned(mut event: Json) -> Json {
    event["data"]["object"]["text"] = json!(POISON);
    event
}

fn notion_after(before: &[Json], events: &[Json]) -> String {
    let user = user(&sqlite, SETTINGS);
    for part in [before, events] {
        assert_eq!(user.deliver_all(part).code, 0);
    }
    canonical(&user)
}

/// Action or kind of error of each line, which must be that of the event.
#[track_caller]
fn told(run: &Run, events: &[Json]) -> Vec<String> {
    let of: Vec<_> = run
        .lines
        .iter()
        .map(|line| line["event_id"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(of, ids(events), "{}\n{}", run.stdout, run.stderr);
    let told = |line: &Json| {
        line["error"]["kind"]
            .as_str()
            .or(line["action"].as_str())
            .unwrap_or("?")
            .to_owned()
    };
    run.lines.iter().map(told).collect()
}

/// State and attempts of those events in the inbox that are not done.
fn kept(user: &User) -> Vec<(String, String, u32)> {
    let open = inbox(user)
        .into_iter()
        .filter(|(_, state, ..)| state != "done");
    open.map(|(id, state, attempts, _)| (id, state, attempts))
        .collect()
}

/// Ten texts of one client, of which Notion refuses one.
fn one_poisoned_text(known: bool, bad: usize, message: &str) {
    let what = format!("known {known}, {bad}: {message}");
    let user = user(&sqlite, SETTINGS);
    let before = if known { vec![text(1, ONE)] } else { vec![] };
    let mut events: Vec<Json> = (10..20).map(|number| text(number, ONE)).collect();
    events[bad] = poisoned(events[bad].clone());
    let mut good = events.clone();
    let bad_event = good.remove(bad);
    assert_eq!(user.deliver_all(&before).code, 0);
    refuse_poison(&user, message);
    let run = user.deliver_all(&events);
    let mut wanted = vec!["updated"; 9];
    if !known {
        wanted[0] = "created";
    }
    wanted.insert(bad, "refused");
    assert_eq!(told(&run, &events), wanted, "{what}\n{}", run.stderr);
    assert_eq!(run.code, 69, "{what}");
    assert_eq!(canonical(&user), notion_after(&before, &good), "{what}");
    let entries: Vec<&str> = before.iter().chain(&good).map(activity).collect();
    assert_eq!(user.entries_of(ONE), entries, "{what}: in their order");
    let bad_id = bad_event["id"].as_str().expect("an id").to_owned();
    assert_eq!(kept(&user), [(bad_id, "failed".to_owned(), 1)], "{what}");

    user.vendors.clear_faults();
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(told(&run, &[bad_event]), ["updated"], "{what}");
    assert_eq!(canonical(&user), notion_after(&before, &events), "{what}");
}

#[test]
fn text_that_notion_refuses_takes_no_other_with_it() {
    for message in REFUSALS {
        for known in [false, true] {
            for bad in [0, 4, 9] {
                one_poisoned_text(known, bad, message);
            }
        }
    }
}

/// In halves of halves: some seven refusals, and not one request for each of the others.
#[test]
fn refused_text_among_many_is_found_by_halves() {
    let user = user(&sqlite, SETTINGS);
    assert_eq!(user.deliver_all(&[text(1, ONE)]).code, 0);
    let mut events: Vec<Json> = (10..74).map(|number| text(number, ONE)).collect();
    events[40] = poisoned(events[40].clone());
    refuse_poison(&user, REFUSALS[0]);
    user.vendors.clear_requests();
    let run = user.deliver_all(&events);
    let told = told(&run, &events);
    assert_eq!(told.iter().filter(|told| *told == "updated").count(), 63);
    assert_eq!(told[40], "refused");
    let appends = |seen: &&crate::standin::Seen| seen.path.ends_with("/children");
    let appends = user.vendors.requests().iter().filter(appends).count();
    assert!(appends <= 16, "{appends} appends");
}

#[test]
fn several_refused_texts_fail_alone() {
    let user = user(&sqlite, SETTINGS);
    let phones = [ONE, OTHER];
    let mut events: Vec<Json> = (0..12_u32)
        .map(|number| text(number, phones[number as usize % 2]))
        .collect();
    for bad in [2, 3, 6] {
        events[bad] = poisoned(events[bad].clone());
    }
    refuse_poison(&user, REFUSALS[0]);
    let run = user.deliver_all(&events);
    let action = |at: usize| if at < 2 { "created" } else { "updated" };
    let wanted: Vec<_> = (0..12)
        .map(|at| {
            if [2, 3, 6].contains(&at) {
                "refused"
            } else {
                action(at)
            }
        })
        .collect();
    assert_eq!(told(&run, &events), wanted, "{}", run.stderr);
    assert_eq!((user.client_pages(), user.times_in_notion(POISON)), (2, 0));
    assert_eq!(kept(&user).len(), 3);
    let good: Vec<Json> = events
        .into_iter()
        .filter(|event| event["data"]["object"]["text"] != POISON)
        .collect();
    assert_eq!(canonical(&user), notion_after(&[], &good));
}

#[test]
fn refused_artifact_leaves_its_call_and_the_other_artifacts() {
    let summary = altered(
        "legacy-v4.call.summary.completed",
        &[("/data/object/summary", json!([POISON]))],
    );
    let samples = [
        "completed.answered",
        "recording.completed",
        "transcript.completed",
    ];
    let [call, recording, transcript] =
        samples.map(|name| sample_json(&format!("legacy-v4.call.{name}")));
    for known in [false, true] {
        let user = user(&sqlite, SETTINGS);
        let before = if known {
            vec![sample_json("legacy-v4.message.received")]
        } else {
            vec![]
        };
        assert_eq!(user.deliver_all(&before).code, 0);
        refuse_poison(&user, REFUSALS[0]);
        let events = [
            call.clone(),
            recording.clone(),
            summary.clone(),
            transcript.clone(),
        ];
        let run = user.deliver_all(&events);
        let first = if known { "updated" } else { "created" };
        assert_eq!(
            told(&run, &events),
            [first, "updated", "refused", "updated"],
            "{}",
            run.stderr
        );
        let good = [call.clone(), recording.clone(), transcript.clone()];
        assert_eq!(
            canonical(&user),
            notion_after(&before, &good),
            "known {known}"
        );
        user.vendors.clear_faults();
        assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
        assert_eq!(
            canonical(&user),
            notion_after(&before, &events),
            "known {known}"
        );
    }
}

/// Three clients in turn, of whom Notion has no good of one.
fn one_client_fails(fault: Fault, kind: &str, code: i32) {
    let user = user(&sqlite, SETTINGS);
    let phones = [ONE, OTHER, THIRD];
    let events: Vec<Json> = (0..9_u32)
        .map(|number| text(number, phones[number as usize % 3]))
        .collect();
    user.fault(fault);
    let run = user.run(&["--deadline", "4s"], &stream(&events));
    let wanted = [
        "created", kind, "created", "updated", kind, "updated", "updated", kind, "updated",
    ];
    assert_eq!(told(&run, &events), wanted, "{}", run.stderr);
    assert_eq!((run.code, user.vendors.unused_faults()), (code, 0));
    let failed: Vec<_> = [1, 4, 7]
        .into_iter()
        .map(|at: usize| events[at].clone())
        .collect();
    let one = |id: &str| {
        (
            id.to_owned(),
            "failed".to_owned(),
            u32::from(kind == "refused"),
        )
    };
    assert_eq!(
        kept(&user),
        ids(&failed).into_iter().map(one).collect::<Vec<_>>()
    );
    for line in run.lines.iter().filter(|line| line["status"] == "error") {
        let hint = line["error"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("the event is kept"), "{line}");
    }
    user.vendors.clear_faults();
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(told(&run, &failed), ["created", "updated", "updated"]);
    assert_eq!(canonical(&user), notion_after(&[], &events));
    for (phone, at) in phones.into_iter().zip(0..) {
        let of_client = events.iter().skip(at).step_by(3);
        assert_eq!(
            user.entries_of(phone),
            of_client.map(activity).collect::<Vec<_>>(),
            "in their order"
        );
    }
}

#[test]
fn client_whose_page_cannot_be_made_now_fails_alone_with_all_its_events() {
    let later = notion_error(503, "service_unavailable", "later");
    one_client_fails(
        Fault::new(Vendor::Notion, later)
            .method("POST")
            .path("/v1/pages")
            .body(OTHER),
        "unavailable",
        75,
    );
}

#[test]
fn client_who_cannot_be_searched_for_now_fails_alone_with_all_its_events() {
    let later = status(502, "<html>Bad Gateway</html>");
    let fault = Fault::new(Vendor::Notion, later)
        .path("/query")
        .body(&OTHER[2..]);
    one_client_fails(fault, "unavailable", 75);
}

#[test]
fn client_whose_search_is_refused_fails_alone_with_all_its_events() {
    let refused = notion_error(
        400,
        "validation_error",
        "body failed validation: body.filter is odd.",
    );
    let fault = Fault::new(Vendor::Notion, refused)
        .path("/query")
        .body(&OTHER[2..]);
    one_client_fails(fault, "refused", 69);
}

#[test]
fn event_that_comes_twice_and_fails_is_kept_once_and_written_once() {
    let user = user(&sqlite, SETTINGS);
    let events = [text(1, ONE), text(2, OTHER), text(1, ONE), text(3, ONE)];
    let later = notion_error(503, "service_unavailable", "later");
    user.fault(
        Fault::new(Vendor::Notion, later)
            .method("POST")
            .path("/v1/pages")
            .body(ONE),
    );
    let run = user.run(&["--deadline", "4s"], &stream(&events));
    let statuses: Vec<_> = run
        .lines
        .iter()
        .map(|line| line["status"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        (run.code, statuses[0], statuses[1], statuses[3]),
        (75, "error", "success", "error"),
        "{}",
        run.stdout
    );
    assert_ne!(statuses[2], "success", "{}", run.stdout);
    assert_eq!(kept(&user).len(), 2);
    user.vendors.clear_faults();
    assert_eq!(user.run(&["replay", "--now"], b"").lines.len(), 2);
    assert_eq!(
        canonical(&user),
        notion_after(&[], &[text(1, ONE), text(2, OTHER), text(3, ONE)])
    );
}

#[test]
fn outage_fails_every_event_of_a_stream_with_its_own_line() {
    let user = user(&sqlite, SETTINGS);
    let events: Vec<Json> = (0..30)
        .map(|number| text(number, [ONE, OTHER, THIRD][number as usize % 3]))
        .collect();
    let message = "API token is invalid.";
    user.fault(Fault::new(
        Vendor::Notion,
        notion_error(401, "unauthorized", message),
    ));
    let run = user.deliver_all(&events);
    assert_eq!(
        (told(&run, &events), run.code),
        (vec!["unauthorized".to_owned(); 30], 69)
    );
    let requests = user.vendors.count(Vendor::Notion);
    assert!(
        requests < 3,
        "{requests} requests with a key that is refused"
    );
    assert!(
        kept(&user)
            .iter()
            .all(|(_, state, attempts)| (state.as_str(), *attempts) == ("held", 0))
    );
    assert_eq!((kept(&user).len(), user.client_pages()), (30, 0));
    user.vendors.clear_faults();
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!((told(&run, &events).len(), run.code), (30, 0));
    assert_eq!(canonical(&user), notion_after(&[], &events));
}

#[test]
fn page_that_went_to_the_trash_between_two_streams_is_made_anew_for_all() {
    let user = user(&sqlite, SETTINGS);
    let (before, events) = (
        [text(1, ONE)],
        [text(2, ONE), text(3, ONE), text(4, OTHER), text(5, ONE)],
    );
    assert_eq!(user.deliver_all(&before).code, 0);
    let page = user.page();
    user.vendors.world().notion.set_trashed(&page, true);
    let run = user.deliver_all(&events);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert_eq!(
        user.entries_of(ONE),
        [&events[0], &events[1], &events[3]].map(activity),
        "{}",
        user.notion()
    );
    assert_eq!(user.entries_of(OTHER), [activity(&events[2])]);
}

#[test]
fn property_that_notion_refuses_is_left_out_and_the_entries_are_written() {
    let user = user(&sqlite, SETTINGS);
    assert_eq!(user.deliver_all(&[text(1, ONE)]).code, 0);
    let message = "body failed validation: body.properties.Last Call.date.start should be a valid \
        ISO 8601 date string.";
    let refusal = Act::NotionError {
        status: 400,
        code: "validation_error".to_owned(),
        message: message.to_owned(),
        additional: Json::Null,
    };
    user.fault(
        Fault::new(Vendor::Notion, refusal)
            .method("PATCH")
            .path("/v1/pages/"),
    );
    let events: Vec<Json> = (60..70).map(|number| text(number * 2, ONE)).collect();
    let run = user.deliver_all(&events);
    assert_eq!(
        (told(&run, &events), run.code),
        (vec!["updated".to_owned(); 10], 0),
        "{}",
        run.stderr
    );
    assert_eq!(user.entries_of(ONE).len(), 11);
    let warned = run
        .lines
        .iter()
        .any(|line| line.to_string().contains("property_rejected"));
    assert!(warned, "{}", run.stdout);
}
