//! The store's own troubles: killed at any of its writes, a full disk, no permission, locked,
//! damaged, too new.
//!
//! strace kills the program, or fails its system calls, at the n-th write to the store (nothing
//! else writes with pwrite64) and at the n-th commit (fsync).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::harness::{QUOTION, Run, User, feed, sample};
use crate::standin::World;
use crate::support::{
    canonical, copy_folder, event_of, every, half_a_minute_passes, has_postgres, in_parallel,
    postgres, sqlite, state, store, user,
};

const KNOWN: &str = "v2026-03-30.message.received";
const CALL: &str = "legacy-v4.call.completed.answered";
const SETTINGS: &str = "[notion]\nsettle = \"1ms\"\n";

/// False, with a word on it, where strace is missing or may not trace; on CI it must be there.
fn has_strace() -> bool {
    let works = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        println!("SKIPPED: strace is missing or may not trace; install the Debian package strace");
        assert!(
            std::env::var("CI").is_err(),
            "CI must have a working strace"
        );
    }
    works
}

/// Runs the program with faults injected into its system calls.
fn under_strace(user: &User, inject: &str, args: &[&str], input: &[u8]) -> Run {
    let inner = user.command(args);
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync,pwrite64,sendto,writev,recvfrom",
        "-e",
    ]);
    command
        .arg(format!("inject={inject}"))
        .arg(inner.get_program())
        .args(inner.get_args());
    command.current_dir(user.home.path()).env_clear();
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Run::of(feed(command.spawn().expect("strace"), input))
}

/// What is synced before the disturbed run, and what that run syncs.
struct Case {
    name: &'static str,
    before: &'static [&'static str],
    sample: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        name: "new client, call",
        before: &[],
        sample: CALL,
    },
    Case {
        name: "new client, message",
        before: &[],
        sample: KNOWN,
    },
    Case {
        name: "new client, artifact",
        before: &[],
        sample: "legacy-v4.call.transcript.completed",
    },
    Case {
        name: "new clients, group",
        before: &[],
        sample: "legacy-v3.message.received.group",
    },
    Case {
        name: "known client, call",
        before: &[KNOWN],
        sample: CALL,
    },
];

struct Prepared {
    case: &'static Case,
    world: World,
    home: User,
    want: String,
}

impl Prepared {
    /// The first case begins without a store, so that its making is disturbed too.
    fn new(case: &'static Case) -> Self {
        let home = user(&sqlite, SETTINGS);
        if case.name != CASES[0].name {
            assert_eq!(home.run(&["replay"], b"").code, 0);
        }
        for sample in case.before {
            assert_eq!(home.sync(sample).code, 0);
        }
        let world = home.vendors.world().clone();
        let prepared = Self {
            case,
            world,
            home,
            want: String::new(),
        };
        let undisturbed = prepared.again();
        assert_eq!(undisturbed.sync(case.sample).code, 0);
        Self {
            want: canonical(&undisturbed),
            ..prepared
        }
    }

    fn again(&self) -> User {
        let user = user(&sqlite, SETTINGS);
        let base = user.vendors.base();
        *user.vendors.world() = World {
            base,
            ..self.world.clone()
        };
        if self.home.path(".tmp").exists() {
            copy_folder(&self.home.path(".tmp"), &user.path(".tmp"));
        }
        user
    }
}

/// Kills at the n-th of those system calls, for every `step`-th n until the run is too short for
/// it.
fn kill_everywhere(prepared: &Prepared, call: &str, (first, step): (usize, usize)) -> usize {
    for (tried, nth) in (first..).step_by(step).enumerate() {
        let user = prepared.again();
        let killed = under_strace(
            &user,
            &format!("{call}:signal=KILL:when={nth}"),
            &[],
            &sample(prepared.case.sample),
        );
        let what = format!("{}, killed at {call} {nth}", prepared.case.name);
        if killed.code == 0 {
            return tried;
        }
        assert_eq!(
            killed.code, -1,
            "{what}: {}\n{}",
            killed.stdout, killed.stderr
        );
        let run = user.sync(prepared.case.sample);
        assert_eq!(run.code, 0, "{what}: {}\n{}", run.stdout, run.stderr);
        assert_eq!(canonical(&user), prepared.want, "{what}");
        assert_eq!(
            state(&user, &event_of(prepared.case.sample)).as_deref(),
            Some("done"),
            "{what}"
        );
    }
    unreachable!("the numbers do not end")
}

