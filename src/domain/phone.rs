//! Phone numbers: what may be a client, how people write one, and when two spellings are the same.
//!
//! The numbering plans come from libphonenumber's data (`rlibphonenumber`), loaded on first use
//! (about 5 ms), so [`Phone::parse`] and a plain comparison do without.

use std::borrow::Cow;
use std::fmt;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat};

/// Fewest digits that are taken for a number; Quo's short codes have up to 8 but no `+`.
const MIN_DIGITS: usize = 7;
/// Most digits of E.164.
const MAX_DIGITS: usize = 15;
/// Digits that are equal in every spelling of one number, in all but the smallest numbering plans.
const TAIL: usize = 6;

/// A number in E.164: `+`, then 7 to 15 digits, the first not 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

impl Phone {
    /// Reads a number that carries its country code. Blanks, dashes, dots and brackets between
    /// digits are dropped; anything else makes it no number.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix('+')?;
        if !rest
            .chars()
            .all(|c| c.is_ascii_digit() || " -.()\u{a0}".contains(c))
        {
            return None;
        }
        let digits = digits(rest);
        let plausible =
            (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) && !digits.starts_with('0');
        plausible.then(|| Self(format!("+{digits}")))
    }

    /// Reads a number as a person may have written it; without country code it is read in the
    /// country of `near`.
    pub fn read(written: &str, near: Option<&Self>) -> Option<Self> {
        let region = near
            .and_then(Self::number)
            .and_then(|near| PHONE_NUMBER_UTIL.get_region_for_country_code(near.country_code));
        let number = PHONE_NUMBER_UTIL.parse(written, region).ok()?;
        Self::parse(&number.format_as(PhoneNumberFormat::E164))
    }

    /// Reads a number as it is dialled without a country code, in the country of `near`: of the
    /// length that numbers have there. What has letters in it, and short codes, are none.
    pub fn dialled(written: &str, near: Option<&Self>) -> Option<Self> {
        let is_number = written
            .chars()
            .all(|c| c.is_ascii_digit() || " -.()\u{a0}/".contains(c));
        if !is_number || digits(written).len() < MIN_DIGITS {
            return None;
        }
        let phone = Self::read(written, Some(near?))?;
        phone.is_possible().then_some(phone)
    }

    /// The number in E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last six digits: a key under which every spelling of this number is found.
    pub fn tail(&self) -> &str {
        &self.0[self.0.len() - TAIL..]
    }

    /// True if the length fits the numbering plan of its country.
    pub fn is_possible(&self) -> bool {
        self.number().is_some_and(|number| {
            let length = PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number);
            length.is_ok_and(|length| length != NumberLengthType::IsPossibleLocalOnly)
        })
    }

    /// The number as people write it: `+1 202-555-0147`.
    pub fn written(&self) -> String {
        self.format(PhoneNumberFormat::International)
    }

    /// True if `written` is a spelling of this number; one without country code is read in this
    /// number's country.
    pub fn matches(&self, written: &str) -> bool {
        let theirs = digits(written);
        if theirs.len() < TAIL || !theirs.contains(self.tail()) {
            return false;
        }
        theirs == self.0[1..] || self.parses_to_self(written)
    }

    /// True if this number stands in a cell, which may hold more: other numbers, a name or label,
    /// an extension. A number is cut at letters and at `/ , ; | #` and line ends; one that is
    /// written with a slash (`030/23125123`) is whole again.
    pub fn is_in(&self, cell: &str) -> bool {
        if self.matches(cell) {
            return true;
        }
        let ends = |c: char| c.is_alphabetic() || ",;|#\n\r\u{2028}\u{2029}".contains(c);
        cell.split(ends).any(|part| {
            let pieces: Vec<&str> = part.split('/').collect();
            let joined = pieces.windows(2).map(<[&str]>::concat);
            pieces.iter().any(|piece| self.matches(piece))
                || joined.into_iter().any(|number| self.matches(&number))
        })
    }

    /// Every likely spelling, without repeats: E.164, digits, national and international with
    /// brackets, dashes, dots and blanks. At most 30.
    pub fn spellings(&self) -> Vec<String> {
        let Some(number) = self.number() else {
            return vec![self.0.clone(), self.0[1..].to_owned()];
        };
        let code = number.country_code.to_string();
        let groups = digit_groups(
            self.format(PhoneNumberFormat::International)
                .split_once(' ')
                .map_or("", |(_, n)| n),
        );
        let national = self.format(PhoneNumberFormat::National);
        let trunk = digit_groups(&national);
        let mut all = vec![
            self.0.clone(),
            self.0[1..].to_owned(),
            national,
            self.written(),
        ];
        for separator in ["", "-", " ", "."] {
            let joined = groups.join(separator);
            all.push(trunk.join(separator));
            all.push(joined.clone());
            for (plus, between) in [("+", separator), ("+", " "), ("", separator)] {
                all.push(format!("{plus}{code}{between}{joined}"));
            }
        }
        if let Some((area, rest)) = groups.split_first().filter(|(_, rest)| !rest.is_empty()) {
            let rest = rest.join("-");
            all.extend([format!("({area}) {rest}"), format!("({area}){rest}")]);
            all.extend([
                format!("+{code} ({area}) {rest}"),
                format!("{code} ({area}) {rest}"),
            ]);
        }
        without_repeats(all)
    }

    fn number(&self) -> Option<PhoneNumber> {
        PHONE_NUMBER_UTIL.parse(&self.0, None).ok()
    }

    fn format(&self, format: PhoneNumberFormat) -> String {
        self.number().map_or_else(
            || self.0.clone(),
            |number| number.format_as(format).into_owned(),
        )
    }

    fn parses_to_self(&self, written: &str) -> bool {
        let Some(mine) = self.number() else {
            return false;
        };
        let region = PHONE_NUMBER_UTIL.get_region_for_country_code(mine.country_code);
        PHONE_NUMBER_UTIL
            .parse(written, region)
            .is_ok_and(|theirs| {
                let theirs = theirs.format_as(PhoneNumberFormat::E164);
                current(&theirs) == current(&self.0)
            })
    }
}

