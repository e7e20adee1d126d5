//! The settings in force, each with where it comes from, as they may be shown to anybody: of a
//! secret only that it is set, of numbers only how many.
//!
//! Values that are wrong are not shown either: what is no id of a database may be a key.

use jiff::SignedDuration;

use crate::cli::Args;
use crate::domain::choice::NewPages;
use crate::domain::id::DatabaseId;
use crate::http::BaseUrl;
use crate::services::settings::Told;

use super::file::File;
use super::value::{NOTION_BASE, NOTION_VERSION, QUO_BASE};
use super::{
    CALLS_DATABASE, CLIENTS_DATABASE, Environment, MESSAGES_DATABASE, NOTION_KEY, QUO_KEY,
};

const DEFAULT: &str = "default";

/// How a value of the environment may be shown.
#[derive(Clone, Copy)]
enum Show {
    /// As it is.
    Plain,
    /// That it is set.
    Set,
    /// If it is an id.
    Id,
    /// If it is an address.
    Address,
}

/// All of them.
pub fn all(args: &Args, environment: &Environment, file: &File) -> Vec<Told> {
    let mut told = flags(args, environment);
    told.extend(variables(environment));
    told.extend(keys(file));
    told
}

fn flags(args: &Args, environment: &Environment) -> Vec<Told> {
    let flag = |flag: &str, value: Option<String>, names: &[&str], default: &str| match value {
        Some(value) => new(
            names.first().unwrap_or(&flag),
            value,
            format!("flag {flag}"),
        ),
        None => variable(environment, names, Show::Plain, Some(default)),
    };
    let path = |path: &Option<std::path::PathBuf>| Some(path.as_ref()?.display().to_string());
    let deadline = match &args.deadline {
        Some(deadline) => new("--deadline", deadline.clone(), "flag --deadline".into()),
        None => new("--deadline", "50s".into(), DEFAULT.into()),
    };
    let env_file = environment.path();
    let config = match &args.config {
        Some(path) => new(
            "--config",
            path.display().to_string(),
            "flag --config".into(),
        ),
        None => new("--config", "quotion.toml".into(), DEFAULT.into()),
    };
    vec![
        flag("--dir", path(&args.dir), &["QUOTION_DIR"], super::DIR),
        store(args, environment),
        config,
        Told {
            name: "--env-file".to_owned(),
            value: env_file.map(|path| path.display().to_string()),
            from: match &args.env_file {
                Some(_) => "flag --env-file".to_owned(),
                None => DEFAULT.to_owned(),
            },
        },
        deadline,
    ]
}

/// Where the store lies stands in its own check: an address holds a password.
fn store(args: &Args, environment: &Environment) -> Told {
    let names = ["QUOTION_STATE", "DATABASE_URL", "SUPABASE_DB_URL"];
    if args.state.is_some() {
        return new(names[0], "set".into(), "flag --state".into());
    }
    let own = variable(environment, &names[..1], Show::Set, None);
    if own.value.is_some() {
        return own;
    }
    let shared = variable(environment, &names[1..], Show::Set, None);
    if shared.value.is_some() {
        return shared;
    }
    new(names[0], "quotion.db in the folder".into(), DEFAULT.into())
}

fn variables(environment: &Environment) -> Vec<Told> {
    let one = |names: &[&str], show, default| variable(environment, names, show, default);
    let secrets = [
        "OPENPHONE_WEBHOOK_SECRET",
        "QUO_WEBHOOK_SECRET",
        "WEBHOOK_SECRET",
    ];
    let required = "QUOTION_REQUIRE_SIGNATURE";
    vec![
        one(&NOTION_KEY, Show::Set, None),
        one(&CLIENTS_DATABASE, Show::Id, None),
        one(&CALLS_DATABASE, Show::Id, None),
        one(&MESSAGES_DATABASE, Show::Id, None),
        one(&["NOTION_API_BASE"], Show::Address, Some(NOTION_BASE)),
        one(&["NOTION_VERSION"], Show::Plain, Some(NOTION_VERSION)),
        one(&QUO_KEY, Show::Set, None),
        one(
            &["OPENPHONE_API_BASE", "QUO_API_BASE"],
            Show::Address,
            Some(QUO_BASE),
        ),
        one(&secrets, Show::Set, None),
        one(&["NOTION_WEBHOOK_SECRET"], Show::Set, None),
        Told {
            value: Some(u8::from(environment.protects(required) != Ok(false)).to_string()),
            ..one(&[required], Show::Set, Some("0"))
        },
        one(&["ALERT_WEBHOOK_URL"], Show::Set, None),
        one(
            &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
            Show::Set,
            None,
        ),
        one(&["NO_PROXY", "no_proxy"], Show::Set, None),
        one(&["LOG_LEVEL", "RUST_LOG"], Show::Set, Some("warn")),
        one(&["TZ"], Show::Set, None),
    ]
}

