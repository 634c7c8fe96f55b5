//! Failures of a deployment as the user sees them: what happened to the stack, the first cause, what to run next.

use crate::{
    aws::fault::Fault,
    deploy::{
        execute::{Ended, ExecuteError},
        operation::OperationView,
        plan::Plan,
        stack::Stack,
        state::Refusal,
        status::Standing,
    },
    error::{CliError, ExitStatus, Message},
};

/// A step that failed before an operation began.
pub(super) fn step(error: ExecuteError) -> CliError {
    match error {
        ExecuteError::Call { what, fault } => CliError::aws(format!("failed to {what}"), *fault),
        ExecuteError::ChangeSetRefused { .. } => CliError::new(ExitStatus::Preflight, error)
            .hint("nothing was changed; CloudFormation checks template and parameters before it begins"),
        ExecuteError::ChangeSetSlow { .. } => CliError::new(ExitStatus::TimedOut, error),
    }
}

/// A state that somebody has to decide about.
pub(super) fn refused(plan: &Plan, stack: Option<&Stack>, refusal: &Refusal) -> CliError {
    let name = &plan.desired.stack;
    let state = stack.map_or_else(String::new, |stack| stack.status.to_string());
    let error = |status: ExitStatus, text: String| CliError::new(status, Message(text));
    match refusal {
        Refusal::Busy => error(ExitStatus::Conflict, format!("stack `{name}` is busy: {state}, and not by this deployment"))
            .hint("wait until the other operation is over, then run the same command again")
            .next(format!("mtlog events {name}")),
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
        .next(format!("mtlog destroy {} --stack-name {name}", plan.desired.target)),
        Refusal::UpdateFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: an update failed and was not rolled back"),
        )
        .next(format!("aws cloudformation rollback-stack --stack-name {name}")),
        Refusal::RollbackFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: an update failed, and so did undoing it"),
        )
        .hint("mend what the events name, then let CloudFormation go on with the rollback")
        .next(format!("mtlog events {name} --failed"))
        .next(format!("aws cloudformation continue-update-rollback --stack-name {name}")),
        Refusal::DeleteFailed => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in {state}: something in it could not be deleted"),
        )
        .next(format!("mtlog events {name} --failed")),
        Refusal::UnknownState => error(
            ExitStatus::NeedsAttention,
            format!("stack `{name}` is in a state that this version does not know: {state}"),
        ),
    }
}

/// An operation that ended otherwise than it should have.
pub(super) fn ended(plan: &Plan, ended: &Ended, verb: &str) -> CliError {
    let name = &plan.desired.stack;
    let (status, what) = match ended.status.standing() {
        Standing::Gone => (ExitStatus::RolledBack, format!("stack `{name}` could not be {verb}; nothing is left of it")),
        Standing::RolledBack if verb == "created" => {
            (ExitStatus::RolledBack, format!("stack `{name}` could not be {verb}; what was made was removed again"))
        }
        Standing::RolledBack => {
            (ExitStatus::RolledBack, format!("stack `{name}` could not be {verb}; it is again as it was before"))
        }
        Standing::Running | Standing::Done | Standing::Stuck | Standing::Reviewing => {
            (ExitStatus::NeedsAttention, format!("stack `{name}` could not be {verb} and is now in {}", ended.status))
        }
    };
    let reason = || ended.stack.as_ref().and_then(|stack| stack.reason.clone());
    let mut error = match cause_of(&ended.view).or_else(reason) {
        Some(cause) => CliError::because(status, what, Message(cause)),
        None => CliError::new(status, Message(what)),
    };
    let consequences = ended.view.failures().iter().filter(|failure| failure.consequence).count();
    if consequences > 0 {
        let resources = if consequences == 1 { "resource" } else { "resources" };
        error = error.hint(format!("{consequences} more {resources} failed only because of this"));
    }
    error.next(format!("mtlog events {name} --failed"))
}

/// Returns the first cause in words.
pub(super) fn cause_of(view: &OperationView) -> Option<String> {
    let cause = view.root_cause()?;
    Some(format!(
        "{} ({}) {}: {}",
        cause.path,
        cause.resource_type,
        cause.status.words(),
        cause.reason.trim_end_matches('.')
    ))
}

/// Watching stopped; the operation goes on.
pub(super) fn timed_out(plan: &Plan, minutes: u64) -> CliError {
    let name = &plan.desired.stack;
    let text = format!("stopped watching stack `{name}` after {minutes} minutes; the operation goes on in AWS");
    CliError::new(ExitStatus::TimedOut, Message(text))
        .hint("the same command again picks the operation up")
        .next(format!("mtlog events {name}"))
}

/// The credentials ended before the operation did.
pub(super) fn lost_access(plan: &Plan, fault: Fault) -> CliError {
    let name = &plan.desired.stack;
    let error = CliError::aws(format!("lost access while watching stack `{name}`; the operation goes on in AWS"), fault);
    let text = error.chain().join(": ");
    CliError::new(ExitStatus::TimedOut, Message(text))
        .hint("renew the credentials; the same command again picks the operation up")
}

/// Ctrl-C.
pub(super) fn detached(plan: &Plan) -> CliError {
    let name = &plan.desired.stack;
    CliError::new(ExitStatus::Detached, Message(format!("detached from stack `{name}`; the operation goes on in AWS")))
        .hint("the same command again picks the operation up")
        .next(format!("mtlog events {name}"))
}
