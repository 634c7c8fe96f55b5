//! Rows 51 to 64: the queue, signals, and the process itself.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, OnceLock},
    time::Duration,
};

use fake_aws::{Fault, Response, notification};
use serde_json::json;

use crate::world::{
    BUCKET, CENTRAL, REGION, TABLE, Tenant, World, gzip, lines, messages, records, signal, sorted,
};

const RECENT: Duration = Duration::from_secs(600);

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

/// Stores an object whose messages no other object has.
fn one_object(world: &World, tenant: &Tenant, name: &str, count: usize) -> Vec<String> {
    let mut records = records(&world.fake, count, RECENT);
    for record in &mut records {
        let message = format!("{name}: {}", record["message"].as_str().unwrap());
        record["message"] = json!(message);
    }
    world.put_lines(&World::key(tenant, name), &records);
    messages(&records)
}

/// Has the group and the stream created, so that the next writes are not refused for want of them.
fn warm_up(world: &World, tenant: &Tenant) {
    one_object(world, tenant, "warm-up", 1);
    world.drain().assert_code(0);
    world.clear_ledger();
}

/// Runs the binary until the queue holds nothing, whatever an earlier process had received and not seen.
fn drain_all(world: &World) {
    while world.fake.queue_depth(&world.queue).total() > 0 {
        world.fake.expire_visibility(&world.queue);
        world.drain().assert_code(0).assert_balanced();
    }
}

#[test]
fn row_51_a_message_is_held_for_as_long_as_it_takes() {
    let (mut world, tenant) = world();
    world.set("VISIBILITY_TIMEOUT", "15");
    let expected = one_object(&world, &tenant, "x", 10);
    world.fake.inject(Fault::on("logs:PutLogEvents").times(1).delay(Duration::from_secs(25)));
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    assert_eq!(world.fake.queue_stats(&world.queue).received, 1);
    assert!(world.fake.calls("sqs:ChangeMessageVisibility") >= 4);
    world.assert_queues(0);
}

#[test]
fn row_52_a_message_that_was_lost_is_not_deleted() {
    let (mut world, tenant) = world();
    world.set("VISIBILITY_TIMEOUT", "15").set("MAX_BATCH_SIZE", "10");
    one_object(&world, &tenant, "x", 100_000);
    world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
    world.fake.inject(Fault::on("logs:PutLogEvents").delay(Duration::from_millis(5)));
    let not_in_flight = Response::error(400, "AWS.SimpleQueueService.MessageNotInflight", "lost");
    world.fake.inject(Fault::on("sqs:ChangeMessageVisibility").respond(not_in_flight));
    let process = world.start(&["--mode", "sqs"]);
    world.until("the loss", |world| world.fake.calls("sqs:ChangeMessageVisibility") > 0);
    let before = world.delivered(&tenant).len();
    assert!(before < 100_000, "too quick for this test: {before}");
    process.signal("TERM");
    let run = process.wait();
    run.assert_code(0);
    assert!(run.stderr.contains("message lost to another receiver"), "{}", run.stderr);
    assert_eq!(world.fake.queue_stats(&world.queue).deleted, 0);
    assert_eq!(world.fake.queue_depth(&world.queue).total(), 1);
}

#[test]
fn row_53_deletes_that_fail_are_repeated() {
    let (world, tenant) = world();
    world.fake.configure_sqs(|sqs| sqs.failing_delete_entries = 7);
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.extend(one_object(&world, &tenant, &number.to_string(), 5));
    }
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(sorted(world.delivered(&tenant)), sorted(expected));
    world.assert_queues(0);
}

