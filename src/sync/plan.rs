//! From facts to a plan: what is to be written for one client. Pure: no I/O, no clock.
//!
//! Notion is the source of truth. What has a value stays; what is empty is filled; tags are merged;
//! dates only move forward.

mod follow_up;

use jiff::Timestamp;

use crate::domain::id::ActivityId;
use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::profile::Profile;
use crate::domain::reply::Decision;
use crate::domain::step::Step;
use crate::domain::table::{
    self, Column, ColumnKind, MANY_LIMIT, Misfit, Property, Row, Value, Written,
};

use super::facts::{Draft, Facts, Moment, PageFact};
use crate::domain::columns::{ColumnNames, Columns};

/// The plan for one client.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPlan {
    /// Writes, in order.
    pub steps: Vec<Step>,
    /// What could not be planned as wished.
    pub warnings: Vec<Warning>,
    /// Title of the page when all is done.
    pub title: String,
    /// True when properties are filled from values that may be out of date, or something would be
    /// appended to a page that is perhaps no longer the client's: read the page and plan again.
    pub needs_fresh_page: bool,
    /// True when the page was read for this plan.
    pub is_fresh: bool,
    /// Activities whose time may move a date.
    pub moves: Vec<ActivityId>,
    /// What is to be remembered of who waits for an answer, when all is done; `None` if nothing
    /// new is.
    pub decision: Option<Decision>,
}

/// What the plan needs to know of the user's table.
pub struct Layout<'a> {
    /// The columns.
    pub columns: &'a Columns,
    /// What they are called.
    pub names: &'a ColumnNames,
}

/// Plans one client.
pub fn client(facts: &Facts, drafts: &[Draft], layout: &Layout) -> ClientPlan {
    let mut planner = Planner {
        layout,
        warnings: Vec::new(),
    };
    match &facts.page {
        PageFact::Absent => planner.new_page(facts, drafts),
        PageFact::Known { row, fresh, .. } => planner.known_page(row, *fresh, facts, drafts),
    }
}

impl Layout<'_> {
    /// The column that a moment belongs to.
    fn dated(&self, moment: Moment) -> (&str, Timestamp) {
        let names = self.names;
        match moment {
            Moment::Call(time) => (&names.last_call, time),
            Moment::Message(time) => (
                self.columns
                    .find(&names.last_message)
                    .map_or(&names.last_call, |_| &names.last_message),
                time,
            ),
        }
    }
}

struct Planner<'a> {
    layout: &'a Layout<'a>,
    warnings: Vec<Warning>,
}

impl<'a> Planner<'a> {
    fn new_page(&mut self, facts: &Facts, drafts: &[Draft]) -> ClientPlan {
        let profile = facts.profile.clone().unwrap_or_default();
        let title = profile
            .name
            .clone()
            .unwrap_or_else(|| facts.phone.written());
        let names = self.layout.names;
        let mut properties = Vec::new();
        if let Some(column) = self.name_column() {
            properties.extend(self.fit(column, &Value::Text(title.clone())));
        }
        if let Some(column) = self.layout.columns.phone(names) {
            properties.extend(self.fit(column, &Value::Text(facts.phone.to_string())));
        }
        properties.extend(self.put(&names.status, &Value::Text(names.new_status.clone())));
        for (name, value) in profile_values(&profile, names) {
            properties.extend(self.put(name, &value));
        }
        if !profile.tags.is_empty() {
            properties.extend(self.put(&names.tags, &Value::Words(profile.tags.clone())));
        }
        for (name, time) in self.latest(drafts) {
            properties.extend(self.put(&name, &Value::Time(time)));
        }
        let asked = follow_up::plan(self.layout, facts, drafts);
        properties.extend(
            asked
                .wish
                .and_then(|wish| self.written(wish.column, wish.value)),
        );
        let entries = drafts.iter().filter_map(Draft::new_entry).collect();
        let steps = vec![Step::CreatePage {
            properties,
            entries,
        }];
        ClientPlan {
            steps,
            warnings: std::mem::take(&mut self.warnings),
            title,
            needs_fresh_page: false,
            is_fresh: true,
            moves: moves(drafts),
            decision: asked.decision,
        }
    }

