//! Rows 29 to 40: what CloudWatch Logs answers.

use std::time::Duration;

use fake_aws::{Fault, Response};
use serde_json::json;

use crate::world::{REGION, Tenant, World, messages, records};

const RECENT: Duration = Duration::from_secs(600);

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

fn one_object(world: &World, tenant: &Tenant, count: usize) -> Vec<String> {
    let records = records(&world.fake, count, RECENT);
    world.put_lines(&World::key(tenant, "x"), &records);
    messages(&records)
}

#[test]
fn row_29_batches_are_full_and_legal() {
    for (count, puts) in [(10_000, 1), (10_001, 2)] {
        let (world, tenant) = world();
        let expected = one_object(&world, &tenant, count);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(world.delivered(&tenant).len(), expected.len());
        assert_eq!(world.fake.ledger_totals().batches, puts);
    }
}

#[test]
fn row_29_calls_are_full_to_the_last_event_that_fits_in_any_order() {
    // An event counts as its message and 26 bytes: 1022 of these fit in 1 MiB.
    for is_reversed in [false, true] {
        let (world, tenant) = world();
        let mut all = records(&world.fake, 3 * 1022 + 1, RECENT);
        for record in &mut all {
            record["message"] = json!("x".repeat(1000));
        }
        if is_reversed {
            all.reverse();
        }
        world.put_lines(&World::key(&tenant, "x"), &all);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(world.fake.ledger_totals().batches, 4, "{is_reversed}");
        assert_eq!(world.delivered(&tenant).len(), all.len());
    }
}

#[test]
fn row_29_max_batch_size_does_what_it_says() {
    let (mut world, tenant) = world();
    world.set("MAX_BATCH_SIZE", "7");
    one_object(&world, &tenant, 50);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.fake.ledger_totals().batches, 8);
    assert_eq!(world.delivered(&tenant).len(), 50);
}

#[test]
fn row_30_a_throttle_is_waited_out() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, 100);
    let rule =
        world.fake.inject(Fault::on("logs:PutLogEvents").times(3).respond(Response::throttling()));
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(rule.hits(), 3);
    assert_eq!(world.delivered(&tenant), expected);
    world.assert_queues(0);
}

#[test]
fn row_30_an_endless_throttle_keeps_the_message_and_hurts_nobody_else() {
    let (mut world, tenant) = world();
    world.set("RETRY_ATTEMPTS", "0");
    one_object(&world, &tenant, 10);
    let other = world.tenant("other", "333333333333");
    let quiet = one_object(&world, &other, 10);
    world.fake.inject(
        Fault::on("logs:PutLogEvents").account(&tenant.account).respond(Response::throttling()),
    );
    let process = world.start(&["--mode", "sqs"]);
    world.until("the other tenant's delivery", |world| world.delivered(&other) == quiet);
    world.until("the message is given back", |world| {
        let messages = world.fake.queue_messages(&world.queue);
        let now = world.fake.now().as_millisecond();
        messages.len() == 1 && messages[0].visible_at - now < 60_000
    });
    process.signal("TERM");
    process.wait().assert_code(0);
    assert!(world.delivered(&tenant).is_empty() && world.dead().is_empty());
}

#[test]
fn row_30_retry_attempts_does_what_it_says() {
    for attempts in [0, 1, 2] {
        let (mut world, tenant) = world();
        world.set("RETRY_ATTEMPTS", &attempts.to_string());
        one_object(&world, &tenant, 10);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        let rule = world
            .fake
            .inject(Fault::on("logs:PutLogEvents").respond(Response::service_unavailable()));
        let process = world.start(&["--mode", "sqs"]);
        world.until("the message is given back", |world| {
            let now = world.fake.now().as_millisecond();
            let messages = world.fake.queue_messages(&world.queue);
            messages[0].receive_count == 1 && (1..60_000).contains(&(messages[0].visible_at - now))
        });
        assert_eq!(rule.hits(), attempts + 1);
        process.signal("TERM");
        process.wait().assert_code(0);
    }
}

#[test]
fn row_31_broken_answers_are_asked_for_again() {
    for response in [
        Response::service_unavailable(),
        Response::html(500),
        Response::bare_429(),
        Response::garbage_ok(),
        Response::empty_ok(),
    ] {
        let (world, tenant) = world();
        let expected = one_object(&world, &tenant, 10);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        let rule =
            world.fake.inject(Fault::on("logs:PutLogEvents").times(1).respond(response.clone()));
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(rule.hits(), 1);
        assert_eq!(world.delivered(&tenant), expected, "{response:?}");
    }
}

