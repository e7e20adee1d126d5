//! The same for a person, on one screen: trouble first, each with the command that mends it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::text;

use super::overview::{Overview, Problem, States};
use super::trace::Trace;

/// Most troubles on a screen.
const MOST: usize = 10;
/// Most characters of what somebody else has written.
const LONGEST: usize = 100;

/// How it is shown.
pub struct Screen<'a> {
    /// Zone of times.
    pub zone: &'a TimeZone,
    /// Whether the terminal shows colours, and the user wants them.
    pub in_colour: bool,
    /// Now.
    pub now: Timestamp,
}

#[derive(Clone, Copy)]
enum Colour {
    Red,
    Yellow,
    Bold,
}

impl Screen<'_> {
    /// All figures.
    pub fn of_all(&self, overview: &Overview) -> Vec<String> {
        let mut lines = vec![self.paint(Colour::Bold, &in_words(&overview.events))];
        lines.extend(self.problems(&overview.problems));
        let today = &overview.today;
        lines.push(format!(
            "pages in the last 24 hours: {} created, {} updated, {} skipped, {} failed",
            today.created, today.updated, today.skipped, today.failed
        ));
        let chores = &overview.chores;
        if chores.waiting + chores.held + chores.failed + chores.dead + chores.done > 0 {
            lines.push(format!("to ask Quo later: {}", in_words(chores)));
        }
        let (cache, calls) = (&overview.cache, &overview.calls_per_event);
        lines.push(format!(
            "known pages: {}, used {} times, hit rate {}; requests for each event: Notion {}, \
                Quo {}",
            cache.entries, cache.hits, cache.hit_rate, calls.notion, calls.quo
        ));
        lines.extend(self.numbers(overview));
        lines.extend(self.operations(overview));
        lines.extend(self.jobs(overview));
        lines
    }

    /// What became of one.
    pub fn of_trace(&self, trace: &Trace) -> Vec<String> {
        let mut lines = vec![self.paint(Colour::Bold, &text::one_line(&trace.of, LONGEST))];
        let steps = trace.steps.iter().map(|step| {
            let url = step.url.clone().unwrap_or_default();
            let id = step.activity_id.as_deref().unwrap_or_default();
            vec![
                self.when(step.at),
                shown(&step.step),
                shown(id),
                shown(&step.message),
                url,
            ]
        });
        lines.extend(columns(&steps.collect::<Vec<_>>()));
        lines.extend(self.problems(&trace.events));
        lines
    }

    fn problems(&self, problems: &[Problem]) -> Vec<String> {
        let mut lines = Vec::new();
        for problem in problems.iter().take(MOST) {
            let kind = problem.kind.as_deref();
            let said = kind.map(|kind| {
                let message = problem.message.as_deref().unwrap_or_default();
                format!(": {}: {}", shown(kind), shown(message))
            });
            let state = match problem.state {
                "dead" | "held" => self.paint(Colour::Red, problem.state),
                "failed" => self.paint(Colour::Yellow, problem.state),
                state => state.to_owned(),
            };
            let (id, event_type) = (shown(&problem.event_id), shown(&problem.event_type));
            lines.push(format!(
                "{state} {id} {event_type}{}",
                said.unwrap_or_default()
            ));
            let (last, next) = (self.when(problem.last_try), self.when(problem.next_try));
            lines.push(format!("    last try {last}, next try {next}"));
            lines.push(format!("    {}", shown(&problem.hint)));
        }
        if problems.len() > MOST {
            lines.push("    … further ones: quotion status --json".to_owned());
        }
        lines
    }

    fn numbers(&self, overview: &Overview) -> Vec<String> {
        let head = ["number", "name", "calls", "last call", "texts", "last text"];
        let row = |number: &super::overview::OwnLine| {
            vec![
                shown(number.number.as_deref().unwrap_or("?")),
                shown(number.name.as_deref().unwrap_or_default()),
                number.total_calls_synced.to_string(),
                self.when(number.last_call_sync_at),
                number.total_messages_synced.to_string(),
                self.when(number.last_message_sync_at),
            ]
        };
        self.table(&head, overview.phone_numbers.iter().map(row).collect())
    }

    fn operations(&self, overview: &Overview) -> Vec<String> {
        let head = ["operation", "count", "success", "p50", "p95"];
        let row = |it: &super::overview::Speed| {
            vec![
                shown(&it.operation),
                it.count.to_string(),
                it.success.to_string(),
                format!("{} ms", it.p50_ms),
                format!("{} ms", it.p95_ms),
            ]
        };
        self.table(&head, overview.operations.iter().map(row).collect())
    }

    fn jobs(&self, overview: &Overview) -> Vec<String> {
        let row = |it: &super::overview::JobEnd| {
            let ended = it.ended.as_deref().unwrap_or("?");
            vec![shown(&it.job), self.when(it.last_run), shown(ended)]
        };
        let rows = overview.jobs.iter().map(row).collect();
        self.table(&["command", "last run", "ended"], rows)
    }

    /// Nothing where there are no rows.
    fn table(&self, head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
        if rows.is_empty() {
            return Vec::new();
        }
        let head = head.iter().map(|&name| name.to_owned()).collect();
        let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let mut lines = columns(&all);
        if let Some(first) = lines.first_mut() {
            *first = self.paint(Colour::Bold, first);
        }
        lines
    }

    /// A moment of today without its date.
    fn when(&self, moment: Option<Timestamp>) -> String {
        let Some(moment) = moment else {
            return "-".to_owned();
        };
        let (moment, now) = (
            self.zone.to_datetime(moment),
            self.zone.to_datetime(self.now),
        );
        let form = if moment.date() == now.date() {
            "%H:%M:%S"
        } else {
            "%Y-%m-%d %H:%M"
        };
        moment.strftime(form).to_string()
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.in_colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Yellow => 33,
            Colour::Bold => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn shown(text: &str) -> String {
    text::one_line(text, LONGEST)
}

fn in_words(states: &States) -> String {
    let States {
        waiting,
        held,
        failed,
        dead,
        done,
    } = states;
    format!(
        "{dead} dead, {held} held, {failed} failed, {waiting} waiting; {done} done in the last 24 \
            hours"
    )
}

/// Rows with their columns below each other.
fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "né", ""]), row(["bcd", "", "x"])];
        assert_eq!(columns(&rows), ["a    né", "bcd      x"]);
    }
}
