//! The Turnstone program.
fn main() {}