    fn known_page(
        &mut self,
        row: &Row,
        fresh: bool,
        facts: &Facts,
        drafts: &[Draft],
    ) -> ClientPlan {
        let mut fills = self.fills(row, facts);
        let filled = !fills.is_empty();
        let named = filled
            .then(|| facts.profile.as_ref()?.name.clone())
            .flatten();
        let title = named
            .filter(|_| title_is_empty(row, facts))
            .unwrap_or_else(|| row.title().to_owned());
        for (name, time) in self.latest(drafts) {
            fills.extend(self.forward(row, &name, time));
        }
        let asked = follow_up::plan(self.layout, facts, drafts);
        fills.extend(
            asked
                .wish
                .and_then(|wish| self.written(wish.column, wish.value)),
        );
        let page = row.id.clone();
        let mut steps = Vec::new();
        let updates = !fills.is_empty();
        if updates {
            steps.push(Step::UpdatePage {
                page: page.clone(),
                properties: fills,
            });
        }
        let entries: Vec<_> = drafts.iter().filter_map(Draft::new_entry).collect();
        let is_blind = !entries.is_empty() && !updates;
        if !entries.is_empty() {
            steps.push(Step::AppendEntries { page, entries });
        }
        steps.extend(drafts.iter().flat_map(late));
        let warnings = std::mem::take(&mut self.warnings);
        ClientPlan {
            steps,
            warnings,
            title,
            needs_fresh_page: (filled || is_blind) && !fresh,
            is_fresh: fresh,
            moves: moves(drafts),
            decision: asked.decision,
        }
    }

    /// Empty properties that Quo can fill, and tags that are missing.
    fn fills(&mut self, row: &Row, facts: &Facts) -> Vec<Property> {
        let Some(profile) = &facts.profile else {
            return Vec::new();
        };
        let names = self.layout.names;
        let mut fills = Vec::new();
        if let (Some(name), true) = (&profile.name, title_is_empty(row, facts)) {
            fills.extend(
                self.name_column()
                    .and_then(|column| self.fit(column, &Value::Text(name.clone()))),
            );
        }
        for (name, value) in profile_values(profile, names) {
            if self.is_empty(row, name) {
                fills.extend(self.put(name, &value));
            }
        }
        fills.extend(self.tags(row, &profile.tags));
        fills
    }

