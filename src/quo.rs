//! Quo's words: what it delivers, and what it answers.
//!
//! Apart because only these files know Quo's JSON and paths. A call, a message, a contact and what
//! belongs to a call are each read in one place ([`words`]), whether Quo delivered them
//! ([`webhook`]) or was asked for them ([`api`]). They know neither Notion nor the store, keep
//! nothing, and decide nothing about a client.

pub mod api;
pub mod webhook;
pub mod words;

pub use self::api::{API, Error, Quo};
