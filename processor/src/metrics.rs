//! Counts what the engine does.
//!
//! Names and meanings are the interface of dashboards: change them like one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
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
    ObjectSeconds = "object_seconds", histogram, "", "Time spent on one object at one destination.";
    LatencySeconds = "e2e_latency_seconds", histogram, "", "Time from the writing of a delivered object to its delivery.";
    PutSeconds = "put_seconds", histogram, "", "Time of one PutLogEvents call, whatever its result.";
    BytesOpened = "bytes_opened_total", counter, "", "Sizes of the objects that were opened, in S3.";
    Objects = "objects_total", counter, "outcome", "Objects by outcome.";
    Messages = "messages_total", counter, "verdict", "Messages by verdict.";
    DeadLetters = "dead_letters_total", counter, "reason", "Dead letters by reason.";
    AssumeRole = "assume_role_total", counter, "result", "AssumeRole calls by result.";
    CredentialCache = "credential_cache_total", counter, "result", "Look-ups of role credentials.";
    TenantCache = "tenant_cache_total", counter, "result", "Look-ups of tenants.";
    Lease = "lease_total", counter, "event", "Extended and lost holds on messages.";
    ShutdownReleased = "shutdown_released_total", counter, "", "Messages given back at shutdown.";
    BreakerOpened = "breaker_opened_total", counter, "", "Times that a destination was set aside.";
    SetAside = "destinations_set_aside", gauge, "", "Destinations that are set aside now, or on trial.";
    Received = "messages_received_total", counter, "receive", "Messages by how often they were received.";
    QueueAgeSeconds = "queue_age_seconds", histogram, "", "Time from the sending of a message to its receipt.";
    InFlight = "messages_in_flight", gauge, "", "Messages being processed.";
    Receiving = "receiving", gauge, "", "1 while messages are received, 0 when the engine has stopped receiving.";
    MemoryBudgetUsed = "memory_budget_used_bytes", gauge, "", "Bytes of the memory budget in use.";
}

/// The upper bounds of a histogram's buckets, in milliseconds: from one quick call to the time that a message may be
/// parked.
const BOUNDS_MS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
    43_200_000,
];

/// The counts of one process.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    times: Mutex<BTreeMap<Metric, Times>>,
}

