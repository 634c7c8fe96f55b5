//! Works out what a template comes to: parameters checked, conditions and functions resolved, child
//! stacks included. Anything unknown is a panic, since a template with it would not deploy.

use std::collections::BTreeMap;

use mtlog::template::catalogue::TemplateId;
use serde_json::{Map, Value, json};

use super::{constraints::checked_parameters, document::Template, physical};

/// Where a stack is deployed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) partition: &'static str,
    pub(crate) url_suffix: &'static str,
    pub(crate) account: &'static str,
    pub(crate) region: &'static str,
}

/// Why CloudFormation would refuse the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A parameter that the template does not have.
    Unknown(String),
    /// A required parameter without a value.
    Missing(String),
    /// A value that breaks the parameter's constraints.
    Constraint(String),
    /// A rule that does not hold.
    Rule(String),
}

/// A resource as CloudFormation would make it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) properties: Value,
}

/// A stack as CloudFormation would make it. Resources of child stacks are named `Child/Resource`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deployed {
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) outputs: BTreeMap<String, String>,
    /// Names of exports, with their values.
    pub(crate) exports: BTreeMap<String, String>,
}

pub(crate) const CENTRAL_ACCOUNT: &str = "111111111111";
pub(crate) const OHIO: Place = Place {
    partition: "aws",
    url_suffix: "amazonaws.com",
    account: CENTRAL_ACCOUNT,
    region: "us-east-2",
};

/// Deploys a template of this project.
pub(crate) fn deploy(
    id: TemplateId,
    place: Place,
    parameters: &[(&str, &str)],
) -> Result<Deployed, Refusal> {
    let given =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    deploy_template(Template::of(id), place, given)
}

/// Deploys a template.
pub(crate) fn deploy_template(
    template: &Template,
    place: Place,
    given: BTreeMap<String, String>,
) -> Result<Deployed, Refusal> {
    let parameters = checked_parameters(template, given)?;
    let stack = Stack { template, place, parameters, children: BTreeMap::new() };
    stack.check_rules()?;
    stack.create()
}

/// Resolves the functions in one stack.
struct Stack<'a> {
    template: &'a Template,
    place: Place,
    parameters: BTreeMap<String, String>,
    children: BTreeMap<String, Deployed>,
}

