//! Rows 11 to 23: what objects contain, and how their bytes arrive.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use fake_aws::{Fault, Response, notification::S3Event};
use serde_json::{Value, json};

use crate::world::{BUCKET, REGION, Tenant, World, gzip, lines, messages, records, sorted};

const RECENT: Duration = Duration::from_secs(600);

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

#[test]
fn row_11_a_missing_object_is_waited_for_once() {
    let (world, tenant) = world();
    world
        .fake
        .send_message(&world.queue, &S3Event::created(BUCKET, &World::key(&tenant, "gone")).body());
    world.drain_hurried().assert_code(65);
    assert_eq!(world.only_letter()["reason"], "object_gone");
    assert_eq!(world.fake.calls("s3:GetObject"), 2);
    world.assert_queues(1);
}

#[test]
fn row_11_a_refused_object_is_parked() {
    let (world, tenant) = world();
    world.put_lines(&World::key(&tenant, "x"), &records(&world.fake, 1, RECENT));
    world.fake.inject(Fault::on("s3:GetObject").respond(Response::access_denied()));
    let run = world.drain();
    run.assert_code(75);
    assert_eq!(run.objects()[0]["outcome"], "read_denied");
    assert_eq!(world.fake.queue_depth(&world.queue).in_flight, 1);
    assert!(world.dead().is_empty());
}

#[test]
fn row_12_a_broken_connection_costs_nothing() {
    for percent in (0..100).step_by(10) {
        let (world, tenant) = world();
        let records = records(&world.fake, 3000, RECENT);
        world.put_lines(&World::key(&tenant, "x"), &records);
        let rule =
            world.fake.inject(Fault::on("s3:GetObject").reset_body_at_percent(percent).times(1));
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(rule.hits(), 1);
        assert_eq!(world.delivered(&tenant), messages(&records), "reset at {percent} %");
        world.assert_queues(0);
    }
}

#[test]
fn row_12_a_stalled_connection_costs_only_time() {
    let (world, tenant) = world();
    let records = records(&world.fake, 3000, RECENT);
    world.put_lines(&World::key(&tenant, "x"), &records);
    world.fake.inject(
        Fault::on("s3:GetObject").stall_body_at_percent(50, Duration::from_secs(120)).times(1),
    );
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    world.assert_queues(0);
}

#[test]
fn row_13_an_object_that_changes_is_started_afresh() {
    let (world, tenant) = world();
    let key = World::key(&tenant, "x");
    let (old, new) = (records(&world.fake, 3000, RECENT), vec![json!({"message": "new"})]);
    world.put_lines(&key, &old);
    world.fake.inject(Fault::on("s3:GetObject").close_body_at_percent(50).times(1));
    // The second request finds another object.
    let (fake, path, body) = (world.fake.clone(), key.clone(), gzip(&lines(&new)));
    let changed = AtomicBool::new(false);
    world.fake.inject(Fault::on("s3:GetObject").when(move |_| {
        if !changed.swap(true, Ordering::SeqCst) {
            fake.put_object_quietly(BUCKET, &path, &[], body.clone());
        }
        false
    }));
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(run.sum("read"), 1, "the ledger is that of the object that is there");
    world.evidence().expect(&key, vec!["new".to_owned()]);
    assert!(world.delivered(&tenant).contains(&"new".to_owned()));
    world.assert_queues(0);
}

#[test]
fn row_14_a_slow_down_is_waited_out() {
    let (mut world, tenant) = world();
    world.set("RETRY_ATTEMPTS", "1");
    let records = records(&world.fake, 10, RECENT);
    world.put_lines(&World::key(&tenant, "x"), &records);
    let slow_down = Response::error(503, "SlowDown", "Please reduce your request rate.");
    world.fake.inject(Fault::on("s3:GetObject").times(5).respond(slow_down));
    world.drain_hurried().assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    world.assert_queues(0);
}

#[test]
fn row_15_damaged_compression_keeps_its_prefix_and_is_reported() {
    let records: Vec<Value> =
        (0..5000).map(|n| json!({"message": format!("{n} {}", n * 7919)})).collect();
    let whole = gzip(&lines(&records));
    let truncated = whole[..whole.len() / 2].to_vec();
    let mut damaged = whole.clone();
    let crc = damaged.len() - 8;
    damaged[crc] ^= 0xff;
    let garbage = [whole.as_slice(), b"garbage"].concat();
    for (body, reason, complete) in [
        (truncated, "content_truncated", false),
        (damaged, "content_corrupt", true),
        (garbage, "content_corrupt", true),
    ] {
        let (world, tenant) = world();
        world.evidence().expect(&World::key(&tenant, "x"), messages(&records));
        world.fake.put_object(BUCKET, &World::key(&tenant, "x"), body);
        let run = world.drain();
        run.assert_code(65).assert_balanced();
        let delivered = world.delivered(&tenant);
        assert!(if complete {
            delivered.len() == 5000
        } else {
            !delivered.is_empty() && delivered.len() < 5000
        });
        let letter = world.only_letter();
        assert_eq!(letter["reason"], reason);
        assert_eq!(
            letter["offset"],
            delivered.len().to_string(),
            "where to go on, without a duplicate"
        );
        assert_eq!(world.fake.calls("s3:GetObject"), 2, "read again once");
        world.assert_queues(1);
    }
}

