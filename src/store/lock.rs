//! Locks between processes, whichever database there is: taken in an order that cannot end in a
//! deadlock, and given back when they are dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::id::EventId;
use crate::time::simulation::point;
use crate::time::{self, Deadline};

use super::{Db, Lock, Result, Store, held, postgres, sqlite};

/// Nobody waits so short a time for another look.
const SHORTEST_POLL: Duration = Duration::from_millis(2);
/// How soon a lock that is held is tried again.
const POLL: Duration = Duration::from_millis(5);
/// Up to this it doubles where a server is asked.
const LONGEST_POLL: Duration = Duration::from_millis(200);

/// Locks that are held, until this is dropped. With the process they end too: files at once, rows
/// half a minute later.
pub struct Guard(Held);

enum Held {
    /// By their places.
    Files(BTreeMap<String, Arc<sqlite::LockFile>>),
    Rows(postgres::LeaseRows),
}

impl Guard {
    /// Gives back those that are not among these.
    fn keep_only(&mut self, places: &[String]) -> Result<()> {
        match &mut self.0 {
            Held::Files(files) => {
                files.retain(|place, _| places.contains(place));
                Ok(())
            }
            Held::Rows(rows) => rows.keep_only(places),
        }
    }
}

impl Store {
    /// Takes several locks of one kind, each once and in an order that cannot end in a deadlock;
    /// waits until `deadline` for their holders. `None` when one of them is still held then.
    pub fn lock_all(
        &self,
        locks: impl Iterator<Item = Lock>,
        deadline: Deadline,
    ) -> Result<Option<Vec<Guard>>> {
        let places: BTreeSet<String> = locks.map(|lock| self.place_of(&lock)).collect();
        let places: Vec<String> = places.into_iter().collect();
        let (mut guards, mut have, mut wait) = (Vec::new(), 0, POLL);
        let longest = match &self.db {
            Db::Sqlite(_) => POLL,
            Db::Postgres(_) => LONGEST_POLL,
        };
        while have < places.len() {
            let (mut guard, taken) = self.try_lock(&places[have..], false)?;
            let first = taken.iter().take_while(|taken| **taken).count();
            if first > 0 {
                guard.keep_only(&places[have..have + first])?;
                guards.push(guard);
                have += first;
                continue;
            }
            drop(guard);
            let left = deadline.left().unwrap_or(Duration::MAX);
            if left < SHORTEST_POLL || !time::pause(wait.min(left / 2), deadline) {
                return Ok(None);
            }
            wait = (wait * 2).min(longest);
        }
        Ok(Some(guards))
    }

    /// Takes the locks of those of several events that nobody works on. Waits for none, so their
    /// order is no matter. Returns the locks, and for each event whether its lock is among them.
    pub fn lock_free_events(&self, events: &[EventId]) -> Result<(Vec<Guard>, Vec<bool>)> {
        let place_of = |event: &EventId| self.place_of(&Lock::Event(event.clone()));
        let places: Vec<String> = events.iter().map(place_of).collect();
        let each: BTreeSet<String> = places.iter().cloned().collect();
        let each: Vec<String> = each.into_iter().collect();
        let (guard, taken) = self.try_lock(&each, true)?;
        let taken: BTreeMap<&String, bool> = each.iter().zip(taken).collect();
        Ok((vec![guard], places.iter().map(|it| taken[it]).collect()))
    }

    /// What a lock stands on. Two locks can share it; who has the one has the other then, and must
    /// not ask for it.
    fn place_of(&self, lock: &Lock) -> String {
        match &self.db {
            Db::Sqlite(_) => sqlite::place_of(lock),
            Db::Postgres(_) => lock.name(),
        }
    }

    /// Takes those locks that nobody has; without `any` only those before the first that somebody
    /// has.
    fn try_lock(&self, places: &[String], any: bool) -> Result<(Guard, Vec<bool>)> {
        point("lock");
        match &self.db {
            Db::Sqlite(db) => {
                let mut files = BTreeMap::new();
                for place in places {
                    match held(db).try_lock(place)? {
                        Some(file) => drop(files.insert(place.clone(), Arc::new(file))),
                        None if any => {}
                        None => break,
                    }
                }
                let taken = places.iter().map(|it| files.contains_key(it)).collect();
                held(&self.files).extend(files.iter().map(|(k, v)| (k.clone(), Arc::downgrade(v))));
                Ok((Guard(Held::Files(files)), taken))
            }
            Db::Postgres(db) => {
                let (rows, taken) = db.try_lease(places, any)?;
                Ok((Guard(Held::Rows(rows)), taken))
            }
        }
    }

    /// The files of those of these locks that are held.
    pub(super) fn held_files(&self, locks: &[Lock]) -> Vec<Arc<sqlite::LockFile>> {
        let files = held(&self.files);
        let file = |lock: &Lock| files.get(&sqlite::place_of(lock))?.upgrade();
        locks.iter().filter_map(file).collect()
    }

    /// Takes a lock, waiting until `deadline` for its holder. `None` when it is still held then.
    pub fn lock(&self, lock: &Lock, deadline: Deadline) -> Result<Option<Guard>> {
        let taken = self.lock_all([lock.clone()].into_iter(), deadline)?;
        Ok(taken.and_then(|mut guards| guards.pop()))
    }
}
