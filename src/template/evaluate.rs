//! Works out what a template comes to for given parameters, as far as that is known before anything is deployed.
//!
//! References to parameters, conditions and text functions are replaced by their values. What only AWS knows (the ARN
//! of a resource that is to be made) stays as it stands in the template.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::Document;

/// The values that a template may refer to.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Parameters by name.
    pub parameters: BTreeMap<String, String>,
    /// Pseudo parameters by name: `AWS::Region` and so on. Those that are not known are left out.
    pub pseudo: BTreeMap<String, String>,
    /// Attributes of resources that exist, by resource and attribute.
    pub attributes: BTreeMap<(String, String), String>,
}

/// Returns the resources that the template makes with these values, by logical id.
///
/// A resource whose condition does not hold is left out.
pub fn resources(document: &Document, scope: &Scope) -> BTreeMap<String, Value> {
    let evaluation = Evaluation { document, scope };
    document
        .resources()
        .into_iter()
        .filter(|(_, resource)| {
            let condition = resource.get("Condition").and_then(Value::as_str);
            condition.is_none_or(|name| evaluation.condition(name, DEEPEST) != Some(false))
        })
        .map(|(name, resource)| (name.to_owned(), evaluation.value(resource)))
        .collect()
}

/// Conditions may refer to conditions; a circle ends here.
const DEEPEST: usize = 32;

struct Evaluation<'a> {
    document: &'a Document,
    scope: &'a Scope,
}

impl Evaluation<'_> {
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => Value::Array(
                values
                    .iter()
                    .map(|value| self.value(value))
                    .filter(|value| !is_no_value(value))
                    .collect(),
            ),
            Value::Object(object) => {
                let mut entries = object.iter();
                if let (Some((name, argument)), None) = (entries.next(), entries.next())
                    && let Some(result) = self.function(name, argument)
                {
                    return result;
                }
                Value::Object(
                    object
                        .iter()
                        .map(|(name, value)| (name.clone(), self.value(value)))
                        .filter(|(_, value)| !is_no_value(value))
                        .collect(),
                )
            }
            other => other.clone(),
        }
    }

    /// Returns what a function comes to; `None` if `name` is no function that is known here.
    fn function(&self, name: &str, argument: &Value) -> Option<Value> {
        match name {
            "Ref" => Some(self.reference(argument)),
            "Fn::GetAtt" => Some(self.attribute(argument)),
            "Fn::Sub" => Some(self.substitution(argument)),
            "Fn::If" => self.choice(argument),
            "Fn::Join" => Some(join(self.value(argument))),
            "Fn::Select" => Some(select(self.value(argument))),
            "Fn::Split" => Some(split(self.value(argument))),
            "Fn::FindInMap" => Some(self.mapping(self.value(argument))),
            _ => None,
        }
    }

    fn reference(&self, argument: &Value) -> Value {
        let unknown = || function("Ref", argument.clone());
        let Some(name) = argument.as_str() else { return unknown() };
        if let Some(value) = self.scope.pseudo.get(name) {
            return Value::from(value.as_str());
        }
        let Some(value) = self.scope.parameters.get(name) else { return unknown() };
        let is_list = self
            .document
            .section("Parameters")
            .get(name)
            .and_then(|parameter| parameter.get("Type"))
            .and_then(Value::as_str)
            .is_some_and(|kind| kind == "CommaDelimitedList" || kind.starts_with("List<"));
        if is_list {
            Value::Array(value.split(',').map(|item| Value::from(item.trim())).collect())
        } else {
            Value::from(value.as_str())
        }
    }

    fn attribute(&self, argument: &Value) -> Value {
        let parts: Option<(&str, &str)> = argument
            .as_array()
            .and_then(|parts| Some((parts.first()?.as_str()?, parts.get(1)?.as_str()?)));
        parts
            .and_then(|(resource, attribute)| {
                self.scope
                    .attributes
                    .get(&(resource.to_owned(), attribute.to_owned()))
                    .map(String::as_str)
            })
            .map_or_else(|| function("Fn::GetAtt", argument.clone()), Value::from)
    }

    fn substitution(&self, argument: &Value) -> Value {
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), Map::new()),
            Value::Array(parts) => match (parts.first().and_then(Value::as_str), parts.get(1)) {
                (Some(text), Some(Value::Object(variables))) => (
                    text,
                    variables
                        .iter()
                        .map(|(name, value)| (name.clone(), self.value(value)))
                        .collect(),
                ),
                _ => return function("Fn::Sub", argument.clone()),
            },
            _ => return function("Fn::Sub", argument.clone()),
        };
        let mut result = String::new();
        let mut known = true;
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                result.push_str("${");
                rest = after;
                break;
            };
            rest = after;
            match self.variable(name, &variables) {
                Some(value) => result.push_str(&value),
                None => {
                    known = known && name.starts_with('!');
                    result.push_str("${");
                    result.push_str(name);
                    result.push('}');
                }
            }
        }
        result.push_str(rest);
        if known {
            Value::String(result.replace("${!", "${"))
        } else {
            function("Fn::Sub", Value::String(result))
        }
    }

    /// Returns what `${name}` stands for, if that is known and a text.
    fn variable(&self, name: &str, variables: &Map<String, Value>) -> Option<String> {
        if name.starts_with('!') {
            return None;
        }
        let value = match (variables.get(name), name.split_once('.')) {
            (Some(value), _) => value.clone(),
            (None, Some((resource, attribute))) => {
                self.attribute(&Value::from(vec![resource, attribute]))
            }
            (None, None) => self.reference(&Value::from(name)),
        };
        value.as_str().map(str::to_owned)
    }

    fn choice(&self, argument: &Value) -> Option<Value> {
        let parts = argument.as_array()?;
        let holds = self.condition(parts.first()?.as_str()?, DEEPEST)?;
        Some(self.value(parts.get(if holds { 1 } else { 2 })?))
    }

    fn condition(&self, name: &str, depth: usize) -> Option<bool> {
        let conditions = self.document.section("Conditions");
        self.test(conditions.get(name)?, depth.checked_sub(1)?)
    }

    fn test(&self, value: &Value, depth: usize) -> Option<bool> {
        let (name, argument) = value.as_object()?.iter().next()?;
        let depth = depth.checked_sub(1)?;
        match name.as_str() {
            "Condition" => self.condition(argument.as_str()?, depth),
            "Fn::Equals" => {
                let parts = argument.as_array()?;
                let (left, right) = (self.value(parts.first()?), self.value(parts.get(1)?));
                // Texts are compared; something that is not known yet cannot be.
                Some(left.as_str()? == right.as_str()?)
            }
            "Fn::Not" => self.test(argument.as_array()?.first()?, depth).map(|holds| !holds),
            "Fn::And" => argument
                .as_array()?
                .iter()
                .try_fold(true, |all, part| Some(all && self.test(part, depth)?)),
            "Fn::Or" => argument
                .as_array()?
                .iter()
                .try_fold(false, |any, part| Some(any || self.test(part, depth)?)),
            _ => None,
        }
    }

    fn mapping(&self, argument: Value) -> Value {
        let found = || {
            let parts = argument.as_array()?;
            let key = |index: usize| parts.get(index)?.as_str();
            self.document.section("Mappings").get(key(0)?)?.get(key(1)?)?.get(key(2)?).cloned()
        };
        found().unwrap_or_else(|| function("Fn::FindInMap", argument.clone()))
    }
}

