//! The entry that a person reads: its words, one for each activity, whatever comes in whatever
//! order.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample};
use crate::kit::{APPEND, CREATE, LIST, MESSAGE, REWORD, altered, message, message_from};
use crate::standin::{Act, Fault, Vendor};

const CALL: &str = "legacy-v4.call.completed.answered";
const RECORDING: &str = "legacy-v4.call.recording.completed";
const SUMMARY: &str = "legacy-v4.call.summary.completed";
const TRANSCRIPT: &str = "legacy-v4.call.transcript.completed";
const MISSED: &str = "v2026-03-30.call.completed.missed";
const VOICEMAIL: &str = "v2026-03-30.call.voicemail.completed";

/// Blocks of all client pages, with `LINK` and `AC…` for what is long and always the same.
fn entries(user: &User) -> String {
    let shown = user.notion();
    let blocks = shown.lines().filter_map(|line| {
        line.strip_prefix("  ")
            .filter(|line| line.starts_with([' ', '-']))
    });
    let text: String = blocks.flat_map(|line| [line, "\n"]).collect();
    let link = "https://my.quo.com/inbox/PNmain0001/c/CN7f3a0c51e2b94d6a8f10c2d4e6a8b0c1";
    text.replace(link, "LINK")
        .replace("AC00000000000000000000000000000", "AC…")
}

/// Syncs a sample in an empty workspace and compares what stands on the page then.
#[track_caller]
fn check(sample: &str, expected: &str) {
    let user = User::new();
    let run = user.sync(sample);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(entries(&user), expected, "{sample}");
}

#[test]
fn messages_read_as_they_were_written() {
    check(
        MESSAGE,
        "- paragraph: Incoming text · 2026-10-01 17:00 · [Open in Quo](LINK?at=AC…150) · \
            AC…150\n    Is my quote ready?\n",
    );
    check(
        "legacy-v4.message.delivered",
        "- paragraph: Outgoing text · 2026-10-01 17:10 · [Open in Quo](LINK?at=AC…154) · \
            AC…154\n    Your quote is attached to the email I just sent.\n",
    );
    check(
        "legacy-v3.message.received.wrapped",
        "- paragraph: Incoming text · 2026-09-15 14:10 · AC…122\n    STOP\n",
    );
    check(
        "v2026-03-30.message.received",
        "- paragraph: Incoming text · 2026-10-02 17:00 · [Open in Quo](LINK) · AC…180\n    Is my \
            quote ready?\n",
    );
}

#[test]
fn attachments_are_links() {
    check(
        "legacy-v4.message.received.media",
        "- paragraph: Incoming text · 2026-10-01 17:03 · [Open in Quo](LINK?at=AC…153) · \
            AC…153\n    \
         [Attachment 1 (image/jpeg)](https://storage.example.com/mms/0153-1)\n    \
         [Attachment 2 (application/pdf)](https://storage.example.com/mms/0153-2)\n",
    );
    check(
        "legacy-v2.message.received.media",
        "- paragraph: Incoming text · 2026-09-14 17:00 · AC…106\n    Here is the roof photo\n    \
         [Attachment 1 (image/jpeg)](https://storage.example.com/mms/0106)\n",
    );
}

#[test]
fn group_message_stands_on_every_members_page_with_all_names() {
    let one = "- paragraph: Group text · from Rosa Quint · with Rosa Quint, Tomas, Ilse Varga · \
        2026-09-15 14:05 · AC…121\n    Both of us can make it\n";
    check("legacy-v3.message.received.group", &one.repeat(3));
}

#[test]
fn outgoing_group_message_says_who_of_us_wrote() {
    let user = User::new();
    let to = json!(["+12025550147", "+13125550162"]);
    user.deliver(&altered(
        "legacy-v4.message.delivered",
        &[("/data/object/to", to)],
    ))
    .expect(0, "success", "created");
    let one = "- paragraph: Group text · from Marta Lindqvist · with Rosa Quint, +1 312-555-0162 \
        · 2026-10-01 17:10 · [Open in Quo](LINK?at=AC…154) · AC…154\n    Your quote is attached \
        to the email I just sent.\n";
    assert_eq!(entries(&user), one.repeat(2));
}

