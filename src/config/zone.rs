//! The zone of times in entries.

use std::path::Path;

use jiff::tz::TimeZone;

const LOCALTIME: &str = "/etc/localtime";
const ZONES: &str = "/usr/share/zoneinfo";

/// The zone of that name.
pub fn named(name: &str) -> Option<TimeZone> {
    let plain = !name.starts_with('/') && !name.contains('.');
    let known = plain
        .then(|| tz_file(&Path::new(ZONES).join(name)))
        .flatten();
    known.or_else(|| TimeZone::get(name).ok())
}

/// The machine's own, unless the variable `TZ` names another one.
pub fn of_machine(is_named: bool) -> TimeZone {
    let file = if is_named {
        None
    } else {
        tz_file(Path::new(LOCALTIME))
    };
    file.unwrap_or_else(TimeZone::system)
}

/// Reads the rules of a zone. The library reads them too, after the names of all zones, which takes
/// a millisecond.
fn tz_file(path: &Path) -> Option<TimeZone> {
    TimeZone::tzif("", &std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn zone_of_a_file_is_the_one_of_that_name() {
        assert!(tz_file(Path::new("/dev/null")).is_none() && tz_file(Path::new(ZONES)).is_none());
        let name = "America/Chicago";
        let library = TimeZone::get(name).expect("zone");
        // A machine may do without these files.
        let file = tz_file(&Path::new(ZONES).join(name)).unwrap_or_else(|| library.clone());
        for at in [
            "2026-03-08T07:59:59Z",
            "2026-03-08T08:00:00Z",
            "2026-11-01T07:00:00Z",
            "2050-07-01T00:00:00Z",
        ] {
            let at: Timestamp = at.parse().expect("time");
            assert_eq!(file.to_offset(at), library.to_offset(at), "{at}");
        }
    }
}
