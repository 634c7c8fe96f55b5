//! Stack policies: which resources an update may touch.
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html>.

use serde_json::Value;

use super::form::invalid;
use super::glob::glob;
use crate::error::ApiError;

/// Policies may be this large.
const LONGEST_POLICY: usize = 16_384;

/// Checks that a text is a policy.
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    if text.is_empty() || text.len() > LONGEST_POLICY {
        return Err(invalid("Invalid policy: the length is not within limits"));
    }
    let document: Value = serde_json::from_str(text)
        .map_err(|_| invalid("Error validating stack policy: Invalid stack policy"))?;
    let statements = statements(&document);
    let is_good = |statement: &&Value| {
        matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"))
            && (statement.get("Action").is_some() || statement.get("NotAction").is_some())
            && (statement.get("Resource").is_some() || statement.get("NotResource").is_some())
            && (statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some())
    };
    if statements.is_empty() || !statements.iter().all(is_good) {
        return Err(invalid("Error validating stack policy: Invalid stack policy"));
    }
    Ok(())
}

/// Says why the policy forbids an action on a resource. What no statement allows is forbidden.
pub(super) fn denial(policy: &str, logical: &str, kind: &str, action: &str) -> Option<String> {
    let document: Value = serde_json::from_str(policy).ok()?;
    let mut is_allowed = false;
    for (index, statement) in statements(&document).into_iter().enumerate() {
        if !covers(statement, logical, kind, action) {
            continue;
        }
        if statement.get("Effect").and_then(Value::as_str) == Some("Deny") {
            return Some(format!(
                "Action denied by stack policy: Statement [#{}] does not allow [{action}] for resource [LogicalResourceId/{logical}]",
                index + 1
            ));
        }
        is_allowed = true;
    }
    (!is_allowed).then(|| format!("Action not allowed by stack policy: [{action}] for resource [LogicalResourceId/{logical}]"))
}

fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => Vec::new(),
    }
}

fn covers(statement: &Value, logical: &str, kind: &str, action: &str) -> bool {
    let resource = format!("LogicalResourceId/{logical}");
    let named = |name: &str, text: &str| {
        statement
            .get(name)
            .map(|patterns| texts(patterns).iter().any(|pattern| glob(pattern, text)))
    };
    let is_action =
        named("Action", action).or_else(|| named("NotAction", action).map(|covered| !covered));
    let is_resource = named("Resource", &resource)
        .or_else(|| named("NotResource", &resource).map(|covered| !covered));
    let is_kind = statement.get("Condition").and_then(Value::as_object).is_none_or(|operators| {
        operators
            .values()
            .filter_map(|keys| keys.get("ResourceType"))
            .all(|kinds| texts(kinds).iter().any(|pattern| glob(pattern, kind)))
    });
    is_action == Some(true) && is_resource == Some(true) && is_kind
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["Update:Replace", "Update:Delete"], "Principal": "*", "Resource": "*",
         "Condition": {"StringEquals": {"ResourceType": ["AWS::S3::Bucket", "AWS::DynamoDB::Table"]}}}
    ]}"#;

    #[test]
    fn a_policy_denies_what_it_says() {
        let rows = [
            ("AWS::S3::Bucket", "Update:Modify", false),
            ("AWS::S3::Bucket", "Update:Delete", true),
            ("AWS::SQS::Queue", "Update:Delete", false),
        ];
        for (kind, action, expected) in rows {
            assert_eq!(denial(POLICY, "X", kind, action).is_some(), expected, "{kind} {action}");
        }
        check(POLICY).unwrap();
        assert!(check("{}").is_err() && check("no").is_err());
    }
}
