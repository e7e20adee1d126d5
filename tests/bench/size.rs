//! Size of the release binary.

use crate::table::{Table, mib, verdict};

/// Most MiB that the binary may have.
const TARGET: f64 = 12.0;

pub fn measure(binary: &str) {
    let bytes = std::fs::metadata(binary).expect("the binary").len();
    let table = Table::new(&["binary", "MiB", "target"]);
    table.row(&[
        "quotion".to_owned(),
        mib(bytes),
        verdict(bytes as f64 / 1024.0 / 1024.0, TARGET),
    ]);
}
