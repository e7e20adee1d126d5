//! What lives for one group of events: when to give up, what has failed already, and what was asked
//! once for all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::context::Context;
use crate::domain::failure::Failure;
use crate::domain::id::DatabaseId;
use crate::domain::outcome::{Alarm, AlarmKind, Notes, Warning, WarningCode};
use crate::http::{Measured, Vendor, Window};
use crate::notion::Notion;
use crate::quo::{self, Quo};
use crate::services::Services;
use crate::services::settings::Settings;
use crate::store::{Metric, Store};
use crate::time::Deadline;

use super::Error;
use super::gather;
use super::people::Workspace;

/// Longest that enrichment may take in all, for one event.
const ENRICHMENT: Duration = Duration::from_secs(10);
/// And for each further one that is done together with it.
const ENRICHMENT_EACH: Duration = Duration::from_millis(200);
/// How long a denied Quo key is not reported again.
const ALARM_REST: SignedDuration = SignedDuration::from_hours(24);

/// What lives for one group of events.
pub struct Run<'a> {
    /// What the user has set.
    pub settings: &'a Settings,
    /// What is remembered.
    pub store: &'a Store,
    /// Notion.
    pub notion: &'a Notion,
    /// Quo; without a key events are synced without profiles.
    pub quo: Option<&'a Vendor>,
    /// Notion's rate limit.
    pub notion_window: Window,
    /// The Clients database.
    pub clients_database: &'a DatabaseId,
    /// When to give up.
    pub deadline: Deadline,
    /// How long enrichment may take in all, and when to go on without it, from its first question
    /// on.
    enrichment: Duration,
    enrichment_ends: OnceLock<Deadline>,
    /// True once Quo has failed these events: it is not asked for further enrichment.
    quo_has_failed: AtomicBool,
    /// Own numbers and people, once they were needed.
    workspace: Mutex<Option<Arc<Workspace>>>,
    /// How long it took to find clients' pages, and whether that succeeded.
    lookups: Mutex<Vec<Metric>>,
}

impl<'a> Run<'a> {
    /// Begins with so many events: from now on their time runs.
    pub fn begin(services: &'a Services, events: usize) -> Result<Self, Failure> {
        let settings = &services.settings;
        let further = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
        let enrichment = ENRICHMENT.saturating_add(ENRICHMENT_EACH.saturating_mul(further));
        let deadline = settings.deadline_for(events);
        Ok(Self {
            settings,
            store: services.store()?,
            notion: services.notion()?,
            notion_window: settings.notion()?.window,
            quo: services.quo()?,
            clients_database: settings.clients_database()?,
            deadline,
            enrichment,
            enrichment_ends: OnceLock::new(),
            quo_has_failed: AtomicBool::new(false),
            workspace: Mutex::default(),
            lookups: Mutex::default(),
        })
    }

    /// Notes how long it took to find a client's page.
    pub fn note_lookup(&self, took: Duration, success: bool) {
        let metric = Metric {
            kind: "canvas_lookup",
            operation: "phone".to_owned(),
            took,
            success,
        };
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.push(metric);
    }

    /// What was measured since the last time that this was asked.
    pub fn take_metrics(&self) -> Vec<Metric> {
        let of = |kind| {
            move |it: Measured| Metric {
                kind,
                operation: it.operation,
                took: it.took,
                success: it.success,
            }
        };
        let notion = self.notion.take_measured();
        let quo = self.quo.map(Vendor::take_measured).unwrap_or_default();
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let all = lookups
            .drain(..)
            .chain(notion.into_iter().map(of("notion_query")));
        all.chain(quo.into_iter().map(of("api_call"))).collect()
    }

    /// Quo, until `deadline`; `None` without a key.
    pub fn quo_until(&self, deadline: Deadline) -> Option<Quo<'a>> {
        self.quo.map(|vendor| Quo::new(vendor, deadline))
    }

    /// Quo, for enrichment: until its own deadline, and not again after a failure.
    pub fn quo_for_enrichment(&self) -> Option<Quo<'a>> {
        if self.quo_has_failed.load(Ordering::Relaxed) {
            None
        } else {
            let ends = || self.deadline.earlier(self.enrichment);
            self.quo_until(*self.enrichment_ends.get_or_init(ends))
        }
    }

    /// The workspace's own numbers and people; asked for again when the activity took place on a
    /// line that is not known.
    pub fn workspace(
        &self,
        context: Option<&Context>,
        notes: &mut Notes,
    ) -> Result<Arc<Workspace>, Error> {
        let kept = self.kept_workspace().clone();
        let workspace = match kept {
            Some(workspace) => workspace,
            None => self.keep_workspace(gather::workspace::gather(self, notes)?),
        };
        if context.is_some_and(|context| workspace.misses_line_of(context)) {
            return self.workspace_anew(notes);
        }
        Ok(workspace)
    }

    /// The same, after something was missing in it.
    pub fn workspace_anew(&self, notes: &mut Notes) -> Result<Arc<Workspace>, Error> {
        let workspace = gather::workspace::anew(self, notes)?;
        Ok(self.keep_workspace(workspace))
    }

    fn kept_workspace(&self) -> MutexGuard<'_, Option<Arc<Workspace>>> {
        self.workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_workspace(&self, workspace: Workspace) -> Arc<Workspace> {
        Arc::clone(self.kept_workspace().insert(Arc::new(workspace)))
    }

    /// Notes a failure of Quo that the event survives. A denied key is an alarm too, once a day.
    pub fn quo_failed(
        &self,
        err: &quo::Error,
        consequence: &str,
        notes: &mut Notes,
    ) -> Result<(), Error> {
        self.quo_has_failed.store(true, Ordering::Relaxed);
        let denied = matches!(err, quo::Error::Denied(_));
        let code = if denied {
            WarningCode::QuoDenied
        } else {
            WarningCode::QuoUnavailable
        };
        let cause =
            std::error::Error::source(err).map_or(String::new(), |cause| format!(": {cause}"));
        let message = format!("{err}{cause}; {consequence}");
        if denied && self.rings("alarm:quo_denied")? {
            notes.alarms.push(Alarm {
                kind: AlarmKind::QuoDenied,
                message: message.clone(),
            });
        }
        if !notes.warnings.iter().any(|warning| warning.code == code) {
            notes.warnings.push(Warning::new(code, message));
        }
        Ok(())
    }

    /// True if the alarm called `key` has been quiet for a day; it has rung then.
    fn rings(&self, key: &str) -> Result<bool, Error> {
        let rests = self
            .store
            .snapshot(key)?
            .is_some_and(|last| last.age < ALARM_REST);
        if !rests {
            self.store.save_snapshot(key, "null")?;
        }
        Ok(!rests)
    }
}
