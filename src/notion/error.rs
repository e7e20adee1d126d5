//! What goes wrong with Notion, and what there is to do about it.

use std::fmt;

use serde_json::Value as Json;

use crate::domain::failure::{Failure, Kind, Whose};
use crate::http;

use super::rejection;

/// Trouble with Notion.
#[derive(Debug)]
pub enum Error {
    /// The request failed.
    Http(http::Error),
    /// The database has several data sources, and none or more than one can be the clients'.
    Ambiguous(String),
    /// What is configured as a database is none that can be used; what Notion says of it.
    Unusable(String),
    /// The answer is not what the API promises, or a walk did not end.
    Unreadable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(err) => err.fmt(f),
            Self::Ambiguous(what) | Self::Unreadable(what) => write!(f, "notion: {what}"),
            Self::Unusable(what) => write!(
                f,
                "NOTION_CLIENTS_DATABASE_ID names no database that can be used: {what}"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<http::Error> for Error {
    fn from(err: http::Error) -> Self {
        Self::Http(err)
    }
}

impl Error {
    /// The body of a refusal with this status, if it is one.
    pub fn refusal(&self, wanted: u16) -> Option<&Json> {
        match self {
            Self::Http(http::Error::Refused { status, body, .. }) if *status == wanted => {
                Some(body)
            }
            Self::Http(_) | Self::Ambiguous(_) | Self::Unusable(_) | Self::Unreadable(_) => None,
        }
    }

    /// True if an id is not that of what was asked for.
    pub(super) fn is_no_such_thing(&self) -> bool {
        let of_the_id = |body: &Json| !rejection::says_version(body);
        self.refusal(404).is_some() || self.refusal(400).is_some_and(of_the_id)
    }

    /// True if so many items of a list at once are too much, for Notion or for us.
    pub(super) fn asks_for_less(&self) -> bool {
        self.refusal(503).is_some() || matches!(self, Self::Http(http::Error::TooLarge { .. }))
    }
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        let message = err.to_string();
        match err {
            Error::Http(err) => of_http(err),
            Error::Ambiguous(_) => Self {
                whose: Whose::Operator,
                ..Self::new(
                    Kind::Refused,
                    message,
                    "keep the phone column in only one of the data sources, or name it \
                        differently in the others",
                )
            },
            Error::Unusable(_) => Self::config(
                message,
                "open the database itself as a full page, not a page or a linked view of it, and \
                    take the link from its menu ···",
            ),
            Error::Unreadable(_) => Self::new(
                Kind::Unavailable,
                message,
                "run again later; if it stays so, report it",
            ),
        }
    }
}

fn of_http(err: http::Error) -> Failure {
    let (kind, whose, hint) = match &err {
        http::Error::Refused { status: 401, .. } => (
            Kind::Unauthorized,
            Whose::Operator,
            "check NOTION_API_KEY; a new one may take half a minute to work",
        ),
        http::Error::Refused {
            status: 403, body, ..
        } if !body["additional_data"]["block_limit"].is_null() => (
            Kind::Refused,
            Whose::Operator,
            "this workspace has reached the number of blocks that a free one may hold: delete \
                some or change the plan, and quotion replay goes on",
        ),
        http::Error::Refused { status: 403, .. } => (
            Kind::Unauthorized,
            Whose::Operator,
            "give the Notion integration the rights to read, insert and update content",
        ),
        http::Error::Refused { status: 404, .. } => (
            Kind::NotFound,
            Whose::Operator,
            "share the database with the integration (its menu ··· > Connections), and check its \
                id",
        ),
        http::Error::Refused {
            status: 400, body, ..
        } if rejection::says_version(body) => (
            Kind::Config,
            Whose::Operator,
            "set NOTION_VERSION to a version that Notion has, or remove it; the default is \
                2022-06-28",
        ),
        http::Error::Blocked { .. } => (
            Kind::Refused,
            Whose::Operator,
            "Notion has blocked this integration; write to its support",
        ),
        http::Error::Refused { .. }
        | http::Error::NotNow { .. }
        | http::Error::Unknown { .. }
        | http::Error::Deadline { .. }
        | http::Error::Untrusted { .. }
        | http::Error::Invalid { .. }
        | http::Error::TooLarge { .. }
        | http::Error::Unreadable { .. } => return err.into(),
    };
    let failure: Failure = err.into();
    Failure {
        kind,
        whose,
        hint: hint.to_owned(),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(status: u16, body: Json, kind: Kind, whose: Whose) {
        let err = http::Error::Refused {
            what: "notion: POST /pages".into(),
            status,
            body,
            text: String::new(),
            request_id: None,
        };
        let failure = Failure::from(Error::Http(err));
        assert_eq!((failure.kind, failure.whose), (kind, whose), "{status}");
        assert!(failure.is_critical() && !failure.is_retryable(), "{status}");
    }

    #[test]
    fn each_refusal_is_somebodys() {
        let full = json!({"code": "restricted_resource",
            "additional_data": {"block_limit": {"current": 1001}}});
        let version = json!({"code": "validation_error",
            "message": "The Notion-Version header is not supported."});
        check(401, json!({}), Kind::Unauthorized, Whose::Operator);
        check(403, json!({}), Kind::Unauthorized, Whose::Operator);
        check(403, full, Kind::Refused, Whose::Operator);
        check(404, json!({}), Kind::NotFound, Whose::Operator);
        check(400, version, Kind::Config, Whose::Operator);
        check(400, json!({}), Kind::Refused, Whose::Event);
        check(413, json!({}), Kind::Refused, Whose::Event);
        let unusable = Failure::from(Error::Unusable("a page".into()));
        assert_eq!(
            (unusable.kind, unusable.whose),
            (Kind::Config, Whose::Operator)
        );
        let unreadable = Failure::from(Error::Unreadable("no list".into()));
        assert_eq!(
            (unreadable.whose, unreadable.is_retryable()),
            (Whose::Vendor, true)
        );
    }
}
