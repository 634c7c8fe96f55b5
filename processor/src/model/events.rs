//! Log events on their way to CloudWatch Logs: segments and the batches cut from them.
//!
//! A segment owns the messages of its events in one allocation, as the insides of
//! JSON strings: that is how the request wants them. Batches lend from it.
//! Limits are those of `PutLogEvents` in the API model:
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The most bytes of one batch: the messages in UTF-8 and [`EVENT_OVERHEAD_BYTES`] for each event.
pub const MAX_BATCH_BYTES: usize = 1_048_576;
/// What each event adds to a batch's size, in bytes.
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// The most events of one batch.
pub const MAX_BATCH_EVENTS: usize = 10_000;
/// A batch's events must lie within 24 hours; in milliseconds.
pub const MAX_BATCH_SPAN_MS: i64 = 24 * 60 * 60 * 1000;
/// One day, in milliseconds. Log streams are cut at midnight UTC.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Where one event lies in its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSpan {
    /// When it happened, in milliseconds since the epoch, not negative.
    pub timestamp_ms: i64,
    /// The message in the segment's JSON.
    pub json: Range<usize>,
    /// The length of the message in bytes of UTF-8, as the service counts it.
    pub text_len: usize,
    /// 1 for the (first part of a) record, which the ledger counts; 0 for further parts.
    pub counts: u8,
}

/// A place between two records of an object, from which reading can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordPlace {
    /// The records before it.
    pub record: u64,
    /// Its offset in the decompressed object.
    pub offset: u64,
    /// Whether it lies inside a JSON array.
    pub in_array: bool,
}

/// A run of records in file order, small enough to hold, with what the decoder said of them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// The messages, one after the other, each the inside of a JSON string.
    pub json: Vec<u8>,
    /// The events in `json`.
    pub events: Vec<EventSpan>,
    /// The records read for this segment, the undecodable ones included.
    pub read: u64,
    /// The records that could not be decoded.
    pub undecodable: u64,
    /// Messages that were split because they exceed the limit of one event.
    pub split: u64,
    /// The place after the segment.
    pub end: RecordPlace,
}

/// Shows sizes instead of content: customers' log lines do not belong in our logs.
impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("bytes", &self.json.len())
            .field("events", &self.events.len())
            .field("read", &self.read)
            .field("undecodable", &self.undecodable)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// One event of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BatchEvent<'a> {
    /// When it happened, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The message as the inside of a JSON string.
    pub json: &'a [u8],
}

/// Shows sizes instead of content.
impl fmt::Debug for BatchEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchEvent")
            .field("timestamp_ms", &self.timestamp_ms)
            .field("bytes", &self.json.len())
            .finish()
    }
}

impl BatchEvent<'_> {
    /// Returns the message itself.
    pub fn text(&self) -> String {
        let quoted = [b"\"".as_slice(), self.json, b"\""].concat();
        serde_json::from_slice(&quoted)
            .unwrap_or_else(|_| String::from_utf8_lossy(self.json).into_owned())
    }
}

/// Events for one log stream that one `PutLogEvents` call takes.
#[derive(Clone)]
pub struct Batch {
    segment: Arc<Segment>,
    /// Indices into the segment's events, in the order in which they are sent.
    events: Vec<u32>,
    bytes: usize,
    /// What a call sends, once it is written. A batch goes to one log stream, however often it is sent.
    request: OnceLock<Bytes>,
}

/// Shows sizes instead of content.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("events", &self.events.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Batch {
    /// Makes a batch of the events of `segment` at `events`. Indices outside the segment are left out.
    pub fn new(segment: Arc<Segment>, mut events: Vec<u32>) -> Self {
        events.retain(|index| segment.events.get(*index as usize).is_some());
        let mut batch = Self { segment, events, bytes: 0, request: OnceLock::new() };
        batch.bytes = batch.spans().map(|span| span.text_len + EVENT_OVERHEAD_BYTES).sum();
        batch
    }

    /// Returns the events in the order in which they are sent.
    pub fn events(&self) -> impl Iterator<Item = BatchEvent<'_>> {
        self.spans().map(|span| BatchEvent {
            timestamp_ms: span.timestamp_ms,
            json: self.segment.json.get(span.json.clone()).unwrap_or_default(),
        })
    }

    /// Returns what a call sends: what `write` gives the first time, and the same from then on.
    pub fn request(&self, write: impl FnOnce() -> Bytes) -> Bytes {
        self.request.get_or_init(write).clone()
    }

    /// Returns the number of events.
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the size as the service counts it.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many records the events in `range` stand for in the ledger.
    pub fn records(&self, range: Range<usize>) -> u64 {
        let chosen = self.events.get(range).unwrap_or_default();
        chosen
            .iter()
            .filter_map(|index| self.segment.events.get(*index as usize))
            .map(|span| u64::from(span.counts))
            .sum()
    }

    /// Cuts the batch into two halves of the same order; the second may be empty.
    pub fn halves(&self) -> (Self, Self) {
        let (first, second) = self.events.split_at(self.events.len().div_ceil(2));
        let half = |events: &[u32]| Self::new(Arc::clone(&self.segment), events.to_vec());
        (half(first), half(second))
    }

    fn spans(&self) -> impl Iterator<Item = &EventSpan> {
        self.events.iter().filter_map(|index| self.segment.events.get(*index as usize))
    }
}

#[cfg(test)]
impl Batch {
    /// Returns the positions of the events in the segment.
    pub(crate) fn indices(&self) -> &[u32] {
        &self.events
    }
}
