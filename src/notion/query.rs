//! Queries: finding a client's page by every likely spelling of the number, in one request.
//! <https://developers.notion.com/reference/post-database-query>

use serde_json::{Value as Json, json};

use crate::domain::id::PageId;
use crate::domain::phone::Phone;
use crate::domain::table::{Column, ColumnKind, Row};

use super::page::ReadRow;
use super::{page, property};

/// Last digits, a net for the spellings that were not thought of: with an extension behind, `(0)`
/// before, or words.
const NET: usize = 4;

/// Most columns of which every spelling is asked for: a filter has room for 100 conditions.
const MOST_SPELLED: usize = 2;

/// Most rows of one answer that can be asked for.
pub const MOST_ROWS: usize = 100;

/// What is searched for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// The number.
    pub phone: &'a Phone,
    /// Columns in which it may stand.
    pub columns: &'a [Column],
    /// Among which pages.
    pub among: Among,
}

/// Pages of a table that a query goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Those that a person sees.
    Active,
    /// Those that were archived, which is not the trash.
    Archived,
}

/// The pages that a number stands on.
#[derive(Debug, Default)]
pub struct Hits {
    /// The one that counts.
    pub oldest: Option<ReadRow>,
    /// All others.
    pub others: Vec<PageId>,
}

impl Hits {
    /// Adds a page, unless it is there already, as it is when a list shifts between its parts.
    pub(super) fn add(&mut self, found: ReadRow) {
        let is_there = |page: &PageId| *page == found.row.id;
        if self.others.iter().any(is_there) {
            return;
        }
        let age = |row: &Row| (row.created_at, row.id.clone());
        match self.oldest.take() {
            Some(oldest) if oldest.row.id == found.row.id => self.oldest = Some(oldest),
            Some(oldest) if age(&oldest.row) <= age(&found.row) => {
                self.others.push(found.row.id);
                self.oldest = Some(oldest);
            }
            oldest => {
                self.others.extend(oldest.map(|oldest| oldest.row.id));
                self.oldest = Some(found);
            }
        }
    }
}

/// True if a number can be searched for in a column of this kind.
pub fn can_hold_phone(kind: ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::PhoneNumber | ColumnKind::RichText | ColumnKind::Title
    )
}

/// Body of a query for the number in any of the columns, oldest page first, `size` rows at a time.
pub fn by_phone(search: &Lookup, size: usize, cursor: Option<&str>) -> Json {
    let Lookup { phone, columns, .. } = *search;
    // Whatever is spelled like the number ends like it too; in many columns that must do.
    let is_many = columns.len() > MOST_SPELLED;
    let conditions = |column: &Column| -> Vec<Json> {
        let kind = property::type_name(column.kind).unwrap_or("rich_text");
        let condition =
            |operator: &str, text: &str| json!({"property": column.id, kind: {operator: text}});
        let spellings = if is_many {
            Vec::new()
        } else {
            phone.spellings()
        };
        let equal = spellings.iter().map(|text| condition("equals", text));
        let net = net(phone);
        let near = net.iter().map(|text| condition("contains", text));
        equal.chain(near).collect()
    };
    let any: Vec<Json> = columns.iter().flat_map(conditions).collect();
    let mut body = json!({
        "filter": {"or": any},
        "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
        "page_size": size,
    });
    if let Some(cursor) = cursor {
        body["start_cursor"] = json!(cursor);
    }
    if search.among == Among::Archived {
        body["is_archived"] = json!(true);
    }
    body
}

/// Body of a query for all rows, oldest page first, `size` rows at a time.
pub fn all(size: usize, cursor: Option<&str>) -> Json {
    let mut body = json!({
        "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
        "page_size": size,
    });
    if let Some(cursor) = cursor {
        body["start_cursor"] = json!(cursor);
    }
    body
}

/// The last digits together, in pairs, and as the last three with one before them.
fn net(phone: &Phone) -> Vec<String> {
    let digits = &phone.as_str()[phone.as_str().len() - NET..];
    let split = |at: usize| [" ", "-", "."].map(|mark| [&digits[..at], &digits[at..]].join(mark));
    std::iter::once(digits.to_owned())
        .chain(split(2))
        .chain(split(1))
        .collect()
}

