//! The repository checks itself: floors, homes of libraries, sizes, and a README that leaves
//! nothing out.
//!
//! Reads the files as text, so it needs neither git nor the network. Where it fails, mend the code
//! or the README; the tables here change only together with the code map in `src/lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quotion::domain::outcome::{AlarmKind, WarningCode};

use crate::harness::{User, fixtures, sample};
use crate::strict::json_of;

/// The floors, lowest first: a module uses modules of lower floors and its own parts, and never one
/// beside it.
const FLOORS: &[&[&str]] = &[
    &["bounded", "secret", "surrogate", "text", "time"],
    &["domain", "json_line"],
    &["bug", "documents", "files", "http", "signature"],
    &["critical", "notion", "quo", "store"],
    &["services"],
    &["backfill", "sync"],
    &["cli", "exit", "inbox"],
    &["config", "logs", "report"],
    &["app"],
    &["lib", "main"],
];

/// Uses that break the floors and are known: `(file, module used)`, each with the reason and what
/// will end it.
const KNOWN_BREACHES: &[(&str, &str)] = &[];

/// Words that belong to one place: a library behind its door, or an act that only one part may do.
const HOMES: &[(&str, &[&str])] = &[
    ("clap::", &["cli.rs", "cli/", "main.rs"]),
    ("env::", &["config/environment.rs", "main.rs"]),
    ("elapsed()", &["time.rs"]),
    ("ExitCode", &["main.rs"]),
    ("hmac::", &["signature.rs", "signature/"]),
    ("indicatif::", &["app/progress.rs"]),
    ("Instant::now", &["time.rs", "time/"]),
    ("io::stdin", &["main.rs"]),
    ("io::stdout", &["main.rs"]),
    ("RandomState", &["time.rs"]),
    // The input is read in a thread of its own, and a read of it cannot be simulated.
    (
        "recv_timeout",
        &["app/input.rs", "app/stream.rs", "time.rs"],
    ),
    ("rlibphonenumber::", &["domain/phone.rs"]),
    ("rusqlite::", &["store/"]),
    ("signal_hook::", &["main.rs"]),
    ("SystemTime", &[]),
    ("thread::scope", &["time.rs"]),
    ("thread::sleep", &["time.rs"]),
    (
        "thread::spawn",
        &["app/input.rs", "app/stream.rs", "time.rs", "time/"],
    ),
    ("Timestamp::now", &["time.rs"]),
    ("toml::", &["config/file.rs"]),
    ("ureq::", &["http/wire.rs"]),
];

/// What pure parts must not name: no I/O, no clock, no vendor, no store.
const PURE: &[&str] = &[
    "domain.rs",
    "domain/",
    "sync/facts.rs",
    "sync/people.rs",
    "sync/plan.rs",
    "sync/plan/",
];
const IMPURE: &[&str] = &[
    "fs::", "io::", "net::", "thread::", "serde", "Instant", "http::", "notion::", "quo::",
];

/// Longest file, in lines without tests.
const LONGEST: usize = 500;

/// What may lie at the top, besides dotfiles and what `.gitignore` names.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "fixtures",
    "quotion.toml",
    "scripts",
    "src",
    "tests",
];

/// A source file without its tests and comments.
struct Source {
    /// Path below `src`.
    path: String,
    code: String,
    text: String,
}

impl Source {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a source file is UTF-8");
        let path = file
            .strip_prefix(root().join("src"))
            .expect("below src")
            .to_string_lossy()
            .into_owned();
        let lines = without_tests(&text)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.flat_map(|line| [line, "\n"]).collect();
        Self { path, code, text }
    }

    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        self.path
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
    }

    /// Top-level modules that the file names.
    fn used(&self) -> BTreeSet<&str> {
        let after = |word: &'static str| {
            self.code
                .match_indices(word)
                .map(move |(at, _)| &self.code[at + word.len()..])
        };
        let library = after("quotion::").filter(|_| self.path == "main.rs");
        after("crate::")
            .chain(library)
            .flat_map(first_names)
            .collect()
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path == *place || (place.ends_with('/') && self.path.starts_with(place))
        })
    }
}

