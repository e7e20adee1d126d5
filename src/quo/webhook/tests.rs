//! Every sample of both vendors, what it means, and what becomes of it when it is damaged.
//!
//! A sample is added by putting its file into `fixtures` and running with `SNAPSHOTS=overwrite`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::{any, proptest};
use serde_json::{Map, Value, json};
use snapbox::assert_data_eq;

use super::{PayloadError, parse};
use crate::domain::call::{Artifact, Audio, CallFacts, CallUpdate};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::dialogue::Speaker;
use crate::domain::event::{ContactUpdate, Event, Subject};
use crate::domain::link::{Address, Link};
use crate::domain::parties::{Parties, Party};

const FOLDERS: [&str; 2] = ["fixtures/quo", "fixtures/notion/webhooks"];

struct Sample {
    name: String,
    text: String,
}

impl Sample {
    fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("json")
    }

    fn event(&self) -> Event {
        parse_now(self.text.as_bytes()).unwrap_or_else(|err| panic!("{}: {err}", self.name))
    }
}

/// Every webhook sample, in the order of their names.
fn samples() -> Vec<Sample> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("folder"));
    let mut samples: Vec<Sample> = files
        .map(|file| file.expect("file").path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            let vendor = path.parent()?.ends_with("webhooks") && !name.starts_with("signature");
            let quo = ["legacy-", "v2026-03-30.", "seed."];
            let wanted = vendor || quo.iter().any(|begin| name.starts_with(begin));
            wanted.then(|| Sample {
                name,
                text: fs::read_to_string(path).expect("text"),
            })
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(samples.len() >= 95, "{}", samples.len());
    samples
}

fn sample(name: &str) -> Sample {
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/quo")
            .join(name),
    );
    Sample {
        name: name.to_owned(),
        text: text.expect("sample"),
    }
}

/// Reads a document that is received at a moment that none of them names.
fn parse_now(document: &[u8]) -> Result<Event, PayloadError> {
    parse(document, "2026-11-01T00:00:00Z".parse().expect("a time"))
}

fn reparse(value: &Value) -> Result<Event, PayloadError> {
    parse_now(value.to_string().as_bytes())
}

/// The sample with another value at `pointer`.
fn with(name: &str, pointer: &str, value: Value) -> Result<Event, PayloadError> {
    let mut document = sample(name).value();
    let (parent, key) = pointer.rsplit_once('/').expect("pointer");
    let parent = document
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("parent");
    parent.insert(key.to_owned(), value);
    reparse(&document)
}

// What an event says, line by line.

fn rendered(event: &Event) -> String {
    let mut lines = vec![format!("{} {}", event.id, event.event_type)];
    match &event.subject {
        Subject::Call(news) => {
            lines.push(format!("call {}", context(&news.context, &mut Vec::new())));
            context(&news.context, &mut lines);
            lines.extend(call(news));
            lines.extend(news.artifacts.iter().map(artifact));
        }
        Subject::Message(message) => {
            lines.push(format!(
                "message {}",
                context(&message.context, &mut Vec::new())
            ));
            context(&message.context, &mut lines);
            lines.push(format!("text {:?}", message.text));
            let media = message
                .media
                .iter()
                .map(|media| format!("media {} {:?}", address(&media.address), media.mime));
            lines.extend(media);
        }
        Subject::Contact(news) => lines.extend(contact(news)),
        Subject::Unsupported => lines.push("unsupported".into()),
        Subject::Incomplete { missing } => lines.push(format!("incomplete without {missing}")),
    }
    lines.extend(
        event
            .oddities
            .iter()
            .map(|oddity| format!("oddity {oddity}")),
    );
    lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
}

fn context(context: &Context, lines: &mut Vec<String>) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let link = context.link.as_ref().map(Link::to_string);
    lines.push(format!("link {}", or_none(link)));
    let Parties { from, to, all, own } = &context.parties;
    lines.push(if context.parties.is_empty() {
        "parties unknown".into()
    } else {
        let [from, to, all, own] = [from, to, all, own].map(|side| parties(side));
        format!("from {from} to {to} all {all} own {own}")
    });
    lines.push(match &context.contacts {
        ContactLookup::Ids(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("contacts {}", ids.join(" "))
        }
        ContactLookup::None => "contacts -".into(),
    });
    let time = |time: Option<Timestamp>| or_none(time.map(|time| time.to_string()));
    format!(
        "{} at {} later {} {:?} number {} user {}",
        context.id,
        time(context.at),
        time(context.later),
        context.began,
        or_none(context.number_id.as_ref().map(ToString::to_string)),
        or_none(context.user_id.as_ref().map(ToString::to_string)),
    )
}

fn parties(parties: &[Party]) -> String {
    let texts: Vec<String> = parties.iter().map(party).collect();
    format!("[{}]", texts.join(" "))
}

fn party(party: &Party) -> String {
    match party {
        Party::Phone(phone) => phone.to_string(),
        Party::Other(text) => format!("{text:?}"),
    }
}

