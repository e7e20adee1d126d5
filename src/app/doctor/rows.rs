//! Rows of the Clients database: several with one number, and samples.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, json};

use crate::domain::failure::Failure;
use crate::domain::id::PageId;
use crate::domain::phone::{self, Phone};
use crate::domain::table::{Column, Row, Schema};
use crate::notion::database::Table;
use crate::notion::{Bound, Notion, query};
use crate::time::Deadline;

use super::check::{Check, Report};

/// Several pages with one number.
pub const TWINS: &str = "clients_twins";
/// Longest time to look for them.
const TIME: Duration = Duration::from_secs(12);
/// How many requests that may take; 100 rows each.
const REQUESTS: usize = 30;
/// Most numbers with several pages that are listed.
const LISTED: usize = 50;

/// A number as it stands on a page.
struct NumberOnPage {
    made: Option<Timestamp>,
    page: PageId,
    text: String,
}

/// Looks for numbers that stand on several pages; names pages only.
pub fn check(notion: &Notion, table: &Table, phones: &[Column], report: &mut Report) {
    if phones.is_empty() {
        return report.add(Check::unknown(
            TWINS,
            "not seen: there is no phone column",
            "",
        ));
    }
    let (mut rows, mut by_tail) = (0, BTreeMap::<String, Vec<NumberOnPage>>::new());
    let bound = Bound {
        rows: query::MOST_ROWS,
        requests: REQUESTS,
    };
    let walked = notion.walk_rows(table, bound, Deadline::within(TIME), |row| {
        rows += 1;
        for (tail, written) in numbers(&row, phones) {
            by_tail.entry(tail).or_default().push(written);
        }
    });
    let twins: Vec<Vec<PageId>> = by_tail.into_values().flat_map(|all| groups(&all)).collect();
    report.add(match walked {
        Err(err) => {
            let failure = Failure::from(err);
            Check::unknown(
                TWINS,
                format!("not seen: {}", failure.message),
                failure.hint,
            )
        }
        Ok(_) if !twins.is_empty() => told(&twins),
        Ok(true) => Check::good(TWINS, format!("none among {rows} pages")),
        Ok(false) => Check::unknown(
            TWINS,
            format!("none among the oldest {rows} pages; the others were not looked at"),
            "",
        ),
    });
}

fn told(twins: &[Vec<PageId>]) -> Check {
    let one = |pages: &Vec<PageId>| {
        let pages: Vec<&str> = pages.iter().map(PageId::as_str).collect();
        pages.join(" ")
    };
    let listed: Vec<String> = twins.iter().take(LISTED).map(one).collect();
    let more = match twins.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    Check::flawed(
        TWINS,
        format!(
            "numbers with several pages: {}; pages by id, the oldest first:\n{}{more}",
            twins.len(),
            listed.join("\n")
        ),
        "the oldest gets the entries: take the number off the others, or put them into the trash",
    )
}

fn numbers(row: &Row, phones: &[Column]) -> Vec<(String, NumberOnPage)> {
    if row.trashed {
        return Vec::new();
    }
    let cells = phones.iter().filter_map(|column| row.cell(column));
    let read = |text: &str| {
        let written = NumberOnPage {
            made: row.created_at,
            page: row.id.clone(),
            text: text.to_owned(),
        };
        Some((phone::tail_of(text)?, written))
    };
    cells.filter_map(|cell| read(&cell.text)).collect()
}

/// Pages that hold one number, of those on which numbers end alike; the oldest first.
fn groups(alike: &[NumberOnPage]) -> Vec<Vec<PageId>> {
    let near = alike.iter().find_map(|it| Phone::parse(&it.text));
    let mut numbers: Vec<Phone> = Vec::new();
    for phone in alike
        .iter()
        .filter_map(|it| Phone::read(&it.text, near.as_ref()))
    {
        if !numbers.contains(&phone) {
            numbers.push(phone);
        }
    }
    let pages = |phone: &Phone| {
        let holding = alike.iter().filter(|it| phone.is_in(&it.text));
        let mut pages: Vec<_> = holding.map(|it| (it.made, it.page.clone())).collect();
        pages.sort();
        pages.dedup();
        pages.into_iter().map(|(_, page)| page).collect::<Vec<_>>()
    };
    let groups = numbers.iter().map(pages);
    groups.filter(|pages| pages.len() > 1).collect()
}

/// Said before anything else where samples are shown.
pub fn warning() -> Check {
    Check::good(
        "samples",
        "the checks called sample hold names and numbers of clients: do not pass them on",
    )
}

/// Rows as they are read.
pub fn samples(
    notion: &Notion,
    table: &Table,
    (schema, count): (&Schema, usize),
    report: &mut Report,
) {
    let bound = Bound {
        rows: count.min(query::MOST_ROWS),
        requests: 1,
    };
    let mut shown = Vec::new();
    let walked = notion.walk_rows(table, bound, Deadline::within(TIME), |row| {
        let value = |column: &Column| {
            let cell = row.cell(column).filter(|cell| !cell.empty)?;
            Some((column.name.clone(), json!(cell.text)))
        };
        let values: Map<_, _> = schema.columns.iter().filter_map(value).collect();
        shown.push(format!("{}: {}", row.id, json!(values)));
    });
    if let Err(err) = walked {
        report.add(Check::unknown(
            "sample clients",
            format!("not seen: {err}"),
            "",
        ));
    }
    for text in shown {
        report.add(Check::good("sample clients", text));
    }
}
