//! Logs and critical errors: where they go, how they look, and what must never stand in them.

use std::fs;
use std::io::{Read, Write, pipe};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::{Value as Json, json};

use crate::harness::{QUOTION, Run, User, feed, holds, sample, sample_json, samples};
use crate::standin::http::{self, Request};
use crate::standin::{
    Act, CLIENTS_DATABASE, Fault, NOTION_KEY, QUO_KEY, QUO_WEBHOOK_SECRET, Vendor,
};

const MESSAGE: &str = "legacy-v4.message.received";
const TEXT: &str = "Is my quote ready?";
/// Files of critical lines.
const CRITICAL: [&str; 2] = [".tmp/sync_errors.log", ".tmp/critical_errors.log"];

fn denied_user() -> User {
    let mut user = User::new();
    user.set(
        "NOTION_API_KEY",
        "ntn_revoked0000000000000000000000000000000001",
    );
    user
}

/// The lines of a file of critical errors.
fn critical(user: &User, name: &str) -> Vec<Json> {
    let text = fs::read_to_string(user.path(name)).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line:?}")))
        .collect()
}

/// What a critical line says, without time and request id, which differ.
fn kind_and_event(lines: &[Json]) -> Vec<(&str, Option<&str>)> {
    lines
        .iter()
        .map(|line| {
            (
                line["kind"].as_str().expect("a kind"),
                line["event_id"].as_str(),
            )
        })
        .collect()
}

#[test]
fn success_is_silent() {
    let user = User::new();
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.stderr, "");
    assert!(CRITICAL.iter().all(|name| !user.path(name).exists()));
}

#[test]
fn logs_to_standard_output_stand_before_the_result() {
    for level in ["error", "info", "debug"] {
        let mut user = User::new();
        user.set("LOG_LEVEL", level);
        let output = user.output(&["--log-to", "stdout"], &sample(MESSAGE));
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let lines: Vec<&str> = stdout.lines().collect();
        let (last, logs) = lines.split_last().expect("a line");
        let result: Json = serde_json::from_str(last).expect("the result");
        assert_eq!(
            (&result["status"], output.status.code()),
            (&json!("success"), Some(0))
        );
        assert_eq!(logs.is_empty(), level == "error", "{stdout}");
        assert!(logs.iter().all(|line| !line.starts_with('{')), "{stdout}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn log_of_a_retry_to_quo_does_not_block_standard_output() {
    let user = User::new();
    let unavailable = Act::Status {
        code: 503,
        headers: vec![],
        body: "{}".into(),
    };
    user.vendors.add_fault(
        Fault::new(Vendor::Quo, unavailable)
            .path("/v1/contacts")
            .times(1),
    );
    let output = user.output(&["--log-to", "stdout"], &sample(MESSAGE));
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(stdout.contains("trying again"), "{stdout}");
    assert!(
        stdout
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("{\"status\":\"success\"")),
        "{stdout}"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn failure_before_the_first_document_follows_the_same_stream() {
    let user = User::new();
    let output = user.output(&["--log-to", "stdout", "--env-file", "/missing"], b"");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].contains(" ERROR cannot read /missing"), "{stdout}");
    assert!(
        lines
            .last()
            .is_some_and(|line| line.starts_with("{\"status\":\"error\"")),
        "{stdout}"
    );
    assert_eq!((output.status.code(), output.stderr), (Some(78), vec![]));
}

#[test]
fn json_logs_are_json_in_every_line() {
    let mut user = User::new();
    user.set("LOG_LEVEL", "trace");
    let input = [
        sample(MESSAGE),
        b"oops\n".to_vec(),
        sample("v2026-03-30.call.completed.answered"),
    ]
    .concat();
    let run = user.run(&["--log-format", "json"], &input);
    assert_eq!((run.code, run.lines.len()), (65, 3));
    let mut levels: Vec<String> = Vec::new();
    for line in run.stderr.lines() {
        let log: Json = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let keys: Vec<&String> = log.as_object().expect("an object").keys().collect();
        let hint: &[&str] = if log["level"] == "ERROR" {
            &["hint"]
        } else {
            &[]
        };
        let want = [hint, &["level", "message", "module", "time"]].concat();
        assert_eq!(keys, want);
        levels.push(log["level"].as_str().expect("a level").to_owned());
    }
    for level in ["ERROR", "INFO", "DEBUG"] {
        assert!(
            levels.iter().any(|have| have == level),
            "{level} in {levels:?}"
        );
    }
    let output = user.output(&["--log-format", "json", "--log-to", "stdout"], &input);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        stdout
            .lines()
            .all(|line| serde_json::from_str::<Json>(line).is_ok()),
        "{stdout}"
    );
}

