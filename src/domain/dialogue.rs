//! What was said in a call, line by line.
//!
//! Apart because there may be hundreds of thousands of lines: all lie in one text, and each speaker
//! is kept a few times only.

use super::id::UserId;
use super::parties::Party;

/// How many speakers back the same one is looked for.
const RECENT: usize = 8;

/// Who spoke in a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// A person (or agent) of the workspace.
    User(UserId),
    /// A number; own or outside.
    Party(Party),
    /// Somebody in a dialogue of whom nothing is said.
    Unknown,
    /// Everybody: the transcript is one text without speakers.
    Undivided,
}

/// One piece of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utterance<'a> {
    /// Who spoke.
    pub speaker: &'a Speaker,
    /// The words.
    pub text: &'a str,
}

/// All that was said, in order.
#[derive(Clone, Default)]
pub struct Dialogue {
    speakers: Vec<Speaker>,
    lines: Vec<Line>,
    text: String,
}

/// Whose it is, by place, and where its text ends.
#[derive(Clone, Copy)]
struct Line {
    speaker: usize,
    end: usize,
}

impl Dialogue {
    /// True if nothing was said.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What was said, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Utterance<'_>> + ExactSizeIterator {
        (0..self.lines.len()).map(|place| {
            let start = place
                .checked_sub(1)
                .map_or(0, |before| self.lines[before].end);
            let line = self.lines[place];
            Utterance {
                speaker: &self.speakers[line.speaker],
                text: &self.text[start..line.end],
            }
        })
    }

    /// Adds what was said next.
    pub fn push(&mut self, speaker: Speaker, text: &str) {
        self.text.push_str(text);
        let first = self.speakers.len().saturating_sub(RECENT);
        let known = self.speakers[first..].iter().position(|it| *it == speaker);
        if known.is_none() {
            self.speakers.push(speaker);
        }
        self.lines.push(Line {
            speaker: known.map_or(self.speakers.len() - 1, |place| first + place),
            end: self.text.len(),
        });
    }

    /// Adds all of another.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            for line in other.iter() {
                self.push(line.speaker.clone(), line.text);
            }
        }
    }

    /// True if it begins or ends with all of another.
    pub fn begins_or_ends_with(&self, other: &Self) -> bool {
        self.iter().take(other.lines.len()).eq(other.iter())
            || self
                .iter()
                .rev()
                .take(other.lines.len())
                .eq(other.iter().rev())
    }
}

impl PartialEq for Dialogue {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> FromIterator<(Speaker, &'a str)> for Dialogue {
    fn from_iter<I: IntoIterator<Item = (Speaker, &'a str)>>(lines: I) -> Self {
        let mut all = Self::default();
        for (speaker, text) in lines {
            all.push(speaker, text);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_said() {
        let party = |n: usize| Speaker::Party(Party::parse(&format!("x{n}")));
        let texts: Vec<String> = (0..40).map(|n| "é".repeat(n % 3)).collect();
        let all: Dialogue = (0..40)
            .map(|n| (party(n % 10), texts[n].as_str()))
            .collect();
        for (n, line) in all.iter().enumerate() {
            assert_eq!(
                (line.speaker, line.text),
                (&party(n % 10), texts[n].as_str())
            );
        }
        assert_eq!(all.iter().len(), 40);
    }

    #[test]
    fn two_are_alike_whoever_they_were_made() {
        let one = |text: &'static str| (Speaker::Unknown, text);
        let make =
            |texts: &[&'static str]| texts.iter().map(|text| one(text)).collect::<Dialogue>();
        let mut joined = make(&["a", "b"]);
        joined.append(make(&["c"]));
        assert_eq!(joined, make(&["a", "b", "c"]));
        assert_ne!(joined, make(&["ab", "c"]));
        for (part, is_in) in [
            (&["a", "b"][..], true),
            (&["b", "c"], true),
            (&["b"], false),
            (&["z", "a", "b", "c"], false),
        ] {
            assert_eq!(joined.begins_or_ends_with(&make(part)), is_in, "{part:?}");
        }
    }
}