#[test]
fn row_32_an_answer_that_is_lost_costs_one_batch_twice() {
    let (mut world, tenant) = world();
    world.set("MAX_BATCH_SIZE", "10");
    let mut expected = one_object(&world, &tenant, 50);
    world.drain().assert_code(0);
    // Group and stream are there; now the answers of one batch are lost.
    world.put_lines(&World::key(&tenant, "second"), &records(&world.fake, 50, RECENT));
    expected.extend(expected.clone());
    world.evidence().allow_twice(10);
    let rule =
        world.fake.inject(Fault::on("logs:PutLogEvents").skip(3).times(1).reset_after_applying());
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(rule.hits(), 1);
    let mut delivered = world.delivered(&tenant);
    assert_eq!(delivered.len(), expected.len() + 10, "one batch more");
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered.len(), 50, "and nothing less");
}

#[test]
fn row_33_groups_and_streams_are_created_when_missing() {
    let (world, tenant) = world();
    let mut item = tenant.item();
    item["log_retention_days"] = json!({"N": "30"});
    world.put_item(&item);
    let expected = one_object(&world, &tenant, 10);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    assert_eq!(world.fake.log_retention(&tenant.account, REGION, &tenant.group), Some(30));
    assert_eq!(world.fake.calls("logs:CreateLogGroup"), 1);
    let described: Vec<_> = world
        .fake
        .journal()
        .into_iter()
        .filter(|call| call.facts.operation.starts_with("Describe"))
        .collect();
    assert!(described.is_empty());
}

#[test]
fn row_33_a_new_stream_may_take_seconds_to_appear() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, 10);
    world.fake.configure_logs(|logs| logs.creation_lag = Duration::from_secs(5));
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    world.assert_queues(0);
}

#[test]
fn row_33_a_stream_that_is_deleted_is_created_again() {
    let (mut world, tenant) = world();
    world.set("MAX_BATCH_SIZE", "10");
    let expected = one_object(&world, &tenant, 200);
    let (fake, account, group) = (world.fake.clone(), tenant.account.clone(), tenant.group.clone());
    // Once, when the tenth batch comes.
    let seen = std::sync::atomic::AtomicU32::new(0);
    world.fake.inject(Fault::on("logs:PutLogEvents").when(move |call| {
        if seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 10 {
            fake.delete_log_stream(&account, REGION, &group, &call.key);
        }
        false
    }));
    world.drain().assert_code(0).assert_balanced();
    let mut delivered = world.delivered(&tenant);
    delivered.sort();
    let mut expected = expected;
    expected.sort();
    assert_eq!(delivered, expected);
}

#[test]
fn row_34_a_creation_by_somebody_else_is_a_success() {
    for (operation, response) in [
        ("logs:CreateLogStream", Response::error(400, "ResourceAlreadyExistsException", "exists")),
        ("logs:CreateLogGroup", Response::error(400, "OperationAbortedException", "aborted")),
    ] {
        let (world, tenant) = world();
        let expected = one_object(&world, &tenant, 10);
        let rule =
            world.fake.inject(Fault::on(operation).times(1).respond_after_applying(response));
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(rule.hits(), 1);
        assert_eq!(world.delivered(&tenant), expected, "{operation}");
    }
}

#[test]
fn row_35_a_group_that_cannot_be_created_parks_the_message() {
    for (response, outcome) in [
        (Response::error(400, "LimitExceededException", "too many"), "limit_exceeded"),
        (Response::access_denied(), "write_denied"),
    ] {
        let (world, tenant) = world();
        one_object(&world, &tenant, 10);
        world.fake.inject(Fault::on("logs:CreateLogGroup").respond(response));
        let run = world.drain();
        run.assert_code(75);
        assert_eq!(run.objects()[0]["outcome"], outcome);
        assert_eq!(world.fake.queue_depth(&world.queue).in_flight, 1);
        assert!(world.dead().is_empty());
    }
}

#[test]
fn row_35_a_retention_that_cannot_be_set_is_only_a_warning() {
    let (world, tenant) = world();
    let mut item = tenant.item();
    item["log_retention_days"] = json!({"N": "30"});
    world.put_item(&item);
    let expected = one_object(&world, &tenant, 10);
    world.fake.inject(Fault::on("logs:PutRetentionPolicy").respond(Response::access_denied()));
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    assert!(run.stderr.contains("retention not set"));
}

