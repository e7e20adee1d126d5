//! A text message by its id: what a delivery left out, above all attachments.
//!
//! Apart because calls, which share the id's prefix, are read elsewhere and otherwise.
//! <https://www.quo.com/docs/mdx/api-reference/messages/get-a-message-by-id>

use super::refusal::Error;
use super::wire;
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::http::Request;
use crate::quo::words::{message, parties};

/// `GET /v1/messages/{id}`.
pub fn get(id: &ActivityId) -> Request {
    Request::get(format!("/messages/{id}"))
}

/// Reads the reply to [`get`].
pub fn parse(body: &[u8]) -> Result<Message, Error> {
    wire::object("message", body, |fields| {
        let id = wire::activity_id("message", fields, body)?;
        Ok(message::read(parties::context(id, fields), fields))
    })
}
