//! Change sets: making, showing, executing and deleting them.

use super::super::change_set::{ChangeSet, ChangeSetKind, Proposal, Values, describe, summarise};
use super::super::engine::{OnFailure, Origin, Request};
use super::super::form::{check_length, invalid};
use super::super::paging;
use super::super::plans::HookTarget;
use super::super::settings::EarlyValidation;
use super::super::state::State;
use super::super::status::{ChangeSetStatus, ExecutionStatus, OperationStatus, StackStatus};
use super::super::tokens::Seen;
use super::{Absence, Call, input, note_execution, stacks};
use crate::error::ApiError;
use crate::xml::Writer;

pub(super) fn create_change_set(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    let stack_name = form.name("StackName")?;
    let name = form.name("ChangeSetName")?;
    let client_token = form.token("ClientToken")?;
    if let Some(description) = form.get("Description") {
        check_length("Description", description, 1_024)?;
    }
    let kind = match form.choice("ChangeSetType", &["CREATE", "UPDATE", "IMPORT"])? {
        Some("CREATE") => ChangeSetKind::Create,
        Some("IMPORT") => {
            return Err(invalid(
                "As part of the import operation, ChangeSetType IMPORT is not available in this stand-in; use ImportExistingResources.",
            ));
        }
        _ => ChangeSetKind::Update,
    };
    if let Some(repeated) = repeated(state, call, stack_name, name, client_token)? {
        out.text("Id", &repeated.0);
        out.text("StackId", &repeated.1);
        return Ok(());
    }
    let existing = state.find(call.account, call.region, stack_name);
    match (kind, existing) {
        (ChangeSetKind::Create, Some(stack)) if stack.status == StackStatus::DeleteComplete => {
            return Err(invalid(format!("Stack [{stack_name}] does not exist")));
        }
        (ChangeSetKind::Create, Some(stack)) if stack.status != StackStatus::ReviewInProgress => {
            return Err(invalid(format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
                stack.name()
            )));
        }
        (ChangeSetKind::Create, _) => {}
        (ChangeSetKind::Update, None) => {
            return Err(invalid(format!("Stack [{stack_name}] does not exist")));
        }
        (ChangeSetKind::Update, Some(stack)) => stack.check_updatable()?,
    }
    let on_stack_failure = input::on_failure(form, "OnStackFailure")?;
    if on_stack_failure == Some(OnFailure::Delete) && kind == ChangeSetKind::Update {
        return Err(invalid(
            "OnStackFailure DELETE is only valid when the ChangeSetType is CREATE",
        ));
    }
    let deployed = existing.filter(|_| kind == ChangeSetKind::Update);
    let definition = input::definition(call, deployed)?;
    let proposal = Proposal {
        name: name.to_owned(),
        kind,
        description: form.get("Description").map(str::to_owned),
        definition,
        includes_nested: form.flag("IncludeNestedStacks")?.unwrap_or(false),
        on_stack_failure,
        imports_existing: form.flag("ImportExistingResources")?.unwrap_or(false),
        client_token: client_token.map(str::to_owned),
        early_validation: if form.flag("DisableValidation")?.unwrap_or(false) {
            EarlyValidation::Off
        } else {
            EarlyValidation::On
        },
    };
    let known = existing.map(|stack| stack.id().to_owned());
    let stack = match known {
        Some(id) => id,
        None => review_stack(state, call, stack_name, client_token),
    };
    let id = state.create_change_set(call.world, &stack, proposal, call.now);
    out.text("Id", &id);
    out.text("StackId", &stack);
    Ok(())
}

/// Finds a change set that the same request has made before. Another one of the same name is an
/// error.
fn repeated(
    state: &State,
    call: &Call<'_>,
    stack_name: &str,
    name: &str,
    client_token: Option<&str>,
) -> Result<Option<(String, String)>, ApiError> {
    let Some(stack) = state.find(call.account, call.region, stack_name) else {
        return Ok(None);
    };
    let is_open = |set: &&ChangeSet| {
        set.execution == ExecutionStatus::Available || set.execution == ExecutionStatus::Unavailable
    };
    match state.find_change_set(Some(stack.id()), name).filter(is_open) {
        None => Ok(None),
        Some(set) if client_token.is_some() && set.client_token.as_deref() == client_token => {
            Ok(Some((set.id.clone(), stack.id().to_owned())))
        }
        Some(_) => {
            Err(ApiError::bad("AlreadyExistsException", format!("ChangeSet {name} already exists")))
        }
    }
}

