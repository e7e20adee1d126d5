//! What a call, a message or a contact wants on its clients' pages, and what came of it.

use crate::domain::context::ContactLookup;
use crate::domain::failure::Failure;
use crate::domain::id::PageId;
use crate::domain::outcome::{Action, Notes, PlannedStep, Reason, Synced, Warning};
use crate::domain::phone::Phone;

use super::Error;
use super::activity::Activity;
use super::gather::Audience;

/// Something to be put onto clients' pages.
#[derive(Default)]
pub struct Task<'a> {
    /// The call or message. Without one only what is empty is filled, and no page made.
    pub activity: Option<Activity<'a>>,
    /// The clients; none when there is nothing to write.
    pub phones: Vec<Phone>,
    /// Contacts that Quo named.
    pub contacts: ContactLookup,
    /// What was done for each of them.
    pub pages: Vec<Synced>,
    /// Why there was nothing to do, if so.
    pub skipped: Option<Reason>,
    /// What would be done, in a dry run.
    pub planned: Vec<PlannedStep>,
    /// What was met on the way.
    pub notes: Notes,
    /// Why it could not be finished.
    pub failure: Option<Failure>,
    /// Clients for whom it could not be done, which is told once it was done for the others.
    pub failed_for: Vec<(Phone, Failure)>,
    /// Number of tasks that shared a request which Notion refused: nobody knows which of them it
    /// means.
    pub refused_with: usize,
    /// Number of clients who have no page, and by the user's choice get none.
    pub not_wanted: usize,
}

impl Task<'_> {
    /// Ends the task. What came first counts.
    pub fn fail(&mut self, failure: &Failure) {
        self.failure.get_or_insert_with(|| failure.clone());
    }

    /// Ends the task for one of the clients; it goes on for the others.
    pub fn fail_for(&mut self, phone: &Phone, failure: &Failure) {
        self.failed_for.push((phone.clone(), failure.clone()));
    }

    /// Notes what was met on the way, each once.
    pub fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            if !self.notes.warnings.contains(warning) {
                self.notes.warnings.push(warning.clone());
            }
        }
    }

    /// Takes what came of its share in one client's turn.
    pub fn take(&mut self, share: Share) {
        self.warn(&share.warnings);
        self.pages.extend(share.synced);
        self.planned.extend(share.planned);
        self.refused_with = self.refused_with.max(share.refused_with);
        self.not_wanted += usize::from(share.not_wanted);
        if let Some(failure) = &share.failure {
            self.fail_for(&share.phone, failure);
        }
    }

    /// What was done for one client was done for another one of the same page; unless that turned
    /// out to be theirs no longer: then the other one has his own turn when it is tried again.
    pub fn share_page(&mut self, first: &Phone, other: &Phone, page: Option<&PageId>) {
        let mut done = self.pages.iter().filter(|synced| synced.phone == *first);
        let done = done.next().cloned();
        let has_one = self.pages.iter().any(|synced| synced.phone == *other);
        let Some(done) = done.filter(|_| self.phones.contains(other) && !has_one) else {
            return;
        };
        if done.page.as_ref() == page {
            self.pages.push(Synced {
                phone: other.clone(),
                ..done
            });
        } else {
            let what = format!("the page of {first} and {other} is theirs no longer");
            self.fail(&Error::Unsettled(what).into());
        }
    }

    /// Puts the clients into their order, and tells if there was nothing to do for any of them.
    pub fn conclude(&mut self) {
        let phones = &self.phones;
        self.pages
            .sort_by_key(|synced| phones.iter().position(|phone| *phone == synced.phone));
        if let Some((_, failure)) = self.failed_for.first().cloned() {
            self.fail(&failure);
        }
        let idle = self
            .pages
            .iter()
            .all(|synced| synced.action == Action::Skipped);
        if idle && self.failure.is_none() && self.skipped.is_none() {
            self.skipped = Some(match self.activity {
                Some(_) if self.not_wanted > 0 && self.pages.is_empty() => Reason::NotWanted,
                Some(_) => Reason::Duplicate,
                None => Reason::NothingNew,
            });
        }
    }

    /// Whom it is for, and what.
    pub fn audience(&self) -> Audience<'_> {
        Audience {
            phones: &self.phones,
            contacts: &self.contacts,
            activity: self.activity.as_ref(),
        }
    }

    /// True if something is still to be done for this client.
    pub fn concerns(&self, phone: &Phone) -> bool {
        let has_failed = self.failed_for.iter().any(|(failed, _)| failed == phone);
        let is_open = self.failure.is_none() && self.skipped.is_none();
        is_open && !has_failed && self.phones.contains(phone)
    }
}

/// What one task has in the turn of one client.
pub struct Share {
    /// Its place among the tasks.
    pub task: usize,
    /// The client.
    pub phone: Phone,
    /// True once something was written for it.
    pub wrote: bool,
    /// What was met on the way.
    pub warnings: Vec<Warning>,
    /// What would be done, in a dry run.
    pub planned: Vec<PlannedStep>,
    /// What was done.
    pub synced: Option<Synced>,
    /// Why it could not be done.
    pub failure: Option<Failure>,
    /// Number of tasks that shared a request which was refused.
    pub refused_with: usize,
    /// True if the client has no page, and gets none.
    pub not_wanted: bool,
}

impl Share {
    /// Nothing yet.
    pub fn new(task: usize, phone: Phone) -> Self {
        Self {
            task,
            phone,
            wrote: false,
            warnings: Vec::new(),
            planned: Vec::new(),
            synced: None,
            failure: None,
            refused_with: 0,
            not_wanted: false,
        }
    }
}
