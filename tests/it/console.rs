//! What a person, a log collector, cron and a shell see of a run: the form of every line, who is
//! told what at which level, and how a run ends that is cut short.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{QUOTION, Run, User, feed, sample, sample_json};
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Vendor};

const MESSAGE: &str = "legacy-v4.message.received";
const SKIPPED: &str = "v2026-03-30.call.ringing";

/// Texts of so many clients.
fn texts(count: usize) -> Vec<Vec<u8>> {
    let text = |number: usize| {
        let mut event = sample_json(MESSAGE);
        event["id"] = json!(format!("EV{number}"));
        let message = &mut event["data"]["object"];
        message["id"] = json!(format!("AC{number}"));
        message["from"] = json!(format!("+1202555{:04}", 1000 + number));
        message["contactIds"] = json!([]);
        format!("{event}\n").into_bytes()
    };
    (0..count).map(text).collect()
}

/// The line without its time, which it must have.
#[track_caller]
fn undated(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').expect("a time and more");
    let time: Result<jiff::Timestamp, _> = time.parse();
    assert!(time.is_ok(), "no time in {line:?}");
    rest
}

/// Every line has its time, in either form. Returns the records as JSON.
#[track_caller]
fn check_form(user: &User, args: &[&str], input: &[u8], levels: &[&str]) -> Vec<Json> {
    let run = user.output(args, input);
    for line in String::from_utf8_lossy(&run.stderr).lines() {
        undated(line);
    }
    let flag = [&["--log-format", "json"][..], args].concat();
    let run = user.output(&flag, input);
    let records: Vec<Json> = String::from_utf8_lossy(&run.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line:?}")))
        .collect();
    let found: Vec<&str> = records
        .iter()
        .filter_map(|record| record["level"].as_str())
        .collect();
    assert_eq!(found, levels, "{args:?}: {records:?}");
    for record in &records {
        let time = record["time"].as_str().unwrap_or_default();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{record}");
        let is_error = record["level"] == "ERROR";
        assert_eq!(record["hint"].is_string(), is_error, "{record}");
    }
    let stderr = |output: &Output| String::from_utf8_lossy(&output.stderr).lines().count();
    let mut command = user.command(args);
    command.env("QUOTION_LOG_FORMAT", "json");
    let by_variable = feed(command.spawn().expect("it starts"), input);
    assert_eq!(stderr(&by_variable), records.len(), "{args:?}");
    assert!(by_variable.stderr.starts_with(b"{"), "{args:?}");
    records
}

#[test]
fn every_line_has_its_time_and_the_chosen_form() {
    let user = User::new();
    check_form(&user, &["replay"], b"", &["INFO"]);
    let told = &["INFO", "INFO"];
    check_form(&user, &["backfill", "--since", "1h"], b"", told);
    check_form(&user, &["backfill"], b"", told);
    check_form(&user, &[], b"", &["WARN"]);
    check_form(&user, &[], b"oops\n[]", &["ERROR", "ERROR"]);
    check_form(&user, &["--signature", "x"], b"{}", &["ERROR"]);
    check_form(&user, &["--config", "none.toml"], b"", &["WARN", "ERROR"]);
    check_form(&user, &["replay", "none"], b"", &["ERROR"]);
    check_form(&user, &["replay", "--event", "EVnone"], b"", &["ERROR"]);
    for misspelt in ["--nope", "nope", "--log-to=nope", "--verbose=nope"] {
        check_form(&user, &[misspelt], b"", &["ERROR"]);
    }
    let skipped = sample(SKIPPED);
    check_form(&user, &["-v"], &skipped, &["INFO", "INFO", "INFO"]);
    check_form(&user, &["replay", "-v"], b"", &["INFO", "INFO", "INFO"]);
    fs::write(user.path(".env"), "no line\n").expect("a file");
    check_form(&user, &[], b"", &["ERROR"]);
    check_form(&user, &["--nope"], b"", &["ERROR"]);
}

