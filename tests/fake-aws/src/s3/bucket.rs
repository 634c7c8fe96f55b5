//! Buckets and their settings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bucket, BucketPolicy, Call, NAMESPACE, access, body, no_bucket, route};
use crate::clock::iso_millis;
use crate::error::ApiError;
use crate::http::Reply;
use crate::shared::Context;
use crate::xml;

pub(super) fn list(context: &Context<'_>) -> Result<Reply, ApiError> {
    context.authorize("s3:ListAllMyBuckets", "arn:aws:s3:::*")?;
    let s3 = context.shared.s3();
    let body = xml::document("ListAllMyBucketsResult", NAMESPACE, |out| {
        out.nest("Buckets", |out| {
            for bucket in
                s3.buckets.values().filter(|bucket| bucket.owner == context.caller.account)
            {
                out.nest("Bucket", |out| {
                    out.text("BucketRegion", &bucket.region);
                    out.text("CreationDate", &iso_millis(bucket.created_at));
                    out.text("Name", &bucket.name);
                });
            }
        });
        out.nest("Owner", |out| out.text("ID", &context.caller.account));
    });
    Ok(Reply::xml(200, body))
}

/// Tells whether a name follows the rules for general purpose buckets.
fn is_bucket_name(name: &str) -> bool {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    let edge = |character: Option<char>| {
        character.is_some_and(|edge| edge.is_ascii_lowercase() || edge.is_ascii_digit())
    };
    let like_an_address =
        name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    (3..=63).contains(&name.len())
        && name.bytes().all(legal)
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && !name.contains("..")
        && !like_an_address
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", "--x-s3"].iter().any(|suffix| name.ends_with(suffix))
}

pub(super) fn create(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    if !is_bucket_name(&call.bucket) {
        return Err(ApiError::bad("InvalidBucketName", "The specified bucket is not valid.")
            .member("BucketName", &*call.bucket));
    }
    check_location(context)?;
    context.authorize("s3:CreateBucket", &format!("arn:aws:s3:::{}", call.bucket))?;
    let mut s3 = context.shared.s3();
    if let Some(bucket) = s3.buckets.get(&call.bucket) {
        if bucket.owner != context.caller.account {
            return Err(ApiError::new(
                409,
                "BucketAlreadyExists",
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
            ));
        }
        // Only the oldest region pretends success.
        if context.region != "us-east-1" || bucket.region != "us-east-1" {
            return Err(ApiError::new(
                409,
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ));
        }
    } else {
        let bucket = Bucket {
            name: call.bucket.clone(),
            owner: context.caller.account.clone(),
            region: context.region.to_owned(),
            created_at: context.now,
            objects: BTreeMap::new(),
            policy: None,
            documents: BTreeMap::new(),
            routes: Vec::new(),
        };
        s3.buckets.insert(call.bucket.clone(), bucket);
    }
    Ok(Reply::empty(200).header("location", format!("/{}", call.bucket)))
}

/// Checks the location constraint: absent in us-east-1, and the request's region elsewhere.
fn check_location(context: &Context<'_>) -> Result<(), ApiError> {
    let upload = body::read(context.request)?;
    let text = String::from_utf8_lossy(&upload.bytes).into_owned();
    let constraint = if text.trim().is_empty() {
        None
    } else {
        let root = xml::parse(&text).ok_or_else(malformed_xml)?;
        root.child_text("LocationConstraint").map(str::to_owned)
    };
    match constraint.as_deref().unwrap_or_default() {
        "" if context.region == "us-east-1" => Ok(()),
        "" => Err(ApiError::bad(
            "IllegalLocationConstraintException",
            "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.",
        )),
        "us-east-1" => Err(ApiError::bad(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        )),
        region if region == context.region => Ok(()),
        region => Err(ApiError::bad(
            "IllegalLocationConstraintException",
            format!(
                "The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
            ),
        )),
    }
}

