//! People of the workspace: only how they are called.
//!
//! Apart because system actors (`SY…`) have ids of the same kind but are no users: this endpoint
//! refuses them. <https://www.quo.com/docs/mdx/api-reference/users/get-a-user-by-id>

use serde::Deserialize;

use super::refusal::Error;
use super::wire;
use crate::domain::id::UserId;
use crate::domain::profile::non_blank;
use crate::http::Request;

/// `GET /v1/users/{id}`; only for ids of which [`UserId::is_person`] holds.
pub fn get(id: &UserId) -> Request {
    Request::get(format!("/users/{id}"))
}

/// Reads the name from the reply to [`get`]: first and last name, else the e-mail address.
pub fn parse_name(body: &[u8]) -> Result<Option<String>, Error> {
    wire::data::<WireUser>("user", body).map(|user| user.name())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUser {
    pub(super) id: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
}

impl WireUser {
    /// First and last name, else the e-mail address.
    pub(super) fn name(&self) -> Option<String> {
        let name = wire::joined([self.first_name.as_deref(), self.last_name.as_deref()]);
        name.or_else(|| self.email.as_deref().and_then(non_blank))
    }
}