/// The first names of a path or of a list of paths: `a::b` gives `a`, `{a::{b, c}, d}` gives `a`
/// and `d`.
fn first_names(path: &str) -> Vec<&str> {
    let Some(list) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut depth = 0;
    let mut names = vec![name(list.trim_start())];
    for (at, sign) in list.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(list[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn name(path: &str) -> &str {
    &path[..path
        .find(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .unwrap_or(path.len())]
}

fn without_tests(text: &str) -> &str {
    &text[..text
        .find("\n#[cfg(test)]\nmod tests {")
        .map_or(text.len(), |at| at + 1)]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|err| panic!("{}: {err}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let all = files(&root().join("src"));
    all.iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| Source::read(path))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

#[track_caller]
fn expect_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn floor(module: &str) -> usize {
    let found = FLOORS.iter().position(|floor| floor.contains(&module));
    found.unwrap_or_else(|| {
        panic!("module {module} stands on no floor: put it into FLOORS and into src/lib.rs")
    })
}

#[test]
fn files_use_only_floors_below_their_own() {
    let mut wrong = Vec::new();
    let mut breaches = BTreeSet::new();
    for source in sources() {
        let own = source.module();
        for used in source
            .used()
            .into_iter()
            .filter(|used| *used != own && floor(used) >= floor(own))
        {
            let breach = KNOWN_BREACHES
                .iter()
                .find(|known| **known == (source.path.as_str(), used));
            match breach {
                Some(known) => drop(breaches.insert(known)),
                None => wrong.push(format!(
                    "src/{} (floor {}) uses {used} ({})",
                    source.path,
                    floor(own),
                    floor(used)
                )),
            }
        }
    }
    expect_none("upward or sideways use of a module", &wrong);
    assert_eq!(
        breaches.len(),
        KNOWN_BREACHES.len(),
        "a known breach is mended: take it off the list"
    );
}

#[test]
fn no_path_reaches_another_module_through_super() {
    let climbs = |source: &Source| {
        let depth = source.path.trim_end_matches(".rs").split('/').count();
        source.code.contains(&"super::".repeat(depth))
    };
    let found: Vec<_> = sources()
        .iter()
        .filter(|s| !s.is_test() && climbs(s))
        .map(|s| s.path.clone())
        .collect();
    expect_none(
        "`super::` up to the crate's root hides a use from the floor table; write `crate::`",
        &found,
    );
}

#[test]
fn libraries_and_acts_stay_in_their_homes() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (word, homes) in HOMES.iter().filter(|(_, homes)| !source.is_in(homes)) {
            let is_word = |at: usize| {
                !source.code[..at]
                    .ends_with(|before: char| before.is_alphanumeric() || before == '_')
            };
            if source.code.match_indices(word).any(|(at, _)| is_word(at)) {
                wrong.push(format!(
                    "src/{} names {word}, which belongs to {}",
                    source.path,
                    homes.join(", ")
                ));
            }
        }
    }
    expect_none("out of place", &wrong);
}

#[test]
fn pure_parts_name_nothing_that_does_io() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(PURE)) {
        let words = IMPURE.iter().filter(|word| source.code.contains(**word));
        wrong.extend(words.map(|word| format!("src/{} names {word}", source.path)));
    }
    expect_none("not pure", &wrong);
}

/// Names that mean the same in every module: its errors, and what a vendor sends.
const EVERYWHERE: &[&str] = &["Error", "Result", "Wire"];

#[test]
fn one_type_one_name() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for line in source.code.lines() {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let line = line.strip_prefix("pub(super) ").unwrap_or(line);
            let named = ["struct ", "enum ", "type ", "trait "]
                .iter()
                .find_map(|word| line.strip_prefix(word));
            if let Some(rest) = named {
                let name = rest.split(|c: char| !c.is_alphanumeric()).next();
                let name = name.unwrap_or_default().to_owned();
                homes.entry(name).or_default().push(source.path.clone());
            }
        }
    }
    assert!(homes.len() > 100, "the types are found");
    let twice: Vec<_> = homes
        .iter()
        .filter(|(name, homes)| homes.len() > 1 && !EVERYWHERE.contains(&name.as_str()))
        .collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn every_source_file_says_what_it_is_and_stays_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = without_tests(&source.text).lines().count();
        if lines > LONGEST && !source.is_test() {
            wrong.push(format!(
                "src/{}: {lines} lines without tests, {LONGEST} are allowed",
                source.path
            ));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("src/{} does not begin with //!", source.path));
        }
        if source.code.contains(".unwrap()") && !source.is_test() {
            wrong.push(format!("src/{} unwraps", source.path));
        }
    }
    expect_none("source files", &wrong);
}

