//! Texts that did not get through: their entry says so, until they are delivered after all.

use serde_json::{Value as Json, json};

use crate::harness::User;
use crate::kit::{ROSA, altered};
use crate::standin::CLIENTS_DATABASE;

const DELIVERED: &str = "legacy-v4.message.delivered";
const MARK: &str = "Outgoing text · not delivered · ";
const ACTIVITY: &str = "AC00000000000000000000000000000154";

/// The text of the sample, of which the event of that type tells.
fn told(event_type: &str) -> Json {
    altered(
        DELIVERED,
        &[
            ("/type", json!(event_type)),
            ("/id", json!(format!("EV-{}", event_type.replace('.', "-")))),
        ],
    )
}

/// How often the text has an entry, and how often one that says it did not get through.
fn entries(user: &User) -> (usize, usize) {
    let shown = user.notion();
    let marked = shown.matches(MARK).count();
    (shown.matches(&format!(" · {ACTIVITY}")).count(), marked)
}

#[test]
fn text_that_did_not_get_through_says_so_until_it_does() {
    for event_type in ["message.failed", "message.undelivered"] {
        let user = User::new();
        user.deliver(&told(event_type))
            .expect(0, "success", "created");
        assert_eq!(entries(&user), (1, 1), "{}", user.notion());
        let again = told("message.undelivered");
        let run = user.deliver(&again);
        run.expect(0, "success", "skipped");
        user.deliver(&told("message.delivered"))
            .expect(0, "success", "updated");
        assert_eq!(entries(&user), (1, 0), "{}", user.notion());
        assert_eq!(user.entries_of(ROSA), [ACTIVITY]);
    }
}

#[test]
fn delivered_text_stays_delivered_whatever_comes_late() {
    let user = User::new();
    user.deliver(&told("message.delivered"))
        .expect(0, "success", "created");
    user.deliver(&told("message.failed"))
        .expect(0, "success", "skipped");
    assert_eq!(entries(&user), (1, 0));
}

#[test]
fn order_in_one_stream_does_not_matter() {
    let both = [told("message.failed"), told("message.delivered")];
    for events in [both.clone(), [both[1].clone(), both[0].clone()]] {
        let user = User::new();
        let run = user.deliver_all(&events);
        assert_eq!((run.code, run.lines.len()), (0, 2), "{}", run.stdout);
        assert_eq!(entries(&user), (1, 0), "{}", user.notion());
    }
}

#[test]
fn lost_store_finds_the_mark_on_the_page() {
    let user = User::new();
    user.deliver(&told("message.failed"))
        .expect(0, "success", "created");
    std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
    user.deliver(&told("message.delivered"))
        .expect(0, "success", "updated");
    assert_eq!(entries(&user), (1, 0), "{}", user.notion());
}

#[test]
fn samples_of_the_dated_generation_say_so_too() {
    for name in ["failed", "undelivered"] {
        let user = User::new();
        let run = user.sync(&format!("v2026-03-30.message.{name}"));
        run.expect(0, "success", "created");
        assert!(user.notion().contains(MARK), "{}", user.notion());
    }
}

#[test]
fn text_that_did_not_get_through_answers_nobody() {
    let user = User::new();
    {
        let notion = &mut user.vendors.world().notion;
        notion.add_column(CLIENTS_DATABASE, "Follow-up", "checkbox");
    }
    user.deliver(&crate::kit::message(1, "2026-10-01T16:00:00Z"))
        .expect(0, "success", "created");
    user.deliver(&told("message.failed"))
        .expect(0, "success", "updated");
    assert_eq!(user.property("Follow-up"), "true");
    user.deliver(&told("message.delivered"))
        .expect(0, "success", "updated");
    assert_eq!(user.property("Follow-up"), "false");
}
