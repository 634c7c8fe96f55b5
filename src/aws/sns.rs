//! The topic of new objects and who is subscribed to it, as operators look at them. Reads only.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "sns";
/// What stands instead of a subscription's ARN until somebody has confirmed it.
/// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
const PENDING: &str = "PendingConfirmation";
/// Queues whose subscriptions are looked at one by one. A pipeline's topic has one.
const MAX_QUEUES: usize = 20;

/// A client for SNS in one region.
#[derive(Debug, Clone)]
pub struct Sns(Client);

/// A topic, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFacts {
    /// Who may publish to it.
    pub policy: String,
}

/// A queue's subscription to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// The queue's ARN.
    pub queue: String,
    /// What was set, or that nobody has confirmed it yet.
    pub state: SubscriptionState,
}

/// The state of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Nobody has confirmed it: it gets nothing.
    Pending,
    /// It gets what is published.
    Confirmed {
        /// Whether messages come without the envelope of SNS.
        raw: bool,
        /// What a message must have; the others are dropped.
        filter: Option<String>,
    },
}

impl Sns {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns what is known of a topic; `None` if there is no such topic.
    pub async fn topic(&self, arn: &str) -> Result<Option<TopicFacts>, Fault> {
        let sent = self.0.get_topic_attributes().topic_arn(arn).send().await;
        let answer = match sent.map_err(|error| Fault::new(SERVICE, "GetTopicAttributes", error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let policy = answer.attributes.and_then(|mut attributes| attributes.remove("Policy"));
        Ok(Some(TopicFacts { policy: policy.unwrap_or_default() }))
    }

    /// Returns the queues that are subscribed to a topic; none if there is no such topic.
    pub async fn queues(&self, topic: &str) -> Result<Vec<SubscriptionFacts>, Fault> {
        const OPERATION: &str = "ListSubscriptionsByTopic";
        let mut pages =
            self.0.list_subscriptions_by_topic().topic_arn(topic).into_paginator().items().send();
        let mut queues = Vec::new();
        while let Some(found) = pages.next().await {
            let found = match found.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
                Ok(found) => found,
                Err(fault) if fault.class() == FaultClass::Missing => return Ok(Vec::new()),
                Err(fault) => return Err(fault),
            };
            if found.protocol() != Some("sqs") || queues.len() == MAX_QUEUES {
                continue;
            }
            let arn = found.subscription_arn.unwrap_or_default();
            let state =
                if arn == PENDING { SubscriptionState::Pending } else { self.state(&arn).await? };
            queues.push(SubscriptionFacts { queue: found.endpoint.unwrap_or_default(), state });
        }
        Ok(queues)
    }

    async fn state(&self, subscription: &str) -> Result<SubscriptionState, Fault> {
        const OPERATION: &str = "GetSubscriptionAttributes";
        let sent = self.0.get_subscription_attributes().subscription_arn(subscription).send();
        let answer = sent.await.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let is_true = |name: &str| attributes.get(name).is_some_and(|value| value == "true");
        if is_true("PendingConfirmation") {
            return Ok(SubscriptionState::Pending);
        }
        // A filter that was taken away may be left as an empty object.
        let filter =
            attributes.get("FilterPolicy").filter(|text| !matches!(text.trim(), "" | "{}"));
        Ok(SubscriptionState::Confirmed {
            raw: is_true("RawMessageDelivery"),
            filter: filter.cloned(),
        })
    }
}
