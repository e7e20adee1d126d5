//! Standard input in windows: what comes together is worked on together.
//!
//! A thread reads ahead by a few documents while the last window is worked on, so memory is bounded by a window and
//! these, and a slow stream has each result at once.

use std::io::Read;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::documents::{Broken, Documents};

/// Most documents of a window.
pub const DOCUMENTS: usize = 1000;
/// A window with so many bytes is full.
pub const BYTES: usize = 4 * 1024 * 1024;
/// How long the next document is waited for; what comes later belongs to the next window.
const LINGER: Duration = Duration::from_millis(50);
/// Documents that are read ahead.
const AHEAD: usize = 8;

type Document = Result<Vec<u8>, Broken>;

/// Reads `input` to its end and hands it on, window by window.
pub fn windows(input: impl Read + Send, mut take: impl FnMut(Vec<Document>)) {
    thread::scope(|scope| {
        let (sender, documents) = mpsc::sync_channel(AHEAD);
        // The receiver stays until the last document was sent.
        scope.spawn(move || Documents::new(input).try_for_each(|document| sender.send(document)));
        while let Some(window) = next(&documents) {
            take(window);
        }
    });
}

/// The next window; `None` at the end.
fn next(documents: &Receiver<Document>) -> Option<Vec<Document>> {
    let size = |document: &Document| document.as_ref().map_or(0, Vec::len);
    let first = documents.recv().ok()?;
    let mut bytes = size(&first);
    let mut window = vec![first];
    while window.len() < DOCUMENTS && bytes < BYTES {
        let Ok(document) = documents.recv_timeout(LINGER) else { break };
        bytes += size(&document);
        window.push(document);
    }
    Some(window)
}
