//! The client page: found however a person wrote the number, filled where it is empty, and never
//! overwritten.

use serde_json::{Value as Json, json};

use crate::harness::User;
use crate::kit::{
    APPEND, CREATE, MESSAGE, QUERY, READ, ROSA, SCHEMA, UPDATE, altered, message, message_from,
    notion_error, status,
};
use crate::standin::{Act, CLIENTS_DATABASE, Fault, SECOND_SOURCE, Seen, Vendor, World};
use crate::support::store;

const CALL: &str = "legacy-v4.call.completed.answered";

/// Everything that Quo knows of Rosa stands on her page, so that nothing is left to fill.
fn rosa() -> Json {
    json!({"title": {"title": [{"text": {"content": "Rosa Q."}}]},
        "Phone": {"phone_number": "(202) 555-0147"},
        "Company": {"rich_text": [{"text": {"content": "Quint "}}, {"text": {"content": "& \
            Sons"}, "annotations": {"bold": true}}]},
        "Email": {"email": "r@quint.example"}, "Status": {"select": {"name": "Active"}}})
}

fn user_with_rosa() -> User {
    let user = User::new();
    user.add_row(&rosa());
    user
}

/// Bodies of the requests of that method to a path that contains `part`.
fn bodies(user: &User, method: &str, part: &str) -> Vec<Json> {
    let fits = |seen: &Seen| {
        seen.vendor == Vendor::Notion && seen.method == method && seen.path.contains(part)
    };
    user.vendors
        .requests()
        .into_iter()
        .filter(fits)
        .map(|seen| seen.body)
        .collect()
}

/// Keys of the properties in the only update of a page.
#[track_caller]
fn updated_columns(user: &User) -> Vec<String> {
    let sent = bodies(user, "PATCH", "/v1/pages/");
    assert_eq!(sent.len(), 1, "one update expected: {sent:?}");
    sent[0]["properties"]
        .as_object()
        .expect("properties")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn page_is_found_by_every_spelling_of_its_number() {
    for (number, spelling) in [
        (ROSA, "(202) 555-0147"),
        (ROSA, "202.555.0147"),
        (ROSA, "+1 202 555 0147"),
        (ROSA, "2025550147"),
        (ROSA, "1-202-555-0147"),
        (ROSA, "202 - 555 - 0147"),
        (ROSA, "+1(202)5550147"),
        (ROSA, "tel: 202-555-0147"),
        ("+442079460958", "020 7946 0958"),
        ("+442079460958", "+44 (0)20 7946 0958"),
        ("+442079460958", "(020) 7946-0958"),
        ("+33123456789", "01 23 45 67 89"),
        ("+33123456789", "01.23.45.67.89"),
        ("+33123456789", "+33 (0)1 23 45 67 89"),
        ("+4915112345678", "0151 12345678"),
        ("+4915112345678", "0049 151 12345678"),
    ] {
        let user = User::new();
        user.add_client(spelling);
        let run = user.deliver(&message_from(1, number));
        assert_eq!(
            (user.client_pages(), run.line()["action"].as_str()),
            (1, Some("updated")),
            "{number} {spelling}"
        );
        assert_eq!(user.property("Phone"), spelling);
    }
}

#[test]
fn extension_and_brackets_do_not_hide_a_page() {
    for spelling in ["+1 202-555-0147 ext. 5", "(202) 555-0147 x12"] {
        let user = User::new();
        user.add_client(spelling);
        let run = user.deliver(&message_from(1, ROSA));
        assert_eq!(
            (user.client_pages(), run.line()["action"].as_str()),
            (1, Some("updated")),
            "{spelling}"
        );
    }
}

#[test]
fn page_of_another_number_with_the_same_last_digits_is_not_taken() {
    for other in [
        "+13025550147",
        "(302) 555-0147",
        "+442025550147",
        "5550147",
        "0147",
        "+12025550147123",
    ] {
        let user = User::new();
        user.add_client(other);
        user.sync(MESSAGE).expect(0, "success", "created");
        assert_eq!(user.client_pages(), 2, "{other}");
    }
}

#[test]
fn phone_may_stand_in_a_text_column() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_phone_is_text.json");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(user.property("Phone"), ROSA);
    let page =
        user.add_row(&json!({"Phone": {"rich_text": [{"text": {"content": "312-555-0162"}}]}}));
    let run = user.deliver(&message_from(1, "+13125550162"));
    run.expect(0, "success", "updated");
    assert_eq!(run.line()["notion_page_id"], page);
    assert_eq!(user.client_pages(), 2);
}

