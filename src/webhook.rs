//! The webhook door: raw bytes are verified, then become an event.

pub mod signature;
