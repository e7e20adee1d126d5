//! What belongs to a call and arrives later: recordings, voicemail, summary, transcript, and
//! whether waiting for it is worth it.
//!
//! Whether something is ready is told by its status, not by the name of an event. All that looks
//! like a transcript is one, wherever it stands; what cannot be read of it is noted, never dropped
//! in silence.

use super::fields::{Fields, OBJECT, each_item, loose_texts, scalar};
use crate::domain::call::{Artifact, ArtifactKind, Audio, Job, Note, Summary};
use crate::domain::dialogue::{Dialogue, Speaker};
use crate::domain::id::UserId;
use crate::domain::link::Address;
use crate::domain::parties::Party;

/// Name of a job that has none.
const UNNAMED_JOB: &str = "Oddities";

/// Fields under which a transcript stands.
const TRANSCRIPTS: [&str; 4] = ["transcript", "transcription", "dialogue", "transcripts"];
/// How many objects a transcript may lie in.
const DEEPEST: usize = 4;

/// The fields of a transcript where it stands inside of something.
const TRANSCRIPT: &[&str] = &[
    "dialogue",
    "transcript",
    "transcription",
    "transcripts",
    "content",
    "text",
];
/// The fields of a recording, or of another file of a call.
const FILE: &[&str] = &[
    "status",
    "url",
    "duration",
    "type",
    "transcript",
    "transcription",
    "transcripts",
    "dialogue",
    "content",
    "text",
];
const JOB: &[&str] = &["name", "result"];
const RESULT: &[&str] = &["data"];
const NOTE: &[&str] = &["name", "value"];
const LINE: &[&str] = &["content", "text", "identifier", "userId", "actorId"];

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

/// How far Quo is with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArtifactState {
    Done,
    Making,
    Gone,
    /// A word that is not documented: what is there counts, and where nothing is, it may come;
    /// whoever waits does so boundedly.
    Unheard,
}

impl ArtifactState {
    fn of(fields: &Fields) -> Self {
        let status = fields.word("processingStatus");
        let status = status.or_else(|| fields.word("status"));
        match status.map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("completed" | "stopped") | None => Self::Done,
            Some("absent" | "failed" | "deleted") => Self::Gone,
            Some("in-progress") => Self::Making,
            Some(_) => Self::Unheard,
        }
    }

    fn give<T>(self, there: Option<T>) -> Availability<T> {
        match (self, there) {
            (Self::Done | Self::Unheard, Some(it)) => Availability::Ready(it),
            (Self::Making, _) | (Self::Unheard, None) => Availability::Pending,
            (Self::Done, None) | (Self::Gone, _) => Availability::Absent,
        }
    }
}

/// What a call brings along.
pub struct Collected {
    /// What is there.
    pub artifacts: Vec<Artifact>,
    /// What is still being made.
    pub unfinished: Vec<ArtifactKind>,
}

/// Collects everything that a call brings along: its recordings and other files, a voicemail, a
/// summary, and a transcript wherever it stands.
pub fn of_call(fields: &Fields) -> Collected {
    let mut said = dialogue(fields);
    let (mut parts, mut unfinished) = (Vec::new(), Vec::new());
    for name in ["recordings", "media"] {
        let place = fields.place(name);
        fields.each(name, |json| {
            let Some(file) = Fields::of(json, &place, FILE, fields.notes()) else {
                return match scalar(json).filter(|_| json.starts_with('"')) {
                    Some(address) => parts.extend(sound(Some(&address), None)),
                    None => fields.unreadable(name, "a file"),
                };
            };
            let kind = file.word("type").unwrap_or_default().to_ascii_lowercase();
            let is_transcript = kind.contains("transcript");
            let spoken = if is_transcript {
                whole(&file, DEEPEST)
            } else {
                dialogue(&file)
            };
            if is_transcript && spoken.is_empty() {
                fields.unreadable(name, "a transcript");
            }
            let audio = sound(file.word("url").as_deref(), file.seconds("duration"));
            let is_missing = audio.is_none() && spoken.is_empty() && !is_transcript;
            if name == "recordings" && is_missing && ArtifactState::of(&file) != ArtifactState::Gone
            {
                unfinished = vec![ArtifactKind::Recording];
            }
            parts.extend(audio.filter(|_| !is_transcript));
            add(&mut said, spoken);
        });
    }
    let mut artifacts = Vec::new();
    artifacts.extend((!parts.is_empty()).then_some(Artifact::Recording(parts)));
    match voicemail_inside(fields) {
        Availability::Ready(voicemail) => artifacts.push(voicemail),
        Availability::Pending => unfinished.push(ArtifactKind::Voicemail),
        Availability::Absent => {}
    }
    artifacts.extend(summary_inside(fields));
    artifacts.extend((!said.is_empty()).then_some(Artifact::Transcript(said)));
    Collected {
        artifacts,
        unfinished,
    }
}

