//! The difference between this machine's clock and AWS's.
//!
//! AWS refuses requests whose time is more than five minutes off. The answer to
//! such a request says what time it is; from then on requests are signed with
//! that. The SDK can do so too, but each of its clients learns for itself, and
//! goes by the machine's clock when it looks whether credentials have expired.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::TimeSource;
use aws_smithy_types::date_time::{DateTime, Format};

/// A smaller difference is not worth a correction: an answer takes time, too.
const SMALLEST_MS: i64 = 60_000;

/// A machine has one clock, so a process has one correction; in milliseconds.
static CORRECTION_MS: AtomicI64 = AtomicI64::new(0);

/// The machine's clock with the correction that was learnt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CorrectedClock;

impl TimeSource for CorrectedClock {
    fn now(&self) -> SystemTime {
        let correction = CORRECTION_MS.load(Ordering::Relaxed);
        let length = Duration::from_millis(correction.unsigned_abs());
        let now = SystemTime::now();
        let corrected =
            if correction < 0 { now.checked_sub(length) } else { now.checked_add(length) };
        corrected.unwrap_or(now)
    }
}

/// Learns from the `Date` of an answer that refused a request for its time.
pub(super) fn learn(date: &str) {
    let Some(theirs_ms) =
        DateTime::from_str(date, Format::HttpDate).ok().and_then(|at| at.to_millis().ok())
    else {
        return;
    };
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ours_ms = i64::try_from(ours.as_millis()).unwrap_or(i64::MAX);
    CORRECTION_MS.store(correction(ours_ms, theirs_ms), Ordering::Relaxed);
}

const fn correction(ours_ms: i64, theirs_ms: i64) -> i64 {
    let difference = theirs_ms.saturating_sub(ours_ms);
    if difference.abs() < SMALLEST_MS { 0 } else { difference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_difference_is_corrected() {
        for (ours, theirs, expected) in
            [(0, 59_999, 0), (59_999, 0, 0), (0, 1_200_000, 1_200_000), (1_200_000, 0, -1_200_000)]
        {
            assert_eq!(correction(ours, theirs), expected);
        }
    }
}
