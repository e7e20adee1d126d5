//! Queries: finding a client's page by every likely spelling of the number, in one request.
//! <https://developers.notion.com/reference/post-database-query>

use serde_json::{Value as Json, json};

use crate::domain::phone::Phone;
use crate::domain::table::{Column, ColumnKind, Row};

use super::{page, property};

/// Last digits, a net for the spellings that were not thought of: with an extension behind, `(0)`
/// before, or words.
const NET: usize = 4;

/// One page of a query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Rows, trashed ones left out, each with the JSON it was read from.
    pub rows: Vec<(Row, Json)>,
    /// Where to go on.
    pub next: Option<String>,
    /// True when Notion gave up at 10,000 rows.
    pub incomplete: bool,
}

/// True if a number can be searched for in a column of this kind.
pub fn can_hold_phone(kind: ColumnKind) -> bool {
    matches!(
        kind,
        ColumnKind::PhoneNumber | ColumnKind::RichText | ColumnKind::Title
    )
}

/// Body of a query for `phone` in `column`, oldest page first.
pub fn by_phone(phone: &Phone, column: &Column, cursor: Option<&str>) -> Json {
    let kind = property::type_name(column.kind).unwrap_or("rich_text");
    let condition =
        |operator: &str, text: &str| json!({"property": column.id, kind: {operator: text}});
    let mut any: Vec<Json> = phone
        .spellings()
        .iter()
        .map(|text| condition("equals", text))
        .collect();
    any.extend(net(phone).iter().map(|text| condition("contains", text)));
    let mut body = json!({
        "filter": {"or": any},
        "sorts": [{"timestamp": "created_time", "direction": "ascending"}],
        "page_size": 100,
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

/// Reads an answer.
pub fn read(list: &Json) -> Answer {
    let results = list["results"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows = results
        .iter()
        .filter_map(|json| Some((page::read(json)?, json.clone())));
    let more = list["has_more"] == true;
    Answer {
        rows: rows.filter(|(row, _)| !row.trashed).collect(),
        next: list["next_cursor"]
            .as_str()
            .filter(|_| more)
            .map(Into::into),
        incomplete: list["request_status"]["type"] == "incomplete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_asks_for_every_spelling_in_the_columns_own_type() {
        let column = Column {
            id: "%3DpHn".into(),
            name: "Phone".into(),
            kind: ColumnKind::RichText,
            options: vec![],
        };
        let body = by_phone(&Phone::parse("+12025550147").expect("phone"), &column, None);
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
        let read = |text: &str| read(&serde_json::from_str(text).expect("fixture"));
        let first = read(include_str!("../../fixtures/notion/query_page_1_of_2.json"));
        assert!(first.next.is_some() && !first.rows.is_empty());
        assert!(
            read(include_str!(
                "../../fixtures/notion/query_cut_off_at_10000.json"
            ))
            .incomplete
        );
        assert_eq!(
            read(include_str!("../../fixtures/notion/query_empty.json")).rows,
            []
        );
    }
}
