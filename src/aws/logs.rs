//! CloudWatch Logs in a customer's account, for tests of a delivery.

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::{
    Client,
    types::{InputLogEvent, OrderBy},
};
use mtlog_processor::model::ids::LogGroupName;

use super::fault::Fault;

const SERVICE: &str = "logs";

/// A client for CloudWatch Logs in one region, with somebody's credentials.
#[derive(Debug, Clone)]
pub struct Logs(Client);

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// After how many days events go away; none: never.
    pub retention_days: Option<u16>,
    /// How much it holds, in bytes, as of some hours ago.
    pub stored_bytes: Option<u64>,
}

/// A log stream that was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEvent {
    /// The stream.
    pub stream: String,
    /// The time of its newest event, in milliseconds since the epoch. AWS updates it late, mostly within an hour.
    pub time_ms: i64,
}

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// The call succeeded, but the event was thrown away, for this reason.
    Rejected(&'static str),
}

/// Whether something had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    Now,
    /// It was there.
    Before,
}

impl Logs {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns the log group with exactly this name, if it is there.
    pub async fn group(&self, name: &LogGroupName) -> Result<Option<LogGroup>, Fault> {
        Ok(self.groups(name.as_str()).await?.into_iter().find(|group| group.name == name.as_str()))
    }

    /// Returns the log groups whose names start with `prefix`.
    pub async fn groups(&self, prefix: &str) -> Result<Vec<LogGroup>, Fault> {
        let mut pages = self
            .0
            .describe_log_groups()
            .log_group_name_prefix(prefix)
            .into_paginator()
            .items()
            .send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            let group = group.map_err(|error| Fault::new(SERVICE, "DescribeLogGroups", error))?;
            groups.push(LogGroup {
                name: group.log_group_name.unwrap_or_default(),
                retention_days: group.retention_in_days.and_then(|days| u16::try_from(days).ok()),
                stored_bytes: group.stored_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            });
        }
        Ok(groups)
    }

    /// Returns the stream of a group that was written to last, if any was.
    pub async fn last_event(&self, group: &str) -> Result<Option<LastEvent>, Fault> {
        let answer = self
            .0
            .describe_log_streams()
            .log_group_name(group)
            .order_by(OrderBy::LastEventTime)
            .descending(true)
            .limit(1)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "DescribeLogStreams", error))?;
        let stream = answer.log_streams.unwrap_or_default().into_iter().next();
        Ok(stream.and_then(|stream| {
            Some(LastEvent {
                stream: stream.log_stream_name.unwrap_or_default(),
                time_ms: stream.last_event_timestamp?,
            })
        }))
    }

    /// Makes a log group unless it is there.
    pub async fn create_group(&self, name: &LogGroupName) -> Result<Made, Fault> {
        let sent = self.0.create_log_group().log_group_name(name.as_str()).send().await;
        made(sent.map(drop).map_err(|error| Fault::new(SERVICE, "CreateLogGroup", error)))
    }

    /// Sets the retention of a log group.
    pub async fn set_retention(&self, name: &LogGroupName, days: u16) -> Result<(), Fault> {
        let sent = self
            .0
            .put_retention_policy()
            .log_group_name(name.as_str())
            .retention_in_days(i32::from(days))
            .send()
            .await;
        sent.map(drop).map_err(|error| Fault::new(SERVICE, "PutRetentionPolicy", error))
    }

    /// Makes a log stream unless it is there.
    pub async fn create_stream(&self, group: &LogGroupName, stream: &str) -> Result<Made, Fault> {
        let sent = self
            .0
            .create_log_stream()
            .log_group_name(group.as_str())
            .log_stream_name(stream)
            .send()
            .await;
        made(sent.map(drop).map_err(|error| Fault::new(SERVICE, "CreateLogStream", error)))
    }

    /// Sends one event.
    pub async fn put(
        &self,
        group: &LogGroupName,
        stream: &str,
        time_ms: i64,
        message: &str,
    ) -> Result<Sent, Fault> {
        const OPERATION: &str = "PutLogEvents";
        let event = InputLogEvent::builder()
            .timestamp(time_ms)
            .message(message)
            .build()
            .map_err(|error| Fault::unsendable(SERVICE, OPERATION, error))?;
        let answer = self
            .0
            .put_log_events()
            .log_group_name(group.as_str())
            .log_stream_name(stream)
            .log_events(event)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        let Some(info) = answer.rejected_log_events_info() else { return Ok(Sent::Taken) };
        Ok(Sent::Rejected(if info.too_new_log_event_start_index().is_some() {
            "its time lies more than two hours ahead of AWS's clock"
        } else if info.expired_log_event_end_index().is_some() {
            "it is older than the log group's retention"
        } else {
            "it is older than 14 days"
        }))
    }

    /// Whether the stream holds an event of that time with that message.
    pub async fn holds(
        &self,
        group: &LogGroupName,
        stream: &str,
        time_ms: i64,
        message: &str,
    ) -> Result<bool, Fault> {
        let answer = self
            .0
            .get_log_events()
            .log_group_name(group.as_str())
            .log_stream_name(stream)
            .start_time(time_ms)
            .end_time(time_ms + 1)
            .start_from_head(true)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, "GetLogEvents", error))?;
        Ok(answer.events().iter().any(|event| event.message() == Some(message)))
    }
}

/// That something is there already is as good as having made it.
fn made(sent: Result<(), Fault>) -> Result<Made, Fault> {
    match sent {
        Ok(()) => Ok(Made::Now),
        Err(fault) if fault.code() == Some("ResourceAlreadyExistsException") => Ok(Made::Before),
        Err(fault) => Err(fault),
    }
}
