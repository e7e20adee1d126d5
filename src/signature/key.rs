//! A secret made ready to check signatures with, or none where it is no secret.
//!
//! Apart because what counts as a secret is a rule of its own: an empty, short or placeholder one
//! would let anybody in.

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
/// Words of which placeholders are made.
const PLACEHOLDER: &[&str] = &[
    "a",
    "base64",
    "change",
    "changeme",
    "dummy",
    "enter",
    "example",
    "fake",
    "from",
    "here",
    "hook",
    "in",
    "insert",
    "it",
    "key",
    "me",
    "my",
    "notion",
    "openphone",
    "paste",
    "placeholder",
    "put",
    "quo",
    "replace",
    "sample",
    "secret",
    "signature",
    "signing",
    "some",
    "test",
    "the",
    "this",
    "to",
    "todo",
    "token",
    "value",
    "webhook",
    "webhooks",
    "whsec",
    "with",
    "xxx",
    "your",
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

/// True for what people leave standing where a secret belongs: words like `your_webhook_secret`,
/// one sign over and over, brackets around a name.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_lowercase();
    let text = text.strip_prefix(STANDARD_PREFIX).unwrap_or(&text);
    let first = text.chars().next();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_word = |word: &str| {
        word.is_empty()
            || PLACEHOLDER.contains(&word)
            || word.bytes().all(|byte| byte.is_ascii_digit())
            || word.bytes().all(|byte| byte == b'x')
    };
    text.starts_with(['<', '{', '[', '$'])
        || text.contains("...")
        || text.chars().all(|c| Some(c) == first || c == '=')
        || words.all(is_word)
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
