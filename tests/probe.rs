//! `mtlog probe`, run as a process against a strict stand-in for AWS, with the engine beside it.

use std::process::{Output, Stdio};

use fake_aws::{Fault, Response};
use serde_json::{Value, json};

use crate::support::{
    ACCOUNT, REGION,
    pipeline::{BUCKET, Pipeline, group},
};

const TENANT: &str = "mtlog-heartbeat";

fn started() -> Pipeline {
    let pipeline = Pipeline::new();
    pipeline.tenant(TENANT, ACCOUNT);
    pipeline
}

/// Runs a probe with the engine, which takes over once the heartbeat is in the bucket.
fn with_engine(pipeline: &Pipeline, arguments: &[&str]) -> Output {
    let mut command = pipeline.mtlog.command(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mtlog runs");
    while pipeline.fake.queue_depth(&pipeline.queue).total() == 0 {
        std::thread::yield_now();
    }
    let _ended = pipeline.mtlog.run(&["process", "--mode", "sqs", "--until-empty"]);
    child.wait_with_output().expect("an end")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn a_heartbeat_is_followed_to_its_log_group_and_nothing_stays_behind() {
    let pipeline = started();
    let ran = with_engine(&pipeline, &["probe", "-o", "json"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("a report");
    assert_eq!((&report["schema"], &report["outcome"]), (&json!(1), &json!("arrived")));
    for stage in ["put_ms", "delivered_ms", "visible_ms", "total_ms"] {
        assert!(report["stages"][stage].is_u64(), "{stage} in {report}");
    }
    let mut fields: Vec<&String> = report.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["id", "log_group", "log_stream", "object", "outcome", "schema", "stages", "tenant"]
    );
    assert_eq!(pipeline.arrived(TENANT).len(), 1);
    assert_eq!(pipeline.fake.object_keys(BUCKET), Vec::<String>::new());
    assert_eq!(pipeline.fake.log_streams(ACCOUNT, REGION, &group(TENANT)), Vec::<String>::new());
}

#[test]
fn a_heartbeat_that_does_not_arrive_is_late_and_its_object_stays_for_the_engine() {
    let pipeline = started();
    let ran = pipeline.mtlog.run(&["probe", "--timeout", "1s", "-o", "json"]).exits(9);
    assert_eq!(ran.json()["outcome"], "late");
    assert_eq!(ran.json()["queue"]["visible"], 1);
    ran.says(&[
        "1 messages wait in the queue",
        "stays until the bucket deletes it",
        "mtlog dlq list",
    ]);
    assert_eq!(pipeline.fake.object_keys(BUCKET).len(), 1);
}

#[test]
fn a_heartbeat_in_the_dead_letter_queue_says_why() {
    let pipeline = started();
    // The engine cannot deliver and gives the message up: here somebody moves it by hand.
    let mut command = pipeline.mtlog.command(&["probe", "--timeout", "3s", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mtlog runs");
    while pipeline.fake.queue_depth(&pipeline.queue).total() == 0 {
        std::thread::yield_now();
    }
    let message = pipeline.fake.queue_messages(&pipeline.queue).remove(0);
    let attributes = [("reason", "role_denied"), ("stage", "assume"), ("tenant", TENANT)];
    pipeline.fake.send_message_with(&pipeline.dead, &message.body, &attributes);
    pipeline.fake.delete_queued_message(&pipeline.queue, &message.id);
    let ran = child.wait_with_output().expect("an end");
    assert_eq!(ran.status.code(), Some(5), "{}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("a report");
    assert_eq!(
        (&report["outcome"], &report["letter"]["reason"]),
        (&json!("dead_letter"), &json!("role_denied"))
    );
    let said = text(&ran.stderr);
    assert!(said.contains("the customer's role must trust"), "{said}");
    assert_eq!(pipeline.fake.queue_depth(&pipeline.dead).visible, 1);
}

#[test]
fn a_canary_tells_machines_what_it_sees() {
    let pipeline = started();
    let arguments = ["probe", "--every", "1s", "--count", "1", "--emf", "--textfile", "m.prom"];
    let ran = with_engine(&pipeline, &arguments);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let line: Value = serde_json::from_slice(&ran.stdout).expect("one line");
    assert_eq!((&line["ProbeArrived"], &line["Tenant"]), (&json!(1), &json!(TENANT)));
    let metrics = pipeline.mtlog.read("m.prom");
    assert!(metrics.contains("mtlog_probe_up{tenant=\"mtlog-heartbeat\"} 1"), "{metrics}");

    let late = ["probe", "--every", "1s", "--count", "2", "--timeout", "1s"];
    let ran = pipeline.mtlog.run(&late).exits(9);
    assert_eq!(ran.stdout.lines().filter(|line| line.contains("  late ")).count(), 2);
}

#[test]
fn a_canary_outlives_a_failed_call() {
    let pipeline = started();
    let denied = Fault::on("s3:PutObject").times(1).respond(Response::access_denied());
    pipeline.fake.inject(denied);
    let ran = with_engine(&pipeline, &["probe", "--every", "1s", "--count", "2"]);
    assert_eq!(ran.status.code(), Some(9), "{}", text(&ran.stderr));
    let lines: Vec<&str> = text(&ran.stdout).lines().collect();
    assert!(lines[0].contains("failed") && lines[1].contains("arrived"), "{lines:?}");
    assert!(text(&ran.stderr).contains("s3:PutObject"));
}

#[test]
fn what_cannot_arrive_is_said_before_anything_is_sent() {
    let pipeline = started();
    pipeline.tenant("elsewhere", "222222222222");
    pipeline.tenant_with("off", ACCOUNT, &json!({"enabled": {"BOOL": false}}));
    pipeline.tenant_with("choosy", ACCOUNT, &json!({"desired_logs": {"L": [{"S": "api"}]}}));
    for (tenant, parts) in [
        ("nobody", &["has no delivery to CloudWatch Logs", "mtlog tenant add nobody"][..]),
        ("elsewhere", &["in account 222222222222", "--read-profile"]),
        ("off", &["switched off", "mtlog tenant enable off"]),
        ("choosy", &["does not want the application `mtlog-heartbeat`"]),
    ] {
        pipeline.mtlog.run(&["probe", "--tenant", tenant]).exits(6).says(parts);
    }
    assert_eq!(pipeline.fake.calls("s3:PutObject"), 0);
    for (operation, action) in
        [("s3:PutObject", "`s3:PutObject`"), ("logs:GetLogEvents", "`logs:GetLogEvents`")]
    {
        let fault = pipeline.fake.inject(Fault::on(operation).respond(Response::access_denied()));
        pipeline.mtlog.run(&["probe", "--timeout", "1s"]).exits(3).says(&[action]);
        fault.remove();
    }
    for (arguments, part) in [
        (&["probe", "--every", "often"][..], "it looks like 90s"),
        (&["probe", "--count", "3"], "--every"),
        (&["probe", "--tenant", "A_B"], "A_B"),
    ] {
        pipeline.mtlog.run(arguments).exits(64).says(&[part]);
    }
}
