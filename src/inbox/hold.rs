//! What has failed in this run by what the operator has to mend, and what would fail the same way:
//! it is held without a try, so that a revoked key is not hammered.

use std::time::{Duration, Instant};

use crate::domain::event::Subject;
use crate::domain::failure::{Cause, Failure};
use crate::domain::id::PageId;
use crate::domain::outcome::Outcome;
use crate::domain::work::Work;
use crate::services::Services;
use crate::sync;
use crate::time;

/// After that time one is tried again: a stream may go on for hours, and the operator has acted.
const REST: Duration = Duration::from_mins(1);

/// What has failed in this run by what the operator has to mend.
#[derive(Default)]
pub struct Obstacles(Vec<Obstacle>);

struct Obstacle {
    cause: Cause,
    failure: Failure,
    since: Instant,
}

impl Obstacles {
    /// Takes note of what was tried.
    pub fn note<'a>(&mut self, outcomes: impl Iterator<Item = &'a Outcome>) {
        for failure in outcomes.filter_map(Outcome::failure) {
            let Some(cause) = failure.cause() else {
                continue;
            };
            self.0.retain(|it| it.cause != cause);
            self.0.push(Obstacle {
                cause,
                failure: failure.clone(),
                since: time::now(),
            });
        }
    }

    /// Why this would fail, if it would.
    pub fn of(&self, services: &Services, work: &Work) -> Option<Failure> {
        let mut all = self.0.iter();
        let found = all.find(|it| time::since(it.since) < REST && it.stops(services, work))?;
        Some(found.failure.clone())
    }
}

impl Obstacle {
    fn stops(&self, services: &Services, work: &Work) -> bool {
        match &self.cause {
            // The others are written without Quo.
            cause @ Cause::Setting(_) if [Cause::QUO_KEY, Cause::QUO_BASE].contains(cause) => {
                matches!(work, Work::FollowUp(_))
            }
            Cause::Setting(_) | Cause::Settings => true,
            Cause::BlockLimit => brings_blocks(work),
            Cause::Page(page) => concerns(services, work, page),
            // Each tells for itself how its own rows fare.
            Cause::Store => false,
        }
    }
}

fn brings_blocks(work: &Work) -> bool {
    match work.subject() {
        None | Some(Subject::Call(_) | Subject::Message(_)) => true,
        Some(Subject::Contact(_) | Subject::Unsupported | Subject::Incomplete { .. }) => false,
    }
}

/// True if that page is, as far as the store knows, one to be written to.
fn concerns(services: &Services, work: &Work, page: &PageId) -> bool {
    let (Ok(store), Ok(database)) = (services.store(), services.settings.clients_database()) else {
        return false;
    };
    sync::pages(store, database, work).is_ok_and(|pages| pages.contains(page))
}
