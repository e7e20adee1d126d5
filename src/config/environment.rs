//! The process environment, with `.env` beneath it.
//!
//! The only reader of the environment.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::Args;
use crate::domain::failure::Failure;
use crate::files;

use super::env_file::{self, EnvLines, Variable};
use super::{DIR, distrusted};
use crate::services::settings::joined;

const ENV_FILE: &str = ".env";
/// Most bytes of it.
const MOST_BYTES: u64 = 64 << 10;
/// How names of ours begin.
const OURS: [&str; 12] = [
    "QUOTION_",
    "QUO_",
    "OPENPHONE_",
    "NOTION_",
    "WEBHOOK_SECRET",
    "RECORDINGS",
    "ALERT_WEBHOOK_URL",
    "DATABASE_URL",
    "SUPABASE_",
    "S3_",
    "LOG_LEVEL",
    "RUST_LOG",
];
/// Names that say where everything lies and what is let in: nothing begins while one is in doubt.
const DOOR: [&str; 9] = [
    "QUOTION_DIR",
    "QUOTION_STATE",
    "DATABASE_URL",
    "SUPABASE_DB_URL",
    "QUOTION_REQUIRE_SIGNATURE",
    "OPENPHONE_WEBHOOK_SECRET",
    "QUO_WEBHOOK_SECRET",
    "WEBHOOK_SECRET",
    "NOTION_WEBHOOK_SECRET",
];

/// The process environment, with `.env` beneath it. An empty variable is one that is not set.
#[derive(Debug, Default)]
pub struct Environment {
    process: HashMap<String, String>,
    /// All lines of the file that set something, in their order: a name may come twice.
    file: Vec<Variable>,
    /// The file `.env`, if there is one.
    path: Option<PathBuf>,
    /// Who wrote it, where that is neither this user nor root.
    pub(super) stranger: Option<u32>,
    /// Names that are set to what cannot be read.
    unreadable: HashSet<String>,
    /// What is wrong with what was read, without harm to what is kept.
    pub(super) failures: Vec<Failure>,
    /// What is odd; there are no logs yet when it is found.
    pub(super) warnings: Vec<String>,
}

impl Environment {
    /// Reads the environment, and the file `.env`: the one named, else that of the working
    /// directory, else that of the folder. Fails where it is not certain where things lie and what
    /// is let in.
    pub fn read(args: Option<&Args>) -> Result<Self, Failure> {
        let (mut environment, mut refused) = Self::of_process();
        match environment.read_file(args) {
            Ok(lines) => refused.extend(environment.take_file(lines)),
            Err(failure) => refused.push(failure),
        }
        joined(refused).map_or(Ok(environment), Err)
    }

