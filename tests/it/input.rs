//! Standard input at its worst: every document gets exactly one line, nothing panics, and nothing
//! of a text is lost.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, feed, sample, sample_json, samples};
use crate::standin::CLIENTS_DATABASE;

const MIB: usize = 1 << 20;
/// A delivery that needs neither network nor settings.
const RINGING: &str = "v2026-03-30.call.ringing";
const MESSAGE: &str = "legacy-v4.message.received";
const TRANSCRIPT: &str = "legacy-v4.call.transcript.completed";

/// `error` and kind, or action and reason, of every line.
fn verdicts(run: &Run) -> Vec<String> {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let verdict = |line: &Json| match line["error"]["kind"].as_str() {
        Some(kind) => format!("error {kind}"),
        None => format!("{} {}", text(&line["action"]), text(&line["reason"]))
            .trim()
            .to_owned(),
    };
    run.lines.iter().map(verdict).collect()
}

#[track_caller]
fn check(input: &[u8], code: i32, want: &[&str]) {
    let user = User::new();
    let run = user.run::<&str>(&[], input);
    let shown = String::from_utf8_lossy(&input[..input.len().min(200)]).into_owned();
    assert_eq!(
        (run.code, verdicts(&run)),
        (code, want.iter().map(|&text| text.to_owned()).collect()),
        "{shown:?}"
    );
    assert_calm(&run);
}

/// Asserts that nothing went wrong inside, and that no terminal is driven by what is printed.
#[track_caller]
fn assert_calm(run: &Run) {
    let printed = format!("{}{}", run.stdout, run.stderr);
    for sign in ["panicked", "RUST_BACKTRACE", "overflow", "\"internal\""] {
        assert!(!printed.contains(sign), "{sign}: {printed:.2000}");
    }
    let raw = printed.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "{printed:.2000}");
}

/// All text on the clients' pages, block after block, as a reader sees it.
fn text_in_notion(user: &User) -> String {
    fn gather(world: &crate::standin::World, ids: &[String], text: &mut String) {
        for block in ids.iter().filter_map(|id| world.notion.blocks.get(id)) {
            let pieces = block.data["rich_text"].as_array().into_iter().flatten();
            text.extend(pieces.filter_map(|piece| piece["plain_text"].as_str()));
            gather(world, &block.children, text);
        }
    }
    let (world, mut text) = (user.vendors.world(), String::new());
    for page in world.notion.rows(CLIENTS_DATABASE) {
        gather(&world, &page.children, &mut text);
    }
    text
}

fn message_with(text: &str) -> Vec<u8> {
    let mut message = sample_json(MESSAGE);
    message["data"]["object"]["text"] = json!(text);
    message.to_string().into_bytes()
}

fn transcript_of(dialogue: &[String]) -> Vec<u8> {
    let said = |(index, text): (usize, &String)| {
        json!({"content": text, "start": index,
        "end": index + 1, "identifier": "+12025550147", "userId": null})
    };
    let mut transcript = sample_json(TRANSCRIPT);
    transcript["data"]["object"]["dialogue"] = dialogue.iter().enumerate().map(said).collect();
    transcript.to_string().into_bytes()
}

#[test]
fn input_without_a_document_is_a_note_and_no_line() {
    for input in [&b""[..], b"\n", b" \t\r\n\n  "] {
        let run = User::new().run::<&str>(&[], input);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{input:?}");
        assert!(
            run.stderr.contains("standard input holds no document"),
            "{}",
            run.stderr
        );
    }
    let user = User::new();
    let mut command = user.command::<&str>(&[]);
    let closed = Run::of(command.stdin(Stdio::null()).output().expect("it runs"));
    assert_eq!((closed.code, closed.stdout.as_str()), (0, ""));
}

#[test]
fn input_that_cannot_be_read_is_a_store_error_in_one_line() {
    let user = User::new();
    let folder = File::open(user.home.path()).expect("a folder");
    let mut command = user.command::<&str>(&[]);
    let run = Run::of(command.stdin(folder).output().expect("it runs"));
    run.expect_error(74, "store");
}

#[test]
fn truncated_document_is_one_payload_error() {
    for name in [MESSAGE, TRANSCRIPT, "v2026-03-30.call.completed.answered"] {
        let whole = sample(name);
        let compact = sample_json(name).to_string().into_bytes();
        for body in [whole.trim_ascii_end(), &compact] {
            for end in (1..body.len()).step_by(50) {
                check(&body[..end], 65, &["error payload"]);
            }
        }
    }
}

