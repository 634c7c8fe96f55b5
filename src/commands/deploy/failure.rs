//! Failures of a deployment as the user sees them: what happened to the stack, the first cause, what to run next.

use crate::{
    commands::watching,
    deploy::{
        execute::ExecuteError, explain::explain, plan::Plan, stack::Stack, state::Refusal,
        status::Standing, watch::Ended,
    },
    error::{CliError, ExitStatus, Message},
};

/// A step that failed before an operation began.
pub(in crate::commands) fn step(error: ExecuteError) -> CliError {
    match error {
        ExecuteError::Call { what, fault } => CliError::aws(format!("failed to {what}"), *fault),
        ExecuteError::ChangeSetRefused { ref reason, ref checks, .. } => {
            // What was found deepest says most.
            let known = checks.iter().rev().chain([reason]).find_map(|text| explain(text));
            let error = CliError::new(ExitStatus::Preflight, error)
                .hint("nothing was changed; CloudFormation checks template and parameters before it begins");
            match known {
                Some(known) => error.explained(known),
                None => error,
            }
        }
        ExecuteError::ChangeSetSlow { .. } => CliError::new(ExitStatus::TimedOut, error),
    }
}

/// A state that somebody has to decide about.
pub(super) fn refused(
    plan: &Plan,
    stack: Option<&Stack>,
    refusal: &Refusal,
    flags: &str,
) -> CliError {
    let name = &plan.desired.stack;
    let state = stack.map_or_else(String::new, |stack| stack.status.to_string());
    let error = |status: ExitStatus, text: String| CliError::new(status, Message(text));
    match refusal {
        Refusal::Busy => error(ExitStatus::Conflict, format!("stack `{name}` is busy: {state}, and not by this deployment"))
            .hint("run the same command again when the other operation is over, or let it wait with --wait-for-other")
            .next(format!("mtlog events {name}{flags}")),
        Refusal::ForeignReview => error(
            ExitStatus::Conflict,
            format!("stack `{name}` does not exist yet, but somebody else's change set waits to create it"),
        )
        .hint("execute or delete that change set first")
        .next(format!("aws cloudformation list-change-sets --stack-name {name}"))
        .next(format!("aws cloudformation delete-stack --stack-name {name}")),
        Refusal::Leftovers(resources) => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: its creation failed and left resources:\n  {}", resources.join("\n  ")),
        )
        .hint("look at what is left; a store may hold data. Destroy the stack when nothing in it is needed")
        .next(format!("mtlog destroy {} --stack-name {name}{flags}", plan.desired.target)),
        Refusal::UpdateFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: an update failed and was not rolled back"),
        )
        .next(format!("mtlog rollback {name}{flags}")),
        Refusal::RollbackFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: an update failed, and so did undoing it"),
        )
        .hint("mend what the events name, then let CloudFormation go on with the rollback")
        .next(format!("mtlog events {name} --failed{flags}"))
        .next(format!("mtlog rollback {name}{flags}")),
        Refusal::DeleteFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: something in it could not be deleted"),
        )
        .next(format!("mtlog events {name} --failed{flags}"))
        .next(format!(
            "mtlog destroy {} --stack-name {name} --force-delete{flags}",
            plan.desired.target
        )),
        Refusal::UnknownState => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in a state that this version does not know: {state}"),
        ),
    }
}

/// An operation that ended otherwise than it should have.
pub(super) fn ended(plan: &Plan, ended: &Ended, verb: &str, flags: &str) -> CliError {
    let name = &plan.desired.stack;
    let (status, what) = match ended.status.standing() {
        Standing::Gone => (
            ExitStatus::RolledBack,
            format!("stack `{name}` could not be {verb}; nothing is left of it"),
        ),
        Standing::RolledBack if verb == "created" => (
            ExitStatus::RolledBack,
            format!("stack `{name}` could not be {verb}; what was made was removed again"),
        ),
        Standing::RolledBack => (
            ExitStatus::RolledBack,
            format!("stack `{name}` could not be {verb}; it is again as it was before"),
        ),
        Standing::Running | Standing::Done | Standing::Stuck | Standing::Reviewing => (
            ExitStatus::NeedsAttention,
            format!("stack `{name}` could not be {verb} and is now in {}", ended.status),
        ),
    };
    let error = watching::failed(status, what, ended);
    error.next(format!("mtlog events {name} --failed{flags}"))
}
