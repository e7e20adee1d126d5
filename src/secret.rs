//! A value that must never be seen: keys, signing secrets, database passwords.
//!
//! Apart from everything else because the type itself is the protection: it prints as blanks, so no
//! log line, error or result can leak it by accident.

use std::fmt;

/// A secret text. `Debug` and `Display` print a placeholder; [`Secret::expose`] is the only way to
/// the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value; surrounding white space, which a copied key often carries, is dropped.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// The value itself, for the one place that sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when nothing is left after trimming.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How vendors' keys and secrets begin.
const BEGINNINGS: [&str; 4] = ["ntn_", "secret_", "whsec_", "sk_"];
/// From so many signs on a word is a key rather than a name; with this many digits, from fewer.
const LONG_WORD: usize = 40;
const LONG_WITH_DIGITS: usize = 30;
const DIGITS: usize = 3;

/// True for a text that may be a key that stands in the wrong place: it is not to be shown.
pub fn looks_like_secret(text: &str) -> bool {
    let text = text.trim();
    let begins = BEGINNINGS.iter().any(|known| {
        let beginning = text.get(..known.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(known))
    });
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_word = text.bytes().all(|sign| sign.is_ascii_graphic());
    let is_long = text.len() >= LONG_WORD || (text.len() >= LONG_WITH_DIGITS && digits >= DIGITS);
    begins || (is_word && is_long)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_in_the_wrong_place_is_known_by_its_look_and_names_are_not_taken_for_one() {
        for key in [
            "ntn_x",
            " Secret_hunter2 ",
            "whsec_MfKQ9r8GKYqrTwjU",
            "0123456789abcdef0123456789abcdef",
            "kR9vTq2LmWxYz7BnCdEfGhJkPsUa4oIe",
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmn",
        ] {
            assert!(looks_like_secret(key), "{key}");
        }
        for name in [
            "",
            "Phone",
            "Secret note",
            "Notion",
            "Letzte Nachricht von unserem Kunden, wie sie in Quo steht 2024",
            "Donaudampfschifffahrtsgesellschaft",
            "Rechtsschutzversicherungsgesellschaftskapitän",
            "電話番号電話番号電話番号電話番号電話番号",
        ] {
            assert!(!looks_like_secret(name), "{name}");
        }
    }

    #[test]
    fn secret_never_prints_its_value() {
        let secret = Secret::new(" ntn_very_secret\n");
        assert_eq!(secret.expose(), "ntn_very_secret");
        assert!(!format!("{secret:?}{secret}").contains("very"));
    }
}
