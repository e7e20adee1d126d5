//! The whole program as a user runs it: real binary, real files, stdin and stdout, against the stand-in of both APIs.
#![allow(clippy::disallowed_methods, reason = "tests sleep, read the clock and the environment")]
#![allow(clippy::print_stdout, reason = "tests tell what they skipped and how much they tried")]

mod crash;
mod first;
mod harness;
mod interleave;
mod race;
mod replay;
#[path = "../standin/lib.rs"]
mod standin;
mod store_trouble;
mod support;
mod trouble;
