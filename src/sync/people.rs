//! Who is a client: the outside participants of an activity, told apart from the workspace's own
//! numbers; and who of them is wanted.
//!
//! Pure. A wrong guess would make a page for one of our own numbers, so where it cannot be known it
//! is not guessed.

use std::collections::{BTreeMap, HashSet};

use crate::domain::context::Context;
use crate::domain::id::{NumberId, UserId};
use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::parties::{Began, Direction, Parties, Party};
use crate::domain::phone::Phone;
use crate::text;

/// Most outside members of a group that are believed; a group of Quo's has at most ten.
pub const MOST_MEMBERS: usize = 100;

/// The workspace: its numbers and people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Own numbers with their names, those that were given up among them; `None` when Quo could
    /// never be asked.
    pub own: Option<BTreeMap<Phone, String>>,
    /// Own numbers by id, as far as they are listed now.
    pub lines: BTreeMap<NumberId, Phone>,
    /// People by id.
    pub users: BTreeMap<UserId, String>,
}

impl Workspace {
    fn owns(&self, party: &Party) -> bool {
        let own = self.own.as_ref().zip(party.phone());
        own.is_some_and(|(own, phone)| own.contains_key(phone))
    }

    /// True if the activity took place on a line that is not listed: it may have been bought today.
    pub fn misses_line_of(&self, context: &Context) -> bool {
        context
            .number_id
            .as_ref()
            .is_some_and(|id| !self.lines.contains_key(id))
    }
}

/// Who took part in an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// Who began it.
    pub direction: Option<Direction>,
    /// Clients, each once, in the order in which they are named.
    pub clients: Vec<Phone>,
    /// All outside members of a group, usable as clients or not; empty when there is only one.
    pub members: Vec<Party>,
    /// Participants that are not clients, and why.
    pub warnings: Vec<Warning>,
}

/// Why it cannot be told who took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// Nobody is named: Quo has to be asked.
    Parties,
    /// Nothing says who began it, and no own number is among those who are named.
    Direction,
    /// Own numbers would have to be known to tell who is a client.
    OwnNumbers,
}

/// Tells who took part.
pub fn cast(context: &Context, workspace: &Workspace) -> Result<Cast, Untold> {
    let near = country(context, workspace);
    let read = |parties: &[Party]| without_repeats(parties, near.as_ref());
    let Parties { from, to, all, own } = &context.parties;
    let named = NamedNumbers {
        everybody: read(&[&from[..], to, all, own].concat()),
        from: read(from),
        to: read(to),
        own: read(own),
        workspace,
    };
    let direction = named.direction(context.began);
    let outside = named.outside(direction)?;
    Ok(sorted_out(direction, outside))
}

/// True if the activity took place on a line that the user wants. Where nobody can say which line
/// it was, nobody can say that it is not wanted.
pub fn is_wanted_line(wanted: &[String], context: &Context, workspace: &Workspace) -> bool {
    let id = context.number_id.as_ref();
    let listed = id.and_then(|id| workspace.lines.get(id));
    let named: Vec<&Phone> = match listed {
        Some(phone) => vec![phone],
        None => context
            .parties
            .everybody()
            .into_iter()
            .filter_map(Party::phone)
            .collect(),
    };
    let of_those_named = |(_, phone): &(&NumberId, &Phone)| id.is_none() && named.contains(phone);
    let ids: Vec<&NumberId> = workspace
        .lines
        .iter()
        .filter(of_those_named)
        .map(|(id, _)| id)
        .chain(id)
        .collect();
    let is_this = |line: &String| {
        ids.iter().any(|id| id.as_str() == line) || named.iter().any(|phone| phone.matches(line))
    };
    let is_told = !ids.is_empty() && wanted.iter().any(|line| line.starts_with("PN"))
        || !named.is_empty() && wanted.iter().any(|line| !line.starts_with("PN"));
    wanted.is_empty() || !is_told || wanted.iter().any(is_this)
}

/// Those who are named, in readable form.
struct NamedNumbers<'a> {
    everybody: Vec<Party>,
    from: Vec<Party>,
    to: Vec<Party>,
    /// Those of whom Quo says that they are ours.
    own: Vec<Party>,
    workspace: &'a Workspace,
}

