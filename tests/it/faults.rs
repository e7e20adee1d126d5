//! Everything that may go wrong at Notion: at the end there is one page with one entry, or nothing
//! and a reason.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample_json};
use crate::kit::{
    APPEND, CREATE, MESSAGE, QUERY, SCHEMA, UPDATE, altered, message, message_from, notion_error,
    status,
};
use crate::standin::notion::value;
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Vendor};

const CALL: &str = "legacy-v4.call.completed.answered";
const SUMMARY: &str = "legacy-v4.call.summary.completed";
const VOICEMAIL: &str = "v2026-03-30.call.voicemail.completed";

/// A write: what comes before, the event that makes it, and which request it is.
struct Write {
    name: &'static str,
    before: Vec<Json>,
    event: Json,
    method: &'static str,
    path: &'static str,
    /// Which of the matching requests of that event.
    nth: usize,
}

fn writes() -> Vec<Write> {
    let missed = altered(
        "v2026-03-30.call.completed.voicemail",
        &[("/data/resource/hasVoicemail", json!(false))],
    );
    let write = |name, before, event, (method, path, nth)| Write {
        name,
        before,
        event,
        method,
        path,
        nth,
    };
    let first = || sample_json(MESSAGE);
    vec![
        write("create", vec![], first(), ("POST", "/v1/pages", 1)),
        write(
            "append",
            vec![first()],
            message(1, "2026-10-01T17:00:30Z"),
            ("PATCH", "/children", 1),
        ),
        write(
            "update",
            vec![first()],
            message(1, "2026-10-02T17:00:00Z"),
            ("PATCH", "/v1/pages/", 1),
        ),
        write(
            "append after update",
            vec![first()],
            message(1, "2026-10-02T17:00:00Z"),
            ("PATCH", "/children", 1),
        ),
        write(
            "enrich",
            vec![sample_json(CALL)],
            sample_json(SUMMARY),
            ("PATCH", "/children", 1),
        ),
        write(
            "reword",
            vec![missed.clone()],
            sample_json(VOICEMAIL),
            ("PATCH", "/v1/blocks/", 2),
        ),
        write(
            "enrich before reword",
            vec![missed],
            sample_json(VOICEMAIL),
            ("PATCH", "/v1/blocks/", 1),
        ),
    ]
}

/// Answers after which nobody knows whether a write was saved.
fn unknowns() -> Vec<(&'static str, Act)> {
    vec![
        (
            "502",
            status(502, "<html><body>502 Bad Gateway</body></html>"),
        ),
        ("504", notion_error(504, "gateway_timeout", "x")),
        (
            "409",
            notion_error(
                409,
                "conflict_error",
                "Conflict occurred while saving. Please try again.",
            ),
        ),
        ("dropped", Act::DropConnection),
        ("reset", Act::ResetConnection),
        ("truncated", Act::TruncateBody),
        ("503 saved", Act::SavedBut503),
    ]
}

/// Rarer ones.
fn rare_unknowns() -> Vec<(&'static str, Act)> {
    vec![
        ("500", notion_error(500, "internal_server_error", "x")),
        ("503", notion_error(503, "service_unavailable", "x")),
        ("529 of the edge", status(529, "<html>overloaded</html>")),
        ("408", status(408, "")),
        ("a web page", status(200, "<html>welcome</html>")),
        ("garbage", Act::Garbage),
    ]
}

impl Write {
    /// A user for whom everything before the event has happened.
    fn user(&self) -> User {
        let user = User::new();
        for event in &self.before {
            assert_eq!(user.deliver(event).code, 0);
        }
        user.vendors.clear_requests();
        user
    }

    /// What a person sees when nothing goes wrong.
    fn wanted(&self) -> String {
        let user = self.user();
        assert_eq!(user.deliver(&self.event).code, 0);
        user.notion()
    }

    fn fault(&self, act: Act) -> Fault {
        Fault::new(Vendor::Notion, act)
            .method(self.method)
            .path(self.path)
            .nth(self.nth)
    }

