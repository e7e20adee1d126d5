//! The receiver recipes of `scripts/receivers`, each in the real program it is for: lighttpd and
//! Debian's `webhook`.

mod host;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use quotion::secret::Secret;
use quotion::signature::{sign_legacy, sign_standard};

use crate::harness::{QUOTION, User, feed, sample};
use crate::packages;
use crate::standin::{Act, Fault, QUO_WEBHOOK_SECRET, Vendor};

pub use host::write_settings;
use host::{Header, Kind, Receiver, SCRIPTS};

const SAMPLE: &str = "v2026-03-30.message.received";
const TEXT: &str = "Is my quote ready?";

#[derive(Debug, Clone, Copy)]
enum Scheme {
    Legacy,
    Standard,
}

fn user() -> User {
    let user = User::new();
    user.vendors.set_rate_limits(false);
    user
}

/// The secret of another subscription.
const OTHER: &str = "YW5vdGhlciBzdWJzY3JpcHRpb24gb2YgdGhlIHdvcmxk";

/// What a sender with that secret signs at that time.
fn signed_by(secret: &str, at: Timestamp, (scheme, body): (Scheme, &[u8])) -> Vec<Header> {
    let secret = Secret::new(secret);
    match scheme {
        Scheme::Legacy => {
            let value = sign_legacy(body, &secret, at).expect("a usable secret");
            vec![("openphone-signature", value.into_bytes())]
        }
        Scheme::Standard => {
            let headers = sign_standard(body, "msg_1", &secret, at).expect("a usable secret");
            let (id, timestamp) = (headers.id.expect("id"), headers.timestamp.expect("time"));
            let all = [
                ("webhook-id", id),
                ("Webhook-Timestamp", timestamp),
                ("WEBHOOK-SIGNATURE", headers.signature),
            ];
            all.into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect()
        }
    }
}

fn signed(scheme: Scheme, body: &[u8]) -> Vec<Header> {
    signed_by(QUO_WEBHOOK_SECRET, Timestamp::now(), (scheme, body))
}

/// A delivery of its own: the `n`-th event about the `n`-th message, which says `text` (as written
/// in JSON).
fn delivery(n: usize, text: &str) -> String {
    let body = String::from_utf8(sample(SAMPLE)).expect("UTF-8");
    assert!(body.contains(TEXT), "{body}");
    let body = body.replace("EV00000000000000000000000000000080", &format!("EV{n:032}"));
    body.replace("AC00000000000000000000000000000180", &format!("AC{n:032}"))
        .replace(TEXT, text)
}

/// The same document in every layout that may come over a wire, each with a message of its own.
fn layouts() -> Vec<(&'static str, Vec<u8>)> {
    let compact = |n, text| {
        let json: serde_json::Value = serde_json::from_str(&delivery(n, text)).expect("JSON");
        json.to_string()
    };
    let odd = compact(2, "odd spacing")
        .replace("\":", "\"  \t: ")
        .replace(",\"", "\n ,   \"")
        + "  \n\n \t";
    vec![
        ("compact", compact(1, "compact").into_bytes()),
        ("odd spacing", odd.into_bytes()),
        (
            "CRLF",
            (delivery(3, "CRLF").replace('\n', "\r\n") + "\r\n").into_bytes(),
        ),
        (
            "😀 Größe 日本 “%s” $HOME `id` 👩‍👧",
            delivery(4, r"😀 Größe \u65e5本 “%s” $HOME `id` \ud83d\udc69‍👧").into_bytes(),
        ),
        ("pretty", delivery(5, "pretty").into_bytes()),
        (
            "last byte is a bracket",
            delivery(6, "last byte is a bracket").trim_end().into(),
        ),
    ]
}

fn every_layout_arrives_byte_for_byte(kind: Kind) {
    for scheme in [Scheme::Legacy, Scheme::Standard] {
        let user = user();
        let receiver = Receiver::start(kind, &user, "sync");
        for (index, (text, body)) in layouts().iter().enumerate() {
            let answer = receiver.post(&signed(scheme, body), body);
            answer.expect(if index == 0 {
                "200 success created"
            } else {
                "200 success updated"
            });
            assert_eq!(
                user.times_in_notion(text),
                1,
                "{text} by {scheme:?}:\n{}",
                user.notion()
            );
            receiver
                .post(&signed(scheme, body), body)
                .expect("200 success skipped duplicate");
            assert_eq!(
                user.times_in_notion(text),
                1,
                "{text} by {scheme:?}, again:\n{}",
                user.notion()
            );
        }
        assert_eq!(user.client_pages(), 1);
        assert_private(&user);
    }
}

