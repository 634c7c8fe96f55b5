//! Gathers decoded records into segments.
//!
//! A segment is a run of records in file order. It is the unit of commitment:
//! after a failure at most one segment is sent again.

use std::ops::Range;

use crate::{
    decode::message::Message,
    model::events::{EVENT_OVERHEAD_BYTES, EventSpan, MAX_BATCH_BYTES, RecordPlace, Segment},
};

/// A segment is closed when its messages reach this many bytes.
pub(crate) const SEGMENT_BYTES: usize = 4 * 1024 * 1024;
/// A segment is closed when it has this many events.
pub(crate) const SEGMENT_EVENTS: usize = 40_000;
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
    current: Segment,
}

impl SegmentBuilder {
    /// Splits messages that are longer than `max_message_bytes`.
    pub(crate) fn new(max_message_bytes: usize, object_tag: u32) -> Self {
        Self { max_message_bytes, object_tag, current: Segment::default() }
    }

    /// Goes on in the memory of a segment that is done with.
    pub(crate) fn reuse(&mut self, mut done: Segment) {
        done.json.clear();
        done.events.clear();
        self.current = Segment { json: done.json, events: done.events, ..Segment::default() };
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
        self.current.read += 1;
    }

    /// Adds a record that could not be decoded.
    pub(crate) fn push_undecodable(&mut self) {
        self.current.read += 1;
        self.current.undecodable += 1;
    }

    /// Whether the segment should be taken before the next record.
    pub(crate) fn is_full(&self) -> bool {
        self.current.json.len() >= SEGMENT_BYTES
            || self.current.events.len() >= SEGMENT_EVENTS
            || self.current.read >= SEGMENT_RECORDS
    }

    /// Returns what was gathered up to `end`, if there is any, and starts the next segment.
    pub(crate) fn take(&mut self, end: RecordPlace) -> Option<Segment> {
        if self.current.read == 0 {
            return None;
        }
        let mut segment = std::mem::take(&mut self.current);
        segment.end = end;
        Some(segment)
    }

    fn append(&mut self, timestamp_ms: i64, message: &Message<'_>, counts: u8) {
        let start = self.current.json.len();
        message.push_json(&mut self.current.json);
        let json = start..self.current.json.len();
        self.current.events.push(EventSpan {
            timestamp_ms,
            json,
            text_len: message.text_len(),
            counts,
        });
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
        self.current.split += 1;
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
            let mut builder = SegmentBuilder::new(100, 0xab);
            push(&mut builder, 1, &"x".repeat(length));
            let segment = builder.take(end(8)).unwrap();
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
        let mut builder = SegmentBuilder::new(70, 0xab);
        push(&mut builder, 1, &"é".repeat(40));
        let found = messages(builder.take(end(8)).unwrap());
        assert_eq!(found[0], "[mtlog part 1/14 000000ab-7] ééé");
        assert_eq!(found[13], "[mtlog part 14/14 000000ab-7] é");
    }

    #[test]
    fn a_segment_is_full_by_bytes_by_events_and_by_records() {
        let mut bytes = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0);
        for _ in 0..4 {
            assert!(!bytes.is_full());
            push(&mut bytes, 0, &"x".repeat(1_000_000));
        }
        push(&mut bytes, 0, &"x".repeat(SEGMENT_BYTES - 4_000_001));
        assert!(!bytes.is_full());
        push(&mut bytes, 0, "x");
        assert!(bytes.is_full());

        let mut events = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0);
        (0..SEGMENT_EVENTS).for_each(|_| push(&mut events, 0, "x"));
        assert!(events.is_full());
        assert_eq!(events.take(end(3)).unwrap().end.record, 3);
        assert!(!events.is_full());
        assert_eq!(events.take(end(3)), None);

        let mut bad = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0);
        (0..SEGMENT_RECORDS).for_each(|_| bad.push_undecodable());
        assert!(bad.is_full());
    }

    #[test]
    fn nothing_of_a_segment_that_is_done_with_is_left() {
        let mut builder = SegmentBuilder::new(40, 0);
        push(&mut builder, 1, &"x".repeat(50));
        builder.push_undecodable();
        let done = builder.take(end(2)).unwrap();
        let room = done.json.capacity();
        builder.reuse(done);
        assert_eq!(builder.take(end(2)), None);
        push(&mut builder, 9, "y");
        let next = builder.take(end(3)).unwrap();
        assert_eq!(next.json.capacity(), room);
        assert_eq!((next.read, next.undecodable, next.split), (1, 0, 0));
        assert_eq!(messages(next), ["y"]);
    }

    #[test]
    fn a_negative_time_becomes_the_epoch() {
        let mut builder = SegmentBuilder::new(MAX_MESSAGE_BYTES, 0);
        push(&mut builder, -5, "x");
        assert_eq!(builder.take(end(1)).unwrap().events[0].timestamp_ms, 0);
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