#[test]
fn phone_may_be_the_title_and_then_stays_it() {
    let user = User::new();
    user.configure("[clients]\nphone = \"Name\"\n");
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Phone");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(user.property("Name"), ROSA);
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(
        user.property("Name"),
        ROSA,
        "the title is the key: a name in it would hide the page"
    );
    std::fs::remove_dir_all(user.path(".tmp")).expect("a folder");
    user.sync("legacy-v4.message.received.media")
        .expect(0, "success", "updated");
    assert_eq!(
        (user.client_pages(), user.property("Name")),
        (1, ROSA.to_owned())
    );
    user.add_row(&json!({"title": {"title": [{"text": {"content": "(312) 555-0162"}}]}}));
    user.deliver(&message_from(1, "+13125550162"))
        .expect(0, "success", "updated");
    assert_eq!(user.times_in_notion("\n(312) 555-0162\n"), 1);
}

#[test]
fn phone_column_is_known_by_its_type_whatever_its_name() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_phone_renamed.json");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(
        (run.warnings(), user.property("Phone Number")),
        (vec![], ROSA.to_owned())
    );
}

#[test]
fn table_with_only_name_and_phone_is_enough() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_minimal.json");
    let run = user.sync(CALL);
    run.expect(0, "success", "created");
    let missing: Vec<&str> = run.line()["warnings"]
        .as_array()
        .expect("warnings")
        .iter()
        .filter_map(|one| one["property"].as_str())
        .collect();
    assert_eq!(missing, ["Status", "Company", "Email", "Last Call"]);
    assert_eq!(run.warnings(), ["property_missing"; 4]);
    assert_eq!(
        (user.property("Name"), user.property("Phone")),
        ("Rosa Quint".into(), ROSA.into())
    );
}

#[test]
fn table_without_a_column_for_phones_is_a_setting_to_be_corrected() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Phone");
    user.sync(MESSAGE).expect_error(78, "config");
    assert_eq!(user.client_pages(), 0);
}

#[test]
fn what_a_person_filled_is_never_sent_back() {
    let user = user_with_rosa();
    user.sync(CALL).expect(0, "success", "updated");
    assert_eq!(updated_columns(&user), ["lC%3Bd"], "only the date");
    let page = user.page();
    let company = user.vendors.world().notion.value(&page, "Company");
    assert_eq!(company[1]["annotations"]["bold"], true);
    assert_eq!(user.property("Company"), "Quint & Sons");
    assert_eq!(
        (user.property("Name"), user.property("Status")),
        ("Rosa Q.".into(), "Active".into())
    );
    assert_eq!(user.property("Phone"), "(202) 555-0147");
    assert_eq!(user.property("Email"), "r@quint.example");
}

#[test]
fn empty_properties_are_filled_and_only_those() {
    let user = User::new();
    user.add_row(&json!({"Phone": {"phone_number": ROSA}, "Email": {"email": "r@quint.example"}}));
    user.sync(CALL).expect(0, "success", "updated");
    assert_eq!(updated_columns(&user), ["cO_p", "lC%3Bd", "title"]);
    assert_eq!(user.property("Name"), "Rosa Quint");
    assert_eq!(user.property("Company"), "Quint Roofing");
    assert_eq!(
        user.property("Status"),
        "",
        "a status is given to new pages only"
    );
}

#[test]
fn title_that_is_only_the_number_is_replaced_by_the_name() {
    for title in ["+1 202-555-0147", "+12025550147", "(202) 555-0147"] {
        let user = User::new();
        user.add_row(&json!({"title": {"title": [{"text": {"content": title}}]},
            "Phone": {"phone_number": ROSA}}));
        let run = user.sync(MESSAGE);
        run.expect(0, "success", "updated");
        assert_eq!(
            (
                user.property("Name").as_str(),
                run.line()["client_name"].as_str()
            ),
            ("Rosa Quint", Some("Rosa Quint"))
        );
    }
}