#[test]
fn level_is_set_by_either_variable_and_log_level_wins() {
    let mut user = User::new();
    assert!(
        user.set("RUST_LOG", "info")
            .sync(MESSAGE)
            .stderr
            .contains("INFO")
    );
    assert_eq!(user.set("LOG_LEVEL", "error").sync(MESSAGE).stderr, "");
    let run = user.set("LOG_LEVEL", "no such level").sync(MESSAGE);
    assert_eq!((run.code, run.lines.len()), (0, 1));
}

#[test]
fn line_end_in_a_payload_does_not_forge_a_log_line() {
    let mut user = User::new();
    let forged = "x\nquotion: forged\r\n2026-10-01T15:00:00.000Z ERROR forged";
    let contact = json!(format!("Rosa\n{forged}"));
    user.vendors
        .world()
        .quo
        .contact("66f1a2b3c4d5e6f708192a3b")
        .expect("Rosa")["defaultFields"]["firstName"] = contact;
    let unknown = json!({"id": "EV1", "type": forged})
        .to_string()
        .into_bytes();
    let run = user
        .set("LOG_LEVEL", "info")
        .run::<&str>(&[], &[unknown, sample(MESSAGE)].concat());
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!((run.code, lines.len()), (0, 4), "{}", run.stderr);
    assert!(
        lines[1..3]
            .iter()
            .all(|line| line.contains(" INFO ") && line.contains("forged")),
        "{lines:?}"
    );
}

