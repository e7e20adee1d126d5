//! Every sample of Quo's replies in `fixtures/quo`, read to what it means, and hostile forms of all
//! of them.

#![allow(clippy::needless_raw_string_hashes)] // snapbox writes its snapshots with them

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use super::*;
use crate::domain::id::ConversationId;
use crate::domain::phone::Phone;
use crate::http::{self, Effect, Method};
use crate::quo::webhook;
use jiff::Timestamp;

type Read = fn(&[u8]) -> String;

/// Which samples are read by what. A list of calls or messages is read element by element.
const READERS: [(&str, Read); 26] = [
    ("api-2026-03-30.call.get.group", |body| {
        shown(calls::parse(body))
    }),
    ("api-2026-03-30.call.recordings", |body| {
        shown(artifacts::parse_dated(body, ArtifactKind::Recording))
    }),
    ("api-2026-03-30.call.transcripts", |body| {
        shown(artifacts::parse_dated(body, ArtifactKind::Transcript))
    }),
    ("api-2026-03-30.calls.list.include", |body| {
        each(body, |call| shown(calls::parse(call)))
    }),
    ("api-v1.call-recordings", |body| {
        shown(artifacts::parse(body, ArtifactKind::Recording))
    }),
    ("api-v1.call-recordings.none", |body| {
        shown(artifacts::parse(body, ArtifactKind::Recording))
    }),
    ("api-v1.call-recordings.processing", |body| {
        shown(artifacts::parse(body, ArtifactKind::Recording))
    }),
    ("api-v1.call-summary", |body| {
        shown(artifacts::parse(body, ArtifactKind::Summary))
    }),
    ("api-v1.call-summary.absent", |body| {
        shown(artifacts::parse(body, ArtifactKind::Summary))
    }),
    ("api-v1.call-transcript", |body| {
        shown(artifacts::parse(body, ArtifactKind::Transcript))
    }),
    ("api-v1.call-transcript.in-progress", |body| {
        shown(artifacts::parse(body, ArtifactKind::Transcript))
    }),
    ("api-v1.call-voicemail", |body| {
        shown(artifacts::parse(body, ArtifactKind::Voicemail))
    }),
    ("api-v1.call-voicemail.in-progress", |body| {
        shown(artifacts::parse(body, ArtifactKind::Voicemail))
    }),
    ("api-v1.call.get", |body| shown(calls::parse(body))),
    ("api-v1.call.get.missed", |body| shown(calls::parse(body))),
    ("api-v1.calls.list", |body| {
        each(body, |call| shown(calls::parse(call)))
    }),
    ("api-v1.contact.get", |body| {
        shown(contacts::parse_one(body).map(|record| record.contact))
    }),
    ("api-v1.contacts.list.last-page", page),
    ("api-v1.contacts.list.page1", page),
    ("api-v1.conversations.list", |body| {
        shown(conversations::parse_page(body))
    }),
    ("api-v1.message.get.media", |body| {
        shown(messages::parse(body))
    }),
    ("api-v1.messages.list", |body| {
        each(body, |message| shown(messages::parse(message)))
    }),
    ("api-v1.messages.list.group", |body| {
        each(body, |message| shown(messages::parse(message)))
    }),
    ("api-v1.phone-numbers.list", |body| {
        shown(numbers::parse(body))
    }),
    ("api-v1.user.get", |body| shown(users::parse_name(body))),
    ("api-v1.users.list", |body| {
        each(body, |user| shown(users::parse_name(user)))
    }),
];
/// The lists again, as a backfill reads and tells them.
const TOLD: [(&str, Read); 3] = [
    ("api-v1.calls.list", |body| told(history::parse_calls(body))),
    ("api-v1.messages.list", |body| {
        told(history::parse_messages(body))
    }),
    ("api-v1.messages.list.group", |body| {
        told(history::parse_messages(body))
    }),
];
/// Replies that nothing reads yet.
const UNREAD: [&str; 2] = ["api-v1.contact-custom-fields", "api-v1.webhooks.list"];

fn page(body: &[u8]) -> String {
    let page = contacts::parse_page(body, |record| record).map(|page| {
        let contacts: Vec<_> = page
            .records
            .into_iter()
            .map(|record| record.contact)
            .collect();
        (contacts, page.next)
    });
    shown(page)
}

