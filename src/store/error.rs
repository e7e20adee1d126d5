//! Trouble with the store, and what the operator must do about each.

use std::fmt;

use crate::domain::failure::{Failure, Hope, Kind};

use super::Place;

/// Trouble with the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Which.
    pub fault: Fault,
    /// In words: the file or the database, never its password.
    what: String,
}

/// What is the matter with a store, by what there is to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Locked by another process for longer than the busy timeout.
    Busy,
    /// Its server cannot be reached, or goes down.
    Unreachable,
    /// Written by a newer Quotion.
    Newer,
    /// The address of a database is wrong, or says what cannot be done.
    Address,
    /// The server lets nobody in with that user, password or database.
    Login,
    /// Something may not be read or written.
    Rights,
    /// No space is left.
    Full,
    /// What lies there is no store, or a damaged one.
    Damaged,
    /// The file system cannot lock files.
    NoLocks,
    /// Anything else.
    Other,
}

impl Error {
    /// An error that says `what`.
    pub fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self {
            fault,
            what: what.into(),
        }
    }

    /// True if the same may succeed later.
    pub fn passes(&self) -> bool {
        matches!(self.fault, Fault::Busy | Fault::Unreachable)
    }

    /// The same, with the file that it is about. A database's name is in its words already.
    #[must_use]
    pub fn at(self, place: &Place) -> Self {
        match place {
            Place::File(path) => self.within(&path.display().to_string()),
            Place::Postgres(_) => self,
        }
    }

    /// The same, with what it happened to, unless it says so.
    #[must_use]
    pub fn within(self, what: &str) -> Self {
        if self.what.contains(what) {
            return self;
        }
        Self {
            what: format!("{what}: {}", self.what),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some causes quote a whole statement.
        let what = self.what.lines().next().unwrap_or_default();
        write!(f, "store: {what}")
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        let hint = match err.fault {
            Fault::Busy => {
                "another process holds the store, or its server has too much to do; run again"
            }
            Fault::Unreachable => {
                "check that the database's server runs and can be reached from here; run again"
            }
            Fault::Newer => "update quotion on this machine",
            Fault::Address => "correct the address (--state, QUOTION_STATE or DATABASE_URL)",
            Fault::Login => {
                "check user, password and database in the address (QUOTION_STATE or DATABASE_URL)"
            }
            Fault::Rights => {
                "a file: give it and its folder to the user who runs quotion; a database: grant \
                    its user the right to make and change tables in its schema"
            }
            Fault::Full => "make room where the store lies; nothing that is in it is lost",
            Fault::Damaged => {
                "check the path (--dir, --state); if it is the store, put a copy back, or it can \
                    be moved away: a new one is made, and what stands in Notion is looked at \
                    before anything is written"
            }
            Fault::NoLocks => {
                "choose a folder on a local disk (--dir), or a PostgreSQL database (--state)"
            }
            Fault::Other => "check the path or the address (--dir, --state), and the disk",
        };
        let hope = if err.passes() {
            Hope::Later
        } else {
            Hope::Mended
        };
        Self::new(Kind::Store, err.to_string(), hint).with_hope(hope)
    }
}
