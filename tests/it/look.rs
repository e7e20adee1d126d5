//! Looking at a page: entries that a person moved or deleted, blocks that cannot be listed, pages
//! that are longer than a deadline.

use std::time::Duration;

use crate::harness::{Run, User, sample};
use crate::kit::{MESSAGE, notion_error};
use crate::standin::world::NotionState;
use crate::standin::{Fault, Vendor};
use crate::support::{self, Database, has_postgres, sqlite, store, user};

const CALL: &str = "legacy-v4.call.completed.answered";
const SUMMARY: &str = "legacy-v4.call.summary.completed";

/// Adds a block as a person would in the app; gives its id.
fn add_block(user: &User, parent: &str, (kind, text): (&str, &str)) -> String {
    let notion = &mut user.vendors.world().notion;
    let id = notion.add_block(parent, kind, text);
    touch(notion, parent);
    id
}

/// A page says when it was edited.
fn touch(notion: &mut NotionState, parent: &str) {
    if let Some(page) = notion.page_mut(parent) {
        page.edited = "2026-11-01T00:00:00Z".parse().expect("a time");
    }
}

/// The second block at the top of the page: the entry that was written then.
fn second_block(user: &User) -> String {
    let page = user.page();
    let world = user.vendors.world();
    world.notion.page(&page).expect("a page").children[1].clone()
}

/// A person drags the block into another one.
fn drag(user: &User, block: &str, into: &str) {
    let notion = &mut user.vendors.world().notion;
    let from = notion.blocks[block].parent.clone();
    notion.children_mut(&from).retain(|child| child != block);
    notion.children_mut(into).push(block.to_owned());
    touch(notion, &from);
    touch(notion, into);
    let moved = notion.blocks.get_mut(block).expect("a block");
    into.clone_into(&mut moved.parent);
}

/// A user whose page has the call so many levels down, in toggles of a person's; and the entry.
fn user_with_call(levels: usize) -> (User, String) {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    user.sync(CALL).expect(0, "success", "updated");
    let entry = second_block(&user);
    let mut at = user.page();
    for level in 0..levels {
        at = add_block(&user, &at, ("toggle", &format!("level {level}")));
    }
    drag(&user, &entry, &at);
    (user, entry)
}

fn lose_store(user: &User) {
    std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
}

/// The store does not know since when it knows the page whole.
fn doubt_page(user: &User) {
    let sql = "UPDATE pages SET complete_since = 1900000000000";
    assert_eq!(store(user).execute(sql, []).expect("doubted"), 1);
}

fn parts(user: &User, entry: &str) -> usize {
    let world = user.vendors.world();
    world.notion.blocks[entry].children.len()
}

#[test]
fn entry_is_found_at_the_top_and_one_level_down() {
    for levels in [0, 1] {
        let (user, entry) = user_with_call(levels);
        let before = parts(&user, &entry);
        lose_store(&user);
        let run = user.sync(SUMMARY);
        run.expect(0, "success", "updated");
        assert_eq!(run.warnings(), Vec::<&str>::new());
        assert_eq!(parts(&user, &entry), before + 1, "{levels}");
    }
}

#[test]
fn artifact_of_an_entry_that_lies_deeper_gets_one_of_its_own() {
    let (user, entry) = user_with_call(2);
    let before = parts(&user, &entry);
    lose_store(&user);
    let run = user.sync(SUMMARY);
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), ["entry_moved"]);
    let told = run.line()["warnings"][0]["message"].as_str();
    let activity = crate::support::activity_of(CALL);
    assert!(
        told.is_some_and(|told| told.contains(&activity)),
        "{told:?}"
    );
    assert_eq!(parts(&user, &entry), before);
    assert_eq!(
        user.times_in_notion(&format!(" · {activity}")),
        2,
        "{}",
        user.notion()
    );
    user.sync("legacy-v4.call.transcript.completed")
        .expect(0, "success", "updated");
    assert_eq!(
        user.times_in_notion(&format!(" · {activity}")),
        2,
        "the new one is used"
    );
}

