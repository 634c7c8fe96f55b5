//! `mtlog deploy` and its relatives, run as a process against a strict stand-in for CloudFormation.

use std::process::Stdio;

use fake_aws::{
    FakeAws, Fault, Response,
    cloudformation::{
        Availability, During, EarlyValidation, Pace, PlannedFailure, SeedStack, StackStatus,
    },
};

use crate::support::{ACCOUNT, Mtlog, REGION};

pub(crate) const GLOBAL: &str = "multi-tenant-logging-global";
pub(crate) const REGIONAL: &str = "multi-tenant-logging-development";
const BUCKET: &str = "mtlog-templates-111111111111-us-east-2";

pub(crate) fn started() -> (FakeAws, Mtlog) {
    let fake = FakeAws::start_blocking();
    let mtlog = Mtlog::with(&fake);
    (fake, mtlog)
}

/// Deploys the global and the regional stack with queues.
pub(crate) fn deployed() -> (FakeAws, Mtlog) {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "regional", "--include-sqs", "-y"]).exits(0);
    fake.clear_journal();
    (fake, mtlog)
}

pub(crate) fn status(fake: &FakeAws, stack: &str) -> Option<StackStatus> {
    fake.cloudformation().stack(ACCOUNT, REGION, stack).map(|stack| stack.status)
}

pub(crate) fn parameter(fake: &FakeAws, stack: &str, name: &str) -> Option<String> {
    let stack = fake.cloudformation().stack(ACCOUNT, REGION, stack)?;
    stack.parameters.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

pub(crate) fn names_of_writes(fake: &FakeAws) -> Vec<String> {
    fake.writes().iter().map(|entry| entry.facts.operation.clone()).collect()
}

#[test]
fn stacks_wire_themselves_and_a_second_run_only_reads() {
    let (fake, mtlog) = started();
    let first =
        mtlog.run(&["deploy", "regional", "global", "--include-sqs", "-y", "-o", "json"]).exits(0);
    let report = first.json();
    let stacks = report["stacks"].as_array().expect("stacks");
    assert_eq!(stacks.len(), 2);
    assert_eq!((&stacks[0]["stack"], &stacks[0]["result"]), (&GLOBAL.into(), &"created".into()));
    assert_eq!((&stacks[1]["stack"], &stacks[1]["result"]), (&REGIONAL.into(), &"created".into()));
    let role = stacks[0]["outputs"]["CentralLogDistributionRoleArn"].as_str().expect("a role");
    assert_eq!(stacks[1]["outputs"]["CentralLogDistributionRoleArn"], role);
    assert!(stacks[1]["outputs"]["LogDeliveryQueueUrl"].is_string());

    fake.clear_journal();
    let again = mtlog
        .run(&["deploy", "global", "regional", "-y", "-o", "json"])
        .exits(0)
        .says(&["Nothing to do"]);
    assert_eq!(again.json()["stacks"][1]["result"], "unchanged");
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn few_calls_are_enough() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    assert!(fake.calls("*") <= 8, "{:#?}", fake.call_counts());
    fake.clear_journal();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    assert!(fake.calls("*") <= 3, "{:#?}", fake.call_counts());
}

#[test]
fn a_parameter_that_changes_no_resource_is_nothing_to_do() {
    let (_fake, mtlog) = deployed();
    let update = ["deploy", "regional", "--param", "LambdaMemoryMB=512", "-y"];
    mtlog.run(&update).exits(0).says(&["sees no resource that would change", "Nothing to do"]);
}

#[test]
fn a_cluster_stack_under_its_former_name_is_taken_over() {
    let (fake, mtlog) = deployed();
    let former = "multi-tenant-logging-cluster-c1";
    let outputs = fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).unwrap().outputs;
    let output = |name: &str| {
        outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap()
    };
    fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, REGION, former, StackStatus::CreateComplete)
            .template(include_str!("../templates/cluster/cluster-vector-role.yaml"))
            .parameter("ClusterName", "c1")
            .parameter("OIDCProviderURL", "oidc.example.com/1")
            .parameter("VectorAssumeRolePolicyArn", &output("VectorAssumeRolePolicyArn"))
            .parameter("CentralS3WriterPolicyArn", &output("CentralS3WriterPolicyArn")),
    );
    let deploy = ["deploy", "cluster/vector", "--cluster-name", "c1", "-y", "-o", "json"];
    let report = mtlog.run(&deploy).exits(0).json();
    assert_eq!(report["stacks"][0]["stack"], former);
    assert_eq!(status(&fake, "multi-tenant-logging-cluster-c1-vector"), None);
}