/// A summary.
pub fn summary(fields: &Fields) -> Availability<Artifact> {
    let mut jobs = Vec::new();
    fields.each("jobs", |json| jobs.extend(job(json, fields)));
    let summary = Summary {
        title: fields.word("title"),
        lines: said(fields.texts("summary")),
        next_steps: said(fields.texts("nextSteps")),
        jobs,
    };
    let nothing = summary == Summary::default();
    ArtifactState::of(fields).give((!nothing).then_some(Artifact::Summary(summary)))
}

/// A transcript.
pub fn transcript(fields: &Fields) -> Availability<Artifact> {
    match segment(fields) {
        Availability::Ready(said) => Availability::Ready(Artifact::Transcript(said)),
        Availability::Pending => Availability::Pending,
        Availability::Absent => Availability::Absent,
    }
}

/// What was said in one recorded part of a call.
pub fn segment(fields: &Fields) -> Availability<Dialogue> {
    let said = dialogue(fields);
    ArtifactState::of(fields).give((!said.is_empty()).then_some(said))
}

/// A voicemail. A state says that there is one, even where neither sound nor words are told.
pub fn voicemail(fields: &Fields) -> Availability<Artifact> {
    let url = fields.word("recordingUrl").or_else(|| fields.word("url"));
    let audio = sound(url.as_deref(), fields.seconds("duration"));
    let spoken = dialogue(fields);
    let transcript = (!spoken.is_empty()).then(|| {
        let lines: Vec<&str> = spoken.iter().map(|line| line.text).collect();
        lines.join("\n")
    });
    let there = audio.is_some() || transcript.is_some() || fields.raw("status").is_some();
    ArtifactState::of(fields).give(there.then_some(Artifact::Voicemail { audio, transcript }))
}

/// The recordings in a list, in Quo's order, oldest first; while one is still being made, none is
/// given.
pub fn recordings(fields: &Fields, list: &str) -> Availability<Artifact> {
    let (mut done, mut making) = (Vec::new(), false);
    fields.objects(list, FILE, |part| match ArtifactState::of(&part) {
        ArtifactState::Making => making = true,
        ArtifactState::Gone => {}
        state @ (ArtifactState::Done | ArtifactState::Unheard) => {
            let audio = sound(part.word("url").as_deref(), part.seconds("duration"));
            making |= state == ArtifactState::Unheard && audio.is_none();
            done.extend(audio);
        }
    });
    let state = if making {
        ArtifactState::Making
    } else {
        ArtifactState::Done
    };
    state.give((!done.is_empty()).then_some(Artifact::Recording(done)))
}

/// The first voicemail that is there: an object, a list of such, or an address.
fn voicemail_inside(fields: &Fields) -> Availability<Artifact> {
    let place = fields.place("voicemail");
    let mut found = Availability::Absent;
    fields.each("voicemail", |json| {
        if matches!(found, Availability::Ready(_)) {
            return;
        }
        if let Some(inner) = Fields::of(json, &place, OBJECT, fields.notes()) {
            found = voicemail(&inner);
        } else if json.starts_with('"') {
            let audio = sound(scalar(json).as_deref(), None);
            found = ArtifactState::Done.give(audio.map(|audio| Artifact::Voicemail {
                audio: Some(audio),
                transcript: None,
            }));
        }
    });
    found
}

/// In calls of the dated surface a summary is an object; in other places the name means a text.
fn summary_inside(fields: &Fields) -> Option<Artifact> {
    fields.raw("summary").filter(|json| json.starts_with('{'))?;
    summary(&fields.object("summary", OBJECT)?).ready()
}

fn sound(url: Option<&str>, duration_secs: Option<u32>) -> Option<Audio> {
    let url = url.filter(|url| !url.trim().is_empty())?;
    Some(Audio {
        address: Address::read(url),
        duration_secs,
    })
}

/// All that is said in an object, under every name that it may have, the same words once. What
/// looks like a transcript and cannot be read is noted.
fn dialogue(fields: &Fields) -> Dialogue {
    within(fields, DEEPEST)
}

