//! A bad ending: of what kind, what to do about it, and whose it is to do.
//!
//! Apart because every part of the program can fail, and a person reads all of it in one form. Each
//! error is made into one beside its own definition. What an exit code is stands in `exit`.

use std::fmt;
use std::time::Duration;

use super::id::PageId;

/// Kind of a failure, as in results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong command line.
    Usage,
    /// The payload is not what it should be.
    Payload,
    /// The signature is refused.
    Signature,
    /// A setting is missing or wrong.
    Config,
    /// A vendor refuses the key.
    Unauthorized,
    /// A database is not there or not shared.
    NotFound,
    /// A vendor refuses what was sent.
    Refused,
    /// A vendor says: slower.
    RateLimited,
    /// A vendor cannot be reached, or a write's outcome is not known.
    Unavailable,
    /// It took too long.
    Deadline,
    /// The store or a file.
    Store,
    /// A bug of ours.
    Internal,
}

impl Kind {
    /// The kind's word in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Payload => "payload",
            Self::Signature => "signature",
            Self::Config => "config",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
            Self::Store => "store",
            Self::Internal => "internal",
        }
    }

    fn whose(self) -> Whose {
        match self {
            Self::Payload | Self::Signature | Self::Refused | Self::Internal => Whose::Event,
            Self::RateLimited | Self::Unavailable | Self::Deadline => Whose::Vendor,
            Self::Usage | Self::Config | Self::Unauthorized | Self::NotFound | Self::Store => {
                Whose::Operator
            }
        }
    }
}

/// Where what has to change lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// In this event: others may well succeed.
    Event,
    /// With a vendor, or on the way to it: time may mend it.
    Vendor,
    /// With the operator: a setting, a key, something that is not shared, a disk.
    Operator,
}

/// What the operator has to mend; events are held by it, and go on once one of them passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// What this setting says, or what it leads to.
    Setting(&'static str),
    /// Some of the settings; the message says which.
    Settings,
    /// A page that cannot be written to.
    Page(PageId),
    /// A free workspace that holds as many blocks as it may.
    BlockLimit,
    /// The store, or a file.
    Store,
}

impl Cause {
    /// The key of Notion.
    pub const NOTION_KEY: Self = Self::Setting("NOTION_API_KEY");
    /// The address of Notion's API.
    pub const NOTION_BASE: Self = Self::Setting("NOTION_API_BASE");
    /// The version of Notion's API.
    pub const NOTION_VERSION: Self = Self::Setting("NOTION_VERSION");
    /// The Clients database.
    pub const CLIENTS_DATABASE: Self = Self::Setting("NOTION_CLIENTS_DATABASE_ID");
    /// The names of the columns that hold phone numbers.
    pub const PHONE_COLUMN: Self = Self::Setting("[clients] phone");
    /// The key of Quo.
    pub const QUO_KEY: Self = Self::Setting("OPENPHONE_API_KEY");
    /// The address of Quo's API.
    pub const QUO_BASE: Self = Self::Setting("OPENPHONE_API_BASE");
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => f.write_str(name),
            Self::Settings => f.write_str("settings"),
            Self::Page(page) => page.fmt(f),
            Self::BlockLimit => f.write_str("block_limit"),
            Self::Store => f.write_str("store"),
        }
    }
}

/// Whether the same may succeed another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hope {
    /// Later, by itself.
    Later,
    /// Once something has changed.
    Mended,
    /// Never.
    Never,
}

const STOPPED: &str = "stopped by a signal before it was done";

/// A bad ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: Kind,
    /// What happened, in one line.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// Whose it is to do.
    pub whose: Whose,
    /// Whether the same may succeed another time.
    pub hope: Hope,
    /// The vendor's id of the request, which its support asks for.
    pub request_id: Option<String>,
    /// What the operator has to mend, where that is known.
    pub cause: Option<Cause>,
    /// How long to wait before the next try, where somebody has said so.
    pub retry_after: Option<Duration>,
    /// True if it was not met with: it would be the same as another's.
    pub is_foreseen: bool,
    /// True if the operator has been told of it before.
    pub is_known: bool,
}

impl Failure {
    /// A failure of the kind, with what that kind means for the rest.
    pub fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let whose = kind.whose();
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
            whose,
            hope: if whose == Whose::Vendor {
                Hope::Later
            } else {
                Hope::Mended
            },
            request_id: None,
            cause: None,
            retry_after: None,
            is_foreseen: false,
            is_known: false,
        }
    }

    /// A wrong or missing setting.
    pub fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Config, message, hint)
    }

    /// The program was told to stop before this was done.
    pub fn stopped() -> Self {
        let hint = "what was received is kept, and quotion replay goes on with it; a backfill goes \
            on when it is run again";
        Self::new(Kind::Deadline, STOPPED, hint)
    }

    /// The same, with the hope that there is.
    #[must_use]
    pub fn with_hope(self, hope: Hope) -> Self {
        Self { hope, ..self }
    }

    /// The same, as the operator's, who has to mend that.
    #[must_use]
    pub fn held_by(self, cause: Cause) -> Self {
        Self {
            whose: Whose::Operator,
            cause: Some(cause),
            ..self
        }
    }

    /// What its event is held by; `None` where no operator need act.
    pub fn cause(&self) -> Option<Cause> {
        let is_mended_by_time = self.is_retryable() || self.hope == Hope::Never;
        if self.whose != Whose::Operator || is_mended_by_time {
            return None;
        }
        let of_kind = if self.kind == Kind::Store {
            Cause::Store
        } else {
            Cause::Settings
        };
        Some(self.cause.clone().unwrap_or(of_kind))
    }

    /// True if nothing was done because the program was told to stop.
    pub fn is_stop(&self) -> bool {
        self.message == STOPPED
    }

    /// True if the same may succeed later, by itself.
    pub fn is_retryable(&self) -> bool {
        self.hope == Hope::Later
    }

    /// True if the operator must hear of it at once.
    pub fn is_critical(&self) -> bool {
        let is_theirs = matches!(self.kind, Kind::Usage | Kind::Payload | Kind::Signature);
        !self.is_retryable() && !is_theirs && !self.is_known
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
