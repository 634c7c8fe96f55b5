//! The meaning of records against the rules of the Python processor that this one replaces.
//!
//! [`predecessor`] states those rules on a parsed record. Intended differences:
//!
//! 1. A message of `0`, `false`, `[]` or `{}` is delivered as it is; there, it counts as missing.
//! 2. A structured message keeps its own JSON text; there, it is written anew with ASCII escapes.
//!    The value is the same.
//! 3. A record without a message is delivered without the collector's metadata; there, whole.
//! 4. Unix time in microseconds and nanoseconds is understood; there, it is milliseconds. Seconds
//!    end in the year 5138 and not in 33658.
//! 5. Without a usable timestamp the event has the caller's fallback; there, the present.
//! 6. A timestamp before 1970, a negative number and `true` are not usable; there, they are sent,
//!    and the service refuses the batch or the event.
//! 7. A record whose timestamp is a list or an object is delivered; there, it is dropped.
//! 8. A numeric string of 10, 13, 16 or 19 digits is Unix time; there, it is the present.
//! 9. If one timestamp field is not usable the next one is tried; there, only the first present
//!    one is looked at.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::*;

/// The time of an event by the predecessor's rules.
#[derive(Debug, PartialEq)]
enum Time {
    Milliseconds(i64),
    Now,
    RecordDropped,
}

/// States what the predecessor makes of a record, as message and time.
fn predecessor(record: &Map<String, Value>) -> (Value, Time) {
    let is_truthy = |value: &&Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    };
    let message =
        ["message", ".", "log"].into_iter().filter_map(|key| record.get(key)).find(is_truthy);
    let message = message.cloned().unwrap_or_else(|| Value::Object(record.clone()));
    let time = ["timestamp", ".timestamp", "time"].into_iter().find_map(|key| record.get(key));
    let time = match time {
        None | Some(Value::Null) => Time::Now,
        Some(Value::Bool(value)) => {
            if *value {
                Time::Milliseconds(1000)
            } else {
                Time::Now
            }
        }
        Some(Value::Number(number)) => match number.as_i64().unwrap_or_default() {
            0 => Time::Now,
            milliseconds @ 1_000_000_000_000.. => Time::Milliseconds(milliseconds),
            seconds => Time::Milliseconds(seconds * 1000),
        },
        Some(Value::String(text)) => text
            .parse::<jiff::Timestamp>()
            .map_or(Time::Now, |instant| Time::Milliseconds(instant.as_millisecond())),
        Some(Value::Array(_) | Value::Object(_)) => Time::RecordDropped,
    };
    (message, time)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-zA-Z \"\\\\é\n]{0,12}".prop_map(Value::String),
        1 => select(vec![json!(null), json!(true), json!(false), json!(0), json!(17), json!(-2.5), json!([]), json!({})]),
        1 => select(vec![json!([1, "two", null]), json!({"b": 1, "a": {"é": "\u{1f600}"}})]),
    ]
}

fn time() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (0_i64..253_402_300_800_000).prop_map(|ms| json!(jiff::Timestamp::from_millisecond(ms).unwrap().to_string())),
        2 => (-10_i64..100_000_000_000).prop_map(|seconds| json!(seconds)),
        2 => (1_000_000_000_000_i64..100_000_000_000_000).prop_map(|ms| json!(ms)),
        1 => select(vec![json!(null), json!(true), json!(false), json!([1]), json!({"a": 1}), json!("yesterday"), json!("")]),
    ]
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    let texts = vec(
        (
            select(vec!["message", "message", ".", "log", "stream", "namespace", "kubernetes"]),
            value(),
        ),
        0..5,
    );
    let times = vec((select(vec!["timestamp", "timestamp", ".timestamp", "time"]), time()), 0..2);
    (texts, times).prop_map(|(texts, times)| {
        texts.into_iter().chain(times).map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

/// Compares a message with the predecessor's.
fn check_message(record: &Map<String, Value>, text: &str, theirs: &Value) {
    let empty = [json!(0), json!(false), json!([]), json!({})];
    let ours = ["message", ".", "log"].into_iter().filter_map(|key| record.get(key));
    let mut ours = ours.filter(|value| !value.is_null() && **value != json!(""));
    match ours.next() {
        // Difference 1.
        Some(value) if empty.contains(value) => assert_eq!(text, value.to_string()),
        Some(Value::String(value)) => assert_eq!((text, theirs), (value.as_str(), &json!(value))),
        // Difference 2.
        Some(value) => assert_eq!((text, theirs), (value.to_string().as_str(), value)),
        None => {
            // Difference 3.
            let mut without_metadata = theirs.clone();
            for key in [
                "cluster_id",
                "namespace",
                "application",
                "pod_name",
                "ingest_timestamp",
                "timestamp",
                "kubernetes",
            ] {
                without_metadata.as_object_mut().unwrap().remove(key);
            }
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), without_metadata);
        }
    }
}

fn check_time(timestamp_ms: i64, source: TimestampSource, theirs: &Time) {
    match theirs {
        // Difference 6: what the service would refuse.
        Time::Milliseconds(..=0 | 1000) if source != TimestampSource::Record => {
            assert_eq!(timestamp_ms, FALLBACK);
        }
        Time::Milliseconds(theirs) => {
            assert_eq!((timestamp_ms, source), (*theirs, TimestampSource::Record));
        }
        // Differences 5 and 7.
        Time::Now | Time::RecordDropped => {
            assert_eq!(timestamp_ms, FALLBACK);
            assert_ne!(source, TimestampSource::Record);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_mean_what_they_meant_before(record in record()) {
        let (message, time) = predecessor(&record);
        let object = Value::Object(record.clone()).to_string();
        let outcome = decode(format!("{object}\n[{object}]").as_bytes(), Limits::default());
        prop_assert_eq!(outcome.seen.len(), 2);
        for seen in &outcome.seen {
            let Seen::Event { text, timestamp_ms, timestamp_source, .. } = seen else {
                panic!("{object}: {seen:?}");
            };
            check_message(&record, text, &message);
            let fields = ["timestamp", ".timestamp", "time"].into_iter().filter(|key| record.contains_key(*key));
            // Difference 9.
            if fields.count() < 2 {
                check_time(*timestamp_ms, *timestamp_source, &time);
            }
        }
    }
}
