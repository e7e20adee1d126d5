//! What commands work with: the settings, the store and the vendors, each made when it is first
//! needed, and each without the others.

pub mod settings;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::failure::Failure;
use crate::http::{Agent, Api, SharedWindow, Vendor, VendorSpec};
use crate::notion::{self, Notion};
use crate::quo;
use crate::secret::Secret;
use crate::store::{self, Mode, Store};
use crate::time;

use settings::{Access, Settings};

/// What commands work with.
pub struct Services {
    /// What the user has set.
    pub settings: Settings,
    /// The pool of connections.
    pub agent: Agent,
    store: OnceCell<Store>,
    notion: OnceCell<Notion>,
    quo: OnceCell<Option<Vendor>>,
}

impl Services {
    /// Nothing is opened or asked yet.
    pub fn new(settings: Settings, agent: Agent) -> Self {
        store::wait_at_most(settings.deadline.unwrap_or(Duration::MAX));
        Self {
            settings,
            agent,
            store: OnceCell::new(),
            notion: OnceCell::new(),
            quo: OnceCell::new(),
        }
    }

    /// The store; a dry run only reads it.
    pub fn store(&self) -> store::Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let mode = if self.settings.dry_run {
            Mode::ReadOnly
        } else {
            Mode::ReadWrite
        };
        let store = Store::open(&self.settings.store, mode, time::timestamp)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The store, if something has needed it.
    pub fn opened_store(&self) -> Option<&Store> {
        self.store.get()
    }

    /// Notion. What is wrong with the settings is a failure.
    pub fn notion(&self) -> Result<&Notion, Failure> {
        if let Some(notion) = self.notion.get() {
            return Ok(notion);
        }
        let access = self.settings.notion()?;
        let notion = self.new_notion(access, Some(self.store()?.rates()?));
        Ok(self.notion.get_or_init(|| notion))
    }

    /// Notion, whatever else is wrong, and without a count of requests that is shared with other
    /// processes; `None` without a usable key and address.
    pub fn notion_alone(&self) -> Option<Notion> {
        let access = self.settings.notion.as_ref()?;
        Some(self.new_notion(access, None))
    }

    /// Quo, likewise.
    pub fn quo_alone(&self) -> Option<Vendor> {
        let access = self.settings.quo.as_ref()?;
        Some(self.vendor(quo::API, access, access.key.clone(), None))
    }

    fn new_notion(&self, access: &Access, shared: Option<Arc<dyn SharedWindow>>) -> Notion {
        let bearer = Secret::new(&format!("Bearer {}", access.key.expose()));
        let vendor = self.vendor(notion::API, access, bearer, shared);
        Notion::new(vendor, self.settings.notion_version.clone())
    }

    /// Quo; `None` without a key. What is wrong with the settings is a failure.
    pub fn quo(&self) -> Result<Option<&Vendor>, Failure> {
        if let Some(quo) = self.quo.get() {
            return Ok(quo.as_ref());
        }
        let vendor = match self.settings.quo()? {
            None => None,
            Some(access) => {
                let shared = self.store()?.rates()?;
                Some(self.vendor(quo::API, access, access.key.clone(), Some(shared)))
            }
        };
        Ok(self.quo.get_or_init(|| vendor).as_ref())
    }

    fn vendor(
        &self,
        api: Api,
        access: &Access,
        authorization: Secret,
        shared: Option<Arc<dyn SharedWindow>>,
    ) -> Vendor {
        let keys = [&self.settings.notion, &self.settings.quo];
        let keys = keys.into_iter().flatten();
        let spec = VendorSpec {
            api,
            base: access.base.clone(),
            headers: vec![("Authorization", authorization)],
            secrets: keys.map(|access| access.key.clone()).collect(),
            window: access.window,
            shared,
        };
        Vendor::new(&self.agent, spec)
    }
}
