//! What tests of clients, entries and faults share: altered samples, requests in short, a look at
//! one page.

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample_json};
use crate::standin::world::Page;
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Vendor};

/// Requests to Notion as [`User::notion_log`] gives them.
pub const SCHEMA: &str = "GET /v1/databases/_ -> 200";
pub const QUERY: &str = "POST /v1/databases/_/query -> 200";
pub const CREATE: &str = "POST /v1/pages -> 200";
pub const READ: &str = "GET /v1/pages/_ -> 200";
pub const UPDATE: &str = "PATCH /v1/pages/_ -> 200";
pub const APPEND: &str = "PATCH /v1/blocks/_/children -> 200";
pub const LIST: &str = "GET /v1/blocks/_/children -> 200";
pub const REWORD: &str = "PATCH /v1/blocks/_ -> 200";

/// The caller of most samples, as written on a page without name.
pub const ROSA: &str = "+12025550147";
/// A message of Rosa's, with her contact id.
pub const MESSAGE: &str = "legacy-v4.message.received";

impl User {
    /// Syncs one delivery.
    pub fn deliver(&self, event: &Json) -> Run {
        self.run::<&str>(&[], event.to_string().as_bytes())
    }

    /// Syncs many deliveries in one run, a line each.
    pub fn deliver_all(&self, events: &[Json]) -> Run {
        self.run::<&str>(&[], &stream(events))
    }

    /// Puts settings before those in `quotion.toml`.
    pub fn configure(&self, toml: &str) {
        let others = std::fs::read_to_string(self.path("quotion.toml")).unwrap_or_default();
        std::fs::write(self.path("quotion.toml"), format!("{toml}{others}"))
            .expect("a config file");
    }

    /// Requests to Notion since the last look, ids as `_`. Of writes that go side by side those to
    /// pages come first.
    pub fn notion_log(&self) -> Vec<String> {
        let mut log: Vec<String> = self
            .vendors
            .log(Vendor::Notion)
            .iter()
            .map(|line| without_ids(line))
            .collect();
        let side_by_side =
            |a: &String, b: &String| a.starts_with("PATCH") && b.starts_with("PATCH");
        for writes in log.chunk_by_mut(side_by_side) {
            writes.sort_by_key(|line| !line.starts_with("PATCH /v1/pages/"));
        }
        self.vendors.clear_requests();
        log
    }

    /// Requests to Quo since the last look.
    pub fn quo_log(&self) -> Vec<String> {
        let log = self.vendors.log(Vendor::Quo);
        self.vendors.clear_requests();
        log
    }

    /// Adds a row to Clients as a person would, with a phone number and no title.
    pub fn add_client(&self, phone: &str) -> String {
        self.add_row(&json!({"Phone": {"phone_number": phone}}))
    }

    /// Adds a row to Clients as a person would; values in write form.
    pub fn add_row(&self, properties: &Json) -> String {
        let notion = &mut self.vendors.world().notion;
        // Before anything of ours happened.
        let clock = notion.clock;
        notion.clock = clock.or_else(|| "2026-09-01T00:00:00Z".parse().ok());
        let page = notion.add_page(CLIENTS_DATABASE, properties);
        notion.clock = clock;
        page
    }

    /// The only client page.
    #[track_caller]
    pub fn page(&self) -> String {
        let world = self.vendors.world();
        let rows = world.notion.rows(CLIENTS_DATABASE);
        assert_eq!(rows.len(), 1, "one client expected");
        rows[0].id.clone()
    }

    /// Entries of the client with that number, as activity ids in the order in which they stand
    /// there.
    pub fn entries_of(&self, phone: &str) -> Vec<String> {
        let world = self.vendors.world();
        let is_of = |page: &&&Page| world.notion.text(&page.id, "Phone") == phone;
        let rows = world.notion.rows(CLIENTS_DATABASE);
        let pages: Vec<_> = rows.iter().filter(is_of).collect();
        assert!(pages.len() < 2, "{phone} has {} pages", pages.len());
        let blocks = pages
            .iter()
            .flat_map(|page| &page.children)
            .map(|id| &world.notion.blocks[id]);
        blocks
            .filter(|block| !block.in_trash)
            .map(|block| mark(&block.data["rich_text"]))
            .collect()
    }

