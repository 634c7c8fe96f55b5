//! Tests of the mtlog command.

mod generate;
mod k8s;
mod support;
mod templates;
mod usage;
