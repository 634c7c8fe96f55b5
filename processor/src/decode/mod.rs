//! Bytes of a stored object in, log events out.
//!
//! Owns the compression, the framing and the meaning of a record: which text is the message and
//! which instant is the timestamp. It is synchronous and streaming, its memory does not depend on
//! the size of the object, and it knows neither AWS nor an async runtime.
//!
//! Every record of the input becomes exactly one [`Decoded`]: an event, or a bad record with its
//! position and the reason. So `records = events + bad` holds at any moment ([`Counters`]).
//!
//! ```
//! use mtlog_processor::decode::{Decoded, Decoder, Options};
//!
//! let object = br#"[{"message":"started","timestamp":"2026-11-23T09:41:33.25Z"},7]"#;
//! let mut decoder = Decoder::new(&object[..], Options { fallback_timestamp_ms: 0, ..Options::default() });
//! let mut seen = Vec::new();
//! while let Some(decoded) = decoder.next()? {
//!     match decoded {
//!         Decoded::Event(event) => seen.push(format!("{} {}", event.timestamp_ms, event.message.text())),
//!         Decoded::Bad(bad) => seen.push(format!("byte {}: {}", bad.position.offset, bad.reason)),
//!     }
//! }
//! assert_eq!(seen, ["1795426893250 started", "byte 61: the record is not a JSON object"]);
//! # Ok::<(), mtlog_processor::decode::DecodeError>(())
//! ```

use std::{
    fmt,
    io::{self, Read},
};

use thiserror::Error;

use self::{
    gzip::GzipError,
    message::{Message, MessageSource, Replaced},
    reader::{By, Meaning, Reader},
    records::{FrameKind, Records},
    timestamp::{Found, TimestampSource},
    window::Window,
};

mod extent;
mod fields;
pub mod gzip;
mod json;
pub mod message;
mod plain;
mod reader;
mod records;
mod template;
pub mod timestamp;
mod walk;
mod window;

#[cfg(test)]
mod tests;

/// Bounds of what one object may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest record in bytes of decompressed input; a longer one is reported and skipped.
    /// The decoder's read buffer is at most this and 256 KiB. A record that is not UTF-8, or whose
    /// message has to be rebuilt, is copied besides, which can triple it.
    pub max_record: usize,
    /// Decompressed bytes up to which any compression ratio is accepted.
    pub max_inflated: u64,
    /// Decompressed bytes per compressed byte beyond which an object larger than `max_inflated`
    /// is a decompression bomb. Deflate cannot exceed 1032.
    pub max_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_record: 16 << 20, max_inflated: 1 << 30, max_ratio: 1000 }
    }
}

/// What a decoder needs besides the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Bounds of what the object may cost.
    pub limits: Limits,
    /// The timestamp of a record that carries no usable one, in milliseconds since the Unix
    /// epoch: the object's last modification, so that a redelivery gives the same events.
    pub fallback_timestamp_ms: i64,
    /// How records are read.
    pub reading: Reading,
}

/// The two ways to read a record, which give the same result for every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// Compares a record with the layout of the records before it, and falls back to `Plain`.
    #[default]
    Fast,
    /// Parses every record with `serde_json`: the reference for tests and benchmarks.
    Plain,
}

/// Where a record stands in the decompressed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Number of records before it, good or bad.
    pub index: u64,
    /// Offset of its first byte in the decompressed object.
    pub offset: u64,
    /// Its length in bytes of decompressed input.
    pub len: u64,
}

/// A place between two records from which decoding can go on in another process.
///
/// It is valid for the same bytes only: the caller ties it to the object's `ETag`. The default is
/// the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResumePoint {
    /// Number of records before the place, good or bad.
    pub record: u64,
    /// Offset in the decompressed object.
    pub offset: u64,
    /// What encloses the place.
    pub framing: Framing,
}

/// What encloses a place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// Nothing: records follow each other, on lines of their own or not.
    #[default]
    Sequence,
    /// A JSON array.
    Array,
}

