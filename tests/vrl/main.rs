//! Compiles the collector's programs and runs them over lines as containers write them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, which is how it fails, and says what it could not try"
)]

mod configuration;
mod corpus;
mod program;
mod real;
mod record;
mod unit;
