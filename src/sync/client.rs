//! One client after the other: gather, plan, apply; and again where something turned out different.
//!
//! Everything that is to be put onto one client's page goes there together, whatever the number of events.

use std::rc::Rc;

use crate::domain::event::ContactLookup;
use crate::domain::id::PageId;
use crate::domain::outcome::{Action, Outcome, PlannedStep, Reason, Synced, Warning};
use crate::domain::phone::Phone;
use crate::domain::plan::Step;
use crate::notion;

use super::activity::Activity;
use super::apply::{self, Stop};
use super::facts::{Draft, Facts, PageFact};
use super::gather::table::{self, ClientsTable};
use super::gather::{self, Audience};
use super::plan::{self, ClientPlan, Layout};
use super::{Error, Sync};

/// Most times that one client's plan is made, because something turned out different.
const ATTEMPTS: usize = 3;

/// Something to be put onto clients' pages.
#[derive(Default)]
pub struct Task<'a> {
    /// The call or message. Without one only what is empty is filled, and no page made.
    pub activity: Option<Activity<'a>>,
    /// The clients; none when there is nothing to write.
    pub phones: Vec<Phone>,
    /// Contacts that Quo named.
    pub contacts: ContactLookup,
    /// What has come of it.
    pub outcome: Outcome,
    /// Why it could not be finished.
    pub error: Option<Rc<Error>>,
    /// Number of tasks that shared a request which Notion refused: nobody knows which of them it means.
    pub refused_with: usize,
}

impl Task<'_> {
    /// Ends the task. What came first counts.
    pub fn fail(&mut self, error: &Rc<Error>) {
        self.error.get_or_insert_with(|| Rc::clone(error));
    }

    fn audience(&self) -> Audience<'_> {
        Audience { phones: &self.phones, contacts: &self.contacts }
    }

    fn concerns(&self, phone: &Phone) -> bool {
        self.error.is_none() && self.phones.contains(phone)
    }
}

/// Gathers, plans and applies for every client of the tasks.
pub fn write_all(sync: &Sync, tasks: &mut [Task]) {
    let mut phones: Vec<Phone> = Vec::new();
    for phone in tasks.iter().filter(|task| task.error.is_none()).flat_map(|task| &task.phones) {
        if !phones.contains(phone) {
            phones.push(phone.clone());
        }
    }
    if phones.is_empty() {
        return conclude(tasks);
    }
    if let Err(error) = write_clients(sync, &phones, tasks) {
        let error = Rc::new(error);
        tasks.iter_mut().filter(|task| !task.phones.is_empty()).for_each(|task| task.fail(&error));
    }
    conclude(tasks);
}

fn conclude(tasks: &mut [Task]) {
    for task in tasks.iter_mut() {
        let Task { phones, outcome, .. } = task;
        outcome.synced.sort_by_key(|synced| phones.iter().position(|phone| *phone == synced.phone));
    }
    for task in tasks.iter_mut().filter(|task| task.error.is_none() && task.outcome.skipped.is_none()) {
        if task.outcome.synced.iter().all(|synced| synced.action == Action::Skipped) {
            task.outcome.skipped = Some(if task.activity.is_some() { Reason::Duplicate } else { Reason::NothingNew });
        }
    }
}

fn write_clients(sync: &Sync, phones: &[Phone], tasks: &mut [Task]) -> Result<(), Error> {
    let held = sync.store.lock_clients(phones, sync.deadline)?;
    let _one_writer_per_client =
        held.ok_or_else(|| Error::Unsettled("another process is still writing to the client's page".into()))?;
    let mut notes = Outcome::default();
    let gathered = gather_all(sync, phones, tasks, &mut notes);
    for task in tasks.iter_mut().filter(|task| !task.phones.is_empty()) {
        task.outcome.warnings.extend(notes.warnings.iter().cloned());
        task.outcome.alarms.append(&mut notes.alarms);
    }
    let (table, gathered) = gathered?;
    let mut all = Vec::new();
    for (phone, found) in phones.iter().zip(gathered) {
        match found {
            Ok(facts) => all.push(facts),
            // Nothing is written for an event of which one client could not be looked for.
            Err(error) => fail(tasks, phone, error),
        }
    }
    for facts in &all {
        Turn::new(sync, (&table, &all), facts, tasks).write();
    }
    Ok(())
}

