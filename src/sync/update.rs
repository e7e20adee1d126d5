//! What events tell, sorted by what they speak of: a call, its recording and its summary are one
//! entry. Pure.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::domain::call::{Artifact, CallFacts, CallUpdate};
use crate::domain::context::Context;
use crate::domain::event::ContactUpdate;
use crate::domain::id::ActivityId;
use crate::domain::message::Message;
use crate::domain::parties::Party;

/// What an event tells.
pub enum Update<'a> {
    /// Something about a call.
    Call(Cow<'a, CallUpdate>),
    /// A message.
    Message(Cow<'a, Message>),
    /// A contact.
    Contact(&'a ContactUpdate),
}

/// A call, message or contact, and the events that speak of it.
pub struct Topic<'a> {
    /// All that they tell.
    pub news: Update<'a>,
    /// The events, the first one first.
    pub tellers: Vec<Teller>,
}

/// An event that speaks of a topic.
pub struct Teller {
    /// Its place among the events.
    pub place: usize,
    /// True if it tells what those before it do not.
    pub adds: bool,
}

/// Sorts news by topic. Left out is what has to be done alone: a contact in company, and news that
/// do not agree with earlier ones on who took part.
pub fn topics(told: Vec<(usize, Update)>) -> Vec<Topic> {
    let alone = told.len() == 1;
    let mut topics: Vec<Topic> = Vec::new();
    for (place, news) in told {
        let Some(id) = news.activity() else {
            if alone {
                topics.push(Topic {
                    news,
                    tellers: vec![Teller { place, adds: true }],
                });
            }
            continue;
        };
        match topics
            .iter_mut()
            .find(|topic| topic.news.activity() == Some(id))
        {
            None => topics.push(Topic {
                news,
                tellers: vec![Teller { place, adds: true }],
            }),
            Some(topic) => topic
                .tellers
                .extend(topic.news.absorb(news).map(|adds| Teller { place, adds })),
        }
    }
    topics
}

impl<'a> Update<'a> {
    fn activity(&self) -> Option<&ActivityId> {
        match self {
            Self::Call(news) => Some(&news.context.id),
            Self::Message(message) => Some(&message.context.id),
            Self::Contact(_) => None,
        }
    }

    /// Adds what another event tells of the same activity; tells whether that says more. `None`,
    /// and nothing is added, if the two do not go together.
    fn absorb(&mut self, other: Update<'a>) -> Option<bool> {
        match (self, other) {
            (Self::Call(news), Update::Call(other)) if agree(&news.context, &other.context) => {
                Some(absorb_call(news.to_mut(), &other))
            }
            (Self::Message(message), Update::Message(other))
                if agree(&message.context, &other.context) =>
            {
                Some(absorb_message(message.to_mut(), &other))
            }
            _ => None,
        }
    }
}

/// True if both name the same participants, as far as they name them.
fn agree(a: &Context, b: &Context) -> bool {
    let everybody = |context: &Context| -> HashSet<Party> {
        context.parties.everybody().into_iter().cloned().collect()
    };
    let (named, also) = (everybody(a), everybody(b));
    let (one, other) = (a.direction(), b.direction());
    let same_direction = one.is_none() || other.is_none() || one == other;
    same_direction && (named.is_empty() || also.is_empty() || named == also)
}

/// Deliveries of v4 leave attachments out, and sometimes the text.
fn absorb_message(message: &mut Message, other: &Message) -> bool {
    message.context = message.context.completed_by(&other.context);
    let brings_text = message.text.is_empty() && !other.text.is_empty();
    let brings_media = message.media.is_empty() && !other.media.is_empty();
    if brings_text {
        message.text.clone_from(&other.text);
    }
    if brings_media {
        message.media.clone_from(&other.media);
    }
    // It got through after all, whatever the order in which it is told.
    let is_better = message.is_undelivered && !other.is_undelivered;
    message.is_undelivered &= other.is_undelivered;
    brings_text || brings_media || is_better
}

fn absorb_call(news: &mut CallUpdate, other: &CallUpdate) -> bool {
    let mut adds = false;
    news.context = news.context.completed_by(&other.context);
    news.is_late |= other.is_late;
    news.beside = news.beside.take().or_else(|| other.beside.clone());
    let outcome = |facts: &CallFacts| facts.outcome(news.context.direction());
    let stands = news.facts.as_ref().map(outcome);
    let more = |facts: &&CallFacts| {
        let stands = stands.as_ref();
        stands.is_none_or(|stands| outcome(facts).says_more_than(stands))
    };
    if let Some(facts) = other.facts.as_ref().filter(more) {
        news.facts = Some(facts.clone());
        adds = true;
    }
    for artifact in &other.artifacts {
        if news
            .artifacts
            .iter()
            .all(|have| have.kind() != artifact.kind())
        {
            news.artifacts.push(artifact.clone());
            adds = true;
        }
    }
    news.artifacts.sort_by_key(Artifact::kind);
    adds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::{ArtifactKind, Summary};
    use crate::domain::parties::{Began, Direction, Parties};

    fn call(facts: Option<CallFacts>, parties: Parties, artifacts: Vec<Artifact>) -> CallUpdate {
        let context = Context {
            began: Began::Said(Direction::Incoming),
            parties,
            ..Context::of(ActivityId::parse("AC1").expect("id"))
        };
        CallUpdate {
            is_late: facts.is_none(),
            facts,
            ..CallUpdate::late(context, artifacts)
        }
    }

    fn answered(answered: bool) -> CallFacts {
        CallFacts {
            answered: Some(answered),
            ..CallFacts::default()
        }
    }

    fn between(number: &str) -> Parties {
        Parties {
            from: vec![Party::parse(number)],
            ..Parties::default()
        }
    }

    fn sorted(calls: &[CallUpdate]) -> Vec<Topic<'_>> {
        let news = |(place, call)| (place, Update::Call(Cow::Borrowed(call)));
        topics(calls.iter().enumerate().map(news).collect())
    }

    fn tellers(topic: &Topic) -> Vec<(usize, bool)> {
        topic
            .tellers
            .iter()
            .map(|teller| (teller.place, teller.adds))
            .collect()
    }

    #[test]
    fn call_and_its_artifacts_are_one_topic_told_by_all() {
        let recording = Artifact::Recording(Vec::new());
        let summary = Artifact::Summary(Summary::default());
        let calls = [
            call(None, Parties::default(), vec![recording.clone()]),
            call(Some(answered(false)), between("+12025550147"), vec![]),
            call(Some(answered(false)), between("+12025550147"), vec![]),
            call(
                Some(answered(true)),
                Parties::default(),
                vec![summary, recording],
            ),
        ];
        let topics = sorted(&calls);
        assert_eq!(
            tellers(&topics[0]),
            [(0, true), (1, true), (2, false), (3, true)]
        );
        let Update::Call(news) = &topics[0].news else {
            panic!("a call")
        };
        assert_eq!(
            (topics.len(), news.is_late, &news.context.parties),
            (1, true, &between("+12025550147"))
        );
        assert_eq!(news.facts, Some(answered(true)));
        let kinds: Vec<ArtifactKind> = news.artifacts.iter().map(Artifact::kind).collect();
        assert_eq!(
            kinds,
            [ArtifactKind::Summary, ArtifactKind::Recording],
            "in the order in which they are shown"
        );
    }

    #[test]
    fn those_that_disagree_on_who_took_part_are_left_to_be_done_alone() {
        let calls = [
            call(Some(answered(false)), between("+12025550147"), vec![]),
            call(Some(answered(false)), between("+13125550162"), vec![]),
        ];
        let topics = sorted(&calls);
        assert_eq!((topics.len(), tellers(&topics[0])), (1, vec![(0, true)]));
    }
}
