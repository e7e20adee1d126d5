//! Deliveries that add nothing, told by the store alone.

use crate::domain::outcome::{Action, Reason, Synced};
use crate::domain::phone::Phone;

use super::activity::Activity;
use super::facts::Facts;
use super::gather::page::PageSearch;
use super::gather::reply;
use super::gather::table::{self, ClientsTable};
use super::plan::{self, Layout};
use super::task::Task;
use super::{Error, Run};

/// Ends the tasks of which the store knows for certain that nothing is left to write. Nobody is
/// asked: what Quo knows by now the next event brings.
pub fn skip(run: &Run, tasks: &mut [Task]) -> Result<(), Error> {
    let mut table = None;
    for task in tasks.iter_mut().filter(|task| task.failure.is_none()) {
        let Some(activity) = &task.activity else {
            continue;
        };
        let mut synced = Vec::new();
        for phone in &task.phones {
            if !activity.is_heard_of(run, phone)? {
                break;
            }
            let table = match &mut table {
                Some(table) => table,
                None => table.insert(table::gather(run)?),
            };
            synced.extend(standing(run, table, activity, phone)?);
        }
        if synced.len() == task.phones.len() && !synced.is_empty() {
            task.pages = synced;
            task.skipped = Some(Reason::Duplicate);
        }
    }
    Ok(())
}

/// The client's page, if the store knows for certain that it lacks nothing of the activity.
fn standing(
    run: &Run,
    table: &ClientsTable,
    activity: &Activity,
    phone: &Phone,
) -> Result<Option<Synced>, Error> {
    let search = PageSearch {
        run,
        table,
        phone,
        activities: vec![activity],
    };
    let Some(found) = search.known()? else {
        return Ok(None);
    };
    let facts = Facts {
        phone: phone.clone(),
        profile: None,
        all_contacts_seen: false,
        entries: found.entries,
        decision: reply::recall(run, table, found.page.id())?,
        page: found.page,
        warnings: found.warnings,
    };
    let layout = Layout {
        columns: &table.columns,
        names: &run.settings.columns,
    };
    let draft = activity.draft(run, &facts, &[&facts])?;
    let plan = plan::client(&facts, &[draft], &layout);
    let is_nothing = plan.steps.is_empty();
    Ok(is_nothing.then(|| Synced {
        phone: phone.clone(),
        action: Action::Skipped,
        page: facts.page.id().cloned(),
        client_name: plan.title,
    }))
}
