//! Makes change sets, those of nested stacks among them.

use serde_json::Value;

use super::super::engine::{OnFailure, child_definition};
use super::super::events::Cause;
use super::super::kinds;
use super::super::settings::EarlyValidation;
use super::super::state::{Definition, Resource, Stack, State};
use super::super::status::{ChangeSetStatus, ExecutionStatus, StackStatus};
use super::super::template::Pseudo;
use super::super::world::World;
use super::changes::{self, Inside, Plan};
use super::{ChangeSet, ChangeSetKind, Outcome};
use crate::clock::Millis;

/// What a caller wants a change set for.
#[derive(Debug, Clone)]
pub(in crate::cloudformation) struct Proposal {
    pub(in crate::cloudformation) name: String,
    pub(in crate::cloudformation) kind: ChangeSetKind,
    pub(in crate::cloudformation) description: Option<String>,
    pub(in crate::cloudformation) definition: Definition,
    pub(in crate::cloudformation) includes_nested: bool,
    pub(in crate::cloudformation) on_stack_failure: Option<OnFailure>,
    pub(in crate::cloudformation) imports_existing: bool,
    pub(in crate::cloudformation) client_token: Option<String>,
    pub(in crate::cloudformation) early_validation: EarlyValidation,
}

/// What a definition would do to a stack and to those nested in it.
#[derive(Debug, Clone)]
pub(in crate::cloudformation) struct Prospect {
    pub(in crate::cloudformation) plan: Plan,
    nested: Vec<NestedProspect>,
}

#[derive(Debug, Clone)]
struct NestedProspect {
    logical: String,
    existing: Option<String>,
    /// The definition and what it does, or why there is none.
    inside: Result<(Definition, Prospect), String>,
}

impl Prospect {
    /// Tells whether there is anything to do at all.
    pub(in crate::cloudformation) fn is_empty(&self) -> bool {
        self.plan.changes.is_empty() && !self.plan.has_other_changes
    }
}

/// Where a nested change set belongs.
struct Family {
    parent: String,
    root: String,
    logical: String,
}

impl State {
    /// Finds out what a definition would do. The error is the service's message.
    pub(in crate::cloudformation) fn prospect(
        &self,
        world: &dyn World,
        stack: &Stack,
        definition: &Definition,
        includes_nested: bool,
    ) -> Result<Prospect, String> {
        let mut nested = Vec::new();
        let mut look_into = |logical: &str, properties: &Value, existing: Option<&Resource>| {
            if !includes_nested {
                return Inside::Changes;
            }
            let child =
                existing.and_then(|old| old.physical.as_deref()).and_then(|id| self.stacks.get(id));
            let found = self.nested_prospect(world, stack, definition, properties, child);
            let is_empty = found.as_ref().is_ok_and(|(_, inside)| inside.is_empty());
            if is_empty {
                return Inside::Nothing;
            }
            nested.push(NestedProspect {
                logical: logical.to_owned(),
                existing: child.map(|child| child.id().to_owned()),
                inside: found,
            });
            Inside::Changes
        };
        let plan = changes::plan(self, stack, definition, &mut look_into)?;
        Ok(Prospect { plan, nested })
    }

    fn nested_prospect(
        &self,
        world: &dyn World,
        parent: &Stack,
        definition: &Definition,
        properties: &Value,
        child: Option<&Stack>,
    ) -> Result<(Definition, Prospect), String> {
        let previous = child.and_then(|child| child.definition.as_ref()).map(|old| &old.parameters);
        let inside = child_definition(world, definition, properties, previous, &parent.pseudo)?;
        let empty =
            Stack::new(parent.pseudo.clone(), StackStatus::ReviewInProgress, parent.created);
        let prospect = self.prospect(world, child.unwrap_or(&empty), &inside, true)?;
        Ok((inside, prospect))
    }

