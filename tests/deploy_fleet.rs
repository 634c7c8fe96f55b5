//! Several regions, plans in files, drift, cancelling, records for programs: `mtlog` as a process against the stand-in.

use std::{io::Write as _, process::Stdio};

use fake_aws::{
    FakeAws, Fault, Response,
    cloudformation::{During, Pace, PlannedFailure, SeedStack, StackStatus},
};
use serde_json::{Value, json};

use crate::deploy::{GLOBAL, REGIONAL, deployed, names_of_writes, parameter, started};
use crate::support::{ACCOUNT, Mtlog, REGION};

/// What keeps a run away from profiles.
const PROFILES_OFF: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];
const TWO_REGIONS: &str = "us-east-2,eu-west-1";

fn status(fake: &FakeAws, region: &str, stack: &str) -> Option<StackStatus> {
    fake.cloudformation().stack(ACCOUNT, region, stack).map(|stack| stack.status)
}

fn output(fake: &FakeAws, name: &str) -> String {
    let outputs = fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).expect("a stack").outputs;
    let found = outputs.into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no output {name}")).1
}

/// Reads the records of `-o ndjson`.
#[track_caller]
fn records(text: &str) -> Vec<Value> {
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert_eq!(records[0]["type"], "version");
    assert_eq!(records[0]["schema"], "mtlog.events/1");
    assert_eq!(records.last().expect("an end")["type"], "summary");
    records
}

fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

#[test]
fn several_regions_are_deployed_at_once_and_share_the_global_stack() {
    let (fake, mtlog) = started();
    fake.cloudformation().set_pace(Pace::StepsPerRead(40));
    let deploy =
        ["deploy", "global", "regional", "--include-sqs", "-y", "-r", TWO_REGIONS, "-o", "json"];
    let report = mtlog.run(&deploy).exits(0).json();
    let stacks: Vec<(&str, &str)> = report["stacks"]
        .as_array()
        .expect("stacks")
        .iter()
        .map(|row| (row["stack"].as_str().unwrap(), row["region"].as_str().unwrap()))
        .collect();
    assert_eq!(stacks, [(GLOBAL, "us-east-2"), (REGIONAL, "us-east-2"), (REGIONAL, "eu-west-1")]);
    assert_eq!(status(&fake, "eu-west-1", GLOBAL), None);
    // Both regional operations were under way at the same time.
    let executions: Vec<String> = fake
        .journal_of("cloudformation:ExecuteChangeSet")
        .iter()
        .map(|entry| entry.facts.region.clone())
        .collect();
    assert_eq!(executions.len(), 3, "{executions:?}");
    fake.clear_journal();
    mtlog.run(&deploy).exits(0);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "nothing to do is only read");
}

#[test]
fn a_region_that_fails_does_not_stop_the_others_but_the_next_wave() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    fake.cloudformation().set_pace(Pace::StepsPerRead(40));
    let refused = Fault::on("cloudformation:CreateChangeSet").region("eu-west-2");
    let handle = fake.inject(refused.respond(Response::throttling()));
    let name = "multi-tenant-logging-development-us-west-2-processor";
    fake.cloudformation().occupy_name(ACCOUNT, "us-west-2", "AWS::IAM::Role", name);
    let failure =
        PlannedFailure::new("RegionalLogProcessorRole", "no such luck").during(During::Create);
    fake.cloudformation().fail(failure);
    let deploy = ["deploy", "regional", "-y", "--waves", "us-east-2,eu-west-1; eu-west-2"];
    let ran = mtlog.run(&deploy);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("Wave 1 of 2"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("Wave 2 of 2"), "{}", ran.stderr);
    assert_eq!(handle.hits(), 0, "the second wave was not begun");
    handle.remove();
    fake.cloudformation().clear_failures();
    mtlog.run(&deploy).exits(0);
    for region in ["us-east-2", "eu-west-1", "eu-west-2"] {
        assert_eq!(status(&fake, region, REGIONAL), Some(StackStatus::CreateComplete), "{region}");
    }
}

