//! Copies objects into the customers' buckets, as the central role.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html>

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::{
    Client,
    config::IdentityCache,
    error::SdkError,
    types::{CompletedMultipartUpload, CompletedPart, MetadataDirective, ObjectCannedAcl},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    aws::{
        fault::{Caller, fault},
        roles::{RoleSession, Roles},
        s3,
        session::{Session, sdk_region},
    },
    model::{ids::Region, notification::ObjectRef},
    ports::{CopyJob, CopyReport, Fault, FaultClass, ObjectCopier},
};

/// The largest object that one `CopyObject` takes, in bytes.
const MAX_SINGLE_COPY: u64 = 5 * 1024 * 1024 * 1024;
/// The size of a part of a larger copy, in bytes. Ten thousand parts of it exceed the largest object.
const PART_BYTES: u64 = 1024 * 1024 * 1024;
/// Objects hold JSON, one record a line or in an array.
const CONTENT_TYPE: &str = "application/json";
/// How many parts are copied at a time.
const PARTS_IN_FLIGHT: usize = 4;
/// What stays as it is in `x-amz-copy-source`; the rest must be encoded.
const COPY_SOURCE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// S3 as the central role.
#[derive(Debug)]
pub struct S3Copier {
    session: Session,
    roles: Arc<Roles>,
    /// A client belongs to one session of the role and one region.
    clients: Mutex<HashMap<Region, (Arc<RoleSession>, Client)>>,
    /// The size above which a copy is made in parts, in bytes.
    max_single_copy: u64,
}

impl S3Copier {
    /// Goes through `roles`; endpoint and HTTP client are those of `session`.
    pub fn new(session: Session, roles: Arc<Roles>) -> Self {
        Self { session, roles, clients: Mutex::default(), max_single_copy: MAX_SINGLE_COPY }
    }

    async fn client(&self, region: &Region) -> Result<(Arc<RoleSession>, Client), Fault> {
        let role_session = self.roles.central().await?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, client)) = clients.get(region)
            && Arc::ptr_eq(kept, &role_session)
        {
            return Ok((role_session, client.clone()));
        }
        let provider = SharedCredentialsProvider::new(role_session.credentials.clone());
        let config = aws_sdk_s3::config::Builder::from(&self.session.sdk)
            .region(sdk_region(region))
            .credentials_provider(provider)
            .identity_cache(IdentityCache::no_cache());
        let client = s3::client(&self.session, config);
        clients.insert(region.clone(), (Arc::clone(&role_session), client.clone()));
        drop(clients);
        Ok((role_session, client))
    }

    fn refused<E>(
        &self,
        operation: &'static str,
        role_session: &Arc<RoleSession>,
        error: &SdkError<E>,
    ) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut fault = fault(operation, Caller::Role, error);
        if fault.class == FaultClass::Expired {
            self.roles.forget_central(role_session);
        }
        // Only the destination's bucket is named in these calls' paths; the source's is checked when it is read.
        if fault.code.as_deref() == Some("NoSuchBucket") {
            fault.class = FaultClass::Invalid;
        }
        fault
    }

    async fn copy(&self, job: &CopyJob) -> Result<CopyReport, Fault> {
        let (role_session, client) = self.client(&job.region).await?;
        let (size, etag) = match (job.source.size, &job.source.etag) {
            (Some(size), Some(etag)) => (size, etag.clone()),
            _ => self.look_at(&job.source).await?,
        };
        let source = copy_source(&job.source);
        let copy = Copy {
            job,
            source: &source,
            size,
            etag: &etag,
            role_session: &role_session,
            client: &client,
        };
        if size > self.max_single_copy {
            self.copy_in_parts(&copy).await?;
        } else {
            self.copy_whole(&copy).await?;
        }
        Ok(CopyReport { etag, bytes: size })
    }

    /// Asks for the size and the tag of an object that no notification has told.
    async fn look_at(&self, source: &ObjectRef) -> Result<(u64, String), Fault> {
        let region =
            self.session.region().ok_or_else(|| Fault::new(FaultClass::Denied, "HeadObject"))?;
        let (role_session, client) = self.client(&region).await?;
        let request = client.head_object().bucket(source.bucket.as_str()).key(&source.key);
        match request.set_version_id(source.version.clone()).send().await {
            Ok(output) => {
                let size = output
                    .content_length()
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or_default();
                Ok((size, output.e_tag().unwrap_or_default().to_owned()))
            }
            Err(error) => Err(self.refused("HeadObject", &role_session, &error)),
        }
    }

    async fn copy_whole(&self, copy: &Copy<'_>) -> Result<(), Fault> {
        let job = copy.job;
        let mut request = copy
            .client
            .copy_object()
            .bucket(job.bucket.as_str())
            .key(&job.key)
            .copy_source(copy.source)
            .acl(ObjectCannedAcl::BucketOwnerFullControl)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(CONTENT_TYPE)
            .set_content_encoding(content_encoding(&job.key));
        for (name, value) in &job.metadata {
            request = request.metadata(*name, header_text(value));
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused("CopyObject", copy.role_session, &error)),
        }
    }

    async fn copy_in_parts(&self, copy: &Copy<'_>) -> Result<(), Fault> {
        let (job, client) = (copy.job, copy.client);
        let mut request = client
            .create_multipart_upload()
            .bucket(job.bucket.as_str())
            .key(&job.key)
            .acl(ObjectCannedAcl::BucketOwnerFullControl)
            .content_type(CONTENT_TYPE)
            .set_content_encoding(content_encoding(&job.key));
        for (name, value) in &job.metadata {
            request = request.metadata(*name, header_text(value));
        }
        let created = request
            .send()
            .await
            .map_err(|error| self.refused("CreateMultipartUpload", copy.role_session, &error))?;
        let upload = created.upload_id().unwrap_or_default().to_owned();
        let completed = match self.copy_parts(copy, &upload).await {
            Ok(parts) => {
                let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
                let request =
                    client.complete_multipart_upload().bucket(job.bucket.as_str()).key(&job.key);
                let sent = request.upload_id(&upload).multipart_upload(whole).send().await;
                sent.map(drop).map_err(|error| {
                    self.refused("CompleteMultipartUpload", copy.role_session, &error)
                })
            }
            Err(fault) => Err(fault),
        };
        if completed.is_err() {
            let abort = client.abort_multipart_upload().bucket(job.bucket.as_str()).key(&job.key);
            // What stays behind costs storage until the bucket's own rule removes it; the copy failed either way.
            drop(abort.upload_id(&upload).send().await);
        }
        completed
    }

    async fn copy_parts(&self, copy: &Copy<'_>, upload: &str) -> Result<Vec<CompletedPart>, Fault> {
        let copies = stream::iter(part_ranges(copy.size)).map(|(number, first, last)| {
            let request = copy
                .client
                .upload_part_copy()
                .bucket(copy.job.bucket.as_str())
                .key(&copy.job.key)
                .upload_id(upload)
                .part_number(number)
                .copy_source(copy.source)
                .copy_source_range(format!("bytes={first}-{last}"))
                .copy_source_if_match(copy.etag);
            async move {
                let output = request
                    .send()
                    .await
                    .map_err(|error| self.refused("UploadPartCopy", copy.role_session, &error))?;
                let etag =
                    output.copy_part_result().and_then(|part| part.e_tag()).unwrap_or_default();
                Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
            }
        });
        let mut copies = copies.buffered(PARTS_IN_FLIGHT);
        let mut parts = Vec::new();
        while let Some(part) = copies.next().await {
            parts.push(part?);
        }
        Ok(parts)
    }
}

