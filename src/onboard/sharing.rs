//! Who may read the customer template in our bucket. Pure.

use mtlog_processor::model::{
    arn::Partition,
    ids::{AccountId, BucketName},
};
use serde_json::{Value, json};
use thiserror::Error;

/// The statement that is ours in the bucket's policy.
const STATEMENT: &str = "CustomersReadTheirTemplate";
/// The longest policy that S3 takes, in bytes
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html>).
const MAX_POLICY_BYTES: usize = 20 * 1024;

/// Why an account cannot be let in.
#[derive(Debug, Error)]
pub enum SharingError {
    /// The policy that the bucket has is not one that can be added to.
    #[error("the policy of bucket `{bucket}` cannot be read: it is no JSON object with statements")]
    Unreadable {
        /// The bucket.
        bucket: BucketName,
    },
    /// There are too many accounts in it.
    #[error(
        "the policy of bucket `{bucket}` would have {bytes} bytes; S3 takes {MAX_POLICY_BYTES}"
    )]
    TooLong {
        /// The bucket.
        bucket: BucketName,
        /// How long it would be.
        bytes: usize,
    },
}

/// Adds to a bucket's policy that `account` may read the object `key`. Returns the new policy; `None` if it says so
/// already. Every other statement stays as it is.
pub fn with_reader(
    policy: Option<&str>,
    bucket: &BucketName,
    key: &str,
    account: &AccountId,
    partition: Partition,
) -> Result<Option<String>, SharingError> {
    let unreadable = || SharingError::Unreadable { bucket: bucket.clone() };
    let mut document: Value = match policy {
        Some(text) => serde_json::from_str(text).map_err(|_| unreadable())?,
        None => json!({"Version": "2012-10-17", "Statement": []}),
    };
    let statements = document.get_mut("Statement").ok_or_else(unreadable)?;
    if statements.is_object() {
        *statements = Value::Array(vec![statements.take()]);
    }
    let statements = statements.as_array_mut().ok_or_else(unreadable)?;
    let root = format!("arn:{partition}:iam::{account}:root");
    let object = format!("arn:{partition}:s3:::{bucket}/{key}");
    let ours = statements.iter_mut().find(|statement| statement["Sid"] == STATEMENT);
    let (mut readers, mut objects) = match &ours {
        Some(statement) => {
            (texts(statement.pointer("/Principal/AWS")), texts(statement.get("Resource")))
        }
        None => (Vec::new(), Vec::new()),
    };
    if readers.contains(&root) && objects.contains(&object) {
        return Ok(None);
    }
    for (list, text) in [(&mut readers, root), (&mut objects, object)] {
        if !list.contains(&text) {
            list.push(text);
        }
    }
    let statement = json!({
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"AWS": readers},
        "Action": "s3:GetObject",
        "Resource": objects,
    });
    match ours {
        Some(place) => *place = statement,
        None => statements.push(statement),
    }
    let text = document.to_string();
    if text.len() > MAX_POLICY_BYTES {
        return Err(SharingError::TooLong { bucket: bucket.clone(), bytes: text.len() });
    }
    Ok(Some(text))
}

/// Policies have one text where a list would have one member.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(
        policy: Option<&str>,
        key: &str,
        account: &str,
    ) -> Result<Option<String>, SharingError> {
        let bucket = "templates".parse().unwrap();
        with_reader(policy, &bucket, key, &account.parse().unwrap(), Partition::Aws)
    }

    #[test]
    fn an_account_is_let_in_once_and_nothing_else_changes() {
        let before =
            r#"{"Version":"2012-10-17","Statement":{"Sid":"OnlyOverTls","Effect":"Deny"}}"#;
        let one = shared(Some(before), "mtlog/a.yaml", "222222222222").unwrap().unwrap();
        let value: Value = serde_json::from_str(&one).unwrap();
        assert_eq!(value["Statement"][0], json!({"Sid": "OnlyOverTls", "Effect": "Deny"}));
        let ours = &value["Statement"][1];
        assert_eq!(ours["Principal"]["AWS"], json!(["arn:aws:iam::222222222222:root"]));
        assert_eq!(ours["Resource"], json!(["arn:aws:s3:::templates/mtlog/a.yaml"]));
        assert_eq!(shared(Some(&one), "mtlog/a.yaml", "222222222222").unwrap(), None);

        let two = shared(Some(&one), "mtlog/b.yaml", "333333333333").unwrap().unwrap();
        let value: Value = serde_json::from_str(&two).unwrap();
        assert_eq!(value["Statement"].as_array().unwrap().len(), 2);
        assert_eq!(value["Statement"][1]["Principal"]["AWS"].as_array().unwrap().len(), 2);
        assert_eq!(value["Statement"][1]["Resource"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_policy_that_s3_would_refuse_is_not_sent() {
        let mut policy = shared(None, "k", "100000000000").unwrap();
        let mut number = 100_000_000_001_u64;
        let error = loop {
            match shared(policy.as_deref(), "k", &number.to_string()) {
                Ok(next) => policy = next,
                Err(error) => break error,
            }
            number += 1;
        };
        assert!(number - 100_000_000_000 > 300, "{number}");
        assert!(matches!(error, SharingError::TooLong { .. }), "{error}");
        assert!(matches!(
            shared(Some("[]"), "k", "222222222222"),
            Err(SharingError::Unreadable { .. })
        ));
    }
}
