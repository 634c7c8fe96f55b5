//! `PutLogEvents`, with every rule of the model.

use std::borrow::Cow;
use std::io::Read as _;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{LogTarget, Stream, answer, invalid, names, no_stream, stream_arn};
use crate::clock::{DAY, HOUR, Millis};
use crate::error::ApiError;
use crate::http::Reply;
use crate::shared::Context;

/// Bytes that every event counts for besides its message.
pub(super) const EVENT_OVERHEAD: usize = 26;

/// The largest sum over a batch, overhead included.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// The largest number of events in a batch.
const MAX_BATCH_EVENTS: usize = 10_000;

/// The widest span between the valid events of a batch.
const MAX_SPAN: Millis = DAY;

/// How old a valid event may be.
const MAX_AGE: Millis = 14 * DAY;

/// How far ahead of the clock a valid event may be.
const MAX_AHEAD: Millis = 2 * HOUR;

/// The largest body after decompression.
const MAX_INFLATED: u64 = 64 << 20;

/// The input, its texts still in the body where possible.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogEvents<'a> {
    #[serde(borrow, default)]
    log_group_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    log_stream_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    log_events: Option<Vec<InputEvent<'a>>>,
    #[serde(default)]
    entity: Option<Value>,
}

/// A text that is borrowed when it has no escapes. Serde borrows a `Cow` only as a direct field,
/// not inside an `Option`, which is why this type exists.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct InputEvent<'a> {
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

/// An event that has both its members.
#[derive(Debug, Clone, Copy)]
struct Event<'a> {
    timestamp: Millis,
    message: &'a str,
}

impl PutLogEvents<'_> {
    pub(crate) fn group(&self) -> Option<&str> {
        self.log_group_name.as_ref().map(|text| &*text.0)
    }

    pub(crate) fn stream(&self) -> Option<&str> {
        self.log_stream_name.as_ref().map(|text| &*text.0)
    }

    fn into_owned(self) -> PutLogEvents<'static> {
        let own = |text: Text<'_>| Text(Cow::Owned(text.0.into_owned()));
        PutLogEvents {
            log_group_name: self.log_group_name.map(own),
            log_stream_name: self.log_stream_name.map(own),
            log_events: self.log_events.map(|events| {
                events
                    .into_iter()
                    .map(|event| InputEvent {
                        timestamp: event.timestamp,
                        message: event.message.map(own),
                    })
                    .collect()
            }),
            entity: self.entity,
        }
    }
}

/// Reads a body.
pub(crate) fn parse_put(body: &[u8]) -> Result<PutLogEvents<'_>, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad("SerializationException", error.to_string()))
}

/// Reads a body that does not outlive the call.
pub(crate) fn parse_put_owned(body: &[u8]) -> Result<PutLogEvents<'static>, ApiError> {
    parse_put(body).map(PutLogEvents::into_owned)
}

/// Inflates a compressed body.
pub(crate) fn gunzip(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(MAX_INFLATED);
    match reader.read_to_end(&mut plain) {
        Ok(_) => Ok(Bytes::from(plain)),
        Err(error) => Err(ApiError::bad("SerializationException", error.to_string())),
    }
}

/// Notes a body that was thrown away, and pretends success.
pub(crate) fn count_discarded(context: &Context<'_>) -> Reply {
    context.shared.logs().ledger.add_discarded(context.request.discarded_body);
    answer(&json!({"nextSequenceToken": "0"}))
}

/// Checks a batch and takes what is valid of it.
pub(crate) fn put(context: &Context<'_>, input: &PutLogEvents<'_>) -> Result<Reply, ApiError> {
    let place = (context.caller.account.clone(), context.region.to_owned());
    let group_name = names::group(input.group())?;
    let stream_name = names::stream(input.stream())?;
    let events = check_model(input.log_events.as_deref())?;
    context.authorize("logs:PutLogEvents", &stream_arn(context, group_name, stream_name))?;
    let mut shared = context.shared.logs();
    let logs = &mut *shared;
    let max_event_bytes = logs.settings.max_event_bytes;
    let refused_text = logs.settings.refused_text.clone();
    let group = logs.group_mut(&place, group_name)?;
    let retention = group.retention_days.map(|days| days * DAY);
    let stream = group.streams.get_mut(stream_name).ok_or_else(no_stream)?;
    if context.now < stream.ready_at {
        return Err(no_stream());
    }
    check_sizes(&events, max_event_bytes)?;
    if refused_text.is_some_and(|text| events.iter().any(|event| event.message.contains(&text))) {
        return Err(invalid("Log event message is not valid."));
    }
    let verdict = Verdict::of(&events, context.now, retention)?;
    let valid = events.get(verdict.first_valid..verdict.end_valid).unwrap_or_default();
    note_times(stream, valid, context.now);
    let rejected = (events.len() - valid.len()) as u64;
    let keep = logs.settings.keep;
    logs.batches += 1;
    let target = LogTarget::new(&place, group_name, stream_name);
    let accepted = valid.iter().map(|event| (event.timestamp, event.message));
    logs.ledger.add(&target, keep, logs.batches, context.now, rejected, accepted);
    let token = format!("{:056}", logs.batches);
    drop(shared);
    let mut reply = Map::new();
    reply.insert("nextSequenceToken".to_owned(), json!(token));
    if let Some(info) = verdict.rejected() {
        reply.insert("rejectedLogEventsInfo".to_owned(), info);
    }
    if let Some(error) = input.entity.as_ref().and_then(entity_error) {
        reply.insert("rejectedEntityInfo".to_owned(), json!({"errorType": error}));
    }
    Ok(answer(&Value::Object(reply)))
}