/// One copy under way.
struct Copy<'a> {
    job: &'a CopyJob,
    /// The source as a header names it.
    source: &'a str,
    size: u64,
    etag: &'a str,
    role_session: &'a Arc<RoleSession>,
    client: &'a Client,
}

impl ObjectCopier for S3Copier {
    fn copy<'a>(&'a self, job: &'a CopyJob) -> BoxFuture<'a, Result<CopyReport, Fault>> {
        self.copy(job).boxed()
    }
}

/// Returns the parts of a copy: number from 1, first and last byte.
fn part_ranges(size: u64) -> Vec<(i32, u64, u64)> {
    let mut ranges = Vec::new();
    let mut first = 0;
    let mut number = 1;
    while first < size {
        let last = (first + PART_BYTES).min(size) - 1;
        ranges.push((number, first, last));
        first = last + 1;
        number += 1;
    }
    ranges
}

fn content_encoding(key: &str) -> Option<String> {
    key.ends_with(".gz").then(|| "gzip".to_owned())
}

fn copy_source(object: &ObjectRef) -> String {
    let key = utf8_percent_encode(&object.key, COPY_SOURCE);
    match &object.version {
        Some(version) => format!(
            "{}/{key}?versionId={}",
            object.bucket,
            utf8_percent_encode(version, COPY_SOURCE)
        ),
        None => format!("{}/{key}", object.bucket),
    }
}

/// Metadata travels in headers, which take printable ASCII.
fn header_text(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_encoded() {
        let mut object = ObjectRef::new("logs".parse().unwrap(), "c/t/a b+é/f.gz".to_owned());
        assert_eq!(copy_source(&object), "logs/c/t/a%20b%2B%C3%A9/f.gz");
        object.version = Some("a+b".to_owned());
        assert_eq!(copy_source(&object), "logs/c/t/a%20b%2B%C3%A9/f.gz?versionId=a%2Bb");
    }

    #[test]
    fn parts_cover_the_object_exactly() {
        let last = 2 * PART_BYTES + 6;
        let expected = [
            (1, 0, PART_BYTES - 1),
            (2, PART_BYTES, 2 * PART_BYTES - 1),
            (3, 2 * PART_BYTES, last),
        ];
        assert_eq!(part_ranges(2 * PART_BYTES + 7), expected);
        assert_eq!(part_ranges(PART_BYTES), [(1, 0, PART_BYTES - 1)]);
    }
}
