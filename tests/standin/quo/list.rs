//! The paged lists of v1: required parameters, bounds, filters, opaque tokens, and a `totalItems`
//! that is wrong.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::http::Request;
use super::super::world::QuoState;
use super::{Answer, CALL, CONTACT, CONVERSATION, MESSAGE, Refusal, Resource, USER, is_group};

pub(super) fn contacts(quo: &QuoState, request: &Request) -> Answer {
    let (ids, sources) = (request.all("externalIds"), request.all("sources"));
    for (key, value) in ids
        .iter()
        .map(|v| ("externalIds", v))
        .chain(sources.iter().map(|v| ("sources", v)))
    {
        if value.is_empty() || value.chars().count() > 75 {
            let message = "Expected string length between 1 and 75";
            return Err(CONTACT.invalid(&format!("/{key}"), message, &json!(value)));
        }
    }
    let listed = |list: &[String], c: &Value, key| {
        list.is_empty() || c[key].as_str().is_some_and(|v| list.iter().any(|l| l == v))
    };
    let fits = |c: &&Value| listed(&ids, c, "externalId") && listed(&sources, c, "source");
    page(
        request,
        CONTACT,
        50,
        quo.contacts.iter().filter(fits).collect(),
    )
}

pub(super) fn calls(quo: &QuoState, request: &Request) -> Answer {
    let number = phone_number(request, CALL)?;
    let others = participants(request, CALL, 1)?;
    let range = Range::of(request, CALL)?;
    let user = request.one("userId");
    let fits = |c: &&Value| {
        !is_group(c)
            && c["phoneNumberId"] == number.as_str()
            && c["participants"]
                .as_array()
                .is_some_and(|p| p.iter().any(|p| *p == others[0].as_str()))
            && user.as_ref().is_none_or(|u| c["userId"] == u.as_str())
            && range.holds(&c["createdAt"])
    };
    page(
        request,
        CALL,
        100,
        newest(quo.calls.iter().filter(fits).cloned().collect()),
    )
}

