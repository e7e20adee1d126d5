//! The whole program as a user runs it: real binary, real files, stdin and stdout, against the
//! stand-in of both APIs.
#![allow(
    clippy::disallowed_methods,
    reason = "tests sleep, read the clock and the environment"
)]
#![allow(
    clippy::print_stdout,
    reason = "tests tell what they skipped and how much they tried"
)]

mod archived;
mod audit;
mod backfill;
mod backfill_pipe;
mod batch;
mod batch_crash;
mod batch_trouble;
mod bounds;
mod console;
mod crash;
mod delivery;
mod doctor;
mod door;
mod enrich;
mod entry;
mod faults;
mod fill;
mod first;
mod follow_up;
mod harness;
mod held;
mod input;
mod interleave;
mod kit;
mod logs;
mod look;
mod lost_store;
mod packages;
mod people;
mod pooler;
mod race;
mod receivers;
mod replay;
mod samples;
mod settings;
mod simulation;
#[path = "../standin/lib.rs"]
mod standin;
mod status;
mod store;
mod store_trouble;
mod strict;
mod support;
mod tidy;
mod timers;
mod trouble;
mod trust;
mod verdict;
mod world;
