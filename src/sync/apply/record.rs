//! What is recorded before a write is sent, and after its answer: open until it is known.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::domain::call::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::http::{self, GOING_OUT};
use crate::notion::page::ReadRow;
use crate::notion::{self, database};
use crate::store::{self, Carries, EntryRecord, KnownPage, Lesson, NewWrite, Since, Store};
use crate::text;
use crate::time;

use super::super::facts::PageFact;
use super::super::gather;
use super::{Rendered, Stop, Writer, rejection};

impl<'a> Writer<'a> {
    /// A write of these entries.
    pub(super) fn sending(
        &self,
        page: Option<&PageId>,
        carries: Carries,
        entries: &[Rendered],
    ) -> Sending<'a> {
        let activities: Vec<ActivityId> = entries
            .iter()
            .map(|entry| entry.new.activity.clone())
            .collect();
        self.sending_for(page, carries, &activities)
    }

    /// A write of whatever has to do with these activities.
    pub(super) fn sending_for(
        &self,
        page: Option<&PageId>,
        carries: Carries,
        activities: &[ActivityId],
    ) -> Sending<'a> {
        Sending {
            store: self.run.store,
            write: NewWrite {
                database: self.run.clients_database.clone(),
                phone: self.facts.phone.clone(),
                page: page.cloned(),
                carries,
                activities: activities.to_vec(),
            },
            stamped: Cell::default(),
            failed: Cell::default(),
        }
    }

    /// Keeps what an answer has taught; nothing of this write is in doubt any more.
    pub(super) fn learn(
        &self,
        closes: Option<&Sending>,
        page: Option<&KnownPage>,
        entries: &[EntryRecord],
    ) -> Result<(), Stop> {
        let closes: Vec<i64> = closes.and_then(Sending::id).into_iter().collect();
        let lesson = Lesson {
            closes: &closes,
            page,
            entries,
            passed: &[],
        };
        let (database, phone) = (self.run.clients_database, &self.facts.phone);
        Ok(self.run.store.learn(database, phone, &lesson)?)
    }

    /// The page is gone, or another's.
    pub(super) fn forget_page(&self) -> Result<(), Stop> {
        let (database, phone) = (self.run.clients_database, &self.facts.phone);
        Ok(self.run.store.forget_page(database, phone)?)
    }

    /// The page as an answer gave it; without that only its id is certain.
    pub(super) fn known(&self, page: &PageId, read: Option<&ReadRow>) -> KnownPage {
        let complete_since = match &self.facts.page {
            PageFact::Known { complete_since, .. } => *complete_since,
            PageFact::Absent => None,
        };
        KnownPage {
            id: page.clone(),
            title: read.map_or(self.title, |read| read.row.title()).to_owned(),
            body: read.map_or_else(|| "null".to_owned(), |read| read.text.clone()),
            complete_since,
        }
    }

    /// Entries as they are once they are written; what of one is still to be appended is begun.
    pub(super) fn written(
        entries: &[Rendered],
        page: &PageId,
        ids: &[BlockId],
    ) -> Vec<EntryRecord> {
        let record = |(place, entry)| Self::record(entry, page, ids.get(place));
        entries.iter().enumerate().map(record).collect()
    }

    /// One of them.
    pub(super) fn record(entry: &Rendered, page: &PageId, block: Option<&BlockId>) -> EntryRecord {
        let kinds: BTreeSet<ArtifactKind> = entry.new.parts.iter().map(|part| part.kind).collect();
        let (artifacts, begun) = if entry.blocks.rest.is_empty() {
            (kinds, BTreeSet::new())
        } else {
            (BTreeSet::new(), kinds)
        };
        EntryRecord {
            activity: entry.new.activity.clone(),
            page: page.clone(),
            block: block.cloned(),
            line: text::first_line(&entry.new.block.plain()).to_owned(),
            artifacts,
            begun,
            gone: false,
            age: SignedDuration::ZERO,
        }
    }

    /// Tells what an error of a write to the page means for the plan. What is certain closes the
    /// write at once.
    pub(super) fn judged<T>(&self, write: &Sending, sent: notion::Result<T>) -> Result<T, Stop> {
        let err = match sent {
            Ok(value) => return Ok(value),
            Err(err) => err,
        };
        if let Some(failed) = write.failed.take() {
            return Err(failed.into());
        }
        if let Some(since) = unknown_since(&err) {
            write.note(since)?;
            return Err(Stop::Again(Box::new(err.into())));
        }
        self.learn(Some(write), None, &[])?;
        if err.refusal(404).is_some() {
            self.forget_page()?;
        } else if says_trashed(&err) {
            log::info!("{err}; reading the page, which may be archived only");
        } else if err.refusal(400).is_some_and(database::has_several_sources) {
            gather::table::forget(self.run)?;
        } else {
            return Err(err.into());
        }
        Err(Stop::Again(Box::new(err.into())))
    }

    /// The same for a write into an entry, whose block may be gone although the page is there: then
    /// it has to be looked for.
    pub(super) fn entry_judged<T>(
        &self,
        write: &Sending,
        sent: notion::Result<T>,
        record: &EntryRecord,
    ) -> Result<T, Stop> {
        match sent {
            Err(err) if is_gone(&err) => {
                let lost = EntryRecord {
                    block: None,
                    ..record.clone()
                };
                self.learn(Some(write), None, &[lost])?;
                Err(Stop::Again(Box::new(err.into())))
            }
            sent => self.judged(write, sent),
        }
    }
}

/// A write that is recorded each time before it is sent, until its outcome is known.
pub(super) struct Sending<'a> {
    store: &'a Store,
    write: NewWrite,
    /// Its number in the store, and when it was last recorded.
    stamped: Cell<Option<(i64, Instant)>>,
    /// Why it could not be recorded, and so was not sent.
    failed: Cell<Option<store::Error>>,
}

impl Sending<'_> {
    /// Records it; false where that cannot be done.
    pub(super) fn stamp(&self) -> bool {
        let now = time::now();
        match self.store.stamp(&self.write, self.id()) {
            Ok(id) => {
                self.stamped.set(Some((id, now)));
                true
            }
            Err(err) => {
                self.failed.set(Some(err));
                false
            }
        }
    }

    fn id(&self) -> Option<i64> {
        self.stamped.get().map(|(id, _)| id)
    }

    /// Notes from when on its unknown outcome counts: without an answer, from its last byte.
    fn note(&self, since: Since) -> store::Result<()> {
        let Some((id, stamped_at)) = self.stamped.get() else {
            return Ok(());
        };
        let ago = match since {
            Since::LastByte => time::since(stamped_at).saturating_sub(GOING_OUT),
            Since::Answer | Since::Finding => Duration::ZERO,
        };
        self.store.note(id, since, ago)
    }
}

/// True for the refusal of a write to what is in the trash, or archived.
pub fn says_trashed(err: &notion::Error) -> bool {
    err.refusal(400).is_some_and(rejection::says_trashed)
}

fn is_gone(err: &notion::Error) -> bool {
    err.refusal(404).is_some() || says_trashed(err)
}

/// From when an unknown outcome counts; `None` where it is known that Notion saved nothing.
fn unknown_since(err: &notion::Error) -> Option<Since> {
    let notion::Error::Http(http::Error::Unknown { status, body, .. }) = err else {
        return None;
    };
    let is_theirs = status.is_some() && body["object"] == "error";
    Some(if is_theirs {
        Since::Answer
    } else {
        Since::LastByte
    })
}