/// Makes the stack that a change set for a creation needs.
fn review_stack(state: &mut State, call: &Call<'_>, name: &str, token: Option<&str>) -> String {
    let id = stacks::new_stack(state, call, name, StackStatus::ReviewInProgress);
    let cause = super::super::events::Cause {
        operation: state.random.uuid(),
        token: token.map(str::to_owned),
    };
    if let Some(mut stack) = state.stacks.remove(&id) {
        let status = StackStatus::ReviewInProgress;
        state.report_stack(&mut stack, &cause, status, Some("User Initiated"), call.now);
        state.stacks.insert(id.clone(), stack);
    }
    id
}

/// Finds the change set that a request names.
fn named<'s>(state: &'s State, call: &Call<'_>) -> Result<&'s ChangeSet, ApiError> {
    let name = call.form.name("ChangeSetName")?;
    let stack = match call.form.optional_name("StackName")? {
        Some(stack) => Some(call.find(state, stack, Absence::Bracketed)?.id().to_owned()),
        None if name.starts_with("arn:") => None,
        None => {
            return Err(invalid(
                "StackName must be specified if ChangeSetName is not specified as an ARN.",
            ));
        }
    };
    let found = state
        .find_change_set(stack.as_deref(), name)
        .filter(|set| set.stack.account == call.account && set.stack.region == call.region);
    found.ok_or_else(|| {
        ApiError::new(404, "ChangeSetNotFound", format!("ChangeSet [{name}] does not exist"))
    })
}

pub(super) fn describe_change_set(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let set = named(state, call)?;
    let values = match call.form.flag("IncludePropertyValues")? {
        Some(true) => Values::With,
        _ => Values::Without,
    };
    let mut next = Ok(None);
    describe(out, set, values, |changes| {
        let token = call.form.get("NextToken");
        match paging::page(changes, token, state.settings.page_size, |change| {
            change.logical_id().to_owned()
        }) {
            Ok(page) => {
                next = Ok(page.next);
                page.entries
            }
            Err(error) => {
                next = Err(error);
                Vec::new()
            }
        }
    });
    if let Some(next) = next? {
        out.text("NextToken", &next);
    }
    Ok(())
}

pub(super) fn describe_change_set_hooks(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let set = named(state, call)?;
    out.text("ChangeSetId", &set.id);
    out.text("ChangeSetName", &set.name);
    out.nest("Hooks", |out| {
        for hook in &state.hooks {
            let HookTarget::Resource(logical) = &hook.target else {
                continue;
            };
            let Some(change) = set.changes.iter().find(|change| change.logical_id() == logical)
            else {
                continue;
            };
            out.nest("member", |out| {
                out.text("InvocationPoint", "PRE_PROVISION");
                out.text(
                    "FailureMode",
                    if hook.mode == super::super::plans::HookMode::Fail { "FAIL" } else { "WARN" },
                );
                out.text("TypeName", &hook.type_name);
                out.nest("TargetDetails", |out| {
                    out.text("TargetType", "RESOURCE");
                    out.nest("ResourceTargetDetails", |out| {
                        out.text("LogicalResourceId", logical);
                        out.text("ResourceType", change.kind_name());
                        out.text("ResourceAction", change.action_name());
                    });
                });
            });
        }
    });
    out.text("Status", "PLANNED");
    out.text("StackId", &set.stack.stack_id);
    out.text("StackName", &set.stack.stack_name);
    Ok(())
}

