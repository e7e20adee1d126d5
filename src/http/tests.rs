//! The rules of a call, against a scripted server in simulated time: every wait is exact, and none
//! is waited for.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::time::simulation::Installed;
use crate::time::virtual_time::Virtual;

pub(super) const KEY: &str = "ntn_very_secret_key_0123456789";
/// Another vendor's key.
const OTHER_KEY: &str = "quo_very_secret_key_9876543210";
pub(super) const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Makes waits as short, or as long, as they can be.
const LEAST: fn(usize) -> usize = |_| 0;
const MOST: fn(usize) -> usize = |count| count - 1;
/// The vendor's own words for "slower".
pub(super) const SLOWER: &str = r#"{"object":"error","code":"rate_limited"}"#;

/// What the server does with one request.
enum Act {
    /// Answers, with the text of an HTTP answer.
    Say(String),
    /// Answers after so long.
    After(Duration, String),
    /// Cannot be reached.
    Refuse,
    /// Shows a certificate that does not do.
    Pretend,
}

/// A server on the simulated wire. While it lives, time passes only by waits.
struct Server {
    agent: Agent,
    seen: Arc<Mutex<Vec<Seen>>>,
    time: Rc<Virtual>,
    _simulated: Installed,
}

struct Seen {
    /// Method, address, headers and body.
    text: String,
    /// When it came, counted from the server's start.
    at: Duration,
}

impl Server {
    fn start(script: Vec<Act>) -> Self {
        Self::in_time(Virtual::new(), script)
    }

    fn in_time(time: Rc<Virtual>, script: Vec<Act>) -> Self {
        let simulated = time.install();
        let began = time::now();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let script = Mutex::new(VecDeque::from(script));
        let noted = Arc::clone(&seen);
        let agent = Agent::simulated(move |outgoing| {
            noted.lock().unwrap().push(Seen {
                text: told(outgoing),
                at: time::since(began),
            });
            let act = script.lock().unwrap().pop_front();
            let over = || Act::Say(answer(418, "", "the script is over"));
            perform(act.unwrap_or_else(over), outgoing)
        });
        Self {
            agent,
            seen,
            time,
            _simulated: simulated,
        }
    }

    fn vendor(&self) -> Vendor {
        vendor(&self.agent, "https://api.example/v1")
    }

    fn seen(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.text.clone()).collect()
    }

    /// When the requests came, in milliseconds from the start.
    fn times(&self) -> Vec<u128> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.at.as_millis()).collect()
    }
}

fn told(outgoing: &Outgoing) -> String {
    let mut lines = vec![format!("{} {}", outgoing.method.as_str(), outgoing.url)];
    let headers = outgoing.headers.iter();
    lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    let body = std::str::from_utf8(outgoing.body).unwrap();
    format!("{}\n\n{body}", lines.join("\n"))
}

fn perform(act: Act, outgoing: &Outgoing) -> Result<Received, NoAnswer> {
    match act {
        Act::Say(text) => Ok(received(&text)),
        Act::After(wait, _) if wait > outgoing.time => {
            time::sleep(outgoing.time);
            Err(NoAnswer::Sent("timeout: global".to_owned()))
        }
        Act::After(wait, text) => {
            time::sleep(wait);
            Ok(received(&text))
        }
        Act::Refuse => Err(NoAnswer::Unsent("connection refused".to_owned())),
        Act::Pretend => Err(NoAnswer::Untrusted("no certificate".to_owned())),
    }
}

/// What arrives of an answer; of a body that is shorter than announced, what there is.
fn received(text: &str) -> Received {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap_or((line, "")));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let received = Received {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
        flaw: None,
    };
    let announced: usize = received.header("content-length").unwrap().parse().unwrap();
    let is_cut = body.len() < announced;
    Received {
        flaw: is_cut.then(|| Flaw::Cut("unexpected end of file".to_owned())),
        ..received
    }
}

/// An answer with its length; `headers` are whole lines with `\r\n`.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\nx-request-id: r-{status}\r\n{headers}content-length: \
            {}\r\n\r\n{body}",
        body.len()
    )
}

fn say(status: u16, body: &str) -> Act {
    Act::Say(answer(status, "", body))
}

