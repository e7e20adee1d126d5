//! A call: how it went, and what came with it.
//!
//! Judging how it went is the domain's ([`CallFacts::outcome`]); here every generation's signs are
//! read into one form. <https://www.quo.com/docs/mdx/api-reference/calls/get-a-call-by-id>

use super::artifact::{self, Collected};
use super::fields::Fields;
use crate::domain::call::{ArtifactKind, CallFacts, CallUpdate};
use crate::domain::context::Context;
use crate::domain::id::UserId;
use crate::domain::parties::Party;

/// What is told of a call that is over.
pub fn ended(context: Context, fields: &Fields) -> CallUpdate {
    let facts = facts(fields);
    let collected = artifact::of_call(fields);
    let may_have_voicemail = tells_no_voicemail(fields)
        && facts.answered == Some(false)
        && !facts.by_ai
        && facts.forwarded.is_none();
    let voicemail = may_have_voicemail.then_some(ArtifactKind::Voicemail);
    update(context, Some(facts), collected, voicemail)
}

/// What is told when a recording is there. How the call went is told by the call's own event; what
/// is said of it here counts where that cannot be had.
pub fn recorded(context: Context, fields: &Fields) -> CallUpdate {
    let told = ["answeredAt", "status", "duration"];
    let facts = told
        .iter()
        .any(|name| fields.raw(name).is_some())
        .then(|| facts(fields));
    let collected = artifact::of_call(fields);
    let nothing = collected.artifacts.is_empty() && collected.unfinished.is_empty();
    let missing = nothing.then_some(ArtifactKind::Recording);
    let update = update(context, None, collected, missing);
    CallUpdate {
        beside: facts,
        is_late: true,
        ..update
    }
}

fn update(
    context: Context,
    facts: Option<CallFacts>,
    collected: Collected,
    missing: Option<ArtifactKind>,
) -> CallUpdate {
    let mut unannounced = collected.unfinished;
    unannounced.extend(missing.filter(|kind| !unannounced.contains(kind)));
    CallUpdate {
        context,
        facts,
        beside: None,
        artifacts: collected.artifacts,
        unannounced,
        is_late: false,
    }
}

/// How a call went, as far as it is said.
pub fn facts(fields: &Fields) -> CallFacts {
    let status = fields.word("status").unwrap_or_default();
    let answered_at = fields.time("answeredAt");
    let named = ["answeredBy", "answeredByUserId"];
    let named = named.iter().find_map(|name| fields.id(name, UserId::parse));
    // In deliveries of v2 and v3 the user is who picked up, if somebody did.
    let owner = (answered_at.is_some() && fields.raw("from").is_some())
        .then(|| fields.id("userId", UserId::parse))
        .flatten();
    let target = fields.word("forwardedTo").map(|to| Party::parse(&to));
    CallFacts {
        answered: answered(fields, &status, named.is_some()),
        answered_by: named.or(owner),
        by_ai: status == "ai-handled"
            || fields.flag("aiHandled") == Some(true)
            || fields.flag("handledByAiAgent") == Some(true),
        forwarded: if status == "forwarded" {
            Some(target)
        } else {
            target.map(Some)
        },
        voicemail: status == "voicemail"
            || fields.flag("voicemail") == Some(true)
            || fields.flag("hasVoicemail") == Some(true),
        duration_secs: duration(fields),
    }
}

/// Whether somebody picked up: `answeredAt` says so, or that nobody did when it is null; an absent
/// one says nothing. A status counts where nothing better is told, but `answered` is believed.
fn answered(fields: &Fields, status: &str, is_named: bool) -> Option<bool> {
    let unanswered = [
        "missed",
        "unanswered",
        "no-answer",
        "abandoned",
        "busy",
        "failed",
        "canceled",
        "voicemail",
    ];
    if fields.time("answeredAt").is_some() || status == "answered" || is_named {
        Some(true)
    } else if fields.is_null("answeredAt") || unanswered.contains(&status) {
        Some(false)
    } else {
        None
    }
}

/// v2 and v3 carry no duration: the time between picking up and hanging up.
fn duration(fields: &Fields) -> Option<u32> {
    fields.seconds("duration").or_else(|| {
        let talk = fields
            .time("completedAt")?
            .duration_since(fields.time("answeredAt")?);
        u32::try_from(talk.as_secs()).ok()
    })
}