/// The same number as it is dialled today: Mexico's mobile numbers had a 1 before them until 2019.
/// <https://www.itu.int/oth/T020200008A/en>
fn current(e164: &str) -> Cow<'_, str> {
    match e164.strip_prefix("+521") {
        Some(rest) if rest.len() == 10 => format!("+52{rest}").into(),
        Some(_) | None => e164.into(),
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Numbers that are meant together: one, or all that begin alike (`+1900*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberPattern {
    /// This number.
    One(Phone),
    /// All that begin with this.
    Beginning(String),
}

impl NumberPattern {
    /// Reads `+12025550147`, in any spelling with its country code, or `+1900*`.
    pub fn parse(written: &str) -> Option<Self> {
        let Some(beginning) = written.trim().strip_suffix('*') else {
            return Phone::parse(written).map(Self::One);
        };
        let rest = beginning.strip_prefix('+')?;
        let plain = rest
            .chars()
            .all(|c| c.is_ascii_digit() || " -.()".contains(c));
        plain.then(|| Self::Beginning(format!("+{}", digits(rest))))
    }

    /// True if the number is one of those meant.
    pub fn fits(&self, phone: &Phone) -> bool {
        match self {
            Self::One(one) => one == phone,
            Self::Beginning(beginning) => phone.as_str().starts_with(beginning),
        }
    }
}

/// The key under which a freely written number is kept in an index: its last six digits, if it has
/// that many.
pub fn tail_of(written: &str) -> Option<String> {
    let digits = digits(
        written
            .split(['x', 'X', ';', ','])
            .next()
            .unwrap_or(written),
    );
    digits
        .get(digits.len().checked_sub(TAIL)?..)
        .map(Into::into)
}

fn digits(text: &str) -> String {
    text.chars()
        .filter_map(|c| c.to_digit(10).or_else(|| full_width(c)))
        .filter_map(|d| char::from_digit(d, 10))
        .collect()
}

/// Digits of East Asian keyboards, which libphonenumber accepts too.
fn full_width(c: char) -> Option<u32> {
    ('\u{ff10}'..='\u{ff19}')
        .contains(&c)
        .then(|| c as u32 - 0xff10)
}

fn digit_groups(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .map(Into::into)
        .collect()
}

fn without_repeats(all: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in all {
        if !text.is_empty() && !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> Phone {
        Phone::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn pattern_means_one_number_or_all_that_begin_alike() {
        let fits = |pattern: &str, number: &str| {
            let pattern = NumberPattern::parse(pattern).expect("a pattern");
            pattern.fits(&phone(number))
        };
        assert!(fits("+1 202 555-0147", "+12025550147"));
        assert!(!fits("+12025550147", "+12025550148"));
        assert!(fits("+1900*", "+19005550100") && !fits("+1900*", "+12025550147"));
        assert!(fits("+*", "+12025550147"));
        for bad in ["", "2025550147", "1900*", "+19OO*", "PN1"] {
            assert_eq!(NumberPattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_numbers_with_country_code_are_numbers() {
        for bad in [
            "",
            "+",
            "Anonymous",
            "blocked",
            "72345",
            "+1234",
            "USmarta001",
            "+0123456789",
            "+1202555014x",
            "2025550147",
        ] {
            assert_eq!(Phone::parse(bad), None, "{bad}");
        }
        assert_eq!(Phone::parse("+1234567890123456"), None);
        assert_eq!(phone(" +1 (202) 555-0147 ").as_str(), "+12025550147");
    }

    #[test]
    fn length_is_judged_by_the_country() {
        assert!(phone("+12025550147").is_possible());
        assert!(!phone("+120255501").is_possible());
        assert!(phone("+33123456789").is_possible());
    }

    #[test]
    fn spellings_of_a_north_american_number() {
        let all = phone("+12025550147").spellings();
        for want in [
            "+12025550147",
            "12025550147",
            "2025550147",
            "(202) 555-0147",
            "(202)555-0147",
            "202-555-0147",
            "202.555.0147",
            "202 555 0147",
            "+1 202-555-0147",
            "+1-202-555-0147",
            "+1.202.555.0147",
            "+1 202 555 0147",
            "+1 (202) 555-0147",
            "1-202-555-0147",
            "1 (202) 555-0147",
            "+1 2025550147",
        ] {
            assert!(
                all.iter().any(|have| have == want),
                "{want} is not in {all:?}"
            );
        }
        assert!(all.len() <= 30, "{}", all.len());
    }

    #[test]
    fn spellings_follow_the_numbers_own_country() {
        for (number, wants) in [
            (
                "+33123456789",
                [
                    "01 23 45 67 89",
                    "0123456789",
                    "+33 1 23 45 67 89",
                    "33123456789",
                ],
            ),
            (
                "+442079460958",
                [
                    "020 7946 0958",
                    "02079460958",
                    "+44 20 7946 0958",
                    "442079460958",
                ],
            ),
            (
                "+390612345678",
                [
                    "06 1234 5678",
                    "0612345678",
                    "+39 06 1234 5678",
                    "390612345678",
                ],
            ),
        ] {
            let all = phone(number).spellings();
            for want in wants {
                assert!(
                    all.iter().any(|have| have == want),
                    "{want} is not in {all:?}"
                );
            }
        }
    }

    #[test]
    fn every_spelling_matches_its_own_number_and_no_other() {
        for number in [
            "+12025550147",
            "+33123456789",
            "+442079460958",
            "+390612345678",
            "+5491123456789",
            "+819012345678",
        ] {
            let number = phone(number);
            for spelling in number.spellings() {
                assert!(number.matches(&spelling), "{number} {spelling}");
                assert_eq!(
                    tail_of(&spelling).as_deref(),
                    Some(number.tail()),
                    "{spelling}"
                );
            }
        }
        let rosa = phone("+12025550147");
        for other in [
            "+12025550148",
            "+442025550147",
            "555-0147",
            "",
            "Anonymous",
            "0147",
            "+22025550147",
        ] {
            assert!(!rosa.matches(other), "{other}");
        }
        for same in [
            "011 1 202 555 0147",
            "+1 202 555 0147 ext. 5",
            "tel:+1-202-555-0147",
            "\u{202a}+1 202-555-0147\u{202c}",
            "（202）555-0147",
        ] {
            assert!(rosa.matches(same), "{same}");
        }
        assert!(phone("+33123456789").matches("0033 1 23 45 67 89"));
    }

    #[test]
    fn number_is_found_in_a_cell_that_holds_more() {
        let rosa = phone("+12025550147");
        for cell in [
            "+12025550147, +12025550199",
            "202-555-0147 / 202-555-0199",
            "+12025550199; +12025550147",
            "202.555.0199 | 202.555.0147",
            "+12025550199\n(202) 555-0147",
            "202-555-0147 (wife)",
            "Mobile: 202-555-0147",
            "(202) 555-0147 - Rosa",
            "home 202 555 0199, cell 202 555 0147",
            "tel:+12025550147",
            "202-555-0147 ext. 5",
            "(202) 555-0147 x12",
            "(202) 555-0147 #12",
            "\u{202a}+1 (202) 555-0147\u{202c}",
            "202\u{2011}555\u{2011}0147",
        ] {
            assert!(rosa.is_in(cell), "{cell}");
        }
        for cell in [
            "+13125550147, 3125550199",
            "+12025550199 x0147",
            "1202555014733",
            "",
            "Rosa",
        ] {
            assert!(!rosa.is_in(cell), "{cell}");
        }
        assert!(phone("+493023125123").is_in("030/23125123 (Praxis)"));
        let lupe = phone("+525512345678");
        assert!(lupe.is_in("+5215512345678") && lupe.is_in("+52 1 55 1234 5678"));
        assert!(phone("+5215512345678").is_in("+52 55 1234 5678"));
        assert!(!lupe.is_in("+5215512345679"));
    }
}
