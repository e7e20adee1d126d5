//! What became of one event, activity or number, step by step.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::StatusArgs;
use crate::domain::failure::{Failure, Kind};
use crate::domain::id::{ActivityId, EventId, PageId};
use crate::domain::phone::Phone;
use crate::store::{EventRow, HistoryRow, Inquiry, PageRow, Store};

use super::overview::Problem;

/// Most steps of each kind.
const MOST: usize = 100;

/// What is asked for.
pub enum Sought {
    Event(EventId),
    Activity(ActivityId),
    /// A client's number or one of the workspace's.
    Number(Phone),
    /// One of the workspace's numbers, by its id.
    Line(String),
}

/// What became of it.
#[derive(Default, Serialize)]
pub struct Trace {
    /// What was asked for, as it was.
    pub of: String,
    /// The events about it that are not done, or the one that was asked for.
    pub events: Vec<Problem>,
    /// The steps, the first one first.
    pub steps: Vec<TraceStep>,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TraceStep {
    pub at: Option<Timestamp>,
    pub step: String,
    pub event_id: Option<String>,
    pub activity_id: Option<String>,
    pub message: String,
    pub url: Option<String>,
}

/// Reads what is asked for; `None` for all.
pub fn wanted(args: &StatusArgs) -> Result<Option<Sought>, Failure> {
    let refused = |told: String| Failure::new(Kind::Usage, told, "as a result line names it");
    if let Some(id) = &args.event {
        let id = EventId::parse(id).map_err(|err| refused(format!("--event: {err}")))?;
        return Ok(Some(Sought::Event(id)));
    }
    if let Some(id) = &args.activity {
        let id = ActivityId::parse(id).map_err(|err| refused(format!("--activity: {err}")))?;
        return Ok(Some(Sought::Activity(id)));
    }
    let Some(number) = &args.number else {
        return Ok(None);
    };
    if number.starts_with("PN") {
        return Ok(Some(Sought::Line(number.clone())));
    }
    let phone = Phone::parse(number).ok_or_else(|| {
        let hint = "write it with its country, as +12025550147, or as Quo's id, PN…";
        Failure::new(Kind::Usage, "--number is no phone number", hint)
    })?;
    Ok(Some(Sought::Number(phone)))
}

/// Reads what became of it. What is not known is an error of usage.
pub fn of(store: &Store, wanted: &Sought) -> Result<Trace, Failure> {
    let mut trace = match wanted {
        Sought::Event(id) => of_event(store, id)?,
        Sought::Activity(id) => of_activity(store, id)?,
        Sought::Number(phone) => of_number(store, phone)?,
        Sought::Line(id) => of_line(store, id)?,
    };
    if trace.events.is_empty() && trace.steps.is_empty() {
        let message = format!("{} is not known here", trace.of);
        let hint = "what was skipped is not kept, and --dir and --state say which store is meant";
        return Err(Failure::new(Kind::Usage, message, hint));
    }
    trace.steps.sort_by_key(|step| step.at);
    Ok(trace)
}

fn of_event(store: &Store, id: &EventId) -> Result<Trace, Failure> {
    let events = store.events(&Inquiry::Event(id.clone()), 1)?;
    let activity = events.first().and_then(|event| event.activity.as_deref());
    let activity = activity.and_then(|id| ActivityId::parse(id).ok());
    let mut trace = match activity {
        Some(activity) => of_entries(store, &activity)?,
        None => Trace::default(),
    };
    id.as_str().clone_into(&mut trace.of);
    trace.take_events(events);
    Ok(trace)
}

fn of_activity(store: &Store, id: &ActivityId) -> Result<Trace, Failure> {
    let mut trace = of_entries(store, id)?;
    id.as_str().clone_into(&mut trace.of);
    trace.take_events(store.events(&Inquiry::Activity(id.clone()), MOST)?);
    Ok(trace)
}

/// What the history says of an activity, and where its entries stand.
fn of_entries(store: &Store, id: &ActivityId) -> Result<Trace, Failure> {
    let mut trace = Trace::default();
    trace.take_history(store.history_of_activity(id, MOST)?);
    let entries = store.pages_of_activity(id)?;
    let entry = |row: PageRow| {
        let step = if row.gone { "entry_deleted" } else { "entry" };
        let mut step = TraceStep::of_page(step, row);
        step.activity_id = Some(id.to_string());
        step
    };
    trace.steps.extend(entries.into_iter().map(entry));
    Ok(trace)
}

fn of_number(store: &Store, phone: &Phone) -> Result<Trace, Failure> {
    let lines = store.numbers()?;
    let line = lines
        .iter()
        .find(|line| line.number.as_deref() == Some(phone.as_str()));
    let mut trace = match line {
        Some(line) => of_line(store, &line.id)?,
        None => Trace::default(),
    };
    phone.as_str().clone_into(&mut trace.of);
    trace.take_events(store.events(&Inquiry::Number(phone.clone()), MOST)?);
    let pages = store.pages_of_number(phone)?;
    let pages = pages.into_iter().map(|row| TraceStep::of_page("page", row));
    trace.steps.extend(pages);
    Ok(trace)
}

fn of_line(store: &Store, id: &str) -> Result<Trace, Failure> {
    let mut trace = Trace {
        of: id.to_owned(),
        ..Trace::default()
    };
    trace.take_history(store.history_of_number(id, MOST)?);
    Ok(trace)
}

impl Trace {
    fn take_history(&mut self, rows: Vec<HistoryRow>) {
        let step = |row: HistoryRow| TraceStep {
            at: row.at,
            step: row.status,
            event_id: None,
            activity_id: Some(row.activity),
            message: row.message.or(row.action).unwrap_or_default(),
            url: row.page.as_ref().map(link),
        };
        self.steps.extend(rows.into_iter().map(step));
    }

    fn take_events(&mut self, events: Vec<EventRow>) {
        for event in events {
            let step = |at, step: &str, message: &str| TraceStep {
                at,
                step: step.to_owned(),
                event_id: Some(event.id.clone()),
                activity_id: event.activity.clone(),
                message: message.to_owned(),
                url: None,
            };
            let kept = step(event.received_at, "received", &event.event_type);
            let said = event.message.as_deref().unwrap_or_default();
            let tried = event.tried_at.map(|at| step(Some(at), "tried", said));
            let next = event.next_try_at.map(|at| step(Some(at), "next_try", ""));
            let pages = event.pages.iter().filter_map(|(phone, page, name)| {
                let said = format!("{name} ({phone})");
                let url = Some(link(page.as_ref()?));
                let step = step(event.tried_at, "done", &said);
                Some(TraceStep { url, ..step })
            });
            self.steps.extend([kept].into_iter().chain(tried));
            self.steps.extend(pages.chain(next));
            self.events.push(Problem::of(event));
        }
    }
}

impl TraceStep {
    fn of_page(step: &str, row: PageRow) -> Self {
        Self {
            at: row.at,
            step: step.to_owned(),
            event_id: None,
            activity_id: None,
            url: Some(link(&row.page)),
            message: row.title,
        }
    }
}

/// Where a person finds the page.
fn link(page: &PageId) -> String {
    format!("https://www.notion.so/{}", page.as_str().replace('-', ""))
}
