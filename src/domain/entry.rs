//! The entry: what a person reads on a client's page about one call or message.
//!
//! One block per activity, because free Notion workspaces have 1,000 blocks for life. Every entry's
//! line ends with the activity id: by it a half-done write is recognised, and a later artifact
//! finds its call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::block::{Block, DOT, Span, bold, faint, joined, link, plain};
use super::call::{Artifact, ArtifactKind, Audio, CallFacts, CallOutcome, Note, Summary};
use super::context::Context;
use super::dialogue::{Speaker, Utterance};
use super::id::{ActivityId, UserId};
use super::link::Address;
use super::message::Message;
use super::parties::{Direction, Party};
use super::phone::Phone;
use super::step::Part;
use crate::text;

/// How people and numbers are called, and where the reader's clock stands.
#[derive(Debug, Clone)]
pub struct Names {
    /// People of the workspace.
    pub users: BTreeMap<UserId, String>,
    /// Clients and own numbers.
    pub phones: BTreeMap<Phone, String>,
    /// Zone of the times in entries.
    pub zone: TimeZone,
}

impl Names {
    fn user(&self, id: &UserId) -> String {
        let unnamed = || {
            if id.is_person() {
                id.to_string()
            } else {
                "AI agent".to_owned()
            }
        };
        self.users.get(id).cloned().unwrap_or_else(unnamed)
    }

    fn phone(&self, phone: &Phone) -> String {
        self.phones
            .get(phone)
            .cloned()
            .unwrap_or_else(|| phone.written())
    }

    fn party(&self, party: &Party) -> String {
        match party {
            Party::Phone(phone) => self.phone(phone),
            Party::Other(text) => UserId::parse(text)
                .ok()
                .and_then(|id| self.users.get(&id).cloned())
                .unwrap_or_else(|| text.clone()),
        }
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M")
            .to_string()
    }
}

/// What the line of a text says that did not get through.
const UNDELIVERED: &str = "not delivered";

/// True for the line of a text that did not get through.
pub fn is_undelivered(line: &str) -> bool {
    let mut parts = line.split(DOT);
    parts.next().is_some_and(|what| what.ends_with(" text")) && parts.next() == Some(UNDELIVERED)
}

/// The line of a call; its artifacts go inside.
pub fn call(context: &Context, facts: &CallFacts, names: &Names) -> Block {
    let mut line = vec![bold(match context.direction() {
        Some(Direction::Outgoing) => "Outgoing call",
        Some(Direction::Incoming) => "Incoming call",
        None => "Call",
    })];
    let outcome = facts.outcome(context.direction());
    line.extend(result(&outcome, names).map(|result| plain(format!("{DOT}{result}"))));
    let talked = !matches!(
        outcome,
        CallOutcome::Missed | CallOutcome::NoAnswer | CallOutcome::Voicemail
    );
    // What deliveries call the duration of an unanswered call is how long it rang, and only some
    // tell it.
    let length = facts.duration_secs.filter(|secs| talked && *secs > 0);
    push_time_and_links(&mut line, context, names, length);
    Block::Toggle(line)
}

/// The activities whose entry a block may be, by its first line: the id stands there as a whole
/// word, set off as in an entry. A person may mention one in a note, or go on writing behind it;
/// and a name may look like one.
pub fn activities_of(text: &str) -> impl Iterator<Item = ActivityId> {
    let word = |part: &str| {
        let mut words = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        ActivityId::of_ours_or_quo(words.next()?).ok()
    };
    let parts = text::first_line(text).split(DOT).skip(1);
    parts.filter_map(word)
}

/// What the line of a call says of how it went, as far as more may become known: missed, answered
/// by nobody in particular, or nothing.
pub fn unfinished_outcome(line: &str) -> Option<CallOutcome> {
    let mut parts = line.split(DOT);
    let what = parts.next().filter(|what| what.ends_with("all"))?;
    match parts.next()? {
        "missed" => Some(CallOutcome::Missed),
        "answered" if what.starts_with("Incoming") => Some(CallOutcome::Answered(None)),
        // Where nothing is said of it, the time comes next.
        time if time.starts_with(|c: char| c.is_ascii_digit()) => Some(CallOutcome::Ended),
        _ => None,
    }
}

