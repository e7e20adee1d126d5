//! One event for each run of the whole process: time, calls and connections, without latency and
//! with 100 ms.
//!
//! Everything that changes seldom (columns, own numbers, the index of contacts) has been read
//! before.

use std::time::Duration;

use rusqlite::Connection;

use crate::events::{self, Names, message, sample};
use crate::table::{Table, millis, none, ratio, verdict};
use crate::user::{Cost, User, median, middle};

/// Contacts in Quo.
const PEOPLE: usize = 200;
/// The client that is known.
const KNOWN: usize = 190;

/// Kinds of events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Skipped,
    Enqueued,
    Duplicate,
    NewById,
    NewByIndex,
    Known,
    Cached,
}

const CASES: [Case; 7] = [
    Case::Skipped,
    Case::Enqueued,
    Case::Duplicate,
    Case::NewById,
    Case::NewByIndex,
    Case::Known,
    Case::Cached,
];

pub fn measure(binary: &str) {
    let heads = [
        "run of the whole process (ms)",
        "latency",
        "median",
        "target",
        "notion",
        "quo",
        "conn",
        "baseline",
        "ratio",
    ];
    let table = Table::new(&heads);
    let nothing = User::of("/bin/true", events::world(0));
    table.row(&[
        "a program that does nothing".to_owned(),
        none(),
        millis(median(|_| nothing.run(&[], b"")).time),
    ]);
    let disk = median(|_| nothing.sync_to_disk()).time;
    table.row(&[
        "a file of 4 kB brought to the disk".to_owned(),
        none(),
        millis(disk),
    ]);
    for latency in [0, 100] {
        let user = User::of(binary, events::world(PEOPLE));
        let baseline = User::of_baseline(events::world(PEOPLE));
        for user in [&user, &baseline] {
            user.run(&[], &message(0, (KNOWN, Names::Given)));
            user.run(&[], &message(1, (KNOWN + 1, Names::Missing)));
            user.run(&[], sample("legacy-v4.call.completed.answered").as_bytes());
            user.vendors.set_latency(Duration::from_millis(latency));
        }
        for case in CASES {
            let compared = case.has_baseline().then_some(&baseline);
            table.row(&case.measure((&user, latency), compared));
        }
    }
}

impl Case {
    /// Runs both programs in turn, so that what else the machine does falls on both.
    fn measure(self, (user, latency): (&User, u64), baseline: Option<&User>) -> Vec<String> {
        let mut compared = Vec::new();
        let measure = |n| {
            compared.extend(baseline.map(|baseline| self.run(baseline, n)));
            self.run(user, n)
        };
        let cost = median(measure);
        let compared = baseline.is_some().then(|| middle(compared).time);
        self.row((latency, &cost), compared)
    }

    fn run(self, user: &User, n: usize) -> Cost {
        if self == Self::Known {
            forget_page(user);
        }
        let args: &[&str] = if self == Self::Enqueued {
            &["--enqueue"]
        } else {
            &[]
        };
        user.run(args, &self.event(n)).expect(1, "\"status\":")
    }

    /// The event of run `n`, another one each time unless it is to be a duplicate.
    fn event(self, n: usize) -> Vec<u8> {
        let number = (1 + self as usize) * 1000 + n;
        match self {
            Self::Skipped => sample("legacy-v4.call.ringing").into_bytes(),
            Self::Duplicate => sample("legacy-v4.call.completed.answered").into_bytes(),
            Self::NewById => message(number, (n, Names::Given)),
            Self::NewByIndex => message(number, (PEOPLE / 2 + n, Names::Missing)),
            Self::Enqueued | Self::Known | Self::Cached => message(number, (KNOWN, Names::Given)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped event",
            Self::Enqueued => "--enqueue",
            Self::Duplicate => "duplicate",
            Self::NewById => "new client, contact id",
            Self::NewByIndex => "new client, indexed number",
            Self::Known => "known client, page not cached, contact id",
            Self::Cached => "known client, page cached, contact id",
        }
    }

    /// A straight-line program neither keeps events nor knows them again.
    fn has_baseline(self) -> bool {
        !matches!(self, Self::Enqueued | Self::Duplicate)
    }

    /// Most milliseconds that it may take.
    fn target(self, latency: u64) -> Option<f64> {
        match self {
            Self::Skipped => Some(5.0),
            Self::Enqueued | Self::Duplicate => None,
            Self::NewById | Self::NewByIndex | Self::Known | Self::Cached => {
                Some(latency as f64 * 2.0 + 15.0)
            }
        }
    }

    fn row(self, (latency, cost): (u64, &Cost), baseline: Option<Duration>) -> Vec<String> {
        let target = self
            .target(latency)
            .map_or_else(none, |most| verdict(cost.time.as_secs_f64() * 1000.0, most));
        vec![
            self.name().to_owned(),
            latency.to_string(),
            millis(cost.time),
            target,
            cost.notion.to_string(),
            cost.quo.to_string(),
            cost.connections.to_string(),
            baseline.map_or_else(none, millis),
            baseline.map_or_else(none, |baseline| ratio(cost.time, baseline)),
        ]
    }
}

/// Makes the program look for the client's page again. The baseline has nothing to forget.
fn forget_page(user: &User) {
    let path = user.path(".tmp/quotion.db");
    if path.exists() {
        let store = Connection::open(path).expect("the store");
        store.execute("DELETE FROM page_keys", []).expect("rows go");
    }
}
