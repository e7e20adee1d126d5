//! Whose word counts: what something in between answers is no refusal, what does not show itself as
//! done is not done, and what cannot be judged is not "not found".

use serde_json::{Value as Json, json};

use crate::harness::{User, sample_json};
use crate::kit::{MESSAGE, ROSA, notion_error, status};
use crate::standin::world::CLIENTS_SOURCE;
use crate::standin::{Act, Fault, Vendor};
use crate::support::in_parallel;

/// Requests by what they are for: method and path.
const REQUESTS: [(&str, &str); 5] = [
    ("GET", "/v1/databases/"),
    ("POST", "/query"),
    ("POST", "/v1/pages"),
    ("PATCH", "/v1/pages/"),
    ("PATCH", "/children"),
];

/// A user, and an event that makes that request.
fn about_to(path: &str) -> (User, Json) {
    let user = User::new();
    if path.starts_with("/v1/pages/") || path == "/children" {
        user.add_client(ROSA);
    }
    (user, sample_json(MESSAGE))
}

#[track_caller]
fn finished(user: &User, event: &Json, what: &str) {
    user.vendors.clear_faults();
    let run = user.deliver(event);
    assert_eq!(run.code, 0, "{what}: {}\n{}", run.stdout, run.stderr);
    assert_eq!(user.client_pages(), 1, "{what}");
    assert_eq!(user.times_in_notion("Is my quote ready?"), 1, "{what}");
    assert_eq!(user.property("Company"), "Quint Roofing", "{what}");
}

#[test]
fn what_stands_in_between_gives_no_verdict() {
    let mut cases = Vec::new();
    for request in REQUESTS {
        for code in [301, 302, 400, 401, 403, 404, 407, 409, 413, 422] {
            cases.push((request, code, "<html><body>edge</body></html>"));
        }
        for body in ["{\"message\":\"Forbidden\"}", "{\"error\":{\"code\":403}}"] {
            cases.push((request, 403, body));
        }
    }
    in_parallel(&cases, |((method, path), code, body)| {
        let what = format!("{method} {path}: {code} {body}");
        let (user, event) = about_to(path);
        let fault = Fault::new(Vendor::Notion, status(*code, body));
        user.fault(fault.method(method).path(path));
        let run = user.run(&["--deadline", "5s"], event.to_string().as_bytes());
        assert_eq!(run.code, 75, "{what}: {}", run.stdout);
        assert_eq!(run.line()["error"]["kind"], "unavailable", "{what}");
        assert_eq!(user.critical_lines(), [""; 0], "{what}");
        finished(&user, &event, &what);
    });
}

#[test]
fn write_is_done_when_its_answer_shows_it() {
    let page = json!({"object": "page", "id": "0f0f0f0f-0000-4000-8000-000000000000",
        "properties": {}});
    let block = |number: u32| {
        json!({"object": "block",
        "id": format!("0f0f0f0f-0000-4000-8000-00000000000{number}")})
    };
    let empty = json!({"object": "list", "results": [], "has_more": false, "next_cursor": null});
    let bodies = [
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"OK\"".to_owned(),
        json!({"error": "maintenance"}).to_string(),
        json!({"object": "list", "results": null}).to_string(),
        empty.to_string(),
        json!({"object": "list", "results": [block(1), block(2), block(3)], "has_more": false,
            "next_cursor": null})
        .to_string(),
        page.to_string(),
    ];
    let mut cases = Vec::new();
    for (method, path) in &REQUESTS[2..] {
        for (place, body) in bodies.iter().enumerate() {
            // A made page is told by its id, and this one has one.
            if *method == "PATCH" || place + 1 < bodies.len() {
                cases.push((method, path, 200, body.clone()));
            }
        }
        for code in [201, 202, 203, 206] {
            cases.push((method, path, code, "{}".to_owned()));
        }
    }
    let both: Vec<_> = cases
        .iter()
        .flat_map(|case| [(case, false), (case, true)])
        .collect();
    in_parallel(&both, |((method, path, code, body), applied)| {
        let what = format!("{method} {path}, applied {applied}: {code} {body}");
        let (user, event) = about_to(path);
        let fault = Fault::new(Vendor::Notion, status(*code, body));
        let fault = fault.method(method).path(path).nth(1);
        user.fault(if *applied { fault.after() } else { fault });
        let run = user.deliver(&event);
        assert!(matches!(run.code, 0 | 75), "{what}: {}", run.stdout);
        finished(&user, &event, &what);
    });
}

/// An answer to a search that holds Rosa's page, changed.
fn hit(id: &str, change: &dyn Fn(&mut Json)) -> Json {
    let mut page = json!({"object": "page", "id": id,
        "created_time": "2026-01-01T00:00:00.000Z", "archived": false, "in_trash": false,
        "properties": {"Phone": {
            "id": "%3DpHn", "type": "phone_number", "phone_number": ROSA}}});
    change(&mut page);
    json!({"object": "list", "results": [page], "has_more": false, "next_cursor": null})
}

