//! A file of template parameters, in one of the forms that CloudFormation's own tools write.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde_json::{Map, Value};
use thiserror::Error;

/// The largest file that is read. CloudFormation takes 200 parameters of 4,096 bytes.
const LARGEST: u64 = 2 * 1024 * 1024;

/// Why a file of parameters is of no use.
#[derive(Debug, Error)]
pub enum ParameterFileError {
    /// It cannot be read.
    #[error("failed to read it")]
    Unreadable(#[source] io::Error),
    /// It is no JSON.
    #[error("it is not JSON")]
    Syntax(#[source] serde_json::Error),
    /// It is JSON of another form.
    #[error(
        "it holds no parameters: it looks like [{{\"ParameterKey\": \"S3DeleteAfterDays\", \"ParameterValue\": \"14\"}}], \
         or {{\"S3DeleteAfterDays\": \"14\"}}"
    )]
    Form,
    /// A value that is no text, number or truth.
    #[error("the value of `{name}` is not a text")]
    Value {
        /// The parameter.
        name: String,
    },
}

/// Reads the parameters, in the order of the file.
///
/// # Errors
/// When the file cannot be read, or is of none of the forms.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, ParameterFileError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(ParameterFileError::Unreadable)?;
    parse(&text)
}

/// Reads what `aws cloudformation --parameters file://…` takes, a template configuration file, or a plain object.
fn parse(text: &str) -> Result<Vec<(String, String)>, ParameterFileError> {
    match serde_json::from_str(text).map_err(ParameterFileError::Syntax)? {
        Value::Array(entries) => entries.iter().map(entry).collect(),
        Value::Object(object) => match object.get("Parameters") {
            Some(Value::Object(parameters)) => members(parameters),
            _ => members(&object),
        },
        _ => Err(ParameterFileError::Form),
    }
}

fn entry(entry: &Value) -> Result<(String, String), ParameterFileError> {
    let name = entry.get("ParameterKey").and_then(Value::as_str).ok_or(ParameterFileError::Form)?;
    let value = entry.get("ParameterValue").ok_or(ParameterFileError::Form)?;
    Ok((name.to_owned(), text_of(name, value)?))
}

fn members(object: &Map<String, Value>) -> Result<Vec<(String, String)>, ParameterFileError> {
    object.iter().map(|(name, value)| Ok((name.clone(), text_of(name, value)?))).collect()
}

fn text_of(name: &str, value: &Value) -> Result<String, ParameterFileError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(ParameterFileError::Value { name: name.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_the_same_parameters() {
        let expected =
            [("Days".to_owned(), "14".to_owned()), ("Encrypted".to_owned(), "true".to_owned())];
        for text in [
            r#"[{"ParameterKey": "Days", "ParameterValue": "14"},
                {"ParameterKey": "Encrypted", "ParameterValue": "true", "UsePreviousValue": false}]"#,
            r#"{"Days": 14, "Encrypted": true}"#,
            r#"{"Parameters": {"Days": "14", "Encrypted": "true"}, "Tags": {}}"#,
        ] {
            let mut found = parse(text).unwrap();
            found.sort();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_holds_no_parameters_says_so() {
        for (text, part) in [
            ("", "not JSON"),
            ("3", "holds no parameters"),
            (r#"[{"ParameterKey": "Days"}]"#, "holds no parameters"),
            (r#"{"Days": [1]}"#, "value of `Days`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
