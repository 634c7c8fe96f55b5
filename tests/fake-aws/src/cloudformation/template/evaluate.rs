//! Evaluates intrinsic functions. Pure: what exists is asked through [`Lookup`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::references::{self, Reference};
use super::{Declared, KNOWN_AFTER_APPLY, Parameters, Template};

/// What the pseudo parameters say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pseudo {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) notification_arns: Vec<String>,
}

impl Pseudo {
    pub(crate) fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    pub(crate) fn url_suffix(&self) -> &'static str {
        url_suffix(&self.region)
    }
}

/// Returns the partition of a region.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// Returns the DNS suffix of a region.
pub(crate) fn url_suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// What is known of resources and exports. The error is the service's message.
pub(crate) trait Lookup {
    /// Returns what `Ref` gives for a resource.
    fn reference(&self, logical: &str) -> Result<Value, String>;
    /// Returns what `Fn::GetAtt` gives.
    fn attribute(&self, logical: &str, attribute: &str) -> Result<Value, String>;
    /// Returns what `Fn::ImportValue` gives.
    fn import(&self, export: &str) -> Result<String, String>;
}

/// Everything that an expression can see.
pub(crate) struct Scope<'a> {
    pub(crate) template: &'a Template,
    pub(crate) parameters: &'a Parameters,
    pub(crate) pseudo: &'a Pseudo,
    pub(crate) lookup: &'a dyn Lookup,
}

/// An evaluated expression; nothing when it is `AWS::NoValue`.
type Evaluated = Result<Option<Value>, String>;

/// Conditions refer to each other at most this deep; deeper ones refer to themselves.
const DEEPEST_CONDITION: usize = 50;

