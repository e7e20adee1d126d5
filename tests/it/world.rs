//! A small simulated world: whole programs, each a simulated process with the real store on a disk,
//! against the stand-in's own vendors behind a network that is late, loses requests, drops answers,
//! and lets something in between answer; they are killed and stopped, stores and locks are lost,
//! and people do as they like in Notion. Every history is given by its seed.
//!
//! What must come out: each entry once on the right page, nobody overruled, nothing stuck, and no
//! line that is not true.
//!
//! `QUOTION_TEST_HISTORIES` sets how many are lived through, `QUOTION_TEST_SEED` shows one of them.
//! That it finds something was tried with defects that were built in, one at a time; each is found
//! first by this seed (a change of what is drawn moves them):
//!
//! | defect | file | seed |
//! |---|---|---|
//! | entries are not recorded | `sync/apply.rs` | 2 |
//! | a page counts as wholly known whatever was lost | `sync/activity.rs` | 5 |
//! | the minute that Quo may be ahead is not taken off | `sync/activity.rs` | 5 |
//! | an open write is not looked for | `sync/gather/page.rs` | 7 |
//! | silence 0 | `sync/gather/look.rs` | 7 |
//! | what was sent has always come | `sync/gather/look.rs` | 16 |
//! | an append is sent again after a 502 | `http/verdict.rs` | 23 |
//! | an unknown outcome is closed at once | `sync/apply/record.rs` | 62 |
//! | an update's answer is not asked whose page it is | `sync/apply.rs` | 87 |
//! | each finding of an open write begins to wait anew | `store/sqlite/pages.rs` | 146 |
//! | a page that was looked at counts as wholly known | `sync/gather/page.rs` | 220 |
//! | the time of receipt counts as an activity's own | `sync/resolve.rs` | 350 |

mod events;
mod history;
mod judge;
mod log;
mod network;
mod people;
mod seen;

use std::collections::BTreeMap;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use history::{Lived, POINTS, Plan};
use network::FATES;
use people::ACTS;

/// Histories of a test run.
const HISTORIES: u64 = 200;

/// So many wrong ones are enough to look at.
const ENOUGH: usize = 8;

fn live(seed: u64) -> Lived {
    history::live(Plan::drawn(seed))
}

#[derive(Default)]
struct Tally {
    wrong: BTreeMap<u64, String>,
    counts: BTreeMap<&'static str, usize>,
    kills: BTreeMap<&'static str, usize>,
    in_doubt: u64,
}

impl Tally {
    fn take(&mut self, seed: u64, lived: &Lived) {
        for (what, times) in lived.log.counts() {
            *self.counts.entry(what).or_default() += times;
        }
        for (what, times) in lived.log.kills() {
            *self.kills.entry(what).or_default() += times;
        }
        self.in_doubt += u64::from(lived.in_doubt);
        if !lived.wrong.is_empty() {
            self.wrong.insert(seed, lived.wrong.join("\n"));
        }
    }
}

impl Tally {
    /// Everything that may happen has happened.
    fn check_coverage(&self, histories: u64) {
        let faults = FATES.iter().map(|fate| fate.name());
        let acts = ACTS.iter().map(|act| act.name());
        let others = [
            "an old read",
            "the store is lost",
            "lock files are removed",
            "the clock is set",
            "a process is stopped",
        ];
        let all = faults.chain(acts).chain(others);
        let missed: Vec<&str> = all.filter(|it| !self.counts.contains_key(it)).collect();
        assert!(missed.is_empty(), "never met: {missed:?}");
        let points = POINTS.iter().filter(|it| !self.kills.contains_key(*it));
        let missed: Vec<&&str> = points.collect();
        assert!(missed.is_empty(), "nobody was killed at {missed:?}");
        let least = histories * 3 / 10;
        assert!(self.in_doubt >= least, "only {} in doubt", self.in_doubt);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_or_doubled_in_any_history() {
    if let Some(seed) = number("QUOTION_TEST_SEED") {
        let lived = live(seed);
        println!("{}", lived.log.text());
        assert!(lived.wrong.is_empty(), "{}", lived.wrong.join("\n"));
        return;
    }
    let histories = number("QUOTION_TEST_HISTORIES").unwrap_or(HISTORIES);
    let next = AtomicU64::new(1);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let is_enough =
                        tally.lock().expect("nobody panics with it").wrong.len() >= ENOUGH;
                    if seed > histories || is_enough {
                        return;
                    }
                    let lived = panic::catch_unwind(|| live(seed));
                    let mut tally = tally.lock().expect("nobody panics with it");
                    match lived {
                        Ok(lived) => tally.take(seed, &lived),
                        Err(_) => drop(tally.wrong.insert(seed, "a panic".to_owned())),
                    }
                }
            });
        }
    });
    let tally = tally.into_inner().expect("nobody panics with it");
    println!("{histories} histories: {:?}", tally.counts);
    println!("killed at {:?}; in doubt {}", tally.kills, tally.in_doubt);
    if let Some((seed, what)) = tally.wrong.first_key_value() {
        let all: Vec<&u64> = tally.wrong.keys().collect();
        let lived = live(*seed);
        panic!("wrong: {all:?}\nseed {seed}\n{}\n{what}", lived.log.text());
    }
    if histories >= HISTORIES {
        tally.check_coverage(histories);
    }
}

#[test]
fn history_can_be_had_again() {
    for seed in 1..=8 {
        let (one, other) = (live(seed), live(seed));
        assert_eq!(one.log.text(), other.log.text(), "seed {seed}");
        assert_eq!(one.pages, other.pages, "seed {seed}");
    }
}
