//! Making and changing the resources of a stack.

use std::collections::BTreeSet;

use super::super::difference;
use super::super::plans::During;
use super::super::state::{Definition, Resource};
use super::super::status::{OperationStatus, OperationType, ResourceStatus, StackStatus};
use super::super::template::Scope;
use super::bench::{Bench, failed_to};
use super::make::refuse_complaints;
use super::{Desired, Job, OnFailure, Phase, StackLookup, Task, TaskState};

impl Bench<'_> {
    /// Plans a task for every resource that is wanted.
    pub(super) fn plan_forward(&mut self) -> Result<(), String> {
        let Some(target) = self.work.target.clone() else {
            return Ok(());
        };
        let lookup = StackLookup { state: self.state, stack: &self.stack };
        let scope = scope(&target, &self.stack.pseudo, &lookup);
        let mut wanted = BTreeSet::new();
        for resource in target.template.resources() {
            if scope.holds(resource.condition())? {
                wanted.insert(resource.logical.to_owned());
            }
        }
        let mut tasks = Vec::new();
        for resource in
            target.template.resources().filter(|resource| wanted.contains(resource.logical))
        {
            let after =
                resource.dependencies(&target.template).intersection(&wanted).cloned().collect();
            tasks.push(Task::new(resource.logical, Job::Apply, after));
        }
        let removed: Vec<String> = self
            .stack
            .living()
            .map(|resource| resource.logical.clone())
            .filter(|id| !wanted.contains(id))
            .collect();
        self.work.tasks = tasks;
        for logical in removed {
            if let Some(denial) = self.policy_denial(&logical, "Update:Delete") {
                self.report_resource(&logical, ResourceStatus::UpdateFailed, Some(denial.clone()));
                return Err(denial);
            }
        }
        Ok(())
    }

    pub(super) fn forward(&mut self) {
        for number in self.due() {
            if self.work.is_cancelled {
                break;
            }
            let Some(mut task) = self.task(number) else {
                continue;
            };
            self.forward_task(&mut task);
            self.set_task(number, task);
        }
        let has_failed = !self.tasks_in(TaskState::Failed).is_empty();
        if has_failed || self.work.is_cancelled {
            self.cancel_running();
            if !self.has_busy_children() {
                self.end_failed();
            }
        } else if self.tasks_in(TaskState::Settled).len() == self.work.tasks.len() {
            match self.conclude() {
                Ok(()) => self.end_done(),
                Err(message) => self.fail_with(&format!("{message}. ")),
            }
        }
    }

    fn forward_task(&mut self, task: &mut Task) {
        let moved = match task.state {
            TaskState::Waiting => self.begin_task(task),
            TaskState::Begun => self.take_effect(task),
            TaskState::InEffect => self.configure(task),
            TaskState::Configured => Ok(self.settle(task)),
            TaskState::Settled | TaskState::Failed => Ok(task.state),
        };
        task.state = match moved {
            Ok(state) => state,
            Err(reason) => {
                self.report_resource(&task.logical, failed_status(&task.job), Some(reason));
                TaskState::Failed
            }
        };
    }

    /// Finds out what there is to do, and reports that it begins.
    fn begin_task(&mut self, task: &mut Task) -> Result<TaskState, String> {
        let desired = match self.desired(&task.logical) {
            Ok(desired) => desired,
            Err(message) => {
                self.place(&task.logical, None);
                task.job = self.job_for_failure(&task.logical);
                return Err(message);
            }
        };
        let existing = self.stack.resources.get(&task.logical).filter(|resource| {
            resource.physical.is_some() && resource.status != ResourceStatus::DeleteComplete
        });
        let Some(existing) = existing.cloned() else {
            self.place(&task.logical, Some(&desired));
            task.job = Job::Make(Box::new(desired));
            self.work.touched.insert(task.logical.clone());
            self.report_resource(&task.logical, ResourceStatus::CreateInProgress, None);
            return Ok(TaskState::Begun);
        };
        let changed = difference::changed(&existing.properties, &desired.properties);
        let is_retagged = existing.kind.is_taggable && existing.tags != desired.tags;
        let is_replaced = difference::replaces(existing.kind, &changed);
        let is_changed = !changed.is_empty()
            || is_retagged
            || existing.metadata != desired.metadata
            || existing.status.is_failure();
        if !is_changed && !existing.kind.is_stack() {
            if let Some(resource) = self.stack.resources.get_mut(&task.logical) {
                resource.deletion_policy = desired.deletion_policy;
                resource.replace_policy = desired.replace_policy;
                resource.needs = desired.needs;
            }
            return Ok(TaskState::Settled);
        }
        let action = if is_replaced { "Update:Replace" } else { "Update:Modify" };
        let denial = self.policy_denial(&task.logical, action);
        self.work.touched.insert(task.logical.clone());
        let reason = is_replaced.then(|| {
            "Requested update requires the creation of a new physical resource; hence creating one.".to_owned()
        });
        task.job = if is_replaced {
            Job::Replace(Box::new(desired))
        } else {
            Job::Change(Box::new(desired))
        };
        self.report_resource(&task.logical, ResourceStatus::UpdateInProgress, reason);
        match denial {
            Some(denial) => Err(denial),
            None => Ok(TaskState::Begun),
        }
    }

    fn job_for_failure(&self, logical: &str) -> Job {
        let desired = Desired {
            properties: serde_json::Value::Null,
            metadata: None,
            deletion_policy: "Delete".to_owned(),
            replace_policy: "Delete".to_owned(),
            tags: Vec::new(),
            needs: BTreeSet::new(),
        };
        let exists =
            self.stack.resources.get(logical).is_some_and(|resource| resource.physical.is_some());
        if exists { Job::Change(Box::new(desired)) } else { Job::Make(Box::new(desired)) }
    }

    /// Carries the work out.
    fn take_effect(&mut self, task: &mut Task) -> Result<TaskState, String> {
        let logical = task.logical.clone();
        let during =
            if matches!(task.job, Job::Change(_)) { During::Update } else { During::Create };
        self.invoke_hooks(&logical)?;
        if let Some(reason) = self.planned_failure(&logical, during) {
            return Err(reason);
        }
        let (Job::Make(desired) | Job::Change(desired) | Job::Replace(desired)) = task.job.clone()
        else {
            return Ok(TaskState::Settled);
        };
        let Some(kind) = self.stack.resources.get(&logical).map(|resource| resource.kind) else {
            return Ok(TaskState::Settled);
        };
        refuse_complaints(&logical, &kind.complaints(&desired.properties))?;
        match task.job {
            _ if kind.is_stack() => self.apply_child(&logical, &desired, &task.job),
            Job::Change(_) => self.change(&logical, *desired),
            _ => self.make(&logical, *desired, matches!(task.job, Job::Replace(_))),
        }
    }

    /// Waits for a nested stack, or shows that the resource is configured.
    fn configure(&mut self, task: &Task) -> Result<TaskState, String> {
        let Some(resource) = self.stack.resources.get(&task.logical).cloned() else {
            return Ok(TaskState::Settled);
        };
        if resource.kind.is_stack() {
            return match self.child_outcome(&resource) {
                None => Ok(TaskState::InEffect),
                Some(Ok(())) => Ok(self.settle(task)),
                Some(Err(reason)) => Err(reason),
            };
        }
        if resource.kind.is_eventual {
            let cause = self.cause();
            self.state.report_configured(&mut self.stack, &cause, &resource, self.now);
            return Ok(TaskState::Configured);
        }
        Ok(self.settle(task))
    }

    fn settle(&mut self, task: &Task) -> TaskState {
        let status = match task.job {
            Job::Make(_) => ResourceStatus::CreateComplete,
            _ => ResourceStatus::UpdateComplete,
        };
        self.report_resource(&task.logical, status, None);
        TaskState::Settled
    }

    fn cancel_running(&mut self) {
        for number in 0..self.work.tasks.len() {
            let Some(mut task) = self.task(number).filter(Task::is_running) else {
                continue;
            };
            let reason = match task.job {
                Job::Make(_) => "Resource creation cancelled",
                _ => "Resource update cancelled",
            };
            self.cancel_child(&task.logical);
            self.report_resource(&task.logical, failed_status(&task.job), Some(reason.to_owned()));
            task.state = TaskState::Failed;
            self.set_task(number, task);
        }
    }

    fn end_failed(&mut self) {
        if self.work.is_cancelled && !self.work.origin.is_nested {
            self.fail_with("User Initiated");
            return;
        }
        let (made, changed): (Vec<String>, Vec<String>) = self
            .tasks_in(TaskState::Failed)
            .into_iter()
            .partition(|logical| !self.work.before.resources.contains_key(logical));
        let reason = format!("{}{}", failed_to("create", &made), failed_to("update", &changed));
        self.fail_with(&reason);
    }

    /// Does what is to be done about a failure.
    pub(super) fn fail_with(&mut self, reason: &str) {
        if !self.work.origin.is_create {
            if self.keeps_failures() {
                self.stall(StackStatus::UpdateFailed, reason);
            } else {
                self.begin_rollback(reason);
            }
            return;
        }
        if self.work.origin.is_nested {
            self.finish(StackStatus::CreateFailed, Some(reason), OperationStatus::Failed);
            return;
        }
        match self.work.on_failure {
            OnFailure::DoNothing => {
                self.finish(StackStatus::CreateFailed, Some(reason), OperationStatus::Failed)
            }
            OnFailure::Rollback => {
                self.begin_automatic(OperationType::Rollback);
                self.work.phase = Phase::Rollback;
                self.report(
                    StackStatus::RollbackInProgress,
                    Some(&format!("{reason}Rollback requested by user.")),
                );
                self.plan_removal();
            }
            OnFailure::Delete => {
                self.begin_automatic(OperationType::DeleteStack);
                self.work.phase = Phase::Delete;
                self.report(
                    StackStatus::DeleteInProgress,
                    Some(&format!("{reason}Delete requested by user.")),
                );
                self.plan_removal();
            }
        }
    }

    /// Works out outputs and exports, and looks at the alarms.
    fn conclude(&mut self) -> Result<(), String> {
        let Some(target) = self.work.target.clone() else {
            return Ok(());
        };
        let outputs = self.state.outputs(&self.stack, &target)?;
        self.state.check_exports(&self.stack, &outputs)?;
        for (arn, _) in &target.rollback.triggers {
            if self.state.settings.alarms.contains(arn) {
                return Err(format!("Rollback trigger {arn} is in ALARM state"));
            }
        }
        self.stack.outputs = outputs;
        Ok(())
    }

    fn end_done(&mut self) {
        if self.work.origin.is_create {
            self.finish(StackStatus::CreateComplete, None, OperationStatus::Succeeded);
            return;
        }
        let wanted: BTreeSet<String> =
            self.work.tasks.iter().map(|task| task.logical.clone()).collect();
        let unwanted: Vec<Resource> = self
            .stack
            .living()
            .filter(|resource| !wanted.contains(&resource.logical))
            .cloned()
            .collect();
        self.work.garbage.extend(unwanted);
        self.work.phase = Phase::Cleanup;
        self.work.is_held = self.work.origin.is_nested;
        self.stack.stalled = None;
        self.report(StackStatus::UpdateCompleteCleanupInProgress, None);
        self.plan_cleanup();
    }

    /// Works out what a resource is to look like.
    fn desired(&self, logical: &str) -> Result<Desired, String> {
        let target = self.work.target.as_ref().ok_or("the operation has no template")?;
        let declared = target.template.resource(logical).ok_or("the resource is not declared")?;
        let lookup = StackLookup { state: self.state, stack: &self.stack };
        let scope = scope(target, &self.stack.pseudo, &lookup);
        let metadata =
            declared.metadata().map(|metadata| scope.evaluate(metadata)).transpose()?.flatten();
        Ok(Desired {
            properties: scope.properties(&declared)?,
            metadata,
            deletion_policy: declared.deletion_policy().to_owned(),
            replace_policy: declared.update_replace_policy().to_owned(),
            tags: target.tags.clone(),
            needs: declared.dependencies(&target.template),
        })
    }

    /// Puts a resource into the stack that does not exist yet.
    fn place(&mut self, logical: &str, desired: Option<&Desired>) {
        let is_alive = self.stack.resources.get(logical).is_some_and(|resource| {
            resource.physical.is_some() && resource.status != ResourceStatus::DeleteComplete
        });
        let target = self.work.target.as_ref();
        let Some(declared) =
            target.and_then(|target| target.template.resource(logical)).filter(|_| !is_alive)
        else {
            return;
        };
        let mut resource = Resource::planned(logical, declared.kind, self.now);
        if let Some(desired) = desired {
            resource.take_on(desired.clone());
        }
        self.stack.resources.insert(logical.to_owned(), resource);
    }

    fn policy_denial(&self, logical: &str, action: &str) -> Option<String> {
        if self.work.origin.is_create {
            return None;
        }
        let kind = self.stack.resources.get(logical)?.kind;
        super::super::stack_policy::denial(
            self.stack.policy.as_deref()?,
            logical,
            kind.name,
            action,
        )
    }
}

/// Makes the scope of a definition's expressions.
pub(in crate::cloudformation) fn scope<'a>(
    definition: &'a Definition,
    pseudo: &'a super::super::template::Pseudo,
    lookup: &'a StackLookup<'a>,
) -> Scope<'a> {
    Scope { template: &definition.template, parameters: &definition.parameters, pseudo, lookup }
}

fn failed_status(job: &Job) -> ResourceStatus {
    match job {
        Job::Make(_) | Job::Apply => ResourceStatus::CreateFailed,
        _ => ResourceStatus::UpdateFailed,
    }
}
