//! Finds what a part of a template refers to.

use serde_json::Value;

/// A reference by `Ref`, `Fn::GetAtt` or within `Fn::Sub`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// A resource's physical id, a parameter or a pseudo parameter.
    Name(String),
    /// A resource's attribute. `in_sub` keeps where it was found, for the error text.
    Attribute { resource: String, attribute: String, in_sub: bool },
}

impl Reference {
    /// Returns the logical id or the parameter's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Attribute { resource, .. } => resource,
        }
    }
}

/// Returns all references, in both branches of conditions.
pub(crate) fn references(value: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<Reference>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            let mut only = members.iter();
            if let (Some((name, argument)), None) = (only.next(), only.next()) {
                match name.as_str() {
                    "Ref" => {
                        if let Value::String(name) = argument {
                            found.push(Reference::Name(name.clone()));
                        }
                        return;
                    }
                    "Fn::GetAtt" => {
                        found.extend(get_att(argument));
                        return;
                    }
                    "Fn::Sub" => {
                        sub(argument, found);
                        return;
                    }
                    _ => {}
                }
            }
            members.values().for_each(|member| collect(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads the argument of `Fn::GetAtt` in both of its forms.
pub(super) fn get_att(argument: &Value) -> Option<Reference> {
    let (resource, attribute) = match argument {
        Value::String(text) => {
            text.split_once('.').map(|(left, right)| (left.to_owned(), right.to_owned()))?
        }
        Value::Array(items) => {
            let mut items = items.iter().filter_map(Value::as_str);
            let resource = items.next()?.to_owned();
            let attribute = items.collect::<Vec<_>>().join(".");
            (resource, attribute)
        }
        _ => return None,
    };
    Some(Reference::Attribute { resource, attribute, in_sub: false })
}

fn sub(argument: &Value, found: &mut Vec<Reference>) {
    let (text, own) = match argument {
        Value::String(text) => (text.as_str(), None),
        Value::Array(items) => match (items.first(), items.get(1)) {
            (Some(Value::String(text)), own) => (text.as_str(), own.and_then(Value::as_object)),
            _ => return,
        },
        _ => return,
    };
    if let Some(own) = own {
        own.values().for_each(|value| collect(value, found));
    }
    for name in placeholders(text) {
        if own.is_some_and(|own| own.contains_key(name)) {
            continue;
        }
        found.push(match name.split_once('.') {
            Some((resource, attribute)) => Reference::Attribute {
                resource: resource.to_owned(),
                attribute: attribute.to_owned(),
                in_sub: true,
            },
            None => Reference::Name(name.to_owned()),
        });
    }
}

/// Returns the names in `${...}`, without the literal `${!...}`.
fn placeholders(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        rest = after;
        if !name.starts_with('!') {
            names.push(name.trim());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_reference_is_found() {
        let value = json!({
            "A": {"Ref": "P"},
            "B": {"Fn::Join": ["", [{"Fn::GetAtt": ["R", "Outputs.X"]}]]},
            "C": {"Fn::Sub": ["${Own}-${Q}-${R.Arn}-${!Literal}", {"Own": {"Ref": "S"}}]},
            "D": {"Fn::If": ["Wanted", {"Ref": "T"}, {"Ref": "AWS::NoValue"}]},
        });
        let found: Vec<String> = references(&value)
            .into_iter()
            .map(|reference| match reference {
                Reference::Name(name) => name,
                Reference::Attribute { resource, attribute, .. } => {
                    format!("{resource}.{attribute}")
                }
            })
            .collect();
        assert_eq!(found, ["P", "R.Outputs.X", "S", "Q", "R.Arn", "T", "AWS::NoValue"]);
    }
}
