//! Bringing a customer in: links, waiting, tests of deliveries, both sides as processes against the stand-in, which
//! enforces trust policies.

use std::process::Stdio;

use fake_aws::{FakeAws, Fault, Response};
use serde_json::{Value, json};

use crate::{
    deploy::deployed,
    support::{ACCOUNT, Mtlog, REGION},
};

const CUSTOMER: &str = "222222222222";
const ROLE: &str = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
const OPERATOR: &str = "arn:aws:iam::111111111111:user/operator";
const GROUP: &str = "/ROSA/cluster-logs/acme";
const TABLE: &str = "multi-tenant-logging-development-tenant-deliveries";

/// A pipeline whose central role an operator may use, and both sides of it.
struct World {
    fake: FakeAws,
    /// The service's side.
    mtlog: Mtlog,
    /// The customer's side.
    customer: Mtlog,
    central_role: String,
}

impl World {
    fn new() -> Self {
        let (fake, mut mtlog) = deployed();
        let operator = fake.add_user(OPERATOR, &[]);
        let operators = format!("OperatorRoleArns={OPERATOR}");
        let report =
            mtlog.run(&["deploy", "global", "--param", &operators, "-y", "-o", "json"]).exits(0);
        let outputs = &report.json()["stacks"][0]["outputs"];
        let central_role = outputs["CentralLogDistributionRoleArn"].as_str().unwrap().to_owned();
        for (name, value) in operator.environment() {
            mtlog.set(name, &value);
        }
        let mut customer = Mtlog::with(&fake);
        for (name, value) in fake.root_credentials(CUSTOMER).environment() {
            customer.set(name, &value);
        }
        Self { fake, mtlog, customer, central_role }
    }

    /// With the customer's stack and an item.
    fn onboarded() -> Self {
        let world = Self::new();
        world.deploy_customer(&[]);
        world.add(&[]);
        world.fake.clear_journal();
        world
    }

    fn deploy_customer(&self, more: &[&str]) {
        let deploy = ["deploy", "customer", "--central-role-arn", &self.central_role, "-y"];
        self.customer.run(&[&deploy[..], more].concat()).exits(0);
    }

    fn add(&self, more: &[&str]) {
        let add = ["tenant", "add", "acme", "--role-arn", ROLE, "--log-group", GROUP];
        let more = [&["--target-region", REGION, "-y"][..], more].concat();
        self.mtlog.run(&[&add[..], &more].concat()).exits(0);
    }

    fn item(&self) -> Value {
        self.fake.items(ACCOUNT, REGION, TABLE).remove(0)
    }
}

/// Returns check and verdict of the only delivery.
fn verdicts(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["deliveries"][0]["checks"].as_array().unwrap();
    checks.iter().map(|check| (text(&check["check"]), text(&check["verdict"]))).collect()
}

#[track_caller]
fn verdict_of(report: &Value, name: &str) -> String {
    let found = verdicts(report).into_iter().find(|(check, _)| check == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#}")).1
}

#[test]
fn a_delivery_that_works_passes_every_check_and_leaves_one_event() {
    let world = World::onboarded();
    let report = world.mtlog.run(&["tenant", "verify", "acme", "-o", "json"]).exits(0).json();
    let passed = |name: &str| (name.to_owned(), "passed".to_owned());
    let mut expected: Vec<(String, String)> = [
        "item",
        "central-role",
        "right-external-id",
        "wrong-external-id",
        "no-external-id",
        "log-group",
        "probe",
        "retention",
    ]
    .map(passed)
    .to_vec();
    expected.push(("logs".to_owned(), "warning".to_owned()));
    assert_eq!(verdicts(&report), expected, "{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["identity"], OPERATOR);
    assert_eq!(world.fake.log_streams(CUSTOMER, REGION, GROUP), ["mtlog-probe"]);
    let messages = world.fake.log_messages(CUSTOMER, REGION, GROUP, "mtlog-probe");
    assert_eq!(messages.len(), 1, "{messages:?}");

    // The stream of test events is there now.
    world.mtlog.run(&["tenant", "verify", "acme"]).exits(0);
    world.fake.clear_journal();
    let quiet = world.mtlog.run(&["tenant", "verify", "acme", "--read-only", "-o", "json"]);
    assert_eq!(verdict_of(&quiet.exits(0).json(), "probe"), "skipped");
    assert_eq!(world.fake.write_count(), 0);
}

#[test]
fn a_role_that_admits_anybody_is_found() {
    let world = World::onboarded();
    let open = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": world.central_role}, "Action": "sts:AssumeRole"}});
    assert!(world.fake.set_trust_policy(ROLE, &open.to_string()));
    let ran = world.mtlog.run(&["tenant", "verify", "acme", "-o", "json"]).exits(6);
    let report = ran.says(&["2 checks failed"]).json();
    assert_eq!(report["passed"], false);
    for name in ["wrong-external-id", "no-external-id"] {
        assert_eq!(verdict_of(&report, name), "failed");
    }
    assert_eq!(verdict_of(&report, "probe"), "passed");
}

#[test]
fn a_refusal_by_our_own_policy_proves_nothing_and_is_called_that() {
    let world = World::onboarded();
    let own = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*",
        "Condition": {"StringEquals": {"sts:ExternalId": ACCOUNT}}}});
    assert!(world.fake.set_identity_policies(&world.central_role, &[&own.to_string()]));
    let verify = ["tenant", "verify", "acme", "-o", "json"];
    let report = world.mtlog.run(&verify).exits(0).json();
    for name in ["wrong-external-id", "no-external-id"] {
        assert_eq!(verdict_of(&report, name), "inconclusive", "{report:#}");
    }
    let checks = report["deliveries"][0]["checks"].to_string();
    assert!(checks.contains("vacuous"), "{checks}");
    world.mtlog.run(&[&verify[..], &["--strict"]].concat()).exits(6);
}

