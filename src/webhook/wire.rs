//! How the door reads: errors that name the path but not the value, ids and links checked, oddities
//! noted.
//!
//! Nothing here knows what an event means.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::PayloadError;
use super::shape::{File, Object, seconds};
use crate::domain::call::Audio;
use crate::domain::id::BadId;
use crate::domain::parties::Party;

/// Most oddities kept of one event.
const MAX_NOTES: usize = 20;
/// Most characters of a foreign text that an error or oddity repeats.
const MAX_QUOTE: usize = 200;

/// Reads `json`, which lies at `path` of the document and must be an object.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str, path: &str) -> Result<T, PayloadError> {
    let mut source = serde_json::Deserializer::from_str(json);
    let object: Object<T> = serde_path_to_error::deserialize(&mut source)
        .map_err(|err| PayloadError::of(path, &err))?;
    source.end().map_err(|err| PayloadError::not_json(&err))?;
    Ok(object.0)
}

/// The part of a document that says what an event is about.
pub(super) struct Body<'a> {
    json: &'a str,
    path: &'static str,
}

impl<'a> Body<'a> {
    /// The part that lies at `path`.
    pub(super) fn new(raw: &'a RawValue, path: &'static str) -> Self {
        Self {
            json: raw.get(),
            path,
        }
    }

    /// Reads it as far as `T` knows it.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Result<T, PayloadError> {
        read(self.json, self.path)
    }

    /// Checks the id found under `field`.
    pub(super) fn id<T>(
        &self,
        field: &str,
        text: Option<&str>,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Result<T, PayloadError> {
        let bad = |err: BadId| PayloadError::BadId {
            path: join(self.path, field),
            expected: err.expected,
        };
        parse(text.unwrap_or_default()).map_err(bad)
    }
}

impl PayloadError {
    /// Something wrong at `path`.
    pub(super) fn wrong_shape(path: &str, reason: &str) -> Self {
        Self::WrongShape {
            path: cut(path),
            reason: cut(reason),
        }
    }

    fn of(at: &str, err: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let inner = err.inner();
        if at.is_empty() && !inner.is_data() {
            return Self::not_json(inner);
        }
        let path = err.path().to_string();
        let path = if path == "." {
            at.to_owned()
        } else {
            join(at, &path)
        };
        Self::wrong_shape(&path, &reason(inner))
    }

    fn not_json(err: &serde_json::Error) -> Self {
        Self::NotJson {
            line: err.line(),
            column: err.column(),
            reason: reason(err),
        }
    }
}

/// What was expected, without the value that was found: that may be somebody's message.
fn reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if err.is_data() => format!("expected {expected}"),
        Some(_) | None => text.to_owned(),
    }
}

fn join(at: &str, path: &str) -> String {
    if at.is_empty() {
        path.to_owned()
    } else {
        format!("{at}.{path}")
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_QUOTE).collect()
}

/// Oddities met while reading.
#[derive(Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// Notes that `what` of the delivery was left out because of its value.
    pub(super) fn left_out(&mut self, what: &str, value: &str) {
        if self.0.len() < MAX_NOTES {
            self.0.push(format!("{what} left out: {:?}", cut(value)));
        }
    }

    /// All of them.
    pub(super) fn into_vec(self) -> Vec<String> {
        self.0
    }

    /// An id that is good to have; a bad one is left out.
    pub(super) fn optional_id<T>(
        &mut self,
        text: Option<&str>,
        parse: fn(&str) -> Result<T, BadId>,
    ) -> Option<T> {
        let text = text.filter(|text| !text.is_empty())?;
        parse(text)
            .map_err(|err| self.left_out(err.expected, text))
            .ok()
    }

    /// A link that may be shown and followed: https, or http to this machine, which is of use for
    /// trying out.
    pub(super) fn link(&mut self, url: Option<String>) -> Option<String> {
        let url = url.filter(|url| !url.is_empty())?;
        if is_link(&url) {
            return Some(url);
        }
        self.left_out("link", &url);
        None
    }

    /// Sound that has a link.
    pub(super) fn audio(&mut self, file: File) -> Option<Audio> {
        let duration_secs = seconds(file.duration);
        self.link(file.url).map(|url| Audio { url, duration_secs })
    }
}

fn is_link(url: &str) -> bool {
    let after = |scheme: &str| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let host = |rest: &str| {
        rest.split(['/', '?', '#'])
            .next()
            .is_some_and(|host| !host.is_empty())
    };
    let local = |rest: &str| {
        ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
            rest.strip_prefix(host)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?', '#']))
        })
    };
    let clean = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    clean
        && (after("https://").is_some_and(host)
            || after("http://").is_some_and(|rest| local(rest) && !rest.contains('@')))
}

/// Participants as written; in one text several are separated by commas.
pub(super) fn parties(texts: &[String]) -> Vec<Party> {
    let pieces = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    pieces
        .filter(|piece| !piece.is_empty())
        .map(Party::parse)
        .collect()
}
