//! One client after the other: gather, plan, apply; and again where something turned out different.
//!
//! Everything that is to be put onto one client's page goes there together, whatever the number of
//! events.

use std::collections::BTreeSet;

use crate::domain::failure::{Cause, Failure};
use crate::domain::id::PageId;
use crate::domain::outcome::{Action, Notes, PlannedStep, Synced, Warning, WarningCode};
use crate::domain::phone::Phone;
use crate::domain::step::Step;
use crate::notion;
use crate::store::{Guard, Lock};
use crate::time::side_by_side;

use super::apply::{self, Stop};
use super::duplicate;
use super::facts::{Draft, Facts, PageFact};
use super::gather::page::PageSearch;
use super::gather::reply;
use super::gather::table::{self, ClientsTable};
use super::gather::{self, Audience};
use super::plan::{self, ClientPlan, Layout};
use super::task::{Share, Task};
use super::wide::{self, Pacing};
use super::{Error, Run};
use crate::domain::choice::NewPages;

/// Most clients whose pages are written at once.
const AT_ONCE: usize = 4;
/// Most times that one client's plan is made all in all; each goes on where the last one ended.
const ROUNDS: usize = 10;
/// Most times that it is made because something turned out different.
const ATTEMPTS: usize = 3;

/// Gathers, plans and applies for every client of the tasks.
pub fn write_all(run: &Run, tasks: &mut [Task]) {
    let mut phones: Vec<Phone> = Vec::new();
    for phone in tasks
        .iter()
        .filter(|task| task.failure.is_none())
        .flat_map(|task| &task.phones)
    {
        if !phones.contains(phone) {
            phones.push(phone.clone());
        }
    }
    let part = wide::part(run, tasks);
    let pace = Pacing::begin(run);
    for some in phones.chunks(part) {
        let written = pace.wait(run).and_then(|()| {
            let is_all = some.len() == phones.len();
            write_clients(run, some, tasks, is_all)
        });
        if let Err(error) = written {
            let failure = Failure::from(error);
            for phone in some {
                fail(tasks, phone, &failure);
            }
        }
    }
    tasks.iter_mut().for_each(Task::conclude);
}

/// Writes the pages of some clients, who may be all that there are.
fn write_clients(
    run: &Run,
    phones: &[Phone],
    tasks: &mut [Task],
    are_all: bool,
) -> Result<(), Error> {
    let clients = phones.iter().cloned().map(Lock::Client);
    let _one_writer_per_client = lock(run, clients)?;
    if are_all && !run.settings.dry_run {
        duplicate::skip(run, tasks)?;
    }
    let phones: Vec<Phone> = phones
        .iter()
        .filter(|phone| tasks.iter().any(|task| task.concerns(phone)))
        .cloned()
        .collect();
    if phones.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for phone in &phones {
        let page = run.store.page(run.clients_database, phone)?;
        known.extend(page.map(|page| page.id));
    }
    let mut one_writer_per_page = lock(run, known.iter().cloned().map(Lock::Page))?;
    let mut notes = Notes::default();
    let gathered = gather_all(run, &phones, tasks, &mut notes);
    for task in tasks.iter_mut().filter(|task| !task.phones.is_empty()) {
        task.warn(&notes.warnings);
        task.notes.alarms.append(&mut notes.alarms);
    }
    let (table, gathered) = gathered?;
    warn_of_missing(&table, tasks);
    let mut all = Vec::new();
    for (phone, found) in phones.iter().zip(gathered) {
        match found {
            Ok(facts) => all.push(facts),
            // The others of a group do not wait for one who could not be looked for.
            Err(error) => fail(tasks, phone, &error.into()),
        }
    }
    let found: BTreeSet<PageId> = all.iter().filter_map(|it| it.page.id().cloned()).collect();
    if !found.is_subset(&known) {
        // All together anew, or two who wait for each other's would wait for ever.
        one_writer_per_page.clear();
        one_writer_per_page = lock(run, found.into_iter().map(Lock::Page))?;
    }
    // Some pages at once, for none needs another's answer; what is of one page goes one by one.
    let mut turns: Vec<Vec<Turn>> = Vec::new();
    for facts in &all {
        let turn = Turn::new(run, &table, &all, facts, tasks)?;
        let is_theirs = |turns: &&mut Vec<Turn>| turns[0].is_of_page(&facts.page);
        match turns.iter_mut().find(is_theirs) {
            Some(turns) => turns.push(turn),
            None => turns.push(vec![turn]),
        }
    }
    let write = |turns: Vec<Turn>| -> Vec<Share> {
        let shares = turns.into_iter().map(Turn::write);
        shares.flatten().collect()
    };
    for share in side_by_side(turns, AT_ONCE, write).into_iter().flatten() {
        tasks[share.task].take(share);
    }
    for facts in &all {
        for twin in twins(&all, facts) {
            for task in &mut *tasks {
                task.share_page(&twin.phone, &facts.phone, facts.page.id());
            }
        }
    }
    drop(one_writer_per_page);
    Ok(())
}

