//! A heartbeat: one record that goes the whole way, and what is measured of it. Pure.

pub mod metrics;

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use mtlog_processor::model::{
    ids::{LogStreamName, TenantId},
    key::{KeyPrefix, LogObject},
};
use serde::Serialize;

/// The tenant whose heartbeats are sent unless another is named.
pub const TENANT: &str = "mtlog-heartbeat";
/// The application of heartbeats. A tenant that wants only some applications must want this one.
pub const APPLICATION: &str = "mtlog-heartbeat";
/// The cluster of heartbeats, the first segment of their keys.
pub const CLUSTER: &str = "mtlog-probe";

/// One heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its name, different for each.
    pub id: String,
    /// The key of its object.
    pub key: String,
    /// The stream that its record arrives in.
    pub stream: LogStreamName,
    /// The message that arrives.
    pub message: String,
    /// The object's content.
    pub content: Vec<u8>,
}

impl Heartbeat {
    /// Makes the heartbeat number `number` of the run `run` at `now`. All heartbeats of a run arrive in one stream a day.
    pub fn new(
        tenant: &TenantId,
        prefix: &KeyPrefix,
        run: &str,
        number: u64,
        now: Timestamp,
    ) -> Self {
        let id = format!("{run}-{number}");
        let pod = format!("probe-{run}");
        let object = LogObject {
            cluster: CLUSTER.to_owned(),
            tenant: tenant.clone(),
            application: APPLICATION.to_owned(),
            pod: pod.clone(),
            file: format!("{}-{id}.json.gz", now.strftime("%Y%m%d-%H%M%S")),
        };
        let message = format!("mtlog heartbeat {id}");
        let record = serde_json::json!({
            "application": APPLICATION,
            "cluster_id": CLUSTER,
            "message": message,
            "namespace": tenant.as_str(),
            "pod_name": pod,
            "stream": "stdout",
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        });
        Self {
            key: object.key(prefix),
            stream: LogStreamName::sanitised(&format!(
                "{APPLICATION}-{pod}-{}",
                now.strftime("%Y-%m-%d")
            )),
            content: compressed(&format!("{record}\n")),
            message,
            id,
        }
    }
}

fn compressed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory cannot fail.
    let written = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
    written.unwrap_or_default()
}

/// How far a heartbeat came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the log group.
    Arrived,
    /// It is not there in time.
    Late,
    /// It is in the dead-letter queue.
    DeadLetter,
    /// It could not be sent, or not be looked for.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Arrived, Self::Late, Self::DeadLetter, Self::Failed];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Late => "late",
            Self::DeadLetter => "dead_letter",
            Self::Failed => "failed",
        }
    }
}

/// How long the stages took, as far as they were reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// Until the object was in the bucket.
    pub put_ms: Option<u64>,
    /// From there until CloudWatch Logs had taken the event in: notification, queue, engine. The two ends are read
    /// from two clocks.
    pub delivered_ms: Option<u64>,
    /// From there until a reader saw the event.
    pub visible_ms: Option<u64>,
    /// From the beginning until a reader saw the event.
    pub total_ms: Option<u64>,
}

impl Stages {
    /// Returns name and value of what is known.
    pub fn known(&self) -> Vec<(&'static str, u64)> {
        let Self { put_ms, delivered_ms, visible_ms, total_ms } = *self;
        [("put", put_ms), ("delivered", delivered_ms), ("visible", visible_ms), ("total", total_ms)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Returns a number of milliseconds as seconds.
pub fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Returns the time between two points of two clocks, nothing if they are the wrong way round.
pub fn between(from: Timestamp, to: Timestamp) -> u64 {
    Duration::try_from(to.duration_since(from))
        .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn a_heartbeat_is_an_object_as_the_collector_writes_it() {
        let now: Timestamp = "2026-11-23T10:20:30.456Z".parse().unwrap();
        let prefix = "logs/".parse().unwrap();
        let beat = Heartbeat::new(&"acme".parse().unwrap(), &prefix, "1a2b", 7, now);
        let key = "logs/mtlog-probe/acme/mtlog-heartbeat/probe-1a2b/20261123-102030-1a2b-7.json.gz";
        assert_eq!(beat.key, key);
        assert!(LogObject::parse(&beat.key, &prefix).is_ok());
        assert_eq!(beat.stream.as_str(), "mtlog-heartbeat-probe-1a2b-2026-11-23");
        let mut text = String::new();
        MultiGzDecoder::new(beat.content.as_slice()).read_to_string(&mut text).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["message"], "mtlog heartbeat 1a2b-7");
        assert_eq!(record["timestamp"], "2026-11-23T10:20:30.456Z");
    }

    #[test]
    fn clocks_that_disagree_make_no_negative_time() {
        let (early, late) =
            ("2026-11-23T10:00:00Z".parse().unwrap(), "2026-11-23T10:00:01Z".parse().unwrap());
        assert_eq!((between(early, late), between(late, early)), (1000, 0));
        assert_eq!(seconds(12_034), "12.034");
    }
}
