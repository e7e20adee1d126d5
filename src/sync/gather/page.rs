//! The client's page: from the store, else found by phone; and what of the activities stands there.
//! "Could not search" is never "not found".

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::id::{ActivityId, PageId};
use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::phone::Phone;
use crate::domain::table::Row;
use crate::notion::page::{self, ReadRow};
use crate::notion::query::{Among, Hits, Lookup};
use crate::store::{EntryRecord, KnownPage, Lesson, OpenWrite};
use crate::time::{self, both};

use super::super::activity::Activity;
use super::super::facts::{EntryFact, PageFact};
use super::super::{Error, Run};
use super::archived;
use super::look::{self, PageLook, Patience, Target};
use super::table::ClientsTable;

/// How long the values that Notion gave are believed where they only say what is there already: a
/// date that stands later, the title. What is empty there is looked at again before it is filled.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// What a page says of when it was edited is true to the minute.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Where to look for a client's page, and for which activities. Nothing of it is written by others
/// meanwhile.
pub struct PageSearch<'a> {
    /// For whom.
    pub run: &'a Run<'a>,
    /// Where to look.
    pub table: &'a ClientsTable,
    /// The client.
    pub phone: &'a Phone,
    /// What is to be written there.
    pub activities: Vec<&'a Activity<'a>>,
}

/// What was found.
pub struct Found {
    /// The page.
    pub page: PageFact,
    /// Entries of the activities.
    pub entries: BTreeMap<ActivityId, EntryFact>,
    /// Other pages with the same number.
    pub warnings: Vec<Warning>,
}

/// A page as it was found, before it is looked at.
struct Hit {
    page: PageFact,
    /// The page as Notion gave it just now; `None` when nothing was read.
    text: Option<String>,
    warnings: Vec<Warning>,
}

