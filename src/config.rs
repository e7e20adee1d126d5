//! Settings: flags, environment, `.env` and `quotion.toml`, put together and checked.
//!
//! All are checked at the start of every run. What concerns the folder, the store or the signature
//! ends it there; anything else is kept in mind, and the events are kept. What only some events
//! need (keys, databases) may be missing until it is asked for.

mod env_file;
mod environment;
mod file;
mod place;
mod span;
mod told;
mod value;
mod zone;

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use crate::cli::{Args, Command, SyncArgs};
use crate::domain::failure::Failure;
use crate::files::{self, Contents, Site};
use crate::http::{BaseUrl, Window};
use crate::secret::Secret;
use crate::services::settings::{Access, Settings, SignatureCheck, joined};
use crate::signature::{Headers, Secrets, Tolerance};
use crate::store::{Place, RetryPolicy};

pub use environment::Environment;
pub use span::{Clock, duration, moment};
use value::Variables;

const DIR: &str = ".tmp";
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
const DEADLINE: SignedDuration = SignedDuration::from_secs(50);
const NOTION_KEY: [&str; 2] = ["NOTION_API_KEY", "NOTION_API_TOKEN"];
const QUO_KEY: [&str; 2] = ["OPENPHONE_API_KEY", "QUO_API_KEY"];
const CLIENTS_DATABASE: [&str; 2] = ["NOTION_CLIENTS_DATABASE_ID", "NOTION_CANVAS_DATABASE_ID"];
const CALLS_DATABASE: [&str; 1] = ["NOTION_CALLS_DATABASE_ID"];
const MESSAGES_DATABASE: [&str; 1] = ["NOTION_MESSAGES_DATABASE_ID"];

/// Puts flags, environment and file together, and checks all of it. Run by root in another user's
/// folder, the process goes on as that user. Fails where nothing may begin; what else is wrong is
/// kept in [`Settings::wrong`].
pub fn load(args: &Args, mut environment: Environment) -> Result<Settings, Failure> {
    for warning in &environment.warnings {
        log::warn!("{warning}");
    }
    let mut wrong = std::mem::take(&mut environment.failures);
    let values = Variables::read(&environment, &mut wrong);
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
    if let Some(uid) = environment.stranger {
        place::owned_by(&door.dir, uid)?;
    }
    place::go_on_as_owner(&door.dir, &door.store)?;
    let by_variable = environment.get(&["TZ"]).is_some();
    let told = if matches!(args.command, Some(Command::Doctor(_))) {
        told::all(args, &environment, &file)
    } else {
        Vec::new()
    };
    let notion_window = Window {
        requests: file.requests_per_minute,
        period: Duration::from_mins(1),
    };
    let quo_window = Window {
        requests: file.requests_per_second,
        period: Duration::from_secs(1),
    };
    Ok(Settings {
        dir: door.dir.path,
        store: door.store,
        signature: door.signature,
        deadline: door.deadline,
        dry_run: args.dry_run(),
        notion: access(values.notion_key, values.notion_base, notion_window),
        notion_version: values.notion_version,
        quo: access(values.quo_key, values.quo_base, quo_window),
        clients_database: values.clients_database,
        calls_database: values.calls_database,
        messages_database: values.messages_database,
        columns: file.columns,
        tags_field: file.tags_field,
        contacts_ttl: file.contacts_ttl,
        has_zone: file.timezone.is_some(),
        zone: file
            .timezone
            .unwrap_or_else(|| zone::of_machine(by_variable)),
        settle: file.settle.unsigned_abs(),
        silence: file.silence.unsigned_abs(),
        choice: file.choice,
        retry_policy: RetryPolicy {
            attempts: file.attempts,
            give_up: file.give_up.unsigned_abs(),
            first_retry: file.first_retry.unsigned_abs(),
        },
        keep_done: file.keep_done.unsigned_abs(),
        alert: values.alert,
        in_colour: environment.get(&["NO_COLOR"]).is_none()
            && environment.get(&["TERM"]) != Some("dumb"),
        proxies: values.proxies,
        told,
        missing: values.missing,
        wrong: joined(wrong),
    })
}

fn access(key: Option<Secret>, base: Option<BaseUrl>, window: Window) -> Option<Access> {
    let (key, base) = key.zip(base)?;
    Some(Access { key, base, window })
}

/// What has to be certain before anything is read.
struct Door {
    dir: Site,
    store: Place,
    signature: SignatureCheck,
    deadline: Option<Duration>,
}

impl Door {
    fn load(args: &Args, environment: &Environment, dir: &Path) -> Result<Self, Vec<Failure>> {
        let mut refused = Vec::new();
        let deadline = noted(&mut refused, deadline(args.deadline.as_deref()));
        let signature = noted(&mut refused, signature(&args.sync, environment));
        let folder = noted(&mut refused, place::folder(dir));
        let path = folder.as_ref().map_or(dir, |folder| &folder.path);
        let store = noted(&mut refused, store(args, environment, path));
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

/// Where the store lies: as one says who runs Quotion, else on the server that all programs are
/// told of, else in the folder.
fn store(args: &Args, environment: &Environment, dir: &Path) -> Result<Place, Failure> {
    if let Some(state) = &args.state {
        return place::store("--state", state, dir);
    }
    if let Some((told, state)) = environment.setting(&["QUOTION_STATE"]) {
        return place::store(&told, state, dir);
    }
    match environment.setting(&["DATABASE_URL", "SUPABASE_DB_URL"]) {
        Some((told, url)) => place::server(&told, url),
        None => Ok(place::own_store(dir)),
    }
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
            "settings belong to the user who runs quotion, or to root; run by root, those of the \
                owner of the folder count if --dir or QUOTION_DIR in the environment names it",
        )
    })
}

fn signature(args: &SyncArgs, environment: &Environment) -> Result<SignatureCheck, Failure> {
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
    Ok(SignatureCheck {
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

/// The value, or `None` and its failure noted.
fn noted<T>(failures: &mut Vec<Failure>, value: Result<T, Failure>) -> Option<T> {
    value.map_err(|failure| failures.push(failure)).ok()
}
