//! Writing properties although Notion refuses some: those are left out, each with a warning, and
//! the others are written all the same.
//!
//! A refusal means that nothing was saved, so sending again without the refused ones repeats
//! nothing. Its words may change and its code does not: where they name nobody, the properties are
//! halved until the guilty one is found. A half that is taken is written, and never sent again.

use serde_json::Value as Json;

use crate::domain::outcome::{Warning, WarningCode};
use crate::domain::table::Property;
use crate::notion;
use crate::notion::blocks::without_links;
use crate::notion::rejection::{Blame, blame, may_be_a_link, message, says_version};

/// After so many that were refused all that are not essential are left out.
const MOST_GUILTY: usize = 3;

/// What came of writing properties.
pub struct Sent<T> {
    /// The last answer; `None` where nothing was left to write.
    pub answer: Option<T>,
    /// What was left out.
    pub warnings: Vec<Warning>,
}

/// Sends `properties`, without those that Notion refuses. `essential` are ids of columns without
/// which the write has no sense (a client without phone number would be made again next time); a
/// refusal of those stays an error. `send` gets what the sends before it have made, if one was
/// taken already. With nothing left to send (and nothing essential) it is not called again, and
/// there may be no answer at all.
pub fn without_refused<T>(
    properties: &[Property],
    essential: &[&str],
    mut send: impl FnMut(Option<&T>, &[Property]) -> notion::Result<T>,
) -> notion::Result<Sent<T>> {
    let is_essential = |property: &&Property| essential.contains(&property.column.id.as_str());
    let (essential, optional) = properties.iter().cloned().partition(|it| is_essential(&it));
    let mut search = Search {
        essential,
        waiting: optional,
        suspects: Vec::new(),
        guilty: 0,
        warnings: Vec::new(),
    };
    let mut answer = None;
    loop {
        let trial = search.next();
        let body: Vec<Property> = if answer.is_none() {
            search.essential.iter().chain(&trial).cloned().collect()
        } else {
            trial.clone()
        };
        if body.is_empty() {
            return Ok(Sent {
                answer,
                warnings: search.warnings,
            });
        }
        match send(answer.as_ref(), &body) {
            Ok(said) => {
                answer = Some(said);
                search.taken();
            }
            Err(err) => {
                // Texts may change, codes do not: only this one is about what was sent.
                let about_values = err
                    .refusal(400)
                    .filter(|body| body["code"] == "validation_error" && !says_version(body));
                let Some(said) = about_values.map(|body| message(body).to_owned()) else {
                    return Err(err);
                };
                if !search.refused(trial, &said) {
                    return Err(err);
                }
            }
        }
    }
}

/// What is known of the properties that are still to be written.
struct Search {
    /// Go along with every send until one is taken.
    essential: Vec<Property>,
    /// Of these nothing is known.
    waiting: Vec<Property>,
    /// At least one of these is refused.
    suspects: Vec<Property>,
    /// How many were found.
    guilty: usize,
    warnings: Vec<Warning>,
}

impl Search {
    /// What to try next.
    fn next(&mut self) -> Vec<Property> {
        if self.suspects.is_empty() {
            std::mem::take(&mut self.waiting)
        } else {
            let half = self.suspects.len() / 2;
            self.suspects.drain(..half).collect()
        }
    }

    /// The trial was taken, so the guilty one is among the suspects that were not in it.
    fn taken(&mut self) {
        self.convict_the_last("notion refuses it with the others, and says no name");
    }

    /// The trial was refused. False if that stays so whatever is left out.
    fn refused(&mut self, trial: Vec<Property>, said: &str) -> bool {
        let sent: Vec<Property> = self.essential.iter().chain(&trial).cloned().collect();
        let blame = blame(said, &sent);
        // What was not in the trial may be well.
        self.waiting.append(&mut self.suspects);
        match blame {
            Blame::Body | Blame::Trashed => false,
            _ if trial.is_empty() => false,
            Blame::Properties(places) => {
                let blamed = |property: &Property| places.iter().any(|at| sent[*at] == *property);
                if self.essential.iter().any(blamed) {
                    return false;
                }
                let (guilty, innocent): (Vec<_>, Vec<_>) = trial.into_iter().partition(blamed);
                self.waiting.extend(innocent);
                self.leave_out(&guilty, WarningCode::PropertyRejected, said);
                true
            }
            Blame::Nobody if self.guilty >= MOST_GUILTY => {
                let rest = [trial, std::mem::take(&mut self.waiting)].concat();
                self.leave_out(&rest, WarningCode::PropertyDropped, said);
                true
            }
            Blame::Nobody => {
                self.suspects = trial;
                self.convict_the_last(said);
                true
            }
        }
    }

    /// One suspect alone is the guilty one.
    fn convict_the_last(&mut self, said: &str) {
        if self.suspects.len() == 1 {
            let guilty = std::mem::take(&mut self.suspects);
            self.leave_out(&guilty, WarningCode::PropertyDropped, said);
        }
    }

    fn leave_out(&mut self, properties: &[Property], code: WarningCode, said: &str) {
        self.guilty += 1;
        for property in properties {
            let name = &property.column.name;
            self.warnings
                .push(Warning::property(code, name, said.to_owned()));
        }
    }
}

/// Sends blocks; where Notion refuses an address in them as a link, once more with it as text.
/// Which one it refuses it does not say, so what several activities want is not touched: each of
/// them is sent alone then.
pub fn with_links_or_without<T>(
    blocks: &[Json],
    activities: usize,
    send: impl Fn(&[Json]) -> notion::Result<T>,
) -> notion::Result<T> {
    let says = |body: &Json| body["code"] == "validation_error" && may_be_a_link(message(body));
    let answer = send(blocks);
    match &answer {
        Err(err) if activities < 2 && err.refusal(400).is_some_and(says) => {
            log::warn!("notion refuses an address as a link; it stands as text");
            send(&without_links(blocks))
        }
        Ok(_) | Err(_) => answer,
    }
}

