//! Sends one batch until every event of it is settled.
//!
//! Missing streams are created, passing faults are repeated, a refused batch is
//! halved until the refused event stands alone, and what the service says about
//! accepted events goes into the ledger.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tracing::{Instrument, field::Empty, warn};

use crate::{
    engine::{
        Context,
        pace::Paces,
        retry::{Failure, Retries},
        stop::Stop,
        targets::{self, SettlingWaits, Target, Targets},
    },
    error_chain::Chain,
    metrics::{Meter, Metric},
    model::{events::Batch, outcome::Ledger},
    ports::{Fault, FaultClass, LogSink, LogTarget, PutReport},
    telemetry::TRACES,
};

/// How many refused calls one object may cost. Isolating one event among 10,000 takes 15.
const REFUSALS_PER_OBJECT: u32 = 64;

/// What one object's delivery to one log group has in common.
pub(crate) struct Putter<'a> {
    sink: &'a dyn LogSink,
    retries: Retries<'a>,
    targets: &'a Targets,
    paces: &'a Paces,
    meter: &'a Meter,
    retention_days: Option<u16>,
    /// Refused calls so far.
    refusals: AtomicU32,
    /// Whether the log group took anything. Until it does, a refusal may be the group's fault and not the event's.
    accepted: AtomicBool,
}

/// What became of a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Records by their end state; `read` is not touched.
    pub(crate) ledger: Ledger,
    /// Of the quarantined records, those that count only if the destination takes anything at all.
    pub(crate) suspects: u64,
}

impl<'a> Putter<'a> {
    pub(crate) fn new(context: &'a Context, stop: &'a Stop, retention_days: Option<u16>) -> Self {
        Self {
            sink: context.sink.as_ref(),
            retries: context.retries(stop),
            targets: &context.targets,
            paces: &context.paces,
            meter: &context.meter,
            retention_days,
            refusals: AtomicU32::new(0),
            accepted: AtomicBool::new(false),
        }
    }