fn function(name: &str, argument: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), argument)]))
}

fn is_no_value(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        object.len() == 1 && object.get("Ref").and_then(Value::as_str) == Some("AWS::NoValue")
    })
}

fn join(argument: Value) -> Value {
    let joined = || {
        let parts = argument.as_array()?;
        let texts: Option<Vec<&str>> =
            parts.get(1)?.as_array()?.iter().map(Value::as_str).collect();
        Some(Value::from(texts?.join(parts.first()?.as_str()?)))
    };
    joined().unwrap_or_else(|| function("Fn::Join", argument.clone()))
}

fn select(argument: Value) -> Value {
    let selected = || {
        let parts = argument.as_array()?;
        let index: usize = parts.first()?.as_str()?.parse().ok()?;
        parts.get(1)?.as_array()?.get(index).cloned()
    };
    selected().unwrap_or_else(|| function("Fn::Select", argument.clone()))
}

fn split(argument: Value) -> Value {
    let parts = || {
        let parts = argument.as_array()?;
        let separator = parts.first()?.as_str()?;
        Some(Value::Array(parts.get(1)?.as_str()?.split(separator).map(Value::from).collect()))
    };
    parts().unwrap_or_else(|| function("Fn::Split", argument.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Name: {Type: String}
  On: {Type: String}
  Items: {Type: CommaDelimitedList}
Conditions:
  IsOn: !Equals [!Ref On, 'true']
  IsOff: !Not [!Condition IsOn]
  Both: !And [!Condition IsOn, !Equals [!Ref Name, x]]
  Circle: !Condition Circle
Resources:
  A:
    Type: T
    Properties:
      Sub: !Sub '${Name}-${AWS::Region}-${!Literal}'
      Unknown: !Sub '${Name}-${B.Arn}'
      WithMap: !Sub ['${P}/${Name}', {P: !Select [0, !Split ['-', 'a-b']]}]
      Choice: !If [IsOn, yes, !Ref 'AWS::NoValue']
      List: !Join [',', !Ref Items]
      Attribute: !GetAtt B.Outputs.Url
  B: {Type: T, Condition: IsOn}
  C: {Type: T, Condition: IsOff}
  D: {Type: T, Condition: Both}
  E: {Type: T, Condition: Circle}
";

    fn evaluated(on: &str) -> BTreeMap<String, Value> {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let scope = Scope {
            parameters: pairs(&[("Name", "x"), ("On", on), ("Items", "a, b")]),
            pseudo: pairs(&[("AWS::Region", "us-east-2")]),
            attributes: BTreeMap::from([(
                ("B".to_owned(), "Outputs.Url".to_owned()),
                "https://q".to_owned(),
            )]),
        };
        resources(&Document::parse(TEMPLATE).unwrap(), &scope)
    }

    #[test]
    fn functions_come_to_their_values() {
        let resources = evaluated("true");
        let expected = serde_json::json!({
            "Sub": "x-us-east-2-${Literal}",
            "Unknown": {"Fn::Sub": "x-${B.Arn}"},
            "WithMap": "a/x",
            "Choice": "yes",
            "List": "a,b",
            "Attribute": "https://q",
        });
        assert_eq!(resources["A"]["Properties"], expected);
    }

    #[test]
    fn conditions_decide_what_there_is() {
        let names = |on: &str| evaluated(on).into_keys().collect::<Vec<_>>();
        // What cannot be decided is kept: to show too much is better than to hide something.
        assert_eq!(names("true"), ["A", "B", "D", "E"]);
        assert_eq!(names("false"), ["A", "C", "E"]);
        assert_eq!(evaluated("false")["A"]["Properties"].get("Choice"), None);
    }
}