#[test]
fn tags_are_merged_in_order_without_twins_and_commas() {
    let user = User::new();
    let tags = json!([{"name": "Zoo"}, {"name": "lead"}]);
    user.add_row(&json!({"Phone": {"phone_number": ROSA}, "Tags": {"multi_select": tags}}));
    user.configure("[quo]\ntags_field = \"Lead source\"\n");
    let values = json!(["LEAD", "roofing", "New, one", "zoo "]);
    user.vendors.world().quo.contacts[0]["customFields"][0]["value"] = values;
    user.sync(MESSAGE).expect(0, "success", "updated");
    // An option is one thing, whatever is in its name.
    assert_eq!(user.property("Tags"), "Zoo, lead, Roofing, New one");
    let page = user.page();
    let names = user.vendors.world().notion.value(&page, "Tags");
    let names: Vec<&str> = names
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    assert!(names.iter().all(|name| !name.contains(',')), "{names:?}");
    user.notion_log();
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    let page = updated_columns(&user);
    assert_eq!(page, ["lC%3Bd"], "no tags again");
}

#[test]
fn status_column_with_fixed_options_is_set_on_new_pages_and_left_alone_on_known_ones() {
    let user = User::new();
    user.configure("[clients]\nnew_status = \"in progress\"\n");
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_status_type.json");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(
        (run.warnings(), user.property("Status")),
        (vec![], "In progress".to_owned())
    );
    let page = user.add_client("+13125550162");
    user.deliver(&message_from(1, "+13125550162"))
        .expect(0, "success", "updated");
    assert_eq!(
        user.vendors.world().notion.text(&page, "Status"),
        "Not started"
    );
}

#[test]
fn status_option_that_does_not_exist_is_left_out_with_a_warning() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .use_schema(CLIENTS_DATABASE, "database_clients_status_type.json");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["property_unwritable"]);
    assert_eq!(run.line()["warnings"][0]["property"], "Status");
    assert_eq!(user.property("Status"), "Not started");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE]);
}

#[test]
fn new_option_of_a_select_is_made() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(user.property("Status"), "New Import");
}

#[test]
fn date_only_moves_forward_and_by_whole_minutes() {
    let user = user_with_rosa();
    let at = |n: u32, time: &str| {
        user.deliver(&message(n, time))
            .expect(0, "success", "updated")
            .code
    };
    at(1, "2026-10-01T15:00:59.999Z");
    assert_eq!(user.property("Last Call"), "2026-10-01T15:00:00.000+00:00");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, UPDATE, APPEND]);
    at(2, "2026-10-01T15:00:10Z");
    assert_eq!(user.notion_log(), [READ, APPEND], "the same minute");
    at(3, "2026-09-30T15:00:10Z");
    assert_eq!(user.notion_log(), [READ, APPEND], "an older one");
    at(4, "2026-10-01T15:01:00Z");
    assert_eq!(user.notion_log(), [UPDATE, APPEND]);
    assert_eq!(user.property("Last Call"), "2026-10-01T15:01:00.000+00:00");
}

#[test]
fn dates_that_a_person_wrote_are_compared_as_moments() {
    for (written, moves) in [
        ("2026-10-01", true),
        ("2026-10-02", false),
        ("2026-10-01T20:00:00.000+05:00", false),
        ("2026-10-01T20:00:00.000+05:30", true),
        ("2026-10-01T15:00:00.000Z", false),
        ("2026-10-01T14:59:00.000Z", true),
    ] {
        let user = User::new();
        user.add_row(&json!({"Phone": {"phone_number": "+13125550199"}, "Last \
            Call": {"date": {"start": written}}}));
        let mut event = message_from(1, "+13125550199");
        event["data"]["object"]["createdAt"] = json!("2026-10-01T15:00:30Z");
        user.deliver(&event).expect(0, "success", "updated");
        let log: &[&str] = if moves {
            &[SCHEMA, QUERY, UPDATE, APPEND]
        } else {
            &[SCHEMA, QUERY, APPEND]
        };
        assert_eq!(user.notion_log(), log, "{written}");
    }
}

