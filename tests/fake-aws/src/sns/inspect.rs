//! What a test can see and change of topics, as somebody who changes things by hand.

use std::collections::BTreeMap;

use crate::fake::FakeAws;

/// A subscription to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The ARN, which only confirmed subscriptions show.
    pub arn: String,
    /// `sqs`, `email` and so on.
    pub protocol: String,
    /// The queue's ARN, the address and so on.
    pub endpoint: String,
    /// Whether nobody has confirmed it yet.
    pub pending: bool,
    /// What was set of `RawMessageDelivery`, `FilterPolicy`, `FilterPolicyScope` and `RedrivePolicy`.
    pub attributes: BTreeMap<String, String>,
}

impl FakeAws {
    /// Makes a topic with the policy of a new one.
    pub fn create_topic(&self, arn: &str) {
        self.shared().sns().put_topic(arn);
    }

    /// Deletes a topic and its subscriptions behind its stack's back.
    pub fn remove_topic(&self, arn: &str) {
        self.shared().sns().remove_topic(arn);
    }

    /// Returns a topic's policy.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub fn topic_policy(&self, arn: &str) -> String {
        self.shared().sns().topics.get(arn).cloned().unwrap_or_else(|| panic!("no topic `{arn}`"))
    }

    /// Sets a topic's policy.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub fn set_topic_policy(&self, arn: &str, policy: &str) {
        let mut sns = self.shared().sns();
        let known = sns.topics.get_mut(arn).unwrap_or_else(|| panic!("no topic `{arn}`"));
        policy.clone_into(known);
    }

    /// Returns the subscriptions to a topic.
    pub fn subscriptions(&self, topic: &str) -> Vec<Subscription> {
        self.shared().sns().subscriptions.get(topic).cloned().unwrap_or_default()
    }

    /// Replaces the subscriptions to a topic.
    pub fn set_subscriptions(&self, topic: &str, subscriptions: Vec<Subscription>) {
        self.shared().sns().subscriptions.insert(topic.to_owned(), subscriptions);
    }
}
