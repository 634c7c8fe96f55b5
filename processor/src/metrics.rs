//! Counts what the engine does.
//!
//! Names and meanings are the interface of dashboards: change them like one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// Declares the metrics: name, label, and help text.
macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident, $label:literal, $help:literal;)+) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $help] $variant,)+
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the name, without the prefix `mtlog_`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Returns the name of the label, or nothing.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            const fn kind(self) -> &'static str {
                match self { $(Self::$variant => stringify!($kind),)+ }
            }
        }
    };
}

metrics! {
    Records = "records_total", counter, "state", "Records by the state that they ended in.";
    RecordsRead = "records_read_total", counter, "", "Records found in objects.";
    RecordsSplit = "records_split_total", counter, "", "Records whose message was split.";
    BytesCompressed = "bytes_compressed_total", counter, "", "Bytes read from S3.";
    BytesRaw = "bytes_raw_total", counter, "", "Bytes after decompression.";
    BytesSent = "bytes_sent_total", counter, "", "Bytes accepted by CloudWatch Logs, as it counts them.";
    Puts = "puts_total", counter, "result", "PutLogEvents calls by result.";
    Bisects = "bisects_total", counter, "", "Refused batches that were halved.";
    DuplicatesPossibleBytes = "duplicates_possible_bytes_total", counter, "", "Bytes sent again after an answer was lost.";
    SegmentsCommitted = "segments_committed_total", counter, "", "Segments of which every record is settled.";
    SegmentsResent = "segments_resent_total", counter, "", "Segments that failed and will be sent again.";
    ObjectMilliseconds = "object_milliseconds_total", counter, "", "Time spent on objects, added up.";
    LagMilliseconds = "lag_milliseconds_total", counter, "", "Time from the writing of delivered objects to their delivery, added up.";
    Objects = "objects_total", counter, "outcome", "Objects by outcome.";
    Messages = "messages_total", counter, "verdict", "Messages by verdict.";
    DeadLetters = "dead_letters_total", counter, "reason", "Dead letters by reason.";
    AssumeRole = "assume_role_total", counter, "result", "AssumeRole calls by result.";
    CredentialCache = "credential_cache_total", counter, "result", "Look-ups of role credentials.";
    TenantCache = "tenant_cache_total", counter, "result", "Look-ups of tenants.";
    Lease = "lease_total", counter, "event", "Extended and lost holds on messages.";
    ShutdownReleased = "shutdown_released_total", counter, "", "Messages given back at shutdown.";
    BreakerOpened = "breaker_opened_total", counter, "", "Times that a destination was set aside.";
    Received = "messages_received_total", counter, "receive", "Messages by how often they were received.";
    QueueMilliseconds = "queue_milliseconds_total", counter, "", "Time from the sending of messages to their receipt, added up.";
    InFlight = "messages_in_flight", gauge, "", "Messages being processed.";
    Receiving = "receiving", gauge, "", "1 while messages are received, 0 when the engine has stopped receiving.";
    MemoryBudgetUsed = "memory_budget_used_bytes", gauge, "", "Bytes of the memory budget in use.";
}

