//! What is cached of the vendors, forgotten at once: the operator has reason to doubt it.

use crate::domain::id::DatabaseId;
use crate::store::{Result, Store};

use super::{profile, table, workspace};

/// Forgets the columns of the database, the own numbers as they are now and the contact index, and
/// lets what is remembered of pages count as complete from now on only. What was once an own number
/// stays one, and ids of columns keep their names.
pub fn forget(store: &Store, database: Option<&DatabaseId>) -> Result<()> {
    if let Some(database) = database {
        store.forget_snapshot(&table::key(database))?;
    }
    for key in [workspace::KEY, profile::INDEX, profile::NEXT] {
        store.forget_snapshot(key)?;
    }
    store.replace_contacts(&[])?;
    store.complete_from_now()
}