    fn take_process(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<Failure> {
        let mut refused = Vec::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    self.process.insert(name, value);
                }
                Err(_) if OURS.iter().any(|ours| name.starts_with(ours)) => {
                    let failure = Failure::config(
                        format!("{name} is not UTF-8"),
                        format!("set {name} anew, or remove it"),
                    );
                    self.note(&mut refused, Some(&name), failure);
                }
                Err(_) => {}
            }
        }
        refused
    }

    /// An environment that holds these variables and no file.
    pub fn given(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        environment.process.extend(variables);
        environment
    }

    /// Reads the environment alone: for what is to be said of a file that cannot be read.
    pub fn without_file() -> Self {
        Self::of_process().0
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    fn of_process() -> (Self, Vec<Failure>) {
        let mut environment = Self::default();
        let refused = environment.take_process(std::env::vars_os());
        (environment, refused)
    }

    /// Sorts out whether nothing may begin, or events can be kept all the same.
    fn note(&mut self, refused: &mut Vec<Failure>, name: Option<&str>, failure: Failure) {
        self.unreadable.extend(name.map(str::to_owned));
        if name.is_none_or(|name| DOOR.contains(&name)) {
            refused.push(failure);
        } else {
            self.failures.push(failure);
        }
    }

    fn read_file(&mut self, args: Option<&Args>) -> Result<EnvLines, Failure> {
        let folder = args.and_then(|args| args.dir.clone());
        let env_file = args.and_then(|args| args.env_file.as_ref());
        let folder = folder.or_else(|| self.get(&["QUOTION_DIR"]).map(PathBuf::from));
        let folder = folder.unwrap_or_else(|| PathBuf::from(DIR));
        let candidates = match env_file {
            Some(path) => vec![path.clone()],
            None => vec![ENV_FILE.into(), folder.join(ENV_FILE)],
        };
        for path in candidates {
            let path = std::path::absolute(&path).unwrap_or(path);
            let contents = match files::read(&path, MOST_BYTES) {
                Ok(contents) => contents,
                Err(err) if files::is_missing(&err) && env_file.is_none() => continue,
                Err(err) => {
                    let message = format!("cannot read {}: {err}", path.display());
                    return Err(Failure::config(
                        message,
                        "let this user read it, or remove it",
                    ));
                }
            };
            // Not the folder that the file itself names: whoever can write one could name theirs.
            if let Some(failure) = distrusted(&path, &contents, &owners(&folder)) {
                return Err(failure);
            }
            if contents.others_read {
                self.warnings.push(format!(
                    "{0} can be read by others; hint: chmod 600 {0}",
                    path.display()
                ));
            }
            self.path = Some(path);
            self.stranger = Some(contents.uid).filter(|uid| ![0, files::user()].contains(uid));
            return Ok(env_file::parse(&contents.bytes));
        }
        Ok(EnvLines::default())
    }

    fn take_file(&mut self, lines: EnvLines) -> Vec<Failure> {
        let mut refused = Vec::new();
        for unreadable in lines.unreadable {
            let failure = Failure::config(
                format!("{} is not NAME=value", self.place(unreadable.line)),
                "correct the line or remove it; a value with blanks at its ends stands in quotes",
            );
            self.note(&mut refused, unreadable.name.as_deref(), failure);
        }
        self.file.extend(lines.variables);
        refused
    }

    /// The file `.env`, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn place(&self, line: usize) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(ENV_FILE));
        format!("{} line {line}", path.display())
    }

    /// The first of `names` that is set to something: in the process environment, else in `.env`.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        self.setting(names).map(|setting| setting.1)
    }

    /// True if none of `names` is set, not even to something that cannot be read.
    pub(super) fn lacks(&self, names: &[&str]) -> bool {
        let is_set = |name: &&str| self.unreadable.contains(*name);
        self.get(names).is_none() && !names.iter().any(is_set)
    }

    /// The lines of `.env` that set `name`, the last one first.
    fn filed(&self, name: &str) -> impl Iterator<Item = &Variable> {
        let lines = self.file.iter().rev();
        lines.filter(move |variable| variable.name == name)
    }

    /// The same, with the name under which it was found, and how it is told.
    pub(super) fn setting(&self, names: &[&str]) -> Option<(String, &str)> {
        let here = names.iter().filter_map(|name| {
            let value = self.process.get(*name)?.trim();
            (!value.is_empty()).then(|| ((*name).to_owned(), value))
        });
        let filed = names.iter().flat_map(|name| self.filed(name));
        let filed = filed.filter_map(|variable| {
            let value = variable.value.trim();
            let shown = || format!("{}: {}", self.place(variable.line), variable.name);
            (!value.is_empty()).then(|| (shown(), value))
        });
        here.chain(filed).next()
    }

    /// Whether a switch that protects is on: the strictest of all sources and lines counts.
    pub(super) fn protects(&self, name: &str) -> Result<bool, Failure> {
        let here = self.process.get(name).map(String::as_str);
        let filed = self.filed(name).map(|variable| variable.value.as_str());
        let mut on = false;
        for value in here.into_iter().chain(filed) {
            on |= match value.trim().to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => true,
                "" | "0" | "false" | "no" | "off" => false,
                _ => {
                    return Err(Failure::config(
                        format!("{name} is neither 1 nor 0"),
                        format!("set {name}=1, or {name}=0 in every place that sets it"),
                    ));
                }
            };
        }
        Ok(on)
    }

    /// What is to be logged, in words; and the name of the variable that says it.
    pub fn log_level(&self) -> Option<(&'static str, &str)> {
        ["LOG_LEVEL", "RUST_LOG"]
            .into_iter()
            .find_map(|name| Some((name, self.get(&[name])?)))
    }

    /// Where logs go, in words; and the name of the variable that says it.
    pub fn log_to(&self) -> Option<(&'static str, &str)> {
        Some(("QUOTION_LOG_TO", self.get(&["QUOTION_LOG_TO"])?))
    }

    /// How log lines look, in words; and the name of the variable that says it.
    pub fn log_format(&self) -> Option<(&'static str, &str)> {
        Some(("QUOTION_LOG_FORMAT", self.get(&["QUOTION_LOG_FORMAT"])?))
    }
}

