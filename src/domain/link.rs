//! A link: an address that a person may open, or this program fetch.
//!
//! Apart because addresses come in through two doors (deliveries, and Quo's replies) and go out on
//! pages; what is checked once is believed everywhere.

use std::fmt;

use crate::text;

/// Longest address, in bytes; signed ones have some hundreds.
const LONGEST: usize = 16 * 1024;

/// An address of https, or of http to this machine (of use for trying out), that names no user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(String);

impl Link {
    /// Checks an address. `None` for everything that is not to be shown as a link or fetched.
    pub fn parse(written: &str) -> Option<Self> {
        let url = written.trim();
        let usable = is_one_word(url)
            && url.len() <= LONGEST
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

/// True for what a column of type url takes: an address of http or https that names no user, of
/// mailto or of tel. Anything else (`javascript:`, a plain word) would be opened by a click.
pub fn is_for_a_column(written: &str) -> bool {
    if !is_one_word(written) {
        return false;
    }
    let scheme = |name: &str| {
        let (scheme, rest) = written.split_once(':').unwrap_or_default();
        scheme.eq_ignore_ascii_case(name) && !rest.trim_matches('/').is_empty()
    };
    let open = authority(written).is_some_and(|(_, host)| !host.is_empty() && !host.contains('@'));
    (scheme("http") || scheme("https")) && open || scheme("mailto") || scheme("tel")
}

/// Where something lies, as a payload says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// It can be opened.
    Link(Link),
    /// It cannot, or is not to be; it is shown as the text that it is.
    Text(String),
}

impl Address {
    /// Reads an address of any form.
    pub fn read(written: &str) -> Self {
        Link::parse(written).map_or_else(|| Self::Text(written.trim().to_owned()), Self::Link)
    }
}

/// True if nothing in an address is read differently by a person, a browser and this program.
fn is_one_word(url: &str) -> bool {
    !url.contains(|c: char| c.is_whitespace() || text::is_control(c) || c == '\\')
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
            &format!("https://example.com/{}", "x".repeat(LONGEST)),
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

    #[test]
    fn column_takes_addresses_of_four_schemes_only() {
        for good in [
            "http://rosa.example",
            "HTTPS://rosa.example/a?b#c",
            "mailto:rosa@quint.example",
            "tel:+12025550147",
        ] {
            assert!(is_for_a_column(good), "{good}");
        }
        for bad in [
            "",
            "rosa.example",
            "rosa@quint.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https:",
            "https://",
            "https:rosa.example",
            "https://user@rosa.example",
            "mailto:",
            "tel:",
            "//rosa.example",
            "https://rosa.example/ and more",
        ] {
            assert!(!is_for_a_column(bad), "{bad}");
        }
    }
}
