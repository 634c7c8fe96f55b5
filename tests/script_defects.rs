//! The defects of the script that mtlog replaces, B1 to B12: none of them comes back.

use fake_aws::cloudformation::{During, PlannedFailure, SeedStack, StackStatus};

use crate::{
    deploy::{GLOBAL, REGIONAL, deployed, names_of_writes, parameter, started, status},
    support::{ACCOUNT, REGION},
};

const ISSUER: &str = "oidc.op1.openshiftapps.com/2abc";
const CUSTOMER: &str = include_str!("../templates/customer/customer-log-distribution-role.yaml");
const CORE: &str = include_str!("../templates/regional/core-infrastructure.yaml");

#[test]
fn b01_a_rolled_back_operation_is_no_success() {
    let (fake, mtlog) = deployed();
    fake.cloudformation()
        .fail(PlannedFailure::new("LogDeliveryQueue", "no such luck").during(During::Update));
    let update = ["regional", "--param", "MaxReceiveCount=9", "-y"];
    mtlog.run(&[&["deploy"][..], &update].concat()).exits(4);
    fake.cloudformation().fail(PlannedFailure::new("CustomerLogDistributionRole", "no"));
    let script = mtlog.run(&["deploy.sh", "-t", "customer"]).exits(1);
    assert!(!script.stderr.contains("[SUCCESS]"), "{}", script.stderr);
}

#[test]
fn b02_both_stacks_of_a_cluster_can_be_made() {
    let (fake, mtlog) = deployed();
    fake.add_oidc_provider(ACCOUNT, ISSUER, &["openshift"]);
    mtlog
        .run(&["deploy", "cluster", "--cluster-name", "c1", "--oidc-provider", ISSUER, "-y"])
        .exits(0);
    for part in ["vector", "processor"] {
        let stack = format!("multi-tenant-logging-cluster-c1-{part}");
        assert_eq!(status(&fake, &stack), Some(StackStatus::CreateComplete), "{part}");
    }
}

#[test]
fn b03_two_regions_of_one_account_do_not_collide() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    mtlog.run(&["deploy", "regional", "-r", "us-east-2,eu-west-1", "--include-sqs", "-y"]).exits(0);
    for region in ["us-east-2", "eu-west-1"] {
        let stack = fake.cloudformation().stack(ACCOUNT, region, REGIONAL).unwrap();
        assert_eq!(stack.status, StackStatus::CreateComplete, "{region}");
    }
}

#[test]
fn b04_what_is_not_named_is_not_deleted() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["deploy", "regional", "--param", "S3DeleteAfterDays=9", "-y"]).exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("true"));
    mtlog.run(&["deploy.sh", "-t", "regional", "-e", "development"]).exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("true"));
}

#[test]
fn b05_a_dry_run_writes_nothing() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "all", "--include-sqs", "--dry-run"]).exits(0);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    let (fake, mtlog) = deployed();
    for check in ["--dry-run", "--validate-only"] {
        mtlog.run(&["deploy.sh", "-t", "regional", "-b", "some-bucket", check]).exits(0);
    }
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn b06_nothing_to_do_is_a_success_and_touches_nothing() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["deploy", "global", "regional", "-y"]).exits(0).says(&["Nothing to do"]);
    mtlog.run(&["deploy.sh", "-t", "global"]).exits(0).says(&["Nothing to do"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn b07_a_failed_first_creation_does_not_block_the_next() {
    let (fake, mtlog) = started();
    let remains = SeedStack::new(ACCOUNT, REGION, GLOBAL, StackStatus::RollbackComplete)
        .failing("Queue", "no");
    fake.cloudformation().put_stack(&remains);
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    assert_eq!(status(&fake, GLOBAL), Some(StackStatus::CreateComplete));
}

/// Who gets in with which id is evaluated in `templates::access`.
#[test]
fn b08_the_customers_role_is_given_the_external_id_to_demand() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["deploy", "customer", "-y", "--external-id", "0123456789abcdef"]).exits(0);
    let stack = "multi-tenant-logging-customer-us-east-2";
    assert_eq!(parameter(&fake, stack, "ExternalId").as_deref(), Some("0123456789abcdef"));
    assert!(CUSTOMER.contains("sts:ExternalId: !If"));
}

#[test]
fn b09_names_need_no_luck_and_the_sample_fits_its_template() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    // Without a suffix of its own choice the role has the first eight digits of the stack's id.
    assert_eq!(parameter(&fake, GLOBAL, "RandomSuffix").unwrap_or_default(), "");
    let sample = include_str!("../.env.sample");
    let role = sample
        .lines()
        .find_map(|line| line.strip_prefix("#CENTRAL_LOG_DISTRIBUTION_ROLE_ARN="))
        .expect("a sample of the central role");
    mtlog.run(&["plan", "customer", "--central-role-arn", role]).exits(0);
}

#[test]
fn b10_stores_outlive_their_stack_and_encryption_can_be_off() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    mtlog.run(&["deploy", "regional", "--param", "EnableS3Encryption=false", "-y"]).exits(0);
    let bucket = fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).unwrap().outputs;
    let bucket = bucket.iter().find(|(name, _)| name == "CentralLoggingBucketName");
    let (_, bucket) = bucket.expect("the bucket's name");
    mtlog.run(&["destroy", "regional", "--confirm", REGIONAL]).exits(0);
    assert!(fake.object_keys(bucket).is_empty(), "the bucket is still there");
    assert!(CORE.matches("DeletionPolicy: RetainExceptOnCreate").count() >= 3);
}

#[test]
fn b11_templates_are_not_overwritten_and_an_update_needs_no_arn() {
    let (fake, mtlog) = deployed();
    let bucket = format!("mtlog-templates-{ACCOUNT}-{REGION}");
    let before = fake.object_keys(&bucket);
    assert!(before.iter().all(|key| key.len() == "mtlog/.yaml".len() + 64), "{before:?}");
    mtlog.run(&["deploy", "regional", "--param", "S3DeleteAfterDays=9", "-y"]).exits(0);
    assert_eq!(fake.object_keys(&bucket), before);
    // A file of parameters adds to what is there instead of replacing everything.
    let list = r#"[{"ParameterKey": "MaxReceiveCount", "ParameterValue": "9"}]"#;
    mtlog.write("parameters-development.json", list);
    mtlog.run(&["deploy.sh", "-t", "regional"]).exits(0).says(&["parameters-development.json"]);
    for name in ["S3DeleteAfterDays", "MaxReceiveCount"] {
        assert_eq!(parameter(&fake, REGIONAL, name).as_deref(), Some("9"), "{name}");
    }
    mtlog.write("wrong.json", "[]3");
    mtlog.run(&["deploy", "regional", "--param-file", "wrong.json"]).exits(64).says(&["not JSON"]);
    for template in [CORE, CUSTOMER, include_str!("../templates/regional/main.yaml")] {
        let one_partition = |line: &&str| line.contains("!Sub arn:aws:");
        assert_eq!(template.lines().find(one_partition), None);
    }
}

#[test]
fn b12_one_process_and_few_calls() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    assert!(fake.calls("*") <= 8, "{:#?}", fake.call_counts());
}
