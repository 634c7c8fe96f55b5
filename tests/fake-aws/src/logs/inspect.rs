//! What a test can ask and change about CloudWatch Logs.

use std::time::Duration;

use super::{Group, KeepEvents, LedgerTotals, LogTarget, LoggedEvent, Place, Stream};
use crate::clock::{Millis, millis};
use crate::fake::FakeAws;

/// Knobs of the service. The defaults are AWS's.
#[derive(Debug, Clone)]
pub struct LogsSettings {
    /// How much of the accepted events is kept.
    pub keep: KeepEvents,
    /// The largest event with its 26 bytes of overhead. 1,048,576 by default; 262,144 in
    /// partitions that have not raised it.
    pub max_event_bytes: usize,
    /// The largest number of groups in an account and region, 1,000,000 by default.
    pub max_groups: usize,
    /// For how long after its creation a stream still refuses events as not found.
    pub creation_lag: Duration,
    /// Batches with a message that contains this text are refused as invalid, whole, as AWS does
    /// with what its model does not tell about.
    pub refused_text: Option<String>,
    /// Whether bodies may come with `Content-Encoding: gzip`, which AWS does not document.
    pub accept_gzip: bool,
}

impl Default for LogsSettings {
    fn default() -> Self {
        Self {
            keep: KeepEvents::Messages,
            max_event_bytes: 1_048_576,
            max_groups: 1_000_000,
            creation_lag: Duration::ZERO,
            refused_text: None,
            accept_gzip: false,
        }
    }
}

impl LogsSettings {
    pub(super) fn creation_lag_millis(&self) -> Millis {
        millis(self.creation_lag)
    }
}

fn place(account: &str, region: &str) -> Place {
    (account.to_owned(), region.to_owned())
}

fn target(account: &str, region: &str, group: &str, stream: &str) -> LogTarget {
    LogTarget::new(&place(account, region), group, stream)
}

impl FakeAws {
    /// Changes the knobs of CloudWatch Logs.
    pub fn configure_logs(&self, change: impl FnOnce(&mut LogsSettings)) {
        change(&mut self.shared().logs().settings);
    }

    /// Creates a log group, with all missing streams of that list. Does nothing to what exists.
    pub fn create_log_group(&self, account: &str, region: &str, group: &str, streams: &[&str]) {
        let now = self.shared().clock.now();
        let mut logs = self.shared().logs();
        let earlier: Vec<usize> = streams
            .iter()
            .map(|stream| logs.ledger.kept(&target(account, region, group, stream)))
            .collect();
        let groups = logs.groups.entry(place(account, region)).or_default();
        let group = groups.entry(group.to_owned()).or_insert_with(|| Group {
            created: now,
            retention_days: None,
            class: "STANDARD".to_owned(),
            streams: std::collections::BTreeMap::new(),
        });
        for (stream, earlier_events) in streams.iter().zip(earlier) {
            group.streams.entry((*stream).to_owned()).or_insert(Stream {
                created: now,
                ready_at: now,
                earlier_events,
                first_timestamp: None,
                last_timestamp: None,
                last_ingestion: None,
            });
        }
    }

    /// Puts an event into a stream, which is made with its group if it is missing.
    pub fn put_log_event(
        &self,
        account: &str,
        region: &str,
        group: &str,
        stream: &str,
        at: jiff::Timestamp,
        message: &str,
    ) {
        self.create_log_group(account, region, group, &[stream]);
        let now = self.shared().clock.now();
        let mut logs = self.shared().logs();
        logs.batches += 1;
        let (keep, batch) = (logs.settings.keep, logs.batches);
        let event = std::iter::once((at.as_millisecond(), message));
        let target = target(account, region, group, stream);
        logs.ledger.add(&target, keep, batch, now, 0, event);
    }