/// A message; `members` are all participants of a group, and empty in a conversation of two.
pub fn message(message: &Message, members: &[Party], names: &Names) -> Block {
    let context = &message.context;
    let group = !members.is_empty();
    let mut line = vec![bold(match (group, context.direction()) {
        (true, _) => "Group text",
        (false, Some(Direction::Outgoing)) => "Outgoing text",
        (false, Some(Direction::Incoming) | None) => "Incoming text",
    })];
    if message.is_undelivered {
        line.push(plain(format!("{DOT}{UNDELIVERED}")));
    }
    if group {
        let with: Vec<String> = members.iter().map(|member| names.party(member)).collect();
        line.push(plain(format!("{DOT}{}", sender(context, names))));
        line.push(plain(format!("{DOT}with {}", with.join(", "))));
    }
    push_time_and_links(&mut line, context, names, None);
    if !message.text.is_empty() {
        line.push(plain(format!("\n{}", message.text)));
    }
    for (index, media) in message.media.iter().enumerate() {
        line.push(plain("\n"));
        let kind = media
            .mime
            .as_deref()
            .map_or(String::new(), |mime| format!(" ({mime})"));
        let name = format!("Attachment {}{kind}", index + 1);
        line.push(match &media.address {
            Address::Link(url) => link(name, url),
            Address::Text(address) => plain(format!("{name}: {address}")),
        });
    }
    Block::Paragraph(line)
}

/// The blocks that show an artifact; they begin with its heading.
pub fn part(artifact: &Artifact, names: &Names) -> Part {
    let kind = artifact.kind();
    let mut spans = vec![bold(heading(kind))];
    match artifact {
        Artifact::Recording(parts) => parts.iter().for_each(|audio| push_audio(&mut spans, audio)),
        Artifact::Voicemail { audio, transcript } => {
            if let Some(audio) = audio {
                push_audio(&mut spans, audio);
            }
            spans.extend(transcript.iter().map(|text| plain(format!("\n{text}"))));
        }
        Artifact::Summary(summary) => push_summary(&mut spans, summary),
        Artifact::Transcript(dialogue) => {
            // As one text at once: there may be hundreds of thousands.
            let mut text = String::new();
            for utterance in dialogue.iter() {
                text.push('\n');
                text.push_str(&spoken(utterance, names));
            }
            spans.push(plain(text));
        }
    }
    Part {
        kind,
        blocks: vec![Block::Paragraph(joined(spans))],
    }
}

/// Which artifact a block inside an entry shows, told by its first word.
pub fn kind_of(text: &str) -> Option<ArtifactKind> {
    ArtifactKind::ALL.into_iter().find(|kind| {
        let rest = text.strip_prefix(heading(*kind));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('\n') || rest.starts_with(DOT))
    })
}

/// The words that begin an artifact's block, by which it is recognised on a page.
fn heading(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Summary => "Summary",
        ArtifactKind::Voicemail => "Voicemail",
        ArtifactKind::Transcript => "Transcript",
        ArtifactKind::Recording => "Recording",
    }
}

/// Seconds as people say them: `42 s`, `5 min 12 s`, `1 h 4 min`.
fn duration(secs: u32) -> String {
    let (hours, mins, rest) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, mins, rest) {
        (0, 0, rest) => format!("{rest} s"),
        (0, mins, 0) => format!("{mins} min"),
        (0, mins, rest) => format!("{mins} min {rest} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, mins, _) => format!("{hours} h {mins} min"),
    }
}

fn result(outcome: &CallOutcome, names: &Names) -> Option<String> {
    Some(match outcome {
        CallOutcome::Answered(Some(user)) => format!("answered by {}", names.user(user)),
        CallOutcome::Answered(None) => "answered".into(),
        CallOutcome::Missed => "missed".into(),
        CallOutcome::Voicemail => "voicemail".into(),
        CallOutcome::Forwarded(Some(to)) => format!("forwarded to {}", names.party(to)),
        CallOutcome::Forwarded(None) => "forwarded".into(),
        CallOutcome::HandledByAi => "handled by AI".into(),
        CallOutcome::NoAnswer => "no answer".into(),
        CallOutcome::Ended => return None,
    })
}

fn sender(context: &Context, names: &Names) -> String {
    let user = context
        .user_id
        .as_ref()
        .filter(|_| context.direction() == Some(Direction::Outgoing));
    let by_user = user.and_then(|user| names.users.get(user).cloned());
    let first = context.parties.from.first();
    let name = by_user.or_else(|| first.map(|party| names.party(party)));
    format!("from {}", name.unwrap_or_else(|| "somebody".into()))
}

