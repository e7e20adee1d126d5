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
    /// True if it is told that it did not get through.
    pub is_undelivered: bool,
}

impl Message {
    /// Whether the client waits for an answer now; `None` if it does not say who wrote, or did not
    /// get through.
    pub fn reply(&self) -> Option<Reply> {
        match self.context.direction()? {
            _ if self.is_undelivered => None,
            Direction::Incoming => Some(Reply::Owed),
            Direction::Outgoing => Some(Reply::Given),
        }
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
