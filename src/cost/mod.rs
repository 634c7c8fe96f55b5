//! What a pipeline costs, from what was counted and from a list of prices. Pure.
//!
//! Free tiers, discounts and data transfer are left out: they belong to the account, not to the pipeline.

use serde::{Deserialize, Serialize};

/// The prices in this program. `--prices` reads others, of another region or a newer date.
pub const PRICES: &str = include_str!("prices.json");

const GB: f64 = 1024.0 * 1024.0 * 1024.0;
const MILLION: f64 = 1_000_000.0;
const THOUSAND: f64 = 1_000.0;
/// The days of a month, as AWS counts them for storage.
const MONTH_DAYS: f64 = 30.0;
/// Firehose counts each record as a multiple of this.
/// <https://aws.amazon.com/firehose/pricing/>
const FIREHOSE_RECORD_BYTES: f64 = 5.0 * 1024.0;
/// CloudWatch Logs adds this to each event (`PutLogEvents` in the API reference).
const EVENT_OVERHEAD_BYTES: f64 = 26.0;

/// List prices, in dollars.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The form of this file.
    pub schema: u32,
    /// The region that the prices are for.
    pub region: String,
    /// When they were looked up, year and month.
    pub as_of: String,
    /// The currency.
    pub currency: String,
    lambda_gb_second_x86_64: f64,
    lambda_gb_second_arm64: f64,
    lambda_million_requests: f64,
    sqs_million_requests: f64,
    sns_million_publishes: f64,
    s3_gb_month: f64,
    s3_thousand_puts: f64,
    s3_thousand_gets: f64,
    dynamodb_million_reads: f64,
    kms_key_month: f64,
    cloudwatch_alarm_month: f64,
    cloudwatch_dashboard_month: f64,
    cloudwatch_metric_month: f64,
    logs_gb_ingested: f64,
    firehose_gb_ingested: f64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Usage {
    /// The days that were counted.
    pub days: f64,
    /// Objects that were announced.
    pub objects: f64,
    /// Bytes of objects that the function opened.
    pub bytes_opened: f64,
    /// Bytes after decompression.
    pub bytes_raw: f64,
    /// Bytes that customers' CloudWatch Logs accepted, as it counts them.
    pub bytes_sent: f64,
    /// Records in objects.
    pub records: f64,
    /// Messages that were received from the queue.
    pub received: f64,
    /// Messages that were deleted from it.
    pub deleted: f64,
    /// Receives that brought nothing.
    pub empty_receives: f64,
    /// Runs of the function.
    pub invocations: f64,
    /// Their time, in milliseconds.
    pub duration_ms: f64,
    /// The function's memory.
    pub memory_mb: f64,
    /// Whether the function runs on arm64.
    pub arm64: bool,
    /// Read capacity that the tenant table used.
    pub table_reads: f64,
    /// Bytes in the bucket, on an average day.
    pub stored_bytes: f64,
    /// Bytes that the function logged.
    pub log_bytes: f64,
    /// Alarms.
    pub alarms: f64,
    /// Metrics that the function publishes.
    pub metrics: f64,
    /// Whether the pipeline has a key of its own.
    pub has_key: bool,
    /// For how many days objects are kept.
    pub kept_days: f64,
}

/// One part of the bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What is paid for.
    pub what: &'static str,
    /// How much of it.
    pub amount: f64,
    /// Of what unit.
    pub unit: &'static str,
    /// What it costs.
    pub cost: f64,
}

/// Another way, or a change, and what it would cost or save.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alternative {
    /// What it is.
    pub what: String,
    /// What it would cost, or save, in the same time.
    pub cost: f64,
    /// What was assumed.
    pub assuming: &'static str,
}

/// The bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// The parts.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: f64,
    /// What customers pay for taking their logs in, which is no part of the sum.
    pub customers: f64,
    /// The same volume in other ways.
    pub instead: Vec<Alternative>,
    /// What changes would save.
    pub savings: Vec<Alternative>,
}

/// Returns what the usage costs.
pub fn bill(usage: &Usage, prices: &Prices) -> Bill {
    let month = usage.days / MONTH_DAYS;
    let line = |what, amount, unit, price: f64| Line { what, amount, unit, cost: amount * price };
    let gb_second =
        if usage.arm64 { prices.lambda_gb_second_arm64 } else { prices.lambda_gb_second_x86_64 };
    let gb_seconds = usage.duration_ms / THOUSAND * usage.memory_mb / 1024.0;
    let queue_requests = usage.objects + usage.received + usage.deleted + usage.empty_receives;
    let stored = usage.stored_bytes / GB * month;
    let lines = vec![
        line("function, time", gb_seconds, "GB-s", gb_second),
        line(
            "function, runs",
            usage.invocations,
            "requests",
            prices.lambda_million_requests / MILLION,
        ),
        line("function, its own log", usage.log_bytes / GB, "GB", prices.logs_gb_ingested),
        line("queue", queue_requests, "requests", prices.sqs_million_requests / MILLION),
        line("topic", usage.objects, "publishes", prices.sns_million_publishes / MILLION),
        line("bucket, stored", stored, "GB-months", prices.s3_gb_month),
        line("bucket, writes", usage.objects, "requests", prices.s3_thousand_puts / THOUSAND),
        line("bucket, reads", usage.objects, "requests", prices.s3_thousand_gets / THOUSAND),
        line("tenant table", usage.table_reads, "reads", prices.dynamodb_million_reads / MILLION),
        line("key", if usage.has_key { month } else { 0.0 }, "key-months", prices.kms_key_month),
        line("alarms", usage.alarms * month, "alarm-months", prices.cloudwatch_alarm_month),
        line(
            "dashboard",
            if usage.alarms > 0.0 { month } else { 0.0 },
            "months",
            prices.cloudwatch_dashboard_month,
        ),
        line("metrics", usage.metrics * month, "metric-months", prices.cloudwatch_metric_month),
    ];
    let total = lines.iter().map(|line| line.cost).sum();
    Bill {
        total,
        customers: usage.bytes_sent / GB * prices.logs_gb_ingested,
        instead: instead(usage, prices),
        savings: savings(usage, prices, &lines),
        lines,
    }
}

