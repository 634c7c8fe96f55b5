//! What CloudFormation holds: stacks, their resources and events, names, tokens, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::change_set::ChangeSet;
use super::drift::Detection;
use super::engine::Work;
use super::events::Event;
use super::form::invalid;
use super::kinds::{Filling, Kind};
use super::names::Names;
use super::plans::{PlannedFailure, PlannedHook};
use super::settings::Settings;
use super::status::{OperationStatus, OperationType, ResourceStatus, StackStatus};
use super::template::{Parameters, Pseudo, Template};
use super::tokens::{Execution, Tokens};
use crate::clock::Millis;
use crate::error::ApiError;
use crate::random::Random;

/// Everything that one fake's CloudFormation knows, in all accounts and regions.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) stacks: BTreeMap<String, Stack>,
    pub(super) change_sets: BTreeMap<String, ChangeSet>,
    pub(super) names: Names,
    pub(super) settings: Settings,
    pub(super) failures: Vec<PlannedFailure>,
    pub(super) hooks: Vec<PlannedHook>,
    pub(super) executions: Vec<Execution>,
    pub(super) tokens: Tokens,
    pub(super) detections: BTreeMap<String, Detection>,
    pub(super) random: Random,
    /// When the last step was made, for a pace that follows the clock.
    pub(super) last_step: Option<Millis>,
    /// Grows with every event, so that events of one instant keep their order.
    pub(super) sequence: u64,
}

/// What a stack is made from.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(super) template: Arc<Template>,
    pub(super) parameters: Parameters,
    pub(super) tags: Vec<(String, String)>,
    pub(super) capabilities: Vec<String>,
    pub(super) notification_arns: Vec<String>,
    pub(super) role_arn: Option<String>,
    pub(super) rollback: RollbackConfiguration,
}

/// Alarms that end an update.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RollbackConfiguration {
    pub(super) minutes: Option<u32>,
    /// ARN and type of each.
    pub(super) triggers: Vec<(String, String)>,
}

/// A stack, also a deleted one.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(super) pseudo: Pseudo,
    pub(super) status: StackStatus,
    pub(super) reason: Option<String>,
    /// Nothing while the stack is only in review.
    pub(super) definition: Option<Definition>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) outputs: Vec<Output>,
    pub(super) events: Vec<Event>,
    pub(super) operations: Vec<Operation>,
    pub(super) work: Option<Work>,
    /// A failed operation that can still be taken back or continued.
    pub(super) stalled: Option<Box<Work>>,
    pub(super) created: Millis,
    pub(super) updated: Option<Millis>,
    pub(super) deleted: Option<Millis>,
    pub(super) parent: Option<String>,
    pub(super) root: Option<String>,
    /// The change set that was executed last.
    pub(super) change_set: Option<String>,
    pub(super) disable_rollback: bool,
    pub(super) retain_except_on_create: bool,
    pub(super) is_protected: bool,
    pub(super) policy: Option<String>,
    pub(super) timeout_minutes: Option<u32>,
    pub(super) drift: Option<(String, Millis)>,
    /// What reads still see after an operation has begun.
    pub(super) stale: Option<Stale>,
}

/// An older view of a stack that some more reads get to see.
#[derive(Debug, Clone)]
pub(crate) struct Stale {
    pub(super) view: Box<Stack>,
    pub(super) reads_left: u32,
}

/// A state of a stack that can be returned to.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(super) definition: Option<Definition>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) outputs: Vec<Output>,
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(super) logical: String,
    pub(super) kind: &'static Kind,
    /// Nothing until the resource has been created.
    pub(super) physical: Option<String>,
    pub(super) name: String,
    /// Letters that make generated names and ids unique.
    pub(super) id: String,
    pub(super) status: ResourceStatus,
    pub(super) reason: Option<String>,
    pub(super) at: Millis,
    pub(super) properties: Value,
    pub(super) metadata: Option<Value>,
    pub(super) deletion_policy: String,
    pub(super) replace_policy: String,
    /// The stack's tags, as they were when the resource was made or changed.
    pub(super) tags: Vec<(String, String)>,
    /// The resources that must exist before this one and outlive it.
    pub(super) needs: BTreeSet<String>,
    /// What the resource really looks like, when it was changed behind the stack's back.
    pub(super) live: Option<Value>,
    pub(super) drift_checked: Option<Millis>,
}

/// An output of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) description: Option<String>,
    pub(super) export: Option<String>,
}

