//! What the engine needs of the world, as contracts.
//!
//! `aws` and `memory` implement them; the engine knows nothing else of the
//! outside. Every method may be called from many tasks at once. A method that
//! returns a [`Fault`] has had no effect that its caller must undo, unless the
//! fault is [`FaultClass::Ambiguous`].

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::model::{
    arn::RoleArn,
    events::Batch,
    ids::{BucketName, ExternalId, LogGroupName, LogStreamName, Region, TenantId},
    notification::ObjectRef,
    outcome::SystemicReason,
    progress::{Progress, WorkId},
    secret::Secret,
    tenant::{InvalidItem, TenantItem},
};

/// How a failed call is to be treated. The adapters decide it; the engine never reads error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// The service asks to slow down. It did nothing.
    Throttled,
    /// The service failed before it did anything, or says that it did nothing.
    Unavailable,
    /// The answer was lost or is unreadable: the call may have had its effect.
    Ambiguous,
    /// The credentials have expired; fresh ones were asked for.
    Expired,
    /// The caller may not do this.
    Denied,
    /// The customer's role refuses us, or does not exist.
    RoleDenied,
    /// The region is not active in the account.
    RegionDisabled,
    /// The thing does not exist.
    Missing,
    /// The thing exists already.
    Exists,
    /// Somebody else is changing the thing right now.
    Conflict,
    /// An account-wide number is used up.
    LimitExceeded,
    /// The request itself is refused.
    Invalid,
    /// The object is not the one that was asked for (`If-Match`).
    Changed,
    /// The range starts behind the object's end.
    OutOfRange,
    /// The engine itself cannot work; no other message would fare better.
    Systemic(SystemicReason),
}

/// A failed call.
#[derive(Debug)]
pub struct Fault {
    /// How to treat it.
    pub class: FaultClass,
    /// The operation's name, such as `PutLogEvents`.
    pub operation: &'static str,
    /// The service's error code, if it sent one.
    pub code: Option<String>,
    /// The id to ask the service's support about.
    pub request_id: Option<String>,
    /// What is known beyond that. Never contains log content or credentials.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// Makes a fault of which only the class is known.
    pub const fn new(class: FaultClass, operation: &'static str) -> Self {
        Self { class, operation, code: None, request_id: None, source: None }
    }

    /// Adds the service's error code.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.operation)?;
        if let Some(code) = &self.code {
            write!(f, " with `{code}`")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Names one receipt of one message. Another receive of the same message has another handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A message as the queue hands it out.
#[derive(Debug, Clone)]
pub struct Message {
    /// The queue's id of the message; the same at every receive.
    pub id: String,
    /// The handle of this receive.
    pub receipt: Receipt,
    /// The body.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent, in milliseconds since the epoch.
    pub sent_ms: i64,
}

/// What the queue is set up to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueSettings {
    /// After how many receives the queue moves a message to the dead-letter queue.
    pub max_receives: Option<u32>,
    /// Whether letters can be sent: the dead-letter queue is known.
    pub has_dead_letter_queue: bool,
}

/// How many messages there are, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Waiting.
    pub visible: u64,
    /// Received by somebody and not yet deleted.
    pub in_flight: u64,
    /// Not yet due.
    pub delayed: u64,
}

/// A message for the dead-letter queue. The body is such that a redrive to the source queue works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The body.
    pub body: String,
    /// Name and value; at most ten.
    pub attributes: Vec<(&'static str, String)>,
}

/// The queue that messages come from. At least once, in any order.
pub trait Queue: Send + Sync {
    /// Waits at most `wait` for at most `max` (1 to 10) messages and hides them for `visibility`.
    fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> BoxFuture<'_, Result<Vec<Message>, Fault>>;

    /// Deletes at most ten messages. Returns for each, in order, whether it is gone.
    fn delete<'a>(
        &'a self,
        receipts: &'a [Receipt],
    ) -> BoxFuture<'a, Result<Vec<Result<(), Fault>>, Fault>>;

    /// Hides a message for `visibility` from now on.
    /// [`FaultClass::Missing`] means that this receive does not hold the message any more.
    fn set_visibility<'a>(
        &'a self,
        receipt: &'a Receipt,
        visibility: Duration,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Sends a message to this queue, due after `delay` (at most 15 minutes); `group` marks whose it is.
    fn send<'a>(
        &'a self,
        body: &'a str,
        delay: Duration,
        group: &'a str,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Sends a letter to the dead-letter queue. [`FaultClass::Missing`] when there is none.
    fn bury<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<(), Fault>>;

    /// Reads the queue's settings.
    fn settings(&self) -> BoxFuture<'_, Result<QueueSettings, Fault>>;

    /// Counts the messages.
    fn depth(&self) -> BoxFuture<'_, Result<QueueDepth, Fault>>;
}

/// What is known of an object once its first byte is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Changes whenever the content does.
    pub etag: String,
    /// The size of the whole object in bytes.
    pub size: u64,
    /// When it was written, in milliseconds since the epoch.
    pub last_modified_ms: i64,
}

/// A part of an object on its way here.
pub struct ObjectBody {
    /// The object.
    pub info: ObjectInfo,
    /// The bytes of the part. May end early: the receiver counts, and asks again for the rest.
    pub bytes: BoxStream<'static, Result<Bytes, Fault>>,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody").field("info", &self.info).finish_non_exhaustive()
    }
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The object, with its size and entity tag.
    pub object: ObjectRef,
    /// When it was written, in milliseconds since the epoch.
    pub last_modified_ms: i64,
}

