//! The chains that log objects take: collector -> bucket -> topic -> queue, and the alarms.

use fake_aws::iam::{Context, Policy, Principal, Request, evaluate};

use super::{
    deployment::CENTRAL_ACCOUNT,
    world::{CUSTOMER_ACCOUNT, ISSUER, Settings, World, stranger},
};

fn encrypted() -> Context {
    Context::default().with("aws:SecureTransport", "true")
}

fn plain() -> Context {
    Context::default().with("aws:SecureTransport", "false")
}

fn source(account: &str, arn: &str) -> Context {
    encrypted().with("aws:SourceAccount", account).with("aws:SourceArn", arn)
}

fn service_may(
    policy: &Policy,
    service: &str,
    action: &str,
    resource: &str,
    context: &Context,
) -> bool {
    let request = Request {
        principal: Principal::Service(service.into()),
        action: action.into(),
        resource: resource.into(),
        context: context.clone(),
    };
    evaluate(&[], Some(policy), &request).unwrap().is_allowed()
}

#[test]
fn a_token_opens_a_cluster_role_only_with_the_right_issuer_audience_and_service_account() {
    let world = World::new(Settings::default());
    let eks = World::new(Settings {
        regional: &[
            ("EksOidcIssuer", "https://oidc.eks.us-east-2.amazonaws.com/id/AB12"),
            ("EksClusterName", "eks-1"),
        ],
        ..Settings::default()
    });
    let vector = world.role(&world.blue, "ClusterVectorRole");
    let processor = world.role(&world.processor, "ClusterProcessorRole");
    let eks_vector = eks.role(&eks.regional, "CoreInfrastructureStack/VectorRole");
    let eks_issuer = "oidc.eks.us-east-2.amazonaws.com/id/AB12";
    let collector = "system:serviceaccount:logging:vector-logs";
    let (openshift, sts) = (Some("openshift"), Some("sts.amazonaws.com"));
    let rows = [
        (&vector, ISSUER, openshift, Some(collector), true),
        (&vector, ISSUER, sts, Some(collector), false),
        (&vector, ISSUER, None, Some(collector), false),
        (&vector, ISSUER, openshift, None, false),
        (&vector, ISSUER, openshift, Some("system:serviceaccount:logging:vector"), false),
        (&vector, ISSUER, openshift, Some("system:serviceaccount:default:vector-logs"), false),
        (&vector, ISSUER, openshift, Some("system:serviceaccount:logging:*"), false),
        (&vector, "oidc.op1.openshiftapps.com/other", openshift, Some(collector), false),
        (&processor, ISSUER, openshift, Some("system:serviceaccount:logging:log-processor"), true),
        (&processor, ISSUER, openshift, Some(collector), false),
        (&eks_vector, eks_issuer, sts, Some(collector), true),
        (&eks_vector, eks_issuer, openshift, Some(collector), false),
        (&eks_vector, ISSUER, sts, Some(collector), false),
    ];
    for (role, issuer, audience, subject, expected) in rows {
        let mut context = Context::default();
        for (claim, value) in [("aud", audience), ("sub", subject)] {
            if let Some(value) = value {
                context = context.with(&format!("{issuer}:{claim}"), value);
            }
        }
        let request = Request {
            principal: Principal::Federated(format!(
                "arn:aws:iam::{CENTRAL_ACCOUNT}:oidc-provider/{issuer}"
            )),
            action: "sts:AssumeRoleWithWebIdentity".into(),
            resource: role.arn.clone(),
            context: context.clone(),
        };
        let decision = evaluate(&[], Some(&role.trust), &request).unwrap();
        assert_eq!(decision.is_allowed(), expected, "{} {issuer} {context:?}", role.arn);
    }
}

#[test]
fn only_a_clusters_own_collector_may_assume_its_writer_role() {
    let eks: &[(&str, &str)] = &[
        ("EksOidcIssuer", "oidc.eks.us-east-2.amazonaws.com/id/AB12"),
        ("EksClusterName", "eks-1"),
    ];
    let world = World::new(Settings { regional: eks, ..Settings::default() });
    let core = |name: &str| world.role(&world.regional, &format!("CoreInfrastructureStack/{name}"));
    let (blue, bluebell) = (
        world.role(&world.blue, "ClusterVectorRole"),
        world.role(&world.bluebell, "ClusterVectorRole"),
    );
    let (blue_writer, bluebell_writer) = (
        world.role(&world.blue, "ClusterS3WriterRole"),
        world.role(&world.bluebell, "ClusterS3WriterRole"),
    );
    let (eks, eks_writer) = (core("VectorRole"), core("CentralS3WriterRole"));
    let administrator = stranger("arn:aws:iam::111111111111:role/Administrator");
    let rows = [
        (&blue, &blue_writer, true),
        (&bluebell, &bluebell_writer, true),
        (&eks, &eks_writer, true),
        (&blue, &bluebell_writer, false),
        (&blue, &eks_writer, false),
        (&eks, &blue_writer, false),
        (&administrator, &blue_writer, false),
        (&blue_writer, &bluebell_writer, false),
    ];
    for (role, writer, expected) in rows {
        assert_eq!(
            role.may_assume(writer, &Context::default()),
            expected,
            "{} -> {}",
            role.arn,
            writer.arn
        );
    }
}

