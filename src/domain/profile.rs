//! Who a client is: Quo's contact records, and the one profile made of those that match a number.

use jiff::Timestamp;

use super::id::ContactId;
use super::phone::Phone;
use crate::text::words;

/// A contact record of Quo, reduced to what can matter for a client page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id, without the `CT` prefix.
    pub id: ContactId,
    /// First and last name joined; `None` when both are empty.
    pub name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// The first e-mail address that is not empty.
    pub email: Option<String>,
    /// Phone numbers as people wrote them; free text.
    pub phones: Vec<String>,
    /// Custom fields that can hold tags.
    pub fields: Vec<Field>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// A custom field with text values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name as shown in Quo.
    pub name: String,
    /// Key in the API; equal to the name where a delivery has none.
    pub key: String,
    /// What it holds.
    pub value: FieldValue,
}

/// What a custom field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A text, in which people separate by commas.
    Text(String),
    /// Options that were chosen, each one thing, whatever is in its name.
    List(Vec<String>),
}

impl FieldValue {
    /// The things that it holds, without blanks. No option in Notion has a comma in its name.
    fn each(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split(',').filter_map(non_blank).collect(),
            Self::List(list) => {
                let plain = list.iter().map(|name| words(&name.replace(',', " ")));
                plain.filter(|name| !name.is_empty()).collect()
            }
        }
    }
}

impl Contact {
    /// True if one of the record's numbers is `phone`: the strict match of SPEC 5.
    pub fn has(&self, phone: &Phone) -> bool {
        self.phones.iter().any(|written| phone.matches(written))
    }

    /// What the field called `name` (or with that key) holds.
    pub fn tags(&self, name: &str) -> Vec<String> {
        let wanted = |field: &&Field| same(&field.name, name) || same(&field.key, name);
        let fields = self.fields.iter().filter(wanted);
        fields.flat_map(|field| field.value.each()).collect()
    }
}

/// What Quo knows of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// First and last name.
    pub name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// First e-mail address.
    pub email: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// Values of the tags field, of all contacts that hold the number.
    pub tags: Vec<String>,
}

impl Profile {
    /// Makes the profile of `phone`. Only strictly matching records count; the most recently
    /// updated one that has a name leads, the rest only add tags. `None` when no record matches.
    pub fn of(phone: &Phone, contacts: &[Contact], tags_field: &str) -> Option<Self> {
        let mut matching: Vec<&Contact> = contacts
            .iter()
            .filter(|contact| contact.has(phone))
            .collect();
        matching.sort_by_key(|contact| {
            (
                contact.name.is_none(),
                std::cmp::Reverse(contact.updated_at),
                contact.id.clone(),
            )
        });
        let lead = matching.first()?;
        let mut tags = Vec::new();
        for tag in matching.iter().flat_map(|contact| contact.tags(tags_field)) {
            if !tags.iter().any(|have: &String| same(have, &tag)) {
                tags.push(tag);
            }
        }
        Some(Self {
            name: lead.name.clone(),
            company: lead.company.clone(),
            email: lead.email.clone(),
            role: lead.role.clone(),
            tags,
        })
    }
}

/// Compares as people do: without case, without outer blanks.
pub fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// The text without outer white space, or `None` when nothing is left.
pub fn non_blank(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(id: &str, name: Option<&str>, phone: &str, updated: i64) -> Contact {
        Contact {
            id: ContactId::parse(id).expect("valid id"),
            name: name.map(Into::into),
            company: None,
            role: None,
            email: None,
            phones: vec![phone.into()],
            fields: vec![Field {
                name: "Tags".into(),
                key: "tags".into(),
                value: FieldValue::Text(format!("{id}, shared")),
            }],
            updated_at: Timestamp::from_second(updated).ok(),
        }
    }

    #[test]
    fn most_recent_named_contact_leads_and_the_rest_add_tags() {
        let phone = Phone::parse("+13125550162").expect("valid");
        let contacts = [
            contact("a", Some("Old Tomas"), "+1 312 555 0162", 10),
            contact("b", None, "(312) 555-0162", 99),
            contact("c", Some("Tomas Ebel"), "3125550162", 20),
            contact("d", Some("Somebody else"), "+13125550163", 100),
        ];
        let profile = Profile::of(&phone, &contacts, "tags").expect("matches");
        assert_eq!(profile.name.as_deref(), Some("Tomas Ebel"));
        assert_eq!(profile.tags, ["c", "shared", "a", "b"]);
    }

    #[test]
    fn option_keeps_its_words_and_a_text_is_parted_at_commas() {
        let list = FieldValue::List(vec!["Roof, leak".into(), " Lead ".into(), ",".into()]);
        assert_eq!(list.each(), ["Roof leak", "Lead"]);
        let text = FieldValue::Text("Roof, leak,, Lead".into());
        assert_eq!(text.each(), ["Roof", "leak", "Lead"]);
    }

    #[test]
    fn nobody_matches_nobody() {
        let phone = Phone::parse("+13125550162").expect("valid");
        assert_eq!(
            Profile::of(
                &phone,
                &[contact("d", Some("X"), "+13125550163", 1)],
                "Tags"
            ),
            None
        );
    }
}
