//! Queues, as operators look at them.

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::QueueAttributeName};

use super::fault::{Fault, FaultClass};

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
        const OPERATION: &str = "GetQueueAttributes";
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let sent = self
            .0
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(counts.to_vec()))
            .send()
            .await;
        let answer = match sent.map_err(|error| Fault::new("sqs", OPERATION, error)) {
            Ok(answer) => answer,
            Err(fault) if fault.class() == FaultClass::Missing => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let attributes = answer.attributes.unwrap_or_default();
        let mut depth = 0;
        for name in &counts {
            let text = attributes.get(name).map_or("0", String::as_str);
            depth += text.parse::<u64>().map_err(|_| {
                Fault::unreadable("sqs", OPERATION, format!("`{text}` is no number of messages"))
            })?;
        }
        Ok(Some(depth))
    }
}