type Counts = BTreeMap<(Metric, &'static str), u64>;

/// What a histogram holds.
#[derive(Debug, Clone, Default)]
struct Times {
    /// How many values lie in each bucket; the last one has no bound.
    buckets: [u64; BOUNDS_MS.len() + 1],
    sum_ms: u64,
    /// The values since they were last taken, in milliseconds; no more than one embedded line holds.
    recent_ms: Vec<u64>,
}

impl Meter {
    /// Adds to a counter. `label` is the label's value, empty for a metric without one.
    pub fn add(&self, metric: Metric, label: &'static str, count: u64) {
        if count > 0 {
            *self.counts().entry((metric, label)).or_default() += count;
        }
    }

    /// Adds a duration in milliseconds to a histogram.
    pub fn observe(&self, metric: Metric, ms: u64) {
        let mut times = self.times();
        let times = times.entry(metric).or_default();
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        if let Some(count) = times.buckets.get_mut(bucket) {
            *count += 1;
        }
        times.sum_ms += ms;
        if times.recent_ms.len() < MAX_EMBEDDED_METRICS {
            times.recent_ms.push(ms);
        }
    }

    /// Returns a time that at most one in a hundred values of a histogram has exceeded; none without values, or when
    /// no bucket is so long.
    pub fn hundredth(&self, metric: Metric) -> Option<Duration> {
        let times = self.times();
        let buckets = times.get(&metric)?.buckets;
        let count: u64 = buckets.iter().sum();
        let mut above = count;
        let found = BOUNDS_MS.iter().zip(buckets).find(|(_, in_bucket)| {
            above -= in_bucket;
            above * 100 <= count
        });
        found.filter(|_| count > 0).map(|(bound, _)| Duration::from_millis(*bound))
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, value: u64) {
        self.counts().insert((metric, ""), value);
    }

    /// Returns a count.
    pub fn get(&self, metric: Metric, label: &'static str) -> u64 {
        self.counts().get(&(metric, label)).copied().unwrap_or_default()
    }

    /// Returns the sum over all labels.
    pub fn total(&self, metric: Metric) -> u64 {
        let counts = self.counts();
        let of_metric = counts.range((metric, "")..).take_while(|((found, _), _)| *found == metric);
        of_metric.map(|(_, count)| count).sum()
    }

    /// Returns what was counted since `last`, as lines of CloudWatch's embedded metric format, and moves `last` on.
    /// The alarms and the dashboard of the regional stack read these names, under the dimension `FunctionName`.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    pub fn embedded_lines(
        &self,
        last: &mut Snapshot,
        function_name: &str,
        timestamp_ms: i64,
    ) -> Vec<String> {
        let counts = self.counts().clone();
        let mut changed: BTreeMap<String, u64> = BTreeMap::new();
        for ((metric, label), value) in &counts {
            let before = last.0.get(&(*metric, *label)).copied().unwrap_or_default();
            if *value > before && metric.kind() == "counter" {
                *changed.entry(embedded_name(*metric, label)).or_default() += value - before;
                if *metric == Metric::DeadLetters {
                    // By reason, and altogether: an alarm cannot add up.
                    *changed.entry(embedded_name(*metric, "")).or_default() += value - before;
                }
            }
        }
        last.0 = counts;
        let mut values: Vec<(String, &str, Value)> =
            changed.into_iter().map(|(name, count)| (name, "Count", Value::Count(count))).collect();
        for (metric, times) in self.times().iter_mut() {
            if !times.recent_ms.is_empty() {
                let seconds = std::mem::take(&mut times.recent_ms).into_iter().map(seconds);
                let all = Value::Seconds(seconds.collect());
                values.push((metric.name().to_owned(), "Seconds", all));
            }
        }
        values
            .chunks(MAX_EMBEDDED_METRICS)
            .map(|chunk| embedded_line(chunk, function_name, timestamp_ms))
            .collect()
    }

    /// Returns everything in the text format that Prometheus reads.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    pub fn prometheus_text(&self) -> String {
        let (counts, times) = (self.counts().clone(), self.times().clone());
        let mut text = String::new();
        for metric in Metric::ALL {
            let name = metric.name();
            text += &format!(
                "# HELP mtlog_{name} {}\n# TYPE mtlog_{name} {}\n",
                metric.help(),
                metric.kind()
            );
            if metric.kind() == "histogram" {
                text += &histogram_text(name, &times.get(metric).cloned().unwrap_or_default());
                continue;
            }
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

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<Metric, Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn histogram_text(name: &str, times: &Times) -> String {
    let mut text = String::new();
    let mut below = 0;
    let bounds = BOUNDS_MS.iter().map(|bound| seconds(*bound).to_string());
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(times.buckets) {
        below += count;
        text += &format!("mtlog_{name}_bucket{{le=\"{bound}\"}} {below}\n");
    }
    text + &format!("mtlog_{name}_sum {}\nmtlog_{name}_count {below}\n", seconds(times.sum_ms))
}

/// Sums beyond 2^53 milliseconds, a quarter of a million years, lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "no process measures for so long")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The namespace of embedded metrics.
const NAMESPACE: &str = "mtlog";
/// The dimension of embedded metrics.
const FUNCTION_NAME: &str = "FunctionName";
/// The most metrics of one line, and the most values of one metric, by the format's specification.
const MAX_EMBEDDED_METRICS: usize = 100;

/// What was counted at some time.
#[derive(Debug, Default)]
pub struct Snapshot(Counts);

/// Returns the name of a metric and label without the suffix that only Prometheus wants: `puts_throttled`.
fn embedded_name(metric: Metric, label: &str) -> String {
    let name = match metric {
        Metric::DeadLetters => "dlq_sent",
        Metric::CredentialCache => "cred_cache",
        other => other.name().trim_end_matches("_total"),
    };
    if label.is_empty() { name.to_owned() } else { format!("{name}_{label}") }
}

/// What one metric of a line has come to.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Value {
    Count(u64),
    Seconds(Vec<f64>),
}

fn embedded_line(
    metrics: &[(String, &str, Value)],
    function_name: &str,
    timestamp_ms: i64,
) -> String {
    let definitions: Vec<Definition<'_>> =
        metrics.iter().map(|(name, unit, _)| Definition { name, unit }).collect();
    let directive =
        Directive { namespace: NAMESPACE, dimensions: [[FUNCTION_NAME]], metrics: definitions };
    let line = Embedded {
        aws: Metadata { timestamp: timestamp_ms, cloud_watch_metrics: [directive] },
        function_name,
        values: metrics.iter().map(|(name, _, value)| (name.as_str(), value)).collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Embedded<'a> {
    #[serde(rename = "_aws")]
    aws: Metadata<'a>,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(flatten)]
    values: BTreeMap<&'a str, &'a Value>,
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
        assert_eq!(meter.embedded_lines(&mut last, "f", 5).len(), 1);
        assert!(meter.embedded_lines(&mut last, "f", 6).is_empty());
        meter.add(Metric::Puts, "ok", 3);
        meter.add(Metric::DeadLetters, "invalid_key", 1);
        meter.add(Metric::DeadLetters, "object_gone", 1);
        meter.observe(Metric::ObjectSeconds, 250);
        meter.observe(Metric::ObjectSeconds, 1_500);
        let lines = meter.embedded_lines(&mut last, "f", 7);
        let count = |name: &str| serde_json::json!({"Name": name, "Unit": "Count"});
        let expected = serde_json::json!({
            "_aws": {"Timestamp": 7, "CloudWatchMetrics": [{
                "Namespace": "mtlog", "Dimensions": [["FunctionName"]], "Metrics": [
                    count("dlq_sent"), count("dlq_sent_invalid_key"), count("dlq_sent_object_gone"), count("puts_ok"),
                    {"Name": "object_seconds", "Unit": "Seconds"}]}]},
            "FunctionName": "f",
            "dlq_sent": 2,
            "dlq_sent_invalid_key": 1,
            "dlq_sent_object_gone": 1,
            "puts_ok": 3,
            "object_seconds": [0.25, 1.5],
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&lines[0]).unwrap(), expected);
    }

    #[test]
    fn durations_are_counted_in_buckets() {
        let meter = Meter::default();
        [50, 51, 99_000_000].into_iter().for_each(|ms| meter.observe(Metric::ObjectSeconds, ms));
        assert_eq!(
            meter.hundredth(Metric::ObjectSeconds),
            None,
            "one of three is beyond every bound"
        );
        assert_eq!(meter.hundredth(Metric::PutSeconds), None);
        (0..99).for_each(|_| meter.observe(Metric::PutSeconds, 120));
        meter.observe(Metric::PutSeconds, 9_000);
        assert_eq!(meter.hundredth(Metric::PutSeconds), Some(Duration::from_millis(250)));
        let text = meter.prometheus_text();
        for line in [
            "# TYPE mtlog_object_seconds histogram",
            "mtlog_object_seconds_bucket{le=\"0.05\"} 1",
            "mtlog_object_seconds_bucket{le=\"0.1\"} 2",
            "mtlog_object_seconds_bucket{le=\"43200\"} 2",
            "mtlog_object_seconds_bucket{le=\"+Inf\"} 3",
            "mtlog_object_seconds_sum 99000.101",
            "mtlog_object_seconds_count 3",
            "mtlog_e2e_latency_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    /// An alarm on a metric that nobody writes never fires.
    #[test]
    fn the_regional_stack_watches_metrics_that_there_are() {
        let template = include_str!("../../templates/regional/observability-stack.yaml");
        let alarms = template.split("Namespace: mtlog\n").skip(1).map(|rest| {
            rest.trim_start().trim_start_matches("MetricName: ").lines().next().unwrap().trim()
        });
        let widgets =
            template.split("[\"mtlog\", \"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let watched: std::collections::BTreeSet<&str> = alarms.chain(widgets).collect();
        assert!(watched.len() >= 3, "{watched:?}");
        for name in watched {
            let written = Metric::ALL.iter().any(|metric| {
                let base = embedded_name(*metric, "");
                let label = name.strip_prefix(&base).and_then(|rest| rest.strip_prefix('_'));
                name == base || (label.is_some() && !metric.label().is_empty())
            });
            assert!(written, "{name}");
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<&str> =
            Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
