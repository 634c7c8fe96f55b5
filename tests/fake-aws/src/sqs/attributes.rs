//! Queue attributes: what may be set, and what is reported.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::queue::Redrive;
use super::{QueueKey, Sqs, answer, invalid_value, missing, ok, out_of_range, service_error};
use crate::clock::SECOND;
use crate::error::ApiError;
use crate::http::Reply;
use crate::iam::Policy;
use crate::input;
use crate::shared::Context;

/// Numeric attributes with their ranges.
const NUMBERS: &[(&str, i64, i64)] = &[
    ("DelaySeconds", 0, 900),
    ("MaximumMessageSize", 1_024, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20),
    ("VisibilityTimeout", 0, 43_200),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
];

const SETTABLE_TEXTS: &[&str] =
    &["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

const COMPUTED: &[&str] = &[
    "All",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// Checks attributes that are to be set.
pub(super) fn read(
    input: Option<&Map<String, Value>>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut attributes = BTreeMap::new();
    for (name, value) in input.into_iter().flatten() {
        let Some(value) = value.as_str() else {
            return Err(ApiError::bad(
                "SerializationException",
                format!("attribute `{name}` is not a string"),
            ));
        };
        check(name, value)?;
        attributes.insert(name.clone(), value.to_owned());
    }
    Ok(attributes)
}

fn check(name: &str, value: &str) -> Result<(), ApiError> {
    if let Some((_, least, most)) = NUMBERS.iter().find(|(number, _, _)| *number == name) {
        return match value.parse::<i64>() {
            Ok(number) if (*least..=*most).contains(&number) => Ok(()),
            _ => Err(bad_value(name)),
        };
    }
    if !SETTABLE_TEXTS.contains(&name) {
        return Err(service_error("InvalidAttributeName", format!("Unknown Attribute {name}.")));
    }
    match name {
        "Policy" if !value.is_empty() && parse_policy(value).is_none() => Err(bad_value(name)),
        "SqsManagedSseEnabled" if value != "true" && value != "false" => Err(bad_value(name)),
        "RedrivePolicy" if !value.is_empty() => parse_redrive(value).map(|_| ()),
        _ => Ok(()),
    }
}

fn bad_value(name: &str) -> ApiError {
    service_error("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

/// Reads a queue's policy.
pub(super) fn parse_policy(text: &str) -> Option<Policy> {
    Policy::resource(&serde_json::from_str(text).ok()?).ok()
}

/// Reads a redrive policy; the count may be a number or a text.
pub(super) fn parse_redrive(text: &str) -> Result<Redrive, ApiError> {
    let refuse = |reason: &str| out_of_range(text, "RedrivePolicy", reason);
    let document: Value = serde_json::from_str(text)
        .map_err(|_| refuse("Redrive policy is not a valid JSON map."))?;
    let arn = document.get("deadLetterTargetArn").and_then(Value::as_str);
    let target = arn.and_then(QueueKey::from_arn).ok_or_else(|| {
        refuse("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
    })?;
    let count = match document.get("maxReceiveCount") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    match count.and_then(|count| u32::try_from(count).ok()) {
        Some(max_receive_count) if (1..=1_000).contains(&max_receive_count) => {
            Ok(Redrive { target, max_receive_count })
        }
        _ => Err(refuse("Invalid value for maxReceiveCount: must be an integer from 1 to 1000.")),
    }
}

/// Checks that the dead-letter queue of a redrive policy exists beside the queue.
pub(super) fn check_redrive(
    sqs: &Sqs,
    key: &QueueKey,
    wanted: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let Some(text) = wanted.get("RedrivePolicy").filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let target = parse_redrive(text)?.target;
    if target.account != key.account
        || target.region != key.region
        || !sqs.queues.contains_key(&target)
    {
        return Err(out_of_range(text, "RedrivePolicy", "Dead letter target does not exist."));
    }
    Ok(())
}

pub(super) fn set(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let attributes = input::map(input, "Attributes")?.ok_or_else(|| missing("Attributes"))?;
    if attributes.is_empty() {
        return Err(invalid_value("The request must contain at least one attribute."));
    }
    let wanted = read(Some(attributes))?;
    let mut sqs = context.shared.sqs();
    check_redrive(&sqs, key, &wanted)?;
    sqs.queue(key)?.set_attributes(wanted, context.now);
    Ok(ok())
}

pub(super) fn get(context: &Context<'_>, input: &Value, key: &QueueKey) -> Result<Reply, ApiError> {
    let names = input::texts(input, "AttributeNames")?.unwrap_or_default();
    for name in &names {
        let known = COMPUTED.contains(name)
            || SETTABLE_TEXTS.contains(name)
            || NUMBERS.iter().any(|(number, _, _)| number == name);
        if !known {
            return Err(service_error(
                "InvalidAttributeName",
                format!("Unknown Attribute {name}."),
            ));
        }
    }
    let mut sqs = context.shared.sqs();
    let queue = sqs.queue(key)?;
    let depth = queue.depth(context.now);
    let mut all: BTreeMap<String, String> = queue.attributes().clone();
    let computed = [
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", depth.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
        ("CreatedTimestamp", (queue.created_at / SECOND).to_string()),
        ("LastModifiedTimestamp", (queue.modified_at / SECOND).to_string()),
        ("QueueArn", key.arn()),
    ];
    all.extend(computed.map(|(name, value)| (name.to_owned(), value)));
    if !names.contains(&"All") {
        all.retain(|name, _| names.contains(&name.as_str()));
    }
    Ok(answer(&if all.is_empty() { json!({}) } else { json!({ "Attributes": all }) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_ranges() {
        const NAME: &str = "InvalidAttributeName";
        const VALUE: &str = "InvalidAttributeValue";
        let rows = [
            ("VisibilityTimeout", "43200", Ok(())),
            ("VisibilityTimeout", "43201", Err(VALUE)),
            ("VisibilityTimeout", "x", Err(VALUE)),
            ("MessageRetentionPeriod", "60", Ok(())),
            ("MessageRetentionPeriod", "59", Err(VALUE)),
            ("MessageRetentionPeriod", "1209601", Err(VALUE)),
            ("MaximumMessageSize", "1048576", Ok(())),
            ("MaximumMessageSize", "1048577", Err(VALUE)),
            ("ReceiveMessageWaitTimeSeconds", "21", Err(VALUE)),
            ("DelaySeconds", "901", Err(VALUE)),
            ("QueueArn", "x", Err(NAME)),
            ("Nonsense", "x", Err(NAME)),
            ("Policy", "{", Err(VALUE)),
            ("RedrivePolicy", "{}", Err("InvalidParameterValueException")),
            (
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:111122223333:d","maxReceiveCount":"5"}"#,
                Ok(()),
            ),
            (
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:111122223333:d","maxReceiveCount":0}"#,
                Err("InvalidParameterValueException"),
            ),
            (
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:111122223333:d","maxReceiveCount":1001}"#,
                Err("InvalidParameterValueException"),
            ),
        ];
        for (name, value, expected) in rows {
            let seen = check(name, value).map_err(|error| error.code);
            assert_eq!(seen, expected.map_err(str::to_owned), "{name}={value}");
        }
    }
}