/// True for the refusal to touch what lies in the trash.
pub fn says_trashed(body: &Json) -> bool {
    blame(message(body), &[]) == Blame::Trashed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::table::{Column, ColumnKind, Written};
    use crate::http;

    fn properties(count: usize) -> Vec<Property> {
        let property = |number: usize| Property {
            column: Column {
                id: format!("id{number}"),
                name: format!("Column {number}"),
                kind: ColumnKind::RichText,
                options: vec![],
            },
            value: Written::Text("x".into()),
        };
        (0..count).map(property).collect()
    }

    fn refusal(said: &str) -> notion::Error {
        notion::Error::Http(http::Error::Refused {
            what: String::new(),
            path: "".into(),
            status: 400,
            body: json!({"object": "error", "code": "validation_error", "message": said}),
            text: "".into(),
            request_id: None,
        })
    }

    /// What is written, what is warned of, and how many requests it took, where every send that
    /// holds one of `guilty` is refused with the words of `said`.
    fn run(
        count: usize,
        guilty: &[usize],
        said: &dyn Fn(&[usize]) -> String,
    ) -> (Vec<usize>, Vec<(String, WarningCode)>, usize) {
        let all = properties(count);
        let (mut written, mut requests) = (Vec::new(), 0);
        let number =
            |property: &Property| -> usize { property.column.id[2..].parse().expect("a number") };
        let send = |made: Option<&()>, sent: &[Property]| {
            requests += 1;
            let numbers: Vec<usize> = sent.iter().map(number).collect();
            assert_eq!(made.is_none(), numbers.contains(&0), "the title goes once");
            let bad: Vec<usize> = guilty
                .iter()
                .filter(|guilty| numbers.contains(guilty))
                .copied()
                .collect();
            if bad.is_empty() {
                written.extend(numbers);
                Ok(())
            } else {
                Err(refusal(&said(&bad)))
            }
        };
        let Sent { warnings, .. } = without_refused(&all, &["id0", "id1"], send).expect("written");
        written.sort_unstable();
        let told = |warning: Warning| (warning.property.expect("a column"), warning.code);
        (written, warnings.into_iter().map(told).collect(), requests)
    }

    fn all_but(count: usize, guilty: &[usize]) -> Vec<usize> {
        (0..count)
            .filter(|number| !guilty.contains(number))
            .collect()
    }

    fn bound(count: usize, guilty: usize) -> usize {
        guilty * (count.next_power_of_two().ilog2() as usize + 2)
    }

    #[test]
    fn one_that_nobody_names_is_found_and_the_others_are_written() {
        for count in 3..20 {
            for guilty in 2..count {
                let (written, warned, requests) = run(count, &[guilty], &|_| "no".into());
                assert_eq!(written, all_but(count, &[guilty]));
                let name = format!("Column {guilty}");
                assert_eq!(warned, [(name, WarningCode::PropertyDropped)]);
                assert!(requests <= bound(count, 1), "{requests} of {count}");
            }
        }
    }

    #[test]
    fn up_to_three_are_found() {
        let count = 9;
        for one in 2..count {
            for other in one + 1..count {
                for third in other..count {
                    let mut guilty = vec![one, other, third];
                    guilty.dedup();
                    let (written, warned, requests) = run(count, &guilty, &|_| "no".into());
                    assert_eq!(written, all_but(count, &guilty));
                    assert_eq!(warned.len(), guilty.len());
                    assert!(
                        requests <= bound(count, guilty.len()),
                        "{guilty:?} {requests}"
                    );
                }
            }
        }
    }

    #[test]
    fn after_three_the_essential_ones_are_written_alone() {
        let guilty: Vec<usize> = (2..12).collect();
        let (written, warned, _) = run(12, &guilty, &|_| "no".into());
        assert_eq!((written, warned.len()), (vec![0, 1], 10));
    }

    #[test]
    fn those_that_are_named_are_left_out_at_once() {
        let named = |bad: &[usize]| format!("Column {} is not a property that exists.", bad[0]);
        let (written, warned, requests) = run(8, &[3, 5], &named);
        assert_eq!((written, requests), (all_but(8, &[3, 5]), 3));
        assert_eq!(
            warned,
            [
                ("Column 3".into(), WarningCode::PropertyRejected),
                ("Column 5".into(), WarningCode::PropertyRejected)
            ]
        );
    }

    #[test]
    fn refusal_of_what_is_essential_stays_one() {
        let send = |_: Option<&()>, sent: &[Property]| -> notion::Result<()> {
            assert_eq!(sent[0].column.id, "id0");
            Err(refusal("no"))
        };
        assert!(without_refused(&properties(6), &["id0", "id1"], send).is_err());
        let named = |_: Option<&()>, _: &[Property]| -> notion::Result<()> {
            Err(refusal("Column 1 is expected to be rich_text."))
        };
        assert!(without_refused(&properties(6), &["id0", "id1"], named).is_err());
    }

    #[test]
    fn nothing_left_to_write_is_no_request() {
        let send = |_: Option<&()>, _: &[Property]| -> notion::Result<()> { Err(refusal("no")) };
        let came = without_refused(&properties(1), &[], send).expect("nothing");
        assert_eq!((came.answer, came.warnings.len()), (None, 1));
    }
}