#[test]
fn an_external_id_that_the_customer_did_not_get_is_named_as_the_cause() {
    let world = World::new();
    world.deploy_customer(&[]);
    world.add(&["--generate-external-id"]);
    let report = world.mtlog.run(&["tenant", "verify", "acme", "-o", "json"]).exits(6).json();
    assert_eq!(verdict_of(&report, "right-external-id"), "failed");
    assert_eq!(verdict_of(&report, "wrong-external-id"), "skipped");
    let text = report.to_string();
    assert!(text.contains("made without the tenant's own ExternalId"), "{report:#}");
    let id = world.item()["external_id"]["S"].as_str().unwrap().to_owned();
    assert!(!text.contains(&id));
    world.deploy_customer(&["--external-id", &id]);
    world.mtlog.run(&["tenant", "verify", "acme"]).exits(0);
}

#[test]
fn a_customers_stack_of_before_still_works_and_says_what_it_lacks() {
    let world = World::onboarded();
    let old = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Resource": "*",
        "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups",
                   "logs:DescribeLogStreams", "logs:PutLogEvents"]}});
    assert!(world.fake.set_identity_policies(ROLE, &[&old.to_string()]));
    let report = world.mtlog.run(&["tenant", "verify", "acme", "-o", "json"]).exits(0).json();
    assert_eq!(verdict_of(&report, "probe"), "warning", "{report:#}");
}

