//! Profiles: contacts by the ids that the delivery names, else from the local index, which is
//! rebuilt when it is old.
//!
//! In three parts, because only the middle one may run beside the page look-up: what to ask
//! (store), asking (network), and what came of it (store).

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::context::ContactLookup;
use crate::domain::id::ContactId;
use crate::domain::outcome::Notes;
use crate::domain::phone::{Phone, tail_of};
use crate::domain::profile::{Contact, Profile};
use crate::quo::api::{Record, contacts};
use crate::quo::{self, Quo};
use crate::store::{Guard, IndexedContact, Lock};
use crate::time::{Deadline, side_by_side};

use super::super::{Error, Run};
use super::Audience;
use crate::domain::choice::NewPages;

/// Most contacts that are fetched for one event; a group has at most ten members.
const CONTACTS: usize = 20;
/// Most contacts that are fetched at once.
const AT_ONCE: usize = 4;
/// Snapshot that says how old the index is.
pub(super) const INDEX: &str = "contact_index";
/// Snapshot of the token that leads on, when there was no time for all contacts.
pub(super) const NEXT: &str = "contact_index_next";
/// How long such a token is believed.
const NEXT_FRESH: SignedDuration = SignedDuration::from_hours(1);

/// What to ask Quo.
#[derive(Default)]
pub struct Wanted {
    contacts: Vec<ContactId>,
    /// The right to rebuild the index from all contacts, or from those on that the token leads to.
    index: Option<(Guard, Option<String>)>,
}

impl Wanted {
    /// True when there is nothing to ask: the index answers, or nothing is to be had.
    pub fn is_nothing(&self) -> bool {
        self.contacts.is_empty() && self.index.is_none()
    }
}

/// What Quo said.
#[derive(Default)]
pub struct Answered {
    contacts: Vec<Contact>,
    index: Option<IndexRead>,
    failure: Option<quo::Error>,
}

/// Contacts for the index, as far as there was time.
struct IndexRead {
    contacts: Vec<IndexedContact>,
    from_the_start: bool,
    /// Leads on, if these are not all.
    next: Option<String>,
}

/// Most bytes of contacts that one event reads for the index; the next one reads on.
const MOST_BYTES: usize = 5 * 1024 * 1024;
/// What a contact takes beside its text, about.
const RECORD: usize = 768;

/// Decides what to ask.
pub fn wanted(run: &Run, audiences: &[Audience]) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    if run.quo.is_none() {
        return Ok(wanted);
    }
    let mut indexed_only: Vec<&Phone> = Vec::new();
    for audience in audiences {
        match audience.contacts {
            ContactLookup::Ids(ids) => {
                // It matters whether there is any contact, not only whether these have the number.
                if run.settings.choice.new_pages == NewPages::Known {
                    indexed_only.extend(audience.phones);
                }
                for id in ids.iter().take(CONTACTS) {
                    if !wanted.contacts.contains(id) {
                        wanted.contacts.push(id.clone());
                    }
                }
            }
            ContactLookup::None => indexed_only.extend(audience.phones),
        }
    }
    if is_fresh(run)? {
        return Ok(wanted);
    }
    for phone in indexed_only {
        if indexed(run, phone)?.is_none() {
            let right = run
                .store
                .lock(&Lock::Contacts, Deadline::within(Duration::ZERO))?;
            let next = run
                .store
                .snapshot(NEXT)?
                .filter(|next| next.age < NEXT_FRESH);
            let next = next.and_then(|next| serde_json::from_str(&next.body).ok());
            wanted.index = right.map(|right| (right, next));
            break;
        }
    }
    Ok(wanted)
}

/// Asks. Ends at the first failure and keeps what came before it.
pub fn ask(quo: &Quo, wanted: &Wanted) -> Answered {
    let mut answer = Answered::default();
    for ids in wanted.contacts.chunks(AT_ONCE) {
        for found in side_by_side(ids.iter().collect(), AT_ONCE, |id| quo.fetch_contact(id)) {
            match found {
                Ok(found) => answer.contacts.extend(found.map(|record| record.contact)),
                Err(err) => drop(answer.failure.get_or_insert(err)),
            }
        }
        if answer.failure.is_some() {
            return answer;
        }
    }
    if let Some((_, from)) = &wanted.index {
        let mut read = IndexRead {
            contacts: Vec::new(),
            from_the_start: from.is_none(),
            next: from.clone(),
        };
        let mut bytes = 0;
        for page in quo.fetch_contacts(from.clone(), indexable) {
            match page {
                Ok(page) => {
                    let size = |contact: &IndexedContact| contact.body.len() + RECORD;
                    bytes += page.records.iter().map(size).sum::<usize>();
                    read.contacts.extend(page.records);
                    read.next = page.next;
                    if bytes > MOST_BYTES {
                        break;
                    }
                }
                Err(err) => answer.failure = Some(err),
            }
        }
        answer.index = Some(read);
    }
    answer
}

