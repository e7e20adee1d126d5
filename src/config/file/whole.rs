//! What the file says, with the default of each key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::domain::choice::Choice;
use crate::domain::columns::ColumnNames;

/// The whole file.
#[derive(Debug)]
pub struct File {
    /// Zone of times in entries.
    pub timezone: Option<TimeZone>,
    /// Column names of the Clients database.
    pub columns: ColumnNames,
    /// Which lines and numbers the user wants.
    pub choice: Choice,
    /// The custom field that holds tags.
    pub tags_field: String,
    /// How long the contact index is believed.
    pub contacts_ttl: SignedDuration,
    /// Most requests to Quo in a second.
    pub requests_per_second: u32,
    /// Most requests to Notion in a minute.
    pub requests_per_minute: u32,
    /// After a write of unknown outcome: how long until a look that finds nothing is believed.
    pub settle: SignedDuration,
    /// How long Notion may work on a write that it has not answered; if only `settle` is set, six
    /// times that.
    pub silence: SignedDuration,
    /// After so many failures of its own an event is dead.
    pub attempts: u32,
    /// For how long what is not the event's fault is tried.
    pub give_up: SignedDuration,
    /// Wait after the first failure.
    pub first_retry: SignedDuration,
    /// How long finished events are kept whole.
    pub keep_done: SignedDuration,
    /// Where it lies, if there is one.
    pub path: Option<PathBuf>,
    /// Lines of the keys that it holds, by name.
    pub lines: BTreeMap<String, usize>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            timezone: None,
            columns: ColumnNames::default(),
            choice: Choice::default(),
            tags_field: "Tags".into(),
            contacts_ttl: SignedDuration::from_hours(6),
            requests_per_second: 10,
            requests_per_minute: 180,
            settle: SignedDuration::from_secs(10),
            silence: SignedDuration::from_mins(1),
            attempts: 8,
            give_up: SignedDuration::from_hours(14 * 24),
            first_retry: SignedDuration::from_secs(30),
            keep_done: SignedDuration::from_hours(30 * 24),
            path: None,
            lines: BTreeMap::new(),
        }
    }
}
