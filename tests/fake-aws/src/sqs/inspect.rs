//! What a test can ask and change about queues.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Attribute, NewMessage};
use super::{Queue, QueueKey, Sqs, attributes};
use crate::fake::FakeAws;
use crate::shared::Shared;

/// Knobs of the service. The defaults are AWS's.
#[derive(Debug, Clone)]
pub struct SqsSettings {
    /// How many messages of a queue can be in flight before a short poll is refused; 120,000.
    pub in_flight_limit: u64,
    /// Ends long polls earlier, in real time, so that tests with idle receivers are quick.
    pub long_poll_cap: Option<Duration>,
    /// That many next entries of `DeleteMessageBatch` fail with an internal error.
    pub failing_delete_entries: u32,
    /// That many next deletes are acknowledged without effect: a deleted message may come again.
    pub lost_deletes: u32,
    /// That many next received messages stay visible: a message may come twice at once.
    pub unhidden_receives: u32,
    /// Deletes by a stale handle fail instead of succeeding without effect.
    pub deletes_report_stale_handles: bool,
}

impl Default for SqsSettings {
    fn default() -> Self {
        Self {
            in_flight_limit: 120_000,
            long_poll_cap: None,
            failing_delete_entries: 0,
            lost_deletes: 0,
            unhidden_receives: 0,
            deletes_report_stale_handles: false,
        }
    }
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and hidden.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

impl QueueDepth {
    /// Returns the number of all messages.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// What a queue has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Messages that were sent to it.
    pub sent: u64,
    /// Receipts; a message received twice counts twice.
    pub received: u64,
    /// Messages that were deleted.
    pub deleted: u64,
    /// Deletes by a stale handle, which had no effect.
    pub stale_deletes: u64,
    /// Messages that it gave to its dead-letter queue.
    pub moved_to_dead_letters: u64,
    /// Messages that it took as the dead-letter queue of others.
    pub adopted: u64,
    /// Messages that outlived the retention period: lost.
    pub expired: u64,
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// Message attributes as text; binary ones in base64.
    pub attributes: BTreeMap<String, String>,
    /// The fair-queue group.
    pub group_id: Option<String>,
    /// How often it was received.
    pub receive_count: u32,
    /// Hidden because somebody received it.
    pub in_flight: bool,
    /// From when on it can be received, milliseconds since the epoch on the fake's clock.
    pub visible_at: i64,
    /// When it was first sent, milliseconds since the epoch on the fake's clock.
    pub sent_at: i64,
    /// The queue that gave it up.
    pub dead_letter_source: Option<String>,
}

impl FakeAws {
    /// Changes the knobs of SQS.
    pub fn configure_sqs(&self, change: impl FnOnce(&mut SqsSettings)) {
        change(&mut self.shared().sqs().settings);
    }

    /// Creates a queue and returns its URL. Attributes are as in `CreateQueue`.
    pub fn create_queue(
        &self,
        account: &str,
        region: &str,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> String {
        let key = QueueKey::new(account, region, name);
        let now = self.shared().clock.now();
        let wanted: serde_json::Map<String, serde_json::Value> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let mut sqs = self.shared().sqs();
        let checked = attributes::read(Some(&wanted))
            .and_then(|wanted| attributes::check_redrive(&sqs, &key, &wanted).map(|()| wanted));
        match checked {
            Ok(wanted) => {
                let queue =
                    sqs.queues.entry(key.clone()).or_insert_with(|| Queue::new(key.clone(), now));
                queue.set_attributes(wanted, now);
            }
            Err(error) => panic!("queue `{name}`: {}", error.message),
        }
        key.url(self.shared().endpoint())
    }

    /// Creates a queue `NAME` with a dead-letter queue `NAME-dlq`; returns both URLs.
    pub fn create_queue_with_dead_letters(
        &self,
        account: &str,
        region: &str,
        name: &str,
        max_receive_count: u32,
        attributes: &[(&str, &str)],
    ) -> (String, String) {
        let dead_name = format!("{name}-dlq");
        let retention = [("MessageRetentionPeriod", "1209600")];
        let dead_letters = self.create_queue(account, region, &dead_name, &retention);
        let arn = QueueKey::new(account, region, &dead_name).arn();
        let redrive =
            format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{max_receive_count}}}"#);
        let mut all = attributes.to_vec();
        all.push(("RedrivePolicy", &redrive));
        (self.create_queue(account, region, name, &all), dead_letters)
    }

    /// Returns the ARN of the queue with this URL.
    pub fn queue_arn(&self, queue_url: &str) -> String {
        self.with_queue(queue_url, |_, key| key.arn())
    }

    /// Sends a message, without the checks that the service makes, and returns its id.
    pub fn send_message(&self, queue_url: &str, body: &str) -> String {
        self.send_message_with(queue_url, body, &[])
    }

