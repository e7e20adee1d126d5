//! A Notion database as the plan sees it: its columns, what stands in a row, and what may be
//! written where.

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::id::PageId;
use super::link;
use super::phone::Phone;
use super::profile::same;

/// Columns of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// In the order in which Notion lists them.
    pub columns: Vec<Column>,
}

/// One column. Its id outlives a renaming, so values are read and written by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Short id, URL-encoded by Notion; the title's is always `title`.
    pub id: String,
    /// Name as the user sees it.
    pub name: String,
    /// Type.
    pub kind: ColumnKind,
    /// Names of the options of a select, multi-select or status column.
    pub options: Vec<String>,
}

/// Types of columns, as far as they can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// The page's title.
    Title,
    /// Text with formatting.
    RichText,
    /// Number.
    Number,
    /// One option; new ones are made by writing them.
    Select,
    /// Several options; new ones are made by writing them.
    MultiSelect,
    /// One option out of a fixed list; never empty.
    Status,
    /// Date and time, kept to the minute.
    Date,
    /// Yes or no; never empty.
    Checkbox,
    /// Link.
    Url,
    /// E-mail address; any text.
    Email,
    /// Phone number; any text.
    PhoneNumber,
    /// Files by link.
    Files,
    /// Links to pages of another database.
    Relation,
    /// Formula, roll-up, people, times and authors: not written by us.
    ReadOnly,
}

impl Schema {
    /// The title column; every database has exactly one.
    pub fn title(&self) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.kind == ColumnKind::Title)
    }

    /// The column called `name`: exactly, else without regard to case.
    pub fn named(&self, name: &str) -> Option<&Column> {
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| self.columns.iter().find(|column| same(&column.name, name)))
    }

    /// The column with this id.
    pub fn by_id(&self, id: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The only column of this type, if there is exactly one.
    pub fn only(&self, kind: ColumnKind) -> Option<&Column> {
        let mut of_kind = self.columns.iter().filter(|column| column.kind == kind);
        of_kind.next().filter(|_| of_kind.next().is_none())
    }
}

/// A row: a client's page with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The page.
    pub id: PageId,
    /// When it was made, to the minute; the oldest of several wins.
    pub created_at: Option<Timestamp>,
    /// When it was last edited, to the minute.
    pub edited_at: Option<Timestamp>,
    /// True when it lies in the trash.
    pub trashed: bool,
    /// True when it is archived, which is not the trash: queries leave it out.
    pub archived: bool,
    /// Values by column id.
    pub cells: BTreeMap<String, Cell>,
}

impl Row {
    /// Text of the title.
    pub fn title(&self) -> &str {
        self.cells.get("title").map_or("", |cell| cell.text.trim())
    }

    /// True if the number stands in one of the columns.
    pub fn holds(&self, phone: &Phone, columns: &[Column]) -> bool {
        let mut cells = columns.iter().filter_map(|column| self.cell(column));
        cells.any(|cell| phone.is_in(&cell.text))
    }

    /// The value in `column`, if the row has it.
    pub fn cell(&self, column: &Column) -> Option<&Cell> {
        self.cells.get(&column.id)
    }
}

/// The value of one column in one row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// All texts of the value joined; of a date its start as Notion writes it.
    pub text: String,
    /// Names of a multi-select, in order.
    pub names: Vec<String>,
    /// Start of a date.
    pub date: Option<Timestamp>,
    /// True for a checkbox that is ticked.
    pub checked: bool,
    /// True when there is nothing that could be overwritten.
    pub empty: bool,
}

/// What one wants to say in a column, before its type is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Several words.
    Words(Vec<String>),
    /// A moment.
    Time(Timestamp),
    /// A quantity.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Links with names.
    Links(Vec<(String, String)>),
    /// Pages of another database.
    Pages(Vec<PageId>),
}

/// A value in a column's own type, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// Title or text.
    Text(String),
    /// Number.
    Number(f64),
    /// Option of a select or status.
    Choice(String),
    /// Options of a multi-select.
    Choices(Vec<String>),
    /// Date, to the minute.
    Date(Timestamp),
    /// Checkbox.
    Checkbox(bool),
    /// Nothing: what stands in a date column is taken out.
    Cleared,
    /// URL, e-mail or phone number.
    Line(String),
    /// Files by link.
    Files(Vec<(String, String)>),
    /// Relation.
    Relation(Vec<PageId>),
}

/// One property to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// The column.
    pub column: Column,
    /// The value in its type.
    pub value: Written,
}

/// Why a value cannot be written into a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The type is never written by us.
    ReadOnly,
    /// The type cannot hold such a value.
    WrongType,
    /// The status column has no such option, and options of a status cannot be made.
    NoSuchOption(String),
    /// Longer than the type allows.
    TooLong,
    /// There is nothing to write.
    Nothing,
}

