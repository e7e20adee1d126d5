//! All figures, in the form of the JSON object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::domain::failure::Failure;
use crate::store::{CHORE, EventRow, HistoryCount, Inquiry, Measure, NumberRow, Standing, Store};

/// Most problems that are named.
const MOST: usize = 100;
/// The metrics: of events, and of requests to each vendor.
const SYNC: &str = "sync";
const NOTION: &str = "notion_query";
const QUO: &str = "api_call";

/// All figures.
#[derive(Serialize)]
pub struct Overview {
    pub events: States,
    pub next_try: Option<Timestamp>,
    pub oldest_waiting: Option<Timestamp>,
    pub problems: Vec<Problem>,
    pub chores: States,
    pub today: Today,
    pub phone_numbers: Vec<OwnLine>,
    pub operations: Vec<Speed>,
    pub cache: Cache,
    pub calls_per_event: Calls,
    pub recordings: Recordings,
    pub jobs: Vec<JobEnd>,
    pub clients: Json,
    /// What has waited for over an hour.
    #[serde(skip)]
    pub late: u64,
}

/// How many are in which state; those that are done in the last 24 hours.
#[derive(Default, Serialize)]
pub struct States {
    pub waiting: u64,
    pub held: u64,
    pub failed: u64,
    pub dead: u64,
    pub done: u64,
}

/// An event that is not done.
#[derive(Serialize)]
pub struct Problem {
    pub event_id: String,
    pub event_type: String,
    pub activity_id: Option<String>,
    pub state: &'static str,
    pub kind: Option<String>,
    pub message: Option<String>,
    pub hint: String,
    pub attempts: u32,
    pub received_at: Option<Timestamp>,
    pub last_try: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
}

/// What was done with pages in the last 24 hours.
#[derive(Default, Serialize)]
pub struct Today {
    pub created: u64,
    pub updated: u64,
    pub skipped: u64,
    pub failed: u64,
}

/// A number of the workspace.
#[derive(Serialize)]
pub struct OwnLine {
    pub number: Option<String>,
    pub name: Option<String>,
    pub last_call_sync_at: Option<Timestamp>,
    pub last_message_sync_at: Option<Timestamp>,
    pub total_calls_synced: u64,
    pub total_messages_synced: u64,
}

/// How fast an operation was in the last 24 hours.
#[derive(Serialize)]
pub struct Speed {
    pub operation: String,
    pub count: u64,
    pub success: u64,
    pub p50_ms: i64,
    pub p95_ms: i64,
}

/// What the known pages are good for.
#[derive(Serialize)]
pub struct Cache {
    pub entries: u64,
    pub hits: u64,
    pub hit_rate: f64,
}

/// Requests for each event of the last 24 hours.
#[derive(Serialize)]
pub struct Calls {
    pub notion: f64,
    pub quo: f64,
}

/// Audio that was brought home.
#[derive(Default, Serialize)]
pub struct Recordings {
    pub kept: u64,
    pub bytes: u64,
    pub missing: u64,
}

/// When a command last ran, and how it ended.
#[derive(Serialize)]
pub struct JobEnd {
    pub job: String,
    pub last_run: Option<Timestamp>,
    pub ended: Option<String>,
    pub next: Option<Timestamp>,
}

impl Overview {
    /// Events and chores that are held.
    pub fn held(&self) -> u64 {
        self.events.held + self.chores.held
    }

    /// Events and chores that are dead.
    pub fn dead(&self) -> u64 {
        self.events.dead + self.chores.dead
    }
}

/// Reads all figures.
pub fn of(store: &Store) -> Result<Overview, Failure> {
    let standings = store.standings()?;
    let problems = store.events(&Inquiry::Open, MOST)?;
    let measures = store.measures()?;
    let cache = store.cache_figures()?;
    let (mut events, mut chores) = (states(&standings, false), states(&standings, true));
    let done = |is_chore: bool| {
        let of = measures.iter().filter(|it| it.metric == SYNC && it.success);
        let of = of.filter(|it| (it.operation == CHORE) == is_chore);
        of.map(|it| it.count).sum()
    };
    (events.done, chores.done) = (done(false), done(true));
    let waiting = standings
        .iter()
        .filter(|it| matches!(it.state.as_str(), "queued" | "failed"));
    Ok(Overview {
        next_try: standings.iter().filter_map(|it| it.next_try).min(),
        oldest_waiting: waiting.filter_map(|it| it.oldest).min(),
        problems: problems.into_iter().map(Problem::of).collect(),
        today: today(&store.history_of_today()?),
        phone_numbers: store.numbers()?.into_iter().map(number).collect(),
        operations: operations(&measures),
        cache: Cache {
            entries: cache.entries,
            hits: cache.hits,
            // The first use is the miss.
            hit_rate: ratio(cache.hits.saturating_sub(cache.entries), cache.hits),
        },
        calls_per_event: Calls {
            notion: ratio(count(&measures, NOTION), events.done),
            quo: ratio(count(&measures, QUO), events.done),
        },
        recordings: Recordings::default(),
        jobs: jobs(store)?,
        clients: json!({"totalClients": 0,
            "bySyncStatus": {"pending": 0, "synced": 0, "failed": 0, "skipped": 0},
            "archived": 0, "lastPull": null, "lastPush": null, "lastWebhook": null}),
        late: standings.iter().map(|it| it.late).sum(),
        events,
        chores,
    })
}

