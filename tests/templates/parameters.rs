//! Parameters: what is refused, what is accepted, and that templates agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use mtlog::template::catalogue::TemplateId;
use serde_json::Value;

use super::{
    deployment::{CENTRAL_ACCOUNT, OHIO, Place, Refusal, deploy},
    document::Template,
    world::{IMAGE, ISSUER},
};

const CENTRAL_ROLE: &str =
    "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";

/// Values for all required parameters of a template.
fn required(id: TemplateId) -> Vec<(&'static str, &'static str)> {
    const POLICY: &str = "arn:aws:iam::111111111111:policy/p";
    const QUEUE: &str = "arn:aws:sqs:us-east-2:111111111111:queue";
    const TABLE: &str = "arn:aws:dynamodb:us-east-2:111111111111:table/tenants";
    const BUCKET: &str = "arn:aws:s3:::logs-bucket";
    match id {
        TemplateId::Global => vec![],
        TemplateId::Regional => {
            vec![("CentralLogDistributionRoleArn", CENTRAL_ROLE), ("TemplateBucket", "templates")]
        }
        TemplateId::Core | TemplateId::Customer => {
            vec![("CentralLogDistributionRoleArn", CENTRAL_ROLE)]
        }
        TemplateId::Sqs => {
            vec![("LogDeliveryTopicArn", "arn:aws:sns:us-east-2:111111111111:topic")]
        }
        TemplateId::Lambda => vec![
            ("CentralLogDistributionRoleArn", CENTRAL_ROLE),
            ("CentralLoggingBucketArn", BUCKET),
            ("ECRImageUri", IMAGE),
            ("SQSDLQArn", QUEUE),
            ("SQSQueueArn", QUEUE),
            ("SQSQueueUrl", "https://sqs.us-east-2.amazonaws.com/111111111111/queue"),
            ("TenantConfigTableArn", TABLE),
            ("TenantConfigTableName", "tenants"),
        ],
        TemplateId::Observability => {
            vec![("LogDeliveryQueueName", "queue"), ("LogDeliveryDLQName", "dlq")]
        }
        TemplateId::ClusterVector => vec![
            ("CentralS3WriterPolicyArn", POLICY),
            ("ClusterName", "blue"),
            ("OIDCProviderURL", ISSUER),
            ("VectorAssumeRolePolicyArn", POLICY),
        ],
        TemplateId::ClusterProcessor => vec![
            ("CentralLogDistributionRoleArn", CENTRAL_ROLE),
            ("CentralLoggingBucketArn", BUCKET),
            ("ClusterName", "blue"),
            ("LogDeliveryDLQArn", QUEUE),
            ("LogDeliveryQueueArn", QUEUE),
            ("OIDCProviderURL", ISSUER),
            ("TenantConfigTableArn", TABLE),
        ],
    }
}

fn with(
    id: TemplateId,
    changes: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    let mut parameters: BTreeMap<_, _> = required(id).into_iter().collect();
    parameters.extend(changes.iter().copied());
    parameters.into_iter().collect()
}

fn check(id: TemplateId, changes: &[(&'static str, &'static str)], expected: Result<(), Refusal>) {
    let result = deploy(id, OHIO, &with(id, changes)).map(|_| ());
    assert_eq!(result, expected, "{id:?} {changes:?}");
}

#[test]
fn every_template_deploys_with_its_required_parameters_and_not_without_one_of_them() {
    for id in TemplateId::ALL {
        check(id, &[], Ok(()));
        for (left_out, _) in required(id) {
            let rest: Vec<_> =
                required(id).into_iter().filter(|(name, _)| *name != left_out).collect();
            let expected = match left_out {
                "TemplateBucket" => Refusal::Rule("TemplatesCanBeFound".to_owned()),
                other => Refusal::Missing(other.to_owned()),
            };
            assert_eq!(
                deploy(id, OHIO, &rest).map(|_| ()),
                Err(expected),
                "{id:?} without {left_out}"
            );
        }
    }
}

