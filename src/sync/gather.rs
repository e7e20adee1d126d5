//! Reads only: everything that a plan needs, from the store where it is fresh, else from Quo and Notion.
//!
//! Quo and Notion are asked side by side. Nothing here writes to a vendor.

pub mod entry;
pub mod page;
pub mod profile;
pub mod table;
pub mod workspace;

use std::thread::{self, Scope};

use crate::domain::event::ContactLookup;
use crate::domain::outcome::Outcome;
use crate::domain::phone::Phone;
use crate::notion;
use crate::store::KnownPage;

use super::facts::{Facts, PageFact};
use super::{Error, Sync};
use page::{Found, Look};
use table::ClientsTable;

/// Facts about every client of an event, in the order of the clients.
pub struct Gathered {
    /// The facts.
    pub facts: Vec<Facts>,
}

/// Gathers facts about `phones`. A page that cannot be looked for is an error; a profile that cannot be had is a
/// warning.
pub fn clients(
    sync: &Sync,
    table: &ClientsTable,
    (phones, contacts): (&[Phone], &ContactLookup),
    outcome: &mut Outcome,
) -> Result<Gathered, Error> {
    let wanted = profile::wanted(sync, phones, contacts)?;
    let known: Vec<Option<KnownPage>> = phones.iter().map(|phone| sync.store.page(phone)).collect::<Result<_, _>>()?;
    let look = Look { notion: sync.notion, table, deadline: sync.deadline };
    let quo = sync.quo_for_enrichment();
    let (answer, pages) = thread::scope(|scope| {
        let asked = quo.as_ref().filter(|_| !wanted.is_nothing()).map(|quo| scope.spawn(|| profile::ask(quo, &wanted)));
        let pages = side_by_side(scope, &look, (phones, &known));
        let answer = asked.map(|asked| asked.join().expect("asking Quo does not panic"));
        (answer.unwrap_or_default(), pages)
    });
    let profiles = profile::settle(sync, answer, phones, outcome)?;
    let mut facts = Vec::new();
    for ((phone, page), profile) in phones.iter().zip(pages).zip(profiles) {
        let found = certain(sync, &look, (phone, page?))?;
        page::remember(sync, phone, &found)?;
        outcome.warnings.extend(found.warnings);
        facts.push(Facts { phone: phone.clone(), profile, page: found.page });
    }
    Ok(Gathered { facts })
}

/// Looks for the pages of all clients at once; for a single one without a thread.
fn side_by_side<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    look: &'env Look,
    (phones, known): (&'env [Phone], &'env [Option<KnownPage>]),
) -> Vec<notion::Result<Found>> {
    let Some(((first, rest), (known_first, known_rest))) = phones.split_first().zip(known.split_first()) else {
        return Vec::new();
    };
    let others: Vec<_> = rest
        .iter()
        .zip(known_rest)
        .map(|(phone, known)| scope.spawn(move || look.find(phone, known.as_ref())))
        .collect();
    let found = look.find(first, known_first.as_ref());
    let others = others.into_iter().map(|other| other.join().expect("looking for a page does not panic"));
    std::iter::once(found).chain(others).collect()
}

/// Looks at a client's page again, because the store's copy may be out of date or a write's outcome is unknown.
pub fn reread(sync: &Sync, table: &ClientsTable, phone: &Phone) -> Result<PageFact, Error> {
    let look = Look { notion: sync.notion, table, deadline: sync.deadline };
    let known = sync.store.page(phone)?.map(|known| KnownPage { body: "null".into(), ..known });
    let found = certain(sync, &look, (phone, look.find(phone, known.as_ref())?))?;
    page::remember(sync, phone, &found)?;
    Ok(found.page)
}

/// What was read is not believed while a write may still be under way: no page while one may be in the making, and no
/// values while others may be on their way to the page. Then it is read again, later.
fn certain(sync: &Sync, look: &Look, (phone, found): (&Phone, Found)) -> Result<Found, Error> {
    let open = match &found.page {
        PageFact::Absent => sync.store.page_intended(phone)?,
        PageFact::Known { fresh: true, .. } => sync.store.page_uncertain(phone)?,
        PageFact::Known { fresh: false, .. } => None,
    };
    match open {
        Some(age) if entry::wait_until_settled(sync, age)? => Ok(look.find(phone, sync.store.page(phone)?.as_ref())?),
        Some(_) | None => Ok(found),
    }
}
