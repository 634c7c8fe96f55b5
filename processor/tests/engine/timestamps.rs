//! Rows 24 to 28: when events happened.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{BUCKET, REGION, Tenant, World, records};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn world() -> (World, Tenant) {
    let world = World::new();
    let tenant = world.tenant("acme", "222222222222");
    (world, tenant)
}

/// Returns (timestamp, message) of everything delivered, in order of acceptance by stream.
fn events(world: &World) -> Vec<(i64, String)> {
    let all = world.fake.ledger().into_iter().flat_map(|(_, events)| events);
    all.map(|event| (event.timestamp, event.message.to_string())).collect()
}

fn at(world: &World, ago: Duration) -> i64 {
    world.fake.now().as_millisecond() - i64::try_from(ago.as_millis()).unwrap()
}

fn text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

#[test]
fn row_24_every_form_of_a_timestamp_is_the_same_instant() {
    let (world, tenant) = world();
    let ms = at(&world, Duration::from_secs(3600)) / 1000 * 1000 + 123;
    let seconds = ms / 1000;
    let forms: Vec<Value> = vec![
        json!(text(ms)),
        json!(text(ms).replace('Z', "+00:00")),
        json!(ms),
        json!(ms * 1000),
        json!(ms * 1_000_000),
        json!(format!("{}.123456789Z", text(seconds * 1000).trim_end_matches('Z'))),
    ];
    let mut all: Vec<Value> =
        forms.iter().map(|form| json!({"message": "exact", "timestamp": form})).collect();
    all.push(json!({"message": "seconds", "timestamp": seconds}));
    for garbage in [json!("garbage"), json!(-5), json!(null), json!(true)] {
        all.push(json!({"message": "fallback", "timestamp": garbage}));
    }
    let key = World::key(&tenant, "x");
    world.put_lines(&key, &all);
    world.drain().assert_code(0).assert_balanced();
    let modified = world.fake.object(BUCKET, &key).unwrap().last_modified;
    let events = events(&world);
    assert_eq!(events.len(), all.len());
    for (found, message) in events {
        match message.as_str() {
            "exact" => assert_eq!(found, ms),
            "seconds" => assert_eq!(found, seconds * 1000),
            _ => assert_eq!(found / 1000, modified / 1000, "{message}"),
        }
    }
}

#[test]
fn row_25_a_reversed_file_is_sorted() {
    let (world, tenant) = world();
    let mut reversed = records(&world.fake, 5000, Duration::from_secs(600));
    reversed.reverse();
    world.put_lines(&World::key(&tenant, "x"), &reversed);
    world.drain().assert_code(0).assert_balanced();
    let times: Vec<i64> = events(&world).iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 5000);
    assert!(times.is_sorted());
}

#[test]
fn row_26_a_wide_span_is_cut_by_day() {
    let (world, tenant) = world();
    let mut all = Vec::new();
    let first = at(&world, DAY * 13);
    for offset in [0, 86_399_999, 86_400_000, 86_400_001, 12 * 86_400_000] {
        all.push(json!({"message": format!("{offset}"), "timestamp": first + offset}));
    }
    world.put_lines(&World::key(&tenant, "x"), &all);
    let run = world.drain();
    run.assert_code(0).assert_balanced();
    assert_eq!(run.sum("delivered"), 5);
    for (target, events) in world.fake.ledger() {
        let day = target.stream.strip_prefix("api-api-0-").unwrap().to_owned();
        assert!(events.iter().all(|event| text(event.timestamp).starts_with(&day)), "{day}");
    }
    assert_eq!(world.fake.calls("logs:Describe*"), 0);
}

#[test]
fn row_28_rejected_events_are_counted_and_not_sent_again() {
    let future = |world: &World| world.fake.now().as_millisecond() + 3 * 3600 * 1000;
    let day = 86_400_000;
    // Of each row: messages too old, expired, good, too new, and the retention in days.
    for (old, expired, good, new, retention) in [
        (3, 0, 0, 0, None),
        (0, 0, 0, 4, None),
        (2, 0, 5, 3, None),
        (2, 4, 5, 1, Some(3)),
        (0, 3, 1, 0, Some(3)),
    ] {
        let (world, tenant) = world();
        let now = world.fake.now().as_millisecond();
        world.fake.create_log_group(&tenant.account, REGION, &tenant.group, &[]);
        world.fake.set_log_retention(&tenant.account, REGION, &tenant.group, retention);
        let mut all = Vec::new();
        let mut add = |count: usize, ms: i64| {
            (0..count).for_each(|number| {
                all.push(json!({"message": format!("{ms} {number}"), "timestamp": ms}))
            });
        };
        add(good, now - 60_000);
        add(new, future(&world));
        add(old, now - 20 * day);
        add(expired, now - 5 * day);
        world.put_lines(&World::key(&tenant, "x"), &all);
        let run = world.drain();
        run.assert_code(0).assert_balanced();
        let found =
            ["rejected_old", "expired", "delivered", "rejected_new"].map(|name| run.sum(name));
        // What is older than the retention counts as expired only if it is not too old anyway.
        assert_eq!(found.iter().sum::<u64>(), all.len() as u64);
        assert_eq!((found[2], found[3]), (good as u64, new as u64), "{found:?}");
        assert_eq!(found[0] + found[1], (old + expired) as u64, "{found:?}");
        assert_eq!(world.delivered(&tenant).len(), good);
        world.assert_queues(0);
    }
}

#[test]
fn row_27_an_event_that_ages_out_is_counted_once() {
    let (mut world, tenant) = world();
    world.set("RETRY_ATTEMPTS", "0");
    // The clock jumps while the message is in work; it must not appear again for that.
    world.set("VISIBILITY_TIMEOUT", "600");
    let ms = at(&world, DAY * 14 - Duration::from_secs(60));
    world.put_lines(&World::key(&tenant, "x"), &[json!({"message": "old", "timestamp": ms})]);
    // The first attempt fails; by the second the event is older than fourteen days.
    let fake = world.fake.clone();
    let throttled = fake_aws::Fault::on("logs:PutLogEvents")
        .times(1)
        .run(move |_| fake.advance(Duration::from_secs(120)))
        .respond(fake_aws::Response::throttling());
    world.fake.inject(throttled);
    let run = world.drain_hurried();
    run.assert_code(0).assert_balanced();
    assert_eq!((run.sum("rejected_old"), run.sum("delivered")), (1, 0));
    world.assert_queues(0);
}
