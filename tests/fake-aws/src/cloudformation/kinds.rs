//! What CloudFormation knows of a resource type: its name, its id, its attributes, what replaces it.

use serde_json::Value;

use super::kinds_table::KINDS;
use super::template::{Pseudo, scalar};

/// A resource type, as far as stacks need to know it.
///
/// `physical` and the attributes are patterns with `{partition}`, `{region}`, `{account}`,
/// `{suffix}`, `{name}`, `{path}`, `{physical}`, `{uuid}`, `{id}` (a generated id) and
/// `{prop:Name}` (a property).
#[derive(Debug, PartialEq)]
pub(crate) struct Kind {
    /// The type, such as `AWS::S3::Bucket`.
    pub(crate) name: &'static str,
    /// What `Ref` gives.
    pub(crate) physical: &'static str,
    pub(crate) attributes: &'static [(&'static str, &'static str)],
    /// The property that gives the resource its own name.
    pub(crate) name_property: Option<&'static str>,
    /// Where no second resource of this type may have the same name.
    pub(crate) unique: Unique,
    /// Properties that cannot change without a new resource.
    pub(crate) create_only: &'static [&'static str],
    pub(crate) required: &'static [&'static str],
    /// All properties; empty when they are not listed here.
    pub(crate) properties: &'static [&'static str],
    /// The longest name that the service takes.
    pub(crate) longest_name: usize,
    pub(crate) is_iam: bool,
    pub(crate) is_taggable: bool,
    /// Its creation shows `CONFIGURATION_COMPLETE` before it is complete.
    pub(crate) is_eventual: bool,
}

/// Where a name must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unique {
    /// Nowhere: the type has no names.
    No,
    /// In one region of an account.
    Region,
    /// In all regions of an account, as in IAM.
    Account,
    /// Among all accounts of a partition, as in S3.
    Partition,
}

/// The type of nested stacks.
pub(crate) const STACK: &str = "AWS::CloudFormation::Stack";

/// Finds a type by its name.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// What a pattern is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) pseudo: &'a Pseudo,
    pub(crate) name: &'a str,
    pub(crate) physical: &'a str,
    pub(crate) uuid: &'a str,
    pub(crate) id: &'a str,
    pub(crate) properties: &'a Value,
}

impl Kind {
    pub(crate) fn is_stack(&self) -> bool {
        self.name == STACK
    }

    pub(crate) fn has_attribute(&self, attribute: &str) -> bool {
        if self.is_stack() {
            return attribute.strip_prefix("Outputs.").is_some_and(|output| !output.is_empty());
        }
        self.attributes.iter().any(|(name, _)| *name == attribute)
    }

    /// Returns the name that the properties give the resource.
    pub(crate) fn own_name(&self, properties: &Value) -> Option<String> {
        properties.get(self.name_property?).map(scalar)
    }

    /// Returns the value of an attribute.
    pub(crate) fn attribute(&self, attribute: &str, filling: &Filling<'_>) -> Option<String> {
        let (_, pattern) = self.attributes.iter().find(|(name, _)| *name == attribute)?;
        Some(fill(pattern, filling))
    }

    /// Returns what `Ref` gives.
    pub(crate) fn physical(&self, filling: &Filling<'_>) -> String {
        fill(self.physical, filling)
    }

    /// Returns the properties that are wrong: missing ones and ones that do not exist.
    pub(crate) fn complaints(&self, properties: &Value) -> Vec<Complaint> {
        let names: Vec<&String> =
            properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
        let missing =
            self.required.iter().filter(|required| !names.iter().any(|name| name == *required));
        let odd = names.iter().filter(|name| {
            !self.properties.is_empty() && !self.properties.contains(&name.as_str())
        });
        missing
            .map(|name| Complaint::Missing((*name).to_owned()))
            .chain(odd.map(|name| Complaint::Unsupported((*name).clone())))
            .collect()
    }
}