fn malformed_xml() -> ApiError {
    ApiError::bad(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

pub(super) fn head(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:ListBucket", None)?;
    Ok(Reply::empty(200).header("x-amz-bucket-region", &*bucket.region))
}

pub(super) fn delete(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let mut s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:DeleteBucket", None)?;
    if !bucket.objects.is_empty() {
        return Err(ApiError::new(
            409,
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty",
        )
        .member("BucketName", &*call.bucket));
    }
    s3.buckets.remove(&call.bucket);
    Ok(Reply::empty(204))
}

pub(super) fn location(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let bucket = s3.bucket(&call.bucket)?;
    access::check(context, bucket, "s3:GetBucketLocation", None)?;
    let region = if bucket.region == "us-east-1" { "" } else { &bucket.region };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{region}</LocationConstraint>"
    );
    Ok(Reply::xml(200, body))
}

pub(super) fn put_policy(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let upload = body::read(context.request)?;
    let text = String::from_utf8_lossy(&upload.bytes).into_owned();
    let policy =
        BucketPolicy::read(&text).map_err(|reason| ApiError::bad("MalformedPolicy", reason))?;
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    check_policy_resources(&document, &call.bucket)?;
    let mut s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:PutBucketPolicy", None)?;
    if blocks_public_policies(bucket) && is_public(&document) {
        return Err(super::access_denied());
    }
    s3.bucket_mut(&call.bucket)?.policy = Some(policy);
    Ok(Reply::empty(204))
}

/// Checks that every statement names a principal, and only this bucket and its objects.
fn check_policy_resources(document: &Value, bucket: &str) -> Result<(), ApiError> {
    let arn = format!(":s3:::{bucket}");
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    };
    for statement in &statements {
        if statement.get("Principal").is_none() && statement.get("NotPrincipal").is_none() {
            return Err(ApiError::bad("MalformedPolicy", "Missing required field Principal"));
        }
        let resources = match statement.get("Resource") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => return Err(ApiError::bad("MalformedPolicy", "Missing required field Resource")),
        };
        for resource in resources {
            let rest = resource.split_once(&arn).map(|(_, rest)| rest);
            if !rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || rest.starts_with('*')
            }) {
                return Err(ApiError::bad("MalformedPolicy", "Policy has invalid resource"));
            }
        }
    }
    Ok(())
}

fn blocks_public_policies(bucket: &Bucket) -> bool {
    // Public access is blocked on every new bucket unless its owner said otherwise.
    bucket
        .documents
        .get("publicAccessBlock")
        .is_none_or(|document| document.contains("<BlockPublicPolicy>true<"))
}

fn is_public(document: &Value) -> bool {
    let Some(Value::Array(statements)) = document.get("Statement") else {
        return false;
    };
    statements.iter().any(|statement| {
        let principal = statement.get("Principal");
        let anyone = principal.and_then(Value::as_str) == Some("*")
            || principal.and_then(|principal| principal.get("AWS")).and_then(Value::as_str)
                == Some("*");
        anyone
            && statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && statement.get("Condition").is_none()
    })
}

pub(super) fn policy(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, "s3:GetBucketPolicy", None)?;
    let document = bucket.policy.as_ref().ok_or_else(|| {
        ApiError::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
            .member("BucketName", &*call.bucket)
    })?;
    Ok(Reply::with_body(200, "application/json", document.text.clone()))
}

pub(super) fn delete_policy(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, "s3:DeleteBucketPolicy", None)?;
    s3.bucket_mut(&call.bucket)?.policy = None;
    Ok(Reply::empty(204))
}

/// Returns the IAM action, the root element, and the error when there is none, of a document.
fn document_facts(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "versioning" => ("BucketVersioning", "VersioningConfiguration", ""),
        "encryption" => ("EncryptionConfiguration", "ServerSideEncryptionConfiguration", ""),
        "publicAccessBlock" => (
            "BucketPublicAccessBlock",
            "PublicAccessBlockConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
        ),
        "lifecycle" => {
            ("LifecycleConfiguration", "LifecycleConfiguration", "NoSuchLifecycleConfiguration")
        }
        "tagging" => ("BucketTagging", "Tagging", "NoSuchTagSet"),
        "ownershipControls" => {
            ("BucketOwnershipControls", "OwnershipControls", "OwnershipControlsNotFoundError")
        }
        _ => ("BucketNotification", "NotificationConfiguration", ""),
    }
}

