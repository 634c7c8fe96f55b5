//! A strict stand-in for the AWS services that this project calls, for tests.
//!
//! It is an HTTP server inside the test's own process. Clients, such as the real `mtlog` binary
//! started by the test, are pointed at it by `AWS_ENDPOINT_URL`; the test prepares and inspects
//! its state through [`FakeAws`], from plain or asynchronous code. What AWS refuses by its API
//! models it refuses, with the same code and in the same protocol: it is for finding out that a
//! client does something wrong, not for making things work.
//!
//! ```
//! use fake_aws::{Envelope, FakeAws, Fault, NotificationRoute, Response};
//!
//! let fake = FakeAws::start_blocking();
//! let (engine, customer) = ("111122223333", "444455556666");
//!
//! // The pipeline: a bucket that announces its objects to a queue through a topic.
//! let (queue, dead_letters) = fake.create_queue_with_dead_letters(engine, "us-east-1", "logs", 5, &[]);
//! fake.create_bucket(engine, "us-east-1", "central-logs");
//! let topic_arn = "arn:aws:sns:us-east-1:111122223333:logs".to_owned();
//! fake.notify("central-logs", NotificationRoute::new(&queue, Envelope::Sns { topic_arn }));
//! fake.put_object("central-logs", "cluster/tenant/app/pod/1.json.gz", &b"..."[..]);
//! assert_eq!(fake.queue_depth(&queue).visible, 2); // the test event and the object
//!
//! // Roles. The engine runs as a role session, so that what it takes is chained, as on Lambda.
//! let trust = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
//!     "Principal": {"AWS": "arn:aws:iam::111122223333:role/engine"}, "Action": "sts:AssumeRole",
//!     "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}}"#;
//! let lambda = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
//!     "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}"#;
//! fake.add_role("arn:aws:iam::111122223333:role/engine", lambda, &[]);
//! fake.add_role("arn:aws:iam::444455556666:role/customer", trust, &[]);
//! let keys = fake.role_credentials("arn:aws:iam::111122223333:role/engine", "test");
//!
//! // Faults, scripted.
//! let throttle = fake.inject(
//!     Fault::on("logs:PutLogEvents").account(customer).times(3).respond(Response::throttling()),
//! );
//!
//! // A client: `Command::new(...).envs(fake.environment("us-east-1", &keys))`.
//! assert!(fake.environment("us-east-1", &keys).contains(&("AWS_ENDPOINT_URL", fake.endpoint_url())));
//!
//! // Afterwards: the ledger of accepted events, queues, and the journal of calls.
//! assert_eq!(fake.log_messages(customer, "us-east-1", "group", "stream"), Vec::<String>::new());
//! assert_eq!(fake.queue_depth(&dead_letters).total(), 0);
//! assert_eq!(fake.calls("logs:Describe*"), 0);
//! assert_eq!(throttle.hits(), 0);
//! ```
//!
//! # Who calls
//!
//! The access key id in the signature names the caller; the signature must be complete and
//! well-formed, its value is not computed. Twelve digits are the root of that account
//! ([`FakeAws::root_credentials`]), who may do everything there but, as at AWS, take no role.
//! [`FakeAws::role_credentials`] opens a session of a registered role and [`FakeAws::add_user`]
//! makes a user. Roles and users with identity policies are held to them; without any they may do
//! everything in their own account. Across accounts the other side's policy (trust policy, bucket
//! policy, queue policy) must agree. The region is that of the credential scope. Unknown and
//! expired keys are refused in each service's own words.
//!
//! # Time
//!
//! Everything that depends on time (visibility, sessions, the window of accepted events, rates)
//! follows the fake's clock, which runs with the machine's until a test moves or stops it. The
//! `Date` of replies shows it too: an AWS client whose own clock is four minutes off corrects
//! itself and repeats calls that were denied; [`FakeAws::set_date_header`] avoids that.
//!
//! # Bounds
//!
//! Memory follows what the test lets it keep: [`KeepEvents`] for log events,
//! [`FakeAws::set_journal_capacity`] for calls, [`FakeAws::put_sparse_object`] and
//! [`FakeAws::put_repeated_object`] for objects of many gigabytes.
//!
//! # Deliberately absent
//!
//! FIFO queues, object versions, secondary indexes, transactions, streams, KMS, publishing to topics. Calls for them
//! fail; none is silently accepted. Bucket notifications are set by [`FakeAws::notify`] only.
//! Encryption, lifecycle, notification and public access settings of buckets are kept and given
//! back, and do nothing. Metrics are what [`FakeAws::put_metric`] puts there, alarms what
//! [`FakeAws::set_alarm`] says of them, and functions never run.
//!
//! # Adding a service
//!
//! A variant of `service::Service`, an arm in `dispatch::known_operation` and `dispatch::execute`,
//! a form in `error::render`. The service's module gets a `Context` (caller, region, time, what the
//! caller may do) and the parsed input.
//!
//! # When a test fails
//!
//! [`FakeAws::journal_text`] tells what was asked and answered, a line for each call.

mod authorize;
mod canned;
mod cbor;
mod clock;
pub mod cloudformation;
mod cloudwatch;
mod dispatch;
mod dynamodb;
mod error;
mod fake;
mod fault;
mod http;
pub mod iam;
mod iam_api;
mod identity;
mod input;
mod journal;
mod lambda;
mod logs;
pub mod notification;
mod random;
mod s3;
mod server;
mod service;
mod shared;
mod sigv4;
mod simulate;
mod sns;
mod sqs;
mod sts;
mod throttle;
mod xml;

pub use canned::Response;
pub use cloudwatch::AlarmState;
pub use dynamodb::DynamoDbSettings;
pub use fake::FakeAws;
pub use fault::{Fault, FaultHandle};
pub use identity::Credentials;
pub use journal::{CallCount, CallFacts, JournalEntry};
pub use logs::{KeepEvents, LedgerTotals, LogTarget, LoggedEvent, LogsSettings, message_hash};
pub use s3::{Envelope, NotificationRoute, S3Settings, StoredObject};
pub use shared::{DateHeader, KeepAlive};
pub use sns::Subscription;
pub use sqs::{QueueDepth, QueueStats, QueuedMessage, SqsSettings};
