//! Being told to stop: by SIGINT or SIGTERM, whose handlers set the flags that are kept here.
//!
//! Apart because everything that waits looks here, and nothing here knows what a signal is. What is
//! being sent is finished; whatever would begin after it finds that the time is up.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::simulation;

/// What is being sent has so long to come to its end, of the 5 s in which the program must. Then it
/// is let go, and told of.
pub const GRACE: Duration = Duration::from_millis(3_500);
/// After so long the program ends, whatever it is at.
const END: Duration = Duration::from_millis(4_700);
/// How often waits look whether to go on.
pub const LOOK: Duration = Duration::from_millis(50);

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static IDLE: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static WATCH: Once = Once::new();

/// Set by the first signal.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(&STOP)
}

/// Set while nothing is in hand but a wait for input: a signal may end the program on the spot.
pub fn idle_flag() -> Arc<AtomicBool> {
    Arc::clone(&IDLE)
}

/// True once the program was told to stop; a simulated process is told by its simulation alone.
pub fn is_told() -> bool {
    match simulation::current() {
        Some(simulation) => simulation.is_told_to_stop(),
        None => STOP.load(Ordering::Relaxed),
    }
}

/// How long ago the program was first seen to be told to stop; zero if it was not.
pub fn since() -> Duration {
    static SEEN: OnceLock<Instant> = OnceLock::new();
    if is_told() {
        super::since(*SEEN.get_or_init(super::now))
    } else {
        Duration::ZERO
    }
}

/// Does what may be cut off at any moment without loss: a wait for input.
pub fn idle<T>(wait: impl FnOnce() -> T) -> T {
    IDLE.store(true, Ordering::SeqCst);
    let input = wait();
    IDLE.store(false, Ordering::SeqCst);
    input
}

/// From now on the process ends with `code` when it was told to stop and what is being sent does
/// not come to its end. Nothing is lost by that: whatever is sent was kept before.
#[expect(
    clippy::exit,
    reason = "an exchange that hangs cannot be ended in another way"
)]
pub fn watch(code: u8) {
    WATCH.call_once(|| {
        thread::spawn(move || {
            while !is_told() {
                super::nap(LOOK);
            }
            super::nap(END);
            process::exit(i32::from(code));
        });
    });
}
