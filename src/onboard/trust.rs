//! Whom a role's trust policy lets in, as the customer sees it. Pure.

use serde_json::Value;

use super::verify::{Check, CheckName, Verdict};

/// Judges the trust policy of the customer's role: only the central role, and only with an external id.
pub fn judge(policy: &Value, central_role: &str) -> Check {
    let check = |verdict, found: String| Check::new(CheckName::Trust, verdict, found);
    let mend = "update the stack; do not change the role by hand";
    let statements: Vec<&Value> = match &policy["Statement"] {
        Value::Array(many) => many.iter().collect(),
        Value::Object(_) => vec![&policy["Statement"]],
        _ => {
            return check(Verdict::Failed, "the trust policy has no statements".to_owned())
                .fix(mend);
        }
    };
    let allowing: Vec<&Value> =
        statements.into_iter().filter(|statement| statement["Effect"] == "Allow").collect();
    let mut strangers = Vec::new();
    let mut admitted = false;
    let mut unguarded = false;
    for statement in allowing {
        for principal in principals(&statement["Principal"]) {
            if principal == central_role {
                admitted = true;
                unguarded |= !demands_external_id(&statement["Condition"]);
            } else {
                strangers.push(principal);
            }
        }
    }
    if !strangers.is_empty() {
        let text = format!("the role also trusts {}", strangers.join(", "));
        return check(Verdict::Failed, text).fix(mend);
    }
    if !admitted {
        let text = format!(
            "the role does not trust {central_role}; after that role was made anew, its name in here is only an id"
        );
        return check(Verdict::Failed, text).fix(mend);
    }
    if unguarded {
        let text = "the role lets the service in without an ExternalId".to_owned();
        return check(Verdict::Failed, text).fix(mend);
    }
    check(Verdict::Passed, format!("only {central_role}, and only with the ExternalId"))
}

/// Returns every principal, each as AWS writes it; a wildcard is one, too.
fn principals(principal: &Value) -> Vec<String> {
    match principal {
        Value::String(text) => vec![text.clone()],
        Value::Object(kinds) => kinds
            .values()
            .flat_map(|value| match value {
                Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
                other => other.as_str().into_iter().collect::<Vec<_>>(),
            })
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a condition compares the external id for equality with something that is no pattern.
fn demands_external_id(condition: &Value) -> bool {
    let Value::Object(operators) = condition else { return false };
    operators.iter().any(|(operator, keys)| {
        let exact = operator.eq_ignore_ascii_case("StringEquals");
        let like = operator.eq_ignore_ascii_case("StringLike");
        let Value::Object(keys) = keys else { return false };
        keys.iter().any(|(key, value)| {
            let values: Vec<&str> = match value {
                Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
                other => other.as_str().into_iter().collect(),
            };
            key.eq_ignore_ascii_case("sts:ExternalId")
                && !values.is_empty()
                && (exact || like && values.iter().all(|value| !value.contains(['*', '?'])))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CENTRAL: &str = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";

    #[test]
    fn only_the_central_role_with_an_exact_external_id_is_right() {
        let right = json!({"StringEquals": {"sts:ExternalId": "1"}});
        let central = json!({"AWS": CENTRAL});
        for (principal, condition, expected) in [
            (central.clone(), right.clone(), Verdict::Passed),
            (
                json!({"AWS": [CENTRAL]}),
                json!({"stringequals": {"STS:externalid": ["1"]}}),
                Verdict::Passed,
            ),
            (central.clone(), json!({"StringLike": {"sts:ExternalId": "1"}}), Verdict::Passed),
            (central.clone(), json!({"StringLike": {"sts:ExternalId": "*"}}), Verdict::Failed),
            (central.clone(), json!({"StringEquals": {"sts:ExternalId": []}}), Verdict::Failed),
            (central.clone(), json!({"StringNotEquals": {"sts:ExternalId": "1"}}), Verdict::Failed),
            (central.clone(), json!({"StringEquals": {"aws:PrincipalArn": "1"}}), Verdict::Failed),
            (central.clone(), Value::Null, Verdict::Failed),
            (json!("*"), right.clone(), Verdict::Failed),
            (json!({"AWS": [CENTRAL, "*"]}), right.clone(), Verdict::Failed),
            (json!({"AWS": "AROAEXAMPLE"}), right, Verdict::Failed),
        ] {
            let policy = json!({"Statement": {"Effect": "Allow", "Principal": principal, "Condition": condition}});
            let check = judge(&policy, CENTRAL);
            assert_eq!(check.verdict, expected, "{policy} {check:?}");
        }
        assert_eq!(judge(&json!({}), CENTRAL).verdict, Verdict::Failed);
        assert_eq!(judge(&json!({"Statement": []}), CENTRAL).verdict, Verdict::Failed);
    }
}
