//! Cuts a segment into batches that CloudWatch Logs accepts.

use std::sync::Arc;

use crate::{
    model::events::{
        Batch, DAY_MS, EVENT_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_BATCH_SPAN_MS,
        Segment,
    },
    ports::Enclosure,
};

/// A batch and the day whose stream it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct DayBatch {
    /// Days since the epoch, in UTC.
    pub(crate) day: i64,
    /// The events.
    pub(crate) batch: Batch,
}

/// Cuts `segment` into batches. `enclosure` says what stands around the events in a request of that day: where one call
/// takes the segment as it stands, that is written into it.
pub(crate) fn cut(
    mut segment: Segment,
    max_events: usize,
    enclosure: impl FnOnce(i64) -> Option<Enclosure>,
) -> (Arc<Segment>, Vec<DayBatch>) {
    let max_events = max_events.clamp(1, MAX_BATCH_EVENTS);
    let enclosed = only_day(&segment, max_events).and_then(|day| {
        let Enclosure { front, back } = enclosure(day)?;
        Some((day, segment.enclose(&front, back)?))
    });
    let segment = Arc::new(segment);
    let batches = match enclosed {
        Some((day, request)) => {
            vec![DayBatch { day, batch: Batch::whole(Arc::clone(&segment), request) }]
        }
        None => cut_up(&segment, max_events),
    };
    (segment, batches)
}

/// Returns the day of all events, if they stand in the order of time and one call takes them all.
fn only_day(segment: &Segment, max_events: usize) -> Option<i64> {
    let events = segment.events();
    let (first, last) = (events.first()?, events.last()?);
    let day = first.timestamp_ms.div_euclid(DAY_MS);
    let is_one_call = events.len() <= max_events
        && segment.bytes() <= MAX_BATCH_BYTES
        && last.timestamp_ms.div_euclid(DAY_MS) == day
        && events.is_sorted_by_key(|event| event.timestamp_ms);
    is_one_call.then_some(day)
}

