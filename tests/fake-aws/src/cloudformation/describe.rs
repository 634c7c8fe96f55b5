//! Writes stacks, resources and events as the API does.

use super::events::{Class, Event};
use super::plans::HookMode;
use super::state::{Operation, Resource, RollbackConfiguration, Stack};
use super::status::{OperationStatus, OperationType, StackStatus};
use crate::clock::iso_millis;
use crate::xml::Writer;

/// Writes a stack as `DescribeStacks` does.
pub(super) fn stack(out: &mut Writer, stack: &Stack) {
    let is_deleted = stack.status == StackStatus::DeleteComplete;
    out.text("StackId", stack.id());
    out.text("StackName", stack.name());
    if let Some(change_set) = stack.change_set.as_ref().filter(|_| !is_deleted) {
        out.text("ChangeSetId", change_set);
    }
    let definition = stack.definition.as_ref();
    if let Some(description) = definition.and_then(|definition| definition.template.description()) {
        out.text("Description", description);
    }
    if let Some(definition) = definition {
        out.nest("Parameters", |out| {
            for (key, value) in &definition.parameters {
                out.nest("member", |out| {
                    out.text("ParameterKey", key);
                    out.text("ParameterValue", value.shown());
                });
            }
        });
    }
    out.text("CreationTime", &iso_millis(stack.created));
    if let Some(deleted) = stack.deleted {
        out.text("DeletionTime", &iso_millis(deleted));
    }
    if let Some(updated) = stack.updated {
        out.text("LastUpdatedTime", &iso_millis(updated));
    }
    let rollback = definition.map(|definition| definition.rollback.clone()).unwrap_or_default();
    rollback_configuration(out, &rollback);
    out.text("StackStatus", stack.status.as_str());
    if let Some(reason) = &stack.reason {
        out.text("StackStatusReason", reason);
    }
    out.text("DisableRollback", flag(stack.disable_rollback));
    out.nest("NotificationARNs", |out| {
        let arns = definition
            .map(|definition| definition.notification_arns.as_slice())
            .unwrap_or_default();
        arns.iter().for_each(|arn| out.text("member", arn));
    });
    if let Some(minutes) = stack.timeout_minutes {
        out.text("TimeoutInMinutes", &minutes.to_string());
    }
    if let Some(definition) = definition.filter(|definition| !definition.capabilities.is_empty()) {
        out.nest("Capabilities", |out| {
            definition.capabilities.iter().for_each(|capability| out.text("member", capability));
        });
    }
    if !stack.outputs.is_empty() && !is_deleted {
        out.nest("Outputs", |out| outputs(out, stack));
    }
    if let Some(role) = definition.and_then(|definition| definition.role_arn.as_ref()) {
        out.text("RoleARN", role);
    }
    tags(out, definition.map(|definition| definition.tags.as_slice()).unwrap_or_default());
    if !is_deleted {
        out.text("EnableTerminationProtection", flag(stack.is_protected));
    }
    lineage(out, stack);
    drift(out, stack);
    if stack.retain_except_on_create {
        out.text("RetainExceptOnCreate", "true");
    }
    last_operations(out, stack);
}

fn outputs(out: &mut Writer, stack: &Stack) {
    for output in &stack.outputs {
        out.nest("member", |out| {
            out.text("OutputKey", &output.key);
            out.text("OutputValue", &output.value);
            if let Some(description) = &output.description {
                out.text("Description", description);
            }
            if let Some(export) = &output.export {
                out.text("ExportName", export);
            }
        });
    }
}

fn lineage(out: &mut Writer, stack: &Stack) {
    if let Some(parent) = &stack.parent {
        out.text("ParentId", parent);
    }
    if let Some(root) = &stack.root {
        out.text("RootId", root);
    }
}

fn drift(out: &mut Writer, stack: &Stack) {
    out.nest("DriftInformation", |out| match &stack.drift {
        Some((status, at)) => {
            out.text("StackDriftStatus", status);
            out.text("LastCheckTimestamp", &iso_millis(*at));
        }
        None => out.text("StackDriftStatus", "NOT_CHECKED"),
    });
}

/// Writes the operations that a stack was last in: the newest, and the one that led to it.
fn last_operations(out: &mut Writer, stack: &Stack) {
    if stack.operations.is_empty() {
        return;
    }
    out.nest("LastOperations", |out| {
        for operation in stack.operations.iter().rev().take(2) {
            out.nest("member", |out| {
                out.text("OperationType", operation.kind.as_str());
                out.text("OperationId", &operation.id);
            });
        }
    });
}

/// Writes a stack as `ListStacks` does.
pub(super) fn stack_summary(out: &mut Writer, stack: &Stack) {
    out.text("StackId", stack.id());
    out.text("StackName", stack.name());
    let description =
        stack.definition.as_ref().and_then(|definition| definition.template.description());
    if let Some(description) = description {
        out.text("TemplateDescription", description);
    }
    out.text("CreationTime", &iso_millis(stack.created));
    if let Some(updated) = stack.updated {
        out.text("LastUpdatedTime", &iso_millis(updated));
    }
    if let Some(deleted) = stack.deleted {
        out.text("DeletionTime", &iso_millis(deleted));
    }
    out.text("StackStatus", stack.status.as_str());
    if let Some(reason) = &stack.reason {
        out.text("StackStatusReason", reason);
    }
    lineage(out, stack);
    drift(out, stack);
    last_operations(out, stack);
}

