//! Notifications as S3, SNS and EventBridge write them, for tests that send their own.
//!
//! Forms are those of
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>.

use serde_json::{Value, json};

use crate::clock::{iso_millis, iso_seconds};
use crate::http::encode_key;

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Event {
    /// The region of the bucket.
    pub region: String,
    /// The account of the bucket.
    pub account: String,
    /// The bucket.
    pub bucket: String,
    /// The key, as it is, not encoded.
    pub key: String,
    /// The size; absent in some events about removals.
    pub size: Option<u64>,
    /// The tag without quotes; absent in some events about removals.
    pub etag: Option<String>,
    /// Orders the events of one key.
    pub sequencer: String,
    /// Such as `ObjectCreated:Put`, without `s3:` as in the records themselves.
    pub event_name: String,
    /// Such as `2.1`.
    pub event_version: String,
    /// Milliseconds since the epoch.
    pub time: i64,
    /// The unique id of who did it.
    pub principal: String,
}

impl S3Event {
    /// Returns an event about a new object, for tests that need no object.
    pub fn created(bucket: &str, key: &str) -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "111122223333".to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: Some(0),
            etag: Some("d41d8cd98f00b204e9800998ecf8427e".to_owned()),
            sequencer: "0066000000000000".to_owned(),
            event_name: "ObjectCreated:Put".to_owned(),
            event_version: "2.1".to_owned(),
            time: 1_795_429_230_456,
            principal: "AROAEXAMPLE:writer".to_owned(),
        }
    }

    /// Writes the record of this event. The key is form-encoded.
    pub fn record(&self) -> Value {
        self.record_with_raw_key(&encode_key(&self.key))
    }

    /// Writes the record with a key that is taken as it is, for keys that no S3 would write.
    pub fn record_with_raw_key(&self, key: &str) -> Value {
        let mut object = json!({"key": key, "sequencer": self.sequencer});
        if let Some(members) = object.as_object_mut() {
            if let Some(size) = self.size {
                members.insert("size".to_owned(), json!(size));
            }
            if let Some(etag) = &self.etag {
                members.insert("eTag".to_owned(), json!(etag));
            }
        }
        json!({
            "eventVersion": self.event_version,
            "eventSource": "aws:s3",
            "awsRegion": self.region,
            "eventTime": iso_millis(self.time),
            "eventName": self.event_name,
            "userIdentity": {"principalId": format!("AWS:{}", self.principal)},
            "requestParameters": {"sourceIPAddress": "192.0.2.10"},
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "fake"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "logs",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        })
    }

    /// Writes the notification as S3 sends it: to a queue, or as the message of a topic.
    pub fn body(&self) -> String {
        records(std::slice::from_ref(self))
    }

    /// Writes the notification as it comes through EventBridge. The key is not encoded.
    pub fn eventbridge(&self) -> String {
        let detail_type = match self.event_name.split(':').next() {
            Some("ObjectCreated") => "Object Created",
            Some("ObjectRemoved") => "Object Deleted",
            _ => "Object Restore Completed",
        };
        let mut object = json!({"key": self.key, "sequencer": self.sequencer});
        if let Some(members) = object.as_object_mut() {
            if let Some(size) = self.size {
                members.insert("size".to_owned(), json!(size));
            }
            if let Some(etag) = &self.etag {
                members.insert("etag".to_owned(), json!(etag));
            }
        }
        json!({
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": detail_type,
            "source": "aws.s3",
            "account": self.account,
            "time": iso_seconds(self.time),
            "region": self.region,
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": {
                "version": "0",
                "bucket": {"name": self.bucket},
                "object": object,
                "request-id": "N4N7GDK58NMKJ12R",
                "requester": self.account,
                "source-ip-address": "192.0.2.10",
                "reason": "PutObject",
            },
        })
        .to_string()
    }
}

/// Writes several events into one notification.
pub fn records(events: &[S3Event]) -> String {
    let records: Vec<Value> = events.iter().map(S3Event::record).collect();
    json!({ "Records": records }).to_string()
}

/// Writes the message that S3 sends when a notification is configured. It has no records.
pub fn test_event(bucket: &str, time: i64) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": iso_millis(time),
        "Bucket": bucket,
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "fake",
    })
    .to_string()
}

/// Wraps a message the way a topic does for a queue without raw delivery, spaces and line ends
/// included.
pub fn in_sns(topic_arn: &str, message_id: &str, time: i64, message: &str) -> String {
    let region = topic_arn.split(':').nth(3).unwrap_or_default();
    let text = |value: &str| Value::from(value).to_string();
    let fields = [
        ("Type", text("Notification")),
        ("MessageId", text(message_id)),
        ("TopicArn", text(topic_arn)),
        ("Subject", text("Amazon S3 Notification")),
        ("Message", text(message)),
        ("Timestamp", text(&iso_millis(time))),
        ("SignatureVersion", text("1")),
        ("Signature", text("RmFrZVNpZ25hdHVyZQ==")),
        (
            "SigningCertURL",
            text(&format!(
                "https://sns.{region}.amazonaws.com/SimpleNotificationService-0000000000000000000000.pem"
            )),
        ),
        (
            "UnsubscribeURL",
            text(&format!(
                "https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={topic_arn}:00000000-0000-0000-0000-000000000000"
            )),
        ),
    ];
    let lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("  \"{name}\" : {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_encoded_in_records_and_plain_in_eventbridge() {
        let event = S3Event::created("b", "a b+c/é");
        let record: Value = serde_json::from_str(&event.body()).unwrap();
        assert_eq!(record["Records"][0]["s3"]["object"]["key"], "a+b%2Bc/%C3%A9");
        let bridged: Value = serde_json::from_str(&event.eventbridge()).unwrap();
        assert_eq!(bridged["detail"]["object"]["key"], "a b+c/é");
        assert_eq!(bridged["detail-type"], "Object Created");
    }

    #[test]
    fn the_topic_envelope_carries_the_message_as_text() {
        let message = records(&[S3Event::created("b", "k"), S3Event::created("b", "l")]);
        let wrapped = in_sns("arn:aws:sns:eu-west-1:111122223333:logs", "id-1", 0, &message);
        assert!(
            wrapped.starts_with("{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"id-1\",")
        );
        let envelope: Value = serde_json::from_str(&wrapped).unwrap();
        assert_eq!(envelope["Message"], message);
        assert_eq!(envelope["TopicArn"], "arn:aws:sns:eu-west-1:111122223333:logs");
    }

    #[test]
    fn removals_may_lack_size_and_tag() {
        let mut event = S3Event::created("b", "k");
        event.event_name = "LifecycleExpiration:Delete".to_owned();
        event.size = None;
        event.etag = None;
        let record = event.record();
        assert_eq!(record["s3"]["object"].as_object().unwrap().len(), 2);
    }
}
