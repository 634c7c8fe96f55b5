//! Compiles the collector's programs and runs them over lines as containers write them.

mod configuration;
mod corpus;
mod program;
mod real;
mod record;
