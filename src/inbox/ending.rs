//! What came of an event, noted in the inbox: it is finished, waits, is held or given up.

use std::time::Duration;

use crate::domain::event::Subject;
use crate::domain::failure::{Failure, Hope, Whose};
use crate::domain::id::{EventId, PageId};
use crate::domain::outcome::{
    Action, Alarm, AlarmKind, Outcome, Reason, Synced, Verdict, Warning, WarningCode,
};
use crate::domain::phone::Phone;
use crate::domain::work::Work;
use crate::store::{
    CHORE, EventFault, Finish, HistoryLine, Metric, Postponed, RetryPolicy, Store, Trouble,
};
use crate::sync::Run;

use super::{Claim, follow_up};

/// Added to the hint of a failure whose event is kept.
const KEPT: &str = "; the event is kept, `quotion replay` tries again";
/// Added to the hint of what is the operator's to mend.
const HELD: &str = "; the event is kept, and `quotion replay` does it once that is mended";
/// Added to the hint of the last failure.
const GIVEN_UP: &str =
    "; it is given up now: the event is kept, and `quotion replay --dead` tries again";

/// Notes what came of an event.
pub fn conclude(
    run: &Run,
    claim: &Claim,
    work: &Work,
    outcome: Outcome,
    took: Duration,
) -> Outcome {
    let mut metrics = run.take_metrics();
    metrics.push(Metric {
        kind: "sync",
        operation: operation(work).to_owned(),
        took,
        success: outcome.failure().is_none(),
    });
    let account = Account {
        activity: line(work, &outcome),
        metrics,
        took,
    };
    if outcome.failure().is_none() {
        return finish(run, work, outcome, account);
    }
    let policy = run.settings.retry_policy;
    let ending = Ending {
        store: run.store,
        policy,
        claim,
    };
    ending.postpone(&work.event_id(), outcome, account)
}

/// What is told to people of an event beside its ending.
#[derive(Default)]
struct Account {
    activity: Option<HistoryLine>,
    metrics: Vec<Metric>,
    took: Duration,
}

fn operation(work: &Work) -> &'static str {
    match (work, work.subject()) {
        (Work::FollowUp(_), _) => CHORE,
        (_, Some(Subject::Call(_))) => "call",
        (_, Some(Subject::Message(_))) => "message",
        (
            _,
            Some(Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. }) | None,
        ) => "contact",
    }
}

/// What the history says of the activity; nothing of a contact, or of a chore.
fn line(work: &Work, outcome: &Outcome) -> Option<HistoryLine> {
    let (context, is_call) = match work.subject()? {
        Subject::Call(news) => (&news.context, true),
        Subject::Message(message) => (&message.context, false),
        Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. } => return None,
    };
    Some(HistoryLine {
        id: context.id.clone(),
        is_call,
        direction: context.direction(),
        number: context.number_id.clone(),
        is_skip: matches!(outcome.verdict, Verdict::Skipped(_)),
        actions: outcome.pages.iter().map(|synced| synced.action).collect(),
    })
}

/// Notes why an event could not be finished.
pub fn postpone(
    store: &Store,
    policy: RetryPolicy,
    claim: &Claim,
    id: &EventId,
    outcome: Outcome,
) -> Outcome {
    let ending = Ending {
        store,
        policy,
        claim,
    };
    ending.postpone(id, outcome, Account::default())
}

/// Where and how it is noted.
struct Ending<'a> {
    store: &'a Store,
    policy: RetryPolicy,
    claim: &'a Claim,
}

