//! Property values: shape of what is written, fit to the column, and what reads back. One function
//! per concern.

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::{Value, json};

use super::super::world::NotionState;
use super::{Refusal, body, uuid};

/// Types a page value can be written in, in the order in which Notion lists them.
pub const WRITABLE: [&str; 14] = [
    "title",
    "rich_text",
    "number",
    "url",
    "select",
    "multi_select",
    "people",
    "email",
    "phone_number",
    "date",
    "checkbox",
    "relation",
    "files",
    "status",
];

/// The type a written value is of; a value of no known type, or of the wrong JSON kind, is refused
/// as Notion does for unions: one line per variant.
pub fn kind_of(place: &str, written: &Value) -> Result<&'static str, Refusal> {
    let map = body::object(place, written)?;
    let kind = WRITABLE.into_iter().find(|k| map.contains_key(*k));
    let fits = kind.is_some_and(|k| fits(k, &written[k]));
    let Some(kind) = kind.filter(|_| fits) else {
        let lines = WRITABLE.iter().map(|k| match map.get(*k) {
            Some(value) => {
                format!(
                    "{place}.{k} should be {}, instead was `{}`.",
                    wanted(k),
                    body::shown(Some(value))
                )
            }
            None => format!("{place}.{k} should be defined, instead was `undefined`."),
        });
        let lines: Vec<String> = lines.collect();
        return Err(Refusal::invalid(format!(
            "body failed validation. Fix one:\n{}",
            lines.join("\n")
        )));
    };
    body::only(place, map, &["id", "type", "name", kind])?;
    match map.get("type") {
        Some(t) if t != kind => Err(body::wrong(
            &format!("{place}.type"),
            &format!("`\"{kind}\"`"),
            t,
        )),
        Some(_) | None => Ok(kind),
    }
}

fn fits(kind: &str, value: &Value) -> bool {
    match kind {
        "title" | "rich_text" | "multi_select" | "people" | "relation" | "files" => {
            value.is_array()
        }
        "number" => value.is_number() || value.is_null(),
        "checkbox" => value.is_boolean(),
        "url" | "email" | "phone_number" => value.is_string() || value.is_null(),
        _ => value.is_object() || value.is_null(),
    }
}

fn wanted(kind: &str) -> &'static str {
    match kind {
        "title" | "rich_text" | "multi_select" | "people" | "relation" | "files" => "an array",
        "number" => "a number or `null`",
        "checkbox" => "a boolean",
        "url" | "email" | "phone_number" => "a string or `null`",
        _ => "an object or `null`",
    }
}

/// Checks the shape of a value of that type.
pub fn check(place: &str, kind: &str, value: &Value) -> Result<(), Refusal> {
    match kind {
        "title" | "rich_text" => body::rich_text(place, value),
        "url" => string(place, value, 2000),
        "email" | "phone_number" => string(place, value, 200),
        "select" | "status" if !value.is_null() => option(place, value),
        "multi_select" => {
            let mut items = body::list(place, value, 100)?.iter().enumerate();
            items.try_for_each(|(n, item)| option(&format!("{place}[{n}]"), item))
        }
        "people" | "relation" => {
            let mut items = body::list(place, value, 100)?.iter().enumerate();
            items.try_for_each(|(n, item)| reference(&format!("{place}[{n}]"), item))
        }
        "files" => {
            let mut items = body::list(place, value, 100)?.iter().enumerate();
            items.try_for_each(|(n, item)| file(&format!("{place}[{n}]"), item))
        }
        "date" if !value.is_null() => date(place, value).map(|_| ()),
        _ => Ok(()),
    }
}

fn string(place: &str, value: &Value, most: usize) -> Result<(), Refusal> {
    match value {
        Value::Null => Ok(()),
        Value::String(s) if s.is_empty() => Err(Refusal::body(&format!(
            "{place}.length should be ≥ `1`, instead was `0`."
        ))),
        other => body::text(place, other, most).map(|_| ()),
    }
}