    /// One run with the fault, another without: the same as if nothing had gone wrong, and after it
    /// nothing to do.
    fn survives(&self, fault: Fault, wanted: &str, what: &str) {
        let what = format!("{}: {what}", self.name);
        let user = self.user();
        user.fault(fault);
        let run = user.deliver(&self.event);
        assert!(
            [0, 75].contains(&run.code),
            "{what}: {}\n{}",
            run.stdout,
            run.stderr
        );
        assert_eq!(user.vendors.unused_faults(), 0, "{what}");
        if run.code == 0 {
            assert_eq!(user.notion(), wanted, "{what}, at once\n{}", run.stderr);
        }
        user.vendors.clear_faults();
        let run = user.deliver(&self.event);
        assert_eq!(
            (run.code, user.notion().as_str()),
            (0, wanted),
            "{what}, again\n{}",
            run.stderr
        );
        user.deliver(&self.event).expect(0, "success", "skipped");
        assert_eq!(user.notion(), wanted, "{what}, a third time");
    }
}

#[test]
fn write_that_was_saved_although_its_answer_got_lost_is_not_repeated() {
    for write in writes() {
        let wanted = write.wanted();
        for (what, act) in unknowns() {
            write.survives(write.fault(act).after(), &wanted, &format!("{what} after"));
        }
    }
}

#[test]
fn write_that_was_not_saved_is_made_up_for() {
    for write in writes() {
        let wanted = write.wanted();
        for (what, act) in unknowns() {
            write.survives(write.fault(act), &wanted, &format!("{what} before"));
        }
    }
}

#[test]
fn rarer_answers_are_no_less_unknown() {
    for write in writes().iter().take(2) {
        let wanted = write.wanted();
        for (what, act) in rare_unknowns() {
            write.survives(
                write.fault(act.clone()).after(),
                &wanted,
                &format!("{what} after"),
            );
            write.survives(write.fault(act), &wanted, &format!("{what} before"));
        }
    }
}

#[test]
fn write_whose_every_answer_gets_lost_is_still_done_once() {
    for write in writes() {
        let wanted = write.wanted();
        for act in [Act::DropConnection, Act::SavedBut503] {
            write.survives(write.fault(act).times(99).after(), &wanted, "always after");
        }
        write.survives(
            write.fault(Act::DropConnection).times(99),
            &wanted,
            "always before",
        );
    }
}

#[test]
fn write_that_never_gets_through_leaves_the_event_for_later() {
    for write in writes() {
        let user = write.user();
        user.fault(write.fault(Act::DropConnection).times(99));
        user.deliver(&write.event).expect_error(75, "unavailable");
        let tries = user
            .vendors
            .requests()
            .iter()
            .filter(|seen| seen.method == write.method && seen.path.contains(write.path))
            .count();
        assert!(
            (write.nth..write.nth * 3 + 1).contains(&tries),
            "{}: {tries}",
            write.name
        );
    }
}

