//! What must stand at the end of a history.

use std::collections::BTreeSet;

use super::events::{self, CASTS, TIMELESS};
use super::history::wanted;
use super::people::Hands;
use super::seen::{SeenPage, holds};

/// A history that is over.
pub struct Case<'a> {
    pub cast: usize,
    pub setting: usize,
    pub pages: &'a [SeenPage],
    pub hands: &'a Hands,
    pub store_lost: bool,
}

/// Columns that are filled with what Quo knows; and who has no time left to ask goes on without.
const OF_QUO: [&str; 3] = ["Name", "Company", "Email"];

/// Pages of a client, or of some who share one.
struct Group<'a> {
    living: Vec<&'a SeenPage>,
    trashed: Vec<&'a SeenPage>,
}

/// What is wrong with it.
pub fn judge(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let events = CASTS[case.cast].iter().map(|event| &events::all()[*event]);
    let activities: BTreeSet<&str> = events.clone().map(|event| event.activity).collect();
    let clients: BTreeSet<&str> = events
        .clone()
        .flat_map(|event| event.clients)
        .copied()
        .collect();
    for activity in &activities {
        let event = events.clone().find(|event| event.activity == *activity);
        let clients = event.expect("one of them").clients;
        for group in case.groups(clients) {
            wrong.extend(case.entry(activity, &group));
        }
    }
    for client in clients {
        wrong.extend(case.page(client));
    }
    for ((page, column), value) in &case.hands.edited {
        let seen = case.pages.iter().find(|it| it.id == *page);
        let stands = seen.and_then(|it| it.values.get(column));
        if stands != Some(value) {
            wrong.push(format!(
                "{column} of {page}: a person wrote {value:?}, it is {stands:?}"
            ));
        }
    }
    for (id, stood) in &case.hands.closed {
        let page = case.pages.iter().find(|page| page.id == *id);
        let stands = page.into_iter().flat_map(|page| page.entries.keys());
        let new: Vec<_> = stands.filter(|entry| !stood.contains(*entry)).collect();
        if !new.is_empty() {
            wrong.push(format!("{new:?} stand on {id}, which is nobody's any more"));
        }
    }
    wrong
}