#[test]
fn call_that_has_no_entry_anywhere_is_no_moved_one() {
    let user = User::new();
    let page = user.add_client("+12025550147");
    let toggle = add_block(&user, &page, ("toggle", "notes"));
    add_block(&user, &toggle, ("paragraph", "a note"));
    let run = user.sync(SUMMARY);
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), Vec::<&str>::new());
}

#[test]
fn known_entry_that_was_moved_deep_gets_what_comes_later() {
    let (user, entry) = user_with_call(3);
    let before = parts(&user, &entry);
    doubt_page(&user);
    let run = user.sync(SUMMARY);
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), Vec::<&str>::new());
    assert_eq!(parts(&user, &entry), before + 1);
}

#[test]
fn known_entry_that_was_deleted_stays_deleted_beside_deep_notes() {
    let (user, entry) = user_with_call(3);
    let before = parts(&user, &entry);
    user.vendors
        .world()
        .notion
        .blocks
        .get_mut(&entry)
        .expect("the entry")
        .in_trash = true;
    doubt_page(&user);
    user.sync(SUMMARY).expect(0, "success", "skipped");
    assert_eq!(parts(&user, &entry), before);
    let activity = crate::support::activity_of(CALL);
    assert_eq!(
        user.times_in_notion(&format!(" · {activity}")),
        0,
        "{}",
        user.notion()
    );
}

#[track_caller]
fn expect_unlistable(run: &Run, page: &str, block: &str) {
    run.expect_error(69, "refused");
    let error = &run.line()["error"];
    let (message, hint) = (error["message"].as_str(), error["hint"].as_str());
    let names = |text: &str, id: &str| text.contains(id) || text.contains(&id.replace('-', ""));
    for text in [message, hint].into_iter().flatten() {
        assert!(names(text, page) && names(text, block), "{error}");
    }
    assert!(message.is_some_and(|text| text.contains("ai_block")));
}

#[test]
fn page_with_a_block_that_cannot_be_listed_is_the_operators() {
    for is_inside in [false, true] {
        let user = User::new();
        user.sync(MESSAGE).expect(0, "success", "created");
        let page = user.page();
        let parent = if is_inside {
            add_block(&user, &page, ("toggle", "notes"))
        } else {
            page.clone()
        };
        let odd = add_block(&user, &parent, ("ai_block", ""));
        lose_store(&user);
        expect_unlistable(&user.sync(CALL), &page, &parent);
        let again = user.run(&["replay", "--now"], b"");
        expect_unlistable(&again, &page, &parent);
        user.vendors
            .world()
            .notion
            .blocks
            .get_mut(&odd)
            .expect("it")
            .in_trash = true;
        let run = user.run(&["replay", "--now"], b"");
        assert_eq!(run.code, 0, "{}", run.stdout);
        let activity = crate::support::activity_of(CALL);
        assert_eq!(user.times_in_notion(&format!(" · {activity}")), 1);
    }
}

#[test]
fn fresh_event_needs_no_list_of_such_a_page() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    add_block(&user, &user.page(), ("ai_block", ""));
    let run = user.run::<&str>(&[], &sample(CALL));
    run.expect(0, "success", "updated");
}

/// Requests that list blocks since the last look, by whether they go on somewhere.
fn lists(user: &User) -> (usize, usize) {
    let requests = user.vendors.requests();
    user.vendors.clear_requests();
    let lists = requests
        .iter()
        .filter(|seen| seen.path.ends_with("/children"));
    let lists = lists.filter(|seen| seen.method == "GET" && seen.status == 200);
    let (on, begun): (Vec<_>, Vec<_>) = lists.partition(|seen| seen.query.contains("start_cursor"));
    (begun.len(), on.len())
}

/// A user whose page has so many blocks of a person's, and the call's entry before the last one.
fn user_with_long_page(database: Database, blocks: usize) -> User {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    user.sync(MESSAGE).expect(0, "success", "created");
    let page = user.page();
    for number in 0..blocks {
        if number + 1 == blocks {
            user.sync(CALL).expect(0, "success", "updated");
        }
        add_block(&user, &page, ("paragraph", &format!("note {number}")));
    }
    user
}

