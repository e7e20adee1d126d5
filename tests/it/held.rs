//! Failure keeps the event: its own is an attempt, a vendor's is tried again, the operator's holds
//! all that would fail the same way until it is mended.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::NoTls;
use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample};
use crate::kit::notion_error;
use crate::standin::{Act, CLIENTS_DATABASE, Fault, NOTION_KEY, QUO_KEY, Vendor};
use crate::support::{
    Database, Live, activity_of, event_of, on_both, renamed_client, sqlite, store, user,
};

const TEXT: &str = "v2026-03-30.message.received";
const STRANGER: &str = "v2026-03-30.message.received.no-contact";
const SETTINGS: &str = "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n";
/// In hours.
const WEEKEND: u32 = 72;

/// What stands in the inbox of an event.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    state: String,
    attempts: i64,
    held_by: Option<String>,
    waits: bool,
    tried: bool,
}

/// A statement on the store; what it says of the inbox is the same in both databases.
fn execute(user: &User, sqlite: &str, postgres: &str) {
    match user
        .environment
        .iter()
        .find(|(name, _)| name == "QUOTION_STATE")
    {
        None => drop(store(user).execute(sqlite, []).expect("done")),
        Some((_, url)) => server(url).batch_execute(postgres).expect("done"),
    }
}

/// The server of a store that `postgres` made, in its schema.
fn server(url: &str) -> postgres::Client {
    let (address, options) = url.split_once("?schema=").expect("a schema");
    let schema = options.split('&').next().expect("a name");
    let mut client = postgres::Client::connect(address, NoTls).expect("the server answers");
    let path = format!("SET search_path TO {schema}");
    client.batch_execute(&path).expect("a schema");
    client
}

/// Rows of events that are not done, in the order of their ids.
fn rows(user: &User) -> Vec<Row> {
    let columns = "state, attempts, held_by, next_try_at IS NOT NULL, tried_at IS NOT NULL";
    let of = |table: &str| {
        format!("SELECT {columns} FROM {table} WHERE state <> 'done' ORDER BY event_id")
    };
    match user
        .environment
        .iter()
        .find(|(name, _)| name == "QUOTION_STATE")
    {
        None => {
            let store = store(user);
            let mut statement = store.prepare(&of("inbox")).expect("inbox");
            let row = |row: &rusqlite::Row| {
                Ok(Row {
                    state: row.get(0)?,
                    attempts: row.get(1)?,
                    held_by: row.get(2)?,
                    waits: row.get(3)?,
                    tried: row.get(4)?,
                })
            };
            let rows = statement.query_map([], row).expect("rows");
            rows.collect::<Result<_, _>>().expect("rows")
        }
        Some((_, url)) => {
            let rows = server(url).query(&of("quotion_inbox"), &[]).expect("rows");
            let row = |row: &postgres::Row| Row {
                state: row.get(0),
                attempts: row.get(1),
                held_by: row.get(2),
                waits: row.get(3),
                tried: row.get(4),
            };
            rows.iter().map(row).collect()
        }
    }
}

fn held(cause: &str, tried: bool) -> Row {
    Row {
        state: "held".into(),
        attempts: 0,
        held_by: Some(cause.into()),
        waits: false,
        tried,
    }
}

/// So much time passes for everything that is not done.
fn pass(user: &User, hours: u32) {
    let millis = u64::from(hours) * 3_600_000;
    let moved = |name: &str, span: &str| format!("{name} = {name} - {span}");
    let all = |span: &str| {
        let names = [
            "received_at",
            "next_try_at",
            "tried_at",
            "released_at",
            "updated_at",
        ];
        names.map(|name| moved(name, span)).join(", ")
    };
    let (ours, theirs) = (
        all(&millis.to_string()),
        all(&format!("interval '{hours} hours'")),
    );
    execute(
        user,
        &format!("UPDATE inbox SET {ours} WHERE state <> 'done'"),
        &format!("UPDATE quotion_inbox SET {theirs} WHERE state <> 'done'"),
    );
}

