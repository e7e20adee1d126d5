//! Settings: what must be there, what beats what, and that a wrong one is named before anything is
//! done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use quotion::cli::Args;

use crate::harness::{QUOTION, Run, User, feed, sample};
use crate::standin::{CLIENTS_DATABASE, NOTION_KEY, QUO_KEY, QUO_WEBHOOK_SECRET, Vendor};

const MESSAGE: &str = "legacy-v4.message.received";
const CALL: &str = "v2026-03-30.call.completed.answered";

/// Asserts that a setting is refused with all of `told` in message and hint, before any vendor is
/// asked.
#[track_caller]
pub fn check_refused(user: &User, args: &[&str], told: &[&str]) -> Run {
    let run = user.run(args, &sample(MESSAGE));
    run.expect_error(78, "config");
    let error = run.line()["error"].to_string().replace("\\\"", "\"");
    for part in told {
        assert!(error.contains(part), "{part:?} in {error}");
    }
    assert!(run.stderr.contains("; hint: "), "{}", run.stderr);
    assert_eq!(user.vendors.requests().len(), 0, "{args:?}");
    run
}

#[track_caller]
fn check_variable_refused(name: &str, value: &str, told: &[&str]) {
    let mut user = User::new();
    check_refused(user.set(name, value), &[], told);
}

#[track_caller]
fn check_file_refused(toml: &str, told: &[&str]) {
    let user = User::new();
    fs::write(user.path("quotion.toml"), toml).expect("written");
    check_refused(&user, &[], told);
    fs::rename(user.path("quotion.toml"), user.path("other.toml")).expect("renamed");
    check_refused(&user, &["--config", "other.toml"], told);
}

#[track_caller]
pub fn check_works(user: &User) {
    user.sync(MESSAGE).expect(0, "success", "created");
}

#[test]
fn missing_variable_is_named_with_what_to_do() {
    check_variable_refused(
        "NOTION_API_KEY",
        "",
        &["NOTION_API_KEY is not set", "integration"],
    );
    check_variable_refused(
        "NOTION_CLIENTS_DATABASE_ID",
        "",
        &["NOTION_CLIENTS_DATABASE_ID is not set", "link"],
    );
    check_variable_refused("NOTION_API_KEY", " \t", &["NOTION_API_KEY is not set"]);
    check_variable_refused(
        "NOTION_CLIENTS_DATABASE_ID",
        " ",
        &["NOTION_CLIENTS_DATABASE_ID is not set"],
    );
}

#[test]
fn without_a_key_of_quo_events_are_synced_under_the_number() {
    let mut user = User::new();
    let run = user.set("OPENPHONE_API_KEY", "").sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(
        (&run.line()["client_name"], user.vendors.count(Vendor::Quo)),
        (&"+1 202-555-0147".into(), 0)
    );
}

#[test]
fn alias_of_every_variable_works() {
    let mut user = User::new();
    let base = user.vendors.quo_base();
    user.set("OPENPHONE_API_KEY", "")
        .set("QUO_API_KEY", QUO_KEY);
    user.set("OPENPHONE_API_BASE", "")
        .set("QUO_API_BASE", &base);
    user.set("NOTION_CLIENTS_DATABASE_ID", "")
        .set("NOTION_CANVAS_DATABASE_ID", CLIENTS_DATABASE);
    assert_eq!(
        user.sync(MESSAGE).expect(0, "success", "created").line()["client_name"],
        "Rosa Quint"
    );
    assert!(user.vendors.count(Vendor::Quo) > 0);
    user.set("OPENPHONE_WEBHOOK_SECRET", "")
        .set("QUO_WEBHOOK_SECRET", QUO_WEBHOOK_SECRET);
    user.run(&["--signature", "hmac;1;1;AAAA"], b"{}")
        .expect_error(77, "signature");
}