#[test]
fn document_beyond_the_limit_is_one_payload_error_and_the_next_is_synced() {
    let large = [
        b"{\"id\":\"EV1\",\"type\":\"x\",\"pad\":\"".to_vec(),
        vec![b'x'; 20 * MIB],
        b"\"}".to_vec(),
    ]
    .concat();
    check(&large, 65, &["error payload"]);
    for between in ["\n", "", "\r\n\r\n"] {
        let input = [&large[..], between.as_bytes(), &sample(MESSAGE)].concat();
        check(&input, 65, &["error payload", "created"]);
    }
    check(
        &[vec![b'['; 20 * MIB], b"\n".to_vec()].concat(),
        65,
        &["error payload"],
    );
    check(&vec![b'1'; 20 * MIB], 65, &["error payload"]);
    check(
        &[&b"\""[..], &vec![b'x'; 20 * MIB]].concat(),
        65,
        &["error payload"],
    );
}

#[test]
fn document_of_the_largest_size_is_taken() {
    let mut message = sample_json(MESSAGE);
    let size = message.to_string().len() + ",\"pad\":\"\"".len();
    message["pad"] = json!("x".repeat(16 * MIB - size));
    let bytes = message.to_string().into_bytes();
    assert_eq!(bytes.len(), 16 * MIB);
    check(&bytes, 0, &["created"]);
}

#[test]
fn deep_nesting_costs_no_other_document() {
    let deep = 100_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let nested = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        let field = format!("{{\"id\":\"EV1\",\"type\":\"message.received\",\"data\":{nested}}}");
        let unknown = format!("{{\"id\":\"EV1\",\"type\":\"task.created\",\"data\":{nested}}}");
        let open_ended = open.repeat(deep);
        let bad = (65, "error payload");
        let empty = (0, "skipped missing_fields");
        // What is of no interest is not looked into, so its depth does not matter.
        let unread = (0, "skipped unsupported_event");
        for (document, (code, verdict)) in [
            (&nested, bad),
            (&field, empty),
            (&unknown, unread),
            (&open_ended, bad),
        ] {
            let input = format!("{document}\n{}", String::from_utf8_lossy(&sample(MESSAGE)));
            check(input.as_bytes(), code, &[verdict, "created"]);
        }
    }
}

/// Every value of `json`, as pointers; the whole is left out.
fn places(json: &Json, at: &str, all: &mut Vec<String>) {
    let children: Vec<(String, &Json)> = match json {
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    };
    for (key, value) in children {
        let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        all.push(place.clone());
        places(value, &place, all);
    }
}

/// All samples whose name has `part`, each with each of its values replaced by `wrong`.
fn distorted(part: &str, wrong: &Json) -> Vec<Json> {
    let mut documents = Vec::new();
    for name in samples().iter().filter(|name| name.contains(part)) {
        let (whole, mut all) = (sample_json(name), Vec::new());
        places(&whole, "", &mut all);
        for place in all {
            let mut document = whole.clone();
            *document.pointer_mut(&place).expect("a place of its own") = wrong.clone();
            documents.push(document);
        }
    }
    documents
}

