//! `mtlog status`, run as a process against a stand-in with metrics, alarms and a processor's log.

use fake_aws::{AlarmState, FakeAws, Fault, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    deploy::{GLOBAL, REGIONAL, started},
    support::{ACCOUNT, Mtlog, REGION},
};

const PREFIX: &str = "multi-tenant-logging-development";
const QUEUE: &str = "multi-tenant-logging-development-log-delivery-queue";
const DEAD_LETTERS: &str = "multi-tenant-logging-development-log-delivery-dlq";
pub(crate) const FUNCTION: &str = "multi-tenant-logging-development-log-distributor";
const IMAGE: &str = "111111111111.dkr.ecr.us-east-2.amazonaws.com/log-processor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Deploys everything that a region can have.
pub(crate) fn operated() -> (FakeAws, Mtlog) {
    let (fake, mtlog) = started();
    let deploy = ["deploy", "global", "regional", "--include-sqs", "--include-lambda", "--image"];
    mtlog.run(&[&deploy[..], &[IMAGE, "--include-alarms", "-y"]].concat()).exits(0);
    fake.clear_journal();
    (fake, mtlog)
}

/// Puts the same value into every minute of the last hour and of the next few.
pub(crate) fn put_hour(fake: &FakeAws, namespace: &str, name: &str, of: (&str, &str), value: f64) {
    let now = Timestamp::now();
    let values: Vec<(Timestamp, f64)> =
        (-70..5).map(|minute| (now + SignedDuration::from_mins(minute), value)).collect();
    fake.put_metric(ACCOUNT, REGION, namespace, name, &[of], &values);
}