fn within(fields: &Fields, depth: usize) -> Dialogue {
    let mut said = Dialogue::default();
    for name in TRANSCRIPTS {
        let Some(json) = fields.raw(name) else {
            continue;
        };
        let found = match depth {
            0 => Dialogue::default(),
            depth => spoken(json, &fields.place(name), fields, depth - 1),
        };
        let is_empty = ["\"\"", "[]", "{}"].contains(&json);
        if found.is_empty() && !is_empty {
            fields.unreadable(name, "a transcript");
        }
        add(&mut said, found);
    }
    said
}

/// Of an object that is nothing but a transcript, its plain words too.
fn whole(fields: &Fields, depth: usize) -> Dialogue {
    let mut said = within(fields, depth);
    let text = fields.word("content").or_else(|| fields.word("text"));
    let mut words = Dialogue::default();
    push_undivided(&mut words, text);
    add(&mut said, words);
    said
}

/// Adds what was found in one more place, unless it is what stands there already.
fn add(said: &mut Dialogue, found: Dialogue) {
    if !said.begins_or_ends_with(&found) {
        said.append(found);
    }
}

/// A text, a list of texts, lines or transcripts, or an object that holds such.
fn spoken(json: &str, place: &str, outer: &Fields, depth: usize) -> Dialogue {
    let mut said = Dialogue::default();
    match json.as_bytes().first() {
        Some(b'"') => push_undivided(&mut said, scalar(json)),
        Some(b'[') => each_item(json, |json| {
            if json.starts_with('"') {
                return push_undivided(&mut said, scalar(json));
            }
            let line = Fields::of(json, place, LINE, outer.notes());
            match line.as_ref().and_then(utterance) {
                Some((speaker, text)) => said.push(speaker, &text),
                None if line.is_some_and(|line| is_silent(&line)) => {}
                None => match Fields::of(json, place, TRANSCRIPT, outer.notes()) {
                    Some(part) if depth > 0 && holds_one(&part) => {
                        said.append(whole(&part, depth - 1));
                    }
                    Some(_) | None => outer
                        .notes()
                        .odd(format!("{place} holds a line that is none")),
                },
            }
        }),
        Some(b'{') => {
            let inner = Fields::of(json, place, TRANSCRIPT, outer.notes());
            if let Some(inner) = inner {
                said.append(whole(&inner, depth));
            }
        }
        Some(_) | None => {}
    }
    said
}

fn holds_one(fields: &Fields) -> bool {
    TRANSCRIPTS.iter().any(|name| fields.raw(name).is_some())
}

fn push_undivided(said: &mut Dialogue, text: Option<String>) {
    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
        said.push(Speaker::Undivided, &text);
    }
}

/// A line in which nothing was said is no fault.
fn is_silent(line: &Fields) -> bool {
    line.has("content") && line.word("content").is_none()
}

fn utterance(line: &Fields) -> Option<(Speaker, String)> {
    let text = line.text("content").or_else(|| line.text("text"));
    let text = text.filter(|text| !text.trim().is_empty())?;
    let user = line
        .id("actorId", UserId::parse)
        .or_else(|| line.id("userId", UserId::parse));
    let party = line.word("identifier").map(|party| Party::parse(&party));
    let speaker = user.map(Speaker::User).or(party.map(Speaker::Party));
    Some((speaker.unwrap_or(Speaker::Unknown), text))
}

/// Something that the AI agent did; one of which only the name is told stays too.
fn job(json: &str, fields: &Fields) -> Option<Job> {
    let place = fields.place("jobs");
    let Some(job) = Fields::of(json, &place, JOB, fields.notes()) else {
        let name = scalar(json).filter(|name| !name.trim().is_empty());
        return name.map(|name| Job {
            name,
            notes: Vec::new(),
        });
    };
    let mut notes = Vec::new();
    if let Some(result) = job.raw("result").and(job.object("result", RESULT)) {
        result.each("data", |json| notes.extend(note(json, &result)));
    }
    let name = job.word("name");
    let is_nothing = name.is_none() && notes.is_empty();
    (!is_nothing).then(|| Job {
        name: name.unwrap_or_else(|| UNNAMED_JOB.into()),
        notes,
    })
}

