//! Measures the real binary against the stand-in: `scripts/bench`. Ratios and medians, for machines are noisy.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::cast_precision_loss, missing_docs)]

mod inbox;
mod run;
#[path = "../standin/lib.rs"]
mod standin;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let binary = args.first().expect("path of the binary");
    let part = args.get(1).map_or("all", String::as_str);
    if part != "inbox" {
        run::measure(binary);
    }
    if part != "run" {
        inbox::measure(binary);
    }
}