/// What is wrong with a resource's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    Missing(String),
    Unsupported(String),
}

fn fill(pattern: &str, filling: &Filling<'_>) -> String {
    let mut result = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        result.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        match name {
            "partition" => result.push_str(filling.pseudo.partition()),
            "region" => result.push_str(&filling.pseudo.region),
            "account" => result.push_str(&filling.pseudo.account),
            "suffix" => result.push_str(filling.pseudo.url_suffix()),
            "name" => result.push_str(filling.name),
            "physical" => result.push_str(filling.physical),
            "uuid" => result.push_str(filling.uuid),
            "id" => result.push_str(filling.id),
            "path" => {
                let path = filling.properties.get("Path").map_or_else(|| "/".to_owned(), scalar);
                result.push_str(&path);
            }
            other => {
                let property =
                    other.strip_prefix("prop:").and_then(|name| filling.properties.get(name));
                result.push_str(&property.map(scalar).unwrap_or_default());
            }
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_and_attributes_look_like_those_of_aws() {
        let pseudo = Pseudo {
            account: "111122223333".to_owned(),
            region: "us-gov-west-1".to_owned(),
            stack_name: "s".to_owned(),
            stack_id: "arn:s".to_owned(),
            notification_arns: Vec::new(),
        };
        let rows = [
            ("AWS::S3::Bucket", "Ref", "x"),
            ("AWS::S3::Bucket", "Arn", "arn:aws-us-gov:s3:::x"),
            ("AWS::SQS::Queue", "Ref", "https://sqs.us-gov-west-1.amazonaws.com/111122223333/x"),
            ("AWS::SQS::Queue", "Arn", "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:x"),
            ("AWS::SQS::Queue", "QueueName", "x"),
            ("AWS::SNS::Topic", "Ref", "arn:aws-us-gov:sns:us-gov-west-1:111122223333:x"),
            ("AWS::SNS::Topic", "TopicName", "x"),
            (
                "AWS::DynamoDB::Table",
                "Arn",
                "arn:aws-us-gov:dynamodb:us-gov-west-1:111122223333:table/x",
            ),
            ("AWS::IAM::Role", "Arn", "arn:aws-us-gov:iam::111122223333:role/p/x"),
            ("AWS::IAM::ManagedPolicy", "Ref", "arn:aws-us-gov:iam::111122223333:policy/p/x"),
            ("AWS::KMS::Key", "Arn", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/u"),
            (
                "AWS::Logs::LogGroup",
                "Arn",
                "arn:aws-us-gov:logs:us-gov-west-1:111122223333:log-group:x:*",
            ),
            (
                "AWS::Lambda::Function",
                "Arn",
                "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:x",
            ),
            (
                "AWS::CloudWatch::Alarm",
                "Arn",
                "arn:aws-us-gov:cloudwatch:us-gov-west-1:111122223333:alarm:x",
            ),
        ];
        for (kind, attribute, expected) in rows {
            let kind = find(kind).unwrap();
            let properties = json!({"Path": "/p/"});
            let mut filling = Filling {
                pseudo: &pseudo,
                name: "x",
                physical: "",
                uuid: "u",
                id: "i",
                properties: &properties,
            };
            let physical = kind.physical(&filling);
            filling.physical = &physical;
            let value = if attribute == "Ref" {
                Some(physical.clone())
            } else {
                kind.attribute(attribute, &filling)
            };
            assert_eq!(value.as_deref(), Some(expected), "{} {attribute}", kind.name);
        }
    }

    #[test]
    fn wrong_properties_are_named() {
        let policy = find("AWS::SQS::QueuePolicy").unwrap();
        assert_eq!(
            policy.complaints(&json!({"Queues": [], "Polcy": {}})),
            [
                Complaint::Missing("PolicyDocument".to_owned()),
                Complaint::Unsupported("Polcy".to_owned())
            ]
        );
    }
}
