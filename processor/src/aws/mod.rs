//! The engine's ports on AWS. The only place that knows the SDK.

pub mod checkpoints;
pub mod cloudwatch;
pub mod copier;
pub mod dynamodb;
mod fault;
pub mod roles;
pub mod s3;
pub mod session;
mod skew;
pub mod sqs;
pub mod vector;
