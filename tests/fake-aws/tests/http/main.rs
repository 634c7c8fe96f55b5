//! The fake over HTTP, by requests written by hand.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_stack_arrays,
    clippy::string_slice,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test may panic: that is how it fails"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests may fail as tests do"
)]

mod client;
mod cloudformation;
mod dynamodb;
mod faults;
mod identity;
mod logs;
mod moves;
mod s3;
mod sns;
mod sqs;
