//! Reads only: everything that a plan needs, from the store where it is fresh, else from Quo and
//! Notion.
//!
//! Quo and Notion are asked side by side. Nothing here writes to a vendor.

mod archived;
pub mod cached;
mod look;
mod mark;
pub mod page;
pub mod profile;
pub mod reply;
pub mod table;
pub mod workspace;

use crate::domain::context::ContactLookup;
use crate::domain::outcome::Notes;
use crate::domain::phone::Phone;
use crate::time::{both, side_by_side};

use super::activity::Activity;
use super::facts::Facts;
use super::{Error, Run};
use page::PageSearch;
use table::ClientsTable;

/// Most pages that are looked for at once.
const AT_ONCE: usize = 8;

/// Clients of one task, the contacts that Quo named for them, and what is to be written there.
pub struct Audience<'a> {
    /// The clients.
    pub phones: &'a [Phone],
    /// The contacts.
    pub contacts: &'a ContactLookup,
    /// What is to be written.
    pub activity: Option<&'a Activity<'a>>,
}

/// Gathers facts about each of `phones`, in their order. A page that cannot be looked for is that
/// client's error; a profile that cannot be had is a warning.
pub fn clients(
    run: &Run,
    table: &ClientsTable,
    phones: &[Phone],
    audiences: &[Audience],
    notes: &mut Notes,
) -> Result<Vec<Result<Facts, Error>>, Error> {
    let wanted = profile::wanted(run, audiences)?;
    let searches: Vec<PageSearch> = phones
        .iter()
        .map(|phone| {
            let concerned = audiences.iter().filter(|it| it.phones.contains(phone));
            PageSearch {
                run,
                table,
                phone,
                activities: concerned.filter_map(|audience| audience.activity).collect(),
            }
        })
        .collect();
    let quo = run.quo_for_enrichment();
    let find = || side_by_side(searches, AT_ONCE, |search| search.gather());
    let (answer, pages) = match &quo {
        Some(quo) if !wanted.is_nothing() => both(|| profile::ask(quo, &wanted), find),
        Some(_) | None => (profile::Answered::default(), find()),
    };
    let asked = quo.is_some() || wanted.is_nothing();
    let all_contacts_seen = asked && profile::has_seen_all(run, &answer)?;
    let profiles = profile::settle(run, answer, phones, notes)?;
    let found = phones.iter().zip(pages).zip(profiles);
    let facts = found.map(|((phone, found), profile)| {
        let found = found?;
        Ok(Facts {
            phone: phone.clone(),
            profile,
            all_contacts_seen,
            page: found.page,
            entries: found.entries,
            decision: None,
            warnings: found.warnings,
        })
    });
    Ok(facts.collect())
}
