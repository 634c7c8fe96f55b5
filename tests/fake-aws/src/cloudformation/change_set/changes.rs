//! Compares a stack with a definition: what would be added, changed and removed, and why.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::difference::{self, Leaf};
use super::super::state::{Definition, Resource, Stack, State};
use super::super::template::{Declared, KNOWN_AFTER_APPLY, Reference, Scope, references};
use super::future::{Effect, Future};

/// A resource that would change.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cloudformation) struct Change {
    pub(super) action: &'static str,
    pub(super) logical: String,
    pub(super) physical: Option<String>,
    pub(super) kind: &'static str,
    pub(super) policy_action: Option<&'static str>,
    pub(super) replacement: Option<&'static str>,
    pub(super) details: Vec<Detail>,
    /// The nested change set, when there is one.
    pub(super) change_set: Option<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// A reason for a change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Detail {
    /// `Properties`, `Tags`, `Metadata`, `DeletionPolicy`, `UpdateReplacePolicy`.
    pub(super) attribute: &'static str,
    pub(super) name: Option<String>,
    pub(super) recreation: &'static str,
    pub(super) is_dynamic: bool,
    pub(super) source: &'static str,
    pub(super) cause: Option<String>,
    /// The values that differ, shown only on request.
    pub(super) leaves: Vec<Leaf>,
}

/// What would change.
#[derive(Debug, Clone)]
pub(in crate::cloudformation) struct Plan {
    pub(in crate::cloudformation) changes: Vec<Change>,
    /// Outputs, alarms or notifications change.
    pub(in crate::cloudformation) has_other_changes: bool,
}

/// Looks into the nested stack of a resource that is to have these properties.
pub(in crate::cloudformation) type LookInto<'a> =
    &'a mut dyn FnMut(&str, &Value, Option<&Resource>) -> Inside;

/// What is found in a nested stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloudformation) enum Inside {
    Changes,
    Nothing,
}

/// Compares. The error is the service's message.
pub(in crate::cloudformation) fn plan(
    state: &State,
    stack: &Stack,
    after: &Definition,
    look_into: LookInto<'_>,
) -> Result<Plan, String> {
    let wanted = wanted(state, stack, after)?;
    refuse_other_kinds(stack, after, &wanted)?;
    let mut effects = BTreeMap::new();
    let mut plan = Plan { changes: Vec::new(), has_other_changes: false };
    for resource in in_order(after, &wanted) {
        let future = Future { state, stack, wanted: &wanted, effects: &effects };
        let scope = Scope {
            template: &after.template,
            parameters: &after.parameters,
            pseudo: &stack.pseudo,
            lookup: &future,
        };
        let properties = scope.properties(&resource)?;
        let existing =
            stack.living().find(|old| old.logical == resource.logical && old.physical.is_some());
        let unsettled = unsettled_properties(&resource, &effects);
        let mut change = match existing {
            None => added(&resource, &properties),
            Some(old) => {
                let metadata =
                    resource.metadata().map(|value| scope.evaluate(value)).transpose()?.flatten();
                modified(stack, after, &resource, old, &properties, metadata, &unsettled)
            }
        };
        if resource.kind.is_stack() {
            let inside = with_placeholders(&resource, &properties, &effects);
            if look_into(resource.logical, &inside, existing) == Inside::Changes
                && change.action == "Modify"
            {
                change.details.push(automatic());
            }
        }
        let effect = match (existing, change.replacement) {
            (None, _) | (_, Some("True" | "Conditional")) => Effect::Replaced,
            _ if change.details.is_empty() => Effect::Same,
            _ => Effect::Modified,
        };
        effects.insert(resource.logical.to_owned(), effect);
        if change.action == "Add" || !change.details.is_empty() {
            plan.changes.push(change);
        }
    }
    for resource in stack.living().filter(|resource| !wanted.contains(&resource.logical)) {
        plan.changes.push(removed(resource));
    }
    plan.changes.sort_by(|left, right| left.logical.cmp(&right.logical));
    plan.has_other_changes = has_other_changes(state, stack, after, &wanted, &effects)?;
    Ok(plan)
}

