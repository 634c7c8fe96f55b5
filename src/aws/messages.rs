//! Messages of a queue: looked at, given back, sent, deleted.
//!
//! Batches have one outcome for each entry, and a batch that AWS answered with success may hold failures.

use std::time::Duration;

use aws_sdk_sqs::{
    error::BuildError,
    primitives::Blob,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
        QueueAttributeName, SendMessageBatchRequestEntry,
    },
};
use jiff::Timestamp;

use super::{
    fault::{Fault, FaultClass},
    sqs::Sqs,
};
use crate::letters::message::{Attribute, Message, Outgoing, Value};

const SERVICE: &str = "sqs";
/// The most entries of a batch, and the most messages of a receive (`sqs-2012-11-05`).
const MAX_ENTRIES: usize = 10;
/// The most bytes of a batch of messages (`SendMessageBatch` in the API model).
const MAX_BATCH_BYTES: usize = 1_048_576;
/// A poll of at least one second asks every server of the queue; a shorter one may overlook messages.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>.
const POLL_SECONDS: i32 = 1;

/// What a queue says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its URL.
    pub url: String,
    /// Its ARN.
    pub arn: String,
    /// About how many messages can be received.
    pub visible: u64,
    /// About how many messages somebody has received and not yet given back.
    pub in_flight: u64,
    /// About how many messages are delayed.
    pub delayed: u64,
    /// The dead-letter queue that its redrive policy names.
    pub dead_letter_arn: Option<String>,
}

impl QueueFacts {
    /// Returns the queue's name.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or(&self.arn)
    }

    /// Returns about how many messages there are, whatever their state.
    pub const fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Why one entry of a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

impl Sqs {
    /// Returns what a queue says of itself; `None` if there is no such queue.
    pub async fn facts(&self, url: &str) -> Result<Option<QueueFacts>, Fault> {
        const OPERATION: &str = "GetQueueAttributes";
        let names = [
            QueueAttributeName::QueueArn,
            QueueAttributeName::RedrivePolicy,
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request =
            self.0.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let sent = request.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error));
        let attributes = match sent {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let count = |name: QueueAttributeName| {
            let text = attributes.get(&name).map_or("", String::as_str);
            text.parse::<u64>().map_err(|_| {
                Fault::unreadable(SERVICE, OPERATION, format!("`{text}` is no number of messages"))
            })
        };
        let arn = attributes.get(&QueueAttributeName::QueueArn).cloned().ok_or_else(|| {
            Fault::unreadable(SERVICE, OPERATION, "the answer has no ARN of the queue")
        })?;
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        let dead_letter_arn = policy
            .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
            .and_then(|policy| Some(policy.get("deadLetterTargetArn")?.as_str()?.to_owned()));
        Ok(Some(QueueFacts {
            url: url.to_owned(),
            arn,
            visible: count(QueueAttributeName::ApproximateNumberOfMessages)?,
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
            dead_letter_arn,
        }))
    }

    /// Returns the URL of the queue with this ARN; `None` if there is no such queue.
    pub async fn url_of(&self, arn: &str) -> Result<Option<String>, Fault> {
        const OPERATION: &str = "GetQueueUrl";
        let mut fields = arn.split(':').skip(4);
        let (Some(account), Some(name)) = (fields.next(), fields.next()) else {
            let text = format!("`{arn}` is not the ARN of a queue");
            return Err(Fault::unreadable(SERVICE, OPERATION, text));
        };
        let request = self.0.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        match request.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => Ok(answer.queue_url),
            Err(fault) if fault.class() == FaultClass::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Receives up to ten messages with everything beside their bodies, and hides them for so long from others.
    pub async fn receive(&self, url: &str, hidden: Duration) -> Result<Vec<Message>, Fault> {
        const OPERATION: &str = "ReceiveMessage";
        let answer = self
            .0
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(MAX_ENTRIES).unwrap_or(1))
            .wait_time_seconds(POLL_SECONDS)
            .visibility_timeout(i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        answer.messages.unwrap_or_default().into_iter().map(message).collect()
    }

    /// Makes received messages visible again at once. Returns how many could not be: they show up by themselves when
    /// the time for which they were hidden is over.
    pub async fn give_back(&self, url: &str, receipts: &[String]) -> Result<usize, Fault> {
        const OPERATION: &str = "ChangeMessageVisibility";
        let mut failed = 0;
        for batch in receipts.chunks(MAX_ENTRIES) {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .map(|(index, receipt)| {
                    ChangeMessageVisibilityBatchRequestEntry::builder()
                        .id(index.to_string())
                        .receipt_handle(receipt)
                        .visibility_timeout(0)
                        .build()
                })
                .collect::<Result<_, _>>()
                .map_err(|error| unbuilt(OPERATION, error))?;
            let request = self.0.change_message_visibility_batch().queue_url(url);
            let answer = request
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            failed += answer.failed().len();
        }
        Ok(failed)
    }

    /// Sends messages, with the outcome of each in their order.
    pub async fn send(
        &self,
        url: &str,
        messages: &[Outgoing],
    ) -> Result<Vec<Result<(), Refusal>>, Fault> {
        const OPERATION: &str = "SendMessage";
        let mut outcomes = Vec::with_capacity(messages.len());
        for batch in batches(messages) {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .map(|(index, outgoing)| send_entry(index, outgoing))
                .collect::<Result<_, _>>()
                .map_err(|error| unbuilt(OPERATION, error))?;
            let request = self.0.send_message_batch().queue_url(url).set_entries(Some(entries));
            let answer =
                request.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            let done = answer.successful().iter().map(|entry| entry.id());
            outcomes.extend(outcomes_of(batch.len(), done, answer.failed()));
        }
        Ok(outcomes)
    }

    /// Deletes received messages, with the outcome of each in their order.
    pub async fn delete(
        &self,
        url: &str,
        receipts: &[String],
    ) -> Result<Vec<Result<(), Refusal>>, Fault> {
        const OPERATION: &str = "DeleteMessage";
        let mut outcomes = Vec::with_capacity(receipts.len());
        for batch in receipts.chunks(MAX_ENTRIES) {
            let entries: Vec<_> = batch
                .iter()
                .enumerate()
                .map(|(index, receipt)| {
                    DeleteMessageBatchRequestEntry::builder()
                        .id(index.to_string())
                        .receipt_handle(receipt)
                        .build()
                })
                .collect::<Result<_, _>>()
                .map_err(|error| unbuilt(OPERATION, error))?;
            let request = self.0.delete_message_batch().queue_url(url).set_entries(Some(entries));
            let answer =
                request.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            let done = answer.successful().iter().map(|entry| entry.id());
            outcomes.extend(outcomes_of(batch.len(), done, answer.failed()));
        }
        Ok(outcomes)
    }

    /// Deletes every message of a queue, those in flight included. AWS takes up to a minute for it.
    pub async fn purge(&self, url: &str) -> Result<(), Fault> {
        let sent = self.0.purge_queue().queue_url(url).send().await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "PurgeQueue", error))
    }
}

