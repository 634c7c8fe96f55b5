//! Simple Notification Service: topics and subscriptions that stacks make, and what can be read of them.
//!
//! Nothing is published here: what a bucket announces goes to queues by `FakeAws::notify`. Rules are those of the API
//! model (`sns-2010-03-31`).

mod inspect;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::Reply;
use crate::identity::account_of;
use crate::shared::Context;
use crate::xml;

pub use inspect::Subscription;

pub(crate) const VERSION: &str = "2010-03-31";
pub(crate) const OPERATIONS: &[&str] =
    &["GetSubscriptionAttributes", "GetTopicAttributes", "ListSubscriptionsByTopic"];
pub(crate) const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// The most subscriptions of one answer.
/// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
const PAGE: usize = 100;
/// An ARN of a topic has so many parts, one of a subscription one more.
const TOPIC_PARTS: usize = 6;
/// What stands instead of the ARN of a subscription that nobody has confirmed yet.
const PENDING: &str = "PendingConfirmation";

type Form = [(String, String)];

/// The state of the service.
#[derive(Debug, Default)]
pub(crate) struct Sns {
    /// By ARN, the topic's policy.
    topics: BTreeMap<String, String>,
    /// By topic.
    subscriptions: BTreeMap<String, Vec<Subscription>>,
}

impl Sns {
    /// Makes a topic as a stack describes it. One that is there keeps its policy.
    pub(crate) fn put_topic(&mut self, arn: &str) {
        self.topics.entry(arn.to_owned()).or_insert_with(|| default_policy(arn));
    }

    /// Deletes a topic and its subscriptions.
    pub(crate) fn remove_topic(&mut self, arn: &str) {
        self.topics.remove(arn);
        self.subscriptions.remove(arn);
    }

    /// Sets the policy of topics; none: that of a new topic.
    pub(crate) fn set_policy(&mut self, properties: &Value, document: Option<&str>) {
        let topics = properties.get("Topics").and_then(Value::as_array);
        for arn in topics.into_iter().flatten().filter_map(Value::as_str) {
            if let Some(policy) = self.topics.get_mut(arn) {
                *policy = document.map_or_else(|| default_policy(arn), str::to_owned);
            }
        }
    }

    /// Makes or changes a subscription as a stack describes it.
    pub(crate) fn put_subscription(&mut self, arn: &str, properties: &Value) {
        let text = |name: &str| match properties.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let settable = ["RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"];
        let given = settable.into_iter().filter(|name| properties.get(*name).is_some());
        let protocol = text("Protocol");
        let subscription = Subscription {
            arn: arn.to_owned(),
            endpoint: text("Endpoint"),
            // Somebody has to follow the link in a mail; a queue of the same account needs nobody.
            pending: protocol.starts_with("email"),
            protocol,
            attributes: given.map(|name| (name.to_owned(), text(name))).collect(),
        };
        let of_topic = self.subscriptions.entry(text("TopicArn")).or_default();
        of_topic.retain(|known| known.arn != arn);
        of_topic.push(subscription);
    }

    /// Deletes a subscription.
    pub(crate) fn remove_subscription(&mut self, arn: &str) {
        for of_topic in self.subscriptions.values_mut() {
            of_topic.retain(|known| known.arn != arn);
        }
    }
}

/// The policy of a topic that was given none: its owner may do everything.
fn default_policy(arn: &str) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": account_of(arn)}},
        }],
    })
    .to_string()
}

/// Returns what a call is about.
pub(crate) fn facts(form: &Form) -> (String, String) {
    let subjects = ["TopicArn", "SubscriptionArn"];
    (subjects.map(|name| value(form, name).unwrap_or_default()).concat(), String::new())
}

pub(crate) fn execute(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    match context.operation {
        "GetTopicAttributes" => topic_attributes(context, form),
        "ListSubscriptionsByTopic" => subscriptions_of_topic(context, form),
        "GetSubscriptionAttributes" => subscription_attributes(context, form),
        other => Err(ApiError::bad("InvalidAction", format!("Could not find operation {other}"))),
    }
}

fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Reads an ARN of this region, and checks that the caller may ask about it.
fn topic<'a>(context: &Context<'_>, form: &'a Form) -> Result<&'a str, ApiError> {
    let arn = value(form, "TopicArn").unwrap_or_default();
    let parts: Vec<&str> = arn.split(':').collect();
    if parts.len() != TOPIC_PARTS || parts.get(2) != Some(&"sns") {
        return Err(invalid("TopicArn"));
    }
    // A topic can be asked for only where it is.
    if parts.get(3) != Some(&context.region) {
        return Err(invalid("TopicArn"));
    }
    // Topics of other accounts are out of reach: no policy here shares one.
    let action = format!("sns:{}", context.operation);
    context.authorize_shared(&action, arn, account_of(arn), None, &[])?;
    if !context.shared.sns().topics.contains_key(arn) {
        return Err(missing("Topic does not exist"));
    }
    Ok(arn)
}

