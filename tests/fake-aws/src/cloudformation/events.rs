//! What happened to a stack, in the order in which it happened.

use serde_json::Value;

use super::plans::HookMode;
use super::state::{Resource, Stack, State};
use super::status::{ResourceStatus, StackStatus};
use crate::clock::{Millis, iso_millis};

/// An event, as both event calls report it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) at: Millis,
    pub(super) logical: String,
    pub(super) physical: String,
    pub(super) kind: String,
    /// Empty for validation errors, which are about no resource status.
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) properties: Option<Value>,
    pub(super) token: Option<String>,
    pub(super) operation: String,
    pub(super) detailed: Option<&'static str>,
    pub(super) class: Class,
    /// The change set during whose creation it happened.
    pub(super) change_set: Option<String>,
}

/// What kind of event it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Class {
    /// The stack itself changed its status.
    Stack,
    /// A resource changed its status.
    Progress,
    /// A resource failed.
    Provisioning,
    Hook(HookFacts),
    Validation(ValidationFacts),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookFacts {
    pub(super) type_name: String,
    pub(super) invocation: String,
    pub(super) reason: String,
    pub(super) mode: HookMode,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValidationFacts {
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) path: String,
    pub(super) mode: HookMode,
}

impl Class {
    /// Returns the `EventType` of `DescribeEvents`.
    pub(super) fn event_type(&self) -> &'static str {
        match self {
            Self::Stack => "STACK_EVENT",
            Self::Progress => "PROGRESS_EVENT",
            Self::Provisioning => "PROVISIONING_ERROR",
            Self::Hook(_) => "HOOK_INVOCATION_ERROR",
            Self::Validation(_) => "VALIDATION_ERROR",
        }
    }

    /// Tells whether the filter for failed events lets it through.
    pub(super) fn is_failure(&self, status: &str) -> bool {
        match self {
            Self::Stack => status.ends_with("_FAILED"),
            Self::Progress => false,
            Self::Provisioning | Self::Hook(_) | Self::Validation(_) => true,
        }
    }

    /// Tells whether the older event call shows it.
    pub(super) fn is_in_stack_events(&self) -> bool {
        !matches!(self, Self::Validation(_))
    }
}

/// In whose name an event happens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cause {
    pub(super) operation: String,
    pub(super) token: Option<String>,
}

impl State {
    /// Gives a stack a status and reports it.
    pub(super) fn report_stack(
        &mut self,
        stack: &mut Stack,
        cause: &Cause,
        status: StackStatus,
        reason: Option<&str>,
        now: Millis,
    ) {
        stack.status = status;
        stack.reason = reason.map(str::to_owned);
        let event = Event {
            id: self.random.uuid(),
            sequence: self.next_sequence(),
            at: now,
            logical: stack.name().to_owned(),
            physical: stack.id().to_owned(),
            kind: super::kinds::STACK.to_owned(),
            status: status.as_str().to_owned(),
            reason: reason.map(str::to_owned),
            properties: None,
            token: cause.token.clone(),
            operation: cause.operation.clone(),
            detailed: None,
            class: Class::Stack,
            change_set: None,
        };
        stack.events.push(event);
    }

    /// Reports the status that a resource has.
    pub(super) fn report_resource(
        &mut self,
        stack: &mut Stack,
        cause: &Cause,
        resource: &Resource,
        now: Millis,
    ) {
        let class =
            if resource.status.is_failure() { Class::Provisioning } else { Class::Progress };
        let event = self.resource_event(cause, resource, class, now);
        stack.events.push(event);
    }

    /// Reports that a resource is configured but not yet stable.
    pub(super) fn report_configured(
        &mut self,
        stack: &mut Stack,
        cause: &Cause,
        resource: &Resource,
        now: Millis,
    ) {
        let mut event = self.resource_event(cause, resource, Class::Progress, now);
        event.detailed = Some("CONFIGURATION_COMPLETE");
        event.reason = Some("Eventual consistency check initiated".to_owned());
        stack.events.push(event);
    }

    /// Reports a failed hook on a resource.
    pub(super) fn report_hook(
        &mut self,
        stack: &mut Stack,
        cause: &Cause,
        resource: &Resource,
        hook: HookFacts,
        now: Millis,
    ) {
        let mut event = self.resource_event(cause, resource, Class::Hook(hook), now);
        event.reason = None;
        stack.events.push(event);
    }

    fn resource_event(
        &mut self,
        cause: &Cause,
        resource: &Resource,
        class: Class,
        now: Millis,
    ) -> Event {
        Event {
            id: format!("{}-{}-{}", resource.logical, resource.status, iso_millis(now)),
            sequence: self.next_sequence(),
            at: now,
            logical: resource.logical.clone(),
            physical: resource.physical.clone().unwrap_or_default(),
            kind: resource.kind.name.to_owned(),
            status: resource.status.as_str().to_owned(),
            reason: resource.reason.clone(),
            properties: Some(resource.properties.clone()),
            token: cause.token.clone(),
            operation: cause.operation.clone(),
            detailed: None,
            class,
            change_set: None,
        }
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl Resource {
    /// Sets the status, its reason and its time.
    pub(super) fn become_status(
        &mut self,
        status: ResourceStatus,
        reason: Option<String>,
        now: Millis,
    ) {
        self.status = status;
        self.reason = reason;
        self.at = now;
    }
}