#[test]
fn row_53_a_delete_that_never_works_costs_no_second_delivery() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, "x", 10);
    let broken =
        world.fake.inject(Fault::on("sqs:DeleteMessageBatch").respond(Response::internal_error()));
    let process = world.start(&["--mode", "sqs"]);
    world.until("the delivery", |world| world.delivered(&tenant).len() == 10);
    world.until("some deletes", |_| broken.hits() >= 3);
    world.fake.expire_visibility(&world.queue);
    world.until("the second receive", |world| world.fake.queue_stats(&world.queue).received >= 2);
    broken.remove();
    world.until("an empty queue", |world| world.fake.queue_depth(&world.queue).total() == 0);
    process.signal("TERM");
    process.wait().assert_code(0);
    assert_eq!(world.delivered(&tenant), expected);
}

#[test]
fn row_54_a_queue_that_fails_is_asked_again_and_readiness_says_so() {
    for failure in [
        Response::error(400, "OverLimit", "too many messages in flight"),
        Response::error(400, "RequestThrottled", "slow down"),
        Response::internal_error(),
        Response::error(400, "AWS.SimpleQueueService.NonExistentQueue", "no such queue"),
    ] {
        let (mut world, tenant) = world();
        let port = free_port();
        world.set("METRICS_ADDRESS", &format!("127.0.0.1:{port}"));
        let broken = world.fake.inject(Fault::on("sqs:ReceiveMessage").respond(failure));
        let process = world.start(&["--mode", "sqs"]);
        world.until("unreadiness", |_| {
            broken.hits() > 0 && get(port, "/readyz").starts_with("HTTP/1.1 503")
        });
        assert!(get(port, "/livez").starts_with("HTTP/1.1 200"));
        broken.remove();
        let expected = one_object(&world, &tenant, "x", 10);
        world.until("the delivery", |world| world.delivered(&tenant) == expected);
        world.until("readiness", |_| get(port, "/readyz").starts_with("HTTP/1.1 200"));
        world.until("the metrics", |_| {
            get(port, "/metrics").contains("mtlog_records_total{state=\"delivered\"} 10")
        });
        assert!(get(port, "/other").starts_with("HTTP/1.1 404"));
        process.signal("TERM");
        process.wait().assert_code(0);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// How often the engine is interrupted by each signal.
const INTERRUPTIONS: usize = 40;
/// The records of each object of such a world.
const INTERRUPTED_RECORDS: usize = 200;

/// Interrupts the engine at random points of its work, from its first call to its last, and has another one finish.
/// Hands each world over before that, with what must arrive.
fn interrupt_at_random_points(signal: &str, twice: usize, check: impl Fn(&World) + Sync) {
    let start = || {
        let (mut world, tenant) = world();
        world.set("MAX_BATCH_SIZE", "50").set("SHUTDOWN_GRACE", "12");
        let expected: Vec<String> = (0..6)
            .flat_map(|number| {
                one_object(&world, &tenant, &number.to_string(), INTERRUPTED_RECORDS)
            })
            .collect();
        world.evidence().allow_twice(twice);
        world.fake.inject(Fault::on("logs:PutLogEvents").delay(Duration::from_millis(3)));
        let process = world.start(&["--mode", "sqs"]);
        (world, process, tenant, expected)
    };
    let calls = {
        let (world, process, ..) = start();
        world.until("the end", |world| world.fake.queue_depth(&world.queue).total() == 0);
        process.signal("TERM");
        process.wait().assert_code(0);
        world.fake.calls("*")
    };
    // The same points in every run: a failure can be looked for.
    let mut random = 42_u64;
    let mut point = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % calls
    };
    let points: Vec<u64> = (0..INTERRUPTIONS).map(|_| point()).collect();
    let interrupt = |point: u64| {
        let (world, process, tenant, expected) = start();
        world.until("the point", |world| {
            world.fake.calls("*") >= point || world.fake.queue_depth(&world.queue).total() == 0
        });
        process.signal(signal);
        drop(process.wait());
        check(&world);
        drain_all(&world);
        let mut delivered = sorted(world.delivered(&tenant));
        delivered.dedup();
        assert_eq!(delivered, sorted(expected), "{signal} at call {point} of {calls}");
        world.assert_queues(0);
    };
    // Most of each run is waiting. The threads have the test's name, which says what their findings are about.
    let name = std::thread::current().name().unwrap().to_owned();
    std::thread::scope(|scope| {
        for part in points.chunks(INTERRUPTIONS / 8) {
            let thread = std::thread::Builder::new().name(name.clone());
            thread.spawn_scoped(scope, || part.iter().copied().for_each(&interrupt)).unwrap();
        }
    });
}

#[test]
fn row_55_a_first_signal_finishes_and_nothing_is_lost() {
    interrupt_at_random_points("TERM", 0, |world| {
        // What was in work was finished or given back at once, and so was what a last receive brought.
        let now = world.fake.now().as_millisecond();
        let left = world.fake.queue_messages(&world.queue);
        let hidden = left.iter().filter(|message| message.visible_at > now + 2000).count();
        assert_eq!(hidden, 0, "of {} messages some wait for their timeout", left.len());
    });
}

#[test]
fn row_55_what_a_receive_brings_after_the_signal_is_given_back() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, "x", 10);
    let process_id = Arc::new(OnceLock::new());
    let receiver = Arc::clone(&process_id);
    let signalling = Fault::on("sqs:ReceiveMessage").times(1);
    let rule = world.fake.inject(signalling.run(move |_| signal(*receiver.wait(), "TERM")));
    let process = world.start(&["--mode", "sqs"]);
    process_id.set(process.id()).unwrap();
    process.wait().assert_code(0);
    assert_eq!(rule.hits(), 1);
    let hidden = world.fake.queue_depth(&world.queue).in_flight;
    assert_eq!(hidden, 0, "the message waits for its timeout");
    drain_all(&world);
    assert_eq!(world.delivered(&tenant), expected);
}

