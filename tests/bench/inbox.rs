//! An inbox that grows: the duplicate check itself, whole runs over it, and the file's size.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quotion::domain::id::EventId;
use quotion::store::{Mode, Place, Store};
use rusqlite::{Connection, params};

use crate::events::{self, Names, event_id, message};
use crate::table::{Table, mib, micros, millis, none, verdict};
use crate::user::{User, median};

/// Events of which the targets speak.
const MANY: usize = 1_000_000;
/// Most milliseconds of a check, and most MiB of the file.
const TARGETS: (f64, f64) = (1.0, 1024.0);

/// What is kept of finished events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// The payload too, for 30 days.
    Whole,
    /// Afterwards.
    Keys,
}

pub fn measure(binary: &str) {
    let heads = [
        "inbox of finished events (ms)",
        "events",
        "check",
        "99 %",
        "target",
        "duplicate",
        "new",
        "replay",
        "file MiB",
        "target",
    ];
    let table = Table::new(&heads);
    for events in [0, 10_000, 100_000, MANY] {
        table.row(&row(binary, events, Kept::Whole));
    }
    table.row(&row(binary, MANY, Kept::Keys));
}

fn row(binary: &str, events: usize, kept: Kept) -> Vec<String> {
    let user = User::of(binary, events::world(1));
    let enqueue = |n: usize| user.run(&["--enqueue"], &message(n, (0, Names::Given)));
    enqueue(0);
    let path = user.path(".tmp/quotion.db");
    fill(&path, events.max(1), kept);
    let bytes = std::fs::metadata(&path).expect("the store").len();
    let checks = checks(&path, events.max(1));
    let duplicate = median(|n| enqueue(n * 997 % events.max(1)).expect(1, "\"duplicate\""));
    let new = median(|n| enqueue(2 * MANY + n).expect(1, "\"queued\""));
    // Only these are not finished; what is left is the looking.
    let store = Connection::open(&path).expect("the store");
    store
        .execute("DELETE FROM inbox WHERE state = 'queued'", [])
        .expect("rows go");
    drop(store);
    let replay = median(|_| user.run(&["replay"], b"").expect(0, ""));
    let wanted = |value: f64, most: f64| {
        if events == MANY {
            verdict(value, most)
        } else {
            none()
        }
    };
    vec![
        if kept == Kept::Whole {
            "whole (30 days)"
        } else {
            "keys only (afterwards)"
        }
        .to_owned(),
        events.to_string(),
        micros(checks[500]),
        micros(checks[990]),
        wanted(checks[990].as_secs_f64() * 1000.0, TARGETS.0),
        millis(duplicate.time),
        millis(new.time),
        millis(replay.time),
        mib(bytes),
        wanted(bytes as f64 / 1024.0 / 1024.0, TARGETS.1),
    ]
}

/// Times of the check inside of the program, sorted.
fn checks(path: &Path, events: usize) -> Vec<Duration> {
    let store = Store::open(
        &Place::File(path.to_owned()),
        Mode::ReadWrite,
        Timestamp::now,
    )
    .expect("the store");
    let check = |n: usize| {
        let id = EventId::parse(&event_id(n * 997 % events)).expect("an id");
        let began = Instant::now();
        assert!(store.standing(&id).expect("read").is_some());
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..1001).map(check).collect();
    times.sort();
    times
}

fn fill(path: &Path, events: usize, kept: Kept) {
    let mut connection = Connection::open(path).expect("the store");
    connection
        .pragma_update(None, "synchronous", "OFF")
        .expect("pragma");
    let transaction = connection.transaction().expect("a transaction");
    let sql = "INSERT OR REPLACE INTO inbox
               (event_id, event_type, activity_id, payload, state, attempts, result, received_at, \
               updated_at)
               VALUES (?1, 'message.received', ?2, ?3, 'done', 0, ?4, ?5, ?5)";
    let mut insert = transaction.prepare(sql).expect("a statement");
    let (now, result) = (
        Timestamp::now().as_millisecond(),
        r#"[["+12122000000","92728898-3bcc-4d37-854f-48872d83d133","Rosa Quint"]]"#,
    );
    for n in 0..events {
        let whole = (kept == Kept::Whole).then(|| message(n, (0, Names::Given)));
        let result = whole.is_some().then_some(result);
        insert
            .execute(params![
                event_id(n),
                format!("AC{n:032x}"),
                whole,
                result,
                now
            ])
            .expect("a row");
    }
    drop(insert);
    transaction.commit().expect("commit");
    connection
        .pragma_update(None, "wal_checkpoint", "TRUNCATE")
        .ok();
}