fn topic_attributes(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let arn = topic(context, form)?;
    let sns = context.shared.sns();
    let policy = sns.topics.get(arn).cloned().unwrap_or_default();
    let subscriptions = sns.subscriptions.get(arn).map_or(&[][..], Vec::as_slice);
    let pending = subscriptions.iter().filter(|one| one.pending).count();
    let confirmed = subscriptions.len() - pending;
    let attributes = [
        ("TopicArn", arn.to_owned()),
        ("Owner", account_of(arn).to_owned()),
        ("Policy", policy),
        ("DisplayName", String::new()),
        ("SubscriptionsConfirmed", confirmed.to_string()),
        ("SubscriptionsPending", pending.to_string()),
        ("SubscriptionsDeleted", "0".to_owned()),
    ];
    Ok(reply(context, |out| entries(out, &attributes)))
}

fn subscriptions_of_topic(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let arn = topic(context, form)?;
    let start = match value(form, "NextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("NextToken"))?,
    };
    let sns = context.shared.sns();
    let all = sns.subscriptions.get(arn).map_or(&[][..], Vec::as_slice);
    let shown = all.iter().skip(start).take(PAGE);
    Ok(reply(context, |out| {
        out.nest("Subscriptions", |out| {
            for one in shown {
                out.nest("member", |out| {
                    out.text("SubscriptionArn", if one.pending { PENDING } else { &one.arn });
                    out.text("Owner", account_of(arn));
                    out.text("Protocol", &one.protocol);
                    out.text("Endpoint", &one.endpoint);
                    out.text("TopicArn", arn);
                });
            }
        });
        if start + PAGE < all.len() {
            out.text("NextToken", &(start + PAGE).to_string());
        }
    }))
}

fn subscription_attributes(context: &Context<'_>, form: &Form) -> Result<Reply, ApiError> {
    let arn = value(form, "SubscriptionArn").unwrap_or_default();
    let parts = arn.split(':').count();
    if parts < TOPIC_PARTS {
        let message = format!(
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least {TOPIC_PARTS} elements, not {parts}"
        );
        return Err(ApiError::bad("InvalidParameter", message));
    }
    // SNS knows no resource for subscriptions in policies.
    context.authorize("sns:GetSubscriptionAttributes", "*")?;
    let (topic, _) = arn.rsplit_once(':').unwrap_or((arn, ""));
    let sns = context.shared.sns();
    let found = sns.subscriptions.get(topic).into_iter().flatten().find(|one| one.arn == arn);
    let ours = account_of(arn) == context.caller.account;
    let Some(found) = found.filter(|_| ours) else {
        return Err(missing("Subscription does not exist"));
    };
    let mut attributes = vec![
        ("SubscriptionArn", arn.to_owned()),
        ("TopicArn", topic.to_owned()),
        ("Owner", account_of(arn).to_owned()),
        ("Protocol", found.protocol.clone()),
        ("Endpoint", found.endpoint.clone()),
        ("PendingConfirmation", found.pending.to_string()),
        ("ConfirmationWasAuthenticated", (!found.pending).to_string()),
    ];
    if !found.attributes.contains_key("RawMessageDelivery") {
        attributes.push(("RawMessageDelivery", "false".to_owned()));
    }
    attributes.extend(found.attributes.iter().map(|(name, value)| (name.as_str(), value.clone())));
    Ok(reply(context, |out| entries(out, &attributes)))
}

fn entries(out: &mut xml::Writer, attributes: &[(&str, String)]) {
    out.nest("Attributes", |out| {
        for (name, value) in attributes {
            out.nest("entry", |out| {
                out.text("key", name);
                out.text("value", value);
            });
        }
    });
}

fn invalid(parameter: &str) -> ApiError {
    ApiError::bad("InvalidParameter", format!("Invalid parameter: {parameter}"))
}

fn missing(message: &str) -> ApiError {
    ApiError::new(404, "NotFound", message)
}

fn reply(context: &Context<'_>, content: impl FnOnce(&mut xml::Writer)) -> Reply {
    context.query_reply(NAMESPACE, content)
}
