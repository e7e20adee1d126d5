//! The only writer: records the intent, calls Notion, records the result, step by step.
//!
//! A write is never repeated blindly. Where its outcome is unknown the caller gathers again, which looks, and plans
//! what is still missing.

mod rejection;

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::domain::entry::Block;
use crate::domain::event::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::domain::outcome::Warning;
use crate::domain::phone::Phone;
use crate::domain::plan::{NewEntry, Part, Step};
use crate::domain::table::Property;
use crate::http;
use crate::notion::{self, blocks, database, page};
use crate::store::{EntryRecord, KnownPage};

use super::gather::table::ClientsTable;
use super::gather::{self, entry};
use super::plan::ClientPlan;
use super::{Error, Sync};

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Applied {
    /// The client's page.
    pub page: Option<PageId>,
    /// What Notion did not take.
    pub warnings: Vec<Warning>,
}

/// Why a plan could not be carried out.
#[derive(Debug)]
pub enum Stop {
    /// What the plan was made from is no longer so, or a write's outcome is unknown: gather and plan again.
    Again(Box<Error>),
    /// It cannot go on.
    Fatal(Box<Error>),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(err: E) -> Self {
        Self::Fatal(Box::new(err.into()))
    }
}

/// Carries out the plan for one client.
pub fn client(sync: &Sync, table: &ClientsTable, (phone, plan): (&Phone, &ClientPlan)) -> Result<Applied, Stop> {
    let mut writer = Writer { sync, table, phone, title: &plan.title, applied: Applied::default() };
    for step in &plan.steps {
        log::debug!("{phone}: {}", step.name());
        match step {
            Step::CreatePage { properties, entries } => writer.create(properties, entries)?,
            Step::UpdatePage { page, properties } => writer.update(page, properties)?,
            Step::AppendEntries { page, entries } => writer.append(page, entries)?,
            Step::Enrich { entry, activity, parts } => writer.enrich((entry, activity), parts)?,
            Step::Reword { entry, activity, block } => writer.reword((entry, activity), block)?,
        }
    }
    Ok(writer.applied)
}

struct Writer<'a> {
    sync: &'a Sync<'a>,
    table: &'a ClientsTable,
    phone: &'a Phone,
    title: &'a str,
    applied: Applied,
}

