//! Reads a queue until it is told to stop.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{BYTES_PER_OBJECT, Config},
    engine::{fair::Fair, stop::Stop},
    error_chain::Chain,
    exit::ExitStatus,
    metrics::Metric,
    model::outcome::StopReason,
    modes::{
        hold::{self, Holder},
        options::ProcessOptions,
        probes::Probes,
        settle::{Ending, Settler},
        wiring,
    },
    ports::{Fault, FaultClass, Message, QueueSettings},
    shutdown::Signals,
};

/// The most messages of one tenant in work at a time.
const MOST_PER_TENANT: usize = 4;
/// The most messages held at a time, in work or waiting for their turn.
const MOST_HELD: usize = 500;
/// How long one receive waits for messages. A stop waits for the receive under way, so it is shorter than the
/// 20 seconds that SQS allows; an idle processor makes half a million receives a month with it.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const LONG_POLL: Duration = Duration::from_secs(5);
/// The same when the run ends with the queue.
const SHORT_POLL: Duration = Duration::from_secs(2);
/// How long after its wait a stop still waits for the answer to a receive. Orchestrators kill after ten seconds at the
/// soonest.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// How many empty receives make an empty queue.
const EMPTY_POLLS: u32 = 2;
/// How long nothing is received when the engine itself cannot work.
const SYSTEMIC_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause after receives that failed.
const RECEIVE_PAUSE_CAP: Duration = Duration::from_secs(30);
/// What is left of the grace when work is broken off between two segments.
const BREAK_OFF_BEFORE_END: Duration = Duration::from_secs(10);

pub(super) async fn run(options: &ProcessOptions, config: &Config) -> ExitStatus {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitStatus::Unexpected;
        }
    };
    let reading = tokio::select! {
        reading = start(options, config) => reading,
        _ = signals.next() => return ExitStatus::Ok,
    };
    let mut reader = match reading {
        Ok(reader) => reader,
        Err(status) => return status,
    };
    let finished = tokio::select! {
        status = reader.read(options.until_empty) => Some(status),
        name = signals.next() => {
            info!(signal = name, grace = config.shutdown_grace.as_secs(), "stopping; a second signal ends at once");
            None
        }
    };
    let status = finished.unwrap_or(ExitStatus::Ok);
    tokio::select! {
        () = reader.drain(config.shutdown_grace) => status,
        _ = signals.next() => {
            warn!("ended at once; what was in work comes again");
            ExitStatus::Interrupted
        }
    }
}

async fn start(options: &ProcessOptions, config: &Config) -> Result<Reader, ExitStatus> {
    let wired = wiring::engine(options, config).await?;
    let queue = wiring::queue(config, wired.session.as_ref())?;
    let mut serving = JoinSet::new();
    if let Some(address) = config.metrics_address {
        match Probes::listen(address, Arc::clone(&wired.meter)).await {
            Ok(probes) => {
                info!(address = ?probes.address().ok(), "metrics and probes are served");
                serving.spawn(probes.serve());
            }
            Err(error) => {
                error!(%error, %address, "METRICS_ADDRESS cannot be listened on");
                return Err(ExitStatus::Config);
            }
        }
    }
    let settings = match queue.settings().await {
        Ok(settings) => settings,
        // Nothing depends on them: without them, letters are left to the queue itself.
        Err(fault) if fault.class == FaultClass::Denied => {
            warn!(error = %Chain(&fault), "the queue's settings are not readable");
            QueueSettings::default()
        }
        Err(fault) => {
            error!(error = %Chain(&fault), "the queue's settings are not readable");
            return Err(status_of(&fault));
        }
    };
    if !settings.has_dead_letter_queue {
        warn!("no dead-letter queue: what cannot be delivered is kept until the queue drops it");
    }
    let (done, to_delete) = mpsc::channel(100);
    let mut deleting = JoinSet::new();
    deleting.spawn(hold::delete_settled(Arc::clone(&queue), to_delete));
    let capacity = usize::try_from(config.concurrency().get()).unwrap_or(1);
    let settler = Settler { engine: wired.engine, queue, visibility: config.visibility_timeout };
    let holder = Holder {
        settler,
        meter: wired.meter,
        settings,
        renewal: wiring::renewal(config),
        done,
        hands: Fair::new(capacity, (capacity / 2).clamp(1, MOST_PER_TENANT)),
        closing: CancellationToken::new(),
    };
    Ok(Reader {
        holder: Arc::new(holder),
        receiving: JoinSet::new(),
        working: JoinSet::new(),
        deleting,
        _serving: serving,
        stop: Stop::default(),
        tally: Tally::default(),
    })
}

