//! Databases and data sources: retrieve, add columns, search.

use serde_json::{Value, json};

use super::super::world::{
    BOT_USER, Database, NotionState, PERSON_USER, Source, minute, new_column,
};
use super::{Answer, Call, Paging, Refusal, Version, body, value};

/// Types a column can be made in through the API of 2022-06-28.
const MAKABLE: [&str; 20] = [
    "title",
    "rich_text",
    "number",
    "select",
    "multi_select",
    "date",
    "people",
    "files",
    "checkbox",
    "url",
    "email",
    "phone_number",
    "formula",
    "relation",
    "rollup",
    "created_time",
    "created_by",
    "last_edited_time",
    "last_edited_by",
    "unique_id",
];

pub(super) fn retrieve(notion: &NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_read {
        return Err(Refusal::capability());
    }
    let database = visible(notion, id)?;
    if call.version == Version::V2022 {
        one_source(database, call.version)?;
        return Ok(old_object(database));
    }
    Ok(container(database))
}

pub(super) fn retrieve_source(notion: &NotionState, id: &str) -> Answer {
    let (database, source) = visible_source(notion, id)?;
    Ok(source_object(database, source))
}

pub(super) fn update(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_update {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    let old = call.version == Version::V2022;
    let allowed: &[&str] = &[
        "title",
        "description",
        "properties",
        "icon",
        "cover",
        "is_inline",
        "archived",
        "in_trash",
    ];
    let newer: &[&str] = &[
        "title",
        "description",
        "icon",
        "cover",
        "is_inline",
        "in_trash",
        "is_locked",
        "parent",
    ];
    body::only("body", map, if old { allowed } else { newer })?;
    let database = visible(notion, id)?;
    one_source(database, call.version)?;
    let source = database.sources[0].id.clone();
    if let Some(properties) = map.get("properties") {
        change_columns(notion, &source, properties, call.version)?;
    }
    retrieve(notion, call, id)
}

pub(super) fn update_source(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_update {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    body::only(
        "body",
        map,
        &[
            "title",
            "properties",
            "icon",
            "in_trash",
            "archived",
            "parent",
        ],
    )?;
    visible_source(notion, id)?;
    if let Some(properties) = map.get("properties") {
        change_columns(notion, id, properties, call.version)?;
    }
    retrieve_source(notion, id)
}

/// `POST /v1/search`: titles of databases (old) or data sources (new), and of pages.
pub(super) fn search(notion: &mut NotionState, call: &Call<'_>) -> Answer {
    let map = body::object("body", &call.body)?;
    body::only(
        "body",
        map,
        &["query", "filter", "sort", "page_size", "start_cursor"],
    )?;
    let table = if call.version == Version::V2022 {
        "database"
    } else {
        "data_source"
    };
    let wanted = map.get("filter").map(|f| &f["value"]);
    if let Some(other) = wanted.filter(|w| **w != table && **w != "page") {
        return Err(body::wrong(
            "body.filter.value",
            &format!("`\"page\"` or `\"{table}\"`"),
            other,
        ));
    }
    let needle = map
        .get("query")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_lowercase();
    let matches = |title: &str| title.to_lowercase().contains(&needle);
    let mut found: Vec<(String, Value)> = Vec::new();
    if wanted.is_none_or(|w| w == table) {
        for database in notion
            .databases
            .iter()
            .filter(|d| !d.unshared && !d.in_trash)
        {
            let old = call.version == Version::V2022
                && database.sources.len() == 1
                && matches(&database.title);
            if old {
                found.push((database.id.clone(), old_object(database)));
            }
            for source in database
                .sources
                .iter()
                .filter(|s| call.version > Version::V2022 && matches(&s.name))
            {
                found.push((source.id.clone(), source_object(database, source)));
            }
        }
    }
    if wanted.is_none_or(|w| w == "page") {
        for page in notion.pages.iter().filter(|p| !p.in_trash && !p.unshared) {
            let object = super::page::object(notion, page, call.version);
            let mut properties = object["properties"].as_object().into_iter().flatten();
            let title = properties.find(|(_, p)| p["type"] == "title");
            if title.is_some_and(|(_, p)| matches(&super::super::render::plain(&p["title"]))) {
                found.push((page.id.clone(), object));
            }
        }
    }
    let ids: Vec<String> = found.iter().map(|(id, _)| id.clone()).collect();
    let cut = Paging::of_body(&call.body, Version::V2022)?.cut(notion, &ids, Version::V2022)?;
    let results = found
        .into_iter()
        .filter(|(id, _)| cut.ids.contains(id))
        .map(|(_, o)| o)
        .collect();
    let kind = if call.version == Version::V2022 {
        "page_or_database"
    } else {
        "page_or_data_source"
    };
    Ok(cut.envelope(kind, results))
}

/// A database that the integration can see.
pub(super) fn visible<'a>(notion: &'a NotionState, id: &str) -> Result<&'a Database, Refusal> {
    notion
        .database(id)
        .filter(|d| !d.unshared)
        .ok_or_else(|| Refusal::missing("database", id))
}

