//! Gathers decoded records into segments.
//!
//! A segment is a run of records in file order. It is the unit of commitment:
//! after a failure at most one segment is sent again.

use std::ops::Range;

use crate::{
    decode::message::Message,
    engine::budget::{Budget, Grant},
    model::events::{EVENT_OVERHEAD_BYTES, EventSpan, MAX_BATCH_BYTES, RecordPlace, Segment},
};

/// A segment is closed when its messages reach this many bytes.
pub(crate) const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
/// A segment is closed when it has this many events.
pub(crate) const SEGMENT_EVENTS: usize = 40_000;
/// How much every segment may hold, whatever else is in work: the least share of an object.
pub(crate) const OWN_SEGMENT_BYTES: usize = 512 * 1024;
/// What a segment holds when it is full in both ways.
const FULL_BYTES: usize = SEGMENT_BYTES + SEGMENT_EVENTS * size_of::<EventSpan>();
/// A segment is closed after this many records, even if none of them made an event.
const SEGMENT_RECORDS: u64 = 200_000;
/// Room for the marker of a part: `[mtlog part 2/5 0123abcd-42] `.
const MARKER_BYTES: usize = 64;

/// The longest message that a batch can hold: an event alone in its batch.
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES - EVENT_OVERHEAD_BYTES;
/// The longest message in the China regions, where the documentation still gives 256 KiB an event.
pub const MAX_MESSAGE_BYTES_CHINA: usize = 256 * 1024 - EVENT_OVERHEAD_BYTES;

/// Fills one segment after the other.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    max_message_bytes: usize,
    /// Tells the parts of this object's messages from those of another.
    object_tag: u32,
    budget: Budget,
    current: Held,
}

/// A segment and what it holds of the shared memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) segment: Segment,
    grant: Grant,
}

impl Held {
    /// Returns an empty segment.
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { segment: Segment::default(), grant: budget.nothing() }
    }

    /// Goes on in the memory of a segment that is done with, or gives it back where others are short of it.
    fn emptied(self, budget: &Budget) -> Self {
        if self.grant.bytes() > budget.free() {
            return Self::new(budget);
        }
        let Segment { mut json, mut events, .. } = self.segment;
        json.clear();
        events.clear();
        Self { segment: Segment { json, events, ..Segment::default() }, grant: self.grant }
    }

    /// Whether the memory that the segment may use is used up, after a try to get more.
    fn is_at_its_bound(&mut self) -> bool {
        let held = self.segment.json.len() + self.segment.events.len() * size_of::<EventSpan>();
        let mut room = OWN_SEGMENT_BYTES + self.grant.bytes();
        while held >= room && room < FULL_BYTES {
            if !self.grant.try_widen(room.min(FULL_BYTES - room)) {
                return true;
            }
            room = OWN_SEGMENT_BYTES + self.grant.bytes();
        }
        held >= room
    }
}

impl SegmentBuilder {
    /// Splits messages that are longer than `max_message_bytes`. Segments become as long as `budget` allows.
    pub(crate) fn new(max_message_bytes: usize, object_tag: u32, budget: Budget) -> Self {
        let current = Held::new(&budget);
        Self { max_message_bytes, object_tag, budget, current }
    }

    /// Fills segments as if nothing else were in work.
    pub(crate) fn unbounded(max_message_bytes: usize) -> Self {
        Self::new(max_message_bytes, 0, Budget::new(usize::MAX))
    }

    /// Goes on in the memory of a segment that is done with.
    pub(crate) fn reuse(&mut self, done: Held) {
        self.current = done.emptied(&self.budget);
    }

    /// Adds record number `record`. A negative time becomes the epoch: the service refuses the whole batch otherwise
    /// (`timestamp` has a minimum of 0 in the API model), and refuses the epoch by itself as too old.
    pub(crate) fn push_event(&mut self, record: u64, timestamp_ms: i64, message: &Message<'_>) {
        let timestamp_ms = timestamp_ms.max(0);
        if message.text_len() <= self.max_message_bytes {
            self.append(timestamp_ms, message, 1);
        } else {
            self.append_parts(record, timestamp_ms, &message.text());
        }
        self.current.segment.read += 1;
    }

    /// Adds a record that could not be decoded.
    pub(crate) fn push_undecodable(&mut self) {
        self.current.segment.read += 1;
        self.current.segment.undecodable += 1;
    }

    /// Whether the segment should be taken before the next record.
    pub(crate) fn is_full(&mut self) -> bool {
        let segment = &self.current.segment;
        segment.json.len() >= SEGMENT_BYTES
            || segment.events.len() >= SEGMENT_EVENTS
            || segment.read >= SEGMENT_RECORDS
            || self.current.is_at_its_bound()
    }

    /// Returns what was gathered up to `end`, if there is any, and starts the next segment.
    pub(crate) fn take(&mut self, end: RecordPlace) -> Option<Held> {
        if self.current.segment.read == 0 {
            return None;
        }
        let mut held = std::mem::replace(&mut self.current, Held::new(&self.budget));
        held.segment.end = end;
        Some(held)
    }

    fn append(&mut self, timestamp_ms: i64, message: &Message<'_>, counts: u8) {
        let segment = &mut self.current.segment;
        let start = segment.json.len();
        message.push_json(&mut segment.json);
        let json = start..segment.json.len();
        segment.events.push(EventSpan { timestamp_ms, json, text_len: message.text_len(), counts });
    }

    fn append_parts(&mut self, record: u64, timestamp_ms: i64, text: &str) {
        let parts = cut_at_characters(text, self.max_message_bytes.saturating_sub(MARKER_BYTES));
        let count = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            let body = text.get(part).unwrap_or_default();
            let marked = format!(
                "[mtlog part {}/{count} {:08x}-{record}] {body}",
                index + 1,
                self.object_tag
            );
            if let Some(message) = Message::from_text(&marked) {
                self.append(timestamp_ms, &message, u8::from(index == 0));
            }
        }
        self.current.segment.split += 1;
    }
}