#[test]
fn killed_at_any_write_to_the_store_and_sent_again_the_same_pages_stand_there() {
    if !has_strace() {
        return;
    }
    let tried = std::sync::atomic::AtomicUsize::new(0);
    in_parallel(&[0, 1, 2, 3, 4], |index| {
        let prepared = Prepared::new(&CASES[*index]);
        let commits = kill_everywhere(&prepared, "fsync,fdatasync", (1, 1));
        // Not every commit waits for the disk, so kill at writes too: a sample, another one for
        // each case; or all.
        let step = every(23);
        let writes = kill_everywhere(&prepared, "pwrite64", (1 + index % step, step));
        println!(
            "{}: killed at {commits} commits, {writes} writes",
            CASES[*index].name
        );
        tried.fetch_add(commits + writes, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(tried.into_inner() > 30);
}

/// The same with PostgreSQL: each statement is a commit, so the program is killed before one is
/// sent (which has then not happened) and before its answer is taken (which then has); the vendors'
/// requests go over the same system calls.
fn kill_everywhere_on_postgres(
    case: &'static Case,
    call: &str,
    (first, step): (usize, usize),
) -> usize {
    let prepared = || {
        let user = user(&postgres, SETTINGS);
        for sample in case.before {
            assert_eq!(user.sync(sample).code, 0);
        }
        user
    };
    let undisturbed = prepared();
    assert_eq!(undisturbed.sync(case.sample).code, 0);
    for (tried, nth) in (first..).step_by(step).enumerate() {
        let user = prepared();
        let killed = under_strace(
            &user,
            &format!("{call}:signal=KILL:when={nth}"),
            &[],
            &sample(case.sample),
        );
        let what = format!("{}, killed at {call} {nth}", case.name);
        if killed.code == 0 {
            return tried;
        }
        assert_eq!(
            killed.code, -1,
            "{what}: {}\n{}",
            killed.stdout, killed.stderr
        );
        half_a_minute_passes(&user);
        let run = user.sync(case.sample);
        assert_eq!(run.code, 0, "{what}: {}\n{}", run.stdout, run.stderr);
        assert_eq!(canonical(&user), canonical(&undisturbed), "{what}");
        assert_eq!(
            user.sync(case.sample).line()["reason"],
            "duplicate",
            "{what}"
        );
    }
    unreachable!("the numbers do not end")
}

#[test]
fn killed_at_any_statement_to_postgres_and_sent_again_the_same_pages_stand_there() {
    if !(has_postgres() && has_strace()) {
        return;
    }
    let tried = std::sync::atomic::AtomicUsize::new(0);
    in_parallel(&[0, 1, 2, 3, 4], |index| {
        // A sample, another one for each case; or all.
        let step = every(19);
        let step = (1 + index % step, step);
        let sent = kill_everywhere_on_postgres(&CASES[*index], "sendto,writev", step);
        let taken = kill_everywhere_on_postgres(&CASES[*index], "recvfrom", step);
        println!(
            "{}: killed before {sent} statements or requests, {taken} answers",
            CASES[*index].name
        );
        tried.fetch_add(sent + taken, std::sync::atomic::Ordering::SeqCst);
    });
    assert!(tried.into_inner() > 20);
}

#[test]
fn full_disk_is_store_trouble_and_running_again_mends_it() {
    if !has_strace() {
        return;
    }
    in_parallel(&[0, 1, 4], |index| {
        let prepared = Prepared::new(&CASES[*index]);
        for nth in (1..).step_by(every(17)) {
            let user = prepared.again();
            let input = sample(prepared.case.sample);
            let full = under_strace(
                &user,
                &format!("pwrite64:error=ENOSPC:when={nth}+"),
                &[],
                &input,
            );
            if full.code == 0 {
                assert!(
                    nth > 20,
                    "it was full from write {nth} on, and all went well"
                );
                break;
            }
            full.expect_error(74, "store");
            let again = user.sync(prepared.case.sample);
            assert_eq!(again.code, 0, "{nth}: {}\n{}", again.stdout, again.stderr);
            assert_eq!(
                canonical(&user),
                prepared.want,
                "{}, full from write {nth} on",
                prepared.case.name
            );
        }
    });
}

/// Enqueues with system calls that fail or kill; whatever it answers must be true.
fn enqueue_everywhere(inject: &dyn Fn(usize) -> String, has_store: bool) {
    let id = event_of(KNOWN);
    let step = every(if has_store { 3 } else { 8 });
    for nth in (1..).step_by(step) {
        let user = user(&sqlite, SETTINGS);
        if has_store {
            assert_eq!(user.run(&["replay"], b"").code, 0);
        }
        let run = under_strace(&user, &inject(nth), &["--enqueue"], &sample(KNOWN));
        let what = format!("{}: {}\n{}", inject(nth), run.stdout, run.stderr);
        let queued = run
            .lines
            .first()
            .is_some_and(|line| line["status"] == "queued");
        if queued {
            assert_eq!(state(&user, &id).as_deref(), Some("queued"), "{what}");
        }
        match run.code {
            0 => return assert!(queued, "{what}"),
            // Killed while the store is closed, the answer may be out already.
            -1 => {}
            _ => drop(run.expect_error(74, "store")),
        }
        user.run(&["--enqueue"], &sample(KNOWN))
            .expect(0, "queued", "");
        assert_eq!(state(&user, &id).as_deref(), Some("queued"), "{what}");
    }
}

#[test]
fn enqueue_never_answers_queued_before_the_row_is_durable() {
    if !has_strace() {
        return;
    }
    let errors = ["error=ENOSPC", "error=EIO", "signal=KILL"];
    in_parallel(&errors, |error| {
        let plus = if error.starts_with("error") { "+" } else { "" };
        enqueue_everywhere(&|nth| format!("pwrite64:{error}:when={nth}{plus}"), true);
        enqueue_everywhere(&|nth| format!("pwrite64:{error}:when={nth}{plus}"), false);
        enqueue_everywhere(
            &|nth| format!("fsync,fdatasync:{error}:when={nth}{plus}"),
            true,
        );
    });
}

/// The command as somebody who may not write everywhere, as root may.
fn unprivileged(user: &User, args: &[&str]) -> Option<Command> {
    let program = user.path("quotion");
    let id = Command::new("id").arg("-u").output().expect("id").stdout;
    let inner = user.command(args);
    let mut command = if id == b"0\n" {
        if !Path::new("/usr/bin/setpriv").exists() {
            println!(
                "SKIPPED: root may write everywhere, and setpriv (Debian package util-linux) is \
                    missing"
            );
            return None;
        }
        // By a process of its own: while this one writes it, a child of another test's would keep
        // it from being run.
        assert!(
            Command::new("cp")
                .arg(QUOTION)
                .arg(&program)
                .status()
                .expect("cp")
                .success()
        );
        let mut command = Command::new("/usr/bin/setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(QUOTION)
    };
    command
        .args(inner.get_args())
        .current_dir(user.home.path())
        .env_clear();
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some(command)
}

fn modes(user: &User, modes: &[(&str, u32)]) {
    for (name, mode) in modes {
        std::fs::set_permissions(user.path(name), Permissions::from_mode(*mode)).expect("chmod");
    }
}

#[test]
fn store_that_may_not_be_written_to_is_told_so() {
    // The folder is that user's, or it would be refused for that.
    let give = |user: &User, name: &str, owner: u32| {
        std::os::unix::fs::chown(user.path(name), Some(owner), None).is_ok()
    };
    for (name, file, folder) in [("nothing", 0o444, 0o555), ("the file only", 0o600, 0o555)] {
        let user = user(&sqlite, SETTINGS);
        assert_eq!(user.run(&["replay"], b"").code, 0);
        modes(
            &user,
            &[("", 0o755), (".tmp/quotion.db", file), (".tmp", folder)],
        );
        let Some(mut command) = unprivileged(&user, &[]) else {
            return;
        };
        let _ = give(&user, ".tmp", 65_534)
            && (file == 0o444 || give(&user, ".tmp/quotion.db", 65_534));
        let run = Run::of(feed(command.spawn().expect("it starts"), &sample(KNOWN)));
        assert_eq!(
            (run.code, &run.line()["error"]["kind"]),
            (74, &"store".into()),
            "{name}: {}",
            run.stdout
        );
        let mut command = unprivileged(&user, &["--enqueue"]).expect("as before");
        Run::of(feed(command.spawn().expect("it starts"), &sample(KNOWN)))
            .expect_error(74, "store");
        assert_eq!(user.vendors.requests().len(), 0, "nothing was asked for");
        let _ = give(&user, ".tmp", 0) && give(&user, ".tmp/quotion.db", 0);
        modes(&user, &[(".tmp", 0o700), (".tmp/quotion.db", 0o600)]);
        user.sync(KNOWN).expect(0, "success", "created");
    }
}

#[test]
fn folder_that_may_not_be_made_is_told_so() {
    let user = user(&sqlite, SETTINGS);
    modes(&user, &[("", 0o555)]);
    // The copy of the program is put there by root, who may.
    let Some(mut command) = unprivileged(&user, &["--enqueue"]) else {
        return;
    };
    let run = Run::of(feed(command.spawn().expect("it starts"), &sample(KNOWN)));
    run.expect_error(74, "store");
    modes(&user, &[("", 0o755)]);
}

#[test]
fn store_locked_for_long_is_not_now_and_nothing_is_lost() {
    let user = user(&sqlite, SETTINGS);
    assert_eq!(user.run(&["replay"], b"").code, 0);
    let holder = store(&user);
    holder.execute_batch("BEGIN EXCLUSIVE").expect("lock");
    let began = Instant::now();
    let runs = crate::support::at_once(
        &user,
        &[(&[], sample(KNOWN)), (&["--enqueue"], sample(CALL))],
    );
    for run in runs {
        run.expect_error(75, "store");
    }
    assert!(
        began.elapsed() > Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    holder.execute_batch("ROLLBACK").expect("unlock");
    assert!(crate::support::inbox(&user).is_empty());
    user.sync(KNOWN).expect(0, "success", "created");
}

#[test]
fn store_locked_for_a_moment_is_waited_for() {
    let user = user(&sqlite, SETTINGS);
    assert_eq!(user.run(&["replay"], b"").code, 0);
    let holder = store(&user);
    holder.execute_batch("BEGIN EXCLUSIVE").expect("lock");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| user.sync(KNOWN));
        std::thread::sleep(Duration::from_secs(1));
        holder.execute_batch("ROLLBACK").expect("unlock");
        run.join().expect("it ends").expect(0, "success", "created");
    });
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
fn damaged_store_is_told_so_wherever_the_damage_is() {
    const PAGE: usize = 8192;
    let home = user(&sqlite, SETTINGS);
    for sample in [KNOWN, CALL] {
        assert_eq!(home.sync(sample).code, 0);
    }
    let whole = std::fs::read(home.path(".tmp/quotion.db")).expect("the store");
    let world = home.vendors.world().clone();
    let damage = |from: usize, to: usize, fill: u8| {
        let mut bytes = whole.clone();
        let to = to.min(bytes.len());
        bytes[from..to].fill(fill);
        bytes
    };
    let mut cases = vec![
        ("header", damage(0, 100, 0x41), true),
        (
            "all but the first page",
            damage(PAGE, usize::MAX, 0xaa),
            true,
        ),
        ("schema", damage(100, PAGE, 0xaa), true),
        ("cut in half", whole[..whole.len() / 2].to_vec(), true),
        ("text", b"this is not a database\n".repeat(100), true),
    ];
    for page in 1..whole.len() / PAGE {
        cases.push((
            "one page",
            damage(page * PAGE, (page + 1) * PAGE, 0xaa),
            false,
        ));
    }
    in_parallel(&cases, |(name, bytes, surely)| {
        let user = user(&sqlite, SETTINGS);
        let base = user.vendors.base();
        *user.vendors.world() = World {
            base,
            ..world.clone()
        };
        std::fs::create_dir(user.path(".tmp")).expect("folder");
        std::fs::write(user.path(".tmp/quotion.db"), bytes).expect("damage");
        for args in [&["--enqueue"][..], &[], &["replay"]] {
            let run = user.run(args, &sample("legacy-v4.message.received"));
            assert!(
                [0, 74].contains(&run.code),
                "{name} {args:?}: {}",
                run.stdout
            );
            assert!(
                !*surely || run.code == 74,
                "{name} {args:?}: {}",
                run.stdout
            );
            for line in run.lines.iter().filter(|line| line["status"] == "error") {
                let error = &line["error"];
                assert_eq!(error["kind"], "store", "{name} {args:?}: {line}");
                assert!(
                    error["message"]
                        .as_str()
                        .is_some_and(|text| text.starts_with("store: ")),
                    "{line}"
                );
                assert!(
                    error["hint"]
                        .as_str()
                        .is_some_and(|hint| hint.contains("moved away")),
                    "{line}"
                );
            }
        }
        assert!(
            user.times_in_notion(" · AC00000000000000000000000000000150\n") < 2,
            "{}",
            user.notion()
        );
        // As the hint says: moved away, a new one is made.
        std::fs::rename(user.path(".tmp/quotion.db"), user.path("damaged.db")).expect("move");
        assert_eq!(user.sync("v2026-03-30.message.received.no-contact").code, 0);
    });
}

#[test]
fn store_of_a_newer_program_is_left_alone() {
    let user = user(&sqlite, SETTINGS);
    user.sync(KNOWN).expect(0, "success", "created");
    store(&user)
        .pragma_update(None, "user_version", 99)
        .expect("pragma");
    let before = std::fs::read(user.path(".tmp/quotion.db")).expect("the store");
    user.sync(CALL).expect_error(74, "store");
    user.run(&["--enqueue"], &sample(CALL))
        .expect_error(74, "store");
    user.run(&["replay"], b"").expect_error(74, "store");
    assert_eq!(
        std::fs::read(user.path(".tmp/quotion.db")).expect("the store"),
        before
    );
}

#[test]
fn store_that_is_a_folder_is_told_so_and_a_missing_folder_is_made() {
    let user = user(&sqlite, SETTINGS);
    std::fs::create_dir(user.path("there")).expect("folder");
    user.run(&["--state", "there"], &sample(KNOWN))
        .expect_error(74, "store");
    std::fs::write(user.path("file"), "").expect("file");
    user.run(&["--state", "file/q.db"], &sample(KNOWN))
        .expect_error(74, "store");
    user.run(&["--state", "a/b/c/q.db"], &sample(KNOWN))
        .expect(0, "success", "created");
    user.run(&["--dir", "d/e"], &sample(CALL))
        .expect(0, "success", "updated");
    for made in ["a/b/c/q.db", "d/e/quotion.db"] {
        let count = "SELECT count(*) FROM inbox WHERE state = 'done'";
        let done: i64 = Connection::open(user.path(made))
            .expect("store")
            .query_row(count, [], |row| row.get(0))
            .expect("count");
        assert_eq!(done, 1);
    }
}

#[test]
fn store_that_is_locked_or_silent_is_waited_for_within_the_deadline() {
    let user = User::new();
    user.run(&["--enqueue"], &sample("legacy-v4.message.received"));
    let path = user.path(".tmp/quotion.db");
    let holder = Connection::open(&path).expect("a store");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("it is free");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let mut remote = User::new();
    remote.set(
        "DATABASE_URL",
        &format!("postgres://u:p@127.0.0.1:{port}/db"),
    );
    for user in [&user, &remote] {
        for args in [
            &["--deadline", "1s"][..],
            &["--enqueue", "--deadline", "1s"],
        ] {
            let began = Instant::now();
            let run = user.run(args, &sample("legacy-v4.message.delivered"));
            // Where nobody can be reached, a file takes it.
            if std::ptr::eq(user, &raw const remote) {
                assert_eq!(
                    (run.code, run.warnings()),
                    (0, vec!["spooled"]),
                    "{}",
                    run.stdout
                );
            } else {
                run.expect_error(75, "store");
            }
            let took = began.elapsed();
            assert!(took < Duration::from_secs(4), "{args:?}: {took:?}");
        }
        let mut child = user.command::<&str>(&[]).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, &sample("legacy-v4.message.delivered"))
            .expect("written");
        drop(stdin);
        std::thread::sleep(Duration::from_millis(500));
        let pid = child.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(told.expect("kill").success());
        let began = Instant::now();
        let done = Run::of(child.wait_with_output().expect("it ends"));
        assert!([0, 75].contains(&done.code), "{}", done.stdout);
        assert_eq!(done.lines.len(), 1, "{}", done.stdout);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }
}
