//! A user with a folder of their own and the vendors: runs whole programs and says what a run has
//! cost.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::standin::{self, StandIn, Vendor, World};

/// Measurements of which the middle one counts.
const RUNS: usize = 21;

/// What one run has cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    pub time: Duration,
    /// Part of the time in which the stand-in itself worked, latency left out.
    pub standin: Duration,
    pub notion: usize,
    pub quo: usize,
    pub connections: usize,
    /// Lines of standard output.
    pub output: Vec<String>,
}

pub struct User {
    command: Vec<String>,
    pub vendors: StandIn,
    home: tempfile::TempDir,
}

impl User {
    /// A user of that program, whose vendors count no requests; nor does the program hold itself
    /// back.
    pub fn of(program: &str, world: World) -> Self {
        let vendors = StandIn::start(world);
        vendors.set_rate_limits(false);
        let user = Self {
            command: vec![program.to_owned()],
            vendors,
            home: tempfile::tempdir().expect("a folder"),
        };
        let rates =
            "[notion]\nrequests_per_minute = 1000000\n[quo]\nrequests_per_second = 1000000\n";
        fs::write(user.path("quotion.toml"), rates).expect("settings");
        user
    }

    /// A user of the straight-line program: this one, started anew for each measurement as the
    /// other is.
    pub fn of_baseline(world: World) -> Self {
        let own = std::env::current_exe().expect("a path");
        let mut user = Self::of(own.to_str().expect("UTF-8"), world);
        user.command.push("baseline".to_owned());
        user
    }

    /// As many requests as both vendors allow, and no more.
    pub fn with_rate_limits(self) -> Self {
        self.vendors.set_rate_limits(true);
        fs::remove_file(self.path("quotion.toml")).expect("settings");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The store's file, and what has been written and not yet been taken over into it.
    pub fn store_bytes(&self) -> u64 {
        let files = [".tmp/quotion.db", ".tmp/quotion.db-wal"];
        files
            .iter()
            .filter_map(|name| fs::metadata(self.path(name)).ok())
            .map(|file| file.len())
            .sum()
    }

    /// What an event must do at least to be kept: a little is written and brought to the disk.
    pub fn sync_to_disk(&self) -> Cost {
        let mut file = File::create(self.path("synced")).expect("a file");
        let began = Instant::now();
        file.write_all(&[7; 4096])
            .and_then(|()| file.sync_all())
            .expect("a disk");
        Cost {
            time: began.elapsed(),
            ..Cost::default()
        }
    }

    /// Runs the program to its end, which must be a good one.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Cost {
        self.watched(args, input, |child| child.wait().expect("it ends"))
    }

    /// Runs it and gives the most memory that was resident, in bytes, as seen every tenth of a
    /// millisecond.
    pub fn peak(&self, args: &[&str], input: &[u8]) -> (u64, Cost) {
        let mut peak = 0;
        let cost = self.watched(args, input, |child| {
            loop {
                peak = high_water(child.id()).unwrap_or(peak);
                if let Some(status) = child.try_wait().expect("a child") {
                    return status;
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        (peak, cost)
    }

    fn watched(
        &self,
        args: &[&str],
        input: &[u8],
        wait: impl FnOnce(&mut Child) -> ExitStatus,
    ) -> Cost {
        fs::write(self.path("input"), input).expect("a file");
        self.vendors.clear_requests();
        let busy = self.vendors.busy();
        let mut command = self.command(args);
        let began = Instant::now();
        let status = wait(&mut command.spawn().expect("the program starts"));
        let time = began.elapsed();
        let read = |name| fs::read_to_string(self.path(name)).expect("UTF-8");
        assert!(
            status.success(),
            "{status}\n{}\n{}",
            read("output"),
            read("errors")
        );
        let connections: HashSet<usize> = self
            .vendors
            .requests()
            .iter()
            .map(|seen| seen.connection)
            .collect();
        Cost {
            time,
            standin: self.vendors.busy().saturating_sub(busy),
            notion: self.vendors.count(Vendor::Notion),
            quo: self.vendors.count(Vendor::Quo),
            connections: connections.len(),
            output: read("output").lines().map(str::to_owned).collect(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("NOTION_API_KEY", standin::NOTION_KEY)
            .env("NOTION_API_BASE", self.vendors.notion_base())
            .env("NOTION_CLIENTS_DATABASE_ID", standin::CLIENTS_DATABASE)
            .env("OPENPHONE_API_KEY", standin::QUO_KEY)
            .env("OPENPHONE_API_BASE", self.vendors.quo_base())
            .stdin(File::open(self.path("input")).expect("a file"))
            .stdout(File::create(self.path("output")).expect("a file"))
            .stderr(File::create(self.path("errors")).expect("a file"));
        command
    }
}

impl Cost {
    /// Asserts that there are so many result lines, and that all of them say this.
    #[track_caller]
    pub fn expect(self, lines: usize, text: &str) -> Self {
        assert_eq!(self.output.len(), lines, "result lines");
        let other = self.output.iter().find(|line| !line.contains(text));
        assert!(other.is_none(), "{text} expected: {other:?}");
        self
    }
}

/// The run with the median time.
pub fn median(measure: impl FnMut(usize) -> Cost) -> Cost {
    middle((0..RUNS).map(measure).collect())
}

/// The one with the median time.
pub fn middle(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.time);
    costs.swap_remove(costs.len() / 2)
}

/// Most memory that was resident so far, in bytes; `None` when the process has ended.
fn high_water(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}
