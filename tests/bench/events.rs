//! Payloads and the people they come from: any number of each, always the same ones.

use std::path::Path;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::standin::World;

/// A message as Quo sends it, without blanks.
static MESSAGE: LazyLock<String> = LazyLock::new(|| sample("v2026-03-30.message.received"));

/// Whether Quo names the contacts of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// By their ids.
    Given,
    /// Quo found none, so that the index of contacts has to answer.
    Missing,
}

/// The stand-in's workspace with so many more contacts in Quo.
pub fn world(people: usize) -> World {
    let mut world = World::default_demo();
    let pattern = world.quo.contacts[0].clone();
    world
        .quo
        .contacts
        .extend((0..people).map(|n| contact(&pattern, n)));
    world
}

fn contact(pattern: &Json, n: usize) -> Json {
    let mut contact = pattern.clone();
    contact["id"] = json!(contact_id(n));
    contact["externalId"] = Json::Null;
    contact["defaultFields"]["lastName"] = json!(format!("Quint {n}"));
    contact["defaultFields"]["phoneNumbers"] =
        json!([{"name": "Mobile", "value": phone(n), "id": format!("ph{n}")}]);
    contact
}

fn contact_id(n: usize) -> String {
    format!("66f1{n:020x}")
}

fn phone(n: usize) -> String {
    format!("+1212{:07}", 2_000_000 + n)
}

/// Message `n` of a person, a minute later than the one before: less does not move the date on the
/// page.
pub fn message(n: usize, (person, names): (usize, Names)) -> Vec<u8> {
    let ids = if names == Names::Given {
        format!("\"{}\"", contact_id(person))
    } else {
        String::new()
    };
    let minutes = i64::try_from(n).expect("a small number");
    let at = "2026-10-02T17:00:00Z".parse::<Timestamp>().expect("a time")
        + SignedDuration::from_mins(minutes);
    let text = MESSAGE
        .replace("EV00000000000000000000000000000080", &event_id(n))
        .replace("AC00000000000000000000000000000180", &format!("AC{n:032x}"))
        .replace("\"66f1a2b3c4d5e6f708192a3b\"", &ids)
        .replace("+12025550147", &phone(person))
        .replace("2026-10-02T17:00:00.000Z", &format!("{at:.3}"));
    text.into_bytes()
}

/// Id of the event that brings message `n`.
pub fn event_id(n: usize) -> String {
    format!("EV{n:032x}")
}

/// So many messages, one on each line, of all people in turn; later than the first thousand.
pub fn stream(events: usize, people: usize) -> Vec<u8> {
    let line = |n: usize| {
        [
            message(1000 + n, (n % people, Names::Given)),
            b"\n".to_vec(),
        ]
        .concat()
    };
    (0..events).flat_map(line).collect()
}

/// A call, and then its transcript of so many bytes.
pub fn call_with_transcript(bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let renamed = |name: &str| sample(name).replace("AC00000000000000000000000000000141", "AC9");
    let mut transcript: Json =
        serde_json::from_str(&renamed("legacy-v4.call.transcript.completed")).expect("JSON");
    let dialogue = &mut transcript["data"]["object"]["dialogue"];
    let line = dialogue[1].clone();
    *dialogue = vec![line.clone(); bytes / line.to_string().len()].into();
    (
        renamed("legacy-v4.call.completed.answered").into_bytes(),
        transcript.to_string().into_bytes(),
    )
}

/// A sample delivery of `fixtures/quo`, without blanks.
pub fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/quo/{name}.json"));
    let text = std::fs::read_to_string(path).expect("sample");
    serde_json::from_str::<Json>(&text)
        .expect("JSON")
        .to_string()
}
