//! Delivers one object to every destination that wants it.

use std::time::Duration;

use tracing::{Instrument, error, field::Empty, info, warn};

use crate::{
    engine::{
        Context,
        breaker::Change,
        classify::outcome_of,
        copy::{self, CopyWork},
        deliver::{self, Delivery, LogWork},
        retry::Failure,
        route::{self, Route},
        stop::Stop,
    },
    error_chain::Chain,
    metrics::Metric,
    model::{
        ids::TenantId,
        key::LogObject,
        notification::ObjectRef,
        outcome::{Ledger, Outcome, ParkReason, Skip, Stage, TransientReason},
        progress::{Continuation, Progress, WorkId},
        tenant::{DeliveryKind, Destination, TenantItem},
    },
    ports::{Access, Claim},
    telemetry::TRACES,
};

/// How one object ended at one destination, or before one was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkResult {
    /// How it ended.
    pub outcome: Outcome,
    /// The object, if one was named.
    pub object: Option<ObjectRef>,
    /// Whose it is, if the key says so.
    pub tenant: Option<TenantId>,
    /// Where it should go, if that is known.
    pub destination: Option<DeliveryKind>,
    /// How far it has come.
    pub progress: Option<Progress>,
    /// What an operator should know beyond the outcome.
    pub detail: Option<String>,
    /// The time that it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The time since the object was written, in milliseconds, if it was read.
    pub lag_ms: Option<u64>,
}

impl WorkResult {
    pub(crate) const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            object: None,
            tenant: None,
            destination: None,
            progress: None,
            detail: None,
            elapsed_ms: 0,
            lag_ms: None,
        }
    }

    /// Returns where the records went.
    pub fn ledger(&self) -> Ledger {
        // What was done before is not done again, nor counted again.
        if matches!(self.outcome, Outcome::Skipped(_)) {
            return Ledger::default();
        }
        self.progress.as_ref().map(|progress| progress.ledger).unwrap_or_default()
    }
}

/// Delivers `object` and returns one result for each destination, or one for all when it did not come that far.
pub(crate) async fn deliver(
    context: &Context,
    object: &ObjectRef,
    earlier: &Continuation,
    stop: &Stop,
) -> Vec<WorkResult> {
    let unrouted = |outcome, detail| WorkResult {
        object: Some(object.clone()),
        detail,
        ..WorkResult::new(outcome)
    };
    let log = match route::admit(object, &context.settings.scope) {
        Ok(log) => log,
        Err(refused) => {
            return vec![unrouted(refused.outcome(), Some(Chain(&refused).to_string()))];
        }
    };
    let whose = |result: WorkResult| WorkResult { tenant: Some(log.tenant.clone()), ..result };
    let retries = context.retries(stop);
    let items = match context
        .directory
        .items(&log.tenant, context.clock.as_ref(), &retries, &context.meter)
        .await
    {
        Ok(items) => items,
        Err(failure) => {
            let detail = match &failure {
                Failure::Fault(fault) => Some(Chain(fault).to_string()),
                Failure::Stopped(_) => None,
            };
            return vec![whose(unrouted(outcome_of(&failure, Stage::Directory), detail))];
        }
    };
    let now = Duration::from_millis(context.clock.now_ms().unsigned_abs());
    let routes = route::routes(&items, &log.application, now);
    if routes.is_empty() {
        let outcome =
            Outcome::Parked { reason: ParkReason::UnknownTenant, stage: Stage::Directory };
        return vec![whose(unrouted(outcome, None))];
    }
    // Side by side: a destination that hangs does not hold up another.
    let ways = routes.iter().map(|route| follow(context, object, &log, route, earlier, stop));
    futures_util::future::join_all(ways).await
}