#[test]
fn a_wave_that_bakes_is_stopped_by_dead_letters() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    let waves = ["--waves", "us-east-2; eu-west-1", "--bake", "1h", "--include-sqs", "-y"];
    let child = mtlog
        .command(&[&["deploy", "regional"][..], &waves].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mtlog runs");
    // The first look counts what is there already.
    while fake.calls("sqs:GetQueueAttributes") == 0 {
        std::thread::yield_now();
    }
    fake.send_message(&output(&fake, "LogDeliveryDLQUrl"), "a letter nobody could deliver");
    let ended = child.wait_with_output().expect("an end");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("1 messages arrived in the dead-letter queue"), "{said}");
    assert_eq!(status(&fake, "eu-west-1", REGIONAL), None, "the second wave was not begun");
}

#[test]
fn what_cannot_work_later_is_named_before_the_first_write() {
    let (fake, mtlog) = started();
    let deploy = ["deploy", "all", "--cluster-name", "c1", "-y", "--param", "S3DeleteAfterDays=0"];
    mtlog.run(&deploy).exits(6).says(&["OIDC issuer is missing", "S3DeleteAfterDays"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn parts_of_the_regional_stack_are_targets() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "regional/core", "-y"]).exits(0);
    assert!(!output(&fake, "TenantConfigTableName").is_empty());
    mtlog.run(&["deploy", "regional/sqs", "-y"]).exits(0);
    assert!(output(&fake, "LogDeliveryQueueUrl").starts_with("http"));
    mtlog
        .run(&["destroy", "regional/sqs", "--confirm", REGIONAL])
        .exits(64)
        .says(&["not a target"]);
}

