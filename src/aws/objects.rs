//! What is in a bucket.

use jiff::Timestamp;
use mtlog_processor::model::ids::BucketName;

use super::{fault::Fault, s3::S3};

const SERVICE: &str = "s3";
/// The action that policies name for `ListObjectsV2`.
const LIST: &str = "ListBucket";

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// The size in bytes.
    pub bytes: u64,
    /// When it was written.
    pub written: Timestamp,
}

impl S3 {
    /// Returns what follows `prefix` in keys up to the next `/`, each once: the directories below it, so to speak.
    pub async fn names_below(
        &self,
        bucket: &BucketName,
        prefix: &str,
    ) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .0
                .list_objects_v2()
                .bucket(bucket.as_str())
                .prefix(prefix)
                .delimiter("/")
                .set_continuation_token(token)
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, LIST, error))?;
            names.extend(answer.common_prefixes().iter().filter_map(|common| {
                let name = common.prefix()?.strip_prefix(prefix)?.strip_suffix('/')?;
                Some(name.to_owned())
            }));
            token = answer.next_continuation_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// Shows every object with this prefix to `visit`, in the order of keys. Returns the number of calls.
    pub async fn each_object(
        &self,
        bucket: &BucketName,
        prefix: &str,
        visit: &mut dyn FnMut(Listed),
    ) -> Result<u64, Fault> {
        let mut calls = 0;
        let mut token = None;
        loop {
            let answer = self
                .0
                .list_objects_v2()
                .bucket(bucket.as_str())
                .prefix(prefix)
                .set_continuation_token(token)
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, LIST, error))?;
            calls += 1;
            for object in answer.contents.unwrap_or_default() {
                let written = object
                    .last_modified
                    .and_then(|at| at.to_millis().ok())
                    .and_then(|at| Timestamp::from_millisecond(at).ok());
                let (Some(key), Some(written)) = (object.key, written) else {
                    return Err(Fault::unreadable(
                        SERVICE,
                        LIST,
                        "an object has no key or no time",
                    ));
                };
                let bytes = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                visit(Listed { key, bytes, written });
            }
            token = answer.next_continuation_token;
            if token.is_none() {
                return Ok(calls);
            }
        }
    }
}