#[test]
fn every_sample_is_read_to_what_it_means() {
    let read: Vec<_> = READERS
        .iter()
        .map(|(name, read)| format!("{name}\n{}\n", read(&sample(name))))
        .collect();
    assert_data_eq!(
        read.join("\n"),
        snapbox::file!["../../../fixtures/parsed/replies.txt"].raw()
    );
}

#[test]
fn no_sample_is_forgotten() {
    let read = READERS.iter().map(|(name, _)| *name).chain(UNREAD);
    let mut known: Vec<_> = read.map(str::to_owned).collect();
    known.sort();
    let mut present = samples("api-v1.");
    present.extend(samples("api-2026-03-30.call"));
    present.sort();
    assert_eq!(known, present);
}

#[test]
fn every_refusal_is_described_in_one_line() {
    let described = samples("error-").into_iter().map(|name| {
        let body: Value = serde_json::from_slice(&sample(&name)).expect("JSON");
        let status = name
            .split('.')
            .find_map(|part| part.parse().ok())
            .expect("status in the name");
        format!("{name}\n{}\n", QuoRefusal::read(status, &body, ""))
    });
    assert_data_eq!(
        described.collect::<Vec<_>>().join("\n"),
        snapbox::file!["../../../fixtures/parsed/refusals.txt"].raw()
    );
}

#[test]
fn refusal_without_the_vendors_form_is_still_told() {
    let told = |body: Value, text: &str| QuoRefusal::read(429, &body, text).to_string();
    assert_eq!(told(Value::Null, "slow down\n"), "429 slow down");
    assert_eq!(told(Value::Null, ""), "429 no reason given");
    assert_eq!(
        told(json!({"error": "rate limited", "code": 7}), ""),
        "429 rate limited"
    );
    assert_eq!(
        told(json!({"message": null, "title": "Too Many"}), ""),
        "429 Too Many"
    );
    assert_eq!(told(json!(["x"]), "[\"x\"]"), "429 [\"x\"]");
    assert_eq!(
        told(json!({"message": "a\n\u{1b}[31mb"}), ""),
        "429 a\\n\\u{1b}[31mb"
    );
    assert_eq!(
        told(Value::Null, &"é".repeat(1_000)).chars().count(),
        "429 ".len() + 300 + 1
    );
}

#[test]
fn denial_is_told_from_other_refusals() {
    for name in samples("error-") {
        let body: Value = serde_json::from_slice(&sample(&name)).expect("JSON");
        let status = name
            .split('.')
            .find_map(|part| part.parse().ok())
            .expect("status in the name");
        let error = Error::from(refused(status, body));
        assert_eq!(
            matches!(error, Error::Denied(_)),
            matches!(status, 401 | 403),
            "{name}"
        );
    }
    let too_many =
        serde_json::from_slice(&sample("error-v1.400.too-many-participants")).expect("JSON");
    let Error::Refused(refusal) = Error::from(refused(400, too_many)) else {
        panic!("a plain refusal")
    };
    assert!(refusal.is_too_many_participants());
    assert_eq!(refusal.request_id.as_deref(), Some("req-1"));
}

