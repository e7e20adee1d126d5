//! A look at what stands on pages: entries are found by the activity id that their line carries.
//!
//! This is how all doubt is settled: what may have been written is looked for before anything is
//! written again, and a look that finds nothing is believed once nothing can come any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::call::ArtifactKind;
use crate::domain::entry;
use crate::domain::id::{ActivityId, BlockId, PageId};
use crate::notion;
use crate::notion::blocks::ListedBlock;
use crate::store::{Carries, EntryRecord, OpenWrite, Since};
use crate::text;
use crate::time;

use super::super::error::Unlistable;
use super::super::facts::EntryFact;
use super::super::{Error, Run};
use super::mark::LookMark;

/// Most blocks of others that are opened to find an entry that was dragged into one.
const MOST_OPENED: usize = 100;

/// A page that is looked at.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Which one.
    pub page: &'a PageId,
    /// When it was edited last, if it was read just now.
    pub edited_at: Option<Timestamp>,
    /// Activities whose entries are looked for.
    pub wanted: &'a [ActivityId],
}

/// What stands on the pages that were looked at.
#[derive(Default)]
pub struct PageLook {
    pages: BTreeSet<PageId>,
    /// Of which no entry can have escaped.
    whole: BTreeSet<PageId>,
    /// Those of them on which blocks lie deeper than was looked.
    deep: BTreeSet<PageId>,
    facts: Vec<EntryFact>,
    /// Of which the inside was not looked at.
    unopened: BTreeSet<ActivityId>,
    passed: Vec<EntryRecord>,
}

impl PageLook {
    /// True if that page was looked at.
    pub fn has_seen(&self, page: &PageId) -> bool {
        self.pages.contains(page)
    }

    /// True if all entries on that page are known now.
    pub fn is_whole(&self, page: &PageId) -> bool {
        self.whole.contains(page)
    }

    /// True if something lies deeper on that page than was looked.
    pub fn is_deep(&self, page: &PageId) -> bool {
        self.deep.contains(page)
    }

    /// True if the activity's entry was seen.
    pub fn has_found(&self, activity: &ActivityId) -> bool {
        self.facts
            .iter()
            .any(|fact| fact.record.activity == *activity)
    }

    /// Looks at a page for the entries that are wanted, and into those that `opens` says; what else
    /// stands there is seen in passing. A page that is gone is not seen. What was read before an
    /// error is kept for the next look.
    pub fn at(
        &mut self,
        run: &Run,
        target: &Target,
        opens: impl Fn(&ActivityId) -> bool,
    ) -> Result<(), Error> {
        let mut mark = LookMark::recall(run, target.page, target.edited_at)?;
        let seen = self.read(run, target, &mut mark, opens);
        match &seen {
            Ok(()) | Err(Error::Unlistable(_)) => mark.forget(run)?,
            Err(_) => mark.keep(run, |block| is_foreign_parent(block) || is_entry(block))?,
        }
        seen
    }

