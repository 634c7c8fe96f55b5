//! Stacks, their resources and their events.

use super::super::describe;
use super::super::events::Event;
use super::super::form::invalid;
use super::super::paging;
use super::super::state::{Operation, Resource, Stack, State};
use super::super::status::StackStatus;
use super::{Absence, Call};
use crate::error::ApiError;
use crate::xml::Writer;

/// Returns what a read sees of a stack: for a while after the start of an operation, the past.
fn seen(stack: &Stack) -> &Stack {
    stack.stale.as_ref().map_or(stack, |stale| &stale.view)
}

/// Counts a read against the stale view of a stack.
fn spend(state: &mut State, id: &str) {
    let Some(stack) = state.stacks.get_mut(id) else {
        return;
    };
    if let Some(stale) = stack.stale.as_mut() {
        stale.reads_left = stale.reads_left.saturating_sub(1);
    }
    if stack.stale.as_ref().is_some_and(|stale| stale.reads_left == 0) {
        stack.stale = None;
    }
}

fn local<'s>(state: &'s State, call: &Call<'_>) -> Vec<&'s Stack> {
    let mut stacks: Vec<&Stack> = state
        .stacks
        .values()
        .filter(|stack| stack.pseudo.account == call.account && stack.pseudo.region == call.region)
        .map(seen)
        .collect();
    stacks.sort_by(|left, right| (right.created, right.id()).cmp(&(left.created, left.id())));
    stacks
}

fn write_next(out: &mut Writer, next: Option<String>) {
    if let Some(next) = next {
        out.text("NextToken", &next);
    }
}

pub(super) fn describe_stacks(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let token = call.form.get("NextToken");
    let Some(name) = call.form.optional_name("StackName")? else {
        let mut stacks = local(state, call);
        stacks.retain(|stack| stack.status != StackStatus::DeleteComplete);
        let page =
            paging::page(stacks, token, state.settings.page_size, |stack| stack.id().to_owned())?;
        out.nest("Stacks", |out| {
            page.entries
                .iter()
                .for_each(|stack| out.nest("member", |out| describe::stack(out, stack)));
        });
        write_next(out, page.next);
        return Ok(());
    };
    let stack = call.find(state, name, Absence::WithId)?;
    let id = stack.id().to_owned();
    out.nest("Stacks", |out| out.nest("member", |out| describe::stack(out, seen(stack))));
    spend(state, &id);
    Ok(())
}

pub(super) fn list_stacks(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let wanted = call.form.list("StackStatusFilter");
    if let Some(odd) = wanted.iter().find(|status| StackStatus::from_text(status).is_none()) {
        return Err(invalid(format!(
            "1 validation error detected: Value '[{odd}]' at 'stackStatusFilter' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set]"
        )));
    }
    let mut stacks = local(state, call);
    stacks.retain(|stack| {
        wanted.is_empty() || wanted.iter().any(|status| status == stack.status.as_str())
    });
    let size = state.settings.page_size;
    let page =
        paging::page(stacks, call.form.get("NextToken"), size, |stack| stack.id().to_owned())?;
    out.nest("StackSummaries", |out| {
        page.entries
            .iter()
            .for_each(|stack| out.nest("member", |out| describe::stack_summary(out, stack)));
    });
    write_next(out, page.next);
    Ok(())
}

pub(super) fn list_stack_resources(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let stack = call.find(state, call.form.name("StackName")?, Absence::WithId)?;
    let id = stack.id().to_owned();
    let resources: Vec<&Resource> = seen(stack).resources.values().collect();
    let size = state.settings.page_size;
    let token = call.form.get("NextToken");
    let page = paging::page(resources, token, size, |resource| resource.logical.clone())?;
    out.nest("StackResourceSummaries", |out| {
        for resource in &page.entries {
            out.nest("member", |out| describe::resource_summary(out, resource));
        }
    });
    write_next(out, page.next);
    spend(state, &id);
    Ok(())
}

/// The call returns no more than this, without saying that there is more.
const MOST_DESCRIBED_RESOURCES: usize = 100;