pub(super) fn put_document(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let name = route::document(context.operation).unwrap_or_default();
    let (action, root_name, _) = document_facts(name);
    let upload = body::read(context.request)?;
    let text = String::from_utf8_lossy(&upload.bytes).into_owned();
    let root = xml::parse(&text).ok_or_else(malformed_xml)?;
    if root.name != root_name {
        return Err(malformed_xml());
    }
    check_document(name, &root)?;
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, &format!("s3:Put{action}"), None)?;
    s3.bucket_mut(&call.bucket)?.documents.insert(name.to_owned(), text);
    Ok(Reply::empty(200))
}

fn check_document(name: &str, root: &xml::Element) -> Result<(), ApiError> {
    let correct = match name {
        "versioning" => matches!(root.child_text("Status"), Some("Enabled" | "Suspended")),
        "encryption" => root.all("Rule").any(|rule| {
            rule.child("ApplyServerSideEncryptionByDefault")
                .and_then(|default| default.child_text("SSEAlgorithm"))
                .is_some_and(|algorithm| ["AES256", "aws:kms", "aws:kms:dsse"].contains(&algorithm))
        }),
        "publicAccessBlock" => {
            root.children.iter().all(|flag| flag.text == "true" || flag.text == "false")
        }
        "lifecycle" => {
            root.all("Rule").next().is_some()
                && root
                    .all("Rule")
                    .all(|rule| matches!(rule.child_text("Status"), Some("Enabled" | "Disabled")))
        }
        _ => true,
    };
    if correct { Ok(()) } else { Err(malformed_xml()) }
}

pub(super) fn document(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let name = route::document(context.operation).unwrap_or_default();
    let (action, root_name, absent) = document_facts(name);
    let s3 = context.shared.s3();
    let bucket = access::bucket(context, &s3, &call.bucket, &format!("s3:Get{action}"), None)?;
    if let Some(text) = bucket.documents.get(name) {
        return Ok(Reply::xml(200, text.clone()));
    }
    if !absent.is_empty() {
        return Err(ApiError::new(404, absent, "The configuration does not exist")
            .member("BucketName", &*call.bucket));
    }
    let body = xml::document(root_name, NAMESPACE, |out| {
        if name == "encryption" {
            out.nest("Rule", |out| {
                out.nest("ApplyServerSideEncryptionByDefault", |out| {
                    out.text("SSEAlgorithm", "AES256");
                });
                out.text("BucketKeyEnabled", "false");
            });
        }
    });
    Ok(Reply::xml(200, body))
}

pub(super) fn delete_document(context: &Context<'_>, call: &Call) -> Result<Reply, ApiError> {
    let name = route::document(context.operation).unwrap_or_default();
    let (action, ..) = document_facts(name);
    let mut s3 = context.shared.s3();
    access::bucket(context, &s3, &call.bucket, &format!("s3:Put{action}"), None)?;
    s3.buckets.get_mut(&call.bucket).ok_or_else(|| no_bucket(&call.bucket))?.documents.remove(name);
    Ok(Reply::empty(204))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules() {
        let (longest, too_long) = ("b".repeat(63), "b".repeat(64));
        let rows = [
            ("logs-1.x", true),
            ("abc", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("ab", false),
            ("Upper", false),
            ("under_score", false),
            ("-edge", false),
            ("edge-", false),
            ("a..b", false),
            ("192.168.1.1", false),
            ("xn--bucket", false),
            ("bucket-s3alias", false),
        ];
        for (name, expected) in rows {
            assert_eq!(is_bucket_name(name), expected, "{name}");
        }
    }
}
