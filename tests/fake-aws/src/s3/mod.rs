//! S3: buckets, objects, listings, multipart uploads, and notifications to queues.
//!
//! Rules are those of <https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html> and of the
//! API model (`s3-2006-03-01`).

mod access;
mod body;
mod bucket;
mod checksum;
mod conditions;
mod copy;
mod delivery;
mod inspect;
mod list;
mod multipart;
mod object;
mod route;

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::error::ApiError;
use crate::http::{Payload, Reply};
use crate::iam::Policy;
use crate::shared::Context;

pub use delivery::{Envelope, NotificationRoute};
pub use inspect::{S3Settings, StoredObject};
pub(crate) use route::{Call, operation, parse};

/// The largest object of a single upload, and the largest source of a single copy: 5 GiB.
const MAX_SINGLE_BYTES: u64 = 5 << 30;

/// The state of the service.
#[derive(Debug)]
pub(crate) struct S3 {
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<String, multipart::Upload>,
    sequence: u64,
    settings: S3Settings,
}

#[derive(Debug, Clone)]
struct Bucket {
    name: String,
    owner: String,
    region: String,
    created_at: Millis,
    objects: BTreeMap<String, Object>,
    policy: Option<BucketPolicy>,
    /// Documents as they were put, by the name of their subresource.
    documents: BTreeMap<String, String>,
    routes: Vec<NotificationRoute>,
}

#[derive(Debug, Clone)]
struct BucketPolicy {
    text: String,
    parsed: Policy,
}

#[derive(Debug, Clone)]
struct Object {
    body: Payload,
    /// Without quotes.
    etag: String,
    modified_at: Millis,
    sequencer: u64,
    /// `content-type`, `content-encoding` and their like, and `x-amz-meta-*`.
    headers: BTreeMap<String, String>,
    /// Name and value of the checksum header.
    checksum: Option<(String, String)>,
    encryption: Encryption,
    tagging: String,
    /// The caller that wrote it, for notifications.
    written_by: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Encryption {
    /// The default of every bucket.
    Aes256,
    Kms {
        key_id: Option<String>,
    },
}

impl S3 {
    pub(crate) fn new() -> Self {
        Self {
            buckets: BTreeMap::new(),
            uploads: BTreeMap::new(),
            sequence: 0x0066_0000_0000_0000,
            settings: S3Settings::default(),
        }
    }

    fn next_sequencer(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Sets several of a bucket's settings at once, as a stack does.
    pub(crate) fn set_documents(&mut self, bucket: &str, documents: Vec<(&'static str, String)>) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            let named = documents.into_iter().map(|(name, text)| (name.to_owned(), text));
            bucket.documents.extend(named);
        }
    }

    fn bucket(&self, name: &str) -> Result<&Bucket, ApiError> {
        self.buckets.get(name).ok_or_else(|| no_bucket(name))
    }

    fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, ApiError> {
        self.buckets.get_mut(name).ok_or_else(|| no_bucket(name))
    }
}

impl BucketPolicy {
    fn read(text: &str) -> Result<Self, String> {
        let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let parsed = Policy::resource(&document).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), parsed })
    }
}

impl Bucket {
    fn arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.name)
    }
}

pub(crate) fn execute(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    check_declared_body(context)?;
    match context.operation {
        "ListBuckets" => bucket::list(context),
        "CreateBucket" => bucket::create(context, call),
        "HeadBucket" => bucket::head(context, call),
        "DeleteBucket" => bucket::delete(context, call),
        "GetBucketLocation" => bucket::location(context, call),
        "PutBucketPolicy" => bucket::put_policy(context, call),
        "GetBucketPolicy" => bucket::policy(context, call),
        "DeleteBucketPolicy" => bucket::delete_policy(context, call),
        "PutBucketVersioning"
        | "PutBucketEncryption"
        | "PutPublicAccessBlock"
        | "PutBucketLifecycleConfiguration"
        | "PutBucketTagging"
        | "PutBucketOwnershipControls" => bucket::put_document(context, call),
        "GetBucketVersioning"
        | "GetBucketEncryption"
        | "GetPublicAccessBlock"
        | "GetBucketLifecycleConfiguration"
        | "GetBucketTagging"
        | "GetBucketOwnershipControls"
        | "GetBucketNotificationConfiguration" => bucket::document(context, call),
        "DeleteBucketLifecycle"
        | "DeletePublicAccessBlock"
        | "DeleteBucketEncryption"
        | "DeleteBucketTagging" => bucket::delete_document(context, call),
        "ListObjectsV2" => list::objects(context, call),
        "ListObjectVersions" => list::versions(context, call),
        "GetObject" => object::get(context, call),
        "HeadObject" => object::head(context, call),
        "PutObject" => object::put(context, call),
        "DeleteObject" => object::delete(context, call),
        "DeleteObjects" => object::delete_many(context, call),
        "GetObjectTagging" => object::tagging(context, call),
        "CopyObject" => copy::object(context, call),
        "CreateMultipartUpload" => multipart::create(context, call),
        "UploadPart" => multipart::upload_part(context, call),
        "UploadPartCopy" => copy::part(context, call),
        "CompleteMultipartUpload" => multipart::complete(context, call),
        "AbortMultipartUpload" => multipart::abort(context, call),
        "ListParts" => multipart::list_parts(context, call),
        "ListMultipartUploads" => multipart::list_uploads(context, call),
        _ => Err(ApiError::new(
            501,
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
        )),
    }
}

/// Checks the declaration of the payload that version 4 signatures demand on S3.
fn check_declared_body(context: &Context<'_>) -> Result<(), ApiError> {
    let request = context.request;
    if request.query("X-Amz-Signature").is_some() {
        return Ok(());
    }
    match request.header("x-amz-content-sha256") {
        Some(_) => Ok(()),
        None => Err(ApiError::bad(
            "InvalidRequest",
            "Missing required header for this request: x-amz-content-sha256",
        )),
    }
}

fn no_bucket(name: &str) -> ApiError {
    ApiError::new(404, "NoSuchBucket", "The specified bucket does not exist")
        .member("BucketName", name)
}

fn no_key(key: &str) -> ApiError {
    ApiError::new(404, "NoSuchKey", "The specified key does not exist.").member("Key", key)
}

fn access_denied() -> ApiError {
    ApiError::new(403, "AccessDenied", "Access Denied")
}

fn invalid_argument(message: &str, name: &str, value: &str) -> ApiError {
    ApiError::bad("InvalidArgument", message)
        .member("ArgumentName", name)
        .member("ArgumentValue", value)
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

const NAMESPACE: Option<&str> = Some("http://s3.amazonaws.com/doc/2006-03-01/");
