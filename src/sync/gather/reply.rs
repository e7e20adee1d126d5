//! What was decided last of who waits for an answer, of each page: kept as a snapshot, because the
//! page shows only what was decided and not when.

use serde_json::{Value as Json, json};

use crate::domain::id::{ActivityId, PageId};
use crate::domain::reply::{Decision, Reply};

use super::super::{Error, Run};
use super::table::ClientsTable;

/// What is remembered of the page; nothing where no column shows it.
pub fn recall(
    run: &Run,
    table: &ClientsTable,
    page: Option<&PageId>,
) -> Result<Option<Decision>, Error> {
    let column = table.columns.find(&run.settings.columns.follow_up);
    let (Some(page), Some(_)) = (page, column) else {
        return Ok(None);
    };
    let kept = run.store.snapshot(&key(run, page))?;
    Ok(kept.and_then(|kept| read(&serde_json::from_str(&kept.body).ok()?)))
}

/// Remembers it, once all is written.
pub fn remember(run: &Run, page: &PageId, decision: &Decision) -> Result<(), Error> {
    let body = json!({
        "owed": decision.reply == Reply::Owed,
        "at": decision.at,
        "by": decision.by.as_ref().map(ActivityId::as_str),
    });
    Ok(run
        .store
        .save_snapshot(&key(run, page), &body.to_string())?)
}

fn read(kept: &Json) -> Option<Decision> {
    Some(Decision {
        reply: if kept["owed"].as_bool()? {
            Reply::Owed
        } else {
            Reply::Given
        },
        at: kept["at"].as_str()?.parse().ok()?,
        by: kept["by"]
            .as_str()
            .and_then(|id| ActivityId::parse(id).ok()),
    })
}

fn key(run: &Run, page: &PageId) -> String {
    format!("follow_up:{}:{page}", run.clients_database)
}
