//! Creating, updating and deleting stacks directly, and what protects them.

use std::collections::BTreeSet;

use super::super::engine::{OnFailure, Origin, Request};
use super::super::form::invalid;
use super::super::stack_policy;
use super::super::state::{Stack, State};
use super::super::status::{ResourceStatus, StackStatus};
use super::super::template::Pseudo;
use super::super::tokens::Seen;
use super::{Absence, Call, input, note_execution};
use crate::error::ApiError;
use crate::xml::Writer;

const BY_USER: Origin = Origin { is_create: false, is_nested: false };

pub(super) fn create_stack(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    let name = form.name("StackName")?;
    let token = form.token("ClientRequestToken")?;
    let existing = state.find(call.account, call.region, name);
    if let Some(existing) = existing.filter(|stack| stack.status != StackStatus::ReviewInProgress) {
        let id = existing.id().to_owned();
        if let Ok(Seen::Repeated(operation)) = state.tokens.look(&id, token, call.action, name) {
            write_started(out, &id, &operation);
            return Ok(());
        }
        return Err(ApiError::bad(
            "AlreadyExistsException",
            format!("Stack [{name}] already exists"),
        ));
    }
    let definition = input::definition(call, None)?;
    let on_failure = input::on_failure(form, "OnFailure")?;
    let disables_rollback = form.flag("DisableRollback")?;
    if on_failure.is_some() && disables_rollback.is_some() {
        return Err(invalid(
            "You can specify only one of the following: OnFailure or DisableRollback",
        ));
    }
    let on_failure = on_failure.unwrap_or(match disables_rollback {
        Some(true) => OnFailure::DoNothing,
        _ => OnFailure::Rollback,
    });
    let policy = policy_body(call, "StackPolicyBody")?;
    let id = match existing.map(|stack| stack.id().to_owned()) {
        Some(id) => id,
        None => new_stack(state, call, name, StackStatus::CreateInProgress),
    };
    state.make_obsolete(&id, None);
    if let Some(stack) = state.stacks.get_mut(&id) {
        stack.is_protected = form.flag("EnableTerminationProtection")?.unwrap_or(false);
        stack.policy = policy;
        stack.timeout_minutes =
            form.get("TimeoutInMinutes").and_then(|minutes| minutes.parse().ok());
    }
    let request = Request {
        definition: Some(definition),
        token: token.map(str::to_owned),
        on_failure,
        retain_except_on_create: form.flag("RetainExceptOnCreate")?.unwrap_or(false),
        origin: Origin { is_create: true, is_nested: false },
        change_set: None,
        imports_existing: false,
    };
    let operation = state.start_create(call.world, &id, request, call.now);
    state.tokens.note(&id, token, call.action, name, &operation);
    note_execution(state, call, &id, token, &operation, None);
    write_started(out, &id, &operation);
    Ok(())
}

/// Puts a new stack into the state and returns its id.
pub(super) fn new_stack(
    state: &mut State,
    call: &Call<'_>,
    name: &str,
    status: StackStatus,
) -> String {
    let id = state.new_stack_id(call.account, call.region, name);
    let pseudo = Pseudo {
        account: call.account.to_owned(),
        region: call.region.to_owned(),
        stack_name: name.to_owned(),
        stack_id: id.clone(),
        notification_arns: Vec::new(),
    };
    state.stacks.insert(id.clone(), Stack::new(pseudo, status, call.now));
    id
}

pub(super) fn update_stack(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    let name = form.name("StackName")?;
    let token = form.token("ClientRequestToken")?;
    let stack = call.find(state, name, Absence::Bracketed)?;
    let id = stack.id().to_owned();
    let fingerprint = format!("{form:?}");
    if let Seen::Repeated(operation) = state.tokens.look(&id, token, call.action, &fingerprint)? {
        write_started(out, &id, &operation);
        return Ok(());
    }
    let disables_rollback = form.flag("DisableRollback")?.unwrap_or(false);
    if !(stack.status == StackStatus::CreateFailed && disables_rollback) {
        stack.check_updatable()?;
    }
    let definition = input::definition(call, Some(stack))?;
    let prospect = state.prospect(call.world, stack, &definition, true).map_err(invalid)?;
    if prospect.is_empty() && stack.status != StackStatus::UpdateFailed {
        return Err(invalid("No updates are to be performed."));
    }
    let policy = policy_body(call, "StackPolicyBody")?;
    let request = Request {
        definition: Some(definition),
        token: token.map(str::to_owned),
        on_failure: if disables_rollback { OnFailure::DoNothing } else { OnFailure::Rollback },
        retain_except_on_create: form.flag("RetainExceptOnCreate")?.unwrap_or(false),
        origin: BY_USER,
        change_set: None,
        imports_existing: false,
    };
    state.make_obsolete(&id, None);
    if let (Some(policy), Some(stack)) = (policy, state.stacks.get_mut(&id)) {
        stack.policy = Some(policy);
    }
    let operation = state.start_update(call.world, &id, request, call.now);
    state.tokens.note(&id, token, call.action, &fingerprint, &operation);
    note_execution(state, call, &id, token, &operation, None);
    write_started(out, &id, &operation);
    Ok(())
}

