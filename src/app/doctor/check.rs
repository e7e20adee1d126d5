//! A check, and all of them: as JSON, as lines, as an exit code.

use serde::Serialize;

use crate::domain::failure::Failure;
use crate::exit;
use crate::{json_line, text};

/// Longest line for a person, in characters.
const LINE: usize = 2_000;

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    #[serde(rename = "check")]
    name: String,
    /// Not configured or not seen yet: none.
    ok: Option<bool>,
    message: String,
    fix: String,
    /// The exit code where no sync would work because of it; else 0.
    #[serde(skip)]
    code: u8,
}

impl Check {
    /// As it should be.
    pub fn good(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            ok: Some(true),
            message: message.into(),
            fix: String::new(),
            code: 0,
        }
    }

    /// Not configured or not seen yet.
    pub fn unknown(name: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            ok: None,
            fix: fix.into(),
            ..Self::good(name, message)
        }
    }

    /// Not as it should be, though a sync works.
    pub fn flawed(name: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            ok: Some(false),
            ..Self::unknown(name, message, fix)
        }
    }

    /// No sync works.
    pub fn failed(name: &str, failure: &Failure) -> Self {
        Self {
            code: exit::code(failure),
            ..Self::flawed(name, &failure.message, &failure.hint)
        }
    }
}

/// All checks.
#[derive(Debug, Default)]
pub struct Report {
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Whole<'a> {
    ok: bool,
    checks: &'a [Check],
}

impl Report {
    /// Adds one.
    pub fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        let codes = self.checks.iter().map(|check| check.code);
        codes.fold(0, exit::worst)
    }

    /// All on one line.
    pub fn json(&self) -> String {
        json_line::render(&Whole {
            ok: self.code() == 0,
            checks: &self.checks,
        })
    }

    /// For a person: a line for each, what to do below it, and at last what it comes to.
    pub fn lines(&self) -> Vec<String> {
        let widest = self.checks.iter().map(|check| check.name.chars().count());
        let width = widest.max().unwrap_or_default();
        let mut lines = Vec::new();
        for check in &self.checks {
            let sign = match check.ok {
                Some(true) => "ok",
                Some(false) => "NO",
                None => "--",
            };
            let mut shown = check.message.lines();
            let first = text::one_line(shown.next().unwrap_or_default(), LINE);
            lines.push(format!("{sign}  {:width$}  {first}", check.name));
            lines.extend(shown.map(|line| format!("    {}", text::one_line(line, LINE))));
            if !check.fix.is_empty() {
                lines.push(format!("    -> {}", text::one_line(&check.fix, LINE)));
            }
        }
        lines.push(match self.code() {
            0 => "A sync works.".to_owned(),
            code => format!("A sync does not work; exit code {code}."),
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keeps_a_sync_from_working_makes_the_exit_code() {
        let mut report = Report::default();
        report.add(Check::good("a", "fine"));
        report.add(Check::flawed("b", "odd\u{1b}[2J", "mend it"));
        report.add(Check::unknown("long", "not set", ""));
        assert_eq!(report.code(), 0);
        assert!(
            report
                .json()
                .starts_with(r#"{"ok":true,"checks":[{"check":"a","ok":true,"#)
        );
        assert_eq!(
            report.lines(),
            [
                "ok  a     fine",
                "NO  b     odd\\u{1b}[2J",
                "    -> mend it",
                "--  long  not set",
                "A sync works."
            ]
        );
        report.add(Check::failed("c", &Failure::config("wrong", "set it")));
        report.add(Check::failed("d", &Failure::stopped()));
        assert_eq!(report.code(), 78);
        assert!(report.json().starts_with(r#"{"ok":false,"#));
    }
}
