//! The whole program as a user runs it: real binary, real files, stdin and stdout, against the stand-in of both APIs.
#![allow(clippy::disallowed_methods, reason = "tests sleep, read the clock and the environment")]

mod audit;
mod crash;
mod door;
mod enrich;
mod entry;
mod faults;
mod fill;
mod first;
mod harness;
mod input;
mod kit;
mod logs;
mod packages;
mod receivers;
mod samples;
mod settings;
#[path = "../standin/lib.rs"]
mod standin;
mod store;
mod strict;
mod tidy;
mod timers;
