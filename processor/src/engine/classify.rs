//! Says what a failure at a stage means for the message.

use crate::{
    engine::retry::Failure,
    model::outcome::{Outcome, ParkReason, Stage, SystemicReason, TransientReason},
    ports::FaultClass,
};

/// Returns the outcome of work that failed for good at `stage`.
pub(crate) fn outcome_of(failure: &Failure, stage: Stage) -> Outcome {
    match failure {
        Failure::Stopped(reason) => Outcome::Stopped(*reason),
        Failure::Fault(fault) => outcome_of_class(fault.class, stage),
    }
}

fn outcome_of_class(class: FaultClass, stage: Stage) -> Outcome {
    let transient = |reason| Outcome::Transient { reason, stage };
    let parked = |reason| Outcome::Parked { reason, stage };
    match class {
        FaultClass::Throttled => transient(TransientReason::Throttled),
        FaultClass::Unavailable | FaultClass::Ambiguous | FaultClass::Conflict => {
            transient(TransientReason::Unavailable)
        }
        FaultClass::Expired => transient(TransientReason::Expired),
        FaultClass::Changed => transient(TransientReason::Changing),
        FaultClass::RoleDenied => {
            Outcome::Parked { reason: ParkReason::RoleDenied, stage: Stage::Assume }
        }
        FaultClass::RegionDisabled => parked(ParkReason::RegionDisabled),
        FaultClass::LimitExceeded => parked(ParkReason::LimitExceeded),
        FaultClass::Systemic(reason) => Outcome::Systemic(reason),
        FaultClass::Denied => match stage {
            Stage::Read | Stage::Decode => parked(ParkReason::ReadDenied),
            Stage::Directory => Outcome::Systemic(SystemicReason::TableUnreadable),
            Stage::Assume => parked(ParkReason::RoleDenied),
            Stage::Envelope | Stage::Route | Stage::Deliver => parked(ParkReason::WriteDenied),
        },
        FaultClass::Missing => match stage {
            Stage::Read | Stage::Decode => Outcome::Gone,
            Stage::Directory => Outcome::Systemic(SystemicReason::TableUnreadable),
            Stage::Assume | Stage::Envelope | Stage::Route | Stage::Deliver => {
                transient(TransientReason::Unavailable)
            }
        },
        FaultClass::Invalid => match stage {
            // A disabled key of the source bucket looks like this.
            Stage::Read | Stage::Decode => parked(ParkReason::ReadDenied),
            Stage::Directory => Outcome::Systemic(SystemicReason::TableUnreadable),
            Stage::Assume | Stage::Envelope | Stage::Route | Stage::Deliver => {
                parked(ParkReason::InvalidDestination)
            }
        },
        FaultClass::Exists | FaultClass::OutOfRange => transient(TransientReason::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_means_different_things_at_different_stages() {
        let parked = |reason, stage| Outcome::Parked { reason, stage };
        for (class, stage, expected) in [
            (FaultClass::Denied, Stage::Read, parked(ParkReason::ReadDenied, Stage::Read)),
            (FaultClass::Denied, Stage::Deliver, parked(ParkReason::WriteDenied, Stage::Deliver)),
            (FaultClass::RoleDenied, Stage::Deliver, parked(ParkReason::RoleDenied, Stage::Assume)),
            (
                FaultClass::Denied,
                Stage::Directory,
                Outcome::Systemic(SystemicReason::TableUnreadable),
            ),
            (FaultClass::Missing, Stage::Read, Outcome::Gone),
            (
                FaultClass::Invalid,
                Stage::Deliver,
                parked(ParkReason::InvalidDestination, Stage::Deliver),
            ),
        ] {
            assert_eq!(outcome_of_class(class, stage), expected, "{class:?} at {stage}");
        }
    }
}
