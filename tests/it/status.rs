//! `quotion status`: figures, what is stuck and why, and what became of one; on both databases.

use std::process::{Command, Stdio};
use std::time::Duration;

use postgres::NoTls;
use serde_json::{Value as Json, json};

use crate::harness::{QUOTION, Run, User, sample};
use crate::kit::notion_error;
use crate::standin::{Act, Fault, Vendor};
use crate::support::{
    Database, activity_of, event_of, on_both, renamed, renamed_client, sqlite, start, store, user,
};

const TEXT: &str = "v2026-03-30.message.received";
const STRANGER: &str = "v2026-03-30.message.received.no-contact";
const CALL: &str = "legacy-v4.call.completed.answered";
const SUMMARY: &str = "legacy-v4.call.summary.completed";
const SETTINGS: &str = "[notion]\nsettle = \"1ms\"\n[inbox]\nattempts = 1\n";

fn status(user: &User) -> Json {
    let run = user.run(&["status"], b"");
    assert_eq!((run.code, run.lines.len()), (0, 1), "{}", run.stderr);
    run.line().clone()
}

/// A statement on the store, as each database says it.
fn execute(user: &User, sqlite: &str, postgres: &str) {
    let Some(url) = user.variable("QUOTION_STATE") else {
        store(user).execute_batch(sqlite).expect("done");
        return;
    };
    let (address, options) = url.split_once("?schema=").expect("a schema");
    let schema = options.split('&').next().expect("a name");
    let mut client = postgres::Client::connect(address, NoTls).expect("the server answers");
    let sql = format!("SET search_path TO {schema}; {postgres}");
    client.batch_execute(&sql).expect("done");
}

/// A number that the store tells, by a query that means the same to both databases.
fn told_by(user: &User, query: &str) -> i64 {
    let Some(url) = user.variable("QUOTION_STATE") else {
        let found = store(user).query_row(query, [], |row| row.get(0));
        return found.expect("a number");
    };
    let (address, options) = url.split_once("?schema=").expect("a schema");
    let schema = options.split('&').next().expect("a name");
    let mut client = postgres::Client::connect(address, NoTls).expect("the server answers");
    let path = format!("SET search_path TO {schema}");
    client.batch_execute(&path).expect("a schema");
    client.query_one(query, &[]).expect("a row").get(0)
}

/// Two done for one client, one dead, one put off, one that waits.
fn lived(user: &User) {
    user.run::<&str>(&[], &sample(STRANGER))
        .expect(0, "success", "created");
    user.run::<&str>(&[], &renamed(STRANGER, 1))
        .expect(0, "success", "updated");
    user.run::<&str>(&[], &renamed(STRANGER, 1))
        .expect(0, "success", "skipped");
    let refused = notion_error(400, "validation_error", "Something is not as it should be.");
    let refused = Fault::new(Vendor::Notion, refused);
    user.vendors
        .add_fault(refused.method("POST").path("/v1/pages"));
    user.run::<&str>(&[], &renamed_client(TEXT, 2))
        .expect_error(69, "refused");
    user.vendors.clear_faults();
    let down = notion_error(503, "service_unavailable", "later");
    user.vendors.add_fault(Fault::new(Vendor::Notion, down));
    let run = user.run(&["--deadline", "1s"], &renamed_client(TEXT, 3));
    assert_eq!(run.code, 75, "{}", run.stdout);
    user.vendors.clear_faults();
    assert_eq!(user.run(&["--enqueue"], &renamed_client(TEXT, 4)).code, 0);
}

fn names(json: &Json) -> Vec<&String> {
    json.as_object().expect("an object").keys().collect()
}

