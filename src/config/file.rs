//! The file `quotion.toml`: column names and choices. An unknown key is an error, because a
//! misspelt one would otherwise do nothing in silence.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::domain::id::NumberId;
use crate::domain::phone::{NumberPattern, Phone};
use crate::failure::Failure;
use crate::sync::columns::ColumnNames;
use crate::sync::people::{self, Choice};

/// Read without being named, if it is there.
const DEFAULT: &str = "quotion.toml";

/// The whole file.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Zone of times in entries.
    pub timezone: Option<String>,
    /// `[clients]`.
    pub clients: Clients,
    /// `[quo]`.
    pub quo: Quo,
    /// `[notion]`.
    pub notion: Notion,
    /// `[inbox]`.
    pub inbox: Inbox,
}

/// Column names of the Clients database.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clients {
    phone: String,
    company: String,
    email: String,
    role: String,
    tags: String,
    status: String,
    new_status: String,
    last_call: String,
    last_message: String,
    new_pages: NewPages,
    ignore: Vec<String>,
}

/// Who gets a page that has none.
#[derive(Debug, Clone, Copy, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum NewPages {
    #[default]
    Always,
    Known,
    Never,
}

/// Choices about Quo.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quo {
    /// The custom field that holds tags.
    pub tags_field: String,
    /// How long the contact index is believed.
    pub contacts_ttl: String,
    /// Most requests in a second.
    pub requests_per_second: u32,
    /// Own lines to sync.
    numbers: Vec<String>,
}

/// Choices about Notion.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notion {
    /// Most requests in a minute.
    pub requests_per_minute: u32,
    /// After a write of unknown outcome: how long until a look that finds nothing is believed.
    pub settle: String,
}

/// Choices about the inbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inbox {
    /// After so many failures an event is dead.
    pub attempts: u32,
    /// Wait after the first failure.
    pub first_retry: String,
    /// How long finished events are kept whole.
    pub keep_done: String,
}

impl File {
    /// Reads `path`, which must exist; or the default file, if it does.
    pub fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let named = path.unwrap_or(Path::new(DEFAULT));
        let shown = named.display();
        let text = match fs::read_to_string(named) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound && path.is_none() => {
                return Ok(Self::default());
            }
            Err(err) => {
                return Err(Failure::config(
                    format!("cannot read {shown}: {err}"),
                    "check the path in --config",
                ));
            }
        };
        let file: Self = toml::from_str(&text).map_err(|err| {
            let line = |start: usize| 1 + text[..start].matches('\n').count();
            let line = err
                .span()
                .map_or(String::new(), |span| format!(" line {}", line(span.start)));
            Failure::config(
                format!("{shown}{line}: {}", err.message()),
                "the README lists every key with its default",
            )
        })?;
        file.check()
    }

    /// Which lines and numbers the user wants.
    pub fn choice(&self) -> Result<Choice, Failure> {
        let pattern = |written: &String| {
            NumberPattern::parse(written).ok_or_else(|| {
                Failure::config(
                    format!("ignore = [{written:?}] is no number"),
                    "write numbers with their country code, \"+12025550147\", or \"+1900*\"",
                )
            })
        };
        for line in &self.quo.numbers {
            let usable = Phone::parse(line).is_some() || NumberId::parse(line).is_ok();
            if !usable {
                return Err(Failure::config(
                    format!("[quo] numbers = [{line:?}] is no line"),
                    "name lines by number, \"+14155550110\", or by id, \"PN…\"",
                ));
            }
        }
        Ok(Choice {
            lines: self.quo.numbers.clone(),
            ignore: self
                .clients
                .ignore
                .iter()
                .map(pattern)
                .collect::<Result<_, _>>()?,
            new_pages: match self.clients.new_pages {
                NewPages::Always => people::NewPages::Always,
                NewPages::Known => people::NewPages::Known,
                NewPages::Never => people::NewPages::Never,
            },
        })
    }

    fn check(self) -> Result<Self, Failure> {
        let zero = self.quo.requests_per_second == 0 || self.notion.requests_per_minute == 0;
        if zero {
            Err(Failure::config(
                "a rate of 0 requests would never do anything",
                "use 1 or more",
            ))
        } else {
            Ok(self)
        }
    }
}

impl Clients {
    /// The names in the form that the sync uses.
    pub fn names(&self) -> ColumnNames {
        let this = self.clone();
        ColumnNames {
            phone: this.phone,
            company: this.company,
            email: this.email,
            role: this.role,
            tags: this.tags,
            status: this.status,
            new_status: this.new_status,
            last_call: this.last_call,
            last_message: this.last_message,
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        let names = ColumnNames::default();
        Self {
            phone: names.phone,
            company: names.company,
            email: names.email,
            role: names.role,
            tags: names.tags,
            status: names.status,
            new_status: names.new_status,
            last_call: names.last_call,
            last_message: names.last_message,
            new_pages: NewPages::default(),
            ignore: Vec::new(),
        }
    }
}

impl Default for Quo {
    fn default() -> Self {
        Self {
            tags_field: "Tags".into(),
            contacts_ttl: "6h".into(),
            requests_per_second: 10,
            numbers: Vec::new(),
        }
    }
}

impl Default for Notion {
    fn default() -> Self {
        Self {
            requests_per_minute: 180,
            settle: "10s".into(),
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            attempts: 8,
            first_retry: "30s".into(),
            keep_done: "30d".into(),
        }
    }
}
