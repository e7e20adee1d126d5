//! The only writer: records the intent, calls Notion, records the result, step by step.
//!
//! A write is never repeated blindly. Where its outcome is unknown the caller gathers again, which
//! looks, and plans what is still missing.

mod rejection;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::Value as Json;

use crate::domain::block::Block;
use crate::domain::call::ArtifactKind;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::domain::outcome::Warning;
use crate::domain::phone::Phone;
use crate::domain::step::{NewEntry, Part, Step};
use crate::domain::table::Property;
use crate::http;
use crate::notion::blocks::EntryBlocks;
use crate::notion::page::ReadRow;
use crate::notion::{self, blocks, database};
use crate::store::{EntryRecord, KnownPage};
use crate::text;
use crate::time::both;

use self::rejection::Sent;
use super::gather;
use super::gather::entry::{self, EntryStanding};
use super::gather::table::ClientsTable;
use super::plan::ClientPlan;
use super::{Error, Run};

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
    /// What the plan was made from is no longer so, or a write's outcome is unknown: gather and
    /// plan again.
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
pub fn client(
    run: &Run,
    table: &ClientsTable,
    phone: &Phone,
    plan: &ClientPlan,
) -> Result<Applied, Stop> {
    let mut writer = Writer {
        run,
        table,
        phone,
        title: &plan.title,
        applied: Applied::default(),
    };
    let mut steps = plan.steps.as_slice();
    if let [
        Step::UpdatePage { page, properties },
        Step::AppendEntries { entries, .. },
        rest @ ..,
    ] = steps
    {
        writer.update_and_append(page, properties, entries)?;
        steps = rest;
    }
    for step in steps {
        log::debug!("{phone}: {}", step.name());
        match step {
            Step::CreatePage {
                properties,
                entries,
            } => writer.create(properties, entries)?,
            Step::UpdatePage { page, properties } => writer.update(page, properties)?,
            Step::AppendEntries { page, entries } => writer.append(page, entries)?,
            Step::Enrich {
                entry,
                activity,
                parts,
                present,
            } => writer.enrich(entry, activity, parts, present)?,
            Step::Reword {
                entry,
                activity,
                block,
            } => writer.reword(entry, activity, block)?,
        }
    }
    Ok(writer.applied)
}

/// A new entry with its blocks.
struct Rendered<'a> {
    new: &'a NewEntry,
    blocks: EntryBlocks,
}

fn render(entries: &[NewEntry]) -> Vec<Rendered<'_>> {
    entries
        .iter()
        .map(|new| Rendered {
            new,
            blocks: blocks::entry(new),
        })
        .collect()
}

/// The entries' blocks, dealt out to requests.
fn heads(rendered: &[Rendered]) -> Vec<Vec<Json>> {
    blocks::groups(
        rendered
            .iter()
            .map(|entry| entry.blocks.head.clone())
            .collect(),
    )
}

struct Writer<'a> {
    run: &'a Run<'a>,
    table: &'a ClientsTable,
    phone: &'a Phone,
    title: &'a str,
    applied: Applied,
}

