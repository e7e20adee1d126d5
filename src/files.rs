//! Folders and files that are the owner's alone: modes 0700 and 0600; and whose a place is.
//!
//! Apart because settings, the store, its locks and the logs of critical failures lie there alike.
//! It does not know what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o022;
/// Bits of a mode that let others read.
const OTHERS_READ: u32 = 0o044;
/// What is mounted where.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Where users have their names.
const USERS: &str = "/etc/passwd";

/// Makes the folder and those above it, where they are missing.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|err| explain(err, folder))
}

/// Opens the file to read it and to write at its end; it is made if it is missing. A link is
/// refused: somebody else may have laid it.
pub fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    let file = opened.map_err(|err| explain(err, path))?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is no regular file"))
}

/// Puts a new file there, whole or not at all, and durably. One that is there already is an error.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let written = write_new(&part, bytes).and_then(|()| fs::hard_link(&part, path));
    let removed = fs::remove_file(&part);
    written?;
    removed?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|err| explain(err, path))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file that was read whole.
#[derive(Debug)]
pub struct Contents {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its owner.
    pub uid: u32,
    /// True if others than the owner may write it.
    pub others_write: bool,
    /// True if others than the owner may read it.
    pub others_read: bool,
}

/// Reads a regular file (or a link to one) of at most so many bytes. Waits for nobody: a pipe or a
/// device is refused unread. A link whose aim is missing is not a file that is missing.
pub fn read(path: &Path, most: u64) -> io::Result<Contents> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path);
    let file = opened.map_err(|err| {
        if is_missing(&err) && fs::symlink_metadata(path).is_ok() {
            return io::Error::other("it is a link to nothing");
        }
        explain(err, path)
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it is larger than {} KiB", most >> 10);
        return Err(io::Error::other(message));
    }
    Ok(Contents {
        bytes,
        uid: metadata.uid(),
        others_write: metadata.mode() & OTHERS_WRITE != 0,
        others_read: metadata.mode() & OTHERS_READ != 0,
    })
}

/// True for what is not there. A folder that is none has no files either.
pub fn is_missing(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// What is there, or will be made there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Without links and relative parts.
    pub path: PathBuf,
    /// Owner; of what is not there yet, that of the nearest folder above it.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// True if it is there.
    pub exists: bool,
    /// True if others than the owner may write there.
    pub others_write: bool,
}

/// Resolves a path, whose end may be missing yet.
pub fn resolve(path: &Path) -> io::Result<Site> {
    let whole = std::path::absolute(path)?;
    for above in whole.ancestors() {
        let real = match fs::canonicalize(above) {
            Ok(real) => real,
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            Err(err) => return Err(explain(err, above)),
        };
        let metadata = fs::metadata(&real)?;
        let rest = whole.strip_prefix(above).unwrap_or(Path::new(""));
        let exists = rest.as_os_str().is_empty();
        return Ok(Site {
            path: if exists { real } else { real.join(rest) },
            uid: metadata.uid(),
            gid: metadata.gid(),
            exists,
            others_write: metadata.mode() & OTHERS_WRITE != 0,
        });
    }
    Err(io::ErrorKind::NotFound.into())
}

/// What is wrong with something that lies in the folder, if it is there at all: links and what
/// others may write are not of our making.
pub fn flaw(path: &Path) -> Option<&'static str> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        return Some("is a link, which somebody else may have laid");
    }
    let open = metadata.mode() & OTHERS_WRITE != 0;
    open.then_some("can be written by others")
}

/// The kind of file system on which something lies, as the machine calls it.
pub fn file_system(path: &Path) -> Option<String> {
    let real = resolve(path).ok()?.path;
    let mounts = fs::read_to_string(MOUNTS).ok()?;
    let fields = |line: &str| {
        let (place, rest) = line.split_once(" - ")?;
        let mounted = place.split(' ').nth(4)?.replace("\\040", " ");
        let kind = rest.split(' ').next()?.to_owned();
        real.starts_with(&mounted).then_some((mounted.len(), kind))
    };
    // Of two at one place the later one lies above.
    let all = mounts.lines().filter_map(fields);
    all.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// False if the file system says that it cannot lock. That somebody else has locked says that it
/// can. Of a file that this process has locked already the locks are lost.
pub fn can_lock(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, fcntl_lock};
    use rustix::io::Errno;
    let Ok(file) = open(path) else {
        return true;
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(Errno::AGAIN | Errno::ACCESS) => true,
        Err(_) => false,
    }
}

