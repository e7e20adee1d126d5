//! HTTP/1.1 as little as the stand-in needs: a request is cut out of bytes, an answer is written to
//! bytes. Knows nothing of the vendors, so that the routes read as plain functions from request to
//! answer.

use std::io::{self, Write};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Still percent-encoded, without the query.
    pub path: String,
    /// Still percent-encoded, without the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The query's pairs in order; a `+` that was not encoded becomes a space, as servers do.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let decode = |s: &str| {
            percent_decode_str(&s.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = self.query.split('&').filter(|p| !p.is_empty());
        pairs
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .map(|(k, v)| (decode(k), decode(v)))
            .collect()
    }

    /// All values of one query key.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.pairs()
            .into_iter()
            .filter(|(k, _)| k == key)
            .map(|(_, v)| v)
            .collect()
    }

    /// The first value of one query key.
    pub fn one(&self, key: &str) -> Option<String> {
        self.all(key).into_iter().next()
    }

    /// The path's segments, decoded.
    pub fn segments(&self) -> Vec<String> {
        let parts = self.path.split('/').filter(|p| !p.is_empty());
        parts
            .map(|p| percent_decode_str(p).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// The body as JSON, `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// What is sent back.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        let body = if status == 204 {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let headers = vec![(
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        )];
        Self {
            status,
            headers,
            body,
        }
    }

    /// An answer with a body of any kind.
    pub fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    /// Adds one header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the answer; `body_bytes` short of the whole leaves a truncated body behind.
    pub fn write(&self, to: &mut impl Write, body_bytes: usize) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != 204 {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut out = head.into_bytes();
        out.extend_from_slice(&self.body[..body_bytes.min(self.body.len())]);
        to.write_all(&out)?;
        to.flush()
    }
}

/// Cuts one request off the front of the bytes: the request and its length, or `None` when more
/// must come.
pub fn parse(bytes: &[u8]) -> Option<Result<(Request, usize), &'static str>> {
    let head_end = find(bytes, b"\r\n\r\n")?;
    let Ok(head) = std::str::from_utf8(&bytes[..head_end]) else {
        return Some(Err("head is not UTF-8"));
    };
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target), Some(_)) = (first.next(), first.next(), first.next()) else {
        return Some(Err("bad request line"));
    };
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: vec![],
    };
    let rest = &bytes[head_end + 4..];
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    let used = if chunked {
        unchunk(rest, &mut request.body)?
    } else {
        fixed(rest, &mut request)?
    };
    Some(Ok((request, head_end + 4 + used)))
}

/// True when the client waits for `100 Continue` before it sends the body.
pub fn expects_continue(bytes: &[u8]) -> bool {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    head.contains("\r\nexpect: 100-continue") && bytes.len() == end + 4
}

fn fixed(rest: &[u8], request: &mut Request) -> Option<usize> {
    let length = request
        .header("content-length")
        .and_then(|l| l.parse::<usize>().ok())
        .unwrap_or(0);
    request.body = rest.get(..length)?.to_vec();
    Some(length)
}

fn unchunk(mut rest: &[u8], body: &mut Vec<u8>) -> Option<usize> {
    let whole = rest.len();
    loop {
        let line_end = find(rest, b"\r\n")?;
        let line = std::str::from_utf8(&rest[..line_end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[line_end + 2..];
        let chunk = rest.get(..size + 2)?;
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[size + 2..];
        if size == 0 {
            return Some(whole - rest.len());
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
