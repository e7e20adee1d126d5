//! The workspace's own phone numbers, which are never clients, and the people behind them.
//!
//! Apart because the list is kept and read again from its text with [`parse`].
//! <https://www.quo.com/docs/mdx/api-reference/phone-numbers/list-phone-numbers>

use serde::Deserialize;

use super::refusal::Error;
use super::users::WireUser;
use super::wire;
use crate::bounded::AtMost;
use crate::domain::id::{NumberId, UserId};
use crate::domain::phone::Phone;
use crate::http::Request;

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
pub fn parse(raw: &str) -> Result<Vec<OwnNumber>, Error> {
    let AtMost(records): wire::Records = wire::data("list of phone numbers", raw.as_bytes())?;
    let numbers = wire::each(&records, number);
    if numbers.is_empty() && !records.is_empty() {
        return Err(Error::unreadable(
            "list of phone numbers",
            "not one of them is readable",
            raw.as_bytes(),
        ));
    }
    Ok(numbers)
}

fn number(raw: &str) -> Result<OwnNumber, Error> {
    let wire: WireNumber = wire::value("phone number", raw.as_bytes())?;
    let bad =
        |cause: &dyn std::fmt::Display| Error::unreadable("phone number", cause, raw.as_bytes());
    let user = |user: WireUser| Some((UserId::parse(&user.id).ok()?, user.name()?));
    Ok(OwnNumber {
        id: NumberId::parse(&wire.id).map_err(|err| bad(&err))?,
        phone: Phone::parse(&wire.number).ok_or_else(|| bad(&"not in E.164"))?,
        name: wire.name.unwrap_or_default().trim().to_owned(),
        users: wire.users.into_iter().filter_map(user).collect(),
    })
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
    fn unreadable_number_costs_only_itself_but_never_all() {
        let good = r#"{"id":"PN1","number":"+14155550110","name":null,"users":null}"#;
        let bad = r#"{"id":"PN2","number":"Anonymous"}"#;
        assert_eq!(
            parse(&format!(r#"{{"data":[{bad},{good}]}}"#))
                .expect("readable")
                .len(),
            1
        );
        assert!(parse(&format!(r#"{{"data":[{bad}]}}"#)).is_err());
        assert_eq!(parse(r#"{"data":[]}"#).expect("readable"), []);
    }
}
