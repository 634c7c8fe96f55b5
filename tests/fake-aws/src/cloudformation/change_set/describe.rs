//! Writes change sets as the API does.

use serde_json::Value;

use super::super::engine::OnFailure;
use super::super::kinds;
use super::super::template::scalar;
use super::ChangeSet;
use super::changes::{Change, Detail};
use crate::clock::iso_millis;
use crate::xml::Writer;

/// Which of the two forms of a description is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloudformation) enum Values {
    Without,
    /// With values and contexts. This form leaves out changes that only may happen.
    With,
}

/// Writes everything but the page token.
pub(in crate::cloudformation) fn describe(
    out: &mut Writer,
    set: &ChangeSet,
    values: Values,
    page: impl FnOnce(Vec<&Change>) -> Vec<&Change>,
) {
    identify(out, set);
    if let Some(definition) = &set.definition {
        out.nest("Parameters", |out| {
            for (key, value) in &definition.parameters {
                out.nest("member", |out| {
                    out.text("ParameterKey", key);
                    out.text("ParameterValue", value.shown());
                });
            }
        });
        out.nest("NotificationARNs", |out| {
            definition.notification_arns.iter().for_each(|arn| out.text("member", arn));
        });
        super::super::describe::rollback_configuration(out, &definition.rollback);
        out.nest("Capabilities", |out| {
            definition.capabilities.iter().for_each(|capability| out.text("member", capability));
        });
        super::super::describe::tags(out, &definition.tags);
    }
    let shown = page(
        set.changes
            .iter()
            .filter(|change| values == Values::Without || is_certain(change))
            .collect(),
    );
    out.nest("Changes", |out| {
        for change in shown {
            out.nest("member", |out| {
                out.text("Type", "Resource");
                out.nest("ResourceChange", |out| resource_change(out, change, values));
            });
        }
    });
    if let Some(on_failure) = set.on_stack_failure {
        out.text("OnStackFailure", on_failure.as_str());
    }
}

/// Writes what a list shows of a change set.
pub(in crate::cloudformation) fn summarise(out: &mut Writer, set: &ChangeSet) {
    identify(out, set);
}

fn identify(out: &mut Writer, set: &ChangeSet) {
    out.text("ChangeSetName", &set.name);
    out.text("ChangeSetId", &set.id);
    out.text("StackId", &set.stack.stack_id);
    out.text("StackName", &set.stack.stack_name);
    if let Some(description) = &set.description {
        out.text("Description", description);
    }
    out.text("CreationTime", &iso_millis(set.created));
    out.text("ExecutionStatus", set.execution.as_str());
    out.text("Status", set.status.as_str());
    if let Some(reason) = &set.reason {
        out.text("StatusReason", reason);
    }
    out.text("IncludeNestedStacks", if set.includes_nested { "true" } else { "false" });
    if set.imports_existing {
        out.text("ImportExistingResources", "true");
    }
    if let Some(parent) = &set.parent {
        out.text("ParentChangeSetId", parent);
    }
    if let Some(root) = &set.root {
        out.text("RootChangeSetId", root);
    }
}

impl OnFailure {
    pub(in crate::cloudformation) fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "ROLLBACK",
            Self::Delete => "DELETE",
            Self::DoNothing => "DO_NOTHING",
        }
    }
}

/// Tells whether a change is certain, or of a kind that is always shown.
fn is_certain(change: &Change) -> bool {
    change.action != "Modify"
        || change.kind == kinds::STACK
        || change.details.iter().any(|detail| !detail.is_dynamic)
}

fn resource_change(out: &mut Writer, change: &Change, values: Values) {
    if let Some(policy_action) = change.policy_action {
        out.text("PolicyAction", policy_action);
    }
    out.text("Action", change.action);
    out.text("LogicalResourceId", &change.logical);
    if let Some(physical) = &change.physical {
        out.text("PhysicalResourceId", physical);
    }
    out.text("ResourceType", change.kind);
    if let Some(replacement) = change.replacement {
        out.text("Replacement", replacement);
    }
    let mut scope: Vec<&str> = change.details.iter().map(|detail| detail.attribute).collect();
    scope.sort_unstable();
    scope.dedup();
    out.nest("Scope", |out| scope.iter().for_each(|attribute| out.text("member", attribute)));
    out.nest("Details", |out| {
        for detail in &change.details {
            write_detail(out, detail, values);
        }
    });
    if let Some(id) = &change.change_set {
        out.text("ChangeSetId", id);
    }
    if values == Values::With {
        for (name, context) in [("BeforeContext", &change.before), ("AfterContext", &change.after)]
        {
            if let Some(context) = context {
                out.text(name, &texts(context).to_string());
            }
        }
    }
}

fn write_detail(out: &mut Writer, detail: &Detail, values: Values) {
    if values == Values::With && !detail.leaves.is_empty() {
        for leaf in &detail.leaves {
            out.nest("member", |out| {
                out.nest("Target", |out| {
                    target(out, detail);
                    out.text("Path", &leaf.path);
                    if let Some(before) = &leaf.before {
                        out.text("BeforeValue", &value_text(before));
                    }
                    if let Some(after) = &leaf.after {
                        out.text("AfterValue", &value_text(after));
                    }
                    let kind = match (&leaf.before, &leaf.after) {
                        (None, _) => "Add",
                        (_, None) => "Remove",
                        _ => "Modify",
                    };
                    out.text("AttributeChangeType", kind);
                });
                source(out, detail);
            });
        }
        return;
    }
    out.nest("member", |out| {
        out.nest("Target", |out| target(out, detail));
        source(out, detail);
    });
    if values == Values::Without && detail.source == "ParameterReference" && !detail.is_dynamic {
        // The form without values also says that the property itself may have been edited.
        out.nest("member", |out| {
            out.nest("Target", |out| target(out, detail));
            out.text("Evaluation", "Dynamic");
            out.text("ChangeSource", "DirectModification");
        });
    }
}

fn target(out: &mut Writer, detail: &Detail) {
    out.text("Attribute", detail.attribute);
    if let Some(name) = &detail.name {
        out.text("Name", name);
    }
    out.text("RequiresRecreation", detail.recreation);
}

fn source(out: &mut Writer, detail: &Detail) {
    out.text("Evaluation", if detail.is_dynamic { "Dynamic" } else { "Static" });
    out.text("ChangeSource", detail.source);
    if let Some(cause) = &detail.cause {
        out.text("CausingEntity", cause);
    }
}

/// Writes scalars within a context as texts, as the service does.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), texts(member))).collect()
        }
        Value::Array(items) => items.iter().map(texts).collect(),
        other => Value::String(scalar(other)),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => texts(value).to_string(),
        other => scalar(other),
    }
}
