//! A text message with its attachments.

use super::context::Context;
use super::link::Address;
use super::parties::Direction;
use super::reply::Reply;

/// A text message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Which message, between whom, when.
    pub context: Context,
    /// The text; may be empty when there are attachments.
    pub text: String,
    /// Pictures and files.
    pub media: Vec<Media>,
}

impl Message {
    /// Whether its sender, or the receiver, waits for an answer now; `None` if it does not say who
    /// wrote.
    pub fn reply(&self) -> Option<Reply> {
        self.context.direction().map(|direction| match direction {
            Direction::Incoming => Reply::Owed,
            Direction::Outgoing => Reply::Given,
        })
    }

    /// True if there is nothing to read in it: deliveries of v4 leave attachments out.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.media.is_empty()
    }
}

/// An attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it lies.
    pub address: Address,
    /// MIME type, if told.
    pub mime: Option<String>,
}
