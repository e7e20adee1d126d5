//! A panic is a bug of ours, and ends like every other failure: with a line and an exit code.
//!
//! Apart because it is the only place that knows how panics are caught. What a panic says is not
//! shown, for it may repeat a client's words; where it happened is.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use crate::domain::failure::{Failure, Kind};
use crate::time::simulation::Killed;

/// Where the last panic was that nobody has told of yet.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Held by tests that panic on purpose.
#[cfg(test)]
pub static ALONE: Mutex<()> = Mutex::new(());

/// From now on a panic prints nothing; whoever catches it tells of it.
pub fn silence_panics() {
    panic::set_hook(Box::new(note));
}

fn note(panic: &PanicHookInfo) {
    let place = panic.location().map(ToString::to_string);
    *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
}

/// Does the work; a panic in it, or in a thread that it waits for, is a failure. But who kills a
/// simulated process has it dead.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // What the work leaves half done is in the store, and is looked at before it is believed.
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        if panic.is::<Killed>() {
            panic::resume_unwind(panic);
        }
        let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place
            .take()
            .map_or(String::new(), |place| format!(" ({place})"));
        Failure::new(
            Kind::Internal,
            format!("quotion has a bug, and came to it{place}"),
            "report it, with this line and what was piped in if you may show it",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time;

    #[track_caller]
    fn check(work: impl FnOnce()) {
        silence_panics();
        let failure = caught(work).expect_err("it panics");
        drop(panic::take_hook());
        assert_eq!(failure.kind, Kind::Internal);
        let place = "(src/bug.rs:";
        assert!(failure.message.contains(place), "{}", failure.message);
        assert!(!failure.message.contains("Rosa"), "{}", failure.message);
        assert!(failure.hint.starts_with("report it"), "{}", failure.hint);
    }

    #[test]
    fn panic_of_any_thread_is_a_failure_that_says_where_and_not_what() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        check(|| panic!("Rosa Quint"));
        check(|| _ = time::both(|| panic!("Rosa"), || 1));
        check(|| _ = time::both(|| 1, || panic!("Rosa")));
        check(|| {
            let work = |item: usize| assert!(item != 2, "Rosa");
            drop(time::side_by_side(vec![0, 1, 2, 3], 2, work));
        });
        assert_eq!(caught(|| 5), Ok(5));
    }

    #[test]
    fn process_that_is_killed_in_a_simulation_is_no_bug() {
        let kill = || caught(|| panic::resume_unwind(Box::new(Killed)));
        let ended = panic::catch_unwind(AssertUnwindSafe(kill));
        assert!(ended.expect_err("it goes on").is::<Killed>());
    }
}
