//! Notion's API: headers, routes and refusals. What a request means is in the files of the folder.

mod block;
mod body;
mod database;
mod page;
mod query;
mod upload;
pub mod value;

use serde_json::{Value, json};

use super::http::{Request, Response};
use super::world::{BOT_USER, NotionState};

pub use page::{add_page, edit_page};

const INTEGRATION: &str = "Quo Sync";
const INTEGRATION_ID: &str = "eb92cc52-a766-4500-a001-d02f1eaa7878";

/// The versions that are served; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V2022,
    V2025,
    V2026,
}

impl Version {
    fn of(text: &str) -> Option<Self> {
        match text {
            "2022-06-28" => Some(Self::V2022),
            "2025-09-03" => Some(Self::V2025),
            "2026-03-11" => Some(Self::V2026),
            _ => None,
        }
    }
}

/// An answer that is not the wanted one.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    additional: Value,
}

pub(super) type Answer = Result<Value, Refusal>;

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            additional: Value::Null,
        }
    }

    /// 400 `validation_error` with that message.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "validation_error", message)
    }

    /// 400 for one place of the body: `body failed validation: PLACE should be …`.
    pub(super) fn body(problem: &str) -> Self {
        Self::invalid(format!("body failed validation: {problem}"))
    }

    pub(super) fn missing(kind: &str, id: &str) -> Self {
        let message = format!(
            "Could not find {kind} with ID: {id}. Make sure the relevant pages and databases are \
                shared with your \
             integration \"{INTEGRATION}\"."
        );
        Self::new(404, "object_not_found", message).with(json!({"integration_id": INTEGRATION_ID}))
    }

    fn with(mut self, additional: Value) -> Self {
        self.additional = additional;
        self
    }

    fn url() -> Self {
        Self::new(400, "invalid_request_url", "Invalid request URL.")
    }

    pub(super) fn capability() -> Self {
        Self::new(
            403,
            "restricted_resource",
            "Insufficient permissions for this endpoint.",
        )
    }

    pub(super) fn archived() -> Self {
        Self::invalid(
            "Can't edit block that is archived. You must unarchive the block before editing.",
        )
    }

    pub(super) fn archived_ancestor() -> Self {
        Self::invalid(
            "Can't edit block that has an archived ancestor. You must unarchive the ancestor \
                before editing.",
        )
    }

    fn response(&self) -> Response {
        if self.status == 413 {
            let html = "<html><head><title>413 Request Entity Too Large</title></head></html>";
            return Response::bytes(413, "text/html", html.as_bytes().to_vec());
        }
        let mut body = json!({"object": "error", "status": self.status, "code": self.code,
            "message": self.message});
        if !self.additional.is_null() {
            body["additional_data"] = self.additional.clone();
        }
        Response::json(self.status, &body)
    }
}

/// What a route gets.
pub(super) struct Call<'a> {
    pub request: &'a Request,
    pub version: Version,
    pub body: Value,
}

/// Answers one request; its path still begins with `/v1`.
pub fn handle(notion: &mut NotionState, request: &Request) -> Response {
    match serve(notion, request) {
        Ok(value) => Response::json(200, &value),
        Err(refusal) => refusal.response(),
    }
}

/// The 429 of a used-up window.
pub fn rate_limited(seconds: u64) -> Response {
    let mut refusal = Refusal::new(
        429,
        "rate_limited",
        "You have been rate limited. Please try again later.",
    );
    let reason = "public_api_request_rate_limit";
    refusal.additional = json!({"rate_limit_reason": reason, "retry_after": seconds.to_string()});
    refusal.response().with("retry-after", &seconds.to_string())
}

/// Puts the request id into a JSON answer and its header.
pub fn finish(mut response: Response, id: &str) -> Response {
    if let Ok(mut body) = serde_json::from_slice::<Value>(&response.body)
        && body.is_object()
    {
        body["request_id"] = json!(id);
        response.body = body.to_string().into_bytes();
        response = response.with("x-notion-request-id", id);
    }
    response
}

