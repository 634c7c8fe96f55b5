//! The queue and its dead-letter queue.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    error::BuildError,
    types::{
        DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
        QueueAttributeName,
    },
};
use aws_smithy_types::retry::RetryConfig;
use futures_util::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::{
    aws::{
        fault::{Caller, fault, is_about_time},
        session::Session,
    },
    error_chain::Chain,
    model::letter::CUT_FROM_BYTES,
    ports::{DeadLetter, Fault, FaultClass, Message, Queue, QueueDepth, QueueSettings, Receipt},
};

/// The largest message with its attributes, in bytes (`SendMessage` in the API model).
const MAX_MESSAGE_BYTES: usize = 1_048_576;
/// The longest delay of a message (`SendMessage` in the API model).
const MAX_DELAY: Duration = Duration::from_secs(900);

/// One SQS queue.
#[derive(Debug)]
pub struct SqsQueue {
    client: Client,
    url: String,
    /// Set when the configuration names it; otherwise the queue's redrive policy does.
    dead_letter_url: Option<String>,
    found: OnceCell<Found>,
}

/// What the queue's attributes say.
#[derive(Debug, Clone)]
struct Found {
    max_receives: Option<u32>,
    dead_letter_url: Option<String>,
}

impl SqsQueue {
    /// Reads the queue at `url`.
    pub fn new(session: &Session, url: &str, dead_letter_url: Option<String>) -> Self {
        // Calls to the queue steer the engine itself and have no ladder of their own; the SDK's is right for them.
        let config = aws_sdk_sqs::config::Builder::from(&session.sdk)
            .retry_config(RetryConfig::standard())
            .build();
        Self {
            client: Client::from_conf(config),
            url: url.to_owned(),
            dead_letter_url,
            found: OnceCell::new(),
        }
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Message>, Fault> {
        let output = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, 10)).unwrap_or(10))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| fault("ReceiveMessage", Caller::Own, &error))?;
        Ok(output.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), Fault>>, Fault> {
        const DELETE: &str = "DeleteMessageBatch";
        let unbuilt =
            |error: BuildError| Fault::new(FaultClass::Invalid, DELETE).with_source(error);
        let entries: Vec<DeleteMessageBatchRequestEntry> = receipts
            .iter()
            .enumerate()
            .map(|(index, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0)
                    .build()
            })
            .collect::<Result<_, _>>()
            .map_err(unbuilt)?;
        let output = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| fault(DELETE, Caller::Own, &error))?;
        let mut results: Vec<Result<(), Fault>> = receipts
            .iter()
            .map(|_| Err(Fault::new(FaultClass::Ambiguous, DELETE).with_code("NotInTheAnswer")))
            .collect();
        for done in output.successful() {
            if let Some(result) =
                done.id().parse::<usize>().ok().and_then(|index| results.get_mut(index))
            {
                *result = Ok(());
            }
        }
        for failed in output.failed() {
            if let Some(result) =
                failed.id().parse::<usize>().ok().and_then(|index| results.get_mut(index))
            {
                let class = if failed.sender_fault() {
                    FaultClass::Missing
                } else {
                    FaultClass::Unavailable
                };
                *result = Err(Fault::new(class, DELETE).with_code(failed.code()));
            }
        }
        Ok(results)
    }

    async fn set_visibility(&self, receipt: &Receipt, visibility: Duration) -> Result<(), Fault> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(seconds(visibility));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut fault = fault("ChangeMessageVisibility", Caller::Own, &error);
                // A handle that is out of date comes as an invalid parameter, too.
                if fault.class == FaultClass::Invalid {
                    fault.class = FaultClass::Missing;
                }
                Err(fault)
            }
        }
    }

    async fn send(&self, body: &str, delay: Duration, group: &str) -> Result<(), Fault> {
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(seconds(delay.min(MAX_DELAY)))
            // On a standard queue this marks the tenant for fair queueing.
            .message_group_id(group);
        request.send().await.map(drop).map_err(|error| fault("SendMessage", Caller::Own, &error))
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), Fault> {
        const SEND: &str = "SendMessage";
        let found = self.found().await?;
        let Some(url) = &found.dead_letter_url else {
            return Err(Fault::new(FaultClass::Missing, SEND).with_code("NoDeadLetterQueue"));
        };
        let (body, attributes) = fitted(letter);
        let mut request = self.client.send_message().queue_url(url).message_body(body);
        for (name, value) in attributes {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value =
                value.map_err(|error| Fault::new(FaultClass::Invalid, SEND).with_source(error))?;
            request = request.message_attributes(name, value);
        }
        request.send().await.map(drop).map_err(|error| fault(SEND, Caller::Own, &error))
    }

    async fn found(&self) -> Result<&Found, Fault> {
        self.found.get_or_try_init(|| self.find()).await
    }

    async fn find(&self) -> Result<Found, Fault> {
        let ask = || async {
            let request = self
                .client
                .get_queue_attributes()
                .queue_url(&self.url)
                .attribute_names(QueueAttributeName::RedrivePolicy);
            request.send().await.map_err(|error| fault("GetQueueAttributes", Caller::Own, &error))
        };
        let output = match ask().await {
            // Nobody repeats the first call of a process, and its answer has said what time it is.
            Err(fault) if is_about_time(&fault) => ask().await?,
            answer => answer?,
        };
        let policy = output
            .attributes()
            .and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy));
        let policy = policy.and_then(|policy| serde_json::from_str::<RedrivePolicy>(policy).ok());
        let max_receives = policy.as_ref().and_then(|policy| policy.max_receive_count.number());
        let dead_letter_url = match (&self.dead_letter_url, policy) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(policy)) => self.url_of(&policy.dead_letter_target_arn).await,
            (None, None) => None,
        };
        Ok(Found { max_receives, dead_letter_url })
    }

    /// Asks for the URL of a queue; none when that is refused.
    async fn url_of(&self, arn: &str) -> Option<String> {
        let mut fields = arn.split(':').skip(4);
        let (account, name) = (fields.next()?, fields.next()?);
        let request =
            self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        match request.send().await {
            Ok(output) => output.queue_url().map(str::to_owned),
            Err(error) => {
                let fault = fault("GetQueueUrl", Caller::Own, &error);
                warn!(queue = arn, error = %Chain(&fault), "dead-letter queue not found");
                None
            }
        }
    }

    async fn depth(&self) -> Result<QueueDepth, Fault> {
        let output = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            .send()
            .await
            .map_err(|error| fault("GetQueueAttributes", Caller::Own, &error))?;
        let count = |name: QueueAttributeName| {
            output.attributes().and_then(|all| all.get(&name)?.parse().ok()).unwrap_or_default()
        };
        Ok(QueueDepth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }
}