fn warn_of_missing(table: &ClientsTable, tasks: &mut [Task]) {
    let missing = table.missing.iter().map(|name| {
        let message = "no such phone column is in the database; it is not searched";
        Warning::property(WarningCode::PropertyMissing, name, message)
    });
    let missing: Vec<Warning> = missing.collect();
    for task in tasks.iter_mut().filter(|task| !task.phones.is_empty()) {
        task.warn(&missing);
    }
}

fn lock(run: &Run, locks: impl Iterator<Item = Lock>) -> Result<Vec<Guard>, Error> {
    let held = run.store.lock_all(locks, run.deadline)?;
    held.ok_or_else(|| {
        Error::Unsettled("another process is still writing to the client's page".into())
    })
}

/// Those of the clients before this one who have the same page: what is for both of them was for
/// the first.
fn twins<'a>(all: &'a [Facts], facts: &'a Facts) -> impl Iterator<Item = &'a Facts> {
    let before = all.iter().take_while(|other| other.phone != facts.phone);
    let page = facts.page.id();
    before.filter(move |other| page.is_some() && other.page.id() == page)
}

/// Ends what is to be done for a client.
fn fail(tasks: &mut [Task], phone: &Phone, failure: &Failure) {
    let concerned = tasks.iter_mut().filter(|task| task.concerns(phone));
    concerned.for_each(|task| task.fail_for(phone, failure));
}

/// Gathers; and once more with the columns read anew when Notion refuses what was asked, because
/// the user may have changed them.
fn gather_all(
    run: &Run,
    phones: &[Phone],
    tasks: &[Task],
    notes: &mut Notes,
) -> Result<(ClientsTable, Vec<Result<Facts, Error>>), Error> {
    let audiences: Vec<Audience> = tasks
        .iter()
        .filter(|task| task.failure.is_none() && task.skipped.is_none())
        .map(Task::audience)
        .collect();
    let clients_table = table::gather(run)?;
    let gathered = gather::clients(run, &clients_table, phones, &audiences, notes)?;
    let refusal = |found: &Result<Facts, Error>| match found {
        Err(Error::Notion(err)) if err.refusal(400).is_some() => Some(err.to_string()),
        Ok(_) | Err(_) => None,
    };
    let Some(why) = gathered.iter().find_map(refusal) else {
        return Ok((clients_table, gathered));
    };
    log::warn!("{why}; reading the database's columns again");
    table::forget(run)?;
    let clients_table = table::gather(run)?;
    let gathered = gather::clients(run, &clients_table, phones, &audiences, notes)?;
    Ok((clients_table, gathered))
}

/// One client's turn: what all tasks want on that page is written.
struct Turn<'a> {
    run: &'a Run<'a>,
    table: &'a ClientsTable,
    /// Facts of all clients, for their names.
    all: &'a [Facts],
    facts: Facts,
    /// True if the page is another client's too, who may have written to it since it was found.
    is_shared: bool,
    was_there: bool,
    tasks: &'a [Task<'a>],
    shares: Vec<Share>,
}

