//! Decides what happens to a message, from how its parts ended.
//!
//! One total function. The table in `DESIGN.md` shows it to operators.

use std::time::Duration;

use crate::model::outcome::{History, Outcome, ParkReason, StopReason};

/// How long a parked message stays hidden. Also the longest delay that SQS takes.
pub const PARK_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long a message stays hidden after its first failure that should pass; doubled at each receive.
const RETRY_BASE: Duration = Duration::from_secs(30);
/// How long an object that is not there is waited for, once.
const GONE_PAUSE: Duration = Duration::from_secs(60);
/// How long a message stays hidden when the engine itself cannot work.
const SYSTEMIC_PAUSE: Duration = Duration::from_secs(60);

/// What happens to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is settled: delete it.
    Ack,
    /// Everything else is settled: send the letters, then delete it.
    Bury,
    /// Keep it, and try again soon.
    Retry {
        /// How long to hide it.
        visible_in: Duration,
    },
    /// Keep it, and try again much later: somebody has to mend something.
    Park {
        /// How long to hide it.
        visible_in: Duration,
        /// What has to be mended.
        reason: ParkReason,
    },
    /// Do nothing: the message is somebody else's now.
    Leave,
}

impl Verdict {
    /// Returns the word for log lines and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Bury => "bury",
            Self::Retry { .. } => "retry",
            Self::Park { .. } => "park",
            Self::Leave => "leave",
        }
    }
}

/// What one outcome asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing is left to do.
    Settled,
    /// A dead letter says what is left.
    Letter,
    /// Hide the message for so long.
    Wait(Duration),
    /// Hide the message for long, because of this.
    Park(ParkReason),
    /// Let go of the message.
    Leave,
}

/// Returns what `outcome` asks for. `park_max` is the age at which a parked message becomes a dead letter.
pub fn disposition(outcome: &Outcome, history: &History, park_max: Duration) -> Disposition {
    let last_receive = history.max_receives.is_some_and(|most| history.receives >= most);
    let second_to_last = history.max_receives.is_some_and(|most| history.receives + 1 >= most);
    match outcome {
        Outcome::Delivered | Outcome::Skipped(_) => Disposition::Settled,
        Outcome::Poison { .. } => Disposition::Letter,
        Outcome::Gone => {
            if history.receives >= 2 {
                Disposition::Letter
            } else {
                Disposition::Wait(GONE_PAUSE)
            }
        }
        // The queue would move the message away at the next receive, without a word of why.
        Outcome::Transient { .. } if last_receive => Disposition::Letter,
        Outcome::Transient { .. } => {
            let doublings = history.receives.saturating_sub(1).min(10);
            Disposition::Wait((RETRY_BASE * (1 << doublings)).min(PARK_PAUSE))
        }
        Outcome::Parked { .. } if second_to_last || history.age > park_max => Disposition::Letter,
        Outcome::Parked { reason, .. } => Disposition::Park(*reason),
        Outcome::Stopped(StopReason::Shutdown | StopReason::Deadline) => {
            Disposition::Wait(Duration::ZERO)
        }
        Outcome::Stopped(StopReason::LeaseLost) => Disposition::Leave,
        Outcome::Systemic(_) => Disposition::Wait(SYSTEMIC_PAUSE),
    }
}

/// Returns what happens to a message whose parts ended as `outcomes`.
///
/// Letters are sent only once nothing else is left, so that a retry does not send them twice.
/// The shortest wait wins: it belongs to what can be finished first.
pub fn verdict<'a>(
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    history: &History,
    park_max: Duration,
) -> Verdict {
    let mut result = Verdict::Ack;
    for outcome in outcomes {
        let next = match disposition(outcome, history, park_max) {
            Disposition::Settled => Verdict::Ack,
            Disposition::Letter => Verdict::Bury,
            Disposition::Wait(visible_in) => Verdict::Retry { visible_in },
            Disposition::Park(reason) => Verdict::Park { visible_in: PARK_PAUSE, reason },
            Disposition::Leave => Verdict::Leave,
        };
        result = stronger(result, next);
    }
    result
}

