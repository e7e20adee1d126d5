//! What arrives about a call later, in events of its own: summary, transcript, voicemail.
//!
//! Whether it is ready is told by its status, not by the name of the event. The call's own time is
//! never in these payloads: their `createdAt` is that of the artifact.

use serde::Deserialize;

use super::PayloadError;
use super::context::{Circumstances, direction};
use super::shape::{File, Object, Texts, Values, list};
use super::wire::{Body, Notes, parties};
use crate::domain::call::{Artifact, CallUpdate, Speaker, Summary, Utterance};
use crate::domain::event::Subject;
use crate::domain::id::{ActivityId, UserId};
use crate::domain::parties::{Parties, Party};

/// Name of a job that has none.
const UNNAMED_JOB: &str = "Notes";

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    id: Option<String>,
    call_id: Option<String>,
    direction: Option<String>,
    status: Option<String>,
    processing_status: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SummaryWire {
    summary: Texts,
    next_steps: Texts,
    #[serde(deserialize_with = "list")]
    jobs: Vec<Object<Job>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Job {
    name: Option<String>,
    result: Option<Object<JobResult>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JobResult {
    #[serde(deserialize_with = "list")]
    data: Vec<Object<Pair>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pair {
    name: Option<String>,
    value: Values,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TranscriptWire {
    #[serde(deserialize_with = "list")]
    dialogue: Vec<Object<Line>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Line {
    content: Option<String>,
    identifier: Option<String>,
    user_id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct VoicemailWire {
    from: Texts,
    to: Texts,
    duration: Option<f64>,
    recording_url: Option<String>,
    transcript: Option<String>,
}

/// The summary of a call.
pub(super) fn summary(body: &Body, circumstances: Circumstances) -> Result<Subject, PayloadError> {
    let head: Head = body.read()?;
    let id = head.activity_id(body)?;
    let wire: SummaryWire = body.read()?;
    let artifact = wire.artifact().filter(|_| head.is_ready());
    Ok(head.news(id, circumstances, artifact))
}

/// The transcript of a call.
pub(super) fn transcript(
    body: &Body,
    circumstances: Circumstances,
    notes: &mut Notes,
) -> Result<Subject, PayloadError> {
    let head: Head = body.read()?;
    let id = head.activity_id(body)?;
    let wire: TranscriptWire = body.read()?;
    let utterances: Vec<_> = wire
        .dialogue
        .into_iter()
        .filter_map(|line| line.0.utterance(notes))
        .collect();
    let ready = head.is_ready() && !utterances.is_empty();
    Ok(head.news(
        id,
        circumstances,
        ready.then_some(Artifact::Transcript(utterances)),
    ))
}

/// The message a caller left. It has an activity id of its own beside that of its call, which may
/// be unknown.
pub(super) fn voicemail(
    body: &Body,
    mut circumstances: Circumstances,
    notes: &mut Notes,
) -> Result<Subject, PayloadError> {
    let head: Head = body.read()?;
    let Some(call_id) = head.call_id.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(Subject::Incomplete {
            activity: None,
            missing: "callId",
        });
    };
    let id = body.id("callId", Some(call_id), ActivityId::parse)?;
    let wire: VoicemailWire = body.read()?;
    let (from, to) = (parties(&wire.from.0), parties(&wire.to.0));
    if circumstances.parties == Parties::Unknown && !(from.is_empty() && to.is_empty()) {
        circumstances.parties = Parties::Sides { from, to };
    }
    let artifact = wire.artifact(notes).filter(|_| head.is_ready());
    Ok(head.news(id, circumstances, artifact))
}

impl Head {
    /// Of summaries and transcripts; one that has only an `id` has the call's, as its other
    /// artifacts do in v2 and v3.
    fn activity_id(&self, body: &Body) -> Result<ActivityId, PayloadError> {
        let own = self.id.as_deref().filter(|id| id.starts_with("AC"));
        body.id("callId", self.call_id.as_deref().or(own), ActivityId::parse)
    }

    fn is_ready(&self) -> bool {
        self.processing_status
            .as_deref()
            .or(self.status.as_deref())
            .is_none_or(|status| status == "completed")
    }

    fn news(
        &self,
        id: ActivityId,
        circumstances: Circumstances,
        artifact: Option<Artifact>,
    ) -> Subject {
        let context = circumstances.of(id, None, direction(self.direction.as_deref()));
        Subject::Call(CallUpdate {
            context,
            facts: None,
            artifacts: artifact.into_iter().collect(),
            unannounced: Vec::new(),
        })
    }
}

impl SummaryWire {
    fn artifact(self) -> Option<Artifact> {
        let jobs = self
            .jobs
            .into_iter()
            .filter_map(|job| job.0.pairs())
            .collect();
        let summary = Summary {
            lines: said(self.summary.0),
            next_steps: said(self.next_steps.0),
            jobs,
        };
        (summary != Summary::default()).then_some(Artifact::Summary(summary))
    }
}

impl Job {
    fn pairs(self) -> Option<(String, Vec<(String, String)>)> {
        let data = self.result.map(|result| result.0.data).unwrap_or_default();
        let pairs: Vec<_> = data
            .into_iter()
            .filter_map(|pair| pair.0.written())
            .collect();
        let name = self
            .name
            .filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| UNNAMED_JOB.into());
        (!pairs.is_empty()).then_some((name, pairs))
    }
}

impl Pair {
    fn written(self) -> Option<(String, String)> {
        let values = said(self.value.0);
        (!values.is_empty()).then(|| (self.name.unwrap_or_default(), values.join(", ")))
    }
}

impl Line {
    fn utterance(self, notes: &mut Notes) -> Option<Utterance> {
        let text = self.content.filter(|text| !text.trim().is_empty())?;
        let party = self
            .identifier
            .as_deref()
            .filter(|party| !party.trim().is_empty())
            .map(Party::parse);
        let speaker = match (
            notes.optional_id(self.user_id.as_deref(), UserId::parse),
            party,
        ) {
            (Some(user), _) => Speaker::User(user),
            (None, Some(party)) => Speaker::Party(party),
            (None, None) => Speaker::Unknown,
        };
        Some(Utterance { speaker, text })
    }
}

impl VoicemailWire {
    fn artifact(self, notes: &mut Notes) -> Option<Artifact> {
        let audio = notes.audio(File {
            url: self.recording_url,
            mime: None,
            duration: self.duration,
        });
        let transcript = self.transcript.filter(|text| !text.trim().is_empty());
        (audio.is_some() || transcript.is_some())
            .then_some(Artifact::Voicemail { audio, transcript })
    }
}

/// Texts that say something, as they are.
fn said(texts: Vec<String>) -> Vec<String> {
    texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect()
}