/// Sorts the events of `segment` by time, keeping the file's order among equals, and cuts them greedily into
/// batches within every limit. `max_events` is a lower limit on events than the service's own.
fn cut_up(segment: &Arc<Segment>, max_events: usize) -> Vec<DayBatch> {
    let events = segment.events();
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
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::engine::segment::MAX_MESSAGE_BYTES;

    fn segment(events: &[(i64, usize)]) -> Segment {
        let mut segment = Segment::default();
        for (at, length) in events {
            let text = vec![b'x'; *length];
            segment.push(*at, *length, 1, |json| json.extend_from_slice(&text));
        }
        segment
    }

    fn cut(segment: Segment, max_events: usize) -> Vec<DayBatch> {
        super::cut(segment, max_events, |_| None).1
    }

    fn sizes(batches: &[DayBatch]) -> Vec<usize> {
        batches.iter().map(|one| one.batch.len()).collect()
    }

    #[test]
    fn batches_are_full_to_the_last_event_and_byte() {
        let small = |count| segment(&vec![(0, 1); count]);
        assert_eq!(sizes(&cut(small(10_000), MAX_BATCH_EVENTS)), [10_000]);
        assert_eq!(sizes(&cut(small(10_001), MAX_BATCH_EVENTS)), [10_000, 1]);
        assert_eq!(sizes(&cut(small(7), 3)), [3, 3, 1]);
        let half = MAX_BATCH_BYTES / 2 - EVENT_OVERHEAD_BYTES;
        let exact = cut(segment(&[(0, half), (0, half)]), MAX_BATCH_EVENTS);
        assert_eq!((sizes(&exact), exact[0].batch.bytes()), (vec![2], MAX_BATCH_BYTES));
        assert_eq!(sizes(&cut(segment(&[(0, half), (0, half + 1)]), MAX_BATCH_EVENTS)), [1, 1]);
        assert_eq!(sizes(&cut(segment(&[(0, MAX_MESSAGE_BYTES)]), MAX_BATCH_EVENTS)), [1]);
    }

    #[test]
    fn a_segment_that_one_call_takes_becomes_the_request_where_it_stands() {
        let enclosure = |day: i64| {
            Some(Enclosure {
                front: format!("{{\"day\":{day},\"events\":[").into_bytes(),
                back: b"]}",
            })
        };
        let requests = |segment: Segment, max_events| -> Vec<String> {
            let (_segment, batches) = super::cut(segment, max_events, enclosure);
            let text = |batch: &Batch| {
                let written = batch.request(|| bytes::Bytes::from_static(b"written anew"));
                let digest: String =
                    Sha256::digest(&written).iter().map(|byte| format!("{byte:02x}")).collect();
                let is_anew = written == "written anew";
                assert_eq!(batch.digest(), (!is_anew).then_some(digest.as_str()));
                String::from_utf8(written.to_vec()).unwrap()
            };
            batches.iter().map(|one| text(&one.batch)).collect()
        };
        let three = |at: [i64; 3]| segment(&at.map(|at| (at, 1)));
        let expected = concat!(
            r#"{"day":2,"events":[{"timestamp":172800000,"message":"x"},"#,
            r#"{"timestamp":172800001,"message":"x"},{"timestamp":172800001,"message":"x"}]}"#
        );
        let ordered = [2 * DAY_MS, 2 * DAY_MS + 1, 2 * DAY_MS + 1];
        assert_eq!(requests(three(ordered), 3), [expected]);
        // Too many events, another order, two days: none of these is one call as it stands.
        assert_eq!(requests(three(ordered), 2), ["written anew"; 2]);
        assert_eq!(requests(three([1, 0, 1]), 3), ["written anew"]);
        assert_eq!(requests(three([0, 0, DAY_MS]), 3), ["written anew"; 2]);
        assert_eq!(requests(segment(&[(0, MAX_BATCH_BYTES / 2); 2]), 3), ["written anew"; 2]);
        assert_eq!(requests(Segment::default(), 3), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_in_front_of_a_segment_is_not_written_there() {
        for (length, expected) in [(1200, 1), (1201, 0)] {
            let enclosure = |_| Some(Enclosure { front: vec![b'['; length], back: b"]" });
            let (_segment, batches) = super::cut(segment(&[(0, 1)]), 3, enclosure);
            let written = batches[0].batch.request(bytes::Bytes::new);
            assert_eq!(usize::from(!written.is_empty()), expected, "{length}");
        }
    }

    #[test]
    fn a_day_ends_a_batch() {
        for (times, expected) in [
            (vec![0, DAY_MS - 1], vec![(0, 2)]),
            (vec![0, DAY_MS], vec![(0, 1), (1, 1)]),
            (vec![DAY_MS + 1, 0, 13 * DAY_MS], vec![(0, 1), (1, 1), (13, 1)]),
        ] {
            let events: Vec<(i64, usize)> = times.into_iter().map(|at| (at, 1)).collect();
            let batches = cut(segment(&events), MAX_BATCH_EVENTS);
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
            is_sorted in any::<bool>(),
            max_events in 1_usize..20,
        ) {
            let mut events = events;
            if is_sorted {
                events.sort_unstable();
            }
            let enclosure = |_| Some(Enclosure { front: Vec::new(), back: b"" });
            let (segment, batches) = super::cut(segment(&events), max_events, enclosure);
            let mut seen: Vec<usize> = Vec::new();
            for day in batches {
                let times: Vec<i64> = day.batch.events().map(|event| event.timestamp_ms).collect();
                prop_assert!((1..=max_events).contains(&times.len()));
                prop_assert!(day.batch.bytes() <= MAX_BATCH_BYTES);
                prop_assert!(times.is_sorted());
                prop_assert!(times.iter().all(|at| at.div_euclid(DAY_MS) == day.day));
                prop_assert!(times.last().unwrap() - times.first().unwrap() < MAX_BATCH_SPAN_MS);
                // Whether it stands in the segment or is written from it: the elements are the same.
                let mut written = Vec::new();
                day.batch.write_elements(&mut written);
                let (first, second) = day.batch.halves();
                let mut halves = Vec::new();
                first.write_elements(&mut halves);
                if !second.is_empty() {
                    halves.push(b',');
                }
                second.write_elements(&mut halves);
                prop_assert!(written == halves);
                let read: Vec<serde_json::Value> = serde_json::from_slice(&[b"[".as_slice(), &written, b"]"].concat()).unwrap();
                let read: Vec<i64> = read.iter().filter_map(|event| event["timestamp"].as_i64()).collect();
                prop_assert_eq!(&read, &times);
                prop_assert!(day.batch.request(|| written.clone().into()) == written);
                seen.extend(day.batch.indices());
            }
            // Equal times keep the order of the file.
            for pair in seen.windows(2) {
                let at = |index: usize| segment.events()[index].timestamp_ms;
                prop_assert!(at(pair[0]) < at(pair[1]) || pair[0] < pair[1]);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..events.len()).collect::<Vec<_>>());
        }
    }
}
