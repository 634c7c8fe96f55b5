//! One standard queue: its messages and their life.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::inspect::{QueueDepth, QueueStats};
use super::message::{Attribute, NewMessage};
use super::{MAX_VISIBILITY_SECONDS, MINUTE, QueueKey, invalid_value};
use crate::clock::{Millis, SECOND};
use crate::error::ApiError;
use crate::iam::Policy;

/// A message in a queue.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Arc<str>,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) group_id: Option<String>,
    pub(super) trace_header: Option<String>,
    pub(super) sender_id: String,
    pub(super) sent_at: Millis,
    pub(super) visible_at: Millis,
    pub(super) receive_count: u32,
    pub(super) first_received_at: Option<Millis>,
    pub(super) received_at: Option<Millis>,
    pub(super) dead_letter_source: Option<String>,
    queue_name: String,
    sequence: u64,
    /// Counts receipts in this queue; handles of earlier ones are stale.
    receipt: u64,
}

/// What a receiver asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) count: usize,
    pub(super) visibility_seconds: Option<i64>,
    pub(super) is_short_poll: bool,
}

/// What a receipt did.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
    /// Messages that were received too often.
    pub(super) dead: Vec<Message>,
}

/// Where messages go that are received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) target: QueueKey,
    pub(super) max_receive_count: u32,
}

/// Why a receipt handle does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReceiptError {
    /// It is no handle of this queue.
    Malformed(String),
    /// The message is visible again.
    NotInFlight,
    /// The message was deleted, or somebody else received it since.
    Gone(String),
    /// The message would be hidden for more than 12 hours.
    TooLong(i64),
}

#[derive(Debug)]
pub(super) struct Queue {
    key: QueueKey,
    pub(super) created_at: Millis,
    pub(super) modified_at: Millis,
    attributes: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    messages: BTreeMap<u64, Message>,
    sequence: u64,
    purged_at: Option<Millis>,
    pub(super) stats: QueueStats,
}

impl Message {
    /// Returns the handle of the latest receipt.
    pub(super) fn handle(&self) -> String {
        let plain = format!("{}/{}/{}/{}", self.queue_name, self.sequence, self.receipt, self.id);
        format!("AQEB{}", URL_SAFE_NO_PAD.encode(plain))
    }

    pub(super) fn is_in_flight(&self, now: Millis) -> bool {
        self.receipt > 0 && self.visible_at > now
    }

    pub(super) fn system_attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("SenderId", self.sender_id.clone()),
            ("SentTimestamp", self.sent_at.to_string()),
            ("ApproximateReceiveCount", self.receive_count.to_string()),
        ];
        let optional = [
            ("ApproximateFirstReceiveTimestamp", self.first_received_at.map(|at| at.to_string())),
            ("MessageGroupId", self.group_id.clone()),
            ("AWSTraceHeader", self.trace_header.clone()),
            ("DeadLetterQueueSourceArn", self.dead_letter_source.clone()),
        ];
        attributes.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        attributes
    }
}

impl Queue {
    pub(super) fn new(key: QueueKey, now: Millis) -> Self {
        let attributes = [
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
            ("MessageRetentionPeriod", "345600"),
            ("ReceiveMessageWaitTimeSeconds", "0"),
            ("VisibilityTimeout", "30"),
            ("SqsManagedSseEnabled", "true"),
        ];
        Self {
            key,
            created_at: now,
            modified_at: now,
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            tags: BTreeMap::new(),
            messages: BTreeMap::new(),
            sequence: 0,
            purged_at: None,
            stats: QueueStats::default(),
        }
    }

