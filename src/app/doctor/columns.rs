//! The columns of the Clients database against what is used, and the `[clients]` block that fits
//! them.

use serde_json::json;

use crate::domain::columns::{ColumnNames, Columns};
use crate::domain::reply;
use crate::domain::table::{self, Column, ColumnKind, Misfit, Schema, Value};
use crate::time;

use super::check::Check;

/// Without these no sync works.
pub const NEEDED: &str = "clients_columns_needed";
/// What stays empty without these.
pub const USED: &str = "clients_columns_used";
/// Settings to copy.
pub const BLOCK: &str = "clients_block";

/// A column that is used if it is there.
struct Use<'a> {
    key: &'static str,
    name: &'a str,
    value: Option<Value>,
    /// True if its absence is nothing to speak of.
    is_optional: bool,
}

fn uses(names: &ColumnNames) -> Vec<Use<'_>> {
    let text = || Some(Value::Text("a@example.com".to_owned()));
    let time = || Some(Value::Time(time::timestamp()));
    let words = Some(Value::Words(vec!["word".to_owned()]));
    let status = Some(Value::Text(names.new_status.clone()));
    let of = |key, name, value, is_optional| Use {
        key,
        name,
        value,
        is_optional,
    };
    vec![
        of("company", names.company.as_str(), text(), false),
        of("email", &names.email, text(), false),
        of("role", &names.role, text(), false),
        of("tags", &names.tags, words, false),
        of("status", &names.status, status, false),
        of("last_call", &names.last_call, time(), false),
        of("last_message", &names.last_message, time(), true),
        of("follow_up", &names.follow_up, None, true),
    ]
}

/// Those that are used if they are there: which are missing, and which are of a type that does not
/// take what belongs there.
pub fn used(columns: &Columns, names: &ColumnNames) -> Check {
    let (mut there, mut flaws) = (Vec::new(), Vec::new());
    for wanted in uses(names) {
        let name = wanted.name;
        match columns.find(name) {
            None if wanted.is_optional => {}
            None => flaws.push(format!("{name:?} is not there")),
            Some(column) => match misfit(&wanted, column) {
                Some(why) => flaws.push(format!("{name:?} {why}")),
                None => there.push(name),
            },
        }
    }
    if flaws.is_empty() {
        return Check::good(USED, there.join(", "));
    }
    Check::flawed(
        USED,
        format!("{}; the others: {}", flaws.join("; "), there.join(", ")),
        "what belongs there is left out: add the column in Notion or change its type, or name \
            another one in quotion.toml under [clients]",
    )
}

fn misfit(wanted: &Use, column: &Column) -> Option<String> {
    let Some(value) = &wanted.value else {
        let fits = reply::is_shown_by(column.kind);
        return (!fits).then(|| "is no checkbox, date, select or status".to_owned());
    };
    match table::fit(value, column) {
        Ok(_) => None,
        Err(Misfit::NoSuchOption(option)) => Some(format!("has no option {option:?}")),
        Err(Misfit::ReadOnly) => Some("cannot be written".to_owned()),
        Err(Misfit::WrongType | Misfit::TooLong | Misfit::Nothing) => Some(format!(
            "is of a type that does not take it ({:?})",
            column.kind
        )),
    }
}

/// The block for `quotion.toml`: names as they are, found or guessed by their type.
pub fn block(schema: &Schema, columns: &Columns, names: &ColumnNames) -> Check {
    let phones: Vec<&str> = columns
        .phones(names)
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let mut lines = vec!["[clients]".to_owned()];
    lines.push(match phones.as_slice() {
        [] => "# phone: no column of this type".to_owned(),
        [one] => format!("phone = {}", json!(one)),
        several => format!("phone = {}", json!(several)),
    });
    for wanted in uses(names) {
        let guess = || schema.only(kind_of(wanted.key)?);
        let found = columns.find(wanted.name).or_else(guess);
        lines.push(match found {
            Some(column) => format!("{} = {}", wanted.key, json!(column.name)),
            None => format!("# {}: no such column", wanted.key),
        });
    }
    Check::good(BLOCK, lines.join("\n"))
}

/// By which type a column may be known.
fn kind_of(key: &str) -> Option<ColumnKind> {
    match key {
        "email" => Some(ColumnKind::Email),
        "tags" => Some(ColumnKind::MultiSelect),
        "status" => Some(ColumnKind::Status),
        _ => None,
    }
}