#[test]
fn a_group_that_the_role_does_not_cover_fails_with_what_mends_it() {
    let world = World::onboarded();
    world.mtlog.run(&["tenant", "set", "acme", "--log-group", "/other/acme", "-y"]).exits(0);
    let shown = world.mtlog.run(&["tenant", "verify", "acme"]).exits(6).stdout;
    for part in ["FAILED   probe", "fix:", "LogGroupPrefix", "mtlog tenant link acme"] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn tenants_without_an_item_and_items_without_logs_are_found() {
    let world = World::onboarded();
    let stack = world.fake.cloudformation().stack(ACCOUNT, REGION, crate::deploy::REGIONAL);
    let outputs = stack.unwrap().outputs;
    let output = |name: &str| {
        let found = outputs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (bucket, prefix) = (output("CentralLoggingBucketName"), output("S3KeyPrefix"));
    let verify = ["tenant", "verify", "--all", "-o", "json"];
    let report = world.mtlog.run(&verify).exits(0).json();
    assert_eq!(verdict_of(&report, "logs"), "warning");
    for cluster in ["c1", "c2"] {
        for tenant in ["acme", "stranger"] {
            world.fake.put_object_quietly(
                &bucket,
                &format!("{prefix}{cluster}/{tenant}/app/pod/1.json.gz"),
                &[],
                "x",
            );
        }
    }
    let report = world.mtlog.run(&verify).exits(6).json();
    assert_eq!(verdict_of(&report, "logs"), "passed");
    assert_eq!(report["pipeline"].as_array().unwrap().len(), 1);
    assert_eq!(report["pipeline"][0]["next"], "mtlog tenant add stranger");
    world.mtlog.run(&["tenant", "verify", "acme"]).exits(0);
}

#[test]
fn somebody_who_may_not_act_as_the_central_role_is_told_what_to_do() {
    let mut world = World::onboarded();
    let stranger = world.fake.add_user("arn:aws:iam::111111111111:user/stranger", &[]);
    for (name, value) in stranger.environment() {
        world.mtlog.set(name, &value);
    }
    let report = world.mtlog.run(&["tenant", "verify", "acme", "-o", "json"]).exits(6).json();
    assert_eq!(verdict_of(&report, "central-role"), "failed");
    assert!(report.to_string().contains("OperatorRoleArns"), "{report:#}");
}

#[test]
fn waiting_ends_when_the_customer_has_deployed_and_switches_the_delivery_on() {
    let world = World::new();
    world.add(&["--disabled"]);
    world.fake.clear_journal();
    let child = world
        .mtlog
        .command(&["tenant", "wait", "acme", "-y", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mtlog runs");
    // The second hop was refused at least once.
    while world.fake.call_count("sts:AssumeRole").failed == 0 {
        std::thread::yield_now();
    }
    assert_eq!(world.item()["enabled"], json!({"BOOL": false}));
    world.deploy_customer(&[]);
    let ended = child.wait_with_output().expect("an end");
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("works and is on"), "{said}");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&report["schema"], &report["enabled_now"]), (&json!(1), &json!(true)));
    assert_eq!(world.item()["enabled"], json!({"BOOL": true}));
    assert_eq!(world.item()["status"], json!({"S": "active"}));
}

#[test]
fn waiting_gives_up_with_the_last_answer_and_changes_nothing() {
    let world = World::new();
    world.add(&["--disabled"]);
    let before = world.item();
    let ran = world.mtlog.run(&["tenant", "wait", "acme", "-y", "--timeout", "0s"]);
    ran.exits(9).says(&["did not let us in within 0 s", "mtlog tenant wait acme"]);
    assert_eq!(world.item(), before);
    world.mtlog.run(&["tenant", "wait", "nobody", "-y"]).exits(6);
}

#[test]
fn a_link_publishes_the_template_once_for_that_account() {
    let world = World::new();
    world.add(&[]);
    world.fake.clear_journal();
    let link = ["tenant", "link", "acme", "-o", "json", "-y"];
    let report = world.mtlog.run(&link).exits(0).json();
    let offer = &report["offers"][0];
    let url = report["template_url"].as_str().unwrap();
    let (bucket, key) = url.split_once(".s3.us-east-2.amazonaws.com/").unwrap();
    let bucket = bucket.strip_prefix("https://").unwrap();
    let object = world.fake.object(bucket, key).expect("the template");
    let template = include_str!("../templates/customer/customer-log-distribution-role.yaml");
    assert_eq!(object.body.expect("a content"), template.as_bytes());
    let policy = world.fake.bucket_documents(bucket)["policy"].clone();
    for part in ["OnlyOverTls", "arn:aws:iam::222222222222:root", key] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    let shown = offer["link"].as_str().unwrap();
    assert!(shown.contains("param_CentralLogDistributionRoleArn=arn%3Aaws"), "{shown}");
    assert_eq!(offer["role_arn"], ROLE);

    world.fake.clear_journal();
    assert_eq!(world.mtlog.run(&link).exits(0).json(), report);
    assert_eq!(world.fake.write_count(), 0);
    // What is handed over is what the customer can run.
    let command = offer["command"].as_str().unwrap();
    let words: Vec<&str> = command.split_whitespace().skip(1).chain(["-y"]).collect();
    world.customer.run(&words).exits(0);
    world.mtlog.run(&["tenant", "verify", "acme"]).exits(0);
}

#[test]
fn nothing_is_published_without_consent_and_other_peoples_buckets_are_left_alone() {
    let world = World::new();
    world.add(&[]);
    world.fake.clear_journal();
    world.mtlog.run(&["tenant", "link", "acme"]).exits(7).says(&["--yes"]);
    world.fake.create_bucket("333333333333", REGION, "somebody-elses");
    let foreign = ["tenant", "link", "acme", "-y", "-b", "somebody-elses"];
    world.mtlog.run(&foreign).exits(6).says(&["belongs to somebody else"]);
    let there = "https://example.com/mtlog.yaml";
    let elsewhere = ["tenant", "link", "acme", "--template-url", there, "-o", "json"];
    assert_eq!(world.mtlog.run(&elsewhere).exits(0).json()["template_url"], there);
    assert_eq!(world.fake.write_count(), 0);
}

#[test]
fn a_signed_link_says_when_it_dies() {
    let mut world = World::new();
    world.add(&[]);
    let link = [
        "tenant",
        "link",
        "acme",
        "--presign",
        "12h",
        "-y",
        "--target-region",
        "us-east-2,eu-west-1",
    ];
    let ran = world.mtlog.run(&link).exits(0).says(&["warning: The links die on "]);
    assert_eq!(ran.stdout.matches("X-Amz-Signature%3D").count(), 2, "{}", ran.stdout);
    // The keys of a session whose end is not known.
    world.mtlog.set("AWS_SESSION_TOKEN", "");
    world.fake.add_role(
        "arn:aws:iam::111111111111:role/admin",
        &json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": OPERATOR}, "Action": "sts:AssumeRole"}}).to_string(),
        &[],
    );
    let session = world.fake.role_credentials("arn:aws:iam::111111111111:role/admin", "me");
    for (name, value) in session.environment() {
        world.mtlog.set(name, &value);
    }
    world.mtlog.run(&link).exits(0).says(&["die with the session that signed them"]);
}

#[test]
fn an_external_id_of_its_own_is_in_the_link_only_when_asked_for() {
    let world = World::new();
    world.add(&["--generate-external-id"]);
    let id = world.item()["external_id"]["S"].as_str().unwrap().to_owned();
    for markdown in [&[][..], &["--markdown"]] {
        let link = [&["tenant", "link", "acme", "-y"][..], markdown].concat();
        let kept = world.mtlog.run(&link).exits(0).stdout;
        assert!(!kept.contains(&id) && kept.contains("ExternalId"), "{kept}");
        let shown = world.mtlog.run(&[&link[..], &["--with-external-ids"]].concat()).exits(0);
        assert!(shown.stdout.contains(&id), "{}", shown.stdout);
    }
    let qr = world.mtlog.run(&["tenant", "link", "acme", "-y", "--qr"]).exits(0).stdout;
    assert!(qr.contains('▀'), "{qr}");
}

#[test]
fn what_no_flag_says_is_asked_for_step_by_step_and_checked_at_once() {
    let world = World::new();
    let mut terminal = world.mtlog.in_terminal(&["tenant", "add"]);
    terminal.answer("Tenant (the namespace of its logs)", "Not A Name");
    terminal.answer("is not a tenant id", "\u{15}acme");
    // The arrow key goes down and up again: the first choice stays.
    terminal.answer("Deliver to", "\u{1b}[B\u{1b}[A");
    terminal.answer("Region of the destination", "");
    terminal.answer("The customer's account id", CUSTOMER);
    terminal.answer("Log group", "");
    terminal.answer("Days to keep", "30");
    terminal.answer("Only these applications", "api, worker");
    terminal.answer("ExternalId", "");
    terminal.answer("Write the cloudwatch delivery of tenant acme", "y");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("mtlog tenant wait acme"), "{seen}");
    let item = world.item();
    assert_eq!(item["log_distribution_role_arn"], json!({"S": ROLE}));
    assert_eq!(item["log_group_name"], json!({"S": GROUP}));
    assert_eq!(item["log_retention_days"], json!({"N": "30"}));
    assert_eq!(item["desired_logs"], json!({"L": [{"S": "api"}, {"S": "worker"}]}));
    assert_eq!(
        (&item["enabled"], &item["status"]),
        (&json!({"BOOL": false}), &json!({"S": "pending"}))
    );
}

