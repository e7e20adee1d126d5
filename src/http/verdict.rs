//! What an exchange means: an answer, a final error, or another try.
//!
//! Apart because it is pure and holds the rule of the whole program about writes: one is repeated
//! only when it is certain that nothing was saved.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{Error, kept, one_line};
use super::exchange::{Flaw, NoAnswer, Received};
use super::{Answer, Api, Effect};
use crate::bounded;
use crate::secret::Secret;
use crate::surrogate;

/// Shorter header values (a version date) are no secrets and may well occur in a text.
const SECRET_LEN: usize = 12;

/// A vendor that asks for a longer rest is asked again after this: nobody's word closes a door for
/// a day.
const LONGEST_ASKED: Duration = Duration::from_mins(5);
/// Most bytes of a refusal that are looked at.
pub(super) const REFUSAL_BYTES: usize = 64 * 1024;

/// What the errors of one call say about it, the same for each of its attempts.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// "notion: PATCH /v1/pages/…", without the query.
    pub(super) line: String,
    /// The path, without the base.
    pub(super) path: String,
    pub(super) effect: Effect,
    pub(super) api: Api,
    pub(super) scrub: Arc<Scrub>,
}

/// Takes keys out of texts that came back from a vendor.
#[derive(Debug)]
pub(super) struct Scrub(Vec<Secret>);

impl Scrub {
    pub(super) fn new(headers: &[(&'static str, Secret)], others: &[Secret]) -> Self {
        let whole = headers.iter().map(|(_, secret)| secret).chain(others);
        let last_words = headers
            .iter()
            .filter_map(|(_, secret)| secret.expose().rsplit_once(' '));
        let secrets = whole
            .cloned()
            .chain(last_words.map(|(_, word)| Secret::new(word)));
        Self(
            secrets
                .filter(|secret| secret.expose().len() >= SECRET_LEN)
                .collect(),
        )
    }

    pub(super) fn clean(&self, bytes: &[u8]) -> String {
        // In JSON a key may stand in escapes, which end when it is read.
        let mut text = match bounded::value(bytes) {
            Ok(json) => json.to_string(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        for secret in &self.0 {
            text = text.replace(secret.expose(), "…");
        }
        text
    }
}

/// What to do after an exchange.
pub(super) enum Judged {
    Answer(Answer),
    Stop(Error),
    Again(Again),
}

impl Judged {
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
    /// This call alone waits; as long as it was told to, if so.
    Backoff(Option<Duration>),
    /// The vendor has enough: every call to it waits, as long as it said.
    Busy(Option<Duration>),
}

impl Again {
    /// The error to end with when there is no further try.
    pub(super) fn give_up(self) -> Error {
        let (Pace::Busy(retry_after) | Pace::Backoff(retry_after)) = self.pace;
        Error::NotNow {
            what: self.what,
            retry_after,
            status: self.status,
            request_id: self.request_id,
        }
    }
}

/// Judges one exchange. Only the vendor's own words are a verdict: a success is a 200 with JSON, a
/// refusal is an error of the vendor's form, at whatever status. All else comes from something in
/// between.
pub(super) fn judge(origin: &Origin, outcome: Result<Received, NoAnswer>) -> Judged {
    match outcome {
        Ok(received) => {
            let shape = Shape::of(&received);
            match refusal(origin, &received, shape) {
                Some(refusal) => judge_refusal(origin, &received, refusal),
                None if (200..300).contains(&received.status) => {
                    judge_success(origin, received, shape)
                }
                None => judge_stranger(origin, &received),
            }
        }
        Err(NoAnswer::Unsent(why)) => again(origin, &why),
        Err(NoAnswer::Withheld) => Judged::Stop(Error::NotNow {
            what: format!("{}: kept back before it was sent", origin.line),
            retry_after: None,
            status: None,
            request_id: None,
        }),
        Err(NoAnswer::Untrusted(why)) => Judged::Stop(Error::Untrusted {
            what: format!("{}: {why}", origin.line),
        }),
        Err(NoAnswer::Sent(why)) => match origin.effect {
            Effect::Read => again(origin, &why),
            Effect::Write => Judged::Stop(unknown(origin, &why)),
        },
    }
}

fn unknown(origin: &Origin, why: &str) -> Error {
    Error::Unknown {
        what: format!("{}: {why}", origin.line),
        status: None,
        body: Value::Null,
        request_id: None,
    }
}

fn again(origin: &Origin, why: &str) -> Judged {
    let what = format!("{}: {why}", origin.line);
    Judged::Again(Again {
        what,
        status: None,
        request_id: None,
        pace: Pace::Backoff(None),
    })
}

fn judge_success(origin: &Origin, received: Received, shape: Shape) -> Judged {
    let flaw = match &received.flaw {
        Some(Flaw::Cut(why)) => format!("the body broke off: {why}"),
        Some(Flaw::TooLarge) => "the body is too large".to_owned(),
        None if received.status != 200 => "which is no answer to this".to_owned(),
        None if shape != Shape::Other => {
            let request_id = request_id(origin, &received, &Value::Null);
            let body = surrogate::mended(received.body);
            return Judged::Answer(Answer {
                body,
                request_id,
                origin: origin.clone(),
            });
        }
        None => "the body is not JSON".to_owned(),
    };
    let request_id = request_id(origin, &received, &Value::Null);
    let what = format!("{}: {}, {flaw}", origin.line, received.status);
    let status = Some(received.status);
    match (origin.effect, &received.flaw) {
        (Effect::Write, _) => Judged::Stop(Error::Unknown {
            what,
            status,
            body: Value::Null,
            request_id,
        }),
        (Effect::Read, Some(Flaw::TooLarge)) => Judged::Stop(Error::TooLarge { what, request_id }),
        (Effect::Read, None | Some(Flaw::Cut(_))) => Judged::Again(Again {
            what,
            status,
            request_id,
            pace: Pace::Backoff(retry_after(&received, &Value::Null)),
        }),
    }
}

/// What a body is at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An object that calls itself an error.
    Error,
    /// Other JSON.
    Json,
    /// No JSON, or, of what is no success, not looked at.
    Other,
}

impl Shape {
    fn of(received: &Received) -> Self {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow, default)]
            object: Option<Cow<'a, str>>,
        }
        let body = received.body.as_slice();
        if received.status >= 400 {
            return Self::Other;
        }
        match serde_json::from_slice::<Head>(body) {
            Ok(head) if head.object.as_deref() == Some("error") => Self::Error,
            Ok(_) => Self::Json,
            Err(_) if serde_json::from_slice::<IgnoredAny>(body).is_ok() => Self::Json,
            Err(_) => Self::Other,
        }
    }
}

