//! The stand-in is as strict as the vendors' references: what they refuse it refuses, in their
//! words.
//!
//! A stand-in that takes more than the real thing would let every other test pass on requests that
//! fail in earnest.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::harness::fixtures;
use crate::standin::{
    Act, CLIENTS_DATABASE, CLIENTS_SOURCE, Fault, NOTION_KEY, QUO_KEY, StandIn, Vendor, World,
};

/// A page, a block and a page in the trash of the samples.
const PAGE: &str = "92728898-3bcc-4d37-854f-48872d83d133";
const BLOCK: &str = "62079eb6-08fa-4a46-bcdc-dc26a3cccf44";

/// Errors that the stand-in gives only as an injected fault: outages, the edge, and what depends on
/// a real account.
const ONLY_BY_FAULT: [&str; 14] = [
    "400_schema_size",
    "403_edge_proxy_html",
    "403_resource",
    "409_conflict",
    "429_blocked",
    "429_no_retry_after",
    "429_workspace_long",
    "500_internal",
    "502_bad_gateway",
    "503_database",
    "503_saved_update",
    "503_unavailable",
    "504_timeout",
    "529_overload",
];

/// One request, of this test's own making.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    version: Option<String>,
    authorization: Option<String>,
    body: Option<String>,
}

impl Call {
    fn new(method: &'static str, path: &str, body: Option<&Json>) -> Self {
        let version = Some("2022-06-28".to_owned());
        let authorization = Some(format!("Bearer {NOTION_KEY}"));
        Self {
            method,
            path: path.to_owned(),
            version,
            authorization,
            body: body.map(ToString::to_string),
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path, None)
    }

    pub fn post(path: &str, body: &Json) -> Self {
        Self::new("POST", path, Some(body))
    }

    pub fn patch(path: &str, body: &Json) -> Self {
        Self::new("PATCH", path, Some(body))
    }

    /// Another version of Notion's API; empty: no such header.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned()).filter(|text| !text.is_empty());
        self
    }

    /// Another `Authorization`; empty: no such header.
    fn authorization(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned()).filter(|text| !text.is_empty());
        self
    }

    /// These bytes as the body, JSON or not.
    fn text(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }
}

/// A stand-in and a client that is not ours.
pub struct Vendors {
    pub standin: StandIn,
    agent: ureq::Agent,
}

impl Vendors {
    pub fn of(world: World) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .new_agent();
        Self {
            standin: StandIn::start(world),
            agent,
        }
    }

    pub fn new() -> Self {
        Self::of(World::default_demo())
    }

    /// With the pages of the samples.
    pub fn seeded() -> Self {
        let mut world = World::default_demo();
        world.notion.seed_fixture_pages();
        Self::of(world)
    }

    /// Asks Notion; the body is JSON, or a text where it is none.
    pub fn notion(&self, call: &Call) -> (u16, Json) {
        self.send(
            &format!("{}/notion{}", self.standin.base(), call.path),
            call,
        )
    }

    /// Asks Quo with its raw key.
    fn quo(&self, path: &str) -> (u16, Json) {
        self.quo_call(&Call::get(path).authorization(QUO_KEY))
    }

    fn quo_call(&self, call: &Call) -> (u16, Json) {
        self.send(&format!("{}/quo{}", self.standin.base(), call.path), call)
    }

    fn send(&self, url: &str, call: &Call) -> (u16, Json) {
        let mut request = ureq::http::Request::builder().method(call.method).uri(url);
        let headers = [
            ("notion-version", &call.version),
            ("authorization", &call.authorization),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let body = call.body.clone().unwrap_or_default();
        let request = request
            .header("content-type", "application/json")
            .body(body)
            .expect("a request");
        let mut response = self.agent.run(request).expect("an answer");
        let text = response.body_mut().read_to_string().expect("a text");
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Json::String(text)),
        )
    }
}

/// A sample as JSON, named with its folder.
pub fn json_of(name: &str) -> Json {
    let text = std::fs::read_to_string(fixtures().join(name))
        .unwrap_or_else(|err| panic!("{name}: {err}"));
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{name}: {err}"))
}

/// Names of a folder's samples, without `.json`, in order.
pub fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fixtures().join(folder)).expect("a folder of samples");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

