//! Every sample of `fixtures/` against the real thing: deliveries through the program, Notion's
//! answers beside those of the stand-in.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::harness::{User, fixtures, sample};
use crate::standin::{CALLS_DATABASE, CLIENTS_DATABASE, CLIENTS_SOURCE, World};
use crate::strict::{Call, Vendors, json_of, names_in};

const PAGE: &str = "92728898-3bcc-4d37-854f-48872d83d133";
const BLOCK: &str = "0d6aff2d-197d-4c3e-afa2-b6e9738c6d06";

#[test]
fn every_sample_delivery_of_quo_is_understood() {
    let user = User::new();
    user.vendors.set_rate_limits(false);
    let names: Vec<_> = names_in("quo")
        .into_iter()
        .filter(|n| n.starts_with("legacy-") || n.starts_with('v'))
        .collect();
    assert!(names.len() > 50, "{names:?}");
    let input: Vec<u8> = names.iter().flat_map(|name| sample(name)).collect();
    let run = user.run(&["--dry-run", "--signature-tolerance", "off"], &input);
    assert_eq!(
        (run.code, run.lines.len()),
        (0, names.len()),
        "{}",
        run.stderr
    );
    for (name, line) in names.iter().zip(&run.lines) {
        assert_eq!(line["status"], "success", "{name}: {line}");
        let wrong = line["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|warning| warning["code"] == "odd_payload");
        assert!(!wrong, "{name}: {line}");
    }
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
