//! Archived pages, which are not in the trash: found, written to, and left archived.

use crate::harness::{Run, User};
use crate::kit::{
    APPEND, CREATE, MESSAGE, QUERY, ROSA, SCHEMA, UPDATE, message, message_from, notion_error,
    status,
};
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Vendor};
use crate::support::{Database, has_postgres, postgres, sqlite, store, user};

const VERSIONS: [&str; 3] = ["2022-06-28", "2025-09-03", "2026-03-11"];

fn archive(user: &User, page: &str) {
    user.vendors.world().notion.set_archived(page, true);
}

fn is_archived(user: &User, page: &str) -> bool {
    let world = user.vendors.world();
    world.notion.page(page).expect("a page").is_archived
}

/// A user to whom an archived page of Rosa's belongs, and that page.
fn user_with_archived(database: Database) -> (User, String) {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    let page = user.add_client("(202) 555-0147");
    archive(&user, &page);
    (user, page)
}

fn stays_archived(database: Database) {
    for version in VERSIONS {
        let (mut user, page) = user_with_archived(database);
        user.set("NOTION_VERSION", version);
        let run = user.sync(MESSAGE);
        run.expect(0, "success", "updated");
        assert_eq!(run.warnings(), ["page_archived"], "{version}");
        let warning = &run.line()["warnings"][0];
        let told = warning["message"].as_str().expect("a message");
        assert!(told.contains(&page), "{told}");
        assert_eq!(run.line()["notion_page_id"], page);
        user.deliver(&message(1, "2026-10-02T17:00:00Z"))
            .expect(0, "success", "updated");
        assert_eq!(user.client_pages(), 1);
        assert_eq!(user.entries_of("(202) 555-0147").len(), 2);
        assert!(is_archived(&user, &page), "{version}");
        assert_eq!(user.vendors.archived_searches(), 1, "{version}");
    }
}

#[test]
fn archived_page_is_written_to_and_stays_archived() {
    stays_archived(&sqlite);
}

#[test]
fn archived_page_is_written_to_from_postgres_too() {
    if has_postgres() {
        stays_archived(&postgres);
    }
}

#[test]
fn active_page_beats_an_older_archived_one() {
    let (user, archived) = user_with_archived(&sqlite);
    let active = user.add_client(ROSA);
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "updated");
    assert_eq!(run.line()["notion_page_id"], active);
    assert_eq!(run.warnings(), Vec::<&str>::new());
    let world = user.vendors.world();
    let page = world.notion.page(&archived).expect("a page");
    assert_eq!(page.children.len(), 0);
}

