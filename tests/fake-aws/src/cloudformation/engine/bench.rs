//! A stack on the bench: taken out of the state, worked on, put back.

use super::super::events::Cause;
use super::super::plans::{self, During};
use super::super::state::{Resource, Stack, State};
use super::super::status::{OperationStatus, OperationType, ResourceStatus, StackStatus};
use super::super::world::World;
use super::{OnFailure, Phase, Task, TaskState, Work};
use crate::clock::Millis;

pub(super) struct Bench<'a> {
    pub(super) state: &'a mut State,
    pub(super) world: &'a dyn World,
    pub(super) now: Millis,
    pub(super) stack: Stack,
    pub(super) work: Work,
    is_finished: bool,
}

impl<'a> Bench<'a> {
    pub(super) fn take(
        state: &'a mut State,
        world: &'a dyn World,
        id: &str,
        now: Millis,
    ) -> Option<Self> {
        let mut stack = state.stacks.remove(id)?;
        match stack.work.take() {
            Some(work) => Some(Self { state, world, now, stack, work, is_finished: false }),
            None => {
                state.stacks.insert(id.to_owned(), stack);
                None
            }
        }
    }

    pub(super) fn put_back(self) {
        let Self { state, mut stack, work, is_finished, .. } = self;
        if !is_finished {
            stack.work = Some(work);
        }
        state.stacks.insert(stack.id().to_owned(), stack);
    }

    pub(super) fn advance(&mut self) {
        match self.work.phase {
            Phase::Forward => self.forward(),
            Phase::Rollback if self.work.origin.is_create => self.remove_all(),
            Phase::Rollback => self.revert_all(),
            Phase::Cleanup | Phase::RollbackCleanup => self.clean_up(),
            Phase::Delete => self.remove_all(),
        }
    }

    /// Returns the operation and the token that events are reported under.
    pub(super) fn cause(&self) -> Cause {
        Cause { operation: self.work.operation.clone(), token: self.work.token.clone() }
    }

    pub(super) fn report(&mut self, status: StackStatus, reason: Option<&str>) {
        let cause = self.cause();
        self.state.report_stack(&mut self.stack, &cause, status, reason, self.now);
    }

    /// Gives a resource of the stack a status and reports it.
    pub(super) fn report_resource(
        &mut self,
        logical: &str,
        status: ResourceStatus,
        reason: Option<String>,
    ) {
        let Some(mut resource) = self.stack.resources.remove(logical) else {
            return;
        };
        resource.become_status(status, reason, self.now);
        let cause = self.cause();
        self.state.report_resource(&mut self.stack, &cause, &resource, self.now);
        self.stack.resources.insert(logical.to_owned(), resource);
    }

    /// Reports the status of a resource that is kept elsewhere.
    pub(super) fn report_other(&mut self, resource: &Resource) {
        let cause = self.cause();
        self.state.report_resource(&mut self.stack, &cause, resource, self.now);
    }

    /// Ends the work with this status of the stack.
    pub(super) fn finish(
        &mut self,
        status: StackStatus,
        reason: Option<&str>,
        outcome: OperationStatus,
    ) {
        self.report(status, reason);
        let operation = self.work.operation.clone();
        self.stack.end(&operation, outcome, self.now);
        self.state.settle_change_set(self.work.change_set.as_deref(), outcome);
        if !self.work.origin.is_nested {
            self.state.drop_reviews(self.stack.id());
        }
        self.is_finished = true;
    }

    /// Ends the work, but keeps what a later rollback or update needs to know.
    pub(super) fn stall(&mut self, status: StackStatus, reason: &str) {
        self.finish(status, Some(reason), OperationStatus::Failed);
        self.stack.stalled = Some(Box::new(self.work.clone()));
    }

    /// Goes on as a rollback or deletion that nobody has asked for by a call of its own.
    pub(super) fn begin_automatic(&mut self, kind: OperationType) {
        let operation = self.work.operation.clone();
        self.state
            .settle_change_set(self.work.change_set.take().as_deref(), OperationStatus::Failed);
        if self.state.settings.rollback_operation
            == super::super::settings::RollbackOperation::Shared
        {
            return;
        }
        self.stack.end(&operation, OperationStatus::Failed, self.now);
        let id = self.state.random.uuid();
        self.stack.begin(id.clone(), kind, self.now);
        self.work.operation = id;
    }

    /// Returns the reason of a failure that is planned for this.
    pub(super) fn planned_failure(&mut self, logical: &str, during: During) -> Option<String> {
        let (name, region) = (self.stack.name().to_owned(), self.stack.pseudo.region.clone());
        plans::strike(&mut self.state.failures, logical, during, &name, &region)
    }

    /// Returns the numbers of the tasks that run, and of those whose turn has come.
    pub(super) fn due(&self) -> Vec<usize> {
        let settled = |logical: &String| {
            !self
                .work
                .tasks
                .iter()
                .any(|task| task.logical == *logical && task.state != TaskState::Settled)
        };
        let is_due = |task: &Task| {
            task.is_running() || task.state == TaskState::Waiting && task.after.iter().all(settled)
        };
        self.work
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| is_due(task))
            .map(|(number, _)| number)
            .collect()
    }

    pub(super) fn task(&self, number: usize) -> Option<Task> {
        self.work.tasks.get(number).cloned()
    }

    pub(super) fn set_task(&mut self, number: usize, task: Task) {
        if let Some(place) = self.work.tasks.get_mut(number) {
            *place = task;
        }
    }

    /// Returns the logical ids of the tasks in that state.
    pub(super) fn tasks_in(&self, state: TaskState) -> Vec<String> {
        self.work
            .tasks
            .iter()
            .filter(|task| task.state == state)
            .map(|task| task.logical.clone())
            .collect()
    }

    pub(super) fn keeps_failures(&self) -> bool {
        self.work.on_failure == OnFailure::DoNothing
    }
}

/// Writes the sentence that names failed resources.
pub(super) fn failed_to(verb: &str, logical_ids: &[String]) -> String {
    if logical_ids.is_empty() {
        return String::new();
    }
    format!("The following resource(s) failed to {verb}: [{}]. ", logical_ids.join(", "))
}
