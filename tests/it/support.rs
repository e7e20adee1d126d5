//! What several suites need: a user of any store, altered samples, many processes at once, a look
//! into the inbox.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use postgres::{Client, NoTls};
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::harness::{Run, User, feed, sample, sample_json};
use crate::standin::{Act, Fault, Vendor, When};

/// Gives the address of a new, empty store for each user; `None` is a `SQLite` file in the user's
/// folder.
pub type Database<'a> = &'a (dyn Fn() -> Option<String> + Sync);

/// Each test once for each database; in modules of their own, so that they can be told apart.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[test] fn $test() { super::$test(&crate::support::sqlite); })*
        }
        mod on_postgres {
            $(
                #[test]
                fn $test() {
                    if crate::support::has_postgres() {
                        super::$test(&crate::support::postgres);
                    }
                }
            )*
        }
    };
}
pub(crate) use on_both;

/// The default store.
pub fn sqlite() -> Option<String> {
    None
}

/// A schema of its own in the PostgreSQL server of the tests.
#[allow(clippy::unnecessary_wraps, reason = "a `Database`, as `sqlite` is")]
pub fn postgres() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("QUOTION_TEST_DATABASE_URL").expect("asked before");
    let name = format!(
        "users_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let mut client = Client::connect(&url, NoTls).expect("the server answers");
    client
        .batch_execute(&format!("CREATE SCHEMA {name}"))
        .expect("a schema");
    Some(format!(
        "{url}?schema={name}&sslmode=prefer&supa=base-pooler.x"
    ))
}

/// True if there is a PostgreSQL server to test with; in CI there must be one.
#[allow(
    clippy::print_stderr,
    reason = "who runs the tests must see what they left out"
)]
pub fn has_postgres() -> bool {
    let there = std::env::var("QUOTION_TEST_DATABASE_URL").is_ok();
    assert!(
        there || std::env::var("CI").is_err(),
        "QUOTION_TEST_DATABASE_URL is not set, and CI must test PostgreSQL"
    );
    if !there {
        eprintln!(
            "SKIPPED: no PostgreSQL; QUOTION_TEST_DATABASE_URL=$(scripts/postgres start \
                .tmp/postgres)"
        );
    }
    there
}

/// A user with that `quotion.toml`, and vendors that count no requests.
pub fn user(database: Database, settings: &str) -> User {
    let mut user = User::new();
    user.vendors.set_rate_limits(false);
    std::fs::write(user.path("quotion.toml"), settings).expect("settings");
    if let Some(url) = database() {
        user.set("QUOTION_STATE", &url);
    }
    user
}

/// A sample as another event about another activity; the same number gives the same again.
pub fn renamed(name: &str, number: usize) -> Vec<u8> {
    let text = String::from_utf8(sample(name)).expect("samples are UTF-8");
    let json = sample_json(name);
    let activity = activity_of(name);
    let text = text.replace(&activity, &format!("AC9{number:031}"));
    text.replace(
        json["id"].as_str().expect("an event id"),
        &format!("EV9{number:031}"),
    )
    .into_bytes()
}

/// The same for another client.
pub fn renamed_client(name: &str, number: usize) -> Vec<u8> {
    let text = String::from_utf8(renamed(name, number)).expect("samples are UTF-8");
    let other = format!("+1202556{number:04}");
    text.replace("+12025550147", &other)
        .replace("+12125550199", &other)
        .into_bytes()
}

/// A sample delivered by another subscription: only the event's own id differs.
pub fn redelivered(name: &str, number: usize) -> Vec<u8> {
    let text = String::from_utf8(sample(name)).expect("samples are UTF-8");
    text.replace(&event_of(name), &format!("EV8{number:031}"))
        .into_bytes()
}

/// Id of the event of a sample.
pub fn event_of(name: &str) -> String {
    sample_json(name)["id"]
        .as_str()
        .expect("an event id")
        .to_owned()
}

/// Id of the call or message that a sample speaks of.
pub fn activity_of(name: &str) -> String {
    let data = &sample_json(name)["data"];
    let of = |key: &str| {
        data[key]["callId"]
            .as_str()
            .or(data[key]["id"].as_str())
            .map(str::to_owned)
    };
    of("resource")
        .or_else(|| of("object"))
        .expect("an activity id")
}

/// Starts the program without feeding it.
pub fn start(user: &User, args: &[&str]) -> Child {
    user.command(args).spawn().expect("the program starts")
}

/// The program with its input held open, so that what it answers to can be told.
pub struct Live {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Live {
    /// Starts the program. What it says on standard error is not kept.
    pub fn start(user: &User, args: &[&str]) -> Self {
        let mut child = user
            .command(args)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            input,
            lines,
        }
    }

    /// Writes to its standard input, which stays open.
    pub fn write(&mut self, bytes: &[u8]) {
        self.input
            .write_all(bytes)
            .and_then(|()| self.input.flush())
            .expect("it reads");
    }

    /// The next line of its output, for which it gets ten seconds.
    #[track_caller]
    pub fn line(&self) -> Json {
        let line = self
            .lines
            .recv_timeout(Duration::from_secs(10))
            .expect("a result comes in time");
        serde_json::from_str(&line).expect("a JSON line")
    }

    /// So many kB were resident when most were.
    pub fn peak_kb(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("a line");
        peak.trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number")
    }

