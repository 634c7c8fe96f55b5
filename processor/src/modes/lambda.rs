//! A Lambda function behind an event source mapping with partial batch responses.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::{sync::Arc, time::Duration};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use crate::{
    config::Config,
    engine::{Engine, Handled, Incoming, stop::Stop, verdict::Verdict},
    error_chain::Chain,
    exit::ExitStatus,
    model::outcome::{Outcome, StopReason},
    modes::{
        options::{ProcessOptions, SinkKind},
        wiring,
    },
    ports::Queue,
};

/// Work is broken off when so much of the invocation's time is left.
const GUARD: Duration = Duration::from_secs(10);
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
    /// For dead letters; none when no queue is configured.
    queue: Option<Arc<dyn Queue>>,
}

pub(super) async fn run(config: &Config) -> ExitStatus {
    let wired = match wiring::engine(&options(), config).await {
        Ok(wired) => wired,
        Err(status) => return status,
    };
    let queue = if config.queue_url.is_some() {
        match wiring::queue(config, wired.session.as_ref()) {
            Ok(queue) => Some(queue),
            Err(status) => return status,
        }
    } else {
        None
    };
    let function = Arc::new(Function { engine: wired.engine, queue });
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| {
        let function = Arc::clone(&function);
        async move {
            let left = event
                .context
                .deadline()
                .duration_since(std::time::SystemTime::now())
                .unwrap_or_default();
            function.invoke(event.payload.records, left).await
        }
    });
    match lambda_runtime::run(handler).await {
        Ok(()) => ExitStatus::Ok,
        Err(error) => {
            error!(%error, "the Lambda runtime ended");
            ExitStatus::Unexpected
        }
    }
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
            tasks.spawn(async move { (index, function.work(&work, &stop).await) });
            items.push((record, Item::Failed));
        }
        let answer_in = left.saturating_sub(ANSWER_BEFORE_END);
        let break_off_in = left.saturating_sub(GUARD).min(answer_in);
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
    async fn work(&self, record: &SqsRecord, stop: &Stop) -> (Item, bool) {
        let incoming = Incoming {
            id: &record.message_id,
            body: &record.body,
            receives: record.attributes.approximate_receive_count.parse().unwrap_or(1),
            sent_ms: record
                .attributes
                .sent_timestamp
                .parse()
                .unwrap_or_else(|_| self.engine.now_ms()),
            max_receives: None,
        };
        let handled = self.engine.handle(&incoming, stop).await;
        let systemic =
            handled.results.iter().any(|result| matches!(result.outcome, Outcome::Systemic(_)));
        (self.carry_out(record, &handled).await, systemic)
    }

    async fn carry_out(&self, record: &SqsRecord, handled: &Handled) -> Item {
        match handled.verdict {
            Verdict::Ack => Item::Done,
            Verdict::Bury => {
                let Some(queue) = &self.queue else {
                    // The queue's own redrive policy moves it away.
                    return Item::Failed;
                };
                for letter in &handled.letters {
                    if let Err(fault) = queue.bury(letter).await {
                        error!(message_id = record.message_id, error = %Chain(&fault), "dead letter not sent; message kept");
                        return Item::Failed;
                    }
                }
                Item::Done
            }
            Verdict::Retry { .. } | Verdict::Park { .. } | Verdict::Leave => Item::Failed,
        }
    }
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
            body: String::new(),
            attributes: SqsAttributes::default(),
        }
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
