//! The properties of single resources that keep data, queues and deliveries safe.

use std::collections::BTreeSet;

use mtlog::template::catalogue::TemplateId;
use serde_json::{Value, json};

use super::{
    deployment::{Deployed, OHIO, deploy},
    document::Template,
    world::{Settings, World, list},
};

fn regional(parameters: &[(&str, &str)]) -> Deployed {
    World::new(Settings { regional: parameters, ..Settings::default() }).regional
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_queue_hides_a_message_for_more_than_six_times_the_functions_timeout() {
    for timeout in ["60", "120", "300", "600", "900"] {
        let stack = regional(&[("LambdaTimeoutSeconds", timeout)]);
        let queue = &stack.resources["SQSStack/LogDeliveryQueue"].properties;
        let function = &stack.resources["LambdaStack/LogDistributorFunction"].properties;
        let mapping = &stack.resources["LambdaStack/LogDeliveryEventSourceMapping"].properties;
        let needed =
            6 * number(&function["Timeout"]) + number(&mapping["MaximumBatchingWindowInSeconds"]);
        let hidden = number(&queue["VisibilityTimeout"]);
        // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html; at most 12 hours.
        assert!(hidden >= needed && hidden <= 43_200, "timeout {timeout}: {hidden} of {needed}");
        let alarm = number(
            &stack.resources["ObservabilityStack/LambdaDurationAlarm"].properties["Threshold"],
        );
        assert_eq!(alarm, number(&function["Timeout"]) * 900, "timeout {timeout}");
    }
}

#[test]
fn the_queues_keep_messages_and_redrive_as_the_contract_says() {
    let stack = regional(&[]);
    let queue = &stack.resources["SQSStack/LogDeliveryQueue"].properties;
    let dead_letters = &stack.resources["SQSStack/LogDeliveryDLQ"].properties;
    assert!(
        number(&dead_letters["MessageRetentionPeriod"]) > number(&queue["MessageRetentionPeriod"])
    );
    assert_eq!(
        queue["RedrivePolicy"],
        json!({"deadLetterTargetArn": stack.outputs["LogDeliveryDLQArn"], "maxReceiveCount": "5"})
    );
    let allowed = json!({"redrivePermission": "byQueue", "sourceQueueArns": [stack.outputs["LogDeliveryQueueArn"]]});
    assert_eq!(dead_letters["RedriveAllowPolicy"], allowed);
    let subscription = &stack.resources["SQSStack/LogDeliveryQueueSubscription"].properties;
    assert_eq!(subscription["Endpoint"], stack.outputs["LogDeliveryQueueArn"]);
    assert_eq!(
        subscription["RedrivePolicy"],
        json!({"deadLetterTargetArn": stack.outputs["LogDeliveryDLQArn"]})
    );
    assert_eq!(subscription["RawMessageDelivery"], "false");
    let after =
        Template::of(TemplateId::Sqs).resource("LogDeliveryQueueSubscription")["DependsOn"].clone();
    assert_eq!(after, json!(["LogDeliveryQueuePolicy", "LogDeliveryDLQPolicy"]));
}

#[test]
fn everything_is_encrypted_with_the_own_key_or_with_keys_of_aws() {
    for (encryption, own_key) in [("true", true), ("false", false)] {
        let stack = regional(&[("EnableS3Encryption", encryption)]);
        let key = stack.outputs.get("KMSKeyArn").map_or(Value::Null, |arn| json!(arn));
        assert_eq!(key.is_null(), !own_key);
        let property = |resource: &str, name: &str| {
            stack.resources[resource].properties.get(name).cloned().unwrap_or_default()
        };
        for (resource, name) in [
            ("CoreInfrastructureStack/LogDeliveryTopic", "KmsMasterKeyId"),
            ("SQSStack/LogDeliveryQueue", "KmsMasterKeyId"),
            ("SQSStack/LogDeliveryDLQ", "KmsMasterKeyId"),
            ("LambdaStack/LogDistributorLogGroup", "KmsKeyId"),
            ("ObservabilityStack/AlarmTopic", "KmsMasterKeyId"),
        ] {
            assert_eq!(property(resource, name), key, "{resource}");
        }
        let managed = |resource| property(resource, "SqsManagedSseEnabled");
        let expected = if own_key { Value::Null } else { json!("true") };
        assert_eq!(managed("SQSStack/LogDeliveryQueue"), expected);
        assert_eq!(managed("SQSStack/LogDeliveryDLQ"), expected);
        let bucket = property("CoreInfrastructureStack/CentralLoggingBucket", "BucketEncryption");
        let rule = &bucket["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"];
        assert_eq!(rule["SSEAlgorithm"], if own_key { "aws:kms" } else { "AES256" });
        assert_eq!(rule["KMSMasterKeyID"], key);
        let table = property("CoreInfrastructureStack/TenantConfigTable", "SSESpecification");
        assert_eq!((&table["SSEEnabled"], &table["KMSMasterKeyId"]), (&json!(encryption), &key));
        let has_key =
            stack.resources.values().any(|resource| resource.kind.starts_with("AWS::KMS::"));
        assert_eq!(has_key, own_key);
    }
}

#[test]
fn the_bucket_is_private_and_cleans_up_and_announces_what_collectors_write() {
    for (prefix, rules) in [
        ("", json!([{"Name": "suffix", "Value": ".gz"}])),
        (
            "logs/",
            json!([{"Name": "prefix", "Value": "logs/"}, {"Name": "suffix", "Value": ".gz"}]),
        ),
    ] {
        let stack = regional(&[("S3KeyPrefix", prefix), ("S3DeleteAfterDays", "3")]);
        let bucket = &stack.resources["CoreInfrastructureStack/CentralLoggingBucket"].properties;
        let block = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
        assert!(block.len() == 4 && block.values().all(|value| value == "true"), "{block:?}");
        assert_eq!(
            bucket["OwnershipControls"]["Rules"],
            json!([{"ObjectOwnership": "BucketOwnerEnforced"}])
        );
        let lifecycle = &bucket["LifecycleConfiguration"]["Rules"];
        assert_eq!(lifecycle[0]["ExpirationInDays"], "3");
        assert_eq!(
            lifecycle[1]["AbortIncompleteMultipartUpload"],
            json!({"DaysAfterInitiation": "1"})
        );
        let notification = &bucket["NotificationConfiguration"]["TopicConfigurations"][0];
        assert_eq!(notification["Topic"], stack.outputs["LogDeliveryTopicArn"]);
        assert_eq!(notification["Filter"]["S3Key"]["Rules"], rules);
    }
    let bucket = Template::of(TemplateId::Core);
    assert_eq!(bucket.resource("CentralLoggingBucket")["DependsOn"], "LogDeliveryTopicPolicy");
}

#[test]
fn access_logs_go_to_the_named_bucket_or_nowhere() {
    let logging = |stack: Deployed| {
        stack.resources["CoreInfrastructureStack/CentralLoggingBucket"]
            .properties
            .get("LoggingConfiguration")
            .cloned()
    };
    assert_eq!(logging(regional(&[])), None);
    let expected = json!({"DestinationBucketName": "access", "LogFilePrefix": "multi-tenant-logging-development/us-east-2/"});
    assert_eq!(logging(regional(&[("AccessLogBucketName", "access")])), Some(expected));
}

#[test]
fn the_tenant_table_has_the_composite_key_under_a_name_of_its_own() {
    for (protection, expected) in [("false", "false"), ("true", "true")] {
        let stack = regional(&[("EnableDeletionProtection", protection)]);
        let table = &stack.resources["CoreInfrastructureStack/TenantConfigTable"].properties;
        assert_eq!(table["DeletionProtectionEnabled"], expected);
        assert_eq!(
            table["KeySchema"],
            json!([
                {"AttributeName": "tenant_id", "KeyType": "HASH"}, {"AttributeName": "type", "KeyType": "RANGE"}
            ])
        );
        // DynamoDB refuses attributes that no key uses, such as the one for the time to live.
        let defined: Vec<Value> = list(&table["AttributeDefinitions"])
            .iter()
            .map(|entry| entry["AttributeName"].clone())
            .collect();
        assert_eq!(defined, ["tenant_id", "type"]);
        assert!(table.get("GlobalSecondaryIndexes").is_none());
        assert_eq!(
            table["TimeToLiveSpecification"],
            json!({"AttributeName": "ttl", "Enabled": "true"})
        );
        assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], "true");
        // CloudFormation cannot replace the predecessor's table by one of the same name.
        assert_ne!(table["TableName"], "multi-tenant-logging-development-tenant-configs");
    }
}

