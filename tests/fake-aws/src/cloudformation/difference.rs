//! Compares what a resource is with what it is to be.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kinds::Kind;
use super::template::scalar;

/// Tells whether two values mean the same: CloudFormation passes numbers and booleans as texts.
pub(super) fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| is_same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| is_same(left, right))
        }
        (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => false,
        (left, right) => scalar(left) == scalar(right),
    }
}

/// Returns the names of the properties that differ.
pub(super) fn changed(before: &Value, after: &Value) -> Vec<String> {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flat_map(|all| all.keys().cloned()).collect()
    };
    names(before)
        .union(&names(after))
        .filter(|name| match (before.get(name.as_str()), after.get(name.as_str())) {
            (Some(before), Some(after)) => !is_same(before, after),
            _ => true,
        })
        .cloned()
        .collect()
}

/// Tells whether a change of these properties needs a new resource.
pub(super) fn replaces(kind: &Kind, changed: &[String]) -> bool {
    changed.iter().any(|name| kind.create_only.contains(&name.as_str()))
}

/// A single value that differs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// As in `/Properties/Tags/0/Value`.
    pub(super) path: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Returns the smallest parts that differ, below this path.
pub(super) fn leaves(path: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<Leaf> {
    match (before, after) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names
                .into_iter()
                .flat_map(|name| leaves(&format!("{path}/{name}"), left.get(name), right.get(name)))
                .collect()
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => (0..left.len().max(right.len()))
            .flat_map(|index| leaves(&format!("{path}/{index}"), left.get(index), right.get(index)))
            .collect(),
        (Some(left), Some(right)) if is_same(left, right) => Vec::new(),
        (None, None) => Vec::new(),
        (before, after) => {
            vec![Leaf { path: path.to_owned(), before: before.cloned(), after: after.cloned() }]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds;
    use super::*;

    #[test]
    fn scalars_are_compared_as_texts() {
        let before = json!({"A": 1, "B": [true, {"C": "x"}], "D": "gone"});
        let after = json!({"A": "1", "B": ["true", {"C": "y"}], "E": "new"});
        assert_eq!(changed(&before, &after), ["B", "D", "E"]);
        let leaves: Vec<String> =
            leaves("/P", Some(&before), Some(&after)).into_iter().map(|leaf| leaf.path).collect();
        assert_eq!(leaves, ["/P/B/1/C", "/P/D", "/P/E"]);
    }

    #[test]
    fn names_replace_their_resource() {
        let bucket = kinds::find("AWS::S3::Bucket").unwrap();
        assert!(replaces(bucket, &["BucketName".to_owned(), "Tags".to_owned()]));
        assert!(!replaces(bucket, &["Tags".to_owned()]));
    }
}
