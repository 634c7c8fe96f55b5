//! `DescribeAlarms`.

use serde_json::{Value, json};

use super::{Alarm, invalid};
use crate::cbor;
use crate::error::ApiError;
use crate::input;
use crate::shared::Context;

/// Pages when the caller does not say, and at most.
const DEFAULT_RECORDS: i64 = 50;
const MAX_RECORDS: i64 = 100;

pub(super) fn describe(context: &Context<'_>, input: &Value) -> Result<Value, ApiError> {
    let (account, region) = (&context.caller.account, context.region);
    context.authorize(
        "cloudwatch:DescribeAlarms",
        &format!("arn:aws:cloudwatch:{region}:{account}:alarm:*"),
    )?;
    let prefix = input::text(input, "AlarmNamePrefix")?;
    if prefix.is_some_and(|prefix| prefix.is_empty() || prefix.len() > 255) {
        return Err(invalid("AlarmNamePrefix must have 1 to 255 characters"));
    }
    let names = input::texts(input, "AlarmNames")?;
    if names.as_ref().is_some_and(|names| names.len() > 100) {
        return Err(invalid("AlarmNames must have at most 100 members"));
    }
    if prefix.is_some() && names.is_some() {
        return Err(ApiError::bad(
            "InvalidParameterCombination",
            "AlarmNames and AlarmNamePrefix cannot be used together",
        ));
    }
    let limit = input::integer(input, "MaxRecords")?.unwrap_or(DEFAULT_RECORDS);
    if !(1..=MAX_RECORDS).contains(&limit) {
        return Err(invalid("MaxRecords must be from 1 to 100"));
    }
    let state = input::text(input, "StateValue")?;
    let after = input::text(input, "NextToken")?;
    let cloudwatch = context.shared.cloudwatch();
    let mut found: Vec<(&String, &Alarm)> = cloudwatch
        .alarms
        .iter()
        .filter(|((owner, place, _), _)| owner == account && place == region)
        .map(|((_, _, name), alarm)| (name, alarm))
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .filter(|(name, _)| names.as_ref().is_none_or(|names| names.contains(&name.as_str())))
        .filter(|(_, alarm)| state.is_none_or(|state| alarm.state.word() == state))
        .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after))
        .collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let alarms: Vec<Value> = found
        .iter()
        .map(|(name, alarm)| {
            json!({
                "AlarmName": name,
                "AlarmArn": format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
                "AlarmDescription": alarm.description,
                "ActionsEnabled": true,
                "StateValue": alarm.state.word(),
                "StateReason": alarm.reason,
                "StateUpdatedTimestamp": cbor::time(alarm.since),
                "Namespace": alarm.namespace,
                "MetricName": alarm.metric,
            })
        })
        .collect();
    let next = found.last().filter(|_| more).map(|(last, _)| last);
    Ok(json!({"MetricAlarms": alarms, "CompositeAlarms": [], "NextToken": next}))
}
