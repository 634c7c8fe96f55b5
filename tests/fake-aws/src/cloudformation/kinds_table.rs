//! The resource types that exist in the fake. Properties that replace a resource are those that
//! the resource reference marks "Update requires: Replacement".
//! See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html>.

use super::kinds::{Kind, STACK, Unique};

const PLAIN: Kind = Kind {
    name: "",
    physical: "{id}",
    attributes: &[],
    name_property: None,
    unique: Unique::No,
    create_only: &[],
    required: &[],
    properties: &[],
    longest_name: 128,
    is_iam: false,
    is_taggable: false,
    is_eventual: false,
};

/// All types.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        name: "AWS::S3::Bucket",
        physical: "{name}",
        attributes: &[
            ("Arn", "arn:{partition}:s3:::{name}"),
            ("DomainName", "{name}.s3.{suffix}"),
            ("RegionalDomainName", "{name}.s3.{region}.{suffix}"),
            ("DualStackDomainName", "{name}.s3.dualstack.{region}.{suffix}"),
            ("WebsiteURL", "http://{name}.s3-website-{region}.{suffix}"),
        ],
        name_property: Some("BucketName"),
        unique: Unique::Partition,
        create_only: &["BucketName"],
        properties: &[
            "AccelerateConfiguration", "AccessControl", "AnalyticsConfigurations", "BucketEncryption", "BucketName",
            "CorsConfiguration", "IntelligentTieringConfigurations", "InventoryConfigurations",
            "LifecycleConfiguration", "LoggingConfiguration", "MetricsConfigurations", "NotificationConfiguration",
            "ObjectLockConfiguration", "ObjectLockEnabled", "OwnershipControls", "PublicAccessBlockConfiguration",
            "ReplicationConfiguration", "Tags", "VersioningConfiguration", "WebsiteConfiguration",
        ],
        longest_name: 63,
        is_taggable: true,
        is_eventual: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::S3::BucketPolicy",
        physical: "{prop:Bucket}",
        create_only: &["Bucket"],
        required: &["Bucket", "PolicyDocument"],
        properties: &["Bucket", "PolicyDocument"],
        ..PLAIN
    },
    Kind {
        name: "AWS::SQS::Queue",
        physical: "https://sqs.{region}.{suffix}/{account}/{name}",
        attributes: &[
            ("Arn", "arn:{partition}:sqs:{region}:{account}:{name}"),
            ("QueueName", "{name}"),
            ("QueueUrl", "{physical}"),
        ],
        name_property: Some("QueueName"),
        unique: Unique::Region,
        create_only: &["QueueName", "FifoQueue"],
        properties: &[
            "ContentBasedDeduplication", "DeduplicationScope", "DelaySeconds", "FifoQueue", "FifoThroughputLimit",
            "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod",
            "QueueName", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy",
            "SqsManagedSseEnabled", "Tags", "VisibilityTimeout",
        ],
        longest_name: 80,
        is_taggable: true,
        is_eventual: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::SQS::QueuePolicy",
        attributes: &[("Id", "{physical}")],
        required: &["PolicyDocument", "Queues"],
        properties: &["PolicyDocument", "Queues"],
        ..PLAIN
    },
    Kind {
        name: "AWS::SNS::Topic",
        physical: "arn:{partition}:sns:{region}:{account}:{name}",
        attributes: &[("TopicArn", "{physical}"), ("TopicName", "{name}"), ("DisplayName", "{prop:DisplayName}")],
        name_property: Some("TopicName"),
        unique: Unique::Region,
        create_only: &["TopicName", "FifoTopic"],
        properties: &[
            "ArchivePolicy", "ContentBasedDeduplication", "DataProtectionPolicy", "DeliveryStatusLogging",
            "DisplayName", "FifoThroughputScope", "FifoTopic", "KmsMasterKeyId", "SignatureVersion", "Subscription",
            "Tags", "TopicName", "TracingConfig",
        ],
        longest_name: 256,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::SNS::TopicPolicy",
        attributes: &[("Id", "{physical}")],
        required: &["PolicyDocument", "Topics"],
        properties: &["PolicyDocument", "Topics"],
        ..PLAIN
    },
    Kind {
        name: "AWS::SNS::Subscription",
        physical: "{prop:TopicArn}:{uuid}",
        attributes: &[("Arn", "{physical}")],
        create_only: &["Endpoint", "Protocol", "TopicArn"],
        required: &["Protocol", "TopicArn"],
        properties: &[
            "DeliveryPolicy", "Endpoint", "FilterPolicy", "FilterPolicyScope", "Protocol", "RawMessageDelivery",
            "RedrivePolicy", "Region", "ReplayPolicy", "SubscriptionRoleArn", "TopicArn",
        ],
        ..PLAIN
    },
    Kind {
        name: "AWS::DynamoDB::Table",
        physical: "{name}",
        attributes: &[
            ("Arn", "arn:{partition}:dynamodb:{region}:{account}:table/{name}"),
            ("StreamArn", "arn:{partition}:dynamodb:{region}:{account}:table/{name}/stream/2026-01-01T00:00:00.000"),
        ],
        name_property: Some("TableName"),
        unique: Unique::Region,
        create_only: &["TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"],
        required: &["KeySchema"],
        properties: &[
            "AttributeDefinitions", "BillingMode", "ContributorInsightsSpecification", "DeletionProtectionEnabled",
            "GlobalSecondaryIndexes", "ImportSourceSpecification", "KeySchema", "KinesisStreamSpecification",
            "LocalSecondaryIndexes", "OnDemandThroughput", "PointInTimeRecoverySpecification", "ProvisionedThroughput",
            "ResourcePolicy", "SSESpecification", "StreamSpecification", "TableClass", "TableName", "Tags",
            "TimeToLiveSpecification", "WarmThroughput",
        ],
        longest_name: 255,
        is_taggable: true,
        is_eventual: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::KMS::Key",
        physical: "{uuid}",
        attributes: &[("Arn", "arn:{partition}:kms:{region}:{account}:key/{physical}"), ("KeyId", "{physical}")],
        properties: &[
            "BypassPolicyLockoutSafetyCheck", "Description", "EnableKeyRotation", "Enabled", "KeyPolicy", "KeySpec",
            "KeyUsage", "MultiRegion", "Origin", "PendingWindowInDays", "RotationPeriodInDays", "Tags",
        ],
        create_only: &["KeySpec", "KeyUsage", "MultiRegion", "Origin"],
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::KMS::Alias",
        physical: "{name}",
        name_property: Some("AliasName"),
        unique: Unique::Region,
        create_only: &["AliasName"],
        required: &["AliasName", "TargetKeyId"],
        properties: &["AliasName", "TargetKeyId"],
        longest_name: 256,
        ..PLAIN
    },
    Kind {
        name: "AWS::Logs::LogGroup",
        physical: "{name}",
        attributes: &[("Arn", "arn:{partition}:logs:{region}:{account}:log-group:{name}:*")],
        name_property: Some("LogGroupName"),
        unique: Unique::Region,
        create_only: &["LogGroupName"],
        properties: &[
            "DataProtectionPolicy", "FieldIndexPolicies", "KmsKeyId", "LogGroupClass", "LogGroupName",
            "RetentionInDays", "Tags",
        ],
        longest_name: 512,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::Logs::MetricFilter",
        name_property: Some("FilterName"),
        create_only: &["FilterName", "LogGroupName"],
        required: &["FilterPattern", "LogGroupName", "MetricTransformations"],
        ..PLAIN
    },
    Kind {
        name: "AWS::IAM::Role",
        physical: "{name}",
        attributes: &[
            ("Arn", "arn:{partition}:iam::{account}:role{path}{name}"),
            ("RoleId", "AROA{id}"),
        ],
        name_property: Some("RoleName"),
        unique: Unique::Account,
        create_only: &["Path", "RoleName"],
        required: &["AssumeRolePolicyDocument"],
        properties: &[
            "AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path",
            "PermissionsBoundary", "Policies", "RoleName", "Tags",
        ],
        longest_name: 64,
        is_iam: true,
        is_taggable: true,
        is_eventual: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::IAM::ManagedPolicy",
        physical: "arn:{partition}:iam::{account}:policy{path}{name}",
        attributes: &[("PolicyArn", "{physical}"), ("PolicyId", "ANPA{id}")],
        name_property: Some("ManagedPolicyName"),
        unique: Unique::Account,
        create_only: &["Description", "ManagedPolicyName", "Path"],
        required: &["PolicyDocument"],
        properties: &["Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"],
        is_iam: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::IAM::Policy",
        required: &["PolicyDocument", "PolicyName"],
        properties: &["Groups", "PolicyDocument", "PolicyName", "Roles", "Users"],
        is_iam: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::IAM::OIDCProvider",
        physical: "arn:{partition}:iam::{account}:oidc-provider/{name}",
        attributes: &[("Arn", "{physical}")],
        name_property: Some("Url"),
        unique: Unique::Account,
        create_only: &["Url"],
        properties: &["ClientIdList", "Tags", "ThumbprintList", "Url"],
        longest_name: 255,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::Lambda::Function",
        physical: "{name}",
        attributes: &[("Arn", "arn:{partition}:lambda:{region}:{account}:function:{name}")],
        name_property: Some("FunctionName"),
        unique: Unique::Region,
        create_only: &["FunctionName", "PackageType", "TenancyConfig"],
        required: &["Code", "Role"],
        properties: &[
            "Architectures", "Code", "CodeSigningConfigArn", "DeadLetterConfig", "Description", "Environment",
            "EphemeralStorage", "FileSystemConfigs", "FunctionName", "Handler", "ImageConfig", "KmsKeyArn", "Layers",
            "LoggingConfig", "MemorySize", "PackageType", "RecursiveLoop", "ReservedConcurrentExecutions", "Role",
            "Runtime", "RuntimeManagementConfig", "SnapStart", "Tags", "TenancyConfig", "Timeout", "TracingConfig",
            "VpcConfig",
        ],
        longest_name: 64,
        is_taggable: true,
        is_eventual: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::Lambda::EventSourceMapping",
        physical: "{uuid}",
        attributes: &[
            ("Id", "{physical}"),
            ("EventSourceMappingArn", "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{physical}"),
        ],
        create_only: &["EventSourceArn", "StartingPosition", "StartingPositionTimestamp", "SelfManagedEventSource"],
        required: &["FunctionName"],
        ..PLAIN
    },
    Kind {
        name: "AWS::Lambda::Permission",
        create_only: &["Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"],
        required: &["Action", "FunctionName", "Principal"],
        ..PLAIN
    },
    Kind {
        name: "AWS::CloudWatch::Alarm",
        physical: "{name}",
        attributes: &[("Arn", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}")],
        name_property: Some("AlarmName"),
        unique: Unique::Region,
        create_only: &["AlarmName"],
        required: &["ComparisonOperator", "EvaluationPeriods"],
        properties: &[
            "ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator",
            "DatapointsToAlarm", "Dimensions", "EvaluateLowSampleCountPercentile", "EvaluationPeriods",
            "ExtendedStatistic", "InsufficientDataActions", "MetricName", "Metrics", "Namespace", "OKActions",
            "Period", "Statistic", "Tags", "Threshold", "ThresholdMetricId", "TreatMissingData", "Unit",
        ],
        longest_name: 255,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::CloudWatch::Dashboard",
        physical: "{name}",
        name_property: Some("DashboardName"),
        unique: Unique::Region,
        create_only: &["DashboardName"],
        required: &["DashboardBody"],
        ..PLAIN
    },
    Kind {
        name: "AWS::ECR::Repository",
        physical: "{name}",
        attributes: &[
            ("Arn", "arn:{partition}:ecr:{region}:{account}:repository/{name}"),
            ("RepositoryUri", "{account}.dkr.ecr.{region}.{suffix}/{name}"),
        ],
        name_property: Some("RepositoryName"),
        unique: Unique::Region,
        create_only: &["EncryptionConfiguration", "RepositoryName"],
        longest_name: 256,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::SSM::Parameter",
        physical: "{name}",
        attributes: &[("Type", "{prop:Type}"), ("Value", "{prop:Value}")],
        name_property: Some("Name"),
        unique: Unique::Region,
        create_only: &["Name"],
        required: &["Type", "Value"],
        longest_name: 2_048,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::Events::Rule",
        physical: "{name}",
        attributes: &[("Arn", "arn:{partition}:events:{region}:{account}:rule/{name}")],
        name_property: Some("Name"),
        unique: Unique::Region,
        create_only: &["Name"],
        longest_name: 64,
        is_taggable: true,
        ..PLAIN
    },
    Kind {
        name: "AWS::CloudFormation::WaitConditionHandle",
        physical: "https://cloudformation-waitcondition-{region}.s3.{region}.{suffix}/{uuid}",
        ..PLAIN
    },
    Kind {
        name: STACK,
        physical: "{id}",
        required: &["TemplateURL"],
        properties: &["NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"],
        is_taggable: true,
        ..PLAIN
    },
];
