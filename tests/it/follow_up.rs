//! The column `Follow-up`: who waits for an answer, by the activities' own times, and whatever a
//! person does to it.

use serde_json::{Value as Json, json};

use crate::harness::{Run, User};
use crate::kit::{APPEND, CREATE, MESSAGE, QUERY, ROSA, SCHEMA, UPDATE, altered};
use crate::standin::{Act, CLIENTS_DATABASE, Fault, Vendor};
use crate::support::{Database, has_postgres, postgres, sqlite, user};

const COLUMN: &str = "Follow-up";
const KINDS: [&str; 4] = ["checkbox", "date", "select", "status"];
/// What opens it.
const OPENS: [&str; 3] = [
    MESSAGE,
    "legacy-v4.call.completed.missed",
    "legacy-v4.call.completed.voicemail",
];
const MISSED: &str = OPENS[1];
const WRITTEN: &str = "legacy-v4.message.delivered";
/// What takes it back.
const CLOSES: [&str; 3] = [
    WRITTEN,
    "legacy-v4.call.completed.answered",
    "legacy-v4.call.completed.answered-outgoing",
];
/// What says nothing of it.
const NEITHER: [&str; 2] = [
    "legacy-v4.call.completed.ai-handled",
    "legacy-v4.call.completed.forwarded",
];

/// A user whose table has the column in that type.
fn user_with(kind: &str, database: Database) -> User {
    let user = user(database, "[notion]\nsettle = \"1ms\"\n");
    add_column(&user, COLUMN, kind);
    user
}

fn add_column(user: &User, name: &str, kind: &str) {
    let notion = &mut user.vendors.world().notion;
    notion.add_column(CLIENTS_DATABASE, name, kind);
    let column = &mut notion.database_mut(CLIENTS_DATABASE).sources[0].columns[name];
    let option = |name: &str| json!({"id": name, "name": name, "color": "default"});
    if kind == "status" {
        column[kind] = json!({"options": [option("Done"), option("Open")], "groups": []});
    }
}

/// A sample as an event of its own, between Rosa and us, at ten of that day.
fn on(day: u32, sample: &str) -> Json {
    let mut event = altered(
        sample,
        &[
            ("/id", json!(format!("EV{day:032}"))),
            ("/data/object/id", json!(format!("AC{day:032}"))),
            (
                "/data/object/createdAt",
                json!(format!("2026-10-{day:02}T10:00:30Z")),
            ),
        ],
    );
    let object = &mut event["data"]["object"];
    object["contactIds"] = json!([]);
    if object["object"] == "call" {
        object["participants"] = json!([ROSA, "+14155550110"]);
    } else if object["direction"] == "outgoing" {
        object["to"] = json!([ROSA]);
    } else {
        object["from"] = json!(ROSA);
    }
    event
}

#[track_caller]
fn put(user: &User, day: u32, sample: &str) -> Run {
    let run = user.deliver(&on(day, sample));
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.warnings(), Vec::<&str>::new());
    run
}

/// What the column shows: the day for which it is open.
fn shown(user: &User) -> String {
    user.property(COLUMN)
}

/// As `shown` gives it, for a day on which it was opened.
fn open(kind: &str, day: u32) -> String {
    match kind {
        "checkbox" => "true".to_owned(),
        "date" => format!("2026-10-{day:02}T10:00:00.000+00:00"),
        _ => "Open".to_owned(),
    }
}

fn done(kind: &str) -> &'static str {
    match kind {
        "checkbox" => "false",
        "date" => "",
        _ => "Done",
    }
}

/// A person opens or closes it.
fn by_hand(user: &User, kind: &str, is_open: bool) {
    let page = user.page();
    let value = match kind {
        "checkbox" => json!(is_open),
        "date" if is_open => json!({"start": "2026-09-30"}),
        "date" => json!(null),
        _ => json!({"name": if is_open { "Open" } else { "Done" }}),
    };
    let notion = &mut user.vendors.world().notion;
    notion.edit_page(&page, &json!({COLUMN: {kind: value}}));
}

fn lose_store(user: &User) {
    std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
}