#[test]
fn search_that_cannot_be_judged_makes_no_page() {
    let (user, event) = about_to("/v1/pages/");
    let id = user.add_client("202-555-0147");
    let hit = |change: &dyn Fn(&mut Json)| hit(&id, change);
    let cell = |value: Json| {
        hit(&|page| {
            page["properties"]["Phone"] = value.clone();
            page["properties"]["Phone"]["id"] = json!("%3DpHn");
        })
        .to_string()
    };
    let list = |more: Json, next: Json| {
        json!({"object": "list", "results": [], "has_more": more, "next_cursor": next}).to_string()
    };
    let bodies = [
        (200, list(json!(true), Json::Null)),
        (200, list(json!("true"), Json::Null)),
        (200, list(json!("false"), Json::Null)),
        (200, list(Json::Null, Json::Null)),
        (200, list(json!(true), json!(""))),
        (200, list(json!(true), json!(5))),
        (200, json!({"results": [], "has_more": false}).to_string()),
        (
            200,
            json!({"object": "page", "results": [], "has_more": false}).to_string(),
        ),
        (
            200,
            hit(&|page| *page = json!({"object": "page", "id": id})).to_string(),
        ),
        (200, hit(&|page| *page = Json::Null).to_string()),
        (200, hit(&|page| page["properties"] = json!({})).to_string()),
        (
            200,
            hit(&|page| page["properties"]["Phone"]["type"] = json!("unsupported")).to_string(),
        ),
        (200, hit(&|page| page["id"] = json!("x")).to_string()),
        (
            200,
            cell(json!({"type": "phone_number", "phone_number": 12_025_550_147_u64})),
        ),
        (
            200,
            cell(json!({"type": "phone_number", "phone_number": {"x": 1}})),
        ),
        (
            200,
            cell(json!({"type": "phone_number", "phone_number": null})),
        ),
        (200, cell(json!({"type": "phone_number"}))),
        (200, cell(json!({"type": "rich_text"}))),
        (200, cell(json!({"type": "rich_text", "rich_text": ROSA}))),
        (
            200,
            cell(json!({"type": "rich_text", "rich_text": [{"text": {"content": ROSA}}]})),
        ),
        (202, list(json!(false), Json::Null)),
        (203, list(json!(false), Json::Null)),
        (206, list(json!(false), Json::Null)),
    ];
    for (code, body) in bodies {
        user.vendors.clear_faults();
        let fault = Fault::new(Vendor::Notion, status(code, &body));
        user.fault(fault.path("/query"));
        let run = user.run(&["--deadline", "5s"], event.to_string().as_bytes());
        assert_eq!(run.code, 75, "{code} {body}: {}", run.stdout);
        assert_eq!(user.client_pages(), 2, "{code} {body}");
    }
    user.vendors.clear_faults();
    user.deliver(&event).expect(0, "success", "updated");
}

#[test]
fn look_that_cannot_be_judged_writes_no_second_entry() {
    let text = json!({"type": "text", "plain_text": "x", "text": {"content": "x"}});
    let block = |more: Json| {
        let mut block = json!({"object": "block", "id": "0f0f0f0f-0000-4000-8000-000000000001"});
        for (name, value) in more.as_object().expect("an object") {
            block[name] = value.clone();
        }
        block
    };
    let typed = |texts: Json| {
        block(
            json!({"type": "paragraph", "has_children": false, "paragraph": {"rich_text": texts}}),
        )
    };
    let cases = [
        block(json!({})),
        block(json!({"has_children": false, "paragraph": {"rich_text": [text]}})),
        block(json!({"type": "paragraph", "has_children": false})),
        block(json!({"type": "toggle", "has_children": false, "toggle": {}})),
        typed(json!("x")),
        typed(Json::Null),
        typed(json!([{"type": "text"}])),
        json!({"object": "user", "id": "0f0f0f0f-0000-4000-8000-000000000001", "type": "bot"}),
    ];
    in_parallel(&cases, |odd| {
        let (user, event) = about_to("/children");
        let list = json!({"object": "list", "results": [odd], "has_more": false,
            "next_cursor": null});
        let cut_off = Fault::new(Vendor::Notion, Act::DropConnection);
        user.fault(cut_off.method("PATCH").path("/children").nth(1).after());
        let blind = Fault::new(Vendor::Notion, status(200, &list.to_string()));
        user.fault(blind.method("GET").path("/children"));
        let run = user.run(&["--deadline", "20s"], event.to_string().as_bytes());
        assert_eq!(run.code, 75, "{odd}: {}", run.stdout);
        finished(&user, &event, &odd.to_string());
    });
}