#[track_caller]
fn check_distorted(part: &str, wrong: &Json) {
    let user = User::new();
    user.without_rate_limits();
    let documents = distorted(part, wrong);
    let input = documents
        .iter()
        .map(Json::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    let run = user.run::<&str>(&[], input.as_bytes());
    assert_eq!(run.lines.len(), documents.len(), "one line each");
    for (line, document) in run.lines.iter().zip(&documents) {
        let kind = line["error"]["kind"].as_str();
        assert!(matches!(kind, None | Some("payload")), "{line}\n{document}");
        if kind.is_none()
            && document["id"]
                .as_str()
                .is_some_and(|id| id.starts_with("EV"))
        {
            assert_eq!(line["event_id"], document["id"], "in order");
        }
    }
    let failed = run.lines.iter().any(|line| line["status"] == "error");
    assert_eq!(run.code, if failed { 65 } else { 0 });
    assert_calm(&run);
}

#[test]
fn wrong_type_anywhere_in_a_call_costs_no_other_document() {
    for wrong in [
        json!(true),
        json!(-1.5e300),
        json!([1]),
        json!({"a": 1}),
        json!("\u{0}"),
    ] {
        check_distorted(".call.", &wrong);
    }
}

#[test]
fn wrong_type_anywhere_in_a_message_costs_no_other_document() {
    for wrong in [
        json!(true),
        json!(-1.5e300),
        json!([1]),
        json!({"a": 1}),
        json!("\u{0}"),
    ] {
        check_distorted(".message.", &wrong);
    }
}

#[test]
fn wrong_type_anywhere_in_a_contact_costs_no_other_document() {
    for wrong in [
        json!(true),
        json!(-1.5e300),
        json!([1]),
        json!({"a": 1}),
        json!("\u{0}"),
    ] {
        check_distorted(".contact.", &wrong);
    }
}

#[test]
fn null_or_empty_text_anywhere_costs_no_other_document() {
    for part in [".call.", ".message.", ".contact."] {
        check_distorted(part, &json!(null));
        check_distorted(part, &json!(""));
    }
}

#[test]
fn document_that_is_no_object_is_a_payload_error() {
    for document in [
        "[]",
        "12",
        "\"x\"",
        "null",
        "true",
        "[{}]",
        "-0.0e1",
        "{\"type\":7}",
    ] {
        check(document.as_bytes(), 65, &["error payload"]);
    }
    check(b"[] 12 \"x\" null", 65, &["error payload"; 4]);
    for nothing in ["{}", "{\"type\":null}", "{\"a\":1}", "{\"data\":5}"] {
        check(nothing.as_bytes(), 65, &["error payload"]);
    }
    for little in ["{\"type\":\"call.completed\"}", "{\"data\":{}}"] {
        check(little.as_bytes(), 0, &["skipped missing_fields"]);
    }
}

#[test]
fn broken_line_costs_only_itself() {
    let (ringing, message) = (
        sample_json(RINGING).to_string(),
        sample_json(MESSAGE).to_string(),
    );
    for broken in [
        "oops",
        "{\"id\":",
        "{\"id\":\"EV1\",}",
        "}",
        "<html>",
        "{\"a\":\"\u{1}\"}",
        "NaN",
        "{'a':1}",
    ] {
        let input = format!("{ringing}\n{broken}\n{message}\n");
        check(
            input.as_bytes(),
            65,
            &["skipped unsupported_event", "error payload", "created"],
        );
    }
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for broken in [
        &b"\xff\xfe"[..],
        b"{\"a\":\"\xc3\x28\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\0\0\0",
        &utf16,
    ] {
        let input = [ringing.as_bytes(), b"\n", broken, b"\n", message.as_bytes()].concat();
        check(
            &input,
            65,
            &["skipped unsupported_event", "error payload", "created"],
        );
    }
}

#[test]
fn documents_need_nothing_between_them() {
    let input = format!("{0}{1}{0}", sample_json(RINGING), sample_json(MESSAGE));
    check(
        input.as_bytes(),
        0,
        &[
            "skipped unsupported_event",
            "created",
            "skipped unsupported_event",
        ],
    );
}

#[test]
fn invalid_utf8_inside_of_an_event_is_a_payload_error() {
    let (text, mark) = (
        String::from_utf8(message_with("MARK")).expect("UTF-8"),
        "MARK",
    );
    let (before, after) = text.split_once(mark).expect("the text");
    for bytes in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\xbd",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        check(
            &[before.as_bytes(), bytes, after.as_bytes()].concat(),
            65,
            &["error payload"],
        );
    }
}

#[test]
fn unknown_type_is_skipped_without_any_setting() {
    for document in [
        sample(RINGING),
        sample("v2026-03-30.task.assigned"),
        br#"{"id":"EV1","type":"call.invented"}"#.to_vec(),
        br#"{"type":"\u001b[31m","data":7}"#.to_vec(),
        br#"{"id":7,"type":"x","data":[]}"#.to_vec(),
    ] {
        let user = User::new();
        let run = Run::of(feed(
            user.command::<&str>(&[])
                .env_clear()
                .spawn()
                .expect("it starts"),
            &document,
        ));
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], "unsupported_event");
        assert_eq!((run.stderr.as_str(), user.files()), ("", vec![]));
        assert_calm(&run);
    }
}

