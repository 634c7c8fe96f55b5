//! A strict stand-in for AWS.

mod authorize;
mod canned;
mod clock;
mod dispatch;
mod dynamodb;
mod error;
mod fake;
mod fault;
mod http;
pub mod iam;
mod identity;
mod input;
mod journal;
mod logs;
pub mod notification;
mod random;
mod s3;
mod server;
mod service;
mod shared;
mod sigv4;
mod sqs;
mod sts;
mod throttle;
mod xml;

pub use canned::Response;
pub use dynamodb::DynamoDbSettings;
pub use fake::FakeAws;
pub use fault::{Fault, FaultHandle};
pub use identity::Credentials;
pub use journal::{CallCount, CallFacts, JournalEntry};
pub use logs::{KeepEvents, LedgerTotals, LogTarget, LoggedEvent, LogsSettings, message_hash};
pub use s3::{Envelope, NotificationRoute, S3Settings, StoredObject};
pub use shared::{DateHeader, KeepAlive};
pub use sqs::{QueueDepth, QueueStats, QueuedMessage, SqsSettings};