#[test]
fn requests_go_where_the_vendor_documents_them() {
    let call = ActivityId::parse("AC1").expect("valid");
    let contact = ContactId::parse("CT66f1a2b3c4d5e6f708192a3b").expect("valid");
    let user = UserId::parse("USmarta001").expect("valid");
    let by_kind = |get: fn(&ActivityId, ArtifactKind) -> Request| {
        ArtifactKind::ALL.map(|kind| get(&call, kind))
    };
    let mut requests = vec![
        contacts::get(&contact),
        contacts::list(Some("t")),
        numbers::list(),
        calls::get(&call),
        messages::get(&call),
        users::get(&user),
    ];
    requests.extend(by_kind(artifacts::get));
    requests.extend(by_kind(artifacts::get_dated));
    let lines: Vec<_> = requests
        .iter()
        .map(|request| {
            assert_eq!(
                (request.method, request.effect, &request.body),
                (Method::Get, Effect::Read, &None)
            );
            let query: Vec<_> = request
                .query
                .iter()
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            format!("{}{}", request.path, query.concat())
        })
        .collect();
    assert_data_eq!(
        lines.join("\n"),
        str![[r#"
/contacts/CT66f1a2b3c4d5e6f708192a3b
/contacts maxResults=50 pageToken=t
/phone-numbers
/calls/AC1
/messages/AC1
/users/USmarta001
/call-summaries/AC1
/call-voicemails/AC1
/call-transcripts/AC1
/call-recordings/AC1
/calls/AC1 include=summary
/calls/AC1 include=voicemail
/calls/AC1/transcripts limit=50
/calls/AC1/recordings limit=50
"#]]
    );
}

/// Puts each wrong value at each place of each sample: whatever comes of it, it is an answer, not a
/// panic.
#[test]
fn wrong_types_are_survived_everywhere() {
    let wrong = [
        json!(null),
        json!(-7.5),
        json!(1e300),
        json!("x"),
        json!(""),
        json!([]),
        json!([[null]]),
        json!({}),
        json!(true),
    ];
    for (name, read) in READERS.into_iter().chain(TOLD) {
        let body: Value = serde_json::from_slice(&sample(name)).expect("JSON");
        let mut places = Vec::new();
        collect_places(&body, String::new(), &mut places);
        for place in places {
            for wrong in &wrong {
                let mut body = body.clone();
                *body.pointer_mut(&place).expect("existing place") = wrong.clone();
                read(body.to_string().as_bytes());
            }
        }
        let whole = sample(name);
        for end in 0..whole.len() {
            read(&whole[..end]);
        }
    }
}

#[test]
fn unreadable_answer_is_told_with_its_place_but_without_its_whole_text() {
    let body = json!({"data": {"id": "../AC1", "text": "x".repeat(5_000)}}).to_string();
    let err = calls::parse(body.as_bytes()).expect_err("unreadable");
    assert_eq!(
        err.to_string(),
        "cannot read the call that quo sent: not a usable activity id"
    );
    let Error::Unreadable { body, .. } = err else {
        panic!("unreadable")
    };
    assert_eq!(body.len(), 2_000);
    let err = calls::parse(br#"{"data": [1]}"#).expect_err("unreadable");
    assert_eq!(
        err.to_string(),
        "cannot read the call that quo sent: data is no object"
    );
}

fn collect_places(value: &Value, place: String, places: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| collect_places(item, format!("{place}/{at}"), places));
        }
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, field)| collect_places(field, format!("{place}/{name}"), places));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    places.push(place);
}

/// The transport's error for an answer with that status and body.
pub(super) fn refused(status: u16, body: Value) -> http::Error {
    let (what, text) = (String::new(), "".into());
    http::Error::Refused {
        what,
        path: "".into(),
        status,
        body,
        text,
        request_id: Some("req-1".into()),
    }
}

fn shown<T: std::fmt::Debug>(read: Result<T, Error>) -> String {
    match read {
        Ok(it) => format!("{it:?}"),
        Err(err) => format!("error: {err}"),
    }
}

/// Whatever is told of a list, our own parser reads it.
fn told(page: Result<paging::Page<PastActivity>, Error>) -> String {
    let thread = history::Thread {
        number: NumberId::parse("PNmain0001").expect("valid"),
        own: Phone::parse("+14155550110").expect("valid"),
        id: ConversationId::parse("CN1").expect("valid"),
        others: vec![Phone::parse("+12025550147").expect("valid")],
    };
    let records = page.map(|page| page.records).unwrap_or_default();
    let events = records
        .iter()
        .filter_map(|record| announcement::activity(&thread, record))
        .map(|event| event.line);
    events
        .map(|event| {
            shown(
                webhook::parse(event.as_bytes(), Timestamp::UNIX_EPOCH)
                    .map_err(|err| Error::unreadable("event", err, b"")),
            )
        })
        .collect()
}

fn each(body: &[u8], read: Read) -> String {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = list["data"].as_array().cloned().unwrap_or_default();
    let read: Vec<_> = items
        .iter()
        .map(|item| read(json!({ "data": item }).to_string().as_bytes()))
        .collect();
    read.join("\n")
}

pub(super) fn sample(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.json"))).expect("sample")
}

/// Names of the samples that begin so, in order.
fn samples(prefix: &str) -> Vec<String> {
    let files = fs::read_dir(folder()).expect("folder of samples");
    let names = files.filter_map(|file| {
        Some(
            file.ok()?
                .file_name()
                .to_str()?
                .strip_suffix(".json")?
                .to_owned(),
        )
    });
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/quo")
}