#[test]
fn row_55_a_kill_loses_nothing_and_repeats_at_most_what_was_in_work() {
    // One tenant has at most four objects in work, and what is delivered is deleted ten messages at a time.
    interrupt_at_random_points("KILL", 6 * INTERRUPTED_RECORDS, |_| ());
}

#[test]
fn row_55_a_second_signal_ends_at_once() {
    let (world, tenant) = world();
    one_object(&world, &tenant, "x", 10);
    world.fake.inject(Fault::on("logs:PutLogEvents").stall());
    let process = world.start(&["--mode", "sqs"]);
    world.until("the write", |world| world.fake.queue_depth(&world.queue).in_flight == 1);
    process.signal("TERM");
    process.signal("INT");
    process.wait().assert_code(130);
    assert_eq!(world.fake.queue_depth(&world.queue).total(), 1);
}

#[test]
fn row_59_a_continuation_goes_on_where_the_last_attempt_stopped() {
    let (mut world, tenant) = world();
    world.set("CHECKPOINT", "continuation").set("RETRY_ATTEMPTS", "0");
    warm_up(&world, &tenant);
    // Two segments of forty thousand events, four batches each. The second one fails.
    world.evidence().allow_twice(30_000);
    let expected = one_object(&world, &tenant, "x", 80_000);
    let rule = world.fake.inject(
        Fault::on("logs:PutLogEvents").skip(5).times(1).respond(Response::internal_error()),
    );
    let process = world.start(&["--mode", "sqs"]);
    world.until("the continuation", |world| {
        world
            .fake
            .queue_messages(&world.queue)
            .iter()
            .any(|message| message.body.contains("processing_metadata"))
    });
    process.signal("TERM");
    process.wait().assert_code(0);
    assert_eq!(rule.hits(), 1);
    assert_eq!(world.fake.queue_messages(&world.queue).len(), 1, "the first message is gone");
    assert_eq!(world.fake.queue_messages(&world.queue)[0].group_id.as_deref(), Some("acme"));
    // Another process carries on; the delay has passed.
    world.fake.advance(Duration::from_secs(60));
    world.drain().assert_code(0).assert_balanced();
    let mut delivered = world.delivered(&tenant);
    assert!(delivered.len() - expected.len() <= 30_000, "{} delivered", delivered.len());
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered.len(), expected.len());
    world.assert_queues(0);
}