/// How a call went, as its line would say it.
fn call(news: &CallUpdate) -> Vec<String> {
    let said = |what: &str, facts: &CallFacts| {
        let outcome = facts.outcome(news.context.direction());
        format!("{what} {outcome:?} secs {:?}", facts.duration_secs)
    };
    let mut lines = Vec::new();
    lines.extend(news.facts.as_ref().map(|facts| said("outcome", facts)));
    lines.extend(news.beside.as_ref().map(|facts| said("beside", facts)));
    if !news.unannounced.is_empty() {
        lines.push(format!("to be asked for {:?}", news.unannounced));
    }
    lines
}

fn address(address: &Address) -> String {
    match address {
        Address::Link(link) => link.to_string(),
        Address::Text(text) => format!("{text:?}"),
    }
}

fn artifact(artifact: &Artifact) -> String {
    let audio = |audio: &Audio| format!("{} {:?}", address(&audio.address), audio.duration_secs);
    match artifact {
        Artifact::Recording(parts) => format!(
            "recording {}",
            parts.iter().map(audio).collect::<Vec<_>>().join(", ")
        ),
        Artifact::Voicemail {
            audio: sound,
            transcript,
        } => {
            format!(
                "voicemail {} {transcript:?}",
                sound.as_ref().map(audio).unwrap_or_default()
            )
        }
        Artifact::Summary(summary) => {
            format!(
                "summary {:?} {:?} next {:?} jobs {:?}",
                summary.title, summary.lines, summary.next_steps, summary.jobs
            )
        }
        Artifact::Transcript(utterances) => {
            let said = utterances.iter().map(|utterance| match utterance.speaker {
                Speaker::User(user) => format!("{user}: {:?}", utterance.text),
                Speaker::Party(speaker) => format!("{}: {:?}", party(speaker), utterance.text),
                Speaker::Unknown => format!("?: {:?}", utterance.text),
                Speaker::Undivided => format!("{:?}", utterance.text),
            });
            format!("transcript {}", said.collect::<Vec<_>>().join(" "))
        }
    }
}

fn contact(news: &ContactUpdate) -> Vec<String> {
    let ContactUpdate { contact, deleted } = news;
    let updated = contact.updated_at.map(|time| time.to_string());
    vec![
        format!(
            "contact {} deleted {deleted} updated {updated:?}",
            contact.id
        ),
        format!(
            "name {:?} company {:?} role {:?}",
            contact.name, contact.company, contact.role
        ),
        format!("email {:?} phones {:?}", contact.email, contact.phones),
        format!(
            "fields {:?}",
            contact
                .fields
                .iter()
                .map(|f| (&f.name, &f.key, &f.value))
                .collect::<Vec<_>>()
        ),
    ]
}

#[test]
fn samples_mean_what_is_written_down() {
    let text: String = samples()
        .iter()
        .flat_map(|sample| [sample.name.clone(), "\n".into(), rendered(&sample.event())])
        .collect();
    assert_data_eq!(
        text,
        snapbox::file!["../../../fixtures/parsed/webhooks.txt"].raw()
    );
}

// Damage.

/// Values of every type, one of which is wrong for any field.
fn wrong_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64),
        json!(""),
        json!("x\u{0}\u{1b}[2J/../\u{202e}"),
        json!([]),
        json!([null]),
        json!([7, "x", {}]),
        json!({}),
        json!({"a": {"b": [1]}}),
    ]
}

