//! Many processes at once, on one client, on one event, on one rate limit.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Run, User, feed, sample};
use crate::kit::{activity, altered, message_from};
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Seen, Vendor};
use crate::support::{
    Database, activity_of, at_once, half_a_minute_passes, has_postgres, postgres, renamed,
    renamed_client, sqlite, start, user,
};

const STRANGER: &str = "v2026-03-30.message.received.no-contact";
const GROUP: &str = "v2026-03-30.message.received.group";

fn all_done(runs: &[Run]) {
    for run in runs {
        assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    }
}

/// The pages that the result lines name, each once.
fn pages(runs: &[Run]) -> Vec<String> {
    let lines = runs.iter().flat_map(|run| &run.lines);
    let mut pages: Vec<String> = lines
        .map(|line| line["notion_page_id"].as_str().expect("a page").to_owned())
        .collect();
    pages.sort();
    pages.dedup();
    pages
}

fn unknown_caller(database: Database) {
    let user = user(database, "");
    user.vendors.set_hide_new_pages(Duration::from_secs(2));
    let inputs: Vec<_> = (0..24)
        .map(|number| (&[][..], renamed(STRANGER, number)))
        .collect();
    let runs = at_once(&user, &inputs);
    all_done(&runs);
    assert_eq!(
        (user.client_pages(), pages(&runs).len()),
        (1, 1),
        "{}",
        user.notion()
    );
    for number in 0..24 {
        assert_eq!(
            user.times_in_notion(&format!("AC9{number:031}")),
            1,
            "{}",
            user.notion()
        );
    }
    let created = runs
        .iter()
        .filter(|run| run.line()["action"] == "created")
        .count();
    assert_eq!(created, 1);
}

#[test]
fn twenty_four_processes_on_one_unknown_caller_make_one_page_with_twenty_four_entries() {
    unknown_caller(&sqlite);
}

#[test]
fn twenty_four_processes_on_one_unknown_caller_make_one_page_with_twenty_four_entries_on_postgres()
{
    if has_postgres() {
        unknown_caller(&postgres);
    }
}

fn same_event(database: Database) {
    let user = user(database, "");
    let inputs: Vec<_> = (0..8).map(|_| (&[][..], sample(STRANGER))).collect();
    let runs = at_once(&user, &inputs);
    all_done(&runs);
    assert_eq!((user.client_pages(), pages(&runs).len()), (1, 1));
    assert_eq!(user.times_in_notion(&activity_of(STRANGER)), 1);
    let skipped = runs
        .iter()
        .filter(|run| run.line()["reason"] == "duplicate")
        .count();
    assert_eq!(skipped, 7);
}

#[test]
fn same_event_in_eight_processes_is_written_once_and_all_name_its_page() {
    same_event(&sqlite);
}

#[test]
fn same_event_in_eight_processes_is_written_once_and_all_name_its_page_on_postgres() {
    if has_postgres() {
        same_event(&postgres);
    }
}

#[test]
fn who_waits_longer_than_its_deadline_for_the_same_event_answers_queued() {
    let user = user(&sqlite, "");
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, Act::Delay(Duration::from_secs(2))).path("/v1/pages"),
    );
    let first = start(&user, &[]);
    let writer = std::thread::spawn(|| Run::of(feed(first, &sample(STRANGER))));
    wait_for(&user, |seen| seen.path == "/v1/pages");
    let second = user.run(&["--deadline", "200ms"], &sample(STRANGER));
    assert_eq!(
        (second.code, second.line()["status"].as_str()),
        (0, Some("queued")),
        "{}",
        second.stdout
    );
    writer
        .join()
        .expect("it ends")
        .expect(0, "success", "created");
    assert_eq!(user.times_in_notion(&activity_of(STRANGER)), 1);
}