#[test]
fn row_59_a_chain_that_never_ends_becomes_a_dead_letter() {
    let (world, tenant) = world();
    one_object(&world, &tenant, "x", 10);
    let key = World::key(&tenant, "x");
    let body = world.fake.s3_event(BUCKET, &key).body();
    let hops = r#"{"processing_metadata":{"v":1,"hops":13,"receives":20,"first_sent_ms":1},"#;
    world.drain().assert_code(0);
    world.fake.send_message(&world.queue, &body.replacen('{', hops, 1));
    world.drain().assert_code(65);
    assert_eq!(world.only_letter()["reason"], "too_many_hops");
}

#[test]
fn a_checkpoint_table_keeps_progress_between_processes_and_two_from_the_same_work() {
    let (mut world, tenant) = world();
    world.fake.create_table("111111111111", REGION, "checkpoints", "work_id", "");
    world
        .set("CHECKPOINT", "dynamodb")
        .set("CHECKPOINT_TABLE", "checkpoints")
        .set("RETRY_ATTEMPTS", "0");
    warm_up(&world, &tenant);
    world.evidence().allow_twice(30_000);
    let expected = one_object(&world, &tenant, "x", 80_000);
    world.fake.inject(
        Fault::on("logs:PutLogEvents").skip(5).times(1).respond(Response::internal_error()),
    );
    let process = world.start(&["--mode", "sqs"]);
    world.until("the failure", |world| {
        let now = world.fake.now().as_millisecond();
        let messages = world.fake.queue_messages(&world.queue);
        messages.len() == 1
            && messages[0].receive_count == 1
            && (1..60_000).contains(&(messages[0].visible_at - now))
    });
    process.signal("TERM");
    process.wait().assert_code(0);
    let first = world.delivered(&tenant).len();
    assert!((40_000..80_000).contains(&first), "{first}");
    world.fake.expire_visibility(&world.queue);
    world.drain().assert_code(0).assert_balanced();
    let mut delivered = world.delivered(&tenant);
    assert!(delivered.len() - expected.len() <= 30_000, "{} delivered", delivered.len());
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered.len(), expected.len());
    // The same notification again, in another process: the table knows.
    world.announce(&World::key(&tenant, "x"));
    let before = world.fake.ledger_totals().events;
    let run = world.drain();
    run.assert_code(0);
    assert_eq!(run.objects()[0]["outcome"], "duplicate");
    assert_eq!(world.fake.ledger_totals().events, before);
}

#[test]
fn row_61_a_small_memory_budget_makes_progress_with_many_objects() {
    let (mut world, tenant) = world();
    world.set("MEMORY_BUDGET_MIB", "32");
    let mut expected = 0;
    for number in 0..64 {
        expected += one_object(&world, &tenant, &number.to_string(), 5_000).len();
    }
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), expected);
    world.assert_queues(0);
}

