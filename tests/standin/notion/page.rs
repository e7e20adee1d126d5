//! Pages: create, retrieve, update, one property, and the page object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::world::{BOT_USER, NotionState, Page, Source, minute};
use super::{Answer, Call, Paging, Refusal, Version, block, body, uuid, value};

pub(super) fn create(notion: &mut NotionState, call: &Call<'_>) -> Answer {
    if !notion.can_insert {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    body::only(
        "body",
        map,
        &["parent", "properties", "children", "icon", "cover"],
    )?;
    let parent = body::required("body", map, "parent")?;
    let properties = body::required("body", map, "properties")?;
    let kinds = check_shapes(properties)?;
    let children = map.get("children").cloned().unwrap_or_else(|| json!([]));
    block::check_children("body.children", &children)?;
    let (database, source) = parent_of(notion, call, parent)?;
    check_relation_targets(notion, call.version, (&source, &kinds))?;
    let values = write_values(notion, &source, properties, &kinds)?;
    block::check_references(notion, &children)?;
    spend(notion, block::count(&children) + 1)?;
    let id = insert(notion, (database, source), values);
    block::insert(notion, &id, &children, None);
    if !notion.can_read {
        return Ok(json!({"object": "page", "id": id}));
    }
    retrieve(notion, call, &id)
}

/// Adds a row past all checks of the request, as a person would in the app; the values must be
/// sound.
pub fn add_page(notion: &mut NotionState, database: &str, properties: &Value) -> String {
    let source = notion
        .database(database)
        .expect("a database of this world")
        .sources[0]
        .id
        .clone();
    let kinds = check_shapes(properties).expect("sound values");
    let values =
        write_values(notion, &source, properties, &kinds).expect("values that fit the columns");
    insert(notion, (database.to_owned(), source), values)
}

/// Changes values of a row past all checks of the request, as a person would in the app.
pub fn edit_page(notion: &mut NotionState, id: &str, properties: &Value) {
    let source = notion
        .page(id)
        .expect("a page of this world")
        .source
        .clone();
    let kinds = check_shapes(properties).expect("sound values");
    let values =
        write_values(notion, &source, properties, &kinds).expect("values that fit the columns");
    let now = notion.now();
    let page = notion.page_mut(id).expect("a page of this world");
    page.values.extend(values);
    page.edited = now;
}

pub(super) fn retrieve(notion: &NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_read {
        return Err(Refusal::capability());
    }
    let page = visible(notion, id)?;
    Ok(object(notion, page, call.version))
}

pub(super) fn update(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_update {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    let newest = call.version == Version::V2026;
    let allowed: &[&str] = if newest {
        &["properties", "in_trash", "icon", "cover", "is_locked"]
    } else {
        &["properties", "archived", "in_trash", "icon", "cover"]
    };
    body::only("body", map, allowed)?;
    let none = json!({});
    let properties = map.get("properties").unwrap_or(&none);
    let kinds = check_shapes(properties)?;
    let page = visible(notion, id)?;
    let trash = trash_switch(map)?;
    let is_closed = page.is_archived && notion.archive.is_closed;
    if (page.in_trash || is_closed) && trash != Some(false) {
        return Err(Refusal::archived());
    }
    let source = page.source.clone();
    check_relation_targets(notion, call.version, (&source, &kinds))?;
    let values = write_values(notion, &source, properties, &kinds)?;
    let now = notion.now();
    if let Some(page) = notion.page_mut(id) {
        page.values.extend(values.clone());
        page.edited = now;
        page.in_trash = trash.unwrap_or(page.in_trash);
    }
    mirror_relations(notion, (id, &source), &values);
    retrieve(notion, call, id).or_else(|_| Ok(json!({"object": "page", "id": id})))
}

/// `archived` or `in_trash`, whichever was sent.
fn trash_switch(map: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    for key in ["in_trash", "archived"] {
        match map.get(key) {
            None => {}
            Some(Value::Bool(b)) => return Ok(Some(*b)),
            Some(other) => {
                return Err(body::wrong(
                    &format!("body.{key}"),
                    "a boolean or `undefined`",
                    other,
                ));
            }
        }
    }
    Ok(None)
}

pub(super) fn property(
    notion: &mut NotionState,
    call: &Call<'_>,
    (id, property): (&str, &str),
) -> Answer {
    let page = visible(notion, id)?.clone();
    let full = full_properties(notion, &page);
    let columns = notion
        .source(&page.source)
        .map(|s| s.columns.clone())
        .unwrap_or_default();
    // the path segment came percent-encoded once; ids are themselves encoded strings
    let raw = call.request.path.rsplit('/').next().unwrap_or_default();
    let found = columns
        .values()
        .find(|c| c["id"] == raw || c["id"] == property);
    let Some(column) = found else {
        return Err(Refusal::invalid(format!(
            "{property} is not a property that exists."
        )));
    };
    let kind = column["type"].as_str().unwrap_or_default();
    let name = column["name"].as_str().unwrap_or_default();
    let item = |value: Value| {
        json!({"object": "property_item", "id": column["id"], "type": kind,
        kind: value})
    };
    if !["title", "rich_text", "people", "relation"].contains(&kind) {
        return Ok(item(full[name][kind].clone()));
    }
    let items: Vec<Value> = full[name][kind].as_array().cloned().unwrap_or_default();
    let keys: Vec<String> = (0..items.len())
        .map(|n| format!("{id}:{}:{n}", column["id"]))
        .collect();
    let cut = Paging::of_query(call.request)?.cut(notion, &keys, Version::V2022)?;
    let results = items
        .iter()
        .zip(&keys)
        .filter(|(_, k)| cut.ids.contains(k))
        .map(|(i, _)| item(i.clone()))
        .collect();
    let mut list = cut.envelope("property_item", results);
    let next = cut
        .next
        .as_ref()
        .map(|n| format!("https://api.notion.com/v1/pages/{id}/properties/{raw}?start_cursor={n}"));
    list["property_item"] = json!({"id": column["id"], "next_url": next, "type": kind, kind: {}});
    Ok(list)
}

/// A page that the integration can see.
pub(super) fn visible<'a>(notion: &'a NotionState, id: &str) -> Result<&'a Page, Refusal> {
    let shared =
        |p: &&Page| !p.unshared && notion.database(&p.database).is_some_and(|d| !d.unshared);
    notion
        .page(id)
        .filter(shared)
        .ok_or_else(|| Refusal::missing("page", id))
}