impl Writer<'_> {
    fn create(&mut self, properties: &[Property], entries: &[NewEntry]) -> Result<(), Stop> {
        let rendered = render(entries);
        self.run
            .store
            .intend(None, &self.records(&rendered, None))?;
        let mut groups = heads(&rendered).into_iter();
        let first = groups.next().unwrap_or_default();
        let essential = [self.table.phones[0].id.as_str(), "title"];
        let (notion, deadline) = (self.run.notion, self.run.deadline);
        let create = |made: Option<&(PageId, Option<ReadRow>)>, properties: &[Property]| match made
        {
            None => rejection::with_links_or_without(&first, first.len(), |first| {
                notion.create_page(&self.table.table, properties, first, deadline)
            }),
            Some((page, _)) => Ok((
                page.clone(),
                notion.update_page(page, properties, deadline)?,
            )),
        };
        let sent = rejection::without_refused(properties, &essential, create);
        let Sent { answer, warnings } = self.judged(sent)?;
        let Some((page, body)) = answer else {
            let what = "a page of nothing cannot be made".to_owned();
            return Err(Stop::Again(Box::new(Error::Unsettled(what))));
        };
        self.refused(warnings)?;
        self.remember(&page, body.as_ref())?;
        let (with_page, after) = rendered.split_at(first.len());
        self.done(with_page, &page, Vec::new())?;
        self.append_groups(&page, after, groups)?;
        self.finish_all(&rendered)
    }

    fn update(&mut self, page: &PageId, properties: &[Property]) -> Result<(), Stop> {
        self.run
            .store
            .intend(Some((self.phone, &self.uncertain(page))), &[])?;
        self.applied.page = Some(page.clone());
        let (notion, deadline) = (self.run.notion, self.run.deadline);
        let update =
            |_: Option<&_>, properties: &[Property]| notion.update_page(page, properties, deadline);
        let sent = rejection::without_refused(properties, &[], update);
        self.updated(page, sent)
    }

    /// Two requests side by side: neither needs the other's answer.
    fn update_and_append(
        &mut self,
        page: &PageId,
        properties: &[Property],
        entries: &[NewEntry],
    ) -> Result<(), Stop> {
        self.applied.page = Some(page.clone());
        let rendered = render(entries);
        let intended = self.records(&rendered, Some(page));
        self.run
            .store
            .intend(Some((self.phone, &self.uncertain(page))), &intended)?;
        let (notion, deadline) = (self.run.notion, self.run.deadline);
        let update =
            |_: Option<&_>, properties: &[Property]| notion.update_page(page, properties, deadline);
        let writing = || rejection::without_refused(properties, &[], update);
        let (sent, appended) = both(writing, || self.append_intended(page, &rendered));
        // What came of the one is recorded although the other failed.
        let updated = self.updated(page, sent);
        appended.and(updated)
    }

    /// Records what came of an update.
    fn updated(
        &mut self,
        page: &PageId,
        sent: notion::Result<Sent<Option<ReadRow>>>,
    ) -> Result<(), Stop> {
        let sent = self.judged(sent)?;
        self.refused(sent.warnings)?;
        match sent.answer.flatten() {
            Some(body) => self.remember(page, Some(&body)),
            None => Ok(()),
        }
    }

    fn append(&mut self, page: &PageId, entries: &[NewEntry]) -> Result<(), Stop> {
        self.applied.page = Some(page.clone());
        let rendered = render(entries);
        self.run
            .store
            .intend(None, &self.records(&rendered, Some(page)))?;
        self.append_intended(page, &rendered)
    }

    fn append_intended(&mut self, page: &PageId, rendered: &[Rendered]) -> Result<(), Stop> {
        self.append_groups(page, rendered, heads(rendered).into_iter())?;
        self.finish_all(rendered)
    }

    /// Appends entries, dealt out to requests, to the end of the page.
    fn append_groups(
        &mut self,
        page: &PageId,
        mut entries: &[Rendered],
        groups: impl Iterator<Item = Vec<Json>>,
    ) -> Result<(), Stop> {
        for group in groups {
            let sent = rejection::with_links_or_without(&group, group.len(), |group| {
                let notion = self.run.notion;
                notion.append(&page.as_block(), group, self.run.deadline)
            });
            let ids = self.judged(sent)?;
            let (sent, after) = entries.split_at(group.len());
            self.done(sent, page, ids)?;
            entries = after;
        }
        Ok(())
    }

    /// Appends what did not fit into the requests that wrote the entries.
    fn finish_all(&mut self, rendered: &[Rendered]) -> Result<(), Stop> {
        for entry in rendered
            .iter()
            .filter(|entry| !entry.blocks.rest.is_empty())
        {
            let Some(record) = self.record(&entry.new.activity)? else {
                continue;
            };
            let located = entry::locate(
                self.run,
                EntryStanding {
                    record,
                    inside: Vec::new(),
                },
            )?;
            let Some(block) = located.and_then(|standing| standing.record.block) else {
                let what = format!("the entry of {} is not on its page", entry.new.activity);
                return Err(Stop::Again(Box::new(Error::Unsettled(what))));
            };
            for group in &entry.blocks.rest {
                self.judged(self.append_inside(&block, group))?;
            }
            self.settled(&entry.new.activity, &entry.new.parts)?;
        }
        Ok(())
    }

    fn enrich(
        &mut self,
        block: &BlockId,
        activity: &ActivityId,
        parts: &[Part],
        present: &[String],
    ) -> Result<(), Stop> {
        let Some(mut record) = self.record(activity)? else {
            return Ok(());
        };
        self.applied.page.clone_from(&record.page);
        record.pending.extend(parts.iter().map(|part| part.kind));
        self.run.store.intend(None, &[record])?;
        let missing = blocks::without(parts.iter().flat_map(blocks::part).collect(), present);
        for group in blocks::groups(missing) {
            let sent = self.append_inside(block, &group);
            self.entry_judged(sent, activity)?;
        }
        self.settled(activity, parts)
    }

    /// Appends to the inside of an entry.
    fn append_inside(&self, entry: &BlockId, blocks: &[Json]) -> notion::Result<Vec<BlockId>> {
        rejection::with_links_or_without(blocks, 1, |blocks| {
            self.run.notion.append(entry, blocks, self.run.deadline)
        })
    }

    fn reword(&mut self, block: &BlockId, activity: &ActivityId, line: &Block) -> Result<(), Stop> {
        let Some(record) = self.record(activity)? else {
            return Ok(());
        };
        self.applied.page.clone_from(&record.page);
        // The intent: until the answer is there, the line has to be looked at.
        self.run.store.intend(
            None,
            &[EntryRecord {
                block: None,
                ..record.clone()
            }],
        )?;
        let sent = self.run.notion.reword(block, line, self.run.deadline);
        self.entry_judged(sent, activity)?;
        self.save(&EntryRecord {
            line: text::first_line(&line.plain()).to_owned(),
            block: Some(block.clone()),
            ..record
        })
    }

    /// Entries as they are intended.
    fn records(&self, rendered: &[Rendered], page: Option<&PageId>) -> Vec<EntryRecord> {
        rendered
            .iter()
            .map(|entry| self.entry_record(entry, page, None))
            .collect()
    }

    /// The page while its values are being written: until the answer is there, only its id is
    /// certain.
    fn uncertain(&self, page: &PageId) -> KnownPage {
        KnownPage {
            id: page.clone(),
            title: self.title.to_owned(),
            body: "null".into(),
        }
    }

    /// Records entries as written; what of them is still to be appended stays pending.
    fn done(&self, entries: &[Rendered], page: &PageId, ids: Vec<BlockId>) -> Result<(), Stop> {
        let ids = ids.into_iter().map(Some).chain(std::iter::repeat(None));
        let record = |(entry, id)| EntryRecord {
            written: true,
            ..self.entry_record(entry, Some(page), id)
        };
        let records: Vec<EntryRecord> = entries.iter().zip(ids).map(record).collect();
        Ok(self.run.store.save_entries(&records)?)
    }

    /// Records that these parts of an entry are there. What another event left pending stays so.
    fn settled(&self, activity: &ActivityId, parts: &[Part]) -> Result<(), Stop> {
        let Some(mut record) = self.record(activity)? else {
            return Ok(());
        };
        for part in parts {
            record.pending.remove(&part.kind);
            record.artifacts.insert(part.kind);
        }
        self.save(&record)
    }

    fn save(&self, record: &EntryRecord) -> Result<(), Stop> {
        Ok(self.run.store.save_entries(std::slice::from_ref(record))?)
    }

    fn entry_record(
        &self,
        entry: &Rendered,
        page: Option<&PageId>,
        block: Option<BlockId>,
    ) -> EntryRecord {
        let kinds: BTreeSet<ArtifactKind> = entry.new.parts.iter().map(|part| part.kind).collect();
        let whole = entry.blocks.rest.is_empty();
        let (artifacts, pending) = if whole {
            (kinds, BTreeSet::new())
        } else {
            (BTreeSet::new(), kinds)
        };
        EntryRecord {
            activity: entry.new.activity.clone(),
            phone: self.phone.clone(),
            page: page.cloned(),
            block,
            line: text::first_line(&entry.new.block.plain()).to_owned(),
            written: false,
            artifacts,
            pending,
            age: SignedDuration::ZERO,
        }
    }

    fn record(&self, activity: &ActivityId) -> Result<Option<EntryRecord>, Stop> {
        let records = self.run.store.entries(activity)?;
        Ok(records
            .into_iter()
            .find(|record| record.phone == *self.phone))
    }

    /// Keeps the page as Notion gave it; without that only the id, so that it is read next time.
    fn remember(&mut self, id: &PageId, read: Option<&ReadRow>) -> Result<(), Stop> {
        self.applied.page = Some(id.clone());
        if let Some(ReadRow { row, text }) = read {
            gather::page::save(self.run, self.phone, row, text)?;
        } else {
            self.run.store.save_page(self.phone, &self.uncertain(id))?;
        }
        Ok(())
    }

    /// Notes what Notion did not take: the user may have changed the columns, so they are read anew
    /// next time.
    fn refused(&mut self, warnings: Vec<Warning>) -> Result<(), Stop> {
        if !warnings.is_empty() {
            gather::table::forget(self.run)?;
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
        let page_gone =
            err.refusal(404).is_some() || err.refusal(400).is_some_and(rejection::says_trashed);
        if page_gone {
            self.run.store.forget_page(self.phone)?;
        } else if err.refusal(400).is_some_and(database::has_several_sources) {
            gather::table::forget(self.run)?;
        } else if !is_unknown(&err) {
            return Err(err.into());
        }
        Err(Stop::Again(Box::new(err.into())))
    }

    /// The same for a write into an entry, whose block may be gone although the page is there.
    fn entry_judged<T>(&self, sent: notion::Result<T>, activity: &ActivityId) -> Result<T, Stop> {
        let gone = |err: &notion::Error| {
            err.refusal(404).is_some() || err.refusal(400).is_some_and(rejection::says_trashed)
        };
        let is_gone = sent.as_ref().err().is_some_and(gone);
        if let Some(record) = self.record(activity)?.filter(|_| is_gone) {
            self.save(&record.lost())?;
        }
        self.judged(sent)
    }
}

/// True when it is not known whether Notion saved the write.
fn is_unknown(err: &notion::Error) -> bool {
    matches!(err, notion::Error::Http(http::Error::Unknown { .. }))
}
