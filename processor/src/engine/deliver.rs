//! Delivers one object to one log group.
//!
//! Three things run side by side, each ahead of the next by a bounded amount:
//! fetching bytes, decoding them into segments, sending segments. A segment is
//! committed when every event of it and of those before it is settled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use tracing::warn;

use crate::{
    decode::{BadReason, Options},
    engine::{
        Context, batch,
        classify::outcome_of,
        content::{self, ContentFault, DecodeReport, Segments},
        put::{Putter, Settled},
        read::{self, OpenObject},
        retry::Failure,
        segment::{Cut, Cutter, Held, SegmentBuilder, Sizes},
        stop::Stop,
    },
    error_chain::Chain,
    metrics::Metric,
    model::{
        events::{RecordPlace, Segment},
        ids::{LogGroupName, LogStreamName},
        key::LogObject,
        notification::ObjectRef,
        outcome::{Ledger, Outcome, PoisonReason, Skip, Stage, StopReason, TransientReason},
        progress::{Progress, WorkId},
    },
    ports::{Access, Fault, FaultClass, LogTarget},
};

/// What a body takes that is written anew, about: a full batch of messages of usual length.
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
    let sizes = Sizes {
        max_message_bytes: context.settings.max_message_bytes,
        max_events: context.settings.max_batch_events,
        object_tag: tag(work.object, &opened.info.etag),
    };
    let builder = SegmentBuilder::new(sizes, Held::own(&context.spare));
    let from = progress.next;
    let (chunk_sender, chunk_reader) = read::channel();
    let (sink, place, max_events) =
        (Arc::clone(&context.sink), Place::of(work), context.settings.max_batch_events);
    let cut: Cutter = Box::new(move |segment| {
        batch::cut(segment, max_events, |day| sink.enclosure(&place.target(day)))
    });
    let in_flight = context.settings.puts_in_flight;
    let (outlet, segments) = content::channel(&context.budget, &context.spare, in_flight, cut);

    let decoding = async {
        let reader = chunk_reader.begun().await;
        tokio::task::spawn_blocking(move || content::decode(reader, options, from, builder, outlet))
            .await
    };
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

/// Sends the segments, some at a time, and notes each in `progress` when all before it are settled too.
///
/// After a failure no further one is started, and what is under way ends by itself: its answer may have been on its way.
/// Refused events count as the events' fault once the destination has taken anything of the object. If it takes nothing,
/// the destination itself may be what is wrong, and its owner can mend that.
async fn send_all(
    context: &Context,
    work: &LogWork<'_>,
    mut segments: Segments,
    progress: &mut Progress,
    stop: &Stop,
) -> Result<(), Failure> {
    let sender = Sender {
        context,
        place: Place::of(work),
        putter: Putter::new(context, stop, work.retention_days),
        stop,
        has_failed: AtomicBool::new(false),
        own_body: tokio::sync::Mutex::default(),
    };
    let mut sending = FuturesOrdered::new();
    let mut done = Vec::new();
    let mut failure = None;
    let mut more = true;
    loop {
        let may_start = more
            && sending.len() < context.settings.puts_in_flight
            && !sender.has_failed.load(Ordering::Relaxed);
        tokio::select! {
            next = segments.next(), if may_start => match next {
                Some((held, cut)) => sending.push_back(sender.send(held, cut)),
                None => more = false,
            },
            Some(sent) = sending.next() => match sent {
                Ok((held, settled)) if failure.is_none() => {
                    done.push(Done::new(&held.segment, settled));
                    segments.give_back(held);
                    let is_certain = done.iter().all(|one| one.suspects == 0)
                        || sender.putter.destination_accepts();
                    if is_certain {
                        failure = commit(context, work, progress, &mut done).await.err();
                    }
                }
                Ok(_) => context.meter.add(Metric::SegmentsResent, "", 1),
                Err(sent) => {
                    context.meter.add(Metric::SegmentsResent, "", 1);
                    failure = failure.or(Some(sent));
                }
            },
            else => break,
        }
        if failure.is_some() {
            sender.has_failed.store(true, Ordering::Relaxed);
        }
    }
    if failure.is_none() && !done.is_empty() {
        context.meter.add(Metric::SegmentsResent, "", done.len() as u64);
        let refused =
            Fault::new(FaultClass::Invalid, "PutLogEvents").with_code("EveryBatchRefused");
        failure = Some(Failure::Fault(refused));
    }
    failure.map_or(Ok(()), Err)
}

