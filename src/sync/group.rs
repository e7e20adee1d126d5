//! Which events are done together: those of one call or message, and those of one client.
//!
//! Only the cost depends on it, and the order of entries on a page, never what is written; so what
//! the delivery and the store say is enough, and nobody is asked.

use std::collections::BTreeSet;

use crate::domain::context::Context;
use crate::domain::event::Subject;
use crate::domain::id::{ActivityId, DatabaseId, PageId};
use crate::domain::parties::Party;
use crate::domain::phone::Phone;
use crate::store::Store;

use super::gather::workspace;
use super::people::{self, Workspace};
use crate::domain::work::Work;

use super::Error;

/// Most events that are done together: each has a lock for as long.
const TOGETHER: usize = 200;

/// What two events have in common when they belong together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Common {
    Activity(ActivityId),
    Client(Phone),
}

/// Sorts events into groups, by their places: the groups in the order of their first events, and
/// the events of each in their order.
pub fn groups(
    store: &Store,
    database: &DatabaseId,
    works: &[Work],
) -> Result<Vec<Vec<usize>>, Error> {
    let workspace = workspace::kept(store)?.unwrap_or_default();
    let mut groups: Vec<(BTreeSet<Common>, Vec<usize>)> = Vec::new();
    for (place, work) in works.iter().enumerate() {
        let own = match subject(work) {
            Some((activity, context)) => {
                let clients = clients(store, database, activity, &workspace, context)?;
                let clients = clients.into_iter().map(Common::Client);
                clients
                    .chain([Common::Activity(activity.clone())])
                    .collect()
            }
            None => BTreeSet::new(),
        };
        // All groups that it has something in common with become one.
        let related: Vec<_> = groups
            .extract_if(.., |(keys, _)| !keys.is_disjoint(&own))
            .collect();
        let mut group = (own, vec![place]);
        for (keys, places) in related {
            group.0.extend(keys);
            group.1.extend(places);
        }
        groups.push(group);
    }
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for (_, mut places) in groups {
        places.sort_unstable();
        parts.extend(places.chunks(TOGETHER).map(<[usize]>::to_vec));
    }
    parts.sort();
    Ok(parts)
}

/// The activity, and what is told of its circumstances; `None` for what has no client's entry.
fn subject(work: &Work) -> Option<(&ActivityId, Option<&Context>)> {
    match work {
        Work::FollowUp(follow_up) => Some((&follow_up.activity, None)),
        Work::Event(event) => match &event.subject {
            Subject::Call(news) => Some((&news.context.id, Some(&news.context))),
            Subject::Message(message) => Some((&message.context.id, Some(&message.context))),
            Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => None,
        },
    }
}

/// Pages that an event will be written to, as far as the store knows them.
pub fn pages(store: &Store, database: &DatabaseId, work: &Work) -> Result<BTreeSet<PageId>, Error> {
    let mut pages = BTreeSet::new();
    let Some((activity, context)) = subject(work) else {
        return Ok(pages);
    };
    let workspace = workspace::kept(store)?.unwrap_or_default();
    for phone in clients(store, database, activity, &workspace, context)? {
        pages.extend(store.page(database, &phone)?.map(|page| page.id));
    }
    Ok(pages)
}

/// Clients that the delivery names; where it names nobody, those who have its entry.
fn clients(
    store: &Store,
    database: &DatabaseId,
    activity: &ActivityId,
    workspace: &Workspace,
    context: Option<&Context>,
) -> Result<Vec<Phone>, Error> {
    let named = context.map_or_else(Vec::new, |context| named(context, workspace));
    if !named.is_empty() {
        return Ok(named);
    }
    let entries = store.entries(database, activity)?.into_iter();
    Ok(entries.map(|record| record.phone).collect())
}

/// Clients that the delivery names. Where it cannot be told who they are, all that it names.
fn named(context: &Context, workspace: &Workspace) -> Vec<Phone> {
    if let Ok(cast) = people::cast(context, workspace) {
        return cast.clients;
    }
    let everybody = context.parties.everybody().into_iter();
    everybody.filter_map(Party::phone).cloned().collect()
}
