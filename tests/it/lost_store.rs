//! A store that is lost, put back from a copy, or another one: what stands in Notion is looked at
//! before anything is written, and nothing doubles. Each case on both databases.

use std::process::{Command, Stdio};

use postgres::{Client, NoTls};

use crate::harness::User;
use crate::kit::message_from;
use crate::support::{Database, canonical, on_both, redelivered, user};

const CALL: &str = "legacy-v4.call.completed.answered";
const SUMMARY: &str = "legacy-v4.call.summary.completed";
const TRANSCRIPT: &str = "legacy-v4.call.transcript.completed";
const TEXT: &str = "v2026-03-30.message.received";
const ROSA: &str = "+12025550147";

/// Address and schema of a user's PostgreSQL store.
fn schema(user: &User) -> Option<(&str, &str)> {
    let (url, rest) = user.variable("QUOTION_STATE")?.split_once("?schema=")?;
    Some((url, rest.split('&').next()?))
}

fn sql(url: &str, sql: &str) {
    let mut client = Client::connect(url, NoTls).expect("the server answers");
    client.batch_execute(sql).expect(sql);
}

fn lose(user: &User) {
    match schema(user) {
        None => std::fs::remove_dir_all(user.path(".tmp")).expect("a folder"),
        Some((url, name)) => {
            sql(
                url,
                &format!("DROP SCHEMA {name} CASCADE; CREATE SCHEMA {name}"),
            );
        }
    }
}

/// A copy as an operator makes it.
fn copy(user: &User) -> Vec<u8> {
    match schema(user) {
        None => {
            let copy = user.path("copy.db");
            let store = crate::support::store(user);
            store
                .execute("VACUUM INTO ?1", [copy.display().to_string()])
                .expect("a copy");
            std::fs::read(copy).expect("a copy")
        }
        Some((url, name)) => {
            let dump = Command::new(program("pg_dump"))
                .args(["--no-owner", "-n", name, url])
                .stderr(Stdio::inherit())
                .output()
                .expect("pg_dump");
            assert!(dump.status.success());
            dump.stdout
        }
    }
}

fn put_back(user: &User, copy: &[u8]) {
    match schema(user) {
        None => {
            lose(user);
            std::fs::create_dir(user.path(".tmp")).expect("a folder");
            std::fs::write(user.path(".tmp/quotion.db"), copy).expect("put back");
        }
        Some((url, name)) => {
            sql(url, &format!("DROP SCHEMA {name} CASCADE"));
            let file = user.path("copy.sql");
            std::fs::write(&file, copy).expect("a file");
            let done = Command::new(program("psql"))
                .args(["-q", "-v", "ON_ERROR_STOP=1", "-f"])
                .args([file.as_os_str(), url.as_ref()])
                .stdout(Stdio::null())
                .status();
            assert!(done.expect("psql").success());
        }
    }
}

/// The server's own programs lie beside each other.
fn program(name: &str) -> std::path::PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = folders
        .flatten()
        .map(|folder| folder.path().join("bin").join(name));
    newest
        .filter(|path| path.exists())
        .max()
        .unwrap_or_else(|| name.into())
}

/// What all cases begin with: a call and a text, and what stands there then.
fn begun(database: Database) -> User {
    let user = user(database, "");
    user.sync(CALL).expect(0, "success", "created");
    user.sync(TEXT).expect(0, "success", "updated");
    user
}

/// All that was written comes again, under other ids of events.
fn comes_again(user: &User, number: usize) {
    let before = canonical(user);
    for (place, name) in [CALL, TEXT, SUMMARY].iter().enumerate() {
        let run = user.run(&[] as &[&str], &redelivered(name, number * 10 + place));
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], "duplicate", "{name}");
    }
    assert_eq!(canonical(user), before);
}

fn lost(database: Database) {
    let user = begun(database);
    user.sync(SUMMARY).expect(0, "success", "updated");
    lose(&user);
    comes_again(&user, 1);
    lose(&user);
    user.sync(TRANSCRIPT).expect(0, "success", "updated");
    comes_again(&user, 2);
    assert_eq!(user.client_pages(), 1);
}

/// The copy knows the page and the call, and neither the text nor the summary.
fn put_back_from_a_copy(database: Database) {
    let user = user(database, "");
    user.sync(CALL).expect(0, "success", "created");
    let yesterday = copy(&user);
    user.sync(TEXT).expect(0, "success", "updated");
    user.sync(SUMMARY).expect(0, "success", "updated");
    let whole = canonical(&user);
    put_back(&user, &yesterday);
    comes_again(&user, 1);
    assert_eq!(canonical(&user), whole);
    user.sync(TRANSCRIPT).expect(0, "success", "updated");
    assert_eq!(user.times_in_notion("- paragraph: Transcript"), 1);
    // What happens from now on costs no look.
    let before = user.vendors.requests().len();
    let mut event = message_from(9, ROSA);
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    event["data"]["object"]["createdAt"] = format!("{now:.0}").into();
    user.deliver(&event).expect(0, "success", "updated");
    let asked = user.vendors.requests().split_off(before);
    assert!(
        asked
            .iter()
            .all(|seen| seen.method != "GET" || !seen.path.contains("/children"))
    );
}

/// A store that has never seen anything, beside one that has.
fn another(database: Database) {
    let mut user = begun(database);
    user.sync(SUMMARY).expect(0, "success", "updated");
    match database() {
        Some(url) => user.set("QUOTION_STATE", &url),
        None => user.set("QUOTION_STATE", "other.db"),
    };
    comes_again(&user, 1);
    user.sync(TRANSCRIPT).expect(0, "success", "updated");
    comes_again(&user, 2);
    assert_eq!(user.times_in_notion("- paragraph: Transcript"), 1);
}

/// Without a column that moves with each entry an append alone need not move the time of the edit.
fn lost_where_no_date_moves(database: Database) {
    let user = user(database, "");
    let mut world = user.vendors.world();
    for name in ["Last Call", "Last Message"] {
        world
            .notion
            .remove_column(crate::standin::CLIENTS_DATABASE, name);
    }
    drop(world);
    user.sync(CALL).expect(0, "success", "created");
    user.sync(TEXT).expect(0, "success", "updated");
    user.sync(SUMMARY).expect(0, "success", "updated");
    lose(&user);
    comes_again(&user, 1);
}

on_both! {
    lost
    put_back_from_a_copy
    another
    lost_where_no_date_moves
}