/// Longest e-mail address and phone number, in UTF-16 units.
const SHORT_LIMIT: usize = 200;
/// Longest link, in UTF-16 units.
const URL_LIMIT: usize = 2000;
/// Most options or relations in one request.
pub const MANY_LIMIT: usize = 100;

/// Puts `value` into the type of `column`.
pub fn fit(value: &Value, column: &Column) -> Result<Written, Misfit> {
    match column.kind {
        ColumnKind::Title | ColumnKind::RichText => non_empty(text_of(value)?).map(Written::Text),
        ColumnKind::Number => number_of(value).map(Written::Number),
        ColumnKind::Select => non_empty(option(&text_of(value)?, column)).map(Written::Choice),
        ColumnKind::Status => status(&text_of(value)?, column),
        ColumnKind::MultiSelect => choices(value, column),
        ColumnKind::Date => time_of(value).map(|time| Written::Date(floor_to_minute(time))),
        ColumnKind::Checkbox => flag_of(value).map(Written::Checkbox),
        ColumnKind::Url => address_of(value),
        ColumnKind::Email | ColumnKind::PhoneNumber => line(&text_of(value)?, SHORT_LIMIT),
        ColumnKind::Files => links_of(value).map(Written::Files),
        ColumnKind::Relation => pages_of(value).map(Written::Relation),
        ColumnKind::ReadOnly => Err(Misfit::ReadOnly),
    }
}

/// Notion keeps dates to the minute, cut down.
pub fn floor_to_minute(time: Timestamp) -> Timestamp {
    time.round(
        TimestampRound::new()
            .smallest(Unit::Minute)
            .mode(RoundMode::Floor),
    )
    .unwrap_or(time)
}

/// `existing` and then what of `new` is not there yet, compared without case; a name that the
/// column already has as an option is spelled like that.
pub fn merge_names(existing: &[String], new: &[String], column: &Column) -> Vec<String> {
    let mut merged = existing.to_vec();
    for name in new {
        let name = option(name, column);
        if !name.is_empty() && !merged.iter().any(|have| same(have, &name)) {
            merged.push(name);
        }
    }
    merged
}

/// An option's name: no commas (Notion refuses them), spelled as an existing option where there is
/// one.
fn option(text: &str, column: &Column) -> String {
    let name = text
        .replace(',', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    column
        .options
        .iter()
        .find(|have| same(have, &name))
        .cloned()
        .unwrap_or(name)
}

fn status(text: &str, column: &Column) -> Result<Written, Misfit> {
    let found = column.options.iter().find(|have| same(have, text));
    found
        .map(|name| Written::Choice(name.clone()))
        .ok_or_else(|| Misfit::NoSuchOption(text.to_owned()))
}

fn choices(value: &Value, column: &Column) -> Result<Written, Misfit> {
    let names = match value {
        Value::Words(words) => merge_names(&[], words, column),
        Value::Text(text) => merge_names(&[], std::slice::from_ref(text), column),
        Value::Time(_) | Value::Number(_) | Value::Flag(_) | Value::Links(_) | Value::Pages(_) => {
            return Err(Misfit::WrongType);
        }
    };
    if names.is_empty() {
        Err(Misfit::Nothing)
    } else {
        Ok(Written::Choices(names))
    }
}

fn text_of(value: &Value) -> Result<String, Misfit> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Words(words) => Ok(words.join(", ")),
        Value::Time(time) => Ok(time.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Flag(flag) => Ok(if *flag { "Yes" } else { "No" }.to_owned()),
        Value::Links(links) => Ok(links
            .iter()
            .map(|(_, url)| url.as_str())
            .collect::<Vec<_>>()
            .join("\n")),
        Value::Pages(_) => Err(Misfit::WrongType),
    }
}

/// The address that a value is; of several links the first, for the column holds one.
fn address_of(value: &Value) -> Result<Written, Misfit> {
    let text = if let Value::Links(links) = value {
        links
            .first()
            .map(|(_, url)| url.clone())
            .unwrap_or_default()
    } else {
        text_of(value)?
    };
    let written = line(&text, URL_LIMIT)?;
    if link::is_for_a_column(text.trim()) {
        Ok(written)
    } else {
        Err(Misfit::WrongType)
    }
}

fn number_of(value: &Value) -> Result<f64, Misfit> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Text(text) => {
            let number = text.trim().trim_start_matches('+').parse::<f64>().ok();
            number
                .filter(|number| number.is_finite())
                .ok_or(Misfit::WrongType)
        }
        Value::Words(_) | Value::Time(_) | Value::Flag(_) | Value::Links(_) | Value::Pages(_) => {
            Err(Misfit::WrongType)
        }
    }
}

fn time_of(value: &Value) -> Result<Timestamp, Misfit> {
    if let Value::Time(time) = value {
        Ok(*time)
    } else {
        Err(Misfit::WrongType)
    }
}

