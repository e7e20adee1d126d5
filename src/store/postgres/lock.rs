//! Locks between processes and machines: advisory locks of PostgreSQL, which die with the
//! connection.
//!
//! They are held by a connection of their own, in one transaction that stays open as long as a lock
//! is held: behind a pooler a lock of the session would be lost, or left behind for ever. Within a
//! transaction locks cannot be given back one by one, but those taken after a savepoint can; so
//! there is a savepoint before each. A lock that is given back while a later one is held therefore
//! stays until that one goes too. Nobody waits longer for that than he must as long as locks are
//! given back in the reverse order, which those of one event, then its clients', then the contacts'
//! are; and in whatever order they go, all are free when the last one is.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postgres::SimpleQueryMessage;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use sha2::{Digest, Sha256};

use crate::time::{self, Deadline};

use super::super::{Error, Fault, Lock, Result};
use super::connect::{Server, Session};
use super::{Permission, Postgres, held};

/// So long the silence of the locks' connection is no reason for doubt.
const TRUSTED: Duration = Duration::from_secs(3);
/// How often a simulated process, which cannot wait at the server, tries a lock again.
const POLL: Duration = Duration::from_millis(50);
/// How long the server has to say that it still knows us.
const ANSWER: Duration = Duration::from_secs(5);
/// A process that does nothing for so long has lost its locks; and one that was cut off, after a
/// minute.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL \
    idle_in_transaction_session_timeout = '1h'; \
                     SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; \
                     SET LOCAL tcp_keepalives_count = 3; ";

/// A lock that is held; nothing in a dry run, which writes nothing and so disturbs nobody.
pub struct LockRow(Option<(Arc<Mutex<Chain>>, u64)>);

/// The locks of this process, in the order in which they were taken.
pub struct Chain {
    link: Session,
    /// What tells this store from others in the same database.
    store: i64,
    links: Vec<Taken>,
    next: u64,
    heard: Instant,
    lost: bool,
}

struct Taken {
    id: u64,
    key: i64,
    /// False when it was given back, but a later one is still held.
    wanted: bool,
}

/// How long to wait for a lock.
enum Wait {
    Not,
    For(Duration),
    Forever,
}

impl Postgres {
    pub fn lock(&self, lock: &Lock, deadline: Deadline) -> Result<Option<LockRow>> {
        if self.access != Permission::Full {
            return Ok(Some(LockRow(None)));
        }
        let id = held(&self.locks).take(lock, deadline)?;
        Ok(id.map(|id| LockRow(Some((Arc::clone(&self.locks), id)))))
    }

    /// See [`super::super::Store::still_held`].
    pub fn still_held(&self) -> Result<()> {
        held(&self.locks).check()
    }
}

impl Drop for LockRow {
    fn drop(&mut self) {
        if let Some((chain, id)) = &self.0 {
            held(chain).give_back(*id);
        }
    }
}

/// Holds for the connection's current transaction, which nobody ends but its end.
pub fn while_migrating() -> String {
    let key = key("quotion migrates");
    format!("SET LOCAL statement_timeout = '30s'; SELECT pg_advisory_xact_lock({key})")
}

impl Chain {
    pub fn new(address: Arc<Server>, store: i64) -> Self {
        Self {
            link: Session::new(address),
            store,
            links: Vec::new(),
            next: 0,
            heard: time::now(),
            lost: false,
        }
    }

    fn take(&mut self, lock: &Lock, deadline: Deadline) -> Result<Option<u64>> {
        let key = key(&format!("quotion {} {}", self.store, lock.name()));
        // This process has it, and would wait for itself.
        if self
            .links
            .iter()
            .any(|taken| taken.wanted && taken.key == key)
        {
            return Ok(None);
        }
        let wait = match deadline.left() {
            _ if time::is_simulated() => Wait::Not,
            None => Wait::Forever,
            Some(left) if left.is_zero() => Wait::Not,
            Some(left) => Wait::For(left),
        };
        while !self.ask(key, &wait)? {
            self.cut(self.links.len());
            if !time::is_simulated() || !time::pause(POLL, deadline) {
                return Ok(None);
            }
        }
        let id = self.next;
        self.next += 1;
        self.links.push(Taken {
            id,
            key,
            wanted: true,
        });
        Ok(Some(id))
    }