#[test]
fn calls_say_how_they_went() {
    for (sample, line) in [
        (
            CALL,
            "Incoming call · answered by Marta Lindqvist · 2026-10-01 15:00 · 5 min 12 s · [Open \
                in Quo](LINK?at=AC…141) · AC…141",
        ),
        (
            "legacy-v4.call.completed.missed",
            "Incoming call · missed · 2026-10-01 15:30 · [Open in Quo](LINK?at=AC…143) · AC…143",
        ),
        (
            "legacy-v4.call.completed.forwarded",
            "Incoming call · forwarded to +1 212-555-0199 · 2026-10-01 16:00 · 2 min 10 s · [Open \
                in Quo](LINK?at=AC…147) · AC…147",
        ),
        (
            "legacy-v4.call.completed.ai-handled",
            "Incoming call · handled by AI · 2026-10-01 15:50 · 1 min 33 s · [Open in \
                Quo](LINK?at=AC…146) · AC…146",
        ),
        (
            "legacy-v4.call.completed.answered-outgoing",
            "Outgoing call · answered · 2026-10-01 15:20 · 2 min 8 s · [Open in \
                Quo](LINK?at=AC…142) · AC…142",
        ),
        (
            "legacy-v2.call.completed.answered-outgoing",
            "Outgoing call · answered · 2026-09-14 16:10 · 4 min 34 s · AC…102",
        ),
        (
            "legacy-v2.call.completed.missed",
            "Incoming call · missed · 2026-09-14 16:20 · AC…103",
        ),
        (
            "v2026-03-30.call.completed.answered",
            "Incoming call · answered · 2026-10-02 15:00 · 5 min 5 s · [Open in Quo](LINK) · \
                AC…160",
        ),
        (
            "v2026-03-30.call.completed.ai-handled",
            "Incoming call · handled by AI · 2026-10-02 15:40 · 1 min 33 s · [Open in Quo](LINK) \
                · AC…166",
        ),
        (
            "v2026-03-30.call.completed.voicemail",
            "Incoming call · voicemail · 2026-10-02 15:20 · [Open in Quo](LINK) · AC…164",
        ),
        (
            MISSED,
            "Incoming call · missed · 2026-10-02 15:10 · [Open in Quo](LINK) · AC…163",
        ),
        (
            "v2026-03-30.call.missed",
            "Incoming call · missed · 2026-10-02 15:10 · [Open in Quo](LINK) · AC…163",
        ),
    ] {
        check(sample, &format!("- toggle: {line}\n"));
    }
}

#[test]
fn outgoing_call_that_nobody_took_says_so() {
    let user = User::new();
    let sample = "legacy-v4.call.completed.answered-outgoing";
    user.deliver(&altered(
        sample,
        &[
            ("/data/object/answeredAt", Json::Null),
            ("/data/object/duration", json!(21)),
        ],
    ))
    .expect(0, "success", "created");
    assert_eq!(
        entries(&user),
        "- toggle: Outgoing call · no answer · 2026-10-01 15:20 · [Open in Quo](LINK?at=AC…142) · \
            AC…142\n"
    );
}

#[test]
fn voicemail_that_comes_with_its_call_stands_inside() {
    check(
        "legacy-v2.call.completed.voicemail",
        "- toggle: Incoming call · voicemail · 2026-09-14 16:30 · AC…104\n  \
         - paragraph: Voicemail · 17 s · [Listen](https://storage.example.com/vm/0104.mp3)\n",
    );
}

const V4_LINE: &str = "- toggle: Incoming call · answered by Marta Lindqvist · 2026-10-01 15:00 · \
    5 min 12 s · [Open in Quo](LINK?at=AC…141) · AC…141\n";
const V4_PARTS: [&str; 3] = [
    "  - paragraph: Recording · 5 min 6 s · \
        [Listen](https://storage.example.com/recordings/CRrec00141.mp3)\n",
    "  - paragraph: Summary\n      • Rosa Quint reported a leak and asked for a visit on \
        Thursday.\n      • Marta agreed to Thursday at 9 am.\n      Next steps\n      • Send Rosa \
        a confirmation text.\n",
    "  - paragraph: Transcript\n      Marta Lindqvist: Acme Roofing, this is Marta.\n      Rosa \
        Quint: Hi, it is Rosa Quint. Could you look at a leak on Thursday?\n      Marta \
        Lindqvist: Thursday at nine works.\n",
];