#[test]
fn row_36_refused_events_are_isolated() {
    for bad in [vec![4711], vec![0, 5000, 9999]] {
        let (world, tenant) = world();
        world.fake.configure_logs(|logs| logs.max_event_bytes = 1000);
        let mut all = records(&world.fake, 10_000, RECENT);
        for number in &bad {
            all[*number]["message"] = json!("x".repeat(2000));
        }
        world.put_lines(&World::key(&tenant, "x"), &all);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        let run = world.drain();
        run.assert_code(0).assert_balanced();
        assert_eq!(run.sum("quarantined"), bad.len() as u64);
        assert_eq!(run.sum("delivered"), 10_000 - bad.len() as u64);
        assert_eq!(world.delivered(&tenant).len(), 10_000 - bad.len());
        let failed = world.fake.call_count("logs:PutLogEvents").failed;
        assert!(
            failed <= 2 + 15 * bad.len() as u64,
            "{failed} refused calls for {} events",
            bad.len()
        );
        world.assert_queues(0);
    }
}

#[test]
fn row_36_a_refused_event_is_isolated_before_the_destination_has_taken_another() {
    let (world, tenant) = world();
    world.fake.configure_logs(|logs| logs.max_event_bytes = 1000);
    let mut all = records(&world.fake, 10, RECENT);
    // It fills a call by itself, is sent first, and goes to another day's stream than the others, which wait.
    let yesterday = world.fake.now() - Duration::from_secs(25 * 3600);
    all[0]["message"] = json!("x".repeat((1 << 20) - 26));
    all[0]["timestamp"] = json!(yesterday.as_millisecond());
    let day = yesterday.to_string()[..10].to_owned();
    world.put_lines(&World::key(&tenant, "x"), &all);
    world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
    let others = Fault::on("logs:PutLogEvents").when(move |call| !call.key.ends_with(&day));
    let rule = world.fake.inject(others.delay(Duration::from_secs(1)));
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!((run.sum("quarantined"), run.sum("delivered")), (1, 9));
    assert_eq!(world.delivered(&tenant).len(), 9);
    assert!(rule.hits() > 0);
    world.assert_queues(0);
}

#[test]
fn row_37_a_destination_that_refuses_everything_parks_the_message() {
    for count in [1, 10_000] {
        let (world, tenant) = world();
        one_object(&world, &tenant, count);
        let refused = Response::error(400, "InvalidParameterException", "the key is disabled");
        let rule = world.fake.inject(Fault::on("logs:PutLogEvents").respond(refused));
        let run = world.drain();
        run.assert_code(75);
        assert_eq!(run.objects()[0]["outcome"], "invalid_destination");
        assert_eq!(run.sum("quarantined"), 0, "nothing is given up for the destination's fault");
        assert!(rule.hits() <= 80, "{} calls", rule.hits());
        assert_eq!(world.fake.queue_depth(&world.queue).in_flight, 1);
    }
}

#[test]
fn row_38_only_the_segments_under_way_are_sent_again() {
    // At once, and after those behind it were accepted: these must not count as done before it.
    for delay in [Duration::ZERO, Duration::from_secs(1)] {
        let (mut world, tenant) = world();
        world.set("RETRY_ATTEMPTS", "0");
        // Twelve segments of ten thousand events. Three may be under way beside the one that fails.
        world.evidence().allow_twice(30_000);
        let count = 120_000;
        let expected = one_object(&world, &tenant, count);
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        let failing = Fault::on("logs:PutLogEvents").skip(6).times(1).delay(delay);
        let rule = world.fake.inject(failing.respond(Response::internal_error()));
        world.drain_hurried().assert_code(0).assert_balanced();
        assert_eq!(rule.hits(), 1);
        let mut delivered = world.delivered(&tenant);
        let extra = delivered.len() - expected.len();
        assert!(extra <= 30_000, "{extra} duplicates: more than was under way");
        delivered.sort();
        delivered.dedup();
        assert_eq!(delivered.len(), count);
        world.assert_queues(0);
    }
}

#[test]
fn row_39_a_rejected_entity_costs_only_a_warning() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, 10);
    world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &["api-api-0-x"]);
    let rejected = r#"{"rejectedEntityInfo":{"errorType":"InvalidEntity"}}"#;
    let answer = Response::raw(200, "application/x-amz-json-1.1", rejected);
    let rule = world
        .fake
        .inject(Fault::on("logs:PutLogEvents").skip(1).times(1).respond_after_applying(answer));
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(rule.hits(), 1);
    assert_eq!(world.delivered(&tenant), expected);
    assert!(run.stderr.contains("entity rejected"), "{}", run.stderr);
    assert!(run.stderr.contains("InvalidEntity"), "{}", run.stderr);
    world.assert_queues(0);
}

#[test]
fn row_40_a_clock_that_is_off_is_corrected_or_waited_out() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, 10);
    let skewed =
        Fault::on("logs:PutLogEvents").times(2).respond(Response::request_time_too_skewed());
    world.fake.inject(skewed);
    world.fake.inject(Fault::on("sts:AssumeRole").times(1).respond(Response::invalid_signature()));
    world.drain_hurried().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    assert!(world.dead().is_empty());
}
