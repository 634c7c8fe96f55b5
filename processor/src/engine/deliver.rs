//! Delivers one object to one log group.
//!
//! Three things run side by side, each ahead of the next by a bounded amount:
//! fetching bytes, decoding them into segments, sending segments. A segment is
//! committed when every event of it is settled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream};
use tracing::warn;

use crate::{
    decode::{BadReason, Options},
    engine::{
        Context, batch,
        budget::Grant,
        classify::outcome_of,
        content::{self, ContentFault, DecodeReport, Segments},
        put::{Putter, Settled},
        read::{self, OpenObject},
        retry::Failure,
        segment::SegmentBuilder,
        stop::Stop,
    },
    error_chain::Chain,
    metrics::Metric,
    model::{
        events::Segment,
        ids::{LogGroupName, LogStreamName},
        key::LogObject,
        notification::ObjectRef,
        outcome::{Outcome, PoisonReason, Skip, Stage, StopReason, TransientReason},
        progress::{Progress, WorkId},
    },
    ports::{Access, Fault, FaultClass, LogTarget},
};

/// What the body of one call takes, about: a full batch of messages of usual length.
pub(crate) const BODY_BYTES: usize = 1_250_000;
/// How often an object that changes while it is read is started afresh.
const RESTARTS: u32 = 3;

/// One object for one log group.
pub(crate) struct LogWork<'a> {
    pub(crate) id: &'a WorkId,
    pub(crate) object: &'a ObjectRef,
    pub(crate) log: &'a LogObject,
    pub(crate) access: Access,
    pub(crate) group: &'a LogGroupName,
    pub(crate) retention_days: Option<u16>,
}

/// How the work went.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) progress: Progress,
    /// What an operator should know beyond the outcome.
    pub(crate) detail: Option<String>,
    /// When the object was written, if it was read; in milliseconds since the epoch.
    pub(crate) modified_ms: Option<i64>,
}

impl Delivery {
    pub(crate) fn new(outcome: Outcome, progress: Progress) -> Self {
        Self { outcome, progress, detail: None, modified_ms: None }
    }

    pub(crate) fn failed(failure: &Failure, stage: Stage, progress: Progress) -> Self {
        let detail = match failure {
            Failure::Fault(fault) => Some(Chain(fault).to_string()),
            Failure::Stopped(_) => None,
        };
        Self { detail, ..Self::new(outcome_of(failure, stage), progress) }
    }
}

/// How one pass over the object ended.
enum Pass {
    /// To its end; with the first record that is no log record, if there is one.
    Complete(Option<(u64, BadReason)>),
    Failed(Failure, Stage),
    Content(ContentFault),
    Broken(String),
}

/// Delivers the object from where `progress` says.
pub(crate) async fn to_log_group(
    context: &Context,
    work: &LogWork<'_>,
    progress: Progress,
    stop: &Stop,
) -> Delivery {
    let mut modified_ms = None;
    let delivery = attempts(context, work, progress, stop, &mut modified_ms).await;
    Delivery { modified_ms, ..delivery }
}

async fn attempts(
    context: &Context,
    work: &LogWork<'_>,
    mut progress: Progress,
    stop: &Stop,
    modified_ms: &mut Option<i64>,
) -> Delivery {
    let mut read_again = true;
    for _ in 0..=RESTARTS {
        let opened = match open(context, work, stop).await {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                return Delivery::new(Outcome::Delivered, Progress { done: true, ..progress });
            }
            Err(failure) => return Delivery::failed(&failure, Stage::Read, progress),
        };
        *modified_ms = Some(opened.info.last_modified_ms);
        context.meter.add(Metric::BytesOpened, "", opened.info.size);
        if opened.info.etag != progress.etag {
            progress = Progress { etag: opened.info.etag.clone(), ..Progress::default() };
        } else if progress.done {
            return Delivery::new(Outcome::Skipped(Skip::Duplicate), progress);
        }
        match Box::pin(pass(context, work, opened, &mut progress, stop)).await {
            Pass::Complete(bad) => return complete(progress, bad),
            Pass::Failed(Failure::Fault(fault), Stage::Read)
                if fault.class == FaultClass::Changed => {}
            Pass::Failed(failure, stage) => return Delivery::failed(&failure, stage, progress),
            Pass::Content(fault) if read_again && fault.may_be_the_way() => read_again = false,
            Pass::Content(fault) => {
                let reason = fault.poison().unwrap_or(PoisonReason::Corrupt);
                let outcome = Outcome::Poison { reason, stage: Stage::Decode };
                return Delivery {
                    detail: Some(content_detail(&fault)),
                    ..Delivery::new(outcome, progress)
                };
            }
            Pass::Broken(detail) => {
                let outcome =
                    Outcome::Transient { reason: TransientReason::Internal, stage: Stage::Decode };
                return Delivery { detail: Some(detail), ..Delivery::new(outcome, progress) };
            }
        }
    }
    Delivery::failed(
        &Failure::Fault(Fault::new(FaultClass::Changed, "GetObject")),
        Stage::Read,
        progress,
    )
}

