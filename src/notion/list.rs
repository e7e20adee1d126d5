//! Lists, as queries and block listings are answered: what they hold, and whether that is all.
//! <https://developers.notion.com/reference/intro#pagination>

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::bounded::{self, AtMost};

/// Most items of one answer; 100 is the most that is asked for.
const MOST: usize = 1_000;

/// What a part of a list says of the rest.
#[derive(Debug, PartialEq)]
pub struct Rest {
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
    #[serde(rename = "type")]
    kind: Option<&'a str>,
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
    pub fn read(
        self,
        mut item: impl FnMut(Json) -> Result<(), &'static str>,
    ) -> Result<Rest, &'static str> {
        if self.object != "list" {
            return Err("no list");
        }
        let is_of_pages = self.kind.is_none_or(|kind| {
            kind == "page_or_database" || kind == "block" || kind == "page_or_data_source"
        });
        if !is_of_pages {
            return Err("a list of something else");
        }
        let next = match (self.has_more, self.next_cursor) {
            (false, None) => None,
            (false, Some(_)) => return Err("a list that ends and goes on"),
            (true, Some(next)) if !next.is_empty() => Some(next),
            (true, _) => return Err("a list that goes on and does not say where"),
        };
        for raw in self.results.0 {
            let json = bounded::value(raw.get().as_bytes());
            item(json.map_err(|_| "an item of more values than are read")?)?;
        }
        let status = self.request_status;
        Ok(Rest {
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

    fn read(answer: &Json) -> Result<(Vec<Json>, Option<String>), String> {
        let text = answer.to_string();
        let list: WireList = serde_json::from_str(&text).map_err(|err| err.to_string())?;
        let mut items = Vec::new();
        let rest = list.read(|item| {
            items.push(item);
            Ok(())
        })?;
        Ok((items, rest.next))
    }

    #[test]
    fn list_says_whether_it_is_whole() {
        let whole =
            json!({"object": "list", "results": [1], "has_more": false, "next_cursor": null});
        assert_eq!(read(&whole), Ok((vec![json!(1)], None)));
        let part = json!({"object": "list", "results": [], "has_more": true, "next_cursor": "c"});
        assert_eq!(read(&part), Ok((vec![], Some("c".into()))));
        for bad in [
            json!({"results": [], "has_more": false}),
            json!({"object": "page", "results": [], "has_more": false}),
            json!({"object": "list", "results": null, "has_more": false}),
            json!({"object": "list", "results": []}),
            json!({"object": "list", "results": [], "has_more": "false"}),
            json!({"object": "list", "results": [], "has_more": true, "next_cursor": null}),
            json!({"object": "list", "results": [], "has_more": true, "next_cursor": ""}),
            json!({"object": "list", "results": [], "has_more": false, "next_cursor": "c"}),
            json!({"object": "list", "results": [], "has_more": false, "type": "user"}),
            json!([]),
            json!(null),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
