//! The mtlog command.
fn main() {}
