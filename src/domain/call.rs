//! A call: how it went, and what arrives about it later.

use super::context::Context;
use super::dialogue::Dialogue;
use super::id::{ActivityId, EventId, UserId};
use super::link::{Address, Link};
use super::parties::{Direction, Party};
use super::reply::Reply;

/// Something about a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallUpdate {
    /// Which call, and as much of its circumstances as is told.
    pub context: Context,
    /// How it went; `None` in events that only bring an artifact.
    pub facts: Option<CallFacts>,
    /// What is said of how it went beside an artifact; counts where nothing better can be had.
    pub beside: Option<CallFacts>,
    /// Recording, voicemail, summary, transcript, as far as they are complete.
    pub artifacts: Vec<Artifact>,
    /// Artifacts that may exist and are not told here: to be asked for later.
    pub unannounced: Vec<ArtifactKind>,
    /// True if some of it came after the call, when Quo knows more of how it went.
    pub is_late: bool,
}

impl CallUpdate {
    /// What became known of a call later.
    pub fn late(context: Context, artifacts: Vec<Artifact>) -> Self {
        Self {
            context,
            facts: None,
            beside: None,
            artifacts,
            unannounced: Vec::new(),
            is_late: true,
        }
    }

    /// True if there is nothing in it that is written.
    pub fn tells_nothing(&self) -> bool {
        self.facts.is_none() && self.artifacts.is_empty()
    }
}

/// Type of a [`FollowUp`], where event types are told.
pub const FOLLOW_UP: &str = "quotion.follow_up";

/// Something to be asked of Quo later: an artifact that no delivery announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// The call.
    pub activity: ActivityId,
    /// What may exist.
    pub kind: ArtifactKind,
    /// The call's link to the conversation, which Quo's answers do not carry.
    pub link: Option<Link>,
}

impl FollowUp {
    /// Its key in the inbox: one for each call and kind.
    pub fn event_id(&self) -> EventId {
        let word = format!("follow-up-{}", self.kind.word().to_lowercase());
        EventId::made(&word, &self.activity)
    }
}

/// What is told of how a call went, however the vendor spelled it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// Whether somebody picked up, if that is told: `answeredAt` is there, is null, or a status
    /// says so.
    pub answered: Option<bool>,
    /// Who picked up, if told.
    pub answered_by: Option<UserId>,
    /// Quo says that its AI agent took it.
    pub by_ai: bool,
    /// It was sent on, and to whom if that is told.
    pub forwarded: Option<Option<Party>>,
    /// A message was left.
    pub voicemail: bool,
    /// Length in seconds; of an unanswered call this is ring time.
    pub duration_secs: Option<u32>,
}

/// Result of a call, as a person would say it; never judged by its duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// Somebody picked up; who, if known (for outgoing calls nobody of ours is named).
    Answered(Option<UserId>),
    /// Incoming, and nobody picked up.
    Missed,
    /// Incoming, nobody picked up, and a message was left.
    Voicemail,
    /// Sent on to another number, if that is known.
    Forwarded(Option<Party>),
    /// Quo's AI agent took it.
    HandledByAi,
    /// Outgoing, and nobody picked up.
    NoAnswer,
    /// It is over; nothing says how it went.
    Ended,
}

impl CallFacts {
    /// The one rule for how a call went, for deliveries and replies alike. A person who picked up
    /// counts most, then that it was sent on: a call answered elsewhere is one that was forwarded.
    pub fn outcome(&self, direction: Option<Direction>) -> CallOutcome {
        let incoming = direction == Some(Direction::Incoming);
        let answered = self.answered == Some(true);
        let by_person = self.answered_by.as_ref().filter(|user| user.is_person());
        if self.by_ai || self.answered_by.is_some() && by_person.is_none() {
            CallOutcome::HandledByAi
        } else if let (true, true, Some(user)) = (answered, incoming, by_person) {
            CallOutcome::Answered(Some(user.clone()))
        } else if let Some(to) = &self.forwarded {
            CallOutcome::Forwarded(to.clone())
        } else if answered {
            CallOutcome::Answered(None)
        } else {
            self.unanswered(direction)
        }
    }

    fn unanswered(&self, direction: Option<Direction>) -> CallOutcome {
        let nobody = self.answered == Some(false);
        match direction {
            Some(Direction::Incoming) | None if self.voicemail => CallOutcome::Voicemail,
            Some(Direction::Incoming) if nobody => CallOutcome::Missed,
            Some(Direction::Outgoing) if nobody || self.voicemail => CallOutcome::NoAnswer,
            None if nobody => CallOutcome::NoAnswer,
            Some(_) | None => CallOutcome::Ended,
        }
    }
}

impl CallOutcome {
    /// Whether the caller waits for an answer now; `None` if it says nothing of that.
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::Missed | Self::Voicemail => Some(Reply::Owed),
            Self::Answered(_) => Some(Reply::Given),
            Self::Forwarded(_) | Self::HandledByAi | Self::NoAnswer | Self::Ended => None,
        }
    }

    /// True if more is known of how the call went than `other` says, so that its line is to be
    /// written anew.
    pub fn says_more_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ended, _) => false,
            (_, Self::Ended) => true,
            (Self::Missed | Self::NoAnswer, _) => false,
            (_, Self::Missed) | (Self::Answered(Some(_)), Self::Answered(None)) => true,
            _ => false,
        }
    }
}

/// What arrives later about a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Artifact {
    /// Audio of the call; a call can have several parts.
    Recording(Vec<Audio>),
    /// A message left by the caller.
    Voicemail {
        /// The audio, if its link is known.
        audio: Option<Audio>,
        /// What was said, if transcribed.
        transcript: Option<String>,
    },
    /// What the call was about.
    Summary(Summary),
    /// What was said.
    Transcript(Dialogue),
}