fn option(place: &str, value: &Value) -> Result<(), Refusal> {
    let map = body::object(place, value)?;
    body::only(place, map, &["id", "name", "color", "description"])?;
    match (map.get("name"), map.get("id")) {
        (None, None) => Err(Refusal::body(&format!(
            "{place}.name should be defined, instead was `undefined`."
        ))),
        (Some(name), _) if body::text(&format!("{place}.name"), name, 100)?.is_empty() => {
            Err(Refusal::body(&format!(
                "{place}.name.length should be ≥ `1`, instead was `0`."
            )))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn reference(place: &str, value: &Value) -> Result<(), Refusal> {
    let map = body::object(place, value)?;
    let id = body::required(place, map, "id")?;
    let sound = id.as_str().is_some_and(|id| uuid(id).is_some());
    if sound {
        Ok(())
    } else {
        Err(body::wrong(&format!("{place}.id"), "a valid uuid", id))
    }
}

fn file(place: &str, value: &Value) -> Result<(), Refusal> {
    let map = body::object(place, value)?;
    body::only(
        place,
        map,
        &["name", "type", "external", "file", "file_upload"],
    )?;
    match (map.get("external"), map.get("file_upload"), map.get("file")) {
        (Some(external), _, _) => {
            body::text(
                &format!("{place}.name"),
                body::required(place, map, "name")?,
                100,
            )?;
            body::url(&format!("{place}.external.url"), &external["url"]).map(|_| ())
        }
        (None, None, None) => Err(Refusal::body(&format!(
            "{place}.external should be defined, instead was `undefined`."
        ))),
        (None, _, _) => Ok(()),
    }
}

/// Reads a date value and gives its read form, floored to the minute.
fn date(place: &str, value: &Value) -> Result<Value, Refusal> {
    let map = body::object(place, value)?;
    body::only(place, map, &["start", "end", "time_zone"])?;
    let zone = match map.get("time_zone") {
        None | Some(Value::Null) => None,
        Some(zone) => {
            let known = zone.as_str().and_then(|z| TimeZone::get(z).ok());
            Some(known.ok_or_else(|| {
                body::wrong(&format!("{place}.time_zone"), "a valid time zone", zone)
            })?)
        }
    };
    let moment = |key: &str, value: &Value| {
        let wanted = "a valid ISO 8601 date string";
        let read = value.as_str().and_then(|t| floored(t, zone.as_ref()));
        read.ok_or_else(|| body::wrong(&format!("{place}.{key}"), wanted, value))
    };
    let start = moment("start", body::required(place, map, "start")?)?;
    let end = match map.get("end") {
        None | Some(Value::Null) => Value::Null,
        Some(end) => json!(moment("end", end)?),
    };
    Ok(json!({"start": start, "end": end, "time_zone": null}))
}

fn floored(text: &str, zone: Option<&TimeZone>) -> Option<String> {
    if text.len() == 10 {
        return text.parse::<civil::Date>().ok().map(|d| d.to_string());
    }
    if !text.contains('T') {
        return None;
    }
    let zoned: ZonedDateTime = match text.parse::<Timestamp>() {
        Ok(_) if zone.is_some() => return None, // an offset and a zone contradict each other
        Ok(time) => time.to_zoned_datetime(TimeZone::UTC),
        Err(_) => {
            let zone = zone.cloned().unwrap_or(TimeZone::UTC);
            text.parse::<civil::DateTime>()
                .ok()?
                .to_zoned_datetime(zone)
                .ok()?
        }
    };
    Some(zoned.strftime("%Y-%m-%dT%H:%M:00.000%:z").to_string())
}

/// The read form of a checked value; `options` are those of the column after new ones were added.
pub fn read_form(kind: &str, value: &Value, options: &[Value]) -> Value {
    match kind {
        "title" | "rich_text" => rich_text(value),
        "select" | "status" => find_option(value, options).map_or(Value::Null, short),
        "multi_select" => {
            let mut out: Vec<Value> = Vec::new();
            for found in value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| find_option(v, options))
                .map(short)
            {
                if !out.contains(&found) {
                    out.push(found);
                }
            }
            Value::Array(out)
        }
        "relation" => {
            let ids = value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| uuid(v["id"].as_str()?));
            ids.map(|id| json!({"id": id})).collect()
        }
        "people" => value
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| json!({"object": "user", "id": v["id"]}))
            .collect(),
        "date" if !value.is_null() => date("", value).unwrap_or(Value::Null),
        _ => value.clone(),
    }
}

