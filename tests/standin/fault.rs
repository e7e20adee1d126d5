//! Faults: which request goes wrong, and how. Knows HTTP but not what the routes mean.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Request, Response};

/// Whose surface a request went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Both Quo surfaces.
    Quo,
    Notion,
    /// Stored audio under `/files/`.
    Files,
}

impl Vendor {
    /// Lower-case name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Vendor::Quo => "quo",
            Vendor::Notion => "notion",
            Vendor::Files => "files",
        }
    }
}

/// Before the vendor has done anything, or after it has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    AfterApply,
}

/// What goes wrong.
#[derive(Clone)]
pub enum Act {
    /// This answer instead.
    Status {
        code: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// A Notion error body instead; `additional` becomes `additional_data` unless it is null.
    NotionError {
        status: u16,
        code: String,
        message: String,
        additional: Value,
    },
    /// The connection ends in good order without an answer (FIN).
    DropConnection,
    /// The connection is reset (RST).
    ResetConnection,
    /// Nothing for so long, then the connection ends.
    Hang(Duration),
    /// The right answer, so much later.
    Delay(Duration),
    /// The right head, half of the body, end.
    TruncateBody,
    /// Bytes that are no HTTP.
    Garbage,
    /// Does the write and answers 503 "The change was saved" with the committed ids.
    SavedBut503,
    /// Runs the closure, then drops the connection.
    Call(Arc<dyn Fn() + Send + Sync>),
}

/// One fault. Without `nth` and `times` it hits every matching request.
#[derive(Clone)]
pub struct Fault {
    pub vendor: Vendor,
    pub method: Option<String>,
    /// Looked for in the path without vendor prefix, e.g. `/v1/pages`.
    pub path_contains: Option<String>,
    /// Looked for in the bytes of the body, as they are sent.
    pub body_contains: Option<String>,
    /// From the n-th matching request on, counted from 1; alone it means that one only.
    pub nth: Option<usize>,
    /// So many times.
    pub times: Option<usize>,
    pub when: When,
    pub act: Act,
}

impl Fault {
    /// A fault that hits every request to that vendor, before it is applied.
    pub fn new(vendor: Vendor, act: Act) -> Self {
        let (method, path_contains, body_contains) = (None, None, None);
        Self {
            vendor,
            method,
            path_contains,
            body_contains,
            nth: None,
            times: None,
            when: When::Before,
            act,
        }
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    pub fn path(mut self, part: &str) -> Self {
        self.path_contains = Some(part.to_owned());
        self
    }

    pub fn body(mut self, part: &str) -> Self {
        self.body_contains = Some(part.to_owned());
        self
    }

    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = Some(nth);
        self
    }

    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    pub fn after(mut self) -> Self {
        self.when = When::AfterApply;
        self
    }

    /// Reads the JSON form of `POST /_faults`:
    /// `{"vendor","method","path","body","nth","times","when":"after","act":…}`. `act` is `"drop"`,
    /// `"reset"`, `"truncate"`, `"garbage"`, `"saved_503"`, `{"hang_ms":n}`, `{"delay_ms":n}`,
    /// `{"status":n,"headers":{…},"body":…}` or
    /// `{"notion_error":{"status","code","message","additional"}}`.
    pub fn from_json(json: &Value) -> Result<Self, String> {
        let vendor = match json["vendor"].as_str() {
            Some("quo") => Vendor::Quo,
            Some("notion") => Vendor::Notion,
            Some("files") => Vendor::Files,
            Some(_) | None => return Err("vendor: quo, notion or files".to_owned()),
        };
        let number = |key: &str| json[key].as_u64().and_then(|n| usize::try_from(n).ok());
        let mut fault = Fault::new(vendor, act_from_json(&json["act"])?);
        fault.method = json["method"].as_str().map(str::to_owned);
        fault.path_contains = json["path"].as_str().map(str::to_owned);
        fault.body_contains = json["body"].as_str().map(str::to_owned);
        fault.nth = number("nth");
        fault.times = number("times");
        if json["when"] == "after" {
            fault.when = When::AfterApply;
        }
        Ok(fault)
    }
}

fn act_from_json(json: &Value) -> Result<Act, String> {
    let millis = |key: &str| json[key].as_u64().map(Duration::from_millis);
    if let Some(name) = json.as_str() {
        return match name {
            "drop" => Ok(Act::DropConnection),
            "reset" => Ok(Act::ResetConnection),
            "truncate" => Ok(Act::TruncateBody),
            "garbage" => Ok(Act::Garbage),
            "saved_503" => Ok(Act::SavedBut503),
            other => Err(format!("unknown act {other}")),
        };
    }
    if let Some(time) = millis("hang_ms") {
        return Ok(Act::Hang(time));
    }
    if let Some(time) = millis("delay_ms") {
        return Ok(Act::Delay(time));
    }
    let code = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok());
    if let Some(error) = json.get("notion_error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        return Ok(Act::NotionError {
            status: code(&error["status"]).unwrap_or(400),
            code: text("code"),
            message: text("message"),
            additional: error["additional"].clone(),
        });
    }
    let Some(status) = code(&json["status"]) else {
        return Err("unknown act".to_owned());
    };
    let headers = json["headers"].as_object().into_iter().flatten();
    let headers = headers
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect();
    let body = json["body"]
        .as_str()
        .map_or_else(|| json["body"].to_string(), str::to_owned);
    Ok(Act::Status {
        code: status,
        headers,
        body,
    })
}

