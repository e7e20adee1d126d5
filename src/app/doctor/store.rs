//! The store: where it is, what it is, whose it is.

use crate::domain::failure::{Failure, Kind};
use crate::files;
use crate::services::Services;
use crate::store::{self, Inspection, Place};

use super::check::Check;

const STORE: &str = "store";

/// Looks at it from outside.
pub fn check(services: &Services) -> Check {
    let place = &services.settings.store;
    let shown = match place {
        Place::File(path) => path.display().to_string(),
        Place::Postgres(_) => "PostgreSQL".to_owned(),
    };
    match store::inspect(place) {
        Ok(Some(found)) => of_found(&shown, &found),
        Ok(None) => of_missing(place, &shown),
        Err(err) => Check::failed(STORE, &err.into()),
    }
}

fn of_found(shown: &str, found: &Inspection) -> Check {
    let Inspection {
        schema,
        newest,
        bytes,
        owner,
        is_writable,
    } = found;
    let message = format!(
        "{shown}, schema {schema} of {newest}, {} KiB, of {owner}",
        bytes.div_ceil(1024)
    );
    if !is_writable {
        let message = format!("{message}: this user may not write to it");
        let hint = "run quotion as its owner, or give this user the right to write there";
        return Check::failed(STORE, &Failure::new(Kind::Store, message, hint));
    }
    if schema < newest {
        return Check::good(
            STORE,
            format!("{message}; the next run brings it up to date"),
        );
    }
    Check::good(STORE, message)
}

fn of_missing(place: &Place, shown: &str) -> Check {
    let fix = "the first run makes it";
    let unmade = || Check::unknown(STORE, format!("{shown} is not there yet"), fix);
    let Place::File(path) = place else {
        return unmade();
    };
    let nearest = path.ancestors().skip(1).find(|above| above.exists());
    if nearest.is_some_and(|above| !above.is_dir() || !files::may_write(above)) {
        let message = format!("{shown} is not there, and cannot be made there by this user");
        let hint = "choose another place (--dir, --state), or give this user the right to write";
        return Check::failed(STORE, &Failure::new(Kind::Store, message, hint));
    }
    unmade()
}
