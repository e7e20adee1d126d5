//! The signature: whether the raw bytes really come from Quo and are fresh.
//!
//! Apart from parsing because it comes before it: nothing here looks into the payload. Two schemes
//! exist, told apart by the value's form: `hmac;1;<time>;<digest>` (legacy, header
//! `openphone-signature`) and `v1,<digest>` (Standard Webhooks, header `webhook-signature`). Every
//! secret and every listed signature is tried, in constant time.

use std::cell::OnceCell;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::secret::Secret;

/// Most signatures that are tried from one header value; a rotation needs two.
const MAX_SIGNATURES: usize = 16;
/// Timestamps of the legacy scheme from here on are milliseconds: as seconds this would be the year
/// 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;
/// Prefix of the secrets of Standard Webhooks; not part of the key.
const STANDARD_PREFIX: &str = "whsec_";
/// Secrets are pasted by people, so missing padding is no fault.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Header values of one delivery, as received.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// `openphone-signature` or `webhook-signature`.
    pub signature: String,
    /// `webhook-id`; only Standard Webhooks has it.
    pub id: Option<String>,
    /// `webhook-timestamp`, in seconds; only Standard Webhooks has it.
    pub timestamp: Option<String>,
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
pub struct Window {
    /// The present.
    pub now: Timestamp,
    /// How far from it is still fresh.
    pub tolerance: Tolerance,
}