/// The faults of a stand-in, with how often each matched and fired.
#[derive(Default)]
pub struct Faults(Vec<Armed>);

struct Armed {
    fault: Fault,
    matched: usize,
    fired: usize,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(Armed {
            fault,
            matched: 0,
            fired: 0,
        });
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Faults that never fired.
    pub fn unused(&self) -> usize {
        self.0.iter().filter(|a| a.fired == 0).count()
    }

    /// True while some fault may reset a connection (the bytes must then stay unread).
    pub fn may_reset(&self) -> bool {
        self.0
            .iter()
            .any(|a| matches!(a.fault.act, Act::ResetConnection))
    }

    /// Counts the request against every fault and gives the first that is due.
    pub fn take(&mut self, vendor: Vendor, request: &Request) -> Option<Fault> {
        let mut due = None;
        for armed in &mut self.0 {
            if !matches(&armed.fault, vendor, request) {
                continue;
            }
            armed.matched += 1;
            if due.is_none() && is_due(armed) {
                armed.fired += 1;
                due = Some(armed.fault.clone());
            }
        }
        due
    }
}

fn matches(fault: &Fault, vendor: Vendor, request: &Request) -> bool {
    let holds = |part: &String| {
        request
            .body
            .windows(part.len())
            .any(|window| window == part.as_bytes())
    };
    // Searches among archived pages are left in peace, unless they are meant.
    let is_for_archived = holds(&"is_archived".to_owned());
    let means_them = fault.body_contains.as_deref() == Some("is_archived");
    fault.vendor == vendor
        && is_for_archived == means_them
        && fault
            .method
            .as_ref()
            .is_none_or(|m| m.eq_ignore_ascii_case(&request.method))
        && fault
            .path_contains
            .as_ref()
            .is_none_or(|p| request.path.contains(p.as_str()))
        && fault.body_contains.as_ref().is_none_or(holds)
}

fn is_due(armed: &Armed) -> bool {
    let times = match (armed.fault.nth, armed.fault.times) {
        (_, Some(times)) => times,
        (Some(_), None) => 1,
        (None, None) => usize::MAX,
    };
    armed.matched >= armed.fault.nth.unwrap_or(1) && armed.fired < times
}

/// The answer of a fault that is only an answer.
pub fn answer(act: &Act) -> Option<Response> {
    match act {
        Act::Status {
            code,
            headers,
            body,
        } => {
            let kind = if body.trim_start().starts_with('<') {
                "text/html"
            } else {
                "application/json"
            };
            let mut response = Response::bytes(*code, kind, body.clone().into_bytes());
            if headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
            {
                response.headers.clear();
            }
            response.headers.extend(headers.iter().cloned());
            Some(response)
        }
        Act::NotionError {
            status,
            code,
            message,
            additional,
        } => {
            let mut body =
                json!({"object": "error", "status": status, "code": code, "message": message});
            if !additional.is_null() {
                body["additional_data"] = additional.clone();
            }
            let mut response = Response::json(*status, &body);
            if let Some(seconds) = additional["retry_after"].as_str() {
                response = response.with("retry-after", seconds);
            }
            Some(response)
        }
        Act::DropConnection
        | Act::ResetConnection
        | Act::Hang(_)
        | Act::Delay(_)
        | Act::TruncateBody
        | Act::Garbage
        | Act::SavedBut503
        | Act::Call(_) => None,
    }
}
