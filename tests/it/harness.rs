//! A user with a folder, keys and the stand-in: runs the real binary and looks at what came of it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::standin::{self, StandIn, World};

/// The program under test.
pub const QUOTION: &str = env!("CARGO_BIN_EXE_quotion");

/// A user: a working directory of their own, settings in the environment, and the vendors.
pub struct User {
    /// The vendors.
    pub vendors: StandIn,
    /// The working directory.
    pub home: TempDir,
    pub environment: Vec<(String, String)>,
}

/// What one run of the program gave.
#[derive(Debug)]
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output as JSON, a value for each line.
    pub lines: Vec<Json>,
    /// Standard output as it was.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl User {
    /// A user of the stand-in's default world.
    pub fn new() -> Self {
        Self::of(World::default_demo())
    }

    /// A user of that world. Rate limits are as strict as the vendors'; switch them off where they
    /// are not the point.
    pub fn of(world: World) -> Self {
        let vendors = StandIn::start(world);
        let environment = [
            ("NOTION_API_KEY", standin::NOTION_KEY.to_owned()),
            ("NOTION_API_BASE", vendors.notion_base()),
            (
                "NOTION_CLIENTS_DATABASE_ID",
                standin::CLIENTS_DATABASE.to_owned(),
            ),
            ("OPENPHONE_API_KEY", standin::QUO_KEY.to_owned()),
            ("OPENPHONE_API_BASE", vendors.quo_base()),
            (
                "OPENPHONE_WEBHOOK_SECRET",
                standin::QUO_WEBHOOK_SECRET.to_owned(),
            ),
            ("TZ", "UTC".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ];
        let environment = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let home = tempfile::tempdir().expect("a folder");
        // Nothing in these tests is slow to appear in Notion, unless a test says so.
        std::fs::write(
            home.path().join("quotion.toml"),
            "[notion]\nsettle = \"1ms\"\n",
        )
        .expect("settings");
        Self {
            vendors,
            home,
            environment,
        }
    }

    /// Sets a variable of the environment; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.retain(|(have, _)| have != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// What that variable is set to.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let mut all = self.environment.iter();
        all.find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    /// The command, with a clean environment.
    pub fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(QUOTION);
        command.args(args).current_dir(self.home.path()).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program with `input` on standard input and waits.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Run {
        Run::of(feed(
            self.command(args).spawn().expect("the program starts"),
            input,
        ))
    }

    /// Runs the program as `run` does, and gives what it printed unread, as it need not be JSON.
    pub fn output<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Output {
        feed(
            self.command(args).spawn().expect("the program starts"),
            input,
        )
    }

    /// Syncs one sample of `fixtures/quo`, without further options.
    pub fn sync(&self, sample: &str) -> Run {
        self.run::<&str>(&[], &self::sample(sample))
    }

    /// Lifts the rate limits of both sides, for streams of many events.
    pub fn without_rate_limits(&self) {
        self.vendors.set_rate_limits(false);
        let rates = "[notion]\nsettle = \"1ms\"\nrequests_per_minute = \
            1000000\n[quo]\nrequests_per_second = 1000000\n";
        std::fs::write(self.path("quotion.toml"), rates).expect("a file");
    }

    /// Names and contents of all files in the user's folder and below, without the settings that
    /// stand there from the start.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let settings = self.path("quotion.toml");
        files_below(self.home.path())
            .into_iter()
            .filter(|(path, _)| *path != settings)
            .collect()
    }

    /// Path of a file in the user's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Pages in the Clients database that are not in the trash.
    pub fn client_pages(&self) -> usize {
        let world = self.vendors.world();
        let rows = world.notion.rows(standin::CLIENTS_DATABASE);
        rows.iter().filter(|page| !page.in_trash).count()
    }

    /// Everything in "Notion", as a person sees it.
    pub fn notion(&self) -> String {
        self.vendors.render()
    }

    /// How often `text` stands in "Notion".
    pub fn times_in_notion(&self, text: &str) -> usize {
        self.notion().matches(text).count()
    }
}

impl Run {
    /// Reads what a finished process gave. Every line of standard output must be JSON.
    pub fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).expect("standard output is UTF-8");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line:?}\n{stderr}"))
        };
        let lines = stdout.lines().map(read).collect();
        Self {
            code: output.status.code().unwrap_or(-1),
            lines,
            stdout,
            stderr,
        }
    }

    /// The only line.
    #[track_caller]
    pub fn line(&self) -> &Json {
        assert_eq!(
            self.lines.len(),
            1,
            "one line expected:\n{}\n{}",
            self.stdout,
            self.stderr
        );
        &self.lines[0]
    }

    /// Asserts exit code, status and action of a run with one line.
    #[track_caller]
    pub fn expect(&self, code: i32, status: &str, action: &str) -> &Self {
        let line = self.line();
        let found = (
            self.code,
            line["status"].as_str().unwrap_or(""),
            line["action"].as_str().unwrap_or(""),
        );
        assert_eq!(
            found,
            (code, status, action),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts exit code and kind of error of a run with one line.
    #[track_caller]
    pub fn expect_error(&self, code: i32, kind: &str) -> &Self {
        let error = &self.line()["error"];
        let found = (self.code, error["kind"].as_str().unwrap_or(""));
        assert_eq!(found, (code, kind), "{}\n{}", self.stdout, self.stderr);
        assert!(
            error["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
            "a hint: {}",
            self.stdout
        );
        self
    }

    /// Codes of the warnings of the only line.
    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.line()["warnings"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        warnings
            .iter()
            .filter_map(|warning| warning["code"].as_str())
            .collect()
    }
}

/// Gives `input` to a process and waits for its end. A process that ends without reading all of it
/// is fine.
pub fn feed(mut child: Child, input: &[u8]) -> Output {
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the writer ends");
    output
}

fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a file");
        vec![(path, bytes)]
    };
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                read(path)
            }
        })
        .collect()
}

/// True if `part` stands in `bytes`.
pub fn holds(bytes: &[u8], part: &str) -> bool {
    bytes
        .windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// Names of all sample deliveries of `fixtures/quo`, in order.
pub fn samples() -> Vec<String> {
    let names = std::fs::read_dir(fixtures().join("quo"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry"));
    let names = names.filter_map(|entry| {
        Some(
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".json")?
                .to_owned(),
        )
    });
    let mut names: Vec<String> = names
        .filter(|name| {
            ["legacy-", "seed.", "v2026-"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .collect();
    names.sort();
    names
}

/// Bytes of a sample delivery of `fixtures/quo`, named without `.json`.
pub fn sample(name: &str) -> Vec<u8> {
    let path = fixtures().join("quo").join(format!("{name}.json"));
    std::fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// A sample delivery as JSON, for altering.
pub fn sample_json(name: &str) -> Json {
    serde_json::from_slice(&sample(name)).expect("a sample is JSON")
}

/// The folder of samples.
pub fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}
