//! An object of Quo's, read field by field and never refused for one of them.
//!
//! Apart because it knows JSON and nothing of what a field means. Only the fields that are asked
//! for are kept, and those as slices of the document, so that what a stranger puts beside them
//! costs no memory.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::domain::id::BadId;
use crate::domain::link::Link;
use crate::domain::profile::non_blank;
use crate::text;

/// Most oddities kept of one event.
const MAX_NOTES: usize = 20;
/// Most characters of a foreign text that an oddity repeats.
const MAX_QUOTE: usize = 200;
/// Most texts that are taken out of one field of no fixed form.
const MOST_TEXTS: usize = 1000;
/// How many lists and objects may lie in each other there.
const DEEPEST: usize = 8;
/// A time outside of these is none: Quo began in 2018, and a column that only moves forward must
/// not be sent to the end of time.
const YEARS: RangeInclusive<i16> = 2000..=2100;
/// Timestamps from here on are milliseconds: as seconds this would be the year 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;

/// Every field that is read of a call, a message, or something that belongs to a call.
pub const OBJECT: &[&str] = &[
    "direction",
    "createdAt",
    "completedAt",
    "from",
    "to",
    "participants",
    "phoneNumberId",
    "userId",
    "actorId",
    "initiatedBy",
    "contactIds",
    "id",
    "callId",
    "status",
    "answeredAt",
    "duration",
    "answeredBy",
    "answeredByUserId",
    "aiHandled",
    "handledByAiAgent",
    "forwardedTo",
    "hasVoicemail",
    "voicemail",
    "recordings",
    "media",
    "transcript",
    "transcription",
    "transcripts",
    "dialogue",
    "summary",
    "text",
    "body",
    "processingStatus",
    "title",
    "nextSteps",
    "jobs",
    "recordingUrl",
    "voicemailId",
    "url",
    "content",
    "object",
    "phoneNumbers",
];

/// Oddities met while reading, each told once.
#[derive(Debug, Default)]
pub struct Oddities(RefCell<Vec<String>>);

impl Oddities {
    /// Oddities that something is not as Quo documents it.
    pub fn odd(&self, what: impl Into<String>) {
        let what = what.into();
        let mut notes = self.0.borrow_mut();
        if notes.len() < MAX_NOTES && !notes.contains(&what) {
            notes.push(what);
        }
    }

    /// All of them, in the order in which they were met.
    pub fn into_vec(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// The fields of one object.
pub struct Fields<'a, 'n> {
    found: Vec<(&'static str, &'a RawValue)>,
    place: String,
    notes: &'n Oddities,
}

impl<'a, 'n> Fields<'a, 'n> {
    /// Reads the fields called `names` of an object that lies at `place` of the document. `None`,
    /// if it is no object.
    pub fn of(
        json: &'a str,
        place: &str,
        names: &'static [&'static str],
        notes: &'n Oddities,
    ) -> Option<Self> {
        let found = Deserializer::from_str(json).deserialize_map(Named(names));
        Some(Self {
            found: found.ok()?,
            place: place.to_owned(),
            notes,
        })
    }

    /// Where oddities are noted.
    pub fn notes(&self) -> &'n Oddities {
        self.notes
    }

    /// Where a field lies in the document.
    pub fn place(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// True if the field is there, though it may be null.
    pub fn has(&self, name: &str) -> bool {
        self.found.iter().any(|(found, _)| *found == name)
    }

    /// True if the field is there and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.has(name) && self.raw(name).is_none()
    }