/// A part of a listing, in the order of the keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// Where to go on: the key to start after. None at the end.
    pub next: Option<String>,
}

/// The bucket that objects are read from.
pub trait ObjectStore: Send + Sync {
    /// Reads `length` bytes from `start`, fewer at the object's end. With `if_match`, only of that content:
    /// [`FaultClass::Changed`] otherwise. An empty object, or a `start` behind its end, is [`FaultClass::OutOfRange`].
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>>;

    /// Lists the objects whose key starts with `prefix` and lies after `start_after`.
    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>>;
}

/// One item of a tenant: usable, or its sort key and what is wrong with it.
pub type DirectoryItem = Result<TenantItem, UnusableItem>;

/// An item that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableItem {
    /// The sort key as it stands.
    pub kind: String,
    /// Whether the item is switched on, as far as that can be read.
    pub enabled: bool,
    /// What is wrong.
    pub problem: InvalidItem,
}

/// The table of tenants.
pub trait TenantDirectory: Send + Sync {
    /// Returns all items of `tenant`, the unusable ones too; none when it is unknown.
    fn items<'a>(
        &'a self,
        tenant: &'a TenantId,
    ) -> BoxFuture<'a, Result<Vec<DirectoryItem>, Fault>>;
}

/// The way into a customer's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    /// Whose logs these are; named in the role session.
    pub tenant: TenantId,
    /// The customer's role.
    pub role: RoleArn,
    /// The id that the role's trust policy asks for; none: the central account's id.
    pub external_id: Option<Secret<ExternalId>>,
    /// The region of the log group.
    pub region: Region,
}

/// A log stream in a customer's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogTarget {
    /// The way there.
    pub access: Access,
    /// The log group.
    pub group: LogGroupName,
    /// The log stream.
    pub stream: LogStreamName,
}

/// What the service says about an accepted batch.
/// The indices refer to the events in the order in which they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PutReport {
    /// Events before this index are older than 14 days.
    pub too_old_end: Option<usize>,
    /// Events before this index are older than the group's retention.
    pub expired_end: Option<usize>,
    /// Events from this index on are too far in the future.
    pub too_new_start: Option<usize>,
}

/// What stands around the events in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// Up to the bracket that opens the list of events.
    pub front: Vec<u8>,
    /// From the bracket that closes it.
    pub back: &'static [u8],
}

/// The customers' CloudWatch Logs. Assumes the roles that it needs.
pub trait LogSink: Send + Sync {
    /// Sends one batch in one call, without a retry.
    /// [`FaultClass::Missing`] when the group or the stream does not exist; [`FaultClass::Invalid`] when any event is refused.
    fn put<'a>(
        &'a self,
        target: &'a LogTarget,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>>;

    /// Returns what stands around the events in a request to `target`, if one batch is sent in one piece.
    fn enclosure(&self, target: &LogTarget) -> Option<Enclosure> {
        let _ = target;
        None
    }

    /// Creates the stream. [`FaultClass::Missing`] when the group does not exist, [`FaultClass::Exists`] when the stream does.
    fn create_stream<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>>;

    /// Creates the group. [`FaultClass::Exists`] when it is there.
    fn create_group<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>>;

    /// Sets the group's retention.
    fn set_retention<'a>(
        &'a self,
        target: &'a LogTarget,
        days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}

/// A copy into a customer's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyJob {
    /// Whose logs these are.
    pub tenant: TenantId,
    /// What to copy.
    pub source: ObjectRef,
    /// The customer's bucket.
    pub bucket: BucketName,
    /// The bucket's region.
    pub region: Region,
    /// The key there.
    pub key: String,
    /// What to write beside the copy. Nothing of the source's own metadata is kept.
    pub metadata: Vec<(&'static str, String)>,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// The source's entity tag.
    pub etag: String,
    /// The size in bytes.
    pub bytes: u64,
}

/// The customers' buckets.
pub trait ObjectCopier: Send + Sync {
    /// Copies an object on the server's side, whatever its size. Doing it again writes the same object again.
    /// [`FaultClass::Missing`] when the source does not exist, [`FaultClass::Invalid`] when the bucket does not.
    fn copy<'a>(&'a self, job: &'a CopyJob) -> BoxFuture<'a, Result<CopyReport, Fault>>;
}

/// Whether work is this process's to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is, from where somebody may have come.
    Granted(Option<Progress>),
    /// Somebody else does it right now.
    Busy,
}

/// Where progress within objects is kept between two attempts, beside the memory of this process.
pub trait Checkpoints: Send + Sync {
    /// Takes the work for this process, for a few minutes from now on or until [`Checkpoints::release`].
    fn claim<'a>(&'a self, id: &'a WorkId) -> BoxFuture<'a, Result<Claim, Fault>>;

    /// Notes progress and extends the claim. [`FaultClass::Changed`] when somebody else has taken the work.
    fn save<'a>(
        &'a self,
        id: &'a WorkId,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>>;

    /// Notes progress and gives the work up.
    fn release<'a>(
        &'a self,
        id: &'a WorkId,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}

/// The time. All waiting goes through it, so that tests can make it pass.
pub trait Clock: Send + Sync {
    /// Returns the time in milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}
