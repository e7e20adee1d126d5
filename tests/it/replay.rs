//! `--enqueue` and `quotion replay`: kept before it is answered, done once, tried again with
//! patience, never dropped.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Run, User, sample};
use crate::standin::{Act, Fault, Vendor};
use crate::support::{
    Database, activity_of, event_of, has_postgres, inbox, postgres, redelivered, renamed, sqlite,
    state, store, user,
};

const TEXT: &str = "v2026-03-30.message.received";
const STRANGER: &str = "v2026-03-30.message.received.no-contact";
const MISSED: &str = "legacy-v4.call.completed.missed";
const VOICEMAIL: &str = "legacy-v4.call.completed.voicemail";

/// Notion as it is during an outage; ends with `clear_faults`.
fn notion_is_down(user: &User) {
    let body = r#"{"object":"error","status":401,"code":"unauthorized","message":"no"}"#.to_owned();
    user.vendors.add_fault(Fault::new(
        Vendor::Notion,
        Act::Status {
            code: 401,
            headers: vec![],
            body,
        },
    ));
}

/// Notion answers nothing but 503 to writes; reads are not disturbed, because they would be
/// repeated for seconds.
fn writes_fail(user: &User) {
    let body = r#"{"object":"error","status":503,"code":"service_unavailable","message":"later"}"#
        .to_owned();
    let act = Act::Status {
        code: 503,
        headers: vec![],
        body,
    };
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, act)
            .method("POST")
            .path("/v1/pages"),
    );
}

#[track_caller]
fn summary(run: &Run, want: &str) {
    assert!(
        run.stderr
            .lines()
            .any(|line| line.ends_with(&format!(" INFO {want}"))),
        "{want}\n{}",
        run.stderr
    );
}

#[test]
fn enqueued_event_is_durable_unworked_and_done_by_replay() {
    let user = user(&sqlite, "");
    let run = user.run(&["--enqueue"], &sample(TEXT));
    run.expect(0, "queued", "");
    assert_eq!(run.line()["event_id"], event_of(TEXT).as_str());
    assert_eq!(user.vendors.requests().len(), 0);
    let kept: Vec<u8> = store(&user)
        .query_row("SELECT payload FROM inbox", [], |row| row.get(0))
        .expect("row");
    assert_eq!(kept, sample(TEXT).trim_ascii(), "byte for byte");
    assert_eq!(state(&user, &event_of(TEXT)).as_deref(), Some("queued"));
    user.run(&["--enqueue"], &sample(TEXT))
        .expect(0, "queued", "");

    let run = user.run(&["replay"], b"");
    run.expect(0, "success", "created");
    assert_eq!(run.line()["event_id"], event_of(TEXT).as_str());
    summary(&run, "replay: 1 done, 0 failed; 0 in the inbox");
    assert_eq!(state(&user, &event_of(TEXT)).as_deref(), Some("done"));

    user.vendors.clear_requests();
    for args in [
        &["replay"][..],
        &["replay", "--now"],
        &["replay", "--dead"],
        &["replay", "--event", &event_of(TEXT)],
    ] {
        let run = user.run(args, b"");
        assert_eq!(
            (run.code, run.lines.len()),
            (0, 0),
            "{args:?}: {}",
            run.stdout
        );
        summary(&run, "replay: 0 done, 0 failed; 0 in the inbox");
    }
    let run = user.run(&["--enqueue"], &sample(TEXT));
    run.expect(0, "success", "skipped");
    assert_eq!(run.line()["reason"], "duplicate");
    assert_eq!(user.vendors.requests().len(), 0);
}

#[test]
fn signed_event_is_verified_at_receipt_and_its_age_is_not_looked_at_later() {
    let mut user = user(&sqlite, "");
    user.set("QUOTION_REQUIRE_SIGNATURE", "1");
    let run = user.run(&["--enqueue"], &sample(TEXT));
    run.expect_error(77, "signature");
    assert!(
        !user.path(".tmp/quotion.db").exists(),
        "nothing is kept of it"
    );
    user.set("QUOTION_REQUIRE_SIGNATURE", "");
    user.run(&["--enqueue"], &sample(TEXT))
        .expect(0, "queued", "");
    user.set("QUOTION_REQUIRE_SIGNATURE", "1")
        .set("OPENPHONE_WEBHOOK_SECRET", "");
    user.run(&["replay"], b"").expect(0, "success", "created");
}