/// The option that a written `{name}` or `{id}` means.
pub fn find_option<'a>(written: &Value, options: &'a [Value]) -> Option<&'a Value> {
    options
        .iter()
        .find(|o| match (&written["id"], &written["name"]) {
            (Value::String(id), _) => o["id"] == *id,
            (_, name) => o["name"] == *name,
        })
}

fn short(option: &Value) -> Value {
    json!({"id": option["id"], "name": option["name"], "color": option["color"]})
}

/// What an untouched column reads as.
pub fn empty(column: &Value) -> Value {
    match column["type"].as_str().unwrap_or_default() {
        "title" | "rich_text" | "multi_select" | "people" | "files" | "relation" => json!([]),
        "checkbox" => json!(false),
        "status" => default_status(&column["status"]),
        _ => Value::Null,
    }
}

/// The first option of the to-do group.
pub fn default_status(config: &Value) -> Value {
    let first = &config["groups"][0]["option_ids"][0];
    let options = config["options"].as_array().map_or(&[][..], Vec::as_slice);
    options
        .iter()
        .find(|o| o["id"] == *first)
        .or(options.first())
        .map_or(Value::Null, short)
}

/// The read form of texts: every field that Notion adds.
pub fn rich_text(written: &Value) -> Value {
    let plain = json!({"bold": false, "italic": false, "strikethrough": false,
        "underline": false, "code": false,
                       "color": "default"});
    let segment = |s: &Value| {
        let mut annotations = plain.clone();
        for (key, value) in s["annotations"].as_object().into_iter().flatten() {
            annotations[key] = value.clone();
        }
        if s["equation"].is_object() || s["mention"].is_object() {
            let mut out = s.clone();
            out["annotations"] = annotations;
            out["plain_text"] = s["equation"]["expression"].clone();
            return out;
        }
        let url = &s["text"]["link"]["url"];
        let link = if url.is_string() {
            json!({"url": url})
        } else {
            Value::Null
        };
        json!({"type": "text", "text": {"content": s["text"]["content"], "link": link},
            "annotations": annotations,
               "plain_text": s["text"]["content"], "href": url})
    };
    written
        .as_array()
        .into_iter()
        .flatten()
        .map(segment)
        .collect()
}

/// The read form of one plain text.
pub fn rich_text_of(text: &str) -> Value {
    rich_text(&json!([{"text": {"content": text}}]))
}

/// Changes a stored value to another column type as the app does; false when it is lost.
pub fn convert(stored: &mut Value, kind: &str) -> bool {
    let text = super::super::render::plain(stored);
    match kind {
        "title" | "rich_text" if !stored.is_array() => *stored = rich_text_of(&text),
        "phone_number" | "url" | "email" if !stored.is_string() => *stored = json!(text),
        _ => {}
    }
    fits(kind, stored)
}

/// Refusals that need the world: related pages must exist, uploads must be there.
pub fn check_references(notion: &NotionState, kind: &str, value: &Value) -> Result<(), Refusal> {
    for item in value.as_array().into_iter().flatten() {
        if kind == "relation" {
            let id = item["id"].as_str().and_then(uuid).unwrap_or_default();
            if notion.page(&id).is_none_or(|p| p.unshared) {
                return Err(Refusal::missing("page", &id));
            }
        }
        if kind == "files" && item["file_upload"].is_object() {
            check_upload(notion, &item["file_upload"])?;
        }
    }
    Ok(())
}

/// An attached upload must exist and be uploaded.
pub fn check_upload(notion: &NotionState, attachment: &Value) -> Result<(), Refusal> {
    let id = attachment["id"].as_str().and_then(uuid).unwrap_or_default();
    match notion.uploads.get(&id) {
        None => Err(Refusal::missing("file_upload", &id)),
        Some(u) if u["status"] != "uploaded" => Err(Refusal::invalid(format!(
            "File upload with ID {id} has status `{}`.",
            u["status"]
        ))),
        Some(_) => Ok(()),
    }
}
