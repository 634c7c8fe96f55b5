//! Where a heartbeat begins and where it arrives: an object in the bucket, an event in a log stream.

use aws_sdk_cloudwatchlogs::Client;
use jiff::Timestamp;
use mtlog_processor::model::ids::{BucketName, LogGroupName, LogStreamName};

use super::{
    fault::{Fault, FaultClass},
    s3::S3,
    session::Session,
};

const SERVICE: &str = "logs";
/// The most events that one look at a stream returns; a heartbeat is among the latest.
const LOOK: i32 = 100;

/// The log groups of one account and region.
#[derive(Debug, Clone)]
pub struct Arrivals(Client);

impl Arrivals {
    /// Reads as the session's identity, in its region.
    pub fn new(session: &Session) -> Self {
        Self(Client::new(session.sdk()))
    }

    /// Returns when CloudWatch Logs took the event in whose message is `message`; `None` if it is not there (yet).
    pub async fn find(
        &self,
        group: &LogGroupName,
        stream: &LogStreamName,
        message: &str,
    ) -> Result<Option<Timestamp>, Fault> {
        const OPERATION: &str = "GetLogEvents";
        let request = self
            .0
            .get_log_events()
            .log_group_name(group.as_str())
            .log_stream_name(stream.as_str())
            .start_from_head(false)
            .limit(LOOK);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let fault = Fault::new(SERVICE, OPERATION, error);
                // Neither the group nor the stream is there before the engine has made it.
                return if fault.class() == FaultClass::Missing { Ok(None) } else { Err(fault) };
            }
        };
        let event = answer.events().iter().find(|event| event.message() == Some(message));
        let Some(event) = event else { return Ok(None) };
        event
            .ingestion_time()
            .and_then(|at| Timestamp::from_millisecond(at).ok())
            .map(Some)
            .ok_or_else(|| Fault::unreadable(SERVICE, OPERATION, "an event has no ingestion time"))
    }

    /// Deletes the stream of heartbeats. One that is not there is no failure.
    pub async fn delete_stream(
        &self,
        group: &LogGroupName,
        stream: &LogStreamName,
    ) -> Result<(), Fault> {
        let request = self
            .0
            .delete_log_stream()
            .log_group_name(group.as_str())
            .log_stream_name(stream.as_str());
        match request.send().await.map_err(|error| Fault::new(SERVICE, "DeleteLogStream", error)) {
            Ok(_) => Ok(()),
            Err(fault) if fault.class() == FaultClass::Missing => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl S3 {
    /// Deletes an object. One that is not there is no failure.
    pub async fn delete_object(&self, bucket: &BucketName, key: &str) -> Result<(), Fault> {
        let sent = self.0.delete_object().bucket(bucket.as_str()).key(key).send().await;
        sent.map(drop).map_err(|error| Fault::new("s3", "DeleteObject", error))
    }
}