#[test]
fn a_plan_makes_no_write_call() {
    let (fake, mtlog) = started();
    let clean = mtlog.run(&["plan", "all", "--include-sqs", "-o", "json"]).exits(0).json();
    assert_eq!(clean["plans"][1]["operation"], "create");
    mtlog.run(&["deploy", "all", "--include-sqs", "--dry-run", "-y"]).exits(0);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());

    let (fake, mtlog) = deployed();
    let plan = mtlog
        .run(&["plan", "regional", "--param", "S3DeleteAfterDays=14", "-o", "json"])
        .exits(0)
        .json();
    let changes = plan["plans"][0]["changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["path"], "CoreInfrastructureStack/CentralLoggingBucket");
    let property = &changes[0]["properties"][0];
    assert_eq!((&property["before"], &property["after"]), (&"7".into(), &"14".into()));
    mtlog.run(&["plan", "regional", "--detailed-exitcode"]).exits(0);
    mtlog
        .run(&["plan", "regional", "--detailed-exitcode", "--param", "S3DeleteAfterDays=14"])
        .exits(2);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn without_consent_nothing_is_written() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global"]).exits(7).says(&["add --yes"]);
    mtlog.run(&["deploy", "global", "--no-input"]).exits(7);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn a_failed_creation_ends_with_4_and_names_the_first_cause() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    let reason = "Role already exists: demo (Service: Iam, Status Code: 409)";
    let failure = PlannedFailure::new("RegionalLogProcessorRole", reason).during(During::Create);
    fake.cloudformation().fail(failure);
    let failed = mtlog.run(&["deploy", "regional", "--include-sqs", "-y"]).exits(4).says(&[
        "stack `multi-tenant-logging-development` could not be created",
        "cause: CoreInfrastructureStack/RegionalLogProcessorRole (AWS::IAM::Role) could not be created: Role already exists",
        "[MT001]",
        "next: mtlog events multi-tenant-logging-development --failed",
    ]);
    assert!(!failed.stderr.contains("was created."), "{}", failed.stderr);
    assert_eq!(status(&fake, REGIONAL), None, "nothing is left");

    fake.cloudformation().clear_failures();
    mtlog.run(&["deploy", "regional", "--include-sqs", "-y"]).exits(0);
}

#[test]
fn a_failed_update_ends_with_4_and_the_stack_is_as_before() {
    let (fake, mtlog) = deployed();
    fake.cloudformation()
        .fail(PlannedFailure::new("LogDeliveryQueue", "no such luck").during(During::Update));
    mtlog.run(&["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"]).exits(4).says(&[
        "it is again as it was before",
        "SQSStack/LogDeliveryQueue (AWS::SQS::Queue) could not be updated: no such luck",
    ]);
    assert_eq!(status(&fake, REGIONAL), Some(StackStatus::UpdateRollbackComplete));
    assert_eq!(parameter(&fake, REGIONAL, "MaxReceiveCount").as_deref(), Some("5"));
    let events = mtlog.run(&["events", "regional", "--failed", "-o", "json"]).exits(0).json();
    assert_eq!(events["events"][0]["path"], "SQSStack/LogDeliveryQueue");
    assert_eq!(events["events"][0]["consequence"], false);
}