#[test]
fn first_name_of_a_variable_beats_its_alias() {
    let mut user = User::new();
    user.set("QUO_API_KEY", "wrong")
        .set("QUO_API_BASE", "https://quo.invalid/v1");
    user.set(
        "NOTION_CANVAS_DATABASE_ID",
        "00000000000000000000000000000000",
    );
    assert_eq!(
        user.sync(MESSAGE).expect(0, "success", "created").line()["client_name"],
        "Rosa Quint"
    );
}

#[test]
fn database_is_named_by_id_or_link() {
    let plain = CLIENTS_DATABASE.replace('-', "");
    for form in [
        plain.clone(),
        plain.to_uppercase(),
        format!("  {CLIENTS_DATABASE}\n"),
        format!(
            "https://www.notion.so/acme/Clients-{plain}?v=00000000000000000000000000000000&pvs=4"
        ),
    ] {
        let mut user = User::new();
        check_works(user.set("NOTION_CLIENTS_DATABASE_ID", &form));
    }
    for form in [
        "Clients",
        "be35",
        &plain[1..],
        &format!("{plain}0"),
        "../../users",
        "https://www.notion.so/acme",
    ] {
        check_variable_refused(
            "NOTION_CLIENTS_DATABASE_ID",
            form,
            &["NOTION_CLIENTS_DATABASE_ID", "link"],
        );
    }
}

#[test]
fn version_of_the_api_must_be_a_date() {
    for version in [
        "latest",
        "v1",
        "2022-13-45",
        "20220628",
        "2022-06-28T00:00:00",
        "2022-6-28",
    ] {
        check_variable_refused("NOTION_VERSION", version, &["NOTION_VERSION", "2022-06-28"]);
    }
    let mut user = User::new();
    check_works(user.set("NOTION_VERSION", "2022-06-28"));
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    for name in ["NOTION_API_BASE", "OPENPHONE_API_BASE", "QUO_API_BASE"] {
        for base in [
            "http://api.notion.com/v1",
            "http://127.0.0.1.example.com/v1",
            "http://127.0.0.1@example.com/v1",
            "http://example.com#@127.0.0.1/v1",
            "http://[::2]/v1",
            "http://10.0.0.1/v1",
            "ftp://127.0.0.1/v1",
            "//127.0.0.1/v1",
            "api.notion.com/v1",
            "https://user:hunter2@api.notion.com/v1",
            "https://api.notion.com/v1?key=hunter2",
            "https://api.notion.com/../v1",
            "https:///v1",
            "https://api.notion.com\\@example.com/v1",
        ] {
            let mut user = User::new();
            user.set("OPENPHONE_API_BASE", "").set(name, base);
            let run = check_refused(&user, &[], &["_API_BASE", "https"]);
            assert!(
                !format!("{}{}", run.stdout, run.stderr).contains("hunter2"),
                "{}",
                run.stdout
            );
        }
    }
}

#[test]
fn plain_http_to_this_machine_is_allowed_under_each_of_its_names() {
    for host in ["127.0.0.1", "localhost"] {
        let mut user = User::new();
        let base = user.vendors.notion_base().replace("127.0.0.1", host);
        user.set("NO_PROXY", "127.0.0.1,localhost")
            .set("NOTION_API_BASE", &format!("{base}/"));
        check_works(&user);
    }
}

#[test]
fn unknown_key_of_the_file_is_named_with_its_line() {
    check_file_refused(
        "[clients]\nphone = \"Phone\"\nfone = \"Phone\"\n",
        &["line 3", "`fone`"],
    );
    check_file_refused("zone = \"UTC\"\n", &["line 1", "`zone`"]);
    check_file_refused("\n\n[inbocks]\nattempts = 1\n", &["line 3", "`inbocks`"]);
    check_file_refused("# ü😀\n[quo]\n  rate = 1\n", &["line 3", "`rate`"]);
}

