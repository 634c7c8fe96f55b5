//! Gathers decoded records into segments.
//!
//! A segment is a run of records in file order that fills one call, if memory allows. It is the unit of commitment:
//! after a failure the segments that were under way are sent again, and no other.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    decode::message::Message,
    engine::{
        batch::DayBatch,
        budget::{Budget, Grant},
    },
    model::events::{
        EVENT_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, RecordPlace, Segment,
    },
};

/// The most that a segment holds: what fills one call with messages of usual length.
const MAX_SEGMENT_BYTES: usize = MAX_BATCH_BYTES * 7 / 4;
/// A segment is closed after this many records, even if none of them made an event.
const SEGMENT_RECORDS: u64 = 200_000;
/// Room for the marker of a part: `[mtlog part 2/5 0123abcd-42] `.
const MARKER_BYTES: usize = 64;

/// The longest message that a batch can hold: an event alone in its batch.
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES - EVENT_OVERHEAD_BYTES;
/// The longest message in the China regions, where the documentation still gives 256 KiB an event.
pub const MAX_MESSAGE_BYTES_CHINA: usize = 256 * 1024 - EVENT_OVERHEAD_BYTES;

/// What a segment is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Longer messages are split, in bytes of UTF-8.
    pub(crate) max_message_bytes: usize,
    /// The most events of one call.
    pub(crate) max_events: usize,
    /// Tells the parts of this object's messages from those of another.
    pub(crate) object_tag: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { max_message_bytes: MAX_MESSAGE_BYTES, max_events: MAX_BATCH_EVENTS, object_tag: 0 }
    }
}

/// Fills one segment after the other.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    sizes: Sizes,
    current: Held,
}

/// A segment, and the batches that were cut from it.
pub(crate) type Cut = (Arc<Segment>, Vec<DayBatch>);
/// Cuts a segment into batches.
pub(crate) type Cutter = Box<dyn Fn(Segment) -> Cut + Send>;

/// A segment and the memory that it has.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) segment: Segment,
    /// What it takes of the shared memory, unless it is the object's own.
    grant: Option<Grant>,
    spare: Spare,
}

impl Held {
    /// Returns the empty segment that every object has.
    pub(crate) fn own(spare: &Spare) -> Self {
        Self { segment: spare.take(), grant: None, spare: spare.clone() }
    }

    /// Returns an empty segment beyond an object's own, if there is memory for it.
    pub(crate) fn further(spare: &Spare, budget: &Budget) -> Option<Self> {
        let grant = Some(budget.try_take(MAX_SEGMENT_BYTES)?);
        Some(Self { segment: spare.take(), grant, spare: spare.clone() })
    }

    /// Whether somebody else could be short of the memory that this one takes.
    pub(crate) fn is_wanted_elsewhere(&self, budget: &Budget) -> bool {
        self.grant.is_some() && budget.free() < MAX_SEGMENT_BYTES
    }
}

#[cfg(test)]
impl Held {
    /// Returns the segment alone.
    pub(crate) fn into_segment(mut self) -> Segment {
        std::mem::take(&mut self.segment)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.spare.keep(std::mem::take(&mut self.segment));
    }
}

/// Segments that objects before were done with. New memory would have to be asked of the system, page by page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Vec<Segment>>>);

/// How many are kept: as many as one object has.
const SPARE_SEGMENTS: usize = 5;

impl Spare {
    fn take(&self) -> Segment {
        self.segments().pop().unwrap_or_default()
    }