    /// Makes a change set and returns its ARN.
    pub(in crate::cloudformation) fn create_change_set(
        &mut self,
        world: &dyn World,
        stack: &str,
        proposal: Proposal,
        now: Millis,
    ) -> String {
        let prospect = match self.stacks.get(stack) {
            Some(stack) => {
                self.prospect(world, stack, &proposal.definition, proposal.includes_nested)
            }
            None => Err(format!("Stack [{stack}] does not exist")),
        };
        self.materialise(world, stack, proposal, prospect, None, now).0
    }

    /// Keeps a change set and those below it. Returns the ARN and whether its creation will fail.
    fn materialise(
        &mut self,
        world: &dyn World,
        stack_id: &str,
        proposal: Proposal,
        prospect: Result<Prospect, String>,
        family: Option<Family>,
        now: Millis,
    ) -> (String, bool) {
        let pseudo = self.stacks.get(stack_id).map(|stack| stack.pseudo.clone());
        let pseudo = pseudo.unwrap_or_else(|| Pseudo {
            account: String::new(),
            region: String::new(),
            stack_name: String::new(),
            stack_id: stack_id.to_owned(),
            notification_arns: Vec::new(),
        });
        let uuid = self.random.uuid();
        let (partition, region, account) = (pseudo.partition(), &pseudo.region, &pseudo.account);
        let id = format!(
            "arn:{partition}:cloudformation:{region}:{account}:changeSet/{}/{uuid}",
            proposal.name
        );
        let mut set = ChangeSet {
            id: id.clone(),
            name: proposal.name.clone(),
            stack: pseudo,
            kind: proposal.kind,
            description: proposal.description.clone(),
            created: now,
            status: ChangeSetStatus::CreatePending,
            reason: None,
            execution: ExecutionStatus::Unavailable,
            pending: None,
            definition: Some(proposal.definition.clone()),
            changes: Vec::new(),
            includes_nested: proposal.includes_nested,
            parent: family.as_ref().map(|family| family.parent.clone()),
            root: family.as_ref().map(|family| family.root.clone()),
            logical: family.as_ref().map(|family| family.logical.clone()),
            on_stack_failure: proposal.on_stack_failure,
            imports_existing: proposal.imports_existing,
            client_token: proposal.client_token.clone(),
            events: Vec::new(),
        };
        let outcome = match prospect {
            Err(message) => Outcome::Failed(message),
            Ok(prospect) => self.fill(world, &mut set, &proposal, prospect, now),
        };
        let has_failed = matches!(outcome, Outcome::Failed(_));
        set.pending = Some(outcome);
        self.change_sets.insert(id.clone(), set);
        (id, has_failed)
    }

    fn fill(
        &mut self,
        world: &dyn World,
        set: &mut ChangeSet,
        proposal: &Proposal,
        prospect: Prospect,
        now: Millis,
    ) -> Outcome {
        let is_empty = prospect.is_empty() && proposal.kind == ChangeSetKind::Update;
        set.changes = prospect.plan.changes;
        if proposal.imports_existing {
            self.mark_imports(world, set, now);
        }
        let cause = Cause { operation: self.random.uuid(), token: proposal.client_token.clone() };
        let failed_checks = self.validate_early(world, set, proposal.early_validation, &cause, now);
        let mut failed_child = None;
        for nested in prospect.nested {
            let (child, has_failed) = self.nested_change_set(world, set, proposal, nested, now);
            if has_failed {
                failed_child = failed_child.or(Some(child));
            }
        }
        if is_empty {
            return Outcome::Failed(self.nothing_to_do(set));
        }
        if !failed_checks.is_empty() {
            return Outcome::Failed(format!(
                "The following hook(s)/validation failed: [{}]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information.",
                failed_checks.join(", ")
            ));
        }
        match failed_child {
            Some(child) => Outcome::Failed(format!(
                "Nested change set {child} was not successfully created: Currently in FAILED."
            )),
            None => Outcome::Complete,
        }
    }

