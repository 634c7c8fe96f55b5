//! What Vector is told: its configuration and the events, without any secret.

use std::ops::Range;

use serde_json::{Value, json};

use super::tally::{CUSTOMER, EVENTS, TIMED};
use crate::{
    model::events::{Batch, MAX_BATCH_BYTES, MAX_BATCH_EVENTS},
    ports::{LogTarget, PutReport},
};

/// The longest message that Vector's sink sends: it counts 50 bytes for an event and 26 for the batch, and drops a message
/// that is not shorter than the rest of the limit (`src/sinks/aws_cloudwatch_logs/request_builder.rs`).
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES - 50 - 26 - 1;

/// Gives each event its time. What cannot be done is dropped, and counted as dropped.
pub const TIME_PROGRAM: &str =
    ".timestamp = from_unix_timestamp!(int!(.at), unit: \"milliseconds\")";

const MINUTE_MS: i64 = 60 * 1000;
/// Vector passes over events outside these bounds without a count (`src/sinks/aws_cloudwatch_logs/sink.rs`), which are the
/// service's own, less five minutes for the past. One minute more, for the time until it looks.
const OLDEST_MS: i64 = (14 * 24 * 60 - 5 - 1) * MINUTE_MS;
const NEWEST_MS: i64 = (2 * 60 - 1) * MINUTE_MS;

/// How long Vector collects events, in seconds. The end of its input ends a batch at once.
const BATCH_SECONDS: u64 = 1;
/// How often Vector repeats a call by itself. The engine repeats the batch.
const REPETITIONS: u64 = 2;
/// How long one call may take, in seconds.
const CALL_SECONDS: u64 = 30;
/// How often Vector says what it has counted, in seconds.
const METRICS_SECONDS: f64 = 0.25;
/// More than the longest line: a message of which every byte is escaped.
const MAX_LINE_BYTES: usize = 8 * MAX_BATCH_BYTES;

/// Whether Vector takes the stream's name as it stands. It reads fields, times and variables in some.
pub(super) fn can_name(target: &LogTarget) -> bool {
    let name = target.stream.as_str();
    !name.contains("{{") && !name.contains(['%', '$'])
}

/// Returns which events Vector sends, and what becomes of the others: they are sorted by time.
pub(super) fn accepted(batch: &Batch, now_ms: i64) -> (PutReport, Range<usize>) {
    let count_before =
        |limit_ms: i64| batch.events().take_while(|event| event.timestamp_ms < limit_ms).count();
    let (start, end) = (count_before(now_ms - OLDEST_MS), count_before(now_ms + NEWEST_MS));
    let report = PutReport {
        too_old_end: (start > 0).then_some(start),
        expired_end: None,
        too_new_start: (end < batch.len()).then_some(end),
    };
    (report, start..end)
}

/// Returns the configuration for one batch.
pub(super) fn configuration(target: &LogTarget, endpoint_url: Option<&str>) -> Value {
    let mut customer = json!({
        "type": "aws_cloudwatch_logs",
        "inputs": [TIMED],
        "group_name": target.group.as_str(),
        "stream_name": target.stream.as_str(),
        "region": target.access.region.as_str(),
        // A group has a retention to be set, so it is not for Vector to make.
        "create_missing_group": false,
        "create_missing_stream": true,
        "encoding": {"codec": "text"},
        "batch": {
            "max_events": MAX_BATCH_EVENTS,
            "max_bytes": MAX_BATCH_BYTES,
            "timeout_secs": BATCH_SECONDS,
        },
        "request": {"retry_attempts": REPETITIONS, "timeout_secs": CALL_SECONDS},
        "healthcheck": {"enabled": false},
    });
    if let (Some(url), Some(sink)) = (endpoint_url, customer.as_object_mut()) {
        sink.insert("endpoint".to_owned(), Value::from(url));
    }
    json!({
        "sources": {
            EVENTS: {
                "type": "stdin",
                "max_length": MAX_LINE_BYTES,
                "framing": {"method": "newline_delimited"},
                "decoding": {"codec": "json"},
            },
            "own": {"type": "internal_metrics", "scrape_interval_secs": METRICS_SECONDS},
        },
        "transforms": {
            TIMED: {"type": "remap", "inputs": [EVENTS], "source": TIME_PROGRAM, "drop_on_error": true},
        },
        "sinks": {
            CUSTOMER: customer,
            "account": {"type": "console", "inputs": ["own"], "encoding": {"codec": "json"}},
        },
    })
}