#[test]
fn a_writer_puts_objects_below_its_own_cluster_only_and_reads_nothing() {
    for prefix in ["", "logs/"] {
        let eks: &[(&str, &str)] = &[
            ("S3KeyPrefix", prefix),
            ("EksOidcIssuer", "oidc.eks/id/1"),
            ("EksClusterName", "eks-1"),
        ];
        let world = World::new(Settings { regional: eks, ..Settings::default() });
        let bucket = world.output("CentralLoggingBucketArn").to_owned();
        let policy = world.resource_policy(
            "CoreInfrastructureStack/CentralLoggingBucketPolicy",
            "PolicyDocument",
        );
        let key = world.output("KMSKeyArn");
        let encryption = |name: &str, value: &str| {
            encrypted().with(&format!("s3:x-amz-server-side-encryption{name}"), value)
        };
        for (name, role) in [
            ("blue", world.role(&world.blue, "ClusterS3WriterRole")),
            ("bluebell", world.role(&world.bluebell, "ClusterS3WriterRole")),
            ("eks-1", world.role(&world.regional, "CoreInfrastructureStack/CentralS3WriterRole")),
        ] {
            let own = format!("{bucket}/{prefix}{name}/ns/app/pod/x.json.gz");
            let rows = [
                ("s3:PutObject", own.clone(), encrypted(), true),
                ("s3:PutObject", own.clone(), plain(), false),
                ("s3:PutObject", own.clone(), encryption("", "aws:kms"), true),
                ("s3:PutObject", own.clone(), encryption("", "AES256"), false),
                ("s3:PutObject", own.clone(), encryption("-aws-kms-key-id", key), true),
                (
                    "s3:PutObject",
                    own.clone(),
                    encryption("-aws-kms-key-id", "arn:aws:kms:us-east-2:9:key/x"),
                    false,
                ),
                (
                    "s3:PutObject",
                    format!("{bucket}/{prefix}green/ns/app/pod/x.json.gz"),
                    encrypted(),
                    false,
                ),
                (
                    "s3:PutObject",
                    format!("{bucket}/{prefix}{name}x/ns/app/pod/x.json.gz"),
                    encrypted(),
                    false,
                ),
                ("s3:PutObject", format!("{bucket}/{prefix}x.json.gz"), encrypted(), false),
                ("s3:PutObject", format!("{bucket}/other/{name}/x.json.gz"), encrypted(), false),
                (
                    "s3:PutObject",
                    format!("{bucket}-2/{prefix}{name}/x.json.gz"),
                    encrypted(),
                    false,
                ),
                ("s3:PutObjectAcl", own.clone(), encrypted(), false),
                ("s3:GetObject", own.clone(), encrypted(), false),
                ("s3:DeleteObject", own.clone(), encrypted(), false),
                ("s3:ListBucket", bucket.clone(), encrypted(), false),
            ];
            for (action, resource, context, expected) in rows {
                let decision = role.decision(Some(&policy), action, &resource, &context);
                assert_eq!(
                    decision.is_allowed(),
                    expected,
                    "{name}: {action} {resource} {context:?}: {decision:?}"
                );
            }
        }
    }
}

#[test]
fn a_writer_encrypts_through_s3_and_a_collector_writes_nothing_itself() {
    let world = World::new(Settings::default());
    let writer = world.role(&world.blue, "ClusterS3WriterRole");
    let collector = world.role(&world.blue, "ClusterVectorRole");
    let key = world.output("KMSKeyArn").to_owned();
    let object = format!("{}/blue/x.gz", world.output("CentralLoggingBucketArn"));
    let through = |service: &str| {
        encrypted().with("kms:ViaService", &format!("{service}.us-east-2.amazonaws.com"))
    };
    let rows = [
        (&writer, "kms:GenerateDataKey", &key, through("s3"), true),
        (&writer, "kms:GenerateDataKey", &key, through("sqs"), false),
        (&writer, "kms:GenerateDataKey", &key, encrypted(), false),
        (&writer, "kms:Decrypt", &key, through("s3"), false),
        (&collector, "kms:GenerateDataKey", &key, through("s3"), false),
        (&collector, "s3:PutObject", &object, encrypted(), false),
    ];
    for (role, action, resource, context, expected) in rows {
        let allowed = role.may(action, resource, &context);
        assert_eq!(allowed, expected, "{}: {action} {context:?}", role.arn);
    }
}

