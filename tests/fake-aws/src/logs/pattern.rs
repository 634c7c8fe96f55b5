//! Filter patterns of `FilterLogEvents`: terms that must all occur, or equations over a JSON line.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>. Of the JSON
//! patterns, only texts that are or are not equal, joined by `&&`, are known here.

use serde_json::Value;

use crate::error::ApiError;

use super::invalid;

/// A pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    Terms(Vec<String>),
    Equations(Vec<Equation>),
}

#[derive(Debug)]
pub(super) struct Equation {
    field: String,
    equal: bool,
    text: String,
}

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return inner.split("&&").map(equation).collect::<Result<_, _>>().map(Self::Equations);
        }
        if text.starts_with(['{', '[', '%', '-', '?']) {
            return Err(refused());
        }
        if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            return Ok(Self::Terms(vec![quoted.replace("\\\"", "\"")]));
        }
        Ok(Self::Terms(text.split_whitespace().map(str::to_owned).collect()))
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Terms(terms) => terms.iter().all(|term| message.contains(term.as_str())),
            Self::Equations(equations) => {
                let Ok(line) = serde_json::from_str::<Value>(message) else { return false };
                equations.iter().all(|equation| {
                    // A line without the field matches neither `=` nor `!=`.
                    line.get(&equation.field)
                        .and_then(Value::as_str)
                        .is_some_and(|found| (found == equation.text) == equation.equal)
                })
            }
        }
    }
}

fn equation(text: &str) -> Result<Equation, ApiError> {
    let (field, equal, value) = match text.split_once("!=") {
        Some((field, value)) => (field, false, value),
        None => {
            let (field, value) = text.split_once('=').ok_or_else(refused)?;
            (field, true, value)
        }
    };
    let field = field.trim().strip_prefix("$.").ok_or_else(refused)?;
    let text = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let text = text.ok_or_else(refused)?;
    if field.contains(['.', '[', ' ', '*']) || text.contains(['*', '"']) {
        return Err(refused());
    }
    Ok(Equation { field: field.to_owned(), equal, text: text.to_owned() })
}

fn refused() -> ApiError {
    invalid("Invalid filter pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_lines() {
        let line = r#"{"level":"WARN","message":"object"}"#;
        for (pattern, expected) in [
            ("", true),
            ("object WARN", true),
            ("ERROR", false),
            (r#"{ $.message = "object" && $.level != "INFO" }"#, true),
            (r#"{ $.message = "object" && $.level = "INFO" }"#, false),
            (r#"{ $.absent != "x" }"#, false),
        ] {
            assert_eq!(Pattern::read(pattern).unwrap().matches(line), expected, "{pattern}");
        }
        for pattern in ["[a, b]", "{ $.a > 1 }", r#"{ a = "x" }"#, r#"{ $.a.b = "x" }"#] {
            assert!(Pattern::read(pattern).is_err(), "{pattern}");
        }
    }
}