#[test]
fn oldest_event_comes_first() {
    let user = user(&sqlite, "");
    for number in [7, 3, 9] {
        assert_eq!(user.run(&["--enqueue"], &renamed(TEXT, number)).code, 0);
        std::thread::sleep(Duration::from_millis(3));
    }
    let run = user.run(&["replay"], b"");
    let order: Vec<_> = run
        .lines
        .iter()
        .map(|line| line["event_id"].as_str().expect("id").to_owned())
        .collect();
    assert_eq!(order, [7, 3, 9].map(|number| format!("EV9{number:031}")));
}

/// Notion refuses to make pages, without a reason that can be mended.
fn pages_are_refused(user: &User) {
    let body = r#"{"object":"error","status":400,"code":"validation_error","message":"no"}"#;
    let act = Act::Status {
        code: 400,
        headers: vec![],
        body: body.to_owned(),
    };
    let fault = Fault::new(Vendor::Notion, act);
    user.vendors
        .add_fault(fault.method("POST").path("/v1/pages"));
}

#[test]
fn failed_event_waits_ever_longer_and_is_dead_after_the_last_attempt_but_kept() {
    let user = user(&sqlite, "[inbox]\nattempts = 3\n");
    let id = event_of(STRANGER);
    pages_are_refused(&user);
    let run = user.sync(STRANGER);
    run.expect_error(69, "refused");
    let check = |state: &str, attempts, next: std::ops::RangeInclusive<i64>| {
        let (_, have, tried, wait) = inbox(&user).remove(0);
        assert_eq!((have.as_str(), tried), (state, attempts));
        assert!(wait.is_none_or(|wait| next.contains(&wait)), "{wait:?}");
        assert_eq!(wait.is_none(), state == "dead");
        let sql = "SELECT error_kind || ': ' || error_message FROM inbox";
        let error: String = store(&user)
            .query_row(sql, [], |row| row.get(0))
            .expect("row");
        assert!(
            error.starts_with("refused: notion: POST /pages: 400"),
            "{error}"
        );
    };
    check("failed", 1, 25..=30);
    let run = user.run(&["replay"], b"");
    assert_eq!(
        (run.code, run.lines.len()),
        (0, 0),
        "not due: {}",
        run.stdout
    );
    let told = "replay: 0 done, 0 failed; 1 in the inbox: 1 waiting (the next is due in ";
    assert!(run.stderr.contains(told), "{}", run.stderr);

    let run = user.run(&["replay", "--now"], b"");
    run.expect_error(69, "refused");
    let told = "replay: 0 done, 1 failed; 1 in the inbox: 1 waiting (the next is due in 1m";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    check("failed", 2, 115..=120);

    store(&user)
        .execute("UPDATE inbox SET next_try_at = 0", [])
        .expect("time passes");
    let run = user.run(&["replay"], b"");
    run.expect_error(69, "refused");
    assert!(
        run.line()["error"]["hint"]
            .as_str()
            .expect("hint")
            .contains("replay --dead"),
        "{}",
        run.stdout
    );
    check("dead", 3, 0..=0);

    user.vendors.clear_faults();
    for args in [&["replay"][..], &["replay", "--now"]] {
        let run = user.run(args, b"");
        assert_eq!(run.lines.len(), 0, "a dead one is not taken by itself");
        let dead = format!("1 dead ({id}; quotion replay --dead tries again)");
        summary(
            &run,
            &format!("replay: 0 done, 0 failed; 1 in the inbox: {dead}"),
        );
    }
    user.run(&["replay", "--now", "--dead"], b"")
        .expect(0, "success", "created");
    assert_eq!(state(&user, &id).as_deref(), Some("done"));
    assert_eq!(
        (
            user.client_pages(),
            user.times_in_notion(&activity_of(STRANGER))
        ),
        (1, 1)
    );
}

