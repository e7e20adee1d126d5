//! Calls to the vendors' APIs: one pool of connections, limits on everything, retry at this one
//! place.
//!
//! [`Vendor::call`] takes a [`Request`] and gives an [`Answer`], or an [`Error`] that tells what
//! the caller may do next. An attempt passes the vendor's gate (rate window, pause), goes out by
//! the one exchange, which is the wire's or a simulation's, and is judged; up to three retries
//! follow. A write is retried only when it is certain that nothing was saved: it did not leave, or
//! the answer was 429 or 529. All other doubt is [`Error::Unknown`], and the caller looks before it
//! writes.
//!
//! Apart because nothing else may know ureq, sleep, or hold a key in plain. It must not know what a
//! vendor's paths and bodies mean.

mod error;
mod exchange;
mod gate;
mod request;
mod url;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use serde_json::Value;

pub use self::error::Error;
pub use self::exchange::{Agent, Flaw, NoAnswer, Outgoing, Received, Stamp, agent};
pub use self::gate::{SharedWindow, Window};
pub use self::request::{Effect, Method, Request};
pub use self::url::BaseUrl;
pub use self::wire::{GOING_OUT, Proxies};

use self::exchange::{Limit, exchange};
use self::gate::{Gate, wait_within};
use self::verdict::{Again, Judged, Origin, Pace, Scrub, judge};
use self::wire::Prepared;
use crate::bounded;
use crate::secret::Secret;
use crate::time::{self, Deadline, chance};

/// Most calls that are measured before somebody asks how long they took; of others nobody is told.
const MOST_MEASURED: usize = 1000;
/// Tries after the first one.
const RETRIES: u32 = 3;

/// A success (200) with its whole body, which is JSON.
#[derive(Debug)]
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
    origin: Origin,
}

impl Answer {
    /// Parses the body. A body with more values than are read is [`Error::TooLarge`] after a read,
    /// and [`Error::Unknown`] after a write.
    pub fn json(&self) -> Result<Value, Error> {
        self.parse(bounded::value)
    }

    /// Parses the body in another way; the same errors.
    pub fn parse<'a, T>(
        &'a self,
        parse: impl FnOnce(&'a [u8]) -> serde_json::Result<T>,
    ) -> Result<T, Error> {
        parse(&self.body).map_err(|err| {
            if bounded::is_too_much(&err) && self.origin.effect == Effect::Read {
                return Error::TooLarge {
                    what: format!("{}: 200, {err}", self.origin.line),
                    request_id: self.request_id.clone(),
                };
            }
            let why = self.origin.scrub.clean(err.to_string().as_bytes());
            self.unexpected(&error::one_line(&why))
        })
    }

    /// The answer does not say what it has to: after a read it is [`Error::Unreadable`], and after
    /// a write nobody knows whether that was done.
    pub fn unexpected(&self, why: &str) -> Error {
        let what = format!("{}: 200, unexpected body: {why}", self.origin.line);
        let request_id = self.request_id.clone();
        let head = &self.body[..self.body.len().min(verdict::REFUSAL_BYTES)];
        let text = self.origin.scrub.clean(head);
        match self.origin.effect {
            Effect::Read => Error::Unreadable {
                what,
                text: error::kept(&text),
                request_id,
            },
            Effect::Write => Error::Unknown {
                what,
                status: Some(200),
                body: serde_json::from_str(&text).unwrap_or(Value::Null),
                request_id,
            },
        }
    }
}

/// What an API is like, whoever uses it.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Its name in logs and errors.
    pub name: &'static str,
    /// The answer's header with the id that the vendor's support asks for.
    pub request_id_header: &'static str,
    /// Largest body of an answer, in bytes.
    pub body_bytes: u64,
    /// Whether a body that came with that status is a refusal in the vendor's own words.
    pub is_refusal: fn(u16, &Value) -> bool,
}