    /// Whether the destination has taken a batch from this object.
    pub(crate) fn destination_accepts(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Sends `batch` and returns what became of its records.
    pub(crate) async fn put(&self, target: &LogTarget, batch: Batch) -> Result<Settled, Failure> {
        let state = self.targets.of(target);
        let mut settled = Settled::default();
        let mut open = vec![batch];
        while let Some(batch) = open.pop() {
            match self.put_whole(target, &state, &batch).await {
                Ok(report) => {
                    self.accepted.store(true, Ordering::Relaxed);
                    settled.ledger += account(&report, &batch);
                }
                Err(Failure::Fault(fault)) if fault.class == FaultClass::Invalid => {
                    self.refused(target, fault)?;
                    if batch.len() <= 1 {
                        let at_ms = batch.events().next().map(|event| event.timestamp_ms);
                        warn!(
                            tenant = %target.access.tenant, log_group = %target.group, log_stream = %target.stream,
                            timestamp_ms = at_ms, bytes = batch.bytes(), "event refused"
                        );
                        let records = batch.records(0..1);
                        settled.ledger.quarantined += records;
                        settled.suspects += records;
                    } else {
                        self.meter.add(Metric::Bisects, "", 1);
                        let (first, second) = batch.halves();
                        open.extend([second, first]);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(settled)
    }

    /// Counts a refusal; gives it back as final when there were too many.
    fn refused(&self, target: &LogTarget, fault: Fault) -> Result<(), Failure> {
        let refusals = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        if refusals == 1 {
            warn!(
                tenant = %target.access.tenant, log_group = %target.group, log_stream = %target.stream,
                error = %Chain(&fault), "batch refused; looking for the event"
            );
        }
        if refusals > REFUSALS_PER_OBJECT { Err(Failure::Fault(fault)) } else { Ok(()) }
    }

    /// Sends the batch as it is until it is accepted or refused for good.
    async fn put_whole(
        &self,
        target: &LogTarget,
        state: &Target,
        batch: &Batch,
    ) -> Result<PutReport, Failure> {
        let pace = self.paces.of(target.access.role.account(), &target.access.region);
        let mut repetition = 0;
        let mut settling: Option<SettlingWaits> = None;
        loop {
            let seen = state.creations();
            let answer = {
                let _call = tokio::select! {
                    call = pace.enter() => call,
                    reason = self.retries.stop.stopped() => return Err(Failure::Stopped(reason)),
                };
                let span = tracing::info_span!(
                    target: TRACES, "PutLogEvents", log_group = %target.group,
                    log_stream = %target.stream, events = batch.len(), bytes = batch.bytes(),
                    result = Empty);
                let started_ms = self.retries.clock.now_ms();
                let answer = self.sink.put(target, batch).instrument(span.clone()).await;
                let took_ms = self.retries.clock.now_ms() - started_ms;
                self.meter.observe(Metric::PutSeconds, u64::try_from(took_ms).unwrap_or_default());
                span.record(
                    "result",
                    answer.as_ref().map_or_else(|fault| result_word(fault.class), |_| "ok"),
                );
                answer
            };
            let fault = match answer {
                Ok(report) => {
                    pace.kept_up();
                    self.meter.add(Metric::Puts, "ok", 1);
                    self.meter.add(Metric::BytesSent, "", batch.bytes() as u64);
                    return Ok(report);
                }
                Err(fault) => fault,
            };
            self.meter.add(Metric::Puts, result_word(fault.class), 1);
            match fault.class {
                FaultClass::Missing => {
                    if let Some(waits) = &mut settling {
                        waits.wait(&self.retries, "PutLogEvents").await?;
                    }
                    settling.get_or_insert_default();
                    targets::create(
                        self.sink,
                        target,
                        state,
                        seen,
                        self.retention_days,
                        &self.retries,
                    )
                    .await?;
                }
                class => {
                    if class == FaultClass::Throttled {
                        pace.throttled(self.retries.clock.now_ms());
                    }
                    if class == FaultClass::Ambiguous {
                        self.meter.add(Metric::DuplicatesPossibleBytes, "", batch.bytes() as u64);
                    }
                    self.retries.pause(fault, repetition).await?;
                    repetition += 1;
                }
            }
        }
    }
}

const fn result_word(class: FaultClass) -> &'static str {
    match class {
        FaultClass::Throttled => "throttled",
        FaultClass::Unavailable => "unavailable",
        FaultClass::Ambiguous => "ambiguous",
        FaultClass::Invalid => "invalid",
        FaultClass::Missing => "missing",
        FaultClass::Denied | FaultClass::RoleDenied | FaultClass::RegionDisabled => "denied",
        FaultClass::Expired
        | FaultClass::Exists
        | FaultClass::Conflict
        | FaultClass::LimitExceeded
        | FaultClass::Changed
        | FaultClass::OutOfRange
        | FaultClass::Systemic(_) => "other",
    }
}

/// Reads a report. Old events form a prefix of the sorted batch, new ones a suffix; the prefixes of too old and
/// expired events overlap, and each event counts once.
fn account(report: &PutReport, batch: &Batch) -> Ledger {
    let count = batch.len();
    let too_old = report.too_old_end.unwrap_or(0).min(count);
    let old_end = report.expired_end.unwrap_or(0).min(count).max(too_old);
    let new_start = report.too_new_start.unwrap_or(count).clamp(old_end, count);
    Ledger {
        rejected_old: batch.records(0..too_old),
        expired: batch.records(too_old..old_end),
        delivered: batch.records(old_end..new_start),
        rejected_new: batch.records(new_start..count),
        ..Ledger::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        decode::message::Message,
        engine::segment::{Held, SegmentBuilder, Sizes},
        model::events::RecordPlace,
    };

    fn batch(count: u32) -> Batch {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        (0..count).for_each(|_| builder.push_event(0, 0, &Message::from_text("x").unwrap()));
        Batch::new(
            Arc::new(builder.take(RecordPlace::default()).unwrap().into_segment()),
            (0..count).collect(),
        )
    }

    #[test]
    fn a_report_is_read_with_an_exclusive_end_and_an_inclusive_start() {
        let report = |too_old_end, expired_end, too_new_start| PutReport {
            too_old_end,
            expired_end,
            too_new_start,
        };
        for (report, [old, expired, delivered, new]) in [
            (report(None, None, None), [0, 0, 10, 0]),
            (report(Some(3), None, None), [3, 0, 7, 0]),
            (report(None, Some(4), None), [0, 4, 6, 0]),
            (report(Some(3), Some(5), Some(9)), [3, 2, 4, 1]),
            (report(Some(5), Some(3), Some(9)), [5, 0, 4, 1]),
            (report(Some(10), Some(10), Some(0)), [10, 0, 0, 0]),
            (report(None, None, Some(0)), [0, 0, 0, 10]),
            (report(Some(99), Some(99), Some(99)), [10, 0, 0, 0]),
        ] {
            let expected = Ledger {
                rejected_old: old,
                expired,
                delivered,
                rejected_new: new,
                ..Ledger::default()
            };
            assert_eq!(account(&report, &batch(10)), expected, "{report:?}");
        }
    }
}
