//! The fake over HTTP, by requests written by hand.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests may fail as tests do"
)]

mod client;
mod dynamodb;
mod faults;
mod identity;
mod logs;
mod s3;
mod sqs;