fn stronger(one: Verdict, other: Verdict) -> Verdict {
    const fn rank(verdict: &Verdict) -> u8 {
        match verdict {
            Verdict::Ack => 0,
            Verdict::Bury => 1,
            Verdict::Park { .. } => 2,
            Verdict::Retry { .. } => 3,
            Verdict::Leave => 4,
        }
    }
    if let (Verdict::Retry { visible_in: a }, Verdict::Retry { visible_in: b }) = (&one, &other) {
        return Verdict::Retry { visible_in: *a.min(b) };
    }
    if rank(&other) > rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{PoisonReason, Skip, Stage, SystemicReason, TransientReason};

    const PARK_MAX: Duration = Duration::from_secs(12 * 3600);

    fn history(receives: u32, hours: u64) -> History {
        History { receives, max_receives: Some(5), age: Duration::from_secs(hours * 3600) }
    }

    fn retry(seconds: u64) -> Verdict {
        Verdict::Retry { visible_in: Duration::from_secs(seconds) }
    }

    fn park(reason: ParkReason) -> Verdict {
        Verdict::Park { visible_in: PARK_PAUSE, reason }
    }

    fn transient() -> Outcome {
        Outcome::Transient { reason: TransientReason::Throttled, stage: Stage::Deliver }
    }

    fn parked() -> Outcome {
        Outcome::Parked { reason: ParkReason::RoleDenied, stage: Stage::Assume }
    }

    fn poison() -> Outcome {
        Outcome::Poison { reason: PoisonReason::Corrupt, stage: Stage::Decode }
    }

    #[test]
    fn one_outcome_decides_by_itself() {
        let role = ParkReason::RoleDenied;
        for (outcome, receives, hours, expected) in [
            (Outcome::Delivered, 1, 0, Verdict::Ack),
            (Outcome::Delivered, 9, 99, Verdict::Ack),
            (Outcome::Skipped(Skip::Unwanted), 1, 0, Verdict::Ack),
            (transient(), 1, 0, retry(30)),
            (transient(), 2, 0, retry(60)),
            (transient(), 4, 99, retry(240)),
            (transient(), 5, 0, Verdict::Bury),
            (parked(), 1, 0, park(role)),
            (parked(), 3, 12, park(role)),
            (parked(), 3, 13, Verdict::Bury),
            (parked(), 4, 0, Verdict::Bury),
            (poison(), 1, 0, Verdict::Bury),
            (Outcome::Gone, 1, 0, retry(60)),
            (Outcome::Gone, 2, 0, Verdict::Bury),
            (Outcome::Stopped(StopReason::Shutdown), 5, 99, retry(0)),
            (Outcome::Stopped(StopReason::Deadline), 1, 0, retry(0)),
            (Outcome::Stopped(StopReason::LeaseLost), 1, 0, Verdict::Leave),
            (Outcome::Systemic(SystemicReason::OwnCredentials), 5, 99, retry(60)),
        ] {
            assert_eq!(
                verdict([&outcome], &history(receives, hours), PARK_MAX),
                expected,
                "{outcome:?} {receives}"
            );
        }
    }

    #[test]
    fn a_queue_that_never_gives_up_is_bounded_by_age_alone() {
        let endless = History { receives: 1000, max_receives: None, age: Duration::ZERO };
        assert_eq!(verdict([&transient()], &endless, PARK_MAX), retry(900));
        assert_eq!(verdict([&parked()], &endless, PARK_MAX), park(ParkReason::RoleDenied));
    }

    #[test]
    fn the_strongest_outcome_decides_for_all() {
        let gone = Outcome::Gone;
        let lost = Outcome::Stopped(StopReason::LeaseLost);
        for (outcomes, expected) in [
            (vec![], Verdict::Ack),
            (vec![Outcome::Delivered, poison()], Verdict::Bury),
            (vec![poison(), parked(), Outcome::Delivered], park(ParkReason::RoleDenied)),
            (vec![parked(), transient(), poison()], retry(30)),
            (vec![gone, transient()], retry(30)),
            (vec![transient(), lost, poison()], Verdict::Leave),
        ] {
            assert_eq!(verdict(&outcomes, &history(1, 0), PARK_MAX), expected, "{outcomes:?}");
        }
    }
}