#[test]
fn wrong_value_of_the_file_is_named_with_its_line() {
    check_file_refused("[clients]\nphone = 7\n", &["line 2", "string"]);
    check_file_refused(
        "[notion]\n\nrequests_per_minute = \"180\"\n",
        &["line 3", "no number"],
    );
    check_file_refused("[quo]\nrequests_per_second = -1\n", &["line 2"]);
    check_file_refused("[quo]\nrequests_per_second = 99999999999\n", &["line 2"]);
    check_file_refused("[quo]\nrequests_per_second = 0\n", &["line 2", "1 or more"]);
    check_file_refused("[clients\n", &["line 1"]);
    check_file_refused(
        "[clients]\nphone = \"Phone\"\nphone = \"Phone\"\n",
        &["line 3", "duplicate"],
    );
    check_file_refused("[clients]\n[clients]\n", &["line 2", "duplicate"]);
}

#[test]
fn wrong_zone_or_length_of_time_in_the_file_is_named() {
    check_file_refused(
        "timezone = \"Mars/Olympus\"\n",
        &["line 1: timezone", "America/Chicago"],
    );
    check_file_refused("timezone = \"../../etc/passwd\"\n", &["timezone"]);
    for span in [
        "6",
        "six hours",
        "-1h",
        "0s",
        "0d",
        "",
        "d",
        "384307168202282325d",
    ] {
        check_file_refused(
            &format!("[quo]\ncontacts_ttl = \"{span}\"\n"),
            &["contacts_ttl", "6h"],
        );
        check_file_refused(
            &format!("[inbox]\nfirst_retry = \"{span}\"\n"),
            &["first_retry", "6h"],
        );
    }
}

#[test]
fn file_that_cannot_be_read_is_refused() {
    let user = User::new();
    fs::create_dir(user.path("folder")).expect("made");
    fs::write(user.path("bytes.toml"), b"timezone = \"\xff\"\n").expect("written");
    for name in [
        "missing.toml",
        "folder",
        "bytes.toml",
        "missing/quotion.toml",
    ] {
        check_refused(
            &user,
            &["--config", name],
            &["cannot read", name, "--config"],
        );
    }
}

#[test]
fn default_file_is_read_only_without_another_one_named() {
    let user = User::new();
    fs::write(user.path("quotion.toml"), "oops").expect("written");
    check_refused(&user, &[], &["quotion.toml"]);
    fs::write(user.path("good.toml"), "").expect("written");
    user.run(&["--config", "good.toml"], &sample(MESSAGE))
        .expect(0, "success", "created");
}

#[test]
fn flag_beats_environment_beats_dotenv_beats_default() {
    let mut user = User::new();
    let made = |user: &User, args: &[&str]| {
        user.run(args, &sample(MESSAGE))
            .expect(0, "success", "created");
        let folders = [".tmp", "dotenv", "environment", "flag"];
        let made: Vec<&str> = folders
            .into_iter()
            .filter(|name| user.path(name).exists())
            .collect();
        for name in &made {
            fs::remove_dir_all(user.path(name)).expect("removed");
        }
        let page = user.vendors.world().notion.rows(CLIENTS_DATABASE)[0]
            .id
            .clone();
        user.vendors.world().notion.purge(&page);
        made.join(" ")
    };
    assert_eq!(made(&user, &[]), ".tmp");
    fs::write(user.path(".env"), "QUOTION_DIR=dotenv\n").expect("written");
    assert_eq!(made(&user, &[]), "dotenv");
    user.set("QUOTION_DIR", "environment");
    assert_eq!(made(&user, &[]), "environment");
    assert_eq!(made(&user, &["--dir", "flag"]), "flag");
    user.set("QUOTION_STATE", "environment/one.db");
    assert_eq!(made(&user, &["--dir", "flag"]), "environment");
    assert_eq!(
        made(&user, &["--dir", "dotenv", "--state", "flag/two.db"]),
        "flag"
    );
}

