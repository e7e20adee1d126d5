//! The timer recipes of `scripts/timers`, checked by cron's and systemd's own programs, and run as
//! those would run them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::harness::{QUOTION, User, sample};
use crate::packages;
use crate::receivers::write_settings;

const CRONTAB: &str = include_str!("../../scripts/timers/quotion.cron");
const SERVICE: &str = include_str!("../../scripts/timers/quotion-replay.service");
const TIMER: &str = include_str!("../../scripts/timers/quotion-replay.timer");
const SAMPLE: &str = "v2026-03-30.message.received";
const TEXT: &str = "Is my quote ready?";
/// Most by `systemd-analyze security`, where 10 is all. systemd 252 says 1.2, and what is left is
/// the network; others weigh a little differently.
const EXPOSURE: f64 = 1.5;

/// A crontab as cron reads it.
struct Crontab {
    variables: BTreeMap<String, String>,
    /// Five fields of time, and the command.
    jobs: Vec<(Vec<String>, String)>,
}

/// A user with something to replay, and a folder with `quotion` in it.
fn user() -> (User, PathBuf) {
    let user = User::new();
    write_settings(&user);
    let programs = user.path("bin");
    fs::create_dir(&programs).expect("a folder");
    symlink(QUOTION, programs.join("quotion")).expect("a link");
    assert_eq!(user.run(&["--enqueue"], &sample(SAMPLE)).code, 0);
    (user, programs)
}

fn read_crontab(text: &str) -> Crontab {
    let mut crontab = Crontab {
        variables: BTreeMap::new(),
        jobs: Vec::new(),
    };
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        if let Some((name, value)) = line
            .split_once('=')
            .filter(|(name, _)| !name.contains([' ', '*']))
        {
            crontab
                .variables
                .insert(name.to_owned(), value.trim_matches('"').to_owned());
            continue;
        }
        let mut fields = line.split_whitespace();
        let times = fields.by_ref().take(5).map(str::to_owned).collect();
        crontab
            .jobs
            .push((times, fields.collect::<Vec<_>>().join(" ")));
    }
    crontab
}

/// Starts a job as cron does: from the home directory, by /bin/sh, with next to no environment.
fn start_job(crontab: &Crontab, job: &str) -> Child {
    let mut command = Command::new(&crontab.variables["SHELL"]);
    command.arg("-c").arg(job).current_dir("/").env_clear();
    command
        .env("HOME", "/nonexistent")
        .env("LOGNAME", "quotion")
        .env("LANG", "C.UTF-8");
    command.envs(&crontab.variables);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh starts")
}

fn filled(text: &str, user: &User, programs: &Path) -> String {
    let home = user.home.path().to_str().expect("UTF-8");
    text.replace("/var/lib/quotion", home)
        .replace("/usr/local/bin", programs.to_str().expect("UTF-8"))
}

