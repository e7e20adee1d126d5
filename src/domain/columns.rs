//! Which column is meant: by its configured name, else by the id it had when it still had that
//! name.
//!
//! Pure; the remembered ids are loaded and saved by `gather`.

use std::collections::BTreeMap;

use super::profile::same;
use super::table::{Column, ColumnKind, Schema};

/// Names of the columns, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNames {
    /// Phone numbers, the key: all of them are searched, the first is written. At least one.
    pub phones: Vec<String>,
    /// Company.
    pub company: String,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: String,
    /// Tags.
    pub tags: String,
    /// Status.
    pub status: String,
    /// Value of the status on a new page.
    pub new_status: String,
    /// Time of the last call.
    pub last_call: String,
    /// Time of the last message; without this column `last_call` is used.
    pub last_message: String,
    /// Whether the client waits for an answer; without this column nothing is said of it.
    pub follow_up: String,
}

impl Default for ColumnNames {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            phones: vec![name("Phone")],
            company: name("Company"),
            email: name("Email"),
            role: name("Role"),
            tags: name("Tags"),
            status: name("Status"),
            new_status: name("New Import"),
            last_call: name("Last Call"),
            last_message: name("Last Message"),
            follow_up: name("Follow-up"),
        }
    }
}

impl ColumnNames {
    /// Keys of the settings that name columns.
    pub const KEYS: [&str; 9] = [
        "phone",
        "company",
        "email",
        "role",
        "tags",
        "status",
        "last_call",
        "last_message",
        "follow_up",
    ];

    /// Keys of settings that name the column of another one, with that one's. Their values would
    /// overwrite each other; and without its number nobody is found again. Calls and messages may
    /// move the same date.
    pub fn shared(&self) -> Vec<(&'static str, &'static str)> {
        let [phone, others @ ..] = Self::KEYS;
        let keys = std::iter::repeat_n(phone, self.phones.len()).chain(others);
        let all: Vec<(&str, &str)> = keys.zip(self.all()).collect();
        let mut shared = Vec::new();
        for (place, (key, name)) in all.iter().enumerate() {
            let mut before = all[..place].iter();
            let other = before.find(|(other, taken)| other != key && same(taken, name));
            if let Some((other, _)) = other
                && (*other, *key) != ("last_call", "last_message")
            {
                shared.push((*key, *other));
            }
        }
        shared
    }
}

/// Ids of columns by configured name, as last seen.
pub type RememberedIds = BTreeMap<String, String>;

/// A database's columns, found by configured names.
#[derive(Debug, Clone)]
pub struct Columns {
    schema: Schema,
    ids: RememberedIds,
}

impl Columns {
    /// Looks every name up; what a name meant before is kept for when it is gone.
    pub fn new(schema: Schema, names: &ColumnNames, mut ids: RememberedIds) -> Self {
        for name in names.all() {
            if let Some(column) = schema.named(name) {
                ids.insert(name.to_owned(), column.id.clone());
            }
        }
        Self { schema, ids }
    }

    /// The ids to remember.
    pub fn ids(&self) -> &RememberedIds {
        &self.ids
    }

    /// The title column.
    pub fn title(&self) -> Option<&Column> {
        self.schema.title()
    }

    /// The column that `name` means or meant.
    pub fn find(&self, name: &str) -> Option<&Column> {
        let remembered = || self.ids.get(name).and_then(|id| self.schema.by_id(id));
        self.schema.named(name).or_else(remembered)
    }

    /// The phone columns that there are; if no name means anything, the only column of type phone
    /// number.
    pub fn phones(&self, names: &ColumnNames) -> Vec<&Column> {
        let mut found: Vec<&Column> = Vec::new();
        for column in names.phones.iter().filter_map(|name| self.find(name)) {
            if found.iter().all(|other| other.id != column.id) {
                found.push(column);
            }
        }
        if found.is_empty() {
            found.extend(self.schema.only(ColumnKind::PhoneNumber));
        }
        found
    }

    /// The phone column that is written.
    pub fn phone(&self, names: &ColumnNames) -> Option<&Column> {
        self.phones(names).into_iter().next()
    }
}

impl ColumnNames {
    /// Of each of [`Self::KEYS`], in that order; of the phones all.
    fn all(&self) -> impl Iterator<Item = &str> {
        let others = [
            &self.company,
            &self.email,
            &self.role,
            &self.tags,
            &self.status,
            &self.last_call,
            &self.last_message,
            &self.follow_up,
        ];
        self.phones.iter().chain(others).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(names: &[(&str, &str, ColumnKind)]) -> Schema {
        let column = |(id, name, kind): &(&str, &str, ColumnKind)| Column {
            id: (*id).into(),
            name: (*name).into(),
            kind: *kind,
            options: vec![],
        };
        Schema {
            columns: names.iter().map(column).collect(),
        }
    }

    #[test]
    fn renamed_column_is_found_by_the_id_it_had() {
        let names = ColumnNames::default();
        let before = schema(&[
            ("a", "phone", ColumnKind::RichText),
            ("c", "Company", ColumnKind::RichText),
        ]);
        let ids = Columns::new(before, &names, RememberedIds::new())
            .ids()
            .clone();
        let after = schema(&[
            ("a", "Mobile", ColumnKind::RichText),
            ("c", "Firma", ColumnKind::RichText),
        ]);
        let columns = Columns::new(after, &names, ids);
        assert_eq!(
            columns.phone(&names).map(|column| column.name.as_str()),
            Some("Mobile")
        );
        assert_eq!(
            columns.find("Company").map(|column| column.name.as_str()),
            Some("Firma")
        );
    }

    #[test]
    fn phone_column_is_also_known_by_its_type_if_there_is_only_one() {
        let names = ColumnNames::default();
        let find = |schema| {
            Columns::new(schema, &names, RememberedIds::new())
                .phone(&names)
                .map(|c| c.id.clone())
        };
        let phone = ColumnKind::PhoneNumber;
        assert_eq!(find(schema(&[("m", "Mobile", phone)])), Some("m".into()));
        assert_eq!(
            find(schema(&[("m", "Mobile", phone), ("f", "Fax", phone)])),
            None
        );
    }

    #[test]
    fn of_several_phone_columns_those_that_are_there_count_in_their_order() {
        let names = ColumnNames {
            phones: ["Mobile", "Home", "mobile", "Phone"].map(Into::into).into(),
            ..ColumnNames::default()
        };
        let schema = schema(&[
            ("p", "Phone", ColumnKind::PhoneNumber),
            ("m", "Mobile", ColumnKind::RichText),
        ]);
        let columns = Columns::new(schema, &names, RememberedIds::new());
        let ids: Vec<&str> = columns
            .phones(&names)
            .iter()
            .map(|column| column.id.as_str())
            .collect();
        assert_eq!(ids, ["m", "p"]);
    }
}
