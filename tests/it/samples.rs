//! Every sample of `fixtures/` against the real thing: deliveries through the program, Notion's
//! answers beside those of the stand-in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use snapbox::assert_data_eq;

use crate::harness::{User, fixtures, samples};
use crate::standin::world::NotionState;
use crate::standin::{CALLS_DATABASE, CLIENTS_DATABASE, CLIENTS_SOURCE, World};
use crate::strict::{Call, Vendors, json_of, names_in};

const PAGE: &str = "92728898-3bcc-4d37-854f-48872d83d133";
const BLOCK: &str = "0d6aff2d-197d-4c3e-afa2-b6e9738c6d06";

fn sort_by_phone(notion: &mut NotionState) {
    let phones: BTreeMap<String, String> = notion
        .pages
        .iter()
        .map(|page| (page.id.clone(), notion.text(&page.id, "Phone")))
        .collect();
    notion.pages.sort_by_key(|page| phones[&page.id].clone());
}

/// Of every sample: its result, and what then stands in Notion, with nobody known before.
#[test]
fn every_sample_stands_in_notion_as_it_is_written_down() {
    let world = || {
        let mut world = World::default_demo();
        world.notion.pages.clear();
        world
    };
    let (user, begun) = (User::of(world()), Timestamp::now());
    user.without_rate_limits();
    let mut seen = String::new();
    for name in samples() {
        user.vendors.reset(world());
        std::fs::remove_dir_all(user.path(".tmp")).ok();
        let run = user.sync(&name);
        assert_eq!(run.code, 0, "{name}: {}", run.stdout);
        let line = run.line();
        let told = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let warnings = run.warnings().join(" ");
        let verdict = [told("event_type"), told("action"), told("reason"), warnings].join(" ");
        // Pages of a group's members are made side by side, in any order.
        sort_by_phone(&mut user.vendors.world().notion);
        let rendered = user.notion().replace(&user.vendors.base(), "");
        writeln!(seen, "=== {name}\n{}\n{rendered}", verdict.trim_end()).expect("a text");
    }
    // What has no time of its own has that of its receipt.
    let mut now = begun;
    while now <= Timestamp::now() + SignedDuration::from_mins(1) {
        for form in ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"] {
            seen = seen.replace(&now.strftime(form).to_string(), "<now>");
        }
        now += SignedDuration::from_mins(1);
    }
    assert_data_eq!(
        seen,
        snapbox::file!["../../fixtures/seen/samples.txt"].raw()
    );
}

#[test]
fn deliveries_of_notion_are_skipped_in_peace() {
    let user = User::new();
    for name in names_in("notion/webhooks")
        .into_iter()
        .filter(|name| name != "signature_examples")
    {
        let body = std::fs::read(fixtures().join(format!("notion/webhooks/{name}.json")))
            .expect("a sample");
        user.run::<&str>(&[], &body).expect(0, "success", "skipped");
    }
    assert_eq!(user.vendors.requests().len(), 0);
}

#[test]
fn worlds_for_hand_use_can_be_started() {
    for name in names_in("worlds") {
        let world = World::from_json(&json_of(&format!("worlds/{name}.json")));
        assert!(world.notion.database(CLIENTS_DATABASE).is_some(), "{name}");
    }
}

/// The request to the stand-in whose answer is of a sample's type.
fn request_for(kind: &str, sample: &Json) -> Call {
    let children = format!("/v1/blocks/{PAGE}/children");
    match kind {
        "DatabaseObjectResponse" if sample["title"][0]["plain_text"] == "Calls" => {
            Call::get(&format!("/v1/databases/{CALLS_DATABASE}"))
        }
        "DatabaseObjectResponse" => Call::get(&format!("/v1/databases/{CLIENTS_DATABASE}")),
        "DataSourceObjectResponse" => Call::get(&format!("/v1/data_sources/{CLIENTS_SOURCE}")),
        "PageObjectResponse" => Call::get(&format!("/v1/pages/{PAGE}")),
        "QueryDatabaseResponse" => Call::post(
            &format!("/v1/databases/{CLIENTS_DATABASE}/query"),
            &json!({}),
        ),
        "QueryDataSourceResponse" => Call::post(
            &format!("/v1/data_sources/{CLIENTS_SOURCE}/query"),
            &json!({}),
        ),
        "ListBlockChildrenResponse" => Call::get(&children),
        "AppendBlockChildrenResponse" => {
            Call::patch(&children, &json_of("notion/requests/append_log.json"))
        }
        "BlockObjectResponse" => Call::get(&format!("/v1/blocks/{BLOCK}")),
        "GetPagePropertyResponse" if sample["object"] == "list" => {
            Call::get(&format!("/v1/pages/{PAGE}/properties/title"))
        }
        "GetPagePropertyResponse" => Call::get(&format!("/v1/pages/{PAGE}/properties/%3DpHn")),
        "GetSelfResponse" => Call::get("/v1/users/me"),
        "SearchResponse" => Call::post(
            "/v1/search",
            &json_of("notion/requests/search_databases.json"),
        ),
        other => panic!("no request is known for {other}"),
    }
}

/// Keys of an object, without the one that is named by its type, and those that only some answers
/// have.
fn keys(object: &Json) -> BTreeSet<&str> {
    let optional = |key: &&str| {
        object["type"] == **key
            || ["request_status", "request_id", "developer_survey"].contains(key)
    };
    object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .filter(|key| !optional(key))
        .collect()
}

#[test]
fn answers_of_the_stand_in_have_the_keys_of_the_samples() {
    let manifest = json_of("notion/manifest.json");
    let entries = manifest
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["check"] == "response");
    let mut wrong = Vec::new();
    for entry in entries {
        let (name, kind) = (
            entry["file"].as_str().expect("a name"),
            entry["type"].as_str().expect("a type"),
        );
        let sample = json_of(&format!("notion/{name}"));
        let vendors = Vendors::seeded();
        let call =
            request_for(kind, &sample).version(entry["version"].as_str().expect("a version"));
        let (status, answer) = vendors.notion(&call);
        assert_eq!(status, 200, "{name}: {answer}");
        let mut pairs = vec![(sample.clone(), answer.clone())];
        if let (Some(first), Some(ours)) = (sample["results"].get(0), answer["results"].get(0)) {
            pairs.push((first.clone(), ours.clone()));
        }
        let differing = pairs
            .iter()
            .filter(|(sample, ours)| keys(sample) != keys(ours));
        wrong.extend(
            differing.map(|(sample, ours)| {
                format!("{name}: {:?}\n  ours {:?}", keys(sample), keys(ours))
            }),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uploads_have_the_keys_of_the_samples() {
    let vendors = Vendors::seeded();
    let (status, pending) = vendors.notion(&Call::post(
        "/v1/file_uploads",
        &json!({"filename": "a.mp3"}),
    ));
    assert_eq!(status, 200, "{pending}");
    assert_eq!(
        keys(&pending),
        keys(&json_of("notion/file_upload_pending.json"))
    );
    let upload = format!(
        "/v1/file_uploads/{}",
        pending["id"].as_str().expect("an id")
    );
    vendors.notion(&Call::post(&format!("{upload}/complete"), &json!({})));
    let (_, uploaded) = vendors.notion(&Call::get(&upload));
    assert_eq!(
        keys(&uploaded),
        keys(&json_of("notion/file_upload_uploaded.json"))
    );
}
