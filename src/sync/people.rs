//! Who is a client: the outside participants of an activity, told apart from the workspace's own
//! numbers.
//!
//! Pure. A wrong guess would make a page for one of our own numbers, so where it cannot be known it
//! is not guessed.

use std::collections::BTreeMap;

use crate::domain::id::UserId;
use crate::domain::outcome::Warning;
use crate::domain::parties::{Direction, Parties, Party};
use crate::domain::phone::Phone;

/// The workspace: its numbers and people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Own numbers with their names; `None` when Quo could never be asked.
    pub own: Option<BTreeMap<Phone, String>>,
    /// People by id.
    pub users: BTreeMap<UserId, String>,
}

impl Workspace {
    fn owns(&self, party: &Party) -> bool {
        let own = self.own.as_ref().zip(party.phone());
        own.is_some_and(|(own, phone)| own.contains_key(phone))
    }
}

/// The outside of an activity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// Clients, each once, in the order in which they are named; whether there can be such numbers
    /// is not looked at.
    pub clients: Vec<Phone>,
    /// All outside members of a group, usable as clients or not; empty when there is only one.
    pub members: Vec<Party>,
    /// Participants that are not clients, and why.
    pub warnings: Vec<Warning>,
}

/// Own numbers would have to be known to tell who is a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnNumbersNeeded;

/// Tells the outside of an activity.
pub fn outside(
    direction: Direction,
    parties: &Parties,
    workspace: &Workspace,
) -> Result<Outside, OwnNumbersNeeded> {
    let members = match (parties, direction) {
        (Parties::Sides { from, to }, Direction::Incoming) => {
            let others = receivers(to, workspace)?;
            from.iter()
                .chain(others)
                .filter(|party| !workspace.owns(party))
                .cloned()
                .collect()
        }
        (Parties::Sides { to, .. }, Direction::Outgoing) => not_own(to, workspace),
        (Parties::Mixed(all), _) => mixed(direction, all, workspace)?,
        (Parties::Resolved { outside, .. }, _) => not_own(outside, workspace),
        (Parties::Unknown, _) => Vec::new(),
    };
    Ok(sort_out(&members))
}

/// Receivers of an incoming message that may be outside: of a single one we know that it is ours.
fn receivers<'a>(to: &'a [Party], workspace: &Workspace) -> Result<&'a [Party], OwnNumbersNeeded> {
    match to {
        [] | [_] => Ok(&[]),
        _ if workspace.own.is_none() => Err(OwnNumbersNeeded),
        _ => Ok(to),
    }
}

/// Calls of v4: `[outside, own]` when incoming, `[own, outside]` when outgoing, and sometimes only
/// the outside.
fn mixed(
    direction: Direction,
    all: &[Party],
    workspace: &Workspace,
) -> Result<Vec<Party>, OwnNumbersNeeded> {
    let known = not_own(all, workspace);
    match (all, direction) {
        _ if known.len() < all.len() => Ok(known),
        ([first, _], Direction::Incoming) => Ok(vec![first.clone()]),
        ([_, second], Direction::Outgoing) => Ok(vec![second.clone()]),
        ([] | [_], _) => Ok(known),
        _ if workspace.own.is_none() => Err(OwnNumbersNeeded),
        _ => Ok(known),
    }
}

fn not_own(parties: &[Party], workspace: &Workspace) -> Vec<Party> {
    parties
        .iter()
        .filter(|party| !workspace.owns(party))
        .cloned()
        .collect()
}

fn sort_out(parties: &[Party]) -> Outside {
    let mut outside = Outside::default();
    for party in parties {
        if outside.members.contains(party) {
            continue;
        }
        outside.members.push(party.clone());
        match party {
            Party::Phone(phone) => outside.clients.push(phone.clone()),
            Party::Other(text) => outside
                .warnings
                .push(not_a_client(text, "not a phone number with country code")),
        }
    }
    if outside.members.len() < 2 {
        outside.members.clear();
    }
    outside
}

