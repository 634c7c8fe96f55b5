//! The services that exist here, and what is the same in all of them: names, targets, protocols.

use crate::{cloudformation, iam_api, sns};

/// A service. Adding one means adding a variant here, its parsing in `dispatch::parse`, its
/// execution in `dispatch::execute` and its error form in `error::render`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Service {
    Logs,
    Sqs,
    S3,
    Sts,
    DynamoDb,
    CloudFormation,
    CloudWatch,
    Lambda,
    Iam,
    Sns,
    /// The request does not tell which service it is for.
    Unknown,
}

/// How a service receives operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `X-Amz-Target` and a JSON body of this content type.
    Json { target: &'static str, content_type: &'static str },
    /// A form body with `Action` and `Version`.
    Query { version: &'static str },
    /// The operation in the path, a CBOR body.
    Cbor,
    /// Method and path, JSON bodies.
    RestJson,
    /// Method and path.
    RestXml,
}

impl Service {
    pub(crate) const ALL: [Self; 10] = [
        Self::Logs,
        Self::Sqs,
        Self::S3,
        Self::Sts,
        Self::DynamoDb,
        Self::CloudFormation,
        Self::CloudWatch,
        Self::Lambda,
        Self::Iam,
        Self::Sns,
    ];

    /// Returns the name used in credential scopes, IAM actions and fault rules.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Sqs => "sqs",
            Self::S3 => "s3",
            Self::Sts => "sts",
            Self::DynamoDb => "dynamodb",
            Self::CloudFormation => "cloudformation",
            Self::CloudWatch => "cloudwatch",
            Self::Lambda => "lambda",
            Self::Iam => "iam",
            Self::Sns => "sns",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        // The one service whose actions have another name than its credential scopes.
        let name = if name == "monitoring" { "cloudwatch" } else { name };
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Logs => Protocol::Json {
                target: "Logs_20140328",
                content_type: "application/x-amz-json-1.1",
            },
            Self::Sqs => {
                Protocol::Json { target: "AmazonSQS", content_type: "application/x-amz-json-1.0" }
            }
            Self::DynamoDb => Protocol::Json {
                target: "DynamoDB_20120810",
                content_type: "application/x-amz-json-1.0",
            },
            Self::Sts => Protocol::Query { version: "2011-06-15" },
            Self::CloudFormation => Protocol::Query { version: cloudformation::VERSION },
            Self::Iam => Protocol::Query { version: iam_api::VERSION },
            Self::Sns => Protocol::Query { version: sns::VERSION },
            Self::CloudWatch => Protocol::Cbor,
            Self::Lambda => Protocol::RestJson,
            Self::S3 | Self::Unknown => Protocol::RestXml,
        }
    }

    /// Finds the service whose `X-Amz-Target` prefix this is.
    pub(crate) fn from_target(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(
            |service| matches!(service.protocol(), Protocol::Json { target, .. } if target == prefix),
        )
    }
}

/// Tells whether an operation changes something that an account's owner could see afterwards.
///
/// Taking a role is not a write: it leaves nothing but a line in the trail.
pub(crate) fn is_write(service: Service, operation: &str) -> bool {
    const READ_PREFIXES: &[&str] =
        &["Get", "List", "Describe", "Head", "Filter", "Query", "Scan", "BatchGet"];
    match service {
        Service::Sts | Service::Iam => false,
        Service::CloudFormation => !cloudformation::is_read(operation),
        Service::Logs
        | Service::Sqs
        | Service::S3
        | Service::DynamoDb
        | Service::CloudWatch
        | Service::Lambda
        | Service::Sns
        | Service::Unknown => {
            operation != "ReceiveMessage"
                && !READ_PREFIXES.iter().any(|prefix| operation.starts_with(prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_are_told_apart() {
        let rows = [
            (Service::Logs, "PutLogEvents", true),
            (Service::Logs, "FilterLogEvents", false),
            (Service::S3, "GetObject", false),
            (Service::S3, "CopyObject", true),
            (Service::Sqs, "ReceiveMessage", false),
            (Service::Sqs, "DeleteMessageBatch", true),
            (Service::Sts, "AssumeRole", false),
            (Service::DynamoDb, "BatchGetItem", false),
            (Service::DynamoDb, "BatchWriteItem", true),
            (Service::CloudFormation, "ValidateTemplate", false),
            (Service::CloudFormation, "CreateChangeSet", true),
        ];
        for (service, operation, expected) in rows {
            assert_eq!(is_write(service, operation), expected, "{operation}");
        }
    }
}
