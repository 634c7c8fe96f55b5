//! Reads change sets: the SDK's many optional fields into [`ResourceChange`].

use aws_sdk_cloudformation::types as sdk;

use super::{cloudformation::ChangeSetState, fault::is_empty_change_set};
use crate::deploy::change::{Action, Certainty, Fate, PropertyChange, Replacement, ResourceChange};

/// Which form of a change set is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Without the values of properties.
    Names,
    /// With them.
    Values,
}

/// A change before its place in the tree of stacks is known.
#[derive(Debug, Clone)]
pub(super) struct RawChange {
    pub(super) logical_id: String,
    pub(super) nested_change_set: Option<String>,
    change: ResourceChange,
}

impl RawChange {
    /// Gives the change its path.
    pub(super) fn at(self, path: String) -> ResourceChange {
        ResourceChange { path, ..self.change }
    }
}

pub(super) fn state(
    status: Option<&sdk::ChangeSetStatus>,
    reason: Option<String>,
) -> ChangeSetState {
    use sdk::ChangeSetStatus as Status;
    match status {
        Some(Status::CreateComplete) => ChangeSetState::Ready,
        Some(
            Status::Failed
            | Status::DeleteComplete
            | Status::DeleteFailed
            | Status::DeleteInProgress,
        ) => match reason {
            Some(reason) if is_empty_change_set(&reason) => ChangeSetState::Empty,
            Some(reason) => ChangeSetState::Failed(reason),
            None => ChangeSetState::Failed("CloudFormation gave no reason".to_owned()),
        },
        _ => ChangeSetState::Pending,
    }
}

pub(super) fn read(change: sdk::Change) -> Option<RawChange> {
    let resource = change.resource_change?;
    let action = match resource.action? {
        sdk::ChangeAction::Add => Action::Add,
        sdk::ChangeAction::Modify => Action::Modify,
        sdk::ChangeAction::Remove => Action::Remove,
        sdk::ChangeAction::Import => Action::Import,
        _ => Action::Dynamic,
    };
    let replacement = match (&resource.replacement, action) {
        (Some(sdk::Replacement::True), _) => Replacement::Yes,
        (Some(sdk::Replacement::Conditional), _) => Replacement::Maybe,
        (Some(sdk::Replacement::False), _) | (_, Action::Add | Action::Remove | Action::Import) => {
            Replacement::No
        }
        _ => Replacement::Unknown,
    };
    let fate = match resource.policy_action {
        Some(sdk::PolicyAction::Delete | sdk::PolicyAction::ReplaceAndDelete) => {
            Some(Fate::Deleted)
        }
        Some(sdk::PolicyAction::Retain | sdk::PolicyAction::ReplaceAndRetain) => {
            Some(Fate::Retained)
        }
        Some(sdk::PolicyAction::Snapshot | sdk::PolicyAction::ReplaceAndSnapshot) => {
            Some(Fate::Snapshotted)
        }
        _ => None,
    };
    let mut properties: Vec<PropertyChange> =
        resource.details.unwrap_or_default().into_iter().filter_map(property).collect();
    properties.sort_by(|a, b| a.path.cmp(&b.path));
    properties.dedup_by(|a, b| {
        // CloudFormation lists a property once for each reason that changes it.
        let same = a.path == b.path;
        if same {
            b.before = b.before.take().or(a.before.take());
            b.after = b.after.take().or(a.after.take());
            if a.certainty == Certainty::Certain {
                b.certainty = Certainty::Certain;
            }
        }
        same
    });
    let logical_id = resource.logical_resource_id.unwrap_or_default();
    let change = ResourceChange {
        path: logical_id.clone(),
        resource_type: resource.resource_type.unwrap_or_default(),
        action,
        replacement,
        fate,
        physical_id: resource.physical_resource_id.filter(|id| !id.is_empty()),
        properties,
    };
    Some(RawChange { logical_id, nested_change_set: resource.change_set_id, change })
}

fn property(detail: sdk::ResourceChangeDetail) -> Option<PropertyChange> {
    if detail.change_source == Some(sdk::ChangeSource::NoModification) {
        return None;
    }
    let certainty = match detail.evaluation {
        Some(sdk::EvaluationType::Dynamic) => Certainty::Possible,
        _ => Certainty::Certain,
    };
    let target = detail.target?;
    let attribute =
        target.attribute.as_ref().map_or("Properties", sdk::ResourceAttribute::as_str).to_owned();
    if target.attribute == Some(sdk::ResourceAttribute::Tags) {
        // A list by position tells nobody which tag changes; the plan has the stack's tags anyway.
        return Some(PropertyChange { path: attribute, before: None, after: None, certainty });
    }
    let path = match (target.path.filter(|path| !path.is_empty()), target.name) {
        (Some(path), _) => path.trim_start_matches('/').replace('/', "."),
        (None, Some(name)) => format!("{attribute}.{name}"),
        (None, None) => attribute,
    };
    Some(PropertyChange { path, before: target.before_value, after: target.after_value, certainty })
}

/// Puts the two forms of one change set together: nothing that either of them names is lost.
pub(super) fn merge(plain: Vec<RawChange>, valued: Vec<RawChange>) -> Vec<RawChange> {
    let mut merged = valued;
    for change in plain {
        let Some(known) = merged.iter_mut().find(|known| known.logical_id == change.logical_id)
        else {
            merged.push(change);
            continue;
        };
        known.nested_change_set = known.nested_change_set.take().or(change.nested_change_set);
        known.change.fate = known.change.fate.or(change.change.fate);
        known.change.replacement = known.change.replacement.max_known(change.change.replacement);
        for property in change.change.properties {
            let covered = known.change.properties.iter().any(|known| {
                known.path == property.path
                    || known.path.starts_with(&format!("{}.", property.path))
            });
            if !covered {
                known.change.properties.push(property);
            }
        }
    }
    merged
}

impl Replacement {
    /// Returns the more alarming of two answers to the same question.
    fn max_known(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (one, other) => one.max(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(logical_id: &str, properties: &[&str]) -> RawChange {
        let details = properties.iter().map(|path| {
            sdk::ResourceChangeDetail::builder()
                .target(
                    sdk::ResourceTargetDefinition::builder()
                        .path(format!("/Properties/{path}"))
                        .build(),
                )
                .build()
        });
        let resource = sdk::ResourceChange::builder()
            .logical_resource_id(logical_id)
            .action(sdk::ChangeAction::Modify)
            .set_details(Some(details.collect()));
        read(sdk::Change::builder().resource_change(resource.build()).build()).expect("a change")
    }

    #[test]
    fn neither_form_of_a_change_set_hides_a_change() {
        let merged = merge(
            vec![raw("A", &["X"]), raw("B", &["Y"])],
            vec![raw("A", &["X.Inner"]), raw("C", &["Z"])],
        );
        let seen: Vec<(String, Vec<String>)> = merged
            .into_iter()
            .map(|c| {
                (c.logical_id.clone(), c.change.properties.into_iter().map(|p| p.path).collect())
            })
            .collect();
        let expected = [("A", "Properties.X.Inner"), ("C", "Properties.Z"), ("B", "Properties.Y")]
            .map(|(name, path)| (name.to_owned(), vec![path.to_owned()]));
        assert_eq!(seen, expected);
    }

    #[test]
    fn changes_that_change_nothing_are_left_out() {
        let detail = sdk::ResourceChangeDetail::builder()
            .change_source(sdk::ChangeSource::NoModification)
            .target(sdk::ResourceTargetDefinition::builder().name("X").build())
            .build();
        assert_eq!(property(detail), None);
    }
}
