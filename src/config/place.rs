//! Where everything lies: the folder, the store, and whose they are.

use std::path::{Path, PathBuf};

use crate::domain::failure::{Failure, Kind};
use crate::files::{self, Site};
use crate::store::Place;

const STORE: &str = "quotion.db";
/// What lies in the folder by these names is of our making, or it is refused.
const OURS: [&str; 10] = [
    STORE,
    "quotion.db-journal",
    "quotion.db-wal",
    "quotion.db-shm",
    "quotion.lock",
    "quotion.locks",
    "sync_errors.log",
    "critical_errors.log",
    "spool",
    "notion-token",
];
/// How words of an address begin that is written as `host=… password=…`, or behind its `?`.
const ADDRESS_WORDS: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "username",
    "password",
    "pgpassword",
    "passfile",
    "dbname",
    "database",
    "service",
    "sslmode",
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

/// Where the store lies when nobody says.
pub fn own_store(dir: &Path) -> Place {
    Place::File(dir.join(STORE))
}

/// Where the store lies by `state`, which is told as `told`. The address of a database holds a
/// password: it is not shown, whatever is wrong with it, and what may be a misspelt one becomes no
/// file of that name.
pub fn store(told: &str, state: &str, dir: &Path) -> Result<Place, Failure> {
    let state = state.trim();
    if is_address(state) {
        return server(told, state);
    }
    let other = state.is_empty() || state.to_ascii_lowercase().starts_with("file:");
    if other || looks_like_address(state) {
        return Err(Failure::config(
            format!(
                "{told}: the store can be a file or a PostgreSQL database, and is set to \
                    something else"
            ),
            "write the address as postgres://user:password@host/database, a path that looks like \
                one with ./ before it",
        ));
    }
    file(Path::new(state), dir).map(Place::File)
}

/// A store that can only be a server: the variable is shared with other programs.
pub fn server(told: &str, url: &str) -> Result<Place, Failure> {
    let url = url.trim();
    if !is_address(url) {
        return Err(Failure::config(
            format!("{told} is no address of a PostgreSQL database"),
            "write it as postgres://user:password@host/database, or set QUOTION_STATE (or \
                --state) to the path of a file",
        ));
    }
    Place::of_database(url).map_err(|err| {
        let message = format!("{told}: {err}");
        Failure::config(message, "correct the address")
    })
}

fn is_address(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// True for what is no plain path: an address of any scheme, also where slashes, the scheme or all
/// but its words are lost.
fn looks_like_address(text: &str) -> bool {
    let (first, _) = text.split_once('/').unwrap_or((text, ""));
    let password = text
        .split_once(':')
        .is_some_and(|(_, rest)| rest.contains('@'));
    let words = text.match_indices('=').any(|(at, _)| {
        let before = text[..at].trim_end();
        let word = before.rsplit([' ', '\t', '\n', '?', '&', ';']).next();
        word.is_some_and(|word| ADDRESS_WORDS.contains(&word.to_ascii_lowercase().as_str()))
    });
    let parts = text.contains("://") || text.starts_with("//") || first.contains([':', '@']);
    parts || password || words
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

/// Fails unless the folder is that user's, whose `.env` was believed: it must not send root to a
/// place that is not theirs.
pub fn owned_by(dir: &Site, uid: u32) -> Result<(), Failure> {
    if dir.uid == uid {
        return Ok(());
    }
    let message = format!(
        ".env belongs to {}, the folder {} to {}: it is not believed",
        files::name_of(uid),
        dir.path.display(),
        files::name_of(dir.uid)
    );
    Err(Failure::config(message, "name the folder by --dir"))
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
    fn check_refused(place: Result<Place, Failure>, told: &str) {
        let failure = place.map(|_| ()).expect_err(told);
        assert_eq!(failure.kind, Kind::Config);
        let words = format!("{} {}", failure.message, failure.hint);
        assert!(
            failure.message.starts_with("NAME") && !words.contains("hunter2"),
            "{words}"
        );
    }

    /// What becomes no file, however it is given.
    const NO_FILES: [&str; 31] = [
        "",
        ":memory:",
        " :MEMORY: ",
        "file:hunter2.db",
        "FILE::memory:?cache=shared",
        "file:///x.db",
        "mysql://hunter2@host/db",
        "sqlite://x.db",
        "postgres:u:hunter2@host/db",
        "postgresql:/u:hunter2@host/db",
        "postgres:/hunter2",
        "Postgres:hunter2",
        "postgresql//u:hunter2@host/db",
        "POSTGRES://u:hunter2@host/db",
        "//u:hunter2@host/db",
        "//hunter2",
        "/u:hunter2@host/db",
        "u:hunter2@host:5432/db",
        "u:hunter2/with/slash@host/db",
        "hunter2@host/db",
        "host:5432/hunter2",
        "user=u password=hunter2 host=h",
        "user = u password = hunter2",
        "dbname=hunter2",
        "PGPASSWORD=hunter2",
        "host/db?user=u&password=hunter2",
        "/db?password=hunter2",
        "jdbc:postgresql:hunter2",
        "./u:hunter2@host/db",
        "./x password=hunter2",
        "postgres://u:hunter2@[x/d",
    ];

    #[test]
    fn store_is_a_file_or_a_server_and_no_misspelt_address() {
        for state in NO_FILES {
            check_refused(store("NAME", state, Path::new("d")), state);
            check_refused(server("NAME", state), state);
        }
        for state in [
            "a/b/hunter2.db",
            "/hunter2.db",
            "./hunter2",
            "hunter2",
            "q=1.db",
        ] {
            check_refused(server("NAME", state), state);
        }
        for state in ["postgres://u:p@h/d", " postgresql://u:p@h/d "] {
            let place = store("NAME", state, Path::new("d"));
            assert!(matches!(place, Ok(Place::Postgres(_))), "{state}");
            assert!(
                matches!(server("NAME", state), Ok(Place::Postgres(_))),
                "{state}"
            );
        }
        for state in [
            "q.db",
            "a b/q.db",
            "/a/b:c/q.db",
            "/a/q@x.db",
            "./a:b.db",
            "/user=1/q.db",
            "x=1",
        ] {
            let place = store("NAME", state, Path::new("d"));
            assert!(matches!(place, Ok(Place::File(_))), "{state}");
        }
        let place = own_store(Path::new("/d"));
        assert!(matches!(place, Place::File(path) if path == Path::new("/d/quotion.db")));
    }

    #[test]
    fn everything_of_ours_in_the_folder_is_looked_at() {
        for name in OURS {
            let home = tempfile::tempdir().expect("dir");
            symlink("/aim", home.path().join(name)).expect("linked");
            let failure = folder(home.path()).expect_err(name);
            assert!(failure.message.contains("is a link"), "{}", failure.message);
        }
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
        let place = store("NAME", &path("outside.db"), &dir);
        assert!(matches!(place, Ok(Place::File(path)) if path == home.join("aim.db")));
        assert!(store("NAME", &path("d/quotion.db"), &dir).is_err());
        assert!(folder(&dir).is_err());
        fs::remove_file(dir.join("quotion.db")).expect("removed");
        assert!(folder(&dir).is_ok());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).expect("mode");
        assert!(folder(&dir).is_err());
    }
}