#[test]
fn row_16_compression_is_told_by_content() {
    let text = |name: &str| lines(&[json!({"message": name})]);
    let members = [gzip(&text("one")), gzip(&text("two"))].concat();
    for (name, body, expected) in [
        ("members.json.gz", members, vec!["one", "two"]),
        ("plain.json.gz", text("plain").into_bytes(), vec!["plain"]),
        ("packed.json", gzip(&text("packed")), vec!["packed"]),
    ] {
        let (world, tenant) = world();
        let key = format!("cluster-1/acme/api/api-0/{name}");
        world.evidence().expect(&key, expected.iter().map(ToString::to_string).collect());
        world.fake.put_object_quietly(BUCKET, &key, &[], body);
        world.fake.send_message(&world.queue, &world.fake.s3_event(BUCKET, &key).body());
        world.drain().assert_code(0).assert_balanced();
        assert_eq!(world.delivered(&tenant), expected);
    }
    let (world, tenant) = world();
    let mut twice = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    twice.write_all(&gzip(&text("x"))).unwrap();
    world.fake.put_object(BUCKET, &World::key(&tenant, "x"), twice.finish().unwrap());
    world.drain().assert_code(65);
    assert_eq!(world.only_letter()["reason"], "content_compressed_twice");
}

#[test]
fn row_17_empty_objects_are_acknowledged() {
    for body in [Vec::new(), gzip(""), gzip("[]"), gzip("\n"), b"[]".to_vec()] {
        let (world, tenant) = world();
        world.fake.put_object(BUCKET, &World::key(&tenant, "x"), body);
        let run = world.drain();
        run.assert_code(0).assert_balanced();
        assert_eq!(run.sum("read"), 0);
        assert_eq!(world.fake.calls("logs:*"), 0);
        world.assert_queues(0);
    }
}

#[test]
fn row_18_a_bomb_is_defused() {
    let (world, tenant) = world();
    // Ten gibibytes, in ten members of one.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let spaces = vec![b' '; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&spaces).unwrap());
    let bomb = encoder.finish().unwrap().repeat(10);
    world.fake.put_object(BUCKET, &World::key(&tenant, "x"), bomb);
    let process = world.start(&["--mode", "sqs"]);
    world.until("the letter", |world| world.fake.queue_depth(&world.queue).total() == 0);
    let peak = process.peak_memory_kib();
    process.signal("TERM");
    process.wait().assert_code(0);
    assert!(peak < 64 * 1024, "{peak} KiB");
    assert_eq!(world.only_letter()["reason"], "content_bomb");
    world.assert_queues(1);
}

#[test]
fn row_19_every_framing_is_read() {
    let (world, tenant) = world();
    let records = records(&world.fake, 100, RECENT);
    let line = |record: &Value| record.to_string();
    let joined = |with: &str| records.iter().map(line).collect::<Vec<_>>().join(with);
    let framings = [
        format!("[{}]", joined(",")),
        serde_json::to_string_pretty(&records).unwrap(),
        joined("\n"),
        joined("\r\n"),
        format!("\u{feff}{}", joined("\n")),
        format!("\n\n{}\n\n", joined("\n\n")),
    ];
    let mut expected = Vec::new();
    for (number, text) in framings.iter().enumerate() {
        world.put_text(&World::key(&tenant, &number.to_string()), text, messages(&records));
        expected.extend(messages(&records));
    }
    world.drain().assert_code(0).assert_balanced();
    assert_eq!(sorted(world.delivered(&tenant)), sorted(expected));
    world.assert_queues(0);
}

#[test]
fn row_20_a_bad_line_costs_itself() {
    let (world, tenant) = world();
    let text = "{\"message\":\"a\"}\nnot json\n{\"message\":\"b\"}\n";
    let expected = ["a", "what cannot be read", "b"].map(str::to_owned);
    world.put_text(&World::key(&tenant, "x"), text, expected.into());
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!((run.sum("read"), run.sum("delivered"), run.sum("undecodable")), (3, 2, 1));
    assert_eq!(world.delivered(&tenant), ["a", "b"]);
    world.assert_queues(0);
}

#[test]
fn row_20_an_array_that_ends_early_is_reported() {
    for text in [r#"[{"message":"a"},{"message":"b"#, r#"[{"message":"a"},{"message":"b"}"#] {
        let (world, tenant) = world();
        world.put_text(&World::key(&tenant, "x"), text, ["a", "b"].map(str::to_owned).into());
        world.drain().assert_code(65).assert_balanced();
        assert!(world.delivered(&tenant).contains(&"a".to_owned()));
        assert_eq!(world.only_letter()["reason"], "content_truncated");
        world.assert_queues(1);
    }
}

