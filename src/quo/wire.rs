//! Reading Quo's JSON: the envelope, null where a value is expected, and loosely typed values.
//!
//! Apart from the operations because all of them read this way: unknown fields are ignored, missing
//! ones tolerated, and of a list only the records that cannot be read are lost.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::refusal::Error;
use crate::domain::profile::non_blank;

/// The envelope of every reply.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// Reads the `data` of a reply.
pub(super) fn data<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, Error> {
    value::<Envelope<T>>(what, body).map(|envelope| envelope.data)
}

/// Reads a whole JSON text; the error names the place.
pub(super) fn value<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, Error> {
    let reader = &mut serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(reader).map_err(|cause| Error::unreadable(what, cause, body))
}

/// Reads each record of a list alone; one that cannot be read is left out with a warning.
pub(super) fn each<T>(
    records: &[Box<RawValue>],
    read: impl Fn(&str) -> Result<T, Error>,
) -> Vec<T> {
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

/// Whole seconds of a duration, which is a float in some replies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and negative ones are dropped"
)]
pub(super) fn seconds(duration: Option<f64>) -> Option<u32> {
    duration
        .filter(|secs| *secs >= 0.0)
        .map(|secs| secs.round() as u32)
}

/// The texts in a loosely typed value: of a list each, of a number or boolean its spelling, of the
/// rest none.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::String(text) => non_blank(text).into_iter().collect(),
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

/// The parts that are not blank, joined with a blank; `None` when nothing is left.
pub(super) fn joined(parts: [Option<&str>; 2]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().filter_map(non_blank).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