fn what_waits_opens_it_and_an_answer_takes_it_back(database: Database) {
    for kind in KINDS {
        for (opens, closes) in OPENS.into_iter().zip(CLOSES) {
            let user = user_with(kind, database);
            put(&user, 2, opens);
            assert_eq!(shown(&user), open(kind, 2), "{kind} {opens}");
            put(&user, 4, closes);
            assert_eq!(shown(&user), done(kind), "{kind} {closes}");
            put(&user, 3, opens);
            assert_eq!(shown(&user), done(kind), "an older one that came late");
            put(&user, 6, opens);
            assert_eq!(shown(&user), open(kind, 6), "{kind} {opens}");
            put(&user, 5, closes);
            assert_eq!(shown(&user), open(kind, 6), "an older answer");
            put(&user, 7, opens);
            assert_eq!(shown(&user), open(kind, 7), "the latest");
        }
    }
}

#[test]
fn what_waits_for_an_answer_opens_it_and_the_answer_takes_it_back() {
    what_waits_opens_it_and_an_answer_takes_it_back(&sqlite);
}

#[test]
fn what_waits_for_an_answer_opens_it_on_postgres_too() {
    if has_postgres() {
        what_waits_opens_it_and_an_answer_takes_it_back(&postgres);
    }
}

#[test]
fn it_rides_on_the_request_of_the_dates() {
    for kind in KINDS {
        let user = user_with(kind, &sqlite);
        put(&user, 2, MISSED);
        assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE], "{kind}");
        put(&user, 3, WRITTEN);
        assert_eq!(user.notion_log(), [UPDATE, APPEND], "{kind}");
        put(&user, 4, MISSED);
        assert_eq!(user.notion_log(), [UPDATE, APPEND], "{kind}");
    }
}

#[test]
fn what_says_nothing_of_it_changes_nothing_and_hides_nothing_older() {
    for neither in NEITHER {
        let user = user_with("checkbox", &sqlite);
        put(&user, 5, neither);
        assert_eq!(shown(&user), "false", "{neither}");
        put(&user, 3, MISSED);
        assert_eq!(shown(&user), "true", "its own time counts, not the dates");
        put(&user, 6, neither);
        assert_eq!(shown(&user), "true", "{neither}");
        put(&user, 4, WRITTEN);
        assert_eq!(shown(&user), "false");
    }
}

#[test]
fn of_many_events_of_one_client_the_latest_decides() {
    for (days, wanted) in [
        ([1, 2, 3], "false"),
        ([3, 1, 2], "true"),
        ([2, 3, 1], "true"),
    ] {
        let user = user_with("checkbox", &sqlite);
        let samples = [MESSAGE, MISSED, WRITTEN];
        let events = days.into_iter().zip(samples);
        let events: Vec<Json> = events.map(|(day, sample)| on(day, sample)).collect();
        let run = user.deliver_all(&events);
        assert_eq!((run.code, run.lines.len()), (0, 3), "{}", run.stdout);
        assert_eq!(shown(&user), wanted, "{days:?}");
        put(&user, 4, WRITTEN);
        let again = [on(6, WRITTEN), on(7, MISSED), on(5, MESSAGE)];
        user.vendors.clear_requests();
        assert_eq!(user.deliver_all(&again).code, 0);
        assert_eq!(user.notion_log(), [UPDATE, APPEND]);
        assert_eq!(shown(&user), "true");
    }
}

#[test]
fn person_who_clears_it_is_not_overruled_by_an_old_event() {
    for kind in KINDS {
        let user = user_with(kind, &sqlite);
        put(&user, 4, MISSED);
        by_hand(&user, kind, false);
        let mut twin = on(4, MISSED);
        twin["id"] = json!("EV9");
        user.deliver(&twin).expect(0, "success", "skipped");
        put(&user, 3, MESSAGE);
        put(&user, 5, NEITHER[0]);
        assert_eq!(shown(&user), done(kind), "{kind}");
        put(&user, 6, MESSAGE);
        assert_eq!(shown(&user), open(kind, 6), "{kind}");
        put(&user, 7, WRITTEN);
        by_hand(&user, kind, true);
        put(&user, 6, CLOSES[1]);
        assert_ne!(shown(&user), done(kind), "{kind}: opened by hand");
        put(&user, 8, WRITTEN);
        assert_eq!(shown(&user), done(kind), "{kind}");
    }
}