fn wanted(state: &State, stack: &Stack, after: &Definition) -> Result<BTreeSet<String>, String> {
    let everything =
        after.template.resources().map(|resource| resource.logical.to_owned()).collect();
    let effects = BTreeMap::new();
    let future = Future { state, stack, wanted: &everything, effects: &effects };
    let scope = Scope {
        template: &after.template,
        parameters: &after.parameters,
        pseudo: &stack.pseudo,
        lookup: &future,
    };
    let mut wanted = BTreeSet::new();
    for resource in after.template.resources() {
        if scope.holds(resource.condition())? {
            wanted.insert(resource.logical.to_owned());
        }
    }
    Ok(wanted)
}

fn refuse_other_kinds(
    stack: &Stack,
    after: &Definition,
    wanted: &BTreeSet<String>,
) -> Result<(), String> {
    let others: Vec<&str> = stack
        .living()
        .filter(|old| wanted.contains(&old.logical))
        .filter(|old| {
            after.template.resource(&old.logical).is_some_and(|new| new.kind.name != old.kind.name)
        })
        .map(|old| old.logical.as_str())
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
        others.join(", ")
    ))
}

/// Returns the wanted resources, each after those that it needs.
fn in_order<'a>(after: &'a Definition, wanted: &BTreeSet<String>) -> Vec<Declared<'a>> {
    let mut left: Vec<Declared<'a>> =
        after.template.resources().filter(|resource| wanted.contains(resource.logical)).collect();
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let is_ready = |resource: &Declared<'_>| {
            resource
                .dependencies(&after.template)
                .iter()
                .all(|need| done.contains(need) || !wanted.contains(need))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(is_ready);
        left = rest;
        if ready.is_empty() {
            // Templates with circles are refused when they are read.
            break;
        }
        for resource in ready {
            done.insert(resource.logical.to_owned());
            ordered.push(resource);
        }
    }
    ordered
}

/// Returns the properties that refer to something unsettled, with what they refer to.
fn unsettled_properties(
    resource: &Declared<'_>,
    effects: &BTreeMap<String, Effect>,
) -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    for (name, value) in resource.properties().into_iter().flatten() {
        for reference in references(value) {
            if let Some((source, cause)) = unsettled(&reference, effects) {
                found.push((name.clone(), source, cause));
            }
        }
    }
    found
}

fn unsettled(
    reference: &Reference,
    effects: &BTreeMap<String, Effect>,
) -> Option<(&'static str, String)> {
    let effect = *effects.get(reference.name())?;
    match reference {
        Reference::Name(name) if effect == Effect::Replaced => {
            Some(("ResourceReference", name.clone()))
        }
        Reference::Attribute { resource, attribute, .. } if effect != Effect::Same => {
            Some(("ResourceAttribute", format!("{resource}.{attribute}")))
        }
        Reference::Name(_) | Reference::Attribute { .. } => None,
    }
}

/// Returns the properties of a nested stack in which parameters that are not settled are unknown.
fn with_placeholders(
    resource: &Declared<'_>,
    properties: &Value,
    effects: &BTreeMap<String, Effect>,
) -> Value {
    let mut properties = properties.clone();
    let declared =
        resource.properties().and_then(|all| all.get("Parameters")).and_then(Value::as_object);
    let Some(parameters) = properties.get_mut("Parameters").and_then(Value::as_object_mut) else {
        return properties;
    };
    for (name, value) in declared.into_iter().flatten() {
        if references(value).iter().any(|reference| unsettled(reference, effects).is_some()) {
            parameters.insert(name.clone(), Value::String(KNOWN_AFTER_APPLY.to_owned()));
        }
    }
    properties
}

