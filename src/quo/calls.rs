//! A call by its id, from either surface: v1 lists at most two parties without sides, 2026-03-30
//! all of them and who of them belongs to the workspace.
//!
//! Apart from [`super::artifacts`], which come later and from other endpoints.
//! <https://www.quo.com/docs/mdx/api-reference/calls/get-a-call-by-id>
//! <https://www.quo.com/docs/2026-03-30/calls/get-a-call-by-id>

use serde::Deserialize;
use serde_json::Value;

use super::artifacts::{self, Availability, WireSummary, WireVoicemail};
use super::messages::direction;
use super::refusal::{Error, found};
use super::{Surface, wire};
use crate::domain::call::{Artifact, CallFacts, CallOutcome, CallSigns, CallUpdate};
use crate::domain::context::{ContactLookup, Context};
use crate::domain::id::{ActivityId, NumberId, UserId};
use crate::domain::parties::{Direction, Parties, Party};
use crate::http::Request;

/// `GET /v1/calls/{id}`; the same path on the dated surface.
pub fn get(id: &ActivityId) -> Request {
    Request::get(format!("/calls/{id}"))
}

/// Fetches a call, from the dated surface when it has too many parties for v1.
pub(super) fn fetch<F>(id: &ActivityId, send: F) -> Result<Option<CallUpdate>, Error>
where
    F: Fn(Surface, Request) -> Result<Vec<u8>, Error>,
{
    let body = match send(Surface::V1, get(id)) {
        Err(Error::Refused(refusal)) if refusal.is_too_many_participants() => {
            send(Surface::Dated, get(id))
        }
        other => other,
    };
    found(body)?.map(|body| parse(&body)).transpose()
}

/// Reads the reply to [`get`] from either surface. Without a direction the call has no facts.
pub fn parse(body: &[u8]) -> Result<CallUpdate, Error> {
    let wire: WireCall = wire::data("call", body)?;
    let id = ActivityId::parse(&wire.id).map_err(|bad| Error::unreadable("call", bad, body))?;
    let direction = wire.direction.as_deref().and_then(direction);
    let facts = direction.map(|direction| facts(&wire, direction));
    let context = Context {
        id,
        at: wire::time(wire.created_at.as_deref()),
        direction,
        number_id: wire
            .phone_number_id
            .as_deref()
            .and_then(|id| NumberId::parse(id).ok()),
        user_id: user(wire.actor_id.as_deref()).or_else(|| user(wire.user_id.as_deref())),
        link: None,
        parties: parties(&wire.participants),
        contacts: ContactLookup::None,
    };
    let artifacts = included(wire.summary, wire.voicemail.as_ref());
    Ok(CallUpdate {
        context,
        facts,
        artifacts,
        unannounced: Vec::new(),
    })
}

fn facts(wire: &WireCall, direction: Direction) -> CallFacts {
    let status = wire.status.as_deref().unwrap_or_default();
    let forwarded_to = wire.forwarded_to.as_deref().map(Party::parse);
    let outcome = CallOutcome::judge(CallSigns {
        direction,
        answered: wire.answered_at.is_some(),
        answered_by: user(wire.answered_by.as_deref()),
        ai: status == "ai-handled" || !matches!(wire.ai_handled, Value::Null | Value::Bool(false)),
        forwarded: if status == "forwarded" {
            Some(forwarded_to)
        } else {
            forwarded_to.map(Some)
        },
        voicemail: wire.voicemail.is_some(),
    });
    CallFacts {
        outcome,
        duration_secs: wire::seconds(wire.duration),
    }
}

/// Who took part. Whoever has an actor belongs to the workspace; where nobody has one, as on v1,
/// the sides are open. A number that rings for several people is listed once.
fn parties(participants: &[WireParticipant]) -> Parties {
    let (mut own, mut outside) = (Vec::new(), Vec::new());
    for participant in participants {
        let (number, side) = match participant {
            WireParticipant::Number(number) => (Some(number), &mut outside),
            WireParticipant::Named {
                phone_number,
                actor_id: None,
            } => (phone_number.as_ref(), &mut outside),
            WireParticipant::Named {
                phone_number,
                actor_id: Some(_),
            } => (phone_number.as_ref(), &mut own),
        };
        let party = number.map(|number| Party::parse(number));
        side.extend(party.filter(|party| !side.contains(party)));
    }
    outside.retain(|party| !own.contains(party));
    match (own.is_empty(), outside.is_empty()) {
        (true, true) => Parties::Unknown,
        (true, false) => Parties::Mixed(outside),
        (false, _) => Parties::Resolved { own, outside },
    }
}

fn included(summary: Option<WireSummary>, voicemail: Option<&WireVoicemail>) -> Vec<Artifact> {
    let both = [
        summary.map(artifacts::summary),
        voicemail.map(artifacts::voicemail),
    ];
    both.into_iter()
        .flatten()
        .filter_map(Availability::ready)
        .collect()
}

