//! What checks look at.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    aws::{
        bucket::Notification,
        dynamodb::TableFacts,
        iam::Made,
        lambda::{FunctionFacts, MappingFacts},
        sns::{SubscriptionFacts, TopicFacts},
        sqs::QueueSettings,
    },
    deploy::stack::Stack,
    onboard::table::Entry,
    operate::{alarm::Alarm, pipeline::Pipeline, reading::Reading, view::Numbers},
};

/// Everything that was seen of one environment in one region. What nobody asked for is absent.
#[derive(Debug)]
pub struct Facts {
    /// When it was looked at.
    pub now: Timestamp,
    /// The account.
    pub account: String,
    /// The version of the templates in this program.
    pub template_version: String,
    /// Every stack of the project in the region.
    pub stacks: Reading<Vec<Stack>>,
    /// The global stack, if it is in this region.
    pub global: Option<Stack>,
    /// The regional stack.
    pub regional: Option<Stack>,
    /// What the parts are called.
    pub pipeline: Pipeline,
    /// Settings that name a part of the pipeline: variable, value, and where it comes from.
    pub settings: Vec<(String, String, String)>,
    /// How far the clock here is ahead of that at AWS.
    pub ahead: Reading<SignedDuration>,
    /// How the central role came to be; known and none: it is deleted.
    pub central_role: Reading<Option<Made>>,
    /// Whether the bucket is there and ours.
    pub bucket: Reading<BucketStanding>,
    /// What the bucket announces.
    pub notifications: Reading<Vec<Notification>>,
    /// After how many days objects are deleted.
    pub expiry_days: Reading<Option<i32>>,
    /// Whether objects are encrypted with KMS.
    pub kms_encrypted: Reading<bool>,
    /// Whether public access is blocked.
    pub blocks_the_public: Reading<bool>,
    /// The bucket's policy.
    pub bucket_policy: Reading<Option<String>>,
    /// Keys.
    pub keys: Reading<Keys>,
    /// The topic; known and none: it is deleted.
    pub topic: Reading<Option<TopicFacts>>,
    /// The queues that are subscribed to the topic.
    pub subscriptions: Reading<Vec<SubscriptionFacts>>,
    /// The queue; known and none: it is deleted.
    pub queue: Reading<Option<QueueSettings>>,
    /// The dead-letter queue; known and none: it is deleted.
    pub dead_letters: Reading<Option<QueueSettings>>,
    /// The table; known and none: it is deleted.
    pub table: Reading<Option<TableFacts>>,
    /// The tenants.
    pub items: Reading<Vec<Entry>>,
    /// The function; known and none: it is deleted.
    pub function: Reading<Option<FunctionFacts>>,
    /// What feeds the function.
    pub mappings: Reading<Vec<MappingFacts>>,
    /// The identity provider of each cluster stack.
    pub providers: Vec<Provider>,
    /// The alarms.
    pub alarms: Reading<Vec<Alarm>>,
    /// The last hour.
    pub hour: Reading<Numbers>,
}

/// Whether a bucket is there and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketStanding {
    /// It is.
    Ours,
    /// It is in another region.
    Elsewhere,
    /// It does not exist.
    Absent,
    /// Another account has it, or we may not look at it.
    Foreign,
}

/// Keys of the bucket, as far as a few listings tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// The namespaces, with one cluster each in which they were seen.
    pub namespaces: BTreeMap<String, String>,
    /// Keys that nobody can read, with the reason.
    pub odd: Vec<(String, String)>,
}

/// The identity provider that a cluster stack's role trusts.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The stack.
    pub stack: String,
    /// The issuer without `https://`.
    pub issuer: String,
    /// The audience that the role demands.
    pub audience: String,
    /// The audiences that IAM knows; known and none: IAM does not know the provider.
    pub known: Reading<Option<Vec<String>>>,
}

impl Facts {
    /// Nothing was looked at.
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            account: "111122223333".to_owned(),
            template_version: "1.0.0".to_owned(),
            stacks: Reading::Absent,
            global: None,
            regional: None,
            pipeline: Pipeline::default(),
            settings: Vec::new(),
            ahead: Reading::Absent,
            central_role: Reading::Absent,
            bucket: Reading::Absent,
            notifications: Reading::Absent,
            expiry_days: Reading::Absent,
            kms_encrypted: Reading::Absent,
            blocks_the_public: Reading::Absent,
            bucket_policy: Reading::Absent,
            keys: Reading::Absent,
            topic: Reading::Absent,
            subscriptions: Reading::Absent,
            queue: Reading::Absent,
            dead_letters: Reading::Absent,
            table: Reading::Absent,
            items: Reading::Absent,
            function: Reading::Absent,
            mappings: Reading::Absent,
            providers: Vec::new(),
            alarms: Reading::Absent,
            hour: Reading::Absent,
        }
    }

    /// Returns a parameter of the regional stack.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.regional.as_ref()?.parameters.get(name).map(String::as_str)
    }

    /// Returns the names of the tenants that have a delivery which is switched on, or one that nobody can read: that is
    /// another finding.
    pub fn expected_tenants(&self) -> Reading<BTreeSet<&str>> {
        self.items.as_ref().map(|entries| {
            let expected = entries
                .iter()
                .filter(|entry| entry.item.as_ref().map_or(true, |item| item.enabled));
            expected.map(|entry| entry.tenant.as_str()).collect()
        })
    }
}