#[test]
fn variable_says_where_and_how_logs_go_and_flags_beat_it() {
    let mut user = User::new();
    user.set("QUOTION_LOG_TO", "stdout");
    let run = user.output::<&str>(&[], b"oops");
    assert!(run.stderr.is_empty());
    assert_eq!(String::from_utf8_lossy(&run.stdout).lines().count(), 2);
    let run = user.run(&["--log-to", "stderr"], b"oops");
    assert_eq!((run.lines.len(), run.stderr.lines().count()), (1, 1));
    user.set("QUOTION_LOG_TO", "")
        .set("QUOTION_LOG_FORMAT", "json");
    let run = user.run(&["--log-format", "text"], b"oops");
    assert!(undated(&run.stderr).starts_with("ERROR "), "{}", run.stderr);
    let run = user
        .set("QUOTION_LOG_FORMAT", "xml")
        .run::<&str>(&[], &sample(SKIPPED));
    assert_eq!((run.code, run.stderr.lines().count()), (0, 1));
    assert!(run.stderr.contains("QUOTION_LOG_FORMAT"), "{}", run.stderr);
}

#[test]
fn no_level_hides_errors_hints_and_summaries() {
    for (name, level) in [
        ("LOG_LEVEL", "off"),
        ("LOG_LEVEL", "none"),
        ("LOG_LEVEL", "ERROR"),
        ("RUST_LOG", "quotion=off,quotion::told=off"),
    ] {
        let mut user = User::new();
        user.set(name, level);
        let run = user.run::<&str>(&[], b"oops");
        let error = undated(&run.stderr);
        assert!(error.starts_with("ERROR not a JSON document"), "{error}");
        assert!(error.contains("; hint: "), "{error}");
        assert_eq!(run.stderr.lines().count(), 1);
        let run = user.run(&["replay"], b"");
        assert_eq!(
            undated(&run.stderr),
            "INFO replay: 0 done, 0 failed; 0 in the inbox\n"
        );
    }
}

#[test]
fn level_that_is_none_is_one_warning_that_names_the_variable() {
    for (name, level, warned) in [
        ("LOG_LEVEL", "loud", true),
        ("LOG_LEVEL", "5", true),
        ("RUST_LOG", "info,warm", true),
        ("RUST_LOG", "quotion::http=loud", true),
        ("LOG_LEVEL", "Warning", false),
        ("LOG_LEVEL", "trace", false),
        ("RUST_LOG", "warn,quotion::http=error", false),
    ] {
        let mut user = User::new();
        let run = user.set(name, level).run::<&str>(&[], &sample(SKIPPED));
        let said = run.stderr.lines().filter(|line| line.contains(name));
        assert_eq!(
            (run.code, said.count()),
            (0, usize::from(warned)),
            "{level}"
        );
        let run = user.run(&["-v"], &sample(SKIPPED));
        assert_eq!(
            run.stderr.lines().count(),
            3,
            "-v beats {level}: {}",
            run.stderr
        );
    }
}

#[test]
fn switches_say_more_or_less() {
    let user = User::new();
    let count = |args: &[&str], input: &[u8]| user.output(args, input).stderr.len();
    assert_eq!(count(&["replay", "-q"], b""), 0);
    assert_eq!(count(&["-q", "backfill", "--since", "1h"], b""), 0);
    assert_eq!(count(&["--quiet"], b""), 0);
    assert!(count(&["-q"], b"oops") > 0);
    let run = user.run(&["-vv"], &sample(MESSAGE));
    assert!(run.stderr.contains(" DEBUG "), "{}", run.stderr);
    user.run(&["-q", "-v"], b"").expect_error(64, "usage");
}