fn added(resource: &Declared<'_>, properties: &Value) -> Change {
    Change {
        action: "Add",
        logical: resource.logical.to_owned(),
        physical: None,
        kind: resource.kind.name,
        policy_action: None,
        replacement: None,
        details: Vec::new(),
        change_set: None,
        before: None,
        after: Some(context(properties, None)),
    }
}

fn removed(resource: &Resource) -> Change {
    Change {
        action: "Remove",
        logical: resource.logical.clone(),
        physical: resource.physical.clone(),
        kind: resource.kind.name,
        policy_action: Some(match resource.deletion_policy.as_str() {
            "Retain" | "RetainExceptOnCreate" => "Retain",
            "Snapshot" => "Snapshot",
            _ => "Delete",
        }),
        replacement: None,
        details: Vec::new(),
        change_set: None,
        before: Some(context(&resource.properties, resource.metadata.as_ref())),
        after: None,
    }
}

fn modified(
    stack: &Stack,
    after: &Definition,
    resource: &Declared<'_>,
    old: &Resource,
    properties: &Value,
    metadata: Option<Value>,
    unsettled: &[(String, &'static str, String)],
) -> Change {
    let mut details = Vec::new();
    let changed = difference::changed(&old.properties, properties);
    for name in &changed {
        details.extend(property_details(stack, after, resource, old, properties, name, unsettled));
    }
    for (name, source, cause) in unsettled.iter().filter(|(name, _, _)| !changed.contains(name)) {
        details.push(Detail {
            recreation: recreation(resource, name),
            is_dynamic: true,
            source,
            cause: Some(cause.clone()),
            ..Detail::of_property(name)
        });
    }
    let mut whole = |attribute: &'static str, before: Option<Value>, after: Option<Value>| {
        let leaves = difference::leaves(&format!("/{attribute}"), before.as_ref(), after.as_ref());
        if !leaves.is_empty() {
            details.push(Detail { attribute, name: None, leaves, ..Detail::of_property("") });
        }
    };
    if old.kind.is_taggable {
        whole("Tags", Some(tags(&old.tags)), Some(tags(&after.tags)));
    }
    whole("Metadata", old.metadata.clone(), metadata.clone());
    whole(
        "DeletionPolicy",
        Some(old.deletion_policy.clone().into()),
        Some(resource.deletion_policy().into()),
    );
    whole(
        "UpdateReplacePolicy",
        Some(old.replace_policy.clone().into()),
        Some(resource.update_replace_policy().into()),
    );
    let is_always = |detail: &&Detail| detail.recreation == "Always";
    let replacement = if details.iter().filter(is_always).any(|detail| !detail.is_dynamic) {
        "True"
    } else if details.iter().any(|detail| is_always(&detail)) {
        "Conditional"
    } else {
        "False"
    };
    Change {
        action: "Modify",
        logical: resource.logical.to_owned(),
        physical: old.physical.clone(),
        kind: resource.kind.name,
        policy_action: (replacement == "True").then_some(match old.replace_policy.as_str() {
            "Retain" => "ReplaceAndRetain",
            "Snapshot" => "ReplaceAndSnapshot",
            _ => "ReplaceAndDelete",
        }),
        replacement: Some(replacement),
        details,
        change_set: None,
        before: Some(context(&old.properties, old.metadata.as_ref())),
        after: Some(context(properties, metadata.as_ref())),
    }
}

/// Says why one property differs.
fn property_details(
    stack: &Stack,
    after: &Definition,
    resource: &Declared<'_>,
    old: &Resource,
    properties: &Value,
    name: &str,
    unsettled: &[(String, &'static str, String)],
) -> Vec<Detail> {
    let leaves = difference::leaves(
        &format!("/Properties/{name}"),
        old.properties.get(name),
        properties.get(name),
    );
    let base =
        Detail { recreation: recreation(resource, name), leaves, ..Detail::of_property(name) };
    if let Some((_, source, cause)) = unsettled.iter().find(|(own, _, _)| own == name) {
        return vec![Detail { is_dynamic: true, source, cause: Some(cause.clone()), ..base }];
    }
    let written = resource.properties().and_then(|all| all.get(name));
    let before = stack.definition.as_ref();
    let was_written = before
        .and_then(|before| before.template.resource(resource.logical))
        .and_then(|declared| declared.properties())
        .and_then(|all| all.get(name));
    let causes: Vec<String> = written
        .map(references)
        .unwrap_or_default()
        .iter()
        .map(Reference::name)
        .filter(|parameter| {
            let value = after.parameters.get(*parameter);
            value.is_some() && before.and_then(|before| before.parameters.get(*parameter)) != value
        })
        .map(str::to_owned)
        .collect();
    if written != was_written || causes.is_empty() {
        return vec![base];
    }
    causes
        .into_iter()
        .map(|cause| {
            let value = after.parameters.get(&cause);
            let is_dynamic = value.is_some_and(|value| value.is_unknown());
            Detail { is_dynamic, source: "ParameterReference", cause: Some(cause), ..base.clone() }
        })
        .collect()
}

impl Change {
    pub(in crate::cloudformation) fn logical_id(&self) -> &str {
        &self.logical
    }

    pub(in crate::cloudformation) fn kind_name(&self) -> &'static str {
        self.kind
    }

    pub(in crate::cloudformation) fn action_name(&self) -> &'static str {
        self.action
    }
}

impl Detail {
    fn of_property(name: &str) -> Self {
        Self {
            attribute: "Properties",
            name: Some(name.to_owned()),
            recreation: "Never",
            is_dynamic: false,
            source: "DirectModification",
            cause: None,
            leaves: Vec::new(),
        }
    }
}

/// The reason that CloudFormation gives for listing a nested stack.
fn automatic() -> Detail {
    Detail { name: None, is_dynamic: true, source: "Automatic", ..Detail::of_property("") }
}

fn recreation(resource: &Declared<'_>, name: &str) -> &'static str {
    if resource.kind.create_only.contains(&name) { "Always" } else { "Never" }
}

fn tags(tags: &[(String, String)]) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn context(properties: &Value, metadata: Option<&Value>) -> Value {
    let mut context = Map::new();
    context.insert("Properties".to_owned(), properties.clone());
    if let Some(metadata) = metadata {
        context.insert("Metadata".to_owned(), metadata.clone());
    }
    Value::Object(context)
}

fn has_other_changes(
    state: &State,
    stack: &Stack,
    after: &Definition,
    wanted: &BTreeSet<String>,
    effects: &BTreeMap<String, Effect>,
) -> Result<bool, String> {
    let Some(before) = &stack.definition else {
        return Ok(true);
    };
    if before.rollback != after.rollback || before.notification_arns != after.notification_arns {
        return Ok(true);
    }
    let future = Future { state, stack, wanted, effects };
    let scope = Scope {
        template: &after.template,
        parameters: &after.parameters,
        pseudo: &stack.pseudo,
        lookup: &future,
    };
    let mut outputs = BTreeMap::new();
    for (key, declared) in after.template.section("Outputs") {
        if scope.holds(declared.get("Condition").and_then(Value::as_str))? {
            let value =
                declared.get("Value").map(|value| scope.evaluate(value)).transpose()?.flatten();
            let export = declared.get("Export").and_then(|export| export.get("Name"));
            let export = export.map(|name| scope.evaluate(name)).transpose()?.flatten();
            let text = |value: Option<Value>| value.as_ref().map(super::super::template::scalar);
            outputs.insert(key.clone(), (text(value), text(export)));
        }
    }
    let present: BTreeMap<_, _> = stack
        .outputs
        .iter()
        .map(|output| (output.key.clone(), (Some(output.value.clone()), output.export.clone())))
        .collect();
    Ok(outputs != present)
}