    fn keep(&self, segment: Segment) {
        let mut segments = self.segments();
        // A record of many MiB has made it too long to be kept.
        if segments.len() < SPARE_SEGMENTS
            && (1..=2 * MAX_SEGMENT_BYTES).contains(&segment.capacity())
        {
            segments.push(segment.emptied());
        }
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentBuilder {
    /// Begins with `first`.
    pub(crate) const fn new(sizes: Sizes, first: Held) -> Self {
        Self { sizes, current: first }
    }

    /// Goes on in the memory of a segment that is done with.
    pub(crate) fn reuse(&mut self, done: Held) {
        self.current = done;
        let segment = std::mem::take(&mut self.current.segment);
        self.current.segment = segment.emptied();
    }

    /// Whether one call takes the message beside the events that are here.
    pub(crate) fn takes(&self, message: &Message<'_>) -> bool {
        let segment = &self.current.segment;
        segment.events().is_empty()
            || (segment.bytes() + message.text_len() + EVENT_OVERHEAD_BYTES <= MAX_BATCH_BYTES
                && segment.events().len() < self.sizes.max_events)
    }

    /// Adds record number `record`. A negative time becomes the epoch: the service refuses the whole batch otherwise
    /// (`timestamp` has a minimum of 0 in the API model), and refuses the epoch by itself as too old.
    pub(crate) fn push_event(&mut self, record: u64, timestamp_ms: i64, message: &Message<'_>) {
        let timestamp_ms = timestamp_ms.max(0);
        if message.text_len() <= self.sizes.max_message_bytes {
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

    /// Whether the segment should be taken before the next record, whatever that is.
    pub(crate) fn is_full(&self) -> bool {
        let segment = &self.current.segment;
        segment.read >= SEGMENT_RECORDS || segment.held() >= MAX_SEGMENT_BYTES
    }

    /// Returns what was gathered up to `end`, if there is any. The next segment has no memory yet.
    pub(crate) fn take(&mut self, end: RecordPlace) -> Option<Held> {
        if self.current.segment.read == 0 {
            return None;
        }
        let mut held = std::mem::take(&mut self.current);
        held.segment.end = end;
        Some(held)
    }

    fn append(&mut self, timestamp_ms: i64, message: &Message<'_>, counts: u8) {
        let write = |json: &mut Vec<u8>| message.push_json(json);
        self.current.segment.push(timestamp_ms, message.text_len(), counts, write);
    }

    fn append_parts(&mut self, record: u64, timestamp_ms: i64, text: &str) {
        let Sizes { max_message_bytes, object_tag, .. } = self.sizes;
        let parts = cut_at_characters(text, max_message_bytes.saturating_sub(MARKER_BYTES));
        let count = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            let body = text.get(part).unwrap_or_default();
            let marked =
                format!("[mtlog part {}/{count} {object_tag:08x}-{record}] {body}", index + 1);
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
    use proptest::prelude::*;

    use super::*;
    use crate::model::events::Batch;

    fn messages(segment: Segment) -> Vec<String> {
        let all = (0..u32::try_from(segment.events().len()).unwrap()).collect();
        Batch::new(Arc::new(segment), all).events().map(|event| event.text()).collect()
    }

    fn push(builder: &mut SegmentBuilder, at: i64, text: &str) {
        builder.push_event(7, at, &Message::from_text(text).unwrap());
    }

    fn takes(builder: &SegmentBuilder, text: &str) -> bool {
        builder.takes(&Message::from_text(text).unwrap())
    }

    fn end(record: u64) -> RecordPlace {
        RecordPlace { record, ..RecordPlace::default() }
    }

    fn builder(max_message_bytes: usize) -> SegmentBuilder {
        let sizes = Sizes { max_message_bytes, object_tag: 0xab, ..Sizes::default() };
        SegmentBuilder::new(sizes, Held::default())
    }

    #[test]
    fn a_message_at_the_limit_is_whole_and_one_beyond_is_split() {
        for (length, parts) in [(99, 1), (100, 1), (101, 3), (500, 14)] {
            let mut builder = builder(100);
            push(&mut builder, 1, &"x".repeat(length));
            let segment = builder.take(end(8)).unwrap().into_segment();
            assert_eq!(segment.events().len(), parts, "{length}");
            assert_eq!(segment.events().iter().map(|span| u64::from(span.counts)).sum::<u64>(), 1);
            assert_eq!(
                (segment.read, segment.end.record, segment.split),
                (1, 8, u64::from(parts > 1))
            );
            assert!(messages(segment).iter().all(|message| message.len() <= 100));
        }
    }

    #[test]
    fn parts_say_which_they_are() {
        let mut builder = builder(70);
        push(&mut builder, 1, &"é".repeat(40));
        let found = messages(builder.take(end(8)).unwrap().into_segment());
        assert_eq!(found[0], "[mtlog part 1/14 000000ab-7] ééé");
        assert_eq!(found[13], "[mtlog part 14/14 000000ab-7] é");
    }

    #[test]
    fn a_segment_takes_what_one_call_takes() {
        let mut bytes = SegmentBuilder::new(Sizes::default(), Held::default());
        let half = "x".repeat(MAX_BATCH_BYTES / 2 - EVENT_OVERHEAD_BYTES);
        push(&mut bytes, 0, &half);
        assert!(takes(&bytes, &half) && !takes(&bytes, &format!("{half}x")));
        push(&mut bytes, 0, &half);
        assert!(!takes(&bytes, "x") && !bytes.is_full());
        let segment = bytes.take(end(3)).unwrap().into_segment();
        assert_eq!((segment.bytes(), segment.end.record), (MAX_BATCH_BYTES, 3));
        // Alone, anything is taken: a long message is split, or fills a call by itself.
        assert!(takes(&bytes, &"x".repeat(MAX_BATCH_BYTES + 1)));
        assert!(bytes.take(end(3)).is_none());

        let sizes = Sizes { max_events: 3, ..Sizes::default() };
        let mut events = SegmentBuilder::new(sizes, Held::default());
        (0..3).for_each(|_| push(&mut events, 0, "x"));
        assert!(!takes(&events, "x"));
        drop(events.take(end(3)));
        assert!(takes(&events, "x"));

        let mut bad = SegmentBuilder::new(Sizes::default(), Held::default());
        (0..SEGMENT_RECORDS).for_each(|_| bad.push_undecodable());
        assert!(bad.is_full());
    }

    #[test]
    fn a_segment_of_many_escapes_is_full_before_a_call_is() {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        let control = "\u{1}".repeat(1000);
        while !builder.is_full() {
            assert!(takes(&builder, &control));
            push(&mut builder, 0, &control);
        }
        // Six bytes stand for each.
        let segment = builder.take(end(1)).unwrap().into_segment();
        assert!((MAX_SEGMENT_BYTES..MAX_SEGMENT_BYTES + 6_100).contains(&segment.held()));
        assert!(segment.bytes() < MAX_SEGMENT_BYTES / 5);
    }

    #[test]
    fn a_further_segment_takes_of_what_all_objects_share_and_an_own_one_does_not() {
        let budget = Budget::new(2 * MAX_SEGMENT_BYTES);
        let (own, first) = (Held::default(), Held::further(&Spare::default(), &budget).unwrap());
        assert!(!own.is_wanted_elsewhere(&budget) && !first.is_wanted_elsewhere(&budget));
        let second = Held::further(&Spare::default(), &budget).unwrap();
        assert!(Held::further(&Spare::default(), &budget).is_none());
        assert!(!own.is_wanted_elsewhere(&budget) && first.is_wanted_elsewhere(&budget));
        drop(second);
        assert!(!first.is_wanted_elsewhere(&budget));
        // It stays with the segment for as long as that is used again.
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        builder.reuse(first);
        push(&mut builder, 0, "x");
        let used = builder.take(end(1)).unwrap();
        assert_eq!(budget.free(), MAX_SEGMENT_BYTES);
        drop(used);
        assert_eq!(budget.free(), 2 * MAX_SEGMENT_BYTES);
    }

    #[test]
    fn nothing_of_a_segment_that_is_done_with_is_left() {
        let mut builder = builder(40);
        push(&mut builder, 1, &"x".repeat(50));
        builder.push_undecodable();
        let mut done = builder.take(end(2)).unwrap();
        assert!(done.segment.enclose(b"the front of", b"and what is behind").is_some());
        builder.reuse(done);
        assert!(builder.take(end(2)).is_none());
        push(&mut builder, 9, "y");
        let next = builder.take(end(3)).unwrap().into_segment();
        assert_eq!((next.read, next.undecodable, next.split), (1, 0, 0));
        assert_eq!((next.bytes(), next.events().len()), (1 + EVENT_OVERHEAD_BYTES, 1));
        assert_eq!(messages(next), ["y"]);
    }

    #[test]
    fn what_one_object_is_done_with_is_where_the_next_begins() {
        let spare = Spare::default();
        let fill = |held: Held, length: usize| {
            let mut builder = SegmentBuilder::new(Sizes::default(), held);
            push(&mut builder, 0, &"x".repeat(length));
            builder.take(end(1)).unwrap()
        };
        let used = fill(Held::own(&spare), 100_000);
        let room = used.segment.capacity();
        drop(used);
        let next = Held::own(&spare);
        assert_eq!((next.segment.capacity(), next.segment.events().len()), (room, 0));
        assert_eq!(Held::own(&spare).segment.capacity(), 0, "it was the only one");
        // No more than one object needs, and nothing that one long record has made.
        drop((0..9).map(|_| fill(Held::default(), 1)).collect::<Vec<_>>());
        let all: Vec<Held> = (0..9).map(|_| fill(Held::own(&spare), 1)).collect();
        drop(all);
        assert_eq!(spare.segments().len(), SPARE_SEGMENTS);
        spare.segments().clear();
        spare.keep(fill(Held::default(), 3 * MAX_SEGMENT_BYTES).into_segment());
        assert!(spare.segments().is_empty());
    }

    #[test]
    fn a_negative_time_becomes_the_epoch() {
        let mut builder = SegmentBuilder::new(Sizes::default(), Held::default());
        push(&mut builder, -5, "x");
        assert_eq!(builder.take(end(1)).unwrap().segment.events()[0].timestamp_ms, 0);
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
