//! Stacks, their history and their change sets.

use std::collections::BTreeMap;

use super::{
    budget::Budget,
    change_set,
    fault::{Fault, FaultClass, is_missing_stack},
    stack,
};
use crate::deploy::{
    change::ResourceChange,
    stack::{Presence, Stack, StackEvent, StackResource},
    status::ResourceStatus,
};
use aws_config::SdkConfig;
use aws_sdk_cloudformation::{
    Client,
    types::{
        self as sdk, Capability, ChangeSetType, DeletionMode, EventFilter, OnStackFailure,
        TemplateStage,
    },
};

const SERVICE: &str = "cloudformation";

/// A client for CloudFormation in one region.
#[derive(Debug, Clone)]
pub struct CloudFormation(Client);

/// What a parameter of a change set is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// This text.
    Set(String),
    /// Whatever the stack has now.
    Previous,
}

/// Whether a change set makes a stack or changes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSetKind {
    /// Makes the stack; if that fails, nothing is left.
    Create,
    /// Changes the stack; if that fails, it is rolled back.
    Update,
}

/// What a change set is made of.
#[derive(Debug, Clone)]
pub struct ChangeSetRequest {
    /// The stack's name.
    pub stack: String,
    /// The change set's name.
    pub name: String,
    /// The token that makes a repeated request harmless.
    pub token: String,
    /// What it is for.
    pub kind: ChangeSetKind,
    /// The template.
    pub template: String,
    /// Every parameter that is not left to its default.
    pub parameters: BTreeMap<String, ParameterValue>,
    /// The stack's tags.
    pub tags: BTreeMap<String, String>,
    /// A text for people.
    pub description: String,
}

/// A way back from an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// For an update that runs.
    Cancel,
    /// For an update that failed.
    Rollback,
    /// For a rollback that failed.
    Continue,
}

/// What a deletion does about resources that cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It fails.
    Whole,
    /// They stay in the account, and the stack goes. CloudFormation allows it only in `DELETE_FAILED`.
    LeavingWhatResists,
}

/// Whether a stack may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// It may not.
    On,
    /// It may.
    Off,
}

/// The ids of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSetIds {
    /// The change set's ARN.
    pub change_set: String,
    /// The stack's ARN.
    pub stack: String,
}

/// How far a change set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSetState {
    /// Being computed.
    Pending,
    /// Ready to be executed.
    Ready,
    /// Refused because it would change nothing.
    Empty,
    /// Not usable, with CloudFormation's reason.
    Failed(String),
}

/// The changes of a change set without their values, those of nested stacks not included.
#[derive(Debug, Default)]
pub struct Outline(Vec<change_set::RawChange>);

/// A change set as it stands, without its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSetSummary {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub id: String,
}

impl CloudFormation {
    pub(super) fn new(config: &SdkConfig, budget: Option<&Budget>) -> Self {
        let mut builder = aws_sdk_cloudformation::config::Builder::from(config);
        if let (Some(budget), Some(http)) = (budget, config.http_client()) {
            builder = builder.http_client(budget.limit(http));
        }
        Self(Client::from_conf(builder.build()))
    }

    pub(super) const fn sdk(&self) -> &Client {
        &self.0
    }

