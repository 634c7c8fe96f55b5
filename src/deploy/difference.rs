//! Compares two evaluated templates: what changes, property by property. Pure, and good enough to plan by without a
//! single write to AWS; the change set that a deployment makes has the last word.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    change::{Action, Certainty, Fate, PropertyChange, Replacement, ResourceChange},
    stack::NESTED_STACK_TYPE,
};

/// Resources by logical id, as `template::evaluate` returns them.
pub type Resources = BTreeMap<String, Value>;

/// Returns how `before` becomes `after`. Paths start with `parent`, the nested stacks that lead here.
///
/// Nested stacks themselves are left out where both sides have them: what changes in them is their resources.
pub fn difference(parent: &str, before: &Resources, after: &Resources) -> Vec<ResourceChange> {
    let mut changes = Vec::new();
    let path =
        |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
    for (name, resource) in before {
        if !after.contains_key(name) {
            changes.push(change(path(name), resource, Action::Remove, Some(fate(resource))));
        }
    }
    for (name, resource) in after {
        match before.get(name) {
            None => changes.push(change(path(name), resource, Action::Add, None)),
            Some(old) if old == resource || kind(resource) == NESTED_STACK_TYPE => {}
            Some(old) => changes.extend(modification(path(name), old, resource)),
        }
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn modification(path: String, before: &Value, after: &Value) -> Option<ResourceChange> {
    if kind(before) != kind(after) {
        let mut replaced = change(path, after, Action::Modify, Some(fate(before)));
        replaced.replacement = Replacement::Yes;
        replaced.properties.push(property("Type", before.get("Type"), after.get("Type")));
        return Some(replaced);
    }
    let mut properties = Vec::new();
    for section in ["Properties", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"] {
        compare(section, before.get(section), after.get(section), &mut properties);
    }
    // Names for people and notes for linters change nothing in AWS.
    properties.retain(|property| !property.path.starts_with("Metadata"));
    if properties.is_empty() {
        return None;
    }
    let replaces = properties.iter().any(|property| needs_replacement(kind(after), &property.path));
    let mut modified = change(path, after, Action::Modify, None);
    modified.replacement = if replaces { Replacement::Yes } else { Replacement::No };
    if replaces {
        modified.fate = Some(replaced_fate(before));
    }
    modified.properties = properties;
    Some(modified)
}

/// Collects the differences below `path`.
fn compare(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<PropertyChange>,
) {
    if before == after {
        return;
    }
    let function = |value: Option<&Value>| {
        value.and_then(Value::as_object).is_some_and(|object| {
            object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
        })
    };
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new)))
            if !function(before) && !function(after) =>
        {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                compare(&format!("{path}.{name}"), old.get(name), new.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            let (Some(old), Some(new)) = (by_name(old), by_name(new)) else {
                found.push(property(path, before, after));
                return;
            };
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                compare(
                    &format!("{path}[{name}]"),
                    old.get(name).copied(),
                    new.get(name).copied(),
                    found,
                );
            }
        }
        _ => found.push(property(path, before, after)),
    }
}

fn property(path: &str, before: Option<&Value>, after: Option<&Value>) -> PropertyChange {
    PropertyChange {
        path: path.to_owned(),
        before: before.map(text),
        after: after.map(text),
        certainty: Certainty::Certain,
    }
}

/// Returns the items of a list by what identifies them, or by position; `None` if they are no objects.
fn by_name(items: &[Value]) -> Option<BTreeMap<String, &Value>> {
    const NAMES: [&str; 6] = ["Key", "Id", "Sid", "AttributeName", "PolicyName", "Name"];
    if !items.iter().all(Value::is_object) {
        return None;
    }
    let named = NAMES.into_iter().find_map(|key| {
        let named: Option<BTreeMap<String, &Value>> =
            items.iter().map(|item| Some((item.get(key)?.as_str()?.to_owned(), item))).collect();
        named.filter(|named| named.len() == items.len())
    });
    Some(named.unwrap_or_else(|| {
        items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect()
    }))
}

fn change(path: String, resource: &Value, action: Action, fate: Option<Fate>) -> ResourceChange {
    ResourceChange {
        path,
        resource_type: kind(resource).to_owned(),
        action,
        replacement: Replacement::No,
        fate,
        physical_id: None,
        properties: Vec::new(),
    }
}

fn kind(resource: &Value) -> &str {
    resource.get("Type").and_then(Value::as_str).unwrap_or("unknown")
}

/// Returns what becomes of the real thing when the resource leaves its stack.
pub fn fate(resource: &Value) -> Fate {
    policy(resource, "DeletionPolicy")
}

