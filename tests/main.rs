//! Tests of the mtlog command.

mod generate;
mod templates;