#[test]
fn refusals_of_the_request_itself_drop_no_property() {
    let cases = [
        "missing_version",
        "invalid_json",
        "invalid_request_url",
        "invalid_request",
    ];
    in_parallel(&cases, |code| {
        let (user, event) = about_to("/v1/pages/");
        let refused = notion_error(400, code, "Something is not right.");
        user.fault(
            Fault::new(Vendor::Notion, refused)
                .method("PATCH")
                .path("/v1/pages/"),
        );
        let run = user.deliver(&event);
        let is_setting = *code == "missing_version";
        assert_eq!(
            run.code,
            if is_setting { 78 } else { 69 },
            "{code}: {}",
            run.stdout
        );
        assert_eq!(run.warnings(), [""; 0], "{code}");
        finished(&user, &event, code);
    });
}

#[test]
fn strangers_wish_for_a_rest_holds_up_no_other_process() {
    let (user, event) = about_to("/v1/pages");
    let act = Act::Status {
        code: 503,
        headers: vec![("Retry-After".into(), "86400".into())],
        body: "<html>busy</html>".into(),
    };
    user.fault(Fault::new(Vendor::Notion, act).times(1));
    user.run(&["--deadline", "3s"], event.to_string().as_bytes())
        .expect_error(75, "unavailable");
    user.deliver(&event).expect(0, "success", "created");
}

#[test]
fn list_that_is_too_long_for_notion_is_asked_for_in_smaller_parts() {
    let (user, event) = about_to("/v1/pages/");
    for number in 0..60 {
        user.add_client(&format!("+1{}5550147", 303 + number));
    }
    for size in [100, 50] {
        let less = notion_error(
            503,
            "service_unavailable",
            "The request is too large. Please try again with a smaller page_size.",
        );
        let fault = Fault::new(Vendor::Notion, less).path("/query");
        user.fault(fault.body(&format!("\"page_size\":{size}")));
    }
    user.deliver(&event).expect(0, "success", "updated");
    assert_eq!(user.client_pages(), 61);
}

#[test]
fn address_that_notion_refuses_as_a_link_stands_as_text() {
    let url = "https://storage.example.com/mms/0153-1";
    let event = sample_json("legacy-v4.message.received.media");
    let words = [
        "Invalid URL for link.",
        "invalid url for link",
        "body.children[0].paragraph.rich_text[4].text.link.url should be a valid URL.",
        "Invalid URL.",
    ];
    for (known, words) in words
        .iter()
        .flat_map(|words| [(false, words), (true, words)])
    {
        let (user, _) = about_to(if known { "/children" } else { "/v1/pages" });
        let refused = notion_error(400, "validation_error", words);
        let fault = Fault::new(Vendor::Notion, refused);
        user.fault(fault.body(&format!("\"link\":{{\"url\":\"{url}\"")));
        let run = user.deliver(&event);
        assert_eq!((run.code, run.warnings().len()), (0, 0), "{}", run.stdout);
        assert_eq!(user.times_in_notion(&format!("({url})")), 1);
        assert_eq!(user.property("Company"), "Quint Roofing", "known {known}");
    }
}

#[test]
fn value_that_nobody_names_is_left_out_alone() {
    let (user, event) = about_to("/v1/pages");
    let odd = notion_error(400, "validation_error", "Something is not right.");
    user.fault(Fault::new(Vendor::Notion, odd).body("rosa@example.com"));
    let run = user.deliver(&event);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["property_dropped"]);
    assert_eq!(run.line()["warnings"][0]["property"], "Email");
    assert_eq!(user.property("Company"), "Quint Roofing");
    assert_eq!(user.client_pages(), 1);
}

#[test]
fn id_of_a_data_source_is_taken_and_what_is_neither_is_the_operators() {
    let mut user = User::new();
    user.set("NOTION_CLIENTS_DATABASE_ID", CLIENTS_SOURCE);
    let run = user.deliver(&sample_json(MESSAGE));
    run.expect(0, "success", "created");
    assert_eq!(user.client_pages(), 1);

    let mut user = User::new();
    let page = user.add_client(ROSA);
    user.set("NOTION_CLIENTS_DATABASE_ID", &page);
    let is_page = "Provided ID is a page, not a database. Use the retrieve page API instead.";
    let refused = notion_error(400, "validation_error", is_page);
    user.fault(Fault::new(Vendor::Notion, refused).path("/v1/databases/"));
    let run = user.deliver(&sample_json(MESSAGE));
    run.expect_error(78, "config");
    let message = run.line()["error"]["message"].to_string();
    assert!(
        message.contains("NOTION_CLIENTS_DATABASE_ID") && message.contains("is a page"),
        "{message}"
    );
}
