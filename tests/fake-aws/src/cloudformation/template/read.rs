//! Reads a template body, JSON or YAML with short intrinsic functions, into plain JSON.

use serde_json::{Map, Number, Value};
use serde_yaml::Value as Yaml;

use crate::cloudformation::form::invalid;
use crate::error::ApiError;

/// The functions that have a long form starting with `Fn::`.
const FUNCTIONS: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
];

/// Reads a body. The error texts are those of the service.
pub(super) fn read(text: &str) -> Result<Value, ApiError> {
    let value =
        if text.trim_start().starts_with('{') { read_json(text)? } else { read_yaml(text)? };
    if value.is_object() {
        Ok(value)
    } else {
        Err(invalid("Template format error: unsupported structure."))
    }
}

fn read_json(text: &str) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(format!(
            "Template format error: JSON not well-formed. (line {line}, column {column})"
        ))
    })?;
    refuse_null(&value, "")?;
    Ok(value)
}

fn refuse_null(value: &Value, path: &str) -> Result<(), ApiError> {
    match value {
        Value::Null => Err(null(path)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_null(item, &format!("{path}/{index}"))),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(key, member)| refuse_null(member, &format!("{path}/{key}"))),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn null(path: &str) -> ApiError {
    invalid(format!("[{path}] 'null' values are not allowed in templates"))
}

fn read_yaml(text: &str) -> Result<Value, ApiError> {
    let yaml: Yaml = serde_yaml::from_str(text).map_err(|error| {
        let (line, column) =
            error.location().map_or((1, 1), |location| (location.line(), location.column()));
        invalid(format!(
            "Template format error: YAML not well-formed. (line {line}, column {column})"
        ))
    })?;
    if yaml.is_null() {
        return Ok(Value::Null);
    }
    plain(yaml, "")
}

/// Turns YAML into JSON, short functions into long ones.
fn plain(yaml: Yaml, path: &str) -> Result<Value, ApiError> {
    match yaml {
        Yaml::Null => Err(null(path)),
        Yaml::Bool(value) => Ok(Value::Bool(value)),
        Yaml::Number(number) => Ok(plain_number(&number)),
        Yaml::String(text) => Ok(Value::String(text)),
        Yaml::Sequence(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| plain(item, &format!("{path}/{index}")))
            .collect(),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (key, member) in members {
                let key = plain_key(key, path)?;
                let member = plain(member, &format!("{path}/{key}"))?;
                object.insert(key, member);
            }
            Ok(Value::Object(object))
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = plain(tagged.value, path)?;
            let (name, value) = match (name, value) {
                ("Ref" | "Condition", value) => (name.to_owned(), value),
                ("GetAtt", Value::String(text)) => ("Fn::GetAtt".to_owned(), get_att(&text)),
                (name, value) if FUNCTIONS.contains(&name) => (format!("Fn::{name}"), value),
                (name, _) => {
                    return Err(invalid(format!(
                        "Template format error: YAML not well-formed. Unknown tag !{name} at [{path}]"
                    )));
                }
            };
            Ok(Value::Object(Map::from_iter([(name, value)])))
        }
    }
}

fn plain_number(number: &serde_yaml::Number) -> Value {
    if let Some(value) = number.as_i64() {
        return Value::from(value);
    }
    if let Some(value) = number.as_u64() {
        return Value::from(value);
    }
    number
        .as_f64()
        .and_then(Number::from_f64)
        .map_or_else(|| Value::String(number.to_string()), Value::Number)
}

fn plain_key(key: Yaml, path: &str) -> Result<String, ApiError> {
    let received = match key {
        Yaml::String(text) => return Ok(text),
        Yaml::Mapping(_) | Yaml::Tagged(_) => "a map".to_owned(),
        Yaml::Sequence(_) => "a list".to_owned(),
        Yaml::Number(number) => format!("numeric [{number}]"),
        Yaml::Bool(value) => format!("boolean [{value}]"),
        Yaml::Null => "null".to_owned(),
    };
    Err(invalid(format!(
        "Template format error: [{path}] map keys must be strings; received {received} instead"
    )))
}

fn get_att(text: &str) -> Value {
    match text.split_once('.') {
        Some((resource, attribute)) => Value::from(vec![resource, attribute]),
        None => Value::from(vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_functions_become_long_ones() {
        let text = "
Resources:
  A:
    Value: !Sub 'x-${B}'
    Other: !GetAtt Nested.Outputs.Arn
    List: !GetAtt [Nested, Arn]
    Version: '2012-10-17'
    Choice: !If [Wanted, !Ref B, !Ref 'AWS::NoValue']
    Number: 7
";
        assert_eq!(
            read(text).unwrap(),
            json!({"Resources": {"A": {
                "Value": {"Fn::Sub": "x-${B}"},
                "Other": {"Fn::GetAtt": ["Nested", "Outputs.Arn"]},
                "List": {"Fn::GetAtt": ["Nested", "Arn"]},
                "Version": "2012-10-17",
                "Choice": {"Fn::If": ["Wanted", {"Ref": "B"}, {"Ref": "AWS::NoValue"}]},
                "Number": 7,
            }}})
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let rows = [
            ("{\"a\": }", "Template format error: JSON not well-formed. (line 1, column 7)"),
            ("a: [", "Template format error: YAML not well-formed. (line 2, column 1)"),
            ("- a", "Template format error: unsupported structure."),
            ("", "Template format error: unsupported structure."),
            (
                "Outputs: {A: {Value: }}",
                "[/Outputs/A/Value] 'null' values are not allowed in templates",
            ),
            ("{\"A\": [null]}", "[/A/0] 'null' values are not allowed in templates"),
            (
                "Resources:\n  R:\n    Condition:\n      StringEquals:\n        ? !Sub '${Issuer}:aud'\n        : openshift\n",
                "Template format error: [/Resources/R/Condition/StringEquals] map keys must be strings; received a map instead",
            ),
            (
                "A: {1: x}",
                "Template format error: [/A] map keys must be strings; received numeric [1] instead",
            ),
            (
                "A: !Nope x",
                "Template format error: YAML not well-formed. Unknown tag !Nope at [/A]",
            ),
        ];
        for (text, message) in rows {
            assert_eq!(read(text).unwrap_err(), invalid(message), "{text}");
        }
    }
}