fn flag_of(value: &Value) -> Result<bool, Misfit> {
    if let Value::Flag(flag) = value {
        Ok(*flag)
    } else {
        Err(Misfit::WrongType)
    }
}

fn links_of(value: &Value) -> Result<Vec<(String, String)>, Misfit> {
    match value {
        Value::Links(links) if !links.is_empty() => Ok(links.clone()),
        Value::Links(_) => Err(Misfit::Nothing),
        Value::Text(_)
        | Value::Words(_)
        | Value::Time(_)
        | Value::Number(_)
        | Value::Flag(_)
        | Value::Pages(_) => Err(Misfit::WrongType),
    }
}

fn pages_of(value: &Value) -> Result<Vec<PageId>, Misfit> {
    if let Value::Pages(pages) = value {
        Ok(pages.clone())
    } else {
        Err(Misfit::WrongType)
    }
}

fn non_empty(text: String) -> Result<String, Misfit> {
    if text.trim().is_empty() {
        Err(Misfit::Nothing)
    } else {
        Ok(text)
    }
}

fn line(text: &str, limit: usize) -> Result<Written, Misfit> {
    let text = non_empty(text.trim().to_owned())?;
    if text.encode_utf16().count() > limit {
        Err(Misfit::TooLong)
    } else {
        Ok(Written::Line(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ColumnKind, options: &[&str]) -> Column {
        let options = options.iter().map(|name| (*name).to_owned()).collect();
        Column {
            id: "x".into(),
            name: "X".into(),
            kind,
            options,
        }
    }

    #[test]
    fn options_lose_commas_and_take_the_existing_spelling() {
        let tags = column(ColumnKind::MultiSelect, &["Lead", "Oak Park"]);
        let new = [
            "lead".to_owned(),
            "Oak, Park".into(),
            "a,b".into(),
            " ".into(),
        ];
        assert_eq!(
            merge_names(&["VIP".into()], &new, &tags),
            ["VIP", "Lead", "Oak Park", "a b"]
        );
    }

    #[test]
    fn tags_that_are_there_already_are_not_added_again() {
        let tags = column(ColumnKind::MultiSelect, &[]);
        assert_eq!(
            merge_names(&["Größe".into()], &["GRÖSSE".into(), "größe".into()], &tags),
            ["Größe", "GRÖSSE"]
        );
    }

    #[test]
    fn link_column_takes_one_address_that_a_click_may_open() {
        let link = column(ColumnKind::Url, &[]);
        let text = |text: &str| fit(&Value::Text(text.into()), &link);
        for good in ["https://rosa.example", "tel:+12025550147"] {
            assert_eq!(text(good), Ok(Written::Line(good.into())));
        }
        for bad in [
            "javascript:alert(1)",
            "Quint Roofing",
            "https://a@b.example",
        ] {
            assert_eq!(text(bad), Err(Misfit::WrongType), "{bad}");
        }
        let both = ["https://a.example/1", "https://a.example/2"];
        let both = both.map(|url| (String::new(), url.to_owned())).to_vec();
        assert_eq!(
            fit(&Value::Links(both), &link),
            Ok(Written::Line("https://a.example/1".into()))
        );
    }

    #[test]
    fn status_takes_only_options_that_exist() {
        let kind = column(ColumnKind::Status, &["Not started", "New Import"]);
        let text = |text: &str| fit(&Value::Text(text.into()), &kind);
        assert_eq!(text("new import"), Ok(Written::Choice("New Import".into())));
        assert_eq!(text("Hot"), Err(Misfit::NoSuchOption("Hot".into())));
    }

    #[test]
    fn values_take_the_columns_type_or_none() {
        let phone = Value::Text("+12025550147".into());
        assert_eq!(
            fit(&phone, &column(ColumnKind::Number, &[])),
            Ok(Written::Number(12_025_550_147.0))
        );
        assert_eq!(
            fit(&phone, &column(ColumnKind::RichText, &[])),
            Ok(Written::Text("+12025550147".into()))
        );
        assert_eq!(
            fit(&phone, &column(ColumnKind::Date, &[])),
            Err(Misfit::WrongType)
        );
        assert_eq!(
            fit(&phone, &column(ColumnKind::ReadOnly, &[])),
            Err(Misfit::ReadOnly)
        );
        assert_eq!(
            fit(
                &Value::Text("x".repeat(201)),
                &column(ColumnKind::Email, &[])
            ),
            Err(Misfit::TooLong)
        );
        assert_eq!(
            fit(&Value::Text(" ".into()), &column(ColumnKind::Url, &[])),
            Err(Misfit::Nothing)
        );
        let late: Timestamp = "2026-10-01T15:00:59.999Z".parse().expect("time");
        let floored: Timestamp = "2026-10-01T15:00:00Z".parse().expect("time");
        assert_eq!(
            fit(&Value::Time(late), &column(ColumnKind::Date, &[])),
            Ok(Written::Date(floored))
        );
    }
}
