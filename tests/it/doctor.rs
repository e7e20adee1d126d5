//! `quotion doctor`: what is wrong is false, and hides nothing else; nothing is changed anywhere.

use std::fs;

use serde_json::{Value as Json, json};

use crate::harness::{Run, User, sample};
use crate::kit::{MESSAGE, notion_error, quo_error, status};
use crate::standin::{
    CALLS_DATABASE, CLIENTS_DATABASE, Fault, MESSAGES_DATABASE, QUO_WEBHOOK_SECRET, Vendor,
};
use crate::support::{self, Database, has_postgres, postgres, sqlite};

/// A user for whom all is well: the samples' subscriptions, keys and columns.
fn well(database: Database) -> User {
    let user = support::user(database, "timezone = \"America/Chicago\"\n");
    user.run::<&str>(&[], &sample(MESSAGE))
        .expect(0, "success", "created");
    user.vendors.clear_requests();
    user
}

fn doctor(user: &User, args: &[&str]) -> Run {
    user.run(&[&["doctor"], args].concat(), b"")
}

fn checks(run: &Run) -> Vec<Json> {
    let all = run.line()["checks"].as_array().expect("checks").clone();
    for check in &all {
        let has = |name: &str| check[name].is_string();
        assert!(has("check") && has("message") && has("fix"), "{check}");
        let is_bad = check["ok"] == false;
        assert!(!is_bad || check["fix"] != "", "nothing to do: {check}");
    }
    assert_eq!(run.line()["ok"], run.code == 0);
    all
}

