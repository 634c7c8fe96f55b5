//! `mtlog replay`, run as a process against a strict stand-in for AWS.

use std::time::Duration;

use fake_aws::{Fault, Response};
use serde_json::json;

use crate::support::pipeline::{BUCKET, Pipeline};

const CURSOR: &str = "mtlog-replay.json";

/// Two tenants with three objects of two records each.
fn started() -> Pipeline {
    let pipeline = Pipeline::new();
    for (tenant, account) in [("acme", "222222222222"), ("globex", "333333333333")] {
        pipeline.tenant(tenant, account);
        for file in ["a", "b", "c"] {
            pipeline.stored(tenant, file, 2);
        }
    }
    pipeline
}

#[test]
fn a_tenants_objects_are_delivered_again_after_an_estimate() {
    let pipeline = started();
    let replay = ["replay", "--tenant", "acme", "-o", "json"];
    let planned = pipeline.mtlog.run(&[&replay[..], &["-n"]].concat()).exits(0).json();
    let estimate = &planned["estimate"];
    assert_eq!((&planned["state"], &estimate["objects"]), (&json!("planned"), &json!(3)));
    assert_eq!(estimate["calls"]["get_object"], 3);
    assert_eq!(estimate["tenants"].as_object().unwrap().len(), 1);
    pipeline.mtlog.run(&replay).exits(7).says(&["--yes"]);
    assert_eq!(pipeline.fake.ledger_totals().events, 0);
    assert!(!pipeline.mtlog.has(CURSOR));

    let ran = pipeline.mtlog.run(&[&replay[..], &["-y"]].concat()).exits(0);
    let done = ran.json();
    ran.says(&["Every record is delivered again", "GetObject"]);
    assert_eq!(
        (&done["state"], &done["done"]["records"]["delivered"]),
        (&json!("done"), &json!(6))
    );
    assert_eq!((&done["done"]["objects"], &done["done"]["not_delivered"]), (&json!(3), &json!(0)));
    assert_eq!(pipeline.arrived("acme").len(), 6);
    assert!(pipeline.arrived("globex").is_empty());
    assert!(!pipeline.mtlog.has(CURSOR), "a finished replay leaves no cursor");
    // Again means again: nothing remembers what was delivered before.
    pipeline.mtlog.run(&[&replay[..], &["-y"]].concat()).exits(0);
    assert_eq!(pipeline.arrived("acme").len(), 12);
}

#[test]
fn a_time_range_is_what_is_delivered() {
    let pipeline = Pipeline::new();
    pipeline.tenant("acme", "222222222222");
    pipeline.stored("acme", "old", 1);
    pipeline.fake.advance(Duration::from_hours(2));
    let middle = pipeline.fake.now();
    pipeline.stored("acme", "new", 1);
    let since = middle.to_string();
    let ran = pipeline.mtlog.run(&[
        "replay",
        "--since",
        &since,
        "--before",
        "2100-01-01T00:00:00Z",
        "-y",
    ]);
    ran.exits(0);
    assert_eq!(pipeline.arrived("acme"), ["acme new 0"]);
    let none = pipeline.mtlog.run(&[
        "replay",
        "--since",
        "2100-01-01T00:00:00Z",
        "--before",
        "2101-01-01T00:00:00Z",
        "-o",
        "json",
    ]);
    assert_eq!(none.exits(0).json()["state"], "nothing");
}

