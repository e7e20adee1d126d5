//! Clocks and the time zone.

use jiff::SignedDuration;

use crate::domain::failure::Failure;
use crate::services::Services;
use crate::time;

use super::check::Check;

/// Beyond this a signature that was made just now is refused.
const REFUSED: SignedDuration = SignedDuration::from_mins(5);
/// Beyond this the clock is wrong.
const WRONG: SignedDuration = SignedDuration::from_secs(60);

/// Whether this machine's clock goes as the vendor's does, which it is `ahead` of.
pub fn skew(check: &str, ahead: Option<SignedDuration>) -> Check {
    let Some(ahead) = ahead else {
        return Check::unknown(check, "the vendor has not said what time it is", "");
    };
    let seconds = ahead.as_secs();
    let message = if seconds < 0 {
        format!("this machine's clock is {} s behind", -seconds)
    } else {
        format!("this machine's clock is {seconds} s ahead")
    };
    let fix = "set the clock, and let it be set by NTP";
    if ahead.abs() > REFUSED {
        let message = format!("{message}: signatures are refused");
        Check::failed(check, &Failure::config(message, fix))
    } else if ahead.abs() > WRONG {
        Check::flawed(check, message, fix)
    } else {
        Check::good(check, message)
    }
}

/// In which zone times are written.
pub fn zone(services: &Services) -> Check {
    let settings = &services.settings;
    let now = time::timestamp();
    let offset = settings.zone.to_offset(now);
    let is_set = settings
        .told
        .iter()
        .any(|told| told.name == "TZ" && told.value.is_some());
    let in_file = "`timezone` in quotion.toml";
    let there = offset.to_datetime(now).strftime("%Y-%m-%d %H:%M");
    let message = format!("in entries it is now {there} ({offset})");
    if is_set || settings.has_zone || offset.seconds() != 0 {
        return Check::good("time_zone", message);
    }
    Check::unknown(
        "time_zone",
        format!("{message}; no zone is set, and the machine's is UTC"),
        format!("set {in_file} if people read the entries elsewhere"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_is_a_little_wrong_is_told_and_one_that_refuses_signatures_stops() {
        let code = |seconds| {
            let mut report = super::super::check::Report::default();
            report.add(skew("c", Some(SignedDuration::from_secs(seconds))));
            let is_fine = report.json().contains(r#""ok":true,"message""#);
            (report.code(), is_fine)
        };
        assert_eq!(code(0), (0, true));
        assert_eq!(code(-60), (0, true));
        assert_eq!(code(61), (0, false));
        assert_eq!(code(301), (78, false));
        assert_eq!(code(-301), (78, false));
    }
}