#[test]
fn artifacts_alone_bring_their_call_with_them() {
    for (sample, part) in [
        (RECORDING, V4_PARTS[0]),
        (SUMMARY, V4_PARTS[1]),
        (TRANSCRIPT, V4_PARTS[2]),
    ] {
        check(sample, &format!("{V4_LINE}{part}"));
    }
    let line = "- toggle: Incoming call · answered by Marta Lindqvist · 2026-10-02 15:00 · 5 min \
        5 s · [Open in Quo](LINK) · AC…160\n";
    check(
        "v2026-03-30.call.recording.completed",
        &format!(
            "{line}  - paragraph: Recording · 5 min 5 s · \
                [Listen](https://storage.example.com/recordings/CRrec00160.mp3)\n"
        ),
    );
    check(
        "v2026-03-30.call.summary.completed",
        &format!(
            "{line}  - paragraph: Summary\n      • Rosa Quint reported a leak.\n      • Visit \
                agreed for Thursday 9 am.\n      Next steps\n      • Text Rosa a confirmation.\n"
        ),
    );
    check(
        "v2026-03-30.call.transcript.completed",
        &format!(
            "{line}  - paragraph: Transcript\n      Marta Lindqvist: Acme Roofing, this is \
                Marta.\n      Rosa Quint: Hi, it is Rosa Quint about the leak.\n"
        ),
    );
    check(
        VOICEMAIL,
        "- toggle: Incoming call · voicemail · 2026-10-02 15:20 · [Open in Quo](LINK) · AC…164\n  \
            - paragraph: Voicemail · 21 s · \
            [Listen](https://storage.example.com/voicemail/VM164.mp3)\n      Hi, this is Rosa \
            Quint, please call me back about Thursday.\n",
    );
    check(
        "legacy-v4.call.summary.completed.ai-jobs",
        "- toggle: Incoming call · handled by AI · 2026-10-01 15:50 · 1 min 33 s · [Open in \
            Quo](LINK?at=AC…146) · AC…146\n  - paragraph: Summary\n      • Ilse Varga asked about \
            two skylights; the assistant took a message.\n      Message taking\n      • First and \
            last name: Ilse Varga\n      • Callback wanted: true\n      • Number of skylights: 2\n",
    );
}

#[test]
fn times_are_in_the_users_zone_and_follow_its_clock_changes() {
    for (zone, at, shown) in [
        (
            "America/Chicago",
            "2026-10-01T17:00:00Z",
            "2026-10-01 12:00",
        ),
        (
            "America/Chicago",
            "2026-11-01T06:30:00Z",
            "2026-11-01 01:30",
        ),
        (
            "America/Chicago",
            "2026-11-01T07:30:00Z",
            "2026-11-01 01:30",
        ),
        (
            "America/Chicago",
            "2026-11-01T08:00:00Z",
            "2026-11-01 02:00",
        ),
        (
            "America/Chicago",
            "2026-03-08T07:59:59Z",
            "2026-03-08 01:59",
        ),
        (
            "America/Chicago",
            "2026-03-08T08:00:00Z",
            "2026-03-08 03:00",
        ),
        ("Europe/Berlin", "2026-12-31T23:30:00Z", "2027-01-01 00:30"),
        ("Asia/Kathmandu", "2026-10-01T17:00:00Z", "2026-10-01 22:45"),
    ] {
        let user = User::new();
        user.configure(&format!("timezone = \"{zone}\"\n"));
        user.deliver(&message(1, at))
            .expect(0, "success", "created");
        assert!(
            entries(&user).starts_with(&format!("- paragraph: Incoming text · {shown} · ")),
            "{zone} {at}: {}",
            entries(&user)
        );
        let utc = at.get(..17).expect("a time").to_owned() + "00.000+00:00";
        assert_eq!(
            user.property("Last Call"),
            utc,
            "a property is a moment, whatever the zone"
        );
    }
}

#[test]
fn zone_that_does_not_exist_is_a_setting_to_be_corrected() {
    let user = User::new();
    user.configure("timezone = \"America/Chicaco\"\n");
    user.sync(MESSAGE).expect_error(78, "config");
    assert_eq!(user.notion_log(), [""; 0]);
}

/// All orders of `items`.
fn orders<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
    let Some((first, rest)) = items.split_first() else {
        return vec![vec![]];
    };
    let inserted = |order: &Vec<&'a str>| {
        (0..=order.len())
            .map(|at| {
                let mut longer = order.clone();
                longer.insert(at, *first);
                longer
            })
            .collect::<Vec<_>>()
    };
    orders(rest).iter().flat_map(inserted).collect()
}