impl Queue for SqsQueue {
    fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> BoxFuture<'_, Result<Vec<Message>, Fault>> {
        self.receive(max, wait, visibility).boxed()
    }

    fn delete<'a>(
        &'a self,
        receipts: &'a [Receipt],
    ) -> BoxFuture<'a, Result<Vec<Result<(), Fault>>, Fault>> {
        self.delete(receipts).boxed()
    }

    fn set_visibility<'a>(
        &'a self,
        receipt: &'a Receipt,
        visibility: Duration,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.set_visibility(receipt, visibility).boxed()
    }

    fn send<'a>(
        &'a self,
        body: &'a str,
        delay: Duration,
        group: &'a str,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        self.send(body, delay, group).boxed()
    }

    fn bury<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<(), Fault>> {
        self.bury(letter).boxed()
    }

    fn settings(&self) -> BoxFuture<'_, Result<QueueSettings, Fault>> {
        async {
            let found = self.found().await?;
            let has_dead_letter_queue = found.dead_letter_url.is_some();
            Ok(QueueSettings { max_receives: found.max_receives, has_dead_letter_queue })
        }
        .boxed()
    }

    fn depth(&self) -> BoxFuture<'_, Result<QueueDepth, Fault>> {
        self.depth().boxed()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

/// The console writes a number, some tools write a string.
#[derive(Deserialize)]
#[serde(from = "serde_json::Value")]
struct Count(Option<u32>);

impl From<serde_json::Value> for Count {
    fn from(value: serde_json::Value) -> Self {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        Self(number.and_then(|number| u32::try_from(number).ok()))
    }
}

impl Count {
    const fn number(&self) -> Option<u32> {
        self.0
    }
}

/// A message without a body or a handle cannot be worked on, and cannot be given back either.
fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let attribute = |name: MessageSystemAttributeName| {
        message.attributes().and_then(|all| all.get(&name)).map(String::as_str)
    };
    let receives = attribute(MessageSystemAttributeName::ApproximateReceiveCount)
        .and_then(|text| text.parse().ok());
    let sent_ms =
        attribute(MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok());
    Some(Message {
        receives: receives.unwrap_or(1),
        // Unknown is new: nothing is given up for an age that nobody knows.
        sent_ms: sent_ms.unwrap_or(i64::MAX),
        id: message.message_id.unwrap_or_default(),
        receipt: Receipt(message.receipt_handle?),
        body: message.body.unwrap_or_default(),
    })
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// Cuts the body of a letter that would be too long with its attributes, and says so in one more attribute.
/// Only a message near the limit of SQS is cut, and only one that is no notification is that long.
fn fitted(letter: &DeadLetter) -> (String, Vec<(&'static str, String)>) {
    const TYPE: usize = "String".len();
    let mut attributes = letter.attributes.clone();
    let size = |attributes: &[(&'static str, String)]| -> usize {
        attributes.iter().map(|(name, value)| name.len() + TYPE + value.len()).sum()
    };
    if letter.body.len() + size(&attributes) <= MAX_MESSAGE_BYTES {
        return (letter.body.clone(), attributes);
    }
    attributes.push((CUT_FROM_BYTES, letter.body.len().to_string()));
    let mut end = MAX_MESSAGE_BYTES.saturating_sub(size(&attributes)).min(letter.body.len());
    while !letter.body.is_char_boundary(end) {
        end -= 1;
    }
    (letter.body.split_at(end).0.to_owned(), attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_near_the_limit_is_cut_and_says_so() {
        let attributes = vec![("reason", "body_not_json".to_owned())];
        let small = DeadLetter { body: "x".to_owned(), attributes: attributes.clone() };
        assert_eq!(fitted(&small), (small.body.clone(), attributes.clone()));
        let large = DeadLetter { body: "é".repeat(MAX_MESSAGE_BYTES / 2), attributes };
        let (body, attributes) = fitted(&large);
        let size: usize = attributes.iter().map(|(name, value)| name.len() + 6 + value.len()).sum();
        assert!(
            body.len() + size <= MAX_MESSAGE_BYTES && body.len() + size > MAX_MESSAGE_BYTES - 2
        );
        assert_eq!(attributes[1], ("cut_from_bytes", "1048576".to_owned()));
    }

    #[test]
    fn a_redrive_policy_is_read_with_a_number_or_a_string() {
        for count in ["5", "\"5\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:r:1:q","maxReceiveCount":{count}}}"#
            );
            let policy: RedrivePolicy = serde_json::from_str(&policy).unwrap();
            assert_eq!(policy.max_receive_count.number(), Some(5));
        }
    }
}
