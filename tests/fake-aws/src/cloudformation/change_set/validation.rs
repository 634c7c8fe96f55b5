//! Early validation: what the service finds wrong before it touches anything.
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html>.

use std::collections::BTreeSet;

use super::super::events::{Cause, Class, Event, HookFacts, ValidationFacts};
use super::super::kinds::{self, Complaint};
use super::super::plans::{HookMode, HookTarget};
use super::super::settings::EarlyValidation;
use super::super::state::State;
use super::super::template::KNOWN_AFTER_APPLY;
use super::super::world::{Item, World};
use super::ChangeSet;
use super::changes::Change;
use crate::clock::Millis;

const PROPERTIES: &str = "AWS::EarlyValidation::PropertyValidation";
const EXISTENCE: &str = "AWS::EarlyValidation::ResourceExistenceCheck";

impl State {
    /// Checks a change set, keeps what is found as its events, and returns the checks that failed.
    pub(super) fn validate_early(
        &mut self,
        world: &dyn World,
        set: &mut ChangeSet,
        wanted: EarlyValidation,
        cause: &Cause,
        now: Millis,
    ) -> Vec<String> {
        let mut failed = BTreeSet::new();
        let is_on =
            wanted == EarlyValidation::On && self.settings.early_validation == EarlyValidation::On;
        let changes = if is_on { set.changes.clone() } else { Vec::new() };
        for change in &changes {
            for (check, facts) in self.findings(world, set, change, now) {
                if facts.mode == HookMode::Fail {
                    failed.insert(check.to_owned());
                }
                let event =
                    self.finding_event(set, Some(change), Class::Validation(facts), cause, now);
                set.events.push(event);
            }
        }
        let target = HookTarget::ChangeSet(set.stack.stack_name.clone());
        let hooks: Vec<_> =
            self.hooks.iter().filter(|hook| hook.target == target).cloned().collect();
        for hook in hooks {
            if hook.mode == HookMode::Fail {
                failed.insert(hook.type_name.clone());
            }
            let facts = HookFacts {
                type_name: hook.type_name,
                invocation: self.random.uuid(),
                reason: hook.reason,
                mode: hook.mode,
            };
            let event = self.finding_event(set, None, Class::Hook(facts), cause, now);
            set.events.push(event);
        }
        failed.into_iter().collect()
    }

    fn findings(
        &self,
        world: &dyn World,
        set: &ChangeSet,
        change: &Change,
        now: Millis,
    ) -> Vec<(&'static str, ValidationFacts)> {
        let Some(kind) = kinds::find(change.kind) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let properties = change.after.as_ref().and_then(|after| after.get("Properties")).cloned();
        if let Some(properties) = &properties {
            let path = format!("/Resources/{}/Properties", change.logical);
            for complaint in kind.complaints(properties) {
                let (reason, path) = match complaint {
                    Complaint::Missing(name) => {
                        (format!("Required property [{name}] not found"), path.clone())
                    }
                    Complaint::Unsupported(name) => {
                        (format!("Unsupported property [{name}]"), format!("{path}/{name}"))
                    }
                };
                found
                    .push((PROPERTIES, facts("PROPERTY_VALIDATION", reason, path, HookMode::Fail)));
            }
            let is_new = change.action == "Add" || change.replacement == Some("True");
            let name = kind
                .own_name(properties)
                .filter(|name| is_new && !name.contains(KNOWN_AFTER_APPLY));
            if let Some(name) = name {
                let item = Item {
                    pseudo: &set.stack,
                    kind,
                    name: &name,
                    physical: &name,
                    properties,
                    now,
                };
                let is_taken =
                    self.names.taken(kind, &name, &set.stack).is_some() || world.exists(&item);
                if is_taken && !self.names.is_own(kind, &name, &set.stack) {
                    let reason = format!(
                        "Resource of type '{}' with identifier '{name}' already exists.",
                        kind.name
                    );
                    let property = kind.name_property.unwrap_or_default();
                    let path = format!("{path}/{property}");
                    found.push((
                        EXISTENCE,
                        facts("NAME_CONFLICT_VALIDATION", reason, path, HookMode::Fail),
                    ));
                }
            }
        }
        found
    }

    fn finding_event(
        &mut self,
        set: &ChangeSet,
        change: Option<&Change>,
        class: Class,
        cause: &Cause,
        now: Millis,
    ) -> Event {
        let is_about_resource = change.is_some();
        Event {
            id: self.random.uuid(),
            sequence: self.next_sequence(),
            at: now,
            logical: change
                .map_or_else(|| set.stack.stack_name.clone(), |change| change.logical.clone()),
            physical: change.and_then(|change| change.physical.clone()).unwrap_or_default(),
            kind: change.map_or(kinds::STACK, |change| change.kind).to_owned(),
            status: String::new(),
            reason: None,
            properties: change.and_then(|change| change.after.as_ref()?.get("Properties").cloned()),
            token: cause.token.clone(),
            operation: cause.operation.clone(),
            detailed: is_about_resource.then_some("VALIDATION_FAILED"),
            class,
            change_set: Some(set.id.clone()),
        }
    }
}

fn facts(name: &str, reason: String, path: String, mode: HookMode) -> ValidationFacts {
    ValidationFacts { name: name.to_owned(), reason, path, mode }
}
