//! One client after the other: gather, plan, apply; and again where something turned out different.

use crate::domain::event::ContactLookup;
use crate::domain::id::PageId;
use crate::domain::outcome::{Action, Outcome, PlannedStep, Synced};
use crate::domain::phone::Phone;

use super::activity::Activity;
use super::apply::{self, Stop};
use super::facts::{Draft, Facts, PageFact};
use super::gather::table::{self, ClientsTable};
use super::gather::{self, Gathered};
use super::plan::{self, ClientPlan, Layout};
use super::{Error, Sync};

/// Most times that one client's plan is made, because something turned out different.
const ATTEMPTS: usize = 3;

/// Gathers, plans and applies for every client. Without an activity only what is empty is filled, and no page made.
pub fn write_all(
    sync: &Sync,
    activity: Option<&Activity>,
    audience: (&[Phone], &ContactLookup),
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let held = sync.store.lock_clients(audience.0, sync.deadline)?;
    let _one_writer_per_client =
        held.ok_or_else(|| Error::Unsettled("another process is still writing to the client's page".into()))?;
    let (table, gathered) = gather_all(sync, audience, outcome)?;
    let job = Job { sync, activity, table: &table, all: &gathered.facts };
    for facts in &gathered.facts {
        let synced = job.write(facts.clone(), outcome)?;
        outcome.synced.extend(synced);
    }
    Ok(())
}

/// Gathers; and once more with the columns read anew when Notion refuses what was asked, because the user may have
/// changed them.
fn gather_all(
    sync: &Sync,
    audience: (&[Phone], &ContactLookup),
    outcome: &mut Outcome,
) -> Result<(ClientsTable, Gathered), Error> {
    let clients_table = table::gather(sync)?;
    match gather::clients(sync, &clients_table, audience, outcome) {
        Err(Error::Notion(err)) if err.refusal(400).is_some() => {
            log::warn!("{err}; reading the database's columns again");
            table::forget(sync)?;
            let clients_table = table::gather(sync)?;
            let gathered = gather::clients(sync, &clients_table, audience, outcome)?;
            Ok((clients_table, gathered))
        }
        gathered => Ok((clients_table, gathered?)),
    }
}

struct Job<'a> {
    sync: &'a Sync<'a>,
    activity: Option<&'a Activity<'a>>,
    table: &'a ClientsTable,
    all: &'a [Facts],
}

impl Job<'_> {
    fn write(&self, mut facts: Facts, outcome: &mut Outcome) -> Result<Option<Synced>, Error> {
        let mut progress = Progress { was_there: facts.page != PageFact::Absent, wrote: false };
        for attempt in 1.. {
            let plan = self.plan(&mut facts)?;
            if self.activity.is_none() && facts.page == PageFact::Absent {
                return Ok(None);
            }
            progress.wrote |= !plan.steps.is_empty();
            outcome.warnings.extend(plan.warnings.iter().filter(|_| attempt == 1).cloned());
            if let Some(planned) = &mut outcome.plan {
                planned.extend(
                    plan.steps.iter().map(|step| PlannedStep { phone: facts.phone.clone(), step: step.clone() }),
                );
                return Ok(Some(progress.synced(&facts, &plan, None)));
            }
            match apply::client(self.sync, self.table, (&facts.phone, &plan)) {
                Ok(applied) => {
                    outcome.warnings.extend(applied.warnings);
                    return Ok(Some(progress.synced(&facts, &plan, applied.page)));
                }
                Err(Stop::Again(why)) if attempt < ATTEMPTS && !self.sync.deadline.passed() => {
                    log::warn!("{}: {why}; looking again", facts.phone);
                    facts.page = gather::reread(self.sync, self.table, &facts.phone)?;
                    progress.was_there &= facts.page != PageFact::Absent;
                }
                Err(Stop::Again(why) | Stop::Fatal(why)) => return Err(*why),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Plans; and if properties would be filled from the store's copy of the page, reads the page and plans again.
    fn plan(&self, facts: &mut Facts) -> Result<ClientPlan, Error> {
        let layout = Layout { columns: &self.table.columns, names: &self.sync.settings.columns };
        let planned = plan::client(facts, &self.drafts(facts)?, &layout);
        if !planned.needs_fresh_page {
            return Ok(planned);
        }
        facts.page = gather::reread(self.sync, self.table, &facts.phone)?;
        Ok(plan::client(facts, &self.drafts(facts)?, &layout))
    }

    fn drafts(&self, facts: &Facts) -> Result<Vec<Draft>, Error> {
        let draft = self.activity.map(|activity| activity.draft(self.sync, facts, self.all));
        Ok(draft.transpose()?.into_iter().collect())
    }
}

/// What has happened to a client's page so far.
struct Progress {
    was_there: bool,
    wrote: bool,
}

impl Progress {
    fn synced(&self, facts: &Facts, plan: &ClientPlan, page: Option<PageId>) -> Synced {
        let known = match &facts.page {
            PageFact::Absent => None,
            PageFact::Known { row, .. } => Some(row.id.clone()),
        };
        let action = match (self.was_there, self.wrote) {
            (false, _) => Action::Created,
            (true, true) => Action::Updated,
            (true, false) => Action::Skipped,
        };
        Synced { phone: facts.phone.clone(), action, page: page.or(known), client_name: plan.title.clone() }
    }
}