/// The vendor's own refusal, and the status that it has or says.
struct OwnWords {
    status: u16,
    text: String,
    body: Value,
}

/// A refusal in the vendor's own words, if that is what came.
fn refusal(origin: &Origin, received: &Received, shape: Shape) -> Option<OwnWords> {
    let seems_well = received.status < 400;
    if seems_well && shape != Shape::Error {
        return None;
    }
    let head = &received.body[..received.body.len().min(REFUSAL_BYTES)];
    let text = origin.scrub.clean(head);
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let told = || u16::try_from(body["status"].as_u64()?).ok();
    let status = if seems_well {
        told().filter(|status| *status >= 400)?
    } else {
        received.status
    };
    (origin.api.is_refusal)(status, &body).then_some(OwnWords { status, text, body })
}

fn judge_refusal(origin: &Origin, received: &Received, refusal: OwnWords) -> Judged {
    let OwnWords { status, text, body } = refusal;
    let request_id = request_id(origin, received, &body);
    let what = format!("{}: {status}{}", origin.line, reason(&body));
    let wait = retry_after(received, &body);
    let pace = match status {
        429 | 529 => Pace::Busy(wait),
        _ => Pace::Backoff(wait),
    };
    let is_blocked = body["additional_data"]["rate_limit_reason"] == "public_api_request_blocked";
    match (status, origin.effect) {
        (429, _) if is_blocked => Judged::Stop(Error::Blocked { what, request_id }),
        // The one conflict that stays one.
        (409, _) if body["code"] == "row_limit_exceeded" => Judged::Stop(Error::Refused {
            what,
            path: origin.path.as_str().into(),
            status,
            body,
            text: kept(&text).into(),
            request_id,
        }),
        // Notion cannot give so many rows at once.
        (503, Effect::Read) if asks_for_less(&body) => Judged::Stop(Error::Refused {
            what,
            path: origin.path.as_str().into(),
            status,
            body,
            text: kept(&text).into(),
            request_id,
        }),
        (429 | 529, _) | (408 | 409 | 500.., Effect::Read) => Judged::Again(Again {
            what,
            status: Some(status),
            request_id,
            pace,
        }),
        (408 | 409 | 500.., Effect::Write) => Judged::Stop(Error::Unknown {
            what,
            status: Some(status),
            body,
            request_id,
        }),
        _ => Judged::Stop(Error::Refused {
            what,
            path: origin.path.as_str().into(),
            status,
            body,
            text: kept(&text).into(),
            request_id,
        }),
    }
}

/// True for words that ask for smaller pages of a list.
fn asks_for_less(body: &Value) -> bool {
    let message = body["message"].as_str().unwrap_or_default();
    message.contains("page_size") || message.contains("page size")
}

/// What something in between has answered, a proxy or the edge: whatever it says, it is not now;
/// and of a write nobody knows how far it got.
fn judge_stranger(origin: &Origin, received: &Received) -> Judged {
    let status = received.status;
    let kind = if is_html(received) {
        "an HTML page, not the API's answer"
    } else {
        "not the API's answer"
    };
    let what = format!("{}: {status}, {kind}", origin.line);
    let request_id = request_id(origin, received, &Value::Null);
    let again = Again {
        what,
        status: Some(status),
        request_id,
        pace: Pace::Backoff(retry_after(received, &Value::Null)),
    };
    match (status, origin.effect) {
        (408 | 429 | 500.., Effect::Read) => Judged::Again(again),
        (_, Effect::Read) => Judged::Stop(again.give_up()),
        (_, Effect::Write) => Judged::Stop(Error::Unknown {
            what: again.what,
            status: again.status,
            body: Value::Null,
            request_id: again.request_id,
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
fn reason(body: &Value) -> String {
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
        .header(origin.api.request_id_header)
        .or_else(|| in_body.into_iter().find_map(Value::as_str))?;
    Some(one_line(&origin.scrub.clean(id.as_bytes()))).filter(|id| !id.is_empty())
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