/// One record of the input.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// The record is a log event.
    Event(LogEvent<'a>),
    /// The record cannot be delivered.
    Bad(BadRecord<'a>),
}

/// A log event, as far as it can be told from the record alone.
#[derive(Clone, Copy)]
pub struct LogEvent<'a> {
    /// Where the record stands.
    pub position: Position,
    /// Milliseconds since the Unix epoch: from 0 to the end of the year 9999 if the record's
    /// `timestamp`, `.timestamp` or `time` says so, otherwise [`Options::fallback_timestamp_ms`].
    pub timestamp_ms: i64,
    /// Where `timestamp_ms` comes from.
    pub timestamp_source: TimestampSource,
    /// The text to deliver, never empty: `message`, `.`, `log` or the record itself.
    pub message: Message<'a>,
    /// The whole record as it stands in the object.
    pub raw: &'a [u8],
}

/// A record that cannot be delivered.
#[derive(Clone, Copy)]
pub struct BadRecord<'a> {
    /// Where the record stands.
    pub position: Position,
    /// Why it cannot be delivered.
    pub reason: BadReason,
    /// The record as it stands in the object; of an oversized one, its first
    /// [`MAX_OVERSIZED_SAMPLE`] bytes.
    pub raw: &'a [u8],
}

/// How much of an oversized record is kept for [`BadRecord::raw`], in bytes.
pub const MAX_OVERSIZED_SAMPLE: usize = 4096;

/// Why a record cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadReason {
    /// It starts like an object and is not valid JSON.
    Syntax,
    /// It is something else than a JSON object: a scalar, a nested array, plain text.
    NotAnObject,
    /// It is longer than [`Limits::max_record`].
    Oversized,
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The input ends inside the record.
    Truncated,
    /// The input ends inside an array, after a complete record.
    UnclosedArray,
}

/// The deepest nesting of objects and arrays in a record, the record itself included.
pub const MAX_DEPTH: usize = 128;

impl BadReason {
    /// Returns a word for metrics and message attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::NotAnObject => "not_an_object",
            Self::Oversized => "oversized",
            Self::TooDeep => "too_deep",
            Self::Truncated => "truncated",
            Self::UnclosedArray => "unclosed_array",
        }
    }
}

/// What a decoder has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes read from the source.
    pub bytes_read: u64,
    /// Bytes after decompression; the same as `bytes_read` for a plain object.
    pub bytes_inflated: u64,
    /// Records returned: `events + bad`.
    pub records: u64,
    /// Records returned as events.
    pub events: u64,
    /// Records returned as bad.
    pub bad: u64,
    /// Events without a timestamp field.
    pub timestamps_missing: u64,
    /// Events with a timestamp field that says no usable instant.
    pub timestamps_unusable: u64,
    /// Events whose message comes from the field `log` or `.`.
    pub messages_from_other_field: u64,
    /// Events whose message is the record itself.
    pub messages_from_record: u64,
    /// Events whose record is not UTF-8, or whose message holds a surrogate without a partner:
    /// U+FFFD stands for what is not Unicode.
    pub lossy: u64,
    /// Events read by comparison with the records before them.
    pub compared: u64,
}