/// True if there are no other contacts than those of the index and of the answer.
pub fn has_seen_all(run: &Run, answer: &Answered) -> Result<bool, Error> {
    let is_whole = |read: &IndexRead| read.next.is_none();
    let all_read = answer.index.as_ref().is_some_and(is_whole);
    Ok(answer.failure.is_none() && (all_read || is_fresh(run)?))
}

fn is_fresh(run: &Run) -> Result<bool, Error> {
    let age = run.store.snapshot(INDEX)?.map(|kept| kept.age);
    Ok(age.is_some_and(|age| age < run.settings.contacts_ttl))
}

/// Keeps a rebuilt index and makes the profiles, in the order of `phones`.
pub fn settle(
    run: &Run,
    answer: Answered,
    phones: &[Phone],
    notes: &mut Notes,
) -> Result<Vec<Option<Profile>>, Error> {
    if let Some(err) = &answer.failure {
        run.quo_failed(err, "went on without a profile", notes)?;
    }
    if let Some(read) = &answer.index {
        keep(run, read, answer.failure.as_ref())?;
    }
    let read = answer.index.map(|read| read.contacts).unwrap_or_default();
    let mut profiles = Vec::new();
    for phone in phones {
        let near = read
            .iter()
            .filter(|it| it.tails.iter().any(|tail| tail == phone.tail()));
        let near = near.filter_map(|it| contacts::parse_contact(&it.body).ok());
        let all: Vec<Contact> = answer.contacts.iter().cloned().chain(near).collect();
        let profile = Profile::of(phone, &all, &run.settings.tags_field);
        profiles.push(match profile {
            Some(profile) => Some(profile),
            None => indexed(run, phone)?,
        });
    }
    Ok(profiles)
}

/// Keeps what was read for the index; of a large workspace the next event reads on where this one
/// had to stop.
fn keep(run: &Run, read: &IndexRead, failure: Option<&quo::Error>) -> Result<(), Error> {
    let contacts = &read.contacts;
    match (failure, &read.next) {
        (None, None) => {
            if read.from_the_start {
                run.store.replace_contacts(contacts)?;
            } else {
                run.store.save_contacts(contacts)?;
            }
            run.store
                .save_snapshot(INDEX, &contacts.len().to_string())?;
            run.store.forget_snapshot(NEXT)?;
        }
        // Nothing was read; the next event begins anew.
        (Some(_), None) => {}
        (None, Some(next)) => {
            run.store.save_contacts(contacts)?;
            run.store
                .save_snapshot(NEXT, &serde_json::Value::from(next.as_str()).to_string())?;
        }
        (Some(failure), Some(next)) => {
            run.store.save_contacts(contacts)?;
            // Perhaps it is the token that Quo refuses.
            if matches!(failure, quo::Error::Refused(_)) {
                run.store.forget_snapshot(NEXT)?;
            } else {
                run.store
                    .save_snapshot(NEXT, &serde_json::Value::from(next.as_str()).to_string())?;
            }
        }
    }
    Ok(())
}

/// Renews one contact of the index: read from Quo again, because a delivery carries less than the
/// API.
pub fn renew(run: &Run, contact: &Contact, notes: &mut Notes) -> Result<(), Error> {
    let Some(quo) = run.quo_for_enrichment() else {
        return Ok(());
    };
    match quo.fetch_contact(&contact.id) {
        Ok(Some(record)) => run.store.save_contacts(&[indexable(record)])?,
        Ok(None) => run.store.drop_contact(&contact.id)?,
        Err(err) => run.quo_failed(&err, "the contact index is not up to date", notes)?,
    }
    Ok(())
}

/// A contact as the index keeps it.
fn indexable(record: Record) -> IndexedContact {
    let phones = record.contact.phones.iter();
    let mut tails: Vec<String> = phones.filter_map(|written| tail_of(written)).collect();
    tails.sort_unstable();
    tails.dedup();
    IndexedContact {
        id: record.contact.id,
        tails,
        body: record.raw,
    }
}

/// The profile that the index gives.
fn indexed(run: &Run, phone: &Phone) -> Result<Option<Profile>, Error> {
    let bodies = run.store.contacts_near(phone)?;
    let near: Vec<Contact> = bodies
        .iter()
        .filter_map(|body| contacts::parse_contact(body).ok())
        .collect();
    Ok(Profile::of(phone, &near, &run.settings.tags_field))
}