/// Turns the answer of a write that was done into the 503 "The change was saved"; other answers
/// stay.
pub fn saved_but_503(request: &Request, real: Response) -> Response {
    if real.status != 200 || request.method == "GET" {
        return real;
    }
    let body: Value = serde_json::from_slice(&real.body).unwrap_or_default();
    let mut additional = json!({"from": "publicApi.pageObjectPointerToPageObject.beforePreload",
        "elapsed_ms": "55012", "deadline_ms": "55000",
        "retry_guidance": ["Read the object again to confirm the saved change.", "Do not repeat \
            the write."]});
    let segments = request.segments();
    if request.method == "POST" && request.path == "/v1/pages" {
        additional["committed_resource_id"] = body["id"].clone();
    } else if request.path.ends_with("/children") {
        let sent = request.json()["children"].as_array().map_or(0, Vec::len);
        let new = body["results"]
            .as_array()
            .into_iter()
            .flatten()
            .take(sent)
            .map(|b| b["id"].clone());
        additional["committed_child_ids"] = new.collect();
        additional["committed_resource_id"] = json!(uuid(&segments[2]).unwrap_or_default());
    }
    let message = "The change was saved, but the response could not be built in time. Read the \
        object again instead of \
                   repeating the write.";
    let refusal = Refusal::new(503, "service_unavailable", message).with(additional);
    let id = body["request_id"].as_str().unwrap_or_default().to_owned();
    finish(refusal.response(), &id)
}

fn serve(notion: &mut NotionState, request: &Request) -> Answer {
    authorize(notion, request)?;
    let version = version_of(request)?;
    if request.body.len() > 500 * 1024 && !request.path.ends_with("/send") {
        return Err(Refusal::new(
            413,
            "validation_error",
            "Request body too large.",
        ));
    }
    let body = body_of(request)?;
    route(
        notion,
        &Call {
            request,
            version,
            body,
        },
    )
}

fn authorize(notion: &NotionState, request: &Request) -> Result<(), Refusal> {
    let unauthorized = |message: &str| Err(Refusal::new(401, "unauthorized", message));
    match request
        .header("authorization")
        .and_then(|a| a.strip_prefix("Bearer "))
    {
        None => unauthorized("Authorization header must use the format \"Bearer <token>\"."),
        Some(token) if token != notion.key => unauthorized("API token is invalid."),
        Some(_) => Ok(()),
    }
}

fn version_of(request: &Request) -> Result<Version, Refusal> {
    let field = "Notion-Version header";
    let Some(text) = request.header("notion-version") else {
        let message = format!(
            "{field} failed validation: {field} should be defined, instead was `undefined`."
        );
        return Err(Refusal::new(400, "missing_version", message));
    };
    let wanted = "`\"2022-06-28\"`, `\"2025-09-03\"` or `\"2026-03-11\"`";
    let message =
        format!("{field} failed validation: {field} should be {wanted}, instead was `\"{text}\"`.");
    Version::of(text).ok_or_else(|| Refusal::new(400, "validation_error", message))
}

fn body_of(request: &Request) -> Answer {
    if request.body.is_empty() || request.path.ends_with("/send") {
        return Ok(Value::Null);
    }
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Refusal::new(
            400,
            "invalid_json",
            "Error parsing JSON body.",
        ));
    }
    serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::new(400, "invalid_json", "Error parsing JSON body."))
}

