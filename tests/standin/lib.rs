//! The stand-in: one local server that behaves like Quo (both surfaces) and Notion, with faults on
//! demand. Used as a module by the integration tests (`#[path = "../standin/lib.rs"] mod standin;`)
//! and by the example `standin`. It must not know Quotion: what it refuses comes from the vendors'
//! references, not from our client.
//!
//! ```text
//! let s = StandIn::start(World::default_demo());
//! s.quo_base() / s.notion_base()      OPENPHONE_API_BASE and NOTION_API_BASE, both with /v1
//! s.world()                           the state behind both APIs: look at it, change it
//! s.requests() / s.count(vendor)      what arrived, what was answered
//! s.add_fault(
//!     Fault::new(Vendor::Notion, Act::DropConnection).method("POST").path("/v1/pages").after(),
//! )
//! s.render()                          the databases as a person would see them
//! ```
//! Paths in `Seen` and in faults carry no vendor prefix: `/v1/pages`, `/v1/contacts`, `/calls`
//! (dated surface). Control by hand: GET `/_render`, `/_world`, `/_requests`; POST `/_faults`,
//! `/_reset`, `/_settings`.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods
)] // test code, in two crates
// plain code before fast or finished code, in a test server
#![allow(
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::assigning_clones,
    clippy::format_collect
)]
#![allow(
    clippy::needless_collect,
    clippy::match_same_arms,
    clippy::manual_try_fold,
    clippy::too_many_arguments
)]
#![allow(
    clippy::unnecessary_wraps,
    clippy::cast_possible_truncation,
    clippy::unchecked_time_subtraction
)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "serde_json::Value and jiff's enums are not ours to list"
)]

mod demo;
pub mod fault;
pub mod http;
pub mod notion;
pub mod quo;
pub mod render;
mod serve;
pub mod world;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[allow(unused_imports)] // each including crate uses some of them
pub use fault::{Act, Fault, Vendor, When};
#[allow(unused_imports)]
pub use world::{
    CALLS_DATABASE, CALLS_SOURCE, CLIENTS_DATABASE, CLIENTS_SOURCE, MESSAGES_DATABASE,
    MESSAGES_SOURCE, NOTION_KEY, QUO_KEY, QUO_WEBHOOK_SECRET, SECOND_SOURCE, World,
};

/// One request as the stand-in saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub vendor: Vendor,
    pub method: String,
    /// Without vendor prefix and query.
    pub path: String,
    pub query: String,
    /// `Null` when there was no JSON body.
    pub body: Value,
    pub body_bytes: usize,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// 0 while unanswered, and for good when the connection was dropped.
    pub status: u16,
    /// Counted from 1; two requests with the same number shared a connection.
    pub connection: usize,
    pub at: Instant,
    number: usize,
}

/// Switches that change between or during tests.
#[derive(Clone, Debug)]
pub struct Settings {
    pub latency: Duration,
    pub hide_new_pages: Duration,
    pub rate_limits: bool,
    pub quo_per_second: usize,
    pub notion_per_window: usize,
    pub notion_window: Duration,
    /// Media addresses point to this server's `/files/`.
    pub local_media: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            hide_new_pages: Duration::ZERO,
            rate_limits: true,
            quo_per_second: 10,
            notion_per_window: 180,
            notion_window: Duration::from_mins(1),
            local_media: false,
        }
    }
}

#[derive(Default)]
struct Windows {
    quo: Vec<Instant>,
    notion: Option<(Instant, usize)>,
}

/// What all connections share.
struct Shared {
    world: Mutex<World>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<fault::Faults>,
    settings: Mutex<Settings>,
    windows: Mutex<Windows>,
    busy: Mutex<Duration>,
    numbers: AtomicUsize,
    stopped: AtomicBool,
    address: SocketAddr,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running stand-in; it stops when dropped.
pub struct StandIn {
    shared: Arc<Shared>,
}

impl StandIn {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(world: World) -> Self {
        Self::start_on(world, 0).expect("a free local port")
    }

