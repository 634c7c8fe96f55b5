//! Log events on their way to CloudWatch Logs: segments and the batches cut from them.
//!
//! A segment owns its events in one allocation, in the form in which a request wants them, with room in front for what
//! a request says before them. So a segment that one call takes as it stands becomes the request without being copied.
//! Other batches lend from it.
//! Limits are those of `PutLogEvents` in the API model:
//! <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// `FRONT` bytes, and the events behind them as the elements of a JSON array, with a comma between two.
    json: Vec<u8>,
    events: Vec<EventSpan>,
    /// The size of a batch of all events, as the service counts it.
    bytes: usize,
    /// The records read for this segment, the undecodable ones included.
    pub read: u64,
    /// The records that could not be decoded.
    pub undecodable: u64,
    /// Messages that were split because they exceed the limit of one event.
    pub split: u64,
    /// The place after the segment.
    pub end: RecordPlace,
}

/// Room for what a request says before its events: both names have at most 512 characters.
const FRONT: usize = 1200;
/// What stands before and behind an event's message.
const OPEN: (&[u8], &[u8]) = (br#"{"timestamp":"#, br#","message":""#);
const CLOSE: &[u8] = br#""}"#;
/// The least that a segment's memory grows by.
const LEAST_GROWTH: usize = 16 * 1024;

impl Segment {
    /// Appends an event. `write` appends its message as the inside of a JSON string; `text_len` is the message's
    /// length in bytes of UTF-8, and `counts` as in [`EventSpan`].
    pub(crate) fn push(
        &mut self,
        timestamp_ms: i64,
        text_len: usize,
        counts: u8,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.make_room(text_len);
        if self.json.is_empty() {
            self.json.resize(FRONT, b' ');
        }
        if !self.events.is_empty() {
            self.json.push(b',');
        }
        self.json.extend_from_slice(OPEN.0);
        self.json.extend_from_slice(itoa::Buffer::new().format(timestamp_ms).as_bytes());
        self.json.extend_from_slice(OPEN.1);
        let start = self.json.len();
        write(&mut self.json);
        self.events.push(EventSpan {
            timestamp_ms,
            json: start..self.json.len(),
            text_len,
            counts,
        });
        self.json.extend_from_slice(CLOSE);
        self.bytes += text_len + EVENT_OVERHEAD_BYTES;
    }

    /// Grows in few steps: each copies what is there, into pages that were not touched before.
    fn make_room(&mut self, text_len: usize) {
        let wanted = FRONT + text_len + 64;
        if self.json.capacity() - self.json.len() < wanted {
            let usual = (3 * self.json.capacity()).clamp(LEAST_GROWTH, MAX_BATCH_BYTES);
            self.json.reserve_exact(wanted.max(usual));
        }
    }

    /// Returns the events in file order.
    pub fn events(&self) -> &[EventSpan] {
        &self.events
    }

    /// Returns the size of a batch of all events, as the service counts it.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the memory that the events take.
    pub(crate) fn held(&self) -> usize {
        self.json.len() + self.events.len() * size_of::<EventSpan>()
    }

    /// Returns how many bytes of events it has memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.json.capacity()
    }

    /// Returns an empty segment in the same memory.
    pub(crate) fn emptied(self) -> Self {
        let Self { mut json, mut events, .. } = self;
        json.truncate(FRONT);
        events.clear();
        Self { json, events, ..Self::default() }
    }

    /// Returns what the segment counts, without its events.
    pub(crate) fn without_events(&self) -> Self {
        let Self { read, undecodable, split, end, .. } = *self;
        Self { read, undecodable, split, end, ..Self::default() }
    }

    /// Makes a request of all events, in file order: returns where it stands, or nothing if `front` is too long for it.
    pub(crate) fn enclose(&mut self, front: &[u8], back: &[u8]) -> Option<Range<usize>> {
        let start = FRONT.checked_sub(front.len())?;
        self.json.get_mut(start..FRONT)?.copy_from_slice(front);
        let end = self.elements(0..self.events.len())?.end;
        self.json.truncate(end);
        self.json.extend_from_slice(back);
        Some(start..self.json.len())
    }

    /// Returns where the events in `run` stand, with the commas between them.
    fn elements(&self, run: Range<usize>) -> Option<Range<usize>> {
        let last = self.events.get(run.end.checked_sub(1)?)?;
        let start = match run.start.checked_sub(1) {
            None => FRONT,
            Some(before) => self.events.get(before)?.json.end + CLOSE.len() + 1,
        };
        Some(start..last.json.end + CLOSE.len())
    }
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
    chosen: Chosen,
    bytes: usize,
    /// What a call sends, once it is written. A batch goes to one log stream, however often it is sent.
    request: OnceLock<Bytes>,
    /// The SHA-256 of a request that stood in its segment, in hexadecimal digits.
    digest: Option<String>,
}

/// Which events of a segment, in the order in which they are sent.
#[derive(Debug, Clone)]
enum Chosen {
    /// Some that stand behind each other in the file.
    Run(Range<usize>),
    /// Those at these positions.
    Picked(Vec<u32>),
}