const fn status_of(fault: &Fault) -> ExitStatus {
    match fault.class {
        FaultClass::Denied | FaultClass::Systemic(_) => ExitStatus::Refused,
        FaultClass::Missing | FaultClass::Invalid => ExitStatus::Config,
        _ => ExitStatus::Transient,
    }
}

/// Returns the label for the number of a receive.
const fn receive_word(receives: u32) -> &'static str {
    match receives {
        0 | 1 => "1",
        2 => "2",
        3 => "3",
        4 => "4",
        _ => "more",
    }
}

/// What a run has come to.
#[derive(Debug, Default)]
struct Tally {
    buried: u64,
    parked: u64,
    /// The messages that were given back, and when each comes again.
    kept: HashMap<String, Instant>,
    /// Until when nothing is received.
    paused_until: Option<Instant>,
    systemic: bool,
}

/// Receives messages and works on them.
struct Reader {
    holder: Arc<Holder>,
    /// The receive under way, if there is one. It outlives [`Reader::read`]: the queue may answer it all the same,
    /// and hides what it answered with.
    receiving: JoinSet<Result<Vec<Message>, Fault>>,
    working: JoinSet<(String, Ending)>,
    deleting: JoinSet<()>,
    /// Metrics and probes, for as long as messages are read.
    _serving: JoinSet<()>,
    stop: Stop,
    tally: Tally,
}

impl Reader {
    /// Receives until the queue is empty, if that is wanted, or for ever.
    async fn read(&mut self, until_empty: bool) -> ExitStatus {
        let wait = if until_empty { SHORT_POLL } else { LONG_POLL };
        let mut empty_polls = 0;
        let mut failures = 0;
        loop {
            self.collect();
            if until_empty && self.tally.systemic {
                return ExitStatus::Refused;
            }
            let free = self.free();
            if free == 0 {
                self.join_one().await;
                continue;
            }
            self.holder.meter.set(Metric::Receiving, u64::from(!self.tally.systemic));
            match self.receive(free, wait).await {
                Ok(messages) => {
                    failures = 0;
                    // A message may come again before its last attempt was counted.
                    self.collect();
                    empty_polls = if messages.is_empty() { empty_polls + 1 } else { 0 };
                    for message in messages {
                        self.spawn(message);
                    }
                }
                Err(fault) => {
                    failures += 1;
                    if until_empty
                        && matches!(fault.class, FaultClass::Systemic(_) | FaultClass::Denied)
                    {
                        error!(error = %Chain(&fault), "the queue is not readable");
                        return ExitStatus::Refused;
                    }
                    self.receive_failed(&fault, failures).await;
                }
            }
            if until_empty && empty_polls >= EMPTY_POLLS && self.nothing_expected() {
                return self.status();
            }
        }
    }

    async fn receive(&mut self, most: usize, wait: Duration) -> Result<Vec<Message>, Fault> {
        let holder = Arc::clone(&self.holder);
        self.receiving.spawn(async move {
            holder.settler.queue.receive(most, wait, holder.settler.visibility).await
        });
        match self.receiving.join_next().await {
            Some(Ok(received)) => received,
            Some(Err(broken)) => std::panic::resume_unwind(broken.into_panic()),
            None => Ok(Vec::new()),
        }
    }

    /// How many messages to ask for: none while all hands are busy or the engine cannot work. A tenant that must
    /// wait for its turn leaves hands free, and its messages do not keep others from being received.
    fn free(&self) -> usize {
        let free =
            self.holder.hands.free().min(MOST_HELD.saturating_sub(self.working.len())).min(10);
        // One message shows whether the engine can work again.
        if self.tally.systemic { free.min(usize::from(self.working.is_empty())) } else { free }
    }

    /// Whether nothing is in work and nothing given back is still to come.
    fn nothing_expected(&self) -> bool {
        let now = Instant::now();
        self.working.is_empty() && self.tally.kept.values().all(|until| now >= *until)
    }

    fn status(&self) -> ExitStatus {
        let when = |happened: bool, status| if happened { status } else { ExitStatus::Ok };
        when(self.tally.buried > 0, ExitStatus::Data)
            .worse(when(self.tally.parked > 0, ExitStatus::Transient))
            .worse(when(self.tally.systemic, ExitStatus::Refused))
    }

    fn spawn(&mut self, message: Message) {
        let holder = Arc::clone(&self.holder);
        let stop = self.stop.child();
        let place = holder.enlist(&message);
        self.tally.kept.remove(&message.id);
        let age_ms = self.holder.settler.engine.now_ms() - message.sent_ms;
        let meter = &self.holder.meter;
        meter.observe(Metric::QueueAgeSeconds, u64::try_from(age_ms).unwrap_or_default());
        meter.add(Metric::Received, receive_word(message.receives), 1);
        self.working.spawn(async move {
            let finished = holder.work(&message, place, &stop).await;
            (message.id, finished)
        });
        self.show_load();
    }