    /// Checks a template, as CloudFormation does before it looks at parameters.
    pub async fn validate(&self, template: &str) -> Result<(), Fault> {
        self.0
            .validate_template()
            .template_body(template)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Fault::new(SERVICE, "ValidateTemplate", error))
    }

    /// Returns what is known of the stack called `name`, which may also be an id.
    pub async fn presence(&self, name: &str) -> Result<Presence, Fault> {
        const OPERATION: &str = "DescribeStacks";
        let answer = match self.0.describe_stacks().stack_name(name).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let fault = Fault::new(SERVICE, OPERATION, error);
                return if is_missing_stack(fault.code(), fault.message()) {
                    Ok(Presence::Absent)
                } else {
                    Err(fault)
                };
            }
        };
        let stack = answer.stacks.unwrap_or_default().into_iter().next();
        Ok(stack.map_or(Presence::Absent, |stack| Presence::Present(Box::new(stack::read(stack)))))
    }

    /// Returns every stack of the region whose name starts with `prefix`, nested ones left out.
    pub async fn stacks_named(&self, prefix: &str) -> Result<Vec<Stack>, Fault> {
        let mut pages = self.0.describe_stacks().into_paginator().items().send();
        let mut stacks = Vec::new();
        while let Some(stack) = pages.next().await {
            let stack =
                stack::read(stack.map_err(|error| Fault::new(SERVICE, "DescribeStacks", error))?);
            if stack.parent.is_none() && stack.name.starts_with(prefix) {
                stacks.push(stack);
            }
        }
        Ok(stacks)
    }

    /// Returns the resources of a stack, without those of stacks nested in it.
    pub async fn resources(&self, stack: &str) -> Result<Vec<StackResource>, Fault> {
        let mut pages =
            self.0.list_stack_resources().stack_name(stack).into_paginator().items().send();
        let mut resources = Vec::new();
        while let Some(resource) = pages.next().await {
            let resource =
                resource.map_err(|error| Fault::new(SERVICE, "ListStackResources", error))?;
            resources.push(StackResource {
                logical_id: resource.logical_resource_id.unwrap_or_default(),
                physical_id: resource.physical_resource_id.unwrap_or_default(),
                resource_type: resource.resource_type.unwrap_or_default(),
                status: ResourceStatus::of(
                    resource.resource_status.as_ref().map_or("", sdk::ResourceStatus::as_str),
                ),
            });
        }
        Ok(resources)
    }

    /// Returns the template that a stack was last given, as it was given.
    pub async fn template(&self, stack: &str) -> Result<String, Fault> {
        const OPERATION: &str = "GetTemplate";
        let answer = self
            .0
            .get_template()
            .stack_name(stack)
            .template_stage(TemplateStage::Original)
            .send()
            .await
            .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        Ok(answer.template_body.unwrap_or_default())
    }

    /// Returns the events of a stack that are newer than the event `after`, oldest first.
    ///
    /// Without `after`: every event that is kept (90 days), at most `limit`.
    pub async fn events(
        &self,
        stack: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StackEvent>, Fault> {
        const OPERATION: &str = "DescribeStackEvents";
        let mut pages =
            self.0.describe_stack_events().stack_name(stack).into_paginator().items().send();
        let mut events = Vec::new();
        while let Some(event) = pages.next().await {
            let event = event.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            if after.is_some() && event.event_id.as_deref() == after {
                break;
            }
            events.push(stack::read_event(event)?);
            if events.len() >= limit {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }

    /// Asks for a change set. The same request again returns the same change set.
    pub async fn create_change_set(
        &self,
        request: &ChangeSetRequest,
    ) -> Result<ChangeSetIds, Fault> {
        const OPERATION: &str = "CreateChangeSet";
        let mut call = self
            .0
            .create_change_set()
            .stack_name(&request.stack)
            .change_set_name(&request.name)
            .client_token(&request.token)
            .description(&request.description)
            .template_body(&request.template)
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam)
            .include_nested_stacks(true);
        call = match request.kind {
            ChangeSetKind::Create => {
                call.change_set_type(ChangeSetType::Create).on_stack_failure(OnStackFailure::Delete)
            }
            ChangeSetKind::Update => call.change_set_type(ChangeSetType::Update),
        };
        for (name, value) in &request.parameters {
            let parameter = sdk::Parameter::builder().parameter_key(name);
            call = call.parameters(match value {
                ParameterValue::Set(text) => parameter.parameter_value(text).build(),
                ParameterValue::Previous => parameter.use_previous_value(true).build(),
            });
        }
        for (key, value) in &request.tags {
            call = call.tags(sdk::Tag::builder().key(key).value(value).build());
        }
        let answer = call.send().await.map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
        match (answer.id, answer.stack_id) {
            (Some(change_set), Some(stack)) => Ok(ChangeSetIds { change_set, stack }),
            _ => Err(Fault::unreadable(SERVICE, OPERATION, "the answer holds no ids")),
        }
    }

    /// Returns how far a change set is, and if it is ready, its changes without their values.
    pub async fn change_set(&self, id: &str) -> Result<(ChangeSetState, Outline), Fault> {
        let (state, changes) = self.described(id, change_set::Detail::Names).await?;
        Ok((state, Outline(changes)))
    }

    /// Returns what CloudFormation's checks found wrong with a change set, a line each.
    ///
    /// Not every region knows this call and not everybody may make it: without an answer there are no lines.
    pub async fn failed_checks(&self, change_set: &str) -> Vec<String> {
        let filter = EventFilter::builder().failed_events(true).build();
        let mut pages = self
            .0
            .describe_events()
            .change_set_name(change_set)
            .filters(filter)
            .into_paginator()
            .send();
        let mut lines = Vec::new();
        while let Some(Ok(page)) = pages.next().await {
            lines.extend(
                page.operation_events
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(stack::failed_check),
            );
        }
        lines
    }

    /// Returns every change in a change set, those of nested stacks included.
    ///
    /// Each set is described twice, without property values and with them: the second form is known
    /// to leave changes out, the first to leave values out.
    pub async fn changes(
        &self,
        change_set: &str,
        outline: Outline,
    ) -> Result<Vec<ResourceChange>, Fault> {
        let mut pending = vec![(change_set.to_owned(), String::new(), Some(outline.0))];
        let mut changes = Vec::new();
        while let Some((id, parent, known)) = pending.pop() {
            let plain = match known {
                Some(known) => known,
                None => self.described(&id, change_set::Detail::Names).await?.1,
            };
            let (_, valued) = self.described(&id, change_set::Detail::Values).await?;
            for change in change_set::merge(plain, valued) {
                let path = if parent.is_empty() {
                    change.logical_id.clone()
                } else {
                    format!("{parent}/{}", change.logical_id)
                };
                if let Some(nested) = &change.nested_change_set {
                    pending.push((nested.clone(), path.clone(), None));
                }
                changes.push(change.at(path));
            }
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// Reads a change set: its first page, and if it is ready all others.
    async fn described(
        &self,
        id: &str,
        detail: change_set::Detail,
    ) -> Result<(ChangeSetState, Vec<change_set::RawChange>), Fault> {
        const OPERATION: &str = "DescribeChangeSet";
        let mut changes = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .0
                .describe_change_set()
                .change_set_name(id)
                .include_property_values(detail == change_set::Detail::Values)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| Fault::new(SERVICE, OPERATION, error))?;
            let state = change_set::state(answer.status.as_ref(), answer.status_reason);
            changes.extend(
                answer.changes.unwrap_or_default().into_iter().filter_map(change_set::read),
            );
            match answer.next_token {
                Some(next) if !next.is_empty() && state == ChangeSetState::Ready => {
                    token = Some(next)
                }
                _ => return Ok((state, changes)),
            }
        }
    }

    /// Returns the change sets that wait at a stack.
    pub async fn change_sets(&self, stack: &str) -> Result<Vec<ChangeSetSummary>, Fault> {
        let mut pages = self.0.list_change_sets().stack_name(stack).into_paginator().items().send();
        let mut summaries = Vec::new();
        while let Some(summary) = pages.next().await {
            let summary = summary.map_err(|error| Fault::new(SERVICE, "ListChangeSets", error))?;
            summaries.push(ChangeSetSummary {
                name: summary.change_set_name.unwrap_or_default(),
                id: summary.change_set_id.unwrap_or_default(),
            });
        }
        Ok(summaries)
    }

    /// Deletes a change set; one that is not there is fine.
    pub async fn delete_change_set(&self, change_set: &str) -> Result<(), Fault> {
        let sent = self.0.delete_change_set().change_set_name(change_set).send().await;
        match sent.map_err(|error| Fault::new(SERVICE, "DeleteChangeSet", error)) {
            Err(fault) if fault.class() != FaultClass::Missing => Err(fault),
            _ => Ok(()),
        }
    }

    /// Starts executing a change set. The same token again does nothing.
    pub async fn execute_change_set(&self, change_set: &str, token: &str) -> Result<(), Fault> {
        self.0
            .execute_change_set()
            .change_set_name(change_set)
            .client_request_token(token)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Fault::new(SERVICE, "ExecuteChangeSet", error))
    }

    /// Starts to take back an update. The resources in `skipped` are left as they are.
    pub async fn undo(
        &self,
        stack: &str,
        undo: Undo,
        skipped: &[String],
        token: &str,
    ) -> Result<(), Fault> {
        match undo {
            Undo::Cancel => self
                .0
                .cancel_update_stack()
                .stack_name(stack)
                .client_request_token(token)
                .send()
                .await
                .map(|_| ())
                .map_err(|error| Fault::new(SERVICE, "CancelUpdateStack", error)),
            Undo::Rollback => self
                .0
                .rollback_stack()
                .stack_name(stack)
                .client_request_token(token)
                .send()
                .await
                .map(|_| ())
                .map_err(|error| Fault::new(SERVICE, "RollbackStack", error)),
            Undo::Continue => self
                .0
                .continue_update_rollback()
                .stack_name(stack)
                .client_request_token(token)
                .set_resources_to_skip((!skipped.is_empty()).then(|| skipped.to_vec()))
                .send()
                .await
                .map(|_| ())
                .map_err(|error| Fault::new(SERVICE, "ContinueUpdateRollback", error)),
        }
    }

    /// Sets whether a stack may be deleted.
    pub async fn protect(&self, stack: &str, protection: Protection) -> Result<(), Fault> {
        self.0
            .update_termination_protection()
            .stack_name(stack)
            .enable_termination_protection(protection == Protection::On)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Fault::new(SERVICE, "UpdateTerminationProtection", error))
    }

    /// Starts deleting a stack. The same token again does nothing.
    pub async fn delete_stack(
        &self,
        stack: &str,
        deletion: Deletion,
        token: &str,
    ) -> Result<(), Fault> {
        let mode = match deletion {
            Deletion::Whole => None,
            Deletion::LeavingWhatResists => Some(DeletionMode::ForceDeleteStack),
        };
        self.0
            .delete_stack()
            .stack_name(stack)
            .set_deletion_mode(mode)
            .client_request_token(token)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Fault::new(SERVICE, "DeleteStack", error))
    }
}
