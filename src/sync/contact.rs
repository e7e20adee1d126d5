//! Contact events: the local index is kept fresh, and an existing client page gets its empty
//! properties filled.
//!
//! No page is made, and nothing is deleted in Notion.

use crate::domain::context::ContactLookup;
use crate::domain::event::ContactUpdate;
use crate::domain::outcome::Reason;
use crate::domain::phone::Phone;

use super::gather::profile;
use super::task::Task;
use super::{Error, Run};

/// Most numbers of one contact that are looked at.
const PHONES: usize = 10;

/// Keeps the index fresh, and tells which pages are to be filled.
pub fn fill<'a>(run: &'a Run, news: &ContactUpdate, task: &mut Task<'a>) -> Result<(), Error> {
    if news.deleted {
        run.store.drop_contact(&news.contact.id)?;
        task.skipped = Some(Reason::NothingNew);
        return Ok(());
    }
    profile::renew(run, &news.contact, &mut task.notes)?;
    let workspace = run.workspace(None, &mut task.notes)?;
    let country = workspace.own.as_ref().and_then(|own| own.keys().next());
    let own = |phone: &Phone| {
        workspace
            .own
            .as_ref()
            .is_some_and(|own| own.contains_key(phone))
    };
    let mut phones: Vec<Phone> = news
        .contact
        .phones
        .iter()
        .filter_map(|written| Phone::parse(written).or_else(|| Phone::read(written, country)))
        .collect();
    phones.sort();
    phones.dedup();
    phones.retain(|phone| !own(phone));
    let is_told = !phones.is_empty();
    phones.retain(|phone| !run.settings.choice.ignores(phone));
    if is_told && phones.is_empty() {
        task.skipped = Some(Reason::NotWanted);
    }
    phones.truncate(PHONES);
    // The index has just been renewed: nobody has to be asked again.
    (task.phones, task.contacts) = (phones, ContactLookup::Ids(Vec::new()));
    Ok(())
}
