//! The processor's own log, as operators look at it. Tenants' logs are never read here.

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use jiff::Timestamp;
use serde::Deserialize;

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "logs";
/// The most events of one answer (`FilterLogEvents` in the API model); more would only repeat the same tenants.
const MAX_EVENTS: i32 = 10_000;
/// Pages that are read: CloudWatch Logs may give empty pages before the first match.
const MAX_PAGES: usize = 10;
/// The line that the engine writes for each object, when not all of it was delivered.
const FAILED_OBJECTS: &str = r#"{ $.message = "object" && $.level != "INFO" }"#;

/// A client for the processor's log in one region.
#[derive(Debug, Clone)]
pub struct ProcessorLog(Client);

/// One object that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedObject {
    /// The tenant; empty if it is not known.
    #[serde(default)]
    pub tenant: String,
    /// Why, as the engine calls it.
    #[serde(default)]
    pub outcome: String,
}

impl ProcessorLog {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns the objects that the processor failed to deliver since `start`, as far as a few pages of its log tell;
    /// `None` if there is no such log group.
    pub async fn failed_objects(
        &self,
        group: &str,
        start: Timestamp,
    ) -> Result<Option<Vec<FailedObject>>, Fault> {
        let mut pages = self
            .0
            .filter_log_events()
            .log_group_name(group)
            .start_time(start.as_millisecond())
            .filter_pattern(FAILED_OBJECTS)
            .limit(MAX_EVENTS)
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(page) = pages.next().await else { break };
            match page.map_err(|error| Fault::new(SERVICE, "FilterLogEvents", error)) {
                Ok(page) => {
                    let lines = page.events.unwrap_or_default().into_iter();
                    let lines = lines.filter_map(|event| event.message);
                    objects.extend(lines.filter_map(|line| serde_json::from_str(&line).ok()));
                }
                Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(objects))
    }
}