/// Everything in the samples that somebody said or wrote.
fn said(json: &Json, all: &mut Vec<String>) {
    const KEYS: [&str; 6] = [
        "text",
        "body",
        "content",
        "summary",
        "nextSteps",
        "transcript",
    ];
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                if let Some(text) = value
                    .as_str()
                    .filter(|text| KEYS.contains(&key.as_str()) && text.len() > 3)
                {
                    all.push(text.to_owned());
                }
                if let (true, Some(texts)) = (KEYS.contains(&key.as_str()), value.as_array()) {
                    all.extend(texts.iter().filter_map(Json::as_str).map(str::to_owned));
                }
                said(value, all);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| said(item, all)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn no_level_shows_a_secret_or_what_somebody_said() {
    let mut texts = Vec::new();
    for name in samples() {
        said(&sample_json(&name), &mut texts);
    }
    assert!(
        texts.len() > 20 && texts.contains(&TEXT.to_owned()),
        "{texts:?}"
    );
    let input: Vec<u8> = samples().iter().flat_map(|name| sample(name)).collect();
    for level in ["info", "debug", "trace"] {
        let mut user = User::new();
        user.without_rate_limits();
        user.set("LOG_LEVEL", level).set("RUST_LOG", level);
        let run = user.run::<&str>(&[], &input);
        assert_eq!(
            (run.code, run.stderr.lines().count() > samples().len() / 2),
            (0, true)
        );
        let secrets = [
            NOTION_KEY,
            QUO_KEY,
            QUO_WEBHOOK_SECRET,
            "Authorization",
            "authorization",
            "Bearer",
        ];
        for hidden in texts.iter().map(String::as_str).chain(secrets) {
            assert!(
                !run.stderr.contains(hidden),
                "{level}: {hidden:?} in {}",
                run.stderr
            );
        }
    }
}

#[test]
fn secrets_are_kept_nowhere() {
    let user = User::new();
    user.without_rate_limits();
    let input: Vec<u8> = samples().iter().flat_map(|name| sample(name)).collect();
    user.run::<&str>(&[], &input);
    user.run(&["--signature", "hmac;1;1;AAAA"], &input)
        .expect_error(77, "signature");
    let denied = denied_user();
    denied.sync(MESSAGE).expect_error(69, "unauthorized");
    for (path, bytes) in user.files().into_iter().chain(denied.files()) {
        for secret in [
            NOTION_KEY,
            QUO_KEY,
            QUO_WEBHOOK_SECRET,
            "ntn_revoked",
            "Bearer",
        ] {
            assert!(!holds(&bytes, secret), "{secret} in {}", path.display());
        }
    }
}

#[test]
fn key_that_a_vendor_repeats_in_its_answer_is_blotted_out() {
    let user = User::new();
    let message = format!("API token {NOTION_KEY} is invalid (Bearer {NOTION_KEY})");
    let act = Act::NotionError {
        status: 401,
        code: "unauthorized".into(),
        message,
        additional: Json::Null,
    };
    user.vendors.add_fault(Fault::new(Vendor::Notion, act));
    let run = user.sync(MESSAGE);
    run.expect_error(69, "unauthorized");
    let printed = format!("{}{}", run.stdout, run.stderr);
    assert!(!printed.contains(NOTION_KEY), "{printed}");
    assert!(
        user.files()
            .iter()
            .all(|(_, bytes)| !holds(bytes, NOTION_KEY))
    );
}

#[test]
fn piped_logs_have_no_colours() {
    for (name, value) in [
        ("TERM", "xterm-256color"),
        ("NO_COLOR", "1"),
        ("COLORTERM", "truecolor"),
    ] {
        let mut user = denied_user();
        user.set("LOG_LEVEL", "debug").set(name, value);
        let run = user.sync(MESSAGE);
        assert!(
            run.stderr.contains(" ERROR ") && !run.stderr.contains('\u{1b}'),
            "{:?}",
            run.stderr
        );
    }
}

#[test]
fn refused_key_is_one_critical_line_in_each_file() {
    let user = denied_user();
    let run = user.sync(MESSAGE);
    run.expect_error(69, "unauthorized");
    for name in CRITICAL {
        let lines = critical(&user, name);
        assert_eq!(lines.len(), 1, "{name}");
        let line = &lines[0];
        let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["event_id", "kind", "message", "request_id", "time"]);
        assert_eq!(
            (&line["kind"], &line["event_id"]),
            (&json!("unauthorized"), &sample_json(MESSAGE)["id"])
        );
        assert_eq!(line["message"], run.line()["error"]["message"]);
        assert_eq!(line["request_id"], run.line()["error"]["request_id"]);
        assert!(
            line["request_id"].as_str().is_some_and(|id| id.len() > 10),
            "{line}"
        );
        assert!(
            line["time"]
                .as_str()
                .is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()),
            "{line}"
        );
        let mode = fs::metadata(user.path(name))
            .expect("a file")
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600, "{name} {mode:o}");
    }
}

#[test]
fn critical_lines_are_appended_one_for_each_event() {
    let user = denied_user();
    user.without_rate_limits();
    let call = "v2026-03-30.call.completed.answered";
    user.sync(MESSAGE);
    user.run::<&str>(&[], &[sample(call), sample(MESSAGE)].concat());
    let (message, call) = (sample_json(MESSAGE), sample_json(call));
    let id = |event: &Json| event["id"].as_str().map(str::to_owned);
    for name in CRITICAL {
        let lines = critical(&user, name);
        let ids: Vec<Option<String>> = lines
            .iter()
            .map(|line| line["event_id"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(ids, [id(&message), id(&call), id(&message)], "{name}");
    }
}

#[test]
fn database_that_is_not_shared_is_critical() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .database_mut(CLIENTS_DATABASE)
        .unshared = true;
    user.sync(MESSAGE).expect_error(69, "not_found");
    let lines = critical(&user, CRITICAL[0]);
    assert_eq!(
        kind_and_event(&lines),
        [("not_found", Some("EV00000000000000000000000000000050"))]
    );
}

#[test]
fn refused_key_of_quo_is_critical_once_and_the_event_is_synced() {
    let mut user = User::new();
    user.set("OPENPHONE_API_KEY", "revoked");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["quo_denied"]);
    user.sync("v2026-03-30.call.completed.answered")
        .expect(0, "success", "updated");
    let lines = critical(&user, CRITICAL[0]);
    assert_eq!(
        kind_and_event(&lines),
        [("unauthorized", Some("EV00000000000000000000000000000050"))]
    );
}

