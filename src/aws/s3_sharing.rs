//! Templates that customers read, and what the bucket of log objects holds.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::{
    error::SdkError, operation::head_bucket::HeadBucketError, presigning::PresigningConfig,
    primitives::ByteStream,
};
use jiff::Timestamp;
use mtlog_processor::model::ids::BucketName;

use super::{
    fault::{Fault, FaultClass},
    s3::S3,
};

const SERVICE: &str = "s3";
/// The longest life of a presigned URL, in seconds: 7 days
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>).
pub const LONGEST_PRESIGNED: Duration = Duration::from_hours(168);

/// A URL that anybody who has it may read an object with, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// The URL.
    pub url: String,
    /// When the signature ends.
    pub ends: Timestamp,
    /// What else may end it.
    pub signer: Signer,
}

/// Whose keys signed a URL: it dies with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// A user's, which last.
    Lasting,
    /// Those of a session that ends then.
    SessionUntil(Timestamp),
    /// Those of a session whose end nobody told.
    Session,
}

impl Presigned {
    /// Returns when the URL is dead, as far as is known.
    pub fn dies(&self) -> Timestamp {
        match self.signer {
            Signer::SessionUntil(end) => end.min(self.ends),
            Signer::Lasting | Signer::Session => self.ends,
        }
    }
}

/// Whether a bucket can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketSight {
    /// No bucket has this name.
    Absent,
    /// It exists, and is in this region, as far as the answer tells. Whether it may be listed is another matter.
    Exists {
        /// The region.
        region: Option<String>,
    },
}

impl S3 {
    /// Returns the policy of a bucket as text, if it has one.
    pub async fn policy(&self, bucket: &BucketName) -> Result<Option<String>, Fault> {
        let sent = self.0.get_bucket_policy().bucket(bucket.as_str()).send().await;
        match sent.map_err(|error| Fault::new(SERVICE, "GetBucketPolicy", error)) {
            Ok(answer) => Ok(answer.policy),
            Err(fault) if fault.code() == Some("NoSuchBucketPolicy") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Replaces the policy of a bucket.
    pub async fn set_policy(&self, bucket: &BucketName, policy: &str) -> Result<(), Fault> {
        let sent = self.0.put_bucket_policy().bucket(bucket.as_str()).policy(policy).send().await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "PutBucketPolicy", error))
    }

    /// Signs a URL for reading an object. No call is made for it.
    pub async fn presigned(
        &self,
        bucket: &BucketName,
        key: &str,
        life: Duration,
    ) -> Result<Presigned, Fault> {
        const OPERATION: &str = "GetObject";
        let unsendable = |error| Fault::unsendable(SERVICE, OPERATION, error);
        let now = SystemTime::now();
        let config = PresigningConfig::builder()
            .start_time(now)
            .expires_in(life.min(LONGEST_PRESIGNED))
            .build()
            .map_err(|error| unsendable(Box::<dyn std::error::Error + Send + Sync>::from(error)))?;
        let request = self.0.get_object().bucket(bucket.as_str()).key(key);
        let signed = request
            .presigned(config)
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        let ends = Timestamp::try_from(now + life.min(LONGEST_PRESIGNED))
            .map_err(|error| unsendable(error.into()))?;
        Ok(Presigned { url: signed.uri().to_owned(), ends, signer: self.signer().await })
    }

    async fn signer(&self) -> Signer {
        let Some(provider) = self.1.as_ref() else { return Signer::Session };
        match provider.provide_credentials().await {
            Ok(keys) => match (keys.session_token(), keys.expiry()) {
                (None, _) => Signer::Lasting,
                (Some(_), Some(end)) => {
                    Timestamp::try_from(end).map_or(Signer::Session, Signer::SessionUntil)
                }
                (Some(_), None) => Signer::Session,
            },
            Err(_) => Signer::Session,
        }
    }

    /// Returns the next parts of the keys below `prefix`, each with its `/`: the directories, as a file system has them.
    pub async fn directories(
        &self,
        bucket: &BucketName,
        prefix: &str,
    ) -> Result<Vec<String>, Fault> {
        let mut pages = self
            .0
            .list_objects_v2()
            .bucket(bucket.as_str())
            .prefix(prefix)
            .delimiter("/")
            .into_paginator()
            .send();
        let mut directories = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Fault::new(SERVICE, "ListObjectsV2", error))?;
            directories.extend(page.common_prefixes().iter().filter_map(|common| {
                Some(common.prefix()?.strip_prefix(prefix)?.trim_end_matches('/').to_owned())
            }));
        }
        Ok(directories)
    }

    /// Whether any key starts with `prefix`.
    pub async fn has_any(&self, bucket: &BucketName, prefix: &str) -> Result<bool, Fault> {
        let answer = self
            .0
            .list_objects_v2()
            .bucket(bucket.as_str())
            .prefix(prefix)
            .max_keys(1)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "ListObjectsV2", error))?;
        Ok(!answer.contents().is_empty())
    }

    /// Looks at a bucket that belongs to somebody else. That nothing in it may be listed is expected.
    pub async fn sight(&self, bucket: &BucketName) -> Result<BucketSight, Fault> {
        let error = match self.0.head_bucket().bucket(bucket.as_str()).send().await {
            Ok(answer) => return Ok(BucketSight::Exists { region: answer.bucket_region }),
            Err(error) => error,
        };
        let region = region_of(&error);
        let fault = Fault::new(SERVICE, "HeadBucket", error);
        match fault.class() {
            FaultClass::Missing => Ok(BucketSight::Absent),
            FaultClass::Denied => Ok(BucketSight::Exists { region }),
            _ if region.is_some() => Ok(BucketSight::Exists { region }),
            _ => Err(fault),
        }
    }

    /// Writes a small object into a bucket that belongs to somebody else.
    pub async fn put_probe(
        &self,
        bucket: &BucketName,
        key: &str,
        content: String,
    ) -> Result<(), Fault> {
        let sent = self
            .0
            .put_object()
            .bucket(bucket.as_str())
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(content.into_bytes()))
            .send()
            .await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "PutObject", error))
    }
}

/// Every answer about a bucket names its region, a refusal too
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>).
fn region_of(error: &SdkError<HeadBucketError>) -> Option<String> {
    error.raw_response()?.headers().get("x-amz-bucket-region").map(str::to_owned)
}
