//! The Notion databases as indented text, for comparing with what a person should see.
//!
//! ```text
//! # Clients
//! Rosa Quint
//!   Last Call: 2026-10-01T15:00:00.000+00:00
//!   Phone: +12025550147
//!   |
//!   - toggle: Incoming call · … [Open in Quo](https://…)
//!     - paragraph: …
//! ```
//! Pages in order of creation; computed and empty properties left out; trashed pages marked `(in
//! trash)`.

use std::fmt::Write;

use serde_json::Value;

use super::world::{NotionState, Page, World};

const COMPUTED: [&str; 7] = [
    "created_time",
    "last_edited_time",
    "created_by",
    "last_edited_by",
    "unique_id",
    "formula",
    "rollup",
];

/// All databases, those without pages by name only.
pub fn render(world: &World) -> String {
    let mut out = String::new();
    for database in &world.notion.databases {
        writeln!(out, "# {}", database.title).unwrap();
        for page in world
            .notion
            .pages
            .iter()
            .filter(|p| p.database == database.id)
        {
            render_page(&world.notion, page, &mut out);
        }
    }
    out
}

fn render_page(notion: &NotionState, page: &Page, out: &mut String) {
    let json = notion.page_json(page, "2022-06-28");
    let properties = json["properties"].as_object().cloned().unwrap_or_default();
    let kind_of = |p: &Value| p["type"].as_str().unwrap_or_default().to_owned();
    let title = properties
        .values()
        .find(|p| p["type"] == "title")
        .map(|p| plain(&p["title"]))
        .unwrap_or_default();
    writeln!(
        out,
        "{title}{}",
        if page.in_trash { " (in trash)" } else { "" }
    )
    .unwrap();
    for (name, property) in &properties {
        let kind = kind_of(property);
        let text = plain(&property[&kind]);
        if kind != "title"
            && !COMPUTED.contains(&kind.as_str())
            && !text.is_empty()
            && text != "false"
        {
            writeln!(out, "  {name}: {text}").unwrap();
        }
    }
    if !page.children.is_empty() {
        writeln!(out, "  |").unwrap();
    }
    render_blocks(notion, &page.children, 1, out);
}

fn render_blocks(notion: &NotionState, ids: &[String], depth: usize, out: &mut String) {
    for block in ids
        .iter()
        .filter_map(|id| notion.blocks.get(id))
        .filter(|b| !b.in_trash)
    {
        let indent = "  ".repeat(depth);
        let mut text = plain(&block.data["rich_text"]);
        for place in ["/url", "/external/url", "/file_upload/id"] {
            if let Some(url) = block.data.pointer(place).and_then(Value::as_str) {
                text.push_str(url);
            }
        }
        let text = text.replace('\n', &format!("\n{indent}    "));
        writeln!(out, "{indent}- {}: {text}", block.kind).unwrap();
        render_blocks(notion, &block.children, depth + 1, out);
    }
}

/// A property value or a rich text as one line of text, links as `[text](url)`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Array(items) if items.iter().all(|i| i.get("plain_text").is_some()) => {
            items.iter().map(segment).collect()
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => ["name", "start", "id"]
            .iter()
            .find_map(|k| map.get(*k).and_then(Value::as_str))
            .map_or_else(|| value.to_string(), str::to_owned),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn segment(item: &Value) -> String {
    let text = item["plain_text"].as_str().unwrap_or_default();
    match item["href"].as_str() {
        Some(url) => format!("[{text}]({url})"),
        None => text.to_owned(),
    }
}