#[test]
fn keys_are_taken_from_dotenv_and_the_environment_beats_it() {
    let mut user = User::new();
    let keys = [
        ("NOTION_API_KEY", NOTION_KEY),
        ("OPENPHONE_API_KEY", QUO_KEY),
    ];
    for (name, _) in keys {
        user.set(name, "");
    }
    let file = format!(
        "# keys\n\nexport NOTION_API_KEY='{NOTION_KEY}' # ours\r\nOPENPHONE_API_KEY=\"{QUO_KEY}\"\n"
    );
    fs::write(user.path(".env"), file).expect("written");
    assert_eq!(
        user.sync(MESSAGE).expect(0, "success", "created").line()["client_name"],
        "Rosa Quint"
    );
    fs::write(
        user.path(".env"),
        "NOTION_API_KEY=wrong\nOPENPHONE_API_KEY=wrong\n",
    )
    .expect("written");
    for (name, key) in keys {
        user.set(name, key);
    }
    user.sync(CALL).expect(0, "success", "updated");
}

#[test]
fn nothing_in_dotenv_is_expanded() {
    let mut user = User::new();
    for name in ["NOTION_API_KEY", "NAME"] {
        user.set(name, "");
    }
    user.vendors.world().notion.key = "ntn_$NAME#1".into();
    fs::write(
        user.path(".env"),
        "NAME=x\nNOTION_API_KEY=ntn_$NAME#1 # ours\n",
    )
    .expect("written");
    user.sync(MESSAGE).expect(0, "success", "created");
}

#[test]
fn broken_dotenv_is_refused_without_showing_its_lines() {
    for (file, line) in [
        (&b"NOTION_API_KEY ntn_hunter2\n"[..], "/.env line 1"),
        (b"A=1\nB='ntn_hunter2\n", "/.env line 2"),
        (b"A=1\n\nNOTION_API_KEY=ntn_hunter2\xff\n", "/.env line 3"),
    ] {
        let user = User::new();
        fs::write(user.path(".env"), file).expect("written");
        let run = check_refused(&user, &[], &[line]);
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains("hunter2"),
            "{}",
            run.stdout
        );
    }
    let user = User::new();
    fs::create_dir(user.path(".env")).expect("made");
    check_refused(&user, &[], &[".env"]);
}

/// Access rights of everything below `folder`, the folder included.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o7777
    };
    let mut all = vec![(folder.to_owned(), mode(folder))];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(modes(&path));
        } else {
            all.push((path.clone(), mode(&path)));
        }
    }
    all
}

#[test]
fn everything_kept_is_for_the_user_alone_whatever_the_umask() {
    for args in [
        &["--dir", "made/deeper"][..],
        &["--dir", "made", "--state", "made/store/other.db"],
        &["--dir", "made/"],
    ] {
        let user = User::new();
        for (name, key) in [(MESSAGE, NOTION_KEY), (CALL, "wrong")] {
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", "umask 0; exec \"$0\" \"$@\"", QUOTION])
                .args(args)
                .current_dir(user.home.path());
            let plain = user.command::<&str>(&[]);
            shell.env_clear().envs(
                plain
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            shell
                .env("NOTION_API_KEY", key)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            feed(shell.spawn().expect("it starts"), &sample(name));
        }
        let modes = modes(&user.path("made"));
        assert!(
            modes
                .iter()
                .any(|(path, _)| path.ends_with("critical_errors.log")),
            "{modes:?}"
        );
        assert!(
            modes
                .iter()
                .any(|(path, _)| path.extension().is_some_and(|end| end == "db")),
            "{modes:?}"
        );
        for (path, mode) in modes {
            assert_eq!(
                mode,
                if path.is_dir() { 0o700 } else { 0o600 },
                "{:o} {}",
                mode,
                path.display()
            );
        }
    }
}