#[test]
fn a_rollback_that_fails_ends_with_5_and_blocks_the_next_run() {
    let (fake, mtlog) = deployed();
    fake.cloudformation().fail(PlannedFailure::new("LogDeliveryQueue", "broken for good"));
    let update = ["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"];
    mtlog.run(&update).exits(5).says(&["UPDATE_ROLLBACK_FAILED", "broken for good"]);
    fake.clear_journal();
    mtlog.run(&update).exits(5).says(&["mtlog rollback multi-tenant-logging-development"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn the_empty_remains_of_a_failed_creation_are_cleared_away() {
    let (fake, mtlog) = started();
    let remains = SeedStack::new(ACCOUNT, REGION, GLOBAL, StackStatus::RollbackComplete)
        .failing("Queue", "no");
    fake.cloudformation().put_stack(&remains);
    mtlog.run(&["deploy", "global"]).exits(7);
    mtlog.run(&["deploy", "global", "-y"]).exits(0).says(&["Deleting the empty remains"]);
    assert_eq!(status(&fake, GLOBAL), Some(StackStatus::CreateComplete));
}

#[test]
fn states_that_need_a_decision_are_refused_before_any_write() {
    for (state, code, part) in [
        (StackStatus::UpdateInProgress, 8, "is busy"),
        (StackStatus::CreateInProgress, 8, "is busy"),
        (StackStatus::DeleteInProgress, 8, "is busy"),
        (StackStatus::DeleteFailed, 5, "could not be deleted"),
        (StackStatus::UpdateRollbackFailed, 5, "so did undoing it"),
        (StackStatus::CreateFailed, 5, "left resources"),
        (StackStatus::ReviewInProgress, 8, "somebody else's change set"),
    ] {
        let (fake, mtlog) = started();
        fake.cloudformation()
            .put_stack(&SeedStack::new(ACCOUNT, REGION, GLOBAL, state).failing("Queue", "no"));
        fake.clear_journal();
        mtlog.run(&["deploy", "global", "-y"]).exits(code).says(&[part]);
        assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "{state:?}");
    }
}

#[test]
fn a_part_that_exists_goes_only_by_its_own_flag_and_name() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["deploy", "regional", "--param", "S3DeleteAfterDays=9", "-y"]).exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("true"));
    fake.clear_journal();
    mtlog
        .run(&["deploy", "regional", "--without-sqs", "-y"])
        .exits(7)
        .says(&["--confirm multi-tenant-logging-development", "SQSStack/LogDeliveryQueue"]);
    mtlog.run(&["deploy", "regional", "--without-sqs", "-y", "--confirm", "other"]).exits(7);
    let plan = mtlog.run(&["plan", "regional", "--without-sqs"]).exits(0).stdout;
    assert!(plan.contains("- SQSStack/LogDeliveryQueue"), "{plan}");
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("true"));
    mtlog.run(&["deploy", "regional", "--without-sqs", "-y", "--confirm", REGIONAL]).exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("false"));
    mtlog.run(&["deploy", "regional", "-y"]).exits(0).says(&["Nothing to do"]);
}

#[test]
fn what_cannot_work_is_named_before_any_write() {
    let (fake, mtlog) = started();
    let role = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";
    let image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/log-processor:v1";
    fake.create_bucket("222222222222", REGION, "somebody-elses");
    fake.create_bucket(ACCOUNT, "eu-west-1", "our-own-but-far");
    for (arguments, parts) in [
        (&["deploy", "regional"][..], &["mtlog deploy global", "--central-role-arn"][..]),
        (&["deploy", "regional", "--central-role-arn", role, "--include-lambda"], &["--image"]),
        (
            &[
                "deploy",
                "regional",
                "--central-role-arn",
                role,
                "--include-lambda",
                "--image",
                image,
            ],
            &["is in eu-west-1", "us-east-2"],
        ),
        (
            &["deploy", "regional", "--central-role-arn", role, "-b", "somebody-elses"],
            &["`somebody-elses` belongs to another account", "--bucket"],
        ),
        (
            &["deploy", "regional", "--central-role-arn", role, "-b", "our-own-but-far"],
            &["`our-own-but-far` is in eu-west-1"],
        ),
        (
            &[
                "deploy",
                "regional",
                "--central-role-arn",
                role,
                "--param",
                "S3DeleteAfterDays=0",
                "--param",
                "X=1",
            ],
            &["2 things stand in the way", "no parameter `X`", "S3DeleteAfterDays"],
        ),
        (
            &["deploy", "cluster", "--cluster-name", "c1"],
            &["OIDC issuer is missing", "there is no regional stack"],
        ),
    ] {
        fake.clear_journal();
        mtlog.run(&[arguments, &["-y"]].concat()).exits(6).says(parts);
        assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "{arguments:?}");
    }
}