fn figures(database: Database) {
    let user = user(database, SETTINGS);
    lived(&user);
    let told = status(&user);
    let keys = [
        "events",
        "next_try",
        "oldest_waiting",
        "problems",
        "chores",
        "today",
        "phone_numbers",
        "operations",
        "cache",
        "calls_per_event",
        "recordings",
        "jobs",
        "clients",
    ];
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let mut found = names(&told);
    found.sort_unstable();
    assert_eq!(found, sorted);
    let events = json!({"waiting": 1, "held": 0, "failed": 1, "dead": 1, "done": 2});
    assert_eq!(told["events"], events);
    assert_eq!(
        (&told["today"]["created"], &told["today"]["updated"]),
        (&json!(1), &json!(1))
    );
    let problems = told["problems"].as_array().expect("a list");
    let states: Vec<&Json> = problems.iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["dead", "failed", "waiting"]);
    let dead = &problems[0];
    let id = dead["event_id"].as_str().expect("an id");
    assert_eq!(
        (&dead["kind"], &dead["attempts"]),
        (&json!("refused"), &json!(1))
    );
    let hint = format!("once you know why: quotion replay --event {id}");
    assert_eq!(dead["hint"], hint);
    assert!(
        dead["last_try"].is_string() && dead["next_try"].is_null(),
        "{dead}"
    );
    assert_eq!(problems[2]["next_try"], told["next_try"]);
    assert_eq!(problems[2]["last_try"], Json::Null);
    assert_eq!(told["cache"]["entries"], 1);
    let texts = |it: &&Json| it["operation"] == "sync message";
    let operations = told["operations"].as_array().expect("a list");
    let texts = operations.iter().find(texts).expect("texts");
    assert_eq!(texts["success"], 2, "{texts}");
}

