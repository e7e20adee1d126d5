//! Whole runs of the binary: time, calls, connections, memory.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::standin::{self, StandIn, Vendor, World};

const RUNS: usize = 21;

/// A user's environment for the binary.
pub struct Bench<'a> {
    pub binary: &'a str,
    pub vendors: StandIn,
    pub home: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    pub fn new(binary: &'a str, latency: Duration) -> Self {
        let vendors = StandIn::start(World::default_demo());
        vendors.set_rate_limits(false);
        vendors.set_latency(latency);
        Self { binary, vendors, home: tempfile::tempdir().expect("a folder") }
    }

    /// Runs the binary and returns the time until its end.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Duration {
        let began = Instant::now();
        let mut child = Command::new(self.binary)
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("NOTION_API_KEY", standin::NOTION_KEY)
            .env("NOTION_API_BASE", self.vendors.notion_base())
            .env("NOTION_CLIENTS_DATABASE_ID", standin::CLIENTS_DATABASE)
            .env("OPENPHONE_API_KEY", standin::QUO_KEY)
            .env("OPENPHONE_API_BASE", self.vendors.quo_base())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        began.elapsed()
    }
}

/// The median of `RUNS` measurements.
pub fn median(mut measure: impl FnMut(usize) -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS).map(&mut measure).collect();
    times.sort();
    times[RUNS / 2]
}

/// A message of its own: other ids than any before.
pub fn message(n: usize) -> Vec<u8> {
    let sample = sample("v2026-03-30.message.received");
    sample
        .replace("EV00000000000000000000000000000080", &format!("EV{n:032x}"))
        .replace("AC00000000000000000000000000000180", &format!("AC{n:032x}"))
        .into_bytes()
}

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/quo/{name}.json"));
    let text = std::fs::read_to_string(path).expect("sample");
    // As Quo sends it: without blanks.
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON").to_string()
}

pub fn measure(binary: &str) {
    println!("{:<44} {:>9} {:>7} {:>5} {:>5}", "run of the whole process", "median", "notion", "quo", "conn");
    let bench = Bench::new(binary, Duration::ZERO);
    let skipped = sample("legacy-v4.call.ringing");
    row("skipped event", median(|_| bench.run(&[], skipped.as_bytes())), None);
    row("--enqueue", median(|n| bench.run(&["--enqueue"], &message(n))), None);
    for latency in [0, 100] {
        let latency = Duration::from_millis(latency);
        let bench = Bench::new(binary, latency);
        bench.run(&[], &message(9999));
        let known = median(|n| bench.run(&[], &message(n)));
        row(&format!("known and cached client, latency {latency:?}"), known, Some(last(&bench, 77_777)));
        bench.run(&[], sample("legacy-v4.call.completed.answered").as_bytes());
        let duplicate = median(|_| bench.run(&[], sample("legacy-v4.call.completed.answered").as_bytes()));
        row(&format!("duplicate, latency {latency:?}"), duplicate, None);
    }
}

/// Calls and connections of one more run.
fn last(bench: &Bench, n: usize) -> (usize, usize, usize) {
    bench.vendors.clear_requests();
    bench.run(&[], &message(n));
    let seen = bench.vendors.requests();
    let connections: HashSet<usize> = seen.iter().map(|seen| seen.connection).collect();
    (bench.vendors.count(Vendor::Notion), bench.vendors.count(Vendor::Quo), connections.len())
}

pub fn row(what: &str, time: Duration, calls: Option<(usize, usize, usize)>) {
    let millis = time.as_secs_f64() * 1000.0;
    match calls {
        Some((notion, quo, connections)) => {
            println!("{what:<44} {millis:>6.1} ms {notion:>7} {quo:>5} {connections:>5}");
        }
        None => println!("{what:<44} {millis:>6.1} ms"),
    }
}
