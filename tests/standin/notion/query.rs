//! Queries: filters are compiled against the columns first, so that a wrong one is refused even
//! without rows.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::world::{NotionState, Page, Source, minute};
use super::{Answer, Call, Paging, Refusal, Version, body, database, page};

pub(super) fn database(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    let found = database::visible(notion, id)?;
    database::one_source(found, call.version)?;
    let source = found.sources[0].id.clone();
    run(notion, call, &source)
}

pub(super) fn source(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    database::visible_source(notion, id)?;
    run(notion, call, id)
}

/// What a query may say.
const KEYS: &[&str] = &[
    "filter",
    "sorts",
    "page_size",
    "start_cursor",
    "is_archived",
    "result_type",
];

fn run(notion: &mut NotionState, call: &Call<'_>, source: &str) -> Answer {
    if !notion.can_read {
        return Err(Refusal::capability());
    }
    let empty = json!({});
    let body = if call.body.is_null() {
        &empty
    } else {
        &call.body
    };
    let map = body::object("body", body)?;
    body::only("body", map, KEYS)?;
    let archived = match map.get("is_archived") {
        Some(switch) if notion.archive.is_unknown => {
            return Err(body::wrong("body.is_archived", "not present", switch));
        }
        None => false,
        Some(Value::Bool(switch)) => *switch,
        Some(other) => return Err(body::wrong("body.is_archived", "a boolean", other)),
    };
    let columns = notion
        .source(source)
        .cloned()
        .ok_or_else(|| Refusal::missing("data_source", source))?;
    let paging = Paging::of_body(body, call.version)?;
    let filter = map
        .get("filter")
        .map(|f| compile(&columns, f, ("body.filter", 0), call.version))
        .transpose()?;
    let sorts = map
        .get("sorts")
        .map(|s| compile_sorts(&columns, s))
        .transpose()?
        .unwrap_or_default();
    let mut rows: Vec<&Page> = notion
        .pages
        .iter()
        // Without sorts nothing is promised: newest first, so that nobody relies on the oldest.
        .rev()
        .filter(|p| p.source == source && !p.in_trash && !p.unshared)
        .filter(|p| p.is_archived == archived)
        .filter(|p| !notion.hides(p))
        .filter(|p| filter.as_ref().is_none_or(|f| f.accepts(p)))
        .collect();
    rows.sort_by(|a, b| {
        sorts
            .iter()
            .map(|s| s.compare(a, b))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    let over = rows.len() > notion.query_cap;
    rows.truncate(notion.query_cap);
    let ids: Vec<String> = rows.iter().map(|p| p.id.clone()).collect();
    let cut = paging.cut(notion, &ids, call.version)?;
    let keep = call.request.all("filter_properties");
    let found = cut.ids.iter().filter_map(|id| notion.page(id));
    let results = found
        .map(|p| trim(page::object(notion, p, call.version), &keep))
        .collect();
    let kind = if call.version == Version::V2022 {
        "page_or_database"
    } else {
        "page_or_data_source"
    };
    let mut list = cut.envelope(kind, results);
    if over && cut.last {
        list["request_status"] =
            json!({"type": "incomplete", "incomplete_reason": "query_result_limit_reached"});
    }
    Ok(list)
}

/// `filter_properties`: only the columns with these ids.
fn trim(mut object: Value, keep: &[String]) -> Value {
    if !keep.is_empty()
        && let Some(properties) = object["properties"].as_object_mut()
    {
        properties.retain(|name, p| {
            let id = p["id"].as_str().unwrap_or_default();
            let decoded = percent_encoding::percent_decode_str(id)
                .decode_utf8_lossy()
                .into_owned();
            keep.iter().any(|k| k == id || *k == decoded || k == name)
        });
    }
    object
}

enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Leaf {
        subject: Subject,
        kind: String,
        operator: String,
        argument: Value,
    },
}

#[derive(Clone)]
enum Subject {
    /// The column's schema entry.
    Column(Value),
    Created,
    Edited,
}

const TEXT: [&str; 8] = [
    "equals",
    "does_not_equal",
    "contains",
    "does_not_contain",
    "starts_with",
    "ends_with",
    "is_empty",
    "is_not_empty",
];
const ORDER: [&str; 8] = [
    "equals",
    "does_not_equal",
    "greater_than",
    "less_than",
    "greater_than_or_equal_to",
    "less_than_or_equal_to",
    "is_empty",
    "is_not_empty",
];
const DATE: [&str; 7] = [
    "equals",
    "before",
    "after",
    "on_or_before",
    "on_or_after",
    "is_empty",
    "is_not_empty",
];

fn operators(kind: &str) -> &'static [&'static str] {
    match kind {
        "title" | "rich_text" | "url" | "email" | "phone_number" => &TEXT,
        "number" | "unique_id" => &ORDER,
        "date" | "created_time" | "last_edited_time" => &DATE,
        "checkbox" => &["equals", "does_not_equal"],
        "select" | "status" => &["equals", "does_not_equal", "is_empty", "is_not_empty"],
        "files" => &["is_empty", "is_not_empty"],
        _ => &["contains", "does_not_contain", "is_empty", "is_not_empty"],
    }
}

