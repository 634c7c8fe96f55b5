//! Who may do what: the roles of log processors, their policies evaluated.

use fake_aws::iam::{Principal, Request, evaluate};

use super::{
    access::{check, none, through},
    deployment::CENTRAL_ACCOUNT,
    world::{CUSTOMER_ACCOUNT, Settings, World, stranger},
};

#[test]
fn a_processor_may_read_settle_and_set_aside_but_not_change_logs_or_tenants() {
    for prefix in ["", "logs/"] {
        let world =
            World::new(Settings { regional: &[("S3KeyPrefix", prefix)], ..Settings::default() });
        let regional = |name| world.role(&world.regional, name);
        let (bucket, table) =
            (world.output("CentralLoggingBucketArn"), world.output("TenantConfigTableArn"));
        let (queue, dead_letters) =
            (world.output("LogDeliveryQueueArn"), world.output("LogDeliveryDLQArn"));
        let key = world.output("KMSKeyArn");
        let metrics = |namespace| none().with("cloudwatch:namespace", namespace);
        for (name, role, publishes_metrics) in [
            ("lambda", regional("LambdaStack/LambdaExecutionRole"), false),
            ("regional", regional("CoreInfrastructureStack/RegionalLogProcessorRole"), true),
            ("cluster", world.role(&world.processor, "ClusterProcessorRole"), true),
        ] {
            let rows = vec![
                (
                    "s3:GetObject",
                    format!("{bucket}/{prefix}blue/ns/app/pod/x.json.gz"),
                    none(),
                    true,
                ),
                ("s3:GetObject", format!("{bucket}/cloudformation/x"), none(), prefix.is_empty()),
                (
                    "s3:GetObject",
                    "arn:aws:s3:::other/blue/ns/app/pod/x.json.gz".into(),
                    none(),
                    false,
                ),
                ("s3:ListBucket", bucket.into(), none(), true),
                ("s3:PutObject", format!("{bucket}/{prefix}blue/x"), none(), false),
                ("s3:DeleteObject", format!("{bucket}/{prefix}blue/x"), none(), false),
                ("dynamodb:Query", table.into(), none(), true),
                ("dynamodb:PutItem", table.into(), none(), false),
                ("dynamodb:Query", format!("{table}-other"), none(), false),
                ("sqs:ReceiveMessage", queue.into(), none(), true),
                ("sqs:DeleteMessage", queue.into(), none(), true),
                ("sqs:ChangeMessageVisibility", queue.into(), none(), true),
                ("sqs:GetQueueAttributes", queue.into(), none(), true),
                ("sqs:SendMessage", queue.into(), none(), true),
                ("sqs:PurgeQueue", queue.into(), none(), false),
                ("sqs:DeleteQueue", queue.into(), none(), false),
                ("sqs:SendMessage", dead_letters.into(), none(), true),
                ("sqs:ReceiveMessage", dead_letters.into(), none(), false),
                ("sqs:DeleteMessage", dead_letters.into(), none(), false),
                (
                    "sqs:ReceiveMessage",
                    "arn:aws:sqs:us-east-2:111111111111:other".into(),
                    none(),
                    false,
                ),
                ("sts:AssumeRole", world.central_role().arn, none(), true),
                ("sts:AssumeRole", world.customer_role().arn, none(), false),
                ("kms:Decrypt", key.into(), through("s3"), true),
                ("kms:Decrypt", key.into(), through("sqs"), true),
                ("kms:Decrypt", key.into(), through("dynamodb"), true),
                ("kms:Decrypt", key.into(), through("secretsmanager"), false),
                ("kms:Decrypt", key.into(), none(), false),
                ("kms:Decrypt", format!("{key}0"), through("s3"), false),
                ("kms:GenerateDataKey", key.into(), through("sqs"), true),
                ("kms:GenerateDataKey", key.into(), through("s3"), false),
                ("kms:ScheduleKeyDeletion", key.into(), none(), false),
                ("cloudwatch:PutMetricData", "*".into(), metrics("mtlog"), publishes_metrics),
                ("cloudwatch:PutMetricData", "*".into(), metrics("AWS/SQS"), false),
                ("iam:PassRole", world.central_role().arn, none(), false),
            ];
            check(name, &role, rows);
        }
    }
}

