//! The only users of the AWS SDKs in this crate: thin clients with domain types on both sides.
//!
//! What an SDK error means is decided in [`fault`]. Nothing here prints, asks or reads settings.

pub mod bucket;
mod budget;
mod change_set;
pub mod cloudformation;
pub mod cloudwatch;
mod drift;
pub mod dynamodb;
pub mod ecr;
pub mod fault;
pub mod heartbeat;
pub mod iam;
pub mod lambda;
pub mod logs;
pub mod messages;
pub mod mfa;
pub mod moves;
pub mod objects;
pub mod permission;
pub mod processor_log;
pub mod s3;
pub mod s3_sharing;
pub mod session;
pub mod sns;
pub mod sqs;
mod stack;
pub mod sts;