fn compile(
    source: &Source,
    json: &Value,
    (place, depth): (&str, usize),
    version: Version,
) -> Result<Filter, Refusal> {
    let map = body::object(place, json)?;
    for key in ["and", "or"] {
        let Some(list) = map.get(key) else { continue };
        body::only(place, map, &[key])?;
        let place = format!("{place}.{key}");
        if depth == 2 {
            return Err(body::wrong(&place, "not present", list));
        }
        let items = body::list(&place, list, 100)?.iter().enumerate();
        let compiled: Result<Vec<Filter>, Refusal> = items
            .map(|(n, f)| compile(source, f, (&format!("{place}[{n}]"), depth + 1), version))
            .collect();
        return Ok(if key == "and" {
            Filter::And(compiled?)
        } else {
            Filter::Or(compiled?)
        });
    }
    leaf(source, (place, map), version)
}

fn leaf(
    source: &Source,
    (place, map): (&str, &serde_json::Map<String, Value>),
    version: Version,
) -> Result<Filter, Refusal> {
    let (subject, own) = match (map.get("property"), map.get("timestamp")) {
        (Some(Value::String(key)), _) => {
            let message = format!("Could not find property with name or id: {key}");
            let column = page::column(source, key).ok_or_else(|| Refusal::invalid(message))?;
            let text = |k: &str| column[k].as_str().unwrap_or_default().to_owned();
            (Subject::Column(column.clone()), text("type"))
        }
        (None, Some(t)) if t == "created_time" => (Subject::Created, "created_time".to_owned()),
        (None, Some(t)) if t == "last_edited_time" => {
            (Subject::Edited, "last_edited_time".to_owned())
        }
        (None, Some(t)) => {
            return Err(body::wrong(
                &format!("{place}.timestamp"),
                "`\"created_time\"` or `\"last_edited_time\"`",
                t,
            ));
        }
        _ => {
            let lines = ["or", "and", "property", "timestamp"]
                .map(|k| format!("{place}.{k} should be defined, instead was `undefined`."));
            return Err(Refusal::invalid(format!(
                "body failed validation. Fix one:\n{}",
                lines.join("\n")
            )));
        }
    };
    let keys: Vec<&String> = map
        .keys()
        .filter(|k| !["property", "timestamp", "type"].contains(&k.as_str()))
        .collect();
    let [kind] = keys.as_slice() else {
        let problem = format!("{place}.{own} should be defined, instead was `undefined`.");
        return Err(Refusal::body(&problem));
    };
    if !accepted(kind, &own, version) {
        return Err(Refusal::invalid(format!(
            "The property type in the database does not match the property type of the filter \
                provided: database \
             property {own} does not match filter {kind}"
        )));
    }
    let place = format!("{place}.{kind}");
    let condition = body::object(&place, &map[*kind])?;
    let known = operators(&own);
    body::only(&place, condition, known)?;
    let mut conditions = condition.iter();
    let (Some((operator, argument)), None) = (conditions.next(), conditions.next()) else {
        return Err(Refusal::body(&format!(
            "{place}.{} should be defined, instead was `undefined`.",
            known[0]
        )));
    };
    check_argument(&format!("{place}.{operator}"), (&own, operator), argument)?;
    Ok(Filter::Leaf {
        subject,
        kind: own,
        operator: operator.clone(),
        argument: argument.clone(),
    })
}