#[test]
fn the_function_gets_its_whole_environment_and_reports_single_failures() {
    let stack = regional(&[("S3KeyPrefix", "logs/"), ("LambdaArchitecture", "arm64")]);
    let function = &stack.resources["LambdaStack/LogDistributorFunction"].properties;
    let output = |name: &str| stack.outputs[name].as_str();
    assert_eq!(
        function["Environment"]["Variables"],
        json!({
            "EXECUTION_MODE": "lambda",
            "TENANT_CONFIG_TABLE": output("TenantConfigTableName"),
            "SQS_QUEUE_URL": output("LogDeliveryQueueUrl"),
            "SOURCE_BUCKET": output("CentralLoggingBucketName"),
            "S3_KEY_PREFIX": "logs/",
            "CENTRAL_LOG_DISTRIBUTION_ROLE_ARN": output("CentralLogDistributionRoleArn"),
            "MAX_BATCH_SIZE": "1000",
            "RETRY_ATTEMPTS": "3",
            "CHECKPOINT": "none",
            "LOG_LEVEL": "INFO",
        })
    );
    assert_eq!(function["PackageType"], "Image");
    assert_eq!(function["Architectures"], json!(["arm64"]));
    assert_eq!(
        Template::of(TemplateId::Lambda).resource("LogDistributorFunction")["DependsOn"],
        "LogDistributorLogGroup"
    );
    let mapping = &stack.resources["LambdaStack/LogDeliveryEventSourceMapping"].properties;
    assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(mapping["EventSourceArn"], output("LogDeliveryQueueArn"));
}

