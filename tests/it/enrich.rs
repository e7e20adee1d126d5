//! Who a client is, asked of Quo: how often, what counts as a match, and that nothing of it stops a
//! sync.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::User;
use crate::kit::{MESSAGE, ROSA, altered, message, message_from, quo_error, status};
use crate::standin::{Act, Fault, Vendor};

const NUMBERS: &str = "GET /v1/phone-numbers -> 200";
const ROSAS_CONTACT: &str = "66f1a2b3c4d5e6f708192a3b";
const TOMAS: &str = "+13125550162";

fn contact(id: u32, name: Option<&str>, phone: &str, updated: &str) -> Json {
    json!({"id": format!("66f1a2b3c4d5e6f7{id:08}"), "externalId": null, "source": null,
        "sourceUrl": null,
        "defaultFields": {"company": null, "emails": [], "firstName": name, "lastName": null,
            "phoneNumbers": [{"name": "Phone", "value": phone, "id": "p0"}], "role": null},
        "customFields": [], "createdAt": "2026-01-05T09:00:00.000Z", "updatedAt": updated,
        "createdByUserId": "USmarta001"})
}

fn tags(name: &str, kind: &str, value: &Json) -> Json {
    json!([{"name": name, "key": name.to_lowercase(), "id": "t0", "type": kind, "value": value}])
}

#[test]
fn contact_named_by_its_id_costs_one_request_once_own_numbers_are_known() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    let ask = format!("GET /v1/contacts/{ROSAS_CONTACT} -> 200");
    assert_eq!(user.quo_log(), [NUMBERS, &ask]);
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(user.quo_log(), [ask]);
    assert_eq!(user.property("Name"), "Rosa Quint");
    assert_eq!(user.property("Company"), "Quint Roofing");
    assert_eq!(user.property("Email"), "rosa@example.com");
}

#[test]
fn prefixed_contact_id_is_asked_for_bare() {
    let user = User::new();
    let event = altered(
        MESSAGE,
        &[(
            "/data/object/contactIds",
            json!([format!("CT{ROSAS_CONTACT}")]),
        )],
    );
    user.deliver(&event).expect(0, "success", "created");
    assert_eq!(
        user.quo_log(),
        [NUMBERS, &format!("GET /v1/contacts/{ROSAS_CONTACT} -> 200")]
    );
    assert_eq!(user.property("Name"), "Rosa Quint");
}

#[test]
fn contact_that_does_not_hold_the_number_is_not_used() {
    let user = User::new();
    let event = altered(
        MESSAGE,
        &[(
            "/data/object/contactIds",
            json!(["66f1a2b3c4d5e6f708192a3c"]),
        )],
    );
    let run = user.deliver(&event);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), [""; 0]);
    assert_eq!(user.property("Name"), "+1 202-555-0147");
    assert_eq!(user.property("Company"), "");
}

#[test]
fn contact_that_is_gone_or_malformed_leaves_the_client_without_name() {
    let user = User::new();
    let ids = json!(["66f1a2b3c4d5e6f708192fff", "../../users", ""]);
    user.deliver(&altered(MESSAGE, &[("/data/object/contactIds", ids)]))
        .expect(0, "success", "created");
    assert_eq!(
        user.quo_log(),
        [NUMBERS, "GET /v1/contacts/66f1a2b3c4d5e6f708192fff -> 404"]
    );
    assert_eq!(user.property("Name"), "+1 202-555-0147");
}