#[test]
fn a_saved_plan_is_applied_exactly_once() {
    let (fake, mtlog) = deployed();
    let plan = ["plan", "regional", "--param", "S3DeleteAfterDays=14", "--save", "plan.json"];
    mtlog.run(&plan).exits(0).says(&["mtlog apply plan.json"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    mtlog.run(&plan).exits(1).says(&["failed to save the plan"]);
    mtlog.run(&["apply", "plan.json", "-r", "eu-west-1"]).exits(64).says(&["is for us-east-2"]);
    mtlog.run(&["apply", "plan.json"]).exits(0).says(&["was updated"]);
    fake.clear_journal();
    mtlog.run(&["apply", "plan.json"]).exits(0).says(&["Nothing to do"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "what is done is not done again");
}

#[test]
fn a_plan_that_something_has_overtaken_is_refused() {
    let (fake, mtlog) = deployed();
    let days = |days: &str| format!("S3DeleteAfterDays={days}");
    mtlog.run(&["plan", "regional", "--param", &days("14"), "--save", "plan.json"]).exits(0);
    mtlog.run(&["deploy", "regional", "--param", &days("21"), "-y"]).exits(0);
    fake.clear_journal();
    mtlog.run(&["apply", "plan.json"]).exits(8).says(&[
        "no longer fits",
        "was updated at",
        "other parameters",
        "make a new plan",
    ]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    mtlog.write("other.json", "{\"schema\": \"mtlog.plan/9\"}");
    mtlog.run(&["apply", "other.json"]).exits(64).says(&["mtlog.plan/9"]);
    mtlog.run(&["apply", "gone.json"]).exits(64);
}

#[test]
fn a_plan_that_takes_data_away_still_wants_the_name() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["plan", "regional", "--without-sqs", "--save", "plan.json"]).exits(0);
    mtlog
        .run(&["apply", "plan.json"])
        .exits(7)
        .says(&["--confirm multi-tenant-logging-development"]);
    mtlog.run(&["apply", "plan.json", "--confirm", REGIONAL]).exits(0);
    let stack = fake.cloudformation().stack(ACCOUNT, REGION, REGIONAL).expect("a stack");
    assert!(
        !stack
            .resources
            .iter()
            .any(|(name, _, status)| name == "SQSStack" && status != "DELETE_COMPLETE")
    );
}

#[test]
fn a_plan_that_cannot_be_kept_says_why() {
    let (_fake, mtlog) = started();
    mtlog
        .run(&["plan", "global", "regional", "--save", "plan.json"])
        .exits(6)
        .says(&["does not exist yet, so it cannot be saved"]);
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    mtlog.write("id", "hunter2-hunter2");
    let secret = mtlog
        .run(&["plan", "customer", "--external-id-file", "id", "--save", "plan.json"])
        .exits(6)
        .says(&["secret parameter `ExternalId`"]);
    assert!(!secret.stderr.contains("hunter2"), "{}", secret.stderr);
}

#[test]
fn a_plan_names_what_is_lost() {
    let (fake, mtlog) = deployed();
    let queue = output(&fake, "LogDeliveryQueueUrl");
    for number in 0..3 {
        fake.send_message(&queue, &format!("message {number}"));
    }
    mtlog
        .run(&[
            "tenant",
            "add",
            "acme",
            "--role-arn",
            "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2",
            "--log-group",
            "/acme",
            "--target-region",
            REGION,
            "-y",
        ])
        .exits(0);
    fake.clear_journal();
    let plan = mtlog.run(&["plan", "regional", "--without-sqs"]).exits(0).stdout;
    for part in ["3 messages wait in it", "delivery stops for 1 tenant: acme"] {
        assert!(plan.contains(part), "no `{part}` in:\n{plan}");
    }
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    mtlog
        .run(&["deploy", "regional", "--without-sqs", "-y"])
        .exits(7)
        .says(&["3 messages wait in it"]);
}

#[test]
fn an_image_that_lambda_would_refuse_is_found_before_any_write() {
    let (fake, mtlog) = deployed();
    let image = "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1";
    let deploy = ["deploy", "regional", "--include-lambda", "--image", image, "-y"];
    let index =
        json!({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [{}, {}]});
    for (answer, parts) in [
        (
            json!({"images": [{"imageManifest": index.to_string()}], "failures": []}),
            &["an index of 2 images", "[MT003]"][..],
        ),
        (
            json!({"images": [], "failures": [{"failureCode": "ImageNotFound"}]}),
            &["there is no image", "[MT003]"],
        ),
    ] {
        // The stand-in has no ECR; its answer is scripted.
        let answered =
            Response::raw(200, "application/x-amz-json-1.1", answer.to_string().into_bytes());
        let handle = fake.inject(Fault::on("unknown:BatchGetImage").respond(answered));
        mtlog.run(&deploy).exits(6).says(parts);
        handle.remove();
        assert_eq!(names_of_writes(&fake), Vec::<String>::new(), "{answer}");
    }
}

#[test]
fn a_tag_is_pinned_to_the_image_that_it_stands_for() {
    let (fake, mtlog) = deployed();
    let image = "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor:v1";
    let deploy = ["deploy", "regional", "--include-lambda", "--image", image, "-y"];
    let answer = |layer: &str| {
        let manifest = json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": "sha256:0", "size": 1},
            "layers": [{"digest": layer, "size": 1}],
        });
        let images = json!({"images": [{"imageManifest": manifest.to_string()}], "failures": []});
        Response::raw(200, "application/x-amz-json-1.1", images.to_string().into_bytes())
    };
    let mut deployed_images = Vec::new();
    for layer in ["sha256:1", "sha256:1", "sha256:2"] {
        let scripted = Fault::on("unknown:BatchGetImage").respond(answer(layer));
        let handle = fake.inject(scripted);
        fake.clear_journal();
        mtlog.run(&deploy).exits(0);
        assert_eq!(fake.calls("unknown:BatchGetImage"), 1, "what pins the tag is judged as well");
        handle.remove();
        deployed_images.push(parameter(&fake, REGIONAL, "ECRImageUri").unwrap());
    }
    let [first, again, moved] = &deployed_images[..] else { panic!("three deployments") };
    assert!(first.contains("/log-processor@sha256:"), "{first}");
    assert_eq!(first, again);
    assert_ne!(first, moved, "another image under the same tag is an update");
}

#[test]
fn a_central_role_of_another_global_stack_is_found_before_any_write() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    fake.clear_journal();
    let role = "arn:aws:iam::111111111111:role/ROSA-CentralLogDistributionRole-0123abcd";
    mtlog
        .run(&["deploy", "regional", "--central-role-arn", role, "-y"])
        .exits(6)
        .says(&["is not the one of stack `multi-tenant-logging-global`", "[MT004]"]);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
}