impl Ending<'_> {
    fn postpone(self, id: &EventId, mut outcome: Outcome, account: Account) -> Outcome {
        let Verdict::Failed(failure) = &mut outcome.verdict else {
            return outcome;
        };
        // Nothing was met with: it is as due as before.
        if failure.is_stop() {
            return outcome;
        }
        let trouble = Trouble {
            kind: failure.kind.name().to_owned(),
            message: failure.message.clone(),
            fault: fault(failure),
            activity: account.activity,
            metrics: account.metrics,
        };
        let hint = match self.store.postpone(id, &trouble, self.policy) {
            Ok(Postponed::Waits) => KEPT,
            Ok(Postponed::Held { anew }) => {
                // Who delivers it once more is told once more; a replay looks every minute.
                failure.is_known = !anew && *self.claim != Claim::Wait;
                HELD
            }
            Ok(Postponed::Dead { anew }) => {
                if anew {
                    outcome.notes.alarms.push(Alarm {
                        kind: AlarmKind::Dead,
                        message: format!("given up: {}", failure.message),
                    });
                }
                GIVEN_UP
            }
            // The first failure says more; that the store fails too is told beside it.
            Err(err) => {
                let warning = Warning::new(WarningCode::Store, err.to_string());
                outcome.notes.warnings.push(warning);
                return outcome;
            }
        };
        if !failure.hint.ends_with(hint) {
            failure.hint.push_str(hint);
        }
        outcome
    }
}

fn fault(failure: &Failure) -> EventFault {
    if let Some(cause) = failure.cause() {
        return EventFault::Operators {
            cause: cause.to_string(),
            tried: !failure.is_foreseen,
        };
    }
    match (failure.hope, failure.whose) {
        (Hope::Never, _) => EventFault::Hopeless,
        (Hope::Later, _) | (Hope::Mended, Whose::Vendor | Whose::Operator) => {
            EventFault::Vendors(failure.retry_after)
        }
        (Hope::Mended, Whose::Event) => EventFault::Own,
    }
}

fn finish(run: &Run, work: &Work, outcome: Outcome, account: Account) -> Outcome {
    let store = run.store;
    let id = &work.event_id();
    let concerns_nobody = matches!(
        outcome.verdict,
        Verdict::Skipped(Reason::NoClientNumber | Reason::MissingFields | Reason::NotWanted)
    );
    let kept = if concerns_nobody {
        store.discard(id)
    } else {
        let mut follow_ups = match run.quo {
            Some(_) => follow_up::all(work),
            None => Vec::new(),
        };
        let kept = if follow_ups.is_empty() {
            Ok(())
        } else {
            store.receive(&mut follow_ups).map(drop)
        };
        kept.and_then(|()| store.finish(id, &finished(&outcome, account)))
    };
    match kept {
        Ok(()) => outcome,
        Err(err) => Outcome {
            verdict: Verdict::Failed(err.into()),
            ..outcome
        },
    }
}

fn finished(outcome: &Outcome, account: Account) -> Finish {
    let pages = outcome.pages.iter().map(|synced| {
        (
            synced.phone.clone(),
            synced.page.clone(),
            synced.client_name.clone(),
        )
    });
    Finish {
        pages: pages.collect(),
        activity: account.activity,
        took: account.took,
        metrics: account.metrics,
    }
}

/// An event that is finished already, with its pages; the history is told that it came again.
pub fn duplicate_again(
    store: &Store,
    work: &Work,
    pages: Vec<(Phone, Option<PageId>, String)>,
) -> Outcome {
    let outcome = duplicate(work, pages);
    if let Some(line) = line(work, &outcome) {
        let pages = outcome.pages.iter().map(|synced| synced.page.clone());
        if let Err(err) = store.skip(&line, &pages.collect::<Vec<_>>()) {
            log::warn!("the history is not kept: {err}");
        }
    }
    outcome
}

/// An event that is finished already, with its pages.
pub fn duplicate(work: &Work, pages: Vec<(Phone, Option<PageId>, String)>) -> Outcome {
    let synced = pages.into_iter().map(|(phone, page, client_name)| Synced {
        phone,
        action: Action::Skipped,
        page,
        client_name,
    });
    Outcome {
        pages: synced.collect(),
        ..work.ends(Verdict::Skipped(Reason::Duplicate))
    }
}
