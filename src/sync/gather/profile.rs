//! Profiles: contacts by the ids that the delivery names, else from the local index, which is rebuilt when it is old.
//!
//! In three parts, because only the middle one may run beside the page look-up: what to ask (store), asking
//! (network), and what came of it (store).

use std::thread;
use std::time::Duration;

use crate::domain::event::ContactLookup;
use crate::domain::id::ContactId;
use crate::domain::outcome::Outcome;
use crate::domain::phone::{Phone, tail_of};
use crate::domain::profile::{Contact, Profile};
use crate::http::Deadline;
use crate::quo::{self, Quo, Record, contacts};
use crate::store::{Guard, IndexedContact, Lock};

use super::super::{Error, Sync};
use super::Audience;

/// Most contacts that are fetched for one event; a group has at most ten members.
const CONTACTS: usize = 20;
/// Most contacts that are fetched at once.
const AT_ONCE: usize = 4;
/// Snapshot that says how old the index is.
const INDEX: &str = "contact_index";

/// What to ask Quo.
#[derive(Default)]
pub struct Wanted {
    contacts: Vec<ContactId>,
    /// The right to rebuild the index from all contacts.
    index: Option<Guard>,
}

impl Wanted {
    /// True when there is nothing to ask: the index answers, or nothing is to be had.
    pub fn is_nothing(&self) -> bool {
        self.contacts.is_empty() && self.index.is_none()
    }
}

/// What Quo said.
#[derive(Default)]
pub struct Answer {
    contacts: Vec<Contact>,
    index: Option<Vec<Record>>,
    failure: Option<quo::Error>,
}

/// Decides what to ask.
pub fn wanted(sync: &Sync, audiences: &[Audience]) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    if sync.quo.is_none() {
        return Ok(wanted);
    }
    let mut indexed_only: Vec<&Phone> = Vec::new();
    for audience in audiences {
        match audience.contacts {
            ContactLookup::Ids(ids) => {
                for id in ids.iter().take(CONTACTS) {
                    if !wanted.contacts.contains(id) {
                        wanted.contacts.push(id.clone());
                    }
                }
            }
            ContactLookup::None => indexed_only.extend(audience.phones),
        }
    }
    let age = sync.store.snapshot(INDEX)?.map(|kept| kept.age);
    if age.is_some_and(|age| age < sync.settings.contacts_ttl) {
        return Ok(wanted);
    }
    for phone in indexed_only {
        if indexed(sync, phone)?.is_none() {
            wanted.index = sync.store.lock(&Lock::Contacts, Deadline::within(Duration::ZERO))?;
            break;
        }
    }
    Ok(wanted)
}

/// Asks. Ends at the first failure and keeps what came before it.
pub fn ask(quo: &Quo, wanted: &Wanted) -> Answer {
    let mut answer = Answer::default();
    for ids in wanted.contacts.chunks(AT_ONCE) {
        for found in side_by_side(quo, ids) {
            match found {
                Ok(found) => answer.contacts.extend(found.map(|record| record.contact)),
                Err(err) => drop(answer.failure.get_or_insert(err)),
            }
        }
        if answer.failure.is_some() {
            return answer;
        }
    }
    if wanted.index.is_some() {
        match quo.fetch_contacts().collect::<Result<Vec<_>, _>>() {
            Ok(pages) => answer.index = Some(pages.into_iter().flatten().collect()),
            Err(err) => answer.failure = Some(err),
        }
    }
    answer
}

/// Fetches contacts at once; a single one without a thread.
fn side_by_side(quo: &Quo, ids: &[ContactId]) -> Vec<Result<Option<Record>, quo::Error>> {
    let Some((first, others)) = ids.split_first() else { return Vec::new() };
    thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|id| scope.spawn(move || quo.fetch_contact(id))).collect();
        let found = quo.fetch_contact(first);
        let others = others.into_iter().map(|other| other.join().expect("fetching a contact does not panic"));
        std::iter::once(found).chain(others).collect()
    })
}

/// Keeps a rebuilt index and makes the profiles, in the order of `phones`.
pub fn settle(
    sync: &Sync,
    answer: Answer,
    phones: &[Phone],
    outcome: &mut Outcome,
) -> Result<Vec<Option<Profile>>, Error> {
    if let Some(err) = &answer.failure {
        sync.quo_failed(err, "went on without a profile", outcome)?;
    }
    if let Some(records) = &answer.index {
        let contacts: Vec<IndexedContact> = records.iter().map(indexable).collect();
        sync.store.replace_contacts(&contacts)?;
        sync.store.save_snapshot(INDEX, &contacts.len().to_string())?;
    }
    let fetched: Vec<Contact> =
        answer.contacts.into_iter().chain(answer.index.into_iter().flatten().map(|record| record.contact)).collect();
    let mut profiles = Vec::new();
    for phone in phones {
        let profile = Profile::of(phone, &fetched, &sync.settings.tags_field);
        profiles.push(match profile {
            Some(profile) => Some(profile),
            None => indexed(sync, phone)?,
        });
    }
    Ok(profiles)
}

/// Renews one contact of the index: read from Quo again, because a delivery carries less than the API.
pub fn renew(sync: &Sync, contact: &Contact, outcome: &mut Outcome) -> Result<(), Error> {
    let Some(quo) = sync.quo_for_enrichment() else { return Ok(()) };
    match quo.fetch_contact(&contact.id) {
        Ok(Some(record)) => sync.store.save_contact(&indexable(&record))?,
        Ok(None) => sync.store.drop_contact(&contact.id)?,
        Err(err) => sync.quo_failed(&err, "the contact index is not up to date", outcome)?,
    }
    Ok(())
}

/// A contact as the index keeps it.
fn indexable(record: &Record) -> IndexedContact {
    IndexedContact {
        id: record.contact.id.clone(),
        tails: record.contact.phones.iter().filter_map(|written| tail_of(written)).collect(),
        body: record.raw.clone(),
    }
}

/// The profile that the index gives.
fn indexed(sync: &Sync, phone: &Phone) -> Result<Option<Profile>, Error> {
    let bodies = sync.store.contacts_near(phone)?;
    let near: Vec<Contact> = bodies.iter().filter_map(|body| contacts::parse_contact(body).ok()).collect();
    Ok(Profile::of(phone, &near, &sync.settings.tags_field))
}
