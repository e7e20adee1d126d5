//! How far an interrupted run got, and what is left for the next one.
//!
//! Apart because it is pure but for being kept. Threads are read in the order of their places
//! (number and conversation), calls and texts in the order of time; so one place, and one moment in
//! it, tell everything. Threads before the mark were read up to the moment at which that run began
//! and are read from there; the others from where it would have.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::id::{ConversationId, NumberId};
use crate::quo::api::history::PastActivity;
use crate::store::{self, Store};

/// How long a mark counts: whoever repeats a command after that means its span as it is.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How far a run got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Beginning of the run's span.
    pub from: Timestamp,
    /// End of the run's span.
    pub to: Timestamp,
    /// The last thread that was reached; empty at the outset.
    place: String,
    /// Time and id of the last that was told in it; `None` once all of it was.
    within: Option<(Timestamp, String)>,
}

/// What is to be told of one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Made at this moment or later.
    pub from: Timestamp,
    /// Made before this moment.
    pub to: Timestamp,
    /// Later than this one.
    past: Option<(Timestamp, String)>,
}

impl Period {
    /// True if the activity belongs to it.
    pub fn holds(&self, activity: &PastActivity) -> bool {
        let past = self
            .past
            .as_ref()
            .is_none_or(|(at, id)| (activity.at, activity.id.as_str()) > (*at, id));
        past && self.from <= activity.at && activity.at < self.to
    }

    /// Leaves only what comes after this one.
    pub fn go_on_after(&mut self, activity: &PastActivity) {
        self.from = self.from.max(activity.at);
        self.past = Some((activity.at, activity.id.to_string()));
    }
}

/// Where a thread stands in the order of a run.
pub fn place(number: &NumberId, conversation: &ConversationId) -> String {
    format!("{number}/{conversation}")
}

/// What is to be told of the thread at `place` from one moment to another, after a run that got as
/// far as `before`.
pub fn span(before: Option<&Mark>, from: Timestamp, to: Timestamp, place: &str) -> Period {
    let Some(mark) = before else {
        return Period {
            from,
            to,
            past: None,
        };
    };
    let from = mark.from.min(from);
    match (place.cmp(&mark.place), &mark.within) {
        (std::cmp::Ordering::Less, _) | (std::cmp::Ordering::Equal, None) => Period {
            from: mark.to,
            to,
            past: None,
        },
        (std::cmp::Ordering::Equal, Some(past)) => Period {
            from,
            to,
            past: Some(past.clone()),
        },
        (std::cmp::Ordering::Greater, _) => Period {
            from,
            to,
            past: None,
        },
    }
}

impl Mark {
    /// The mark of a run that has done nothing.
    pub fn at_outset(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from,
            to,
            place: String::new(),
            within: None,
        }
    }

    /// Everything up to this activity is told.
    pub fn reach(&mut self, place: String, activity: &PastActivity) {
        self.place = place;
        self.within = Some((activity.at, activity.id.to_string()));
    }

    /// The whole thread is told.
    pub fn finish(&mut self, place: String) {
        self.place = place;
        self.within = None;
    }

    /// True if this one got further than `other`.
    pub fn is_beyond(&self, other: &Self) -> bool {
        let rank = |mark: &Self| {
            (
                mark.place.clone(),
                mark.within.is_none(),
                mark.within.clone(),
            )
        };
        rank(self) > rank(other)
    }

    /// The mark that was kept under `key`, unless it is too old or cannot be read.
    pub fn load(store: &Store, key: &str) -> store::Result<Option<Self>> {
        let kept = store.snapshot(key)?.filter(|kept| kept.age < KEPT);
        Ok(kept.and_then(|kept| serde_json::from_str(&kept.body).ok()))
    }

    /// What is kept of it.
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "null".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).expect("a time")
    }

    #[test]
    fn what_is_left_begins_where_each_thread_was_left() {
        fn span(before: Option<&Mark>, place: &str) -> Period {
            super::span(before, at(30), at(54), place)
        }
        let past = || (at(20), "AC1".to_owned());
        let whole = Period {
            from: at(30),
            to: at(54),
            past: None,
        };
        assert_eq!(span(None, "PN1/CN1"), whole);
        let mut mark = Mark::at_outset(at(0), at(24));
        assert_eq!(
            span(Some(&mark), "PN1/CN1"),
            Period {
                from: at(0),
                ..whole.clone()
            }
        );
        mark = Mark {
            place: "PN1/CN2".into(),
            within: Some(past()),
            ..mark
        };
        assert_eq!(
            span(Some(&mark), "PN1/CN1"),
            Period {
                from: at(24),
                ..whole.clone()
            }
        );
        assert_eq!(
            span(Some(&mark), "PN1/CN2"),
            Period {
                from: at(0),
                past: Some(past()),
                ..whole.clone()
            }
        );
        assert_eq!(
            span(Some(&mark), "PN1/CN3"),
            Period {
                from: at(0),
                ..whole.clone()
            }
        );
        let done = Mark {
            within: None,
            ..mark.clone()
        };
        assert_eq!(
            span(Some(&done), "PN1/CN2"),
            Period {
                from: at(24),
                ..whole
            }
        );
        assert!(done.is_beyond(&mark) && !mark.is_beyond(&done));
    }
}