#[test]
fn every_switch_in_every_combination_deploys_or_is_refused_with_a_reason() {
    const SWITCHES: [&str; 5] = [
        "IncludeSQSStack",
        "IncludeLambdaStack",
        "IncludeObservabilityStack",
        "EnableS3Encryption",
        "EnableDeletionProtection",
    ];
    const TEXTS: [(&str, &str); 6] = [
        ("EksOidcIssuer", "https://oidc.eks.us-east-2.amazonaws.com/id/AB12"),
        ("S3KeyPrefix", "logs/"),
        ("RandomSuffix", "0123abcd"),
        ("AccessLogBucketName", "access-logs"),
        ("OperatorRoleArns", "arn:aws:iam::111111111111:role/Operators"),
        ("AlarmEmail", "oncall@example.com"),
    ];
    // Every switch with every other, and the texts one by one, none and all: they touch nothing that
    // another text touches.
    let none_of_them = 0;
    let all_of_them = (1 << TEXTS.len()) - 1;
    let text_choices = (0..TEXTS.len()).map(|bit| 1_u32 << bit).chain([none_of_them, all_of_them]);
    let mut deployed = 0;
    for (switches, texts) in text_choices
        .flat_map(|texts| (0..1_u32 << SWITCHES.len()).map(move |switches| (switches, texts)))
    {
        let is_on = |bit: usize| switches & (1 << bit) != 0;
        let has_text = |bit: usize| texts & (1 << bit) != 0;
        let mut changes = vec![("ECRImageUri", IMAGE), ("EksClusterName", "eks-1")];
        changes.extend(
            SWITCHES
                .iter()
                .enumerate()
                .map(|(bit, name)| (*name, if is_on(bit) { "true" } else { "false" })),
        );
        changes.extend(
            TEXTS.iter().enumerate().filter(|(bit, _)| has_text(*bit)).map(|(_, text)| *text),
        );
        let result = deploy(TemplateId::Regional, OHIO, &with(TemplateId::Regional, &changes));
        let (queue, lambda, alarms) = (is_on(0), is_on(1), is_on(2));
        match result {
            Ok(stack) => {
                deployed += 1;
                assert!(queue || !(lambda || alarms), "{changes:?}");
                for (name, value) in &stack.outputs {
                    assert!(!value.is_empty(), "{name} is empty with {changes:?}");
                }
                for (output, expected) in [
                    ("LogDeliveryQueueUrl", queue),
                    ("LogDeliveryDLQArn", queue),
                    ("LogDistributorFunctionArn", lambda),
                    ("AlarmTopicArn", alarms),
                    ("KMSKeyArn", is_on(3)),
                    ("VectorRoleArn", has_text(0)),
                    ("CentralS3WriterRoleArn", has_text(0)),
                    ("S3KeyPrefix", has_text(1)),
                ] {
                    assert_eq!(
                        stack.outputs.contains_key(output),
                        expected,
                        "{output} with {changes:?}"
                    );
                }
            }
            Err(Refusal::Rule(rule)) => {
                assert!(!queue && (lambda || alarms), "{rule} refuses {changes:?}");
            }
            Err(other) => panic!("{other:?} with {changes:?}"),
        }
    }
    assert_eq!(deployed, 5 * 4 * 8, "queue with or without each of two, or none of the three");
}

#[test]
fn every_template_deploys_in_every_partition() {
    for (partition, url_suffix, region) in [
        ("aws-cn", "amazonaws.com.cn", "cn-north-1"),
        ("aws-us-gov", "amazonaws.com", "us-gov-west-1"),
    ] {
        let place = Place { partition, url_suffix, account: CENTRAL_ACCOUNT, region };
        for id in TemplateId::ALL {
            let parameters: Vec<(&str, String)> = with(id, &[])
                .into_iter()
                .map(|(name, value)| {
                    let moved = value.replace("arn:aws:", &format!("arn:{partition}:"));
                    (name, moved.replace("us-east-2", region))
                })
                .collect();
            let borrowed: Vec<(&str, &str)> =
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let stack = deploy(id, place, &borrowed).unwrap();
            let text = format!("{:?} {:?}", stack.resources, stack.outputs);
            assert!(!text.contains("arn:aws:"), "{id:?} names another partition: {text}");
            assert!(!text.contains("us-east-2"), "{id:?} names another region: {text}");
        }
    }
}

