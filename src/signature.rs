//! The signature: whether the raw bytes really come from a vendor and are fresh.
//!
//! Apart from parsing because it comes before it: nothing here looks into the payload. Three
//! schemes exist, told apart by the value's form: `hmac;1;<time>;<digest>` (Quo's older one, header
//! `openphone-signature`), `v1,<digest>` (Standard Webhooks, header `webhook-signature`) and
//! `sha256=<hex>` (Notion's, header `X-Notion-Signature`). Ages are looked at before anything is
//! hashed; then every secret and every listed signature is tried, in constant time.

mod key;

use std::cell::OnceCell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;
use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};
use crate::secret::Secret;

use self::key::{Key, LEGACY_BYTES, STANDARD_BYTES, hex, unhex};

/// Most signatures that are tried from one header value; a rotation needs two.
const MAX_SIGNATURES: usize = 16;
/// Most different times among them: each costs hashing the whole body once a secret.
const MAX_TIMES: usize = 2;
/// Timestamps of the legacy scheme from here on are milliseconds: as seconds this would be the year
/// 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;
/// Prefix of Notion's signatures.
const NOTION_PREFIX: &str = "sha256=";
/// Header values of one delivery, as received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// `openphone-signature`, `webhook-signature` or `X-Notion-Signature`.
    pub signature: String,
    /// `webhook-id`; only Standard Webhooks has it.
    pub id: Option<String>,
    /// `webhook-timestamp`, in seconds; only Standard Webhooks has it.
    pub timestamp: Option<String>,
}

/// Secrets that may have signed.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Signing keys of Quo's subscriptions.
    pub quo: Vec<Secret>,
    /// The verification token of Notion's subscription.
    pub notion: Option<Secret>,
}

/// How old, or how far in the future, a signature may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// At most this far from now, in both directions.
    Within(SignedDuration),
    /// Any age: saved payloads.
    Off,
}

/// When a signature is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeWindow {
    /// The present.
    pub now: Timestamp,
    /// How far from it is still fresh.
    pub tolerance: Tolerance,
}

/// Which vendor's scheme a signature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// Either of Quo's.
    Quo,
    /// Notion's.
    Notion,
}

/// A signature that is genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub signer: Signer,
    /// Which secret it was made with, by some digits of its hash: never the secret itself.
    pub by: String,
}