fn user(id: Option<&str>) -> Option<UserId> {
    UserId::parse(id?).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCall {
    id: String,
    phone_number_id: Option<String>,
    user_id: Option<String>,
    actor_id: Option<String>,
    direction: Option<String>,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    participants: Vec<WireParticipant>,
    created_at: Option<String>,
    answered_at: Option<String>,
    answered_by: Option<String>,
    duration: Option<f64>,
    forwarded_to: Option<String>,
    #[serde(default)]
    ai_handled: Value,
    summary: Option<WireSummary>,
    voicemail: Option<WireVoicemail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireParticipant {
    Number(String),
    #[serde(rename_all = "camelCase")]
    Named {
        phone_number: Option<String>,
        actor_id: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{refused, sample};
    use super::*;
    use crate::domain::phone::Phone;

    fn outcome(fields: &Value) -> Option<CallOutcome> {
        let mut call = json!({"id": "AC1", "direction": "incoming", "status": "completed"});
        call.as_object_mut()
            .expect("object")
            .extend(fields.as_object().expect("object").clone());
        parse(json!({ "data": call }).to_string().as_bytes())
            .expect("readable")
            .facts
            .map(|facts| facts.outcome)
    }

    #[test]
    fn call_with_many_parties_is_read_from_the_dated_surface() {
        let id = ActivityId::parse("AC1").expect("valid");
        let refuse = |name: &str, status| {
            let body = serde_json::from_slice(&sample(name)).expect("JSON");
            Err(Error::from(refused(status, body)))
        };
        let too_many = || refuse("error-v1.400.too-many-participants", 400);
        let group = fetch(&id, |surface, _| match surface {
            Surface::V1 => too_many(),
            Surface::Dated => Ok(sample("api-2026-03-30.call.get.group")),
        });
        let group = group.expect("readable").expect("present");
        assert_eq!(
            group.context.id.as_str(),
            "AC000000000000000000000000000001c0"
        );
        let nowhere = fetch(&id, |surface, _| match surface {
            Surface::V1 => too_many(),
            Surface::Dated => refuse("error-2026-03-30.404", 404),
        });
        assert_eq!(nowhere.expect("no failure"), None);
        let v1_only = |name: &'static str, status| {
            fetch(&id, move |surface, _| match surface {
                Surface::V1 => refuse(name, status),
                Surface::Dated => panic!("asked the dated surface after {name}"),
            })
        };
        assert_eq!(v1_only("error-v1.404", 404).expect("no failure"), None);
        assert!(matches!(
            v1_only("error-v1.400.validation", 400),
            Err(Error::Refused(_))
        ));
        assert!(matches!(
            v1_only("error-v1.401.live", 401),
            Err(Error::Denied(_))
        ));
    }

    #[test]
    fn outcome_is_read_from_fields_not_from_the_status() {
        let check =
            |fields: Value, expected| assert_eq!(outcome(&fields), Some(expected), "{fields}");
        check(
            json!({"status": "completed", "duration": 16}),
            CallOutcome::Missed,
        );
        check(
            json!({"status": "answered", "answeredAt": null}),
            CallOutcome::Missed,
        );
        check(
            json!({"answeredAt": "2026-10-01T15:00:06.000Z"}),
            CallOutcome::Answered(None),
        );
        check(
            json!({"answeredAt": "x", "answeredBy": "SYsona0001"}),
            CallOutcome::HandledByAi,
        );
        check(json!({"aiHandled": "ai-agent"}), CallOutcome::HandledByAi);
        check(json!({"status": "ai-handled"}), CallOutcome::HandledByAi);
        check(json!({"status": "forwarded"}), CallOutcome::Forwarded(None));
        let elsewhere = Phone::parse("+12125550199").map(Party::Phone);
        check(
            json!({"forwardedTo": "+12125550199"}),
            CallOutcome::Forwarded(elsewhere),
        );
        let colleague = Some(Party::Other("USdevon002".into()));
        check(
            json!({"forwardedTo": "USdevon002"}),
            CallOutcome::Forwarded(colleague),
        );
        check(
            json!({"direction": "outgoing", "status": "busy"}),
            CallOutcome::NoAnswer,
        );
        assert_eq!(outcome(&json!({"direction": "sideways"})), None);
    }

    #[test]
    fn sides_are_told_apart_only_by_actors() {
        let all = |numbers: &[&str]| numbers.iter().map(|number| Party::parse(number)).collect();
        let check = |participants: Value, expected: Parties| {
            let body = json!({"data": {"id": "AC1", "participants": participants}}).to_string();
            assert_eq!(
                parse(body.as_bytes()).expect("readable").context.parties,
                expected,
                "{participants}"
            );
        };
        let (own, rosa) = ("+14155550110", "+12025550147");
        let named = |number: &str, actor: Value| json!({"phoneNumber": number, "actorId": actor});
        check(json!([]), Parties::Unknown);
        check(json!(null), Parties::Unknown);
        check(json!([rosa, own]), Parties::Mixed(all(&[rosa, own])));
        check(
            json!([named(rosa, json!(null)), named(own, json!(null))]),
            Parties::Mixed(all(&[rosa, own])),
        );
        check(
            json!([{"phoneNumber": null, "actorId": null}]),
            Parties::Unknown,
        );
        check(
            json!([
                named(own, json!(null)),
                named("Anonymous", json!(null)),
                named(own, json!("USmarta001")),
                named(own, json!("USdevon002"))
            ]),
            Parties::Resolved {
                own: all(&[own]),
                outside: all(&["Anonymous"]),
            },
        );
    }
}
