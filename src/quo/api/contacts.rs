//! Quo's contacts: one by its id, or all of them page by page.
//!
//! Apart because no surface of Quo can look a contact up by phone number: who needs that keeps an
//! index of the raw records and reads them again with [`parse_contact`].
//! <https://www.quo.com/docs/mdx/api-reference/contacts/list-contacts>

use serde_json::value::RawValue;

use super::paging::{self, Page};
use super::refusal::{Error, found};
use super::wire;
use crate::domain::id::ContactId;
use crate::domain::profile::Contact;
use crate::http::Request;
use crate::quo::words::{Fields, Oddities, contact};

/// Most that Quo gives on one page.
const PAGE_SIZE: usize = 50;

/// A contact, and its JSON text as Quo sent it, for keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The contact.
    pub contact: Contact,
    /// What [`parse_contact`] reads.
    pub raw: String,
}

/// `GET /v1/contacts/{id}`.
pub fn get(id: &ContactId) -> Request {
    Request::get(format!("/contacts/{id}"))
}

/// `GET /v1/contacts`.
pub fn list(token: Option<&str>) -> Request {
    paging::ask("/contacts", PAGE_SIZE, token)
}

/// Fetches one contact. An id that is refused as it stands is tried again without its `CT` prefix:
/// which deliveries carry one is not documented.
pub(super) fn fetch<F>(id: &ContactId, send: F) -> Result<Option<Record>, Error>
where
    F: Fn(Request) -> Result<Vec<u8>, Error>,
{
    let body = match (send(get(id)), id.without_prefix()) {
        (Err(Error::Refused(refusal)), Some(bare)) if matches!(refusal.status, 400 | 404) => {
            send(get(&bare))
        }
        (first, _) => first,
    };
    found(body)?.map(|body| parse_one(&body)).transpose()
}

/// Reads the reply to [`get`].
pub fn parse_one(body: &[u8]) -> Result<Record, Error> {
    parse_record(wire::data::<&RawValue>("contact", body)?.get())
}

/// Reads the reply to [`list`], and keeps of each record what `keep` makes of it. A record that
/// cannot be read is left out with a warning.
pub fn parse_page<T>(body: &[u8], keep: impl Fn(Record) -> T) -> Result<Page<T>, Error> {
    paging::parse("list of contacts", body, |raw| parse_record(raw).map(&keep))
}

/// Reads one contact from its JSON text.
pub fn parse_contact(raw: &str) -> Result<Contact, Error> {
    let notes = Oddities::default();
    let bad = |cause| Error::unreadable("contact", cause, raw.as_bytes());
    let fields = Fields::of(raw, "contact", contact::NAMES, &notes);
    let fields = fields.ok_or_else(|| bad("no object"))?;
    contact::read(&fields).ok_or_else(|| bad("no usable contact id"))
}

fn parse_record(raw: &str) -> Result<Record, Error> {
    Ok(Record {
        contact: parse_contact(raw)?,
        raw: raw.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::Value;

    use super::super::tests::refused;
    use super::*;
    use crate::domain::profile::{Field, FieldValue};

    #[test]
    fn list_asks_for_full_pages_and_never_for_a_phone() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(list(None).query, [pair("maxResults", "50")]);
        assert_eq!(
            list(Some("eyJ+=")).query,
            [pair("maxResults", "50"), pair("pageToken", "eyJ+=")]
        );
        assert_eq!(list(None).path, "/contacts");
    }

    #[test]
    fn prefix_is_dropped_only_when_the_id_is_refused_as_it_stands() {
        let (prefixed, bare) = ("CT66f1a2b3c4d5e6f708192a3b", "66f1a2b3c4d5e6f708192a3b");
        let check = |id: &str, statuses: &[u16], found: Result<bool, u16>, asked: &[&str]| {
            let paths = RefCell::new(Vec::new());
            let send = |request: Request| {
                paths.borrow_mut().push(request.path);
                match statuses[paths.borrow().len() - 1] {
                    200 => Ok(format!(r#"{{"data":{{"id":"{bare}"}}}}"#).into_bytes()),
                    status => Err(refused(status, Value::Null).into()),
                }
            };
            let got = fetch(&ContactId::parse(id).expect("valid"), send);
            let got = got
                .map(|record| record.is_some())
                .map_err(|err| err.refusal().expect("refusal").status);
            assert_eq!(got, found, "{id} {statuses:?}");
            let asked: Vec<_> = asked.iter().map(|id| format!("/contacts/{id}")).collect();
            assert_eq!(paths.into_inner(), asked, "{id} {statuses:?}");
        };
        check(prefixed, &[200], Ok(true), &[prefixed]);
        check(prefixed, &[404, 200], Ok(true), &[prefixed, bare]);
        check(prefixed, &[400, 200], Ok(true), &[prefixed, bare]);
        check(prefixed, &[400, 404], Ok(false), &[prefixed, bare]);
        check(prefixed, &[401], Err(401), &[prefixed]);
        check(bare, &[404], Ok(false), &[bare]);
        check(bare, &[400], Err(400), &[bare]);
        check("CT123", &[400], Err(400), &["CT123"]);
    }

    #[test]
    fn unreadable_record_costs_only_itself() {
        let body = br#"{"data":[{"id":7},{"id":"../x"},{"id":"CT66f1a2b3c4d5e6f708192a3b"},null]}"#;
        let page = parse_page(body, |record| record).expect("readable page");
        let ids: Vec<_> = page
            .records
            .iter()
            .map(|record| record.contact.id.as_str())
            .collect();
        assert_eq!(ids, ["66f1a2b3c4d5e6f708192a3b"]);
    }

    #[test]
    fn kept_text_reads_as_the_same_contact() {
        let body = br#"{"data": { "id": "66f1a2b3c4d5e6f708192a3b",
            "defaultFields": {"firstName": "R\u00f3sa"} }}"#;
        let record = parse_one(body).expect("readable");
        assert_eq!(
            parse_contact(&record.raw).expect("readable"),
            record.contact
        );
    }

    #[test]
    fn every_type_of_custom_field_becomes_text() {
        let check = |value: &str, expected: &[&str]| {
            let raw = format!(r#"{{"id":"a","customFields":[{{"name":"N","value":{value}}}]}}"#);
            let fields = parse_contact(&raw).expect("readable").fields;
            let texts: Vec<String> = expected.iter().map(|v| (*v).into()).collect();
            let field = Field {
                name: "N".into(),
                key: "N".into(),
                value: if value.starts_with('[') {
                    FieldValue::List(texts)
                } else {
                    FieldValue::Text(texts.concat())
                },
            };
            assert_eq!(
                fields,
                if expected.is_empty() {
                    vec![]
                } else {
                    vec![field]
                },
                "{value}"
            );
        };
        check(r#"["VIP"," Roof ",""]"#, &["VIP", "Roof"]);
        check(r#""VIP, Roof""#, &["VIP, Roof"]);
        check("true", &["true"]);
        check("4200", &["4200"]);
        check("4.5", &["4.5"]);
        check(r#""2026-10-01T00:00:00Z""#, &["2026-10-01T00:00:00Z"]);
        check("null", &[]);
        check("[]", &[]);
        check("{}", &[]);
    }
}
