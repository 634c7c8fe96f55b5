//! CloudFormation templates as data, in one form whatever they were written in.
//!
//! YAML's short forms (`!Ref x`) become the long ones (`{"Ref": "x"}`) and numbers and switches become text, as
//! CloudFormation compares them. Two templates that mean the same are then equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    root: Map<String, Value>,
}

/// A template that cannot be read.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The text is neither YAML nor JSON.
    #[error("failed to parse the template")]
    Syntax(#[source] serde_yaml::Error),
    /// The text is not a map with resources.
    #[error("the template has no resources")]
    NoResources,
}

/// A parameter that a template declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// The name.
    pub name: String,
    /// The type: `String`, `Number`, `CommaDelimitedList`, …
    pub kind: String,
    /// The value that counts when none is given.
    pub default: Option<String>,
    /// The regular expression that a value must match as a whole.
    pub allowed_pattern: Option<String>,
    /// The values that are allowed; empty: any.
    pub allowed_values: Vec<String>,
    /// The smallest number.
    pub minimum: Option<String>,
    /// The largest number.
    pub maximum: Option<String>,
    /// What is said about a value that breaks a rule.
    pub constraint: Option<String>,
    /// What the parameter is for.
    pub description: Option<String>,
}

impl Document {
    /// Reads a template in YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let yaml: serde_yaml::Value = serde_yaml::from_str(text).map_err(DocumentError::Syntax)?;
        match canonical(yaml) {
            Value::Object(root) if root.get("Resources").is_some_and(Value::is_object) => {
                Ok(Self { root })
            }
            _ => Err(DocumentError::NoResources),
        }
    }

    /// Returns a section's entries by name; none if the template has no such section.
    pub fn section(&self, name: &str) -> BTreeMap<&str, &Value> {
        self.root
            .get(name)
            .and_then(Value::as_object)
            .map(|section| section.iter().map(|(name, value)| (name.as_str(), value)).collect())
            .unwrap_or_default()
    }

    /// Returns the resources by logical id.
    pub fn resources(&self) -> BTreeMap<&str, &Value> {
        self.section("Resources")
    }

    /// Returns the declared parameters in the order of their names.
    pub fn parameters(&self) -> Vec<Declared> {
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        self.section("Parameters")
            .into_iter()
            .map(|(name, value)| Declared {
                name: name.to_owned(),
                kind: text(value, "Type").unwrap_or_default(),
                default: text(value, "Default"),
                allowed_pattern: text(value, "AllowedPattern"),
                allowed_values: value
                    .get("AllowedValues")
                    .and_then(Value::as_array)
                    .map(|values| {
                        values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                    })
                    .unwrap_or_default(),
                minimum: text(value, "MinValue"),
                maximum: text(value, "MaxValue"),
                constraint: text(value, "ConstraintDescription"),
                description: text(value, "Description"),
            })
            .collect()
    }

    /// Returns what people call a resource (`Metadata` → `mtlog:name`).
    pub fn human_name(&self, logical_id: &str) -> Option<&str> {
        self.root.get("Resources")?.get(logical_id)?.get("Metadata")?.get("mtlog:name")?.as_str()
    }
}

/// Brings a value into the one form.
fn canonical(value: serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::String(value.to_string()),
        Yaml::Number(number) => Value::String(number.to_string()),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(values) => Value::Array(values.into_iter().map(canonical).collect()),
        Yaml::Mapping(mapping) => {
            Value::Object(
                mapping
                    .into_iter()
                    .map(|(key, value)| (key_text(key), canonical(value)))
                    .map(|(key, value)| {
                        if key == "Fn::GetAtt" {
                            (key, split_attribute(value))
                        } else {
                            (key, value)
                        }
                    })
                    .collect(),
            )
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = canonical(tagged.value);
            let (name, value) = match name {
                "Ref" | "Condition" => (name.to_owned(), value),
                "GetAtt" => ("Fn::GetAtt".to_owned(), split_attribute(value)),
                other => (format!("Fn::{other}"), value),
            };
            Value::Object(Map::from_iter([(name, value)]))
        }
    }
}

/// `A.B.C` names the attribute `B.C` of `A`.
fn split_attribute(value: Value) -> Value {
    match &value {
        Value::String(text) => match text.split_once('.') {
            Some((resource, attribute)) => Value::from(vec![resource, attribute]),
            None => value,
        },
        _ => value,
    }
}

fn key_text(key: serde_yaml::Value) -> String {
    match canonical(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_mean_the_same_are_equal() {
        let short = "Parameters: {P: {Type: Number, Default: 7}}\nResources:\n  A:\n    Type: T\n    Properties:\n      \
                     X: !Ref P\n      Y: !GetAtt B.Outputs.C\n      Z: !Sub 'a${P}'\n      On: true\n";
        let long = r#"{"Resources":{"A":{"Properties":{"On":"true","Z":{"Fn::Sub":"a${P}"},
            "Y":{"Fn::GetAtt":["B","Outputs.C"]},"X":{"Ref":"P"}},"Type":"T"}},
            "Parameters":{"P":{"Type":"Number","Default":"7"}}}"#;
        assert_eq!(Document::parse(short).unwrap(), Document::parse(long).unwrap());
        let other = short.replace("Default: 7", "Default: 8");
        assert_ne!(Document::parse(&other).unwrap(), Document::parse(long).unwrap());
    }

    #[test]
    fn what_is_not_a_template_is_refused() {
        assert!(matches!(Document::parse("a: [").unwrap_err(), DocumentError::Syntax(_)));
        assert!(matches!(Document::parse("a: 1").unwrap_err(), DocumentError::NoResources));
    }

    #[test]
    fn declared_parameters_keep_their_rules() {
        let text = "Parameters:\n  P:\n    Type: String\n    AllowedValues: [a, 'b']\n    ConstraintDescription: no\nResources: {}\n";
        let parameters = Document::parse(text).unwrap().parameters();
        assert_eq!(parameters.len(), 1);
        assert_eq!(parameters[0].allowed_values, ["a", "b"]);
        assert_eq!(parameters[0].default, None);
        assert_eq!(parameters[0].constraint.as_deref(), Some("no"));
    }
}
