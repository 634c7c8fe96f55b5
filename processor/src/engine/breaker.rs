//! Sets a destination aside that keeps failing.
//!
//! Its messages are given back at once, without a call to its account; after a
//! while one message is let through to see whether it works again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::outcome::{Outcome, Stage},
    ports::Access,
};

/// How many failures in a row set a destination aside.
const FAILURES: u32 = 5;
/// How long a destination is set aside first, in milliseconds; doubled each time.
const FIRST_PAUSE_MS: i64 = 30_000;
/// The longest time, in milliseconds.
const PAUSE_CAP_MS: i64 = 15 * 60_000;
/// How long a trial may take before another one is let through, in milliseconds.
const TRIAL_MS: i64 = 5 * 60_000;
/// How many destinations are remembered.
const REMEMBERED: usize = 10_000;

/// All destinations of a process.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<Access, Breaker>>);

#[derive(Debug)]
struct Breaker {
    state: State,
    /// How often it was set aside without working in between.
    openings: u32,
}

#[derive(Debug)]
enum State {
    /// It works, but for so many failures in a row.
    Closed { failures: u32 },
    /// It is set aside until then.
    Open { until_ms: i64, why: Outcome },
    /// One message tries it; the next may do so then.
    Trial { until_ms: i64, why: Outcome },
}

/// What a report has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The destination is set aside from now on.
    Opened,
    /// It works again.
    Closed,
    /// Nothing.
    None,
}

impl Breakers {
    /// Whether to try `access` now; otherwise the outcome that set it aside.
    pub(crate) fn admit(&self, access: &Access, now_ms: i64) -> Result<(), Outcome> {
        let mut breakers = self.breakers();
        let Some(breaker) = breakers.get_mut(access) else { return Ok(()) };
        match &breaker.state {
            State::Closed { .. } => Ok(()),
            State::Open { until_ms, why } | State::Trial { until_ms, why }
                if now_ms < *until_ms =>
            {
                Err(why.clone())
            }
            State::Open { why, .. } | State::Trial { why, .. } => {
                breaker.state = State::Trial { until_ms: now_ms + TRIAL_MS, why: why.clone() };
                Ok(())
            }
        }
    }

    /// Notes how an attempt at `access` ended.
    pub(crate) fn report(&self, access: &Access, outcome: &Outcome, now_ms: i64) -> Change {
        let mut breakers = self.breakers();
        match health(outcome) {
            Health::Well => match breakers.remove(access).map(|breaker| breaker.state) {
                Some(State::Open { .. } | State::Trial { .. }) => Change::Closed,
                Some(State::Closed { .. }) | None => Change::None,
            },
            Health::Unknown => {
                // A trial that found nothing out: the next one may try.
                if let Some(Breaker { state: State::Trial { until_ms, .. }, .. }) =
                    breakers.get_mut(access)
                {
                    *until_ms = now_ms;
                }
                Change::None
            }
            Health::Failing => fail(&mut breakers, access, outcome, now_ms, 1),
            Health::Refusing => fail(&mut breakers, access, outcome, now_ms, FAILURES),
        }
    }

