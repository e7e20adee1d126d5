//! Reading a 400: which of the properties that were sent does Notion refuse?
//!
//! One message may blame several, and prints names raw, so the names that were sent are looked for
//! in the message rather than cut out of it. No network, no store: text in, columns out.

use serde_json::Value as Json;

use crate::domain::table::{Property, Written};

/// What a refused write is to blame on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// These properties, by position in what was sent.
    Properties(Vec<usize>),
    /// The blocks or the body as a whole: leaving properties out would not help.
    Body,
    /// The page is in the trash.
    Trashed,
    /// The message names nothing that was sent.
    Nobody,
}

/// Reads the message of a 400 against the properties that were sent.
pub fn blame(message: &str, sent: &[Property]) -> Blame {
    if message.contains("archived") && message.contains("Can't edit") {
        return Blame::Trashed;
    }
    let mut blamed = by_name(message, sent);
    if blamed.is_empty() {
        blamed = by_value(message, sent);
    }
    if !blamed.is_empty() {
        blamed.sort_unstable();
        blamed.dedup();
        return Blame::Properties(blamed);
    }
    let body = ["body.children", "body.parent"]
        .iter()
        .any(|part| message.contains(part));
    if body || message.contains("Invalid URL for link") {
        Blame::Body
    } else {
        Blame::Nobody
    }
}

/// True for what may be the refusal of an address that some text was to lead to, in whatever words.
/// Which one is not said.
pub fn may_be_a_link(message: &str) -> bool {
    let said = message.to_ascii_lowercase();
    (said.contains("url") || said.contains("link")) && !said.contains("body.properties")
}

/// True for the refusal of the API version that was asked for.
pub fn says_version(body: &Json) -> bool {
    body["code"] == "missing_version" || message(body).contains("Notion-Version")
}

/// True for the refusal of a search among archived pages, which the API version does not know.
pub fn says_archived_unknown(body: &Json) -> bool {
    message(body).contains("is_archived")
}

/// True for the refusal of an integration that was not given a right, whatever the page.
pub fn says_capability(body: &Json) -> bool {
    message(body).contains("Insufficient permissions")
}

/// The message of an error body.
pub fn message(body: &Json) -> &str {
    body["message"].as_str().unwrap_or_default()
}

/// Names at the beginning of a sentence or behind `body.properties.`, longest first.
fn by_name(message: &str, sent: &[Property]) -> Vec<usize> {
    let mut names: Vec<(usize, &str)> = Vec::new();
    for (index, property) in sent.iter().enumerate() {
        names.push((index, &property.column.name));
        names.push((index, &property.column.id));
    }
    names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    let paths = message
        .match_indices("body.properties.")
        .filter_map(|(at, mark)| path_subject(&message[at + mark.len()..], &names));
    let mut blamed: Vec<usize> = paths.collect();
    let mut read_until = 0;
    for start in sentence_starts(message) {
        // A name may itself hold a full stop and a blank: what lies inside one already read is no
        // beginning.
        let subject = if start < read_until {
            None
        } else {
            sentence_subject(&message[start..], &names)
        };
        if let Some((index, name)) = subject {
            blamed.push(index);
            read_until = start + name.len();
        }
    }
    blamed
}

fn sentence_starts(message: &str) -> Vec<usize> {
    let mut starts = vec![0];
    for mark in [". ", "\n", ": "] {
        starts.extend(
            message
                .match_indices(mark)
                .map(|(at, mark)| at + mark.len()),
        );
    }
    starts.sort_unstable();
    starts
}

fn sentence_subject<'a>(rest: &str, names: &[(usize, &'a str)]) -> Option<(usize, &'a str)> {
    let verbs = [" is not a property that exists", " is expected to be "];
    let says = |name: &str| {
        rest.strip_prefix(name)
            .is_some_and(|rest| verbs.iter().any(|verb| rest.starts_with(verb)))
    };
    names.iter().find(|(_, name)| says(name)).copied()
}

