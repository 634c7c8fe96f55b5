//! Metrics: what is asked for, over which time, and what the answer comes to.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How the values of one period become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Their sum.
    Sum,
    /// Their average.
    Average,
    /// The largest.
    Maximum,
    /// The value that half of them stay below.
    Median,
    /// The value that 99 of 100 stay below.
    Percentile99,
}

impl Statistic {
    /// Returns CloudWatch's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Average => "Average",
            Self::Maximum => "Maximum",
            Self::Median => "p50",
            Self::Percentile99 => "p99",
        }
    }
}

/// A metric and how it is summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The namespace: `AWS/SQS`, `AWS/Lambda`, or the engine's `mtlog`.
    pub namespace: &'static str,
    /// The name.
    pub name: &'static str,
    /// Names and values of the dimensions.
    pub dimensions: Vec<(&'static str, String)>,
    /// How values are summed up.
    pub statistic: Statistic,
}

/// The time that one value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// CloudWatch keeps these for 15 days.
    Minute,
    /// CloudWatch keeps these for 455 days.
    Day,
}

impl Period {
    /// Returns the seconds.
    pub const fn seconds(self) -> i32 {
        match self {
            Self::Minute => 60,
            Self::Day => 86_400,
        }
    }
}

/// A stretch of whole periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its start, at the start of a period.
    pub start: Timestamp,
    /// How long one period is.
    pub period: Period,
    /// How many periods.
    pub count: u16,
}

impl Window {
    /// Returns the last `count` periods, the one that `now` is in included: its value is there, if not final.
    pub fn until(now: Timestamp, period: Period, count: u16) -> Self {
        let seconds = i64::from(period.seconds());
        let end = now.as_second() - now.as_second().rem_euclid(seconds) + seconds;
        let start = end - seconds * i64::from(count);
        Self { start: Timestamp::from_second(start).unwrap_or(now), period, count }
    }

    /// Returns the end, the first moment that is not in it.
    pub fn end(self) -> Timestamp {
        let length = i64::from(self.period.seconds()) * i64::from(self.count);
        self.start.checked_add(SignedDuration::from_secs(length)).unwrap_or(Timestamp::MAX)
    }
}

/// Values as CloudWatch gives them: only for periods that have one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points(pub Vec<(Timestamp, f64)>);

/// The value of each period of a window, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Series(pub Vec<Option<f64>>);

impl Series {
    /// Puts the points into the periods of the window; what lies outside it is left out.
    pub fn of(points: &Points, window: Window) -> Self {
        let mut values = vec![None; usize::from(window.count)];
        for (time, value) in &points.0 {
            let after = time.as_second() - window.start.as_second();
            let index = after.div_euclid(i64::from(window.period.seconds()));
            if let Ok(index) = usize::try_from(index)
                && let Some(slot) = values.get_mut(index)
            {
                *slot = Some(*value);
            }
        }
        Self(values)
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied().flatten()
    }

    /// Returns the sum; nothing counted is 0.
    pub fn sum(&self) -> f64 {
        // Not `sum`: of no values, that is -0, which prints its sign.
        self.values().fold(0.0, |sum, value| sum + value)
    }

    /// Returns the largest value, if there is any.
    pub fn largest(&self) -> Option<f64> {
        self.values().reduce(f64::max)
    }

    /// Returns the average of the values, if there is any.
    #[expect(clippy::cast_precision_loss, reason = "a window has few periods")]
    pub fn average(&self) -> Option<f64> {
        let count = self.values().count();
        (count > 0).then(|| self.sum() / count as f64)
    }

    /// Returns the newest value. CloudWatch is some minutes late, so older ones than the last few count as none.
    pub fn newest(&self) -> Option<f64> {
        const STILL_NEW: usize = 6;
        self.0.iter().rev().take(STILL_NEW).copied().flatten().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_window_is_made_of_whole_periods() {
        let window = Window::until(at(3_661), Period::Minute, 60);
        assert_eq!((window.start, window.end()), (at(120), at(3_720)));
        let day = Window::until(at(86_400 * 40 + 5), Period::Day, 30);
        assert_eq!((day.start, day.end()), (at(86_400 * 11), at(86_400 * 41)));
    }

    #[test]
    fn points_find_their_periods() {
        let window = Window { start: at(600), period: Period::Minute, count: 3 };
        let points = Points(vec![(at(540), 9.0), (at(600), 1.0), (at(720), 4.0), (at(780), 9.0)]);
        let series = Series::of(&points, window);
        assert_eq!(series, Series(vec![Some(1.0), None, Some(4.0)]));
        assert_eq!((series.sum(), series.largest(), series.newest()), (5.0, Some(4.0), Some(4.0)));
        assert_eq!(series.average(), Some(2.5));
        assert_eq!(Series::default().average(), None);
        assert_eq!(format!("{:.0}", Series::default().sum()), "0");
    }

    #[test]
    fn an_old_value_is_not_the_newest() {
        let mut values = vec![Some(7.0)];
        values.resize(10, None);
        assert_eq!(Series(values).newest(), None);
    }
}
