//! Documents of an input before they are looked into.
//!
//! Apart because where a document is looked into decides where its memory lies.

use std::io::Read;

use crate::bug;
use crate::documents::{Broken, Documents};
use crate::domain::failure::Failure;

use super::intake::{Document, of_no_event, read, unless_skipped};

/// A document that was not looked into.
pub enum Unread {
    /// Its bytes, and its number.
    Document(Result<Vec<u8>, Broken>, usize),
    /// A bug that its bytes have brought to light.
    Bug(Failure),
}

/// All documents of an input.
pub fn documents(
    input: impl Read + Send + 'static,
) -> impl Iterator<Item = Unread> + Send + 'static {
    let mut numbered = Some(Documents::new(input).zip(1..));
    std::iter::from_fn(move || {
        let next = bug::caught(|| numbered.as_mut()?.next());
        Some(match next.transpose()? {
            Ok((document, number)) => Unread::Document(document, number),
            // Nobody knows where the next document would begin.
            Err(bug) => {
                numbered = None;
                Unread::Bug(bug)
            }
        })
    })
}

impl Unread {
    /// Its bytes are so many.
    pub fn size(&self) -> usize {
        match self {
            Self::Document(bytes, _) => bytes.as_ref().map_or(0, Vec::len),
            Self::Bug(_) => 0,
        }
    }

    /// Looks into it.
    pub fn read(self) -> Document {
        match self {
            Self::Document(bytes, number) => bug::caught(|| unless_skipped(read(bytes, number)))
                .unwrap_or_else(|bug| of_no_event(bug, Some(number))),
            Self::Bug(bug) => of_no_event(bug, None),
        }
    }
}