    /// Starts on that port of 127.0.0.1 (0: any).
    pub fn start_on(world: World, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            seen: Mutex::default(),
            faults: Mutex::default(),
            settings: Mutex::default(),
            windows: Mutex::default(),
            busy: Mutex::default(),
            numbers: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            address: listener.local_addr()?,
        });
        lock(&shared.world).base = format!("http://{}", shared.address);
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || serve::accept(&listener, &accepting));
        Ok(Self { shared })
    }

    pub fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// `http://127.0.0.1:P`
    pub fn base(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// `http://127.0.0.1:P/quo/v1`
    pub fn quo_base(&self) -> String {
        format!("{}/quo/v1", self.base())
    }

    /// `http://127.0.0.1:P/notion/v1`
    pub fn notion_base(&self) -> String {
        format!("{}/notion/v1", self.base())
    }

    /// The state; no request is answered while the guard is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }

    /// Rewrites every stored media address to this server's `/files/…`, so that downloads work;
    /// stays on over `reset`.
    pub fn serve_media_locally(&self) {
        lock(&self.shared.settings).local_media = true;
        serve::localize(&self.base(), &mut self.world());
    }

    /// Everything seen so far, in order of arrival.
    /// Requests since the last clearing. Searches among archived pages, one beside each first
    /// search, are counted apart.
    pub fn requests(&self) -> Vec<Seen> {
        let seen = lock(&self.shared.seen);
        let usual = seen.iter().filter(|seen| !seen.is_for_archived());
        usual.cloned().collect()
    }

    /// Searches among archived pages since the last clearing.
    pub fn archived_searches(&self) -> usize {
        let seen = lock(&self.shared.seen);
        seen.iter().filter(|seen| seen.is_for_archived()).count()
    }

    pub fn clear_requests(&self) {
        lock(&self.shared.seen).clear();
    }

    /// Requests to one vendor since the last clearing.
    pub fn count(&self, vendor: Vendor) -> usize {
        self.requests()
            .iter()
            .filter(|s| s.vendor == vendor)
            .count()
    }

    /// Time that the vendors themselves have taken, latency left out, since the start.
    pub fn busy(&self) -> Duration {
        *lock(&self.shared.busy)
    }

    /// Requests as `METHOD path -> status` lines, for comparing whole sequences.
    pub fn log(&self, vendor: Vendor) -> Vec<String> {
        let seen = self.requests();
        let of_vendor = seen.iter().filter(|s| s.vendor == vendor);
        of_vendor
            .map(|s| format!("{} {} -> {}", s.method, s.path, s.status))
            .collect()
    }

    pub fn add_fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Faults that no request has hit.
    pub fn unused_faults(&self) -> usize {
        lock(&self.shared.faults).unused()
    }

    /// Every answer takes at least this long.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.shared.settings).latency = latency;
    }

    /// Queries leave out pages younger than this; reading one by id works.
    pub fn set_hide_new_pages(&self, age: Duration) {
        lock(&self.shared.settings).hide_new_pages = age;
    }

    /// On by default: Quo 10 per sliding second, Notion 180 per fixed 60 s window.
    pub fn set_rate_limits(&self, on: bool) {
        lock(&self.shared.settings).rate_limits = on;
    }

    /// All switches at once.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.shared.settings)
    }

    /// The databases as a person sees them; see `render.rs` for the form.
    pub fn render(&self) -> String {
        render::render(&self.world())
    }

    /// New state, no requests, no faults.
    pub fn reset(&self, world: World) {
        serve::reset(&self.shared, world);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.shared.address)); // wakes the accepting thread
    }
}

impl Seen {
    fn is_for_archived(&self) -> bool {
        self.path.ends_with("/query") && self.body["is_archived"] == true
    }

    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    fn to_json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(n, v)| json!([n, v])).collect();
        json!({"vendor": self.vendor.name(), "method": self.method, "path": self.path,
            "query": self.query,
               "status": self.status, "connection": self.connection, "body": self.body,
               "headers": headers})
    }
}