/// Whatever is looked at, and without keys.
fn nothing_is_changed(database: Database) {
    let mut user = user(database, SETTINGS);
    lived(&user);
    let id = event_of(STRANGER);
    let files = |user: &User| {
        let mut files = user.files();
        files.retain(|(path, _)| !path.to_string_lossy().contains("quotion.db-"));
        files
    };
    let before = files(&user);
    user.vendors.clear_requests();
    let all = status(&user);
    for name in [
        "OPENPHONE_API_KEY",
        "NOTION_API_KEY",
        "NOTION_CLIENTS_DATABASE_ID",
    ] {
        user.set(name, "");
    }
    assert_eq!(status(&user), all);
    let run = user.run(&["status", "--event", &id], b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(files(&user) == before, "a file was changed");
    let asked = user.vendors.count(Vendor::Notion) + user.vendors.count(Vendor::Quo);
    assert_eq!(asked, 0);
}

fn nothing_is_made(database: Database) {
    let user = user(database, SETTINGS);
    let before = user.files();
    let told = status(&user);
    let nothing = json!({"waiting": 0, "held": 0, "failed": 0, "dead": 0, "done": 0});
    assert_eq!((&told["events"], &told["problems"]), (&nothing, &json!([])));
    assert!(user.files() == before, "a file was made");
    let run = user.run(&["status"], b"");
    assert!(
        run.stderr.contains("there is no store of this version yet"),
        "{}",
        run.stderr
    );
}

fn check(user: &User) -> Run {
    user.run(&["status", "--check"], b"")
}

fn monitors(database: Database) {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    user.run::<&str>(&[], &sample(STRANGER));
    assert_eq!(check(&user).code, 0);
    assert_eq!(user.run(&["--enqueue"], &renamed_client(TEXT, 4)).code, 0);
    assert_eq!(check(&user).code, 0, "it has not waited for long");
    execute(
        &user,
        "UPDATE inbox SET next_try_at = next_try_at - 3700000",
        "UPDATE quotion_inbox SET next_try_at = next_try_at - interval '3700 seconds'",
    );
    let run = check(&user);
    assert_eq!((run.code, run.lines.len()), (75, 1), "{}", run.stderr);
    assert!(
        run.stderr.contains("1 waiting for over an hour"),
        "{}",
        run.stderr
    );
    let act = notion_error(401, "unauthorized", "API token is invalid.");
    user.vendors.add_fault(Fault::new(Vendor::Notion, act));
    user.run(&["replay"], b"");
    assert_eq!(check(&user).code, 69);
    assert_eq!(user.run(&["status"], b"").code, 0, "asked by a person");
    let held = &status(&user)["problems"][0];
    assert_eq!(held["hint"], "mend NOTION_API_KEY, then: quotion replay");
    assert_eq!(user.critical_lines().len(), 1, "a look adds none");
}

fn steps(run: &Run) -> Vec<&str> {
    assert_eq!(run.code, 0, "{}", run.stdout);
    let steps = run.line()["steps"].as_array().expect("a list");
    steps
        .iter()
        .filter_map(|step| step["step"].as_str())
        .collect()
}

fn one(database: Database) {
    let user = user(database, SETTINGS);
    lived(&user);
    let told = |args: [&str; 2]| user.run(&["status", args[0], args[1]], b"");
    let (event, activity) = (event_of(STRANGER), activity_of(STRANGER));
    let run = told(["--event", &event]);
    let words = steps(&run);
    for word in ["received", "done", "success", "entry"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    let page = user.vendors.world().notion.pages[0].id.replace('-', "");
    let url = format!("https://www.notion.so/{page}");
    let links = run.line()["steps"].as_array().expect("a list").iter();
    assert_eq!(
        links.filter(|step| step["url"] == url.as_str()).count(),
        3,
        "{}",
        run.stdout
    );
    assert_eq!(run.line()["events"][0]["state"], "done");
    let words = told(["--activity", &activity]);
    assert_eq!(steps(&words).len(), 2, "{}", words.stdout);
    let client = told(["--number", "+12025560003"]);
    assert_eq!(
        client.line()["events"][0]["state"],
        "failed",
        "{}",
        client.stdout
    );
    for unknown in [
        ["--event", "EVnone"],
        ["--activity", "ACnone"],
        ["--number", "+12025559999"],
        ["--number", "banana"],
        ["--event", "a b"],
    ] {
        told(unknown).expect_error(64, "usage");
    }
}

fn kept_tables(database: Database) {
    let user = user(database, SETTINGS);
    lived(&user);
    let history = |status: &str| {
        let sql = format!("SELECT count(*) FROM sync_history WHERE sync_status = '{status}'");
        told_by(&user, &sql)
    };
    assert_eq!(["success", "skipped", "failed"].map(history), [2, 1, 2]);
    let today = json!({"created": 1, "updated": 1, "skipped": 1, "failed": 2});
    assert_eq!(status(&user)["today"], today);
    user.run(&["replay", "--dead"], b"");
    let twice = "SELECT count(*) FROM sync_history WHERE sync_status = 'failed'
                 AND error_message LIKE 'Notion%' AND resource_type = 'message'";
    assert!(told_by(&user, twice) <= 2, "once for each kind");
    let kinds = "SELECT count(DISTINCT metric_type) FROM performance_metrics";
    assert_eq!(told_by(&user, kinds), 4);
    let failures = "SELECT count(*) FROM performance_metrics WHERE NOT success
                    AND metric_type IN ('notion_query', 'sync')";
    assert!(told_by(&user, failures) >= 4);
    let told = status(&user);
    let calls = told["calls_per_event"]["notion"]
        .as_f64()
        .expect("a number");
    assert!(calls > 1.0, "{told}");
    let synced = |line: &&Json| line["total_messages_synced"] != 0;
    let lines = told["phone_numbers"].as_array().expect("a list");
    let line = lines.iter().find(synced).expect("a line");
    assert!(
        line["number"].is_string() && line["name"].is_string(),
        "{line}"
    );
    let today = "SELECT count(*) FROM sync_stats_today WHERE sync_status = 'skipped'";
    assert_eq!(told_by(&user, today), 1);
    let ratio = "SELECT count(*) FROM canvas_cache_stats WHERE hit_ratio >= 0 AND hit_ratio < 1
                 AND avg_hits_per_entry >= 1 AND total_hits >= total_entries";
    assert_eq!(told_by(&user, ratio), 1);
}

/// A call, and what comes later about it, is one activity.
fn totals(database: Database) {
    let user = user(database, SETTINGS);
    for name in [CALL, SUMMARY, CALL] {
        let run = user.run::<&str>(&[], &sample(name));
        assert_eq!(run.code, 0, "{}", run.stdout);
    }
    let calls = "SELECT CAST(sum(total_calls_synced) AS bigint) FROM phone_numbers";
    assert_eq!(told_by(&user, calls), 1);
    let nameless = "SELECT count(*) FROM sync_history WHERE phone_number_id IS NULL";
    assert_eq!(
        told_by(&user, nameless),
        0,
        "a summary is of its call's number"
    );
}

fn last_runs(database: Database) {
    let user = user(database, SETTINGS);
    user.run::<&str>(&[], &sample(STRANGER));
    assert_eq!(status(&user)["jobs"], json!([]));
    user.run(&["replay"], b"");
    user.run(&["replay", "--dry-run"], b"");
    assert_eq!(user.run(&["replay", "--event", "EVnone"], b"").code, 64);
    user.run(&["backfill", "--since", "24h"], b"");
    let told = status(&user)["jobs"].clone();
    let jobs = told.as_array().expect("a list").iter();
    let jobs: Vec<(&Json, &Json)> = jobs.map(|job| (&job["job"], &job["ended"])).collect();
    let (backfill, replay) = (json!("backfill"), json!("replay"));
    let (done, failed) = (json!("done"), json!("exit code 64"));
    assert_eq!(jobs, [(&backfill, &done), (&replay, &failed)]);
    assert!(told[0]["last_run"].is_string(), "{told}");
}

fn in_progress(database: Database) {
    let user = user(database, SETTINGS);
    user.run::<&str>(&[], &sample(STRANGER));
    let fault = Fault::new(Vendor::Notion, Act::Delay(Duration::from_secs(3)));
    user.vendors.add_fault(fault);
    let mut child = start(&user, &[]);
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, &renamed_client(TEXT, 5)).expect("it reads");
    drop(input);
    let is_seen = |_| {
        let told = status(&user);
        told["problems"][0]["state"] == "in_progress"
    };
    assert!((0..60).any(is_seen), "{}", status(&user));
    user.vendors.clear_faults();
    assert!(child.wait().expect("it ends").success());
    assert_eq!(status(&user)["problems"], json!([]));
}

/// What a person sees, with this variable set.
fn on_terminal(user: &User, args: &str, variable: (&str, &str)) -> String {
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{QUOTION} status {args}"), "/dev/null"])
        .current_dir(user.home.path())
        .env_clear()
        .envs(user.environment.iter().map(|(name, value)| (name, value)))
        .env("PATH", "/usr/bin:/bin")
        .env(variable.0, variable.1)
        .stdin(Stdio::null());
    let said = script.output().expect("util-linux").stdout;
    String::from_utf8_lossy(&said).replace('\r', "")
}

#[test]
fn person_gets_a_screen_with_trouble_first_and_colours_only_where_wanted() {
    let user = user(&sqlite, SETTINGS);
    lived(&user);
    let said = on_terminal(&user, "", ("TERM", "xterm"));
    let lines: Vec<&str> = said.lines().collect();
    let counts = "1 dead, 0 held, 1 failed, 1 waiting; 2 done in the last 24 hours";
    assert!(lines[0].contains(counts), "{said}");
    assert!(
        lines[1].contains("dead") && lines[1].contains("\u{1b}[31m"),
        "{said}"
    );
    assert!(lines[3].contains("quotion replay --event"), "{said}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let said = on_terminal(&user, "", variable);
        assert!(said.contains(counts) && !said.contains('\u{1b}'), "{said}");
    }
    let said = on_terminal(&user, "--json", ("TERM", "xterm"));
    assert!(said.starts_with("{\"events\""), "{said}");
    let said = on_terminal(
        &user,
        &format!("--event {}", event_of(STRANGER)),
        ("TERM", "dumb"),
    );
    assert!(said.contains("https://www.notion.so/"), "{said}");
}

#[test]
fn help_of_status_shows_variables_exit_codes_and_examples() {
    let help = User::new().output(&["status", "--help"], b"").stdout;
    let help = String::from_utf8(help).expect("UTF-8");
    for word in ["QUOTION_STATE", "69 ", "75 ", "quotion status --check"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

on_both! {
    figures
    nothing_is_changed
    nothing_is_made
    monitors
    one
    in_progress
    kept_tables
    last_runs
    totals
}
