//! A link: an address that a person may open, or this program fetch.
//!
//! Apart because addresses come in through two doors (deliveries, and Quo's replies) and go out on
//! pages; what is checked once is believed everywhere.

use std::fmt;

use crate::text;

/// Longest address, in UTF-16 units: what Notion takes.
const LONGEST: usize = 2_000;

/// An address of https, or of http to this machine (of use for trying out), that names no user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(String);

impl Link {
    /// Checks an address. `None` for everything that is not to be shown as a link or fetched.
    pub fn parse(written: &str) -> Option<Self> {
        let url = written.trim();
        let usable = !url.contains(|c: char| c.is_whitespace() || text::is_control(c) || c == '\\')
            && url.encode_utf16().count() <= LONGEST
            && authority(url).is_some_and(|(scheme, host)| is_open(scheme, host));
        usable.then(|| Self(url.to_owned()))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme and authority of an address.
fn authority(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    Some((
        scheme,
        rest.split(['/', '?', '#']).next().unwrap_or_default(),
    ))
}

fn is_open(scheme: &str, authority: &str) -> bool {
    // What stands before an @ makes people believe that they see the host.
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let here = ["localhost", "127.0.0.1", "::1"].contains(&host);
    !host.is_empty()
        && (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_addresses_that_hide_nothing_are_links() {
        for good in [
            "https://storage.example.com/a.mp3?sig=a%2Fb&e=1#x",
            "HTTPS://example.com",
            "http://localhost:8080/x",
            "http://[::1]/x",
            "https://example.com/@handle",
        ] {
            assert_eq!(Link::parse(good).map(|link| link.0).as_deref(), Some(good));
        }
        for bad in [
            "",
            "https://",
            "http://example.com/a",
            "ftp://example.com/a",
            "javascript:alert(1)",
            "https://user@example.com/",
            "https://example.com:x@evil.example/",
            "http://localhost@evil.example/",
            "https://exa mple.com/",
            "https://example.com/\u{202e}gpj",
            "https://example.com/a\u{85}b",
            "https:\\\\example.com",
            "//example.com/a",
            &format!("https://example.com/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(Link::parse(bad), None, "{bad}");
        }
        assert_eq!(
            Link::parse(" https://a.example ")
                .map(|link| link.0)
                .as_deref(),
            Some("https://a.example")
        );
    }
}