#[test]
fn info_tells_begin_events_and_end_with_figures() {
    let user = User::new();
    let input = [sample(MESSAGE), sample(SKIPPED)].concat();
    let run = user.run(&["-v"], &input);
    let lines: Vec<&str> = run.stderr.lines().map(undated).collect();
    assert_eq!(lines.len(), 4, "{}", run.stderr);
    assert_eq!(lines[0], "INFO sync begins");
    assert!(
        lines[1].starts_with("INFO message.received EV"),
        "{lines:?}"
    );
    let (end, took) = lines[3].rsplit_once(" in ").expect("a duration");
    assert_eq!(end, "INFO sync ends with exit code 0: 2 lines, 0 failures,");
    assert!(
        took.strip_suffix(" s")
            .is_some_and(|secs| secs.parse::<f64>().is_ok())
    );
}

#[test]
fn column_that_is_missing_is_told_once_a_run() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_minimal.json");
    let run = user.run::<&str>(&[], &texts(3).concat());
    assert_eq!(run.lines.len(), 3);
    let column = |line: &str| {
        let rest = undated(line).strip_prefix("WARN property_missing \"");
        let name = rest.and_then(|rest| rest.split('"').next());
        name.unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let mut told: Vec<String> = run.stderr.lines().map(column).collect();
    told.sort();
    assert_eq!(told, ["Last Call", "Status"]);
}

#[test]
fn wait_for_a_rate_limit_is_told() {
    let user = User::new();
    let settings = "[notion]\nsettle = \"1ms\"\nrequests_per_minute = 1000000\n\
        [quo]\nrequests_per_second = 1000000\n";
    fs::write(user.path("quotion.toml"), settings).expect("a file");
    user.sync(MESSAGE).expect(0, "success", "created");
    let settings = settings.replace("requests_per_minute = 1000000", "requests_per_minute = 1");
    fs::write(user.path("quotion.toml"), settings).expect("a file");
    let run = user.run(&["--deadline", "1s"], &texts(2).concat());
    assert_eq!(run.code, 75, "{}", run.stderr);
    let mut child = user
        .command(&["replay", "--now", "--deadline", "off"])
        .spawn()
        .expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let wait = lines.find(|line| line.contains("waiting"));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let wait = wait.expect("a line about the wait");
    assert!(undated(&wait).starts_with("WARN notion: "), "{wait}");
}