#[test]
fn an_account_is_enough_and_one_command_waits_for_the_customer() {
    let world = World::new();
    let add = ["tenant", "add", "acme", "--customer-account", CUSTOMER, "--target-region", REGION];
    let more = ["--generate-external-id", "--wait", "--link", "-y", "-o", "json"];
    let child = world
        .mtlog
        .command(&[&add[..], &more].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mtlog runs");
    while world.fake.call_count("sts:AssumeRole").failed == 0 {
        std::thread::yield_now();
    }
    let item = world.item();
    assert_eq!(
        (&item["enabled"], &item["status"]),
        (&json!({"BOOL": false}), &json!({"S": "pending"}))
    );
    world.deploy_customer(&["--external-id", item["external_id"]["S"].as_str().unwrap()]);
    let ended = child.wait_with_output().expect("an end");
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["waited"]["enabled_now"], true);
    assert_eq!(report["handover"]["external_id"], "shown");
    assert_eq!(report["external_id"], item["external_id"]["S"]);
    assert_eq!(report["delivery"]["status"], "active");
    assert_eq!(world.item()["enabled"], json!({"BOOL": true}));
}

/// Makes a profile for an account whose root it is.
fn profile(world: &mut World, name: &str, account: &str) {
    let keys = format!("[{name}]\naws_access_key_id={account}\naws_secret_access_key=root\n");
    world.mtlog.write_in(".aws/credentials", &keys);
    world.mtlog.set("AWS_CONFIG_FILE", "");
    world.mtlog.set("AWS_SHARED_CREDENTIALS_FILE", "");
}