#[test]
fn sample_requests_are_accepted_and_the_bad_one_is_refused() {
    let manifest = json_of("notion/manifest.json");
    let entries: Vec<_> = manifest
        .as_array()
        .expect("a list")
        .iter()
        .filter(|e| e["check"] == "request")
        .collect();
    assert_eq!(
        entries.len(),
        names_in("notion/requests").len(),
        "every request is in the manifest"
    );
    for entry in entries {
        let text = |key: &str| entry[key].as_str().expect("a text");
        let method = if text("method") == "POST" {
            "POST"
        } else {
            "PATCH"
        };
        let vendors = Vendors::seeded();
        let mut body = json_of(&format!("notion/{}", text("file")));
        prepare(&vendors, &mut body);
        let (status, answer) =
            vendors.notion(&Call::new(method, text("path"), Some(&body)).version(text("version")));
        let wanted = if entry["valid"] == false { 400 } else { 200 };
        assert_eq!(status, wanted, "{}: {answer}", text("file"));
    }
}

/// Cursors and uploads of a sample exist only in the sample: makes real ones and puts their ids in.
fn prepare(vendors: &Vendors, body: &mut Json) {
    if body["start_cursor"].is_string() {
        let two = json!({"properties": {}, "parent": {"database_id": CLIENTS_DATABASE}});
        vendors.notion(&Call::post("/v1/pages", &two));
        let query = Call::post(
            &format!("/v1/databases/{CLIENTS_DATABASE}/query"),
            &json!({"page_size": 1}),
        );
        body["start_cursor"] = vendors.notion(&query).1["next_cursor"].clone();
    }
    if let Some(upload) = body.pointer_mut("/children/0/audio/file_upload/id") {
        let id = upload.as_str().expect("an id").to_owned();
        let ready = json!({"id": id, "status": "uploaded"});
        vendors.standin.world().notion.uploads.insert(id, ready);
    }
}

/// Paragraphs, all alike.
fn paragraphs(text: &str, count: usize) -> Json {
    let one = json!({"paragraph": {"rich_text": [{"text": {"content": text}}]}});
    json!({"children": vec![one; count]})
}

fn new_client(properties: &Json) -> Call {
    Call::post(
        "/v1/pages",
        &json!({"parent": {"database_id": CLIENTS_DATABASE}, "properties": properties}),
    )
}

fn texts(count: usize) -> Json {
    json!({"rich_text": vec![json!({"text": {"content": "x"}}); count]})
}

fn query(body: &Json) -> Call {
    Call::post(&format!("/v1/databases/{CLIENTS_DATABASE}/query"), body)
}

fn append(body: &Json) -> Call {
    Call::patch(&format!("/v1/blocks/{PAGE}/children"), body)
}

/// A world made for one error.
fn world_with(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::default_demo();
    world.notion.seed_fixture_pages();
    change(&mut world);
    world
}

fn schema(name: &str) -> World {
    world_with(|world| {
        world
            .notion
            .use_schema(CLIENTS_DATABASE, &format!("database_clients_{name}.json"));
    })
}

fn without(column: &str) -> World {
    world_with(|world| world.notion.remove_column(CLIENTS_DATABASE, column))
}

fn equals(column: &str, kind: &str) -> Json {
    json!({"property": column, kind: {"equals": "1"}})
}

fn columns(add: &[(&str, &str)]) -> World {
    world_with(|world| {
        for (name, kind) in add {
            world.notion.remove_column(CLIENTS_DATABASE, name);
            world.notion.add_column(CLIENTS_DATABASE, name, kind);
        }
    })
}

/// How each error of the samples comes about: the world, and the request.
fn provoke(name: &str) -> Option<(World, Call)> {
    provoke_by_values(name).or_else(|| provoke_otherwise(name))
}

