//! Property values: how Notion wants each type written, and what a value read says.
//! <https://developers.notion.com/reference/property-value-object>

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::domain::table::{Cell, ColumnKind, Property, Written};

use super::text;

/// The type's name in JSON; `None` for types that are not written.
pub fn type_name(kind: ColumnKind) -> Option<&'static str> {
    Some(match kind {
        ColumnKind::Title => "title",
        ColumnKind::RichText => "rich_text",
        ColumnKind::Number => "number",
        ColumnKind::Select => "select",
        ColumnKind::MultiSelect => "multi_select",
        ColumnKind::Status => "status",
        ColumnKind::Date => "date",
        ColumnKind::Checkbox => "checkbox",
        ColumnKind::Url => "url",
        ColumnKind::Email => "email",
        ColumnKind::PhoneNumber => "phone_number",
        ColumnKind::Files => "files",
        ColumnKind::Relation => "relation",
        ColumnKind::ReadOnly => return None,
    })
}

/// The kind behind a type's name; unknown and computed ones are read-only.
pub fn kind_of(type_name: &str) -> ColumnKind {
    match type_name {
        "title" => ColumnKind::Title,
        "rich_text" => ColumnKind::RichText,
        "number" => ColumnKind::Number,
        "select" => ColumnKind::Select,
        "multi_select" => ColumnKind::MultiSelect,
        "status" => ColumnKind::Status,
        "date" => ColumnKind::Date,
        "checkbox" => ColumnKind::Checkbox,
        "url" => ColumnKind::Url,
        "email" => ColumnKind::Email,
        "phone_number" => ColumnKind::PhoneNumber,
        "files" => ColumnKind::Files,
        "relation" => ColumnKind::Relation,
        _ => ColumnKind::ReadOnly,
    }
}

/// The `properties` object of a create or update request, keyed by column id.
pub fn write_all(properties: &[Property]) -> Json {
    let pairs = properties.iter().filter_map(|property| {
        let name = type_name(property.column.kind)?;
        Some((
            property.column.id.clone(),
            json!({ name: write(&property.value) }),
        ))
    });
    Json::Object(pairs.collect())
}

fn write(value: &Written) -> Json {
    let named = |name: &String| json!({"name": name});
    match value {
        Written::Text(content) => Json::Array(text::plain(content)),
        Written::Number(number) => json!(number),
        Written::Choice(name) => named(name),
        Written::Choices(options) => options.iter().map(named).collect(),
        Written::Date(at) => json!({"start": at.to_string()}),
        Written::Checkbox(flag) => json!(flag),
        Written::Cleared => Json::Null,
        Written::Line(content) => json!(content),
        Written::Files(links) => links
            .iter()
            .map(|(name, url)| json!({"name": name, "type": "external", "external": {"url": url}}))
            .collect(),
        Written::Relation(pages) => pages
            .iter()
            .map(|page| json!({"id": page.as_str()}))
            .collect(),
    }
}

/// Reads one value of a page. What is not understood counts as filled, so that it is never
/// overwritten.
pub fn read(value: &Json) -> Cell {
    let kind = value["type"].as_str().unwrap_or_default();
    let inner = &value[kind];
    match kind_of(kind) {
        ColumnKind::Title | ColumnKind::RichText => text_cell(inner),
        ColumnKind::Url | ColumnKind::Email | ColumnKind::PhoneNumber => {
            line_cell(inner.as_str().unwrap_or_default())
        }
        ColumnKind::Select => line_cell(inner["name"].as_str().unwrap_or_default()),
        ColumnKind::Status => Cell {
            empty: false,
            ..line_cell(inner["name"].as_str().unwrap_or_default())
        },
        ColumnKind::Number => Cell {
            text: inner.to_string(),
            empty: inner.is_null(),
            ..Cell::default()
        },
        ColumnKind::MultiSelect => names_cell(inner),
        ColumnKind::Date => date_cell(inner),
        ColumnKind::Files | ColumnKind::Relation => Cell {
            empty: inner.as_array().is_some_and(Vec::is_empty),
            ..Cell::default()
        },
        ColumnKind::Checkbox => Cell {
            checked: inner.as_bool() == Some(true),
            ..Cell::default()
        },
        ColumnKind::ReadOnly => Cell::default(),
    }
}

