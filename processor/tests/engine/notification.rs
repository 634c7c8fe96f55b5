//! Rows 1 to 10: what messages look like.

use std::time::Duration;

use fake_aws::{
    Envelope, Fault, NotificationRoute, Response,
    notification::{self, S3Event},
};

use crate::world::{BUCKET, CENTRAL, REGION, World, gzip, messages, records, sorted};

const RECENT: Duration = Duration::from_secs(600);
const TOPIC: &str = "arn:aws:sns:us-east-2:111111111111:logs";

#[test]
fn row_01_every_envelope_delivers_the_same() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 20, RECENT);
    let mut expected = Vec::new();
    for name in ["sns", "raw", "bridge", "continued"] {
        let key = World::key(&tenant, name);
        world.put_quietly(&key, &records);
        let event = world.fake.s3_event(BUCKET, &key);
        let body = match name {
            "sns" => notification::in_sns(TOPIC, "id", 0, &event.body()),
            "raw" => event.body(),
            "bridge" => event.eventbridge(),
            _ => event.body().replacen(
                '{',
                r#"{"processing_metadata":{"offset":0,"retry_count":1},"#,
                1,
            ),
        };
        world.fake.send_message(&world.queue, &body);
        expected.extend(messages(&records));
    }
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(run.sum("read"), 80);
    assert_eq!(sorted(world.delivered(&tenant)), sorted(expected));
    world.assert_queues(0);
}

#[test]
fn row_02_test_events_are_acknowledged() {
    let world = World::new();
    world.fake.notify(BUCKET, NotificationRoute::new(&world.queue, Envelope::Raw));
    let test = notification::test_event(BUCKET, 0);
    world.fake.send_message(&world.queue, &notification::in_sns(TOPIC, "id", 0, &test));
    let run = world.drain();
    run.assert_code(0);
    assert_eq!(run.objects().len(), 2);
    assert!(run.objects().iter().all(|line| line["outcome"] == "ignored_event"));
    assert_eq!(world.fake.calls("s3:GetObject"), 0);
    world.assert_queues(0);
}

#[test]
fn row_03_removals_are_acknowledged() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    for name in ["ObjectRemoved:Delete", "LifecycleExpiration:Delete", "ObjectRestore:Completed"] {
        let event = S3Event {
            event_name: name.to_owned(),
            size: None,
            etag: None,
            ..S3Event::created(BUCKET, &World::key(&tenant, "x"))
        };
        world.fake.send_message(&world.queue, &event.body());
    }
    world.drain().assert_code(0);
    assert_eq!(world.fake.calls("s3:GetObject"), 0);
    world.assert_queues(0);
}

#[test]
fn row_04_keys_are_decoded_or_refused() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 1, RECENT);
    let key = "cluster-1/acme/a b+c/é~(1)/f.json.gz";
    world.put_lines(key, &records);
    let slashes = "cluster-1/acme/api/api-0/g.json.gz";
    world.put_quietly(slashes, &records);
    let event = world.fake.s3_event(BUCKET, slashes);
    for raw in [slashes.replace('/', "%2F"), "cluster-1/acme/api/%zz/f.json.gz".to_owned()] {
        let body = serde_json::json!({"Records": [event.record_with_raw_key(&raw)]}).to_string();
        world.fake.send_message(&world.queue, &body);
    }
    world.drain().assert_code(65).assert_balanced();
    assert_eq!(world.delivered(&tenant).len(), 2);
    let stream = world.fake.log_streams(&tenant.account, REGION, &tenant.group);
    assert!(stream.iter().any(|name| name.starts_with("a b+c-é~(1)-")), "{stream:?}");
    assert_eq!(world.only_letter()["reason"], "invalid_record");
    world.assert_queues(1);
}

#[test]
fn row_05_the_same_notification_twice_is_delivered_once() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 50, RECENT);
    let key = World::key(&tenant, "twice");
    world.put_lines(&key, &records);
    (0..4).for_each(|_| world.announce(&key));
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(world.delivered(&tenant), messages(&records));
    let duplicates = run.objects().iter().filter(|line| line["outcome"] == "duplicate").count();
    assert_eq!(duplicates, 4);
    world.assert_queues(0);
}

