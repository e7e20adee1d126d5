//! Half characters in JSON: `\ud83d` without its other half, which a text cut inside an emoji
//! leaves behind.
//!
//! RFC 8259 allows such an escape, Rust's strings cannot hold it. Apart because both doors need it,
//! deliveries and answers alike; without it one cut text would cost the whole event.

use std::borrow::Cow;

/// What stands for half a character.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Replaces every lone surrogate escape of a JSON text by that of U+FFFD; anything else stays as it
/// is.
pub fn mend(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = json[at..].iter().position(|byte| *byte == b'\\') {
        let start = at + found;
        let (length, lone) = match (
            surrogate(&json[start..]),
            surrogate(json.get(start + 6..).unwrap_or_default()),
        ) {
            (Some(Half::High), Some(Half::Low)) => (12, false),
            (Some(_), _) => (6, true),
            (None, _) => (2, false),
        };
        let end = (start + length).min(json.len());
        if let Some(mended) = &mut mended {
            mended.extend_from_slice(&json[at..start]);
        } else if lone {
            mended = Some(json[..start].to_vec());
        }
        if let Some(mended) = &mut mended {
            mended.extend_from_slice(if lone { REPLACEMENT } else { &json[start..end] });
        }
        at = end;
    }
    match mended {
        Some(mut mended) => {
            mended.extend_from_slice(&json[at..]);
            Cow::Owned(mended)
        }
        None => Cow::Borrowed(json),
    }
}

/// The same for a text that is one's own; nothing is copied where nothing is replaced.
pub fn mended(json: Vec<u8>) -> Vec<u8> {
    match mend(&json) {
        Cow::Owned(mended) => mended,
        Cow::Borrowed(_) => json,
    }
}

enum Half {
    High,
    Low,
}

/// Which half of a pair an escape at the beginning of `json` is.
fn surrogate(json: &[u8]) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, c, d, ..] = json else {
        return None;
    };
    if !(c.is_ascii_hexdigit() && d.is_ascii_hexdigit()) {
        return None;
    }
    match second.to_ascii_lowercase() {
        b'8' | b'9' | b'a' | b'b' => Some(Half::High),
        b'c'..=b'f' => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(json: &str, want: &str) {
        assert_eq!(String::from_utf8_lossy(&mend(json.as_bytes())), want);
    }

    #[test]
    fn only_half_characters_are_replaced() {
        check(r#""a\ud83d\ude00b""#, r#""a\ud83d\ude00b""#);
        check(r#""cut \ud83d here""#, r#""cut \ufffd here""#);
        check(r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#);
        check(r#""\uD83D\uD83D\uDE00""#, r#""\ufffd\uD83D\uDE00""#);
        check(r#""\\ud83d \u00e9 \n""#, r#""\\ud83d \u00e9 \n""#);
        check(r#""\ud83d\n\"x""#, r#""\ufffd\n\"x""#);
        check(r#""\ud8"#, r#""\ud8"#);
        check("\"\\", "\"\\");
        assert!(matches!(mend(b"{\"a\":\"\\n\"}"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn what_can_be_read_stays_and_any_string_of_escapes_can_be_read_afterwards(
            halves in "(\\\\u(d[89ab]|d[c-f]|00|ff)[0-9a-f]{2}|\\\\n|\\\\\\\\|x)*",
        ) {
            let json = format!("\"{halves}\"");
            if serde_json::from_str::<String>(&json).is_ok() {
                let mended = mend(json.as_bytes()).into_owned();
                prop_assert_eq!(mended, json.as_bytes());
            }
            let mended = mend(json.as_bytes());
            prop_assert!(serde_json::from_slice::<String>(&mended).is_ok(), "{}", json);
        }
    }
}
