//! Listed calls and texts, and what belongs to them, in the shape in which a v4 webhook would have
//! delivered them.
//!
//! Apart because it is Quo's shape, written instead of read; `crate::webhook` reads it, and the
//! tests here hold one to the other. Ids are made from the activity's, so that the same thing is
//! the same event in every run.

use serde_json::{Map, Value, json};

use super::history::{Activity, State, Thread};
use crate::domain::call::ArtifactKind;
use crate::domain::id::EventId;
use crate::domain::parties::Direction;
use crate::domain::phone::Phone;

/// The event of a call or text; `None` for one that is not over or did not get through.
pub fn activity(thread: &Thread, activity: &Activity) -> Option<Value> {
    let event_type = match (activity.state, activity.direction) {
        (State::Open, _) => return None,
        (State::Answered | State::Unanswered, _) => "call.completed",
        (State::Text, Direction::Incoming) => "message.received",
        (State::Text, Direction::Outgoing) => "message.delivered",
    };
    let (word, object) = match activity.state {
        State::Text => (
            "message",
            with(&activity.record, &[("object", json!("message"))]),
        ),
        State::Open | State::Answered | State::Unanswered => ("call", call(thread, activity)),
    };
    Some(event(thread, activity, word, event_type, &object))
}

/// The event of something that belongs to a call; `data` is Quo's reply about it. `None` for a
/// voicemail, which v4 does not announce.
pub fn artifact(
    thread: &Thread,
    activity: &Activity,
    kind: ArtifactKind,
    data: &Value,
) -> Option<Value> {
    let fields = || data.as_object().cloned().unwrap_or_default();
    let call_id = ("callId", json!(activity.id.as_str()));
    let (word, event_type, object) = match kind {
        ArtifactKind::Voicemail => return None,
        ArtifactKind::Recording => {
            let recordings = ("recordings", finished(data));
            (
                "recording",
                "call.recording.completed",
                with(&call(thread, activity), &[recordings]),
            )
        }
        ArtifactKind::Summary => {
            let object = with(&fields(), &[("object", json!("callSummary")), call_id]);
            ("summary", "call.summary.completed", object)
        }
        ArtifactKind::Transcript => {
            let object = with(&fields(), &[("object", json!("callTranscript")), call_id]);
            ("transcript", "call.transcript.completed", object)
        }
    };
    Some(event(thread, activity, word, event_type, &object))
}

fn event(
    thread: &Thread,
    activity: &Activity,
    word: &str,
    event_type: &str,
    object: &Map<String, Value>,
) -> Value {
    let (number, conversation, id) = (&thread.number, &thread.id, &activity.id);
    let ended = activity
        .record
        .get("completedAt")
        .filter(|ended| ended.is_string());
    json!({
        "id": EventId::made(&format!("backfill-{word}"), id).as_str(),
        "object": "event",
        "apiVersion": "v4",
        "createdAt": ended.cloned().unwrap_or_else(|| json!(activity.at.to_string())),
        "type": event_type,
        "data": {
            "object": object,
            "deepLink": format!("https://my.quo.com/inbox/{number}/c/{conversation}?at={id}"),
        },
    })
}

/// The call as v4 has it: the caller first, and no recordings, which have an event of their own.
fn call(thread: &Thread, activity: &Activity) -> Map<String, Value> {
    let listed = activity
        .record
        .get("participants")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut others: Vec<&str> = listed
        .filter_map(Value::as_str)
        .filter(|other| Phone::parse(other).as_ref() != Some(&thread.own))
        .collect();
    if others.is_empty() {
        others = thread.others.iter().map(Phone::as_str).collect();
    }
    let own = vec![thread.own.as_str()];
    let participants = match activity.direction {
        Direction::Incoming => [others, own].concat(),
        Direction::Outgoing => [own, others].concat(),
    };
    let changes = [
        ("object", json!("call")),
        ("participants", json!(participants)),
        ("recordings", Value::Null),
    ];
    with(&activity.record, &changes)
}

