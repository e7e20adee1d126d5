//! The index of Quo's contacts: what building it costs, and what a run costs that finds its client
//! there.

use rusqlite::Connection;

use crate::events::{self, Names, message};
use crate::table::{Table, mib, millis, none, secs};
use crate::user::{Cost, User, median};

/// So many contacts take long with Quo's ten requests a second.
const WITH_LIMITS: usize = 10_000;

pub fn measure(binary: &str) {
    let heads = [
        "index of contacts",
        "contacts",
        "build s",
        "quo",
        "stand-in",
        "indexed",
        "run ms",
        "quo",
        "store MiB",
    ];
    let table = Table::new(&heads);
    for people in [100, 1000, 10_000, 50_000] {
        let user = warmed(User::of(binary, events::world(people)));
        let built = build(&user);
        let fresh = median(|n| {
            user.run(&[], &message(10 + n, (10 + n, Names::Missing)))
                .expect(1, "Quint")
        });
        table.row(&row(
            "no limit of requests",
            (&user, people),
            &built,
            Some(&fresh),
        ));
    }
    let user = warmed(User::of(binary, events::world(WITH_LIMITS)).with_rate_limits());
    let built = build(&user);
    table.row(&row(
        "ten requests a second",
        (&user, WITH_LIMITS),
        &built,
        None,
    ));
}

/// Reads columns and own numbers, but no contacts.
fn warmed(user: User) -> User {
    user.run(&[], &message(0, (1, Names::Given)));
    user
}

/// The first event that has to look a number up.
fn build(user: &User) -> Cost {
    user.run(&[], &message(1, (2, Names::Missing)))
}

fn row(
    what: &str,
    (user, people): (&User, usize),
    built: &Cost,
    fresh: Option<&Cost>,
) -> Vec<String> {
    let store = Connection::open(user.path(".tmp/quotion.db")).expect("the store");
    let indexed: i64 = store
        .query_row("SELECT count(*) FROM contacts", [], |row| row.get(0))
        .expect("a count");
    vec![
        what.to_owned(),
        people.to_string(),
        secs(built.time),
        built.quo.to_string(),
        secs(built.standin),
        indexed.to_string(),
        fresh.map_or_else(none, |cost| millis(cost.time)),
        fresh.map_or_else(none, |cost| cost.quo.to_string()),
        mib(user.store_bytes()),
    ]
}