impl Writer<'_> {
    fn create(&mut self, properties: &[Property], entries: &[NewEntry]) -> Result<(), Stop> {
        self.intend(None, entries)?;
        let rendered: Vec<_> = entries.iter().map(blocks::entry).collect();
        let mut groups = blocks::groups(rendered.iter().map(|entry| entry.head.clone()).collect()).into_iter();
        let first = groups.next().unwrap_or_default();
        let essential = [self.table.phone.id.as_str(), "title"];
        let create = |properties: &[Property]| {
            self.sync.notion.create_page(&self.table.table, (properties, &first), self.sync.deadline)
        };
        let sent = rejection::without_refused(properties, &essential, create);
        let ((page, body), warnings) = self.judged(sent)?;
        self.refused(warnings)?;
        self.remember(&page, body.as_ref())?;
        for entry in entries.iter().take(first.len()) {
            self.done(entry, &page, None)?;
        }
        self.append_rest(&page, entries.get(first.len()..).unwrap_or_default(), groups.collect())?;
        let unfinished = rendered.iter().zip(entries).filter(|(rendered, _)| !rendered.rest.is_empty());
        for (rendered, entry) in unfinished {
            self.finish_inside(entry, &rendered.rest)?;
        }
        Ok(())
    }

    fn update(&mut self, page: &PageId, properties: &[Property]) -> Result<(), Stop> {
        let update = |properties: &[Property]| self.sync.notion.update_page(page, properties, self.sync.deadline);
        let sent = rejection::without_refused(properties, &[], update);
        let (body, warnings) = self.judged(sent)?;
        self.refused(warnings)?;
        self.remember(page, body.as_ref())
    }

    fn append(&mut self, page: &PageId, entries: &[NewEntry]) -> Result<(), Stop> {
        self.applied.page = Some(page.clone());
        self.intend(Some(page), entries)?;
        let rendered: Vec<_> = entries.iter().map(blocks::entry).collect();
        let groups = blocks::groups(rendered.iter().map(|entry| entry.head.clone()).collect());
        self.append_rest(page, entries, groups)?;
        for (rendered, entry) in rendered.iter().zip(entries) {
            if !rendered.rest.is_empty() {
                self.finish_inside(entry, &rendered.rest)?;
            }
        }
        Ok(())
    }

    /// Appends entries, dealt out to requests, to the end of the page.
    fn append_rest(&mut self, page: &PageId, entries: &[NewEntry], groups: Vec<Vec<Json>>) -> Result<(), Stop> {
        let mut entries = entries.iter();
        for group in groups {
            let ids = self.judged(self.sync.notion.append(&page.as_block(), &group, self.sync.deadline))?;
            let mut ids = ids.into_iter();
            for entry in entries.by_ref().take(group.len()) {
                self.done(entry, page, ids.next())?;
            }
        }
        Ok(())
    }

    /// Appends what did not fit into the request that wrote the entry.
    fn finish_inside(&mut self, entry: &NewEntry, rest: &[Vec<Json>]) -> Result<(), Stop> {
        let Some(record) = self.record(&entry.activity)? else { return Ok(()) };
        let located = entry::locate(self.sync, record)?;
        let Some(block) = located.and_then(|record| record.block) else {
            return Err(Stop::Again(Box::new(Error::Unsettled(format!(
                "the entry of {} is not on its page",
                entry.activity
            )))));
        };
        for group in rest {
            self.judged(self.sync.notion.append(&block, group, self.sync.deadline))?;
        }
        Ok(())
    }

    fn enrich(&mut self, (block, activity): (&BlockId, &ActivityId), parts: &[Part]) -> Result<(), Stop> {
        let kinds: BTreeSet<ArtifactKind> = parts.iter().map(|part| part.kind).collect();
        let Some(mut record) = self.record(activity)? else { return Ok(()) };
        self.applied.page.clone_from(&record.page);
        record.pending.extend(&kinds);
        self.sync.store.save_entry(&record, self.sync.now)?;
        for group in blocks::groups(parts.iter().flat_map(blocks::part).collect()) {
            let sent = self.sync.notion.append(block, &group, self.sync.deadline);
            self.entry_judged(sent, activity)?;
        }
        record.artifacts.extend(&kinds);
        record.pending.retain(|kind| !kinds.contains(kind));
        Ok(self.sync.store.save_entry(&record, self.sync.now)?)
    }

    fn reword(&mut self, (block, activity): (&BlockId, &ActivityId), text: &Block) -> Result<(), Stop> {
        let sent = self.sync.notion.reword(block, text, self.sync.deadline);
        self.entry_judged(sent, activity)?;
        if let Some(mut record) = self.record(activity)? {
            self.applied.page.clone_from(&record.page);
            record.line = first_line(text);
            self.sync.store.save_entry(&record, self.sync.now)?;
        }
        Ok(())
    }

    fn intend(&self, page: Option<&PageId>, entries: &[NewEntry]) -> Result<(), Stop> {
        for entry in entries {
            let record = self.entry_record(entry, page.cloned(), None);
            self.sync.store.save_entry(&record, self.sync.now)?;
        }
        Ok(())
    }

    fn done(&self, entry: &NewEntry, page: &PageId, block: Option<BlockId>) -> Result<(), Stop> {
        let record = EntryRecord { written: true, ..self.entry_record(entry, Some(page.clone()), block) };
        Ok(self.sync.store.save_entry(&record, self.sync.now)?)
    }

    fn entry_record(&self, entry: &NewEntry, page: Option<PageId>, block: Option<BlockId>) -> EntryRecord {
        EntryRecord {
            activity: entry.activity.clone(),
            phone: self.phone.clone(),
            page,
            block,
            line: first_line(&entry.block),
            written: false,
            artifacts: entry.parts.iter().map(|part| part.kind).collect(),
            pending: BTreeSet::new(),
        }
    }

    fn record(&self, activity: &ActivityId) -> Result<Option<EntryRecord>, Stop> {
        let records = self.sync.store.entries(activity)?;
        Ok(records.into_iter().find(|record| record.phone == *self.phone))
    }

    /// Keeps the page as Notion gave it; after an answer without it only the id, so that it is read next time.
    fn remember(&mut self, id: &PageId, body: Option<&Json>) -> Result<(), Stop> {
        self.applied.page = Some(id.clone());
        match body.and_then(|body| Some((page::read(body)?, body))) {
            Some((row, body)) => gather::page::save(self.sync, self.phone, (&row, body))?,
            None => {
                let known = KnownPage { id: id.clone(), title: self.title.to_owned(), body: "null".into() };
                self.sync.store.save_page(self.phone, &known, self.sync.now)?;
            }
        }
        Ok(())
    }

    /// Notes what Notion did not take: the user may have changed the columns, so they are read anew next time.
    fn refused(&mut self, warnings: Vec<Warning>) -> Result<(), Stop> {
        if !warnings.is_empty() {
            gather::table::forget(self.sync)?;
        }
        self.applied.warnings.extend(warnings);
        Ok(())
    }

    /// Tells what an error of a write to the page means for the plan.
    fn judged<T>(&self, sent: notion::Result<T>) -> Result<T, Stop> {
        let err = match sent {
            Ok(value) => return Ok(value),
            Err(err) => err,
        };
        let page_gone = err.refusal(404).is_some() || err.refusal(400).is_some_and(rejection::says_trashed);
        if page_gone {
            self.sync.store.forget_page(self.phone)?;
        } else if err.refusal(400).is_some_and(database::has_several_sources) {
            gather::table::forget(self.sync)?;
        } else if !is_unknown(&err) {
            return Err(err.into());
        }
        Err(Stop::Again(Box::new(err.into())))
    }

    /// The same for a write into an entry, whose block may be gone although the page is there.
    fn entry_judged<T>(&self, sent: notion::Result<T>, activity: &ActivityId) -> Result<T, Stop> {
        let gone =
            |err: &notion::Error| err.refusal(404).is_some() || err.refusal(400).is_some_and(rejection::says_trashed);
        if sent.as_ref().err().is_some_and(gone) {
            self.sync.store.forget_entry(activity, self.phone)?;
        }
        self.judged(sent)
    }
}

/// True when it is not known whether Notion saved the write.
fn is_unknown(err: &notion::Error) -> bool {
    matches!(err, notion::Error::Http(http::Error::Unknown { .. }))
}

fn first_line(block: &Block) -> String {
    block.plain().lines().next().unwrap_or_default().to_owned()
}