#[test]
fn messages_have_a_date_of_their_own_if_the_column_exists() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .add_column(CLIENTS_DATABASE, "Last Message", "date");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(
        (
            user.property("Last Message").as_str(),
            user.property("Last Call").as_str()
        ),
        ("2026-10-01T17:00:00.000+00:00", "")
    );
    user.sync(CALL).expect(0, "success", "updated");
    assert_eq!(user.property("Last Call"), "2026-10-01T15:00:00.000+00:00");
    assert_eq!(
        user.property("Last Message"),
        "2026-10-01T17:00:00.000+00:00"
    );
}

#[test]
fn of_several_pages_the_oldest_is_used() {
    let user = User::new();
    let ages = [
        "2026-03-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    ];
    let spellings = ["+12025550147", "(202) 555-0147", "202.555.0147"];
    let mut pages = Vec::new();
    for (age, spelling) in ages.iter().zip(spellings) {
        user.vendors.world().notion.clock = age.parse().ok();
        pages.push(user.add_client(spelling));
    }
    user.vendors.world().notion.clock = None;
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "updated");
    assert_eq!(run.line()["notion_page_id"], pages[1]);
    assert_eq!(run.warnings(), ["several_pages"]);
    let said = run.line()["warnings"][0]["message"]
        .as_str()
        .expect("a message");
    assert!(
        pages.iter().all(|page| said.contains(page.as_str())),
        "{said}"
    );
}

#[test]
fn page_in_the_trash_is_not_a_client() {
    let user = User::new();
    let trashed = user.add_client(ROSA);
    user.vendors.world().notion.set_trashed(&trashed, true);
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_ne!(run.line()["notion_page_id"], trashed);
}

/// What was remembered is gone when the next event comes.
fn page_vanishes(vanish: fn(&mut World, &str)) {
    for time in ["2026-10-01T17:00:00Z", "2026-10-02T17:00:00Z"] {
        let user = User::new();
        user.sync(MESSAGE).expect(0, "success", "created");
        let first = user.page();
        vanish(&mut user.vendors.world(), &first);
        let run = user.deliver(&message(1, time));
        assert_eq!((run.code, user.client_pages()), (0, 1), "{}", run.stderr);
        let second = user.page();
        assert_ne!(first, second);
        assert_eq!(run.line()["notion_page_id"], second);
        assert_eq!(run.line()["action"], "created", "{}", run.stdout);
        let shown = user.notion();
        let new = shown.rsplit("\nRosa Quint\n").next().expect("the new page");
        assert_eq!(
            (
                new.matches("AC00000000000000000000000000000001").count(),
                new.contains("2026-10")
            ),
            (1, true),
            "{shown}"
        );
    }
}

#[test]
fn trashed_page_is_forgotten_and_made_anew_with_the_entry() {
    page_vanishes(|world, page| world.notion.set_trashed(page, true));
}

#[test]
fn deleted_page_is_forgotten_and_made_anew_with_the_entry() {
    page_vanishes(|world, page| world.notion.purge(page));
}

#[test]
fn page_moved_to_another_one_by_a_person_is_searched_again() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    let first = user.page();
    user.vendors.world().notion.set_trashed(&first, true);
    let second = user.add_client("(202) 555-0147");
    let run = user.deliver(&message(1, "2026-10-02T17:00:00Z"));
    run.expect(0, "success", "updated");
    assert_eq!(
        (run.line()["notion_page_id"].as_str(), user.client_pages()),
        (Some(second.as_str()), 1)
    );
}

#[test]
fn what_a_person_filled_between_two_events_is_kept() {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, status(401, "{}")));
    user.sync(MESSAGE).expect(0, "success", "created");
    user.vendors.clear_faults();
    let page = user.page();
    {
        let mut world = user.vendors.world();
        let text = json!([{"type": "text", "text": {"content": "Mine", "link": null},
            "plain_text": "Mine", "href": null,
            "annotations": {"bold": true, "italic": false, "strikethrough": false,
            "underline": false, "code": false, "color": "red"}}]);
        let values = &mut world.notion.page_mut(&page).expect("the page").values;
        values.insert("cO_p".to_owned(), text.clone());
        values.insert("title".to_owned(), text);
    }
    user.notion_log();
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(updated_columns(&user), ["eM%60l", "lC%3Bd"]);
    assert_eq!(user.notion_log(), [READ, UPDATE, APPEND]);
    assert_eq!(
        (user.property("Name"), user.property("Company")),
        ("Mine".into(), "Mine".into())
    );
    assert_eq!(user.property("Email"), "rosa@example.com");
}

