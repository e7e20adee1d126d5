//! Notion: the key, the databases, what is in them.

use std::time::Duration;

use crate::domain::columns::Columns;
use crate::domain::failure::{Cause, Failure};
use crate::domain::id::DatabaseId;
use crate::domain::table::ColumnKind;
use crate::notion::database::{self, Table};
use crate::notion::{self, Notion};
use crate::services::Services;
use crate::services::settings::{Required, Settings};
use crate::sync;
use crate::time::Deadline;

use super::check::{Check, Report};
use super::{clock, columns, rows};

const KEY: &str = "notion_key";
const CLIENTS: &str = "notion_clients";
const CLOCK: &str = "notion_clock";
const UNSEEN: &str = "not seen: Notion does not let us in, or has not been asked";
/// Longest time for the key and the databases.
const TIME: Duration = Duration::from_secs(10);

/// What there is to say of Notion.
pub fn check(services: &Services, samples: usize, report: &mut Report) {
    let settings = &services.settings;
    let Some(notion) = services.notion_alone() else {
        report.add(if settings.missing.contains(&Required::NotionKey) {
            Check::failed(KEY, &Required::NotionKey.is_not_set())
        } else {
            Check::unknown(KEY, "cannot be used, see settings", "")
        });
        match is_unset(settings) {
            Some(check) => report.add(check),
            None => unseen(CLIENTS, report),
        }
        clients_unseen(report);
        return activities_unseen(services, report);
    };
    let deadline = Deadline::within(TIME);
    let key = notion.check_key(deadline);
    let is_in = key.is_ok();
    report.add(match key {
        Ok(()) => Check::good(KEY, "Notion takes it"),
        Err(err) => Check::failed(KEY, &err.into()),
    });
    report.add(clock::skew(CLOCK, notion.ahead()));
    let at = InReach {
        services,
        notion: &notion,
        deadline,
        samples,
    };
    match &settings.clients_database {
        Some(id) if is_in => at.clients(id, report),
        Some(_) => {
            unseen(CLIENTS, report);
            clients_unseen(report);
        }
        None => {
            let unusable = || Check::unknown(CLIENTS, "cannot be used, see settings", "");
            report.add(is_unset(settings).unwrap_or_else(unusable));
            clients_unseen(report);
        }
    }
    if !is_in {
        return activities_unseen(services, report);
    }
    for (check, id, key) in activities(services) {
        report.add(match id {
            Some(id) => at.activities(check, id, key),
            None => Check::unknown(check, "not set", ""),
        });
    }
}

fn is_unset(settings: &Settings) -> Option<Check> {
    let required = Required::ClientsDatabase;
    let is_missing = settings.missing.contains(&required);
    is_missing.then(|| Check::failed(CLIENTS, &required.is_not_set()))
}

/// The databases of activities, each with the column that is its key.
fn activities(services: &Services) -> [(&'static str, Option<&DatabaseId>, &'static str); 2] {
    let settings = &services.settings;
    [
        ("notion_calls", settings.calls_database.as_ref(), "Call ID"),
        (
            "notion_messages",
            settings.messages_database.as_ref(),
            "Message ID",
        ),
    ]
}

fn activities_unseen(services: &Services, report: &mut Report) {
    for (check, id, _) in activities(services) {
        let message = id.map_or("not set", |_| UNSEEN);
        report.add(Check::unknown(check, message, ""));
    }
}

fn unseen(check: &str, report: &mut Report) {
    report.add(Check::unknown(check, UNSEEN, ""));
}

fn clients_unseen(report: &mut Report) {
    for check in [columns::NEEDED, columns::USED, columns::BLOCK, rows::TWINS] {
        unseen(check, report);
    }
}

/// A vendor that answers.
struct InReach<'a> {
    services: &'a Services,
    notion: &'a Notion,
    deadline: Deadline,
    samples: usize,
}

impl InReach<'_> {
    fn clients(&self, id: &DatabaseId, report: &mut Report) {
        let names = &self.services.settings.columns;
        let (table, object) = match self.notion.fetch_table(id, &names.phones, self.deadline) {
            Ok(found) => found,
            Err(err) => {
                report.add(Check::failed(CLIENTS, &err.into()));
                return clients_unseen(report);
            }
        };
        let what = match &table {
            Table::Database(id) => format!("database {id}"),
            Table::DataSource(id) => format!("data source {id}"),
        };
        report.add(Check::good(CLIENTS, format!("{what} can be read")));
        let Some(schema) = database::read_schema(&object) else {
            return clients_unseen(report);
        };
        // As a sync sees them: a renamed one is still known.
        let store = self.services.store().ok();
        let ids = store.and_then(|store| sync::remembered_ids(store, id).ok());
        let all: Vec<String> = schema.columns.iter().map(|it| it.name.clone()).collect();
        let columns = Columns::new(schema.clone(), names, ids.unwrap_or_default());
        let phones = sync::phone_columns(&columns, names);
        report.add(if phones.is_empty() {
            Check::failed(columns::NEEDED, &no_phone(&names.phones, &all))
        } else {
            let names: Vec<&str> = phones.iter().map(|column| column.name.as_str()).collect();
            let title = columns.title().map_or("", |title| title.name.as_str());
            let message = format!("phone: {}; title: {title}", names.join(", "));
            Check::good(columns::NEEDED, message)
        });
        report.add(columns::used(&columns, names));
        report.add(columns::block(&schema, &columns, names));
        rows::check(self.notion, &table, &phones, report);
        if self.samples > 0 {
            rows::samples(self.notion, &table, (&schema, self.samples), report);
        }
    }

    fn activities(&self, check: &str, id: &DatabaseId, key: &str) -> Check {
        let keys = [key.to_owned()];
        let object = match self.notion.fetch_table(id, &keys, self.deadline) {
            Ok((_, object)) => object,
            Err(notion::Error::Unusable(what)) => {
                let message = format!("what is set names no database that can be used: {what}");
                let hint = "take the link from the menu ··· of the database itself";
                return Check::failed(check, &Failure::config(message, hint));
            }
            Err(err) => return Check::failed(check, &err.into()),
        };
        let schema = database::read_schema(&object).unwrap_or_default();
        let holds = |kind| matches!(kind, ColumnKind::Title | ColumnKind::RichText);
        if schema.named(key).is_some_and(|column| holds(column.kind)) {
            return Check::good(check, format!("can be read; its key is {key:?}"));
        }
        let message = format!("it has no title or text column called {key:?}, which is its key");
        Check::failed(check, &Failure::config(message, "add the column in Notion"))
    }
}

fn no_phone(names: &[String], all: &[String]) -> Failure {
    let message = format!(
        "the Clients database has no phone or text column called {:?}; it has: {}",
        names.join("\" or \""),
        all.join(", ")
    );
    let hint = "set the column's name in quotion.toml under [clients], or add it in Notion";
    Failure::config(message, hint).held_by(Cause::PHONE_COLUMN)
}