    /// A property of the only client page, as a person reads it.
    #[track_caller]
    pub fn property(&self, name: &str) -> String {
        let page = self.page();
        self.vendors.world().notion.text(&page, name)
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.vendors.add_fault(fault);
    }

    /// Lines of a log in the folder `.tmp`, as JSON.
    pub fn critical_lines(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.path(".tmp/sync_errors.log")).unwrap_or_default();
        let again =
            std::fs::read_to_string(self.path(".tmp/critical_errors.log")).unwrap_or_default();
        assert_eq!(text, again, "both logs say the same");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a JSON line"))
            .collect()
    }
}

/// A sample with some values replaced, each by its JSON pointer.
pub fn altered(sample: &str, changes: &[(&str, Json)]) -> Json {
    let mut event = sample_json(sample);
    for (pointer, value) in changes {
        *event
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{sample} has no {pointer}")) = value.clone();
    }
    event
}

/// Rosa's message as another one: event and activity get that number, and the time is given.
pub fn message(number: u32, at: &str) -> Json {
    let (event, activity) = (format!("EV{number:032}"), format!("AC{number:032}"));
    let at = ("/data/object/createdAt", json!(at));
    altered(
        MESSAGE,
        &[
            ("/id", json!(event)),
            ("/data/object/id", json!(activity)),
            at,
        ],
    )
}

/// A message from another number, without contact ids.
pub fn message_from(number: u32, phone: &str) -> Json {
    let mut event = message(number, "2026-10-01T17:00:00Z");
    event["data"]["object"]["from"] = json!(phone);
    event["data"]["object"]["contactIds"] = json!([]);
    event
}

/// A text of its own from that number: later the higher its own number, which must be below 10,800.
pub fn text(number: u32, phone: &str) -> Json {
    let (hour, minute, second) = (17 + number / 3600, number / 60 % 60, number % 60);
    let mut event = message(
        number,
        &format!("2026-10-01T{hour}:{minute:02}:{second:02}Z"),
    );
    event["data"]["object"]["from"] = json!(phone);
    event["data"]["object"]["contactIds"] = json!([]);
    event["data"]["object"]["text"] = json!(format!("text {number}"));
    event
}

/// Deliveries one after another, a line each.
pub fn stream(events: &[Json]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| format!("{event}\n").into_bytes())
        .collect()
}

/// Ids of the events, in order.
pub fn ids(events: &[Json]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["id"].as_str().expect("an event id"))
        .collect()
}

/// The id of the call or message that an event of an old generation speaks of.
pub fn activity(event: &Json) -> &str {
    let object = &event["data"]["object"];
    object["callId"]
        .as_str()
        .or(object["id"].as_str())
        .expect("an activity id")
}

/// An answer without further headers.
pub fn status(code: u16, body: &str) -> Act {
    Act::Status {
        code,
        headers: vec![],
        body: body.to_owned(),
    }
}

/// Quo's own error, as its gateway words it.
pub fn quo_error(code: u16) -> Act {
    let body = json!({"error": {"message": "No.", "key": "Refused", "trace": "t-1"}});
    status(code, &body.to_string())
}

/// Notion's own error.
pub fn notion_error(status: u16, code: &str, message: &str) -> Act {
    Act::NotionError {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
        additional: Json::Null,
    }
}

/// The activity id at the end of an entry's first line.
fn mark(text: &Json) -> String {
    let whole: String = text
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part["plain_text"].as_str())
        .collect();
    whole
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next())
        .unwrap_or_default()
        .to_owned()
}

fn without_ids(line: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let short = |part: &str| match part.split_once(' ') {
        Some((word, rest)) if is_id(word) => format!("_ {rest}"),
        None if is_id(part) => "_".to_owned(),
        Some(_) | None => part.to_owned(),
    };
    line.split('/').map(short).collect::<Vec<_>>().join("/")
}