    /// The JSON of a field that is there and not null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.found.iter().find(|(found, _)| *found == name);
        found
            .map(|(_, value)| value.get())
            .filter(|json| *json != "null")
    }

    /// Oddities that the field could not be read.
    pub fn unreadable(&self, name: &str, expected: &str) {
        self.notes.odd(format!(
            "{} left out: {expected} was expected",
            self.place(name)
        ));
    }

    /// A text as it is written; a number or a boolean is read as its spelling.
    pub fn text(&self, name: &str) -> Option<String> {
        let json = self.raw(name)?;
        let text = scalar(json);
        if text.is_none() {
            self.unreadable(name, "a text");
        } else if !json.starts_with('"') {
            self.odd_type(name, "a text");
        }
        text
    }

    /// A text without outer white space, if something is left of it.
    pub fn word(&self, name: &str) -> Option<String> {
        non_blank(&self.text(name)?)
    }

    /// An id that is good to have; one that cannot be used is left out.
    pub fn id<T>(&self, name: &str, parse: fn(&str) -> Result<T, BadId>) -> Option<T> {
        if !self.raw(name)?.starts_with('"') {
            self.unreadable(name, "an id");
            return None;
        }
        self.checked_id(&self.word(name)?, parse)
    }

    /// The same of a text that was read already.
    pub fn checked_id<T>(&self, written: &str, parse: fn(&str) -> Result<T, BadId>) -> Option<T> {
        let left_out = |err: BadId| {
            let shown = text::one_line(written, MAX_QUOTE);
            self.notes
                .odd(format!("{} left out: {shown:?}", err.expected));
        };
        parse(written).map_err(left_out).ok()
    }

    /// An address that may be opened.
    pub fn link(&self, name: &str) -> Option<Link> {
        let link = Link::parse(&self.word(name)?);
        if link.is_none() {
            self.unreadable(name, "a link");
        }
        link
    }

    /// A moment: RFC 3339, or seconds or milliseconds since 1970.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        let json = self.raw(name)?;
        let written = scalar(json).unwrap_or_else(|| json.to_owned());
        if written.trim().is_empty() {
            return None;
        }
        let read = read_time(written.trim());
        if read.is_none() {
            self.unreadable(name, "a time such as 2026-10-01T15:00:00Z");
        } else if !json.starts_with('"') {
            self.odd_type(name, "a time such as 2026-10-01T15:00:00Z");
        }
        read
    }

    /// A length in whole seconds: a number, or a text that holds one.
    pub fn seconds(&self, name: &str) -> Option<u32> {
        let json = self.raw(name)?;
        let written = scalar(json).unwrap_or_else(|| json.to_owned());
        if written.trim().is_empty() {
            return None;
        }
        let seconds = written.trim().parse::<f64>().ok().and_then(whole_seconds);
        if seconds.is_none() {
            self.unreadable(name, "a number of seconds");
        } else if json.starts_with('"') {
            self.odd_type(name, "a number of seconds");
        }
        seconds
    }

    /// Yes or no: a boolean, or a word or number that says so; any other text or object says yes.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let json = self.raw(name)?;
        let word = scalar(json).unwrap_or_else(|| json.to_owned());
        let no = ["false", "no", "0", "", "{}", "[]"];
        Some(!no.contains(&word.trim().to_ascii_lowercase().as_str()))
    }

    /// All texts in a field: one, or a list of them; null and what is no text give none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        self.each(name, |json| match scalar(json) {
            Some(text) => texts.push(text),
            None => self.unreadable(name, "a text"),
        });
        texts
    }

    fn odd_type(&self, name: &str, expected: &str) {
        self.notes
            .odd(format!("{} is not written as {expected}", self.place(name)));
    }

    /// The object in a field.
    pub fn object(&self, name: &str, names: &'static [&'static str]) -> Option<Fields<'a, 'n>> {
        let json = self.raw(name)?;
        let object = Fields::of(json, &self.place(name), names, self.notes);
        if object.is_none() {
            self.unreadable(name, "an object");
        }
        object
    }

    /// Hands over the JSON of each item of a list that is not null; of what is no list, itself.
    pub fn each(&self, name: &str, mut take: impl FnMut(&'a str)) {
        let Some(json) = self.raw(name) else { return };
        if json.starts_with('[') {
            each_item(json, take);
        } else {
            take(json);
        }
    }

    /// Hands over each item of a list that is an object. What is none is noted.
    pub fn objects(
        &self,
        name: &str,
        names: &'static [&'static str],
        mut take: impl FnMut(Fields<'a, 'n>),
    ) {
        let place = self.place(name);
        self.each(name, |json| {
            match Fields::of(json, &place, names, self.notes) {
                Some(fields) => take(fields),
                None => self.unreadable(name, "an object"),
            }
        });
    }
}

/// A text, or the spelling of a number or boolean; `None` for objects and lists.
pub fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).ok(),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => Some(json.to_owned()),
    }
}