#[test]
fn one_event_can_be_named_and_a_limit_set() {
    let user = user(&sqlite, "");
    for number in 0..4 {
        assert_eq!(user.run(&["--enqueue"], &renamed(TEXT, number)).code, 0);
    }
    let third = format!("EV9{:031}", 2);
    let run = user.run(&["replay", "--event", &third], b"");
    assert_eq!(
        run.expect(0, "success", "created").line()["event_id"],
        third.as_str()
    );
    assert_eq!(user.run(&["replay", "--limit", "2"], b"").lines.len(), 2);
    assert_eq!(
        user.run(&["replay", "--now", "--limit", "2"], b"")
            .lines
            .len(),
        1
    );
    user.run(&["replay", "--event", "../x"], b"")
        .expect_error(64, "usage");
    user.run(&["replay", "--event", "EVnever"], b"")
        .expect_error(64, "usage");
    user.run(&["replay", "--now", "--event", &third], b"")
        .expect_error(64, "usage");
    user.run(&["replay", "--enqueue"], b"")
        .expect_error(64, "usage");
}

#[test]
fn saved_files_are_synced_as_if_piped_in() {
    let user = user(&sqlite, "");
    std::fs::write(user.path("a.json"), sample(TEXT)).expect("file");
    std::fs::write(
        user.path("b.ndjson"),
        [renamed(STRANGER, 1), renamed(STRANGER, 2)].concat(),
    )
    .expect("file");
    let run = user.run(
        &["replay", "a.json", "b.ndjson", "-"],
        &renamed(STRANGER, 3),
    );
    assert_eq!(
        (run.code, run.lines.len(), user.client_pages()),
        (0, 4, 2),
        "{}",
        run.stdout
    );
    assert_eq!(
        inbox(&user)
            .iter()
            .filter(|(_, state, ..)| state == "done")
            .count(),
        4
    );
    let again = user.run(&["replay", "a.json"], b"");
    again.expect(0, "success", "skipped");
    user.run(&["replay", "missing.json"], b"")
        .expect_error(74, "store");
    user.run(&["replay", "-"], b"no json")
        .expect_error(65, "payload");
}

fn duplicates(database: Database) {
    let user = user(database, "");
    let first = user.sync(TEXT);
    let page = first.expect(0, "success", "created").line()["notion_page_id"].clone();
    user.vendors.clear_requests();
    let again = user.sync(TEXT);
    again.expect(0, "success", "skipped");
    assert_eq!(
        (&again.line()["reason"], &again.line()["notion_page_id"]),
        (&json!("duplicate"), &page)
    );
    assert_eq!(again.line()["client_name"], first.line()["client_name"]);
    assert_eq!(user.vendors.requests().len(), 0);

    let other = user.run::<&str>(&[], &redelivered(TEXT, 1));
    other.expect(0, "success", "skipped");
    assert_eq!(
        (&other.line()["reason"], &other.line()["notion_page_id"]),
        (&json!("duplicate"), &page)
    );
    let old = String::from_utf8(sample("legacy-v4.message.received")).expect("UTF-8");
    let old = old.replace(
        &activity_of("legacy-v4.message.received"),
        &activity_of(TEXT),
    );
    let other = user.run::<&str>(&[], old.as_bytes());
    other.expect(0, "success", "skipped");
    assert_eq!(
        user.times_in_notion(&activity_of(TEXT)),
        1,
        "{}",
        user.notion()
    );
    assert_eq!(user.vendors.count(Vendor::Notion), 0);
}

#[test]
fn second_delivery_is_skipped_with_the_page_of_the_first_and_without_a_request() {
    duplicates(&sqlite);
}

#[test]
fn second_delivery_is_skipped_with_the_page_of_the_first_and_without_a_request_on_postgres() {
    if has_postgres() {
        duplicates(&postgres);
    }
}

#[test]
fn call_missed_told_by_two_subscriptions_is_one_entry() {
    let user = user(&sqlite, "");
    user.sync("v2026-03-30.call.missed")
        .expect(0, "success", "created");
    user.sync("v2026-03-30.call.completed.missed")
        .expect(0, "success", "skipped");
    assert_eq!(
        user.times_in_notion(&activity_of("v2026-03-30.call.missed")),
        1
    );
}

