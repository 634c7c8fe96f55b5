//! What a canary tells machines: embedded metrics for CloudWatch, text for Prometheus.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mtlog_processor::model::ids::TenantId;
use serde_json::{Map, Value, json};

use super::{Outcome, Stages};

/// The namespace that the engine's metrics are in.
const NAMESPACE: &str = "mtlog";

/// Returns a line in CloudWatch's embedded metric format: `ProbeArrived` (1 or 0), and the seconds of each stage.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
pub fn embedded(tenant: &TenantId, outcome: Outcome, stages: &Stages, now: Timestamp) -> String {
    let mut metrics = vec![json!({"Name": "ProbeArrived", "Unit": "Count"})];
    let mut line = Map::new();
    line.insert("Tenant".to_owned(), json!(tenant.as_str()));
    line.insert("Outcome".to_owned(), json!(outcome.as_str()));
    line.insert("ProbeArrived".to_owned(), json!(u8::from(outcome == Outcome::Arrived)));
    for (stage, value) in stages.known() {
        let name = match stage {
            "put" => "ProbePutTime",
            "delivered" => "ProbeDeliveredTime",
            "visible" => "ProbeVisibleTime",
            _ => "ProbeTotalTime",
        };
        metrics.push(json!({"Name": name, "Unit": "Milliseconds"}));
        line.insert(name.to_owned(), json!(value));
    }
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["Tenant"]], "Metrics": metrics});
    line.insert(
        "_aws".to_owned(),
        json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive]}),
    );
    Value::Object(line).to_string()
}

/// What a canary has seen so far.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    counts: BTreeMap<&'static str, u64>,
    last: Option<(Outcome, Stages)>,
    last_arrival: Option<Timestamp>,
}

impl Totals {
    /// Adds a heartbeat that ended at `now`.
    pub fn add(&mut self, outcome: Outcome, stages: Stages, now: Timestamp) {
        *self.counts.entry(outcome.as_str()).or_default() += 1;
        self.last = Some((outcome, stages));
        if outcome == Outcome::Arrived {
            self.last_arrival = Some(now);
        }
    }

    /// Returns what Prometheus reads, for a file of the node exporter's textfile collector.
    pub fn prometheus(&self, tenant: &TenantId) -> String {
        let mut text = String::from(
            "# HELP mtlog_probe_beats_total Heartbeats by how far they came.\n\
             # TYPE mtlog_probe_beats_total counter\n",
        );
        for outcome in Outcome::ALL {
            let count = self.counts.get(outcome.as_str()).copied().unwrap_or(0);
            text.push_str(&format!(
                "mtlog_probe_beats_total{{tenant=\"{tenant}\",outcome=\"{}\"}} {count}\n",
                outcome.as_str()
            ));
        }
        let Some((outcome, stages)) = &self.last else { return text };
        text.push_str(&format!(
            "# HELP mtlog_probe_up Whether the last heartbeat arrived.\n\
             # TYPE mtlog_probe_up gauge\n\
             mtlog_probe_up{{tenant=\"{tenant}\"}} {}\n\
             # HELP mtlog_probe_stage_seconds How long the stages of the last heartbeat took.\n\
             # TYPE mtlog_probe_stage_seconds gauge\n",
            u8::from(*outcome == Outcome::Arrived)
        ));
        for (stage, value) in stages.known() {
            text.push_str(&format!(
                "mtlog_probe_stage_seconds{{tenant=\"{tenant}\",stage=\"{stage}\"}} {}\n",
                super::seconds(value)
            ));
        }
        if let Some(time) = self.last_arrival {
            text.push_str(&format!(
                "# HELP mtlog_probe_last_arrival_seconds When a heartbeat arrived last, in seconds since the epoch.\n\
                 # TYPE mtlog_probe_last_arrival_seconds gauge\n\
                 mtlog_probe_last_arrival_seconds{{tenant=\"{tenant}\"}} {}\n",
                time.as_second()
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Stages {
        Stages {
            put_ms: Some(120),
            delivered_ms: Some(3_400),
            visible_ms: Some(80),
            total_ms: Some(3_600),
        }
    }

    #[test]
    fn a_line_of_embedded_metrics_declares_what_it_holds() {
        let now = Timestamp::from_second(1_000).unwrap();
        let line = embedded(&"acme".parse().unwrap(), Outcome::Arrived, &stages(), now);
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name}");
        }
        assert_eq!((&line["ProbeArrived"], &line["ProbeTotalTime"]), (&json!(1), &json!(3_600)));
        assert_eq!(
            (&directive["Dimensions"], &line["Tenant"]),
            (&json!([["Tenant"]]), &json!("acme"))
        );
        let late = embedded(&"acme".parse().unwrap(), Outcome::Late, &Stages::default(), now);
        assert!(late.contains("\"ProbeArrived\":0") && !late.contains("ProbeTotalTime"));
    }

    #[test]
    fn prometheus_reads_what_was_seen() {
        let tenant = "acme".parse().unwrap();
        let mut totals = Totals::default();
        totals.add(Outcome::Arrived, stages(), Timestamp::from_second(1_000).unwrap());
        totals.add(Outcome::Late, Stages::default(), Timestamp::from_second(2_000).unwrap());
        let text = totals.prometheus(&tenant);
        for line in [
            "mtlog_probe_beats_total{tenant=\"acme\",outcome=\"arrived\"} 1",
            "mtlog_probe_beats_total{tenant=\"acme\",outcome=\"late\"} 1",
            "mtlog_probe_beats_total{tenant=\"acme\",outcome=\"dead_letter\"} 0",
            "mtlog_probe_up{tenant=\"acme\"} 0",
            "mtlog_probe_last_arrival_seconds{tenant=\"acme\"} 1000",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
        assert!(!text.contains("stage=\"total\""), "the last one reached no stage");
    }
}