/// Reads a hit of such a query; `None` for one that is trashed, or near only. A hit that cannot be
/// judged is none of no hit, so then the answer says nothing; and why.
pub fn read(hit: &Json, search: &Lookup) -> Result<Option<ReadRow>, &'static str> {
    let Lookup { phone, columns, .. } = *search;
    let mut found = page::kept(hit).ok_or("a hit that is no whole page")?;
    // Older versions of the API do not say it.
    found.row.archived |= search.among == Among::Archived;
    let row = &found.row;
    if !row.trashed && holds_number(hit, columns) != Some(true) {
        return Err("a hit without what was searched for");
    }
    let is_theirs = !row.trashed && row.holds(phone, columns);
    Ok(Some(found).filter(|_| is_theirs))
}

/// True if a hit has a value in one of the columns; `None` if one of them cannot be read. Without a
/// value it is no hit.
fn holds_number(page: &Json, columns: &[Column]) -> Option<bool> {
    let values = page["properties"].as_object()?;
    let mut holds = false;
    for column in columns {
        let value = values
            .values()
            .find(|value| value["id"] == column.id.as_str())?;
        let kind = value["type"].as_str()?;
        if !can_hold_phone(property::kind_of(kind)) {
            return None;
        }
        holds |= if kind == "phone_number" {
            let number = value.get(kind)?;
            !number.is_null() && !number.as_str()?.is_empty()
        } else {
            let read = |text: &Json| Some(!text["plain_text"].as_str()?.is_empty());
            let texts: Option<Vec<bool>> = value[kind].as_array()?.iter().map(read).collect();
            texts?.contains(&true)
        };
    }
    Some(holds)
}

#[cfg(test)]
mod tests {
    use super::super::list::WireList;
    use super::*;

    #[test]
    fn query_asks_for_every_spelling_in_the_columns_own_type() {
        let column = Column {
            id: "%3DpHn".into(),
            name: "Phone".into(),
            kind: ColumnKind::RichText,
            options: vec![],
        };
        let mut search = Lookup {
            phone: &Phone::parse("+12025550147").expect("phone"),
            columns: &[column],
            among: Among::Active,
        };
        let body = by_phone(&search, MOST_ROWS, None);
        assert_eq!(body.get("is_archived"), None);
        search.among = Among::Archived;
        assert_eq!(by_phone(&search, MOST_ROWS, None)["is_archived"], true);
        let any = body["filter"]["or"].as_array().expect("or");
        assert!(
            any.contains(&json!({"property": "%3DpHn", "rich_text": {"equals": "(202) 555-0147"}}))
        );
        assert!(any.contains(&json!({"property": "%3DpHn", "rich_text": {"contains": "0147"}})));
        assert!(any.contains(&json!({"property": "%3DpHn", "rich_text": {"contains": "01 47"}})));
        assert!(any.len() <= 37);
    }

    #[test]
    fn answers_are_read_with_cursor_and_completeness() {
        let column = Column {
            id: "%3DpHn".into(),
            name: "Phone".into(),
            kind: ColumnKind::PhoneNumber,
            options: vec![],
        };
        let read = |text: &str| {
            let list: WireList = serde_json::from_str(text).expect("fixture");
            let phone = Phone::parse("+15550100201").expect("phone");
            let search = Lookup {
                phone: &phone,
                columns: std::slice::from_ref(&column),
                among: Among::Active,
            };
            let read = |hit: Json| read(&hit, &search);
            let mut found = Vec::new();
            let rest = list.read(|hit| {
                found.push(read(hit)?.is_some());
                Ok(())
            });
            (found, rest.expect("an answer"))
        };
        let first = read(include_str!("../../fixtures/notion/query_page_1_of_2.json"));
        assert!(first.1.next.is_some());
        assert_eq!(first.0, [false, true, false]);
        assert!(
            read(include_str!(
                "../../fixtures/notion/query_cut_off_at_10000.json"
            ))
            .1
            .incomplete
        );
        assert_eq!(
            read(include_str!("../../fixtures/notion/query_empty.json")).0,
            [false; 0]
        );
    }
}
