//! Settings that are wrong, or that somebody else may have written: what is told, what refuses, and
//! that no event is lost.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::harness::{Run, User, feed, sample};
use crate::settings::{check_refused, check_works};
use crate::standin::{NOTION_KEY, QUO_KEY};

const MESSAGE: &str = "legacy-v4.message.received";
const CALL: &str = "v2026-03-30.call.completed.answered";
/// Owner and group of what root hands over.
const SOMEBODY: u32 = 65_534;

/// Writes a file that only its owner reads.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    set_mode(path, 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// Hands a folder and what is in it to somebody; `None` where only root may do that, and the tests
/// are run by another.
fn hand_over(path: &Path) -> Option<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            hand_over(&entry.expect("an entry").path())?;
        }
    }
    chown(path, Some(SOMEBODY), Some(SOMEBODY)).ok()
}

/// Starts the command on a sample and waits.
fn run(mut command: Command, name: &str) -> Run {
    Run::of(feed(command.spawn().expect("it starts"), &sample(name)))
}

#[track_caller]
fn check_hidden(run: &Run) {
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn wrong_setting_loses_no_event() {
    let user = User::new();
    let good = fs::read(user.path("quotion.toml")).expect("settings");
    fs::write(user.path("quotion.toml"), "oops").expect("written");
    let run = user.run::<&str>(&[], &[sample(MESSAGE), sample(CALL)].concat());
    let kinds = run.lines.iter().map(|line| line["error"]["kind"].as_str());
    let kinds: Vec<_> = kinds.flatten().collect();
    assert_eq!((run.code, kinds), (78, vec!["config", "config"]));
    user.run(&["replay"], b"").expect_error(78, "config");
    assert_eq!(user.vendors.requests().len(), 0);
    fs::write(user.path("quotion.toml"), good).expect("written");
    let run = user.run(&["replay"], b"");
    assert_eq!(
        (run.code, run.lines.len(), user.client_pages()),
        (0, 2, 1),
        "{}",
        run.stdout
    );
}

#[test]
fn wrong_setting_is_a_warning_beside_what_is_only_kept() {
    let mut user = User::new();
    user.set("NOTION_VERSION", "hunter2");
    let run = user.run(&["--enqueue"], &sample(MESSAGE));
    assert_eq!((run.code, &run.line()["status"]), (0, &"queued".into()));
    assert_eq!(run.warnings(), ["settings_wrong"]);
    assert!(run.stderr.contains("NOTION_VERSION"), "{}", run.stderr);
    check_hidden(&run);
    // Keys may be missing where events are only kept.
    let mut user = User::new();
    user.set("NOTION_API_KEY", "")
        .set("NOTION_CLIENTS_DATABASE_ID", "");
    let run = user.run(&["--enqueue"], &sample(MESSAGE));
    assert_eq!((run.code, run.warnings().len()), (0, 0), "{}", run.stdout);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place_and_without_its_value() {
    let mut user = User::new();
    user.set("NOTION_API_KEY", "ntn_hunter2\u{200b}")
        .set("ALERT_WEBHOOK_URL", "hunter2")
        .set("HTTPS_PROXY", "ftp://hunter2:hunter2@x")
        .set("OPENPHONE_API_BASE", "");
    let file =
        "\nNOTION_VERSION=hunter2\nOPENPHONE_API_BASE=http://hunter2@x/\nQUO_API_KEY='hunter2\n";
    write_private(&user.path(".env"), file);
    let toml = "timezone = \"hunter2\"\n[clients]\nignore = [\"hunter2\"]\n[quo]\ncontacts_ttl = \
        \"hunter2\"\n";
    fs::write(user.path("quotion.toml"), toml).expect("written");
    let places = [
        "NOTION_API_KEY holds",
        ".env line 2: NOTION_VERSION",
        ".env line 3: OPENPHONE_API_BASE",
        ".env line 4",
        "ALERT_WEBHOOK_URL",
        "HTTPS_PROXY",
        "quotion.toml line 1",
        "quotion.toml line 3",
        "quotion.toml line 5",
    ];
    check_hidden(&check_refused(&user, &[], &places));
    let output = user.output(&["backfill", "--since", "1d"], b"");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    for place in places {
        assert!(stderr.contains(place), "{place}: {stderr}");
    }
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn wrong_setting_is_told_where_there_is_no_document() {
    let user = User::new();
    fs::write(user.path("quotion.toml"), "oops").expect("written");
    let run = user.run::<&str>(&[], b"");
    assert_eq!((run.code, run.lines.len()), (78, 0));
    assert!(run.stderr.contains("quotion.toml line 1"), "{}", run.stderr);
}

#[test]
fn what_concerns_folder_store_or_signature_refuses_before_anything_is_read() {
    for (name, value) in [
        ("QUOTION_STATE", ":memory:"),
        ("QUOTION_STATE", "file:hunter2.db"),
        ("DATABASE_URL", "mysql://hunter2@x/d"),
        ("DATABASE_URL", "postgres://u:hunter2@[x/d"),
        ("DATABASE_URL", "postgres://u:hunter2@x/d?sslmode=hunter2"),
        ("QUOTION_REQUIRE_SIGNATURE", "hunter2"),
    ] {
        let mut user = User::new();
        let before = user.files();
        let run = check_refused(user.set(name, value), &["--enqueue"], &[]);
        check_hidden(&run);
        assert_eq!(user.files(), before, "{name}={value}");
        assert_eq!(run.line()["event_id"], Json::Null);
    }
}

#[test]
fn address_of_the_store_that_is_misspelt_becomes_no_file() {
    let misspelt = [
        "postgres:u:hunter2@127.0.0.1/d",
        "postgresql:/u:hunter2@127.0.0.1/d",
        "user=u password=hunter2 host=127.0.0.1",
        "u:hunter2@127.0.0.1:5432/d",
        "//u:hunter2@127.0.0.1/d",
    ];
    let plain = ["a/b/hunter2.db", "/tmp/hunter2.db", "hunter2"];
    let both = || misspelt.into_iter().chain(plain);
    let shared = ["DATABASE_URL", "SUPABASE_DB_URL"].map(|name| (name, both().collect()));
    let own = ("QUOTION_STATE", misspelt.to_vec());
    for (name, values) in shared.into_iter().chain([own]) {
        for value in values {
            let mut user = User::new();
            let before = user.files();
            for args in [&[][..], &["--enqueue"], &["replay"]] {
                check_hidden(&check_refused(user.set(name, value), args, &[name]));
                assert_eq!(user.files(), before, "{name}={value}");
            }
        }
    }
    for value in misspelt {
        let user = User::new();
        let before = user.files();
        check_hidden(&check_refused(&user, &["--state", value], &["--state"]));
        assert_eq!(user.files(), before, "{value}");
    }
    let user = User::new();
    write_private(&user.path(".env"), "A=1\nDATABASE_URL=u:hunter2@h/d\n");
    check_hidden(&check_refused(&user, &[], &[".env line 2: DATABASE_URL"]));
}

#[test]
fn what_is_wrong_is_not_called_missing() {
    for (name, value) in [
        ("NOTION_API_BASE", "hunter2"),
        ("NOTION_CLIENTS_DATABASE_ID", "hunter2"),
        ("NOTION_API_KEY", "hunter2\u{200b}"),
    ] {
        let mut user = User::new();
        let run = check_refused(user.set(name, value), &[], &[name]);
        assert!(!run.stdout.contains("not set"), "{}", run.stdout);
    }
    // What cannot be read is there.
    let mut user = User::new();
    user.set("NOTION_API_KEY", "");
    write_private(&user.path(".env"), "NOTION_API_TOKEN='x\n");
    let run = check_refused(&user, &[], &[".env line 1"]);
    assert!(!run.stdout.contains("not set"), "{}", run.stdout);
    // And what is missing is told beside it.
    let mut user = User::new();
    user.set("NOTION_API_BASE", "x").set("NOTION_API_KEY", "");
    check_refused(
        &user,
        &[],
        &["NOTION_API_BASE", "NOTION_API_KEY is not set"],
    );
}

#[test]
fn line_that_is_none_holds_the_event() {
    for line in ["main", "ntn_hunter2", "PN"] {
        let user = User::new();
        let good = fs::read(user.path("quotion.toml")).expect("settings");
        let toml = format!("[quo]\nnumbers = [\"{line}\"]\n");
        fs::write(user.path("quotion.toml"), toml).expect("written");
        check_hidden(&check_refused(&user, &[], &["line 2: [quo] numbers"]));
        fs::write(user.path("quotion.toml"), good).expect("written");
        let run = user.run(&["replay"], b"");
        assert_eq!((run.code, user.client_pages()), (0, 1), "{}", run.stdout);
    }
}

#[test]
fn key_in_the_place_of_a_name_is_never_shown() {
    for toml in [
        "[clients]\ncompany = \"ntn_hunter2\"\n",
        "[clients]\nphone = [\"secret_hunter2\"]\n",
        "[clients]\nlast_call = \"hunter2-4567890123456789012345678901234567890\"\n",
        "[quo]\ntags_field = \"ntn_hunter2\"\n",
    ] {
        let user = User::new();
        fs::write(user.path("quotion.toml"), toml).expect("written");
        check_hidden(&check_refused(&user, &[], &["line 2", "like a key"]));
    }
    let mut user = User::new();
    user.set("HTTPS_PROXY", "hunter2hunter2");
    check_hidden(&check_refused(&user, &[], &["HTTPS_PROXY"]));
}

#[test]
fn wrong_value_of_a_flag_is_not_shown() {
    for args in [
        &["--deadline", "hunter2"][..],
        &["--signature-tolerance", "hunter2"],
        &["--log-format", "hunter2"],
        &["--log-to=hunter2"],
        &["replay", "--limit", "hunter2"],
        &["--dry-run=hunter2"],
    ] {
        let run = User::new().run(args, &sample(MESSAGE));
        run.expect_error(64, "usage");
        assert!(
            run.stdout
                .contains(args[0].split('=').next().expect("a flag"))
                || args.len() > 2
        );
        check_hidden(&run);
    }
}

#[test]
fn no_source_lifts_the_demand_for_a_signature() {
    for (here, filed) in [
        ("0", "1"),
        ("false", "true"),
        (" ", "yes"),
        ("1", "0"),
        ("on", ""),
    ] {
        let mut user = User::new();
        user.set("QUOTION_REQUIRE_SIGNATURE", here);
        let text = format!("QUOTION_REQUIRE_SIGNATURE={filed}\n");
        write_private(&user.path(".env"), &text);
        user.sync(MESSAGE).expect_error(77, "signature");
    }
    // Nor does another line, however lines end.
    for lines in ["1\nX=", "1\nX=0", "0\nX=1\nX=off", "1\rX=0\r"] {
        let user = User::new();
        let lines = format!("A=1\rX={lines}\n").replace('X', "QUOTION_REQUIRE_SIGNATURE");
        write_private(&user.path(".env"), &lines);
        user.sync(MESSAGE).expect_error(77, "signature");
    }
    let user = User::new();
    write_private(&user.path(".env"), "QUOTION_REQUIRE_SIGNATURE=1\n");
    for (value, code, kind) in [(&b""[..], 77, "signature"), (b"1\xff", 78, "config")] {
        let mut command = user.command::<&str>(&[]);
        command.env("QUOTION_REQUIRE_SIGNATURE", OsStr::from_bytes(value));
        run(command, MESSAGE).expect_error(code, kind);
    }
}

#[test]
fn empty_variable_is_one_that_is_not_set() {
    let user = User::new();
    let text = format!("NOTION_API_KEY={NOTION_KEY}\nQUOTION_DIR=filed\n");
    write_private(&user.path(".env"), &text);
    let mut command = user.command::<&str>(&[]);
    command.env("NOTION_API_KEY", "").env("QUOTION_DIR", " ");
    command
        .env("QUO_API_KEY", QUO_KEY)
        .env("OPENPHONE_API_KEY", "");
    let run = run(command, MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.line()["client_name"], "Rosa Quint");
    assert!(user.path("filed/quotion.db").exists());
}

#[test]
fn dotenv_is_the_one_named_else_that_of_the_working_directory_else_the_folders() {
    let mut user = User::new();
    user.set("NOTION_API_KEY", "");
    fs::create_dir(user.path("kept")).expect("made");
    let good = format!("NOTION_API_KEY={NOTION_KEY}\n");
    write_private(&user.path("kept/.env"), &good);
    user.run(&["--dir", "kept"], &sample(MESSAGE))
        .expect(0, "success", "created");
    write_private(&user.path(".env"), "NOTION_API_KEY=wrong\n");
    user.run(&["--dir", "kept"], &sample(CALL))
        .expect_error(69, "unauthorized");
    let args = ["--dir", "kept", "--env-file", "kept/.env"];
    user.run(&args, &sample(CALL))
        .expect(0, "success", "updated");
    check_refused(&User::new(), &["--env-file", "none"], &["none"]);
}

#[test]
fn file_of_settings_that_others_can_write_is_refused() {
    for name in [".env", "quotion.toml"] {
        for mode in [0o620, 0o602, 0o666] {
            let user = User::new();
            fs::write(user.path(name), "").expect("written");
            set_mode(&user.path(name), mode);
            check_refused(&user, &[], &[name, "by others", "chmod"]);
        }
        let user = User::new();
        fs::write(user.path(name), "").expect("written");
        set_mode(&user.path(name), 0o644);
        let run = user.sync(MESSAGE);
        run.expect(0, "success", "created");
        let warned = run.stderr.contains("can be read by others");
        assert_eq!(warned, name == ".env", "{}", run.stderr);
    }
}

#[test]
fn file_of_settings_that_is_no_file_or_endless_is_refused_at_once() {
    for name in [".env", "quotion.toml"] {
        let user = User::new();
        let path = user.path(name);
        let clear = || {
            let _ = fs::remove_file(&path);
        };
        clear();
        symlink("/dev/zero", &path).expect("linked");
        check_refused(&user, &[], &[name, "regular"]);
        clear();
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo").success());
        check_refused(&user, &[], &[name, "regular"]);
        clear();
        write_private(&path, &"#".repeat(2 << 20));
        check_refused(&user, &[], &[name, "larger than"]);
        for aim in ["nothing", "nothing/below", "other.toml/below"] {
            clear();
            write_private(&user.path("other.toml"), "");
            symlink(aim, &path).expect("linked");
            check_refused(&user, &[], &[name, "link to nothing"]);
        }
        clear();
        write_private(&user.path("aim"), "");
        symlink("aim", &path).expect("linked");
        check_works(&user);
    }
}

#[test]
fn folder_that_others_can_change_is_refused() {
    for mode in [0o770, 0o707, 0o1777] {
        let user = User::new();
        fs::create_dir(user.path("open")).expect("made");
        set_mode(&user.path("open"), mode);
        let before = user.files();
        check_refused(&user, &["--dir", "open"], &["/open", "by others"]);
        assert_eq!(user.files(), before);
    }
}

#[test]
fn folder_that_is_none_is_refused() {
    let user = User::new();
    fs::write(user.path("file"), "").expect("written");
    check_refused(
        &user,
        &["--dir", "file", "--state", "q.db"],
        &["/file", "no folder"],
    );
}

#[test]
fn link_inside_the_folder_is_refused() {
    for name in [
        "quotion.db",
        "quotion.db-wal",
        "quotion.db-journal",
        "quotion.locks",
        "spool",
        "notion-token",
        "critical_errors.log",
    ] {
        let user = User::new();
        fs::create_dir(user.path(".tmp")).expect("made");
        fs::write(user.path("aim"), "kept").expect("written");
        symlink(user.path("aim"), user.path(".tmp").join(name)).expect("linked");
        check_refused(&user, &[], &[name, "is a link"]);
        assert_eq!(fs::read(user.path("aim")).expect("read"), b"kept");
    }
    // The folder itself may be one, and is resolved once.
    let user = User::new();
    fs::create_dir(user.path("real")).expect("made");
    symlink("real", user.path(".tmp")).expect("linked");
    check_works(&user);
    assert!(user.path("real/quotion.db").exists());
}

#[test]
fn run_by_root_goes_on_as_the_folders_owner() {
    for args in [
        &[][..],
        &["--dir", "kept"],
        &["--dir", "kept/deeper"],
        &["--state", "kept/q.db"],
    ] {
        let mut user = User::new();
        fs::create_dir(user.path("kept")).expect("made");
        if hand_over(user.home.path()).is_none() {
            return;
        }
        user.run(args, &sample(MESSAGE))
            .expect(0, "success", "created");
        user.set("NOTION_API_KEY", "wrong")
            .run(args, &sample(CALL))
            .expect_error(69, "unauthorized");
        let files = user.files();
        assert!(files.len() > 3);
        for (path, _) in files {
            let metadata = fs::metadata(user.home.path().join(&path)).expect("metadata");
            let owner = (metadata.uid(), metadata.gid());
            assert_eq!(owner, (SOMEBODY, SOMEBODY), "{}", path.display());
        }
    }
}

#[test]
fn missing_right_names_path_and_owner() {
    let user = User::new();
    let args = ["--dir", "kept"];
    user.run(&args, &sample(MESSAGE))
        .expect(0, "success", "created");
    if hand_over(user.home.path()).is_none() {
        return;
    }
    // What a run by root used to leave behind.
    chown(user.path("kept/quotion.db"), Some(0), Some(0)).expect("root");
    let run = user.run(&args, &sample(CALL));
    run.expect_error(74, "store");
    let message = run.line()["error"]["message"].to_string();
    for part in ["kept/quotion.db", "root", "65534"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn what_somebody_else_owns_is_refused() {
    let user = User::new();
    fs::create_dir(user.path("kept")).expect("made");
    set_mode(user.home.path(), 0o755);
    let Some(()) = hand_over(&user.path("quotion.toml")) else {
        return;
    };
    // Root believes no settings of others, but in their own folder.
    check_refused(&user, &[], &["quotion.toml", "belongs to"]);
    let mut command = user.command(&["--dir", "kept"]);
    command.uid(SOMEBODY);
    let run = run(command, MESSAGE);
    run.expect_error(78, "config");
    assert!(run.stdout.contains("belongs to root"), "{}", run.stdout);
}

/// A home of root's, with a `.env` and a folder of somebody else's; `None` where only root may make
/// it.
fn home_with_strange_settings(text: &str) -> Option<User> {
    let user = User::new();
    write_private(&user.path(".env"), text);
    fs::create_dir(user.path("theirs")).expect("made");
    set_mode(&user.path("theirs"), 0o700);
    hand_over(&user.path(".env"))?;
    hand_over(&user.path("theirs"))?;
    Some(user)
}

#[test]
fn dotenv_does_not_lend_trust_to_itself() {
    let Some(mut user) = home_with_strange_settings("QUOTION_DIR=theirs\n") else {
        return;
    };
    let told = [".env", "belongs to", "--dir"];
    check_refused(&user, &[], &told);
    check_refused(&user, &["--env-file", ".env"], &told);
    // Whoever runs it names the folder, and goes on as its owner.
    user.run(&["--dir", "theirs"], &sample(MESSAGE))
        .expect(0, "success", "created");
    user.set("QUOTION_DIR", "theirs");
    user.sync(CALL).expect(0, "success", "updated");
    let owner = |path: &str| fs::metadata(user.path(path)).expect("metadata").uid();
    assert_eq!(owner("theirs/quotion.db"), SOMEBODY);
}

#[test]
fn believed_dotenv_does_not_send_root_elsewhere() {
    let Some(user) = home_with_strange_settings("QUOTION_DIR=ours\n") else {
        return;
    };
    fs::create_dir(user.path(".tmp")).expect("made");
    hand_over(&user.path(".tmp")).expect("root");
    fs::create_dir(user.path("ours")).expect("made");
    check_refused(&user, &[], &[".env belongs to", "/ours", "--dir"]);
    assert!(!user.path("ours/quotion.db").exists());
    write_private(&user.path(".env"), "QUOTION_DIR=theirs\n");
    user.sync(MESSAGE).expect(0, "success", "created");
    assert!(user.path("theirs/quotion.db").exists());
}

#[test]
fn key_that_cannot_be_sent_is_named_by_its_variable() {
    for name in ["NOTION_API_KEY", "OPENPHONE_API_KEY"] {
        for junk in [
            "\u{200b}hunter2",
            "hunter2\u{200d}",
            "\u{201c}hunter2\u{201d}",
            "hunter2\nx",
            "hunter2\u{7f}x",
            "hunter2 x",
            "\u{feff}hunter2",
        ] {
            let mut user = User::new();
            check_hidden(&check_refused(user.set(name, junk), &[], &[name]));
        }
    }
    let mut user = User::new();
    check_works(user.set("NOTION_API_KEY", &format!(" {NOTION_KEY}\r\n")));
}

#[test]
fn base_works_with_and_without_its_version() {
    let mut user = User::new();
    let base = |base: String| base.trim_end_matches("/v1").to_owned();
    let quo = base(user.vendors.quo_base());
    let notion = base(user.vendors.notion_base()) + "/";
    user.set("OPENPHONE_API_BASE", &quo)
        .set("NOTION_API_BASE", &notion);
    let run = user.sync(MESSAGE);
    run.expect(0, "success", "created");
    assert_eq!(run.line()["client_name"], "Rosa Quint");
}

#[test]
fn proxy_is_taken_for_other_machines_only() {
    let proxy = "http://127.0.0.1:9";
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        let mut user = User::new();
        check_works(user.set("NO_PROXY", "").set(name, proxy));
    }
    // A machine that is not there: what is said shows who was asked.
    let told = |name: &str, method: &str| {
        let mut user = User::new();
        user.set("NO_PROXY", "").set(name, proxy);
        user.set("REQUEST_METHOD", method)
            .set("NOTION_API_BASE", "https://notion.invalid");
        let run = user.run(&["--deadline", "500ms"], &sample(MESSAGE));
        assert_eq!(run.code, 75, "{}", run.stdout);
        run.stderr.contains("refused")
    };
    assert!(told("HTTPS_PROXY", "") && told("HTTPS_PROXY", "POST"));
    assert!(!told("HTTP_PROXY", "") && !told("HTTP_PROXY", "POST"));
}

#[test]
fn several_phone_columns_are_accepted() {
    let user = User::new();
    let toml = "[clients]\nphone = [\"Phone\", \"Mobile\"]\n";
    fs::write(user.path("quotion.toml"), toml).expect("written");
    check_works(&user);
}