#[test]
fn code_map_names_every_module() {
    let map = read("src/lib.rs");
    let found = sources()
        .iter()
        .map(|source| source.module().to_owned())
        .collect::<BTreeSet<_>>();
    let planned = FLOORS
        .iter()
        .flat_map(|floor| floor.iter().map(|name| (*name).to_owned()))
        .collect();
    assert_eq!(found, planned, "modules, and modules on floors");
    let missing: Vec<_> = found
        .into_iter()
        .filter(|name| name != "lib" && !map.contains(&format!("`{name}`")))
        .collect();
    expect_none("not in the code map of src/lib.rs", &missing);
}

#[test]
fn top_level_holds_only_what_belongs_there() {
    let names = fs::read_dir(root())
        .expect("the project")
        .map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let extra: Vec<_> = names
        .filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()))
        .collect();
    expect_none("at the top level", &extra);
}

#[test]
fn no_file_knows_a_developers_machine() {
    let signs = ["/home/", "/Users/", "/root/", "/work/", "/tmp/wt"]; // tidy: itself
    let mut wrong = Vec::new();
    let folders = ["src", "tests", "scripts", ".ci", ".cargo", "fixtures"]
        .map(|folder| files(&root().join(folder)));
    let alone =
        ["Cargo.toml", "README.md", "CHANGELOG.md", ".clippy.toml"].map(|name| root().join(name));
    for path in folders.into_iter().flatten().chain(alone) {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let own = |line: &&str| line.contains("// tidy: itself");
        let lines = text.lines().filter(|line| !own(line));
        let hits = lines.filter(|line| signs.iter().any(|sign| line.contains(sign)));
        wrong.extend(hits.map(|line| format!("{}: {line}", path.display())));
    }
    expect_none("paths of one machine", &wrong);
}

#[test]
fn readme_names_every_dependency() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml");
    let readme = read("README.md");
    let names = ["dependencies", "dev-dependencies"]
        .into_iter()
        .flat_map(|key| {
            let table = manifest[key].as_table().expect("a table");
            table.keys().cloned().collect::<Vec<_>>()
        });
    let missing: Vec<_> = names
        .filter(|name| !readme.contains(&format!("| `{name}` |")))
        .collect();
    expect_none("not in the README's table of dependencies", &missing);
}

#[test]
fn readme_names_every_flag_of_help() {
    let shown = |args: &[&str]| User::new().command(args).output().expect("it runs").stdout;
    let help = String::from_utf8(
        [
            shown(&["--help"]),
            shown(&["replay", "--help"]),
            shown(&["backfill", "--help"]),
            shown(&["doctor", "--help"]),
        ]
        .concat(),
    )
    .expect("UTF-8");
    let is_flag = |sign: char| sign.is_ascii_lowercase() || sign == '-';
    let flags: BTreeSet<_> = help
        .split(|sign: char| !is_flag(sign))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .collect();
    assert!(flags.len() > 10, "{flags:?}");
    let readme = read("README.md");
    let missing: Vec<_> = flags
        .into_iter()
        .filter(|flag| !readme.contains(flag))
        .map(str::to_owned)
        .collect();
    expect_none("flags that the README does not name", &missing);
}

#[test]
fn readme_names_every_variable_that_is_read() {
    let config = sources()
        .into_iter()
        .filter(|s| s.path.starts_with("config"));
    let code: String = config.map(|source| source.code).collect();
    let is_variable = |text: &&str| {
        text.len() > 3
            && text.contains('_')
            && text
                .chars()
                .all(|sign| sign.is_ascii_uppercase() || sign == '_')
    };
    let names: BTreeSet<_> = code.split('"').filter(is_variable).collect();
    assert!(names.len() > 10, "{names:?}");
    let readme = read("README.md");
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !readme.contains(*name))
        .map(str::to_owned)
        .collect();
    expect_none("variables that the README does not name", &missing);
}