/// The record with some fields of the delivery put in; no contact is matched in lists.
fn with(record: &Map<String, Value>, changes: &[(&str, Value)]) -> Map<String, Value> {
    let mut object = record.clone();
    object.entry("contactIds").or_insert_with(|| json!([]));
    object.extend(
        changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    object
}

/// The parts of a recording that have a link; of the others there is nothing to wait for.
fn finished(recordings: &Value) -> Value {
    let parts = recordings.as_array().into_iter().flatten();
    parts
        .filter(|part| part["url"].is_string())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::artifacts;
    use super::super::history::{parse_calls, parse_messages};
    use super::super::tests::sample;
    use super::*;
    use crate::domain::call::ArtifactKind::*;
    use crate::domain::event::{Event, Subject};
    use crate::domain::id::{ConversationId, NumberId};
    use crate::quo::webhook;
    use jiff::Timestamp;

    fn thread(others: &[&str]) -> Thread {
        Thread {
            number: NumberId::parse("PNmain0001").expect("valid"),
            own: Phone::parse("+14155550110").expect("valid"),
            id: ConversationId::parse("CN7f3a0c51e2b94d6a8f10c2d4e6a8b0c1").expect("valid"),
            others: others
                .iter()
                .filter_map(|other| Phone::parse(other))
                .collect(),
        }
    }

    fn rosa() -> Thread {
        thread(&["+12025550147"])
    }

    fn delivered(name: &str) -> Event {
        webhook::parse(&sample(name), Timestamp::UNIX_EPOCH).expect("readable")
    }

    fn read(event: &Value) -> Event {
        webhook::parse(event.to_string().as_bytes(), Timestamp::UNIX_EPOCH).expect("readable")
    }

    fn data(name: &str) -> Value {
        serde_json::from_slice::<Value>(&sample(name)).expect("JSON")["data"].clone()
    }

    /// Contacts are matched in deliveries only, and a delivery has a time of its own.
    fn subject(event: Event) -> Subject {
        let mut subject = event.subject;
        match &mut subject {
            Subject::Call(news) => {
                news.context.contacts = crate::domain::context::ContactLookup::None;
                news.context.later = None;
            }
            Subject::Message(message) => {
                message.context.contacts = crate::domain::context::ContactLookup::None;
                message.context.later = None;
            }
            Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => {}
        }
        subject
    }

    #[test]
    fn listed_call_is_told_as_its_delivery_tells_it() {
        let calls = parse_calls(&sample("api-v1.calls.list"))
            .expect("readable")
            .records;
        let incoming = activity(&rosa(), &calls[0]).expect("over");
        assert_eq!(
            incoming["id"],
            "backfill-call-AC00000000000000000000000000000141"
        );
        assert_eq!(
            subject(read(&incoming)),
            subject(delivered("legacy-v4.call.completed.answered"))
        );
        let outgoing = activity(&rosa(), &calls[1]).expect("over");
        assert_eq!(
            outgoing["data"]["object"]["participants"],
            json!(["+14155550110", "+12025550147"])
        );
        let recordings = data("api-v1.call-recordings");
        let recorded = artifact(&rosa(), &calls[0], Recording, &recordings).expect("an event");
        assert_eq!(
            subject(read(&recorded)),
            subject(delivered("legacy-v4.call.recording.completed"))
        );
        assert_eq!(artifact(&rosa(), &calls[0], Voicemail, &json!({})), None);
    }

    #[test]
    fn parts_of_a_call_are_told_as_their_deliveries_tell_them() {
        let call = &parse_calls(&sample("api-v1.calls.list"))
            .expect("readable")
            .records[0];
        for (kind, reply, delivery) in [
            (
                Summary,
                "api-v1.call-summary",
                "legacy-v4.call.summary.completed",
            ),
            (
                Transcript,
                "api-v1.call-transcript",
                "legacy-v4.call.transcript.completed",
            ),
        ] {
            let event = artifact(&rosa(), call, kind, &data(reply)).expect("an event");
            assert_eq!(event["type"], delivered(delivery).event_type);
            let Subject::Call(told) = read(&event).subject else {
                panic!("a call")
            };
            assert_eq!(told.context.id, call.id);
            let replied = artifacts::parse(&sample(reply), kind)
                .expect("readable")
                .ready();
            assert_eq!(told.artifacts, replied.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn listed_texts_are_told_as_their_deliveries_tell_them() {
        let texts = parse_messages(&sample("api-v1.messages.list"))
            .expect("readable")
            .records;
        let told: Vec<_> = texts
            .iter()
            .map(|text| activity(&rosa(), text).expect("arrived"))
            .collect();
        assert_eq!(
            [&told[0]["type"], &told[1]["type"]],
            ["message.received", "message.delivered"]
        );
        assert_eq!(
            subject(read(&told[0])),
            subject(delivered("legacy-v4.message.received"))
        );
        let group = parse_messages(&sample("api-v1.messages.list.group"))
            .expect("readable")
            .records;
        let others = thread(&["+12025550147", "+13125550162", "+16465550183"]);
        let told = read(&activity(&others, &group[0]).expect("arrived"));
        let (Subject::Message(ours), Subject::Message(theirs)) = (
            told.subject,
            delivered("legacy-v4.message.received.group").subject,
        ) else {
            panic!("messages")
        };
        assert_eq!(ours.context.parties, theirs.context.parties);
    }

    #[test]
    fn what_is_not_over_or_did_not_get_through_is_not_told() {
        let told =
            |page: Value,
             parse: fn(
                &[u8],
            )
                -> Result<super::super::paging::Page<Activity>, super::super::Error>| {
                let page = json!({"data": [page]}).to_string();
                let records = parse(page.as_bytes()).expect("readable").records;
                records
                    .first()
                    .and_then(|record| activity(&rosa(), record))
                    .map(|event| event["type"].clone())
            };
        let call = |status: &str| {
            told(
                json!({"id": "AC1", "direction": "incoming", "status": status,
                    "createdAt": "2026-10-01T15:00:00Z"}),
                parse_calls,
            )
        };
        for status in ["queued", "initiated", "ringing", "in-progress"] {
            assert_eq!(call(status), None, "{status}");
        }
        for status in ["completed", "no-answer", "missed", "some new word"] {
            assert_eq!(call(status), Some(json!("call.completed")), "{status}");
        }
        let text = |direction: &str, status: &str| {
            told(
                json!({"id": "AC1", "direction": direction, "status": status,
                    "createdAt": "2026-10-01T15:00:00Z"}),
                parse_messages,
            )
        };
        assert_eq!(
            text("incoming", "delivered"),
            Some(json!("message.received"))
        );
        assert_eq!(text("outgoing", "sent"), Some(json!("message.delivered")));
        assert_eq!(
            [
                text("outgoing", "undelivered"),
                text("outgoing", "queued"),
                text("sideways", "sent")
            ],
            [const { None }; 3]
        );
    }

    #[test]
    fn record_without_participants_gets_those_of_its_thread() {
        let body = json!({"data": [{"id": "AC1", "direction": "incoming",
            "createdAt": "2026-10-01T15:00:00Z"}]});
        let calls = parse_calls(body.to_string().as_bytes())
            .expect("readable")
            .records;
        let told = activity(&rosa(), &calls[0]).expect("over");
        assert_eq!(
            told["data"]["object"]["participants"],
            json!(["+12025550147", "+14155550110"])
        );
    }
}