#[test]
fn a_role_without_a_cluster_tag_writes_nothing() {
    let world = World::new(Settings::default());
    let mut role = world.role(&world.blue, "ClusterS3WriterRole");
    role.tags = Context::default();
    let bucket = world.output("CentralLoggingBucketArn");
    for key in ["blue/x.gz", "/x.gz", "${aws:PrincipalTag/ClusterName}/x.gz", "x.gz"] {
        assert!(!role.may("s3:PutObject", &format!("{bucket}/{key}"), &encrypted()), "{key}");
    }
}

#[test]
fn the_topic_takes_notifications_of_this_bucket_only() {
    let world = World::new(Settings::default());
    let policy =
        world.resource_policy("CoreInfrastructureStack/LogDeliveryTopicPolicy", "PolicyDocument");
    let (topic, bucket) =
        (world.output("LogDeliveryTopicArn"), world.output("CentralLoggingBucketArn"));
    let rows = [
        ("s3.amazonaws.com", source(CENTRAL_ACCOUNT, bucket), true),
        ("s3.amazonaws.com", source(CUSTOMER_ACCOUNT, bucket), false),
        ("s3.amazonaws.com", source(CENTRAL_ACCOUNT, "arn:aws:s3:::other"), false),
        ("s3.amazonaws.com", encrypted().with("aws:SourceArn", bucket), false),
        (
            "s3.amazonaws.com",
            source(CENTRAL_ACCOUNT, bucket).with("aws:SecureTransport", "false"),
            false,
        ),
        ("events.amazonaws.com", source(CENTRAL_ACCOUNT, bucket), false),
    ];
    for (service, context, expected) in rows {
        assert_eq!(
            service_may(&policy, service, "sns:Publish", topic, &context),
            expected,
            "{service} {context:?}"
        );
    }
}

#[test]
fn the_queues_take_messages_of_this_topic_only_and_nothing_over_plain_http() {
    let world = World::new(Settings::default());
    let topic = world.output("LogDeliveryTopicArn");
    let other_topic =
        "arn:aws:sns:us-east-2:222222222222:multi-tenant-logging-development-log-delivery";
    for (resource, queue) in [
        ("SQSStack/LogDeliveryQueuePolicy", world.output("LogDeliveryQueueArn")),
        ("SQSStack/LogDeliveryDLQPolicy", world.output("LogDeliveryDLQArn")),
    ] {
        let policy = world.resource_policy(resource, "PolicyDocument");
        let rows = [
            ("sns.amazonaws.com", source(CENTRAL_ACCOUNT, topic), true),
            ("sns.amazonaws.com", encrypted().with("aws:SourceArn", topic), true),
            ("sns.amazonaws.com", source(CUSTOMER_ACCOUNT, topic), false),
            ("sns.amazonaws.com", source(CUSTOMER_ACCOUNT, other_topic), false),
            ("sns.amazonaws.com", encrypted().with("aws:SourceArn", other_topic), false),
            ("sns.amazonaws.com", encrypted(), false),
            (
                "sns.amazonaws.com",
                source(CENTRAL_ACCOUNT, topic).with("aws:SecureTransport", "false"),
                false,
            ),
            ("s3.amazonaws.com", source(CENTRAL_ACCOUNT, topic), false),
        ];
        for (service, context, expected) in rows {
            assert_eq!(
                service_may(&policy, service, "sqs:SendMessage", queue, &context),
                expected,
                "{resource} {service} {context:?}"
            );
        }
        let processor = world.role(&world.processor, "ClusterProcessorRole");
        for (context, expected) in [(encrypted(), true), (plain(), false)] {
            let decision = processor.decision(Some(&policy), "sqs:SendMessage", queue, &context);
            assert_eq!(decision.is_allowed(), expected, "{resource} {decision:?}");
        }
    }
}

#[test]
fn nobody_reaches_the_bucket_over_plain_http() {
    for encryption in ["true", "false"] {
        let world = World::new(Settings {
            regional: &[("EnableS3Encryption", encryption)],
            ..Settings::default()
        });
        let policy = world.resource_policy(
            "CoreInfrastructureStack/CentralLoggingBucketPolicy",
            "PolicyDocument",
        );
        let bucket = world.output("CentralLoggingBucketArn");
        let administrator = stranger("arn:aws:iam::111111111111:role/Administrator");
        for (action, resource) in [
            ("s3:GetObject", format!("{bucket}/k")),
            ("s3:PutObject", format!("{bucket}/k")),
            ("s3:ListBucket", bucket.to_owned()),
        ] {
            assert!(
                administrator.decision(Some(&policy), action, &resource, &encrypted()).is_allowed()
            );
            assert!(
                !administrator.decision(Some(&policy), action, &resource, &plain()).is_allowed(),
                "{action}"
            );
        }
    }
}