/// Who may have written settings: this user, root, and where root runs it the folder's owner.
pub(super) fn owners(folder: &Path) -> Vec<u32> {
    let user = files::user();
    let of_folder = files::resolve(folder).ok().map(|site| site.uid);
    let of_folder = of_folder.filter(|_| user == 0);
    [Some(user), Some(0), of_folder]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn environment(process: &[(&str, &str)], file: &str) -> Environment {
        let mut environment = Environment::default();
        let pairs = process
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        assert_eq!(environment.take_process(pairs), []);
        assert_eq!(environment.take_file(env_file::parse(file.as_bytes())), []);
        environment
    }

    #[test]
    fn empty_variable_is_not_set_and_the_environment_beats_the_file() {
        let both = environment(&[("A", " "), ("B", "here")], "A=filed\nC=filed\n");
        let get = |names: &[&str]| both.get(names).map(str::to_owned);
        assert_eq!(get(&["A"]), Some("filed".into()));
        assert_eq!(get(&["A", "B"]), Some("here".into()));
        assert_eq!(get(&["B", "C"]), Some("here".into()));
        assert_eq!(get(&["D"]), None);
        let told = both.setting(&["C"]).expect("set").0;
        assert_eq!(told, ".env line 2: C");
    }

    #[test]
    fn switch_that_protects_takes_the_stricter_source() {
        let is_on = |here: &str, filed: &str| {
            environment(&[("S", here)], &format!("S={filed}\n"))
                .protects("S")
                .ok()
        };
        for here in ["", " ", "0", "false", "no", "1"] {
            assert_eq!(is_on(here, "1"), Some(true), "{here}");
            assert_eq!(is_on("YES", here), Some(true), "{here}");
        }
        assert_eq!(
            (is_on("", ""), is_on("0", "off")),
            (Some(false), Some(false))
        );
        assert_eq!((is_on("maybe", "1"), is_on("1", "maybe")), (None, None));
    }

    #[test]
    fn of_lines_that_set_a_name_the_strictest_counts_for_a_switch_and_the_last_set_else() {
        for lines in [
            "S=1\nS=\n",
            "S=1\nS=0\n",
            "S=0\nS=1\nS=off\n",
            "S=\nS=yes\n",
        ] {
            let switch = environment(&[], lines).protects("S");
            assert_eq!(switch, Ok(true), "{lines}");
        }
        assert_eq!(environment(&[], "S=0\nS=\n").protects("S"), Ok(false));
        assert!(environment(&[], "S=maybe\nS=1\n").protects("S").is_err());
        let get = |lines: &str| environment(&[], lines).get(&["A"]).map(str::to_owned);
        assert_eq!(get("A=1\nA=2\n"), Some("2".into()));
        assert_eq!(get("A=1\nA=\n"), Some("1".into()));
    }

    #[test]
    fn variable_that_cannot_be_read_is_not_lacking() {
        let mut read = environment(&[("A", "here"), ("D", " ")], "B=filed\n");
        let _ = read.take_file(env_file::parse(b"C='x\n"));
        let lacks = ["A", "B", "C", "D", "E"].map(|name| read.lacks(&[name]));
        assert_eq!(lacks, [false, false, false, true, true]);
        assert!(!read.lacks(&["E", "C"]));
    }

    #[test]
    fn what_is_no_text_refuses_at_the_door_and_holds_elsewhere() {
        let mut environment = Environment::default();
        let bytes = || OsString::from_vec(b"1\xff".to_vec());
        let names = ["QUOTION_REQUIRE_SIGNATURE", "NOTION_VERSION", "OTHER"];
        let refused =
            environment.take_process(names.map(|name| (name.into(), bytes())).into_iter());
        let told = |all: &[Failure]| {
            all.iter()
                .map(|one| one.message.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&refused), ["QUOTION_REQUIRE_SIGNATURE is not UTF-8"]);
        assert_eq!(told(&environment.failures), ["NOTION_VERSION is not UTF-8"]);
        let refused = environment.take_file(env_file::parse(
            b"ntn_key\nNOTION_API_KEY='x\nQUOTION_DIR='x",
        ));
        assert_eq!((refused.len(), environment.failures.len()), (2, 2));
    }
}
