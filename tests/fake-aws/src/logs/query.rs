//! Reading back: describing groups and streams, and fetching events.

use serde_json::{Value, json};

use super::pattern::Pattern;
use super::{
    Group, LogTarget, LoggedEvent, Logs, Place, Stream, answer, describe_group, group_arn, invalid,
    names, no_stream, stream_arn,
};
use crate::clock::{DAY, Millis};
use crate::error::ApiError;
use crate::http::Reply;
use crate::input;
use crate::shared::Context;

/// The largest page of described groups or streams.
const MAX_DESCRIBED: i64 = 50;

/// The largest page of events.
const MAX_EVENTS: i64 = 10_000;

pub(super) fn describe_groups(
    context: &Context<'_>,
    place: &Place,
    input: &Value,
) -> Result<Reply, ApiError> {
    let prefix = input::text(input, "logGroupNamePrefix")?;
    let pattern = input::text(input, "logGroupNamePattern")?;
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    let limit = limit(input, MAX_DESCRIBED)?;
    let start = offset(input)?;
    context.authorize("logs:DescribeLogGroups", &group_arn(context, "*"))?;
    let logs = context.shared.logs();
    let described: Vec<Value> = logs
        .groups
        .get(place)
        .into_iter()
        .flatten()
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .filter(|(name, _)| {
            pattern.is_none_or(|pattern| {
                name.to_ascii_lowercase().contains(&pattern.to_ascii_lowercase())
            })
        })
        .map(|(name, group)| describe_group(context, name, group, stored_bytes(&logs, place, name)))
        .collect();
    Ok(page("logGroups", &described, start, limit))
}

pub(super) fn describe_streams(
    context: &Context<'_>,
    place: &Place,
    input: &Value,
) -> Result<Reply, ApiError> {
    let group_name = group_name(input)?;
    let prefix = input::text(input, "logStreamNamePrefix")?;
    let order = input::text(input, "orderBy")?.unwrap_or("LogStreamName");
    let descending = input::flag(input, "descending")?.unwrap_or(false);
    if order == "LastEventTime" && prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let limit = limit(input, MAX_DESCRIBED)?;
    let start = offset(input)?;
    context
        .authorize("logs:DescribeLogStreams", &format!("{}:*", group_arn(context, group_name)))?;
    let logs = context.shared.logs();
    let group = logs.group(place, group_name)?;
    let mut streams: Vec<(&String, &Stream)> = group
        .streams
        .iter()
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .collect();
    if order == "LastEventTime" {
        streams.sort_by_key(|(_, stream)| stream.last_timestamp);
    }
    if descending {
        streams.reverse();
    }
    let described: Vec<Value> = streams
        .into_iter()
        .map(|(name, stream)| describe_stream(context, group_name, name, stream))
        .collect();
    Ok(page("logStreams", &described, start, limit))
}

fn describe_stream(context: &Context<'_>, group: &str, name: &str, stream: &Stream) -> Value {
    let mut described = json!({
        "logStreamName": name,
        "creationTime": stream.created,
        "arn": stream_arn(context, group, name),
        "storedBytes": 0,
    });
    if let Some(members) = described.as_object_mut() {
        let times = [
            ("firstEventTimestamp", stream.first_timestamp),
            ("lastEventTimestamp", stream.last_timestamp),
            ("lastIngestionTime", stream.last_ingestion),
        ];
        for (member, time) in times {
            if let Some(time) = time {
                members.insert(member.to_owned(), json!(time));
            }
        }
    }
    described
}

pub(super) fn get_events(
    context: &Context<'_>,
    place: &Place,
    input: &Value,
) -> Result<Reply, ApiError> {
    let group_name = group_name(input)?;
    let stream_name = names::stream(input::text(input, "logStreamName")?)?;
    let from_head = input::flag(input, "startFromHead")?.unwrap_or(false);
    let limit = limit(input, MAX_EVENTS)?;
    context.authorize("logs:GetLogEvents", &stream_arn(context, group_name, stream_name))?;
    let logs = context.shared.logs();
    let group = logs.group(place, group_name)?;
    let stream = group.streams.get(stream_name).ok_or_else(no_stream)?;
    let target = LogTarget::new(place, group_name, stream_name);
    let range = TimeRange::of(input, group, context.now)?;
    let events = readable(&logs, &target, stream, range);
    let count = events.len();
    let (start, end) = match input::text(input, "nextToken")? {
        None if from_head => (0, limit.min(count)),
        None => (count.saturating_sub(limit), count),
        Some(token) => match token.split_once('/') {
            Some(("f", at)) => {
                let at = parse_token(at)?.min(count);
                (at, at.saturating_add(limit).min(count))
            }
            Some(("b", at)) => {
                let at = parse_token(at)?.min(count);
                (at.saturating_sub(limit), at)
            }
            _ => return Err(invalid("The specified nextToken is invalid.")),
        },
    };
    let events: Vec<Value> = events
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|event| {
            json!({
                "timestamp": event.timestamp,
                "message": event.message,
                "ingestionTime": event.ingested_at,
            })
        })
        .collect();
    Ok(answer(&json!({
        "events": events,
        "nextForwardToken": format!("f/{end}"),
        "nextBackwardToken": format!("b/{start}"),
    })))
}