#[test]
fn the_key_serves_the_services_of_this_pipeline_and_its_accounts_policies() {
    let world = World::new(Settings::default());
    let policy = world.resource_policy("CoreInfrastructureStack/LoggingKMSKey", "KeyPolicy");
    let key = world.output("KMSKeyArn");
    let (bucket, topic) =
        (world.output("CentralLoggingBucketArn"), world.output("LogDeliveryTopicArn"));
    let alarm = "arn:aws:cloudwatch:us-east-2:111111111111:alarm:a";
    let group = |name: &str| {
        let arn = format!("arn:aws:logs:us-east-2:111111111111:log-group:/aws/lambda/{name}");
        Context::default().with("kms:EncryptionContext:aws:logs:arn", &arn)
    };
    let rows = [
        ("s3.amazonaws.com", source(CENTRAL_ACCOUNT, bucket), true),
        ("s3.amazonaws.com", source(CUSTOMER_ACCOUNT, bucket), false),
        ("s3.amazonaws.com", source(CENTRAL_ACCOUNT, "arn:aws:s3:::other"), false),
        ("s3.amazonaws.com", Context::default(), false),
        ("sns.amazonaws.com", source(CENTRAL_ACCOUNT, topic), true),
        ("sns.amazonaws.com", Context::default().with("aws:SourceArn", topic), true),
        ("sns.amazonaws.com", source(CUSTOMER_ACCOUNT, topic), false),
        (
            "sns.amazonaws.com",
            Context::default().with("aws:SourceArn", "arn:aws:sns:us-east-2:111111111111:other"),
            false,
        ),
        ("sns.amazonaws.com", Context::default(), false),
        ("cloudwatch.amazonaws.com", source(CENTRAL_ACCOUNT, alarm), true),
        ("cloudwatch.amazonaws.com", source(CUSTOMER_ACCOUNT, alarm), false),
        (
            "logs.us-east-2.amazonaws.com",
            group("multi-tenant-logging-development-log-distributor"),
            true,
        ),
        ("logs.us-east-2.amazonaws.com", group("other"), false),
        (
            "logs.us-west-2.amazonaws.com",
            group("multi-tenant-logging-development-log-distributor"),
            false,
        ),
        ("lambda.amazonaws.com", source(CENTRAL_ACCOUNT, bucket), false),
    ];
    for (service, context, expected) in rows {
        for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
            assert_eq!(
                service_may(&policy, service, action, key, &context),
                expected,
                "{service} {action} {context:?}"
            );
        }
        assert!(
            !service_may(&policy, service, "kms:ScheduleKeyDeletion", key, &context),
            "{service}"
        );
    }
    for (arn, expected) in [
        ("arn:aws:iam::111111111111:role/Administrator", true),
        ("arn:aws:iam::222222222222:role/Administrator", false),
    ] {
        let decision = stranger(arn).decision(Some(&policy), "kms:Decrypt", key, &encrypted());
        assert_eq!(decision.is_allowed(), expected, "{arn}");
    }
}

#[test]
fn the_alarm_topic_takes_alarms_of_this_account_only() {
    let world = World::new(Settings::default());
    let policy = world.resource_policy("ObservabilityStack/AlarmTopicPolicy", "PolicyDocument");
    let topic = world.output("AlarmTopicArn");
    let alarm =
        |region: &str, account: &str| format!("arn:aws:cloudwatch:{region}:{account}:alarm:a");
    let own = alarm("us-east-2", CENTRAL_ACCOUNT);
    let rows = [
        (source(CENTRAL_ACCOUNT, &own), true),
        (source(CENTRAL_ACCOUNT, &own).with("aws:SecureTransport", "false"), false),
        (source(CUSTOMER_ACCOUNT, &alarm("us-east-2", CUSTOMER_ACCOUNT)), false),
        (source(CENTRAL_ACCOUNT, &alarm("us-west-2", CENTRAL_ACCOUNT)), false),
        (encrypted(), false),
    ];
    for (context, expected) in rows {
        let allowed =
            service_may(&policy, "cloudwatch.amazonaws.com", "sns:Publish", topic, &context);
        assert_eq!(allowed, expected, "{context:?}");
    }
}
