//! Ids, checked once at the door, so that one can become part of a URL path without a second look.

use std::fmt;

/// Longest Quo id that is accepted, in bytes; real ones have 34.
const MAX_QUO_ID: usize = 128;

/// Begins the ids of calls and messages.
const OF_QUO: &str = "AC";
/// Begins the ids that we make.
const LOCAL: &str = "local-";

/// An id that cannot be used: empty, too long, or with characters that do not belong in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadId {
    /// Which kind of id was expected.
    pub expected: &'static str,
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a usable {}", self.expected)
    }
}

impl std::error::Error for BadId {}

macro_rules! quo_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 128 ASCII letters, digits, `-` and `_`.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                if is_quo_id(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId { expected: $what })
                }
            }

            /// The id as the vendor writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

quo_id!(
    /// One webhook delivery's event (`EV…`; a UUID for Notion's own webhooks).
    EventId, "event id");
quo_id!(
    /// A call or a message (`AC…`): the business key of everything Quotion writes.
    ActivityId, "activity id");
quo_id!(
    /// A Quo contact: 24 hex digits, in some deliveries with the prefix `CT`.
    ContactId, "contact id");
quo_id!(
    /// A phone number of the workspace (`PN…`).
    NumberId, "phone number id");
quo_id!(
    /// A conversation of one of the workspace's numbers (`CN…`).
    ConversationId, "conversation id");
quo_id!(
    /// A person of the workspace (`US…`) or a system actor such as the AI agent (`SY…`).
    UserId, "user id");

impl EventId {
    /// The id of an event that we make: a word, and the activity that it is about. Of an activity's
    /// id that leaves no room for the word the end is kept.
    pub fn made(word: &str, activity: &ActivityId) -> Self {
        let room = MAX_QUO_ID.saturating_sub(word.len() + 1);
        let start = activity.0.len().saturating_sub(room);
        Self(format!("{word}-{}", &activity.0[start..]))
    }
}

impl ActivityId {
    /// The id of a call or message that Quo has given none, made of digits of its payload's hash.
    pub fn local(digits: &str) -> Self {
        Self(format!("{LOCAL}{digits}"))
    }

    /// Reads an id that Quo gives to calls and messages: they begin with `AC`.
    pub fn of_quo(text: &str) -> Result<Self, BadId> {
        Self::parse(text).and_then(|id| {
            if text.len() > OF_QUO.len() && text.starts_with(OF_QUO) {
                Ok(id)
            } else {
                Err(BadId {
                    expected: "activity id",
                })
            }
        })
    }

    /// Reads an id of Quo's or of our making.
    pub fn of_ours_or_quo(text: &str) -> Result<Self, BadId> {
        Self::of_quo(text).or_else(|err| {
            let id = Self::parse(text)?;
            id.is_local().then_some(id).ok_or(err)
        })
    }

    /// True if the id is of our making: Quo knows nothing of it.
    pub fn is_local(&self) -> bool {
        self.0.starts_with(LOCAL)
    }
}

impl ContactId {
    /// The id without the `CT` prefix of contact events, or `None` when there is nothing to drop.
    pub fn without_prefix(&self) -> Option<Self> {
        let rest = self.0.strip_prefix("CT")?;
        let hex = rest.len() == 24 && rest.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| Self(rest.to_owned()))
    }
}

impl NumberId {
    /// True for an id as Quo gives it to a line. Any other word would be no line's, and nothing
    /// would ever be synced.
    pub fn is_plain(text: &str) -> bool {
        let rest = text.strip_prefix("PN").unwrap_or_default();
        let plain = rest.bytes().all(|sign| sign.is_ascii_alphanumeric());
        !rest.is_empty() && plain && Self::parse(text).is_ok()
    }
}

impl UserId {
    /// True for a person; system actors (`SY…`) are refused by `GET /v1/users/{id}`.
    pub fn is_person(&self) -> bool {
        self.0.starts_with("US")
    }
}

