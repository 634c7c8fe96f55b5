//! Outputs, and the exports and imports between the stacks of a region.

use std::collections::BTreeSet;

use serde_json::Value;

use super::engine::StackLookup;
use super::engine::scope;
use super::state::{Definition, Output, Stack, State};
use super::status::StackStatus;
use super::template::scalar;

impl State {
    /// Returns the exports of a region, with the stacks that have them.
    pub(super) fn exports<'a>(
        &'a self,
        account: &str,
        region: &str,
    ) -> impl Iterator<Item = (&'a Stack, &'a Output)> {
        let (account, region) = (account.to_owned(), region.to_owned());
        self.stacks
            .values()
            .filter(move |stack| {
                stack.pseudo.account == account
                    && stack.pseudo.region == region
                    && stack.status != StackStatus::DeleteComplete
            })
            .flat_map(|stack| stack.outputs.iter().map(move |output| (stack, output)))
            .filter(|(_, output)| output.export.is_some())
    }

    /// Works out the outputs of a stack that is to have this definition.
    pub(super) fn outputs(
        &self,
        stack: &Stack,
        definition: &Definition,
    ) -> Result<Vec<Output>, String> {
        let lookup = StackLookup { state: self, stack };
        let scope = scope(definition, &stack.pseudo, &lookup);
        let mut outputs = Vec::new();
        for (key, declared) in definition.template.section("Outputs") {
            if !scope.holds(declared.get("Condition").and_then(Value::as_str))? {
                continue;
            }
            let evaluate = |value: Option<&Value>| -> Result<Option<Value>, String> {
                value.map_or(Ok(None), |value| scope.evaluate(value))
            };
            let value = match evaluate(declared.get("Value"))? {
                Some(value) if !value.is_object() && !value.is_array() => scalar(&value),
                _ => {
                    return Err(format!(
                        "Template format error: Output {key} is malformed. The Value field of every Outputs member must evaluate to a String."
                    ));
                }
            };
            let export = evaluate(declared.get("Export").and_then(|export| export.get("Name")))?;
            if export.is_some() && value.is_empty() {
                return Err(format!(
                    "Cannot export output {key}. Exported values must not be empty or whitespace-only"
                ));
            }
            outputs.push(Output {
                key: key.clone(),
                value,
                description: declared.get("Description").and_then(Value::as_str).map(str::to_owned),
                export: export.as_ref().map(scalar),
            });
        }
        Ok(outputs)
    }

    /// Refuses exports that another stack has, and changes of exports that others use.
    pub(super) fn check_exports(&self, stack: &Stack, outputs: &[Output]) -> Result<(), String> {
        let (account, region) = (&stack.pseudo.account, &stack.pseudo.region);
        for name in outputs.iter().filter_map(|output| output.export.as_deref()) {
            let taken = self
                .exports(account, region)
                .find(|(_, other)| other.export.as_deref() == Some(name));
            if let Some((owner, _)) = taken {
                return Err(format!(
                    "Export with name {name} is already exported by stack {}",
                    owner.name()
                ));
            }
        }
        for before in &stack.outputs {
            let Some(name) = before.export.as_deref() else {
                continue;
            };
            let users = self.importers(stack, name);
            let after = outputs.iter().find(|output| output.export.as_deref() == Some(name));
            if users.is_empty() || after.is_some_and(|after| after.value == before.value) {
                continue;
            }
            let verb = if after.is_some() { "updated" } else { "deleted" };
            return Err(format!(
                "Export {name} cannot be {verb} as it is in use by {}",
                users.join(", ")
            ));
        }
        Ok(())
    }

    /// Says which export keeps a stack from being deleted.
    pub(super) fn export_in_use(&self, stack: &Stack) -> Option<String> {
        stack.outputs.iter().filter_map(|output| output.export.as_deref()).find_map(|name| {
            let users = self.importers(stack, name);
            (!users.is_empty()).then(|| {
                format!("Export {name} cannot be deleted as it is in use by {}", users.join(", "))
            })
        })
    }

    /// Returns the names of the other stacks of the region that import this.
    pub(super) fn importers(&self, exporter: &Stack, export: &str) -> Vec<String> {
        self.stacks
            .values()
            .filter(|stack| {
                stack.id() != exporter.id()
                    && stack.pseudo.account == exporter.pseudo.account
                    && stack.pseudo.region == exporter.pseudo.region
                    && stack.living().next().is_some()
                    && self.imports(stack).contains(export)
            })
            .map(|stack| stack.name().to_owned())
            .collect()
    }

    fn imports(&self, stack: &Stack) -> BTreeSet<String> {
        let Some(definition) = &stack.definition else {
            return BTreeSet::new();
        };
        let mut names = Vec::new();
        for section in ["Resources", "Outputs"] {
            definition
                .template
                .section(section)
                .values()
                .for_each(|member| collect(member, &mut names));
        }
        let lookup = StackLookup { state: self, stack };
        let scope = scope(definition, &stack.pseudo, &lookup);
        names
            .into_iter()
            .filter_map(|name| scope.evaluate(name).ok().flatten())
            .map(|name| scalar(&name))
            .collect()
    }
}

fn collect<'a>(value: &'a Value, names: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(members) => {
            names.extend(members.get("Fn::ImportValue"));
            members.values().for_each(|member| collect(member, names));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
