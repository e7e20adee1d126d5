//! Listed calls and texts, and what belongs to them, in the shape in which a v4 webhook would have
//! delivered them.
//!
//! Apart because it is Quo's shape, written instead of read; `crate::webhook` reads it, and the
//! tests here hold one to the other. Ids are made from the activity's, so that the same thing is
//! the same event in every run.

use serde::Serialize;
use serde_json::value::RawValue;

use super::history::{ActivityState, PastActivity, Thread};
use crate::domain::call::ArtifactKind;
use crate::domain::id::EventId;
use crate::domain::parties::Direction;
use crate::domain::phone::Phone;
use crate::json_line;
use crate::quo::words::{each_entry, each_item};

/// An event as a webhook would have delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its id.
    pub id: EventId,
    /// The event: JSON on one line.
    pub line: String,
}

/// The id of the event of something that belongs to a call; `None` for a voicemail, which v4 does
/// not announce.
pub fn artifact_id(activity: &PastActivity, kind: ArtifactKind) -> Option<EventId> {
    artifact_type(kind).map(|event_type| id(event_type, activity))
}

fn artifact_type(kind: ArtifactKind) -> Option<&'static str> {
    match kind {
        ArtifactKind::Voicemail => None,
        ArtifactKind::Recording => Some("call.recording.completed"),
        ArtifactKind::Summary => Some("call.summary.completed"),
        ArtifactKind::Transcript => Some("call.transcript.completed"),
    }
}

/// It has what the type is about: `call` of `call.completed`, `summary` of
/// `call.summary.completed`.
fn id(event_type: &str, activity: &PastActivity) -> EventId {
    let word = event_type.rsplit('.').nth(1).unwrap_or_default();
    EventId::made(&format!("backfill-{word}"), &activity.id)
}

/// The event of a call or text, as one line of JSON; `None` for one that is not over or did not get
/// through.
pub fn activity(thread: &Thread, activity: &PastActivity) -> Option<Announcement> {
    let event_type = match (activity.state, activity.direction) {
        (ActivityState::Open, _) => return None,
        (ActivityState::Answered | ActivityState::Unanswered, _) => "call.completed",
        (ActivityState::Text, Direction::Incoming) => "message.received",
        (ActivityState::Text, Direction::Outgoing) => "message.delivered",
    };
    let object = match activity.state {
        ActivityState::Text => put_in(&activity.record, &[("object", &text("message"))]),
        ActivityState::Open | ActivityState::Answered | ActivityState::Unanswered => {
            call(thread, activity, "null")
        }
    };
    Some(event(thread, activity, event_type, &object))
}

/// The event of something that belongs to a call, as one line of JSON; `data` is Quo's reply about
/// it, on one line too. `None` for a voicemail, which v4 does not announce.
pub fn artifact(
    thread: &Thread,
    activity: &PastActivity,
    kind: ArtifactKind,
    data: &str,
) -> Option<Announcement> {
    let event_type = artifact_type(kind)?;
    let object = match kind {
        ArtifactKind::Voicemail => return None,
        ArtifactKind::Recording => call(thread, activity, &finished(data)),
        ArtifactKind::Summary => part(data, "callSummary", activity),
        ArtifactKind::Transcript => part(data, "callTranscript", activity),
    };
    Some(event(thread, activity, event_type, &object))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Announced<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'static str,
    created_at: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    data: About<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    object: Box<RawValue>,
    deep_link: &'a str,
}

/// `object` is JSON.
fn event(thread: &Thread, activity: &PastActivity, event_type: &str, object: &str) -> Announcement {
    let (number, conversation, about) = (&thread.number, &thread.id, &activity.id);
    let id = id(event_type, activity);
    let ended = field(&activity.record, "completedAt")
        .and_then(|ended| serde_json::from_str::<String>(ended).ok());
    let line = json_line::render(&Announced {
        id: id.as_str(),
        object: "event",
        api_version: "v4",
        created_at: &ended.unwrap_or_else(|| activity.at.to_string()),
        event_type,
        data: About {
            object: serde_json::from_str(object).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            deep_link: &format!("https://my.quo.com/inbox/{number}/c/{conversation}?at={about}"),
        },
    });
    Announcement { id, line }
}