#[test]
fn what_could_not_be_delivered_is_named_and_tried_first_by_the_same_command() {
    let pipeline = started();
    let denied = Fault::on("logs:PutLogEvents").account("222222222222");
    let fault = pipeline.fake.inject(denied.respond(Response::access_denied()));
    let replay = ["replay", "--since", "1h", "-y", "-o", "json"];
    let ran = pipeline.mtlog.run(&replay).exits(3);
    let report = ran.json();
    assert_eq!((&report["state"], &report["done"]["open"]), (&json!("done"), &json!(3)));
    assert_eq!(report["done"]["problems"][0]["outcome"], "write_denied");
    ran.says(&["The place is kept in mtlog-replay.json"]);
    assert_eq!(pipeline.mtlog.read(CURSOR).matches("/acme/api/api-0/").count(), 3);
    // Nothing went through the queue, and nothing became a dead letter.
    let depth = |url: &str| pipeline.fake.queue_depth(url).total();
    assert_eq!((depth(&pipeline.queue), depth(&pipeline.dead)), (0, 0));
    assert_eq!(pipeline.arrived("globex").len(), 6);
    fault.remove();

    // Another replay does not take the place over.
    pipeline
        .mtlog
        .run(&["replay", "--tenant", "acme", "-y"])
        .exits(6)
        .says(&["another replay", "--cursor"]);
    let again = pipeline.mtlog.run(&replay).exits(0).says(&["Going on from"]).json();
    assert_eq!((&again["resumes"], &again["left_open"]), (&json!(true), &json!(3)));
    assert_eq!(again["done"]["records"]["delivered"], 6);
    assert_eq!((pipeline.arrived("acme").len(), pipeline.arrived("globex").len()), (6, 6));
    assert!(!pipeline.mtlog.has(CURSOR));
}

#[test]
fn objects_without_a_tenant_and_of_unknown_tenants_are_reported() {
    let pipeline = started();
    pipeline.stored("nobody", "a", 1);
    pipeline.fake.put_object_quietly(BUCKET, "prod-1/short.json.gz", &[], "x");
    let ran = pipeline.mtlog.run(&["replay", "--since", "1h", "-y", "-o", "json"]).exits(65);
    let report = ran.json();
    assert_eq!(report["estimate"]["without_tenant"], 1);
    let mut outcomes: Vec<&str> = report["done"]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["outcome"].as_str().unwrap())
        .collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["invalid_key", "unknown_tenant"]);
    assert_eq!(pipeline.arrived("acme").len(), 6);
}

#[test]
fn wrong_input_and_denied_calls_are_explained() {
    let pipeline = started();
    for (arguments, part) in [
        (&["replay"][..], "give --tenant, --since or --cluster-name"),
        (&["replay", "--since", "yesterday"], "like 6h for so long ago"),
        (&["replay", "--tenant", "A_B"], "A_B"),
        (&["replay", "--since", "1h", "--before", "2h"], "--since is not before --before"),
    ] {
        pipeline.mtlog.run(arguments).exits(64).says(&[part]);
    }
    let fault =
        pipeline.fake.inject(Fault::on("s3:ListObjectsV2").respond(Response::access_denied()));
    pipeline.mtlog.run(&["replay", "--since", "1h", "-n"]).exits(3).says(&["`s3:ListBucket`"]);
    fault.remove();
    pipeline.mtlog.write(CURSOR, "{");
    pipeline.mtlog.run(&["replay", "--since", "1h", "-n"]).exits(6).says(&["cannot be used"]);
    pipeline.mtlog.write(CURSOR, r#"{"schema":1,"after":"x"}"#);
    pipeline.mtlog.run(&["replay", "--since", "1h", "-n"]).exits(6).says(&["--mode scan"]);
}

#[test]
fn the_form_of_a_replay_does_not_change() {
    let pipeline = Pipeline::new();
    pipeline.tenant("acme", "222222222222");
    pipeline.stored("acme", "a", 2);
    let ran = pipeline.mtlog.run(&["replay", "--tenant", "acme", "-y", "-o", "json"]).exits(0);
    let mut report = ran.json();
    report["before"] = json!("TIME");
    for field in ["oldest", "newest"] {
        report["estimate"][field] = json!("TIME");
    }
    for place in ["/estimate/bytes", "/estimate/tenants/acme/bytes"] {
        *report.pointer_mut(place).expect("bytes") = json!("BYTES");
    }
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("replay", report);
    });
}