/// What makes up the use of one API.
pub struct VendorSpec {
    /// Which one.
    pub api: Api,
    /// Where it lives.
    pub base: BaseUrl,
    /// Headers of every call; the key is among them.
    pub headers: Vec<(&'static str, Secret)>,
    /// What else must never be shown, whoever says it: the keys of other vendors.
    pub secrets: Vec<Secret>,
    /// Its rate limit.
    pub window: Window,
    /// The same limit counted together with other processes, where there is something to count in.
    pub shared: Option<Arc<dyn SharedWindow>>,
}

/// One API: its address, key, gate and counter. Shared by all threads that talk to it.
pub struct Vendor {
    agent: Agent,
    spec: VendorSpec,
    scrub: Arc<Scrub>,
    gate: Gate,
    calls: AtomicU64,
    measured: Mutex<Vec<Measured>>,
    ahead: OnceLock<SignedDuration>,
    tuning: Tuning,
}

/// How long a call took, with its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Method and path, ids left out.
    pub operation: String,
    /// How long.
    pub took: Duration,
    /// Whether it was answered with a success.
    pub success: bool,
}

/// The program's times and sizes; a struct only so that tests need not wait for them.
struct Tuning {
    /// First wait after a network error or 5xx; doubles.
    backoff: Duration,
    /// First wait after 429 or 529 without a word on how long; doubles.
    busy: Duration,
    /// Longest wait of our own making.
    cap: Duration,
    /// Longest wait for the gate, whoever asks for it: beyond that the caller comes back later.
    patience: Duration,
    /// One attempt: Notion answers within 60 s, and a shorter limit turns saved writes into unknown
    /// ones.
    attempt: Duration,
}

const TUNING: Tuning = Tuning {
    backoff: Duration::from_millis(500),
    busy: Duration::from_secs(1),
    cap: Duration::from_secs(30),
    patience: Duration::from_mins(2),
    attempt: Duration::from_secs(65),
};

impl Tuning {
    /// The wait after so many failed retries.
    fn wait(&self, pace: Pace, retries: u32) -> Duration {
        let (base, low, high) = match pace {
            Pace::Busy(Some(asked)) | Pace::Backoff(Some(asked)) => {
                return asked.saturating_add(self.busy.mul_f64(0.25 * chance()));
            }
            Pace::Busy(None) => (self.busy, 1.0, 1.25),
            Pace::Backoff(None) => (self.backoff, 0.5, 1.5),
        };
        (base * 2_u32.pow(retries))
            .mul_f64(low + (high - low) * chance())
            .min(self.cap)
    }
}

impl Vendor {
    /// Puts an API together; sends nothing.
    pub fn new(agent: &Agent, spec: VendorSpec) -> Self {
        let (scrub, gate) = (
            Arc::new(Scrub::new(&spec.headers, &spec.secrets)),
            Gate::new(spec.api.name, spec.window, spec.shared.clone()),
        );
        Self {
            agent: agent.clone(),
            spec,
            scrub,
            gate,
            calls: AtomicU64::new(0),
            measured: Mutex::default(),
            ahead: OnceLock::new(),
            tuning: TUNING,
        }
    }

    /// Where it lives.
    pub fn base(&self) -> &BaseUrl {
        &self.spec.base
    }

    /// Attempts sent so far, retries included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How far this machine's clock is ahead of the vendor's, to the second; `None` before the
    /// first answer that says what time it is there.
    pub fn ahead(&self) -> Option<SignedDuration> {
        self.ahead.get().copied()
    }

    fn note_time(&self, answer: &Received) {
        let there = answer.header("date").map(rfc2822::parse);
        if let Some(Ok(there)) = there {
            let _ = self
                .ahead
                .set(time::timestamp().duration_since(there.timestamp()));
        }
    }

    /// Makes one call, with its retries, within the deadline.
    pub fn call(&self, request: &Request, deadline: Deadline) -> Result<Answer, Error> {
        self.measure(request, None, deadline)
    }

    /// Makes one call that writes, each attempt under the stamp.
    pub fn write(
        &self,
        request: &Request,
        stamp: &Stamp,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        self.measure(request, Some(stamp), deadline)
    }

