//! What arrives later about a call: recordings, voicemail, summary, transcript, and whether waiting
//! is worth it.
//!
//! Apart from [`super::calls`] because each has its own endpoint and its own state. On v1 every
//! kind is read alone; the dated surface, used for calls that v1 refuses, has summary and voicemail
//! inside the call. <https://www.quo.com/docs/mdx/api-reference/calls/get-recordings-for-a-call>
//! `…/get-a-voicemail-for-a-call` `…/get-a-summary-for-a-call` `…/get-a-transcription-for-a-call`

use serde::Deserialize;
use serde_json::Value;

use super::refusal::Error;
use super::{Surface, wire};
use crate::domain::call::{Artifact, ArtifactKind, Audio, Speaker, Summary, Utterance};
use crate::domain::id::{ActivityId, UserId};
use crate::domain::parties::Party;
use crate::domain::profile::non_blank;
use crate::http::Request;

/// Whether something can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability<T> {
    /// Here it is.
    Ready(T),
    /// Being made: ask again later.
    Pending,
    /// There is none, and none is being made.
    Absent,
}

impl<T> Availability<T> {
    /// The thing itself, if it is there.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(it) => Some(it),
            Self::Pending | Self::Absent => None,
        }
    }
}

/// `GET /v1/call-recordings/{id}` and its three likes.
pub fn get(id: &ActivityId, kind: ArtifactKind) -> Request {
    let family = match kind {
        ArtifactKind::Recording => "call-recordings",
        ArtifactKind::Voicemail => "call-voicemails",
        ArtifactKind::Summary => "call-summaries",
        ArtifactKind::Transcript => "call-transcripts",
    };
    Request::get(format!("/{family}/{id}"))
}

/// The same on the dated surface: `GET /calls/{id}/recordings`, `…/transcripts`, or the call with
/// the rest included. The lists have one entry per recorded segment and are asked for whole: 50 is
/// the most that Quo gives at once.
pub fn get_dated(id: &ActivityId, kind: ArtifactKind) -> Request {
    let including = |word: &str| Request::get(format!("/calls/{id}")).with_query("include", word);
    let list = |word: &str| Request::get(format!("/calls/{id}/{word}")).with_query("limit", "50");
    match kind {
        ArtifactKind::Recording => list("recordings"),
        ArtifactKind::Transcript => list("transcripts"),
        ArtifactKind::Voicemail => including("voicemail"),
        ArtifactKind::Summary => including("summary"),
    }
}

/// Fetches what belongs to a call, from the dated surface when the call has too many parties for
/// v1.
pub(super) fn fetch<F>(
    id: &ActivityId,
    kind: ArtifactKind,
    send: F,
) -> Result<Availability<Artifact>, Error>
where
    F: Fn(Surface, Request) -> Result<Vec<u8>, Error>,
{
    let read = match send(Surface::V1, get(id, kind)) {
        Err(Error::Refused(refusal)) if refusal.is_too_many_participants() => {
            send(Surface::Dated, get_dated(id, kind)).and_then(|body| parse_dated(&body, kind))
        }
        other => other.and_then(|body| parse(&body, kind)),
    };
    or_absent(read, (id, kind))
}

/// Fetches what belongs to a call as Quo's own JSON, if it is ready.
pub(super) fn fetch_record<F>(
    id: &ActivityId,
    kind: ArtifactKind,
    send: F,
) -> Result<Option<Value>, Error>
where
    F: Fn(Request) -> Result<Vec<u8>, Error>,
{
    let read = send(get(id, kind)).and_then(|body| {
        Ok(match parse(&body, kind)? {
            Availability::Ready(_) => Availability::Ready(wire::data("part of a call", &body)?),
            Availability::Pending => Availability::Pending,
            Availability::Absent => Availability::Absent,
        })
    });
    or_absent(read, (id, kind)).map(Availability::ready)
}

fn or_absent<T>(
    read: Result<Availability<T>, Error>,
    (id, kind): (&ActivityId, ArtifactKind),
) -> Result<Availability<T>, Error> {
    match read {
        Err(Error::Refused(refusal) | Error::Denied(refusal))
            if matches!(refusal.status, 403 | 404) =>
        {
            log::debug!("quo: no {} of {id}: {refusal}", kind.word().to_lowercase());
            Ok(Availability::Absent)
        }
        other => other,
    }
}