/// The counts of one process.
#[derive(Debug, Default)]
pub struct Meter(Mutex<BTreeMap<(Metric, &'static str), u64>>);

impl Meter {
    /// Adds to a counter. `label` is the label's value, empty for a metric without one.
    pub fn add(&self, metric: Metric, label: &'static str, count: u64) {
        if count > 0 {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry((metric, label)).or_default() += count;
        }
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, value: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((metric, ""), value);
    }

    /// Returns a count.
    pub fn get(&self, metric: Metric, label: &'static str) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(metric, label))
            .copied()
            .unwrap_or_default()
    }

    /// Returns what was counted since `last`, as lines of CloudWatch's embedded metric format, and moves `last` on.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    pub fn embedded_lines(&self, last: &mut Snapshot, timestamp_ms: i64) -> Vec<String> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut changed = Vec::new();
        for ((metric, label), value) in &counts {
            let before = last.0.get(&(*metric, *label)).copied().unwrap_or_default();
            if *value > before && metric.kind() == "counter" {
                changed.push((embedded_name(*metric, label), value - before));
            }
        }
        last.0 = counts;
        changed
            .chunks(MAX_EMBEDDED_METRICS)
            .map(|chunk| embedded_line(chunk, timestamp_ms))
            .collect()
    }

    /// Returns everything in the text format that Prometheus reads.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    pub fn prometheus_text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        for metric in Metric::ALL {
            let name = metric.name();
            text += &format!(
                "# HELP mtlog_{name} {}\n# TYPE mtlog_{name} {}\n",
                metric.help(),
                metric.kind()
            );
            if metric.label().is_empty() {
                let value = counts.get(&(*metric, "")).copied().unwrap_or_default();
                text += &format!("mtlog_{name} {value}\n");
                continue;
            }
            for ((_, label), value) in
                counts.range((*metric, "")..).take_while(|((found, _), _)| found == metric)
            {
                text += &format!("mtlog_{name}{{{}=\"{label}\"}} {value}\n", metric.label());
            }
        }
        text
    }
}

/// The namespace of embedded metrics.
const NAMESPACE: &str = "mtlog";
/// The most metrics of one line, by the format's specification.
const MAX_EMBEDDED_METRICS: usize = 100;

/// What was counted at some time.
#[derive(Debug, Default)]
pub struct Snapshot(BTreeMap<(Metric, &'static str), u64>);

/// Returns the name of a metric and label without the suffix that only Prometheus wants: `puts_throttled`.
fn embedded_name(metric: Metric, label: &str) -> String {
    let name = metric.name().trim_end_matches("_total");
    if label.is_empty() { name.to_owned() } else { format!("{name}_{label}") }
}

fn embedded_line(metrics: &[(String, u64)], timestamp_ms: i64) -> String {
    let definitions: Vec<Definition<'_>> =
        metrics.iter().map(|(name, _)| Definition { name, unit: "Count" }).collect();
    let directive =
        Directive { namespace: NAMESPACE, dimensions: [["mode"]], metrics: definitions };
    let line = Embedded {
        aws: Metadata { timestamp: timestamp_ms, cloud_watch_metrics: [directive] },
        mode: "lambda",
        values: metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Embedded<'a> {
    #[serde(rename = "_aws")]
    aws: Metadata<'a>,
    mode: &'a str,
    #[serde(flatten)]
    values: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: i64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [[&'a str; 1]; 1],
    metrics: Vec<Definition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition<'a> {
    name: &'a str,
    unit: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_with_their_labels() {
        let meter = Meter::default();
        meter.add(Metric::Puts, "ok", 2);
        meter.add(Metric::Puts, "throttled", 1);
        meter.add(Metric::Puts, "ok", 1);
        meter.add(Metric::Bisects, "", 0);
        meter.set(Metric::InFlight, 7);
        let text = meter.prometheus_text();
        for line in [
            "# TYPE mtlog_puts_total counter",
            "mtlog_puts_total{result=\"ok\"} 3",
            "mtlog_puts_total{result=\"throttled\"} 1",
            "mtlog_bisects_total 0",
            "# TYPE mtlog_messages_in_flight gauge",
            "mtlog_messages_in_flight 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn embedded_lines_hold_what_changed() {
        let (meter, mut last) = (Meter::default(), Snapshot::default());
        meter.add(Metric::Puts, "ok", 2);
        meter.add(Metric::Bisects, "", 1);
        meter.set(Metric::InFlight, 3);
        assert_eq!(meter.embedded_lines(&mut last, 5).len(), 1);
        assert!(meter.embedded_lines(&mut last, 6).is_empty());
        meter.add(Metric::Puts, "ok", 3);
        let lines = meter.embedded_lines(&mut last, 7);
        let expected = serde_json::json!({
            "_aws": {"Timestamp": 7, "CloudWatchMetrics": [{
                "Namespace": "mtlog", "Dimensions": [["mode"]], "Metrics": [{"Name": "puts_ok", "Unit": "Count"}]}]},
            "mode": "lambda",
            "puts_ok": 3,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&lines[0]).unwrap(), expected);
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<&str> =
            Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