#[test]
fn faults_of_the_payload_or_its_signature_are_not_critical() {
    let user = User::new();
    user.run::<&str>(&[], b"oops").expect_error(65, "payload");
    user.run::<&str>(&[], b"[]").expect_error(65, "payload");
    user.run(&["--signature", "x"], b"{}")
        .expect_error(77, "signature");
    user.run(&["--nope"], b"{}").expect_error(64, "usage");
    assert_eq!(user.files(), []);
}

#[test]
fn vendor_that_is_down_is_not_critical() {
    let user = User::new();
    let act = Act::Status {
        code: 429,
        headers: vec![("retry-after".into(), "600".into())],
        body: "{}".into(),
    };
    user.vendors.add_fault(Fault::new(Vendor::Notion, act));
    user.sync(MESSAGE).expect_error(75, "rate_limited");
    assert!(CRITICAL.iter().all(|name| !user.path(name).exists()));
}

#[test]
fn dry_run_writes_no_critical_line() {
    let user = denied_user();
    user.run(&["--dry-run"], &sample(MESSAGE))
        .expect_error(69, "unauthorized");
    assert_eq!(user.files(), []);
}

#[test]
fn folder_that_cannot_be_written_is_told_and_the_result_still_printed() {
    let user = denied_user();
    fs::create_dir_all(user.path("kept/sync_errors.log")).expect("made");
    let run = user.run(&["--dir", "kept"], &sample(MESSAGE));
    run.expect_error(69, "unauthorized");
    assert!(
        run.stderr.contains("kept/sync_errors.log: Is a directory"),
        "{}",
        run.stderr
    );
}

/// Answers one request on a free port as a chat does, and gives the request.
fn chat(answer: &'static str) -> (u16, JoinHandle<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = stream.read(&mut chunk).expect("bytes");
            assert!(count > 0, "the request ends early");
            bytes.extend_from_slice(&chunk[..count]);
            if let Some(parsed) = http::parse(&bytes) {
                stream.write_all(answer.as_bytes()).expect("answered");
                return parsed.expect("a request").0;
            }
        }
    };
    (port, thread::spawn(serve))
}