impl Problem {
    /// What is to be said of an event.
    pub fn of(event: EventRow) -> Self {
        let state = state(&event);
        Self {
            hint: hint(&event, state),
            state,
            event_id: event.id,
            event_type: event.event_type,
            activity_id: event.activity,
            kind: event.kind,
            message: event.message,
            attempts: event.attempts,
            received_at: event.received_at,
            last_try: event.tried_at,
            next_try: event.next_try_at,
        }
    }
}

/// The state as it is told.
fn state(event: &EventRow) -> &'static str {
    match event.state.as_str() {
        "done" => "done",
        _ if event.in_progress => "in_progress",
        "dead" => "dead",
        "held" => "held",
        "failed" => "failed",
        _ => "waiting",
    }
}

/// What to do, with the command that does it.
fn hint(event: &EventRow, state: &str) -> String {
    let id = &event.id;
    match state {
        "done" => "nothing, it is done".to_owned(),
        "in_progress" => "nothing, a process works on it".to_owned(),
        "dead" => format!("once you know why: quotion replay --event {id}"),
        "held" => {
            let cause = event.held_by.as_deref().unwrap_or("what the message names");
            format!("mend {cause}, then: quotion replay")
        }
        "failed" => format!("nothing, replay tries it again; at once: quotion replay --event {id}"),
        _ => "quotion replay, by hand or from cron".to_owned(),
    }
}

fn states(standings: &[Standing], is_chore: bool) -> States {
    let mut states = States::default();
    for standing in standings.iter().filter(|it| it.is_chore == is_chore) {
        let place = match standing.state.as_str() {
            "held" => &mut states.held,
            "failed" => &mut states.failed,
            "dead" => &mut states.dead,
            _ => &mut states.waiting,
        };
        *place += standing.count;
    }
    states
}

fn today(history: &[HistoryCount]) -> Today {
    let mut today = Today::default();
    for line in history {
        let place = match (line.status.as_str(), line.action.as_deref()) {
            ("failed", _) => &mut today.failed,
            ("success", Some("created")) => &mut today.created,
            ("skipped", _) | ("success", Some("skipped")) => &mut today.skipped,
            _ => &mut today.updated,
        };
        *place += line.count;
    }
    today
}

fn number(row: NumberRow) -> OwnLine {
    OwnLine {
        number: row.number,
        name: row.name,
        last_call_sync_at: row.last_call_at,
        last_message_sync_at: row.last_message_at,
        total_calls_synced: row.calls,
        total_messages_synced: row.messages,
    }
}

fn operations(measures: &[Measure]) -> Vec<Speed> {
    let mut grouped: BTreeMap<String, Vec<&Measure>> = BTreeMap::new();
    for measure in measures {
        let name = if measure.metric == SYNC {
            format!("{SYNC} {}", measure.operation)
        } else {
            measure.operation.clone()
        };
        grouped.entry(name).or_default().push(measure);
    }
    let operation = |(operation, mut measures): (String, Vec<&Measure>)| {
        measures.sort_by_key(|it| it.duration_ms);
        let successes = measures.iter().filter(|it| it.success);
        Speed {
            operation,
            count: measures.iter().map(|it| it.count).sum(),
            success: successes.map(|it| it.count).sum(),
            p50_ms: percentile(&measures, 50),
            p95_ms: percentile(&measures, 95),
        }
    };
    grouped.into_iter().map(operation).collect()
}

/// The least time within which so many percent were done; `sorted` by time.
fn percentile(sorted: &[&Measure], percent: u64) -> i64 {
    let all: u64 = sorted.iter().map(|it| it.count).sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let found = sorted.iter().find(|it| {
        seen += it.count;
        seen >= wanted
    });
    found.map_or(0, |it| it.duration_ms)
}

fn count(measures: &[Measure], metric: &str) -> u64 {
    let of = measures.iter().filter(|it| it.metric == metric);
    of.map(|it| it.count).sum()
}

/// To three places; zero of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let thousandths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0
}

fn jobs(store: &Store) -> Result<Vec<JobEnd>, Failure> {
    let rows = store.jobs()?;
    let job = |row: crate::store::JobRow| JobEnd {
        job: row.job,
        last_run: row.at,
        ended: serde_json::from_str(&row.ended).ok(),
        next: None,
    };
    Ok(rows.into_iter().map(job).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(metric: &str, duration_ms: i64, success: bool, count: u64) -> Measure {
        Measure {
            metric: metric.into(),
            operation: "call".into(),
            duration_ms,
            success,
            count,
        }
    }

    #[test]
    fn percentiles_are_of_all_that_was_measured() {
        let measures = [
            measure(SYNC, 900, false, 5),
            measure(SYNC, 10, true, 50),
            measure(SYNC, 20, true, 45),
        ];
        let told = operations(&measures);
        let [one] = &told[..] else {
            panic!("{}", told.len());
        };
        let figures = (one.count, one.success, one.p50_ms, one.p95_ms);
        assert_eq!((&*one.operation, figures), ("sync call", (100, 95, 10, 20)));
        assert_eq!(operations(&[measure(QUO, 7, true, 1)])[0].p95_ms, 7);
    }

    #[test]
    fn ratio_of_nothing_is_none_and_others_have_three_places() {
        let told = [ratio(0, 0), ratio(1, 3), ratio(7, 2), ratio(u64::MAX, 1)];
        let told = told.map(|ratio| ratio.to_string());
        assert_eq!(told, ["0", "0.333", "3.5", "4294967.295"]);
    }
}
