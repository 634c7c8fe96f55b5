//! A Lambda function behind an event source mapping with partial batch responses.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use crate::{
    config::Config,
    engine::{
        Engine, Handled, Incoming, Renewal,
        fair::{Fair, Place},
        stop::Stop,
        verdict::Verdict,
    },
    error_chain::Chain,
    exit::ExitStatus,
    metrics::{Meter, Metric, Snapshot},
    model::outcome::StopReason,
    modes::{
        options::{ProcessOptions, SinkKind},
        settle::{self, Settler, Subject},
        wiring,
    },
    ports::Receipt,
    shutdown::Signals,
};

/// Work is broken off when so much of the invocation's time is left, or more where calls are slow.
const GUARD: Duration = Duration::from_secs(10);
/// How many slow calls must still fit into the time that is left.
const SLOW_CALLS: u32 = 3;
/// After this much more, whatever is unfinished counts as failed.
const ANSWER_BEFORE_END: Duration = Duration::from_secs(2);

/// The event of SQS, as far as it is needed.
#[derive(Debug, Deserialize)]
struct SqsEvent {
    #[serde(rename = "Records", default)]
    records: Vec<SqsRecord>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsRecord {
    message_id: String,
    #[serde(default)]
    receipt_handle: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    attributes: SqsAttributes,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SqsAttributes {
    approximate_receive_count: String,
    sent_timestamp: String,
}

/// Which messages the queue should offer again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

struct Function {
    engine: Arc<Engine>,
    meter: Arc<Meter>,
    hands: Arc<Fair>,
    /// For letters, continuations and pauses; none when no queue is configured.
    settler: Option<Settler>,
    max_receives: Option<u32>,
    renewal: Renewal,
    reported: Mutex<Snapshot>,
}

pub(super) async fn run(config: &Config) -> ExitStatus {
    // The first process of a container ignores a signal that it does not take over.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitStatus::Unexpected;
        }
    };
    let function = match function(config).await {
        Ok(function) => Arc::new(function),
        Err(status) => return status,
    };
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| {
        let function = Arc::clone(&function);
        async move {
            let left =
                event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            let response = function.invoke(event.payload.records, left).await;
            function.report_metrics(&event.context.env_config.function_name);
            response
        }
    });
    let result = tokio::select! {
        result = lambda_runtime::run(handler) => result,
        name = signals.next() => {
            // Lambda sends it between two invocations. What another sender breaks off was not
            // answered, so its messages come again.
            info!(signal = name, "stopping");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitStatus::Ok,
        Err(error) => {
            error!(%error, "the Lambda runtime ended");
            ExitStatus::Unexpected
        }
    }
}

async fn function(config: &Config) -> Result<Function, ExitStatus> {
    let wired = wiring::engine(&options(), config).await?;
    let (mut settler, mut max_receives) = (None, None);
    if config.queue_url.is_some() {
        let queue = wiring::queue(config, wired.session.as_ref())?;
        match queue.settings().await {
            Ok(settings) => max_receives = settings.max_receives,
            Err(fault) => warn!(error = %Chain(&fault), "the queue's settings are not readable"),
        }
        settler = Some(Settler {
            engine: Arc::clone(&wired.engine),
            queue,
            visibility: config.visibility_timeout,
        });
    }
    let renewal = if settler.is_some() { wiring::renewal(config) } else { Renewal::Never };
    let hands = usize::try_from(config.concurrency().get()).unwrap_or(1);
    Ok(Function {
        engine: wired.engine,
        meter: wired.meter,
        hands: Fair::new(hands, hands),
        settler,
        max_receives,
        // Without a queue to send to, nothing can be sent anew.
        renewal,
        reported: Mutex::default(),
    })
}

fn options() -> ProcessOptions {
    ProcessOptions {
        mode: None,
        until_empty: false,
        object: None,
        file: None,
        key: None,
        sink: SinkKind::Cloudwatch,
        dry_run: false,
        prefix: None,
        tenants: Vec::new(),
        since: None,
        before: None,
        cursor: None,
        watch: false,
    }
}

/// How one message of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Done,
    Failed,
}

impl Function {
    /// Works on all messages of a batch. Fails as a whole only when nothing succeeded and the engine itself is at
    /// fault: then Lambda offers messages more slowly.
    async fn invoke(
        self: &Arc<Self>,
        records: Vec<SqsRecord>,
        left: Duration,
    ) -> Result<BatchResponse, Error> {
        let stop = Stop::default();
        let mut tasks = tokio::task::JoinSet::new();
        let mut items: Vec<(SqsRecord, Item)> = Vec::new();
        for (index, record) in records.into_iter().enumerate() {
            let (function, stop, work) = (Arc::clone(self), stop.child(), record.clone());
            let (tenant, bytes) = self.engine.lane(&record.body);
            let place = self.hands.enlist(&tenant, bytes);
            tasks.spawn(async move { (index, function.work(&work, place, &stop).await) });
            items.push((record, Item::Failed));
        }
        let answer_in = left.saturating_sub(ANSWER_BEFORE_END);
        let slow_call = self.meter.hundredth(Metric::PutSeconds).unwrap_or_default();
        let break_off_in = left.saturating_sub(guard(slow_call, left)).min(answer_in);
        let mut systemic = false;
        let joined = async {
            while let Some(result) = tasks.join_next().await {
                match result {
                    Ok((index, (item, own_fault))) => {
                        systemic |= own_fault;
                        if let Some(slot) = items.get_mut(index) {
                            slot.1 = item;
                        }
                    }
                    Err(panic) => error!(error = %panic, "work on a message broke down"),
                }
            }
        };
        let broken_off = async {
            tokio::time::sleep(break_off_in).await;
            stop.stop(StopReason::Deadline);
            tokio::time::sleep(answer_in.saturating_sub(break_off_in)).await;
        };
        tokio::select! {
            () = joined => {}
            () = broken_off => warn!("time is up; what is in work comes again"),
        }
        respond(&items, systemic)
    }