/// A template, a parameter, a value, and whether it is accepted.
const VALUES: &[(TemplateId, &str, &str, bool)] = &[
    (TemplateId::Global, "RandomSuffix", "123456 ", false),
    (TemplateId::Global, "RandomSuffix", "1234567", false),
    (TemplateId::Global, "RandomSuffix", "ABCDEF01", false),
    (
        TemplateId::Global,
        "OperatorRoleArns",
        "arn:aws:iam::111111111111:role/a,arn:aws:iam::111111111111:role/p/b",
        true,
    ),
    (TemplateId::Global, "OperatorRoleArns", "*", false),
    (TemplateId::Global, "OperatorRoleArns", "arn:aws:iam::111111111111:root", false),
    (
        TemplateId::Customer,
        "CentralLogDistributionRoleArn",
        "arn:aws-cn:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd",
        true,
    ),
    (
        TemplateId::Customer,
        "CentralLogDistributionRoleArn",
        "arn:aws:iam::111111111111:role/log-distributor-role",
        false,
    ),
    (
        TemplateId::Customer,
        "CentralLogDistributionRoleArn",
        "arn:aws:iam::1111:role/ROSA-CentralLogDistributionRole-0123abcd",
        false,
    ),
    (TemplateId::Customer, "ExternalId", "x", false),
    (TemplateId::Customer, "ExternalId", "has space", false),
    (TemplateId::Customer, "ExternalId", "a+b=c,d.e@f:g/h-i_j", true),
    (TemplateId::Customer, "LogGroupPrefix", "", false),
    (TemplateId::Customer, "LogGroupPrefix", "*", false),
    (TemplateId::Customer, "RolePath", "/a", false),
    (TemplateId::Customer, "RolePath", "/a/b/", true),
    (TemplateId::Customer, "PermissionsBoundaryArn", "boundary", false),
    (
        TemplateId::Customer,
        "PermissionsBoundaryArn",
        "arn:aws:iam::aws:policy/PowerUserAccess",
        true,
    ),
    (TemplateId::ClusterVector, "OIDCProviderURL", "oidc.op1.openshiftapps.com/abc123", true),
    (
        TemplateId::ClusterVector,
        "OIDCProviderURL",
        "https://oidc.eks.us-east-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
        true,
    ),
    (
        TemplateId::ClusterVector,
        "OIDCProviderURL",
        "rh-oidc.s3.us-east-1.amazonaws.com/22abc",
        true,
    ),
    (TemplateId::ClusterVector, "OIDCProviderURL", "https://oidc.example.com:8443/path", true),
    (TemplateId::ClusterVector, "OIDCProviderURL", "http://oidc.example.com", false),
    (TemplateId::ClusterVector, "OIDCProviderURL", "https://oidc.example.com/", false),
    (TemplateId::ClusterVector, "OIDCProviderURL", "oidc.example.com/a\"b", false),
    (TemplateId::ClusterVector, "OIDCAudience", "sts.amazonaws.com", true),
    (TemplateId::ClusterVector, "OIDCAudience", "anything", false),
    (TemplateId::ClusterVector, "ServiceAccountNamespace", "Logging", false),
    (TemplateId::ClusterProcessor, "ServiceAccountName", "log\"processor", false),
    (
        TemplateId::ClusterProcessor,
        "KMSKeyArn",
        "arn:aws:kms:us-east-2:111111111111:key/mrk-1234",
        true,
    ),
    (TemplateId::ClusterProcessor, "KMSKeyArn", "alias/logging", false),
    (TemplateId::Core, "S3KeyPrefix", "logs/", true),
    (TemplateId::Core, "S3KeyPrefix", "a/b/c/", true),
    (TemplateId::Core, "S3KeyPrefix", "logs", false),
    (TemplateId::Core, "S3KeyPrefix", "/", false),
    (TemplateId::Core, "S3KeyPrefix", "*/", false),
    (TemplateId::Core, "S3DeleteAfterDays", "0", false),
    (TemplateId::Core, "S3DeleteAfterDays", "1.5", false),
    (TemplateId::Core, "EnableS3Encryption", "yes", false),
    (TemplateId::Sqs, "MaxReceiveCount", "0", false),
    (TemplateId::Sqs, "LambdaTimeoutSeconds", "301", false),
    (TemplateId::Lambda, "ECRImageUri", "log-processor:latest", false),
    (
        TemplateId::Lambda,
        "ECRImageUri",
        "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor",
        false,
    ),
    (
        TemplateId::Lambda,
        "ECRImageUri",
        "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b:v1.0",
        true,
    ),
    (TemplateId::Lambda, "ECRImageUri", "111111111111.dkr-ecr.us-east-2.on.aws/a:b", true),
    (TemplateId::Lambda, "MaximumConcurrency", "1", false),
    (TemplateId::Lambda, "MaximumConcurrency", "2", true),
    (TemplateId::Lambda, "MaximumConcurrency", "1000", true),
    (TemplateId::Lambda, "MaximumConcurrency", "1001", false),
    (TemplateId::Lambda, "LogRetentionDays", "15", false),
    (TemplateId::Observability, "AlarmEmail", "nobody", false),
    (TemplateId::Regional, "CoreTemplateUrl", "s3://bucket/key", false),
    (TemplateId::Regional, "TemplateBucket", "Bucket", false),
    (TemplateId::Regional, "EksClusterName", "-", false),
];

