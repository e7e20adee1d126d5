//! Who is a client and who is wanted: own lines, numbers in any form, groups of any size, and the
//! user's choice.

use serde_json::{Value as Json, json};

use crate::harness::{User, sample_json};
use crate::kit::{MESSAGE, ROSA, altered, message_from};
use crate::standin::{Act, Fault, Vendor};
use crate::support::{inbox, state, store};

/// A text on the main line; without ids of contacts.
const STRANGER: &str = "+12065550134";

fn user() -> User {
    let user = User::new();
    user.vendors.set_rate_limits(false);
    user
}

/// Action and reason of one delivery, how many pages there are then, and how many events are kept.
fn seen(user: &User, event: &Json) -> (String, usize, usize) {
    let run = user.deliver(event);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let word = |key: &str| run.line()[key].as_str().unwrap_or_default().to_owned();
    let verdict = format!("{} {}", word("action"), word("reason"));
    let kept = if user.path(".tmp/quotion.db").exists() {
        inbox(user).len()
    } else {
        0
    };
    (verdict.trim().to_owned(), user.client_pages(), kept)
}

#[track_caller]
fn check(settings: &str, event: &Json, verdict: &str) {
    let user = user();
    user.configure(settings);
    let pages = user.client_pages();
    let done = usize::from(verdict == "created");
    assert_eq!(
        seen(&user, event),
        (verdict.to_owned(), pages + done, done),
        "{settings}"
    );
}

#[test]
fn only_wanted_lines_are_synced_and_nothing_else_is_kept() {
    let text = sample_json(MESSAGE);
    let by_number_alone = altered(MESSAGE, &[("/data/object/phoneNumberId", json!(null))]);
    for (numbers, verdict) in [
        ("[]", "created"),
        ("[\"PNmain0001\"]", "created"),
        ("[\"PNsale0002\", \"+1 (415) 555-0110\"]", "created"),
        ("[\"PNsale0002\"]", "skipped not_wanted"),
        ("[\"+14155550111\"]", "skipped not_wanted"),
    ] {
        let settings = format!("quo.numbers = {numbers}\n");
        check(&settings, &text, verdict);
        check(&settings, &by_number_alone, verdict);
    }
}

#[test]
fn unwanted_numbers_and_new_pages_are_left_out_and_nothing_is_kept() {
    let (rosa, stranger) = (sample_json(MESSAGE), message_from(1, STRANGER));
    for (settings, event, verdict) in [
        (
            "clients.ignore = [\"+12025550147\"]",
            &rosa,
            "skipped not_wanted",
        ),
        ("clients.ignore = [\"+1202*\"]", &rosa, "skipped not_wanted"),
        ("clients.ignore = [\"+1900*\"]", &rosa, "created"),
        ("clients.new_pages = \"always\"", &stranger, "created"),
        ("clients.new_pages = \"known\"", &rosa, "created"),
        (
            "clients.new_pages = \"known\"",
            &stranger,
            "skipped not_wanted",
        ),
        ("clients.new_pages = \"never\"", &rosa, "skipped not_wanted"),
    ] {
        check(&format!("{settings}\n"), event, verdict);
    }
    // Who has a page is written to, whatever is chosen for new ones; the others of a group are not.
    let user = user();
    user.configure("clients.new_pages = \"never\"\n");
    user.add_client(ROSA);
    let group = sample_json("legacy-v4.message.received.group");
    assert_eq!(seen(&user, &group), ("updated".into(), 1, 1));
}

#[test]
fn who_could_not_be_looked_for_is_not_unknown() {
    let stranger = message_from(1, STRANGER);
    let mut user = user();
    user.configure("clients.new_pages = \"known\"\n");
    user.fault(Fault::new(Vendor::Quo, Act::DropConnection).path("/contacts"));
    user.deliver(&stranger).expect_error(75, "unavailable");
    user.vendors.clear_faults();
    user.set("OPENPHONE_API_KEY", "");
    user.deliver(&stranger).expect_error(78, "config");
    assert_eq!(inbox(&user).len(), 1, "it is kept");
    user.set("OPENPHONE_API_KEY", crate::standin::QUO_KEY);
    assert_eq!(
        seen(&user, &stranger).0,
        "skipped not_wanted",
        "now it is known that nobody is"
    );
}