/// The page after all deliveries: the line, and what is inside as a set.
fn line_and_parts(user: &User) -> (String, BTreeSet<String>) {
    let shown = entries(user);
    let mut blocks = shown
        .split_inclusive('\n')
        .fold(Vec::<String>::new(), |mut blocks, line| {
            match blocks
                .last_mut()
                .filter(|_| !line.trim_start().starts_with("- "))
            {
                Some(last) => last.push_str(line),
                None => blocks.push(line.to_owned()),
            }
            blocks
        });
    let line = blocks.remove(0);
    let count = blocks.len();
    let parts: BTreeSet<String> = blocks.into_iter().collect();
    assert_eq!(parts.len(), count, "nothing twice: {shown}");
    (line, parts)
}

#[test]
fn call_and_its_artifacts_give_one_entry_in_every_order() {
    let all = orders(&[CALL, RECORDING, SUMMARY, TRANSCRIPT]);
    assert_eq!(all.len(), 24);
    let wanted = (V4_LINE.to_owned(), V4_PARTS.map(str::to_owned).into());
    for order in &all {
        let user = User::new();
        for (number, sample) in order.iter().enumerate() {
            let action = match (number, *sample) {
                (0, _) => "created",
                (_, CALL) => "skipped",
                (_, _) => "updated",
            };
            user.sync(sample).expect(0, "success", action);
        }
        assert_eq!(line_and_parts(&user), wanted, "{order:?}");
        assert_eq!(user.property("Last Call"), "2026-10-01T15:00:00.000+00:00");
    }
}

#[test]
fn several_deliveries_in_one_run_give_the_same() {
    for order in orders(&[CALL, RECORDING, SUMMARY, TRANSCRIPT])
        .iter()
        .step_by(5)
    {
        let user = User::new();
        let input: Vec<u8> = order.iter().flat_map(|name| sample(name)).collect();
        let run = user.run::<&str>(&[], &input);
        assert_eq!((run.code, run.lines.len()), (0, 4), "{}", run.stderr);
        assert_eq!(
            line_and_parts(&user),
            (V4_LINE.to_owned(), V4_PARTS.map(str::to_owned).into()),
            "{order:?}"
        );
    }
}

#[test]
fn artifact_needs_one_look_for_its_entry_and_one_write() {
    let user = User::new();
    user.sync(CALL).expect(0, "success", "created");
    user.notion_log();
    user.sync(SUMMARY).expect(0, "success", "updated");
    assert_eq!(
        user.notion_log(),
        [LIST, APPEND],
        "written with its page, so its block is not known yet"
    );
    user.sync(TRANSCRIPT).expect(0, "success", "updated");
    assert_eq!(user.notion_log(), [APPEND]);
}

#[test]
fn same_delivery_again_is_a_duplicate_that_costs_nothing() {
    let user = User::new();
    for sample in [MESSAGE, CALL, RECORDING, SUMMARY, TRANSCRIPT] {
        assert_eq!(user.sync(sample).code, 0);
    }
    let before = user.notion();
    user.vendors.clear_requests();
    for sample in [
        MESSAGE,
        CALL,
        RECORDING,
        SUMMARY,
        TRANSCRIPT,
        "legacy-v4.call.summary.completed.docs-type",
    ] {
        let run = user.sync(sample);
        run.expect(0, "success", "skipped");
        assert_eq!(
            (
                run.line()["reason"].as_str(),
                run.line()["notion_page_id"].as_str()
            ),
            (Some("duplicate"), Some(user.page().as_str()))
        );
        assert_eq!(run.line()["client_name"], "Rosa Quint");
    }
    assert_eq!((user.vendors.requests().len(), user.notion()), (0, before));
}

fn missed_164() -> Json {
    altered(
        "v2026-03-30.call.completed.voicemail",
        &[("/data/resource/hasVoicemail", json!(false))],
    )
}

const LEFT: &str = "  - paragraph: Voicemail · 21 s · \
    [Listen](https://storage.example.com/voicemail/VM164.mp3)\n      Hi, this is Rosa Quint, \
    please call me back about Thursday.\n";

