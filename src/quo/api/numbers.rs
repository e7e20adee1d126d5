//! The workspace's own phone numbers, which are never clients, and the people behind them.
//!
//! Apart because the list is kept as text, by [`write()`], and read again with [`parse`].
//! <https://www.quo.com/docs/mdx/api-reference/phone-numbers/list-phone-numbers>

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::refusal::Error;
use super::users::WireUser;
use super::wire;
use crate::bounded::AtMost;
use crate::domain::id::{NumberId, UserId};
use crate::domain::phone::Phone;
use crate::http::Request;
use crate::text;

/// Most bytes of a name that are kept.
const LONGEST_NAME: usize = 100;

/// A number of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNumber {
    /// Its id.
    pub id: NumberId,
    /// The number.
    pub phone: Phone,
    /// How the workspace calls it; may be empty.
    pub name: String,
    /// Who uses it, and how they are called.
    pub users: Vec<(UserId, String)>,
}

/// `GET /v1/phone-numbers`: the whole list, not paged.
pub fn list() -> Request {
    Request::get("/phone-numbers")
}

/// Reads the reply to [`list`]. A number that cannot be read is left out with a warning; if that
/// would leave nothing, it is an error, because then every own number would pass for a client.
pub fn parse(body: &[u8]) -> Result<Vec<OwnNumber>, Error> {
    let AtMost(records): wire::Records = wire::data("list of phone numbers", body)?;
    let numbers = wire::each(&records, number);
    if numbers.is_empty() && !records.is_empty() {
        return Err(Error::unreadable(
            "list of phone numbers",
            "not one of them is readable",
            body,
        ));
    }
    Ok(numbers)
}

/// Writes a list so that [`parse`] reads it, with nothing else of what Quo told.
pub fn write(numbers: &[OwnNumber]) -> String {
    let user = |(id, name): &(UserId, String)| json!({"id": id.as_str(), "firstName": name});
    let number = |number: &OwnNumber| {
        json!({"id": number.id.as_str(), "number": number.phone.as_str(), "name": number.name,
            "users": number.users.iter().map(user).collect::<Json>()})
        .to_string()
    };
    let all: Vec<String> = numbers.iter().map(number).collect();
    format!("{{\"data\":[{}]}}", all.join(","))
}

fn number(raw: &str) -> Result<OwnNumber, Error> {
    let wire: WireNumber = wire::value("phone number", raw.as_bytes())?;
    let bad =
        |cause: &dyn std::fmt::Display| Error::unreadable("phone number", cause, raw.as_bytes());
    let user = |user: WireUser| Some((UserId::parse(&user.id).ok()?, name_of(&user.name()?)));
    Ok(OwnNumber {
        id: NumberId::parse(&wire.id).map_err(|err| bad(&err))?,
        phone: Phone::parse(&wire.number).ok_or_else(|| bad(&"not in E.164"))?,
        name: name_of(wire.name.as_deref().unwrap_or_default()),
        users: wire.users.into_iter().filter_map(user).collect(),
    })
}

fn name_of(text: &str) -> String {
    text::cut(text.trim(), LONGEST_NAME).to_owned()
}

#[derive(Deserialize)]
struct WireNumber {
    id: String,
    number: String,
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    users: Vec<WireUser>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_that_is_kept_is_read_as_it_was_with_names_of_a_bounded_length() {
        let long = "é".repeat(LONGEST_NAME);
        let body = json!({"data": [{"id": "PN1", "number": "+14155550110", "name": long,
            "users": [{"id": "US1", "firstName": "Ana", "lastName": long, "extra": [1]}]}]});
        let numbers = parse(body.to_string().as_bytes()).expect("readable");
        assert!(numbers[0].name.len() <= LONGEST_NAME && numbers[0].name.ends_with('é'));
        assert!(numbers[0].users[0].1.starts_with("Ana é"));
        let kept = write(&numbers);
        assert!(kept.len() < 3 * LONGEST_NAME, "{kept}");
        assert_eq!(parse(kept.as_bytes()).expect("readable"), numbers);
    }

    #[test]
    fn unreadable_number_costs_only_itself_but_never_all() {
        let good = r#"{"id":"PN1","number":"+14155550110","name":null,"users":null}"#;
        let bad = r#"{"id":"PN2","number":"Anonymous"}"#;
        assert_eq!(
            parse(format!(r#"{{"data":[{bad},{good}]}}"#).as_bytes())
                .expect("readable")
                .len(),
            1
        );
        assert!(parse(format!(r#"{{"data":[{bad}]}}"#).as_bytes()).is_err());
        assert_eq!(parse(br#"{"data":[]}"#).expect("readable"), []);
    }
}