fn patience_with_another_writer(database: Database) {
    let user = user(database, "");
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, Act::Delay(Duration::from_secs(2)))
            .path("/v1/pages")
            .nth(1),
    );
    let first = start(&user, &[]);
    let writer = std::thread::spawn(|| Run::of(feed(first, &renamed(STRANGER, 1))));
    wait_for(&user, |seen| seen.path == "/v1/pages");
    user.run(&["--deadline", "300ms"], &renamed(STRANGER, 2))
        .expect_error(75, "unavailable");
    writer
        .join()
        .expect("it ends")
        .expect(0, "success", "created");
    user.run(&["replay", "--now"], b"")
        .expect(0, "success", "updated");
    assert_eq!(user.client_pages(), 1);
}

#[test]
fn who_waits_longer_than_its_deadline_for_the_same_client_comes_back_later() {
    patience_with_another_writer(&sqlite);
}

#[test]
fn who_waits_longer_than_its_deadline_for_the_same_client_comes_back_later_on_postgres() {
    if has_postgres() {
        patience_with_another_writer(&postgres);
    }
}

fn one_group(database: Database) {
    let user = user(database, "");
    user.vendors.set_hide_new_pages(Duration::from_secs(1));
    let inputs: Vec<_> = (0..8)
        .map(|number| (&[][..], renamed(GROUP, number)))
        .collect();
    all_done(&at_once(&user, &inputs));
    assert_eq!(user.client_pages(), 3);
    for number in 0..8 {
        assert_eq!(
            user.times_in_notion(&format!("AC9{number:031}")),
            3,
            "{}",
            user.notion()
        );
    }
}

#[test]
fn eight_events_of_one_group_at_once_make_one_page_per_member() {
    one_group(&sqlite);
}

#[test]
fn eight_events_of_one_group_at_once_make_one_page_per_member_on_postgres() {
    if has_postgres() {
        one_group(&postgres);
    }
}

fn call_and_artifacts(database: Database) {
    let user = user(database, "");
    let call = activity_of("v2026-03-30.call.completed.answered");
    let voicemail =
        String::from_utf8(sample("v2026-03-30.call.voicemail.completed")).expect("UTF-8");
    let voicemail = voicemail.replace(&activity_of("v2026-03-30.call.voicemail.completed"), &call);
    let mut inputs: Vec<_> = [
        "summary.completed",
        "transcript.completed",
        "recording.completed",
        "completed.answered",
    ]
    .into_iter()
    .map(|name| (&[][..], sample(&format!("v2026-03-30.call.{name}"))))
    .collect();
    inputs.push((&[][..], voicemail.into_bytes()));
    all_done(&at_once(&user, &inputs));
    assert_eq!(user.client_pages(), 1);
    let world = user.vendors.world();
    let page = world.notion.rows(CLIENTS_DATABASE)[0].clone();
    assert_eq!(page.children.len(), 1, "one entry");
    let toggle = &world.notion.blocks[&page.children[0]];
    assert_eq!(
        (toggle.kind.as_str(), toggle.children.len()),
        ("toggle", 4),
        "{:?}",
        toggle.data
    );
}

#[test]
fn call_and_its_four_artifacts_at_once_are_one_toggle_with_four_blocks() {
    call_and_artifacts(&sqlite);
}

#[test]
fn call_and_its_four_artifacts_at_once_are_one_toggle_with_four_blocks_on_postgres() {
    if has_postgres() {
        call_and_artifacts(&postgres);
    }
}

fn replays_and_sync(database: Database) {
    let user = user(database, "");
    let queued: Vec<_> = (0..6)
        .flat_map(|number| renamed(STRANGER, number))
        .collect();
    assert_eq!(user.run(&["--enqueue"], &queued).code, 0);
    let runs = at_once(
        &user,
        &[
            (&["replay"], vec![]),
            (&["replay", "--now"], vec![]),
            (&[], renamed(STRANGER, 5)),
            (&[], renamed(STRANGER, 6)),
        ],
    );
    all_done(&runs);
    all_done(&[user.run(&["replay", "--now"], b"")]);
    assert_eq!(user.client_pages(), 1);
    for number in 0..7 {
        assert_eq!(
            user.times_in_notion(&format!("AC9{number:031}")),
            1,
            "{}",
            user.notion()
        );
    }
}

#[test]
fn two_replays_and_a_sync_at_once_do_each_event_once() {
    replays_and_sync(&sqlite);
}