#[test]
fn voicemail_after_a_missed_call_changes_its_line() {
    let user = User::new();
    user.deliver(&missed_164()).expect(0, "success", "created");
    let line =
        "- toggle: Incoming call · missed · 2026-10-02 15:20 · [Open in Quo](LINK) · AC…164\n";
    assert_eq!(entries(&user), line);
    user.notion_log();
    user.sync(VOICEMAIL).expect(0, "success", "updated");
    assert_eq!(user.notion_log(), [LIST, APPEND, REWORD]);
    let shown = entries(&user);
    assert!(
        shown.starts_with("- toggle: Incoming call · voicemail · 2026-10-02 15:20 · "),
        "{shown}"
    );
    assert!(shown.ends_with(&format!(" · AC…164\n{LEFT}")), "{shown}");
    assert_eq!(shown.matches("toggle").count(), 1);
    user.sync(VOICEMAIL).expect(0, "success", "skipped");
    user.deliver(&missed_164()).expect(0, "success", "skipped");
    assert_eq!(
        entries(&user),
        shown,
        "nor does the missed call take the voicemail back"
    );
}

#[test]
fn voicemail_is_kept_although_quo_cannot_tell_of_the_call() {
    let mut user = User::new();
    user.deliver(&missed_164()).expect(0, "success", "created");
    user.set("OPENPHONE_API_KEY", "");
    user.sync(VOICEMAIL).expect(0, "success", "updated");
    assert!(entries(&user).ends_with(LEFT));
}

#[test]
fn artifact_finds_its_entry_on_the_page_when_the_store_is_lost() {
    for (first, then) in [(CALL, SUMMARY), (SUMMARY, TRANSCRIPT), (RECORDING, SUMMARY)] {
        let user = User::new();
        user.sync(first).expect(0, "success", "created");
        user.deliver(&message_from(7, "+12025550147"))
            .expect(0, "success", "updated");
        std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
        user.sync(then).expect(0, "success", "updated");
        assert_eq!(
            entries(&user).matches("- toggle: ").count(),
            1,
            "{first} {then}: {}",
            entries(&user)
        );
        std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
        let run = user.sync(then);
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], "duplicate");
        let (_, parts) = line_and_parts(&user);
        assert_eq!(
            parts.len(),
            if first == CALL { 2 } else { 3 },
            "with the message: {parts:?}"
        );
    }
}

#[test]
fn text_that_only_mentions_the_activity_is_not_its_entry() {
    let user = User::new();
    let id = "AC00000000000000000000000000000141";
    let mention = |n, text: &str| {
        let mut event = message(n, "2026-10-01T17:00:00Z");
        event["data"]["object"]["text"] = json!(text);
        event
    };
    user.sync(CALL).expect(0, "success", "created");
    user.deliver(&mention(1, &format!("see {id}\n· {id}")))
        .expect(0, "success", "updated");
    let page = user.page();
    add_note(&user, &page, &format!("Ask about {id}"));
    add_note(&user, &page, &format!("{id} was short"));
    std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
    user.sync(SUMMARY).expect(0, "success", "updated");
    let shown = entries(&user);
    assert!(
        shown.starts_with(&format!(
            "{V4_LINE}{}- paragraph: Incoming text",
            V4_PARTS[1]
        )),
        "{shown}"
    );
}

/// Adds a paragraph as a person would in the app.
fn add_note(user: &User, page: &str, text: &str) {
    let notion = &mut user.vendors.world().notion;
    notion.add_block(page, "paragraph", text);
}

#[test]
fn same_call_told_by_two_generations_is_one_entry() {
    let old = altered(
        "legacy-v2.call.completed.answered-outgoing",
        &[(
            "/data/object/id",
            json!("AC00000000000000000000000000000165"),
        )],
    );
    let new = altered(
        "v2026-03-30.call.completed.answered-outgoing",
        &[
            (
                "/data/context/participants/external",
                json!(["+12025550147"]),
            ),
            (
                "/data/resource/createdAt",
                old["data"]["object"]["createdAt"].clone(),
            ),
        ],
    );
    for (first, second) in [(&old, &new), (&new, &old)] {
        let user = User::new();
        user.deliver(first).expect(0, "success", "created");
        let run = user.deliver(second);
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], "duplicate");
        assert_eq!(entries(&user).matches("AC…165\n").count(), 1);
    }
}

#[test]
fn same_message_told_by_two_generations_is_one_entry() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    let made = crate::harness::sample_json(MESSAGE)["data"]["object"]["createdAt"].clone();
    let same = [
        (
            "/data/resource/id",
            json!("AC00000000000000000000000000000150"),
        ),
        ("/data/resource/createdAt", made),
    ];
    let again = altered("v2026-03-30.message.received", &same);
    user.deliver(&again).expect(0, "success", "skipped");
    assert_eq!(entries(&user).matches("paragraph").count(), 1);
}

