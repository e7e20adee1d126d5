//! What the work needs: the store and the vendors, each made when the first event needs it.

use std::cell::{Cell, OnceCell};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::config::{self, Access, Config};
use crate::delivery::{self, Claim, Ended, Unfinished};
use crate::domain::outcome::{Warning, WarningCode};
use crate::failure::{self, Failure};
use crate::http::{self, Agent, Api, SharedWindow, Vendor, VendorSpec};
use crate::notion::{self, Notion};
use crate::quo;
use crate::secret::Secret;
use crate::store::{Mode, Place, Store};
use crate::sync::{self, QuoAccess, Settings, Sync, Work};
use crate::time::stop;

use super::bug;

/// Settings, and what is made from them.
pub struct Tools {
    pub config: Config,
    pub agent: Agent,
    clock: fn() -> Timestamp,
    store: OnceCell<Store>,
    vendors: OnceCell<Vendors>,
    /// True once a result has said that there is no key for Quo.
    told_of_key: Cell<bool>,
}

struct Vendors {
    notion: Notion,
    quo: Option<QuoAccess>,
    settings: Settings,
}

impl Tools {
    pub fn new(config: Config, clock: fn() -> Timestamp) -> Self {
        // What is wrong with a proxy ends the work before anything is sent.
        let proxies = config.proxies().unwrap_or_default();
        Self {
            config,
            agent: http::agent(proxies),
            clock,
            store: OnceCell::new(),
            vendors: OnceCell::new(),
            told_of_key: Cell::new(false),
        }
    }