/// Errors about values of a new page.
fn provoke_by_values(name: &str) -> Option<(World, Call)> {
    let plain = || world_with(|_| {});
    let long = |units: usize| json!({"rich_text": [{"text": {"content": "x".repeat(units)}}]});
    let select = |name: &str| json!({"select": {"name": name}});
    let tags = |count: usize| {
        (0..count)
            .map(|n| json!({"name": n.to_string()}))
            .collect::<Vec<_>>()
    };
    Some(match name {
        "400_fix_one" => (plain(), new_client(&json!({"Email": {"email": []}}))),
        "400_mixed_several" => (
            columns(&[("Script Path", "rich_text"), ("Status", "rich_text")]),
            new_client(
                &json!({"Script": texts(1), "Script Path": {"url": "https://x.example"},
                    "Status": select("A"),
                              "Exit Code": {"number": 1}}),
            ),
        ),
        "400_several_properties" => (
            columns(&[
                ("Status", "status"),
                ("Category", "rich_text"),
                ("Task Type", "rich_text"),
            ]),
            new_client(
                &json!({"Status": select("A"), "Category": select("A"), "Task Type": select("A")}),
            ),
        ),
        "400_multi_select_comma" => (
            plain(),
            new_client(&json!({"Tags": {"multi_select": [{"name": "Oak, Park"}]}})),
        ),
        "400_multi_select_length" => (
            plain(),
            new_client(&json!({"Tags": {"multi_select": tags(101)}})),
        ),
        "400_property_name_with_period" => (plain(), new_client(&json!({"Ref. No.": texts(1)}))),
        "400_rich_text_array" => (plain(), new_client(&json!({"Notes": texts(129)}))),
        "400_select_comma" => (plain(), new_client(&json!({"Status": select("Oak, Park")}))),
        "400_status_option" => (
            schema("status_type"),
            new_client(&json!({"Status": {"status": {"name": "Hot"}}})),
        ),
        "400_text_too_long" => (plain(), new_client(&json!({"Company": long(2001)}))),
        "400_unknown_property" => (
            without("Company"),
            new_client(&json!({"Company": texts(1)})),
        ),
        "400_wrong_type" => (plain(), new_client(&json!({"Company": select("A")}))),
        _ => return None,
    })
}

#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn provoke_otherwise(name: &str) -> Option<(World, Call)> {
    let page = format!("/v1/pages/{PAGE}");
    let plain = || world_with(|_| {});
    let unseeded = World::default_demo;
    Some(match name {
        "400_archived" => {
            let trashed = json_of("notion/page_trashed.json")["id"]
                .as_str()
                .expect("an id")
                .to_owned();
            (
                plain(),
                Call::patch(&format!("/v1/pages/{trashed}"), &json!({"properties": {}})),
            )
        }
        "400_bad_date" => (
            plain(),
            Call::patch(
                &page,
                &json!({"properties": {"Last Call": {"date": {"start": "tomorrow at 10:45 AM"}}}}),
            ),
        ),
        "400_bad_uuid" => (plain(), Call::get("/v1/pages/not-an-id")),
        "400_block_text_too_long" => (plain(), append(&paragraphs(&"x".repeat(2044), 1))),
        "400_children_101" => (plain(), append(&paragraphs("x", 101))),
        "400_cursor" => (
            plain(),
            query(&json!({"start_cursor": "a03f2386-ae06-4211-8957-7020844df367"})),
        ),
        "400_filter_type" => (
            schema("phone_is_text"),
            query(&json!({"filter": equals("Phone", "phone_number")})),
        ),
        "400_filter_unknown_property" => (
            without("Phone"),
            query(&json!({"filter": equals("Phone", "phone_number")})),
        ),
        "400_sort_unknown_property" => (
            without("Phone"),
            query(&json!({"sorts": [{"property": "Phone", "direction": "ascending"}]})),
        ),
        "400_invalid_json" => (plain(), query(&json!({})).text("{\"filter\":")),
        "400_invalid_request_url" => (plain(), Call::get("/v1/nothing")),
        "400_missing_key" => (
            plain(),
            Call::post(
                "/v1/pages",
                &json!({"parent": {"database_id": CLIENTS_DATABASE}}),
            ),
        ),
        "400_missing_version" => (plain(), Call::get("/v1/users/me").version("")),
        "400_multiple_data_sources" => {
            let two = world_with(|world| {
                world
                    .notion
                    .add_second_source(CLIENTS_DATABASE, "Suppliers");
            });
            (two, query(&json!({})))
        }
        "400_nesting" => {
            let toggle = |children: Json| {
                json!([{"type": "toggle", "toggle": {"rich_text": [],
                "children": children}}])
            };
            let leaf = json!([{"type": "paragraph", "paragraph": {"rich_text": []}}]);
            (
                plain(),
                append(&json!({"children": toggle(toggle(toggle(leaf)))})),
            )
        }
        "400_stray_key" => (plain(), query(&json!({"colour": "red"}))),
        "401_bad_token" => (
            plain(),
            Call::get("/v1/users/me").authorization("Bearer ntn_wrong"),
        ),
        "401_no_header" => (plain(), Call::get("/v1/users/me").authorization("")),
        "403_capability" => (
            world_with(|world| world.notion.can_insert = false),
            new_client(&json!({})),
        ),
        "404_block" => (unseeded(), Call::get(&format!("/v1/blocks/{BLOCK}"))),
        "404_database" => {
            let hidden =
                world_with(|world| world.notion.database_mut(CLIENTS_DATABASE).unshared = true);
            (hidden, query(&json!({})))
        }
        "404_page" => (unseeded(), Call::get(&page)),
        "413_not_json" => (
            plain(),
            append(&json!({"children": [], "padding": "x".repeat(500 * 1024)})),
        ),
        "429_connection" => (plain(), Call::get("/v1/users/me")),
        "503_saved_append" => (plain(), append(&paragraphs("x", 4))),
        "503_saved_create" => (plain(), new_client(&json!({}))),
        _ => return None,
    })
}