/// Nothing is left behind but what belongs there, and the receiver's log tells no secret.
fn assert_private(user: &User) {
    let names = fs::read_dir(user.home.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    let names: BTreeSet<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let belong = [
        ".env",
        ".tmp",
        "lighttpd.log",
        "quotion.toml",
        "receiver.log",
    ];
    assert!(
        names.iter().all(|name| belong.contains(&name.as_str())),
        "{names:?}"
    );
    let log = fs::read_to_string(user.path("receiver.log")).unwrap_or_default();
    assert!(
        !log.contains(QUO_WEBHOOK_SECRET) && !log.contains(TEXT),
        "{log}"
    );
}

#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn refused_payload_is_told_why_and_nothing_is_done(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    // One program has statuses, the other only its verdict, so that the sender does not repeat what
    // is refused.
    let verdict = |status: u16, kind_of_error: &str| {
        format!(
            "{} error {kind_of_error}",
            if kind == Kind::Webhook { 200 } else { status }
        )
    };
    let body = sample(SAMPLE);
    let altered = String::from_utf8(body.clone())
        .expect("UTF-8")
        .replace("ready", "Ready")
        .into_bytes();
    let old = Timestamp::now() - SignedDuration::from_mins(6);
    let refused = [
        (
            "by another secret",
            signed_by(OTHER, Timestamp::now(), (Scheme::Legacy, &body)),
        ),
        (
            "by another secret, too",
            signed_by(OTHER, Timestamp::now(), (Scheme::Standard, &body)),
        ),
        ("of another body", signed(Scheme::Legacy, &altered)),
        ("of another body, too", signed(Scheme::Standard, &altered)),
        (
            "too old",
            signed_by(QUO_WEBHOOK_SECRET, old, (Scheme::Standard, &body)),
        ),
        ("no header", vec![]),
        (
            "empty header",
            vec![
                ("openphone-signature", vec![]),
                ("webhook-signature", vec![]),
            ],
        ),
        (
            "no id and time",
            signed(Scheme::Standard, &body).split_off(2),
        ),
        (
            "looks like an option",
            vec![("openphone-signature", b"--dry-run".to_vec())],
        ),
        (
            "looks like a command",
            vec![(
                "openphone-signature",
                b"$(touch x)`touch x`; touch x".to_vec(),
            )],
        ),
    ];
    for (what, headers) in refused {
        let json = receiver
            .post(&headers, &body)
            .expect(&verdict(401, "signature"));
        assert_eq!(json["error"]["retryable"], false, "{what}");
    }
    for garbage in [
        &b"not json"[..],
        b"{\"id\": \"EV1\", \"type\"",
        b"[]",
        b"",
        b"\xff\xfe{}",
        b"\0\0",
    ] {
        receiver
            .post(&signed(Scheme::Standard, garbage), garbage)
            .expect(&verdict(400, "payload"));
    }
    assert_eq!(user.vendors.requests().len(), 0);
    assert!(!user.path(".tmp/quotion.db").exists());
    let log = fs::read_to_string(user.path("receiver.log")).expect("a log");
    assert!(
        log.contains("the signature is too old") && log.contains("not a JSON document"),
        "{log}"
    );
    assert_private(&user);
}

/// A header that is no UTF-8 is the sender's fault, as is a method that is not POST.
fn other_requests_are_turned_away(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    let body = sample(SAMPLE);
    let answer = receiver.post(&[("openphone-signature", b"hmac;1;\xff".to_vec())], &body);
    assert!(
        answer.status == 400 || (kind == Kind::Webhook && answer.status == 200),
        "{answer:?}"
    );
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let answer = receiver.request(method, receiver.path(), &(signed(Scheme::Legacy, b""), b""));
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
    }
    for path in [
        "/",
        "/.env",
        "/hooks.json",
        "/lighttpd.conf",
        "/quotion-hook.sh",
        "/../.env",
        "/receiver.log",
    ] {
        let answer = receiver.request("GET", path, &(vec![], b""));
        let told = (200..300).contains(&answer.status) && answer.body.trim() != "OK";
        assert!(
            !told && !answer.body.contains("quotion"),
            "{path}: {answer:?}"
        );
    }
    assert!(
        TcpStream::connect(("127.0.0.2", receiver.port)).is_err(),
        "it listens on other addresses"
    );
    assert_eq!(user.vendors.requests().len(), 0);
}