#[test]
fn column_renamed_between_two_events_keeps_its_meaning() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    for (from, to) in [
        ("Phone", "Mobile"),
        ("Company", "Firma"),
        ("Last Call", "Zuletzt"),
    ] {
        user.vendors
            .world()
            .notion
            .rename_column(CLIENTS_DATABASE, from, to);
    }
    let run = user.deliver(&message(1, "2026-10-02T17:00:00Z"));
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), [""; 0]);
    let run = user.deliver(&message_from(2, "+13125550162"));
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), [""; 0]);
    let shown = user.notion();
    for text in [
        "  Zuletzt: 2026-10-02T17:00:00.000+00:00\n",
        "  Firma: Quint Roofing\n",
        "  Mobile: +12025550147\n",
        "  Mobile: +13125550162\n",
    ] {
        assert!(shown.contains(text), "{text}{shown}");
    }
}

/// A client whose number stands in one of two columns.
fn of_two_phone_columns(kind: &str, in_first: bool) {
    let user = User::new();
    let phones = "[clients]\nphone = [\"Phone\", \"Mobile\"]\n";
    std::fs::write(user.path("quotion.toml"), phones).expect("a file");
    let (ours, other) = ("(202) 555-0147", "+1 312 555 0199");
    let (phone, mobile) = if in_first {
        (ours, other)
    } else {
        (other, ours)
    };
    {
        let mut world = user.vendors.world();
        world.notion.add_column(CLIENTS_DATABASE, "Mobile", kind);
        let mobile = match kind {
            "phone_number" => json!({"phone_number": mobile}),
            _ => json!({"rich_text": [{"text": {"content": mobile}}]}),
        };
        let cells = json!({
            "Name": {"title": [{"text": {"content": "Rosa Delgado"}}]},
            "Phone": {"phone_number": phone},
            "Mobile": mobile,
        });
        world.notion.add_page(CLIENTS_DATABASE, &cells);
    }
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), [""; 0]);
    let queries = user.notion_log();
    let queries = queries.iter().filter(|line| **line == QUERY).count();
    assert_eq!((queries, user.client_pages()), (1, 1));
    assert_eq!(user.property("Phone"), phone, "what stands there stays");
    assert_eq!(user.property("Mobile"), mobile, "what stands there stays");
    user.deliver(&message_from(2, "+13125550162"))
        .expect(0, "success", "created");
    let shown = user.notion();
    assert!(shown.contains("  Phone: +13125550162\n"), "{shown}");
    assert!(!shown.contains("  Mobile: +13125550162\n"), "{shown}");
}

#[test]
fn of_several_phone_columns_all_are_searched_and_the_first_is_written() {
    for kind in ["phone_number", "rich_text"] {
        of_two_phone_columns(kind, true);
        of_two_phone_columns(kind, false);
    }
}

#[test]
fn phone_column_that_does_not_exist_is_told() {
    for names in ["[\"Handy\", \"Phone\"]", "\"Handy\""] {
        let user = User::new();
        let phones = format!("[clients]\nphone = {names}\n");
        std::fs::write(user.path("quotion.toml"), phones).expect("a file");
        let run = user.sync(MESSAGE);
        run.expect(0, "success", "created");
        assert_eq!(run.warnings(), ["property_missing"], "{}", run.stdout);
        assert!(run.stderr.contains("\"Handy\""), "{}", run.stderr);
        assert_eq!(user.property("Phone"), "+12025550147");
    }
}

#[test]
fn renamed_column_is_known_by_its_id_when_the_schema_is_read_anew() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    {
        let mut world = user.vendors.world();
        world
            .notion
            .rename_column(CLIENTS_DATABASE, "Company", "Firma");
        world
            .notion
            .rename_column(CLIENTS_DATABASE, "Phone", "Mobile");
        world
            .notion
            .add_column(CLIENTS_DATABASE, "Fax", "phone_number");
        world.quo.contacts[1]["defaultFields"]["company"] = json!("Ebel Ltd");
    }
    // A search that is refused makes the program read the columns again.
    user.fault(
        Fault::new(
            Vendor::Notion,
            notion_error(
                400,
                "validation_error",
                "Could not find property with name or id: x",
            ),
        )
        .path("/query")
        .nth(1),
    );
    user.notion_log();
    let run = user.deliver(&message_from(1, "+13125550162"));
    run.expect(0, "success", "created");
    assert_eq!((run.warnings(), user.vendors.unused_faults()), (vec![], 0));
    assert_eq!(
        user.notion_log(),
        ["POST /v1/databases/_/query -> 400", SCHEMA, QUERY, CREATE]
    );
    assert!(
        user.notion().contains("  Mobile: +13125550162\n"),
        "{}",
        user.notion()
    );
}