#[test]
fn a_name_that_is_taken_is_found_before_anything_is_touched() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    let name = "multi-tenant-logging-development-us-east-2-processor";
    fake.cloudformation().occupy_name(ACCOUNT, REGION, "AWS::IAM::Role", name);
    fake.clear_journal();
    let taken = ["RegionalLogProcessorRole", name, "no stack says that it made it", "[MT001]"];
    mtlog.run(&["deploy", "regional", "-y"]).exits(6).says(&taken);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    // Who may not read roles learns it from CloudFormation.
    fake.inject(Fault::on("iam:GetRole").respond(Response::access_denied()));
    mtlog.run(&["deploy", "regional", "-y"]).exits(6).says(&["refused the change set", "[MT001]"]);
    assert_eq!(status(&fake, REGIONAL), None, "the empty stack of the change set is gone");
    fake.cloudformation().set_early_validation(EarlyValidation::Off);
    mtlog
        .run(&["deploy", "regional", "-y"])
        .exits(4)
        .says(&["RegionalLogProcessorRole", "[MT001]"]);
}

#[test]
fn a_role_of_a_stack_in_another_region_is_named_with_its_owner() {
    let (fake, mtlog) = started();
    let role = r#"{"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
        "RoleName": "CustomerLogDistribution-us-east-2", "AssumeRolePolicyDocument": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}}}}"#;
    fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, "eu-west-1", "old-logging", StackStatus::CreateComplete)
            .template(role),
    );
    let central = "arn:aws:iam::999999999999:role/ROSA-CentralLogDistributionRole-0123abcd";
    let deploy = ["deploy", "customer", "--central-role-arn", central, "-y"];
    mtlog.run(&deploy).exits(6).says(&["stack `old-logging` in eu-west-1 made it", "[MT001]"]);
    mtlog.run(&["plan", "customer", "--central-role-arn", central]).exits(6).says(&["[MT001]"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn a_missing_identity_provider_is_found_before_anything_is_touched() {
    let (fake, mtlog) = deployed();
    let issuer = "oidc.op1.openshiftapps.com/2abc";
    let deploy = ["deploy", "cluster", "--cluster-name", "c1", "--oidc-provider", issuer, "-y"];
    mtlog
        .run(&deploy)
        .exits(6)
        .says(&[&format!("oidc-provider/{issuer}` does not exist in this account"), "[MT002]"]);
    fake.add_oidc_provider(ACCOUNT, issuer, &["sts.amazonaws.com"]);
    mtlog.run(&deploy).exits(6).says(&["the audience `openshift`, but sts.amazonaws.com"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    fake.add_oidc_provider(ACCOUNT, issuer, &["openshift"]);
    mtlog.run(&deploy).exits(0);
}

#[test]
fn both_stacks_of_a_cluster_take_their_values_from_the_regional_one() {
    let (fake, mtlog) = deployed();
    fake.add_oidc_provider(ACCOUNT, "oidc.op1.openshiftapps.com/2abc", &["openshift"]);
    let issuer = "https://oidc.op1.openshiftapps.com/2abc";
    mtlog
        .run(&["deploy", "cluster", "--cluster-name", "c1", "--oidc-provider", issuer, "-y"])
        .exits(0);
    let (vector, processor) =
        ("multi-tenant-logging-cluster-c1-vector", "multi-tenant-logging-cluster-c1-processor");
    assert_eq!(status(&fake, vector), Some(StackStatus::CreateComplete));
    assert_eq!(status(&fake, processor), Some(StackStatus::CreateComplete));
    let queue = fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).unwrap().outputs;
    let queue =
        queue.into_iter().find(|(name, _)| name == "LogDeliveryQueueArn").map(|(_, value)| value);
    assert_eq!(parameter(&fake, processor, "LogDeliveryQueueArn"), queue);
    assert_eq!(
        parameter(&fake, vector, "OIDCProviderURL").as_deref(),
        Some("oidc.op1.openshiftapps.com/2abc")
    );
}

#[test]
fn the_template_bucket_is_private_and_takes_only_tls() {
    let (fake, _mtlog) = deployed();
    let keys = fake.object_keys(BUCKET);
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(
        keys.iter().all(|key| key.starts_with("mtlog/") && key.len() == 6 + 64 + 5),
        "{keys:?}"
    );
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "regional", "-y"]).exits(0);
    for operation in ["s3:CreateBucket", "s3:PutPublicAccessBlock", "s3:PutBucketPolicy"] {
        assert_eq!(fake.calls(operation), 1, "{operation}");
    }
}

#[test]
fn throttling_and_lost_connections_never_fail_a_deployment() {
    let (fake, mtlog) = started();
    fake.seed_faults(7);
    fake.cloudformation().set_pace(Pace::StepsPerRead(20));
    fake.inject(
        Fault::on("cloudformation:Describe*").probability(0.3).respond(Response::throttling()),
    );
    fake.inject(Fault::on("cloudformation:DescribeStackEvents").nth(3).reset());
    mtlog.run(&["deploy", "global", "regional", "--include-sqs", "-y"]).exits(0);
    assert_eq!(status(&fake, REGIONAL), Some(StackStatus::CreateComplete));
}

#[test]
fn stale_and_paged_answers_are_understood() {
    let (fake, mtlog) = started();
    fake.cloudformation().set_page_size(2);
    fake.cloudformation().set_stale_reads(2);
    mtlog.run(&["deploy", "global", "regional", "--include-sqs", "-y"]).exits(0);
    mtlog.run(&["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"]).exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "MaxReceiveCount").as_deref(), Some("9"));
}