pub(super) fn vendor(agent: &Agent, base: &str) -> Vendor {
    let spec = VendorSpec {
        api: Api {
            name: "notion",
            request_id_header: "x-request-id",
            body_bytes: 64 * 1024,
            is_refusal: |_, body| body["code"].is_string() || body["error"].is_object(),
        },
        base: BaseUrl::parse(base).unwrap(),
        secrets: vec![Secret::new(OTHER_KEY)],
        headers: vec![
            ("Authorization", Secret::new(&format!("Bearer {KEY}"))),
            ("Notion-Version", Secret::new("2022-06-28")),
        ],
        window: Window {
            requests: 1000,
            period: SECOND,
        },
        shared: None,
    };
    Vendor::new(agent, spec)
}

pub(super) fn read() -> Request {
    Request::get("/users")
}

pub(super) fn write() -> Request {
    Request::patch("/pages/p1", json!({"a": "b"}))
}

pub(super) fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(10))
}

pub(super) fn call(vendor: &Vendor, request: &Request) -> Value {
    vendor.call(request, soon()).unwrap().json().unwrap()
}

/// The error of a call, after making sure that it tells no secret and stays on one line.
pub(super) fn failure(vendor: &Vendor, request: &Request, deadline: Deadline) -> Error {
    let err = vendor
        .call(request, deadline)
        .expect_err("the call must fail");
    let shown = format!("{err}\n{err:?}\n{err:#?}");
    assert!(!shown.contains("very_secret"), "{shown}");
    assert_eq!(err.to_string().lines().count(), 1, "{err}");
    err
}

// What is sent

#[test]
fn simulation_sees_what_goes_out_and_no_key() {
    let server = Server::start(vec![say(200, "{}"), say(200, "{}")]);
    let vendor = server.vendor();
    let request = Request::patch("/pages/p1", json!({"a": "é"}))
        .with_query("participants", "+14155550100")
        .with_header("X-Version", "2025-09-03");
    call(&vendor, &request);
    call(&vendor, &read().with_header("Notion-Version", "2025-09-03"));
    let patch = "PATCH https://api.example/v1/pages/p1?participants=%2B14155550100\n\
        x-version: 2025-09-03\ncontent-type: application/json\ncontent-length: 10\n\n\
        {\"a\":\"é\"}";
    let get = "GET https://api.example/v1/users\nnotion-version: 2025-09-03\n\n";
    assert_eq!(server.seen(), [patch, get]);
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
        path: "/pages/p1".into(),
        status: 400,
        text: body.to_string().into(),
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
    let escaped = |key: &str| -> String {
        let signs = key
            .chars()
            .map(|sign| format!("\\u{:04x}", u32::from(sign)));
        signs.collect::<Vec<_>>().concat()
    };
    let (own, other) = (escaped(KEY), escaped(OTHER_KEY));
    let echo = format!(
        r#"{{"message":"header was Bearer {KEY}, {own}, {OTHER_KEY}, {other}","code":"{KEY}",
        "request_id":"{own}"}}"#
    );
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
            let script = vec![
                say(status, SLOWER),
                say(status, SLOWER),
                say(status, SLOWER),
                say(200, "{}"),
            ];
            let server = Server::start(script);
            let vendor = server.vendor();
            call(&vendor, &request);
            assert_eq!(server.times(), [0, 1000, 3000, 7000], "waits double");
            assert_eq!(vendor.calls(), 4);
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
    assert_eq!(server.times(), [0, 1000, 3000, 7000]);
    assert_eq!(vendor.calls(), 4);
    failure(&vendor, &read(), soon());
    assert_eq!(server.times()[4], 15_000, "the vendor is left alone");
}

#[test]
fn retry_after_is_obeyed() {
    let more = json!({"rate_limit_reason": "public_api_request_rate_limit", "retry_after": "0.15"});
    let body = &json!({"code": "x", "additional_data": more}).to_string();
    let date =
        "date: Fri, 20 Nov 2026 23:59:59 GMT\r\nretry-after: Sat, 21 Nov 2026 00:00:00 GMT\r\n";
    for (headers, body, asked) in [
        ("retry-after: 1\r\n", SLOWER, 1000),
        ("", body, 150),
        (date, SLOWER, 1000),
    ] {
        for (picks, more) in [(LEAST, 0), (MOST, 250)] {
            let script = vec![Act::Say(answer(429, headers, body)), say(200, "{}")];
            let server = Server::in_time(Virtual::picking(picks), script);
            call(&server.vendor(), &write());
            assert_eq!(server.times(), [0, asked + more], "{headers:?}");
        }
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
        assert_eq!(server.times(), [0, 1000], "{value}");
    }
}