#[test]
fn records_for_programs_tell_what_happens_as_it_happens() {
    let (fake, mtlog) = started();
    fake.cloudformation().set_pace(Pace::StepsPerRead(40));
    let ran = mtlog.run(&["deploy", "global", "-y", "-o", "ndjson"]).exits(0);
    let all = records(&ran.stdout);
    assert_eq!(of_type(&all, "plan")[0]["stack"], GLOBAL);
    let resources = of_type(&all, "resource");
    let last = resources.last().expect("resources");
    assert_eq!((&last["stack"], &last["status"]), (&json!(GLOBAL), &json!("CREATE_COMPLETE")));
    assert!(last["t_ms"].is_i64() && last["name"].is_string(), "{last}");
    let outputs = of_type(&all, "outputs");
    assert!(outputs[0]["outputs"]["CentralLogDistributionRoleArn"].is_string());
    assert_eq!(all.last().unwrap()["exit"], 0);

    fake.cloudformation().fail(PlannedFailure::new("RegionalLogProcessorRole", "x already exists"));
    let ran = mtlog.run(&["deploy", "regional", "-y", "-o", "ndjson"]).exits(4);
    let all = records(&ran.stdout);
    let diagnosis = of_type(&all, "diagnosis");
    assert_eq!((&diagnosis[0]["code"], &diagnosis[0]["exit"]), (&json!("MT001"), &json!(4)));
    let failed = of_type(&all, "resource");
    let failed = failed.iter().find(|record| record["consequence"] == false).expect("a failure");
    assert_eq!(failed["path"], "CoreInfrastructureStack/RegionalLogProcessorRole");
    assert_eq!(all.last().unwrap()["exit"], 4);
    let plan = mtlog.run(&["plan", "regional", "-o", "ndjson"]).exits(0);
    assert_eq!(of_type(&records(&plan.stdout), "plan").len(), 1);
}

#[test]
fn drift_is_found_in_nested_stacks_and_named_property_by_property() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["drift", "regional"]).exits(0);
    let stacks = fake.cloudformation().stacks(ACCOUNT, REGION);
    let nested = |logical: &str| {
        let owner = stacks
            .iter()
            .find(|stack| stack.resources.iter().any(|(name, _, _)| name == logical))
            .unwrap_or_else(|| panic!("no {logical}"));
        owner.id.clone()
    };
    let live = json!({"VisibilityTimeout": "1"});
    fake.cloudformation().drift(&nested("LogDeliveryQueue"), "LogDeliveryQueue", &live);
    fake.cloudformation().drift_away(&nested("LogDeliveryDLQ"), "LogDeliveryDLQ");
    let found = mtlog.run(&["drift", "regional", "-o", "json"]).exits(2).json();
    let drifted = found["stacks"][0]["drifted"].as_array().expect("resources").clone();
    let row = |path: &str| {
        drifted.iter().find(|row| row["path"] == path).unwrap_or_else(|| panic!("{drifted:#?}"))
    };
    assert_eq!(row("SQSStack/LogDeliveryDLQ")["deleted"], true);
    let properties =
        row("SQSStack/LogDeliveryQueue")["properties"].as_array().expect("rows").clone();
    assert!(
        properties.iter().any(|row| row["path"] == "VisibilityTimeout" && row["actual"] == "1")
    );
    let text = mtlog.run(&["drift", "regional"]).exits(2).stdout;
    assert!(text.contains("SQSStack/LogDeliveryDLQ") && text.contains("deleted"), "{text}");
}

