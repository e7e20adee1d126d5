//! A look at the store from outside: nothing is made, migrated or locked.

use super::{Place, Result, postgres, sqlite};

/// What can be said of a store that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// How many of the migrations were made.
    pub schema: usize,
    /// How many this program knows.
    pub newest: usize,
    /// Its size, as far as it is ours to tell.
    pub bytes: u64,
    /// Whose it is.
    pub owner: String,
    /// True if this process may write to it.
    pub is_writable: bool,
}

/// Looks at the store in that place; `None` where none is yet.
pub fn inspect(place: &Place) -> Result<Option<Inspection>> {
    let found = match place {
        Place::File(path) => sqlite::inspect(path),
        Place::Postgres(url) => postgres::inspect(url),
    };
    found.map_err(|err| err.at(place))
}
