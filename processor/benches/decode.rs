//! Decoding.
fn main() {}
