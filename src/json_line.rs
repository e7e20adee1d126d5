//! JSON on one line that is safe to show.
//!
//! Apart because results, logs and critical lines all end up on terminals and in readers of lines,
//! and JSON itself leaves DEL, the C1 controls (U+009B begins a terminal sequence), marks of
//! direction and the line ends of Unicode as they are.

use std::fmt::Write as _;

use serde::Serialize;

use crate::text;

/// Writes a value with every control character escaped; one that cannot be JSON (a map without
/// texts as keys) as null.
pub fn render(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".into());
    if !json.contains(is_left_raw) {
        return json;
    }
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of strings JSON has none of these, so the escape is always inside of one.
        let _ = if is_left_raw(c) {
            write!(safe, "\\u{:04x}", u32::from(c))
        } else {
            safe.write_char(c)
        };
    }
    safe
}

/// The same JSON text without white space between its parts, and so on one line.
pub fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let is_kept = |c: &char| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            ' ' | '\t' | '\n' | '\r' => return in_text,
            _ => {}
        }
        true
    };
    json.chars().filter(is_kept).collect()
}

/// What JSON leaves as it is: DEL, C1, marks of direction, the line ends of Unicode.
fn is_left_raw(c: char) -> bool {
    c >= '\u{7f}' && text::is_control(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_between_parts_goes_and_that_in_texts_stays() {
        let json = "{ \"a b\" :\r\n\t[ 1, \"c \\\" d\", \"\\\\\" , null ]\n}";
        assert_eq!(compact(json), "{\"a b\":[1,\"c \\\" d\",\"\\\\\",null]}");
    }

    #[test]
    fn every_control_character_is_escaped_and_nothing_else() {
        let text = "\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{a0}é😀\n\u{2028}\u{202e}";
        let json = render(&text);
        assert_eq!(
            json,
            "\"\\u001b\\u007f\\u0080\\u009b\\u009f\u{a0}é😀\\n\\u2028\\u202e\""
        );
        assert_eq!(
            serde_json::from_str::<String>(&json).ok().as_deref(),
            Some(text)
        );
    }
}
