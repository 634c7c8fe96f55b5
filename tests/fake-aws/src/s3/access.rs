//! Who may touch a bucket: existence, region, owner, policies.

use super::{Bucket, S3, access_denied, no_key};
use crate::error::ApiError;
use crate::shared::Context;

/// Finds a bucket and checks that the caller may do this to it, or to one of its objects.
pub(super) fn bucket<'a>(
    context: &Context<'_>,
    s3: &'a S3,
    name: &str,
    action: &str,
    key: Option<&str>,
) -> Result<&'a Bucket, ApiError> {
    let bucket = s3.bucket(name)?;
    if bucket.region != context.region {
        return Err(ApiError::new(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
            .member("Endpoint", format!("{name}.s3.{}.amazonaws.com", bucket.region))
            .member("Bucket", name)
            .header("x-amz-bucket-region", &*bucket.region));
    }
    check_owner(context, "x-amz-expected-bucket-owner", bucket)?;
    check(context, bucket, action, key)?;
    Ok(bucket)
}

/// Checks the owner that the caller expects.
pub(super) fn check_owner(
    context: &Context<'_>,
    header: &str,
    bucket: &Bucket,
) -> Result<(), ApiError> {
    match context.request.header(header) {
        Some(expected) if expected != bucket.owner => Err(access_denied()),
        _ => Ok(()),
    }
}

/// Checks that the caller may do this.
pub(super) fn check(
    context: &Context<'_>,
    bucket: &Bucket,
    action: &str,
    key: Option<&str>,
) -> Result<(), ApiError> {
    let resource = match key {
        Some(key) => format!("{}/{key}", bucket.arn()),
        None => bucket.arn(),
    };
    let mut conditions = Vec::new();
    if let Some(prefix) = context.request.query("prefix") {
        conditions.push(("s3:prefix", prefix.to_owned()));
    }
    if let Some(acl) = context.request.header("x-amz-acl") {
        conditions.push(("s3:x-amz-acl", acl.to_owned()));
    }
    let policy = bucket.policy.as_ref().map(|policy| &policy.parsed);
    if context.may(action, &resource, &bucket.owner, policy, &conditions)? {
        Ok(())
    } else {
        Err(access_denied())
    }
}

/// Refuses a key that is not there: as missing to those who may list, as forbidden to others.
pub(super) fn missing_key(context: &Context<'_>, bucket: &Bucket, key: &str) -> ApiError {
    if check(context, bucket, "s3:ListBucket", None).is_ok() {
        no_key(key)
    } else {
        access_denied()
    }
}
