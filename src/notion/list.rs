//! Lists, as queries and block listings are answered: what they hold, and whether that is all.
//! <https://developers.notion.com/reference/intro#pagination>

use serde_json::Value as Json;

/// A part of a list.
#[derive(Debug, PartialEq)]
pub struct List<'a> {
    /// What it holds.
    pub results: &'a [Json],
    /// Where it goes on; `None` at its end.
    pub next: Option<&'a str>,
}

/// Reads an answer; what does not show itself as a list, and whether it is whole, is none, and why.
pub fn read(answer: &Json) -> Result<List<'_>, &'static str> {
    let results = results(answer)?;
    let next = match (answer["has_more"].as_bool(), answer["next_cursor"].as_str()) {
        (Some(false), _) => None,
        (Some(true), Some(next)) if !next.is_empty() => Some(next),
        (Some(true), _) => return Err("a list that goes on and does not say where"),
        (None, _) => return Err("a list that does not say whether it goes on"),
    };
    Ok(List { results, next })
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

    #[test]
    fn list_says_whether_it_is_whole() {
        let whole =
            json!({"object": "list", "results": [1], "has_more": false, "next_cursor": null});
        let results = [json!(1)];
        assert_eq!(
            read(&whole),
            Ok(List {
                results: &results,
                next: None
            })
        );
        let part = json!({"object": "list", "results": [], "has_more": true, "next_cursor": "c"});
        assert_eq!(read(&part).map(|list| list.next), Ok(Some("c")));
        for bad in [
            json!({"results": [], "has_more": false}),
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