fn share_database(user: &User, shared: bool) {
    let notion = &mut user.vendors.world().notion;
    let database = notion
        .databases
        .iter_mut()
        .find(|it| it.id == CLIENTS_DATABASE);
    database.expect("it is there").unshared = !shared;
    notion
        .pages
        .iter_mut()
        .for_each(|page| page.unshared = !shared);
}

fn deny_key(user: &User) {
    let act = notion_error(401, "unauthorized", "API token is invalid.");
    user.vendors.add_fault(Fault::new(Vendor::Notion, act));
}

/// Requests to Notion of one run.
fn requests(user: &User, args: &[&str], input: &[u8]) -> (Run, usize) {
    user.vendors.clear_requests();
    let run = user.run(args, input);
    (run, user.vendors.count(Vendor::Notion))
}

fn kinds(run: &Run) -> Vec<&str> {
    let kinds = run.lines.iter().map(|line| line["error"]["kind"].as_str());
    kinds.map(|kind| kind.unwrap_or("none")).collect()
}

/// The last line on standard error.
fn summary(run: &Run) -> &str {
    let last = run.stderr.lines().last().unwrap_or_default();
    last.split_once("INFO ").map_or("", |(_, told)| told)
}

fn critical_lines(user: &User) -> Vec<Json> {
    let text = std::fs::read_to_string(user.path(".tmp/sync_errors.log")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

/// A text of that client.
fn text(client: usize, number: usize) -> Vec<u8> {
    let event = String::from_utf8(renamed_client(TEXT, client)).expect("UTF-8");
    let (ids, own) = (format!("{client:031}"), format!("{number:031}"));
    event.replace(&ids, &own).into_bytes()
}

fn times(user: &User, number: usize) -> usize {
    user.times_in_notion(&format!("AC9{number:031}"))
}

/// Six texts of three clients.
fn six() -> Vec<u8> {
    (50..56)
        .flat_map(|number| text(number % 3, number))
        .collect()
}

/// Each of `six` stands there once, and nothing is left.
fn check_all_done(user: &User) {
    assert_eq!(rows(user), [], "{}", user.notion());
    let each: Vec<usize> = (50..56).map(|number| times(user, number)).collect();
    assert_eq!(each, [1; 6], "{}", user.notion());
}

fn database_unshared_over_a_weekend_costs_one_probe_a_run_and_loses_nothing(database: Database) {
    let user = user(database, SETTINGS);
    share_database(&user, false);
    assert_eq!(user.run(&["--enqueue"], &six()).code, 0);
    let (run, asked) = requests(&user, &["replay"], b"");
    assert_eq!(
        (run.code, kinds(&run)),
        (69, vec!["not_found"; 6]),
        "{}",
        run.stdout
    );
    assert!(
        asked < 3,
        "{asked} requests for six events that fail the same way"
    );
    let hints: Vec<&Json> = run
        .lines
        .iter()
        .map(|line| &line["error"]["hint"])
        .collect();
    assert!(hints.iter().all(|hint| *hint == hints[0]), "{}", run.stdout);
    let told = "replay: 0 done, 6 failed; 6 in the inbox: 6 held by NOTION_CLIENTS_DATABASE_ID";
    assert_eq!(summary(&run), told);
    assert_eq!(critical_lines(&user).len(), 6);

    for _ in 0..WEEKEND / 6 {
        pass(&user, 6);
        let (run, asked) = requests(&user, &["replay"], b"");
        run.expect_error(69, "not_found");
        assert!(asked < 3, "{asked} requests");
        assert_eq!(summary(&run), told.replace("6 failed", "1 failed"));
    }
    let wanted = (0..6).map(|_| held("NOTION_CLIENTS_DATABASE_ID", true));
    assert_eq!(rows(&user), wanted.collect::<Vec<_>>(), "each had its turn");
    let (run, asked) = requests(&user, &["replay", "--now"], b"");
    run.expect_error(69, "not_found");
    assert!(asked < 3, "{asked} requests");
    // The operator knows it.
    assert_eq!(critical_lines(&user).len(), 6);

    share_database(&user, true);
    let run = user.run(&["replay"], b"");
    assert_eq!((run.code, run.lines.len()), (0, 6), "{}", run.stdout);
    assert_eq!(summary(&run), "replay: 6 done, 0 failed; 0 in the inbox");
    check_all_done(&user);
}

fn revoked_key_is_tried_once_a_run(database: Database) {
    let user = user(database, SETTINGS);
    // The clients are known, so that each event would be written at once.
    let known: Vec<u8> = (0..3).flat_map(|number| text(number, number)).collect();
    assert_eq!(user.run::<&str>(&[], &known).code, 0);
    deny_key(&user);
    let (run, asked) = requests(&user, &[], &six());
    assert_eq!(
        (run.code, kinds(&run)),
        (69, vec!["unauthorized"; 6]),
        "{}",
        run.stdout
    );
    assert!(asked < 3, "{asked} requests");
    assert_eq!(rows(&user).len(), 6);
    assert!(
        rows(&user)
            .iter()
            .all(|row| row.held_by.as_deref() == Some("NOTION_API_KEY"))
    );
    for _ in 0..3 {
        let (run, asked) = requests(&user, &["replay"], b"");
        run.expect_error(69, "unauthorized");
        assert!(asked < 3, "{asked} requests");
    }
    user.vendors.clear_faults();
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!((run.code, run.lines.len()), (0, 6), "{}", run.stdout);
    check_all_done(&user);
}

fn missing_key_holds_everything_without_a_request(database: Database) {
    let mut user = user(database, SETTINGS);
    user.set("NOTION_API_KEY", "");
    let (run, asked) = requests(&user, &[], &six());
    assert_eq!((run.code, kinds(&run), asked), (78, vec!["config"; 6], 0));
    let (run, asked) = requests(&user, &["replay"], b"");
    run.expect_error(78, "config");
    assert_eq!(asked, 0);
    let told = "replay: 0 done, 1 failed; 6 in the inbox: 6 held by NOTION_API_KEY";
    assert_eq!(summary(&run), told);
    assert!(
        rows(&user)
            .iter()
            .all(|row| row.state == "held" && row.attempts == 0)
    );
    let quiet = user.run(&["replay", "-q"], b"");
    assert!(quiet.code == 78 && quiet.stderr.contains("NOTION_API_KEY is not set"));
    user.set("NOTION_API_KEY", NOTION_KEY);
    assert_eq!(user.run(&["replay"], b"").code, 0);
    check_all_done(&user);
}

fn page_that_cannot_be_written_holds_its_own_events_alone(database: Database) {
    let user = user(database, SETTINGS);
    let (bad, good) = (0, 1);
    for client in [bad, good] {
        user.run::<&str>(&[], &text(client, client))
            .expect(0, "success", "created");
    }
    let page = {
        let world = user.vendors.world();
        let is_theirs = |id: &&str| world.notion.text(id, "Phone") == format!("+1202556{bad:04}");
        let rows = world.notion.rows(CLIENTS_DATABASE);
        let mut ids = rows.iter().map(|page| page.id.as_str());
        ids.find(is_theirs).expect("a page").to_owned()
    };
    for path in ["/v1/pages/", "/v1/blocks/"] {
        let act = notion_error(403, "restricted_resource", "This page is locked.");
        let fault = Fault::new(Vendor::Notion, act);
        user.vendors
            .add_fault(fault.method("PATCH").path(&format!("{path}{page}")));
    }
    let enqueue = |client: usize, number: usize| {
        assert_eq!(
            user.run(&["--enqueue"], &text(client, 10 * number + client))
                .code,
            0
        );
    };
    for number in 1..4 {
        enqueue(bad, number);
        enqueue(good, number);
    }
    let (run, _) = requests(&user, &["replay"], b"");
    let failed = kinds(&run)
        .into_iter()
        .filter(|kind| *kind == "unauthorized")
        .count();
    assert_eq!(
        (run.code, failed, run.lines.len()),
        (69, 3, 6),
        "{}",
        run.stdout
    );
    let told = format!("replay: 3 done, 3 failed; 3 in the inbox: 3 held by {page}");
    assert_eq!(summary(&run), told);
    // Others go on, and of this page one is tried.
    enqueue(good, 9);
    let (run, _) = requests(&user, &["replay"], b"");
    assert_eq!(
        (run.code, kinds(&run)),
        (69, vec!["unauthorized", "none"]),
        "{}",
        run.stdout
    );
    user.vendors.clear_faults();
    let run = user.run(&["replay"], b"");
    assert_eq!((run.code, run.lines.len()), (0, 3), "{}", run.stdout);
    for number in 1..4 {
        assert_eq!(times(&user, 10 * number + bad), 1, "{}", user.notion());
    }
}

fn full_workspace_holds_what_brings_blocks(database: Database) {
    let user = user(database, SETTINGS);
    user.run::<&str>(&[], &text(0, 0))
        .expect(0, "success", "created");
    for (method, path) in [("POST", "/v1/pages"), ("PATCH", "/children")] {
        let act = Act::NotionError {
            status: 403,
            code: "restricted_resource".into(),
            message: "This workspace has reached its block limit.".into(),
            additional: json!({"block_limit": {"current": 1001, "limit": 1000}}),
        };
        let fault = Fault::new(Vendor::Notion, act);
        user.vendors.add_fault(fault.method(method).path(path));
    }
    let (run, _) = requests(&user, &[], &six());
    assert_eq!(
        (run.code, kinds(&run)),
        (69, vec!["refused"; 6]),
        "{}",
        run.stdout
    );
    assert!(
        rows(&user)
            .iter()
            .all(|row| row.held_by.as_deref() == Some("block_limit"))
    );
    let refused = |user: &User| {
        let log = user.vendors.log(Vendor::Notion);
        log.iter().filter(|line| line.ends_with("403")).count()
    };
    for _ in 0..3 {
        let (run, _) = requests(&user, &["replay"], b"");
        run.expect_error(69, "refused");
        assert_eq!(refused(&user), 1);
        assert_eq!(
            summary(&run),
            "replay: 0 done, 1 failed; 6 in the inbox: 6 held by block_limit"
        );
    }
    user.vendors.clear_faults();
    assert_eq!(user.run(&["replay"], b"").code, 0);
    check_all_done(&user);
}

/// A chat that counts what it is told.
fn chat() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let told = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&told);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    (url, told)
}