/// The key must be the column's type; `rich_text` also serves what was seen to be accepted.
fn accepted(kind: &str, own: &str, version: Version) -> bool {
    let text: &[&str] = if version == Version::V2026 {
        &["title", "phone_number", "email", "url"]
    } else {
        &["title"]
    };
    kind == own || (kind == "rich_text" && text.contains(&own))
}

fn check_argument(
    place: &str,
    (own, operator): (&str, &str),
    argument: &Value,
) -> Result<(), Refusal> {
    if operator.starts_with("is_") {
        return if argument == true {
            Ok(())
        } else {
            Err(body::wrong(place, "`true`", argument))
        };
    }
    match own {
        "number" | "unique_id" if !argument.is_number() => {
            Err(body::wrong(place, "a number", argument))
        }
        "number" | "unique_id" => Ok(()),
        "checkbox" if !argument.is_boolean() => Err(body::wrong(place, "a boolean", argument)),
        "checkbox" => Ok(()),
        "date" | "created_time" | "last_edited_time" => {
            let sound = argument.as_str().and_then(instant).is_some();
            if sound {
                Ok(())
            } else {
                Err(body::wrong(place, "a valid ISO 8601 date string", argument))
            }
        }
        _ => body::text(place, argument, 2000).map(|_| ()),
    }
}

impl Filter {
    fn accepts(&self, page: &Page) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|f| f.accepts(page)),
            Filter::Or(any) => any.iter().any(|f| f.accepts(page)),
            Filter::Leaf {
                subject,
                kind,
                operator,
                argument,
            } => holds(kind, &subject.of(page), operator, argument),
        }
    }
}

impl Subject {
    fn of(&self, page: &Page) -> Value {
        match self {
            Subject::Created => json!(minute(page.created)),
            Subject::Edited => json!(minute(page.edited)),
            Subject::Column(column) => page::value_of(page, column),
        }
    }
}

fn holds(kind: &str, value: &Value, operator: &str, argument: &Value) -> bool {
    match kind {
        "title" | "rich_text" | "url" | "email" | "phone_number" => {
            text_holds(&words(value), operator, argument)
        }
        "select" | "status" => text_holds(
            value["name"].as_str().unwrap_or_default(),
            operator,
            argument,
        ),
        "date" => order_holds(
            value["start"].as_str().and_then(instant),
            operator,
            argument.as_str().and_then(instant),
        ),
        "created_time" | "last_edited_time" => order_holds(
            value.as_str().and_then(instant),
            operator,
            argument.as_str().and_then(instant),
        ),
        "number" => order_holds(value.as_f64(), operator, argument.as_f64()),
        "unique_id" => order_holds(value["number"].as_f64(), operator, argument.as_f64()),
        "checkbox" => (value == argument) == (operator == "equals"),
        _ => list_holds(value, operator, argument),
    }
}

fn words(value: &Value) -> String {
    let segments = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|s| s["plain_text"].as_str());
    value
        .as_str()
        .map_or_else(|| segments.collect(), str::to_owned)
}

