//! When each record of a pod is written.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::random::Random;

/// The pause between two records of a pod, unless something else is asked for.
const USUAL_INTERVAL: SignedDuration = SignedDuration::from_millis(10);
/// Records end now and start at most this long ago, so that CloudWatch Logs takes them
/// (it refuses what is older than 14 days) and a test's reader finds them.
const LONGEST_PAST: SignedDuration = SignedDuration::from_hours(1);

/// Where a pod's records stand in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeline {
    /// Record `n` lies in the n-th interval after the start. The same on every run.
    Planned {
        /// The time of the first record.
        start: Timestamp,
        /// The time from one record of a pod to its next.
        interval: SignedDuration,
    },
    /// Each record has the time at which it is made.
    Clock,
}

/// A start and an interval that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTimeline {
    /// The interval is negative or zero.
    #[error("the interval is not longer than zero")]
    Interval,
    /// The last record would lie outside what a timestamp can say.
    #[error("{records} records a pod from {start} do not fit before the year 9999")]
    Range {
        /// The first record's time.
        start: Timestamp,
        /// The number of records of the busiest pod.
        records: u64,
    },
}

impl Timeline {
    /// Plans `records` records a pod. What is not given is chosen so that the last record lies just before `now`.
    pub fn planned(
        records: u64,
        start: Option<Timestamp>,
        interval: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Self, InvalidTimeline> {
        let steps = i64::try_from(records.max(1)).unwrap_or(i64::MAX);
        let interval = interval.unwrap_or_else(|| {
            let fitting = LONGEST_PAST.as_nanos() / i128::from(steps);
            USUAL_INTERVAL.min(SignedDuration::from_nanos_i128(fitting.max(1)))
        });
        if interval <= SignedDuration::ZERO {
            return Err(InvalidTimeline::Interval);
        }
        let start_or_now = start.unwrap_or(now);
        let out_of_range = || InvalidTimeline::Range { start: start_or_now, records };
        let length = SignedDuration::try_from_nanos_i128(
            interval.as_nanos().saturating_mul(i128::from(steps)),
        )
        .ok_or_else(out_of_range)?;
        let start = match start {
            Some(start) => start,
            None => whole_milliseconds(now).checked_sub(length).map_err(|_| out_of_range())?,
        };
        start.checked_add(length).map_err(|_| out_of_range())?;
        Ok(Self::Planned { start, interval })
    }

    /// Returns the time of a pod's record `index`, later than `previous`.
    pub(crate) fn time(self, index: u64, previous: Timestamp, random: &mut Random) -> Timestamp {
        match self {
            Self::Planned { start, interval } => {
                // A runtime writes nanoseconds, but not every clock has them: some times end early.
                let grain = [1, 1, 1, 1_000, 1_000_000];
                let grain = grain
                    .get(usize::try_from(random.below(5)).unwrap_or_default())
                    .copied()
                    .unwrap_or(1);
                let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
                let within = random.below(interval);
                let offset =
                    i128::from(interval) * i128::from(index) + i128::from(within - within % grain);
                let time = SignedDuration::try_from_nanos_i128(offset)
                    .and_then(|offset| start.checked_add(offset).ok());
                time.unwrap_or(Timestamp::MAX)
            }
            Self::Clock => Timestamp::now().max(previous),
        }
    }
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T09:41:33.123456789Z";

    fn times(timeline: Timeline, count: u64) -> Vec<Timestamp> {
        let mut random = Random::named(1, "times");
        let mut previous = Timestamp::MIN;
        (0..count)
            .map(|index| {
                previous = timeline.time(index, previous, &mut random);
                previous
            })
            .collect()
    }

    #[test]
    fn records_end_now_and_never_go_back() {
        let now: Timestamp = NOW.parse().unwrap();
        for records in [1, 2, 1000, 1_000_000] {
            let timeline = Timeline::planned(records, None, None, now).unwrap();
            let Timeline::Planned { start, interval } = timeline else { panic!("{timeline:?}") };
            assert!(start >= now - LONGEST_PAST - SignedDuration::from_millis(1), "{start}");
            let shown = times(timeline, records.min(5000));
            assert!(shown.is_sorted());
            assert!(shown.iter().all(|time| *time < now), "{records} records, {interval:?}");
        }
    }

    #[test]
    fn a_start_and_an_interval_are_kept() {
        let start: Timestamp = "2026-12-31T23:59:59Z".parse().unwrap();
        let interval = SignedDuration::from_secs(1);
        let timeline =
            Timeline::planned(3, Some(start), Some(interval), NOW.parse().unwrap()).unwrap();
        assert_eq!(timeline, Timeline::Planned { start, interval });
        let seconds: Vec<i64> =
            times(timeline, 3).iter().map(|time| time.as_second() - start.as_second()).collect();
        assert_eq!(seconds, [0, 1, 2]);
    }

    #[test]
    fn fractions_of_all_lengths_occur() {
        let start: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let timeline = Timeline::planned(500, Some(start), None, start).unwrap();
        let nanos: Vec<i32> =
            times(timeline, 500).iter().map(|time| time.subsec_nanosecond()).collect();
        assert!(nanos.iter().any(|n| n % 1_000 != 0));
        assert!(nanos.iter().any(|n| n % 1_000 == 0 && n % 1_000_000 != 0));
        assert!(nanos.iter().any(|n| n % 1_000_000 == 0));
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let now: Timestamp = NOW.parse().unwrap();
        let planned = |records, interval| Timeline::planned(records, None, Some(interval), now);
        assert_eq!(planned(1, SignedDuration::ZERO), Err(InvalidTimeline::Interval));
        let year = SignedDuration::from_hours(24 * 366);
        assert_eq!(
            planned(20_000, year),
            Err(InvalidTimeline::Range { start: now, records: 20_000 })
        );
        assert!(matches!(planned(u64::MAX, year), Err(InvalidTimeline::Range { .. })));
    }
}
