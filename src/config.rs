//! Settings: flags, environment, `.env` and `quotion.toml`, checked, with one small struct for each
//! client.
//!
//! The only reader of the environment. What only some events need (keys, databases) is checked when
//! it is asked for, so that an event that needs nothing works without any.

mod env_file;
mod file;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::cli::{Args, SyncArgs};
use crate::domain::id::DatabaseId;
use crate::failure::{Failure, Kind};
use crate::http::{BaseUrl, Window};
use crate::secret::Secret;
use crate::signature::{Headers, Secrets, Tolerance};
use crate::store::{Patience, Place};
use crate::sync;
use crate::time::Deadline;

use file::File;

const ENV_FILE: &str = ".env";
const DIR: &str = ".tmp";
const STORE: &str = "quotion.db";
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
const DEADLINE: SignedDuration = SignedDuration::from_secs(50);
const QUO_BASE: &str = "https://api.quo.com/v1";
const NOTION_BASE: &str = "https://api.notion.com/v1";
const LOCALTIME: &str = "/etc/localtime";
const ZONES: &str = "/usr/share/zoneinfo";
const NOTION_VERSION: &str = "2022-06-28";

/// The process environment, with `.env` beneath it.
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Reads the environment, and the file `.env` in the working directory if there is one.
    pub fn read() -> Result<Self, Failure> {
        let mut all: HashMap<_, _> = env_file()?.into_iter().collect();
        all.extend(Self::without_file().0);
        Ok(Self(all))
    }

    /// Reads the environment alone: for what is to be said of a file that cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn without_file() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The first of `names` that is set to something.
    fn get(&self, names: &[&str]) -> Option<&str> {
        let values = names.iter().filter_map(|name| self.0.get(*name));
        values
            .map(|value| value.trim())
            .find(|value| !value.is_empty())
    }

    fn is_on(&self, name: &str) -> Result<bool, Failure> {
        match self
            .get(&[name])
            .unwrap_or("0")
            .to_ascii_lowercase()
            .as_str()
        {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Failure::config(
                format!("{name} is neither 1 nor 0"),
                format!("set {name}=1 or remove it"),
            )),
        }
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

/// The variables of the file `.env`, if there is one.
fn env_file() -> Result<Vec<(String, String)>, Failure> {
    let path = fs::canonicalize(ENV_FILE).unwrap_or_else(|_| ENV_FILE.into());
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => {
            return Err(Failure::config(
                format!("cannot read {}: {err}", path.display()),
                "let this user read it, or remove it",
            ));
        }
    };
    env_file::parse(&text).map_err(|line| {
        Failure::config(
            format!("{} line {line} is not NAME=value", path.display()),
            "correct the line or remove it; a value with blanks at its ends stands in quotes",
        )
    })
}

/// How a payload's signature is to be checked.
pub struct SignatureSettings {
    /// What was passed; `None` without `--signature`.
    pub headers: Option<Headers>,
    /// Secrets that may have signed.
    pub secrets: Secrets,
    /// True if a payload without signature is refused.
    pub required: bool,
    /// Age window.
    pub tolerance: Tolerance,
}

/// How to reach a vendor.
pub struct Access {
    /// The key.
    pub key: Secret,
    /// The API's address.
    pub base: BaseUrl,
    /// How many requests in which time.
    pub window: Window,
}

/// All settings.
pub struct Config {
    /// Folder of everything that is kept.
    pub dir: PathBuf,
    /// Where the store lies.
    pub store: Place,
    /// Checking of signatures.
    pub signature: SignatureSettings,
    /// Longest time for one payload.
    pub deadline: Option<Duration>,
    /// Write nothing.
    pub dry_run: bool,
    environment: Environment,
    file: File,
}

impl Config {
    /// Puts flags, environment and file together.
    pub fn load(args: &Args, environment: Environment) -> Result<Self, Failure> {
        let file = File::load(args.config.as_deref())?;
        let dir = args
            .dir
            .clone()
            .or_else(|| environment.get(&["QUOTION_DIR"]).map(PathBuf::from));
        let dir = dir.unwrap_or_else(|| PathBuf::from(DIR));
        let state = args
            .state
            .as_deref()
            .or_else(|| environment.get(&["QUOTION_STATE"]));
        let shared = environment.get(&["DATABASE_URL", "SUPABASE_DB_URL"]);
        Ok(Self {
            store: store_place(state.or(shared), &dir)?,
            signature: signature(&args.sync, &environment)?,
            deadline: deadline(args.deadline.as_deref())?,
            dry_run: args.sync.dry_run,
            dir,
            environment,
            file,
        })
    }