#[test]
fn missed_call_without_voicemail_event_is_asked_for_later() {
    let user = user(&sqlite, "");
    user.sync(VOICEMAIL).expect(0, "success", "created");
    assert_eq!(user.times_in_notion(" · missed · "), 1, "{}", user.notion());
    let follow_up = format!("follow-up-voicemail-{}", activity_of(VOICEMAIL));
    let (_, state_now, _, wait) = inbox(&user)
        .into_iter()
        .find(|(id, ..)| *id == follow_up)
        .expect("a follow-up");
    assert!(
        state_now == "queued" && wait.is_some_and(|wait| (26..=30).contains(&wait)),
        "{state_now} {wait:?}"
    );
    assert_eq!(user.run(&["replay"], b"").lines.len(), 0, "not due");
    let run = user.run(&["replay", "--now"], b"");
    run.expect(0, "success", "updated");
    let found = (
        user.times_in_notion(" · missed · "),
        user.times_in_notion(" · voicemail · "),
    );
    assert_eq!(found, (0, 1), "{}", user.notion());
    assert_eq!(
        user.times_in_notion("please call me back"),
        1,
        "{}",
        user.notion()
    );
    let line = user
        .notion()
        .lines()
        .find(|line| line.contains("· voicemail ·"))
        .map(str::to_owned)
        .expect("a line");
    assert!(line.contains("Open in Quo"), "the link stays: {line}");
    assert_eq!(state(&user, &follow_up).as_deref(), Some("done"));
    assert_eq!(
        user.run::<&str>(&[], &redelivered(VOICEMAIL, 1)).line()["reason"],
        "duplicate"
    );
    assert_eq!(
        user.run(&["replay", "--now"], b"").lines.len(),
        0,
        "asked for once"
    );
}

#[test]
fn missed_call_without_voicemail_stays_missed() {
    let user = user(&sqlite, "");
    user.sync(MISSED).expect(0, "success", "created");
    let before = user.notion();
    let run = user.run(&["replay", "--now"], b"");
    run.expect(0, "success", "skipped");
    assert_eq!(run.line()["reason"], "nothing_new");
    assert_eq!(user.notion(), before);
    assert!(inbox(&user).iter().all(|(_, state, ..)| state == "done"));
}

#[test]
fn voicemail_that_is_still_being_made_is_asked_for_again() {
    let user = user(&sqlite, "");
    let call = activity_of(MISSED);
    let making = json!({"id": "VM1", "status": "in-progress", "duration": null,
        "transcript": null, "recordingUrl": null});
    user.vendors
        .world()
        .quo
        .voicemails
        .insert(call.clone(), making);
    user.sync(MISSED).expect(0, "success", "created");
    let follow_up = format!("follow-up-voicemail-{call}");
    user.run(&["replay", "--now"], b"")
        .expect_error(75, "unavailable");
    assert_eq!(state(&user, &follow_up).as_deref(), Some("failed"));
    let made = json!({"id": "VM1", "status": "completed", "duration": 9, "transcript": "It is me",
                      "recordingUrl": "https://storage.example.com/v.mp3"});
    user.vendors.world().quo.voicemails.insert(call, made);
    user.run(&["replay", "--now"], b"")
        .expect(0, "success", "updated");
    assert_eq!(
        (
            user.times_in_notion(" · voicemail · "),
            user.times_in_notion("It is me")
        ),
        (1, 1),
        "{}",
        user.notion()
    );
}