#[test]
fn one_search_more_only_for_a_page_that_is_not_known() {
    let user = User::new();
    let searches = || {
        let count = user.vendors.archived_searches();
        (user.notion_log(), count)
    };
    user.sync(MESSAGE).expect(0, "success", "created");
    let log = |log: &[&str]| log.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(searches(), (log(&[SCHEMA, QUERY, CREATE]), 1));
    user.deliver(&message(1, "2026-10-02T17:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(searches(), (log(&[UPDATE, APPEND]), 0));
    user.add_client("+13125550162");
    user.deliver(&message_from(2, "+13125550162"))
        .expect(0, "success", "updated");
    assert_eq!(searches(), (log(&[QUERY, UPDATE, APPEND]), 1));
}

#[test]
fn version_that_cannot_is_asked_once_a_day() {
    let (user, page) = user_with_archived(&sqlite);
    user.vendors.world().notion.archive.is_unknown = true;
    for (number, phone) in [(1, "+13125550162"), (2, "+13125550163")] {
        let run = user.deliver(&message_from(number, phone));
        run.expect(0, "success", "created");
        assert_eq!(run.warnings(), Vec::<&str>::new());
    }
    assert_eq!(user.vendors.archived_searches(), 1, "the refusal is kept");
    user.vendors.world().notion.archive.is_unknown = false;
    let sql = "UPDATE snapshots SET fetched_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-25 hours')
               WHERE key LIKE 'archived_refused:%'";
    assert_eq!(store(&user).execute(sql, []).expect("aged"), 1);
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "updated");
    assert_eq!(run.line()["notion_page_id"], page);
}

#[test]
fn search_among_archived_pages_that_failed_makes_no_page() {
    for (act, code) in [
        (notion_error(500, "internal_server_error", "Oops."), 75),
        (notion_error(403, "restricted_resource", "No."), 69),
        (status(400, "<html>400</html>"), 75),
        (status(200, "{\"object\":\"list\"}"), 75),
    ] {
        let (user, page) = user_with_archived(&sqlite);
        user.fault(Fault::new(Vendor::Notion, act).body("is_archived"));
        let run = user.run(&["--deadline", "3s"], &crate::harness::sample(MESSAGE));
        assert_eq!(run.code, code, "{}", run.stdout);
        assert_eq!(user.client_pages(), 1);
        user.vendors.clear_faults();
        let run = user.run(&["replay", "--now"], b"");
        assert_eq!((run.code, user.client_pages()), (0, 1), "{}", run.stdout);
        assert_eq!(run.line()["notion_page_id"], page);
    }
}

#[test]
fn failure_among_archived_pages_does_not_matter_where_an_active_one_is() {
    let user = User::new();
    user.add_client(ROSA);
    let down = notion_error(403, "restricted_resource", "No.");
    user.fault(Fault::new(Vendor::Notion, down).body("is_archived"));
    user.sync(MESSAGE).expect(0, "success", "updated");
    assert_eq!(user.vendors.unused_faults(), 0);
}

#[test]
fn first_search_that_failed_is_not_made_up_for_by_archived_pages() {
    let (user, _) = user_with_archived(&sqlite);
    let down = Act::NotionError {
        status: 500,
        code: "internal_server_error".into(),
        message: "Oops.".into(),
        additional: serde_json::Value::Null,
    };
    user.fault(Fault::new(Vendor::Notion, down).path("/query"));
    let run = user.run(&["--deadline", "3s"], &crate::harness::sample(MESSAGE));
    run.expect_error(75, "unavailable");
}

#[test]
fn page_that_is_archived_and_in_the_trash_is_nobodys() {
    let (user, page) = user_with_archived(&sqlite);
    user.vendors.world().notion.set_trashed(&page, true);
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_ne!(run.line()["notion_page_id"], page);
}

#[track_caller]
fn expect_refused(run: &Run, page: &str) {
    run.expect_error(69, "refused");
    let error = &run.line()["error"];
    let (message, hint) = (error["message"].as_str(), error["hint"].as_str());
    assert!(message.is_some_and(|text| text.contains(page)), "{error}");
    let link = page.replace('-', "");
    assert!(hint.is_some_and(|text| text.contains(&link)), "{error}");
}

#[test]
fn archived_page_that_takes_no_writes_is_the_operators() {
    let (user, page) = user_with_archived(&sqlite);
    user.vendors.world().notion.archive.is_closed = true;
    expect_refused(&user.sync(MESSAGE), &page);
    assert_eq!(user.client_pages(), 1);
    let again = user.run(&["replay", "--now"], b"");
    assert_eq!((again.code, user.client_pages()), (69, 1));
    user.vendors.world().notion.set_archived(&page, false);
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!((run.code, user.client_pages()), (0, 1), "{}", run.stdout);
    assert_eq!(run.line()["notion_page_id"], page);
    assert_eq!(user.entries_of("(202) 555-0147").len(), 1);
}

#[test]
fn page_that_was_archived_meanwhile_gets_no_twin_where_it_takes_no_writes() {
    for knows_no_archived in [false, true] {
        let user = User::new();
        user.vendors.world().notion.archive.is_unknown = knows_no_archived;
        user.sync(MESSAGE).expect(0, "success", "created");
        let page = user.page();
        archive(&user, &page);
        user.vendors.world().notion.archive.is_closed = true;
        expect_refused(&user.deliver(&message(1, "2026-10-02T17:00:00Z")), &page);
        expect_refused(&user.deliver(&message(2, "2026-09-02T17:00:00Z")), &page);
        user.vendors.world().notion.set_trashed(&page, true);
        let run = user.run(&["replay", "--now"], b"");
        assert_eq!((run.code, run.lines.len()), (0, 2), "{}", run.stdout);
        let world = user.vendors.world();
        let rows = world.notion.rows(CLIENTS_DATABASE);
        let living = rows.iter().filter(|row| !row.in_trash);
        assert_eq!(living.count(), 1, "the new one");
    }
}