#[test]
fn retry_after_beyond_the_deadline_ends_at_once() {
    let server = Server::start(vec![Act::Say(answer(429, "retry-after: 30\r\n", SLOWER))]);
    let vendor = server.vendor();
    for (request, of) in [(write(), Some(429)), (read(), None)] {
        let Error::NotNow {
            retry_after,
            status,
            ..
        } = failure(&vendor, &request, soon())
        else {
            panic!("not now, and then the gate is shut")
        };
        assert_eq!((retry_after, status), (Some(30 * SECOND), of));
    }
    assert_eq!((vendor.calls(), server.time.passed()), (1, Duration::ZERO));
}

#[test]
fn busy_vendor_holds_every_call() {
    let busy = Act::Say(answer(429, "retry-after: 30\r\n", SLOWER));
    let server = Server::start(vec![busy, say(200, "{}"), say(200, "{}")]);
    let vendor = server.vendor();
    failure(&vendor, &write(), soon());
    time::sleep(10 * SECOND);
    for request in [write(), read()] {
        vendor.call(&request, Deadline::within(MINUTE)).unwrap();
    }
    assert_eq!(server.times(), [0, 30_000, 30_000]);
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
        assert_eq!(server.time.passed(), Duration::ZERO);
    }
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
fn window_spreads_the_calls() {
    let server = Server::start((0..7).map(|_| say(200, "{}")).collect());
    let mut vendor = server.vendor();
    vendor.gate = gate(3, 200 * MS);
    time::side_by_side(vec![(); 7], 7, |()| call(&vendor, &read()));
    assert_eq!(server.times(), [0, 0, 0, 200, 200, 200, 400]);
}

#[test]
fn window_does_not_outlast_the_deadline() {
    let server = Server::start(vec![say(200, "{}")]);
    let mut vendor = server.vendor();
    vendor.gate = gate(1, 30 * SECOND);
    call(&vendor, &read());
    let err = failure(&vendor, &write(), soon());
    assert!(
        matches!(
            err,
            Error::NotNow {
                retry_after: Some(wait),
                status: None,
                ..
            } if wait == 30 * SECOND
        ),
        "{err:?}"
    );
    assert_eq!(server.times(), [0]);
    assert_eq!(server.time.passed(), Duration::ZERO);
}

fn gate(requests: u32, period: Duration) -> Gate {
    Gate::new("test", Window { requests, period }, None)
}

// Server errors

