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
    fn secret_never_prints_its_value() {
        let secret = Secret::new(" ntn_very_secret\n");
        assert_eq!(secret.expose(), "ntn_very_secret");
        assert!(!format!("{secret:?}{secret}").contains("very"));
    }
}