fn push_time_and_links(
    line: &mut Vec<Span>,
    context: &Context,
    names: &Names,
    length: Option<u32>,
) {
    if let Some(at) = context.when() {
        line.push(plain(format!("{DOT}{}", names.time(at))));
    }
    if let Some(secs) = length {
        line.push(plain(format!("{DOT}{}", duration(secs))));
    }
    if let Some(url) = &context.link {
        line.push(plain(DOT));
        line.push(link("Open in Quo", url));
    }
    line.push(faint(format!("{DOT}{}", context.id)));
}

fn push_audio(spans: &mut Vec<Span>, audio: &Audio) {
    let length = audio.duration_secs.filter(|secs| *secs > 0);
    spans.push(plain(length.map_or_else(
        || DOT.to_owned(),
        |secs| format!("{DOT}{}{DOT}", duration(secs)),
    )));
    spans.push(match &audio.address {
        Address::Link(url) => link("Listen", url),
        Address::Text(address) => plain(address),
    });
}

fn push_summary(spans: &mut Vec<Span>, summary: &Summary) {
    spans.extend(
        summary
            .title
            .iter()
            .map(|title| bold(format!("{DOT}{title}"))),
    );
    let point = |text: &str| plain(format!("\n• {text}"));
    spans.extend(summary.lines.iter().map(|line| point(line)));
    if !summary.next_steps.is_empty() {
        spans.push(bold("\nNext steps"));
        spans.extend(summary.next_steps.iter().map(|step| point(step)));
    }
    for job in &summary.jobs {
        spans.push(bold(format!("\n{}", job.name)));
        spans.extend(job.notes.iter().map(|note| point(&noted(note))));
    }
}

fn noted(note: &Note) -> String {
    match (note.name.as_str(), note.value.as_str()) {
        ("", value) => value.to_owned(),
        (name, "") => name.to_owned(),
        (name, value) => format!("{name}: {value}"),
    }
}

