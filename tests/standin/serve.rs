//! Connections: reads requests, records them, lets faults act, asks the vendor's routes, writes
//! answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fault::{self, Act, Fault, Vendor, When};
use super::http::{self, Request, Response};
use super::world::World;
use super::{Seen, Settings, Shared, Windows, lock, notion, quo, render};

/// Longest body that is read at all; the vendors' own limits are below.
const MAX_REQUEST: usize = 64 << 20;

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, stream) in listener.incoming().enumerate() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || converse(stream, number + 1, &shared));
    }
}

pub(super) fn reset(shared: &Shared, mut world: World) {
    world.base = format!("http://{}", shared.address);
    if lock(&shared.settings).local_media {
        let base = world.base.clone();
        localize(&base, &mut world);
    }
    *lock(&shared.world) = world;
    lock(&shared.seen).clear();
    lock(&shared.faults).clear();
    *lock(&shared.windows) = Windows::default();
}

/// Points stored media addresses to this server.
pub(super) fn localize(base: &str, world: &mut World) {
    world
        .quo
        .rewrite_urls("https://storage.example.com/", &format!("{base}/files/"));
}

/// What becomes of a connection after one exchange.
#[derive(PartialEq, Eq)]
enum Next {
    Keep,
    Close,
}

fn converse(mut stream: TcpStream, connection: usize, shared: &Shared) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    loop {
        let unread = buffer.is_empty() && lock(&shared.faults).may_reset();
        let request = if unread {
            peek(&stream)
        } else {
            read(&mut stream, &mut buffer)
        };
        let Some(request) = request else { return };
        let keep = request
            .header("connection")
            .is_none_or(|c| !c.eq_ignore_ascii_case("close"));
        let mut exchange = Exchange {
            stream: &mut stream,
            shared,
            connection,
            unread: None,
        };
        exchange.unread = if unread {
            Some(wire_length(&mut exchange, &request))
        } else {
            None
        };
        if exchange.run(&request) == Next::Close || !keep {
            if exchange.unread.is_none() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

/// Reads until one whole request is there and takes it off the buffer.
fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let mut chunk = vec![0; 64 << 10];
    let mut continued = false;
    loop {
        if let Some(parsed) = http::parse(buffer) {
            let (request, length) = parsed.ok()?;
            buffer.drain(..length);
            return Some(request);
        }
        if !continued && http::expects_continue(buffer) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            continued = true;
        }
        let count = stream
            .read(&mut chunk)
            .ok()
            .filter(|n| *n > 0 && buffer.len() < MAX_REQUEST)?;
        buffer.extend_from_slice(&chunk[..count]);
    }
}

/// Looks at one whole request and leaves its bytes in the socket: closing then sends RST instead of
/// FIN.
fn peek(stream: &TcpStream) -> Option<Request> {
    let mut bytes = vec![0; 4 << 20];
    loop {
        let count = stream.peek(&mut bytes).ok().filter(|n| *n > 0)?;
        if let Some(parsed) = http::parse(&bytes[..count]) {
            return parsed.ok().map(|(request, _)| request);
        }
        sleep(Duration::from_millis(1));
    }
}

fn wire_length(exchange: &mut Exchange<'_>, _request: &Request) -> usize {
    let mut bytes = vec![0; 4 << 20];
    let count = exchange.stream.peek(&mut bytes).unwrap_or(0);
    http::parse(&bytes[..count])
        .and_then(Result::ok)
        .map_or(0, |(_, length)| length)
}

struct Exchange<'a> {
    stream: &'a mut TcpStream,
    shared: &'a Shared,
    connection: usize,
    /// So many bytes of this request still lie in the socket.
    unread: Option<usize>,
}

