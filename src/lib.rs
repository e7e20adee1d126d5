//! Quotion puts every call and text that touches a Quo number into Notion.

pub mod app;
pub mod cli;
pub mod config;
pub mod critical;
pub mod delivery;
pub mod documents;
pub mod domain;
pub mod failure;
pub mod http;
pub mod logs;
pub mod notion;
pub mod quo;
pub mod report;
pub mod secret;
pub mod store;
pub mod sync;
pub mod webhook;
