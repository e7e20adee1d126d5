//! What a call's payload means, in every generation: how it went, and the sound that comes with it.

use serde::Deserialize;

use super::PayloadError;
use super::context::{Circumstances, direction};
use super::shape::{Attachment, Texts, Time, Values, list, seconds};
use super::wire::{Body, Notes};
use crate::domain::call::{Artifact, ArtifactKind, CallFacts, CallOutcome, CallSigns, CallUpdate};
use crate::domain::event::Subject;
use crate::domain::id::{ActivityId, UserId};
use crate::domain::parties::{Direction, Party};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    id: Option<String>,
    direction: Option<String>,
    status: Option<String>,
    created_at: Option<Time>,
    answered_at: Option<Time>,
    completed_at: Option<Time>,
    duration: Option<f64>,
    /// Only v2 and v3: there `userId` is who picked up.
    from: Texts,
    user_id: Option<String>,
    answered_by: Option<String>,
    answered_by_user_id: Option<String>,
    ai_handled: Values,
    forwarded_to: Option<String>,
    has_voicemail: Option<bool>,
    voicemail: Option<Attachment>,
    #[serde(deserialize_with = "list")]
    recordings: Vec<Attachment>,
    /// Recordings as v2 and v3 call them.
    #[serde(deserialize_with = "list")]
    media: Vec<Attachment>,
}

/// A call that has ended; `default` is the direction of types that leave it out.
pub(super) fn ended(
    body: &Body,
    circumstances: Circumstances,
    default: Option<Direction>,
    notes: &mut Notes,
) -> Result<Subject, PayloadError> {
    let mut wire: Wire = body.read()?;
    let id = body.id("id", wire.id.as_deref(), ActivityId::parse)?;
    let Some(direction) = direction(wire.direction.as_deref()).or(default) else {
        return Ok(Subject::Incomplete {
            activity: Some(id),
            missing: "direction",
        });
    };
    let Some(at) = wire.created_at.take() else {
        return Ok(Subject::Incomplete {
            activity: Some(id),
            missing: "createdAt",
        });
    };
    let facts = CallFacts {
        outcome: CallOutcome::judge(wire.signs(direction, notes)),
        duration_secs: wire.duration_secs(),
    };
    let context = circumstances.of(id, Some(at), Some(direction));
    let may_have_voicemail =
        default.is_none() && wire.tells_no_voicemail() && facts.outcome == CallOutcome::Missed;
    let voicemail = may_have_voicemail.then_some(ArtifactKind::Voicemail);
    let unannounced = voicemail
        .into_iter()
        .chain(wire.unfinished_recording())
        .collect();
    Ok(Subject::Call(CallUpdate {
        context,
        facts: Some(facts),
        artifacts: wire.artifacts(notes),
        unannounced,
    }))
}

/// The recording of a call; how the call went is told by the call's own event.
pub(super) fn recorded(
    body: &Body,
    circumstances: Circumstances,
    notes: &mut Notes,
) -> Result<Subject, PayloadError> {
    let mut wire: Wire = body.read()?;
    let id = body.id("id", wire.id.as_deref(), ActivityId::parse)?;
    let context = circumstances.of(
        id,
        wire.created_at.take(),
        direction(wire.direction.as_deref()),
    );
    let unannounced = wire.unfinished_recording().into_iter().collect();
    Ok(Subject::Call(CallUpdate {
        context,
        facts: None,
        artifacts: wire.artifacts(notes),
        unannounced,
    }))
}

impl Wire {
    fn signs(&self, direction: Direction, notes: &mut Notes) -> CallSigns {
        let status = self.status.as_deref().unwrap_or_default();
        let by = self.answerer(notes);
        let target = self
            .forwarded_to
            .as_deref()
            .filter(|to| !to.trim().is_empty())
            .map(Party::parse);
        CallSigns {
            direction,
            answered: self.answered_at.is_some(),
            ai: status == "ai-handled"
                || self.is_ai_handled()
                || by.as_ref().is_some_and(is_system),
            answered_by: by.filter(|by| direction == Direction::Incoming && by.is_person()),
            forwarded: if status == "forwarded" {
                Some(target)
            } else {
                target.map(Some)
            },
            voicemail: self.voicemail.is_some() || self.has_voicemail == Some(true),
        }
    }

    fn answerer(&self, notes: &mut Notes) -> Option<UserId> {
        let owner = self
            .user_id
            .as_deref()
            .filter(|_| self.answered_at.is_some() && !self.from.0.is_empty());
        let named = self
            .answered_by
            .as_deref()
            .or(self.answered_by_user_id.as_deref())
            .or(owner);
        notes.optional_id(named, UserId::parse)
    }

    fn is_ai_handled(&self) -> bool {
        self.ai_handled
            .0
            .iter()
            .any(|value| !value.is_empty() && value != "false")
    }

    /// v2 and v3 carry no duration: the time between picking up and hanging up.
    fn duration_secs(&self) -> Option<u32> {
        seconds(self.duration).or_else(|| {
            let talk = self
                .completed_at
                .as_ref()?
                .0
                .duration_since(self.answered_at.as_ref()?.0);
            u32::try_from(talk.as_secs()).ok()
        })
    }

    /// v4 sends no voicemail event and says nothing of one here: it has to be asked for.
    fn tells_no_voicemail(&self) -> bool {
        self.from.0.is_empty() && self.has_voicemail.is_none()
    }

    /// A recording that is named without a link is still being made.
    fn unfinished_recording(&self) -> Option<ArtifactKind> {
        let unfinished = self.recordings.iter().any(|file| file.0.url.is_none());
        unfinished.then_some(ArtifactKind::Recording)
    }

    fn artifacts(self, notes: &mut Notes) -> Vec<Artifact> {
        let files = self.recordings.into_iter().chain(self.media);
        let parts: Vec<_> = files.filter_map(|file| notes.audio(file.0)).collect();
        let recording = (!parts.is_empty()).then_some(Artifact::Recording(parts));
        let message = self.voicemail.and_then(|file| notes.audio(file.0));
        let voicemail = message.map(|audio| Artifact::Voicemail {
            audio: Some(audio),
            transcript: None,
        });
        recording.into_iter().chain(voicemail).collect()
    }
}

/// The AI agent answers under an id of this kind.
fn is_system(id: &UserId) -> bool {
    id.as_str().starts_with("SY")
}
