//! The whole program as a user runs it: real binary, real files, stdin and stdout, against the stand-in of both APIs.
#![allow(clippy::disallowed_methods, reason = "tests sleep, read the clock and the environment")]

mod crash;
mod first;
mod harness;
mod packages;
mod receivers;
#[path = "../standin/lib.rs"]
mod standin;
mod timers;
