//! Settings: flags, environment, `.env` and `quotion.toml`, checked, with one small struct for each
//! client.
//!
//! All are checked at the start of every run. What concerns the folder, the store or the signature
//! ends it there; anything else is kept in mind, and the events are kept. What only some events
//! need (keys, databases) may be missing until it is asked for.

mod env_file;
mod environment;
mod file;
mod place;
mod problem;
mod span;
mod value;
mod zone;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::cli::{Args, SyncArgs};
use crate::failure::Failure;
use crate::files::{self, Contents, Site};
use crate::http::{BaseUrl, Proxies, Window};
use crate::secret::Secret;
use crate::signature::{Headers, Secrets, Tolerance};
use crate::store::{Patience, Place};
use crate::sync;
use crate::time::Deadline;

pub use environment::Environment;
use file::File;
use problem::{joined, noted};
pub use span::{Clock, duration, moment};

const DIR: &str = ".tmp";
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
const DEADLINE: SignedDuration = SignedDuration::from_secs(50);
const NOTION_KEY: [&str; 2] = ["NOTION_API_KEY", "NOTION_API_TOKEN"];
const QUO_KEY: [&str; 2] = ["OPENPHONE_API_KEY", "QUO_API_KEY"];
const CLIENTS_DATABASE: [&str; 2] = ["NOTION_CLIENTS_DATABASE_ID", "NOTION_CANVAS_DATABASE_ID"];

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
    wrong: Vec<Failure>,
}

impl Config {
    /// Puts flags, environment and file together, and checks all of it. Run by root in another
    /// user's folder, the process goes on as that user. Fails where nothing may begin; what else is
    /// wrong is told by [`Config::check`].
    pub fn load(args: &Args, mut environment: Environment) -> Result<Self, Failure> {
        for warning in &environment.warnings {
            log::warn!("{warning}");
        }
        let mut wrong = std::mem::take(&mut environment.failures);
        wrong.extend(environment.faults());
        let folder = args.dir.as_deref();
        let folder = folder.or_else(|| environment.get(&["QUOTION_DIR"]).map(Path::new));
        let folder = folder.unwrap_or(Path::new(DIR));
        let owners = environment::owners(folder);
        let file = file::load(args.config.as_deref(), &owners, &mut wrong);
        let door = Door::load(args, &environment, folder);
        let door = door.map_err(|refused| {
            let all = refused.into_iter().chain(wrong.clone()).collect();
            joined(all).unwrap_or_else(|| Failure::config("nothing may begin", "report it"))
        })?;
        place::go_on_as_owner(&door.dir, &door.store)?;
        Ok(Self {
            dir: door.dir.path,
            store: door.store,
            signature: door.signature,
            deadline: door.deadline,
            dry_run: args.sync.dry_run,
            environment,
            file,
            wrong,
        })
    }

    /// All that is wrong, at once. Missing settings are not among it.
    pub fn check(&self) -> Result<(), Failure> {
        joined(self.wrong.clone()).map_or(Ok(()), Err)
    }

    /// The same, and what the main job lacks.
    pub fn check_for_sync(&self) -> Result<(), Failure> {
        let mut all = self.wrong.clone();
        if self.environment.get(&NOTION_KEY).is_none() {
            all.push(no_notion_key());
        }
        if self.environment.get(&CLIENTS_DATABASE).is_none() {
            all.push(no_database());
        }
        joined(all).map_or(Ok(()), Err)
    }

    /// Access to Notion, and the API version.
    pub fn notion(&self) -> Result<(Access, String), Failure> {
        self.check()?;
        let key = self.environment.key(&NOTION_KEY)?;
        let access = Access {
            key: key.ok_or_else(no_notion_key)?,
            base: self.environment.notion_base()?,
            window: Window {
                requests: self.file.requests_per_minute,
                period: Duration::from_mins(1),
            },
        };
        Ok((access, self.environment.notion_version()?))
    }