/// The JSON pointer of every value inside of `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut step = |key: String, inner: &Value| {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(inner, &pointer, found);
    };
    match value {
        Value::Object(object) => object
            .iter()
            .for_each(|(key, inner)| step(key.clone(), inner)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, inner)| step(index.to_string(), inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A pointer as errors write it; errors do not tell whether the event was wrapped.
fn dotted(pointer: &str) -> String {
    let path = pointer.strip_prefix("/object/").unwrap_or(&pointer[1..]);
    path.split('/')
        .fold(String::new(), |path, step| match step.parse::<usize>() {
            Ok(index) => format!("{path}[{index}]"),
            Err(_) if path.is_empty() => step.to_owned(),
            Err(_) => format!("{path}.{step}"),
        })
}

/// What one may say of a damaged event without having lost it: it is the same happening, it is kept
/// or says why not, and what could not be read is told.
#[test]
fn no_field_of_another_type_costs_an_event() {
    for sample in samples() {
        let (document, original) = (sample.value(), sample.event());
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        for pointer in found {
            for wrong in wrong_values() {
                let mut damaged = document.clone();
                *damaged.pointer_mut(&pointer).expect("pointer") = wrong.clone();
                check_damage(&sample, &original, &dotted(&pointer), &wrong, &damaged);
            }
        }
    }
}

fn check_damage(sample: &Sample, original: &Event, at: &str, wrong: &Value, damaged: &Value) {
    let what = format!("{} {at} = {wrong}", sample.name);
    let frame = ["type", "object", "verification_token", "data"];
    let event = match reparse(damaged) {
        Ok(event) => event,
        // An id that could leave its path is none of Quo's.
        Err(PayloadError::BadId { path }) => {
            let is_text = wrong.as_str().is_some_and(|text| !text.is_empty());
            // Without its type a task is taken for a call, and its id is no call's.
            let is_other = at == "type" && kind(original) == "unsupported";
            return assert!(path == at && is_text || is_other, "{what}: {path}");
        }
        // Without type and data there is nothing of an event.
        Err(PayloadError::NoEvent(_)) => {
            return assert!(frame.contains(&at), "{what}");
        }
        Err(err) => panic!("{what}: {err}"),
    };
    for oddity in &event.oddities {
        let is_harmless = !oddity.contains(['\u{202e}', '\u{1b}']);
        assert!(is_harmless, "{what}: {oddity}");
    }
    let parts = ["data.object", "data.resource"];
    if at == "id" || frame.contains(&at) || parts.contains(&at) {
        return;
    }
    // What has neither id nor type is known by what it holds alone.
    if original.id.as_str().starts_with("sha256-") {
        return assert_ne!(kind(&event), "unsupported", "{what}");
    }
    assert_eq!(event.id, original.id, "{what}");
    assert_eq!(event.event_type, original.event_type, "{what}");
    // A summary or transcript of no call can stand nowhere.
    if at.ends_with(".callId") && kind(&event) == "incomplete" {
        return;
    }
    assert_eq!(kind(&event), kind(original), "{what}");
}

/// What an event speaks of; a contact that lost its id is incomplete, for nothing else names it.
fn kind(event: &Event) -> &'static str {
    match &event.subject {
        Subject::Call(_) => "call",
        Subject::Message(_) => "message",
        Subject::Contact(_) => "contact",
        Subject::Incomplete { missing } if *missing == "contact id" => "contact",
        Subject::Incomplete { .. } => "incomplete",
        Subject::Unsupported => "unsupported",
    }
}

#[test]
fn null_is_the_same_as_absent() {
    for sample in samples() {
        let document = sample.value();
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        for pointer in found {
            let (parent, key) = pointer.rsplit_once('/').expect("pointer");
            let (mut null, mut absent) = (document.clone(), document.clone());
            *null.pointer_mut(&pointer).expect("pointer") = Value::Null;
            let Some(object) = absent.pointer_mut(parent).and_then(Value::as_object_mut) else {
                continue;
            };
            object.remove(&key.replace("~1", "/").replace("~0", "~"));
            // A null time of picking up says that nobody did, an absent one says nothing; an absent
            // word on voicemails may mean that there is one.
            let differs = ["answeredAt", "voicemail", "hasVoicemail"];
            let frame = ["/object", "/data", "/verification_token"];
            if differs.contains(&key) || frame.contains(&pointer.as_str()) {
                continue;
            }
            let told = |document: &Value| {
                let event = reparse(document).map(|event| (event.event_type, event.subject));
                // What has no id is named by its bytes.
                let shown = format!("{event:?}");
                shown
                    .split("local-")
                    .map(|part| part.get(24..).unwrap_or(part))
                    .collect::<String>()
            };
            assert_eq!(told(&null), told(&absent), "{} {pointer}", sample.name);
        }
    }
}

/// A field of a handled event whose wrong type is not noticed is not read at all: these are those
/// fields.
#[test]
fn fields_that_are_not_read_are_known() {
    let (mut read, mut ignored) = (BTreeSet::new(), BTreeSet::new());
    for sample in samples()
        .into_iter()
        .filter(|sample| sample.event().subject != Subject::Unsupported)
    {
        let (document, original) = (sample.value(), sample.event());
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        for pointer in found
            .iter()
            .filter(|pointer| !pointer.ends_with(|c: char| c.is_ascii_digit()))
        {
            let mut damaged = document.clone();
            let place = damaged.pointer_mut(pointer).expect("pointer");
            *place = if place.is_object() {
                json!(7)
            } else {
                json!({"wrong": 7})
            };
            let name = dotted(pointer).split('[').next().expect("path").to_owned();
            let unnoticed = reparse(&damaged).as_ref() == Ok(&original);
            if unnoticed {
                ignored.insert(name)
            } else {
                read.insert(name)
            };
        }
    }
    let lines: String = ignored
        .difference(&read)
        .flat_map(|name| [name.as_str(), "\n"])
        .collect();
    assert_data_eq!(
        lines,
        snapbox::file!["../../../fixtures/parsed/ignored-fields.txt"].raw()
    );
}

#[test]
fn document_cut_off_anywhere_is_not_json() {
    for sample in samples() {
        let text = sample.text.trim_end();
        for end in 0..text.len() {
            let verdict = parse_now(&text.as_bytes()[..end]);
            assert!(
                matches!(verdict, Err(PayloadError::NotJson { .. })),
                "{} at {end}: {verdict:?}",
                sample.name
            );
        }
    }
}

#[test]
fn unknown_type_never_fails_whatever_the_rest_is() {
    for rest in [
        json!({"type": "call.teleported"}),
        json!({"type": "call.teleported", "id": 7, "data": [1], "object": "x", "apiVersion": {}}),
        json!({"type": "task.assigned", "id": "../../etc", "data": {"resource": 3}}),
        json!({"type": "x".repeat(5000), "id": "E".repeat(5000)}),
        json!({"verification_token": "secret_x"}),
        json!({"object": {"type": "page.created", "object": {"type": 5}}}),
    ] {
        let event = reparse(&rest).unwrap_or_else(|err| panic!("{rest}: {err}"));
        assert_eq!(event.subject, Subject::Unsupported);
        assert_eq!(event.id.as_str().len(), 71, "{}", event.id);
        assert!(event.event_type.len() <= 100);
        assert_eq!(reparse(&rest).as_ref(), Ok(&event));
    }
    let deep = format!(
        r#"{{"type":"x","id":"EV1","data":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        parse_now(deep.as_bytes()).map(|event| event.id.to_string()),
        Ok("EV1".into())
    );
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    let list = "payload is a list, not an object";
    let value = "payload is no event: it is a single value, not an object";
    let nothing = "payload is no event: it has neither a type nor data";
    for (document, want) in [
        (
            "",
            "payload is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        (
            "hello",
            "payload is not JSON: expected value at line 1 column 1",
        ),
        (
            "{}{}",
            "payload is not JSON: trailing characters at line 1 column 3",
        ),
        (
            "{\n \"type\": nul",
            "payload is not JSON: EOF while parsing a value at line 2 column 12",
        ),
        ("{}", nothing),
        (" { } ", nothing),
        ("[]", list),
        ("[{\"type\":\"call.completed\"}]", list),
        ("\"{}\"", value),
        ("7", value),
        ("null", value),
        (r#"{"type":7,"id":"EV1"}"#, nothing),
        (
            r#"{"type":"call.completed","data":{"object":{"id":"AC/../x"}}}"#,
            "payload has an id that is none of Quo's: data.object.id",
        ),
    ] {
        let refused = parse_now(document.as_bytes())
            .expect_err("refused")
            .to_string();
        assert_eq!(refused, want, "{document}");
    }
    let refused = parse_now(b"{\n\"a\": \"\xff\"}").expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "payload is not JSON: invalid UTF-8 at line 2 column 7"
    );
}

#[test]
fn what_holds_nothing_to_write_is_incomplete() {
    for document in [
        r#"{"data":{}}"#,
        r#"{"type":"call.completed"}"#,
        r#"{"type":"call.completed","id":"EV1","data":"x"}"#,
        r#"{"type":"call.completed","id":"EV1","data":{}}"#,
        r#"{"type":"call.completed","id":"EV1","data":{"object":["AC1"]}}"#,
        r#"{"type":5,"id":"EV1","data":{"object":{}}}"#,
        r#"{"data":{"object":{"status":"completed","duration":7}}}"#,
    ] {
        let event =
            parse_now(document.as_bytes()).unwrap_or_else(|err| panic!("{document}: {err}"));
        assert_eq!(kind(&event), "incomplete", "{document}");
    }
}

#[test]
fn ids_that_could_leave_their_url_are_refused_or_left_out() {
    let long = "A".repeat(129);
    for bad in [
        "AC1/..",
        "AC1?x=1",
        "AC..",
        "AC 1",
        "AC1\u{0}",
        "ACÀ",
        long.as_str(),
    ] {
        for (name, pointer) in [
            ("legacy-v4.call.completed.answered.json", "/data/object/id"),
            ("legacy-v4.message.received.json", "/data/object/id"),
            (
                "legacy-v4.call.summary.completed.json",
                "/data/object/callId",
            ),
            (
                "v2026-03-30.call.transcript.completed.json",
                "/data/resource/callId",
            ),
        ] {
            let verdict = with(name, pointer, json!(bad));
            assert!(
                matches!(verdict, Err(PayloadError::BadId { .. })),
                "{name} {bad:?}: {verdict:?}"
            );
        }
        // An event's id that cannot be used counts as missing.
        let event = with("v2026-03-30.message.received.json", "/id", json!(bad));
        let event = event.expect("tolerated");
        assert!(event.id.as_str().starts_with("sha256-"), "{bad}");
    }
    let call = "legacy-v4.call.completed.answered.json";
    let event = with(
        call,
        "/data/object/contactIds",
        json!(["../x", "CT1", "CT1"]),
    );
    let event = event.expect("tolerated");
    assert_eq!(event.oddities, [r#"contact id left out: "../x""#]);
    let text = rendered(&event);
    assert!(text.contains("contacts CT1\n"), "{text}");
    let event = with(call, "/data/object/userId", json!("a/b")).expect("tolerated");
    assert_eq!(event.oddities, [r#"user id left out: "a/b""#]);
    let many: Vec<String> = (0..1000).map(|number| format!("/{number}")).collect();
    let event = with(call, "/data/object/contactIds", json!(many)).expect("tolerated");
    assert_eq!(event.oddities.len(), 20);
}

#[test]
fn smallest_payload_is_an_event_of_its_own() {
    let smallest = json!({"data": {"object": {"direction": "incoming", "text": "Hi",
        "from": "+12025550147", "to": "+13125550100"}}});
    let text = smallest.to_string();
    let event = parse_now(text.as_bytes()).expect("an event");
    let Subject::Message(message) = &event.subject else {
        panic!("a message")
    };
    assert_eq!(event.event_type, "message.received");
    let hash = event.id.as_str().strip_prefix("sha256-").expect("a hash");
    assert_eq!(hash.len(), 64);
    let id = message.context.id.as_str();
    assert_eq!(id.strip_prefix("local-"), hash.get(..24));
    assert!(message.context.id.is_local());
    assert_eq!(
        message.context.when().map(|at| at.to_string()).as_deref(),
        Some("2026-11-01T00:00:00Z")
    );
    assert_eq!(
        parse_now(text.as_bytes()).as_ref(),
        Ok(&event),
        "the same again"
    );
    let spaced = parse_now(text.replace(':', ": ").as_bytes()).expect("an event");
    assert_ne!(spaced.id, event.id);
}

#[test]
fn time_is_the_activitys_else_its_end_else_the_deliverys_else_the_receipts() {
    let call = |name: &str, part: &str, gone: &[&str]| {
        let mut document = sample(name).value();
        for key in gone {
            let body = document["data"][part].as_object_mut().expect("an object");
            body.remove(*key);
            if gone.len() > 2 {
                document.as_object_mut().expect("an object").remove(*key);
            }
        }
        let event = reparse(&document).expect("an event");
        let context = match event.subject {
            Subject::Call(update) => update.context,
            Subject::Message(message) => message.context,
            Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => {
                panic!("{name}")
            }
        };
        let at = context.when().map(|at| at.to_string());
        (context.at.is_some(), at.unwrap_or_default())
    };
    let name = "v2026-03-30.call.completed.answered.json";
    let (own, at) = call(name, "resource", &[]);
    assert_eq!((own, &at[..16]), (true, "2026-10-02T15:00"));
    let (own, at) = call(name, "resource", &["createdAt"]);
    assert_eq!((own, &at[..16]), (false, "2026-10-02T15:05"));
    let (own, at) = call(name, "resource", &["createdAt", "completedAt"]);
    assert_eq!((own, &at[..16]), (false, "2026-10-02T15:05"));
    let (own, at) = call(name, "resource", &["createdAt", "completedAt", "x"]);
    assert_eq!((own, at.as_str()), (false, "2026-11-01T00:00:00Z"));
}

#[test]
fn type_of_an_event_tells_the_direction() {
    for (name, pointer, began) in [
        (
            "legacy-v4.message.received.json",
            "/data/object/direction",
            "Settled(Incoming)",
        ),
        (
            "legacy-v4.message.delivered.json",
            "/data/object/direction",
            "Settled(Outgoing)",
        ),
        (
            "v2026-03-30.call.missed.json",
            "/data/resource/direction",
            "Settled(Incoming)",
        ),
        (
            "legacy-v4.call.completed.missed.json",
            "/data/object/direction",
            "Said(Outgoing)",
        ),
    ] {
        let event = with(name, pointer, json!("outgoing")).expect("tolerated");
        let text = rendered(&event);
        assert!(text.contains(began), "{name}: {text}");
    }
    let sideways = with(
        "legacy-v4.call.completed.missed.json",
        "/data/object/direction",
        json!("sideways"),
    );
    assert!(rendered(&sideways.expect("tolerated")).contains("Unsaid"));
}

#[test]
fn voicemail_of_an_unknown_call_stands_for_itself() {
    let event = with(
        "v2026-03-30.call.voicemail.completed.json",
        "/data/resource/callId",
        Value::Null,
    );
    let event = event.expect("tolerated");
    let own = sample("v2026-03-30.call.voicemail.completed.json").value();
    let own = own["data"]["resource"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(
        event.subject.activity_id().map(ToString::to_string),
        Some(own)
    );
}

#[test]
fn what_is_announced_and_brings_nothing_is_to_be_asked_for() {
    for (name, part, changes) in [
        (
            "legacy-v4.call.summary.completed.json",
            "object",
            json!({"summary": [], "nextSteps": null}),
        ),
        (
            "v2026-03-30.call.transcript.completed.json",
            "resource",
            json!({"dialogue": null}),
        ),
        (
            "v2026-03-30.call.recording.completed.json",
            "resource",
            json!({"recordings": []}),
        ),
        (
            "v2026-03-30.call.voicemail.completed.json",
            "resource",
            json!({"recordingUrl": null, "transcript": null}),
        ),
        (
            "legacy-v4.call.transcript.completed.json",
            "object",
            json!({"status": "in-progress"}),
        ),
    ] {
        let said = change(name, &json!({"data": {part: changes}}));
        assert!(said.contains("to be asked for"), "{name}: {said}");
    }
}

#[test]
fn test_of_a_subscription_is_known_by_its_id() {
    let test = |id: &str| {
        let event = json!({"id": id, "type": "message.received",
            "data": {"resource": {"id": "AC sample"}, "context": {}}});
        reparse(&event).map(|event| super::is_test(&event))
    };
    assert_eq!(test("EV-test-message-received"), Ok(true));
    assert!(matches!(test("EVx"), Err(PayloadError::BadId { .. })));
}

/// The lines of a changed sample that the unchanged one has not.
fn change(name: &str, changes: &Value) -> String {
    let mut document = sample(name).value();
    merge(&mut document, changes);
    let event = reparse(&document).unwrap_or_else(|err| panic!("{name} {changes}: {err}"));
    let before = rendered(&sample(name).event());
    let after = rendered(&event);
    let new: Vec<&str> = after
        .lines()
        .filter(|line| !before.lines().any(|had| had == *line))
        .map(str::trim)
        .collect();
    new.join("\n")
}

fn merge(value: &mut Value, changes: &Value) {
    let (Value::Object(object), Value::Object(changes)) = (&mut *value, changes) else {
        *value = changes.clone();
        return;
    };
    for (key, change) in changes {
        merge(
            object.entry(key).or_insert(Value::Object(Map::new())),
            change,
        );
    }
}

#[test]
fn missed_call_of_v4_may_have_a_voicemail() {
    let name = "legacy-v4.call.completed.missed.json";
    let v4 = |changes: Value| change(name, &json!({"data": {"object": changes}}));
    let at = "2026-10-01T15:30:05Z";
    assert!(rendered(&sample(name).event()).contains("to be asked for [Voicemail]"));
    assert_eq!(
        v4(json!({"answeredAt": at})),
        "outcome Answered(None) secs Some(16)"
    );
    let gone = with(name, "/data/object/voicemail", Value::Null).expect("tolerated");
    assert!(!rendered(&gone).contains("to be asked for"));
    let outgoing = v4(json!({"direction": "outgoing"}));
    assert!(outgoing.contains("outcome NoAnswer"), "{outgoing}");
}

#[test]
fn artifacts_count_only_when_they_are_complete() {
    let lost = |name: &str, part: &str, changes: Value| {
        let had = |event: &Event| {
            matches!(&event.subject,
            Subject::Call(news) if !news.artifacts.is_empty())
        };
        let mut document = sample(name).value();
        merge(&mut document, &json!({"data": {part: changes.clone()}}));
        let event = reparse(&document).expect("tolerated");
        assert!(
            had(&sample(name).event()) && !had(&event),
            "{name} {changes}"
        );
    };
    for status in ["in-progress", "absent", "failed"] {
        lost(
            "legacy-v4.call.summary.completed.json",
            "object",
            json!({"status": status}),
        );
        lost(
            "v2026-03-30.call.summary.completed.json",
            "resource",
            json!({"processingStatus": status}),
        );
        lost(
            "legacy-v4.call.transcript.completed.json",
            "object",
            json!({"status": status}),
        );
        lost(
            "v2026-03-30.call.transcript.completed.json",
            "resource",
            json!({"processingStatus": status}),
        );
    }
    lost(
        "legacy-v4.call.summary.completed.json",
        "object",
        json!({"summary": ["", " "], "nextSteps": null}),
    );
    lost(
        "v2026-03-30.call.transcript.completed.json",
        "resource",
        json!({"dialogue": null}),
    );
    lost(
        "v2026-03-30.call.transcript.completed.json",
        "resource",
        json!({"dialogue": [{"content": " "}, null]}),
    );
    lost(
        "v2026-03-30.call.recording.completed.json",
        "resource",
        json!({"recordings": []}),
    );
    lost(
        "v2026-03-30.call.recording.completed.json",
        "resource",
        json!({"recordings": [{"id": "CR1", "url": null}]}),
    );
    lost(
        "legacy-v2.call.recording.completed.json",
        "object",
        json!({"media": null}),
    );
    lost(
        "v2026-03-30.call.voicemail.completed.json",
        "resource",
        json!({"recordingUrl": null, "transcript": "\n"}),
    );
}

#[test]
fn links_lead_to_https_or_to_this_machine() {
    let link = |url: &str| {
        change(
            "legacy-v4.message.received.json",
            &json!({"data": {"deepLink": url}}),
        )
    };
    for good in [
        "https://my.quo.com/x",
        "HTTPS://my.openphone.com",
        "http://127.0.0.1:8080/a",
        "http://[::1]/",
        "http://localhost",
    ] {
        assert_eq!(link(good), format!("link {good}"));
    }
    for bad in [
        "http://my.quo.com/x",
        "http://localhost.example.com/",
        "http://localhost:x@example.com/",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://a b/",
        "https://a\u{0}/",
        "//my.quo.com",
        "é",
    ] {
        let odd = "oddity data.deepLink left out: a link was expected";
        assert_eq!(link(bad), format!("link -\n{odd}"));
    }
    assert_eq!(link(""), "link -");
}

#[test]
fn participants_of_any_spelling_are_found() {
    let v4 = |changes: Value| {
        change(
            "legacy-v4.message.received.json",
            &json!({"data": {"object": changes}}),
        )
    };
    let sides = |to: &str| format!("from [+12025550147] to [{to}] all [] own []");
    assert_eq!(
        v4(json!({"to": " +13125550162 ,, +16465550183,"})),
        sides("+13125550162 +16465550183")
    );
    assert_eq!(
        v4(json!({"to": ["+13125550162,72345", null, "Anonymous"]})),
        sides("+13125550162 \"72345\" \"Anonymous\"")
    );
    assert_eq!(v4(json!({"from": ["+12025550147"]})), "");
    assert_eq!(v4(json!({"from": null, "to": []})), "parties unknown");
    let dated = |changes: Value| {
        change(
            "v2026-03-30.call.missed.json",
            &json!({"data": {"context": changes}}),
        )
    };
    assert_eq!(dated(json!({"participants": null})), "parties unknown");
    assert_eq!(
        dated(json!({"participants": {"external": []}})),
        "from [] to [] all [] own [+14155550110]"
    );
    let unavailable = json!({"contacts": {"ids": ["CT1"], "lookupStatus": "unavailable"}});
    assert_eq!(dated(unavailable), "");
    let context = json!({"participants": {"resolution": "unavailable"}});
    let voicemail = change(
        "v2026-03-30.call.voicemail.completed.json",
        &json!({"data": {"context": context}}),
    );
    assert_eq!(
        voicemail,
        "from [+12025550147] to [+14155550110] all [] own []"
    );
}

#[test]
fn contact_fields_are_sorted_by_type_or_by_look() {
    let fields = |fields: Value| {
        let event = with(
            "legacy-v3.contact.updated.json",
            "/data/object/fields",
            fields,
        )
        .expect("tolerated");
        let text = rendered(&event);
        text.lines()
            .skip(3)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        fields(
            json!({"Work": ["a@b.c", "(202) 555-0147", "+33 1 23 45 67 89"],
                "Since": "2026-10-01", "Tags": "VIP"})
        ),
        "email Some(\"a@b.c\") phones [\"(202) 555-0147\", \"+33 1 23 45 67 89\"]\n\
         fields [(\"Since\", \"Since\", Text(\"2026-10-01\")), (\"Tags\", \"Tags\", Text(\"VIP\"))]"
    );
    assert_eq!(
        fields(
            json!([{"type": "string", "name": "Id", "value": "2025550147"}, {"type": "email",
                "value": "x"}, null])
        ),
        "email Some(\"x\") phones []\nfields [(\"Id\", \"Id\", Text(\"2025550147\"))]"
    );
    assert_eq!(
        fields(json!({"A": {"b": 1}, "B": null, "C": [true, 2, 1.5]})),
        "email None phones []\nfields [(\"A\", \"A\", Text(\"b: 1\")), (\"C\", \"C\", \
            List([\"true\", \"2\", \"1.5\"]))]"
    );
}

#[test]
fn text_is_kept_as_it_is() {
    let text = " \u{0}\u{1b}[31mRed\r\n\u{202e} {{x}} \u{1f4de} ";
    let event = with(
        "legacy-v3.message.received.json",
        "/data/object/body",
        json!(text),
    )
    .expect("tolerated");
    let Subject::Message(message) = event.subject else {
        panic!("message")
    };
    assert_eq!(message.text, text);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>()) {
        let _ = parse_now(&bytes).map_err(|err| err.to_string());
    }

    #[test]
    fn changed_bytes_are_read_without_panic(index in 0_usize..95, place in any::<u16>(),
        byte in any::<u8>()) {
        let mut bytes = samples().swap_remove(index).text.into_bytes();
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
        let _ = parse_now(&bytes).map_err(|err| err.to_string());
    }
}

/// What was said and by whom in the only transcript or voicemail of an event, shortly.
fn heard(event: &Event) -> String {
    let Subject::Call(news) = &event.subject else {
        return "no call".into();
    };
    let shown = news.artifacts.iter().map(|artifact| match artifact {
        Artifact::Transcript(said) => {
            let lines: Vec<&str> = said.iter().map(|line| line.text).collect();
            format!("transcript {}", lines.join(" / "))
        }
        Artifact::Voicemail { transcript, .. } => {
            format!("voicemail {}", transcript.as_deref().unwrap_or("-"))
        }
        Artifact::Recording(_) | Artifact::Summary(_) => artifact.kind().word().to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn word_for_a_state_that_nobody_knows_costs_nothing_that_is_there() {
    for status in [
        json!(7),
        json!("done"),
        json!("Completed"),
        json!(true),
        json!([]),
    ] {
        for (name, part, field) in [
            (
                "legacy-v4.call.transcript.completed.json",
                "object",
                "status",
            ),
            ("legacy-v4.call.summary.completed.json", "object", "status"),
            (
                "v2026-03-30.call.summary.completed.json",
                "resource",
                "processingStatus",
            ),
        ] {
            let mut document = sample(name).value();
            document["data"][part][field] = status.clone();
            let event = reparse(&document).expect("an event");
            assert_eq!(
                heard(&event),
                heard(&sample(name).event()),
                "{name} {status}"
            );
        }
    }
}

#[test]
fn dated_delivery_without_its_type_is_what_it_holds() {
    for name in [
        "v2026-03-30.call.summary.completed.json",
        "v2026-03-30.call.transcript.completed.json",
        "v2026-03-30.call.voicemail.completed.json",
        "v2026-03-30.call.completed.answered.json",
        "v2026-03-30.message.received.json",
        "v2026-03-30.message.received.media.json",
    ] {
        let mut document = sample(name).value();
        document.as_object_mut().expect("an object").remove("type");
        let (found, told) = (reparse(&document).expect("an event"), sample(name).event());
        assert_eq!(found.event_type, told.event_type, "{name}");
        assert_eq!(
            found.subject.activity_id(),
            told.subject.activity_id(),
            "{name}"
        );
        assert_eq!(heard(&found), heard(&told), "{name}");
    }
}

#[test]
fn words_of_a_call_are_found_wherever_they_stand_and_once() {
    let said = json!([{"content": "Hi", "identifier": "+12025550147"}]);
    for (field, value, want) in [
        (
            "media",
            json!([{"type": "transcription", "text": "Hi"}]),
            "transcript Hi",
        ),
        (
            "media",
            json!([{"type": "Transcript", "content": "Hi"}]),
            "transcript Hi",
        ),
        (
            "media",
            json!([{"type": "call/transcript", "dialogue": said}]),
            "transcript Hi",
        ),
        ("transcripts", json!([{"dialogue": said}]), "transcript Hi"),
        (
            "transcript",
            json!({"transcript": {"dialogue": said}}),
            "transcript Hi",
        ),
        ("voicemail", json!([{"transcript": "Hi"}]), "voicemail Hi"),
        (
            "voicemail",
            json!({"status": "done", "transcript": "Hi"}),
            "voicemail Hi",
        ),
        (
            "transcript",
            json!([{"text": "Hi"}, {"dialogue": [{"text": "You"}]}]),
            "transcript Hi / You",
        ),
    ] {
        let mut document = sample("legacy-v2.call.completed.missed.json").value();
        let object = document["data"]["object"]
            .as_object_mut()
            .expect("an object");
        object.insert(field.to_owned(), value.clone());
        assert_eq!(
            heard(&reparse(&document).expect("an event")),
            want,
            "{field} {value}"
        );
        // The same words in a second place are the same words.
        let object = document["data"]["object"]
            .as_object_mut()
            .expect("an object");
        if field == "media" {
            object.insert("dialogue".into(), said.clone());
            object.insert("transcription".into(), json!({"dialogue": said}));
            let twice = heard(&reparse(&document).expect("an event"));
            assert!(twice.matches("Hi").count() <= 2, "{twice}");
        }
    }
}

/// Each level costs a frame of the stack; a stranger must not choose how many.
#[test]
fn nesting_without_end_is_noted_and_costs_nothing() {
    let deep = |open: &str, inner: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        format!("{open}{inner}{close}")
    };
    let transcript = deep("{\"transcript\":", "\"Hi\"", "}");
    let list = deep("[", "\"Hi\"", "]");
    for (kind, field, value) in [
        ("call.completed", "transcript", &transcript),
        ("call.completed", "transcript", &list),
        ("call.completed", "media", &list),
        ("call.completed", "participants", &list),
        ("call.summary.completed", "jobs", &list),
        ("call.summary.completed", "summary", &list),
        ("contact.updated", "customFields", &list),
        ("contact.updated", "fields", &transcript),
    ] {
        let document = format!(
            r#"{{"type":"{kind}","data":{{"object":{{"id":"AC1","callId":"AC1",
            "direction":"incoming","from":"+12025550147","to":"+14155550110",
            "{field}":{value}}}}}}}"#
        );
        let event = parse_now(document.as_bytes()).expect("an event");
        assert_ne!(self::kind(&event), "unsupported", "{kind} {field}");
    }
}