fn text_cell(segments: &Json) -> Cell {
    let pieces = segments.as_array().map(Vec::as_slice).unwrap_or_default();
    let text: String = pieces
        .iter()
        .filter_map(|piece| piece["plain_text"].as_str())
        .collect();
    // A mention or an equation has no plain text of its own in some versions, yet it is a value.
    let empty = text.trim().is_empty() && pieces.iter().all(|piece| piece["type"] == "text");
    Cell {
        text,
        empty,
        ..Cell::default()
    }
}

fn line_cell(text: &str) -> Cell {
    Cell {
        text: text.to_owned(),
        empty: text.trim().is_empty(),
        ..Cell::default()
    }
}

fn names_cell(options: &Json) -> Cell {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = options
        .iter()
        .filter_map(|option| option["name"].as_str().map(Into::into))
        .collect();
    Cell {
        text: names.join(", "),
        empty: options.is_empty(),
        names,
        ..Cell::default()
    }
}

fn date_cell(date: &Json) -> Cell {
    let start = date["start"].as_str().unwrap_or_default();
    Cell {
        text: start.to_owned(),
        empty: date.is_null(),
        date: moment(start),
        ..Cell::default()
    }
}

/// A date-time, or the beginning of a day in UTC.
fn moment(start: &str) -> Option<Timestamp> {
    let day = || {
        start
            .parse::<jiff::civil::Date>()
            .ok()?
            .to_zoned_datetime(jiff::tz::TimeZone::UTC)
            .ok()
    };
    start
        .parse()
        .ok()
        .or_else(|| day().map(|day| day.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(page: &str) -> Vec<(String, Cell)> {
        let page: Json = serde_json::from_str(page).expect("fixture");
        let properties = page["properties"].as_object().expect("properties");
        properties
            .iter()
            .map(|(name, value)| (name.clone(), read(value)))
            .collect()
    }

    fn empties(page: &str) -> Vec<String> {
        let mut names: Vec<String> = cells(page)
            .into_iter()
            .filter(|(_, cell)| cell.empty)
            .map(|(name, _)| name)
            .collect();
        names.sort();
        names
    }

    #[test]
    fn filled_page_has_nothing_to_fill() {
        assert_eq!(
            empties(include_str!("../../fixtures/notion/page_full.json")),
            ["Notes"]
        );
    }

    #[test]
    fn empty_page_can_be_filled_except_computed_values_checkbox_and_status() {
        let names = empties(include_str!(
            "../../fixtures/notion/page_status_type_untouched.json"
        ));
        for never in ["Status", "VIP", "Created", "Call Count"] {
            assert!(
                !names.iter().any(|name| name == never),
                "{never} in {names:?}"
            );
        }
        for fillable in [
            "Company",
            "Email",
            "Tags",
            "Last Call",
            "Role",
            "Website",
            "Calls",
        ] {
            assert!(
                names.iter().any(|name| name == fillable),
                "{fillable} not in {names:?}"
            );
        }
    }

    #[test]
    fn values_are_read_as_written() {
        let full = cells(include_str!("../../fixtures/notion/page_full.json"));
        let get = |name: &str| {
            full.iter()
                .find(|(have, _)| have == name)
                .map(|(_, cell)| cell.clone())
                .expect(name)
        };
        assert_eq!(get("Company").text, "Delgado Tiling");
        assert_eq!(get("Tags").names, ["Lead", "Kitchen"]);
        assert_eq!(get("Last Call").date, "2026-11-20T15:04:00Z".parse().ok());
        assert_eq!(get("Phone").text, "+15550100123");
        assert_eq!(moment("2026-11-20"), "2026-11-20T00:00:00Z".parse().ok());
    }

    #[test]
    fn unknown_types_count_as_filled() {
        assert!(!read(&json!({"type": "hologram", "hologram": null})).empty);
        assert!(!read(&json!(null)).empty);
    }
}