#[test]
fn calls_that_an_account_does_not_have_are_done_without() {
    for availability in [Availability::AccessDenied, Availability::Unknown] {
        let (fake, mtlog) = started();
        fake.cloudformation().set_availability("DescribeEvents", availability);
        fake.inject(Fault::on("iam:GetRole").respond(Response::access_denied()));
        fake.cloudformation().occupy_name(
            ACCOUNT,
            REGION,
            "AWS::IAM::Role",
            "ROSA-CentralLogDistributionRole-0123abcd",
        );
        let suffix = ["--param", "RandomSuffix=0123abcd"];
        mtlog
            .run(&[&["deploy", "global", "-y"][..], &suffix].concat())
            .exits(6)
            .says(&["refused the change set"]);
        mtlog.run(&["deploy", "global", "-y"]).exits(0);
    }
}

/// Kills `mtlog` when the call `operation` has had its effect, runs it again, and looks at the end.
#[track_caller]
fn killed_after(operation: &str) {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    let before = fake.cloudformation().executions().len();
    fake.cloudformation().set_pace(Pace::StepsPerRead(20));
    let stall = fake.inject(Fault::on(operation).times(1).stall_after_applying());
    let deploy = ["deploy", "regional", "--include-sqs", "-y"];
    let mut child = mtlog
        .command(&deploy)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mtlog runs");
    while stall.hits() == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "mtlog ended before {operation}");
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("an end");
    stall.remove();
    mtlog.run(&deploy).exits(0);
    assert_eq!(status(&fake, REGIONAL), Some(StackStatus::CreateComplete), "{operation}");
    assert!(fake.calls("s3:PutBucketPolicy") > 0, "the bucket is private: {operation}");
    let creations = fake
        .cloudformation()
        .executions()
        .iter()
        .skip(before)
        .filter(|execution| execution.action == "ExecuteChangeSet")
        .count();
    assert_eq!(creations, 1, "{operation}: {:?}", fake.cloudformation().executions());
}