impl Exchange<'_> {
    fn run(&mut self, request: &Request) -> Next {
        let Some((vendor, inner)) = route(request) else {
            self.consume();
            let response = control(self.shared, request);
            return self.write(&response);
        };
        let number = self.record(vendor, &inner);
        let due = lock(&self.shared.faults).take(vendor, &inner);
        if !due
            .as_ref()
            .is_some_and(|f| matches!(f.act, Act::ResetConnection))
        {
            self.consume();
        }
        let settings = lock(&self.shared.settings).clone();
        sleep(settings.latency);
        match due {
            None => self.answer(number, &apply(self.shared, vendor, &inner, &settings)),
            Some(fault) => self.fault(
                number,
                &fault,
                || apply(self.shared, vendor, &inner, &settings),
                &inner,
            ),
        }
    }

    fn fault(
        &mut self,
        number: usize,
        fault: &Fault,
        apply: impl Fn() -> Response,
        request: &Request,
    ) -> Next {
        let applied = (fault.when == When::AfterApply).then(&apply);
        if let Some(response) = fault::answer(&fault.act) {
            return self.answer(number, &response);
        }
        let real = || applied.unwrap_or_else(apply);
        match &fault.act {
            Act::Delay(time) => {
                sleep(*time);
                self.answer(number, &real())
            }
            Act::SavedBut503 => self.answer(number, &notion::saved_but_503(request, real())),
            Act::TruncateBody => {
                let response = real();
                let _ = response.write(self.stream, response.body.len() / 2);
                Next::Close
            }
            Act::Garbage => {
                let _ = self
                    .stream
                    .write_all(b"\x16\x03\x01 this is no answer\r\n\r\n");
                Next::Close
            }
            Act::Hang(time) => {
                sleep(*time);
                Next::Close
            }
            Act::Call(run) => {
                run();
                Next::Close
            }
            Act::DropConnection
            | Act::ResetConnection
            | Act::Status { .. }
            | Act::NotionError { .. } => Next::Close,
        }
    }

    fn consume(&mut self) {
        let Some(mut left) = self.unread.take() else {
            return;
        };
        let mut chunk = vec![0; 64 << 10];
        while left > 0 {
            let size = left.min(chunk.len());
            match self.stream.read(&mut chunk[..size]) {
                Ok(count) if count > 0 => left -= count,
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn record(&self, vendor: Vendor, request: &Request) -> usize {
        let number = self.shared.numbers.fetch_add(1, Ordering::SeqCst);
        lock(&self.shared.seen).push(Seen {
            vendor,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            body: request.json(),
            body_bytes: request.body.len(),
            headers: request.headers.clone(),
            status: 0,
            connection: self.connection,
            at: Instant::now(),
            number,
        });
        number
    }

    fn answer(&mut self, number: usize, response: &Response) -> Next {
        if let Some(seen) = lock(&self.shared.seen)
            .iter_mut()
            .rev()
            .find(|s| s.number == number)
        {
            seen.status = response.status;
        }
        self.write(response)
    }

    fn write(&mut self, response: &Response) -> Next {
        match response.write(self.stream, usize::MAX) {
            Ok(()) => Next::Keep,
            Err(_) => Next::Close,
        }
    }
}

/// The vendor, and the request with its path as the vendor sees it.
fn route(request: &Request) -> Option<(Vendor, Request)> {
    let prefixes = [
        ("/quo/", Vendor::Quo),
        ("/notion/", Vendor::Notion),
        ("/files/", Vendor::Files),
    ];
    let (prefix, vendor) = prefixes
        .into_iter()
        .find(|(p, _)| request.path.starts_with(p))?;
    let mut inner = request.clone();
    inner.path = request.path[prefix.len() - 1..].to_owned();
    Some((vendor, inner))
}

fn apply(shared: &Shared, vendor: Vendor, request: &Request, settings: &Settings) -> Response {
    let mut world = lock(&shared.world);
    let began = Instant::now();
    let response = respond(shared, &mut world, (vendor, request), settings);
    *lock(&shared.busy) += began.elapsed();
    response
}

fn respond(
    shared: &Shared,
    world: &mut World,
    (vendor, request): (Vendor, &Request),
    settings: &Settings,
) -> Response {
    match vendor {
        Vendor::Quo => {
            let limited = |key: &str| {
                settings.rate_limits && key == world.quo.key && quo_is_over(shared, settings)
            };
            let over = request.header("authorization").is_some_and(limited);
            if over {
                quo::rate_limited(request)
            } else {
                quo::handle(world, request)
            }
        }
        Vendor::Notion => {
            let bearer = format!("Bearer {}", world.notion.key);
            let known = request.header("authorization") == Some(bearer.as_str());
            let over = if known && settings.rate_limits {
                notion_is_over(shared, settings)
            } else {
                None
            };
            world.notion.hide_new_pages = settings.hide_new_pages;
            let id = world.notion.next_uuid();
            let response = match over {
                Some(seconds) => notion::rate_limited(seconds),
                None => notion::handle(&mut world.notion, request),
            };
            notion::finish(response, &id)
        }
        Vendor::Files => match world.files.get(request.path.trim_start_matches('/')) {
            Some((kind, bytes)) => Response::bytes(200, kind, bytes.clone()),
            None => Response::bytes(200, "audio/mpeg", super::demo::audio(&request.path)),
        },
    }
}

/// Counts a request; true when ten more have come within the last second (20 ms are forgiven).
fn quo_is_over(shared: &Shared, settings: &Settings) -> bool {
    let mut windows = lock(&shared.windows);
    let now = Instant::now();
    windows
        .quo
        .retain(|t| now.duration_since(*t) < Duration::from_millis(980));
    let over = windows.quo.len() >= settings.quo_per_second;
    if !over {
        windows.quo.push(now);
    }
    over
}

/// Counts a request in its fixed window; seconds to wait when the window is used up.
fn notion_is_over(shared: &Shared, settings: &Settings) -> Option<u64> {
    let mut windows = lock(&shared.windows);
    let now = Instant::now();
    let (start, used) = windows
        .notion
        .filter(|(s, _)| now.duration_since(*s) < settings.notion_window)
        .unwrap_or((now, 0));
    let over = used >= settings.notion_per_window;
    windows.notion = Some((start, if over { used } else { used + 1 }));
    over.then(|| (settings.notion_window - now.duration_since(start)).as_secs() + 1)
}

fn control(shared: &Shared, request: &Request) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/_render") => {
            let text = render::render(&lock(&shared.world));
            Response::bytes(200, "text/plain; charset=utf-8", text.into_bytes())
        }
        ("GET", "/_world") => Response::json(200, &lock(&shared.world).to_json()),
        ("GET", "/_requests") => {
            let seen: Vec<Value> = lock(&shared.seen).iter().map(Seen::to_json).collect();
            Response::json(200, &Value::Array(seen))
        }
        ("POST", "/_faults") => match Fault::from_json(&request.json()) {
            Ok(fault) => {
                lock(&shared.faults).add(fault);
                Response::json(200, &json!({"ok": true}))
            }
            Err(message) => Response::json(400, &json!({"error": message})),
        },
        ("DELETE", "/_requests") => {
            lock(&shared.seen).clear();
            Response::json(200, &json!({"ok": true}))
        }
        ("POST", "/_reset") => {
            let body = request.json();
            let world = if body.is_object() {
                World::from_json(&body)
            } else {
                World::default_demo()
            };
            reset(shared, world);
            Response::json(200, &json!({"ok": true}))
        }
        ("POST", "/_settings") => {
            set(&mut lock(&shared.settings), &request.json());
            Response::json(200, &json!({"ok": true}))
        }
        _ => Response::json(404, &json!({"error": "no such control endpoint"})),
    }
}

/// `{"latency_ms","hide_new_pages_ms","rate_limits","quo_per_second","notion_per_window",
/// "notion_window_ms"}`
fn set(settings: &mut Settings, json: &Value) {
    let millis = |key: &str| json[key].as_u64().map(Duration::from_millis);
    let number = |key: &str| json[key].as_u64().and_then(|n| usize::try_from(n).ok());
    settings.latency = millis("latency_ms").unwrap_or(settings.latency);
    settings.hide_new_pages = millis("hide_new_pages_ms").unwrap_or(settings.hide_new_pages);
    settings.rate_limits = json["rate_limits"]
        .as_bool()
        .unwrap_or(settings.rate_limits);
    settings.quo_per_second = number("quo_per_second").unwrap_or(settings.quo_per_second);
    settings.notion_per_window = number("notion_per_window").unwrap_or(settings.notion_per_window);
    settings.notion_window = millis("notion_window_ms").unwrap_or(settings.notion_window);
}
