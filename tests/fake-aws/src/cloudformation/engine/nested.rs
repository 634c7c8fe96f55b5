//! Nested stacks: a resource of the parent, a stack of its own with its own events.

use std::sync::Arc;

use serde_json::Value;

use super::super::state::{Definition, Resource, Stack};
use super::super::status::{OperationType, ResourceStatus, StackStatus};
use super::super::template::{Given, Parameters, Pseudo, Template, resolve, scalar};
use super::super::template_url;
use super::bench::Bench;
use super::start::Request;
use super::{Desired, Job, Origin, TaskState};

impl Bench<'_> {
    /// Makes or changes the nested stack of a resource.
    pub(super) fn apply_child(
        &mut self,
        logical: &str,
        desired: &Desired,
        job: &Job,
    ) -> Result<TaskState, String> {
        let previous = self.child_of(logical).and_then(|child| child.definition.clone());
        let definition = self
            .child_definition(&desired.properties, previous.as_ref().map(|old| &old.parameters))?;
        if matches!(job, Job::Change(_)) {
            return self.change_child(logical, desired, definition, previous);
        }
        let id = self.new_child(logical);
        let request = Request {
            definition: Some(definition),
            token: self.work.token.clone(),
            on_failure: self.work.on_failure,
            retain_except_on_create: self.work.retain_except_on_create,
            origin: Origin { is_create: true, is_nested: true },
            change_set: None,
            imports_existing: self.work.imports_existing,
        };
        self.state.start_create(self.world, &id, request, self.now);
        if let Some(resource) = self.stack.resources.get_mut(logical) {
            resource.properties = desired.properties.clone();
            resource.physical = Some(id.clone());
            resource.name = id;
        }
        let initiated = Some("Resource creation Initiated".to_owned());
        self.report_resource(logical, ResourceStatus::CreateInProgress, initiated);
        Ok(TaskState::InEffect)
    }

    fn change_child(
        &mut self,
        logical: &str,
        desired: &Desired,
        definition: Definition,
        previous: Option<Definition>,
    ) -> Result<TaskState, String> {
        let Some(resource) = self.stack.resources.get_mut(logical) else {
            return Ok(TaskState::Settled);
        };
        resource.properties = desired.properties.clone();
        resource.metadata.clone_from(&desired.metadata);
        resource.tags.clone_from(&desired.tags);
        let id = resource.physical.clone().unwrap_or_default();
        let is_stable = self.state.stacks.get(&id).is_some_and(|child| child.status.is_updatable());
        if is_stable && previous.is_some_and(|previous| is_same_definition(&previous, &definition))
        {
            return Ok(TaskState::Configured);
        }
        let Some(child) = self.state.stacks.get(&id) else {
            return Err(format!("Stack [{id}] does not exist"));
        };
        child.check_updatable().map_err(|error| error.message)?;
        let request = Request {
            definition: Some(definition),
            token: self.work.token.clone(),
            on_failure: self.work.on_failure,
            retain_except_on_create: self.work.retain_except_on_create,
            origin: Origin { is_create: false, is_nested: true },
            change_set: None,
            imports_existing: self.work.imports_existing,
        };
        self.state.start_update(self.world, &id, request, self.now);
        Ok(TaskState::InEffect)
    }

    /// Tells how the work on a nested stack has ended, if it has.
    pub(super) fn child_outcome(&self, resource: &Resource) -> Option<Result<(), String>> {
        let id = resource.physical.as_deref().unwrap_or_default();
        let Some(child) = self.state.stacks.get(id) else {
            return Some(Err(format!("Stack [{id}] does not exist")));
        };
        let reason = child.reason.as_deref().unwrap_or_default().trim_end();
        match &child.work {
            Some(work) if work.is_held => Some(Ok(())),
            // The parent hears of a failure as soon as the rollback has begun.
            Some(_) if child.status == StackStatus::UpdateRollbackInProgress => {
                Some(Err(not_updated(id, child, reason)))
            }
            Some(_) => None,
            None => match child.status {
                StackStatus::CreateComplete | StackStatus::UpdateComplete => Some(Ok(())),
                StackStatus::CreateFailed => {
                    Some(Err(format!("Embedded stack {id} was not successfully created: {reason}")))
                }
                _ => Some(Err(not_updated(id, child, reason))),
            },
        }
    }

    /// Brings a nested stack back, and tells how that has ended, if it has.
    pub(super) fn revert_child(&mut self, resource: &Resource) -> Option<Result<(), String>> {
        let id = resource.physical.clone().unwrap_or_default();
        if self.may_take_back(&id) {
            let skip: Vec<String> = self.work.skip.iter().cloned().collect();
            self.state.take_back(self.world, &id, &skip, self.work.token.as_deref(), self.now);
            self.work.taken_back.insert(id.clone());
        }
        let child = self.state.stacks.get(&id)?;
        if child.work.is_some() {
            return None;
        }
        let reason = child.reason.as_deref().unwrap_or_default().trim_end();
        match child.status {
            StackStatus::UpdateRollbackFailed => Some(Err(not_updated(&id, child, reason))),
            _ => Some(Ok(())),
        }
    }

    /// Tells whether a nested stack is to be brought back now: once in an operation, and after a
    /// rollback that failed only if the user wants to continue it.
    fn may_take_back(&self, id: &str) -> bool {
        let has_failed = self
            .state
            .stacks
            .get(id)
            .is_some_and(|child| child.status == StackStatus::UpdateRollbackFailed);
        let operation = self.stack.operations.iter().find(|own| own.id == self.work.operation);
        let is_continued = operation.is_some_and(|own| own.kind == OperationType::ContinueRollback);
        !self.work.taken_back.contains(id) && (!has_failed || is_continued)
    }

    pub(super) fn cancel_child(&mut self, logical: &str) {
        let id = self.child_of(logical).map(|child| child.id().to_owned());
        let Some(child) = id.and_then(|id| self.state.stacks.get_mut(&id)) else {
            return;
        };
        if let Some(work) = child.work.as_mut().filter(|work| !work.is_held) {
            work.is_cancelled = true;
        }
    }

    /// Lets nested stacks that are ready delete what they no longer need.
    pub(super) fn release_children(&mut self) {
        let id = self.stack.id().to_owned();
        for child in
            self.state.stacks.values_mut().filter(|child| child.parent.as_deref() == Some(&*id))
        {
            if let Some(work) = child.work.as_mut() {
                work.is_held = false;
            }
        }
    }

    /// Tells whether nested stacks are still at work on what is not finished.
    pub(super) fn has_busy_children(&self) -> bool {
        let id = self.stack.id();
        self.state.stacks.values().any(|child| {
            child.parent.as_deref() == Some(id)
                && child.work.as_ref().is_some_and(|work| !work.is_held)
                && child.status != StackStatus::UpdateRollbackInProgress
        })
    }

    /// Tells whether any nested stack is still at work.
    pub(super) fn has_any_busy_child(&self) -> bool {
        let id = self.stack.id();
        self.state.stacks.values().any(|child| {
            child.parent.as_deref() == Some(id)
                && child.work.as_ref().is_some_and(|work| !work.is_held)
        })
    }

    fn child_of(&self, logical: &str) -> Option<&Stack> {
        let resource =
            self.stack.resources.get(logical).filter(|resource| resource.kind.is_stack())?;
        self.state.stacks.get(resource.physical.as_deref()?)
    }

    /// Reads what the nested stack is to be made from.
    fn child_definition(
        &self,
        properties: &Value,
        previous: Option<&Parameters>,
    ) -> Result<Definition, String> {
        let parent = self.work.target.as_ref().ok_or("the operation has no template")?;
        let pseudo = &self.stack.pseudo;
        child_definition(self.world, parent, properties, previous, pseudo)
    }

    /// Finds the stack that a change set has put in review for this resource, or makes one.
    fn new_child(&mut self, logical: &str) -> String {
        let parent = self.stack.id().to_owned();
        let reviewed = self
            .work
            .change_set
            .as_deref()
            .and_then(|root| self.state.reviewed_child(root, &parent, logical));
        if let Some(id) = reviewed {
            return id;
        }
        let root = self.stack.root.clone().unwrap_or_else(|| parent.clone());
        let pseudo = self.stack.pseudo.clone();
        self.state.add_child(&pseudo, logical, &root, StackStatus::CreateInProgress, self.now)
    }
}