#[test]
fn latest_contact_with_a_name_leads_and_the_others_only_add_tags() {
    let user = User::new();
    {
        let mut world = user.vendors.world();
        world.quo.contacts = vec![
            contact(1, Some("Old"), "+1 (312) 555-0162", "2026-01-01T00:00:00Z"),
            contact(2, Some("New"), TOMAS, "2026-05-01T00:00:00Z"),
            contact(3, None, "312.555.0162", "2026-09-01T00:00:00Z"),
            contact(
                4,
                Some("Somebody else"),
                "+13125550163",
                "2026-10-01T00:00:00Z",
            ),
        ];
        world.quo.contacts[0]["customFields"] =
            tags("Tags", "multi-select", &json!(["VIP", "roofing"]));
        world.quo.contacts[1]["customFields"] =
            tags("tags", "string", &json!("Roofing, Oak, oak,Lead"));
        world.quo.contacts[2]["customFields"] = tags("TAGS", "string", &json!("From the fair"));
        world.quo.contacts[3]["customFields"] = tags("Tags", "string", &json!("Never"));
    }
    user.deliver(&message_from(1, TOMAS))
        .expect(0, "success", "created");
    assert_eq!(user.property("Name"), "New");
    assert_eq!(
        user.property("Tags"),
        "Roofing, Oak, Lead, VIP, From the fair"
    );
}

#[test]
fn field_that_holds_tags_is_the_users_choice() {
    let user = User::new();
    user.configure("[quo]\ntags_field = \"Lead source\"\n");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(user.property("Tags"), "Referral");
}

#[test]
fn number_without_contact_ids_is_found_by_paging_through_all_contacts_once() {
    let user = User::new();
    let many = (0..60).map(|n| {
        contact(
            n,
            Some("Filler"),
            &format!("+1415555{:04}", 2000 + n),
            "2026-01-01T00:00:00Z",
        )
    });
    user.vendors.world().quo.contacts.splice(0..0, many);
    user.sync("legacy-v3.message.received")
        .expect(0, "success", "created");
    assert_eq!(user.property("Name"), "Rosa Quint");
    let pages: Vec<Vec<String>> = user
        .vendors
        .requests()
        .iter()
        .filter(|seen| seen.path == "/v1/contacts")
        .map(keys)
        .collect();
    assert_eq!(
        pages,
        [vec!["maxResults=50"], vec!["maxResults=50", "pageToken"]]
    );
    assert_eq!(
        user.quo_log(),
        [
            NUMBERS,
            "GET /v1/contacts -> 200",
            "GET /v1/contacts -> 200"
        ]
    );
    user.deliver(&message_from(1, TOMAS))
        .expect(0, "success", "created");
    user.deliver(&message_from(2, "+12065550134"))
        .expect(0, "success", "created");
    assert_eq!(
        user.quo_log(),
        [""; 0],
        "the index is fresh, whether it has the number or not"
    );
    assert_eq!(user.times_in_notion("\nTomas"), 1);
}

/// Names of the query's keys, with the value where it is not opaque.
fn keys(seen: &crate::standin::Seen) -> Vec<String> {
    let pairs = seen
        .query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(key, value)| {
            if key == "pageToken" {
                key.to_owned()
            } else {
                format!("{key}={value}")
            }
        })
        .collect()
}

#[test]
fn index_past_its_time_is_rebuilt_only_for_a_number_that_it_lacks() {
    let user = User::new();
    user.configure("[quo]\ncontacts_ttl = \"1ms\"\n");
    user.deliver(&message_from(1, TOMAS))
        .expect(0, "success", "created");
    user.vendors.clear_requests();
    user.deliver(&message_from(2, TOMAS))
        .expect(0, "success", "updated");
    assert_eq!(user.quo_log(), [""; 0]);
    user.vendors.world().quo.contacts.push(contact(
        1,
        Some("Nia"),
        "+12065550134",
        "2026-01-01T00:00:00Z",
    ));
    user.deliver(&message_from(3, "+12065550134"))
        .expect(0, "success", "created");
    assert_eq!(user.quo_log(), ["GET /v1/contacts -> 200"]);
    assert_eq!(user.times_in_notion("\nNia\n"), 1);
}

