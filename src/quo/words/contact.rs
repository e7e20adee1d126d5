//! A contact: four shapes, one record.
//!
//! v1 of the API has the known fields in `defaultFields`; 2026-03-30 has e-mails, phone numbers and
//! custom fields apart; deliveries of v2 have a list `fields` of name, type and value, those of v3
//! a map `fields` from label to one or several values. Where no type is given, the value's look
//! tells. <https://www.quo.com/docs/mdx/api-reference/contacts/list-contacts>

use jiff::civil::Date;

use super::fields::{Fields, each_entry, loose_texts};
use crate::domain::id::ContactId;
use crate::domain::profile::{Contact, Field, FieldValue, non_blank};

/// How many digits a value has that looks like a phone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=18;

/// The fields of a contact.
pub const NAMES: &[&str] = &[
    "id",
    "firstName",
    "lastName",
    "company",
    "role",
    "emails",
    "phoneNumbers",
    "customFields",
    "defaultFields",
    "fields",
    "updatedAt",
];

const ITEM: &[&str] = &["name", "key", "type", "value"];

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Email,
    Phone,
    Other,
}

/// A contact as it is now, or as it was when it was deleted. `None` without a usable id.
pub fn read(fields: &Fields) -> Option<Contact> {
    let id = fields.id("id", ContactId::parse)?;
    let defaults = fields
        .raw("defaultFields")
        .and(fields.object("defaultFields", NAMES));
    let person = defaults.as_ref().unwrap_or(fields);
    let names = [person.word("firstName"), person.word("lastName")];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let mut contact = Contact {
        id: id.without_prefix().unwrap_or(id),
        name: non_blank(&names.join(" ")),
        company: person.word("company"),
        role: person.word("role"),
        email: None,
        phones: Vec::new(),
        fields: Vec::new(),
        updated_at: fields.time("updatedAt"),
    };
    for (list, look) in [("emails", Slot::Email), ("phoneNumbers", Slot::Phone)] {
        person.each(list, |json| {
            let item = ContactItem::read(json, person, list);
            item.put_into(&mut contact, Some(look));
        });
    }
    fields.each("customFields", |json| {
        let item = ContactItem::read(json, fields, "customFields");
        item.put_into(&mut contact, Some(Slot::Other));
    });
    loose_fields(fields, &mut contact);
    Some(contact)
}

/// `fields` of v2 (a list) and of v3 (a map, whose labels become names).
fn loose_fields(fields: &Fields, contact: &mut Contact) {
    let Some(json) = fields.raw("fields") else {
        return;
    };
    if json.starts_with('{') {
        return each_entry(json, |label, json| {
            ContactItem::labelled(label, json).put_into(contact, None);
        });
    }
    fields.each("fields", |json| {
        let item = ContactItem::read(json, fields, "fields");
        let look = item.kind.as_deref().map(look_of_type);
        item.put_into(contact, look);
    });
}

/// A value with its name.
struct ContactItem {
    name: Option<String>,
    key: Option<String>,
    kind: Option<String>,
    /// True when the values are those of a list.
    is_list: bool,
    values: Vec<String>,
}

impl ContactItem {
    fn read(json: &str, fields: &Fields, list: &str) -> Self {
        match Fields::of(json, &fields.place(list), ITEM, fields.notes()) {
            Some(item) => Self {
                name: item.word("name"),
                key: item.word("key"),
                kind: item.word("type"),
                is_list: item.raw("value").is_some_and(|json| json.starts_with('[')),
                values: item.raw("value").map(loose_texts).unwrap_or_default(),
            },
            None => Self::labelled(String::new(), json),
        }
    }

    fn labelled(label: String, json: &str) -> Self {
        Self {
            name: Some(label),
            key: None,
            kind: None,
            is_list: json.starts_with('['),
            values: loose_texts(json),
        }
    }

    /// Puts each value where it belongs; `look` is known where the record tells.
    fn put_into(self, contact: &mut Contact, look: Option<Slot>) {
        let mut values = Vec::new();
        for value in self.values.iter().filter_map(|value| non_blank(value)) {
            match look.unwrap_or_else(|| look_of_value(&value)) {
                Slot::Email => contact.email = contact.email.take().or(Some(value)),
                Slot::Phone => contact.phones.push(value),
                Slot::Other => values.push(value),
            }
        }
        if values.is_empty() {
            return;
        }
        let name = self.name.or_else(|| self.key.clone()).unwrap_or_default();
        contact.fields.push(Field {
            key: self.key.unwrap_or_else(|| name.clone()),
            name,
            value: if self.is_list {
                FieldValue::List(values)
            } else {
                FieldValue::Text(values.join(", "))
            },
        });
    }
}

fn look_of_type(kind: &str) -> Slot {
    if kind.contains("email") {
        Slot::Email
    } else if kind.contains("phone") {
        Slot::Phone
    } else {
        Slot::Other
    }
}

fn look_of_value(value: &str) -> Slot {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let plain = value
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.()/ \u{a0}".contains(c));
    let is_date = value.parse::<Date>().is_ok() && value.contains('-');
    if value.contains('@') && !value.contains(char::is_whitespace) {
        Slot::Email
    } else if plain && PHONE_DIGITS.contains(&digits) && !is_date {
        Slot::Phone
    } else {
        Slot::Other
    }
}