/// Cuts `text` into pieces of at most `limit` bytes, never inside a character.
fn cut_at_characters(text: &str, limit: usize) -> Vec<Range<usize>> {
    // A character has at most four bytes; a smaller limit could not make progress.
    let limit = limit.max(4);
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let mut end = (start + limit).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        pieces.push(start..end);
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::events::Batch;

    fn messages(segment: Segment) -> Vec<String> {
        let all = (0..u32::try_from(segment.events.len()).unwrap()).collect();
        Batch::new(Arc::new(segment), all).events().map(|event| event.text()).collect()
    }

    fn push(builder: &mut SegmentBuilder, at: i64, text: &str) {
        builder.push_event(7, at, &Message::from_text(text).unwrap());
    }

    fn end(record: u64) -> RecordPlace {
        RecordPlace { record, ..RecordPlace::default() }
    }

    #[test]
    fn a_message_at_the_limit_is_whole_and_one_beyond_is_split() {
        for (length, parts) in [(99, 1), (100, 1), (101, 3), (500, 14)] {
            let mut builder = SegmentBuilder::new(100, 0xab, Budget::new(usize::MAX));
            push(&mut builder, 1, &"x".repeat(length));
            let segment = builder.take(end(8)).unwrap().segment;
            assert_eq!(segment.events.len(), parts, "{length}");
            assert_eq!(segment.events.iter().map(|span| u64::from(span.counts)).sum::<u64>(), 1);
            assert_eq!(
                (segment.read, segment.end.record, segment.split),
                (1, 8, u64::from(parts > 1))
            );
            assert!(messages(segment).iter().all(|message| message.len() <= 100));
        }
    }

    #[test]
    fn parts_say_which_they_are() {
        let mut builder = SegmentBuilder::new(70, 0xab, Budget::new(usize::MAX));
        push(&mut builder, 1, &"é".repeat(40));
        let found = messages(builder.take(end(8)).unwrap().segment);
        assert_eq!(found[0], "[mtlog part 1/14 000000ab-7] ééé");
        assert_eq!(found[13], "[mtlog part 14/14 000000ab-7] é");
    }

    #[test]
    fn a_segment_is_full_by_bytes_by_events_and_by_records() {
        let mut bytes = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
        for _ in 0..4 {
            assert!(!bytes.is_full());
            push(&mut bytes, 0, &"x".repeat(1_000_000));
        }
        push(&mut bytes, 0, &"x".repeat(SEGMENT_BYTES - 4_000_001));
        assert!(!bytes.is_full());
        push(&mut bytes, 0, "x");
        assert!(bytes.is_full());

        let mut events = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
        (0..SEGMENT_EVENTS).for_each(|_| push(&mut events, 0, "x"));
        assert!(events.is_full());
        assert_eq!(events.take(end(3)).unwrap().segment.end.record, 3);
        assert!(!events.is_full());
        assert!(events.take(end(3)).is_none());

        let mut bad = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
        (0..SEGMENT_RECORDS).for_each(|_| bad.push_undecodable());
        assert!(bad.is_full());
    }

    #[test]
    fn a_segment_is_as_long_as_the_shared_memory_allows() {
        let budget = Budget::new(OWN_SEGMENT_BYTES);
        let filled = |builder: &mut SegmentBuilder| {
            while !builder.is_full() {
                push(builder, 0, &"x".repeat(1000));
            }
            builder.take(end(1)).unwrap()
        };
        let lengths = |held: &Held| held.segment.json.len() / OWN_SEGMENT_BYTES;
        let mut first = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0, budget.clone());
        let mut second = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0, budget.clone());
        let long = filled(&mut first);
        assert!(long.segment.json.len() > OWN_SEGMENT_BYTES * 9 / 10);
        assert_eq!((lengths(&filled(&mut second)), budget.free()), (0, 0));
        // What is done with goes back to where the others find it.
        first.reuse(long);
        assert_eq!(budget.free(), OWN_SEGMENT_BYTES);
        let long = filled(&mut second);
        assert!(long.segment.json.len() > OWN_SEGMENT_BYTES * 9 / 10);
        drop((first, second, long));
        assert_eq!(budget.free(), OWN_SEGMENT_BYTES);
    }

    #[test]
    fn nothing_of_a_segment_that_is_done_with_is_left() {
        let mut builder = SegmentBuilder::new(40, 0, Budget::new(usize::MAX));
        push(&mut builder, 1, &"x".repeat(50));
        builder.push_undecodable();
        let done = builder.take(end(2)).unwrap();
        let room = done.segment.json.capacity();
        builder.reuse(done);
        assert!(builder.take(end(2)).is_none());
        push(&mut builder, 9, "y");
        let next = builder.take(end(3)).unwrap().segment;
        assert_eq!(next.json.capacity(), room);
        assert_eq!((next.read, next.undecodable, next.split), (1, 0, 0));
        assert_eq!(messages(next), ["y"]);
    }

    #[test]
    fn a_negative_time_becomes_the_epoch() {
        let mut builder = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
        push(&mut builder, -5, "x");
        assert_eq!(builder.take(end(1)).unwrap().segment.events[0].timestamp_ms, 0);
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_text_and_keep_the_limit(text in "\\PC{0,200}", limit in 4_usize..40) {
            let pieces = cut_at_characters(&text, limit);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= limit));
            let whole: String = pieces.into_iter().map(|piece| text.get(piece).unwrap_or_default().to_owned()).collect();
            prop_assert_eq!(whole, text);
        }
    }
}