#[test]
fn wrong_command_line_is_a_usage_error_in_one_line() {
    for (args, told) in [
        (&["--nope"][..], "--nope"),
        (&["extra"], "extra"),
        (&["--signature"], "--signature"),
        (&["--log-to", "nowhere"], "possible values: stderr, stdout"),
        (&["--log-format", "xml"], "possible values: text, json"),
        (&["--dry-run", "--dry-run"], "--dry-run"),
        (&["--dry-run=yes"], "--dry-run"),
        (&["--deadline", "soon"], "--deadline"),
        (&["--deadline", "5"], "50s"),
        (&["--deadline=-5s"], "--deadline"),
        (&["--deadline", "0s"], "--deadline"),
        (&["--deadline", ""], "--deadline"),
        (&["--deadline", "384307168202282325d"], "--deadline"),
        (&["--deadline", "9223372036854775807h"], "--deadline"),
        (&["--deadline", "-1d"], "unexpected argument"),
        (&["--signature-tolerance", "never"], "--signature-tolerance"),
        (&["--signature-tolerance=-5m"], "--signature-tolerance"),
        (&["--nope\u{1b}[31m"], "--nope"),
    ] {
        let user = User::new();
        let run = user.run(args, &sample(MESSAGE));
        run.expect_error(64, "usage");
        assert!(
            run.line()["error"].to_string().contains(told),
            "{told:?} in {}",
            run.stdout
        );
        assert!(
            run.stderr.contains(" ERROR ") && run.stderr.contains("; hint: "),
            "{}",
            run.stderr
        );
        assert!(
            !run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'),
            "{}",
            run.stderr
        );
        assert_eq!((user.vendors.requests().len(), user.files().len()), (0, 0));
    }
}

#[test]
fn argument_that_is_no_text_is_a_usage_error() {
    use std::os::unix::ffi::OsStrExt;
    let user = User::new();
    let bytes = std::ffi::OsStr::from_bytes(b"--signature=\xff");
    user.run(&[bytes], &sample(MESSAGE))
        .expect_error(64, "usage");
}

#[test]
fn length_of_time_is_written_in_any_usual_way() {
    for span in [
        "50s",
        "5m",
        "30d",
        "1h 30m",
        "1h30m",
        "90 seconds",
        "PT5M",
        "500ms",
        "off",
    ] {
        let args = ["--deadline", span, "--signature-tolerance", span];
        User::new()
            .run(&args, &sample("v2026-03-30.call.ringing"))
            .expect(0, "success", "skipped");
    }
}

#[test]
fn deadline_ends_an_event_in_good_order() {
    let user = User::new();
    user.vendors
        .set_latency(std::time::Duration::from_millis(300));
    let run = user.run(&["--deadline", "200ms"], &sample(MESSAGE));
    run.expect_error(75, "deadline");
    assert_eq!(
        (&run.line()["error"]["retryable"], user.client_pages()),
        (&true.into(), 0)
    );
}

#[test]
fn help_names_every_option_variable_and_exit_code() {
    let user = User::new();
    let output = user.output(&["--help"], b"");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
    let args = Args::command();
    let options: Vec<String> = args
        .get_arguments()
        .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
        .collect();
    assert!(options.len() > 10, "{options:?}");
    let codes =
        ["0", "64", "65", "69", "70", "74", "75", "77", "78"].map(|code| format!(" {code} "));
    let variables = [
        "NOTION_API_KEY",
        "NOTION_API_BASE",
        "NOTION_VERSION",
        "NOTION_CLIENTS_DATABASE_ID",
        "NOTION_CANVAS_DATABASE_ID",
        "OPENPHONE_API_KEY",
        "QUO_API_KEY",
        "OPENPHONE_API_BASE",
        "QUO_API_BASE",
        "OPENPHONE_WEBHOOK_SECRET",
        "QUO_WEBHOOK_SECRET",
        "QUOTION_REQUIRE_SIGNATURE",
        "QUOTION_DIR",
        "QUOTION_STATE",
        "ALERT_WEBHOOK_URL",
        "LOG_LEVEL",
        "RUST_LOG",
    ];
    let codes_part = help
        .split("EXIT CODES")
        .nth(1)
        .and_then(|rest| rest.split("RESULT").next())
        .expect("that part");
    for code in &codes {
        assert!(codes_part.contains(code), "{code} in {codes_part}");
    }
    for name in options.iter().map(String::as_str).chain(variables) {
        assert!(help.contains(name), "{name} in {help}");
    }
}

