//! The only users of the AWS SDKs in this crate: thin clients with domain types on both sides.
//!
//! What an SDK error means is decided in [`fault`]. Nothing here prints, asks or reads settings.

mod change_set;
pub mod cloudformation;
pub mod dynamodb;
pub mod ecr;
pub mod fault;
pub mod s3;
pub mod session;
mod stack;
pub mod sts;