pub(super) fn describe_stack_resources(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let name = call.form.optional_name("StackName")?;
    let physical = call.form.get("PhysicalResourceId");
    let stack = match (name, physical) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "You must specify either StackName or PhysicalResourceId, but not both.",
            ));
        }
        (Some(name), None) => call.find(state, name, Absence::WithId)?,
        (None, Some(physical)) => local(state, call)
            .into_iter()
            .find(|stack| {
                stack.living().any(|resource| resource.physical.as_deref() == Some(physical))
            })
            .ok_or_else(|| invalid(format!("Stack for {physical} does not exist")))?,
        (None, None) => {
            return Err(invalid("You must specify either StackName or PhysicalResourceId."));
        }
    };
    let stack = seen(stack);
    let wanted = call.form.get("LogicalResourceId");
    let resources =
        stack.resources.values().filter(|resource| wanted.is_none_or(|id| id == resource.logical));
    out.nest("StackResources", |out| {
        for resource in resources.take(MOST_DESCRIBED_RESOURCES) {
            out.nest("member", |out| describe::resource(out, stack, resource));
        }
    });
    Ok(())
}

pub(super) fn describe_stack_resource(
    state: &State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let name = call.form.name("StackName")?;
    let logical = call.form.require("LogicalResourceId")?;
    let found = state.find(call.account, call.region, name);
    let stack = seen(found.ok_or_else(|| invalid(format!("Stack '{name}' does not exist")))?);
    let resource = stack.resources.get(logical).ok_or_else(|| {
        invalid(format!("Resource {logical} does not exist for stack {}", stack.name()))
    })?;
    out.nest("StackResourceDetail", |out| describe::resource(out, stack, resource));
    Ok(())
}

pub(super) fn describe_stack_events(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let stack = call.find(state, call.form.name("StackName")?, Absence::Bracketed)?;
    let id = stack.id().to_owned();
    let stack = seen(stack);
    let events: Vec<&Event> =
        stack.events.iter().rev().filter(|event| event.class.is_in_stack_events()).collect();
    let size = state.settings.page_size;
    let page =
        paging::page(events, call.form.get("NextToken"), size, |event| event.sequence.to_string())?;
    out.nest("StackEvents", |out| {
        page.entries
            .iter()
            .for_each(|event| out.nest("member", |out| describe::stack_event(out, stack, event)));
    });
    write_next(out, page.next);
    spend(state, &id);
    Ok(())
}

pub(super) fn describe_events(
    state: &mut State,
    call: &Call<'_>,
    out: &mut Writer,
) -> Result<(), ApiError> {
    let form = &call.form;
    let only_failed = form.flag("Filters.FailedEvents")?.unwrap_or(false);
    let stack_name = form.optional_name("StackName")?;
    let change_set = form.optional_name("ChangeSetName")?;
    let operation = form.get("OperationId");
    if stack_name.is_none()
        && operation.is_none()
        && change_set.is_none_or(|name| !name.starts_with("arn:"))
    {
        return Err(invalid("One of ChangeSetName, OperationId or StackName must be specified"));
    }
    let stack = stack_name.map(|name| call.find(state, name, Absence::Bracketed)).transpose()?;
    let stack_id = stack.map(|stack| stack.id().to_owned());
    let mut found: Vec<(&str, Option<&Operation>, &Event)> = match change_set {
        Some(name) => {
            let set = state.find_change_set(stack_id.as_deref(), name).ok_or_else(|| {
                ApiError::new(
                    404,
                    "ChangeSetNotFound",
                    format!("ChangeSet [{name}] does not exist"),
                )
            })?;
            set.events.iter().map(|event| (set.stack.stack_id.as_str(), None, event)).collect()
        }
        None => {
            let stacks = stack.map_or_else(|| local(state, call), |stack| vec![seen(stack)]);
            stacks
                .into_iter()
                .flat_map(|stack| {
                    let operation_of = |event: &Event| {
                        stack.operations.iter().find(|operation| operation.id == event.operation)
                    };
                    stack.events.iter().map(move |event| (stack.id(), operation_of(event), event))
                })
                .collect()
        }
    };
    found.retain(|(_, _, event)| {
        operation.is_none_or(|operation| event.operation == operation)
            && (!only_failed || event.class.is_failure(&event.status))
    });
    found.sort_by_key(|(_, _, event)| std::cmp::Reverse(event.sequence));
    let size = state.settings.page_size;
    let page = paging::page(found, form.get("NextToken"), size, |(_, _, event)| {
        event.sequence.to_string()
    })?;
    out.nest("OperationEvents", |out| {
        for (stack, operation, event) in &page.entries {
            out.nest("member", |out| describe::operation_event(out, stack, *operation, event));
        }
    });
    write_next(out, page.next);
    if let Some(id) = stack_id {
        spend(state, &id);
    }
    Ok(())
}