/// Lets the list of own numbers be so many hours old.
fn age_own_numbers(user: &User, hours: u32) {
    let then = format!("-{hours} hours");
    let changed = store(user)
        .execute(
            "UPDATE snapshots SET fetched_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1)
                WHERE key = 'own_numbers'",
            [then],
        )
        .expect("written");
    assert_eq!(changed, 1);
}

/// A text to a group in which all these take part, on that line.
fn group(number: u32, line: &str, members: &[&str]) -> Json {
    let mut event = message_from(number, members[0]);
    event["data"]["object"]["to"] = json!(members[1..]);
    event["data"]["object"]["phoneNumberId"] = json!(line);
    event
}

#[test]
fn line_bought_today_and_one_given_up_are_no_clients() {
    let user = user();
    let main = "+14155550110";
    let first = group(1, "PNmain0001", &[ROSA, main, STRANGER]);
    assert_eq!(seen(&user, &first), ("created".into(), 2, 1));

    let mut bought = user.vendors.world().quo.phone_numbers[0].clone();
    bought["id"] = json!("PNnew00003");
    bought["number"] = json!("+14155550112");
    user.vendors.world().quo.phone_numbers.push(bought);
    age_own_numbers(&user, 2);
    let second = group(2, "PNnew00003", &[ROSA, "+14155550112", STRANGER]);
    assert_eq!(seen(&user, &second), ("updated".into(), 2, 2));

    // Nothing tells that this one is ours but that somebody in the group has no page.
    let mut sales = user.vendors.world().quo.phone_numbers[0].clone();
    sales["id"] = json!("PNnew00004");
    sales["number"] = json!("+14155550113");
    user.vendors.world().quo.phone_numbers.push(sales);
    age_own_numbers(&user, 2);
    let third = group(3, "PNmain0001", &[ROSA, "+14155550113", STRANGER, main]);
    assert_eq!(seen(&user, &third), ("updated".into(), 2, 3));

    user.vendors
        .world()
        .quo
        .phone_numbers
        .retain(|line| line["number"] != main);
    age_own_numbers(&user, 25);
    let fourth = group(4, "PNmain0001", &[ROSA, main, STRANGER]);
    assert_eq!(seen(&user, &fourth), ("updated".into(), 2, 4));
}

#[test]
fn hundred_members_are_a_group_and_more_are_a_mistake() {
    let numbers: Vec<String> = (0..101).map(|n| format!("+1202557{n:04}")).collect();
    let members: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let with_own = |count: usize| {
        let mut all = members[..count].to_vec();
        all.push("+14155550110");
        all
    };
    let user = user();
    user.without_rate_limits();
    let crowd = group(1, "PNmain0001", &with_own(101));
    user.deliver(&crowd).expect_error(69, "refused");
    assert_eq!(user.client_pages(), 0, "nobody is written to");
    let id = crowd["id"].as_str().expect("an id");
    assert_eq!(state(&user, id).as_deref(), Some("dead"), "at once");
    // Members that are no numbers are members too.
    let mut codes: Vec<String> = (0..100).map(|n| (22_000 + n).to_string()).collect();
    codes.extend([ROSA.to_owned(), "+14155550110".to_owned()]);
    let all: Vec<&str> = codes.iter().map(String::as_str).collect();
    user.deliver(&group(3, "PNmain0001", &all))
        .expect_error(69, "refused");
    let run = user.deliver(&group(2, "PNmain0001", &with_own(100)));
    run.expect(0, "success", "created");
    assert_eq!(user.client_pages(), 100);
}

