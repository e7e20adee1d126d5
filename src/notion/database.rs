//! Databases and data sources: which table is meant, and its columns.
//! <https://developers.notion.com/docs/upgrade-guide-2025-09-03>

use serde_json::Value as Json;

use crate::domain::id::{DataSourceId, DatabaseId};
use crate::domain::table::{Column, Schema};

use super::property;

/// What rows lie in. A database that has become a container is addressed through one of its data
/// sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// A database, under API versions up to 2022-06-28.
    Database(DatabaseId),
    /// A data source, under 2025-09-03 and later.
    DataSource(DataSourceId),
}

/// A database or data source as it was read; one that says nothing of what is in it is none.
pub fn proven(object: Json) -> Result<Json, &'static str> {
    let is_one = object["object"] == "database" || object["object"] == "data_source";
    if is_one && (object["properties"].is_object() || object["data_sources"].is_array()) {
        Ok(object)
    } else {
        Err("neither a database nor a data source")
    }
}

/// Reads the columns of a database or data source.
pub fn read_schema(object: &Json) -> Option<Schema> {
    let columns = object["properties"]
        .as_object()?
        .iter()
        .filter_map(|(name, column)| read_column(name, column));
    Some(Schema {
        columns: columns.collect(),
    })
}

/// Data sources named by a database (2025-09-03) : id and name.
pub fn read_sources(database: &Json) -> Vec<(DataSourceId, String)> {
    let sources = database["data_sources"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let read = |source: &Json| {
        let id = DataSourceId::parse(source["id"].as_str()?).ok()?;
        Some((id, source["name"].as_str().unwrap_or_default().to_owned()))
    };
    sources.iter().filter_map(read).collect()
}

/// True for the refusal that says the database has several data sources.
pub fn has_several_sources(error: &Json) -> bool {
    error["additional_data"]["error_type"] == "multiple_data_sources_for_database"
}

fn read_column(name: &str, column: &Json) -> Option<Column> {
    let kind = column["type"].as_str()?;
    let groups_or_options = column[kind]["options"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Some(Column {
        id: column["id"].as_str()?.to_owned(),
        name: name.to_owned(),
        kind: property::kind_of(kind),
        options: groups_or_options
            .iter()
            .filter_map(|option| option["name"].as_str().map(Into::into))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::table::ColumnKind;

    fn fixture(text: &str) -> Json {
        serde_json::from_str(text).expect("fixture")
    }

    #[test]
    fn columns_are_read_with_ids_types_and_options() {
        let schema = read_schema(&fixture(include_str!(
            "../../fixtures/notion/database_clients.json"
        )))
        .expect("schema");
        let phone = schema.named("phone").expect("phone");
        assert_eq!(
            (phone.id.as_str(), phone.kind),
            ("%3DpHn", ColumnKind::PhoneNumber)
        );
        assert_eq!(
            schema.named("Tags").expect("tags").options,
            ["Lead", "Customer", "Roofing", "Kitchen"]
        );
        assert_eq!(schema.title().expect("title").id, "title");
        assert_eq!(
            schema.named("Call Count").expect("rollup").kind,
            ColumnKind::ReadOnly
        );
    }

    #[test]
    fn sources_are_read_and_their_refusal_is_recognised() {
        let sources = read_sources(&fixture(include_str!(
            "../../fixtures/notion/v2025-09-03/database_two_sources.json"
        )));
        assert_eq!(
            sources
                .iter()
                .map(|(_, name)| name.as_str())
                .collect::<Vec<_>>(),
            ["Clients", "Suppliers"]
        );
        let error = fixture(include_str!(
            "../../fixtures/notion/errors/400_multiple_data_sources.json"
        ));
        assert!(has_several_sources(&error["body"]));
    }
}