/// Reads the reply to [`get`].
pub fn parse(body: &[u8], kind: ArtifactKind) -> Result<Availability<Artifact>, Error> {
    Ok(match kind {
        ArtifactKind::Recording => {
            recordings(&wire::data::<Vec<WireRecording>>("recordings", body)?)
        }
        ArtifactKind::Voicemail => voicemail(&wire::data("voicemail", body)?),
        ArtifactKind::Summary => summary(wire::data("summary", body)?),
        ArtifactKind::Transcript => transcript(vec![wire::data("transcript", body)?]),
    })
}

/// Reads the reply to [`get_dated`].
pub fn parse_dated(body: &[u8], kind: ArtifactKind) -> Result<Availability<Artifact>, Error> {
    let call = || wire::data::<WireIncluded>("call", body);
    Ok(match kind {
        ArtifactKind::Recording => {
            recordings(&wire::data::<Vec<WireRecording>>("recordings", body)?)
        }
        ArtifactKind::Transcript => transcript(wire::data("transcripts", body)?),
        ArtifactKind::Voicemail => call()?
            .voicemail
            .as_ref()
            .map_or(Availability::Absent, voicemail),
        ArtifactKind::Summary => call()?.summary.map_or(Availability::Absent, summary),
    })
}

/// All parts in Quo's order, oldest first; while one is still being made, none is given.
fn recordings(parts: &[WireRecording]) -> Availability<Artifact> {
    if parts
        .iter()
        .any(|part| State::of(part.status.as_deref()) == State::Making)
    {
        return Availability::Pending;
    }
    let done = parts
        .iter()
        .filter(|part| State::of(part.status.as_deref()) == State::Done);
    let audios: Vec<_> = done
        .filter_map(|part| audio(part.url.as_deref(), part.duration))
        .collect();
    unless(audios.is_empty(), Artifact::Recording(audios))
}

pub(super) fn voicemail(wire: &WireVoicemail) -> Availability<Artifact> {
    let audio = audio(wire.recording_url.as_deref(), wire.duration);
    let transcript = wire.transcript.as_deref().and_then(non_blank);
    State::of(wire.status.as_deref()).give(Availability::Ready(Artifact::Voicemail {
        audio,
        transcript,
    }))
}

pub(super) fn summary(wire: WireSummary) -> Availability<Artifact> {
    let lines = |texts: Vec<String>| texts.iter().filter_map(|text| non_blank(text)).collect();
    let jobs = wire.jobs.into_iter().map(|job| {
        let values = job
            .result
            .data
            .into_iter()
            .map(|pair| (pair.name, wire::texts(&pair.value).join(", ")));
        (job.name, values.collect())
    });
    let summary = Summary {
        lines: lines(wire.summary),
        next_steps: lines(wire.next_steps),
        jobs: jobs.collect(),
    };
    let empty = summary == Summary::default();
    State::of(wire.status.as_deref()).give(unless(empty, Artifact::Summary(summary)))
}

/// One transcript out of those of all recorded segments, in the order of time.
fn transcript(mut segments: Vec<WireTranscript>) -> Availability<Artifact> {
    if segments
        .iter()
        .any(|segment| State::of(segment.status.as_deref()) == State::Making)
    {
        return Availability::Pending;
    }
    segments.retain(|segment| State::of(segment.status.as_deref()) == State::Done);
    segments.sort_by_key(|segment| wire::time(segment.start_time.as_deref()));
    let said = segments
        .into_iter()
        .flat_map(|segment| segment.dialogue)
        .filter_map(utterance);
    let said: Vec<_> = said.collect();
    unless(said.is_empty(), Artifact::Transcript(said))
}

fn utterance(wire: WireUtterance) -> Option<Utterance> {
    let text = non_blank(&wire.content?)?;
    let user = wire
        .actor_id
        .or(wire.user_id)
        .and_then(|id| UserId::parse(&id).ok());
    let party = wire
        .identifier
        .as_deref()
        .and_then(non_blank)
        .map(|party| Speaker::Party(Party::parse(&party)));
    Some(Utterance {
        speaker: user
            .map(Speaker::User)
            .or(party)
            .unwrap_or(Speaker::Unknown),
        text,
    })
}

fn audio(url: Option<&str>, duration: Option<f64>) -> Option<Audio> {
    let url = non_blank(url?).filter(|url| url.starts_with("https://"))?;
    Some(Audio {
        url,
        duration_secs: wire::seconds(duration),
    })
}