fn no_pages_now(user: &User) {
    let act = notion_error(503, "service_unavailable", "later");
    let fault = Fault::new(Vendor::Notion, act);
    user.vendors
        .add_fault(fault.method("POST").path("/v1/pages"));
}

fn outage_beyond_give_up_is_a_death_told_once(database: Database) {
    let mut user = user(
        database,
        "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[inbox]\ngive_up = \"3d\"\n",
    );
    let (url, alerts) = chat();
    user.set("ALERT_WEBHOOK_URL", &url);
    no_pages_now(&user);
    user.sync(STRANGER).expect_error(75, "unavailable");
    for _ in 0..11 {
        pass(&user, 6);
        let run = user.run(&["replay", "--now"], b"");
        run.expect_error(75, "unavailable");
    }
    let rows_now = rows(&user);
    assert_eq!(
        (rows_now[0].state.as_str(), rows_now[0].attempts),
        ("failed", 0)
    );
    assert_eq!(
        (critical_lines(&user).len(), alerts.load(Ordering::SeqCst)),
        (0, 0)
    );
    pass(&user, 6);
    let run = user.run(&["replay", "--now"], b"");
    run.expect_error(75, "unavailable");
    let id = event_of(STRANGER);
    assert!(
        run.stderr.contains(&format!("1 dead ({id};")),
        "{}",
        run.stderr
    );
    let told = critical_lines(&user);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["kind"], &told[0]["event_id"]),
        (&json!("dead"), &json!(id))
    );
    assert_eq!(alerts.load(Ordering::SeqCst), 1);
    // It is named from now on, and told of once.
    for (args, lines) in [(&["replay", "--now"][..], 0), (&["replay", "--dead"], 1)] {
        let run = user.run(args, b"");
        assert_eq!(run.lines.len(), lines);
        assert!(summary(&run).contains(&id), "{}", run.stderr);
    }
    assert_eq!(
        (critical_lines(&user).len(), alerts.load(Ordering::SeqCst)),
        (1, 1)
    );
    assert_eq!(user.run(&["replay", "-q"], b"").stderr, "");
    user.vendors.clear_faults();
    user.run(&["replay", "--event", &id], b"")
        .expect(0, "success", "created");
    assert_eq!(user.times_in_notion(&activity_of(STRANGER)), 1);
}