    /// The title, unless the phone number stands there: a name in its place would hide the page.
    fn name_column(&self) -> Option<&'a Column> {
        let key = self.layout.columns.phone(self.layout.names);
        self.layout
            .columns
            .title()
            .filter(|title| key.is_none_or(|key| key.id != title.id))
    }

    /// A column that does not exist counts as empty, so that it is warned about.
    fn is_empty(&self, row: &Row, name: &str) -> bool {
        let column = self.layout.columns.find(name);
        column.is_none_or(|column| row.cell(column).is_none_or(|cell| cell.empty))
    }

    fn tags(&mut self, row: &Row, tags: &[String]) -> Option<Property> {
        if tags.is_empty() {
            return None;
        }
        let names = self.layout.names;
        let Some(column) = self.layout.columns.find(&names.tags) else {
            return self.put(&names.tags, &Value::Words(tags.to_vec()));
        };
        if column.kind != ColumnKind::MultiSelect {
            return if self.is_empty(row, &names.tags) {
                self.fit(column, &Value::Words(tags.to_vec()))
            } else {
                None
            };
        }
        let existing = row.cell(column).map_or(&[][..], |cell| &cell.names);
        let merged = table::merge_names(existing, tags, column);
        if merged.len() > MANY_LIMIT {
            let message = format!(
                "a request takes {MANY_LIMIT} tags; {} would be needed",
                merged.len()
            );
            self.warnings.push(Warning::property(
                WarningCode::PropertyTooLong,
                &column.name,
                message,
            ));
            return None;
        }
        let changed = merged.len() > existing.len();
        changed.then(|| Property {
            column: column.clone(),
            value: Written::Choices(merged),
        })
    }

    /// A date, if it lies after the one that stands there (to the minute).
    fn forward(&mut self, row: &Row, name: &str, time: Timestamp) -> Option<Property> {
        let column = self.layout.columns.find(name);
        let cell = column
            .and_then(|column| row.cell(column))
            .filter(|cell| !cell.empty);
        let stands = cell.map(|cell| cell.date);
        match stands {
            Some(Some(date)) if table::floor_to_minute(time) <= date => None,
            // Filled with something that is no moment: a person's own; leave it.
            Some(None) => None,
            Some(Some(_)) | None => self.put(name, &Value::Time(time)),
        }
    }

    /// The latest time for each date column that the drafts move.
    fn latest(&self, drafts: &[Draft]) -> Vec<(String, Timestamp)> {
        let mut latest: Vec<(String, Timestamp)> = Vec::new();
        for moment in drafts.iter().filter_map(|draft| draft.moment) {
            let (name, time) = self.layout.dated(moment);
            match latest.iter_mut().find(|(have, _)| have == name) {
                Some((_, have)) => *have = time.max(*have),
                None => latest.push((name.to_owned(), time)),
            }
        }
        latest
    }

    fn put(&mut self, name: &str, value: &Value) -> Option<Property> {
        if let Some(column) = self.layout.columns.find(name) {
            self.fit(column, value)
        } else {
            let message = format!("the database has no column {name:?}; its value was left out");
            self.warnings.push(Warning::property(
                WarningCode::PropertyMissing,
                name,
                message,
            ));
            None
        }
    }

    fn fit(&mut self, column: &Column, value: &Value) -> Option<Property> {
        self.written(column, table::fit(value, column))
    }

    fn written(&mut self, column: &Column, value: Result<Written, Misfit>) -> Option<Property> {
        let (code, why) = match value {
            Ok(value) => {
                return Some(Property {
                    column: column.clone(),
                    value,
                });
            }
            Err(Misfit::Nothing) => return None,
            Err(Misfit::ReadOnly) => (
                WarningCode::PropertyUnwritable,
                "the column's type cannot be written".to_owned(),
            ),
            Err(Misfit::WrongType) => (
                WarningCode::PropertyUnwritable,
                "the column's type cannot hold it".to_owned(),
            ),
            Err(Misfit::NoSuchOption(option)) => (
                WarningCode::PropertyUnwritable,
                format!(
                    "the status column has no option {option:?}, and Notion lets nobody add one"
                ),
            ),
            Err(Misfit::TooLong) => (
                WarningCode::PropertyTooLong,
                "longer than the column's type allows".to_owned(),
            ),
        };
        self.warnings.push(Warning::property(
            code,
            &column.name,
            format!("left out: {why}"),
        ));
        None
    }
}

fn moves(drafts: &[Draft]) -> Vec<ActivityId> {
    let dated = drafts.iter().filter(|draft| draft.moment.is_some());
    dated.map(|draft| draft.activity.clone()).collect()
}

fn profile_values<'a>(profile: &Profile, names: &'a ColumnNames) -> Vec<(&'a str, Value)> {
    let values = [
        (&names.company, &profile.company),
        (&names.email, &profile.email),
        (&names.role, &profile.role),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name.as_str(), Value::Text(value.clone()?))))
        .collect()
}

/// A title that is only the number we put there ourselves counts as empty.
fn title_is_empty(row: &Row, facts: &Facts) -> bool {
    row.title().is_empty() || facts.phone.matches(row.title())
}

/// Steps for an entry that is there already.
fn late(draft: &Draft) -> Vec<Step> {
    let Some(existing) = &draft.existing else {
        return Vec::new();
    };
    let Some(block) = existing.record.block.clone() else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    let parts = draft.missing_parts();
    if !parts.is_empty() {
        let (entry, activity, present) = (
            block.clone(),
            draft.activity.clone(),
            existing.inside.clone(),
        );
        steps.push(Step::Enrich {
            entry,
            activity,
            parts,
            present,
        });
    }
    if let (true, Some(text)) = (draft.reword, &draft.block) {
        steps.push(Step::Reword {
            entry: block,
            activity: draft.activity.clone(),
            block: text.clone(),
        });
    }
    steps
}