/// Checks what the model says without looking at state: counts, lengths, presence.
fn check_model<'a>(events: Option<&'a [InputEvent<'_>]>) -> Result<Vec<Event<'a>>, ApiError> {
    let events = events.ok_or_else(|| names::null("logEvents"))?;
    if events.is_empty() {
        return Err(names::constraint(
            "[]",
            "logEvents",
            "Member must have length greater than or equal to 1",
        ));
    }
    if events.len() > MAX_BATCH_EVENTS {
        return Err(invalid(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to 10000",
        ));
    }
    let mut checked = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let number = index + 1;
        let member = |name: &str| format!("logEvents.{number}.member.{name}");
        let timestamp = event.timestamp.ok_or_else(|| names::null(&member("timestamp")))?;
        let message = event.message.as_ref().ok_or_else(|| names::null(&member("message")))?;
        if timestamp < 0 {
            return Err(names::constraint(
                &timestamp.to_string(),
                &member("timestamp"),
                "Member must have value greater than or equal to 0",
            ));
        }
        if message.0.is_empty() {
            return Err(names::constraint(
                "",
                &member("message"),
                "Member must have length greater than or equal to 1",
            ));
        }
        checked.push(Event { timestamp, message: &message.0 });
    }
    Ok(checked)
}

fn check_sizes(events: &[Event<'_>], max_event_bytes: usize) -> Result<(), ApiError> {
    let mut total = 0;
    for event in events {
        let size = event.message.len() + EVENT_OVERHEAD;
        if size > max_event_bytes {
            return Err(invalid(format!(
                "Log event too large: {size} bytes exceeds limit of {max_event_bytes}"
            )));
        }
        total += size;
    }
    if total > MAX_BATCH_BYTES {
        return Err(invalid(format!(
            "Upload too large: {total} bytes exceeds limit of {MAX_BATCH_BYTES}"
        )));
    }
    Ok(())
}

/// Which part of a sorted batch is valid, and why the rest is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    /// The end of the prefix older than 14 days.
    too_old_end: usize,
    /// The end of the prefix older than the group keeps.
    expired_end: usize,
    /// The start of the suffix too far ahead.
    too_new_start: Option<usize>,
    first_valid: usize,
    end_valid: usize,
}