#[test]
fn page_that_was_saved_is_named_by_the_answer_and_needs_no_search() {
    let user = User::new();
    user.fault(
        Fault::new(Vendor::Notion, Act::SavedBut503)
            .method("POST")
            .path("/v1/pages"),
    );
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.line()["notion_page_id"], user.page());
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, "POST /v1/pages -> 503"]);
    user.vendors.clear_faults();
    user.fault(Fault::new(Vendor::Notion, Act::SavedBut503).method("PATCH"));
    user.deliver(&message(1, "2026-10-02T17:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(user.vendors.unused_faults(), 0);
    let log = user.notion_log();
    assert_eq!(
        log.iter().filter(|line| line.ends_with("503")).count(),
        2,
        "{log:?}"
    );
    assert_eq!(
        user.times_in_notion("AC00000000000000000000000000000001"),
        1
    );
}

#[test]
fn reads_that_fail_while_looking_again_leave_the_event_for_later() {
    let wanted = {
        let user = User::new();
        user.sync(MESSAGE);
        user.notion()
    };
    std::thread::scope(|scope| {
        for second in ["/query", "/children"] {
            let wanted = &wanted;
            scope.spawn(move || {
                let user = User::new();
                user.fault(
                    Fault::new(Vendor::Notion, Act::DropConnection)
                        .method("POST")
                        .path("/v1/pages")
                        .nth(1)
                        .after(),
                );
                let path = Fault::new(Vendor::Notion, Act::DropConnection).path(second);
                user.fault(if second == "/query" {
                    path.nth(2).times(99)
                } else {
                    path.method("GET")
                });
                user.sync(MESSAGE).expect_error(75, "unavailable");
                assert_eq!(user.vendors.unused_faults(), 0);
                user.vendors.clear_faults();
                let run = user.sync(MESSAGE);
                assert_eq!((run.code, &user.notion()), (0, wanted), "{second}");
            });
        }
    });
}

#[test]
fn too_many_requests_are_waited_for_at_every_step() {
    let user = User::new();
    user.fault(
        Fault::new(Vendor::Notion, slower())
            .method("GET")
            .path("/v1/databases")
            .nth(1),
    );
    user.fault(Fault::new(Vendor::Notion, slower()).path("/query").nth(1));
    user.fault(
        Fault::new(Vendor::Notion, slower())
            .method("POST")
            .path("/v1/pages")
            .nth(1),
    );
    user.fault(
        Fault::new(Vendor::Notion, slower())
            .method("PATCH")
            .path("/v1/pages")
            .nth(1),
    );
    user.fault(
        Fault::new(Vendor::Notion, slower())
            .path("/children")
            .nth(1),
    );
    user.sync(MESSAGE).expect(0, "success", "created");
    user.deliver(&message(1, "2026-10-02T17:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(user.vendors.unused_faults(), 0);
    let twice = |line: &str| [line.replace("200", "429"), line.to_owned()];
    let wanted: Vec<String> = [SCHEMA, QUERY, CREATE, UPDATE, APPEND]
        .into_iter()
        .flat_map(twice)
        .collect();
    assert_eq!(user.notion_log(), wanted, "each first refused");
    assert_eq!(
        (user.client_pages(), user.times_in_notion("- paragraph: ")),
        (1, 2)
    );
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

#[test]
fn too_many_requests_without_end_are_for_later() {
    let user = User::new();
    user.fault(
        Fault::new(Vendor::Notion, slower())
            .method("POST")
            .path("/v1/pages"),
    );
    user.sync(MESSAGE).expect_error(75, "rate_limited");
    assert_eq!(user.notion_log()[2..], ["POST /v1/pages -> 429"; 4]);
    assert_eq!((user.client_pages(), user.critical_lines().len()), (0, 0));
    user.vendors.clear_faults();
    user.sync(MESSAGE).expect(0, "success", "created");
}

#[test]
fn long_wait_that_notion_asks_for_is_not_slept_through() {
    let user = User::new();
    let body = json!({"object": "error", "status": 429, "code": "rate_limited", "message": "x"})
        .to_string();
    let act = Act::Status {
        code: 429,
        headers: vec![("retry-after".to_owned(), "3600".to_owned())],
        body,
    };
    user.fault(Fault::new(Vendor::Notion, act).path("/query"));
    let started = Instant::now();
    user.sync(MESSAGE).expect_error(75, "rate_limited");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(
        user.notion_log(),
        [SCHEMA, "POST /v1/databases/_/query -> 429"]
    );
}

#[test]
fn overload_is_waited_for() {
    let user = User::new();
    let overload = || notion_error(529, "service_overload", "x");
    user.fault(Fault::new(Vendor::Notion, overload()).path("/query").nth(1));
    user.fault(
        Fault::new(Vendor::Notion, overload())
            .method("POST")
            .path("/v1/pages")
            .nth(1),
    );
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!((user.client_pages(), user.vendors.unused_faults()), (1, 0));
}

#[test]
fn blocked_integration_is_not_tried_twice_and_is_critical() {
    for (path, attempts) in [("/v1/databases", 1), ("/query", 2), ("/v1/pages", 3)] {
        let user = User::new();
        let additional = json!({"rate_limit_reason": "public_api_request_blocked"});
        let act = Act::NotionError {
            status: 429,
            code: "rate_limited".to_owned(),
            message: "x".to_owned(),
            additional,
        };
        user.fault(Fault::new(Vendor::Notion, act).path(path));
        let run = user.sync(MESSAGE);
        run.expect_error(69, "refused");
        assert_eq!(run.line()["error"]["retryable"], false);
        assert_eq!(
            (
                user.notion_log().len(),
                user.critical_lines().len(),
                user.client_pages()
            ),
            (attempts, 1, 0),
            "{path}"
        );
    }
}

#[test]
fn refusal_of_the_edge_is_for_later() {
    // Of a write nobody knows how far it got, so it is looked for, twice.
    for (path, attempts) in [("/v1/databases", 1), ("/query", 2), ("/v1/pages", 9)] {
        let user = User::new();
        let html = "<!DOCTYPE html><html><head><title>Attention Required! | \
            Cloudflare</title></head></html>";
        user.fault(Fault::new(Vendor::Notion, status(403, html)).path(path));
        user.sync(MESSAGE).expect_error(75, "unavailable");
        assert_eq!(
            (
                user.notion_log().len(),
                user.critical_lines().len(),
                user.client_pages()
            ),
            (attempts, 0, 0),
            "{path}"
        );
        user.vendors.clear_faults();
        user.sync(MESSAGE).expect(0, "success", "created");
    }
}

#[track_caller]
fn one_critical_line(user: &User, run: &Run, kind: &str) {
    run.expect_error(69, kind);
    let lines = user.critical_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (lines[0]["kind"].as_str(), lines[0]["event_id"].as_str()),
        (Some(kind), run.line()["event_id"].as_str())
    );
    assert_eq!(lines[0]["message"], run.line()["error"]["message"]);
    assert!(
        lines[0]["request_id"].is_string() && lines[0]["time"].is_string(),
        "{}",
        lines[0]
    );
    let log = lines[0].to_string() + &run.stdout + &run.stderr;
    assert!(
        !log.contains(crate::standin::NOTION_KEY) && !log.contains("Is my quote"),
        "{log}"
    );
}

#[test]
fn revoked_key_is_critical() {
    let mut user = User::new();
    user.set(
        "NOTION_API_KEY",
        "ntn_revoked00000000000000000000000000000000001",
    );
    let run = user.sync(MESSAGE);
    one_critical_line(&user, &run, "unauthorized");
    assert_eq!(user.notion_log(), ["GET /v1/databases/_ -> 401"]);
    assert!(!(run.stdout + &run.stderr).contains("ntn_revoked"));
}

#[test]
fn missing_right_is_critical() {
    let user = User::new();
    user.vendors.world().notion.can_read = false;
    one_critical_line(&user, &user.sync(MESSAGE), "unauthorized");
    let user = User::new();
    user.vendors.world().notion.can_insert = false;
    one_critical_line(&user, &user.sync(MESSAGE), "unauthorized");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, "POST /v1/pages -> 403"]);
}

#[test]
fn used_up_workspace_is_critical() {
    let user = User::new();
    user.vendors.world().notion.blocks_left = Some(1);
    one_critical_line(&user, &user.sync(MESSAGE), "refused");
    assert_eq!(user.client_pages(), 0);
}

#[test]
fn database_that_is_not_shared_is_critical() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .database_mut(CLIENTS_DATABASE)
        .unshared = true;
    one_critical_line(&user, &user.sync(MESSAGE), "not_found");
}