#[test]
fn two_replays_and_a_sync_at_once_do_each_event_once_on_postgres() {
    if has_postgres() {
        replays_and_sync(&postgres);
    }
}

fn shared_quo_limit(database: Database) {
    let user = user(database, "[quo]\nrequests_per_second = 5\n");
    let inputs: Vec<_> = (0..3)
        .map(|process| {
            (
                &[][..],
                (0..4)
                    .flat_map(|n| renamed_client("v2026-03-30.message.received", process * 4 + n))
                    .collect(),
            )
        })
        .collect();
    all_done(&at_once(&user, &inputs));
    let times: Vec<Instant> = requests(&user, Vendor::Quo)
        .iter()
        .map(|seen| seen.at)
        .collect();
    assert!(times.len() >= 12, "{}", times.len());
    // A process may be held up between taking its moment and sending; so the window is looked at a
    // little smaller.
    for window in times.windows(6) {
        assert!(
            window[5] - window[0] > Duration::from_millis(600),
            "six requests in {:?}",
            window[5] - window[0]
        );
    }
    let windows = u32::try_from((times.len() - 1) / 5).expect("few");
    let all = times[times.len() - 1] - times[0];
    assert!(
        all > Duration::from_millis(900) * windows,
        "{} requests in {all:?}",
        times.len()
    );
}

#[test]
fn three_processes_share_one_limit_of_requests_to_quo() {
    shared_quo_limit(&sqlite);
}

#[test]
fn three_processes_share_one_limit_of_requests_to_quo_on_postgres() {
    if has_postgres() {
        shared_quo_limit(&postgres);
    }
}

fn shared_notion_limit(database: Database) {
    let user = user(database, "[notion]\nrequests_per_minute = 6\n");
    let inputs: Vec<_> = (0..3)
        .map(|process| {
            (
                &["--deadline", "2s"][..],
                (0..4)
                    .flat_map(|n| renamed_client(STRANGER, process * 4 + n))
                    .collect(),
            )
        })
        .collect();
    let runs = at_once(&user, &inputs);
    let sent = requests(&user, Vendor::Notion).len() + user.vendors.archived_searches();
    assert_eq!(sent, 6);
    let failed = runs
        .iter()
        .flat_map(|run| &run.lines)
        .filter(|line| line["status"] == "error");
    for line in failed {
        assert_eq!(line["error"]["retryable"], true, "{line}");
    }
    assert!(runs.iter().any(|run| run.code == 75));
}

#[test]
fn three_processes_share_one_limit_of_requests_to_notion() {
    shared_notion_limit(&sqlite);
}

#[test]
fn three_processes_share_one_limit_of_requests_to_notion_on_postgres() {
    if has_postgres() {
        shared_notion_limit(&postgres);
    }
}

fn pause_of_one_is_a_pause_of_all(database: Database) {
    let user = user(database, "");
    user.sync(STRANGER).expect(0, "success", "created");
    user.vendors.clear_requests();
    let headers = vec![("retry-after".to_owned(), "2".to_owned())];
    let body =
        r#"{"object":"error","status":429,"code":"rate_limited","message":"slow"}"#.to_owned();
    user.vendors.add_fault(
        Fault::new(
            Vendor::Notion,
            Act::Status {
                code: 429,
                headers,
                body,
            },
        )
        .nth(1),
    );
    let first = start(&user, &[]);
    let writer = std::thread::spawn(|| Run::of(feed(first, &renamed(STRANGER, 1))));
    wait_for(&user, |seen| seen.status == 429);
    std::thread::sleep(Duration::from_millis(150));
    user.run(&[] as &[&str], &renamed("v2026-03-30.message.received", 2))
        .expect(0, "success", "created");
    writer
        .join()
        .expect("it ends")
        .expect(0, "success", "updated");
    let seen = requests(&user, Vendor::Notion);
    let refused = seen
        .iter()
        .find(|seen| seen.status == 429)
        .expect("one was refused")
        .at;
    for later in seen.iter().filter(|seen| seen.status != 429) {
        let after = later.at - refused;
        assert!(
            after > Duration::from_millis(1990),
            "{} {} after {after:?}",
            later.method,
            later.path
        );
    }
}

