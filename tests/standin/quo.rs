//! Quo's two surfaces: headers, routes and refusals of v1; the dated one is in `quo/dated.rs`.

mod contact;
mod dated;
mod list;
mod webhook;

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::world::{QuoState, World};

const DOCS: &str = "https://quo.com/docs";
const TRACE: &str = "6897907457496870895";

/// Two digits that begin every code of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource(&'static str, &'static str);

pub(super) const CALL: Resource = Resource("01", "call");
pub(super) const MESSAGE: Resource = Resource("02", "message");
pub(super) const WEBHOOK: Resource = Resource("03", "webhook");
pub(super) const PHONE_NUMBER: Resource = Resource("04", "phone number");
pub(super) const SUMMARY: Resource = Resource("05", "call summary");
pub(super) const TRANSCRIPT: Resource = Resource("06", "call transcript");
pub(super) const CONTACT: Resource = Resource("08", "contact");
pub(super) const RECORDING: Resource = Resource("09", "call recording");
pub(super) const CONVERSATION: Resource = Resource("10", "conversation");
pub(super) const USER: Resource = Resource("11", "user");
pub(super) const VOICEMAIL: Resource = Resource("12", "call voicemail");

/// An answer that is not the wanted one.
pub(super) struct Refusal(pub u16, pub Value);

/// Status and body.
pub(super) type Answer = Result<(u16, Value), Refusal>;

impl Resource {
    /// 404 as v1 says it.
    pub(super) fn missing(self) -> Refusal {
        let message = format!("The {} was not found", self.1);
        Refusal(
            404,
            flat(404, &format!("{}00404", self.0), ("Not Found", &message)),
        )
    }

    /// 400 with one entry of `errors`.
    pub(super) fn invalid(self, path: &str, message: &str, value: &Value) -> Refusal {
        let mut body = flat(
            400,
            &format!("{}00400", self.0),
            ("Bad Request", "The input was invalid"),
        );
        let kind = match value {
            Value::Array(_) => "array",
            Value::Number(_) => "number",
            Value::Object(_) => "object",
            _ => "string",
        };
        body["errors"] =
            json!([{"path": path, "message": message, "value": value, "schema": {"type": kind}}]);
        Refusal(400, body)
    }

    /// The id, if it begins so.
    pub(super) fn id<'a>(self, prefix: &str, id: &'a str) -> Result<&'a str, Refusal> {
        let message = format!("Expected string to match '^{prefix}(.*)$'");
        if id.starts_with(prefix) {
            Ok(id)
        } else {
            Err(self.invalid("/id", &message, &json!(id)))
        }
    }
}

/// The v1 error body.
pub(super) fn flat(status: u16, code: &str, (title, message): (&str, &str)) -> Value {
    json!({"message": message, "code": code, "status": status, "docs": DOCS, "title": title,
        "trace": TRACE})
}

/// Answers one request of either surface.
pub fn handle(world: &mut World, request: &Request) -> Response {
    let v1 = request.path.starts_with("/v1/");
    let answer = if v1 {
        v1_answer(&mut world.quo, request)
    } else {
        dated::answer(&mut world.quo, request)
    };
    let (status, body) = answer.unwrap_or_else(|Refusal(status, body)| (status, body));
    Response::json(status, &body)
        .with("x-correlation-id", TRACE)
        .with("ratelimit-policy", "\"per-second\"; q=10; w=1")
}

/// 429; neither spec says what it looks like, so v1 answers without JSON and without `Retry-After`.
pub fn rate_limited(request: &Request) -> Response {
    if request.path.starts_with("/v1/") {
        return Response::bytes(429, "text/plain", b"Too Many Requests".to_vec());
    }
    let body = json!({"title": "Too Many Requests", "message": "Rate limit exceeded",
        "docs": DOCS, "trace": TRACE});
    Response::json(429, &body)
}

fn v1_answer(quo: &mut QuoState, request: &Request) -> Answer {
    authorize(quo, request)?;
    too_many_keys(request)?;
    let segments = request.segments();
    let parts: Vec<&str> = segments[1..].iter().map(String::as_str).collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", _) => read(quo, request, &parts),
        ("POST", ["contacts"]) => contact::create(quo, &body(request)?),
        ("PATCH", ["contacts", id]) => contact::update(quo, id, &body(request)?),
        ("DELETE", ["contacts", id]) => contact::delete(quo, id),
        ("POST", ["webhooks", family]) => webhook::create(quo, family, &body(request)?),
        ("DELETE", ["webhooks", id]) => webhook::delete(quo, id),
        _ => Err(no_route(request)),
    }
}

