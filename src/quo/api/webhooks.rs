//! Webhook subscriptions of v1: read only.
//!
//! Apart because they hold keys. Labels and addresses are not read: nobody here needs them, and an
//! address may be as good as a key.
//! <https://www.quo.com/docs/mdx/api-reference/webhooks/lists-all-webhooks>

use serde::Deserialize;

use super::refusal::Error;
use super::wire;
use crate::bounded::AtMost;
use crate::http::Request;
use crate::secret::Secret;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// False if it is switched off.
    pub enabled: bool,
    /// Types of events.
    pub events: Vec<String>,
    /// Ids of the numbers that it is for; `*` for all.
    pub numbers: Vec<String>,
    /// What its deliveries are signed with.
    pub key: Option<Secret>,
}

/// `GET /v1/webhooks`: not paged; without a user those of the workspace's owner.
pub fn list() -> Request {
    Request::get("/webhooks")
}

/// Reads the reply to [`list`]. What cannot be read, or was deleted, is left out.
pub fn parse(body: &[u8]) -> Result<Vec<Subscription>, Error> {
    let AtMost(records): wire::Records = wire::data("list of webhooks", body)?;
    let all = wire::each(&records, |raw| {
        wire::value::<WireWebhook>("webhook", raw.as_bytes())
    });
    let there = all.into_iter().filter(|wire| wire.deleted_at.is_none());
    Ok(there.map(WireWebhook::read).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireWebhook {
    id: String,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    events: Vec<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    resource_ids: Vec<String>,
    key: Option<String>,
    deleted_at: Option<String>,
}

impl WireWebhook {
    fn read(self) -> Subscription {
        Subscription {
            id: self.id,
            enabled: self.status.as_deref() != Some("disabled"),
            events: self.events,
            numbers: self.resource_ids,
            key: self.key.as_deref().map(Secret::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_without_those_that_were_deleted() {
        let body = include_bytes!("../../../fixtures/quo/api-v1.webhooks.list.json");
        let all = parse(body).expect("readable");
        let first = all.first().expect("one");
        assert_eq!(first.id, "WHmsg00001");
        assert_eq!(first.events, ["message.received", "message.delivered"]);
        assert_eq!(first.numbers, ["*"]);
        assert!(first.enabled && first.key.is_some());
        let gone = br#"{"data":[{"id":"WH1","deletedAt":"2026-06-01T00:00:00.000Z"},
            {"id":"WH2","status":"disabled","events":null}]}"#;
        let left = parse(gone).expect("readable");
        assert_eq!(left.len(), 1);
        assert!(!left[0].enabled && left[0].key.is_none());
    }
}
