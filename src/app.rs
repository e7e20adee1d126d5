//! The program: documents in, result lines out, exit code back.
//!
//! Gets its streams and the time from `main`, so that nothing else touches them.

use std::io::{Read, Write};

use jiff::Timestamp;

use crate::cli::Args;
use crate::config::{self, Access, Config, Environment};
use crate::critical;
use crate::documents::{Broken, Documents, MAX_BYTES};
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::failure::{self, Failure, Kind};
use crate::http::{self, Agent, Vendor, VendorSpec};
use crate::notion::Notion;
use crate::report;
use crate::secret::Secret;
use crate::store::{Mode, Store};
use crate::sync::{self, ENRICHMENT, QuoAccess, Settings, Sync};
use crate::webhook::{self, signature};

/// The program's streams and clock.
pub struct World<'a> {
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Runs the program. Returns the exit code.
pub fn run(args: &Args, environment: Environment, world: World) -> u8 {
    let World { input, output, now } = world;
    let config = match Config::load(args, environment) {
        Ok(config) => config,
        Err(failure) => return print_failure(output, &failure),
    };
    let mut app = App { config, agent: http::agent(), tools: None, output, now, worst: 0, documents: 0 };
    if let Err(failure) = app.sync_all(input) {
        app.failed(&failure, &Outcome::default());
    }
    app.worst
}

/// Prints the one result line of a failure that comes before any document. Returns the exit code.
pub fn print_failure(output: &mut dyn Write, failure: &Failure) -> u8 {
    log_failure(failure, None);
    let line = report::failure(failure, &Outcome::default());
    if let Err(err) = writeln!(output, "{line}") {
        log::error!("cannot write to standard output: {err}");
    }
    failure.exit_code()
}

struct App<'a> {
    config: Config,
    agent: Agent,
    /// Made for the first event that needs them.
    tools: Option<Tools>,
    output: &'a mut dyn Write,
    now: fn() -> Timestamp,
    worst: u8,
    documents: usize,
}

/// What an event needs that is not skipped at once.
struct Tools {
    store: Store,
    notion: Notion,
    quo: Option<QuoAccess>,
    settings: Settings,
}