/// Texts of any simple value, of each value of a list, and of those in an object, named; what lies
/// in lists and objects further in stands in one text. At most [`MOST_TEXTS`].
pub fn loose_texts(json: &str) -> Vec<String> {
    texts_within(json, DEEPEST)
}

fn texts_within(json: &str, depth: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let inner = |json| match depth {
        0 => String::new(),
        depth => texts_within(json, depth - 1).join(", "),
    };
    let mut push = |text: String| {
        if !text.trim().is_empty() && texts.len() < MOST_TEXTS {
            texts.push(text);
        }
    };
    match json.as_bytes().first() {
        Some(b'[') => each_item(json, |item| push(inner(item))),
        Some(b'{') => each_entry(json, |name, item| match inner(item) {
            text if text.is_empty() => {}
            text => push(format!("{name}: {text}")),
        }),
        Some(_) | None => scalar(json).into_iter().for_each(push),
    }
    texts
}

/// Hands over every item of a list that is not null.
pub fn each_item<'a>(json: &'a str, take: impl FnMut(&'a str)) {
    // A document that has been read as a whole has no fault in a part of it.
    let _ = Deserializer::from_str(json).deserialize_seq(ListItems(take));
}

/// Hands over every entry of an object, whatever it is called.
pub fn each_entry<'a>(json: &'a str, take: impl FnMut(String, &'a str)) {
    let _ = Deserializer::from_str(json).deserialize_map(Entries(take));
}

fn read_time(written: &str) -> Option<Timestamp> {
    let time = match written.parse::<i64>() {
        Ok(millis) if millis >= FIRST_MILLIS => Timestamp::from_millisecond(millis).ok()?,
        Ok(seconds) => Timestamp::from_second(seconds).ok()?,
        Err(_) => written.parse().ok()?,
    };
    let year = time.to_zoned_datetime(TimeZone::UTC).year();
    YEARS.contains(&year).then_some(time)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked by the range"
)]
fn whole_seconds(number: f64) -> Option<u32> {
    let whole = number.round();
    (0.0..=f64::from(u32::MAX))
        .contains(&whole)
        .then_some(whole as u32)
}

/// Keeps the fields of an object that have one of these names; the last of several counts.
struct Named(&'static [&'static str]);

impl<'de> Visitor<'de> for Named {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Self::Value = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(name) = self.0.iter().find(|name| **name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            found.retain(|(other, _)| other != name);
            found.push((name, value));
        }
        Ok(found)
    }
}

/// Hands over the items of a list that are not null.
struct ListItems<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for ListItems<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            if item.get() != "null" {
                (self.0)(item.get());
            }
        }
        Ok(())
    }
}

/// Hands over the entries of an object.
struct Entries<F>(F);