#[test]
fn database_that_is_no_longer_shared_costs_nothing_but_time() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    let later = message(1, "2026-10-02T17:00:00Z");
    for event in [
        &later,
        &message(2, "2026-10-01T17:00:00Z"),
        &message_from(3, "+13125550162"),
        &sample_json(CALL),
    ] {
        user.vendors
            .world()
            .notion
            .database_mut(CLIENTS_DATABASE)
            .unshared = true;
        user.deliver(event).expect_error(69, "not_found");
        user.vendors
            .world()
            .notion
            .database_mut(CLIENTS_DATABASE)
            .unshared = false;
        assert_eq!(user.deliver(event).code, 0);
    }
    assert_eq!((user.client_pages(), user.critical_lines().len()), (2, 4));
    assert_eq!(user.times_in_notion("\n  - "), 5, "{}", user.notion());
}

/// Changes a column's type behind the program's back.
fn retype(user: &User, name: &str, kind: &str) {
    let mut world = user.vendors.world();
    let columns = &mut world.notion.database_mut(CLIENTS_DATABASE).sources[0].columns;
    let id = columns[name]["id"].as_str().expect("an id").to_owned();
    let config = if kind == "select" || kind == "status" {
        json!({"options": [], "groups": []})
    } else {
        json!({})
    };
    columns.insert(
        name.to_owned(),
        crate::standin::world::new_column(&id, name, kind, config),
    );
    for page in &mut world.notion.pages {
        page.values
            .retain(|of, value| *of != id || value::convert(value, kind));
    }
}

