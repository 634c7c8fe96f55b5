//! Starting operations: by a call, or by the parent of a nested stack.

use std::collections::BTreeSet;

use super::super::form::invalid;
use super::super::state::{Definition, Stack, Stale, State};
use super::super::status::{OperationStatus, OperationType, StackStatus};
use super::super::template::{Pseudo, Template};
use super::super::world::World;
use super::bench::Bench;
use super::{OnFailure, Origin, Phase, Work};
use crate::clock::Millis;
use crate::error::ApiError;

/// What an operation is to do.
#[derive(Debug)]
pub(in crate::cloudformation) struct Request {
    /// What the stack is to become; nothing for a deletion.
    pub(in crate::cloudformation) definition: Option<Definition>,
    pub(in crate::cloudformation) token: Option<String>,
    pub(in crate::cloudformation) on_failure: OnFailure,
    pub(in crate::cloudformation) retain_except_on_create: bool,
    pub(in crate::cloudformation) origin: Origin,
    pub(in crate::cloudformation) change_set: Option<String>,
    /// Takes over resources that exist already, instead of failing for them.
    pub(in crate::cloudformation) imports_existing: bool,
}

impl State {
    /// Starts the creation of a stack that stands in the state already, and returns its id.
    pub(in crate::cloudformation) fn start_create(
        &mut self,
        world: &dyn World,
        id: &str,
        request: Request,
        now: Millis,
    ) -> String {
        self.start(world, id, request, OperationType::CreateStack, now, |bench| {
            bench.stack.definition.clone_from(&bench.work.target);
            bench.stack.disable_rollback = bench.keeps_failures();
            bench.stack.retain_except_on_create = bench.work.retain_except_on_create;
            let reason = bench.initiated();
            bench.report(StackStatus::CreateInProgress, reason);
            bench.start_forward();
        })
    }

    /// Starts an update and returns the operation's id.
    pub(in crate::cloudformation) fn start_update(
        &mut self,
        world: &dyn World,
        id: &str,
        request: Request,
        now: Millis,
    ) -> String {
        self.start(world, id, request, OperationType::UpdateStack, now, |bench| {
            // An update that follows a failed one leads back to where that one started from.
            if let Some(stalled) = bench.stack.stalled.take() {
                bench.work.before = stalled.before;
                bench.work.touched = stalled.touched;
                bench.work.garbage = stalled.garbage;
            }
            bench.stack.definition.clone_from(&bench.work.target);
            bench.stack.disable_rollback = bench.keeps_failures();
            bench.stack.updated = Some(bench.now);
            let reason = bench.initiated();
            bench.report(StackStatus::UpdateInProgress, reason);
            bench.start_forward();
        })
    }

    /// Starts a deletion and returns the operation's id.
    pub(in crate::cloudformation) fn start_delete(
        &mut self,
        world: &dyn World,
        id: &str,
        request: Request,
        retain: BTreeSet<String>,
        is_forced: bool,
        now: Millis,
    ) -> String {
        self.abandon(id, now);
        self.start(world, id, request, OperationType::DeleteStack, now, |bench| {
            bench.work.phase = Phase::Delete;
            bench.work.retain = retain;
            bench.work.is_forced = is_forced;
            bench.stack.stalled = None;
            let reason = bench.initiated();
            bench.report(StackStatus::DeleteInProgress, reason);
            if let Some(message) = bench.state.export_in_use(&bench.stack) {
                bench.finish(StackStatus::DeleteFailed, Some(&message), OperationStatus::Failed);
                return;
            }
            bench.plan_removal();
        })
    }

    /// Starts the rollback of a creation that has failed and was left as it was.
    pub(in crate::cloudformation) fn start_rollback_of_creation(
        &mut self,
        world: &dyn World,
        id: &str,
        request: Request,
        now: Millis,
    ) -> String {
        self.start(world, id, request, OperationType::Rollback, now, |bench| {
            bench.work.phase = Phase::Rollback;
            let reason = bench.initiated();
            bench.report(StackStatus::RollbackInProgress, reason);
            bench.plan_removal();
        })
    }

    /// Takes a failed update up again to bring it back, and returns the operation's id.
    pub(in crate::cloudformation) fn resume_rollback(
        &mut self,
        world: &dyn World,
        id: &str,
        kind: OperationType,
        token: Option<&str>,
        skip: BTreeSet<String>,
        now: Millis,
    ) -> Option<String> {
        self.remember(id);
        let operation = self.random.uuid();
        let stack = self.stacks.get_mut(id)?;
        let work = stack.stalled.take()?;
        let reason = if work.origin.is_nested { None } else { Some("User Initiated") };
        stack.work = Some(*work);
        let mut bench = Bench::take(self, world, id, now)?;
        bench.adopt_operation(operation.clone(), kind, token);
        bench.work.skip = skip;
        bench.work.taken_back.clear();
        bench.roll_back(reason);
        bench.put_back();
        Some(operation)
    }

    /// Has a nested stack brought back, unless that goes on or is over already.
    pub(in crate::cloudformation) fn take_back(
        &mut self,
        world: &dyn World,
        id: &str,
        skip: &[String],
        token: Option<&str>,
        now: Millis,
    ) {
        let Some(child) = self.stacks.get(id) else {
            return;
        };
        let prefix = format!("{}.", child.name());
        let own_skip: BTreeSet<String> = skip
            .iter()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .chain(skip.iter().filter(|name| name.contains('.')).cloned())
            .collect();
        let is_held = child.work.as_ref().is_some_and(|work| work.is_held);
        if is_held {
            if let Some(mut bench) = Bench::take(self, world, id, now) {
                bench.begin_rollback("");
                bench.put_back();
            }
        } else if child.work.is_none() && child.stalled.is_some() {
            self.resume_rollback(world, id, OperationType::Rollback, token, own_skip, now);
        }
    }