macro_rules! notion_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts a UUID with or without dashes, or a Notion link that ends in one.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                dashed_uuid(text).map(Self).ok_or(BadId { expected: $what })
            }

            /// The id in lower case, with dashes.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

notion_id!(
    /// A Notion page.
    PageId, "Notion page id");
notion_id!(
    /// A Notion block.
    BlockId, "Notion block id");
notion_id!(
    /// A Notion database.
    DatabaseId, "Notion database id");
notion_id!(
    /// A data source inside a Notion database (API version 2025-09-03 and later).
    DataSourceId, "Notion data source id");

impl PageId {
    /// A page is a block too, and its children are appended to that.
    pub fn as_block(&self) -> BlockId {
        BlockId(self.0.clone())
    }
}

fn is_quo_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_QUO_ID
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Finds the UUID in `text`: the whole of it, or the last 32 hex digits of a link's path.
fn dashed_uuid(text: &str) -> Option<String> {
    let path = text.trim().split(['?', '#']).next()?;
    let last = path.rsplit('/').next()?;
    let hex: String = last.chars().filter(|c| *c != '-').collect();
    let tail = hex.get(hex.len().checked_sub(32)?..)?;
    let is_link = path.contains("://");
    let usable = tail.bytes().all(|b| b.is_ascii_hexdigit()) && (is_link || hex.len() == 32);
    usable.then(|| {
        let tail = tail.to_ascii_lowercase();
        format!(
            "{}-{}-{}-{}-{}",
            &tail[..8],
            &tail[8..12],
            &tail[12..16],
            &tail[16..20],
            &tail[20..]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_event_id_never_grows_too_long_and_differs_by_its_word() {
        let long = ActivityId::parse(&"A".repeat(MAX_QUO_ID)).expect("id");
        let ids = ["follow-up-voicemail", "follow-up-recording"];
        let ids = ids.map(|word| EventId::made(word, &long));
        assert!(ids.iter().all(|id| EventId::parse(id.as_str()).is_ok()));
        assert_ne!(ids[0], ids[1]);
        let short = EventId::made("backfill-call", &ActivityId::parse("AC1").expect("id"));
        assert_eq!(short.as_str(), "backfill-call-AC1");
    }

    #[test]
    fn quo_id_refuses_what_could_leave_its_path_segment() {
        for bad in [
            "",
            "AC/../x",
            "AC 1",
            "AC%2e",
            "AC\u{0}",
            "ACé",
            &"A".repeat(129),
        ] {
            assert!(ActivityId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            ActivityId::parse("AC00_1-x").map(|id| id.to_string()),
            Ok("AC00_1-x".into())
        );
    }

    #[test]
    fn contact_prefix_is_dropped_only_before_24_hex_digits() {
        let id = ContactId::parse("CT66f1a2b3c4d5e6f708192a3b").expect("valid");
        assert_eq!(
            id.without_prefix().expect("prefixed").as_str(),
            "66f1a2b3c4d5e6f708192a3b"
        );
        assert_eq!(
            ContactId::parse("CT123").expect("valid").without_prefix(),
            None
        );
    }

    #[test]
    fn notion_id_is_read_from_every_form_people_paste() {
        let want = "be35e4e8-6049-4149-adef-f21902469dfb";
        for form in [
            want,
            "BE35E4E860494149ADEFF21902469DFB",
            "https://www.notion.so/acme/Clients-be35e4e860494149adeff21902469dfb?v=1",
            " be35e4e860494149adeff21902469dfb\n",
        ] {
            assert_eq!(DatabaseId::parse(form).expect(form).as_str(), want);
        }
        for bad in [
            "",
            "clients",
            "be35",
            "xbe35e4e860494149adeff21902469dfb",
            "日本語日本語日本語日本語日本語",
        ] {
            assert!(DatabaseId::parse(bad).is_err(), "{bad}");
        }
    }
}
