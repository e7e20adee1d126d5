//! Standard input in windows: what comes together is worked on together.
//!
//! A thread reads ahead by a few documents while the last window is worked on, so memory is bounded
//! by a window and these, and a slow stream has each result at once. It does not look into a large
//! one: memory that a thread has taken stays its own when others free it, and would come on top.

use std::iter;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::time;

use super::intake::Document;
use super::unread::Unread;

/// Most documents of a window.
pub const DOCUMENTS: usize = 1000;
/// A window with so many bytes is full.
pub const BYTES: usize = 4 * 1024 * 1024;
/// How long the next document is waited for; what comes later belongs to the next window.
const LINGER: Duration = Duration::from_millis(50);
/// Documents that are read ahead.
const AHEAD: usize = 8;
/// A document of so many bytes is large: nothing is read ahead of its end, and its window ends with
/// it. So at most one of them is in memory.
const LARGE: usize = 1024 * 1024;

/// What is read ahead.
enum Ahead {
    Read(Document),
    Large(Unread),
}

impl Ahead {
    fn read(self) -> Document {
        match self {
            Self::Read(document) => document,
            Self::Large(document) => document.read(),
        }
    }
}

/// Hands on `first` and all that comes after it, window by window.
pub fn windows(
    first: Document,
    rest: impl Iterator<Item = Unread> + Send + 'static,
    is_over: impl Fn() -> bool,
    mut take: impl FnMut(Vec<Document>) -> ControlFlow<()>,
) {
    if time::is_simulated() {
        // All of it is there, and a thread that reads ahead would live in real time.
        let _ = take(iter::once(first).chain(rest.map(Unread::read)).collect());
        return;
    }
    let (sender, documents) = mpsc::sync_channel(AHEAD);
    // Says that a large one is done.
    let (done, large_done) = mpsc::sync_channel(1);
    let mut hold = size(&first) >= LARGE;
    // Nobody waits for its end: the input may stay open and silent when the program is to stop.
    thread::spawn(move || {
        let mut rest = rest;
        // Either channel is closed when no more is wanted.
        while !hold || large_done.recv().is_ok() {
            let Some(document) = rest.next() else {
                return;
            };
            hold = document.size() >= LARGE;
            let ahead = if hold {
                Ahead::Large(document)
            } else {
                Ahead::Read(document.read())
            };
            if sender.send(ahead).is_err() {
                return;
            }
        }
    });
    let mut next = Some(first);
    while let Some(first) = next {
        let window = window(first, &documents);
        let was_held = window.last().is_some_and(|last| size(last) >= LARGE);
        let flow = take(window);
        if flow.is_break() || was_held && done.send(()).is_err() {
            return;
        }
        next = following(&documents, &is_over);
    }
}

/// The next document; `None` at the end, and when the run is over and nothing more was read.
fn following(documents: &Receiver<Ahead>, is_over: impl Fn() -> bool) -> Option<Document> {
    loop {
        match documents.recv_timeout(LINGER) {
            Ok(ahead) => return Some(ahead.read()),
            Err(RecvTimeoutError::Timeout) if !is_over() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn size(document: &Document) -> usize {
    document
        .as_ref()
        .map_or(0, |delivery| delivery.payload.len())
}

/// The document and those that come with it.
fn window(first: Document, documents: &Receiver<Ahead>) -> Vec<Document> {
    let mut last = size(&first);
    let mut bytes = last;
    let mut window = vec![first];
    while window.len() < DOCUMENTS && bytes < BYTES && last < LARGE {
        let Ok(ahead) = documents.recv_timeout(LINGER) else {
            break;
        };
        let document = ahead.read();
        last = size(&document);
        bytes += last;
        window.push(document);
    }
    window
}
