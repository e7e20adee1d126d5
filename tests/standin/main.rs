//! The stand-in, runnable by hand.
fn main() {}