pub(super) fn delete_stack(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let form = &call.form;
    let name = form.name("StackName")?;
    let token = form.token("ClientRequestToken")?;
    // Deleting what does not exist succeeds.
    let Some(stack) = state.find(call.account, call.region, name) else {
        return Ok(());
    };
    let id = stack.id().to_owned();
    let retain = form.list("RetainResources");
    let mode = form.choice("DeletionMode", &["STANDARD", "FORCE_DELETE_STACK"])?;
    let fingerprint = format!("{retain:?} {mode:?}");
    if let Seen::Repeated(_) = state.tokens.look(&id, token, call.action, &fingerprint)? {
        return Ok(());
    }
    if stack.status == StackStatus::DeleteComplete {
        return Ok(());
    }
    if stack.is_protected {
        return Err(invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name()
        )));
    }
    let root = stack.root.as_ref().and_then(|root| state.stacks.get(root));
    if let Some(root) = root.filter(|root| root.is_protected) {
        return Err(invalid(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled on its root stack [{}]",
            stack.name(),
            root.name()
        )));
    }
    check_deletable(stack, &retain, mode)?;
    let request = Request {
        definition: None,
        token: token.map(str::to_owned),
        on_failure: OnFailure::DoNothing,
        retain_except_on_create: false,
        origin: BY_USER,
        change_set: None,
        imports_existing: false,
    };
    state.make_obsolete(&id, None);
    let is_forced = mode == Some("FORCE_DELETE_STACK");
    let retain = BTreeSet::from_iter(retain);
    let operation = state.start_delete(call.world, &id, request, retain, is_forced, call.now);
    state.tokens.note(&id, token, call.action, &fingerprint, &operation);
    note_execution(state, call, &id, token, &operation, None);
    Ok(())
}

fn check_deletable(stack: &Stack, retain: &[String], mode: Option<&str>) -> Result<(), ApiError> {
    let status = stack.status;
    let may_interrupt = matches!(
        status,
        StackStatus::CreateInProgress
            | StackStatus::RollbackInProgress
            | StackStatus::DeleteInProgress
    );
    if status.is_busy() && !may_interrupt {
        return Err(invalid(format!(
            "Stack [{}] cannot be deleted while in status {status}",
            stack.name()
        )));
    }
    if !retain.is_empty() && status != StackStatus::DeleteFailed {
        return Err(invalid(format!(
            "Invalid operation on stack [{}]. RetainResources can only be specified when the stack is in the DELETE_FAILED state.",
            stack.id()
        )));
    }
    if mode == Some("FORCE_DELETE_STACK") && status != StackStatus::DeleteFailed {
        return Err(invalid(format!(
            "Invalid operation on stack [{}]. FORCE_DELETE_STACK can only be specified when the stack is in the DELETE_FAILED state.",
            stack.id()
        )));
    }
    let is_deletable = |logical: &&String| {
        stack
            .resources
            .get(*logical)
            .is_some_and(|resource| resource.status == ResourceStatus::DeleteFailed)
    };
    let strange: Vec<&str> =
        retain.iter().filter(|logical| !is_deletable(logical)).map(String::as_str).collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Resources [{}] in RetainResources are not in the DELETE_FAILED state",
        strange.join(", ")
    )))
}

pub(super) fn update_termination_protection(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let name = call.form.name("StackName")?;
    call.form.require("EnableTerminationProtection")?;
    let is_protected = call.form.flag("EnableTerminationProtection")?.unwrap_or(false);
    let stack = call.find_mut(state, name, Absence::Bracketed)?;
    if stack.root.is_some() {
        return Err(invalid(format!(
            "Termination protection for stack [{}] cannot be updated directly: it is a nested stack.",
            stack.name()
        )));
    }
    if stack.status == StackStatus::DeleteComplete || stack.status == StackStatus::DeleteInProgress
    {
        return Err(invalid(format!(
            "Termination protection of stack [{}] cannot be updated while in status {}",
            stack.name(),
            stack.status
        )));
    }
    stack.is_protected = is_protected;
    out.text("StackId", stack.id());
    Ok(())
}

pub(super) fn set_stack_policy(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let name = call.form.name("StackName")?;
    let policy = policy_body(call, "StackPolicyBody")?;
    let stack = call.find_mut(state, name, Absence::Bracketed)?;
    stack.policy = Some(
        policy
            .ok_or_else(|| invalid("You must specify either StackPolicyBody or StackPolicyURL"))?,
    );
    Ok(())
}

pub(super) fn get_stack_policy(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let stack = call.find(state, call.form.name("StackName")?, Absence::Bracketed)?;
    if let Some(policy) = &stack.policy {
        out.text("StackPolicyBody", policy);
    }
    Ok(())
}

fn policy_body(call: &Call<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(body) = call.form.get(name) else {
        return Ok(None);
    };
    stack_policy::check(body)?;
    Ok(Some(body.to_owned()))
}

fn write_started(out: &mut Writer, stack: &str, operation: &str) {
    out.text("StackId", stack);
    out.text("OperationId", operation);
}
