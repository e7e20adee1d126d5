//! The rules of a call, against a scripted server on a real socket.

#![allow(
    clippy::disallowed_methods,
    reason = "the scripted server must be slow"
)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::json;

use super::wire::{Proxies, agent};
use super::*;

const KEY: &str = "ntn_very_secret_key_0123456789";
const MS: Duration = Duration::from_millis(1);
/// The vendor's own words for "slower".
const SLOWER: &str = r#"{"object":"error","code":"rate_limited"}"#;

/// What the server does with one request.
enum Act {
    Say(String),
    /// Looks like keep-alive, but the connection ends after the answer, or in the middle of it.
    SayAndClose(String),
    Drop,
    Hang(Duration),
    /// Sends the text, then one blank after each pause, for ever.
    Drip(String, Duration),
}

struct Seen {
    text: String,
    at: Instant,
}

struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicU64>,
    closed: Receiver<()>,
}

impl Server {
    fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, connections) = (Arc::default(), Arc::new(AtomicU64::new(0)));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let (sender, closed) = channel();
        let server = Self {
            port,
            seen: Arc::clone(&seen),
            connections: Arc::clone(&connections),
            closed,
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (script, seen, sender) =
                    (Arc::clone(&script), Arc::clone(&seen), sender.clone());
                thread::spawn(move || serve(stream.unwrap(), &script, &seen, &sender));
            }
        });
        server
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    fn vendor(&self) -> Vendor {
        vendor(&self.base())
    }

    fn seen(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.text.clone())
            .collect()
    }

    fn times(&self) -> Vec<Instant> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.at)
            .collect()
    }
}

fn serve(
    stream: TcpStream,
    script: &Mutex<VecDeque<Act>>,
    seen: &Mutex<Vec<Seen>>,
    closed: &Sender<()>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(text) = read_request(&mut reader) {
        seen.lock().unwrap().push(Seen {
            text,
            at: Instant::now(),
        });
        let act = script.lock().unwrap().pop_front();
        let goes_on = match act.unwrap_or_else(|| Act::Say(answer(418, "", "the script is over"))) {
            Act::Say(text) => stream.write_all(text.as_bytes()).is_ok(),
            Act::SayAndClose(text) => {
                let _ = stream.write_all(text.as_bytes());
                false
            }
            Act::Drop => false,
            Act::Hang(duration) => {
                thread::sleep(duration);
                false
            }
            Act::Drip(text, pause) => {
                let _ = stream.write_all(text.as_bytes());
                while stream.write_all(b" ").is_ok() {
                    thread::sleep(pause);
                }
                false
            }
        };
        if !goes_on {
            break;
        }
    }
    drop((stream, reader));
    let _ = closed.send(());
}

fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).unwrap())
}

/// An answer with its length; `headers` are whole lines with `\r\n`.
fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\nx-request-id: r-{status}\r\n{headers}content-length: \
            {}\r\n\r\n{body}",
        body.len()
    )
}

fn say(status: u16, body: &str) -> Act {
    Act::Say(answer(status, "", body))
}

fn truncated() -> Act {
    Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"half\":".to_owned())
}

fn vendor(base: &str) -> Vendor {
    let spec = VendorSpec {
        api: Api {
            name: "notion",
            request_id_header: "x-request-id",
            body_bytes: 64 * 1024,
            is_refusal: |_, body| body["code"].is_string() || body["error"].is_object(),
        },
        base: BaseUrl::parse(base).unwrap(),
        headers: vec![
            ("Authorization", Secret::new(&format!("Bearer {KEY}"))),
            ("Notion-Version", Secret::new("2022-06-28")),
        ],
        window: Window {
            requests: 1000,
            period: Duration::from_secs(1),
        },
        shared: None,
    };
    let mut vendor = Vendor::new(&agent(Proxies::default()), spec);
    vendor.tuning = Tuning {
        backoff: 4 * MS,
        busy: 20 * MS,
        ..TUNING
    };
    vendor
}

fn read() -> Request {
    Request::get("/users")
}

fn write() -> Request {
    Request::patch("/pages/p1", json!({"a": "b"}))
}

fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

fn call(vendor: &Vendor, request: &Request) -> Value {
    vendor.call(request, soon()).unwrap().json().unwrap()
}

/// The error of a call, after making sure that it tells no secret and stays on one line.
fn failure(vendor: &Vendor, request: &Request, deadline: Deadline) -> Error {
    let err = vendor
        .call(request, deadline)
        .expect_err("the call must fail");
    let shown = format!("{err}\n{err:?}\n{err:#?}");
    assert!(!shown.contains("very_secret"), "{shown}");
    assert_eq!(err.to_string().lines().count(), 1, "{err}");
    err
}

fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

// What is sent

#[test]
fn request_arrives_whole() {
    let server = Server::start(vec![say(200, r#"{"ok":1}"#)]);
    let request = Request::patch("/pages/p1", json!({"a": "é"}))
        .with_query("participants", "+14155550100")
        .with_query("participants", "a b")
        .with_header("notion-version", "2025-09-03");
    assert_eq!(call(&server.vendor(), &request), json!({"ok": 1}));
    let text = server.seen().remove(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(
        lines.remove(0),
        "PATCH /v1/pages/p1?participants=%2B14155550100&participants=a%20b HTTP/1.1"
    );
    lines.sort_unstable();
    let authorization = format!("authorization: Bearer {KEY}");
    let host = format!("host: 127.0.0.1:{}", server.port);
    let agent = format!("user-agent: quotion/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept-encoding: identity",
        "accept: application/json",
        &authorization,
        "content-length: 10",
        "content-type: application/json",
        &host,
        "notion-version: 2025-09-03",
        &agent,
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, r#"{"a":"é"}"#);
}

#[test]
fn every_method_goes_out_under_its_base() {
    let server = Server::start((0..4).map(|_| say(200, "{}")).collect());
    let vendor = server.vendor();
    let dated = vendor.spec.base.without_version();
    let mut bare_post = Request::post("/d", json!(null)).at(dated.clone());
    bare_post.body = None;
    for request in [
        Request::get("/a").at(dated),
        Request::delete("/b"),
        Request::post("/c", json!({})),
        bare_post,
    ] {
        assert_eq!(vendor.call(&request, soon()).unwrap().body, b"{}");
    }
    let lines: Vec<_> = server
        .seen()
        .iter()
        .map(|text| text.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "GET /a HTTP/1.1",
            "DELETE /v1/b HTTP/1.1",
            "POST /v1/c HTTP/1.1",
            "POST /d HTTP/1.1"
        ]
    );
    assert_eq!(vendor.calls(), 4);
}

#[test]
fn request_that_cannot_be_sent_is_invalid() {
    let server = Server::start(vec![]);
    let vendor = server.vendor();
    let with_break = read().with_header("x-a", "very_secret\r\nx-b: 1");
    for request in [
        with_break,
        Request::get("/pages/../users"),
        Request::get("/a?b=very_secret"),
    ] {
        assert!(matches!(
            vendor.call(&request, soon()),
            Err(Error::Invalid { .. })
        ));
    }
    let err = failure(&vendor, &read().with_header("x-a", "very_secret\n"), soon());
    assert_eq!(
        err.to_string(),
        "notion: GET /users: the value for header x-a has characters that cannot be sent"
    );
    assert_eq!((vendor.calls(), server.seen().len()), (0, 0));
}

#[test]
fn debug_of_a_request_shows_no_data() {
    let request = Request::post("/a", json!({"phone": "+1"}))
        .with_query("participants", "+2")
        .with_header("h", "v");
    assert_eq!(format!("{request:?}"), "Request(POST /a)");
}

// Connections

#[test]
fn connection_is_reused_after_answers_and_errors() {
    let page = format!("<html>{}", "x".repeat(20_000));
    let script = vec![
        say(200, "{}"),
        say(404, "{}"),
        say(400, "not json"),
        say(403, &page),
        say(302, ""),
        say(200, "[]"),
    ];
    let server = Server::start(script);
    let vendor = server.vendor();
    for _ in 0..6 {
        let _ = vendor.call(&write(), soon());
    }
    assert_eq!(
        (
            server.seen().len(),
            server.connections.load(Ordering::Relaxed)
        ),
        (6, 1)
    );
}

#[test]
fn connection_that_died_in_the_pool_is_replaced() {
    let server = Server::start(vec![
        Act::SayAndClose(answer(200, "", "{}")),
        say(200, "{}"),
    ]);
    let vendor = server.vendor();
    call(&vendor, &write());
    server.closed.recv().unwrap();
    call(&vendor, &write());
    assert_eq!((server.seen().len(), vendor.calls()), (2, 2));
}

#[test]
fn redirect_is_not_followed_and_the_key_goes_nowhere() {
    let other = Server::start(vec![say(200, "{}")]);
    for status in [301, 302, 303, 307, 308] {
        let to = format!("location: {}/users\r\n", other.base());
        let server = Server::start(vec![Act::Say(answer(status, &to, ""))]);
        let err = failure(&server.vendor(), &read(), soon());
        assert!(
            matches!(err, Error::NotNow { status: got, .. } if got == Some(status)),
            "{err:?}"
        );
    }
    assert_eq!(other.connections.load(Ordering::Relaxed), 0);
}

// A definite no

#[test]
fn refusal_keeps_status_body_text_and_id() {
    let body = json!({"object": "error", "code": "validation_error", "message": "bad\nvalue",
        "request_id": "in-body"});
    let server = Server::start(vec![say(400, &body.to_string())]);
    let err = failure(&server.vendor(), &write().with_query("q", "hidden"), soon());
    let what = "notion: PATCH /pages/p1: 400 validation_error: bad\\nvalue";
    assert_eq!(err.to_string(), format!("{what} (request r-400)"));
    let expected = Error::Refused {
        what: what.to_owned(),
        status: 400,
        text: body.to_string(),
        body,
        request_id: Some("r-400".to_owned()),
    };
    assert_eq!(err, expected);
}

#[test]
fn refusal_of_the_gateway_is_read_too() {
    let said = json!({"message": "Missing authorization header", "key": "Unauthorized",
        "trace": "t-1"});
    let body = &json!({ "error": said }).to_string();
    let head = format!(
        "HTTP/1.1 401 x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = Server::start(vec![Act::Say(head)]);
    let err = failure(&server.vendor(), &read(), soon());
    assert_eq!(
        err.to_string(),
        "notion: GET /users: 401 Unauthorized: Missing authorization header (request t-1)"
    );
}

#[test]
fn refusal_text_is_cut() {
    let long = json!({"code": "x", "message": "é".repeat(5000)}).to_string();
    let server = Server::start(vec![say(400, &long)]);
    let Error::Refused { text, .. } = failure(&server.vendor(), &write(), soon()) else {
        panic!("refused")
    };
    assert_eq!(text.len(), 2047);
}

#[test]
fn refusal_counts_at_whatever_status_it_comes() {
    let own = r#"{"object":"error","status":404,"code":"object_not_found","message":"m"}"#;
    for status in [200, 202, 302, 404] {
        let server = Server::start(vec![say(status, own)]);
        let err = failure(&server.vendor(), &write(), soon());
        assert!(
            matches!(err, Error::Refused { status: 404, .. }),
            "{status}: {err:?}"
        );
    }
}

#[test]
fn success_is_a_200_with_json_and_nothing_else() {
    for (status, body) in [
        (201, "{}"),
        (202, "{}"),
        (203, "{}"),
        (204, ""),
        (206, "{}"),
        (200, ""),
        (200, "OK"),
    ] {
        let server = Server::start(vec![say(status, body)]);
        let err = failure(&server.vendor(), &write(), soon());
        assert!(matches!(err, Error::Unknown { .. }), "{status}: {err:?}");
        let server = Server::start((0..4).map(|_| say(status, body)).collect());
        let err = failure(&server.vendor(), &read(), soon());
        assert!(matches!(err, Error::NotNow { .. }), "{status}: {err:?}");
        assert_eq!(server.seen().len(), 4, "{status}");
    }
}

#[test]
fn strangers_word_is_no_verdict() {
    for body in [
        "<html>edge</html>",
        r#"{"message":"Forbidden"}"#,
        r#"{"code":403}"#,
        "",
    ] {
        for status in [
            301, 302, 307, 400, 401, 403, 404, 407, 409, 410, 413, 422, 451,
        ] {
            let server = Server::start(vec![say(status, body)]);
            let err = failure(&server.vendor(), &read(), soon());
            assert!(matches!(err, Error::NotNow { .. }), "{status}: {err:?}");
            assert_eq!(server.seen().len(), 1, "{status}");
            let server = Server::start(vec![say(status, body)]);
            let err = failure(&server.vendor(), &write(), soon());
            assert!(matches!(err, Error::Unknown { .. }), "{status}: {err:?}");
            assert_eq!(server.seen().len(), 1, "{status}");
        }
    }
}

#[test]
fn strangers_word_holds_up_nobody_else() {
    for status in [429, 503, 529] {
        let html = "<html>the edge is busy</html>";
        let busy = answer(status, "retry-after: 86400\r\n", html);
        let server = Server::start(vec![Act::Say(busy), say(200, "{}")]);
        let vendor = server.vendor();
        let Error::NotNow { retry_after, .. } = failure(&vendor, &read(), soon()) else {
            panic!("not now")
        };
        assert_eq!(retry_after, Some(Duration::from_mins(5)), "{status}");
        call(&vendor, &read());
    }
}

#[test]
fn echoed_key_is_taken_out() {
    let echo =
        format!(r#"{{"message":"header was Bearer {KEY}","code":"{KEY}","request_id":"{KEY}"}}"#);
    for status in [200, 400, 429, 500, 503] {
        let (text, header) = (
            echo.replace("request_id", "id"),
            format!("x-request-id: {KEY}\r\n"),
        );
        let script = (0..4).map(|_| {
            Act::Say(answer(status, &header, &text).replacen("x-request-id: r", "x-r: r", 1))
        });
        let vendor_of = |server: &Server| server.vendor();
        let server = Server::start(script.collect());
        if status == 200 {
            let answer = vendor_of(&server).call(&read(), soon()).unwrap();
            let err = answer.unexpected("no list");
            assert!(!format!("{err:?} {:?}", answer.request_id).contains("very_secret"));
        } else {
            failure(&vendor_of(&server), &write(), soon());
        }
    }
}

// Too many requests

#[test]
fn busy_is_retried_for_reads_and_writes() {
    for status in [429, 529] {
        for request in [read(), write()] {
            let server = Server::start(vec![
                say(status, SLOWER),
                say(status, SLOWER),
                say(200, "{}"),
            ]);
            let vendor = server.vendor();
            call(&vendor, &request);
            let at = server.times();
            assert!(
                at[1] - at[0] >= 20 * MS && at[2] - at[1] >= 40 * MS,
                "waits double"
            );
            assert_eq!(vendor.calls(), 3);
        }
    }
}

#[test]
fn busy_gives_up_after_three_retries() {
    let server = Server::start((0..9).map(|_| say(429, SLOWER)).collect());
    let vendor = server.vendor();
    let err = failure(&vendor, &write(), soon());
    assert!(
        matches!(
            err,
            Error::NotNow {
                status: Some(429),
                retry_after: None,
                ..
            }
        ),
        "{err:?}"
    );
    assert_eq!((server.seen().len(), vendor.calls()), (4, 4));
}

#[test]
fn retry_after_is_obeyed() {
    let more = json!({"rate_limit_reason": "public_api_request_rate_limit", "retry_after": "0.15"});
    let body = &json!({"code": "x", "additional_data": more}).to_string();
    let date =
        "date: Fri, 20 Nov 2026 23:59:59 GMT\r\nretry-after: Sat, 21 Nov 2026 00:00:00 GMT\r\n";
    for (headers, body, least) in [
        ("retry-after: 1\r\n", SLOWER, 1000),
        ("", body, 150),
        (date, SLOWER, 1000),
    ] {
        let server = Server::start(vec![Act::Say(answer(429, headers, body)), say(200, "{}")]);
        call(&server.vendor(), &write());
        let at = server.times();
        let waited = at[1] - at[0];
        assert!(
            waited >= least * MS && waited < (least + 500) * MS,
            "{headers:?} {waited:?}"
        );
    }
}

#[test]
fn strange_retry_after_falls_back() {
    for value in [
        "-1",
        "soon",
        "NaN",
        "1e999",
        "Sat, 21 Nov 2026 00:00:00 GMT",
        "",
    ] {
        let headers = format!("retry-after: {value}\r\n");
        let server = Server::start(vec![
            Act::Say(answer(429, &headers, SLOWER)),
            say(200, "{}"),
        ]);
        call(&server.vendor(), &write());
        assert_eq!(server.seen().len(), 2, "{value}");
    }
}

#[test]
fn retry_after_beyond_the_deadline_ends_at_once() {
    let server = Server::start(vec![Act::Say(answer(429, "retry-after: 30\r\n", SLOWER))]);
    let vendor = server.vendor();
    let started = Instant::now();
    let Error::NotNow {
        retry_after,
        status,
        ..
    } = failure(&vendor, &write(), soon())
    else {
        panic!("not now")
    };
    assert_eq!(
        (retry_after, status),
        (Some(Duration::from_secs(30)), Some(429))
    );
    let Error::NotNow {
        retry_after,
        status,
        ..
    } = failure(&vendor, &read(), soon())
    else {
        panic!("gate shut")
    };
    assert!(
        retry_after.unwrap() > Duration::from_secs(29),
        "{retry_after:?}"
    );
    assert_eq!((status, vendor.calls()), (None, 1));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn endless_retry_after_is_not_slept_through() {
    for asked in ["121", "99999999999999999"] {
        let server = Server::start(vec![Act::Say(answer(
            429,
            &format!("retry-after: {asked}\r\n"),
            SLOWER,
        ))]);
        let vendor = server.vendor();
        let err = failure(&vendor, &write(), Deadline::none());
        assert!(
            matches!(
                err,
                Error::NotNow {
                    retry_after: Some(_),
                    status: Some(429),
                    ..
                }
            ),
            "{err:?}"
        );
        let err = failure(&vendor, &write(), Deadline::none());
        assert!(matches!(err, Error::NotNow { status: None, .. }), "{err:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn busy_vendor_holds_every_thread() {
    let server = Server::start(vec![
        Act::Say(answer(429, "retry-after: 0.3\r\n", SLOWER)),
        say(200, "{}"),
        say(200, "{}"),
    ]);
    let vendor = server.vendor();
    failure(&vendor, &write(), Deadline::within(200 * MS));
    thread::scope(|scope| {
        scope.spawn(|| call(&vendor, &write()));
        scope.spawn(|| call(&vendor, &read()));
    });
    let at = server.times();
    assert_eq!(at.len(), 3);
    assert!(at[1] - at[0] >= 295 * MS, "{:?}", at[1] - at[0]);
}

#[test]
fn blocked_connection_is_not_retried() {
    let more = json!({"rate_limit_reason": "public_api_request_blocked"});
    let body = &json!({"code": "rate_limited", "additional_data": more}).to_string();
    let server = Server::start(vec![Act::Say(answer(429, "retry-after: 1\r\n", body))]);
    let err = failure(&server.vendor(), &read(), soon());
    assert!(matches!(err, Error::Blocked { .. }), "{err:?}");
    assert_eq!(
        (err.status(), err.request_id(), server.seen().len()),
        (Some(429), Some("r-429"), 1)
    );
}

#[test]
fn window_spreads_the_calls_of_all_threads() {
    let server = Server::start((0..7).map(|_| say(200, "{}")).collect());
    let mut vendor = server.vendor();
    vendor.gate = Gate::new(
        "test",
        Window {
            requests: 3,
            period: 200 * MS,
        },
        None,
    );
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| call(&vendor, &read()));
        }
    });
    let sent: Vec<_> = server
        .times()
        .iter()
        .map(|at| (*at - started).as_millis())
        .collect();
    assert!(sent[3] >= 200 && sent[6] >= 400, "{sent:?}");
}

#[test]
fn window_does_not_outlast_the_deadline() {
    let server = Server::start(vec![say(200, "{}")]);
    let mut vendor = server.vendor();
    vendor.gate = Gate::new(
        "test",
        Window {
            requests: 1,
            period: Duration::from_secs(30),
        },
        None,
    );
    call(&vendor, &read());
    let started = Instant::now();
    let err = failure(&vendor, &write(), soon());
    assert!(
        matches!(
            err,
            Error::NotNow {
                retry_after: Some(_),
                status: None,
                ..
            }
        ),
        "{err:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(server.seen().len(), 1);
}

// Server errors

#[test]
fn read_is_retried_on_server_errors() {
    for status in [408, 500, 502, 503, 504, 520] {
        let server = Server::start(vec![
            say(status, "<html>"),
            say(status, "{}"),
            say(status, ""),
            say(200, "{}"),
        ]);
        call(
            &server.vendor(),
            &Request::post("/databases/d/query", json!({})).reading(),
        );
        assert_eq!(server.seen().len(), 4, "{status}");
    }
}

#[test]
fn read_gives_up_after_three_retries() {
    let server = Server::start((0..9).map(|_| say(502, "{}")).collect());
    let err = failure(&server.vendor(), &read(), soon());
    assert!(
        matches!(
            err,
            Error::NotNow {
                status: Some(502),
                ..
            }
        ),
        "{err:?}"
    );
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn write_is_unknown_after_a_server_error() {
    for status in [408, 409, 500, 502, 503, 504, 520] {
        let saved = json!({"code": "x", "message": "The change was saved",
            "committed_resource_id": "p1"});
        let server = Server::start(vec![say(status, &saved.to_string())]);
        let err = failure(&server.vendor(), &write(), soon());
        let Error::Unknown {
            status: got,
            body,
            request_id,
            ..
        } = err
        else {
            panic!("{err:?}")
        };
        assert_eq!(
            (got, body, request_id),
            (Some(status), saved, Some(format!("r-{status}")))
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn conflict_on_a_read_is_tried_again_unless_it_stays_one() {
    let own = |code: &str| json!({"object": "error", "code": code}).to_string();
    let server = Server::start(vec![say(409, &own("conflict_error")), say(200, "{}")]);
    call(&server.vendor(), &read());
    for request in [read(), write()] {
        let server = Server::start(vec![say(409, &own("row_limit_exceeded"))]);
        assert!(matches!(
            failure(&server.vendor(), &request, soon()),
            Error::Refused { status: 409, .. }
        ));
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn list_that_is_too_long_at_once_is_not_asked_for_again_as_it_is() {
    let less = json!({"object": "error", "code": "service_unavailable",
        "message": "Please try again with a smaller page_size."});
    let server = Server::start(vec![say(503, &less.to_string())]);
    assert!(matches!(
        failure(&server.vendor(), &read(), soon()),
        Error::Refused { status: 503, .. }
    ));
}

// Broken connections

#[test]
fn refused_connection_is_retried_even_for_a_write() {
    for request in [read(), write(), Request::delete("/a")] {
        let vendor = vendor(&format!("http://127.0.0.1:{}", unused_port()));
        let err = failure(&vendor, &request, soon());
        assert!(
            matches!(
                err,
                Error::NotNow {
                    status: None,
                    retry_after: None,
                    ..
                }
            ),
            "{err:?}"
        );
        assert_eq!(vendor.calls(), 4);
    }
}

#[test]
fn failed_tls_is_before_any_write() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let vendor = vendor(&format!(
        "https://127.0.0.1:{}",
        listener.local_addr().unwrap().port()
    ));
    let server = thread::spawn(move || {
        for greeting in [
            &b""[..],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"",
            b"\x15\x03\x01\x00\x02\x02\x28",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(greeting).unwrap();
        }
    });
    let err = failure(&vendor, &write(), soon());
    assert!(matches!(err, Error::NotNow { status: None, .. }), "{err:?}");
    assert_eq!(vendor.calls(), 4);
    server.join().unwrap();
}

#[test]
fn unresolved_host_is_before_any_write() {
    let vendor = vendor("https://nowhere.invalid");
    let err = failure(&vendor, &write(), Deadline::within(500 * MS));
    assert!(
        matches!(err, Error::NotNow { .. } | Error::Deadline { .. }),
        "{err:?}"
    );
}

#[test]
fn dropped_write_is_unknown_and_sent_once() {
    let partial = || Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-le".to_owned());
    for act in [
        Act::Drop,
        partial(),
        Act::SayAndClose("garbage\r\n\r\n".to_owned()),
    ] {
        for request in [write(), Request::delete("/a")] {
            let act = match &act {
                Act::SayAndClose(text) => Act::SayAndClose(text.clone()),
                Act::Drop | Act::Say(_) | Act::Hang(_) | Act::Drip(..) => Act::Drop,
            };
            let server = Server::start(vec![act, say(200, "{}")]);
            let err = failure(&server.vendor(), &request, soon());
            assert!(
                matches!(
                    err,
                    Error::Unknown {
                        status: None,
                        body: Value::Null,
                        ..
                    }
                ),
                "{err:?}"
            );
            assert_eq!(server.seen().len(), 1);
        }
    }
}

#[test]
fn write_dropped_in_the_middle_of_its_body_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let vendor = vendor(&format!(
        "http://127.0.0.1:{}",
        listener.local_addr().unwrap().port()
    ));
    let server = thread::spawn(move || listener.accept().unwrap().0.read(&mut [0; 4096]).unwrap());
    let large = "x".repeat(16 * 1024 * 1024);
    let err = failure(&vendor, &Request::post("/a", json!(large)), soon());
    assert!(
        matches!(err, Error::Unknown { status: None, .. }),
        "{err:?}"
    );
    assert_eq!(vendor.calls(), 1);
    server.join().unwrap();
}

#[test]
fn dropped_read_is_retried() {
    let server = Server::start(vec![
        Act::Drop,
        truncated(),
        say(200, "<p>"),
        say(200, r#"{"ok":1}"#),
    ]);
    assert_eq!(call(&server.vendor(), &read()), json!({"ok": 1}));
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn write_whose_answer_is_not_whole_is_unknown() {
    for act in [
        truncated(),
        say(200, "<p>"),
        say(200, r#"{"a":"#),
        say(200, &"x".repeat(70_000)),
    ] {
        let server = Server::start(vec![act, say(200, "{}")]);
        let err = failure(&server.vendor(), &write(), soon());
        assert!(
            matches!(
                err,
                Error::Unknown {
                    status: Some(200),
                    ..
                }
            ),
            "{err:?}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn refusal_that_breaks_off_is_nobodys_word() {
    let broken = "HTTP/1.1 400 x\r\ncontent-length: 50\r\n\r\n{\"half\":".to_owned();
    let server = Server::start(vec![Act::SayAndClose(broken)]);
    let err = failure(&server.vendor(), &write(), soon());
    assert!(matches!(err, Error::Unknown { .. }), "{err:?}");
}

#[test]
fn endless_refusal_is_not_read_to_its_end() {
    let long = json!({"code": "x", "message": "m", "more": "x".repeat(1 << 20)}).to_string();
    let server = Server::start(vec![say(400, &long)]);
    let err = failure(&server.vendor(), &read(), soon());
    assert!(matches!(err, Error::NotNow { .. }), "{err:?}");
}

#[test]
fn body_at_the_limit_passes_and_one_over_does_not() {
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let server = Server::start(vec![
        say(200, &text(64 * 1024)),
        say(200, &text(64 * 1024 + 1)),
    ]);
    let vendor = server.vendor();
    assert_eq!(vendor.call(&read(), soon()).unwrap().body.len(), 64 * 1024);
    let err = failure(&vendor, &read(), soon());
    assert!(matches!(err, Error::TooLarge { .. }), "{err:?}");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn body_of_another_shape_is_told() {
    let server = Server::start(vec![say(200, r#"{"data":[1]}"#), say(200, "[]")]);
    let vendor = server.vendor();
    let answer = vendor.call(&read(), soon()).unwrap();
    let Error::Unreadable { what, text, .. } = answer.unexpected("no list") else {
        panic!("unreadable")
    };
    assert_eq!(what, "notion: GET /users: 200, unexpected body: no list");
    assert_eq!(text, r#"{"data":[1]}"#);
    let answer = vendor.call(&write(), soon()).unwrap();
    let err = answer.unexpected("no page");
    assert!(
        matches!(
            err,
            Error::Unknown {
                status: Some(200),
                ..
            }
        ),
        "{err:?}"
    );
}

#[test]
fn body_of_too_many_values_is_not_unfolded() {
    let many = format!("[{}0]", "0,".repeat(bounded::VALUES));
    for request in [read(), write()] {
        let server = Server::start(vec![say(200, &many)]);
        let mut vendor = server.vendor();
        vendor.spec.api.body_bytes = 1 << 20;
        let err = vendor.call(&request, soon()).unwrap().json().unwrap_err();
        let is_write = request.effect == Effect::Write;
        assert_eq!(matches!(err, Error::Unknown { .. }), is_write, "{err:?}");
        assert_eq!(matches!(err, Error::TooLarge { .. }), !is_write, "{err:?}");
    }
}

// Deadlines

#[test]
fn passed_deadline_sends_nothing() {
    let server = Server::start(vec![]);
    let vendor = server.vendor();
    for request in [read(), write()] {
        assert!(matches!(
            failure(&vendor, &request, Deadline::within(Duration::ZERO)),
            Error::Deadline { .. }
        ));
    }
    assert_eq!(vendor.calls(), 0);
}

#[test]
fn hang_ends_at_the_deadline() {
    let drip = || {
        Act::Drip(
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_owned(),
            20 * MS,
        )
    };
    for act in [|| Act::Hang(Duration::from_secs(2)), drip] {
        for (request, is_read) in [(read(), true), (write(), false)] {
            let server = Server::start(vec![act(), say(200, "{}")]);
            let started = Instant::now();
            let err = failure(&server.vendor(), &request, Deadline::within(150 * MS));
            assert!(
                started.elapsed() >= 150 * MS && started.elapsed() < 600 * MS,
                "{:?}",
                started.elapsed()
            );
            assert_eq!(matches!(err, Error::Deadline { .. }), is_read, "{err:?}");
            assert_eq!(matches!(err, Error::Unknown { .. }), !is_read, "{err:?}");
            assert_eq!(server.seen().len(), 1);
        }
    }
}

#[test]
fn slow_read_is_tried_again_while_time_is_left() {
    let server = Server::start(vec![Act::Hang(Duration::from_secs(2)), say(200, "{}")]);
    let mut vendor = server.vendor();
    vendor.tuning.attempt = 100 * MS;
    call(&vendor, &read());
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn backoff_beyond_the_deadline_ends_at_once() {
    let server = Server::start(vec![say(500, "{}")]);
    let mut vendor = server.vendor();
    vendor.tuning.backoff = Duration::from_mins(1);
    let started = Instant::now();
    let err = failure(&vendor, &read(), soon());
    assert!(
        matches!(
            err,
            Error::NotNow {
                status: Some(500),
                ..
            }
        ),
        "{err:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(1));
}

// Pure parts

#[test]
fn waits_double_within_their_cap() {
    let secs = |pace, retries| TUNING.wait(pace, retries).as_secs_f64();
    for _ in 0..100 {
        assert!((0.25..=0.75).contains(&secs(Pace::Backoff(None), 0)));
        assert!((1.0..=3.0).contains(&secs(Pace::Backoff(None), 2)));
        assert!((4.0..=5.0).contains(&secs(Pace::Busy(None), 2)));
        assert!((7.0..=7.25).contains(&secs(Pace::Busy(Some(Duration::from_secs(7))), 2)));
        assert!(secs(Pace::Backoff(None), 20) <= 30.0);
    }
    assert_eq!(
        TUNING.wait(Pace::Busy(Some(Duration::MAX)), 0),
        Duration::MAX
    );
}

#[test]
fn vendor_is_shared_by_threads() {
    fn check<T: Send + Sync>() {}
    check::<Vendor>();
    check::<Error>();
    check::<Deadline>();
}