#[test]
fn a_killed_deployment_is_taken_up_again_and_never_done_twice() {
    for operation in [
        "s3:CreateBucket",
        "s3:PutObject",
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DescribeStackEvents",
    ] {
        killed_after(operation);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_detaches_and_the_next_run_joins_the_operation() {
    let (fake, mtlog) = started();
    fake.cloudformation().set_pace(Pace::Held);
    let child = mtlog
        .command(&["deploy", "global", "-y"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mtlog runs");
    // The change set has to be computed before it can be executed.
    while fake.calls("cloudformation:ExecuteChangeSet") == 0 {
        if fake.calls("cloudformation:CreateChangeSet") > 0
            && fake.calls("cloudformation:ExecuteChangeSet") == 0
        {
            fake.cloudformation().step(1);
        }
        std::thread::yield_now();
    }
    let looks = fake.calls("cloudformation:DescribeStackEvents");
    while fake.calls("cloudformation:DescribeStackEvents") <= looks {
        std::thread::yield_now();
    }
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("the operation goes on in AWS"), "{said}");

    fake.cloudformation().set_pace(Pace::StepsPerRead(5));
    mtlog.run(&["deploy", "global", "-y"]).exits(0).says(&["joining it", "Nothing to do"]);
    assert_eq!(fake.calls("cloudformation:ExecuteChangeSet"), 1);
}

#[test]
fn a_stack_of_the_replaced_script_is_taken_over() {
    let (fake, mtlog) = started();
    let template = include_str!("../templates/global/central-log-distribution-role.yaml");
    fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, REGION, GLOBAL, StackStatus::CreateComplete)
            .template(template)
            .parameter("RandomSuffix", "0123abcd")
            .tag("DeployedAt", "2025-08-16T10:00:00Z")
            .tag("DeployedBy", "somebody")
            .tag("CostCentre", "42"),
    );
    let role = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";
    let first = mtlog.run(&["deploy", "global", "-y", "-o", "json"]).exits(0);
    assert_eq!(first.json()["stacks"][0]["result"], "updated", "{}", first.stderr);
    let outputs = &first.json()["stacks"][0]["outputs"];
    assert_eq!(outputs["CentralLogDistributionRoleArn"], role, "the role keeps its name");
    let tags = fake.cloudformation().stack(ACCOUNT, REGION, GLOBAL).unwrap().tags;
    let keys: Vec<&str> = tags.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["CostCentre", "ManagedBy", "Project"]);
    fake.clear_journal();
    mtlog.run(&["deploy", "global", "-y"]).exits(0).says(&["Nothing to do"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn outputs_are_given_to_shells_and_files() {
    let (_fake, mtlog) = deployed();
    let env = mtlog.run(&["outputs", "regional", "--format", "env"]).exits(0).stdout;
    assert!(env.lines().all(|line| line.starts_with("export ")), "{env}");
    assert!(env.contains("export SQS_QUEUE_URL='http"), "{env}");
    let dotenv = mtlog.run(&["outputs", "all", "--format", "dotenv"]).exits(0).stdout;
    mtlog.write(".env", &dotenv);
    let shown = mtlog.run(&["config", "show"]).exits(0).stdout;
    assert!(shown.contains("TENANT_CONFIG_TABLE in .env"), "{shown}");
    mtlog
        .run(&["outputs", "customer"])
        .exits(6)
        .says(&["there is no stack `multi-tenant-logging-customer-us-east-2`"]);
}

#[test]
fn a_stack_is_destroyed_only_by_its_typed_name_and_stores_stay() {
    let (fake, mtlog) = deployed();
    let plan = mtlog.run(&["destroy", "regional", "--dry-run", "-o", "json"]).exits(0).json();
    let fate = |path: &str| {
        let resources = plan["stacks"][0]["resources"].as_array().expect("resources");
        let found =
            resources.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("no {path}"));
        found["fate"].as_str().unwrap().to_owned()
    };
    assert_eq!(fate("CoreInfrastructureStack/TenantConfigTable"), "retained");
    assert_eq!(fate("CoreInfrastructureStack/LogDeliveryTopic"), "deleted");
    mtlog
        .run(&["destroy", "regional", "-y"])
        .exits(7)
        .says(&["--confirm multi-tenant-logging-development"]);
    mtlog.run(&["destroy", "regional", "--confirm", GLOBAL]).exits(7);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    mtlog.run(&["destroy", "regional", "--confirm", REGIONAL]).exits(0).says(&["was deleted"]);
    assert_eq!(status(&fake, REGIONAL), None);
    mtlog.run(&["destroy", "regional", "--confirm", REGIONAL]).exits(0).says(&["Nothing to do"]);
}

#[test]
fn a_protected_stack_is_not_destroyed() {
    let (fake, mtlog) = started();
    fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, REGION, GLOBAL, StackStatus::CreateComplete).protected(),
    );
    fake.clear_journal();
    mtlog
        .run(&["destroy", "global", "--confirm", GLOBAL])
        .exits(7)
        .says(&["protected against deletion"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn a_deployment_that_takes_too_long_is_left_running() {
    let (fake, mtlog) = started();
    fake.cloudformation().set_pace(Pace::StepsPerRead(1));
    mtlog
        .run(&["deploy", "global", "-y", "--timeout", "0"])
        .exits(9)
        .says(&["the operation goes on in AWS"]);
    assert_eq!(fake.calls("cloudformation:ExecuteChangeSet"), 1);
}

#[test]
fn the_grammar_of_the_replaced_script_is_spoken_without_its_defects() {
    let (fake, mut mtlog) = started();
    let script = |mtlog: &Mtlog, words: &str| {
        let words: Vec<&str> =
            std::iter::once("deploy.sh").chain(words.split_whitespace()).collect();
        mtlog.run(&words)
    };
    script(&mtlog, "-t global --dry-run").exits(0).says(&["[SUCCESS]"]);
    script(&mtlog, "-t regional -b some-bucket --validate-only").exits(0).says(&["[SUCCESS]"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "a dry run makes no bucket");
    script(&mtlog, "-t global").exits(0).says(&["mtlog deploy global --yes", "[SUCCESS]"]);
    script(&mtlog, "-t regional -e development -b some-bucket --include-sqs").exits(0);
    assert_eq!(parameter(&fake, REGIONAL, "TemplateBucket").as_deref(), Some("some-bucket"));
    script(&mtlog, "-t regional").exits(0).says(&["Nothing to do"]);
    assert_eq!(parameter(&fake, REGIONAL, "IncludeSQSStack").as_deref(), Some("true"));
    fake.add_oidc_provider(ACCOUNT, "oidc.op1.openshiftapps.com/2abc", &["openshift"]);
    let issuer = "--oidc-provider oidc.op1.openshiftapps.com/2abc";
    script(&mtlog, &format!("-t cluster --cluster-name c1 {issuer}")).exits(0);
    for word in ["-x", "-t", "-t everything"] {
        script(&mtlog, word).exits(1).says(&["[ERROR]"]);
    }
    fake.cloudformation().fail(PlannedFailure::new("CustomerLogDistributionRole", "no"));
    script(&mtlog, "-t customer").exits(1).says(&["could not be created"]);
    mtlog.set("AWS_REGION", "");
    script(&mtlog, "-t global --dry-run").exits(0).says(&["us-east-1"]);
}

#[test]
fn a_failed_rollback_is_continued_and_a_resource_is_skipped_only_by_name() {
    let (fake, mtlog) = deployed();
    fake.cloudformation().fail(PlannedFailure::new("LogDeliveryQueue", "broken for good"));
    mtlog.run(&["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"]).exits(5);
    mtlog.run(&["rollback", "regional", "-y"]).exits(5).says(&["broken for good"]);
    let skip = ["rollback", "regional", "-y", "--skip", "SQSStack/LogDeliveryQueue"];
    mtlog.run(&skip).exits(7).says(&["--confirm multi-tenant-logging-development"]);
    mtlog.run(&[&skip[..], &["--confirm", REGIONAL]].concat()).exits(0).says(&["again as it was"]);
    assert_eq!(status(&fake, REGIONAL), Some(StackStatus::UpdateRollbackComplete));
    mtlog.run(&["rollback", "regional", "-y"]).exits(6).says(&["nothing to take back"]);
}

#[test]
fn a_running_update_is_cancelled() {
    let (fake, mtlog) = started();
    fake.cloudformation().put_stack(&SeedStack::new(
        ACCOUNT,
        REGION,
        GLOBAL,
        StackStatus::UpdateInProgress,
    ));
    fake.cloudformation().set_pace(Pace::StepsPerRead(1));
    mtlog.run(&["rollback", GLOBAL, "-y"]).exits(0).says(&["again as it was"]);
    assert_eq!(status(&fake, GLOBAL), Some(StackStatus::UpdateRollbackComplete));
}

#[test]
fn anybodys_operation_can_be_joined() {
    for (state, code, part) in [
        (StackStatus::UpdateInProgress, 0, "is in UPDATE_COMPLETE now"),
        (StackStatus::UpdateRollbackInProgress, 4, "no such luck"),
    ] {
        let (fake, mtlog) = started();
        let stack = SeedStack::new(ACCOUNT, REGION, "somebodys", state)
            .template("Resources: {First: {Type: AWS::SNS::Topic}, Topic: {Type: AWS::SNS::Topic}}")
            .failing("Topic", "no such luck");
        fake.cloudformation().put_stack(&stack);
        fake.cloudformation().set_pace(Pace::StepsPerRead(20));
        mtlog.run(&["attach", "somebodys"]).exits(code).says(&[part]);
        mtlog.run(&["attach", "somebodys"]).exits(0).says(&["Nothing runs"]);
    }
}

#[test]
fn protection_is_switched_on_and_off_by_commands_of_its_own() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    mtlog.run(&["protect", "global"]).exits(0).says(&["is protected"]);
    mtlog.run(&["protect", "global"]).exits(0).says(&["Nothing to do"]);
    let destroy = ["destroy", "global", "-y", "--confirm", GLOBAL];
    mtlog.run(&destroy).exits(7).says(&["next: mtlog unprotect global"]);
    mtlog.run(&["unprotect", "global"]).exits(7);
    mtlog.run(&["unprotect", "global", "-y"]).exits(0);
    mtlog.run(&destroy).exits(0);
    assert_eq!(status(&fake, GLOBAL), None);
}

#[test]
fn templates_can_be_listed_shown_and_taken_away() {
    let mtlog = Mtlog::offline();
    let listed = mtlog.run(&["template", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed["templates"].as_array().map(Vec::len), Some(9));
    let shown = mtlog.run(&["template", "show", "sqs-stack"]).exits(0).stdout;
    assert_eq!(shown, include_str!("../templates/regional/sqs-stack.yaml"));
    mtlog.run(&["template", "show", "cluster"]).exits(64).says(&["cluster-vector-role.yaml or"]);
    let parameters = mtlog.run(&["template", "parameters", "main"]).exits(0).stdout;
    assert!(parameters.contains("S3DeleteAfterDays"), "{parameters}");
    mtlog.run(&["template", "eject", "out"]).exits(0);
    mtlog.run(&["template", "eject", "out"]).exits(1).says(&["failed to write `out`"]);
}

#[test]
fn codes_are_explained() {
    let mtlog = Mtlog::offline();
    assert!(mtlog.run(&["explain"]).exits(0).stdout.contains("MT001"));
    assert!(mtlog.run(&["explain", "mt001"]).exits(0).stdout.contains("fix:"));
    mtlog.run(&["explain", "MT999"]).exits(64);
}

#[test]
fn an_external_id_is_given_by_file_and_never_shown() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    mtlog.write("id", "hunter2-hunter2\n");
    let deploy = ["deploy", "customer", "--external-id-file", "id"];
    for more in ["-n", "-y"] {
        let ran = mtlog.run(&[&deploy[..], &[more]].concat()).exits(0);
        assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"), "{ran:?}");
    }
    let stack = "multi-tenant-logging-customer-us-east-2";
    assert_eq!(parameter(&fake, stack, "ExternalId").as_deref(), Some("hunter2-hunter2"));
    let shown = mtlog.run(&["outputs", "customer", "-o", "json"]).exits(0).stdout;
    assert!(!shown.contains("hunter2"), "{shown}");
    let kept = ["deploy", "customer", "-y"];
    mtlog.run(&kept).exits(0).says(&["Nothing to do"]);
    assert_eq!(parameter(&fake, stack, "ExternalId").as_deref(), Some("hunter2-hunter2"));
}

#[test]
fn a_customers_role_cannot_trust_a_role_that_does_not_exist() {
    let (_fake, mtlog) = started();
    let role = "arn:aws:iam::333333333333:role/ROSA-CentralLogDistributionRole-0123abcd";
    mtlog
        .run(&["deploy", "customer", "--central-role-arn", role, "-y"])
        .exits(4)
        .says(&["[MT004]"]);
}

#[test]
fn a_stack_that_still_cleans_up_is_waited_for() {
    let (fake, mtlog) = started();
    let state = StackStatus::UpdateCompleteCleanupInProgress;
    fake.cloudformation().put_stack(
        &SeedStack::new(ACCOUNT, REGION, GLOBAL, state)
            .template("Resources: {Topic: {Type: AWS::SNS::Topic}}"),
    );
    fake.cloudformation().set_pace(Pace::StepsPerRead(20));
    mtlog.run(&["deploy", "global", "-y"]).exits(0).says(&["has cleaned up"]);
    assert_eq!(status(&fake, GLOBAL), Some(StackStatus::UpdateComplete));
}
