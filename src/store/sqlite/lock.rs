//! Locks between processes: a fixed set of lock files in a folder beside the store, which die with
//! their holder.
//!
//! Two names may share a file; then one waits for the other without need. That cannot become a
//! deadlock: an event's lock is always taken before those of its clients, these are of another set,
//! and taken in the order of their files.

use std::fs::{File, TryLockError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::files;
use crate::time::{self, Deadline};

use super::super::{Lock, Mode, Result};
use super::{Sqlite, cannot, make_folder};

/// Lock files of a set.
const FILES: u8 = 128;
/// How often a lock that is held is tried again.
const POLL: Duration = Duration::from_millis(5);

/// A lock file that is locked; nothing in a dry run, which writes nothing and so disturbs nobody.
pub struct LockFile {
    _file: Option<File>,
}

impl Sqlite {
    pub fn lock(&self, lock: &Lock, deadline: Deadline) -> Result<Option<LockFile>> {
        if self.mode == Mode::ReadOnly {
            return Ok(Some(LockFile { _file: None }));
        }
        let folder = self.path.with_extension("locks");
        make_folder(&folder)?;
        let path = folder.join(place_of(lock));
        let file = files::open(&path).map_err(|err| cannot("open", &path, &err))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(LockFile { _file: Some(file) })),
                Err(TryLockError::WouldBlock) if time::pause(POLL, deadline) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(err)) => return Err(cannot("lock", &path, &err)),
            }
        }
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
    let number = Sha256::digest(lock.name().as_bytes())[0] % FILES;
    format!("{set}-{number:03}")
}
