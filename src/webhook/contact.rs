//! What a contact's payload means: three shapes, one record.
//!
//! 2026-03-30 has e-mails, phone numbers and custom fields apart; v2 a list `fields` of name, type
//! and value; v3 a map `fields` from label to one or several values. Where no type is given, the
//! value's look tells.

use std::fmt;

use jiff::civil::Date;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::PayloadError;
use super::shape::{Object, Time, Values, list};
use super::wire::Body;
use crate::domain::event::{ContactUpdate, Subject};
use crate::domain::id::ContactId;
use crate::domain::profile::{Contact, Field, non_blank};

/// How many digits a value has that looks like a phone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=18;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    company: Option<String>,
    role: Option<String>,
    #[serde(deserialize_with = "list")]
    emails: Vec<Object<Item>>,
    #[serde(deserialize_with = "list")]
    phone_numbers: Vec<Object<Item>>,
    #[serde(deserialize_with = "list")]
    custom_fields: Vec<Object<Item>>,
    fields: Items,
    updated_at: Option<Time>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Item {
    name: Option<String>,
    key: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Values,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Email,
    Phone,
    Other,
}

/// A contact as it is now, or as it was when it was deleted.
pub(super) fn subject(body: &Body, deleted: bool) -> Result<Subject, PayloadError> {
    let wire: Wire = body.read()?;
    let id = body.id("id", wire.id.as_deref(), ContactId::parse)?;
    let name = [&wire.first_name, &wire.last_name]
        .into_iter()
        .flatten()
        .filter_map(|part| non_blank(part));
    let name = non_blank(&name.collect::<Vec<_>>().join(" "));
    let mut contact = Contact {
        id: id.without_prefix().unwrap_or(id),
        name,
        company: wire.company.as_deref().and_then(non_blank),
        role: wire.role.as_deref().and_then(non_blank),
        email: None,
        phones: Vec::new(),
        fields: Vec::new(),
        updated_at: wire.updated_at.map(|time| time.0),
    };
    wire.emails
        .into_iter()
        .for_each(|item| add(&mut contact, item.0, Some(Look::Email)));
    wire.phone_numbers
        .into_iter()
        .for_each(|item| add(&mut contact, item.0, Some(Look::Phone)));
    wire.custom_fields
        .into_iter()
        .for_each(|item| add(&mut contact, item.0, Some(Look::Other)));
    wire.fields.0.into_iter().for_each(|item| {
        let look = item.kind.as_deref().map(look_of_type);
        add(&mut contact, item, look);
    });
    Ok(Subject::Contact(ContactUpdate { contact, deleted }))
}

/// Puts each value of `item` where it belongs; `look` is known where the delivery tells.
fn add(contact: &mut Contact, item: Item, look: Option<Look>) {
    let mut values = Vec::new();
    for value in item.value.0.iter().filter_map(|value| non_blank(value)) {
        match look.unwrap_or_else(|| look_of_value(&value)) {
            Look::Email => contact.email = contact.email.take().or(Some(value)),
            Look::Phone => contact.phones.push(value),
            Look::Other => values.push(value),
        }
    }
    if !values.is_empty() {
        let name = item.name.or_else(|| item.key.clone()).unwrap_or_default();
        let key = item.key.unwrap_or_else(|| name.clone());
        contact.fields.push(Field { name, key, values });
    }
}

fn look_of_type(kind: &str) -> Look {
    if kind.contains("email") {
        Look::Email
    } else if kind.contains("phone") {
        Look::Phone
    } else {
        Look::Other
    }
}

fn look_of_value(value: &str) -> Look {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let plain = value
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.()/ \u{a0}".contains(c));
    let is_date = value.parse::<Date>().is_ok() && value.contains('-');
    if value.contains('@') && !value.contains(char::is_whitespace) {
        Look::Email
    } else if plain && PHONE_DIGITS.contains(&digits) && !is_date {
        Look::Phone
    } else {
        Look::Other
    }
}

/// `fields` of v2 (a list) and of v3 (a map, whose labels become names).
#[derive(Default)]
struct Items(Vec<Item>);

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ItemsVisitor).map(Self)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Vec<Item>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object of fields")
    }

    fn visit_unit<E>(self) -> Result<Vec<Item>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Vec<Item>, A::Error> {
        let mut items = Vec::new();
        while let Some(field) = fields.next_element::<Option<Object<Item>>>()? {
            items.extend(field.map(|field| field.0));
        }
        Ok(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Vec<Item>, A::Error> {
        let mut items = Vec::new();
        while let Some((label, value)) = fields.next_entry()? {
            items.push(Item {
                name: Some(label),
                key: None,
                kind: None,
                value,
            });
        }
        Ok(items)
    }
}
