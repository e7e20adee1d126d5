//! Texts within Notion's limits: split, never cut.
//!
//! Apart because the unit of the limit is a trap: 2,000 characters are 2,000 UTF-16 code units.
//! <https://developers.notion.com/reference/request-limits>

use serde_json::{Value as Json, json};

use crate::domain::block::{Look, Span};

/// Most UTF-16 units of one text and of one link.
pub const UNITS: usize = 2000;
/// How far back from the limit a word's end is looked for, in bytes.
const LOOK_BACK: usize = 200;

/// One rich text array of any length; the caller deals it out to blocks.
pub fn segments(spans: &[Span]) -> Vec<Json> {
    spans.iter().flat_map(span_segments).collect()
}

/// A rich text array of a property or of a line without formatting.
pub fn plain(text: &str) -> Vec<Json> {
    split(&clean(text))
        .into_iter()
        .map(|piece| json!({"type": "text", "text": {"content": piece}}))
        .collect()
}

fn span_segments(span: &Span) -> Vec<Json> {
    let (text, url) = match &span.look {
        Look::Link(url) if units(url.as_str()) <= UNITS => (span.text.clone(), Some(url)),
        // Signed links can be longer than Notion takes, and then stand as text.
        Look::Link(url) => (format!("{} ({url})", span.text), None),
        Look::Plain | Look::Bold | Look::Faint => (span.text.clone(), None),
    };
    let styled = |piece: &str| {
        let mut segment = json!({"type": "text", "text": {"content": piece}});
        if let Some(url) = url {
            segment["text"]["link"] = json!({"url": url.as_str()});
        }
        match span.look {
            Look::Bold => segment["annotations"] = json!({"bold": true}),
            Look::Faint => segment["annotations"] = json!({"color": "gray"}),
            Look::Plain | Look::Link(_) => {}
        }
        segment
    };
    split(&clean(&text)).into_iter().map(styled).collect()
}

/// Length in UTF-16 code units.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Control characters as their visible pictures (U+2400…; a C1 control as the two signs that are
/// the same to a terminal, ESC and a letter), line ends as `\n`: nothing is lost, and nothing can
/// upset a reader or the API.
fn clean(text: &str) -> String {
    let lines = text.replace("\r\n", "\n");
    let mut shown = String::with_capacity(lines.len());
    for c in lines.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' => shown.push('\n'),
            '\u{0}'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => shown.push('␡'),
            '\u{80}'..='\u{9f}' => {
                shown.push('␛');
                shown.extend(char::from_u32(u32::from(c) - 0x40));
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// Pieces of at most 2,000 units, which joined give the text again; between words where one ends
/// near the limit.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_end(rest));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn piece_end(text: &str) -> usize {
    let mut used = 0;
    let over = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > UNITS
    });
    let Some((limit, _)) = over else {
        return text.len();
    };
    let window = &text[..limit];
    let word_end = window
        .rfind(char::is_whitespace)
        .map(|at| at + window[at..].chars().next().map_or(1, char::len_utf8));
    word_end
        .filter(|end| limit - end <= LOOK_BACK)
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::block;
    use crate::domain::link::Link;
    use proptest::prelude::*;

    fn check(text: &str) {
        let pieces = split(text);
        assert_eq!(pieces.concat(), text);
        assert!(
            pieces
                .iter()
                .all(|piece| units(piece) <= UNITS && !piece.is_empty())
        );
        assert!(pieces.len() <= units(text) / (UNITS - LOOK_BACK) + 1);
    }

    #[test]
    fn emoji_at_the_limit_is_not_cut_in_two() {
        for before in 1995..=2001 {
            check(&format!("{}😀😀{}", "x".repeat(before), "y".repeat(3000)));
        }
        assert_eq!(
            split(&format!("{}😀", "x".repeat(1999))),
            ["x".repeat(1999).as_str(), "😀"]
        );
        assert_eq!(split(&"x".repeat(2000)).len(), 1);
        assert_eq!(split(&"x".repeat(2001)).len(), 2);
        assert_eq!(split(&"😀".repeat(1000)).len(), 1);
        assert_eq!(split(&"😀".repeat(1001)).len(), 2);
    }

    #[test]
    fn words_stay_whole_where_one_ends_near_the_limit() {
        let text = format!("{} {}", "a".repeat(1990), "b".repeat(50));
        assert_eq!(units(split(&text)[0]), 1991);
    }

    #[test]
    fn long_links_stand_as_text() {
        let link = |tail: &str| Link::parse(&format!("https://x.example/{tail}")).expect("a link");
        let segments = |url: &Link| segments(&[block::link("Listen", url)]);
        let linked = segments(&link("a"));
        assert_eq!(linked[0]["text"]["link"]["url"], "https://x.example/a");
        let long = link(&"a".repeat(2000));
        let pieces = segments(&long);
        let text: String = pieces
            .iter()
            .filter_map(|piece| piece["text"]["content"].as_str())
            .collect();
        assert_eq!(text, format!("Listen ({long})"));
        assert!(
            pieces
                .iter()
                .all(|piece| piece["text"].get("link").is_none())
        );
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(clean("a\u{0}\u{1b}[31mb\r\nc\td\u{7f}"), "a␀␛[31mb\nc\td␡");
        assert_eq!(clean("a\u{9b}31m\u{85}\u{80}"), "a␛[31m␛E␛@");
    }

    proptest! {
        #[test]
        fn any_text_is_split_without_loss(text in "(\\PC|[ \n😀é]){0,6000}") {
            check(&text);
        }
    }
}