    /// Access to Notion, and the API version.
    pub fn notion(&self) -> Result<(Access, String), Failure> {
        let key = self.environment.get(&["NOTION_API_KEY"]);
        let key = key.ok_or_else(|| {
            Failure::config(
                "NOTION_API_KEY is not set",
                "make an integration at notion.so/my-integrations and set its token",
            )
        })?;
        let base = base(
            self.environment
                .get(&["NOTION_API_BASE"])
                .unwrap_or(NOTION_BASE),
            "NOTION_API_BASE",
        )?;
        let version = self
            .environment
            .get(&["NOTION_VERSION"])
            .unwrap_or(NOTION_VERSION);
        // The parser takes other spellings of a date too; Notion takes only this one.
        let is_version = version
            .parse::<jiff::civil::Date>()
            .is_ok_and(|date| date.to_string() == version);
        if !is_version {
            let message = format!("NOTION_VERSION={version:?} is no version");
            return Err(Failure::config(
                message,
                "versions are dates; the default is 2022-06-28",
            ));
        }
        let window = Window {
            requests: self.file.notion.requests_per_minute,
            period: Duration::from_mins(1),
        };
        Ok((
            Access {
                key: Secret::new(key),
                base,
                window,
            },
            version.to_owned(),
        ))
    }

    /// Access to Quo; `None` without a key.
    pub fn quo(&self) -> Result<Option<Access>, Failure> {
        let Some(key) = self.environment.get(&["OPENPHONE_API_KEY", "QUO_API_KEY"]) else {
            return Ok(None);
        };
        let named = self
            .environment
            .get(&["OPENPHONE_API_BASE", "QUO_API_BASE"]);
        let base = base(named.unwrap_or(QUO_BASE), "OPENPHONE_API_BASE")?;
        let window = Window {
            requests: self.file.quo.requests_per_second,
            period: Duration::from_secs(1),
        };
        Ok(Some(Access {
            key: Secret::new(key),
            base,
            window,
        }))
    }

    /// Settings of the main job.
    pub fn sync(&self) -> Result<sync::Settings, Failure> {
        let names = ["NOTION_CLIENTS_DATABASE_ID", "NOTION_CANVAS_DATABASE_ID"];
        let id = self.environment.get(&names).ok_or_else(|| {
            Failure::config(
                "NOTION_CLIENTS_DATABASE_ID is not set",
                "set it to the Clients database's link or id",
            )
        })?;
        let clients_database = DatabaseId::parse(id).map_err(|_| {
            Failure::config(
                format!("NOTION_CLIENTS_DATABASE_ID={id:?} holds no Notion id"),
                "copy the link of the database (··· > Copy link)",
            )
        })?;
        Ok(sync::Settings {
            clients_database,
            columns: self.file.clients.names(),
            tags_field: self.file.quo.tags_field.clone(),
            contacts_ttl: duration(&self.file.quo.contacts_ttl, "contacts_ttl")?,
            zone: self.zone()?,
            settle: duration(&self.file.notion.settle, "settle")?.unsigned_abs(),
            choice: self.file.choice()?,
        })
    }

    /// When to try again what has failed.
    pub fn patience(&self) -> Result<Patience, Failure> {
        let first_retry = duration(&self.file.inbox.first_retry, "first_retry")?.unsigned_abs();
        Ok(Patience {
            attempts: self.file.inbox.attempts.max(1),
            first_retry,
        })
    }

    /// How long finished events are kept whole.
    pub fn keep_done(&self) -> Result<Duration, Failure> {
        Ok(duration(&self.file.inbox.keep_done, "keep_done")?.unsigned_abs())
    }

    /// Where alerts go.
    pub fn alert(&self) -> Result<Option<BaseUrl>, Failure> {
        let url = self.environment.get(&["ALERT_WEBHOOK_URL"]);
        // The address is as good as a key: it is not shown.
        let bad = |_| {
            Failure::config(
                "ALERT_WEBHOOK_URL is no usable address",
                "it must be https, without query",
            )
        };
        url.map(|url| BaseUrl::parse(url).map_err(bad)).transpose()
    }

    fn zone(&self) -> Result<TimeZone, Failure> {
        let Some(name) = &self.file.timezone else {
            let here = || {
                tz_file(Path::new(LOCALTIME)).filter(|_| self.environment.get(&["TZ"]).is_none())
            };
            return Ok(here().unwrap_or_else(TimeZone::system));
        };
        let plain = !name.starts_with('/') && !name.contains('.');
        let known = plain
            .then(|| tz_file(&Path::new(ZONES).join(name)))
            .flatten();
        known.map_or_else(|| TimeZone::get(name), Ok).map_err(|_| {
            Failure::config(
                format!("timezone = {name:?} is not known"),
                "use a name like \"America/Chicago\"",
            )
        })
    }
}

