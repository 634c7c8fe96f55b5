//! Cuts a segment into batches that CloudWatch Logs accepts.

use std::sync::Arc;

use crate::model::events::{
    Batch, DAY_MS, EVENT_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_BATCH_SPAN_MS,
    Segment,
};

/// A batch and the day whose stream it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct DayBatch {
    /// Days since the epoch, in UTC.
    pub(crate) day: i64,
    /// The events.
    pub(crate) batch: Batch,
}

/// Sorts the events of `segment` by time, keeping the file's order among equals, and cuts them greedily into
/// batches within every limit. `max_events` is a lower limit on events than the service's own.
pub(crate) fn cut(segment: &Arc<Segment>, max_events: usize) -> Vec<DayBatch> {
    let max_events = max_events.clamp(1, MAX_BATCH_EVENTS);
    let events = &segment.events;
    let mut order: Vec<u32> = (0..u32::try_from(events.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by_key(|index| events.get(*index as usize).map(|event| event.timestamp_ms));

    let mut batches = Vec::new();
    let mut open: Option<Open> = None;
    for index in order {
        let Some(event) = events.get(index as usize) else { continue };
        let (at, bytes) = (event.timestamp_ms, event.text_len + EVENT_OVERHEAD_BYTES);
        match &mut open {
            Some(batch) if batch.takes(at, bytes, max_events) => batch.add(index, bytes),
            _ => {
                let next = Open { first_ms: at, bytes, events: vec![index] };
                batches.extend(open.replace(next).map(|batch| batch.close(segment)));
            }
        }
    }
    batches.extend(open.map(|batch| batch.close(segment)));
    batches
}

/// A batch that is being filled.
struct Open {
    first_ms: i64,
    bytes: usize,
    events: Vec<u32>,
}

impl Open {
    fn takes(&self, at_ms: i64, bytes: usize, max_events: usize) -> bool {
        self.events.len() < max_events
            && self.bytes + bytes <= MAX_BATCH_BYTES
            && at_ms - self.first_ms < MAX_BATCH_SPAN_MS
            && at_ms.div_euclid(DAY_MS) == self.first_ms.div_euclid(DAY_MS)
    }

    fn add(&mut self, index: u32, bytes: usize) {
        self.events.push(index);
        self.bytes += bytes;
    }

    fn close(self, segment: &Arc<Segment>) -> DayBatch {
        DayBatch {
            day: self.first_ms.div_euclid(DAY_MS),
            batch: Batch::new(Arc::clone(segment), self.events),
        }
    }
}

/// Returns a day as the log stream's name has it: `2026-11-23`.
pub(crate) fn day_name(day: i64) -> String {
    let last = i64::from(jiff::civil::Date::MAX.year()) * 366;
    let seconds = day.clamp(0, last).saturating_mul(DAY_MS / 1000);
    let date = jiff::Timestamp::from_second(seconds)
        .map_or(jiff::civil::Date::MAX, |at| jiff::tz::Offset::UTC.to_datetime(at).date());
    date.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        decode::message::Message,
        engine::segment::{MAX_MESSAGE_BYTES, SegmentBuilder},
        model::events::RecordPlace,
    };

    fn segment(events: &[(i64, usize)]) -> Arc<Segment> {
        let mut builder = SegmentBuilder::unbounded(MAX_MESSAGE_BYTES);
        for (at, length) in events {
            builder.push_event(0, *at, &Message::from_text(&"x".repeat(*length)).unwrap());
        }
        Arc::new(builder.take(RecordPlace::default()).map(|held| held.segment).unwrap_or_default())
    }

    fn sizes(batches: &[DayBatch]) -> Vec<usize> {
        batches.iter().map(|one| one.batch.len()).collect()
    }

    #[test]
    fn batches_are_full_to_the_last_event_and_byte() {
        let small = |count| vec![(0, 1); count];
        assert_eq!(sizes(&cut(&segment(&small(10_000)), MAX_BATCH_EVENTS)), [10_000]);
        assert_eq!(sizes(&cut(&segment(&small(10_001)), MAX_BATCH_EVENTS)), [10_000, 1]);
        assert_eq!(sizes(&cut(&segment(&small(7)), 3)), [3, 3, 1]);
        let half = MAX_BATCH_BYTES / 2 - EVENT_OVERHEAD_BYTES;
        let exact = cut(&segment(&[(0, half), (0, half)]), MAX_BATCH_EVENTS);
        assert_eq!((sizes(&exact), exact[0].batch.bytes()), (vec![2], MAX_BATCH_BYTES));
        assert_eq!(sizes(&cut(&segment(&[(0, half), (0, half + 1)]), MAX_BATCH_EVENTS)), [1, 1]);
        assert_eq!(sizes(&cut(&segment(&[(0, MAX_MESSAGE_BYTES)]), MAX_BATCH_EVENTS)), [1]);
    }

    #[test]
    fn a_day_ends_a_batch() {
        for (times, expected) in [
            (vec![0, DAY_MS - 1], vec![(0, 2)]),
            (vec![0, DAY_MS], vec![(0, 1), (1, 1)]),
            (vec![DAY_MS + 1, 0, 13 * DAY_MS], vec![(0, 1), (1, 1), (13, 1)]),
        ] {
            let events: Vec<(i64, usize)> = times.into_iter().map(|at| (at, 1)).collect();
            let batches = cut(&segment(&events), MAX_BATCH_EVENTS);
            let found: Vec<(i64, usize)> =
                batches.iter().map(|one| (one.day, one.batch.len())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn days_are_named_by_date() {
        for (day, name) in [
            (0, "1970-01-01"),
            (20_780, "2026-11-23"),
            (-3, "1970-01-01"),
            (i64::MAX, "9999-12-31"),
        ] {
            assert_eq!(day_name(day), name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_batch_is_legal_and_nothing_is_lost(
            events in proptest::collection::vec((0_i64..(3 * DAY_MS), 1_usize..300_000), 0..30),
            max_events in 1_usize..20,
        ) {
            let segment = segment(&events);
            let mut seen: Vec<u32> = Vec::new();
            for day in cut(&segment, max_events) {
                let times: Vec<i64> = day.batch.events().map(|event| event.timestamp_ms).collect();
                prop_assert!((1..=max_events).contains(&times.len()));
                prop_assert!(day.batch.bytes() <= MAX_BATCH_BYTES);
                prop_assert!(times.is_sorted());
                prop_assert!(times.iter().all(|at| at.div_euclid(DAY_MS) == day.day));
                prop_assert!(times.last().unwrap() - times.first().unwrap() < MAX_BATCH_SPAN_MS);
                seen.extend(day.batch.indices());
            }
            // Equal times keep the order of the file.
            for pair in seen.windows(2) {
                let at = |index: u32| segment.events[index as usize].timestamp_ms;
                prop_assert!(at(pair[0]) < at(pair[1]) || pair[0] < pair[1]);
            }
            seen.sort_unstable();
            let all: Vec<u32> = (0..u32::try_from(events.len()).unwrap()).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
