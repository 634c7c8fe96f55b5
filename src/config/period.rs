//! A span of time as people write it: `90s`, `15m`, `2h`, `3d`, `1h30m`.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use thiserror::Error;

/// A span of time, longer than nothing. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// A point in time: given as such, or as a span before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At this time.
    At(Timestamp),
    /// So long ago.
    Ago(Period),
}

impl Moment {
    /// Returns the time, seen from `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(Period(span)) => SignedDuration::try_from(span)
                .ok()
                .and_then(|span| now.checked_sub(span).ok())
                .unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        text.parse()
            .map(Self::At)
            .or_else(|_| text.parse().map(Self::Ago))
            .map_err(|_: InvalidPeriod| InvalidMoment { text: text.to_owned() })
    }
}

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no time: it looks like 2026-11-23T06:00:00Z, or like 6h for so long ago")]
pub struct InvalidMoment {
    text: String,
}

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no span of time: it looks like 90s, 15m, 2h or 3d")]
pub struct InvalidPeriod {
    text: String,
}

impl Period {
    /// Returns the span.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = || InvalidPeriod { text: text.to_owned() };
        let span: Span = text.parse().map_err(|_| invalid())?;
        let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| invalid())?;
        let span = Duration::try_from(span).map_err(|_| invalid())?;
        if span.is_zero() { Err(invalid()) } else { Ok(Self(span)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7_200)),
            ("1h30m", Some(5_400)),
            ("3d", Some(259_200)),
            ("1 week", Some(604_800)),
            ("0s", None),
            ("-5m", None),
            ("5", None),
            ("1 month", None),
            ("soon", None),
            ("", None),
        ] {
            let read = text.parse::<Period>().ok().map(|period| period.get().as_secs());
            assert_eq!(read, seconds, "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-23T06:00:00Z", Some("2026-11-23T06:00:00Z")),
            ("6h", Some("2026-11-23T06:00:00Z")),
            ("1d", Some("2026-11-22T12:00:00Z")),
            ("2026-11-23", None),
            ("yesterday", None),
        ] {
            let read = text.parse::<Moment>().ok().map(|moment| moment.before(now).to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