    /// Returns how the message ended, and whether the engine itself is at fault.
    async fn work(&self, record: &SqsRecord, place: Place, stop: &Stop) -> (Item, bool) {
        let hand = tokio::select! {
            hand = place.hand() => hand,
            _ = stop.stopped() => return (Item::Failed, false),
        };
        let now_ms = self.engine.now_ms();
        let incoming = Incoming {
            id: &record.message_id,
            body: &record.body,
            receives: record.attributes.approximate_receive_count.parse().unwrap_or(1),
            sent_ms: record.attributes.sent_timestamp.parse().unwrap_or(now_ms),
            max_receives: self.max_receives,
            renewal: self.renewal,
        };
        let handled = self.engine.handle(&incoming, stop).await;
        drop(hand);
        (self.carry_out(record, &handled).await, settle::is_systemic(&handled))
    }

    async fn carry_out(&self, record: &SqsRecord, handled: &Handled) -> Item {
        let Some(settler) = &self.settler else {
            // Without a queue to act on, whatever is not settled is left to the queue's own redrive policy.
            return if handled.verdict == Verdict::Ack { Item::Done } else { Item::Failed };
        };
        let receipt = Receipt(record.receipt_handle.clone());
        let subject = Subject { id: &record.message_id, body: &record.body, receipt: &receipt };
        if settler.carry_out(subject, handled).await.deletes() { Item::Done } else { Item::Failed }
    }

    /// Writes what was counted since the last invocation to standard output, where Lambda finds it.
    fn report_metrics(&self, function_name: &str) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.meter.embedded_lines(&mut reported, function_name, self.engine.now_ms()) {
            // Metrics are worth less than the delivery that they are about.
            drop(writeln!(std::io::stdout(), "{line}"));
        }
    }
}

/// Returns how long before its deadline an invocation with so much time left breaks its work off.
/// At least half of the time is worked in, however slow the calls are.
fn guard(slow_call: Duration, left: Duration) -> Duration {
    (slow_call * SLOW_CALLS).min(left / 2).max(GUARD)
}

fn respond(items: &[(SqsRecord, Item)], systemic: bool) -> Result<BatchResponse, Error> {
    let failed = |item: &&(SqsRecord, Item)| item.1 == Item::Failed;
    if systemic && !items.is_empty() && items.iter().all(|item| failed(&item)) {
        return Err("no message of the batch could be worked on".into());
    }
    let batch_item_failures = items
        .iter()
        .filter(failed)
        .map(|(record, _)| ItemFailure { item_identifier: record.message_id.clone() })
        .collect();
    Ok(BatchResponse { batch_item_failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> SqsRecord {
        SqsRecord {
            message_id: id.to_owned(),
            receipt_handle: String::new(),
            body: String::new(),
            attributes: SqsAttributes::default(),
        }
    }

    #[test]
    fn slow_calls_end_the_work_earlier() {
        let seconds = Duration::from_secs;
        assert_eq!(guard(seconds(0), seconds(900)), GUARD);
        assert_eq!(guard(seconds(2), seconds(900)), GUARD);
        assert_eq!(guard(seconds(30), seconds(900)), seconds(90));
        assert_eq!(guard(seconds(300), seconds(900)), seconds(450));
        assert_eq!(guard(seconds(300), seconds(12)), GUARD);
    }

    #[test]
    fn the_answer_names_what_failed_and_nothing_else() {
        let items =
            [(record("a"), Item::Done), (record("b"), Item::Failed), (record("c"), Item::Done)];
        let answer = serde_json::to_value(respond(&items, true).unwrap()).unwrap();
        assert_eq!(answer, serde_json::json!({"batchItemFailures": [{"itemIdentifier": "b"}]}));
        assert!(respond(&[], true).unwrap().batch_item_failures.is_empty());
    }

    #[test]
    fn the_batch_fails_as_a_whole_only_when_nothing_succeeded_and_the_engine_is_at_fault() {
        let failed = [(record("a"), Item::Failed)];
        assert!(respond(&failed, true).is_err());
        assert_eq!(respond(&failed, false).unwrap().batch_item_failures.len(), 1);
    }
}