/// Kind of an [`Artifact`], as remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKind {
    /// Summary and next steps.
    Summary,
    /// Voicemail.
    Voicemail,
    /// Transcript.
    Transcript,
    /// Recording.
    Recording,
}

impl ArtifactKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 4] = [
        Self::Summary,
        Self::Voicemail,
        Self::Transcript,
        Self::Recording,
    ];

    /// The word under which it is stored; never one that is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Voicemail => "Voicemail",
            Self::Transcript => "Transcript",
            Self::Recording => "Recording",
        }
    }

    /// The kind that is stored under the word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl Artifact {
    /// Its kind.
    pub fn kind(&self) -> ArtifactKind {
        match self {
            Self::Recording(_) => ArtifactKind::Recording,
            Self::Voicemail { .. } => ArtifactKind::Voicemail,
            Self::Summary(_) => ArtifactKind::Summary,
            Self::Transcript(_) => ArtifactKind::Transcript,
        }
    }
}

/// A sound file at Quo. Its link is signed and expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Where it lies.
    pub address: Address,
    /// Length in seconds.
    pub duration_secs: Option<u32>,
}

/// Summary of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// What the AI agent called it.
    pub title: Option<String>,
    /// What was talked about, one sentence or so each.
    pub lines: Vec<String>,
    /// What is to be done.
    pub next_steps: Vec<String>,
    /// What the AI agent noted.
    pub jobs: Vec<Job>,
}

/// Something that the AI agent did in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it is called.
    pub name: String,
    /// What it brought.
    pub notes: Vec<Note>,
}

/// One thing that an AI agent noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about; may be empty.
    pub name: String,
    /// What was said of it.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Incoming, Outgoing};

    fn user(id: &str) -> Option<UserId> {
        UserId::parse(id).ok()
    }

    #[track_caller]
    fn check(facts: &CallFacts, direction: Direction, expected: &CallOutcome) {
        assert_eq!(facts.outcome(Some(direction)), *expected, "{facts:?}");
    }

    fn answered(answered: bool) -> CallFacts {
        CallFacts {
            answered: Some(answered),
            ..CallFacts::default()
        }
    }

    #[test]
    fn nobody_picked_up() {
        check(&answered(false), Incoming, &CallOutcome::Missed);
        check(&answered(false), Outgoing, &CallOutcome::NoAnswer);
        let voicemail = CallFacts {
            voicemail: true,
            ..answered(false)
        };
        check(&voicemail, Incoming, &CallOutcome::Voicemail);
        check(&voicemail, Outgoing, &CallOutcome::NoAnswer);
        assert_eq!(answered(false).outcome(None), CallOutcome::NoAnswer);
    }

    #[test]
    fn what_nothing_is_said_of_is_not_judged() {
        let long = CallFacts {
            duration_secs: Some(540),
            ..CallFacts::default()
        };
        check(&long, Incoming, &CallOutcome::Ended);
        check(&long, Outgoing, &CallOutcome::Ended);
        let voicemail = CallFacts {
            voicemail: true,
            ..CallFacts::default()
        };
        check(&voicemail, Incoming, &CallOutcome::Voicemail);
    }

    #[test]
    fn somebody_picked_up() {
        let by = |id| CallFacts {
            answered_by: user(id),
            ..answered(true)
        };
        check(&answered(true), Incoming, &CallOutcome::Answered(None));
        check(&by("US1"), Incoming, &CallOutcome::Answered(user("US1")));
        check(&by("US1"), Outgoing, &CallOutcome::Answered(None));
        check(&by("SYsona0001"), Incoming, &CallOutcome::HandledByAi);
        let by_ai = CallFacts {
            by_ai: true,
            ..answered(true)
        };
        check(&by_ai, Incoming, &CallOutcome::HandledByAi);
        let left = CallFacts {
            voicemail: true,
            ..answered(true)
        };
        check(&left, Incoming, &CallOutcome::Answered(None));
    }

    #[test]
    fn a_call_that_was_sent_on_is_answered_only_by_who_is_named() {
        let devon = || Some(Party::Other("USdevon002".into()));
        let sent_on = |facts: CallFacts| CallFacts {
            forwarded: Some(devon()),
            ..facts
        };
        check(
            &sent_on(answered(true)),
            Incoming,
            &CallOutcome::Forwarded(devon()),
        );
        check(
            &sent_on(answered(false)),
            Incoming,
            &CallOutcome::Forwarded(devon()),
        );
        let by_marta = CallFacts {
            answered_by: user("US1"),
            ..sent_on(answered(true))
        };
        check(&by_marta, Incoming, &CallOutcome::Answered(user("US1")));
        let somewhere = CallFacts {
            forwarded: Some(None),
            ..CallFacts::default()
        };
        check(&somewhere, Incoming, &CallOutcome::Forwarded(None));
    }

    #[test]
    fn a_line_is_written_anew_only_when_more_is_known() {
        let all = [
            CallOutcome::Ended,
            CallOutcome::Missed,
            CallOutcome::Voicemail,
            CallOutcome::Answered(None),
            CallOutcome::Answered(user("US1")),
        ];
        let more: Vec<String> = all
            .iter()
            .map(|new| {
                let over = all.iter().map(|old| u8::from(new.says_more_than(old)));
                over.map(|more| more.to_string()).collect()
            })
            .collect();
        assert_eq!(more, ["00000", "10000", "11000", "11000", "11010"]);
    }
}