pub(super) fn rollback_configuration(out: &mut Writer, rollback: &RollbackConfiguration) {
    out.nest("RollbackConfiguration", |out| {
        if !rollback.triggers.is_empty() {
            out.nest("RollbackTriggers", |out| {
                for (arn, kind) in &rollback.triggers {
                    out.nest("member", |out| {
                        out.text("Arn", arn);
                        out.text("Type", kind);
                    });
                }
            });
        }
        if let Some(minutes) = rollback.minutes {
            out.text("MonitoringTimeInMinutes", &minutes.to_string());
        }
    });
}

pub(super) fn tags(out: &mut Writer, tags: &[(String, String)]) {
    out.nest("Tags", |out| {
        for (key, value) in tags {
            out.nest("member", |out| {
                out.text("Key", key);
                out.text("Value", value);
            });
        }
    });
}

/// Writes a resource as `ListStackResources` does.
pub(super) fn resource_summary(out: &mut Writer, resource: &Resource) {
    out.text("LogicalResourceId", &resource.logical);
    if let Some(physical) = &resource.physical {
        out.text("PhysicalResourceId", physical);
    }
    out.text("ResourceType", resource.kind.name);
    out.text("LastUpdatedTimestamp", &iso_millis(resource.at));
    resource_state(out, resource);
}

/// Writes a resource as `DescribeStackResources` does.
pub(super) fn resource(out: &mut Writer, stack: &Stack, resource: &Resource) {
    out.text("StackName", stack.name());
    out.text("StackId", stack.id());
    out.text("LogicalResourceId", &resource.logical);
    if let Some(physical) = &resource.physical {
        out.text("PhysicalResourceId", physical);
    }
    out.text("ResourceType", resource.kind.name);
    out.text("Timestamp", &iso_millis(resource.at));
    resource_state(out, resource);
}

fn resource_state(out: &mut Writer, resource: &Resource) {
    out.text("ResourceStatus", resource.status.as_str());
    if let Some(reason) = &resource.reason {
        out.text("ResourceStatusReason", reason);
    }
    out.nest("DriftInformation", |out| {
        out.text("StackResourceDriftStatus", resource.drift_status());
        if let Some(at) = resource.drift_checked {
            out.text("LastCheckTimestamp", &iso_millis(at));
        }
    });
}

/// Writes an event as `DescribeStackEvents` does.
pub(super) fn stack_event(out: &mut Writer, stack: &Stack, event: &Event) {
    out.text("StackId", stack.id());
    out.text("EventId", &event.id);
    out.text("StackName", stack.name());
    common_event(out, event);
    out.text("Timestamp", &iso_millis(event.at));
    if let Class::Hook(hook) = &event.class {
        hook_facts(out, hook);
        out.text("HookInvocationId", &hook.invocation);
    }
    if let Some(detailed) = event.detailed {
        out.text("DetailedStatus", detailed);
    }
}

fn common_event(out: &mut Writer, event: &Event) {
    out.text("OperationId", &event.operation);
    out.text("LogicalResourceId", &event.logical);
    out.text("PhysicalResourceId", &event.physical);
    out.text("ResourceType", &event.kind);
    if !event.status.is_empty() {
        out.text("ResourceStatus", &event.status);
    }
    if let Some(reason) = &event.reason {
        out.text("ResourceStatusReason", reason);
    }
    if let Some(properties) = &event.properties {
        out.text("ResourceProperties", &properties.to_string());
    }
    if let Some(token) = &event.token {
        out.text("ClientRequestToken", token);
    }
}

fn hook_facts(out: &mut Writer, hook: &super::events::HookFacts) {
    out.text("HookType", &hook.type_name);
    out.text("HookStatus", "HOOK_COMPLETE_FAILED");
    out.text("HookStatusReason", &hook.reason);
    out.text("HookInvocationPoint", "PRE_PROVISION");
    out.text("HookFailureMode", mode(hook.mode));
}

fn mode(mode: HookMode) -> &'static str {
    match mode {
        HookMode::Fail => "FAIL",
        HookMode::Warn => "WARN",
    }
}

/// Writes an event as `DescribeEvents` does.
pub(super) fn operation_event(
    out: &mut Writer,
    stack_id: &str,
    operation: Option<&Operation>,
    event: &Event,
) {
    out.text("EventId", &event.id);
    out.text("StackId", stack_id);
    if let Some(operation) = operation {
        out.text("OperationType", operation.kind.as_str());
        out.text("OperationStatus", operation.status.as_str());
    } else {
        out.text("OperationType", OperationType::CreateChangeSet.as_str());
        out.text("OperationStatus", OperationStatus::Failed.as_str());
    }
    out.text("EventType", event.class.event_type());
    common_event(out, event);
    out.text("Timestamp", &iso_millis(event.at));
    if event.class == Class::Stack
        && let Some(operation) = operation
    {
        out.text("StartTime", &iso_millis(operation.started));
        if let Some(ended) = operation.ended {
            out.text("EndTime", &iso_millis(ended));
        }
    }
    match &event.class {
        Class::Hook(hook) => hook_facts(out, hook),
        Class::Validation(facts) => {
            out.text("ValidationFailureMode", mode(facts.mode));
            out.text("ValidationName", &facts.name);
            out.text("ValidationStatus", "FAILED");
            out.text("ValidationStatusReason", &facts.reason);
            out.text("ValidationPath", &facts.path);
        }
        Class::Stack | Class::Progress | Class::Provisioning => {}
    }
    if let Some(detailed) = event.detailed {
        out.text("DetailedStatus", detailed);
    }
}

pub(super) fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