    /// The store.
    pub fn store(&self) -> Result<&Store, Failure> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let mode = if self.config.dry_run {
            Mode::ReadOnly
        } else {
            Mode::ReadWrite
        };
        let place = &self.config.store;
        let opened = Store::open(place, mode, self.clock).map_err(Failure::from);
        let store = opened.map_err(|mut failure| {
            if let Place::File(path) = place {
                let path = path.display().to_string();
                if !failure.message.contains(&path) {
                    failure.message = format!("{} ({path})", failure.message);
                }
            }
            failure
        })?;
        Ok(self.store.get_or_init(|| store))
    }

    /// What is wrong with the settings, for an event that is only kept.
    pub fn doubts(&self) -> Vec<Warning> {
        let wrong = self.config.check().err();
        let warning =
            wrong.map(|failure| Warning::new(WarningCode::SettingsWrong, failure.message));
        warning.into_iter().collect()
    }

    /// Which of these belong together, by their places.
    pub fn groups(&self, works: &[&Work]) -> Vec<Vec<usize>> {
        let each_alone = || (0..works.len()).map(|place| vec![place]).collect();
        // A dry run tells of each document what it would do. And what is wrong with the store each
        // event tells itself.
        if works.len() < 2 || self.config.dry_run {
            return each_alone();
        }
        match self.store() {
            Ok(store) => sync::groups(store, works).unwrap_or_else(|_| each_alone()),
            Err(_) => each_alone(),
        }
    }

    /// Works on events that are in the inbox (or on a dry run's, that are not) and belong together.
    /// A failure leaves them there.
    pub fn work(&self, works: &[&Work], claim: Claim) -> Vec<Ended> {
        match bug::caught(|| self.try_work(works, claim)) {
            Ok(Ok(mut ended)) => {
                self.tell_of_key(&mut ended);
                ended
            }
            Ok(Err(failure)) => {
                let failed = |work: &&Work| Err(Box::new((failure.clone(), work.outset())));
                works.iter().map(failed).collect()
            }
            // The others of the group are done without the one that brings the bug to light.
            Err(_) if works.len() > 1 => {
                let alone = |work: &&Work| self.work(&[*work], claim);
                works.iter().flat_map(alone).collect()
            }
            Err(bug) => {
                let postponed = |work: &&Work| Err(self.postponed(work, bug.clone()));
                works.iter().map(postponed).collect()
            }
        }
    }

    /// Says once a run that names cannot be looked up, because there is no key for Quo.
    fn tell_of_key(&self, ended: &mut [Ended]) {
        let is_missing = self.vendors.get().is_some_and(|it| it.quo.is_none());
        let Some(first) = ended.first_mut().filter(|_| is_missing) else {
            return;
        };
        if !self.told_of_key.replace(true) {
            let message = "OPENPHONE_API_KEY is not set, so nothing is asked of quo: no names, and \
                nothing of what a delivery leaves out";
            let warning = Warning::new(WarningCode::QuoKeyMissing, message);
            let outcome = match first {
                Ok(outcome) => outcome,
                Err(failed) => &mut failed.1,
            };
            outcome.warnings.push(warning);
        }
    }

    /// The failure, noted in the inbox if that can be.
    fn postponed(&self, work: &Work, failure: Failure) -> Unfinished {
        let failed = Box::new((failure, work.outset()));
        match self.store() {
            Ok(store) if !self.config.dry_run => {
                let patience = self.config.patience();
                delivery::postpone(store, &work.event_id(), failed, patience)
            }
            Ok(_) | Err(_) => failed,
        }
    }

    fn try_work(&self, works: &[&Work], claim: Claim) -> Result<Vec<Ended>, Failure> {
        let store = self.store()?;
        let patience = self.config.patience();
        // No attempt is counted for what every event meets with.
        self.config.check_for_sync().map_err(|mut failure| {
            if !self.config.dry_run {
                failure.hint.push_str(delivery::KEPT);
            }
            failure
        })?;
        let vendors = match self.vendors() {
            Ok(vendors) => vendors,
            Err(failure) if self.config.dry_run => return Err(failure),
            Err(failure) => {
                let postpone = |work: &&Work| Err(self.postponed(work, failure.clone()));
                return Ok(works.iter().map(postpone).collect());
            }
        };
        stop::watch(failure::NOT_NOW);
        let events = u32::try_from(works.len()).unwrap_or(u32::MAX);
        let deadline =
            config::starting_now(self.config.deadline.map(|each| each.saturating_mul(events)));
        let job = Sync {
            store,
            notion: &vendors.notion,
            quo: vendors.quo.as_ref(),
            settings: &vendors.settings,
            deadline,
            quo_deadline: deadline.earlier(sync::enrichment(works.len())),
            quo_failed: AtomicBool::new(false),
            workspace: Mutex::default(),
            dry_run: self.config.dry_run,
        };
        if self.config.dry_run {
            let ended = sync::run(&job, works).into_iter().flatten();
            return Ok(ended
                .map(|ended| ended.map_err(|failed| delivery::unfinished(*failed)))
                .collect());
        }
        Ok(delivery::process(&job, works, patience, claim))
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
        let notion = Notion::new(self.vendor(notion::API, access, bearer, &shared), version);
        Ok(self.vendors.get_or_init(|| Vendors {
            notion,
            quo,
            settings,
        }))
    }

    /// Access to Quo, and to nothing else; `None` without a key.
    pub fn quo_access(&self) -> Result<Option<QuoAccess>, Failure> {
        let Some(access) = self.config.quo()? else {
            return Ok(None);
        };
        let (base, key) = (access.base.clone(), access.key.clone());
        let shared = self.store()?.rates()?;
        Ok(Some(QuoAccess {
            vendor: self.vendor(quo::API, access, key, &shared),
            base,
        }))
    }

    fn vendor(
        &self,
        api: Api,
        access: Access,
        authorization: Secret,
        shared: &Arc<dyn SharedWindow>,
    ) -> Vendor {
        let spec = VendorSpec {
            api,
            base: access.base,
            headers: vec![("Authorization", authorization)],
            window: access.window,
            shared: Some(Arc::clone(shared)),
        };
        Vendor::new(&self.agent, spec)
    }
}