impl<'de, F: FnMut(String, &'de str)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            (self.0)(name, entries.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::UserId;

    const NAMES: &[&str] = &["a", "b", "list"];

    /// What a reader makes of the value of `a`, and how many oddities it noted.
    fn read<T>(value: &str, reader: impl Fn(&Fields) -> T) -> (T, usize) {
        let notes = Oddities::default();
        let json = format!(r#"{{"b": 1, "a": {value}, "other": [[]]}}"#);
        let fields = Fields::of(&json, "data", NAMES, &notes).expect("an object");
        let read = reader(&fields);
        drop(fields);
        (read, notes.into_vec().len())
    }

    #[test]
    fn field_of_another_type_is_read_if_it_can_be() {
        let seconds = |value| read(value, |fields| fields.seconds("a"));
        assert_eq!(seconds("312"), (Some(312), 0));
        assert_eq!(seconds("311.6"), (Some(312), 0));
        assert_eq!(seconds("\"312\""), (Some(312), 1));
        for odd in ["\"long\"", "-1", "1e300", "[]", "{}", "true"] {
            assert_eq!(seconds(odd), (None, 1), "{odd}");
        }
        for missing in ["null", "\"\""] {
            assert_eq!(seconds(missing), (None, 0), "{missing}");
        }
        let text = |value| read(value, |fields| fields.text("a"));
        assert_eq!(text("\" x \""), (Some(" x ".into()), 0));
        assert_eq!(text("12"), (Some("12".into()), 1));
        assert_eq!(text("{}"), (None, 1));
    }

    #[test]
    fn times_are_read_in_every_spelling() {
        let time = |value| read(value, |fields| fields.time("a"));
        let at = "2026-10-01T15:00:00Z".parse().ok();
        assert_eq!(time("\"2026-10-01T15:00:00Z\""), (at, 0));
        assert_eq!(time("1790866800"), (at, 1));
        assert_eq!(time("\"1790866800000\""), (at, 0));
        assert_eq!(time("\"yesterday\""), (None, 1));
        assert_eq!(time("\"2026-13-45T99:99:99Z\""), (None, 1));
        assert_eq!(time("\"\""), (None, 0));
    }

    #[test]
    fn lists_may_be_single_and_what_does_not_belong_is_noted() {
        let texts = |value| read(value, |fields| fields.texts("a"));
        assert_eq!(texts("\"x\""), (vec!["x".into()], 0));
        assert_eq!(
            texts("[\"x\", null, 7, {}]"),
            (vec!["x".into(), "7".into()], 1)
        );
        assert_eq!(texts("null"), (vec![], 0));
    }

    #[test]
    fn flags_say_yes_in_many_ways() {
        let flag = |value| read(value, |fields| fields.flag("a")).0;
        for yes in ["true", "1", "\"ai-agent\"", "{\"x\":1}"] {
            assert_eq!(flag(yes), Some(true), "{yes}");
        }
        for no in ["false", "0", "\"\"", "\"no\""] {
            assert_eq!(flag(no), Some(false), "{no}");
        }
        assert_eq!(flag("null"), None);
    }

    #[test]
    fn null_is_told_from_absent_and_the_last_of_two_counts() {
        let notes = Oddities::default();
        let fields = Fields::of(r#"{"a":1,"a":null}"#, "", NAMES, &notes).expect("an object");
        assert!(fields.is_null("a") && !fields.has("b"));
        assert!(Fields::of("[]", "", NAMES, &notes).is_none());
        assert!(Fields::of("\"x\"", "", NAMES, &notes).is_none());
    }

    #[test]
    fn bad_id_is_left_out_and_shown_harmless() {
        let notes = Oddities::default();
        let json = "{\"a\": \"../\u{202e}x\"}";
        let fields = Fields::of(json, "", NAMES, &notes).expect("an object");
        assert_eq!(fields.id("a", UserId::parse), None);
        drop(fields);
        let told = notes.into_vec().concat();
        assert!(
            told.contains("user id") && !told.contains('\u{202e}'),
            "{told}"
        );
    }

    #[test]
    fn loose_values_keep_all_that_they_hold() {
        let check = |json: &str, texts: &[&str]| assert_eq!(loose_texts(json), texts, "{json}");
        check("\"x\"", &["x"]);
        check("[1, \"x\", \" \", [2, 3]]", &["1", "x", "2, 3"]);
        let object = r#"{"a":{"b":[true,1.5,"x"]},"c":null,"d":"y"}"#;
        check(object, &["a: b: true, 1.5, x", "d: y"]);
    }

    /// What a stranger puts there may cost no more than what it brings.
    #[test]
    fn loose_values_are_bounded_in_depth_and_number() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(loose_texts(&deep), Vec::<String>::new());
        let many = format!("{{\"{}\":[{}1]}}", "n".repeat(10_000), "1,".repeat(20_000));
        let texts = loose_texts(&many);
        assert!(texts.concat().len() < 2 * many.len());
        let many = format!("[{}1]", "1,".repeat(20_000));
        assert_eq!(loose_texts(&many).len(), MOST_TEXTS);
    }

    #[test]
    fn time_out_of_all_bounds_is_none() {
        for odd in [
            "0",
            "-1",
            "\"0001-01-01T00:00:00Z\"",
            "\"9999-12-31T23:59:59Z\"",
            "1e30",
        ] {
            let json = format!("{{\"a\":{odd}}}");
            let notes = Oddities::default();
            let fields = Fields::of(&json, "", NAMES, &notes).expect("an object");
            assert_eq!(fields.time("a"), None, "{odd}");
            drop(fields);
            assert_eq!(notes.into_vec().len(), 1, "{odd}");
        }
    }
}