/// A user whose columns the program knows, and who has no client yet but another's.
fn user_with_known_columns() -> User {
    let user = User::new();
    user.deliver(&message_from(9, "+16465550183"))
        .expect(0, "success", "created");
    user.notion_log();
    user
}

fn rejected(run: &Run) -> Vec<&str> {
    let warnings = run.line()["warnings"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    warnings
        .iter()
        .filter(|one| one["code"] == "property_rejected")
        .filter_map(|one| one["property"].as_str())
        .collect()
}

const REFUSED: &str = "POST /v1/pages -> 400";

#[test]
fn columns_that_changed_type_are_left_out_all_at_once() {
    let user = user_with_known_columns();
    retype(&user, "Company", "number");
    retype(&user, "Last Call", "checkbox");
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Email");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    let mut blamed = rejected(&run);
    blamed.sort_unstable();
    assert_eq!(blamed, ["Company", "Email", "Last Call"]);
    assert_eq!(user.notion_log(), [QUERY, REFUSED, CREATE]);
    assert!(
        user.notion().contains(
            "\nRosa Quint\n  Phone: +12025550147\n  Status: New Import\n  |\n  - \
                paragraph: Incoming text"
        ),
        "{}",
        user.notion()
    );
    let run = user.deliver(&message_from(1, "+13125550162"));
    assert_eq!(rejected(&run), [""; 0], "the columns were read anew");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE]);
}

#[test]
fn changed_columns_of_a_known_page_do_not_hold_up_its_entry() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    retype(&user, "Last Call", "checkbox");
    user.notion_log();
    let run = user.deliver(&message(1, "2026-10-02T17:00:00Z"));
    run.expect(0, "success", "updated");
    assert_eq!(rejected(&run), ["Last Call"]);
    assert_eq!(
        user.notion_log(),
        ["PATCH /v1/pages/_ -> 400", APPEND],
        "nothing is left to update"
    );
    assert_eq!(
        user.times_in_notion("AC00000000000000000000000000000001"),
        1
    );
}

#[test]
fn option_of_a_status_that_is_gone_is_blamed_by_its_value() {
    let user = User::new();
    user.configure("[clients]\nnew_status = \"In progress\"\n");
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_status_type.json");
    user.deliver(&message_from(9, "+16465550183"))
        .expect(0, "success", "created");
    {
        let mut world = user.vendors.world();
        let column = &mut world.notion.database_mut(CLIENTS_DATABASE).sources[0].columns["Status"];
        let options = column["status"]["options"].as_array_mut().expect("options");
        options.retain(|option| option["name"] != "In progress");
    }
    user.notion_log();
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(rejected(&run), ["Status"]);
    assert_eq!(user.notion_log(), [QUERY, REFUSED, CREATE]);
    assert!(
        user.notion()
            .contains("\nRosa Quint\n  Company: Quint Roofing\n  Email: rosa@example.com\n"),
        "{}",
        user.notion()
    );
}

#[test]
fn refusal_that_blames_nobody_costs_one_optional_property() {
    let user = User::new();
    let odd = notion_error(
        400,
        "validation_error",
        "Your database schema has exceeded the maximum size.",
    );
    user.fault(
        Fault::new(Vendor::Notion, odd)
            .method("POST")
            .path("/v1/pages")
            .nth(1),
    );
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["property_dropped"]);
    let log = user.notion_log();
    assert_eq!(log[..4], [SCHEMA, QUERY, REFUSED, CREATE]);
    assert!(log[4..].iter().all(|line| line == UPDATE), "{log:?}");
    let shown = user.notion();
    assert!(
        shown.contains("\nRosa Quint\n") && shown.contains("- paragraph: Incoming text"),
        "{shown}"
    );
    let run = user.sync("legacy-v4.message.delivered");
    run.expect(0, "success", "updated");
    assert_eq!(
        (user.property("Company"), user.property("Email")),
        ("Quint Roofing".into(), "rosa@example.com".into())
    );
}

