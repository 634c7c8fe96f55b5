//! Reads policies as services store them: where a policy may say one thing or a list of them, both are understood.

use serde_json::Value;

/// Returns the statements; none if the text is no policy.
pub(super) fn statements(policy: &str) -> Vec<Value> {
    let Ok(document) = serde_json::from_str::<Value>(policy) else { return Vec::new() };
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

/// Whether a member, named by its path with slashes, is or contains one of the texts.
pub(super) fn says(statement: &Value, path: &str, texts: &[&str]) -> bool {
    match statement.pointer(path) {
        Some(Value::Array(values)) => {
            values.iter().any(|value| texts.iter().any(|text| value == text))
        }
        Some(value) => texts.iter().any(|text| value == text),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_and_a_list_are_read_alike() {
        for policy in [
            r#"{"Statement": [{"Effect": "Deny", "Action": ["a", "b"]}]}"#,
            r#"{"Statement": {"Effect": "Deny", "Action": "b"}}"#,
        ] {
            let statements = statements(policy);
            let [statement] = statements.as_slice() else { panic!("{policy}") };
            assert!(says(statement, "/Action", &["b", "c"]) && !says(statement, "/Action", &["c"]));
            assert!(!says(statement, "/Resource", &["b"]));
        }
        assert!(statements("nonsense").is_empty());
    }
}
