//! The checks that every template passes before anything else happens to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::references::{Reference, references as find_references};
use super::{Template, parameters};
use crate::cloudformation::form::invalid;
use crate::cloudformation::kinds;
use crate::error::ApiError;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];
const RESOURCE_MEMBERS: &[&str] = &[
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];
const PARAMETER_MEMBERS: &[&str] = &[
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
const MOST_RESOURCES: usize = 500;
const MOST_PARAMETERS: usize = 200;
const MOST_OUTPUTS: usize = 200;
const LONGEST_DESCRIPTION: usize = 1_024;

/// Checks sections, members and names.
pub(super) fn shape(root: &Value) -> Result<(), ApiError> {
    let sections =
        root.as_object().ok_or_else(|| invalid("Template format error: unsupported structure."))?;
    let odd = unknown(sections, SECTIONS);
    if !odd.is_empty() {
        return Err(invalid(format!(
            "Invalid template property or properties [{}]",
            odd.join(", ")
        )));
    }
    match sections.get("AWSTemplateFormatVersion") {
        None => {}
        Some(Value::String(version)) if version == "2010-09-09" => {}
        Some(version) => {
            let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
            return Err(invalid(format!(
                "Template format error: {version} is not a supported value for AWSTemplateFormatVersion."
            )));
        }
    }
    if let Some(description) = sections.get("Description") {
        match description.as_str() {
            None => return Err(invalid("Template format error: Description must be a string.")),
            Some(text) if text.len() > LONGEST_DESCRIPTION => {
                return Err(invalid(
                    "Template format error: 'Description' length is greater than 1024.",
                ));
            }
            Some(_) => {}
        }
    }
    parameters_shape(members(sections, "Parameters")?)?;
    resources_shape(members(sections, "Resources")?)?;
    outputs_shape(members(sections, "Outputs")?)
}

fn members<'a>(
    sections: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ApiError> {
    match sections.get(name) {
        None => Ok(None),
        Some(Value::Object(members)) => {
            let word = name.strip_suffix('s').unwrap_or(name);
            let odd = members
                .keys()
                .find(|key| !key.chars().all(|letter| letter.is_ascii_alphanumeric()));
            match odd {
                Some(key) => Err(invalid(format!(
                    "Template format error: {word} name {key} is non alphanumeric."
                ))),
                None => Ok(Some(members)),
            }
        }
        Some(_) => Err(invalid(format!("Template format error: {name} must be an object."))),
    }
}

fn unknown(members: &Map<String, Value>, known: &[&str]) -> Vec<String> {
    members.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect()
}

fn parameters_shape(declared: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    let Some(declared) = declared else {
        return Ok(());
    };
    if declared.len() > MOST_PARAMETERS {
        return Err(limit("parameters", declared.len(), MOST_PARAMETERS));
    }
    for (name, declaration) in declared {
        let Some(declaration) = declaration.as_object() else {
            return Err(invalid("Template format error: Any Parameters member must be an object."));
        };
        let Some(kind) = declaration.get("Type").and_then(Value::as_str) else {
            return Err(invalid(
                "Template format error: Every Parameters object must contain a Type member.",
            ));
        };
        if let Some(odd) = unknown(declaration, PARAMETER_MEMBERS).first() {
            return Err(invalid(format!("Invalid template parameter property '{odd}'")));
        }
        let is_known = matches!(kind, "String" | "Number" | "CommaDelimitedList" | "List<Number>")
            || kind.starts_with("AWS::")
            || kind.starts_with("List<AWS::");
        if !is_known {
            return Err(invalid(format!(
                "Template format error: Unrecognized parameter type: {kind}"
            )));
        }
        if let Some(pattern) = declaration.get("AllowedPattern").and_then(Value::as_str)
            && parameters::compile(pattern).is_none()
        {
            return Err(invalid(format!(
                "Template format error: Parameter {name} has an invalid AllowedPattern: {pattern}"
            )));
        }
    }
    Ok(())
}

fn resources_shape(declared: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    let Some(declared) = declared.filter(|declared| !declared.is_empty()) else {
        return Err(invalid(
            "Template format error: At least one Resources member must be defined.",
        ));
    };
    if declared.len() > MOST_RESOURCES {
        return Err(limit("resources", declared.len(), MOST_RESOURCES));
    }
    let mut strange = BTreeSet::new();
    for (logical, resource) in declared {
        let Some(resource) = resource.as_object() else {
            return Err(invalid("Template format error: Any Resources member must be an object."));
        };
        let Some(kind) = resource.get("Type").and_then(Value::as_str) else {
            return Err(invalid(format!(
                "Template format error: [/Resources/{logical}] Every Resources object must contain a Type member."
            )));
        };
        if let Some(odd) = unknown(resource, RESOURCE_MEMBERS).first() {
            return Err(invalid(format!("Invalid template resource property '{odd}'")));
        }
        if resource.get("Properties").is_some_and(|properties| !properties.is_object()) {
            return Err(invalid(format!(
                "Template format error: [/Resources/{logical}/Properties] Properties must be an object."
            )));
        }
        for name in ["DeletionPolicy", "UpdateReplacePolicy"] {
            policy_shape(logical, name, resource.get(name))?;
        }
        if kinds::find(kind).is_none() {
            strange.insert(kind);
        }
    }
    if strange.is_empty() {
        return Ok(());
    }
    let strange: Vec<&str> = strange.into_iter().collect();
    Err(invalid(format!(
        "Template format error: Unrecognized resource types: [{}]",
        strange.join(", ")
    )))
}

fn policy_shape(logical: &str, name: &str, policy: Option<&Value>) -> Result<(), ApiError> {
    match policy {
        None => Ok(()),
        Some(Value::String(value)) => {
            let known = matches!(value.as_str(), "Delete" | "Retain" | "Snapshot")
                || name == "DeletionPolicy" && value == "RetainExceptOnCreate";
            if known {
                return Ok(());
            }
            Err(invalid(format!(
                "Template format error: Unrecognized {name} {value} for resource {logical}"
            )))
        }
        Some(_) => {
            Err(invalid(format!("Template format error: Every {name} member must be a string.")))
        }
    }
}

fn outputs_shape(declared: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    let Some(declared) = declared else {
        return Ok(());
    };
    if declared.len() > MOST_OUTPUTS {
        return Err(limit("outputs", declared.len(), MOST_OUTPUTS));
    }
    for output in declared.values() {
        if output.get("Value").is_none() {
            return Err(invalid(
                "Template format error: Every Outputs member must contain a Value object",
            ));
        }
    }
    Ok(())
}

fn limit(what: &str, count: usize, most: usize) -> ApiError {
    invalid(format!(
        "Template format error: Number of {what}, {count}, is greater than maximum allowed, {most}"
    ))
}

/// Checks that whatever is referred to exists, and that nothing waits for itself.
pub(super) fn references(template: &Template) -> Result<(), ApiError> {
    if let Some(transform) = template.transforms().into_iter().next() {
        return Err(invalid(format!("No transform named {transform} found.")));
    }
    let mut missing = BTreeSet::new();
    for resource in template.resources() {
        if let Some(condition) = resource.condition()
            && !template.section("Conditions").contains_key(condition)
        {
            return Err(invalid(format!(
                "Template format error: Unresolved condition dependency {condition} in the Resources block of the template"
            )));
        }
        let declared = resource.dependencies(template);
        missing.extend(
            declared.into_iter().filter(|name| !template.section("Resources").contains_key(name)),
        );
        if let Some(properties) = resource.properties() {
            check_all(template, &Value::Object(properties.clone()), &mut missing)?;
        }
    }
    refuse(&missing, "Resources")?;
    let mut missing = BTreeSet::new();
    for output in template.section("Outputs").values() {
        check_all(template, output, &mut missing)?;
    }
    refuse(&missing, "Outputs")?;
    check_conditions(template)?;
    check_cycles(template)
}

fn refuse(missing: &BTreeSet<String>, block: &str) -> Result<(), ApiError> {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    Err(invalid(format!(
        "Template format error: Unresolved resource dependencies [{}] in the {block} block of the template",
        names.join(", ")
    )))
}

fn check_all(
    template: &Template,
    value: &Value,
    missing: &mut BTreeSet<String>,
) -> Result<(), ApiError> {
    for reference in find_references(value) {
        match reference {
            Reference::Name(name) => {
                let known = name.starts_with("AWS::")
                    || template.section("Parameters").contains_key(&name)
                    || template.section("Resources").contains_key(&name);
                if !known {
                    missing.insert(name);
                }
            }
            Reference::Attribute { resource, attribute, in_sub } => {
                let Some(target) = template.resource(&resource) else {
                    return Err(invalid(if in_sub {
                        format!(
                            "Template error: instance of Fn::Sub references invalid resource attribute {resource}.{attribute}"
                        )
                    } else {
                        format!(
                            "Template error: instance of Fn::GetAtt references undefined resource {resource}"
                        )
                    }));
                };
                if !target.kind.has_attribute(&attribute) {
                    return Err(invalid(format!(
                        "Template error: resource {resource} does not support attribute type {attribute} in Fn::GetAtt"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn check_conditions(template: &Template) -> Result<(), ApiError> {
    let conditions = template.section("Conditions");
    for section in ["Resources", "Outputs", "Conditions"] {
        for member in template.section(section).values() {
            let mut used = Vec::new();
            collect_conditions(member, &mut used);
            if let Some(missing) = used.iter().find(|name| !conditions.contains_key(**name)) {
                return Err(invalid(format!(
                    "Template error: unresolved condition dependency {missing} in Fn::If"
                )));
            }
        }
    }
    let mut resources = BTreeSet::new();
    for expression in conditions.values() {
        for reference in find_references(expression) {
            let name = reference.name();
            if !name.starts_with("AWS::") && !template.section("Parameters").contains_key(name) {
                resources.insert(name.to_owned());
            }
        }
    }
    if resources.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = resources.into_iter().collect();
    Err(invalid(format!(
        "Template format error: Unresolved dependencies [{}]. Cannot reference resources in the Conditions block of the template",
        names.join(", ")
    )))
}

fn collect_conditions<'a>(value: &'a Value, used: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_conditions(item, used)),
        Value::Object(members) => {
            for (name, member) in members {
                if name == "Fn::If"
                    && let Some(condition) = member.get(0).and_then(Value::as_str)
                {
                    used.push(condition);
                }
                collect_conditions(member, used);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_cycles(template: &Template) -> Result<(), ApiError> {
    let mut waiting: BTreeMap<String, BTreeSet<String>> = template
        .resources()
        .map(|resource| (resource.logical.to_owned(), resource.dependencies(template)))
        .collect();
    loop {
        let ready: Vec<String> = waiting
            .iter()
            .filter(|(_, needs)| !needs.iter().any(|need| waiting.contains_key(need)))
            .map(|(logical, _)| logical.clone())
            .collect();
        if ready.is_empty() {
            break;
        }
        for logical in ready {
            waiting.remove(&logical);
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = waiting.into_keys().collect();
    Err(invalid(format!("Circular dependency between resources: [{}]", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_templates_are_refused_in_the_services_words() {
        let topic = "Resources: {R: {Type: AWS::SNS::Topic}}\n";
        let rows = [
            ("{\"Resource\": {}}".to_owned(), "Invalid template property or properties [Resource]"),
            ("Parameters: {A: {Type: String}}".to_owned(), "Template format error: At least one Resources member must be defined."),
            ("Resources: {R: x}".to_owned(), "Template format error: Any Resources member must be an object."),
            ("Resources: {R: {Properties: {}}}".to_owned(), "Template format error: [/Resources/R] Every Resources object must contain a Type member."),
            ("Resources: {R: {Type: AWS::SNS::Topic, Invalid: 1}}".to_owned(), "Invalid template resource property 'Invalid'"),
            ("Resources: {R: {Type: AWS::Made::Up}}".to_owned(), "Template format error: Unrecognized resource types: [AWS::Made::Up]"),
            ("Resources: {R-1: {Type: AWS::SNS::Topic}}".to_owned(), "Template format error: Resource name R-1 is non alphanumeric."),
            ("Resources: {R: {Type: AWS::SNS::Topic, DeletionPolicy: Keep}}".to_owned(), "Template format error: Unrecognized DeletionPolicy Keep for resource R"),
            (format!("{topic}AWSTemplateFormatVersion: '2012-10-17'"), "Template format error: 2012-10-17 is not a supported value for AWSTemplateFormatVersion."),
            (format!("{topic}Parameters: {{A: {{Default: x}}}}"), "Template format error: Every Parameters object must contain a Type member."),
            (format!("{topic}Parameters: {{A: {{Type: Text}}}}"), "Template format error: Unrecognized parameter type: Text"),
            (format!("{topic}Outputs: {{A: {{Description: x}}}}"), "Template format error: Every Outputs member must contain a Value object"),
            (format!("{topic}Outputs: {{A: {{Value: !Ref Q}}}}"), "Template format error: Unresolved resource dependencies [Q] in the Outputs block of the template"),
            ("Resources: {R: {Type: AWS::SNS::Topic, DependsOn: [Q, P], Properties: {TopicName: !Sub '${N}'}}}".to_owned(), "Template format error: Unresolved resource dependencies [N, P, Q] in the Resources block of the template"),
            ("Resources: {R: {Type: AWS::SNS::Topic, Condition: Q}}".to_owned(), "Template format error: Unresolved condition dependency Q in the Resources block of the template"),
            ("Resources: {R: {Type: AWS::SNS::Topic, Properties: {TopicName: !If [Q, a, b]}}}".to_owned(), "Template error: unresolved condition dependency Q in Fn::If"),
            ("Resources: {R: {Type: AWS::SNS::Topic, Properties: {TopicName: !GetAtt Q.Arn}}}".to_owned(), "Template error: instance of Fn::GetAtt references undefined resource Q"),
            ("Resources: {R: {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub '${Q.Arn}'}}}".to_owned(), "Template error: instance of Fn::Sub references invalid resource attribute Q.Arn"),
            (format!("{topic}Outputs: {{A: {{Value: !GetAtt R.Nope}}}}"), "Template error: resource R does not support attribute type Nope in Fn::GetAtt"),
            (format!("{topic}Conditions: {{C: !Equals [!Ref R, x]}}"), "Template format error: Unresolved dependencies [R]. Cannot reference resources in the Conditions block of the template"),
            ("Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, B: {Type: AWS::SNS::Topic, DependsOn: A}, C: {Type: AWS::SNS::Topic}}".to_owned(), "Circular dependency between resources: [A, B]"),
            (format!("{topic}Transform: AWS::LanguageExtensions"), "No transform named AWS::LanguageExtensions found."),
        ];
        for (text, message) in rows {
            assert_eq!(Template::parse(&text), Err(invalid(message)), "{text}");
        }
    }
}