/// v4 sends no voicemail event and says nothing of one in its calls: it has to be asked for.
fn tells_no_voicemail(fields: &Fields) -> bool {
    !fields.has("voicemail") && !fields.has("hasVoicemail")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::call::CallOutcome;
    use crate::domain::parties::Direction;
    use crate::quo::words::{OBJECT, Oddities};

    #[track_caller]
    fn check(json: &Value, expected: &CallOutcome) {
        let (notes, text) = (Oddities::default(), json.to_string());
        let fields = Fields::of(&text, "", OBJECT, &notes).expect("an object");
        let outcome = facts(&fields).outcome(Some(Direction::Incoming));
        assert_eq!(outcome, *expected, "{json}");
    }

    #[test]
    fn outcome_is_told_by_who_picked_up_before_the_status() {
        let at = "2026-10-01T15:00:06.000Z";
        let marta = || CallOutcome::Answered(UserId::parse("US1").ok());
        check(
            &json!({"status": "completed", "answeredAt": null}),
            &CallOutcome::Missed,
        );
        check(
            &json!({"status": "no-answer", "duration": 16}),
            &CallOutcome::Missed,
        );
        check(&json!({"status": "missed"}), &CallOutcome::Missed);
        check(
            &json!({"status": "missed", "answeredAt": at}),
            &CallOutcome::Answered(None),
        );
        check(
            &json!({"status": "completed", "duration": 540}),
            &CallOutcome::Ended,
        );
        check(
            &json!({"status": "answered", "answeredAt": null}),
            &CallOutcome::Answered(None),
        );
        check(&json!({"status": "answered"}), &CallOutcome::Answered(None));
        check(&json!({"answeredAt": at}), &CallOutcome::Answered(None));
        check(&json!({"answeredBy": "US1", "answeredAt": at}), &marta());
        check(
            &json!({"userId": "US1", "answeredAt": at, "from": "+12025550147"}),
            &marta(),
        );
        check(
            &json!({"userId": "US1", "answeredAt": at}),
            &CallOutcome::Answered(None),
        );
        check(
            &json!({"userId": "US1", "answeredAt": null, "from": "x"}),
            &CallOutcome::Missed,
        );
    }

    #[test]
    fn outcome_is_told_by_voicemail_agent_and_forwarding() {
        let at = "2026-10-01T15:00:06.000Z";
        check(&json!({"status": "voicemail"}), &CallOutcome::Voicemail);
        check(
            &json!({"voicemail": {"url": "x"}, "answeredAt": null}),
            &CallOutcome::Voicemail,
        );
        check(&json!({"hasVoicemail": true}), &CallOutcome::Voicemail);
        check(
            &json!({"hasVoicemail": false, "answeredAt": null}),
            &CallOutcome::Missed,
        );
        let agent = &CallOutcome::HandledByAi;
        check(
            &json!({"answeredAt": at, "answeredBy": "SYsona0001"}),
            agent,
        );
        check(&json!({"aiHandled": "ai-agent"}), agent);
        check(&json!({"status": "ai-handled"}), agent);
        check(
            &json!({"status": "forwarded"}),
            &CallOutcome::Forwarded(None),
        );
        let to = |to: &str| CallOutcome::Forwarded(Some(Party::parse(to)));
        check(&json!({"forwardedTo": "+12125550199"}), &to("+12125550199"));
        check(&json!({"forwardedTo": "USdevon002"}), &to("USdevon002"));
        check(
            &json!({"forwardedTo": null, "answeredAt": null}),
            &CallOutcome::Missed,
        );
    }

    #[test]
    fn duration_is_told_or_the_time_between_picking_up_and_hanging_up() {
        let duration = |json: &Value| {
            let (notes, text) = (Oddities::default(), json.to_string());
            let fields = Fields::of(&text, "", OBJECT, &notes).expect("an object");
            facts(&fields).duration_secs
        };
        let (begin, end) = ("2026-10-01T15:00:00Z", "2026-10-01T15:05:12Z");
        assert_eq!(duration(&json!({"duration": "312"})), Some(312));
        assert_eq!(
            duration(&json!({"answeredAt": begin, "completedAt": end})),
            Some(312)
        );
        assert_eq!(
            duration(&json!({"answeredAt": null, "completedAt": end})),
            None
        );
        assert_eq!(
            duration(&json!({"answeredAt": end, "completedAt": begin})),
            None
        );
    }
}
