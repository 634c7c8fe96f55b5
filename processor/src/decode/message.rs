//! The text of a log event, kept in the form in which the object holds it.

use std::{borrow::Cow, fmt};

use super::json::{self, Escapes, StringBody};

/// The text of a log event: at least one byte of UTF-8.
///
/// A string of the record stays the escaped JSON text that it was, because a request body needs
/// it escaped again: [`push_json`](Self::push_json) copies it. A structured value is text that
/// still has to be escaped. Two messages are equal when their texts are.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    form: Form,
    /// UTF-8, which `text` has to believe and nobody else needs.
    bytes: &'a [u8],
    text_len: usize,
    source: MessageSource,
}

/// Where the text of a log event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageSource {
    /// The field `message`.
    Message,
    /// The field `.` or `log`, because there is no `message` or it is empty.
    OtherField,
    /// The record itself without the collector's fields, because it has no message at all.
    Record,
}

/// Whether a text differs from what the record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    Nothing,
    /// Something that is not Unicode became U+FFFD.
    Something,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The bytes are the text, and need no escaping in a JSON string.
    Plain,
    /// The bytes are the inside of a JSON string, with escapes.
    Escaped,
    /// The bytes are the text, and may need escaping in a JSON string.
    Text,
}

impl<'a> Message<'a> {
    /// Returns a message with this text, or nothing if the text is empty.
    pub fn from_text(text: &'a str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from_value(text, MessageSource::Message))
    }

    /// Returns where the text comes from.
    pub fn source(&self) -> MessageSource {
        self.source
    }

    /// Returns the text's length in bytes of UTF-8, as CloudWatch Logs counts it.
    pub fn text_len(&self) -> usize {
        self.text_len
    }

    /// Returns the text.
    pub fn text(&self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.bytes);
        match (self.form, text) {
            (Form::Escaped, Cow::Borrowed(body)) => json::text(body),
            (_, text) => text,
        }
    }

    /// Appends the text as the inside of a JSON string: escaped, without the quotes.
    pub fn push_json(&self, out: &mut Vec<u8>) {
        match self.form {
            Form::Plain | Form::Escaped => out.extend_from_slice(self.bytes),
            Form::Text => json::push_escaped(self.bytes, out),
        }
    }

    /// Returns a message with a text that is not empty.
    pub(super) fn from_value(text: &'a str, source: MessageSource) -> Self {
        Self { form: Form::Text, bytes: text.as_bytes(), text_len: text.len(), source }
    }

    /// Returns a message with the text of a JSON string that is not empty, given its inside: nothing if that is not
    /// UTF-8, or has halves of UTF-16 pairs.
    pub(super) fn from_body(
        bytes: &'a [u8],
        body: StringBody,
        source: MessageSource,
    ) -> Option<Self> {
        let form = match body.escapes {
            Escapes::None => Form::Plain,
            Escapes::Simple => Form::Escaped,
            Escapes::Surrogates => return None,
        };
        if !body.is_ascii && str::from_utf8(bytes).is_err() {
            return None;
        }
        Some(Self { form, bytes, text_len: body.text_len, source })
    }

    /// Returns a message with the text of a JSON value: a string's text, or the value as it stands.
    ///
    /// `value` is valid JSON and not an empty string. A string with a surrogate that has no
    /// partner is not embedded as it is, because readers of JSON differ about it.
    pub(super) fn from_json(
        value: &'a str,
        source: MessageSource,
        scratch: &'a mut String,
    ) -> (Self, Replaced) {
        let Some(bytes) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
            return (Self::from_value(value, source), Replaced::Nothing);
        };
        let in_record = |form, text_len| Self { form, bytes: bytes.as_bytes(), text_len, source };
        match json::text_len(bytes) {
            Some(text_len) if text_len == bytes.len() => {
                (in_record(Form::Plain, text_len), Replaced::Nothing)
            }
            Some(text_len) => (in_record(Form::Escaped, text_len), Replaced::Nothing),
            None => {
                scratch.clear();
                json::push_text(bytes, scratch);
                (Self::from_value(scratch, source), Replaced::Something)
            }
        }
    }
}

impl PartialEq for Message<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Message<'_> {}

/// Shows the length instead of the text: customers' log lines do not belong in our logs.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("text_len", &self.text_len)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