fn read(quo: &QuoState, request: &Request, parts: &[&str]) -> Answer {
    match parts {
        ["contacts"] => list::contacts(quo, request),
        ["contacts", id] => found(&quo.contacts, id, CONTACT),
        ["contact-custom-fields"] => data(json!(quo.custom_fields)),
        ["calls"] => list::calls(quo, request),
        ["calls", id] => call(quo, CALL.id("AC", id)?),
        ["call-recordings", id] => {
            let id = RECORDING.id("AC", id)?;
            known_call(quo, id, RECORDING)?;
            data(json!(quo.recordings.get(id).cloned().unwrap_or_default()))
        }
        ["call-summaries", id] => artifact(quo.summaries.get(SUMMARY.id("AC", id)?), SUMMARY),
        ["call-transcripts", id] => {
            artifact(quo.transcripts.get(TRANSCRIPT.id("AC", id)?), TRANSCRIPT)
        }
        ["call-voicemails", id] => artifact(quo.voicemails.get(VOICEMAIL.id("AC", id)?), VOICEMAIL),
        ["messages"] => list::messages(quo, request),
        ["messages", id] => found(&quo.messages, MESSAGE.id("AC", id)?, MESSAGE),
        ["conversations"] => list::conversations(quo, request),
        ["phone-numbers"] => data(json!(quo.phone_numbers)),
        ["phone-numbers", id] => {
            found(&quo.phone_numbers, PHONE_NUMBER.id("PN", id)?, PHONE_NUMBER)
        }
        ["users"] => list::users(quo, request),
        ["users", id] => found(&quo.users, USER.id("US", id)?, USER),
        ["webhooks"] => webhook::list(quo, request),
        ["webhooks", id] => found(&quo.webhooks, WEBHOOK.id("WH", id)?, WEBHOOK),
        _ => Err(no_route(request)),
    }
}

fn authorize(quo: &QuoState, request: &Request) -> Result<(), Refusal> {
    let message = match request.header("authorization") {
        None => "Missing authorization header",
        Some(key) if key == quo.key => return Ok(()),
        Some(_) => "Unauthorized",
    };
    Err(Refusal(
        401,
        json!({"error": {"message": message, "key": "Unauthorized", "trace": TRACE}}),
    ))
}

/// More than 20 repeats of a key become an object in the server's parser, which then fits no
/// schema.
fn too_many_keys(request: &Request) -> Result<(), Refusal> {
    let pairs = request.pairs();
    let over = pairs
        .iter()
        .find(|(k, _)| pairs.iter().filter(|(other, _)| other == k).count() > 20);
    match over {
        Some((key, _)) => {
            Err(CONTACT.invalid(&format!("/{key}"), "Expected array", &json!({"0": "…"})))
        }
        None => Ok(()),
    }
}

fn body(request: &Request) -> Result<Value, Refusal> {
    let is_json = request
        .header("content-type")
        .is_some_and(|t| t.starts_with("application/json"));
    let parsed = serde_json::from_slice::<Value>(&request.body)
        .ok()
        .filter(|b| b.is_object() && is_json);
    parsed.ok_or_else(|| {
        Refusal(
            400,
            flat(
                400,
                "0800400",
                ("Bad Request", "The body is not valid JSON"),
            ),
        )
    })
}

fn no_route(request: &Request) -> Refusal {
    let message = format!("Route {}:{} not found", request.method, request.path);
    Refusal(
        404,
        json!({"message": message, "error": "Not Found", "statusCode": 404}),
    )
}

fn data(value: Value) -> Answer {
    Ok((200, json!({"data": value})))
}

fn found(list: &[Value], id: &str, resource: Resource) -> Answer {
    list.iter()
        .find(|v| v["id"] == id)
        .map_or_else(|| Err(resource.missing()), |v| data(v.clone()))
}

fn artifact(value: Option<&Value>, resource: Resource) -> Answer {
    value.map_or_else(|| Err(resource.missing()), |v| data(v.clone()))
}

fn known_call(quo: &QuoState, id: &str, resource: Resource) -> Result<(), Refusal> {
    let known = quo.calls.iter().any(|c| c["id"] == id);
    if known {
        Ok(())
    } else {
        Err(resource.missing())
    }
}

/// v1 cannot show a call of more than two parties.
fn call(quo: &QuoState, id: &str) -> Answer {
    let Some(call) = quo.calls.iter().find(|c| c["id"] == id) else {
        return Err(CALL.missing());
    };
    if is_group(call) {
        let title = "Too Many Participants";
        let mut body = flat(400, "0101400", (title, title));
        body["description"] = json!(title);
        return Err(Refusal(400, body));
    }
    data(call.clone())
}

fn is_group(call: &Value) -> bool {
    call["participants"].as_array().is_some_and(|p| p.len() > 2)
}