pub(super) fn messages(quo: &QuoState, request: &Request) -> Answer {
    let number = phone_number(request, MESSAGE)?;
    let mut others = participants(request, MESSAGE, 10)?;
    others.sort();
    let range = Range::of(request, MESSAGE)?;
    let own: Vec<&str> = quo
        .phone_numbers
        .iter()
        .filter_map(|p| p["number"].as_str())
        .collect();
    let fits = |m: &&Value| {
        let mut thread: Vec<&str> = m["to"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        thread.extend(m["from"].as_str());
        thread.retain(|p| !own.contains(p));
        thread.sort_unstable();
        m["phoneNumberId"] == number.as_str() && others == thread && range.holds(&m["createdAt"])
    };
    page(
        request,
        MESSAGE,
        100,
        newest(quo.messages.iter().filter(fits).cloned().collect()),
    )
}

pub(super) fn conversations(quo: &QuoState, request: &Request) -> Answer {
    let mut numbers = request.all("phoneNumbers");
    if numbers.is_empty() {
        numbers = request.all("phoneNumber");
    }
    let ids: Vec<String> = numbers
        .iter()
        .map(|n| {
            let owned = quo.phone_numbers.iter().find(|p| p["number"] == n.as_str());
            owned
                .and_then(|p| p["id"].as_str())
                .map_or_else(|| n.clone(), str::to_owned)
        })
        .collect();
    let (created, updated) = (
        Range::of(request, CONVERSATION)?,
        Range::updated(request, CONVERSATION)?,
    );
    let fits = |c: &&Value| {
        (ids.is_empty() || ids.iter().any(|i| c["phoneNumberId"] == i.as_str()))
            && created.holds(&c["createdAt"])
            && updated.holds(&c["updatedAt"])
    };
    page(
        request,
        CONVERSATION,
        100,
        quo.conversations.iter().filter(fits).cloned().collect(),
    )
}

pub(super) fn users(quo: &QuoState, request: &Request) -> Answer {
    if request.one("maxResults").is_none() {
        // optional since October 2026
        return Ok((
            200,
            json!({"data": quo.users, "totalItems": 0, "nextPageToken": null}),
        ));
    }
    page(request, USER, 50, quo.users.clone())
}

fn newest(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by(|a, b| b["createdAt"].as_str().cmp(&a["createdAt"].as_str()));
    items
}

fn phone_number(request: &Request, resource: Resource) -> Result<String, Refusal> {
    let given = request.one("phoneNumberId");
    let message = "Expected string to match '^PN(.*)$'";
    given
        .clone()
        .filter(|n| n.starts_with("PN"))
        .ok_or_else(|| resource.invalid("/phoneNumberId", message, &json!(given)))
}

fn participants(
    request: &Request,
    resource: Resource,
    most: usize,
) -> Result<Vec<String>, Refusal> {
    let given = request.all("participants");
    if given.is_empty() {
        return Err(resource.invalid("/participants", "Required property", &Value::Null));
    }
    if given.len() > most {
        let message = format!("Expected array length to be less or equal to {most}");
        return Err(resource.invalid("/participants", &message, &json!(given)));
    }
    Ok(given) // one that is no E.164 number matches nothing, as an undecoded plus does
}

/// A range of times from two parameters.
struct Range(Option<Timestamp>, Option<Timestamp>);

impl Range {
    fn of(request: &Request, resource: Resource) -> Result<Self, Refusal> {
        let before = time(request, resource, "createdBefore")?;
        let since = time(request, resource, "since")?; // behaves as createdBefore
        Ok(Self(
            time(request, resource, "createdAfter")?,
            before.or(since),
        ))
    }

    fn updated(request: &Request, resource: Resource) -> Result<Self, Refusal> {
        Ok(Self(
            time(request, resource, "updatedAfter")?,
            time(request, resource, "updatedBefore")?,
        ))
    }

    fn holds(&self, value: &Value) -> bool {
        let Some(at) = value.as_str().and_then(|t| t.parse::<Timestamp>().ok()) else {
            return self.0.is_none() && self.1.is_none();
        };
        self.0.is_none_or(|after| at > after) && self.1.is_none_or(|before| at < before)
    }
}

fn time(request: &Request, resource: Resource, key: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = request.one(key) else {
        return Ok(None);
    };
    let parsed = text.parse().map(Some);
    parsed.map_err(|_| {
        resource.invalid(
            &format!("/{key}"),
            "Expected string to match 'date-time' format",
            &json!(text),
        )
    })
}

/// Cuts a page out; the token holds nothing but a place, and only of the same list.
fn page(request: &Request, resource: Resource, most: usize, items: Vec<impl Serialize>) -> Answer {
    let given = request.one("maxResults");
    let size = given
        .as_deref()
        .and_then(|s| s.parse::<usize>().ok())
        .filter(|n| (1..=most).contains(n));
    let Some(size) = size else {
        let message = match &given {
            None => "Required property".to_owned(),
            Some(_) => format!("Expected integer between 1 and {most}"),
        };
        return Err(resource.invalid("/maxResults", &message, &json!(given)));
    };
    let from = match request.one("pageToken") {
        None => 0,
        Some(token) => read_token(&token, request)
            .ok_or_else(|| resource.invalid("/pageToken", "Invalid page token", &json!(token)))?,
    };
    let to = (from + size).min(items.len());
    let data = items.get(from..to).unwrap_or_default();
    let next = (to < items.len()).then(|| URL_SAFE_NO_PAD.encode(format!("{}|{to}", request.path)));
    Ok((
        200,
        json!({"data": data, "totalItems": data.len(), "nextPageToken": next}),
    ))
}

fn read_token(token: &str, request: &Request) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (path, place) = text.split_once('|')?;
    if path == request.path {
        place.parse().ok()
    } else {
        None
    }
}