fn spoken(utterance: Utterance, names: &Names) -> String {
    let speaker = match utterance.speaker {
        Speaker::User(user) => names.user(user),
        Speaker::Party(party) => names.party(party),
        Speaker::Unknown => "Unknown".to_owned(),
        Speaker::Undivided => return utterance.text.to_owned(),
    };
    format!("{speaker}: {}", utterance.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::Job;
    use crate::domain::link::Link;
    use crate::domain::message::Media;
    use crate::domain::parties::{Began, Parties};

    fn names() -> Names {
        let marta = (
            UserId::parse("USmarta001").expect("id"),
            "Marta Lindqvist".to_owned(),
        );
        let rosa = (
            Phone::parse("+12025550147").expect("phone"),
            "Rosa Quint".to_owned(),
        );
        let zone = TimeZone::get("America/Chicago").expect("zone");
        Names {
            users: [marta].into(),
            phones: [rosa].into(),
            zone,
        }
    }

    fn context(direction: Direction) -> Context {
        let side = |number: &str| vec![Party::parse(number)];
        Context {
            at: "2026-10-01T15:00:00.110Z".parse().ok(),
            began: Began::Said(direction),
            link: Link::parse("https://my.quo.com/inbox/PN/c/CN?at=AC1"),
            parties: Parties {
                from: side("+12025550147"),
                to: side("+14155550110"),
                ..Parties::default()
            },
            ..Context::of(ActivityId::parse("AC1").expect("id"))
        }
    }

    fn line(facts: CallFacts) -> String {
        let facts = CallFacts {
            duration_secs: Some(312),
            ..facts
        };
        call(&context(Direction::Incoming), &facts, &names()).plain()
    }

    fn answered(answered: bool) -> CallFacts {
        CallFacts {
            answered: Some(answered),
            ..CallFacts::default()
        }
    }

    #[test]
    fn call_line_says_what_happened_when_and_how_long() {
        let by_marta = CallFacts {
            answered_by: UserId::parse("USmarta001").ok(),
            ..answered(true)
        };
        assert_eq!(
            line(by_marta),
            "Incoming call · answered by Marta Lindqvist · 2026-10-01 10:00 · 5 min 12 s · Open \
                in Quo · AC1"
        );
        let forwarded = CallFacts {
            forwarded: Some(Some(Party::parse("+12125550199"))),
            ..answered(false)
        };
        assert!(line(forwarded).contains("forwarded to +1 212-555-0199"));
        assert_eq!(
            line(CallFacts::default()),
            "Incoming call · 2026-10-01 10:00 · 5 min 12 s · Open in Quo · AC1"
        );
    }

    #[test]
    fn line_of_a_call_tells_whether_more_may_become_known() {
        let voicemail = CallFacts {
            voicemail: true,
            ..answered(false)
        };
        for (facts, expected) in [
            (answered(false), Some(CallOutcome::Missed)),
            (answered(true), Some(CallOutcome::Answered(None))),
            (CallFacts::default(), Some(CallOutcome::Ended)),
            (voicemail, None),
        ] {
            let line = line(facts);
            assert_eq!(unfinished_outcome(&line), expected, "{line}");
        }
        for other in [
            "",
            "Incoming text · 2026-10-01 10:00 · AC1",
            "Call",
            "Call Rosa · 5 pm",
        ] {
            assert_eq!(unfinished_outcome(other), None, "{other}");
        }
    }

    #[test]
    fn text_that_did_not_get_through_says_so_and_is_known_by_it() {
        let text = |text: &str, is_undelivered| Message {
            context: context(Direction::Outgoing),
            text: text.into(),
            media: vec![],
            is_undelivered,
        };
        let members = [Party::parse("+12025550147"), Party::parse("+13125550162")];
        for members in [&[][..], &members] {
            let line = message(&text("Roof", true), members, &names()).plain();
            assert!(is_undelivered(&line), "{line}");
            let other = message(&text("a · not delivered", false), members, &names()).plain();
            assert!(!is_undelivered(&other), "{other}");
        }
        assert!(!is_undelivered("Outgoing call · not delivered"));
    }

    #[test]
    fn message_is_one_paragraph_with_text_and_attachments() {
        let media = |address: &str| Media {
            address: Address::read(address),
            mime: Some("image/jpeg".into()),
        };
        let text = Message {
            context: context(Direction::Incoming),
            text: "Roof\nphoto".into(),
            media: vec![media("https://x.example/1"), media("cid:two")],
            is_undelivered: false,
        };
        let block = message(&text, &[], &names());
        assert_eq!(
            block.plain(),
            "Incoming text · 2026-10-01 10:00 · Open in Quo · AC1\nRoof\nphoto\nAttachment 1 \
                (image/jpeg)\nAttachment 2 (image/jpeg): cid:two"
        );
        let members = [Party::parse("+12025550147"), Party::parse("+13125550162")];
        let group = message(&text, &members, &names()).plain();
        assert!(
            group.starts_with(
                "Group text · from Rosa Quint · with Rosa Quint, +1 312-555-0162 · 2026"
            ),
            "{group}"
        );
    }

    #[test]
    fn words_of_an_ai_agent_keep_their_title_and_names() {
        let note = |name: &str, value: &str| Note {
            name: name.into(),
            value: value.into(),
        };
        let summary = Artifact::Summary(Summary {
            title: Some("Skylights".into()),
            lines: vec!["Ilse asked.".into()],
            next_steps: vec!["Call back.".into()],
            jobs: vec![Job {
                name: "Booking".into(),
                notes: vec![note("Day", "Friday"), note("", "lonely"), note("Code", "")],
            }],
        });
        let text = part(&summary, &names()).blocks[0].plain();
        assert_eq!(
            text,
            "Summary · Skylights\n• Ilse asked.\nNext steps\n• Call back.\nBooking\n• Day: \
                Friday\n• lonely\n• Code"
        );
        assert_eq!(kind_of(&text), Some(ArtifactKind::Summary));
    }

    #[test]
    fn artifacts_begin_with_their_label_and_are_recognised_by_it() {
        let user = Speaker::User(UserId::parse("USmarta001").expect("id"));
        let party = Speaker::Party(Party::parse("+12025550147"));
        let said = [(user, "Hello"), (party, "Hi")].into_iter().collect();
        let part = part(&Artifact::Transcript(said), &names());
        assert_eq!(
            part.blocks[0].plain(),
            "Transcript\nMarta Lindqvist: Hello\nRosa Quint: Hi"
        );
        assert_eq!(
            kind_of(&part.blocks[0].plain()),
            Some(ArtifactKind::Transcript)
        );
        assert_eq!(kind_of("Recording · Listen"), Some(ArtifactKind::Recording));
        assert_eq!(kind_of("Summary of my own thoughts"), None);
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said: Vec<String> = [0, 42, 60, 312, 3600, 3840]
            .into_iter()
            .map(duration)
            .collect();
        assert_eq!(
            said,
            ["0 s", "42 s", "1 min", "5 min 12 s", "1 h", "1 h 4 min"]
        );
    }
}