    /// Access to Quo; `None` without a key.
    pub fn quo(&self) -> Result<Option<Access>, Failure> {
        self.check()?;
        let Some(key) = self.environment.key(&QUO_KEY)? else {
            return Ok(None);
        };
        let window = Window {
            requests: self.file.requests_per_second,
            period: Duration::from_secs(1),
        };
        let base = self.environment.quo_base()?;
        Ok(Some(Access { key, base, window }))
    }

    /// Settings of the main job.
    pub fn sync(&self) -> Result<sync::Settings, Failure> {
        self.check()?;
        let database = self.environment.clients_database()?;
        Ok(sync::Settings {
            clients_database: database.ok_or_else(no_database)?,
            columns: self.file.columns.clone(),
            tags_field: self.file.tags_field.clone(),
            contacts_ttl: self.file.contacts_ttl,
            zone: self.zone(),
            settle: self.file.settle.unsigned_abs(),
            choice: self.file.choice.clone(),
        })
    }

    /// When to try again what has failed.
    pub fn patience(&self) -> Patience {
        Patience {
            attempts: self.file.attempts,
            first_retry: self.file.first_retry.unsigned_abs(),
        }
    }

    /// How long finished events are kept whole.
    pub fn keep_done(&self) -> Duration {
        self.file.keep_done.unsigned_abs()
    }

    /// Where alerts go.
    pub fn alert(&self) -> Result<Option<BaseUrl>, Failure> {
        self.environment.alert()
    }

    /// By which proxy other machines are reached.
    pub fn proxies(&self) -> Result<Proxies, Failure> {
        self.environment.proxies()
    }

    /// Zone of times in entries, and of dates on the command line.
    pub fn zone(&self) -> TimeZone {
        let named = self.file.timezone.clone();
        named.unwrap_or_else(|| zone::of_machine(self.environment.get(&["TZ"]).is_some()))
    }
}

/// What has to be certain before anything is read.
struct Door {
    dir: Site,
    store: Place,
    signature: SignatureSettings,
    deadline: Option<Duration>,
}

impl Door {
    fn load(args: &Args, environment: &Environment, dir: &Path) -> Result<Self, Vec<Failure>> {
        let mut refused = Vec::new();
        let deadline = noted(&mut refused, deadline(args.deadline.as_deref()));
        let signature = noted(&mut refused, signature(&args.sync, environment));
        let folder = noted(&mut refused, place::folder(dir));
        let state = args.state.as_deref().or_else(|| {
            let shared = environment.get(&["DATABASE_URL", "SUPABASE_DB_URL"]);
            environment.get(&["QUOTION_STATE"]).or(shared)
        });
        let path = folder.as_ref().map_or(dir, |folder| &folder.path);
        let store = noted(&mut refused, place::store(state, path));
        match (deadline, signature, folder, store) {
            (Some(deadline), Some(signature), Some(dir), Some(store)) => Ok(Self {
                dir,
                store,
                signature,
                deadline,
            }),
            _ => Err(refused),
        }
    }
}

fn no_notion_key() -> Failure {
    Failure::config(
        "NOTION_API_KEY is not set",
        "make an integration at notion.so/my-integrations and set its token",
    )
}

fn no_database() -> Failure {
    Failure::config(
        "NOTION_CLIENTS_DATABASE_ID is not set",
        "set it to the Clients database's link or id",
    )
}

/// Why a file of settings is not believed: others than `owners` may have written it.
fn distrusted(path: &Path, contents: &Contents, owners: &[u32]) -> Option<Failure> {
    let shown = path.display();
    if contents.others_write {
        let hint = format!("look at what it says, then chmod go-w {shown}");
        return Some(Failure::config(
            format!("{shown} can be written by others, and is not believed"),
            hint,
        ));
    }
    let foreign = !owners.contains(&contents.uid);
    foreign.then(|| {
        let owner = files::name_of(contents.uid);
        Failure::config(
            format!("{shown} belongs to {owner}, and is not believed"),
            "settings belong to the user who runs quotion, or to root",
        )
    })
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
        required: args.require_signature || environment.protects("QUOTION_REQUIRE_SIGNATURE")?,
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

/// The deadline of one payload that begins now.
pub fn starting_now(length: Option<Duration>) -> Deadline {
    length.map_or_else(Deadline::none, Deadline::within)
}
