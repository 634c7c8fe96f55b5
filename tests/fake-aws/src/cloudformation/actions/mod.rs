//! The calls of the API: each reads its request, asks or changes the state, writes its reply.

mod changes;
mod drift;
mod exports;
mod input;
mod reads;
mod recovery;
mod stacks;
mod templates;

use super::form::Form;
use super::settings::Availability;
use super::state::{Stack, State};
use super::tokens::Execution;
use super::world::World;
use crate::clock::Millis;
use crate::error::ApiError;
use crate::xml::Writer;

/// A call and its caller.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) form: Form<'a>,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) principal: &'a str,
    pub(super) now: Millis,
    pub(super) world: &'a dyn World,
}

/// The calls that exist.
pub(crate) const OPERATIONS: &[&str] = &[
    "CancelUpdateStack",
    "ContinueUpdateRollback",
    "CreateChangeSet",
    "CreateStack",
    "DeleteChangeSet",
    "DeleteStack",
    "DescribeChangeSet",
    "DescribeChangeSetHooks",
    "DescribeEvents",
    "DescribeStackDriftDetectionStatus",
    "DescribeStackEvents",
    "DescribeStackResource",
    "DescribeStackResourceDrifts",
    "DescribeStackResources",
    "DescribeStacks",
    "DetectStackDrift",
    "ExecuteChangeSet",
    "GetStackPolicy",
    "GetTemplate",
    "GetTemplateSummary",
    "ListChangeSets",
    "ListExports",
    "ListImports",
    "ListStackResources",
    "ListStacks",
    "RollbackStack",
    "SetStackPolicy",
    "UpdateStack",
    "UpdateTerminationProtection",
    "ValidateTemplate",
];

/// Carries a call out.
pub(super) fn act(state: &mut State, call: &Call<'_>, out: &mut Writer) -> Result<(), ApiError> {
    check_availability(state, call)?;
    match call.action {
        "CancelUpdateStack" => recovery::cancel_update_stack(state, call),
        "ContinueUpdateRollback" => recovery::continue_update_rollback(state, call),
        "CreateChangeSet" => changes::create_change_set(state, call, out),
        "CreateStack" => stacks::create_stack(state, call, out),
        "DeleteChangeSet" => changes::delete_change_set(state, call),
        "DeleteStack" => stacks::delete_stack(state, call),
        "DescribeChangeSet" => changes::describe_change_set(state, call, out),
        "DescribeChangeSetHooks" => changes::describe_change_set_hooks(state, call, out),
        "DescribeEvents" => reads::describe_events(state, call, out),
        "DescribeStackDriftDetectionStatus" => drift::describe_detection(state, call, out),
        "DescribeStackEvents" => reads::describe_stack_events(state, call, out),
        "DescribeStackResource" => reads::describe_stack_resource(state, call, out),
        "DescribeStackResourceDrifts" => drift::describe_resource_drifts(state, call, out),
        "DescribeStackResources" => reads::describe_stack_resources(state, call, out),
        "DescribeStacks" => reads::describe_stacks(state, call, out),
        "DetectStackDrift" => drift::detect_stack_drift(state, call, out),
        "ExecuteChangeSet" => changes::execute_change_set(state, call),
        "GetStackPolicy" => stacks::get_stack_policy(state, call, out),
        "GetTemplate" => templates::get_template(state, call, out),
        "GetTemplateSummary" => templates::get_template_summary(state, call, out),
        "ListChangeSets" => changes::list_change_sets(state, call, out),
        "ListExports" => exports::list_exports(state, call, out),
        "ListImports" => exports::list_imports(state, call, out),
        "ListStackResources" => reads::list_stack_resources(state, call, out),
        "ListStacks" => reads::list_stacks(state, call, out),
        "RollbackStack" => recovery::rollback_stack(state, call, out),
        "SetStackPolicy" => stacks::set_stack_policy(state, call),
        "UpdateStack" => stacks::update_stack(state, call, out),
        "UpdateTerminationProtection" => stacks::update_termination_protection(state, call, out),
        "ValidateTemplate" => templates::validate_template(call, out),
        other => Err(unknown(other)),
    }
}

fn check_availability(state: &State, call: &Call<'_>) -> Result<(), ApiError> {
    match state.settings.availability.get(call.action) {
        None | Some(Availability::Available) => Ok(()),
        Some(Availability::Unknown) => Err(unknown(call.action)),
        Some(Availability::AccessDenied) => Err(ApiError::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: cloudformation:{} because no identity-based policy allows the cloudformation:{} action",
                call.principal, call.action, call.action
            ),
        )),
    }
}

fn unknown(action: &str) -> ApiError {
    ApiError::bad(
        "InvalidAction",
        format!("Could not find operation {action} for version 2010-05-15"),
    )
}

/// How the service says that there is no such stack; its calls differ in this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    WithId,
    Bracketed,
}

impl Call<'_> {
    fn find<'s>(
        &self,
        state: &'s State,
        name: &str,
        absence: Absence,
    ) -> Result<&'s Stack, ApiError> {
        state.find(self.account, self.region, name).ok_or_else(|| no_stack(name, absence))
    }

    fn find_mut<'s>(
        &self,
        state: &'s mut State,
        name: &str,
        absence: Absence,
    ) -> Result<&'s mut Stack, ApiError> {
        state.find_mut(self.account, self.region, name).ok_or_else(|| no_stack(name, absence))
    }
}

fn no_stack(name: &str, absence: Absence) -> ApiError {
    super::form::invalid(match absence {
        Absence::WithId => format!("Stack with id {name} does not exist"),
        Absence::Bracketed => format!("Stack [{name}] does not exist"),
    })
}

/// Keeps a record of an operation that has really been started.
fn note_execution(
    state: &mut State,
    call: &Call<'_>,
    stack: &str,
    token: Option<&str>,
    operation: &str,
    change_set: Option<&str>,
) {
    let stack_name =
        state.stacks.get(stack).map(|stack| stack.name().to_owned()).unwrap_or_default();
    state.executions.push(Execution {
        action: call.action.to_owned(),
        token: token.map(str::to_owned),
        stack_name,
        stack_id: stack.to_owned(),
        operation_id: operation.to_owned(),
        change_set_id: change_set.map(str::to_owned),
        at_millis: call.now,
    });
}
