//! Who waits for an answer: what calls and texts say of it, and how the column `Follow-up` shows
//! it.
//!
//! Pure. What counts are the activities' own times, whatever the order in which they are told.

use jiff::Timestamp;

use super::id::ActivityId;
use super::profile::same;
use super::table::{self, Cell, Column, ColumnKind, Misfit, Value, Written};

/// Option of a select or status column while an answer is owed.
const OPEN: &str = "Open";
/// The same once it was given.
const DONE: &str = "Done";

/// Whether a client waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// Somebody has answered.
    Given,
    /// The client waits: at the same moment this counts more.
    Owed,
}

/// What was decided last of a client's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it is.
    pub reply: Reply,
    /// The time of what decided it.
    pub at: Timestamp,
    /// The call or message that decided it; `None` where it stood so already, and the page's dates
    /// tell the time, to the minute.
    pub by: Option<ActivityId>,
}

/// What a call or message says of it, and what is known of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign<'a> {
    /// What it says.
    pub reply: Reply,
    /// Its own time.
    pub at: Timestamp,
    /// Which one.
    pub by: &'a ActivityId,
    /// True if its entry stood on the page before, so that it may have been heard of.
    pub is_known: bool,
    /// True if more is known now of how the call went.
    pub is_corrected: bool,
}

impl Decision {
    /// The same, once `sign` was heard of.
    #[must_use]
    pub fn after(self, sign: &Sign) -> Self {
        if self.yields_to(sign) {
            Self {
                reply: sign.reply,
                at: sign.at,
                by: Some(sign.by.clone()),
            }
        } else {
            self
        }
    }

    fn yields_to(&self, sign: &Sign) -> bool {
        match &self.by {
            Some(by) if by == sign.by => sign.is_corrected && sign.reply != self.reply,
            Some(_) => (sign.at, sign.reply) > (self.at, self.reply),
            None if sign.is_known => table::floor_to_minute(sign.at) > self.at,
            None => table::floor_to_minute(sign.at) >= self.at,
        }
    }
}

/// How a column can show it.
enum Form {
    Checkbox,
    Date,
    Option,
}

fn form(kind: ColumnKind) -> Result<Form, Misfit> {
    match kind {
        ColumnKind::Checkbox => Ok(Form::Checkbox),
        ColumnKind::Date => Ok(Form::Date),
        ColumnKind::Select | ColumnKind::Status => Ok(Form::Option),
        ColumnKind::ReadOnly => Err(Misfit::ReadOnly),
        ColumnKind::Title
        | ColumnKind::RichText
        | ColumnKind::Number
        | ColumnKind::MultiSelect
        | ColumnKind::Url
        | ColumnKind::Email
        | ColumnKind::PhoneNumber
        | ColumnKind::Files
        | ColumnKind::Relation => Err(Misfit::WrongType),
    }
}

/// True for a column that can show it.
pub fn is_shown_by(kind: ColumnKind) -> bool {
    form(kind).is_ok()
}

/// What a cell says. What a person wrote there in words of their own is no `Open`.
pub fn read(cell: &Cell, column: &Column) -> Reply {
    let is_owed = match form(column.kind) {
        Ok(Form::Checkbox) => cell.checked,
        Ok(Form::Date) => !cell.empty,
        Ok(Form::Option) => same(&cell.text, OPEN),
        Err(_) => false,
    };
    if is_owed { Reply::Owed } else { Reply::Given }
}

