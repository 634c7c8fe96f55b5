//! The central bucket.

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};

use crate::{
    aws::{
        fault::{Caller, fault},
        session::Session,
    },
    model::{ids::BucketName, notification::ObjectRef},
    ports::{Fault, FaultClass, ListPage, ListedObject, ObjectBody, ObjectInfo, ObjectStore},
};

const GET: &str = "GetObject";
const LIST: &str = "ListObjectsV2";

/// S3 with the engine's own credentials.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
}

impl S3Store {
    /// Reads with the credentials of `session`.
    pub fn new(session: &Session) -> Self {
        Self { client: client(session, aws_sdk_s3::config::Builder::from(&session.sdk)) }
    }

    async fn read(
        &self,
        object: &ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&str>,
    ) -> Result<ObjectBody, Fault> {
        let last = start.saturating_add(length.max(1)) - 1;
        let output = self
            .client
            .get_object()
            .bucket(object.bucket.as_str())
            .key(&object.key)
            .set_version_id(object.version.clone())
            .range(format!("bytes={start}-{last}"))
            .set_if_match(if_match.map(str::to_owned))
            .send()
            .await
            .map_err(|error| fault(GET, Caller::Own, &error))?;
        let whole = output.content_range().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let length = output.content_length().and_then(|length| u64::try_from(length).ok());
        // Without a range in the answer the whole object comes, which is right only from its start.
        let size = match whole {
            Some(size) => size,
            None if start == 0 => length.unwrap_or_default(),
            None => return Err(Fault::new(FaultClass::Ambiguous, GET).with_code("RangeIgnored")),
        };
        let info = ObjectInfo {
            etag: output.e_tag().unwrap_or_default().to_owned(),
            size,
            last_modified_ms: output
                .last_modified()
                .and_then(|at| at.to_millis().ok())
                .unwrap_or_default(),
        };
        if size == 0 {
            return Err(Fault::new(FaultClass::OutOfRange, GET));
        }
        Ok(ObjectBody { info, bytes: chunks(output.body).boxed() })
    }

    async fn list(
        &self,
        bucket: &BucketName,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<ListPage, Fault> {
        let output = self
            .client
            .list_objects_v2()
            .bucket(bucket.as_str())
            .prefix(prefix)
            .set_start_after(start_after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| fault(LIST, Caller::Own, &error))?;
        let objects: Vec<ListedObject> = output
            .contents()
            .iter()
            .filter_map(|listed| {
                let object = ObjectRef {
                    etag: listed.e_tag().map(str::to_owned),
                    size: listed.size().and_then(|size| u64::try_from(size).ok()),
                    ..ObjectRef::new(bucket.clone(), listed.key()?.to_owned())
                };
                let last_modified_ms =
                    listed.last_modified().and_then(|at| at.to_millis().ok()).unwrap_or_default();
                Some(ListedObject { object, last_modified_ms })
            })
            .collect();
        let more = output.is_truncated().unwrap_or(false);
        let next = if more { objects.last().map(|last| last.object.key.clone()) } else { None };
        Ok(ListPage { objects, next })
    }
}

/// Makes an S3 client with what the session says about URLs.
pub(super) fn client(session: &Session, config: aws_sdk_s3::config::Builder) -> Client {
    let checksums = aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired;
    Client::from_conf(
        config.force_path_style(session.path_style).response_checksum_validation(checksums).build(),
    )
}

fn chunks(body: ByteStream) -> impl futures_util::Stream<Item = Result<Bytes, Fault>> + Send {
    stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match body.next().await? {
            Ok(bytes) => Some((Ok(bytes), Some(body))),
            Err(error) => {
                Some((Err(Fault::new(FaultClass::Ambiguous, GET).with_source(error)), None))
            }
        }
    })
}

impl ObjectStore for S3Store {
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>> {
        self.read(object, start, length, if_match).boxed()
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>> {
        self.list(bucket, prefix, start_after).boxed()
    }
}
