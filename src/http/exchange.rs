//! The one door to the vendors: a request goes out as bytes, and what came back is told.
//!
//! Apart so that the rules about retries and outcomes stand above it unchanged, whoever answers:
//! the wire, or a simulation. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::time::{self, stop};

use super::Method;
use super::verdict::REFUSAL_BYTES;
use super::wire::{Pool, Prepared, Proxies};

/// Who carries the bytes, shared by all vendors; a clone shares it too.
#[derive(Clone)]
pub struct Agent(Exchanger);

#[derive(Clone)]
enum Exchanger {
    Real(Pool),
    Simulated(Arc<Simulated>),
}

type Simulated = dyn Fn(&Outgoing) -> Result<Received, NoAnswer> + Send + Sync;

/// Builds the agent of the real wire.
pub fn agent(proxies: Proxies) -> Agent {
    Agent(Exchanger::Real(Pool::new(proxies)))
}

impl Agent {
    /// An agent that sends nothing: `answer` stands in for all vendors, once for each attempt.
    ///
    /// It lets time pass by [`crate::time::sleep`]; whoever would need longer than
    /// [`Outgoing::time`] waits that long and says [`NoAnswer::Sent`], or cuts the body.
    pub fn simulated(
        answer: impl Fn(&Outgoing) -> Result<Received, NoAnswer> + Send + Sync + 'static,
    ) -> Self {
        Self(Exchanger::Simulated(Arc::new(answer)))
    }
}

/// A request as it goes out, for who answers it in a simulation.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: Method,
    /// The whole address, with the query.
    pub url: String,
    /// The request's own headers, names in lower case; not the vendor's, which hold its key.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body; empty where there is none.
    pub body: &'a [u8],
    /// How long the exchange may take.
    pub time: Duration,
}

/// An answer whose head was read in full.
#[derive(Debug, Default)]
pub struct Received {
    /// The status.
    pub status: u16,
    /// Names and values in printable ASCII; the first one of a name counts.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// What went wrong while the body was read; it then holds what arrived.
    pub flaw: Option<Flaw>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The answer as it is when no more than so much of its body is read.
    fn within(mut self, body_bytes: u64) -> Self {
        let limit = usize::try_from(limit(self.status, body_bytes)).unwrap_or(usize::MAX);
        if self.body.len() > limit {
            self.body.truncate(limit);
            self.flaw = Some(Flaw::TooLarge);
        }
        self
    }
}

/// Why a body is not whole.
#[derive(Debug)]
pub enum Flaw {
    /// The connection broke or the time ran out; the text tells which.
    Cut(String),
    /// More bytes than allowed.
    TooLarge,
}

/// What is done each time before a write goes out, when nothing is left to do but that. `false`
/// keeps it back. What it has allowed goes out at once, or it is asked again.
pub type Stamp<'a> = dyn Fn() -> bool + 'a;

/// No answer came.
#[derive(Debug)]
pub enum NoAnswer {
    /// Certain: it was kept back by its [`Stamp`].
    Withheld,
    /// Certain: the request did not leave in full, so nothing can have been saved.
    Unsent(String),
    /// The other side could not show who it is, and will not be able to: nothing was sent.
    Untrusted(String),
    /// The request may have arrived.
    Sent(String),
}

/// What one exchange may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) time: Duration,
    pub(super) body_bytes: u64,
}

/// What an exchange may take beyond its time, which it keeps by itself.
const SPARE: Duration = Duration::from_secs(1);

/// Bytes of an answer's body that are read: who refuses is brief.
pub(super) fn limit(status: u16, body_bytes: u64) -> u64 {
    if status < 400 {
        body_bytes
    } else {
        body_bytes.min(REFUSAL_BYTES as u64)
    }
}

/// Sends a request and takes its answer. The stamp is set in this thread.
pub(super) fn exchange(
    agent: &Agent,
    prepared: &Arc<Prepared>,
    stamp: Option<&Stamp>,
    limit: Limit,
) -> Result<Received, NoAnswer> {
    let stamped = || stamp.is_none_or(|stamp| stamp());
    match &agent.0 {
        Exchanger::Real(pool) => {
            let (pool, prepared) = (pool.clone(), Arc::clone(prepared));
            let is_write = stamp.is_some();
            let send = move |ask: &mut dyn FnMut() -> bool| {
                pool.exchange(&prepared, is_write.then_some(ask), limit)
            };
            let done = time::within_asking(limit.time + SPARE, stop::GRACE, stamped, send);
            done.unwrap_or_else(|| Err(NoAnswer::Sent("no answer when it was let go".into())))
        }
        Exchanger::Simulated(_) if !stamped() => Err(NoAnswer::Withheld),
        Exchanger::Simulated(answer) => {
            let answer = answer(&prepared.outgoing(limit.time));
            answer.map(|received| received.within(limit.body_bytes))
        }
    }
}