    fn read(
        &mut self,
        run: &Run,
        target: &Target,
        mark: &mut LookMark,
        opens: impl Fn(&ActivityId) -> bool,
    ) -> Result<(), Error> {
        let Target { page, wanted, .. } = *target;
        if listed(page, &page.as_block(), mark.go_on(run, page))?.is_none() {
            return Ok(());
        }
        self.pages.insert(page.clone());
        let mut found: BTreeMap<ActivityId, ListedBlock> = BTreeMap::new();
        take_entries(&mut found, mark.blocks());
        let foreign = mark.blocks().filter(|block| is_foreign_parent(block));
        let foreign: Vec<BlockId> = foreign.map(|block| block.id.clone()).collect();
        let is_whole = foreign.len() <= MOST_OPENED;
        let mut is_deep = !is_whole;
        for block in foreign.iter().take(MOST_OPENED) {
            if mark.inside(block).is_none() {
                let lines = run.notion.list_lines(block, run.deadline);
                mark.note(block, listed(page, block, lines)?.unwrap_or_default());
            }
            let inside = mark.inside(block).map(Vec::as_slice).unwrap_or_default();
            is_deep |= inside.iter().any(is_foreign_parent);
            take_entries(&mut found, inside.iter());
        }
        if is_whole {
            self.whole.insert(page.clone());
        }
        if is_deep {
            self.deep.insert(page.clone());
        }
        for (activity, block) in found {
            if !wanted.contains(&activity) {
                self.passed.push(seen_in_passing(activity, page, &block));
                continue;
            }
            let activity = &activity;
            let inside = match (block.has_children, opens(activity)) {
                (false, _) => Vec::new(),
                (true, true) => texts_inside(run, page, &block.id)?,
                (true, false) => {
                    self.unopened.insert(activity.clone());
                    Vec::new()
                }
            };
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

    /// Finds a known entry deeper than was looked, by its block.
    pub fn find_deeper(&mut self, run: &Run, known: &EntryRecord) -> Result<(), Error> {
        let Some(block) = known.block.as_ref().filter(|_| !known.gone) else {
            return Ok(());
        };
        let is_missing = self.is_deep(&known.page) && !self.has_found(&known.activity);
        if is_missing && run.notion.has_block(block, run.deadline)? {
            self.facts.push(EntryFact {
                record: known.clone(),
                inside: texts_inside(run, &known.page, block)?,
            });
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
            if record.block.is_some() {
                self.unopened.remove(&record.activity);
            }
            let inside = seen.record.artifacts.clone();
            seen.record.begun = record.begun.intersection(&inside).copied().collect();
            seen.record.artifacts.extend(&record.artifacts);
            seen.record
                .artifacts
                .retain(|kind| !record.begun.contains(kind));
        }
        for seen in &mut self.facts {
            let mut writing = open.iter().filter(|it| it.carries != Carries::Values);
            let is_open = writing.any(|it| it.activities.contains(&seen.record.activity));
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

    /// Entries of other activities that were seen in passing. What is inside is not known.
    pub fn passed(&self) -> &[EntryRecord] {
        &self.passed
    }

    /// All that was seen of the activities that were looked for. What is inside may not be known:
    /// such an entry is kept without its block, and looked into before anything is added to it.
    pub fn entries(&self) -> Vec<EntryRecord> {
        let entry = |fact: &EntryFact| {
            let is_unopened = self.unopened.contains(&fact.record.activity);
            let block = fact.record.block.clone().filter(|_| !is_unopened);
            EntryRecord {
                block,
                ..fact.record.clone()
            }
        };
        self.facts.iter().map(entry).collect()
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

/// How long a write may take to come, and to be seen.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until what has come is seen.
    pub settle: Duration,
    /// Until what was not answered has come.
    pub silence: Duration,
}

/// How much longer nothing can be believed that this look did not find. `passed` is the time since
/// the look began: what counts is what could be seen then. `None`: nothing is in doubt.
pub fn doubt(
    patience: Patience,
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
        // A date or a line that comes late would take back a newer one.
        let can_harm = write.carries != Carries::Values || !write.activities.is_empty();
        let silence = match write.since {
            Since::LastByte | Since::Finding if can_harm => patience.silence,
            Since::LastByte | Since::Finding | Since::Answer => Duration::ZERO,
        };
        let until = patience.settle.saturating_add(silence);
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
    Err(Error::Pending(left))
}

/// What was listed; `None` of what is gone. What Notion refuses to list is for a person to mend.
fn listed<T>(
    page: &PageId,
    block: &BlockId,
    answer: notion::Result<T>,
) -> Result<Option<T>, Error> {
    match answer {
        Ok(blocks) => Ok(Some(blocks)),
        Err(err) if err.refusal(404).is_some() => Ok(None),
        Err(err) if err.refusal(400).is_some() => Err(Error::Unlistable(Unlistable {
            page: page.clone(),
            block: block.clone(),
            why: err.to_string(),
        })),
        Err(err) => Err(err.into()),
    }
}

fn texts_inside(run: &Run, page: &PageId, block: &BlockId) -> Result<Vec<String>, Error> {
    let inside = run.notion.list(block, run.deadline);
    let inside = listed(page, block, inside)?.unwrap_or_default();
    Ok(inside.into_iter().map(|child| child.text).collect())
}

/// True for a block of a person's with something inside: an entry may have been dragged there.
fn is_foreign_parent(block: &ListedBlock) -> bool {
    block.has_children && !is_entry(block)
}

/// True for what may be an entry.
fn is_entry(block: &ListedBlock) -> bool {
    entry::activities_of(&block.text).next().is_some()
}

/// Of several entries of an activity the last one counts, and one at the top before one inside.
fn take_entries<'a>(
    found: &mut BTreeMap<ActivityId, ListedBlock>,
    blocks: impl DoubleEndedIterator<Item = &'a ListedBlock>,
) {
    for block in blocks.rev() {
        for activity in entry::activities_of(&block.text) {
            found.entry(activity).or_insert_with(|| block.clone());
        }
    }
}

/// Without its block, so that it is looked into before anything is added to it.
fn seen_in_passing(activity: ActivityId, page: &PageId, block: &ListedBlock) -> EntryRecord {
    EntryRecord {
        activity,
        page: page.clone(),
        block: None,
        line: text::first_line(&block.text).to_owned(),
        artifacts: BTreeSet::new(),
        begun: BTreeSet::new(),
        gone: false,
        age: SignedDuration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        settle: Duration::from_secs(10),
        silence: Duration::from_mins(1),
    };

    fn page(digit: char) -> PageId {
        PageId::parse(&digit.to_string().repeat(32)).expect("a page id")
    }

    fn activity() -> ActivityId {
        ActivityId::parse("AC1").expect("an id")
    }

    fn record(kinds: &[ArtifactKind]) -> EntryRecord {
        EntryRecord {
            activity: activity(),
            page: page('a'),
            block: None,
            line: "Call · AC1".into(),
            artifacts: kinds.iter().copied().collect(),
            begun: BTreeSet::new(),
            gone: false,
            age: SignedDuration::from_secs(3600),
        }
    }

    fn seen(kinds: &[ArtifactKind]) -> PageLook {
        let fact = EntryFact {
            record: record(kinds),
            inside: Vec::new(),
        };
        PageLook {
            pages: BTreeSet::from([page('a')]),
            facts: vec![fact],
            ..PageLook::default()
        }
    }

    fn nothing_seen() -> PageLook {
        PageLook {
            pages: BTreeSet::from([page('a')]),
            ..PageLook::default()
        }
    }

    fn write(carries: Carries, since: Since, age: u64) -> OpenWrite {
        OpenWrite {
            id: 1,
            page: Some(page('a')),
            carries,
            activities: vec![activity()],
            since,
            age: Duration::from_secs(age),
        }
    }

    #[test]
    fn nothing_is_believed_before_nothing_can_come() {
        use Carries::{Entries, Parts, Values};
        use Since::{Answer, Finding, LastByte};
        let left = |look: &PageLook, open: &[OpenWrite], passed| {
            let passed = Duration::from_secs(passed);
            let left = doubt(PATIENCE, look, Some(&page('a')), open, passed);
            left.map(|left| left.as_secs())
        };
        for (carries, since, age, passed, wanted) in [
            (Entries, Answer, 4, 0, Some(6)),
            (Entries, Answer, 10, 0, None),
            (Entries, Answer, 10, 3, Some(3)),
            (Entries, LastByte, 10, 0, Some(60)),
            (Entries, Finding, 0, 0, Some(70)),
            (Entries, Finding, 70, 0, None),
            (Parts, Finding, 69, 0, Some(1)),
            (Values, Finding, 4, 0, Some(66)),
            (Values, LastByte, 70, 0, None),
        ] {
            let open = write(carries, since, age);
            let told = left(&nothing_seen(), &[open], passed);
            assert_eq!(told, wanted, "{carries:?} {since:?} {age} {passed}");
        }
        let (fresh, old) = (write(Entries, Answer, 1), write(Parts, Finding, 70));
        assert_eq!(
            left(&nothing_seen(), &[old, fresh], 0),
            Some(9),
            "all of them"
        );
        let filled = OpenWrite {
            activities: Vec::new(),
            ..write(Values, LastByte, 4)
        };
        let told = left(&nothing_seen(), &[filled], 0);
        assert_eq!(told, Some(6), "the same however often it is written");
        assert_eq!(left(&nothing_seen(), &[], 0), None);
    }

    #[test]
    fn what_was_found_has_come_whatever_its_age() {
        let entries = write(Carries::Entries, Since::Finding, 0);
        let made = OpenWrite {
            page: None,
            ..entries.clone()
        };
        let elsewhere = OpenWrite {
            page: Some(page('b')),
            ..entries.clone()
        };
        let parts = write(Carries::Parts, Since::Finding, 0);
        let told = |open: &OpenWrite, found| {
            let open = std::slice::from_ref(open);
            doubt(PATIENCE, &seen(&[]), found, open, Duration::ZERO).is_some()
        };
        let here = page('a');
        assert!(!told(&entries, Some(&here)) && !told(&made, Some(&here)));
        assert!(told(&made, None), "no page was found");
        assert!(
            told(&elsewhere, Some(&here)),
            "it may stand on the other page"
        );
        assert!(
            told(&parts, Some(&here)),
            "the entry does not tell of its inside"
        );
    }

    #[test]
    fn what_was_known_and_is_not_seen_is_gone_unless_it_is_new() {
        let settle = PATIENCE.settle;
        let judged = |record: EntryRecord| {
            let mut look = nothing_seen();
            look.judge(settle, &[record], &[]);
            look.entries().remove(0).gone
        };
        assert!(judged(record(&[])));
        let new = EntryRecord {
            age: SignedDuration::from_secs(9),
            ..record(&[])
        };
        assert!(!judged(new), "no list need show it yet");
        let mut look = seen(&[]);
        let gone = EntryRecord {
            gone: true,
            ..record(&[])
        };
        look.judge(settle, &[gone], &[]);
        assert!(!look.entries()[0].gone, "a person has put it back");
    }

    #[test]
    fn what_is_being_written_into_an_entry_may_be_there_in_part() {
        use ArtifactKind::{Recording, Summary, Transcript};
        let open = write(Carries::Parts, Since::Finding, 0);
        let judged = |known: &[ArtifactKind], begun: &[ArtifactKind], open: &[OpenWrite]| {
            let mut look = seen(&[Summary, Transcript]);
            let known = EntryRecord {
                begun: begun.iter().copied().collect(),
                ..record(known)
            };
            look.judge(PATIENCE.settle, &[known], open);
            let entry = look.entries().remove(0);
            let list = |kinds: BTreeSet<ArtifactKind>| kinds.into_iter().collect::<Vec<_>>();
            (list(entry.artifacts), list(entry.begun))
        };
        let both = vec![Summary, Transcript];
        assert_eq!(judged(&[], &[], &[]), (both.clone(), vec![]));
        let known = judged(&[Summary], &[], std::slice::from_ref(&open));
        assert_eq!(known, (vec![Summary], vec![Transcript]));
        assert_eq!(judged(&[], &[], &[open]), (vec![], both));
        let begun = judged(&[Summary], &[Transcript], &[]);
        assert_eq!(begun, (vec![Summary], vec![Transcript]));
        let deleted = judged(&[Recording], &[], &[]);
        assert_eq!(
            deleted,
            (vec![Summary, Transcript, Recording], vec![]),
            "it stays known"
        );
    }
}