fn event_refused_eight_times_is_dead_until_it_is_delivered_again(database: Database) {
    let mut user = user(database, SETTINGS);
    let (url, alerts) = chat();
    user.set("ALERT_WEBHOOK_URL", &url);
    let act = notion_error(400, "validation_error", "Something is not as it should be.");
    let fault = Fault::new(Vendor::Notion, act);
    user.vendors
        .add_fault(fault.method("POST").path("/v1/pages"));
    user.sync(STRANGER).expect_error(69, "refused");
    for attempts in 1..8 {
        let row = rows(&user).remove(0);
        assert_eq!((row.state.as_str(), row.attempts), ("failed", attempts));
        pass(&user, 12);
        user.run(&["replay"], b"").expect_error(69, "refused");
    }
    let row = rows(&user).remove(0);
    assert_eq!(
        (row.state.as_str(), row.attempts, row.waits),
        ("dead", 8, false)
    );
    let told = critical_lines(&user);
    let deaths = told.iter().filter(|line| line["kind"] == "dead").count();
    // The last run tells of the failure, and of the death.
    assert_eq!(
        (told.len(), deaths, alerts.load(Ordering::SeqCst)),
        (9, 1, 9)
    );
    // Delivered again it lives again.
    user.vendors.clear_faults();
    user.run(&["--enqueue"], &sample(STRANGER))
        .expect(0, "queued", "");
    let row = rows(&user).remove(0);
    assert_eq!(
        (row.state.as_str(), row.attempts, row.waits),
        ("queued", 0, true)
    );
    user.run(&["replay"], b"").expect(0, "success", "created");
    assert_eq!(rows(&user), []);
}

