//! Locks between processes: a fixed set of lock files in a folder beside the store, which die with
//! their holder.
//!
//! Two names may share a file; then one waits for the other without need. That cannot become a
//! deadlock: an event's lock is always taken before those of its clients, these before those of
//! their pages, each kind is of another set, and taken in the order of its files.

use std::fmt;
use std::fs::{self, File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::files;

use super::super::{Error, Fault, Lock, Mode, Result};
use super::{Sqlite, cannot, make_folder};

/// Lock files of a set.
const FILES: u16 = 4096;

/// A lock file that is locked; nothing in a dry run, which writes nothing and so disturbs nobody.
pub struct LockFile(Option<(PathBuf, File)>);

impl LockFile {
    /// False once another file lies in its place, or none: whoever comes now locks that one.
    fn is_in_place(&self) -> bool {
        let Some((path, file)) = &self.0 else {
            return true;
        };
        let held = file.metadata().ok();
        identity(path).is_some_and(|there| held.as_ref().map(identity_of) == Some(there))
    }
}

impl Sqlite {
    /// Takes the lock in that place, unless somebody has it.
    pub fn try_lock(&self, place: &str) -> Result<Option<LockFile>> {
        if self.mode == Mode::ReadOnly {
            return Ok(Some(LockFile(None)));
        }
        let folder = self.path.with_extension("locks");
        make_folder(&folder)?;
        let path = folder.join(place);
        loop {
            let file = files::open(&path).map_err(|err| cannot("open", &path, &err))?;
            match file.try_lock() {
                Ok(()) => {
                    let lock = LockFile(Some((path.clone(), file)));
                    // It may have been removed before it was locked.
                    if lock.is_in_place() {
                        return Ok(Some(lock));
                    }
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(err)) => return Err(cannot("lock", &path, &err)),
            }
        }
    }

    /// Fails if another process may hold what this one has locked, or if the store that lies there
    /// is no longer the one that was opened.
    pub(super) fn check_held(&self, locks: &[Arc<LockFile>]) -> Result<()> {
        if !locks.iter().all(|lock| lock.is_in_place()) {
            return Err(lost("a lock file of this process was removed or replaced"));
        }
        if self.identity != identity(&self.path) {
            return Err(lost(
                "another file lies where this process has opened the store",
            ));
        }
        Ok(())
    }
}

pub(super) fn lost(what: &str) -> Error {
    Error::new(Fault::Busy, what)
}

/// What tells a file from every other one of this machine: device, number, and, for numbers are
/// given anew, when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    number: u64,
    made_at: Option<Timestamp>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.device, self.number)?;
        self.made_at.map_or(Ok(()), |at| write!(f, "{at}"))
    }
}

/// The identity of what lies there.
pub fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().as_ref().map(identity_of)
}

fn identity_of(metadata: &Metadata) -> Identity {
    let made_at = metadata.created().ok();
    Identity {
        device: metadata.dev(),
        number: metadata.ino(),
        made_at: made_at.and_then(|at| Timestamp::try_from(at).ok()),
    }
}

/// Name of the lock's file. A second lock on it would wait for the first for ever.
pub fn place_of(lock: &Lock) -> String {
    let set = match lock {
        Lock::Event(_) => "event",
        Lock::Client(_) => "client",
        Lock::Page(_) => "page",
        Lock::Contacts => return "contacts".to_owned(),
    };
    let digest = Sha256::digest(lock.name().as_bytes());
    let number = u16::from_be_bytes([digest[0], digest[1]]) % FILES;
    format!("{set}-{number:04}")
}