#[test]
fn contacts_that_there_was_no_time_for_are_read_on_where_the_last_event_stopped() {
    let user = User::new();
    let many = (0..120).map(|n| {
        contact(
            n,
            Some("Filler"),
            &format!("+1415555{:04}", 2000 + n),
            "2026-01-01T00:00:00Z",
        )
    });
    user.vendors.world().quo.contacts.splice(0..0, many);
    let third = || {
        Fault::new(Vendor::Quo, quo_error(401))
            .path("/v1/contacts")
            .nth(3)
    };
    user.fault(third());
    let run = user.deliver(&message_from(1, TOMAS));
    assert_eq!(
        run.expect(0, "success", "created").warnings(),
        ["quo_denied"]
    );
    user.vendors.clear_faults();
    user.vendors.clear_requests();
    user.deliver(&message_from(2, ROSA))
        .expect(0, "success", "created");
    let pages: Vec<Vec<String>> = user
        .vendors
        .requests()
        .iter()
        .filter(|seen| seen.path == "/v1/contacts")
        .map(keys)
        .collect();
    assert_eq!(
        pages,
        [vec!["maxResults=50", "pageToken"]],
        "the third page only"
    );
    user.vendors.clear_requests();
    user.deliver(&message_from(3, TOMAS))
        .expect(0, "success", "updated");
    user.deliver(&message_from(4, "+14155552001"))
        .expect(0, "success", "created");
    assert_eq!(user.quo_log(), [""; 0], "what both have read is one index");
    assert_eq!(
        (
            user.times_in_notion("\nTomas"),
            user.times_in_notion("\nRosa Quint")
        ),
        (1, 1)
    );
}

#[test]
fn fresh_index_is_not_asked_again_for_a_number_that_it_lacks() {
    let user = User::new();
    user.configure("[quo]\ncontacts_ttl = \"1h\"\n");
    user.deliver(&message_from(1, TOMAS))
        .expect(0, "success", "created");
    user.vendors.clear_requests();
    user.vendors.world().quo.contacts.push(contact(
        1,
        Some("Nia"),
        "+12065550134",
        "2026-01-01T00:00:00Z",
    ));
    user.deliver(&message_from(3, "+12065550134"))
        .expect(0, "success", "created");
    assert_eq!((user.quo_log(), user.times_in_notion("Nia")), (vec![], 0));
}

#[test]
fn phone_numbers_are_never_sent_as_a_filter() {
    let user = User::new();
    for sample in [
        MESSAGE,
        "legacy-v3.message.received",
        "legacy-v4.call.completed.missed-empty-participants",
    ] {
        assert_eq!(user.sync(sample).code, 0);
    }
    let seen = user.vendors.requests();
    let quo: Vec<_> = seen
        .iter()
        .filter(|seen| seen.vendor == Vendor::Quo)
        .collect();
    assert!(quo.len() == 4, "{}", quo.len());
    assert!(
        quo.iter()
            .all(|seen| !seen.query.to_lowercase().contains("phone"))
    );
}

#[test]
fn unavailable_lookup_means_unknown_and_the_index_tells() {
    let user = User::new();
    user.sync("v2026-03-30.call.completed.context-unavailable")
        .expect(0, "success", "created");
    let call = "GET /v1/calls/AC00000000000000000000000000000167 -> 200";
    assert_eq!(user.quo_log(), [NUMBERS, call, "GET /v1/contacts -> 200"]);
    assert_eq!(user.property("Phone"), TOMAS);
    assert!(user.property("Name").starts_with("Tomas"));
}

#[test]
fn own_numbers_are_asked_for_once() {
    let user = User::new();
    let all: Vec<String> = (1..=5)
        .map(|n| message(n, "2026-10-01T17:00:00Z").to_string())
        .collect();
    let run = user.run::<&str>(&[], all.join("\n").as_bytes());
    assert_eq!((run.code, run.lines.len()), (0, 5));
    user.sync(MESSAGE).expect(0, "success", "updated");
    assert_eq!(
        user.quo_log()
            .iter()
            .filter(|line| *line == NUMBERS)
            .count(),
        1
    );
}