/// A request that stands in its segment.
struct Enclosed {
    segment: Arc<Segment>,
    place: Range<usize>,
}

impl AsRef<[u8]> for Enclosed {
    fn as_ref(&self) -> &[u8] {
        self.segment.json.get(self.place.clone()).unwrap_or_default()
    }
}

/// Shows sizes instead of content.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("events", &self.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Batch {
    /// Makes a batch of the events of `segment` at `events`. Positions outside the segment are left out.
    pub fn new(segment: Arc<Segment>, mut events: Vec<u32>) -> Self {
        events.retain(|index| segment.events.get(*index as usize).is_some());
        let is_run = events.windows(2).all(|pair| matches!(pair, [one, next] if *next == one + 1));
        let chosen = match events.first() {
            Some(first) if is_run => {
                let first = *first as usize;
                Chosen::Run(first..first + events.len())
            }
            _ => Chosen::Picked(events),
        };
        Self::chosen(segment, chosen)
    }

    /// Makes a batch of all events of `segment`, whose request stands there already. Its hash, which a signature needs,
    /// is taken here: later, the request would have left the processor's cache.
    pub(crate) fn whole(segment: Arc<Segment>, request: Range<usize>) -> Self {
        let enclosed = Enclosed { segment: Arc::clone(&segment), place: request };
        let digest = Some(sha256_digits(enclosed.as_ref()));
        let request = OnceLock::from(Bytes::from_owner(enclosed));
        let chosen = Chosen::Run(0..segment.events.len());
        Self { bytes: segment.bytes, segment, chosen, request, digest }
    }

    fn chosen(segment: Arc<Segment>, chosen: Chosen) -> Self {
        let mut batch = Self { segment, chosen, bytes: 0, request: OnceLock::new(), digest: None };
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

    /// Returns how long the elements are that [`write_elements`](Self::write_elements) appends, or a little more.
    pub(crate) fn elements_len(&self) -> usize {
        /// Timestamps have 13 digits until the year 2286.
        const PER_EVENT: usize = OPEN.0.len() + 13 + OPEN.1.len() + CLOSE.len() + 1;
        self.spans().map(|span| span.json.len() + PER_EVENT).sum()
    }

    /// Appends the events as the elements of a JSON array, each as `InputLogEvent` has it.
    pub(crate) fn write_elements(&self, out: &mut Vec<u8>) {
        let append = |out: &mut Vec<u8>, run| {
            let place = self.segment.elements(run);
            let elements = place.and_then(|place| self.segment.json.get(place));
            out.extend_from_slice(elements.unwrap_or_default());
        };
        match &self.chosen {
            Chosen::Run(run) => append(out, run.clone()),
            Chosen::Picked(events) => {
                for (count, index) in events.iter().enumerate() {
                    if count > 0 {
                        out.push(b',');
                    }
                    append(out, *index as usize..*index as usize + 1);
                }
            }
        }
    }

    /// Returns what a call sends: what `write` gives the first time, and the same from then on.
    pub fn request(&self, write: impl FnOnce() -> Bytes) -> Bytes {
        self.request.get_or_init(write).clone()
    }

    /// Returns the SHA-256 of what a call sends, in hexadecimal digits, if it is known.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether what a call sends is there already.
    pub(crate) fn is_request(&self) -> bool {
        self.request.get().is_some()
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        match &self.chosen {
            Chosen::Run(run) => run.len(),
            Chosen::Picked(events) => events.len(),
        }
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the size as the service counts it.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many records the events in `range` stand for in the ledger.
    pub fn records(&self, range: Range<usize>) -> u64 {
        self.spans().skip(range.start).take(range.len()).map(|span| u64::from(span.counts)).sum()
    }

    /// Cuts the batch into two halves of the same order; the second may be empty.
    pub fn halves(&self) -> (Self, Self) {
        let middle = self.len().div_ceil(2);
        let half = |chosen| Self::chosen(Arc::clone(&self.segment), chosen);
        match &self.chosen {
            Chosen::Run(run) => {
                let middle = run.start + middle;
                (half(Chosen::Run(run.start..middle)), half(Chosen::Run(middle..run.end)))
            }
            Chosen::Picked(events) => {
                let (first, second) = events.split_at(middle);
                (half(Chosen::Picked(first.to_vec())), half(Chosen::Picked(second.to_vec())))
            }
        }
    }

    fn spans(&self) -> impl Iterator<Item = &EventSpan> {
        self.positions().filter_map(|at| self.segment.events.get(at))
    }

    fn positions(&self) -> impl Iterator<Item = usize> {
        let (run, picked) = match &self.chosen {
            Chosen::Run(run) => (run.clone(), [].as_slice()),
            Chosen::Picked(events) => (0..0, events.as_slice()),
        };
        run.chain(picked.iter().map(|index| *index as usize))
    }
}

/// Returns the SHA-256 of some bytes in hexadecimal digits, as a signature wants it.
pub(crate) fn sha256_digits(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
impl Batch {
    /// Returns the positions of the events in the segment.
    pub(crate) fn indices(&self) -> Vec<usize> {
        self.positions().collect()
    }
}
