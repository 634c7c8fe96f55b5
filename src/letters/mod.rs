//! Dead letters as operators look at them: decoded, chosen, explained. Pure.

pub mod advice;
pub mod filter;
pub mod message;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use mtlog_processor::model::{
    key::{KeyPrefix, LogObject},
    letter,
    notification::{Content, Notification, ObjectRef},
};
use serde::Serialize;

use self::message::{Message, Outgoing};

/// Who put a message into the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The engine, in a letter that says why.
    Engine,
    /// The queue, because the message was received too often.
    Queue,
    /// The topic, because the queue refused the message.
    Topic,
    /// Nobody says.
    Unknown,
}

/// A dead letter without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// The message's id.
    pub id: String,
    /// Who sent it.
    pub sender: Sender,
    /// Why, in one word.
    pub reason: String,
    /// The step at which it went wrong.
    pub stage: Option<String>,
    /// The tenant.
    pub tenant: Option<String>,
    /// Which delivery of the tenant.
    pub destination: Option<String>,
    /// The objects that the body names, as `s3://bucket/key`.
    pub objects: Vec<String>,
    /// What else the engine knew.
    pub detail: Option<String>,
    /// The version of the engine that wrote it.
    pub version: Option<String>,
    /// Records that are settled: a redrive goes on behind them.
    pub settled_records: u64,
    /// The body's length before it was cut; a cut body cannot be delivered.
    pub cut_from_bytes: Option<u64>,
    /// When the message was sent.
    #[serde(serialize_with = "crate::instant::text")]
    pub sent: Timestamp,
    /// How often it was received before this look; earlier looks count too.
    pub receives: u32,
    /// The body's length in bytes.
    pub body_bytes: usize,
}

/// The reason of what the queue itself moved.
pub const RECEIVED_TOO_OFTEN: &str = "received_too_often";
/// The reason of what the topic could not put into the queue.
pub const REFUSED_BY_QUEUE: &str = "refused_by_queue";
/// The reason of what nobody explains.
pub const UNKNOWN: &str = "unknown";

impl Letter {
    /// Decodes a message. Keys are read below `prefix`.
    pub fn read(message: &Message, prefix: &KeyPrefix) -> Self {
        let text = |name| message.text(name).map(str::to_owned);
        let notification = Notification::parse(&message.body).ok();
        let objects: Vec<ObjectRef> = notification
            .iter()
            .flat_map(|notification| &notification.entries)
            .filter_map(|entry| match &entry.content {
                Content::Created(object) => Some(object.clone()),
                Content::Ignored { .. } | Content::Invalid(_) => None,
            })
            .collect();
        let settled_records = notification
            .as_ref()
            .and_then(|notification| notification.continuation.as_ref())
            .map_or(0, |done| done.progress.values().map(|at| at.ledger.settled()).sum());
        // What the queue moved carries the attributes of an earlier letter if it was one before: they are out of date.
        let engine = message.source.is_none() && message.attributes.contains_key(letter::REASON);
        let (sender, reason) = match (&message.source, text(letter::REASON)) {
            (Some(_), _) => (Sender::Queue, RECEIVED_TOO_OFTEN.to_owned()),
            (None, Some(reason)) => (Sender::Engine, reason),
            (None, None) if is_from_topic(&message.body) => {
                (Sender::Topic, REFUSED_BY_QUEUE.to_owned())
            }
            (None, None) => (Sender::Unknown, UNKNOWN.to_owned()),
        };
        let own = |name| if engine { text(name) } else { None };
        let named = || {
            let log =
                objects.iter().find_map(|object| LogObject::parse(&object.key, prefix).ok())?;
            Some(log.tenant.to_string())
        };
        let mut places: Vec<String> =
            objects.iter().map(|object| format!("s3://{}/{}", object.bucket, object.key)).collect();
        if places.is_empty()
            && let (Some(bucket), Some(key)) = (own(letter::BUCKET), own(letter::KEY))
        {
            places.push(format!("s3://{bucket}/{key}"));
        }
        Self {
            id: message.id.clone(),
            sender,
            reason,
            stage: own(letter::STAGE),
            tenant: own(letter::TENANT).or_else(named),
            destination: own(letter::DESTINATION),
            objects: places,
            detail: own(letter::DETAIL),
            version: own(letter::VERSION),
            settled_records,
            cut_from_bytes: own(letter::CUT_FROM_BYTES).and_then(|text| text.parse().ok()),
            sent: message.sent,
            receives: message.receives.saturating_sub(1),
            body_bytes: message.body.len(),
        }
    }

    /// Returns how long ago it was sent.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.sent)).unwrap_or_default()
    }

    /// Returns the key of the first object, without its bucket.
    pub fn key(&self) -> Option<&str> {
        let (_, rest) = self.objects.first()?.split_once("://")?;
        Some(rest.split_once('/')?.1)
    }
}