pub(super) fn filter_events(
    context: &Context<'_>,
    place: &Place,
    input: &Value,
) -> Result<Reply, ApiError> {
    let group_name = group_name(input)?;
    let names = input::texts(input, "logStreamNames")?;
    let prefix = input::text(input, "logStreamNamePrefix")?;
    if names.is_some() && prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive."));
    }
    let pattern = Pattern::read(input::text(input, "filterPattern")?.unwrap_or_default())?;
    let limit = limit(input, MAX_EVENTS)?;
    let start = offset(input)?;
    context.authorize("logs:FilterLogEvents", &format!("{}:*", group_arn(context, group_name)))?;
    let logs = context.shared.logs();
    let group = logs.group(place, group_name)?;
    let range = TimeRange::of(input, group, context.now)?;
    let mut found: Vec<(&String, usize, &LoggedEvent)> = Vec::new();
    for (name, stream) in &group.streams {
        let wanted = names.as_ref().is_none_or(|names| names.contains(&name.as_str()))
            && prefix.is_none_or(|prefix| name.starts_with(prefix));
        if wanted {
            let target = LogTarget::new(place, group_name, name);
            for (index, event) in readable(&logs, &target, stream, range).into_iter().enumerate() {
                if pattern.matches(&event.message) {
                    found.push((name, index, event));
                }
            }
        }
    }
    found.sort_by_key(|(_, _, event)| event.timestamp);
    let described: Vec<Value> = found
        .into_iter()
        .map(|(name, index, event)| {
            json!({
                "logStreamName": name,
                "timestamp": event.timestamp,
                "message": event.message,
                "ingestionTime": event.ingested_at,
                "eventId": format!("{:020}{:036}", event.timestamp, index),
            })
        })
        .collect();
    Ok(page("events", &described, start, limit))
}

/// Which events a reader may see.
#[derive(Debug, Clone, Copy)]
struct TimeRange {
    from: Millis,
    to: Millis,
}

impl TimeRange {
    fn of(input: &Value, group: &Group, now: Millis) -> Result<Self, ApiError> {
        let kept_from = group.retention_days.map_or(0, |days| now - days * DAY);
        let from = input::integer(input, "startTime")?.unwrap_or(0).max(kept_from);
        let to = input::integer(input, "endTime")?.unwrap_or(i64::MAX);
        Ok(Self { from, to })
    }
}

/// Returns the events of a stream in order of time.
fn readable<'a>(
    logs: &'a Logs,
    target: &LogTarget,
    stream: &Stream,
    range: TimeRange,
) -> Vec<&'a LoggedEvent> {
    let kept = logs.ledger.events(target);
    let mut events: Vec<&LoggedEvent> = kept
        .get(stream.earlier_events..)
        .unwrap_or_default()
        .iter()
        .filter(|event| (range.from..range.to).contains(&event.timestamp))
        .collect();
    events.sort_by_key(|event| event.timestamp);
    events
}

fn stored_bytes(logs: &Logs, place: &Place, group: &str) -> u64 {
    logs.ledger
        .counts()
        .iter()
        .filter(|(target, _)| {
            target.account == place.0 && target.region == place.1 && target.group == group
        })
        .map(|(_, totals)| totals.message_bytes)
        .sum()
}

/// Reads `logGroupName`, or the name in `logGroupIdentifier`.
fn group_name(input: &Value) -> Result<&str, ApiError> {
    let identifier = input::text(input, "logGroupIdentifier")?;
    let name = input::text(input, "logGroupName")?;
    if name.is_some() && identifier.is_some() {
        return Err(invalid("You cannot specify both logGroupName and logGroupIdentifier."));
    }
    let identifier = identifier.map(|text| text.rsplit(":log-group:").next().unwrap_or(text));
    names::group(name.or(identifier))
}

fn limit(input: &Value, largest: i64) -> Result<usize, ApiError> {
    let limit = input::integer(input, "limit")?.unwrap_or(largest);
    if !(1..=largest).contains(&limit) {
        return Err(names::constraint(
            &limit.to_string(),
            "limit",
            &format!("Member must have value between 1 and {largest}"),
        ));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn offset(input: &Value) -> Result<usize, ApiError> {
    input::text(input, "nextToken")?.map_or(Ok(0), parse_token)
}

fn parse_token(token: &str) -> Result<usize, ApiError> {
    token.parse().map_err(|_| invalid("The specified nextToken is invalid."))
}

fn page(member: &str, all: &[Value], start: usize, limit: usize) -> Reply {
    let end = start.saturating_add(limit).min(all.len());
    let mut reply = json!({ member: all.get(start..end).unwrap_or_default() });
    if end < all.len()
        && let Some(members) = reply.as_object_mut()
    {
        members.insert("nextToken".to_owned(), json!(end.to_string()));
    }
    answer(&reply)
}