fn instead(usage: &Usage, prices: &Prices) -> Vec<Alternative> {
    if usage.records <= 0.0 {
        return Vec::new();
    }
    let average = usage.bytes_raw / usage.records;
    let counted = (average / FIREHOSE_RECORD_BYTES).ceil() * FIREHOSE_RECORD_BYTES;
    let direct = usage.bytes_raw + usage.records * EVENT_OVERHEAD_BYTES;
    vec![
        Alternative {
            what: "through Data Firehose".to_owned(),
            cost: usage.records * counted / GB * prices.firehose_gb_ingested,
            assuming: "one log line a record, which counts as a multiple of 5 KB; without storage and delivery",
        },
        Alternative {
            what: "straight into CloudWatch Logs of this account".to_owned(),
            cost: direct / GB * prices.logs_gb_ingested,
            assuming: "collectors write uncompressed lines; customers would still have to get them from here",
        },
    ]
}

fn savings(usage: &Usage, prices: &Prices, lines: &[Line]) -> Vec<Alternative> {
    let mut savings = Vec::new();
    let cost_of = |what: &str| {
        lines.iter().filter(|line| line.what == what).map(|line| line.cost).sum::<f64>()
    };
    if usage.kept_days > 1.0 {
        let share = 1.0 - (usage.kept_days / 2.0).ceil() / usage.kept_days;
        savings.push(Alternative {
            what: format!(
                "keep objects for {:.0} days instead of {:.0}",
                (usage.kept_days / 2.0).ceil(),
                usage.kept_days
            ),
            cost: cost_of("bucket, stored") * share,
            assuming: "delivery never lags that long: an object that is gone cannot be delivered",
        });
    }
    if usage.objects > 0.0 {
        let by_object = ["queue", "topic", "bucket, writes", "bucket, reads", "function, runs"];
        savings.push(Alternative {
            what: "collect twice as long before an object is written".to_owned(),
            cost: by_object.iter().map(|what| cost_of(what)).sum::<f64>() / 2.0,
            assuming: "half as many objects (batch.timeout_secs of the collector); logs arrive later by as much",
        });
    }
    if !usage.arm64 && usage.duration_ms > 0.0 {
        let share = 1.0 - prices.lambda_gb_second_arm64 / prices.lambda_gb_second_x86_64;
        savings.push(Alternative {
            what: "run the function on arm64".to_owned(),
            cost: cost_of("function, time") * share,
            assuming: "it is as fast there; measure it",
        });
    }
    savings.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    savings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        serde_json::from_str(PRICES).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn nothing_costs_nothing() {
        let bill = bill(&Usage { days: 30.0, ..Usage::default() }, &prices());
        close(bill.total, 0.0);
        assert_eq!((bill.instead, bill.savings), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_month_is_added_up() {
        let usage = Usage {
            days: 30.0,
            objects: 1_000_000.0,
            bytes_raw: 1_000.0 * GB,
            bytes_sent: 1_000.0 * GB,
            records: 1_000.0 * GB / 1_024.0,
            received: 1_000_000.0,
            deleted: 1_000_000.0,
            invocations: 100_000.0,
            duration_ms: 100_000_000.0,
            memory_mb: 1_024.0,
            stored_bytes: 100.0 * GB,
            kept_days: 7.0,
            has_key: true,
            alarms: 8.0,
            ..Usage::default()
        };
        let bill = bill(&usage, &prices());
        let cost = |what: &str| bill.lines.iter().find(|line| line.what == what).unwrap().cost;
        close(cost("function, time"), 1.66667);
        close(cost("function, runs"), 0.02);
        close(cost("queue"), 1.2);
        close(cost("topic"), 0.5);
        close(cost("bucket, stored"), 2.3);
        close(cost("bucket, writes"), 5.0);
        close(cost("bucket, reads"), 0.4);
        close(cost("key"), 1.0);
        close(cost("alarms"), 0.8);
        close(cost("dashboard"), 3.0);
        close(bill.total, 15.88667);
        close(bill.customers, 500.0);
        // A line of 1 KB counts as 5 KB in Firehose, and as 26 bytes more in CloudWatch Logs.
        close(bill.instead[0].cost, 5_000.0 * 0.029);
        close(bill.instead[1].cost, 1_000.0 * (1_024.0 + 26.0) / 1_024.0 * 0.5);
        let saving =
            |start: &str| bill.savings.iter().find(|one| one.what.starts_with(start)).unwrap().cost;
        close(saving("keep objects for 4 days"), 2.3 * 3.0 / 7.0);
        close(saving("collect twice as long"), (1.2 + 0.5 + 5.0 + 0.4 + 0.02) / 2.0);
    }
}
