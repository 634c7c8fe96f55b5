//! The record of every call: who asked what, and what it was answered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How many calls the journal keeps one by one; older ones stay in the counters.
const DEFAULT_CAPACITY: usize = 50_000;

/// What a call is about, known before it is carried out. Fault rules look at this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// The service, as in IAM actions: `logs`, `sqs`, `s3`, `sts`, `dynamodb`.
    pub service: String,
    /// The operation, such as `PutLogEvents`.
    pub operation: String,
    /// The caller's account; empty when the caller is not known.
    pub account: String,
    /// The region in the credential scope.
    pub region: String,
    /// The caller's ARN; for a role session `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub principal: String,
    /// The caller's role ARN, empty when the caller is no role session.
    pub role: String,
    /// The log group, queue name, bucket, table, or ARN of the role to take.
    pub resource: String,
    /// The log stream, the object key, or the role session name.
    pub key: String,
}

impl CallFacts {
    /// Tells whether the call is `service:operation`. A `*` at the end of either stands for any
    /// rest, and `*` alone for all calls.
    pub fn is(&self, pattern: &str) -> bool {
        let matches = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => pattern == text,
        };
        match pattern.split_once(':') {
            Some((service, operation)) => {
                matches(service, &self.service) && matches(operation, &self.operation)
            }
            None => pattern == "*",
        }
    }
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Position among all calls, from 1.
    pub number: u64,
    /// When it arrived, on the fake's clock.
    pub at: Timestamp,
    /// What it was about.
    pub facts: CallFacts,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// The HTTP status that was sent, or 0 when the connection was cut instead.
    pub status: u16,
    /// The error code that was sent.
    pub error_code: Option<String>,
    /// A fault rule changed the course of this call.
    pub faulted: bool,
    /// The call had its effect, whatever the client was told.
    pub applied: bool,
    /// The operation is one that changes something.
    pub is_write: bool,
}

/// One line, for the messages of failing tests.
impl fmt::Display for JournalEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        write!(
            formatter,
            "#{} {:.3} {}:{} {}/{} {} {} by {} -> {}",
            self.number,
            self.at,
            facts.service,
            facts.operation,
            facts.account,
            facts.region,
            facts.resource,
            facts.key,
            facts.principal,
            self.status
        )?;
        if let Some(code) = &self.error_code {
            write!(formatter, " {code}")?;
        }
        if self.faulted {
            formatter.write_str(if self.applied { " (fault, applied)" } else { " (fault)" })?;
        }
        Ok(())
    }
}

/// How often an operation was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallCount {
    /// All calls.
    pub calls: u64,
    /// Calls answered with an error, or not at all.
    pub failed: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: VecDeque<JournalEntry>,
    capacity: usize,
    number: u64,
    counts: BTreeMap<(String, String), CallCount>,
    writes: u64,
    /// Calls under way, and the most there ever were, by service, operation and account. An empty
    /// account stands for all.
    under_way: BTreeMap<(String, String, String), (u64, u64)>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                entries: VecDeque::new(),
                capacity: DEFAULT_CAPACITY,
                number: 0,
                counts: BTreeMap::new(),
                writes: 0,
                under_way: BTreeMap::new(),
            }),
        }
    }

    /// Notes that a call begins. The guard ends it, even when its connection is lost.
    pub(crate) fn begin(&self, facts: &CallFacts) -> UnderWay<'_> {
        let name =
            |account: &str| (facts.service.clone(), facts.operation.clone(), account.to_owned());
        let mut names = vec![name("")];
        if !facts.account.is_empty() {
            names.push(name(&facts.account));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &names {
            let (now, most) = state.under_way.entry(name.clone()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        UnderWay { journal: self, names }
    }

    /// Returns the calls of one operation that are under way now.
    pub(crate) fn under_way(&self, pattern: &str) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (service, operation) = pattern.split_once(':').unwrap_or((pattern, ""));
        let name = (service.to_owned(), operation.to_owned(), String::new());
        state.under_way.get(&name).map_or(0, |(now, _)| *now)
    }

    /// Returns the most calls of one operation that were ever under way at once.
    pub(crate) fn most_under_way(&self, pattern: &str, account: &str) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (service, operation) = pattern.split_once(':').unwrap_or((pattern, ""));
        let name = (service.to_owned(), operation.to_owned(), account.to_owned());
        state.under_way.get(&name).map_or(0, |(_, most)| *most)
    }

    /// Adds a call and gives it its number.
    pub(crate) fn record(&self, mut entry: JournalEntry) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.number += 1;
        entry.number = state.number;
        let name = (entry.facts.service.clone(), entry.facts.operation.clone());
        let count = state.counts.entry(name).or_default();
        count.calls += 1;
        if entry.status == 0 || entry.status >= 400 {
            count.failed += 1;
        }
        if entry.is_write {
            state.writes += 1;
        }
        while state.entries.len() >= state.capacity.max(1) {
            state.entries.pop_front();
        }
        if state.capacity > 0 {
            state.entries.push_back(entry);
        }
    }

    pub(crate) fn entries(&self, wanted: impl Fn(&JournalEntry) -> bool) -> Vec<JournalEntry> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.iter().filter(|entry| wanted(entry)).cloned().collect()
    }

    pub(crate) fn count(&self, pattern: &str) -> CallCount {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = CallCount::default();
        for ((service, operation), count) in &state.counts {
            let facts = CallFacts {
                service: service.clone(),
                operation: operation.clone(),
                ..CallFacts::default()
            };
            if facts.is(pattern) {
                total.calls += count.calls;
                total.failed += count.failed;
            }
        }
        total
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, CallCount> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .counts
            .iter()
            .map(|((service, operation), count)| (format!("{service}:{operation}"), *count))
            .collect()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).writes
    }

    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.clear();
        state.counts.clear();
        state.number = 0;
        state.writes = 0;
        for (now, most) in state.under_way.values_mut() {
            *most = *now;
        }
    }

    pub(crate) fn set_capacity(&self, capacity: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.capacity = capacity;
        while state.entries.len() > capacity {
            state.entries.pop_front();
        }
    }
}

/// A call that has begun and not ended.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    journal: &'a Journal,
    names: Vec<(String, String, String)>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.journal.state.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if let Some((now, _)) = state.under_way.get_mut(name) {
                *now = now.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: &str, status: u16) -> JournalEntry {
        JournalEntry {
            number: 0,
            at: Timestamp::UNIX_EPOCH,
            facts: CallFacts {
                service: "logs".to_owned(),
                operation: operation.to_owned(),
                ..CallFacts::default()
            },
            request_bytes: 0,
            status,
            error_code: None,
            faulted: false,
            applied: true,
            is_write: true,
        }
    }

    #[test]
    fn counters_outlive_the_entries() {
        let journal = Journal::new();
        journal.set_capacity(2);
        for status in [200, 400, 0, 200] {
            journal.record(entry("PutLogEvents", status));
        }
        journal.record(entry("CreateLogGroup", 200));
        assert_eq!(journal.entries(|_| true).len(), 2);
        assert_eq!(journal.count("logs:PutLogEvents"), CallCount { calls: 4, failed: 2 });
        assert_eq!(journal.count("logs:*").calls, 5);
        assert_eq!(journal.count("logs:Put*").calls, 4);
        assert_eq!(journal.count("sqs:*").calls, 0);
        assert_eq!(journal.writes(), 5);
    }
}