#[test]
fn misspelt_word_and_file_as_argument_get_the_command_that_works() {
    let user = User::new();
    fs::write(user.path("payload.json"), sample(MESSAGE)).expect("a file");
    for (args, hint) in [
        (&["--enqeue"][..], "'--enqueue'"),
        (&["bakfill"], "'backfill'"),
        (&["replay", "--ded"], "'--dead'"),
        (&["payload.json"], "quotion < payload.json"),
        (
            &["--dry-run", "payload.json"],
            "quotion --dry-run < payload.json",
        ),
    ] {
        let run = user.run(args, b"");
        run.expect_error(64, "usage");
        let told = run.line()["error"]["hint"].as_str().unwrap_or_default();
        assert!(told.contains(hint), "{args:?}: {told}");
        assert!(run.stderr.contains(hint), "{args:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    // Whoever reads a backfill takes every line for an event.
    let run = user.run(&["backfill", "--sinse", "1d"], b"");
    assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{}", run.stderr);
    assert!(run.stderr.contains("'--since'"), "{}", run.stderr);
}

#[test]
fn file_that_is_missing_does_not_cost_the_others() {
    let user = User::new();
    let texts = texts(2);
    fs::write(user.path("a"), &texts[0]).expect("a file");
    fs::write(user.path("c"), &texts[1]).expect("a file");
    for missing in ["b", ".", "a/b"] {
        let run = user.run(&["replay", "a", missing, "c"], b"");
        let status: Vec<&Json> = run.lines.iter().map(|line| &line["status"]).collect();
        assert_eq!(status, ["success", "error", "success"], "{}", run.stderr);
        let message = run.lines[1]["error"]["message"]
            .as_str()
            .expect("a message");
        assert!(message.contains(&format!(" {missing}: ")), "{message}");
        assert_eq!(run.code, 74);
    }
    assert_eq!(user.client_pages(), 2);
}

#[test]
fn event_that_is_named_must_be_in_the_inbox() {
    let user = User::new();
    user.run(&["replay", "--event", "NOPE"], b"")
        .expect_error(64, "usage");
    user.sync(MESSAGE).expect(0, "success", "created");
    let id = sample_json(MESSAGE)["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let run = user.run(&["replay", "--event", &id], b"");
    assert_eq!((run.code, run.lines.len()), (0, 0));
    assert!(run.stderr.contains("done already"), "{}", run.stderr);
}

#[test]
fn dry_run_on_a_terminal_shows_the_plan_as_text() {
    let user = User::new();
    fs::write(user.path("payload.json"), sample(MESSAGE)).expect("a file");
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{QUOTION} --dry-run < payload.json")])
        .arg("/dev/null")
        .current_dir(user.home.path())
        .env_clear()
        .envs(user.environment.iter().map(|(name, value)| (name, value)))
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    let said = script.output().expect("util-linux").stdout;
    let said = String::from_utf8_lossy(&said).replace('\r', "");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(r#""dry_run":true"#), "{said}");
    assert!(lines[1].ends_with(": would make the page"), "{said}");
    assert!(lines.contains(&"  Status: New Import"), "{said}");
    assert!(
        lines.iter().any(|line| line.starts_with("  Incoming text")),
        "{said}"
    );
    assert_eq!(user.client_pages(), 0);
    let piped = user.run(&["--dry-run"], &sample(MESSAGE));
    assert_eq!(piped.lines.len(), 1, "{}", piped.stdout);
}

#[test]
fn dry_run_of_a_replay_plans_and_leaves_everything() {
    let user = User::new();
    user.run(&["--enqueue"], &sample(MESSAGE));
    let store = || fs::read(user.path(".tmp/quotion.db")).expect("a store");
    let before = store();
    let run = user.run(&["replay", "--dry-run"], b"");
    assert_eq!((run.code, run.line()["dry_run"].as_bool()), (0, Some(true)));
    assert_eq!(run.line()["plan"][0]["step"], "create_page");
    assert!(run.stderr.contains("1 planned"), "{}", run.stderr);
    assert_eq!(user.client_pages(), 0);
    assert_eq!(store(), before);
    let run = user.run(&["replay"], b"");
    run.expect(0, "success", "created");
}

#[test]
fn terminal_with_nothing_piped_in_gets_a_short_usage_at_once() {
    let user = User::new();
    // The only tool of every Linux that gives a program a terminal.
    let mut script = Command::new("script");
    script
        .args([
            "-qec",
            &format!("{QUOTION} 2>&1 >line; echo $?"),
            "/dev/null",
        ])
        .current_dir(user.home.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = script.spawn().expect("util-linux");
    // Open and silent, as a person is.
    let _keyboard = child.stdin.take();
    let mut said = String::new();
    let mut output = child.stdout.take().expect("a pipe");
    output.read_to_string(&mut said).expect("text");
    child.wait().expect("it ends");
    assert!(said.contains("usage: quotion < payload.json"), "{said}");
    assert!(said.trim_end().ends_with("64"), "{said}");
}

/// A run whose standard input stays open.
fn begin(user: &User, args: &[&str], input: &[u8]) -> (Child, ChildStdin) {
    let mut child = user.command(args).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("written");
    (child, stdin)
}

#[track_caller]
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let done = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(done.expect("kill").success());
}

/// The next line of a run.
fn next_line(child: &mut Child) -> Json {
    let output = child.stdout.as_mut().expect("a pipe");
    let mut line = Vec::new();
    let mut sign = [0];
    while line.last() != Some(&b'\n') {
        output.read_exact(&mut sign).expect("a line");
        line.push(sign[0]);
    }
    serde_json::from_slice(&line).expect("JSON")
}

#[test]
fn stop_while_a_vendor_hangs_has_its_line_all_the_same() {
    let user = User::new();
    let hang = Fault::new(Vendor::Notion, Act::Hang(Duration::from_mins(1)));
    user.fault(hang.path("/query"));
    let input = [sample(MESSAGE), texts(1)[0].clone()].concat();
    let (mut child, stdin) = begin(&user, &[], &input);
    drop(stdin);
    while user.vendors.count(Vendor::Notion) < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    signal(&child, "TERM");
    for _ in 0..2 {
        let line = next_line(&mut child);
        assert_eq!(line["status"], "error", "{line}");
        assert_eq!(line["error"]["retryable"], true, "{line}");
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(75));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    user.vendors.clear_faults();
    assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
    assert_eq!(
        user.times_in_notion(" · AC00000000000000000000000000000150\n"),
        1
    );
}

#[test]
fn reader_that_closes_the_pipe_ends_the_run_and_what_was_read_is_kept() {
    let user = User::new();
    user.without_rate_limits();
    let texts = texts(12);
    // The first lines go out before the reader goes; then a line meets nobody.
    let (mut child, mut stdin) = begin(&user, &[], &texts[0]);
    assert_eq!(next_line(&mut child)["status"], "success");
    drop(child.stdout.take());
    stdin.write_all(&texts[1..].concat()).expect("written");
    // It stays open: what is not wanted is not waited for.
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*told), (Some(0), ""));
    drop(stdin);
    assert!(user.client_pages() < 12, "nothing more is begun");
    let run = user.run(&["replay"], b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(user.client_pages(), 12, "{}", run.stderr);
}

#[test]
fn reader_of_a_replay_or_backfill_may_go_too() {
    let user = User::new();
    user.without_rate_limits();
    user.run(&["--enqueue"], &texts(5).concat());
    let mut command = user.command(&["replay"]);
    let mut child = command.spawn().expect("it starts");
    drop((child.stdin.take(), child.stdout.take()));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    let run = user.run(&["replay"], b"");
    assert_eq!((run.code, user.client_pages()), (0, 5), "{}", run.stderr);
}

#[test]
fn refusal_is_one_though_nobody_reads_it() {
    let user = User::new();
    for (args, input, code) in [
        (&["--signature", "x"][..], &b"{}"[..], 77),
        (&[], b"oops", 65),
        (&["--nope"], b"", 64),
    ] {
        let mut child = user.command(args).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = feed(child, input);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn signal_ends_a_wait_for_input_at_once() {
    let user = User::new();
    user.without_rate_limits();
    for (name, args, input) in [
        ("TERM", &[][..], Vec::new()),
        ("INT", &["--signature", "x"], b"{".to_vec()),
        ("TERM", &["--enqueue"], sample(SKIPPED)),
        ("TERM", &["replay", "-"], sample(SKIPPED)),
        ("INT", &[], sample(MESSAGE)),
    ] {
        let (mut child, stdin) = begin(&user, args, &input);
        if input.len() > 1 {
            next_line(&mut child);
        }
        std::thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        signal(&child, name);
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(75), "{args:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{args:?}");
        drop(stdin);
    }
}

/// Notion takes so long for its first write.
fn slow(user: &User, length: Duration) {
    let fault = Fault::new(Vendor::Notion, Act::Delay(length));
    user.vendors
        .add_fault(fault.method("POST").path("/v1/pages").times(1));
}

#[track_caller]
fn await_write(user: &User) {
    let began = Instant::now();
    let arrived = || {
        let all = user.vendors.requests();
        all.iter()
            .any(|seen| seen.method == "POST" && seen.path == "/v1/pages")
    };
    while !arrived() {
        assert!(began.elapsed() < Duration::from_secs(20), "no write");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn signal_lets_what_is_sent_come_to_its_end_and_loses_nothing() {
    for (name, args) in [("TERM", &[][..]), ("INT", &["replay"])] {
        let user = User::new();
        user.without_rate_limits();
        let all = texts(6).concat();
        let input = if args.is_empty() {
            all
        } else {
            user.run(&["--enqueue"], &all);
            Vec::new()
        };
        slow(&user, Duration::from_secs(1));
        let (child, stdin) = begin(&user, args, &input);
        await_write(&user);
        let began = Instant::now();
        signal(&child, name);
        let run = Run::of(child.wait_with_output().expect("it ends"));
        drop(stdin);
        assert!(began.elapsed() < Duration::from_secs(5), "{args:?}");
        assert_eq!(run.code, 75, "{args:?} {}", run.stderr);
        let pages = user.client_pages();
        assert!((1..6).contains(&pages), "{args:?}: {pages} pages");
        if args.is_empty() {
            assert_eq!(run.lines.len(), 6, "one line for each: {}", run.stdout);
        }
        let rest = user.run(&["replay", "--now"], b"");
        assert_eq!((rest.code, user.client_pages()), (0, 6), "{}", rest.stderr);
    }
}

#[test]
fn vendor_that_hangs_does_not_hold_the_end_and_a_second_signal_kills() {
    let user = User::new();
    user.without_rate_limits();
    slow(&user, Duration::from_secs(12));
    let (child, stdin) = begin(&user, &[], &sample(MESSAGE));
    await_write(&user);
    let began = Instant::now();
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(75));
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(stdin);
    let user = User::new();
    slow(&user, Duration::from_secs(12));
    let (mut child, stdin) = begin(&user, &[], &sample(MESSAGE));
    await_write(&user);
    signal(&child, "TERM");
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), None);
    assert!(began.elapsed() < Duration::from_secs(2));
    drop(stdin);
}

#[test]
fn backfill_is_stopped_in_good_order() {
    let user = User::new();
    user.without_rate_limits();
    let act = Act::Delay(Duration::from_secs(1));
    user.vendors
        .add_fault(Fault::new(Vendor::Quo, act).path("/v1/conversations"));
    let (child, stdin) = begin(&user, &["backfill", "--since", "30d"], b"");
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(told.contains("stopped by a signal"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(stdin);
}

#[test]
fn file_that_may_not_grow_is_a_store_error() {
    let user = User::new();
    user.without_rate_limits();
    for (limit, what) in [("0", "everything"), ("64", "the store")] {
        let mut shell = user.command::<&str>(&[]);
        let program = shell.get_program().to_owned();
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -f {limit}; exec \"$0\" > out.json")])
            .arg(program)
            .current_dir(user.home.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in shell.get_envs() {
            limited.env(name, value.expect("a value"));
        }
        shell.stdin(Stdio::null());
        let child = limited.spawn().expect("a shell");
        let input = [sample(SKIPPED), texts(40).concat()].concat();
        let output = feed(child, &input);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{what}: {told}");
    }
}

#[test]
fn standard_error_that_cannot_be_written_disturbs_nothing() {
    let user = User::new();
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux");
    let mut command = user.command(&["-vv"]);
    command.stderr(full);
    let run = Run::of(feed(command.spawn().expect("it starts"), &sample(MESSAGE)));
    run.expect(0, "success", "created");
}

#[test]
fn nothing_that_a_terminal_obeys_is_shown_raw() {
    let user = User::new();
    let bad = "x\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\u{2028}\u{85}y\nz";
    let mut event = sample_json(MESSAGE);
    event["type"] = json!(format!("call.{bad}"));
    let run = user.run(&["-vv"], event.to_string().as_bytes());
    let argument = user.run(&[bad], b"");
    argument.expect_error(64, "usage");
    for text in [&run.stdout, &run.stderr, &argument.stdout, &argument.stderr] {
        let raw = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2028}".contains(c));
        assert!(!text.contains(raw), "{text:?}");
    }
    assert_eq!((run.lines.len(), argument.stderr.lines().count()), (1, 1));
}
