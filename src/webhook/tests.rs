//! Every sample of both vendors, what it means, and what becomes of it when it is damaged.
//!
//! A sample is added by putting its file into `fixtures` and running with `SNAPSHOTS=overwrite`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::{any, proptest};
use serde_json::{Map, Value, json};
use snapbox::assert_data_eq;

use super::{PayloadError, parse};
use crate::domain::call::{Artifact, Audio, CallFacts, Speaker};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::event::{ContactUpdate, Event, Subject};
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
        parse(self.text.as_bytes()).unwrap_or_else(|err| panic!("{}: {err}", self.name))
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
            let wanted = vendor || name.starts_with("legacy-") || name.starts_with("v2026-03-30.");
            wanted.then(|| Sample {
                name,
                text: fs::read_to_string(path).expect("text"),
            })
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(samples.len() >= 75, "{}", samples.len());
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

fn reparse(value: &Value) -> Result<Event, PayloadError> {
    parse(value.to_string().as_bytes())
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
            lines.extend(news.facts.as_ref().map(facts));
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
                .map(|media| format!("media {} {:?}", media.url, media.mime));
            lines.extend(media);
        }
        Subject::Contact(news) => lines.extend(contact(news)),
        Subject::Unsupported => lines.push("unsupported".into()),
        Subject::Incomplete { activity, missing } => {
            lines.push(format!("incomplete {activity:?} without {missing}"));
        }
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
    lines.push(format!("link {}", or_none(context.link.clone())));
    lines.push(match &context.parties {
        Parties::Sides { from, to } => format!("from {} to {}", parties(from), parties(to)),
        Parties::Mixed(all) => format!("mixed {}", parties(all)),
        Parties::Resolved { own, outside } => {
            format!("own {} outside {}", parties(own), parties(outside))
        }
        Parties::Unknown => "parties unknown".into(),
    });
    lines.push(match &context.contacts {
        ContactLookup::Ids(ids) => {
            format!(
                "contacts {}",
                ids.iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        }
        ContactLookup::None => "contacts -".into(),
    });
    format!(
        "{} at {} {} number {} user {}",
        context.id,
        or_none(context.at.map(|at| at.to_string())),
        or_none(
            context
                .direction
                .map(|direction| format!("{direction:?}").to_lowercase())
        ),
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

fn facts(facts: &CallFacts) -> String {
    format!("outcome {:?} secs {:?}", facts.outcome, facts.duration_secs)
}

fn artifact(artifact: &Artifact) -> String {
    let audio = |audio: &Audio| format!("{} {:?}", audio.url, audio.duration_secs);
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
                "summary {:?} next {:?} jobs {:?}",
                summary.lines, summary.next_steps, summary.jobs
            )
        }
        Artifact::Transcript(utterances) => {
            let said = utterances.iter().map(|utterance| match &utterance.speaker {
                Speaker::User(user) => format!("{user}: {:?}", utterance.text),
                Speaker::Party(speaker) => format!("{}: {:?}", party(speaker), utterance.text),
                Speaker::Unknown => format!("?: {:?}", utterance.text),
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
                .map(|f| (&f.name, &f.key, &f.values))
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
        snapbox::file!["../../fixtures/parsed/webhooks.txt"].raw()
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

fn blamed(err: &PayloadError) -> &str {
    match err {
        PayloadError::WrongShape { path, .. } | PayloadError::BadId { path, .. } => path,
        PayloadError::NotJson { .. } => panic!("{err}"),
    }
}

#[test]
fn wrong_type_in_any_field_is_tolerated_or_blamed_on_that_field() {
    for sample in samples() {
        let (document, original) = (sample.value(), sample.event());
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        for pointer in found {
            for wrong in wrong_values() {
                let mut damaged = document.clone();
                *damaged.pointer_mut(&pointer).expect("pointer") = wrong.clone();
                let at = dotted(&pointer);
                match reparse(&damaged) {
                    Ok(event) if ["id", "type", "verification_token"].contains(&at.as_str()) => {
                        assert_eq!(
                            event.subject,
                            Subject::Unsupported,
                            "{} {pointer} = {wrong}",
                            sample.name
                        );
                    }
                    Ok(event) => {
                        assert_eq!(event.id, original.id, "{} {pointer} = {wrong}", sample.name);
                    }
                    Err(err) => check_blame(&sample, (&pointer, &at), &err),
                }
            }
        }
    }
}

fn check_blame(sample: &Sample, (pointer, at): (&str, &str), err: &PayloadError) {
    let path = blamed(err);
    let frame = pointer == "/object" || ["type", "verification_token"].contains(&at);
    assert!(
        at.starts_with(path) || path.starts_with(at) || frame,
        "{} {pointer}: {err}",
        sample.name
    );
    assert!(
        sample.event().subject != Subject::Unsupported || frame,
        "{} {pointer}: {err}",
        sample.name
    );
    assert!(
        !err.to_string().contains("202e") && !err.to_string().contains('\u{1b}'),
        "{err}"
    );
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
            let without_id = |event: Result<Event, PayloadError>| {
                event.map(|event| (event.event_type, event.subject))
            };
            assert_eq!(
                without_id(reparse(&null)),
                without_id(reparse(&absent)),
                "{} {pointer}",
                sample.name
            );
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
        snapbox::file!["../../fixtures/parsed/ignored-fields.txt"].raw()
    );
}

#[test]
fn document_cut_off_anywhere_is_not_json() {
    for sample in samples() {
        let text = sample.text.trim_end();
        for end in 0..text.len() {
            let verdict = parse(&text.as_bytes()[..end]);
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
        json!({"type": "", "id": null}),
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
        parse(deep.as_bytes()).map(|event| event.id.to_string()),
        Ok("EV1".into())
    );
}

fn refused(document: impl AsRef<[u8]>) -> String {
    parse(document.as_ref()).expect_err("refused").to_string()
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn refusals_say_what_is_wrong_and_where() {
    let call = |id: &str, field: &str| {
        format!(
            r#"{{"id":"{id}","type":"call.completed","data":{{"object":{{"id":"AC1",{field}}}}}}}"#
        )
    };
    let deep = format!("\"media\":{}{}", "[".repeat(500), "]".repeat(500));
    for (document, want) in [
        (
            String::new(),
            "payload is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        (
            "hello".into(),
            "payload is not JSON: expected value at line 1 column 1",
        ),
        (
            "{}{}".into(),
            "payload is not JSON: trailing characters at line 1 column 3",
        ),
        (
            "{\n \"type\": nul".into(),
            "payload is not JSON: EOF while parsing a value at line 2 column 12",
        ),
        (
            "[]".into(),
            "payload has the wrong shape: expected an object",
        ),
        (
            "\"{}\"".into(),
            "payload has the wrong shape: expected an object",
        ),
        (
            "7".into(),
            "payload has the wrong shape: expected an object",
        ),
        (
            "null".into(),
            "payload has the wrong shape: expected an object",
        ),
        (
            "{}".into(),
            "payload has the wrong shape: type: expected a text",
        ),
        (
            r#"{"object":{"id":"EV1"}}"#.into(),
            "payload has the wrong shape: type: expected a text",
        ),
        (
            r#"{"type":7,"id":"EV1"}"#.into(),
            "payload has the wrong shape: type: expected a text",
        ),
        (
            r#"{"type":"call.completed"}"#.into(),
            "payload has no usable event id: id",
        ),
        (
            call("EV/..", r#""x":1"#),
            "payload has no usable event id: id",
        ),
        (
            r#"{"type":"call.completed","id":"EV1"}"#.into(),
            "payload has the wrong shape: data: expected an object",
        ),
        (
            r#"{"type":"call.completed","id":"EV1","data":{}}"#.into(),
            "payload has the wrong shape: data: expected `object` or `resource` in it",
        ),
        (
            r#"{"type":"call.completed","id":"EV1","data":{"object":["AC1"]}}"#.into(),
            "payload has the wrong shape: data.object: expected an object",
        ),
        (
            call("EV1", r#""id":"AC1""#),
            "payload has the wrong shape: data.object: duplicate field `id`",
        ),
        (
            call("EV1", r#""duration":"5""#),
            "payload has the wrong shape: data.object.duration: expected f64",
        ),
        (
            call("EV1", r#""createdAt":"yesterday""#),
            "payload has the wrong shape: data.object.createdAt: expected a time such as \
                2026-10-01T15:00:00Z",
        ),
        (
            call("EV1", r#""participants":["+12025550147",5]"#),
            "payload has the wrong shape: data.object.participants[1]: expected a string",
        ),
        (
            call("EV1", &deep),
            "payload has the wrong shape: data.object.media[0]: expected an object with a link, \
                or a link",
        ),
    ] {
        assert_eq!(refused(&document), want, "{document}");
    }
    assert_eq!(
        refused(b"{\n\"a\": \"\xff\"}"),
        "payload is not JSON: invalid UTF-8 at line 2 column 7"
    );
}

#[test]
fn ids_that_could_leave_their_url_are_refused_or_left_out() {
    for bad in [
        "AC1/..",
        "AC1?x=1",
        "..",
        "",
        "AC 1",
        "AC1\u{0}",
        "ÀC1",
        &"A".repeat(129),
    ] {
        for (name, pointer) in [
            ("legacy-v4.call.completed.answered.json", "/data/object/id"),
            ("legacy-v4.message.received.json", "/data/object/id"),
            (
                "legacy-v4.call.summary.completed.json",
                "/data/object/callId",
            ),
            ("legacy-v3.contact.updated.json", "/data/object/id"),
            (
                "v2026-03-30.call.transcript.completed.json",
                "/data/resource/callId",
            ),
            ("v2026-03-30.message.received.json", "/id"),
        ] {
            let verdict = with(name, pointer, json!(bad));
            assert!(
                matches!(verdict, Err(PayloadError::BadId { .. })),
                "{name} {bad:?}: {verdict:?}"
            );
        }
    }
    let event = with(
        "legacy-v4.call.completed.answered.json",
        "/data/object/contactIds",
        json!(["../x", "CT1", "CT1"]),
    );
    let event = event.expect("tolerated");
    assert_eq!(event.oddities, [r#"contact id left out: "../x""#]);
    assert!(
        rendered(&event).contains("contacts CT1\n"),
        "{}",
        rendered(&event)
    );
    let event = with(
        "legacy-v4.call.completed.answered.json",
        "/data/object/userId",
        json!("a/b"),
    )
    .expect("tolerated");
    assert_eq!(event.oddities, [r#"user id left out: "a/b""#]);
    let many = json!(vec!["/"; 1000]);
    let event = with(
        "legacy-v4.call.completed.answered.json",
        "/data/object/contactIds",
        many,
    )
    .expect("tolerated");
    assert_eq!(event.oddities.len(), 20);
}

#[test]
fn what_cannot_be_done_without_is_named() {
    for (name, pointer, missing) in [
        (
            "legacy-v2.call.completed.missed.json",
            "/data/object/direction",
            "direction",
        ),
        (
            "legacy-v4.call.completed.missed.json",
            "/data/object/createdAt",
            "createdAt",
        ),
        (
            "legacy-v4.message.received.json",
            "/data/object/direction",
            "direction",
        ),
        (
            "v2026-03-30.message.received.json",
            "/data/resource/createdAt",
            "createdAt",
        ),
        (
            "v2026-03-30.call.missed.json",
            "/data/resource/createdAt",
            "createdAt",
        ),
    ] {
        let event = with(name, pointer, Value::Null).expect("tolerated");
        let Subject::Incomplete {
            activity: Some(_),
            missing: named,
        } = event.subject
        else {
            panic!("{name}")
        };
        assert_eq!(named, missing, "{name}");
    }
    let sideways = with(
        "legacy-v4.call.completed.missed.json",
        "/data/object/direction",
        json!("sideways"),
    );
    assert!(matches!(
        sideways.expect("tolerated").subject,
        Subject::Incomplete {
            missing: "direction",
            ..
        }
    ));
    let voicemail = with(
        "v2026-03-30.call.voicemail.completed.json",
        "/data/resource/callId",
        Value::Null,
    );
    let voicemail = voicemail.expect("tolerated").subject;
    assert_eq!(
        voicemail,
        Subject::Incomplete {
            activity: None,
            missing: "callId"
        }
    );
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
fn outcome_of_a_call_follows_what_happened() {
    let v4 = |changes: Value| {
        change(
            "legacy-v4.call.completed.missed.json",
            &json!({"data": {"object": changes}}),
        )
    };
    let dated = |changes: Value| {
        change(
            "v2026-03-30.call.completed.missed.json",
            &json!({"data": {"resource": changes}}),
        )
    };
    let at = "2026-10-01T15:30:05Z";
    let answered = |by: &str| format!("outcome Answered({by}) secs Some(16)");
    assert_eq!(
        v4(json!({"status": "completed", "duration": 0})),
        "outcome Missed secs Some(0)"
    );
    assert_eq!(v4(json!({"answeredAt": at})), answered("None"));
    assert_eq!(
        v4(json!({"answeredAt": at, "answeredBy": "USx"})),
        answered("Some(UserId(\"USx\"))")
    );
    assert_eq!(
        v4(json!({"answeredAt": at, "answeredBy": "GRx"})),
        answered("None")
    );
    for ai in [
        json!({"answeredBy": "SYx"}),
        json!({"aiHandled": "ai-agent"}),
        json!({"status": "ai-handled"}),
    ] {
        assert_eq!(v4(ai.clone()), "outcome HandledByAi secs Some(16)", "{ai}");
    }
    assert_eq!(v4(json!({"aiHandled": false})), "");
    assert_eq!(v4(json!({"forwardedTo": ""})), "");
    assert_eq!(
        v4(json!({"status": "forwarded"})),
        "outcome Forwarded(None) secs Some(16)"
    );
    assert_eq!(
        v4(json!({"forwardedTo": "PNx"})),
        "outcome Forwarded(Some(Other(\"PNx\"))) secs Some(16)"
    );
    assert_eq!(
        v4(json!({"forwardedTo": "PNx", "answeredAt": at, "answeredBy": "USx"})),
        answered("Some(UserId(\"USx\"))")
    );
    assert_eq!(dated(json!({"status": "unknown"})), "");
    assert_eq!(dated(json!({"status": "answered"})), "");
    assert_eq!(
        dated(json!({"hasVoicemail": true, "duration": -3})),
        "outcome Voicemail secs None"
    );
    let outgoing = dated(json!({"direction": "outgoing", "hasVoicemail": true}));
    assert!(
        outgoing.ends_with("outcome NoAnswer secs None"),
        "{outgoing}"
    );
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
    for status in ["in-progress", "absent", "failed", ""] {
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
        assert_eq!(link(bad), format!("link -\noddity link left out: {bad:?}"));
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
    let sides = |to: &str| format!("from [+12025550147] to [{to}]");
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
        "own [+14155550110] outside []"
    );
    let unavailable = json!({"contacts": {"ids": ["CT1"], "lookupStatus": "unavailable"}});
    assert_eq!(dated(unavailable), "");
    let context = json!({"participants": {"resolution": "unavailable"}});
    let voicemail = change(
        "v2026-03-30.call.voicemail.completed.json",
        &json!({"data": {"context": context}}),
    );
    assert_eq!(voicemail, "from [+12025550147] to [+14155550110]");
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
         fields [(\"Since\", \"Since\", [\"2026-10-01\"]), (\"Tags\", \"Tags\", [\"VIP\"])]"
    );
    assert_eq!(
        fields(
            json!([{"type": "string", "name": "Id", "value": "2025550147"}, {"type": "email",
                "value": "x"}, null])
        ),
        "email Some(\"x\") phones []\nfields [(\"Id\", \"Id\", [\"2025550147\"])]"
    );
    assert_eq!(
        fields(json!({"A": {"b": 1}, "B": null, "C": [true, 2, 1.5]})),
        "email None phones []\nfields [(\"C\", \"C\", [\"true\", \"2\", \"1.5\"])]"
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
        assert!(parse(&bytes).is_err());
    }

    #[test]
    fn changed_bytes_are_read_without_panic(index in 0_usize..75, place in any::<u16>(),
        byte in any::<u8>()) {
        let mut bytes = samples().swap_remove(index).text.into_bytes();
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
        let _ = parse(&bytes).map_err(|err| err.to_string());
    }
}