#[test]
fn refusal_that_stays_is_final_and_makes_no_page() {
    let user = User::new();
    let odd = notion_error(400, "validation_error", "Computer says no.");
    user.fault(
        Fault::new(Vendor::Notion, odd)
            .method("POST")
            .path("/v1/pages"),
    );
    let run = user.sync(MESSAGE);
    one_critical_line_of_a_fault(&user, &run);
    let log = user.notion_log();
    assert_eq!(log[..3], [SCHEMA, QUERY, REFUSED]);
    assert!(log[3..].iter().all(|line| line == REFUSED), "{log:?}");
    assert!(log.len() <= 12, "{log:?}");
    user.vendors.clear_faults();
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(
        (user.client_pages(), user.property("Company")),
        (1, "Quint Roofing".to_owned())
    );
}

/// Faults carry no request id.
#[track_caller]
fn one_critical_line_of_a_fault(user: &User, run: &Run) {
    run.expect_error(69, "refused");
    let lines = user.critical_lines();
    assert_eq!(
        (lines.len(), lines[0]["kind"].as_str(), user.client_pages()),
        (1, Some("refused"), 0),
        "{lines:?}"
    );
}

#[test]
fn refusal_of_the_entry_is_not_blamed_on_properties() {
    let user = User::new();
    let odd = "body failed validation: \
        body.children[0].paragraph.rich_text[0].text.content.length should be ≤ `2000`, instead \
        was `2044`.";
    user.fault(
        Fault::new(Vendor::Notion, notion_error(400, "validation_error", odd))
            .method("POST")
            .path("/v1/pages"),
    );
    let run = user.sync(MESSAGE);
    one_critical_line_of_a_fault(&user, &run);
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, REFUSED]);
}

#[test]
fn refusal_of_the_number_itself_makes_no_page() {
    for message in [
        "Phone is expected to be rich_text.",
        "%3DpHn is not a property that exists.",
        "Company is expected to be select. Phone is expected to be number.",
    ] {
        let user = User::new();
        user.fault(
            Fault::new(
                Vendor::Notion,
                notion_error(400, "validation_error", message),
            )
            .method("POST")
            .path("/v1/pages")
            .nth(1),
        );
        let run = user.sync(MESSAGE);
        one_critical_line_of_a_fault(&user, &run);
        assert_eq!(user.notion_log(), [SCHEMA, QUERY, REFUSED], "{message}");
        user.sync(MESSAGE).expect(0, "success", "created");
        assert_eq!(user.property("Phone"), "+12025550147");
    }
}

#[test]
fn phone_column_that_changed_its_type_is_met() {
    let user = user_with_known_columns();
    retype(&user, "Phone", "rich_text");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(
        user.notion_log(),
        ["POST /v1/databases/_/query -> 400", SCHEMA, QUERY, CREATE]
    );
    retype(&user, "Phone", "number");
    user.deliver(&message_from(1, "+13125550162"))
        .expect_error(78, "config");
    assert_eq!(user.client_pages(), 2);
}