fn delivery_is_kept_while_notion_is_down_and_the_sender_told_to_repeat_it(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    let body = sample(SAMPLE);
    user.vendors
        .add_fault(Fault::new(Vendor::Notion, Act::DropConnection));
    let down = if kind == Kind::Webhook {
        "500 error unavailable"
    } else {
        "503 error unavailable"
    };
    let json = receiver
        .post(&signed(Scheme::Standard, &body), &body)
        .expect(down);
    assert_eq!(json["error"]["retryable"], true);
    assert_eq!(user.client_pages(), 0);
    user.vendors.clear_faults();
    receiver
        .post(&signed(Scheme::Standard, &body), &body)
        .expect("200 success created");
    let again = user.run(&["replay", "--now"], b"");
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, ""),
        "{}",
        again.stderr
    );
    assert_eq!(
        (user.client_pages(), user.times_in_notion(TEXT)),
        (1, 1),
        "{}",
        user.notion()
    );
}

/// What the operator must see to makes the sender repeat: it may be mended by then.
fn trouble_of_our_own_is_500(kind: Kind) {
    let body = sample(SAMPLE);
    let post = |user: &User, want: &str| {
        let receiver = Receiver::start(kind, user, "sync");
        receiver
            .post(&signed(Scheme::Legacy, &body), &body)
            .expect(want);
    };
    let mut user = user();
    post(
        user.set("QUOTION_STATE", "/dev/null/quotion.db"),
        "500 error store",
    );
    post(
        user.set("QUOTION_STATE", "").set("NOTION_API_KEY", ""),
        "500 error config",
    );
    post(user.set("OPENPHONE_WEBHOOK_SECRET", ""), "500 error config");
    user.set("OPENPHONE_WEBHOOK_SECRET", QUO_WEBHOOK_SECRET)
        .set("NOTION_API_KEY", crate::standin::NOTION_KEY);
    post(
        user.set("NOTION_API_KEY", "ntn_revoked"),
        "500 error unauthorized",
    );
    post(
        user.set("NOTION_API_KEY", crate::standin::NOTION_KEY),
        "200 success created",
    );
    assert_eq!(
        (user.client_pages(), user.times_in_notion(TEXT)),
        (1, 1),
        "{}",
        user.notion()
    );
}

fn queued_delivery_is_finished_by_replay(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "enqueue");
    for (_, body) in layouts() {
        receiver
            .post(&signed(Scheme::Standard, &body), &body)
            .expect("200 queued");
        receiver
            .post(&signed(Scheme::Legacy, &body), &body)
            .expect("200 queued");
    }
    let wrong = receiver.post(&[], &layouts()[0].1);
    wrong.expect(if kind == Kind::Webhook {
        "200 error signature"
    } else {
        "401 error signature"
    });
    assert_eq!(user.vendors.requests().len(), 0);
    let run = user.run(&["replay"], b"");
    assert_eq!(
        (run.code, run.lines.len()),
        (0, layouts().len()),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    for (text, body) in layouts() {
        assert_eq!(user.times_in_notion(text), 1, "{}", user.notion());
        receiver
            .post(&signed(Scheme::Standard, &body), &body)
            .expect("200 success skipped duplicate");
    }
    assert_eq!(user.client_pages(), 1);
    assert_private(&user);
}