#[test]
fn concurrency_is_limited_only_when_asked() {
    let limits = |parameters: &[(&str, &str)]| {
        let stack = regional(parameters);
        let property =
            |resource: &str, name: &str| stack.resources[resource].properties.get(name).cloned();
        (
            property("LambdaStack/LogDistributorFunction", "ReservedConcurrentExecutions"),
            property("LambdaStack/LogDeliveryEventSourceMapping", "ScalingConfig"),
        )
    };
    assert_eq!(limits(&[]), (None, None));
    let limited = limits(&[("LambdaReservedConcurrency", "10"), ("LambdaMaximumConcurrency", "5")]);
    assert_eq!(limited, (Some(json!("10")), Some(json!({"MaximumConcurrency": "5"}))));
}

#[test]
fn the_alarms_watch_the_queues_the_function_and_the_processors_own_metrics() {
    let watched = |stack: &Deployed| -> BTreeSet<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let topic = json!([stack.outputs["AlarmTopicArn"]]);
        stack
            .resources
            .values()
            .filter(|resource| resource.kind == "AWS::CloudWatch::Alarm")
            .map(|alarm| {
                let alarm = &alarm.properties;
                assert_eq!((&alarm["AlarmActions"], &alarm["OKActions"]), (&topic, &topic));
                assert_eq!(alarm["TreatMissingData"], "notBreaching");
                (
                    text(&alarm["Namespace"]),
                    text(&alarm["MetricName"]),
                    text(&alarm["Dimensions"][0]["Value"]),
                )
            })
            .collect()
    };
    let prefix = "multi-tenant-logging-development";
    let row = |namespace: &str, metric: &str, name: &str| {
        (namespace.to_owned(), metric.to_owned(), format!("{prefix}-{name}"))
    };
    let queues = BTreeSet::from([
        row("AWS/SQS", "ApproximateNumberOfMessagesVisible", "log-delivery-dlq"),
        row("AWS/SQS", "ApproximateAgeOfOldestMessage", "log-delivery-queue"),
    ]);
    assert_eq!(watched(&regional(&[("IncludeLambdaStack", "false")])), queues);
    let mut all = queues;
    for metric in ["Errors", "Throttles", "Duration"] {
        all.insert(row("AWS/Lambda", metric, "log-distributor"));
    }
    for metric in ["records_quarantined", "dlq_sent", "assume_role_denied"] {
        all.insert(row("mtlog", metric, "log-distributor"));
    }
    assert_eq!(watched(&regional(&[])), all);
}

#[test]
fn the_dashboard_is_json_about_this_region() {
    for lambda in ["true", "false"] {
        let stack = regional(&[("IncludeLambdaStack", lambda)]);
        let body =
            stack.resources["ObservabilityStack/PipelineDashboard"].properties["DashboardBody"]
                .as_str()
                .unwrap();
        let dashboard: Value = serde_json::from_str(body).unwrap();
        let widgets = list(&dashboard["widgets"]);
        assert!(!widgets.is_empty());
        for widget in widgets {
            assert_eq!(widget["properties"]["region"], "us-east-2");
            assert!(!list(&widget["properties"]["metrics"]).is_empty());
        }
    }
}

#[test]
fn the_hand_over_of_a_customer_is_json() {
    let central = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";
    let stack =
        deploy(TemplateId::Customer, OHIO, &[("CentralLogDistributionRoleArn", central)]).unwrap();
    let information: Value = serde_json::from_str(&stack.outputs["HandshakeInformation"]).unwrap();
    assert_eq!(information["roleArn"], stack.outputs["CustomerLogDistributionRoleArn"]);
    assert_eq!(information["region"], "us-east-2");
}