/// An object of which nothing could be read is not delivered, however complete it is.
fn complete(progress: Progress, bad: Option<(u64, BadReason)>) -> Delivery {
    let ledger = progress.ledger;
    let detail = bad.map(|(offset, reason)| {
        format!("{} unreadable records, the first at byte {offset}: {reason}", ledger.undecodable)
    });
    if ledger.read > 0 && ledger.undecodable == ledger.read {
        let outcome = Outcome::Poison { reason: PoisonReason::Undecodable, stage: Stage::Decode };
        return Delivery { detail, ..Delivery::new(outcome, progress) };
    }
    let done = Progress { done: true, ..progress };
    Delivery { detail, ..Delivery::new(Outcome::Delivered, done) }
}

fn content_detail(fault: &ContentFault) -> String {
    match fault {
        ContentFault::Gzip(error) => Chain(error).to_string(),
        ContentFault::Cut(reason) => reason.to_string(),
        ContentFault::Interrupted | ContentFault::NotWanted => "reading was interrupted".to_owned(),
    }
}

async fn open(
    context: &Context,
    work: &LogWork<'_>,
    stop: &Stop,
) -> Result<Option<OpenObject>, Failure> {
    read::open(context.store.as_ref(), work.object, None, &context.retries(stop)).await
}

/// Reads the object once, from its beginning to its end or to the first failure.
async fn pass(
    context: &Context,
    work: &LogWork<'_>,
    opened: OpenObject,
    progress: &mut Progress,
    stop: &Stop,
) -> Pass {
    // Fetching also stops when sending has failed, even in the middle of a pause.
    let fetching_stop = stop.child();
    let options = Options {
        limits: context.settings.limits,
        fallback_timestamp_ms: opened.info.last_modified_ms,
        ..Options::default()
    };
    let builder = SegmentBuilder::new(
        context.settings.max_message_bytes,
        tag(work.object, &opened.info.etag),
        context.budget.clone(),
    );
    let from = progress.next;
    let (chunk_sender, chunk_reader) = read::channel();
    let (outlet, segments) = content::channel(&context.budget);

    let decoding = tokio::task::spawn_blocking(move || {
        content::decode(chunk_reader, options, from, builder, outlet)
    });
    let fetching_retries = context.retries(&fetching_stop);
    let fetching = read::fetch(
        context.store.as_ref(),
        work.object,
        opened,
        chunk_sender,
        &fetching_retries,
        &context.meter,
    );
    let sending = async {
        let sent = send_all(context, work, segments, progress, stop).await;
        if sent.is_err() {
            fetching_stop.stop(StopReason::Shutdown);
        }
        sent
    };
    let (fetched, decoded, sent) = tokio::join!(fetching, decoding, sending);
    judge(context, fetched, decoded, sent)
}

fn judge(
    context: &Context,
    fetched: Result<(), Failure>,
    decoded: Result<DecodeReport, tokio::task::JoinError>,
    sent: Result<(), Failure>,
) -> Pass {
    if let Err(failure) = sent {
        return Pass::Failed(failure, Stage::Deliver);
    }
    if let Err(failure) = fetched {
        return Pass::Failed(failure, Stage::Read);
    }
    match decoded {
        Ok(report) => {
            context.meter.add(Metric::BytesRaw, "", report.counters.bytes_inflated);
            match report.result {
                Ok(()) => Pass::Complete(report.first_bad),
                Err(fault) => Pass::Content(fault),
            }
        }
        Err(error) => Pass::Broken(error.to_string()),
    }
}

