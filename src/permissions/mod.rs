//! The least policy that a command needs. Pure.
//!
//! Which calls a command makes is no claim: `calls.json` is what the tests saw, and a test compares the two.

mod resource;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::resource::is_on_object;
pub use self::resource::{Resource, Scope};
use crate::aws::permission;

/// What the tests saw each command call.
const CALLS: &str = include_str!("calls.json");

/// The calls of a command (`service:Operation`), each with what it is about.
pub type Calls = BTreeMap<String, BTreeSet<Resource>>;

/// The table of calls, as it is stored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    schema: u32,
    commands: BTreeMap<String, Calls>,
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
    condition: Option<Condition>,
}

type Condition = BTreeMap<&'static str, BTreeMap<&'static str, Vec<String>>>;

/// What AWS does on behalf of who makes a call, and holds against them: no call of the command itself shows it.
struct Implied {
    call: &'static str,
    about: Resource,
    /// Calls that must be allowed as well, and on what.
    needed: &'static [(&'static str, Resource)],
}

const IMPLIED: &[Implied] = &[
    // Nested templates are read by CloudFormation, as the one who asks for the change set
    // (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html>).
    Implied {
        call: "s3:PutObject",
        about: Resource::Templates,
        needed: &[("s3:GetObject", Resource::Templates)],
    },
    // Without it, S3 answers 403 instead of 404 for an object that has expired
    // (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
    Implied {
        call: "s3:GetObject",
        about: Resource::LogObjects,
        needed: &[("s3:ListObjectsV2", Resource::LogObjects)],
    },
    // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
    Implied {
        call: "sqs:StartMessageMoveTask",
        about: Resource::DeadLetters,
        needed: &[
            ("sqs:ReceiveMessage", Resource::DeadLetters),
            ("sqs:DeleteMessage", Resource::DeadLetters),
            ("sqs:GetQueueAttributes", Resource::DeadLetters),
            ("sqs:SendMessage", Resource::Queue),
        ],
    },
];

/// How the pipeline's key is used for somebody, and through which service.
const KEY_USE: [(&str, Resource, &str, &[&str]); 11] = [
    ("s3:GetObject", Resource::LogObjects, "s3", &["kms:Decrypt"]),
    ("s3:PutObject", Resource::LogObjects, "s3", &["kms:GenerateDataKey"]),
    ("sqs:ReceiveMessage", Resource::Queue, "sqs", &["kms:Decrypt"]),
    ("sqs:ReceiveMessage", Resource::DeadLetters, "sqs", &["kms:Decrypt"]),
    ("sqs:SendMessage", Resource::Queue, "sqs", &["kms:Decrypt", "kms:GenerateDataKey"]),
    ("sqs:SendMessage", Resource::DeadLetters, "sqs", &["kms:Decrypt", "kms:GenerateDataKey"]),
    ("dynamodb:Scan", Resource::Tenants, "dynamodb", &["kms:Decrypt"]),
    ("dynamodb:Query", Resource::Tenants, "dynamodb", &["kms:Decrypt"]),
    ("dynamodb:PutItem", Resource::Tenants, "dynamodb", &["kms:Decrypt"]),
    ("dynamodb:UpdateItem", Resource::Tenants, "dynamodb", &["kms:Decrypt"]),
    ("dynamodb:DeleteItem", Resource::Tenants, "dynamodb", &["kms:Decrypt"]),
];

/// Returns the commands that are known, each with the calls that it makes.
///
/// # Errors
/// When the table in this program cannot be read, which a test rules out.
pub fn commands() -> Result<BTreeMap<String, Calls>, serde_json::Error> {
    let table: Table = serde_json::from_str(CALLS)?;
    if table.schema != 2 {
        return Err(serde::de::Error::custom("calls.json has another schema"));
    }
    Ok(table.commands)
}

/// Returns the policy that lets somebody make these calls in the scope, and nothing else; `None` if nothing has to be
/// allowed for them.
pub fn policy(calls: &Calls, scope: &Scope) -> Option<Policy> {
    let wanted = with_implied(calls);
    let mut grouped: BTreeMap<(&str, Resource, bool), BTreeSet<String>> = BTreeMap::new();
    for (call, resource) in &wanted {
        // Nobody can be refused this one.
        if *call == "sts:GetCallerIdentity" {
            continue;
        }
        let action = permission::of_call(call);
        let service = action.split(':').next().unwrap_or_default();
        grouped
            .entry((service, *resource, is_on_object(action)))
            .or_default()
            .insert(action.to_owned());
    }
    let mut statements = Vec::new();
    for ((service, resource, on_object), actions) in grouped {
        let end = if on_object { "Objects" } else { "" };
        let first = actions.first().map(String::as_str).unwrap_or_default();
        statements.push(Statement {
            sid: format!("{}{}{end}", capitalised(service), resource.word()),
            effect: "Allow",
            resource: resource.arns(first, scope),
            action: actions.into_iter().collect(),
            condition: own_bucket(resource, scope),
        });
    }
    statements.extend(key_use(&wanted, scope));
    (!statements.is_empty()).then_some(Policy { version: "2012-10-17", statements })
}