#[test]
fn long_message_is_whole_and_one_block() {
    for text in [
        "x".repeat(2001),
        "Grüße 😀 ".repeat(900),
        "漢".repeat(9000),
        "word ".repeat(1200),
    ] {
        let user = User::new();
        let mut event = message(1, "2026-10-01T17:00:00Z");
        event["data"]["object"]["text"] = json!(text);
        user.deliver(&event).expect(0, "success", "created");
        assert!(user.notion().contains(&format!(
            "AC00000000000000000000000000000001\n      {text}\n"
        )));
        assert_eq!(user.vendors.world().notion.blocks.len(), 1);
    }
}

fn transcript(characters: usize) -> (Json, String) {
    let line = "Hi, it is Rosa Quint. Could you look at a leak on Thursday? ";
    let said = line.repeat(characters / line.len() / 10);
    let spoken = json!({"content": said, "start": 0, "end": 1, "identifier": "+12025550147",
        "userId": null});
    let event = altered(
        TRANSCRIPT,
        &[("/data/object/dialogue", json!(vec![spoken; 10]))],
    );
    (event, format!("Rosa Quint: {said}\n").repeat(10))
}

/// The text of all blocks inside entries, one after the other, as it is.
fn inside(user: &User) -> String {
    let world = user.vendors.world();
    let page = &world.notion.pages[0];
    let toggle = &world.notion.blocks[&page.children[0]];
    let texts = |id: &String| {
        let block = &world.notion.blocks[id];
        let all = block.data["rich_text"].as_array().into_iter().flatten();
        all.filter_map(|text| text["plain_text"].as_str())
            .collect::<String>()
    };
    toggle.children.iter().map(texts).collect::<String>() + "\n"
}

#[test]
fn transcript_of_an_hour_is_one_block() {
    let (event, text) = transcript(60_000);
    for samples in [&[CALL][..], &[]] {
        let user = User::new();
        for sample in samples {
            user.sync(sample).expect(0, "success", "created");
        }
        assert_eq!(user.deliver(&event).code, 0);
        assert_eq!(user.vendors.world().notion.blocks.len(), 2);
        assert!(inside(&user) == format!("Transcript\n{text}"));
    }
}

#[test]
fn transcript_larger_than_a_request_is_whole() {
    let (event, text) = transcript(1_000_000);
    for samples in [&[CALL][..], &[], &[MESSAGE]] {
        let user = User::new();
        for sample in samples {
            user.sync(sample).expect(0, "success", "created");
        }
        let run = user.deliver(&event);
        assert_eq!(run.code, 0, "{}", run.stderr);
        if samples.is_empty() || samples[0] == CALL {
            assert!(
                inside(&user) == format!("Transcript\n{text}"),
                "{samples:?}"
            );
        }
        assert!(
            user.vendors
                .requests()
                .iter()
                .all(|seen| seen.body_bytes < 500 * 1024)
        );
        user.deliver(&event).expect(0, "success", "skipped");
    }
}

fn dry(user: &User, event: &[u8]) -> Run {
    let run = user.run(&["--dry-run"], event);
    assert_eq!(
        (run.code, run.line()["dry_run"].as_bool()),
        (0, Some(true)),
        "{}",
        run.stderr
    );
    run
}

fn steps(run: &Run) -> Vec<String> {
    let plan = run.line()["plan"].as_array().expect("a plan").iter();
    plan.map(|step| step["step"].as_str().expect("a step").to_owned())
        .collect()
}

#[test]
fn dry_run_tells_the_plan_and_writes_nothing_at_all() {
    let user = User::new();
    let run = dry(&user, &sample(MESSAGE));
    let page = &run.line()["plan"][0];
    assert_eq!(steps(&run), ["create_page"]);
    assert_eq!(page["phone"], "+12025550147");
    assert_eq!(
        page["properties"]["title"]["title"][0]["text"]["content"],
        "Rosa Quint"
    );
    assert_eq!(
        page["blocks"][0]["paragraph"]["rich_text"][0]["text"]["content"],
        "Incoming text"
    );
    assert_eq!(
        steps(&dry(&user, &sample("legacy-v3.message.received.group"))),
        ["create_page"; 3]
    );
    assert_eq!(steps(&dry(&user, &sample(SUMMARY))), ["create_page"]);
    assert!(!user.path(".tmp").exists());
    assert_eq!(user.client_pages(), 0);
    let wrote = |line: &String| {
        line.starts_with("PATCH") || line.starts_with("DELETE") || line.starts_with(CREATE)
    };
    assert_eq!(
        user.notion_log().iter().filter(|line| wrote(line)).count(),
        0
    );
}

