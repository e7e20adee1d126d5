//! The inbox with a million finished events: duplicate check and size.

use std::time::{Duration, Instant};

use quotion::domain::id::EventId;
use quotion::store::{Mode, Place, Store};
use rusqlite::{Connection, params};

use crate::run::{Bench, message};

const EVENTS: usize = 1_000_000;

pub fn measure(binary: &str) {
    for (what, with_payload) in [("keys only (after 30 days)", false), ("whole (within 30 days)", true)] {
        let bench = Bench::new(binary, Duration::ZERO);
        bench.run(&["--enqueue"], &message(EVENTS + 1));
        let path = bench.home.path().join(".tmp/quotion.db");
        fill(&path, with_payload);
        let size = std::fs::metadata(&path).expect("file").len();
        let store = Store::open(&Place::File(path), Mode::ReadWrite, jiff::Timestamp::now).expect("store");
        let mut times: Vec<Duration> = (0..1001).map(|n| check(&store, n * 997 % EVENTS)).collect();
        times.sort();
        println!(
            "inbox of {EVENTS} finished events, {what}: duplicate check {:.3} ms (median), {:.3} ms (99 %), file {:.0} MiB",
            times[500].as_secs_f64() * 1000.0,
            times[990].as_secs_f64() * 1000.0,
            size as f64 / 1024.0 / 1024.0,
        );
        drop(store);
        let whole = crate::run::median(|n| bench.run(&["--enqueue"], &message(n * 997)));
        crate::run::row("  whole process, duplicate with --enqueue", whole, None);
    }
}

fn check(store: &Store, n: usize) -> Duration {
    let id = EventId::parse(&format!("EV{n:032x}")).expect("id");
    let began = Instant::now();
    assert!(store.standing(&id).expect("read").is_some());
    began.elapsed()
}

fn fill(path: &std::path::Path, with_payload: bool) {
    let mut connection = Connection::open(path).expect("open");
    connection.pragma_update(None, "synchronous", "OFF").expect("pragma");
    let transaction = connection.transaction().expect("begin");
    {
        let sql = "INSERT INTO inbox (event_id, event_type, activity_id, payload, state, attempts, result, received_at, updated_at)
                   VALUES (?1, 'message.received', ?2, ?3, 'done', 0, ?4, 1795219200000, 1795219200000)";
        let mut insert = transaction.prepare(sql).expect("prepare");
        let result = r#"[["+12025550147","92728898-3bcc-4d37-854f-48872d83d133","Rosa Quint"]]"#;
        for n in 0..EVENTS {
            let (event, activity) = (format!("EV{n:032x}"), format!("AC{n:032x}"));
            let (payload, result) = if with_payload { (Some(message(n)), Some(result)) } else { (None, None) };
            insert.execute(params![event, activity, payload, result]).expect("insert");
        }
    }
    transaction.commit().expect("commit");
    connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").ok();
}
