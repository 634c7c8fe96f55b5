//! Deleting resources: in a deletion, in the rollback of a creation, in a cleanup.

use std::collections::BTreeSet;

use super::super::plans::During;
use super::super::refusals;
use super::super::state::Resource;
use super::super::status::{OperationStatus, ResourceStatus, StackStatus};
use super::bench::{Bench, failed_to};
use super::start::Request;
use super::{Job, OnFailure, Origin, Phase, Task, TaskState};

impl Bench<'_> {
    /// Plans the removal of everything, dependants first.
    pub(super) fn plan_removal(&mut self) {
        let resources: Vec<Resource> = self.stack.living().cloned().collect();
        self.work.tasks = removal_tasks(resources);
    }

    /// Plans the removal of what an update has left over.
    pub(super) fn plan_cleanup(&mut self) {
        let garbage = std::mem::take(&mut self.work.garbage);
        self.work.tasks = removal_tasks(garbage);
    }

    /// Goes on with a deletion or with the rollback of a creation.
    pub(super) fn remove_all(&mut self) {
        if self.remove_some() {
            return;
        }
        let failed = self.tasks_in(TaskState::Failed);
        let is_rollback = self.work.phase == Phase::Rollback;
        if !failed.is_empty() {
            let status =
                if is_rollback { StackStatus::RollbackFailed } else { StackStatus::DeleteFailed };
            self.finish(status, Some(&failed_to("delete", &failed)), OperationStatus::Failed);
        } else if is_rollback {
            self.stack.outputs.clear();
            self.finish(StackStatus::RollbackComplete, None, OperationStatus::Succeeded);
        } else {
            self.finish(StackStatus::DeleteComplete, None, OperationStatus::Succeeded);
            self.stack.deleted = Some(self.now);
            self.stack.stalled = None;
            self.state.forget_change_sets(self.stack.id());
        }
    }

    /// Goes on with the cleanup that ends an update or its rollback.
    pub(super) fn clean_up(&mut self) {
        if self.work.phase == Phase::Cleanup {
            self.release_children();
        }
        let is_removing = self.remove_some();
        if is_removing || self.has_any_busy_child() {
            return;
        }
        self.stack.resources.retain(|_, resource| {
            !matches!(
                resource.status,
                ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped
            )
        });
        let has_failed = !self.tasks_in(TaskState::Failed).is_empty();
        let (status, outcome) = if self.work.phase == Phase::Cleanup {
            (StackStatus::UpdateComplete, OperationStatus::Succeeded)
        } else {
            (StackStatus::UpdateRollbackComplete, OperationStatus::Succeeded)
        };
        let reason =
            has_failed.then_some("Update successful. One or more resources could not be deleted.");
        self.finish(status, reason.filter(|_| status == StackStatus::UpdateComplete), outcome);
    }

    /// Moves the removals forward and tells whether any is left to wait for.
    fn remove_some(&mut self) -> bool {
        let due = self.due();
        if due.is_empty() {
            return false;
        }
        for number in due {
            let Some(mut task) = self.task(number) else {
                continue;
            };
            let Job::Remove(resource) = task.job.clone() else {
                continue;
            };
            let mut resource = *resource;
            task.state = self.remove_task(task.state, &mut resource);
            task.job = Job::Remove(Box::new(resource));
            self.set_task(number, task);
        }
        true
    }

    fn remove_task(&mut self, state: TaskState, resource: &mut Resource) -> TaskState {
        match state {
            TaskState::Waiting if self.is_kept(resource) => {
                self.state.names.leave_behind(resource, &self.stack.pseudo);
                self.note_removal(resource, ResourceStatus::DeleteSkipped, None);
                TaskState::Settled
            }
            // What was never made is gone already.
            TaskState::Waiting if resource.physical.is_none() => {
                self.note_removal(resource, ResourceStatus::DeleteComplete, None);
                TaskState::Settled
            }
            TaskState::Waiting => {
                self.note_removal(resource, ResourceStatus::DeleteInProgress, None);
                TaskState::Begun
            }
            TaskState::Begun => match self.delete(resource) {
                Ok(true) => {
                    self.state.names.release(resource.kind, &resource.name, &self.stack.pseudo);
                    self.note_removal(resource, ResourceStatus::DeleteComplete, None);
                    TaskState::Settled
                }
                Ok(false) => TaskState::Begun,
                Err(_) if self.work.is_forced => {
                    self.state.names.leave_behind(resource, &self.stack.pseudo);
                    self.note_removal(resource, ResourceStatus::DeleteSkipped, None);
                    TaskState::Settled
                }
                Err(reason) => {
                    self.note_removal(resource, ResourceStatus::DeleteFailed, Some(reason));
                    TaskState::Failed
                }
            },
            TaskState::InEffect | TaskState::Configured => TaskState::Settled,
            TaskState::Settled | TaskState::Failed => state,
        }
    }

    /// Deletes a resource; a nested stack takes more than one step.
    fn delete(&mut self, resource: &Resource) -> Result<bool, String> {
        if resource.kind.is_stack() {
            let id = resource.physical.clone().unwrap_or_default();
            if let Some(reason) = self.unstarted_failure(&id, resource) {
                return Err(reason);
            }
            return self.delete_child(&id);
        }
        if let Some(reason) = self.planned_failure(&resource.logical, During::Delete) {
            return Err(reason);
        }
        let physical = resource.physical.clone().unwrap_or_default();
        let deleted = self.world.delete(&self.item(resource, &physical));
        deleted.map_err(|refusal| {
            refusals::refusal(&mut self.state.random, resource.kind, &resource.name, &refusal)
        })?;
        Ok(true)
    }

    fn unstarted_failure(&mut self, id: &str, resource: &Resource) -> Option<String> {
        let is_started = self.state.stacks.get(id).is_some_and(|child| child.work.is_some());
        if is_started { None } else { self.planned_failure(&resource.logical, During::Delete) }
    }

    fn delete_child(&mut self, id: &str) -> Result<bool, String> {
        let Some(child) = self.state.stacks.get(id) else {
            return Ok(true);
        };
        if child.status == StackStatus::DeleteComplete {
            return Ok(true);
        }
        let was_started = child.operations.last().is_some_and(|last| {
            last.kind == super::super::status::OperationType::DeleteStack
                && last.started >= self.started()
        });
        if child.status == StackStatus::DeleteFailed && was_started {
            let reason = child.reason.as_deref().unwrap_or_default().trim_end();
            return Err(format!("Embedded stack {id} was not successfully deleted: {reason}"));
        }
        if child.work.as_ref().is_some_and(|work| work.phase == Phase::Delete) {
            return Ok(false);
        }
        let request = Request {
            definition: None,
            token: self.work.token.clone(),
            on_failure: OnFailure::DoNothing,
            retain_except_on_create: self.work.retain_except_on_create,
            origin: Origin { is_create: self.is_undoing_creation(), is_nested: true },
            change_set: None,
            imports_existing: false,
        };
        let is_forced = self.work.is_forced;
        self.state.start_delete(self.world, id, request, BTreeSet::new(), is_forced, self.now);
        Ok(false)
    }

    fn started(&self) -> crate::clock::Millis {
        let operation = &self.work.operation;
        self.stack.operations.iter().find(|own| own.id == *operation).map_or(0, |own| own.started)
    }

    /// Tells whether a policy or the caller keeps a resource from being deleted.
    fn is_kept(&self, resource: &Resource) -> bool {
        if self.work.retain.contains(&resource.logical) {
            return true;
        }
        let is_replaced = self.stack.resources.get(&resource.logical).is_some_and(|current| {
            current.physical != resource.physical && self.work.phase == Phase::Cleanup
        });
        let policy = if is_replaced { &resource.replace_policy } else { &resource.deletion_policy };
        let was_just_made = self.is_undoing_creation();
        match policy.as_str() {
            "Retain" | "Snapshot" => !(was_just_made && self.work.retain_except_on_create),
            "RetainExceptOnCreate" => !was_just_made,
            _ => false,
        }
    }

    /// Tells whether what is deleted was made by the operation that is being taken back.
    fn is_undoing_creation(&self) -> bool {
        match self.work.phase {
            Phase::Rollback | Phase::RollbackCleanup => true,
            Phase::Delete => self.work.origin.is_create,
            Phase::Forward | Phase::Cleanup => false,
        }
    }

    /// Reports a removal, and notes it in the stack unless another resource has the place.
    fn note_removal(
        &mut self,
        resource: &mut Resource,
        status: ResourceStatus,
        reason: Option<String>,
    ) {
        resource.become_status(status, reason, self.now);
        self.report_other(resource);
        let place = self.stack.resources.get_mut(&resource.logical);
        if let Some(current) = place.filter(|current| current.physical == resource.physical) {
            current.become_status(status, resource.reason.clone(), self.now);
        }
    }
}

/// Makes tasks that delete dependants before what they need.
fn removal_tasks(resources: Vec<Resource>) -> Vec<Task> {
    let dependants = |logical: &str| -> BTreeSet<String> {
        resources
            .iter()
            .filter(|other| other.logical != logical && other.needs.contains(logical))
            .map(|other| other.logical.clone())
            .collect()
    };
    let after: Vec<BTreeSet<String>> =
        resources.iter().map(|resource| dependants(&resource.logical)).collect();
    resources
        .into_iter()
        .zip(after)
        .map(|(resource, after)| {
            let logical = resource.logical.clone();
            Task::new(&logical, Job::Remove(Box::new(resource)), after)
        })
        .collect()
}
