//! The rules of a call on the real wire and in real time: what a scripted server on a socket, a
//! network and other threads can do to it.

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
use std::time::Instant;

use serde_json::json;

use super::tests::{KEY, MS, SLOWER, answer, call, failure, read, soon, write};
use super::*;

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

fn say(status: u16, body: &str) -> Act {
    Act::Say(answer(status, "", body))
}

fn truncated() -> Act {
    Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"half\":".to_owned())
}

fn vendor(base: &str) -> Vendor {
    let mut vendor = super::tests::vendor(&agent(Proxies::default()), base);
    vendor.tuning = Tuning {
        backoff: 4 * MS,
        busy: 20 * MS,
        ..TUNING
    };
    vendor
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

// Several threads

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

// Bodies

#[test]
fn status_headers_and_body_arrive_as_they_were_sent() {
    let refusal = r#"{"code":"x"}"#;
    for (status, body, is_refused) in [
        (200, "", false),
        (200, "OK", false),
        (201, "{}", false),
        (202, refusal, false),
        (203, "{}", false),
        (204, "", false),
        (206, "{}", false),
        (302, "", false),
        (400, refusal, true),
        (401, "<html>", false),
        (503, refusal, false),
    ] {
        let server = Server::start(vec![say(status, body)]);
        let err = failure(&server.vendor(), &write(), soon());
        let id = format!("r-{status}");
        assert_eq!((err.status(), err.request_id()), (Some(status), Some(&*id)));
        let got = matches!(&err, Error::Refused { text, .. } if **text == *refusal);
        assert_eq!(got, is_refused, "{err:?}");
    }
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

// Deadlines

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