#[test]
fn removed_column_is_a_warning() {
    let user = User::new();
    user.fault(Fault::new(Vendor::Quo, status(401, "{}")));
    user.sync(MESSAGE).expect(0, "success", "created");
    user.vendors.clear_faults();
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Company");
    let run = user.sync("legacy-v4.message.delivered");
    run.expect(0, "success", "updated");
    assert_eq!(run.warnings(), ["property_rejected"]);
    assert_eq!(run.line()["warnings"][0]["property"], "Company");
    assert_eq!(
        (user.property("Name"), user.property("Email")),
        ("Rosa Quint".into(), "rosa@example.com".into())
    );
    let run = user.sync("legacy-v4.message.received.media");
    run.expect(0, "success", "updated");
    assert_eq!(
        run.warnings(),
        ["property_missing"],
        "the columns were read again"
    );
}

#[test]
fn column_that_cannot_be_written_is_left_out_with_a_warning() {
    let user = User::new();
    {
        let mut world = user.vendors.world();
        world.notion.remove_column(CLIENTS_DATABASE, "Company");
        world
            .notion
            .add_column(CLIENTS_DATABASE, "Company", "formula");
    }
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["property_unwritable"]);
    assert_eq!(run.line()["warnings"][0]["property"], "Company");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE]);
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(user.notion_log(), [UPDATE, APPEND], "nothing to fill");
}

#[test]
fn values_take_the_type_of_the_users_column() {
    let user = User::new();
    {
        let mut world = user.vendors.world();
        for (name, kind) in [
            ("Company", "select"),
            ("Email", "rich_text"),
            ("Role", "multi_select"),
            ("Tags", "rich_text"),
            ("Status", "checkbox"),
        ] {
            world.notion.remove_column(CLIENTS_DATABASE, name);
            world.notion.add_column(CLIENTS_DATABASE, name, kind);
        }
        world.quo.contacts[0]["defaultFields"]["company"] = json!("Quint, Roofing");
        world.quo.contacts[0]["defaultFields"]["role"] = json!("Owner, Boss");
    }
    user.configure("[quo]\ntags_field = \"Lead source\"\n");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.warnings(), ["property_unwritable"], "{}", run.stdout);
    let shown = ["Company", "Email", "Role", "Tags"].map(|name| user.property(name));
    assert_eq!(
        shown,
        [
            "Quint Roofing",
            "rosa@example.com",
            "Owner Boss",
            "Referral"
        ]
    );
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(user.property("Company"), "Quint Roofing");
}

/// A search that did not succeed is not an empty one.
fn search_fails(act: Act, code: i32, kind: &str) {
    let user = User::new();
    user.add_client("(202) 555-0147");
    user.fault(Fault::new(Vendor::Notion, act).path("/query"));
    let run = user.sync(MESSAGE);
    run.expect_error(code, kind);
    let creates = user
        .vendors
        .log(Vendor::Notion)
        .iter()
        .filter(|line| line.starts_with("POST /v1/pages"))
        .count();
    assert_eq!(
        (creates, user.client_pages(), user.vendors.unused_faults()),
        (0, 1, 0)
    );
    assert_eq!(user.times_in_notion("Is my quote ready?"), 0);
    user.vendors.clear_faults();
    user.sync(MESSAGE).expect(0, "success", "updated");
    assert_eq!(
        (
            user.client_pages(),
            user.times_in_notion("Is my quote ready?")
        ),
        (1, 1)
    );
}