#[test]
fn an_operation_is_stopped_as_far_as_it_can_be() {
    let seeded = |state: StackStatus| {
        let (fake, mtlog) = started();
        fake.cloudformation().put_stack(&SeedStack::new(ACCOUNT, REGION, GLOBAL, state));
        fake.cloudformation().set_pace(Pace::StepsPerRead(1));
        (fake, mtlog)
    };
    let (fake, mtlog) = seeded(StackStatus::UpdateInProgress);
    fake.cloudformation().set_pace(Pace::Held);
    mtlog.run(&["cancel", "global"]).exits(7);
    fake.cloudformation().set_pace(Pace::StepsPerRead(1));
    mtlog.run(&["cancel", "global", "-y"]).exits(0).says(&["again as it was before"]);
    assert_eq!(status(&fake, REGION, GLOBAL), Some(StackStatus::UpdateRollbackComplete));
    mtlog.run(&["cancel", "global", "-y"]).exits(0).says(&["Nothing runs"]);

    let (fake, mtlog) = seeded(StackStatus::CreateInProgress);
    mtlog.run(&["cancel", "global", "-y"]).exits(7).says(&["it is deleted with all"]);
    mtlog.run(&["cancel", "global", "--confirm", GLOBAL]).exits(0);
    assert_eq!(status(&fake, REGION, GLOBAL), None);

    let (fake, mtlog) = seeded(StackStatus::ReviewInProgress);
    mtlog.run(&["cancel", "global", "-y"]).exits(8).says(&["not one of mtlog's"]);
    assert_eq!(status(&fake, REGION, GLOBAL), Some(StackStatus::ReviewInProgress));

    let (_fake, mtlog) = seeded(StackStatus::DeleteInProgress);
    mtlog.run(&["cancel", "global", "-y"]).exits(8).says(&["cannot be stopped"]);
}

#[test]
fn the_last_failure_of_a_stack_is_diagnosed() {
    let (fake, mtlog) = deployed();
    mtlog.run(&["diagnose", "regional"]).exits(0);
    let failure = PlannedFailure::new("LogDeliveryQueue", "Rate exceeded (Service: Sqs)")
        .during(During::Update);
    fake.cloudformation().fail(failure);
    mtlog.run(&["deploy", "regional", "--param", "MaxReceiveCount=9", "-y"]).exits(4);
    let found = mtlog.run(&["diagnose", "regional", "-o", "json"]).exits(0).json();
    assert_eq!(found["cause"]["path"], "SQSStack/LogDeliveryQueue");
    assert_eq!(found["cause"]["explanation"]["code"], "MT011");
    assert_eq!(
        (&found["by_mtlog"], &found["status"]),
        (&json!(true), &json!("UPDATE_ROLLBACK_COMPLETE"))
    );
    let text = mtlog.run(&["diagnose", REGIONAL]).exits(0).stdout;
    assert!(text.contains("SQSStack/LogDeliveryQueue") && text.contains("[MT011]"), "{text}");
}

#[test]
fn templates_are_checked_here_and_by_cloudformation() {
    let (fake, mtlog) = started();
    let checked = mtlog.run(&["template", "validate", "-o", "json"]).exits(0).json();
    assert_eq!(checked["templates"].as_array().map(Vec::len), Some(9));
    assert_eq!(fake.calls("cloudformation:ValidateTemplate"), 9);
    assert_eq!(names_of_writes(&fake), Vec::<String>::new());
    let regional = mtlog.run(&["template", "validate", "regional", "-o", "json"]).exits(0).json();
    assert_eq!(regional["templates"].as_array().map(Vec::len), Some(5));
    Mtlog::offline().run(&["template", "validate", "--offline"]).exits(0);
    mtlog.run(&["template", "validate", "lunar"]).exits(64);
}

/// What is deployed and killed.
const KILLED: [&str; 4] = ["deploy", "regional", "--include-sqs", "-y"];

/// Starts with the global stack and a pace that leaves time to be killed in the middle.
fn about_to_be_killed() -> (FakeAws, Mtlog) {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    fake.cloudformation().set_pace(Pace::StepsPerRead(120));
    fake.clear_journal();
    (fake, mtlog)
}

