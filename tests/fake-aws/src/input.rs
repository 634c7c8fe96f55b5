//! Takes members out of JSON input the way the JSON protocols do: a wrong type is a
//! serialization error, an absent or null member is absent.

use serde_json::Value;

use crate::error::ApiError;

/// Returns a text member.
pub(crate) fn text<'a>(input: &'a Value, name: &str) -> Result<Option<&'a str>, ApiError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(name, "string", other)),
    }
}

/// Returns a whole-number member.
pub(crate) fn integer(input: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong_type(name, "integer", value)),
    }
}

/// Returns a truth member.
pub(crate) fn flag(input: &Value, name: &str) -> Result<Option<bool>, ApiError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(wrong_type(name, "boolean", other)),
    }
}

/// Returns a list member.
pub(crate) fn list<'a>(input: &'a Value, name: &str) -> Result<Option<&'a [Value]>, ApiError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(other) => Err(wrong_type(name, "list", other)),
    }
}

/// Returns a map or structure member.
pub(crate) fn map<'a>(
    input: &'a Value,
    name: &str,
) -> Result<Option<&'a serde_json::Map<String, Value>>, ApiError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(wrong_type(name, "map", other)),
    }
}

/// Returns a list of texts.
pub(crate) fn texts<'a>(input: &'a Value, name: &str) -> Result<Option<Vec<&'a str>>, ApiError> {
    let Some(values) = list(input, name)? else {
        return Ok(None);
    };
    values
        .iter()
        .map(|value| value.as_str().ok_or_else(|| wrong_type(name, "list of strings", value)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn wrong_type(name: &str, wanted: &str, found: &Value) -> ApiError {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "BOOLEAN_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "start of array",
        Value::Object(_) => "start of structure",
    };
    ApiError::bad(
        "SerializationException",
        format!("{kind} can not be converted to {wanted} at `{name}`"),
    )
}
