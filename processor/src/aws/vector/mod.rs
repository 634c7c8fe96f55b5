//! The customers' CloudWatch Logs through a Vector process (`DELIVERY_ENGINE=vector`).
//!
//! Kept for those who must have Vector in the way. One process sends one batch: it gets a configuration without secrets,
//! the credentials in its environment, and the events on standard input. Streams and groups are made natively, so a role
//! that is refused, a group that is missing and a group's retention are dealt with as ever.
//!
//! Vector ends with 0 when it has dropped everything, so its exit status proves nothing. A batch counts as delivered only
//! when Vector's own metrics say that the sink has sent every event of it. Anything else is a passing failure.
//!
//! Vector does not say which events the service refused as older than the group's retention; they count as delivered.

mod configuration;
mod process;
mod tally;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::Semaphore;

pub use self::{
    configuration::{MAX_MESSAGE_BYTES, TIME_PROGRAM},
    process::{VectorError, version},
};
use crate::{
    aws::{cloudwatch::CloudWatchSink, roles::Roles},
    config::VectorSettings,
    model::events::Batch,
    ports::{Clock, Fault, FaultClass, LogSink, LogTarget, PutReport},
};

/// The version of Vector that this sink and the collector's configuration are written for.
pub const VERSION: &str = "0.58";

/// The call that faults are reported for.
const SEND: &str = "vector";
/// How many streams are remembered.
const REMEMBERED: usize = 10_000;

/// CloudWatch Logs in the customers' accounts, written by Vector.
pub struct VectorSink {
    native: CloudWatchSink,
    roles: Arc<Roles>,
    settings: VectorSettings,
    endpoint_url: Option<String>,
    clock: Arc<dyn Clock>,
    /// Streams that exist, as far as this process knows.
    existing: Mutex<HashSet<LogTarget>>,
    /// Each process is a whole Vector: one for each processor is enough.
    processes: Semaphore,
}

impl std::fmt::Debug for VectorSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl VectorSink {
    /// Makes streams and groups with `native`, and gives Vector the sessions of `roles`.
    pub fn new(
        native: CloudWatchSink,
        roles: Arc<Roles>,
        settings: VectorSettings,
        endpoint_url: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            native,
            roles,
            settings,
            endpoint_url,
            clock,
            existing: Mutex::default(),
            processes: Semaphore::new(processors),
        }
    }

    async fn put(&self, target: &LogTarget, batch: &Batch) -> Result<PutReport, Fault> {
        if !configuration::can_name(target) {
            return self.native.put(target, batch).await;
        }
        self.ensure_stream(target).await?;
        let (report, accepted) = configuration::accepted(batch, self.clock.now_ms());
        if accepted.is_empty() {
            return Ok(report);
        }
        let session = self.roles.customer(&target.access).await?;
        let job = process::Job {
            settings: &self.settings,
            configuration: configuration::configuration(target, self.endpoint_url.as_deref()),
            credentials: &session.credentials,
            region: &target.access.region,
            events: u64::try_from(accepted.len()).unwrap_or(u64::MAX),
            lines: configuration::lines(batch, accepted),
        };
        // The semaphore is never closed.
        let _turn = self.processes.acquire().await;
        match process::send(job, self.clock.as_ref()).await {
            Ok(()) => Ok(report),
            Err(error) => {
                // It may be gone: the next attempt looks, natively.
                self.existing().remove(target);
                Err(Fault::new(error.class(), SEND).with_source(error))
            }
        }
    }

    /// Makes the stream unless it is known to exist. The faults are those of the service.
    async fn ensure_stream(&self, target: &LogTarget) -> Result<(), Fault> {
        if self.existing().contains(target) {
            return Ok(());
        }
        match LogSink::create_stream(&self.native, target).await {
            Err(fault) if fault.class != FaultClass::Exists => return Err(fault),
            Ok(()) | Err(_) => {}
        }
        let mut existing = self.existing();
        if existing.len() >= REMEMBERED {
            existing.clear();
        }
        existing.insert(target.clone());
        Ok(())
    }

    fn existing(&self) -> std::sync::MutexGuard<'_, HashSet<LogTarget>> {
        self.existing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for VectorSink {
    fn put<'a>(
        &'a self,
        target: &'a LogTarget,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<PutReport, Fault>> {
        self.put(target, batch).boxed()
    }

    fn create_stream<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        LogSink::create_stream(&self.native, target)
    }

    fn create_group<'a>(&'a self, target: &'a LogTarget) -> BoxFuture<'a, Result<(), Fault>> {
        LogSink::create_group(&self.native, target)
    }

    fn set_retention<'a>(
        &'a self,
        target: &'a LogTarget,
        days: u16,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        LogSink::set_retention(&self.native, target, days)
    }
}
