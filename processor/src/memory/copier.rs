//! Copies that are only noted.

use std::sync::{Mutex, PoisonError};

use futures_util::{FutureExt, future::BoxFuture};

use crate::ports::{CopyJob, CopyReport, Fault, FaultClass, ObjectCopier};

/// Refuses every copy: a local file has no source that S3 could copy from.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCopies;

impl ObjectCopier for NoCopies {
    fn copy<'a>(&'a self, _job: &'a CopyJob) -> BoxFuture<'a, Result<CopyReport, Fault>> {
        async { Err(Fault::new(FaultClass::Invalid, "CopyObject").with_code("LocalFile")) }.boxed()
    }
}

/// Takes every copy and keeps what it was asked for.
#[derive(Debug, Default)]
pub struct NotedCopies(Mutex<Vec<CopyJob>>);

impl NotedCopies {
    /// Returns what was asked for, in order.
    pub fn jobs(&self) -> Vec<CopyJob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ObjectCopier for NotedCopies {
    fn copy<'a>(&'a self, job: &'a CopyJob) -> BoxFuture<'a, Result<CopyReport, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(job.clone());
        let etag = job.source.etag.clone().unwrap_or_default();
        let report = CopyReport { etag, bytes: job.source.size.unwrap_or_default() };
        async { Ok(report) }.boxed()
    }
}