impl NamedNumbers<'_> {
    fn owns(&self, party: &Party) -> bool {
        self.own.contains(party) || self.workspace.owns(party)
    }

    /// From the event's type first, then from where the own number stands, then from the field.
    fn direction(&self, began: Began) -> Option<Direction> {
        if let Began::Settled(direction) = began {
            return Some(direction);
        }
        let owned = self.everybody.iter().filter(|party| self.owns(party));
        let tells = (1..self.everybody.len()).contains(&owned.count());
        let began_here = match (&self.from[..], &self.everybody[..]) {
            ([from], _) if tells => Some(self.owns(from)),
            ([], [first, _]) if tells && self.own.is_empty() => Some(self.owns(first)),
            _ => None,
        };
        let by_place = began_here.map(|own_began| {
            if own_began {
                Direction::Outgoing
            } else {
                Direction::Incoming
            }
        });
        by_place.or(began.direction())
    }

    /// Who of them is not ours. Where only our side is named, nobody is told.
    fn outside(&self, direction: Option<Direction>) -> Result<Vec<Party>, Untold> {
        let is_told = self.everybody.iter().any(|party| self.owns(party));
        let ours = match (direction, &self.from[..], &self.to[..], &self.everybody[..]) {
            (_, _, _, []) => return Err(Untold::Parties),
            (Some(Direction::Outgoing), [from], _, _) => Some(from),
            // An own number is among them: a side need not be guessed.
            _ if is_told => None,
            (None, ..) => return Err(Untold::Direction),
            (Some(Direction::Incoming), _, [to], _) => Some(to),
            (_, _, _, [_]) => None,
            (Some(Direction::Incoming), _, [], [_, second]) => Some(second),
            (Some(Direction::Outgoing), [], _, [first, _]) => Some(first),
            _ if self.workspace.own.is_none() => return Err(Untold::OwnNumbers),
            _ => None,
        };
        let is_outside = |party: &&Party| !self.owns(party) && Some(*party) != ours;
        let outside: Vec<Party> = self.everybody.iter().filter(is_outside).cloned().collect();
        if outside.is_empty() && self.everybody.len() == 1 {
            return Err(Untold::Parties);
        }
        Ok(outside)
    }
}

/// A number of the country in which numbers without a country code are read: that of the line, of
/// an own number that is named, or of any other.
fn country(context: &Context, workspace: &Workspace) -> Option<Phone> {
    let id = context.number_id.as_ref();
    let line = id.and_then(|id| workspace.lines.get(id));
    let named: Vec<&Phone> = context
        .parties
        .everybody()
        .into_iter()
        .filter_map(Party::phone)
        .collect();
    let own = workspace.own.as_ref();
    let is_own = |phone: &&Phone| own.is_some_and(|own| own.contains_key(*phone));
    line.or_else(|| named.iter().copied().find(is_own))
        .or_else(|| own?.keys().next())
        .or_else(|| named.first().copied())
        .cloned()
}

/// Each once, and a number that people would dial in the country of `near` with its code.
fn without_repeats(parties: &[Party], near: Option<&Phone>) -> Vec<Party> {
    let mut seen = HashSet::new();
    let readable = parties.iter().map(|party| match party {
        Party::Phone(_) => party.clone(),
        Party::Other(written) => {
            Phone::dialled(written, near).map_or_else(|| party.clone(), Party::Phone)
        }
    });
    readable
        .filter(|party| seen.insert(party.clone()))
        .collect()
}

fn sorted_out(direction: Option<Direction>, outside: Vec<Party>) -> Cast {
    let clients = outside.iter().filter_map(Party::phone).cloned().collect();
    let warnings = outside
        .iter()
        .filter_map(|party| match party {
            Party::Phone(_) => None,
            Party::Other(written) => Some(not_a_client(written)),
        })
        .collect();
    Cast {
        direction,
        clients,
        members: if outside.len() > 1 {
            outside
        } else {
            Vec::new()
        },
        warnings,
    }
}

