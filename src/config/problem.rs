//! What is wrong with settings, told at once.

use crate::failure::Failure;

/// Most that is told.
const MOST: usize = 20;

/// Makes one failure of all; `None` when there is none. Its kind is the first one's.
pub fn joined(failures: Vec<Failure>) -> Option<Failure> {
    let count = failures.len();
    let mut failures = failures.into_iter();
    let mut whole = failures.next()?;
    for failure in failures.take(MOST - 1) {
        whole.message.push_str("; ");
        whole.message.push_str(&failure.message);
        if !whole.hint.contains(&failure.hint) {
            whole.hint.push_str("; ");
            whole.hint.push_str(&failure.hint);
        }
    }
    if count > MOST {
        let further = format!("; and {} more", count - MOST);
        whole.message.push_str(&further);
    }
    Some(whole)
}

/// The value, or `None` and its failure noted.
pub fn noted<T>(failures: &mut Vec<Failure>, value: Result<T, Failure>) -> Option<T> {
    value.map_err(|failure| failures.push(failure)).ok()
}
