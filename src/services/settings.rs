//! What the user has set, checked. Made once at the start; what is only absent is `None`, and a
//! failure of the operator's where it is needed.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::domain::choice::Choice;
use crate::domain::columns::ColumnNames;
use crate::domain::failure::{Cause, Failure};
use crate::domain::id::DatabaseId;
use crate::http::{BaseUrl, Proxies, Window};
use crate::secret::Secret;
use crate::signature::{Headers, Secrets, Tolerance};
use crate::store::{Place, RetryPolicy};
use crate::time::Deadline;

/// Most failures that are told as one.
const MOST: usize = 20;

/// All settings.
pub struct Settings {
    /// Folder of everything that is kept.
    pub dir: PathBuf,
    /// Where the store lies.
    pub store: Place,
    /// Checking of signatures.
    pub signature: SignatureCheck,
    /// Longest time for one payload.
    pub deadline: Option<Duration>,
    /// Write nothing.
    pub dry_run: bool,
    /// Access to Notion.
    pub notion: Option<Access>,
    /// Notion's API version.
    pub notion_version: String,
    /// Access to Quo.
    pub quo: Option<Access>,
    /// The Clients database.
    pub clients_database: Option<DatabaseId>,
    /// The database of calls; only looked at so far.
    pub calls_database: Option<DatabaseId>,
    /// The database of messages; only looked at so far.
    pub messages_database: Option<DatabaseId>,
    /// What its columns are called.
    pub columns: ColumnNames,
    /// Quo's custom field that holds tags.
    pub tags_field: String,
    /// How long the contact index is believed.
    pub contacts_ttl: SignedDuration,
    /// Zone of times in entries, and of dates on the command line.
    pub zone: TimeZone,
    /// True if `quotion.toml` names it.
    pub has_zone: bool,
    /// After a write of unknown outcome: how long until a look that finds nothing is believed.
    pub settle: Duration,
    /// How long Notion may work on a write that it has not answered; added to `settle`.
    pub silence: Duration,
    /// Which lines and numbers are wanted.
    pub choice: Choice,
    /// When to try again what has failed.
    pub retry_policy: RetryPolicy,
    /// How long finished events are kept whole.
    pub keep_done: Duration,
    /// Where alerts go.
    pub alert: Option<BaseUrl>,
    /// By which proxy other machines are reached.
    pub proxies: Proxies,
    /// Whether colours are wanted, and shown, on a terminal.
    pub in_colour: bool,
    /// What is in force and where it comes from; only for who shows it, else empty.
    pub told: Vec<Told>,
    /// What the main job needs and is not set at all; what is set and wrong is not among it.
    pub missing: Vec<Required>,
    /// All that is wrong, and does not keep events from being kept.
    pub wrong: Option<Failure>,
}

/// A setting, as it may be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// What is in force, of a secret only that it is set; `None` where nothing is.
    pub value: Option<String>,
    /// Where it comes from.
    pub from: String,
}

/// A setting without which the main job cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// The key of Notion.
    NotionKey,
    /// The Clients database.
    ClientsDatabase,
}

/// How a payload's signature is to be checked.
pub struct SignatureCheck {
    /// What was passed; `None` without `--signature`.
    pub headers: Option<Headers>,
    /// Secrets that may have signed.
    pub secrets: Secrets,
    /// True if a payload without signature is refused.
    pub required: bool,
    /// Age window.
    pub tolerance: Tolerance,
}

/// How to reach a vendor.
pub struct Access {
    /// The key.
    pub key: Secret,
    /// The API's address.
    pub base: BaseUrl,
    /// How many requests in which time.
    pub window: Window,
}

impl Settings {
    /// All that is wrong, at once. Missing settings are not among it.
    pub fn check(&self) -> Result<(), Failure> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    /// The same, and what the main job lacks.
    pub fn check_for_sync(&self) -> Result<(), Failure> {
        let missing = self.missing.iter().map(|one| one.is_not_set());
        let all = self.wrong.clone().into_iter().chain(missing);
        joined(all.collect()).map_or(Ok(()), Err)
    }

    /// Access to Notion.
    pub fn notion(&self) -> Result<&Access, Failure> {
        self.check()?;
        let access = self.notion.as_ref();
        access.ok_or_else(|| Required::NotionKey.is_not_set())
    }

    /// Access to Quo; `None` without a key.
    pub fn quo(&self) -> Result<Option<&Access>, Failure> {
        self.check()?;
        Ok(self.quo.as_ref())
    }

    /// The Clients database.
    pub fn clients_database(&self) -> Result<&DatabaseId, Failure> {
        self.check()?;
        let database = self.clients_database.as_ref();
        database.ok_or_else(|| Required::ClientsDatabase.is_not_set())
    }

    /// The deadline of so many payloads that begin now.
    pub fn deadline_for(&self, payloads: usize) -> Deadline {
        let payloads = u32::try_from(payloads).unwrap_or(u32::MAX);
        let length = self.deadline.map(|each| each.saturating_mul(payloads));
        length.map_or_else(Deadline::none, Deadline::within)
    }
}

impl Required {
    /// What the absence means.
    pub fn is_not_set(self) -> Failure {
        match self {
            Self::NotionKey => Failure::config(
                "NOTION_API_KEY is not set",
                "make an integration at notion.so/my-integrations and set its token",
            )
            .held_by(Cause::NOTION_KEY),
            Self::ClientsDatabase => Failure::config(
                "NOTION_CLIENTS_DATABASE_ID is not set",
                "set it to the Clients database's link or id",
            )
            .held_by(Cause::CLIENTS_DATABASE),
        }
    }
}

/// Makes one failure of all; `None` when there is none. Its kind is the first one's.
pub fn joined(failures: Vec<Failure>) -> Option<Failure> {
    let count = failures.len();
    let mut failures = failures.into_iter();
    let mut whole = failures.next()?;
    for failure in failures.take(MOST - 1) {
        whole.message.push_str("; ");
        whole.message.push_str(&failure.message);
        if !whole.hint.contains(&failure.hint) {
            whole.hint.push_str("; ");
            whole.hint.push_str(&failure.hint);
        }
    }
    if count > MOST {
        let further = format!("; and {} more", count - MOST);
        whole.message.push_str(&further);
    }
    Some(whole)
}
