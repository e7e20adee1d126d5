//! What the work needs: the store and the vendors, each made when the first event needs it.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{self, Access, Config};
use crate::delivery::{self, Unfinished, Work};
use crate::domain::outcome::Outcome;
use crate::failure::Failure;
use crate::http::{self, Agent, SharedWindow, Vendor, VendorSpec};
use crate::notion::Notion;
use crate::secret::Secret;
use crate::store::{Mode, Store};
use crate::sync::{self, ENRICHMENT, QuoAccess, Settings, Sync};

/// Settings, and what is made from them.
pub struct Tools {
    pub config: Config,
    pub agent: Agent,
    clock: fn() -> Timestamp,
    store: OnceCell<Store>,
    vendors: OnceCell<Vendors>,
}

struct Vendors {
    notion: Notion,
    quo: Option<QuoAccess>,
    settings: Settings,
}

impl Tools {
    pub fn new(config: Config, clock: fn() -> Timestamp) -> Self {
        Self { config, agent: http::agent(), clock, store: OnceCell::new(), vendors: OnceCell::new() }
    }

    /// The store.
    pub fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let mode = if self.config.dry_run { Mode::ReadOnly } else { Mode::ReadWrite };
        let store = Store::open(&self.config.store, mode, self.clock)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Works on an event that is in the inbox (or on a dry run's, that is not). A failure leaves it there.
    pub fn work(&self, work: &Work) -> Result<Outcome, Unfinished> {
        let at_outset = |failure| Box::new((failure, work.outset()));
        let store = self.store().map_err(at_outset)?;
        let patience = self.config.patience().map_err(at_outset)?;
        let vendors = match self.vendors() {
            Ok(vendors) => vendors,
            Err(failure) if self.config.dry_run => return Err(at_outset(failure)),
            Err(failure) => return Err(delivery::postpone(store, &work.event_id(), (at_outset(failure), patience))),
        };
        let deadline = config::starting_now(self.config.deadline);
        let job = Sync {
            store,
            notion: &vendors.notion,
            quo: vendors.quo.as_ref(),
            settings: &vendors.settings,
            deadline,
            quo_deadline: deadline.earlier(ENRICHMENT),
            quo_failed: Cell::new(false),
            dry_run: self.config.dry_run,
        };
        match work {
            Work::Event(event) if self.config.dry_run => {
                sync::run(&job, event).map_err(|failed| Box::new((Failure::from(failed.error), failed.outcome)))
            }
            Work::Event(_) | Work::FollowUp(_) => delivery::process(&job, work, patience),
        }
    }

    fn vendors(&self) -> Result<&Vendors, Failure> {
        if let Some(vendors) = self.vendors.get() {
            return Ok(vendors);
        }
        let settings = self.config.sync()?;
        let (access, version) = self.config.notion()?;
        let quo = self.quo_access()?;
        let shared = self.store()?.rates()?;
        let bearer = Secret::new(&format!("Bearer {}", access.key.expose()));
        let notion = Notion::new(self.vendor("notion", (access, bearer), &shared), version);
        Ok(self.vendors.get_or_init(|| Vendors { notion, quo, settings }))
    }

    /// Access to Quo, and to nothing else; `None` without a key.
    pub fn quo_access(&self) -> Result<Option<QuoAccess>, Failure> {
        let Some(access) = self.config.quo()? else { return Ok(None) };
        let (base, key) = (access.base.clone(), access.key.clone());
        let shared = self.store()?.rates()?;
        Ok(Some(QuoAccess { vendor: self.vendor("quo", (access, key), &shared), base }))
    }

    fn vendor(
        &self,
        name: &'static str,
        (access, authorization): (Access, Secret),
        shared: &Arc<dyn SharedWindow>,
    ) -> Vendor {
        let spec = VendorSpec {
            name,
            base: access.base,
            headers: vec![("Authorization", authorization)],
            window: access.window,
            shared: Some(Arc::clone(shared)),
            request_id_header: if name == "notion" { "x-notion-request-id" } else { "x-correlation-id" },
        };
        Vendor::new(&self.agent, spec)
    }
}
