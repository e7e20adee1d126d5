//! Where everything lies: the folder, the store, and whose they are.

use std::path::{Path, PathBuf};

use crate::domain::failure::{Failure, Kind};
use crate::files::{self, Site};
use crate::store::Place;

const STORE: &str = "quotion.db";
/// What lies in the folder by these names is of our making, or it is refused.
const OURS: [&str; 7] = [
    STORE,
    "quotion.db-wal",
    "quotion.db-shm",
    "quotion.lock",
    "quotion.locks",
    "sync_errors.log",
    "critical_errors.log",
];

/// Resolves the folder once, and refuses one that others can change.
pub fn folder(dir: &Path) -> Result<Site, Failure> {
    let site = files::resolve(dir).map_err(|err| {
        Failure::new(
            Kind::Store,
            format!("cannot use the folder {}: {err}", dir.display()),
            "check the path (--dir, QUOTION_DIR)",
        )
    })?;
    if !site.exists {
        return Ok(site);
    }
    let (shown, user) = (site.path.display(), files::user());
    if !site.path.is_dir() {
        let message = format!("{shown} is no folder");
        return Err(Failure::config(
            message,
            "choose another one (--dir, QUOTION_DIR)",
        ));
    }
    if site.uid != user && user != 0 {
        let message = format!(
            "the folder {shown} belongs to {}, and this is {}",
            files::name_of(site.uid),
            files::name_of(user)
        );
        let hint = "run quotion as that user, or choose another folder (--dir)";
        return Err(Failure::config(message, hint));
    }
    if site.others_write {
        let message = format!("the folder {shown} can be written by others");
        let hint = format!("chmod go-w {shown}, or choose another folder (--dir)");
        return Err(Failure::config(message, hint));
    }
    OURS.iter()
        .try_for_each(|name| trusted(&site.path.join(name)))?;
    Ok(site)
}

fn trusted(path: &Path) -> Result<(), Failure> {
    let Some(flaw) = files::flaw(path) else {
        return Ok(());
    };
    Err(Failure::config(
        format!("{} {flaw}", path.display()),
        "look at what it is, and remove it or chmod go-w",
    ))
}

/// Where the store lies. The address of a database holds a password: it is not shown, whatever is
/// wrong with it.
pub fn store(state: Option<&str>, dir: &Path) -> Result<Place, Failure> {
    let Some(state) = state.map(str::trim) else {
        return Ok(Place::File(dir.join(STORE)));
    };
    let scheme = state.to_ascii_lowercase();
    if state.starts_with("postgres://") || state.starts_with("postgresql://") {
        return Place::of_database(state).map_err(|err| {
            let hint = "correct the address (--state, QUOTION_STATE or DATABASE_URL)";
            Failure::config(err.to_string(), hint)
        });
    }
    let no_file = scheme.is_empty() || scheme.starts_with("file:") || scheme.starts_with(':');
    if no_file || scheme.contains("://") {
        return Err(Failure::config(
            "the store can be a file or a PostgreSQL database, and is set to something else",
            "pass a path or postgres://… as --state or QUOTION_STATE; without them DATABASE_URL \
                counts",
        ));
    }
    file(Path::new(state), dir).map(Place::File)
}

/// A path that the user has given is resolved once, links in it too, but for what lies in the
/// folder.
fn file(path: &Path, dir: &Path) -> Result<PathBuf, Failure> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let above = whole.parent().and_then(|above| files::resolve(above).ok());
    let (Some(above), Some(name)) = (above, whole.file_name()) else {
        // The store says better what is wrong with it.
        return Ok(whole);
    };
    let inside = above.path.join(name);
    if above.path.starts_with(dir) {
        trusted(&inside)?;
        return Ok(inside);
    }
    Ok(files::resolve(&inside).map_or(inside, |site| site.path))
}

/// Root in another user's folder goes on as that user: what it made would lock them out.
pub fn go_on_as_owner(dir: &Site, store: &Place) -> Result<(), Failure> {
    if files::user() != 0 {
        return Ok(());
    }
    let file = match store {
        Place::File(path) => files::resolve(path).ok(),
        Place::Postgres(_) => None,
    };
    let sites = [Some(dir), file.as_ref()];
    let Some(other) = sites.into_iter().flatten().find(|site| site.uid != 0) else {
        return Ok(());
    };
    files::become_owner(other).map_err(|err| {
        let owner = files::name_of(other.uid);
        Failure::new(
            Kind::Store,
            format!("{} belongs to {owner}: {err}", other.path.display()),
            "run quotion as that user",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[track_caller]
    fn check_refused(state: &str) {
        let failure = store(Some(state), Path::new("d")).expect_err(state);
        assert_eq!(failure.kind, Kind::Config);
        assert!(!failure.message.contains("hunter2"));
    }

    #[test]
    fn store_is_a_file_or_a_server() {
        for state in [
            "",
            ":memory:",
            " :MEMORY: ",
            "file:hunter2.db",
            "FILE::memory:?cache=shared",
            "file:///x.db",
            "mysql://hunter2@host/db",
            "sqlite://x.db",
        ] {
            check_refused(state);
        }
        for state in ["postgres://u:p@h/d", "postgresql://u:p@h/d"] {
            let place = store(Some(state), Path::new("d"));
            assert!(matches!(place, Ok(Place::Postgres(_))), "{state}");
        }
        let place = store(None, Path::new("/d"));
        assert!(matches!(place, Ok(Place::File(path)) if path == Path::new("/d/quotion.db")));
    }

    #[test]
    fn links_outside_the_folder_are_followed_and_inside_refused() {
        let home = tempfile::tempdir().expect("dir");
        let home = fs::canonicalize(home.path()).expect("real");
        fs::create_dir_all(home.join("d")).expect("made");
        fs::write(home.join("aim.db"), "").expect("written");
        for link in ["outside.db", "d/quotion.db"] {
            symlink(home.join("aim.db"), home.join(link)).expect("linked");
        }
        let dir = home.join("d");
        let path = |name: &str| home.join(name).display().to_string();
        let place = store(Some(&path("outside.db")), &dir);
        assert!(matches!(place, Ok(Place::File(path)) if path == home.join("aim.db")));
        assert!(store(Some(&path("d/quotion.db")), &dir).is_err());
        assert!(folder(&dir).is_err());
        fs::remove_file(dir.join("quotion.db")).expect("removed");
        assert!(folder(&dir).is_ok());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).expect("mode");
        assert!(folder(&dir).is_err());
    }
}
