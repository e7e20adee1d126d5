//! What Quotion talks about: events, people, pages and plans, as plain values.
//!
//! Apart from everything else so that the rules can be read and tested alone. Nothing here does
//! I/O, reads the clock, or knows how a vendor spells things in JSON.

pub mod block;
pub mod call;
pub mod choice;
pub mod columns;
pub mod context;
pub mod dialogue;
pub mod entry;
pub mod event;
pub mod failure;
pub mod id;
pub mod link;
pub mod message;
pub mod outcome;
pub mod parties;
pub mod phone;
pub mod profile;
pub mod reply;
pub mod step;
pub mod table;
pub mod work;
