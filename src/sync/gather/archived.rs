//! Archived pages, which are not in the trash: queries leave them out, so they are searched apart,
//! where the API's version can.

use jiff::SignedDuration;

use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::table::Row;
use crate::notion::query::Hits;
use crate::notion::{self, rejection};

use super::super::{Error, Run};
use super::table::ClientsTable;

/// How long it is believed that a version cannot.
const REFUSED: SignedDuration = SignedDuration::from_hours(24);

/// False if the version that the table is asked under has refused it within the day.
pub fn can_be_asked_for(run: &Run, table: &ClientsTable) -> Result<bool, Error> {
    let refused = run.store.snapshot(&key(run, table))?;
    Ok(refused.is_none_or(|refused| refused.age >= REFUSED))
}

/// What came of the search among archived pages; a version that refuses it knows of none. The outer
/// error is the store's.
pub fn settle(
    run: &Run,
    table: &ClientsTable,
    found: notion::Result<Hits>,
) -> Result<notion::Result<Hits>, Error> {
    let is_unknown = |err: &notion::Error| {
        let body = err.refusal(400);
        body.is_some_and(rejection::says_archived_unknown)
    };
    match found {
        Err(err) if is_unknown(&err) => {
            log::info!("{err}; archived pages are not searched for a day");
            run.store.save_snapshot(&key(run, table), "null")?;
            Ok(Ok(Hits::default()))
        }
        found => Ok(found),
    }
}

/// What a person may want to know of a page that few will see.
pub fn warning(row: &Row) -> Option<Warning> {
    let message = || {
        let page = &row.id;
        format!("the client's page, {page}, is archived; it is written to, and stays archived")
    };
    row.archived
        .then(|| Warning::new(WarningCode::PageArchived, message()))
}

fn key(run: &Run, table: &ClientsTable) -> String {
    format!(
        "archived_refused:{}",
        run.notion.table_version(&table.table)
    )
}
