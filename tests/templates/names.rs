//! Names: they fit everywhere, and nothing collides with another region or environment.

use std::collections::{BTreeMap, BTreeSet};

use mtlog::{onboard::rules::KNOWN_REGIONS, template::catalogue::TemplateId};
use regex_lite::Regex;
use serde_json::Value;

use super::{
    deployment::{Deployed, OHIO, Place, Refusal, Resource, deploy},
    physical,
    world::{IMAGE, ISSUER, list},
};

/// Regions of the partitions that mtlog does not know, as cfn-lint lists them in 2026, and the
/// longest of them once more under another name in case AWS adds one of that length.
const FURTHER_REGIONS: &[&str] = &[
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "eu-isoe-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "eusc-de-east-1",
    "xx-xxxxxxxxxx-1",
];

const LONGEST_PROJECT: &str = "a2345678901234567890123456";
const LONGEST_CLUSTER: &str = "c2345678901234567890123456789";

/// What AWS allows for each kind of name, with the page that says so.
fn rule(kind: &str) -> (usize, &'static str) {
    match kind {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        "AWS::IAM::Role" => (64, r"[\w+=,.@-]+"),
        "AWS::IAM::ManagedPolicy" => (128, r"[\w+=,.@-]+"),
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        "AWS::S3::Bucket" => (63, r"[a-z0-9][a-z0-9.-]+[a-z0-9]"),
        // https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
        "AWS::SNS::Topic" => (256, r"[A-Za-z0-9_-]+"),
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
        "AWS::SQS::Queue" => (80, r"[A-Za-z0-9_-]+"),
        // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
        "AWS::DynamoDB::Table" => (255, r"[A-Za-z0-9_.-]{3,}"),
        // https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
        "AWS::KMS::Alias" => (256, r"alias/[A-Za-z0-9/_-]+"),
        // https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
        "AWS::Lambda::Function" => (64, r"[A-Za-z0-9_-]+"),
        // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
        "AWS::Logs::LogGroup" => (512, r"[.\-_/#A-Za-z0-9]+"),
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        "AWS::CloudWatch::Alarm" => (255, r"[^\x00]+"),
        // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
        "AWS::CloudWatch::Dashboard" => (255, r"[A-Za-z0-9_-]+"),
        other => panic!("no rule for the names of {other}"),
    }
}

fn place(region: &'static str) -> Place {
    let partition = match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let url_suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Place { partition, url_suffix, region, ..OHIO }
}

/// Deploys everything of the central account.
fn stacks(place: Place, project: &str, environment: &str) -> Vec<Deployed> {
    let partition = place.partition;
    let central_role =
        format!("arn:{partition}:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd");
    let arn = |rest: &str| format!("arn:{partition}:{rest}");
    let common = [("ProjectName", project), ("Environment", environment)];
    let with = |id, own: &[(&str, &str)]| deploy(id, place, &[&common[..], own].concat()).unwrap();
    let policy = arn("iam::111111111111:policy/p");
    vec![
        deploy(
            TemplateId::Global,
            place,
            &[("ProjectName", project), ("EnableS3Delivery", "true")],
        )
        .unwrap(),
        with(
            TemplateId::Regional,
            &[
                ("CentralLogDistributionRoleArn", &central_role),
                ("TemplateBucket", "templates"),
                ("IncludeLambdaStack", "true"),
                ("IncludeObservabilityStack", "true"),
                ("ECRImageUri", IMAGE),
                ("EksOidcIssuer", ISSUER),
                ("EksClusterName", LONGEST_CLUSTER),
            ],
        ),
        with(
            TemplateId::ClusterVector,
            &[
                ("ClusterName", LONGEST_CLUSTER),
                ("OIDCProviderURL", ISSUER),
                ("VectorAssumeRolePolicyArn", &policy),
                ("CentralS3WriterPolicyArn", &policy),
            ],
        ),
        with(
            TemplateId::ClusterProcessor,
            &[
                ("ClusterName", LONGEST_CLUSTER),
                ("OIDCProviderURL", ISSUER),
                ("CentralLogDistributionRoleArn", &central_role),
                ("TenantConfigTableArn", &arn("dynamodb:r:111111111111:table/ttt")),
                ("CentralLoggingBucketArn", &arn("s3:::bucket")),
                ("LogDeliveryQueueArn", &arn("sqs:r:111111111111:q")),
                ("LogDeliveryDLQArn", &arn("sqs:r:111111111111:d")),
            ],
        ),
    ]
}