fn large_body_passes_whole_and_a_larger_one_not_at_all(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    let of_size = |size: usize| {
        let body = delivery(1, TEXT);
        let filler = "x".repeat(size - body.len() - r#""filler":"","#.len());
        body.replacen('{', &format!(r#"{{"filler":"{filler}","#), 1)
            .into_bytes()
    };
    let (large, too_large) = (of_size(1 << 20), of_size((16 << 20) + 1));
    receiver
        .post(&signed(Scheme::Standard, &large), &large)
        .expect("200 success created");
    let chunked = receiver.post_chunked(&signed(Scheme::Standard, &large), &large);
    chunked.expect("200 success skipped duplicate");
    let headers = signed(Scheme::Standard, &large);
    for answer in [
        receiver.post(&headers, &too_large),
        receiver.post_chunked(&headers, &too_large),
    ] {
        match kind {
            Kind::Lighttpd => assert_eq!(answer.status, 413, "{answer:?}"),
            Kind::Webhook => drop(answer.expect("200 error payload")),
        }
    }
    assert_eq!(user.client_pages(), 1);
    assert_private(&user);
}

fn eight_deliveries_at_once(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    let post =
        |body: &str| receiver.post(&signed(Scheme::Standard, body.as_bytes()), body.as_bytes());
    let bodies: Vec<String> = (1..=8)
        .map(|n| delivery(n, &format!("message {n} of eight")))
        .collect();
    std::thread::scope(|scope| {
        let posts: Vec<_> = bodies
            .iter()
            .map(|body| scope.spawn(|| post(body)))
            .collect();
        for answer in posts
            .into_iter()
            .map(|post| post.join().expect("an answer"))
        {
            answer.expect_success();
        }
    });
    let same = delivery(9, "the same eight times");
    std::thread::scope(|scope| {
        let posts: Vec<_> = (0..8).map(|_| scope.spawn(|| post(&same))).collect();
        let answers = posts
            .into_iter()
            .map(|post| post.join().expect("an answer"));
        let acted = answers
            .filter(|answer| answer.expect_success() == "updated")
            .count();
        assert_eq!(acted, 1);
    });
    for n in 1..=8 {
        assert_eq!(
            user.times_in_notion(&format!("message {n} of eight")),
            1,
            "{}",
            user.notion()
        );
    }
    assert_eq!(
        (
            user.client_pages(),
            user.times_in_notion("the same eight times")
        ),
        (1, 1),
        "{}",
        user.notion()
    );
}

fn header_does_not_set_a_proxy(kind: Kind) {
    let user = user();
    let receiver = Receiver::start(kind, &user, "sync");
    let body = sample(SAMPLE);
    let mut headers = signed(Scheme::Legacy, &body);
    headers.push(("Proxy", b"http://127.0.0.1:1".to_vec()));
    receiver.post(&headers, &body).expect("200 success created");
}

/// Runs the CGI script without a server, as one that hands over that environment.
fn by_hand(user: &User, environment: &[(&str, &str)]) -> String {
    let body = sample(SAMPLE);
    let signature = signed(Scheme::Legacy, &body).remove(0).1;
    let programs = Path::new(QUOTION).parent().expect("a folder").display();
    let mut command = Command::new(Path::new(SCRIPTS).join("quotion.cgi"));
    command
        .env_clear()
        .env("PATH", format!("{programs}:/usr/bin:/bin"))
        .env("QUOTION_HOME", user.home.path());
    command.env("REQUEST_METHOD", "POST").env(
        "HTTP_OPENPHONE_SIGNATURE",
        String::from_utf8(signature).expect("text"),
    );
    command
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = feed(command.spawn().expect("it starts"), &body);
    assert!(output.status.success());
    let answer = String::from_utf8(output.stdout).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let json: serde_json::Value = serde_json::from_str(body).expect("a result line");
    let head = head
        .strip_suffix("\r\nContent-Type: application/json")
        .expect("a type");
    format!(
        "{head} {}",
        json["action"]
            .as_str()
            .or(json["error"]["kind"].as_str())
            .expect("a result")
    )
}

#[test]
fn cgi_script_answers_in_json_whatever_the_server_hands_over() {
    let user = user();
    write_settings(&user);
    let check =
        |environment: &[(&str, &str)], want: &str| assert_eq!(by_hand(&user, environment), want);
    check(
        &[("REQUEST_METHOD", "GET")],
        "Status: 405 Method Not Allowed usage",
    );
    check(
        &[("QUOTION_MODE", "later")],
        "Status: 500 Internal Server Error config",
    );
    check(
        &[("QUOTION_HOME", "/nowhere")],
        "Status: 500 Internal Server Error config",
    );
    check(
        &[("PATH", "/usr/bin:/bin")],
        "Status: 500 Internal Server Error config",
    );
    check(
        &[("HTTP_OPENPHONE_SIGNATURE", "")],
        "Status: 401 Unauthorized signature",
    );
    assert_eq!(user.vendors.requests().len(), 0);
    // On servers that do not drop it, a header `Proxy:` becomes this.
    check(
        &[("HTTP_PROXY", "http://127.0.0.1:1")],
        "Status: 200 OK created",
    );
}

macro_rules! of_both_receivers {
    ($($test:ident)*) => {
        mod lighttpd {
            $(#[test] fn $test() {
                if super::packages::present(&["lighttpd"]) { super::$test(super::Kind::Lighttpd); }
            })*
        }
        mod webhook {
            $(#[test] fn $test() {
                if super::packages::present(&["webhook"]) { super::$test(super::Kind::Webhook); }
            })*
        }
    };
}

of_both_receivers! {
    every_layout_arrives_byte_for_byte
    refused_payload_is_told_why_and_nothing_is_done
    other_requests_are_turned_away
    delivery_is_kept_while_notion_is_down_and_the_sender_told_to_repeat_it
    trouble_of_our_own_is_500
    queued_delivery_is_finished_by_replay
    large_body_passes_whole_and_a_larger_one_not_at_all
    eight_deliveries_at_once
    header_does_not_set_a_proxy
}
