//! Questions that are put off: what no delivery announces is asked for a while after its call.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::domain::call::{ArtifactKind, FOLLOW_UP, FollowUp};
use crate::domain::event::Subject;
use crate::domain::id::ActivityId;
use crate::domain::link::Link;
use crate::domain::work::Work;
use crate::store::Arrival;

/// Wait before Quo is asked for what no delivery announces.
const FOLLOW_UP_AFTER: Duration = Duration::from_secs(30);

/// Questions to be put off, one for each artifact that no delivery announces.
pub fn all(work: &Work) -> Vec<Arrival> {
    let Some(Subject::Call(news)) = work.subject() else {
        return Vec::new();
    };
    if news.context.id.is_local() {
        return Vec::new();
    }
    let question = |kind: &ArtifactKind| {
        let (activity, link) = (news.context.id.clone(), news.context.link.clone());
        let follow_up = FollowUp {
            activity,
            kind: *kind,
            link,
        };
        Arrival {
            id: follow_up.event_id(),
            event_type: FOLLOW_UP.to_owned(),
            activity: Some(follow_up.activity.clone()),
            payload: write(&follow_up),
            delay: FOLLOW_UP_AFTER,
        }
    };
    news.unannounced.iter().map(question).collect()
}

fn write(follow_up: &FollowUp) -> Vec<u8> {
    let FollowUp {
        activity,
        kind,
        link,
    } = follow_up;
    let json = json!({"type": FOLLOW_UP, "activity": activity.as_str(), "artifact": kind.word(),
        "link": link.as_ref().map(Link::as_str)});
    json.to_string().into_bytes()
}

/// Reads what the inbox kept, if it is a question.
pub fn read(payload: &[u8]) -> Option<FollowUp> {
    let json: Json = serde_json::from_slice(payload)
        .ok()
        .filter(|json: &Json| json["type"] == FOLLOW_UP)?;
    let kind = ArtifactKind::of_word(json["artifact"].as_str()?)?;
    let link = json["link"].as_str().and_then(Link::parse);
    Some(FollowUp {
        activity: ActivityId::parse(json["activity"].as_str()?).ok()?,
        kind,
        link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_up_is_read_as_it_was_written() {
        let link = Link::parse("https://my.quo.com/inbox/PN1/c/CN1?at=AC1");
        let follow_up = FollowUp {
            activity: ActivityId::parse("AC1").expect("id"),
            kind: ArtifactKind::Voicemail,
            link,
        };
        assert_eq!(read(&write(&follow_up)), Some(follow_up.clone()));
        assert_eq!(follow_up.event_id().as_str(), "follow-up-voicemail-AC1");
    }
}
