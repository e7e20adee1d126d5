//! The Clients table: which one it is, and its columns; from the store while it is fresh.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use crate::domain::id::{DataSourceId, DatabaseId};
use crate::domain::table::Column;
use crate::notion::database::{self, Table};

use super::super::{Error, Run};
use crate::domain::columns::{Columns, RememberedIds};

/// How long a schema is believed. A refused property ends it at once.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// The Clients table as the user has made it.
pub struct ClientsTable {
    /// Where its rows are.
    pub table: Table,
    /// Its columns.
    pub columns: Columns,
    /// The column that identifies a client.
    pub phone: Column,
}

/// The Clients table. Remembers the columns' ids, so that a renamed one is still known.
pub fn gather(run: &Run) -> Result<ClientsTable, Error> {
    let database = run.clients_database;
    let kept = run
        .store
        .snapshot(&key(database))?
        .filter(|kept| kept.age < FRESH);
    let kept = kept.and_then(|kept| read(&serde_json::from_str(&kept.body).ok()?));
    let (table, object) = match kept {
        Some(found) => found,
        None => fetch(run, database)?,
    };
    let names = &run.settings.columns;
    let columns = columns(run, &object)?.ok_or_else(|| {
        Error::NoColumn(format!(
            "Notion says nothing of the columns of database {database}"
        ))
    })?;
    let phone = columns
        .phone(names)
        .filter(|column| crate::notion::query::can_hold_phone(column.kind))
        .cloned();
    let phone = phone.ok_or_else(|| {
        Error::NoColumn(format!(
            "the Clients database has no phone or text column called {:?}",
            names.phone
        ))
    })?;
    Ok(ClientsTable {
        table,
        columns,
        phone,
    })
}

/// The columns as they were last seen, however long ago; nobody is asked. `None` if that is not
/// known.
pub fn kept_columns(run: &Run) -> Result<Option<Columns>, Error> {
    let kept = run.store.snapshot(&key(run.clients_database))?;
    match kept.and_then(|kept| read(&serde_json::from_str(&kept.body).ok()?)) {
        Some((_, object)) => columns(run, &object),
        None => Ok(None),
    }
}

fn columns(run: &Run, object: &Json) -> Result<Option<Columns>, Error> {
    let Some(schema) = database::read_schema(object) else {
        return Ok(None);
    };
    let ids_key = format!("columns:{}", run.clients_database);
    let before: RememberedIds = run
        .store
        .snapshot(&ids_key)?
        .and_then(|ids| serde_json::from_str(&ids.body).ok())
        .unwrap_or_default();
    let columns = Columns::new(schema, &run.settings.columns, before.clone());
    if *columns.ids() != before {
        run.store
            .save_snapshot(&ids_key, &json!(columns.ids()).to_string())?;
    }
    Ok(Some(columns))
}

/// Forgets the schema: something that it says has turned out wrong.
pub fn forget(run: &Run) -> Result<(), Error> {
    Ok(run.store.forget_snapshot(&key(run.clients_database))?)
}

fn key(database: &DatabaseId) -> String {
    format!("table:{database}")
}

fn fetch(run: &Run, database: &DatabaseId) -> Result<(Table, Json), Error> {
    let (table, object) =
        run.notion
            .fetch_table(database, &run.settings.columns.phone, run.deadline)?;
    let source = match &table {
        Table::Database(_) => None,
        Table::DataSource(id) => Some(id.as_str()),
    };
    let kept = json!({"database": database.as_str(), "data_source": source, "object": object});
    run.store.save_snapshot(&key(database), &kept.to_string())?;
    Ok((table, object))
}

fn read(kept: &Json) -> Option<(Table, Json)> {
    let table = match kept["data_source"].as_str() {
        Some(source) => Table::DataSource(DataSourceId::parse(source).ok()?),
        None => Table::Database(DatabaseId::parse(kept["database"].as_str()?).ok()?),
    };
    Some((table, kept["object"].clone()))
}
