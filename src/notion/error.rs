//! What goes wrong with Notion, and what there is to do about it.

use std::fmt;

use serde_json::Value as Json;

use crate::domain::failure::{Cause, Failure, Kind};
use crate::domain::id::PageId;
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
            Error::Ambiguous(_) => Self::new(
                Kind::Refused,
                message,
                "keep the phone column in only one of the data sources, or name it differently in \
                    the others",
            )
            .held_by(Cause::CLIENTS_DATABASE),
            Error::Unusable(_) => Self::config(
                message,
                "open the database itself as a full page, not a page or a linked view of it, and \
                    take the link from its menu ···",
            )
            .held_by(Cause::CLIENTS_DATABASE),
            Error::Unreadable(_) => Self::new(
                Kind::Unavailable,
                message,
                "run again later; if it stays so, report it",
            ),
        }
    }
}

fn of_http(err: http::Error) -> Failure {
    let (kind, cause, hint) = match &err {
        http::Error::Refused {
            status, path, body, ..
        } => match of_refusal(*status, path, body) {
            Some(meaning) => meaning,
            None => return err.into(),
        },
        http::Error::Blocked { .. } => (
            Kind::Refused,
            Cause::NOTION_KEY,
            "Notion has blocked this integration; write to its support",
        ),
        http::Error::Untrusted { .. } => return Failure::from(err).held_by(Cause::NOTION_BASE),
        http::Error::Invalid { .. } => return Failure::from(err).held_by(Cause::NOTION_KEY),
        http::Error::NotNow { .. }
        | http::Error::Unknown { .. }
        | http::Error::Deadline { .. }
        | http::Error::TooLarge { .. }
        | http::Error::Unreadable { .. } => return err.into(),
    };
    let failure: Failure = err.into();
    Failure {
        kind,
        hint: hint.to_owned(),
        ..failure
    }
    .held_by(cause)
}

/// What a refusal means that is the operator's; `None` for the others.
fn of_refusal(status: u16, path: &str, body: &Json) -> Option<(Kind, Cause, &'static str)> {
    Some(match (status, page_of(path)) {
        (401, _) => (
            Kind::Unauthorized,
            Cause::NOTION_KEY,
            "check NOTION_API_KEY; a new one may take half a minute to work",
        ),
        (403, _) if !body["additional_data"]["block_limit"].is_null() => (
            Kind::Refused,
            Cause::BlockLimit,
            "this workspace has reached the number of blocks that a free one may hold: delete \
                some or change the plan, and quotion replay goes on",
        ),
        (403, Some(page)) if !rejection::says_capability(body) => (
            Kind::Unauthorized,
            Cause::Page(page),
            "give the Notion integration access to this page, or unlock it",
        ),
        (403, _) => (
            Kind::Unauthorized,
            Cause::NOTION_KEY,
            "give the Notion integration the rights to read, insert and update content",
        ),
        (404, Some(page)) => (
            Kind::NotFound,
            Cause::Page(page),
            "share this page with the integration (its menu ··· > Connections), or the database \
                that it lies in",
        ),
        (404, None) => (
            Kind::NotFound,
            Cause::CLIENTS_DATABASE,
            "share the database with the integration (its menu ··· > Connections), and check its \
                id",
        ),
        (400, _) if rejection::says_version(body) => (
            Kind::Config,
            Cause::NOTION_VERSION,
            "set NOTION_VERSION to a version that Notion has, or remove it; the default is \
                2022-06-28",
        ),
        _ => return None,
    })
}

/// The page, or the block of one, that a path leads to.
fn page_of(path: &str) -> Option<PageId> {
    let rest = path
        .strip_prefix("/pages/")
        .or(path.strip_prefix("/blocks/"))?;
    PageId::parse(rest.split('/').next()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::failure::Whose;

    fn failure(path: &str, status: u16, body: Json) -> Failure {
        let err = http::Error::Refused {
            what: format!("notion: POST {path}"),
            path: path.into(),
            status,
            body,
            text: "".into(),
            request_id: None,
        };
        Failure::from(Error::Http(err))
    }

    #[track_caller]
    fn check(status: u16, body: Json, kind: Kind, whose: Whose) {
        let failure = failure("/pages", status, body);
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

    #[test]
    fn what_is_the_operators_says_what_is_to_be_mended() {
        let page = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let held = |path: &str, status, body: Json| {
            let cause = failure(path, status, body).cause();
            cause.map(|cause| cause.to_string())
        };
        let named = |name: &str| Some(name.to_owned());
        let right = json!({"message": "Insufficient permissions for this endpoint."});
        let full = json!({"additional_data": {"block_limit": {"current": 1001}}});
        for (path, status, body, cause) in [
            ("/pages", 401, json!({}), named("NOTION_API_KEY")),
            (
                &format!("/pages/{page}"),
                403,
                right,
                named("NOTION_API_KEY"),
            ),
            (&format!("/pages/{page}"), 403, json!({}), named(page)),
            (
                &format!("/blocks/{page}/children"),
                404,
                json!({}),
                named(page),
            ),
            (
                &format!("/blocks/{page}/children"),
                403,
                full,
                named("block_limit"),
            ),
            (
                "/databases/x/query",
                404,
                json!({}),
                named("NOTION_CLIENTS_DATABASE_ID"),
            ),
            (
                "/pages",
                404,
                json!({}),
                named("NOTION_CLIENTS_DATABASE_ID"),
            ),
            ("/pages", 400, json!({}), None),
        ] {
            assert_eq!(held(path, status, body), cause, "{path} {status}");
        }
        let not_now = http::Error::NotNow {
            what: "later".into(),
            retry_after: Some(std::time::Duration::from_secs(7)),
            status: Some(429),
            request_id: None,
        };
        let not_now = Failure::from(Error::Http(not_now));
        assert_eq!(
            (
                not_now.cause(),
                not_now.retry_after.map(|wait| wait.as_secs())
            ),
            (None, Some(7))
        );
    }
}
