//! What a queue message says: which objects were created.
//!
//! Four envelopes carry the same S3 event: SNS, the bare event (raw delivery or
//! S3 straight to SQS), EventBridge, and our own continuation, which is one of
//! them with [`super::progress::METADATA_FIELD`] added. Each record is judged on its own: a
//! bad one never hides a good one.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{ids::BucketName, progress::Continuation};

/// An object that a notification names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: BucketName,
    /// The key, decoded.
    pub key: String,
    /// The version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// The entity tag at the time of the event.
    pub etag: Option<String>,
    /// The order of events for one key, in hexadecimal; the same event sent twice has the same one.
    pub sequencer: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
}

impl ObjectRef {
    /// Names an object of which only bucket and key are known.
    pub const fn new(bucket: BucketName, key: String) -> Self {
        Self { bucket, key, version: None, etag: None, sequencer: None, size: None }
    }
}

impl FromStr for ObjectRef {
    type Err = InvalidRecord;

    /// Reads `s3://bucket/key`.
    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        let rest = text.strip_prefix("s3://").ok_or(InvalidRecord::Uri)?;
        let (bucket, key) = rest.split_once('/').ok_or(InvalidRecord::Uri)?;
        if key.is_empty() {
            return Err(InvalidRecord::Uri);
        }
        Ok(Self::new(bucket.parse().map_err(InvalidRecord::Bucket)?, key.to_owned()))
    }
}

/// A message body, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The records, in the order of the message.
    pub entries: Vec<Entry>,
    /// What earlier attempts have done, when this is a continuation.
    pub continuation: Option<Continuation>,
}

/// One record of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// A body with this record alone, for a dead letter: sent back to the queue, it is understood.
    pub body: String,
    /// What the record asks for.
    pub content: Content,
}

/// What one record asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// An object was created: deliver it.
    Created(ObjectRef),
    /// An event with nothing to deliver: a test event, a removal, a restore.
    Ignored {
        /// The event's name.
        event: String,
    },
    /// A record that cannot be understood.
    Invalid(InvalidRecord),
}

/// Why one record cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRecord {
    /// Fields are missing or have the wrong type.
    #[error("the record is not an S3 event record")]
    Shape,
    /// The event's major version is not 2.
    #[error("the record has event version `{version}`; only 2.x is known")]
    Version {
        /// The version as it stood.
        version: String,
    },
    /// The bucket's name is not one.
    #[error("the record's bucket is not usable")]
    Bucket(#[source] super::ids::InvalidId),
    /// The key's percent encoding or its UTF-8 is broken.
    #[error("the record's object key is not decodable")]
    KeyEncoding,
    /// The text is not `s3://bucket/key`.
    #[error("an object is written s3://bucket/key")]
    Uri,
}

/// Why a whole body cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidNotification {
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The SNS envelope's message is not JSON.
    #[error("the SNS message is not JSON")]
    MessageNotJson,
    /// The body is JSON, and none of the known envelopes.
    #[error("the body is none of the known envelopes (SNS, S3 event, EventBridge)")]
    UnknownEnvelope,
}

/// The fields that tell the envelopes apart. Everything else is ignored.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<&'a RawValue>>,
    #[serde(rename = "Event")]
    event: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    processing_metadata: Option<&'a RawValue>,
}

impl Notification {
    /// Understands a message body.
    pub fn parse(body: &str) -> Result<Self, InvalidNotification> {
        // Broken JSON and a field of a surprising type are told apart, because the operator's next step differs.
        let _: &RawValue = serde_json::from_str(body).map_err(|_| InvalidNotification::NotJson)?;
        let outer: Envelope<'_> =
            serde_json::from_str(body).map_err(|_| InvalidNotification::UnknownEnvelope)?;
        let continuation =
            outer.processing_metadata.and_then(|metadata| Continuation::parse(metadata.get()));
        let entries = match &outer.message {
            Some(message) => {
                let _: &RawValue = serde_json::from_str(message)
                    .map_err(|_| InvalidNotification::MessageNotJson)?;
                let inner = serde_json::from_str(message)
                    .map_err(|_| InvalidNotification::UnknownEnvelope)?;
                entries(&inner, message)?
            }
            None => entries(&outer, body)?,
        };
        Ok(Self { entries, continuation })
    }
}