#[test]
fn row_21_hostile_records_cost_themselves() {
    let (world, tenant) = world();
    let deep = format!(r#"{{"message":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(50 << 20));
    let text = [
        r#"{"message":"first"}"#,
        &deep,
        &long,
        r#"{"message":"one","message":"two"}"#,
        r#"{"message":"\ud800 alone"}"#,
        r#"{"message":"nul \u0000"}"#,
        r#"{"message":"last"}"#,
    ]
    .join("\n");
    let expected = ["first", "deep", "long", "two", "\u{fffd} alone", "nul \0", "last"];
    world.put_text(&World::key(&tenant, "x"), &text, expected.map(str::to_owned).into());
    let run = world.drain();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.assert_balanced();
    let delivered = world.delivered(&tenant);
    assert_eq!(run.sum("read"), 7);
    assert!(run.sum("undecodable") >= 2, "the deep and the long one");
    for message in ["first", "\u{fffd} alone", "nul \0", "last"] {
        assert!(delivered.iter().any(|found| found == message), "{message:?} in {delivered:?}");
    }
    world.assert_queues(0);
}

#[test]
fn row_22_every_record_has_a_message() {
    let (world, tenant) = world();
    let records = [
        json!({"message": "", "log": "from log"}),
        json!({"message": null}),
        json!({"message": 7}),
        json!({"message": {"b": 1, "a": 2}}),
        json!({"message": [1, 2]}),
        json!({"level": "info"}),
    ];
    world.put_lines(&World::key(&tenant, "x"), &records);
    world.evidence().expect(
        &World::key(&tenant, "x"),
        [
            "from log",
            &json!({"message": null}).to_string(),
            "7",
            r#"{"b":1,"a":2}"#,
            "[1,2]",
            &json!({"level": "info"}).to_string(),
        ]
        .map(str::to_owned)
        .into(),
    );
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    let delivered = world.delivered(&tenant);
    assert_eq!(delivered.len(), 6, "{delivered:?}");
    assert!(delivered.iter().all(|message| !message.is_empty()));
    for message in ["from log", "7", "[1,2]"] {
        assert!(delivered.iter().any(|found| found == message), "{message} in {delivered:?}");
    }
}

#[test]
fn row_23_messages_are_whole_up_to_the_limit_and_split_beyond() {
    const LIMIT: usize = 1_048_550;
    for (size, parts) in [(LIMIT - 1, 1), (LIMIT, 1), (LIMIT + 1, 2), (5 << 20, 6)] {
        let (world, tenant) = world();
        world.put_lines(&World::key(&tenant, "x"), &[json!({"message": "x".repeat(size)})]);
        if parts > 1 {
            // The parts are put together below.
            world.evidence().forget(&World::key(&tenant, "x"));
        }
        let run = world.drain();
        run.assert_code(0).assert_balanced();
        assert_eq!((run.sum("read"), run.sum("delivered")), (1, 1));
        let delivered = world.delivered(&tenant);
        assert_eq!(delivered.len(), parts, "{size}");
        let text: String = delivered.iter().map(|part| part.rsplit("] ").next().unwrap()).collect();
        assert_eq!(text.len(), size);
    }
    let (world, tenant) = world();
    world.put_lines(&World::key(&tenant, "x"), &[json!({"message": "é".repeat(LIMIT / 2 + 10)})]);
    world.evidence().forget(&World::key(&tenant, "x"));
    world.drain().assert_code(0).assert_balanced();
    let text: String = world
        .delivered(&tenant)
        .iter()
        .map(|part| part.rsplit("] ").next().unwrap().to_owned())
        .collect();
    assert_eq!(text, "é".repeat(LIMIT / 2 + 10));
    assert_eq!(world.fake.log_groups(&tenant.account, REGION).len(), 1);
}

#[test]
fn row_19_memory_does_not_depend_on_the_size_of_an_object() {
    const LINES: usize = 150_000;
    let record = |number: usize| {
        let padding = "p".repeat(1200);
        let message = "m".repeat(150);
        format!(
            r#"{{"kubernetes":{{"pod_labels":{{"x":"{padding}"}}}},"message":"{number} {message}"}}"#
        )
    };
    for (open, between, close) in [("", "\n", ""), ("[", ",", "]")] {
        let (world, tenant) = world();
        world.fake.configure_logs(|logs| logs.keep = fake_aws::KeepEvents::Counts);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(open.as_bytes()).unwrap();
        let mut bytes = 0;
        for number in 0..LINES {
            let text =
                if number == 0 { record(number) } else { format!("{between}{}", record(number)) };
            bytes += text.len();
            encoder.write_all(text.as_bytes()).unwrap();
        }
        encoder.write_all(close.as_bytes()).unwrap();
        assert!(bytes > 200_000_000, "{bytes}");
        world.fake.put_object(BUCKET, &World::key(&tenant, "x"), encoder.finish().unwrap());
        let process = world.start(&["--mode", "sqs"]);
        world.until("the delivery", |world| world.fake.queue_depth(&world.queue).total() == 0);
        let peak = process.peak_memory_kib();
        process.signal("TERM");
        process.wait().assert_code(0).assert_balanced();
        assert_eq!(world.fake.ledger_totals().events, LINES as u64);
        assert!(peak < 64 * 1024, "{peak} KiB");
    }
}