#[test]
fn dry_run_tells_what_is_missing_on_a_known_page() {
    let user = User::new();
    user.deliver(&missed_164()).expect(0, "success", "created");
    user.sync(CALL).expect(0, "success", "updated");
    let (before, files) = (user.notion(), folder(&user));
    user.vendors.clear_requests();
    let later = dry(
        &user,
        message(1, "2026-12-01T17:00:00Z").to_string().as_bytes(),
    );
    assert_eq!(steps(&later), ["update_page", "append_blocks"]);
    assert_eq!(later.line()["plan"][1]["page_id"], user.page());
    assert_eq!(
        steps(&dry(
            &user,
            message(1, "2026-01-01T17:00:00Z").to_string().as_bytes()
        )),
        ["append_blocks"]
    );
    assert_eq!(
        steps(&dry(&user, &sample(VOICEMAIL))),
        ["enrich_entry", "update_block"]
    );
    assert_eq!(steps(&dry(&user, &sample(SUMMARY))), ["enrich_entry"]);
    let again = dry(&user, &sample(CALL));
    assert_eq!(
        (steps(&again), again.line()["reason"].as_str()),
        (vec![], Some("duplicate"))
    );
    assert_eq!((user.notion(), folder(&user)), (before, files));
    assert!(
        user.vendors
            .log(Vendor::Notion)
            .iter()
            .all(|line| !line.starts_with("PATCH") && !line.starts_with(CREATE))
    );
}

#[test]
fn dry_run_of_an_event_that_is_skipped_says_so() {
    let user = User::new();
    let run = user.run(&["--dry-run"], &sample("legacy-v4.call.ringing"));
    run.expect(0, "success", "skipped");
    assert!(!user.path(".tmp").exists());
    let run = user.run(&["--dry-run"], &sample("v2026-03-30.contact.updated"));
    assert_eq!(
        (run.code, user.path(".tmp").exists()),
        (0, false),
        "{}",
        run.stdout
    );
}

/// Bytes of the store's main file; the others come and go with readers.
fn folder(user: &User) -> Vec<u8> {
    std::fs::read(user.path(".tmp/quotion.db")).expect("a store")
}

#[test]
fn dry_run_that_fails_leaves_no_log() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .database_mut(crate::standin::CLIENTS_DATABASE)
        .unshared = true;
    user.run(&["--dry-run"], &sample(MESSAGE))
        .expect_error(69, "not_found");
    assert!(!user.path(".tmp").exists());
}

/// Neither it nor what belongs to it comes back, however it is delivered.
#[test]
fn entry_that_a_person_deleted_stays_deleted() {
    for before in [
        &[CALL][..],
        &[CALL, RECORDING],
        &[TRANSCRIPT],
        &[MESSAGE, CALL],
    ] {
        let user = User::new();
        for sample in before {
            assert_eq!(user.sync(sample).code, 0);
        }
        {
            let mut world = user.vendors.world();
            let toggle = world
                .notion
                .blocks
                .values_mut()
                .find(|block| block.kind == "toggle")
                .expect("a toggle");
            toggle.in_trash = true;
        }
        let shown = entries(&user);
        for delivery in [SUMMARY, SUMMARY, TRANSCRIPT, CALL] {
            user.sync(delivery).expect(0, "success", "skipped");
        }
        assert_eq!(entries(&user), shown, "{before:?}");
    }
}

#[test]
fn artifact_makes_the_page_anew_that_a_person_deleted() {
    let user = User::new();
    user.sync(CALL).expect(0, "success", "created");
    let page = user.page();
    user.vendors.world().notion.purge(&page);
    let run = user.sync(SUMMARY);
    assert!([0, 75].contains(&run.code), "{}", run.stderr);
    if run.code == 75 {
        user.sync(SUMMARY).expect(0, "success", "created");
    }
    assert_eq!(
        line_and_parts(&user),
        (V4_LINE.to_owned(), [V4_PARTS[1].to_owned()].into())
    );
    assert_eq!(
        (user.property("Name"), user.property("Last Call")),
        ("Rosa Quint".into(), "2026-10-01T15:00:00.000+00:00".into())
    );
}

