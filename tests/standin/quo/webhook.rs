//! Webhook subscriptions of v1.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::http::Request;
use super::super::world::QuoState;
use super::{Answer, Refusal, WEBHOOK, no_route};

/// Without `userId` only the workspace owner's.
pub(super) fn list(quo: &QuoState, request: &Request) -> Answer {
    let owner = quo
        .users
        .iter()
        .find(|u| u["role"] == "owner")
        .and_then(|u| u["id"].as_str())
        .unwrap_or_default();
    let user = request.one("userId").unwrap_or_else(|| owner.to_owned());
    WEBHOOK.id("US", &user)?;
    let of_user: Vec<&Value> = quo
        .webhooks
        .iter()
        .filter(|w| w["userId"] == user.as_str())
        .collect();
    Ok((200, json!({"data": of_user})))
}

pub(super) fn create(quo: &mut QuoState, family: &str, body: &Value) -> Answer {
    let allowed = events_of(family).ok_or_else(|| unknown(family))?;
    let url = body["url"].as_str().unwrap_or_default();
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(WEBHOOK.invalid(
            "/url",
            "Expected string to match 'uri' format",
            &body["url"],
        ));
    }
    let events = body["events"].as_array().cloned().unwrap_or_default();
    let sound = |e: &Value| e.as_str().is_some_and(|e| allowed.contains(&e));
    if events.is_empty() || !events.iter().all(sound) {
        return Err(WEBHOOK.invalid("/events", "Expected union value", &body["events"]));
    }
    let ids = body
        .get("resourceIds")
        .cloned()
        .unwrap_or_else(|| json!(["*"]));
    let listed = ids.as_array().cloned().unwrap_or_default();
    let all = listed.len() == 1 && listed[0] == "*";
    let numbers = listed
        .iter()
        .all(|i| i.as_str().is_some_and(|i| i.starts_with("PN")));
    if listed.is_empty() || listed.len() > 10 || !(all || numbers) {
        return Err(WEBHOOK.invalid("/resourceIds", "Expected union value", &ids));
    }
    if body
        .get("status")
        .is_some_and(|s| s != "enabled" && s != "disabled")
    {
        return Err(WEBHOOK.invalid("/status", "Expected union value", &body["status"]));
    }
    let id = quo.next_id("WH");
    let now = Timestamp::now().to_string();
    let or = |key: &str, default: Value| body.get(key).cloned().unwrap_or(default);
    let webhook = json!({"id": id, "userId": or("userId", json!("USmarta001")),
        "orgId": "ORacme0001",
        "label": or("label", Value::Null), "status": or("status", json!("enabled")), "url": url,
        "key": super::super::world::QUO_WEBHOOK_SECRET, "createdAt": now, "updatedAt": now,
        "deletedAt": null,
        "events": events, "resourceIds": ids});
    quo.webhooks.push(webhook.clone());
    Ok((201, json!({"data": webhook})))
}

pub(super) fn delete(quo: &mut QuoState, id: &str) -> Answer {
    WEBHOOK.id("WH", id)?;
    let before = quo.webhooks.len();
    quo.webhooks.retain(|w| w["id"] != id);
    if quo.webhooks.len() == before {
        Err(WEBHOOK.missing())
    } else {
        Ok((204, Value::Null))
    }
}

fn events_of(family: &str) -> Option<&'static [&'static str]> {
    match family {
        "messages" => Some(&["message.received", "message.delivered"]),
        "calls" => Some(&["call.completed", "call.ringing", "call.recording.completed"]),
        "call-summaries" => Some(&["call.summary.completed"]),
        "call-transcripts" => Some(&["call.transcript.completed"]),
        _ => None,
    }
}

fn unknown(family: &str) -> Refusal {
    let path = format!("/v1/webhooks/{family}");
    let (method, query) = ("POST".to_owned(), String::new());
    no_route(&Request {
        method,
        path,
        query,
        headers: vec![],
        body: vec![],
    })
}
