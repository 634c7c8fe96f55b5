//! What a test can say to CloudWatch.

use jiff::Timestamp;

use super::Alarm;
use crate::fake::FakeAws;

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// The threshold is crossed.
    Alarm,
    /// There are too few values to tell.
    InsufficientData,
}

impl AlarmState {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl FakeAws {
    /// Adds values of a metric, each at its time.
    pub fn put_metric(
        &self,
        account: &str,
        region: &str,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        values: &[(Timestamp, f64)],
    ) {
        let mut dimensions: Vec<(String, String)> = dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        dimensions.sort();
        let key = (
            account.to_owned(),
            region.to_owned(),
            namespace.to_owned(),
            name.to_owned(),
            dimensions,
        );
        let mut cloudwatch = self.shared().cloudwatch();
        let known = cloudwatch.metrics.entry(key).or_default();
        known.extend(values.iter().map(|(at, value)| (at.as_millisecond(), *value)));
    }

    /// Forgets all values of all metrics.
    pub fn clear_metrics(&self) {
        self.shared().cloudwatch().metrics.clear();
    }

    /// Makes an alarm, or changes the state of one that is there.
    pub fn set_alarm(
        &self,
        account: &str,
        region: &str,
        name: &str,
        state: AlarmState,
        reason: &str,
    ) {
        let now = self.shared().clock.now();
        let key = (account.to_owned(), region.to_owned(), name.to_owned());
        let mut cloudwatch = self.shared().cloudwatch();
        let alarm = cloudwatch.alarms.entry(key).or_insert_with(|| Alarm {
            description: String::new(),
            state,
            reason: String::new(),
            since: now,
            namespace: "test".to_owned(),
            metric: "test".to_owned(),
        });
        alarm.state = state;
        reason.clone_into(&mut alarm.reason);
        alarm.since = now;
    }
}
