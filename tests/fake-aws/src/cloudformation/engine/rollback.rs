//! Taking back a failed update.

use super::super::plans::During;
use super::super::refusals;
use super::super::status::{OperationStatus, OperationType, ResourceStatus, StackStatus};
use super::bench::{Bench, failed_to};
use super::{Job, Phase, Task, TaskState};

impl Bench<'_> {
    /// Begins a rollback that nobody has asked for by a call of its own.
    pub(super) fn begin_rollback(&mut self, reason: &str) {
        self.begin_automatic(OperationType::Rollback);
        self.roll_back(Some(reason).filter(|reason| !reason.is_empty()));
    }

    /// Begins to bring back what the operation has touched.
    pub(super) fn roll_back(&mut self, reason: Option<&str>) {
        self.work.phase = Phase::Rollback;
        self.work.is_cancelled = false;
        self.work.is_held = false;
        self.report(StackStatus::UpdateRollbackInProgress, reason);
        let touched: Vec<String> = self
            .work
            .touched
            .iter()
            .filter(|logical| self.work.before.resources.contains_key(*logical))
            .cloned()
            .collect();
        self.work.tasks = touched
            .iter()
            .map(|logical| {
                let needs =
                    self.work.before.resources.get(logical).map(|resource| resource.needs.clone());
                let after = needs
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|need| touched.contains(need))
                    .collect();
                Task::new(logical, Job::Revert, after)
            })
            .collect();
    }

    pub(super) fn revert_all(&mut self) {
        let due = self.due();
        for number in &due {
            let Some(mut task) = self.task(*number) else {
                continue;
            };
            task.state = self.revert_task(&task);
            self.set_task(*number, task);
        }
        if !due.is_empty() {
            return;
        }
        let failed = self.tasks_in(TaskState::Failed);
        if !failed.is_empty() {
            self.stall(StackStatus::UpdateRollbackFailed, &failed_to("update", &failed));
            return;
        }
        self.stack.definition.clone_from(&self.work.before.definition);
        self.stack.outputs.clone_from(&self.work.before.outputs);
        let made: Vec<_> = self
            .stack
            .living()
            .filter(|resource| !self.work.before.resources.contains_key(&resource.logical))
            .cloned()
            .collect();
        self.work.garbage.extend(made);
        self.work.phase = Phase::RollbackCleanup;
        self.report(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
        self.plan_cleanup();
    }

    fn revert_task(&mut self, task: &Task) -> TaskState {
        let logical = &task.logical;
        let Some(before) = self.work.before.resources.get(logical).cloned() else {
            return TaskState::Settled;
        };
        match task.state {
            TaskState::Waiting if self.is_skipped(logical) => {
                self.report_resource(logical, ResourceStatus::UpdateComplete, None);
                TaskState::Settled
            }
            TaskState::Waiting => {
                self.report_resource(logical, ResourceStatus::UpdateInProgress, None);
                TaskState::Begun
            }
            TaskState::Begun if before.kind.is_stack() => match self.revert_child(&before) {
                None => TaskState::Begun,
                Some(Ok(())) => {
                    self.restore(logical, &before);
                    TaskState::InEffect
                }
                Some(Err(reason)) => self.fail_to_revert(logical, reason),
            },
            TaskState::Begun => {
                if let Some(reason) = self.planned_failure(logical, During::Rollback) {
                    return self.fail_to_revert(logical, reason);
                }
                let physical = before.physical.clone().unwrap_or_default();
                if let Err(refusal) = self.world.update(&self.item(&before, &physical)) {
                    let random = &mut self.state.random;
                    let reason = refusals::refusal(random, before.kind, &before.name, &refusal);
                    return self.fail_to_revert(logical, reason);
                }
                self.restore(logical, &before);
                TaskState::InEffect
            }
            TaskState::InEffect | TaskState::Configured => {
                self.report_resource(logical, ResourceStatus::UpdateComplete, None);
                self.work.touched.remove(logical);
                TaskState::Settled
            }
            TaskState::Settled | TaskState::Failed => task.state,
        }
    }

    fn fail_to_revert(&mut self, logical: &str, reason: String) -> TaskState {
        self.report_resource(logical, ResourceStatus::UpdateFailed, Some(reason));
        TaskState::Failed
    }

    /// Puts the former resource back into its place; what has replaced it is to go.
    fn restore(&mut self, logical: &str, before: &super::super::state::Resource) {
        let mut restored = before.clone();
        restored.become_status(ResourceStatus::UpdateInProgress, None, self.now);
        let current = self.stack.resources.insert(logical.to_owned(), restored);
        self.work.garbage.retain(|old| old.logical != *logical);
        if let Some(current) = current.filter(|current| current.physical != before.physical) {
            self.work.garbage.push(current);
        }
    }

    fn is_skipped(&self, logical: &str) -> bool {
        self.work.skip.contains(logical)
    }

    /// Notes that the user asked for this rollback.
    pub(super) fn adopt_operation(&mut self, id: String, kind: OperationType, token: Option<&str>) {
        let old = std::mem::replace(&mut self.work.operation, id.clone());
        self.stack.end(&old, OperationStatus::Failed, self.now);
        self.work.token = token.map(str::to_owned);
        self.stack.begin(id, kind, self.now);
    }
}