#[test]
fn row_06_a_failing_record_does_not_repeat_the_other() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let (one, two) = (World::key(&tenant, "one"), World::key(&tenant, "two"));
    let records = records(&world.fake, 10, RECENT);
    for key in [&one, &two] {
        world.put_quietly(key, &records);
    }
    let events = [world.fake.s3_event(BUCKET, &one), world.fake.s3_event(BUCKET, &two)];
    world.fake.send_message(&world.queue, &notification::records(&events));
    let rule =
        Fault::on("s3:GetObject").key_prefix(&two).times(2).respond(Response::internal_error());
    let rule = world.fake.inject(rule);
    let mut world = world;
    world.set("RETRY_ATTEMPTS", "0");
    world.drain_hurried().assert_code(0).assert_balanced();
    assert_eq!(rule.hits(), 2);
    assert_eq!(world.delivered(&tenant).len(), 20);
    let first =
        world.fake.journal_of("s3:GetObject").iter().filter(|call| call.facts.key == one).count();
    assert_eq!(first, 1, "the first record was read again");
    world.assert_queues(0);
}

#[test]
fn row_07_other_bodies_become_dead_letters() {
    for (body, reason) in [
        ("hello", "body_not_json"),
        (r#"{"Records":"none"}"#, "unknown_envelope"),
        (r#"{"a":1}"#, "unknown_envelope"),
        (r#"{"Type":"Notification","Message":"hello"}"#, "body_not_json"),
        (&"x".repeat(1_048_576), "body_not_json"),
    ] {
        let world = World::new();
        world.fake.send_message(&world.queue, body);
        world.drain().assert_code(65);
        let letter = world.only_letter();
        assert_eq!((letter["reason"].as_str(), letter["stage"].as_str()), (reason, "envelope"));
        assert!(world.dead()[0].body.starts_with(&body[..body.len().min(1_000_000)]));
        world.assert_queues(1);
    }
}

#[test]
fn row_08_keys_outside_the_layout_become_dead_letters() {
    for key in
        ["c/t/app/pod", "c//app/pod/f.gz", "c/t/../pod/f.gz", "c/Not_A_Namespace/app/pod/f.gz"]
    {
        let world = World::new();
        world.fake.send_message(&world.queue, &S3Event::created(BUCKET, key).body());
        world.drain().assert_code(65);
        let letter = world.only_letter();
        assert_eq!((letter["reason"].as_str(), letter["key"].as_str()), ("invalid_key", key));
        assert_eq!(world.fake.calls("s3:GetObject") + world.fake.calls("dynamodb:Query"), 0);
        world.assert_queues(1);
    }
}

#[test]
fn row_09_other_buckets_are_not_read() {
    let world = World::new();
    world.fake.create_bucket(CENTRAL, REGION, "other-bucket");
    world.fake.put_object_quietly("other-bucket", "c/t/a/p/f.gz", &[], gzip("{}"));
    let event = world.fake.s3_event("other-bucket", "c/t/a/p/f.gz");
    world.fake.send_message(&world.queue, &event.body());
    world.drain().assert_code(65);
    assert_eq!(world.only_letter()["reason"], "bucket_not_allowed");
    assert_eq!(world.fake.calls("s3:GetObject"), 0);
}

#[test]
fn row_10_event_versions_other_than_2_become_dead_letters() {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    let records = records(&world.fake, 1, RECENT);
    for version in ["2.9", "3.0"] {
        let key = World::key(&tenant, version);
        world.put_quietly(&key, &records);
        let event =
            S3Event { event_version: version.to_owned(), ..world.fake.s3_event(BUCKET, &key) };
        world.fake.send_message(&world.queue, &event.body());
    }
    world.drain().assert_code(65);
    assert_eq!(world.delivered(&tenant).len(), 1);
    assert_eq!(world.only_letter()["reason"], "invalid_record");
    world.assert_queues(1);
}