/// What the vendor said of when to come again is when it is tried again.
fn wait_that_a_vendor_asks_for_is_until_the_next_try(database: Database) {
    let user = user(database, SETTINGS);
    let body = json!({"object": "error", "status": 429, "code": "rate_limited", "message": "slow"});
    let act = Act::Status {
        code: 429,
        headers: vec![("retry-after".into(), "240".into())],
        body: body.to_string(),
    };
    user.vendors.add_fault(Fault::new(Vendor::Notion, act));
    let run = user.run(&["--deadline", "5s"], &sample(STRANGER));
    run.expect_error(75, "rate_limited");
    let run = user.run(&["replay"], b"");
    let told = summary(&run);
    let due = "replay: 0 done, 0 failed; 1 in the inbox: 1 waiting (the next is due in 3m";
    assert!(run.code == 0 && told.starts_with(due), "{}", run.stderr);
    assert_eq!(rows(&user)[0].attempts, 0);
}

/// So is the end of the doubt about a write.
fn doubt_about_a_write_is_waited_for_and_not_longer(database: Database) {
    let user = user(database, "[notion]\nsettle = \"10s\"\nsilence = \"300s\"\n");
    let act = Act::DropConnection;
    let fault = Fault::new(Vendor::Notion, act)
        .method("POST")
        .path("/v1/pages");
    user.vendors.add_fault(fault.nth(1));
    user.run(&["--deadline", "5s"], &sample(STRANGER))
        .expect_error(75, "unavailable");
    let told = user.run(&["replay"], b"");
    let due = "1 waiting (the next is due in 5m";
    assert!(
        told.code == 0 && summary(&told).contains(due),
        "{}",
        told.stderr
    );
    assert_eq!(user.vendors.unused_faults(), 0);
}