impl Case<'_> {
    /// The living pages of each of these clients, now or before; those of two who share one
    /// together. And whether the client had one that is in the trash now.
    fn groups(&self, clients: &[&str]) -> Vec<Group<'_>> {
        let mut groups: Vec<Group> = Vec::new();
        for client in clients {
            let had = |page: &&SeenPage| {
                let given = self.hands.given.get(&page.id);
                page.holds(client) || given.is_some_and(|cell| holds(cell, client))
            };
            let (trashed, living): (Vec<&SeenPage>, Vec<&SeenPage>) = self
                .pages
                .iter()
                .filter(had)
                .partition(|page| page.is_trashed);
            let is_one = |group: &&mut Group| {
                let mut pages = group.living.iter();
                pages.any(|page| living.iter().any(|it| it.id == page.id))
            };
            match groups.iter_mut().find(is_one) {
                Some(group) => group.trashed.extend(trashed),
                None => groups.push(Group { living, trashed }),
            }
        }
        groups
    }

    fn entry(&self, activity: &str, group: &Group) -> Vec<String> {
        let mut wrong = Vec::new();
        let on = |page: &SeenPage| page.entries.get(activity).map_or(0, Vec::len);
        let deleted: Option<bool> = group.living.iter().chain(&group.trashed).find_map(|page| {
            let mut deleted = self.hands.deleted.iter();
            let found = deleted.find(|((of, entry), _)| *of == page.id && *entry == activity);
            found.map(|(_, known)| *known)
        });
        let all: usize = group.living.iter().map(|page| on(page)).sum();
        let names: Vec<&str> = group.living.iter().map(|page| page.phone()).collect();
        if group.living.iter().any(|page| on(page) > 1) {
            wrong.push(format!(
                "{activity} stands on a page more than once: {names:?}"
            ));
        }
        let given = group.living.iter();
        let given = given
            .filter(|page| self.hands.given.contains_key(&page.id))
            .count()
            > 0;
        let in_trash = group.trashed.iter().any(|page| on(page) > 0);
        let least = usize::from(deleted.is_none() && !in_trash);
        let most = match deleted {
            Some(true) if !self.store_lost && !given && group.trashed.is_empty() => 0,
            // On the old page as well as on the new one, once it was known there.
            None if given && (self.store_lost || self.hands.known_before.contains(activity)) => 2,
            Some(_) | None => 1,
        };
        if all < least || all > most {
            wrong.push(format!(
                "{activity} stands {all} times on the pages of {names:?}, and should {least} to \
                 {most} times"
            ));
        }
        if !given && deleted.is_none() && group.trashed.is_empty() {
            wrong.extend(self.text(activity, &group.living));
        }
        wrong
    }

    /// An entry reads as in an undisturbed history; but people's names are as people wrote them,
    /// and what has no time of its own has another one.
    fn text(&self, activity: &str, pages: &[&SeenPage]) -> Option<String> {
        if activity == TIMELESS || self.hands.renamed {
            return None;
        }
        let wanted = wanted(self.cast, self.setting);
        let wanted = wanted.iter().find_map(|page| page.entries.get(activity))?;
        let stands = pages.iter().find_map(|page| page.entries.get(activity))?;
        let (stands, wanted) = (nameless(stands), nameless(wanted));
        (stands != wanted).then(|| format!("{activity} reads {stands:#?}\nnot {wanted:#?}"))
    }

    /// A client has one page, with the values of an undisturbed history.
    fn page(&self, client: &str) -> Vec<String> {
        let living = self.pages.iter().filter(|page| !page.is_trashed);
        let living: Vec<&SeenPage> = living.filter(|page| page.holds(client)).collect();
        let is_gone = self
            .pages
            .iter()
            .any(|page| page.is_trashed && page.holds(client));
        let [page] = living.as_slice() else {
            if living.is_empty() && is_gone {
                return Vec::new();
            }
            return vec![format!("{client} has {} pages", living.len())];
        };
        let is_new_owner = self.hands.given.values().any(|cell| holds(cell, client));
        if is_new_owner || is_gone {
            return Vec::new();
        }
        let wanted = wanted(self.cast, self.setting);
        let wanted = wanted.iter().find(|it| it.holds(client)).expect("its page");
        let timeless = CASTS[self.cast].contains(&8) && client == events::STRANGER;
        let mut wrong = Vec::new();
        let columns: BTreeSet<&String> = page.values.keys().chain(wanted.values.keys()).collect();
        for column in columns {
            let by_hand = (page.id.clone(), column.clone());
            if self.hands.edited.contains_key(&by_hand) || (timeless && column == "Last Call") {
                continue;
            }
            let (stands, should) = (page.values.get(column), wanted.values.get(column));
            let is_bare = stands.is_none_or(|it| it.starts_with('+'));
            if stands != should && !(is_bare && OF_QUO.contains(&column.as_str())) {
                wrong.push(format!(
                    "{column} of {client} is {stands:?}, and should be {should:?}"
                ));
            }
        }
        wrong
    }
}

/// Without the names of clients and their numbers, which stand there where the page or Quo could
/// not be asked for a name.
fn nameless(texts: &[String]) -> Vec<String> {
    let known = [
        "Rosa Quint",
        "Rosa Q.",
        "Tomas",
        "Office",
        "+1 202-555-0147",
        "+1 312-555-0162",
        "+1 646-555-0183",
    ];
    let without = |text: &String| {
        let names = known.iter();
        names.fold(text.clone(), |text, name| text.replace(name, "somebody"))
    };
    let mut texts: Vec<String> = texts.iter().map(without).collect();
    texts.sort();
    texts
}
