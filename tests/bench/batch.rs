//! Many events in one run, as a stream and as a replay of what was queued: cost should grow with
//! clients, not with events. There are twenty events for each client, their messages mixed.

use std::time::Duration;

use crate::events::{self, Names, message, stream};
use crate::table::{Table, each, none, ratio, secs, verdict};
use crate::user::{Cost, User};

/// Events of which the target speaks, and most Notion calls for them.
const TARGET: (usize, f64) = (200, 40.0);
/// More events take the baseline too long.
const BASELINE: usize = 1000;

/// One measurement.
#[derive(Clone, Copy)]
struct Batch {
    events: usize,
    latency: u64,
    clients: Clients,
}

/// Whether the clients have been written to before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    New,
    Known,
}

pub fn measure(binary: &str) {
    let heads = [
        "many events in one run (s)",
        "events",
        "latency",
        "total",
        "ms/event",
        "notion",
        "/event",
        "/client",
        "target",
        "quo",
        "/event",
        "stand-in",
        "baseline",
        "ratio",
    ];
    let table = Table::new(&heads);
    let mut batches = [10, 100, 200, 1000, 10_000]
        .map(|events| Batch {
            events,
            latency: 0,
            clients: Clients::New,
        })
        .to_vec();
    batches.insert(
        3,
        Batch {
            events: 200,
            latency: 0,
            clients: Clients::Known,
        },
    );
    batches.insert(
        4,
        Batch {
            events: 200,
            latency: 100,
            clients: Clients::New,
        },
    );
    for batch in batches {
        table.row(&batch.row(
            "stream",
            &batch.stream(&batch.user(binary)),
            batch.baseline(),
        ));
        let user = batch.user(binary);
        let queued = user.run(&["--enqueue"], &stream(batch.events, batch.people()));
        table.row(&batch.row(
            "stream with --enqueue",
            &queued.expect(batch.events, "\"status\":\"queued\""),
            None,
        ));
        let replayed = user
            .run(&["replay"], b"")
            .expect(batch.events, "\"status\":\"success\"");
        table.row(&batch.row("replay of it", &replayed, None));
    }
}

impl Batch {
    fn people(self) -> usize {
        (self.events / 20).max(1)
    }

    fn user(self, program: &str) -> User {
        self.warm(User::of(program, self.world()))
    }

    /// One contact more than there are clients, for the event that warms up.
    fn world(self) -> crate::standin::World {
        events::world(self.people() + 1)
    }

    fn warm(self, user: User) -> User {
        user.run(&[], &message(0, (self.people(), Names::Given)));
        if self.clients == Clients::Known {
            for person in 0..self.people() {
                user.run(&[], &message(1 + person, (person, Names::Given)));
            }
        }
        user.vendors
            .set_latency(Duration::from_millis(self.latency));
        user
    }

    fn stream(self, user: &User) -> Cost {
        user.run(&[], &stream(self.events, self.people()))
            .expect(self.events, "\"status\":\"success\"")
    }

    fn baseline(self) -> Option<Duration> {
        let quick = self.events <= BASELINE && self.latency == 0;
        quick.then(|| {
            self.stream(&self.warm(User::of_baseline(self.world())))
                .time
        })
    }

    fn row(self, what: &str, cost: &Cost, baseline: Option<Duration>) -> Vec<String> {
        let known = if self.clients == Clients::Known {
            ", known clients"
        } else {
            ""
        };
        let target = (self.events == TARGET.0 && cost.notion > 0)
            .then(|| verdict(cost.notion as f64, TARGET.1));
        vec![
            format!("{what}{known}"),
            self.events.to_string(),
            self.latency.to_string(),
            secs(cost.time),
            format!(
                "{:.2}",
                cost.time.as_secs_f64() * 1000.0 / self.events as f64
            ),
            cost.notion.to_string(),
            each(cost.notion, self.events),
            each(cost.notion, self.people()),
            target.unwrap_or_else(none),
            cost.quo.to_string(),
            each(cost.quo, self.events),
            secs(cost.standin),
            baseline.map_or_else(none, secs),
            baseline.map_or_else(none, |baseline| ratio(cost.time, baseline)),
        ]
    }
}
