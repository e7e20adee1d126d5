//! What an exchange means: an answer, a final error, or another try.
//!
//! Apart because it is pure and holds the rule of the whole program about writes: one is repeated
//! only when it is certain that nothing was saved.

use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{Error, kept, one_line};
use super::wire::{Broken, Flaw, Received};
use super::{Answer, Effect};
use crate::secret::Secret;
use crate::surrogate;

/// Shorter header values (a version date) are no secrets and may well occur in a text.
const SECRET_LEN: usize = 12;

/// A vendor that asks for more is asked again after this.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// What the errors of one call say about it, the same for each of its attempts.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// "notion: PATCH /v1/pages/…", without the query.
    pub(super) line: String,
    pub(super) effect: Effect,
    pub(super) request_id_header: &'static str,
    pub(super) scrub: Arc<Scrub>,
}

/// Takes a vendor's own keys out of texts that came back from it.
#[derive(Debug)]
pub(super) struct Scrub(Vec<Secret>);

impl Scrub {
    pub(super) fn new(headers: &[(&'static str, Secret)]) -> Self {
        let whole = headers.iter().map(|(_, secret)| secret.clone());
        let last_words = headers
            .iter()
            .filter_map(|(_, secret)| secret.expose().rsplit_once(' '));
        let secrets = whole.chain(last_words.map(|(_, word)| Secret::new(word)));
        Self(
            secrets
                .filter(|secret| secret.expose().len() >= SECRET_LEN)
                .collect(),
        )
    }

    pub(super) fn clean(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose(), "…");
        }
        text
    }
}

/// What to do after an exchange.
pub(super) enum Verdict {
    Answer(Answer),
    Stop(Error),
    Again(Again),
}

impl Verdict {
    /// The vendor's id of the request, whatever became of it.
    pub(super) fn request_id(&self) -> Option<&str> {
        match self {
            Self::Answer(answer) => answer.request_id.as_deref(),
            Self::Stop(err) => err.request_id(),
            Self::Again(again) => again.request_id.as_deref(),
        }
    }
}

/// A failure that may be tried again, because nothing was saved.
pub(super) struct Again {
    pub(super) what: String,
    pub(super) status: Option<u16>,
    request_id: Option<String>,
    pub(super) pace: Pace,
}

/// How to wait before the next try.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// This call alone waits.
    Backoff,
    /// The vendor has enough: every call to it waits, as long as it said.
    Busy(Option<Duration>),
}

impl Again {
    /// The error to end with when there is no further try.
    pub(super) fn give_up(self) -> Error {
        let retry_after = match self.pace {
            Pace::Busy(wait) => wait,
            Pace::Backoff => None,
        };
        Error::NotNow {
            what: self.what,
            retry_after,
            status: self.status,
            request_id: self.request_id,
        }
    }
}

/// Judges one exchange.
pub(super) fn judge(origin: &Origin, outcome: Result<Received, Broken>) -> Verdict {
    match outcome {
        Ok(received) if (200..300).contains(&received.status) => judge_success(origin, received),
        Ok(received) => judge_failure(origin, &received),
        Err(Broken::Unsent(why)) => again(origin, &why),
        Err(Broken::Sent(why)) => match origin.effect {
            Effect::Read => again(origin, &why),
            Effect::Write => {
                let what = format!("{}: {why}", origin.line);
                Verdict::Stop(Error::Unknown {
                    what,
                    status: None,
                    body: Value::Null,
                    request_id: None,
                })
            }
        },
    }
}

fn again(origin: &Origin, why: &str) -> Verdict {
    let what = format!("{}: {why}", origin.line);
    Verdict::Again(Again {
        what,
        status: None,
        request_id: None,
        pace: Pace::Backoff,
    })
}

fn judge_success(origin: &Origin, received: Received) -> Verdict {
    let flaw = match &received.flaw {
        Some(Flaw::Cut(why)) => format!("the body broke off: {why}"),
        Some(Flaw::TooLarge) => "the body is too large".to_owned(),
        None if is_json_or_empty(&received.body) => {
            let request_id = request_id(origin, &received, &Value::Null);
            let body = surrogate::mended(received.body);
            let (status, origin) = (received.status, origin.clone());
            return Verdict::Answer(Answer {
                status,
                body,
                request_id,
                origin,
            });
        }
        None => "the body is not JSON".to_owned(),
    };
    let request_id = request_id(origin, &received, &Value::Null);
    let what = format!("{}: {}, {flaw}", origin.line, received.status);
    let status = Some(received.status);
    match (origin.effect, &received.flaw) {
        (Effect::Write, _) => Verdict::Stop(Error::Unknown {
            what,
            status,
            body: Value::Null,
            request_id,
        }),
        (Effect::Read, Some(Flaw::TooLarge)) => {
            let text = kept(
                &origin
                    .scrub
                    .clean(&received.body[..received.body.len().min(4096)]),
            );
            Verdict::Stop(Error::Unreadable {
                what,
                text,
                request_id,
            })
        }
        (Effect::Read, None | Some(Flaw::Cut(_))) => Verdict::Again(Again {
            what,
            status,
            request_id,
            pace: pace(&received, &Value::Null),
        }),
    }
}

