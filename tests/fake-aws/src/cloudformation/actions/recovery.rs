//! Ways out of an update: stopping it, taking it back, taking it back further.

use std::collections::BTreeSet;

use super::super::engine::{OnFailure, Origin, Request};
use super::super::form::invalid;
use super::super::state::{Stack, State};
use super::super::status::{OperationType, ResourceStatus, StackStatus};
use super::super::tokens::Seen;
use super::{Absence, Call, note_execution};
use crate::error::ApiError;
use crate::xml::Writer;

pub(super) fn cancel_update_stack(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let token = call.form.token("ClientRequestToken")?;
    let stack = call.find(state, call.form.name("StackName")?, Absence::Bracketed)?;
    let id = stack.id().to_owned();
    if let Seen::Repeated(_) = state.tokens.look(&id, token, call.action, &id)? {
        return Ok(());
    }
    if stack.status != StackStatus::UpdateInProgress {
        return Err(invalid("CancelUpdateStack cannot be called from current stack status"));
    }
    let operation =
        stack.operations.last().map(|operation| operation.id.clone()).unwrap_or_default();
    state.cancel(&id, token);
    state.tokens.note(&id, token, call.action, &id, &operation);
    note_execution(state, call, &id, token, &operation, None);
    Ok(())
}

pub(super) fn continue_update_rollback(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let form = &call.form;
    let token = form.token("ClientRequestToken")?;
    let stack = call.find(state, form.name("StackName")?, Absence::Bracketed)?;
    let id = stack.id().to_owned();
    let skip = form.list("ResourcesToSkip");
    let fingerprint = skip.join(",");
    if let Seen::Repeated(_) = state.tokens.look(&id, token, call.action, &fingerprint)? {
        return Ok(());
    }
    if stack.root.is_some() {
        return Err(invalid(format!(
            "RollbackUpdatedStack cannot be invoked on child stacks [{}]",
            stack.id()
        )));
    }
    if stack.status != StackStatus::UpdateRollbackFailed {
        return Err(invalid(format!(
            "Stack:{} is in {} state and can not continue rolling back.",
            stack.id(),
            stack.status
        )));
    }
    check_skips(state, stack, &skip)?;
    let kind = OperationType::ContinueRollback;
    let skip = BTreeSet::from_iter(skip);
    let operation =
        state.resume_rollback(call.world, &id, kind, token, skip, call.now).unwrap_or_default();
    state.tokens.note(&id, token, call.action, &fingerprint, &operation);
    note_execution(state, call, &id, token, &operation, None);
    Ok(())
}

/// Refuses to skip what has not failed. Resources of nested stacks are named with the name of
/// their stack, not with its logical id.
fn check_skips(state: &State, stack: &Stack, skip: &[String]) -> Result<(), ApiError> {
    for name in skip {
        let (owner, logical) = match name.split_once('.') {
            None => (Some(stack), name.as_str()),
            Some((child, logical)) => {
                let is_descendant = |candidate: &&Stack| {
                    candidate.name() == child && candidate.root.as_deref() == Some(stack.id())
                };
                (state.stacks.values().find(is_descendant), logical)
            }
        };
        let resource = owner.and_then(|owner| owner.resources.get(logical));
        let Some(resource) = resource else {
            return Err(invalid(format!("Resource [{name}] in ResourcesToSkip does not exist")));
        };
        if resource.kind.is_stack() || resource.status != ResourceStatus::UpdateFailed {
            return Err(invalid(format!(
                "Resource [{name}] in ResourcesToSkip must be in the UPDATE_FAILED state because its rollback failed"
            )));
        }
    }
    Ok(())
}

pub(super) fn rollback_stack(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    let token = form.token("ClientRequestToken")?;
    let stack = call.find(state, form.name("StackName")?, Absence::Bracketed)?;
    let id = stack.id().to_owned();
    let operation = match state.tokens.look(&id, token, call.action, &id)? {
        Seen::Repeated(operation) => operation,
        Seen::New => {
            let operation = start_rollback(state, call, &id, token)?;
            state.tokens.note(&id, token, call.action, &id, &operation);
            note_execution(state, call, &id, token, &operation, None);
            operation
        }
    };
    out.text("StackId", &id);
    out.text("OperationId", &operation);
    Ok(())
}

fn start_rollback(
    state: &mut State,
    call: &Call<'_>,
    id: &str,
    token: Option<&str>,
) -> Result<String, ApiError> {
    let status = state.stacks.get(id).map(|stack| stack.status);
    match status {
        Some(StackStatus::CreateFailed) => {
            let request = Request {
                definition: None,
                token: token.map(str::to_owned),
                on_failure: OnFailure::Rollback,
                retain_except_on_create: call.form.flag("RetainExceptOnCreate")?.unwrap_or(false),
                origin: Origin { is_create: true, is_nested: false },
                change_set: None,
                imports_existing: false,
            };
            Ok(state.start_rollback_of_creation(call.world, id, request, call.now))
        }
        Some(StackStatus::UpdateFailed) => {
            let kind = OperationType::Rollback;
            Ok(state
                .resume_rollback(call.world, id, kind, token, BTreeSet::new(), call.now)
                .unwrap_or_default())
        }
        other => {
            let status = other.map_or("", StackStatus::as_str);
            Err(invalid(format!("Stack:{id} is in {status} state and can not be rolled back.")))
        }
    }
}
