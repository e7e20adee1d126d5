//! Lists, as queries and block listings are answered: what they hold, and whether that is all.
//! <https://developers.notion.com/reference/intro#pagination>

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::bounded::{self, AtMost};

/// Most items of one answer; 100 is the most that is asked for.
const MOST: usize = 1_000;

/// A part of a list.
#[derive(Debug, PartialEq)]
pub struct List<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// Where it goes on; `None` at its end.
    pub next: Option<String>,
    /// True when Notion gave up at 10,000 rows.
    pub incomplete: bool,
}

/// An answer as it comes.
#[derive(Deserialize)]
pub struct WireList<'a> {
    object: &'a str,
    #[serde(borrow)]
    results: AtMost<&'a RawValue, MOST>,
    has_more: bool,
    next_cursor: Option<String>,
    request_status: Option<RequestStatus>,
}

#[derive(Deserialize)]
struct RequestStatus {
    #[serde(rename = "type")]
    kind: String,
}

impl WireList<'_> {
    /// Reads it item by item, so that one is unfolded at a time; what does not show itself as a
    /// list, and whether it is whole, is none, and neither is one with an item that cannot be read;
    /// and why.
    pub fn read<T>(
        self,
        item: impl Fn(Json) -> Result<T, &'static str>,
    ) -> Result<List<T>, &'static str> {
        if self.object != "list" {
            return Err("no list");
        }
        let next = match (self.has_more, self.next_cursor) {
            (false, _) => None,
            (true, Some(next)) if !next.is_empty() => Some(next),
            (true, _) => return Err("a list that goes on and does not say where"),
        };
        let unfolded = |raw: &RawValue| {
            let json = bounded::value(raw.get().as_bytes());
            item(json.map_err(|_| "an item of more values than are read")?)
        };
        let items: Result<_, _> = self.results.0.into_iter().map(unfolded).collect();
        let status = self.request_status;
        Ok(List {
            items: items?,
            next,
            incomplete: status.is_some_and(|status| status.kind == "incomplete"),
        })
    }
}

/// What a list holds that need not be whole.
pub fn results(answer: &Json) -> Result<&[Json], &'static str> {
    match answer["results"].as_array() {
        Some(results) if answer["object"] == "list" => Ok(results),
        Some(_) | None => Err("no list"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: &Json) -> Result<List<Json>, String> {
        let text = answer.to_string();
        let list: WireList = serde_json::from_str(&text).map_err(|err| err.to_string())?;
        list.read(Ok).map_err(Into::into)
    }

    #[test]
    fn list_says_whether_it_is_whole() {
        let whole =
            json!({"object": "list", "results": [1], "has_more": false, "next_cursor": null});
        let list = List {
            items: vec![json!(1)],
            next: None,
            incomplete: false,
        };
        assert_eq!(read(&whole), Ok(list));
        let part = json!({"object": "list", "results": [], "has_more": true, "next_cursor": "c"});
        assert_eq!(read(&part).map(|list| list.next), Ok(Some("c".into())));
        for bad in [
            json!({"results": [], "has_more": false}),
            json!({"object": "page", "results": [], "has_more": false}),
            json!({"object": "list", "results": null, "has_more": false}),
            json!({"object": "list", "results": []}),
            json!({"object": "list", "results": [], "has_more": "false"}),
            json!({"object": "list", "results": [], "has_more": true, "next_cursor": null}),
            json!({"object": "list", "results": [], "has_more": true, "next_cursor": ""}),
            json!([]),
            json!(null),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
