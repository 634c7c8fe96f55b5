//! Which permission a call needs: the name of an IAM action is not always that of the operation. Pure.
//!
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>.

/// Calls whose permission has another name, as `service:Operation` and as a policy spells it.
const RENAMED: [(&str, &str); 14] = [
    ("s3:CompleteMultipartUpload", "s3:PutObject"),
    ("s3:CreateMultipartUpload", "s3:PutObject"),
    ("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ("s3:GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("s3:GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
    ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("s3:HeadBucket", "s3:ListBucket"),
    ("s3:HeadObject", "s3:GetObject"),
    ("s3:ListObjectsV2", "s3:ListBucket"),
    ("s3:PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("s3:UploadPart", "s3:PutObject"),
    ("sqs:ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
    ("sqs:DeleteMessageBatch", "sqs:DeleteMessage"),
    ("sqs:SendMessageBatch", "sqs:SendMessage"),
];

/// Returns the permission that the call `service:Operation` needs.
pub fn of_call(call: &str) -> &str {
    RENAMED.iter().find(|(known, _)| *known == call).map_or(call, |(_, permission)| permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_named_as_policies_spell_them() {
        for (call, permission) in [
            ("s3:HeadBucket", "s3:ListBucket"),
            ("s3:GetObject", "s3:GetObject"),
            ("sqs:GetQueueAttributes", "sqs:GetQueueAttributes"),
        ] {
            assert_eq!(of_call(call), permission);
        }
    }
}