/// Kills `mtlog` when the call number `number` has had its effect, runs it again, and looks at the end.
fn killed_after_call(number: u64) {
    let (fake, mtlog) = about_to_be_killed();
    let before = fake.cloudformation().executions().len();
    let stall = fake.inject(Fault::on("*").nth(number).stall_after_applying());
    let mut child = mtlog
        .command(&KILLED)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mtlog runs");
    // Looks at a running operation are not always equally many: the last ones may not come.
    while stall.hits() == 0 && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
    let place = format!("call {number}:\n{}", fake.journal_text());
    drop(child.kill());
    child.wait().expect("an end");
    stall.remove();
    mtlog.run(&KILLED).exits(0);
    assert_eq!(status(&fake, REGION, REGIONAL), Some(StackStatus::CreateComplete), "{place}");
    let creations = fake
        .cloudformation()
        .executions()
        .iter()
        .skip(before)
        .filter(|execution| execution.action == "ExecuteChangeSet")
        .count();
    assert_eq!(creations, 1, "{place}: {:?}", fake.cloudformation().executions());
}

#[test]
fn a_deployment_that_is_killed_after_any_call_is_taken_up_again_and_never_done_twice() {
    let (fake, mtlog) = about_to_be_killed();
    mtlog.run(&KILLED).exits(0);
    let calls = fake.calls("*");
    assert!(calls > 15, "only {calls} calls");
    // Most of the time is spent waiting, so that they may wait together.
    std::thread::scope(|scope| {
        for first in 1..=8 {
            scope.spawn(move || {
                (first..=calls).step_by(8).for_each(killed_after_call);
            });
        }
    });
}

#[test]
fn a_role_behind_a_second_factor_takes_the_session_of_the_aws_cli() {
    let (fake, mut mtlog) = started();
    let role = "arn:aws:iam::111111111111:role/operator";
    let trust = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}}"#;
    fake.add_role(role, trust, &[]);
    let keys = fake.role_credentials(role, "kept");
    mtlog.write_in(
        ".aws/config",
        &format!(
            "[profile base]\n[profile operator]\nrole_arn = {role}\nsource_profile = base\n\
             mfa_serial = arn:aws:iam::111111111111:mfa/somebody\n"
        ),
    );
    for name in PROFILES_OFF {
        mtlog.set(name, "");
    }
    let status = ["status", "--profile", "operator"];
    mtlog.run(&status).exits(3).says(&[
        "mfa/somebody",
        "in a terminal first",
        "--profile operator",
    ]);
    assert_eq!(fake.journal().len(), 0);
    // The digest of what the role is assumed with, as the AWS CLI computes it.
    let name = "95e6348bc8db7ddcbe0fae5132020923a894b480";
    let session = json!({"Credentials": {
        "AccessKeyId": keys.access_key_id, "SecretAccessKey": keys.secret_access_key,
        "SessionToken": keys.session_token, "Expiration": "2999-01-01T00:00:00UTC",
    }});
    mtlog.write_in(&format!(".aws/cli/cache/{name}.json"), &session.to_string());
    mtlog.run(&status).exits(0);
}

#[test]
fn an_expired_sso_session_names_the_command_that_renews_it() {
    let (_fake, mut mtlog) = started();
    mtlog.write_in(
        ".aws/config",
        "[profile dev]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Admin\n\
         [sso-session corp]\nsso_region = us-east-2\nsso_start_url = https://corp.example.com\n",
    );
    for name in PROFILES_OFF {
        mtlog.set(name, "");
    }
    mtlog.set("AWS_PROFILE", "dev");
    mtlog.run(&["status"]).exits(3).says(&["next: aws sso login --profile dev"]);
}

#[test]
fn a_secret_can_come_by_standard_input() {
    let (fake, mtlog) = started();
    mtlog.run(&["deploy", "global", "-y"]).exits(0);
    let mut child = mtlog
        .command(&["deploy", "customer", "--external-id-file", "-", "-y"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mtlog runs");
    child.stdin.take().expect("a pipe").write_all(b"hunter2-hunter2\n").expect("written");
    let ended = child.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("hunter2"));
    let stack = fake
        .cloudformation()
        .stack(ACCOUNT, REGION, "multi-tenant-logging-customer-us-east-2")
        .expect("a stack");
    assert!(stack.parameters.iter().any(|(_, value)| value == "hunter2-hunter2"));
}