    /// True if the server has given the lock. Else the transaction is to be cut.
    fn ask(&mut self, key: i64, wait: &Wait) -> Result<bool> {
        let place = self.links.len();
        let begin = if place == 0 { BEGIN } else { "" };
        let ask = match wait {
            Wait::Not => format!("SELECT pg_try_advisory_xact_lock({key})"),
            Wait::For(left) => {
                format!(
                    "SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({key})",
                    lock_timeout(*left)
                )
            }
            Wait::Forever => {
                format!("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({key})")
            }
        };
        let sql = format!("{begin}SAVEPOINT lock_{place}; {ask}");
        let asked = self.converse(|link| {
            // Where no lock is held yet, a connection that was lost meanwhile is made anew.
            let send = |client: &mut postgres::Client| match client.simple_query(&sql) {
                Err(err) if err.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
                answer => answer.map(|rows| !rows.iter().any(is_refusal)),
            };
            if place == 0 {
                link.run(send)
            } else {
                link.run_once(send)
            }
        });
        if asked.is_err() {
            self.cut(place);
        }
        asked
    }

    fn give_back(&mut self, id: u64) {
        for taken in &mut self.links {
            taken.wanted &= taken.id != id;
        }
        let keep = self
            .links
            .iter()
            .rposition(|taken| taken.wanted)
            .map_or(0, |last| last + 1);
        if keep < self.links.len() {
            self.cut(keep);
        }
    }

    /// Gives back all locks but the first `keep`. Hangs up where that fails: then the server does
    /// it.
    fn cut(&mut self, keep: usize) {
        self.links.truncate(keep);
        let sql = match keep {
            0 => "ROLLBACK".to_owned(),
            _ => format!("ROLLBACK TO SAVEPOINT lock_{keep}; RELEASE SAVEPOINT lock_{keep}"),
        };
        if !self.lost
            && !self.link.is_down()
            && self
                .converse(|link| link.run_once(|client| client.batch_execute(&sql)))
                .is_err()
        {
            self.link.hang_up();
        }
        // Nothing is held any more that could have been lost.
        self.lost &= keep > 0;
    }

    /// Fails if the server may have given a lock of this process to another one.
    fn check(&mut self) -> Result<()> {
        if self.links.is_empty() {
            return Ok(());
        }
        let silent = time::since(self.heard) >= TRUSTED;
        self.converse(|link| {
            link.run_once(|client| {
                if silent {
                    return client.is_valid(ANSWER);
                }
                // Nothing is asked; but if the connection has ended, that was said already.
                client
                    .notifications()
                    .timeout_iter(Duration::from_millis(1))
                    .next()
                    .map(|_| ())
            })
        })
    }

    /// Talks to the server, unless locks are held by a connection that is no more.
    fn converse<T>(&mut self, talk: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let holds = !self.links.is_empty();
        if holds && (self.lost || self.link.is_down()) {
            self.lost = true;
            return Err(connection_lost());
        }
        let said = talk(&mut self.link);
        self.lost |= holds && self.link.is_down();
        if said.is_ok() {
            self.heard = time::now();
        }
        if self.lost && said.is_ok() {
            return Err(connection_lost());
        }
        said
    }
}

fn connection_lost() -> Error {
    let what = "the connection that held this process's locks is lost";
    Error::new(Fault::Busy, what)
}

fn is_refusal(answer: &SimpleQueryMessage) -> bool {
    matches!(answer, SimpleQueryMessage::Row(row) if row.get(0) == Some("f"))
}

/// In milliseconds; 0 would mean for ever.
fn lock_timeout(left: Duration) -> i32 {
    i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1)
}

/// Others use advisory locks too, by small numbers: ours are spread over all that there are.
fn key(name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |key, byte| (key << 8) | i64::from(*byte))
}