#[test]
fn participants_that_are_missing_are_read_from_quo() {
    let user = User::new();
    user.sync("legacy-v4.call.completed.missed-empty-participants")
        .expect(0, "success", "created");
    let call = "GET /v1/calls/AC00000000000000000000000000000144 -> 200";
    assert_eq!(user.quo_log(), [NUMBERS, call, "GET /v1/contacts -> 200"]);
    assert_eq!(user.property("Phone"), "+12065550134");
}

#[test]
fn call_with_too_many_participants_is_read_from_the_dated_surface() {
    let user = User::new();
    let group = user
        .vendors
        .world()
        .quo
        .calls
        .iter()
        .find(|call| {
            call["participants"]
                .as_array()
                .is_some_and(|all| all.len() > 2)
        })
        .expect("a group")
        .clone();
    let id = group["id"].as_str().expect("an id");
    let sample = "legacy-v4.call.completed.missed-empty-participants";
    let run = user.deliver(&altered(sample, &[("/data/object/id", json!(id))]));
    assert_eq!(
        (run.code, run.warnings()),
        (0, vec![]),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    let own = ["+14155550110", "+14155550111"];
    let members = group["participants"]
        .as_array()
        .expect("members")
        .iter()
        .filter_map(Json::as_str);
    let outside: Vec<&str> = members.filter(|member| !own.contains(member)).collect();
    let synced: Vec<&str> = run.line()["synced"]
        .as_array()
        .expect("synced")
        .iter()
        .filter_map(|one| one["phone"].as_str())
        .collect();
    assert_eq!(synced, outside);
    let seen = user.vendors.requests();
    let dated: Vec<_> = seen
        .iter()
        .filter(|seen| seen.path == format!("/calls/{id}"))
        .collect();
    assert_eq!(dated.len(), 1);
    assert_eq!(dated[0].header("quo-api-version"), Some("2026-03-30"));
    assert_eq!(
        user.quo_log()[..3],
        [
            NUMBERS.to_owned(),
            format!("GET /v1/calls/{id} -> 400"),
            format!("GET /calls/{id} -> 200")
        ]
    );
}

fn survives(act: Act, code: &str) {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, act));
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), [code], "{}", run.stdout);
    assert_eq!(user.property("Name"), "+1 202-555-0147");
    assert_eq!(user.times_in_notion("Is my quote ready?"), 1);
    assert_eq!(user.vendors.unused_faults(), 0);
    user.vendors.clear_faults();
    let run = user.sync("legacy-v4.message.delivered");
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), [""; 0]);
    assert_eq!(user.property("Name"), "Rosa Quint");
    assert_eq!(run.line()["client_name"], "Rosa Quint");
}

/// Side by side, because each waits for its retries.
#[test]
fn quo_that_is_down_in_any_way_costs_only_the_name_and_the_next_event_fills_it() {
    let html = "<html><body>502 Bad Gateway</body></html>";
    let acts = [
        status(
            500,
            r#"{"message":"Internal","code":"0100500","status":500}"#,
        ),
        status(502, html),
        status(200, html),
        status(200, r#"{"data": 7}"#),
        status(429, "Too Many Requests"),
        Act::DropConnection,
        Act::Garbage,
        Act::TruncateBody,
    ];
    std::thread::scope(|scope| {
        for act in acts {
            scope.spawn(|| survives(act, "quo_unavailable"));
        }
    });
}

#[test]
fn quo_that_does_not_answer_is_left_after_ten_seconds() {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, Act::Hang(Duration::from_secs(14))));
    let started = std::time::Instant::now();
    let run = user.sync(MESSAGE);
    let took = started.elapsed();
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["quo_unavailable"]);
    assert!(
        took > Duration::from_secs(9) && took < Duration::from_secs(13),
        "{took:?}"
    );
}

