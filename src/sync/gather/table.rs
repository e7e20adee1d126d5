//! The Clients table: which one it is, and its columns; from the store while it is fresh.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use crate::domain::columns::{ColumnNames, Columns, RememberedIds};
use crate::domain::id::{DataSourceId, DatabaseId};
use crate::domain::table::Column;
use crate::notion::database::{self, Table};
use crate::notion::query;
use crate::store::{self, Store};

use super::super::{Error, Run};

/// How long a schema is believed. A refused property ends it at once.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// The Clients table as the user has made it.
pub struct ClientsTable {
    /// Where its rows are.
    pub table: Table,
    /// Its columns.
    pub columns: Columns,
    /// The columns that identify a client: all are searched, the first is written.
    pub phones: Vec<Column>,
    /// Configured ones that are not there.
    pub missing: Vec<String>,
}

/// The Clients table. Remembers the columns' ids, so that a renamed one is still known.
pub fn gather(run: &Run) -> Result<ClientsTable, Error> {
    let database = run.clients_database;
    let kept = run
        .store
        .snapshot(&key(database))?
        .filter(|kept| kept.age < FRESH);
    let kept = kept.and_then(|kept| read(serde_json::from_str(&kept.body).ok()?));
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
    let phones = phone_columns(&columns, names);
    if phones.is_empty() {
        // Once it is there it is to be seen.
        forget(run)?;
        return Err(Error::NoColumn(format!(
            "the Clients database has no phone or text column called {:?}",
            names.phones.join("\" or \"")
        )));
    }
    let is_there = |name: &String| {
        let column = columns.find(name);
        column.is_some_and(|column| phones.iter().any(|phone| phone.id == column.id))
    };
    let is_default = names.phones == ColumnNames::default().phones;
    let missing = names.phones.iter().filter(|name| !is_there(name));
    let missing = missing.filter(|_| !is_default).cloned().collect();
    Ok(ClientsTable {
        table,
        columns,
        phones,
        missing,
    })
}

/// The columns of these names that can hold a number.
pub fn phone_columns(columns: &Columns, names: &ColumnNames) -> Vec<Column> {
    let called_so = columns.phones(names).into_iter();
    let fitting = called_so.filter(|column| query::can_hold_phone(column.kind));
    fitting.cloned().collect()
}

fn columns(run: &Run, object: &Json) -> Result<Option<Columns>, Error> {
    let Some(schema) = database::read_schema(object) else {
        return Ok(None);
    };
    let before = remembered_ids(run.store, run.clients_database)?;
    let columns = Columns::new(schema, &run.settings.columns, before.clone());
    if *columns.ids() != before {
        run.store.save_snapshot(
            &ids_key(run.clients_database),
            &json!(columns.ids()).to_string(),
        )?;
    }
    Ok(Some(columns))
}

/// The columns' ids as they were last.
pub fn remembered_ids(store: &Store, database: &DatabaseId) -> store::Result<RememberedIds> {
    let kept = store.snapshot(&ids_key(database))?;
    let read = kept.and_then(|ids| serde_json::from_str(&ids.body).ok());
    Ok(read.unwrap_or_default())
}

fn ids_key(database: &DatabaseId) -> String {
    format!("columns:{database}")
}

/// Forgets the schema: something that it says has turned out wrong.
pub fn forget(run: &Run) -> Result<(), Error> {
    Ok(run.store.forget_snapshot(&key(run.clients_database))?)
}

pub(super) fn key(database: &DatabaseId) -> String {
    format!("table:{database}")
}

fn fetch(run: &Run, database: &DatabaseId) -> Result<(Table, Json), Error> {
    let (table, object) =
        run.notion
            .fetch_table(database, &run.settings.columns.phones, run.deadline)?;
    let source = match &table {
        Table::Database(_) => None,
        Table::DataSource(id) => Some(id.as_str()),
    };
    let mut kept = json!({"database": database.as_str(), "data_source": source});
    kept["object"] = object;
    run.store.save_snapshot(&key(database), &kept.to_string())?;
    Ok((table, kept["object"].take()))
}

fn read(mut kept: Json) -> Option<(Table, Json)> {
    let table = match kept["data_source"].as_str() {
        Some(source) => Table::DataSource(DataSourceId::parse(source).ok()?),
        None => Table::Database(DatabaseId::parse(kept["database"].as_str()?).ok()?),
    };
    Some((table, kept["object"].take()))
}