/// The object cannot be read on.
///
/// All records before the failure have been returned. The compressed or plain bytes after it are
/// not accounted for: the object as a whole has failed.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The source of the bytes failed; calling `next` again fails again.
    #[error("failed to read the object")]
    Read(#[source] io::Error),
    /// The compression is broken or refused; calling `next` again gives the same error.
    #[error("failed to decompress the object")]
    Gzip(#[source] GzipError),
}

/// Turns the bytes of one object into records.
#[derive(Debug)]
pub struct Decoder<R> {
    records: Records<R>,
    reader: Reader,
    fallback_timestamp_ms: i64,
    counters: Counters,
}

impl<R: Read> Decoder<R> {
    /// Reads an object from its beginning; `source` gives its bytes as stored.
    pub fn new(source: R, options: Options) -> Self {
        Self::resume(source, options, ResumePoint::default())
    }

    /// Reads an object from a place that [`resume_point`](Self::resume_point) gave.
    ///
    /// `source` gives the bytes from the object's beginning again: they are decompressed and
    /// passed over. An object that ends before the place has no records left.
    pub fn resume(source: R, options: Options, from: ResumePoint) -> Self {
        Self::over(Window::new(source, &options), &options, from)
    }

    fn over(window: Window<R>, options: &Options, from: ResumePoint) -> Self {
        Self {
            records: Records::new(window, options, from),
            reader: Reader::new(options.reading),
            fallback_timestamp_ms: options.fallback_timestamp_ms,
            counters: Counters::default(),
        }
    }

    /// Returns the next record, or nothing at the end of the object.
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from the decoder, which an iterator cannot express"
    )]
    pub fn next(&mut self) -> Result<Option<Decoded<'_>>, DecodeError> {
        let Some(frame) = self.records.next(&mut self.reader)? else {
            return Ok(None);
        };
        let raw = self.records.raw(&frame);
        let meaning = match frame.kind {
            // An error is impossible after the record was recognised, and is no reason to stop.
            FrameKind::Record => self.reader.read(raw).map_err(|_| BadReason::Syntax),
            FrameKind::Bad(reason) => Err(reason),
        };
        self.counters.count(meaning.as_ref().ok());
        let position = frame.position;
        Ok(Some(match meaning {
            Ok(meaning) => {
                let (timestamp_ms, timestamp_source) = match meaning.timestamp {
                    Found::At(milliseconds) => (milliseconds, TimestampSource::Record),
                    Found::Missing => {
                        (self.fallback_timestamp_ms, TimestampSource::FallbackMissing)
                    }
                    Found::Unusable => {
                        (self.fallback_timestamp_ms, TimestampSource::FallbackUnusable)
                    }
                };
                Decoded::Event(LogEvent {
                    position,
                    timestamp_ms,
                    timestamp_source,
                    message: meaning.message,
                    raw,
                })
            }
            Err(reason) => Decoded::Bad(BadRecord { position, reason, raw }),
        }))
    }

    /// Returns the place after the last returned record.
    pub fn resume_point(&self) -> ResumePoint {
        self.records.place()
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        let window = self.records.window();
        Counters {
            bytes_read: window.bytes_read(),
            bytes_inflated: window.bytes_inflated(),
            ..self.counters
        }
    }

    /// Returns the memory that the decoder holds for data, in bytes.
    pub fn buffered(&self) -> usize {
        self.records.window().buffered() + self.reader.buffered()
    }
}

impl Counters {
    /// Counts a record, which is bad if it has no meaning.
    fn count(&mut self, meaning: Option<&Meaning<'_>>) {
        self.records += 1;
        let Some(meaning) = meaning else {
            self.bad += 1;
            return;
        };
        self.events += 1;
        match meaning.timestamp {
            Found::At(_) => {}
            Found::Missing => self.timestamps_missing += 1,
            Found::Unusable => self.timestamps_unusable += 1,
        }
        match meaning.message.source() {
            MessageSource::Message => {}
            MessageSource::OtherField => self.messages_from_other_field += 1,
            MessageSource::Record => self.messages_from_record += 1,
        }
        self.lossy += u64::from(meaning.replaced == Replaced::Something);
        self.compared += u64::from(meaning.by == By::Comparison);
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the record is not valid JSON",
            Self::NotAnObject => "the record is not a JSON object",
            Self::Oversized => "the record is too long",
            Self::TooDeep => "the record is nested too deep",
            Self::Truncated => "the object ends inside the record",
            Self::UnclosedArray => "the object ends inside an array",
        })
    }
}

/// Shows lengths instead of content: customers' log lines do not belong in our logs.
impl fmt::Debug for LogEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEvent")
            .field("position", &self.position)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("timestamp_source", &self.timestamp_source)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// Shows lengths instead of content: customers' log lines do not belong in our logs.
impl fmt::Debug for BadRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadRecord")
            .field("position", &self.position)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