async fn follow(
    context: &Context,
    object: &ObjectRef,
    log: &LogObject,
    route: &Route<'_>,
    earlier: &Continuation,
    stop: &Stop,
) -> WorkResult {
    let result = |outcome| WorkResult {
        object: Some(object.clone()),
        tenant: Some(log.tenant.clone()),
        ..WorkResult::new(outcome)
    };
    match route {
        Route::Deliver(item) => {
            let kind = item.destination.kind();
            let started_ms = context.clock.now_ms();
            let span = tracing::info_span!(
                target: TRACES, "object", tenant = %log.tenant, bucket = %object.bucket, key = object.key,
                destination = %kind, outcome = Empty, records = Empty);
            let work = deliver_once(context, object, log, item, earlier, stop);
            let delivery = Box::pin(work.instrument(span.clone())).await;
            span.record("outcome", delivery.outcome.as_str());
            span.record("records", delivery.progress.ledger.read);
            let now_ms = context.clock.now_ms();
            let since = |ms: i64| u64::try_from(now_ms - ms).unwrap_or_default();
            WorkResult {
                destination: Some(kind),
                elapsed_ms: since(started_ms),
                lag_ms: delivery.modified_ms.map(since),
                progress: Some(delivery.progress),
                detail: delivery.detail,
                ..result(delivery.outcome)
            }
        }
        Route::Skip(kind, skip) => {
            WorkResult { destination: Some(*kind), ..result(Outcome::Skipped(*skip)) }
        }
        Route::Unusable { kind, problem } => {
            let detail = Some(format!("item `{kind}`: {problem}"));
            let outcome =
                Outcome::Parked { reason: ParkReason::InvalidItem, stage: Stage::Directory };
            context.directory.forget(&log.tenant);
            WorkResult { destination: kind.parse().ok(), detail, ..result(outcome) }
        }
    }
}

/// Delivers to one destination, unless that has been done. The same work is never done twice at a time.
async fn deliver_once(
    context: &Context,
    object: &ObjectRef,
    log: &LogObject,
    item: &TenantItem,
    earlier: &Continuation,
    stop: &Stop,
) -> Delivery {
    let id = WorkId::new(object, item.destination.kind());
    let lock = context.recent.lock_of(&id);
    let _alone = tokio::select! {
        guard = lock.lock() => guard,
        reason = stop.stopped() => return Delivery::new(Outcome::Stopped(reason), Progress::default()),
    };
    let known = further(context.recent.get(&id), earlier.progress.get(&id).cloned());
    if is_done(object, &known) {
        return Delivery::new(Outcome::Skipped(Skip::Duplicate), known);
    }
    let known = match context.retries(stop).call(|| context.checkpoints.claim(&id)).await {
        Ok(Claim::Granted(kept)) => further(Some(known), kept),
        Ok(Claim::Busy) => {
            let outcome = Outcome::Transient { reason: TransientReason::Busy, stage: Stage::Route };
            return Delivery::new(outcome, known);
        }
        Err(failure) => return Delivery::failed(&failure, Stage::Route, known),
    };
    let delivery = if is_done(object, &known) {
        Delivery::new(Outcome::Skipped(Skip::Duplicate), known)
    } else {
        deliver_to(context, &id, object, log, item, known, stop).await
    };
    context.recent.put(&id, delivery.progress.clone());
    if let Err(fault) = context.checkpoints.release(&id, &delivery.progress).await {
        // The claim ends by itself; until then another process waits.
        warn!(tenant = %log.tenant, key = object.key, error = %Chain(&fault), "checkpoint not released");
    }
    delivery
}

async fn deliver_to(
    context: &Context,
    id: &WorkId,
    object: &ObjectRef,
    log: &LogObject,
    item: &TenantItem,
    known: Progress,
    stop: &Stop,
) -> Delivery {
    match &item.destination {
        Destination::CloudWatch { role, log_group, retention_days } => {
            let access = Access {
                tenant: log.tenant.clone(),
                role: role.clone(),
                external_id: item.external_id.clone(),
                region: item.target_region.clone(),
            };
            let (group, retention_days) = (log_group, *retention_days);
            let work = LogWork { id, object, log, access, group, retention_days };
            to_log_group(context, &work, known, stop).await
        }
        Destination::S3 { bucket, prefix } => {
            let work = CopyWork { object, log, bucket, prefix, region: &item.target_region };
            let delivery = Box::pin(copy::to_bucket(context, &work, known, stop)).await;
            reconsider(context, log, &delivery);
            delivery
        }
    }
}