impl Stack<'_> {
    fn check_rules(&self) -> Result<(), Refusal> {
        for (name, rule) in self.template.section("Rules") {
            let applies = rule.get("RuleCondition").is_none_or(|condition| self.holds(condition));
            let assertions = rule["Assertions"].as_array().unwrap();
            if applies && !assertions.iter().all(|assertion| self.holds(&assertion["Assert"])) {
                return Err(Refusal::Rule(name.clone()));
            }
        }
        Ok(())
    }

    fn create(mut self) -> Result<Deployed, Refusal> {
        let mut deployed = Deployed::default();
        // Child stacks refer to each other's outputs, in the order in which main.yaml lists them.
        for child in self.template.id.children() {
            let resource = self.template.resource(child.resource);
            if !self.is_wanted(resource) {
                continue;
            }
            let properties = self.value(&resource["Properties"]);
            assert!(properties["TemplateURL"].is_string(), "{}", child.resource);
            let given =
                properties["Parameters"].as_object().unwrap().iter().map(|(name, value)| {
                    (
                        name.clone(),
                        value
                            .as_str()
                            .unwrap_or_else(|| panic!("{}: {name} is {value}", child.resource))
                            .to_owned(),
                    )
                });
            let child_stack =
                deploy_template(Template::of(child.template), self.place, given.collect())?;
            for (name, resource) in &child_stack.resources {
                deployed.resources.insert(format!("{}/{name}", child.resource), resource.clone());
            }
            self.children.insert(child.resource.to_owned(), child_stack);
        }
        for (name, resource) in self.template.section("Resources") {
            if self.is_wanted(resource) {
                let kind = resource["Type"].as_str().unwrap().to_owned();
                self.check_dependencies(name, resource);
                deployed.resources.insert(
                    name.clone(),
                    Resource { kind, properties: self.value(&resource["Properties"]) },
                );
            }
        }
        for (name, output) in self.template.section("Outputs") {
            if !self.is_wanted(output) {
                continue;
            }
            let value = self.text(&output["Value"]);
            if let Some(export) = output.get("Export") {
                deployed.exports.insert(self.text(&export["Name"]), value.clone());
            }
            deployed.outputs.insert(name.clone(), value);
        }
        Ok(deployed)
    }

    fn check_dependencies(&self, name: &str, resource: &Value) {
        let wanted = match resource.get("DependsOn") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => {
                several.iter().map(|one| one.as_str().unwrap()).collect()
            }
            _ => Vec::new(),
        };
        for dependency in wanted {
            assert!(
                self.template.section("Resources").contains_key(dependency),
                "{name} depends on {dependency}"
            );
        }
    }

    fn is_wanted(&self, item: &Value) -> bool {
        item.get("Condition").is_none_or(|name| self.condition(name.as_str().unwrap()))
    }

    fn condition(&self, name: &str) -> bool {
        let conditions = self.template.section("Conditions");
        self.holds(conditions.get(name).unwrap_or_else(|| panic!("no condition {name}")))
    }

    fn holds(&self, condition: &Value) -> bool {
        let (function, argument) =
            only_entry(condition).unwrap_or_else(|| panic!("condition {condition}"));
        let parts = || argument.as_array().unwrap();
        match function {
            "Condition" => self.condition(argument.as_str().unwrap()),
            "Fn::Equals" => self.text(&parts()[0]) == self.text(&parts()[1]),
            "Fn::Not" => !self.holds(&parts()[0]),
            "Fn::And" => parts().iter().all(|part| self.holds(part)),
            "Fn::Or" => parts().iter().any(|part| self.holds(part)),
            other => panic!("{other} is no condition function"),
        }
    }

    fn text(&self, value: &Value) -> String {
        let resolved = self.value(value);
        resolved.as_str().unwrap_or_else(|| panic!("{value} is {resolved}, not text")).to_owned()
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => {
                values.iter().map(|value| self.value(value)).filter(|v| !v.is_null()).collect()
            }
            Value::Object(entries) => {
                if let Some((function, argument)) = only_entry(value)
                    && (function == "Ref" || function.starts_with("Fn::"))
                {
                    return self.function(function, argument);
                }
                let kept: Map<String, Value> = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.value(value)))
                    .filter(|(_, value)| !value.is_null())
                    .collect();
                Value::Object(kept)
            }
            other => other.clone(),
        }
    }

    fn function(&self, name: &str, argument: &Value) -> Value {
        match name {
            "Ref" => self.reference(argument.as_str().unwrap()),
            "Fn::GetAtt" => {
                self.attribute(argument[0].as_str().unwrap(), argument[1].as_str().unwrap())
            }
            "Fn::Sub" => self.substitution(argument),
            "Fn::If" => {
                let branch = if self.condition(argument[0].as_str().unwrap()) { 1 } else { 2 };
                self.value(&argument[branch])
            }
            "Fn::Join" => {
                let parts: Vec<String> = self
                    .value(&argument[1])
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| part.as_str().unwrap().to_owned())
                    .collect();
                json!(parts.join(argument[0].as_str().unwrap()))
            }
            "Fn::Split" => {
                let separator = argument[0].as_str().unwrap();
                self.text(&argument[1]).split(separator).map(Value::from).collect()
            }
            "Fn::Select" => {
                let index: usize = argument[0].as_str().unwrap().parse().unwrap();
                let list = self.value(&argument[1]);
                list.get(index).unwrap_or_else(|| panic!("no item {index} in {list}")).clone()
            }
            "Fn::FindInMap" => {
                let keys: Vec<String> =
                    argument.as_array().unwrap().iter().map(|key| self.text(key)).collect();
                let mappings = Value::Object(self.template.section("Mappings").clone());
                let found = keys.iter().fold(&mappings, |value, key| &value[key.as_str()]);
                assert!(!found.is_null(), "nothing in map {keys:?}");
                found.clone()
            }
            other => panic!("unknown function {other}"),
        }
    }

    fn reference(&self, name: &str) -> Value {
        let place = self.place;
        match name {
            "AWS::NoValue" => Value::Null,
            "AWS::Partition" => json!(place.partition),
            "AWS::URLSuffix" => json!(place.url_suffix),
            "AWS::AccountId" => json!(place.account),
            "AWS::Region" => json!(place.region),
            "AWS::StackName" => json!("stack"),
            "AWS::StackId" => json!(format!(
                "arn:{}:cloudformation:{}:{}:stack/stack/{}-1111-2222-3333-444444444444",
                place.partition,
                place.region,
                place.account,
                physical::stack_token(place)
            )),
            _ => match self.parameters.get(name) {
                Some(value) if self.is_list(name) => value.split(',').map(Value::from).collect(),
                Some(value) => json!(value),
                None => json!(physical::reference(&self.resource(name), place)),
            },
        }
    }

    fn is_list(&self, parameter: &str) -> bool {
        self.template.section("Parameters")[parameter]["Type"] == "CommaDelimitedList"
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Value {
        if let Some(output) = attribute.strip_prefix("Outputs.") {
            let child = self
                .children
                .get(resource)
                .unwrap_or_else(|| panic!("child stack {resource} is not there"));
            let value = child
                .outputs
                .get(output)
                .unwrap_or_else(|| panic!("{resource} has no output {output}"));
            return json!(value);
        }
        json!(physical::attribute(&self.resource(resource), attribute, self.place))
    }

    /// Returns the named resource with its own properties resolved. Panics if it is not made.
    fn resource(&self, name: &str) -> Resource {
        let resource = self.template.resource(name);
        assert!(resource.is_object(), "{:?}: no parameter or resource {name}", self.template.id);
        assert!(
            self.is_wanted(resource),
            "{:?}: {name} is not made under these parameters",
            self.template.id
        );
        // Only what its name is made of, because two resources may refer to each other elsewhere.
        let properties: Map<String, Value> = resource["Properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.ends_with("Name") || *key == "Path")
            .map(|(key, value)| (key.clone(), self.value(value)))
            .collect();
        Resource {
            kind: resource["Type"].as_str().unwrap().to_owned(),
            properties: Value::Object(properties),
        }
    }

    fn substitution(&self, argument: &Value) -> Value {
        let empty = json!({});
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), &empty),
            other => (other[0].as_str().unwrap(), &other[1]),
        };
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let (name, after) =
                after.split_once('}').unwrap_or_else(|| panic!("{text}: not closed"));
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.get(name) {
                result.push_str(&self.text(value));
            } else if let Some((resource, attribute)) = name.split_once('.') {
                result.push_str(self.attribute(resource, attribute).as_str().unwrap());
            } else {
                let value = self.reference(name);
                result.push_str(
                    value.as_str().unwrap_or_else(|| panic!("{name} in {text} is {value}")),
                );
            }
            rest = after;
        }
        json!(format!("{result}{rest}"))
    }
}

fn only_entry(value: &Value) -> Option<(&str, &Value)> {
    let entries = value.as_object()?;
    let (key, value) = entries.iter().next()?;
    (entries.len() == 1).then_some((key.as_str(), value))
}
