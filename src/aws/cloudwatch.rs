//! Metrics and alarms, as operators look at them.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::{
    Client,
    types::{
        AlarmType, Dimension, Metric as SdkMetric, MetricDataQuery, MetricStat, ScanBy, StateValue,
    },
};
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::fault::Fault;
use crate::operate::{
    alarm::{Alarm, AlarmState},
    metric::{Metric, Points, Window},
};

const SERVICE: &str = "cloudwatch";
/// The most queries of one call.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
const MAX_QUERIES: usize = 500;

/// A client for CloudWatch in one region.
#[derive(Debug, Clone)]
pub struct CloudWatch(Client);

impl CloudWatch {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns the values of each metric in the window, in the order of the metrics.
    pub async fn points(&self, metrics: &[Metric], window: Window) -> Result<Vec<Points>, Fault> {
        const OPERATION: &str = "GetMetricData";
        let mut all = vec![Points::default(); metrics.len()];
        for (chunk, found) in metrics.chunks(MAX_QUERIES).zip(all.chunks_mut(MAX_QUERIES)) {
            let queries =
                chunk.iter().enumerate().map(|(index, metric)| query(index, metric, window));
            let mut pages = self
                .0
                .get_metric_data()
                .set_metric_data_queries(Some(queries.collect()))
                .start_time(DateTime::from_secs(window.start.as_second()))
                .end_time(DateTime::from_secs(window.end().as_second()))
                .scan_by(ScanBy::TimestampAscending)
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
                for result in page.metric_data_results.unwrap_or_default() {
                    let id = result.id.unwrap_or_default();
                    let index = id.strip_prefix('m').and_then(|index| index.parse::<usize>().ok());
                    let Some(points) = index.and_then(|index| found.get_mut(index)) else {
                        let text =
                            format!("the answer holds a metric `{id}` that nobody asked for");
                        return Err(Fault::unreadable(SERVICE, OPERATION, text));
                    };
                    let times = result.timestamps.unwrap_or_default();
                    let values = result.values.unwrap_or_default();
                    for (time, value) in times.iter().zip(values) {
                        if let Ok(time) = Timestamp::from_second(time.secs()) {
                            points.0.push((time, value));
                        }
                    }
                }
            }
        }
        Ok(all)
    }

    /// Returns the alarms whose names start with `prefix`.
    pub async fn alarms(&self, prefix: &str) -> Result<Vec<Alarm>, Fault> {
        let mut pages = self
            .0
            .describe_alarms()
            .alarm_name_prefix(prefix)
            .alarm_types(AlarmType::MetricAlarm)
            .into_paginator()
            .send();
        let mut alarms = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Fault::new(SERVICE, "DescribeAlarms", error))?;
            for alarm in page.metric_alarms.unwrap_or_default() {
                alarms.push(Alarm {
                    name: alarm.alarm_name.unwrap_or_default(),
                    state: match alarm.state_value {
                        Some(StateValue::Ok) => AlarmState::Ok,
                        Some(StateValue::Alarm) => AlarmState::Alarm,
                        // A word from the future says as little as too few values do.
                        _ => AlarmState::InsufficientData,
                    },
                    reason: alarm.state_reason.unwrap_or_default(),
                    since: alarm
                        .state_updated_timestamp
                        .and_then(|time| Timestamp::from_second(time.secs()).ok())
                        .map(|time| time.to_string()),
                });
            }
        }
        Ok(alarms)
    }
}

fn query(index: usize, metric: &Metric, window: Window) -> MetricDataQuery {
    let dimensions = metric
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(*name).value(value).build());
    let stat = MetricStat::builder()
        .metric(
            SdkMetric::builder()
                .namespace(metric.namespace)
                .metric_name(metric.name)
                .set_dimensions(Some(dimensions.collect()))
                .build(),
        )
        .period(window.period.seconds())
        .stat(metric.statistic.as_str())
        .build();
    MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).build()
}