fn sixty_members() -> Json {
    let numbers: Vec<String> = (0..60).map(|n| format!("+1202557{n:04}")).collect();
    let mut members: Vec<&str> = numbers.iter().map(String::as_str).collect();
    members.push("+14155550110");
    group(1, "PNmain0001", &members)
}

#[test]
fn wide_event_leaves_room_for_others_and_goes_on_where_it_was() {
    let user = user();
    let limit = |settings: &str| std::fs::write(user.path("quotion.toml"), settings);
    limit("[notion]\nrequests_per_minute = 60\n").expect("settings");
    let run = user.run(
        &["--deadline", "5s"],
        sixty_members().to_string().as_bytes(),
    );
    run.expect_error(75, "rate_limited");
    let first = user.client_pages();
    assert!((1..=25).contains(&first), "{first} pages");
    let text = message_from(2, ROSA);
    let run = user.run(&["--deadline", "5s"], text.to_string().as_bytes());
    run.expect(0, "success", "created");
    limit("[notion]\nrequests_per_minute = 100000\n").expect("settings");
    let run = user.run(&["replay", "--now"], b"");
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.line()["synced"].as_array().map(Vec::len), Some(60));
    assert_eq!(user.client_pages(), 61);
    let id = sixty_members()["data"]["object"]["id"].clone();
    assert_eq!(user.times_in_notion(id.as_str().expect("an id")), 60);
}

#[test]
fn member_that_cannot_be_looked_for_holds_up_only_itself() {
    let user = user();
    user.without_rate_limits();
    let hidden = "2025570007";
    let fault = Fault::new(
        Vendor::Notion,
        crate::kit::notion_error(503, "internal_server_error", ""),
    );
    user.vendors.add_fault(fault.path("/query").body(hidden));
    let run = user.run(
        &["--deadline", "40s"],
        sixty_members().to_string().as_bytes(),
    );
    run.expect_error(75, "unavailable");
    assert_eq!(user.client_pages(), 59);
    user.vendors.clear_faults();
    assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
    assert_eq!(user.client_pages(), 60);
    let id = sixty_members()["data"]["object"]["id"].clone();
    assert_eq!(user.times_in_notion(id.as_str().expect("an id")), 60);
}

#[test]
fn numbers_are_read_as_they_are_dialled_in_the_lines_country() {
    for (written, number) in [
        ("2025550147", "+12025550147"),
        ("(202) 555-0147", "+12025550147"),
        ("12025550147", "+12025550147"),
        ("011442079460958", "+442079460958"),
        // E.164 that no plan of numbers knows.
        ("+5215512345678", "+5215512345678"),
        ("+12225550147", "+12225550147"),
    ] {
        let user = user();
        let run = user.deliver(&message_from(1, written));
        run.expect(0, "success", "created");
        assert_eq!(run.line()["synced"][0]["phone"], number, "{written}");
    }
    for written in ["22000", "Anonymous", "USmarta001", "+1"] {
        let user = user();
        let run = user.deliver(&message_from(1, written));
        run.expect(0, "success", "skipped");
        assert_eq!(run.line()["reason"], "no_client_number", "{written}");
        assert_eq!(run.warnings(), ["not_a_client"], "{written}");
    }
}

#[test]
fn text_that_came_empty_is_asked_for_at_quo() {
    let user = user();
    let empty = altered(
        MESSAGE,
        &[
            (
                "/data/object/id",
                json!("AC00000000000000000000000000000159"),
            ),
            ("/data/object/text", json!("")),
        ],
    );
    user.vendors.world().quo.messages.push(json!({
        "id": "AC00000000000000000000000000000159", "to": ["+14155550110"], "from": ROSA,
        "text": "Here it is", "phoneNumberId": "PNmain0001", "conversationId": "CN1",
        "direction": "incoming", "userId": "USmarta001", "status": "received",
        "createdAt": "2026-10-01T17:00:00.445Z", "updatedAt": "2026-10-01T17:00:00.445Z",
        "media": [{"url": "https://storage.example.com/mms/1", "type": "image/jpeg"}],
    }));
    user.deliver(&empty).expect(0, "success", "created");
    let notion = user.notion();
    assert!(notion.contains("Here it is"), "{notion}");
    assert!(
        notion.contains("(https://storage.example.com/mms/1)"),
        "{notion}"
    );
}