#[test]
fn too_many_requests_in_one_process_pauses_the_others() {
    pause_of_one_is_a_pause_of_all(&sqlite);
}

#[test]
fn too_many_requests_in_one_process_pauses_the_others_on_postgres() {
    if has_postgres() {
        pause_of_one_is_a_pause_of_all(&postgres);
    }
}

fn killed_holder(database: Database) {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    user.vendors.add_fault(
        Fault::new(Vendor::Notion, Act::Hang(Duration::from_mins(1)))
            .path("/v1/pages")
            .nth(1),
    );
    let mut holder = start(&user, &[]);
    std::io::Write::write_all(
        &mut holder.stdin.take().expect("a pipe"),
        &renamed(STRANGER, 1),
    )
    .expect("input");
    wait_for(&user, |seen| seen.path == "/v1/pages");
    holder.kill().expect("kill -9");
    holder.wait().expect("it ends");
    half_a_minute_passes(&user);
    let began = Instant::now();
    user.run(&[] as &[&str], &renamed(STRANGER, 2))
        .expect(0, "success", "created");
    user.run(&[] as &[&str], &renamed(STRANGER, 1))
        .expect(0, "success", "updated");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(user.client_pages(), 1);
}

#[test]
fn killed_holder_of_locks_frees_them() {
    killed_holder(&sqlite);
}

#[test]
fn killed_holder_of_locks_frees_them_on_postgres() {
    if has_postgres() {
        killed_holder(&postgres);
    }
}

fn requests(user: &User, vendor: Vendor) -> Vec<Seen> {
    user.vendors
        .requests()
        .into_iter()
        .filter(|seen| seen.vendor == vendor)
        .collect()
}

fn wait_for(user: &User, condition: impl Fn(&Seen) -> bool) {
    let began = Instant::now();
    while !user.vendors.requests().iter().any(&condition) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it never came: {:?}",
            user.vendors.log(Vendor::Notion)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A client is a page: two numbers in its cell are one writer, and what both took part in is one
/// entry.
fn two_numbers_of_one_page(database: Database) {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    let page = user.add_row(&json!({"Phone": {"phone_number": "202-555-0147 / (312) 555-0162"}}));
    let parts = json!(["+12025550147", "+14155550110", "+13125550162"]);
    let call = altered(
        "legacy-v4.call.completed.answered",
        &[("/data/object/participants", parts)],
    );
    let run = user.deliver(&call);
    run.expect(0, "success", "updated");
    let synced = run.line()["synced"].as_array().expect("a list").clone();
    let pages: Vec<&str> = synced
        .iter()
        .filter_map(|it| it["notion_page_id"].as_str())
        .collect();
    assert_eq!(pages, [page.as_str(), page.as_str()], "{}", run.stdout);
    let of_call = "AC00000000000000000000000000000141\n";
    assert_eq!(user.times_in_notion(of_call), 1, "{}", user.notion());
    let texts = [
        message_from(1, "+12025550147"),
        message_from(2, "+13125550162"),
        message_from(3, "+12025550147"),
        message_from(4, "+13125550162"),
    ];
    let inputs = texts.each_ref().map(|text| text.to_string().into_bytes());
    let runs: Vec<(&[&str], Vec<u8>)> = inputs.into_iter().map(|text| (&[][..], text)).collect();
    for run in at_once(&user, &runs) {
        run.expect(0, "success", "updated");
    }
    assert_eq!(user.client_pages(), 1);
    for text in &texts {
        assert_eq!(user.times_in_notion(activity(text)), 1, "{}", user.notion());
    }
    user.deliver(&call).expect(0, "success", "skipped");
}

#[test]
fn two_numbers_of_one_page_are_one_writer_and_one_entry() {
    two_numbers_of_one_page(&sqlite);
}

#[test]
fn two_numbers_of_one_page_are_one_writer_and_one_entry_on_postgres() {
    if has_postgres() {
        two_numbers_of_one_page(&postgres);
    }
}