/// Replays under a deadline that is too short for the whole list, until it is done.
fn replayed(user: &User) {
    user.vendors.clear_requests();
    let mut all = Vec::new();
    for _ in 0..20 {
        let run = user.run(&["replay", "--now", "--deadline", "2s"], b"");
        all.push(lists(user));
        match run.code {
            // A deadline may also have ended the write, which is looked for then.
            0 => {
                return assert!(
                    all.iter().map(|(begun, _)| begun).sum::<usize>() <= 3,
                    "{all:?}"
                );
            }
            code => assert_eq!(code, 75, "{}", run.stdout),
        }
    }
    panic!("it never comes to its end: {all:?}");
}

fn goes_on(database: Database) {
    let user = user_with_long_page(database, 1_500);
    forget_page(&user);
    let summary = sample(SUMMARY);
    user.vendors.set_latency(Duration::from_millis(250));
    let run = user.run(&["--deadline", "2s"], &summary);
    run.expect_error(75, "deadline");
    replayed(&user);
    user.vendors.set_latency(Duration::ZERO);
    let activity = crate::support::activity_of(CALL);
    assert_eq!(user.times_in_notion(&format!(" · {activity}")), 1);
    assert_eq!(user.times_in_notion("Summary"), 1);
}

/// The page is found by a search, as another store would.
fn forget_page(user: &User) {
    let state = user
        .environment
        .iter()
        .find(|(name, _)| name == "QUOTION_STATE");
    match state.cloned() {
        None => lose_store(user),
        Some((_, url)) => {
            let mut client = postgres::Client::connect(&url_of(&url), postgres::NoTls)
                .expect("the server answers");
            let schema = url
                .split("schema=")
                .nth(1)
                .and_then(|rest| rest.split('&').next());
            let schema = schema.expect("a schema");
            let sql = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}");
            client.batch_execute(&sql).expect("it goes");
        }
    }
}

fn url_of(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

#[test]
fn look_goes_on_where_a_deadline_ended_it() {
    goes_on(&sqlite);
}

#[test]
fn look_goes_on_where_a_deadline_ended_it_on_postgres() {
    if has_postgres() {
        goes_on(&support::postgres);
    }
}

#[test]
fn look_begins_anew_once_the_page_was_edited_or_the_place_does_not_count() {
    for is_edited in [true, false] {
        let user = user_with_long_page(&sqlite, 1_200);
        lose_store(&user);
        user.vendors.set_latency(Duration::from_millis(250));
        let run = user.run(&["--deadline", "2s"], &sample(SUMMARY));
        run.expect_error(75, "deadline");
        user.vendors.set_latency(Duration::ZERO);
        if is_edited {
            let page = user.page();
            let notion = &mut user.vendors.world().notion;
            let edited = "2026-11-02T00:00:00Z".parse().expect("a time");
            notion.page_mut(&page).expect("the page").edited = edited;
        } else {
            let bad = notion_error(400, "validation_error", "The start_cursor is invalid.");
            user.fault(Fault::new(Vendor::Notion, bad).path("/children").nth(1));
        }
        user.vendors.clear_requests();
        let run = user.run(&["replay", "--now"], b"");
        assert_eq!(run.code, 0, "{}", run.stdout);
        assert_eq!(lists(&user).0, 1, "{is_edited}");
        assert_eq!(user.times_in_notion("Summary"), 1);
    }
}

#[test]
fn look_at_a_page_that_is_known_goes_on_too() {
    let user = User::new();
    user.sync(CALL).expect(0, "success", "created");
    let page = user.page();
    for number in 0..1_500 {
        add_block(&user, &page, ("paragraph", &format!("note {number}")));
    }
    user.vendors.set_latency(Duration::from_millis(250));
    let run = user.run(&["--deadline", "2s"], &sample(SUMMARY));
    run.expect_error(75, "deadline");
    replayed(&user);
    user.vendors.set_latency(Duration::ZERO);
    assert_eq!(user.times_in_notion("Summary"), 1);
}
