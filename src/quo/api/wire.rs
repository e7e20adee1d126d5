//! Reading Quo's JSON: the envelope, null where a value is expected, and loosely typed values.
//!
//! Apart from the operations because all of them read this way: unknown fields are ignored, missing
//! ones tolerated, and of a list only the records that cannot be read are lost.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::refusal::Error;
use crate::bounded::AtMost;
use crate::domain::id::ActivityId;
use crate::domain::profile::non_blank;
use crate::quo::words::{Fields, OBJECT, Oddities};

/// The envelope of every reply.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// Reads the `data` of a reply.
pub(super) fn data<'a, T: Deserialize<'a>>(what: &'static str, body: &'a [u8]) -> Result<T, Error> {
    value::<Envelope<T>>(what, body).map(|envelope| envelope.data)
}

/// Reads a whole JSON text; the error names the place.
pub(super) fn value<'a, T: Deserialize<'a>>(
    what: &'static str,
    body: &'a [u8],
) -> Result<T, Error> {
    let reader = &mut serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(reader).map_err(|cause| Error::unreadable(what, cause, body))
}

/// The records of a list. A page holds at most 100; only the list of own numbers is not paged.
pub(super) type Records<'a> = AtMost<&'a RawValue, 10_000>;

/// Reads each record of a list alone; one that cannot be read is left out with a warning.
pub(super) fn each<T>(records: &[&RawValue], read: impl Fn(&str) -> Result<T, Error>) -> Vec<T> {
    let read = |record: &RawValue| {
        read(record.get())
            .inspect_err(|err| log::warn!("record left out: {err}"))
            .ok()
    };
    records.iter().filter_map(|record| read(record)).collect()
}

/// For fields that may be missing or null: the type's own empty value.
pub(super) fn or_default<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(reader).map(Option::unwrap_or_default)
}

/// A time, or `None` where it cannot be read: no time is worth losing a record for.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Reads the object under `data` of a reply; oddities in it are logged.
pub(super) fn object<T>(
    what: &'static str,
    body: &[u8],
    read: impl FnOnce(&Fields) -> Result<T, Error>,
) -> Result<T, Error> {
    let json = data::<&RawValue>(what, body)?;
    let notes = Oddities::default();
    let fields = Fields::of(json.get(), what, OBJECT, &notes)
        .ok_or_else(|| Error::unreadable(what, "data is no object", body))?;
    let read = read(&fields);
    drop(fields);
    log_oddities(notes);
    read
}

/// The id of a call or message that was asked for.
pub(super) fn activity_id(
    what: &'static str,
    fields: &Fields,
    body: &[u8],
) -> Result<ActivityId, Error> {
    let id = ActivityId::parse(&fields.word("id").unwrap_or_default());
    id.map_err(|bad| Error::unreadable(what, bad, body))
}

/// Oddities of a reply are nobody's result: they are only logged.
pub(super) fn log_oddities(notes: Oddities) {
    for oddity in notes.into_vec() {
        log::info!("quo: {oddity}");
    }
}

/// The parts that are not blank, joined with a blank; `None` when nothing is left.
pub(super) fn joined(parts: [Option<&str>; 2]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().filter_map(non_blank).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
