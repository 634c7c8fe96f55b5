//! Reads stacks and their events: the SDK's many optional fields into the types of `deploy::stack`.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types as sdk;
use jiff::Timestamp;

use super::fault::Fault;
use crate::deploy::{
    stack::{Stack, StackEvent},
    status::{ResourceStatus, StackStatus},
};

pub(super) fn read(stack: sdk::Stack) -> Stack {
    let pairs = |pairs: Vec<(Option<String>, Option<String>)>| -> BTreeMap<String, String> {
        pairs
            .into_iter()
            .filter_map(|(key, value)| Some((key?, value.unwrap_or_default())))
            .collect()
    };
    Stack {
        name: stack.stack_name.unwrap_or_default(),
        id: stack.stack_id.unwrap_or_default(),
        status: StackStatus::of(stack.stack_status.as_ref().map_or("", sdk::StackStatus::as_str)),
        reason: stack.stack_status_reason.filter(|reason| !reason.is_empty()),
        parameters: pairs(
            stack
                .parameters
                .unwrap_or_default()
                .into_iter()
                .map(|p| (p.parameter_key, p.parameter_value))
                .collect(),
        ),
        outputs: pairs(
            stack
                .outputs
                .unwrap_or_default()
                .into_iter()
                .map(|o| (o.output_key, o.output_value))
                .collect(),
        ),
        tags: pairs(stack.tags.unwrap_or_default().into_iter().map(|t| (t.key, t.value)).collect()),
        created: stack.creation_time.as_ref().and_then(timestamp),
        updated: stack.last_updated_time.as_ref().and_then(timestamp),
        protected: stack.enable_termination_protection.unwrap_or(false),
        parent: stack.parent_id.filter(|id| !id.is_empty()),
    }
}

pub(super) fn read_event(event: sdk::StackEvent) -> Result<StackEvent, Fault> {
    const OPERATION: &str = "DescribeStackEvents";
    let time = event.timestamp.as_ref().and_then(timestamp);
    let (Some(id), Some(stack_id), Some(time)) = (event.event_id, event.stack_id, time) else {
        return Err(Fault::unreadable(
            "cloudformation",
            OPERATION,
            "an event has no id, stack or time",
        ));
    };
    Ok(StackEvent {
        id,
        stack_id,
        logical_id: event.logical_resource_id.unwrap_or_default(),
        physical_id: event.physical_resource_id.unwrap_or_default(),
        resource_type: event.resource_type.unwrap_or_default(),
        status: ResourceStatus::of(
            event.resource_status.as_ref().map_or("", sdk::ResourceStatus::as_str),
        ),
        reason: event.resource_status_reason.filter(|reason| !reason.is_empty()),
        time,
        token: event.client_request_token,
        stabilising: event.detailed_status == Some(sdk::DetailedStatus::ConfigurationComplete),
        hook_failure: event
            .hook_status_reason
            .filter(|_| event.hook_status == Some(sdk::HookStatus::HookCompleteFailed)),
    })
}

fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Returns what a failed check says: which resource and property, and why.
pub(super) fn failed_check(event: sdk::OperationEvent) -> Option<String> {
    let reason = event
        .validation_status_reason
        .or(event.hook_status_reason)
        .or(event.resource_status_reason)?;
    let place: Vec<String> = [event.logical_resource_id, event.validation_path]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    Some(if place.is_empty() { reason } else { format!("{}: {reason}", place.join(" ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_names_the_resource_and_the_property() {
        let event = sdk::OperationEvent::builder()
            .logical_resource_id("Role")
            .validation_path("/Resources/Role/Properties/RoleName")
            .validation_status_reason("a role of this name exists");
        let line = failed_check(event.build());
        assert_eq!(
            line.as_deref(),
            Some("Role /Resources/Role/Properties/RoleName: a role of this name exists")
        );
        assert_eq!(failed_check(sdk::OperationEvent::builder().build()), None);
    }
}