#[test]
fn search_that_failed_never_makes_a_page() {
    let refusal = notion_error(400, "validation_error", "body failed validation");
    let cases = [
        (
            status(
                500,
                r#"{"object":"error","status":500,"code":"internal_server_error","message":"x"}"#,
            ),
            75,
            "unavailable",
        ),
        (status(502, "<html>Bad Gateway</html>"), 75, "unavailable"),
        (
            notion_error(
                409,
                "conflict_error",
                "Conflict occurred while saving. Please try again.",
            ),
            75,
            "unavailable",
        ),
        (refusal, 69, "refused"),
        (status(200, "<html>hello</html>"), 75, "unavailable"),
        (status(200, "{}"), 75, "unavailable"),
        (
            status(200, r#"{"object":"list","results":null,"has_more":false}"#),
            75,
            "unavailable",
        ),
        (status(200, ""), 75, "unavailable"),
        (Act::DropConnection, 75, "unavailable"),
        (Act::ResetConnection, 75, "unavailable"),
        (Act::TruncateBody, 75, "unavailable"),
        (Act::Garbage, 75, "unavailable"),
    ];
    std::thread::scope(|scope| {
        for (act, code, kind) in cases {
            scope.spawn(move || search_fails(act, code, kind));
        }
    });
}

#[test]
fn search_that_recovers_goes_on() {
    let user = User::new();
    user.add_client("(202) 555-0147");
    user.fault(
        Fault::new(Vendor::Notion, status(503, "{}"))
            .path("/query")
            .nth(1),
    );
    user.sync(MESSAGE).expect(0, "success", "updated");
    assert_eq!((user.client_pages(), user.vendors.unused_faults()), (1, 0));
}

#[test]
fn search_that_notion_cut_off_is_not_an_empty_one() {
    let user = User::new();
    user.vendors.world().notion.query_cap = 2;
    for n in 0..4 {
        user.add_client(&format!("+1{n}125550147"));
    }
    user.sync(MESSAGE).expect_error(75, "unavailable");
    assert_eq!(user.client_pages(), 4);
}

#[test]
fn answer_in_several_pages_is_read_to_its_end() {
    let user = User::new();
    user.vendors.world().notion.clock = "2026-01-01T00:00:00Z".parse().ok();
    for n in 0..120 {
        user.add_client(&format!("+1{}5550147", 300 + n));
    }
    user.vendors.world().notion.clock = None;
    let page = user.add_client("+1 (202) 555 0147");
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "updated");
    assert_eq!(run.line()["notion_page_id"], page);
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, QUERY, UPDATE, APPEND]);
}