    /// Sends a message with text attributes, and returns its id.
    pub fn send_message_with(
        &self,
        queue_url: &str,
        body: &str,
        attributes: &[(&str, &str)],
    ) -> String {
        let id = self.shared().random().uuid();
        let now = self.shared().clock.now();
        let mut message = NewMessage::plain(body);
        for (name, value) in attributes {
            message.attributes.insert((*name).to_owned(), Attribute::text(value));
        }
        self.with_queue(queue_url, |queue, _| {
            queue.send(message, id.clone(), "AIDATEST".to_owned(), now);
        });
        self.shared().wake.notify_waiters();
        id
    }

    /// Counts the messages of a queue.
    pub fn queue_depth(&self, queue_url: &str) -> QueueDepth {
        let now = self.shared().clock.now();
        self.with_queue(queue_url, |queue, _| queue.depth(now))
    }

    /// Returns what a queue has seen so far.
    pub fn queue_stats(&self, queue_url: &str) -> QueueStats {
        self.with_queue(queue_url, |queue, _| queue.stats)
    }

    /// Returns all messages of a queue, hidden ones too.
    pub fn queue_messages(&self, queue_url: &str) -> Vec<QueuedMessage> {
        let now = self.shared().clock.now();
        self.with_queue(queue_url, |queue, _| {
            queue
                .messages()
                .map(|message| QueuedMessage {
                    id: message.id.clone(),
                    body: message.body.to_string(),
                    attributes: message
                        .attributes
                        .iter()
                        .map(|(name, attribute)| (name.clone(), attribute.as_text()))
                        .collect(),
                    group_id: message.group_id.clone(),
                    receive_count: message.receive_count,
                    in_flight: message.is_in_flight(now),
                    visible_at: message.visible_at,
                    sent_at: message.sent_at,
                    dead_letter_source: message.dead_letter_source.clone(),
                })
                .collect()
        })
    }

    /// Makes all hidden messages visible now, as if their timeouts had passed; returns how many.
    pub fn expire_visibility(&self, queue_url: &str) -> usize {
        let now = self.shared().clock.now();
        let count = self.with_queue(queue_url, |queue, _| queue.reveal(|_| true, now));
        self.shared().wake.notify_waiters();
        count
    }

    /// Makes one hidden message visible now; returns whether it was hidden.
    pub fn expire_message_visibility(&self, queue_url: &str, message_id: &str) -> bool {
        let now = self.shared().clock.now();
        let count = self.with_queue(queue_url, |queue, _| {
            queue.reveal(|message| message.id == message_id, now)
        });
        self.shared().wake.notify_waiters();
        count > 0
    }

    /// Deletes a message, as an event source mapping does; returns whether there was one.
    pub fn delete_queued_message(&self, queue_url: &str, message_id: &str) -> bool {
        self.with_queue(queue_url, |queue, _| queue.discard(message_id))
    }

    /// Deletes a queue as its owner could; returns whether there was one.
    pub fn delete_queue(&self, queue_url: &str) -> bool {
        let key = find(&self.shared().sqs(), queue_url);
        let removed = key.is_some_and(|key| self.shared().sqs().queues.remove(&key).is_some());
        self.shared().wake.notify_waiters();
        removed
    }

    fn with_queue<T>(&self, queue_url: &str, act: impl FnOnce(&mut Queue, &QueueKey) -> T) -> T {
        let mut sqs = self.shared().sqs();
        let Some(key) = find(&sqs, queue_url) else {
            panic!("there is no queue `{queue_url}`");
        };
        match sqs.queues.get_mut(&key) {
            Some(queue) => act(queue, &key),
            None => panic!("there is no queue `{queue_url}`"),
        }
    }
}

/// Finds a queue by the account and name in its URL, or by its ARN when regions share names.
fn find(sqs: &Sqs, queue_url: &str) -> Option<QueueKey> {
    if let Some(key) = QueueKey::from_arn(queue_url) {
        return sqs.queues.contains_key(&key).then_some(key);
    }
    let mut parts = queue_url.rsplit('/');
    let (name, account) = (parts.next()?, parts.next()?);
    sqs.queues.keys().find(|key| key.name == name && key.account == account).cloned()
}

/// Sends a message of another service; a queue that is gone loses it.
pub(crate) fn deliver(shared: &Shared, queue_url: &str, body: &str) {
    let id = shared.random().uuid();
    let now = shared.clock.now();
    let mut sqs = shared.sqs();
    let key = find(&sqs, queue_url);
    if let Some(queue) = key.and_then(|key| sqs.queues.get_mut(&key)) {
        queue.send(NewMessage::plain(body), id, "AIDASERVICE".to_owned(), now);
    }
    drop(sqs);
    shared.wake.notify_waiters();
}
