//! Tests of the mtlog command.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    clippy::string_slice,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails"
)]

mod cost;
mod deploy;
mod deploy_fleet;
mod deploy_states;
mod diagnose;
mod dlq;
mod docs;
mod doctor;
mod env;
mod generate;
mod iam;
mod images;
mod k8s;
mod onboard;
mod probe;
mod replay;
mod script_defects;
mod status;
mod support;
mod templates;
mod tenant;
mod tenant_file;
mod usage;
