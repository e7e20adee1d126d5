//! What came of an event, in words that the result JSON repeats.

use super::failure::Failure;
use super::id::{ActivityId, PageId};
use super::phone::Phone;
use super::step::Step;

/// What came of one document, or of what the inbox held.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Of what.
    pub of: Of,
    /// How it ended.
    pub verdict: Verdict,
    /// One per client, in the order of the participants: what was done by then.
    pub pages: Vec<Synced>,
    /// What was met on the way.
    pub notes: Notes,
}

/// What an outcome is of, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Of {
    /// Which document of the input it was, from 1; only of what is no event.
    pub document: Option<usize>,
    /// Event id.
    pub event_id: Option<String>,
    /// Event type with normalised spelling.
    pub event_type: Option<String>,
    /// Call or message id.
    pub activity_id: Option<ActivityId>,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// There was nothing to do, and why.
    Skipped(Reason),
    /// It is kept, and the work left to a replay or another process.
    Queued,
    /// A dry run would do this.
    Planned(Vec<PlannedStep>),
    /// It could not be done.
    Failed(Failure),
}

/// What a person may want to know beside the verdict.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notes {
    /// Things that went not quite as wished.
    pub warnings: Vec<Warning>,
    /// What the operator must see to beside the verdict.
    pub alarms: Vec<Alarm>,
}

impl Outcome {
    /// An outcome with nothing to add.
    pub fn new(of: Of, verdict: Verdict) -> Self {
        Self {
            of,
            verdict,
            pages: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.verdict {
            Verdict::Failed(failure) => Some(failure),
            Verdict::Done | Verdict::Skipped(_) | Verdict::Queued | Verdict::Planned(_) => None,
        }
    }
}

/// Something that the operator must see to; goes to the critical log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What kind.
    pub kind: AlarmKind,
    /// What happened.
    pub message: String,
}

/// What the operator must see to, although an event succeeded, or beside how it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// An event is given up.
    Dead,
    /// Quo refuses the key.
    QuoDenied,
}

impl AlarmKind {
    /// All of them, in the order of the README.
    pub const ALL: &[Self] = &[Self::Dead, Self::QuoDenied];

    /// Its word in critical lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::QuoDenied => "unauthorized",
        }
    }
}

/// A step of a dry run, with the client that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep {
    /// The client.
    pub phone: Phone,
    /// What would be done.
    pub step: Step,
}

/// What was done for one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The client's number.
    pub phone: Phone,
    /// What happened to the page.
    pub action: Action,
    /// The page; unknown only in a dry run that would make it.
    pub page: Option<PageId>,
    /// Title of the page.
    pub client_name: String,
}

/// What happened to a client page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Created,
    /// It was added to.
    Updated,
    /// It had everything already.
    Skipped,
}

impl Action {
    /// Its word in results.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
        }
    }
}

/// Why an event needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Everything it says was there already.
    Duplicate,
    /// A type that is not handled.
    UnsupportedEvent,
    /// No participant can be a client.
    NoClientNumber,
    /// Nothing tells who took part, or which contact it is.
    MissingFields,
    /// Handled, but it brings nothing that is written.
    NothingNew,
    /// The user has left this line or number out.
    NotWanted,
    /// Quo's own test of a subscription.
    Test,
}

/// Why a person may want to look at a result; a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningCode {
    /// The payload is not quite what Quo documents.
    OddPayload,
    /// The payload lacks something that is needed.
    MissingField,
    /// The database has no such column.
    PropertyMissing,
    /// Notion refused the value.
    PropertyRejected,
    /// Notion refused it, and did not say its name.
    PropertyDropped,
    /// The value does not fit the type of the column.
    PropertyTooLong,
    /// The column cannot hold such a value.
    PropertyUnwritable,
    /// Several pages have the number.
    SeveralPages,
    /// The client's page is archived.
    PageArchived,
    /// An entry may lie deeper on its page than is looked.
    EntryMoved,
    /// A participant is no usable number.
    NotAClient,
    /// Quo did not answer.
    QuoUnavailable,
    /// Quo refused the key.
    QuoDenied,
    /// There is no key for Quo.
    QuoKeyMissing,
    /// A setting is wrong; the event is kept until it is right.
    SettingsWrong,
    /// The store cannot be reached; the event is kept in a file.
    Spooled,
    /// That an event has failed could not be noted.
    Store,
}

impl WarningCode {
    /// All of them, in the order of the README.
    pub const ALL: &[Self] = &[
        Self::OddPayload,
        Self::MissingField,
        Self::PropertyMissing,
        Self::PropertyRejected,
        Self::PropertyDropped,
        Self::PropertyTooLong,
        Self::PropertyUnwritable,
        Self::SeveralPages,
        Self::PageArchived,
        Self::EntryMoved,
        Self::NotAClient,
        Self::QuoUnavailable,
        Self::QuoDenied,
        Self::QuoKeyMissing,
        Self::SettingsWrong,
        Self::Spooled,
        Self::Store,
    ];

    /// Its word in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::OddPayload => "odd_payload",
            Self::MissingField => "missing_field",
            Self::PropertyMissing => "property_missing",
            Self::PropertyRejected => "property_rejected",
            Self::PropertyDropped => "property_dropped",
            Self::PropertyTooLong => "property_too_long",
            Self::PropertyUnwritable => "property_unwritable",
            Self::SeveralPages => "several_pages",
            Self::PageArchived => "page_archived",
            Self::EntryMoved => "entry_moved",
            Self::NotAClient => "not_a_client",
            Self::QuoUnavailable => "quo_unavailable",
            Self::QuoDenied => "quo_denied",
            Self::QuoKeyMissing => "quo_key_missing",
            Self::SettingsWrong => "settings_wrong",
            Self::Spooled => "spooled",
            Self::Store => "store",
        }
    }
}

/// Something that a person may want to know, although the event succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which kind of thing.
    pub code: WarningCode,
    /// The column, where one is concerned.
    pub property: Option<String>,
    /// What happened.
    pub message: String,
}

impl Warning {
    /// A warning that concerns no column.
    pub fn new(code: WarningCode, message: impl Into<String>) -> Self {
        Self {
            code,
            property: None,
            message: message.into(),
        }
    }

    /// A warning about a column.
    pub fn property(code: WarningCode, property: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            property: Some(property.to_owned()),
            message: message.into(),
        }
    }
}
