//! Pages of a database: bodies of create and update requests, and rows read.
//! <https://developers.notion.com/reference/page>

use serde_json::{Value as Json, json};

use crate::domain::id::PageId;
use crate::domain::table::{Property, Row};

use super::database::Table;
use super::property;

/// Body of `POST /v1/pages`.
pub fn create(table: &Table, properties: &[Property], children: &[Json]) -> Json {
    let parent = match table {
        Table::Database(id) => json!({"type": "database_id", "database_id": id.as_str()}),
        Table::DataSource(id) => json!({"type": "data_source_id", "data_source_id": id.as_str()}),
    };
    json!({"parent": parent, "properties": property::write_all(properties), "children": children})
}

/// Body of `PATCH /v1/pages/{id}`.
pub fn update(properties: &[Property]) -> Json {
    json!({"properties": property::write_all(properties)})
}

/// Reads a page; `None` for a partial one (`{"object":"page","id":…}`), whose values are not known.
pub fn read(page: &Json) -> Option<Row> {
    let page = Some(page).filter(|page| page["object"] == "page")?;
    let properties = page["properties"].as_object()?;
    let cells = properties
        .values()
        .filter_map(|value| Some((value["id"].as_str()?.to_owned(), property::read(value))));
    Some(Row {
        id: id(page)?,
        created_at: page["created_time"]
            .as_str()
            .and_then(|time| time.parse().ok()),
        edited_at: page["last_edited_time"]
            .as_str()
            .and_then(|time| time.parse().ok()),
        trashed: is_set(&page["archived"])? || is_set(&page["in_trash"])?,
        archived: is_set(&page["is_archived"])?,
        cells: cells.collect(),
    })
}

/// False for a page that lies elsewhere, as far as it says where it lies.
pub fn lies_in(page: &Json, table: &Table) -> bool {
    let parent = &page["parent"];
    let (own, told) = match table {
        Table::Database(id) => (id.as_str(), &parent["database_id"]),
        Table::DataSource(id) => (id.as_str(), &parent["data_source_id"]),
    };
    let told = told.as_str().and_then(|id| PageId::parse(id).ok());
    told.is_none_or(|told| told.as_str() == own)
}

/// A switch, which may be missing; `None` for what is none.
fn is_set(switch: &Json) -> Option<bool> {
    if switch.is_null() {
        Some(false)
    } else {
        switch.as_bool()
    }
}

/// A row with the JSON it was read from, which the store keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRow {
    /// The row.
    pub row: Row,
    /// Its JSON.
    pub text: String,
}

/// Reads a page as [`read`] does, and gives its text with it.
pub fn kept(page: &Json) -> Option<ReadRow> {
    Some(ReadRow {
        row: read(page)?,
        text: page.to_string(),
    })
}

/// The id of a page, also of a partial one.
pub fn id(page: &Json) -> Option<PageId> {
    let page = Some(page).filter(|page| page["object"] == "page")?;
    PageId::parse(page["id"].as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::DatabaseId;

    fn fixture(text: &str) -> Json {
        serde_json::from_str(text).expect("fixture")
    }

    #[test]
    fn rows_are_read_with_title_and_state() {
        let row = read(&fixture(include_str!(
            "../../fixtures/notion/page_full.json"
        )))
        .expect("row");
        assert_eq!((row.title(), row.trashed), ("Rosa Delgado", false));
        let trashed = read(&fixture(include_str!(
            "../../fixtures/notion/page_trashed.json"
        )))
        .expect("row");
        assert!(trashed.trashed);
    }

    #[test]
    fn page_that_was_moved_to_another_database_is_told() {
        let (here, there) = ("a".repeat(32), "b".repeat(32));
        let table = Table::Database(DatabaseId::parse(&here).expect("an id"));
        let page = |parent: Json| json!({"object": "page", "parent": parent});
        for (parent, is_in) in [
            (json!({"type": "database_id", "database_id": here}), true),
            (json!({"type": "database_id", "database_id": there}), false),
            (json!({"type": "workspace", "workspace": true}), true),
            (json!(null), true),
        ] {
            assert_eq!(lies_in(&page(parent.clone()), &table), is_in, "{parent}");
        }
    }

    #[test]
    fn partial_page_is_no_row_but_has_an_id() {
        let page = fixture(include_str!(
            "../../fixtures/notion/page_partial_insert_only.json"
        ));
        assert_eq!(read(&page), None);
        assert_eq!(
            id(&page).expect("id").as_str(),
            "1248a649-696d-4677-a47c-2668ff555129"
        );
    }
}
