//! Single values of the environment: what each has to be, whatever it is used for.

use crate::domain::failure::Failure;
use crate::domain::id::DatabaseId;
use crate::http::{BaseUrl, Proxies};
use crate::secret::Secret;
use crate::services::settings::Required;

use super::{
    CALLS_DATABASE, CLIENTS_DATABASE, Environment, MESSAGES_DATABASE, NOTION_KEY, QUO_KEY, noted,
};

pub(super) const QUO_BASE: &str = "https://api.quo.com/v1";
pub(super) const NOTION_BASE: &str = "https://api.notion.com/v1";
pub(super) const NOTION_VERSION: &str = "2022-06-28";

/// What the environment says, each value checked.
pub struct Variables {
    pub notion_key: Option<Secret>,
    pub notion_base: Option<BaseUrl>,
    pub notion_version: String,
    pub quo_key: Option<Secret>,
    pub quo_base: Option<BaseUrl>,
    pub clients_database: Option<DatabaseId>,
    pub calls_database: Option<DatabaseId>,
    pub messages_database: Option<DatabaseId>,
    pub alert: Option<BaseUrl>,
    pub proxies: Proxies,
    /// What is needed and not set.
    pub missing: Vec<Required>,
}

impl Variables {
    /// Reads them; what is wrong is noted, and missing.
    pub fn read(environment: &Environment, wrong: &mut Vec<Failure>) -> Self {
        Self {
            notion_key: noted(wrong, environment.key(&NOTION_KEY)).flatten(),
            quo_key: noted(wrong, environment.key(&QUO_KEY)).flatten(),
            notion_base: noted(wrong, environment.notion_base()),
            quo_base: noted(wrong, environment.quo_base()),
            notion_version: noted(wrong, environment.notion_version()).unwrap_or_default(),
            clients_database: noted(wrong, environment.database(&CLIENTS_DATABASE)).flatten(),
            calls_database: noted(wrong, environment.database(&CALLS_DATABASE)).flatten(),
            messages_database: noted(wrong, environment.database(&MESSAGES_DATABASE)).flatten(),
            alert: noted(wrong, environment.alert()).flatten(),
            proxies: noted(wrong, environment.proxies()).unwrap_or_default(),
            missing: environment.missing(),
        }
    }
}

impl Environment {
    fn missing(&self) -> Vec<Required> {
        let key = self.lacks(&NOTION_KEY).then_some(Required::NotionKey);
        let database = self.lacks(&CLIENTS_DATABASE);
        let database = database.then_some(Required::ClientsDatabase);
        key.into_iter().chain(database).collect()
    }

    fn notion_base(&self) -> Result<BaseUrl, Failure> {
        self.base(&["NOTION_API_BASE"], NOTION_BASE)
    }

    fn notion_version(&self) -> Result<String, Failure> {
        let Some((name, version)) = self.setting(&["NOTION_VERSION"]) else {
            return Ok(NOTION_VERSION.to_owned());
        };
        // The parser takes other spellings of a date too; Notion takes only this one.
        let is_version = version
            .parse::<jiff::civil::Date>()
            .is_ok_and(|date| date.to_string() == version);
        is_version.then(|| version.to_owned()).ok_or_else(|| {
            Failure::config(
                format!("{name} is no version"),
                "versions are dates; the default is 2022-06-28",
            )
        })
    }

    fn quo_base(&self) -> Result<BaseUrl, Failure> {
        self.base(&["OPENPHONE_API_BASE", "QUO_API_BASE"], QUO_BASE)
    }

    /// A key, fit to be sent.
    fn key(&self, names: &[&str]) -> Result<Option<Secret>, Failure> {
        let Some((name, key)) = self.setting(names) else {
            return Ok(None);
        };
        if key.bytes().all(|sign| sign.is_ascii_graphic()) {
            return Ok(Some(Secret::new(key)));
        }
        Err(Failure::config(
            format!("{name} holds a character that no key has, perhaps an invisible one"),
            "copy the key anew, without quotes of a word processor, blanks or line ends in it",
        ))
    }

    fn base(&self, names: &[&str], default: &str) -> Result<BaseUrl, Failure> {
        let set = self.setting(names);
        let (name, url) = set.unwrap_or_else(|| (names[0].to_owned(), default));
        let base = BaseUrl::parse(url).map_err(|why| {
            Failure::config(
                format!("{name}: {why}"),
                "https, or http to a loopback address",
            )
        })?;
        Ok(base.with_version())
    }

    /// A database, if it is named.
    fn database(&self, names: &[&str]) -> Result<Option<DatabaseId>, Failure> {
        let Some((name, id)) = self.setting(names) else {
            return Ok(None);
        };
        DatabaseId::parse(id).map(Some).map_err(|_| {
            Failure::config(
                format!("{name} holds no Notion id"),
                "copy the link of the database (··· > Copy link)",
            )
        })
    }

    /// Where alerts go.
    fn alert(&self) -> Result<Option<BaseUrl>, Failure> {
        let Some((name, url)) = self.setting(&["ALERT_WEBHOOK_URL"]) else {
            return Ok(None);
        };
        // The address is as good as a key: it is not shown.
        BaseUrl::parse(url).map(Some).map_err(|_| {
            Failure::config(
                format!("{name} is no usable address"),
                "it must be https, without query",
            )
        })
    }

    /// By which proxy other machines are reached. `HTTP_PROXY` is of no use: plain http goes to
    /// this machine only, and under CGI whoever asks can set it.
    fn proxies(&self) -> Result<Proxies, Failure> {
        let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let except = self.get(&["NO_PROXY", "no_proxy"]);
        let Some((name, url)) = self.setting(&names) else {
            return Ok(Proxies::default());
        };
        // What has no scheme may be anything, a password too.
        let scheme = url.split_once("://").unwrap_or_default().0;
        let is_http = ["http", "https"].map(|known| scheme.eq_ignore_ascii_case(known));
        let usable = is_http.contains(&true).then_some(url);
        let proxies = usable.and_then(|url| Proxies::parse(url, except.unwrap_or_default()));
        proxies.ok_or_else(|| {
            Failure::config(
                format!("{name} is no address of a proxy"),
                "write it as http://host:port",
            )
        })
    }
}
