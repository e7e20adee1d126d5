//! Reads only: everything that a plan needs, from the store where it is fresh, else from Quo and
//! Notion.
//!
//! Quo and Notion are asked side by side. Nothing here writes to a vendor.

pub mod entry;
pub mod page;
pub mod profile;
pub mod table;
pub mod workspace;

use std::time::Instant;

use crate::domain::context::ContactLookup;
use crate::domain::outcome::Notes;
use crate::domain::phone::Phone;
use crate::store::KnownPage;
use crate::time::{self, both, side_by_side};

use super::facts::{Facts, PageFact};
use super::{Error, Run};
use page::{Found, PageSearch};
use table::ClientsTable;

/// Most pages that are looked for at once.
const AT_ONCE: usize = 8;

/// Clients of one task, and the contacts that Quo named for them.
pub struct Audience<'a> {
    /// The clients.
    pub phones: &'a [Phone],
    /// The contacts.
    pub contacts: &'a ContactLookup,
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
    let known: Vec<Option<KnownPage>> = phones
        .iter()
        .map(|phone| run.store.fresh_page(phone, page::FRESH))
        .collect::<Result<_, _>>()?;
    let look = PageSearch {
        notion: run.notion,
        table,
        deadline: run.deadline,
    };
    let quo = run.quo_for_enrichment();
    let began = time::now();
    let find = || {
        let clients = phones.iter().zip(&known).collect();
        side_by_side(clients, AT_ONCE, |(phone, known)| {
            look.find(phone, known.as_ref())
        })
    };
    let (answer, pages) = match &quo {
        Some(quo) if !wanted.is_nothing() => both(|| profile::ask(quo, &wanted), find),
        Some(_) | None => (profile::Answered::default(), find()),
    };
    let asked = quo.is_some() || wanted.is_nothing();
    let all_contacts_seen = asked && profile::has_seen_all(run, &answer)?;
    let profiles = profile::settle(run, answer, phones, notes)?;
    let facts = phones
        .iter()
        .zip(pages)
        .zip(profiles)
        .map(|((phone, found), profile)| {
            let found = certain(run, &look, began, phone, found?)?;
            page::remember(run, phone, &found)?;
            Ok(Facts {
                phone: phone.clone(),
                profile,
                all_contacts_seen,
                page: found.page,
                warnings: found.warnings,
            })
        });
    Ok(facts.collect())
}

/// Looks at a client's page again, because the store's copy may be out of date or a write's outcome
/// is unknown.
pub fn reread(run: &Run, table: &ClientsTable, phone: &Phone) -> Result<PageFact, Error> {
    let look = PageSearch {
        notion: run.notion,
        table,
        deadline: run.deadline,
    };
    let known = run.store.page(phone)?.map(|known| KnownPage {
        body: "null".into(),
        ..known
    });
    let began = time::now();
    let found = certain(run, &look, began, phone, look.find(phone, known.as_ref())?)?;
    page::remember(run, phone, &found)?;
    Ok(found.page)
}

/// What was read is not believed while a write may still be under way: no page while one may be in
/// the making, and no values while others may be on their way to the page. Then it is read again,
/// later. What counts is the moment at which the look began: meanwhile the write may have been
/// waited for on behalf of another client.
fn certain(
    run: &Run,
    look: &PageSearch,
    began: Instant,
    phone: &Phone,
    found: Found,
) -> Result<Found, Error> {
    let open = match &found.page {
        PageFact::Absent => run.store.page_intended(phone)?,
        PageFact::Known { fresh: true, .. } => run.store.page_uncertain(phone)?,
        PageFact::Known { fresh: false, .. } => None,
    };
    let Some(age) = open
        .filter(|age| age.unsigned_abs() < run.settings.settle.saturating_add(time::since(began)))
    else {
        return Ok(found);
    };
    entry::wait_until_settled(run, age)?;
    Ok(look.find(phone, run.store.page(phone)?.as_ref())?)
}