fn parent_of(
    notion: &NotionState,
    call: &Call<'_>,
    parent: &Value,
) -> Result<(String, String), Refusal> {
    let map = body::object("body.parent", parent)?;
    body::only(
        "body.parent",
        map,
        &["type", "database_id", "data_source_id", "page_id"],
    )?;
    let id = |key: &str| -> Result<Option<String>, Refusal> {
        let Some(value) = map.get(key) else {
            return Ok(None);
        };
        let sound = value.as_str().and_then(uuid);
        sound
            .map(Some)
            .ok_or_else(|| body::wrong(&format!("body.parent.{key}"), "a valid uuid", value))
    };
    if let Some(source) = id("data_source_id")? {
        let holder = notion
            .databases
            .iter()
            .find(|d| d.sources.iter().any(|s| s.id == source));
        let holder = holder.filter(|d| !d.unshared && !d.in_trash);
        return holder
            .map(|d| (d.id.clone(), source.clone()))
            .ok_or_else(|| Refusal::missing("data_source", &source));
    }
    let Some(database) = id("database_id")? else {
        return Err(Refusal::body(
            "body.parent.database_id should be defined, instead was `undefined`.",
        ));
    };
    let found = super::database::visible(notion, &database)?;
    super::database::one_source(found, call.version)?;
    if found.in_trash {
        return Err(Refusal::archived_ancestor());
    }
    Ok((database, found.sources[0].id.clone()))
}

/// The old version cannot write a relation to a database that has several sources.
fn check_relation_targets(
    notion: &NotionState,
    version: Version,
    (source, kinds): (&str, &BTreeMap<String, &'static str>),
) -> Result<(), Refusal> {
    let Some(source) = notion.source(source).filter(|_| version == Version::V2022) else {
        return Ok(());
    };
    let relations = kinds
        .iter()
        .filter(|(_, kind)| **kind == "relation")
        .filter_map(|(key, _)| column(source, key));
    for target in relations.filter_map(|c| c["relation"]["database_id"].as_str()) {
        notion
            .database(target)
            .map_or(Ok(()), |d| super::database::one_source(d, version))?;
    }
    Ok(())
}

fn check_shapes(properties: &Value) -> Result<BTreeMap<String, &'static str>, Refusal> {
    let mut kinds = BTreeMap::new();
    for (name, written) in body::object("body.properties", properties)? {
        let place = format!("body.properties.{name}");
        let kind = value::kind_of(&place, written)?;
        value::check(&format!("{place}.{kind}"), kind, &written[kind])?;
        kinds.insert(name.clone(), kind);
    }
    Ok(kinds)
}

/// The column that a key of `properties` means: a name, an id, or `title`.
pub(super) fn column<'a>(source: &'a Source, key: &str) -> Option<&'a Value> {
    let decoded = |c: &&Value| {
        let id = c["id"].as_str().unwrap_or_default();
        id == key || percent_encoding::percent_decode_str(id).decode_utf8_lossy() == key
    };
    source
        .columns
        .get(key)
        .or_else(|| source.columns.values().find(decoded))
}