/// Delivers to a log group, unless its account was set aside.
async fn to_log_group(
    context: &Context,
    work: &LogWork<'_>,
    known: Progress,
    stop: &Stop,
) -> Delivery {
    if let Err(outcome) = context.breakers.admit(&work.access, context.clock.now_ms()) {
        return Delivery { detail: Some("set aside".to_owned()), ..Delivery::new(outcome, known) };
    }
    let delivery = Box::pin(deliver::to_log_group(context, work, known, stop)).await;
    reconsider(context, work.log, &delivery);
    match context.breakers.report(&work.access, &delivery.outcome, context.clock.now_ms()) {
        Change::Opened => {
            context.meter.add(Metric::BreakerOpened, "", 1);
            warn!(tenant = %work.access.tenant, role = %work.access.role, outcome = delivery.outcome.as_str(), "set aside");
        }
        Change::Closed => {
            info!(tenant = %work.access.tenant, role = %work.access.role, "works again")
        }
        Change::None => return delivery,
    }
    context.meter.set(Metric::SetAside, context.breakers.set_aside() as u64);
    delivery
}

/// Has the tenant's items read again after a refusal: perhaps they were mended meanwhile.
fn reconsider(context: &Context, log: &LogObject, delivery: &Delivery) {
    if matches!(delivery.outcome, Outcome::Parked { .. }) {
        context.directory.forget(&log.tenant);
    }
}

/// Returns the progress that spares more work.
fn further(one: Option<Progress>, other: Option<Progress>) -> Progress {
    let rank = |progress: &Progress| (progress.done, progress.next.record);
    match (one, other) {
        (Some(one), Some(other)) => {
            if rank(&one) >= rank(&other) {
                one
            } else {
                other
            }
        }
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => Progress::default(),
    }
}

/// Whether all of the object that was announced is settled.
fn is_done(object: &ObjectRef, known: &Progress) -> bool {
    known.done && object.etag.as_deref().is_some_and(|etag| same_tag(etag, &known.etag))
}

/// Notifications carry the tag without the quotes that the object's own header has.
fn same_tag(one: &str, other: &str) -> bool {
    one.trim_matches('"') == other.trim_matches('"')
}

/// Writes the one line that says what became of an object, and counts it.
pub(crate) fn report(context: &Context, result: &WorkResult, message_id: &str) {
    let ledger = result.ledger();
    let text = |value: Option<String>| value.unwrap_or_default();
    let tenant = text(result.tenant.as_ref().map(ToString::to_string));
    let bucket = text(result.object.as_ref().map(|object| object.bucket.to_string()));
    let key = text(result.object.as_ref().map(|object| object.key.clone()));
    let destination = text(result.destination.map(|kind| kind.to_string()));
    let outcome = result.outcome.as_str();
    let detail = result.detail.as_deref().unwrap_or_default();
    macro_rules! summary {
        ($level:ident) => {
            $level!(
                message_id,
                tenant,
                bucket,
                key,
                destination,
                outcome,
                detail,
                read = ledger.read,
                delivered = ledger.delivered,
                filtered = ledger.filtered,
                rejected_old = ledger.rejected_old,
                rejected_new = ledger.rejected_new,
                expired = ledger.expired,
                quarantined = ledger.quarantined,
                undecodable = ledger.undecodable,
                elapsed_ms = result.elapsed_ms,
                lag_ms = result.lag_ms,
                "object"
            )
        };
    }
    match &result.outcome {
        Outcome::Delivered if ledger.quarantined + ledger.undecodable > 0 => summary!(warn),
        Outcome::Delivered | Outcome::Skipped(_) | Outcome::Stopped(_) => summary!(info),
        Outcome::Transient { .. } | Outcome::Gone => summary!(warn),
        Outcome::Parked { .. } | Outcome::Poison { .. } | Outcome::Systemic(_) => summary!(error),
    }
    let meter = &context.meter;
    meter.add(Metric::Objects, outcome, 1);
    if result.destination.is_some() {
        meter.observe(Metric::ObjectSeconds, result.elapsed_ms);
    }
    if matches!(result.outcome, Outcome::Delivered) {
        if let Some(lag_ms) = result.lag_ms {
            meter.observe(Metric::LatencySeconds, lag_ms);
        }
        meter.add(Metric::RecordsRead, "", ledger.read);
        for (state, count) in [
            ("delivered", ledger.delivered),
            ("filtered", ledger.filtered),
            ("rejected_old", ledger.rejected_old),
            ("rejected_new", ledger.rejected_new),
            ("expired", ledger.expired),
            ("quarantined", ledger.quarantined),
            ("undecodable", ledger.undecodable),
        ] {
            meter.add(Metric::Records, state, count);
        }
    }
}
