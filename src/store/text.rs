//! Values that have no column of their own, as text; the same in every database.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::domain::call::ArtifactKind;
use crate::domain::id::{ActivityId, PageId};
use crate::domain::parties::Direction;
use crate::domain::phone::Phone;

use super::HistoryLine;

/// The clients' pages of a finished event: phone, page, name.
pub type Pages = Vec<(Phone, Option<PageId>, String)>;

/// Pages as JSON.
pub fn write_pages(pages: &Pages) -> String {
    let page = |(phone, page, name): &(Phone, Option<PageId>, String)| {
        json!([phone.as_str(), page.as_ref().map(PageId::as_str), name])
    };
    Json::Array(pages.iter().map(page).collect()).to_string()
}

/// Reads them; what cannot be read is left out.
pub fn read_pages(result: Option<&str>) -> Pages {
    let pages: Vec<(String, Option<String>, String)> = result
        .and_then(|result| serde_json::from_str(result).ok())
        .unwrap_or_default();
    let read = |(phone, page, name): (String, Option<String>, String)| {
        Some((
            Phone::parse(&phone)?,
            page.and_then(|page| PageId::parse(&page).ok()),
            name,
        ))
    };
    pages.into_iter().filter_map(read).collect()
}

/// Kinds of artifacts, comma-separated.
pub fn write_kinds(kinds: &BTreeSet<ArtifactKind>) -> String {
    kinds
        .iter()
        .map(|kind| kind.word())
        .collect::<Vec<_>>()
        .join(",")
}

/// Reads them; unknown ones are left out.
pub fn read_kinds(words: &str) -> BTreeSet<ArtifactKind> {
    words.split(',').filter_map(ArtifactKind::of_word).collect()
}

/// Ids of activities, comma-separated.
pub fn write_ids(activities: &[ActivityId]) -> String {
    let ids: Vec<&str> = activities.iter().map(ActivityId::as_str).collect();
    ids.join(",")
}

/// Reads them.
pub fn read_ids(ids: &str) -> Vec<ActivityId> {
    let ids = ids.split(',');
    ids.filter_map(|id| ActivityId::parse(id).ok()).collect()
}

/// A direction as the history says it.
pub fn direction(line: &HistoryLine) -> Option<&'static str> {
    line.direction.map(|direction| match direction {
        Direction::Incoming => "incoming",
        Direction::Outgoing => "outgoing",
    })
}

/// A kind of resource as the history says it.
pub fn resource(line: &HistoryLine) -> &'static str {
    if line.is_call { "call" } else { "message" }
}

/// Whole milliseconds.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