fn not_a_client(written: &str) -> Warning {
    let shown = text::one_line(written, 60);
    Warning::new(
        WarningCode::NotAClient,
        format!("{shown:?} is no client: it is not a phone number"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ActivityId;
    use Direction::{Incoming, Outgoing};

    const ROSA: &str = "+12025550147";
    const TOMAS: &str = "+13125550162";
    const ILSE: &str = "+16465550183";
    const OWN: &str = "+14155550110";
    const NEW: &str = "+14155550999";

    fn workspace() -> Workspace {
        let own = Phone::parse(OWN).expect("phone");
        Workspace {
            lines: [(NumberId::parse("PN1").expect("id"), own.clone())].into(),
            own: Some([(own, "Main line".to_owned())].into()),
            users: BTreeMap::new(),
        }
    }

    fn parties(texts: &[&str]) -> Vec<Party> {
        texts.iter().map(|text| Party::parse(text)).collect()
    }

    fn named(from: &[&str], to: &[&str], all: &[&str]) -> Parties {
        Parties {
            from: parties(from),
            to: parties(to),
            all: parties(all),
            own: Vec::new(),
        }
    }

    fn context(began: Began, parties: Parties) -> Context {
        Context {
            began,
            parties,
            ..Context::of(ActivityId::parse("AC1").expect("id"))
        }
    }

    fn clients(cast: Result<Cast, Untold>) -> Result<Vec<String>, Untold> {
        cast.map(|cast| cast.clients.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check(began: Began, parties: Parties, want: &[&str]) {
        let context = context(began, parties);
        let want = want.iter().map(|client| (*client).to_owned()).collect();
        assert_eq!(
            clients(cast(&context, &workspace())),
            Ok(want),
            "{context:?}"
        );
    }

    #[test]
    fn sender_receivers_and_group_members_are_clients_and_own_numbers_never() {
        let (incoming, outgoing) = (Began::Said(Incoming), Began::Said(Outgoing));
        check(incoming, named(&[ROSA], &[OWN], &[]), &[ROSA]);
        check(
            outgoing,
            named(&[OWN], &[ROSA, TOMAS, ROSA], &[]),
            &[ROSA, TOMAS],
        );
        check(incoming, named(&[ROSA], &[OWN, TOMAS], &[]), &[ROSA, TOMAS]);
        check(
            incoming,
            named(&[ROSA], &[OWN], &[ILSE, ROSA, OWN]),
            &[ROSA, ILSE],
        );
        check(incoming, named(&[], &[], &[ROSA, OWN]), &[ROSA]);
        check(incoming, named(&[], &[], &[ROSA]), &[ROSA]);
        let resolved = Parties {
            own: parties(&[NEW]),
            all: parties(&[ROSA, OWN]),
            ..Parties::default()
        };
        check(incoming, resolved, &[ROSA]);
    }

    #[test]
    fn line_that_is_not_listed_yet_is_told_by_its_side() {
        let (incoming, outgoing) = (Began::Said(Incoming), Began::Said(Outgoing));
        check(incoming, named(&[ROSA], &[NEW], &[]), &[ROSA]);
        check(outgoing, named(&[NEW], &[ROSA], &[]), &[ROSA]);
        check(outgoing, named(&[], &[], &[NEW, ROSA]), &[ROSA]);
        check(incoming, named(&[], &[], &[ROSA, NEW]), &[ROSA]);
        check(outgoing, named(&[NEW], &[ROSA, TOMAS], &[]), &[ROSA, TOMAS]);
        check(
            incoming,
            named(&[ROSA], &[NEW], &[NEW, TOMAS]),
            &[ROSA, TOMAS],
        );
        check(incoming, named(&[ROSA], &[TOMAS], &[OWN]), &[ROSA, TOMAS]);
    }

    #[test]
    fn direction_is_that_of_the_type_then_of_the_own_number_then_of_the_field() {
        let direction = |began, parties| {
            let context = context(began, parties);
            cast(&context, &workspace()).map(|cast| cast.direction)
        };
        let out = || named(&[OWN], &[ROSA], &[]);
        assert_eq!(
            direction(Began::Settled(Incoming), out()),
            Ok(Some(Incoming))
        );
        assert_eq!(direction(Began::Said(Incoming), out()), Ok(Some(Outgoing)));
        assert_eq!(direction(Began::Unsaid, out()), Ok(Some(Outgoing)));
        let listed = |all| named(&[], &[], all);
        assert_eq!(
            direction(Began::Unsaid, listed(&[OWN, ROSA])),
            Ok(Some(Outgoing))
        );
        assert_eq!(
            direction(Began::Unsaid, listed(&[ROSA, OWN])),
            Ok(Some(Incoming))
        );
        assert_eq!(
            direction(Began::Said(Incoming), listed(&[ROSA])),
            Ok(Some(Incoming))
        );
        assert_eq!(
            direction(Began::Unsaid, listed(&[ROSA, TOMAS])),
            Err(Untold::Direction)
        );
        let resolved = Parties {
            own: parties(&[OWN]),
            all: parties(&[ROSA]),
            ..Parties::default()
        };
        assert_eq!(direction(Began::Unsaid, resolved), Ok(None));
    }

    #[test]
    fn where_only_our_side_is_named_nobody_is_told() {
        let untold = |began, parties| {
            let context = context(began, parties);
            assert_eq!(
                cast(&context, &workspace()),
                Err(Untold::Parties),
                "{context:?}"
            );
        };
        let (incoming, outgoing) = (Began::Said(Incoming), Began::Said(Outgoing));
        untold(incoming, named(&[], &[], &[]));
        untold(incoming, named(&[], &[], &[OWN]));
        untold(incoming, named(&[], &[OWN], &[]));
        untold(incoming, named(&[], &[OWN], &[OWN]));
        untold(incoming, named(&[], &[NEW], &[]));
        untold(outgoing, named(&[OWN], &[], &[]));
        untold(outgoing, named(&[NEW], &[], &[]));
        let own = Parties {
            own: parties(&[NEW]),
            ..Parties::default()
        };
        untold(incoming, own);
        // Two of our own lines with each other.
        let delivered = Began::Settled(Outgoing);
        check(delivered, named(&[NEW], &[OWN], &[]), &[]);
        check(delivered, named(&[NEW], &[OWN, ROSA], &[]), &[ROSA]);
        let marked = Parties {
            own: parties(&[OWN]),
            ..named(&[ROSA], &[OWN, TOMAS], &[])
        };
        check(incoming, marked, &[ROSA, TOMAS]);
    }

    #[test]
    fn number_without_country_code_is_read_in_the_country_of_this_events_line() {
        let german = Phone::parse("+493012345678").expect("phone");
        let mut both = workspace();
        both.own
            .as_mut()
            .expect("known")
            .insert(german, String::new());
        let context = context(
            Began::Said(Incoming),
            named(&["03023125123"], &["+493012345678"], &[]),
        );
        assert_eq!(
            clients(cast(&context, &both)),
            Ok(vec!["+493023125123".to_owned()])
        );
    }

    #[test]
    fn number_without_country_code_is_read_where_the_own_number_is() {
        for written in ["12025550147", "2025550147", "(202) 555-0147"] {
            check(
                Began::Said(Incoming),
                named(&[written], &[OWN], &[]),
                &[ROSA],
            );
        }
        check(
            Began::Said(Incoming),
            named(
                &["(202) 555-0147"],
                &[OWN, "312-555-0162"],
                &["+1 312 555 0162", ROSA],
            ),
            &[ROSA, TOMAS],
        );
    }

    #[test]
    fn ids_and_short_codes_are_named_not_used() {
        let odd = [
            "72345",
            "USmarta001",
            "+1202555",
            "Anonymous",
            "555-0147",
            ROSA,
        ];
        let context = context(Began::Said(Outgoing), named(&[OWN], &odd, &[]));
        let cast = cast(&context, &workspace()).expect("known");
        assert_eq!(
            (cast.clients.len(), cast.warnings.len(), cast.members.len()),
            (2, 4, 6)
        );
    }

    #[test]
    fn group_is_not_guessed_at_without_own_numbers() {
        let ask = |began, parties| {
            let context = context(began, parties);
            clients(cast(&context, &Workspace::default())).map(|clients| clients.len())
        };
        let incoming = Began::Said(Incoming);
        assert_eq!(
            ask(incoming, named(&[ROSA], &[OWN, TOMAS], &[])),
            Err(Untold::OwnNumbers)
        );
        assert_eq!(ask(incoming, named(&[ROSA], &[OWN], &[])), Ok(1));
        assert_eq!(ask(incoming, named(&[], &[], &[ROSA, OWN])), Ok(1));
        assert_eq!(
            ask(incoming, named(&[], &[], &[ROSA, OWN, TOMAS])),
            Err(Untold::OwnNumbers)
        );
        assert_eq!(ask(Began::Unsaid, Parties::default()), Err(Untold::Parties));
    }

    #[test]
    fn lines_are_chosen_by_id_or_number_and_never_guessed() {
        let known = workspace();
        let wanted = |lines: &[&str], id: Option<&str>, parties: Parties, workspace: &Workspace| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let mut context = context(Began::Said(Incoming), parties);
            context.number_id = id.map(|id| NumberId::parse(id).expect("id"));
            is_wanted_line(&lines, &context, workspace)
        };
        let text = || named(&[ROSA], &[OWN], &[]);
        let spelled = ["PN9", "+1 (415) 555-0110"];
        let nothing = Workspace::default();
        for (lines, id, parties, workspace, expected) in [
            (&[][..], Some("PN1"), text(), &known, true),
            (&["PN1"], Some("PN1"), Parties::default(), &known, true),
            (&["PN9"], Some("PN1"), text(), &known, false),
            (&spelled, Some("PN1"), Parties::default(), &known, true),
            (&["PN1"], None, text(), &known, true),
            (&["PN9"], None, text(), &known, false),
            (&spelled, None, text(), &nothing, true),
            (&["+12125550199"], None, text(), &nothing, false),
            // Nobody knows which line it was.
            (&["PN9"], None, text(), &nothing, true),
            (&["PN9"], None, Parties::default(), &known, true),
            (
                &spelled[1..],
                Some("PN1"),
                Parties::default(),
                &nothing,
                true,
            ),
        ] {
            let found = wanted(lines, id, parties, workspace);
            assert_eq!(found, expected, "{lines:?} {id:?}");
        }
    }
}