fn path_subject(rest: &str, names: &[(usize, &str)]) -> Option<usize> {
    let ends = |rest: &str| rest.starts_with(['.', '[', ' ']);
    let is = |name: &str| rest.strip_prefix(name).is_some_and(ends);
    names
        .iter()
        .find(|(_, name)| is(name))
        .map(|(index, _)| *index)
}

/// Option errors name only the value.
fn by_value(message: &str, sent: &[Property]) -> Vec<usize> {
    let Some(value) = blamed_option(message) else {
        return Vec::new();
    };
    let carries = |property: &Property| match &property.value {
        Written::Choice(name) => name == value,
        Written::Choices(names) => names.iter().any(|name| name == value),
        Written::Text(_)
        | Written::Number(_)
        | Written::Date(_)
        | Written::Checkbox(_)
        | Written::Cleared
        | Written::Line(_)
        | Written::Files(_)
        | Written::Relation(_) => false,
    };
    sent.iter()
        .enumerate()
        .filter(|(_, property)| carries(property))
        .map(|(index, _)| index)
        .collect()
}

fn blamed_option(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once("Status option \"") {
        return rest.split_once("\" does not exist").map(|(value, _)| value);
    }
    message
        .split_once("commas not allowed: ")
        .map(|(_, value)| value.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::table::{Column, ColumnKind};

    /// A property as the sample case sent it; only what blaming looks at matters.
    fn property(name: &str, sent: &Json) -> Property {
        let choice = |value: &Json| {
            value["name"]
                .as_str()
                .map(|name| Written::Choice(name.to_owned()))
        };
        let names = |value: &Json| {
            let names = value
                .as_array()?
                .iter()
                .filter_map(|option| option["name"].as_str());
            Some(Written::Choices(names.map(Into::into).collect()))
        };
        let value = choice(&sent["status"])
            .or_else(|| choice(&sent["select"]))
            .or_else(|| names(&sent["multi_select"]));
        let column = Column {
            id: format!("id-{name}"),
            name: name.into(),
            kind: ColumnKind::RichText,
            options: vec![],
        };
        Property {
            column,
            value: value.unwrap_or(Written::Text("x".into())),
        }
    }

    #[test]
    fn every_sample_case_blames_whom_it_should() {
        let cases: Vec<Json> = serde_json::from_str(include_str!(
            "../../fixtures/notion/property_error_cases.json"
        ))
        .expect("cases");
        for case in cases.iter().filter(|case| case["kind"] != "query_property") {
            let sent = case["sent"].as_object().expect("sent");
            let sent: Vec<Property> = sent
                .iter()
                .map(|(name, value)| property(name, value))
                .collect();
            let message = message(case);
            let mut blamed = match blame(message, &sent) {
                Blame::Properties(indexes) => indexes
                    .into_iter()
                    .map(|index| sent[index].column.name.clone())
                    .collect(),
                Blame::Body | Blame::Trashed | Blame::Nobody => Vec::new(),
            };
            blamed.sort();
            let mut want: Vec<&str> = case["blamed"]
                .as_array()
                .expect("blamed")
                .iter()
                .filter_map(Json::as_str)
                .collect();
            want.sort_unstable();
            assert_eq!(blamed, want, "{message}");
        }
    }

    #[test]
    fn names_with_dots_and_blanks_and_ids_are_found() {
        let sent = [
            property("St. Name", &Json::Null),
            property("Name", &Json::Null),
            property("Last Call", &Json::Null),
        ];
        assert_eq!(
            blame("St. Name is not a property that exists.", &sent),
            Blame::Properties(vec![0])
        );
        assert_eq!(
            blame(
                "St. Name is expected to be date. id-Last Call is expected to be date.",
                &sent
            ),
            Blame::Properties(vec![0, 2])
        );
        assert_eq!(
            blame(
                "body failed validation: body.properties.Last Call.date.start should be x",
                &sent
            ),
            Blame::Properties(vec![2])
        );
        assert_eq!(
            blame(
                "body failed validation: body.children.length should be ≤ `100`",
                &sent
            ),
            Blame::Body
        );
        assert_eq!(
            blame("Your database schema has exceeded the maximum size.", &sent),
            Blame::Nobody
        );
    }
}