#[test]
fn payloads_of_long_finished_events_are_dropped_and_their_keys_kept() {
    let user = user(&sqlite, "[inbox]\nkeep_done = \"1h\"\n");
    user.sync(TEXT).expect(0, "success", "created");
    user.sync(STRANGER).expect(0, "success", "created");
    notion_is_down(&user);
    assert_eq!(
        user.run::<&str>(&[], &renamed("v2026-03-30.message.received.media", 1))
            .code,
        69
    );
    let dead = "INSERT INTO inbox (event_id, event_type, payload, state, received_at, updated_at) \
        VALUES ('EVdead', 't', x'7b7d', 'dead', 0, 0), ('EVwaits', 't', x'7b7d', 'queued', 0, 0)";
    store(&user).execute(dead, []).expect("rows");
    let age = "UPDATE inbox SET updated_at = 0 WHERE event_id <> ?1";
    store(&user)
        .execute(age, [event_of(STRANGER)])
        .expect("time passes");
    assert_eq!(user.run(&["replay"], b"").code, 69);
    user.vendors.clear_faults();
    let kept = "SELECT group_concat(state, ' ') FROM (SELECT state FROM inbox WHERE payload IS \
        NOT NULL ORDER BY state)";
    let kept: String = store(&user)
        .query_row(kept, [], |row| row.get(0))
        .expect("rows");
    assert_eq!(
        kept, "dead done held queued",
        "what is not finished is never dropped"
    );
    user.vendors.clear_requests();
    user.sync(TEXT).expect(0, "success", "skipped");
    assert_eq!(
        (
            user.vendors.requests().len(),
            user.times_in_notion(&activity_of(TEXT))
        ),
        (0, 1)
    );
}

#[test]
fn event_is_kept_while_the_configuration_is_wrong() {
    let mut user = user(&sqlite, "");
    let key = crate::standin::NOTION_KEY;
    user.set("NOTION_API_KEY", "");
    let run = user.sync(TEXT);
    run.expect_error(78, "config");
    assert!(
        run.line()["error"]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("kept")),
        "{}",
        run.stdout
    );
    // Nothing was tried, so no attempt is counted.
    let (_, state, attempts, next) = inbox(&user).remove(0);
    assert_eq!((state.as_str(), attempts, next), ("held", 0, None));
    user.set("NOTION_API_KEY", "ntn_another_key_that_is_wrong_0001");
    user.run(&["replay", "--now"], b"")
        .expect_error(69, "unauthorized");
    user.set("NOTION_API_KEY", key);
    user.run(&["replay", "--now"], b"")
        .expect(0, "success", "created");
}

fn outage(database: Database) {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    writes_fail(&user);
    let input: Vec<u8> = (0..10)
        .flat_map(|number| renamed(if number % 2 == 0 { TEXT } else { STRANGER }, number))
        .collect();
    let run = user.run(&["--deadline", "5s"], &input);
    assert_eq!(
        (run.code, run.lines.len(), user.client_pages()),
        (75, 10, 0),
        "{}",
        run.stdout
    );
    user.vendors.clear_faults();
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(
        (run.code, run.lines.len(), user.client_pages()),
        (0, 10, 2),
        "{}",
        run.stdout
    );
    for number in 0..10 {
        assert_eq!(user.times_in_notion(&format!("AC9{number:031}")), 1);
    }
}

#[test]
fn events_of_an_outage_are_all_kept_and_all_synced_after_it() {
    outage(&sqlite);
}

#[test]
fn events_of_an_outage_are_all_kept_and_all_synced_after_it_on_postgres() {
    if has_postgres() {
        outage(&postgres);
    }
}

#[test]
fn vendor_out_of_reach_keeps_the_event() {
    let mut user = user(&sqlite, "");
    let base = user.vendors.notion_base();
    user.set("NOTION_API_BASE", "http://127.0.0.1:9/v1");
    user.run(&["--deadline", "20s"], &sample(STRANGER))
        .expect_error(75, "unavailable");
    user.set("NOTION_API_BASE", &base);
    user.run(&["replay", "--now"], b"")
        .expect(0, "success", "created");
}

#[test]
fn what_concerns_nobody_is_not_kept() {
    let user = user(&sqlite, "");
    let own = String::from_utf8(sample(TEXT))
        .expect("UTF-8")
        .replace("+12025550147", "+14155550110");
    for (input, reason) in [
        (sample("v2026-03-30.call.ringing"), "unsupported_event"),
        (sample("v2026-03-30.task.assigned"), "unsupported_event"),
        (own.into_bytes(), "no_client_number"),
    ] {
        let run = user.run::<&str>(&[], &input);
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], reason);
        let queued = user.run(&["--enqueue"], &input);
        assert_eq!(queued.code, 0);
        assert_eq!(user.run(&["replay"], b"").code, 0);
        assert!(
            !user.path(".tmp/quotion.db").exists() || inbox(&user).is_empty(),
            "{reason}"
        );
    }
}

