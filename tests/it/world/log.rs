//! What happened in a history, in words, and how often what was met.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use crate::simulation;

/// What happened in a history.
#[derive(Default)]
pub struct Log {
    lines: Mutex<String>,
    counts: Mutex<BTreeMap<&'static str, usize>>,
    kills: Mutex<BTreeMap<&'static str, usize>>,
}

impl Log {
    /// Notes what a process does or meets.
    pub fn note(&self, what: impl FnOnce() -> String) {
        let (at, who) = (simulation::passed().as_secs_f64(), simulation::number());
        self.line(format_args!("{at:8.3} p{who} {}", what()));
    }

    /// Notes what happens beside the processes.
    pub fn line(&self, line: impl std::fmt::Display) {
        let mut lines = self.lines.lock().expect("nobody panics with it");
        writeln!(lines, "{line}").expect("a text takes all");
    }

    pub fn count(&self, what: &'static str) {
        let mut counts = self.counts.lock().expect("nobody panics with it");
        *counts.entry(what).or_default() += 1;
    }

    pub fn count_kill(&self, at: &'static str) {
        let mut kills = self.kills.lock().expect("nobody panics with it");
        *kills.entry(at).or_default() += 1;
    }

    pub fn kills(&self) -> BTreeMap<&'static str, usize> {
        self.kills.lock().expect("nobody panics with it").clone()
    }

    pub fn text(&self) -> String {
        self.lines.lock().expect("nobody panics with it").clone()
    }

    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.counts.lock().expect("nobody panics with it").clone()
    }
}
