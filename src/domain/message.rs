//! A text message with its attachments.

use super::context::Context;

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

/// An attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it lies.
    pub url: String,
    /// MIME type, if told.
    pub mime: Option<String>,
}