#[test]
fn row_62_closed_output_does_not_stop_the_delivery() {
    let (world, tenant) = world();
    let expected = one_object(&world, &tenant, "x", 100);
    let mut process = world.start(&["--mode", "sqs"]);
    process.close_output();
    world.until("the delivery", |world| world.delivered(&tenant) == expected);
    world.until("an empty queue", |world| world.fake.queue_depth(&world.queue).total() == 0);
    process.signal("TERM");
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn row_62_output_that_nobody_reads_does_not_stop_the_delivery() {
    // More log lines than a pipe holds.
    const OBJECTS: usize = 400;
    let (mut world, tenant) = world();
    world.set("LOG_LEVEL", "debug");
    (0..OBJECTS).for_each(|number| drop(one_object(&world, &tenant, &number.to_string(), 2)));
    let process = world.start(&["--mode", "sqs"]);
    world.until("the deliveries", |world| world.delivered(&tenant).len() == 2 * OBJECTS);
    world.until("an empty queue", |world| world.fake.queue_depth(&world.queue).total() == 0);
    process.signal("TERM");
    process.wait().assert_code(0);
}

#[test]
fn row_63_no_output_contains_secrets_or_log_content() {
    let (mut world, tenant) = world();
    world.set("LOG_LEVEL", "trace");
    let marker = "customer-secret-marker";
    let mut all = records(&world.fake, 5, RECENT);
    all[0]["message"] = json!(marker);
    world.put_lines(&World::key(&tenant, "x"), &all);
    // Every kind of trouble that quotes something.
    world.fake.put_object(
        BUCKET,
        &World::key(&tenant, "bad"),
        gzip(&format!("{marker}\n{{\"a\":\"{marker}")),
    );
    world.fake.send_message(&world.queue, marker);
    let refused =
        Response::error(400, "InvalidParameterException", &format!("Value '{marker}' failed"));
    world.fake.inject(Fault::on("logs:PutLogEvents").times(1).respond(refused));
    let run = world.drain();
    assert!(!run.stderr.contains(marker), "{}", run.stderr);
    // A letter's body is the message as it came; what is said about it quotes nothing.
    assert!(world.dead().len() >= 2);
    for letter in world.dead() {
        assert!(
            letter.attributes.values().all(|value| !value.contains(marker)),
            "{:?}",
            letter.attributes
        );
    }
    assert!(!run.stdout.contains(marker));
    for (name, value) in world.variables() {
        if name.contains("SECRET") || name.contains("TOKEN") {
            assert!(!run.stderr.contains(value.as_str()), "{name} is shown");
        }
    }
}

#[test]
fn row_64_connections_that_close_each_time_are_enough() {
    let (world, tenant) = world();
    world.fake.set_keep_alive(fake_aws::KeepAlive::CloseEachTime);
    let expected = one_object(&world, &tenant, "x", 100);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
}

#[test]
fn row_64_ipv6_is_enough() {
    let world = World::on(fake_aws::FakeAws::listen("[::1]:0".parse().unwrap()));
    let tenant = world.tenant("acme", "222222222222");
    let expected = one_object(&world, &tenant, "x", 10);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
}

#[test]
fn row_64_a_proxy_is_enough() {
    let (mut world, tenant) = world();
    // The names of AWS lead nowhere here: whatever arrives has gone through the proxy.
    let proxy = world.fake.endpoint_url();
    let port = proxy.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let aws = format!("http://aws.invalid:{port}");
    let queue = world.queue.replace("127.0.0.1", "aws.invalid");
    world.set("AWS_ENDPOINT_URL", &aws).set("SQS_QUEUE_URL", &queue).set("HTTP_PROXY", &proxy);
    let expected = one_object(&world, &tenant, "x", 100);
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), expected);
    world.assert_queues(0);
}

#[test]
fn manual_mode_reads_a_message_an_object_or_a_file() {
    let (world, tenant) = world();
    let records = records(&world.fake, 5, RECENT);
    let key = World::key(&tenant, "x");
    world.fake.put_object_quietly(BUCKET, &key, &[], gzip(&lines(&records)));
    let body = notification::in_sns(
        "arn:aws:sns:x:1:t",
        "id",
        0,
        &world.fake.s3_event(BUCKET, &key).body(),
    );
    let run = world.run(&["--mode", "manual"], Some(&body));
    run.assert_code(0);
    assert_eq!(world.delivered(&tenant), messages(&records));
    let line: serde_json::Value = serde_json::from_str(run.stdout.trim()).unwrap();
    assert_eq!(
        (line["outcome"].as_str(), line["delivered"].as_u64()),
        (Some("delivered"), Some(5))
    );

    let uri = format!("s3://{BUCKET}/{key}");
    world.run(&["--mode", "manual", "--object", &uri], None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 10);

    let dry = world.run(&["--mode", "manual", "--object", &uri, "--dry-run"], None);
    dry.assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 10);

    let lines_run = world.run(&["--mode", "manual", "--object", &uri, "--sink", "stdout"], None);
    lines_run.assert_code(0);
    assert_eq!(lines_run.stdout.lines().collect::<Vec<_>>(), messages(&records));
}

