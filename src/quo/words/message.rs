//! A text message: its words and attachments, under the names of every generation.
//! <https://www.quo.com/docs/mdx/api-reference/messages/get-a-message-by-id>

use super::fields::{Fields, scalar};
use crate::domain::context::Context;
use crate::domain::link::Address;
use crate::domain::message::{Media, Message};

/// Most attachments of one message that are written; a text message has at most ten.
const MOST_MEDIA: usize = 100;
/// What is said of a text that did not get through.
const FAILED: [&str; 2] = ["failed", "undelivered"];
const MEDIA: &[&str] = &["url", "type"];

/// Reads it.
pub fn read(context: Context, fields: &Fields) -> Message {
    let (mut media, mut count) = (Vec::new(), 0);
    fields.each("media", |json| {
        count += 1;
        if count <= MOST_MEDIA {
            media.extend(attachment(json, fields));
        }
    });
    if count > MOST_MEDIA {
        let message = format!("{count} attachments, of which the first {MOST_MEDIA} are written");
        fields.notes().odd(message);
    }
    let status = fields.word("status");
    // v2 and v3 call the text `body`.
    let text = fields.text("text").filter(|text| !text.is_empty());
    Message {
        context,
        text: text.or_else(|| fields.text("body")).unwrap_or_default(),
        media,
        is_undelivered: status.is_some_and(|status| FAILED.contains(&status.as_str())),
    }
}

/// An attachment, written as an object or as its address alone.
fn attachment(json: &str, fields: &Fields) -> Option<Media> {
    let file = Fields::of(json, &fields.place("media"), MEDIA, fields.notes());
    let (address, mime) = match &file {
        Some(file) => (file.word("url"), file.word("type")),
        None => (scalar(json).filter(|_| json.starts_with('"')), None),
    };
    let address = address.filter(|address| !address.trim().is_empty());
    if address.is_none() {
        fields.unreadable("media", "an address");
    }
    let address = Address::read(&address?);
    Some(Media { address, mime })
}