/// A segment whose events are all settled.
struct Done {
    ledger: Ledger,
    split: u64,
    end: RecordPlace,
    /// Of the quarantined records, those that count only if the destination takes anything at all.
    suspects: u64,
}

impl Done {
    fn new(segment: &Segment, settled: Settled) -> Self {
        let Segment { read, undecodable, split, end, .. } = *segment;
        let mut ledger = settled.ledger;
        ledger.read += read;
        ledger.undecodable += undecodable;
        Self { ledger, split, end, suspects: settled.suspects }
    }
}

/// Notes what is done, in the order of the file.
async fn commit(
    context: &Context,
    work: &LogWork<'_>,
    progress: &mut Progress,
    done: &mut Vec<Done>,
) -> Result<(), Failure> {
    for one in done.drain(..) {
        progress.ledger += one.ledger;
        progress.next = one.end;
        note(context, work, progress).await?;
        context.meter.add(Metric::RecordsSplit, "", one.split);
        context.meter.add(Metric::SegmentsCommitted, "", 1);
    }
    Ok(())
}

/// What sends the segments of one object.
struct Sender<'a> {
    context: &'a Context,
    place: Place,
    putter: Putter<'a>,
    stop: &'a Stop,
    /// Whether a segment could not be sent.
    has_failed: AtomicBool,
    /// The memory for one body that every object has.
    own_body: tokio::sync::Mutex<()>,
}

impl Sender<'_> {
    /// Sends all batches of a segment, one after the other, and returns it with nothing but its memory and its counts.
    async fn send(&self, mut held: Held, cut: Cut) -> Result<(Held, Settled), Failure> {
        let result = self.send_batches(&mut held, cut).await;
        self.has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result.map(|settled| (held, settled))
    }

    async fn send_batches(
        &self,
        held: &mut Held,
        (segment, batches): Cut,
    ) -> Result<Settled, Failure> {
        if let Some(reason) = self.stop.reason() {
            return Err(Failure::Stopped(reason));
        }
        let budget = &self.context.budget;
        let mut settled = Settled::default();
        for one in batches {
            // A body that is written anew needs memory, of which every object has some of its own.
            let is_written = !one.batch.is_request();
            let shared = is_written.then(|| budget.try_take(BODY_BYTES)).flatten();
            let own = if is_written && shared.is_none() {
                Some(self.own_body.lock().await)
            } else {
                None
            };
            let one = self.putter.put(&self.place.target(one.day), one.batch).await?;
            drop((shared, own));
            settled.ledger += one.ledger;
            settled.suspects += one.suspects;
        }
        // All batches of it are gone, so nobody else holds it.
        held.segment = Arc::try_unwrap(segment).unwrap_or_else(|shared| shared.without_events());
        Ok(settled)
    }
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

/// Where an object's records go, but for the day.
struct Place {
    access: Access,
    group: LogGroupName,
    stream: String,
}

impl Place {
    fn of(work: &LogWork<'_>) -> Self {
        let stream = format!("{}-{}", work.log.application, work.log.pod);
        Self { access: work.access.clone(), group: work.group.clone(), stream }
    }

    fn target(&self, day: i64) -> LogTarget {
        let stream = format!("{}-{}", self.stream, batch::day_name(day));
        LogTarget {
            access: self.access.clone(),
            group: self.group.clone(),
            stream: LogStreamName::sanitised(&stream),
        }
    }
}

/// A short number for the parts of split messages: the same for the same content, another for another object.
fn tag(object: &ObjectRef, etag: &str) -> u32 {
    let text = object.key.bytes().chain(etag.bytes());
    text.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