#[test]
fn requests_per_event_are_as_few_as_promised() {
    let user = User::new();
    user.sync(MESSAGE).expect(0, "success", "created");
    assert_eq!(user.notion_log(), [SCHEMA, QUERY, CREATE], "first ever");
    user.deliver(&message_from(1, "+13125550162"))
        .expect(0, "success", "created");
    assert_eq!(user.notion_log(), [QUERY, CREATE], "new client");
    user.sync(CALL).expect(0, "success", "updated");
    assert_eq!(
        user.notion_log(),
        [READ, APPEND],
        "known, and the date lies later: is it still the client's?"
    );
    user.deliver(&message(2, "2026-10-03T17:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(user.notion_log(), [UPDATE, APPEND], "known and cached");
    user.add_client("+16465550183");
    user.deliver(&message_from(3, "+16465550183"))
        .expect(0, "success", "updated");
    assert_eq!(
        user.notion_log(),
        [QUERY, UPDATE, APPEND],
        "known, found by search"
    );
    user.sync(MESSAGE).expect(0, "success", "skipped");
    assert_eq!(user.notion_log(), [""; 0], "again");
}

#[test]
fn known_page_is_read_again_after_a_day() {
    let user = user_with_rosa();
    user.deliver(&message(1, "2026-10-01T17:00:00Z"))
        .expect(0, "success", "updated");
    let age = |hours: i64| {
        let sql = "UPDATE pages SET read_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1)";
        store(&user)
            .execute(sql, [format!("-{hours} hours")])
            .expect("aged");
        user.vendors.clear_requests();
    };
    age(23);
    user.deliver(&message(2, "2026-10-01T18:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(user.notion_log(), [UPDATE, APPEND]);
    age(25);
    let page = user.page();
    let later = json!({"start": "2026-10-03T10:00:00.000+00:00", "end": null, "time_zone": null});
    user.vendors
        .world()
        .notion
        .page_mut(&page)
        .expect("the page")
        .values
        .insert("lC%3Bd".to_owned(), later);
    user.deliver(&message(3, "2026-10-01T19:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(
        user.notion_log(),
        [READ, APPEND],
        "the later date, which a person wrote, is seen"
    );
    user.deliver(&message(4, "2026-10-01T20:00:00Z"))
        .expect(0, "success", "updated");
    assert_eq!(
        user.notion_log(),
        [READ, APPEND],
        "nothing is appended to what was not read"
    );
}

#[test]
fn of_two_data_sources_the_one_with_phones_is_used() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .add_second_source(CLIENTS_DATABASE, "Suppliers");
    user.sync(MESSAGE).expect(0, "success", "created");
    user.sync("legacy-v4.message.delivered")
        .expect(0, "success", "updated");
    assert_eq!(
        (user.client_pages(), user.property("Name")),
        (1, "Rosa Quint".to_owned())
    );
    let created = bodies(&user, "POST", "/v1/pages");
    assert_eq!(
        created[0]["parent"],
        json!({"type": "data_source_id", "data_source_id": crate::standin::CLIENTS_SOURCE})
    );
}

#[test]
fn second_data_source_that_comes_later_is_met_by_switching() {
    for sample in [
        "legacy-v4.message.delivered",
        "legacy-v3.message.received.group",
    ] {
        let user = User::new();
        user.sync(MESSAGE).expect(0, "success", "created");
        user.vendors
            .world()
            .notion
            .add_second_source(CLIENTS_DATABASE, "Suppliers");
        let run = user.sync(sample);
        assert_eq!(
            (run.code, run.warnings()),
            (0, vec![]),
            "{}{}",
            run.stdout,
            run.stderr
        );
        assert_eq!(user.times_in_notion(ROSA), 1);
    }
}

#[test]
fn data_sources_that_both_have_phones_are_listed() {
    let user = User::new();
    {
        let mut world = user.vendors.world();
        world
            .notion
            .add_second_source(CLIENTS_DATABASE, "Suppliers");
        let phone = world.notion.database_mut(CLIENTS_DATABASE).sources[0].columns["Phone"].clone();
        world
            .notion
            .source_mut(SECOND_SOURCE)
            .expect("a source")
            .columns
            .insert("Phone".to_owned(), phone);
    }
    let run = user.sync(MESSAGE);
    run.expect_error(69, "refused");
    let said = run.line()["error"]["message"].as_str().expect("a message");
    for part in [
        "Clients",
        "Suppliers",
        crate::standin::CLIENTS_SOURCE,
        SECOND_SOURCE,
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((user.client_pages(), user.critical_lines().len()), (0, 1));
}

#[test]
fn newer_versions_of_the_api_work_too() {
    for version in ["2025-09-03", "2026-03-11"] {
        let mut user = User::new();
        user.set("NOTION_VERSION", version);
        user.add_client("(312) 555-0162");
        user.sync(MESSAGE).expect(0, "success", "created");
        user.sync(CALL).expect(0, "success", "updated");
        user.sync("legacy-v4.call.summary.completed")
            .expect(0, "success", "updated");
        user.deliver(&message_from(1, "+13125550162"))
            .expect(0, "success", "updated");
        assert_eq!(user.client_pages(), 2);
        let sent: Vec<String> = user
            .vendors
            .requests()
            .iter()
            .filter_map(|seen| Some(seen.header("notion-version")?.to_owned()))
            .collect();
        assert!(
            sent.len() > 8 && sent.iter().all(|sent| sent == version),
            "{sent:?}"
        );
    }
}

#[test]
fn version_that_notion_does_not_know_is_a_wrong_setting() {
    let mut user = User::new();
    user.set("NOTION_VERSION", "2021-01-01");
    user.sync(MESSAGE).expect_error(78, "config");
    assert_eq!(user.client_pages(), 0);
}

#[test]
fn event_without_time_of_its_own_has_that_of_its_delivery() {
    let user = user_with_rosa();
    let event = altered(MESSAGE, &[("/data/object/createdAt", Json::Null)]);
    user.deliver(&event).expect(0, "success", "updated");
    let delivered = event["createdAt"].as_str().expect("a time");
    assert_eq!(&user.property("Last Call")[..16], &delivered[..16]);
}