fn is_json_or_empty(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace) || serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn judge_failure(origin: &Origin, received: &Received) -> Verdict {
    let text = origin.scrub.clean(&received.body);
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let request_id = request_id(origin, received, &body);
    let is_html = is_html(received);
    let what = format!(
        "{}: {}{}",
        origin.line,
        received.status,
        reason(&body, is_html)
    );
    let status = Some(received.status);
    let pace = pace(received, &body);
    match (received.status, origin.effect) {
        (429, _)
            if body["additional_data"]["rate_limit_reason"] == "public_api_request_blocked" =>
        {
            Verdict::Stop(Error::Blocked { what, request_id })
        }
        (403, _) if is_html => Verdict::Stop(
            Again {
                what,
                status,
                request_id,
                pace,
            }
            .give_up(),
        ),
        (529, Effect::Write) if is_html => Verdict::Stop(Error::Unknown {
            what,
            status,
            body,
            request_id,
        }),
        // 408: a proxy gave up waiting; it does not say how far the request got.
        (429 | 529, _) | (408 | 500.., Effect::Read) => Verdict::Again(Again {
            what,
            status,
            request_id,
            pace,
        }),
        (408 | 409 | 500.., Effect::Write) => Verdict::Stop(Error::Unknown {
            what,
            status,
            body,
            request_id,
        }),
        (status, _) => Verdict::Stop(Error::Refused {
            what,
            status,
            body,
            text: kept(&text),
            request_id,
        }),
    }
}

/// The edge in front of the API answers in HTML; the API never does.
fn is_html(received: &Received) -> bool {
    received.header("content-type").is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    }) || received.body.trim_ascii_start().starts_with(b"<")
}

/// The vendor's code and message, in both spellings: at the top (Notion, Quo) or below `error`
/// (Quo's gateway).
fn reason(body: &Value, is_html: bool) -> String {
    if is_html {
        return ", an HTML page, not the API's answer".to_owned();
    }
    let inner = if body["error"].is_object() {
        &body["error"]
    } else {
        body
    };
    let code = inner["code"].as_str().or(inner["key"].as_str());
    let code = code
        .map(|code| format!(" {}", one_line(code)))
        .unwrap_or_default();
    let message = inner["message"]
        .as_str()
        .map(|message| format!(": {}", one_line(message)))
        .unwrap_or_default();
    code + &message
}

fn request_id(origin: &Origin, received: &Received, body: &Value) -> Option<String> {
    let in_body = [&body["request_id"], &body["trace"], &body["error"]["trace"]];
    let id = received
        .header(origin.request_id_header)
        .or_else(|| in_body.into_iter().find_map(Value::as_str))?;
    Some(one_line(&origin.scrub.clean(id.as_bytes()))).filter(|id| !id.is_empty())
}

fn pace(received: &Received, body: &Value) -> Pace {
    match (retry_after(received, body), received.status) {
        (None, 429 | 529) => Pace::Busy(None),
        (None, _) => Pace::Backoff,
        (wait, _) => Pace::Busy(wait),
    }
}

/// The wait the vendor asks for: seconds or an HTTP date in the header, seconds in Notion's body.
fn retry_after(received: &Received, body: &Value) -> Option<Duration> {
    let in_body = &body["additional_data"]["retry_after"];
    let header = received.header("retry-after");
    let wait = header
        .and_then(seconds)
        .or_else(|| until(header?, received.header("date")?))
        .or_else(|| in_body.as_str().and_then(seconds))
        .or_else(|| Duration::try_from_secs_f64(in_body.as_f64()?).ok());
    wait.map(|wait| wait.min(LONGEST_ASKED))
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// Counted from the answer's own `Date`, so that a wrong clock on this machine does no harm.
fn until(at: &str, answered: &str) -> Option<Duration> {
    let moment = |text| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    moment(at)?
        .duration_since(moment(answered)?)
        .try_into()
        .ok()
}