    /// What was measured since the last time that this was asked, at most `MOST_MEASURED`.
    pub fn take_measured(&self) -> Vec<Measured> {
        std::mem::take(&mut *self.measured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn measure(
        &self,
        request: &Request,
        stamp: Option<&Stamp>,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let began = time::now();
        let answer = self.send(request, stamp, deadline);
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.len() < MOST_MEASURED {
            measured.push(Measured {
                operation: request.operation(),
                took: time::since(began),
                success: answer.is_ok(),
            });
        }
        answer
    }

    fn send(
        &self,
        request: &Request,
        stamp: Option<&Stamp>,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let origin = self.origin(request);
        let prepared = self.prepare(request).map_err(|why| Error::Invalid {
            what: format!("{}: {why}", origin.line),
        })?;
        let mut retries = 0;
        loop {
            self.pass_gate(&origin, deadline)?;
            let again = match self.attempt(&prepared, &origin, stamp, deadline) {
                Judged::Answer(answer) => return Ok(answer),
                Judged::Stop(err) => return Err(err),
                Judged::Again(again) => again,
            };
            self.await_retry(again, retries, deadline)?;
            retries += 1;
        }
    }

    fn origin(&self, request: &Request) -> Origin {
        Origin {
            line: error::one_line(&format!(
                "{}: {} {}",
                self.spec.api.name,
                request.method.as_str(),
                request.path
            )),
            path: request.path.clone(),
            effect: request.effect,
            api: self.spec.api,
            scrub: Arc::clone(&self.scrub),
        }
    }

    fn prepare(&self, request: &Request) -> Result<Arc<Prepared>, String> {
        let base = request.base.as_ref().unwrap_or(&self.spec.base);
        let url = url::join(base, &request.path, &request.query)
            .ok_or("the path is not one of plain segments")?;
        Prepared::new(request, &url, &self.spec.headers).map(Arc::new)
    }

    fn pass_gate(&self, origin: &Origin, deadline: Deadline) -> Result<(), Error> {
        let admitted = self.gate.admit(deadline.earlier(self.tuning.patience));
        if deadline.passed() {
            return Err(Error::Deadline {
                what: format!("{}: out of time before it was sent", origin.line),
            });
        }
        admitted.map_err(|wait| {
            let what = format!(
                "{}: not sent, the rate limit asks for a wait of {wait:.1?}",
                origin.line
            );
            Error::NotNow {
                what,
                retry_after: Some(wait),
                status: None,
                request_id: None,
            }
        })
    }

    fn attempt(
        &self,
        prepared: &Arc<Prepared>,
        origin: &Origin,
        stamp: Option<&Stamp>,
        deadline: Deadline,
    ) -> Judged {
        let time = deadline
            .left()
            .map_or(self.tuning.attempt, |left| left.min(self.tuning.attempt));
        self.calls.fetch_add(1, Ordering::Relaxed);
        let started = time::now();
        let outcome = exchange(
            &self.agent,
            prepared,
            stamp,
            Limit {
                time,
                body_bytes: self.spec.api.body_bytes,
            },
        );
        let status = outcome.as_ref().map_or(0, |received| received.status);
        if let Ok(answer) = &outcome {
            self.note_time(answer);
        }
        let verdict = judge(origin, outcome);
        let id = verdict.request_id().unwrap_or("-");
        log::debug!(
            "{} -> {status} in {} ms, request {id}",
            origin.line,
            time::since(started).as_millis()
        );
        verdict
    }

    /// Waits before the next try, or ends with the error when there is none left, or no time for
    /// it.
    fn await_retry(&self, again: Again, retries: u32, deadline: Deadline) -> Result<(), Error> {
        let wait = self.tuning.wait(again.pace, retries);
        if matches!(again.pace, Pace::Busy(_)) {
            self.gate.close(wait);
        }
        if again.status.is_none_or(|status| status < 300) && deadline.passed() {
            return Err(Error::Deadline {
                what: format!("{}, out of time", again.what),
            });
        }
        if retries == RETRIES || !deadline.earlier(self.tuning.patience).allows(wait) {
            return Err(again.give_up());
        }
        log::warn!("{}; trying again in {wait:.1?}", again.what);
        match again.pace {
            Pace::Busy(_) => Ok(()), // the gate is closed for as long
            Pace::Backoff(_) => wait_within(deadline, wait).map_err(|_| again.give_up()),
        }
    }
}
