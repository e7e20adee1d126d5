//! The closed list of bad endings: kind, message, hint for the person, exit code.
//!
//! Nothing else knows exit codes (they are those of sysexits.h).

use std::fmt;

use crate::backfill;
use crate::documents::{Broken, MAX_BYTES, MOST_BROKEN};
use crate::http;
use crate::notion;
use crate::quo;
use crate::quo::webhook::PayloadError;
use crate::signature::Refusal;
use crate::store;
use crate::sync;
use crate::time::stop;

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

    fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Payload => 65,
            Self::Unauthorized | Self::NotFound | Self::Refused => 69,
            Self::Internal => 70,
            Self::Store => 74,
            Self::RateLimited | Self::Unavailable | Self::Deadline => NOT_NOW,
            Self::Signature => 77,
            Self::Config => 78,
        }
    }
}

/// Exit code of what may succeed later.
pub const NOT_NOW: u8 = 75;

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
    /// The vendor's id of the request, which its support asks for.
    pub request_id: Option<String>,
    exit_code: u8,
}

impl Failure {
    /// A failure of the kind.
    pub fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
            request_id: None,
            exit_code: kind.exit_code(),
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

    /// True if nothing was done because the program was told to stop.
    pub fn is_stop(&self) -> bool {
        self.message == STOPPED
    }

    /// Exit code when this is the worst that happened.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// True if the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.exit_code == NOT_NOW
    }

    /// True if the operator must act.
    pub fn is_critical(&self) -> bool {
        matches!(self.exit_code, 69 | 70 | 74 | 78)
    }

    fn not_now(self) -> Self {
        Self {
            exit_code: NOT_NOW,
            ..self
        }
    }
}

