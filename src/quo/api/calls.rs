//! A call by its id, from either surface: v1 lists at most two parties without sides, 2026-03-30
//! all of them and who of them belongs to the workspace.
//!
//! Apart from [`super::artifacts`], which come later and from other endpoints.
//! <https://www.quo.com/docs/mdx/api-reference/calls/get-a-call-by-id>
//! <https://www.quo.com/docs/2026-03-30/calls/get-a-call-by-id>

use super::refusal::{Error, found};
use super::{Surface, wire};
use crate::domain::call::CallUpdate;
use crate::domain::id::ActivityId;
use crate::http::Request;
use crate::quo::words::{call, parties};

/// `GET /v1/calls/{id}`; the same path on the dated surface.
pub fn get(id: &ActivityId) -> Request {
    Request::get(format!("/calls/{id}"))
}

/// Fetches a call, from the dated surface when it has too many parties for v1.
pub(super) fn fetch<F>(id: &ActivityId, send: F) -> Result<Option<CallUpdate>, Error>
where
    F: Fn(Surface, Request) -> Result<Vec<u8>, Error>,
{
    let body = match send(Surface::V1, get(id)) {
        Err(Error::Refused(refusal)) if refusal.is_too_many_participants() => {
            send(Surface::Dated, get(id))
        }
        other => other,
    };
    found(body)?.map(|body| parse(&body)).transpose()
}

/// Reads the reply to [`get`] from either surface.
pub fn parse(body: &[u8]) -> Result<CallUpdate, Error> {
    wire::object("call", body, |fields| {
        let id = wire::activity_id("call", fields, body)?;
        let update = call::ended(parties::context(id, fields), fields);
        // What is still being made is told by each kind's own endpoint.
        Ok(CallUpdate {
            unannounced: Vec::new(),
            ..update
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refused, sample};
    use super::*;

    #[test]
    fn call_with_many_parties_is_read_from_the_dated_surface() {
        let id = ActivityId::parse("AC1").expect("valid");
        let refuse = |name: &str, status| {
            let body = serde_json::from_slice(&sample(name)).expect("JSON");
            Err(Error::from(refused(status, body)))
        };
        let too_many = || refuse("error-v1.400.too-many-participants", 400);
        let group = fetch(&id, |surface, _| match surface {
            Surface::V1 => too_many(),
            Surface::Dated => Ok(sample("api-2026-03-30.call.get.group")),
        });
        let group = group.expect("readable").expect("present");
        assert_eq!(
            group.context.id.as_str(),
            "AC000000000000000000000000000001c0"
        );
        let nowhere = fetch(&id, |surface, _| match surface {
            Surface::V1 => too_many(),
            Surface::Dated => refuse("error-2026-03-30.404", 404),
        });
        assert_eq!(nowhere.expect("no failure"), None);
        let v1_only = |name: &'static str, status| {
            fetch(&id, move |surface, _| match surface {
                Surface::V1 => refuse(name, status),
                Surface::Dated => panic!("asked the dated surface after {name}"),
            })
        };
        assert_eq!(v1_only("error-v1.404", 404).expect("no failure"), None);
        assert!(matches!(
            v1_only("error-v1.400.validation", 400),
            Err(Error::Refused(_))
        ));
        assert!(matches!(
            v1_only("error-v1.401.live", 401),
            Err(Error::Denied(_))
        ));
    }
}