    /// Sets or removes a group's retention. Returns false when there is no such group.
    pub fn set_log_retention(
        &self,
        account: &str,
        region: &str,
        group: &str,
        days: Option<i64>,
    ) -> bool {
        let mut logs = self.shared().logs();
        let found = logs.group_mut(&place(account, region), group);
        found.map(|group| group.retention_days = days).is_ok()
    }

    /// Returns a group's retention in days; nothing when it has none or does not exist.
    pub fn log_retention(&self, account: &str, region: &str, group: &str) -> Option<i64> {
        self.shared().logs().group(&place(account, region), group).ok()?.retention_days
    }

    /// Deletes a stream as its owner could. The ledger stays. Returns false when there is none.
    pub fn delete_log_stream(
        &self,
        account: &str,
        region: &str,
        group: &str,
        stream: &str,
    ) -> bool {
        let mut logs = self.shared().logs();
        logs.group_mut(&place(account, region), group)
            .is_ok_and(|group| group.streams.remove(stream).is_some())
    }

    /// Deletes a group as its owner could. The ledger stays. Returns false when there is none.
    pub fn delete_log_group(&self, account: &str, region: &str, group: &str) -> bool {
        let mut logs = self.shared().logs();
        logs.groups
            .get_mut(&place(account, region))
            .is_some_and(|groups| groups.remove(group).is_some())
    }

    /// Returns the names of the groups that exist.
    pub fn log_groups(&self, account: &str, region: &str) -> Vec<String> {
        let logs = self.shared().logs();
        logs.groups
            .get(&place(account, region))
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Returns the names of the streams that exist in a group.
    pub fn log_streams(&self, account: &str, region: &str, group: &str) -> Vec<String> {
        let logs = self.shared().logs();
        logs.group(&place(account, region), group)
            .map(|group| group.streams.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Returns all events that one stream ever accepted, in order of acceptance.
    pub fn log_events(
        &self,
        account: &str,
        region: &str,
        group: &str,
        stream: &str,
    ) -> Vec<LoggedEvent> {
        self.shared().logs().ledger.events(&target(account, region, group, stream)).to_vec()
    }

    /// Returns all accepted messages of one stream, in order of acceptance.
    pub fn log_messages(
        &self,
        account: &str,
        region: &str,
        group: &str,
        stream: &str,
    ) -> Vec<String> {
        let logs = self.shared().logs();
        let events = logs.ledger.events(&target(account, region, group, stream));
        events.iter().map(|event| event.message.to_string()).collect()
    }

    /// Returns the whole ledger, stream by stream.
    pub fn ledger(&self) -> Vec<(LogTarget, Vec<LoggedEvent>)> {
        let logs = self.shared().logs();
        logs.ledger.all().iter().map(|(target, events)| (target.clone(), events.clone())).collect()
    }

    /// Returns the sums of one stream, in every mode but the one that reads nothing.
    pub fn stream_totals(
        &self,
        account: &str,
        region: &str,
        group: &str,
        stream: &str,
    ) -> LedgerTotals {
        let logs = self.shared().logs();
        logs.ledger
            .counts()
            .get(&target(account, region, group, stream))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the sums per account.
    pub fn account_totals(&self, account: &str) -> LedgerTotals {
        let logs = self.shared().logs();
        let mut sum = LedgerTotals::default();
        for (target, totals) in logs.ledger.counts() {
            if target.account == account {
                sum.merge(totals);
            }
        }
        sum
    }

    /// Returns the sums over everything.
    pub fn ledger_totals(&self) -> LedgerTotals {
        self.shared().logs().ledger.totals()
    }

    /// Forgets the ledger; groups and streams stay.
    pub fn clear_ledger(&self) {
        let mut logs = self.shared().logs();
        logs.ledger.clear();
        for group in logs.groups.values_mut().flat_map(std::collections::BTreeMap::values_mut) {
            for stream in group.streams.values_mut() {
                stream.earlier_events = 0;
            }
        }
    }
}
