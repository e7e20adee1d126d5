//! Quo's paged lists: one page read, and the walk from page to page.
//!
//! Apart because every list of v1 is paged in the same way. `totalItems` is documented as wrong and
//! never looked at.

use std::collections::HashSet;

use serde::Deserialize;

use super::refusal::Error;
use super::wire;
use crate::http::Request;

/// Most pages that are read in one walk.
pub(super) const MAX_PAGES: usize = 2_000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Those that could be read.
    pub records: Vec<T>,
    /// Leads to the next page; `None` on the last.
    pub next: Option<String>,
}

/// The request for the page that `token` of the page before leads to, at most `size` records on it.
pub(super) fn ask(path: &str, size: usize, token: Option<&str>) -> Request {
    let request = Request::get(path).with_query("maxResults", size.to_string());
    match token {
        Some(token) => request.with_query("pageToken", token),
        None => request,
    }
}

/// Reads a page. A record that cannot be read is left out with a warning.
pub(super) fn parse<T>(
    what: &'static str,
    body: &[u8],
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<Page<T>, Error> {
    let page: WirePage = wire::value(what, body)?;
    let next = page.next_page_token.filter(|token| !token.is_empty());
    Ok(Page {
        records: wire::each(&page.data.0, read),
        next,
    })
}

/// Walks all pages that `fetch` gives, token by token, until one without token or the first error.
/// A token that comes back, or more than 2,000 pages, is [`Error::Endless`].
pub fn pages<T, F>(fetch: F) -> impl Iterator<Item = Result<Vec<T>, Error>>
where
    F: FnMut(Option<&str>) -> Result<Page<T>, Error>,
{
    pages_from(None, fetch).map(|page| page.map(|page| page.records))
}

/// The same from the page that `token` leads to, for a walk that was broken off.
pub fn pages_from<T, F>(
    mut token: Option<String>,
    mut fetch: F,
) -> impl Iterator<Item = Result<Page<T>, Error>>
where
    F: FnMut(Option<&str>) -> Result<Page<T>, Error>,
{
    let mut seen = HashSet::new();
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let page = fetch(token.as_deref()).and_then(|page| step(&mut seen, page));
        token = page.as_ref().ok().and_then(|page| page.next.clone());
        over = token.is_none();
        Some(page)
    })
}

/// Lets a page through unless its next token leads back or too far.
fn step<T>(seen: &mut HashSet<String>, page: Page<T>) -> Result<Page<T>, Error> {
    let fresh = page.next.clone().is_none_or(|next| seen.insert(next));
    if fresh && seen.len() < MAX_PAGES {
        Ok(page)
    } else {
        Err(Error::Endless { pages: seen.len() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage<'a> {
    #[serde(borrow)]
    data: wire::Records<'a>,
    next_page_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: Option<usize>) -> Page<()> {
        Page {
            records: Vec::new(),
            next: next.map(|number| number.to_string()),
        }
    }

    #[test]
    fn walk_follows_tokens_to_the_last_page() {
        let mut asked = Vec::new();
        let walked = pages(|token| {
            asked.push(token.map(str::to_owned));
            Ok(page((asked.len() < 3).then_some(asked.len())))
        });
        assert_eq!(walked.filter_map(Result::ok).count(), 3);
        assert_eq!(asked, [None, Some("1".into()), Some("2".into())]);
    }

    #[test]
    fn walk_stops_at_a_token_that_comes_back() {
        let tokens = [1, 2, 1, 2];
        let mut asked = 0;
        let walked: Vec<_> = pages(|_| {
            asked += 1;
            Ok(page(Some(tokens[asked - 1])))
        })
        .collect();
        assert!(
            matches!(walked[..], [Ok(_), Ok(_), Err(Error::Endless { pages: 2 })]),
            "{walked:?}"
        );
    }

    #[test]
    fn walk_stops_after_2000_pages() {
        let mut asked = 0;
        let last = pages(|_| {
            asked += 1;
            Ok(page(Some(asked)))
        })
        .last();
        assert!(
            matches!(last, Some(Err(Error::Endless { pages: 2000 }))),
            "{last:?}"
        );
        assert_eq!(asked, MAX_PAGES);
    }

    #[test]
    fn walk_ends_after_an_error() {
        let walked: Vec<_> = pages::<(), _>(|_| Err(Error::Endless { pages: 0 })).collect();
        assert_eq!(walked.len(), 1);
    }
}