impl App<'_> {
    fn sync_all(&mut self, input: &mut dyn Read) -> Result<(), Failure> {
        let signature = &self.config.signature;
        if signature.headers.is_some() || signature.required {
            let body = read_all(input)?;
            self.verify(&body)?;
            self.sync_each(body.as_slice());
            return self.expect_documents();
        }
        self.sync_each(input);
        if self.documents == 0 {
            log::warn!("standard input holds no document; nothing to do");
        }
        Ok(())
    }

    fn sync_each(&mut self, input: impl Read) {
        for document in Documents::new(input) {
            let now = (self.now)();
            self.sync_one(document, now);
        }
    }

    fn verify(&self, body: &[u8]) -> Result<(), Failure> {
        let settings = &self.config.signature;
        let Some(headers) = &settings.headers else {
            let hint = "pass the header of the delivery as --signature; a delivery without one does not come from Quo";
            return Err(Failure::new(Kind::Signature, "the payload comes without a signature", hint));
        };
        let window = signature::Window { now: (self.now)(), tolerance: settings.tolerance };
        Ok(signature::verify(body, headers, &settings.secrets, window)?)
    }

    fn expect_documents(&self) -> Result<(), Failure> {
        if self.documents > 0 {
            return Ok(());
        }
        Err(Failure::new(Kind::Payload, "standard input is empty", "pass the body of the delivery on standard input"))
    }

    fn sync_one(&mut self, document: Result<Vec<u8>, Broken>, now: Timestamp) {
        self.documents += 1;
        let parsed = document.map_err(Failure::from).and_then(|body| Ok(webhook::parse(&body)?));
        let event = match parsed {
            Ok(event) => event,
            Err(failure) => return self.failed(&failure, &Outcome::default()),
        };
        match self.sync_event(&event, now) {
            Ok(outcome) => self.succeeded(&outcome),
            Err(failed) => self.failed(&failed.0, &failed.1),
        }
    }

    fn sync_event(&mut self, event: &Event, now: Timestamp) -> Result<Outcome, Box<(Failure, Outcome)>> {
        if let Some(outcome) = sync::skipped_at_once(event) {
            return Ok(outcome);
        }
        let at_outset = |failure| Box::new((failure, sync::outset(event)));
        let tools = match &self.tools {
            Some(tools) => tools,
            None => self.tools.insert(self.make_tools().map_err(at_outset)?),
        };
        let deadline = config::starting_now(self.config.deadline);
        let job = Sync {
            store: &tools.store,
            notion: &tools.notion,
            quo: tools.quo.as_ref(),
            settings: &tools.settings,
            now,
            deadline,
            quo_deadline: deadline.earlier(ENRICHMENT),
            dry_run: self.config.dry_run,
        };
        sync::run(&job, event).map_err(|failed| Box::new((Failure::from(failed.error), failed.outcome)))
    }

    fn make_tools(&self) -> Result<Tools, Failure> {
        let settings = self.config.sync()?;
        let (access, version) = self.config.notion()?;
        let bearer = Secret::new(&format!("Bearer {}", access.key.expose()));
        let notion = Notion::new(self.vendor("notion", access, bearer), version);
        let quo = self.config.quo()?.map(|access| {
            let (base, key) = (access.base.clone(), access.key.clone());
            QuoAccess { vendor: self.vendor("quo", access, key), base }
        });
        let mode = if self.config.dry_run { Mode::ReadOnly } else { Mode::ReadWrite };
        let store = Store::open(&self.config.store, mode)?;
        Ok(Tools { store, notion, quo, settings })
    }

    fn vendor(&self, name: &'static str, access: Access, authorization: Secret) -> Vendor {
        let request_id_header = if name == "notion" { "x-notion-request-id" } else { "x-correlation-id" };
        let headers = vec![("Authorization", authorization)];
        Vendor::new(
            &self.agent,
            VendorSpec { name, base: access.base, headers, window: access.window, request_id_header },
        )
    }

    fn succeeded(&mut self, outcome: &Outcome) {
        for alarm in &outcome.alarms {
            self.critical(alarm.kind, &alarm.message, (outcome.event_id.as_deref(), None));
        }
        let action = outcome.synced.first().map_or("nothing to do", |synced| synced.client_name.as_str());
        log::info!("{} {}: {action}", shown(outcome.event_type.as_ref()), shown(outcome.event_id.as_ref()));
        self.print_line(&report::success(outcome));
    }

    fn failed(&mut self, failure: &Failure, outcome: &Outcome) {
        for alarm in &outcome.alarms {
            self.critical(alarm.kind, &alarm.message, (outcome.event_id.as_deref(), None));
        }
        let event_id = outcome.event_id.as_deref();
        log_failure(failure, event_id);
        if failure.is_critical() {
            self.critical(failure.kind.name(), &failure.message, (event_id, failure.request_id.as_deref()));
        }
        self.worst = failure::worst(self.worst, failure.exit_code());
        self.print_line(&report::failure(failure, outcome));
    }

    fn critical(&self, kind: &str, message: &str, (event_id, request_id): (Option<&str>, Option<&str>)) {
        if self.config.dry_run {
            return;
        }
        critical::log(&self.config.dir, &critical::Line { at: (self.now)(), kind, message, event_id, request_id });
        match self.config.alert() {
            Ok(Some(url)) => critical::alert(&self.agent, url, message),
            Ok(None) => {}
            Err(failure) => log::error!("{failure}"),
        }
    }

    /// A result that nobody can read is as bad as a file that cannot be written.
    fn print_line(&mut self, line: &str) {
        if let Err(err) = writeln!(self.output, "{line}").and_then(|()| self.output.flush()) {
            log::error!("cannot write to standard output: {err}");
            self.worst = failure::worst(self.worst, Failure::new(Kind::Store, "", "").exit_code());
        }
    }
}

/// A signature covers all of standard input, so all of it is read; one delivery is never larger than a document.
fn read_all(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    input.take(limit + 1).read_to_end(&mut body).map_err(Broken::Io)?;
    if body.len() > MAX_BYTES { Err(Broken::TooLarge.into()) } else { Ok(body) }
}

fn log_failure(failure: &Failure, event_id: Option<&str>) {
    let event = event_id.map_or(String::new(), |id| format!("{id}: "));
    log::error!("{event}{failure}\nhint: {}", failure.hint);
}

fn shown(text: Option<&String>) -> &str {
    text.map_or("?", String::as_str)
}