impl Scope<'_> {
    /// Tells whether a resource or output with this condition is wanted.
    pub(crate) fn holds(&self, condition: Option<&str>) -> Result<bool, String> {
        condition.map_or(Ok(true), |name| self.condition(name, 0))
    }

    /// Evaluates a resource's properties.
    pub(crate) fn properties(&self, resource: &Declared<'_>) -> Result<Value, String> {
        let properties = resource.properties().map(|all| Value::Object(all.clone()));
        let evaluated = self.evaluate(&properties.unwrap_or_else(|| Value::Object(Map::new())))?;
        Ok(evaluated.unwrap_or_else(|| Value::Object(Map::new())))
    }

    pub(crate) fn evaluate(&self, value: &Value) -> Evaluated {
        self.at(value, 0)
    }

    fn condition(&self, name: &str, depth: usize) -> Result<bool, String> {
        if depth > DEEPEST_CONDITION {
            return Err(format!(
                "Template error: Found circular condition dependency between {name} and {name}"
            ));
        }
        let Some(expression) = self.template.section("Conditions").get(name) else {
            return Err(format!(
                "Template error: unresolved condition dependency {name} in Fn::If"
            ));
        };
        self.truth(expression, depth + 1)
    }

    fn truth(&self, expression: &Value, depth: usize) -> Result<bool, String> {
        match self.at(expression, depth)? {
            Some(Value::Bool(value)) => Ok(value),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            _ => {
                Err("Template error: every Condition member must evaluate to a boolean.".to_owned())
            }
        }
    }

    fn at(&self, value: &Value, depth: usize) -> Evaluated {
        match value {
            Value::Object(members) => {
                let mut only = members.iter();
                if let (Some((name, argument)), None) = (only.next(), only.next())
                    && (name == "Ref"
                        || name == "Condition" && argument.is_string()
                        || name.starts_with("Fn::"))
                {
                    return self.function(name, argument, depth);
                }
                let mut object = Map::new();
                for (name, member) in members {
                    if let Some(member) = self.at(member, depth)? {
                        object.insert(name.clone(), member);
                    }
                }
                Ok(Some(Value::Object(object)))
            }
            Value::Array(items) => {
                let mut list = Vec::new();
                for item in items {
                    list.extend(self.at(item, depth)?);
                }
                Ok(Some(Value::Array(list)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn function(&self, name: &str, argument: &Value, depth: usize) -> Evaluated {
        match name {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Condition" => {
                self.condition(argument.as_str().unwrap_or_default(), depth).map(|value| Some(Value::Bool(value)))
            }
            "Fn::If" => {
                let [condition, yes, no] = self.arguments(name, argument)?;
                let chosen =
                    if self.condition(condition.as_str().unwrap_or_default(), depth)? { yes } else { no };
                self.at(chosen, depth)
            }
            "Fn::Equals" => {
                let [left, right] = self.arguments(name, argument)?;
                let equal = comparable(self.at(left, depth)?) == comparable(self.at(right, depth)?);
                Ok(Some(Value::Bool(equal)))
            }
            "Fn::Not" => {
                let [inner] = self.arguments(name, argument)?;
                Ok(Some(Value::Bool(!self.truth(inner, depth)?)))
            }
            "Fn::And" | "Fn::Or" => {
                let mut values = Vec::new();
                for item in argument.as_array().into_iter().flatten() {
                    values.push(self.truth(item, depth)?);
                }
                let all = name == "Fn::And";
                let value = if all { values.iter().all(|value| *value) } else { values.contains(&true) };
                Ok(Some(Value::Bool(value)))
            }
            "Fn::GetAtt" => match references::get_att(argument) {
                Some(Reference::Attribute { resource, attribute, .. }) => {
                    self.lookup.attribute(&resource, &attribute).map(Some)
                }
                _ => Err("Template error: Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute".to_owned()),
            },
            "Fn::Sub" => self.sub(argument, depth),
            "Fn::Join" => {
                let [separator, list] = self.arguments(name, argument)?;
                let list = self.list(name, list, depth)?;
                let texts: Vec<String> = list.iter().map(scalar).collect();
                Ok(Some(Value::String(texts.join(separator.as_str().unwrap_or_default()))))
            }
            "Fn::Split" => {
                let [separator, source] = self.arguments(name, argument)?;
                let source = self.at(source, depth)?.as_ref().map(scalar).unwrap_or_default();
                if source.contains(KNOWN_AFTER_APPLY) {
                    return Ok(Some(Value::Array(vec![Value::String(source)])));
                }
                let parts = source.split(separator.as_str().unwrap_or(",")).map(Value::from).collect();
                Ok(Some(Value::Array(parts)))
            }
            "Fn::Select" => {
                let [index, list] = self.arguments(name, argument)?;
                let index = self.at(index, depth)?.as_ref().map(scalar).unwrap_or_default();
                let list = self.list(name, list, depth)?;
                select(&index, &list).map(Some)
            }
            "Fn::FindInMap" => self.find_in_map(argument, depth),
            "Fn::ImportValue" => {
                let export = self.at(argument, depth)?.as_ref().map(scalar).unwrap_or_default();
                self.lookup.import(&export).map(|value| Some(Value::String(value)))
            }
            "Fn::Base64" => {
                let text = self.at(argument, depth)?.as_ref().map(scalar).unwrap_or_default();
                Ok(Some(Value::String(STANDARD.encode(text))))
            }
            "Fn::GetAZs" => {
                let region = &self.pseudo.region;
                let zones = ["a", "b", "c"].iter().map(|zone| Value::String(format!("{region}{zone}")));
                Ok(Some(zones.collect()))
            }
            other => Err(format!("Template validation error: Template error: unsupported intrinsic function {other}")),
        }
    }

    fn arguments<'v, const COUNT: usize>(
        &self,
        name: &str,
        argument: &'v Value,
    ) -> Result<[&'v Value; COUNT], String> {
        let items: Vec<&Value> = match argument {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        items.try_into().map_err(|_| {
            let count = COUNT;
            format!("Template error: {name} requires a list argument with {count} elements")
        })
    }

    fn list(&self, name: &str, value: &Value, depth: usize) -> Result<Vec<Value>, String> {
        match self.at(value, depth)? {
            Some(Value::Array(items)) => Ok(items),
            Some(Value::String(text)) if text.contains(KNOWN_AFTER_APPLY) => {
                Ok(vec![Value::String(text)])
            }
            _ => Err(format!("Template error: {name} requires a list argument")),
        }
    }

    fn reference(&self, name: &str) -> Evaluated {
        let pseudo = self.pseudo;
        let text = match name {
            "AWS::AccountId" => &pseudo.account,
            "AWS::Region" => &pseudo.region,
            "AWS::StackName" => &pseudo.stack_name,
            "AWS::StackId" => &pseudo.stack_id,
            "AWS::Partition" => pseudo.partition(),
            "AWS::URLSuffix" => pseudo.url_suffix(),
            "AWS::NoValue" => return Ok(None),
            "AWS::NotificationARNs" => {
                let arns = pseudo.notification_arns.iter().map(|arn| Value::String(arn.clone()));
                return Ok(Some(arns.collect()));
            }
            _ => {
                return match self.parameters.get(name) {
                    Some(parameter) => Ok(Some(parameter.evaluated())),
                    None => self.lookup.reference(name).map(Some),
                };
            }
        };
        Ok(Some(Value::String(text.to_owned())))
    }

    fn sub(&self, argument: &Value, depth: usize) -> Evaluated {
        let own = match argument {
            Value::Array(items) => items.get(1).and_then(Value::as_object),
            _ => None,
        };
        let text = match argument {
            Value::Array(items) => items.first().and_then(Value::as_str),
            other => other.as_str(),
        };
        let Some(mut rest) = text else {
            return Err("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string".to_owned());
        };
        let mut result = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err("Template error: Fn::Sub contains an unclosed variable".to_owned());
            };
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
                continue;
            }
            let name = name.trim();
            let value = match own.and_then(|own| own.get(name)) {
                Some(expression) => self.at(expression, depth)?,
                None => match name.split_once('.') {
                    Some((resource, attribute)) => {
                        Some(self.lookup.attribute(resource, attribute)?)
                    }
                    None => self.reference(name)?,
                },
            };
            result.push_str(&value.as_ref().map(scalar).unwrap_or_default());
        }
        result.push_str(rest);
        Ok(Some(Value::String(result)))
    }

    fn find_in_map(&self, argument: &Value, depth: usize) -> Evaluated {
        let [map, first, second] = self.arguments("Fn::FindInMap", argument)?;
        let mut keys = Vec::new();
        for key in [map, first, second] {
            keys.push(self.at(key, depth)?.as_ref().map(scalar).unwrap_or_default());
        }
        let mappings = self.template.section("Mappings");
        let mut names = keys.iter();
        let mut found = names.next().and_then(|name| mappings.get(name));
        if found.is_none() {
            let name = keys.first().map_or("", String::as_str);
            return Err(format!(
                "Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
            ));
        }
        for name in names {
            found = found.and_then(|map| map.get(name));
        }
        found
            .map(|value| Some(value.clone()))
            .ok_or_else(|| format!("Template error: Unable to get mapping for {}", keys.join("::")))
    }
}