fn entries(envelope: &Envelope<'_>, text: &str) -> Result<Vec<Entry>, InvalidNotification> {
    if let Some(records) = &envelope.records {
        return Ok(records.iter().map(|record| s3_record(record.get())).collect());
    }
    // S3 sends this once when notifications are set up; it has no records.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    if let Some(event) = &envelope.event {
        return Ok(vec![Entry {
            body: text.to_owned(),
            content: Content::Ignored { event: event.clone() },
        }]);
    }
    if let (Some(detail_type), Some(detail)) = (&envelope.detail_type, envelope.detail) {
        return Ok(vec![event_bridge_entry(text, detail_type, detail.get())]);
    }
    Err(InvalidNotification::UnknownEnvelope)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record<'a> {
    event_version: Option<String>,
    event_name: Option<String>,
    /// Read only for the events that matter: removals leave parts of it out.
    #[serde(borrow)]
    s3: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: NamedBucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct NamedBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Object {
    key: String,
    size: Option<u64>,
    e_tag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

fn s3_record(text: &str) -> Entry {
    let content = s3_content(text).unwrap_or_else(Content::Invalid);
    Entry { body: format!(r#"{{"Records":[{text}]}}"#), content }
}

fn s3_content(text: &str) -> Result<Content, InvalidRecord> {
    let record: S3Record<'_> = serde_json::from_str(text).map_err(|_| InvalidRecord::Shape)?;
    if let Some(version) = record.event_version.filter(|version| !version.starts_with("2.")) {
        return Err(InvalidRecord::Version { version: version.chars().take(20).collect() });
    }
    // S3-compatible stores put `s3:` before the name; S3 itself does not.
    let event = record.event_name.as_deref().map(|name| name.strip_prefix("s3:").unwrap_or(name));
    if let Some(event) = event
        && !event.starts_with("ObjectCreated:")
    {
        return Ok(Content::Ignored { event: event.to_owned() });
    }
    let entity = record.s3.ok_or(InvalidRecord::Shape)?;
    let entity: S3Entity = serde_json::from_str(entity.get()).map_err(|_| InvalidRecord::Shape)?;
    Ok(Content::Created(ObjectRef {
        bucket: entity.bucket.name.parse().map_err(InvalidRecord::Bucket)?,
        key: form_decoded(&entity.object.key)?,
        version: entity.object.version_id.filter(|version| !version.is_empty()),
        etag: entity.object.e_tag.filter(|etag| !etag.is_empty()),
        sequencer: entity.object.sequencer,
        size: entity.object.size,
    }))
}

/// Decodes a key as S3 encodes it in `Records`: like a form, so `+` is a space.
/// Unlike most decoders, refuses a `%` that does not start an escape.
fn form_decoded(key: &str) -> Result<String, InvalidRecord> {
    let bytes = key.as_bytes();
    for (position, _) in key.match_indices('%') {
        let digits = bytes.get(position + 1..position + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidRecord::KeyEncoding);
        }
    }
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(key) => Ok(key.into_owned()),
        Err(_) => Err(InvalidRecord::KeyEncoding),
    }
}

#[derive(Deserialize)]
struct BridgeDetail {
    bucket: NamedBucket,
    object: BridgeObject,
}

#[derive(Deserialize)]
struct BridgeObject {
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    #[serde(rename = "version-id")]
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// Reads an EventBridge event. Its key is taken as it stands: AWS documents the
/// form encoding for `Records` only.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
fn event_bridge_entry(text: &str, detail_type: &str, detail: &str) -> Entry {
    let content = || {
        if detail_type != "Object Created" {
            return Ok(Content::Ignored { event: detail_type.to_owned() });
        }
        let detail: BridgeDetail =
            serde_json::from_str(detail).map_err(|_| InvalidRecord::Shape)?;
        Ok(Content::Created(ObjectRef {
            bucket: detail.bucket.name.parse().map_err(InvalidRecord::Bucket)?,
            key: detail.object.key,
            version: detail.object.version_id.filter(|version| !version.is_empty()),
            etag: detail.object.etag.filter(|etag| !etag.is_empty()),
            sequencer: detail.object.sequencer,
            size: detail.object.size,
        }))
    };
    Entry { body: text.to_owned(), content: content().unwrap_or_else(Content::Invalid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
        "s3":{"bucket":{"name":"logs"},"object":{"key":"c/t/a/p/f.json.gz","size":7,"eTag":"e","sequencer":"0A"}}}"#;

    fn created() -> ObjectRef {
        ObjectRef {
            bucket: "logs".parse().unwrap(),
            key: "c/t/a/p/f.json.gz".to_owned(),
            version: None,
            etag: Some("e".to_owned()),
            sequencer: Some("0A".to_owned()),
            size: Some(7),
        }
    }

    fn event(records: &[&str]) -> String {
        format!(r#"{{"Records":[{}]}}"#, records.join(","))
    }

    fn sns(message: &str) -> String {
        format!(
            r#"{{"Type":"Notification","Message":{}}}"#,
            serde_json::to_string(message).unwrap()
        )
    }

    fn contents(body: &str) -> Vec<Content> {
        Notification::parse(body).unwrap().entries.into_iter().map(|entry| entry.content).collect()
    }

    #[test]
    fn every_envelope_names_the_same_object() {
        let bridge = r#"{"version":"0","source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"logs"},
            "object":{"key":"c/t/a/p/f.json.gz","size":7,"etag":"e","sequencer":"0A"}}}"#;
        for body in [event(&[RECORD]), sns(&event(&[RECORD])), bridge.to_owned()] {
            assert_eq!(contents(&body), vec![Content::Created(created())], "{body}");
        }
    }

    #[test]
    fn events_without_an_object_to_deliver_are_ignored() {
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"logs"}"#;
        let removed = event(&[
            r#"{"eventVersion":"2.1","eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"logs"},"object":{"key":"k"}}}"#,
        ]);
        let expired =
            event(&[r#"{"eventVersion":"2.3","eventName":"LifecycleExpiration:Delete","s3":{}}"#]);
        let bridge = r#"{"detail-type":"Object Deleted","detail":{}}"#;
        for (body, name) in [
            (test.to_owned(), "s3:TestEvent"),
            (sns(test), "s3:TestEvent"),
            (removed, "ObjectRemoved:Delete"),
            (expired, "LifecycleExpiration:Delete"),
            (bridge.to_owned(), "Object Deleted"),
        ] {
            assert_eq!(contents(&body), vec![Content::Ignored { event: name.to_owned() }]);
        }
        assert_eq!(contents(r#"{"Records":[]}"#), Vec::new());
    }

    #[test]
    fn keys_are_decoded_like_a_form_or_refused() {
        let with_key = |key: &str| event(&[&RECORD.replace("c/t/a/p/f.json.gz", key)]);
        for (key, decoded) in [
            ("a+b%2Bc/%C3%A9", Some("a b+c/é")),
            ("c%2Ft%2fa", Some("c/t/a")),
            ("a%20b", Some("a b")),
            ("a%zz", None),
            ("a%", None),
            ("a%4", None),
            ("%ff%fe", None),
        ] {
            let expected = match decoded {
                Some(key) => Content::Created(ObjectRef { key: key.to_owned(), ..created() }),
                None => Content::Invalid(InvalidRecord::KeyEncoding),
            };
            assert_eq!(contents(&with_key(key)), vec![expected], "{key}");
        }
    }

    #[test]
    fn versions_2_are_read_and_others_refused() {
        let with_version =
            |version: &str| event(&[&RECORD.replace("\"2.1\"", &format!("\"{version}\""))]);
        for version in ["2.0", "2.6", "2.9"] {
            assert_eq!(contents(&with_version(version)), vec![Content::Created(created())]);
        }
        for version in ["3.0", "1.0", "2"] {
            let expected = Content::Invalid(InvalidRecord::Version { version: version.to_owned() });
            assert_eq!(contents(&with_version(version)), vec![expected]);
        }
    }

    #[test]
    fn a_bad_record_does_not_hide_a_good_one() {
        let found = contents(&event(&[
            "7",
            RECORD,
            r#"{"s3":{"bucket":{"name":"B_"},"object":{"key":"k"}}}"#,
        ]));
        assert_eq!(found[0], Content::Invalid(InvalidRecord::Shape));
        assert_eq!(found[1], Content::Created(created()));
        assert!(matches!(found[2], Content::Invalid(InvalidRecord::Bucket(_))));
    }

    #[test]
    fn other_bodies_are_refused_with_their_reason() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        for (body, reason) in [
            ("", InvalidNotification::NotJson),
            ("hello", InvalidNotification::NotJson),
            (r#"{"Records":"#, InvalidNotification::NotJson),
            (deep.as_str(), InvalidNotification::UnknownEnvelope),
            ("null", InvalidNotification::UnknownEnvelope),
            ("[]", InvalidNotification::UnknownEnvelope),
            ("{}", InvalidNotification::UnknownEnvelope),
            (r#"{"Records":{}}"#, InvalidNotification::UnknownEnvelope),
            (r#"{"Message":{"Records":[]}}"#, InvalidNotification::UnknownEnvelope),
            (r#"{"Message":"hello"}"#, InvalidNotification::MessageNotJson),
            (r#"{"Message":"{}"}"#, InvalidNotification::UnknownEnvelope),
        ] {
            assert_eq!(Notification::parse(body).unwrap_err(), reason, "{body:.40}");
        }
    }

    #[test]
    fn an_object_is_written_as_a_uri() {
        assert_eq!(
            "s3://logs/a/b".parse(),
            Ok(ObjectRef::new("logs".parse().unwrap(), "a/b".to_owned()))
        );
        for text in ["logs/a", "s3://logs", "s3://logs/", "s3:///a", "https://logs/a"] {
            assert!(text.parse::<ObjectRef>().is_err(), "{text}");
        }
    }
}
