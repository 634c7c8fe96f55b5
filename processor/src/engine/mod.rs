//! Moves the objects that messages name to their tenants, and says what becomes
//! of each message.
//!
//! Knows ports, not adapters. The rules are in pure modules (`route`, `batch`,
//! `segment`, `classify`, `verdict`, `letter`); the rest carries them out.

pub(crate) mod batch;
mod breaker;
mod budget;
mod classify;
mod content;
mod copy;
mod deliver;
mod directory;
pub mod fair;
mod letter;
mod message;
mod object;
mod pace;
mod put;
mod read;
mod recent;
pub mod retry;
pub mod route;
pub mod segment;
pub mod stop;
mod targets;
pub mod verdict;

use std::{fmt, sync::Arc, time::Duration};

use self::{
    breaker::Breakers,
    budget::Budget,
    directory::Directory,
    pace::Paces,
    recent::Recent,
    retry::{Jitter, Retries},
    route::Scope,
    segment::Spare,
    stop::Stop,
    targets::Targets,
};
pub use self::{
    message::{Handled, Incoming, Renewal},
    object::WorkResult,
    read::RANGE_BYTES,
};
use crate::{
    decode::Limits,
    metrics::Meter,
    ports::{Checkpoints, Clock, LogSink, ObjectCopier, ObjectStore, TenantDirectory},
};

/// What the engine is set to do.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Which objects it reads.
    pub scope: Scope,
    /// The most events of one `PutLogEvents` call.
    pub max_batch_events: usize,
    /// Longer messages are split, in bytes.
    pub max_message_bytes: usize,
    /// How often one call is repeated while a message is held.
    pub retries: u32,
    /// How many `PutLogEvents` calls one object makes at a time.
    pub puts_in_flight: usize,
    /// Memory that objects in work share beyond what each may always hold, in bytes.
    pub shared_memory: usize,
    /// The age at which a parked message becomes a dead letter.
    pub park_max: Duration,
    /// What one object may cost.
    pub limits: Limits,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            max_batch_events: crate::model::events::MAX_BATCH_EVENTS,
            max_message_bytes: segment::MAX_MESSAGE_BYTES,
            retries: 3,
            puts_in_flight: 4,
            shared_memory: usize::MAX,
            park_max: Duration::from_secs(12 * 60 * 60),
            limits: Limits::default(),
        }
    }
}

/// The world outside, as the engine needs it.
#[derive(Clone)]
pub struct Ports {
    /// The central bucket.
    pub store: Arc<dyn ObjectStore>,
    /// The tenant table.
    pub directory: Arc<dyn TenantDirectory>,
    /// The customers' log groups.
    pub sink: Arc<dyn LogSink>,
    /// The customers' buckets.
    pub copier: Arc<dyn ObjectCopier>,
    /// Where progress is kept.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// What all work of one engine shares.
pub(crate) struct Context {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) sink: Arc<dyn LogSink>,
    pub(crate) copier: Arc<dyn ObjectCopier>,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: EngineSettings,
    pub(crate) meter: Arc<Meter>,
    pub(crate) directory: Directory,
    pub(crate) targets: Targets,
    pub(crate) budget: Budget,
    pub(crate) spare: Spare,
    pub(crate) breakers: Breakers,
    pub(crate) paces: Paces,
    pub(crate) recent: Recent,
    pub(crate) jitter: Jitter,
}

impl Context {
    pub(crate) fn retries<'a>(&'a self, stop: &'a Stop) -> Retries<'a> {
        Retries {
            clock: self.clock.as_ref(),
            jitter: &self.jitter,
            stop,
            limit: self.settings.retries,
        }
    }
}

/// The engine. One per process; every method may run many times at once.
pub struct Engine {
    context: Context,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.context.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes an engine that acts on `ports`.
    pub fn new(ports: Ports, settings: EngineSettings, meter: Arc<Meter>) -> Self {
        let Ports { store, directory, sink, copier, checkpoints, clock } = ports;
        // Two processes that start in the same millisecond may draw the same jitter; that does no harm.
        let seed = clock.now_ms().unsigned_abs() ^ u64::from(std::process::id()).rotate_left(32);
        let budget = Budget::new(settings.shared_memory);
        let context = Context {
            store,
            sink,
            copier,
            checkpoints,
            clock,
            settings,
            meter,
            directory: Directory::new(directory),
            targets: Targets::default(),
            budget,
            spare: Spare::default(),
            breakers: Breakers::default(),
            paces: Paces::default(),
            recent: Recent::default(),
            jitter: Jitter::new(seed),
        };
        Self { context }
    }

    /// Returns the time that this engine goes by, in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.context.clock.now_ms()
    }

    /// Spreads out what would otherwise happen at the same time everywhere.
    pub fn jitter(&self, most: Duration) -> Duration {
        self.context.jitter.up_to(most)
    }

    /// Returns how much of the shared memory is in use, in bytes.
    pub fn shared_memory_used(&self) -> usize {
        self.context.settings.shared_memory - self.context.budget.free()
    }

    /// Returns whose message this is and how many bytes it is about, as far as can be told without looking it up:
    /// for a fair order.
    pub fn lane(&self, body: &str) -> (String, u64) {
        message::lane(&self.context, body)
    }

    /// Does what a message asks for and says what becomes of it. Never panics on any body.
    pub async fn handle(&self, incoming: &Incoming<'_>, stop: &Stop) -> Handled {
        Box::pin(message::handle(&self.context, incoming, stop)).await
    }

    /// Delivers one object as if a message had named it, for somebody who watches: what is missing is not waited for.
    pub async fn handle_object(
        &self,
        object: &crate::model::notification::ObjectRef,
        stop: &Stop,
    ) -> Handled {
        Box::pin(message::handle_object(&self.context, object, stop)).await
    }
}
