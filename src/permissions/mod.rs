//! The least policy that a command needs. Pure.
//!
//! Which calls a command makes is no claim: `calls.json` is what the tests saw, and a test compares the two.

mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use scope::Scope;

use crate::aws::permission;

/// What the tests saw each command call.
const CALLS: &str = include_str!("calls.json");

/// The table of calls, as it is stored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    schema: u32,
    commands: BTreeMap<String, BTreeSet<String>>,
}

/// A policy, in the order of fields in which people read one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    #[serde(rename = "Version")]
    version: &'static str,
    #[serde(rename = "Statement")]
    statements: Vec<Statement>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: String,
    effect: &'static str,
    action: Vec<String>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>>,
}

/// Returns the commands that are known, each with the calls that it makes (`service:Operation`).
///
/// # Errors
/// When the table in this program cannot be read, which a test rules out.
pub fn commands() -> Result<BTreeMap<String, BTreeSet<String>>, serde_json::Error> {
    let table: Table = serde_json::from_str(CALLS)?;
    if table.schema != 1 {
        return Err(serde::de::Error::custom("calls.json has another schema"));
    }
    Ok(table.commands)
}

/// Returns the policy that lets somebody make these calls in the scope, and nothing else.
pub fn policy<'a>(calls: impl IntoIterator<Item = &'a str>, scope: &Scope) -> Policy {
    let calls: BTreeSet<&str> = calls.into_iter().collect();
    let mut by_resource: BTreeMap<(&str, Vec<String>), BTreeSet<String>> = BTreeMap::new();
    for call in &calls {
        // Nobody can be refused this one.
        if *call == "sts:GetCallerIdentity" {
            continue;
        }
        let action = permission::of_call(call);
        let service = action.split(':').next().unwrap_or_default();
        by_resource
            .entry((service, scope.resources(action)))
            .or_default()
            .insert(action.to_owned());
    }
    let mut statements = Vec::new();
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for ((service, resource), actions) in by_resource {
        let number = numbers.entry(service).or_default();
        *number += 1;
        statements.push(Statement {
            sid: format!("{}{number}", name(service)),
            effect: "Allow",
            action: actions.into_iter().collect(),
            resource,
            condition: None,
        });
    }
    statements.extend(key_use(&calls, scope));
    Policy { version: "2012-10-17", statements }
}

/// A word that a statement's id may be.
fn name(service: &str) -> String {
    let mut letters = service.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The use of the pipeline's key, which is asked for on behalf of who reads or writes what it encrypts. No call of the
/// command itself shows it.
fn key_use(calls: &BTreeSet<&str>, scope: &Scope) -> Option<Statement> {
    let (mut actions, mut services) = (BTreeSet::new(), BTreeSet::new());
    for (call, service, needed) in [
        ("s3:GetObject", "s3", &["kms:Decrypt"][..]),
        ("s3:PutObject", "s3", &["kms:GenerateDataKey"]),
        ("sqs:ReceiveMessage", "sqs", &["kms:Decrypt"]),
        ("sqs:SendMessage", "sqs", &["kms:Decrypt", "kms:GenerateDataKey"]),
        ("dynamodb:Scan", "dynamodb", &["kms:Decrypt"]),
        ("dynamodb:Query", "dynamodb", &["kms:Decrypt"]),
        ("dynamodb:PutItem", "dynamodb", &["kms:Decrypt"]),
        ("dynamodb:UpdateItem", "dynamodb", &["kms:Decrypt"]),
        ("dynamodb:DeleteItem", "dynamodb", &["kms:Decrypt"]),
    ] {
        if calls.contains(call) {
            actions.extend(needed.iter().map(|action| (*action).to_owned()));
            services.insert(scope.via(service));
        }
    }
    (!actions.is_empty()).then(|| Statement {
        sid: "PipelineKey".to_owned(),
        effect: "Allow",
        action: actions.into_iter().collect(),
        resource: scope.keys(),
        condition: Some(
            [("StringLike", [("kms:ViaService", services.into_iter().collect())].into())].into(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_names_only_calls() {
        let commands = commands().unwrap();
        assert!(commands.len() > 10, "{commands:?}");
        let calls = commands.values().flatten();
        assert!(
            calls.into_iter().all(|call| call
                .split_once(':')
                .is_some_and(|(s, o)| !s.is_empty() && !o.is_empty()))
        );
    }

    #[test]
    fn a_policy_names_actions_and_resources_exactly() {
        let scope = Scope {
            partition: "aws".to_owned(),
            region: "us-east-2".to_owned(),
            account: "111122223333".to_owned(),
            project: "demo".to_owned(),
            environment: "staging".to_owned(),
        };
        let calls =
            ["sts:GetCallerIdentity", "s3:HeadBucket", "sqs:GetQueueAttributes", "dynamodb:Scan"];
        let policy = serde_json::to_value(policy(calls, &scope)).unwrap();
        let expected = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "Dynamodb1", "Effect": "Allow", "Action": ["dynamodb:Scan"],
                 "Resource": ["arn:aws:dynamodb:us-east-2:111122223333:table/demo-staging-*"]},
                {"Sid": "S31", "Effect": "Allow", "Action": ["s3:ListBucket"],
                 "Resource": ["arn:aws:s3:::demo-staging-central-*",
                              "arn:aws:s3:::mtlog-templates-111122223333-us-east-2"]},
                {"Sid": "Sqs1", "Effect": "Allow", "Action": ["sqs:GetQueueAttributes"],
                 "Resource": ["arn:aws:sqs:us-east-2:111122223333:demo-staging-log-delivery-*"]},
                {"Sid": "PipelineKey", "Effect": "Allow", "Action": ["kms:Decrypt"],
                 "Resource": ["arn:aws:kms:us-east-2:111122223333:key/*"],
                 "Condition": {"StringLike": {"kms:ViaService": ["dynamodb.us-east-2.amazonaws.com"]}}},
            ],
        });
        assert_eq!(policy, expected);
    }
}
