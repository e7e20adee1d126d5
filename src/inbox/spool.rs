//! Events whose store cannot be reached: each lies in a file of its own, until a replay takes it
//! in.
//!
//! Apart because it is the one place where an event is kept without a store. A file is there whole
//! or not at all, and goes only once the store has its event.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::documents;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::files;
use crate::quo::webhook;
use crate::store::Store;
use crate::time;

use super::arrival;

/// The folder beside the logs.
const FOLDER: &str = "spool";
/// What a whole file is called.
const SUFFIX: &str = "json";

/// Puts an event's bytes into a file of its own, durably. Names are in the order of arrival.
pub fn keep(dir: &Path, payload: &[u8]) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    files::make_folder(&folder)?;
    let process = std::process::id();
    loop {
        let now = time::timestamp().as_nanosecond();
        let path = folder.join(format!("{now:020}-{process}.{SUFFIX}"));
        match files::put(&path, payload) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
}

/// Takes what lies there into the store, the oldest first. What cannot be read is told of, and
/// stays.
pub fn take_in(dir: &Path, store: &Store) -> Result<(), Failure> {
    for path in waiting(&dir.join(FOLDER)) {
        let Some((event, payload)) = read(&path) else {
            continue;
        };
        store.receive(&mut [arrival(&event, payload)])?;
        if let Err(err) = fs::remove_file(&path) {
            // The event's id keeps it from being done twice.
            log::warn!("{} cannot be removed: {err}", path.display());
        }
    }
    Ok(())
}

fn waiting(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
    paths.sort();
    paths
}

fn read(path: &Path) -> Option<(Event, Vec<u8>)> {
    let read = files::read(path, documents::MAX_BYTES as u64).map_err(|err| err.to_string());
    let parsed = read.and_then(|read| {
        let event = webhook::parse(&read.bytes, received(path)).map_err(|err| err.to_string())?;
        Ok((event, read.bytes))
    });
    parsed
        .map_err(|err| log::warn!("{} is left: {err}", path.display()))
        .ok()
}

/// When it came, which its name says.
fn received(path: &Path) -> Timestamp {
    let name = path.file_stem().and_then(|name| name.to_str());
    let moment = name.and_then(|name| name.split('-').next()?.parse().ok());
    let moment = moment.and_then(|moment| Timestamp::from_nanosecond(moment).ok());
    moment.unwrap_or_else(time::timestamp)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_private_whole_and_in_the_order_of_arrival() {
        let dir = tempfile::tempdir().expect("dir");
        for payload in [b"one", b"two", b"six"] {
            keep(dir.path(), payload).expect("kept");
        }
        let folder = dir.path().join(FOLDER);
        fs::write(folder.join("1-1.part"), "begun").expect("written");
        let paths = waiting(&folder);
        let texts: Vec<String> = paths
            .iter()
            .map(|path| fs::read_to_string(path).expect("readable"))
            .collect();
        assert_eq!(texts, ["one", "two", "six"]);
        for path in paths {
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(received(&path) <= time::timestamp());
        }
    }
}