/// Sends the segments one after the other and notes each in `progress`.
async fn send_all(
    context: &Context,
    work: &LogWork<'_>,
    mut segments: Segments,
    progress: &mut Progress,
    stop: &Stop,
) -> Result<(), Failure> {
    let putter = Putter::new(context, stop, work.retention_days);
    while let Some(mut held) = segments.next().await {
        if let Some(reason) = stop.reason() {
            return Err(Failure::Stopped(reason));
        }
        let segment = Arc::new(std::mem::take(&mut held.segment));
        match send_segment(context, work, &putter, &segment).await {
            Ok(settled) => {
                progress.ledger += settled.ledger;
                progress.ledger.read += segment.read;
                progress.ledger.undecodable += segment.undecodable;
                progress.next = segment.end;
                note(context, work, progress).await?;
                context.meter.add(Metric::RecordsSplit, "", segment.split);
                context.meter.add(Metric::SegmentsCommitted, "", 1);
                // All batches of it are gone, so nobody else holds it.
                held.segment = Arc::try_unwrap(segment).unwrap_or_default();
                segments.give_back(held);
            }
            Err(failure) => {
                context.meter.add(Metric::SegmentsResent, "", 1);
                return Err(failure);
            }
        }
    }
    Ok(())
}

/// Keeps the progress where another process finds it. Only the loss of the work itself breaks it off.
async fn note(context: &Context, work: &LogWork<'_>, progress: &Progress) -> Result<(), Failure> {
    match context.checkpoints.save(work.id, progress).await {
        Ok(()) => Ok(()),
        Err(fault) if fault.class == FaultClass::Changed => {
            Err(Failure::Stopped(StopReason::LeaseLost))
        }
        Err(fault) => {
            warn!(tenant = %work.log.tenant, key = work.object.key, error = %Chain(&fault), "checkpoint not saved");
            Ok(())
        }
    }
}

/// Sends all batches of a segment, a few at a time. After a failure no further one is started.
async fn send_segment(
    context: &Context,
    work: &LogWork<'_>,
    putter: &Putter<'_>,
    segment: &Arc<Segment>,
) -> Result<Settled, Failure> {
    let failed = AtomicBool::new(false);
    let batches = batch::cut(segment, context.settings.max_batch_events);
    let puts = stream::iter(batches).map(|one| {
        let failed = &failed;
        async move {
            if failed.load(Ordering::Relaxed) {
                return Ok(Settled::default());
            }
            let result = putter.put(&target(work, one.day), one.batch).await;
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            result
        }
    });
    // One call at a time is an object's own; each further one needs memory for its body.
    let further: Vec<Grant> = (1..context.settings.puts_in_flight)
        .map_while(|_| context.budget.try_take(BODY_BYTES))
        .collect();
    let mut puts = puts.buffer_unordered(1 + further.len());
    let mut settled = Settled::default();
    let mut failure = None;
    while let Some(result) = puts.next().await {
        match result {
            Ok(one) => {
                settled.ledger += one.ledger;
                settled.suspects += one.suspects;
            }
            Err(first) => failure = failure.or(Some(first)),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    // Nothing was accepted yet: the destination itself may be what is wrong, and its owner can mend that.
    if settled.suspects > 0 && !putter.destination_accepts() {
        return Err(Failure::Fault(
            Fault::new(FaultClass::Invalid, "PutLogEvents").with_code("EveryBatchRefused"),
        ));
    }
    Ok(settled)
}

fn target(work: &LogWork<'_>, day: i64) -> LogTarget {
    let day = batch::day_name(day);
    let stream =
        LogStreamName::sanitised(&format!("{}-{}-{day}", work.log.application, work.log.pod));
    LogTarget { access: work.access.clone(), group: work.group.clone(), stream }
}

/// A short number for the parts of split messages: the same for the same content, another for another object.
fn tag(object: &ObjectRef, etag: &str) -> u32 {
    let text = object.key.bytes().chain(etag.bytes());
    text.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