#[test]
fn empty_and_unready_artifacts_are_nothing_new() {
    for (sample, pointer, value) in [
        (SUMMARY, "/data/object/status", json!("in-progress")),
        (SUMMARY, "/data/object/status", json!("absent")),
        (TRANSCRIPT, "/data/object/dialogue", json!([])),
        (RECORDING, "/data/object/recordings", json!([])),
    ] {
        let user = User::new();
        user.sync(CALL).expect(0, "success", "created");
        let before = user.notion();
        let run = user.deliver(&altered(sample, &[(pointer, value)]));
        run.expect(0, "success", "skipped");
        assert_eq!(
            (run.line()["reason"].as_str(), user.notion()),
            (Some("nothing_new"), before)
        );
    }
}

#[test]
fn text_of_a_message_is_only_text() {
    let user = User::new();
    let text = "{\"status\":\"x\"}\n- toggle: [a](b) %s \
        {} \u{1b}[31m\u{0}\r\nSummary\n\u{202e}evil ';DROP TABLE entries;--";
    let mut event = message(1, "2026-10-01T17:00:00Z");
    event["data"]["object"]["text"] = json!(text);
    let run = user.deliver(&event);
    run.expect(0, "success", "created");
    let shown = "{\"status\":\"x\"}\n      - toggle: [a](b) %s {} ␛[31m␀\n      \
        Summary\n      \u{202e}evil ';DROP TABLE entries;--\n";
    assert!(user.notion().contains(shown), "{}", user.notion());
    assert_eq!(user.vendors.world().notion.blocks.len(), 1);
    assert!(!run.stdout.contains("DROP") && !run.stderr.contains("DROP"));
}

#[test]
fn artifact_of_a_call_that_quo_does_not_have_waits() {
    let user = User::new();
    let event = altered(
        SUMMARY,
        &[(
            "/data/object/callId",
            json!("AC00000000000000000000000000009999"),
        )],
    );
    user.deliver(&event).expect_error(75, "unavailable");
    assert_eq!((user.client_pages(), user.notion_log()), (0, vec![]));
    let mut call = user.vendors.world().quo.calls[0].clone();
    call["id"] = json!("AC00000000000000000000000000009999");
    user.vendors.world().quo.calls.push(call);
    user.deliver(&event).expect(0, "success", "created");
}

#[test]
fn artifact_of_an_unknown_call_waits_while_quo_is_down() {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, Act::DropConnection).path("/calls/"));
    user.sync(SUMMARY).expect_error(75, "unavailable");
    assert_eq!((user.client_pages(), user.vendors.unused_faults()), (0, 0));
    user.vendors.clear_faults();
    user.sync(SUMMARY).expect(0, "success", "created");
}

#[test]
fn dated_call_reads_the_same_whether_it_or_its_artifact_came_first() {
    for (call, artifact) in [
        (
            "v2026-03-30.call.completed.answered",
            "v2026-03-30.call.summary.completed",
        ),
        (
            "v2026-03-30.call.completed.voicemail",
            "v2026-03-30.call.voicemail.completed",
        ),
    ] {
        let shown = [[call, artifact], [artifact, call]].map(|order| {
            let user = User::new();
            for sample in order {
                assert_eq!(user.sync(sample).code, 0);
            }
            user.notion()
        });
        assert_eq!(shown[0], shown[1]);
    }
}

#[test]
fn group_calls_entry_that_a_person_deleted_stays_deleted_on_that_page_alone() {
    let user = User::new();
    let parts = json!(["+12025550147", "+14155550110", "+13125550162"]);
    let call = altered(CALL, &[("/data/object/participants", parts)]);
    user.vendors
        .world()
        .quo
        .call("AC00000000000000000000000000000141")
        .expect("a call")["participants"] = call["data"]["object"]["participants"].clone();
    user.deliver(&call).expect(0, "success", "created");
    {
        let mut world = user.vendors.world();
        let toggle = world.notion.pages[0].children[0].clone();
        world
            .notion
            .blocks
            .get_mut(&toggle)
            .expect("a block")
            .in_trash = true;
    }
    let codes = [1, 2, 3].map(|_| user.sync("legacy-v4.call.summary.completed").code);
    assert_eq!(codes, [0; 3]);
    assert_eq!(
        user.times_in_notion("Marta agreed to Thursday"),
        1,
        "{}",
        user.notion()
    );
}