    /// Returns how many destinations are set aside now.
    pub(crate) fn set_aside(&self) -> usize {
        let breakers = self.breakers();
        breakers.values().filter(|one| !matches!(one.state, State::Closed { .. })).count()
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<Access, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail(
    breakers: &mut HashMap<Access, Breaker>,
    access: &Access,
    outcome: &Outcome,
    now_ms: i64,
    weight: u32,
) -> Change {
    if breakers.len() >= REMEMBERED {
        breakers.retain(|_, breaker| !matches!(breaker.state, State::Closed { .. }));
    }
    let new = || Breaker { state: State::Closed { failures: 0 }, openings: 0 };
    let breaker = breakers.entry(access.clone()).or_insert_with(new);
    let change = match &mut breaker.state {
        State::Closed { failures } => {
            *failures += weight;
            if *failures < FAILURES {
                return Change::None;
            }
            Change::Opened
        }
        // It was under way before.
        State::Open { .. } => return Change::None,
        State::Trial { .. } => Change::None,
    };
    let pause_ms = (FIRST_PAUSE_MS << breaker.openings.min(10)).min(PAUSE_CAP_MS);
    breaker.openings += 1;
    breaker.state = State::Open { until_ms: now_ms + pause_ms, why: outcome.clone() };
    change
}

/// What an outcome says about the destination.
enum Health {
    Well,
    Failing,
    Refusing,
    Unknown,
}

const fn health(outcome: &Outcome) -> Health {
    match outcome {
        Outcome::Delivered => Health::Well,
        Outcome::Transient { stage: Stage::Assume | Stage::Deliver, .. } => Health::Failing,
        Outcome::Parked { stage: Stage::Assume | Stage::Deliver, .. } => Health::Refusing,
        Outcome::Transient { .. }
        | Outcome::Parked { .. }
        | Outcome::Skipped(_)
        | Outcome::Poison { .. }
        | Outcome::Gone
        | Outcome::Stopped(_)
        | Outcome::Systemic(_) => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{ParkReason, TransientReason};

    fn access() -> Access {
        Access {
            tenant: "acme".parse().unwrap(),
            role: "arn:aws:iam::222222222222:role/x".parse().unwrap(),
            external_id: None,
            region: "us-east-2".parse().unwrap(),
        }
    }

    fn throttled() -> Outcome {
        Outcome::Transient { reason: TransientReason::Throttled, stage: Stage::Deliver }
    }

    fn denied() -> Outcome {
        Outcome::Parked { reason: ParkReason::RoleDenied, stage: Stage::Assume }
    }

    #[test]
    fn failures_in_a_row_set_a_destination_aside_and_a_success_brings_it_back() {
        let (breakers, access) = (Breakers::default(), access());
        for _ in 0..4 {
            assert_eq!(breakers.report(&access, &throttled(), 0), Change::None);
        }
        assert_eq!(breakers.report(&access, &Outcome::Delivered, 0), Change::None);
        for _ in 0..4 {
            breakers.report(&access, &throttled(), 0);
            assert_eq!(breakers.admit(&access, 0), Ok(()));
        }
        assert_eq!(breakers.report(&access, &throttled(), 0), Change::Opened);
        assert_eq!(breakers.report(&access, &throttled(), 0), Change::None, "it was under way");
        assert_eq!(breakers.admit(&access, FIRST_PAUSE_MS - 1), Err(throttled()));
        assert_eq!(breakers.admit(&access, FIRST_PAUSE_MS), Ok(()), "the trial");
        assert_eq!(breakers.admit(&access, FIRST_PAUSE_MS), Err(throttled()), "one at a time");
        assert_eq!(breakers.report(&access, &Outcome::Delivered, FIRST_PAUSE_MS), Change::Closed);
        assert_eq!(breakers.admit(&access, FIRST_PAUSE_MS), Ok(()));
    }

    #[test]
    fn a_refusal_sets_aside_at_once_and_longer_each_time() {
        let (breakers, access) = (Breakers::default(), access());
        let mut now = 0;
        for pause in [30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000] {
            breakers.report(&access, &denied(), now);
            assert_eq!(breakers.admit(&access, now + pause - 1), Err(denied()));
            now += pause;
            assert_eq!(breakers.admit(&access, now), Ok(()));
        }
    }

    #[test]
    fn a_trial_that_finds_nothing_out_lets_the_next_one_try() {
        let (breakers, access) = (Breakers::default(), access());
        breakers.report(&access, &denied(), 0);
        assert_eq!(breakers.admit(&access, 30_000), Ok(()));
        breakers.report(&access, &Outcome::Gone, 30_001);
        assert_eq!(breakers.admit(&access, 30_001), Ok(()));
        assert_eq!(
            breakers.admit(&access, 30_001 + TRIAL_MS),
            Ok(()),
            "a trial that never ends is not waited for"
        );
    }
}