    /// Closes its input; gives the lines that were left and the exit code.
    pub fn end(mut self) -> (Vec<String>, Option<i32>) {
        drop(self.input);
        let lines = self.lines.iter().collect();
        (lines, self.child.wait().expect("it ends").code())
    }
}

/// Runs all these at once.
pub fn at_once(user: &User, runs: &[(&[&str], Vec<u8>)]) -> Vec<Run> {
    let children: Vec<Child> = runs.iter().map(|(args, _)| start(user, args)).collect();
    let inputs = runs.iter().map(|(_, input)| input);
    std::thread::scope(|scope| {
        let feeding: Vec<_> = children
            .into_iter()
            .zip(inputs)
            .map(|(child, input)| scope.spawn(|| Run::of(feed(child, input))))
            .collect();
        feeding
            .into_iter()
            .map(|run| run.join().expect("it ends"))
            .collect()
    })
}

/// Runs the program, to be killed at the n-th request to `vendor`. False when it made fewer
/// requests.
pub fn kill_at(user: &User, input: &[u8], (vendor, nth, when): (Vendor, usize, When)) -> bool {
    let victim: Arc<Mutex<Option<u32>>> = Arc::default();
    let pid = Arc::clone(&victim);
    let kill = move || {
        let pid = pid.lock().expect("pid").expect("the program runs");
        let killed = std::process::Command::new("sh")
            .args(["-c", &format!("kill -9 {pid}")])
            .status();
        assert!(killed.expect("sh").success());
    };
    let mut fault = Fault::new(vendor, Act::Call(Arc::new(kill))).nth(nth);
    if when == When::AfterApply {
        fault = fault.after();
    }
    user.vendors.add_fault(fault);
    let mut guard = victim.lock().expect("pid");
    let child = user
        .command::<&str>(&[])
        .spawn()
        .expect("the program starts");
    *guard = Some(child.id());
    drop(guard);
    feed(child, input);
    let hit = user.vendors.unused_faults() == 0;
    user.vendors.clear_faults();
    half_a_minute_passes(user);
    hit
}

/// Of those who were killed the server believes so long that they may come back.
pub fn half_a_minute_passes(user: &User) {
    let state = user.variable("QUOTION_STATE").unwrap_or_default();
    if let Some((url, rest)) = state.split_once("?schema=") {
        let schema = rest.split('&').next().unwrap_or_default();
        let mut client = Client::connect(url, NoTls).expect("the server answers");
        let table = format!("{schema}.quotion_leases");
        let made = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]);
        if !made.expect("an answer").get::<_, bool>(0) {
            return;
        }
        let passed = format!("UPDATE {table} SET until = until - interval '30 seconds'");
        client.batch_execute(&passed).expect("leases");
    }
}

/// Of how many cases one is tried: of each with `QUOTION_TEST_EVERY_WRITE`, else only so many that
/// CI stays quick.
pub fn every(step: usize) -> usize {
    if std::env::var("QUOTION_TEST_EVERY_WRITE").is_ok() {
        1
    } else {
        step
    }
}

/// Does the work on every item, some at a time, because most of it is waiting.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) =
                    items.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
                {
                    work(item);
                }
            });
        }
    });
}

/// What stands in "Notion", whatever the order in which it came there.
pub fn canonical(user: &User) -> String {
    canonical_text(&user.notion())
}

/// The same of a text that shows it.
pub fn canonical_text(text: &str) -> String {
    sorted(&text.lines().collect::<Vec<_>>(), "")
}

/// Pages, then properties and entries, then what is inside an entry, in the order of their texts.
fn sorted(lines: &[&str], indent: &str) -> String {
    let (own, deeper) = match indent.len() {
        0 => ("", "  "),
        2 => ("  ", "    - "),
        _ => ("    - ", "      "),
    };
    let begins = |line: &&str| {
        line.starts_with(own) && !line.starts_with(deeper) && !line.starts_with("     ")
    };
    let mut parts: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some(part) if !begins(line) => part.push(line),
            _ => parts.push(vec![line]),
        }
    }
    let inner = |part: &Vec<&str>| match indent.len() {
        0 | 2 if part.len() > 1 => format!(
            "{}\n{}",
            part[0],
            sorted(&part[1..], &format!("{indent}  "))
        ),
        _ => part.join("\n"),
    };
    let mut texts: Vec<String> = parts.iter().map(inner).collect();
    texts.sort();
    texts.join("\n")
}

/// The store of a user who has the default one.
pub fn store(user: &User) -> Connection {
    Connection::open(user.path(".tmp/quotion.db")).expect("the store")
}

/// State, attempts and seconds until the next try of each event in the inbox, by id.
pub fn inbox(user: &User) -> Vec<(String, String, u32, Option<i64>)> {
    let sql = "SELECT event_id, state, attempts, next_try_at / 1000 - unixepoch()
               FROM inbox ORDER BY event_id";
    let store = store(user);
    let mut statement = store.prepare(sql).expect("inbox");
    let row = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement
        .query_map([], row)
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows")
}

/// State of an event in the inbox.
pub fn state(user: &User, event: &str) -> Option<String> {
    inbox(user)
        .into_iter()
        .find(|(id, ..)| id == event)
        .map(|(_, state, ..)| state)
}

/// Copies a folder.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy");
        }
    }
}
