//! A look at what stands on pages: entries are found by the activity id that their line carries.
//!
//! This is how all doubt is settled: what may have been written is looked for before anything is
//! written again, and a look that finds nothing is believed once nothing can come any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::block::DOT;
use crate::domain::call::ArtifactKind;
use crate::domain::entry;
use crate::domain::id::{ActivityId, PageId};
use crate::notion::blocks::ListedBlock;
use crate::store::{Carries, EntryRecord, OpenWrite, Since};
use crate::text;
use crate::time;

use super::super::facts::EntryFact;
use super::super::{Error, Run};

/// Most blocks of others that are opened to find an entry that was dragged into one.
const MOST_OPENED: usize = 100;

/// What stands on the pages that were looked at.
#[derive(Default)]
pub struct PageLook {
    pages: BTreeSet<PageId>,
    facts: Vec<EntryFact>,
}

impl PageLook {
    /// True if that page was looked at.
    pub fn has_seen(&self, page: &PageId) -> bool {
        self.pages.contains(page)
    }

    /// Looks at a page for entries of these activities, and into those that `opens` says. A page
    /// that is gone is not seen.
    pub fn at(
        &mut self,
        run: &Run,
        page: &PageId,
        wanted: &[ActivityId],
        opens: impl Fn(&ActivityId) -> bool,
    ) -> Result<(), Error> {
        let blocks = match run.notion.list_lines(&page.as_block(), run.deadline) {
            Err(err) if err.refusal(404).is_some() => return Ok(()),
            listed => listed?,
        };
        self.pages.insert(page.clone());
        let mut found: BTreeMap<&ActivityId, ListedBlock> = BTreeMap::new();
        take_entries(&mut found, wanted, &blocks);
        if found.len() < wanted.len() {
            let foreign = blocks
                .iter()
                .filter(|block| block.has_children && !text::first_line(&block.text).contains(DOT));
            for block in foreign.take(MOST_OPENED) {
                take_entries(
                    &mut found,
                    wanted,
                    &run.notion.list_lines(&block.id, run.deadline)?,
                );
            }
        }
        for (activity, block) in found {
            let inside = if block.has_children && opens(activity) {
                run.notion.list(&block.id, run.deadline)?
            } else {
                Vec::new()
            };
            let inside: Vec<String> = inside.into_iter().map(|child| child.text).collect();
            let record = EntryRecord {
                activity: activity.clone(),
                page: page.clone(),
                block: Some(block.id),
                line: text::first_line(&block.text).to_owned(),
                artifacts: inside
                    .iter()
                    .filter_map(|text| entry::kind_of(text))
                    .collect(),
                begun: BTreeSet::new(),
                gone: false,
                age: SignedDuration::ZERO,
            };
            self.facts.push(EntryFact { record, inside });
        }
        Ok(())
    }

    /// Puts what was seen and what was known together. Of what is being written the beginning may
    /// stand there and the end be missing: that is to be compared. And what was known and is not
    /// seen, a person has deleted, unless it was written so lately that no list need show it yet.
    pub fn judge(&mut self, settle: Duration, records: &[EntryRecord], open: &[OpenWrite]) {
        for record in records.iter().filter(|it| self.pages.contains(&it.page)) {
            let seen = self
                .facts
                .iter_mut()
                .find(|seen| is_same(&seen.record, record));
            let Some(seen) = seen else {
                let gone = record.gone || record.age.unsigned_abs() >= settle;
                let record = EntryRecord {
                    gone,
                    ..record.clone()
                };
                self.facts.push(EntryFact {
                    record,
                    inside: Vec::new(),
                });
                continue;
            };
            let inside = seen.record.artifacts.clone();
            seen.record.begun = record.begun.intersection(&inside).copied().collect();
            seen.record.artifacts.extend(&record.artifacts);
            seen.record
                .artifacts
                .retain(|kind| !record.begun.contains(kind));
        }
        for seen in &mut self.facts {
            let is_open = open
                .iter()
                .any(|it| it.activities.contains(&seen.record.activity));
            let known = records.iter().find(|record| is_same(record, &seen.record));
            if is_open {
                let whole = known
                    .map(|known| known.artifacts.clone())
                    .unwrap_or_default();
                let doubtful = |kind: &&ArtifactKind| !whole.contains(kind);
                let begun: Vec<ArtifactKind> = seen
                    .record
                    .artifacts
                    .iter()
                    .filter(doubtful)
                    .copied()
                    .collect();
                seen.record.artifacts.retain(|kind| whole.contains(kind));
                seen.record.begun.extend(begun);
            }
        }
    }