#[track_caller]
fn check(run: &Run, name: &str) -> Json {
    let all = checks(run);
    let found = all.iter().find(|check| check["check"] == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {all:?}"))
        .clone()
}

fn named(run: &Run, ok: &Json) -> Vec<String> {
    let all = checks(run).into_iter();
    let of_kind = all.filter(|check| check["ok"] == *ok);
    let name = |check: Json| check["check"].as_str().expect("a name").to_owned();
    of_kind.map(name).collect()
}

/// Only this is false, and the message or what to do says so.
#[track_caller]
fn only(run: &Run, code: i32, name: &str, said: &str) {
    assert_eq!(named(run, &json!(false)), [name], "{}", run.stdout);
    assert!(
        check(run, name).to_string().contains(said),
        "{}",
        run.stdout
    );
    assert_eq!(run.code, code, "{}", run.stdout);
}

fn for_each_store(test: impl Fn(Database)) {
    test(&sqlite);
    if has_postgres() {
        test(&postgres);
    }
}

#[test]
fn where_all_is_well_nothing_is_false_and_nothing_is_changed() {
    for_each_store(|database| {
        let user = well(database);
        let run = doctor(&user, &[]);
        assert_eq!(
            (run.code, named(&run, &json!(false))),
            (0, vec![]),
            "{}",
            run.stdout
        );
        let good = named(&run, &json!(true));
        for name in [
            "version",
            "settings",
            "store",
            "notion_key",
            "notion_clients",
            "clients_columns_needed",
            "clients_columns_used",
            "clients_block",
            "clients_twins",
            "quo_key",
            "quo_webhooks",
            "quo_webhook_keys",
            "webhook_secrets",
            "time_zone",
        ] {
            assert!(good.iter().any(|it| it == name), "{name}: {}", run.stdout);
        }
        let asked = [Vendor::Notion, Vendor::Quo]
            .map(|vendor| user.vendors.log(vendor))
            .concat();
        for line in &asked {
            assert!(
                line.starts_with("GET ") || line.contains("/query"),
                "{line}"
            );
        }
        for secret in [
            "+12025550147",
            "ntn_standin",
            QUO_WEBHOOK_SECRET,
            "Rosa",
            "quo-standin-key",
        ] {
            assert!(!run.stdout.contains(secret), "{secret}: {}", run.stdout);
        }
    });
}

#[test]
fn no_store_is_made_by_looking_and_none_is_no_fault() {
    let user = User::new();
    let run = doctor(&user, &[]);
    assert_eq!(
        (run.code, check(&run, "store")["ok"].clone()),
        (0, Json::Null)
    );
    assert!(user.files().is_empty(), "{:?}", user.files());
}

#[test]
fn each_setting_is_told_with_where_it_comes_from() {
    let mut user = User::new();
    fs::write(user.path(".env"), "# keys\nNOTION_VERSION=2022-06-28\n").expect("written");
    fs::write(user.path("quotion.toml"), "[clients]\nrole = \"Job\"\n").expect("written");
    user.set("NOTION_WEBHOOK_SECRET", "changeme");
    let run = doctor(&user, &["--deadline", "20s"]);
    let told = |name: &str| check(&run, &format!("setting {name}"))["message"].to_string();
    let holds = |name: &str, words: &[&str]| {
        let told = told(name);
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    };
    holds("--deadline", &["20s", "flag --deadline"]);
    holds("NOTION_API_KEY", &["set", "environment (NOTION_API_KEY)"]);
    holds("NOTION_VERSION", &["2022-06-28", ".env line 2"]);
    holds("[clients] role", &["Job", "quotion.toml line 2"]);
    holds("[clients] phone", &["Phone", "default"]);
    holds("QUOTION_DIR", &[".tmp", "default"]);
    assert_eq!(check(&run, "setting ALERT_WEBHOOK_URL")["ok"], Json::Null);
    assert!(!run.stdout.contains("changeme"));
}

#[test]
fn wrong_key_of_one_vendor_hides_nothing_of_the_other() {
    let mut user = well(&sqlite);
    user.set("NOTION_API_KEY", "ntn_wrong");
    let run = doctor(&user, &[]);
    only(&run, 69, "notion_key", "NOTION_API_KEY");
    assert_eq!(check(&run, "quo_webhooks")["ok"], true);
    assert_eq!(check(&run, "clients_twins")["ok"], Json::Null);
    let mut user = well(&sqlite);
    user.set("OPENPHONE_API_KEY", "wrong");
    let run = doctor(&user, &[]);
    only(&run, 69, "quo_key", "OPENPHONE_API_KEY");
    assert_eq!(check(&run, "clients_twins")["ok"], true);
    user.set("NOTION_API_KEY", "ntn_wrong");
    let both = named(&doctor(&user, &[]), &json!(false));
    assert_eq!(both, ["notion_key", "quo_key"]);
}

#[test]
fn what_is_missing_or_wrong_in_the_settings_is_told_beside_what_works() {
    let mut user = well(&sqlite);
    user.set("NOTION_API_KEY", "");
    only(&doctor(&user, &[]), 78, "notion_key", "not set");
    let mut user = well(&sqlite);
    user.set("NOTION_CLIENTS_DATABASE_ID", "");
    only(&doctor(&user, &[]), 78, "notion_clients", "not set");
    let mut user = well(&sqlite);
    user.set("OPENPHONE_API_KEY", "");
    let run = doctor(&user, &[]);
    assert_eq!(
        (run.code, check(&run, "quo_key")["ok"].clone()),
        (0, Json::Null)
    );
    let user = well(&sqlite);
    user.configure("nonsense = 1\n");
    let run = doctor(&user, &[]);
    only(&run, 78, "settings", "line 1");
    assert_eq!(check(&run, "clients_twins")["ok"], true);
}

#[test]
fn settings_that_let_nothing_begin_are_told_in_the_same_form() {
    let mut user = well(&sqlite);
    user.set("QUOTION_STATE", "mysql://u:hunter2@host/d");
    let run = doctor(&user, &[]);
    only(&run, 78, "settings", "QUOTION_STATE");
    assert!(!run.stdout.contains("hunter2"));
}

#[test]
fn database_that_is_not_shared_is_told_and_the_key_is_good() {
    let user = well(&sqlite);
    user.vendors
        .world()
        .notion
        .database_mut(CLIENTS_DATABASE)
        .unshared = true;
    let run = doctor(&user, &[]);
    only(&run, 69, "notion_clients", "share the database");
    assert_eq!(check(&run, "notion_key")["ok"], true);
}

#[test]
fn databases_of_activities_are_looked_at_where_they_are_set() {
    let mut user = well(&sqlite);
    let run = doctor(&user, &[]);
    assert_eq!(check(&run, "notion_calls")["ok"], Json::Null);
    user.set("NOTION_CALLS_DATABASE_ID", CALLS_DATABASE);
    user.set("NOTION_MESSAGES_DATABASE_ID", MESSAGES_DATABASE);
    let run = doctor(&user, &[]);
    assert_eq!(check(&run, "notion_calls")["ok"], true, "{}", run.stdout);
    assert_eq!(check(&run, "notion_messages")["ok"], true, "{}", run.stdout);
    let rename = |user: &User| {
        let notion = &mut user.vendors.world().notion;
        notion.rename_column(MESSAGES_DATABASE, "Message ID", "Name");
    };
    rename(&user);
    only(&doctor(&user, &[]), 78, "notion_messages", "Message ID");
    user.set("NOTION_MESSAGES_DATABASE_ID", "");
    let unknown = "00000000-0000-4000-8000-000000000000";
    user.set("NOTION_CALLS_DATABASE_ID", unknown);
    only(
        &doctor(&user, &[]),
        69,
        "notion_calls",
        "share the database",
    );
}

#[test]
fn person_gets_lines_and_what_to_do() {
    let mut user = well(&sqlite);
    user.set("NOTION_API_KEY", "ntn_wrong");
    let mut command = std::process::Command::new("script");
    let line = format!("{} doctor", crate::harness::QUOTION);
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(user.home.path());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(user.environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("script runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("NO  notion_key"), "{shown}");
    assert!(shown.contains("    -> check NOTION_API_KEY"), "{shown}");
    assert!(shown.contains("exit code 69"), "{shown}");
    assert_eq!(output.status.code(), Some(69));
}

#[test]
fn columns_are_held_against_what_is_needed_and_used() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Phone");
    only(&doctor(&user, &[]), 78, "clients_columns_needed", "Phone");
    let user = well(&sqlite);
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Email");
    only(&doctor(&user, &[]), 0, "clients_columns_used", "Email");
    let user = User::new();
    user.vendors
        .world()
        .notion
        .remove_column(CLIENTS_DATABASE, "Last Call");
    user.vendors
        .world()
        .notion
        .add_column(CLIENTS_DATABASE, "Last Call", "number");
    only(&doctor(&user, &[]), 0, "clients_columns_used", "Last Call");
}

#[test]
fn block_of_settings_fits_the_columns_that_were_seen() {
    let user = User::new();
    user.vendors
        .world()
        .notion
        .rename_column(CLIENTS_DATABASE, "Email", "Post \"E\"");
    let block = check(&doctor(&user, &[]), "clients_block");
    let block = block["message"].as_str().expect("a text");
    assert!(block.contains("email = \"Post \\\"E\\\"\""), "{block}");
    fs::write(user.path("quotion.toml"), block).expect("written");
    let run = doctor(&user, &[]);
    assert_eq!(
        (run.code, named(&run, &json!(false))),
        (0, vec![]),
        "{}",
        run.stdout
    );
}

#[test]
fn pages_with_one_number_are_listed_the_oldest_first_and_no_number_is_named() {
    let user = well(&sqlite);
    let old = user.add_client("+1 312 555 0162");
    user.vendors.world().notion.clock = "2026-09-02T00:00:00Z".parse().ok();
    let new = user.add_client("(312) 555-0162");
    user.add_client("+14125550162");
    let run = doctor(&user, &[]);
    only(&run, 0, "clients_twins", &format!("{old} {new}"));
    assert!(!run.stdout.contains("5550162") && !run.stdout.contains("555-0162"));
}

#[test]
fn subscriptions_are_held_against_what_is_handled_and_their_keys_against_the_secrets() {
    let user = well(&sqlite);
    user.vendors
        .world()
        .quo
        .webhooks
        .retain(|it| it["id"] != "WHsum00001");
    only(
        &doctor(&user, &[]),
        0,
        "quo_webhooks",
        "call.summary.completed",
    );
    let user = well(&sqlite);
    user.vendors.world().quo.webhooks[1]["key"] = json!("AAAAAAAAAAAAAAECAwQFBgcICQoLDA0ODxAREhM=");
    only(&doctor(&user, &[]), 0, "quo_webhook_keys", "WHcall0001");
    let user = well(&sqlite);
    user.vendors.world().quo.webhooks.clear();
    assert_eq!(check(&doctor(&user, &[]), "quo_webhooks")["ok"], Json::Null);
}

#[test]
fn secrets_that_are_none_are_told_by_number() {
    let mut user = well(&sqlite);
    user.set(
        "OPENPHONE_WEBHOOK_SECRET",
        &format!("{QUO_WEBHOOK_SECRET},c2hvcnQ="),
    );
    only(&doctor(&user, &[]), 0, "webhook_secrets", "by number: 2");
    user.vendors.world().quo.webhooks.clear();
    user.set("OPENPHONE_WEBHOOK_SECRET", "changeme");
    only(&doctor(&user, &[]), 78, "webhook_secrets", "by number: 1");
    user.set("OPENPHONE_WEBHOOK_SECRET", QUO_WEBHOOK_SECRET);
    user.set("NOTION_WEBHOOK_SECRET", "changeme");
    only(
        &doctor(&user, &[]),
        0,
        "notion_webhook_secret",
        "NOTION_WEBHOOK_SECRET",
    );
}

#[test]
fn store_that_is_none_is_told() {
    let mut user = well(&sqlite);
    fs::write(
        user.path("other.db"),
        "no database, but a text that is long enough",
    )
    .expect("written");
    user.set("QUOTION_STATE", "./other.db");
    only(&doctor(&user, &[]), 74, "store", "other.db");
    if has_postgres() {
        user.set(
            "QUOTION_STATE",
            "postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable",
        );
        let run = doctor(&user, &["--deadline", "1s"]);
        only(&run, 75, "store", "");
        assert!(!run.stdout.contains("hunter2"));
    }
}

#[test]
fn vendor_that_is_not_there_is_not_taken_for_a_wrong_key() {
    let user = well(&sqlite);
    let down = || notion_error(503, "service_unavailable", "Notion is unavailable.");
    user.vendors
        .add_fault(Fault::new(Vendor::Notion, down()).times(usize::MAX));
    only(&doctor(&user, &[]), 75, "notion_key", "503");
    user.vendors.clear_faults();
    user.vendors
        .add_fault(Fault::new(Vendor::Quo, quo_error(500)).times(usize::MAX));
    let run = doctor(&user, &[]);
    assert_eq!(named(&run, &json!(false)), ["quo_key"]);
    assert_eq!(check(&run, "clients_twins")["ok"], true);
}

#[test]
fn clock_that_is_wrong_is_told_of_each_vendor() {
    let user = well(&sqlite);
    let mut me = status(200, "{\"object\":\"user\"}");
    if let crate::standin::Act::Status { headers, .. } = &mut me {
        headers.push(("Date".into(), "Sun, 06 Nov 1994 08:49:37 GMT".into()));
    }
    user.vendors
        .add_fault(Fault::new(Vendor::Notion, me).times(1));
    only(
        &doctor(&user, &[]),
        78,
        "notion_clock",
        "signatures are refused",
    );
}

#[test]
fn samples_are_shown_when_they_are_asked_for_and_it_says_so_first() {
    let user = well(&sqlite);
    let run = doctor(&user, &["--samples", "3"]);
    let all = checks(&run);
    assert_eq!(all[0]["check"], "samples");
    let sample = check(&run, "sample clients")["message"].to_string();
    assert!(sample.contains("+12025550147"), "{sample}");
}

#[test]
fn fresh_forgets_what_is_cached_and_only_then() {
    for_each_store(|database| {
        let user = well(database);
        doctor(&user, &[]);
        let asked = |number: usize| {
            user.vendors.clear_requests();
            user.run::<&str>(&[], &support::redelivered(MESSAGE, number));
            user.deliver(&crate::kit::message(
                u32::try_from(number).expect("small"),
                "2026-10-01T17:00:00Z",
            ))
            .expect(0, "success", "updated");
            let log = user.notion_log();
            log.iter().any(|line| line == crate::kit::SCHEMA)
        };
        assert!(!asked(1));
        doctor(&user, &[]);
        assert!(!asked(2));
        assert_eq!(check(&doctor(&user, &["--fresh"]), "fresh")["ok"], true);
        assert!(asked(3));
    });
}

#[test]
fn help_names_variables_exit_codes_and_examples() {
    let help = User::new().output(&["doctor", "--help"], b"").stdout;
    let help = String::from_utf8(help).expect("UTF-8");
    for word in [
        "--samples",
        "--fresh",
        "--json",
        "EXAMPLES",
        "EXIT CODES",
        "ENVIRONMENT",
        "78",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
