//! Blocks: shape checks, append, list, update, delete, and the block object.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::world::{BOT_USER, Block, NotionState, Page, minute};
use super::{Answer, Call, Paging, Refusal, Version, body, page, uuid, value};

/// Blocks that are mostly a text.
const TEXTS: [&str; 10] = [
    "paragraph",
    "heading_1",
    "heading_2",
    "heading_3",
    "bulleted_list_item",
    "numbered_list_item",
    "quote",
    "toggle",
    "callout",
    "to_do",
];
const MEDIA: [&str; 5] = ["audio", "video", "image", "file", "pdf"];
const OTHERS: [&str; 5] = ["divider", "bookmark", "embed", "code", "breadcrumb"];

pub(super) fn retrieve(notion: &NotionState, call: &Call<'_>, id: &str) -> Answer {
    if let Ok(page) = page::visible(notion, id) {
        return Ok(page_as_block(notion, page, call.version));
    }
    let block = notion
        .blocks
        .get(id)
        .ok_or_else(|| Refusal::missing("block", id))?;
    Ok(object(notion, block, call.version))
}

pub(super) fn list(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_read {
        return Err(Refusal::capability());
    }
    let ids = living_children(notion, id)?;
    let cut = Paging::of_query(call.request)?.cut(notion, &ids, Version::V2022)?;
    // As users report: a block that the API does not give out hides all of its part of the list.
    if cut
        .ids
        .iter()
        .any(|id| notion.blocks[id].kind == "ai_block")
    {
        return Err(Refusal::invalid(
            "Block type ai_block is not supported via the API.",
        ));
    }
    let results = objects(notion, &cut.ids, call.version);
    Ok(cut.envelope("block", results))
}

pub(super) fn append(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_insert {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    let place_key = if call.version == Version::V2026 {
        "position"
    } else {
        "after"
    };
    body::only("body", map, &["children", place_key])?;
    let children = body::required("body", map, "children")?;
    check_children("body.children", children)?;
    let siblings = living_children(notion, id)?;
    check_editable(notion, id)?;
    if let Some(parent) = notion.blocks.get(id).filter(|b| !may_hold(b)) {
        return Err(Refusal::invalid(format!(
            "Block of type {} does not support children.",
            parent.kind
        )));
    }
    check_references(notion, children)?;
    let at = position(map, &siblings)?;
    page::spend(notion, count(children))?;
    let new = insert(notion, id, children, at);
    touch(notion, id);
    let tail = siblings[at.unwrap_or(siblings.len())..].iter().cloned();
    let ids: Vec<String> = new.into_iter().chain(tail).collect();
    let results = objects(notion, &ids, call.version);
    Ok(
        json!({"object": "list", "results": results, "next_cursor": null, "has_more": false,
            "type": "block",
              "block": {}}),
    )
}

pub(super) fn update(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_update {
        return Err(Refusal::capability());
    }
    let map = body::object("body", &call.body)?;
    let block = notion
        .blocks
        .get(id)
        .cloned()
        .ok_or_else(|| Refusal::missing("block", id))?;
    let trash = ["archived", "in_trash"]
        .iter()
        .find_map(|k| map.get(*k).and_then(Value::as_bool));
    let kinds: Vec<&String> = map
        .keys()
        .filter(|k| !["archived", "in_trash", "type", "object"].contains(&k.as_str()))
        .collect();
    if let Some(other) = kinds.into_iter().find(|k| **k != block.kind) {
        if !TEXTS.contains(&other.as_str())
            && !MEDIA.contains(&other.as_str())
            && !OTHERS.contains(&other.as_str())
        {
            return Err(body::wrong(
                &format!("body.{other}"),
                "not present",
                &map[other.as_str()],
            ));
        }
        return Err(Refusal::invalid(format!(
            "Expected block type {} in request body",
            block.kind
        )));
    }
    if trash != Some(false) {
        check_editable(notion, id)?;
    }
    let mut data = block.data.clone();
    if let Some(change) = map.get(&block.kind) {
        let place = format!("body.{}", block.kind);
        let fields = body::object(&place, change)?;
        if let Some(children) = fields.get("children") {
            return Err(body::wrong(
                &format!("{place}.children"),
                "not present",
                children,
            ));
        }
        check_data(&place, &block.kind, fields, Need::Update)?;
        for (key, value) in read_form(&block.kind, fields) {
            data[key] = value;
        }
    }
    let now = notion.now();
    if let Some(block) = notion.blocks.get_mut(id) {
        block.data = data;
        block.edited = now;
        block.in_trash = trash.unwrap_or(block.in_trash);
    }
    retrieve(notion, call, id)
}

pub(super) fn delete(notion: &mut NotionState, call: &Call<'_>, id: &str) -> Answer {
    if !notion.can_update {
        return Err(Refusal::capability());
    }
    if let Some(database) = notion
        .databases
        .iter_mut()
        .find(|d| d.id == id && !d.unshared)
    {
        database.in_trash = true;
        return Ok(super::database::old_object(database));
    }
    if page::visible(notion, id).is_ok() {
        notion.set_trashed(id, true);
        return retrieve(notion, call, id);
    }
    check_editable(notion, id)?;
    match notion.blocks.get_mut(id) {
        Some(block) => block.in_trash = true,
        None => return Err(Refusal::missing("block", id)),
    }
    retrieve(notion, call, id)
}

/// Checks a list of new blocks, all generations.
pub fn check_children(place: &str, children: &Value) -> Result<(), Refusal> {
    check_level(place, children, 0)?;
    let blocks = count(children);
    if blocks > 1000 {
        return Err(Refusal::body(&format!(
            "{place} total number of blocks should be ≤ `1000`, instead was `{blocks}`."
        )));
    }
    Ok(())
}

/// How many blocks a list holds, all generations.
pub fn count(children: &Value) -> usize {
    children
        .as_array()
        .into_iter()
        .flatten()
        .map(|b| 1 + count(children_of(b)))
        .sum()
}

fn children_of(block: &Value) -> &Value {
    let kind = kind_of(block);
    kind.map_or(&Value::Null, |k| &block[k]["children"])
}

fn kind_of(block: &Value) -> Option<&'static str> {
    TEXTS
        .into_iter()
        .chain(MEDIA)
        .chain(OTHERS)
        .find(|k| block.get(*k).is_some())
}