    /// All that was seen.
    pub fn entries(&self) -> Vec<EntryRecord> {
        self.facts.iter().map(|fact| fact.record.clone()).collect()
    }

    /// What is known now, with what was known before of pages that were not looked at. An entry on
    /// another page, to which it was sent before, counts too.
    pub fn facts(&self, records: &[EntryRecord]) -> BTreeMap<ActivityId, EntryFact> {
        let known = records.iter().map(|record| EntryFact {
            record: record.clone(),
            inside: Vec::new(),
        });
        let all = known.chain(self.facts.iter().cloned());
        all.map(|fact| (fact.record.activity.clone(), fact))
            .collect()
    }

    fn stands(&self, activity: &ActivityId, page: Option<&PageId>) -> bool {
        let mut facts = self.facts.iter().map(|fact| &fact.record);
        facts.any(|it| it.activity == *activity && !it.gone && Some(&it.page) == page)
    }
}

fn is_same(one: &EntryRecord, other: &EntryRecord) -> bool {
    one.activity == other.activity && one.page == other.page
}

/// How much longer nothing can be believed that this look did not find. `passed` is the time since
/// the look began: what counts is what could be seen then. `None`: nothing is in doubt.
pub fn doubt(
    run: &Run,
    look: &PageLook,
    found: Option<&PageId>,
    open: &[OpenWrite],
    passed: Duration,
) -> Option<Duration> {
    let left = |write: &OpenWrite| {
        let page = write.page.as_ref().or(found);
        let mut activities = write.activities.iter();
        // It was one request: with its entries all of it has come.
        let has_come = write.carries == Carries::Entries
            && page.is_some()
            && activities.all(|activity| look.stands(activity, page));
        let can_double = write.carries != Carries::Values;
        let silence = match write.since {
            Since::LastByte | Since::Finding if can_double => run.settings.silence,
            Since::LastByte | Since::Finding | Since::Answer => Duration::ZERO,
        };
        let until = run.settings.settle.saturating_add(silence);
        let left = until.saturating_sub(write.age.saturating_sub(passed));
        if has_come { Duration::ZERO } else { left }
    };
    open.iter().map(left).max().filter(|left| !left.is_zero())
}

/// Waits so long for a write whose outcome is not known, if there is time.
pub fn wait(run: &Run, left: Duration) -> Result<(), Error> {
    log::info!("waiting {left:.1?} for a write whose outcome is not known");
    if time::pause(left, run.deadline) {
        return Ok(());
    }
    Err(Error::Unsettled(
        "the outcome of an earlier write is not known yet".into(),
    ))
}

fn take_entries<'a>(
    found: &mut BTreeMap<&'a ActivityId, ListedBlock>,
    wanted: &'a [ActivityId],
    blocks: &[ListedBlock],
) {
    for activity in wanted {
        if let Some(block) = blocks.iter().rev().find(|block| carries(block, activity)) {
            found.entry(activity).or_insert_with(|| block.clone());
        }
    }
}

/// True if the first line of the block carries the activity's id, as a whole word and set off as in
/// an entry: a person may mention it in a note, or go on writing behind it.
fn carries(block: &ListedBlock, activity: &ActivityId) -> bool {
    let word = |part: &str| {
        part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
            .next()
            == Some(activity.as_str())
    };
    text::first_line(&block.text).split(DOT).skip(1).any(word)
}