/// Reads what a nested stack is to be made from. Errors are the service's messages.
pub(in crate::cloudformation) fn child_definition(
    world: &dyn super::super::world::World,
    parent: &Definition,
    properties: &Value,
    previous: Option<&Parameters>,
    pseudo: &Pseudo,
) -> Result<Definition, String> {
    let url = properties.get("TemplateURL").map(scalar).unwrap_or_default();
    let body = template_url::fetch(world, &url, &pseudo.account, &pseudo.region)
        .map_err(|error| error.message)?;
    let template = Template::parse(&body).map_err(|error| error.message)?;
    let given = Given::from_properties(properties.get("Parameters"));
    let parameters = resolve(&template, &given, previous).map_err(|error| error.message)?;
    super::start::check_capabilities(&template, &parent.capabilities)
        .map_err(|error| error.message)?;
    let mut tags = parent.tags.clone();
    for tag in properties.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        let member = |name: &str| tag.get(name).map(scalar).unwrap_or_default();
        tags.retain(|(key, _)| *key != member("Key"));
        tags.push((member("Key"), member("Value")));
    }
    Ok(Definition {
        template,
        parameters,
        tags,
        capabilities: parent.capabilities.clone(),
        notification_arns: parent.notification_arns.clone(),
        role_arn: parent.role_arn.clone(),
        rollback: super::super::state::RollbackConfiguration::default(),
    })
}

/// Tells whether an update to this definition would find nothing to do.
fn is_same_definition(left: &Definition, right: &Definition) -> bool {
    let same_template =
        Arc::ptr_eq(&left.template, &right.template) || left.template == right.template;
    same_template && left.parameters == right.parameters && left.tags == right.tags
}

fn not_updated(id: &str, child: &Stack, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(" with reason: {reason}") };
    format!(
        "Embedded stack {id} was not successfully updated. Currently in {}{reason}",
        child.status
    )
}
