//! Which fields of a record make a log event.
//!
//! The rules are those of the system that this one replaces, with the differences that the tests
//! of `decode` list.

use super::{
    message::{Message, MessageSource, Replaced},
    plain,
    timestamp::{self, Found},
};

/// The JSON texts of the fields that make a log event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields<'a> {
    message: Option<&'a str>,
    dot: Option<&'a str>,
    log: Option<&'a str>,
    timestamp: Option<&'a str>,
    dot_timestamp: Option<&'a str>,
    time: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Takes note of a field; a later one of the same key replaces it.
    pub(super) fn set(&mut self, key: &str, value: &'a str) {
        let field = match key {
            "message" => &mut self.message,
            "." => &mut self.dot,
            "log" => &mut self.log,
            "timestamp" => &mut self.timestamp,
            ".timestamp" => &mut self.dot_timestamp,
            "time" => &mut self.time,
            _ => return,
        };
        *field = Some(value);
    }

    /// Returns the instant of the first timestamp field that says one.
    pub(super) fn timestamp(&self) -> Found {
        let mut result = Found::Missing;
        for value in [self.timestamp, self.dot_timestamp, self.time].into_iter().flatten() {
            match timestamp::parse_json(value) {
                Found::At(milliseconds) => return Found::At(milliseconds),
                Found::Missing => {}
                Found::Unusable => result = Found::Unusable,
            }
        }
        result
    }

    /// Returns the text to deliver: `message`, otherwise `.`, otherwise `log`, otherwise the
    /// record without [metadata](is_metadata).
    ///
    /// A field that is null or the empty string counts as absent. Anything else is delivered as
    /// it is: a string as its text, another value as its JSON text. So no text is empty.
    pub(super) fn message<'s>(
        &self,
        record: &'s str,
        scratch: &'s mut String,
    ) -> (Message<'s>, Replaced)
    where
        'a: 's,
    {
        let candidates = [
            (self.message, MessageSource::Message),
            (self.dot, MessageSource::OtherField),
            (self.log, MessageSource::OtherField),
        ];
        for (value, source) in candidates {
            match value {
                None | Some("null" | r#""""#) => {}
                Some(value) => return Message::from_json(value, source, scratch),
            }
        }
        scratch.clear();
        let text = match plain::push_without(record, is_metadata, scratch) {
            Ok(()) => scratch.as_str(),
            Err(_) => record,
        };
        (Message::from_value(text, MessageSource::Record), Replaced::Nothing)
    }
}

/// Whether the collector adds the field to tell where and when the record comes from.
///
/// Such fields are left out when the record itself becomes the text: the log group, the stream
/// and the event's timestamp say the same.
fn is_metadata(key: &str) -> bool {
    matches!(
        key,
        "cluster_id"
            | "namespace"
            | "application"
            | "pod_name"
            | "ingest_timestamp"
            | "timestamp"
            | "kubernetes"
    )
}