#[test]
fn recording_before_its_call_is_written_from_the_payload_where_quo_cannot_be_asked() {
    let mut user = user();
    user.set("OPENPHONE_API_KEY", "");
    for (number, sample) in [
        ("0105", "legacy-v2.call.recording.completed"),
        ("0141", "legacy-v4.call.recording.completed"),
        ("0160", "v2026-03-30.call.recording.completed"),
    ] {
        user.sync(sample).line();
        let notion = user.notion();
        assert!(
            notion.contains(&format!("{number}.mp3)")),
            "{sample}: {notion}"
        );
    }
}

#[test]
fn attachment_whose_address_is_no_link_stands_as_text() {
    for address in [
        "no link at all",
        "javascript:alert(1)",
        "https://user:secret@storage.example.com/x",
        "ftp://storage.example.com/x",
    ] {
        let user = user();
        let event = altered(
            "legacy-v4.message.received.media",
            &[("/data/object/media/0/url", json!(address))],
        );
        user.deliver(&event).expect(0, "success", "created");
        let notion = user.notion();
        assert!(notion.contains(address), "{notion}");
        assert!(!notion.contains(&format!("({address})")), "{notion}");
    }
}

#[test]
fn call_or_text_of_which_only_our_side_is_named_is_asked_for_at_quo() {
    let call = "/data/object/participants";
    let own = json!(["+14155550110"]);
    for (event, phone) in [
        (
            altered("legacy-v4.call.completed.answered", &[(call, own)]),
            ROSA,
        ),
        (
            altered(
                "legacy-v4.message.received",
                &[("/data/object/from", json!(7))],
            ),
            ROSA,
        ),
        (
            altered(
                "v2026-03-30.call.completed.answered",
                &[("/data/context/participants/external", json!([]))],
            ),
            ROSA,
        ),
        (
            altered(
                "v2026-03-30.message.received",
                &[("/data/context/senderIdentifier", json!(null))],
            ),
            ROSA,
        ),
    ] {
        let user = user();
        let run = user.deliver(&event);
        run.expect(0, "success", "created");
        assert_eq!(run.line()["synced"][0]["phone"], phone, "{event}");
        if event["apiVersion"] == "v4" && event["type"] == "call.completed" {
            continue;
        }
        // Where Quo cannot be asked, it is kept.
        let mut without = self::user();
        without.set("OPENPHONE_API_KEY", "");
        without.deliver(&event).expect_error(78, "config");
        assert_eq!(inbox(&without).len(), 1, "{event}");
    }
}

#[test]
fn contact_event_fills_the_pages_of_odd_numbers_and_of_nobody_who_is_left_out() {
    let odd = "+5215512345678";
    let mut event = sample_json("legacy-v3.contact.updated");
    let text = event.to_string().replace(ROSA, odd);
    event = serde_json::from_str(&text).expect("JSON");
    for (settings, verdict) in [
        ("", "updated"),
        (
            "clients.ignore = [\"+521*\", \"+1*\"]\n",
            "skipped not_wanted",
        ),
    ] {
        let user = user();
        user.configure(settings);
        user.add_client(odd);
        for contact in &mut user.vendors.world().quo.contacts {
            let text = contact.to_string().replace(ROSA, odd);
            *contact = serde_json::from_str(&text).expect("JSON");
        }
        assert_eq!(seen(&user, &event).0, verdict, "{settings}");
    }
}
