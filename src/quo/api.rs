//! Questions to Quo: this head sends, the files below it build requests and read replies.
//!
//! Apart from `http` because only these files know Quo's paths, shapes and refusals. They know
//! neither Notion nor the store, keep nothing, and decide nothing about a client. Quo has two
//! surfaces on one host: v1, which is used wherever it can answer, and 2026-03-30 ("dated"),
//! without prefix and with a version header, which alone can read calls with more than two parties.

pub mod announcement;
pub mod artifacts;
pub mod calls;
pub mod contacts;
pub mod conversations;
pub mod history;
pub mod messages;
pub mod numbers;
pub mod paging;
mod refusal;
#[cfg(test)]
mod tests;
pub mod users;
pub mod webhooks;
mod wire;

pub use self::contacts::Record;
pub use self::numbers::OwnNumber;
pub use self::refusal::{Error, QuoRefusal};

use self::conversations::Conversation;
use self::history::{PastActivity, Query};
use self::paging::Page;
use self::webhooks::Subscription;
use crate::domain::call::{Artifact, ArtifactKind, CallUpdate};
use crate::domain::id::{ActivityId, ContactId, NumberId, UserId};
use crate::domain::message::Message;
use crate::http::{Api, BaseUrl, Request, Vendor};
use crate::quo::words::Availability;
use crate::time::Deadline;

/// Quo's API. The largest answer that is read is the transcript of a day's call.
pub const API: Api = Api {
    name: "quo",
    request_id_header: "x-correlation-id",
    body_bytes: 4 * 1024 * 1024,
    is_refusal: refusal::is_own,
};

/// Asks Quo, until a deadline. Cheap to make: one for each task that has a deadline of its own.
pub struct Quo<'a> {
    vendor: &'a Vendor,
    dated: BaseUrl,
    deadline: Deadline,
}

impl<'a> Quo<'a> {
    /// `vendor` calls v1; the dated surface lies beside it.
    pub fn new(vendor: &'a Vendor, deadline: Deadline) -> Self {
        Self {
            vendor,
            dated: vendor.base().without_version(),
            deadline,
        }
    }

    /// Fetches one contact, and its JSON text for keeping; `None` when Quo does not have it (any
    /// more).
    pub fn fetch_contact(&self, id: &ContactId) -> Result<Option<Record>, Error> {
        contacts::fetch(id, |request| self.send(Surface::V1, request))
    }

    /// Fetches all contacts, page by page, or those from the page on that `token` leads to, and
    /// keeps of each what `keep` makes of it; ends after the first error. See [`paging::pages`] for
    /// the bound.
    pub fn fetch_contacts<T>(
        &self,
        token: Option<String>,
        keep: impl Fn(Record) -> T,
    ) -> impl Iterator<Item = Result<Page<T>, Error>> {
        paging::pages_from(token, move |token| {
            contacts::parse_page(&self.send(Surface::V1, contacts::list(token))?, &keep)
        })
    }

    /// Fetches the workspace's own numbers.
    pub fn fetch_numbers(&self) -> Result<Vec<OwnNumber>, Error> {
        numbers::parse(&self.send(Surface::V1, numbers::list())?)
    }

    /// Fetches a call of any number of parties; `None` when Quo does not have it.
    pub fn fetch_call(&self, id: &ActivityId) -> Result<Option<CallUpdate>, Error> {
        calls::fetch(id, |surface, request| self.send(surface, request))
    }

    /// Fetches what belongs to a call. A 404 or a 403 (not in the plan, not this key's number) is
    /// [`Availability::Absent`]; a 404 may also mean that it is not made yet, which Quo does not
    /// document.
    pub fn fetch_artifact(
        &self,
        id: &ActivityId,
        kind: ArtifactKind,
    ) -> Result<Availability<Artifact>, Error> {
        artifacts::fetch(id, kind, |surface, request| self.send(surface, request))
    }

    /// Fetches the same as Quo's own JSON, on one line, without a look at the dated surface; `None`
    /// for a 404. A 403 (not in the plan, not this key's number) is [`Availability::Pending`].
    pub fn fetch_artifact_record(
        &self,
        id: &ActivityId,
        kind: ArtifactKind,
    ) -> Result<Option<Availability<String>>, Error> {
        artifacts::fetch_record(id, kind, |request| self.send(Surface::V1, request))
    }

    /// Fetches up to 100 conversations of an own number; see [`conversations::list`].
    pub fn fetch_conversation_page(
        &self,
        number: &NumberId,
        token: Option<&str>,
    ) -> Result<paging::Page<Conversation>, Error> {
        conversations::parse_page(&self.send(Surface::V1, conversations::list(number, token))?)
    }

    /// Fetches up to 100 calls of a thread with one other, the newest first.
    pub fn fetch_call_page(
        &self,
        query: &Query,
        token: Option<&str>,
    ) -> Result<paging::Page<PastActivity>, Error> {
        history::parse_calls(&self.send(Surface::V1, query.calls(token))?)
    }

    /// Fetches up to 100 messages of a thread, the newest first.
    pub fn fetch_message_page(
        &self,
        query: &Query,
        token: Option<&str>,
    ) -> Result<paging::Page<PastActivity>, Error> {
        history::parse_messages(&self.send(Surface::V1, query.messages(token))?)
    }

    /// Fetches a message; `None` when Quo does not have it.
    pub fn fetch_message(&self, id: &ActivityId) -> Result<Option<Message>, Error> {
        refusal::found(self.send(Surface::V1, messages::get(id)))?
            .map(|body| messages::parse(&body))
            .transpose()
    }

    /// Fetches how a person of the workspace is called; `None` without asking for a system actor,
    /// which this endpoint refuses.
    pub fn fetch_user_name(&self, id: &UserId) -> Result<Option<String>, Error> {
        if !id.is_person() {
            return Ok(None);
        }
        refusal::found(self.send(Surface::V1, users::get(id)))?
            .map_or(Ok(None), |body| users::parse_name(&body))
    }

    /// Fetches the webhook subscriptions of v1 that this key's owner of the workspace has; those
    /// made in the app are not among them.
    pub fn fetch_webhooks(&self) -> Result<Vec<Subscription>, Error> {
        webhooks::parse(&self.send(Surface::V1, webhooks::list())?)
    }

    fn send(&self, surface: Surface, request: Request) -> Result<Vec<u8>, Error> {
        let request = match surface {
            Surface::V1 => request,
            Surface::Dated => request
                .at(self.dated.clone())
                .with_header("Quo-Api-Version", "2026-03-30"),
        };
        Ok(self.vendor.call(&request, self.deadline)?.body)
    }
}

/// Which of Quo's two APIs a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    /// Below `/v1`.
    V1,
    /// 2026-03-30: beside `/v1`, with a version header.
    Dated,
}
