//! How far an object has been delivered, and the message that carries this on.
//!
//! Records count in file order. A position is valid only for the entity tag that
//! it was made with: another tag is another file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{events::RecordPlace, notification::ObjectRef, outcome::Ledger, tenant::DeliveryKind};

/// The field of a message body that carries our own metadata. The predecessor used the same name.
pub const METADATA_FIELD: &str = "processing_metadata";

/// The version that we write. Another version is not read: the work starts afresh, and nothing is lost.
const VERSION: u32 = 1;

/// Names one object at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkId {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The destination's sort key in the tenant table.
    pub destination: String,
}

impl WorkId {
    /// Names `object` at a destination of `kind`.
    pub fn new(object: &ObjectRef, kind: DeliveryKind) -> Self {
        Self {
            bucket: object.bucket.as_str().to_owned(),
            key: object.key.clone(),
            destination: kind.as_str().to_owned(),
        }
    }
}

/// How far one object has come at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The entity tag that the position belongs to.
    pub etag: String,
    /// Everything before this place is settled.
    pub next: RecordPlace,
    /// Whether the whole object is settled.
    pub done: bool,
    /// Where the settled records went.
    pub ledger: Ledger,
}

/// What earlier attempts at a message have done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Continuation {
    /// How often the message was handed on.
    pub hops: u32,
    /// How often its predecessors were received, in all.
    pub receives: u32,
    /// When the first of them was sent, in milliseconds since the epoch.
    pub first_sent_ms: i64,
    /// How far each object has come.
    pub progress: BTreeMap<WorkId, Progress>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    hops: u32,
    receives: u32,
    first_sent_ms: i64,
    #[serde(default)]
    progress: Vec<StoredProgress>,
}

#[derive(Serialize, Deserialize)]
struct StoredProgress {
    id: WorkId,
    at: Progress,
}

impl Continuation {
    /// Reads the metadata. The predecessor's, another version's or a damaged one reads as none.
    pub fn parse(metadata: &str) -> Option<Self> {
        let stored: Stored = serde_json::from_str(metadata).ok()?;
        if stored.v != VERSION {
            return None;
        }
        Some(Self {
            hops: stored.hops,
            receives: stored.receives,
            first_sent_ms: stored.first_sent_ms,
            progress: stored.progress.into_iter().map(|one| (one.id, one.at)).collect(),
        })
    }

    /// Returns `body` with this as its metadata; none when `body` is not a JSON object.
    pub fn attach(&self, body: &str) -> Option<String> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).ok()?;
        let progress = self
            .progress
            .iter()
            .map(|(id, at)| StoredProgress { id: id.clone(), at: at.clone() })
            .collect();
        let stored = Stored {
            v: VERSION,
            hops: self.hops,
            receives: self.receives,
            first_sent_ms: self.first_sent_ms,
            progress,
        };
        fields.insert(METADATA_FIELD.to_owned(), serde_json::value::to_raw_value(&stored).ok()?);
        serde_json::to_string(&fields).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notification::Notification;

    fn continuation() -> Continuation {
        let id = WorkId {
            bucket: "logs".to_owned(),
            key: "a b".to_owned(),
            destination: "cloudwatch".to_owned(),
        };
        let ledger = Ledger { read: 5, delivered: 5, ..Ledger::default() };
        let at = Progress {
            etag: "\"e\"".to_owned(),
            next: RecordPlace { record: 5, offset: 99, in_array: true },
            done: false,
            ledger,
        };
        Continuation {
            hops: 2,
            receives: 3,
            first_sent_ms: 17,
            progress: BTreeMap::from([(id, at)]),
        }
    }

    #[test]
    fn a_continuation_survives_the_way_through_a_body() {
        let body = r#"{"Records":[],"processing_metadata":{"offset":0,"retry_count":1}}"#;
        assert_eq!(
            Notification::parse(body).unwrap().continuation,
            None,
            "the predecessor's metadata says nothing"
        );
        let attached = continuation().attach(body).unwrap();
        assert_eq!(Notification::parse(&attached).unwrap().continuation, Some(continuation()));
    }

    #[test]
    fn metadata_of_another_version_reads_as_none() {
        let attached = continuation().attach("{}").unwrap().replace("\"v\":1", "\"v\":2");
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&attached).unwrap();
        assert_eq!(Continuation::parse(fields[METADATA_FIELD].get()), None);
        assert_eq!(Continuation::parse("7"), None);
    }

    #[test]
    fn nothing_is_attached_to_a_body_that_is_no_object() {
        for body in ["", "7", "[]", "{"] {
            assert_eq!(continuation().attach(body), None, "{body}");
        }
    }
}