/// Whatever Notion says of a new page: it comes with number and entry, or not at all.
#[test]
fn no_refusal_of_the_samples_makes_a_page_without_its_entry() {
    let cases = std::fs::read(crate::harness::fixtures().join("notion/property_error_cases.json"))
        .expect("cases");
    let cases: Vec<Json> = serde_json::from_slice(&cases).expect("JSON");
    let ours = ["Company", "Email", "Status", "Last Call", "Phone", "Name"];
    for case in cases.iter().filter(|case| case["kind"] != "query_property") {
        let message = case["message"].as_str().expect("a message");
        let user = User::new();
        user.fault(
            Fault::new(
                Vendor::Notion,
                notion_error(400, "validation_error", message),
            )
            .method("POST")
            .path("/v1/pages")
            .nth(1),
        );
        let run = user.sync(MESSAGE);
        let blamed: Vec<&str> = case["blamed"]
            .as_array()
            .expect("blamed")
            .iter()
            .filter_map(Json::as_str)
            .filter(|name| ours.contains(name))
            .collect();
        let shown = user.notion();
        if user.client_pages() == 1 {
            assert_eq!(
                (run.code, shown.matches("Is my quote ready?").count()),
                (0, 1),
                "{message}\n{}",
                run.stdout
            );
            assert!(shown.contains("  Phone: +12025550147\n"), "{message}");
            let by_name = ["missing", "wrong_type", "shape"]
                .iter()
                .any(|kind| case["kind"] == *kind);
            if by_name && !blamed.is_empty() {
                assert_eq!(rejected(&run), blamed, "{message}");
            }
        } else {
            assert_eq!((run.code, user.client_pages()), (69, 0), "{message}");
        }
    }
}

#[test]
fn hanging_notion_is_left_at_the_deadline() {
    for (method, path, kind) in [
        ("GET", "/v1/databases", "deadline"),
        ("POST", "/query", "deadline"),
        ("POST", "/v1/pages", "unavailable"),
    ] {
        for after in [false, true] {
            let user = User::new();
            let fault = Fault::new(Vendor::Notion, Act::Hang(Duration::from_secs(4)))
                .method(method)
                .path(path);
            user.fault(if after { fault.after() } else { fault });
            let started = Instant::now();
            let run = user.run(
                &["--deadline", "1s"],
                sample_json(MESSAGE).to_string().as_bytes(),
            );
            let took = started.elapsed();
            run.expect_error(75, kind);
            assert!(took < Duration::from_millis(2500), "{path}: {took:?}");
            assert_eq!(user.vendors.unused_faults(), 0);
            user.vendors.clear_faults();
            assert_eq!(user.sync(MESSAGE).code, 0);
            assert_eq!(
                (
                    user.client_pages(),
                    user.times_in_notion("Is my quote ready?")
                ),
                (1, 1),
                "{path} {after}"
            );
        }
    }
}

#[test]
fn page_whose_creation_got_lost_is_not_made_again_while_notions_index_lags() {
    let user = User::new();
    std::fs::write(user.path("quotion.toml"), "[notion]\nsettle = \"1s\"\n").expect("settings");
    user.vendors.set_hide_new_pages(Duration::from_millis(600));
    user.fault(
        Fault::new(Vendor::Notion, Act::DropConnection)
            .method("POST")
            .path("/v1/pages")
            .nth(1)
            .after(),
    );
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!((user.client_pages(), user.vendors.unused_faults()), (1, 0));
    assert_eq!(user.times_in_notion("Is my quote ready?"), 1);
}

fn large_transcript() -> (Json, String) {
    let said = "Hi, it is Rosa Quint. Could you look at a leak on Thursday? ".repeat(1700);
    let spoken = json!({"content": said, "start": 0, "end": 1, "identifier": "+12025550147",
        "userId": null});
    let event = altered(
        "legacy-v4.call.transcript.completed",
        &[("/data/object/dialogue", json!(vec![spoken; 10]))],
    );
    (event, said)
}

#[test]
fn large_transcript_whose_later_part_got_lost_is_completed() {
    let (event, said) = large_transcript();
    let mut found = Vec::new();
    for (before, nth) in [(&[CALL][..], 2), (&[], 1)] {
        for after in [false, true] {
            let user = User::new();
            for sample in before {
                user.sync(sample).expect(0, "success", "created");
            }
            let fault = Fault::new(Vendor::Notion, Act::DropConnection)
                .method("PATCH")
                .path("/children")
                .nth(nth);
            user.fault(if after { fault.after() } else { fault });
            let codes = (user.deliver(&event).code, user.deliver(&event).code);
            assert_eq!(user.vendors.unused_faults(), 0);
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            found.push((
                before.len(),
                after,
                codes,
                letters(&user.notion()) * 10 / letters(&said),
            ));
        }
    }
    // A tenth is the line and its like; each of the ten utterances counts ten.
    assert!(
        found.iter().all(|one| one.2 == (0, 0) && one.3 == 100),
        "{found:?}"
    );
}