fn route(notion: &mut NotionState, call: &Call<'_>) -> Answer {
    let segments = call.request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let old = call.version == Version::V2022;
    match (call.request.method.as_str(), parts.as_slice()) {
        ("GET", ["v1", "users", "me"]) => Ok(me()),
        ("GET", ["v1", "users", id]) => user(id),
        ("POST", ["v1", "search"]) => database::search(notion, call),
        ("GET", ["v1", "databases", id]) => {
            database::retrieve(notion, call, &path_id("database_id", id)?)
        }
        ("PATCH", ["v1", "databases", id]) => {
            database::update(notion, call, &path_id("database_id", id)?)
        }
        ("POST", ["v1", "databases", id, "query"]) if old => {
            query::database(notion, call, &path_id("database_id", id)?)
        }
        ("GET", ["v1", "data_sources", id]) if !old => {
            database::retrieve_source(notion, &path_id("data_source_id", id)?)
        }
        ("PATCH", ["v1", "data_sources", id]) if !old => {
            database::update_source(notion, call, &path_id("data_source_id", id)?)
        }
        ("POST", ["v1", "data_sources", id, "query"]) if !old => {
            query::source(notion, call, &path_id("data_source_id", id)?)
        }
        ("POST", ["v1", "pages"]) => page::create(notion, call),
        ("GET", ["v1", "pages", id]) => page::retrieve(notion, call, &path_id("page_id", id)?),
        ("PATCH", ["v1", "pages", id]) => page::update(notion, call, &path_id("page_id", id)?),
        ("GET", ["v1", "pages", id, "properties", property]) => {
            page::property(notion, call, (&path_id("page_id", id)?, property))
        }
        ("GET", ["v1", "blocks", id]) => block::retrieve(notion, call, &path_id("block_id", id)?),
        ("PATCH", ["v1", "blocks", id]) => block::update(notion, call, &path_id("block_id", id)?),
        ("DELETE", ["v1", "blocks", id]) => block::delete(notion, call, &path_id("block_id", id)?),
        ("GET", ["v1", "blocks", id, "children"]) => {
            block::list(notion, call, &path_id("block_id", id)?)
        }
        ("PATCH", ["v1", "blocks", id, "children"]) => {
            block::append(notion, call, &path_id("block_id", id)?)
        }
        ("POST", ["v1", "file_uploads"]) => upload::create(notion, call),
        ("GET", ["v1", "file_uploads", id]) => {
            upload::retrieve(notion, &path_id("file_upload_id", id)?)
        }
        ("POST", ["v1", "file_uploads", id, "send"]) => {
            upload::send(notion, call.request, &path_id("file_upload_id", id)?)
        }
        ("POST", ["v1", "file_uploads", id, "complete"]) => {
            upload::complete(notion, &path_id("file_upload_id", id)?)
        }
        _ => Err(Refusal::url()),
    }
}

fn me() -> Value {
    let mut me = super::demo::fixture("notion/users_me.json");
    me.as_object_mut().unwrap().remove("request_id");
    me
}

fn user(id: &str) -> Answer {
    let id = path_id("user_id", id)?;
    if id == BOT_USER {
        return Ok(me());
    }
    let person = json!({"object": "user", "id": id, "name": "Mara Okafor", "avatar_url": null,
        "type": "person",
                        "person": {"email": "mara@example.com"}});
    if id == super::world::PERSON_USER {
        Ok(person)
    } else {
        Err(Refusal::missing("user", &id))
    }
}

/// The dashed form of an id in a path; the text of the refusal is the recorded one.
fn path_id(name: &str, id: &str) -> Result<String, Refusal> {
    let shown = format!(
        "path failed validation: path.{name} should be a valid uuid, instead was `\"{id}\"`."
    );
    uuid(id).ok_or_else(|| Refusal::invalid(shown))
}

/// The dashed lower-case form of a UUID with sound version and variant digits.
pub fn uuid(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|c| *c != '-')
        .collect::<String>()
        .to_ascii_lowercase();
    let dashed_right = !text.contains('-')
        || (text.len() == 36 && [8, 13, 18, 23].iter().all(|i| text.as_bytes()[*i] == b'-'));
    let sound = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) && dashed_right;
    if !sound || !"12345678".contains(&digits[12..13]) || !"89ab".contains(&digits[16..17]) {
        return None;
    }
    let d = &digits;
    Some(format!(
        "{}-{}-{}-{}-{}",
        &d[..8],
        &d[8..12],
        &d[12..16],
        &d[16..20],
        &d[20..]
    ))
}