/// Runs a program of the system and gives its exit code, and all that it said.
fn run(command: &mut Command) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.env("LC_ALL", "C").output().expect("it starts");
    let said = [stdout, stderr].concat();
    (
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn crontab_accepts(text: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    // crontab reads it with the rights of its own group.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = folder.path().join("quotion.cron");
    fs::write(&path, text).expect("a file");
    run(Command::new("crontab").arg("-n").arg(path)).0 == 0
}

fn analyze(units: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("systemd-analyze");
    command.args(args);
    for (name, text) in units {
        let path = folder.path().join(name);
        fs::write(&path, text.replace("/usr/local/bin/quotion", QUOTION)).expect("a file");
        command.arg(path);
    }
    run(&mut command)
}

/// The values of a key of a unit file, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

#[test]
fn cron_accepts_the_crontab() {
    if !packages::present(&["cron"]) {
        return;
    }
    assert!(crontab_accepts(CRONTAB));
    for broken in [
        CRONTAB.trim_end(),
        &CRONTAB.replace("17 4", "61 4"),
        &format!("{CRONTAB}* * * quotion\n"),
    ] {
        assert!(!crontab_accepts(broken), "{broken}");
    }
}

#[test]
fn replay_is_due_every_minute_and_no_line_is_due_at_what_looks_like_it() {
    let crontab = read_crontab(CRONTAB);
    let replays = crontab
        .jobs
        .iter()
        .filter(|(_, command)| command.contains("quotion replay"));
    assert_eq!(
        replays
            .map(|(times, _)| times.join(" "))
            .collect::<Vec<_>>(),
        ["* * * * *"]
    );
    for (times, command) in &crontab.jobs {
        assert!(times.iter().all(|field| !field.contains('/')), "{times:?}");
        assert!(
            !command.replace("\\%", "").contains('%'),
            "cron ends the command there: {command}"
        );
        assert!(
            crontab.variables.values().all(|value| !value.contains('$')),
            "cron does not expand these"
        );
    }
}

#[test]
fn replay_line_of_the_crontab_finishes_what_is_queued_in_an_environment_as_bare_as_cron_s() {
    let (user, programs) = user();
    let crontab = read_crontab(&filled(CRONTAB, &user, &programs));
    let job = |n: usize| {
        let output = start_job(&crontab, &crontab.jobs[n].1)
            .wait_with_output()
            .expect("it ends");
        // What it says, cron would mail.
        assert_eq!(
            (
                output.status.code(),
                [output.stdout, output.stderr].concat()
            ),
            (Some(0), vec![])
        );
    };
    job(0);
    assert_eq!(
        (user.client_pages(), user.times_in_notion(TEXT)),
        (1, 1),
        "{}",
        user.notion()
    );
    let log = user.path("replay.log");
    let summary = fs::read_to_string(&log).expect("a log");
    let (time, told) = summary.split_once(" INFO ").expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{summary}");
    assert_eq!(told, "replay: 1 done, 0 failed; 0 in the inbox\n");
    assert_eq!(
        fs::metadata(&log).expect("a log").permissions().mode() & 0o777,
        0o600
    );
    job(1);
    assert_eq!(
        fs::read_to_string(user.path("replay.log.1")).expect("the old log"),
        summary
    );
    assert!(!log.exists());
    job(0);
    let summary = fs::read_to_string(&log).expect("a new log");
    assert!(
        summary.ends_with(" INFO replay: 0 done, 0 failed; 0 in the inbox\n"),
        "{summary}"
    );
}

#[test]
fn runs_that_overlap_do_everything_once() {
    let (user, programs) = user();
    let mut events = vec![TEXT.to_owned()];
    for n in 1..=5 {
        let text = format!("message {n} of five");
        let body = String::from_utf8(sample(SAMPLE))
            .expect("UTF-8")
            .replace("0000080\"", &format!("0000{n:03}\""));
        let body = body
            .replace("0000180\"", &format!("0000{n:03}\""))
            .replace(TEXT, &text);
        assert_eq!(
            user.run(&["--enqueue"], body.as_bytes()).line()["status"],
            "queued"
        );
        events.push(text);
    }
    user.vendors.set_latency(Duration::from_millis(40));
    let crontab = read_crontab(&filled(CRONTAB, &user, &programs));
    let jobs: Vec<Child> = (0..4)
        .map(|_| start_job(&crontab, &crontab.jobs[0].1))
        .collect();
    for job in jobs {
        assert_eq!(
            job.wait_with_output().expect("it ends").status.code(),
            Some(0)
        );
    }
    let log = fs::read_to_string(user.path("replay.log")).expect("a log");
    assert_eq!(log.lines().count(), 4, "{log}");
    for text in events {
        assert_eq!(user.times_in_notion(&text), 1, "{log}\n{}", user.notion());
    }
    assert_eq!(user.client_pages(), 1);
}

#[test]
fn systemd_accepts_the_units() {
    if !packages::present(&["systemd"]) {
        return;
    }
    let verify = |service: &str, timer: &str| {
        let units = [
            ("quotion-replay.service", service),
            ("quotion-replay.timer", timer),
        ];
        let (code, said) = analyze(&units, &["verify", "--man=no"]);
        // Other units of the machine are not the question.
        (
            code,
            said.lines()
                .filter(|line| line.contains("quotion"))
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(verify(SERVICE, TIMER), (0, vec![]));
    for (right, wrong) in [
        ("UMask=0077", "UMask=rw"),
        ("NoNewPrivileges=", "NoNewPrivilege="),
        ("oneshot", "onceshot"),
    ] {
        assert_ne!(
            verify(&SERVICE.replace(right, wrong), TIMER),
            (0, vec![]),
            "{wrong}"
        );
    }
    assert_ne!(
        verify(SERVICE, &TIMER.replace("*-*-*", "minutly")),
        (0, vec![])
    );
}

#[test]
fn unit_is_exposed_to_little_but_the_network() {
    if !packages::present(&["systemd"]) {
        return;
    }
    let exposure = |service: &str| {
        let (_, said) = analyze(
            &[("quotion-replay.service", service)],
            &["security", "--offline=true", "--no-pager"],
        );
        let level = said
            .rsplit_once(".service: ")
            .and_then(|(_, level)| level.split(' ').next()?.parse::<f64>().ok());
        level.unwrap_or_else(|| panic!("{said}"))
    };
    assert!(exposure(SERVICE) <= EXPOSURE, "{}", exposure(SERVICE));
    assert!(exposure("[Service]\nExecStart=/bin/true\n") > 9.0);
}

#[test]
fn timer_is_due_every_minute() {
    if !packages::present(&["systemd"]) {
        return;
    }
    let due = values(TIMER, "OnCalendar");
    let args = [
        "calendar",
        "--base-time=2026-11-21 09:19:53 UTC",
        "--iterations=3",
        due[0],
    ];
    let (code, said) = run(Command::new("systemd-analyze").args(args).env("TZ", "UTC"));
    assert_eq!((code, due.len()), (0, 1), "{said}");
    let times = said
        .lines()
        .filter(|line| line.contains("Next elapse:") || line.contains("Iter. #"));
    let times: Vec<&str> = times
        .filter_map(|line| line.split_once(": "))
        .map(|(_, time)| time)
        .collect();
    let want = [
        "Sat 2026-11-21 09:20:00 UTC",
        "Sat 2026-11-21 09:21:00 UTC",
        "Sat 2026-11-21 09:22:00 UTC",
    ];
    assert_eq!(times, want, "{said}");
}

/// System calls in the sets of systemd that `names` begins with: a name, or `@` and the name of a
/// set.
fn expand(sets: &BTreeMap<String, Vec<String>>, names: &[&str]) -> BTreeSet<String> {
    let of = |name: &&str| match sets.get(*name) {
        Some(members) => expand(
            sets,
            &members.iter().map(String::as_str).collect::<Vec<_>>(),
        ),
        None => BTreeSet::from([(*name).to_owned()]),
    };
    names.iter().flat_map(of).collect()
}

fn syscall_sets() -> BTreeMap<String, Vec<String>> {
    let (code, said) = run(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager"]));
    assert_eq!(code, 0, "{said}");
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut set = String::new();
    for line in said
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        if line.starts_with('@') {
            line.clone_into(&mut set);
        } else if line.starts_with(' ') {
            sets.entry(set.clone())
                .or_default()
                .push(line.trim().to_owned());
        }
    }
    sets
}

/// What the unit's filter forbids would end the program: so it is run with its system calls written
/// down.
#[test]
fn command_of_the_unit_works_with_the_system_calls_that_the_unit_allows() {
    if !packages::present(&["systemd", "strace"]) {
        return;
    }
    let (user, programs) = user();
    let service = filled(SERVICE, &user, &programs);
    let trace = user.path("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&trace);
    command
        .args(values(&service, "ExecStart")[0].split(' '))
        .current_dir(values(&service, "WorkingDirectory")[0]);
    let (code, said) = run(command.env_clear().env("PATH", "/usr/bin:/bin"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        (user.client_pages(), user.times_in_notion(TEXT)),
        (1, 1),
        "{}",
        user.notion()
    );

    let trace = fs::read_to_string(trace).expect("a trace");
    let call = |line: &str| {
        Some(
            line.split_whitespace()
                .nth(1)?
                .split_once('(')?
                .0
                .to_owned(),
        )
    };
    let calls: BTreeSet<String> = trace
        .lines()
        .filter_map(call)
        .filter(|name| name != "execve")
        .collect();
    assert!(
        calls.contains("connect") && (calls.contains("fsync") || calls.contains("fdatasync")),
        "{calls:?}"
    );
    let sets = syscall_sets();
    let mut allowed = BTreeSet::new();
    for filter in values(SERVICE, "SystemCallFilter") {
        let (taken, names) = filter
            .strip_prefix('~')
            .map_or((false, filter), |names| (true, names));
        let names = expand(&sets, &names.split(' ').collect::<Vec<_>>());
        allowed = if taken {
            &allowed - &names
        } else {
            &allowed | &names
        };
    }
    // Always allowed, whatever the filter says.
    allowed.extend(expand(&sets, &["@default"]));
    assert_eq!(&calls - &allowed, BTreeSet::new());
    for forbidden in [
        "ptrace",
        "mount",
        "setuid",
        "sched_setscheduler",
        "reboot",
        "kexec_load",
    ] {
        assert!(!allowed.contains(forbidden), "{forbidden}");
    }
}
