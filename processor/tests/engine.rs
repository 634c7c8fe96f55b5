//! The engine as it ships: the real binary, over HTTP, against a strict stand-in for AWS.
//!
//! Every test states what was put in, what went wrong, and checks the ledger, the
//! queues and the duplicates. Modules are named after the parts of the fault matrix.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    clippy::string_slice,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails"
)]

#[path = "engine/evidence.rs"]
mod evidence;
#[path = "engine/matrix.rs"]
mod matrix;
#[path = "engine/runtime_api.rs"]
mod runtime_api;
#[path = "engine/world.rs"]
mod world;

#[path = "engine/notification.rs"]
mod notification;

#[path = "engine/access.rs"]
mod access;
#[path = "engine/cloudwatch.rs"]
mod cloudwatch;
#[path = "engine/content.rs"]
mod content;
#[path = "engine/function.rs"]
mod function;
#[path = "engine/isolation.rs"]
mod isolation;
#[path = "engine/process.rs"]
mod process;
#[path = "engine/simulation.rs"]
mod simulation;
#[path = "engine/timestamps.rs"]
mod timestamps;
#[path = "engine/vector.rs"]
mod vector;