fn fail(tasks: &mut [Task], phone: &Phone, error: Error) {
    let error = Rc::new(error);
    tasks.iter_mut().filter(|task| task.concerns(phone)).for_each(|task| task.fail(&error));
}

/// Gathers; and once more with the columns read anew when Notion refuses what was asked, because the user may have
/// changed them.
fn gather_all(
    sync: &Sync,
    phones: &[Phone],
    tasks: &[Task],
    notes: &mut Outcome,
) -> Result<(ClientsTable, Vec<Result<Facts, Error>>), Error> {
    let audiences: Vec<Audience> = tasks.iter().filter(|task| task.error.is_none()).map(Task::audience).collect();
    let clients_table = table::gather(sync)?;
    let gathered = gather::clients(sync, &clients_table, (phones, &audiences), notes)?;
    let refusal = |found: &Result<Facts, Error>| match found {
        Err(Error::Notion(err)) if err.refusal(400).is_some() => Some(err.to_string()),
        Ok(_) | Err(_) => None,
    };
    let Some(why) = gathered.iter().find_map(refusal) else { return Ok((clients_table, gathered)) };
    log::warn!("{why}; reading the database's columns again");
    table::forget(sync)?;
    let clients_table = table::gather(sync)?;
    let gathered = gather::clients(sync, &clients_table, (phones, &audiences), notes)?;
    Ok((clients_table, gathered))
}

/// A task that concerns the client whose turn it is.
struct Share {
    /// Its place among the tasks.
    task: usize,
    /// True once something was written for it.
    wrote: bool,
}

/// One client's turn: what all tasks want on that page is written.
struct Turn<'a, 't> {
    sync: &'a Sync<'a>,
    table: &'a ClientsTable,
    /// Facts of all clients, for their names.
    all: &'a [Facts],
    facts: Facts,
    was_there: bool,
    tasks: &'a mut [Task<'t>],
    shares: Vec<Share>,
}

