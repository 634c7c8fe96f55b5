//! Who may do what: central and customer roles, their policies evaluated.

use fake_aws::iam::Context;

use super::{
    deployment::{CENTRAL_ACCOUNT, OHIO, deploy},
    world::{CUSTOMER_ACCOUNT, Role, Settings, World, stranger},
};
use mtlog::template::catalogue::TemplateId;

pub(crate) fn none() -> Context {
    Context::default()
}

fn external_id(id: &str) -> Context {
    none().with("sts:ExternalId", id)
}

pub(crate) fn through(service: &str) -> Context {
    none().with("kms:ViaService", &format!("{service}.us-east-2.amazonaws.com"))
}

/// One question to a role: action, resource, context, and whether it may.
pub(crate) type Row = (&'static str, String, Context, bool);

pub(crate) fn check(name: &str, role: &Role, rows: Vec<Row>) {
    for (action, resource, context, expected) in rows {
        let decision = role.decision(None, action, &resource, &context);
        assert_eq!(
            decision.is_allowed(),
            expected,
            "{name}: {action} on {resource} with {context:?}: {decision:?}"
        );
    }
}

#[test]
fn only_the_processors_of_the_project_may_assume_the_central_role() {
    let world = World::new(Settings::default());
    let central = world.central_role();
    let regional = |name| world.role(&world.regional, name);
    let arn = |account: &str, name: &str| format!("arn:aws:iam::{account}:role/{name}");
    let strangers = [
        (arn(CENTRAL_ACCOUNT, "Administrator"), false),
        (arn(CENTRAL_ACCOUNT, "other-project-production-us-east-2-lambda"), false),
        (arn(CENTRAL_ACCOUNT, "multi-tenant-logging-testing-us-east-2-lambda"), false),
        (arn(CENTRAL_ACCOUNT, "multi-tenant-logging/development/us-east-2/vector/blue"), false),
        (arn(CENTRAL_ACCOUNT, "other-project/development/us-east-2/processor/blue"), false),
        (arn(CUSTOMER_ACCOUNT, "multi-tenant-logging-production-us-east-2-lambda"), false),
        (arn(CENTRAL_ACCOUNT, "multi-tenant-logging-production-eu-west-1-lambda"), true),
        (arn(CENTRAL_ACCOUNT, "multi-tenant-logging-staging-us-gov-east-1-processor"), true),
        (arn(CENTRAL_ACCOUNT, "multi-tenant-logging/production/eu-west-1/processor/green"), true),
    ];
    let mut rows: Vec<(Role, bool)> =
        strangers.into_iter().map(|(arn, expected)| (stranger(&arn), expected)).collect();
    rows.extend([
        (regional("LambdaStack/LambdaExecutionRole"), true),
        (regional("CoreInfrastructureStack/RegionalLogProcessorRole"), true),
        (world.role(&world.processor, "ClusterProcessorRole"), true),
        (world.role(&world.blue, "ClusterVectorRole"), false),
        (world.role(&world.blue, "ClusterS3WriterRole"), false),
        (world.customer_role(), false),
    ]);
    for (role, expected) in rows {
        assert_eq!(role.may_assume(&central, &none()), expected, "{}", role.arn);
    }
}

#[test]
fn operators_may_assume_the_central_role_only_when_named() {
    let operator = stranger("arn:aws:iam::111111111111:role/Operators");
    for (parameters, expected) in [
        (&[][..], false),
        (
            &[(
                "OperatorRoleArns",
                "arn:aws:iam::111111111111:role/Operators,arn:aws:iam::111111111111:user/ops",
            )],
            true,
        ),
    ] {
        let world = World::new(Settings { global: parameters, ..Settings::default() });
        assert_eq!(operator.may_assume(&world.central_role(), &none()), expected, "{parameters:?}");
    }
}

#[test]
fn a_customer_role_demands_the_central_role_and_the_right_external_id() {
    let own_id: &[(&str, &str)] = &[("ExternalId", "f3a1-secret")];
    let rows = [
        (&[][..], external_id(CENTRAL_ACCOUNT), true),
        (&[], external_id(CUSTOMER_ACCOUNT), false),
        (&[], external_id(""), false),
        (&[], external_id("111111111111 "), false),
        (&[], none(), false),
        (own_id, external_id("f3a1-secret"), true),
        (own_id, external_id("F3A1-SECRET"), false),
        (own_id, external_id(CENTRAL_ACCOUNT), false),
        (own_id, none(), false),
    ];
    for (parameters, context, expected) in rows {
        let world = World::new(Settings { customer: parameters, ..Settings::default() });
        let customer = world.customer_role();
        assert_eq!(
            world.central_role().may_assume(&customer, &context),
            expected,
            "{parameters:?} {context:?}"
        );
        for other in [
            "arn:aws:iam::111111111111:role/Administrator",
            "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-00000000",
            "arn:aws:iam::333333333333:role/ROSA-CentralLogDistributionRole-00000000",
        ] {
            assert!(!stranger(other).may_assume(&customer, &context), "{other} {context:?}");
        }
    }
}

#[test]
fn the_central_role_reaches_customer_roles_of_other_accounts_and_nothing_else() {
    let role = |account: &str, name: &str| format!("arn:aws:iam::{account}:role/{name}");
    let rows = |own_account| {
        vec![
            (
                "sts:AssumeRole",
                role(CUSTOMER_ACCOUNT, "CustomerLogDistribution-us-east-2"),
                none(),
                true,
            ),
            (
                "sts:AssumeRole",
                role(CUSTOMER_ACCOUNT, "team/logs/CustomerLogDistribution-eu-west-1"),
                none(),
                true,
            ),
            ("sts:AssumeRole", role(CUSTOMER_ACCOUNT, "Administrator"), none(), false),
            (
                "sts:AssumeRole",
                role(CUSTOMER_ACCOUNT, "NotCustomerLogDistribution-us-east-2"),
                none(),
                false,
            ),
            (
                "sts:AssumeRole",
                role(CENTRAL_ACCOUNT, "CustomerLogDistribution-us-east-2"),
                none(),
                own_account,
            ),
            (
                "sts:AssumeRole",
                role(CENTRAL_ACCOUNT, "a/CustomerLogDistribution-us-east-2"),
                none(),
                own_account,
            ),
            (
                "s3:GetObject",
                "arn:aws:s3:::multi-tenant-logging-development-central-00000000/k".into(),
                none(),
                false,
            ),
            ("s3:PutObject", "arn:aws:s3:::customer-bucket/k".into(), none(), false),
            (
                "logs:PutLogEvents",
                "arn:aws:logs:us-east-2:222222222222:log-group:g:log-stream:s".into(),
                none(),
                false,
            ),
        ]
    };
    check("central", &World::new(Settings::default()).central_role(), rows(false));
    let settings =
        Settings { global: &[("AllowSameAccountDelivery", "true")], ..Settings::default() };
    check("central in one account", &World::new(settings).central_role(), rows(true));
}

#[test]
fn delivery_to_buckets_is_off_until_wanted_and_never_reaches_the_own_account() {
    let world =
        World::new(Settings { global: &[("EnableS3Delivery", "true")], ..Settings::default() });
    let owned_by = |account: &str| none().with("aws:ResourceAccount", account);
    let key = |account: &str| format!("arn:aws:kms:us-east-2:{account}:key/k");
    let central_object =
        format!("{}/blue/ns/app/pod/x.json.gz", world.output("CentralLoggingBucketArn"));
    let rows = vec![
        ("s3:GetObject", central_object.clone(), owned_by(CENTRAL_ACCOUNT), true),
        ("s3:GetObject", central_object.clone(), owned_by(CUSTOMER_ACCOUNT), false),
        (
            "s3:GetObject",
            "arn:aws:s3:::customer-bucket/k".into(),
            owned_by(CUSTOMER_ACCOUNT),
            false,
        ),
        ("s3:PutObject", "arn:aws:s3:::customer-bucket/k".into(), owned_by(CUSTOMER_ACCOUNT), true),
        ("s3:PutObject", central_object, owned_by(CENTRAL_ACCOUNT), false),
        (
            "s3:DeleteObject",
            "arn:aws:s3:::customer-bucket/k".into(),
            owned_by(CUSTOMER_ACCOUNT),
            false,
        ),
        ("kms:Decrypt", key(CENTRAL_ACCOUNT), through("s3"), true),
        ("kms:Decrypt", key(CENTRAL_ACCOUNT), through("sqs"), false),
        ("kms:Decrypt", key(CENTRAL_ACCOUNT), none(), false),
        (
            "kms:GenerateDataKey",
            key(CUSTOMER_ACCOUNT),
            through("s3").with("aws:ResourceAccount", CUSTOMER_ACCOUNT),
            true,
        ),
        (
            "kms:GenerateDataKey",
            key(CENTRAL_ACCOUNT),
            through("s3").with("aws:ResourceAccount", CENTRAL_ACCOUNT),
            false,
        ),
    ];
    check("central", &world.central_role(), rows);
}

#[test]
fn a_customer_role_writes_only_below_its_log_group_prefix_in_its_region() {
    let group = |region: &str, account: &str, name: &str| {
        format!("arn:aws:logs:{region}:{account}:log-group:{name}")
    };
    let in_region = |region: &str| none().with("aws:RequestedRegion", region);
    let stream = |name: &str| {
        format!("{}:log-stream:app-pod-2026-01-01", group("us-east-2", CUSTOMER_ACCOUNT, name))
    };
    let other_region =
        |name: &str| format!("{}:log-stream:s", group("us-west-2", CUSTOMER_ACCOUNT, name));
    let rows = |prefix: &str| {
        let inside = format!("{prefix}one");
        let here = group("us-east-2", CUSTOMER_ACCOUNT, &inside);
        vec![
            ("logs:PutLogEvents", stream(&inside), none(), true),
            ("logs:PutLogEvents", stream("/other/group"), none(), false),
            ("logs:PutLogEvents", other_region(&inside), none(), false),
            ("logs:PutLogEvents", here.clone(), none(), false),
            ("logs:CreateLogGroup", here.clone(), none(), true),
            ("logs:CreateLogGroup", group("us-west-2", CUSTOMER_ACCOUNT, &inside), none(), false),
            ("logs:CreateLogGroup", group("us-east-2", CENTRAL_ACCOUNT, &inside), none(), false),
            ("logs:CreateLogGroup", group("us-east-2", CUSTOMER_ACCOUNT, "/other"), none(), false),
            ("logs:CreateLogStream", here.clone(), none(), true),
            ("logs:DescribeLogStreams", here.clone(), none(), true),
            ("logs:PutRetentionPolicy", here.clone(), none(), true),
            ("logs:DescribeLogGroups", "*".into(), in_region("us-east-2"), true),
            ("logs:DescribeLogGroups", "*".into(), in_region("us-west-2"), false),
            ("logs:DescribeLogGroups", "*".into(), none(), false),
            ("logs:DeleteLogGroup", here.clone(), none(), false),
            ("logs:DeleteRetentionPolicy", here.clone(), none(), false),
            ("logs:GetLogEvents", stream(&inside), none(), false),
            ("logs:GetLogEvents", format!("{here}:log-stream:mtlog-probe"), none(), true),
            ("logs:FilterLogEvents", here.clone(), none(), false),
            ("logs:PutSubscriptionFilter", here, none(), false),
            ("s3:GetObject", "arn:aws:s3:::any/k".into(), none(), false),
        ]
    };
    check("default", &World::new(Settings::default()).customer_role(), rows("/ROSA/cluster-logs/"));
    let settings =
        Settings { customer: &[("LogGroupPrefix", "/our/logs/")], ..Settings::default() };
    check("own prefix", &World::new(settings).customer_role(), rows("/our/logs/"));
}

#[test]
fn a_customer_may_demand_a_path_and_a_permissions_boundary() {
    let boundary = "arn:aws:iam::222222222222:policy/org/Boundary";
    let settings = Settings {
        customer: &[("RolePath", "/org/logs/"), ("PermissionsBoundaryArn", boundary)],
        ..Settings::default()
    };
    let world = World::new(settings);
    let role = world.customer_role();
    assert_eq!(
        role.arn,
        "arn:aws:iam::222222222222:role/org/logs/CustomerLogDistribution-us-east-2"
    );
    assert!(world.central_role().may_assume(&role, &external_id(CENTRAL_ACCOUNT)));
    let properties =
        |world: &World| world.customer.resources["CustomerLogDistributionRole"].properties.clone();
    assert_eq!(properties(&world)["PermissionsBoundary"], boundary);
    assert!(properties(&World::new(Settings::default())).get("PermissionsBoundary").is_none());
}

#[test]
fn the_external_id_is_shown_to_the_customer() {
    let central = "arn:aws-us-gov:iam::123456789012:role/ROSA-CentralLogDistributionRole-0123abcd";
    for (given, expected) in [("", "123456789012"), ("own-id", "own-id")] {
        let parameters = [("CentralLogDistributionRoleArn", central), ("ExternalId", given)];
        let stack = deploy(TemplateId::Customer, OHIO, &parameters).unwrap();
        assert_eq!(stack.outputs["ExternalId"], expected);
    }
}