    /// Tells whether a repeated creation asks for what is there.
    pub(super) fn agrees_with(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(name, value)| {
            let known = self.attributes.get(name);
            known == Some(value) || (known.is_none() && value.is_empty())
        })
    }

    /// Sets attributes; an empty value removes those that have no default.
    pub(super) fn set_attributes(&mut self, attributes: BTreeMap<String, String>, now: Millis) {
        for (name, value) in attributes {
            if value.is_empty() {
                self.attributes.remove(&name);
            } else {
                self.attributes.insert(name, value);
            }
        }
        self.modified_at = now;
    }

    pub(super) fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    pub(super) fn policy(&self) -> Option<Policy> {
        super::attributes::parse_policy(self.attributes.get("Policy")?)
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        super::attributes::parse_redrive(self.attributes.get("RedrivePolicy")?).ok()
    }

    pub(super) fn default_wait(&self) -> i64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    fn number(&self, name: &str) -> i64 {
        self.attributes.get(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn check_size(&self, message: &NewMessage) -> Result<(), ApiError> {
        let limit = self.number("MaximumMessageSize");
        if i64::try_from(message.size()).unwrap_or(i64::MAX) > limit {
            return Err(invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )));
        }
        Ok(())
    }

    pub(super) fn send(&mut self, message: NewMessage, id: String, sender_id: String, now: Millis) {
        let delay = message.delay_seconds.unwrap_or_else(|| self.number("DelaySeconds"));
        self.sequence += 1;
        self.stats.sent += 1;
        self.messages.insert(
            self.sequence,
            Message {
                id,
                body: message.body.into(),
                attributes: message.attributes,
                group_id: message.group_id,
                trace_header: message.trace_header,
                sender_id,
                sent_at: now,
                visible_at: now + delay * SECOND,
                receive_count: 0,
                first_received_at: None,
                received_at: None,
                dead_letter_source: None,
                queue_name: self.key.name.clone(),
                sequence: self.sequence,
                receipt: 0,
            },
        );
    }

    /// Takes a message over from a queue that gave it up. It keeps its id, its time of sending and
    /// its count of receipts.
    pub(super) fn adopt(&mut self, message: Message, source_arn: &str, now: Millis) {
        self.sequence += 1;
        self.stats.adopted += 1;
        self.messages.insert(
            self.sequence,
            Message {
                visible_at: now,
                received_at: None,
                dead_letter_source: Some(source_arn.to_owned()),
                queue_name: self.key.name.clone(),
                sequence: self.sequence,
                receipt: 0,
                ..message
            },
        );
    }

    /// Takes the oldest visible message out, for a task that moves it elsewhere.
    pub(super) fn take(&mut self, now: Millis) -> Option<Message> {
        let sequence = self.messages.values().find(|message| message.visible_at <= now)?.sequence;
        self.messages.remove(&sequence)
    }

    /// Puts back what [`Queue::take`] took.
    pub(super) fn restore(&mut self, message: Message) {
        self.messages.insert(message.sequence, message);
    }

    /// Takes a message over as a new one: with a new id, a new age, and never received.
    pub(super) fn take_over(&mut self, message: Message, id: String, now: Millis) {
        self.sequence += 1;
        self.stats.sent += 1;
        self.messages.insert(
            self.sequence,
            Message {
                id,
                sent_at: now,
                visible_at: now,
                receive_count: 0,
                first_received_at: None,
                received_at: None,
                dead_letter_source: None,
                queue_name: self.key.name.clone(),
                sequence: self.sequence,
                receipt: 0,
                ..message
            },
        );
    }

    /// Hands out visible messages, oldest first.
    pub(super) fn receive(&mut self, wanted: &Wanted, now: Millis) -> Received {
        self.drop_expired(now);
        let redrive = self.redrive();
        let hidden_for =
            wanted.visibility_seconds.unwrap_or_else(|| self.number("VisibilityTimeout"));
        let mut received = Received::default();
        let mut dead = Vec::new();
        for (sequence, message) in &mut self.messages {
            if received.messages.len() >= wanted.count {
                break;
            }
            if message.visible_at > now {
                continue;
            }
            if redrive
                .as_ref()
                .is_some_and(|redrive| message.receive_count >= redrive.max_receive_count)
            {
                dead.push(*sequence);
                continue;
            }
            message.receipt += 1;
            message.receive_count += 1;
            message.first_received_at.get_or_insert(now);
            message.received_at = Some(now);
            message.visible_at = now + hidden_for * SECOND;
            received.messages.push(message.clone());
        }
        received.dead = dead.iter().filter_map(|sequence| self.messages.remove(sequence)).collect();
        self.stats.received += received.messages.len() as u64;
        self.stats.moved_to_dead_letters += received.dead.len() as u64;
        received
    }

    /// Deletes by handle. A stale handle succeeds without effect, as AWS documents it.
    pub(super) fn delete(&mut self, handle: &str, refuse_stale: bool) -> Result<(), ReceiptError> {
        let (sequence, receipt) = self.read_handle(handle)?;
        match self.messages.get(&sequence) {
            Some(message) if message.receipt == receipt => {
                self.messages.remove(&sequence);
                self.stats.deleted += 1;
                Ok(())
            }
            _ if refuse_stale => Err(ReceiptError::Malformed(handle.to_owned())),
            _ => {
                self.stats.stale_deletes += 1;
                Ok(())
            }
        }
    }

    pub(super) fn change_visibility(
        &mut self,
        handle: &str,
        seconds: i64,
        now: Millis,
    ) -> Result<(), ReceiptError> {
        let (sequence, receipt) = self.read_handle(handle)?;
        let message = self
            .messages
            .get_mut(&sequence)
            .filter(|message| message.receipt == receipt)
            .ok_or_else(|| ReceiptError::Gone(handle.to_owned()))?;
        if !message.is_in_flight(now) {
            return Err(ReceiptError::NotInFlight);
        }
        let visible_at = now + seconds * SECOND;
        let received_at = message.received_at.unwrap_or(now);
        if visible_at > received_at + MAX_VISIBILITY_SECONDS * SECOND {
            return Err(ReceiptError::TooLong(seconds));
        }
        message.visible_at = visible_at;
        Ok(())
    }

    fn read_handle(&self, handle: &str) -> Result<(u64, u64), ReceiptError> {
        let read = || {
            let plain = URL_SAFE_NO_PAD.decode(handle.strip_prefix("AQEB")?).ok()?;
            let plain = String::from_utf8(plain).ok()?;
            let mut parts = plain.split('/');
            (parts.next()? == self.key.name).then_some(())?;
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        read().ok_or_else(|| ReceiptError::Malformed(handle.to_owned()))
    }

    /// Empties the queue, unless that was done less than a minute ago.
    pub(super) fn purge(&mut self, now: Millis) -> bool {
        if self.purged_at.is_some_and(|at| now < at + MINUTE) {
            return false;
        }
        self.purged_at = Some(now);
        self.messages.clear();
        true
    }

    pub(super) fn depth(&self, now: Millis) -> QueueDepth {
        let mut depth = QueueDepth::default();
        for message in self.messages.values() {
            if message.visible_at <= now {
                depth.visible += 1;
            } else if message.is_in_flight(now) {
                depth.in_flight += 1;
            } else {
                depth.delayed += 1;
            }
        }
        depth
    }

    /// Returns when the next hidden message becomes visible.
    pub(super) fn next_visible(&self, now: Millis) -> Option<Millis> {
        self.messages.values().map(|message| message.visible_at).filter(|at| *at > now).min()
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// Removes a message whatever its handle; returns whether there was one.
    pub(super) fn discard(&mut self, message_id: &str) -> bool {
        let before = self.messages.len();
        self.messages.retain(|_, message| message.id != message_id);
        self.messages.len() < before
    }

    /// Makes hidden messages visible now.
    pub(super) fn reveal(&mut self, wanted: impl Fn(&Message) -> bool, now: Millis) -> usize {
        let mut count = 0;
        for message in self.messages.values_mut() {
            if message.visible_at > now && wanted(message) {
                message.visible_at = now;
                count += 1;
            }
        }
        count
    }

    fn drop_expired(&mut self, now: Millis) {
        let kept_for = self.number("MessageRetentionPeriod") * SECOND;
        let before = self.messages.len();
        self.messages.retain(|_, message| message.sent_at + kept_for > now);
        self.stats.expired += (before - self.messages.len()) as u64;
    }
}