impl<'a> Turn<'a> {
    fn new(
        run: &'a Run<'a>,
        table: &'a ClientsTable,
        all: &'a [Facts],
        facts: &Facts,
        tasks: &'a [Task<'a>],
    ) -> Result<Self, Error> {
        let is_done = |task: &Task| twins(all, facts).any(|twin| task.concerns(&twin.phone));
        let concerned = tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.concerns(&facts.phone) && !is_done(task));
        let is_shared = match facts.page.id() {
            Some(page) => run.store.clients_of(run.clients_database, page)? > 1,
            None => false,
        };
        let shares = concerned
            .map(|(task, _)| Share::new(task, facts.phone.clone()))
            .collect();
        let was_there = facts.page != PageFact::Absent;
        Ok(Self {
            run,
            table,
            all,
            facts: facts.clone(),
            is_shared,
            was_there,
            tasks,
            shares,
        })
    }

    fn is_of_page(&self, page: &PageFact) -> bool {
        page.id().is_some() && self.facts.page.id() == page.id()
    }

    /// What fails is noted with the shares.
    fn write(mut self) -> Vec<Share> {
        let found = std::mem::take(&mut self.facts.warnings);
        self.warn(&found);
        if let Err(error) = self.try_write() {
            let is_refusal = |err: &notion::Error| {
                [400, 413]
                    .iter()
                    .any(|status| err.refusal(*status).is_some())
            };
            let refused = matches!(&error, Error::Notion(err) if is_refusal(err));
            let mut failure = Failure::from(error);
            // What could not be written may have been a block of the page.
            if let (Some(Cause::Page(it)), Some(page)) = (&mut failure.cause, self.facts.page.id())
            {
                *it = page.clone();
            }
            let all = self.open().count();
            for share in self.open() {
                share.refused_with = if refused { all } else { 0 };
                share.failure = Some(failure.clone());
            }
        }
        self.shares
    }

    /// Shares of tasks that have not failed.
    fn open(&mut self) -> impl Iterator<Item = &mut Share> {
        self.shares
            .iter_mut()
            .filter(|share| share.failure.is_none())
    }

    /// True if the client has no page, and by the user's choice gets none.
    fn gets_no_page(&self) -> Result<bool, Error> {
        let is_known = self.facts.profile.is_some();
        match self.run.settings.choice.new_pages {
            _ if self.facts.page != PageFact::Absent => Ok(false),
            NewPages::Always => Ok(false),
            NewPages::Never => Ok(true),
            NewPages::Known if is_known => Ok(false),
            NewPages::Known if self.facts.all_contacts_seen => Ok(true),
            // Who could not be looked for is not unknown.
            NewPages::Known if self.run.quo.is_none() => Err(Error::KeyNeeded(
                "new_pages = \"known\" asks quo for its contacts, and no OPENPHONE_API_KEY is set"
                    .into(),
            )),
            NewPages::Known => Err(Error::Unknown(format!(
                "it is not known yet whether quo has a contact of {}",
                self.facts.phone
            ))),
        }
    }

    fn try_write(&mut self) -> Result<(), Error> {
        if self.is_shared && self.open().next().is_some() {
            self.look_again(false)?;
        }
        if self.gets_no_page()? {
            self.open().for_each(|share| share.not_wanted = true);
            return Ok(());
        }
        let mut attempt = 1;
        for round in 1..=ROUNDS {
            let (plan, drafts) = self.plan()?;
            let tasks = self.tasks;
            let makes_no_page = self
                .open()
                .all(|share| tasks[share.task].activity.is_none());
            if self.open().next().is_none() || makes_no_page && self.facts.page == PageFact::Absent
            {
                return Ok(());
            }
            let before: Vec<bool> = self.shares.iter().map(|share| share.wrote).collect();
            self.count(&plan, &drafts);
            if round == 1 {
                self.warn(&plan.warnings);
            }
            if self.run.settings.dry_run {
                self.tell_plan(&plan);
                self.tell(&plan, None);
                return Ok(());
            }
            match apply::client(self.run, self.table, &self.facts, &plan) {
                Ok(applied) => {
                    if let (Some(page), Some(decision)) = (&applied.page, &plan.decision) {
                        reply::remember(self.run, page, decision)?;
                    }
                    self.warn(&applied.warnings);
                    self.tell(&plan, applied.page);
                    return Ok(());
                }
                Err(Stop::Again(why)) if attempt < ATTEMPTS && !self.run.deadline.passed() => {
                    log::warn!("{}: {why}; looking again", self.facts.phone);
                    attempt += 1;
                    if !why.is_unknown_outcome() {
                        let shares = self.shares.iter_mut().zip(before);
                        shares.for_each(|(share, wrote)| share.wrote = wrote);
                    }
                    self.reread()?;
                }
                Err(Stop::Onward(what)) => {
                    log::debug!("{}: {what}; going on there", self.facts.phone);
                    self.look_again(false)?;
                }
                Err(Stop::Again(why) | Stop::Fatal(why)) if attempt > 1 => {
                    return Err(self.archived(*why));
                }
                Err(Stop::Again(why) | Stop::Fatal(why)) => return Err(*why),
            }
        }
        let what = format!("the page of {} does not come to rest", self.facts.phone);
        Err(Error::Unsettled(what))
    }

    /// What was refused again although the page was read and is not in the trash, is archived.
    fn archived(&self, why: Error) -> Error {
        let is_archived = matches!(&why, Error::Notion(err) if apply::says_trashed(err));
        match self.facts.page.id().filter(|_| is_archived) {
            Some(page) => Error::Archived(page.clone(), why.to_string()),
            None => why,
        }
    }

    /// Gathers again, with the values as they are now.
    fn reread(&mut self) -> Result<(), Error> {
        self.look_again(true)
    }

    /// Gathers again; with the values as they are now, or as the store has them.
    fn look_again(&mut self, anew: bool) -> Result<(), Error> {
        let phone = self.facts.phone.clone();
        let open = self.shares.iter().filter(|share| share.failure.is_none());
        let search = PageSearch {
            run: self.run,
            table: self.table,
            phone: &phone,
            activities: open
                .filter_map(|share| self.tasks[share.task].activity.as_ref())
                .collect(),
        };
        let found = if anew {
            search.gather_anew()?
        } else {
            search.gather()?
        };
        (self.facts.page, self.facts.entries) = (found.page, found.entries);
        self.was_there &= self.facts.page != PageFact::Absent;
        Ok(())
    }

    /// Plans; and if properties would be filled from the store's copy of the page, reads the page
    /// and plans again.
    fn plan(&mut self) -> Result<(ClientPlan, Vec<Draft>), Error> {
        let (planned, drafts) = self.plan_once()?;
        if !planned.needs_fresh_page {
            return Ok((planned, drafts));
        }
        self.reread()?;
        self.plan_once()
    }

    fn plan_once(&mut self) -> Result<(ClientPlan, Vec<Draft>), Error> {
        let layout = Layout {
            columns: &self.table.columns,
            names: &self.run.settings.columns,
        };
        let drafts = self.drafts();
        self.facts.decision = reply::recall(self.run, self.table, self.facts.page.id())?;
        Ok((plan::client(&self.facts, &drafts, &layout), drafts))
    }

    /// What each task wants on the page, of those that can tell; the others have failed.
    fn drafts(&mut self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for share in self
            .shares
            .iter_mut()
            .filter(|share| share.failure.is_none())
        {
            let task = &self.tasks[share.task];
            let Some(activity) = &task.activity else {
                continue;
            };
            let members: Vec<&Facts> = self
                .all
                .iter()
                .filter(|facts| task.phones.contains(&facts.phone))
                .collect();
            match activity.draft(self.run, &self.facts, &members) {
                Ok(draft) => drafts.push(draft),
                Err(error) => share.failure = Some(error.into()),
            }
        }
        drafts
    }

    /// Counts what the plan writes for each task. What is not for one of them alone counts for the
    /// first.
    fn count(&mut self, plan: &ClientPlan, drafts: &[Draft]) {
        let fills = plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::UpdatePage { .. }));
        for (rank, share) in self.open().enumerate() {
            let adds = drafts.get(rank).is_some_and(|draft| !draft.adds_nothing());
            share.wrote |= adds || (fills && rank == 0);
        }
    }

    fn warn(&mut self, warnings: &[Warning]) {
        self.open()
            .for_each(|share| share.warnings.extend_from_slice(warnings));
    }

    fn tell_plan(&mut self, plan: &ClientPlan) {
        let phone = self.facts.phone.clone();
        let planned = |step: &Step| PlannedStep {
            phone: phone.clone(),
            step: step.clone(),
        };
        self.open()
            .for_each(|share| share.planned.extend(plan.steps.iter().map(planned)));
    }

    fn tell(&mut self, plan: &ClientPlan, page: Option<PageId>) {
        let known = self.facts.page.id().cloned();
        let (phone, page, was_there) = (self.facts.phone.clone(), page.or(known), self.was_there);
        for (rank, share) in self.open().enumerate() {
            let action = match (was_there, rank, share.wrote) {
                (false, 0, _) => Action::Created,
                (false, ..) | (true, _, true) => Action::Updated,
                (true, _, false) => Action::Skipped,
            };
            let (phone, page, client_name) = (phone.clone(), page.clone(), plan.title.clone());
            share.synced = Some(Synced {
                phone,
                action,
                page,
                client_name,
            });
        }
    }
}