impl<'a, 't> Turn<'a, 't> {
    fn new(
        sync: &'a Sync<'a>,
        (table, all): (&'a ClientsTable, &'a [Facts]),
        facts: &Facts,
        tasks: &'a mut [Task<'t>],
    ) -> Self {
        let concerned = tasks.iter().enumerate().filter(|(_, task)| task.concerns(&facts.phone));
        let shares = concerned.map(|(task, _)| Share { task, wrote: false }).collect();
        let was_there = facts.page != PageFact::Absent;
        Self { sync, table, all, facts: facts.clone(), was_there, tasks, shares }
    }

    /// What fails is noted with the tasks.
    fn write(mut self) {
        let found = std::mem::take(&mut self.facts.warnings);
        self.warn(&found);
        let Err(error) = self.try_write() else { return };
        let is_refusal = |err: &notion::Error| [400, 413].iter().any(|status| err.refusal(*status).is_some());
        if matches!(&error, Error::Notion(err) if is_refusal(err)) {
            for share in &self.shares {
                self.tasks[share.task].refused_with = self.shares.len();
            }
        }
        fail(self.tasks, &self.facts.phone, error);
    }

    fn try_write(&mut self) -> Result<(), Error> {
        for attempt in 1.. {
            let (plan, drafts) = self.plan()?;
            let makes_no_page = self.shares.iter().all(|share| self.tasks[share.task].activity.is_none());
            if self.shares.is_empty() || makes_no_page && self.facts.page == PageFact::Absent {
                return Ok(());
            }
            self.count(&plan, &drafts);
            if attempt == 1 {
                self.warn(&plan.warnings);
            }
            if self.sync.dry_run {
                self.tell_plan(&plan);
                self.tell(&plan, None);
                return Ok(());
            }
            match apply::client(self.sync, self.table, (&self.facts.phone, &plan)) {
                Ok(applied) => {
                    self.warn(&applied.warnings);
                    self.tell(&plan, applied.page);
                    return Ok(());
                }
                Err(Stop::Again(why)) if attempt < ATTEMPTS && !self.sync.deadline.passed() => {
                    log::warn!("{}: {why}; looking again", self.facts.phone);
                    self.reread()?;
                    self.was_there &= self.facts.page != PageFact::Absent;
                }
                Err(Stop::Again(why) | Stop::Fatal(why)) => return Err(*why),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn reread(&mut self) -> Result<(), Error> {
        self.facts.page = gather::reread(self.sync, self.table, &self.facts.phone)?;
        Ok(())
    }

    /// Plans; and if properties would be filled from the store's copy of the page, reads the page and plans again.
    fn plan(&mut self) -> Result<(ClientPlan, Vec<Draft>), Error> {
        let layout = Layout { columns: &self.table.columns, names: &self.sync.settings.columns };
        let drafts = self.drafts();
        let planned = plan::client(&self.facts, &drafts, &layout);
        if !planned.needs_fresh_page {
            return Ok((planned, drafts));
        }
        self.reread()?;
        let drafts = self.drafts();
        Ok((plan::client(&self.facts, &drafts, &layout), drafts))
    }

    /// What each task wants on the page. One that cannot tell has failed, and no longer has a share.
    fn drafts(&mut self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let Self { sync, all, facts, tasks, shares, .. } = self;
        shares.retain(|share| {
            let task = &mut tasks[share.task];
            let Some(activity) = &task.activity else { return true };
            let members: Vec<&Facts> = all.iter().filter(|facts| task.phones.contains(&facts.phone)).collect();
            match activity.draft(sync, facts, &members) {
                Ok(draft) => drafts.push(draft),
                Err(error) => task.fail(&Rc::new(error)),
            }
            task.error.is_none()
        });
        drafts
    }

    /// Counts what the plan writes for each task. What is not for one of them alone counts for the first.
    fn count(&mut self, plan: &ClientPlan, drafts: &[Draft]) {
        let fills = plan.steps.iter().any(|step| matches!(step, Step::UpdatePage { .. }));
        for (rank, share) in self.shares.iter_mut().enumerate() {
            let adds = drafts.get(rank).is_some_and(|draft| !draft.adds_nothing());
            share.wrote |= adds || (fills && rank == 0);
        }
    }

    fn warn(&mut self, warnings: &[Warning]) {
        for share in &self.shares {
            self.tasks[share.task].outcome.warnings.extend_from_slice(warnings);
        }
    }

    fn tell_plan(&mut self, plan: &ClientPlan) {
        let planned = plan.steps.iter().map(|step| PlannedStep { phone: self.facts.phone.clone(), step: step.clone() });
        let planned: Vec<PlannedStep> = planned.collect();
        for share in &self.shares {
            self.tasks[share.task].outcome.plan.get_or_insert_default().extend_from_slice(&planned);
        }
    }

    fn tell(&mut self, plan: &ClientPlan, page: Option<PageId>) {
        let known = match &self.facts.page {
            PageFact::Absent => None,
            PageFact::Known { row, .. } => Some(row.id.clone()),
        };
        let page = page.or(known);
        for (rank, share) in self.shares.iter().enumerate() {
            let action = match (self.was_there, rank, share.wrote) {
                (false, 0, _) => Action::Created,
                (false, ..) | (true, _, true) => Action::Updated,
                (true, _, false) => Action::Skipped,
            };
            let phone = self.facts.phone.clone();
            let synced = Synced { phone, action, page: page.clone(), client_name: plan.title.clone() };
            self.tasks[share.task].outcome.synced.push(synced);
        }
    }
}