/// What is released is not given up at the next hiccup, however long it was held.
fn what_was_held_is_not_given_up_at_the_next_hiccup(database: Database) {
    let user = user(
        database,
        "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 100000\n[inbox]\ngive_up = \"1d\"\n",
    );
    deny_key(&user);
    let two = [text(1, 1), text(2, 2)].concat();
    assert_eq!(user.run::<&str>(&[], &two).code, 69);
    pass(&user, WEEKEND);
    user.vendors.clear_faults();
    let act = notion_error(503, "service_unavailable", "later");
    let fault = Fault::new(Vendor::Notion, act)
        .method("POST")
        .path("/v1/pages");
    // The probe passes, and the other one does not.
    user.vendors.add_fault(Fault {
        nth: Some(2),
        times: Some(9),
        ..fault
    });
    let run = user.run(&["replay"], b"");
    assert_eq!(
        (run.code, kinds(&run)),
        (75, vec!["none", "unavailable"]),
        "{}",
        run.stdout
    );
    let row = rows(&user).remove(0);
    assert_eq!(
        (row.state.as_str(), row.attempts, row.held_by),
        ("failed", 0, None)
    );
}

#[test]
fn run_stops_working_on_a_page_that_cannot_be_written() {
    let user = user(&sqlite, SETTINGS);
    user.run::<&str>(&[], &text(0, 0))
        .expect(0, "success", "created");
    let act = notion_error(403, "restricted_resource", "This page is locked.");
    user.vendors
        .add_fault(Fault::new(Vendor::Notion, act).method("PATCH"));
    let mut pipe = Live::start(&user, &[]);
    let mut answer = |client, number| {
        user.vendors.clear_requests();
        pipe.write(&text(client, number));
        let line = pipe.line();
        let kind = line["error"]["kind"].as_str().unwrap_or("none").to_owned();
        (kind, user.vendors.count(Vendor::Notion) > 0)
    };
    assert_eq!(answer(0, 11), ("unauthorized".into(), true));
    assert_eq!(
        answer(0, 12),
        ("unauthorized".into(), false),
        "it was not tried"
    );
    assert_eq!(answer(1, 13), ("none".into(), true), "another client's");
    assert_eq!(pipe.end().1, Some(69));
}

#[test]
fn quo_key_that_is_needed_and_missing_holds_its_event_alone() {
    let mut user = user(&sqlite, SETTINGS);
    let summary_of_unseen = sample("legacy-v4.call.summary.completed");
    user.set("OPENPHONE_API_KEY", "");
    let both = [summary_of_unseen, text(1, 1)].concat();
    let run = user.run::<&str>(&[], &both);
    assert_eq!(
        (run.code, kinds(&run)),
        (78, vec!["config", "none"]),
        "{}",
        run.stdout
    );
    assert_eq!(rows(&user), [held("OPENPHONE_API_KEY", true)]);
    user.set("OPENPHONE_API_KEY", QUO_KEY);
    assert_eq!(user.run(&["replay"], b"").code, 0);
    assert_eq!(rows(&user), []);
}

on_both! {
    database_unshared_over_a_weekend_costs_one_probe_a_run_and_loses_nothing
    revoked_key_is_tried_once_a_run
    missing_key_holds_everything_without_a_request
    page_that_cannot_be_written_holds_its_own_events_alone
    full_workspace_holds_what_brings_blocks
    outage_beyond_give_up_is_a_death_told_once
    event_refused_eight_times_is_dead_until_it_is_delivered_again
    wait_that_a_vendor_asks_for_is_until_the_next_try
    doubt_about_a_write_is_waited_for_and_not_longer
    what_was_held_is_not_given_up_at_the_next_hiccup
}