#[test]
fn with_a_lost_store_nothing_older_than_the_dates_counts() {
    for kind in KINDS {
        let user = user_with(kind, &sqlite);
        put(&user, 4, MISSED);
        by_hand(&user, kind, false);
        lose_store(&user);
        put(&user, 3, MESSAGE);
        assert_eq!(shown(&user), done(kind), "{kind}: an older one");
        lose_store(&user);
        put(&user, 4, MISSED);
        assert_eq!(shown(&user), done(kind), "{kind}: the same again");
        lose_store(&user);
        put(&user, 5, MESSAGE);
        assert_eq!(shown(&user), open(kind, 5), "{kind}: a newer one");
        lose_store(&user);
        put(&user, 2, WRITTEN);
        assert_eq!(shown(&user), open(kind, 5), "{kind}: an older answer");
    }
}

#[test]
fn date_that_a_person_set_for_later_stays_until_the_answer() {
    let user = user_with("date", &sqlite);
    put(&user, 2, WRITTEN);
    let page = user.page();
    let later = json!({COLUMN: {"date": {"start": "2026-12-24"}}});
    user.vendors.world().notion.edit_page(&page, &later);
    lose_store(&user);
    put(&user, 3, MISSED);
    assert_eq!(shown(&user), "2026-12-24");
    put(&user, 4, WRITTEN);
    assert_eq!(shown(&user), "");
}

#[test]
fn update_that_a_kill_has_lost_is_made_up_for() {
    let user = user_with("checkbox", &sqlite);
    put(&user, 2, WRITTEN);
    let lost =
        Fault::new(Vendor::Notion, Act::Hang(std::time::Duration::from_secs(4))).path("/v1/pages/");
    user.fault(lost);
    let run = user.run(&["--deadline", "3s"], on(3, MISSED).to_string().as_bytes());
    assert_eq!(run.code, 75, "{}", run.stdout);
    user.vendors.clear_faults();
    assert_eq!(shown(&user), "false");
    assert_eq!(user.run(&["replay", "--now"], b"").code, 0);
    assert_eq!(shown(&user), "true");
    assert_eq!(user.entries_of(ROSA).len(), 2);
}

#[test]
fn call_of_which_more_is_known_later_is_answered_after_all() {
    let user = user_with("checkbox", &sqlite);
    put(&user, 2, MISSED);
    let mut more = on(2, CLOSES[1]);
    more["id"] = json!("EV9");
    user.deliver(&more).expect(0, "success", "updated");
    assert_eq!(shown(&user), "false");
}

#[test]
fn column_that_is_not_there_is_no_warning_and_another_name_is_a_setting() {
    let user = User::new();
    put(&user, 2, MISSED);
    let user = User::new();
    user.configure("[clients]\nfollow_up = \"Callback\"\n");
    add_column(&user, "Callback", "checkbox");
    add_column(&user, COLUMN, "checkbox");
    put(&user, 2, MISSED);
    assert_eq!(user.property("Callback"), "true");
    assert_eq!(user.property(COLUMN), "false");
}

#[test]
fn column_that_cannot_show_it_is_told_and_the_rest_is_written() {
    for kind in ["rich_text", "status"] {
        let user = User::new();
        user.vendors
            .world()
            .notion
            .add_column(CLIENTS_DATABASE, COLUMN, kind);
        if kind == "status" {
            let notion = &mut user.vendors.world().notion;
            let option = json!({"id": "1", "name": "To do", "color": "default"});
            let source = &mut notion.database_mut(CLIENTS_DATABASE).sources[0];
            source.columns[COLUMN]["status"] = json!({"options": [option], "groups": []});
        }
        let run = user.deliver(&on(2, MISSED));
        run.expect(0, "success", "created");
        assert_eq!(run.warnings(), ["property_unwritable"], "{kind}");
        assert_eq!(run.line()["warnings"][0]["property"], COLUMN);
        assert_eq!(user.entries_of(ROSA).len(), 1);
    }
}

#[test]
fn options_that_a_select_lacks_are_made() {
    let user = user_with("select", &sqlite);
    put(&user, 2, MISSED);
    put(&user, 3, WRITTEN);
    let world = user.vendors.world();
    let columns = &world.notion.database(CLIENTS_DATABASE).expect("it").sources[0].columns;
    let options = columns[COLUMN]["select"]["options"]
        .as_array()
        .expect("a list");
    let names: Vec<&Json> = options.iter().map(|option| &option["name"]).collect();
    assert_eq!(names, ["Open", "Done"]);
}