/// Returns the events in `range`, one JSON object on each line.
pub(super) fn lines(batch: &Batch, range: Range<usize>) -> Vec<u8> {
    let mut lines = Vec::with_capacity(batch.bytes() + 16 * range.len());
    for event in batch.events().skip(range.start).take(range.len()) {
        lines.extend_from_slice(br#"{"at":"#);
        lines.extend_from_slice(event.timestamp_ms.to_string().as_bytes());
        lines.extend_from_slice(br#","message":""#);
        lines.extend_from_slice(event.json);
        lines.extend_from_slice(b"\"}\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        decode::message::Message,
        engine::segment::{Held, SegmentBuilder, Sizes},
        model::{events::RecordPlace, ids::LogStreamName},
        ports::Access,
    };

    fn batch(times_ms: &[i64]) -> Batch {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        for at in times_ms {
            builder.push_event(0, *at, &Message::from_text("say \"é\"\n").unwrap());
        }
        let count = u32::try_from(times_ms.len()).unwrap();
        Batch::new(
            Arc::new(builder.take(RecordPlace::default()).unwrap().into_segment()),
            (0..count).collect(),
        )
    }

    fn target(stream: &str) -> LogTarget {
        let access = Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/x".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        };
        LogTarget { access, group: "/g".parse().unwrap(), stream: LogStreamName::sanitised(stream) }
    }

    #[test]
    fn events_that_vector_would_pass_over_are_not_given_to_it() {
        const DAY: i64 = 24 * 60 * MINUTE_MS;
        let now = 100 * DAY;
        for (times, expected, old, new) in [
            (vec![now], 0..1, None, None),
            (vec![now - 15 * DAY, now - 14 * DAY, now], 2..3, Some(2), None),
            (vec![now - 14 * DAY + 5 * MINUTE_MS, now], 1..2, Some(1), None),
            (vec![now - 14 * DAY + 6 * MINUTE_MS, now], 0..2, None, None),
            (vec![now, now + 119 * MINUTE_MS, now + 3 * 60 * MINUTE_MS], 0..1, None, Some(1)),
            (vec![0, now + DAY], 1..1, Some(1), Some(1)),
        ] {
            let (report, range) = accepted(&batch(&times), now);
            assert_eq!((range, report.too_old_end, report.too_new_start), (expected, old, new));
        }
    }

    #[test]
    fn events_are_lines_of_json_with_the_message_as_it_is() {
        let text = String::from_utf8(lines(&batch(&[1, 2, 3]), 1..3)).unwrap();
        let read: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let event = |at: i64| json!({"at": at, "message": "say \"é\"\n"});
        assert_eq!(read, [event(2), event(3)]);
    }

    #[test]
    fn names_that_vector_would_read_as_templates_are_told_apart() {
        for (name, can) in [
            ("api-api-0-2026-11-23", true),
            ("{odd}-api-0", true),
            ("{{ message }}-api-0", false),
            ("100%-api-0", false),
            ("$HOME-api-0", false),
        ] {
            assert_eq!(can_name(&target(name)), can, "{name}");
        }
    }

    #[test]
    fn the_configuration_names_the_destination_and_every_input_exists() {
        let built = configuration(&target("stream"), Some("http://127.0.0.1:1"));
        let sink = &built["sinks"][CUSTOMER];
        assert_eq!((&sink["group_name"], &sink["stream_name"]), (&json!("/g"), &json!("stream")));
        assert_eq!(
            (&sink["region"], &sink["endpoint"]),
            (&json!("us-east-2"), &json!("http://127.0.0.1:1"))
        );
        assert!(configuration(&target("s"), None)["sinks"][CUSTOMER]["endpoint"].is_null());
        for kind in ["transforms", "sinks"] {
            for (name, part) in built[kind].as_object().unwrap() {
                let input = part["inputs"][0].as_str().unwrap();
                let exists = ["sources", "transforms"].iter().any(|of| !built[of][input].is_null());
                assert!(exists, "{name} reads {input}");
            }
        }
    }
}
