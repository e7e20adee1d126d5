//! The door: which signatures let a payload in, and that a refused one leaves no trace anywhere.

use jiff::{SignedDuration, Timestamp};
use quotion::secret::Secret;
use quotion::signature::{Headers, sign_legacy, sign_notion, sign_standard};
use serde_json::{Value as Json, json};

use crate::harness::{Run, User, fixtures, holds, sample};
use crate::kit::altered;
use crate::standin::QUO_WEBHOOK_SECRET;
use crate::support::inbox;

const SECRET: &str = "OPENPHONE_WEBHOOK_SECRET";
const STANDARD: &str = "whsec_cXVvLXN0YW5kYXJkLXdlYmhvb2tzLWtleS0wMDAwMDE=";
/// A delivery that needs neither network nor settings.
const RINGING: &str = "v2026-03-30.call.ringing";

struct Vector {
    name: String,
    body: Vec<u8>,
    headers: Headers,
    secrets: Vec<String>,
}

fn vectors() -> Vec<Vector> {
    let bytes = std::fs::read(fixtures().join("quo/signature-vectors.json")).expect("the vectors");
    let file: Json = serde_json::from_slice(&bytes).expect("JSON");
    file["vectors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(vector)
        .collect()
}

fn vector(json: &Json) -> Vector {
    let text = |at: &str| json.pointer(at).and_then(Json::as_str).map(str::to_owned);
    let signature =
        text("/header/openphone-signature").or_else(|| text("/header/webhook-signature"));
    Vector {
        name: text("/name")
            .expect("a name")
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
        body: text("/body").expect("a body").into_bytes(),
        headers: Headers {
            signature: signature.expect("a signature"),
            id: text("/header/webhook-id"),
            timestamp: text("/header/webhook-timestamp"),
        },
        secrets: ["/secret", "/old_secret"]
            .iter()
            .filter_map(|at| text(at))
            .collect(),
    }
}

/// The flags with which a receiver passes these headers on.
fn flags(headers: &Headers) -> Vec<String> {
    let mut flags = vec!["--signature".to_owned(), headers.signature.clone()];
    flags.extend(
        headers
            .id
            .iter()
            .flat_map(|id| ["--webhook-id".to_owned(), id.clone()]),
    );
    flags.extend(
        headers
            .timestamp
            .iter()
            .flat_map(|time| ["--webhook-timestamp".to_owned(), time.clone()]),
    );
    flags
}

fn at_any_age(headers: &Headers) -> Vec<String> {
    [
        flags(headers),
        vec!["--signature-tolerance".into(), "off".into()],
    ]
    .concat()
}

fn legacy(body: &[u8], at: Timestamp) -> String {
    sign_legacy(body, &Secret::new(QUO_WEBHOOK_SECRET), at).expect("signed")
}

fn legacy_flags(body: &[u8], at: Timestamp) -> Vec<String> {
    vec!["--signature".into(), legacy(body, at)]
}

/// Asserts that a run was refused at the door: nothing asked of a vendor, nothing kept.
#[track_caller]
fn check_refused(user: &User, run: &Run, case: &str) {
    let kind = run.line()["error"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(
        (run.code, kind.as_str()),
        (77, "signature"),
        "{case}: {}{}",
        run.stdout,
        run.stderr
    );
    assert_no_trace(user, case);
}

#[track_caller]
fn assert_no_trace(user: &User, case: &str) {
    assert_eq!(user.vendors.requests().len(), 0, "{case}");
    assert_eq!(user.files(), [], "{case}");
}

#[test]
fn every_published_vector_is_let_in_with_each_of_its_secrets() {
    let mut verdicts = Vec::new();
    for vector in vectors() {
        for secret in &vector.secrets {
            let mut user = User::new();
            let run = user
                .set(SECRET, secret)
                .run(&at_any_age(&vector.headers), &vector.body);
            let line = run.line();
            let said = line["action"]
                .as_str()
                .or_else(|| line["error"]["kind"].as_str())
                .unwrap_or_default();
            verdicts.push(format!("{} {} {said}", vector.name, run.code));
        }
    }
    let want = [
        "legacy-1 0 created",
        "legacy-2 0 created",
        "legacy-3 0 skipped",
        "legacy-4 0 created",
        "std-0 65 payload",
        "std-1 0 created",
        "std-2 0 skipped",
        "std-2 0 skipped",
    ];
    assert_eq!(verdicts, want);
}

#[test]
fn changed_byte_is_refused_and_nothing_is_asked_or_kept() {
    for vector in vectors() {
        let mut user = User::new();
        user.set(SECRET, &vector.secrets.join(","));
        for index in [0, vector.body.len() / 2, vector.body.len() - 1] {
            let mut body = vector.body.clone();
            body[index] ^= 1;
            let run = user.run(&at_any_age(&vector.headers), &body);
            check_refused(&user, &run, &format!("{} byte {index}", vector.name));
        }
        let longer = [&vector.body[..], b"0"].concat();
        check_refused(
            &user,
            &user.run(&at_any_age(&vector.headers), &longer),
            &vector.name,
        );
        let shorter = &vector.body[..vector.body.len() - 1];
        check_refused(
            &user,
            &user.run(&at_any_age(&vector.headers), shorter),
            &vector.name,
        );
    }
}

#[test]
fn freshly_signed_delivery_of_either_scheme_is_synced_with_the_default_window() {
    let (user, body) = (User::new(), sample("legacy-v4.message.received"));
    user.run(&legacy_flags(&body, Timestamp::now()), &body)
        .expect(0, "success", "created");
    let mut user = User::new();
    let headers =
        sign_standard(&body, "msg_1", &Secret::new(STANDARD), Timestamp::now()).expect("signed");
    user.set(SECRET, STANDARD)
        .run(&flags(&headers), &body)
        .expect(0, "success", "created");
}

#[test]
fn value_of_another_form_is_refused_not_skipped() {
    let (user, body) = (User::new(), sample(RINGING));
    let good = legacy(&body, Timestamp::now());
    let (time, digest) = good
        .strip_prefix("hmac;1;")
        .and_then(|rest| rest.split_once(';'))
        .expect("its form");
    for value in [
        String::new(),
        " ".into(),
        "\n".into(),
        ";".into(),
        ",".into(),
        "null".into(),
        format!("sha1;1;{time};{digest}"),
        format!("HMAC;1;{time};{digest}"),
        format!("hmac;2;{time};{digest}"),
        format!("hmac;1;{time};{digest};"),
        format!("hmac;1;{time};{digest};{digest}"),
        format!("hmac;1;{digest}"),
        format!("hmac;1;;{digest}"),
        format!("hmac;1;{time}0;{digest}"),
        format!("hmac;1;{time};"),
        format!("hmac;1;{time};{}", &digest[..digest.len() - 4]),
        format!("v1,{digest}"),
        format!("v1;{digest}"),
        digest.to_owned(),
        vec!["hmac;1;1;AAAA"; 1000].join(","),
        "--require-signature".into(),
        "-".into(),
    ] {
        check_refused(&user, &user.run(&["--signature", &value], &body), &value);
        check_refused(
            &user,
            &user.run(&[format!("--signature={value}")], &body),
            &value,
        );
    }
    user.run(&["--signature", &good], &body)
        .expect(0, "success", "skipped");
}

#[test]
fn standard_scheme_without_its_other_headers_is_refused() {
    let (mut user, body) = (User::new(), sample(RINGING));
    user.set(SECRET, STANDARD);
    let whole =
        sign_standard(&body, "msg_1", &Secret::new(STANDARD), Timestamp::now()).expect("signed");
    let with = |id: Option<&str>, timestamp: Option<&str>| Headers {
        signature: whole.signature.clone(),
        id: id.map(str::to_owned),
        timestamp: timestamp.map(str::to_owned),
    };
    let time = whole.timestamp.clone().expect("a time");
    for headers in [
        with(None, Some(&time)),
        with(Some(""), Some(&time)),
        with(Some("msg_2"), Some(&time)),
        with(Some("msg_1"), None),
        with(Some("msg_1"), Some("")),
        with(Some("msg_1"), Some("-1")),
        with(Some("msg_1"), Some(&format!("{time}000"))),
        with(Some("msg_1"), Some("9999999999999999999999")),
    ] {
        check_refused(
            &user,
            &user.run(&flags(&headers), &body),
            &format!("{headers:?}"),
        );
    }
    user.run(&flags(&whole), &body)
        .expect(0, "success", "skipped");
}

#[test]
fn other_headers_without_a_signature_are_refused_not_skipped() {
    let (user, body) = (User::new(), sample(RINGING));
    for args in [
        &["--webhook-id", "msg_1"][..],
        &["--webhook-timestamp", "1790867045"],
    ] {
        let run = user.run(args, &body);
        check_refused(&user, &run, &format!("{args:?}"));
    }
}

#[test]
fn signature_to_check_and_no_usable_secret_is_a_fault_of_the_configuration() {
    let body = sample("legacy-v4.message.received");
    for secret in ["", " ", ",", " , ,", "not base64!", "whsec_", "=="] {
        let mut user = User::new();
        let run = user
            .set(SECRET, secret)
            .run(&legacy_flags(&body, Timestamp::now()), &body);
        run.expect_error(78, "config");
        assert!(
            run.line()["error"]["hint"].to_string().contains(SECRET),
            "{secret:?}: {}",
            run.stdout
        );
        assert!(
            secret.trim().len() < 5 || !run.stdout.contains(secret),
            "{secret:?}: {}",
            run.stdout
        );
        assert_eq!(user.vendors.requests().len(), 0, "{secret:?}");
    }
}

#[test]
fn every_one_of_several_secrets_is_tried_whatever_stands_between_them() {
    let body = sample(RINGING);
    let headers =
        sign_standard(&body, "msg_1", &Secret::new(STANDARD), Timestamp::now()).expect("signed");
    for name in [SECRET, "QUO_WEBHOOK_SECRET"] {
        for secrets in [
            format!("{QUO_WEBHOOK_SECRET},{STANDARD}"),
            format!("  {STANDARD}\t, {QUO_WEBHOOK_SECRET} \n"),
            format!(",,not base64!,{QUO_WEBHOOK_SECRET},{STANDARD},"),
        ] {
            let mut user = User::new();
            user.set(SECRET, "").set(name, &secrets);
            user.run(&flags(&headers), &body)
                .expect(0, "success", "skipped");
            user.run(&legacy_flags(&body, Timestamp::now()), &body)
                .expect(0, "success", "skipped");
        }
    }
}

#[test]
fn payload_without_signature_is_refused_where_one_is_required() {
    let body = sample(RINGING);
    let user = User::new();
    check_refused(&user, &user.run(&["--require-signature"], &body), "flag");
    for on in ["1", "true", "YES", " on "] {
        let mut user = User::new();
        user.set("QUOTION_REQUIRE_SIGNATURE", on);
        check_refused(&user, &user.run::<&str>(&[], &body), on);
        user.run(&legacy_flags(&body, Timestamp::now()), &body)
            .expect(0, "success", "skipped");
    }
    let mut user = User::new();
    user.set("QUOTION_REQUIRE_SIGNATURE", "0")
        .run::<&str>(&[], &body)
        .expect(0, "success", "skipped");
    user.set("QUOTION_REQUIRE_SIGNATURE", "maybe")
        .run::<&str>(&[], &body)
        .expect_error(78, "config");
    check_refused(
        &user,
        &user.run(&["--require-signature"], &body),
        "a flag beats the environment",
    );
}

#[test]
fn signature_outside_of_the_window_is_refused_with_its_age() {
    let (user, body, now) = (User::new(), sample(RINGING), Timestamp::now());
    let hours = SignedDuration::from_hours;
    let message = |at: Timestamp, tolerance: Option<&str>| {
        let tolerance = tolerance
            .iter()
            .flat_map(|text| ["--signature-tolerance".to_owned(), (*text).to_owned()]);
        let run = user.run(
            &legacy_flags(&body, at)
                .into_iter()
                .chain(tolerance)
                .collect::<Vec<_>>(),
            &body,
        );
        run.line()["error"]["message"].as_str().map(str::to_owned)
    };
    let old = message(now - hours(3), None).expect("refused");
    assert!(old.starts_with("the signature is too old: 3h"), "{old}");
    let ahead = message(now + hours(3), None).expect("refused");
    assert!(
        ahead.starts_with("the signature is from the future: 2h 59m"),
        "{ahead}"
    );
    check_refused(
        &user,
        &user.run(&legacy_flags(&body, now - hours(3)), &body),
        "old",
    );
    assert_eq!(message(now - hours(3), Some("4h")), None);
    assert_eq!(message(now + hours(3), Some("4h")), None);
    assert_eq!(message(now - hours(300_000), Some("off")), None);
    assert!(message(now - hours(3), Some("2h")).is_some());
}

#[test]
fn raw_bytes_are_what_was_signed_whatever_their_spacing() {
    let compact = serde_json::to_string(&crate::harness::sample_json(RINGING)).expect("JSON");
    let bodies = [
        compact.replace(",\"", " ,\r\n\t\"").into_bytes(),
        format!("\r\n\r\n  {compact}\r\n\r\n").into_bytes(),
        compact
            .replace('{', "{\r\n")
            .replace("\":", "\"\t:  ")
            .into_bytes(),
        compact
            .replacen('{', r#"{"text":"a\r\n  b \u00e9 é 😀 \" , ","#, 1)
            .into_bytes(),
    ];
    for body in bodies {
        let user = User::new();
        let flags = legacy_flags(&body, Timestamp::now());
        user.run(&flags, &body).expect(0, "success", "skipped");
        let inside = String::from_utf8_lossy(&body).replacen("call", "call ", 1);
        check_refused(
            &user,
            &user.run(&flags, inside.as_bytes()),
            "a blank inside of a text",
        );
    }
}

#[test]
fn signed_bytes_that_are_no_document_are_let_in_and_then_refused_as_payload() {
    for body in [
        &b"\xff\xfe\x00"[..],
        b"\xef\xbb\xbf[]",
        b"{\"type\":",
        b"null",
        b"\0",
    ] {
        let user = User::new();
        let run = user.run(&legacy_flags(body, Timestamp::now()), body);
        run.expect_error(65, "payload");
        assert_eq!(user.vendors.requests().len(), 0, "{body:?}");
    }
}

#[test]
fn one_document_stands_under_one_signature() {
    let user = User::new();
    let body = [
        sample(RINGING),
        b"\n".to_vec(),
        sample("legacy-v4.message.received"),
    ]
    .concat();
    for more in [&body[..], b"{}{}", b"{} x"] {
        let run = user.run(&legacy_flags(more, Timestamp::now()), more);
        run.expect_error(65, "payload");
        assert_eq!(run.lines.len(), 1);
    }
    assert_no_trace(&user, "more than one document");

    let user = User::new();
    let flags = legacy_flags(&sample(RINGING), Timestamp::now());
    check_refused(
        &user,
        &user.run(&flags, &body),
        "the first document alone was signed",
    );
}

/// Quo's console sends one on demand: it shows that the subscription works and is nobody's text.
#[test]
fn test_delivery_is_noted_and_writes_nothing_but_only_a_signed_one_is_a_test() {
    let test = altered(
        "legacy-v4.message.received",
        &[("/id", json!("EV-test-message-received"))],
    );
    let body = test.to_string().into_bytes();
    let user = User::new();
    let run = user.run(&legacy_flags(&body, Timestamp::now()), &body);
    run.expect(0, "success", "skipped");
    assert_eq!(run.line()["reason"], "test");
    assert_eq!(user.vendors.requests().len(), 0);
    assert_eq!((user.client_pages(), inbox(&user).len()), (0, 0));
    user.deliver(&test).expect(0, "success", "created");
}

#[test]
fn signature_of_one_vendor_brings_no_event_of_the_other() {
    let token = "secret_kx2yQ7DoKpF0m8vLqW3rT5uZ";
    let flags = |body: &[u8]| {
        let signature = sign_notion(body, &Secret::new(token)).expect("signed");
        ["--signature".to_owned(), signature]
    };
    let mut user = User::new();
    user.set("NOTION_WEBHOOK_SECRET", token);
    let of_notion = std::fs::read(fixtures().join("notion/webhooks/page.created.json"));
    let of_notion = of_notion.expect("a sample");
    user.run(&flags(&of_notion), &of_notion)
        .expect(0, "success", "skipped");
    let of_quo = sample("legacy-v4.message.received");
    let run = user.run(&flags(&of_quo), &of_quo);
    check_refused(&user, &run, "a text under Notion's signature");
    user.set("NOTION_WEBHOOK_SECRET", "");
    user.run(&flags(&of_notion), &of_notion)
        .expect_error(78, "config");
}

/// Hashing takes as long as the body, the secrets and the signatures are many; a stranger must not
/// choose how long. So what is out of its time is told as that, though nothing in it would match.
#[test]
fn age_is_looked_at_before_anything_is_hashed() {
    let user = User::new();
    let body = sample(RINGING);
    for (signature, id) in [("hmac;1;1;AAAA", None), ("v1,AAAA v1,BBBB", Some("msg_1"))] {
        let mut flags = vec!["--signature", signature];
        if let Some(id) = id {
            flags.extend(["--webhook-id", id, "--webhook-timestamp", "1"]);
        }
        let run = user.run(&flags, &body);
        run.expect_error(77, "signature");
        let message = run.line()["error"]["message"].to_string();
        assert!(message.contains("too old"), "{message}");
    }
}

#[test]
fn empty_input_with_a_signature_flag_is_an_error() {
    let user = User::new();
    for body in [&b""[..], b" \r\n\t "] {
        user.run(&legacy_flags(body, Timestamp::now()), body)
            .expect_error(65, "payload");
        let required = [
            legacy_flags(body, Timestamp::now()),
            vec!["--require-signature".into()],
        ]
        .concat();
        user.run(&required, body).expect_error(65, "payload");
    }
    check_refused(
        &user,
        &user.run(&["--require-signature"], b""),
        "nothing at all",
    );
}

#[test]
fn signed_input_beyond_the_limit_is_refused_unread() {
    let body = vec![b' '; 17 << 20];
    let user = User::new();
    user.run(&["--signature", "hmac;1;1;AAAA"], &body)
        .expect_error(65, "payload");
    assert_no_trace(&user, "too large");
}

#[test]
fn secret_and_expected_signature_show_up_nowhere() {
    let body = sample("legacy-v4.message.received");
    let now = Timestamp::now();
    let (value, old) = (
        legacy(&body, now),
        legacy(&body, now - SignedDuration::from_hours(1)),
    );
    let digest = |value: &str| value.rsplit(';').next().unwrap_or_default().to_owned();
    let forged = value.replace(&digest(&value), &digest(&old));
    let key = String::from_utf8(b"NotionBridgeTestKey0123456789abc".to_vec()).expect("text");
    for level in ["debug", "trace"] {
        for (sent, code) in [(&forged, 77), (&old, 77), (&value, 0)] {
            let mut user = User::new();
            user.set("LOG_LEVEL", level).set("RUST_LOG", level);
            let run = user.run(&["--signature", sent], &body);
            assert_eq!(run.code, code, "{}", run.stderr);
            for hidden in [QUO_WEBHOOK_SECRET, &key, &digest(&value), &digest(&old)] {
                assert!(
                    !run.stdout.contains(hidden),
                    "{level} {code}: {}",
                    run.stdout
                );
                assert!(
                    !run.stderr.contains(hidden),
                    "{level} {code}: {}",
                    run.stderr
                );
                for (path, bytes) in user.files() {
                    assert!(!holds(&bytes, hidden), "{level} {code}: {}", path.display());
                }
            }
        }
    }
}

#[test]
fn let_in_event_that_is_skipped_needs_no_other_setting() {
    let (mut user, body) = (User::new(), sample(RINGING));
    for name in [
        "NOTION_API_KEY",
        "NOTION_API_BASE",
        "NOTION_CLIENTS_DATABASE_ID",
        "OPENPHONE_API_KEY",
    ] {
        user.set(name, "");
    }
    let flags = [
        legacy_flags(&body, Timestamp::now()),
        vec!["--require-signature".into()],
    ]
    .concat();
    user.run(&flags, &body).expect(0, "success", "skipped");
    assert_no_trace(&user, "skipped");
}