fn busy_hour(fake: &FakeAws) {
    let (queue, dead) = (("QueueName", QUEUE), ("QueueName", DEAD_LETTERS));
    let function = ("FunctionName", FUNCTION);
    put_hour(fake, "AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, 3.0);
    put_hour(fake, "AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 42.0);
    put_hour(fake, "AWS/SQS", "NumberOfMessagesSent", queue, 20.0);
    put_hour(fake, "AWS/SQS", "ApproximateNumberOfMessagesVisible", dead, 0.0);
    put_hour(fake, "AWS/Lambda", "Invocations", function, 2.0);
    put_hour(fake, "AWS/Lambda", "Errors", function, 0.0);
    put_hour(fake, "AWS/Lambda", "Throttles", function, 0.0);
    put_hour(fake, "AWS/Lambda", "Duration", function, 1_500.0);
    put_hour(fake, "mtlog", "bytes_opened", function, 1_048_576.0);
    put_hour(fake, "mtlog", "objects_delivered", function, 20.0);
    put_hour(fake, "mtlog", "records_delivered", function, 5_000.0);
    put_hour(fake, "mtlog", "e2e_latency_seconds", function, 3.25);
}

fn add_tenant(mtlog: &Mtlog, name: &str) {
    let role = "arn:aws:iam::222222222222:role/CustomerLogDistribution-us-east-2";
    let group = format!("/ROSA/cluster-logs/{name}");
    let add = ["tenant", "add", name, "--role-arn", role, "--log-group", &group];
    mtlog.run(&[&add[..], &["--target-region", REGION, "-y"]].concat()).exits(0);
}

/// Takes the times out of a screen.
fn timeless(screen: &str) -> String {
    let time = regex_lite::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d UTC)?").unwrap();
    time.replace_all(screen, "TIME").into_owned()
}

#[test]
fn one_screen_shows_the_environment() {
    let (fake, mtlog) = operated();
    busy_hour(&fake);
    add_tenant(&mtlog, "acme");
    let line = json!({"level": "INFO", "message": "object", "tenant": "acme", "outcome": "delivered", "delivered": 300_000});
    let group = format!("/aws/lambda/{FUNCTION}");
    fake.put_log_event(ACCOUNT, REGION, &group, "stream", Timestamp::now(), &line.to_string());
    let shown = mtlog.run(&["status"]).exits(0).stdout;
    let screen = timeless(&shown);
    let spark = "█".repeat(30);
    let expected = format!(
        "\
multi-tenant-logging development, account 111111111111, TIME

us-east-2
  STACK                             TARGET    STATE  STATUS           CHANGED  VERSION  PARTS
  multi-tenant-logging-global       global    ok     CREATE_COMPLETE  TIME     -
  multi-tenant-logging-development  regional  ok     CREATE_COMPLETE  TIME     1.0.0    sqs, lambda, alarms, log-processor@0123456789ab
  queue       0 waiting, 0 in flight                                  {spark}
  oldest      42 s old                                                {spark}
  dead        no dead letters                                         {zero}
  arriving    1,200 objects, 60.00 MiB opened                         {spark}
  delivered   300,000 records in 1,200 objects                        {spark}
  latency     half within 3.2 s, 99 % within 3.2 s                    {spark}
  function    120 runs, 0 errors, 0 throttled, 1.5 s to 1.5 s         {spark}
  tenants     1 enabled, 0 disabled
  served      1: acme (300,000 records)
  failing     no tenant in the last hour
  alarms      8 quiet
",
        zero = "▁".repeat(30)
    );
    let columns = regex_lite::Regex::new(" {2,}").unwrap();
    let narrow = |text: &str| columns.replace_all(text, "  ").into_owned();
    assert_eq!(narrow(&screen), narrow(&expected), "{screen}");
    let readme = timeless(include_str!("../README.md"));
    assert!(narrow(&readme).contains(&narrow(&screen)), "README.md should show\n{shown}");
}

#[test]
fn what_is_wrong_stands_out() {
    let (fake, mtlog) = operated();
    let function = ("FunctionName", FUNCTION);
    put_hour(&fake, "AWS/Lambda", "Errors", function, 1.0);
    put_hour(&fake, "mtlog", "assume_role_denied", function, 1.0);
    put_hour(&fake, "mtlog", "dlq_sent", function, 2.0);
    let dead_letters = format!("{}/{ACCOUNT}/{DEAD_LETTERS}", fake.endpoint_url());
    fake.send_message(&dead_letters, "{}");
    let alarm = format!("{PREFIX}-dlq-not-empty");
    fake.set_alarm(ACCOUNT, REGION, &alarm, AlarmState::Alarm, "Threshold Crossed");
    let lines = [
        json!({"level": "ERROR", "message": "object", "tenant": "acme", "outcome": "role_denied"}),
        json!({"level": "INFO", "message": "object", "tenant": "fine", "outcome": "delivered", "delivered": 1234}),
        json!({"level": "WARN", "message": "object", "tenant": "odd", "outcome": "delivered", "undecodable": 1}),
        json!({"level": "WARN", "message": "message parked", "tenant": "other"}),
    ];
    let group = format!("/aws/lambda/{FUNCTION}");
    for line in lines {
        fake.put_log_event(ACCOUNT, REGION, &group, "stream", Timestamp::now(), &line.to_string());
    }
    let screen = mtlog.run(&["status", "--color", "always"]).exits(0).stdout;
    for part in [
        "\u{1b}[31m1 dead letter: mtlog dlq list\u{1b}[0m",
        "\u{1b}[31m0 records in 0 objects, 120 set aside, 60 roles refused\u{1b}[0m",
        "\u{1b}[31m0 runs, 60 errors, 0 throttled\u{1b}[0m",
        "\u{1b}[31m2: acme (role_denied, 1), odd (undecodable, 1)\u{1b}[0m",
        "2: fine (1,234 records), odd (0 records)",
        "\u{1b}[31m1 raised: multi-tenant-logging-development-dlq-not-empty\u{1b}[0m",
    ] {
        assert!(screen.contains(part), "{part} is not in\n{screen}");
    }
}

#[test]
fn a_refused_call_dims_its_own_lines_only() {
    let (fake, mtlog) = operated();
    for (pattern, line) in [
        ("cloudwatch:GetMetricData", "latency     not permitted: needs cloudwatch:GetMetricData"),
        ("cloudwatch:DescribeAlarms", "alarms      not permitted: needs cloudwatch:DescribeAlarms"),
        ("sqs:GetQueueAttributes", "queue       not permitted: needs sqs:GetQueueAttributes"),
        ("dynamodb:Scan", "tenants     not permitted: needs dynamodb:Scan"),
        ("logs:FilterLogEvents", "failing     not permitted: needs logs:FilterLogEvents"),
        (
            "cloudformation:DescribeStacks",
            "stacks      not permitted: needs cloudformation:DescribeStacks",
        ),
    ] {
        fake.clear_faults();
        fake.inject(Fault::on(pattern).respond(Response::access_denied()));
        let screen = mtlog.run(&["status"]).exits(0).stdout;
        assert!(screen.contains(line), "{pattern}:\n{screen}");
        assert!(screen.matches("not permitted").count() < 10, "{pattern}:\n{screen}");
    }
}

#[test]
fn regions_are_read_side_by_side_and_what_is_not_there_says_so() {
    let (fake, mtlog) = operated();
    let status = mtlog.run(&["status", "-r", "us-east-2,eu-west-1", "-o", "json"]).exits(0).json();
    let regions = status["regions"].as_array().unwrap();
    let names: Vec<&Value> = regions.iter().map(|region| &region["region"]).collect();
    assert_eq!(names, ["us-east-2", "eu-west-1"]);
    assert_eq!(regions[0]["queue"]["state"], "known");
    assert_eq!(regions[1]["queue"], json!({"state": "absent"}));
    assert_eq!(regions[1]["stacks"], json!({"state": "known", "value": []}));
    assert_eq!(fake.writes(), []);
}

#[test]
fn the_form_of_the_json_does_not_change() {
    let (_fake, mtlog) = operated();
    let status = mtlog.run(&["status", "-o", "json"]).exits(0).json();
    let mut paths = Vec::new();
    collect_paths("", &status, &mut paths);
    insta::assert_snapshot!("status_json", paths.join("\n"));
}

/// Lists every member of a document with the kind of its value; of a list, the first element counts.
pub(crate) fn collect_paths(path: &str, value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                collect_paths(&format!("{path}.{name}"), member, paths);
            }
        }
        Value::Array(values) => match values.first() {
            Some(first) => collect_paths(&format!("{path}[]"), first, paths),
            None => paths.push(format!("{path}[]")),
        },
        Value::Null => paths.push(format!("{path} null")),
        Value::Bool(_) => paths.push(format!("{path} bool")),
        Value::Number(_) => paths.push(format!("{path} number")),
        Value::String(_) => paths.push(format!("{path} text")),
    }
}

