//! Sends notifications about objects to queues.

use super::Bucket;
use crate::clock::Millis;
use crate::notification::{S3Event, in_sns};
use crate::shared::Shared;

/// How a notification is wrapped on its way to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// Through a topic, as `Type`, `Message` and so on.
    Sns {
        /// The topic's ARN.
        topic_arn: String,
    },
    /// Straight from S3, or through a topic with raw message delivery.
    Raw,
    /// Through EventBridge.
    EventBridge,
}

/// Which objects of a bucket are announced, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationRoute {
    /// The URL of the queue.
    pub queue_url: String,
    /// How the notification is wrapped.
    pub envelope: Envelope,
    /// Only keys that begin like this.
    pub key_prefix: String,
    /// Only keys that end like this.
    pub key_suffix: String,
    /// Only events that begin like this, such as `ObjectCreated:`.
    pub events: String,
}

impl NotificationRoute {
    /// Announces every new object whose key ends in `.gz`, as the pipeline's bucket does.
    pub fn new(queue_url: &str, envelope: Envelope) -> Self {
        Self {
            queue_url: queue_url.to_owned(),
            envelope,
            key_prefix: String::new(),
            key_suffix: ".gz".to_owned(),
            events: "ObjectCreated:".to_owned(),
        }
    }

    fn covers(&self, key: &str, event_name: &str) -> bool {
        key.starts_with(&self.key_prefix)
            && key.ends_with(&self.key_suffix)
            && event_name.starts_with(&self.events)
    }
}

/// A notification that is to be sent when the lock on the buckets is released.
#[derive(Debug)]
pub(super) struct Delivery {
    route: NotificationRoute,
    event: S3Event,
}

/// Describes something that happened to an object that is there.
pub(super) fn event(bucket: &Bucket, key: &str, event_name: &str, now: Millis) -> Option<S3Event> {
    let object = bucket.objects.get(key)?;
    let is_removal = event_name.starts_with("ObjectRemoved");
    Some(S3Event {
        region: bucket.region.clone(),
        account: bucket.owner.clone(),
        bucket: bucket.name.clone(),
        key: key.to_owned(),
        size: (!is_removal).then(|| object.body.len()),
        etag: (!is_removal).then(|| object.etag.clone()),
        sequencer: format!("{:018X}", object.sequencer),
        event_name: event_name.to_owned(),
        event_version: "2.1".to_owned(),
        time: now,
        principal: object.written_by.clone(),
    })
}

/// Finds the notifications that an event causes.
pub(super) fn deliveries(
    bucket: &Bucket,
    key: &str,
    event_name: &str,
    now: Millis,
) -> Vec<Delivery> {
    let Some(event) = event(bucket, key, event_name, now) else {
        return Vec::new();
    };
    bucket
        .routes
        .iter()
        .filter(|route| route.covers(key, event_name))
        .map(|route| Delivery { route: route.clone(), event: event.clone() })
        .collect()
}

/// Sends notifications. A queue that is gone loses them, as it does at AWS.
pub(super) fn send(shared: &Shared, deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        let body = match &delivery.route.envelope {
            Envelope::Raw => delivery.event.body(),
            Envelope::EventBridge => delivery.event.eventbridge(),
            Envelope::Sns { topic_arn } => {
                let id = shared.random().uuid();
                in_sns(topic_arn, &id, delivery.event.time, &delivery.event.body())
            }
        };
        crate::sqs::deliver(shared, &delivery.route.queue_url, &body);
    }
}
