//! Debian's programs that some tests run: installed when that is possible, else the test says
//! loudly that it did not run.

use std::io::Write;
use std::process::Command;
use std::sync::Mutex;

/// `scripts/packages` runs once at a time; apt would wait anyway.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// True if the packages are there, now. False: the test should end, which is a failure where
/// `CI=true`.
#[track_caller]
pub fn present(names: &[&str]) -> bool {
    let guard = ONE_AT_A_TIME.lock();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/packages");
    let output = Command::new(script)
        .args(names)
        .output()
        .expect("scripts/packages runs");
    drop(guard);
    if output.status.success() {
        return true;
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{names:?} must be there where CI=true: {why}"
    );
    let here = std::panic::Location::caller();
    // Past the test runner, which would keep it to itself.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED, NOT TESTED ({}:{}): {}",
        here.file(),
        here.line(),
        why.trim()
    );
    false
}