fn note(json: &str, result: &Fields) -> Option<Note> {
    let note = Fields::of(json, &result.place("data"), NOTE, result.notes());
    let (name, value) = match &note {
        Some(note) => (
            note.word("name").unwrap_or_default(),
            note.raw("value").map(loose_texts).unwrap_or_default(),
        ),
        None => (String::new(), loose_texts(json)),
    };
    let value = said(value).join(", ");
    (!name.is_empty() || !value.is_empty()).then_some(Note { name, value })
}

/// Texts that say something, as they are.
fn said(texts: Vec<String>) -> Vec<String> {
    texts
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::quo::words::Oddities;

    /// Reads the object that `json` is, and tells how many oddities there were.
    fn read<T>(json: &Value, read: impl Fn(&Fields) -> T) -> (T, usize) {
        let (notes, text) = (Oddities::default(), json.to_string());
        let fields = Fields::of(&text, "data.object", OBJECT, &notes).expect("an object");
        let it = read(&fields);
        drop(fields);
        (it, notes.into_vec().len())
    }

    fn check(
        reader: impl Fn(&Fields) -> Availability<Artifact>,
        json: &Value,
        expected: &Availability<Artifact>,
    ) {
        assert_eq!(read(json, reader), (expected.clone(), 0), "{json}");
    }

    fn audio(address: &str) -> Audio {
        Audio {
            address: Address::read(address),
            duration_secs: Some(4),
        }
    }

    #[test]
    fn recording_waits_for_all_its_parts() {
        let part =
            |status: Value, url: &str| json!({"status": status, "url": url, "duration": 3.6});
        let done = || part(json!("completed"), "https://a.example/1");
        let one = Availability::Ready(Artifact::Recording(vec![audio("https://a.example/1")]));
        let both = vec![audio("https://a.example/1"), audio("https://a.example/2")];
        let both = Availability::Ready(Artifact::Recording(both));
        for (parts, expected) in [
            (
                json!([done(), part(json!("stopped"), "https://a.example/2")]),
                &both,
            ),
            (
                json!([done(), part(json!("deleted"), "https://a.example/2")]),
                &one,
            ),
            (json!([done(), part(json!("completed"), "")]), &one),
            (json!([part(json!(null), "https://a.example/1")]), &one),
            (
                json!([done(), part(json!("processing"), "")]),
                &Availability::Pending,
            ),
            (
                json!([part(json!("some new word"), "")]),
                &Availability::Pending,
            ),
            (
                json!([part(json!("failed"), ""), part(json!("absent"), "")]),
                &Availability::Absent,
            ),
        ] {
            let list = |fields: &Fields| recordings(fields, "recordings");
            check(list, &json!({ "recordings": parts }), expected);
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
            let nothing = json!({"status": status, "summary": [" "], "nextSteps": null});
            check(summary, &nothing, &expected);
            check(
                transcript,
                &json!({"status": status, "dialogue": null}),
                &expected,
            );
        }
        let there = Availability::Ready(Artifact::Voicemail {
            audio: None,
            transcript: None,
        });
        check(
            voicemail,
            &json!({"status": "completed", "recordingUrl": null}),
            &there,
        );
        check(
            voicemail,
            &json!({"recordingUrl": null}),
            &Availability::Absent,
        );
    }

    #[test]
    fn summary_keeps_all_that_the_agent_noted() {
        let data = json!([{"name": "Day", "value": "Thursday"}, {"name": "Guests", "value": 2},
            {"name": "Firm", "value": true}, {"value": "lonely"}, {"name": "Code", "value": null},
            {"name": "Door", "value": {"a": "deep"}}, "loose"]);
        let jobs = json!([{"icon": "x", "name": "Booking", "result": {"data": data}},
            {"name": "Odd", "result": null}, "Text", null, {"result": {"data": [{"value": "x"}]}}]);
        let note = |name: &str, value: &str| Note {
            name: name.into(),
            value: value.into(),
        };
        let job = |name: &str, notes: Vec<Note>| Job {
            name: name.into(),
            notes,
        };
        let noted = vec![
            note("Day", "Thursday"),
            note("Guests", "2"),
            note("Firm", "true"),
            note("", "lonely"),
            note("Code", ""),
            note("Door", "a: deep"),
            note("", "loose"),
        ];
        let expected = Summary {
            title: Some("Skylights".into()),
            jobs: vec![
                job("Booking", noted),
                job("Odd", vec![]),
                job("Text", vec![]),
                job("Oddities", vec![note("", "x")]),
            ],
            ..Summary::default()
        };
        let json = json!({"status": "completed", "title": "Skylights", "jobs": jobs});
        check(
            summary,
            &json,
            &Availability::Ready(Artifact::Summary(expected)),
        );
    }

    #[test]
    fn speaker_is_the_user_else_the_number_else_unknown() {
        let said = |speaker: Speaker| (speaker, "Hi");
        let user = || Speaker::User(UserId::parse("US1").expect("valid"));
        let expected = [
            said(user()),
            said(user()),
            said(Speaker::Party(Party::parse("x"))),
            said(Speaker::Unknown),
        ];
        let dialogue = json!([
            {"content": "Hi", "userId": "US1", "identifier": null},
            {"content": "Hi", "actorId": "US1", "identifier": "+12025550147"},
            {"content": "Hi", "identifier": "x"},
            {"content": "Hi"},
            {"content": " ", "userId": "US1"},
        ]);
        let json = json!({"status": "completed", "dialogue": dialogue});
        check(
            transcript,
            &json,
            &Availability::Ready(Artifact::Transcript(expected.into_iter().collect())),
        );
    }

    fn texts(artifacts: &[Artifact]) -> Vec<String> {
        let said = artifacts.iter().flat_map(|artifact| match artifact {
            Artifact::Transcript(said) => said.iter().map(|line| line.text.to_owned()).collect(),
            Artifact::Voicemail { transcript, .. } => transcript
                .iter()
                .map(|text| format!("voicemail: {text}"))
                .collect(),
            Artifact::Recording(_) | Artifact::Summary(_) => Vec::new(),
        });
        said.collect()
    }

    #[test]
    fn transcript_is_found_wherever_it_stands() {
        let lines =
            || json!([{"content": "one", "identifier": "+12025550147"}, {"content": "two"}]);
        let url = "https://a.example/1";
        for (json, expected) in [
            (json!({"transcript": "one"}), &["one"][..]),
            (json!({"transcription": "one"}), &["one"]),
            (
                json!({"transcript": {"dialogue": lines()}}),
                &["one", "two"],
            ),
            (json!({"transcript": {"text": "one"}}), &["one"]),
            (json!({"transcript": lines()}), &["one", "two"]),
            (json!({"transcript": ["one", "two"]}), &["one", "two"]),
            (json!({"dialogue": lines()}), &["one", "two"]),
            (
                json!({"media": [{"type": "transcription", "dialogue": lines()}]}),
                &["one", "two"],
            ),
            (
                json!({"media": [{"type": "audio/mpeg", "url": url, "transcript": "one"}]}),
                &["one"],
            ),
            (
                json!({"recordings": [{"url": url, "transcription": {"dialogue": lines()}}]}),
                &["one", "two"],
            ),
            (
                json!({"voicemail": {"url": url, "transcription": "one"}}),
                &["voicemail: one"],
            ),
            (
                json!({"voicemail": {"transcript": {"dialogue": lines()}}}),
                &["voicemail: one\ntwo"],
            ),
            (json!({"transcript": null, "dialogue": []}), &[]),
        ] {
            let (artifacts, odd) = read(&json, |fields| of_call(fields).artifacts);
            assert_eq!(
                (texts(&artifacts), odd),
                (expected.iter().map(|text| (*text).to_owned()).collect(), 0),
                "{json}"
            );
        }
    }

    #[test]
    fn what_looks_like_a_transcript_and_cannot_be_read_is_noted() {
        for json in [
            json!({"transcript": 4711}),
            json!({"transcript": {"pieces": {"a": 1}}}),
            json!({"transcript": [{"speech": {"x": "y"}}]}),
            json!({"dialogue": {"0": "hello"}}),
            json!({"media": [{"type": "transcription", "url": "https://a.example/t.txt"}]}),
            json!({"voicemail": {"transcription": [7]}}),
        ] {
            let (artifacts, odd) = read(&json, |fields| of_call(fields).artifacts);
            assert!(texts(&artifacts).is_empty() && odd > 0, "{json}");
        }
    }

    #[test]
    fn recording_without_an_address_is_still_being_made() {
        let unfinished = |recordings: Value| {
            let json = json!({ "recordings": recordings });
            read(&json, |fields| of_call(fields).unfinished).0
        };
        assert_eq!(
            unfinished(json!([{"status": "in-progress"}])),
            [ArtifactKind::Recording]
        );
        assert_eq!(unfinished(json!([{"status": "absent"}])), []);
        assert_eq!(unfinished(json!([{"url": "https://a.example/1"}])), []);
        assert_eq!(unfinished(json!(null)), []);
    }
}
