//! The names and ARNs that AWS gives to resources.

use super::deployment::{Place, Resource};

/// The first part of the stack id's UUID; it differs between places.
pub(crate) fn stack_token(place: Place) -> String {
    let sum = place
        .region
        .bytes()
        .chain(place.account.bytes())
        .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{sum:08x}")
}

/// Returns what `Ref` gives for a resource.
pub(crate) fn reference(resource: &Resource, place: Place) -> String {
    match resource.kind.as_str() {
        "AWS::IAM::ManagedPolicy" | "AWS::SNS::Topic" => arn(resource, place),
        "AWS::KMS::Key" => "11111111-2222-3333-4444-555555555555".to_owned(),
        "AWS::SQS::Queue" => {
            format!(
                "https://sqs.{}.{}/{}/{}",
                place.region,
                place.url_suffix,
                place.account,
                name(resource)
            )
        }
        _ => name(resource),
    }
}

/// Returns what `Fn::GetAtt` gives for a resource.
pub(crate) fn attribute(resource: &Resource, attribute: &str, place: Place) -> String {
    match (resource.kind.as_str(), attribute) {
        (_, "Arn") => arn(resource, place),
        ("AWS::SQS::Queue", "QueueName") => name(resource),
        (kind, attribute) => panic!("{kind} has no attribute {attribute} that these tests know"),
    }
}

/// Returns the name property of a resource, or nothing if its type has none or AWS makes one up.
pub(crate) fn name_property(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::IAM::Role" => "RoleName",
        "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
        "AWS::S3::Bucket" => "BucketName",
        "AWS::SNS::Topic" => "TopicName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::KMS::Alias" => "AliasName",
        "AWS::Lambda::Function" => "FunctionName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::CloudWatch::Alarm" => "AlarmName",
        "AWS::CloudWatch::Dashboard" => "DashboardName",
        _ => return None,
    })
}

fn name(resource: &Resource) -> String {
    let property =
        name_property(&resource.kind).unwrap_or_else(|| panic!("{} has no name", resource.kind));
    resource.properties[property]
        .as_str()
        .unwrap_or_else(|| panic!("{} without name", resource.kind))
        .to_owned()
}

fn arn(resource: &Resource, place: Place) -> String {
    let Place { partition, account, region, .. } = place;
    let path = resource.properties.get("Path").and_then(|path| path.as_str()).unwrap_or("/");
    match resource.kind.as_str() {
        "AWS::IAM::Role" => format!("arn:{partition}:iam::{account}:role{path}{}", name(resource)),
        "AWS::IAM::ManagedPolicy" => {
            format!("arn:{partition}:iam::{account}:policy{path}{}", name(resource))
        }
        "AWS::S3::Bucket" => format!("arn:{partition}:s3:::{}", name(resource)),
        "AWS::SNS::Topic" => format!("arn:{partition}:sns:{region}:{account}:{}", name(resource)),
        "AWS::SQS::Queue" => format!("arn:{partition}:sqs:{region}:{account}:{}", name(resource)),
        "AWS::DynamoDB::Table" => {
            format!("arn:{partition}:dynamodb:{region}:{account}:table/{}", name(resource))
        }
        "AWS::KMS::Key" => format!(
            "arn:{partition}:kms:{region}:{account}:key/11111111-2222-3333-4444-555555555555"
        ),
        "AWS::Lambda::Function" => {
            format!("arn:{partition}:lambda:{region}:{account}:function:{}", name(resource))
        }
        kind => panic!("{kind} has no ARN that these tests know"),
    }
}