/// True if this process may write to what is there.
pub fn may_write(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// The user that this process runs as.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user's name, where the machine tells, and number.
pub fn name_of(uid: u32) -> String {
    match account(uid) {
        Some((name, _)) => format!("{name} (user {uid})"),
        None => format!("user {uid}"),
    }
}

/// Name and group of a user.
fn account(uid: u32) -> Option<(String, u32)> {
    let users = fs::read_to_string(USERS).ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        let group = fields.next()?.parse().ok()?;
        (number.parse() == Ok(uid)).then(|| (name.to_owned(), group))
    })
}

/// Goes on as the owner of `place`, for good. To be called while there is one thread, as Linux
/// keeps users by thread; those that are started later have the same.
#[cfg(target_os = "linux")]
pub fn become_owner(place: &Site) -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
    // A folder of root's group gives no right to that group.
    let own = || account(place.uid).map_or(place.uid, |(_, group)| group);
    let gid = if place.gid == 0 { own() } else { place.gid };
    set_thread_groups(&[])?;
    set_thread_gid(Gid::from_raw(gid))?;
    Ok(set_thread_uid(Uid::from_raw(place.uid))?)
}

/// Other systems have no safe way to it.
#[cfg(not(target_os = "linux"))]
pub fn become_owner(_place: &Site) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Says what the system's own words leave out: whose the place is where a right is missing, and
/// that it is a link that is not followed.
pub fn explain(err: io::Error, path: &Path) -> io::Error {
    let is_link = || fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let links = rustix::io::Errno::LOOP.raw_os_error();
    if err.raw_os_error() == Some(links) && is_link() {
        return io::Error::other("it is a link, which somebody else may have laid");
    }
    if err.kind() != io::ErrorKind::PermissionDenied {
        return err;
    }
    let mut above = path
        .ancestors()
        .filter_map(|above| Some((above, fs::metadata(above).ok()?)));
    let Some((above, metadata)) = above.next() else {
        return err;
    };
    let message = format!(
        "{err}: {} belongs to {}, with mode {:o}, and this is {}",
        above.display(),
        name_of(metadata.uid()),
        metadata.mode() & 0o7777,
        name_of(user())
    );
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_what_is_no_file_are_not_opened() {
        let dir = tempfile::tempdir().expect("dir");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("aim"), "kept").expect("written");
        symlink(path("aim"), path("link")).expect("linked");
        assert!(open(&path("link")).is_err_and(|err| err.to_string().contains("a link")));
        assert_eq!(flaw(&path("link")).map(|flaw| flaw.len() > 5), Some(true));
        assert_eq!(flaw(&path("nothing")), None);
        assert!(open(dir.path()).is_err());
        assert_eq!(read(&path("link"), 4).expect("read").bytes, b"kept");
        for refused in [path("aim"), dir.path().to_owned(), "/dev/zero".into()] {
            assert!(read(&refused, 3).is_err(), "{}", refused.display());
        }
        for aim in ["nothing", "aim/below"] {
            symlink(path(aim), path("dangling")).expect("linked");
            let err = read(&path("dangling"), 4).expect_err("dangling");
            assert_eq!(err.kind(), io::ErrorKind::Other, "{aim}");
            fs::remove_file(path("dangling")).expect("removed");
        }
        let missing = read(&path("missing"), 4).expect_err("missing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn place_that_is_not_there_yet_is_its_folders_owners() {
        let dir = tempfile::tempdir().expect("dir");
        let real = fs::canonicalize(dir.path()).expect("real");
        symlink(&real, dir.path().join("link")).expect("linked");
        let place = resolve(&dir.path().join("link/a/b")).expect("resolved");
        assert_eq!((place.path, place.exists), (real.join("a/b"), false));
        let place = resolve(&dir.path().join("link")).expect("resolved");
        assert_eq!((place.path, place.exists, place.uid), (real, true, user()));
    }

    #[test]
    fn kind_of_file_system_is_known() {
        if Path::new(MOUNTS).exists() {
            assert_eq!(
                file_system(Path::new("/proc/self/x")).as_deref(),
                Some("proc")
            );
        }
        let file = tempfile::NamedTempFile::new().expect("file");
        assert!(can_lock(file.path()));
    }

    #[test]
    fn users_are_known_by_name() {
        assert_eq!(name_of(0), "root (user 0)");
        assert_eq!(name_of(4_000_000_000), "user 4000000000");
    }
}
