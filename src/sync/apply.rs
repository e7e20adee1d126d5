//! The only writer: records the intent, calls Notion, records the result, step by step.
//!
//! A write is never repeated blindly. Where its outcome is unknown the caller gathers again, which
//! looks, and plans what is still missing.

mod record;
mod rejection;

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::domain::block::Block;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::domain::outcome::Warning;
use crate::domain::step::{NewEntry, Part, Step};
use crate::domain::table::Property;
use crate::notion::blocks::EntryBlocks;
use crate::notion::page::ReadRow;
use crate::notion::{self, blocks};
use crate::store::{Carries, EntryRecord};
use crate::text;
use crate::time::both;

use self::record::Sending;
pub use self::record::says_trashed;
use self::rejection::Sent;
use super::facts::Facts;
use super::gather;
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
    /// As much as this plan could hold is done: gather and plan the rest.
    Onward(&'static str),
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
    facts: &Facts,
    plan: &ClientPlan,
) -> Result<Applied, Stop> {
    let mut writer = Writer {
        run,
        table,
        facts,
        title: &plan.title,
        moves: &plan.moves,
        applied: Applied {
            page: facts.page.id().cloned(),
            warnings: Vec::new(),
        },
    };
    let mut steps = plan.steps.as_slice();
    if let [
        Step::UpdatePage { page, properties },
        Step::AppendEntries { entries, .. },
        rest @ ..,
    ] = steps
        && plan.is_fresh
    {
        writer.update_and_append(page, properties, entries)?;
        steps = rest;
    }
    for step in steps {
        log::debug!("{}: {}", facts.phone, step.name());
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

fn send_values(
    run: &Run,
    write: &Sending,
    page: &PageId,
    properties: &[Property],
) -> notion::Result<Sent<Option<ReadRow>>> {
    let stamp = || write.stamp();
    let notion = run.notion.writer(&stamp);
    let update =
        |_: Option<&_>, properties: &[Property]| notion.update_page(page, properties, run.deadline);
    rejection::without_refused(properties, &[], update)
}

struct Writer<'a> {
    run: &'a Run<'a>,
    table: &'a ClientsTable,
    facts: &'a Facts,
    title: &'a str,
    /// Activities whose dates the values hold.
    moves: &'a [ActivityId],
    applied: Applied,
}

impl Writer<'_> {
    fn create(&mut self, properties: &[Property], entries: &[NewEntry]) -> Result<(), Stop> {
        let rendered = render(entries);
        let mut groups = heads(&rendered).into_iter();
        let first = groups.next().unwrap_or_default();
        let (with_page, after) = rendered.split_at(first.len());
        let essential = [self.table.phones[0].id.as_str(), "title"];
        let write = self.sending(None, Carries::Entries, with_page);
        let stamp = || write.stamp();
        let (notion, deadline) = (self.run.notion.writer(&stamp), self.run.deadline);
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
        let Sent { answer, warnings } = self.judged(&write, sent)?;
        let Some((page, body)) = answer else {
            let what = "a page of nothing cannot be made".to_owned();
            return Err(Stop::Again(Box::new(Error::Unsettled(what))));
        };
        self.refused(warnings)?;
        self.applied.page = Some(page.clone());
        let records = Self::written(with_page, &page, &[]);
        self.learn(
            Some(&write),
            Some(&self.known(&page, body.as_ref())),
            &records,
        )?;
        let ids = self.append_groups(&page, after, groups)?;
        if with_page.iter().all(|entry| entry.blocks.rest.is_empty()) {
            return self.finish_all(after, &ids);
        }
        // Where its entries are the answer does not say.
        Err(Stop::Onward("the page is made"))
    }

    /// Writes values, and looks in the answer whether the page is still the client's.
    fn update(&mut self, page: &PageId, properties: &[Property]) -> Result<(), Stop> {
        let write = self.sending_for(Some(page), Carries::Values, self.moves);
        let sent = send_values(self.run, &write, page, properties);
        self.updated(&write, page, sent)
    }

    /// Two requests side by side: neither needs the other's answer.
    fn update_and_append(
        &mut self,
        page: &PageId,
        properties: &[Property],
        entries: &[NewEntry],
    ) -> Result<(), Stop> {
        let rendered = render(entries);
        let write = self.sending_for(Some(page), Carries::Values, self.moves);
        let run = self.run;
        let values = move || {
            let sent = send_values(run, &write, page, properties);
            (write, sent)
        };
        let ((write, sent), appended) = both(values, || self.append_all(page, &rendered));
        // What came of the one is recorded although the other failed.
        let updated = self.updated(&write, page, sent);
        appended.and(updated)
    }

    /// Records what came of an update.
    fn updated(
        &mut self,
        write: &Sending,
        page: &PageId,
        sent: notion::Result<Sent<Option<ReadRow>>>,
    ) -> Result<(), Stop> {
        if sent.is_err() {
            // Whatever it was, the next event is to see what stands there.
            self.learn(None, Some(&self.known(page, None)), &[])?;
        }
        let sent = self.judged(write, sent)?;
        self.refused(sent.warnings)?;
        let read = sent.answer.flatten();
        self.learn(Some(write), Some(&self.known(page, read.as_ref())), &[])?;
        let columns = &self.table.phones;
        let is_theirs =
            |read: &ReadRow| !read.row.trashed && read.row.holds(&self.facts.phone, columns);
        match read {
            Some(read) if !is_theirs(&read) => {
                self.forget_page()?;
                let what = format!("{page} is no longer the client's page");
                Err(Stop::Again(Box::new(Error::Unsettled(what))))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn append(&mut self, page: &PageId, entries: &[NewEntry]) -> Result<(), Stop> {
        self.append_all(page, &render(entries))
    }

    fn append_all(&mut self, page: &PageId, rendered: &[Rendered]) -> Result<(), Stop> {
        let ids = self.append_groups(page, rendered, heads(rendered).into_iter())?;
        self.finish_all(rendered, &ids)
    }

    /// Appends entries, dealt out to requests, to the end of the page. Returns their blocks.
    fn append_groups(
        &mut self,
        page: &PageId,
        mut entries: &[Rendered],
        groups: impl Iterator<Item = Vec<Json>>,
    ) -> Result<Vec<BlockId>, Stop> {
        let mut all = Vec::new();
        for group in groups {
            let (these, after) = entries.split_at(group.len());
            let write = self.sending(Some(page), Carries::Entries, these);
            let stamp = || write.stamp();
            let notion = self.run.notion.writer(&stamp);
            let sent = rejection::with_links_or_without(&group, group.len(), |group| {
                notion.append(&page.as_block(), group, self.run.deadline)
            });
            let ids = self.judged(&write, sent)?;
            self.learn(Some(&write), None, &Self::written(these, page, &ids))?;
            all.extend(ids);
            entries = after;
        }
        Ok(all)
    }

    /// Appends what did not fit into the requests that wrote the entries, whose blocks are these.
    fn finish_all(&mut self, rendered: &[Rendered], blocks: &[BlockId]) -> Result<(), Stop> {
        for (place, entry) in rendered.iter().enumerate() {
            if entry.blocks.rest.is_empty() {
                continue;
            }
            let Some(block) = blocks.get(place) else {
                return Err(Stop::Onward("the entry is written"));
            };
            let page = self.applied.page.clone();
            let Some(record) = page.map(|page| Self::record(entry, &page, Some(block))) else {
                continue;
            };
            self.append_inside(record, &entry.blocks.rest)?;
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
        let Some(fact) = self.facts.entries.get(activity) else {
            return Ok(());
        };
        let mut record = fact.record.clone();
        record.block = Some(block.clone());
        record.begun.extend(parts.iter().map(|part| part.kind));
        let missing = blocks::without(parts.iter().flat_map(blocks::part).collect(), present);
        self.append_inside(record, &blocks::groups(missing))
    }

    /// Appends to the inside of an entry, group by group; with the last one it is whole.
    fn append_inside(&self, mut record: EntryRecord, groups: &[Vec<Json>]) -> Result<(), Stop> {
        let Some(block) = record.block.clone() else {
            return Ok(());
        };
        let whole = |record: &EntryRecord| EntryRecord {
            artifacts: record.artifacts.union(&record.begun).copied().collect(),
            begun: BTreeSet::new(),
            ..record.clone()
        };
        if groups.is_empty() {
            return self.learn(None, None, &[whole(&record)]);
        }
        for (place, group) in groups.iter().enumerate() {
            let activities = [record.activity.clone()];
            let write = self.sending_for(Some(&record.page), Carries::Parts, &activities);
            let stamp = || write.stamp();
            let notion = self.run.notion.writer(&stamp);
            let sent = rejection::with_links_or_without(group, 1, |blocks| {
                notion.append(&block, blocks, self.run.deadline)
            });
            self.entry_judged(&write, sent, &record)?;
            if place + 1 == groups.len() {
                record = whole(&record);
            }
            self.learn(Some(&write), None, std::slice::from_ref(&record))?;
        }
        Ok(())
    }

    fn reword(&mut self, block: &BlockId, activity: &ActivityId, line: &Block) -> Result<(), Stop> {
        let Some(fact) = self.facts.entries.get(activity) else {
            return Ok(());
        };
        let record = EntryRecord {
            line: text::first_line(&line.plain()).to_owned(),
            block: Some(block.clone()),
            ..fact.record.clone()
        };
        let activities = [activity.clone()];
        let write = self.sending_for(Some(&record.page), Carries::Values, &activities);
        let stamp = || write.stamp();
        let notion = self.run.notion.writer(&stamp);
        let sent = notion.reword(block, line, self.run.deadline);
        self.entry_judged(&write, sent, &record)?;
        // What was put inside meanwhile is known by now.
        let kept = self
            .run
            .store
            .entries(self.run.clients_database, activity)?;
        let inside = kept.into_iter().map(|kept| kept.entry);
        let now = inside.into_iter().find(|kept| kept.page == record.page);
        let (artifacts, begun) = now.map_or_else(
            || (record.artifacts.clone(), record.begun.clone()),
            |now| (now.artifacts, now.begun),
        );
        let record = EntryRecord {
            artifacts,
            begun,
            ..record
        };
        self.learn(Some(&write), None, &[record])
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
}
