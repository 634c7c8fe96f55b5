//! The bucket that child templates are uploaded to.

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::{
    Client,
    config::Builder,
    error::SdkError,
    operation::head_bucket::HeadBucketError,
    primitives::ByteStream,
    types::{BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration},
};
use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, BucketName, Region},
};

use super::{
    fault::{Fault, FaultClass},
    session::Addressing,
};

const SERVICE: &str = "s3";
/// The one region whose name `CreateBucket` does not take.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>.
const DEFAULT_LOCATION: &str = "us-east-1";

/// A client for S3 in one region.
#[derive(Debug, Clone)]
pub struct S3(pub(super) Client, pub(super) Option<SharedCredentialsProvider>);

/// What is known about a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketPresence {
    /// No bucket has this name.
    Absent,
    /// The account owns it.
    Ours {
        /// Where it is, as far as the answer tells.
        region: Option<String>,
    },
    /// Somebody else owns it, or we may not look at it.
    Foreign,
    /// The account may own it, but it is in another region.
    Elsewhere {
        /// The region.
        region: String,
    },
}

/// How many objects a bucket holds, as far as one look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstObjects {
    /// As many as were seen.
    pub count: usize,
    /// Whether there are more.
    pub more: bool,
}

/// Whether an object was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Now,
    /// An object with this key was there already.
    Before,
}

impl S3 {
    pub(super) fn new(config: &SdkConfig, addressing: Addressing) -> Self {
        let path_style = addressing == Addressing::Path;
        let client = Client::from_conf(Builder::from(config).force_path_style(path_style).build());
        Self(client, config.credentials_provider())
    }

    /// Returns whether `bucket` exists and belongs to `owner`.
    pub async fn presence(
        &self,
        bucket: &BucketName,
        owner: &AccountId,
    ) -> Result<BucketPresence, Fault> {
        let sent = self
            .0
            .head_bucket()
            .bucket(bucket.as_str())
            .expected_bucket_owner(owner.as_str())
            .send()
            .await;
        let error = match sent {
            Ok(answer) => return Ok(BucketPresence::Ours { region: answer.bucket_region }),
            Err(error) => error,
        };
        if let Some(region) = moved_to(&error) {
            return Ok(BucketPresence::Elsewhere { region });
        }
        let fault = Fault::new(SERVICE, "HeadBucket", error);
        match fault.class() {
            FaultClass::Missing => Ok(BucketPresence::Absent),
            FaultClass::Denied => Ok(BucketPresence::Foreign),
            _ => Err(fault),
        }
    }

    /// Counts the objects of a bucket, up to a thousand.
    pub async fn first_objects(&self, bucket: &BucketName) -> Result<FirstObjects, Fault> {
        let answer = self
            .0
            .list_objects_v2()
            .bucket(bucket.as_str())
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "ListObjectsV2", error))?;
        Ok(FirstObjects {
            count: answer.contents().len(),
            more: answer.is_truncated().unwrap_or(false),
        })
    }

    /// Makes a private bucket that only takes requests over TLS.
    pub async fn create_private_bucket(
        &self,
        bucket: &BucketName,
        region: &Region,
    ) -> Result<(), Fault> {
        let location = (region.as_str() != DEFAULT_LOCATION).then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region.as_str()))
                .build()
        });
        self.0
            .create_bucket()
            .bucket(bucket.as_str())
            .set_create_bucket_configuration(location)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "CreateBucket", error))?;
        self.make_private(bucket, region).await
    }

    /// Whether the bucket has a policy.
    pub async fn has_policy(&self, bucket: &BucketName) -> Result<bool, Fault> {
        let sent = self.0.get_bucket_policy().bucket(bucket.as_str()).send().await;
        match sent.map_err(|error| Fault::new(SERVICE, "GetBucketPolicy", error)) {
            Ok(_) => Ok(true),
            Err(fault) if fault.code() == Some("NoSuchBucketPolicy") => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Keeps the public out of a bucket, and requests without TLS.
    pub async fn make_private(&self, bucket: &BucketName, region: &Region) -> Result<(), Fault> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        self.0
            .put_public_access_block()
            .bucket(bucket.as_str())
            .public_access_block_configuration(block)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "PutPublicAccessBlock", error))?;
        self.0
            .put_bucket_policy()
            .bucket(bucket.as_str())
            .policy(tls_only_policy(bucket, region))
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "PutBucketPolicy", error))?;
        Ok(())
    }

    /// Writes an object unless the key is taken. Meant for keys that contain the content's hash.
    pub async fn put_if_absent(
        &self,
        bucket: &BucketName,
        owner: &AccountId,
        key: &str,
        content: Vec<u8>,
    ) -> Result<Written, Fault> {
        let sent = self
            .0
            .put_object()
            .bucket(bucket.as_str())
            .expected_bucket_owner(owner.as_str())
            .key(key)
            .if_none_match("*")
            .content_type("application/yaml")
            .body(ByteStream::from(content))
            .send()
            .await;
        match sent.map_err(|error| Fault::new(SERVICE, "PutObject", error)) {
            Ok(_) => Ok(Written::Now),
            Err(fault) if fault.code() == Some("PreconditionFailed") => Ok(Written::Before),
            Err(fault) => Err(fault),
        }
    }

    /// Writes a log object as the collector does. What was there under this key is replaced.
    pub async fn put_log_object(
        &self,
        bucket: &BucketName,
        key: &str,
        gzip: Vec<u8>,
    ) -> Result<(), Fault> {
        let sent = self
            .0
            .put_object()
            .bucket(bucket.as_str())
            .key(key)
            .content_type("text/x-log")
            .content_encoding("gzip")
            .body(ByteStream::from(gzip))
            .send()
            .await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "PutObject", error))
    }

    /// Whether an object with this key exists.
    pub async fn has_object(
        &self,
        bucket: &BucketName,
        owner: &AccountId,
        key: &str,
    ) -> Result<bool, Fault> {
        let sent = self
            .0
            .head_object()
            .bucket(bucket.as_str())
            .expected_bucket_owner(owner.as_str())
            .key(key)
            .send()
            .await;
        match sent.map_err(|error| Fault::new(SERVICE, "HeadObject", error)) {
            Ok(_) => Ok(true),
            Err(fault) if fault.class() == FaultClass::Missing => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// A redirect to the bucket's region: HEAD has no body, so only the header tells.
fn moved_to(error: &SdkError<HeadBucketError>) -> Option<String> {
    let response = error.raw_response()?;
    let status = response.status().as_u16();
    if status != 301 && status != 307 && status != 400 {
        return None;
    }
    response.headers().get("x-amz-bucket-region").map(str::to_owned)
}

fn tls_only_policy(bucket: &BucketName, region: &Region) -> String {
    let partition = Partition::of(region);
    let arn = format!("arn:{partition}:s3:::{bucket}");
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_policy_names_the_bucket_in_its_partition() {
        let policy = tls_only_policy(&"b-1x".parse().unwrap(), &"us-gov-west-1".parse().unwrap());
        assert!(
            policy.contains(
                r#""Resource":["arn:aws-us-gov:s3:::b-1x","arn:aws-us-gov:s3:::b-1x/*"]"#
            ),
            "{policy}"
        );
        assert!(policy.contains(r#""aws:SecureTransport":"false""#), "{policy}");
    }
}