fn with_implied(calls: &Calls) -> BTreeSet<(&str, Resource)> {
    let mut wanted: BTreeSet<(&str, Resource)> = calls
        .iter()
        .flat_map(|(call, resources)| resources.iter().map(|resource| (call.as_str(), *resource)))
        .collect();
    for Implied { call, about, needed } in IMPLIED {
        if wanted.contains(&(*call, *about)) {
            wanted.extend(needed.iter().copied());
        }
    }
    wanted
}

/// A word as it stands in a statement's id.
fn capitalised(service: &str) -> String {
    let mut letters = service.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The ARN of a bucket names no account, and the bucket's name ends in a suffix that is not known here: a bucket of
/// somebody else must not be meant.
fn own_bucket(resource: Resource, scope: &Scope) -> Option<Condition> {
    let account = &scope.account;
    (resource == Resource::LogObjects && account != "*")
        .then(|| [("StringEquals", [("aws:ResourceAccount", vec![account.clone()])].into())].into())
}

/// The use of the pipeline's key, which is asked for on behalf of who reads or writes what it encrypts.
fn key_use(wanted: &BTreeSet<(&str, Resource)>, scope: &Scope) -> Option<Statement> {
    let (mut actions, mut services) = (BTreeSet::new(), BTreeSet::new());
    for (call, about, service, needed) in KEY_USE {
        if wanted.contains(&(call, about)) {
            actions.extend(needed.iter().map(|action| (*action).to_owned()));
            services.extend(scope.via(service));
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
    use mtlog_processor::model::arn::Partition;

    use super::*;

    fn scope(regions: &[&str]) -> Scope {
        Scope {
            partition: Partition::Aws,
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            account: "111122223333".to_owned(),
            project: "demo".to_owned(),
            environment: "staging".to_owned(),
            repository: "log-processor".to_owned(),
        }
    }

    fn calls(rows: &[(&str, Resource)]) -> Calls {
        let mut calls = Calls::new();
        for (call, resource) in rows {
            calls.entry((*call).to_owned()).or_default().insert(*resource);
        }
        calls
    }

    #[test]
    fn a_policy_names_actions_and_resources_exactly() {
        let calls = calls(&[
            ("sts:GetCallerIdentity", Resource::Anything),
            ("s3:HeadBucket", Resource::LogObjects),
            ("s3:PutObject", Resource::Templates),
            ("sqs:GetQueueAttributes", Resource::Queue),
            ("dynamodb:Scan", Resource::Tenants),
        ]);
        let policy = serde_json::to_value(policy(&calls, &scope(&["us-east-2"]))).unwrap();
        let expected = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "DynamodbTenants", "Effect": "Allow", "Action": ["dynamodb:Scan"],
                 "Resource": ["arn:aws:dynamodb:us-east-2:111122223333:table/demo-staging-tenant-deliveries"]},
                {"Sid": "S3TemplatesObjects", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
                 "Resource": ["arn:aws:s3:::mtlog-templates-111122223333-us-east-2/*"]},
                {"Sid": "S3Logs", "Effect": "Allow", "Action": ["s3:ListBucket"],
                 "Resource": ["arn:aws:s3:::demo-staging-central-*"],
                 "Condition": {"StringEquals": {"aws:ResourceAccount": ["111122223333"]}}},
                {"Sid": "SqsQueue", "Effect": "Allow", "Action": ["sqs:GetQueueAttributes"],
                 "Resource": ["arn:aws:sqs:us-east-2:111122223333:demo-staging-log-delivery-queue"]},
                {"Sid": "PipelineKey", "Effect": "Allow", "Action": ["kms:Decrypt"],
                 "Resource": ["arn:aws:kms:us-east-2:111122223333:key/*"],
                 "Condition": {"StringLike": {"kms:ViaService": ["dynamodb.us-east-2.amazonaws.com"]}}},
            ],
        });
        assert_eq!(policy, expected);
    }

    #[test]
    fn several_regions_are_named_one_by_one() {
        let calls = calls(&[("sqs:ReceiveMessage", Resource::DeadLetters)]);
        let policy = policy(&calls, &scope(&["us-east-2", "eu-west-1"])).unwrap();
        assert_eq!(
            policy.statements[0].resource,
            [
                "arn:aws:sqs:us-east-2:111122223333:demo-staging-log-delivery-dlq",
                "arn:aws:sqs:eu-west-1:111122223333:demo-staging-log-delivery-dlq",
            ]
        );
    }

    #[test]
    fn what_nobody_can_be_refused_needs_no_policy() {
        let calls = calls(&[("sts:GetCallerIdentity", Resource::Anything)]);
        assert_eq!(policy(&calls, &scope(&["us-east-2"])), None);
        assert_eq!(policy(&Calls::new(), &scope(&["us-east-2"])), None);
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>: a managed policy holds so many
    /// characters, white space left out.
    const LARGEST_POLICY: usize = 6144;

    #[test]
    fn each_policy_fits_into_a_managed_policy_and_its_statements_have_ids_of_their_own() {
        for (command, calls) in commands().unwrap() {
            let Some(policy) = policy(&calls, &scope(&["ap-southeast-1"])) else { continue };
            let length = serde_json::to_string(&policy).unwrap().len();
            assert!(length <= LARGEST_POLICY, "{command}: {length}");
            let ids: BTreeSet<&str> = policy.statements.iter().map(|s| s.sid.as_str()).collect();
            assert_eq!(ids.len(), policy.statements.len(), "{command}: {policy:#?}");
            assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric())), "{ids:?}");
        }
    }
}