impl Verdict {
    fn of(events: &[Event<'_>], now: Millis, retention: Option<Millis>) -> Result<Self, ApiError> {
        if !events.is_sorted_by_key(|event| event.timestamp) {
            return Err(invalid(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        let before = |limit: Millis| events.partition_point(|event| event.timestamp < limit);
        let too_old_end = before(now.saturating_sub(MAX_AGE));
        let expired_end = retention.map_or(0, |retention| before(now.saturating_sub(retention)));
        let end_valid = before(now.saturating_add(MAX_AHEAD).saturating_add(1));
        let first_valid = too_old_end.max(expired_end);
        let valid = events.get(first_valid..end_valid).unwrap_or_default();
        if let (Some(first), Some(last)) = (valid.first(), valid.last())
            && last.timestamp - first.timestamp > MAX_SPAN
        {
            return Err(invalid(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            ));
        }
        let too_new_start = (end_valid < events.len()).then_some(end_valid);
        Ok(Self { too_old_end, expired_end, too_new_start, first_valid, end_valid })
    }

    /// Returns the report on rejected events. The two ends are exclusive, the start is inclusive,
    /// and the two prefixes may overlap.
    fn rejected(&self) -> Option<Value> {
        let mut info = Map::new();
        if let Some(start) = self.too_new_start {
            info.insert("tooNewLogEventStartIndex".to_owned(), json!(start));
        }
        if self.too_old_end > 0 {
            info.insert("tooOldLogEventEndIndex".to_owned(), json!(self.too_old_end));
        }
        if self.expired_end > 0 {
            info.insert("expiredLogEventEndIndex".to_owned(), json!(self.expired_end));
        }
        (!info.is_empty()).then_some(Value::Object(info))
    }
}

fn note_times(stream: &mut Stream, valid: &[Event<'_>], now: Millis) {
    let (Some(first), Some(last)) = (valid.first(), valid.last()) else {
        return;
    };
    stream.first_timestamp =
        Some(stream.first_timestamp.map_or(first.timestamp, |known| known.min(first.timestamp)));
    stream.last_timestamp =
        Some(stream.last_timestamp.map_or(last.timestamp, |known| known.max(last.timestamp)));
    stream.last_ingestion = Some(now);
}

/// Tells what is wrong with an entity. Its events are taken all the same.
fn entity_error(entity: &Value) -> Option<&'static str> {
    const KEYS: &[&str] =
        &["Type", "ResourceType", "Identifier", "Name", "Environment", "AwsAccountId"];
    if entity.to_string().len() > 2_048 {
        return Some("EntitySizeTooLarge");
    }
    let Some(keys) = entity.get("keyAttributes").and_then(Value::as_object) else {
        return Some("MissingRequiredFields");
    };
    if !keys.contains_key("Type") {
        return Some("MissingRequiredFields");
    }
    if keys.len() < 2 || keys.len() > 4 || keys.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return Some("InvalidKeyAttributes");
    }
    let attributes = entity.get("attributes").and_then(Value::as_object);
    if attributes.is_some_and(|attributes| attributes.len() > 10) {
        return Some("InvalidAttributes");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_000 * DAY;

    fn check(ages: &[Millis], retention_days: Option<i64>, expected: Result<Verdict, &str>) {
        let events: Vec<Event<'_>> =
            ages.iter().map(|age| Event { timestamp: NOW - age, message: "m" }).collect();
        let seen = Verdict::of(&events, NOW, retention_days.map(|days| days * DAY));
        match expected {
            Ok(verdict) => assert_eq!(seen, Ok(verdict), "{ages:?}"),
            Err(part) => assert!(seen.unwrap_err().message.contains(part), "{ages:?}"),
        }
    }

    fn verdict(
        too_old_end: usize,
        expired_end: usize,
        too_new_start: Option<usize>,
        valid: (usize, usize),
    ) -> Verdict {
        Verdict {
            too_old_end,
            expired_end,
            too_new_start,
            first_valid: valid.0,
            end_valid: valid.1,
        }
    }

    #[test]
    fn a_batch_is_judged_as_documented() {
        check(&[0], None, Ok(verdict(0, 0, None, (0, 1))));
        check(&[1, 2], None, Err("chronological"));
        check(&[15 * DAY, 14 * DAY + 1, 14 * DAY], None, Ok(verdict(2, 0, None, (2, 3))));
        check(&[0, -2 * HOUR, -2 * HOUR - 1], None, Ok(verdict(0, 0, Some(2), (0, 2))));
        check(&[-3 * HOUR], None, Ok(verdict(0, 0, Some(0), (0, 0))));
        check(&[20 * DAY], None, Ok(verdict(1, 0, None, (1, 1))));
        // With three days of retention the prefixes overlap.
        check(&[20 * DAY, 5 * DAY, DAY], Some(3), Ok(verdict(1, 2, None, (2, 3))));
        // Retention longer than the window rejects nothing more.
        check(&[20 * DAY, 0], Some(30), Ok(verdict(1, 0, None, (1, 2))));
        // Exactly 24 hours are allowed, and only valid events count.
        check(&[DAY, 0], None, Ok(verdict(0, 0, None, (0, 2))));
        check(&[DAY + 1, 0], None, Err("24 hours"));
        check(&[15 * DAY, HOUR, -3 * HOUR], None, Ok(verdict(1, 0, Some(2), (1, 2))));
    }

    #[test]
    fn sizes_are_counted_with_their_overhead() {
        let rows = [
            (vec![1_048_550], true),
            (vec![1_048_551], false),
            (vec![524_262, 524_262], true),
            (vec![524_262, 524_263], false),
        ];
        for (sizes, expected) in rows {
            let texts: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
            let events: Vec<Event<'_>> =
                texts.iter().map(|text| Event { timestamp: 0, message: text }).collect();
            assert_eq!(check_sizes(&events, 1_048_576).is_ok(), expected, "{sizes:?}");
        }
    }

    #[test]
    fn messages_are_borrowed_from_the_body() {
        let body = br#"{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"plain"},{"timestamp":2,"message":"a\nb"}]}"#;
        let put = parse_put(body).unwrap();
        let events = put.log_events.unwrap();
        assert!(matches!(events[0].message.as_ref().unwrap().0, Cow::Borrowed("plain")));
        assert_eq!(events[1].message.as_ref().unwrap().0, "a\nb");
    }

    #[test]
    fn entities_are_judged() {
        let rows = [
            (json!({"keyAttributes": {"Type": "Service", "Name": "x"}}), None),
            (json!({"keyAttributes": {"Type": "Service"}}), Some("InvalidKeyAttributes")),
            (
                json!({"keyAttributes": {"Name": "x", "Environment": "y"}}),
                Some("MissingRequiredFields"),
            ),
            (
                json!({"keyAttributes": {"Type": "Service", "Other": "x"}}),
                Some("InvalidKeyAttributes"),
            ),
            (json!({}), Some("MissingRequiredFields")),
        ];
        for (entity, expected) in rows {
            assert_eq!(entity_error(&entity), expected, "{entity}");
        }
    }
}