#[test]
fn one_bad_event_holds_up_no_other() {
    let user = user(&sqlite, "");
    for number in 0..3 {
        assert_eq!(user.run(&["--enqueue"], &renamed(TEXT, number)).code, 0);
    }
    let spoil = "UPDATE inbox SET payload = ?1 WHERE event_id = ?2";
    store(&user)
        .execute(spoil, (b"[1, 2".as_slice(), format!("EV9{:031}", 0)))
        .expect("spoilt");
    let run = user.run(&["replay"], b"");
    let done = run
        .lines
        .iter()
        .filter(|line| line["status"] == "success")
        .count();
    assert_eq!(
        (run.code, run.lines.len(), done),
        (65, 3, 2),
        "{}",
        run.stdout
    );
    let waits = "1 waiting (the next is due in 29s)";
    summary(
        &run,
        &format!("replay: 2 done, 1 failed; 1 in the inbox: {waits}"),
    );
}

/// Files of events that no store has taken yet, with their modes.
fn spooled(user: &User) -> Vec<(std::path::PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::fs::read_dir(user.path(".tmp/spool"));
    let entries = folder.into_iter().flatten().flatten();
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    let mut files: Vec<_> = entries
        .map(|entry| (entry.path(), mode(&entry.path())))
        .collect();
    files.sort();
    files
}

#[test]
fn events_of_a_store_that_cannot_be_reached_wait_in_files_and_are_done_in_order() {
    if !has_postgres() {
        return;
    }
    let mut user = user(&postgres, "[notion]\nsettle = \"1ms\"\n");
    let reachable = postgres().expect("a store");
    user.set("QUOTION_STATE", "postgres://u:geheim@127.0.0.1:9/db");
    for (number, args) in [&[][..], &["--enqueue"], &["--deadline", "8s"]]
        .iter()
        .enumerate()
    {
        let run = user.run(args, &renamed(TEXT, number));
        run.expect(0, "queued", "");
        assert_eq!(run.warnings(), ["spooled"]);
        assert!(!run.stdout.contains("geheim") && !run.stderr.contains("geheim"));
    }
    // Twice the same is one event.
    user.run::<&str>(&[], &renamed(TEXT, 1));
    let files = spooled(&user);
    assert_eq!(
        (files.len(), files.iter().all(|(_, mode)| *mode == 0o600)),
        (4, true)
    );
    assert_eq!(user.vendors.requests().len(), 0);
    assert_eq!(user.run(&["replay"], b"").code, 75);
    assert_eq!(spooled(&user), files);
    std::fs::write(user.path(".tmp/spool/0-0.json"), "{}").expect("written");
    user.set("QUOTION_STATE", &reachable);
    assert_eq!(user.run(&["replay", "--dry-run"], b"").code, 0);
    assert_eq!(spooled(&user).len(), 5, "a dry run takes nothing in");
    let run = user.run(&["replay"], b"");
    assert_eq!((run.code, run.lines.len()), (0, 3), "{}", run.stdout);
    assert!(run.stderr.contains("0-0.json is left"), "{}", run.stderr);
    let left = spooled(&user);
    assert_eq!(left.len(), 1, "{left:?}");
    let shown = user.notion();
    let places: Vec<usize> = (0..3)
        .map(|number| {
            let event = renamed(TEXT, number);
            let json: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
            let id = json["data"]["resource"]["id"]
                .as_str()
                .expect("an id")
                .to_owned();
            assert_eq!(shown.matches(&id).count(), 1);
            shown.find(&id).expect("it stands there")
        })
        .collect();
    assert!(places.is_sorted(), "{shown}");
}

#[test]
fn event_that_neither_store_nor_file_takes_is_not_said_to_be_kept() {
    let mut user = User::new();
    user.set("QUOTION_STATE", "postgres://u:geheim@127.0.0.1:9/db");
    std::fs::create_dir(user.path(".tmp")).expect("folder");
    std::fs::write(user.path(".tmp/spool"), "in the way").expect("written");
    let run = user.sync(TEXT);
    run.expect_error(75, "store");
    assert_eq!(run.warnings(), ["store"]);
}