#[test]
fn both_sides_are_done_in_one_run_with_a_profile_for_the_customers() {
    let mut world = World::new();
    profile(&mut world, "acme-admin", CUSTOMER);
    let add =
        ["tenant", "add", "acme", "--customer-profile", "acme-admin", "--target-region", REGION];
    let report = world.mtlog.run(&[&add[..], &["-y", "-o", "json"]].concat()).exits(0).json();
    assert_eq!(report["waited"]["enabled_now"], true);
    assert_eq!(report["delivery"]["log_distribution_role_arn"], ROLE);
    let stack = "multi-tenant-logging-customer-us-east-2";
    assert!(world.fake.cloudformation().stack(CUSTOMER, REGION, stack).is_some());
    assert!(world.fake.cloudformation().stack(ACCOUNT, REGION, stack).is_none());
}

#[test]
fn the_wrong_account_on_either_side_stops_before_the_first_write() {
    let mut world = World::new();
    profile(&mut world, "other", "333333333333");
    world.fake.clear_journal();
    let add =
        ["tenant", "add", "acme", "--customer-profile", "other", "--target-region", REGION, "-y"];
    let customer = [&add[..], &["--customer-account", CUSTOMER]].concat();
    world
        .mtlog
        .run(&customer)
        .exits(6)
        .says(&["leads to account 333333333333", "nothing was written"]);
    let central = [&add[..], &["--account", "444444444444"]].concat();
    world.mtlog.run(&central).exits(6).says(&["demands account 444444444444"]);
    assert_eq!(world.fake.write_count(), 0);
}