/// One page of a list: `page_size` and `start_cursor` from body or query; rows past the cap are cut
/// off.
pub(super) struct Paging {
    pub size: usize,
    pub start: Option<String>,
}

impl Paging {
    /// From the query string of a GET.
    pub fn of_query(request: &Request) -> Result<Self, Refusal> {
        let size = request.one("page_size");
        let number = size
            .as_deref()
            .map(|s| s.parse::<usize>().ok().filter(|n| *n <= 100));
        if number == Some(None) {
            let size = size.unwrap_or_default();
            let shown = format!(
                "query failed validation: query.page_size should be ≤ `100`, instead was `{size}`."
            );
            return Err(Refusal::invalid(shown));
        }
        let start = request.one("start_cursor");
        if let Some(cursor) = start.as_deref().filter(|c| uuid(c).is_none()) {
            return Err(Refusal::invalid(format!(
                "query failed validation: query.start_cursor should be a valid uuid or \
                    `undefined`, instead was \
                 `\"{cursor}\"`."
            )));
        }
        Ok(Self {
            size: number.flatten().filter(|n| *n > 0).unwrap_or(100),
            start,
        })
    }

    /// From the body of a POST.
    pub fn of_body(body: &Value, version: Version) -> Result<Self, Refusal> {
        let size = match &body["page_size"] {
            Value::Null => 0,
            Value::Number(n) if n.as_u64().is_some_and(|n| n <= 100) => n.as_u64().unwrap_or(0),
            Value::Number(n) => {
                return Err(Refusal::body(&format!(
                    "body.page_size should be ≤ `100`, instead was `{n}`."
                )));
            }
            other => {
                return Err(body::wrong(
                    "body.page_size",
                    "a number or `undefined`",
                    other,
                ));
            }
        };
        let start = match &body["start_cursor"] {
            Value::Null => None,
            Value::String(s) if version > Version::V2022 || uuid(s).is_some() => Some(s.clone()),
            other => {
                return Err(body::wrong(
                    "body.start_cursor",
                    "a valid uuid or `undefined`",
                    other,
                ));
            }
        };
        let size = if size == 0 {
            100
        } else {
            usize::try_from(size).unwrap_or(100)
        };
        Ok(Self { size, start })
    }

    /// Cuts the page out of all ids: its ids and the cursor of the next one.
    pub fn cut(
        &self,
        notion: &mut NotionState,
        ids: &[String],
        version: Version,
    ) -> Result<Page, Refusal> {
        let from = match &self.start {
            None => 0,
            Some(cursor) => {
                let first = notion.cursors.get(cursor);
                let position = first.and_then(|id| ids.iter().position(|i| i == id));
                position.ok_or_else(|| {
                    Refusal::invalid(format!("The start_cursor provided is invalid: {cursor}"))
                })?
            }
        };
        let to = (from + self.size).min(ids.len());
        let next = (to < ids.len()).then(|| {
            let plain = notion.next_uuid();
            let cursor = if version > Version::V2022 {
                format!("s:{plain}:{}", ids[to - 1])
            } else {
                plain
            };
            notion.cursors.insert(cursor.clone(), ids[to].clone());
            cursor
        });
        Ok(Page {
            ids: ids[from..to].to_vec(),
            next,
            last: to == ids.len(),
        })
    }
}

pub(super) struct Page {
    pub ids: Vec<String>,
    pub next: Option<String>,
    pub last: bool,
}

impl Page {
    /// The standard list envelope.
    pub fn envelope(&self, kind: &str, results: Vec<Value>) -> Value {
        json!({"object": "list", "results": results, "next_cursor": self.next,
            "has_more": self.next.is_some(),
               "type": kind, kind: {}})
    }
}