fn unbuilt(operation: &'static str, error: BuildError) -> Fault {
    Fault::unsendable(SERVICE, operation, error)
}

/// Splits messages into batches that SQS takes.
fn batches(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut batches = Vec::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest
            .iter()
            .take(MAX_ENTRIES)
            .take_while(|message| {
                bytes += message.bytes();
                bytes <= MAX_BATCH_BYTES
            })
            .count();
        let (batch, left) = rest.split_at(fits.max(1));
        batches.push(batch);
        rest = left;
    }
    batches
}

fn send_entry(
    index: usize,
    outgoing: &Outgoing,
) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(&outgoing.body)
        // On a standard queue this marks the tenant for fair queueing.
        .set_message_group_id(outgoing.group.clone());
    for (name, attribute) in &outgoing.attributes {
        let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
        let value = match &attribute.value {
            Value::Text(text) => value.string_value(text),
            Value::Bytes(bytes) => value.binary_value(Blob::new(bytes.clone())),
        };
        entry = entry.message_attributes(name, value.build()?);
    }
    entry.build()
}

/// Brings the outcomes of a batch into the order of its entries. An entry that the answer leaves out has failed.
fn outcomes_of<'a>(
    count: usize,
    done: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Result<(), Refusal>> {
    let missing = || {
        Err(Refusal {
            code: "NotInTheAnswer".to_owned(),
            message: "AWS did not say what became of it".to_owned(),
        })
    };
    let mut outcomes: Vec<Result<(), Refusal>> = (0..count).map(|_| missing()).collect();
    let mut set = |id: &str, outcome: Result<(), Refusal>| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|index| outcomes.get_mut(index)) {
            *slot = outcome;
        }
    };
    for id in done {
        set(id, Ok(()));
    }
    for entry in failed {
        let message = entry.message().unwrap_or_default().to_owned();
        set(entry.id(), Err(Refusal { code: entry.code().to_owned(), message }));
    }
    outcomes
}

/// A message without an id, a handle or a time cannot be worked on safely: the answer is unreadable.
fn message(message: aws_sdk_sqs::types::Message) -> Result<Message, Fault> {
    let lacks = |what: &str| {
        Fault::unreadable(SERVICE, "ReceiveMessage", format!("a message has no {what}"))
    };
    let system = message.attributes.unwrap_or_default();
    let sent = system
        .get(&MessageSystemAttributeName::SentTimestamp)
        .and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok())
        .ok_or_else(|| lacks("time of sending"))?;
    let receives = system
        .get(&MessageSystemAttributeName::ApproximateReceiveCount)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| lacks("count of receives"))?;
    let attributes = message
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, attribute)| {
            let value = match (attribute.string_value, attribute.binary_value) {
                (Some(text), _) => Value::Text(text),
                (None, Some(bytes)) => Value::Bytes(bytes.into_inner()),
                (None, None) => return None,
            };
            Some((name, Attribute { data_type: attribute.data_type, value }))
        })
        .collect();
    Ok(Message {
        id: message.message_id.ok_or_else(|| lacks("id"))?,
        receipt: message.receipt_handle.ok_or_else(|| lacks("receipt handle"))?,
        body: message.body.unwrap_or_default(),
        sent,
        receives,
        source: system.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn).cloned(),
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn outgoing(bytes: usize) -> Outgoing {
        Outgoing { body: "x".repeat(bytes), attributes: BTreeMap::new(), group: None }
    }

    #[test]
    fn batches_are_inside_both_limits() {
        for (sizes, expected) in [
            (vec![1; 25], vec![10, 10, 5]),
            (vec![600_000, 600_000, 1], vec![1, 2]),
            (vec![MAX_BATCH_BYTES, 1], vec![1, 1]),
            (vec![], vec![]),
        ] {
            let messages: Vec<Outgoing> = sizes.iter().map(|bytes| outgoing(*bytes)).collect();
            let seen: Vec<usize> = batches(&messages).iter().map(|batch| batch.len()).collect();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn an_entry_that_the_answer_leaves_out_has_failed() {
        let failed = BatchResultErrorEntry::builder()
            .id("2")
            .code("InternalError")
            .sender_fault(false)
            .build()
            .unwrap();
        let outcomes = outcomes_of(3, ["0"].into_iter(), &[failed]);
        let codes: Vec<&str> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().map_or_else(|refusal| refusal.code.as_str(), |()| ""))
            .collect();
        assert_eq!(codes, ["", "NotInTheAnswer", "InternalError"]);
    }
}
