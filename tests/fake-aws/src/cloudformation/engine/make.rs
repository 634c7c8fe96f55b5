//! One resource: naming it, making it, changing it, taking it over.

use super::super::events::HookFacts;
use super::super::ids;
use super::super::kinds::Complaint;
use super::super::names::Taken;
use super::super::plans::{HookMode, HookTarget};
use super::super::refusals;
use super::super::state::Resource;
use super::super::status::ResourceStatus;
use super::super::world::{Item, Refusal};
use super::bench::Bench;
use super::{Desired, TaskState};

impl Bench<'_> {
    pub(super) fn change(&mut self, logical: &str, desired: Desired) -> Result<TaskState, String> {
        let Some(mut resource) = self.stack.resources.get(logical).cloned() else {
            return Ok(TaskState::Settled);
        };
        resource.take_on(desired);
        let physical = resource.physical.clone().unwrap_or_default();
        let updated = self.world.update(&self.item(&resource, &physical));
        updated.map_err(|refusal| {
            refusals::refusal(&mut self.state.random, resource.kind, &resource.name, &refusal)
        })?;
        self.stack.resources.insert(logical.to_owned(), resource);
        Ok(TaskState::Configured)
    }

    pub(super) fn make(
        &mut self,
        logical: &str,
        desired: Desired,
        is_replacement: bool,
    ) -> Result<TaskState, String> {
        let Some(old) = self.stack.resources.get(logical).cloned() else {
            return Ok(TaskState::Settled);
        };
        let mut resource = old.clone();
        resource.take_on(desired);
        let own_name = resource.kind.own_name(&resource.properties);
        if is_replacement && own_name.as_ref() == Some(&old.name) {
            return Err(format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {} and update the stack again.",
                old.name
            ));
        }
        resource.id = self.state.random.id(12);
        resource.name = own_name.unwrap_or_else(|| self.generated_name(&resource));
        let physical = self.physical(&mut resource);
        let kind = resource.kind;
        if self.work.imports_existing && self.adopts(&resource) {
            return Ok(self.adopt(logical, resource, physical));
        }
        if let Some(taken) = self.state.names.taken(kind, &resource.name, &self.stack.pseudo) {
            return Err(refusals::taken(&mut self.state.random, kind, &resource.name, &taken));
        }
        let made = self.world.create(&self.item(&resource, &physical));
        let made = made.map_err(|refusal| {
            let random = &mut self.state.random;
            match refusal {
                Refusal::AlreadyExists => {
                    refusals::taken(random, kind, &resource.name, &Taken::InAccount)
                }
                Refusal::AlreadyExistsElsewhere => {
                    refusals::taken(random, kind, &resource.name, &Taken::ByOthers)
                }
                other => refusals::refusal(random, kind, &resource.name, &other),
            }
        })?;
        self.state.names.take(kind, &resource.name, &self.stack.pseudo);
        resource.physical = Some(made.unwrap_or(physical));
        if is_replacement {
            self.work.garbage.push(old);
        }
        self.stack.resources.insert(logical.to_owned(), resource);
        let status = if is_replacement {
            ResourceStatus::UpdateInProgress
        } else {
            ResourceStatus::CreateInProgress
        };
        self.report_resource(logical, status, Some("Resource creation Initiated".to_owned()));
        Ok(TaskState::InEffect)
    }

    fn adopts(&self, resource: &Resource) -> bool {
        let declared = self
            .work
            .target
            .as_ref()
            .and_then(|target| target.template.resource(&resource.logical));
        declared.is_some_and(|declared| {
            let (state, pseudo) = (&*self.state, &self.stack.pseudo);
            state.is_adoptable(
                self.world,
                &declared,
                &resource.name,
                &resource.properties,
                pseudo,
                self.now,
            )
        })
    }

    /// Takes over a resource that exists already.
    fn adopt(&mut self, logical: &str, mut resource: Resource, physical: String) -> TaskState {
        self.state.names.take(resource.kind, &resource.name, &self.stack.pseudo);
        resource.physical = Some(physical);
        self.stack.resources.insert(logical.to_owned(), resource);
        for (status, reason) in [
            (ResourceStatus::ImportInProgress, "Resource import started."),
            (ResourceStatus::ImportComplete, "Resource import completed."),
        ] {
            self.report_resource(logical, status, Some(reason.to_owned()));
        }
        TaskState::Settled
    }

    pub(super) fn invoke_hooks(&mut self, logical: &str) -> Result<(), String> {
        let target = HookTarget::Resource(logical.to_owned());
        let hooks: Vec<_> =
            self.state.hooks.iter().filter(|hook| hook.target == target).cloned().collect();
        let mut failed = Vec::new();
        for hook in hooks {
            let facts = HookFacts {
                type_name: hook.type_name.clone(),
                invocation: self.state.random.uuid(),
                reason: hook.reason,
                mode: hook.mode,
            };
            if let Some(resource) = self.stack.resources.get(logical).cloned() {
                let cause = self.cause();
                self.state.report_hook(&mut self.stack, &cause, &resource, facts, self.now);
            }
            if hook.mode == HookMode::Fail {
                failed.push(hook.type_name);
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        Err(format!("The following hook(s) failed: [{}]", failed.join(", ")))
    }

    pub(super) fn item<'i>(&'i self, resource: &'i Resource, physical: &'i str) -> Item<'i> {
        Item {
            pseudo: &self.stack.pseudo,
            kind: resource.kind,
            name: &resource.name,
            physical,
            properties: &resource.properties,
            now: self.now,
        }
    }

    /// Returns a name like those that CloudFormation makes up.
    fn generated_name(&self, resource: &Resource) -> String {
        ids::generated_name(&self.stack.pseudo.stack_name, resource)
    }

    fn physical(&mut self, resource: &mut Resource) -> String {
        let uuid = self.state.random.uuid();
        let mut filling = resource.filling(&self.stack.pseudo, "");
        let id = format!("{}-{}-{}", self.stack.pseudo.stack_name, resource.logical, resource.id);
        filling.uuid = &uuid;
        filling.id = &id;
        resource.kind.physical(&filling)
    }
}

impl Resource {
    pub(super) fn take_on(&mut self, desired: Desired) {
        self.properties = desired.properties;
        self.metadata = desired.metadata;
        self.deletion_policy = desired.deletion_policy;
        self.replace_policy = desired.replace_policy;
        self.tags = desired.tags;
        self.needs = desired.needs;
        self.live = None;
    }
}

/// Refuses properties that are missing or unknown, in the words of the service's schema check.
pub(super) fn refuse_complaints(logical: &str, complaints: &[Complaint]) -> Result<(), String> {
    if complaints.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = complaints
        .iter()
        .map(|complaint| match complaint {
            Complaint::Missing(name) => format!("#: required key [{name}] not found"),
            Complaint::Unsupported(name) => format!("#: extraneous key [{name}] is not permitted"),
        })
        .collect();
    Err(format!(
        "Properties validation failed for resource {logical} with message:\n{}",
        lines.join("\n")
    ))
}