#[test]
fn refused_key_is_a_warning_and_one_critical_line() {
    let mut user = User::new();
    user.set("OPENPHONE_API_KEY", "revoked-key-0001");
    for (n, action) in [(1, "created"), (2, "updated")] {
        let run = user.deliver(&message(n, "2026-10-01T17:00:00Z"));
        run.expect(0, "success", action);
        assert_eq!(run.warnings(), ["quo_denied"]);
    }
    let lines = user.critical_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["kind"], "unauthorized");
    assert!(!lines[0].to_string().contains("revoked-key"));
    user.set("OPENPHONE_API_KEY", crate::standin::QUO_KEY);
    user.deliver(&message(3, "2026-10-01T17:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(user.property("Name"), "Rosa Quint");
}

#[test]
fn forbidden_contact_is_a_warning() {
    let user = User::new();
    let body =
        r#"{"message":"Forbidden","code":"0800403","status":403,"title":"Forbidden","trace":"1"}"#;
    user.fault(Fault::new(Vendor::Quo, status(403, body)).path("/v1/contacts"));
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(
        (run.warnings(), user.vendors.unused_faults()),
        (vec!["quo_denied"], 0)
    );
    assert_eq!(user.critical_lines().len(), 1);
}

#[test]
fn without_a_key_for_quo_events_are_synced_without_names() {
    let mut user = User::new();
    user.set("OPENPHONE_API_KEY", "");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["quo_key_missing"]);
    user.sync("legacy-v4.call.completed.answered")
        .expect(0, "success", "updated");
    assert_eq!((user.quo_log(), user.critical_lines().len()), (vec![], 0));
    assert_eq!(user.property("Phone"), ROSA);
    // Once a run, however many files it reads.
    for number in ["1", "2"] {
        let event = altered(MESSAGE, &[("/id", json!(format!("EV{number}")))]);
        std::fs::write(user.path(number), event.to_string()).expect("a file");
    }
    let run = user.run(&["replay", "1", "2"], b"");
    let told = run.stdout.matches("quo_key_missing").count();
    assert_eq!((run.lines.len(), told), (2, 1), "{}", run.stdout);
}

#[test]
fn group_that_cannot_be_told_from_own_numbers_waits() {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, status(401, "{}")));
    user.sync("legacy-v4.message.received.group")
        .expect_error(75, "unavailable");
    assert_eq!(user.client_pages(), 0);
    user.vendors.clear_faults();
    let run = user.sync("legacy-v4.message.received.group");
    run.expect(0, "success", "created");
    assert_eq!(user.client_pages(), 3);
}

#[test]
fn contact_event_fills_a_page_that_is_there_and_makes_none() {
    let user = User::new();
    let run = user.sync("v2026-03-30.contact.updated");
    run.expect(0, "success", "skipped");
    assert_eq!(
        (run.line()["reason"].as_str(), user.client_pages()),
        (Some("nothing_new"), 0)
    );
    user.add_client("(202) 555-0147");
    let event = |n: u32| {
        altered(
            "v2026-03-30.contact.updated",
            &[("/id", json!(format!("EV{n:032}")))],
        )
    };
    user.deliver(&event(1)).expect(0, "success", "updated");
    assert_eq!(
        (user.property("Name"), user.property("Company")),
        ("Rosa Quint".into(), "Quint Roofing".into())
    );
    assert_eq!(user.property("Phone"), "(202) 555-0147");
    user.notion_log();
    user.deliver(&event(2)).expect(0, "success", "skipped");
    assert_eq!(user.notion_log(), [""; 0], "all is filled");
}

#[test]
fn deleted_contact_changes_nothing_in_notion() {
    let user = User::new();
    user.sync("legacy-v3.message.received")
        .expect(0, "success", "created");
    let before = user.notion();
    user.sync("legacy-v3.contact.deleted")
        .expect(0, "success", "skipped");
    assert_eq!(user.notion(), before);
    user.deliver(&message_from(1, "+12125550199"))
        .expect(0, "success", "created");
    assert_eq!(
        user.times_in_notion("\n+1 212-555-0199\n"),
        1,
        "her other number is nobody's now"
    );
}