/// Reads the rules of a zone. The library reads them too, after the names of all zones, which takes
/// a millisecond.
fn tz_file(path: &Path) -> Option<TimeZone> {
    TimeZone::tzif("", &std::fs::read(path).ok()?).ok()
}

/// The address of a database holds a password: it is not shown, whatever is wrong with it.
fn store_place(state: Option<&str>, dir: &Path) -> Result<Place, Failure> {
    match state {
        None => Ok(Place::File(dir.join(STORE))),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(Place::Postgres(Secret::new(url)))
        }
        Some(url) if url.contains("://") => Err(Failure::config(
            "the store can be a file or a PostgreSQL database, and is set to something else",
            "pass a path or postgres://… as --state or QUOTION_STATE; without them DATABASE_URL \
                counts",
        )),
        Some(path) => Ok(Place::File(PathBuf::from(path))),
    }
}

fn signature(args: &SyncArgs, environment: &Environment) -> Result<SignatureSettings, Failure> {
    let quo = environment
        .get(&[
            "OPENPHONE_WEBHOOK_SECRET",
            "QUO_WEBHOOK_SECRET",
            "WEBHOOK_SECRET",
        ])
        .unwrap_or_default();
    let secrets = Secrets {
        quo: quo
            .split(',')
            .map(Secret::new)
            .filter(|secret| !secret.is_empty())
            .collect(),
        notion: environment.get(&["NOTION_WEBHOOK_SECRET"]).map(Secret::new),
    };
    // A delivery that brings the other headers has lost its signature.
    let other = args.webhook_id.as_ref().or(args.webhook_timestamp.as_ref());
    let given = args.signature.clone().or(other.map(|_| String::new()));
    let headers = given.map(|signature| Headers {
        signature,
        id: args.webhook_id.clone(),
        timestamp: args.webhook_timestamp.clone(),
    });
    let tolerance = match args.signature_tolerance.as_deref() {
        None => Tolerance::Within(TOLERANCE),
        Some("off") => Tolerance::Off,
        Some(text) => Tolerance::Within(duration(text, "--signature-tolerance")?),
    };
    Ok(SignatureSettings {
        headers,
        secrets,
        required: args.require_signature || environment.is_on("QUOTION_REQUIRE_SIGNATURE")?,
        tolerance,
    })
}

fn deadline(text: Option<&str>) -> Result<Option<Duration>, Failure> {
    let span = match text {
        Some("off") => return Ok(None),
        Some(text) => duration(text, "--deadline")?,
        None => DEADLINE,
    };
    Ok(Some(span.unsigned_abs()))
}

/// A span like `5m`, `50s`, `6h` or `30d` (days of 24 hours).
pub fn duration(text: &str, name: &str) -> Result<SignedDuration, Failure> {
    let days = || {
        text.trim()
            .strip_suffix('d')?
            .trim()
            .parse::<i64>()
            .ok()?
            .checked_mul(24)
    };
    let span = days()
        .and_then(SignedDuration::try_from_hours)
        .or_else(|| text.parse().ok());
    let kind = if name.starts_with("--") {
        Kind::Usage
    } else {
        Kind::Config
    };
    let message = || format!("{name}: {text:?} is no length of time");
    let span = span.filter(SignedDuration::is_positive);
    span.ok_or_else(|| Failure::new(kind, message(), "write it like 50s, 5m, 6h or 30d"))
}

fn base(url: &str, name: &str) -> Result<BaseUrl, Failure> {
    BaseUrl::parse(url).map_err(|why| {
        Failure::config(
            format!("{name}: {why}"),
            "https, or http to a loopback address",
        )
    })
}

/// The deadline of one payload that begins now.
pub fn starting_now(length: Option<Duration>) -> Deadline {
    length.map_or_else(Deadline::none, Deadline::within)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn zone_of_a_file_is_the_one_of_that_name() {
        assert!(tz_file(Path::new("/dev/null")).is_none() && tz_file(Path::new(ZONES)).is_none());
        let name = "America/Chicago";
        let library = TimeZone::get(name).expect("zone");
        // A machine may do without these files.
        let file = tz_file(&Path::new(ZONES).join(name)).unwrap_or_else(|| library.clone());
        for at in [
            "2026-03-08T07:59:59Z",
            "2026-03-08T08:00:00Z",
            "2026-11-01T07:00:00Z",
            "2050-07-01T00:00:00Z",
        ] {
            let at: Timestamp = at.parse().expect("time");
            assert_eq!(file.to_offset(at), library.to_offset(at), "{at}");
        }
    }
}