/// An operation on a stack.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(super) id: String,
    pub(super) kind: OperationType,
    pub(super) status: OperationStatus,
    pub(super) started: Millis,
    pub(super) ended: Option<Millis>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            stacks: BTreeMap::new(),
            change_sets: BTreeMap::new(),
            names: Names::default(),
            settings: Settings::default(),
            failures: Vec::new(),
            hooks: Vec::new(),
            executions: Vec::new(),
            tokens: Tokens::default(),
            detections: BTreeMap::new(),
            random: Random::new(0xCF0),
            last_step: None,
            sequence: 0,
        }
    }

    /// Finds a stack by its name among the living, or by its ARN among all.
    pub(super) fn find(&self, account: &str, region: &str, name: &str) -> Option<&Stack> {
        if name.starts_with("arn:") {
            return self
                .stacks
                .get(name)
                .filter(|stack| stack.pseudo.account == account && stack.pseudo.region == region);
        }
        self.stacks.values().find(|stack| {
            stack.pseudo.stack_name == name
                && stack.pseudo.account == account
                && stack.pseudo.region == region
                && stack.status != StackStatus::DeleteComplete
        })
    }

    pub(super) fn find_mut(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
    ) -> Option<&mut Stack> {
        let id = self.find(account, region, name)?.id().to_owned();
        self.stacks.get_mut(&id)
    }

    /// Returns an id for a new stack.
    pub(super) fn new_stack_id(&mut self, account: &str, region: &str, name: &str) -> String {
        let partition = super::template::partition(region);
        let uuid = self.random.uuid();
        format!("arn:{partition}:cloudformation:{region}:{account}:stack/{name}/{uuid}")
    }

    /// Returns the value of an attribute of a resource.
    pub(super) fn attribute(
        &self,
        stack: &Stack,
        resource: &Resource,
        attribute: &str,
    ) -> Option<String> {
        let physical = resource.physical.as_deref()?;
        if resource.kind.is_stack() {
            let output = attribute.strip_prefix("Outputs.")?;
            let child = self.stacks.get(physical)?;
            let found = child.outputs.iter().find(|candidate| candidate.key == output)?;
            return Some(found.value.clone());
        }
        resource.kind.attribute(attribute, &resource.filling(&stack.pseudo, physical))
    }
}

impl Stack {
    /// Makes a stack on which nothing has been done yet.
    pub(super) fn new(pseudo: Pseudo, status: StackStatus, now: Millis) -> Self {
        Self {
            pseudo,
            status,
            reason: None,
            definition: None,
            resources: BTreeMap::new(),
            outputs: Vec::new(),
            events: Vec::new(),
            operations: Vec::new(),
            work: None,
            stalled: None,
            created: now,
            updated: None,
            deleted: None,
            parent: None,
            root: None,
            change_set: None,
            disable_rollback: false,
            retain_except_on_create: false,
            is_protected: false,
            policy: None,
            timeout_minutes: None,
            drift: None,
            stale: None,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.pseudo.stack_id
    }

    pub(super) fn name(&self) -> &str {
        &self.pseudo.stack_name
    }

    pub(super) fn point(&self) -> Point {
        Point {
            definition: self.definition.clone(),
            resources: self.resources.clone(),
            outputs: self.outputs.clone(),
        }
    }

    /// Returns the resources that exist or once failed to, leaving out those that are gone.
    pub(super) fn living(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values().filter(|resource| {
            !matches!(
                resource.status,
                ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped
            )
        })
    }

    /// Refuses what cannot be done in the stack's present state.
    pub(super) fn check_updatable(&self) -> Result<(), ApiError> {
        if self.status.is_updatable()
            || self.status == StackStatus::CreateFailed && self.disable_rollback
        {
            return Ok(());
        }
        Err(invalid(format!(
            "Stack:{} is in {} state and can not be updated.",
            self.id(),
            self.status
        )))
    }

    /// Starts an operation and returns its id.
    pub(super) fn begin(&mut self, id: String, kind: OperationType, now: Millis) {
        self.operations.push(Operation {
            id,
            kind,
            status: OperationStatus::InProgress,
            started: now,
            ended: None,
        });
    }

    /// Ends the operation of that id.
    pub(super) fn end(&mut self, id: &str, status: OperationStatus, now: Millis) {
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.id == id) {
            operation.status = status;
            operation.ended = Some(now);
        }
    }
}

impl Resource {
    /// Makes a resource that is only about to be created.
    pub(super) fn planned(logical: &str, kind: &'static Kind, now: Millis) -> Self {
        Self {
            logical: logical.to_owned(),
            kind,
            physical: None,
            name: String::new(),
            id: String::new(),
            status: ResourceStatus::CreateInProgress,
            reason: None,
            at: now,
            properties: Value::Null,
            metadata: None,
            deletion_policy: "Delete".to_owned(),
            replace_policy: "Delete".to_owned(),
            tags: Vec::new(),
            needs: BTreeSet::new(),
            live: None,
            drift_checked: None,
        }
    }

    pub(super) fn filling<'a>(&'a self, pseudo: &'a Pseudo, physical: &'a str) -> Filling<'a> {
        Filling {
            pseudo,
            name: &self.name,
            physical,
            uuid: &self.id,
            id: &self.id,
            properties: &self.properties,
        }
    }
}
