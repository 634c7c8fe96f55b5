//! Creates log groups and streams when a write shows that they are missing.
//!
//! No Describe call is ever made: the write itself is the question. One creation
//! for one target runs at a time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    engine::retry::{Failure, Retries},
    error_chain::Chain,
    ports::{FaultClass, LogSink, LogTarget},
};

/// How many targets are remembered.
const REMEMBERED: usize = 10_000;
/// How long a new group or stream may stay invisible, in all.
const SETTLING_TIME: Duration = Duration::from_secs(10);

/// The log streams that this process has to do with.
#[derive(Debug, Default)]
pub(crate) struct Targets(Mutex<HashMap<LogTarget, Arc<Target>>>);

/// What is known of one log stream.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// Counts creations, so that a writer sees that somebody else has just made one.
    creations: AtomicU64,
    creating: tokio::sync::Mutex<()>,
}

impl Target {
    pub(crate) fn creations(&self) -> u64 {
        self.creations.load(Ordering::Acquire)
    }
}

impl Targets {
    /// Returns what is known of `target`.
    pub(crate) fn of(&self, target: &LogTarget) -> Arc<Target> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(target) {
            return Arc::clone(found);
        }
        if known.len() >= REMEMBERED {
            // Only those in use matter, and their users hold them.
            known.retain(|_, state| Arc::strong_count(state) > 1);
        }
        Arc::clone(known.entry(target.clone()).or_default())
    }
}

/// Creates the stream, and its group if need be, unless somebody did so after `seen` creations.
pub(crate) async fn create(
    sink: &dyn LogSink,
    target: &LogTarget,
    state: &Target,
    seen: u64,
    retention_days: Option<u16>,
    retries: &Retries<'_>,
) -> Result<(), Failure> {
    let _one_at_a_time = state.creating.lock().await;
    if state.creations() > seen {
        return Ok(());
    }
    if !create_stream(sink, target, retries).await? {
        create_group(sink, target, retention_days, retries).await?;
        let mut waits = SettlingWaits::default();
        while !create_stream(sink, target, retries).await? {
            waits.wait(retries, "CreateLogStream").await?;
        }
    }
    state.creations.fetch_add(1, Ordering::Release);
    Ok(())
}

/// Whether the stream exists now; if not, its group is missing.
async fn create_stream(
    sink: &dyn LogSink,
    target: &LogTarget,
    retries: &Retries<'_>,
) -> Result<bool, Failure> {
    match retries.call(|| sink.create_stream(target)).await {
        Ok(()) => Ok(true),
        Err(Failure::Fault(fault)) if fault.class == FaultClass::Exists => Ok(true),
        Err(Failure::Fault(fault)) if fault.class == FaultClass::Missing => Ok(false),
        Err(failure) => Err(failure),
    }
}

async fn create_group(
    sink: &dyn LogSink,
    target: &LogTarget,
    retention_days: Option<u16>,
    retries: &Retries<'_>,
) -> Result<(), Failure> {
    match retries.call(|| sink.create_group(target)).await {
        Ok(()) => {
            info!(tenant = %target.access.tenant, log_group = %target.group, "log group created")
        }
        Err(Failure::Fault(fault)) if fault.class == FaultClass::Exists => return Ok(()),
        Err(failure) => return Err(failure),
    }
    let Some(days) = retention_days else { return Ok(()) };
    match retries.call(|| sink.set_retention(target, days)).await {
        Ok(()) => Ok(()),
        // Logs that are kept for too long are better than logs that are not kept.
        Err(Failure::Fault(fault)) => {
            warn!(
                tenant = %target.access.tenant, log_group = %target.group, days, error = %Chain(&fault),
                "retention not set"
            );
            Ok(())
        }
        Err(stopped @ Failure::Stopped(_)) => Err(stopped),
    }
}

/// The short waits for something just created to become visible.
#[derive(Debug, Default)]
pub(crate) struct SettlingWaits {
    count: u32,
    spent: Duration,
}

impl SettlingWaits {
    /// Waits a little longer than the last time; fails when `operation` has had its time.
    pub(crate) async fn wait(
        &mut self,
        retries: &Retries<'_>,
        operation: &'static str,
    ) -> Result<(), Failure> {
        if self.spent >= SETTLING_TIME {
            let fault = crate::ports::Fault::new(FaultClass::Unavailable, operation);
            return Err(Failure::Fault(fault.with_code("StillMissingAfterCreation")));
        }
        let pause = (Duration::from_millis(100) * (1 << self.count.min(5)))
            .min(SETTLING_TIME.saturating_sub(self.spent));
        self.count += 1;
        self.spent += pause;
        retries.wait(pause).await
    }
}