    /// Makes the change set of a nested stack, and the stack too, if there is none yet.
    fn nested_change_set(
        &mut self,
        world: &dyn World,
        parent: &mut ChangeSet,
        proposal: &Proposal,
        nested: NestedProspect,
        now: Millis,
    ) -> (String, bool) {
        let root = parent.root.clone().unwrap_or_else(|| parent.id.clone());
        let root_stack =
            self.stacks.get(&parent.stack.stack_id).and_then(|stack| stack.root.clone());
        let (stack, kind) = match nested.existing {
            Some(stack) => (stack, ChangeSetKind::Update),
            None => {
                let root_stack = root_stack.unwrap_or_else(|| parent.stack.stack_id.clone());
                let status = StackStatus::ReviewInProgress;
                let pseudo = parent.stack.clone();
                (
                    self.add_child(&pseudo, &nested.logical, &root_stack, status, now),
                    ChangeSetKind::Create,
                )
            }
        };
        let letters = self.random.id(12);
        let front: String =
            format!("{}-{}", parent.name, nested.logical).chars().take(115).collect();
        let is_readable = nested.inside.is_ok();
        let (definition, prospect) = match nested.inside {
            Ok((definition, prospect)) => (definition, Ok(prospect)),
            Err(message) => (proposal.definition.clone(), Err(message)),
        };
        let child = Proposal {
            name: format!("{front}-{letters}"),
            kind,
            description: None,
            definition,
            ..proposal.clone()
        };
        let family = Family { parent: parent.id.clone(), root, logical: nested.logical.clone() };
        let (id, has_failed) = self.materialise(world, &stack, child, prospect, Some(family), now);
        if let Some(set) = self.change_sets.get_mut(&id).filter(|_| !is_readable) {
            set.definition = None;
        }
        if let Some(change) =
            parent.changes.iter_mut().find(|change| change.logical == nested.logical)
        {
            change.change_set = Some(id.clone());
            change.physical = Some(stack);
        }
        (id, has_failed)
    }

    /// Says that there is nothing to do, in one of the two sentences that the service has for it.
    fn nothing_to_do(&self, set: &ChangeSet) -> String {
        let before =
            self.stacks.get(&set.stack.stack_id).and_then(|stack| stack.definition.as_ref());
        let is_identical = before.zip(set.definition.as_ref()).is_some_and(|(before, after)| {
            before.template.text() == after.template.text() && before.parameters == after.parameters
        });
        if is_identical {
            "The submitted information didn't contain changes. Submit different information to create a change set."
                .to_owned()
        } else {
            "No updates are to be performed.".to_owned()
        }
    }

    /// Turns additions of what exists already into imports.
    fn mark_imports(&self, world: &dyn World, set: &mut ChangeSet, now: Millis) {
        let Some(definition) = &set.definition else {
            return;
        };
        for change in set.changes.iter_mut().filter(|change| change.action == "Add") {
            let Some(declared) = definition.template.resource(&change.logical) else {
                continue;
            };
            let properties = change.after.as_ref().and_then(|after| after.get("Properties"));
            let properties = properties.cloned().unwrap_or_default();
            if let Some(name) = declared.kind.own_name(&properties)
                && self.is_adoptable(world, &declared, &name, &properties, &set.stack, now)
            {
                change.action = "Import";
                change.physical = Some(name);
            }
        }
    }

    /// Tells whether a resource that exists without a stack may be taken into one.
    pub(in crate::cloudformation) fn is_adoptable(
        &self,
        world: &dyn World,
        declared: &super::super::template::Declared<'_>,
        name: &str,
        properties: &Value,
        pseudo: &Pseudo,
        now: Millis,
    ) -> bool {
        use super::super::names::Taken;
        let item = super::super::world::Item {
            pseudo,
            kind: declared.kind,
            name,
            physical: name,
            properties,
            now,
        };
        let is_kept = declared.deletion_policy() != "Delete";
        match self.names.taken(declared.kind, name, pseudo) {
            Some(Taken::InAccount) => is_kept,
            Some(Taken::ByStack(_) | Taken::ByOthers) => false,
            None => is_kept && declared.kind.name != kinds::STACK && world.exists(&item),
        }
    }
}
