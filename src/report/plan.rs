//! A plan as text for a person: which page, which columns by name, which words.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::domain::id::PageId;
use crate::domain::outcome::{Outcome, PlannedStep, Verdict};
use crate::domain::phone::Phone;
use crate::domain::step::{NewEntry, Part, Step};
use crate::domain::table::{Property, Written};
use crate::text;

/// Most characters that are shown of one value or block.
const SHOWN: usize = 200;

/// The plan of an outcome, line by line; `None` if it has none.
pub fn text(outcome: &Outcome, zone: &TimeZone) -> Option<String> {
    let Verdict::Planned(steps) = &outcome.verdict else {
        return None;
    };
    let mut text = String::new();
    for planned in steps {
        let named = outcome
            .pages
            .iter()
            .find(|page| page.phone == planned.phone);
        let name = named.map(|page| page.client_name.as_str());
        let lines = Lines { zone, planned };
        lines.write(&mut text, name);
    }
    Some(text)
}

struct Lines<'a> {
    zone: &'a TimeZone,
    planned: &'a PlannedStep,
}

impl Lines<'_> {
    fn write(&self, text: &mut String, name: Option<&str>) {
        let who = who(&self.planned.phone, name);
        let what = match &self.planned.step {
            Step::CreatePage { .. } => "would make the page",
            Step::UpdatePage { .. } => "would fill columns",
            Step::AppendEntries { .. } => "would write at the end of the page",
            Step::Enrich { .. } => "would write into the entry",
            Step::Reword { .. } => "would write the line of the entry anew",
        };
        line(text, 0, &format!("{who}: {what}"));
        match &self.planned.step {
            Step::CreatePage {
                properties,
                entries,
            } => {
                self.properties(text, properties);
                write_entries(text, entries);
            }
            Step::UpdatePage { properties, .. } => self.properties(text, properties),
            Step::AppendEntries { entries, .. } => write_entries(text, entries),
            Step::Enrich { parts, .. } => write_parts(text, 1, parts),
            Step::Reword { block, .. } => line(text, 1, &block.plain()),
        }
    }

    fn properties(&self, text: &mut String, properties: &[Property]) {
        for Property { column, value } in properties {
            line(text, 1, &format!("{}: {}", column.name, self.value(value)));
        }
    }

    fn value(&self, value: &Written) -> String {
        match value {
            Written::Text(text) | Written::Choice(text) | Written::Line(text) => text.clone(),
            Written::Number(number) => number.to_string(),
            Written::Choices(choices) => choices.join(", "),
            Written::Date(at) => at
                .to_zoned_datetime(self.zone.clone())
                .strftime("%Y-%m-%d %H:%M %Z")
                .to_string(),
            Written::Cleared => "nothing".to_owned(),
            Written::Checkbox(is_set) => if *is_set { "yes" } else { "no" }.to_owned(),
            Written::Files(files) => {
                let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
                names.join(", ")
            }
            Written::Relation(pages) => {
                let ids: Vec<&str> = pages.iter().map(PageId::as_str).collect();
                ids.join(", ")
            }
        }
    }
}

fn who(phone: &Phone, name: Option<&str>) -> String {
    let number = phone.written();
    match name.filter(|name| *name != number) {
        Some(name) => format!("{name} ({number})"),
        None => number,
    }
}

fn write_entries(text: &mut String, entries: &[NewEntry]) {
    for entry in entries {
        line(text, 1, &entry.block.plain());
        write_parts(text, 2, &entry.parts);
    }
}

fn write_parts(text: &mut String, depth: usize, parts: &[Part]) {
    for block in parts.iter().flat_map(|part| &part.blocks) {
        line(text, depth, &block.plain());
    }
}

/// What others wrote may hold what a terminal obeys.
fn line(text: &mut String, depth: usize, words: &str) {
    for words in words.lines() {
        let words = text::one_line(words, SHOWN);
        let _ = writeln!(text, "{}{words}", "  ".repeat(depth));
    }
}
