//! Input that ends when nobody wants more of it.
//!
//! Apart because what was read ahead is still to be kept then, and so must come to an end that is
//! like any other.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::time::{Deadline, stop};

/// Bytes that are handed over at a time by an input that has to end in time.
const CHUNK: usize = 64 * 1024;

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

impl Input {
    /// The same input, which has to end within this time: a sender that stays silent must not hold
    /// a receiver's program for ever. What does not is [`io::ErrorKind::TimedOut`].
    pub fn within(self, time: Duration) -> Self {
        let Self {
            mut source,
            enough,
            path,
        } = self;
        let (sender, chunks) = mpsc::sync_channel(1);
        // Nobody waits for its end: a read from a silent input cannot be ended.
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match source.read(&mut chunk) {
                    Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|count| {
                        chunk.truncate(count);
                        chunk
                    }),
                };
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        });
        Self {
            source: Box::new(Timed {
                chunks,
                chunk: io::Cursor::default(),
                deadline: Deadline::within(time),
            }),
            enough,
            path,
        }
    }
}

/// What another thread reads, until a deadline.
struct Timed {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.chunk.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        match self
            .chunks
            .recv_timeout(self.deadline.left().unwrap_or_default())
        {
            Ok(chunk) => {
                self.chunk = io::Cursor::new(chunk?);
                self.chunk.read(buffer)
            }
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not come to its end in time",
            )),
            Err(RecvTimeoutError::Disconnected) => Ok(0),
        }
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