fn check_level(place: &str, children: &Value, depth: usize) -> Result<(), Refusal> {
    for (number, block) in body::list(place, children, 100)?.iter().enumerate() {
        let place = format!("{place}[{number}]");
        let map = body::object(&place, block)?;
        let Some(kind) = kind_of(block) else {
            let kinds = [
                "embed",
                "bookmark",
                "paragraph",
                "toggle",
                "heading_3",
                "divider",
                "audio",
            ];
            let lines =
                kinds.map(|k| format!("{place}.{k} should be defined, instead was `undefined`."));
            return Err(Refusal::invalid(format!(
                "body failed validation. Fix one:\n{}",
                lines.join("\n")
            )));
        };
        body::only(&place, map, &["object", "type", kind])?;
        if let Some(other) = map.get("type").filter(|t| **t != kind) {
            return Err(body::wrong(
                &format!("{place}.type"),
                &format!("`\"{kind}\"` or `undefined`"),
                other,
            ));
        }
        if let Some(other) = map.get("object").filter(|o| **o != "block") {
            return Err(body::wrong(
                &format!("{place}.object"),
                "`\"block\"` or `undefined`",
                other,
            ));
        }
        let place = format!("{place}.{kind}");
        let data = body::object(&place, &map[kind])?;
        check_data(&place, kind, data, Need::Create)?;
        let Some(inner) = data.get("children") else {
            continue;
        };
        let place = format!("{place}.children");
        if depth == 2 {
            return Err(body::wrong(&place, "not present", inner));
        }
        check_level(&place, inner, depth + 1)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Create,
    Update,
}

fn check_data(
    place: &str,
    kind: &str,
    data: &Map<String, Value>,
    need: Need,
) -> Result<(), Refusal> {
    let allowed: &[&str] = match kind {
        "heading_1" | "heading_2" | "heading_3" => {
            &["rich_text", "color", "children", "is_toggleable"]
        }
        "callout" => &["rich_text", "color", "children", "icon"],
        "to_do" => &["rich_text", "color", "children", "checked"],
        "code" => &["rich_text", "caption", "language"],
        "divider" | "breadcrumb" => &[],
        "bookmark" | "embed" => &["url", "caption"],
        k if MEDIA.contains(&k) => &["type", "external", "file_upload", "caption", "name"],
        _ => &["rich_text", "color", "children"],
    };
    body::only(place, data, allowed)?;
    let needed = match kind {
        "divider" | "breadcrumb" => None,
        "bookmark" | "embed" => Some("url"),
        k if MEDIA.contains(&k) => None,
        _ => Some("rich_text"),
    };
    if let Some(key) = needed.filter(|_| need == Need::Create) {
        body::required(place, data, key)?;
    }
    for key in ["rich_text", "caption"] {
        data.get(key)
            .map_or(Ok(()), |t| body::rich_text(&format!("{place}.{key}"), t))?;
    }
    data.get("color")
        .map_or(Ok(()), |c| body::color(&format!("{place}.color"), c))?;
    data.get("url")
        .map_or(Ok(""), |u| body::url(&format!("{place}.url"), u))?;
    if kind == "code" && need == Need::Create && !data.contains_key("language") {
        return Err(Refusal::body(&format!(
            "{place}.language should be defined, instead was `undefined`."
        )));
    }
    if let Some(key) = ["checked", "is_toggleable"]
        .into_iter()
        .find(|k| data.get(*k).is_some_and(|v| !v.is_boolean()))
    {
        return Err(body::wrong(
            &format!("{place}.{key}"),
            "a boolean or `undefined`",
            &data[key],
        ));
    }
    if MEDIA.contains(&kind) {
        check_media(place, data)
    } else {
        Ok(())
    }
}

fn check_media(place: &str, data: &Map<String, Value>) -> Result<(), Refusal> {
    match (data.get("external"), data.get("file_upload")) {
        (Some(external), None) => {
            let place = format!("{place}.external");
            let map = body::object(&place, external)?;
            body::only(&place, map, &["url"])?;
            body::url(&format!("{place}.url"), body::required(&place, map, "url")?).map(|_| ())
        }
        (None, Some(upload)) => {
            let place = format!("{place}.file_upload");
            let map = body::object(&place, upload)?;
            let id = body::required(&place, map, "id")?;
            let sound = id.as_str().and_then(uuid).is_some();
            if sound {
                Ok(())
            } else {
                Err(body::wrong(&format!("{place}.id"), "a valid uuid", id))
            }
        }
        _ => Err(Refusal::body(&format!(
            "{place}.external should be defined, instead was `undefined`."
        ))),
    }
}

/// Attached uploads must be there.
pub fn check_references(notion: &NotionState, children: &Value) -> Result<(), Refusal> {
    for block in children.as_array().into_iter().flatten() {
        let upload = kind_of(block).map_or(&Value::Null, |k| &block[k]["file_upload"]);
        if upload.is_object() {
            value::check_upload(notion, upload)?;
        }
        check_references(notion, children_of(block))?;
    }
    Ok(())
}

/// Where new blocks go among the siblings; `None` is the end.
fn position(map: &Map<String, Value>, siblings: &[String]) -> Result<Option<usize>, Refusal> {
    let wanted = match (map.get("after"), map.get("position")) {
        (Some(after), _) => Some(("body.after", after)),
        (None, Some(position)) => {
            let place = body::object("body.position", position)?;
            match place.get("type").and_then(Value::as_str) {
                Some("start") => return Ok(Some(0)),
                Some("end") => None,
                Some("after_block") => Some((
                    "body.position.after_block.id",
                    &position["after_block"]["id"],
                )),
                _ => {
                    return Err(body::wrong(
                        "body.position.type",
                        "`\"start\"`, `\"end\"` or `\"after_block\"`",
                        position,
                    ));
                }
            }
        }
        (None, None) => None,
    };
    let Some((place, after)) = wanted else {
        return Ok(None);
    };
    let id = after
        .as_str()
        .and_then(uuid)
        .ok_or_else(|| body::wrong(place, "a valid uuid", after))?;
    let index = siblings.iter().position(|s| *s == id);
    let message = "The block to append children after is not a direct child of the parent block.";
    index
        .map(|i| Some(i + 1))
        .ok_or_else(|| Refusal::invalid(message))
}

/// Stores checked blocks and gives the ids of the first generation.
pub fn insert(
    notion: &mut NotionState,
    parent: &str,
    children: &Value,
    at: Option<usize>,
) -> Vec<String> {
    let now = notion.now();
    let mut ids = Vec::new();
    for json in children.as_array().into_iter().flatten() {
        let Some(kind) = kind_of(json) else { continue };
        let id = notion.next_uuid();
        let written = json[kind].as_object().cloned().unwrap_or_default();
        let block = new_block(&id, (parent, kind), &written, now);
        notion.blocks.insert(id.clone(), block);
        insert(notion, &id, &json[kind]["children"], None);
        ids.push(id);
    }
    let all = notion.children_mut(parent).clone();
    let living: Vec<String> = all
        .iter()
        .filter(|c| notion.blocks.get(*c).is_some_and(|b| !b.in_trash))
        .cloned()
        .collect();
    let index = at
        .and_then(|i| living.get(i))
        .and_then(|next| all.iter().position(|c| c == next));
    let list = notion.children_mut(parent);
    let index = index.unwrap_or(list.len());
    list.splice(index..index, ids.iter().cloned());
    ids
}

fn new_block(
    id: &str,
    (parent, kind): (&str, &str),
    written: &Map<String, Value>,
    now: Timestamp,
) -> Block {
    let mut data = defaults(kind);
    for (key, value) in read_form(kind, written) {
        data[key] = value;
    }
    Block {
        id: id.to_owned(),
        parent: parent.to_owned(),
        kind: kind.to_owned(),
        data,
        children: vec![],
        in_trash: false,
        created: now,
        edited: now,
    }
}

fn defaults(kind: &str) -> Value {
    match kind {
        "heading_1" | "heading_2" | "heading_3" => {
            json!({"color": "default", "is_toggleable": false})
        }
        "to_do" => json!({"color": "default", "checked": false}),
        "bookmark" | "embed" => json!({"caption": []}),
        "code" => json!({"caption": []}),
        k if MEDIA.contains(&k) => json!({"caption": []}),
        "divider" | "breadcrumb" => json!({}),
        _ => json!({"color": "default"}),
    }
}

fn read_form(kind: &str, written: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut fields: Vec<(String, Value)> = written
        .iter()
        .filter(|(k, _)| *k != "children")
        .map(|(k, v)| {
            (
                k.clone(),
                if k == "rich_text" || k == "caption" {
                    value::rich_text(v)
                } else {
                    v.clone()
                },
            )
        })
        .collect();
    if MEDIA.contains(&kind) && !written.contains_key("type") {
        let source = if written.contains_key("external") {
            "external"
        } else {
            "file_upload"
        };
        fields.push(("type".to_owned(), json!(source)));
    }
    fields
}

fn may_hold(block: &Block) -> bool {
    match block.kind.as_str() {
        "heading_1" | "heading_2" | "heading_3" => block.data["is_toggleable"] == true,
        kind => TEXTS.contains(&kind),
    }
}

/// Ids of the children that are not in the trash.
fn living_children(notion: &NotionState, parent: &str) -> Result<Vec<String>, Refusal> {
    let all = match (page::visible(notion, parent), notion.blocks.get(parent)) {
        (Ok(page), _) => &page.children,
        (Err(_), Some(block)) => &block.children,
        (Err(_), None) => return Err(Refusal::missing("block", parent)),
    };
    Ok(all
        .iter()
        .filter(|c| notion.blocks.get(*c).is_some_and(|b| !b.in_trash))
        .cloned()
        .collect())
}

/// Refuses what is in the trash itself, or lies under something that is.
fn check_editable(notion: &NotionState, id: &str) -> Result<(), Refusal> {
    let trashed = |id: &str| {
        let is_closed = |p: &Page| p.in_trash || p.is_archived && notion.archive.is_closed;
        let page = notion.page(id).is_some_and(is_closed);
        page || notion.blocks.get(id).is_some_and(|b| b.in_trash)
    };
    if trashed(id) {
        return Err(Refusal::archived());
    }
    let mut at = id;
    while let Some(block) = notion.blocks.get(at) {
        at = &block.parent;
        if trashed(at) {
            return Err(Refusal::archived_ancestor());
        }
    }
    Ok(())
}

/// An append moves the parent's time, not the page's (as was reported of the live service).
fn touch(notion: &mut NotionState, id: &str) {
    let now = notion.now();
    if let Some(block) = notion.blocks.get_mut(id) {
        block.edited = now;
    }
}

fn objects(notion: &NotionState, ids: &[String], version: Version) -> Vec<Value> {
    ids.iter()
        .filter_map(|id| notion.blocks.get(id))
        .map(|b| object(notion, b, version))
        .collect()
}

fn object(notion: &NotionState, block: &Block, version: Version) -> Value {
    let under_page = notion.page(&block.parent).is_some();
    let kind = if under_page { "page_id" } else { "block_id" };
    let has_children = block
        .children
        .iter()
        .any(|c| notion.blocks.get(c).is_some_and(|b| !b.in_trash));
    let user = json!({"object": "user", "id": BOT_USER});
    let mut object = json!({"object": "block", "id": block.id, "parent": {"type": kind,
        kind: block.parent},
        "created_time": minute(block.created), "last_edited_time": minute(block.edited),
        "created_by": user,
        "last_edited_by": user, "has_children": has_children, "in_trash": block.in_trash,
        "type": block.kind,
        block.kind.as_str(): block.data});
    if version < Version::V2026 {
        object["archived"] = json!(block.in_trash);
    }
    object
}

fn page_as_block(
    notion: &NotionState,
    page: &super::super::world::Page,
    version: Version,
) -> Value {
    let mut object = page::object(notion, page, version);
    let title = object["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .find(|(_, p)| p["type"] == "title");
    let title = title
        .map(|(_, p)| super::super::render::plain(&p["title"]))
        .unwrap_or_default();
    let has_children = !page.children.is_empty();
    let map = object.as_object_mut().unwrap();
    for key in ["properties", "url", "public_url", "cover", "icon"] {
        map.remove(key);
    }
    object["object"] = json!("block");
    object["type"] = json!("child_page");
    object["child_page"] = json!({"title": title});
    object["has_children"] = json!(has_children);
    object
}
