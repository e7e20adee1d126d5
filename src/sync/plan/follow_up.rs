//! What the column `Follow-up` is to show, where there is one. Pure.
//!
//! It rides on the request that moves the dates, also blindly: what a person has changed meanwhile
//! is older than what has just come. What a person changed and is seen to have changed begins a new
//! reckoning, by the dates that stand there.

use jiff::Timestamp;

use crate::domain::reply::{self, Decision, Reply};
use crate::domain::table::{Cell, Column, ColumnKind, Misfit, Row, Written, floor_to_minute};

use super::super::facts::{Draft, Facts, PageFact};
use super::Layout;

/// What is wished for the column.
pub struct Wish<'a> {
    /// The column.
    pub column: &'a Column,
    /// The value, or why it cannot be one.
    pub value: Result<Written, Misfit>,
}

/// What came of all drafts.
#[derive(Default)]
pub struct Asked<'a> {
    /// What is to be written.
    pub wish: Option<Wish<'a>>,
    /// What is to be remembered, if it is new.
    pub decision: Option<Decision>,
}

/// Plans the column for one client.
pub fn plan<'a>(layout: &Layout<'a>, facts: &Facts, drafts: &[Draft]) -> Asked<'a> {
    let Some(column) = layout.columns.find(&layout.names.follow_up) else {
        return Asked::default();
    };
    if drafts.iter().all(|draft| draft.moment.is_none()) {
        return Asked::default();
    }
    let stands = stands(layout, facts, column);
    let mut signs: Vec<_> = drafts.iter().filter_map(Draft::sign).collect();
    signs.sort_by_key(|sign| (sign.at, sign.reply));
    let now = signs
        .iter()
        .fold(stands.clone(), |decision, sign| decision.after(sign));
    if now == stands {
        let is_first = facts.decision.is_none();
        return Asked {
            wish: None,
            decision: Some(now).filter(|_| is_first),
        };
    }
    let wish = is_to_be_written(&facts.page, column, &now).then(|| Wish {
        column,
        value: reply::write(now.reply, now.at, column),
    });
    Asked {
        wish,
        decision: Some(now),
    }
}

/// What was decided before: as it is remembered, unless the page shows that somebody else has
/// decided.
fn stands(layout: &Layout, facts: &Facts, column: &Column) -> Decision {
    let (shown, dated) = match &facts.page {
        PageFact::Absent => (Reply::Given, Timestamp::MIN),
        PageFact::Known { row, .. } => (
            row.cell(column)
                .map_or(Reply::Given, |cell| reply::read(cell, column)),
            latest_date(layout, row),
        ),
    };
    match &facts.decision {
        Some(decision) if decision.reply == shown => decision.clone(),
        known => Decision {
            reply: shown,
            at: known.as_ref().map_or(dated, |known| known.at.max(dated)),
            by: None,
        },
    }
}

/// The later of the two dates that stand on a page.
fn latest_date(layout: &Layout, row: &Row) -> Timestamp {
    let names = [&layout.names.last_call, &layout.names.last_message];
    let columns = names
        .into_iter()
        .filter_map(|name| layout.columns.find(name));
    let dates = columns.filter_map(|column| row.cell(column)?.date);
    dates.max().unwrap_or(Timestamp::MIN)
}

