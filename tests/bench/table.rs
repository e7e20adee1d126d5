//! Plain aligned tables, printed line by line, because some lines take minutes.

use std::time::Duration;

/// Width of the first column, which names the row.
const NAME: usize = 44;

/// A table whose head is printed.
pub struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints the head; the first column is the title.
    pub fn new(heads: &[&str]) -> Self {
        let widths = heads
            .iter()
            .skip(1)
            .map(|head| head.chars().count().max(9) + 1)
            .collect();
        let table = Self { widths };
        println!();
        table.row(
            &heads
                .iter()
                .map(|head| (*head).to_owned())
                .collect::<Vec<_>>(),
        );
        table
    }

    /// Prints one row; cells that are left out at the end are empty.
    pub fn row(&self, cells: &[String]) {
        let mut line = format!("{:<NAME$}", cells[0]);
        for (cell, width) in cells[1..].iter().zip(&self.widths) {
            let padding = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', padding));
            line.push_str(cell);
        }
        println!("{}", line.trim_end());
    }
}

/// In milliseconds.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// In milliseconds, for very short ones.
pub fn micros(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

/// In seconds.
pub fn secs(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// Bytes in MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0 / 1024.0)
}

/// One number for each of so many.
pub fn each(number: usize, of: usize) -> String {
    format!("{:.2}", number as f64 / of as f64)
}

/// How much of `whole` the part is.
pub fn ratio(part: Duration, whole: Duration) -> String {
    format!("{:.2}", part.as_secs_f64() / whole.as_secs_f64())
}

/// The target and whether it is met.
pub fn verdict(value: f64, most: f64) -> String {
    format!("≤{most} {}", if value <= most { "yes" } else { "NO" })
}

/// Where nothing was measured.
pub fn none() -> String {
    "-".to_owned()
}
