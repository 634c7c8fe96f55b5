//! A bucket's settings and the shape of its keys, as operators look at them.

use aws_sdk_s3::types::{FilterRuleName, ServerSideEncryption};

use super::{
    fault::{Fault, FaultClass},
    s3::S3,
};

const SERVICE: &str = "s3";

/// What a bucket announces, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The topic's ARN.
    pub topic: String,
    /// The events, such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// What keys must start with; empty: anything.
    pub prefix: String,
    /// What keys must end in; empty: anything.
    pub suffix: String,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The keys.
    pub keys: Vec<String>,
    /// The next segments below the prefix, each with the prefix before it and a slash after it.
    pub prefixes: Vec<String>,
}

impl S3 {
    /// Returns what the bucket announces to topics.
    pub async fn notifications(&self, bucket: &str) -> Result<Vec<Notification>, Fault> {
        let sent = self.0.get_bucket_notification_configuration().bucket(bucket).send().await;
        let answer =
            sent.map_err(|error| Fault::new(SERVICE, "GetBucketNotificationConfiguration", error))?;
        let topics = answer.topic_configurations.unwrap_or_default().into_iter();
        Ok(topics
            .map(|topic| {
                let rules = topic.filter.and_then(|filter| filter.key);
                let rules = rules.and_then(|key| key.filter_rules).unwrap_or_default();
                let rule = |name: &FilterRuleName| {
                    let found = rules.iter().find(|rule| rule.name.as_ref() == Some(name));
                    found.and_then(|rule| rule.value.clone()).unwrap_or_default()
                };
                Notification {
                    prefix: rule(&FilterRuleName::Prefix),
                    suffix: rule(&FilterRuleName::Suffix),
                    topic: topic.topic_arn,
                    events: topic.events.iter().map(|event| event.as_str().to_owned()).collect(),
                }
            })
            .collect())
    }

    /// Returns after how many days the bucket deletes its objects; `None` if it never does.
    pub async fn expiry_days(&self, bucket: &str) -> Result<Option<i32>, Fault> {
        let sent = self.0.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
        let answer = match sent
            .map_err(|error| Fault::new(SERVICE, "GetBucketLifecycleConfiguration", error))
        {
            Ok(answer) => answer,
            Err(fault) if is_no_setting(&fault) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let rules = answer.rules.unwrap_or_default();
        let enabled = rules.iter().filter(|rule| rule.status.as_str() == "Enabled");
        Ok(enabled.filter_map(|rule| rule.expiration.as_ref()?.days).min())
    }

    /// Returns whether objects are encrypted with a key of KMS unless their writer says otherwise.
    pub async fn is_kms_encrypted(&self, bucket: &str) -> Result<bool, Fault> {
        let sent = self.0.get_bucket_encryption().bucket(bucket).send().await;
        let answer = sent.map_err(|error| Fault::new(SERVICE, "GetBucketEncryption", error))?;
        let rules = answer
            .server_side_encryption_configuration
            .map(|found| found.rules)
            .unwrap_or_default();
        Ok(rules.iter().any(|rule| {
            let default = rule.apply_server_side_encryption_by_default.as_ref();
            default.is_some_and(|default| default.sse_algorithm == ServerSideEncryption::AwsKms)
        }))
    }

    /// Returns whether all four blocks of public access are on.
    pub async fn blocks_the_public(&self, bucket: &str) -> Result<bool, Fault> {
        let sent = self.0.get_public_access_block().bucket(bucket).send().await;
        match sent.map_err(|error| Fault::new(SERVICE, "GetPublicAccessBlock", error)) {
            Ok(answer) => Ok(answer.public_access_block_configuration.is_some_and(|block| {
                [
                    block.block_public_acls,
                    block.block_public_policy,
                    block.ignore_public_acls,
                    block.restrict_public_buckets,
                ]
                .into_iter()
                .all(|on| on == Some(true))
            })),
            Err(fault) if is_no_setting(&fault) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Returns the first thousand keys below `prefix`.
    pub async fn first_keys(&self, bucket: &str, prefix: &str) -> Result<Listing, Fault> {
        let call = self.0.list_objects_v2().bucket(bucket).prefix(prefix);
        self.page(call).await
    }

    /// Returns the first thousand segments, and keys without a further one, directly below `prefix`.
    pub async fn segments(&self, bucket: &str, prefix: &str) -> Result<Listing, Fault> {
        let call = self.0.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/");
        self.page(call).await
    }

    async fn page(
        &self,
        call: aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder,
    ) -> Result<Listing, Fault> {
        let answer =
            call.send().await.map_err(|error| Fault::new(SERVICE, "ListObjectsV2", error))?;
        let prefixes = answer.common_prefixes.unwrap_or_default().into_iter();
        Ok(Listing {
            prefixes: prefixes.filter_map(|found| found.prefix).collect(),
            keys: answer
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| object.key)
                .collect(),
        })
    }
}

/// Whether a setting is simply not made: S3 answers that with an error of its own for each.
fn is_no_setting(fault: &Fault) -> bool {
    fault.class() == FaultClass::Missing
        || matches!(
            fault.code(),
            Some("NoSuchLifecycleConfiguration" | "NoSuchPublicAccessBlockConfiguration")
        )
}