/// Returns what to send so that the letter is tried like a new message. What the engine wrote beside the body is left
/// out: it would be taken for the reason of the next failure.
pub fn outgoing(message: &Message, tenant: Option<&str>) -> Outgoing {
    let attributes: BTreeMap<_, _> = message
        .attributes
        .iter()
        .filter(|(name, _)| !letter::ALL.contains(&name.as_str()))
        .map(|(name, attribute)| (name.clone(), attribute.clone()))
        .collect();
    Outgoing { body: message.body.clone(), attributes, group: tenant.map(str::to_owned) }
}

/// Returns a time span in its two largest units: `3d 4h`, `12m 5s`, `45s`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (size, unit) in units {
        if rest >= size || !parts.is_empty() {
            parts.push((rest / size, unit));
            rest %= size;
        }
    }
    parts.truncate(2);
    let words: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

/// Whether a body is what a topic sends.
fn is_from_topic(body: &str) -> bool {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(body) else { return false };
    value.get("Type").is_some_and(|kind| kind == "Notification") && value.get("TopicArn").is_some()
}

#[cfg(test)]
mod tests {
    use super::{message::Attribute, message::Value, *};

    const EVENT: &str = r#"{"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"logs"},
        "object":{"key":"p/c/acme/app/pod/f+1.json.gz","size":9}}}]}"#;

    fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
        let attribute = |value: &str| Attribute {
            data_type: "String".to_owned(),
            value: Value::Text(value.to_owned()),
        };
        Message {
            id: "m".to_owned(),
            receipt: "r".to_owned(),
            body: body.to_owned(),
            sent: Timestamp::UNIX_EPOCH,
            receives: 3,
            source: None,
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), attribute(value)))
                .collect(),
        }
    }

    fn read(message: &Message) -> Letter {
        Letter::read(message, &"p/".parse().unwrap())
    }

    #[test]
    fn a_letter_of_the_engine_says_what_the_engine_knew() {
        let letter = read(&message(
            EVENT,
            &[
                ("reason", "role_denied"),
                ("stage", "assume"),
                ("tenant", "globex"),
                ("detail", "why"),
            ],
        ));
        assert_eq!(
            (letter.sender, letter.reason.as_str(), letter.stage.as_deref()),
            (Sender::Engine, "role_denied", Some("assume"))
        );
        assert_eq!(letter.tenant.as_deref(), Some("globex"));
        assert_eq!(letter.objects, ["s3://logs/p/c/acme/app/pod/f 1.json.gz"]);
        assert_eq!((letter.receives, letter.key()), (2, Some("p/c/acme/app/pod/f 1.json.gz")));
    }

    #[test]
    fn what_the_queue_moved_does_not_repeat_an_earlier_letter() {
        let moved = Message {
            source: Some("arn:aws:sqs:r:1:q".to_owned()),
            ..message(EVENT, &[("reason", "role_denied"), ("tenant", "globex"), ("stage", "x")])
        };
        let letter = read(&moved);
        assert_eq!((letter.sender, letter.reason.as_str()), (Sender::Queue, RECEIVED_TOO_OFTEN));
        assert_eq!((letter.tenant.as_deref(), letter.stage), (Some("acme"), None));
    }

    #[test]
    fn a_message_without_a_letter_is_told_apart_by_its_body() {
        let notification =
            serde_json::json!({"Type": "Notification", "TopicArn": "t", "Message": EVENT})
                .to_string();
        for (body, sender, tenant) in [
            (notification.as_str(), Sender::Topic, Some("acme")),
            (EVENT, Sender::Unknown, Some("acme")),
            ("nonsense", Sender::Unknown, None),
        ] {
            let letter = read(&message(body, &[]));
            assert_eq!((letter.sender, letter.tenant.as_deref()), (sender, tenant), "{body}");
        }
    }

    #[test]
    fn an_object_that_only_the_attributes_name_is_shown() {
        let letter =
            read(&message("{", &[("reason", "body_not_json"), ("bucket", "b"), ("key", "k")]));
        assert_eq!(letter.objects, ["s3://b/k"]);
    }

    #[test]
    fn a_letter_is_sent_again_without_what_the_engine_wrote() {
        let sent = outgoing(
            &message(EVENT, &[("reason", "x"), ("key", "k"), ("trace", "t")]),
            Some("acme"),
        );
        assert_eq!(sent.attributes.keys().collect::<Vec<_>>(), ["trace"]);
        assert_eq!((sent.body.as_str(), sent.group.as_deref()), (EVENT, Some("acme")));
        assert_eq!(sent.bytes(), EVENT.len() + "trace".len() + "String".len() + "t".len());
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600 + 5, "1h"),
            (3_600 + 65, "1h 1m"),
            (2 * 86_400 + 4 * 3_600 + 59, "2d 4h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
