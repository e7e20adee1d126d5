//! Quotion puts every call and text that touches a Quo number into Notion.

pub mod documents;
pub mod domain;
pub mod http;
pub mod quo;
pub mod secret;
pub mod store;
