//! What we depend on: licences, sources and duplicates, from `cargo metadata`, without network.
//!
//! In place of cargo-deny, whose installation alone takes minutes in CI. Known vulnerabilities need
//! a list from the network and are not checked here; `scripts/check` says so.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value as Json;

/// Licences that may be in the program; `OR` takes any of them, `AND` needs all.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0", // the root certificates of Mozilla
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Packages that are there in several versions, because those who use them do not agree yet. A new
/// name here needs a look at `cargo tree -d` first.
const DUPLICATES: &[&str] = &[
    // rlibphonenumber's build-time compiler of number plans is behind
    "logos",
    "logos-codegen",
    "logos-derive",
    "thiserror",
    "thiserror-impl",
    // hash tables below rusqlite, toml and the ICU of idna
    "foldhash",
    "hashbrown",
    // ring is behind tempfile
    "getrandom",
    // the client of PostgreSQL is behind on two, and the certificates' parser on the third
    "base64",
    "const-oid",
    "fallible-iterator",
    // macros: most are not on 3 yet
    "syn",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package of the build for this machine, tests included, but not ourselves.
fn packages() -> Vec<Json> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--offline",
        "--filter-platform",
        host,
    ]);
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let all = metadata["packages"].as_array().expect("packages");
    let others: Vec<_> = all
        .iter()
        .filter(|package| package["name"] != "quotion")
        .cloned()
        .collect();
    assert!(
        others.len() > 50,
        "too few packages to be true: {}",
        others.len()
    );
    others
}

fn text<'a>(package: &'a Json, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Whether an SPDX expression can be met with [`LICENCES`]; `/` is an old way to write `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words) && words.next().is_none()
}

type Words<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn either(words: Words) -> bool {
    let mut met = both(words);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words);
    }
    met
}

fn both(words: Words) -> bool {
    let mut met = single(words);
    while words.next_if_eq(&"AND").is_some() {
        met &= single(words);
    }
    met
}

fn single(words: Words) -> bool {
    let Some(word) = words.next() else {
        return false;
    };
    if word == "(" {
        let met = either(words);
        return words.next() == Some(")") && met;
    }
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    LICENCES.contains(&word)
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let met = [
        "MIT",
        "GPL-3.0 OR MIT",
        "Unlicense/MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 AND ISC",
    ];
    let unmet = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT MIT",
        "(MIT",
    ];
    assert_eq!(met.map(is_allowed), [true; 5]);
    assert_eq!(unmet.map(is_allowed), [false; 6]);
}

#[test]
fn packages_come_from_one_place_and_have_licences_that_are_allowed() {
    let wrong = |package: &&Json| {
        text(package, "source") != CRATES_IO || !is_allowed(text(package, "license"))
    };
    let show = |package: &Json| {
        format!(
            "{} {} {}",
            package["name"], package["license"], package["source"]
        )
    };
    let found: Vec<_> = packages().iter().filter(wrong).map(show).collect();
    assert!(
        found.is_empty(),
        "licence or source not allowed:\n{}",
        found.join("\n")
    );
}

#[test]
fn packages_are_there_once_but_for_those_that_are_known() {
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for package in packages() {
        *versions
            .entry(text(&package, "name").to_owned())
            .or_default() += 1;
    }
    let found: BTreeSet<_> = versions
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        found,
        DUPLICATES.iter().copied().collect(),
        "packages in several versions, and the known ones"
    );
}

#[test]
fn oldest_rust_that_is_named_is_enough_for_every_package() {
    let numbers = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    let manifest = include_str!("../../Cargo.toml");
    let after = manifest
        .split("rust-version = \"")
        .nth(1)
        .expect("it is named");
    let ours = after.split('"').next().expect("a version");
    // Ours alone is held to it by clippy (incompatible_msrv), and the whole by scripts/release.
    let packages = packages();
    let newer = packages
        .iter()
        .filter(|package| numbers(text(package, "rust_version")) > numbers(ours));
    let newer: Vec<_> = newer
        .map(|package| format!("{} {}", package["name"], package["rust_version"]))
        .collect();
    assert!(newer.is_empty(), "these need more than {ours}: {newer:?}");
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("the Rust toolchain ({ours} or newer")));
}
