//! Rows 56 to 58: a Lambda function, through the runtime API that Lambda itself serves.

use std::{collections::BTreeSet, net::TcpListener, time::Duration};

use fake_aws::{Fault, Response};
use serde_json::{Value, json};

use crate::{
    runtime_api,
    world::{CENTRAL_ROLE, Process, Tenant, World, messages, records},
};

const RECENT: Duration = Duration::from_secs(600);

/// Serves one invocation to a running function and returns what it answers: a response, or an error.
fn invoke(world: &mut World, event: &Value, time: Duration) -> Result<Value, Value> {
    let (process, listener) = start(world);
    let mut handed_out = false;
    loop {
        let (stream, _) = listener.accept().unwrap();
        let (path, body) = runtime_api::request(&stream);
        if path.ends_with("/invocation/next") {
            if handed_out {
                // The answer to the first invocation is still to come on another connection.
                std::mem::forget(stream);
                continue;
            }
            handed_out = true;
            runtime_api::invoke(&stream, &event.to_string(), time);
        } else {
            runtime_api::answer(&stream, 202, "", "{}");
            let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            drop(process);
            return if path.ends_with("/response") { Ok(value) } else { Err(value) };
        }
    }
}

/// Starts the function against a listener in place of Lambda.
fn start(world: &mut World) -> (Process, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (name, value) in runtime_api::variables(listener.local_addr().unwrap()) {
        world.set(name, &value);
    }
    (world.start(&["--mode", "lambda"]), listener)
}

#[test]
fn a_signal_between_two_invocations_ends_the_function() {
    let (mut world, _) = world();
    let (process, listener) = start(&mut world);
    let (waiting, _) = listener.accept().unwrap();
    assert!(runtime_api::request(&waiting).0.ends_with("/invocation/next"));
    process.signal("TERM");
    process.wait().assert_code(0);
}

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

/// Takes all messages out of the queue, as an event source mapping does.
fn event(world: &World) -> Value {
    let records: Vec<Value> = world
        .fake
        .queue_messages(&world.queue)
        .into_iter()
        .map(|message| {
            json!({
                "messageId": message.id, "receiptHandle": "handle", "body": message.body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": message.sent_at.to_string()},
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    json!({"Records": records})
}

fn ids(event: &Value) -> Vec<String> {
    event["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["messageId"].as_str().unwrap().to_owned())
        .collect()
}

/// Deletes what the answer does not name, as an event source mapping does.
fn settle(world: &World, event: &Value, answer: &Value) {
    let failed = failures(answer);
    for id in ids(event).into_iter().filter(|id| !failed.contains(id)) {
        assert!(world.fake.delete_queued_message(&world.queue, &id));
    }
}

fn failures(answer: &Value) -> BTreeSet<String> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|one| one["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn row_57_the_answer_names_exactly_what_is_to_come_again() {
    let (mut world, tenant) = world();
    let records = records(&world.fake, 5, RECENT);
    world.put_lines(&World::key(&tenant, "good"), &records);
    world.put_lines(&World::key(&tenant, "later"), &records);
    world.fake.send_message(&world.queue, "junk");
    world.put_lines("cluster-1/unknown/api/api-0/x.json.gz", &records);
    world.fake.inject(
        Fault::on("s3:GetObject")
            .key_prefix(&World::key(&tenant, "later"))
            .respond(Response::internal_error()),
    );
    world.set("RETRY_ATTEMPTS", "0");
    let event = event(&world);
    let ids = ids(&event);
    let answer = invoke(&mut world, &event, Duration::from_secs(60)).unwrap();
    let failed = failures(&answer);
    // In the order of sending: delivered, transient, poison in the dead-letter queue, parked.
    assert_eq!(failed, BTreeSet::from([ids[1].clone(), ids[3].clone()]));
    assert_eq!(world.delivered(&tenant), messages(&records));
    assert_eq!(world.only_letter()["reason"], "body_not_json");
    settle(&world, &event, &answer);
}

#[test]
fn row_58_a_batch_fails_as_a_whole_only_when_the_engine_cannot_work() {
    let (mut world, tenant) = world();
    world.put_lines(&World::key(&tenant, "x"), &records(&world.fake, 5, RECENT));
    world.fake.remove_role(CENTRAL_ROLE);
    let event = event(&world);
    assert!(invoke(&mut world, &event, Duration::from_secs(60)).is_err());
    assert!(world.dead().is_empty() && world.delivered(&tenant).is_empty());
}

#[test]
fn row_56_the_answer_comes_before_the_deadline() {
    for phase in ["dynamodb:Query", "sts:AssumeRole", "s3:GetObject", "logs:PutLogEvents"] {
        let (mut world, tenant) = world();
        let quick = world.tenant("quick", "333333333333");
        let records = records(&world.fake, 5, RECENT);
        world.put_lines(&World::key(&quick, "x"), &records);
        world.put_lines(&World::key(&tenant, "slow"), &records);
        // The table does not say whose items are asked for.
        let all = phase == "dynamodb:Query";
        let slow = tenant.clone();
        world.fake.inject(
            Fault::on(phase)
                .when(move |call| {
                    let names = [&call.account, &call.resource, &call.key];
                    all || names
                        .iter()
                        .any(|name| name.contains(&slow.account) || name.contains(&slow.id))
                })
                .stall(),
        );
        let event = event(&world);
        let ids = ids(&event);
        let started = std::time::Instant::now();
        let time = Duration::from_secs(12);
        let answer = invoke(&mut world, &event, time).unwrap();
        assert!(started.elapsed() < time, "{phase}: {:?}", started.elapsed());
        let unfinished = if all { ids } else { vec![ids[1].clone()] };
        assert_eq!(failures(&answer), BTreeSet::from_iter(unfinished), "{phase}");
        let finished = if all { Vec::new() } else { messages(&records) };
        assert_eq!(world.delivered(&quick), finished, "{phase}");
        settle(&world, &event, &answer);
    }
}
