//! Foreign texts made fit to be shown: on one line, cut, and without a sign that a terminal obeys.
//!
//! Apart because errors, logs, results and entries all show what strangers wrote. It knows nothing
//! of where a text comes from.

/// True for what a terminal or a reader of lines would obey instead of show: control characters
/// (C0, DEL, C1), marks that turn the direction of writing, and the line ends of Unicode.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text for one line of a terminal or a log: at most `max` characters, and what would be obeyed
/// is shown escaped.
pub fn one_line(text: &str, max: usize) -> String {
    let text = text.trim();
    let mut line = String::new();
    for c in text.chars().take(max) {
        if is_control(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if text.chars().nth(max).is_some() {
        line.push('…');
    }
    line
}

/// The beginning of the text, of at most so many bytes, cut between characters.
pub fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// The text up to its first line end.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The words of the text with one blank between them, so that a name breaks no line.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_shows_what_would_be_obeyed_and_says_that_it_is_cut() {
        assert_eq!(one_line(" a\nb\u{1b}[2J ", 99), "a\\nb\\u{1b}[2J");
        assert_eq!(
            one_line("\u{9b}x\u{202e}y\u{2028}z", 99),
            "\\u{9b}x\\u{202e}y\\u{2028}z"
        );
        assert_eq!(one_line("éàü", 2), "éà…");
        assert_eq!(one_line("éàü", 3), "éàü");
    }

    #[test]
    fn cut_text_ends_at_a_character() {
        assert_eq!(cut("xé", 2), "x");
        assert_eq!(cut("xé", 9), "xé");
    }
}