/// Writes a scalar as CloudFormation does when it needs a text.
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn comparable(value: Option<Value>) -> Option<String> {
    value.as_ref().map(scalar)
}

fn select(index: &str, list: &[Value]) -> Result<Value, String> {
    if let [Value::String(only)] = list
        && only.contains(KNOWN_AFTER_APPLY)
    {
        return Ok(Value::String(KNOWN_AFTER_APPLY.to_owned()));
    }
    index.parse::<usize>().ok().and_then(|index| list.get(index)).cloned().ok_or_else(|| {
        format!("Template error: Fn::Select cannot select nonexistent value at index {index}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::ParameterValue;
    use super::*;

    struct Known;

    impl Lookup for Known {
        fn reference(&self, logical: &str) -> Result<Value, String> {
            Ok(json!(format!("physical-{logical}")))
        }
        fn attribute(&self, logical: &str, attribute: &str) -> Result<Value, String> {
            Ok(json!(format!("{logical}/{attribute}")))
        }
        fn import(&self, export: &str) -> Result<String, String> {
            Err(format!("No export named {export} found."))
        }
    }

    fn check(expression: &Value, expected: Result<Option<Value>, &str>) {
        let template = Template::parse(
            "
Parameters: {P: {Type: String}, L: {Type: CommaDelimitedList}, U: {Type: String}}
Mappings: {M: {eu: {x: '1'}}}
Conditions:
  IsX: !Equals [!Ref P, x]
  Neither: !Not [!Or [!Condition IsX, !Equals [a, b]]]
Resources: {R: {Type: AWS::SNS::Topic}}
",
        )
        .unwrap();
        let parameters = Parameters::from_iter([
            ("P".to_owned(), ParameterValue::text("x")),
            ("L".to_owned(), ParameterValue::list("a, b")),
            ("U".to_owned(), ParameterValue::text(KNOWN_AFTER_APPLY)),
        ]);
        let pseudo = Pseudo {
            account: "111122223333".to_owned(),
            region: "cn-north-1".to_owned(),
            stack_name: "s".to_owned(),
            stack_id: "arn:s".to_owned(),
            notification_arns: Vec::new(),
        };
        let scope =
            Scope { template: &template, parameters: &parameters, pseudo: &pseudo, lookup: &Known };
        assert_eq!(scope.evaluate(expression), expected.map_err(str::to_owned), "{expression}");
    }

    #[test]
    fn functions_give_what_cloudformation_gives() {
        let rows = [
            (json!({"Ref": "P"}), json!("x")),
            (json!({"Ref": "L"}), json!(["a", "b"])),
            (json!({"Ref": "R"}), json!("physical-R")),
            (json!({"Ref": "AWS::Partition"}), json!("aws-cn")),
            (
                json!({"Fn::Sub": "a-${P}-${R.Arn}-${!P}-${AWS::URLSuffix}"}),
                json!("a-x-R/Arn-${P}-amazonaws.com.cn"),
            ),
            (json!({"Fn::Sub": ["${Q}${P}", {"Q": {"Ref": "AWS::Region"}}]}), json!("cn-north-1x")),
            (json!({"Fn::Join": ["-", ["a", 1, true]]}), json!("a-1-true")),
            (json!({"Fn::Select": ["1", {"Fn::Split": [":", "a:b:c"]}]}), json!("b")),
            (
                json!({"Fn::Select": [4, {"Fn::Split": [":", {"Ref": "U"}]}]}),
                json!(KNOWN_AFTER_APPLY),
            ),
            (json!({"Fn::FindInMap": ["M", "eu", "x"]}), json!("1")),
            (
                json!({"Fn::If": ["IsX", {"A": {"Ref": "AWS::NoValue"}, "B": 1}, "no"]}),
                json!({"B": 1}),
            ),
            (json!({"Fn::If": ["Neither", "yes", "no"]}), json!("no")),
            (json!([{"Fn::If": ["Neither", "a", {"Ref": "AWS::NoValue"}]}, "b"]), json!(["b"])),
        ];
        for (expression, expected) in rows {
            check(&expression, Ok(Some(expected)));
        }
        check(&json!({"Ref": "AWS::NoValue"}), Ok(None));
    }

    #[test]
    fn expressions_that_fail_say_so_in_the_services_words() {
        let rows = [
            (
                json!({"Fn::FindInMap": ["N", "eu", "x"]}),
                "Template error: Mapping named 'N' is not present in the 'Mappings' section of template.",
            ),
            (
                json!({"Fn::FindInMap": ["M", "us", "x"]}),
                "Template error: Unable to get mapping for M::us::x",
            ),
            (
                json!({"Fn::Select": ["7", ["a"]]}),
                "Template error: Fn::Select cannot select nonexistent value at index 7",
            ),
            (json!({"Fn::ImportValue": "e"}), "No export named e found."),
        ];
        for (expression, message) in rows {
            check(&expression, Err(message));
        }
    }
}
