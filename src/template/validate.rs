//! Checks a template without AWS: what it refers to is there, and nested stacks get the parameters that they need.
//!
//! CloudFormation's own check (`ValidateTemplate`) looks at neither of the two.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{catalogue::TemplateId, document::Document};

/// The most bytes of a template that is sent inline (`TemplateBody`, `CreateChangeSet` in the API model).
const LONGEST_INLINE: usize = 51_200;

/// Returns everything that is wrong with a template of this program, a sentence each.
pub fn problems(template: TemplateId) -> Vec<String> {
    let document = match Document::parse(template.text()) {
        Ok(document) => document,
        Err(error) => return vec![crate::error::chain(&error).join(": ")],
    };
    let mut problems = references(&document);
    if template.text().len() > LONGEST_INLINE {
        let bytes = template.text().len();
        problems
            .push(format!("it has {bytes} bytes; CloudFormation takes {LONGEST_INLINE} inline"));
    }
    for child in template.children() {
        if let Ok(nested) = Document::parse(child.template.text()) {
            problems.extend(nested_parameters(&document, child.resource, &nested));
        }
    }
    problems
}

/// Returns the references that lead nowhere.
fn references(document: &Document) -> Vec<String> {
    let names: BTreeSet<&str> = document
        .resources()
        .into_keys()
        .chain(document.section("Parameters").into_keys())
        .collect();
    let conditions: BTreeSet<&str> = document.section("Conditions").into_keys().collect();
    let known = |name: &str| name.starts_with("AWS::") || names.contains(name);
    let mut problems = BTreeSet::new();
    for section in ["Resources", "Outputs", "Conditions"] {
        for (name, value) in document.section(section) {
            let mut miss = |what: String| {
                problems.insert(format!("{section}.{name}: {what}"));
            };
            if let Some(condition) = value.get("Condition").and_then(Value::as_str)
                && !conditions.contains(condition)
            {
                miss(format!("there is no condition `{condition}`"));
            }
            walk(value, &mut |function, argument| {
                let missing = match function {
                    "Ref" => argument.as_str().filter(|name| !known(name)).map(str::to_owned),
                    "Fn::GetAtt" => target_of_attribute(argument).filter(|name| !known(name)),
                    "Fn::Sub" => placeholders(argument).into_iter().find(|name| !known(name)),
                    "Fn::If" => argument
                        .get(0)
                        .and_then(Value::as_str)
                        .filter(|name| !conditions.contains(name))
                        .map(|name| format!("condition {name}")),
                    _ => None,
                };
                if let Some(missing) = missing {
                    miss(format!("{function} leads to `{missing}`, which is not there"));
                }
            });
        }
    }
    problems.into_iter().collect()
}

/// Calls `visit` for every function in a value.
fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                if object.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) {
                    visit(name, inner);
                }
                walk(inner, visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn target_of_attribute(argument: &Value) -> Option<String> {
    match argument {
        Value::String(text) => text.split('.').next().map(str::to_owned),
        Value::Array(parts) => parts.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

/// Returns what `${…}` in a text refers to, without those that the function itself defines.
fn placeholders(argument: &Value) -> Vec<String> {
    let (text, own) = match argument {
        Value::String(text) => (text.as_str(), None),
        Value::Array(parts) => {
            (parts.first().and_then(Value::as_str).unwrap_or_default(), parts.get(1))
        }
        _ => return Vec::new(),
    };
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(inside, _)| inside)
        .filter(|inside| !inside.starts_with('!'))
        .filter(|inside| own.and_then(|own| own.get(*inside)).is_none())
        .filter_map(|inside| inside.split('.').next().map(|name| name.trim().to_owned()))
        .collect()
}

/// Returns where what a nested stack is given and what it declares do not go together.
fn nested_parameters(parent: &Document, resource: &str, nested: &Document) -> Vec<String> {
    let resources = parent.resources();
    let Some(stack) = resources.get(resource) else {
        return vec![format!("there is no nested stack `{resource}`")];
    };
    let given = stack.get("Properties").and_then(|properties| properties.get("Parameters"));
    let given: BTreeSet<&str> = given
        .and_then(Value::as_object)
        .map(|given| given.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let declared = nested.parameters();
    let unknown = given
        .iter()
        .filter(|name| !declared.iter().any(|parameter| parameter.name == **name))
        .map(|name| format!("{resource}: the nested template has no parameter `{name}`"));
    let missing = declared
        .iter()
        .filter(|parameter| parameter.default.is_none() && !given.contains(parameter.name.as_str()))
        .map(|parameter| format!("{resource}: its parameter `{}` is not given", parameter.name));
    unknown.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_of_this_program_are_sound() {
        for template in TemplateId::ALL {
            assert_eq!(problems(template), Vec::<String>::new(), "{}", template.path());
        }
    }

    #[test]
    fn references_that_lead_nowhere_are_named() {
        let text = "
Parameters: {P: {Type: String}}
Conditions: {Yes: !Equals [!Ref P, a]}
Resources:
  A:
    Type: AWS::SNS::Topic
    Condition: No
    Properties:
      One: !Ref Gone
      Two: !GetAtt Lost.Arn
      Three: !Sub '${P}-${AWS::Region}-${!Literal}-${Away.Arn}'
      Four: !Sub ['${Own}', {Own: !Ref P}]
      Five: !If [Never, !Ref P, !Ref AWS::NoValue]
      Six: !If [Yes, !GetAtt [A, Arn], x]
";
        let found = references(&Document::parse(text).unwrap()).join("\n");
        for name in ["`No`", "`Gone`", "`Lost`", "`Away`", "`condition Never`"] {
            assert!(found.contains(name), "{name} in {found}");
        }
        assert_eq!(found.lines().count(), 5, "{found}");
    }

    #[test]
    fn a_nested_stack_gets_what_it_declares() {
        let parent = Document::parse(
            "Resources: {S: {Type: AWS::CloudFormation::Stack, Properties: {Parameters: {A: x, C: y}}}}",
        )
        .unwrap();
        let nested = Document::parse(
            "Parameters: {A: {Type: String}, B: {Type: String}}\nResources: {T: {Type: AWS::SNS::Topic}}",
        )
        .unwrap();
        let found = nested_parameters(&parent, "S", &nested);
        assert_eq!(
            found,
            ["S: the nested template has no parameter `C`", "S: its parameter `B` is not given"]
        );
    }
}