#[test]
fn without_encryption_no_role_has_a_right_to_any_key() {
    let world = World::new(Settings {
        regional: &[("EnableS3Encryption", "false")],
        ..Settings::default()
    });
    for role in [
        world.role(&world.regional, "LambdaStack/LambdaExecutionRole"),
        world.role(&world.regional, "CoreInfrastructureStack/RegionalLogProcessorRole"),
        world.role(&world.processor, "ClusterProcessorRole"),
        world.role(&world.blue, "ClusterS3WriterRole"),
    ] {
        let key = "arn:aws:kms:us-east-2:111111111111:key/11111111-2222-3333-4444-555555555555"
            .to_owned();
        check(
            &role.arn,
            &role,
            vec![
                ("kms:Decrypt", key.clone(), through("s3"), false),
                ("kms:GenerateDataKey", key, through("s3"), false),
            ],
        );
    }
}

#[test]
fn the_function_writes_only_its_own_logs_into_a_group_that_exists() {
    let world = World::new(Settings::default());
    let role = world.role(&world.regional, "LambdaStack/LambdaExecutionRole");
    let group =
        |name: &str| format!("arn:aws:logs:us-east-2:111111111111:log-group:/aws/lambda/{name}");
    let own = group("multi-tenant-logging-development-log-distributor");
    let other = group("multi-tenant-logging-production-log-distributor");
    let rows = vec![
        ("logs:CreateLogStream", format!("{own}:log-stream:2026/01/01/[$LATEST]x"), none(), true),
        ("logs:PutLogEvents", format!("{own}:log-stream:2026/01/01/[$LATEST]x"), none(), true),
        ("logs:PutLogEvents", format!("{other}:log-stream:x"), none(), false),
        ("logs:CreateLogGroup", own, none(), false),
    ];
    check("lambda", &role, rows);
}

#[test]
fn the_regional_processor_role_is_for_ecs_tasks_and_named_operators() {
    let operator = stranger("arn:aws:iam::111111111111:role/Operators");
    for (parameters, expected) in [
        (&[][..], false),
        (&[("OperatorRoleArns", "arn:aws:iam::111111111111:role/Operators")], true),
    ] {
        let world = World::new(Settings { regional: parameters, ..Settings::default() });
        let role = world.role(&world.regional, "CoreInfrastructureStack/RegionalLogProcessorRole");
        assert_eq!(operator.may_assume(&role, &none()), expected, "{parameters:?}");

        let from = |account: &str, arn: &str| {
            none().with("aws:SourceAccount", account).with("aws:SourceArn", arn)
        };
        let task = "arn:aws:ecs:us-east-2:111111111111:task/t";
        for (service, context, expected) in [
            ("ecs-tasks.amazonaws.com", from(CENTRAL_ACCOUNT, task), true),
            ("ecs-tasks.amazonaws.com", from(CUSTOMER_ACCOUNT, task), false),
            (
                "ecs-tasks.amazonaws.com",
                from(CENTRAL_ACCOUNT, "arn:aws:ecs:us-west-2:111111111111:task/t"),
                false,
            ),
            ("ecs-tasks.amazonaws.com", none(), false),
            ("lambda.amazonaws.com", from(CENTRAL_ACCOUNT, task), false),
        ] {
            let request = Request {
                principal: Principal::Service(service.into()),
                action: "sts:AssumeRole".into(),
                resource: role.arn.clone(),
                context: context.clone(),
            };
            let decision = evaluate(&[], Some(&role.trust), &request).unwrap();
            assert_eq!(decision.is_allowed(), expected, "{service} {context:?}");
        }
    }
}