/// How `reply` is written into the column; a date is that of what is to be answered.
pub fn write(reply: Reply, at: Timestamp, column: &Column) -> Result<Written, Misfit> {
    let is_owed = reply == Reply::Owed;
    let option = if is_owed { OPEN } else { DONE };
    match form(column.kind)? {
        Form::Checkbox => Ok(Written::Checkbox(is_owed)),
        Form::Date if is_owed => table::fit(&Value::Time(at), column),
        Form::Date => Ok(Written::Cleared),
        Form::Option => table::fit(&Value::Text(option.into()), column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_040 + 60 * minute).expect("a time")
    }

    fn id(name: &str) -> ActivityId {
        ActivityId::parse(name).expect("an id")
    }

    fn column(kind: ColumnKind, options: &[&str]) -> Column {
        Column {
            id: "f".into(),
            name: "Follow-up".into(),
            kind,
            options: options.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_latest_activity_decides_whatever_the_order() {
        let ids = [id("AC1"), id("AC2"), id("AC3"), id("AC4")];
        let replies = [Reply::Owed, Reply::Given, Reply::Owed, Reply::Given];
        let minutes = [1, 3, 3, 2];
        let signs: Vec<Sign> = (0..4)
            .map(|place| Sign {
                reply: replies[place],
                at: at(minutes[place]),
                by: &ids[place],
                is_known: false,
                is_corrected: false,
            })
            .collect();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            let start = Decision {
                reply: Reply::Given,
                at: Timestamp::MIN,
                by: None,
            };
            let end = order
                .iter()
                .fold(start, |decision, place| decision.after(&signs[*place]));
            assert_eq!(end.by, Some(ids[2].clone()), "{order:?}: owed beats given");
        }
    }

    #[test]
    fn where_only_dates_are_known_nothing_older_decides() {
        let this = id("AC1");
        let stands = || Decision {
            reply: Reply::Given,
            at: at(5),
            by: None,
        };
        for (minute, is_known, decides) in [
            (4, false, false),
            (5, false, true),
            (5, true, false),
            (6, true, true),
        ] {
            let sign = Sign {
                reply: Reply::Owed,
                at: at(minute),
                by: &this,
                is_known,
                is_corrected: false,
            };
            let end = stands().after(&sign);
            assert_eq!(end.by.is_some(), decides, "{minute} {is_known}");
        }
    }

    #[test]
    fn call_of_which_more_is_known_decides_anew() {
        let this = id("AC1");
        let missed = Decision {
            reply: Reply::Owed,
            at: at(1),
            by: Some(this.clone()),
        };
        for (is_corrected, reply) in [(true, Reply::Given), (false, Reply::Owed)] {
            let sign = Sign {
                reply: Reply::Given,
                at: at(1),
                by: &this,
                is_known: true,
                is_corrected,
            };
            assert_eq!(missed.clone().after(&sign).reply, reply);
        }
    }

    #[test]
    fn columns_of_four_kinds_show_it() {
        let options = ["done", "OPEN"];
        for (kind, owed, given) in [
            (
                ColumnKind::Checkbox,
                Written::Checkbox(true),
                Written::Checkbox(false),
            ),
            (ColumnKind::Date, Written::Date(at(1)), Written::Cleared),
            (
                ColumnKind::Select,
                Written::Choice("OPEN".into()),
                Written::Choice("done".into()),
            ),
            (
                ColumnKind::Status,
                Written::Choice("OPEN".into()),
                Written::Choice("done".into()),
            ),
        ] {
            let column = column(kind, &options);
            assert_eq!(write(Reply::Owed, at(1), &column), Ok(owed));
            assert_eq!(write(Reply::Given, at(1), &column), Ok(given));
        }
    }

    #[test]
    fn options_are_made_only_where_notion_makes_them() {
        let other = ["To do", "Finished"];
        let select = write(Reply::Owed, at(1), &column(ColumnKind::Select, &other));
        assert_eq!(select, Ok(Written::Choice("Open".into())));
        let status = write(Reply::Owed, at(1), &column(ColumnKind::Status, &other));
        assert_eq!(status, Err(Misfit::NoSuchOption("Open".into())));
        let text = write(Reply::Owed, at(1), &column(ColumnKind::RichText, &[]));
        assert_eq!(text, Err(Misfit::WrongType));
        let computed = write(Reply::Owed, at(1), &column(ColumnKind::ReadOnly, &[]));
        assert_eq!(computed, Err(Misfit::ReadOnly));
    }
}