#[test]
fn watching_prints_screen_after_screen() {
    let (fake, mtlog) = operated();
    let watch = ["status", "--watch", "--every", "0s", "--count", "3"];
    let screens = mtlog.run(&watch).exits(0).stdout;
    assert_eq!(screens.matches("account 111111111111").count(), 3);
    assert_eq!(fake.calls("cloudformation:DescribeStacks"), 3);
    let records = mtlog.run(&[&watch[..], &["-o", "ndjson"]].concat()).exits(0).stdout;
    let kinds: Vec<String> = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].to_string())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "\"result\"").count(), 3, "{kinds:?}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mtlog = Mtlog::offline();
    for (line, part) in [
        (&["status", "--watch", "-o", "json"][..], "use --output ndjson"),
        (&["status", "--every", "5s"], "--watch"),
        (&["status", "--watch", "--every", "5"], "it looks like 90s"),
        (&["status", "--watch", "--count", "0"], "--count"),
        (&["status", "-r", "nowhere"], "nowhere"),
    ] {
        mtlog.run(line).exits(64).says(&[part]);
    }
}

#[test]
fn stacks_are_listed_in_the_order_of_dependence() {
    let (_fake, mtlog) = crate::deploy::deployed();
    let status = mtlog.run(&["status", "-o", "json"]).exits(0).json();
    let stacks: Vec<(&str, &str)> = status["regions"][0]["stacks"]["value"]
        .as_array()
        .expect("stacks")
        .iter()
        .map(|row| (row["stack"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(stacks, [(GLOBAL, "ok"), (REGIONAL, "ok")]);
}