#[test]
fn all_samples_in_one_stream_give_one_line_each_in_order() {
    let user = User::new();
    user.without_rate_limits();
    let input: Vec<u8> = samples().iter().flat_map(|name| sample(name)).collect();
    let run = user.run::<&str>(&[], &input);
    assert_eq!(run.lines.len(), samples().len());
    for (name, line) in samples().iter().zip(&run.lines) {
        let event = sample_json(name);
        let event = event.get("object").unwrap_or(&event);
        let id = line["event_id"].as_str().expect("an id");
        // The first seed's have none.
        assert_eq!(event["id"].as_str().unwrap_or(id), id, "in order");
    }
    let failed: Vec<&Json> = run
        .lines
        .iter()
        .filter(|line| line["status"] != "success")
        .collect();
    assert_eq!((run.code, failed), (0, vec![]));
    assert_calm(&run);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn id_that_would_leave_its_path_is_refused_or_left_out_and_never_asked_for() {
    let hostile = [
        "AC/../../x",
        "..",
        "AC%2e%2e%2fx",
        "AC?a=b",
        "AC#x",
        "AC x",
        "AC\n",
        "AC\u{0}",
        "ACé",
    ];
    let essential = [
        (MESSAGE, "/data/object/id"),
        (TRANSCRIPT, "/data/object/callId"),
        (
            "v2026-03-30.call.transcript.completed",
            "/data/resource/callId",
        ),
        ("v2026-03-30.call.completed.answered", "/data/resource/id"),
        ("legacy-v2.call.recording.completed", "/data/object/id"),
    ];
    for (name, place) in essential {
        for id in hostile {
            let (user, mut event) = (User::new(), sample_json(name));
            *event.pointer_mut(place).expect(place) = json!(id);
            let run = user.run::<&str>(&[], event.to_string().as_bytes());
            run.expect_error(65, "payload");
            assert_eq!(user.vendors.requests().len(), 0, "{name} {place} {id:?}");
            assert_calm(&run);
        }
    }
    let helpful = [
        (MESSAGE, "/id"),
        (MESSAGE, "/data/object/contactIds/0"),
        (MESSAGE, "/data/object/userId"),
        (MESSAGE, "/data/object/phoneNumberId"),
        (
            "v2026-03-30.message.received",
            "/data/context/contacts/ids/0",
        ),
        (
            "v2026-03-30.message.received",
            "/data/context/phoneNumberId",
        ),
        (
            "v2026-03-30.message.received",
            "/data/context/conversationId",
        ),
        (
            "v2026-03-30.call.completed.answered",
            "/data/context/userId",
        ),
    ];
    for (name, place) in helpful {
        for id in hostile {
            let (user, mut event) = (User::new(), sample_json(name));
            *event.pointer_mut(place).expect(place) = json!(id);
            let run = user.run::<&str>(&[], event.to_string().as_bytes());
            run.expect(0, "success", "created");
            let odd: Vec<String> = user
                .vendors
                .requests()
                .into_iter()
                .map(|seen| seen.path)
                .collect();
            assert!(
                odd.iter()
                    .all(|path| !path.contains("..") && !path.contains('%')),
                "{odd:?}"
            );
            assert_calm(&run);
        }
    }
}

#[test]
fn terminal_escapes_arrive_in_notion_as_visible_characters_and_drive_no_terminal() {
    let nasty = "a\u{0}b\u{1b}[31mc\u{1b}]0;title\u{7}d\u{9b}2Je\u{7f}f\rg\u{8}h";
    let mut user = User::new();
    if let Some(contact) = user.vendors.world().quo.contact("66f1a2b3c4d5e6f708192a3b") {
        contact["defaultFields"]["firstName"] = json!(nasty);
        contact["defaultFields"]["company"] = json!(nasty);
        contact["defaultFields"]["role"] = json!(nasty);
    }
    let run = user
        .set("LOG_LEVEL", "trace")
        .run::<&str>(&[], &message_with(nasty));
    run.expect(0, "success", "created");
    assert_calm(&run);
    let sent: Vec<String> = user
        .vendors
        .requests()
        .iter()
        .map(|seen| seen.body.to_string())
        .collect();
    assert!(sent.iter().any(|body| body.contains("␛[31mc")), "{sent:?}");
    let texts = user.notion();
    assert_eq!(
        texts.chars().find(|c| c.is_control() && *c != '\n'),
        None,
        "{texts}"
    );
    assert_eq!(texts.matches("a␀b␛[31mc␛]0;title␇d").count(), 4, "{texts}");
}

#[test]
fn terminal_escapes_in_refused_documents_drive_no_terminal() {
    let escape = "\u{1b}[31m\u{9b}2J\u{7f}";
    let at = |place: &str, value: Json| {
        let mut event = sample_json(MESSAGE);
        *event.pointer_mut(place).expect(place) = value;
        event.to_string()
    };
    for document in [
        escape.to_owned(),
        format!("{{\"{escape}\":1}}"),
        at("/id", json!(escape)),
        at("/type", json!(escape)),
        at("/type", json!(["message.received", escape])),
        at("/data", json!(escape)),
        at("/data/object", json!({escape: {}})),
        at("/data/object/direction", json!(escape)),
        at("/data/object/from", json!(escape)),
        at("/data/object/to", json!({escape: escape})),
        at("/data/object/createdAt", json!(escape)),
        at("/data/object/contactIds", json!([escape])),
        at("/data/object/userId", json!(escape)),
    ] {
        let mut user = User::new();
        let run = user
            .set("LOG_LEVEL", "trace")
            .run::<&str>(&[], document.as_bytes());
        assert_calm(&run);
        let json = user.run(&["--log-format", "json"], document.as_bytes());
        assert_calm(&json);
        assert_eq!(run.lines.len(), 1, "{document}: {}", run.stdout);
    }
}

#[test]
fn text_cut_inside_an_emoji_arrives_with_a_mark_in_its_place() {
    let event = sample_json(MESSAGE).to_string();
    for surrogate in [r"\ud83d", r"\ude00", r"\ude00\ud83d"] {
        let user = User::new();
        let broken = event.replace("Is my quote ready?", &format!("cut {surrogate} here"));
        user.run::<&str>(&[], broken.as_bytes())
            .expect(0, "success", "created");
        let marks = "\u{fffd}".repeat(surrogate.len() / 6);
        assert_eq!(
            user.times_in_notion(&format!("cut {marks} here")),
            1,
            "{}",
            user.notion()
        );
    }
}

/// Text of so many characters, in which every limit of 2,000 UTF-16 units falls next to or into an
/// emoji.
fn long_text(characters: usize) -> String {
    let mut text = String::new();
    for index in 0..characters {
        let near_limit = index % 2000 >= 1997 || index % 2000 < 2;
        text.push(if near_limit {
            '😀'
        } else {
            char::from(b'a' + u8::try_from(index % 26).unwrap_or(0))
        });
    }
    text
}

#[test]
fn long_transcript_arrives_whole() {
    let one_line = long_text(60_000);
    let lines: Vec<String> = (0..600)
        .map(|number| format!("{number}: {}", &long_text(1_990)[..100]))
        .collect();
    let family = "👨‍👩‍👧‍👦é\u{301}".repeat(3_000);
    for dialogue in [vec![one_line], lines, vec![family, "end".into()]] {
        let user = User::new();
        let run = user.run::<&str>(&[], &transcript_of(&dialogue));
        run.expect(0, "success", "created");
        let text = text_in_notion(&user);
        let mut rest = text.as_str();
        for said in &dialogue {
            let at = rest
                .find(said.as_str())
                .unwrap_or_else(|| panic!("lost: {said:.100}"));
            rest = &rest[at + said.len()..];
        }
        assert_calm(&run);
    }
}

#[test]
fn transcript_of_several_megabytes_arrives_whole() {
    let dialogue: Vec<String> = (0..300)
        .map(|number| format!("<{number}>{}", long_text(10_000)))
        .collect();
    let user = User::new();
    user.without_rate_limits();
    let run = user.run(&["--deadline", "off"], &transcript_of(&dialogue));
    run.expect(0, "success", "created");
    let text = text_in_notion(&user);
    let mut rest = text.as_str();
    for said in &dialogue {
        let at = rest
            .find(said.as_str())
            .unwrap_or_else(|| panic!("lost: {said:.100}"));
        rest = &rest[at + said.len()..];
    }
    assert_eq!(text.matches("<299>").count(), 1);
}

#[test]
fn message_longer_than_any_limit_arrives_whole() {
    let user = User::new();
    let text = long_text(30_000);
    user.run::<&str>(&[], &message_with(&text))
        .expect(0, "success", "created");
    assert!(text_in_notion(&user).contains(&text));
}

/// A sender that stays silent does not hold the receiver's program for ever.
#[test]
fn open_and_silent_input_ends_at_the_deadline_where_somebody_waits_for_the_answer() {
    let user = User::new();
    for (args, sent) in [
        (&["--enqueue"][..], &b""[..]),
        (&["--enqueue"], b"{\"id\":"),
        (&["--signature", "hmac;1;1;eA=="], b"{}"),
        (&["--require-signature"], b""),
    ] {
        let args = [args, &["--deadline", "1s"]].concat();
        let began = Instant::now();
        let mut child = user.command(&args).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(sent).expect("written");
        let run = Run::of(child.wait_with_output().expect("it ends"));
        run.expect_error(75, "deadline");
        assert!(began.elapsed() < Duration::from_secs(5), "{args:?}");
        drop(stdin);
    }
}
