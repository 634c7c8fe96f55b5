//! Objects that are local files, and objects in memory.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use crate::{
    model::{ids::BucketName, notification::ObjectRef},
    ports::{Fault, FaultClass, ListPage, ListedObject, ObjectBody, ObjectInfo, ObjectStore},
};

/// How much of a file is read at a time.
const FILE_CHUNK_BYTES: usize = 256 * 1024;

/// A store with one object, whatever its name: a local file.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Serves the file at `path`.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    async fn open(&self, start: u64, length: u64) -> Result<ObjectBody, Fault> {
        let failed = |error: io::Error| {
            let class = match error.kind() {
                io::ErrorKind::NotFound => FaultClass::Missing,
                io::ErrorKind::PermissionDenied => FaultClass::Denied,
                _ => FaultClass::Unavailable,
            };
            Fault::new(class, "read the file").with_source(error)
        };
        let mut file = tokio::fs::File::open(&self.path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        if metadata.is_dir() {
            return Err(Fault::new(FaultClass::Missing, "read the file")
                .with_source("it is a directory".to_owned()));
        }
        let modified = metadata
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        let size = metadata.len();
        if start >= size {
            return Err(Fault::new(FaultClass::OutOfRange, "read the file"));
        }
        let info = ObjectInfo {
            etag: format!("{size}-{}", modified.as_nanos()),
            size,
            last_modified_ms: i64::try_from(modified.as_millis()).unwrap_or_default(),
        };
        file.seek(SeekFrom::Start(start)).await.map_err(failed)?;
        let bytes = stream::try_unfold(file.take(length), move |mut file| async move {
            let mut chunk = Vec::with_capacity(FILE_CHUNK_BYTES);
            let mut part = (&mut file).take(FILE_CHUNK_BYTES as u64);
            let count = part.read_to_end(&mut chunk).await.map_err(failed)?;
            Ok((count > 0).then(|| (Bytes::from(chunk), file)))
        });
        Ok(ObjectBody { info, bytes: bytes.boxed() })
    }
}

impl ObjectStore for FileStore {
    fn read<'a>(
        &'a self,
        _object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>> {
        async move {
            let body = self.open(start, length).await?;
            if if_match.is_some_and(|tag| tag != body.info.etag) {
                return Err(Fault::new(FaultClass::Changed, "read the file"));
            }
            Ok(body)
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        _bucket: &'a BucketName,
        _prefix: &'a str,
        _start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>> {
        async { Ok(ListPage::default()) }.boxed()
    }
}

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<(BucketName, String), (Bytes, ObjectInfo)>>);

impl MemoryStore {
    /// Puts an object, which gets an entity tag of its own.
    pub fn put(&self, object: &ObjectRef, content: Bytes, last_modified_ms: i64) {
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let etag = format!("\"{}-{}\"", objects.len(), content.len());
        let info = ObjectInfo { etag, size: content.len() as u64, last_modified_ms };
        objects.insert((object.bucket.clone(), object.key.clone()), (content, info));
    }
}

impl ObjectStore for MemoryStore {
    fn read<'a>(
        &'a self,
        object: &'a ObjectRef,
        start: u64,
        length: u64,
        if_match: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ObjectBody, Fault>> {
        let found = {
            let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            objects.get(&(object.bucket.clone(), object.key.clone())).cloned()
        };
        async move {
            let (content, info) =
                found.ok_or_else(|| Fault::new(FaultClass::Missing, "GetObject"))?;
            if if_match.is_some_and(|tag| tag != info.etag) {
                return Err(Fault::new(FaultClass::Changed, "GetObject"));
            }
            if start >= info.size {
                return Err(Fault::new(FaultClass::OutOfRange, "GetObject"));
            }
            let end = start.saturating_add(length).min(info.size);
            let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            let chunks: Vec<_> = content
                .slice(range)
                .chunks(64 * 1024)
                .map(Bytes::copy_from_slice)
                .map(Ok)
                .collect();
            Ok(ObjectBody { info, bytes: stream::iter(chunks).boxed() })
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        bucket: &'a BucketName,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ListPage, Fault>> {
        const PAGE: usize = 1000;
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listed = Vec::new();
        for ((in_bucket, key), (_, info)) in objects.iter() {
            let wanted = in_bucket == bucket && key.starts_with(prefix);
            if wanted && start_after.is_none_or(|after| key.as_str() > after) {
                let object = ObjectRef {
                    etag: Some(info.etag.clone()),
                    size: Some(info.size),
                    ..ObjectRef::new(bucket.clone(), key.clone())
                };
                listed.push(ListedObject { object, last_modified_ms: info.last_modified_ms });
            }
        }
        let more = listed.len() > PAGE;
        listed.truncate(PAGE);
        let next = if more { listed.last().map(|last| last.object.key.clone()) } else { None };
        async { Ok(ListPage { objects: listed, next }) }.boxed()
    }
}
