//! What becomes of an event that has failed: when it is tried again, and by whom.
//!
//! Apart because both databases keep the same meaning by it. Pure: what has been so far comes in,
//! what is to be noted goes out.

use std::time::Duration;

use super::{HistoryLine, Metric};

/// Why an event is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind of error, as in results.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// Whose it is to mend.
    pub fault: EventFault,
    /// The activity, for the history.
    pub activity: Option<HistoryLine>,
    /// What was measured.
    pub metrics: Vec<Metric>,
}

/// Whose it is that an event is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFault {
    /// The event's own: an attempt.
    Own,
    /// The event's own, and no further attempt will help.
    Hopeless,
    /// A vendor's: it is tried again, after that time where it is known.
    Vendors(Option<Duration>),
    /// The operator's: it is held by that, until another event that was held by it passes.
    Operators {
        /// What is to be mended.
        cause: String,
        /// False if it was not tried, because it would fail as another has.
        tried: bool,
    },
}

/// When to try again what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After so many attempts an event is dead.
    pub attempts: u32,
    /// For how long what is not the event's fault is tried, since it was received or released.
    pub give_up: Duration,
    /// Wait after the first failure; four times as long after each further one.
    pub first_retry: Duration,
}

/// What became of an event that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Postponed {
    /// It is tried again at its time.
    Waits,
    /// It is held.
    Held {
        /// False if it was held by the same before.
        anew: bool,
    },
    /// It is given up.
    Dead {
        /// False if it was dead before.
        anew: bool,
    },
}

/// What an event has been through.
#[derive(Default)]
pub(super) struct Past {
    pub kind: Option<String>,
    pub state: String,
    pub attempts: u32,
    pub tries: u32,
    pub held_by: Option<String>,
    /// Time since it was received, or last released.
    pub age: Duration,
}

/// What is to be noted of an event that has failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub state: &'static str,
    pub attempts: u32,
    pub tries: u32,
    pub wait: Option<Duration>,
    pub held_by: Option<String>,
    pub was_tried: bool,
    pub postponed: Postponed,
}

impl Past {
    /// Whether the history is to be told of it: once for each kind of failure, and at death.
    pub fn is_news(&self, trouble: &Trouble, next: &Next) -> bool {
        let is_dead = next.postponed == Postponed::Dead { anew: true };
        is_dead || next.was_tried && self.kind.as_deref() != Some(trouble.kind.as_str())
    }
}

impl RetryPolicy {
    /// Longest wait between two tries.
    const LONGEST: Duration = Duration::from_hours(12);

    /// What is to be noted. Who is dead stays so, whatever it fails by.
    pub(super) fn next(self, past: &Past, fault: &EventFault) -> Next {
        let one_more = u32::from(matches!(fault, EventFault::Own | EventFault::Hopeless));
        let attempts = past.attempts.saturating_add(one_more);
        let was_dead = past.state == "dead";
        let ends = |state, wait, postponed| Next {
            state,
            attempts,
            tries: past.tries,
            wait,
            held_by: None,
            was_tried: true,
            postponed,
        };
        let waits = |wait| ends("failed", Some(wait), Postponed::Waits);
        let dead = || ends("dead", None, Postponed::Dead { anew: !was_dead });
        match fault {
            _ if was_dead => dead(),
            EventFault::Own if attempts < self.attempts => waits(self.wait(attempts)),
            EventFault::Own | EventFault::Hopeless => dead(),
            EventFault::Vendors(_) if past.age >= self.give_up => dead(),
            // What was told when to come again has not tried in vain.
            EventFault::Vendors(Some(wait)) => waits((*wait).min(Self::LONGEST)),
            EventFault::Vendors(None) => {
                let tries = past.tries.saturating_add(1);
                Next {
                    tries,
                    ..waits(self.wait(tries))
                }
            }
            EventFault::Operators { cause, tried } => {
                let anew = past.held_by.as_ref() != Some(cause);
                Next {
                    held_by: Some(cause.clone()),
                    was_tried: *tried,
                    ..ends("held", None, Postponed::Held { anew })
                }
            }
        }
    }

    /// The wait after so many failures.
    fn wait(self, failures: u32) -> Duration {
        let growth = 4_u32
            .checked_pow(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let wait = self.first_retry.checked_mul(growth);
        wait.unwrap_or(Self::LONGEST).min(Self::LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 8,
        give_up: Duration::from_hours(14 * 24),
        first_retry: Duration::from_secs(30),
    };

    fn past(state: &str, attempts: u32, tries: u32) -> Past {
        Past {
            kind: None,
            state: state.into(),
            attempts,
            tries,
            held_by: None,
            age: Duration::ZERO,
        }
    }

    fn held_by(cause: &str) -> EventFault {
        EventFault::Operators {
            cause: cause.into(),
            tried: true,
        }
    }

    #[test]
    fn waits_grow_up_to_half_a_day_and_span_an_outage_of_most_of_a_day() {
        let waits = |fault: &EventFault, failures: std::ops::Range<u32>| -> Vec<u64> {
            let next = failures.map(|n| POLICY.next(&past("failed", n, n), fault));
            next.filter_map(|next| Some(next.wait?.as_secs())).collect()
        };
        let grown = [30, 120, 480, 1920, 7680, 30_720, 43_200];
        assert_eq!(waits(&EventFault::Own, 0..8), grown);
        assert!(grown.iter().sum::<u64>() > 23 * 3600);
        let vendors = waits(&EventFault::Vendors(None), 0..99);
        assert_eq!((&vendors[..7], vendors[98]), (&grown[..], 43_200));
        let told = EventFault::Vendors(Some(Duration::from_secs(7)));
        assert_eq!(waits(&told, 0..2), [7, 7]);
    }

    #[test]
    fn only_the_events_own_failures_are_attempts_and_only_they_are_counted() {
        let fate = |past: &Past, fault: &EventFault| {
            let Next {
                state, attempts, ..
            } = POLICY.next(past, fault);
            (state, attempts)
        };
        let seven = past("failed", 7, 0);
        assert_eq!(fate(&past("queued", 0, 0), &EventFault::Own), ("failed", 1));
        assert_eq!(fate(&seven, &EventFault::Own), ("dead", 8));
        assert_eq!(fate(&seven, &EventFault::Vendors(None)), ("failed", 7));
        assert_eq!(fate(&seven, &held_by("x")), ("held", 7));
        assert_eq!(
            fate(&past("queued", 0, 0), &EventFault::Hopeless),
            ("dead", 1)
        );
    }

    #[test]
    fn time_ends_what_is_a_vendors_and_never_what_is_the_operators() {
        let old = |state: &str| Past {
            age: POLICY.give_up,
            ..past(state, 0, 3)
        };
        let dead = |anew| ("dead", Postponed::Dead { anew });
        let fate = |past: &Past, fault: &EventFault| {
            let next = POLICY.next(past, fault);
            (next.state, next.postponed)
        };
        let told = EventFault::Vendors(Some(Duration::from_secs(1)));
        for vendors in [EventFault::Vendors(None), told] {
            assert_eq!(fate(&old("failed"), &vendors), dead(true));
        }
        let held = ("held", Postponed::Held { anew: true });
        assert_eq!(fate(&old("failed"), &held_by("x")), held);
        // A death is told once.
        assert_eq!(fate(&old("dead"), &held_by("x")), dead(false));
        let again = Past {
            held_by: Some("x".into()),
            ..old("held")
        };
        let same = ("held", Postponed::Held { anew: false });
        assert_eq!(fate(&again, &held_by("x")), same);
        assert_eq!(fate(&again, &held_by("y")), held);
    }
}