    /// Has the update that goes on brought back.
    pub(in crate::cloudformation) fn cancel(&mut self, id: &str, token: Option<&str>) {
        if let Some(work) = self.stacks.get_mut(id).and_then(|stack| stack.work.as_mut()) {
            work.is_cancelled = true;
            if let Some(token) = token {
                work.token = Some(token.to_owned());
            }
        }
    }

    /// Makes a stack for a resource of another one and returns its id.
    pub(in crate::cloudformation) fn add_child(
        &mut self,
        parent: &Pseudo,
        logical: &str,
        root: &str,
        status: StackStatus,
        now: Millis,
    ) -> String {
        let front: String = format!("{}-{logical}", parent.stack_name).chars().take(115).collect();
        let name = format!("{front}-{}", self.random.id(12));
        let id = self.new_stack_id(&parent.account, &parent.region, &name);
        let pseudo = Pseudo { stack_name: name, stack_id: id.clone(), ..parent.clone() };
        let mut child = Stack::new(pseudo, status, now);
        child.parent = Some(parent.stack_id.clone());
        child.root = Some(root.to_owned());
        self.stacks.insert(id.clone(), child);
        id
    }

    fn start(
        &mut self,
        world: &dyn World,
        id: &str,
        request: Request,
        kind: OperationType,
        now: Millis,
        begin: impl FnOnce(&mut Bench<'_>),
    ) -> String {
        if !request.origin.is_nested {
            self.remember(id);
        }
        let operation = self.random.uuid();
        let Some(stack) = self.stacks.get_mut(id) else {
            return operation;
        };
        stack.begin(operation.clone(), kind, now);
        if let Some(change_set) = &request.change_set {
            stack.change_set = Some(change_set.clone());
        }
        stack.work = Some(Work {
            operation: operation.clone(),
            token: request.token,
            phase: Phase::Forward,
            origin: request.origin,
            target: request.definition,
            before: stack.point(),
            on_failure: request.on_failure,
            retain_except_on_create: request.retain_except_on_create,
            tasks: Vec::new(),
            garbage: Vec::new(),
            touched: BTreeSet::new(),
            skip: BTreeSet::new(),
            taken_back: BTreeSet::new(),
            retain: BTreeSet::new(),
            is_forced: false,
            is_held: false,
            is_cancelled: false,
            change_set: request.change_set,
            imports_existing: request.imports_existing,
        });
        if let Some(mut bench) = Bench::take(self, world, id, now) {
            begin(&mut bench);
            bench.put_back();
        }
        operation
    }

    /// Keeps the present view of a stack for reads that come too early to see the next one.
    fn remember(&mut self, id: &str) {
        let reads_left = self.settings.stale_reads;
        if reads_left == 0 {
            return;
        }
        if let Some(stack) = self.stacks.get_mut(id) {
            stack.stale = None;
            stack.stale = Some(Stale { view: Box::new(stack.clone()), reads_left });
        }
    }

    /// Drops the work that goes on, because the stack is to be deleted.
    fn abandon(&mut self, id: &str, now: Millis) {
        let Some(stack) = self.stacks.get_mut(id) else {
            return;
        };
        let Some(work) = stack.work.take() else {
            return;
        };
        stack.end(&work.operation, OperationStatus::Failed, now);
        self.settle_change_set(work.change_set.as_deref(), OperationStatus::Failed);
        let children: Vec<String> = self
            .stacks
            .values()
            .filter(|child| child.parent.as_deref() == Some(id) && child.work.is_some())
            .map(|child| child.id().to_owned())
            .collect();
        for child in children {
            self.abandon(&child, now);
            if let Some(child) = self.stacks.get_mut(&child) {
                child.status = StackStatus::CreateFailed;
            }
        }
    }
}

impl Bench<'_> {
    fn initiated(&self) -> Option<&'static str> {
        (!self.work.origin.is_nested).then_some("User Initiated")
    }

    fn start_forward(&mut self) {
        if let Err(message) = self.plan_forward() {
            self.fail_with(&format!("{message}. "));
        }
    }
}

/// Refuses a template that needs a capability which was not granted.
pub(in crate::cloudformation) fn check_capabilities(
    template: &Template,
    granted: &[String],
) -> Result<(), ApiError> {
    let Some((needed, _)) = template.needed_capability() else {
        return Ok(());
    };
    let is_granted = |capability: &str| granted.iter().any(|granted| granted == capability);
    if is_granted(needed) || is_granted("CAPABILITY_NAMED_IAM") {
        return Ok(());
    }
    Err(ApiError::bad(
        "InsufficientCapabilitiesException",
        format!("Requires capabilities : [{needed}]"),
    ))
}

/// Refuses capabilities that do not exist.
pub(in crate::cloudformation) fn check_capability_names(
    granted: &[String],
) -> Result<(), ApiError> {
    const KNOWN: &[&str] = &["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
    match granted.iter().find(|granted| !KNOWN.contains(&granted.as_str())) {
        None => Ok(()),
        Some(_) => Err(invalid(format!(
            "1 validation error detected: Value '[{}]' at 'capabilities' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [{}]]",
            granted.join(", "),
            KNOWN.join(", ")
        ))),
    }
}