/// Fits values to columns, creates options, and gives read forms by column id. All misfits are
/// named at once.
fn write_values(
    notion: &mut NotionState,
    source_id: &str,
    properties: &Value,
    kinds: &BTreeMap<String, &'static str>,
) -> Result<BTreeMap<String, Value>, Refusal> {
    let Some(source) = notion.source(source_id).cloned() else {
        return Err(Refusal::missing("data_source", source_id));
    };
    let mut blame = Vec::new();
    for (key, kind) in kinds {
        match column(&source, key).map(|c| c["type"].as_str().unwrap_or_default()) {
            None => blame.push(format!("{key} is not a property that exists.")),
            Some(has) if has != *kind => blame.push(format!("{key} is expected to be {has}.")),
            Some(_) => {}
        }
    }
    if !blame.is_empty() {
        return Err(Refusal::invalid(blame.join(" ")));
    }
    let columns: Vec<(String, &str, Value)> = kinds
        .iter()
        .filter_map(|(key, kind)| {
            Some((
                column(&source, key)?["name"].as_str()?.to_owned(),
                *kind,
                properties[key][kind].clone(),
            ))
        })
        .collect();
    for (name, kind, written) in &columns {
        check_options(&source.columns[name], kind, written)?;
        value::check_references(notion, kind, written)?;
    }
    let mut values = BTreeMap::new();
    for (name, kind, written) in columns {
        add_options(notion, (source_id, &name), kind, &written);
        let Some(column) = notion.source(source_id).map(|s| s.columns[&name].clone()) else {
            continue;
        };
        let options = column[kind]["options"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let read = match (kind, written.is_null()) {
            ("status", true) => value::default_status(&column["status"]),
            _ => value::read_form(kind, &written, &options),
        };
        values.insert(column["id"].as_str().unwrap_or_default().to_owned(), read);
    }
    Ok(values)
}

fn written_options(kind: &str, written: &Value) -> Vec<Value> {
    match kind {
        "multi_select" => written.as_array().cloned().unwrap_or_default(),
        "select" | "status" if written.is_object() => vec![written.clone()],
        _ => vec![],
    }
}

fn check_options(column: &Value, kind: &str, written: &Value) -> Result<(), Refusal> {
    let known = column[kind]["options"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for option in written_options(kind, written) {
        let found = value::find_option(&option, &known).is_some();
        match option["name"].as_str().filter(|_| option["id"].is_null()) {
            Some(name) if name.contains(',') => {
                return Err(Refusal::invalid(format!(
                    "Invalid {kind} option, commas not allowed: {name}"
                )));
            }
            Some(name) if kind == "status" && !found => {
                let message =
                    format!("Invalid status option. Status option \"{name}\" does not exist\".");
                return Err(Refusal::invalid(message));
            }
            None if !found => {
                return Err(Refusal::invalid(format!(
                    "Invalid {kind} option. Option id {} does not exist",
                    option["id"]
                )));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Unknown options of `select` and `multi_select` are made, as the app does.
fn add_options(
    notion: &mut NotionState,
    (source, name): (&str, &str),
    kind: &str,
    written: &Value,
) {
    for option in written_options(kind, written) {
        let id = notion.next_uuid();
        let Some(source) = notion.source_mut(source) else {
            return;
        };
        let Some(options) = source
            .columns
            .get_mut(name)
            .and_then(|c| c[kind]["options"].as_array_mut())
        else {
            return;
        };
        if value::find_option(&option, options).is_none() {
            options.push(
                json!({"id": id, "name": option["name"], "color": "gray", "description": null}),
            );
        }
    }
}

fn insert(
    notion: &mut NotionState,
    (database, source): (String, String),
    values: BTreeMap<String, Value>,
) -> String {
    let id = notion.next_uuid();
    let now = notion.now();
    let number = notion.pages.len() as u64 + 1;
    notion.pages.push(Page {
        id: id.clone(),
        database,
        source: source.clone(),
        created: now,
        edited: now,
        in_trash: false,
        is_archived: false,
        unshared: false,
        values: values.clone(),
        children: vec![],
        number,
        born: Some(now),
    });
    mirror_relations(notion, (&id, &source), &values);
    id
}

/// Keeps the other side of two-way relations equal.
fn mirror_relations(
    notion: &mut NotionState,
    (page, source): (&str, &str),
    values: &BTreeMap<String, Value>,
) {
    let Some(source) = notion.source(source).cloned() else {
        return;
    };
    for (id, value) in values {
        let Some(column) = source.columns.values().find(|c| c["id"] == *id.as_str()) else {
            continue;
        };
        let Some(back) = column["relation"]["dual_property"]["synced_property_id"].as_str() else {
            continue;
        };
        let database = column["relation"]["database_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let linked: Vec<&str> = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r["id"].as_str())
            .collect();
        for other in notion.pages.iter_mut().filter(|p| p.database == database) {
            let list = other
                .values
                .entry(back.to_owned())
                .or_insert_with(|| json!([]));
            let Some(list) = list.as_array_mut() else {
                continue;
            };
            let wanted = linked.contains(&other.id.as_str());
            list.retain(|r| wanted || r["id"] != page);
            if wanted && !list.iter().any(|r| r["id"] == page) {
                list.push(json!({"id": page}));
            }
        }
    }
}

/// Takes blocks from what a free workspace has for life.
pub(super) fn spend(notion: &mut NotionState, blocks: usize) -> Result<(), Refusal> {
    match notion.blocks_left {
        Some(left) if left < blocks => {
            let message = "API token does not have access to this resource.";
            let refusal = Refusal::new(403, "restricted_resource", message);
            Err(refusal.with(json!({"block_limit": 1000})))
        }
        Some(left) => {
            notion.blocks_left = Some(left - blocks);
            Ok(())
        }
        None => Ok(()),
    }
}

/// The page object of that version, relations cut at 25.
pub(super) fn object(notion: &NotionState, page: &Page, version: Version) -> Value {
    let mut properties = full_properties(notion, page);
    for property in properties
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, p)| p)
    {
        if let Some(list) = property.get_mut("relation").and_then(Value::as_array_mut) {
            let more = list.len() > 25;
            list.truncate(25);
            property["has_more"] = json!(more);
        }
    }
    let user = json!({"object": "user", "id": BOT_USER});
    let title = super::super::render::plain(
        properties
            .as_object()
            .into_iter()
            .flatten()
            .find(|(_, p)| p["type"] == "title")
            .map_or(&Value::Null, |(_, p)| &p["title"]),
    );
    let slug: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let bare = page.id.replace('-', "");
    let address = if slug.is_empty() {
        bare
    } else {
        format!("{slug}-{bare}")
    };
    let mut object = json!({"object": "page", "id": page.id, "created_time": minute(page.created),
        "last_edited_time": minute(page.edited), "created_by": user, "last_edited_by": user,
        "cover": null,
        "icon": null, "parent": {"type": "database_id", "database_id": page.database},
        "in_trash": page.in_trash,
        "properties": properties, "url": format!("https://www.notion.so/{address}"),
        "public_url": null});
    if version < Version::V2026 {
        object["archived"] = json!(page.in_trash);
    }
    if version > Version::V2022 {
        object["is_archived"] = json!(page.is_archived);
        object["is_locked"] = json!(false);
        object["parent"] = json!({"type": "data_source_id", "data_source_id": page.source,
            "database_id": page.database});
    }
    object
}

fn full_properties(notion: &NotionState, page: &Page) -> Value {
    let Some(source) = notion.source(&page.source) else {
        return json!({});
    };
    let mut properties = Map::new();
    for (name, column) in &source.columns {
        let kind = column["type"].as_str().unwrap_or_default();
        let value = value_of(page, column);
        properties.insert(
            name.clone(),
            json!({"id": column["id"], "type": kind, kind: value}),
        );
    }
    Value::Object(properties)
}

/// What a page reads as under a column.
pub(super) fn value_of(page: &Page, column: &Value) -> Value {
    let stored = column["id"].as_str().and_then(|id| page.values.get(id));
    stored
        .cloned()
        .or_else(|| computed(page, column))
        .unwrap_or_else(|| value::empty(column))
}

fn computed(page: &Page, column: &Value) -> Option<Value> {
    match column["type"].as_str()? {
        "created_time" => Some(json!(minute(page.created))),
        "last_edited_time" => Some(json!(minute(page.edited))),
        "created_by" | "last_edited_by" => Some(json!({"object": "user", "id": BOT_USER})),
        "unique_id" => {
            Some(json!({"prefix": column["unique_id"]["prefix"], "number": page.number}))
        }
        "formula" => Some(json!({"type": "number", "number": null})),
        "rollup" => {
            Some(json!({"type": "number", "number": 0, "function": column["rollup"]["function"]}))
        }
        _ => None,
    }
}

impl NotionState {
    /// The page object as that version shows it.
    pub fn page_json(&self, page: &Page, version: &str) -> Value {
        object(self, page, Version::of(version).unwrap_or(Version::V2022))
    }

    /// The ids under a page or a block, for changing.
    pub fn children_mut(&mut self, parent: &str) -> &mut Vec<String> {
        if let Some(index) = self.pages.iter().position(|p| p.id == parent) {
            return &mut self.pages[index].children;
        }
        &mut self
            .blocks
            .get_mut(parent)
            .expect("a page or block of this world")
            .children
    }
}