#[test]
fn manual_mode_says_by_its_exit_code_what_happened() {
    let (world, tenant) = world();
    let missing = format!("s3://{BUCKET}/{}", World::key(&tenant, "missing"));
    world.run(&["--mode", "manual", "--object", &missing], None).assert_code(65);
    world.run(&["--mode", "manual"], Some("  ")).assert_code(64);
    world.run(&["--mode", "manual"], Some("junk")).assert_code(65);
    world.run(&["--mode", "manual", "--until-empty"], None).assert_code(64);
    world.run(&["--no-such-option"], None).assert_code(64);
    world.put_lines(&World::key(&tenant, "x"), &records(&world.fake, 1, RECENT));
    let object = format!("s3://{BUCKET}/{}", World::key(&tenant, "x"));
    world.fake.remove_role(&tenant.role);
    world.run(&["--mode", "manual", "--object", &object], None).assert_code(3);
    let unknown = format!("s3://{BUCKET}/c/unknown/a/p/f");
    world.run(&["--mode", "manual", "--object", &unknown], None).assert_code(65);
}

#[test]
fn wrong_settings_are_reported_together_before_anything_is_touched() {
    let (mut world, _tenant) = world();
    world.set("MAX_BATCH_SIZE", "0").set("SQS_QUEUE_URL", "queue").set("LOG_LEVEL", "loud");
    let run = world.run(&["--mode", "sqs"], None);
    run.assert_code(6);
    for name in ["MAX_BATCH_SIZE", "SQS_QUEUE_URL", "LOG_LEVEL"] {
        assert!(run.stderr.contains(name), "{}", run.stderr);
    }
    assert_eq!(world.fake.calls("*"), 0);
}