/// Why a number of the outside is no client although it has a country code.
pub fn impossible(phone: &Phone) -> Warning {
    not_a_client(phone.as_str(), "no number has that length")
}

fn not_a_client(text: &str, why: &str) -> Warning {
    let shown: String = text.chars().take(60).collect();
    Warning::new("not_a_client", format!("{shown:?} is no client: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROSA: &str = "+12025550147";
    const TOMAS: &str = "+13125550162";
    const OWN: &str = "+14155550110";

    fn parties(texts: &[&str]) -> Vec<Party> {
        texts.iter().map(|text| Party::parse(text)).collect()
    }

    fn workspace() -> Workspace {
        let own = [(Phone::parse(OWN).expect("phone"), "Main line".to_owned())].into();
        Workspace {
            own: Some(own),
            users: BTreeMap::new(),
        }
    }

    fn check(direction: Direction, parties: &Parties, want: &[&str]) {
        let found = outside(direction, parties, &workspace()).expect("known");
        assert_eq!(
            found.clients.iter().map(Phone::as_str).collect::<Vec<_>>(),
            want,
            "{parties:?}"
        );
    }

    fn sides(from: &[&str], to: &[&str]) -> Parties {
        Parties::Sides {
            from: parties(from),
            to: parties(to),
        }
    }

    #[test]
    fn sender_receivers_and_group_members_are_clients_and_own_numbers_never() {
        use Direction::{Incoming, Outgoing};
        check(Incoming, &sides(&[ROSA], &[OWN]), &[ROSA]);
        check(Incoming, &sides(&[ROSA], &["+14155550999"]), &[ROSA]);
        check(
            Outgoing,
            &sides(&[OWN], &[ROSA, TOMAS, ROSA]),
            &[ROSA, TOMAS],
        );
        check(Incoming, &sides(&[ROSA], &[OWN, TOMAS]), &[ROSA, TOMAS]);
        check(Incoming, &Parties::Mixed(parties(&[ROSA, OWN])), &[ROSA]);
        check(Incoming, &Parties::Mixed(parties(&[ROSA])), &[ROSA]);
        check(
            Outgoing,
            &Parties::Mixed(parties(&["+14155550999", ROSA])),
            &[ROSA],
        );
        check(
            Incoming,
            &Parties::Resolved {
                own: vec![],
                outside: parties(&[ROSA, OWN]),
            },
            &[ROSA],
        );
        check(Incoming, &Parties::Unknown, &[]);
    }

    #[test]
    fn ids_and_short_codes_are_named_not_used() {
        let found = outside(
            Direction::Incoming,
            &sides(&["Anonymous"], &[OWN]),
            &workspace(),
        )
        .expect("known");
        assert_eq!((found.clients.len(), found.warnings.len()), (0, 1));
        let odd = ["72345", "USmarta001", "+1202555", ROSA];
        let found =
            outside(Direction::Outgoing, &sides(&[OWN], &odd), &workspace()).expect("known");
        assert_eq!(
            (
                found.clients.len(),
                found.warnings.len(),
                found.members.len()
            ),
            (2, 2, 4)
        );
    }

    #[test]
    fn group_is_not_guessed_at_without_own_numbers() {
        let nobody = Workspace::default();
        let ask = |parties| {
            outside(Direction::Incoming, &parties, &nobody).map(|found| found.clients.len())
        };
        assert_eq!(ask(sides(&[ROSA], &[OWN, TOMAS])), Err(OwnNumbersNeeded));
        assert_eq!(ask(sides(&[ROSA], &[OWN])), Ok(1));
        assert_eq!(ask(Parties::Mixed(parties(&[ROSA, OWN]))), Ok(1));
        assert_eq!(
            ask(Parties::Mixed(parties(&[ROSA, OWN, TOMAS]))),
            Err(OwnNumbersNeeded)
        );
    }
}
