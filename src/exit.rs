//! Exit codes: those of sysexits.h. Nothing else knows them.

use crate::domain::failure::{Failure, Kind};

/// Of what may succeed later.
pub const NOT_NOW: u8 = 75;

/// The code when this is the worst that happened.
pub fn code(failure: &Failure) -> u8 {
    if failure.is_retryable() {
        return NOT_NOW;
    }
    match failure.kind {
        Kind::Usage => 64,
        Kind::Payload => 65,
        Kind::Unauthorized | Kind::NotFound | Kind::Refused => 69,
        Kind::Internal => 70,
        Kind::Store => 74,
        Kind::RateLimited | Kind::Unavailable | Kind::Deadline => NOT_NOW,
        Kind::Signature => 77,
        Kind::Config => 78,
    }
}

/// The code of several endings: the worst one, where 75 outranks only 0.
pub fn worst(a: u8, b: u8) -> u8 {
    let rank = |code: u8| if code == NOT_NOW { 1 } else { code };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_exit_code_wins_and_not_now_outranks_only_success() {
        assert_eq!([0, 75, 65, 75, 0].into_iter().fold(0, worst), 65);
        assert_eq!([0, 75, 0].into_iter().fold(0, worst), 75);
        assert_eq!([69, 77, 65].into_iter().fold(0, worst), 77);
    }
}