#[test]
fn scan_mode_delivers_a_bucket_once_and_goes_on_from_its_cursor() {
    let (world, tenant) = world();
    world.fake.configure_s3(|s3| s3.list_page_limit = 3);
    let other = world.tenant("other", "333333333333");
    let records = records(&world.fake, 2, RECENT);
    for number in 0..10 {
        for tenant in [&tenant, &other] {
            let key = World::key(tenant, &number.to_string());
            world.fake.put_object_quietly(BUCKET, &key, &[], gzip(&lines(&records)));
        }
    }
    let directory = std::env::temp_dir().join(format!("mtlog-scan-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let cursor = directory.join("cursor.json");
    let cursor = cursor.to_str().unwrap();
    let scan = ["--mode", "scan", "--cursor", cursor, "--tenant", "acme"];
    world.run(&[scan.as_slice(), &["--dry-run"]].concat(), None).assert_code(0);
    assert!(world.delivered(&tenant).is_empty());
    world.run(&scan, None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 20);
    assert!(world.delivered(&other).is_empty());
    world.run(&scan, None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 20, "the cursor is at the end");
    world.run(&["--mode", "scan", "--before", "2001-01-01T00:00:00Z"], None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 20, "nothing is that old");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn scan_mode_tries_first_what_an_earlier_run_could_not_deliver() {
    let (world, tenant) = world();
    let records = records(&world.fake, 2, RECENT);
    let key = World::key(&tenant, "1");
    world.fake.put_object_quietly(BUCKET, &key, &[], gzip(&lines(&records)));
    let directory = std::env::temp_dir().join(format!("mtlog-open-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let cursor = directory.join("cursor.json");
    let scan = ["--mode", "scan", "--cursor", cursor.to_str().unwrap()];
    let denied = Fault::on("logs:PutLogEvents").respond(Response::access_denied());
    let fault = world.fake.inject(denied);
    world.run(&scan, None).assert_code(3);
    assert!(world.delivered(&tenant).is_empty());
    fault.remove();
    world.run(&scan, None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 2);
    world.run(&scan, None).assert_code(0);
    assert_eq!(world.delivered(&tenant).len(), 2, "nothing is left to be tried");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn row_60_quiet_tenants_do_not_wait_for_a_noisy_one() {
    let mut world = World::new();
    world.set("RETRY_ATTEMPTS", "1");
    let noisy = world.tenant("noisy", "222222222222");
    for number in 0..300 {
        one_object(&world, &noisy, &number.to_string(), 2);
    }
    let quiet: Vec<Tenant> = (0..20)
        .map(|number| world.tenant(&format!("quiet-{number}"), &format!("3{number:011}")))
        .collect();
    for tenant in &quiet {
        one_object(&world, tenant, "x", 2);
    }
    world.fake.inject(Fault::on("logs:*").account(&noisy.account).respond(Response::throttling()));
    let process = world.start(&["--mode", "sqs"]);
    world.until("the quiet tenants' deliveries", |world| {
        quiet.iter().all(|tenant| world.delivered(tenant).len() == 2)
    });
    // The quiet ones came last in the queue, and did not wait until the noisy ones were all tried.
    let tried = world
        .fake
        .journal_of("logs:PutLogEvents")
        .iter()
        .filter(|call| call.facts.account == noisy.account)
        .count();
    assert!(tried <= 60, "{tried} calls for the noisy tenant");
    process.signal("TERM");
    process.wait().assert_code(0);
    assert!(world.dead().is_empty());
}

#[test]
fn row_40_a_clock_that_is_far_off_is_corrected() {
    for offset_minutes in [20, -20] {
        let (world, tenant) = world();
        world.fake.refuse_clock_skew_above(Duration::from_secs(300));
        let there = world.fake.now().as_millisecond() + offset_minutes * 60_000;
        world.fake.set_time(jiff::Timestamp::from_millisecond(there).unwrap());
        // To the stand-in, a table that was made in the future is still being made.
        world.fake.create_table(CENTRAL, REGION, TABLE, "tenant_id", "type");
        world.put_item(&tenant.item());
        let expected = one_object(&world, &tenant, "x", 10);
        let run = world.drain();
        run.assert_code(0);
        assert_eq!(world.delivered(&tenant), expected, "{}", run.stderr);
        // The first answer says what time it is, to all clients.
        let refused = world.fake.journal_text().matches("InvalidSignatureException").count();
        assert_eq!(refused, 1, "{}", world.fake.journal_text());
        assert!(world.dead().is_empty());
    }
}

#[test]
fn a_message_that_may_be_sent_anew_outlives_the_queues_limit_of_receives() {
    let mut world = World::new();
    world.set("CHECKPOINT", "continuation");
    let key = "cluster-1/late/api/api-0/x.json.gz";
    let records = records(&world.fake, 5, RECENT);
    world.put_lines(key, &records);
    for _ in 0..12 {
        let run = world.drain();
        assert!(matches!(run.code, Some(0 | 75)), "{}", run.stderr);
        world.fake.advance(Duration::from_secs(1000));
    }
    assert!(world.dead().is_empty());
    assert_eq!(world.fake.queue_depth(&world.queue).total(), 1);
    let tenant = world.tenant("late", "222222222222");
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    world.assert_queues(0);
}

#[test]
fn a_file_is_tried_without_aws_and_without_a_key() {
    let world = World::new();
    let name = format!("{}-app.json.gz", std::process::id());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, gzip(&lines(&records(&world.fake, 3, RECENT)))).unwrap();
    world.fake.clear_journal();
    let file = path.to_str().unwrap();
    let run = world.run(&["--mode", "manual", "--file", file, "--sink", "stdout"], None);
    run.assert_code(0);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    assert_eq!(world.fake.journal().len(), 0);

    let missing = format!("{file}.gz");
    let run = world.run(&["--mode", "manual", "--file", &missing, "--sink", "stdout"], None);
    run.assert_code(64);
    assert!(run.stderr.contains("the file cannot be read"), "{}", run.stderr);
}