fn variable(environment: &Environment, names: &[&str], show: Show, default: Option<&str>) -> Told {
    let first = names.first().copied().unwrap_or_default();
    let Some((told, value)) = environment.setting(names) else {
        let from = if default.is_some() {
            DEFAULT
        } else {
            "nowhere"
        };
        return Told {
            name: first.to_owned(),
            value: default.map(str::to_owned),
            from: from.to_owned(),
        };
    };
    let is_fit = match show {
        Show::Plain => value.len() < 100 && !crate::secret::looks_like_secret(value),
        Show::Set => false,
        Show::Id => DatabaseId::parse(value).is_ok(),
        Show::Address => BaseUrl::parse(value).is_ok(),
    };
    let shown = if is_fit { value } else { "set" };
    let from = if names.contains(&told.as_str()) {
        format!("environment ({told})")
    } else {
        told
    };
    new(first, shown.to_owned(), from)
}

fn keys(file: &File) -> Vec<Told> {
    let columns = &file.columns;
    let new_pages = match file.choice.new_pages {
        NewPages::Always => "always",
        NewPages::Known => "known",
        NewPages::Never => "never",
    };
    let span = |span: SignedDuration| format!("{span:#}");
    let count = |count: usize| format!("{count} numbers");
    let all = [
        ("[clients] phone", columns.phones.join(", ")),
        ("[clients] company", columns.company.clone()),
        ("[clients] email", columns.email.clone()),
        ("[clients] role", columns.role.clone()),
        ("[clients] tags", columns.tags.clone()),
        ("[clients] status", columns.status.clone()),
        ("[clients] new_status", columns.new_status.clone()),
        ("[clients] last_call", columns.last_call.clone()),
        ("[clients] last_message", columns.last_message.clone()),
        ("[clients] follow_up", columns.follow_up.clone()),
        ("[clients] new_pages", new_pages.to_owned()),
        ("[clients] ignore", count(file.choice.ignore.len())),
        ("[quo] numbers", count(file.choice.lines.len())),
        ("[quo] tags_field", file.tags_field.clone()),
        ("[quo] contacts_ttl", span(file.contacts_ttl)),
        (
            "[quo] requests_per_second",
            file.requests_per_second.to_string(),
        ),
        (
            "[notion] requests_per_minute",
            file.requests_per_minute.to_string(),
        ),
        ("[notion] settle", span(file.settle)),
        ("[notion] silence", span(file.silence)),
        ("[inbox] attempts", file.attempts.to_string()),
        ("[inbox] give_up", span(file.give_up)),
        ("[inbox] first_retry", span(file.first_retry)),
        ("[inbox] keep_done", span(file.keep_done)),
    ];
    let told = |(name, value)| new(name, value, from(file, name));
    let zone = file.timezone.as_ref();
    let zone = zone.map(|_| new("timezone", "set".into(), from(file, "timezone")));
    let machine = || new("timezone", "that of the machine".into(), DEFAULT.into());
    let zone = zone.unwrap_or_else(machine);
    std::iter::once(zone)
        .chain(all.into_iter().map(told))
        .collect()
}

fn from(file: &File, name: &str) -> String {
    match (&file.path, file.lines.get(name)) {
        (Some(path), Some(line)) => format!("{} line {line}", path.display()),
        (_, _) => DEFAULT.to_owned(),
    }
}

fn new(name: &str, value: String, from: String) -> Told {
    Told {
        name: name.to_owned(),
        value: Some(value),
        from,
    }
}
