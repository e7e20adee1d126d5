//! Conversations in which something may have happened.
//!
//! Apart because all of them are held at once, and so as little as possible of each: they are read
//! in the order of their places, which is none that Quo lists them in.

use crate::domain::id::ConversationId;
use crate::domain::parties::Party;
use crate::domain::phone::Phone;
use crate::quo::api::OwnNumber;
use crate::quo::api::conversations::Conversation;
use crate::quo::api::history::{MOST_PARTICIPANTS, Thread};

use super::Error;

/// Most that are held, each counted with its participants: 100,000 with one other. Some 25 MiB.
pub const MOST: usize = 200_000;

/// A conversation as far as it is held.
pub struct ListedThread<'a> {
    number: &'a OwnNumber,
    id: ConversationId,
    others: Vec<Phone>,
}

impl<'a> ListedThread<'a> {
    /// `None` where nobody can be a client, or Quo cannot list the thread.
    pub fn of(
        number: &'a OwnNumber,
        conversation: Conversation,
        own: &[OwnNumber],
    ) -> Option<Self> {
        let participants = &conversation.participants;
        let phones = participants.iter().map(Party::phone);
        let usable = phones
            .collect::<Option<Vec<_>>>()
            .filter(|phones| (1..=MOST_PARTICIPANTS).contains(&phones.len()));
        let Some(others) = usable else {
            log::info!(
                "{} is left out: it is not with 1 to {MOST_PARTICIPANTS} phone numbers",
                conversation.id
            );
            return None;
        };
        let is_own = |phone: &&Phone| own.iter().any(|number| number.phone == **phone);
        if others.iter().all(is_own) {
            return None;
        }
        Some(Self {
            number,
            others: others.into_iter().cloned().collect(),
            id: conversation.id,
        })
    }

    /// The thread.
    pub fn thread(&self) -> Thread {
        Thread {
            number: self.number.id.clone(),
            own: self.number.phone.clone(),
            id: self.id.clone(),
            others: self.others.clone(),
        }
    }

    /// What [`super::mark::place`] says, without a text for each comparison.
    fn place(&self) -> impl Iterator<Item = u8> {
        let number = self.number.id.as_str().bytes();
        number.chain(*b"/").chain(self.id.as_str().bytes())
    }

    /// With whom, whatever their order.
    fn parties(&self) -> (&str, Vec<&Phone>) {
        let mut others: Vec<&Phone> = self.others.iter().collect();
        others.sort();
        (self.number.id.as_str(), others)
    }
}

/// Collects them.
#[derive(Default)]
pub struct Threads<'a> {
    all: Vec<ListedThread<'a>>,
    count: usize,
}

impl<'a> Threads<'a> {
    /// Adds one, if it is one.
    pub fn add(&mut self, listed: Option<ListedThread<'a>>) -> Result<(), Error> {
        let Some(listed) = listed else { return Ok(()) };
        self.count += 1 + listed.others.len();
        if self.count > MOST {
            return Err(Error::TooMany);
        }
        self.all.push(listed);
        Ok(())
    }

    /// All of them, in the order of their places. Two conversations with the same others are one
    /// thread, since Quo lists by participants: the one that was listed first.
    pub fn in_order(mut self) -> Vec<ListedThread<'a>> {
        self.all.sort_by(|a, b| a.parties().cmp(&b.parties()));
        self.all.dedup_by(|b, a| a.parties() == b.parties());
        self.all.sort_unstable_by(|a, b| a.place().cmp(b.place()));
        self.all
    }
}
