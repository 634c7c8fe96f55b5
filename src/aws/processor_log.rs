//! The processor's own log, as operators look at it. Tenants' logs are never read here.

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::{Client, types::FilteredLogEvent};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "logs";
/// The most events of one answer (`FilterLogEvents` in the API model). An answer also ends at 1 MB.
const MAX_EVENTS: i32 = 10_000;
/// Pages that are read for one question, so at most 10 MB. CloudWatch Logs may give empty pages before the first match.
const MAX_PAGES: usize = 10;
/// How far back is read, step by step: when there is too much, what is known is the newest. In minutes.
const STEPS: [i64; 4] = [5, 15, 30, 60];
/// The line that the engine writes for each object, when not all of it was delivered.
const FAILED_OBJECTS: &str = r#"{ $.message = "object" && $.level != "INFO" }"#;
/// The line that the engine writes for each object that was delivered.
const DELIVERED_OBJECTS: &str = r#"{ $.message = "object" && $.outcome = "delivered" }"#;

/// A client for the processor's log in one region.
#[derive(Debug, Clone)]
pub struct ProcessorLog(Client);

/// What the engine said of one object and one destination.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ReportedObject {
    /// How loud it was said: `INFO` when nothing is wrong.
    pub level: String,
    /// The tenant; empty if it is not known.
    pub tenant: String,
    /// What became of it, as the engine calls it.
    pub outcome: String,
    /// Records that were delivered.
    pub delivered: u64,
    /// Records that the destination refused.
    pub quarantined: u64,
    /// Records that could not be read.
    pub undecodable: u64,
}

/// What a part of the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// From then on, everything was read; before, only some or nothing.
    pub since: Timestamp,
    /// Whether that is as far back as was asked.
    pub complete: bool,
    /// The objects.
    pub objects: Vec<ReportedObject>,
}

impl ReportedObject {
    /// Whether not all of it was delivered.
    pub fn has_failed(&self) -> bool {
        !self.level.is_empty() && self.level != "INFO"
    }

    /// Returns what became of it, or of those of its records that were not delivered.
    pub fn reason(&self) -> &str {
        match self.outcome.as_str() {
            "delivered" if self.undecodable > 0 => "undecodable",
            "delivered" if self.quarantined > 0 => "quarantined",
            outcome => outcome,
        }
    }
}

impl ProcessorLog {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns the objects that the processor failed to deliver in the last hour, as far as a few pages of its log
    /// tell; `None` if there is no such log group.
    pub async fn failed_objects(
        &self,
        group: &str,
        now: Timestamp,
    ) -> Result<Option<Excerpt>, Fault> {
        let mut excerpt = self.last_hour(group, FAILED_OBJECTS, now).await?;
        if let Some(excerpt) = &mut excerpt {
            excerpt.objects.retain(ReportedObject::has_failed);
        }
        Ok(excerpt)
    }

    /// Returns the objects that the processor delivered in the last hour; like [`ProcessorLog::failed_objects`].
    pub async fn delivered_objects(
        &self,
        group: &str,
        now: Timestamp,
    ) -> Result<Option<Excerpt>, Fault> {
        let mut excerpt = self.last_hour(group, DELIVERED_OBJECTS, now).await?;
        if let Some(excerpt) = &mut excerpt {
            excerpt.objects.retain(|object| object.outcome == "delivered");
        }
        Ok(excerpt)
    }

    async fn last_hour(
        &self,
        group: &str,
        pattern: &str,
        now: Timestamp,
    ) -> Result<Option<Excerpt>, Fault> {
        let mut excerpt = Excerpt { since: now, complete: false, objects: Vec::new() };
        let mut pages_left = MAX_PAGES;
        for minutes in STEPS {
            let start = now - SignedDuration::from_mins(minutes);
            let end = excerpt.since;
            let mut request = self
                .0
                .filter_log_events()
                .log_group_name(group)
                .start_time(start.as_millisecond())
                .filter_pattern(pattern)
                .limit(MAX_EVENTS);
            // The newest step has no end: lines come in while it is read, and clocks differ.
            if end < now {
                // The end is part of what is asked for.
                request = request.end_time(end.as_millisecond() - 1);
            }
            let mut pages = request.into_paginator().send();
            loop {
                if pages_left == 0 {
                    return Ok(Some(excerpt));
                }
                let Some(page) = pages.next().await else { break };
                pages_left -= 1;
                match page.map_err(|error| Fault::new(SERVICE, "FilterLogEvents", error)) {
                    Ok(page) => excerpt.objects.extend(objects(page.events.unwrap_or_default())),
                    Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
                    Err(fault) => return Err(fault),
                }
            }
            excerpt.since = start;
        }
        excerpt.complete = true;
        Ok(Some(excerpt))
    }
}

/// Reads the lines; one that is no JSON is not the engine's.
fn objects(events: Vec<FilteredLogEvent>) -> impl Iterator<Item = ReportedObject> {
    let lines = events.into_iter().filter_map(|event| event.message);
    lines.filter_map(|line| serde_json::from_str(&line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_were_not_delivered_are_the_reason() {
        for (line, failed, reason) in [
            (r#"{"level":"INFO","outcome":"delivered","delivered":3}"#, false, "delivered"),
            (r#"{"level":"WARN","outcome":"delivered","undecodable":1}"#, true, "undecodable"),
            (r#"{"level":"WARN","outcome":"delivered","quarantined":1}"#, true, "quarantined"),
            (r#"{"level":"ERROR","outcome":"role_denied"}"#, true, "role_denied"),
            (r#"{"outcome":"skipped"}"#, false, "skipped"),
        ] {
            let object: ReportedObject = serde_json::from_str(line).unwrap();
            assert_eq!((object.has_failed(), object.reason()), (failed, reason), "{line}");
        }
    }
}
