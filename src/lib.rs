//! Quotion puts every call and text that touches a Quo number into Notion: the code map.
//!
//! ```text
//! stdin ─ documents ─ signature ─ quo::webhook ─▶ Event ─ inbox ─▶ Work: kept, claimed
//!                                                  │  what comes together, grouped by client
//!         ┌──────── sync::gather ────────┐         │  reads: store, Quo ‖ Notion side by side
//!         └──────────────┬───────────────┘ ◀───────┘
//!                        ▼  Facts
//!                    sync::plan       pure: facts in, steps out; a dry run prints them
//!                        ▼  Steps
//!                    sync::apply      the only writer: intent kept, Notion called, result kept
//!                        ▼  Outcome   one for each document; its verdict may be a Failure
//!                    report, exit     one JSON line on stdout; the code
//! ```
//!
//! Floors: a file uses floors below its own, and never one beside it. `tests/it/tidy.rs` holds this
//! table and fails on anything else.
//!
//! - 9: `lib` this map; `main` hands over arguments, streams and the clock
//! - 8: [`app`] the program, one file for each command; [`app::console`] is what the outside sees
//!   of it
//! - 7: [`config`] puts the settings together, the only reader of the environment; [`logs`];
//!   [`report`] the result JSON
//! - 6: [`inbox`] events from arrival to end: admitted, drained; [`cli`] the command line as typed,
//!   and what was meant by it; [`exit`] the only place that knows exit codes
//! - 5: [`sync`] the main job: gather, plan, apply; [`backfill`] what Quo has had, as events
//! - 4: [`services`] the settings, and what is made from them: the store and the vendors, each when
//!   it is first needed
//! - 3: [`quo`], [`notion`] a vendor's words each, deliveries among them; [`store`] what is
//!   remembered; [`critical`] what the operator must see
//! - 2: [`signature`] whether bytes are genuine; [`http`] the only place that sends, waits and
//!   retries; [`documents`]; [`files`] that are the owner's alone; [`bug`] where a panic is caught
//! - 1: [`domain`] plain values and the rules about them; [`json_line`] JSON that is safe to show
//! - 0: [`bounded`] JSON of others within bounds; [`secret`] what never prints; [`surrogate`] half
//!   characters of a text cut; [`text`] foreign words made fit to be shown; [`time`] clocks,
//!   deadlines, waits, being told to stop, and work at once: real, or a test's
//!
//! An ending is an [`Outcome`](domain::outcome::Outcome) from the job to the line, and what went
//! wrong a [`Failure`](domain::failure::Failure): each error becomes one beside its own definition,
//! which says what happened, what to do, and whose it is to do.
//!
//! Absent on purpose: no I/O, clock or vendor's JSON in `domain` and `sync::plan`; no write to
//! Notion without its intent in the store, and none repeated without a look first; no bare string
//! for a phone, an id or a secret past the door; no loop, retry or body without a limit.

pub mod app;
pub mod backfill;
pub mod bounded;
pub mod bug;
pub mod cli;
pub mod config;
pub mod critical;
pub mod documents;
pub mod domain;
pub mod exit;
pub mod files;
pub mod http;
pub mod inbox;
pub mod json_line;
pub mod logs;
pub mod notion;
pub mod quo;
pub mod report;
pub mod secret;
pub mod services;
pub mod signature;
pub mod store;
pub mod surrogate;
pub mod sync;
pub mod text;
pub mod time;
