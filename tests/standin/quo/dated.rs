//! The surface with `Quo-Api-Version: 2026-03-30`, reading only: shown from the v1 objects.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::super::http::Request;
use super::super::world::QuoState;
use super::{Answer, DOCS, Refusal, TRACE};

pub(super) fn answer(quo: &mut QuoState, request: &Request) -> Answer {
    if request.header("quo-api-version") != Some("2026-03-30") {
        let message =
            "Unsupported or missing Quo-Api-Version header. Supported versions: 2026-03-30";
        return Err(refusal(400, ("Bad Request", message)));
    }
    if request.header("authorization") != Some(quo.key.as_str()) {
        return Err(refusal(401, ("Unauthorized", "Unauthorized")));
    }
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    if request.method != "GET" {
        return Err(refusal(404, ("Not Found", "Not Found")));
    }
    match parts.as_slice() {
        ["organization"] => Ok((
            200,
            super::super::demo::fixture("quo/api-2026-03-30.organization.json"),
        )),
        ["calls"] => calls(quo, request),
        ["calls", id] => one(
            quo.calls
                .iter()
                .find(|c| c["id"] == *id)
                .map(|c| call(quo, c, request)),
            "call",
        ),
        ["calls", id, "recordings"] => page(
            request,
            quo.recordings.get(*id).cloned().unwrap_or_default(),
        ),
        ["calls", id, "transcripts"] => transcripts(quo, request, id),
        ["contacts"] => contacts(quo, request),
        ["contacts", id] => one(
            quo.contacts.iter().find(|c| c["id"] == *id).map(contact),
            "contact",
        ),
        ["contacts", id, "properties"] => properties(quo, request, id),
        ["messages"] => page(request, newest(quo.messages.clone())),
        ["messages", id] => one(
            quo.messages.iter().find(|m| m["id"] == *id).cloned(),
            "message",
        ),
        ["phone-numbers"] => page(
            request,
            quo.phone_numbers.iter().map(phone_number).collect(),
        ),
        ["phone-numbers", id] => one(
            quo.phone_numbers
                .iter()
                .find(|p| p["id"] == *id)
                .map(phone_number),
            "phone number",
        ),
        ["users"] => page(request, quo.users.clone()),
        ["users", id] => one(quo.users.iter().find(|u| u["id"] == *id).cloned(), "user"),
        ["conversations"] => page(request, quo.conversations.clone()),
        ["webhooks"] => Ok((200, json!({"data": quo.dated_webhooks}))),
        _ => Err(refusal(404, ("Not Found", "Not Found"))),
    }
}

fn refusal(status: u16, (title, message): (&str, &str)) -> Refusal {
    Refusal(
        status,
        json!({"title": title, "message": message, "docs": DOCS, "trace": TRACE}),
    )
}

fn one(found: Option<Value>, what: &str) -> Answer {
    let missing = || refusal(404, ("Not Found", &format!("The {what} was not found")));
    found.map(|v| (200, json!({"data": v}))).ok_or_else(missing)
}

fn newest(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by(|a, b| b["createdAt"].as_str().cmp(&a["createdAt"].as_str()));
    items
}

/// `limit` 1–50, default 10, and an opaque `after`.
fn page(request: &Request, items: Vec<Value>) -> Answer {
    let given = request.one("limit");
    let size = given.as_deref().map_or(Some(10), |l| {
        l.parse::<usize>().ok().filter(|n| (1..=50).contains(n))
    });
    let Some(size) = size else {
        let message = "Validation failed for 1 field.";
        let Refusal(status, mut body) = refusal(400, ("Bad Request", message));
        body["errors"] = json!([{"path": "/query/limit", "message": "must be <= 50", "value": given,
                                 "schema": {"type": "integer"}}]);
        return Err(Refusal(status, body));
    };
    let after = request.one("after");
    let place = |token: &String| {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        String::from_utf8(bytes).ok()?.parse::<usize>().ok()
    };
    let Some(from) = after.as_ref().map_or(Some(0), place) else {
        return Err(refusal(400, ("Bad Request", "Invalid cursor")));
    };
    let to = (from + size).min(items.len());
    let next = (to < items.len()).then(|| URL_SAFE_NO_PAD.encode(to.to_string()));
    Ok((
        200,
        json!({"data": items.get(from..to).unwrap_or_default(), "nextCursor": next}),
    ))
}

fn calls(quo: &QuoState, request: &Request) -> Answer {
    let pair =
        |key: &str, field: &str, c: &Value| request.one(key).is_none_or(|v| c[field] == v.as_str());
    let within = |c: &Value| {
        let at = c["createdAt"].as_str().unwrap_or_default();
        let parse = |t: &str| t.parse::<jiff::Timestamp>().ok();
        request
            .one("createdAt[gte]")
            .is_none_or(|t| parse(at) >= parse(&t))
            && request
                .one("createdAt[lte]")
                .is_none_or(|t| parse(at) <= parse(&t))
    };
    let fits = |c: &&Value| {
        pair("phoneNumberId", "phoneNumberId", c)
            && pair("actorId", "userId", c)
            && pair("direction", "direction", c)
            && pair("status", "status", c)
            && within(c)
    };
    let found = newest(quo.calls.iter().filter(fits).cloned().collect());
    page(
        request,
        found.iter().map(|c| call(quo, c, request)).collect(),
    )
}