    fn show_load(&self) {
        let Holder { meter, hands, settler, .. } = self.holder.as_ref();
        meter.set(Metric::InFlight, self.working.len() as u64);
        let used = hands.busy() * BYTES_PER_OBJECT + settler.engine.shared_memory_used();
        meter.set(Metric::MemoryBudgetUsed, used as u64);
    }

    fn collect(&mut self) {
        while let Some(finished) = self.working.try_join_next() {
            self.count(finished);
        }
    }

    /// Waits for one message to finish, or for the end of a pause.
    async fn join_one(&mut self) {
        if self.working.is_empty() {
            let until = self.tally.paused_until.unwrap_or_else(Instant::now);
            tokio::time::sleep_until(until).await;
        } else if let Some(finished) = self.working.join_next().await {
            self.count(finished);
        }
    }

    fn count(&mut self, finished: Result<(String, Ending), tokio::task::JoinError>) {
        self.show_load();
        let was_systemic = std::mem::take(&mut self.tally.systemic);
        match finished {
            Ok((_, Ending::Settled)) => {}
            Ok((_, Ending::Buried)) => self.tally.buried += 1,
            Ok((id, Ending::Kept(until) | Ending::HandedOn(until))) => {
                self.tally.kept.insert(id, until);
            }
            Ok((_, Ending::Parked | Ending::ParkedAnew)) => self.tally.parked += 1,
            Ok((_, Ending::Systemic)) => {
                self.tally.systemic = true;
                self.tally.paused_until = Some(Instant::now() + SYSTEMIC_PAUSE);
                if !was_systemic {
                    error!("the engine cannot work; receiving is paused");
                }
            }
            Err(panic) => {
                // The message was not deleted: it comes again when its time is over.
                error!(error = %panic, "work on a message broke down");
                self.tally.kept.insert(
                    panic.id().to_string(),
                    Instant::now() + self.holder.settler.visibility,
                );
            }
        }
    }

    async fn receive_failed(&mut self, fault: &Fault, failures: u32) {
        error!(error = %Chain(fault), failures, "nothing received");
        self.holder.meter.set(Metric::Receiving, 0);
        let longest = (Duration::from_millis(500) * (1 << failures.min(8))).min(RECEIVE_PAUSE_CAP);
        tokio::time::sleep(longest / 2 + self.holder.settler.engine.jitter(longest / 2)).await;
    }

    /// Lets work in hand finish, and gives the rest back.
    async fn drain(mut self, grace: Duration) {
        self.holder.closing.cancel();
        let end = Instant::now() + grace;
        let receiving = std::mem::take(&mut self.receiving);
        let holder = Arc::clone(&self.holder);
        tokio::join!(give_back(&holder, receiving, end), self.finish(grace, end));
        // Whoever can still send a message to be deleted must go before the deleter can end.
        drop(holder);
        drop(self.working);
        drop(self.holder);
        while self.deleting.join_next().await.is_some() {}
    }

    /// Waits for work in hand; breaks it off between two segments when time runs out.
    async fn finish(&mut self, grace: Duration, end: Instant) {
        let break_off = end - BREAK_OFF_BEFORE_END.min(grace / 2);
        let mut broken_off = false;
        while !self.working.is_empty() {
            let next = if broken_off { end } else { break_off };
            match tokio::time::timeout_at(next, self.working.join_next()).await {
                Ok(Some(finished)) => self.count(finished),
                Ok(None) => break,
                Err(_) if broken_off => {
                    warn!(messages = self.working.len(), "time is up; what is in work comes again");
                    self.working.abort_all();
                    break;
                }
                Err(_) => {
                    broken_off = true;
                    let messages = self.working.len();
                    info!(messages, "breaking off");
                    self.holder.meter.add(Metric::ShutdownReleased, "", messages as u64);
                    self.stop.stop(StopReason::Shutdown);
                }
            }
        }
    }
}

/// Waits for the receive under way, until `end` at the latest, and gives back what it brings.
async fn give_back(
    holder: &Holder,
    mut receiving: JoinSet<Result<Vec<Message>, Fault>>,
    end: Instant,
) {
    if receiving.is_empty() {
        return;
    }
    let due = end.min(Instant::now() + LONG_POLL + ANSWER_MARGIN);
    match tokio::time::timeout_at(due, receiving.join_next()).await {
        Ok(Some(Ok(Ok(messages)))) => {
            join_all(messages.iter().map(|message| holder.release(message))).await;
        }
        Ok(Some(Ok(Err(fault)))) => warn!(error = %Chain(&fault), "nothing received"),
        Ok(Some(Err(broken))) => error!(error = %broken, "a receive broke down"),
        Ok(None) => {}
        Err(_) => warn!("the queue does not answer; what a receive brings now comes again"),
    }
}