fn text_holds(text: &str, operator: &str, argument: &Value) -> bool {
    let wanted = argument.as_str().unwrap_or_default();
    let (low, low_wanted) = (text.to_lowercase(), wanted.to_lowercase());
    match operator {
        "equals" => text == wanted,
        "does_not_equal" => text != wanted,
        "contains" => low.contains(&low_wanted),
        "does_not_contain" => !low.contains(&low_wanted),
        "starts_with" => low.starts_with(&low_wanted),
        "ends_with" => low.ends_with(&low_wanted),
        "is_empty" => text.is_empty(),
        _ => !text.is_empty(),
    }
}

fn order_holds<T: PartialOrd>(value: Option<T>, operator: &str, argument: Option<T>) -> bool {
    match (operator, value, argument) {
        ("is_empty", value, _) => value.is_none(),
        ("is_not_empty", value, _) => value.is_some(),
        ("does_not_equal", value, argument) => value != argument,
        (_, None, _) | (_, _, None) => false,
        ("equals", Some(v), Some(a)) => v == a,
        ("before" | "less_than", Some(v), Some(a)) => v < a,
        ("after" | "greater_than", Some(v), Some(a)) => v > a,
        ("on_or_before" | "less_than_or_equal_to", Some(v), Some(a)) => v <= a,
        (_, Some(v), Some(a)) => v >= a,
    }
}

fn list_holds(value: &Value, operator: &str, argument: &Value) -> bool {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let has = items
        .iter()
        .any(|i| i["name"] == *argument || i["id"] == *argument);
    match operator {
        "contains" => has,
        "does_not_contain" => !has,
        "is_empty" => items.is_empty(),
        _ => !items.is_empty(),
    }
}

/// A date or date-time; without zone it counts as UTC.
fn instant(text: &str) -> Option<Timestamp> {
    if text.len() == 10 {
        return format!("{text}T00:00:00Z").parse().ok();
    }
    text.parse()
        .ok()
        .or_else(|| format!("{text}Z").parse().ok())
}

struct Sort {
    subject: Subject,
    descending: bool,
}

impl Sort {
    fn compare(&self, a: &Page, b: &Page) -> Ordering {
        let key = |page: &Page| {
            let value = self.subject.of(page);
            value.as_f64().map_or_else(
                || super::super::render::plain(&value),
                |n| format!("{n:020.6}"),
            )
        };
        let order = key(a).cmp(&key(b));
        if self.descending {
            order.reverse()
        } else {
            order
        }
    }
}

fn compile_sorts(source: &Source, json: &Value) -> Result<Vec<Sort>, Refusal> {
    let items = body::list("body.sorts", json, 100)?.iter().enumerate();
    items
        .map(|(n, item)| compile_sort(source, &format!("body.sorts[{n}]"), item))
        .collect()
}

fn compile_sort(source: &Source, place: &str, item: &Value) -> Result<Sort, Refusal> {
    let map = body::object(place, item)?;
    body::only(place, map, &["property", "timestamp", "direction"])?;
    let descending = match map.get("direction").and_then(Value::as_str) {
        Some("ascending") => false,
        Some("descending") => true,
        _ => {
            let found = map.get("direction").cloned().unwrap_or(Value::Null);
            return Err(body::wrong(
                &format!("{place}.direction"),
                "`\"ascending\"` or `\"descending\"`",
                &found,
            ));
        }
    };
    let subject = match (
        map.get("timestamp").and_then(Value::as_str),
        map.get("property"),
    ) {
        (Some("created_time"), _) => Subject::Created,
        (Some("last_edited_time"), _) => Subject::Edited,
        (_, Some(Value::String(key))) => {
            let message = format!("Could not find sort property with name or id: {key}");
            let column = page::column(source, key).ok_or_else(|| Refusal::invalid(message))?;
            Subject::Column(column.clone())
        }
        _ => {
            return Err(Refusal::body(&format!(
                "{place}.property should be defined, instead was `undefined`."
            )));
        }
    };
    Ok(Sort {
        subject,
        descending,
    })
}
