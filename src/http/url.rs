//! Addresses: the checked base of an API, and how a path and a query are joined to it.
//!
//! Apart because it is pure, and because the rule "https, or this machine" is kept by the type
//! alone: no other code has to ask whether a key may be sent there.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 is encoded, so that a `+` arrives as a
/// plus.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where an API lives: `https`, or `http` to this machine only; never with user info, query or
/// fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Checks an address and drops its trailing slashes. The message never repeats the address,
    /// which may hold a password where none is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('/');
        if text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
        {
            return Err("an address has no spaces, control characters or backslashes".to_owned());
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("an address begins with https://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("an address holds no user name or password".to_owned());
        }
        if rest.contains(['?', '#']) {
            return Err("an address has no query and no fragment".to_owned());
        }
        if !is_plain_path(&format!("/{path}")) {
            return Err("the address has a path that cannot be used".to_owned());
        }
        let host = host_of(authority)?;
        match scheme.to_ascii_lowercase().as_str() {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err("http is allowed to this machine only; use https".to_owned()),
            _ => return Err("an address begins with https://".to_owned()),
        }
        Ok(Self(format!("{}://{rest}", scheme.to_ascii_lowercase())))
    }

    /// The address, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The base with a trailing `/v1`, written or not.
    #[must_use]
    pub fn with_version(self) -> Self {
        Self(format!("{}/v1", self.without_version()))
    }

    /// The base without a trailing `/v1`: Quo's dated surface lives beside `/v1`, not below it.
    #[must_use]
    pub fn without_version(&self) -> Self {
        Self(self.0.strip_suffix("/v1").unwrap_or(&self.0).to_owned())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Joins base, path and query; keys and values of the query are encoded here. An empty path is the
/// base itself. `None` when the path could lead elsewhere than below the base.
pub(super) fn join(base: &BaseUrl, path: &str, query: &[(String, String)]) -> Option<String> {
    if !path.is_empty() && !is_plain_path(path) {
        return None;
    }
    let mut url = format!("{base}{path}");
    for (index, (key, value)) in query.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.extend(utf8_percent_encode(key, QUERY));
        url.push('=');
        url.extend(utf8_percent_encode(value, QUERY));
    }
    Some(url)
}

/// True for a path of plain segments: no `..`, no query, nothing that is not allowed in a path.
fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-._~%:@!$&'()*+,;=".contains(&b))
        && path
            .split('/')
            .all(|segment| segment != ".." && segment != ".")
}

fn host_of(authority: &str) -> Result<&str, String> {
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside
            .find(']')
            .map(|at| at + 2)
            .ok_or("the address has an open bracket")?,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    match port.strip_prefix(':').map(str::parse::<u16>) {
        None if port.is_empty() => Ok(host),
        Some(Ok(1..)) => Ok(host),
        None | Some(_) => Err("the address has a port that is not a number".to_owned()),
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(v6) => v6.parse() == Ok(Ipv6Addr::LOCALHOST),
        None => {
            host.eq_ignore_ascii_case("localhost")
                || host.parse::<Ipv4Addr>().is_ok_and(|v4| v4.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(
            BaseUrl::parse(input).ok().as_ref().map(BaseUrl::as_str),
            expected,
            "{input}"
        );
    }

    #[test]
    fn base_is_https_or_this_machine() {
        check("https://api.notion.com", Some("https://api.notion.com"));
        check(" HTTPS://api.quo.com/v1// ", Some("https://api.quo.com/v1"));
        check("http://127.0.0.1:8080/", Some("http://127.0.0.1:8080"));
        check("http://127.9.9.9", Some("http://127.9.9.9"));
        check("http://[::1]:80/x", Some("http://[::1]:80/x"));
        check("http://LocalHost:1", Some("http://LocalHost:1"));
        for refused in [
            "",
            "api.notion.com",
            "https://",
            "https:///v1",
            "https://:443",
            "http://api.notion.com",
            "http://localhost.evil.com",
            "http://127.0.0.1.evil.com",
            "http://128.0.0.1",
            "http://[::2]",
            "http://[::1",
            "http://[::1]x",
            "ftp://127.0.0.1",
            "https://user:pw@api.notion.com",
            "http://127.0.0.1@evil.com",
            "https://api.notion.com?x=1",
            "https://api.notion.com/#a",
            "https://api.notion.com/../x",
            "https://api notion.com",
            "https://api.notion.com\\@evil.com",
            "https://h:port",
            "https://h:0",
            "https://h:70000",
            "https://h:",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn refusal_does_not_repeat_a_password() {
        assert!(
            !BaseUrl::parse("https://user:hunter2@host")
                .unwrap_err()
                .contains("hunter2")
        );
    }

    #[test]
    fn version_may_be_left_out() {
        let with = |text| BaseUrl::parse(text).unwrap().with_version().0;
        assert_eq!(with("https://api.quo.com/v1/"), "https://api.quo.com/v1");
        assert_eq!(with("https://api.quo.com"), "https://api.quo.com/v1");
        assert_eq!(with("https://api.quo.com/x"), "https://api.quo.com/x/v1");
    }

    #[test]
    fn version_is_dropped_only_at_the_end() {
        let without = |text| BaseUrl::parse(text).unwrap().without_version().0;
        assert_eq!(without("https://api.quo.com/v1/"), "https://api.quo.com");
        assert_eq!(without("https://api.quo.com"), "https://api.quo.com");
        assert_eq!(
            without("https://api.quo.com/v1/x"),
            "https://api.quo.com/v1/x"
        );
    }

    #[test]
    fn query_is_encoded_and_keys_repeat() {
        let base = BaseUrl::parse("https://api.quo.com/v1").unwrap();
        let query = [
            ("participants", "+14155550100"),
            ("participants", "a b&c=é"),
            ("q", ""),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            join(&base, "/calls", &query).unwrap(),
            "https://api.quo.com/v1/calls?participants=%2B14155550100\
             &participants=a%20b%26c%3D%C3%A9&q="
        );
    }

    #[test]
    fn path_stays_below_the_base() {
        let base = BaseUrl::parse("https://api.quo.com/v1").unwrap();
        for path in [
            "calls", "/../x", "/a/./b", "/a?b", "/a#b", "/a b", "/a\nb", "/a\\b", "/é",
        ] {
            assert_eq!(join(&base, path, &[]), None, "{path:?}");
        }
        assert!(join(&base, "/webhooks/WH-1_2~3", &[]).is_some());
        assert_eq!(
            join(&base, "", &[]).as_deref(),
            Some("https://api.quo.com/v1")
        );
    }
}
