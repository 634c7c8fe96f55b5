//! Checks of the topic that announces new objects, and of the queue's subscription to it.

use serde_json::Value;

use super::{
    Check, Finding, Look,
    Severity::{Problem, Warning},
    Texts, Verdict, check,
    facts::Facts,
    policy, seen,
};
use crate::aws::sns::{SubscriptionFacts, SubscriptionState};

const TOPIC: &str = "the topic";
/// How much of a filter a finding shows.
const SHOWN: usize = 120;

/// Codes MT170 to MT179.
pub(super) const CHECKS: &[Check] = &[
    check(
        Problem,
        &[Look::Topic],
        present,
        Texts {
            code: "MT170",
            well: "the topic is there",
            title: "the topic is missing",
            why: "The stack has it, and somebody deleted it by hand. New objects are announced to nobody.",
            fix: "`mtlog drift regional` shows it; deploy the stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Problem,
        &[Look::Topic],
        lets_in,
        Texts {
            code: "MT171",
            well: "the bucket may publish to the topic",
            title: "the bucket may not publish to the topic",
            why: "S3 drops at once what a topic refuses. New objects are never processed, and expire.",
            fix: "Deploy the regional stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Problem,
        &[Look::Topic, Look::Queues],
        subscribed,
        Texts {
            code: "MT172",
            well: "the queue is subscribed to the topic",
            title: "the queue is not subscribed to the topic",
            why: "The topic has nobody to tell about new objects, or tells another queue. They are never processed.",
            fix: "`mtlog drift regional` shows it; deploy the stack again, then deliver what was missed with `mtlog replay`.",
        },
    ),
    check(
        Warning,
        &[Look::Topic, Look::Queues],
        enveloped,
        Texts {
            code: "MT173",
            well: "messages come in their envelope",
            title: "messages come without their envelope",
            why: "Raw delivery is on, and the stack wants it off. The processor reads both forms; a consumer that you wrote \
                  may not.",
            fix: "`aws sns set-subscription-attributes --attribute-name RawMessageDelivery --attribute-value false \
                  --subscription-arn ARN`; `mtlog drift regional` shows the subscription.",
        },
    ),
    check(
        Problem,
        &[Look::Topic, Look::Queues],
        unfiltered,
        Texts {
            code: "MT174",
            well: "the subscription lets every announcement through",
            title: "the subscription filters announcements",
            why: "SNS drops without a trace what does not pass the filter. These objects are never processed, and expire.",
            fix: "Take the filter away: `aws sns set-subscription-attributes --attribute-name FilterPolicy \
                  --attribute-value '{}' --subscription-arn ARN`; then deliver what was missed with `mtlog replay`.",
        },
    ),
];

fn name(facts: &Facts) -> &str {
    let arn = facts.pipeline.topic_arn.as_deref().unwrap_or(TOPIC);
    arn.rsplit(':').next().unwrap_or(arn)
}

pub(super) fn present(facts: &Facts) -> Verdict {
    seen(&facts.topic, TOPIC, |topic| {
        Verdict::well_if(topic.is_some(), || {
            Finding::new(name(facts), "does not exist, although the stack has it")
        })
    })
}

pub(super) fn lets_in(facts: &Facts) -> Verdict {
    seen(&facts.topic, TOPIC, |topic| {
        let (Some(topic), Some(bucket)) = (topic, facts.pipeline.bucket.as_deref()) else {
            return Verdict::Skipped { reason: "the topic does not exist".to_owned() };
        };
        let topic_arn = facts.pipeline.topic_arn.as_deref().unwrap_or_default();
        let partition = topic_arn.split(':').nth(1).unwrap_or("aws");
        let bucket_arn = format!("arn:{partition}:s3:::{bucket}");
        Verdict::well_if(lets_bucket_publish(&topic.policy, &bucket_arn), || {
            Finding::new(name(facts), format!("does not let bucket `{bucket}` publish"))
        })
    })
}

/// Whether the policy lets S3 publish for this bucket.
fn lets_bucket_publish(policy: &str, bucket_arn: &str) -> bool {
    policy::statements(policy).iter().any(|statement| {
        policy::says(statement, "/Effect", &["Allow"])
            && policy::says(statement, "/Principal/Service", &["s3.amazonaws.com"])
            && policy::says(statement, "/Action", &["sns:Publish", "SNS:Publish", "sns:*", "SNS:*"])
            && is_for(statement, bucket_arn)
    })
}

/// Whether a statement's condition on the source, if it has one, lets the bucket through.
fn is_for(statement: &Value, bucket_arn: &str) -> bool {
    let conditions = ["ArnEquals", "ArnLike", "StringEquals", "StringLike"];
    let mut sources = conditions
        .iter()
        .filter_map(|operator| statement.pointer(&format!("/Condition/{operator}/aws:SourceArn")));
    sources.all(|source| match source {
        Value::Array(values) => values.iter().any(|value| names(value, bucket_arn)),
        value => names(value, bucket_arn),
    })
}

/// Whether a value names the bucket, or is a pattern that begins as its ARN does.
fn names(value: &Value, bucket_arn: &str) -> bool {
    let Some(text) = value.as_str() else { return false };
    match text.split_once('*') {
        Some((start, _)) => bucket_arn.starts_with(start),
        None => text == bucket_arn,
    }
}

/// Judges who is subscribed to a topic that is there, when there is a queue.
fn subscriptions(
    facts: &Facts,
    judge: impl FnOnce(&str, &[SubscriptionFacts]) -> Verdict,
) -> Verdict {
    let not_there = |what: &str| Verdict::Skipped { reason: format!("{what} does not exist") };
    seen(&facts.topic, TOPIC, |topic| {
        if topic.is_none() {
            return not_there(TOPIC);
        }
        seen(&facts.queue, "the queue", |queue| {
            let Some(queue) = queue else { return not_there("the queue") };
            seen(&facts.subscriptions, TOPIC, |found| judge(&queue.arn, found))
        })
    })
}

/// Judges the queue's own subscription, once it is confirmed.
fn confirmed(facts: &Facts, judge: impl FnOnce(bool, Option<&str>) -> Option<String>) -> Verdict {
    subscriptions(facts, |queue, found| {
        let ours = found.iter().find(|one| one.queue == queue).map(|one| &one.state);
        match ours {
            Some(SubscriptionState::Confirmed { raw, filter }) => {
                match judge(*raw, filter.as_deref()) {
                    None => Verdict::Well,
                    Some(reason) => Verdict::found(name(facts), reason),
                }
            }
            Some(SubscriptionState::Pending) | None => {
                Verdict::Skipped { reason: "the queue is not subscribed".to_owned() }
            }
        }
    })
}

pub(super) fn subscribed(facts: &Facts) -> Verdict {
    subscriptions(facts, |queue, found| {
        let ours = found.iter().find(|one| one.queue == queue).map(|one| &one.state);
        match (ours, found.first()) {
            (Some(SubscriptionState::Confirmed { .. }), _) => Verdict::Well,
            (Some(SubscriptionState::Pending), _) => Verdict::found(
                name(facts),
                format!("waits for somebody to confirm the subscription of queue `{queue}`"),
            ),
            (None, None) => {
                Verdict::found(name(facts), format!("has no subscription of queue `{queue}`"))
            }
            (None, Some(other)) => Verdict::found(
                name(facts),
                format!("tells queue `{}`, and not `{queue}`", other.queue),
            ),
        }
    })
}

pub(super) fn enveloped(facts: &Facts) -> Verdict {
    confirmed(facts, |raw, _| {
        raw.then(|| "sends the queue bare messages: raw delivery is on".to_owned())
    })
}

pub(super) fn unfiltered(facts: &Facts) -> Verdict {
    confirmed(facts, |_, filter| {
        let shown: String = filter?.chars().take(SHOWN).collect();
        Some(format!("sends the queue only what passes the filter `{shown}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_statement_for_the_bucket_lets_it_publish() {
        let bucket = "arn:aws:s3:::logs";
        let with = |condition: &str| {
            format!(
                r#"{{"Statement": [{{"Effect": "Allow", "Principal": {{"Service": "s3.amazonaws.com"}}, "Action": "sns:Publish", "Condition": {{{condition}}}}}]}}"#
            )
        };
        for (policy, expected) in [
            (with(r#""ArnEquals": {"aws:SourceArn": "arn:aws:s3:::logs"}"#), true),
            (with(r#""ArnLike": {"aws:SourceArn": ["arn:aws:s3:::x", "arn:aws:s3:::lo*"]}"#), true),
            (with(r#""StringEquals": {"aws:SourceAccount": "111122223333"}"#), true),
            (with(r#""ArnEquals": {"aws:SourceArn": "arn:aws:s3:::other"}"#), false),
            (with("").replace("Allow", "Deny"), false),
            (with("").replace("s3.amazonaws.com", "events.amazonaws.com"), false),
            ("{}".to_owned(), false),
        ] {
            assert_eq!(lets_bucket_publish(&policy, bucket), expected, "{policy}");
        }
    }
}