#[test]
fn critical_failure_is_posted_to_the_chat() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \
            11\r\n\r\n{\"ok\":true}",
    ] {
        let (port, chat) = chat(answer);
        let mut user = denied_user();
        user.set(
            "ALERT_WEBHOOK_URL",
            &format!("http://127.0.0.1:{port}/services/hunter2"),
        );
        // Two failures of one kind are told once, and what Notion says of them is not repeated.
        let run = user.run(&["--dir", "a&<b>"], &sample(MESSAGE).repeat(2));
        assert_eq!((run.code, run.lines.len()), (69, 2));
        let request = chat.join().expect("a request");
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/services/hunter2")
        );
        assert!(!format!("{request:?}").contains("ntn_"), "{request:?}");
        let sent = request.json();
        let text = sent["text"].as_str().expect("a text");
        assert!(
            text.starts_with("Quotion needs you: unauthorized. What to do stands in /")
                && text.ends_with("/a&amp;&lt;b&gt;/sync_errors.log"),
            "{text}"
        );
        assert!(
            !run.stderr.contains("alert") && !run.stderr.contains("hunter2"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn chat_that_refuses_changes_nothing_and_its_address_stays_hidden() {
    let (port, chat) = chat("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let mut user = denied_user();
    user.set(
        "ALERT_WEBHOOK_URL",
        &format!("http://127.0.0.1:{port}/services/hunter2"),
    );
    let run = user.sync(MESSAGE);
    run.expect_error(69, "unauthorized");
    chat.join().expect("a request");
    assert!(
        run.stderr.contains("cannot send the alert"),
        "{}",
        run.stderr
    );
    for bad in [
        "http://chat.example.com/hunter2",
        "hunter2",
        "https://user:hunter2@chat.example.com/",
    ] {
        let run = user.set("ALERT_WEBHOOK_URL", bad).sync(MESSAGE);
        run.expect_error(78, "config");
        assert!(run.stderr.contains("ALERT_WEBHOOK_URL"), "{}", run.stderr);
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("hunter2"),
            "{}",
            run.stderr
        );
    }
    assert!(
        user.files()
            .iter()
            .all(|(_, bytes)| !holds(bytes, "hunter2"))
    );
}

/// The command with standard output going where nobody reads.
fn with_closed_output(user: &User, args: &[&str]) -> Command {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let mut command = user.command(args);
    command.stdout(writer);
    command
}

#[test]
fn closed_standard_output_ends_the_run_without_a_panic() {
    for args in [&[][..], &["--log-to", "stdout"], &["--dry-run"]] {
        let mut user = User::new();
        user.set("LOG_LEVEL", "info");
        let input = sample(MESSAGE).repeat(3);
        let output = feed(
            with_closed_output(&user, args).spawn().expect("it starts"),
            &input,
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?} {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn closed_standard_output_keeps_help_and_usage_errors_calm() {
    let user = User::new();
    for (args, code) in [(["--help"], 0), (["--version"], 0), (["--nope"], 64)] {
        let output = feed(
            with_closed_output(&user, &args).spawn().expect("it starts"),
            b"",
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), stderr.contains("panicked")),
            (Some(code), false),
            "{args:?} {stderr}"
        );
    }
}

#[test]
fn full_standard_output_is_a_store_error() {
    let user = User::new();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux");
    let mut command = user.command::<&str>(&[]);
    command.stdout(full);
    let output = feed(
        command.spawn().expect("it starts"),
        &sample("v2026-03-30.call.ringing"),
    );
    assert_eq!(
        output.status.code(),
        Some(74),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn closed_standard_error_disturbs_nothing() {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let mut user = User::new();
    user.set("LOG_LEVEL", "debug");
    let mut command = user.command::<&str>(&[]);
    command.stderr(writer);
    let run = Run::of(feed(command.spawn().expect("it starts"), b"oops"));
    run.expect_error(65, "payload");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec \"$0\" 2>&-", QUOTION])
        .current_dir(user.home.path())
        .env_clear();
    let run = Run::of(feed(
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts"),
        b"oops",
    ));
    run.expect_error(65, "payload");
}

#[test]
fn critical_lines_of_parallel_processes_do_not_mix() {
    const PROCESSES: usize = 8;
    const EVENTS: usize = 12;
    let user = denied_user();
    user.without_rate_limits();
    let event = |process: usize, number: usize| {
        let mut event = sample_json(MESSAGE);
        event["id"] = json!(format!("EV{process}x{number}"));
        event["data"]["object"]["id"] = json!(format!("AC{process}x{number}"));
        event.to_string()
    };
    let input = |process| {
        (0..EVENTS)
            .map(|number| event(process, number))
            .collect::<String>()
    };
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let (user, input) = (&user, input(process));
            scope.spawn(move || assert_eq!(user.run::<&str>(&[], input.as_bytes()).code, 69));
        }
    });
    for name in CRITICAL {
        let lines = critical(&user, name);
        let mut ids: Vec<&str> = lines
            .iter()
            .filter_map(|line| line["event_id"].as_str())
            .collect();
        ids.sort_unstable();
        let all = (0..PROCESSES)
            .flat_map(|process| (0..EVENTS).map(move |number| format!("EV{process}x{number}")));
        let mut want: Vec<String> = all.collect();
        want.sort_unstable();
        assert_eq!(ids, want, "{name}");
    }
}
