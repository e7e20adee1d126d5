//! What arrives later about a call: recordings, voicemail, summary, transcript, and whether waiting
//! is worth it.
//!
//! Apart from [`super::calls`] because each has its own endpoint and its own state. On v1 every
//! kind is read alone; the dated surface, used for calls that v1 refuses, has summary and voicemail
//! inside the call. <https://www.quo.com/docs/mdx/api-reference/calls/get-recordings-for-a-call>
//! `…/get-a-voicemail-for-a-call` `…/get-a-summary-for-a-call` `…/get-a-transcription-for-a-call`

use serde_json::value::RawValue;

use super::refusal::Error;
use super::{Surface, wire};
use crate::domain::call::{Artifact, ArtifactKind};
use crate::domain::dialogue::Dialogue;
use crate::domain::id::ActivityId;
use crate::http::Request;
use crate::json_line;
use crate::quo::words::{Availability, Fields, OBJECT, Oddities, artifact};

const REPLY: &[&str] = &["data"];
const SEGMENT: &[&str] = &["status", "processingStatus", "startTime", "dialogue"];

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
    or_absent(read, id, kind)
}

/// Fetches what belongs to a call as Quo's own JSON, on one line; `None` for a 404.
pub(super) fn fetch_record<F>(
    id: &ActivityId,
    kind: ArtifactKind,
    send: F,
) -> Result<Option<Availability<String>>, Error>
where
    F: Fn(Request) -> Result<Vec<u8>, Error>,
{
    let read = send(get(id, kind)).and_then(|body| {
        Ok(match parse(&body, kind)? {
            Availability::Ready(_) => {
                let data: &RawValue = wire::data("part of a call", &body)?;
                Availability::Ready(json_line::compact(data.get()))
            }
            Availability::Pending => Availability::Pending,
            Availability::Absent => Availability::Absent,
        })
    });
    match read {
        Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(None),
        // Perhaps the plan has it tomorrow.
        Err(Error::Refused(refusal) | Error::Denied(refusal)) if refusal.status == 403 => {
            Ok(Some(Availability::Pending))
        }
        other => other.map(Some),
    }
}

fn or_absent<T>(
    read: Result<Availability<T>, Error>,
    id: &ActivityId,
    kind: ArtifactKind,
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
    match kind {
        ArtifactKind::Recording => recordings(body),
        ArtifactKind::Voicemail => {
            wire::object("voicemail", body, |it| Ok(artifact::voicemail(it)))
        }
        ArtifactKind::Summary => wire::object("summary", body, |it| Ok(artifact::summary(it))),
        ArtifactKind::Transcript => {
            wire::object("transcript", body, |it| Ok(artifact::transcript(it)))
        }
    }
}

/// Reads the reply to [`get_dated`].
pub fn parse_dated(body: &[u8], kind: ArtifactKind) -> Result<Availability<Artifact>, Error> {
    let inside = |name: &'static str, read: fn(&Fields) -> Availability<Artifact>| {
        wire::object("call", body, |call| {
            let part = call.raw(name).and(call.object(name, OBJECT));
            Ok(part.as_ref().map_or(Availability::Absent, read))
        })
    };
    match kind {
        ArtifactKind::Recording => recordings(body),
        ArtifactKind::Transcript => transcripts(body),
        ArtifactKind::Voicemail => inside("voicemail", artifact::voicemail),
        ArtifactKind::Summary => inside("summary", artifact::summary),
    }
}

fn recordings(body: &[u8]) -> Result<Availability<Artifact>, Error> {
    list("recordings", body, |reply| {
        Ok(artifact::recordings(reply, "data"))
    })
}

/// One transcript out of those of all recorded segments, in the order of time.
fn transcripts(body: &[u8]) -> Result<Availability<Artifact>, Error> {
    list("transcripts", body, |reply| {
        let (mut segments, mut making) = (Vec::new(), false);
        reply.objects("data", SEGMENT, |segment| {
            match artifact::segment(&segment) {
                Availability::Pending => making = true,
                Availability::Absent => {}
                Availability::Ready(said) => segments.push((segment.time("startTime"), said)),
            }
        });
        segments.sort_by_key(|(start, _)| *start);
        let mut said = Dialogue::default();
        for (_, part) in segments {
            said.append(part);
        }
        Ok(match (making, said.is_empty()) {
            (true, _) => Availability::Pending,
            (false, true) => Availability::Absent,
            (false, false) => Availability::Ready(Artifact::Transcript(said)),
        })
    })
}

/// Reads a reply whose `data` is a list; any other is no answer.
fn list<T>(
    what: &'static str,
    body: &[u8],
    read: impl FnOnce(&Fields) -> Result<T, Error>,
) -> Result<T, Error> {
    let bad = || Error::unreadable(what, "data is no list", body);
    let json = std::str::from_utf8(body).map_err(|err| Error::unreadable(what, err, body))?;
    let notes = Oddities::default();
    let reply = Fields::of(json, "", REPLY, &notes).ok_or_else(bad)?;
    reply
        .raw("data")
        .filter(|json| json.starts_with('['))
        .ok_or_else(bad)?;
    let read = read(&reply);
    drop(reply);
    wire::log_oddities(notes);
    read
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::refused;
    use super::*;
    use crate::domain::dialogue::Speaker;
    use serde_json::Value;

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
            let said = texts.iter().map(|text| (Speaker::Unknown, *text));
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
