//! Runs the engine.
fn main() {}