#[test]
fn deliveries_are_added_from_a_file_all_or_none_at_first_sight() {
    let world = World::new();
    let file = format!(
        "- tenant_id: acme\n  target_region: {REGION}\n  log_distribution_role_arn: {ROLE}\n  log_group_name: {GROUP}\n\
         - tenant_id: acme\n  type: s3\n  target_region: {REGION}\n  bucket_name: acme-logs\n"
    );
    world.mtlog.write("acme.yaml", &file);
    let add = ["tenant", "add", "--from", "acme.yaml", "-y", "-o", "json"];
    world
        .mtlog
        .run(&["tenant", "add", "other", "--from", "acme.yaml"])
        .exits(64)
        .says(&["not `other`"]);
    let report = world.mtlog.run(&[&add[..], &["--generate-external-id"]].concat()).exits(0).json();
    assert_eq!(report["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(report["external_ids"].as_array().unwrap().len(), 1);
    world.fake.clear_journal();
    world.mtlog.run(&add).exits(8).says(&["delivery already", "mtlog tenant import"]);
    assert_eq!(world.fake.write_count(), 0);
}

#[test]
fn ten_thousand_tenants_are_listed_and_exported_through_pages_and_throttles() {
    const TENANTS: usize = 10_000;
    let (fake, mut mtlog) = crate::deploy::started();
    fake.create_table(ACCOUNT, REGION, "many", "tenant_id", "type");
    mtlog.set("TENANT_CONFIG_TABLE", "many");
    let text = |value: String| json!({"S": value});
    for number in 0..TENANTS {
        let tenant = format!("tenant-{number:05}");
        let item = json!({
            "type": {"S": "cloudwatch"}, "enabled": {"BOOL": true}, "target_region": {"S": REGION},
            "log_distribution_role_arn": {"S": ROLE}, "log_group_name": text(format!("{GROUP}-{number}")),
            "created_at": {"S": "2026-01-01T00:00:00Z"}, "tenant_id": text(tenant),
        });
        fake.put_item(ACCOUNT, REGION, "many", &item);
    }
    // Pages are refused, the first one twice.
    let throttled = || Fault::on("dynamodb:Scan").respond(Response::throttling());
    fake.inject(throttled().times(2));
    fake.inject(throttled().skip(1).times(1));
    let listed = mtlog.run(&["tenant", "list", "-o", "json"]).exits(0).json();
    let names: Vec<&str> = listed["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["tenant_id"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), TENANTS);
    assert!(names.is_sorted());
    let scans = fake.call_count("dynamodb:Scan");
    assert!(scans.failed >= 2 && scans.calls - scans.failed > 1, "{scans:?}");
    let exported = mtlog.run(&["tenant", "export", "--format", "jsonl"]).exits(0).stdout;
    assert_eq!(exported.lines().count(), TENANTS);
}

#[test]
fn the_customer_sees_the_role_whom_it_trusts_and_what_arrived() {
    let world = World::new();
    let check = ["customer", "check", "-r", "us-east-2,eu-west-1", "-o", "json"];
    let before = world.customer.run(&check).exits(6).json();
    assert_eq!(before["regions"][0]["checks"][0]["verdict"], "failed");
    let deploy = ["deploy", "customer", "--central-role-arn", &world.central_role, "-y"];
    let regions = ["-r", "us-east-2,eu-west-1"];
    let ran = world.customer.run(&[&deploy[..], &regions].concat()).exits(0);
    let block = ran.stdout.split_once("For the logging service").expect("a hand-over block").1;
    for region in ["us-east-2", "eu-west-1"] {
        let role = format!("arn:aws:iam::222222222222:role/CustomerLogDistribution-{region}");
        assert!(block.contains(&role), "{}", ran.stdout);
    }
    ran.says(&["mtlog customer check"]);
    world.add(&["--retention-days", "30"]);
    world.mtlog.run(&["tenant", "verify", "acme"]).exits(0);
    world.fake.clear_journal();
    let after = world.customer.run(&check).exits(0).json();
    assert_eq!(world.fake.write_count(), 0);
    let view = &after["regions"][0];
    assert_eq!(view["log_groups"][0]["log_group"], GROUP);
    assert_eq!(view["log_groups"][0]["retention_days"], 30);
    assert!(view["log_groups"][0]["last_event_at"].is_string(), "{after:#}");
    assert_eq!(after["regions"][1]["checks"][2]["verdict"], "warning");
    let open = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": world.central_role}, "Action": "sts:AssumeRole"}});
    assert!(world.fake.set_trust_policy(ROLE, &open.to_string()));
    let shown = world.customer.run(&["customer", "check"]).exits(6).stdout;
    assert!(shown.contains("without an ExternalId"), "{shown}");
}

#[test]
fn the_shell_completes_tenants_of_the_table_and_nothing_that_it_would_expand() {
    let world = World::new();
    world.add(&[]);
    for tenant in ["zeta", "bad $(id)"] {
        let item = json!({"tenant_id": {"S": tenant}, "type": {"S": "cloudwatch"}});
        world.fake.put_item(ACCOUNT, REGION, TABLE, &item);
    }
    let ids = world.mtlog.run(&["tenant", "list", "--ids"]).exits(0).stdout;
    assert_eq!(ids, "acme\nzeta\n");
    let script = world.mtlog.run(&["completions", "bash"]).exits(0).stdout;
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_mtlog")).parent().unwrap();
    let complete = format!(
        "PATH={}:/usr/bin:/bin\n{script}\nCOMP_WORDS=(mtlog tenant show ''); COMP_CWORD=3\n\
         _mtlog_with_tenants mtlog '' show\necho \"${{COMPREPLY[@]}}\"",
        binary.display()
    );
    world.mtlog.write("complete.sh", &complete);
    let mtlog = world.mtlog.command(&[]);
    let environment = mtlog.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let ran = std::process::Command::new("bash")
        .args(["--norc", "complete.sh"])
        .env_clear()
        .envs(environment)
        .current_dir(mtlog.get_current_dir().expect("a directory"))
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "acme zeta", "{ran:?}");
    for (shell, part) in [("zsh", "_mtlog_tenants() {"), ("fish", "tenant list --ids")] {
        let script = world.mtlog.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains(part), "{shell}");
    }
}