#[test]
fn version_is_printed() {
    let output = User::new().output(&["--version"], b"");
    let text = format!("quotion {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (output.status.code(), output.stdout),
        (Some(0), text.into_bytes())
    );
}

/// Default name and name of this user for every column that can be named.
const NAMES: [(&str, &str); 8] = [
    ("phone", "Telefon Nr. 1"),
    ("company", "Firma, Büro & Co"),
    ("email", "E-Mail (dienstlich)"),
    ("role", "Rolle 😀"),
    ("tags", "Schlag\"worte"),
    ("status", "Zustand"),
    ("last_call", "Letzter Anruf"),
    ("last_message", "Letzte Nachricht"),
];

fn default_name(key: &str) -> String {
    let capital = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    key.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

/// A page's texts in the columns of `NAMES`, called by `name`.
fn values(user: &User, name: impl Fn(&(&str, &str)) -> String) -> Vec<String> {
    let world = user.vendors.world();
    let page = &world.notion.rows(CLIENTS_DATABASE)[0].id;
    NAMES
        .iter()
        .map(|pair| world.notion.text(page, &name(pair)))
        .collect()
}

/// A user of a world in which every column has something to hold, with this file of settings.
fn user_of_full_world(clients: &str) -> User {
    let user = User::new();
    let mut world = user.vendors.world();
    world
        .notion
        .add_column(CLIENTS_DATABASE, "Last Message", "date");
    world.quo.contact("66f1a2b3c4d5e6f708192a3b").expect("Rosa")["defaultFields"]["role"] =
        "Owner".into();
    drop(world);
    let toml = format!("[clients]\n{clients}[quo]\ntags_field = \"Lead source\"\n");
    fs::write(user.path("quotion.toml"), toml).expect("written");
    user
}

#[test]
fn columns_under_other_names_are_filled_as_the_default_ones_are() {
    let plain = user_of_full_world("");
    plain.sync(MESSAGE).expect(0, "success", "created");
    plain.sync(CALL).expect(0, "success", "updated");
    let want = values(&plain, |(key, _)| default_name(key));
    assert!(want.iter().all(|value| !value.is_empty()), "{want:?}");

    let line = |(key, name): &(&str, &str)| format!("{key} = '{name}'\n");
    let renamed = user_of_full_world(&NAMES.iter().map(line).collect::<String>());
    for (key, name) in NAMES {
        renamed
            .vendors
            .world()
            .notion
            .rename_column(CLIENTS_DATABASE, &default_name(key), name);
    }
    let created = renamed.sync(MESSAGE);
    created.expect(0, "success", "created");
    renamed.sync(CALL).expect(0, "success", "updated");
    assert_eq!(values(&renamed, |(_, name)| (*name).to_owned()), want);
    assert_eq!(created.warnings(), Vec::<&str>::new());
}

#[test]
fn status_of_a_new_page_and_zone_of_its_times_can_be_chosen() {
    let user = User::new();
    let toml = "timezone = \"Asia/Tokyo\"\n[clients]\nnew_status = \"Aus Quo\"\n";
    fs::write(user.path("quotion.toml"), toml).expect("written");
    user.sync(MESSAGE).expect(0, "success", "created");
    let notion = user.notion();
    assert!(notion.contains("Status: Aus Quo"), "{notion}");
    assert!(
        notion.contains("2:00"),
        "17:00 UTC is 2:00 in Tokyo: {notion}"
    );
}