/// The exit code of several endings: the worst one, where 75 outranks only 0.
pub fn worst(a: u8, b: u8) -> u8 {
    let rank = |code: u8| if code == NOT_NOW { 1 } else { code };
    if rank(b) > rank(a) { b } else { a }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Broken> for Failure {
    fn from(err: Broken) -> Self {
        match err {
            Broken::NotJson(why) => Self::new(
                Kind::Payload,
                format!("not a JSON document: {why}"),
                "pass the request body as it was received",
            ),
            Broken::Utf16 => Self::new(
                Kind::Payload,
                "the input is UTF-16, and a JSON document is UTF-8",
                "write it as UTF-8, for example with iconv -f UTF-16 -t UTF-8",
            ),
            Broken::List => Self::new(
                Kind::Payload,
                "the document is a list, and a delivery is an object",
                "if it is a list of deliveries, pipe it through jq -c '.[]'",
            ),
            Broken::TooLarge => Self::new(
                Kind::Payload,
                format!("the document is larger than {} MiB", MAX_BYTES >> 20),
                "no delivery of Quo is that large; check what is piped in",
            ),
            Broken::TooMany => Self::new(
                Kind::Payload,
                format!("{MOST_BROKEN} documents were broken; what follows was not read"),
                "no delivery is written like that; check what is piped in",
            ),
            Broken::Io(err) if err.kind() == std::io::ErrorKind::TimedOut => Self::new(
                Kind::Deadline,
                format!("cannot read the input: {err}"),
                "the sender has to close the body; nothing of it is kept, so it has to send again",
            ),
            Broken::Io(err) => Self::new(
                Kind::Store,
                format!("cannot read the input: {err}"),
                "check the pipe or the path",
            ),
        }
    }
}

impl From<PayloadError> for Failure {
    fn from(err: PayloadError) -> Self {
        Self::new(
            Kind::Payload,
            err.to_string(),
            "compare the payload with `fixtures/quo`; if Quo really sent it, report it",
        )
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        if refusal == Refusal::NoNotionSecret {
            let hint = "set NOTION_WEBHOOK_SECRET to the verification token of Notion's webhook";
            return Self::config(message, hint);
        }
        if refusal == Refusal::NoUsableSecret {
            let hint = "set OPENPHONE_WEBHOOK_SECRET to the signing secret of the webhook \
                (several: comma-separated)";
            return Self::config(message, hint);
        }
        let hint = "the body must be passed byte for byte, and OPENPHONE_WEBHOOK_SECRET must hold \
            the secret of the webhook \
                    that sent it; for saved payloads use --signature-tolerance off";
        Self::new(Kind::Signature, message, hint)
    }
}

impl From<store::Error> for Failure {
    fn from(err: store::Error) -> Self {
        Self::from(&err)
    }
}

impl From<&store::Error> for Failure {
    fn from(err: &store::Error) -> Self {
        let message = err.to_string();
        match err {
            store::Error::Busy(_) => Self::new(
                Kind::Store,
                message,
                "another process holds the store, or its server cannot be reached; run again",
            )
            .not_now(),
            store::Error::Newer { .. } => {
                Self::new(Kind::Store, message, "update quotion on this machine")
            }
            store::Error::Broken(_) => {
                let hint = "a file: check free space, permissions and the path (--dir, --state); \
                    a damaged store can be moved \
                            away, and a new one is made; a database: check its address and what \
                            its user may do";
                Self::new(Kind::Store, message, hint)
            }
        }
    }
}

impl From<&sync::Error> for Failure {
    fn from(err: &sync::Error) -> Self {
        let message = err.to_string();
        match err {
            sync::Error::Notion(err) => from_notion(err),
            sync::Error::Store(err) => err.into(),
            sync::Error::Quo(err) => from_quo(err, message),
            sync::Error::Unknown(_) => Self::new(
                Kind::Unavailable,
                message,
                "it may only be too early; run again later",
            ),
            sync::Error::OwnNumbersNeeded => Self::new(
                Kind::Unavailable,
                message,
                "set OPENPHONE_API_KEY, or run again when Quo answers",
            ),
            sync::Error::KeyNeeded(_) => {
                Self::config(message, "set OPENPHONE_API_KEY to a key of the workspace")
            }
            sync::Error::Crowd(_) => Self::new(
                Kind::Refused,
                message,
                "look at the payload: participants, recipients or a list with commas",
            ),
            sync::Error::Misconfigured(_) => Self::config(
                message,
                "set the column's name in quotion.toml under [clients], or add it in Notion",
            ),
            sync::Error::Unsettled(_) => Self::new(
                Kind::Unavailable,
                message,
                "run the same payload again; it is looked for first",
            ),
        }
    }
}

impl From<backfill::Error> for Failure {
    fn from(err: backfill::Error) -> Self {
        let message = err.to_string();
        match err {
            backfill::Error::Quo(err) => from_quo(&err, message),
            backfill::Error::Store(err) => err.into(),
            backfill::Error::Output(_) => Self::new(
                Kind::Store,
                message,
                "check the other end of the pipe; the same command begins anew",
            ),
            backfill::Error::NoSuchNumber(_, there) => Self::new(
                Kind::Usage,
                message,
                format!("there are: {}", there.join(", ")),
            ),
            backfill::Error::TooMany => {
                let hint = "choose fewer with --number, or a later --since";
                Self::new(Kind::Usage, message, hint)
            }
        }
    }
}

fn from_quo(err: &quo::Error, message: String) -> Failure {
    match err {
        quo::Error::Denied(_) => Failure::new(
            Kind::Unauthorized,
            message,
            "check OPENPHONE_API_KEY in Quo's workspace settings",
        ),
        quo::Error::Refused(_) => Failure::new(
            Kind::Refused,
            message,
            "if this stays so, report it with the trace",
        ),
        quo::Error::Failed(err) => match from_http(err) {
            stopped if stopped.is_stop() => stopped,
            failure => Failure { message, ..failure },
        },
        quo::Error::Unreadable { .. } | quo::Error::Endless { .. } => Failure::new(
            Kind::Unavailable,
            message,
            "run again later; if it stays so, report it",
        ),
    }
}

fn from_notion(err: &notion::Error) -> Failure {
    match err {
        notion::Error::Http(err) => from_http(err),
        notion::Error::Ambiguous(what) => {
            let hint = "keep the phone column in only one of the data sources, or name it \
                differently in the others";
            Failure::new(Kind::Refused, format!("notion: {what}"), hint)
        }
        notion::Error::Unusable(what) => Failure::config(
            format!("NOTION_CLIENTS_DATABASE_ID names no database that can be used: {what}"),
            "open the database itself as a full page, not a page or a linked view of it, and take \
                the link from its menu ···",
        ),
        notion::Error::Unreadable(what) => Failure::new(
            Kind::Unavailable,
            format!("notion: {what}"),
            "run again later; if it stays so, report it",
        ),
    }
}

fn from_http(err: &http::Error) -> Failure {
    let (kind, hint) = match err {
        http::Error::Refused { status: 401, .. } => (
            Kind::Unauthorized,
            "check the API key; a new one may take half a minute to work",
        ),
        http::Error::Refused { status: 403, .. } => (
            Kind::Unauthorized,
            "give the Notion integration the rights to read, insert and update content; on a free \
                workspace check the block limit",
        ),
        http::Error::Refused { status: 404, .. } => (
            Kind::NotFound,
            "share the database with the integration (its menu ··· > Connections), and check its \
                id",
        ),
        http::Error::Refused { .. } => (
            Kind::Refused,
            "if the message does not help, report it with the request id",
        ),
        http::Error::Blocked { .. } => (
            Kind::Refused,
            "Notion has blocked this integration; write to its support",
        ),
        http::Error::NotNow {
            status: Some(429 | 529),
            ..
        } => (Kind::RateLimited, "run again later"),
        http::Error::NotNow { .. } => (
            Kind::Unavailable,
            "run again later; check the network if it stays so",
        ),
        http::Error::Unknown { .. } => (
            Kind::Unavailable,
            "run the same payload again: what was saved is looked for first",
        ),
        http::Error::Deadline { .. } if stop::is_told() => return Failure::stopped(),
        http::Error::Deadline { .. } => (
            Kind::Deadline,
            "run again later, or with a longer --deadline",
        ),
        http::Error::Untrusted { .. } => (
            Kind::Config,
            "something in between shows a certificate of its own, or the address is not the \
                vendor's: check the API's base, the proxy and this machine's clock",
        ),
        http::Error::Invalid { .. } => (
            Kind::Config,
            "check the keys: one seems to hold a line break or the like",
        ),
        http::Error::TooLarge { .. } | http::Error::Unreadable { .. } => (
            Kind::Unavailable,
            "run again later; if it stays so, report it",
        ),
    };
    Failure {
        request_id: err.request_id().map(str::to_owned),
        ..Failure::new(kind, err.to_string(), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_exit_code_wins_and_not_now_outranks_only_success() {
        assert_eq!([0, 75, 65, 75, 0].into_iter().fold(0, worst), 65);
        assert_eq!([0, 75, 0].into_iter().fold(0, worst), 75);
        assert_eq!([69, 77, 65].into_iter().fold(0, worst), 77);
    }
}
