//! Lengths of time and moments, as people write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};

/// What a moment is measured from.
pub struct Clock {
    /// The moment of the run.
    pub now: Timestamp,
    /// Zone of dates that name none.
    pub zone: TimeZone,
}

/// A span like `90s`, `5m`, `6h`, `7d`, `1w` or `5y` (days of 24 hours, years of 365 days). What
/// is wrong is told under `name`, and never shown: it may be a key in the wrong place.
pub fn duration(text: &str, name: &str) -> Result<SignedDuration, Failure> {
    let span = parse(text).filter(SignedDuration::is_positive);
    span.ok_or_else(|| {
        Failure::new(
            kind_of(name),
            format!("{name} is no length of time"),
            "write lengths of time like 50s, 5m, 6h, 7d, 1w or 5y",
        )
    })
}

/// A moment so long ago, or a date, or a date with a time.
pub fn moment(text: &str, name: &str, clock: &Clock) -> Result<Timestamp, Failure> {
    let text = text.trim();
    if let Ok(span) = duration(text, name) {
        let too_long = |_| {
            let message = format!("{name} is too long");
            Failure::new(kind_of(name), message, "write it like 24h or 30d")
        };
        return clock.now.checked_sub(span).map_err(too_long);
    }
    // A date alone is its midnight.
    let here = |time: DateTime| clock.zone.to_timestamp(time).ok();
    let found = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse().ok().and_then(here));
    found.ok_or_else(|| {
        Failure::new(
            kind_of(name),
            format!("{name} is neither a length of time nor a date"),
            "write it like 6h, 7d, 1w, 2026-03-01 or 2026-03-01T08:00:00Z",
        )
    })
}

fn parse(text: &str) -> Option<SignedDuration> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let days = match unit {
        'd' => 1,
        'w' => 7,
        'y' => 365,
        _ => 0,
    };
    let count = text[..text.len() - unit.len_utf8()].trim().parse::<i64>();
    match (days, count) {
        (1.., Ok(count)) => {
            SignedDuration::try_from_hours(count.checked_mul(days)?.checked_mul(24)?)
        }
        _ => text.parse().ok(),
    }
}

fn kind_of(name: &str) -> Kind {
    if name.starts_with("--") {
        Kind::Usage
    } else {
        Kind::Config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_every_unit() {
        let hours = |text| duration(text, "x").map(|span| span.as_hours()).ok();
        assert_eq!(
            ["48h", "7d", "1w", " 5y ", "2 w"].map(hours),
            [
                Some(48),
                Some(168),
                Some(168),
                Some(5 * 365 * 24),
                Some(336)
            ]
        );
        assert_eq!(duration("90s", "x").expect("span").as_secs(), 90);
        for bad in [
            "",
            "w",
            "1",
            "-1w",
            "0y",
            "1x",
            "1ü",
            "9223372036854775807w",
            "999999999999999y",
        ] {
            let failure = duration(bad, "x").expect_err(bad);
            assert!(bad.len() < 5 || !failure.message.contains(bad));
        }
    }

    #[test]
    fn moments_are_spans_dates_and_times() {
        let clock = Clock {
            now: "2026-10-10T12:00:00Z".parse().expect("time"),
            zone: TimeZone::fixed(jiff::tz::offset(2)),
        };
        for (text, expected) in [
            ("1w", "2026-10-03T12:00:00Z"),
            ("2026-10-01", "2026-09-30T22:00:00Z"),
            ("2026-10-01T08:00:00", "2026-10-01T06:00:00Z"),
            ("2026-10-01T08:00:00Z", "2026-10-01T08:00:00Z"),
            ("2026-10-01T08:00:00+05:30", "2026-10-01T02:30:00Z"),
        ] {
            let found = moment(text, "--since", &clock).expect(text);
            assert_eq!(found.to_string(), expected, "{text}");
        }
        for bad in ["", "yesterday", "2026-13-01", "9999999y", "ntn_secret"] {
            let failure = moment(bad, "--since", &clock).expect_err(bad);
            assert!(!failure.message.contains("secret"));
        }
    }
}