fn unless(empty: bool, artifact: Artifact) -> Availability<Artifact> {
    if empty {
        Availability::Absent
    } else {
        Availability::Ready(artifact)
    }
}

/// How far Quo is with it. Words that are not documented count as work in progress: whoever waits
/// does so boundedly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Making,
    Gone,
}

impl State {
    fn of(status: Option<&str>) -> Self {
        match status {
            Some("completed" | "stopped") | None => Self::Done,
            Some("absent" | "failed" | "deleted") => Self::Gone,
            Some(_) => Self::Making,
        }
    }

    fn give(self, done: Availability<Artifact>) -> Availability<Artifact> {
        match self {
            Self::Done => done,
            Self::Making => Availability::Pending,
            Self::Gone => Availability::Absent,
        }
    }
}

#[derive(Deserialize)]
struct WireRecording {
    status: Option<String>,
    url: Option<String>,
    duration: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireVoicemail {
    status: Option<String>,
    duration: Option<f64>,
    transcript: Option<String>,
    recording_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSummary {
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    summary: Vec<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    next_steps: Vec<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    jobs: Vec<WireJob>,
}

#[derive(Deserialize)]
struct WireJob {
    name: String,
    result: WireResult,
}

#[derive(Deserialize)]
struct WireResult {
    #[serde(default, deserialize_with = "wire::or_default")]
    data: Vec<WirePair>,
}

#[derive(Deserialize)]
struct WirePair {
    name: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTranscript {
    status: Option<String>,
    start_time: Option<String>,
    #[serde(default, deserialize_with = "wire::or_default")]
    dialogue: Vec<WireUtterance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUtterance {
    content: Option<String>,
    identifier: Option<String>,
    user_id: Option<String>,
    actor_id: Option<String>,
}

#[derive(Deserialize)]
struct WireIncluded {
    summary: Option<WireSummary>,
    voicemail: Option<WireVoicemail>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::refused;
    use super::*;

    fn check(kind: ArtifactKind, data: &Value, expected: &Availability<Artifact>) {
        let read = parse(json!({ "data": data }).to_string().as_bytes(), kind).expect("readable");
        assert_eq!(&read, expected, "{data}");
    }

    #[test]
    fn artifact_that_is_not_there_or_not_in_the_plan_is_absent() {
        let id = ActivityId::parse("AC1").expect("valid");
        let get = |status, code: &str| {
            let body = json!({ "message": "m", "code": code });
            fetch(&id, ArtifactKind::Recording, |surface, _| match surface {
                Surface::V1 => Err(refused(status, body.clone()).into()),
                Surface::Dated => Ok(br#"{"data":[{"status":"processing"}]}"#.to_vec()),
            })
        };
        assert_eq!(
            get(404, "0900404").expect("no failure"),
            Availability::Absent
        );
        assert_eq!(
            get(403, "0900403").expect("no failure"),
            Availability::Absent
        );
        assert_eq!(
            get(400, "0101400").expect("no failure"),
            Availability::Pending
        );
        assert!(matches!(get(400, "0900400"), Err(Error::Refused(_))));
        assert!(matches!(get(401, ""), Err(Error::Denied(_))));
    }

    #[test]
    fn recording_waits_for_all_its_parts() {
        let part =
            |status: Value, url: Value| json!({"status": status, "url": url, "duration": 3.6});
        let done = || part(json!("completed"), json!("https://a.example/1"));
        let audio = |url: &str| Audio {
            url: url.into(),
            duration_secs: Some(4),
        };
        let one = Availability::Ready(Artifact::Recording(vec![audio("https://a.example/1")]));
        let both = vec![audio("https://a.example/1"), audio("https://a.example/2")];
        let both = Availability::Ready(Artifact::Recording(both));
        for (parts, expected) in [
            (
                json!([done(), part(json!("stopped"), json!("https://a.example/2"))]),
                &both,
            ),
            (
                json!([done(), part(json!("deleted"), json!("https://a.example/2"))]),
                &one,
            ),
            (
                json!([
                    done(),
                    part(json!("completed"), json!("http://a.example/2"))
                ]),
                &one,
            ),
            (json!([done(), part(json!("completed"), json!(null))]), &one),
            (
                json!([part(json!(null), json!("https://a.example/1"))]),
                &one,
            ),
            (
                json!([done(), part(json!("processing"), json!(null))]),
                &Availability::Pending,
            ),
            (
                json!([part(json!("some new word"), json!(null))]),
                &Availability::Pending,
            ),
            (
                json!([
                    part(json!("failed"), json!(null)),
                    part(json!("absent"), json!(null))
                ]),
                &Availability::Absent,
            ),
        ] {
            check(ArtifactKind::Recording, &parts, expected);
        }
    }

    #[test]
    fn status_alone_says_whether_waiting_is_worth_it() {
        for (status, expected) in [
            ("in-progress", Availability::Pending),
            ("absent", Availability::Absent),
            ("failed", Availability::Absent),
            ("completed", Availability::Absent),
        ] {
            check(
                ArtifactKind::Summary,
                &json!({"status": status, "summary": [" "], "nextSteps": null}),
                &expected,
            );
            check(
                ArtifactKind::Transcript,
                &json!({"status": status, "dialogue": null}),
                &expected,
            );
        }
        let voicemail = Availability::Ready(Artifact::Voicemail {
            audio: None,
            transcript: None,
        });
        check(
            ArtifactKind::Voicemail,
            &json!({"status": "completed", "recordingUrl": null}),
            &voicemail,
        );
    }

    #[test]
    fn summary_keeps_what_the_agent_noted() {
        let job = json!({"icon": "x", "name": "Booking", "result": {"data": [
            {"name": "Day", "value": "Thursday"}, {"name": "Guests", "value": 2},
                {"name": "Firm", "value": true},
        ]}});
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let noted = vec![
            pair("Day", "Thursday"),
            pair("Guests", "2"),
            pair("Firm", "true"),
        ];
        let summary = Summary {
            jobs: vec![("Booking".into(), noted)],
            ..Summary::default()
        };
        let expected = Availability::Ready(Artifact::Summary(summary));
        check(
            ArtifactKind::Summary,
            &json!({"status": "completed", "jobs": [job]}),
            &expected,
        );
    }

    #[test]
    fn speaker_is_the_user_else_the_number_else_unknown() {
        let said = |speaker: Speaker| Utterance {
            speaker,
            text: "Hi".into(),
        };
        let user = || Speaker::User(UserId::parse("US1").expect("valid"));
        let expected = vec![
            said(user()),
            said(user()),
            said(Speaker::Party(Party::parse("x"))),
            said(Speaker::Unknown),
        ];
        let dialogue = json!([
            {"content": "Hi", "userId": "US1", "identifier": null},
            {"content": " Hi ", "actorId": "US1", "identifier": "+12025550147"},
            {"content": "Hi", "identifier": "x"},
            {"content": "Hi"},
            {"content": " ", "userId": "US1"},
        ]);
        let expected = Availability::Ready(Artifact::Transcript(expected));
        check(
            ArtifactKind::Transcript,
            &json!({"status": "completed", "dialogue": dialogue}),
            &expected,
        );
    }

    #[test]
    fn segments_are_joined_in_the_order_of_time() {
        let segment = |start: &str, status: &str| {
            json!({"status": status, "startTime": start,
            "dialogue": [{"content": start}]})
        };
        let read = |segments: Value| {
            let body = json!({ "data": segments }).to_string();
            parse_dated(body.as_bytes(), ArtifactKind::Transcript).expect("readable")
        };
        let texts = |texts: &[&str]| {
            let said = texts.iter().map(|text| Utterance {
                speaker: Speaker::Unknown,
                text: (*text).into(),
            });
            Availability::Ready(Artifact::Transcript(said.collect()))
        };
        let (early, late) = ("2026-10-02T15:00:06Z", "2026-10-02T15:03:00Z");
        assert_eq!(
            read(json!([
                segment(late, "completed"),
                segment(early, "completed")
            ])),
            texts(&[early, late])
        );
        assert_eq!(
            read(json!([
                segment(late, "failed"),
                segment(early, "completed")
            ])),
            texts(&[early])
        );
        assert_eq!(
            read(json!([
                segment(late, "in-progress"),
                segment(early, "completed")
            ])),
            Availability::Pending
        );
        assert_eq!(read(json!([])), Availability::Absent);
    }

    #[test]
    fn dated_call_without_the_included_part_has_none() {
        let read = |kind| parse_dated(br#"{"data":{"id":"AC1"}}"#, kind).expect("readable");
        assert_eq!(read(ArtifactKind::Summary), Availability::Absent);
        assert_eq!(read(ArtifactKind::Voicemail), Availability::Absent);
    }
}
