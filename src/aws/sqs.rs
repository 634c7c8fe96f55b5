//! Queues, as operators look at them.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::QueueAttributeName};

use super::fault::{Fault, FaultClass};

const SERVICE: &str = "sqs";
const OPERATION: &str = "GetQueueAttributes";

/// About how many messages are in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Those that may be received now.
    pub waiting: u64,
    /// Those that somebody received and has neither deleted nor given back.
    pub in_flight: u64,
    /// Those that are not due yet.
    pub delayed: u64,
}

/// A queue as checks look at it: how full it is, and how it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// The ARN.
    pub arn: String,
    /// About how many messages it holds in all.
    pub messages: u64,
    /// About how many of them somebody works on.
    pub in_flight: u64,
    /// For how long a received message is hidden.
    pub visibility_seconds: u32,
    /// Where messages go that were received too often.
    pub dead_letter_target: Option<String>,
    /// The policy.
    pub policy: Option<String>,
}

/// A client for SQS in one region.
#[derive(Debug, Clone)]
pub struct Sqs(pub(super) Client);

impl Sqs {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(Client::new(config))
    }

    /// Returns about how many messages are in a queue, those in flight and delayed ones included; `None` if there is
    /// no such queue.
    pub async fn depth(&self, url: &str) -> Result<Option<u64>, Fault> {
        let counts = self.counts(url).await?;
        Ok(counts.map(|counts| counts.waiting + counts.in_flight + counts.delayed))
    }

    /// Returns about how many messages are in a queue; `None` if there is no such queue.
    pub async fn counts(&self, url: &str) -> Result<Option<Counts>, Fault> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let Some(attributes) = self.attributes(url, &names).await? else { return Ok(None) };
        let [waiting, in_flight, delayed] = names.map(|name| {
            let text = attributes.get(&name).map_or("0", String::as_str);
            text.parse::<u64>().map_err(|_| {
                Fault::unreadable(SERVICE, OPERATION, format!("`{text}` is no number of messages"))
            })
        });
        Ok(Some(Counts { waiting: waiting?, in_flight: in_flight?, delayed: delayed? }))
    }

    /// Returns what is known of a queue; `None` if there is no such queue.
    pub async fn settings(&self, url: &str) -> Result<Option<QueueSettings>, Fault> {
        let Some(attributes) = self.attributes(url, &[QueueAttributeName::All]).await? else {
            return Ok(None);
        };
        let text = |name: &QueueAttributeName| attributes.get(name).map(String::as_str);
        let number = |name: &QueueAttributeName| {
            let text = text(name).unwrap_or("0");
            text.parse::<u32>().map_err(|_| {
                Fault::unreadable(SERVICE, OPERATION, format!("`{text}` is no number"))
            })
        };
        let waiting = u64::from(number(&QueueAttributeName::ApproximateNumberOfMessages)?);
        let delayed = u64::from(number(&QueueAttributeName::ApproximateNumberOfMessagesDelayed)?);
        let in_flight =
            u64::from(number(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?);
        let redrive = text(&QueueAttributeName::RedrivePolicy)
            .and_then(|policy| serde_json::from_str::<serde_json::Value>(policy).ok());
        let target = redrive.as_ref().and_then(|policy| policy.get("deadLetterTargetArn"));
        Ok(Some(QueueSettings {
            arn: text(&QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
            messages: waiting + delayed + in_flight,
            in_flight,
            visibility_seconds: number(&QueueAttributeName::VisibilityTimeout)?,
            dead_letter_target: target.and_then(|arn| arn.as_str()).map(str::to_owned),
            policy: text(&QueueAttributeName::Policy).map(str::to_owned),
        }))
    }

    /// Returns some of a queue's attributes; `None` if there is no such queue.
    async fn attributes(
        &self,
        url: &str,
        names: &[QueueAttributeName],
    ) -> Result<Option<HashMap<QueueAttributeName, String>>, Fault> {
        let call = self.0.get_queue_attributes().queue_url(url);
        let sent = call.set_attribute_names(Some(names.to_vec())).send().await;
        match sent.map_err(|error| Fault::new(SERVICE, OPERATION, error)) {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(fault) if fault.class() == FaultClass::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
