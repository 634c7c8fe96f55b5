//! Repeats calls that failed, visibly and within a budget.
//!
//! The SDK repeats nothing of ours: what it hides cannot be counted, bounded or
//! broken off.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    engine::stop::Stop,
    model::outcome::StopReason,
    ports::{Clock, Fault, FaultClass},
};

/// The first pause after the service asked us to slow down, or failed.
const SLOW_BASE: Duration = Duration::from_secs(2);
/// The longest such pause.
const SLOW_CAP: Duration = Duration::from_secs(60);
/// The first pause after anything else that may pass.
const QUICK_BASE: Duration = Duration::from_millis(200);
/// The longest such pause.
const QUICK_CAP: Duration = Duration::from_secs(10);

/// Why a call did not succeed in the end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The last fault; its class says what to do.
    Fault(Fault),
    /// The work is being broken off.
    Stopped(StopReason),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Numbers for jitter. Not for anything that must not be guessed.
#[derive(Debug)]
pub struct Jitter(AtomicU64);

impl Jitter {
    /// Starts the sequence that `seed` determines.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns a duration from nothing up to `most`, evenly distributed.
    pub fn up_to(&self, most: Duration) -> Duration {
        // SplitMix64: one step of a Weyl sequence, then mixed.
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(mixed) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(nanos))
    }
}

/// How a fault is repeated in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Slow,
    Quick,
    /// At once, but only the first time.
    OnceNow,
    Never,
}

const fn pace(class: FaultClass) -> Pace {
    match class {
        FaultClass::Throttled | FaultClass::Unavailable => Pace::Slow,
        FaultClass::Ambiguous | FaultClass::Conflict => Pace::Quick,
        FaultClass::Expired => Pace::OnceNow,
        FaultClass::Denied
        | FaultClass::RoleDenied
        | FaultClass::RegionDisabled
        | FaultClass::Missing
        | FaultClass::Exists
        | FaultClass::LimitExceeded
        | FaultClass::Invalid
        | FaultClass::Changed
        | FaultClass::OutOfRange
        | FaultClass::Systemic(_) => Pace::Never,
    }
}

/// Returns the longest pause before repetition number `repetition`, counted from 0; none: do not repeat.
fn longest_pause(class: FaultClass, repetition: u32) -> Option<Duration> {
    let doubled =
        |base: Duration, cap: Duration| base.saturating_mul(1 << repetition.min(16)).min(cap);
    match pace(class) {
        Pace::Slow => Some(doubled(SLOW_BASE, SLOW_CAP)),
        Pace::Quick => Some(doubled(QUICK_BASE, QUICK_CAP)),
        Pace::OnceNow => (repetition == 0).then_some(Duration::ZERO),
        Pace::Never => None,
    }
}

/// What repeating needs.
#[derive(Clone, Copy)]
pub(crate) struct Retries<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) jitter: &'a Jitter,
    pub(crate) stop: &'a Stop,
    /// How often one call is repeated at most.
    pub(crate) limit: u32,
}

impl Retries<'_> {
    /// Waits before repetition number `repetition` of a call that failed with `fault`; gives it back when the call
    /// must not be repeated.
    pub(crate) async fn pause(&self, fault: Fault, repetition: u32) -> Result<(), Failure> {
        let Some(longest) =
            longest_pause(fault.class, repetition).filter(|_| repetition < self.limit)
        else {
            return Err(Failure::Fault(fault));
        };
        self.wait(self.jitter.up_to(longest)).await
    }

    /// Waits, unless the work is being broken off.
    pub(crate) async fn wait(&self, pause: Duration) -> Result<(), Failure> {
        if pause.is_zero() {
            return Ok(());
        }
        tokio::select! {
            reason = self.stop.stopped() => Err(Failure::Stopped(reason)),
            () = self.clock.sleep(pause) => Ok(()),
        }
    }

    /// Makes a call, and makes it again while that is worth while.
    pub(crate) async fn call<T, F, Made>(&self, make: F) -> Result<T, Failure>
    where
        F: Fn() -> Made,
        Made: Future<Output = Result<T, Fault>>,
    {
        let mut repetition = 0;
        loop {
            match make().await {
                Ok(value) => return Ok(value),
                Err(fault) => self.pause(fault, repetition).await?,
            }
            repetition += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_cap() {
        let seconds =
            |class, repetition| longest_pause(class, repetition).map(|pause| pause.as_secs_f64());
        for (class, expected) in [
            (FaultClass::Throttled, [Some(2.0), Some(4.0), Some(60.0)]),
            (FaultClass::Unavailable, [Some(2.0), Some(4.0), Some(60.0)]),
            (FaultClass::Ambiguous, [Some(0.2), Some(0.4), Some(10.0)]),
            (FaultClass::Expired, [Some(0.0), None, None]),
            (FaultClass::Denied, [None, None, None]),
            (FaultClass::Invalid, [None, None, None]),
        ] {
            assert_eq!(
                [seconds(class, 0), seconds(class, 1), seconds(class, 40)],
                expected,
                "{class:?}"
            );
        }
    }

    #[test]
    fn jitter_stays_in_its_range_and_spreads() {
        let jitter = Jitter::new(7);
        let most = Duration::from_millis(1000);
        let drawn: Vec<Duration> = (0..1000).map(|_| jitter.up_to(most)).collect();
        assert!(drawn.iter().all(|pause| *pause <= most));
        for tenth in 0..10_u32 {
            let range = most * tenth / 10..most * (tenth + 1) / 10;
            assert!(drawn.iter().filter(|pause| range.contains(*pause)).count() > 50);
        }
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }
}