pub(super) fn visible_source<'a>(
    notion: &'a NotionState,
    id: &str,
) -> Result<(&'a Database, &'a Source), Refusal> {
    let shared = notion.databases.iter().filter(|d| !d.unshared);
    let pairs = shared.flat_map(|d| d.sources.iter().map(move |s| (d, s)));
    pairs
        .into_iter()
        .find(|(_, s)| s.id == id)
        .ok_or_else(|| Refusal::missing("data_source", id))
}

/// Calls by database id stop working once there are several sources.
pub(super) fn one_source(database: &Database, version: Version) -> Result<(), Refusal> {
    if database.sources.len() == 1 {
        return Ok(());
    }
    let message = match version {
        Version::V2022 => {
            "Databases with multiple data sources are not supported in this API version."
        }
        Version::V2025 | Version::V2026 => {
            "Databases with multiple data sources need a data_source_id."
        }
    };
    let ids: Vec<&str> = database.sources.iter().map(|s| s.id.as_str()).collect();
    Err(
        Refusal::invalid(message).with(json!({"error_type": "multiple_data_sources_for_database",
        "database_id": database.id, "child_data_source_ids": ids,
        "minimum_api_version": "2025-09-03"})),
    )
}

fn change_columns(
    notion: &mut NotionState,
    source: &str,
    properties: &Value,
    version: Version,
) -> Result<(), Refusal> {
    let changes = body::object("body.properties", properties)?;
    for (name, change) in changes.iter().filter(|(_, c)| !c.is_null()) {
        check_column(&format!("body.properties.{name}"), change, version)?;
    }
    for (key, change) in changes {
        let id = format!("n{:03x}", notion.counter & 0xfff);
        notion.counter += 1;
        let options = fresh_options(notion, change);
        let Some(source) = notion.source_mut(source) else {
            continue;
        };
        let known = super::page::column(source, key)
            .map(|c| c["name"].as_str().unwrap_or_default().to_owned());
        let Some(name) = known else {
            add_column(source, (&id, key), change, options)?;
            continue;
        };
        let mut column = source.columns.remove(&name).unwrap_or_default();
        if change.is_null() {
            continue;
        }
        if let Some((kind, config)) = MAKABLE.iter().find_map(|k| Some((*k, change.get(*k)?))) {
            let config = options.map_or_else(|| config.clone(), |o| json!({"options": o}));
            column = new_column(
                column["id"].as_str().unwrap_or_default(),
                &name,
                kind,
                config,
            );
        }
        let name = change["name"].as_str().unwrap_or(&name).to_owned();
        column["name"] = json!(name);
        source.columns.insert(name, column);
    }
    Ok(())
}

fn check_column(place: &str, change: &Value, version: Version) -> Result<(), Refusal> {
    let map = body::object(place, change)?;
    let kind = MAKABLE.iter().find(|k| map.contains_key(**k));
    if version == Version::V2022 && map.contains_key("status") {
        return Err(body::wrong(
            &format!("{place}.status"),
            "not present",
            &map["status"],
        ));
    }
    if kind.is_none() && !map.contains_key("name") && !map.contains_key("status") {
        let lines: Vec<String> = MAKABLE
            .iter()
            .map(|k| format!("{place}.{k} should be defined, instead was `undefined`."))
            .collect();
        return Err(Refusal::invalid(format!(
            "body failed validation. Fix one:\n{}",
            lines.join("\n")
        )));
    }
    let options = kind.and_then(|k| map[*k]["options"].as_array());
    let mut names = options
        .into_iter()
        .flatten()
        .filter_map(|o| o["name"].as_str());
    if let Some(name) = names.find(|n| n.contains(',')) {
        let kind = kind.copied().unwrap_or_default();
        return Err(Refusal::invalid(format!(
            "Invalid {kind} option, commas not allowed: {name}"
        )));
    }
    Ok(())
}