/// Why a payload is not accepted. Its text never holds a secret or an expected signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No secret is configured that could verify anything: a mistake of the operator, not of the
    /// sender.
    NoUsableSecret,
    /// A signature header without a value.
    Empty,
    /// Neither `hmac;1;…` nor `v1,…`.
    UnknownScheme,
    /// The known scheme, but not its form.
    Malformed(&'static str),
    /// Standard Webhooks without one of its other two headers.
    MissingHeader(&'static str),
    /// Rightly signed, but too long ago.
    TooOld {
        /// Time since the signature.
        age: SignedDuration,
    },
    /// Rightly signed, but by a clock that is too far ahead.
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
            Self::NoUsableSecret => {
                f.write_str("no usable webhook secret is configured: a secret is base64 text")
            }
            Self::Empty => f.write_str("the signature is empty"),
            Self::UnknownScheme => {
                f.write_str("the signature is of no known scheme (hmac;1;… or v1,…)")
            }
            Self::Malformed(what) => write!(f, "the signature is malformed: {what}"),
            Self::MissingHeader(name) => write!(f, "a v1 signature needs the header {name}"),
            Self::TooOld { age } => write!(f, "the signature is too old: {}", whole_seconds(*age)),
            Self::InFuture { ahead } => write!(
                f,
                "the signature is from the future: {}",
                whole_seconds(*ahead)
            ),
            Self::NoMatch => f.write_str("the signature matches no configured webhook secret"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Which of several refusals says most about a delivery with several signatures.
    fn weight(&self) -> u8 {
        match self {
            Self::TooOld { .. } | Self::InFuture { .. } => 2,
            Self::NoMatch => 1,
            Self::NoUsableSecret
            | Self::Empty
            | Self::UnknownScheme
            | Self::Malformed(_)
            | Self::MissingHeader(_) => 0,
        }
    }
}

/// Accepts `body` if one of `secrets` gives one of the signatures in `headers`, and that one lies
/// in the window.
pub fn verify(
    body: &[u8],
    headers: &Headers,
    secrets: &[Secret],
    window: Window,
) -> Result<(), Refusal> {
    let keys: Vec<Key> = secrets.iter().filter_map(Key::of).collect();
    let value = headers.signature.trim();
    if keys.is_empty() {
        Err(Refusal::NoUsableSecret)
    } else if value.is_empty() {
        Err(Refusal::Empty)
    } else if value.contains(';') {
        verify_legacy(body, value, &keys, window)
    } else {
        verify_standard(body, headers, &keys, window)
    }
}

/// True if a signature can be checked with this secret: base64 of at least one byte, with or
/// without `whsec_`.
pub fn is_usable(secret: &Secret) -> bool {
    Key::of(secret).is_some()
}

/// The value of `openphone-signature` for `body`.
pub fn sign_legacy(body: &[u8], secret: &Secret, now: Timestamp) -> Result<String, Refusal> {
    let key = Key::of(secret).ok_or(Refusal::NoUsableSecret)?;
    let millis = now.as_millisecond();
    Ok(format!(
        "hmac;1;{millis};{}",
        STANDARD.encode(key.digest(&format!("{millis}."), body))
    ))
}

/// The headers of Standard Webhooks for `body`, delivered under `id`.
pub fn sign_standard(
    body: &[u8],
    id: &str,
    secret: &Secret,
    now: Timestamp,
) -> Result<Headers, Refusal> {
    let key = Key::of(secret).ok_or(Refusal::NoUsableSecret)?;
    let secs = now.as_second().to_string();
    let signature = format!(
        "v1,{}",
        STANDARD.encode(key.digest(&format!("{id}.{secs}."), body))
    );
    Ok(Headers {
        signature,
        id: Some(id.to_owned()),
        timestamp: Some(secs),
    })
}

/// A secret made ready. There is none for an empty secret, so an empty key cannot occur.
struct Key(Hmac<Sha256>);

impl Key {
    fn of(secret: &Secret) -> Option<Self> {
        let text = secret.expose();
        let text = text.strip_prefix(STANDARD_PREFIX).unwrap_or(text);
        let bytes = LENIENT
            .decode(text.replace('-', "+").replace('_', "/"))
            .ok()?;
        if bytes.is_empty() {
            return None;
        }
        Hmac::new_from_slice(&bytes).ok().map(Self)
    }

    fn over(&self, prefix: &str, body: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(prefix).chain_update(body)
    }

    fn digest(&self, prefix: &str, body: &[u8]) -> Vec<u8> {
        self.over(prefix, body).finalize().into_bytes().to_vec()
    }

    fn signed(&self, prefix: &str, body: &[u8], digest: &[u8]) -> bool {
        self.over(prefix, body).verify_slice(digest).is_ok()
    }
}

/// A comma-separated list of `hmac;1;<time>;<digest>`; signed are the time as received, a dot, and
/// the body.
fn verify_legacy(body: &[u8], value: &str, keys: &[Key], window: Window) -> Result<(), Refusal> {
    let compact = OnceCell::new();
    accept_any(value.split(','), |entry| {
        let (written, time, digest) = parse_legacy(entry)?;
        let prefix = format!("{written}.");
        let signed = |body: &[u8]| keys.iter().any(|key| key.signed(&prefix, body, &digest));
        if signed(body) || signed(compact.get_or_init(|| without_white_space(body))) {
            check_age(time, window)
        } else {
            Err(Refusal::NoMatch)
        }
    })
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
/// body with dots.
fn verify_standard(
    body: &[u8],
    headers: &Headers,
    keys: &[Key],
    window: Window,
) -> Result<(), Refusal> {
    let digests = || {
        headers
            .signature
            .split_whitespace()
            .filter_map(|entry| entry.strip_prefix("v1,"))
    };
    if digests().next().is_none() {
        return Err(Refusal::UnknownScheme);
    }
    let id = header(headers.id.as_deref(), "webhook-id")?;
    let written = header(headers.timestamp.as_deref(), "webhook-timestamp")?;
    let time = Timestamp::from_second(parse_time(written)?);
    let time = time.map_err(|_| Refusal::Malformed("its timestamp is out of range"))?;
    let prefix = format!("{id}.{written}.");
    accept_any(digests(), |digest| {
        let digest = parse_digest(digest)?;
        if keys.iter().any(|key| key.signed(&prefix, body, &digest)) {
            check_age(time, window)
        } else {
            Err(Refusal::NoMatch)
        }
    })
}

/// The first acceptance, else the refusal that says most.
fn accept_any<'a>(
    entries: impl Iterator<Item = &'a str>,
    check: impl Fn(&'a str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut telling: Option<Refusal> = None;
    for (index, entry) in entries.enumerate() {
        if index == MAX_SIGNATURES {
            return Err(Refusal::Malformed("it lists too many signatures"));
        }
        let Err(refusal) = check(entry) else {
            return Ok(());
        };
        if telling
            .as_ref()
            .is_none_or(|kept| refusal.weight() > kept.weight())
        {
            telling = Some(refusal);
        }
    }
    Err(telling.unwrap_or(Refusal::Empty))
}

fn check_age(time: Timestamp, window: Window) -> Result<(), Refusal> {
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
    use proptest::prelude::{any, proptest};
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = include_str!("../../fixtures/quo/signature-vectors.json");
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

    fn within(secs: i64, now: Timestamp) -> Window {
        Window {
            now,
            tolerance: Tolerance::Within(SignedDuration::from_secs(secs)),
        }
    }

    fn off() -> Window {
        Window {
            now: Timestamp::UNIX_EPOCH,
            tolerance: Tolerance::Off,
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(text)).collect()
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
        verify(BODY, &headers, &secrets(&[SECRET]), off()).err()
    }

    #[test]
    fn published_vectors_verify_with_each_of_their_secrets() {
        assert_eq!(vectors().len(), 7);
        for vector in vectors() {
            for secret in &vector.secrets {
                let secrets = [Secret::new(""), Secret::new("AAAA"), secret.clone()];
                assert_eq!(
                    verify(
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
                let verdict = verify(
                    &body,
                    &vector.headers,
                    &vector.secrets,
                    within(0, vector.now),
                );
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
                    verify(&vector.body, &headers, &vector.secrets, off()).is_err(),
                    "{} {index}",
                    vector.name
                );
            }
            let mut headers = vector.headers.clone();
            headers.signature.truncate(headers.signature.len() - 4);
            assert!(
                verify(&vector.body, &headers, &vector.secrets, off()).is_err(),
                "{} truncated",
                vector.name
            );
        }
    }

    #[test]
    fn truncated_digest_is_refused_though_its_bytes_agree() {
        let key = Key::of(&Secret::new(SECRET)).expect("key");
        let digest = key.digest("1790867200000.", BODY);
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
            (format!("sha256={digest}"), Refusal::UnknownScheme),
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
            let verdict = |window| verify(BODY, &legacy(&value), &secrets(&[SECRET]), window);
            assert_eq!(verdict(within(300, now)), want, "{signed_at}");
            assert_eq!(
                verdict(Window {
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

    #[test]
    fn legacy_time_may_be_in_seconds_and_standard_time_must_be() {
        let (now, secret) = (time("2026-10-01T15:04:05Z"), Secret::new(SECRET));
        let digest = Key::of(&secret).expect("key").digest("1790867045.", BODY);
        let value = format!("hmac;1;1790867045;{}", STANDARD.encode(digest));
        assert_eq!(
            verify(
                BODY,
                &legacy(&value),
                std::slice::from_ref(&secret),
                within(1, now)
            ),
            Ok(())
        );
        let digest = Key::of(&secret)
            .expect("key")
            .digest("m.1790867045000.", BODY);
        let signature = format!("v1,{}", STANDARD.encode(digest));
        let headers = Headers {
            signature,
            id: Some("m".into()),
            timestamp: Some("1790867045000".into()),
        };
        let out_of_range = Refusal::Malformed("its timestamp is out of range");
        assert_eq!(
            verify(BODY, &headers, &[secret], within(1, now)),
            Err(out_of_range)
        );
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
        let verdict = |value: String| {
            verify(
                BODY,
                &legacy(&value),
                std::slice::from_ref(&secret),
                within(300, now),
            )
        };
        assert_eq!(verdict(format!("{old}, {fresh}")), Ok(()));
        assert!(matches!(
            verdict(format!("x;y,{old},{forged}")),
            Err(Refusal::TooOld { .. })
        ));
        assert_eq!(verdict(format!("x;y,{forged}")), Err(Refusal::NoMatch));
    }

    #[test]
    fn secrets_are_tried_for_both_schemes_in_every_spelling() {
        let now = time("2026-10-01T15:00:00Z");
        let bytes = [0xfb, 0xff, 0xbf, 0x01];
        let standard = Secret::new(&STANDARD.encode(bytes));
        let legacy_value = sign_legacy(BODY, &standard, now).expect("signed");
        let headers = sign_standard(BODY, "msg_1", &standard, now).expect("signed");
        for spelling in [
            "+/+/AQ==",
            "+/+/AQ",
            "-_-_AQ",
            "whsec_+/+/AQ==",
            "whsec_-_-_AQ",
        ] {
            let secrets = secrets(&[spelling]);
            assert_eq!(
                verify(BODY, &legacy(&legacy_value), &secrets, within(0, now)),
                Ok(()),
                "{spelling}"
            );
            assert_eq!(
                verify(BODY, &headers, &secrets, within(0, now)),
                Ok(()),
                "{spelling}"
            );
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
        ] {
            let secrets = secrets(texts);
            assert_eq!(
                verify(BODY, &value, &secrets, off()),
                Err(Refusal::NoUsableSecret),
                "{texts:?}"
            );
            assert!(!secrets.iter().any(is_usable));
        }
        assert!(sign_legacy(BODY, &Secret::new(""), Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(
            verify(BODY, &value, &secrets(&["", SECRET]), off()),
            Err(Refusal::NoMatch)
        );
    }

    #[test]
    fn standard_scheme_needs_its_other_headers() {
        let now = time("2026-10-01T15:00:00Z");
        let full = sign_standard(BODY, "msg_1", &Secret::new(SECRET), now).expect("signed");
        let verdict =
            |headers: Headers| verify(BODY, &headers, &secrets(&[SECRET]), within(300, now));
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
            let secrets = [secret];
            assert_eq!(verify(&body, &value, &secrets, window), Ok(()));
            assert_eq!(verify(&body, &headers, &secrets, window), Ok(()));
            assert_eq!(verify(&other, &headers, &secrets, window).is_ok(), body == other);
        }

        #[test]
        fn hostile_header_values_are_refused_without_panic(value in "[hmacv1;, \
            0-9A-Za-z+/=\\PC]{0,80}") {
            assert!(refusal(&value).is_some());
        }
    }
}