impl PageSearch<'_> {
    /// Finds the page, and settles all doubt about it. Nothing is asked where all is known.
    pub fn gather(&self) -> Result<Found, Error> {
        let database = self.run.clients_database;
        let store = self.run.store;
        let began = time::now();
        let found = self.settle(store.fresh_page(database, self.phone, FRESH)?);
        self.run.note_lookup(time::since(began), found.is_ok());
        found
    }

    /// The same, with the values as they are now: the store's copy may be out of date, or a write's
    /// outcome is unknown.
    pub fn gather_anew(&self) -> Result<Found, Error> {
        let known = self
            .run
            .store
            .page(self.run.clients_database, self.phone)?
            .map(without_values);
        self.settle(known)
    }

    /// The page and the entries, if the store knows for certain how they stand; nobody is asked.
    pub fn known(&self) -> Result<Option<Found>, Error> {
        let database = self.run.clients_database;
        let began = time::now();
        let known = self.run.store.fresh_page(database, self.phone, FRESH)?;
        let Some((row, known)) = known.and_then(|known| Some((kept_row(&known)?, known))) else {
            return Ok(None);
        };
        let page = PageFact::Known {
            row,
            fresh: false,
            complete_since: known.complete_since,
        };
        let records = self.records(page.id())?;
        let is_certain = !self.is_anything_unseen(&page)
            && !self.is_anything_hidden(&records)
            && self.open_writes(page.id())?.is_empty();
        if is_certain {
            self.run.note_lookup(time::since(began), true);
        }
        Ok(is_certain.then(|| Found {
            page,
            entries: PageLook::default().facts(&records),
            warnings: vec![],
        }))
    }

    /// Looks, and waits, until nothing is in doubt any more.
    fn settle(&self, mut known: Option<KnownPage>) -> Result<Found, Error> {
        let patience = Patience {
            settle: self.run.settings.settle,
            silence: self.run.settings.silence,
        };
        loop {
            let began = time::now();
            let hit = self.find(known.as_ref())?;
            if self.takes_back_news(known.as_ref(), &hit.page)? {
                look::wait(self.run, patience.settle)?;
                continue;
            }
            let open = self.open_writes(hit.page.id())?;
            let passed = time::since(began);
            let records = self.records(hit.page.id())?;
            let is_in_doubt = !open.is_empty() || self.is_anything_unseen(&hit.page);
            if is_in_doubt && matches!(hit.page, PageFact::Known { fresh: false, .. }) {
                known = known.map(without_values);
                continue;
            }
            let mut look = PageLook::default();
            if is_in_doubt || self.is_anything_hidden(&records) {
                let looked = self.look(&hit.page, &records, &open);
                if looked.is_err() {
                    self.forget_values(&hit.page)?;
                }
                look = looked?;
                let is_gone = hit.page.id().is_some_and(|page| !look.has_seen(page));
                if is_gone && matches!(hit.page, PageFact::Known { fresh: false, .. }) {
                    known = known.map(without_values);
                    continue;
                }
            }
            if let Some(wait) = look::doubt(patience, &look, hit.page.id(), &open, passed) {
                look::wait(self.run, wait)?;
                known = known.map(without_values);
                continue;
            }
            return self.keep(hit, &look, &records, &open);
        }
    }

    /// Lets the next look read the page first, which goes on where this one has ended only if it
    /// knows when the page was edited.
    fn forget_values(&self, page: &PageFact) -> Result<(), Error> {
        let PageFact::Known {
            row,
            fresh: false,
            complete_since,
        } = page
        else {
            return Ok(());
        };
        let known = KnownPage {
            id: row.id.clone(),
            title: row.title().to_owned(),
            body: "null".into(),
            complete_since: *complete_since,
        };
        let lesson = Lesson {
            page: Some(&known),
            ..Lesson::default()
        };
        let (run, database) = (self.run, self.run.clients_database);
        Ok(run.store.learn(database, self.phone, &lesson)?)
    }

    /// True if a page is not found that was seen or made so lately that no read need show it yet.
    fn takes_back_news(&self, known: Option<&KnownPage>, found: &PageFact) -> Result<bool, Error> {
        let Some(known) = known.filter(|known| Some(&known.id) != found.id()) else {
            return Ok(false);
        };
        let (run, settle) = (self.run, self.run.settings.settle);
        let settle = SignedDuration::try_from(settle).unwrap_or(SignedDuration::MAX);
        let kept = run
            .store
            .fresh_page(run.clients_database, self.phone, settle)?;
        Ok(kept.is_some_and(|kept| kept.id == known.id && kept_row(&kept).is_some()))
    }

    /// Open writes to the client's page, whoever's number they were for.
    fn open_writes(&self, page: Option<&PageId>) -> Result<Vec<OpenWrite>, Error> {
        let database = self.run.clients_database;
        Ok(self.run.store.open_writes(database, self.phone, page)?)
    }

    /// What is known of the activities' entries on this page.
    fn records(&self, page: Option<&PageId>) -> Result<Vec<EntryRecord>, Error> {
        let mut all = Vec::new();
        for activity in &self.activities {
            let entries = self
                .run
                .store
                .entries(self.run.clients_database, &activity.id)?;
            let here = entries.into_iter().map(|found| found.entry);
            all.extend(here.filter(|entry| Some(&entry.page) == page));
        }
        all.dedup();
        Ok(all)
    }

    /// The page that the store knows, without a request if its values are known too; else by
    /// search.
    fn find(&self, known: Option<&KnownPage>) -> Result<Hit, Error> {
        let known_hit = |row: Row, fresh, known: &KnownPage, text| Hit {
            warnings: archived::warning(&row).into_iter().collect(),
            page: PageFact::Known {
                row,
                fresh,
                complete_since: known.complete_since,
            },
            text,
        };
        if let Some(known) = known {
            if let Some(row) = kept_row(known) {
                return Ok(known_hit(row, false, known, None));
            }
            let read =
                self.run
                    .notion
                    .fetch_page(&self.table.table, &known.id, self.run.deadline)?;
            // A person may have given the number to another page.
            let columns = &self.table.phones;
            let is_theirs = |row: &Row| !row.trashed && row.holds(self.phone, columns);
            if let Some(ReadRow { row, text }) = read.filter(|read| is_theirs(&read.row)) {
                return Ok(known_hit(row, true, known, Some(text)));
            }
        }
        self.search()
    }

    /// Searches among all pages, side by side. An active one counts more than any that is archived.
    fn search(&self) -> Result<Hit, Error> {
        let find = |among| {
            let search = Lookup {
                phone: self.phone,
                columns: &self.table.phones,
                among,
            };
            let (table, deadline) = (&self.table.table, self.run.deadline);
            self.run.notion.find_by_phone(table, &search, deadline)
        };
        if !archived::can_be_asked_for(self.run, self.table)? {
            return Ok(self.hit(find(Among::Active)?));
        }
        let (active, shelved) = both(|| find(Among::Active), || find(Among::Archived));
        let shelved = archived::settle(self.run, self.table, shelved)?;
        let active = active?;
        if active.oldest.is_some() {
            return Ok(self.hit(active));
        }
        Ok(self.hit(shelved?))
    }

    fn hit(&self, hits: Hits) -> Hit {
        let columns = &self.table.phones;
        let Some(ReadRow { row, text }) = hits.oldest else {
            return Hit {
                page: PageFact::Absent,
                text: None,
                warnings: vec![],
            };
        };
        let others: Vec<String> = hits.others.iter().map(ToString::to_string).collect();
        let warning = || {
            let message = format!(
                "{} also stands on {}; the oldest page, {}, is used",
                self.phone,
                others.join(", "),
                row.id
            );
            Warning::property(WarningCode::SeveralPages, &columns[0].name, message)
        };
        let several = (!others.is_empty()).then(warning);
        let warnings = several.into_iter().chain(archived::warning(&row)).collect();
        // What was written there before this store knew of it moved that time.
        let edited = row.edited_at.unwrap_or(Timestamp::MAX);
        let complete_since = Some(edited.saturating_add(MINUTE).unwrap_or(edited));
        Hit {
            page: PageFact::Known {
                row,
                fresh: true,
                complete_since,
            },
            text: Some(text),
            warnings,
        }
    }

    /// True if something is to be added to an entry of which the store does not know enough.
    fn is_anything_hidden(&self, records: &[EntryRecord]) -> bool {
        let lacks = |record: &EntryRecord| record.block.is_none() || !record.begun.is_empty();
        self.activities.iter().any(|activity| {
            let mut own = records
                .iter()
                .filter(|record| record.activity == activity.id);
            own.any(|record| activity.adds_to(record) && lacks(record))
        })
    }

    /// True if there may be an entry on the page that the store does not know.
    fn is_anything_unseen(&self, page: &PageFact) -> bool {
        let PageFact::Known {
            row,
            fresh,
            complete_since,
        } = page
        else {
            return false;
        };
        self.activities.iter().any(|activity| {
            // Only a page that was read now tells when it was edited.
            let is_spared = *fresh && activity.is_later_than(row.edited_at);
            !activity.is_known_of(*complete_since) && !is_spared
        })
    }

    /// Looks at the page, and at each that an open write was sent to.
    fn look(
        &self,
        found: &PageFact,
        records: &[EntryRecord],
        open: &[OpenWrite],
    ) -> Result<PageLook, Error> {
        let mut look = PageLook::default();
        let edited_at = match found {
            PageFact::Known {
                row, fresh: true, ..
            } => row.edited_at,
            PageFact::Known { .. } | PageFact::Absent => None,
        };
        let pages = found
            .id()
            .into_iter()
            .chain(open.iter().filter_map(|it| it.page.as_ref()));
        let mut wanted: Vec<ActivityId> = self.activities.iter().map(|it| it.id.clone()).collect();
        wanted.extend(
            open.iter()
                .flat_map(|write| write.activities.iter().cloned()),
        );
        let is_added_to = |id: &ActivityId| {
            let activity = self.activities.iter().find(|activity| activity.id == *id);
            activity.is_some_and(|activity| activity.brings_parts())
        };
        let is_open = |id: &ActivityId| open.iter().any(|write| write.activities.contains(id));
        for page in pages {
            let target = Target {
                page,
                edited_at: edited_at.filter(|_| Some(page) == found.id()),
                wanted: &wanted,
            };
            if !look.has_seen(page) {
                look.at(self.run, &target, |id| is_open(id) || is_added_to(id))?;
            }
        }
        for record in records
            .iter()
            .filter(|record| is_added_to(&record.activity))
        {
            look.find_deeper(self.run, record)?;
        }
        look.judge(self.run.settings.settle, records, open);
        Ok(look)
    }

    /// Keeps what was learned, and tells it.
    fn keep(
        &self,
        hit: Hit,
        look: &PageLook,
        records: &[EntryRecord],
        open: &[OpenWrite],
    ) -> Result<Found, Error> {
        let (run, database) = (self.run, self.run.clients_database);
        let mut page = hit.page;
        let mut kept = None;
        match &mut page {
            PageFact::Absent => run.store.forget_page(database, self.phone)?,
            PageFact::Known {
                row,
                complete_since,
                ..
            } => {
                if look.is_whole(&row.id) {
                    *complete_since = None;
                }
                kept = hit.text.map(|text| KnownPage {
                    id: row.id.clone(),
                    title: row.title().to_owned(),
                    body: text,
                    complete_since: *complete_since,
                });
            }
        }
        let moved = moved_entries(page.id(), look, &self.activities, records);
        let entries = look.entries();
        let closes: Vec<i64> = open.iter().map(|write| write.id).collect();
        let passed = look.passed();
        let any_entry = !entries.is_empty() || !passed.is_empty();
        if kept.is_some() || any_entry || !closes.is_empty() {
            let lesson = Lesson {
                closes: &closes,
                page: kept.as_ref(),
                entries: &entries,
                passed,
            };
            run.store.learn(database, self.phone, &lesson)?;
        } else if page != PageFact::Absent {
            run.store.touch_page(self.phone)?;
        }
        Ok(Found {
            page,
            entries: look.facts(records),
            warnings: hit.warnings.into_iter().chain(moved).collect(),
        })
    }
}

/// Warns of calls whose entry may lie deeper than was looked, so that what came later about them
/// gets one of its own.
fn moved_entries(
    page: Option<&PageId>,
    look: &PageLook,
    activities: &[&Activity],
    records: &[EntryRecord],
) -> Vec<Warning> {
    let is_deep = page.is_some_and(|page| look.is_deep(page));
    let is_known = |id: &ActivityId| records.iter().any(|record| record.activity == *id);
    let is_missing = |activity: &&&Activity| {
        activity.is_late && !look.has_found(&activity.id) && !is_known(&activity.id)
    };
    let missing = activities.iter().filter(|_| is_deep).filter(is_missing);
    let warning = |activity: &&Activity| {
        let message = format!(
            "the entry of {} was not found; it may lie deeper than one level down on the page, and \
                what came later has one of its own",
            activity.id
        );
        Warning::new(WarningCode::EntryMoved, message)
    };
    missing.map(warning).collect()
}

fn without_values(known: KnownPage) -> KnownPage {
    KnownPage {
        body: "null".into(),
        ..known
    }
}

/// The values of a page that is kept, if they are certain.
fn kept_row(known: &KnownPage) -> Option<Row> {
    page::read(&serde_json::from_str(&known.body).ok()?)
}