fn add_column(
    source: &mut Source,
    (id, name): (&str, &str),
    change: &Value,
    options: Option<Value>,
) -> Result<(), Refusal> {
    let Some((kind, config)) = MAKABLE.iter().find_map(|k| Some((*k, change.get(*k)?))) else {
        return Err(Refusal::invalid(format!(
            "{name} is not a property that exists."
        )));
    };
    if kind == "title" {
        return Err(Refusal::invalid("Cannot create new title property."));
    }
    let config = options.map_or_else(|| config.clone(), |o| json!({"options": o}));
    source
        .columns
        .insert(name.to_owned(), new_column(id, name, kind, config));
    Ok(())
}

/// The options of a change with ids and colours.
fn fresh_options(notion: &mut NotionState, change: &Value) -> Option<Value> {
    let kind = ["select", "multi_select"]
        .into_iter()
        .find(|k| change[*k]["options"].is_array())?;
    let options = change[kind]["options"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let filled = options.into_iter().map(|o| {
        let id = if o["id"].is_string() {
            o["id"].clone()
        } else {
            json!(notion.next_uuid())
        };
        let color = if o["color"].is_string() {
            o["color"].clone()
        } else {
            json!("default")
        };
        json!({"id": id, "name": o["name"], "color": color, "description": null})
    });
    Some(filled.collect())
}

fn common(database: &Database, title: &str) -> Value {
    let url = format!("https://www.notion.so/{}", database.id.replace('-', ""));
    json!({"cover": null, "icon": null, "created_time": minute(database.created),
        "created_by": {"object": "user", "id": PERSON_USER}, "last_edited_by": {"object": "user",
        "id": BOT_USER},
        "last_edited_time": minute(database.edited), "title": value::rich_text_of(title),
        "description": [],
        "is_inline": false, "url": url, "public_url": null, "archived": database.in_trash,
        "in_trash": database.in_trash})
}

fn page_parent() -> Value {
    json!({"type": "page_id", "page_id": "737e8fbb-baca-410a-9ead-427a031c26f4"})
}

/// The database as 2022-06-28 shows it.
pub(super) fn old_object(database: &Database) -> Value {
    let mut object = common(database, &database.title);
    object["object"] = json!("database");
    object["id"] = json!(database.id);
    object["properties"] = Value::Object(database.sources[0].columns.clone());
    object["parent"] = page_parent();
    object
}

fn container(database: &Database) -> Value {
    let sources: Vec<Value> = database
        .sources
        .iter()
        .map(|s| json!({"id": s.id, "name": s.name}))
        .collect();
    let mut object = common(database, &database.title);
    object["object"] = json!("database");
    object["id"] = json!(database.id);
    object["parent"] = page_parent();
    object["data_sources"] = json!(sources);
    object["is_locked"] = json!(false);
    // only containers show whole times, and nobody's name
    object["created_time"] = json!(
        database
            .created
            .strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00")
            .to_string()
    );
    object["last_edited_time"] = json!(
        database
            .edited
            .strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00")
            .to_string()
    );
    for key in ["created_by", "last_edited_by"] {
        object.as_object_mut().map(|o| o.remove(key));
    }
    object
}

fn source_object(database: &Database, source: &Source) -> Value {
    let mut object = common(database, &source.name);
    object["object"] = json!("data_source");
    object["id"] = json!(source.id);
    object["properties"] = Value::Object(source.columns.clone());
    object["parent"] = json!({"type": "database_id", "database_id": database.id});
    object["database_parent"] = page_parent();
    object
}

impl NotionState {
    #[allow(clippy::unused_self)] // reads like `page_json`
    /// The database as 2022-06-28 shows it.
    pub fn database_json(&self, database: &Database) -> Value {
        old_object(database)
    }
}