/// The words in the first column of the README's table with that head.
fn words_of_table(head: &str) -> Vec<String> {
    let readme = read("README.md");
    let table = readme.split(&format!("\n| {head} | |\n")).nth(1);
    let rows = table.expect("a table").lines().skip(1);
    rows.take_while(|row| row.starts_with('|'))
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_bound_in_the_readme_names_its_test() {
    let readme = read("README.md");
    let table = readme
        .split("\n| what | at most | beyond it | where | test |\n")
        .nth(1)
        .expect("a table of bounds");
    let code: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let rows = table.lines().skip(1);
    let rows: Vec<&str> = rows.take_while(|row| row.starts_with('|')).collect();
    assert!(rows.len() > 15, "{} bounds", rows.len());
    let is_held = |row: &&str| {
        let name = row.rsplit('`').nth(1).unwrap_or_default();
        let test = format!("#[test]\nfn {name}(");
        let inside = format!("#[test]\n    fn {name}(");
        row.ends_with("` |") && (code.contains(&test) || code.contains(&inside))
    };
    let unheld: Vec<String> = rows
        .into_iter()
        .filter(|row| !is_held(row))
        .map(str::to_owned)
        .collect();
    expect_none("bounds whose test is not there", &unheld);
}

#[test]
fn readme_lists_the_warnings_and_alarms_that_there_are() {
    let warnings: Vec<&str> = WarningCode::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(words_of_table("warning"), warnings);
    let alarms: Vec<&str> = AlarmKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(words_of_table("alarm"), alarms);
}

/// A word that is not in the list of all would be missing in the README too.
#[test]
fn every_warning_and_alarm_stands_in_its_list() {
    let source = read("src/domain/outcome.rs");
    for (name, count) in [
        ("WarningCode", WarningCode::ALL.len()),
        ("AlarmKind", AlarmKind::ALL.len()),
    ] {
        let body = source.split(&format!("pub enum {name} {{")).nth(1);
        let body = body
            .and_then(|rest| rest.split('}').next())
            .expect("an enum");
        let variants = body.lines().filter(|line| line.trim_end().ends_with(','));
        assert_eq!(variants.count(), count, "{name}::ALL");
    }
}

#[test]
fn readme_shows_a_config_file_that_works_and_names_every_key() {
    let readme = read("README.md");
    let shown = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a toml block");
    let user = User::new();
    let run = |text: &str, event: &str| {
        fs::write(user.path("some.toml"), text).expect("a file");
        user.run(&["--config", "some.toml"], &sample(event))
    };
    run(shown, "legacy-v4.message.received").expect(0, "success", "created");
    let file: toml::Table = shown.parse().expect("toml");
    for table in ["", "clients", "quo", "notion", "inbox"] {
        let keys = if table.is_empty() {
            &file
        } else {
            file[table].as_table().expect("a table")
        };
        let head = if table.is_empty() {
            String::new()
        } else {
            format!("[{table}]")
        };
        let wrong = format!("{head}\nbogus = 1");
        let wrong = run(&wrong, "v2026-03-30.call.completed.answered");
        let message = wrong.line()["error"]["message"]
            .as_str()
            .expect("a message")
            .to_owned();
        let known: BTreeSet<_> = message
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| *word != "bogus")
            .collect();
        assert_eq!(
            known,
            keys.keys().map(String::as_str).collect(),
            "keys of [{table}]: {message}"
        );
    }
}

#[test]
fn every_sample_is_read_by_a_test() {
    let code: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .map(|file| {
            if file.ends_with("tidy.rs") {
                String::new()
            } else {
                fs::read_to_string(file).unwrap_or_default()
            }
        })
        .collect();
    // Folders and families that tests walk as a whole, and the answers of the manifest, which
    // `samples.rs` walks.
    let walked = [
        "notion/errors/",
        "notion/requests/",
        "notion/webhooks/",
        "quo/",
        "worlds/",
    ];
    let manifest = json_of("notion/manifest.json");
    let answers = manifest
        .as_array()
        .expect("a list")
        .iter()
        .filter(|entry| entry["check"] == "response");
    let answers: BTreeSet<_> = answers
        .map(|entry| format!("notion/{}", entry["file"].as_str().expect("a name")))
        .collect();
    let is_read = |name: &String| {
        walked.iter().any(|prefix| name.starts_with(prefix))
            || answers.contains(name)
            || name
                .rsplit('/')
                .next()
                .is_some_and(|file| code.contains(file))
    };
    let names = files(fixtures()).into_iter().map(|path| {
        path.strip_prefix(fixtures())
            .expect("below fixtures")
            .to_string_lossy()
            .into_owned()
    });
    let unread: Vec<_> = names
        .filter(|name| !name.ends_with("README.md") && !is_read(name))
        .collect();
    expect_none("samples that no test reads", &unread);
}
