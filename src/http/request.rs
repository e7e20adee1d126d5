//! A call not yet sent: what the clients of the APIs build.
//!
//! Apart because it is a plain value; clients build and test it without any network.

use std::fmt;

use serde_json::Value;

use super::url::BaseUrl;

/// What a call does to the vendor's data; it decides what may be retried. A POST that queries is a
/// read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing; may be repeated at will.
    Read,
    /// Creates, changes or removes something.
    Write,
}

/// The methods the vendors use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method as it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One call, not yet sent. `Debug` shows method and path only: query and body are personal data.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the base; begins with `/`, holds no query.
    pub path: String,
    /// Another base than the vendor's (Quo's dated surface). The key goes there too.
    pub base: Option<BaseUrl>,
    /// Keys and values, not yet encoded; keys may repeat.
    pub query: Vec<(String, String)>,
    /// Headers beside the vendor's; one of the same name replaces the vendor's.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub body: Option<Value>,
    /// Read or write.
    pub effect: Effect,
}

impl Request {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path.into(), None)
    }

    /// A POST that writes; see [`Request::reading`].
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Post, path.into(), Some(body))
    }

    /// A PATCH.
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::Patch, path.into(), Some(body))
    }

    /// A DELETE.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path.into(), None)
    }

    /// What is asked, for figures: the method, and the path without ids.
    pub(super) fn operation(&self) -> String {
        let is_id = |part: &str| part.len() > 8 && part.contains(|c: char| c.is_ascii_digit());
        let parts = self.path.split('/');
        let parts: Vec<&str> = parts
            .map(|part| if is_id(part) { "_" } else { part })
            .collect();
        format!("{} {}", self.method.as_str(), parts.join("/"))
    }

    fn new(method: Method, path: String, body: Option<Value>) -> Self {
        let effect = match method {
            Method::Get => Effect::Read,
            Method::Post | Method::Patch | Method::Delete => Effect::Write,
        };
        Self {
            method,
            path,
            base: None,
            query: Vec::new(),
            headers: Vec::new(),
            body,
            effect,
        }
    }

    /// Declares that the call changes nothing, as a query by POST.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.effect = Effect::Read;
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn with_query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((key.into(), value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends the call to another base than the vendor's.
    #[must_use]
    pub fn at(mut self, base: BaseUrl) -> Self {
        self.base = Some(base);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method.as_str(), self.path)
    }
}