/// Why a payload is not accepted. Its text never holds a secret or an expected signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No secret is configured that could verify anything: a mistake of the operator, not of the
    /// sender.
    NoUsableSecret,
    /// The same for Notion's scheme.
    NoNotionSecret,
    /// A signature header without a value.
    Empty,
    /// None of the three forms.
    UnknownScheme,
    /// A known scheme, but not its form.
    Malformed(&'static str),
    /// Standard Webhooks without one of its other two headers.
    MissingHeader(&'static str),
    /// Signed too long ago.
    TooOld {
        /// Time since the signature.
        age: SignedDuration,
    },
    /// Signed by a clock that is too far ahead.
    InFuture {
        /// Time until the signature.
        ahead: SignedDuration,
    },
    /// No configured secret gives any of the listed signatures.
    NoMatch,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUsableSecret => f.write_str(
                "no usable webhook secret is configured: a secret is base64 text of at least 24 \
                 bytes (16 for openphone-signature), and no placeholder",
            ),
            Self::NoNotionSecret => f.write_str("no usable secret of Notion's webhook is set"),
            Self::Empty => f.write_str("the signature is empty"),
            Self::UnknownScheme => {
                f.write_str("the signature is of no known scheme (hmac;1;…, v1,… or sha256=…)")
            }
            Self::Malformed(what) => write!(f, "the signature is malformed: {what}"),
            Self::MissingHeader(name) => write!(f, "a v1 signature needs the header {name}"),
            Self::TooOld { age } => {
                write!(f, "the signature is too old: {}", whole_seconds(*age))
            }
            Self::InFuture { ahead } => write!(
                f,
                "the signature is from the future: {}",
                whole_seconds(*ahead)
            ),
            Self::NoMatch => f.write_str("the signature matches no configured webhook secret"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        if refusal == Refusal::NoNotionSecret {
            let hint = "set NOTION_WEBHOOK_SECRET to the verification token of Notion's webhook";
            return Self::config(message, hint);
        }
        if refusal == Refusal::NoUsableSecret {
            let hint = "set OPENPHONE_WEBHOOK_SECRET to the signing secret of the webhook \
                (several: comma-separated)";
            return Self::config(message, hint);
        }
        let hint = "the body must be passed byte for byte, and OPENPHONE_WEBHOOK_SECRET must hold \
            the secret of the webhook \
                    that sent it; for saved payloads use --signature-tolerance off";
        Self::new(Kind::Signature, message, hint)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Which of several refusals says most about a delivery with several signatures.
    fn weight(&self) -> u8 {
        match self {
            Self::NoMatch => 2,
            Self::TooOld { .. } | Self::InFuture { .. } => 1,
            Self::NoUsableSecret
            | Self::NoNotionSecret
            | Self::Empty
            | Self::UnknownScheme
            | Self::Malformed(_)
            | Self::MissingHeader(_) => 0,
        }
    }
}

/// Accepts `body` if one of the secrets gives one of the signatures in `headers`, and that one lies
/// in the window.
pub fn verify(
    body: &[u8],
    headers: &Headers,
    secrets: &Secrets,
    window: AgeWindow,
) -> Result<Verified, Refusal> {
    let value = headers.signature.trim();
    if value.is_empty() {
        Err(Refusal::Empty)
    } else if let Some(digest) = value.strip_prefix(NOTION_PREFIX) {
        verify_notion(body, digest, secrets)
    } else if value.contains(';') {
        let keys = keys(&secrets.quo, LEGACY_BYTES)?;
        verify_legacy(body, value, &keys, window)
    } else {
        let keys = keys(&secrets.quo, STANDARD_BYTES)?;
        verify_standard(body, headers, &keys, window)
    }
}

/// True if a signature can be checked with this secret: base64 with or without `whsec_`, of a
/// usable length, and no placeholder.
pub fn is_usable(secret: &Secret) -> bool {
    Key::of(secret, LEGACY_BYTES).is_some()
}

/// True if a secret is long enough for Standard Webhooks too, not only for the older scheme.
pub fn is_usable_for_standard(secret: &Secret) -> bool {
    Key::of(secret, STANDARD_BYTES).is_some()
}

/// True if Notion's signatures can be checked with this token.
pub fn is_usable_for_notion(secret: &Secret) -> bool {
    Key::of_notion(secret).is_some()
}

/// True if two secrets of Quo's are one key, however each is written.
pub fn is_same_key(one: &Secret, other: &Secret) -> bool {
    let tag = |secret: &Secret| {
        let key = Key::of(secret, LEGACY_BYTES)?;
        Some(key.over("", b"").finalize().into_bytes())
    };
    tag(one).is_some_and(|tagged| tag(other) == Some(tagged))
}

/// The value of `openphone-signature` for `body`.
pub fn sign_legacy(body: &[u8], secret: &Secret, now: Timestamp) -> Result<String, Refusal> {
    let key = Key::of(secret, LEGACY_BYTES).ok_or(Refusal::NoUsableSecret)?;
    let millis = now.as_millisecond();
    let digest = key.over(&format!("{millis}."), body).finalize();
    Ok(format!(
        "hmac;1;{millis};{}",
        STANDARD.encode(digest.into_bytes())
    ))
}

/// The headers of Standard Webhooks for `body`, delivered under `id`.
pub fn sign_standard(
    body: &[u8],
    id: &str,
    secret: &Secret,
    now: Timestamp,
) -> Result<Headers, Refusal> {
    let key = Key::of(secret, STANDARD_BYTES).ok_or(Refusal::NoUsableSecret)?;
    let secs = now.as_second().to_string();
    let digest = key.over(&format!("{id}.{secs}."), body).finalize();
    Ok(Headers {
        signature: format!("v1,{}", STANDARD.encode(digest.into_bytes())),
        id: Some(id.to_owned()),
        timestamp: Some(secs),
    })
}

/// The value of `X-Notion-Signature` for `body`.
pub fn sign_notion(body: &[u8], secret: &Secret) -> Result<String, Refusal> {
    let key = Key::of_notion(secret).ok_or(Refusal::NoNotionSecret)?;
    let digest = key.over("", body).finalize().into_bytes();
    Ok(format!("{NOTION_PREFIX}{}", hex(&digest)))
}

/// Those of the secrets that are long enough for a scheme.
fn keys(secrets: &[Secret], fewest: usize) -> Result<Vec<Key>, Refusal> {
    let keys: Vec<Key> = secrets
        .iter()
        .filter_map(|secret| Key::of(secret, fewest))
        .collect();
    if keys.is_empty() {
        Err(Refusal::NoUsableSecret)
    } else {
        Ok(keys)
    }
}

/// Notion's scheme has no time in it: a repetition is known by its event's id.
fn verify_notion(body: &[u8], written: &str, secrets: &Secrets) -> Result<Verified, Refusal> {
    let key = secrets.notion.as_ref().and_then(Key::of_notion);
    let key = key.ok_or(Refusal::NoNotionSecret)?;
    let digest = unhex(written.trim()).ok_or(Refusal::Malformed("its digest is not hex"))?;
    if key.signed("", body, &[digest]) {
        return Ok(Verified {
            signer: Signer::Notion,
            by: key.name,
        });
    }
    Err(Refusal::NoMatch)
}

/// A comma-separated list of `hmac;1;<time>;<digest>`; signed are the time as received, a dot, and
/// the body.
fn verify_legacy(
    body: &[u8],
    value: &str,
    keys: &[Key],
    window: AgeWindow,
) -> Result<Verified, Refusal> {
    let mut told = Telling::default();
    let mut fresh: Vec<Listed> = Vec::new();
    for (index, entry) in value.split(',').enumerate() {
        if index == MAX_SIGNATURES {
            return Err(Refusal::Malformed("it lists too many signatures"));
        }
        let parsed = parse_legacy(entry).and_then(|(written, time, digest)| {
            check_age(time, window).map(|()| (written, digest))
        });
        match parsed {
            Err(refusal) => told.add(refusal),
            Ok((written, digest)) => {
                let place = fresh.iter().position(|listed| listed.time == written);
                if place.is_none() && fresh.len() == MAX_TIMES {
                    return Err(Refusal::Malformed("it lists too many times"));
                }
                match place {
                    Some(place) => fresh[place].digests.push(digest),
                    None => fresh.push(Listed {
                        time: written,
                        digests: vec![digest],
                    }),
                }
            }
        }
    }
    let compact = OnceCell::new();
    for listed in &fresh {
        let prefix = format!("{}.", listed.time);
        for key in keys {
            let compact = || compact.get_or_init(|| without_white_space(body));
            let signed = |body: &[u8]| key.signed(&prefix, body, &listed.digests);
            if signed(body) || compact().len() < body.len() && signed(compact()) {
                return Ok(of_quo(key));
            }
        }
        told.add(Refusal::NoMatch);
    }
    Err(told.most())
}

fn of_quo(key: &Key) -> Verified {
    Verified {
        signer: Signer::Quo,
        by: key.name.clone(),
    }
}

/// Signatures of a list that share a time.
struct Listed<'a> {
    time: &'a str,
    digests: Vec<Vec<u8>>,
}

/// The refusal that says most, of those met so far.
#[derive(Default)]
struct Telling(Option<Refusal>);

impl Telling {
    fn add(&mut self, refusal: Refusal) {
        let kept = self.0.as_ref();
        if kept.is_none_or(|kept| refusal.weight() > kept.weight()) {
            self.0 = Some(refusal);
        }
    }

    fn most(self) -> Refusal {
        self.0.unwrap_or(Refusal::Empty)
    }
}

fn parse_legacy(entry: &str) -> Result<(&str, Timestamp, Vec<u8>), Refusal> {
    let fields: Vec<&str> = entry.trim().split(';').collect();
    let [scheme, version, written, digest] = fields[..] else {
        return Err(Refusal::Malformed("it has not four fields"));
    };
    if (scheme, version) != ("hmac", "1") {
        return Err(Refusal::UnknownScheme);
    }
    let number = parse_time(written)?;
    let time = if number >= FIRST_MILLIS {
        Timestamp::from_millisecond(number)
    } else {
        Timestamp::from_second(number)
    };
    let time = time.map_err(|_| Refusal::Malformed("its timestamp is out of range"))?;
    Ok((written, time, parse_digest(digest)?))
}

/// Entries `version,digest` separated by blanks, of which only `v1` counts; signed are id, time and
/// body with dots between.
fn verify_standard(
    body: &[u8],
    headers: &Headers,
    keys: &[Key],
    window: AgeWindow,
) -> Result<Verified, Refusal> {
    let entries = headers.signature.split_whitespace();
    let listed: Vec<&str> = entries
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .collect();
    if listed.is_empty() {
        return Err(Refusal::UnknownScheme);
    }
    if listed.len() > MAX_SIGNATURES {
        return Err(Refusal::Malformed("it lists too many signatures"));
    }
    let id = header(headers.id.as_deref(), "webhook-id")?;
    // A dot would move the border of what is signed.
    if id.contains('.') {
        return Err(Refusal::Malformed("its webhook-id holds a dot"));
    }
    let written = header(headers.timestamp.as_deref(), "webhook-timestamp")?;
    let time = Timestamp::from_second(parse_time(written)?);
    let time = time.map_err(|_| Refusal::Malformed("its timestamp is out of range"))?;
    check_age(time, window)?;
    let mut told = Telling::default();
    let mut digests = Vec::new();
    for digest in listed {
        match parse_digest(digest) {
            Ok(digest) => digests.push(digest),
            Err(refusal) => told.add(refusal),
        }
    }
    let prefix = format!("{id}.{written}.");
    if !digests.is_empty() {
        told.add(Refusal::NoMatch);
    }
    let mut keys = keys.iter().filter(|_| !digests.is_empty());
    keys.find(|key| key.signed(&prefix, body, &digests))
        .map(of_quo)
        .ok_or_else(|| told.most())
}

fn check_age(time: Timestamp, window: AgeWindow) -> Result<(), Refusal> {
    let Tolerance::Within(limit) = window.tolerance else {
        return Ok(());
    };
    let age = window.now.duration_since(time);
    if age > limit {
        Err(Refusal::TooOld { age })
    } else if -age > limit {
        Err(Refusal::InFuture { ahead: -age })
    } else {
        Ok(())
    }
}

fn header<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, Refusal> {
    value
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .ok_or(Refusal::MissingHeader(name))
}

fn parse_time(written: &str) -> Result<i64, Refusal> {
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { written.parse().ok() } else { None };
    number.ok_or(Refusal::Malformed("its timestamp is not a number"))
}

fn parse_digest(written: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(written)
        .map_err(|_| Refusal::Malformed("its digest is not base64"))
}

/// The body as compact JSON: white space outside of strings removed, on bytes, so that numbers and
/// the order of keys stay as the sender wrote them.
fn without_white_space(body: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        let kept = in_string || !b" \t\r\n".contains(byte);
        in_string ^= *byte == b'"' && !escaped;
        escaped = in_string && *byte == b'\\' && !escaped;
        kept
    };
    body.iter().copied().filter(keep).collect()
}

