//! Measures the real binary against the stand-in: `scripts/bench`. Medians, and ratios to a
//! straight-line program (`baseline.rs`) that does the same work on the same machine, because
//! machines are noisy and differ.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    missing_docs
)]

mod baseline;
mod batch;
mod contacts;
mod events;
mod inbox;
mod memory;
mod run;
mod size;
#[path = "../standin/lib.rs"]
mod standin;
mod table;
mod user;

/// Measures the binary at that path.
type Part = fn(&str);

/// Parts by name, in the order in which `all` runs them.
const PARTS: [(&str, Part); 6] = [
    ("size", size::measure),
    ("run", run::measure),
    ("batch", batch::measure),
    ("memory", memory::measure),
    ("contacts", contacts::measure),
    ("inbox", inbox::measure),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["baseline"] => baseline::main(),
        [binary, part] if *part == "all" || PARTS.iter().any(|(name, _)| name == part) => {
            let wanted = PARTS
                .iter()
                .filter(|(name, _)| name == part || *part == "all");
            wanted.for_each(|(_, measure)| measure(binary));
        }
        _ => panic!(
            "usage: bench PROGRAM all|{}",
            PARTS.map(|(name, _)| name).join("|")
        ),
    }
}