fn replaced_fate(resource: &Value) -> Fate {
    policy(resource, "UpdateReplacePolicy")
}

fn policy(resource: &Value, name: &str) -> Fate {
    match resource.get(name).and_then(Value::as_str) {
        Some("Retain" | "RetainExceptOnCreate") => Fate::Retained,
        Some("Snapshot") => Fate::Snapshotted,
        _ => Fate::Deleted,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a change of this property makes the resource anew.
/// Source: "Update requires" in the CloudFormation resource reference, for the types that our templates use.
fn needs_replacement(resource_type: &str, path: &str) -> bool {
    let properties: &[&str] = match resource_type {
        "AWS::S3::Bucket" => &["BucketName"],
        "AWS::DynamoDB::Table" => &["TableName", "KeySchema"],
        "AWS::SQS::Queue" => &["QueueName", "FifoQueue"],
        "AWS::SNS::Topic" => &["TopicName", "FifoTopic"],
        "AWS::SNS::Subscription" => &["TopicArn", "Protocol", "Endpoint"],
        "AWS::IAM::Role" => &["RoleName", "Path"],
        "AWS::IAM::ManagedPolicy" => &["ManagedPolicyName", "Path", "Description"],
        "AWS::Lambda::Function" => &["FunctionName", "PackageType"],
        "AWS::Lambda::EventSourceMapping" => &["EventSourceArn"],
        "AWS::Logs::LogGroup" => &["LogGroupName"],
        "AWS::KMS::Alias" => &["AliasName"],
        "AWS::CloudWatch::Alarm" => &["AlarmName"],
        "AWS::CloudWatch::Dashboard" => &["DashboardName"],
        "AWS::S3::BucketPolicy" => &["Bucket"],
        _ => &[],
    };
    let Some(rest) = path.strip_prefix("Properties.") else { return false };
    properties.iter().any(|property| rest == *property || rest.starts_with(&format!("{property}.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources(value: &Value) -> Resources {
        value
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let before = resources(&json!({
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": "900", "Tags": [{"Key": "a"}]}},
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "old"}, "UpdateReplacePolicy": "Retain"},
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Key": {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"},
            "Same": {"Type": "AWS::IAM::Role", "Metadata": {"mtlog:name": "x"}},
        }));
        let after = resources(&json!({
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": "1900", "Tags": [{"Key": "a"}]}},
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "new"}, "UpdateReplacePolicy": "Retain"},
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Same": {"Type": "AWS::IAM::Role", "Metadata": {"mtlog:name": "y"}},
        }));
        let seen: Vec<_> = difference("core", &before, &after)
            .into_iter()
            .map(|c| (c.path, c.action, c.replacement, c.fate, c.properties.len()))
            .collect();
        let row = |path: &str, action, replacement, fate, count| {
            (format!("core/{path}"), action, replacement, fate, count)
        };
        assert_eq!(
            seen,
            [
                row("Bucket", Action::Add, Replacement::No, None, 0),
                row("Key", Action::Remove, Replacement::No, Some(Fate::Retained), 0),
                row("Queue", Action::Modify, Replacement::No, None, 1),
                row("Table", Action::Modify, Replacement::Yes, Some(Fate::Retained), 1),
                row("Topic", Action::Remove, Replacement::No, Some(Fate::Deleted), 0),
            ]
        );
    }

    #[test]
    fn items_of_a_list_are_compared_by_their_names() {
        let list = |days: &str| {
            json!({"A": {"Type": "T", "Properties": {
                "Rules": [{"Id": "Delete", "Days": days}, {"Id": "Abort", "Days": "1"}], "Names": ["a", "b"]}}})
        };
        let changes = difference("", &resources(&list("7")), &resources(&list("14")));
        let seen: Vec<_> =
            changes[0].properties.iter().map(|p| (p.path.as_str(), p.before.as_deref())).collect();
        assert_eq!(seen, [("Properties.Rules[Delete].Days", Some("7"))]);
    }

    #[test]
    fn a_property_is_named_by_its_whole_path() {
        let before = resources(
            &json!({"A": {"Type": "T", "Properties": {"P": {"Q": "1", "R": {"Ref": "X"}}}}}),
        );
        let after = resources(
            &json!({"A": {"Type": "T", "Properties": {"P": {"Q": "2", "R": {"Ref": "Y"}}}}}),
        );
        let changes = difference("", &before, &after);
        let paths: Vec<_> =
            changes[0].properties.iter().map(|p| (p.path.as_str(), p.after.as_deref())).collect();
        assert_eq!(
            paths,
            [("Properties.P.Q", Some("2")), ("Properties.P.R", Some("{\"Ref\":\"Y\"}"))]
        );
    }
}