fn name_of(resource: &Resource) -> Option<String> {
    let property = physical::name_property(&resource.kind)?;
    Some(
        resource.properties[property]
            .as_str()
            .unwrap_or_else(|| panic!("{resource:?} has no name"))
            .to_owned(),
    )
}

/// Returns all names with the kind of resource.
fn names(stacks: &[Deployed]) -> BTreeSet<(String, String)> {
    stacks
        .iter()
        .flat_map(|stack| stack.resources.values())
        .filter_map(|resource| Some((resource.kind.clone(), name_of(resource)?)))
        .collect()
}

#[test]
fn every_name_fits_for_every_region_and_the_longest_project_and_cluster() {
    for region in KNOWN_REGIONS.iter().chain(FURTHER_REGIONS) {
        for environment in ["production", "staging", "development"] {
            let stacks = stacks(place(region), LONGEST_PROJECT, environment);
            let customer_role =
                ("AWS::IAM::Role".to_owned(), format!("CustomerLogDistribution-{region}"));
            for (kind, name) in names(&stacks).into_iter().chain([customer_role]) {
                let (longest, pattern) = rule(&kind);
                assert!(
                    name.len() <= longest,
                    "{kind} {name} has {} of {longest} characters",
                    name.len()
                );
                assert!(
                    Regex::new(&format!("^{pattern}$")).unwrap().is_match(&name),
                    "{kind} {name}"
                );
            }
            for resource in stacks.iter().flat_map(|stack| stack.resources.values()) {
                let path =
                    resource.properties.get("Path").and_then(|path| path.as_str()).unwrap_or("/");
                assert!(
                    path.len() <= 512 && path.starts_with('/') && path.ends_with('/'),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn policies_with_the_longest_names_fit_into_what_iam_stores() {
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, in characters
    // without white space; for trust policies the quota that an account has from the start.
    let size = |value: &Value| match value {
        Value::String(text) => text.chars().filter(|character| !character.is_whitespace()).count(),
        other => other.to_string().len(),
    };
    let stacks = stacks(place("us-gov-west-1"), LONGEST_PROJECT, "development");
    let mut checked = 0;
    for (name, resource) in stacks.iter().flat_map(|stack| &stack.resources) {
        let properties = &resource.properties;
        match resource.kind.as_str() {
            "AWS::IAM::Role" => {
                let trust = size(&properties["AssumeRolePolicyDocument"]);
                assert!(trust <= 2048, "{name}: {trust} of 2048");
                let inline: usize = list(&properties["Policies"])
                    .iter()
                    .map(|policy| size(&policy["PolicyDocument"]))
                    .sum();
                assert!(inline <= 10_240, "{name}: {inline} of 10240");
                checked += 1;
            }
            "AWS::IAM::ManagedPolicy" => {
                let policy = size(&properties["PolicyDocument"]);
                assert!(policy <= 6144, "{name}: {policy} of 6144");
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked >= 9, "only {checked} roles and policies");
}

#[test]
fn the_longest_names_use_up_what_iam_allows() {
    // So that the two constants above are the limit and not only some length.
    let names = names(&stacks(place("us-isof-south-1"), LONGEST_PROJECT, "development"));
    let longest =
        names.iter().filter(|(kind, _)| kind == "AWS::IAM::Role").map(|(_, name)| name.len()).max();
    assert_eq!(longest, Some(64));
}

#[test]
fn longer_or_odd_projects_and_clusters_are_refused() {
    let project = format!("{LONGEST_PROJECT}7");
    let cluster = format!("{LONGEST_CLUSTER}0");
    let policy = "arn:aws:iam::111111111111:policy/p";
    for (id, name, value) in [
        (TemplateId::Global, "ProjectName", project.as_str()),
        (TemplateId::Global, "ProjectName", "My-Project"),
        (TemplateId::Global, "ProjectName", "ends-with-"),
        (TemplateId::ClusterVector, "ProjectName", &project),
        (TemplateId::ClusterVector, "ClusterName", &cluster),
        (TemplateId::ClusterVector, "ClusterName", "-x"),
    ] {
        let mut parameters = BTreeMap::new();
        if id == TemplateId::ClusterVector {
            parameters.extend([
                ("ClusterName", "blue"),
                ("OIDCProviderURL", ISSUER),
                ("VectorAssumeRolePolicyArn", policy),
                ("CentralS3WriterPolicyArn", policy),
            ]);
        }
        parameters.insert(name, value);
        let parameters: Vec<(&str, &str)> = parameters.into_iter().collect();
        let result = deploy(id, OHIO, &parameters).map(|_| ());
        assert_eq!(result, Err(Refusal::Constraint(name.to_owned())), "{id:?} {name} {value}");
    }
}

#[test]
fn two_regions_of_one_account_share_no_name() {
    // Names that are unique within a region only; the others are unique in the account or the world.
    const REGIONAL: &[&str] = &[
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::DynamoDB::Table",
        "AWS::KMS::Alias",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::CloudWatch::Alarm",
    ];
    let in_region = |region| {
        let stacks = stacks(place(region), "multi-tenant-logging", "production");
        // The global stack exists once.
        let names = names(stacks.split_at(1).1);
        names
            .into_iter()
            .filter(|(kind, _)| !REGIONAL.contains(&kind.as_str()))
            .collect::<BTreeSet<_>>()
    };
    let (ohio, oregon) = (in_region("us-east-2"), in_region("us-west-2"));
    assert!(!ohio.is_empty());
    assert_eq!(ohio.intersection(&oregon).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn two_environments_of_one_region_share_no_name() {
    let kinds: BTreeMap<&str, BTreeSet<(String, String)>> =
        ["production", "staging", "development"]
            .map(|environment| {
                let stacks = stacks(OHIO, "multi-tenant-logging", environment);
                // Cluster stacks are told apart by their own stack ids, which are equal in these tests.
                (environment, names(&[stacks[1].clone()]))
            })
            .into();
    for (one, other) in
        [("production", "staging"), ("production", "development"), ("staging", "development")]
    {
        let shared: Vec<_> = kinds[one].intersection(&kinds[other]).collect();
        assert!(shared.is_empty(), "{one} and {other} share {shared:?}");
    }
}

#[test]
fn a_cluster_stack_tells_its_roles_apart_by_its_own_id() {
    let roles = |region| {
        let stacks = stacks(place(region), "multi-tenant-logging", "production");
        names(stacks.split_at(2).1)
    };
    for (_, name) in roles("us-east-2") {
        let token = physical::stack_token(place("us-east-2"));
        assert!(name.ends_with(&format!("-{token}")) && name.contains("us-east-2"), "{name}");
    }
}

#[test]
fn a_suffix_is_kept_when_given_and_made_from_the_stack_id_otherwise() {
    let token = physical::stack_token(OHIO);
    for (given, expected) in [("", token.as_str()), ("00ff00ff", "00ff00ff")] {
        let global = deploy(TemplateId::Global, OHIO, &[("RandomSuffix", given)]).unwrap();
        assert_eq!(global.outputs["RandomSuffix"], expected);
        assert_eq!(
            global.outputs["CentralLogDistributionRoleName"],
            format!("ROSA-CentralLogDistributionRole-{expected}")
        );
        let regional = deploy(
            TemplateId::Regional,
            OHIO,
            &[
                ("RandomSuffix", given),
                ("TemplateBucket", "templates"),
                ("CentralLogDistributionRoleArn", &global.outputs["CentralLogDistributionRoleArn"]),
            ],
        )
        .unwrap();
        assert_eq!(regional.outputs["RandomSuffix"], expected);
        let bucket = format!("multi-tenant-logging-development-central-{expected}");
        assert_eq!(regional.outputs["CentralLoggingBucketName"], bucket);
    }
}