#[test]
fn read_is_retried_on_server_errors() {
    let query = Request::post("/databases/d/query", json!({})).reading();
    for status in [408, 500, 502, 503, 504, 520] {
        for (picks, times) in [(LEAST, [0, 250, 750, 1750]), (MOST, [0, 750, 2250, 5250])] {
            let script = vec![
                say(status, "<html>"),
                say(status, "{}"),
                say(status, ""),
                say(200, "{}"),
            ];
            let server = Server::in_time(Virtual::picking(picks), script);
            call(&server.vendor(), &query);
            assert_eq!(server.times(), times, "{status}");
        }
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
fn what_was_not_sent_is_tried_again_even_if_it_writes() {
    for request in [read(), write(), Request::delete("/a")] {
        let server = Server::start(vec![Act::Refuse, Act::Refuse, say(200, "{}")]);
        call(&server.vendor(), &request);
        assert_eq!(server.times(), [0, 250, 750]);
    }
}

#[test]
fn who_cannot_show_who_it_is_is_not_asked_again() {
    for request in [read(), write()] {
        let server = Server::start(vec![Act::Pretend, say(200, "{}")]);
        let err = failure(&server.vendor(), &request, soon());
        assert!(matches!(err, Error::Untrusted { .. }), "{err:?}");
        assert_eq!(server.times(), [0]);
    }
}

// Bodies

#[test]
fn no_more_of_a_body_is_taken_than_on_the_real_wire() {
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let long = json!({"code": "x", "message": "x".repeat(64 * 1024)}).to_string();
    let script = vec![
        say(200, &text(64 * 1024)),
        say(200, &text(64 * 1024 + 1)),
        say(400, &long),
    ];
    let server = Server::start(script);
    let vendor = server.vendor();
    assert_eq!(vendor.call(&read(), soon()).unwrap().body.len(), 64 * 1024);
    let err = failure(&vendor, &read(), soon());
    assert!(matches!(err, Error::TooLarge { .. }), "{err:?}");
    let err = failure(&vendor, &read(), soon());
    assert!(matches!(err, Error::NotNow { .. }), "{err:?}");
}

#[test]
fn answer_that_breaks_off_is_no_answer() {
    let cut = || Act::Say("HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n{}".to_owned());
    let server = Server::start(vec![cut(), say(200, "{}")]);
    call(&server.vendor(), &read());
    assert_eq!(server.times(), [0, 250]);
    let server = Server::start(vec![cut(), say(200, "{}")]);
    let err = failure(&server.vendor(), &write(), soon());
    let what = "notion: PATCH /pages/p1: 200, the body broke off: unexpected end of file";
    assert_eq!(err.to_string(), what);
    assert_eq!(server.times(), [0]);
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
    let many = format!("[{}0]", "0,".repeat(bounded::UNFOLDED / 32));
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
fn backoff_beyond_the_deadline_ends_at_once() {
    let server = Server::start(vec![say(500, "{}")]);
    let mut vendor = server.vendor();
    vendor.tuning.backoff = MINUTE;
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
    assert_eq!(server.time.passed(), Duration::ZERO);
}

#[test]
fn answer_that_takes_too_long_ends_at_the_deadline() {
    for (request, is_read) in [(read(), true), (write(), false)] {
        let slow = Act::After(MINUTE, answer(200, "", "{}"));
        let server = Server::start(vec![slow, say(200, "{}")]);
        let err = failure(&server.vendor(), &request, soon());
        assert_eq!(matches!(err, Error::Deadline { .. }), is_read, "{err:?}");
        assert_eq!(matches!(err, Error::Unknown { .. }), !is_read, "{err:?}");
        assert_eq!(server.times(), [0]);
        assert_eq!(server.time.passed(), 10 * SECOND);
    }
}

/// Minutes of waiting, as they really are: an attempt that gets no answer in 65 s, a vendor that
/// asks for a rest of 100 s after it has thought for 59 s, a server error, and an answer at last.
#[test]
fn call_goes_on_through_minutes_of_trouble() {
    let really_began = time::now();
    let rest = answer(429, "retry-after: 100\r\n", SLOWER);
    let script = vec![
        Act::After(2 * MINUTE, String::new()),
        Act::After(59 * SECOND, rest),
        Act::After(60 * SECOND, answer(503, "", "")),
        Act::After(64 * SECOND, answer(200, "", r#"{"ok":1}"#)),
    ];
    let server = Server::start(script);
    let answer = server.vendor().call(&read(), Deadline::none());
    assert_eq!(answer.unwrap().json().unwrap(), json!({"ok": 1}));
    let second = 65_000 + 250;
    let third = second + 59_000 + 100_000;
    let fourth = third + 60_000 + 1000;
    assert_eq!(server.times(), [0, second, third, fourth]);
    assert_eq!(server.time.passed().as_millis(), fourth + 64_000);
    drop(server);
    let took = time::since(really_began);
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn process_that_is_told_to_stop_ends_its_call() {
    for script in [
        vec![say(503, ""), say(200, "{}")],
        vec![say(429, SLOWER), say(200, "{}")],
    ] {
        let server = Server::start(script);
        server.time.tell_to_stop_after(200 * MS);
        let err = failure(&server.vendor(), &read(), Deadline::none());
        assert!(
            matches!(err, Error::NotNow { .. } | Error::Deadline { .. }),
            "{err:?}"
        );
        assert_eq!(server.times(), [0]);
        assert_eq!(server.time.passed(), 200 * MS);
    }
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