fn whole_seconds(duration: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(duration.as_secs()))
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit};
    use proptest::prelude::{any, proptest};
    use serde_json::Value;
    use sha2::Sha256;

    use super::*;

    thread_local! {
        /// How often a body was hashed.
        pub(super) static HASHED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    const VECTORS: &str = include_str!("../fixtures/quo/signature-vectors.json");
    const SECRET: &str = "Tm90aW9uQnJpZGdlVGVzdEtleTAxMjM0NTY3ODlhYmM=";
    const BODY: &[u8] = br#"{"id":"EVtest0003","object":"event","type":"call.completed"}"#;

    struct Vector {
        name: String,
        body: Vec<u8>,
        headers: Headers,
        secrets: Vec<Secret>,
        now: Timestamp,
    }

    fn vectors() -> Vec<Vector> {
        let file: Value = serde_json::from_str(VECTORS).expect("json");
        file["vectors"]
            .as_array()
            .expect("list")
            .iter()
            .map(vector)
            .collect()
    }

    fn vector(value: &Value) -> Vector {
        let text = |pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let signature =
            text("/header/openphone-signature").or_else(|| text("/header/webhook-signature"));
        let headers = Headers {
            signature: signature.expect("signature"),
            id: text("/header/webhook-id"),
            timestamp: text("/header/webhook-timestamp"),
        };
        let number: i64 = text("/timestamp")
            .and_then(|text| text.parse().ok())
            .expect("time");
        let now = if number >= FIRST_MILLIS {
            Timestamp::from_millisecond(number)
        } else {
            Timestamp::from_second(number)
        };
        let secrets = ["/secret", "/old_secret"]
            .iter()
            .filter_map(|name| text(name));
        Vector {
            name: text("/name").expect("name"),
            body: text("/body").expect("body").into_bytes(),
            headers,
            secrets: secrets.map(|secret| Secret::new(&secret)).collect(),
            now: now.expect("time"),
        }
    }

    fn within(secs: i64, now: Timestamp) -> AgeWindow {
        AgeWindow {
            now,
            tolerance: Tolerance::Within(SignedDuration::from_secs(secs)),
        }
    }

    fn off() -> AgeWindow {
        AgeWindow {
            now: Timestamp::UNIX_EPOCH,
            tolerance: Tolerance::Off,
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    fn with_quo(quo: Vec<Secret>) -> Secrets {
        Secrets { quo, notion: None }
    }

    fn secrets(texts: &[&str]) -> Secrets {
        with_quo(texts.iter().map(|text| Secret::new(text)).collect())
    }

    /// The verdict, without which secret it was.
    fn verdict(
        body: &[u8],
        headers: &Headers,
        secrets: &Secrets,
        window: AgeWindow,
    ) -> Result<(), Refusal> {
        verify(body, headers, secrets, window).map(drop)
    }

    fn legacy(signature: &str) -> Headers {
        Headers {
            signature: signature.into(),
            id: None,
            timestamp: None,
        }
    }

    fn refusal(signature: &str) -> Option<Refusal> {
        let id = Some("msg_1".to_owned());
        let headers = Headers {
            signature: signature.into(),
            id,
            timestamp: Some("1790867045".into()),
        };
        verdict(BODY, &headers, &secrets(&[SECRET]), off()).err()
    }

    #[test]
    fn published_vectors_verify_with_each_of_their_secrets() {
        assert_eq!(vectors().len(), 7);
        for vector in vectors() {
            for secret in &vector.secrets {
                let secrets = with_quo(vec![Secret::new(""), Secret::new("AAAA"), secret.clone()]);
                assert_eq!(
                    verdict(
                        &vector.body,
                        &vector.headers,
                        &secrets,
                        within(0, vector.now)
                    ),
                    Ok(()),
                    "{}",
                    vector.name
                );
            }
        }
    }

    #[test]
    fn changed_byte_in_any_body_is_refused() {
        for vector in vectors() {
            for index in 0..vector.body.len() {
                let mut body = vector.body.clone();
                body[index] ^= 1;
                let secrets = with_quo(vector.secrets.clone());
                let verdict = verdict(&body, &vector.headers, &secrets, within(0, vector.now));
                assert_eq!(
                    verdict,
                    Err(Refusal::NoMatch),
                    "{} byte {index}",
                    vector.name
                );
            }
        }
    }

    #[test]
    fn changed_character_in_any_header_is_refused() {
        for vector in vectors()
            .iter()
            .filter(|vector| !vector.headers.signature.contains(' '))
        {
            let tail = vector
                .headers
                .signature
                .rfind([',', ';'])
                .expect("separator")
                + 1;
            for index in tail..vector.headers.signature.len() {
                let mut headers = vector.headers.clone();
                headers.signature.replace_range(index..=index, "~");
                assert!(
                    verify(
                        &vector.body,
                        &headers,
                        &with_quo(vector.secrets.clone()),
                        off()
                    )
                    .is_err(),
                    "{} {index}",
                    vector.name
                );
            }
            let mut headers = vector.headers.clone();
            headers.signature.truncate(headers.signature.len() - 4);
            assert!(
                verify(
                    &vector.body,
                    &headers,
                    &with_quo(vector.secrets.clone()),
                    off()
                )
                .is_err(),
                "{} truncated",
                vector.name
            );
        }
    }

    #[test]
    fn truncated_digest_is_refused_though_its_bytes_agree() {
        let digest = digest("1790867200000.");
        for length in 0..digest.len() {
            let value = format!(
                "hmac;1;1790867200000;{}",
                STANDARD.encode(&digest[..length])
            );
            assert_eq!(refusal(&value), Some(Refusal::NoMatch), "{length}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_their_reason() {
        let digest = "qODCIF3EFctcVHGgsj3QwrDu+VUH44WsMjYqOLgGdaM=";
        let four = || Refusal::Malformed("it has not four fields");
        let number = || Refusal::Malformed("its timestamp is not a number");
        let range = || Refusal::Malformed("its timestamp is out of range");
        for (value, want) in [
            (String::new(), Refusal::Empty),
            (" \n".into(), Refusal::Empty),
            (
                format!("hmac;2;1790867200000;{digest}"),
                Refusal::UnknownScheme,
            ),
            (
                format!("sha1;1;1790867200000;{digest}"),
                Refusal::UnknownScheme,
            ),
            (
                format!("HMAC;1;1790867200000;{digest}"),
                Refusal::UnknownScheme,
            ),
            (digest.into(), Refusal::UnknownScheme),
            (format!("sha256={digest}"), Refusal::NoNotionSecret),
            (format!("v1a,{digest} v2,{digest}"), Refusal::UnknownScheme),
            (format!("hmac;1;1790867200000;{digest};"), four()),
            (format!("hmac;1;{digest}"), four()),
            (";".into(), four()),
            (format!("hmac;1;;{digest}"), number()),
            (format!("hmac;1;-1790867200000;{digest}"), number()),
            (format!("hmac;1;99999999999999999999;{digest}"), number()),
            (format!("hmac;1;9223372036854775807;{digest}"), range()),
            (
                "hmac;1;1790867200000;***".into(),
                Refusal::Malformed("its digest is not base64"),
            ),
            ("hmac;1;1790867200000;".into(), Refusal::NoMatch),
            ("v1,".into(), Refusal::NoMatch),
            (format!("v1,{digest}"), Refusal::NoMatch),
            (
                vec!["hmac;1;1;AAAA"; 17].join(","),
                Refusal::Malformed("it lists too many signatures"),
            ),
        ] {
            assert_eq!(refusal(&value), Some(want), "{value}");
        }
        assert_eq!(refusal(&format!("hmac;1;1790867200000;{digest}\n")), None);
    }

    #[test]
    fn window_reaches_equally_far_both_ways_and_no_further() {
        let now = time("2026-10-01T15:00:00Z");
        for (signed_at, want) in [
            ("2026-10-01T14:55:00Z", Ok(())),
            (
                "2026-10-01T14:54:59.999Z",
                Err(Refusal::TooOld {
                    age: SignedDuration::from_millis(300_001),
                }),
            ),
            ("2026-10-01T15:05:00Z", Ok(())),
            (
                "2026-10-01T15:05:00.001Z",
                Err(Refusal::InFuture {
                    ahead: SignedDuration::from_millis(300_001),
                }),
            ),
        ] {
            let value = sign_legacy(BODY, &Secret::new(SECRET), time(signed_at)).expect("signed");
            let verdict = |window| verdict(BODY, &legacy(&value), &secrets(&[SECRET]), window);
            assert_eq!(verdict(within(300, now)), want, "{signed_at}");
            assert_eq!(
                verdict(AgeWindow {
                    now,
                    tolerance: Tolerance::Off
                }),
                Ok(()),
                "{signed_at}"
            );
        }
        let late = Refusal::TooOld {
            age: SignedDuration::from_millis(300_001),
        };
        assert_eq!(late.to_string(), "the signature is too old: 5m");
    }

    fn digest(prefix: &str) -> Vec<u8> {
        let key = Key::of(&Secret::new(SECRET), LEGACY_BYTES).expect("key");
        key.over(prefix, BODY).finalize().into_bytes().to_vec()
    }

    #[test]
    fn legacy_time_may_be_in_seconds_and_standard_time_must_be() {
        let now = time("2026-10-01T15:04:05Z");
        let value = format!(
            "hmac;1;1790867045;{}",
            STANDARD.encode(digest("1790867045."))
        );
        let window = within(1, now);
        let check = |headers: &Headers| verdict(BODY, headers, &secrets(&[SECRET]), window);
        assert_eq!(check(&legacy(&value)), Ok(()));
        let signature = format!("v1,{}", STANDARD.encode(digest("m.1790867045000.")));
        let headers = Headers {
            signature,
            id: Some("m".into()),
            timestamp: Some("1790867045000".into()),
        };
        let out_of_range = Refusal::Malformed("its timestamp is out of range");
        assert_eq!(check(&headers), Err(out_of_range));
    }

    #[test]
    fn age_is_looked_at_before_anything_is_hashed() {
        let now = time("2026-10-01T15:00:00Z");
        let hashed = |value: &str, now| {
            HASHED.with(|hashed| hashed.set(0));
            let four = secrets(&[SECRET, SECRET, SECRET, SECRET]);
            assert!(verify(b"{ }", &legacy(value), &four, within(300, now)).is_err());
            HASHED.with(std::cell::Cell::get)
        };
        let old = |number: usize| format!("hmac;1;{};AAAA", 1_790_000_000_000 + number);
        let list: Vec<String> = (0..MAX_SIGNATURES).map(old).collect();
        assert_eq!(hashed(&list.join(","), now), 0);
        let same = vec![format!("hmac;1;{};AAAA", now.as_millisecond()); MAX_SIGNATURES];
        let with_compact_body = 2;
        assert_eq!(hashed(&same.join(","), now), 4 * with_compact_body);
        let fresh = |number: i64| format!("hmac;1;{};AAAA", now.as_millisecond() + number);
        let list: Vec<String> = (0..3).map(fresh).collect();
        assert_eq!(hashed(&list.join(","), now), 0, "too many times");
    }

    #[test]
    fn each_signature_of_a_list_has_its_own_age() {
        let (now, secret) = (time("2026-10-01T15:00:00Z"), Secret::new(SECRET));
        let old = sign_legacy(BODY, &secret, time("2026-10-01T12:00:00Z")).expect("signed");
        let fresh = sign_legacy(BODY, &secret, now).expect("signed");
        let forged = format!(
            "hmac;1;{};{}",
            now.as_millisecond(),
            STANDARD.encode([7; 32])
        );
        let verdict =
            |value: &str| verdict(BODY, &legacy(value), &secrets(&[SECRET]), within(300, now));
        assert_eq!(verdict(&format!("{old}, {fresh}")), Ok(()));
        assert_eq!(verdict(&format!("{forged},{fresh}")), Ok(()));
        assert!(matches!(
            verdict(&format!("x;y,{old}")),
            Err(Refusal::TooOld { .. })
        ));
        assert_eq!(
            verdict(&format!("x;y,{old},{forged}")),
            Err(Refusal::NoMatch)
        );
    }

    #[test]
    fn secrets_are_tried_for_both_schemes_in_every_spelling() {
        let now = time("2026-10-01T15:00:00Z");
        let bytes: Vec<u8> = [0xfb, 0xff, 0xbf].into_iter().chain(0..22).collect();
        let written = STANDARD.encode(&bytes);
        let standard = Secret::new(&written);
        let legacy_value = sign_legacy(BODY, &standard, now).expect("signed");
        let headers = sign_standard(BODY, "msg_1", &standard, now).expect("signed");
        let url_safe = written.replace('+', "-").replace('/', "_");
        for spelling in [
            written.clone(),
            written.trim_end_matches('=').to_owned(),
            url_safe.clone(),
            format!("whsec_{written}"),
            format!("whsec_{}", url_safe.trim_end_matches('=')),
        ] {
            let secrets = secrets(&[&spelling]);
            for headers in [legacy(&legacy_value), headers.clone()] {
                let verdict = verdict(BODY, &headers, &secrets, within(0, now));
                assert_eq!(verdict, Ok(()), "{spelling}");
            }
        }
    }

    #[test]
    fn unusable_secrets_accept_nothing_and_are_a_mistake_of_the_operator() {
        let empty_key = Hmac::<Sha256>::new_from_slice(b"").expect("any length");
        let digest = empty_key
            .chain_update("1790867200000.")
            .chain_update(BODY)
            .finalize()
            .into_bytes();
        let value = legacy(&format!("hmac;1;1790867200000;{}", STANDARD.encode(digest)));
        for texts in [
            &[][..],
            &[""],
            &["whsec_"],
            &["not base64!"],
            &["====", "=", "A"],
            &["AAECAwQFBgcICQoLDA0O"],
            &["your_webhook_secret_here"],
            &["YOUR-OPENPHONE-WEBHOOK-SIGNING-SECRET"],
            &["whsec_your_signing_secret_here_000000"],
            &["changeme_changeme_changeme"],
            &["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
            &["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
            &["<signing secret of the webhook 00>"],
            &["${OPENPHONE_WEBHOOK_SECRET}0000000"],
        ] {
            let secrets = secrets(texts);
            let verdict = verdict(BODY, &value, &secrets, off());
            assert_eq!(verdict, Err(Refusal::NoUsableSecret), "{texts:?}");
            assert!(!secrets.quo.iter().any(is_usable), "{texts:?}");
        }
        assert!(sign_legacy(BODY, &Secret::new(""), Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(
            verdict(BODY, &value, &secrets(&["", SECRET]), off()),
            Err(Refusal::NoMatch)
        );
    }

    #[test]
    fn standard_scheme_asks_for_longer_secrets() {
        let now = time("2026-10-01T15:00:00Z");
        let short = "AAECAwQFBgcICQoLDA0ODxAREhM=";
        let value = sign_legacy(BODY, &Secret::new(short), now).expect("signed");
        let check = |headers: &Headers| verdict(BODY, headers, &secrets(&[short]), off());
        assert_eq!(check(&legacy(&value)), Ok(()));
        let headers = Headers {
            signature: "v1,AAAA".into(),
            id: Some("msg_1".into()),
            timestamp: Some("1790867045".into()),
        };
        assert_eq!(check(&headers), Err(Refusal::NoUsableSecret));
        assert!(sign_standard(BODY, "msg_1", &Secret::new(short), now).is_err());
    }

    #[test]
    fn scheme_of_notion_has_a_secret_of_its_own() {
        let token = Secret::new("secret_kx2yQ7DoKpF0m8vLqW3r");
        let value = sign_notion(BODY, &token).expect("signed");
        let check = |body: &[u8], value: &str, notion: Option<Secret>| {
            let secrets = Secrets {
                notion,
                ..secrets(&[SECRET])
            };
            verify(body, &legacy(value), &secrets, off()).map(|verified| verified.signer)
        };
        assert_eq!(check(BODY, &value, Some(token.clone())), Ok(Signer::Notion));
        assert_eq!(check(BODY, &value, None), Err(Refusal::NoNotionSecret));
        let placeholder = Some(Secret::new("your_notion_webhook_secret"));
        assert_eq!(
            check(BODY, &value, placeholder),
            Err(Refusal::NoNotionSecret)
        );
        assert_eq!(
            check(b"{}", &value, Some(token.clone())),
            Err(Refusal::NoMatch)
        );
        let malformed = Err(Refusal::Malformed("its digest is not hex"));
        assert_eq!(check(BODY, "sha256=0", Some(token.clone())), malformed);
        assert_eq!(check(BODY, "sha256=zz", Some(token.clone())), malformed);
        assert_eq!(check(BODY, "sha256=", Some(token)), Err(Refusal::NoMatch));
    }

    #[test]
    fn dot_in_the_id_cannot_move_the_border_of_what_is_signed() {
        let now = time("2026-10-01T15:00:00Z");
        let key = Secret::new(SECRET);
        let body = format!("{}.{{}}", now.as_second());
        let signed = sign_standard(body.as_bytes(), "msg_1", &key, now).expect("signed");
        let moved = Headers {
            id: Some(format!("msg_1.{}", now.as_second())),
            ..signed
        };
        assert_eq!(
            verdict(b"{}", &moved, &secrets(&[SECRET]), within(300, now)),
            Err(Refusal::Malformed("its webhook-id holds a dot"))
        );
    }

    #[test]
    fn standard_scheme_needs_its_other_headers() {
        let now = time("2026-10-01T15:00:00Z");
        let full = sign_standard(BODY, "msg_1", &Secret::new(SECRET), now).expect("signed");
        let verdict =
            |headers: Headers| verdict(BODY, &headers, &secrets(&[SECRET]), within(300, now));
        assert_eq!(verdict(full.clone()), Ok(()));
        let missing = |name| Err(Refusal::MissingHeader(name));
        assert_eq!(
            verdict(Headers {
                id: None,
                ..full.clone()
            }),
            missing("webhook-id")
        );
        assert_eq!(
            verdict(Headers {
                id: Some(" ".into()),
                ..full.clone()
            }),
            missing("webhook-id")
        );
        assert_eq!(
            verdict(Headers {
                timestamp: None,
                ..full.clone()
            }),
            missing("webhook-timestamp")
        );
        assert_eq!(
            verdict(Headers {
                id: Some("msg_2".into()),
                ..full.clone()
            }),
            Err(Refusal::NoMatch)
        );
        assert_eq!(
            verdict(Headers {
                timestamp: Some("1790867046".into()),
                ..full
            }),
            Err(Refusal::NoMatch)
        );
    }

    #[test]
    fn only_white_space_outside_of_strings_is_removed() {
        let spaced = b" { \"a \\\" b\" :\t[ 1.50 ,\r\n \"\\\\\" , \" c \" ] }\n";
        let want: &[u8] = br#"{"a \" b":[1.50,"\\"," c "]}"#;
        assert_eq!(
            String::from_utf8(without_white_space(spaced)),
            String::from_utf8(want.to_vec())
        );
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_and_anything_else_does_not(
            body in any::<Vec<u8>>(),
            other in any::<Vec<u8>>(),
        ) {
            let now = time("2026-10-01T15:00:00Z");
            let (secret, window) = (Secret::new(SECRET), within(300, now));
            let value = legacy(&sign_legacy(&body, &secret, now).expect("signed"));
            let headers = sign_standard(&body, "msg_1", &secret, now).expect("signed");
            let secrets = with_quo(vec![secret]);
            assert_eq!(verdict(&body, &value, &secrets, window), Ok(()));
            assert_eq!(verdict(&body, &headers, &secrets, window), Ok(()));
            assert_eq!(verify(&other, &headers, &secrets, window).is_ok(), body == other);
        }

        #[test]
        fn hostile_header_values_are_refused_without_panic(value in "[hmacv1;, \
            0-9A-Za-z+/=\\PC]{0,80}") {
            assert!(refusal(&value).is_some());
        }
    }
}