pub(super) fn list_change_sets(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let stack = call.find(state, call.form.name("StackName")?, Absence::Bracketed)?;
    let mut sets: Vec<&ChangeSet> = state
        .change_sets
        .values()
        .filter(|set| {
            set.stack.stack_id == stack.id()
                && set.status != ChangeSetStatus::DeleteComplete
                && matches!(
                    set.execution,
                    ExecutionStatus::Available | ExecutionStatus::Unavailable
                )
        })
        .collect();
    sets.sort_by(|left, right| (right.created, &right.id).cmp(&(left.created, &left.id)));
    let page = paging::page(sets, call.form.get("NextToken"), state.settings.page_size, |set| {
        set.id.clone()
    })?;
    out.nest("Summaries", |out| {
        page.entries.iter().for_each(|set| out.nest("member", |out| summarise(out, set)));
    });
    if let Some(next) = page.next {
        out.text("NextToken", &next);
    }
    Ok(())
}

pub(super) fn delete_change_set(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let set = match named(state, call) {
        Ok(set) => set,
        // Deleting what is not there succeeds, as far as the stack is there.
        Err(error) if error.code == "ChangeSetNotFound" => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(root) = &set.root {
        return Err(invalid(format!(
            "Nested change set [{}] cannot be deleted. Delete its root change set [{root}] instead.",
            set.id
        )));
    }
    if set.execution == ExecutionStatus::ExecuteInProgress || set.is_pending() {
        let status = if set.is_pending() { set.status.as_str() } else { set.execution.as_str() };
        return Err(ApiError::bad(
            "InvalidChangeSetStatus",
            format!("ChangeSet [{}] cannot be deleted in its current status of [{status}]", set.id),
        ));
    }
    let id = set.id.clone();
    state.delete_change_set(&id);
    Ok(())
}

pub(super) fn execute_change_set(state: &mut State, call: &Call<'_>) -> Result<(), ApiError> {
    let form = &call.form;
    let token = form.token("ClientRequestToken")?;
    let set = named(state, call)?;
    let (id, stack_id) = (set.id.clone(), set.stack.stack_id.clone());
    let disables_rollback = form.flag("DisableRollback")?;
    if let Seen::Repeated(_) = state.tokens.look(&stack_id, token, call.action, &id)? {
        return Ok(());
    }
    if let Some(root) = &set.root {
        return Err(invalid(format!(
            "Nested change set [{id}] cannot be executed. Execute its root change set [{root}] instead."
        )));
    }
    if set.status != ChangeSetStatus::CreateComplete {
        return Err(cannot_execute(&id, &format!("status of [{}]", set.status)));
    }
    if set.execution != ExecutionStatus::Available {
        return Err(cannot_execute(&id, &format!("execution status of [{}]", set.execution)));
    }
    if set.on_stack_failure.is_some() && disables_rollback.is_some() {
        return Err(invalid(
            "You cannot specify DisableRollback when the change set has OnStackFailure",
        ));
    }
    let stack = state
        .stacks
        .get(&stack_id)
        .ok_or_else(|| invalid(format!("Stack [{stack_id}] does not exist")))?;
    if set.kind == ChangeSetKind::Update {
        stack.check_updatable()?;
    }
    let on_failure = set.on_stack_failure.unwrap_or(match disables_rollback {
        Some(true) => OnFailure::DoNothing,
        _ => OnFailure::Rollback,
    });
    let is_create = set.kind == ChangeSetKind::Create;
    let request = Request {
        definition: set.definition.clone(),
        token: token.map(str::to_owned),
        on_failure,
        retain_except_on_create: form.flag("RetainExceptOnCreate")?.unwrap_or(false),
        origin: Origin { is_create, is_nested: false },
        change_set: Some(id.clone()),
        imports_existing: set.imports_existing,
    };
    state.make_obsolete(&stack_id, Some(&id));
    state.settle_change_set(Some(&id), OperationStatus::InProgress);
    let operation = if is_create {
        let operation = state.start_create(call.world, &stack_id, request, call.now);
        if let Some(stack) = state.stacks.get_mut(&stack_id) {
            stack.updated = Some(call.now);
        }
        operation
    } else {
        state.start_update(call.world, &stack_id, request, call.now)
    };
    state.tokens.note(&stack_id, token, call.action, &id, &operation);
    note_execution(state, call, &stack_id, token, &operation, Some(&id));
    Ok(())
}

fn cannot_execute(id: &str, state: &str) -> ApiError {
    ApiError::bad(
        "InvalidChangeSetStatus",
        format!("ChangeSet [{id}] cannot be executed in its current {state}"),
    )
}
