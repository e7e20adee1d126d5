//! Why an event could not be put into Notion.

use std::fmt;
use std::time::Duration;

use crate::domain::failure::{Cause, Failure, Hope, Kind};
use crate::domain::id::{BlockId, PageId};
use crate::{http, notion, quo, store};

/// Why an event could not be put into Notion.
#[derive(Debug)]
pub enum Error {
    /// Notion refused, or could not be reached.
    Notion(notion::Error),
    /// The store failed.
    Store(store::Error),
    /// The call or message itself had to be read from Quo, and could not be.
    Quo(quo::Error),
    /// Quo does not have the call or message, or one of its artifacts (yet).
    Unknown(String),
    /// Own numbers would have to be known to tell who is a client, and Quo could not be asked.
    OwnNumbersNeeded,
    /// Something has to be read from Quo, and there is no key to ask with.
    KeyNeeded(String),
    /// More outside members than any group of Quo's has.
    Crowd(usize),
    /// The database lacks a column without which nothing can be written.
    NoColumn(String),
    /// The client's page is archived and takes no writes: which one, and what Notion says.
    Archived(PageId, String),
    /// A block of the client's page cannot be listed.
    Unlistable(Unlistable),
    /// A write whose outcome is not known, also after looking.
    Unsettled(String),
    /// The same of an earlier one; it is known for how long at most.
    Pending(Duration),
    /// The rest of a wide event has to leave room for others; for how long.
    NoRoom(Duration),
}

/// What cannot be listed, so that nobody knows what stands there.
#[derive(Debug)]
pub struct Unlistable {
    /// The page.
    pub page: PageId,
    /// What was listed: the page itself, or a block on it.
    pub block: BlockId,
    /// What Notion says.
    pub why: String,
}

impl Error {
    /// True for a write of which nobody knows whether it was done.
    pub fn is_unknown_outcome(&self) -> bool {
        matches!(
            self,
            Self::Notion(notion::Error::Http(http::Error::Unknown { .. }))
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notion(err) => err.fmt(f),
            Self::Store(err) => err.fmt(f),
            Self::Quo(err) => {
                let cause = std::error::Error::source(err)
                    .map_or(String::new(), |cause| format!(": {cause}"));
                write!(f, "cannot read the activity from quo: {err}{cause}")
            }
            Self::Unknown(what)
            | Self::KeyNeeded(what)
            | Self::NoColumn(what)
            | Self::Unsettled(what) => f.write_str(what),
            Self::Pending(_) => f.write_str("the outcome of an earlier write is not known yet"),
            Self::NoRoom(_) => f.write_str(
                "some of the group's pages are written; the others follow when other events had \
                    their turn",
            ),
            Self::Crowd(members) => write!(
                f,
                "{members} outside members are named, and no group of Quo's has more than {}",
                super::people::MOST_MEMBERS
            ),
            Self::Archived(page, why) => {
                write!(
                    f,
                    "the client's page {page} is archived and takes no writes: {why}"
                )
            }
            Self::Unlistable(it) => write!(
                f,
                "block {} of the client's page {} cannot be listed: {}",
                it.block, it.page, it.why
            ),
            Self::OwnNumbersNeeded => f.write_str(
                "a group cannot be told from own numbers, and quo could not be asked \
                    which these are",
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<notion::Error> for Error {
    fn from(err: notion::Error) -> Self {
        Self::Notion(err)
    }
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Self::Store(err)
    }
}

impl From<quo::Error> for Error {
    fn from(err: quo::Error) -> Self {
        Self::Quo(err)
    }
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        let message = err.to_string();
        let unavailable = |hint: &str| Self::new(Kind::Unavailable, message.clone(), hint);
        match err {
            Error::Notion(err) => err.into(),
            Error::Store(err) => err.into(),
            Error::Quo(err) => match Self::from(err) {
                stopped if stopped.is_stop() => stopped,
                failure => Self { message, ..failure },
            },
            Error::Unknown(_) => unavailable("it may only be too early; run again later"),
            Error::OwnNumbersNeeded => unavailable("run again when Quo answers"),
            Error::Unsettled(_) => {
                unavailable("run the same payload again; it is looked for first")
            }
            Error::Pending(left) => Self {
                retry_after: Some(left),
                ..unavailable("run the same payload again; it is looked for first")
            },
            Error::NoRoom(left) => Self {
                retry_after: Some(left),
                ..Self::new(Kind::RateLimited, message, "quotion replay goes on with it")
            },
            Error::KeyNeeded(_) => {
                Self::config(message, "set OPENPHONE_API_KEY to a key of the workspace")
                    .held_by(Cause::QUO_KEY)
            }
            Error::NoColumn(_) => Self::config(
                message,
                "set the column's name in quotion.toml under [clients], or add it in Notion",
            )
            .held_by(Cause::PHONE_COLUMN),
            Error::Archived(page, _) => {
                let hint = format!(
                    "restore {} in Notion, or put it into the trash for a new one; quotion replay \
                        goes on",
                    address(page.as_str())
                );
                Self::new(Kind::Refused, message, hint).held_by(Cause::Page(page))
            }
            Error::Unlistable(it) => {
                let hint = format!(
                    "open {}#{} and move what Notion's API does not give out to another page, or \
                        delete it; quotion replay goes on",
                    address(it.page.as_str()),
                    it.block.as_str().replace('-', "")
                );
                Self::new(Kind::Refused, message, hint).held_by(Cause::Page(it.page))
            }
            Error::Crowd(_) => Self::new(
                Kind::Refused,
                message,
                "look at the payload: participants, recipients or a list with commas",
            )
            .with_hope(Hope::Never),
        }
    }
}

/// Where a person sees a page.
fn address(page: &str) -> String {
    format!("https://www.notion.so/{}", page.replace('-', ""))
}