fn is_to_be_written(page: &PageFact, column: &Column, now: &Decision) -> bool {
    let PageFact::Known { row, fresh, .. } = page else {
        return now.reply == Reply::Owed;
    };
    let cell = row.cell(column);
    let is_later = |cell: &Cell| {
        cell.date
            .is_some_and(|date| floor_to_minute(now.at) <= date)
    };
    if now.reply == Reply::Owed && column.kind == ColumnKind::Date && cell.is_some_and(is_later) {
        // A day that a person has set for it, or the same minute.
        return false;
    }
    let shows = |cell: &Cell| reply::read(cell, column) == now.reply;
    let moves = now.reply == Reply::Owed && column.kind == ColumnKind::Date;
    !fresh || moves || !cell.is_some_and(shows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::facts::Moment;
    use super::*;
    use crate::domain::columns::{ColumnNames, Columns, RememberedIds};
    use crate::domain::id::{ActivityId, PageId};
    use crate::domain::phone::Phone;
    use crate::domain::table::Schema;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_040 + 60 * minute).expect("a time")
    }

    fn decided(reply: Reply, minute: i64) -> Decision {
        Decision {
            reply,
            at: at(minute),
            by: ActivityId::parse("AC0").ok(),
        }
    }

    fn draft(id: &str, reply: Option<Reply>, minute: i64) -> Draft {
        Draft {
            activity: ActivityId::parse(id).expect("an id"),
            moment: Some(Moment::Message(at(minute))),
            reply,
            block: None,
            parts: Vec::new(),
            existing: None,
            reword: false,
        }
    }

    /// A page on which the last call was in minute 5.
    fn page(fresh: bool, is_open: bool) -> PageFact {
        let (mut call, mut shown) = (Cell::default(), Cell::default());
        (call.date, shown.checked) = (Some(at(5)), is_open);
        let cells = [("call".to_owned(), call), ("follow".to_owned(), shown)];
        PageFact::Known {
            row: Row {
                id: PageId::parse(&"a".repeat(32)).expect("an id"),
                created_at: None,
                edited_at: None,
                trashed: false,
                archived: false,
                cells: BTreeMap::from(cells),
            },
            fresh,
            complete_since: None,
        }
    }

    /// What is written, and the minute of what is remembered.
    fn planned(
        page: PageFact,
        decision: Option<Decision>,
        drafts: &[Draft],
    ) -> (Option<bool>, Option<Timestamp>) {
        let column = |id: &str, name: &str, kind| Column {
            id: id.into(),
            name: name.into(),
            kind,
            options: vec![],
        };
        let names = ColumnNames::default();
        let schema = Schema {
            columns: vec![
                column("call", "Last Call", ColumnKind::Date),
                column("follow", "Follow-up", ColumnKind::Checkbox),
            ],
        };
        let layout = Layout {
            columns: &Columns::new(schema, &names, RememberedIds::new()),
            names: &names,
        };
        let facts = Facts {
            phone: Phone::parse("+12025550147").expect("a phone"),
            profile: None,
            all_contacts_seen: true,
            page,
            entries: BTreeMap::new(),
            decision,
            warnings: vec![],
        };
        let asked = plan(&layout, &facts, drafts);
        let written = asked.wish.map(|wish| wish.value.expect("it fits"));
        (
            written.map(|written| written == Written::Checkbox(true)),
            asked.decision.map(|decision| decision.at),
        )
    }

    #[test]
    fn the_latest_of_all_decides_and_is_remembered() {
        let owed = |minute| draft("AC1", Some(Reply::Owed), minute);
        let given = |minute| draft("AC2", Some(Reply::Given), minute);
        let before = || Some(decided(Reply::Given, 3));
        for (drafts, wanted) in [
            (vec![owed(4)], (Some(true), Some(at(4)))),
            (vec![owed(2)], (None, None)),
            (vec![given(6), owed(4)], (None, Some(at(6)))),
            (vec![owed(6), given(4)], (Some(true), Some(at(6)))),
            (vec![draft("AC3", None, 9)], (None, None)),
        ] {
            assert_eq!(planned(page(true, false), before(), &drafts), wanted);
        }
    }

    #[test]
    fn copy_of_the_page_that_may_be_old_is_written_over() {
        let owed = [draft("AC1", Some(Reply::Owed), 6)];
        let before = Some(decided(Reply::Owed, 3));
        let copy = planned(page(false, true), before.clone(), &owed);
        assert_eq!(copy, (Some(true), Some(at(6))));
        let read = planned(page(true, true), before, &owed);
        assert_eq!(read, (None, Some(at(6))), "it shows it already");
    }

    #[test]
    fn where_a_person_has_decided_or_nothing_is_remembered_the_dates_count() {
        let owed = |minute| [draft("AC1", Some(Reply::Owed), minute)];
        for before in [None, Some(decided(Reply::Owed, 3))] {
            let old = planned(page(true, false), before.clone(), &owed(4)).0;
            let new = planned(page(true, false), before, &owed(5)).0;
            assert_eq!((old, new), (None, Some(true)));
        }
        let neither = [draft("AC1", None, 9)];
        let first = planned(page(true, false), None, &neither);
        assert_eq!(first, (None, Some(at(5))), "what stands is remembered");
    }

    #[test]
    fn new_page_shows_only_what_is_owed() {
        let given = [draft("AC1", Some(Reply::Given), 1)];
        let wanted = (None, Some(at(1)));
        assert_eq!(planned(PageFact::Absent, None, &given), wanted);
        let neither = [draft("AC1", None, 1)];
        let wanted = (None, Some(Timestamp::MIN));
        assert_eq!(planned(PageFact::Absent, None, &neither), wanted);
    }
}