#[test]
fn bad_values_are_refused_before_anything_is_made() {
    for (id, name, value, accepted) in VALUES {
        let expected =
            if *accepted { Ok(()) } else { Err(Refusal::Constraint((*name).to_owned())) };
        check(*id, &[(name, value)], expected);
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let refused = |rule: &str| Err(Refusal::Rule(rule.to_owned()));
    let lambda = ("IncludeLambdaStack", "true");
    let rows: [(&[(&str, &str)], _); 7] = [
        (&[lambda], refused("LambdaNeedsQueueAndImage")),
        (&[lambda, ("ECRImageUri", IMAGE)], Ok(())),
        (
            &[lambda, ("ECRImageUri", IMAGE), ("IncludeSQSStack", "false")],
            refused("LambdaNeedsQueueAndImage"),
        ),
        (
            &[("IncludeObservabilityStack", "true"), ("IncludeSQSStack", "false")],
            refused("AlarmsNeedQueue"),
        ),
        (&[("EksOidcIssuer", ISSUER)], refused("EksClusterHasAName")),
        (
            &[
                ("TemplateBucket", ""),
                ("CoreTemplateUrl", "https://s3.us-east-2.amazonaws.com/b/c"),
            ],
            refused("TemplatesCanBeFound"),
        ),
        (
            &[
                ("TemplateBucket", ""),
                ("CoreTemplateUrl", "https://s3.us-east-2.amazonaws.com/b/c"),
                ("SqsTemplateUrl", "https://s3.us-east-2.amazonaws.com/b/s"),
                ("LambdaTemplateUrl", "https://s3.us-east-2.amazonaws.com/b/l"),
                ("ObservabilityTemplateUrl", "https://s3.us-east-2.amazonaws.com/b/o"),
            ],
            Ok(()),
        ),
    ];
    for (changes, expected) in rows {
        check(TemplateId::Regional, changes, expected);
    }
    check(TemplateId::Core, &[("EksOidcIssuer", ISSUER)], refused("EksClusterHasAName"));
}

#[test]
fn an_update_that_forgets_the_queue_switch_keeps_the_queue() {
    // Without a value CloudFormation takes the default on a first deployment and for new parameters.
    let main = Template::of(TemplateId::Regional);
    assert_eq!(main.section("Parameters")["IncludeSQSStack"]["Default"], "true");
    assert_eq!(main.section("Parameters")["IncludeLambdaStack"]["Default"], "false");
}

#[test]
fn child_templates_come_from_the_given_url_or_the_template_bucket() {
    let url = |changes| {
        let stack =
            deploy(TemplateId::Regional, OHIO, &with(TemplateId::Regional, changes)).unwrap();
        stack.resources["CoreInfrastructureStack"].properties["TemplateURL"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        url(&[]),
        "https://s3.us-east-2.amazonaws.com/templates/cloudformation/templates/core-infrastructure.yaml"
    );
    let given = "https://s3.us-east-2.amazonaws.com/b/mtlog/0a.yaml";
    assert_eq!(url(&[("CoreTemplateUrl", given)]), given);
}

#[test]
fn every_parameter_says_what_it_is_for_and_what_would_be_right() {
    for template in Template::all() {
        for (name, parameter) in template.section("Parameters") {
            let context = format!("{}: {name}", template.id.path());
            let sentence = |key: &str| {
                let text =
                    parameter[key].as_str().unwrap_or_else(|| panic!("{context} has no {key}"));
                assert!(text.trim_end().ends_with('.'), "{context}: {key} is no sentence: {text}");
                // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
                assert!(text.len() <= 4000, "{context}");
            };
            sentence("Description");
            let is_switch = parameter["AllowedValues"] == serde_json::json!(["true", "false"]);
            let is_choice =
                parameter["Type"] == "String" && parameter.get("AllowedValues").is_some();
            if !is_switch && !is_choice {
                sentence("ConstraintDescription");
                let constrained = ["AllowedPattern", "AllowedValues", "MinValue"]
                    .iter()
                    .any(|key| parameter.get(*key).is_some());
                assert!(constrained, "{context} takes anything");
            }
        }
    }
}

#[test]
fn parameters_of_one_name_mean_the_same_in_every_template() {
    let mut seen: BTreeMap<String, (Value, &'static str)> = BTreeMap::new();
    for template in Template::all() {
        for (name, parameter) in template.section("Parameters") {
            // The regional stack may do without an image, which the Lambda stack may not, and each
            // cluster role has a service account of its own.
            if name == "ECRImageUri" || name == "ServiceAccountName" {
                continue;
            }
            let shape: Value =
                ["Type", "Default", "AllowedPattern", "AllowedValues", "MinValue", "MaxValue"]
                    .iter()
                    .map(|key| parameter.get(*key).cloned().unwrap_or_default())
                    .collect();
            let (first, path) =
                seen.entry(name.clone()).or_insert_with(|| (shape.clone(), template.id.path()));
            assert_eq!(&shape, first, "{name} in {} and {path}", template.id.path());
        }
    }
}

#[test]
fn the_regional_stack_passes_on_every_parameter_that_its_children_share_with_it() {
    let main = Template::of(TemplateId::Regional);
    let own = main.section("Parameters");
    // Set by the regional stack from other stacks' outputs, or fixed for all of this project.
    let not_offered: BTreeSet<&str> = ["BatchSize", "MaxBatchSize", "RetryAttempts"].into();
    for child in TemplateId::Regional.children() {
        let passed = main.property(child.resource, &["Parameters"]).as_object().unwrap().clone();
        for name in Template::of(child.template).section("Parameters").keys() {
            if own.contains_key(name) || !not_offered.contains(name.as_str()) {
                assert!(passed.contains_key(name), "{} does not get {name}", child.resource);
            }
        }
    }
}