/// Starts the world of one error, with the window used up or the fault set where the error needs
/// it.
fn stage(name: &str, world: World) -> Vendors {
    let vendors = Vendors::of(world);
    if name == "429_connection" {
        vendors.standin.settings().notion_per_window = 0;
    }
    if name.starts_with("503_saved") {
        vendors
            .standin
            .add_fault(Fault::new(Vendor::Notion, Act::SavedBut503));
    }
    vendors
}

/// What is compared of an error. Several complaints in one message come in no certain order.
fn gist(body: &Json) -> (Json, Json, BTreeSet<String>, BTreeSet<String>) {
    let message = body["message"].as_str().unwrap_or_default();
    let sentences = message
        .split(". ")
        .map(|part| part.trim_end_matches('.').to_owned())
        .collect();
    let additional = body["additional_data"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect();
    (
        body["status"].clone(),
        body["code"].clone(),
        sentences,
        additional,
    )
}

#[test]
fn errors_of_the_samples_come_from_the_requests_that_cause_them() {
    let mut unprovoked = Vec::new();
    for name in names_in("notion/errors") {
        let Some((world, call)) = provoke(&name) else {
            unprovoked.push(name);
            continue;
        };
        let sample = json_of(&format!("notion/errors/{name}.json"));
        let (status, answer) = stage(&name, world).notion(&call);
        assert_eq!(status, sample["_http"]["status"], "{name}: {answer}");
        match sample["body_text"].as_str() {
            Some(html) => assert_eq!(answer, html, "{name}"),
            None => assert_eq!(gist(&answer), gist(&sample["body"]), "{name}"),
        }
    }
    assert_eq!(unprovoked, ONLY_BY_FAULT, "errors that no request causes");
}

#[test]
fn database_of_two_sources_names_them_as_the_sample_does() {
    let (world, call) = provoke("400_multiple_data_sources").expect("known");
    let (_, answer) = Vendors::of(world).notion(&call);
    let sample = json_of("notion/errors/400_multiple_data_sources.json");
    assert_eq!(answer["additional_data"], sample["body"]["additional_data"]);
    assert_eq!(
        answer["additional_data"]["child_data_source_ids"][0],
        CLIENTS_SOURCE
    );
}

#[test]
fn saved_but_503_has_really_saved() {
    let (world, call) = provoke("503_saved_append").expect("known");
    let vendors = stage("503_saved_append", world);
    let (_, answer) = vendors.notion(&call);
    let ids = answer["additional_data"]["committed_child_ids"]
        .as_array()
        .expect("ids")
        .clone();
    vendors.standin.clear_faults();
    let (_, list) = vendors.notion(&Call::get(&format!("/v1/blocks/{PAGE}/children")));
    let on_page: Vec<_> = list["results"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["id"].clone())
        .collect();
    assert!(
        ids.len() == 4 && on_page.ends_with(&ids),
        "{ids:?} {on_page:?}"
    );
}

#[test]
fn quo_lists_need_max_results_within_bounds() {
    let vendors = Vendors::new();
    for (query, status) in [
        ("", 400),
        ("?maxResults=0", 400),
        ("?maxResults=51", 400),
        ("?maxResults=50", 200),
    ] {
        assert_eq!(
            vendors.quo(&format!("/v1/contacts{query}")).0,
            status,
            "{query}"
        );
    }
    let (_, body) = vendors.quo("/v1/contacts");
    assert_eq!(
        (&body["code"], &body["errors"][0]["path"]),
        (&json!("0800400"), &json!("/maxResults"))
    );
}

#[test]
fn quo_takes_only_the_raw_key() {
    let vendors = Vendors::new();
    let with = |value: &str| vendors.quo_call(&Call::get("/v1/phone-numbers").authorization(value));
    assert_eq!(with(QUO_KEY).0, 200);
    let live = json_of("quo/error-v1.401.live.json");
    let (status, body) = with("");
    assert_eq!(
        (status, &body["error"]["message"]),
        (401, &live["error"]["message"])
    );
    assert_eq!(with(&format!("Bearer {QUO_KEY}")).0, 401);
    assert_eq!(with(&format!("bearer {QUO_KEY}")).0, 401);
}

#[test]
fn quo_v1_refuses_calls_with_more_than_two_parties() {
    let vendors = Vendors::new();
    vendors
        .standin
        .world()
        .quo
        .calls
        .push(json!({"id": "ACgroup", "participants": ["+1", "+2", "+3"]}));
    let (status, mut body) = vendors.quo("/v1/calls/ACgroup");
    let mut sample = json_of("quo/error-v1.400.too-many-participants.json");
    assert_eq!(
        (status, body["trace"].take()),
        (400, sample["trace"].take())
    );
    assert_eq!(body, sample);
}

/// The list of calls of the demo's own number with that query behind it.
fn calls(vendors: &Vendors, query: &str) -> (u16, Json) {
    vendors.quo(&format!(
        "/v1/calls?phoneNumberId=PNmain0001&maxResults=100{query}"
    ))
}

#[test]
fn quo_lists_calls_of_exactly_one_participant_in_encoded_form() {
    let vendors = Vendors::new();
    let found = |query: &str| {
        calls(&vendors, query).1["data"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert!(found("&participants=%2B12025550147") > 0);
    assert_eq!(
        found("&participants=+12025550147"),
        0,
        "a plus that is not encoded is a space, and matches nothing"
    );
    assert_eq!(calls(&vendors, "").0, 400, "participants are required");
    let (status, body) = calls(
        &vendors,
        "&participants=%2B12025550147&participants=%2B13125550162",
    );
    let sample = json_of("quo/error-v1.400.validation.json");
    assert_eq!(
        (status, &body["code"], &body["errors"]),
        (400, &sample["code"], &sample["errors"])
    );
}

#[test]
fn quo_contacts_cannot_be_found_by_number() {
    let vendors = Vendors::new();
    let all = vendors.quo("/v1/contacts?maxResults=50").1["data"].clone();
    let filtered = vendors
        .quo("/v1/contacts?maxResults=50&phoneNumbers=%2B12025550147")
        .1["data"]
        .clone();
    assert!(all.as_array().is_some_and(|list| list.len() > 1));
    assert_eq!(all, filtered, "the filter by number does nothing");
}

#[test]
fn quo_counts_wrongly_and_tokens_belong_to_one_list() {
    let vendors = Vendors::new();
    let (_, first) = vendors.quo("/v1/contacts?maxResults=1");
    assert_eq!(
        first["totalItems"], 1,
        "the number of this page's items, whatever the name says"
    );
    let token = first["nextPageToken"]
        .as_str()
        .expect("there are more")
        .to_owned();
    let (status, second) = vendors.quo(&format!("/v1/contacts?maxResults=1&pageToken={token}"));
    assert_eq!(status, 200);
    assert_ne!(first["data"], second["data"]);
    assert_eq!(
        vendors
            .quo(&format!("/v1/conversations?maxResults=1&pageToken={token}"))
            .0,
        400
    );
}

#[test]
fn quo_answers_in_the_words_of_its_samples() {
    let vendors = Vendors::new();
    let cases = [
        ("/v1/contacts/no-such", "error-v1.404"),
        ("/calls", "error-2026-03-30.400.missing-version"),
    ];
    for (path, name) in cases {
        let (_, body) = vendors.quo(path);
        let sample = json_of(&format!("quo/{name}.json"));
        assert_eq!(
            (&body["title"], &body["message"]),
            (&sample["title"], &sample["message"]),
            "{name}"
        );
    }
}

#[test]
fn quo_lets_ten_requests_through_in_a_second() {
    let vendors = Vendors::new();
    let statuses: Vec<u16> = (0..12)
        .map(|_| vendors.quo("/v1/phone-numbers").0)
        .collect();
    assert_eq!(statuses[..10], [200; 10]);
    assert!(statuses[10..].contains(&429), "{statuses:?}");
}
