//! Input that ends when nobody wants more of it.
//!
//! Apart because what was read ahead is still to be kept then, and so must come to an end that is
//! like any other.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::time::stop;

/// An input of documents.
pub struct Input {
    source: Box<dyn Read + Send>,
    /// Set when no more is wanted.
    enough: Arc<AtomicBool>,
    /// The file's name, for what is said of it.
    path: Option<PathBuf>,
}

impl Input {
    /// Standard input.
    pub fn new(source: Box<dyn Read + Send>, enough: Arc<AtomicBool>) -> Self {
        Self {
            source,
            enough,
            path: None,
        }
    }

    /// A file.
    pub fn open(path: PathBuf, enough: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            source: Box::new(File::open(&path)?),
            enough,
            path: Some(path),
        })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if stop::is_told() || self.enough.load(Ordering::Relaxed) {
            return Ok(0);
        }
        self.source.read(buffer).map_err(|err| match &self.path {
            Some(path) if err.kind() != io::ErrorKind::Interrupted => {
                io::Error::new(err.kind(), format!("{}: {err}", path.display()))
            }
            Some(_) | None => err,
        })
    }
}