/// The call with every party, and with what `include` asks for.
fn call(quo: &QuoState, v1: &Value, request: &Request) -> Value {
    let own: Vec<&Value> = quo.phone_numbers.iter().map(|p| &p["number"]).collect();
    let party = |number: &Value| {
        let actor = if own.contains(&number) {
            &v1["userId"]
        } else {
            &Value::Null
        };
        json!({"phoneNumber": number, "actorId": actor})
    };
    let parties: Vec<Value> = v1["participants"]
        .as_array()
        .into_iter()
        .flatten()
        .map(party)
        .collect();
    let mut call = v1.clone();
    call["participants"] = json!(parties);
    call["actorId"] = v1["userId"].clone();
    call.as_object_mut()
        .map(|c: &mut Map<String, Value>| c.remove("userId"));
    let id = v1["id"].as_str().unwrap_or_default();
    let include = request.one("include").unwrap_or_default();
    if include.split(',').any(|i| i == "summary") {
        let summary = quo
            .summaries
            .get(id)
            .cloned()
            .unwrap_or_else(|| json!({"status": "absent"}));
        call["summary"] = json!({"status": summary["status"],
            "type": if summary["summary"].is_null() { Value::Null } else { json!("human") },
            "summary": summary["summary"], "nextSteps": summary["nextSteps"],
            "jobs": summary["jobs"], "title": null});
    }
    if let Some(voicemail) = quo
        .voicemails
        .get(id)
        .filter(|_| include.split(',').any(|i| i == "voicemail"))
    {
        call["voicemail"] = voicemail.clone();
    }
    call
}

fn transcripts(quo: &QuoState, request: &Request, id: &str) -> Answer {
    let Some(transcript) = quo.transcripts.get(id) else {
        return page(request, vec![]);
    };
    let line = |l: &Value| {
        json!({"content": l["content"], "start": l["start"], "end": l["end"],
            "identifier": l["identifier"],
               "actorId": l["userId"]})
    };
    let recording = quo
        .recordings
        .get(id)
        .and_then(|r| r.first())
        .cloned()
        .unwrap_or_default();
    let lines: Vec<Value> = transcript["dialogue"]
        .as_array()
        .into_iter()
        .flatten()
        .map(line)
        .collect();
    page(
        request,
        vec![
            json!({"recordingId": recording["id"], "status": transcript["status"],
        "startTime": recording["startTime"], "createdAt": transcript["createdAt"],
        "duration": transcript["duration"], "dialogue": lines}),
        ],
    )
}

fn contacts(quo: &QuoState, request: &Request) -> Answer {
    let list = |key: &str| -> Vec<String> {
        let many = request.one(&format!("{key}[in]")).unwrap_or_default();
        let single = request.all(key);
        many.split(',')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .chain(single)
            .collect()
    };
    let (ids, sources) = (list("externalId"), list("source"));
    let listed = |list: &[String], v: &Value| {
        list.is_empty() || v.as_str().is_some_and(|v| list.iter().any(|l| l == v))
    };
    let fits = |c: &&Value| listed(&ids, &c["externalId"]) && listed(&sources, &c["source"]);
    page(
        request,
        quo.contacts.iter().filter(fits).map(contact).collect(),
    )
}

/// Without phone numbers and e-mails, as on this surface.
fn contact(v1: &Value) -> Value {
    let f = &v1["defaultFields"];
    json!({"id": v1["id"], "externalId": v1["externalId"], "source": v1["source"],
        "sourceUrl": v1["sourceUrl"],
        "firstName": f["firstName"], "lastName": f["lastName"], "company": f["company"],
        "role": f["role"],
        "createdAt": v1["createdAt"], "updatedAt": v1["updatedAt"],
        "actorId": v1["createdByUserId"]})
}

fn properties(quo: &QuoState, request: &Request, id: &str) -> Answer {
    let Some(contact) = quo.contacts.iter().find(|c| c["id"] == id) else {
        return one(None, "contact");
    };
    let item = |kind: &str, v: &Value| {
        json!({"id": v["id"], "type": kind, "name": v["name"], "value": v["value"],
               "createdAt": contact["createdAt"], "updatedAt": contact["updatedAt"]})
    };
    let of = |key: &str, kind: &str| -> Vec<Value> {
        contact["defaultFields"][key]
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| item(kind, v))
            .collect()
    };
    let mut all = of("phoneNumbers", "phone-number");
    all.extend(of("emails", "email"));
    let custom = contact["customFields"].as_array().into_iter().flatten();
    all.extend(custom.map(|v| item(v["type"].as_str().unwrap_or_default(), v)));
    all.retain(|p| request.one("type").is_none_or(|t| p["type"] == t.as_str()));
    page(request, all)
}

fn phone_number(v1: &Value) -> Value {
    let mut number = v1.clone();
    if let Some(map) = number.as_object_mut() {
        let e164 = map.remove("number").unwrap_or_default();
        map.insert("phoneNumber".to_owned(), e164);
        map.remove("users");
        map.remove("restrictions");
    }
    number
}
