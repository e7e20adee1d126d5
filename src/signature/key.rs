//! A secret made ready to check signatures with, or none where it is no secret.
//!
//! Apart because what counts as a secret is a rule of its own: an empty, short or placeholder one
//! would let anybody in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// Fewest bytes of a key of the older scheme.
pub(super) const LEGACY_BYTES: usize = 16;
/// Fewest bytes of a key of Standard Webhooks, as that standard asks for.
pub(super) const STANDARD_BYTES: usize = 24;
/// Prefix of the secrets of Standard Webhooks; not part of the key.
const STANDARD_PREFIX: &str = "whsec_";
/// Secrets are pasted by people, so missing padding is no fault.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Fewest different signs of a secret that is random: of 32 signs of base64 there are some 25.
const FEWEST_SIGNS: usize = 8;
/// Words of which placeholders are made.
const PLACEHOLDER: &[&str] = &[
    "a",
    "api",
    "base64",
    "change",
    "changeme",
    "copy",
    "demo",
    "do",
    "dummy",
    "enter",
    "example",
    "fake",
    "fill",
    "fixme",
    "for",
    "from",
    "go",
    "goes",
    "here",
    "hmac",
    "hook",
    "in",
    "insert",
    "is",
    "it",
    "key",
    "me",
    "my",
    "not",
    "notion",
    "of",
    "ok",
    "openphone",
    "or",
    "password",
    "paste",
    "placeholder",
    "please",
    "private",
    "prod",
    "put",
    "quo",
    "real",
    "replace",
    "sample",
    "secret",
    "secure",
    "set",
    "shared",
    "signature",
    "signing",
    "some",
    "super",
    "test",
    "text",
    "the",
    "this",
    "to",
    "todo",
    "token",
    "uuid",
    "value",
    "webhook",
    "webhooks",
    "whsec",
    "with",
    "your",
    "yours",
];

/// A secret made ready. There is none for an empty secret, so an empty key cannot occur.
pub(super) struct Key {
    hmac: Hmac<Sha256>,
    /// Some digits of the secret's hash, which tell it from others and nothing else.
    pub(super) name: String,
}

impl Key {
    /// The key of one of Quo's subscriptions, if it has at least so many bytes.
    pub(super) fn of(secret: &Secret, fewest: usize) -> Option<Self> {
        let text = secret.expose();
        if is_placeholder(text) {
            return None;
        }
        let text = text.strip_prefix(STANDARD_PREFIX).unwrap_or(text);
        let bytes = LENIENT.decode(text.replace('-', "+").replace('_', "/"));
        let bytes = bytes.ok().filter(|bytes| bytes.len() >= fewest)?;
        Self::new(&bytes, secret)
    }

    /// Notion's token is the key as it is written.
    pub(super) fn of_notion(secret: &Secret) -> Option<Self> {
        let text = secret.expose();
        let usable = text.len() >= LEGACY_BYTES && !is_placeholder(text);
        Self::new(text.as_bytes(), secret).filter(|_| usable)
    }

    fn new(bytes: &[u8], secret: &Secret) -> Option<Self> {
        let name = hex(&Sha256::digest(secret.expose())[..4]);
        let hmac = Hmac::new_from_slice(bytes).ok()?;
        Some(Self { hmac, name })
    }

    /// Hashes a body behind a prefix.
    pub(super) fn over(&self, prefix: &str, body: &[u8]) -> Hmac<Sha256> {
        #[cfg(test)]
        super::tests::HASHED.with(|hashed| hashed.set(hashed.get() + 1));
        self.hmac.clone().chain_update(prefix).chain_update(body)
    }

    /// True if the key gives one of the digests over the same bytes, which are hashed once.
    pub(super) fn signed(&self, prefix: &str, body: &[u8], digests: &[Vec<u8>]) -> bool {
        let over = self.over(prefix, body);
        let mut digests = digests.iter();
        digests.any(|digest| over.clone().verify_slice(digest).is_ok())
    }
}

/// True for what people leave standing where a secret belongs: words like `your_webhook_secret` in
/// any writing, a few signs over and over, the alphabet, brackets around a name.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_lowercase();
    let text = text.strip_prefix(STANDARD_PREFIX).unwrap_or(&text);
    let signs: BTreeSet<u8> = text.bytes().filter(|byte| *byte != b'=').collect();
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let neighbours = || text.as_bytes().windows(2);
    let counted = neighbours().filter(|pair| pair[0].checked_add(1) == Some(pair[1]));
    text.starts_with(['<', '{', '[', '$'])
        || text.contains("...")
        || signs.len() < FEWEST_SIGNS
        || counted.count() * 2 > neighbours().count()
        || is_made_of_words(&letters)
}

/// True if a text can be cut into words of placeholders, and runs of `x`.
fn is_made_of_words(letters: &str) -> bool {
    let mut reachable = vec![false; letters.len() + 1];
    reachable[0] = true;
    for at in 0..letters.len() {
        if reachable[at] {
            let words = PLACEHOLDER.iter().chain(&["x"]);
            for word in words.filter(|word| letters[at..].starts_with(**word)) {
                reachable[at + word.len()] = true;
            }
        }
    }
    reachable[letters.len()]
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(16 * digit(*high)? + digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets_and_random_texts_are() {
        for bad in [
            "",
            "changemechangemechangemechangeme",
            "YourWebhookSigningSecretGoesHere",
            "your-webhook-secret-goes-here-ok",
            "REPLACE-WITH-YOUR-KEY-FROM-QUO00",
            "whsec_abcdefghijklmnopqrstuvwxyz012345",
            "whsec_0123456789abcdef0123456789abcdef",
            &format!("{}B", "A".repeat(43)),
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "<your signing secret of 32 bytes>",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "test_secret_test_secret_test_secret",
        ] {
            assert!(is_placeholder(bad), "{bad}");
        }
        for good in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_cXVvLXN0YW5kYXJkLXdlYmhvb2tzLWtleS0wMDAwMDE=",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "secret_kx2yQ7DoKpF0m8vLqW3r",
        ] {
            assert!(!is_placeholder(good), "{good}");
        }
    }
}