/// The call as v4 has it: the caller first, and no recordings but in an event of their own.
fn call(thread: &Thread, activity: &PastActivity, recordings: &str) -> String {
    let mut others = Vec::new();
    each_item(
        field(&activity.record, "participants").unwrap_or("[]"),
        |other| {
            let other = serde_json::from_str::<String>(other).ok();
            let is_own = |other: &String| Phone::parse(other).as_ref() == Some(&thread.own);
            others.extend(other.filter(|other| !is_own(other)));
        },
    );
    if others.is_empty() {
        others.extend(thread.others.iter().map(Phone::to_string));
    }
    let own = vec![thread.own.to_string()];
    let participants = match activity.direction {
        Direction::Incoming => [others, own].concat(),
        Direction::Outgoing => [own, others].concat(),
    };
    let changes = [
        ("object", text("call")),
        ("participants", json_line::render(&participants)),
        ("recordings", recordings.to_owned()),
    ];
    put_in(
        &activity.record,
        &changes
            .each_ref()
            .map(|(name, json)| (*name, json.as_str())),
    )
}

/// What belongs to a call, as v4 has it.
fn part(data: &str, word: &str, activity: &PastActivity) -> String {
    let call_id = text(activity.id.as_str());
    put_in(data, &[("object", &text(word)), ("callId", &call_id)])
}

/// The object with some fields put in; no contact is matched in lists. Names and values are JSON.
fn put_in(object: &str, changes: &[(&str, &str)]) -> String {
    let mut all = String::with_capacity(object.len() + 256);
    let mut has_contacts = false;
    let mut push = |name: &str, value: &str| {
        let before = if all.is_empty() { '{' } else { ',' };
        all.extend([before.to_string().as_str(), &text(name), ":", value]);
    };
    each_entry(object, |name, value| {
        if changes.iter().all(|(changed, _)| *changed != name) {
            has_contacts |= name == "contactIds";
            push(&name, value);
        }
    });
    for (name, value) in changes {
        push(name, value);
    }
    if !has_contacts {
        push("contactIds", "[]");
    }
    all.push('}');
    all
}

/// The parts of a recording that have a link; of the others there is nothing to wait for.
fn finished(recordings: &str) -> String {
    let mut all = Vec::new();
    each_item(recordings, |part| {
        if field(part, "url").is_some_and(|url| url.starts_with('"')) {
            all.push(part);
        }
    });
    format!("[{}]", all.join(","))
}

/// The JSON of a field that is there and not null; of several with that name, of the last.
fn field<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    each_entry(object, |other, value| {
        if other == name {
            found = Some(value);
        }
    });
    found.filter(|value| *value != "null")
}

fn text(text: &str) -> String {
    json_line::render(&text)
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
    use serde_json::{Value, json};

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

    /// The event of a listed call or text.
    fn activity(thread: &Thread, listed: &PastActivity) -> Option<Value> {
        super::activity(thread, listed).map(|event| json_of(&event.line))
    }

    fn artifact(listed: &PastActivity, kind: ArtifactKind, data: &str) -> Option<Value> {
        super::artifact(&rosa(), listed, kind, data).map(|event| json_of(&event.line))
    }

    fn json_of(line: &str) -> Value {
        assert!(!line.contains(['\n', '\r']), "{line}");
        serde_json::from_str(line).expect("JSON")
    }

    fn data(name: &str) -> String {
        let reply: Value = serde_json::from_slice(&sample(name)).expect("JSON");
        reply["data"].to_string()
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
        let recorded = artifact(&calls[0], Recording, &recordings).expect("an event");
        assert_eq!(
            subject(read(&recorded)),
            subject(delivered("legacy-v4.call.recording.completed"))
        );
        assert_eq!(artifact(&calls[0], Voicemail, "{}"), None);
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
            let event = artifact(call, kind, &data(reply)).expect("an event");
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
        let told = |page: Value,
                    parse: fn(
            &[u8],
        ) -> Result<
            super::super::paging::Page<PastActivity>,
            super::super::Error,
        >| {
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
