//! A call: how it went, and what arrives about it later.

use super::context::{ContactLookup, Context};
use super::id::{ActivityId, EventId, UserId};
use super::parties::{Direction, Parties, Party};

/// Something about a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallUpdate {
    /// Which call, and as much of its circumstances as the delivery carries.
    pub context: Context,
    /// How it went; `None` in events that only bring an artifact.
    pub facts: Option<CallFacts>,
    /// Recording, voicemail, summary, transcript, as far as they are complete.
    pub artifacts: Vec<Artifact>,
    /// Artifacts that may exist and that no delivery of this generation will announce: to be asked
    /// for later.
    pub unannounced: Vec<ArtifactKind>,
}

impl CallUpdate {
    /// An artifact of a call of which nothing else is told.
    pub fn late(call: &ActivityId, link: Option<String>, artifact: Artifact) -> Self {
        let context = Context {
            id: call.clone(),
            at: None,
            direction: None,
            number_id: None,
            user_id: None,
            link,
            parties: Parties::Unknown,
            contacts: ContactLookup::None,
        };
        Self {
            context,
            facts: None,
            artifacts: vec![artifact],
            unannounced: Vec::new(),
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
    pub link: Option<String>,
}

impl FollowUp {
    /// Its key in the inbox: one for each call and kind.
    pub fn event_id(&self) -> EventId {
        let text = format!(
            "follow-up-{}-{}",
            self.kind.word().to_lowercase(),
            self.activity
        );
        EventId::parse(&text).unwrap_or_else(|_| EventId::of_call(&self.activity))
    }
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFacts {
    /// The result, as a person would say it.
    pub outcome: CallOutcome,
    /// Length in seconds; of an unanswered call this is ring time.
    pub duration_secs: Option<u32>,
}

/// Result of a call; never judged by its duration or by Quo's status alone.
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
}

/// What is known of a call when its outcome is to be judged, however the vendor spelled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSigns {
    /// Who began it.
    pub direction: Direction,
    /// `answeredAt` is there.
    pub answered: bool,
    /// Who picked up, if told.
    pub answered_by: Option<UserId>,
    /// Quo says that its AI agent took it.
    pub ai: bool,
    /// It was sent on, and to whom if that is told.
    pub forwarded: Option<Option<Party>>,
    /// A message was left.
    pub voicemail: bool,
}

impl CallOutcome {
    /// The one rule for how a call went, for deliveries and replies alike. A person who picked up
    /// counts most, then that it was sent on: a call answered elsewhere is one that was forwarded.
    pub fn judge(signs: CallSigns) -> Self {
        let by_system = signs
            .answered_by
            .as_ref()
            .is_some_and(|user| !user.is_person());
        if signs.ai || by_system {
            return Self::HandledByAi;
        }
        match (signs.forwarded, signs.direction) {
            _ if signs.answered && signs.answered_by.is_some() => Self::Answered(signs.answered_by),
            (Some(to), _) => Self::Forwarded(to),
            (None, _) if signs.answered => Self::Answered(None),
            (None, Direction::Outgoing) => Self::NoAnswer,
            (None, Direction::Incoming) if signs.voicemail => Self::Voicemail,
            (None, Direction::Incoming) => Self::Missed,
        }
    }

    /// True if more is known of how the call went than `other` says, so that its line is to be
    /// written anew.
    pub fn says_more_than(&self, other: &Self) -> bool {
        match (self, other) {
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
    Transcript(Vec<Utterance>),
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
    /// Where it lies; https only.
    pub url: String,
    /// Length in seconds.
    pub duration_secs: Option<u32>,
}

/// Summary of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// What was talked about, one sentence or so each.
    pub lines: Vec<String>,
    /// What is to be done.
    pub next_steps: Vec<String>,
    /// What the AI agent noted: name of the job, then name and value pairs.
    pub jobs: Vec<(String, Vec<(String, String)>)>,
}

/// One piece of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// Who spoke.
    pub speaker: Speaker,
    /// The words.
    pub text: String,
}

/// Who spoke in a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// A person (or agent) of the workspace.
    User(UserId),
    /// A number; own or outside.
    Party(Party),
    /// Not said.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table, or one story after another")]
    fn outcome_follows_who_picked_up_not_the_status() {
        let user = |id| UserId::parse(id).ok();
        let signs = |direction| CallSigns {
            direction,
            answered: false,
            answered_by: None,
            ai: false,
            forwarded: None,
            voicemail: false,
        };
        let incoming = || signs(Direction::Incoming);
        let outgoing = || signs(Direction::Outgoing);
        let devon = Party::Other("USdevon002".into());
        for (signs, expected) in [
            (incoming(), CallOutcome::Missed),
            (outgoing(), CallOutcome::NoAnswer),
            (
                CallSigns {
                    voicemail: true,
                    ..incoming()
                },
                CallOutcome::Voicemail,
            ),
            (
                CallSigns {
                    voicemail: true,
                    ..outgoing()
                },
                CallOutcome::NoAnswer,
            ),
            (
                CallSigns {
                    answered: true,
                    ..outgoing()
                },
                CallOutcome::Answered(None),
            ),
            (
                CallSigns {
                    answered: true,
                    voicemail: true,
                    ..incoming()
                },
                CallOutcome::Answered(None),
            ),
            (
                CallSigns {
                    answered: true,
                    answered_by: user("USmarta001"),
                    ..incoming()
                },
                CallOutcome::Answered(user("USmarta001")),
            ),
            (
                CallSigns {
                    answered: true,
                    answered_by: user("SYsona0001"),
                    ..incoming()
                },
                CallOutcome::HandledByAi,
            ),
            (
                CallSigns {
                    answered: true,
                    ai: true,
                    ..incoming()
                },
                CallOutcome::HandledByAi,
            ),
            (
                CallSigns {
                    forwarded: Some(None),
                    ..incoming()
                },
                CallOutcome::Forwarded(None),
            ),
            (
                CallSigns {
                    answered: true,
                    forwarded: Some(Some(devon.clone())),
                    ..incoming()
                },
                CallOutcome::Forwarded(Some(devon.clone())),
            ),
            (
                CallSigns {
                    answered: true,
                    answered_by: user("USdevon002"),
                    forwarded: Some(Some(devon)),
                    ..incoming()
                },
                CallOutcome::Answered(user("USdevon002")),
            ),
        ] {
            assert_eq!(CallOutcome::judge(signs.clone()), expected, "{signs:?}");
        }
    }
}
